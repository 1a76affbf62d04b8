/* Range functions over series that have native histograms, alone or between floats.
 *
 * Floats and histograms are split into arrays of their own and the kernel runs over the floats;
 * then each step whose window has histograms is set right by what the function says about them: it
 * knows them, ignores them with an info, or gives nothing and warns. */
#include "promql/range_priv.h"

#include <math.h>

#include "model/histogram_math.h"
#include "promql/group_priv.h"

struct split {
    int64_t *t_ms; /* of the histograms */
    const struct histogram **h;
    uint32_t nr;
    struct sample_buf floats; /* arrays in the worker's arena */
    struct windows f, hw;     /* windows over floats and over histograms */
};

struct mixed {
    struct eval *ev;
    struct range_node *r;
    struct str name;
    struct worker *w;
    struct split s;
    struct column *out;
};

static void
split_samples(struct mixed *m, const struct sample_buf *b)
{
    struct arena *a = &m->w->arena;
    struct split *s = &m->s;

    s->t_ms = arena_alloc(a, b->nr * sizeof *s->t_ms);
    s->h = arena_alloc(a, b->nr * sizeof *s->h);
    s->floats.t_ms = arena_alloc(a, b->nr * sizeof(int64_t));
    s->floats.v = arena_alloc(a, b->nr * sizeof(double));
    for (size_t i = 0; i < b->nr; i++) {
        if (b->h[i] != NULL) {
            s->t_ms[s->nr] = b->t_ms[i];
            s->h[s->nr++] = b->h[i];
        } else {
            s->floats.t_ms[s->floats.nr] = b->t_ms[i];
            s->floats.v[s->floats.nr++] = b->v[i];
        }
    }
    s->f = range_windows(m->ev, m->r, s->floats.t_ms, s->floats.v, s->floats.nr, m->w);
    s->hw = range_windows(m->ev, m->r, s->t_ms, NULL, s->nr, m->w);
}

static void
put_float(struct mixed *m, size_t k, double v)
{
    m->out->v[k] = v;
    m->out->h[k] = NULL;
    column_mark(m->out, k);
}

static void
put_histogram(struct mixed *m, size_t k, const struct histogram *h)
{
    m->out->h[k] = h;
    column_mark(m->out, k);
}

static void
drop_point(struct mixed *m, size_t k)
{
    m->out->present[k / 64] &= ~(UINT64_C(1) << (k % 64));
}

static void
warn(struct mixed *m, const char *what)
{
    range_anno(m->ev, m->r, true, what, m->name);
}

static void
reconciled(struct mixed *m, const struct histogram_notes *notes, const char *what)
{
    if (notes->bounds_reconciled)
        anno_info(&m->ev->annos, range_at(m->r),
                  "mismatched custom buckets were reconciled during %s", what);
}

/* ---- rate, increase, delta ---- */

/* False when a sample between the first and the last is of the other kind. */
static bool
same_layout(const struct points *p, bool custom, bool counter)
{
    for (size_t i = 1; i + 1 < p->nr && counter; i++)
        if (histogram_is_custom(p->h[i]) != custom)
            return false;
    return true;
}

static int32_t
coarsest(struct mixed *m, const struct points *p, bool counter, int32_t schema)
{
    for (size_t i = 1; i + 1 < p->nr && counter; i++) {
        if (p->h[i]->hint == HINT_GAUGE)
            warn(m, NOT_COUNTER_TEXT);
        schema = MIN(schema, p->h[i]->schema);
    }
    return schema;
}

/* Adds to h what was lost by resets; prev is what the first sample counts as. */
static bool
restore_resets(struct mixed *m, const struct points *p, const struct histogram *prev,
               struct histogram *h)
{
    for (size_t i = 1; i < p->nr; i++) {
        struct histogram_notes notes = { 0 };

        if (histogram_detect_reset(p->h[i], prev)) {
            if (!histogram_add(h, prev, &notes, &m->w->arena)) {
                warn(m, SCHEMAS_TEXT);
                return false;
            }
            reconciled(m, &notes, "addition");
        }
        prev = p->h[i];
    }
    return true;
}

/* With a reset right behind it the first sample counts as empty, whatever its layout. */
static const struct histogram *
first_of(struct mixed *m, const struct points *p, bool counter)
{
    if (!counter || !histogram_detect_reset(p->h[1], p->h[0]))
        return p->h[0];
    struct histogram *empty = ARENA_NEW(&m->w->arena, struct histogram);
    empty->schema = p->h[1]->schema;
    empty->custom_values = p->h[1]->custom_values;
    empty->custom_values_nr = p->h[1]->custom_values_nr;
    return empty;
}

static struct histogram *
at_schema(struct mixed *m, const struct histogram *h, int32_t schema)
{
    struct histogram *copy = histogram_copy(h, &m->w->arena);
    struct error ignored = { 0 };

    if (schema != copy->schema)
        error_ignored(histogram_reduce(copy, schema, &m->w->arena, &ignored));
    error_clear(&ignored);
    return copy;
}

static struct histogram *
rise_of(struct mixed *m, const struct points *p, bool counter)
{
    const struct histogram *last = p->h[p->nr - 1], *prev = first_of(m, p, counter);
    struct histogram_notes notes = { 0 };
    bool custom = histogram_is_custom(prev), mixed = histogram_is_custom(last) != custom;

    if (!mixed && !same_layout(p, custom, counter)) { /* which is then all that is said */
        warn(m, SCHEMAS_TEXT);
        return NULL;
    }
    if (counter && (p->h[0]->hint == HINT_GAUGE || last->hint == HINT_GAUGE))
        warn(m, NOT_COUNTER_TEXT);
    if (mixed) {
        warn(m, SCHEMAS_TEXT);
        return NULL;
    }
    struct histogram *h =
        at_schema(m, last, coarsest(m, p, counter, MIN(last->schema, prev->schema)));
    if (!histogram_sub(h, prev, &notes, &m->w->arena)) {
        warn(m, SCHEMAS_TEXT);
        return NULL;
    }
    reconciled(m, &notes, "subtraction");
    if (counter && !restore_resets(m, p, prev, h))
        return NULL;
    if (!counter && (p->h[0]->hint != HINT_GAUGE || last->hint != HINT_GAUGE))
        warn(m, NOT_GAUGE_TEXT);
    h->hint = HINT_GAUGE;
    histogram_compact(h, 0, &m->w->arena);
    return h;
}

static double
rate_factor(const struct mixed *m, const struct points *p, size_t k, const struct histogram *rise,
            bool counter)
{
    int64_t end_ms = window_end(&m->s.hw, k);
    double to_start = (double)(p->t_ms[0] - (end_ms - m->r->range_ms)) / 1000;
    double to_end = (double)(end_ms - p->t_ms[p->nr - 1]) / 1000;
    double sampled = (double)(p->t_ms[p->nr - 1] - p->t_ms[0]) / 1000;
    double average = sampled / (double)(p->nr - 1), threshold = average * 1.1;

    if (to_start >= threshold)
        to_start = average / 2;
    if (counter && rise->count > 0 && p->h[0]->count >= 0) {
        double to_zero = sampled * (p->h[0]->count / rise->count);
        if (to_zero < to_start)
            to_start = to_zero;
    }
    if (to_end >= threshold)
        to_end = average / 2;
    return sampled == 0 ? 1 : (sampled + to_start + to_end) / sampled;
}

static void
rate_point(struct mixed *m, const struct points *p, size_t k)
{
    bool counter = m->r->fn != FN_DELTA;

    if (range_is_extended(m->r)) {
        struct extended_at at = { m->ev, m->r, m->name, &m->w->arena, window_end(&m->s.hw, k) };
        const struct histogram *rise = extended_histogram(&at, p);

        if (rise != NULL)
            put_histogram(m, k, rise);
        return;
    }

    if (p->nr < 2)
        return;
    struct histogram *h = rise_of(m, p, counter);
    if (h == NULL)
        return;
    double factor = rate_factor(m, p, k, h, counter);
    if (m->r->fn == FN_RATE)
        factor /= (double)m->r->range_ms / 1000;
    histogram_mul(h, factor);
    put_histogram(m, k, h);
}

/* ---- irate, idelta: the last two samples of any kind ---- */

struct last {
    int64_t t_ms;
    double v;
    const struct histogram *h;
};

static size_t
last_two(const struct mixed *m, size_t k, struct last two[2])
{
    const struct split *s = &m->s;
    size_t f = s->f.hi[k], h = s->hw.hi[k], nr = 0;

    while (nr < 2 && (f > s->f.lo[k] || h > s->hw.lo[k])) {
        bool take_float =
            h == s->hw.lo[k] || (f > s->f.lo[k] && s->floats.t_ms[f - 1] > s->t_ms[h - 1]);

        nr++;
        if (take_float)
            two[2 - nr] = (struct last){ s->floats.t_ms[--f], s->floats.v[f], NULL };
        else
            two[2 - nr] = (struct last){ s->t_ms[--h], 0, s->h[h] };
    }
    return nr;
}

static void
instant_histogram(struct mixed *m, const struct last two[2], size_t k, bool rate)
{
    struct arena *a = &m->w->arena;
    struct histogram *h = histogram_copy(two[1].h, a);
    struct histogram_notes notes = { 0 };
    bool gauges = two[0].h->hint == HINT_GAUGE && two[1].h->hint == HINT_GAUGE;

    if (rate && (two[0].h->hint == HINT_GAUGE || two[1].h->hint == HINT_GAUGE))
        warn(m, NOT_COUNTER_TEXT);
    if (!rate && !gauges)
        warn(m, NOT_GAUGE_TEXT);
    if (!rate || !histogram_detect_reset(two[1].h, two[0].h)) {
        if (!histogram_sub(h, two[0].h, &notes, a)) {
            warn(m, SCHEMAS_TEXT);
            return;
        }
        reconciled(m, &notes, "subtraction");
    }
    h->hint = HINT_GAUGE;
    histogram_compact(h, 0, a);
    if (rate)
        histogram_div(h, (double)(two[1].t_ms - two[0].t_ms) / 1000);
    put_histogram(m, k, h);
}

static void
instant_point(struct mixed *m, size_t k)
{
    struct last two[2];
    bool rate = m->r->fn == FN_IRATE;

    drop_point(m, k);
    if (last_two(m, k, two) < 2)
        return;
    if ((two[0].h == NULL) != (two[1].h == NULL)) {
        warn(m, MIXED_TEXT);
    } else if (two[0].h != NULL) {
        instant_histogram(m, two, k, rate);
    } else {
        double v = !rate || !(two[1].v < two[0].v) ? two[1].v - two[0].v : two[1].v;
        put_float(m, k, rate ? v / ((double)(two[1].t_ms - two[0].t_ms) / 1000) : v);
    }
}

/* ---- sums ---- */

static void
sum_point(struct mixed *m, const struct points *p, size_t k)
{
    bool avg = m->r->fn == FN_AVG_OVER_TIME;
    struct fold_histogram *f = fold_histogram_new(&m->w->arena);

    for (size_t i = 1; i < p->nr; i++)
        if (histogram_is_custom(p->h[i]) != histogram_is_custom(p->h[0])) {
            warn(m, SCHEMAS_TEXT); /* and nothing of what the sum would say on the way */
            return;
        }
    for (size_t i = 0; i < p->nr; i++)
        fold_histogram_add(m->ev, f, p->h[i], avg, range_at(m->r), m->name);
    const struct histogram *h = fold_histogram_end(m->ev, f, avg, range_at(m->r));
    if (h != NULL)
        put_histogram(m, k, h);
}

/* ---- first, last, changes, resets ---- */

static void
edge_point(struct mixed *m, size_t k, bool last, bool time)
{
    const struct split *s = &m->s;
    size_t f = last ? s->f.hi[k] - 1 : s->f.lo[k], h = last ? s->hw.hi[k] - 1 : s->hw.lo[k];
    bool has_float = s->f.hi[k] > s->f.lo[k];
    bool is_float =
        has_float && (last ? s->floats.t_ms[f] > s->t_ms[h] : s->floats.t_ms[f] < s->t_ms[h]);

    if (time)
        put_float(m, k, (double)(is_float ? s->floats.t_ms[f] : s->t_ms[h]) / 1000);
    else if (is_float)
        put_float(m, k, s->floats.v[f]);
    else
        put_histogram(m, k, s->h[h]);
}

static bool
is_event(const struct last *a, const struct last *b, bool resets)
{
    if ((a->h == NULL) != (b->h == NULL))
        return true;
    if (a->h != NULL)
        return resets ? histogram_detect_reset(b->h, a->h) : !histogram_eq(b->h, a->h);
    return resets ? b->v < a->v : b->v != a->v && !(isnan(b->v) && isnan(a->v));
}

/* Anchored: counting starts at the newest sample at or before the start of the range, of whichever
 * kind. False when nothing comes after it. */
static bool
from_anchor(const struct mixed *m, size_t k, size_t *f, size_t *h)
{
    const struct split *s = &m->s;
    int64_t start_ms = window_end(&s->hw, k) - m->r->range_ms;
    size_t fa = *f, ha = *h;

    while (fa < s->f.hi[k] && s->floats.t_ms[fa] <= start_ms)
        fa++;
    while (ha < s->hw.hi[k] && s->t_ms[ha] <= start_ms)
        ha++;
    if (fa == s->f.hi[k] && ha == s->hw.hi[k])
        return false;
    bool has_f = fa > *f, has_h = ha > *h;
    bool float_anchor = has_f && (!has_h || s->floats.t_ms[fa - 1] >= s->t_ms[ha - 1]);
    *f = float_anchor ? fa - 1 : fa;
    *h = has_h && !float_anchor ? ha - 1 : ha;
    return true;
}

static void
events_point(struct mixed *m, size_t k)
{
    const struct split *s = &m->s;
    size_t f = s->f.lo[k], h = s->hw.lo[k], nr = 0, events = 0;
    if (range_is_extended(m->r) && !from_anchor(m, k, &f, &h)) {
        drop_point(m, k);
        return;
    }
    struct last prev = { 0 }, now;

    while (f < s->f.hi[k] || h < s->hw.hi[k]) {
        bool take_float = h == s->hw.hi[k] || (f < s->f.hi[k] && s->floats.t_ms[f] < s->t_ms[h]);

        if (take_float) {
            now = (struct last){ s->floats.t_ms[f], s->floats.v[f], NULL };
            f++;
        } else {
            now = (struct last){ s->t_ms[h], 0, s->h[h] };
            h++;
        }
        events += nr++ > 0 && is_event(&prev, &now, m->r->fn == FN_RESETS);
        prev = now;
    }
    put_float(m, k, (double)events);
}

/* ---- all together ---- */

/* True when floats and histograms in one window give nothing. */
static bool
mix_forbidden(enum function_id fn)
{
    return fn == FN_RATE || fn == FN_INCREASE || fn == FN_DELTA || fn == FN_SUM_OVER_TIME ||
           fn == FN_AVG_OVER_TIME;
}

static void
mixed_step(struct mixed *m, size_t k)
{
    const struct split *s = &m->s;
    size_t floats_nr = s->f.hi[k] - s->f.lo[k];
    struct points p = { s->h + s->hw.lo[k], s->t_ms + s->hw.lo[k], s->hw.hi[k] - s->hw.lo[k] };

    if (p.nr == 0)
        return;
    if (mix_forbidden(m->r->fn)) {
        drop_point(m, k);
        if (floats_nr > 0)
            warn(m, MIXED_TEXT);
        else if (m->r->fn == FN_SUM_OVER_TIME || m->r->fn == FN_AVG_OVER_TIME)
            sum_point(m, &p, k);
        else
            rate_point(m, &p, k);
        return;
    }
    switch (m->r->fn) {
    case FN_IRATE:
    case FN_IDELTA:
        instant_point(m, k);
        break;
    case FN_COUNT_OVER_TIME:
        put_float(m, k, (double)(floats_nr + p.nr));
        break;
    case FN_PRESENT_OVER_TIME:
    case FN_ABSENT_OVER_TIME:
        put_float(m, k, 1);
        break;
    case FN_FIRST_OVER_TIME:
    case FN_LAST_OVER_TIME:
        edge_point(m, k, m->r->fn == FN_LAST_OVER_TIME, false);
        break;
    case FN_TS_OF_FIRST_OVER_TIME:
    case FN_TS_OF_LAST_OVER_TIME:
        edge_point(m, k, m->r->fn == FN_TS_OF_LAST_OVER_TIME, true);
        break;
    case FN_CHANGES:
    case FN_RESETS:
        events_point(m, k);
        break;
    default:
        if (floats_nr > 0)
            range_anno(m->ev, m->r, false,
                       "ignored histograms in a range containing both floats and histograms for "
                       "metric name",
                       m->name);
    }
}

static const uint64_t *
weights(struct worker *w, const struct sample_buf *b)
{
    uint64_t *before = arena_alloc(&w->arena, (b->nr + 1) * sizeof *before);

    before[0] = 0;
    for (size_t i = 0; i < b->nr; i++)
        before[i + 1] = before[i] + (b->h[i] == NULL ? 1 : histogram_weight(b->h[i]));
    return before;
}

bool
range_mixed(struct eval *ev, struct range_node *r, uint32_t source, struct str name,
            struct worker *w, struct sample_buf *b, struct column *out, struct error *err)
{
    struct mixed m = { .ev = ev, .r = r, .name = name, .w = w, .out = out };

    split_samples(&m, b);
    if (!range_floats(ev, r, &m.s.f, out, err))
        return false;
    for (size_t k = 0; k < out->nr; k++)
        mixed_step(&m, k);
    column_count(out);
    struct windows all = range_windows(ev, r, b->t_ms, b->v, b->nr, w);
    range_count(ev, r, source, w, &all, weights(w, b), out);
    return true;
}
