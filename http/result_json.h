/* http/result_json.h: the result of a query as the API's JSON, written straight from the engine's
 * columns. */
#pragma once
#include "base/pool.h"
#include "promql/engine.h"

/* Appends the value of "result". Large matrices are written by several workers of the pool (NULL:
 * none); the bytes do not depend on how many. q: what was asked. */
void result_json(const struct query_result *r, const struct query *q, struct pool *pool,
                 struct buf *out);
