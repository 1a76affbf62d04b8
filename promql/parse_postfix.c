#include <math.h>
#include "promql/parse_priv.h"

/* Where offset, @ and the end of the range are kept; NULL with the reason reported when e cannot
 * have them. */
static struct time_shift *
shift_of(struct parser *p, struct expr *e, const char *what)
{
    if (e->kind == EXPR_SELECTOR)
        return &e->selector.shift;
    if (e->kind == EXPR_SUBQUERY)
        return &e->subquery.shift;
    if (e->kind == EXPR_MATRIX) {
        if (e->matrix.selector->kind == EXPR_SELECTOR)
            return &e->matrix.selector->selector.shift;
        parse_error(p, e->pos, "ranges only allowed for vector selectors");
        return NULL;
    }
    parse_error(p, e->pos,
                "%s modifier must be preceded by an instant vector selector or range vector "
                "selector or a subquery",
                what);
    return NULL;
}

static bool
parse_offset(struct parser *p, struct expr *e)
{
    struct expr *duration = parse_offset_duration(p);

    if (duration == NULL) {
        parse_unexpected_item(p, "offset", "number, duration, step(), or range()");
        return false;
    }
    struct time_shift *shift = shift_of(p, e, "offset");
    if (shift == NULL)
        return true;
    if (shift->offset_set) {
        parse_error(p, e->pos, "offset may not be set multiple times");
    } else if (duration->kind == EXPR_NUMBER) {
        shift->offset_ms = parse_seconds_to_ms(duration->number.v);
        shift->offset_set = round(duration->number.v * 1e9) != 0;
    } else {
        shift->offset_expr = duration;
        shift->offset_set = true;
        parse_adopt(e, duration);
    }
    e->pos.end = p->last_closing;
    return true;
}

/* Go's %f, which spells infinities out. */
static void
error_timestamp(struct parser *p, struct pos_range pos, double v)
{
    const char *what = "timestamp out of bounds for @ modifier: ";

    if (isfinite(v))
        parse_error(p, pos, "%s%f", what, v);
    else
        parse_error(p, pos, "%s%s", what, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
}

static bool
at_is_free(struct parser *p, const struct expr *e, const struct time_shift *shift)
{
    if (shift->at == AT_NONE)
        return true;
    parse_error(p, e->pos, "@ <timestamp> may not be set multiple times");
    return false;
}

static void
set_timestamp(struct parser *p, struct expr *e, double v)
{
    bool fits = fabs(v) < 9223372036854775808.0;

    if (!fits)
        error_timestamp(p, e->pos, v);
    struct time_shift *shift = shift_of(p, e, "@");
    if (shift == NULL || !at_is_free(p, e, shift))
        return;
    double ms = round(v * 1000);
    shift->at = AT_TIME;
    shift->at_ms = fabs(ms) < 9223372036854775808.0 ? (int64_t)ms : INT64_MIN;
    e->pos.end = p->last_closing;
}

static void
set_at_bound(struct parser *p, struct expr *e, enum token_type type)
{
    struct time_shift *shift = shift_of(p, e, "@");

    if (shift == NULL || !at_is_free(p, e, shift))
        return;
    shift->at = type == TOKEN_START ? AT_START : AT_END;
    e->pos.end = p->last_closing;
}

/* Behind "@": a number with or without sign, start() or end(). */
static bool
parse_at_operand(struct parser *p, struct expr *e)
{
    struct token t = *parse_peek(p);
    double sign = 1;

    if (t.type == TOKEN_START || t.type == TOKEN_END) {
        parse_take(p);
        if (!parse_accept(p, TOKEN_LEFT_PAREN) || !parse_accept(p, TOKEN_RIGHT_PAREN))
            return false;
        set_at_bound(p, e, t.type);
        return true;
    }
    if (t.type == TOKEN_OPERATOR && (t.op == OP_ADD || t.op == OP_SUB)) {
        sign = t.op == OP_SUB ? -1 : 1;
        parse_take(p);
        t = *parse_peek(p);
    }
    if (!parse_is_number(&t))
        return false;
    parse_take(p);
    set_timestamp(p, e, sign * parse_number_literal(p, &t));
    return true;
}

static bool
parse_at(struct parser *p, struct expr *e)
{
    if (parse_at_operand(p, e))
        return true;
    parse_unexpected_item(p, "@", "timestamp");
    return false;
}

/* anchored, smoothed */
static void
set_extended(struct parser *p, struct expr *e, bool smoothed)
{
    const char *name = smoothed ? "smoothed" : "anchored";
    struct expr *s = e->kind == EXPR_MATRIX ? e->matrix.selector : e;

    if (!p->options->extended_ranges) {
        parse_error(p, e->pos, "%s modifier is experimental and not enabled", name);
    } else if (e->kind == EXPR_SUBQUERY) {
        parse_error(p, e->pos, "%s modifier is not supported for subqueries", name);
    } else if (s->kind == EXPR_SELECTOR) {
        *(smoothed ? &s->selector.smoothed : &s->selector.anchored) = true;
        if (s->selector.smoothed && s->selector.anchored)
            parse_error(p, e->pos, "anchored and smoothed modifiers cannot be used together");
    } else if (e->kind != EXPR_MATRIX) {
        parse_error(p, e->pos, "%s modifier not implemented", name);
    }
}

/* A range or a step: an expression, or milliseconds above zero. */
struct span {
    int64_t ms;
    struct expr *expr;
};

static bool
parse_span(struct parser *p, struct span *span)
{
    struct expr *e = parse_duration(p, 0);

    *span = (struct span){ 0 };
    if (e == NULL)
        return false;
    parse_peek(p); /* what follows is read before the value is judged */
    if (e->kind != EXPR_NUMBER)
        span->expr = e;
    else if (e->number.v <= 0)
        parse_error(p, e->pos, "duration must be greater than 0");
    else
        span->ms = parse_seconds_to_ms(e->number.v);
    return true;
}

static struct expr *
matrix_new(struct parser *p, struct expr *inner, const struct span *range, struct token open)
{
    struct pos_range brackets = { open.pos.start, p->last_closing };
    const struct time_shift *shift = &inner->selector.shift;

    if (inner->kind != EXPR_SELECTOR)
        parse_error(p, brackets, "ranges only allowed for vector selectors");
    else if (shift->offset_set)
        parse_error(p, brackets, "no offset modifiers allowed before range");
    else if (shift->at != AT_NONE)
        parse_error(p, brackets, "no @ modifiers allowed before range");

    struct expr *e = parse_new(p, EXPR_MATRIX, VALUE_MATRIX,
                               (struct pos_range){ inner->pos.start, p->last_closing });
    e->matrix =
        (struct matrix_expr){ .selector = inner, .range_ms = range->ms, .range_expr = range->expr };
    parse_adopt(e, inner);
    return e;
}

static struct expr *
parse_subquery(struct parser *p, struct expr *inner, const struct span *range)
{
    struct span step = { 0 };

    if (!parse_accept(p, TOKEN_RIGHT_BRACKET)) {
        if (!parse_span(p, &step)) {
            parse_unexpected_item(p, "subquery selector",
                                  "number, duration, step(), range(), or \"]\"");
            return NULL;
        }
        if (!parse_accept(p, TOKEN_RIGHT_BRACKET)) {
            parse_unexpected_item(p, "subquery selector", "\"]\"");
            return NULL;
        }
    }
    struct expr *e = parse_new(p, EXPR_SUBQUERY, VALUE_MATRIX,
                               (struct pos_range){ inner->pos.start, p->last_closing });
    e->subquery = (struct subquery_expr){ .inner = inner,
                                          .range_ms = range->ms,
                                          .range_expr = range->expr,
                                          .step_ms = step.ms,
                                          .step_expr = step.expr };
    parse_adopt(e, inner);
    parse_adopt(e, range->expr);
    parse_adopt(e, step.expr);
    return e;
}

static struct expr *
parse_brackets(struct parser *p, struct expr *inner, struct token open)
{
    struct span range;

    if (!parse_span(p, &range)) {
        parse_unexpected_item(p, "subquery or range selector",
                              "number, duration, step(), or range()");
        return NULL;
    }
    if (parse_accept(p, TOKEN_RIGHT_BRACKET))
        return matrix_new(p, inner, &range, open);
    if (parse_accept(p, TOKEN_COLON))
        return parse_subquery(p, inner, &range);
    parse_unexpected_item(p, "subquery or range", "\":\" or \"]\"");
    return NULL;
}

struct expr *
parse_postfix(struct parser *p, struct expr *e)
{
    while (e != NULL) {
        switch (parse_peek(p)->type) {
        case TOKEN_OFFSET:
            parse_take(p);
            if (!parse_offset(p, e))
                return NULL;
            break;
        case TOKEN_AT:
            parse_take(p);
            if (!parse_at(p, e))
                return NULL;
            break;
        case TOKEN_ANCHORED:
        case TOKEN_SMOOTHED:
            set_extended(p, e, parse_take(p).type == TOKEN_SMOOTHED);
            break;
        case TOKEN_LEFT_BRACKET:
            e = parse_brackets(p, e, parse_take(p));
            break;
        default:
            return e;
        }
    }
    return NULL;
}
