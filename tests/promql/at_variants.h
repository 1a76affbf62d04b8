/* tests/promql/at_variants.h: the same question asked in other ways. */
#pragma once
#include "base/buf.h"

/* Appends the query with ` @ t` on every selector and subquery that stands free; false when its
 * result depends on when it is evaluated anyway. */
bool at_variant(struct str query, int64_t t_ms, struct buf *out);

/* True when the result of the query depends on the bounds of a range query around it. */
bool depends_on_bounds(struct str query);
