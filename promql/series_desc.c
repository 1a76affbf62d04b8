/* A metric, then values behind spaces. Repetition is written out: `1+2x3` gives four values. */
#include "promql/series_desc.h"
#include "base/decimal.h"
#include "model/histogram_math.h"
#include "model/sample.h"
#include "promql/parse_priv.h"
#include "promql/series_hist.h"

struct values {
    struct parser *p;
    struct series_value *items;
    size_t nr, cap;
    bool over; /* past SERIES_DESC_VALUES_MAX */
};

/* Room for nr more values, or NULL. */
static struct series_value *
values_add(struct values *vs, uint64_t nr)
{
    if (vs->over || nr > SERIES_DESC_VALUES_MAX - vs->nr) {
        vs->over = true;
        return NULL;
    }
    ARENA_GROW(vs->p->arena, vs->items, vs->nr, vs->nr + nr + 1, &vs->cap);
    struct series_value *first = vs->items + vs->nr;
    memset(first, 0, nr * sizeof *first);
    vs->nr += nr;
    return first;
}

static bool
parse_count(struct parser *p, uint64_t *nr)
{
    if (parse_peek(p)->type != TOKEN_NUMBER)
        return false;
    struct token t = parse_take(p);
    *nr = 0;
    for (size_t i = 0; i < t.text.n; i++) {
        if (t.text.p[i] < '0' || t.text.p[i] > '9' || *nr > UINT64_MAX / 10 - 9) {
            parse_error(p, t.pos,
                        "invalid repetition in series values: strconv.ParseUint: parsing %s: "
                        "invalid syntax",
                        parse_quoted(p, t.text).p);
            return true;
        }
        *nr = *nr * 10 + (uint64_t)(t.text.p[i] - '0');
    }
    return true;
}

/* "x" count, if it is there. */
static bool
parse_times(struct parser *p, bool *found, uint64_t *nr)
{
    *nr = 0;
    *found = parse_accept(p, TOKEN_TIMES);
    return !*found || parse_count(p, nr);
}

static bool
is_sign(const struct token *t)
{
    return t->type == TOKEN_OPERATOR && (t->op == OP_ADD || t->op == OP_SUB);
}

static bool
parse_signed(struct parser *p, double *v)
{
    bool negative = false;

    if (is_sign(parse_peek(p)))
        negative = parse_take(p).op == OP_SUB;
    if (!parse_is_number(parse_peek(p)))
        return false;
    struct token t = parse_take(p);
    *v = parse_number_literal(p, &t);
    if (negative)
        *v = -*v;
    return true;
}

static bool
parse_blank(struct values *vs)
{
    struct parser *p = vs->p;
    struct series_value *first;
    bool repeated;
    uint64_t nr;

    parse_take(p);
    if (!parse_times(p, &repeated, &nr))
        return false;
    if (!repeated)
        nr = 1;
    first = values_add(vs, nr);
    for (uint64_t i = 0; first != NULL && i < nr; i++)
        first[i].omitted = true;
    return true;
}

static bool
parse_stale_or_number(struct parser *p, double *v)
{
    if (parse_peek(p)->type != TOKEN_IDENTIFIER)
        return parse_signed(p, v);
    struct token t = parse_take(p);
    if (!str_is(t.text, "stale"))
        parse_unexpected_item(p, "series values", "number or \"stale\"");
    *v = double_of_bits(STALE_NAN_BITS);
    return true;
}

static bool
parse_float(struct values *vs)
{
    struct parser *p = vs->p;
    struct series_value *first;
    double v = 0, by = 0;
    bool repeated;
    uint64_t nr;

    if (!parse_stale_or_number(p, &v))
        return false;
    bool stepped = is_sign(parse_peek(p));
    if (stepped && !parse_signed(p, &by))
        return false;
    if (!parse_times(p, &repeated, &nr) || (stepped && !repeated))
        return false;
    first = nr == UINT64_MAX ? NULL : values_add(vs, nr + 1);
    for (uint64_t i = 0; first != NULL && i <= nr; i++) {
        first[i].v = v;
        if (stepped)
            v += by;
    }
    return true;
}

/* The histogram that comes after cur. NULL with the error reported when they do not fit. */
static const struct histogram *
next_histogram(struct parser *p, const struct histogram *cur, const struct histogram *by,
               bool minus)
{
    struct histogram *sum = histogram_copy(cur, p->arena);
    struct histogram_notes notes = { 0 };

    if (cur->schema > by->schema) {
        parse_error(p, p->token.pos,
                    "error combining histograms: cannot merge from schema %d to %d", by->schema,
                    cur->schema);
        return NULL;
    }
    if (!(minus ? histogram_sub(sum, by, &notes, p->arena)
                : histogram_add(sum, by, &notes, p->arena))) {
        parse_error(p, p->token.pos, "%s", HISTOGRAM_MIX_TEXT);
        return NULL;
    }
    return sum;
}

static void
add_histograms(struct values *vs, const struct histogram *h, const struct histogram *by, bool minus,
               uint64_t nr, bool hint_set)
{
    struct series_value *first = nr == UINT64_MAX ? NULL : values_add(vs, nr + 1);

    for (uint64_t i = 0; first != NULL && i <= nr; i++) {
        if (i != 0 && by != NULL)
            h = next_histogram(vs->p, h, by, minus);
        if (h == NULL || arena_over(vs->p->arena))
            return;
        first[i] = (struct series_value){ .h = h, .hint_set = hint_set };
    }
}

static bool
parse_histogram(struct values *vs)
{
    struct parser *p = vs->p;
    const struct histogram *h, *by = NULL;
    bool hint_set, minus = false, repeated;
    uint64_t nr;

    if (!series_hist_parse(p, &h, &hint_set))
        return false;
    if (is_sign(parse_peek(p))) {
        minus = parse_take(p).op == OP_SUB;
        if (!series_hist_parse(p, &by, &hint_set))
            return false;
    }
    if (!parse_times(p, &repeated, &nr) || (by != NULL && !repeated))
        return false;
    add_histograms(vs, h, by, minus, nr, hint_set);
    return true;
}

/* True when an item was read or none begins here. */
static bool
parse_item(struct values *vs)
{
    const struct token *t = parse_peek(vs->p);

    if (t->type == TOKEN_BLANK)
        return parse_blank(vs);
    if (t->type == TOKEN_OPEN_HIST)
        return parse_histogram(vs);
    if (t->type == TOKEN_IDENTIFIER || parse_is_number(t) || is_sign(t))
        return parse_float(vs);
    return true;
}

static bool
parse_values(struct values *vs)
{
    struct parser *p = vs->p;

    if (parse_peek(p)->type != TOKEN_SPACE && p->token.type != TOKEN_EOF) {
        parse_unexpected_item(p, "series values", "");
        return false;
    }
    while (parse_accept(p, TOKEN_SPACE)) {
        if (!parse_item(vs)) {
            parse_unexpected_item(p, "series values", "");
            return false;
        }
        if (p->told)
            return false;
    }
    return true;
}

/* name="value", "name"="value" or a lone "metric name". */
static bool
parse_label(struct parser *p, struct labels_builder *b)
{
    if (parse_peek(p)->type != TOKEN_IDENTIFIER && p->token.type != TOKEN_STRING) {
        parse_unexpected_item(p, "label set", "identifier or \"}\"");
        return false;
    }
    struct token t = parse_take(p);
    bool quoted = t.type == TOKEN_STRING;
    struct str name = quoted ? parse_unquote(p, t.text) : t.text;
    if (!parse_accept(p, TOKEN_EQL)) {
        if (quoted)
            labels_builder_set(b, LABEL_NAME, name);
        else
            parse_unexpected_item(p, "label set", "\"=\"");
        return quoted;
    }
    if (parse_peek(p)->type != TOKEN_STRING) {
        parse_unexpected_item(p, "label set", "string");
        return false;
    }
    struct token value = parse_take(p);
    labels_builder_set(b, name, parse_unquote(p, value.text));
    return true;
}

static bool
parse_label_set(struct parser *p, struct labels_builder *b)
{
    if (!parse_accept(p, TOKEN_LEFT_BRACE))
        return true;
    while (!parse_accept(p, TOKEN_RIGHT_BRACE)) {
        if (!parse_label(p, b))
            return false;
        if (!parse_accept(p, TOKEN_COMMA) && parse_peek(p)->type != TOKEN_RIGHT_BRACE) {
            parse_unexpected_item(p, "label set", "\",\" or \"}\"");
            return false;
        }
    }
    return true;
}

static bool
parse_metric(struct parser *p, struct labels_builder *b)
{
    struct str name = STR_NONE;

    if (parse_names_metric(parse_peek(p)))
        name = parse_take(p).text;
    if (!parse_label_set(p, b))
        return false;
    if (name.n != 0)
        labels_builder_set(b, LABEL_NAME, name);
    return true;
}

static void
parse_description(struct parser *p, struct values *vs, struct labels_builder *b)
{
    if (!parse_metric(p, b) || !parse_values(vs))
        return;
    if (parse_peek(p)->type != TOKEN_EOF && !p->told)
        parse_unexpected_item(p, "", "");
}

bool
series_desc_parse(struct arena *arena, struct str text, struct series_desc *out, struct error *err)
{
    static const struct promql_parse_options options = { .duration_expressions = true };
    struct promql_errors errors = { .max = 1 };
    struct parser p = { .arena = arena, .options = &options, .errors = &errors };
    struct values vs = { .p = &p };
    struct labels_builder b;

    if (text.n > PROMQL_TEXT_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "series description has %zu bytes", text.n);
    lexer_init(&p.lexer, text, true, arena);
    labels_builder_init(&b);
    parse_description(&p, &vs, &b);
    *out = (struct series_desc){ labels_builder_finish(&b, arena), vs.items, vs.nr };
    labels_builder_fini(&b);
    if (errors.nr != 0)
        return promql_error_set(err, text, &errors.items[0]);
    if (vs.over || arena_over(arena))
        return error_set(err, ERR_LIMIT, "series description has more than %d values",
                         SERIES_DESC_VALUES_MAX);
    return true;
}
