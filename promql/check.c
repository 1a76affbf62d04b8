/* The tree is walked with a stack of our own, since it may be a million levels high here: only a
 * tree without mistakes is refused for its height. Around a node there are three moments: before
 * its children (enter), behind the i-th child (after_child), and behind all of them (leave). */
#include "promql/check.h"
#include <stdio.h>
#include "base/mem.h"
#include "promql/lexer.h"
#include "promql/parse_priv.h"

struct frame {
    struct expr *e;
    size_t next; /* child to visit */
};

struct stack {
    struct frame *frames;
    size_t nr, cap;
};

static bool
is_value(enum value_type type)
{
    return type == VALUE_SCALAR || type == VALUE_VECTOR;
}

/* The operator with its modifiers: what stands between the operands, without the spaces around it.
 * Its end is the last byte, not one past it, as Prometheus has it. */
static struct pos_range
operator_range(const struct parser *p, const struct binary_expr *b)
{
    struct pos_range r = { b->lhs->pos.end, b->rhs->pos.start - 1 };
    const char *text = p->lexer.text.p;

    while (lexer_is_space((uint8_t)text[r.start]))
        r.start++;
    while (lexer_is_space((uint8_t)text[r.end]))
        r.end--;
    return r;
}

static void
check_bool(struct parser *p, const struct binary_expr *b)
{
    bool scalars = b->lhs->type == VALUE_SCALAR && b->rhs->type == VALUE_SCALAR;

    if (b->return_bool && !op_is_comparison(b->op))
        parse_error(p, operator_range(p, b),
                    "bool modifier can only be used on comparison operators");
    if (op_is_comparison(b->op) && !b->return_bool && scalars)
        parse_error(p, operator_range(p, b), "comparisons between scalars must use BOOL modifier");
}

static void
check_labels_once(struct parser *p, const struct binary_expr *b)
{
    const struct vector_matching *m = b->matching;

    if (!m->on)
        return;
    for (size_t i = 0; i < m->labels_nr; i++) {
        for (size_t j = 0; j < m->include_nr; j++) {
            if (str_eq(m->labels[i], m->include[j]))
                parse_error(p, operator_range(p, b),
                            "label %s must not occur in ON and GROUP clause at once",
                            parse_quoted(p, m->labels[i]).p);
        }
    }
}

/* Matching makes sense between vectors only. */
static void
drop_matching(struct parser *p, struct expr *e)
{
    const struct vector_matching *m = e->binary.matching;

    if (m->labels_nr > 0)
        parse_error(p, e->pos, "vector matching only allowed between instant vectors");
    if (m->has_fill_left || m->has_fill_right)
        parse_error(p, e->pos, "filling in missing series only allowed between instant vectors");
    e->binary.matching = NULL;
}

static void
check_set_matching(struct parser *p, const struct expr *e)
{
    const struct vector_matching *m = e->binary.matching;

    if (m->card == CARD_ONE_TO_MANY || m->card == CARD_MANY_TO_ONE)
        parse_error(p, e->pos, "no grouping allowed for \"%s\" operation",
                    promql_operators[e->binary.op].text);
    if (m->card != CARD_MANY_TO_MANY)
        parse_error(p, e->pos, "set operations must always be many-to-many");
    if (m->has_fill_left || m->has_fill_right)
        parse_error(p, e->pos, "filling in missing series not allowed for set operators");
}

static void
leave_binary(struct parser *p, struct expr *e)
{
    static const char only[] =
        "binary expression must contain only scalar and instant vector types";
    struct binary_expr *b = &e->binary;
    enum value_type lhs = b->lhs->type, rhs = b->rhs->type;
    bool set = op_is_set(b->op);

    check_bool(p, b);
    if (set && b->matching->card == CARD_ONE_TO_ONE)
        b->matching->card = CARD_MANY_TO_MANY;
    check_labels_once(p, b);
    if (!is_value(lhs))
        parse_error(p, b->lhs->pos, only);
    if (!is_value(rhs))
        parse_error(p, b->rhs->pos, only);
    if (lhs != VALUE_VECTOR || rhs != VALUE_VECTOR)
        drop_matching(p, e);
    else if (set)
        check_set_matching(p, e);
    if (set && (lhs == VALUE_SCALAR || rhs == VALUE_SCALAR))
        parse_error(p, e->pos, "set operator \"%s\" not allowed in binary scalar expression",
                    promql_operators[b->op].text);
}

static void
check_args_nr(struct parser *p, const struct expr *e)
{
    const struct function *fn = e->call.fn;
    size_t least = fn->variadic == 0 ? fn->args_nr : fn->args_nr - 1u;
    size_t nr = e->call.args_nr;

    if (fn->variadic == 0) {
        if (nr != least)
            parse_error(p, e->pos, "expected %zu argument(s) in call to \"%s\", got %zu", least,
                        fn->name, nr);
    } else if (nr < least) {
        parse_error(p, e->pos, "expected at least %zu argument(s) in call to \"%s\", got %zu",
                    least, fn->name, nr);
    } else if (fn->variadic > 0 && nr > least + (size_t)fn->variadic) {
        parse_error(p, e->pos, "expected at most %zu argument(s) in call to \"%s\", got %zu",
                    least + (size_t)fn->variadic, fn->name, nr);
    }
}

/* The second argument of info() is a selector of labels without a metric. */
static void
check_info(struct parser *p, struct expr *e)
{
    struct expr *arg = e->call.args[1];

    if (arg->type != VALUE_VECTOR)
        parse_error(p, e->pos, "expected type instant vector in call to function \"info\", got %s",
                    value_type_documented(arg->type));
    if (arg->kind != EXPR_SELECTOR)
        parse_error(p, arg->pos, "expected label selectors only");
    else if (arg->selector.name.n != 0)
        parse_error(p, arg->pos, "expected label selectors only, got vector selector instead");
    else
        arg->selector.allow_empty = true;
}

static void
enter(struct parser *p, struct expr *e)
{
    if (e->kind != EXPR_CALL)
        return;
    check_args_nr(p, e);
    if (e->call.fn->id == FN_INFO && e->call.args_nr > 1)
        check_info(p, e);
}

static void
expect_type(struct parser *p, const struct expr *e, enum value_type want, const char *where)
{
    if (e->type != want)
        parse_error(p, e->pos, "expected type %s in %s, got %s", value_type_documented(want), where,
                    value_type_documented(e->type));
}

static void
check_arg(struct parser *p, const struct function *fn, const struct expr *arg, size_t i)
{
    char where[64];

    if (i >= fn->args_nr)
        i = fn->args_nr - 1u;
    snprintf(where, sizeof where, "call to function \"%s\"", fn->name);
    expect_type(p, arg, fn->args[i], where);
}

static void
after_child(struct parser *p, struct expr *e, const struct expr *child, size_t i)
{
    if (e->kind == EXPR_CALL)
        check_arg(p, e->call.fn, child, i);
    else if (e->kind == EXPR_AGGREGATE && i == 0)
        expect_type(p, child, VALUE_VECTOR, "aggregation expression");
    else if (e->kind == EXPR_AGGREGATE)
        expect_type(p, child, promql_aggregates[e->aggregate.op].param, "aggregation parameter");
}

/* The metric's name once, and something that keeps an empty selector from meaning "all". */
static void
leave_selector(struct parser *p, const struct expr *e)
{
    const struct selector_expr *s = &e->selector;

    if (s->name.n != 0) {
        for (size_t i = 0; i + 1 < s->matchers_nr; i++) {
            if (str_is(s->matchers[i].name, "__name__"))
                parse_error(p, e->pos, "metric name must not be set twice: %s or %s",
                            parse_quoted(p, s->name).p, parse_quoted(p, s->matchers[i].value).p);
        }
        return;
    }
    if (s->allow_empty)
        return;
    for (size_t i = 0; i < s->matchers_nr; i++) {
        if (!matcher_matches_empty(&s->matchers[i]))
            return;
    }
    parse_error(p, e->pos, "vector selector must contain at least one non-empty matcher");
}

static void
leave(struct parser *p, struct expr *e)
{
    switch (e->kind) {
    case EXPR_BINARY:
        leave_binary(p, e);
        break;
    case EXPR_UNARY:
        if (!is_value(e->type))
            parse_error(p, e->pos,
                        "unary expression only allowed on expressions of type scalar or instant "
                        "vector, got \"%s\"",
                        value_type_documented(e->type));
        break;
    case EXPR_SUBQUERY:
        if (e->subquery.inner->type != VALUE_VECTOR)
            parse_error(p, e->pos, "subquery is only allowed on instant vector, got %s instead",
                        value_type_text(e->subquery.inner->type));
        break;
    case EXPR_SELECTOR:
        leave_selector(p, e);
        break;
    default:
        break;
    }
}

/* Arguments that a function does not take are not looked at. */
static struct expr *
child_to_check(const struct expr *e, size_t i)
{
    if (e->kind == EXPR_CALL && e->call.fn->variadic == 0 && i >= e->call.fn->args_nr)
        return NULL;
    return expr_child(e, i);
}

static void
push(struct parser *p, struct stack *stack, struct expr *e)
{
    enter(p, e);
    MEM_GROW(stack->frames, stack->nr + 1, &stack->cap);
    stack->frames[stack->nr++] = (struct frame){ e, 0 };
}

void
check_expr(struct parser *p, struct expr *root)
{
    struct stack stack = { 0 };

    push(p, &stack, root);
    while (stack.nr != 0) {
        struct frame *top = &stack.frames[stack.nr - 1];
        struct expr *child = child_to_check(top->e, top->next);

        if (child != NULL) {
            top->next++;
            push(p, &stack, child);
            continue;
        }
        leave(p, top->e);
        stack.nr--;
        if (stack.nr != 0)
            after_child(p, top[-1].e, top->e, top[-1].next - 1);
    }
    mem_free(stack.frames);
}
