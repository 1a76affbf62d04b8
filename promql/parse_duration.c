/* Arithmetic on durations: inside brackets, and in parentheses behind `offset`. */
#include <math.h>
#include "promql/parse_priv.h"

/* Seconds that no int64 of nanoseconds holds. */
static bool
out_of_range(double seconds)
{
    return seconds > 9223372036.854775808 || seconds < -9223372036.854775808;
}

static void
gate(struct parser *p, struct pos_range pos)
{
    if (!p->options->duration_expressions)
        parse_error(p, pos, "experimental duration expression is not enabled");
}

/* What stands for a duration after a mistake. */
static struct expr *
zero(struct parser *p)
{
    return parse_new(p, EXPR_NUMBER, VALUE_SCALAR, (struct pos_range){ 0, 0 });
}

static struct expr *
duration_new(struct parser *p, enum binary_op op, struct pos_range pos, struct expr *lhs,
             struct expr *rhs)
{
    struct expr *e = parse_new(p, EXPR_DURATION, VALUE_SCALAR, pos);

    e->duration = (struct duration_expr){ .op = op, .lhs = lhs, .rhs = rhs };
    if (lhs != NULL)
        parse_adopt(e, lhs);
    if (rhs != NULL)
        parse_adopt(e, rhs);
    return e;
}

static struct expr *
checked_number(struct parser *p, struct expr *number, struct pos_range blame)
{
    if (!out_of_range(number->number.v))
        return number;
    parse_error(p, blame, "duration out of range");
    return zero(p);
}

static struct expr *
parse_literal(struct parser *p)
{
    struct token t = parse_take(p);
    struct expr *e = parse_number_expr(p, &t);

    return checked_number(p, e, e->pos);
}

/* step() or range() */
static struct expr *
parse_query_value(struct parser *p, uint32_t start)
{
    struct token name = parse_take(p);

    if (!parse_accept(p, TOKEN_LEFT_PAREN) || !parse_accept(p, TOKEN_RIGHT_PAREN))
        return NULL;
    struct pos_range pos = { name.pos.start, p->token.pos.end };
    gate(p, (struct pos_range){ start, pos.end });
    return duration_new(p, name.type == TOKEN_STEP ? OP_STEP : OP_RANGE, pos, NULL, NULL);
}

/* min_of(a, b) or max_of(a, b) */
static struct expr *
parse_choice(struct parser *p, uint32_t start)
{
    struct token name = parse_take(p);
    struct expr *lhs, *rhs;

    if (!parse_accept(p, TOKEN_LEFT_PAREN))
        return NULL;
    lhs = parse_duration(p, 0);
    if (lhs == NULL || !parse_accept(p, TOKEN_COMMA))
        return NULL;
    rhs = parse_duration(p, 0);
    if (rhs == NULL || !parse_accept(p, TOKEN_RIGHT_PAREN))
        return NULL;
    /* Prometheus places these by their operands. */
    struct pos_range pos = { lhs->pos.start, rhs->pos.end };
    gate(p, (struct pos_range){ start < name.pos.start ? start : pos.start, pos.end });
    return duration_new(p, name.type == TOKEN_MIN_OF ? OP_MIN_OF : OP_MAX_OF, pos, lhs, rhs);
}

/* Remembers the parentheses; a bare number gets a plus sign to carry them. */
static struct expr *
wrap(struct parser *p, struct expr *e, struct pos_range pos)
{
    if (e->kind != EXPR_DURATION) {
        pos.end = e->pos.end;
        e = duration_new(p, OP_ADD, pos, NULL, e);
    }
    e->duration.wrapped = true;
    return e;
}

/* "(" duration ")" */
static struct expr *
parse_parens(struct parser *p)
{
    struct token open = parse_take(p);
    struct expr *e = parse_duration(p, 0);

    if (e == NULL || !parse_accept(p, TOKEN_RIGHT_PAREN))
        return NULL;
    gate(p, e->pos);
    return wrap(p, e, (struct pos_range){ open.pos.start, p->token.pos.end });
}

static struct expr *
apply_sign(struct parser *p, const struct token *sign, struct expr *e)
{
    if (e->kind == EXPR_NUMBER) {
        if (sign->op == OP_SUB)
            e->number.v = -e->number.v;
        e->pos.start = sign->pos.start;
        return checked_number(p, e, sign->pos);
    }
    if (sign->op == OP_ADD)
        return e;
    return duration_new(p, OP_SUB, (struct pos_range){ sign->pos.start, e->pos.end }, NULL, e);
}

static bool
is_sign(const struct token *t)
{
    return t->type == TOKEN_OPERATOR && (t->op == OP_ADD || t->op == OP_SUB);
}

static struct expr *
parse_operand(struct parser *p)
{
    const struct token *t = parse_peek(p);

    if (is_sign(t)) {
        struct token sign = parse_take(p);
        struct expr *e = parse_duration(p, promql_operators[OP_MUL].precedence + 1);

        return e == NULL ? NULL : apply_sign(p, &sign, e);
    }
    switch (t->type) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
        return parse_literal(p);
    case TOKEN_STEP:
    case TOKEN_RANGE:
        return parse_query_value(p, t->pos.start);
    case TOKEN_MAX_OF:
    case TOKEN_MIN_OF:
        return parse_choice(p, t->pos.start);
    case TOKEN_LEFT_PAREN:
        return parse_parens(p);
    default:
        return NULL;
    }
}

static struct expr *
combine(struct parser *p, const struct token *op, struct expr *lhs, struct expr *rhs)
{
    bool divides = op->op == OP_DIV || op->op == OP_MOD;

    gate(p, lhs->pos);
    if (divides && rhs->kind == EXPR_NUMBER && rhs->number.v == 0) {
        parse_error(p, op->pos, op->op == OP_DIV ? "division by zero" : "modulo by zero");
        return zero(p);
    }
    return duration_new(p, op->op, (struct pos_range){ lhs->pos.start, rhs->pos.end }, lhs, rhs);
}

/* The operators behind lhs, as far as they bind at least that tight. */
static struct expr *
parse_rest(struct parser *p, struct expr *lhs, int precedence_min)
{
    while (lhs != NULL && parse_peek(p)->type == TOKEN_OPERATOR && p->token.op <= OP_POW) {
        const struct operator_row *row = &promql_operators[p->token.op];

        if (row->precedence < precedence_min)
            break;
        struct token op = parse_take(p);
        struct expr *rhs = parse_duration(p, row->right ? row->precedence : row->precedence + 1);
        if (rhs == NULL)
            return NULL;
        lhs = combine(p, &op, lhs, rhs);
    }
    return lhs;
}

struct expr *
parse_duration(struct parser *p, int precedence_min)
{
    if (!parse_enter(p))
        return NULL;
    struct expr *e = parse_rest(p, parse_operand(p), precedence_min);
    parse_leave(p);
    return e;
}

/* Behind `offset`, a duration ends where it can, so that `foo offset 5m + bar` adds bar: only
 * parentheses (without a sign) or a second sign start an expression that goes on over operators. */
static struct expr *
parse_signed_offset(struct parser *p)
{
    struct token sign = parse_take(p);
    enum token_type type = parse_peek(p)->type;
    struct expr *e;

    switch (type) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION: {
        struct token t = parse_take(p);
        return apply_sign(p, &sign, parse_number_expr(p, &t));
    }
    case TOKEN_STEP:
    case TOKEN_RANGE:
        e = parse_query_value(p, sign.pos.start);
        break;
    case TOKEN_MAX_OF:
    case TOKEN_MIN_OF:
        e = parse_choice(p, sign.pos.start);
        break;
    case TOKEN_LEFT_PAREN:
        e = parse_parens(p);
        return e == NULL ? NULL : apply_sign(p, &sign, e);
    default:
        e = parse_duration(p, promql_operators[OP_MUL].precedence + 1);
        return e == NULL ? NULL : parse_rest(p, apply_sign(p, &sign, e), 0);
    }
    if (e == NULL)
        return NULL;
    /* Here a plus sign makes a node of its own, too. */
    return duration_new(p, sign.op, (struct pos_range){ sign.pos.start, e->pos.end }, NULL, e);
}

struct expr *
parse_offset_duration(struct parser *p)
{
    const struct token *t = parse_peek(p);

    if (is_sign(t))
        return parse_signed_offset(p);
    if (t->type == TOKEN_LEFT_PAREN)
        return parse_duration(p, 0);
    return parse_operand(p);
}
