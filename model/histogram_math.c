/* Sums, differences and counter resets of float histograms.
 *
 * Order of operations as in Prometheus: zero buckets are reconciled first (the narrower zero bucket
 * takes in ordinary buckets until both thresholds agree and cut no populated bucket), then count
 * and sum, then the buckets in the coarser of the two schemas. Histograms of one layout, which is
 * nearly all of them, are added in place. */
#include "model/histogram_priv.h"

#include <float.h>
#include <math.h>

void
histogram_kahan(double inc, double *sum, double *c)
{
    double t = *sum + inc;

    if (t > DBL_MAX || t < -DBL_MAX)
        *c = 0;
    else if (fabs(*sum) >= fabs(inc))
        *c += (*sum - t) + inc;
    else
        *c += (inc - t) + *sum;
    *sum = t;
}

/* What is being added to what: h += sign * other, c compensates or is NULL. */
struct sum {
    struct histogram *h, *c;
    const struct histogram *other;
    double sign;
    struct arena *a;
};

static void
note_reset(struct histogram *h, const struct histogram *other, struct histogram_notes *notes)
{
    if (other->hint == h->hint || h->hint == HINT_GAUGE)
        return;
    if (other->hint == HINT_GAUGE) {
        h->hint = HINT_GAUGE;
        return;
    }
    if (h->hint != HINT_UNKNOWN && other->hint != HINT_UNKNOWN)
        notes->reset_collision = true;
    h->hint = HINT_UNKNOWN;
}

/* ---- zero buckets */

/* The zero bucket of one histogram while it grows. */
struct zero {
    double count, threshold, comp;
};

/* Takes in the buckets of one side that begin inside the threshold. True when a populated bucket
 * reaches beyond it: the threshold is then that bucket's end. */
static bool
zero_take_side(struct zero *z, const struct histogram *h, const struct histogram *c, bool positive)
{
    const struct histogram_side *comp = c == NULL ? NULL : positive ? &c->pos : &c->neg;
    struct histogram_walk w;
    size_t i = 0;

    histogram_walk_init(&w, h, positive);
    for (; histogram_walk_next(&w); i++) {
        double near = positive ? w.at.lower : -w.at.upper;
        double far = positive ? w.at.upper : -w.at.lower;
        if (near >= z->threshold)
            return false;
        histogram_kahan(w.at.count, &z->count, &z->comp);
        if (comp != NULL && i < comp->buckets_nr)
            histogram_kahan(comp->counts[i], &z->count, &z->comp);
        if (far > z->threshold) {
            if (w.at.count == 0)
                return false;
            z->threshold = far;
            return true;
        }
    }
    return false;
}

/* What the zero bucket of h would hold with a threshold that is at least `threshold`. */
static struct zero
zero_grown(const struct histogram *h, const struct histogram *c, double threshold)
{
    struct zero z = { h->zero_count, threshold, c == NULL ? 0 : c->zero_count };

    if (threshold == h->zero_threshold)
        return z;
    for (;;) {
        z.count = h->zero_count;
        zero_take_side(&z, h, c, true);
        /* A negative bucket that moved the threshold makes what was taken on the positive side
         * wrong. */
        if (!zero_take_side(&z, h, c, false))
            return z;
    }
}

static void
drop_inside_zero(struct sum *s, bool positive)
{
    struct wide w = wide_of(s->h, positive, s->c, s->a);
    size_t from = 0;

    while (from < w.nr) {
        double near = histogram_bound((int64_t)w.v[from].index - 1, s->h->schema, NULL, 0);
        if (near >= s->h->zero_threshold)
            break;
        from++;
    }
    w.v += from;
    w.nr -= from;
    wide_compact(&w, 0, s->a);
    struct histogram_side *comp = s->c == NULL ? NULL : positive ? &s->c->pos : &s->c->neg;
    wide_store(&w, false, positive ? &s->h->pos : &s->h->neg, comp, s->a);
}

/* Makes both thresholds equal: h is changed, for other what its zero bucket would hold is returned.
 */
static struct zero
zero_reconcile(struct sum *s)
{
    struct histogram *h = s->h;
    struct zero z = { s->other->zero_count, s->other->zero_threshold, 0 };

    /* A NaN threshold never equals anything; it comes only from damaged input and is taken as it
     * is. */
    while (z.threshold != h->zero_threshold) {
        if (h->zero_threshold > z.threshold) {
            z = zero_grown(s->other, NULL, h->zero_threshold);
        } else if (z.threshold > h->zero_threshold) {
            struct zero grown = zero_grown(h, s->c, z.threshold);
            h->zero_count = grown.count;
            h->zero_threshold = grown.threshold;
            if (s->c != NULL) {
                s->c->zero_count = grown.comp;
                s->c->zero_threshold = grown.threshold;
            }
            drop_inside_zero(s, true);
            drop_inside_zero(s, false);
        } else {
            break;
        }
    }
    return z;
}

/* ---- buckets */

static bool
same_layout(const struct histogram_side *a, const struct histogram_side *b)
{
    return a->spans_nr == b->spans_nr && a->buckets_nr == b->buckets_nr &&
           (a->spans_nr == 0 || memcmp(a->spans, b->spans, a->spans_nr * sizeof a->spans[0]) == 0);
}

/* Buckets of other that lie within the zero bucket are part of its count already. */
static void
skip_inside_zero(const struct sum *s, struct wide *w)
{
    if (!histogram_schema_exponential(s->h->schema))
        return;
    while (w->nr > 0 &&
           histogram_bound(w->v[0].index, s->h->schema, NULL, 0) <= s->h->zero_threshold) {
        w->v++;
        w->nr--;
    }
}

static void
add_bucket(const struct sum *s, struct wide_bucket *to, const struct wide_bucket *b)
{
    if (s->c == NULL) {
        to->count += s->sign * b->count;
        return;
    }
    histogram_kahan(s->sign * b->count, &to->count, &to->comp);
    if (b->comp != 0)
        histogram_kahan(s->sign * b->comp, &to->count, &to->comp);
}

static struct wide
merge(const struct sum *s, const struct wide *x, const struct wide *y)
{
    struct wide out = { .v = arena_alloc(s->a, arena_array_bytes(x->nr + y->nr, sizeof *out.v)) };
    size_t i = 0, j = 0;

    while (i < x->nr || j < y->nr) {
        struct wide_bucket *to = &out.v[out.nr++];
        if (j == y->nr || (i < x->nr && x->v[i].index < y->v[j].index)) {
            *to = x->v[i++];
        } else if (i == x->nr || y->v[j].index < x->v[i].index) {
            *to = y->v[j++];
            to->count *= s->sign;
            to->comp *= s->sign;
        } else {
            *to = x->v[i++];
            add_bucket(s, to, &y->v[j++]);
        }
    }
    return out;
}

/* schema: the coarser of the two, which h gets when both sides are done. */
static void
add_side_general(struct sum *s, bool positive, int32_t schema)
{
    bool kahan = s->c != NULL;
    struct wide x = wide_of(s->h, positive, s->c, s->a);
    struct wide y = wide_of(s->other, positive, NULL, s->a);

    if (s->h->schema != schema)
        wide_reduce(&x, s->h->schema, schema, kahan);
    if (s->other->schema != schema)
        wide_reduce(&y, s->other->schema, schema, kahan);
    int32_t own = s->h->schema;
    s->h->schema = schema;
    skip_inside_zero(s, &y);
    s->h->schema = own;
    struct wide out = merge(s, &x, &y);
    struct histogram_side *comp = !kahan ? NULL : positive ? &s->c->pos : &s->c->neg;
    wide_store(&out, false, positive ? &s->h->pos : &s->h->neg, comp, s->a);
}

static void
add_side_in_place(struct sum *s, bool positive)
{
    const struct histogram_side *from = positive ? &s->other->pos : &s->other->neg;
    struct histogram_side *to = positive ? &s->h->pos : &s->h->neg;
    double *counts = (double *)to->counts;

    if (s->c == NULL) {
        for (size_t i = 0; i < to->buckets_nr; i++)
            counts[i] += s->sign * from->counts[i];
        return;
    }
    double *comps = (double *)(positive ? s->c->pos.counts : s->c->neg.counts);
    for (size_t i = 0; i < to->buckets_nr; i++)
        histogram_kahan(s->sign * from->counts[i], &counts[i], &comps[i]);
}

/* False when the first bucket of other lies within the zero bucket, so that skipping is needed. */
static bool
clear_of_zero(const struct sum *s, bool positive)
{
    const struct histogram_side *side = positive ? &s->other->pos : &s->other->neg;

    return side->spans_nr == 0 || !histogram_schema_exponential(s->h->schema) ||
           histogram_bound(side->spans[0].offset, s->h->schema, NULL, 0) > s->h->zero_threshold;
}

static void
add_side(struct sum *s, bool positive, int32_t schema)
{
    const struct histogram_side *x = positive ? &s->h->pos : &s->h->neg;
    const struct histogram_side *y = positive ? &s->other->pos : &s->other->neg;

    if (s->h->schema == s->other->schema && same_layout(x, y) && clear_of_zero(s, positive))
        add_side_in_place(s, positive);
    else
        add_side_general(s, positive, schema);
}

/* ---- custom buckets with different bounds */

static size_t
bounds_intersect(const struct histogram *x, const struct histogram *y, double *bounds)
{
    size_t i = 0, j = 0, nr = 0;

    while (i < x->custom_values_nr && j < y->custom_values_nr) {
        if (x->custom_values[i] == y->custom_values[j]) {
            bounds[nr++] = x->custom_values[i++];
            j++;
        } else if (x->custom_values[i] < y->custom_values[j]) {
            i++;
        } else {
            j++;
        }
    }
    return nr;
}

/* Adds the buckets of h to the ones of the common bounds; to has bounds_nr + 1 entries. */
static void
map_to_common(const struct histogram *h, const struct histogram *c, double sign,
              const double *bounds, size_t bounds_nr, struct wide_bucket *to)
{
    struct histogram_walk w;
    size_t at = 0, i = 0;

    histogram_walk_init(&w, h, true);
    for (; histogram_walk_step(&w); i++) {
        size_t target = bounds_nr;
        if (w.at.index >= 0 && (size_t)w.at.index < h->custom_values_nr) {
            while (at < bounds_nr && !(bounds[at] >= h->custom_values[w.at.index]))
                at++;
            target = at;
        }
        histogram_kahan(sign * w.at.count, &to[target].count, &to[target].comp);
        if (c != NULL && i < c->pos.buckets_nr)
            histogram_kahan(c->pos.counts[i], &to[target].count, &to[target].comp);
    }
}

static void
add_mismatched(struct sum *s)
{
    size_t room = MIN(s->h->custom_values_nr, s->other->custom_values_nr);
    double *bounds = arena_alloc(s->a, arena_array_bytes(room, sizeof *bounds));
    size_t nr = bounds_intersect(s->h, s->other, bounds);
    struct wide w = { .v = ARENA_NEW_ARRAY(s->a, struct wide_bucket, nr + 1), .nr = nr + 1 };

    for (size_t i = 0; i <= nr; i++)
        w.v[i].index = (int32_t)i;
    map_to_common(s->h, s->c, 1, bounds, nr, w.v);
    map_to_common(s->other, NULL, s->sign, bounds, nr, w.v);
    wide_compact(&w, 0, s->a);
    wide_store(&w, false, &s->h->pos, s->c == NULL ? NULL : &s->c->pos, s->a);
    s->h->custom_values = nr == 0 ? NULL : bounds;
    s->h->custom_values_nr = nr;
    if (s->c != NULL) {
        s->c->custom_values = s->h->custom_values;
        s->c->custom_values_nr = nr;
    }
}

/* ---- the calls */

static void
add_totals(struct sum *s)
{
    struct histogram *h = s->h, *c = s->c;
    struct zero z = { 0 };

    if (!histogram_is_custom(h))
        z = zero_reconcile(s);
    if (c == NULL) {
        h->zero_count += s->sign * z.count;
        h->count += s->sign * s->other->count;
        h->sum += s->sign * s->other->sum;
        return;
    }
    if (!histogram_is_custom(h)) {
        histogram_kahan(z.count, &h->zero_count, &c->zero_count);
        histogram_kahan(z.comp, &h->zero_count, &c->zero_count);
    }
    histogram_kahan(s->other->count, &h->count, &c->count);
    histogram_kahan(s->other->sum, &h->sum, &c->sum);
}

static bool
sum_run(struct sum *s, struct histogram_notes *notes)
{
    struct histogram *h = s->h;

    note_reset(h, s->other, notes);
    add_totals(s);
    if (histogram_is_custom(h)) {
        if (histogram_bounds_eq(h, s->other)) {
            add_side(s, true, h->schema);
        } else {
            notes->bounds_reconciled = true;
            add_mismatched(s);
        }
        return true;
    }
    int32_t schema = MIN(h->schema, s->other->schema);
    add_side(s, true, schema);
    add_side(s, false, schema);
    h->schema = schema;
    if (s->c != NULL) {
        s->c->schema = schema;
        s->c->zero_threshold = h->zero_threshold;
    }
    return true;
}

/* The layout of h with nothing in it. */
static struct histogram *
compensation_new(const struct histogram *h, struct arena *a)
{
    struct histogram *c = histogram_copy(h, a);

    c->count = c->sum = c->zero_count = 0;
    c->pos.counts = ARENA_NEW_ARRAY(a, double, c->pos.buckets_nr);
    c->neg.counts = ARENA_NEW_ARRAY(a, double, c->neg.buckets_nr);
    return c;
}

static bool
sum_start(struct histogram *h, struct histogram **c, const struct histogram *other, double sign,
          struct histogram_notes *notes, struct arena *a)
{
    if (histogram_is_custom(h) != histogram_is_custom(other))
        return false;
    if (other->is_int)
        other = histogram_to_float(other, a);
    if (c != NULL && *c == NULL)
        *c = compensation_new(h, a);
    struct sum s = { .h = h, .c = c == NULL ? NULL : *c, .other = other, .sign = sign, .a = a };
    return sum_run(&s, notes);
}

bool
histogram_add(struct histogram *h, const struct histogram *other, struct histogram_notes *notes,
              struct arena *a)
{
    return sum_start(h, NULL, other, 1, notes, a);
}

bool
histogram_sub(struct histogram *h, const struct histogram *other, struct histogram_notes *notes,
              struct arena *a)
{
    return sum_start(h, NULL, other, -1, notes, a);
}

bool
histogram_kahan_add(struct histogram *h, struct histogram **c, const struct histogram *other,
                    struct histogram_notes *notes, struct arena *a)
{
    return sum_start(h, c, other, 1, notes, a);
}

static void
scale_side(struct histogram_side *side, double by, bool divide)
{
    double *counts = (double *)side->counts;

    for (size_t i = 0; i < side->buckets_nr; i++)
        counts[i] = divide ? counts[i] / by : counts[i] * by;
}

void
histogram_mul(struct histogram *h, double by)
{
    h->zero_count *= by;
    h->count *= by;
    h->sum *= by;
    scale_side(&h->pos, by, false);
    scale_side(&h->neg, by, false);
    if (by < 0)
        h->hint = HINT_GAUGE;
}

void
histogram_div(struct histogram *h, double by)
{
    h->zero_count /= by;
    h->count /= by;
    h->sum /= by;
    if (by == 0) {
        h->pos = h->neg = (struct histogram_side){ 0 };
        return;
    }
    scale_side(&h->pos, by, true);
    scale_side(&h->neg, by, true);
    if (by < 0)
        h->hint = HINT_GAUGE;
}
