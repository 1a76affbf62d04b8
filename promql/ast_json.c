/* Keys stand in alphabetical order, as Go's encoder puts those of a map. */
#include "promql/ast_json.h"
#include "base/decimal.h"
#include "base/json.h"

static void write_expr(struct json *j, const struct expr *e);

static void
member_str(struct json *j, const char *key, struct str v)
{
    json_key(j, key);
    json_str(j, v);
}

static void
member_bool(struct json *j, const char *key, bool v)
{
    json_key(j, key);
    json_bool(j, v);
}

static void
member_int(struct json *j, const char *key, int64_t v)
{
    json_key(j, key);
    json_int(j, v);
}

static void
member_strings(struct json *j, const char *key, const struct str *items, size_t nr)
{
    json_key(j, key);
    json_open(j, '[');
    for (size_t i = 0; i < nr; i++)
        json_str(j, items[i]);
    json_close(j, ']');
}

static void
member_expr(struct json *j, const char *key, const struct expr *e)
{
    json_key(j, key);
    if (e == NULL)
        json_null(j);
    else
        write_expr(j, e);
}

static void
member_number(struct json *j, const char *key, double v)
{
    char text[DECIMAL_BYTES_MAX];

    member_str(j, key, (struct str){ text, decimal_format_fixed(v, text) });
}

/* An operand of a duration: numbers say there whether they were written as durations. */
static void
member_duration(struct json *j, const char *key, const struct expr *e)
{
    json_key(j, key);
    if (e == NULL) {
        json_null(j);
        return;
    }
    json_open(j, '{');
    if (e->kind == EXPR_NUMBER) {
        member_bool(j, "duration", e->number.duration);
        member_str(j, "type", STR("numberLiteral"));
        member_number(j, "val", e->number.v);
    } else {
        member_duration(j, "lhs", e->duration.lhs);
        member_str(j, "op", str_c(promql_operators[e->duration.op].text));
        member_duration(j, "rhs", e->duration.rhs);
        member_str(j, "type", STR("durationExpr"));
        member_bool(j, "wrapped", e->duration.wrapped);
    }
    json_close(j, '}');
}

static void
member_fill(struct json *j, const char *key, bool has, double v)
{
    json_key(j, key);
    if (has)
        json_float(j, v);
    else
        json_null(j);
}

static void
member_matching(struct json *j, const struct vector_matching *m)
{
    json_key(j, "matching");
    if (m == NULL) {
        json_null(j);
        return;
    }
    json_open(j, '{');
    member_str(j, "card", str_c(match_card_text(m->card)));
    json_key(j, "fillValues");
    json_open(j, '{');
    member_fill(j, "lhs", m->has_fill_left, m->fill_left);
    member_fill(j, "rhs", m->has_fill_right, m->fill_right);
    json_close(j, '}');
    member_strings(j, "include", m->include, m->include_nr);
    member_strings(j, "labels", m->labels, m->labels_nr);
    member_bool(j, "on", m->on);
    json_close(j, '}');
}

static void
write_binary(struct json *j, const struct binary_expr *b)
{
    member_bool(j, "bool", b->return_bool);
    member_expr(j, "lhs", b->lhs);
    member_matching(j, b->matching);
    member_str(j, "op", str_c(promql_operators[b->op].text));
    member_expr(j, "rhs", b->rhs);
    member_str(j, "type", STR("binaryExpr"));
}

static void
write_aggregate(struct json *j, const struct aggregate_expr *a)
{
    member_expr(j, "expr", a->inner);
    member_strings(j, "grouping", a->grouping, a->grouping_nr);
    member_str(j, "op", str_c(promql_aggregates[a->op].name));
    member_expr(j, "param", a->param);
    member_str(j, "type", STR("aggregation"));
    member_bool(j, "without", a->without);
}

static void
member_function(struct json *j, const struct function *fn)
{
    json_key(j, "func");
    json_open(j, '{');
    json_key(j, "argTypes");
    json_open(j, '[');
    for (size_t i = 0; i < fn->args_nr; i++)
        json_str(j, str_c(value_type_text(fn->args[i])));
    json_close(j, ']');
    member_str(j, "name", str_c(fn->name));
    member_str(j, "returnType", str_c(value_type_text(fn->result)));
    member_int(j, "variadic", fn->variadic);
    json_close(j, '}');
}

static void
write_call(struct json *j, const struct call_expr *c)
{
    json_key(j, "args");
    json_open(j, '[');
    for (size_t i = 0; i < c->args_nr; i++)
        write_expr(j, c->args[i]);
    json_close(j, ']');
    member_function(j, c->fn);
    member_str(j, "type", STR("call"));
}

static void
members_offset(struct json *j, const struct time_shift *shift)
{
    member_int(j, "offset", shift->offset_ms);
    member_duration(j, "offsetExpr", shift->offset_expr);
}

static void
member_start_or_end(struct json *j, const struct time_shift *shift)
{
    json_key(j, "startOrEnd");
    if (shift->at == AT_START || shift->at == AT_END)
        json_str(j, shift->at == AT_START ? STR("start") : STR("end"));
    else
        json_null(j);
}

static void
member_timestamp(struct json *j, const struct time_shift *shift)
{
    json_key(j, "timestamp");
    if (shift->at == AT_TIME)
        json_int(j, shift->at_ms);
    else
        json_null(j);
}

static void
member_matchers(struct json *j, const struct selector_expr *s)
{
    json_key(j, "matchers");
    json_open(j, '[');
    for (size_t i = 0; i < s->matchers_nr; i++) {
        json_open(j, '{');
        member_str(j, "name", s->matchers[i].name);
        member_str(j, "type", str_c(match_type_text(s->matchers[i].type)));
        member_str(j, "value", s->matchers[i].value);
        json_close(j, '}');
    }
    json_close(j, ']');
}

/* A selector, with a range when m is given. */
static void
write_selector(struct json *j, const struct selector_expr *s, const struct matrix_expr *m)
{
    member_bool(j, "anchored", s->anchored);
    member_matchers(j, s);
    member_str(j, "name", s->name);
    members_offset(j, &s->shift);
    if (m != NULL) {
        member_int(j, "range", m->range_ms);
        member_duration(j, "rangeExpr", m->range_expr);
    }
    member_bool(j, "smoothed", s->smoothed);
    member_start_or_end(j, &s->shift);
    member_timestamp(j, &s->shift);
    member_str(j, "type", m == NULL ? STR("vectorSelector") : STR("matrixSelector"));
}

static void
write_subquery(struct json *j, const struct subquery_expr *s)
{
    member_expr(j, "expr", s->inner);
    members_offset(j, &s->shift);
    member_int(j, "range", s->range_ms);
    member_duration(j, "rangeExpr", s->range_expr);
    member_start_or_end(j, &s->shift);
    member_int(j, "step", s->step_ms);
    member_duration(j, "stepExpr", s->step_expr);
    member_timestamp(j, &s->shift);
    member_str(j, "type", STR("subquery"));
}

static void
write_members(struct json *j, const struct expr *e)
{
    switch (e->kind) {
    case EXPR_NUMBER:
        member_str(j, "type", STR("numberLiteral"));
        member_number(j, "val", e->number.v);
        break;
    case EXPR_STRING:
        member_str(j, "type", STR("stringLiteral"));
        member_str(j, "val", e->string.v);
        break;
    case EXPR_PAREN:
        member_expr(j, "expr", e->paren.inner);
        member_str(j, "type", STR("parenExpr"));
        break;
    case EXPR_UNARY:
        member_expr(j, "expr", e->unary.inner);
        member_str(j, "op", str_c(promql_operators[e->unary.op].text));
        member_str(j, "type", STR("unaryExpr"));
        break;
    case EXPR_BINARY:
        write_binary(j, &e->binary);
        break;
    case EXPR_CALL:
        write_call(j, &e->call);
        break;
    case EXPR_AGGREGATE:
        write_aggregate(j, &e->aggregate);
        break;
    case EXPR_SELECTOR:
        write_selector(j, &e->selector, NULL);
        break;
    case EXPR_MATRIX:
        write_selector(j, &e->matrix.selector->selector, &e->matrix);
        break;
    case EXPR_SUBQUERY:
        write_subquery(j, &e->subquery);
        break;
    case EXPR_DURATION:       /* written by member_duration() */
    case EXPR_STEP_INVARIANT: /* not shown */
        break;
    }
}

static void
write_expr(struct json *j, const struct expr *e)
{
    if (e->kind == EXPR_STEP_INVARIANT) {
        write_expr(j, e->step_invariant.inner);
        return;
    }
    json_open(j, '{');
    write_members(j, e);
    json_close(j, '}');
}

void
expr_json(const struct expr *e, struct buf *out)
{
    struct json j = json_to(out);

    write_expr(&j, e);
}
