/* Numbers are scanned loosely (decimal, hexadecimal, octal, floats, underscores between digits);
 * whether the result is one is for the parser to find out. The rules, including the odd ones (a
 * hexadecimal number may hold one 'e' only behind its first digit), are Prometheus's: they decide
 * between "bad number or duration syntax" and others. */
#include "promql/lexer_priv.h"

#define DIGITS     "0123456789"
#define HEX_DIGITS DIGITS "abcdefABCDEF"

static bool
one_of(uint32_t r, const char *set)
{
    return r != 0 && r < 0x80 && strchr(set, (int)r) != NULL;
}

static bool
is(struct lexer *lx, const char *set)
{
    return one_of(lexer_peek(lx), set);
}

static bool
accept(struct lexer *lx, const char *set)
{
    if (one_of(lexer_take(lx), set))
        return true;
    lexer_back(lx);
    return false;
}

struct number_scan {
    const char *digits;
    bool dot, exponent;
};

enum scan_step { SCAN_MORE, SCAN_END, SCAN_BAD };

/* A dot, and nothing that may not stand behind one. */
static enum scan_step
scan_dot(struct lexer *lx, struct number_scan *s)
{
    bool again = s->dot;

    s->dot = true;
    /* There are no fractional hexadecimal literals. */
    return again || accept(lx, "_.") || s->digits[10] != '\0' ? SCAN_BAD : SCAN_MORE;
}

static enum scan_step
scan_exponent(struct lexer *lx, struct number_scan *s)
{
    if (s->exponent)
        return SCAN_BAD;
    s->exponent = true;
    accept(lx, "+-");
    return accept(lx, "._eE") || lexer_peek(lx) == RUNE_EOF ? SCAN_BAD : SCAN_MORE;
}

static enum scan_step
scan_step(struct lexer *lx, struct number_scan *s)
{
    if (accept(lx, "."))
        return scan_dot(lx, s);
    if (accept(lx, "eE"))
        return scan_exponent(lx, s);
    if (accept(lx, "_"))
        return accept(lx, "._eE") || lexer_peek(lx) == RUNE_EOF ? SCAN_BAD : SCAN_MORE;
    if (!is(lx, s->digits))
        return SCAN_END;
    while (accept(lx, s->digits))
        continue;
    return SCAN_MORE;
}

bool
lexer_scan_number(struct lexer *lx)
{
    uint32_t first = lx->pos;
    struct number_scan s = { .digits = DIGITS };
    enum scan_step step;

    /* Not in series descriptions, where 0x3 is four zeros. */
    if (!lx->series && accept(lx, "0") && accept(lx, "xX")) {
        accept(lx, "_");
        s.digits = HEX_DIGITS;
    }
    accept(lx, ".");
    accept(lx, s.digits);
    do {
        step = scan_step(lx, &s);
    } while (step == SCAN_MORE);
    if (step == SCAN_BAD || lx->pos == first)
        return false;

    uint32_t next = lexer_peek(lx);
    return (lx->series && next == 'x') || !lexer_is_alnum(next);
}

bool
lexer_scan_duration(struct lexer *lx)
{
    if (!accept(lx, "smhdwy"))
        return false;
    accept(lx, "s"); /* ms; a unit like "hs" is refused when the duration is parsed */
    while (accept(lx, DIGITS)) {
        while (accept(lx, DIGITS))
            continue;
        if (!accept(lx, "smhdw"))
            return false;
        accept(lx, "s");
    }
    if (lexer_is_alnum(lexer_take(lx)))
        return false;
    lexer_back(lx);
    return true;
}
