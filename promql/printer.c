/* To find out whether a node fits on a line it is printed into scratch, which stops soon behind the
 * limit: the cost is bounded by the limit for each node, not by the text below it. */
#include "promql/printer.h"
#include "base/decimal.h"
#include "base/duration.h"
#include "base/mem.h"
#include "model/labels.h"
#include "promql/quote.h"

struct printer {
    struct buf *out;
    size_t limit; /* nothing more is needed once out has more than that */
};

static void print(struct printer *pr, const struct expr *e);

static bool
full(const struct printer *pr)
{
    return pr->out->n > pr->limit;
}

static void
print_float(struct buf *out, double v)
{
    char text[DECIMAL_BYTES_MAX];

    buf_add(out, text, decimal_format_fixed(v, text));
}

static void
print_number(struct buf *out, const struct number_expr *n)
{
    if (!n->duration) {
        print_float(out, n->v);
        return;
    }
    if (n->v < 0)
        buf_byte(out, '-');
    double ns = (n->v < 0 ? -n->v : n->v) * 1e9;
    duration_print(ns < 9223372036854775808.0 ? (int64_t)ns / 1000000 : DURATION_MS_MAX, out);
}

static void
print_labels(struct buf *out, const struct str *labels, size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        if (i > 0)
            buf_c(out, ", ");
        if (label_name_legacy(labels[i]))
            buf_str(out, labels[i]);
        else
            quote(out, labels[i]);
    }
}

static void
print_fill(struct buf *out, const char *name, double v)
{
    char text[DECIMAL_BYTES_MAX];

    buf_printf(out, " %s (", name);
    buf_add(out, text, decimal_format_general(v, text));
    buf_byte(out, ')');
}

static void
print_fills(struct buf *out, const struct vector_matching *m)
{
    if (m->has_fill_left && m->has_fill_right && m->fill_left == m->fill_right) {
        print_fill(out, "fill", m->fill_left);
        return;
    }
    if (m->has_fill_left)
        print_fill(out, "fill_left", m->fill_left);
    if (m->has_fill_right)
        print_fill(out, "fill_right", m->fill_right);
}

/* The operator with its modifiers. */
static void
print_operator(struct buf *out, const struct binary_expr *b)
{
    const struct vector_matching *m = b->matching;

    buf_c(out, promql_operators[b->op].text);
    if (b->return_bool)
        buf_c(out, " bool");
    if (m == NULL)
        return;
    bool grouped = m->card == CARD_MANY_TO_ONE || m->card == CARD_ONE_TO_MANY;
    if (m->labels_nr > 0 || m->on || grouped) {
        buf_c(out, m->on ? " on (" : " ignoring (");
        print_labels(out, m->labels, m->labels_nr);
        buf_byte(out, ')');
    }
    if (grouped) {
        buf_c(out, m->card == CARD_MANY_TO_ONE ? " group_left (" : " group_right (");
        print_labels(out, m->include, m->include_nr);
        buf_byte(out, ')');
    }
    print_fills(out, m);
}

static void
print_aggregate_head(struct buf *out, const struct aggregate_expr *a)
{
    buf_c(out, promql_aggregates[a->op].name);
    if (!a->without && a->grouping_nr == 0)
        return;
    buf_c(out, a->without ? " without (" : " by (");
    print_labels(out, a->grouping, a->grouping_nr);
    buf_c(out, ") ");
}

static void
print_duration(struct printer *pr, const struct duration_expr *d)
{
    const char *text = promql_operators[d->op].text;

    if (d->wrapped)
        buf_byte(pr->out, '(');
    if (d->op == OP_STEP || d->op == OP_RANGE) {
        buf_printf(pr->out, "%s()", text);
    } else if (d->op == OP_MIN_OF || d->op == OP_MAX_OF) {
        buf_printf(pr->out, "%s(", text);
        print(pr, d->lhs);
        buf_c(pr->out, ", ");
        print(pr, d->rhs);
        buf_byte(pr->out, ')');
    } else {
        if (d->lhs != NULL) {
            print(pr, d->lhs);
            buf_printf(pr->out, " %s ", text);
        } else if (d->op == OP_SUB) {
            buf_byte(pr->out, '-');
        }
        print(pr, d->rhs);
    }
    if (d->wrapped)
        buf_byte(pr->out, ')');
}

static void
print_at(struct buf *out, const struct time_shift *shift)
{
    if (shift->at == AT_TIME)
        buf_printf(out, " @ %.3f", (double)shift->at_ms / 1000);
    else if (shift->at == AT_START)
        buf_c(out, " @ start()");
    else if (shift->at == AT_END)
        buf_c(out, " @ end()");
}

static bool
is_negation(const struct expr *e)
{
    return e->kind == EXPR_DURATION && e->duration.op == OP_SUB && e->duration.lhs == NULL;
}

/* Behind `offset`, a sum goes on only when it starts with a parenthesis or with two signs. `--5 +
 * 3` is such a sum, but of its signs nothing is left to print: parentheses hold it together. */
static bool
needs_parens(const struct expr *offset)
{
    const struct expr *first = offset;

    while (first->kind == EXPR_DURATION && !first->duration.wrapped &&
           first->duration.lhs != NULL && first->duration.op <= OP_POW)
        first = first->duration.lhs;
    if (first == offset || (first->kind == EXPR_DURATION && first->duration.wrapped))
        return false;
    return !(is_negation(first) && is_negation(first->duration.rhs) &&
             !first->duration.rhs->duration.wrapped);
}

static void
print_offset(struct printer *pr, const struct time_shift *shift)
{
    if (shift->offset_expr != NULL) {
        bool parens = needs_parens(shift->offset_expr);

        buf_c(pr->out, parens ? " offset (" : " offset ");
        print(pr, shift->offset_expr);
        if (parens)
            buf_byte(pr->out, ')');
    } else if (shift->offset_set) {
        buf_c(pr->out, " offset ");
        duration_print(shift->offset_ms, pr->out);
    }
}

static int
cmp_texts(const void *a, const void *b)
{
    const struct buf *x = a, *y = b;

    return str_cmp(buf_as_str(x), buf_as_str(y));
}

/* The name's own matcher is shown by the name in front. */
static bool
is_name_matcher(const struct selector_expr *s, const struct matcher *m)
{
    return m->type == MATCH_EQ && str_is(m->name, "__name__") && m->value.n != 0 &&
           str_eq(m->value, s->name);
}

/* name{matchers sorted by their text} */
static void
print_matchers(struct buf *out, const struct selector_expr *s)
{
    struct buf *texts = MEM_NEW_ARRAY(struct buf, s->matchers_nr + 1);
    size_t nr = 0;

    for (size_t i = 0; i < s->matchers_nr; i++) {
        if (!is_name_matcher(s, &s->matchers[i]))
            matcher_print(&s->matchers[i], &texts[nr++]);
    }
    qsort(texts, nr, sizeof texts[0], cmp_texts);
    buf_str(out, s->name);
    for (size_t i = 0; i < nr; i++) {
        buf_byte(out, i == 0 ? '{' : ',');
        buf_str(out, buf_as_str(&texts[i]));
        buf_fini(&texts[i]);
    }
    if (nr != 0)
        buf_byte(out, '}');
    mem_free(texts);
}

static const char *
extended_text(const struct selector_expr *s)
{
    return s->anchored ? " anchored" : s->smoothed ? " smoothed" : "";
}

static void
print_range(struct printer *pr, int64_t ms, const struct expr *expr)
{
    if (expr != NULL)
        print(pr, expr);
    else
        duration_print(ms, pr->out);
}

static void
print_selector(struct printer *pr, const struct selector_expr *s)
{
    print_matchers(pr->out, s);
    print_at(pr->out, &s->shift);
    buf_c(pr->out, extended_text(s));
    print_offset(pr, &s->shift);
}

static void
print_matrix(struct printer *pr, const struct matrix_expr *m)
{
    const struct selector_expr *s = &m->selector->selector;

    print_matchers(pr->out, s);
    buf_byte(pr->out, '[');
    print_range(pr, m->range_ms, m->range_expr);
    buf_byte(pr->out, ']');
    buf_c(pr->out, extended_text(s));
    print_at(pr->out, &s->shift);
    print_offset(pr, &s->shift);
}

/* [range:step] with @ and offset. */
static void
print_subquery_suffix(struct printer *pr, const struct subquery_expr *s)
{
    buf_byte(pr->out, '[');
    print_range(pr, s->range_ms, s->range_expr);
    buf_byte(pr->out, ':');
    if (s->step_ms != 0)
        duration_print(s->step_ms, pr->out);
    else if (s->step_expr != NULL)
        print(pr, s->step_expr);
    buf_byte(pr->out, ']');
    print_at(pr->out, &s->shift);
    print_offset(pr, &s->shift);
}

static void
print_call(struct printer *pr, const struct call_expr *c)
{
    buf_printf(pr->out, "%s(", c->fn->name);
    for (size_t i = 0; i < c->args_nr && !full(pr); i++) {
        if (i > 0)
            buf_c(pr->out, ", ");
        print(pr, c->args[i]);
    }
    buf_byte(pr->out, ')');
}

static void
print_aggregate(struct printer *pr, const struct aggregate_expr *a)
{
    print_aggregate_head(pr->out, a);
    buf_byte(pr->out, '(');
    if (a->param != NULL) {
        print(pr, a->param);
        buf_c(pr->out, ", ");
    }
    print(pr, a->inner);
    buf_byte(pr->out, ')');
}

static void
print_binary(struct printer *pr, const struct binary_expr *b)
{
    print(pr, b->lhs);
    buf_byte(pr->out, ' ');
    print_operator(pr->out, b);
    buf_byte(pr->out, ' ');
    print(pr, b->rhs);
}

static void
print(struct printer *pr, const struct expr *e)
{
    if (full(pr))
        return;
    switch (e->kind) {
    case EXPR_NUMBER:
        print_number(pr->out, &e->number);
        break;
    case EXPR_STRING:
        quote(pr->out, e->string.v);
        break;
    case EXPR_PAREN:
        buf_byte(pr->out, '(');
        print(pr, e->paren.inner);
        buf_byte(pr->out, ')');
        break;
    case EXPR_UNARY:
        buf_c(pr->out, promql_operators[e->unary.op].text);
        print(pr, e->unary.inner);
        break;
    case EXPR_BINARY:
        print_binary(pr, &e->binary);
        break;
    case EXPR_CALL:
        print_call(pr, &e->call);
        break;
    case EXPR_AGGREGATE:
        print_aggregate(pr, &e->aggregate);
        break;
    case EXPR_SELECTOR:
        print_selector(pr, &e->selector);
        break;
    case EXPR_MATRIX:
        print_matrix(pr, &e->matrix);
        break;
    case EXPR_SUBQUERY:
        print(pr, e->subquery.inner);
        print_subquery_suffix(pr, &e->subquery);
        break;
    case EXPR_DURATION:
        print_duration(pr, &e->duration);
        break;
    case EXPR_STEP_INVARIANT:
        print(pr, e->step_invariant.inner);
        break;
    }
}

void
expr_print(const struct expr *e, struct buf *out)
{
    struct printer pr = { .out = out, .limit = SIZE_MAX };

    print(&pr, e);
}

static bool
needs_split(const struct expr *e)
{
    struct buf scratch = { 0 };
    struct printer pr = { .out = &scratch, .limit = PROMQL_LINE_BYTES };

    print(&pr, e);
    bool over = full(&pr);
    buf_fini(&scratch);
    return over;
}

static void
indent(struct buf *out, size_t level)
{
    for (size_t i = 0; i < level; i++)
        buf_c(out, "  ");
}

static void pretty(const struct expr *e, size_t level, struct buf *out);

/* Children on lines of their own, then the closing parenthesis. */
static void
pretty_close(struct buf *out, size_t level)
{
    buf_byte(out, '\n');
    indent(out, level);
    buf_byte(out, ')');
}

static void
pretty_call(const struct call_expr *c, size_t level, struct buf *out)
{
    buf_printf(out, "%s(\n", c->fn->name);
    for (size_t i = 0; i < c->args_nr; i++) {
        if (i > 0)
            buf_c(out, ",\n");
        pretty(c->args[i], level + 1, out);
    }
    pretty_close(out, level);
}

static void
pretty_aggregate(const struct aggregate_expr *a, size_t level, struct buf *out)
{
    print_aggregate_head(out, a);
    buf_c(out, "(\n");
    if (a->param != NULL) {
        pretty(a->param, level + 1, out);
        buf_c(out, ",\n");
    }
    pretty(a->inner, level + 1, out);
    pretty_close(out, level);
}

static void
pretty_binary(const struct binary_expr *b, size_t level, struct buf *out)
{
    pretty(b->lhs, level + 1, out);
    buf_byte(out, '\n');
    indent(out, level);
    print_operator(out, b);
    buf_byte(out, '\n');
    pretty(b->rhs, level + 1, out);
}

/* The sign stands behind the indentation, in front of the operand's text. */
static void
pretty_unary(const struct unary_expr *u, size_t level, struct buf *out)
{
    struct buf inner = { 0 };

    indent(out, level);
    buf_c(out, promql_operators[u->op].text);
    pretty(u->inner, level, &inner);
    buf_str(out, str_trim(buf_as_str(&inner)));
    buf_fini(&inner);
}

static void
pretty_subquery(const struct expr *e, size_t level, struct buf *out)
{
    struct printer pr = { .out = out, .limit = SIZE_MAX };

    if (!needs_split(e)) {
        expr_print(e, out); /* Prometheus does not indent these */
        return;
    }
    pretty(e->subquery.inner, level, out);
    print_subquery_suffix(&pr, &e->subquery);
}

static void
pretty_split(const struct expr *e, size_t level, struct buf *out)
{
    switch (e->kind) {
    case EXPR_CALL:
        indent(out, level);
        pretty_call(&e->call, level, out);
        break;
    case EXPR_AGGREGATE:
        indent(out, level);
        pretty_aggregate(&e->aggregate, level, out);
        break;
    case EXPR_PAREN:
        indent(out, level);
        buf_c(out, "(\n");
        pretty(e->paren.inner, level + 1, out);
        pretty_close(out, level);
        break;
    default:
        pretty_binary(&e->binary, level, out);
        break;
    }
}

static void
pretty(const struct expr *e, size_t level, struct buf *out)
{
    bool splits = e->kind == EXPR_CALL || e->kind == EXPR_AGGREGATE || e->kind == EXPR_PAREN ||
                  e->kind == EXPR_BINARY;

    if (e->kind == EXPR_STEP_INVARIANT) {
        pretty(e->step_invariant.inner, level, out);
    } else if (e->kind == EXPR_UNARY) {
        pretty_unary(&e->unary, level, out);
    } else if (e->kind == EXPR_SUBQUERY) {
        pretty_subquery(e, level, out);
    } else if (splits && needs_split(e)) {
        pretty_split(e, level, out);
    } else {
        indent(out, level);
        expr_print(e, out);
    }
}

void
expr_print_pretty(const struct expr *e, struct buf *out)
{
    pretty(e, 0, out);
}
