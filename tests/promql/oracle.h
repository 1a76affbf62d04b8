/* tests/promql/oracle.h: a second PromQL evaluator, slow and obvious: one timestamp after another,
 * in Prometheus's order of operations.
 *
 * It shares the parser, labels and the arithmetic of histograms with the engine, nothing else, so
 * that a difference between the two shows a mistake in one of them. Results have the engine's form.
 * Not thread-safe. */
#pragma once
#include "promql/engine.h"

struct oracle_options {
    int64_t lookback_ms, subquery_step_ms;
    bool all_features; /* everything that a feature flag switches on */
};

/* As engine_query(): on success the caller calls query_result_fini(). Statistics stay empty. */
MUST_CHECK bool
oracle_query(const struct oracle_options *options, struct queryable *storage,
             const struct query *query, struct query_result *result, struct error *err);
