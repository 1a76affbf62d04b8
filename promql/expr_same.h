/* promql/expr_same.h: whether two parts of a syntax tree ask the same. */
#pragma once
#include "promql/ast.h"

/* Positions and parentheses do not count. */
bool expr_same(const struct expr *a, const struct expr *b);
