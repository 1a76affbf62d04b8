/* OpenMetrics 1.0 text: single spaces, mandatory "# EOF", seconds, exemplars, _created lines.
 *
 * Built like parse_text.c: a lexer with states and a parser on top that stop where Prometheus's do.
 */
#include <math.h>
#include <stdio.h>
#include "scrape/parse_priv.h"
#include "base/hash.h"

static bool
lex_literal(struct page_lexer *l, const char *rest)
{
    while (*rest != 0)
        if (lex_next(l) != (uint8_t)*rest++)
            return false;
    lex_next(l);
    return true;
}

/* Behind "# ". */
static enum token
lex_keyword(struct page_lexer *l)
{
    switch (l->i < l->n ? l->b[l->i] : 0) {
    case 'H':
        return lex_literal(l, "ELP ") ? lex_enter(l, LEX_META1, TOK_HELP) : TOK_INVALID;
    case 'T':
        return lex_literal(l, "YPE ") ? lex_enter(l, LEX_META1, TOK_TYPE) : TOK_INVALID;
    case 'U':
        return lex_literal(l, "NIT ") ? lex_enter(l, LEX_META1, TOK_UNIT) : TOK_INVALID;
    case 'E':
        if (!lex_literal(l, "OF"))
            return TOK_INVALID;
        if (l->i < l->n && l->b[l->i] == '\n')
            lex_next(l);
        return lex_enter(l, LEX_INIT, TOK_EOF_WORD);
    }
    return TOK_INVALID;
}

static enum token
lex_init(struct page_lexer *l, uint8_t c)
{
    if (byte_is_letter(c) || c == ':') {
        lex_name(l, true);
        return lex_enter(l, LEX_VALUE, TOK_METRIC);
    }
    if (c == '{') {
        lex_next(l);
        return lex_enter(l, LEX_LABELS, TOK_BRACE_OPEN);
    }
    if (c != '#' || lex_next(l) != ' ')
        return TOK_INVALID;
    lex_next(l);
    l->state = LEX_COMMENT;
    return lex_keyword(l);
}

static enum token
lex_labels(struct page_lexer *l, uint8_t c, bool exemplar)
{
    if (byte_is_letter(c)) {
        lex_name(l, false);
        return TOK_LNAME;
    }
    switch (c) {
    case '"':
        return lex_quoted(l, !exemplar) ? TOK_QSTRING : TOK_INVALID;
    case '}':
        lex_next(l);
        return lex_enter(l, exemplar ? LEX_EVALUE : LEX_VALUE, TOK_BRACE_CLOSE);
    case '=':
        lex_next(l);
        return lex_enter(l, exemplar ? LEX_EVALUE : LEX_LVALUE, TOK_EQUAL);
    case ',':
        lex_next(l);
        return TOK_COMMA;
    }
    return TOK_INVALID;
}

static enum token
lex_meta_name(struct page_lexer *l, uint8_t c)
{
    if (c == '"' ? !lex_quoted(l, true) : !(byte_is_letter(c) || c == ':'))
        return TOK_INVALID;
    if (c != '"')
        lex_name(l, true);
    return lex_enter(l, LEX_META2, TOK_METRIC);
}

/* " text" with its line break. */
static enum token
lex_meta_text(struct page_lexer *l, uint8_t c)
{
    if (c != ' ')
        return TOK_INVALID;
    do
        c = lex_next(l);
    while (c != 0 && c != '\n');
    if (c == 0)
        return TOK_INVALID;
    lex_next(l);
    return lex_enter(l, LEX_INIT, TOK_TEXT);
}

/* " word", in the states where a number comes. */
static enum token
lex_number(struct page_lexer *l, enum token token)
{
    uint8_t c = lex_next(l);

    if (c == 0 || c == ' ' || c == '\n')
        return TOK_INVALID;
    lex_word(l, false);
    return token;
}

/* A timestamp, an exemplar, or the end of the line. */
static enum token
lex_timestamp(struct page_lexer *l, uint8_t c, bool exemplar)
{
    if (c == '\n') {
        lex_next(l);
        return lex_enter(l, LEX_INIT, TOK_LINEBREAK);
    }
    if (c != ' ')
        return TOK_INVALID;
    if (exemplar || l->i + 2 >= l->n || l->b[l->i + 1] != '#' || l->b[l->i + 2] != ' ')
        return lex_number(l, TOK_TIMESTAMP);
    lex_next(l);
    lex_next(l);
    if (lex_next(l) != '{')
        return TOK_INVALID;
    lex_next(l);
    return lex_enter(l, LEX_EXEMPLAR, TOK_COMMENT);
}

enum token
lex_openmetrics_token(struct page_lexer *l)
{
    enum token t;
    uint8_t c;

    if (l->i >= l->n)
        return TOK_EOF;
    c = (uint8_t)l->b[l->i];
    l->start = l->i;
    switch ((enum lex_state)l->state) {
    case LEX_INIT:
        return lex_init(l, c);
    case LEX_COMMENT:
        return lex_keyword(l);
    case LEX_META1:
        return lex_meta_name(l, c);
    case LEX_META2:
        return lex_meta_text(l, c);
    case LEX_LABELS:
        return lex_labels(l, c, false);
    case LEX_EXEMPLAR:
        return lex_labels(l, c, true);
    case LEX_LVALUE:
        if (c != '"' || !lex_quoted(l, false))
            return TOK_INVALID;
        return lex_enter(l, LEX_LABELS, TOK_LVALUE);
    case LEX_EVALUE:
        if (c == '"')
            return lex_quoted(l, false) ? lex_enter(l, LEX_EXEMPLAR, TOK_LVALUE) : TOK_INVALID;
        t = c == ' ' ? lex_number(l, TOK_VALUE) : TOK_INVALID;
        return t == TOK_VALUE ? lex_enter(l, LEX_ETIMESTAMP, t) : t;
    case LEX_VALUE:
        if (c == '{') {
            lex_next(l);
            return lex_enter(l, LEX_LABELS, TOK_BRACE_OPEN);
        }
        t = c == ' ' ? lex_number(l, TOK_VALUE) : TOK_INVALID;
        return t == TOK_VALUE ? lex_enter(l, LEX_TIMESTAMP, t) : t;
    case LEX_TIMESTAMP:
        return lex_timestamp(l, c, false);
    case LEX_ETIMESTAMP:
        return lex_timestamp(l, c, true);
    }
    return TOK_INVALID;
}

static enum parse_entry
no_eof(struct error *err)
{
    error_set(err, ERR_CORRUPT, "data does not end with # EOF");
    return PARSE_ERROR;
}

/* A unit must be the last word of the family's name. */
static bool
unit_fits(struct page_parser *p, struct error *err)
{
    struct buf text = { 0 };

    p->unit = p->text;
    if (p->unit.n == 0 || (p->name.n >= p->unit.n + 1 && str_ends(p->name, p->unit) &&
                           p->name.p[p->name.n - p->unit.n - 1] == '_'))
        return true;
    buf_c(&text, "unit ");
    quote_go(p->unit, &text);
    buf_c(&text, " not a suffix of metric ");
    quote_go(p->name, &text);
    error_set(err, ERR_CORRUPT, "%s", buf_z(&text));
    buf_fini(&text);
    return false;
}

static bool
help_is_utf8(struct page_parser *p, struct error *err)
{
    struct buf quoted = { 0 };

    if (str_utf8_valid(p->text))
        return true;
    quote_go(p->text, &quoted);
    error_set(err, ERR_CORRUPT, "help text %s is not a valid utf8 string", buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

static enum parse_entry
meta_line(struct page_parser *p, enum token kind, struct error *err)
{
    enum token t = parse_token(p);
    char expected[64];

    if (t != TOK_METRIC) {
        snprintf(expected, sizeof expected, "expected metric name after %s", token_name(kind));
        return parse_unexpected(p, expected, t, err);
    }
    p->name = lex_text(&p->lex);
    if (p->name.n >= 2 && p->name.p[0] == '"' && p->name.p[p->name.n - 1] == '"')
        p->name = (struct str){ p->name.p + 1, p->name.n - 2 };
    p->family_bytes = p->name.n;
    if (parse_token(p) != TOK_TEXT) {
        error_set(err, ERR_CORRUPT, "expected text in %s", token_name(kind));
        return PARSE_ERROR;
    }
    p->text = lex_text(&p->lex); /* with the space in front and the line break behind */
    p->text = p->text.n > 1 ? (struct str){ p->text.p + 1, p->text.n - 2 } : STR_NONE;
    if (kind == TOK_TYPE)
        return parse_type_name(p, p->text, err) ? PARSE_TYPE : PARSE_ERROR;
    if (kind == TOK_HELP)
        return help_is_utf8(p, err) ? PARSE_HELP : PARSE_ERROR;
    return unit_fits(p, err) ? PARSE_UNIT : PARSE_ERROR;
}

static bool
float_value(struct page_parser *p, enum token t, const char *after, double *v, struct error *err)
{
    char expected[64];

    if (t != TOK_VALUE) {
        snprintf(expected, sizeof expected, "expected value after %s", after);
        return parse_unexpected(p, expected, t, err), false;
    }
    return parse_number(p, str_skip(lex_text(&p->lex), 1), v, err);
}

/* Seconds with a fraction; what no int64 holds becomes the time before all times, as Go converts
 * it. */
static bool
timestamp(struct page_parser *p, const char *what, int64_t *t_ms, struct error *err)
{
    double t;

    if (!parse_number(p, str_skip(lex_text(&p->lex), 1), &t, err))
        return false;
    if (!isfinite(t))
        return error_set(err, ERR_CORRUPT, "invalid %s %s", what,
                         isnan(t) ? "NaN"
                         : t > 0  ? "+Inf"
                                  : "-Inf");
    t *= 1000;
    *t_ms = t >= -9223372036854775808.0 && t < 9223372036854775808.0 ? (int64_t)t : INT64_MIN;
    return true;
}

/* Behind " # {". */
static bool
exemplar(struct page_parser *p, struct error *err)
{
    enum token t;

    if (p->peeking) {
        while ((t = parse_token(p)) != TOK_LINEBREAK)
            if (t == TOK_EOF || t == TOK_INVALID)
                return no_eof(err), false;
        return true;
    }
    if (!parse_label_pairs(p, true, err))
        return false;
    p->exemplar.given = true;
    if (!float_value(p, parse_token(p), "exemplar labels", &p->exemplar.value, err))
        return false;
    p->exemplar.has_t = false;
    t = parse_token(p);
    if (t == TOK_LINEBREAK)
        return true;
    if (t == TOK_EOF)
        return no_eof(err), false;
    if (t != TOK_TIMESTAMP)
        return parse_unexpected(p, "expected timestamp or comment", t, err), false;
    p->exemplar.has_t = true;
    if (!timestamp(p, "exemplar timestamp", &p->exemplar.t_ms, err))
        return false;
    t = parse_token(p);
    if (t != TOK_LINEBREAK)
        return parse_unexpected(p, "expected next entry after exemplar timestamp", t, err), false;
    return true;
}

/* Value, timestamp, exemplar, line break; t is the token behind the series. A strange byte behind
 * the value passes here, as in Prometheus, and fails the line after it. */
static bool
end_of_line(struct page_parser *p, enum token t, struct error *err)
{
    if (!p->has_metric)
        return parse_failed(p, "metric name not set", err), false;
    if (!float_value(p, t, "metric", &p->value, err))
        return false;
    p->has_t = false;
    t = parse_token(p);
    if (t == TOK_EOF)
        return no_eof(err), false;
    if (t == TOK_COMMENT)
        return exemplar(p, err);
    if (t != TOK_TIMESTAMP)
        return true;
    p->has_t = true;
    if (!timestamp(p, "timestamp", &p->t_ms, err))
        return false;
    t = parse_token(p);
    if (t == TOK_COMMENT)
        return exemplar(p, err);
    if (t != TOK_LINEBREAK)
        return parse_unexpected(p, "expected next entry after timestamp", t, err), false;
    return true;
}

static bool
series_line(struct page_parser *p, enum token t, struct error *err)
{
    p->has_metric = t == TOK_METRIC;
    p->metric = p->start;
    p->metric_end = p->lex.i;
    p->series = (struct str){ p->lex.b + p->start, p->lex.i - p->start };
    if (t == TOK_METRIC)
        t = parse_token(p);
    if (t == TOK_BRACE_OPEN) {
        if (!parse_label_pairs(p, false, err))
            return false;
        p->series.n = p->lex.i - p->start;
        t = parse_token(p);
    }
    return end_of_line(p, t, err);
}

static struct str
metric_name(const struct page_parser *p)
{
    return (struct str){ p->lex.b + p->metric, p->metric_end - p->metric };
}

static bool
is_created_line(const struct page_parser *p)
{
    return type_has_start(p->type) && str_ends(metric_name(p), STR("_created"));
}

static void
line_start(struct page_parser *p)
{
    p->start = p->lex.i;
    p->pairs.nr = 0;
    if (!p->peeking) {
        p->exemplar.pairs.nr = 0;
        p->exemplar.given = false;
        p->exemplar.has_t = false;
    }
}

enum parse_entry
parse_openmetrics_rest(struct page_parser *p, struct error *err)
{
    p->exemplar.pairs.nr = 0;
    p->exemplar.given = false;
    p->exemplar.has_t = false;
    return end_of_line(p, parse_token(p), err) ? PARSE_SERIES : PARSE_ERROR;
}

enum parse_entry
parse_openmetrics_next(struct page_parser *p, struct error *err)
{
    for (;;) {
        enum token t;

        line_start(p);
        t = parse_token(p);
        switch (t) {
        case TOK_EOF_WORD:
            if (parse_token(p) == TOK_EOF)
                return PARSE_END;
            error_set(err, ERR_CORRUPT, "unexpected data after # EOF");
            return PARSE_ERROR;
        case TOK_EOF:
            return no_eof(err);
        case TOK_HELP:
        case TOK_TYPE:
        case TOK_UNIT:
            return meta_line(p, t, err);
        case TOK_BRACE_OPEN:
        case TOK_METRIC:
            if (!series_line(p, t, err))
                return PARSE_ERROR;
            if (p->options.skip_start_timestamp_series && !p->peeking && is_created_line(p))
                continue;
            return PARSE_SERIES;
        default:
            return parse_unexpected(p, "expected a valid start token", t, err);
        }
    }
}

/* Family and labels, without those that differ between the lines of one metric. */
static uint64_t
metric_hash(const struct page_parser *p, struct str family)
{
    uint64_t hash = hash64_str(family);

    for (size_t i = 0; i < p->pairs.nr; i++) {
        const struct parse_pair *pair = &p->pairs.v[i];
        struct str name = { p->lex.b + pair->name, pair->name_end - pair->name };

        if (p->type == METADATA_SUMMARY && str_eq(name, LABEL_QUANTILE))
            continue;
        if (p->type == METADATA_HISTOGRAM && str_eq(name, LABEL_BUCKET))
            continue;
        hash = hash64_mix(hash, hash64_str(name));
        hash = hash64_mix(hash, hash64(p->lex.b + pair->value, pair->value_end - pair->value));
    }
    return hash;
}

/* Reads on until the _created line of the metric at hand or the end of what may be its family. */
static int64_t
created_ahead(struct page_parser *p, uint64_t hash)
{
    struct error err = { 0 };
    int64_t st = 0;

    while (parse_openmetrics_next(p, &err) == PARSE_SERIES) {
        struct str name = metric_name(p);

        if (!str_ends(name, STR("_created")))
            continue;
        name.n -= sizeof "_created" - 1;
        if (metric_hash(p, name) == hash && fabs(p->value) < 9e15)
            st = (int64_t)(p->value * 1000);
        break;
    }
    error_clear(&err);
    return st;
}

int64_t
parse_openmetrics_start_timestamp(struct page_parser *p)
{
    struct str family = metric_name(p);
    struct page_parser kept;
    uint64_t hash;

    if (!type_has_start(p->type)) {
        p->st_known = false;
        return 0;
    }
    if (family.n > p->family_bytes)
        family.n = p->family_bytes;
    hash = metric_hash(p, family);
    if (p->st_known && p->st_hash == hash)
        return p->st_ms;
    kept = *p;
    p->pairs = (struct parse_pairs){ 0 };
    p->peeking = true;
    int64_t st = created_ahead(p, hash);
    free(p->pairs.v);
    *p = kept; /* stands where it stood; the label pairs too */
    p->st_known = st != 0;
    p->st_hash = hash;
    p->st_ms = st;
    return st;
}
