/* promql/engine_priv.h: the engine's insides, shared by engine.c (admission, parsing), run.c (one
 * query) and run_slices.c. */
#pragma once
#include <pthread.h>

#include "promql/engine.h"
#include "promql/exec_priv.h"
#include "promql/parser.h"

/* The parts of a query whose durations are measured, in the order of engine.c's names. */
enum engine_slice { SLICE_QUEUE, SLICE_PREPARE, SLICE_EVAL, SLICE_SORT, ENGINE_SLICES_NR };

struct engine {
    struct engine_options options;
    _Atomic int64_t subquery_step_ms;
    pthread_mutex_t lock;
    pthread_cond_t free; /* a place was given back */
    unsigned running_nr; /* under lock */
    struct metric *running, *running_max, *samples, *samples_read;
    struct metric_summary *durations[ENGINE_SLICES_NR];
    struct metric_histogram *histograms[ENGINE_SLICES_NR];
};

struct prepared {
    struct arena arena;
    struct str text;
    struct expr *e;
    bool durations; /* has expressions of durations: their values depend on the query's bounds */
};

struct query_run {
    struct engine *e;
    const struct query *q;
    struct eval ev;
    struct arena *arena;
    struct expr *own; /* a tree of this run's own, when durations had to be worked in */
    struct node *root;
    struct query_result *result;
};

struct promql_parse_options engine_parse_options(const struct engine *e);

static inline double
seconds_since(const struct clock *c, int64_t from_ns)
{
    return (double)(clock_monotonic_ns(c) - from_ns) / 1e9;
}

/* run.c */
void run_init(struct query_run *r, int64_t deadline_ns);
MUST_CHECK bool run_all(struct query_run *r, struct queryable *storage, const struct prepared *p,
                        struct error *err);
void run_fini(struct query_run *r);
/* Sums statistics of what has just run into the result's, and clears the tallies. */
MUST_CHECK bool run_account(struct query_run *r, size_t first_step, struct error *err);
/* Sorts a matrix by labels and cuts at the query's limit. */
void run_list(struct query_run *r, struct result_series *series, size_t nr);

/* run_slices.c: how many slices of steps keep the query within its memory; 1: all at once. */
size_t run_slices_nr(const struct query_run *r);
MUST_CHECK bool
run_slices(struct query_run *r, struct expr *e, size_t slices_nr, struct error *err);
