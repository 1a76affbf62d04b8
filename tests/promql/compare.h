/* tests/promql/compare.h: when an outcome counts as the expected one. */
#pragma once
#include "promql/engine.h"
#include "promqltest.h"

/* Equal to about six digits; stale markers and NaNs by kind. */
bool values_equal(double a, double b);
/* Layout after compaction, counts as above; the hint only when it is asked for. */
bool histograms_equal(const struct histogram *a, const struct histogram *b, bool with_hint);

/* True when the outcome of a query (ok and result, or err) is what the script expects; else the
 * difference is appended to why. */
bool outcome_matches(const struct script_command *c, bool ok, const struct query_result *result,
                     const struct error *err, struct buf *why);
/* The same for the point at t_ms of a range query in the place of an instant one; annotations are
 * not looked at. */
bool point_matches(const struct script_command *c, const struct query_result *result, int64_t t_ms,
                   struct buf *why);
