/* What the two text formats share: tokens that both have, error texts, labels. */
#include <math.h>
#include "scrape/parse_priv.h"
#include "base/decimal.h"
#include "base/mem.h"

const char *
token_name(enum token t)
{
    static const char *const names[] = { "INVALID", "EOF",     "LINEBREAK", "WHITESPACE", "HELP",
                                         "TYPE",    "UNIT",    "EOFWORD",   "TEXT",       "COMMENT",
                                         "MNAME",   "QSTRING", "BOPEN",     "BCLOSE",     "LNAME",
                                         "LVALUE",  "COMMA",   "EQUAL",     "TIMESTAMP",  "VALUE" };
    return names[t];
}

bool
lex_quoted(struct page_lexer *l, bool line_breaks)
{
    for (;;) {
        uint8_t c = lex_next(l);

        if (c == '"') {
            lex_next(l);
            return true;
        }
        if (c == '\\') {
            c = lex_next(l);
            if (c == '\n' || c == 0)
                return false;
        } else if (c == 0 || (c == '\n' && !line_breaks)) {
            return false;
        }
    }
}

void
lex_name(struct page_lexer *l, bool colons)
{
    uint8_t c;

    do
        c = lex_next(l);
    while (byte_is_letter(c) || byte_is_digit(c) || (colons && c == ':'));
}

void
lex_word(struct page_lexer *l, bool text_format)
{
    uint8_t c;

    do
        c = lex_next(l);
    while (c != 0 && c != ' ' && c != '\n' && !(text_format && (c == '\t' || c == '{')));
}

static struct str
piece(const struct page_parser *p, size_t from, size_t to)
{
    return (struct str){ p->lex.b + from, to - from };
}

enum parse_entry
parse_unexpected(const struct page_parser *p, const char *expected, enum token got,
                 struct error *err)
{
    struct buf text = { 0 };
    size_t end = MIN(p->lex.n, p->lex.i + 1);

    buf_printf(&text, "%s, got ", expected);
    quote_go(piece(p, p->lex.start, end), &text);
    buf_printf(&text, " (\"%s\") while parsing: ", token_name(got));
    quote_go(piece(p, p->start, end), &text);
    error_set(err, ERR_CORRUPT, "%s", buf_z(&text));
    buf_fini(&text);
    return PARSE_ERROR;
}

enum parse_entry
parse_failed(const struct page_parser *p, const char *what, struct error *err)
{
    struct buf text = { 0 };

    buf_printf(&text, "%s while parsing: ", what);
    quote_go(piece(p, p->start, MIN(p->lex.i, p->lex.n)), &text);
    error_set(err, ERR_CORRUPT, "%s", buf_z(&text));
    buf_fini(&text);
    return PARSE_ERROR;
}

bool
parse_number(const struct page_parser *p, struct str text, double *v, struct error *err)
{
    struct buf what = { 0 };
    const char *refusal;

    if (decimal_parse(text, v))
        return true;
    refusal = decimal_refusal(text);
    if (strncmp(refusal, "unsupported", 11) == 0) {
        buf_c(&what, refusal);
    } else {
        buf_c(&what, "strconv.ParseFloat: parsing ");
        quote_go(text, &what);
        buf_printf(&what, ": %s", refusal);
    }
    parse_failed(p, buf_z(&what), err);
    buf_fini(&what);
    return false;
}

void
parse_pairs_add(struct parse_pairs *pairs, struct parse_pair pair)
{
    MEM_GROW(pairs->v, pairs->nr + 1, &pairs->cap);
    pairs->v[pairs->nr++] = pair;
}

/* A label's value; the lexer stands behind the name, whose piece is [name, name_end). */
static bool
label_value(struct page_parser *p, struct parse_pairs *pairs, size_t name, size_t name_end,
            enum token t, struct error *err)
{
    if (p->lex.b[name] == '"') {
        name++;
        name_end--;
    }
    if (t != TOK_EQUAL)
        return parse_unexpected(p, "expected equal", t, err), false;
    t = parse_token(p);
    if (t != TOK_LVALUE)
        return parse_unexpected(p, "expected label value", t, err), false;
    if (!str_utf8_valid(lex_text(&p->lex))) {
        struct buf text = { 0 };

        quote_go(lex_text(&p->lex), &text);
        error_set(err, ERR_CORRUPT, "invalid UTF-8 label value: %s", buf_z(&text));
        buf_fini(&text);
        return false;
    }
    parse_pairs_add(pairs, (struct parse_pair){ name, name_end, p->lex.start + 1, p->lex.i - 1 });
    return true;
}

/* A quoted string that stands alone between the braces is the metric's name. */
static bool
metric_in_braces(struct page_parser *p, bool exemplar, size_t at, size_t end, enum token t,
                 struct error *err)
{
    if (exemplar)
        return parse_unexpected(p, "expected label name", t, err), false;
    if (p->has_metric) {
        struct buf text = { 0 };

        quote_go(piece(p, p->start, p->lex.i), &text);
        error_set(err, ERR_CORRUPT, "metric name already set while parsing: %s", buf_z(&text));
        buf_fini(&text);
        return false;
    }
    p->has_metric = true;
    p->metric = at + 1;
    p->metric_end = end - 1;
    return true;
}

bool
parse_label_pairs(struct page_parser *p, bool exemplar, struct error *err)
{
    struct parse_pairs *pairs = exemplar ? &p->exemplar.pairs : &p->pairs;
    enum token t = parse_token(p);

    while (t != TOK_BRACE_CLOSE) {
        size_t at = p->lex.start, end = p->lex.i;
        bool quoted = t == TOK_QSTRING;

        if (t != TOK_LNAME && !quoted)
            return parse_unexpected(p, "expected label name", t, err), false;
        t = parse_token(p);
        if (quoted && (t == TOK_COMMA || t == TOK_BRACE_CLOSE)) {
            if (!metric_in_braces(p, exemplar, at, end, t, err))
                return false;
            if (t == TOK_COMMA)
                t = parse_token(p);
            continue;
        }
        if (!label_value(p, pairs, at, end, t, err))
            return false;
        t = parse_token(p);
        if (t == TOK_COMMA)
            t = parse_token(p);
        else if (p->format == PAGE_OPENMETRICS && t != TOK_BRACE_CLOSE)
            return parse_unexpected(p, "expected comma or brace close", t, err), false;
    }
    return true;
}

bool
parse_type_name(struct page_parser *p, struct str text, struct error *err)
{
    static const struct {
        const char *name;
        enum metadata_type type;
        bool text, openmetrics;
    } types[] = {
        { "counter", METADATA_COUNTER, true, true },
        { "gauge", METADATA_GAUGE, true, true },
        { "histogram", METADATA_HISTOGRAM, true, true },
        { "summary", METADATA_SUMMARY, true, true },
        { "untyped", METADATA_UNKNOWN, true, false },
        { "unknown", METADATA_UNKNOWN, false, true },
        { "gaugehistogram", METADATA_GAUGEHISTOGRAM, false, true },
        { "info", METADATA_INFO, false, true },
        { "stateset", METADATA_STATESET, false, true },
    };
    struct buf quoted = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_is(text, types[i].name) &&
            (p->format == PAGE_TEXT ? types[i].text : types[i].openmetrics)) {
            p->type = types[i].type;
            return true;
        }
    quote_go(text, &quoted);
    error_set(err, ERR_CORRUPT, "invalid metric type %s", buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

struct str
parse_unescape(struct str s, bool quotes, struct arena *scratch)
{
    char *out;
    size_t n = 0;

    if (s.n == 0 || memchr(s.p, '\\', s.n) == NULL)
        return s;
    out = arena_alloc(scratch, s.n);
    for (size_t i = 0; i < s.n; i++) {
        char next = i + 1 < s.n ? s.p[i + 1] : 0;

        if (s.p[i] == '\\' && (next == '\\' || next == 'n' || (quotes && next == '"'))) {
            out[n++] = next == 'n' ? '\n' : next;
            i++;
        } else {
            out[n++] = s.p[i];
        }
    }
    return (struct str){ out, n };
}

struct str
parse_float_text(double v, struct arena *scratch)
{
    char text[DECIMAL_BYTES_MAX + 2];
    size_t n = decimal_format_general(v, text);

    if (isfinite(v) && memchr(text, 'e', n) == NULL && memchr(text, '.', n) == NULL) {
        text[n++] = '.';
        text[n++] = '0';
    }
    return arena_str(scratch, (struct str){ text, n });
}

struct str
parse_normal_float(enum metadata_type type, struct str name, struct str value,
                   struct arena *scratch)
{
    double v;

    if (!(type == METADATA_SUMMARY && str_eq(name, LABEL_QUANTILE)) &&
        !(type == METADATA_HISTOGRAM && str_eq(name, LABEL_BUCKET)))
        return value;
    return decimal_parse_go(value, &v) ? parse_float_text(v, scratch) : value;
}
