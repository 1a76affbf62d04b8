/* tsdb/postings.h: operations on sorted sets of 32-bit numbers: series slots of the head, series
 * references of a block.
 *
 * A set is strictly increasing. Results go to arrays of the arena, or to an input's own array where
 * a call says so. Pure; thread-safe. */
#pragma once
#include "base/arena.h"
#include "base/util.h"

struct postings {
    const uint32_t *v; /* borrowed */
    size_t nr;
};

#define POSTINGS_NONE ((struct postings){ NULL, 0 })

/* What is in all sets (nr >= 1); the smallest leads and gallops through the others. */
struct postings postings_intersect(struct arena *a, const struct postings *sets, size_t nr);
/* What is in any set: few or small sets are merged, wide unions go through a bitmap over their
 * range. */
struct postings postings_union(struct arena *a, const struct postings *sets, size_t nr);
/* What is in `from` and not in `minus`. */
struct postings postings_subtract(struct arena *a, struct postings from, struct postings minus);
bool postings_has(struct postings set, uint32_t v);
