/* Aggregations: groups are made once over all series, then filled anew at each step. */
#include "oracle_priv.h"

#include "base/buf.h"
#include "base/decimal.h"
#include "promql/annotations.h"

struct group {
    struct labels labels;
    bool seen, has_float, has_histogram, incompatible, incremental, h_incremental, complete;
    bool reset, not_reset, drop_name;
    double v, mean, c, nr;
    struct histogram *h, *hc;
    struct vec heap; /* topk and relatives; quantile's values */
};

struct aggregation {
    struct ev *ev;
    struct expr *e;
    enum aggregate_op op;
    const char *name;
    struct matrix in, out;
    struct group *groups;
    size_t *group_of, groups_nr; /* of each series */
    struct oseries param;
    bool has_param, param_nan;
    double param_min, param_max;
};

static struct labels
group_labels(struct arena *a, const struct aggregate_expr *e, struct labels ls)
{
    return e->without ? labels_drop(a, ls, e->grouping, e->grouping_nr, true)
                      : labels_keep(a, ls, e->grouping, e->grouping_nr);
}

/* "without" keeps __name__ out of the key only when it is named; Prometheus hashes without both. */
static void
make_groups(struct aggregation *g)
{
    struct arena *a = g->ev->o->arena;

    g->groups = ARENA_NEW_ARRAY(a, struct group, g->in.nr + 1);
    g->group_of = ARENA_NEW_ARRAY(a, size_t, g->in.nr + 1);
    for (size_t i = 0; i < g->in.nr; i++) {
        struct labels ls = group_labels(a, &g->e->aggregate, g->in.v[i].labels);
        size_t k = 0;

        while (k < g->groups_nr && !labels_eq(g->groups[k].labels, ls))
            k++;
        if (k == g->groups_nr)
            g->groups[g->groups_nr++].labels = ls;
        g->group_of[i] = k;
    }
}

static void
ignored(struct aggregation *g, const struct expr *at)
{
    oracle_info(g->ev->o, at, "ignored histogram in %s aggregation", g->name);
}

static void
note_hint(struct group *g, const struct histogram *h)
{
    g->reset = g->reset || h->hint == HINT_RESET;
    g->not_reset = g->not_reset || h->hint == HINT_NOT_RESET;
}

static void
first_sample(struct aggregation *g, struct group *to, size_t series, double v, struct histogram *h)
{
    struct labels ls = to->labels;
    bool floats_only = g->op == AGGR_STDVAR || g->op == AGGR_STDDEV || g->op == AGGR_QUANTILE ||
                       g->op == AGGR_MIN || g->op == AGGR_MAX;

    *to = (struct group){ .labels = ls,
                          .seen = true,
                          .v = v,
                          .mean = v,
                          .nr = 1,
                          .drop_name = g->in.v[series].drop_name };
    if (floats_only && h != NULL) {
        to->seen = false;
        ignored(g, g->e->aggregate.inner);
        return;
    }
    if (g->op == AGGR_SUM || g->op == AGGR_AVG) {
        to->has_float = h == NULL;
        to->has_histogram = h != NULL;
        if (h != NULL) {
            to->h = histogram_copy(h, g->ev->o->arena);
            note_hint(to, h);
        }
    }
    if (g->op == AGGR_STDVAR || g->op == AGGR_STDDEV)
        to->v = isnan(v) || isinf(v) ? NAN : 0;
    if (g->op == AGGR_GROUP)
        to->v = 1;
    if (g->op == AGGR_QUANTILE)
        vec_add(g->ev->o, &to->heap, (struct sample){ .v = v });
}

static void
mixed_schemas(struct aggregation *g, struct group *to, size_t series)
{
    warn_mixed_schemas(g->ev->o, g->e->aggregate.inner, name_of(g->in.v[series].labels));
    to->incompatible = true;
}

static void
tell_reconciled(struct aggregation *g, const struct histogram_notes *notes)
{
    if (notes->bounds_reconciled)
        oracle_info(g->ev->o, g->e->aggregate.inner,
                    "mismatched custom buckets were reconciled during aggregation");
}

static void
sum_histogram(struct aggregation *g, struct group *to, size_t series, struct histogram *h)
{
    struct histogram_notes notes = { 0 };

    to->has_histogram = true;
    if (to->h == NULL)
        return;
    note_hint(to, h);
    if (!histogram_kahan_add(to->h, &to->hc, h, &notes, g->ev->o->arena))
        mixed_schemas(g, to, series);
    tell_reconciled(g, &notes);
}

static void
avg_histogram(struct aggregation *g, struct group *to, size_t series, struct histogram *h)
{
    struct arena *a = g->ev->o->arena;
    struct histogram_notes notes = { 0 };

    to->has_histogram = true;
    if (to->h == NULL)
        return;
    note_hint(to, h);
    if (!to->h_incremental) {
        struct histogram *sum = histogram_copy(to->h, a);
        struct histogram *c = to->hc == NULL ? NULL : histogram_copy(to->hc, a);

        if (!histogram_kahan_add(sum, &c, h, &notes, a)) {
            mixed_schemas(g, to, series);
            return;
        }
        tell_reconciled(g, &notes);
        if (!histogram_has_overflow(sum)) {
            to->h = sum;
            to->hc = c;
            return;
        }
        to->h_incremental = true;
        histogram_div(to->h, to->nr - 1);
        if (to->hc != NULL)
            histogram_div(to->hc, to->nr - 1);
    }
    double q = (to->nr - 1) / to->nr;
    struct histogram *more = histogram_copy(h, a);
    histogram_div(more, to->nr);
    histogram_mul(to->h, q);
    if (to->hc != NULL)
        histogram_mul(to->hc, q);
    if (!histogram_kahan_add(to->h, &to->hc, more, &notes, a))
        mixed_schemas(g, to, series);
    tell_reconciled(g, &notes);
}

static void
avg_float(struct group *to, double v)
{
    to->has_float = true;
    if (!to->incremental) {
        double sum = to->v, c = to->c;

        kahan(v, &sum, &c);
        if (!isinf(sum)) {
            to->v = sum;
            to->c = c;
            return;
        }
        to->incremental = true;
        to->mean = to->v / (to->nr - 1);
        to->c /= to->nr - 1;
    }
    double q = (to->nr - 1) / to->nr;
    to->mean *= q;
    to->c *= q;
    kahan(v / to->nr, &to->mean, &to->c);
}

static void
more_float(struct aggregation *g, struct group *to, double v)
{
    double delta;

    switch (g->op) {
    case AGGR_SUM:
        to->has_float = true;
        kahan(v, &to->v, &to->c);
        break;
    case AGGR_AVG:
        to->nr++;
        avg_float(to, v);
        break;
    case AGGR_MAX:
        to->v = to->v < v || isnan(to->v) ? v : to->v;
        break;
    case AGGR_MIN:
        to->v = to->v > v || isnan(to->v) ? v : to->v;
        break;
    case AGGR_STDVAR:
    case AGGR_STDDEV:
        to->nr++;
        delta = v - to->mean;
        to->mean += delta / to->nr;
        to->v += delta * (v - to->mean);
        break;
    case AGGR_QUANTILE:
        vec_add(g->ev->o, &to->heap, (struct sample){ .v = v });
        break;
    case AGGR_COUNT:
        to->nr++;
        break;
    default:
        break;
    }
}

static void
more_sample(struct aggregation *g, struct group *to, size_t series, double v, struct histogram *h)
{
    if (to->incompatible)
        return;
    to->drop_name = to->drop_name || g->in.v[series].drop_name;
    if (h == NULL) {
        more_float(g, to, v);
    } else if (g->op == AGGR_SUM) {
        sum_histogram(g, to, series, h);
    } else if (g->op == AGGR_AVG) {
        to->nr++;
        avg_histogram(g, to, series, h);
    } else if (g->op == AGGR_COUNT) {
        to->nr++;
    } else if (g->op != AGGR_GROUP) {
        ignored(g, g->e->aggregate.inner);
    }
}

static double
group_quantile(struct aggregation *g, const struct group *from, double q)
{
    double *v = ARENA_NEW_ARRAY(g->ev->o->arena, double, from->heap.nr + 1);

    for (size_t i = 0; i < from->heap.nr; i++)
        v[i] = from->heap.v[i].v;
    return quantile_of(q, v, from->heap.nr);
}

/* False: the group has no result. */
static bool
finish_group(struct aggregation *g, struct group *from, double q)
{
    struct arena *a = g->ev->o->arena;
    bool avg = g->op == AGGR_AVG;

    if (avg || g->op == AGGR_SUM) {
        if (from->has_float && from->has_histogram) {
            oracle_warn(g->ev->o, g->e->aggregate.inner,
                        "encountered a mix of histograms and floats for aggregation");
            return false;
        }
        if (from->incompatible)
            return false;
        if (from->has_histogram) {
            from->h =
                histogram_mean(a, from->h, from->hc, avg && !from->h_incremental ? from->nr : 1);
            histogram_compact(from->h, 0, a);
        } else if (avg) {
            from->v =
                from->incremental ? from->mean + from->c : from->v / from->nr + from->c / from->nr;
        } else {
            from->v += from->c;
        }
    } else if (g->op == AGGR_COUNT) {
        from->v = from->nr;
    } else if (g->op == AGGR_STDVAR) {
        from->v /= from->nr;
    } else if (g->op == AGGR_STDDEV) {
        from->v = sqrt(from->v / from->nr);
    } else if (g->op == AGGR_QUANTILE) {
        from->v = group_quantile(g, from, q);
    }
    if (from->reset && from->not_reset)
        oracle_warn(g->ev->o, g->e->aggregate.inner,
                    "conflicting counter resets during histogram aggregation");
    return true;
}

static void
fold_step(struct aggregation *g, int64_t t_ms, double q)
{
    for (size_t i = 0; i < g->groups_nr; i++)
        g->groups[i].seen = false;
    for (size_t i = 0; i < g->in.nr; i++) {
        struct group *to = &g->groups[g->group_of[i]];
        double v;
        struct histogram *h;

        if (!series_next(&g->in.v[i], t_ms, &v, &h))
            continue;
        if (to->seen)
            more_sample(g, to, i, v, h);
        else
            first_sample(g, to, i, v, h);
    }
    for (size_t i = 0; i < g->groups_nr; i++) {
        struct group *from = &g->groups[i];

        if (!from->seen || !finish_group(g, from, q))
            continue;
        series_add(g->ev->o, &g->out.v[i], t_ms, from->v, from->h);
        g->out.v[i].drop_name = from->drop_name;
    }
}

/* ---- topk, bottomk, limitk, limit_ratio ---- */

/* The worst first: for topk the smallest, NaN before all. */
static bool
worse(const struct aggregation *g, const struct sample *a, const struct sample *b)
{
    if (isnan(a->v))
        return true;
    return g->op == AGGR_BOTTOMK ? a->v > b->v : a->v < b->v;
}

static void
swap(struct sample *a, struct sample *b)
{
    struct sample t = *a;

    *a = *b;
    *b = t;
}

/* Go's container/heap, whose order decides between equal values. */
static void
heap_up(const struct aggregation *g, struct sample *v, size_t j)
{
    while (j > 0) {
        size_t i = (j - 1) / 2;

        if (!worse(g, &v[j], &v[i]))
            return;
        swap(&v[i], &v[j]);
        j = i;
    }
}

static void
heap_down(const struct aggregation *g, struct sample *v, size_t nr)
{
    for (size_t i = 0, j; (j = 2 * i + 1) < nr; i = j) {
        if (j + 1 < nr && worse(g, &v[j + 1], &v[j]))
            j++;
        if (!worse(g, &v[j], &v[i]))
            return;
        swap(&v[i], &v[j]);
    }
}

static bool
takes_ratio(double ratio, struct labels ls)
{
    double at = (double)labels_hash(ls) / (double)UINT64_MAX;

    return ratio >= 0 ? at < ratio : at >= 1 + ratio;
}

static void
push(struct aggregation *g, struct group *to, struct sample s)
{
    vec_add(g->ev->o, &to->heap, s);
    heap_up(g, to->heap.v, to->heap.nr - 1);
}

static void
choose(struct aggregation *g, struct group *to, struct sample s, double k)
{
    struct sample *worst = to->heap.v;

    if (g->op == AGGR_LIMIT_RATIO) {
        if (takes_ratio(max_of(-1, min_of(1, k)), s.labels))
            push(g, to, s);
    } else if (g->op == AGGR_LIMITK) {
        if ((double)to->heap.nr < k)
            push(g, to, s);
    } else if (s.h != NULL) {
        ignored(g, g->e);
    } else if ((double)to->heap.nr < k) {
        push(g, to, s);
    } else if ((g->op == AGGR_TOPK ? worst->v < s.v : worst->v > s.v) ||
               (isnan(worst->v) && !isnan(s.v))) {
        *worst = s;
        heap_down(g, to->heap.v, to->heap.nr);
    }
}

/* Insertion sort, as Go sorts up to twelve. The best first. */
static void
sort_best_first(const struct aggregation *g, struct vec *heap)
{
    for (size_t i = 1; i < heap->nr; i++)
        for (size_t j = i; j > 0 && worse(g, &heap->v[j - 1], &heap->v[j]); j--)
            swap(&heap->v[j], &heap->v[j - 1]);
}

static void
give_chosen(struct aggregation *g, struct group *from, int64_t t_ms)
{
    if (g->op == AGGR_TOPK || g->op == AGGR_BOTTOMK)
        sort_best_first(g, &from->heap);
    for (size_t i = 0; i < from->heap.nr; i++) {
        const struct sample *s = &from->heap.v[i];
        struct oseries *to = NULL;

        for (size_t k = 0; g->ev->start_ms != g->ev->end_ms && k < g->out.nr && to == NULL; k++)
            if (labels_eq(g->out.v[k].labels, s->labels))
                to = &g->out.v[k];
        if (to == NULL)
            to = matrix_add(g->ev->o, &g->out, s->labels, s->drop_name);
        series_add(g->ev->o, to, t_ms, s->v, s->h);
    }
}

static void
choose_step(struct aggregation *g, int64_t t_ms, double param)
{
    double k = g->op == AGGR_LIMIT_RATIO ? param : trunc(param);

    for (size_t i = 0; i < g->groups_nr; i++)
        g->groups[i].heap.nr = 0;
    for (size_t i = 0; i < g->in.nr; i++) {
        struct oseries *from = &g->in.v[i];
        struct sample s = { .labels = from->labels, .drop_name = from->drop_name };

        if (!series_next(from, t_ms, &s.v, &s.h))
            continue;
        if (g->op == AGGR_LIMIT_RATIO ? param == 0 : k < 1)
            continue;
        choose(g, &g->groups[g->group_of[i]], s, k);
    }
    for (size_t i = 0; i < g->groups_nr; i++)
        give_chosen(g, &g->groups[i], t_ms);
}

/* ---- the parameter ---- */

static void
read_param(struct aggregation *g)
{
    struct expr *e = g->e->aggregate.param;

    if (e == NULL)
        return;
    struct matrix m = oracle_eval(g->ev, e);
    if (m.nr == 0)
        return;
    g->has_param = true;
    g->param = m.v[0];
    g->param_min =
        e->kind == EXPR_NUMBER ? g->param.f[0].v : 1.79769313486231570814527423731704357e308;
    g->param_max =
        e->kind == EXPR_NUMBER ? g->param.f[0].v : -1.79769313486231570814527423731704357e308;
    for (size_t i = 0; i < g->param.f_nr; i++) {
        g->param_min = min_of(g->param_min, g->param.f[i].v);
        g->param_max = max_of(g->param_max, g->param.f[i].v);
        g->param_nan = g->param_nan || isnan(g->param.f[i].v);
    }
}

static void
warn_ratio(struct aggregation *g, double v, const char *cap)
{
    char text[ANNO_NUMBER_BYTES];

    oracle_warn(g->ev->o, g->e->aggregate.param,
                "ratio value should be between -1 and 1, got %s, capping to %s",
                anno_number(v, text), cap);
}

/* False: there is no result at all. */
static bool
check_param(struct aggregation *g)
{
    const struct expr *at = g->e->aggregate.param;
    char text[ANNO_NUMBER_BYTES];

    switch (g->op) {
    case AGGR_TOPK:
    case AGGR_BOTTOMK:
    case AGGR_LIMITK:
        if (g->param_max < 1)
            return false;
        if (g->param_nan)
            oracle_fail(g->ev->o, "Parameter value is NaN");
        if (g->param_min <= -0x1p63)
            oracle_fail(g->ev->o, "Scalar value %s underflows int64",
                        anno_number(g->param_min, text));
        if (g->param_max >= 0x1p63)
            oracle_fail(g->ev->o, "Scalar value %s overflows int64",
                        anno_number(g->param_max, text));
        return true;
    case AGGR_LIMIT_RATIO:
        if (g->param_max == 0 && g->param_min == 0)
            return false;
        if (g->param_nan)
            oracle_fail(g->ev->o, "Ratio value is NaN");
        if (g->param_max > 1)
            warn_ratio(g, g->param_max, "1");
        if (g->param_min < -1)
            warn_ratio(g, g->param_min, "-1");
        return true;
    case AGGR_QUANTILE:
        if (g->param_nan)
            check_quantile(g->ev->o, NAN, at);
        if (g->param_max > 1)
            check_quantile(g->ev->o, g->param_max, at);
        if (g->param_min < 0)
            check_quantile(g->ev->o, g->param_min, at);
        return true;
    default:
        return true;
    }
}

/* ---- count_values ---- */

static struct str
value_text(struct arena *a, const struct sample *s)
{
    char text[DECIMAL_BYTES_MAX];
    struct buf b = { 0 };

    if (s->h == NULL)
        return arena_str(a, (struct str){ text, decimal_format_fixed(s->v, text) });
    histogram_print(s->h, &b);
    struct str out = arena_str(a, buf_as_str(&b));
    buf_fini(&b);
    return out;
}

static void
step_count_values(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    struct arena *a = ev->o->arena;
    const struct aggregate_expr *agg = &e->aggregate;
    struct str name = expr_unwrapped(agg->param)->string.v;
    struct str *keep = ARENA_NEW_ARRAY(a, struct str, agg->grouping_nr + 1);

    (void)t_ms;
    for (size_t i = 0; i < agg->grouping_nr; i++)
        keep[i] = agg->grouping[i];
    keep[agg->grouping_nr] = name;
    for (size_t i = 0; i < in->nr; i++) {
        struct labels ls = labels_set(a, in->v[i].labels, name, value_text(a, &in->v[i]));
        size_t k = 0;

        ls = agg->without ? group_labels(a, agg, ls)
                          : labels_keep(a, ls, keep, agg->grouping_nr + 1);
        while (k < out->nr && !labels_eq(out->v[k].labels, ls))
            k++;
        if (k == out->nr)
            vec_add(ev->o, out, (struct sample){ .labels = ls });
        out->v[k].v++;
    }
}

struct matrix
eval_aggregate(struct ev *ev, struct expr *e)
{
    struct aggregation g = {
        .ev = ev, .e = e, .op = e->aggregate.op, .name = promql_aggregates[e->aggregate.op].name
    };
    bool chooses = g.op == AGGR_TOPK || g.op == AGGR_BOTTOMK || g.op == AGGR_LIMITK ||
                   g.op == AGGR_LIMIT_RATIO;
    struct matrix out = { 0 };

    if (g.op == AGGR_COUNT_VALUES) {
        struct str name = expr_unwrapped(e->aggregate.param)->string.v;

        if (!label_name_valid(name))
            oracle_fail(ev->o, "invalid label name \"%.*s\"", STR_ARG(name));
        return each_step(ev, e, &e->aggregate.inner, 1, NULL, step_count_values);
    }
    read_param(&g);
    g.in = oracle_eval(ev, e->aggregate.inner);
    make_groups(&g);
    if (!check_param(&g))
        return out;
    for (size_t i = 0; !chooses && i < g.groups_nr; i++)
        matrix_add(ev->o, &g.out, g.groups[i].labels, false);
    for (int64_t t = ev->start_ms; t <= ev->end_ms; t += ev->step_ms) {
        double param = 0;
        struct histogram *h;

        if (g.has_param && !series_next(&g.param, t, &param, &h))
            param = 0;
        if (chooses)
            choose_step(&g, t, param);
        else
            fold_step(&g, t, param);
    }
    for (size_t i = 0; i < g.out.nr; i++)
        if (g.out.v[i].f_nr + g.out.v[i].h_nr > 0)
            *matrix_add(ev->o, &out, g.out.v[i].labels, false) = g.out.v[i];
    return out;
}
