#include "promql/parse_priv.h"

struct args {
    struct expr **items;
    size_t nr, cap;
};

bool
parse_starts_expr(const struct token *t)
{
    switch (t->type) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
    case TOKEN_STRING:
    case TOKEN_LEFT_PAREN:
    case TOKEN_LEFT_BRACE:
        return true;
    case TOKEN_OPERATOR:
        return t->op == OP_ADD || t->op == OP_SUB || parse_names_metric(t);
    default:
        return parse_names_metric(t);
    }
}

/* "(" [expr {"," expr}] ")". A comma without an argument behind it is a mistake, but a clear one.
 */
static bool
parse_args(struct parser *p, struct args *args)
{
    struct token comma = { 0 };

    if (!parse_accept(p, TOKEN_LEFT_PAREN))
        return false;
    if (parse_accept(p, TOKEN_RIGHT_PAREN))
        return true;
    for (;;) {
        if (args->nr != 0 && !parse_starts_expr(parse_peek(p))) {
            parse_error(p, comma.pos, "trailing commas not allowed in function call args");
        } else {
            struct expr *e = parse_expr(p, 0);

            if (e == NULL)
                return false;
            ARENA_GROW(p->arena, args->items, args->nr, args->nr + 1, &args->cap);
            args->items[args->nr++] = e;
        }
        if (parse_peek(p)->type != TOKEN_COMMA)
            return parse_accept(p, TOKEN_RIGHT_PAREN);
        comma = parse_take(p);
    }
}

struct expr *
parse_call(struct parser *p, const struct token *name)
{
    const struct function *fn = function_find(name->text);
    struct args args = { 0 };

    if (!parse_args(p, &args))
        return NULL;
    if (fn == NULL)
        parse_error(p, name->pos, "unknown function with name %s", parse_quoted(p, name->text).p);
    else if (fn->experimental && !p->options->experimental_functions)
        parse_error(p, name->pos, "function %s is not enabled", parse_quoted(p, name->text).p);

    struct pos_range pos = { name->pos.start, p->last_closing };
    struct expr *e = parse_new(p, EXPR_CALL, fn == NULL ? VALUE_NONE : fn->result, pos);
    e->call = (struct call_expr){ .fn = fn, .args = args.items, .args_nr = args.nr };
    for (size_t i = 0; i < args.nr; i++)
        parse_adopt(e, args.items[i]);
    return e;
}

/* [by|without (labels)]; *found says whether it was there. */
static bool
parse_aggregate_modifier(struct parser *p, struct aggregate_expr *a, bool *found)
{
    a->without = parse_accept(p, TOKEN_WITHOUT);
    *found = a->without || parse_accept(p, TOKEN_BY);
    return !*found || parse_grouping(p, &a->grouping, &a->grouping_nr);
}

/* Fills in operand and parameter from the arguments. */
static void
take_args(struct parser *p, struct expr *e, const struct args *args)
{
    const struct aggregate *row = &promql_aggregates[e->aggregate.op];
    size_t want = row->param == VALUE_NONE ? 1 : 2;

    if (args->nr == 0) {
        parse_error(p, e->pos, "no arguments for aggregate expression provided");
    } else if (row->experimental && !p->options->experimental_functions) {
        parse_error(p, e->pos,
                    "%s() is experimental and must be enabled with "
                    "--enable-feature=promql-experimental-functions",
                    row->name);
    } else if (args->nr != want) {
        parse_error(p, e->pos,
                    "wrong number of arguments for aggregate expression provided, expected %zu, "
                    "got %zu",
                    want, args->nr);
    } else {
        e->aggregate.param = want == 2 ? args->items[0] : NULL;
        e->aggregate.inner = args->items[want - 1];
        parse_adopt(e, e->aggregate.param);
        parse_adopt(e, e->aggregate.inner);
    }
}

/* The modifier stands in front of the arguments or behind them. */
static bool
parse_aggregate_parts(struct parser *p, struct aggregate_expr *a, struct args *args,
                      uint32_t *closing)
{
    bool found;

    if (!parse_aggregate_modifier(p, a, &found) || !parse_args(p, args))
        return false;
    /* Looking for the modifier reads on, perhaps past the next parenthesis. */
    *closing = p->last_closing;
    if (!found) {
        if (!parse_aggregate_modifier(p, a, &found))
            return false;
        if (found)
            *closing = p->last_closing;
    }
    return true;
}

struct expr *
parse_aggregate(struct parser *p, const struct token *name)
{
    struct expr *e = parse_new(p, EXPR_AGGREGATE, VALUE_VECTOR, name->pos);
    struct args args = { 0 };

    e->aggregate.op = name->aggr;
    if (!parse_aggregate_parts(p, &e->aggregate, &args, &e->pos.end)) {
        bool told = p->told;

        parse_unexpected_item(p, "aggregation", "");
        if (!told)
            parse_error(p, (struct pos_range){ name->pos.start, p->last_closing },
                        "no arguments for aggregate expression provided");
        return NULL;
    }
    take_args(p, e, &args);
    return e;
}
