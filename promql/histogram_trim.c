/* histogram </ x and histogram >/ x: keeps the observations below (above) x. A bucket that x falls
 * into is split by interpolation, linear for custom buckets and the zero bucket, else on the
 * logarithmic scale; the sum is estimated anew from the middles of what is left. */
#include "promql/binary_priv.h"

#include <math.h>

#include "model/histogram_math.h"

struct trim {
    double at;
    bool below; /* keep what is below */
    bool custom, trimmed, has_pos, has_neg;
    double count, sum;
};

struct part {
    double count, middle;
};

static double
middle_of(double low, double high, bool positive, bool linear)
{
    if (isinf(low))
        return isinf(high) ? 0 : high > 0 ? high / 2 : high;
    if (isinf(high))
        return low;
    if (linear)
        return (low + high) / 2;
    double mean = sqrt(fabs(low * high));
    return positive ? mean : -mean;
}

static double
zero_if_infinite(double x)
{
    return isinf(x) ? 0 : x;
}

/* A bucket without a lower (upper) bound: only what can be said for sure is kept. */
static struct part
open_below(const struct trim *t, const struct histogram_bucket *b)
{
    bool finite = !isinf(b->upper);

    if (t->below) {
        if (t->at >= b->upper)
            return (struct part){ b->count, 0 };
        if (t->at > 0 && b->upper > 0 && finite)
            return (struct part){ b->count * t->at / b->upper, t->at / 2 };
        if (b->upper <= 0)
            return (struct part){ b->count, t->at };
        return (struct part){ 0, zero_if_infinite(b->upper) };
    }
    if (t->at <= b->lower)
        return (struct part){ b->count, 0 };
    if (t->at >= 0 && b->upper > t->at && finite)
        return (struct part){ b->count * (1 - t->at / b->upper), (t->at + b->upper) / 2 };
    return (struct part){ 0, zero_if_infinite(b->upper) };
}

static struct part
open_above(const struct trim *t, const struct histogram_bucket *b)
{
    if (!t->below && t->at >= b->lower)
        return (struct part){ b->count, t->at };
    return (struct part){ 0, zero_if_infinite(b->lower) };
}

static double
fraction_below(const struct histogram_bucket *b, double v, bool linear)
{
    if (linear)
        return (v - b->lower) / (b->upper - b->lower);
    double low = log2(fabs(b->lower)), high = log2(fabs(b->upper)), at = log2(fabs(v));
    return v > 0 ? (at - low) / (high - low) : 1 - ((at - high) / (low - high));
}

static struct part
split_bucket(const struct trim *t, const struct histogram_bucket *b, bool positive)
{
    if (b->lower == -INFINITY)
        return open_below(t, b);
    if (b->upper == INFINITY)
        return open_above(t, b);
    double under = t->at <= b->lower   ? 0
                   : t->at >= b->upper ? b->count
                                       : b->count * fraction_below(b, t->at, t->custom);
    if (t->below)
        return (struct part){ under, middle_of(b->lower, t->at, positive, t->custom) };
    return (struct part){ b->count - under, middle_of(t->at, b->upper, positive, t->custom) };
}

static void
trim_side(struct trim *t, const struct histogram *h, bool positive, double *counts, bool *any)
{
    struct histogram_walk w;

    histogram_walk_init(&w, h, positive);
    for (size_t i = 0; histogram_walk_next(&w); i++) {
        const struct histogram_bucket *b = &w.at;
        struct part p = { 0, 0 };

        if (b->count == 0)
            continue;
        *any = true;
        if (t->below ? b->upper <= t->at : b->lower >= t->at)
            p = (struct part){ b->count, middle_of(b->lower, b->upper, positive, t->custom) };
        else if (t->below ? b->lower < t->at : b->upper > t->at)
            p = split_bucket(t, b, positive);
        t->count += p.count;
        t->sum += p.middle * p.count;
        t->trimmed |= p.count != counts[i];
        counts[i] = p.count;
    }
}

static struct part
trim_zero(const struct trim *t, struct histogram_bucket b)
{
    double low = t->has_pos && !t->has_neg ? 0 : b.lower,
           high = t->has_neg && !t->has_pos ? 0 : b.upper;

    if (t->at <= low)
        return t->below ? (struct part){ 0, 0 } : (struct part){ b.count, (low + high) / 2 };
    if (t->at >= high)
        return t->below ? (struct part){ b.count, (low + high) / 2 } : (struct part){ 0, 0 };
    if (t->below)
        return (struct part){ b.count * ((t->at - low) / (high - low)), (low + t->at) / 2 };
    return (struct part){ b.count * ((high - t->at) / (high - low)), (t->at + high) / 2 };
}

static double *
counts_of(struct histogram_side *side, struct arena *a)
{
    double *counts = arena_alloc(a, (side->buckets_nr + 1) * sizeof *counts);

    if (side->buckets_nr > 0)
        memcpy(counts, side->counts, side->buckets_nr * sizeof *counts);
    return counts;
}

const struct histogram *
histogram_trimmed(const struct histogram *from, double at, bool below, struct arena *a)
{
    struct histogram *h = histogram_copy(from, a);
    struct trim t = { .at = at, .below = below, .custom = histogram_is_custom(h) };
    double *pos = counts_of(&h->pos, a), *neg = counts_of(&h->neg, a);

    trim_side(&t, from, true, pos, &t.has_pos);
    trim_side(&t, from, false, neg, &t.has_neg);
    h->pos.counts = pos;
    h->neg.counts = neg;
    if (h->zero_count > 0) {
        struct part p = trim_zero(&t, histogram_zero_bucket(h));

        t.trimmed |= p.count != h->zero_count;
        h->zero_count = p.count;
        t.sum += p.middle * p.count;
        t.count += p.count;
    }
    if (t.trimmed) {
        h->count = t.count;
        h->sum = t.sum;
        histogram_compact(h, 0, a);
    }
    return h;
}
