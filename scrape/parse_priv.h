/* scrape/parse_priv.h: what the exposition parsers share. */
#pragma once
#include "base/buf.h"
#include "base/quote.h"
#include "scrape/parse.h"

enum lex_state {
    LEX_INIT,
    LEX_COMMENT,
    LEX_META1, /* behind HELP, TYPE, UNIT: the family's name comes */
    LEX_META2, /* and its text */
    LEX_LABELS,
    LEX_LVALUE,
    LEX_VALUE,
    LEX_TIMESTAMP,
    LEX_EXEMPLAR,
    LEX_EVALUE,
    LEX_ETIMESTAMP
};

enum token {
    TOK_INVALID,
    TOK_EOF,
    TOK_LINEBREAK,
    TOK_WHITESPACE,
    TOK_HELP,
    TOK_TYPE,
    TOK_UNIT,
    TOK_EOF_WORD,
    TOK_TEXT,
    TOK_COMMENT,
    TOK_METRIC,
    TOK_QSTRING,
    TOK_BRACE_OPEN,
    TOK_BRACE_CLOSE,
    TOK_LNAME,
    TOK_LVALUE,
    TOK_COMMA,
    TOK_EQUAL,
    TOK_TIMESTAMP,
    TOK_VALUE
};

/* The next byte, 0 at the end. Prometheus's lexers step over NUL bytes inside quoted values, help
 * texts and comments, and only there; where they stop shows in error texts. */
static inline uint8_t
lex_next(struct page_lexer *l)
{
    bool skips = l->state == LEX_LVALUE || l->state == LEX_META2 || l->state == LEX_COMMENT;

    l->i++;
    while (l->i < l->n && l->b[l->i] == 0 && skips)
        l->i++;
    return l->i < l->n ? (uint8_t)l->b[l->i] : 0;
}

static inline struct str
lex_text(const struct page_lexer *l)
{
    return (struct str){ l->b + l->start, l->i - l->start };
}

static inline enum token
lex_enter(struct page_lexer *l, enum lex_state state, enum token token)
{
    l->state = (int)state;
    return token;
}

static inline bool
byte_is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline bool
byte_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* With the lexer on the first byte. False when the quotes do not close; then it stands on the byte
 * that does not fit. */
bool lex_quoted(struct page_lexer *l, bool line_breaks);
/* Steps over letters, digits and, for metrics, colons. */
void lex_name(struct page_lexer *l, bool colons);
/* Steps over bytes up to a space, a line break or the end; tabs and braces end it for the text
 * format. */
void lex_word(struct page_lexer *l, bool text_format);

/* expected ..., got "..." ("TOKEN") while parsing: "...": PARSE_ERROR. */
enum parse_entry parse_unexpected(const struct page_parser *p, const char *expected, enum token got,
                                  struct error *err);
/* what while parsing: "..." up to the token at hand: PARSE_ERROR. */
enum parse_entry parse_failed(const struct page_parser *p, const char *what, struct error *err);
/* A number token, refused in Prometheus's words. */
MUST_CHECK bool
parse_number(const struct page_parser *p, struct str text, double *v, struct error *err);
const char *token_name(enum token t);

void parse_pairs_add(struct parse_pairs *pairs, struct parse_pair pair);
/* \" \\ \n and nothing else; quotes: also \". The copy lives in scratch, when one is needed. */
struct str parse_unescape(struct str s, bool quotes, struct arena *scratch);

/* The formats. */
enum parse_entry parse_text_next(struct page_parser *p, struct error *err);
enum parse_entry parse_text_rest(struct page_parser *p, struct error *err);
enum parse_entry parse_openmetrics_next(struct page_parser *p, struct error *err);
enum parse_entry parse_openmetrics_rest(struct page_parser *p, struct error *err);
int64_t parse_openmetrics_start_timestamp(struct page_parser *p);
enum token lex_text_token(struct page_lexer *l);
enum token lex_openmetrics_token(struct page_lexer *l);

/* What both text formats do between braces; exemplar: in p->exemplar.pairs, where a lone quoted
 * name is refused. */
bool parse_label_pairs(struct page_parser *p, bool exemplar, struct error *err);
static inline enum token
parse_token(struct page_parser *p)
{
    enum token t;

    if (p->format == PAGE_OPENMETRICS)
        return lex_openmetrics_token(&p->lex);
    do
        t = lex_text_token(&p->lex);
    while (t == TOK_WHITESPACE);
    return t;
}

/* PARSE_TYPE and PARSE_HELP lines of both; the text is the piece behind the name. */
bool parse_type_name(struct page_parser *p, struct str text, struct error *err);

/* When a _created line would be a start timestamp of this type. */
static inline bool
type_has_start(enum metadata_type t)
{
    return t == METADATA_COUNTER || t == METADATA_SUMMARY || t == METADATA_HISTOGRAM;
}

/* le and quantile values in the one form that storage knows: 1 becomes 1.0. */
struct str parse_normal_float(enum metadata_type type, struct str name, struct str value,
                              struct arena *scratch);
/* As OpenMetrics writes a number: 1.0, 2.5, +Inf. In scratch. */
struct str parse_float_text(double v, struct arena *scratch);
/* __name__, and with type_and_unit_labels __type__ and __unit__, into out (room for 3); how many.
 */
size_t parse_family_labels(const struct page_parser *p, struct str metric, struct label *out);
/* With type_and_unit_labels the family's own words win over labels of those names. */
bool parse_label_overridden(const struct page_parser *p, struct str name, struct str metric);

/* The parser without conversion. */
enum parse_entry parse_plain_next(struct page_parser *p, struct error *err);
struct labels parse_plain_labels(struct page_parser *p, struct arena *scratch);
bool parse_plain_exemplar(struct page_parser *p, struct exemplar *e, struct arena *scratch);
int64_t parse_plain_start_timestamp(struct page_parser *p);
