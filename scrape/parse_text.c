/* Prometheus's text format, versions 0.0.4 and 1.0.0.
 *
 * A lexer with a state per place in a line, and a parser that asks it token by token. Both stop
 * exactly where Prometheus's do, since the stretch of text around the fault is part of the error
 * that people see on the targets page. The page ends with a line break that page_parser_start()
 * added. */
#include "scrape/parse_priv.h"

/* The rest of a comment; anything behind "# " that is not HELP or TYPE with white space is one. */
static enum token
lex_comment(struct page_lexer *l)
{
    uint8_t c = l->i < l->n ? (uint8_t)l->b[l->i] : 0;

    while (c != 0 && c != '\n')
        c = lex_next(l);
    if (c == 0)
        return TOK_EOF;
    return lex_enter(l, LEX_INIT, TOK_COMMENT);
}

static uint8_t
lex_blanks(struct page_lexer *l)
{
    uint8_t c;

    do
        c = lex_next(l);
    while (c == ' ' || c == '\t');
    return c;
}

/* Behind "#" and white space. */
static enum token
lex_keyword(struct page_lexer *l)
{
    static const char *const words[] = { "HELP", "TYPE" };
    uint8_t c = l->i < l->n ? (uint8_t)l->b[l->i] : 0;

    for (size_t w = 0; w < ARRAY_LEN(words); w++) {
        const char *z = words[w];

        if (c != (uint8_t)*z)
            continue;
        while (*z != 0 && c == (uint8_t)*z) {
            c = lex_next(l);
            z++;
        }
        if (*z != 0 || (c != ' ' && c != '\t'))
            break;
        lex_blanks(l);
        return lex_enter(l, LEX_META1, w == 0 ? TOK_HELP : TOK_TYPE);
    }
    return lex_comment(l);
}

static enum token
lex_init(struct page_lexer *l, uint8_t c)
{
    if (byte_is_letter(c) || c == ':') {
        lex_name(l, true);
        return lex_enter(l, LEX_VALUE, TOK_METRIC);
    }
    switch (c) {
    case '#':
        c = lex_next(l);
        if (c != ' ' && c != '\t')
            return lex_comment(l);
        lex_blanks(l);
        l->state = LEX_COMMENT;
        return lex_keyword(l);
    case '\n':
        lex_next(l);
        return lex_enter(l, LEX_INIT, TOK_LINEBREAK);
    case '{':
        lex_next(l);
        return lex_enter(l, LEX_LABELS, TOK_BRACE_OPEN);
    case 0:
        lex_next(l);
        return TOK_EOF;
    }
    return TOK_INVALID;
}

static enum token
lex_labels(struct page_lexer *l, uint8_t c)
{
    if (byte_is_letter(c)) {
        lex_name(l, false);
        return TOK_LNAME;
    }
    switch (c) {
    case '"':
        return lex_quoted(l, true) ? TOK_QSTRING : TOK_INVALID;
    case '}':
        lex_next(l);
        return lex_enter(l, LEX_VALUE, TOK_BRACE_CLOSE);
    case '=':
        lex_next(l);
        return lex_enter(l, LEX_LVALUE, TOK_EQUAL);
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

/* The text of a HELP or TYPE line: up to the line break, if it is not white space alone. */
static enum token
lex_meta_text(struct page_lexer *l, uint8_t c)
{
    if (c == ' ' || c == '\t') {
        c = lex_blanks(l);
        if (c == 0 || c == '\n')
            return TOK_WHITESPACE;
    }
    while (c != 0 && c != '\n')
        c = lex_next(l);
    return lex_enter(l, LEX_INIT, TOK_TEXT);
}

static enum token
lex_timestamp(struct page_lexer *l, uint8_t c)
{
    if (c == '\n') {
        lex_next(l);
        return lex_enter(l, LEX_INIT, TOK_LINEBREAK);
    }
    if (!byte_is_digit(c))
        return TOK_INVALID;
    do
        c = lex_next(l);
    while (byte_is_digit(c));
    return TOK_TIMESTAMP;
}

enum token
lex_text_token(struct page_lexer *l)
{
    uint8_t c;

    if (l->i >= l->n)
        return TOK_EOF;
    c = (uint8_t)l->b[l->i];
    l->start = l->i;
    if (l->state == LEX_META2)
        return lex_meta_text(l, c);
    if (l->state == LEX_COMMENT)
        return lex_keyword(l);
    if (c == ' ' || c == '\t') {
        lex_blanks(l);
        return TOK_WHITESPACE;
    }
    switch ((enum lex_state)l->state) {
    case LEX_INIT:
        return lex_init(l, c);
    case LEX_META1:
        return lex_meta_name(l, c);
    case LEX_LABELS:
        return lex_labels(l, c);
    case LEX_LVALUE:
        if (c != '"' || !lex_quoted(l, true))
            return TOK_INVALID;
        return lex_enter(l, LEX_LABELS, TOK_LVALUE);
    case LEX_VALUE:
        if (c == '{') {
            lex_next(l);
            return lex_enter(l, LEX_LABELS, TOK_BRACE_OPEN);
        }
        if (c == 0 || c == '\n')
            return TOK_INVALID;
        lex_word(l, true);
        return lex_enter(l, LEX_TIMESTAMP, TOK_VALUE);
    case LEX_TIMESTAMP:
        return lex_timestamp(l, c);
    default:
        return TOK_INVALID;
    }
}

/* "# HELP name text" and "# TYPE name type". */
static enum parse_entry
meta_line(struct page_parser *p, enum token kind, struct error *err)
{
    enum token t = parse_token(p);

    if (t != TOK_METRIC)
        return parse_unexpected(p,
                                kind == TOK_HELP ? "expected metric name after HELP"
                                                 : "expected metric name after TYPE",
                                t, err);
    p->name = lex_text(&p->lex);
    if (p->name.n >= 2 && p->name.p[0] == '"' && p->name.p[p->name.n - 1] == '"')
        p->name = (struct str){ p->name.p + 1, p->name.n - 2 };
    t = parse_token(p);
    if (t != TOK_TEXT) {
        error_set(err, ERR_CORRUPT, "expected text in %s, got %s", token_name(kind), token_name(t));
        return PARSE_ERROR;
    }
    p->text = lex_text(&p->lex);
    p->text = p->text.n > 1 ? str_skip(p->text, 1) : STR_NONE;
    if (kind == TOK_TYPE && !parse_type_name(p, p->text, err))
        return PARSE_ERROR;
    if (kind == TOK_HELP && !str_utf8_valid(p->text)) {
        struct buf quoted = { 0 };

        quote_go(p->text, &quoted);
        error_set(err, ERR_CORRUPT, "help text %s is not a valid utf8 string", buf_z(&quoted));
        buf_fini(&quoted);
        return PARSE_ERROR;
    }
    t = parse_token(p);
    if (t != TOK_LINEBREAK)
        return parse_unexpected(p, "linebreak expected after metadata", t, err);
    return kind == TOK_HELP ? PARSE_HELP : PARSE_TYPE;
}

static bool
timestamp(struct page_parser *p, struct error *err)
{
    struct str text = lex_text(&p->lex);
    uint64_t t = 0;

    for (size_t i = 0; i < text.n; i++) {
        uint64_t digit = (uint64_t)(text.p[i] - '0');

        if (t > ((uint64_t)INT64_MAX - digit) / 10) {
            struct buf what = { 0 };

            buf_c(&what, "strconv.ParseInt: parsing ");
            quote_go(text, &what);
            buf_c(&what, ": value out of range");
            parse_failed(p, buf_z(&what), err);
            buf_fini(&what);
            return false;
        }
        t = t * 10 + digit;
    }
    p->t_ms = (int64_t)t;
    p->has_t = true;
    return true;
}

/* Value, timestamp, line break; t is the token behind the series. */
static enum parse_entry
end_of_line(struct page_parser *p, enum token t, struct error *err)
{
    if (!p->has_metric)
        return parse_failed(p, "metric name not set", err);
    if (t != TOK_VALUE)
        return parse_unexpected(p, "expected value after metric", t, err);
    if (!parse_number(p, lex_text(&p->lex), &p->value, err))
        return PARSE_ERROR;
    p->has_t = false;
    t = parse_token(p);
    if (t == TOK_LINEBREAK)
        return PARSE_SERIES;
    if (t != TOK_TIMESTAMP)
        return parse_unexpected(p, "expected timestamp or new record", t, err);
    if (!timestamp(p, err))
        return PARSE_ERROR;
    t = parse_token(p);
    if (t != TOK_LINEBREAK)
        return parse_unexpected(p, "expected next entry after timestamp", t, err);
    return PARSE_SERIES;
}

static enum parse_entry
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
            return PARSE_ERROR;
        p->series.n = p->lex.i - p->start;
        t = parse_token(p);
    }
    return end_of_line(p, t, err);
}

enum parse_entry
parse_text_rest(struct page_parser *p, struct error *err)
{
    return end_of_line(p, parse_token(p), err);
}

enum parse_entry
parse_text_next(struct page_parser *p, struct error *err)
{
    for (;;) {
        enum token t;

        p->start = p->lex.i;
        p->pairs.nr = 0;
        t = parse_token(p);
        switch (t) {
        case TOK_EOF:
            return PARSE_END;
        case TOK_LINEBREAK:
            continue;
        case TOK_HELP:
        case TOK_TYPE:
            return meta_line(p, t, err);
        case TOK_COMMENT:
            p->text = lex_text(&p->lex);
            t = parse_token(p);
            if (t != TOK_LINEBREAK)
                return parse_unexpected(p, "linebreak expected after comment", t, err);
            return PARSE_COMMENT;
        case TOK_BRACE_OPEN:
        case TOK_METRIC:
            return series_line(p, t, err);
        default:
            return parse_unexpected(p, "expected a valid start token", t, err);
        }
    }
}
