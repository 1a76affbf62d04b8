#include "promql/lexer_priv.h"
#include "promql/quote.h"

static int
digit_value(uint32_t r)
{
    if (r >= '0' && r <= '9')
        return (int)(r - '0');
    if (r >= 'a' && r <= 'f')
        return (int)(r - 'a' + 10);
    if (r >= 'A' && r <= 'F')
        return (int)(r - 'A' + 10);
    return 16;
}

/* "U+0071 'q'", as Go's %#U. */
static bool
fail_escape(struct lexer *lx, struct token *t, const char *before, uint32_t r, const char *after)
{
    struct buf b = { 0 };

    buf_printf(&b, "%sU+%04X", before, r);
    if (rune_is_print(r)) {
        buf_c(&b, " '");
        rune_put(&b, r);
        buf_byte(&b, '\'');
    }
    buf_c(&b, after);
    lexer_fail(lx, t, "%s", buf_z(&b));
    buf_fini(&b);
    return true;
}

/* nr digits, the first of which is r. True when they are fine, else t is the error. */
static bool
escape_digits(struct lexer *lx, struct token *t, uint32_t r, int nr, int base, uint64_t value_max)
{
    uint64_t x = 0;

    for (;;) {
        int d = digit_value(r);

        if (r == RUNE_EOF)
            return !lexer_fail(lx, t, "escape sequence not terminated");
        if (d >= base)
            return !fail_escape(lx, t, "illegal character ", r, " in escape sequence");
        x = (x * (uint64_t)base + (uint64_t)d) & UINT32_MAX;
        if (--nr == 0)
            break;
        r = lexer_take(lx);
    }
    if (x > value_max || (x >= 0xD800 && x < 0xE000))
        return !lexer_fail(lx, t, "escape sequence is an invalid Unicode code point");
    return true;
}

/* Behind a backslash. False: t is the error. */
static bool
scan_escape(struct lexer *lx, struct token *t, uint32_t quote_char)
{
    uint32_t r = lexer_take(lx);

    if (r == quote_char || (r != 0 && r < 0x80 && strchr("abfnrtv\\", (int)r) != NULL))
        return true;
    if (r >= '0' && r <= '7')
        return escape_digits(lx, t, r, 3, 8, 255);
    if (r == 'x')
        return escape_digits(lx, t, lexer_take(lx), 2, 16, 255);
    if (r == 'u')
        return escape_digits(lx, t, lexer_take(lx), 4, 16, 0x10FFFF);
    if (r == 'U')
        return escape_digits(lx, t, lexer_take(lx), 8, 16, 0x10FFFF);
    if (r == RUNE_EOF)
        return !lexer_fail(lx, t, "escape sequence not terminated");
    return !fail_escape(lx, t, "unknown escape sequence ", r, "");
}

bool
lexer_string(struct lexer *lx, struct token *t, uint32_t quote_char)
{
    bool raw = quote_char == '`';

    for (;;) {
        uint32_t r = lexer_take(lx);

        if (r == quote_char)
            return lexer_emit(lx, t, TOKEN_STRING);
        if (r == 0xFFFD)
            return lexer_fail(lx, t, "invalid UTF-8 rune");
        if (r == RUNE_EOF || (r == '\n' && !raw))
            return lexer_fail(lx, t,
                              raw ? "unterminated raw string" : "unterminated quoted string");
        if (r == '\\' && !raw && !scan_escape(lx, t, quote_char))
            return true;
    }
}
