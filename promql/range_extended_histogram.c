/* Anchored and smoothed ranges of native histograms (experimental), and smoothed instant vectors:
 * interpolation between two histograms, with a reset between them taken as a start from zero. */
#include "promql/range_priv.h"

#include "model/histogram_math.h"
#include "promql/quote.h"

struct window {
    const struct extended_at *at;
    const struct points *p;
    bool counter, smoothed;
    int64_t start_ms, end_ms;
    size_t first, last;
};

static void
warn(const struct extended_at *at, const char *what)
{
    range_anno(at->ev, at->r, true, what, at->name);
}

static void
reconciled(const struct extended_at *at, const struct histogram_notes *notes, const char *what)
{
    if (notes->bounds_reconciled)
        anno_info(&at->ev->annos, range_at(at->r),
                  "mismatched custom buckets were reconciled during %s", what);
}

static bool
add(const struct extended_at *at, struct histogram *h, const struct histogram *other)
{
    struct histogram_notes notes = { 0 };

    if (!histogram_add(h, other, &notes, at->arena)) {
        warn(at, SCHEMAS_TEXT);
        return false;
    }
    reconciled(at, &notes, "addition");
    return true;
}

static bool
sub(const struct extended_at *at, struct histogram *h, const struct histogram *other)
{
    struct histogram_notes notes = { 0 };

    if (!histogram_sub(h, other, &notes, at->arena)) {
        warn(at, SCHEMAS_TEXT);
        return false;
    }
    reconciled(at, &notes, "subtraction");
    return true;
}

/* Between samples i and i + 1. */
static struct histogram *
between(const struct window *w, size_t i, int64_t t_ms)
{
    const struct histogram *a = w->p->h[i], *b = w->p->h[i + 1];
    int64_t ta = w->p->t_ms[i], tb = w->p->t_ms[i + 1];

    if (t_ms == ta || t_ms == tb)
        return histogram_copy(t_ms == ta ? a : b, w->at->arena);
    double fraction = (double)(t_ms - ta) / (double)(tb - ta);
    struct histogram *h = histogram_copy(b, w->at->arena);
    if (w->counter && histogram_detect_reset(b, a)) {
        histogram_mul(h, fraction);
        return h;
    }
    if (!sub(w->at, h, a))
        return NULL;
    histogram_mul(h, fraction);
    return add(w->at, h, a) ? h : NULL;
}

static struct histogram *
left_of(const struct window *w)
{
    if (w->smoothed && w->p->t_ms[w->first] < w->start_ms)
        return between(w, w->first, w->start_ms);
    return histogram_copy(w->p->h[w->first], w->at->arena);
}

static struct histogram *
right_of(const struct window *w)
{
    if (w->smoothed && w->last > 0 && w->p->t_ms[w->last] > w->end_ms)
        return between(w, w->last - 1, w->end_ms);
    return histogram_copy(w->p->h[w->last], w->at->arena);
}

static bool
fits(const struct window *w)
{
    bool custom = histogram_is_custom(w->p->h[w->first]);

    for (size_t i = w->first; i <= w->last; i++) {
        if (histogram_is_custom(w->p->h[i]) != custom) {
            warn(w->at, SCHEMAS_TEXT);
            return false;
        }
        if (w->counter && w->p->h[i]->hint == HINT_GAUGE)
            warn(w->at, NOT_COUNTER_TEXT);
    }
    return true;
}

static size_t
search(const int64_t *t_ms, size_t nr, int64_t bound_ms)
{
    size_t i = 0;

    while (i < nr && t_ms[i] <= bound_ms)
        i++;
    return i;
}

static bool
find_bounds(struct window *w)
{
    size_t last = w->p->nr - 1, after = search(w->p->t_ms, last, w->start_ms);

    w->first = after == 0 ? 0 : after - 1;
    w->last = w->smoothed ? search(w->p->t_ms, last, w->end_ms - 1) : last;
    if (w->p->t_ms[w->last] <= w->start_ms)
        return false;
    return !w->smoothed || w->p->t_ms[w->first] <= w->end_ms;
}

/* Adds to `rise` what was lost by resets between the bounds. A reset that the left interpolation
 * spans is in it already. */
static bool
restore(const struct window *w, const struct histogram *left, const struct histogram *right,
        struct histogram *rise)
{
    const struct points *p = w->p;
    const struct histogram *prev = left;
    size_t first = w->first + 1;

    if (w->smoothed && p->t_ms[w->first] < w->start_ms &&
        histogram_detect_reset(p->h[w->first + 1], p->h[w->first])) {
        prev = p->h[w->first + 1];
        first++;
    }
    if (first > w->last)
        return true;
    for (size_t i = first; i < w->last; i++) {
        if (histogram_detect_reset(p->h[i], prev) && !add(w->at, rise, prev))
            return false;
        prev = p->h[i];
    }
    return !histogram_detect_reset(right, prev) || add(w->at, rise, prev);
}

const struct histogram *
extended_histogram(const struct extended_at *at, const struct points *p)
{
    struct window w = {
        .at = at, .p = p, .counter = at->r->fn != FN_DELTA, .smoothed = at->r->sel->smoothed
    };

    w.end_ms = at->end_ms;
    w.start_ms = at->end_ms - at->r->range_ms;
    if (!find_bounds(&w) || !fits(&w))
        return NULL;
    struct histogram *left = left_of(&w), *right = left == NULL ? NULL : right_of(&w);
    if (right == NULL)
        return NULL;
    if (!w.counter && (left->hint != HINT_GAUGE || right->hint != HINT_GAUGE))
        warn(at, NOT_GAUGE_TEXT);
    struct histogram *rise = histogram_copy(right, at->arena);
    if (!sub(at, rise, left) || (w.counter && !restore(&w, left, right, rise)))
        return NULL;
    if (at->r->fn == FN_RATE)
        histogram_div(rise, (double)at->r->range_ms / 1000);
    rise->hint = HINT_GAUGE;
    histogram_compact(rise, 0, at->arena);
    return rise;
}

/* ---- smoothed instant vectors ---- */

static const struct histogram *
smoothed_histogram(const struct smoothing *s, const struct points *p, int64_t t_ms)
{
    /* A stand-in for the range that annotations speak of. */
    struct range_node r = { .arg_pos = s->at.pos };
    struct extended_at at = { s->ev, &r, s->name, s->arena, t_ms };
    struct window w = { .at = &at, .p = p, .smoothed = true };
    size_t i = search(p->t_ms, p->nr, t_ms - 1);

    r.base.rank = s->at.rank;
    if (i < p->nr && p->t_ms[i] == t_ms)
        return p->h[i];
    if (i == 0)
        return NULL;
    if (i == p->nr) {
        struct histogram *h = histogram_copy(p->h[i - 1], s->arena);
        h->hint = HINT_UNKNOWN; /* it is about neighbours */
        return h;
    }
    if (histogram_is_custom(p->h[i - 1]) != histogram_is_custom(p->h[i])) {
        warn(&at, SCHEMAS_TEXT);
        return NULL;
    }
    w.counter = p->h[i - 1]->hint != HINT_GAUGE || p->h[i]->hint != HINT_GAUGE;
    return between(&w, i - 1, t_ms);
}

static bool
smoothed_float(const struct smoothing *s, size_t from, size_t to, int64_t t_ms, double *v)
{
    const int64_t *t = s->b->t_ms;
    const double *x = s->b->v;
    size_t i = from + search(t + from, to - from, t_ms - 1);

    if (i < to && t[i] == t_ms)
        *v = x[i];
    else if (i == from)
        return false;
    else if (i < to)
        *v = x[i - 1] + (x[i] - x[i - 1]) * (double)(t_ms - t[i - 1]) / (double)(t[i] - t[i - 1]);
    else
        *v = x[i - 1];
    return true;
}

void
smoothed_point(const struct smoothing *s, size_t from, size_t to, int64_t t_ms, struct column *out,
               size_t k)
{
    size_t histograms = 0;

    for (size_t i = from; s->b->h != NULL && i < to; i++)
        histograms += s->b->h[i] != NULL;
    if (histograms > 0 && histograms < to - from) {
        struct range_node r = { .arg_pos = s->at.pos };
        r.base.rank = s->at.rank;
        range_anno(s->ev, &r, true, MIXED_TEXT, s->name);
    } else if (histograms > 0) {
        struct points p = { s->b->h + from, s->b->t_ms + from, to - from };
        out->h[k] = smoothed_histogram(s, &p, t_ms);
        if (out->h[k] != NULL)
            column_mark(out, k);
    } else if (smoothed_float(s, from, to, t_ms, &out->v[k])) {
        column_mark(out, k);
    }
}
