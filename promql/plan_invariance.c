/* Which parts of a query have the same value at every step. Prometheus's rules to the letter: a
 * part is evaluated once exactly where it does. */
#include "promql/plan_priv.h"

bool
plan_has_at(const struct time_shift *s, bool plain)
{
    return s->at == AT_TIME || (!plain && s->at != AT_NONE);
}

static bool
depends_on_time(enum function_id fn)
{
    switch (fn) {
    case FN_DAYS_IN_MONTH:
    case FN_DAY_OF_MONTH:
    case FN_DAY_OF_WEEK:
    case FN_DAY_OF_YEAR:
    case FN_HOUR:
    case FN_MINUTE:
    case FN_MONTH:
    case FN_YEAR:
    case FN_PREDICT_LINEAR:
    case FN_TIME:
    case FN_TIMESTAMP:
        return true;
    default:
        return false;
    }
}

bool
plan_is_constant(const struct expr *e)
{
    if (e->kind != EXPR_CALL)
        return false;
    enum function_id fn = e->call.fn->id;
    return fn == FN_START || fn == FN_END || fn == FN_RANGE || fn == FN_STEP;
}

static struct invariance
invariance_of_call(struct expr *e)
{
    bool whole = !depends_on_time(e->call.fn->id);
    bool timestamps = e->call.fn->id == FN_TIMESTAMP;

    if (plan_is_constant(e))
        return (struct invariance){ true, false };
    for (size_t i = 0; i < e->call.args_nr; i++) {
        struct expr *arg = expr_unwrapped(e->call.args[i]);
        bool same = plan_invariance(arg).whole;

        whole &= same;
        timestamps &= same && arg->kind == EXPR_SELECTOR;
    }
    return (struct invariance){ whole || timestamps, whole || timestamps };
}

struct invariance
plan_invariance(struct expr *e)
{
    bool both;

    switch (e->kind) {
    case EXPR_SELECTOR:
        both = plan_has_at(&e->selector.shift, false);
        return (struct invariance){ both, both };
    case EXPR_AGGREGATE:
        return plan_invariance(expr_unwrapped(e->aggregate.inner));
    case EXPR_BINARY:
        both = plan_invariance(e->binary.lhs).whole && plan_invariance(e->binary.rhs).whole;
        return (struct invariance){ both, both };
    case EXPR_CALL:
        return invariance_of_call(e);
    case EXPR_MATRIX:
        return (struct invariance){ plan_invariance(e->matrix.selector).whole, false };
    case EXPR_SUBQUERY:
        return (struct invariance){ plan_has_at(&e->subquery.shift, false), false };
    case EXPR_PAREN:
        return plan_invariance(e->paren.inner);
    case EXPR_UNARY:
        return plan_invariance(e->unary.inner);
    case EXPR_STEP_INVARIANT:
        return plan_invariance(e->step_invariant.inner);
    default:
        return (struct invariance){ true, false };
    }
}
