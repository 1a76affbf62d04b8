/* tsdb/compact.h: which blocks to merge, merging them, and which to delete: Prometheus's leveled
 * compaction.
 *
 * Planning is pure, on the blocks' metas sorted by min_ms. Merging reads through block.h and writes
 * through block_writer.h, in bounded memory; inputs stay untouched: the caller publishes the
 * result, then deletes the parents. One compaction at a time (the caller's lock). */
#pragma once
#include "base/clock.h"
#include "tsdb/block.h"
#include "tsdb/block_writer.h"

#define COMPACT_RANGES_MAX 16

struct compact_ranges {
    int64_t ms[COMPACT_RANGES_MAX]; /* growing: 2 h, 6 h, 18 h, ... */
    size_t nr;
};

/* min_ms, then three times as long each, as long as it is not above max_ms; at most steps
 * (Prometheus: 10). */
struct compact_ranges compact_ranges_of(int64_t min_ms, int64_t max_ms);

/* Indexes into metas of the blocks to merge next; nr 0: nothing to do. metas sorted by min_ms. */
struct compact_plan {
    size_t *index; /* owned: compact_plan_fini() */
    size_t nr;
};
void compact_plan(const struct block_meta *const *metas, size_t nr,
                  const struct compact_ranges *ranges, bool overlapping, struct compact_plan *plan);
void compact_plan_fini(struct compact_plan *plan);

struct compact_options {
    const struct io *io;
    const struct clock *clock; /* ULIDs */
    const char *dir;           /* the data directory: where the new block goes */
    uint64_t segment_bytes;
    struct query_guard *stop; /* may be NULL: asked between series (shutdown) */
    bool rewrite;             /* one block without what was deleted: its level starts anew */
};

/* Merges blocks (equal series become one; overlapping chunks are merged and re-encoded; deleted
 * samples are left out). *id is the new block's; *empty: nothing was left, no block was made, and
 * the parents may go. */
MUST_CHECK bool compact_blocks(const struct compact_options *o, struct block *const *blocks,
                               size_t nr, struct block_id *id, bool *empty, struct error *err);

/* A fresh ULID by the clock's time and chance. */
struct block_id compact_new_id(const struct clock *clock);

/* Retention: 0 switches a rule off. */
struct retention {
    int64_t time_ms;
    uint64_t bytes_max;
};
/* What the rules need of a block. */
struct retention_block {
    const struct block_meta *meta;
    uint64_t bytes;
};
/* Sets gone[i] for blocks beyond the limits, deletable ones, and those whose content lives on in
 * another block (parents). Newest first counts: blocks sorted by min_ms as everywhere; other_bytes
 * is what WAL and head chunks take. */
void retention_apply(const struct retention *r, const struct retention_block *blocks, size_t nr,
                     uint64_t other_bytes, bool *gone);
/* Renames to .tmp-for-deletion, then removes the tree. */
MUST_CHECK bool
block_delete_dir(const struct io *io, const char *dir, struct block_id id, struct error *err);
/* At start: removes *.tmp-for-creation, *.tmp-for-deletion and *.tmp of blocks. */
MUST_CHECK bool block_clean_dir(const struct io *io, const char *dir, struct error *err);
