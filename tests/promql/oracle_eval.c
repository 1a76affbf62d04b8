/* The walk over the tree: selectors, subqueries, signs, step-invariant parts; and the loop over the
 * steps that most operators are written with. */
#include "oracle_priv.h"

#include <stdlib.h>

/* ---- series and vectors ---- */

void
vec_add(struct oracle *o, struct vec *v, struct sample s)
{
    ARENA_GROW(o->arena, v->v, v->nr, v->nr + 1, &v->cap);
    v->v[v->nr++] = s;
}

struct oseries *
matrix_add(struct oracle *o, struct matrix *m, struct labels ls, bool drop_name)
{
    ARENA_GROW(o->arena, m->v, m->nr, m->nr + 1, &m->cap);
    m->v[m->nr] = (struct oseries){ .labels = ls, .drop_name = drop_name };
    return &m->v[m->nr++];
}

void
series_add(struct oracle *o, struct oseries *s, int64_t t_ms, double v, struct histogram *h)
{
    if (h == NULL) {
        ARENA_GROW(o->arena, s->f, s->f_nr, s->f_nr + 1, &s->f_cap);
        s->f[s->f_nr++] = (struct fpoint){ t_ms, v };
        return;
    }
    ARENA_GROW(o->arena, s->h, s->h_nr, s->h_nr + 1, &s->h_cap);
    s->h[s->h_nr++] = (struct hpoint){ t_ms, h };
}

bool
series_next(struct oseries *s, int64_t t_ms, double *v, struct histogram **h)
{
    *h = NULL;
    *v = 0;
    if (s->f_at < s->f_nr && s->f[s->f_at].t_ms == t_ms) {
        *v = s->f[s->f_at++].v;
        return true;
    }
    if (s->h_at < s->h_nr && s->h[s->h_at].t_ms == t_ms) {
        *h = s->h[s->h_at++].h;
        return true;
    }
    return false;
}

bool
has_same_labels(const struct matrix *m)
{
    for (size_t i = 0; i < m->nr; i++)
        for (size_t k = 0; k < i; k++)
            if (labels_eq(m->v[i].labels, m->v[k].labels))
                return true;
    return false;
}

static int
by_ftime(const void *a, const void *b)
{
    int64_t x = ((const struct fpoint *)a)->t_ms, y = ((const struct fpoint *)b)->t_ms;

    return (x > y) - (x < y);
}

static int
by_htime(const void *a, const void *b)
{
    int64_t x = ((const struct hpoint *)a)->t_ms, y = ((const struct hpoint *)b)->t_ms;

    return (x > y) - (x < y);
}

static void
merge_into(struct ev *ev, struct oseries *s, const struct oseries *more)
{
    static const char text[] = "vector cannot contain metrics with the same labelset";

    for (size_t i = 0; i < more->f_nr; i++)
        series_add(ev->o, s, more->f[i].t_ms, more->f[i].v, NULL);
    for (size_t i = 0; i < more->h_nr; i++)
        series_add(ev->o, s, more->h[i].t_ms, 0, more->h[i].h);
    if (s->f_nr > 0)
        qsort(s->f, s->f_nr, sizeof s->f[0], by_ftime);
    if (s->h_nr > 0)
        qsort(s->h, s->h_nr, sizeof s->h[0], by_htime);
    for (size_t i = 1; i < s->f_nr; i++)
        if (s->f[i].t_ms == s->f[i - 1].t_ms)
            oracle_fail(ev->o, "%s", text);
    for (size_t i = 1; i < s->h_nr; i++)
        if (s->h[i].t_ms == s->h[i - 1].t_ms)
            oracle_fail(ev->o, "%s", text);
    /* Prometheus overlooks a float and a histogram of one time, and answers with both. We refuse.
     */
    for (size_t i = 0; i < s->f_nr; i++)
        for (size_t k = 0; k < s->h_nr; k++)
            if (s->f[i].t_ms == s->h[k].t_ms)
                oracle_fail(ev->o, "%s", text);
}

static struct oseries *
find_series(struct matrix *m, struct labels ls)
{
    for (size_t i = 0; i < m->nr; i++)
        if (labels_eq(m->v[i].labels, ls))
            return &m->v[i];
    return NULL;
}

struct matrix
merge_same_labels(struct ev *ev, struct matrix m)
{
    struct matrix out = { 0 };

    if (!has_same_labels(&m))
        return m;
    for (size_t i = 0; i < m.nr; i++) {
        struct oseries *s = find_series(&out, m.v[i].labels);

        if (s != NULL)
            merge_into(ev, s, &m.v[i]);
        else
            *matrix_add(ev->o, &out, m.v[i].labels, false) = m.v[i];
    }
    return out;
}

/* ---- the loop over the steps ---- */

/* Numbers the signatures of all operands' series. */
static size_t **
number_groups(struct ev *ev, const struct matrix *ms, size_t nr, const struct vector_matching *m)
{
    struct arena *a = ev->o->arena;
    size_t **groups = ARENA_NEW_ARRAY(a, size_t *, nr + 1), seen_nr = 0, all = 0;

    for (size_t i = 0; i < nr; i++)
        all += ms[i].nr;
    struct labels *seen = ARENA_NEW_ARRAY(a, struct labels, all + 1);
    for (size_t i = 0; i < nr; i++) {
        groups[i] = ARENA_NEW_ARRAY(a, size_t, ms[i].nr + 1);
        for (size_t k = 0; m != NULL && k < ms[i].nr; k++) {
            struct labels sig = labels_for_match(a, ms[i].v[k].labels, m);
            size_t g = 0;

            while (g < seen_nr && !labels_eq(seen[g], sig))
                g++;
            if (g == seen_nr)
                seen[seen_nr++] = sig;
            groups[i][k] = g;
        }
    }
    return groups;
}

static void
gather(struct oracle *o, struct matrix *m, const size_t *groups, int64_t t_ms, struct vec *out)
{
    out->nr = 0;
    for (size_t i = 0; i < m->nr; i++) {
        struct sample s = { .labels = m->v[i].labels,
                            .drop_name = m->v[i].drop_name,
                            .t_ms = t_ms,
                            .group = groups[i] };

        if (series_next(&m->v[i], t_ms, &s.v, &s.h))
            vec_add(o, out, s);
    }
}

/* last[i]: the step at which series i of out got its last sample. */
static void
scatter(struct ev *ev, const struct vec *v, int64_t t_ms, struct matrix *out)
{
    for (size_t i = 0; i < v->nr; i++) {
        const struct sample *s = &v->v[i];
        struct oseries *to = find_series(out, s->labels);

        if (to == NULL)
            to = matrix_add(ev->o, out, s->labels, s->drop_name);
        else if ((to->f_nr > 0 && to->f[to->f_nr - 1].t_ms == t_ms) ||
                 (to->h_nr > 0 && to->h[to->h_nr - 1].t_ms == t_ms))
            oracle_fail(ev->o, "vector cannot contain metrics with the same labelset");
        series_add(ev->o, to, t_ms, s->v, s->h);
    }
}

/* An instant evaluation keeps the order, and with delayed name removal equal labels as well. */
static void
keep_as_is(struct ev *ev, const struct vec *v, int64_t t_ms, struct matrix *out)
{
    for (size_t i = 0; i < v->nr; i++) {
        struct oseries *to = matrix_add(ev->o, out, v->v[i].labels, v->v[i].drop_name);

        series_add(ev->o, to, t_ms, v->v[i].v, v->v[i].h);
    }
    if (!ev->o->options.all_features && has_same_labels(out))
        oracle_fail(ev->o, "vector cannot contain metrics with the same labelset");
}

struct matrix
each_step(struct ev *ev, struct expr *e, struct expr **operands, size_t nr,
          const struct vector_matching *m, step_fn fn)
{
    struct arena *a = ev->o->arena;
    struct matrix *ms = ARENA_NEW_ARRAY(a, struct matrix, nr + 1), out = { 0 };
    struct vec *in = ARENA_NEW_ARRAY(a, struct vec, nr + 1), result = { 0 };

    for (size_t i = 0; i < nr; i++)
        if (operands[i]->type != VALUE_STRING)
            ms[i] = oracle_eval(ev, operands[i]);
    size_t **groups = number_groups(ev, ms, nr, m);
    for (int64_t t = ev->start_ms; t <= ev->end_ms; t += ev->step_ms) {
        for (size_t i = 0; i < nr; i++)
            gather(ev->o, &ms[i], groups[i], t, &in[i]);
        result.nr = 0;
        fn(ev, e, in, t, &result);
        if (ev->start_ms == ev->end_ms)
            keep_as_is(ev, &result, t, &out);
        else
            scatter(ev, &result, t, &out);
    }
    return out;
}

/* ---- selectors ---- */

/* With only count and sum decoded, resets are found while the samples are read. */
static struct histogram *
stats_only(struct oracle *o, const struct histogram *h, const struct histogram **last)
{
    struct histogram *out = ARENA_NEW(o->arena, struct histogram);

    *out = (struct histogram){
        .hint = h->hint, .schema = h->schema, .count = h->count, .sum = h->sum
    };
    if (is_stale(h->sum))
        return out;
    if (h->hint == HINT_UNKNOWN && *last != NULL)
        out->hint = histogram_detect_reset(h, *last) ? HINT_RESET : HINT_NOT_RESET;
    struct histogram *copy = histogram_copy(h, o->arena);
    copy->hint = out->hint;
    *last = copy;
    return out;
}

static void
add_samples(struct oracle *o, struct oseries *s, const struct sample_buf *b, bool stats)
{
    const struct histogram *last = NULL;

    for (size_t i = 0; i < b->nr; i++) {
        if (b->h == NULL || b->h[i] == NULL) {
            series_add(o, s, b->t_ms[i], b->v[i], NULL);
            continue;
        }
        struct histogram *h = histogram_to_float(b->h[i], o->arena);
        series_add(o, s, b->t_ms[i], 0, stats ? stats_only(o, h, &last) : h);
    }
}

struct matrix
read_series(struct ev *ev, const struct matcher *matchers, size_t nr, bool stats)
{
    struct oracle *o = ev->o;
    struct select_hints hints = { .min_ms = INT64_MIN, .max_ms = INT64_MAX, .sorted = true };
    struct series_set *set;
    struct matrix out = { 0 };
    struct sample_buf b;
    bool ok = querier_select(o->querier, matchers, nr, &hints, &set, o->err);

    sample_buf_init(&b, o->arena);
    for (uint32_t i = 0; ok && i < set->nr; i++) {
        struct oseries *s = matrix_add(o, &out, series_labels(set, i, o->arena), false);

        ok = series_read(set, i, INT64_MIN, INT64_MAX, &b, o->err);
        add_samples(o, s, &b, stats);
        sample_buf_fini(&b);
        sample_buf_init(&b, o->arena);
    }
    sample_buf_fini(&b);
    if (!ok)
        longjmp(o->failed, 1);
    return out;
}

bool
sample_before(const struct oracle *o, const struct oseries *s, int64_t t_ms, int64_t *at_ms,
              double *v, struct histogram **h)
{
    size_t f = s->f_nr, k = s->h_nr;

    while (f > 0 && s->f[f - 1].t_ms > t_ms)
        f--;
    while (k > 0 && s->h[k - 1].t_ms > t_ms)
        k--;
    if (f == 0 && k == 0)
        return false;
    bool is_float = k == 0 || (f > 0 && s->f[f - 1].t_ms > s->h[k - 1].t_ms);
    *at_ms = is_float ? s->f[f - 1].t_ms : s->h[k - 1].t_ms;
    *v = is_float ? s->f[f - 1].v : 0;
    *h = is_float ? NULL : s->h[k - 1].h;
    return *at_ms > t_ms - o->options.lookback_ms && !is_stale(is_float ? *v : (*h)->sum);
}

/* Between the samples before and after within the lookback; else the one before. */
static bool
smoothed_at(struct ev *ev, const struct expr *e, const struct oseries *s, int64_t t_ms, double *v,
            struct histogram **h)
{
    int64_t back = ev->o->options.lookback_ms;
    const struct fpoint *f0 = NULL, *f1 = NULL;
    const struct hpoint *h0 = NULL, *h1 = NULL;

    for (size_t i = 0; i < s->f_nr; i++) {
        const struct fpoint *p = &s->f[i];

        if (p->t_ms <= t_ms - back || p->t_ms > t_ms + back || is_stale(p->v))
            continue;
        if (p->t_ms < t_ms)
            f0 = p;
        else if (f1 == NULL)
            f1 = p;
    }
    for (size_t i = 0; i < s->h_nr; i++) {
        const struct hpoint *p = &s->h[i];

        if (p->t_ms <= t_ms - back || p->t_ms > t_ms + back || is_stale(p->h->sum))
            continue;
        if (p->t_ms < t_ms)
            h0 = p;
        else if (h1 == NULL)
            h1 = p;
    }
    struct str name = name_of(s->labels);
    *h = NULL;
    if ((f0 != NULL || f1 != NULL) && (h0 != NULL || h1 != NULL)) {
        oracle_warn(ev->o, e, "encountered a mix of histograms and floats for metric name \"%.*s\"",
                    STR_ARG(name));
        return false;
    }
    if (f1 != NULL && f1->t_ms == t_ms) {
        *v = f1->v;
        return true;
    }
    if (f0 != NULL) {
        *v = f1 != NULL ? between_points(*f0, *f1, t_ms, false) : f0->v;
        return true;
    }
    if (h1 != NULL && h1->t_ms == t_ms) {
        *h = h1->h;
        return true;
    }
    if (h0 == NULL)
        return false;
    if (h1 == NULL) {
        *h = histogram_copy(h0->h, ev->o->arena);
        (*h)->hint = HINT_UNKNOWN;
        return true;
    }
    if (histogram_is_custom(h0->h) != histogram_is_custom(h1->h)) {
        warn_mixed_schemas(ev->o, e, name);
        return false;
    }
    *h = between_histograms(ev->o, e, h0, h1, t_ms,
                            h0->h->hint != HINT_GAUGE || h1->h->hint != HINT_GAUGE);
    return *h != NULL;
}

static struct matrix
eval_selector(struct ev *ev, struct expr *e)
{
    const struct selector_expr *sel = &e->selector;
    struct matrix all = read_series(ev, sel->matchers, sel->matchers_nr, sel->skip_buckets),
                  out = { 0 };

    for (size_t i = 0; i < all.nr; i++) {
        struct oseries s = { .labels = all.v[i].labels };

        for (int64_t t = ev->start_ms; t <= ev->end_ms; t += ev->step_ms) {
            int64_t at, look = t - sel->shift.engine_offset_ms;
            double v = 0;
            struct histogram *h;

            if (sel->smoothed ? smoothed_at(ev, e, &all.v[i], look, &v, &h)
                              : sample_before(ev->o, &all.v[i], look, &at, &v, &h))
                series_add(ev->o, &s, t, v, h);
        }
        if (s.f_nr + s.h_nr > 0)
            *matrix_add(ev->o, &out, s.labels, false) = s;
    }
    return out;
}

/* ---- where selectors look ---- */

struct around {
    int64_t offset_ms; /* of the subqueries around, up to the innermost with "@" */
    bool at;
    int64_t at_ms;
};

static void
place_shift(struct time_shift *s, const struct around *a, int64_t t_ms)
{
    s->engine_offset_ms = s->offset_ms;
    if (s->at == AT_TIME)
        s->engine_offset_ms += (t_ms - s->at_ms) - (a->offset_ms + (a->at ? t_ms - a->at_ms : 0));
}

static void
place(struct expr *e, struct around a, int64_t t_ms)
{
    struct expr *child;

    if (e->kind == EXPR_SELECTOR)
        place_shift(&e->selector.shift, &a, t_ms);
    if (e->kind == EXPR_MATRIX) {
        place(e->matrix.selector, a, t_ms);
        return;
    }
    if (e->kind == EXPR_SUBQUERY) {
        struct time_shift *s = &e->subquery.shift;

        place_shift(s, &a, t_ms);
        a.offset_ms = s->at == AT_TIME ? s->offset_ms : a.offset_ms + s->offset_ms;
        a.at = a.at || s->at == AT_TIME;
        a.at_ms = s->at == AT_TIME ? s->at_ms : a.at_ms;
    }
    for (size_t i = 0; (child = expr_child(e, i)) != NULL; i++)
        place(child, a, t_ms);
}

void
oracle_place(struct expr *e, int64_t t_ms)
{
    place(e, (struct around){ 0 }, t_ms);
}

/* ---- the walk ---- */

struct matrix
eval_subquery(struct ev *ev, struct expr *e)
{
    const struct subquery_expr *s = &e->subquery;
    int64_t offset_ms = s->shift.engine_offset_ms;
    int64_t step_ms = s->step_ms != 0 ? s->step_ms : ev->o->options.subquery_step_ms;
    int64_t first_ms = ev->start_ms - offset_ms - s->range_ms;
    int64_t last_ms = ev->start_ms + (ev->end_ms - ev->start_ms) / ev->step_ms * ev->step_ms;
    struct ev inner = { ev->o, step_ms * (first_ms / step_ms), last_ms - offset_ms, step_ms };

    if (inner.start_ms <= first_ms)
        inner.start_ms += step_ms;
    if (inner.start_ms != ev->start_ms)
        oracle_place(s->inner, inner.start_ms);
    return oracle_eval(&inner, s->inner);
}

/* A range selector by itself: an instant query's whole answer. */
static struct matrix
eval_matrix(struct ev *ev, struct expr *e)
{
    const struct selector_expr *sel = &e->matrix.selector->selector;
    struct matrix all = read_series(ev, sel->matchers, sel->matchers_nr, sel->skip_buckets),
                  out = { 0 };
    int64_t max_ms = ev->start_ms - sel->shift.engine_offset_ms,
            min_ms = max_ms - e->matrix.range_ms;

    for (size_t i = 0; i < all.nr; i++) {
        struct oseries s = { .labels = all.v[i].labels };

        for (size_t k = 0; k < all.v[i].f_nr; k++) {
            struct fpoint p = all.v[i].f[k];
            if (p.t_ms > min_ms && p.t_ms <= max_ms && !is_stale(p.v))
                series_add(ev->o, &s, p.t_ms, p.v, NULL);
        }
        for (size_t k = 0; k < all.v[i].h_nr; k++) {
            struct hpoint p = all.v[i].h[k];
            if (p.t_ms > min_ms && p.t_ms <= max_ms && !is_stale(p.h->sum))
                series_add(ev->o, &s, p.t_ms, 0, p.h);
        }
        if (s.f_nr + s.h_nr > 0)
            *matrix_add(ev->o, &out, s.labels, false) = s;
    }
    return out;
}

static struct matrix
eval_unary(struct ev *ev, struct expr *e)
{
    struct matrix m = oracle_eval(ev, e->unary.inner);

    if (e->unary.op != OP_SUB)
        return m;
    for (size_t i = 0; i < m.nr; i++) {
        struct oseries *s = &m.v[i];

        s->labels = dropped_now(ev->o, s->labels);
        s->drop_name = true;
        for (size_t k = 0; k < s->f_nr; k++)
            s->f[k].v = -s->f[k].v;
        for (size_t k = 0; k < s->h_nr; k++) {
            s->h[k].h = histogram_copy(s->h[k].h, ev->o->arena);
            histogram_mul(s->h[k].h, -1);
        }
    }
    return ev->o->options.all_features ? m : merge_same_labels(ev, m);
}

static struct matrix
eval_once(struct ev *ev, struct expr *e)
{
    struct ev one = { ev->o, ev->start_ms, ev->start_ms, ev->step_ms };
    struct expr *inner = e->step_invariant.inner;
    struct matrix m = oracle_eval(&one, inner);

    if (inner->type == VALUE_MATRIX || inner->type == VALUE_STRING)
        return m;
    for (size_t i = 0; i < m.nr; i++) {
        struct oseries *s = &m.v[i];

        for (int64_t t = ev->start_ms + ev->step_ms; t <= ev->end_ms; t += ev->step_ms)
            series_add(ev->o, s, t, s->f_nr > 0 ? s->f[0].v : 0, s->f_nr > 0 ? NULL : s->h[0].h);
    }
    return m;
}

static void
step_number(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    (void)in;
    (void)t_ms;
    vec_add(ev->o, out, (struct sample){ .v = e->number.v });
}

struct matrix
oracle_eval(struct ev *ev, struct expr *e)
{
    if (ev->end_ms < ev->start_ms)
        return (struct matrix){ 0 };
    switch (e->kind) {
    case EXPR_NUMBER:
        return each_step(ev, e, NULL, 0, NULL, step_number);
    case EXPR_PAREN:
        return oracle_eval(ev, e->paren.inner);
    case EXPR_UNARY:
        return eval_unary(ev, e);
    case EXPR_BINARY:
        return eval_binary(ev, e);
    case EXPR_CALL:
        return eval_call(ev, e);
    case EXPR_AGGREGATE:
        return eval_aggregate(ev, e);
    case EXPR_SELECTOR:
        return eval_selector(ev, e);
    case EXPR_MATRIX:
        return eval_matrix(ev, e);
    case EXPR_SUBQUERY:
        return eval_subquery(ev, e);
    case EXPR_STEP_INVARIANT:
        return eval_once(ev, e);
    default:
        return (struct matrix){ 0 };
    }
}
