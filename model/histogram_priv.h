/* model/histogram_priv.h: a side of a histogram written out, shared by the files that change
 * histograms. */
#pragma once
#include "model/histogram_math.h"

/* Buckets by growing index, empty ones included. comp is the compensation of each count, or NULL.
 */
struct wide_bucket {
    int32_t index;
    double count, comp;
    int64_t count_int; /* integer kind */
};

struct wide {
    struct wide_bucket *v;
    size_t nr;
};

struct wide
wide_of(const struct histogram *h, bool positive, const struct histogram *comp, struct arena *a);
/* Merges neighbours that fall into one bucket of the coarser schema; kahan: with compensation. */
void wide_reduce(struct wide *w, int32_t schema, int32_t target, bool kahan);
/* Drops what is empty, then fills gaps of at most gap_max buckets again. */
void wide_compact(struct wide *w, size_t gap_max, struct arena *a);
/* Makes spans and counts (deltas when is_int); comp (may be NULL) gets the same spans and the
 * compensations. */
void wide_store(const struct wide *w, bool is_int, struct histogram_side *side,
                struct histogram_side *comp, struct arena *a);
