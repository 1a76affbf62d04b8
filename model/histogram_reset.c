/* Counter resets between two histograms of a series, without allocating: this runs per sample of
 * every rate(). */
#include "model/histogram_priv.h"

#include <math.h>

static bool
rest_populated(struct histogram_walk *prev)
{
    do {
        if (prev->at.count != 0)
            return true;
    } while (histogram_walk_step(prev));
    return false;
}

/* True when a bucket lost observations; walks both sides in step. */
static bool
side_lost(struct histogram_walk *cur, struct histogram_walk *prev)
{
    if (!histogram_walk_step(prev))
        return false;
    if (!histogram_walk_step(cur))
        return rest_populated(prev);
    do {
        while (cur->at.index < prev->at.index)
            if (!histogram_walk_step(cur))
                return rest_populated(prev);
        if (cur->at.index > prev->at.index ? prev->at.count != 0 : cur->at.count < prev->at.count)
            return true;
    } while (histogram_walk_step(prev));
    return false;
}

static bool
exponential_lost(const struct histogram *h, const struct histogram *previous, bool positive)
{
    struct histogram_walk cur, prev;

    histogram_walk_merged(&cur, h, positive, h->zero_threshold, h->schema);
    histogram_walk_merged(&prev, previous, positive, h->zero_threshold, h->schema);
    return side_lost(&cur, &prev);
}

/* The sum of the buckets up to a bound, each counted once over a row of calls with growing bounds.
 */
struct rollup {
    struct histogram_walk w;
    bool started, more;
};

static double
rollup_to(struct rollup *r, double bound)
{
    double sum = 0;

    if (!r->started) {
        r->started = true;
        r->more = histogram_walk_next(&r->w);
    }
    while (r->more && r->w.at.upper <= bound) {
        sum += r->w.at.count;
        r->more = histogram_walk_next(&r->w);
    }
    return sum;
}

static bool
custom_lost(const struct histogram *h, const struct histogram *previous)
{
    struct rollup cur = { 0 }, prev = { 0 };
    size_t i = 0, j = 0;

    histogram_walk_init(&cur.w, h, true);
    histogram_walk_init(&prev.w, previous, true);
    while (i <= h->custom_values_nr && j <= previous->custom_values_nr) {
        double a = i < h->custom_values_nr ? h->custom_values[i] : INFINITY;
        double b = j < previous->custom_values_nr ? previous->custom_values[j] : INFINITY;
        if (a == b) {
            double cur_sum = rollup_to(&cur, a);
            if (cur_sum < rollup_to(&prev, a))
                return true;
            i++;
            j++;
        } else if (a < b) {
            i++;
        } else {
            j++;
        }
    }
    return false;
}

/* What the zero bucket of h would hold with the larger threshold; false when that would cut a
 * populated bucket. */
static bool
zero_would_hold(const struct histogram *h, double threshold, double *count)
{
    double comp = 0;

    *count = h->zero_count;
    for (int positive = 1; positive >= 0; positive--) {
        struct histogram_walk w;
        histogram_walk_init(&w, h, positive == 1);
        while (histogram_walk_next(&w)) {
            double near = positive ? w.at.lower : -w.at.upper;
            double far = positive ? w.at.upper : -w.at.lower;
            if (near >= threshold)
                break;
            histogram_kahan(w.at.count, count, &comp);
            if (far > threshold && w.at.count != 0)
                return false;
            if (far > threshold)
                break;
        }
    }
    return true;
}

bool
histogram_detect_reset(const struct histogram *h, const struct histogram *previous)
{
    double zero_count = previous->zero_count;

    if (h->hint == HINT_RESET || h->hint == HINT_NOT_RESET)
        return h->hint == HINT_RESET;
    if (h->count < previous->count)
        return true;
    if (histogram_is_custom(h)) {
        if (!histogram_is_custom(previous))
            return true;
        if (!histogram_bounds_eq(h, previous))
            return custom_lost(h, previous);
    }
    if (h->schema > previous->schema || h->zero_threshold < previous->zero_threshold)
        return true;
    if (h->zero_threshold != previous->zero_threshold &&
        !zero_would_hold(previous, h->zero_threshold, &zero_count))
        return true;
    if (h->zero_count < zero_count)
        return true;
    return exponential_lost(h, previous, true) || exponential_lost(h, previous, false);
}
