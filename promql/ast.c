#include "promql/ast.h"

const char *
match_card_text(enum match_card card)
{
    static const char *const texts[] = { "one-to-one", "many-to-one", "one-to-many",
                                         "many-to-many" };

    return texts[card];
}

struct expr *
expr_child(const struct expr *e, size_t i)
{
    switch (e->kind) {
    case EXPR_PAREN:
        return i == 0 ? e->paren.inner : NULL;
    case EXPR_UNARY:
        return i == 0 ? e->unary.inner : NULL;
    case EXPR_BINARY:
        return i == 0 ? e->binary.lhs : i == 1 ? e->binary.rhs : NULL;
    case EXPR_CALL:
        return i < e->call.args_nr ? e->call.args[i] : NULL;
    case EXPR_AGGREGATE:
        return i == 0 ? e->aggregate.inner : i == 1 ? e->aggregate.param : NULL;
    case EXPR_MATRIX:
        return i == 0 ? e->matrix.selector : NULL;
    case EXPR_SUBQUERY:
        return i == 0 ? e->subquery.inner : NULL;
    case EXPR_STEP_INVARIANT:
        return i == 0 ? e->step_invariant.inner : NULL;
    case EXPR_NUMBER:
    case EXPR_STRING:
    case EXPR_SELECTOR:
    case EXPR_DURATION:
        break;
    }
    return NULL;
}

bool
expr_walk(struct expr *e, expr_visit_fn visit, void *arg)
{
    struct expr *child;

    if (!visit(e, arg))
        return false;
    for (size_t i = 0; (child = expr_child(e, i)) != NULL; i++) {
        if (!expr_walk(child, visit, arg))
            return false;
    }
    return true;
}

static bool
release_matchers(struct expr *e, void *arg)
{
    if (e->kind == EXPR_SELECTOR) {
        for (size_t i = 0; i < e->selector.matchers_nr; i++)
            matcher_fini(&e->selector.matchers[i]);
    }
    return true;
}

void
expr_fini(struct expr *e)
{
    if (e != NULL)
        expr_walk(e, release_matchers, NULL);
}

struct expr *
expr_unwrapped(struct expr *e)
{
    for (;;) {
        if (e->kind == EXPR_PAREN)
            e = e->paren.inner;
        else if (e->kind == EXPR_STEP_INVARIANT)
            e = e->step_invariant.inner;
        else
            return e;
    }
}
