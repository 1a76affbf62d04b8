/* Counters: what a window shows of them depends on its first and last sample and the resets
 * between, so each step is O(1) plus its resets. The additions happen in the order of the samples,
 * as Prometheus makes them. */
#include "promql/range_kernels.h"

#include <math.h>

struct resets {
    const uint32_t *at; /* sample i is smaller than sample i - 1 */
    size_t nr;
};

static struct resets
find_resets(const struct windows *w)
{
    size_t nr = 0;

    for (size_t i = 1; i < w->samples_nr; i++)
        nr += w->v[i] < w->v[i - 1];
    uint32_t *at = arena_alloc(w->scratch, (nr + 1) * sizeof *at);
    struct resets r = { at, nr };
    for (size_t i = 1, n = 0; n < nr; i++)
        if (w->v[i] < w->v[i - 1])
            at[n++] = (uint32_t)i;
    return r;
}

/* Adds what was lost by the resets inside window k; *from skips those before it. */
static double
add_resets(const struct windows *w, const struct resets *r, size_t k, size_t *from, double sum)
{
    while (*from < r->nr && r->at[*from] <= w->lo[k])
        ++*from;
    for (size_t i = *from; i < r->nr && r->at[i] < w->hi[k]; i++)
        sum += w->v[r->at[i] - 1];
    return sum;
}

/* By how much a rise over the samples is extended towards the bounds of the range: "close" samples
 * up to the bound, others by half an interval, and a counter never below zero. */
static double
extrapolation(const struct windows *w, size_t k, double rise, bool counter)
{
    size_t first = w->lo[k], last = w->hi[k] - 1;
    int64_t end_ms = window_end(w, k);
    double to_start = (double)(w->t_ms[first] - (end_ms - w->range_ms)) / 1000;
    double to_end = (double)(end_ms - w->t_ms[last]) / 1000;
    double sampled = (double)(w->t_ms[last] - w->t_ms[first]) / 1000;
    double average = sampled / (double)(last - first), threshold = average * 1.1;

    if (to_start >= threshold)
        to_start = average / 2;
    if (counter) {
        double to_zero = to_start;
        if (rise > 0 && w->v[first] >= 0)
            to_zero = sampled * (w->v[first] / rise);
        if (to_zero < to_start)
            to_start = to_zero;
    }
    if (to_end >= threshold)
        to_end = average / 2;
    return sampled == 0 ? 1 : (sampled + to_start + to_end) / sampled;
}

static void
extrapolated(const struct windows *w, struct column *out, bool counter, bool rate)
{
    struct resets resets = { NULL, 0 };
    double seconds = (double)w->range_ms / 1000;
    size_t from = 0;

    if (counter)
        resets = find_resets(w);
    for (size_t k = 0; k < w->nr; k++) {
        if (w->hi[k] < w->lo[k] + 2)
            continue;
        double rise = w->v[w->hi[k] - 1] - w->v[w->lo[k]];
        if (counter)
            rise = add_resets(w, &resets, k, &from, rise);
        double factor = extrapolation(w, k, rise, counter);
        if (rate)
            factor /= seconds;
        out->v[k] = rise * factor;
        column_mark(out, k);
    }
}

void
kernel_rate(const struct windows *w, struct column *out)
{
    extrapolated(w, out, true, true);
}

void
kernel_increase(const struct windows *w, struct column *out)
{
    extrapolated(w, out, true, false);
}

void
kernel_delta(const struct windows *w, struct column *out)
{
    extrapolated(w, out, false, false);
}

static void
last_two(const struct windows *w, struct column *out, bool rate)
{
    for (size_t k = 0; k < w->nr; k++) {
        if (w->hi[k] < w->lo[k] + 2)
            continue;
        size_t i = w->hi[k] - 1;
        double v = w->v[i];
        if (!rate || !(w->v[i] < w->v[i - 1]))
            v = w->v[i] - w->v[i - 1];
        if (rate)
            v /= (double)(w->t_ms[i] - w->t_ms[i - 1]) / 1000;
        out->v[k] = v;
        column_mark(out, k);
    }
}

void
kernel_irate(const struct windows *w, struct column *out)
{
    last_two(w, out, true);
}

void
kernel_idelta(const struct windows *w, struct column *out)
{
    last_two(w, out, false);
}

static void
kernel_count(const struct windows *w, struct column *out)
{
    for (size_t k = 0; k < w->nr; k++) {
        if (w->hi[k] == w->lo[k])
            continue;
        out->v[k] = (double)(w->hi[k] - w->lo[k]);
        column_mark(out, k);
    }
}

static void
kernel_present(const struct windows *w, struct column *out)
{
    for (size_t k = 0; k < w->nr; k++) {
        if (w->hi[k] == w->lo[k])
            continue;
        out->v[k] = 1;
        column_mark(out, k);
    }
}

static void
pick(const struct windows *w, struct column *out, bool last, bool time)
{
    for (size_t k = 0; k < w->nr; k++) {
        if (w->hi[k] == w->lo[k])
            continue;
        size_t i = last ? w->hi[k] - 1 : w->lo[k];
        out->v[k] = time ? (double)w->t_ms[i] / 1000 : w->v[i];
        column_mark(out, k);
    }
}

static void
kernel_first(const struct windows *w, struct column *out)
{
    pick(w, out, false, false);
}

static void
kernel_last(const struct windows *w, struct column *out)
{
    pick(w, out, true, false);
}

static void
kernel_ts_of_first(const struct windows *w, struct column *out)
{
    pick(w, out, false, true);
}

static void
kernel_ts_of_last(const struct windows *w, struct column *out)
{
    pick(w, out, true, true);
}

static bool
is_change(double before, double now)
{
    return now != before && !(isnan(now) && isnan(before));
}

/* Events between neighbours, counted once from the left: seen[i] is how many lie at samples [1, i].
 */
static void
count_events(const struct windows *w, struct column *out, bool resets)
{
    uint32_t *seen = arena_alloc(w->scratch, (w->samples_nr + 1) * sizeof *seen);

    seen[0] = 0;
    for (size_t i = 1; i < w->samples_nr; i++)
        seen[i] = seen[i - 1] + (resets ? w->v[i] < w->v[i - 1] : is_change(w->v[i - 1], w->v[i]));
    for (size_t k = 0; k < w->nr; k++) {
        if (w->hi[k] == w->lo[k])
            continue;
        out->v[k] = (double)(seen[w->hi[k] - 1] - seen[w->lo[k]]);
        column_mark(out, k);
    }
}

static void
kernel_changes(const struct windows *w, struct column *out)
{
    count_events(w, out, false);
}

static void
kernel_resets(const struct windows *w, struct column *out)
{
    count_events(w, out, true);
}

static const range_kernel kernels[FN_NR] = {
    [FN_RATE] = kernel_rate,
    [FN_INCREASE] = kernel_increase,
    [FN_DELTA] = kernel_delta,
    [FN_IRATE] = kernel_irate,
    [FN_IDELTA] = kernel_idelta,
    [FN_COUNT_OVER_TIME] = kernel_count,
    [FN_PRESENT_OVER_TIME] = kernel_present,
    [FN_ABSENT_OVER_TIME] = kernel_present,
    [FN_FIRST_OVER_TIME] = kernel_first,
    [FN_LAST_OVER_TIME] = kernel_last,
    [FN_TS_OF_FIRST_OVER_TIME] = kernel_ts_of_first,
    [FN_TS_OF_LAST_OVER_TIME] = kernel_ts_of_last,
    [FN_CHANGES] = kernel_changes,
    [FN_RESETS] = kernel_resets,
    [FN_SUM_OVER_TIME] = kernel_sum,
    [FN_AVG_OVER_TIME] = kernel_avg,
    [FN_STDDEV_OVER_TIME] = kernel_stddev,
    [FN_STDVAR_OVER_TIME] = kernel_stdvar,
    [FN_DERIV] = kernel_deriv,
    [FN_PREDICT_LINEAR] = kernel_predict,
    [FN_DOUBLE_EXPONENTIAL_SMOOTHING] = kernel_smoothing,
    [FN_MIN_OVER_TIME] = kernel_min,
    [FN_MAX_OVER_TIME] = kernel_max,
    [FN_TS_OF_MIN_OVER_TIME] = kernel_ts_of_min,
    [FN_TS_OF_MAX_OVER_TIME] = kernel_ts_of_max,
    [FN_QUANTILE_OVER_TIME] = kernel_quantile,
    [FN_MAD_OVER_TIME] = kernel_mad,
};

range_kernel
range_kernel_of(enum function_id fn)
{
    return kernels[fn];
}
