/* The engine: admission, parsing, running a plan, the result.
 *
 * One query, one arena, which ends up in the result. Admission is a counter under a lock: a query
 * waits for a place as long as its deadline allows. */
#include "promql/engine_priv.h"

#include <stdlib.h>

#include "base/mem.h"

#define LOOKBACK_DEFAULT_MS INT64_C(300000)
#define TIMEOUT_DEFAULT_MS  INT64_C(120000)
#define SUBQUERY_DEFAULT_MS INT64_C(60000)
#define QUERY_BYTES_DEFAULT \
    ((size_t)2 << 30) /* 50 million samples, the default limit, are 0.5 to 0.8 GB of columns */

static const char *const slice_names[ENGINE_SLICES_NR] = { "queue_time", "prepare_time",
                                                           "inner_eval", "result_sort" };

static void
register_durations(struct engine *e)
{
    static const char *const labels[] = { "slice", NULL };
    static const double quantiles[] = { 0.5, 0.9, 0.99 }, bounds[] = { 0.01, 0.1, 1, 10 };
    struct metric_family *summary =
        metrics_family(e->options.metrics, METRIC_SUMMARY,
                       "prometheus_engine_query_duration_seconds", "Query timings", labels);
    struct metric_family *histogram = metrics_family(
        e->options.metrics, METRIC_HISTOGRAM, "prometheus_engine_query_duration_histogram_seconds",
        "The duration of various parts of PromQL query execution.", labels);

    for (size_t i = 0; i < ENGINE_SLICES_NR; i++) {
        struct str name = str_c(slice_names[i]);

        e->durations[i] = metrics_summary(summary, &name, quantiles, ARRAY_LEN(quantiles));
        e->histograms[i] = metrics_histogram(histogram, &name, bounds, ARRAY_LEN(bounds));
    }
}

static void
observe(struct engine *e, const struct query_stats *st)
{
    const double seconds[ENGINE_SLICES_NR] = { st->exec_queue_s, st->query_prep_s, st->inner_eval_s,
                                               st->result_sort_s };

    for (size_t i = 0; i < ENGINE_SLICES_NR && e->running != NULL; i++) {
        metric_summary_observe(e->durations[i], seconds[i], clock_monotonic_ns(e->options.clock));
        metric_histogram_observe(e->histograms[i], seconds[i]);
    }
}

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
    e->samples_read = metrics_counter(m, "prometheus_engine_query_samples_read_total",
                                      "The total number of samples read by all queries (only new "
                                      "points per step for range-vector).");
    register_durations(e);
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

struct promql_parse_options
engine_parse_options(const struct engine *e)
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
    struct promql_parse_options options = engine_parse_options(e);

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

static int64_t
deadline_of(const struct engine *e, const struct query *q, int64_t now_ns)
{
    int64_t timeout_ms = e->options.timeout_ms;

    if (q->timeout_ms > 0)
        timeout_ms = MIN(timeout_ms, q->timeout_ms);
    return now_ns + timeout_ms * 1000000;
}

static bool
run_admitted(struct engine *e, struct queryable *storage, const struct prepared *p,
             const struct query *q, int64_t deadline_ns, struct query_result *result,
             struct error *err)
{
    struct query_run r = { .e = e, .q = q, .arena = MEM_NEW(struct arena), .result = result };

    arena_init(r.arena, e->options.query_bytes_max);
    run_init(&r, deadline_ns);
    result->arena = r.arena;
    bool ok = run_all(&r, storage, p, err);
    run_fini(&r);
    if (!ok)
        query_result_fini(result);
    return ok;
}

static int64_t
near_ms(int64_t t_ms)
{
    return MAX(MIN(t_ms, ENGINE_FAR_MS), -ENGINE_FAR_MS);
}

bool
engine_run(struct engine *e, struct queryable *storage, const struct prepared *p,
           const struct query *query, struct query_result *result, struct error *err)
{
    struct query near = *query, *q = &near;
    int64_t from_ns = clock_monotonic_ns(e->options.clock),
            deadline_ns = deadline_of(e, q, from_ns);

    near.start_ms = near_ms(query->start_ms);
    near.end_ms = near_ms(query->end_ms);
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
        result->t_ms = query->start_ms; /* as it was asked */
    }
    if (e->running != NULL)
        metric_add(e->running, -1);
    result->stats.exec_queue_s = queued_s;
    result->stats.exec_total_s = seconds_since(e->options.clock, from_ns);
    observe(e, &result->stats);
    return ok;
}

/* An instant query whose selectors choose few series: then the samples it can touch are few as
 * well. */
struct cheap {
    const struct query *q;
    struct querier *querier;
    int64_t lookback_ms;
    uint64_t samples, samples_max;
};

static bool
add_selector(struct cheap *c, const struct selector_expr *sel, int64_t range_ms)
{
    struct select_hints hints = { .min_ms = c->q->start_ms - range_ms, .max_ms = c->q->start_ms };
    struct series_set *set;
    struct error err = { 0 };
    bool ok = sel->shift.at == AT_NONE && !sel->shift.offset_set;

    hints.limit = (size_t)c->samples_max + 1;
    ok = ok && querier_select(c->querier, sel->matchers, sel->matchers_nr, &hints, &set, &err);
    error_clear(&err);
    for (uint32_t i = 0; ok && i < set->nr && c->samples <= c->samples_max; i++)
        c->samples += MAX(set->ops->estimate(set, i, hints.min_ms, hints.max_ms), (uint64_t)1);
    return ok && c->samples <= c->samples_max;
}

static bool
visit_cheap(struct expr *e, void *arg)
{
    struct cheap *c = arg;

    switch (e->kind) {
    case EXPR_SUBQUERY:
        return false;
    case EXPR_MATRIX:
        return e->matrix.range_expr == NULL &&
               add_selector(c, &e->matrix.selector->selector, e->matrix.range_ms);
    case EXPR_SELECTOR:
        return add_selector(c, &e->selector, c->lookback_ms);
    default:
        return true;
    }
}

bool
engine_is_cheap(struct engine *e, struct queryable *storage, const struct query *q,
                uint64_t samples_max)
{
    struct cheap c = { .q = q,
                       .lookback_ms = q->lookback_ms > 0 ? q->lookback_ms : e->options.lookback_ms,
                       .samples_max = MIN(samples_max, (uint64_t)UINT32_MAX) };
    struct prepared *p;
    struct error err = { 0 };
    bool cheap = q->step_ms == 0 && q->start_ms == near_ms(q->start_ms) &&
                 engine_prepare(e, q->text, &p, &err);

    if (cheap) {
        cheap = querier_open(storage, q->start_ms - c.lookback_ms, q->start_ms, &c.querier, &err);
        cheap = cheap && expr_walk(p->e, visit_cheap, &c);
        querier_close(c.querier);
        prepared_free(p);
    }
    error_clear(&err);
    return cheap;
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
