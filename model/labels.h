/* model/labels.h: a set of labels: name and value pairs, sorted bytewise by name, no duplicates, no
 * empty values.
 *
 * A struct labels is a borrowed, immutable view: who made it says how long it lives (usually an
 * arena). `__name__` is a label like any other. Pure functions; thread-safe. No other module relies
 * on how they are laid out in storage: the head keeps pairs of symbol ids (model/symbol.h), a block
 * keeps references into its symbol section. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#define LABEL_NAME     STR("__name__")
#define LABEL_INSTANCE STR("instance")
#define LABEL_JOB      STR("job")
#define LABEL_BUCKET   STR("le")
#define LABEL_QUANTILE STR("quantile")

struct label {
    struct str name, value;
};

struct labels {
    const struct label *v;
    size_t nr;
};

#define LABELS_NONE ((struct labels){ NULL, 0 })

/* The value, or "" when there is none. */
struct str labels_get(struct labels ls, struct str name);
bool labels_has(struct labels ls, struct str name);
bool labels_eq(struct labels a, struct labels b);
/* Prometheus's order: label by label, name then value, bytewise; a prefix sorts first. */
int labels_cmp(struct labels a, struct labels b);
/* xxHash64, seed 0, of length-prefixed names and values: the bytes and value of Prometheus's
 * labels.StableHash (surface/formats.md, "Label-set hash"). */
uint64_t labels_hash(struct labels ls);
/* A deep copy in one arena allocation. */
struct labels labels_copy(struct arena *a, struct labels ls);
/* {a="b", "utf8 name"="x"} as Prometheus's Labels.String(). */
void labels_print(struct labels ls, struct buf *out);
/* name{a="b"}: the metric name in front when it is a legacy name. As the text format and PromQL
 * print a series. */
void labels_print_metric(struct labels ls, struct buf *out);
/* {"a":"b"} */
void labels_json(struct labels ls, struct buf *out);

/* Collects labels in any order. The builder's memory is reused by labels_builder_reset(); names and
 * values are borrowed until labels_builder_finish() copies them into an arena. An empty value
 * deletes. */
struct labels_builder {
    struct label *v;
    size_t nr, cap;
};

void labels_builder_init(struct labels_builder *b);
void labels_builder_fini(struct labels_builder *b);
void labels_builder_reset(struct labels_builder *b, struct labels base);
void labels_builder_set(struct labels_builder *b, struct str name, struct str value);
void labels_builder_del(struct labels_builder *b, struct str name);
struct str labels_builder_get(const struct labels_builder *b, struct str name);
/* Sorted view into the builder, valid until it is changed. Borrows the strings. */
struct labels labels_builder_view(struct labels_builder *b);
struct labels labels_builder_finish(struct labels_builder *b, struct arena *a);

/* Legacy names: [a-zA-Z_][a-zA-Z0-9_]* and, for metrics, also ':'. UTF-8 scheme: any non-empty
 * valid UTF-8. */
bool label_name_legacy(struct str name);
bool metric_name_legacy(struct str name);
bool label_name_valid(struct str name); /* UTF-8 scheme */
