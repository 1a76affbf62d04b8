/* promql/lexer_priv.h: what the files of the lexer share. Every function that fills a token returns
 * true. */
#pragma once
#include "promql/lexer.h"
#include <stdarg.h>
#include <stdio.h>

#define RUNE_EOF UINT32_MAX

static inline bool
lexer_is_digit(uint32_t r)
{
    return r >= '0' && r <= '9';
}

static inline bool
lexer_is_alpha(uint32_t r)
{
    return r == '_' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z');
}

static inline bool
lexer_is_alnum(uint32_t r)
{
    return lexer_is_alpha(r) || lexer_is_digit(r);
}

/* The next rune, RUNE_EOF at the end; bytes that are not UTF-8 give U+FFFD one by one. */
uint32_t lexer_take(struct lexer *lx);
/* Puts the rune taken last back; once. */
void lexer_back(struct lexer *lx);
uint32_t lexer_peek(struct lexer *lx);
void lexer_skip_spaces(struct lexer *lx);
/* What was taken since the last token. */
struct str lexer_word(const struct lexer *lx);
bool lexer_word_is(struct str word, const char *z); /* in any case */
bool lexer_is_number_word(struct str word);         /* inf, nan */

bool lexer_emit(struct lexer *lx, struct token *t, enum token_type type);
bool lexer_emit_op(struct lexer *lx, struct token *t, enum binary_op op);
bool lexer_fail(struct lexer *lx, struct token *t, const char *fmt, ...) PRINTF(3, 4);
/* what, the rune in quotes, more. */
bool lexer_fail_rune(struct lexer *lx, struct token *t, const char *what, uint32_t rune,
                     const char *more);
/* what, then what was taken so far in quotes. */
bool lexer_fail_word(struct lexer *lx, struct token *t, const char *what);

/* lexer_number.c: true when a number (a duration behind what scan_number took) stands here. */
bool lexer_scan_number(struct lexer *lx);
bool lexer_scan_duration(struct lexer *lx);
bool lexer_number(struct lexer *lx, struct token *t);
bool lexer_number_or_duration(struct lexer *lx, struct token *t);
bool lexer_keyword_or_identifier(struct lexer *lx, struct token *t);

/* lexer_string.c: the opening quote has been taken. */
bool lexer_string(struct lexer *lx, struct token *t, uint32_t quote_char);

/* lexer_series.c: false when only the mode changed. */
bool lexer_values(struct lexer *lx, struct token *t);
bool lexer_histogram(struct lexer *lx, struct token *t);
bool lexer_buckets(struct lexer *lx, struct token *t);
