/* Each lex_*() reads one token in its mode, or changes the mode and reads nothing (then
 * lexer_next() goes round again). A token spans [start, pos); `width` is the length of the rune
 * read last, so that one rune can be put back. */
#include "promql/lexer.h"
#include <strings.h>
#include "promql/lexer_priv.h"
#include "promql/quote.h"

static const struct keyword {
    const char *word;
    enum token_type type;
} keywords[] = {
    { "anchored", TOKEN_ANCHORED },
    { "bool", TOKEN_BOOL },
    { "by", TOKEN_BY },
    { "end", TOKEN_END },
    { "fill", TOKEN_FILL },
    { "fill_left", TOKEN_FILL_LEFT },
    { "fill_right", TOKEN_FILL_RIGHT },
    { "group_left", TOKEN_GROUP_LEFT },
    { "group_right", TOKEN_GROUP_RIGHT },
    { "ignoring", TOKEN_IGNORING },
    { "inf", TOKEN_NUMBER },
    { "max_of", TOKEN_MAX_OF },
    { "min_of", TOKEN_MIN_OF },
    { "nan", TOKEN_NUMBER },
    { "offset", TOKEN_OFFSET },
    { "on", TOKEN_ON },
    { "range", TOKEN_RANGE },
    { "smoothed", TOKEN_SMOOTHED },
    { "start", TOKEN_START },
    { "step", TOKEN_STEP },
    { "without", TOKEN_WITHOUT },
};

bool
lexer_word_is(struct str word, const char *z)
{
    return word.n == strlen(z) && strncasecmp(word.p, z, word.n) == 0;
}

/* Sets the token's type when word is a keyword, an aggregation or an operator, in any case. */
static bool
find_keyword(struct str word, struct token *t)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        if (lexer_word_is(word, keywords[i].word)) {
            t->type = keywords[i].type;
            return true;
        }
    }
    for (enum aggregate_op op = 0; op < AGGR_NR; op++) {
        if (lexer_word_is(word, promql_aggregates[op].name)) {
            t->type = TOKEN_AGGREGATE;
            t->aggr = op;
            return true;
        }
    }
    for (enum binary_op op = 0; op < OP_NR; op++) {
        if (promql_operators[op].kind != OPERATOR_DURATION &&
            lexer_word_is(word, promql_operators[op].text)) {
            t->type = TOKEN_OPERATOR;
            t->op = op;
            return true;
        }
    }
    return false;
}

bool
lexer_is_number_word(struct str word)
{
    return lexer_word_is(word, "inf") || lexer_word_is(word, "nan");
}

bool
lexer_is_space(uint32_t r)
{
    return r == ' ' || r == '\t' || r == '\n' || r == '\r';
}

uint32_t
lexer_take(struct lexer *lx)
{
    uint32_t rune = RUNE_EOF;

    lx->width = (uint32_t)str_rune(str_skip(lx->text, lx->pos), &rune);
    if (lx->width == 0)
        rune = RUNE_EOF;
    lx->pos += lx->width;
    return rune;
}

void
lexer_back(struct lexer *lx)
{
    lx->pos -= lx->width;
}

uint32_t
lexer_peek(struct lexer *lx)
{
    uint32_t rune = lexer_take(lx);

    lexer_back(lx);
    return rune;
}

struct str
lexer_word(const struct lexer *lx)
{
    return (struct str){ lx->text.p + lx->start, lx->pos - lx->start };
}

bool
lexer_emit(struct lexer *lx, struct token *t, enum token_type type)
{
    t->type = type;
    t->text = lexer_word(lx);
    t->pos = (struct pos_range){ lx->start, lx->pos };
    lx->start = lx->pos;
    return true;
}

bool
lexer_emit_op(struct lexer *lx, struct token *t, enum binary_op op)
{
    t->op = op;
    return lexer_emit(lx, t, TOKEN_OPERATOR);
}

bool
lexer_fail(struct lexer *lx, struct token *t, const char *fmt, ...)
{
    va_list ap;
    char msg[128];

    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    lx->msg = arena_str(lx->arena, str_c(msg));
    t->type = TOKEN_ERROR;
    t->text = STR_NONE;
    t->pos = (struct pos_range){ lx->start, (uint32_t)lx->text.n };
    lx->mode = LEX_DONE;
    return true;
}

bool
lexer_fail_rune(struct lexer *lx, struct token *t, const char *what, uint32_t rune,
                const char *more)
{
    struct buf b = { 0 };

    quote_rune(&b, rune);
    lexer_fail(lx, t, "%s%s%s", what, buf_z(&b), more);
    buf_fini(&b);
    return true;
}

bool
lexer_fail_word(struct lexer *lx, struct token *t, const char *what)
{
    struct buf b = { 0 };

    buf_c(&b, what);
    quote(&b, lexer_word(lx));
    lexer_fail(lx, t, "%s", "");
    lx->msg = arena_str(lx->arena, buf_as_str(&b));
    buf_fini(&b);
    return true;
}

void
lexer_skip_spaces(struct lexer *lx)
{
    while (lexer_is_space(lexer_peek(lx)))
        lexer_take(lx);
    lx->start = lx->pos;
}

static void
skip_comment(struct lexer *lx)
{
    uint32_t r;

    do {
        r = lexer_take(lx);
    } while (r != '\n' && r != '\r' && r != RUNE_EOF);
    lexer_back(lx);
    lx->start = lx->pos;
}

bool
lexer_number_or_duration(struct lexer *lx, struct token *t)
{
    /* Inside brackets too, the rest is read as statements are: `foo[5s s]` is told about the colon.
     */
    lx->mode = LEX_STATEMENT;
    if (lexer_scan_number(lx))
        return lexer_emit(lx, t, TOKEN_NUMBER);
    if (lexer_scan_duration(lx))
        return lexer_emit(lx, t, TOKEN_DURATION);
    return lexer_fail_word(lx, t, "bad number or duration syntax: ");
}

bool
lexer_number(struct lexer *lx, struct token *t)
{
    if (!lexer_scan_number(lx))
        return lexer_fail_word(lx, t, "bad number syntax: ");
    return lexer_emit(lx, t, TOKEN_NUMBER);
}

static bool
followed_by_paren(const struct lexer *lx)
{
    uint32_t pos = lx->pos;

    while (pos < lx->text.n && lexer_is_space((uint8_t)lx->text.p[pos]))
        pos++;
    return pos < lx->text.n && lx->text.p[pos] == '(';
}

bool
lexer_keyword_or_identifier(struct lexer *lx, struct token *t)
{
    uint32_t r;

    do {
        r = lexer_take(lx);
    } while (lexer_is_alnum(r) || r == ':');
    lexer_back(lx);

    struct str word = lexer_word(lx);
    enum token_type type = TOKEN_IDENTIFIER;
    if (find_keyword(word, t)) {
        type = t->type;
        /* A new keyword must not break queries on a metric of that name. */
        if (type >= TOKEN_FILL && type <= TOKEN_FILL_RIGHT && !followed_by_paren(lx))
            type = TOKEN_IDENTIFIER;
    } else if (str_find(word, ':', 0) != word.n) {
        type = TOKEN_METRIC_IDENTIFIER;
    }
    if (lx->series)
        lx->mode = lexer_peek(lx) == '{' ? LEX_STATEMENT : LEX_VALUES;
    return lexer_emit(lx, t, type);
}

static bool
duration_keyword(struct lexer *lx, struct token *t)
{
    static const enum token_type types[] = { TOKEN_STEP, TOKEN_RANGE, TOKEN_MAX_OF, TOKEN_MIN_OF };
    static const char *const words[] = { "step", "range", "max_of", "min_of" };

    while (lexer_is_alpha(lexer_take(lx)))
        continue;
    lexer_back(lx);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (lexer_word_is(lexer_word(lx), words[i]))
            return lexer_emit(lx, t, types[i]);
    }
    return false;
}

static bool
starts_duration_keyword(uint32_t r)
{
    return r < 0x80 && r != 0 && strchr("srmSRM", (int)r) != NULL;
}

/* A letter, '_' or ':' outside braces. */
static bool
lex_word(struct lexer *lx, struct token *t, uint32_t r)
{
    if (!lx->bracket_open) {
        lexer_back(lx);
        return lexer_keyword_or_identifier(lx, t);
    }
    if (r == ':') {
        if (lx->got_colon)
            return lexer_fail_rune(lx, t, "unexpected colon ", r, "");
        lx->got_colon = true;
        return lexer_emit(lx, t, TOKEN_COLON);
    }
    if (starts_duration_keyword(r) && duration_keyword(lx, t))
        return true;
    return lexer_fail_rune(lx, t, "unexpected character: ", r, ", expected ':'");
}

/* Operators of more than one character, and the mistakes next to them. */
static bool
lex_comparison(struct lexer *lx, struct token *t, uint32_t r)
{
    uint32_t next = lexer_peek(lx);

    if (r == '=' && next == '~')
        return lexer_fail_rune(lx, t, "unexpected character after '=': ", next, "");
    if (r == '=' && next != '=')
        return lexer_emit(lx, t, TOKEN_EQL);
    if (r == '!' && next != '=')
        return lexer_fail_rune(lx, t, "unexpected character after '!': ", next, "");
    if (next != '=' && next != '/')
        return lexer_emit_op(lx, t, r == '<' ? OP_LT : OP_GT);
    lexer_take(lx);
    if (next == '/')
        return lexer_emit_op(lx, t, r == '<' ? OP_TRIM_UPPER : OP_TRIM_LOWER);
    return lexer_emit_op(lx, t, r == '=' ? OP_EQ : r == '!' ? OP_NE : r == '<' ? OP_LE : OP_GE);
}

static bool
lex_right_paren(struct lexer *lx, struct token *t)
{
    lexer_emit(lx, t, TOKEN_RIGHT_PAREN);
    if (--lx->paren_depth < 0)
        return lexer_fail_rune(lx, t, "unexpected right parenthesis ", ')', "");
    return true;
}

static bool
lex_left_bracket(struct lexer *lx, struct token *t)
{
    if (lx->bracket_open)
        return lexer_fail_rune(lx, t, "unexpected left bracket ", '[', "");
    lx->got_colon = false;
    lexer_emit(lx, t, TOKEN_LEFT_BRACKET);
    lexer_skip_spaces(lx);
    lx->bracket_open = true;
    lx->mode = LEX_DURATION;
    return true;
}

static bool
lex_right_bracket(struct lexer *lx, struct token *t)
{
    if (!lx->bracket_open)
        return lexer_fail_rune(lx, t, "unexpected right bracket ", ']', "");
    lx->bracket_open = false;
    return lexer_emit(lx, t, TOKEN_RIGHT_BRACKET);
}

static bool
lex_end(struct lexer *lx, struct token *t)
{
    if (lx->paren_depth != 0)
        return lexer_fail(lx, t, "unclosed left parenthesis");
    if (lx->bracket_open)
        return lexer_fail(lx, t, "unclosed left bracket");
    lx->mode = LEX_DONE;
    return lexer_emit(lx, t, TOKEN_EOF);
}

/* The sign's operator, or OP_NR. */
static enum binary_op
arithmetic_op(uint32_t r)
{
    static const char signs[] = "+-*/%^"; /* in the order of enum binary_op */
    const char *at = r == 0 || r > 0x7F ? NULL : strchr(signs, (int)r);

    return at == NULL ? OP_NR : (enum binary_op)(OP_ADD + (at - signs));
}

static bool
lex_statement_rune(struct lexer *lx, struct token *t, uint32_t r)
{
    switch (r) {
    case RUNE_EOF:
        return lex_end(lx, t);
    case ',':
        return lexer_emit(lx, t, TOKEN_COMMA);
    case '=':
    case '!':
    case '<':
    case '>':
        return lex_comparison(lx, t, r);
    case '"':
    case '\'':
    case '`':
        return lexer_string(lx, t, r);
    case '(':
        lx->paren_depth++;
        return lexer_emit(lx, t, TOKEN_LEFT_PAREN);
    case ')':
        return lex_right_paren(lx, t);
    case '{':
        lx->mode = LEX_BRACES;
        return lexer_emit(lx, t, TOKEN_LEFT_BRACE);
    case '[':
        return lex_left_bracket(lx, t);
    case ']':
        return lex_right_bracket(lx, t);
    case '@':
        return lexer_emit(lx, t, TOKEN_AT);
    default:
        return lexer_fail_rune(lx, t, "unexpected character: ", r, "");
    }
}

static bool
lex_statement(struct lexer *lx, struct token *t)
{
    uint32_t r = lexer_take(lx);

    if (r == '#') {
        skip_comment(lx);
        return false;
    }
    if (lexer_is_space(r)) {
        lexer_skip_spaces(lx);
        return false;
    }
    if (arithmetic_op(r) != OP_NR)
        return lexer_emit_op(lx, t, arithmetic_op(r));
    if (lexer_is_digit(r) || (r == '.' && lexer_is_digit(lexer_peek(lx)))) {
        lx->pos = lx->start; /* back over the rune that was looked at as well */
        return lexer_number_or_duration(lx, t);
    }
    if (lexer_is_alpha(r) || r == ':')
        return lex_word(lx, t, r);
    return lex_statement_rune(lx, t, r);
}

/* Behind '[', until a number ends it (then the statement rules apply, which know brackets too). */
static bool
lex_duration(struct lexer *lx, struct token *t)
{
    uint32_t r = lexer_take(lx);

    if (lexer_is_space(r)) {
        lexer_skip_spaces(lx);
        return false;
    }
    if (arithmetic_op(r) != OP_NR)
        return lexer_emit_op(lx, t, arithmetic_op(r));
    if (starts_duration_keyword(r) && duration_keyword(lx, t))
        return true;
    if (lexer_is_digit(r) || (r == '.' && lexer_is_digit(lexer_peek(lx)))) {
        lx->pos = lx->start;
        lx->got_duration = true;
        return lexer_number_or_duration(lx, t);
    }
    switch (r) {
    case RUNE_EOF:
        return lexer_fail(lx, t, "unexpected end of input in duration expression");
    case ']':
        lx->bracket_open = lx->got_colon = false;
        lx->mode = LEX_STATEMENT;
        return lexer_emit(lx, t, TOKEN_RIGHT_BRACKET);
    case ':':
        lexer_emit(lx, t, TOKEN_COLON);
        if (!lx->got_duration)
            return lexer_fail(lx, t, "unexpected colon before duration in duration expression");
        if (lx->got_colon)
            return lexer_fail(lx, t, "unexpected repeated colon in duration expression");
        lx->got_colon = true;
        return true;
    case '(':
        lx->paren_depth++;
        return lexer_emit(lx, t, TOKEN_LEFT_PAREN);
    case ')':
        return lex_right_paren(lx, t);
    case ',':
        return lexer_emit(lx, t, TOKEN_COMMA);
    default:
        return lexer_fail_rune(lx, t, "unexpected character in duration expression: ", r, "");
    }
}

static bool
lex_match_operator(struct lexer *lx, struct token *t, uint32_t r)
{
    uint32_t next = lexer_take(lx);

    if (r == '=' && next == '~')
        return lexer_emit(lx, t, TOKEN_EQL_REGEX);
    if (r == '=') {
        lexer_back(lx);
        return lexer_emit(lx, t, TOKEN_EQL);
    }
    if (next == '~')
        return lexer_emit(lx, t, TOKEN_NEQ_REGEX);
    if (next == '=')
        return lexer_emit_op(lx, t, OP_NE);
    return lexer_fail_rune(lx, t, "unexpected character after '!' inside braces: ", next, "");
}

static bool
lex_braces(struct lexer *lx, struct token *t)
{
    uint32_t r = lexer_take(lx);

    if (r == '#') {
        skip_comment(lx);
        return false;
    }
    if (lexer_is_space(r)) {
        lexer_skip_spaces(lx);
        return false;
    }
    if (lexer_is_alpha(r)) {
        while (lexer_is_alnum(lexer_take(lx)))
            continue;
        lexer_back(lx);
        return lexer_emit(lx, t, TOKEN_IDENTIFIER);
    }
    switch (r) {
    case RUNE_EOF:
        return lexer_fail(lx, t, "unexpected end of input inside braces");
    case ',':
        return lexer_emit(lx, t, TOKEN_COMMA);
    case '"':
    case '\'':
    case '`':
        return lexer_string(lx, t, r);
    case '=':
    case '!':
        return lex_match_operator(lx, t, r);
    case '{':
        return lexer_fail_rune(lx, t, "unexpected left brace ", r, "");
    case '}':
        lx->mode = lx->series ? LEX_VALUES : LEX_STATEMENT;
        return lexer_emit(lx, t, TOKEN_RIGHT_BRACE);
    default:
        return lexer_fail_rune(lx, t, "unexpected character inside braces: ", r, "");
    }
}

void
lexer_init(struct lexer *lx, struct str text, bool series, struct arena *arena)
{
    ASSERT(text.n <= UINT32_MAX);
    *lx = (struct lexer){ .text = text, .series = series, .arena = arena };
}

void
lexer_next(struct lexer *lx, struct token *t)
{
    bool got = false;

    while (!got) {
        switch (lx->mode) {
        case LEX_STATEMENT:
            got = lex_statement(lx, t);
            break;
        case LEX_BRACES:
            got = lex_braces(lx, t);
            break;
        case LEX_DURATION:
            got = lex_duration(lx, t);
            break;
        case LEX_VALUES:
            got = lexer_values(lx, t);
            break;
        case LEX_HISTOGRAM:
            got = lexer_histogram(lx, t);
            break;
        case LEX_BUCKETS:
            got = lexer_buckets(lx, t);
            break;
        case LEX_BUCKET_NUMBER:
            lx->mode = LEX_BUCKETS;
            got = lexer_number(lx, t);
            break;
        case LEX_DONE:
            got = true; /* the last token stands */
            break;
        }
    }
}

/* At most ten runes of the text, quoted. */
static void
describe_text(struct buf *out, struct str text)
{
    size_t n = 0;
    uint32_t rune;

    for (size_t i = 0; i < 10 && n < text.n; i++)
        n += str_rune(str_skip(text, n), &rune);
    if (text.n <= 10)
        n = text.n;
    quote(out, (struct str){ text.p, n });
    if (text.n > 10)
        buf_c(out, "...");
}

struct str
token_describe(const struct token *t, struct arena *arena)
{
    static const char *const names[] = {
        [TOKEN_IDENTIFIER] = "identifier ", [TOKEN_METRIC_IDENTIFIER] = "metric identifier ",
        [TOKEN_STRING] = "string ",         [TOKEN_NUMBER] = "number ",
        [TOKEN_DURATION] = "duration ",
    };
    struct buf b = { 0 };

    if (t->type < ARRAY_LEN(names) && names[t->type] != NULL)
        buf_c(&b, names[t->type]);
    if (t->type == TOKEN_EOF)
        buf_c(&b, "end of input");
    else if (t->type == TOKEN_IDENTIFIER || t->type == TOKEN_METRIC_IDENTIFIER)
        quote(&b, t->text);
    else if (t->type == TOKEN_AGGREGATE)
        buf_printf(&b, "<aggr:%.*s>", STR_ARG(t->text));
    else if (t->type == TOKEN_OPERATOR || t->type == TOKEN_AT || t->type == TOKEN_EQL_REGEX ||
             t->type == TOKEN_NEQ_REGEX)
        buf_printf(&b, "<op:%.*s>", STR_ARG(t->text));
    else if (t->type >= TOKEN_BOOL && t->type <= TOKEN_WITHOUT)
        buf_printf(&b, "<%.*s>", STR_ARG(t->text));
    else
        describe_text(&b, t->text);

    struct str text = arena_str(arena, buf_as_str(&b));
    buf_fini(&b);
    return text;
}
