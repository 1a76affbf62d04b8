#include "promql/series_hist.h"
#include <strings.h>
#include "base/decimal.h"
#include "model/histogram_math.h"
#include "promql/series_desc.h"

enum hist_key {
    KEY_SCHEMA,
    KEY_SUM,
    KEY_COUNT,
    KEY_Z_BUCKET,
    KEY_Z_BUCKET_W,
    KEY_CUSTOM_VALUES,
    KEY_BUCKETS,
    KEY_OFFSET,
    KEY_N_BUCKETS,
    KEY_N_OFFSET,
    KEY_HINT,
    KEY_NR
};

static const struct {
    const char *name;
    enum { HIST_INT, HIST_NUMBER, HIST_UNSIGNED, HIST_LIST, HIST_HINT } kind;
} hist_keys[KEY_NR] = {
    [KEY_SCHEMA] = { "schema", HIST_INT },
    [KEY_SUM] = { "sum", HIST_NUMBER },
    [KEY_COUNT] = { "count", HIST_NUMBER },
    [KEY_Z_BUCKET] = { "z_bucket", HIST_NUMBER },
    [KEY_Z_BUCKET_W] = { "z_bucket_w", HIST_UNSIGNED },
    [KEY_CUSTOM_VALUES] = { "custom_values", HIST_LIST },
    [KEY_BUCKETS] = { "buckets", HIST_LIST },
    [KEY_OFFSET] = { "offset", HIST_INT },
    [KEY_N_BUCKETS] = { "n_buckets", HIST_LIST },
    [KEY_N_OFFSET] = { "n_offset", HIST_INT },
    [KEY_HINT] = { "counter_reset_hint", HIST_HINT },
};

struct list {
    double *items;
    size_t nr, cap;
};

/* What was written; unset keys are zero. */
struct literal {
    bool set[KEY_NR];
    int64_t integer[KEY_NR];
    double number[KEY_NR];
    struct list list[KEY_NR];
    enum histogram_hint hint;
};

static bool
take_minus(struct parser *p)
{
    if (parse_peek(p)->type != TOKEN_OPERATOR || p->token.op != OP_SUB)
        return false;
    parse_take(p);
    return true;
}

static bool
parse_int(struct parser *p, int64_t *v)
{
    bool negative = take_minus(p);

    *v = 0;
    if (parse_peek(p)->type != TOKEN_NUMBER)
        return false;
    struct token t = parse_take(p);
    for (size_t i = 0; i < t.text.n; i++) {
        if (t.text.p[i] < '0' || t.text.p[i] > '9' || *v > INT64_MAX / 10 - 9) {
            parse_error(p, t.pos,
                        "invalid repetition in series values: strconv.ParseUint: parsing %s: "
                        "invalid syntax",
                        parse_quoted(p, t.text).p);
            return true;
        }
        *v = *v * 10 + (t.text.p[i] - '0');
    }
    if (negative)
        *v = -*v;
    return true;
}

static bool
parse_double(struct parser *p, double *v)
{
    bool negative = take_minus(p);

    if (!parse_is_number(parse_peek(p)))
        return false;
    struct token t = parse_take(p);
    *v = parse_number_literal(p, &t);
    if (negative)
        *v = -*v;
    return true;
}

/* "[" number {space number} [space] "]" */
static bool
parse_list(struct parser *p, struct list *list)
{
    if (!parse_accept(p, TOKEN_LEFT_BRACKET))
        return false;
    do {
        if (list->nr != 0 && parse_peek(p)->type == TOKEN_RIGHT_BRACKET)
            break;
        double v;
        if (!parse_double(p, &v))
            return false;
        ARENA_GROW(p->arena, list->items, list->nr, list->nr + 1, &list->cap);
        list->items[list->nr++] = v;
    } while (parse_accept(p, TOKEN_SPACE));
    return parse_accept(p, TOKEN_RIGHT_BRACKET);
}

static bool
parse_hint(struct parser *p, enum histogram_hint *hint)
{
    static const char *const words[] = { "unknown", "reset", "not_reset", "gauge" };

    if (parse_peek(p)->type != TOKEN_HIST_HINT)
        return false;
    struct token t = parse_take(p);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (t.text.n == strlen(words[i]) && strncasecmp(t.text.p, words[i], t.text.n) == 0)
            *hint = (enum histogram_hint)i;
    }
    return true;
}

static bool
find_key(const struct token *t, enum hist_key *key)
{
    for (*key = 0; *key < KEY_NR; (*key)++) {
        const char *name = hist_keys[*key].name;

        if (t->text.n == strlen(name) && strncasecmp(t->text.p, name, t->text.n) == 0)
            return true;
    }
    return false;
}

static bool
parse_hist_value(struct parser *p, enum hist_key key, struct literal *lit)
{
    switch (hist_keys[key].kind) {
    case HIST_INT:
        return parse_int(p, &lit->integer[key]);
    case HIST_LIST:
        lit->list[key] = (struct list){ 0 };
        return parse_list(p, &lit->list[key]);
    case HIST_HINT:
        return parse_hint(p, &lit->hint);
    case HIST_UNSIGNED:
        return parse_is_number(parse_peek(p)) && parse_double(p, &lit->number[key]);
    case HIST_NUMBER:
        break;
    }
    return parse_double(p, &lit->number[key]);
}

/* key ":" value */
static bool
parse_hist_item(struct parser *p, struct literal *lit)
{
    enum hist_key key;

    if (parse_peek(p)->type != TOKEN_HIST_KEY || !find_key(&p->token, &key))
        return false;
    parse_take(p);
    if (!parse_accept(p, TOKEN_COLON) || !parse_hist_value(p, key, lit))
        return false;
    if (lit->set[key])
        parse_error(p, (struct pos_range){ 0, 0 }, "duplicate key \"%s\" in histogram",
                    hist_keys[key].name);
    lit->set[key] = true;
    return true;
}

/* The items up to the closing braces. Once there was an item, a mistake has its own words. */
static bool
parse_hist_items(struct parser *p, struct literal *lit)
{
    static const char place[] = "histogram description";
    static const char expected[] = "histogram description key, e.g. buckets:[5 10 7]";

    if (!parse_hist_item(p, lit))
        return false;
    while (!parse_accept(p, TOKEN_CLOSE_HIST)) {
        bool spaced = parse_accept(p, TOKEN_SPACE);

        if (spaced && parse_accept(p, TOKEN_CLOSE_HIST))
            return true;
        if (!spaced || !parse_hist_item(p, lit)) {
            parse_unexpected_item(p, place, expected);
            return false;
        }
    }
    return true;
}

static struct histogram_side
side_of(struct parser *p, const struct list *buckets, int64_t offset)
{
    if (buckets->nr == 0)
        return (struct histogram_side){ 0 };
    struct histogram_span *span = ARENA_NEW(p->arena, struct histogram_span);
    *span = (struct histogram_span){ (int32_t)offset, (uint32_t)buckets->nr };
    return (struct histogram_side){
        .spans = span, .spans_nr = 1, .counts = buckets->items, .buckets_nr = buckets->nr
    };
}

static const struct histogram *
build(struct parser *p, const struct literal *lit)
{
    struct histogram *h = ARENA_NEW(p->arena, struct histogram);

    *h = (struct histogram){
        .hint = lit->hint,
        .schema = (int32_t)lit->integer[KEY_SCHEMA],
        .zero_threshold = lit->number[KEY_Z_BUCKET_W],
        .zero_count = lit->number[KEY_Z_BUCKET],
        .count = lit->number[KEY_COUNT],
        .sum = lit->number[KEY_SUM],
        .pos = side_of(p, &lit->list[KEY_BUCKETS], lit->integer[KEY_OFFSET]),
        .neg = side_of(p, &lit->list[KEY_N_BUCKETS], lit->integer[KEY_N_OFFSET]),
        .custom_values = lit->list[KEY_CUSTOM_VALUES].items,
        .custom_values_nr = lit->list[KEY_CUSTOM_VALUES].nr,
    };
    return h;
}

bool
series_hist_parse(struct parser *p, const struct histogram **h, bool *hint_set)
{
    struct literal lit = { 0 };

    if (!parse_accept(p, TOKEN_OPEN_HIST))
        return false;
    if (parse_accept(p, TOKEN_SPACE)) {
        if (!parse_accept(p, TOKEN_CLOSE_HIST))
            return false;
    } else if (!parse_accept(p, TOKEN_CLOSE_HIST) && !parse_hist_items(p, &lit)) {
        return false;
    }
    *h = build(p, &lit);
    *hint_set = lit.set[KEY_HINT];
    return true;
}

static void
print_key(struct buf *out, const char *key)
{
    buf_printf(out, "%s%s:", out->p[out->n - 1] == '{' ? "" : " ", key);
}

static void
print_double(struct buf *out, double v)
{
    char text[DECIMAL_BYTES_MAX];

    buf_add(out, text, decimal_format_general(v, text));
}

static void
print_nonzero(struct buf *out, const char *key, double v)
{
    if (v == 0)
        return;
    print_key(out, key);
    print_double(out, v);
}

static void
print_list(struct buf *out, const char *key, const double *v, size_t nr)
{
    if (nr == 0)
        return;
    print_key(out, key);
    for (size_t i = 0; i < nr; i++) {
        buf_byte(out, i == 0 ? '[' : ' ');
        print_double(out, v[i]);
    }
    buf_byte(out, ']');
}

/* offset:..., then the counts with the gaps between spans as zeros. */
static void
print_side(struct buf *out, const struct histogram_side *s, const char *offset, const char *buckets)
{
    size_t bucket = 0;

    if (s->spans_nr == 0)
        return;
    if (s->spans[0].offset != 0) {
        print_key(out, offset);
        buf_printf(out, "%d", s->spans[0].offset);
    }
    print_key(out, buckets);
    for (size_t i = 0; i < s->spans_nr; i++) {
        for (int32_t j = 0; i > 0 && j < s->spans[i].offset; j++)
            buf_c(out, " 0");
        for (uint32_t j = 0; j < s->spans[i].length && bucket < s->buckets_nr; j++) {
            buf_byte(out, bucket == 0 ? '[' : ' ');
            print_double(out, s->counts[bucket++]);
        }
    }
    buf_byte(out, ']');
}

void
series_desc_print_histogram(const struct histogram *h, struct arena *scratch, struct buf *out)
{
    static const char *const hints[] = { NULL, "reset", "not_reset", "gauge" };
    struct histogram *c = histogram_to_float(h, scratch);

    histogram_compact(c, SIZE_MAX, scratch);
    buf_c(out, "{{");
    if (c->schema != 0) {
        print_key(out, "schema");
        buf_printf(out, "%d", c->schema);
    }
    print_nonzero(out, "count", c->count);
    print_nonzero(out, "sum", c->sum);
    print_nonzero(out, "z_bucket", c->zero_count);
    print_nonzero(out, "z_bucket_w", c->zero_threshold);
    print_list(out, "custom_values", c->custom_values, c->custom_values_nr);
    if (hints[c->hint] != NULL) {
        print_key(out, "counter_reset_hint");
        buf_c(out, hints[c->hint]);
    }
    print_side(out, &c->pos, "offset", "buckets");
    print_side(out, &c->neg, "n_offset", "n_buckets");
    buf_c(out, "}}");
}
