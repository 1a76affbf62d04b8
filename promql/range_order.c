/* Extremes and quantiles over windows.
 *
 * Extremes: best[j][i] is the best of 2^j samples from i on, so any window is two of those that
 * overlap, whatever its length. The leftmost of equal values wins, as when one walks; NaN counts
 * only where there is nothing else, so series with NaN walk. Quantiles: the window is kept sorted
 * and changes by what enters and leaves. */
#include "promql/range_kernels.h"

#include <math.h>
#include <string.h>

static bool
any_nan(const struct windows *w)
{
    double sum = 0;

    for (size_t i = 0; i < w->samples_nr; i++)
        sum += w->v[i] * 0; /* NaN and the infinities stay; the rest is zero */
    if (sum == 0)
        return false;
    for (size_t i = 0; i < w->samples_nr; i++)
        if (isnan(w->v[i]))
            return true;
    return false;
}

static double
walk_extreme(const double *v, size_t n, bool max)
{
    double best = v[0];

    for (size_t i = 0; i < n; i++)
        if ((max ? v[i] > best : v[i] < best) || isnan(best))
            best = v[i];
    return best;
}

static void
walk(const struct windows *w, struct column *out, bool max)
{
    for (size_t k = 0; k < w->nr; k++) {
        if (w->hi[k] == w->lo[k])
            continue;
        out->v[k] = walk_extreme(w->v + w->lo[k], w->hi[k] - w->lo[k], max);
        column_mark(out, k);
    }
}

static void
halve(const double *from, double *to, size_t nr, size_t width, bool max)
{
    if (max)
        for (size_t i = 0; i < nr; i++)
            to[i] = from[i + width] > from[i] ? from[i + width] : from[i];
    else
        for (size_t i = 0; i < nr; i++)
            to[i] = from[i + width] < from[i] ? from[i + width] : from[i];
}

static unsigned
log2_floor(size_t n)
{
    return 63u - (unsigned)__builtin_clzll(n);
}

static unsigned
levels_of(const struct windows *w)
{
    uint32_t most = 0;

    for (size_t k = 0; k < w->nr; k++)
        most = MAX(most, w->hi[k] - w->lo[k]);
    return most == 0 ? 0 : log2_floor(most);
}

static void
extremes(const struct windows *w, struct column *out, bool max)
{
    const double *best[32] = { w->v };
    unsigned levels = levels_of(w);

    if (any_nan(w) || levels < 3) {
        walk(w, out, max);
        return;
    }
    for (unsigned j = 1; j <= levels; j++) {
        size_t width = (size_t)1 << (j - 1), nr = w->samples_nr - 2 * width + 1;
        double *to = arena_alloc(w->scratch, nr * sizeof *to);

        halve(best[j - 1], to, nr, width, max);
        best[j] = to;
    }
    for (size_t k = 0; k < w->nr; k++) {
        size_t n = w->hi[k] - w->lo[k];
        if (n == 0)
            continue;
        unsigned j = log2_floor(n);
        double a = best[j][w->lo[k]], b = best[j][w->hi[k] - ((size_t)1 << j)];
        out->v[k] = (max ? b > a : b < a) ? b : a;
        column_mark(out, k);
    }
}

void
kernel_min(const struct windows *w, struct column *out)
{
    extremes(w, out, false);
}

void
kernel_max(const struct windows *w, struct column *out)
{
    extremes(w, out, true);
}

static void
ts_of(const struct windows *w, struct column *out, bool max)
{
    for (size_t k = 0; k < w->nr; k++) {
        size_t best = w->lo[k];

        if (w->hi[k] == w->lo[k])
            continue;
        for (size_t i = best; i < w->hi[k]; i++)
            if ((max ? w->v[i] >= w->v[best] : w->v[i] <= w->v[best]) || isnan(w->v[best]))
                best = i;
        out->v[k] = (double)w->t_ms[best] / 1000;
        column_mark(out, k);
    }
}

void
kernel_ts_of_min(const struct windows *w, struct column *out)
{
    ts_of(w, out, false);
}

void
kernel_ts_of_max(const struct windows *w, struct column *out)
{
    ts_of(w, out, true);
}

/* ---- quantiles ---- */

double
quantile_sorted(double q, const double *sorted, size_t n)
{
    if (n == 0 || isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    double last = (double)(n - 1), rank = q * last, low = MAX(0.0, floor(rank)),
           high = MIN(last, low + 1);
    double weight = rank - floor(rank);

    return sorted[(size_t)low] * (1 - weight) + sorted[(size_t)high] * weight;
}

static bool
before(double a, double b)
{
    return a < b || (isnan(a) && !isnan(b));
}

static void
insertion_sort(double *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        double x = v[i];
        size_t j = i;

        for (; j > 0 && before(x, v[j - 1]); j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

static void
sift_down(double *v, size_t at, size_t n)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(v[child], v[child + 1]))
            child++;
        if (!before(v[at], v[child]))
            return;
        double x = v[at];
        v[at] = v[child];
        v[child] = x;
    }
}

static void
heap_sort(double *v, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(v, i, n);
    for (size_t i = n; i-- > 1;) {
        double x = v[0];
        v[0] = v[i];
        v[i] = x;
        sift_down(v, 0, i);
    }
}

static double
median_of_three(double a, double b, double c)
{
    if (before(b, a)) {
        double x = a;
        a = b;
        b = x;
    }
    return before(c, a) ? a : before(b, c) ? b : c;
}

/* Quicksort with a bound on its depth, NaN first. */
static void
sort_range(double *v, size_t n, unsigned depth)
{
    while (n > 24) {
        if (depth-- == 0) {
            heap_sort(v, n);
            return;
        }
        double pivot = median_of_three(v[0], v[n / 2], v[n - 1]);
        size_t i = 0, j = n - 1;
        for (;; i++, j--) {
            while (before(v[i], pivot))
                i++;
            while (before(pivot, v[j]))
                j--;
            if (i >= j)
                break;
            double x = v[i];
            v[i] = v[j];
            v[j] = x;
        }
        size_t cut = j + 1;
        sort_range(v + cut, n - cut, depth);
        n = cut;
    }
    insertion_sort(v, n);
}

void
quantile_sort(double *v, size_t n)
{
    sort_range(v, n, 64);
}

/* The window sorted, NaN first. */
struct sorted {
    double *v;
    size_t n;
};

/* The first place whose value is not before x. */
static size_t
lower_bound(const struct sorted *s, double x)
{
    size_t lo = 0, n = s->n;

    while (n > 0) {
        size_t half = n / 2;
        bool right = before(s->v[lo + half], x);
        lo = right ? lo + half + 1 : lo;
        n = right ? n - half - 1 : half;
    }
    return lo;
}

static void
sorted_add(struct sorted *s, double x)
{
    size_t at = lower_bound(s, x);

    memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof *s->v);
    s->v[at] = x;
    s->n++;
}

/* One value out, one in: only what lies between the two places moves. */
static void
sorted_replace(struct sorted *s, double out, double in)
{
    size_t from = lower_bound(s, out), to = lower_bound(s, in);

    if (to > from) {
        to--;
        memmove(s->v + from, s->v + from + 1, (to - from) * sizeof *s->v);
    } else {
        memmove(s->v + to + 1, s->v + to, (from - to) * sizeof *s->v);
    }
    s->v[to] = in;
}

static void
sorted_remove(struct sorted *s, double x)
{
    size_t at = lower_bound(s, x);

    memmove(s->v + at, s->v + at + 1, (s->n - at - 1) * sizeof *s->v);
    s->n--;
}

static void
sorted_reset(struct sorted *s, const double *v, size_t n)
{
    memcpy(s->v, v, n * sizeof *v);
    s->n = n;
    quantile_sort(s->v, n);
}

static size_t
longest(const struct windows *w)
{
    uint32_t most = 0;

    for (size_t k = 0; k < w->nr; k++)
        most = MAX(most, w->hi[k] - w->lo[k]);
    return most;
}

/* Makes s the window [lo, hi), from [old_lo, old_hi). */
static void
sorted_move(struct sorted *s, const double *v, size_t old_lo, size_t old_hi, size_t lo, size_t hi)
{
    size_t leave = lo - old_lo, enter = hi - old_hi;

    if (lo >= old_hi || (leave + enter) * 4 > hi - lo + 16) {
        sorted_reset(s, v + lo, hi - lo);
        return;
    }
    for (; leave > 0 && enter > 0; leave--, enter--)
        sorted_replace(s, v[old_lo++], v[old_hi++]);
    for (; leave > 0; leave--)
        sorted_remove(s, v[old_lo++]);
    for (; enter > 0; enter--)
        sorted_add(s, v[old_hi++]);
}

void
kernel_quantile(const struct windows *w, struct column *out)
{
    struct sorted s = { arena_alloc(w->scratch, (longest(w) + 1) * sizeof(double)), 0 };
    size_t lo = 0, hi = 0;

    for (size_t k = 0; k < w->nr; k++) {
        if (w->hi[k] == w->lo[k])
            continue;
        sorted_move(&s, w->v, lo, hi, w->lo[k], w->hi[k]);
        lo = w->lo[k];
        hi = w->hi[k];
        out->v[k] = quantile_sorted(w->scalars[0][k], s.v, s.n);
        column_mark(out, k);
    }
}

/* The median of the distances from the median; NaN when any sample is NaN. */
static double
mad(double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(v[i]))
            return NAN;
    quantile_sort(v, n);
    double median = quantile_sorted(0.5, v, n);
    for (size_t i = 0; i < n; i++)
        v[i] = fabs(v[i] - median);
    quantile_sort(v, n);
    return quantile_sorted(0.5, v, n);
}

void
kernel_mad(const struct windows *w, struct column *out)
{
    double *v = arena_alloc(w->scratch, (longest(w) + 1) * sizeof *v);

    for (size_t k = 0; k < w->nr; k++) {
        size_t n = w->hi[k] - w->lo[k];

        if (n == 0)
            continue;
        memcpy(v, w->v + w->lo[k], n * sizeof *v);
        out->v[k] = mad(v, n);
        column_mark(out, k);
    }
}
