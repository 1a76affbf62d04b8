/* rate, increase, delta (extrapolated, anchored, smoothed); irate, idelta. */
#include "oracle_priv.h"

void
warn_mixed_schemas(struct oracle *o, const struct expr *at, struct str name)
{
    oracle_warn(
        o, at,
        "vector contains a mix of histograms with exponential and custom buckets schemas for "
        "metric name \"%.*s\"",
        STR_ARG(name));
}

static void
reconciled(struct oracle *o, const struct expr *at, const char *what)
{
    oracle_info(o, at, "mismatched custom buckets were reconciled during %s", what);
}

bool
window_add(struct window *w, struct histogram *to, const struct histogram *h)
{
    struct histogram_notes notes = { 0 };

    if (!histogram_add(to, h, &notes, w->o->arena)) {
        warn_mixed_schemas(w->o, w->arg, w->name);
        return false;
    }
    if (notes.bounds_reconciled)
        reconciled(w->o, w->arg, "addition");
    return true;
}

bool
window_sub(struct window *w, struct histogram *to, const struct histogram *h)
{
    struct histogram_notes notes = { 0 };

    if (!histogram_sub(to, h, &notes, w->o->arena)) {
        warn_mixed_schemas(w->o, w->arg, w->name);
        return false;
    }
    if (notes.bounds_reconciled)
        reconciled(w->o, w->arg, "subtraction");
    return true;
}

static void
warn_kind(struct window *w, const char *kind)
{
    oracle_warn(w->o, w->arg, "this native histogram metric is not a %s: \"%.*s\"", kind,
                STR_ARG(w->name));
}

static void
warn_mixed(struct window *w)
{
    oracle_warn(w->o, w->arg, "encountered a mix of histograms and floats for metric name \"%.*s\"",
                STR_ARG(w->name));
}

/* ---- anchored, smoothed ---- */

double
between_points(struct fpoint a, struct fpoint b, int64_t t_ms, bool counter)
{
    double y1 = counter && b.v < a.v ? 0 : a.v;

    return y1 + (b.v - y1) * (double)(t_ms - a.t_ms) / (double)(b.t_ms - a.t_ms);
}

struct histogram *
between_histograms(struct oracle *o, const struct expr *at, const struct hpoint *a,
                   const struct hpoint *b, int64_t t_ms, bool counter)
{
    struct histogram *out = histogram_copy(t_ms == a->t_ms ? a->h : b->h, o->arena);
    struct histogram_notes notes = { 0 };
    double fraction = (double)(t_ms - a->t_ms) / (double)(b->t_ms - a->t_ms);

    if (t_ms == a->t_ms || t_ms == b->t_ms)
        return out;
    if (counter && histogram_detect_reset(b->h, a->h)) {
        histogram_mul(out, fraction);
        return out;
    }
    if (!histogram_sub(out, a->h, &notes, o->arena))
        return NULL;
    if (notes.bounds_reconciled)
        reconciled(o, at, "subtraction");
    histogram_mul(out, fraction);
    notes = (struct histogram_notes){ 0 };
    if (!histogram_add(out, a->h, &notes, o->arena))
        return NULL;
    if (notes.bounds_reconciled)
        reconciled(o, at, "addition");
    return out;
}

/* sort.Search over times: the first i in [0, n) whose time is > t (or >= t), else n. */
#define FIRST(points, n, op, t)                          \
    __extension__({                                      \
        long at_ = 0;                                    \
        while (at_ < (n) && !((points)[at_].t_ms op(t))) \
            at_++;                                       \
        at_;                                             \
    })

static double
corrections(double left, double right, const struct fpoint *p, long nr)
{
    double sum = 0, prev = left;

    for (long i = 0; i < nr; i++) {
        if (p[i].v < prev)
            sum += prev;
        prev = p[i].v;
    }
    return right < prev ? sum + prev : sum;
}

static bool
extended_floats(struct window *w, bool counter, bool rate, double *v)
{
    const struct fpoint *f = w->f;
    int64_t from = w->t_ms - w->range_ms - w->offset_ms, to = w->t_ms - w->offset_ms;
    long last = (long)w->f_nr - 1, first = MAX(0L, FIRST(f, last, >, from) - 1);

    if (w->smoothed)
        last = FIRST(f, last, >=, to);
    if (f[last].t_ms <= from || (w->smoothed && f[first].t_ms > to))
        return false;
    double left = w->smoothed && f[first].t_ms < from
                      ? between_points(f[first], f[first + 1], from, counter)
                      : f[first].v;
    double right = w->smoothed && last > 0 && f[last].t_ms > to
                       ? between_points(f[last - 1], f[last], to, counter)
                       : f[last].v;
    *v = right - left;
    if (counter) {
        first += f[first].t_ms <= from;
        last -= f[last].t_ms >= to;
        *v += corrections(left, right, f + first, last - first + 1);
    }
    if (rate)
        *v /= (double)w->range_ms / 1000;
    return true;
}

static bool
one_kind_of_schema(struct window *w, long first, long last, bool counter)
{
    for (long i = first; i <= last; i++) {
        if (histogram_is_custom(w->h[i].h) != histogram_is_custom(w->h[first].h)) {
            warn_mixed_schemas(w->o, w->arg, w->name);
            return false;
        }
        if (counter && w->h[i].h->hint == HINT_GAUGE)
            warn_kind(w, "counter");
    }
    return true;
}

static bool
correct(struct window *w, struct histogram **sum, const struct histogram *h)
{
    if (*sum != NULL)
        return window_add(w, *sum, h);
    *sum = histogram_copy(h, w->o->arena);
    return true;
}

static bool
histogram_corrections(struct window *w, long first_index, long last_index,
                      const struct histogram *left, const struct histogram *right, int64_t from,
                      struct histogram **sum)
{
    long first = first_index + 1, last = last_index - 1;
    const struct histogram *prev = left;

    if (w->smoothed && w->h[first_index].t_ms < from &&
        histogram_detect_reset(w->h[first_index + 1].h, w->h[first_index].h)) {
        prev = w->h[first_index + 1].h;
        first++;
    }
    if (first > last + 1)
        return true;
    for (long i = first; i <= last; i++) {
        if (histogram_detect_reset(w->h[i].h, prev) && !correct(w, sum, prev))
            return false;
        prev = w->h[i].h;
    }
    return !histogram_detect_reset(right, prev) || correct(w, sum, prev);
}

static bool
extended_histograms(struct window *w, bool counter, bool rate, struct histogram **out)
{
    const struct hpoint *h = w->h;
    int64_t from = w->t_ms - w->range_ms - w->offset_ms, to = w->t_ms - w->offset_ms;
    long last = (long)w->h_nr - 1, first = MAX(0L, FIRST(h, last, >, from) - 1);
    struct histogram *left, *right, *sum = NULL;

    if (w->smoothed)
        last = FIRST(h, last, >=, to);
    if (h[last].t_ms <= from || (w->smoothed && h[first].t_ms > to))
        return false;
    if (!one_kind_of_schema(w, first, last, counter))
        return false;
    left = w->smoothed && h[first].t_ms < from
               ? between_histograms(w->o, w->arg, &h[first], &h[first + 1], from, counter)
               : histogram_copy(h[first].h, w->o->arena);
    right = left == NULL ? NULL
            : w->smoothed && last > 0 && h[last].t_ms > to
                ? between_histograms(w->o, w->arg, &h[last - 1], &h[last], to, counter)
                : histogram_copy(h[last].h, w->o->arena);
    if (right == NULL) {
        warn_mixed_schemas(w->o, w->arg, w->name);
        return false;
    }
    if (!counter && (left->hint != HINT_GAUGE || right->hint != HINT_GAUGE))
        warn_kind(w, "gauge");
    *out = histogram_copy(right, w->o->arena);
    if (!window_sub(w, *out, left))
        return false;
    if (counter && (!histogram_corrections(w, first, last, left, right, from, &sum) ||
                    (sum != NULL && !window_add(w, *out, sum))))
        return false;
    if (rate)
        histogram_div(*out, (double)w->range_ms / 1000);
    (*out)->hint = HINT_GAUGE;
    histogram_compact(*out, 0, w->o->arena);
    return true;
}

/* ---- extrapolated ---- */

static bool
all_of_schema(struct window *w, bool custom, bool counter, int32_t *schema)
{
    for (size_t i = 1; counter && i + 1 < w->h_nr; i++) {
        const struct histogram *h = w->h[i].h;

        if (h->hint == HINT_GAUGE)
            warn_kind(w, "counter");
        *schema = MIN(*schema, h->schema);
        if (histogram_is_custom(h) != custom)
            return false;
    }
    return true;
}

/* The increase from the first to the last histogram, with resets made good. */
static struct histogram *
histogram_increase(struct window *w, bool counter)
{
    struct arena *a = w->o->arena;
    const struct histogram *prev = w->h[0].h, *last = w->h[w->h_nr - 1].h, *second = w->h[1].h;
    struct histogram *empty = ARENA_NEW(a, struct histogram);
    struct error err = { 0 };
    size_t notes_nr;

    notes_nr = w->o->notes_nr;
    if (counter && (prev->hint == HINT_GAUGE || last->hint == HINT_GAUGE))
        warn_kind(w, "counter");
    if (counter && histogram_detect_reset(second, prev)) {
        *empty = (struct histogram){ .schema = second->schema,
                                     .custom_values = second->custom_values,
                                     .custom_values_nr = second->custom_values_nr };
        prev = empty;
    }
    int32_t schema = MIN(last->schema, prev->schema);
    if (histogram_is_custom(last) != histogram_is_custom(prev)) {
        warn_mixed_schemas(w->o, w->arg, w->name);
        return NULL;
    }
    if (!all_of_schema(w, histogram_is_custom(prev), counter, &schema)) {
        w->o->notes_nr = notes_nr; /* what was said before is forgotten, as in Prometheus */
        warn_mixed_schemas(w->o, w->arg, w->name);
        return NULL;
    }
    struct histogram *h = histogram_copy(last, a);
    if (schema != h->schema && !histogram_reduce(h, schema, a, &err))
        error_clear(&err);
    if (!window_sub(w, h, prev))
        return NULL;
    for (size_t i = 1; counter && i < w->h_nr; i++) {
        if (histogram_detect_reset(w->h[i].h, prev) && !window_add(w, h, prev))
            return NULL;
        prev = w->h[i].h;
    }
    if (!counter && (w->h[0].h->hint != HINT_GAUGE || last->hint != HINT_GAUGE))
        warn_kind(w, "gauge");
    h->hint = HINT_GAUGE;
    histogram_compact(h, 0, a);
    return h;
}

static double
float_increase(const struct window *w, bool counter)
{
    double v = w->f[w->f_nr - 1].v - w->f[0].v;

    for (size_t i = 1; counter && i < w->f_nr; i++)
        if (w->f[i].v < w->f[i - 1].v)
            v += w->f[i - 1].v;
    return v;
}

/* How far a counter could reach back before it was zero. */
static double
seconds_to_zero(double first, double increase, double sampled, double to_start)
{
    return increase > 0 && first >= 0 ? sampled * (first / increase) : to_start;
}

static double
extrapolation(const struct window *w, bool counter, int64_t first_ms, int64_t last_ms, size_t nr,
              double first, double increase)
{
    double to_start = (double)(first_ms - (w->t_ms - w->range_ms - w->offset_ms)) / 1000;
    double to_end = (double)(w->t_ms - w->offset_ms - last_ms) / 1000;
    double sampled = (double)(last_ms - first_ms) / 1000;
    double average = sampled / (double)(nr - 1), threshold = average * 1.1;

    if (to_start >= threshold)
        to_start = average / 2;
    if (counter) {
        double to_zero = seconds_to_zero(first, increase, sampled, to_start);
        to_start = to_zero < to_start ? to_zero : to_start;
    }
    if (to_end >= threshold)
        to_end = average / 2;
    return sampled != 0 ? (sampled + to_start + to_end) / sampled : 1;
}

bool
rate_function(struct window *w, bool counter, bool rate, double *v, struct histogram **h)
{
    double factor;

    if (w->f_nr > 0 && w->h_nr > 0) {
        warn_mixed(w);
        return false;
    }
    if (w->anchored || w->smoothed)
        return w->h_nr > 0 ? extended_histograms(w, counter, rate, h)
                           : extended_floats(w, counter, rate, v);
    if (w->f_nr + w->h_nr < 2)
        return false;
    if (w->h_nr > 0) {
        *h = histogram_increase(w, counter);
        if (*h == NULL)
            return false;
        factor = extrapolation(w, counter, w->h[0].t_ms, w->h[w->h_nr - 1].t_ms, w->h_nr,
                               w->h[0].h->count, (*h)->count);
    } else {
        *v = float_increase(w, counter);
        factor =
            extrapolation(w, counter, w->f[0].t_ms, w->f[w->f_nr - 1].t_ms, w->f_nr, w->f[0].v, *v);
    }
    if (rate)
        factor /= (double)w->range_ms / 1000;
    if (*h != NULL)
        histogram_mul(*h, factor);
    else
        *v *= factor;
    return true;
}

/* ---- the last two samples ---- */

struct either {
    int64_t t_ms;
    double v;
    const struct histogram *h;
};

/* The last two of both kinds, in order of time. */
static void
last_two(const struct window *w, struct either two[2])
{
    size_t f = w->f_nr, h = w->h_nr;

    for (int i = 1; i >= 0; i--) {
        if (h == 0 || (f > 0 && w->f[f - 1].t_ms > w->h[h - 1].t_ms)) {
            f--;
            two[i] = (struct either){ w->f[f].t_ms, w->f[f].v, NULL };
        } else {
            h--;
            two[i] = (struct either){ w->h[h].t_ms, 0, w->h[h].h };
        }
    }
}

static bool
histogram_step(struct window *w, const struct either two[2], bool rate, struct histogram **out)
{
    struct histogram *h = histogram_copy(two[1].h, w->o->arena);
    bool gauges = two[0].h->hint == HINT_GAUGE && two[1].h->hint == HINT_GAUGE,
         gauge = two[0].h->hint == HINT_GAUGE || two[1].h->hint == HINT_GAUGE;

    if (rate && gauge)
        warn_kind(w, "counter");
    if (!rate && !gauges)
        warn_kind(w, "gauge");
    if ((!rate || !histogram_detect_reset(two[1].h, two[0].h)) && !window_sub(w, h, two[0].h))
        return false;
    h->hint = HINT_GAUGE;
    histogram_compact(h, 0, w->o->arena);
    *out = h;
    return true;
}

bool
last_two_function(struct window *w, bool rate, double *v, struct histogram **h)
{
    struct either two[2];

    if (w->f_nr + w->h_nr < 2)
        return false;
    last_two(w, two);
    double seconds = (double)(two[1].t_ms - two[0].t_ms) / 1000;
    if (seconds == 0)
        return false;
    if ((two[0].h == NULL) != (two[1].h == NULL)) {
        warn_mixed(w);
        return false;
    }
    if (two[0].h != NULL) {
        if (!histogram_step(w, two, rate, h))
            return false;
        if (rate)
            histogram_div(*h, seconds);
        return true;
    }
    *v = rate && two[1].v < two[0].v ? two[1].v : two[1].v - two[0].v;
    if (rate)
        *v /= seconds;
    return true;
}
