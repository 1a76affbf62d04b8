/* Duration expressions are arithmetic on seconds in double precision, cut to whole milliseconds at
 * the end. */
#include <inttypes.h>
#include <math.h>
#include "promql/ast.h"

struct duration_scope {
    double step_s, range_s;
    struct error *err;
};

/* Where the expression stands, as Prometheus puts it: the byte offsets of its start and end. */
static bool
fail_at(const struct expr *e, struct error *err, const char *what)
{
    return error_set(err, ERR_INVALID, "%" PRIu32 ":%" PRIu32 ": %s", e->pos.start, e->pos.end,
                     what);
}

/* Go's math.Min and math.Max: an infinity of the right sign wins over NaN, NaN over numbers. */
static double
min_of(double a, double b)
{
    if (a == -INFINITY || b == -INFINITY)
        return -INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && a == b)
        return signbit(a) ? a : b;
    return a < b ? a : b;
}

static bool
apply(const struct expr *e, double lhs, double rhs, double *v, struct error *err)
{
    bool is_sign = e->duration.lhs == NULL;

    switch (e->duration.op) {
    case OP_ADD:
        *v = is_sign ? rhs : lhs + rhs;
        return true;
    case OP_SUB:
        *v = is_sign ? -rhs : lhs - rhs;
        return true;
    case OP_MUL:
        *v = lhs * rhs;
        return true;
    case OP_DIV:
        *v = lhs / rhs;
        return rhs != 0 || fail_at(e, err, "division by zero");
    case OP_MOD:
        *v = fmod(lhs, rhs);
        return rhs != 0 || fail_at(e, err, "modulo by zero");
    case OP_POW:
        *v = pow(lhs, rhs);
        return true;
    case OP_MIN_OF:
        *v = min_of(lhs, rhs);
        return true;
    case OP_MAX_OF:
        *v = -min_of(-lhs, -rhs);
        return true;
    default:
        return error_set(err, ERR_INTERNAL, "unexpected duration expression operator \"%s\"",
                         promql_operators[e->duration.op].text);
    }
}

static bool
evaluate(const struct expr *e, const struct duration_scope *scope, double *v)
{
    double lhs = 0, rhs = 0;

    if (e->kind == EXPR_NUMBER) {
        *v = e->number.v;
        return true;
    }
    if (e->duration.op == OP_STEP || e->duration.op == OP_RANGE) {
        *v = e->duration.op == OP_STEP ? scope->step_s : scope->range_s;
        return true;
    }
    if (e->duration.lhs != NULL && !evaluate(e->duration.lhs, scope, &lhs))
        return false;
    if (e->duration.rhs != NULL && !evaluate(e->duration.rhs, scope, &rhs))
        return false;
    return apply(e, lhs, rhs, v, scope->err);
}

/* Does nothing when there is no expression. */
static bool
resolve(const struct expr *e, const struct duration_scope *scope, bool may_be_negative, int64_t *ms)
{
    const double seconds_max = 9223372036.854775808; /* 2^63 nanoseconds */
    double v;

    if (e == NULL)
        return true;
    if (!evaluate(e, scope, &v))
        return false;
    if (!isfinite(v))
        return fail_at(e, scope->err, "duration is NaN or infinite");
    if (v <= 0 && !may_be_negative)
        return fail_at(e, scope->err, "duration must be greater than 0");
    if (fabs(v) > seconds_max)
        return fail_at(e, scope->err, "duration is out of range");
    *ms = (int64_t)(v * 1000);
    return true;
}

static bool
resolve_node(struct expr *e, void *arg)
{
    const struct duration_scope *scope = arg;

    switch (e->kind) {
    case EXPR_SELECTOR:
        return resolve(e->selector.shift.offset_expr, scope, true, &e->selector.shift.offset_ms);
    case EXPR_MATRIX:
        return resolve(e->matrix.range_expr, scope, false, &e->matrix.range_ms);
    case EXPR_SUBQUERY:
        return resolve(e->subquery.shift.offset_expr, scope, true, &e->subquery.shift.offset_ms) &&
               resolve(e->subquery.step_expr, scope, false, &e->subquery.step_ms) &&
               resolve(e->subquery.range_expr, scope, false, &e->subquery.range_ms);
    default:
        return true;
    }
}

bool
promql_resolve_durations(struct expr *e, int64_t start_ms, int64_t end_ms, int64_t step_ms,
                         struct error *err)
{
    struct duration_scope scope = {
        .step_s = (double)step_ms / 1000,
        .range_s = (double)(end_ms - start_ms) / 1000,
        .err = err,
    };

    return expr_walk(e, resolve_node, &scope);
}
