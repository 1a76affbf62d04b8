#include "promql/quantile.h"

#include <float.h>
#include <math.h>

#include "model/histogram_math.h"

/* Relative differences between neighbouring buckets below this are artefacts of rounding. */
#define TOLERANCE 1e-12

/* ---- classic ---- */

static void
coalesce(struct buckets *b)
{
    size_t n = 0;

    for (size_t i = 1; i < b->nr; i++) {
        if (b->bound[i] == b->bound[n]) {
            b->count[n] += b->count[i];
        } else {
            n++;
            b->bound[n] = b->bound[i];
            b->count[n] = b->count[i];
        }
    }
    b->nr = n + 1;
}

static bool
almost_equal(double a, double b)
{
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);

    if ((isnan(a) && isnan(b)) || a == b)
        return true;
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return diff < TOLERANCE * DBL_MIN;
    return diff / fmin(sum, DBL_MAX) < TOLERANCE;
}

static void
make_monotonic(struct buckets *b, struct repair *r)
{
    double prev = b->count[0];

    *r = (struct repair){ false, INFINITY, -INFINITY, 0 };
    for (size_t i = 1; i < b->nr; i++) {
        double now = b->count[i];

        if (now == prev)
            continue;
        if (almost_equal(prev, now)) {
            b->count[i] = prev;
        } else if (now < prev) {
            b->count[i] = prev;
            r->forced = true;
            r->bucket_min = fmin(r->bucket_min, b->bound[i]);
            r->bucket_max = fmax(r->bucket_max, b->bound[i]);
            r->diff_max = fmax(r->diff_max, prev - now);
        } else {
            prev = now;
        }
    }
}

/* The first bucket but the last whose count reaches rank, else the last. */
static size_t
bucket_of(const struct buckets *b, double rank)
{
    size_t lo = 0, hi = b->nr - 1;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (b->count[mid] >= rank)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static double
interpolated(const struct buckets *b, double rank)
{
    size_t i = bucket_of(b, rank);

    if (i == b->nr - 1)
        return b->bound[b->nr - 2];
    if (i == 0 && b->bound[0] <= 0)
        return b->bound[0];
    if (i == 0)
        return 0 + (b->bound[0] - 0) * (rank / b->count[0]);
    double start = b->bound[i - 1], below = b->count[i - 1];
    return start + (b->bound[i] - start) * ((rank - below) / (b->count[i] - below));
}

double
buckets_quantile(double q, struct buckets *b, struct repair *repair)
{
    repair->forced = false;
    if (isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (b->bound[b->nr - 1] != INFINITY)
        return NAN;
    coalesce(b);
    make_monotonic(b, repair);
    if (b->nr < 2 || b->count[b->nr - 1] == 0)
        return NAN;
    return interpolated(b, q * b->count[b->nr - 1]);
}

/* How many observations lie below v, which is inside the bucket (low, high]. */
static double
rank_inside(double v, double low, double high, double rank, double count)
{
    return low == -INFINITY ? count : rank + (count - rank) * (v - low) / (high - low);
}

struct fraction {
    double lower, upper, lower_rank, upper_rank;
    bool lower_set, upper_set;
};

static void
fraction_start(struct fraction *f, double low, double rank)
{
    if (!f->lower_set && low >= f->lower) {
        f->lower_rank = rank;
        f->lower_set = true;
    }
    if (!f->upper_set && low >= f->upper) {
        f->upper_rank = rank;
        f->upper_set = true;
    }
}

static double
fraction_end(struct fraction *f, double count, double total)
{
    if (!f->lower_set || f->lower_rank > count)
        f->lower_rank = count;
    if (!f->upper_set || f->upper_rank > count)
        f->upper_rank = count;
    return (f->upper_rank - f->lower_rank) / total;
}

double
buckets_fraction(double lower, double upper, struct buckets *b)
{
    struct fraction f = { .lower = lower, .upper = upper };

    if (b->bound[b->nr - 1] != INFINITY)
        return NAN;
    coalesce(b);
    double count = b->count[b->nr - 1], rank = 0, low = b->bound[0] <= 0 ? -INFINITY : 0;
    if (count == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    for (size_t i = 0; i < b->nr && !(f.lower_set && f.upper_set); i++) {
        double high = b->bound[i];

        low = i > 0 ? b->bound[i - 1] : low;
        fraction_start(&f, low, rank);
        if (!f.lower_set && low < lower && high > lower) {
            f.lower_rank = rank_inside(lower, low, high, rank, b->count[i]);
            f.lower_set = true;
        }
        if (!f.upper_set && low < upper && high > upper) {
            f.upper_rank = rank_inside(upper, low, high, rank, b->count[i]);
            f.upper_set = true;
        }
        rank = b->count[i];
    }
    return fraction_end(&f, count, count);
}

/* ---- native ---- */

/* A zero bucket reaches to zero only when the histogram has buckets on one side alone. */
static void
trim_zero(const struct histogram *h, struct histogram_bucket *b)
{
    if (h->neg.buckets_nr == 0 && h->pos.buckets_nr > 0)
        b->lower = 0;
    else if (h->pos.buckets_nr == 0 && h->neg.buckets_nr > 0)
        b->upper = 0;
}

static double
inside_bucket(const struct histogram *h, const struct histogram_bucket *b, double fraction)
{
    if (histogram_is_custom(h) || (b->lower <= 0 && b->upper >= 0))
        return b->lower + (b->upper - b->lower) * fraction;
    double low = log2(fabs(b->lower)), high = log2(fabs(b->upper));
    if (b->lower > 0)
        return exp2(low + (high - low) * fraction);
    return -exp2(high + (low - high) * (1 - fraction));
}

/* True when the quantile is a bound of the histogram itself. */
static bool
at_the_edge(const struct histogram *h, struct histogram_bucket *b, double *result)
{
    if (!histogram_is_custom(h)) {
        if (b->lower < 0 && b->upper > 0)
            trim_zero(h, b);
        return false;
    }
    if (b->lower == -INFINITY) {
        *result = b->upper;
        if (b->upper <= 0)
            return true;
        b->lower = 0;
    } else if (b->upper == INFINITY) {
        *result = b->lower;
        return true;
    }
    return false;
}

/* Walks the rest. The last bucket met is what Prometheus then interpolates in. */
static bool
has_nan_observations(const struct histogram *h, struct histogram_all *it,
                     struct histogram_bucket *b, double count)
{
    while (histogram_all_next(it)) {
        *b = it->at;
        count += b->count;
    }
    return count < h->count;
}

double
histogram_quantile(double q, const struct histogram *h, enum nan_note *note)
{
    bool forward = isnan(h->sum) || q < 0.5;
    double rank = forward ? q * h->count : (1 - q) * h->count, count = 0, edge;
    struct histogram_all it;
    struct histogram_bucket b = { 0 };

    *note = NAN_NONE;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (h->count == 0 || isnan(q))
        return NAN;
    histogram_all_init(&it, h, !forward);
    while (histogram_all_next(&it)) {
        b = it.at;
        if (b.count == 0)
            continue;
        count += b.count;
        if (count >= rank)
            break;
    }
    if (at_the_edge(h, &b, &edge))
        return edge;
    count = count > h->count ? h->count : count;
    if (count < rank) {
        *note = isnan(h->sum) ? NAN_RESULT : NAN_NONE;
        return isnan(h->sum) ? NAN : b.upper;
    }
    rank = forward ? rank - (count - b.count) : count - rank;
    if (isnan(h->sum) && has_nan_observations(h, &it, &b, count))
        *note = NAN_SKEW;
    return inside_bucket(h, &b, rank / b.count);
}

static double
rank_in_native(const struct histogram *h, const struct histogram_bucket *b, double v, double rank,
               bool linear)
{
    (void)h;
    if (linear && b->lower == -INFINITY)
        return b->count;
    if (linear)
        return rank + b->count * ((v - b->lower) / (b->upper - b->lower));
    double low = log2(fabs(b->lower)), high = log2(fabs(b->upper)), at = log2(fabs(v));
    double below = v > 0 ? (at - low) / (high - low) : 1 - ((at - high) / (low - high));
    return rank + b->count * below;
}

double
histogram_fraction(double lower, double upper, const struct histogram *h, bool *has_nan)
{
    struct fraction f = { .lower = lower, .upper = upper };
    double count = 0, rank = 0;
    struct histogram_all it;

    *has_nan = false;
    if (h->count == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    histogram_all_init(&it, h, false);
    while (histogram_all_next(&it)) {
        struct histogram_bucket b = it.at;
        bool linear = histogram_is_custom(h);

        count += b.count;
        if (b.lower <= 0 && b.upper >= 0) {
            linear = true;
            trim_zero(h, &b);
        }
        fraction_start(&f, b.lower, rank);
        if (f.lower_set && f.upper_set)
            break;
        if (!f.lower_set && b.lower < lower && b.upper > lower) {
            f.lower_rank = rank_in_native(h, &b, lower, rank, linear);
            f.lower_set = true;
        }
        if (!f.upper_set && b.lower < upper && b.upper > upper) {
            f.upper_rank = rank_in_native(h, &b, upper, rank, linear);
            f.upper_set = true;
        }
        if (f.lower_set && f.upper_set)
            break;
        rank += b.count;
    }
    if (isnan(h->sum)) {
        while (histogram_all_next(&it))
            count += it.at.count;
        *has_nan = count < h->count;
    } else {
        count = h->count;
    }
    return fraction_end(&f, count, h->count);
}

double
histogram_variance(const struct histogram *h)
{
    double mean = h->sum / h->count, variance = 0, c = 0;
    struct histogram_all it;

    histogram_all_init(&it, h, false);
    while (histogram_all_next(&it)) {
        const struct histogram_bucket *b = &it.at;
        double v;

        if (b->count == 0)
            continue;
        if (histogram_is_custom(h))
            v = (b->upper + b->lower) / 2;
        else if (b->lower <= 0 && b->upper >= 0)
            v = 0;
        else
            v = b->upper < 0 ? -sqrt(b->upper * b->lower) : sqrt(b->upper * b->lower);
        double delta = v - mean;
        histogram_kahan(b->count * delta * delta, &variance, &c);
    }
    return (variance + c) / h->count;
}
