/* promql/engine.h: evaluates PromQL text over a queryable, series by series.
 *
 * An engine is immutable after engine_new() but for its counters and its admission queue; any
 * number of threads may run queries. A query's memory (syntax tree, columns, result) is one arena
 * that the result owns: query_result_fini() releases everything. Workers of the pool take part;
 * results do not depend on how many. Errors: ERR_INVALID for what the parser or checker refuses
 * (the HTTP API's bad_data), ERR_EXECUTION, ERR_TIMEOUT, ERR_CANCELED, ERR_LIMIT (too many samples,
 * out of the query's memory). */
#pragma once
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "model/labels.h"
#include "promql/column.h"
#include "promql/functions.h"
#include "tsdb/querier.h"

struct engine;

struct engine_options {
    int64_t lookback_ms;      /* default 5 minutes */
    int64_t timeout_ms;       /* default 2 minutes */
    uint64_t samples_max;     /* --query.max-samples, counted as Prometheus counts */
    unsigned concurrency_max; /* --query.max-concurrency; 0: no limit */
    size_t query_bytes_max;   /* memory of one query, 0: default */
    int64_t subquery_step_ms; /* default step of subqueries: the global evaluation interval */
    bool experimental_functions, extended_range_selectors, binop_fill, delayed_name_removal;
    bool per_step_stats;
    struct pool *pool;         /* borrowed; NULL: single-threaded */
    const struct clock *clock; /* borrowed */
    struct metrics *metrics;   /* borrowed; NULL: none */
};

struct engine *engine_new(const struct engine_options *options);
void engine_free(struct engine *e);
/* --query.lookback-delta of the engine; the global evaluation interval changes on reload. */
int64_t engine_lookback_ms(const struct engine *e);
void engine_set_subquery_step(struct engine *e, int64_t step_ms);

struct query {
    struct str text;
    int64_t start_ms, end_ms; /* instant: equal */
    int64_t step_ms;          /* 0: instant query */
    int64_t lookback_ms;      /* 0: the engine's */
    int64_t timeout_ms;       /* 0: the engine's; never longer */
    size_t limit;             /* at most so many series in the result, 0: all */
    bool stats, per_step_stats;
    const _Atomic bool *canceled; /* may be NULL; set by another thread when the client has gone */
};

/* One output series: points in time order. v[i] is undefined where h != NULL && h[i] != NULL. */
struct result_series {
    struct labels labels;
    const int64_t *t_ms;
    const double *v;
    const struct histogram *const *h; /* NULL: floats only */
    size_t nr;
};

struct query_stats {
    double eval_total_s, result_sort_s, query_prep_s, inner_eval_s, exec_queue_s, exec_total_s;
    uint64_t total_queryable_samples, peak_samples;
    uint64_t samples_read;           /* samplesRead: those looked at for the first time */
    uint64_t *samples_per_step;      /* per step of the query; NULL unless asked for */
    uint64_t *samples_read_per_step; /* likewise */
    size_t steps_nr;
};

struct query_result {
    enum value_type type;
    struct result_series
        *series; /* vector: one point each, in the order PromQL gives; matrix: sorted by labels */
    size_t series_nr;
    double scalar;
    struct str string;
    int64_t t_ms;                       /* scalar, string: the time of evaluation */
    const struct str *warnings, *infos; /* unique, in the API's form: "PromQL warning: ... (1:7)" */
    size_t warnings_nr, infos_nr;
    bool truncated; /* limit took effect */
    struct query_stats stats;
    struct arena *arena; /* owned */
};

/* Evaluation takes place within so many milliseconds of 1970, 36 million years each way: what a
 * query asks for beyond is moved there, so that sums of times and ranges cannot overflow. */
#define ENGINE_FAR_MS (INT64_C(1) << 60)

/* Parses, checks, plans and evaluates. On failure *result needs no fini. */
MUST_CHECK bool engine_query(struct engine *e, struct queryable *storage, const struct query *query,
                             struct query_result *result, struct error *err);
void query_result_fini(struct query_result *r);

/* For who parses once and evaluates often (rules): the prepared form. Immutable; shared by threads.
 */
struct prepared;
MUST_CHECK bool
engine_prepare(struct engine *e, struct str text, struct prepared **prepared, struct error *err);
void prepared_free(struct prepared *p);
/* query->text is ignored. */
MUST_CHECK bool
engine_run(struct engine *e, struct queryable *storage, const struct prepared *p,
           const struct query *query, struct query_result *result, struct error *err);
/* How dear an instant query would be, before running: true when it surely touches at most
 * `samples_max` samples, so that the HTTP server may answer it on the I/O thread. Cheap: no
 * postings are walked to the end. */
bool engine_is_cheap(struct engine *e, struct queryable *storage, const struct query *query,
                     uint64_t samples_max);
