/* Sums over windows. A sliding sum by adding and subtracting would keep traces of what has left the
 * window (a spike of 1e17, an infinity), so every window is added up by itself, in order. What
 * makes it quick is lanes: windows of equal length run side by side, one per lane, each with its
 * own compensation in its own order. */
#include "promql/range_kernels.h"

#include <math.h>

enum { LANES = 4 };

/* One step of each lane's sum. Select instead of branch, so that the compiler can keep the lanes in
 * vector registers; bits as sum_inc(). */
static inline __attribute__((always_inline)) void
lanes_inc(const double x[LANES], double sum[LANES], double c[LANES])
{
    for (size_t l = 0; l < LANES; l++) {
        double t = sum[l] + x[l];
        bool big = fabs(sum[l]) >= fabs(x[l]);
        double high = big ? sum[l] : x[l], low = big ? x[l] : sum[l];
        double more = c[l] + ((high - t) + low);
        c[l] = fabs(t) > 1.7976931348623157e308 ? 0 : more;
        sum[l] = t;
    }
}

/* sum and compensation of n values from each of LANES places. */
static void
sum_lanes(const double *const from[LANES], size_t n, double sum[LANES], double c[LANES])
{
    for (size_t l = 0; l < LANES; l++)
        sum[l] = c[l] = 0;
    for (size_t i = 0; i < n; i++) {
        double x[LANES];

        for (size_t l = 0; l < LANES; l++)
            x[l] = from[l][i];
        lanes_inc(x, sum, c);
    }
}

static void
sum_one(const double *v, size_t n, double *sum, double *c)
{
    *sum = *c = 0;
    for (size_t i = 0; i < n; i++)
        sum_inc(v[i], sum, c);
}

static bool
lanes_fit(const struct windows *w, size_t k)
{
    if (k + LANES > w->nr)
        return false;
    uint32_t n = w->hi[k] - w->lo[k];
    for (size_t l = 1; l < LANES; l++)
        if (w->hi[k + l] - w->lo[k + l] != n)
            return false;
    return n >= 4;
}

typedef void (*sum_finish)(const struct windows *w, size_t k, double sum, double c,
                           struct column *out);

static void
each_sum(const struct windows *w, struct column *out, sum_finish finish)
{
    for (size_t k = 0; k < w->nr;) {
        if (lanes_fit(w, k)) {
            const double *from[LANES];
            double sum[LANES], c[LANES];

            for (size_t l = 0; l < LANES; l++)
                from[l] = w->v + w->lo[k + l];
            sum_lanes(from, w->hi[k] - w->lo[k], sum, c);
            for (size_t l = 0; l < LANES; l++)
                finish(w, k + l, sum[l], c[l], out);
            k += LANES;
            continue;
        }
        if (w->hi[k] > w->lo[k]) {
            double sum, c;
            sum_one(w->v + w->lo[k], w->hi[k] - w->lo[k], &sum, &c);
            finish(w, k, sum, c, out);
        }
        k++;
    }
}

static void
finish_sum(const struct windows *w, size_t k, double sum, double c, struct column *out)
{
    (void)w;
    out->v[k] = isinf(sum) ? sum : sum + c;
    column_mark(out, k);
}

void
kernel_sum(const struct windows *w, struct column *out)
{
    each_sum(w, out, finish_sum);
}

/* Where the plain sum would overflow the mean is carried on incrementally from there. */
static double
mean_careful(const double *v, size_t n)
{
    double sum = v[0], count = 1, mean = 0, c = 0;
    bool incremental = false;

    for (size_t i = 1; i < n; i++) {
        count = (double)(i + 1);
        if (!incremental) {
            double new_sum = sum, new_c = c;
            sum_inc(v[i], &new_sum, &new_c);
            if (!isinf(new_sum)) {
                sum = new_sum;
                c = new_c;
                continue;
            }
            incremental = true;
            mean = sum / (count - 1);
            c /= count - 1;
        }
        double q = (count - 1) / count;
        mean *= q;
        c *= q;
        sum_inc(v[i] / count, &mean, &c);
    }
    return incremental ? mean + c : sum / count + c / count;
}

static void
finish_avg(const struct windows *w, size_t k, double sum, double c, struct column *out)
{
    size_t n = w->hi[k] - w->lo[k];

    if (isfinite(sum) && n > 1)
        out->v[k] = sum / (double)n + c / (double)n;
    else
        out->v[k] = mean_careful(w->v + w->lo[k], n);
    column_mark(out, k);
}

void
kernel_avg(const struct windows *w, struct column *out)
{
    each_sum(w, out, finish_avg);
}

static double
variance(const double *v, size_t n)
{
    double count = 0, mean = 0, mean_c = 0, aux = 0, aux_c = 0;

    for (size_t i = 0; i < n; i++) {
        count++;
        double delta = v[i] - (mean + mean_c);
        sum_inc(delta / count, &mean, &mean_c);
        sum_inc(delta * (v[i] - (mean + mean_c)), &aux, &aux_c);
    }
    return (aux + aux_c) / count;
}

/* The same for windows of n from each of LANES places: their chains of divisions overlap. */
static void
variance_lanes(const double *const from[LANES], size_t n, double out[LANES])
{
    double mean[LANES] = { 0 }, mean_c[LANES] = { 0 }, aux[LANES] = { 0 }, aux_c[LANES] = { 0 };
    double count = (double)n;

    for (size_t i = 0; i < n; i++) {
        double x[LANES], delta[LANES], part[LANES], so_far = (double)(i + 1);

        for (size_t l = 0; l < LANES; l++) {
            x[l] = from[l][i];
            delta[l] = x[l] - (mean[l] + mean_c[l]);
            part[l] = delta[l] / so_far;
        }
        lanes_inc(part, mean, mean_c);
        for (size_t l = 0; l < LANES; l++)
            part[l] = delta[l] * (x[l] - (mean[l] + mean_c[l]));
        lanes_inc(part, aux, aux_c);
    }
    for (size_t l = 0; l < LANES; l++)
        out[l] = (aux[l] + aux_c[l]) / count;
}

static void
finish_variance(double x, bool root, size_t k, struct column *out)
{
    out->v[k] = root ? sqrt(x) : x;
    column_mark(out, k);
}

static void
variances(const struct windows *w, struct column *out, bool root)
{
    for (size_t k = 0; k < w->nr; k++) {
        size_t n = w->hi[k] - w->lo[k];
        if (lanes_fit(w, k)) {
            const double *from[LANES];
            double x[LANES];

            for (size_t l = 0; l < LANES; l++)
                from[l] = w->v + w->lo[k + l];
            variance_lanes(from, n, x);
            for (size_t l = 0; l < LANES; l++)
                finish_variance(x[l], root, k + l, out);
            k += LANES - 1;
        } else if (n > 0) {
            finish_variance(variance(w->v + w->lo[k], n), root, k, out);
        }
    }
}

void
kernel_stddev(const struct windows *w, struct column *out)
{
    variances(w, out, true);
}

void
kernel_stdvar(const struct windows *w, struct column *out)
{
    variances(w, out, false);
}

struct line {
    double slope, intercept;
};

static struct line
line_of(double n, const double s[4], const double c[4])
{
    double x = s[0] + c[0], y = s[1] + c[1], xy = s[2] + c[2], xx = s[3] + c[3];
    double slope = (xy - x * y / n) / (xx - x * x / n);

    return (struct line){ slope, y / n - slope * x / n };
}

/* Least squares; x counts in seconds from at_ms. */
static struct line
regression(const int64_t *t_ms, const double *v, size_t n, int64_t at_ms)
{
    double s[4] = { 0 }, c[4] = { 0 }; /* of x, y, xy, xx */
    bool constant = true;

    for (size_t i = 0; i < n; i++) {
        double x = (double)(t_ms[i] - at_ms) / 1e3;

        if (i > 0 && v[i] != v[0])
            constant = false;
        sum_inc(x, &s[0], &c[0]);
        sum_inc(v[i], &s[1], &c[1]);
        sum_inc(x * v[i], &s[2], &c[2]);
        sum_inc(x * x, &s[3], &c[3]);
    }
    if (constant)
        return isinf(v[0]) ? (struct line){ NAN, NAN } : (struct line){ 0, v[0] };
    return line_of((double)n, s, c);
}

void
kernel_deriv(const struct windows *w, struct column *out)
{
    for (size_t k = 0; k < w->nr; k++) {
        size_t lo = w->lo[k], n = w->hi[k] - lo;

        if (n < 2)
            continue;
        out->v[k] = regression(w->t_ms + lo, w->v + lo, n, w->t_ms[lo]).slope;
        column_mark(out, k);
    }
}

void
kernel_predict(const struct windows *w, struct column *out)
{
    for (size_t k = 0; k < w->nr; k++) {
        size_t lo = w->lo[k], n = w->hi[k] - lo;

        if (n < 2)
            continue;
        struct line l = regression(w->t_ms + lo, w->v + lo, n, window_time(w, k));
        out->v[k] = l.slope * w->scalars[0][k] + l.intercept;
        column_mark(out, k);
    }
}

static double
smooth(const double *v, size_t n, double level, double trend)
{
    double s0 = 0, s1 = v[0], b = v[1] - v[0];

    for (size_t i = 1; i < n; i++) {
        double x = level * v[i];

        if (i > 1)
            b = trend * (s1 - s0) + (1 - trend) * b;
        double y = (1 - level) * (s1 + b);
        s0 = s1;
        s1 = x + y;
    }
    return s1;
}

void
kernel_smoothing(const struct windows *w, struct column *out)
{
    for (size_t k = 0; k < w->nr; k++) {
        size_t lo = w->lo[k], n = w->hi[k] - lo;

        if (n < 2)
            continue;
        out->v[k] = smooth(w->v + lo, n, w->scalars[0][k], w->scalars[1][k]);
        column_mark(out, k);
    }
}
