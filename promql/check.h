/* promql/check.h: types and rules that the grammar alone does not hold: what a tree means.
 *
 * Reports every violation in Prometheus's order and words to the parser's list, and settles what
 * depends on types: matching of binary operators that are not between vectors is removed, set
 * operators become many-to-many. Needs no stack in proportion to the tree's height. */
#pragma once
#include "promql/ast.h"

struct parser;

void check_expr(struct parser *p, struct expr *root);
