/* tests/promql/runner.h: runs the commands of a script against the public engine over memory. */
#pragma once
#include "mem_storage.h"
#include "promql/engine.h"
#include "promqltest.h"

struct runner {
    struct engine *engine;
    struct mem_storage *storage;
};

/* all_features: experimental functions, extended ranges, fill modifiers and delayed name removal,
 * as scripts want them; else a default server. samples_max limits a query. */
void runner_init(struct runner *r, bool all_features, uint64_t samples_max);
void runner_fini(struct runner *r);

/* A load or clear. */
MUST_CHECK bool runner_prepare(struct runner *r, const struct script_command *c, struct error *err);
/* Runs text over [start, end]; on success the caller releases the result. */
MUST_CHECK bool runner_query(struct runner *r, struct str text, int64_t start_ms, int64_t end_ms,
                             int64_t step_ms, struct query_result *result, struct error *err);
