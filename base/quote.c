#include "base/quote.h"

static const struct {
    uint32_t first, last;
} unprintable[] = {
    { 0x00, 0x1f },     { 0x7f, 0xa0 },     { 0xad, 0xad },        { 0x600, 0x605 },
    { 0x61c, 0x61c },   { 0x6dd, 0x6dd },   { 0x70f, 0x70f },      { 0x1680, 0x1680 },
    { 0x180e, 0x180e }, { 0x2000, 0x200f }, { 0x2028, 0x202f },    { 0x205f, 0x206f },
    { 0x3000, 0x3000 }, { 0xd800, 0xf8ff }, { 0xfdd0, 0xfdef },    { 0xfeff, 0xfeff },
    { 0xfff0, 0xfffb }, { 0xfffe, 0xffff }, { 0xe0000, 0x10ffff },
};

static bool
rune_printable(uint32_t rune)
{
    for (size_t i = 0; i < ARRAY_LEN(unprintable); i++)
        if (rune >= unprintable[i].first && rune <= unprintable[i].last)
            return false;
    return true;
}

static void
quote_escape(uint32_t rune, struct buf *out)
{
    static const char letters[] = "abtnvfr"; /* 0x07 to 0x0d in the order of their codes */

    if (rune >= 0x07 && rune <= 0x0d)
        buf_printf(out, "\\%c", letters[rune - 0x07]);
    else if (rune < ' ' || rune == 0x7f)
        buf_printf(out, "\\x%02x", rune);
    else if (rune < 0x10000)
        buf_printf(out, "\\u%04x", rune);
    else
        buf_printf(out, "\\U%08x", rune);
}

void
quote_go(struct str s, struct buf *out)
{
    buf_byte(out, '"');
    while (s.n > 0) {
        uint32_t rune;
        size_t n = str_rune(s, &rune);
        if (n == 1 && (uint8_t)s.p[0] >= 0x80)
            buf_printf(out, "\\x%02x", (uint8_t)s.p[0]);
        else if (rune == '"' || rune == '\\')
            buf_printf(out, "\\%c", (char)rune);
        else if (rune_printable(rune))
            buf_add(out, s.p, n);
        else
            quote_escape(rune, out);
        s = str_skip(s, n);
    }
    buf_byte(out, '"');
}
