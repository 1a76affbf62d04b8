#include "promql/quote.h"

#define RUNE_BAD 0xFFFD
#define RUNE_MAX 0x10FFFF

void
rune_put(struct buf *out, uint32_t rune)
{
    if (rune > RUNE_MAX || (rune >= 0xD800 && rune < 0xE000))
        rune = RUNE_BAD;
    if (rune < 0x80) {
        buf_byte(out, (uint8_t)rune);
        return;
    }
    if (rune < 0x800) {
        buf_byte(out, (uint8_t)(0xC0 | rune >> 6));
    } else {
        if (rune < 0x10000) {
            buf_byte(out, (uint8_t)(0xE0 | rune >> 12));
        } else {
            buf_byte(out, (uint8_t)(0xF0 | rune >> 18));
            buf_byte(out, (uint8_t)(0x80 | (rune >> 12 & 0x3F)));
        }
        buf_byte(out, (uint8_t)(0x80 | (rune >> 6 & 0x3F)));
    }
    buf_byte(out, (uint8_t)(0x80 | (rune & 0x3F)));
}

static int
digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* Reads nr digits from the front of *s. */
static bool
take_digits(struct str *s, size_t nr, int base, uint32_t *v)
{
    *v = 0;
    if (s->n < nr)
        return false;
    for (size_t i = 0; i < nr; i++) {
        int d = digit_value(s->p[i]);

        if (d >= base)
            return false;
        *v = *v * (uint32_t)base + (uint32_t)d;
    }
    *s = str_skip(*s, nr);
    return true;
}

static bool
unquote_number(struct str *s, char kind, struct buf *out)
{
    uint32_t v;

    if (kind == 'u' || kind == 'U') {
        if (!take_digits(s, kind == 'u' ? 4 : 8, 16, &v) || v > RUNE_MAX)
            return false;
        rune_put(out, v);
        return true;
    }
    if (kind == 'x' ? !take_digits(s, 2, 16, &v) : !take_digits(s, 3, 8, &v) || v > 255)
        return false;
    buf_byte(out, (uint8_t)v);
    return true;
}

/* One escape; s stands behind the backslash. */
static bool
unquote_escape(struct str *s, char quote_char, struct buf *out)
{
    static const char names[] = "abfnrtv\\", bytes[] = "\a\b\f\n\r\t\v\\";

    if (s->n == 0)
        return false;
    char c = s->p[0];
    if (c >= '0' && c <= '7')
        return unquote_number(s, '0', out);
    *s = str_skip(*s, 1);
    if (c == 'x' || c == 'u' || c == 'U')
        return unquote_number(s, c, out);
    if (c == quote_char) {
        buf_byte(out, (uint8_t)c);
        return true;
    }
    const char *at = c == 0 ? NULL : strchr(names, c);
    if (at == NULL)
        return false;
    buf_byte(out, (uint8_t)bytes[at - names]);
    return true;
}

bool
unquote(struct str text, struct buf *out)
{
    if (text.n < 2 || text.p[0] != text.p[text.n - 1])
        return false;
    char quote_char = text.p[0];
    struct str s = { text.p + 1, text.n - 2 };
    if (quote_char == '`') {
        buf_str(out, s);
        return str_find(s, '`', 0) == s.n;
    }
    if ((quote_char != '"' && quote_char != '\'') || str_find(s, '\n', 0) != s.n)
        return false;
    while (s.n != 0) {
        char c = s.p[0];

        s = str_skip(s, 1);
        if (c == quote_char)
            return false;
        if (c != '\\')
            buf_byte(out, (uint8_t)c);
        else if (!unquote_escape(&s, quote_char, out))
            return false;
    }
    return true;
}

/* One rune as it stands between quotes. */
static void
put_escaped(struct buf *out, uint32_t rune, char quote_char)
{
    static const char names[] = "abtnvfr"; /* 0x07 to 0x0D */

    if (rune == (uint32_t)quote_char || rune == '\\')
        buf_printf(out, "\\%c", (int)rune);
    else if (rune_is_print(rune))
        rune_put(out, rune);
    else if (rune >= 0x07 && rune <= 0x0D)
        buf_printf(out, "\\%c", names[rune - 7]);
    else if (rune < ' ' || rune == 0x7F)
        buf_printf(out, "\\x%02x", rune);
    else if (rune < 0x10000)
        buf_printf(out, "\\u%04x", rune);
    else
        buf_printf(out, "\\U%08x", rune);
}

void
quote(struct buf *out, struct str text)
{
    buf_byte(out, '"');
    while (text.n != 0) {
        uint32_t rune;
        size_t n = str_rune(text, &rune);

        if (n == 1 && rune == RUNE_BAD)
            buf_printf(out, "\\x%02x", (unsigned)(uint8_t)text.p[0]);
        else
            put_escaped(out, rune, '"');
        text = str_skip(text, n);
    }
    buf_byte(out, '"');
}

void
quote_rune(struct buf *out, uint32_t rune)
{
    if (rune > RUNE_MAX || (rune >= 0xD800 && rune < 0xE000))
        rune = RUNE_BAD;
    buf_byte(out, '\'');
    put_escaped(out, rune, '\'');
    buf_byte(out, '\'');
}
