/* tsdb/block_meta.h: meta.json: what a block says of itself.
 *
 * Read with every unknown key tolerated, written exactly in Prometheus's form (tab-indented, its
 * order of keys, zeros left out). A meta owns its lists: block_meta_fini(). Immutable once read; no
 * locks. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include "base/io.h"

#define BLOCK_ULID_BYTES 27 /* 26 characters and a NUL */

struct block_id {
    char z[BLOCK_ULID_BYTES];
};

struct block_parent {
    struct block_id id;
    int64_t min_ms, max_ms;
};

struct block_meta {
    struct block_id id;
    int64_t min_ms, max_ms; /* max_ms is exclusive, as in the file */
    uint64_t samples_nr, float_samples_nr, histogram_samples_nr, series_nr, chunks_nr,
        tombstones_nr;
    int level;
    struct block_id *sources; /* sorted */
    size_t sources_nr;
    struct block_parent *parents;
    size_t parents_nr;
    char **hints; /* sorted */
    size_t hints_nr;
    bool deletable, failed;
};

#define BLOCK_HINT_OOO      "from-out-of-order"
#define BLOCK_HINT_STALE    "from-stale-series"
#define BLOCK_HINT_SELECTED "from-selected-series"

void block_meta_fini(struct block_meta *m);
void block_meta_copy(struct block_meta *dst, const struct block_meta *src);
bool block_meta_has_hint(const struct block_meta *m, const char *hint);
void block_meta_add_hint(struct block_meta *m, const char *hint); /* keeps them sorted, once each */
void block_meta_add_source(struct block_meta *m, struct block_id id);
void block_meta_add_parent(struct block_meta *m, const struct block_meta *parent);

MUST_CHECK bool block_meta_parse(struct block_meta *m, struct str json, struct error *err);
void block_meta_print(const struct block_meta *m, struct buf *out);
/* `dir`/meta.json; writing goes through a temporary file and a rename. */
MUST_CHECK bool
block_meta_read(struct block_meta *m, const struct io *io, const char *dir, struct error *err);
MUST_CHECK bool block_meta_write(const struct block_meta *m, const struct io *io, const char *dir,
                                 struct error *err);
