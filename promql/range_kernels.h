/* promql/range_kernels.h: range functions as pure loops over the samples of one series.
 *
 * A window is samples [lo[k], hi[k]) for step k; windows never move backwards and may be empty.
 * Each kernel writes out[k] and marks present[k] where the function has a value. Results have
 * Prometheus's bits: the order of operations and the compensation are its own. No allocation but
 * through the scratch arena; thread-safe. */
#pragma once
#include "base/arena.h"
#include "promql/column.h"
#include "promql/functions.h"

struct windows {
    const int64_t *t_ms;
    const double *v;
    size_t samples_nr;
    const uint32_t *lo, *hi; /* nr each */
    size_t nr;
    int64_t first_end_ms, step_ms, range_ms; /* end of window k: first_end_ms + k * step_ms */
    int64_t first_time_ms;                   /* time of step 0: end plus offset */
    const double *const *scalars;
    struct arena *scratch;
};

static inline int64_t
window_end(const struct windows *w, size_t k)
{
    return w->first_end_ms + (int64_t)k * w->step_ms;
}

static inline int64_t
window_time(const struct windows *w, size_t k)
{
    return w->first_time_ms + (int64_t)k * w->step_ms;
}

typedef void (*range_kernel)(const struct windows *w, struct column *out);

/* NULL when fn is not a function of floats over a range. */
range_kernel range_kernel_of(enum function_id fn);

/* range_kernels.c */
void kernel_rate(const struct windows *w, struct column *out);
void kernel_increase(const struct windows *w, struct column *out);
void kernel_delta(const struct windows *w, struct column *out);
void kernel_irate(const struct windows *w, struct column *out);
void kernel_idelta(const struct windows *w, struct column *out);
/* range_sums.c */
void kernel_sum(const struct windows *w, struct column *out);
void kernel_avg(const struct windows *w, struct column *out);
void kernel_stddev(const struct windows *w, struct column *out);
void kernel_stdvar(const struct windows *w, struct column *out);
void kernel_deriv(const struct windows *w, struct column *out);
void kernel_predict(const struct windows *w, struct column *out);
void kernel_smoothing(const struct windows *w, struct column *out);
/* range_order.c */
void kernel_min(const struct windows *w, struct column *out);
void kernel_max(const struct windows *w, struct column *out);
void kernel_ts_of_min(const struct windows *w, struct column *out);
void kernel_ts_of_max(const struct windows *w, struct column *out);
void kernel_quantile(const struct windows *w, struct column *out);
void kernel_mad(const struct windows *w, struct column *out);

/* The quantile of n values, sorted with NaN first. */
double quantile_sorted(double q, const double *sorted, size_t n);
/* Orders values with NaN first, as Prometheus does before it takes a quantile. */
void quantile_sort(double *v, size_t n);

/* Prometheus's compensated addition (Neumaier's, reset by an infinite sum). */
static inline void
sum_inc(double x, double *sum, double *c)
{
    double t = *sum + x;

    if (__builtin_fabs(t) > 1.7976931348623157e308)
        *c = 0;
    else if (__builtin_fabs(*sum) >= __builtin_fabs(x))
        *c += (*sum - t) + x;
    else
        *c += (x - t) + *sum;
    *sum = t;
}
