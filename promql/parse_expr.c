/* Operators by precedence climbing. A sign binds like multiplication: -a^b is -(a^b), -a*b is
 * (-a)*b. */
#include "promql/parse_priv.h"

static struct expr *
binary_new(struct parser *p, enum binary_op op, const struct binary_expr *modifiers,
           struct expr *lhs, struct expr *rhs)
{
    bool scalar = lhs->type == VALUE_SCALAR && rhs->type == VALUE_SCALAR;
    struct pos_range pos = { lhs->pos.start, rhs->pos.end };
    struct expr *e = parse_new(p, EXPR_BINARY, scalar ? VALUE_SCALAR : VALUE_VECTOR, pos);

    e->binary = *modifiers;
    e->binary.op = op;
    e->binary.lhs = lhs;
    e->binary.rhs = rhs;
    parse_adopt(e, lhs);
    parse_adopt(e, rhs);
    if (!p->options->fill_modifiers &&
        (e->binary.matching->has_fill_left || e->binary.matching->has_fill_right))
        parse_error(p, pos, "binop fill modifiers are experimental and not enabled");
    return e;
}

static struct expr *
parse_paren(struct parser *p)
{
    struct token open = parse_take(p);
    struct expr *inner = parse_expr(p, 0);

    if (inner == NULL || !parse_accept(p, TOKEN_RIGHT_PAREN))
        return NULL;
    struct pos_range pos = { open.pos.start, p->token.pos.end };
    struct expr *e = parse_new(p, EXPR_PAREN, inner->type, pos);
    e->paren.inner = inner;
    parse_adopt(e, inner);
    return e;
}

static struct expr *
parse_string(struct parser *p)
{
    struct token t = parse_take(p);
    struct expr *e = parse_new(p, EXPR_STRING, VALUE_STRING, t.pos);

    e->string.v = parse_unquote(p, t.text);
    return e;
}

static bool
calls_function(enum token_type type)
{
    return type == TOKEN_IDENTIFIER || (type >= TOKEN_START && type <= TOKEN_MIN_OF);
}

/* A word: an aggregation, a function, or a metric that happens to be called like one. */
static struct expr *
parse_word(struct parser *p)
{
    struct token name = parse_take(p);
    enum token_type next = parse_peek(p)->type;

    if (name.type == TOKEN_AGGREGATE &&
        (next == TOKEN_BY || next == TOKEN_WITHOUT || next == TOKEN_LEFT_PAREN))
        return parse_aggregate(p, &name);
    if (calls_function(name.type) && next == TOKEN_LEFT_PAREN)
        return parse_call(p, &name);
    return parse_selector(p, &name);
}

static struct expr *
parse_primary(struct parser *p)
{
    const struct token *t = parse_peek(p);

    if (parse_names_metric(t))
        return parse_word(p);
    switch (t->type) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION: {
        struct token number = parse_take(p);
        return parse_number_expr(p, &number);
    }
    case TOKEN_STRING:
        return parse_string(p);
    case TOKEN_LEFT_PAREN:
        return parse_paren(p);
    case TOKEN_LEFT_BRACE:
        return parse_selector(p, NULL);
    default:
        return NULL;
    }
}

static bool
is_sign(const struct token *t)
{
    return t->type == TOKEN_OPERATOR && (t->op == OP_ADD || t->op == OP_SUB);
}

/* The sign becomes part of a number; anything else is wrapped. */
static struct expr *
apply_sign(struct parser *p, const struct token *sign, struct expr *inner)
{
    if (inner->kind == EXPR_NUMBER) {
        if (sign->op == OP_SUB)
            inner->number.v = -inner->number.v;
        inner->pos.start = sign->pos.start;
        return inner;
    }
    struct pos_range pos = { sign->pos.start, inner->pos.end };
    struct expr *e = parse_new(p, EXPR_UNARY, inner->type, pos);
    e->unary.op = sign->op;
    e->unary.inner = inner;
    parse_adopt(e, inner);
    return e;
}

static struct expr *
parse_operand(struct parser *p)
{
    struct expr *e;

    if (is_sign(parse_peek(p))) {
        struct token sign = parse_take(p);

        e = parse_expr(p, promql_operators[OP_MUL].precedence + 1);
        return e == NULL ? NULL : apply_sign(p, &sign, e);
    }
    e = parse_primary(p);
    return e == NULL ? NULL : parse_postfix(p, e);
}

/* The operator that was just taken, and its right side. */
static struct expr *
parse_right(struct parser *p, const struct operator_row *row, struct expr *lhs)
{
    struct binary_expr modifiers = { 0 };

    if (!parse_modifiers(p, &modifiers))
        return NULL;
    struct expr *rhs = parse_expr(p, row->right ? row->precedence : row->precedence + 1);
    return rhs == NULL ? NULL : binary_new(p, row->op, &modifiers, lhs, rhs);
}

struct expr *
parse_expr(struct parser *p, int precedence_min)
{
    if (!parse_enter(p))
        return NULL;
    struct expr *e = parse_operand(p);
    while (e != NULL && parse_peek(p)->type == TOKEN_OPERATOR) {
        const struct operator_row *row = &promql_operators[p->token.op];

        if (row->precedence < precedence_min)
            break;
        parse_take(p);
        e = parse_right(p, row, e);
    }
    parse_leave(p);
    return e;
}
