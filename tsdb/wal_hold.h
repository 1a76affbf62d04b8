/* tsdb/wal_hold.h: batches that the log could not take because the disk is full, in the order of
 * their commits, packed as they will be written.
 *
 * What is here is in the head and answered by queries, but a kill loses it: only batches that
 * nobody was promised (scrapes, rules) come here. Bounded; guarded by the log's lock. Zeroed with
 * bytes_max is empty. */
#pragma once
#include "tsdb/wal.h"

#define WAL_HOLD_BYTES_MAX (UINT64_C(256) << 20)

struct wal_held; /* one batch */

struct wal_hold {
    struct wal_held *oldest, *newest;
    uint64_t bytes, bytes_max;
    uint64_t nr;
};

void wal_hold_fini(struct wal_hold *h);
/* Copies the batch to the end; false when that would exceed bytes_max, and nothing happened. */
bool wal_hold_add(struct wal_hold *h, const struct wal_batch *b);
/* The oldest batch as it was committed, borrowed until wal_hold_drop(); false when there is none.
 */
bool wal_hold_first(const struct wal_hold *h, struct wal_batch *b);
void wal_hold_drop(struct wal_hold *h);
