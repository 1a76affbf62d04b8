/* promql/printer.h: expressions as text: the canonical form that rule APIs and logs show, and the
 * pretty form of /api/v1/format_query.
 *
 * What is printed parses to the same tree (a step-invariant wrapper is not shown). Pure functions.
 */
#pragma once
#include "base/buf.h"
#include "promql/ast.h"

/* On one line. */
void expr_print(const struct expr *e, struct buf *out);

/* With line breaks and two spaces of indentation inside every node that is longer than
 * PROMQL_LINE_BYTES. */
#define PROMQL_LINE_BYTES 100
void expr_print_pretty(const struct expr *e, struct buf *out);
