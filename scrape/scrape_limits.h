/* scrape/scrape_limits.h: small rules about one series: whose labels win, what a name may be, how
 * long labels may get. Pure. */
#pragma once
#include "model/labels.h"
#include "model/metadata.h"
#include "scrape/scrape_config.h"

/* Adds a target's public labels to a scraped series in b. honor_labels: the exposed ones win (raw
 * tells them, empty values included); else the target's win and an exposed label of that name is
 * kept as exported_<name>. New strings live in scratch. */
void target_label_series(struct labels target, bool honor_labels, struct labels raw,
                         struct labels_builder *b, struct arena *scratch);
/* The same for a synthetic series, where the target's labels always win. */
void target_label_report(struct labels target, struct labels_builder *b, struct arena *scratch);

/* A metric name is there and all names are valid under the scheme. */
MUST_CHECK bool labels_have_name(struct labels ls, int scheme, struct error *err);
MUST_CHECK bool
labels_within_limits(struct labels ls, const struct scrape_config *config, struct error *err);

/* Whether a series of this name belongs to the family, given what suffixes its type has. */
bool series_of_family(struct str name, struct str family, enum metadata_type type);
