/* tsdb/tombstones.h: deleted time ranges by series reference, and the block's `tombstones` file.
 *
 * Ranges include both ends; those of one reference are sorted and disjoint (adding merges touching
 * ones, as Prometheus does). Zeroed is empty. Not thread-safe while added to; immutable once a
 * block published it. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include "base/io.h"

struct time_range {
    int64_t min_ms, max_ms; /* both included */
};

struct tombstone_series {
    uint64_t ref;
    struct time_range *ranges;
    uint32_t nr, cap;
};

struct tombstones {
    struct tombstone_series *series; /* sorted by ref */
    size_t nr, cap;
};

void tombstones_fini(struct tombstones *t);
void tombstones_add(struct tombstones *t, uint64_t ref, int64_t min_ms, int64_t max_ms);
/* The ranges of ref, or NULL. */
const struct tombstone_series *tombstones_find(const struct tombstones *t, uint64_t ref);
/* How many ranges there are in all. */
size_t tombstones_ranges_nr(const struct tombstones *t);
/* True when [min_ms, max_ms] lies wholly inside one deleted range. */
bool tombstones_covers(const struct tombstone_series *s, int64_t min_ms, int64_t max_ms);
/* True when t_ms is deleted; *hint remembers where the last answer stood (start with 0, times
 * growing). */
bool tombstones_deleted(const struct tombstone_series *s, int64_t t_ms, uint32_t *hint);

MUST_CHECK bool tombstones_parse(struct tombstones *t, struct bytes file, struct error *err);
void tombstones_print(const struct tombstones *t, struct buf *out);
/* `dir`/tombstones; a missing file is empty. Writing goes through a temporary file and a rename. */
MUST_CHECK bool
tombstones_read(struct tombstones *t, const struct io *io, const char *dir, struct error *err);
MUST_CHECK bool tombstones_write(const struct tombstones *t, const struct io *io, const char *dir,
                                 struct error *err);
