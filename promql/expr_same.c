#include "promql/expr_same.h"

#include <string.h>

static struct expr *
bare(const struct expr *e)
{
    return expr_unwrapped((struct expr *)(uintptr_t)e);
}

static bool
same_texts(const struct str *a, size_t a_nr, const struct str *b, size_t b_nr)
{
    for (size_t i = 0; a_nr == b_nr && i < a_nr; i++)
        if (!str_eq(a[i], b[i]))
            return false;
    return a_nr == b_nr;
}

static bool
same_shift(const struct time_shift *a, const struct time_shift *b)
{
    return a->at == b->at && (a->at != AT_TIME || a->at_ms == b->at_ms) &&
           a->offset_ms == b->offset_ms;
}

static bool
same_selector(const struct selector_expr *a, const struct selector_expr *b)
{
    if (a->matchers_nr != b->matchers_nr || a->anchored != b->anchored ||
        a->smoothed != b->smoothed || !same_shift(&a->shift, &b->shift))
        return false;
    for (size_t i = 0; i < a->matchers_nr; i++)
        if (a->matchers[i].type != b->matchers[i].type ||
            !str_eq(a->matchers[i].name, b->matchers[i].name) ||
            !str_eq(a->matchers[i].value, b->matchers[i].value))
            return false;
    return true;
}

static bool
same_number(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool
same_matching(const struct vector_matching *a, const struct vector_matching *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->card == b->card && a->on == b->on && a->has_fill_left == b->has_fill_left &&
           a->has_fill_right == b->has_fill_right && same_number(a->fill_left, b->fill_left) &&
           same_number(a->fill_right, b->fill_right) &&
           same_texts(a->labels, a->labels_nr, b->labels, b->labels_nr) &&
           same_texts(a->include, a->include_nr, b->include, b->include_nr);
}

static bool
same_children(const struct expr *a, const struct expr *b)
{
    for (size_t i = 0;; i++) {
        const struct expr *x = expr_child(a, i), *y = expr_child(b, i);

        if (x == NULL || y == NULL)
            return x == y;
        if (!expr_same(x, y))
            return false;
    }
}

static bool
same_aggregate(const struct aggregate_expr *a, const struct aggregate_expr *b)
{
    return a->op == b->op && a->without == b->without &&
           same_texts(a->grouping, a->grouping_nr, b->grouping, b->grouping_nr);
}

static bool
same_node(const struct expr *a, const struct expr *b)
{
    switch (a->kind) {
    case EXPR_NUMBER:
        return same_number(a->number.v, b->number.v);
    case EXPR_STRING:
        return str_eq(a->string.v, b->string.v);
    case EXPR_UNARY:
        return a->unary.op == b->unary.op;
    case EXPR_BINARY:
        return a->binary.op == b->binary.op && a->binary.return_bool == b->binary.return_bool &&
               same_matching(a->binary.matching, b->binary.matching);
    case EXPR_CALL:
        return a->call.fn == b->call.fn && a->call.args_nr == b->call.args_nr;
    case EXPR_AGGREGATE:
        return same_aggregate(&a->aggregate, &b->aggregate);
    case EXPR_SELECTOR:
        return same_selector(&a->selector, &b->selector);
    case EXPR_MATRIX:
        return a->matrix.range_ms == b->matrix.range_ms &&
               same_selector(&a->matrix.selector->selector, &b->matrix.selector->selector);
    case EXPR_SUBQUERY:
        return a->subquery.range_ms == b->subquery.range_ms &&
               a->subquery.step_ms == b->subquery.step_ms &&
               same_shift(&a->subquery.shift, &b->subquery.shift);
    default:
        return false;
    }
}

bool
expr_same(const struct expr *a, const struct expr *b)
{
    a = bare(a);
    b = bare(b);
    return a->kind == b->kind && same_node(a, b) && same_children(a, b);
}
