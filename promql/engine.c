/* The engine: admission, parsing, running a plan, the result.
 *
 * One query, one arena, which ends up in the result. Admission is a counter under a lock: a query
 * waits for a place as long as its deadline allows. */
#include "promql/engine.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "promql/exec_priv.h"
#include "promql/parser.h"

#define LOOKBACK_DEFAULT_MS INT64_C(300000)
#define TIMEOUT_DEFAULT_MS  INT64_C(120000)
#define SUBQUERY_DEFAULT_MS INT64_C(60000)
#define QUERY_BYTES_DEFAULT \
    ((size_t)2 << 30) /* 50 million samples, the default limit, are 0.5 to 0.8 GB of columns */

struct engine {
    struct engine_options options;
    _Atomic int64_t subquery_step_ms;
    pthread_mutex_t lock;
    pthread_cond_t free; /* a place was given back */
    unsigned running_nr; /* under lock */
    struct metric *running, *running_max, *samples;
};

struct prepared {
    struct arena arena;
    struct str text;
    struct expr *e;
    bool durations; /* has expressions of durations: their values depend on the query's bounds */
};

static void
register_metrics(struct engine *e)
{
    struct metrics *m = e->options.metrics;

    if (m == NULL)
        return;
    e->running = metrics_gauge(m, "prometheus_engine_queries",
                               "The current number of queries being executed or waiting.");
    e->running_max = metrics_gauge(m, "prometheus_engine_queries_concurrent_max",
                                   "The max number of concurrent queries.");
    e->samples = metrics_counter(m, "prometheus_engine_query_samples_total",
                                 "The total number of samples loaded by all queries (full window "
                                 "per step for range-vector).");
    metric_set(e->running_max,
               e->options.concurrency_max == 0 ? -1 : (double)e->options.concurrency_max);
}

struct engine *
engine_new(const struct engine_options *options)
{
    struct engine *e = MEM_NEW(struct engine);

    e->options = *options;
    if (e->options.lookback_ms <= 0)
        e->options.lookback_ms = LOOKBACK_DEFAULT_MS;
    if (e->options.timeout_ms <= 0)
        e->options.timeout_ms = TIMEOUT_DEFAULT_MS;
    if (e->options.query_bytes_max == 0)
        e->options.query_bytes_max = QUERY_BYTES_DEFAULT;
    if (e->options.samples_max == 0)
        e->options.samples_max = UINT64_MAX;
    if (e->options.clock == NULL)
        e->options.clock = clock_real();
    engine_set_subquery_step(e, options->subquery_step_ms > 0 ? options->subquery_step_ms
                                                              : SUBQUERY_DEFAULT_MS);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->free, NULL);
    register_metrics(e);
    return e;
}

void
engine_free(struct engine *e)
{
    if (e == NULL)
        return;
    pthread_cond_destroy(&e->free);
    pthread_mutex_destroy(&e->lock);
    mem_free(e);
}

int64_t
engine_lookback_ms(const struct engine *e)
{
    return e->options.lookback_ms;
}

void
engine_set_subquery_step(struct engine *e, int64_t step_ms)
{
    atomic_store(&e->subquery_step_ms, step_ms);
}

/* ---- admission ---- */

static double
seconds_since(const struct clock *c, int64_t from_ns)
{
    return (double)(clock_monotonic_ns(c) - from_ns) / 1e9;
}

/* Waits in short turns, so that a query whose client has gone leaves the queue. */
static bool
admit(struct engine *e, const struct query *q, int64_t deadline_ns, struct error *err)
{
    bool ok = true;

    pthread_mutex_lock(&e->lock);
    while (ok && e->options.concurrency_max != 0 && e->running_nr >= e->options.concurrency_max) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 20 * 1000 * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&e->free, &e->lock, &until);
        if (q->canceled != NULL && atomic_load(q->canceled))
            ok = error_set(err, ERR_CANCELED, "query was canceled in query queue");
        else if (clock_monotonic_ns(e->options.clock) > deadline_ns)
            ok = error_set(err, ERR_TIMEOUT, "query timed out in query queue");
    }
    e->running_nr += ok;
    pthread_mutex_unlock(&e->lock);
    return ok;
}

static void
leave(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->running_nr--;
    pthread_cond_signal(&e->free);
    pthread_mutex_unlock(&e->lock);
}

/* ---- parsing ---- */

static struct promql_parse_options
parse_options(const struct engine *e)
{
    return (struct promql_parse_options){ .experimental_functions =
                                              e->options.experimental_functions,
                                          .duration_expressions = true,
                                          .extended_ranges = e->options.extended_range_selectors,
                                          .fill_modifiers = e->options.binop_fill };
}

static bool
find_duration(struct expr *e, void *arg)
{
    bool *found = arg;

    if (e->kind == EXPR_SELECTOR)
        *found |= e->selector.shift.offset_expr != NULL;
    else if (e->kind == EXPR_MATRIX)
        *found |= e->matrix.range_expr != NULL;
    else if (e->kind == EXPR_SUBQUERY)
        *found |= e->subquery.range_expr != NULL || e->subquery.step_expr != NULL ||
                  e->subquery.shift.offset_expr != NULL;
    return !*found;
}

bool
engine_prepare(struct engine *e, struct str text, struct prepared **prepared, struct error *err)
{
    struct prepared *p = MEM_NEW(struct prepared);
    struct promql_parse_options options = parse_options(e);

    arena_init(&p->arena, e->options.query_bytes_max);
    p->text = arena_str(&p->arena, text);
    p->e = promql_parse(&p->arena, p->text, &options, err);
    if (p->e == NULL) {
        prepared_free(p);
        return false;
    }
    error_ignored(expr_walk(p->e, find_duration, &p->durations));
    *prepared = p;
    return true;
}

void
prepared_free(struct prepared *p)
{
    if (p == NULL)
        return;
    expr_fini(p->e);
    arena_fini(&p->arena);
    mem_free(p);
}

/* ---- one run ---- */

struct run {
    struct engine *e;
    const struct query *q;
    struct eval ev;
    struct arena *arena;
    struct expr *own; /* a tree of this run's own, when durations had to be worked in */
    struct node *root;
    struct query_result *result;
};

static bool
guard_stop(struct query_guard *g, struct error *err)
{
    return !eval_go_on(CONTAINER_OF(g, struct eval, guard), err);
}

static int64_t
deadline_of(const struct engine *e, const struct query *q, int64_t now_ns)
{
    int64_t timeout_ms = e->options.timeout_ms;

    if (q->timeout_ms > 0)
        timeout_ms = MIN(timeout_ms, q->timeout_ms);
    return now_ns + timeout_ms * 1000000;
}

static void
run_init(struct run *r, int64_t deadline_ns)
{
    const struct engine_options *o = &r->e->options;

    r->ev =
        (struct eval){ .guard = { guard_stop },
                       .arena = r->arena,
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
run_tree(struct run *r, const struct prepared *p, struct error *err)
{
    struct promql_parse_options options = parse_options(r->e);

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
open_storage(struct run *r, struct queryable *storage, struct error *err)
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

        s->hints.min_ms = s->min_ms;
        s->hints.max_ms = s->max_ms;
        if (!querier_select(ev->q, s->matchers, s->matchers_nr, &s->hints, &s->set, err))
            return error_wrap(err, "expanding series");
    }
    return true;
}

/* ---- results ---- */

struct collect {
    struct run *r;
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
    struct run *r = c->r;

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
    struct run *r = c->r;
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

static void
result_list(struct run *r, struct collect *c)
{
    struct query_result *res = r->result;
    int64_t from_ns = clock_monotonic_ns(r->e->options.clock);

    if (res->type == VALUE_MATRIX && c->nr > 1)
        qsort(c->out, c->nr, sizeof *c->out, result_cmp);
    res->stats.result_sort_s = seconds_since(r->e->options.clock, from_ns);
    res->series = c->out;
    res->series_nr = c->nr;
    if (r->q->limit != 0 && c->nr > r->q->limit) {
        res->series_nr = r->q->limit;
        res->truncated = true;
    }
}

static bool
result_of(struct run *r, const struct expr *e, struct error *err)
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
        result_list(r, &c);
    return true;
}

static bool
result_stats(struct run *r, struct error *err)
{
    struct query_stats *st = &r->result->stats;
    struct account a = { 0 };

    st->steps_nr = node_steps(r->root);
    if (r->ev.per_step_stats)
        a.loaded_at = ARENA_NEW_ARRAY(r->arena, uint64_t, st->steps_nr);
    eval_tally_tree(&r->ev, r->root);
    account_run(&r->ev, r->root, &a);
    st->peak_samples = a.peak;
    st->total_queryable_samples = a.loaded;
    st->samples_per_step = a.loaded_at;
    if (r->e->samples != NULL)
        metric_add(r->e->samples, (double)a.loaded);
    return a.peak <= r->ev.samples_max || error_too_many_samples(err);
}

static void
result_annotations(struct run *r, struct str text)
{
    struct query_result *res = r->result;
    struct str *texts;

    annotations_texts(&r->ev.annos, text, r->arena, true, &texts, &res->warnings_nr);
    res->warnings = texts;
    annotations_texts(&r->ev.annos, text, r->arena, false, &texts, &res->infos_nr);
    res->infos = texts;
}

static bool
run_all(struct run *r, struct queryable *storage, const struct prepared *p, struct error *err)
{
    const struct clock *clock = r->e->options.clock;
    int64_t from_ns = clock_monotonic_ns(clock);
    struct expr *e = run_tree(r, p, err);

    if (e == NULL || !plan_build(&r->ev, e, &r->root, err) || !open_storage(r, storage, err) ||
        !eval_init(&r->ev, err) || !select_all(&r->ev, err))
        return false;
    r->result->stats.query_prep_s = seconds_since(clock, from_ns);
    int64_t inner_ns = clock_monotonic_ns(clock);
    if (!result_of(r, e, err))
        return false;
    r->result->stats.inner_eval_s = seconds_since(clock, inner_ns);
    r->result->stats.eval_total_s = seconds_since(clock, from_ns);
    if (!result_stats(r, err))
        return false;
    result_annotations(r, p->text);
    return true;
}

static void
run_fini(struct run *r)
{
    eval_fini(&r->ev);
    querier_close(r->ev.q);
    expr_fini(r->own);
    annotations_fini(&r->ev.annos);
}

static bool
run_admitted(struct engine *e, struct queryable *storage, const struct prepared *p,
             const struct query *q, int64_t deadline_ns, struct query_result *result,
             struct error *err)
{
    struct run r = { .e = e, .q = q, .arena = MEM_NEW(struct arena), .result = result };

    arena_init(r.arena, e->options.query_bytes_max);
    run_init(&r, deadline_ns);
    result->arena = r.arena;
    bool ok = run_all(&r, storage, p, err);
    run_fini(&r);
    if (!ok)
        query_result_fini(result);
    return ok;
}

bool
engine_run(struct engine *e, struct queryable *storage, const struct prepared *p,
           const struct query *q, struct query_result *result, struct error *err)
{
    int64_t from_ns = clock_monotonic_ns(e->options.clock),
            deadline_ns = deadline_of(e, q, from_ns);

    *result = (struct query_result){ 0 };
    if (q->step_ms < 0)
        return error_set(err, ERR_INVALID,
                         "zero or negative query resolution step widths are not accepted");
    if (e->running != NULL)
        metric_add(e->running, 1);
    bool ok = admit(e, q, deadline_ns, err);
    double queued_s = seconds_since(e->options.clock, from_ns);
    if (ok) {
        ok = run_admitted(e, storage, p, q, deadline_ns, result, err);
        leave(e);
    }
    if (e->running != NULL)
        metric_add(e->running, -1);
    result->stats.exec_queue_s = queued_s;
    result->stats.exec_total_s = seconds_since(e->options.clock, from_ns);
    return ok;
}

bool
engine_query(struct engine *e, struct queryable *storage, const struct query *query,
             struct query_result *result, struct error *err)
{
    struct prepared *p;

    *result = (struct query_result){ 0 };
    if (!engine_prepare(e, query->text, &p, err))
        return false;
    bool ok = engine_run(e, storage, p, query, result, err);
    prepared_free(p);
    return ok;
}

void
query_result_fini(struct query_result *r)
{
    if (r->arena != NULL)
        arena_fini(r->arena);
    mem_free(r->arena);
    r->arena = NULL;
}
