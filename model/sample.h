/* model/sample.h: a value at a time, and the columns of them that storage hands to the engine. */
#pragma once
#include <math.h>
#include <string.h>
#include "base/util.h"
#include "model/histogram.h"

/* Prometheus's two NaNs: the marker of a series' end, and the one every other NaN is written as. */
#define STALE_NAN_BITS  UINT64_C(0x7ff0000000000002)
#define NORMAL_NAN_BITS UINT64_C(0x7ff8000000000001)

static inline uint64_t
double_bits(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline double
double_of_bits(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline bool
is_stale(double v)
{
    return double_bits(v) == STALE_NAN_BITS;
}

/* Samples of one series in time order, unique times, stale markers included. Arrays are malloc'ed,
 * grow, and are reused from series to series: embedded by the reader's owner, one thread at a time.
 * h is NULL while no histogram was met; else h[i] is NULL for a float and v[i] is undefined for a
 * histogram. Histograms live in `arena`, which sample_buf_reset() rewinds. */
struct sample_buf {
    int64_t *t_ms;
    double *v;
    const struct histogram **h;
    int64_t *st_ms; /* start timestamps, 0 for none; NULL unless asked for */
    size_t nr, cap;
    struct arena *arena; /* borrowed; NULL: reading a histogram is ERR_INTERNAL */
};

void sample_buf_init(struct sample_buf *b, struct arena *histograms);
void sample_buf_fini(struct sample_buf *b);
void sample_buf_reset(struct sample_buf *b);
/* Room for `more` samples; the caller writes t_ms/v (and h) and raises nr. */
void sample_buf_reserve(struct sample_buf *b, size_t more);
void sample_buf_add(struct sample_buf *b, int64_t t_ms, double v);
void sample_buf_add_histogram(struct sample_buf *b, int64_t t_ms, const struct histogram *h);
