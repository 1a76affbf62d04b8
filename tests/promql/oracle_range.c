/* Functions over a range: the windows, and one function of a window each. */
#include "oracle_priv.h"

#include <stdlib.h>

void
kahan(double inc, double *sum, double *c)
{
    double t = *sum + inc;

    if (isinf(t))
        *c = 0;
    else if (fabs(*sum) >= fabs(inc))
        *c += (*sum - t) + inc;
    else
        *c += (inc - t) + *sum;
    *sum = t;
}

struct histogram *
histogram_mean(struct arena *a, struct histogram *sum, struct histogram *c, double nr)
{
    struct histogram_notes notes = { 0 };

    histogram_div(sum, nr);
    if (c != NULL) {
        histogram_div(c, nr);
        if (!histogram_add(sum, c, &notes, a))
            return sum;
    }
    return sum;
}

/* ---- floats ---- */

static double
sum_floats(const struct window *w)
{
    double sum = 0, c = 0;

    for (size_t i = 0; i < w->f_nr; i++)
        kahan(w->f[i].v, &sum, &c);
    return isinf(sum) ? sum : sum + c;
}

static double
avg_floats(const struct window *w)
{
    double sum = w->f[0].v, c = 0, mean = 0, nr = 1;
    bool incremental = false;

    for (size_t i = 1; i < w->f_nr; i++) {
        nr = (double)(i + 1);
        if (!incremental) {
            double sum2 = sum, c2 = c;

            kahan(w->f[i].v, &sum2, &c2);
            if (!isinf(sum2)) {
                sum = sum2;
                c = c2;
                continue;
            }
            incremental = true;
            mean = sum / (nr - 1);
            c /= nr - 1;
        }
        double q = (nr - 1) / nr;
        mean *= q;
        c *= q;
        kahan(w->f[i].v / nr, &mean, &c);
    }
    return incremental ? mean + c : sum / nr + c / nr;
}

static double
variance_floats(const struct window *w)
{
    double nr = 0, mean = 0, c_mean = 0, aux = 0, c_aux = 0;

    for (size_t i = 0; i < w->f_nr; i++) {
        double delta = w->f[i].v - (mean + c_mean);

        nr++;
        kahan(delta / nr, &mean, &c_mean);
        kahan(delta * (w->f[i].v - (mean + c_mean)), &aux, &c_aux);
    }
    return (aux + c_aux) / nr;
}

static double
extreme(const struct window *w, bool max, bool or_equal, bool time)
{
    struct fpoint best = w->f[0];

    for (size_t i = 0; i < w->f_nr; i++) {
        double v = w->f[i].v;

        if ((max ? v > best.v : v < best.v) || (or_equal && v == best.v) || isnan(best.v))
            best = w->f[i];
    }
    return time ? (double)best.t_ms / 1000 : best.v;
}

static double *
values_of(const struct window *w)
{
    double *v = ARENA_NEW_ARRAY(w->o->arena, double, w->f_nr + 1);

    for (size_t i = 0; i < w->f_nr; i++)
        v[i] = w->f[i].v;
    return v;
}

static double
mad_floats(const struct window *w)
{
    double *v = values_of(w);

    for (size_t i = 0; i < w->f_nr; i++)
        if (isnan(v[i]))
            return NAN;
    double median = quantile_of(0.5, v, w->f_nr);
    for (size_t i = 0; i < w->f_nr; i++)
        v[i] = fabs(v[i] - median);
    return quantile_of(0.5, v, w->f_nr);
}

static void
regression(const struct window *w, int64_t zero_ms, double *slope, double *intercept)
{
    double nr = (double)w->f_nr, x = 0, cx = 0, y = 0, cy = 0, xy = 0, cxy = 0, xx = 0, cxx = 0;
    bool constant = true;

    for (size_t i = 0; i < w->f_nr; i++) {
        double t = (double)(w->f[i].t_ms - zero_ms) / 1e3, v = w->f[i].v;

        constant = constant && !(i > 0 && v != w->f[0].v);
        kahan(t, &x, &cx);
        kahan(v, &y, &cy);
        kahan(t * v, &xy, &cxy);
        kahan(t * t, &xx, &cxx);
    }
    if (constant) {
        *slope = isinf(w->f[0].v) ? NAN : 0;
        *intercept = isinf(w->f[0].v) ? NAN : w->f[0].v;
        return;
    }
    x += cx;
    y += cy;
    xy += cxy;
    xx += cxx;
    *slope = (xy - x * y / nr) / (xx - x * x / nr);
    *intercept = y / nr - *slope * x / nr;
}

static double
smoothing(const struct window *w)
{
    double sf = w->params[0], tf = w->params[1], s0 = 0, s1 = w->f[0].v;
    double trend = w->f[1].v - w->f[0].v;

    for (size_t i = 1; i < w->f_nr; i++) {
        double x = sf * w->f[i].v;

        if (i > 1)
            trend = tf * (s1 - s0) + (1 - tf) * trend;
        double y = (1 - sf) * (s1 + trend);
        s0 = s1;
        s1 = x + y;
    }
    return s1;
}

static void
check_factors(const struct window *w)
{
    if (w->params[0] <= 0 || w->params[0] >= 1)
        oracle_fail(w->o, "invalid smoothing factor. Expected: 0 < sf < 1, got: %f", w->params[0]);
    if (w->params[1] <= 0 || w->params[1] >= 1)
        oracle_fail(w->o, "invalid trend factor. Expected: 0 < tf < 1, got: %f", w->params[1]);
}

/* ---- histograms ---- */

static void
tell_aggregation(struct window *w, const struct histogram_notes *notes, bool reset, bool not_reset)
{
    if (reset && not_reset)
        oracle_warn(w->o, w->arg, "conflicting counter resets during histogram aggregation");
    if (notes->bounds_reconciled)
        oracle_info(w->o, w->arg, "mismatched custom buckets were reconciled during aggregation");
}

static bool
mixes(const struct window *w)
{
    for (size_t i = 1; i < w->h_nr; i++)
        if (histogram_is_custom(w->h[i].h) != histogram_is_custom(w->h[0].h))
            return true;
    return false;
}

/* Overflow makes Prometheus go on with an incremental mean. */
static struct histogram *
add_histograms(struct window *w, bool avg, struct histogram_notes *notes)
{
    struct arena *a = w->o->arena;
    struct histogram *sum = histogram_copy(w->h[0].h, a), *c = NULL;
    bool incremental = false;

    for (size_t i = 1; i < w->h_nr; i++) {
        double nr = (double)(i + 1);

        if (!incremental) {
            struct histogram *sum2 = histogram_copy(sum, a);
            struct histogram *c2 = c == NULL ? NULL : histogram_copy(c, a);

            if (!histogram_kahan_add(sum2, &c2, w->h[i].h, notes, a))
                return NULL;
            if (!avg || !histogram_has_overflow(sum2)) {
                sum = sum2;
                c = c2;
                continue;
            }
            incremental = true;
            histogram_div(sum, nr - 1);
            if (c != NULL)
                histogram_div(c, nr - 1);
        }
        struct histogram *more = histogram_copy(w->h[i].h, a);
        histogram_mul(sum, (nr - 1) / nr);
        if (c != NULL)
            histogram_mul(c, (nr - 1) / nr);
        histogram_div(more, nr);
        if (!histogram_kahan_add(sum, &c, more, notes, a))
            return NULL;
    }
    return histogram_mean(a, sum, c, avg && !incremental ? (double)w->h_nr : 1);
}

static bool
sum_or_avg(struct window *w, bool avg, double *v, struct histogram **h)
{
    struct histogram_notes notes = { 0 };
    bool reset = false, not_reset = false;

    if (w->f_nr > 0 && w->h_nr > 0) {
        oracle_warn(w->o, w->arg,
                    "encountered a mix of histograms and floats for metric name \"%.*s\"",
                    STR_ARG(w->name));
        return false;
    }
    if (w->h_nr == 0) {
        *v = avg ? avg_floats(w) : sum_floats(w);
        return true;
    }
    if (mixes(w)) {
        warn_mixed_schemas(w->o, w->arg, w->name);
        return false;
    }
    for (size_t i = 0; i < w->h_nr; i++) {
        reset = reset || w->h[i].h->hint == HINT_RESET;
        not_reset = not_reset || w->h[i].h->hint == HINT_NOT_RESET;
    }
    *h = add_histograms(w, avg, &notes);
    tell_aggregation(w, &notes, reset, not_reset);
    return *h != NULL;
}

/* ---- both ---- */

static bool
edge(const struct window *w, bool last, bool time, double *v, struct histogram **h)
{
    const struct fpoint *f = w->f_nr == 0 ? NULL : last ? &w->f[w->f_nr - 1] : &w->f[0];
    const struct hpoint *p = w->h_nr == 0 ? NULL : last ? &w->h[w->h_nr - 1] : &w->h[0];
    bool is_float = p == NULL || (f != NULL && (last ? p->t_ms < f->t_ms : f->t_ms < p->t_ms));

    if (time)
        *v = (double)(is_float ? f->t_ms : p->t_ms) / 1000;
    else if (is_float)
        *v = f->v;
    else
        *h = histogram_copy(p->h, w->o->arena);
    return true;
}

struct step_pair {
    const struct fpoint *f; /* one of them */
    const struct hpoint *h;
};

static bool
differs(const struct step_pair *a, const struct step_pair *b, bool resets)
{
    if ((a->f == NULL) != (b->f == NULL))
        return true;
    if (a->f == NULL)
        return resets ? histogram_detect_reset(b->h->h, a->h->h) : !histogram_eq(b->h->h, a->h->h);
    if (resets)
        return b->f->v < a->f->v;
    return b->f->v != a->f->v && !(isnan(b->f->v) && isnan(a->f->v));
}

/* resets and changes, in order of time. An anchored range begins with the last sample at or before
 * it. */
static bool
count_steps(const struct window *w, bool resets, double *v)
{
    int64_t from = w->t_ms - w->range_ms - w->offset_ms;
    size_t f = 0, h = 0;
    struct step_pair prev = { 0 }, cur;

    if (w->anchored) {
        while (f < w->f_nr && w->f[f].t_ms <= from)
            f++;
        while (h < w->h_nr && w->h[h].t_ms <= from)
            h++;
        if (f == w->f_nr && h == w->h_nr)
            return false;
        if (f > 0 && (h == 0 || w->f[f - 1].t_ms >= w->h[h - 1].t_ms))
            f--;
        else if (h > 0)
            h--;
    }
    *v = 0;
    for (bool first = true; f < w->f_nr || h < w->h_nr; first = false) {
        bool is_float = h >= w->h_nr || (f < w->f_nr && w->f[f].t_ms < w->h[h].t_ms);

        cur = is_float ? (struct step_pair){ &w->f[f++], NULL }
                       : (struct step_pair){ NULL, &w->h[h++] };
        if (!first)
            *v += differs(&prev, &cur, resets);
        prev = cur;
    }
    return true;
}

/* The place is the first argument's, which for quantile_over_time() is the number. */
static void
tell_ignored(struct window *w)
{
    bool quantile = w->call->call.fn->id == FN_QUANTILE_OVER_TIME;

    if (w->h_nr > 0)
        oracle_info(
            w->o, quantile ? w->call->call.args[0] : w->arg,
            "ignored histograms in a range containing both floats and histograms for metric "
            "name \"%.*s\"",
            STR_ARG(w->name));
}

/* Functions that look at floats only. */
static bool
float_function(struct window *w, double *v)
{
    enum function_id fn = w->call->call.fn->id;
    double slope, intercept;
    size_t need =
        fn == FN_DERIV || fn == FN_PREDICT_LINEAR || fn == FN_DOUBLE_EXPONENTIAL_SMOOTHING ? 2 : 1;

    if (fn == FN_DOUBLE_EXPONENTIAL_SMOOTHING)
        check_factors(w);
    if (w->f_nr == 0)
        return false;
    if (fn == FN_QUANTILE_OVER_TIME)
        check_quantile(w->o, w->params[0], w->call->call.args[0]);
    tell_ignored(w);
    if (w->f_nr < need)
        return false;
    switch (fn) {
    case FN_MAX_OVER_TIME:
    case FN_TS_OF_MAX_OVER_TIME:
        *v = extreme(w, true, fn == FN_TS_OF_MAX_OVER_TIME, fn == FN_TS_OF_MAX_OVER_TIME);
        return true;
    case FN_MIN_OVER_TIME:
    case FN_TS_OF_MIN_OVER_TIME:
        *v = extreme(w, false, fn == FN_TS_OF_MIN_OVER_TIME, fn == FN_TS_OF_MIN_OVER_TIME);
        return true;
    case FN_QUANTILE_OVER_TIME:
        *v = quantile_of(w->params[0], values_of(w), w->f_nr);
        return true;
    case FN_STDVAR_OVER_TIME:
        *v = variance_floats(w);
        return true;
    case FN_STDDEV_OVER_TIME:
        *v = sqrt(variance_floats(w));
        return true;
    case FN_MAD_OVER_TIME:
        *v = mad_floats(w);
        return true;
    case FN_DERIV:
        regression(w, w->f[0].t_ms, v, &intercept);
        return true;
    case FN_PREDICT_LINEAR:
        regression(w, w->t_ms, &slope, &intercept);
        *v = slope * w->params[0] + intercept;
        return true;
    default:
        *v = smoothing(w);
        return true;
    }
}

bool
range_function(struct window *w, double *v, struct histogram **h)
{
    switch (w->call->call.fn->id) {
    case FN_RATE:
        return rate_function(w, true, true, v, h);
    case FN_INCREASE:
        return rate_function(w, true, false, v, h);
    case FN_DELTA:
        return rate_function(w, false, false, v, h);
    case FN_IRATE:
        return last_two_function(w, true, v, h);
    case FN_IDELTA:
        return last_two_function(w, false, v, h);
    case FN_SUM_OVER_TIME:
        return sum_or_avg(w, false, v, h);
    case FN_AVG_OVER_TIME:
        return sum_or_avg(w, true, v, h);
    case FN_COUNT_OVER_TIME:
        *v = (double)(w->f_nr + w->h_nr);
        return true;
    case FN_PRESENT_OVER_TIME:
    case FN_ABSENT_OVER_TIME:
        *v = 1;
        return true;
    case FN_FIRST_OVER_TIME:
        return edge(w, false, false, v, h);
    case FN_LAST_OVER_TIME:
        return edge(w, true, false, v, h);
    case FN_TS_OF_FIRST_OVER_TIME:
        return edge(w, false, true, v, h);
    case FN_TS_OF_LAST_OVER_TIME:
        return edge(w, true, true, v, h);
    case FN_RESETS:
        return count_steps(w, true, v);
    case FN_CHANGES:
        return count_steps(w, false, v);
    default:
        return float_function(w, v);
    }
}

/* ---- the windows ---- */

struct range {
    const struct expr *arg; /* as in struct window */
    struct matrix series;
    const struct matcher *matchers; /* for absent_over_time */
    size_t matchers_nr;
    int64_t range_ms, offset_ms, before_ms, after_ms;
    bool fixed; /* "@": all steps see the first step's window */
    bool anchored, smoothed;
};

/* Samples of a subquery lose what they know about resets. */
static void
forget_hints(struct oracle *o, struct matrix *m)
{
    for (size_t i = 0; i < m->nr; i++)
        for (size_t k = 0; k < m->v[i].h_nr; k++) {
            struct histogram *h = ARENA_NEW(o->arena, struct histogram);

            *h = *m->v[i].h[k].h;
            if (h->hint != HINT_GAUGE)
                h->hint = HINT_UNKNOWN;
            m->v[i].h[k].h = h;
        }
}

static void
check_modifier(struct oracle *o, const struct range *r, const struct expr *call)
{
    enum function_id fn = call->call.fn->id;
    bool rates = fn == FN_RATE || fn == FN_INCREASE || fn == FN_DELTA;

    if (r->anchored && !rates && fn != FN_CHANGES && fn != FN_RESETS)
        oracle_fail(
            o,
            "anchored modifier can only be used with: changes, delta, increase, rate, resets - "
            "not with %s",
            call->call.fn->name);
    if (r->smoothed && !rates)
        oracle_fail(o,
                    "smoothed modifier can only be used with: delta, increase, rate - not with %s",
                    call->call.fn->name);
}

static struct range
range_of(struct ev *ev, struct expr *e)
{
    struct range r = { .arg = e };
    const struct time_shift *s = &e->subquery.shift;

    if (e->kind == EXPR_SUBQUERY) {
        r.arg = NULL;
        r.series = eval_subquery(ev, e);
        forget_hints(ev->o, &r.series);
        r.range_ms = e->subquery.range_ms;
        r.fixed = s->at == AT_TIME;
        r.offset_ms = r.fixed ? s->offset_ms + ev->start_ms - s->at_ms : s->engine_offset_ms;
        return r;
    }
    const struct selector_expr *sel = &e->matrix.selector->selector;
    r.range_ms = e->matrix.range_ms;
    r.offset_ms = sel->shift.engine_offset_ms;
    r.fixed = sel->shift.at == AT_TIME;
    r.anchored = sel->anchored;
    r.smoothed = sel->smoothed;
    r.before_ms = r.anchored || r.smoothed ? ev->o->options.lookback_ms : 0;
    r.after_ms = r.smoothed ? ev->o->options.lookback_ms : 0;
    r.matchers = sel->matchers;
    r.matchers_nr = sel->matchers_nr;
    return r;
}

static void
cut_window(struct window *w, const struct oseries *s, int64_t min_ms, int64_t max_ms)
{
    struct fpoint *f = ARENA_NEW_ARRAY(w->o->arena, struct fpoint, s->f_nr + 1);
    struct hpoint *h = ARENA_NEW_ARRAY(w->o->arena, struct hpoint, s->h_nr + 1);

    w->f_nr = w->h_nr = 0;
    for (size_t i = 0; i < s->f_nr; i++)
        if (s->f[i].t_ms > min_ms && s->f[i].t_ms <= max_ms && !is_stale(s->f[i].v))
            f[w->f_nr++] = s->f[i];
    for (size_t i = 0; i < s->h_nr; i++)
        if (s->h[i].t_ms > min_ms && s->h[i].t_ms <= max_ms && !is_stale(s->h[i].h->sum))
            h[w->h_nr++] = s->h[i];
    w->f = f;
    w->h = h;
}

static void
eval_series(struct ev *ev, struct window *w, const struct range *r, const struct oseries *s,
            struct matrix *params, struct oseries *out)
{
    for (int64_t t = ev->start_ms; t <= ev->end_ms; t += ev->step_ms) {
        size_t step = (size_t)((t - ev->start_ms) / ev->step_ms);
        double v = 0;
        struct histogram *h = NULL;

        for (size_t i = 0; i < ARRAY_LEN(w->params); i++)
            w->params[i] = params[i].nr == 0 ? 0 : params[i].v[0].f[step].v;
        if (t == ev->start_ms || !r->fixed)
            cut_window(w, s, t - r->offset_ms - r->range_ms - r->before_ms,
                       t - r->offset_ms + r->after_ms);
        w->t_ms = t;
        if (w->f_nr + w->h_nr > 0 && range_function(w, &v, &h))
            series_add(ev->o, out, t, v, h);
    }
}

static void
tell_not_counter(struct window *w, const struct oseries *out)
{
    static const char *const ends[] = { "_total", "_sum", "_count", "_bucket" };
    enum function_id fn = w->call->call.fn->id;

    if ((fn != FN_RATE && fn != FN_INCREASE) || w->name.n == 0 || out->f_nr == 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_ends(w->name, str_c(ends[i])))
            return;
    oracle_info(w->o, w->arg,
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
                "\"%.*s\"",
                STR_ARG(w->name));
}

static bool
has_point(const struct matrix *m, int64_t t_ms)
{
    for (size_t i = 0; i < m->nr; i++) {
        for (size_t k = 0; k < m->v[i].f_nr; k++)
            if (m->v[i].f[k].t_ms == t_ms)
                return true;
        for (size_t k = 0; k < m->v[i].h_nr; k++)
            if (m->v[i].h[k].t_ms == t_ms)
                return true;
    }
    return false;
}

static struct matrix
absent_over(struct ev *ev, const struct range *r, const struct matrix *present)
{
    struct matrix out = { 0 };
    struct oseries *s = NULL;

    for (int64_t t = ev->start_ms; t <= ev->end_ms; t += ev->step_ms) {
        if (has_point(present, t))
            continue;
        if (s == NULL)
            s = matrix_add(ev->o, &out, absent_labels(ev->o, r->matchers, r->matchers_nr), true);
        series_add(ev->o, s, t, 1, NULL);
    }
    return out;
}

struct matrix
eval_range_call(struct ev *ev, struct expr *e, size_t range_arg)
{
    enum function_id fn = e->call.fn->id;
    bool drops = fn != FN_LAST_OVER_TIME && fn != FN_FIRST_OVER_TIME;
    struct matrix params[2] = { { 0 }, { 0 } }, out = { 0 };
    bool subquery = e->call.args[range_arg]->kind == EXPR_SUBQUERY;
    struct range r;

    if (subquery)
        r = range_of(ev, e->call.args[range_arg]);
    for (size_t i = 0, nr = 0; i < e->call.args_nr; i++)
        if (i != range_arg)
            params[nr++] = oracle_eval(ev, e->call.args[i]);
    if (!subquery) {
        const struct selector_expr *sel = &e->call.args[range_arg]->matrix.selector->selector;

        r = range_of(ev, e->call.args[range_arg]);
        check_modifier(ev->o, &r, e);
        r.series = read_series(ev, sel->matchers, sel->matchers_nr, sel->skip_buckets);
    }
    for (size_t i = 0; i < r.series.nr; i++) {
        const struct oseries *s = &r.series.v[i];
        struct oseries one = { .labels = s->labels, .drop_name = drops || s->drop_name };
        struct window w = { .o = ev->o,
                            .call = e,
                            .arg = r.arg,
                            .name = name_of(s->labels),
                            .labels = s->labels,
                            .range_ms = r.range_ms,
                            .offset_ms = r.offset_ms,
                            .anchored = r.anchored,
                            .smoothed = r.smoothed };

        if (one.drop_name)
            one.labels = dropped_now(ev->o, one.labels);
        eval_series(ev, &w, &r, s, params, &one);
        if (one.f_nr + one.h_nr > 0)
            *matrix_add(ev->o, &out, one.labels, false) = one;
        tell_not_counter(&w, &one);
    }
    if (fn == FN_ABSENT_OVER_TIME)
        return absent_over(ev, &r, &out);
    if (!ev->o->options.all_features && has_same_labels(&out))
        oracle_fail(ev->o, "vector cannot contain metrics with the same labelset");
    return out;
}
