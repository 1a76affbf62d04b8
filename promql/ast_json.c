/* Keys stand in alphabetical order, as Go's encoder puts those of a map. */
#include "promql/ast_json.h"
#include <inttypes.h>
#include "base/decimal.h"
#include "promql/quote.h"

static void
json_string(struct buf *out, struct str s)
{
    buf_byte(out, '"');
    while (s.n != 0) {
        uint32_t rune;
        size_t n = str_rune(s, &rune);

        if (rune == '"' || rune == '\\')
            buf_printf(out, "\\%c", (int)rune);
        else if (rune < 0x20 || rune == 0x2028 || rune == 0x2029)
            buf_printf(out, "\\u%04x", rune);
        else
            rune_put(out, rune);
        s = str_skip(s, n);
    }
    buf_byte(out, '"');
}

static void
json_bool(struct buf *out, const char *key, bool v)
{
    buf_printf(out, "\"%s\":%s", key, v ? "true" : "false");
}

static void
json_strings(struct buf *out, const char *key, const struct str *items, size_t nr)
{
    buf_printf(out, "\"%s\":[", key);
    for (size_t i = 0; i < nr; i++) {
        if (i > 0)
            buf_byte(out, ',');
        json_string(out, items[i]);
    }
    buf_byte(out, ']');
}

/* "key":value, null when there is no node. */
static void
json_child(struct buf *out, const char *key, const struct expr *e)
{
    buf_printf(out, "\"%s\":", key);
    if (e == NULL)
        buf_c(out, "null");
    else
        expr_json(e, out);
}

static void
json_number(struct buf *out, const struct number_expr *n, bool in_duration)
{
    char text[DECIMAL_BYTES_MAX];

    buf_byte(out, '{');
    if (in_duration) {
        json_bool(out, "duration", n->duration);
        buf_byte(out, ',');
    }
    buf_c(out, "\"type\":\"numberLiteral\",\"val\":\"");
    buf_add(out, text, decimal_format_fixed(n->v, text));
    buf_c(out, "\"}");
}

static void
json_duration(struct buf *out, const char *key, const struct expr *e)
{
    buf_printf(out, "\"%s\":", key);
    if (e == NULL) {
        buf_c(out, "null");
    } else if (e->kind == EXPR_NUMBER) {
        json_number(out, &e->number, true);
    } else {
        buf_byte(out, '{');
        json_duration(out, "lhs", e->duration.lhs);
        buf_printf(out, ",\"op\":\"%s\",", promql_operators[e->duration.op].text);
        json_duration(out, "rhs", e->duration.rhs);
        buf_c(out, ",\"type\":\"durationExpr\",");
        json_bool(out, "wrapped", e->duration.wrapped);
        buf_byte(out, '}');
    }
}

static void
json_fill(struct buf *out, const char *key, bool has, double v)
{
    char text[DECIMAL_BYTES_MAX];

    buf_printf(out, "\"%s\":", key);
    if (has)
        buf_add(out, text, decimal_format_general(v, text));
    else
        buf_c(out, "null");
}

static void
json_matching(struct buf *out, const struct vector_matching *m)
{
    if (m == NULL) {
        buf_c(out, "\"matching\":null");
        return;
    }
    buf_printf(out, "\"matching\":{\"card\":\"%s\",\"fillValues\":{", match_card_text(m->card));
    json_fill(out, "lhs", m->has_fill_left, m->fill_left);
    buf_byte(out, ',');
    json_fill(out, "rhs", m->has_fill_right, m->fill_right);
    buf_c(out, "},");
    json_strings(out, "include", m->include, m->include_nr);
    buf_byte(out, ',');
    json_strings(out, "labels", m->labels, m->labels_nr);
    buf_byte(out, ',');
    json_bool(out, "on", m->on);
    buf_byte(out, '}');
}

static void
json_binary(struct buf *out, const struct binary_expr *b)
{
    json_bool(out, "bool", b->return_bool);
    buf_byte(out, ',');
    json_child(out, "lhs", b->lhs);
    buf_byte(out, ',');
    json_matching(out, b->matching);
    buf_c(out, ",\"op\":");
    json_string(out, str_c(promql_operators[b->op].text));
    buf_byte(out, ',');
    json_child(out, "rhs", b->rhs);
    buf_c(out, ",\"type\":\"binaryExpr\"");
}

static void
json_aggregate(struct buf *out, const struct aggregate_expr *a)
{
    json_child(out, "expr", a->inner);
    buf_byte(out, ',');
    json_strings(out, "grouping", a->grouping, a->grouping_nr);
    buf_printf(out, ",\"op\":\"%s\",", promql_aggregates[a->op].name);
    json_child(out, "param", a->param);
    buf_c(out, ",\"type\":\"aggregation\",");
    json_bool(out, "without", a->without);
}

static void
json_function(struct buf *out, const struct function *fn)
{
    buf_c(out, "\"func\":{\"argTypes\":[");
    for (size_t i = 0; i < fn->args_nr; i++)
        buf_printf(out, "%s\"%s\"", i == 0 ? "" : ",", value_type_text(fn->args[i]));
    buf_printf(out, "],\"name\":\"%s\",\"returnType\":\"%s\",\"variadic\":%d}", fn->name,
               value_type_text(fn->result), fn->variadic);
}

static void
json_call(struct buf *out, const struct call_expr *c)
{
    buf_c(out, "\"args\":[");
    for (size_t i = 0; i < c->args_nr; i++) {
        if (i > 0)
            buf_byte(out, ',');
        expr_json(c->args[i], out);
    }
    buf_c(out, "],");
    json_function(out, c->fn);
    buf_c(out, ",\"type\":\"call\"");
}

static void
json_offset(struct buf *out, const struct time_shift *shift)
{
    buf_printf(out, "\"offset\":%" PRId64 ",", shift->offset_ms);
    json_duration(out, "offsetExpr", shift->offset_expr);
    buf_byte(out, ',');
}

static void
json_start_or_end(struct buf *out, const struct time_shift *shift)
{
    const char *text = shift->at == AT_START ? "\"start\"" : "\"end\"";

    buf_printf(out, "\"startOrEnd\":%s",
               shift->at == AT_START || shift->at == AT_END ? text : "null");
}

static void
json_timestamp(struct buf *out, const struct time_shift *shift)
{
    if (shift->at == AT_TIME)
        buf_printf(out, "\"timestamp\":%" PRId64, shift->at_ms);
    else
        buf_c(out, "\"timestamp\":null");
}

static void
json_matchers(struct buf *out, const struct selector_expr *s)
{
    buf_c(out, "\"matchers\":[");
    for (size_t i = 0; i < s->matchers_nr; i++) {
        buf_c(out, i == 0 ? "{\"name\":" : ",{\"name\":");
        json_string(out, s->matchers[i].name);
        buf_printf(out, ",\"type\":\"%s\",\"value\":", match_type_text(s->matchers[i].type));
        json_string(out, s->matchers[i].value);
        buf_byte(out, '}');
    }
    buf_c(out, "],\"name\":");
    json_string(out, s->name);
    buf_byte(out, ',');
}

/* A selector, with a range when m is given. */
static void
json_selector(struct buf *out, const struct selector_expr *s, const struct matrix_expr *m)
{
    json_bool(out, "anchored", s->anchored);
    buf_byte(out, ',');
    json_matchers(out, s);
    json_offset(out, &s->shift);
    if (m != NULL) {
        buf_printf(out, "\"range\":%" PRId64 ",", m->range_ms);
        json_duration(out, "rangeExpr", m->range_expr);
        buf_byte(out, ',');
    }
    json_bool(out, "smoothed", s->smoothed);
    buf_byte(out, ',');
    json_start_or_end(out, &s->shift);
    buf_byte(out, ',');
    json_timestamp(out, &s->shift);
    buf_printf(out, ",\"type\":\"%s\"", m == NULL ? "vectorSelector" : "matrixSelector");
}

static void
json_subquery(struct buf *out, const struct subquery_expr *s)
{
    json_child(out, "expr", s->inner);
    buf_byte(out, ',');
    json_offset(out, &s->shift);
    buf_printf(out, "\"range\":%" PRId64 ",", s->range_ms);
    json_duration(out, "rangeExpr", s->range_expr);
    buf_byte(out, ',');
    json_start_or_end(out, &s->shift);
    buf_printf(out, ",\"step\":%" PRId64 ",", s->step_ms);
    json_duration(out, "stepExpr", s->step_expr);
    buf_byte(out, ',');
    json_timestamp(out, &s->shift);
    buf_c(out, ",\"type\":\"subquery\"");
}

static void
json_members(struct buf *out, const struct expr *e)
{
    switch (e->kind) {
    case EXPR_STRING:
        buf_c(out, "\"type\":\"stringLiteral\",\"val\":");
        json_string(out, e->string.v);
        break;
    case EXPR_PAREN:
        json_child(out, "expr", e->paren.inner);
        buf_c(out, ",\"type\":\"parenExpr\"");
        break;
    case EXPR_UNARY:
        json_child(out, "expr", e->unary.inner);
        buf_printf(out, ",\"op\":\"%s\",\"type\":\"unaryExpr\"",
                   promql_operators[e->unary.op].text);
        break;
    case EXPR_BINARY:
        json_binary(out, &e->binary);
        break;
    case EXPR_CALL:
        json_call(out, &e->call);
        break;
    case EXPR_AGGREGATE:
        json_aggregate(out, &e->aggregate);
        break;
    case EXPR_SELECTOR:
        json_selector(out, &e->selector, NULL);
        break;
    case EXPR_MATRIX:
        json_selector(out, &e->matrix.selector->selector, &e->matrix);
        break;
    case EXPR_SUBQUERY:
        json_subquery(out, &e->subquery);
        break;
    case EXPR_NUMBER:
    case EXPR_DURATION:
    case EXPR_STEP_INVARIANT:
        break; /* not in braces of their own */
    }
}

void
expr_json(const struct expr *e, struct buf *out)
{
    if (e->kind == EXPR_STEP_INVARIANT) {
        expr_json(e->step_invariant.inner, out);
    } else if (e->kind == EXPR_NUMBER) {
        json_number(out, &e->number, false);
    } else {
        buf_byte(out, '{');
        json_members(out, e);
        buf_byte(out, '}');
    }
}
