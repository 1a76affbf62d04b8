/* The values of a series description: `1 2x3 _ stale {{schema:1 buckets:[1 2]}}x4`. Spaces are
 * tokens here. */
#include <strings.h>
#include "promql/lexer_priv.h"

static bool
in_words(struct str word, const char *const *words, size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        if (lexer_word_is(word, words[i]))
            return true;
    }
    return false;
}

static bool
is_hist_key(struct str word)
{
    static const char *const words[] = {
        "sum",       "count",    "schema",     "offset",        "n_offset",           "buckets",
        "n_buckets", "z_bucket", "z_bucket_w", "custom_values", "counter_reset_hint",
    };

    return in_words(word, words, ARRAY_LEN(words));
}

static bool
is_hist_hint(struct str word)
{
    static const char *const words[] = { "unknown", "reset", "not_reset", "gauge" };

    return in_words(word, words, ARRAY_LEN(words));
}

static bool
emit_space(struct lexer *lx, struct token *t)
{
    lexer_emit(lx, t, TOKEN_SPACE);
    lexer_skip_spaces(lx);
    return true;
}

bool
lexer_values(struct lexer *lx, struct token *t)
{
    uint32_t r = lexer_take(lx);

    if (lexer_is_space(r))
        return emit_space(lx, t);
    if (r == '{' && lexer_peek(lx) == '{') {
        lexer_take(lx);
        lx->mode = LEX_HISTOGRAM;
        return lexer_emit(lx, t, TOKEN_OPEN_HIST);
    }
    if (lexer_is_digit(r) || (r == '.' && lexer_is_digit(lexer_peek(lx)))) {
        lx->pos = lx->start;
        return lexer_number(lx, t);
    }
    switch (r) {
    case RUNE_EOF:
        lx->mode = LEX_STATEMENT;
        return false;
    case '+':
        return lexer_emit_op(lx, t, OP_ADD);
    case '-':
        return lexer_emit_op(lx, t, OP_SUB);
    case 'x':
        return lexer_emit(lx, t, TOKEN_TIMES);
    case '_':
        return lexer_emit(lx, t, TOKEN_BLANK);
    default:
        if (!lexer_is_alpha(r))
            return lexer_fail_rune(lx, t, "unexpected character in series sequence: ", r, "");
        lexer_back(lx);
        return lexer_keyword_or_identifier(lx, t);
    }
}

static bool
lex_hist_word(struct lexer *lx, struct token *t)
{
    while (lexer_is_alpha(lexer_take(lx)))
        continue;
    lexer_back(lx);

    struct str word = lexer_word(lx);
    if (is_hist_key(word)) {
        if (lexer_peek(lx) != ':')
            return lexer_fail(lx, t, "missing `:` for histogram descriptor");
        return lexer_emit(lx, t, TOKEN_HIST_KEY);
    }
    if (lexer_is_number_word(word))
        return lexer_emit(lx, t, TOKEN_NUMBER);
    if (is_hist_hint(word))
        return lexer_emit(lx, t, TOKEN_HIST_HINT);
    return lexer_fail_word(lx, t, "bad histogram descriptor found: ");
}

bool
lexer_histogram(struct lexer *lx, struct token *t)
{
    uint32_t r = lexer_take(lx);

    if (lexer_is_space(r))
        return emit_space(lx, t);
    if (lexer_is_alpha(r))
        return lex_hist_word(lx, t);
    if (lexer_is_digit(r)) {
        lexer_back(lx);
        return lexer_number(lx, t);
    }
    if (r == '}' && lexer_peek(lx) == '}') {
        lexer_take(lx);
        lx->mode = LEX_VALUES;
        return lexer_emit(lx, t, TOKEN_CLOSE_HIST);
    }
    switch (r) {
    case ':':
        return lexer_emit(lx, t, TOKEN_COLON);
    case '-':
        return lexer_emit_op(lx, t, OP_SUB);
    case '[':
        lx->mode = LEX_BUCKETS;
        return lexer_emit(lx, t, TOKEN_LEFT_BRACKET);
    default:
        return lexer_fail_rune(lx, t, "histogram description incomplete unexpected: ", r, "");
    }
}

bool
lexer_buckets(struct lexer *lx, struct token *t)
{
    uint32_t r = lexer_take(lx);

    if (lexer_is_space(r))
        return emit_space(lx, t);
    if (lexer_is_digit(r)) {
        lexer_back(lx);
        return lexer_number(lx, t);
    }
    if (r == '-') {
        lx->mode = LEX_BUCKET_NUMBER;
        return lexer_emit_op(lx, t, OP_SUB);
    }
    if (r == ']') {
        lx->mode = LEX_HISTOGRAM;
        return lexer_emit(lx, t, TOKEN_RIGHT_BRACKET);
    }
    if (!lexer_is_alpha(r))
        return lexer_fail_rune(lx, t, "invalid character in buckets description: ", r, "");
    /* Letter by letter until the word is Inf or NaN. */
    return lexer_is_number_word(lexer_word(lx)) && lexer_emit(lx, t, TOKEN_NUMBER);
}
