#include "base/str.h"

#include "base/mem.h"

bool
str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool
str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

size_t
str_find(struct str s, char c, size_t from)
{
    if (from >= s.n)
        return s.n;
    const char *hit = memchr(s.p + from, c, s.n - from);
    return hit == NULL ? s.n : (size_t)(hit - s.p);
}

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str
str_trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0]))
        s = str_skip(s, 1);
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

char *
str_dup(struct str s)
{
    char *z = mem_alloc(s.n + 1);

    if (s.n != 0)
        memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    return z;
}

/* Length and smallest allowed value by the first byte's number of leading ones. */
static const struct {
    uint8_t mask, len;
    uint32_t least;
} utf8_forms[] = {
    { 0x7f, 1, 0 }, { 0, 0, 0 }, { 0x1f, 2, 0x80 }, { 0x0f, 3, 0x800 }, { 0x07, 4, 0x10000 }
};

size_t
str_rune(struct str s, uint32_t *rune)
{
    *rune = 0xFFFD;
    if (s.n == 0)
        return 0;
    uint8_t first = (uint8_t)s.p[0];
    int ones = first < 0x80 ? 0 : __builtin_clz(~((uint32_t)first << 24));
    if (ones == 1 || ones > 4 || s.n < utf8_forms[ones].len)
        return 1;
    uint32_t value = first & utf8_forms[ones].mask;
    for (size_t i = 1; i < utf8_forms[ones].len; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if ((c & 0xC0) != 0x80)
            return 1;
        value = value << 6 | (c & 0x3F);
    }
    if (value < utf8_forms[ones].least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 1;
    *rune = value;
    return utf8_forms[ones].len;
}

bool
str_utf8_valid(struct str s)
{
    size_t i = 0;

    while (i < s.n) {
        uint64_t word;
        /* Eight ASCII bytes at a time: nearly all names and values are. */
        if (i + 8 <= s.n && (memcpy(&word, s.p + i, 8), (word & 0x8080808080808080u) == 0)) {
            i += 8;
            continue;
        }
        uint32_t rune;
        size_t n = str_rune(str_skip(s, i), &rune);
        if (n == 1 && (uint8_t)s.p[i] >= 0x80)
            return false;
        i += n;
    }
    return true;
}
