/* promql/column.h: the values of one output series over a step grid: what operators hand each other.
 *
 * The grid is start, start + step, ...: nr points. A float column holds v[nr] and presence bits; a column with histograms
 * holds h[nr] too (h[i] != NULL: the point is a histogram; present is set for both). Columns belong to the evaluation's arena or to a worker's scratch;
 * a consumer that keeps one past its producer's next column copies it. */
#pragma once
#include "base/util.h"
#include "model/histogram.h"

struct step_grid {
    int64_t start_ms, step_ms; /* step_ms > 0 */
    size_t nr;
};

static inline int64_t
grid_time(const struct step_grid *g, size_t i)
{
    return g->start_ms + (int64_t)i * g->step_ms;
}

#define COLUMN_WORD_BITS 64
#define COLUMN_WORDS(nr) (((nr) + COLUMN_WORD_BITS - 1) / COLUMN_WORD_BITS)

struct column {
    double *v;                  /* nr values; undefined where absent or a histogram */
    uint64_t *present;          /* COLUMN_WORDS(nr) words; bit i: there is a point at step i */
    const struct histogram **h; /* NULL: floats only */
    size_t nr, present_nr;      /* steps; how many are present */
};

static inline bool
column_has(const struct column *c, size_t i)
{
    return c->present[i / COLUMN_WORD_BITS] >> (i % COLUMN_WORD_BITS) & 1;
}

static inline void
column_mark(struct column *c, size_t i)
{
    c->present[i / COLUMN_WORD_BITS] |= UINT64_C(1) << (i % COLUMN_WORD_BITS);
}
