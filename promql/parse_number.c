#include <math.h>
#include "base/decimal.h"
#include "base/duration.h"
#include "promql/parse_priv.h"

static bool
is_digit(char c, bool hex)
{
    return (c >= '0' && c <= '9') || (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
}

/* Copies s without its underscores; false when one does not stand between digits (a base prefix
 * counts as one). */
static bool
strip_underscores(struct parser *p, struct str s, struct str *out)
{
    bool hex = s.n >= 2 && s.p[0] == '0' && (s.p[1] == 'x' || s.p[1] == 'X');
    char *copy = arena_alloc(p->arena, s.n + 1);
    bool after_digit = false, after_underscore = false;
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        bool digit = is_digit(s.p[i], hex) || (hex && i < 2);

        if (s.p[i] == '_' ? !after_digit : after_underscore && !digit)
            return false;
        after_digit = digit;
        after_underscore = s.p[i] == '_';
        if (!after_underscore)
            copy[n++] = s.p[i];
    }
    copy[n] = '\0';
    *out = (struct str){ copy, n };
    return !after_underscore;
}

/* A whole number with Go's prefixes: 0x1f, 017 (octal), 12; false when it is none or larger than
 * 2^63 - 1. */
static bool
parse_integer(struct str s, int64_t *v)
{
    unsigned base = 10;
    uint64_t sum = 0;

    if (s.n > 2 && s.p[0] == '0' && (s.p[1] == 'x' || s.p[1] == 'X')) {
        base = 16;
        s = str_skip(s, 2);
    } else if (s.n > 1 && s.p[0] == '0') {
        base = 8;
        s = str_skip(s, 1);
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i], base == 16))
            return false;
        unsigned c = (unsigned char)s.p[i];
        unsigned d = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        if (d >= base || sum > ((uint64_t)INT64_MAX - d) / base)
            return false;
        sum = sum * base + d;
    }
    *v = (int64_t)sum;
    return s.n != 0;
}

static double
parse_plain_number(struct parser *p, const struct token *t)
{
    struct str digits;
    int64_t integer;
    double v = 0;
    bool ok = strip_underscores(p, t->text, &digits);

    if (ok && parse_integer(digits, &integer))
        return (double)integer;
    if (ok && decimal_parse(digits, &v))
        return v;
    parse_error(p, t->pos, "error parsing number: strconv.ParseFloat: parsing %s: %s",
                parse_quoted(p, t->text).p, ok ? decimal_refusal(digits) : "invalid syntax");
    return 0;
}

double
parse_number_literal(struct parser *p, const struct token *t)
{
    struct error err = { 0 };
    int64_t ms = 0;

    if (t->type == TOKEN_NUMBER)
        return parse_plain_number(p, t);
    if (!duration_parse(t->text, &ms, &err)) {
        parse_error(p, t->pos, "%s", error_text(&err));
        error_clear(&err);
    }
    /* Whole seconds and the rest apart: both are exact, as Go's Duration.Seconds() has it. */
    return (double)(ms / 1000) + (double)(ms % 1000) / 1000;
}

bool
parse_is_number(const struct token *t)
{
    return t->type == TOKEN_NUMBER || t->type == TOKEN_DURATION;
}

struct expr *
parse_number_expr(struct parser *p, const struct token *t)
{
    struct expr *e = parse_new(p, EXPR_NUMBER, VALUE_SCALAR, t->pos);

    e->number.v = parse_number_literal(p, t);
    e->number.duration = t->type == TOKEN_DURATION;
    return e;
}

int64_t
parse_seconds_to_ms(double seconds)
{
    double ns = round(seconds * 1e9);

    /* NaN becomes the least duration, as in Prometheus on the machines that people use. */
    if (!(fabs(ns) < 9223372036854775808.0))
        return ns > 0 ? INT64_MAX / 1000000 : INT64_MIN / 1000000;
    return (int64_t)ns / 1000000;
}
