/* Anchored and smoothed ranges (experimental): samples outside the range stand in at its bounds, as
 * they are (anchored) or interpolated (smoothed). Windows reach one lookback further on the left,
 * smoothed ones on the right as well. */
#include "promql/range_priv.h"

#include <math.h>

struct extended {
    const struct windows *w;
    const struct range_node *r;
    bool counter;
    int64_t start_ms, end_ms;
    size_t lo, n; /* the window */
    size_t first, last;
};

static const int64_t *
times(const struct extended *x)
{
    return x->w->t_ms + x->lo;
}

static const double *
values(const struct extended *x)
{
    return x->w->v + x->lo;
}

/* sort.Search over [0, nr): the first i with t[i] > bound (or >= bound). */
static size_t
search(const int64_t *t_ms, size_t nr, int64_t bound_ms)
{
    size_t i = 0;

    while (i < nr && t_ms[i] <= bound_ms)
        i++;
    return i;
}

static double
interpolate(const struct extended *x, size_t a, int64_t at_ms)
{
    double y1 = values(x)[a], y2 = values(x)[a + 1];

    if (x->counter && y2 < y1)
        y1 = 0;
    return y1 + (y2 - y1) * (double)(at_ms - times(x)[a]) / (double)(times(x)[a + 1] - times(x)[a]);
}

static double
left_value(const struct extended *x)
{
    if (x->r->sel->smoothed && times(x)[x->first] < x->start_ms)
        return interpolate(x, x->first, x->start_ms);
    return values(x)[x->first];
}

static double
right_value(const struct extended *x)
{
    if (x->r->sel->smoothed && x->last > 0 && times(x)[x->last] > x->end_ms)
        return interpolate(x, x->last - 1, x->end_ms);
    return values(x)[x->last];
}

static double
lost_by_resets(const struct extended *x, double left, double right)
{
    size_t from = x->first + (times(x)[x->first] <= x->start_ms);
    size_t to = x->last + 1 - (times(x)[x->last] >= x->end_ms);
    double lost = 0, prev = left;

    for (size_t i = from; i < to; i++) {
        if (values(x)[i] < prev)
            lost += prev;
        prev = values(x)[i];
    }
    return right < prev ? lost + prev : lost;
}

static bool
find_bounds(struct extended *x)
{
    size_t last = x->n - 1, after = search(times(x), last, x->start_ms);

    x->first = after == 0 ? 0 : after - 1;
    x->last = x->r->sel->smoothed ? search(times(x), last, x->end_ms - 1) : last;
    if (times(x)[x->last] <= x->start_ms)
        return false;
    return !x->r->sel->smoothed || times(x)[x->first] <= x->end_ms;
}

static void
extended_rate(struct extended *x, size_t k, struct column *out)
{
    if (!find_bounds(x))
        return;
    double left = left_value(x), right = right_value(x), v = right - left;

    if (x->counter)
        v += lost_by_resets(x, left, right);
    if (x->r->fn == FN_RATE)
        v /= (double)x->r->range_ms / 1000;
    out->v[k] = v;
    column_mark(out, k);
}

/* changes and resets count from the newest sample at or before the start. */
static void
extended_events(struct extended *x, size_t k, struct column *out)
{
    size_t after = search(times(x), x->n, x->start_ms), events = 0;
    const double *v = values(x);

    if (after == x->n)
        return;
    for (size_t i = MAX(after, (size_t)1); i < x->n; i++)
        events += x->r->fn == FN_RESETS ? v[i] < v[i - 1]
                                        : v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
    out->v[k] = (double)events;
    column_mark(out, k);
}

void
range_extended(const struct range_node *r, const struct windows *w, struct column *out)
{
    for (size_t k = 0; k < w->nr; k++) {
        struct extended x = { .w = w, .r = r, .lo = w->lo[k], .n = w->hi[k] - w->lo[k] };

        if (x.n == 0)
            continue;
        x.end_ms = window_end(w, k);
        x.start_ms = x.end_ms - r->range_ms;
        x.counter = r->fn == FN_RATE || r->fn == FN_INCREASE;
        if (r->fn == FN_RESETS || r->fn == FN_CHANGES)
            extended_events(&x, k, out);
        else
            extended_rate(&x, k, out);
    }
}

void
range_extend_raw(const struct range_node *r, struct sample_buf *b, int64_t start_ms, int64_t end_ms)
{
    struct windows w = { .t_ms = b->t_ms, .v = b->v, .samples_nr = b->nr };
    struct extended x = { .w = &w, .r = r, .start_ms = start_ms, .end_ms = end_ms, .n = b->nr };

    if (b->nr == 0)
        return;
    size_t last = x.n - 1, after = search(x.w->t_ms, last, start_ms);
    x.first = after == 0 ? 0 : after - 1;
    x.last = r->sel->smoothed ? search(x.w->t_ms, last, end_ms - 1) : last;
    if (b->t_ms[x.last] <= start_ms) {
        b->nr = 0;
        return;
    }
    double left = left_value(&x), right = right_value(&x);
    size_t from = x.first + (b->t_ms[x.first] <= start_ms),
           to = x.last + 1 - (b->t_ms[x.last] >= end_ms);
    size_t nr = to > from ? to - from : 0;

    sample_buf_reserve(b, 2);
    memmove(b->t_ms + 1, b->t_ms + from, nr * sizeof *b->t_ms);
    memmove(b->v + 1, b->v + from, nr * sizeof *b->v);
    b->t_ms[0] = start_ms;
    b->v[0] = left;
    b->t_ms[nr + 1] = end_ms;
    b->v[nr + 1] = right;
    b->nr = nr + 2;
}
