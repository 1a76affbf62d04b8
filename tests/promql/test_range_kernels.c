/* Range kernels against plain loops over each window, bit by bit, on random series: regular and
 * irregular times, NaN, infinities, resets, gaps. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "model/sample.h"
#include "promql/range_kernels.h"

enum { SAMPLES = 400, STEPS = 120 };

struct input {
    int64_t t_ms[SAMPLES];
    double v[SAMPLES];
    uint32_t lo[STEPS], hi[STEPS];
    double scalars[2][STEPS];
    const double *args[2];
    struct windows w;
    struct arena arena;
};

static uint64_t state;

static uint64_t
next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static double
value(unsigned style)
{
    uint64_t r = next() % 100;

    if (style == 1 && r < 5)
        return NAN;
    if (style == 2 && r < 2)
        return r == 0 ? INFINITY : -1e300;
    return style == 3 ? (double)(next() % 5) : (double)(int64_t)(next() % 2000) / 7 - 100;
}

static void
fill(struct input *x, unsigned style, bool regular)
{
    int64_t t_ms = 1000, range_ms = (int64_t)(next() % 40 + 1) * 7000;

    arena_init(&x->arena, SIZE_MAX);
    for (size_t i = 0; i < SAMPLES; i++) {
        x->t_ms[i] = t_ms;
        x->v[i] = value(style);
        t_ms += regular ? 5000 : (int64_t)(next() % 20000 + 1);
    }
    for (size_t k = 0; k < STEPS; k++) {
        x->scalars[0][k] = style == 0 ? 0.9 : (double)(next() % 12) / 10;
        x->scalars[1][k] = 0.5;
    }
    x->args[0] = x->scalars[0];
    x->args[1] = x->scalars[1];
    x->w = (struct windows){
        .t_ms = x->t_ms, .v = x->v, .samples_nr = SAMPLES, .lo = x->lo, .hi = x->hi, .nr = STEPS
    };
    x->w.first_end_ms = x->w.first_time_ms = 20000;
    x->w.step_ms = regular ? 15000 : 17000;
    x->w.range_ms = range_ms;
    x->w.scalars = x->args;
    x->w.scratch = &x->arena;
    for (size_t k = 0; k < STEPS; k++) {
        int64_t end_ms = window_end(&x->w, k);
        x->lo[k] = x->hi[k] = 0;
        for (size_t i = 0; i < SAMPLES; i++) {
            x->hi[k] += x->t_ms[i] <= end_ms;
            x->lo[k] += x->t_ms[i] <= end_ms - range_ms;
        }
    }
}

/* Each returns false when the window gives nothing. */
typedef bool (*naive_fn)(const struct input *x, size_t k, const double *v, size_t n, double *out);

static void
compensated_add(double x, double *sum, double *c)
{
    double t = *sum + x;

    if (isinf(t))
        *c = 0;
    else if (fabs(*sum) >= fabs(x))
        *c += (*sum - t) + x;
    else
        *c += (x - t) + *sum;
    *sum = t;
}

static bool
naive_sum(const struct input *x, size_t k, const double *v, size_t n, double *out)
{
    double sum = 0, c = 0;

    for (size_t i = 0; i < n; i++)
        compensated_add(v[i], &sum, &c);
    *out = isinf(sum) ? sum : sum + c;
    return n > 0;
}

static bool
naive_stdvar(const struct input *x, size_t k, const double *v, size_t n, double *out)
{
    double mean = 0, mean_c = 0, squares = 0, squares_c = 0;

    for (size_t i = 0; i < n; i++) {
        double distance = v[i] - (mean + mean_c);
        compensated_add(distance / (double)(i + 1), &mean, &mean_c);
        compensated_add(distance * (v[i] - (mean + mean_c)), &squares, &squares_c);
    }
    *out = (squares + squares_c) / (double)n;
    return n > 0;
}

static bool
naive_stddev(const struct input *x, size_t k, const double *v, size_t n, double *out)
{
    bool has = naive_stdvar(x, k, v, n, out);

    *out = sqrt(*out);
    return has;
}

static bool
naive_max(const struct input *x, size_t k, const double *v, size_t n, double *out)
{
    if (n == 0)
        return false;
    *out = v[0];
    for (size_t i = 0; i < n; i++)
        if (v[i] > *out || isnan(*out))
            *out = v[i];
    return true;
}

static bool
naive_min(const struct input *x, size_t k, const double *v, size_t n, double *out)
{
    if (n == 0)
        return false;
    *out = v[0];
    for (size_t i = 0; i < n; i++)
        if (v[i] < *out || isnan(*out))
            *out = v[i];
    return true;
}

static bool
naive_changes(const struct input *x, size_t k, const double *v, size_t n, double *out)
{
    *out = 0;
    for (size_t i = 1; i < n; i++)
        *out += v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
    return n > 0;
}

static bool
naive_resets(const struct input *x, size_t k, const double *v, size_t n, double *out)
{
    *out = 0;
    for (size_t i = 1; i < n; i++)
        *out += v[i] < v[i - 1];
    return n > 0;
}

static int
nan_first(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    if (isnan(x) || isnan(y))
        return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

static bool
naive_quantile(const struct input *x, size_t k, const double *v, size_t n, double *out)
{
    double sorted[SAMPLES], q = x->scalars[0][k];

    if (n == 0)
        return false;
    memcpy(sorted, v, n * sizeof *v);
    qsort(sorted, n, sizeof *v, nan_first);
    double rank = q * (double)(n - 1), low = floor(rank);
    if (q < 0 || q > 1) {
        *out = q < 0 ? -INFINITY : INFINITY;
        return true;
    }
    double weight = rank - low;
    *out = sorted[(size_t)low] * (1 - weight) + sorted[MIN((size_t)low + 1, n - 1)] * weight;
    return true;
}

static bool
naive_increase(const struct input *x, size_t k, const double *v, size_t n, double *out)
{
    const int64_t *t = x->t_ms + x->lo[k];
    int64_t end_ms = window_end(&x->w, k);

    if (n < 2)
        return false;
    double rise = v[n - 1] - v[0];
    for (size_t i = 1; i < n; i++)
        if (v[i] < v[i - 1])
            rise += v[i - 1];
    double start = (double)(t[0] - (end_ms - x->w.range_ms)) / 1000,
           end = (double)(end_ms - t[n - 1]) / 1000;
    double sampled = (double)(t[n - 1] - t[0]) / 1000, average = sampled / (double)(n - 1),
           limit = average * 1.1;
    if (start >= limit)
        start = average / 2;
    double zero = rise > 0 && v[0] >= 0 ? sampled * (v[0] / rise) : start;
    if (zero < start)
        start = zero;
    if (end >= limit)
        end = average / 2;
    *out = rise * ((sampled + start + end) / sampled);
    return true;
}

static const struct {
    const char *name;
    enum function_id fn;
    naive_fn naive;
} kernels[] = {
    { "sum_over_time", FN_SUM_OVER_TIME, naive_sum },
    { "stdvar_over_time", FN_STDVAR_OVER_TIME, naive_stdvar },
    { "stddev_over_time", FN_STDDEV_OVER_TIME, naive_stddev },
    { "max_over_time", FN_MAX_OVER_TIME, naive_max },
    { "min_over_time", FN_MIN_OVER_TIME, naive_min },
    { "changes", FN_CHANGES, naive_changes },
    { "resets", FN_RESETS, naive_resets },
    { "quantile_over_time", FN_QUANTILE_OVER_TIME, naive_quantile },
    { "increase", FN_INCREASE, naive_increase },
};

static bool
same(double a, double b)
{
    return (isnan(a) && isnan(b)) || double_bits(a) == double_bits(b) || (a == 0 && b == 0);
}

static void
compare(struct input *x, size_t which, uint64_t seed)
{
    double v[STEPS], want;
    uint64_t present[COLUMN_WORDS(STEPS)] = { 0 };
    struct column out = { .v = v, .present = present, .nr = STEPS };

    range_kernel_of(kernels[which].fn)(&x->w, &out);
    for (size_t k = 0; k < STEPS; k++) {
        bool has = kernels[which].naive(x, k, x->v + x->lo[k], x->hi[k] - x->lo[k], &want);

        cr_assert_eq(has, column_has(&out, k), "%s, step %zu, seed %lu", kernels[which].name, k,
                     (unsigned long)seed);
        cr_assert(!has || same(want, v[k]), "%s, step %zu, seed %lu: want %.17g, got %.17g",
                  kernels[which].name, k, (unsigned long)seed, want, v[k]);
    }
}

Test(range_kernels, agree_with_plain_loops)
{
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 20261121;
    static struct input x;

    for (unsigned round = 0; round < 60; round++, seed++) {
        state = seed * 0x9E3779B97F4A7C15u | 1;
        fill(&x, round % 4, round % 3 != 0);
        for (size_t i = 0; i < ARRAY_LEN(kernels); i++)
            compare(&x, i, seed);
        arena_fini(&x.arena);
    }
}
