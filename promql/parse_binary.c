/* [bool] [on|ignoring (labels) [group_left|group_right [(labels)]]] [fill modifiers] */
#include "promql/parse_priv.h"

static bool
parse_fill_value(struct parser *p, double *v)
{
    bool negative = false;

    if (!parse_accept(p, TOKEN_LEFT_PAREN))
        return false;
    const struct token *t = parse_peek(p);
    if (t->type == TOKEN_OPERATOR && (t->op == OP_ADD || t->op == OP_SUB)) {
        negative = t->op == OP_SUB;
        parse_take(p);
    }
    if (!parse_is_number(parse_peek(p)))
        return false;
    struct token number = parse_take(p);
    *v = parse_number_literal(p, &number);
    if (negative)
        *v = -*v;
    return parse_accept(p, TOKEN_RIGHT_PAREN);
}

/* fill(x), or fill_left(x) and fill_right(y) in any order. */
static bool
parse_fill(struct parser *p, struct vector_matching *m)
{
    if (parse_accept(p, TOKEN_FILL)) {
        if (!parse_fill_value(p, &m->fill_left))
            return false;
        m->fill_right = m->fill_left;
        m->has_fill_left = m->has_fill_right = true;
        return true;
    }
    for (;;) {
        if (!m->has_fill_left && parse_accept(p, TOKEN_FILL_LEFT)) {
            m->has_fill_left = true;
            if (!parse_fill_value(p, &m->fill_left))
                return false;
        } else if (!m->has_fill_right && parse_accept(p, TOKEN_FILL_RIGHT)) {
            m->has_fill_right = true;
            if (!parse_fill_value(p, &m->fill_right))
                return false;
        } else {
            return true;
        }
    }
}

static bool
parse_group(struct parser *p, struct vector_matching *m)
{
    if (parse_accept(p, TOKEN_GROUP_LEFT))
        m->card = CARD_MANY_TO_ONE;
    else if (parse_accept(p, TOKEN_GROUP_RIGHT))
        m->card = CARD_ONE_TO_MANY;
    else
        return true;
    /* A parenthesis here always opens the labels, also in `a * on(b) group_left (c)`. */
    const struct token *t = parse_peek(p);
    bool omitted = t->type != TOKEN_LEFT_PAREN && parse_starts_expr(t);
    return omitted || parse_grouping(p, &m->include, &m->include_nr);
}

bool
parse_modifiers(struct parser *p, struct binary_expr *b)
{
    struct vector_matching *m = ARENA_NEW(p->arena, struct vector_matching);

    b->matching = m;
    b->return_bool = parse_accept(p, TOKEN_BOOL);
    m->on = parse_accept(p, TOKEN_ON);
    if (m->on || parse_accept(p, TOKEN_IGNORING)) {
        if (!parse_grouping(p, &m->labels, &m->labels_nr) || !parse_group(p, m))
            return false;
    }
    return parse_fill(p, m);
}
