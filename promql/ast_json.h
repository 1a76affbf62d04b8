/* promql/ast_json.h: the syntax tree as JSON, the `data` of /api/v1/parse_query. */
#pragma once
#include "base/buf.h"
#include "promql/ast.h"

/* Appends one JSON value. Bytes in strings that are not UTF-8 show as U+FFFD. */
void expr_json(const struct expr *e, struct buf *out);
