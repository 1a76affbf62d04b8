/* One query from its tree to its result. */
#include "promql/engine_priv.h"

#include <stdlib.h>

#include "base/mem.h"

static bool
guard_stop(struct query_guard *g, struct error *err)
{
    return !eval_go_on(CONTAINER_OF(g, struct eval, guard), err);
}

void
run_init(struct query_run *r, int64_t deadline_ns)
{
    const struct engine_options *o = &r->e->options;

    r->ev =
        (struct eval){ .guard = { guard_stop },
                       .arena = r->arena,
                       .keep = r->arena,
                       .budget = r->arena->budget,
                       .pool = o->pool,
                       .clock = o->clock,
                       .deadline_ns = deadline_ns,
                       .canceled = r->q->canceled,
                       .samples_max = o->samples_max,
                       .lookback_ms = r->q->lookback_ms > 0 ? r->q->lookback_ms : o->lookback_ms,
                       .subquery_step_ms = atomic_load(&r->e->subquery_step_ms),
                       .start_ms = r->q->start_ms,
                       .end_ms = r->q->step_ms == 0 ? r->q->start_ms : r->q->end_ms,
                       .step_ms = r->q->step_ms,
                       .delayed_names = o->delayed_name_removal,
                       .per_step_stats = r->q->per_step_stats && o->per_step_stats };
    r->ev.slice_start_ms = r->ev.start_ms;
    r->ev.slice_end_ms = r->ev.end_ms;
    pthread_mutex_init(&r->ev.owners_lock, NULL);
    annotations_init(&r->ev.annos);
}

static bool
check_type(const struct expr *e, const struct query *q, struct error *err)
{
    if (q->step_ms == 0 || e->type == VALUE_VECTOR || e->type == VALUE_SCALAR)
        return true;
    return error_set(
        err, ERR_INVALID,
        "invalid expression type \"%s\" for range query, must be Scalar or instant Vector",
        value_type_documented(e->type));
}

/* The tree of the run: the shared one, or a copy with its durations worked out. */
static struct expr *
run_tree(struct query_run *r, const struct prepared *p, struct error *err)
{
    struct promql_parse_options options = engine_parse_options(r->e);

    if (!check_type(p->e, r->q, err))
        return NULL;
    if (!p->durations)
        return p->e;
    r->own = promql_parse(r->arena, p->text, &options, err);
    if (r->own != NULL &&
        !promql_resolve_durations(r->own, r->ev.start_ms, r->ev.end_ms, r->ev.step_ms, err))
        return NULL;
    return r->own;
}

static bool
open_storage(struct query_run *r, struct queryable *storage, struct error *err)
{
    struct eval *ev = &r->ev;
    int64_t min_ms = INT64_MAX, max_ms = INT64_MIN;

    for (size_t i = 0; i < ev->selections_nr; i++) {
        min_ms = MIN(min_ms, ev->selections[i].min_ms);
        max_ms = MAX(max_ms, ev->selections[i].max_ms);
    }
    if (ev->selections_nr == 0)
        min_ms = max_ms = 0;
    if (!querier_open(storage, min_ms, max_ms, &ev->q, err))
        return false;
    ev->q->guard = &ev->guard;
    ev->name_id = ev->q->ops->symbol_find(ev->q, LABEL_NAME);
    ev->type_id = ev->q->ops->symbol_find(ev->q, STR("__type__"));
    ev->unit_id = ev->q->ops->symbol_find(ev->q, STR("__unit__"));
    ev->le_id = ev->q->ops->symbol_find(ev->q, LABEL_BUCKET);
    return true;
}

static bool
select_all(struct eval *ev, struct error *err)
{
    for (size_t i = 0; i < ev->selections_nr; i++) {
        struct selection *s = &ev->selections[i];

        if (s->late)
            continue;
        s->hints.min_ms = s->min_ms;
        s->hints.max_ms = s->max_ms;
        if (!querier_select(ev->q, s->matchers, s->matchers_nr, &s->hints, &s->set, err))
            return error_wrap(err, "expanding series");
    }
    return true;
}

/* ---- results ---- */

struct collect {
    struct query_run *r;
    struct result_series *out;
    size_t nr, cap;
};

static void
take_points(struct arena *a, const struct step_grid *g, const struct column *c,
            struct result_series *s)
{
    int64_t *t_ms = arena_alloc(a, c->present_nr * sizeof *t_ms);
    double *v = arena_alloc(a, c->present_nr * sizeof *v);
    const struct histogram **h = c->h == NULL ? NULL : arena_zalloc(a, c->present_nr * sizeof *h);
    size_t n = 0;

    for (size_t k = 0; k < c->nr; k++) {
        if (!column_has(c, k))
            continue;
        t_ms[n] = grid_time(g, k);
        v[n] = c->v[k];
        if (h != NULL && c->h[k] != NULL)
            h[n] = histogram_keep(a, c->h[k]);
        n++;
    }
    s->t_ms = t_ms;
    s->v = v;
    s->h = h;
    s->nr = n;
}

static struct result_series *
collect_new(struct collect *c, uint32_t i)
{
    struct query_run *r = c->r;

    ARENA_GROW(r->arena, c->out, c->nr, c->nr + 1, &c->cap);
    c->out[c->nr] = (struct result_series){ 0 };
    c->out[c->nr].labels =
        labels_copy(r->arena, series_text(&r->ev, &r->root->series[i], r->arena));
    return &c->out[c->nr++];
}

static bool
collect_column(void *arg, uint32_t i, const struct column *column, struct error *err)
{
    struct collect *c = arg;

    take_points(c->r->arena, &c->r->root->frame->grid, column, collect_new(c, i));
    return eval_go_on(&c->r->ev, err);
}

static void
take_samples(struct arena *a, const struct sample_buf *b, struct result_series *s)
{
    int64_t *t_ms = arena_alloc(a, b->nr * sizeof *t_ms);
    double *v = arena_alloc(a, b->nr * sizeof *v);

    memcpy(t_ms, b->t_ms, b->nr * sizeof *t_ms);
    memcpy(v, b->v, b->nr * sizeof *v);
    s->t_ms = t_ms;
    s->v = v;
    s->nr = b->nr;
    if (b->h == NULL)
        return;
    const struct histogram **h = arena_zalloc(a, b->nr * sizeof *h);
    for (size_t i = 0; i < b->nr; i++)
        h[i] = b->h[i] == NULL ? NULL : histogram_keep(a, b->h[i]);
    s->h = h;
}

/* A query that is a range vector: the samples themselves. */
static bool
collect_raw(struct collect *c, struct error *err)
{
    struct query_run *r = c->r;
    struct worker *w = &r->ev.workers[0];

    for (uint32_t i = 0; i < r->root->series_nr; i++) {
        if (!eval_go_on(&r->ev, err) ||
            !range_raw(&r->ev, (struct range_node *)r->root, i, w, &w->samples, err))
            return false;
        if (w->samples.nr > 0)
            take_samples(r->arena, &w->samples, collect_new(c, i));
        samples_restart(&w->samples);
    }
    return true;
}

static int
result_cmp(const void *a, const void *b)
{
    const struct result_series *x = a, *y = b;

    return labels_cmp(x->labels, y->labels);
}

void
run_list(struct query_run *r, struct result_series *series, size_t nr)
{
    struct query_result *res = r->result;
    int64_t from_ns = clock_monotonic_ns(r->e->options.clock);

    if (res->type == VALUE_MATRIX && nr > 1)
        qsort(series, nr, sizeof *series, result_cmp);
    res->stats.result_sort_s = seconds_since(r->e->options.clock, from_ns);
    res->series = series;
    res->series_nr = nr;
    if (r->q->limit != 0 && nr > r->q->limit) {
        res->series_nr = r->q->limit;
        res->truncated = true;
    }
}

static bool
result_of(struct query_run *r, const struct expr *e, struct error *err)
{
    struct collect c = { .r = r };
    struct query_result *res = r->result;
    bool instant = r->q->step_ms == 0;

    res->type = instant ? e->type : VALUE_MATRIX;
    res->t_ms = r->q->start_ms;
    if (!node_open(&r->ev, r->root, err))
        return false;
    if (e->type == VALUE_STRING) {
        struct node *n = r->root->ops == &invariant_ops ? r->root->args[0] : r->root;
        res->string = arena_str(r->arena, ((struct string_node *)n)->v);
        return true;
    }
    bool raw = r->root->ops == &range_ops && ((struct range_node *)r->root)->raw;
    if (raw ? !collect_raw(&c, err) : !node_each(&r->ev, r->root, collect_column, &c, err))
        return false;
    if (res->type == VALUE_SCALAR)
        res->scalar = c.nr == 0 ? 0 : c.out[0].v[0];
    else
        run_list(r, c.out, c.nr);
    return true;
}

bool
run_account(struct query_run *r, size_t first_step, struct error *err)
{
    struct query_stats *st = &r->result->stats;
    struct account a = { 0 };

    if (r->ev.per_step_stats)
        a.loaded_at = st->samples_per_step + first_step;
    if (r->ev.per_step_stats)
        a.read_at = st->samples_read_per_step + first_step;
    joins_tell(&r->ev);
    eval_tally_tree(&r->ev, r->root);
    account_run(&r->ev, r->root, &a);
    eval_tally_clear(&r->ev);
    st->peak_samples += a.peak;
    st->total_queryable_samples += a.loaded;
    st->samples_read += a.read;
    return st->peak_samples <= r->ev.samples_max || error_too_many_samples(err);
}

/* Steps of the query and room to count them. */
static void
stats_init(struct query_run *r)
{
    struct query_stats *st = &r->result->stats;

    st->steps_nr = node_steps(r->root);
    if (!r->ev.per_step_stats)
        return;
    st->samples_per_step = ARENA_NEW_ARRAY(r->arena, uint64_t, st->steps_nr);
    st->samples_read_per_step = ARENA_NEW_ARRAY(r->arena, uint64_t, st->steps_nr);
}

static void
result_annotations(struct query_run *r, struct str text)
{
    struct query_result *res = r->result;
    struct str *texts;

    annotations_texts(&r->ev.annos, text, r->arena, true, &texts, &res->warnings_nr);
    res->warnings = texts;
    annotations_texts(&r->ev.annos, text, r->arena, false, &texts, &res->infos_nr);
    res->infos = texts;
}

static bool
run_plan(struct query_run *r, struct expr *e, struct error *err)
{
    size_t slices_nr = run_slices_nr(r);

    if (slices_nr > 1)
        return run_slices(r, e, slices_nr, err);
    return result_of(r, e, err) && run_account(r, 0, err);
}

bool
run_all(struct query_run *r, struct queryable *storage, const struct prepared *p, struct error *err)
{
    const struct clock *clock = r->e->options.clock;
    int64_t from_ns = clock_monotonic_ns(clock);
    struct expr *e = run_tree(r, p, err);

    if (e == NULL || !plan_build(&r->ev, e, &r->root, err) || !open_storage(r, storage, err) ||
        !eval_init(&r->ev, err) || !select_all(&r->ev, err))
        return false;
    stats_init(r);
    r->result->stats.query_prep_s = seconds_since(clock, from_ns);
    int64_t inner_ns = clock_monotonic_ns(clock);
    if (!run_plan(r, e, err))
        return false;
    r->result->stats.inner_eval_s = seconds_since(clock, inner_ns);
    r->result->stats.eval_total_s = seconds_since(clock, from_ns);
    if (r->e->samples != NULL) {
        metric_add(r->e->samples, (double)r->result->stats.total_queryable_samples);
        metric_add(r->e->samples_read, (double)r->result->stats.samples_read);
    }
    result_annotations(r, p->text);
    return true;
}

void
run_fini(struct query_run *r)
{
    eval_fini(&r->ev);
    querier_close(r->ev.q);
    expr_fini(r->own);
    annotations_fini(&r->ev.annos);
    pthread_mutex_destroy(&r->ev.owners_lock);
}
