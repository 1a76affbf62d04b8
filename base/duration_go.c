/* Go's own notation: a sign, then decimal numbers with units in any order. Nanoseconds; fractions
 * are cut there. */
#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/quote.h"

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    { "ns", 1 },           { "us", 1000 },      { "\xc2\xb5s", 1000 }, /* U+00B5, micro sign */
    { "\xce\xbcs", 1000 },                                             /* U+03BC, Greek mu */
    { "ms", 1000000 },     { "s", 1000000000 }, { "m", 60000000000 },  { "h", 3600000000000 },
};

#define NS_MAX (1ull << 63)

static bool
go_refuse(const char *what, struct str text, struct error *err)
{
    struct buf quoted = { 0 };

    quote_go(text, &quoted);
    error_set(err, ERR_INVALID, "time: %s %s", what, buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

static bool
is_digit(struct str s)
{
    return s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9';
}

/* Digits before the point; false on overflow. */
static bool
take_whole(struct str *s, uint64_t *v)
{
    *v = 0;
    for (; is_digit(*s); *s = str_skip(*s, 1))
        if (*v > NS_MAX / 10 || (*v = *v * 10 + (uint64_t)(s->p[0] - '0')) > NS_MAX)
            return false;
    return true;
}

/* Digits behind the point; those that no longer fit are dropped, as they are below a nanosecond. */
static void
take_fraction(struct str *s, uint64_t *v, double *scale)
{
    bool full = false;

    *v = 0;
    *scale = 1;
    for (; is_digit(*s); *s = str_skip(*s, 1)) {
        uint64_t digit = (uint64_t)(s->p[0] - '0');
        if (full || *v > (NS_MAX - 1) / 10 || *v * 10 + digit > NS_MAX) {
            full = true;
            continue;
        }
        *v = *v * 10 + digit;
        *scale *= 10;
    }
}

static uint64_t
take_unit(struct str *s)
{
    size_t n = 0;

    while (n < s->n && s->p[n] != '.' && !(s->p[n] >= '0' && s->p[n] <= '9'))
        n++;
    struct str name = { s->p, n };
    *s = str_skip(*s, n);
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_is(name, units[i].name))
            return units[i].ns;
    return 0;
}

static bool
go_part(struct str text, struct str *rest, uint64_t *sum, struct error *err)
{
    uint64_t v, fraction = 0;
    double scale = 1;
    size_t before = rest->n, digits = 0;

    if (!take_whole(rest, &v))
        return go_refuse("invalid duration", text, err);
    digits = before - rest->n;
    if (rest->n > 0 && rest->p[0] == '.') {
        *rest = str_skip(*rest, 1);
        before = rest->n;
        take_fraction(rest, &fraction, &scale);
        digits += before - rest->n;
    }
    if (digits == 0)
        return go_refuse("invalid duration", text, err);
    if (rest->n == 0)
        return go_refuse("missing unit in duration", text, err);
    uint64_t unit = take_unit(rest);
    if (unit == 0)
        return go_refuse("unknown unit in duration", text, err);
    if (v > NS_MAX / unit)
        return go_refuse("invalid duration", text, err);
    v *= unit;
    if (fraction > 0)
        v += (uint64_t)((double)fraction * ((double)unit / scale));
    *sum += v;
    return v <= NS_MAX && *sum <= NS_MAX ? true : go_refuse("invalid duration", text, err);
}

bool
duration_go_parse(struct str text, int64_t *ns, struct error *err)
{
    struct str rest = text;
    bool minus = false;
    uint64_t sum = 0;

    if (rest.n > 0 && (rest.p[0] == '-' || rest.p[0] == '+')) {
        minus = rest.p[0] == '-';
        rest = str_skip(rest, 1);
    }
    if (str_is(rest, "0")) {
        *ns = 0;
        return true;
    }
    if (rest.n == 0)
        return go_refuse("invalid duration", text, err);
    while (rest.n > 0)
        if (!go_part(text, &rest, &sum, err))
            return false;
    if (!minus && sum > INT64_MAX)
        return go_refuse("invalid duration", text, err);
    *ns = (int64_t)(minus ? -sum : sum);
    return true;
}

/* v/10^digits without trailing zeros: 1500, 3 -> "1.5". */
static size_t
put_fraction(uint64_t v, int digits, char *out)
{
    uint64_t scale = 1;

    for (int i = 0; i < digits; i++)
        scale *= 10;
    size_t n = (size_t)snprintf(out, DURATION_TEXT_MAX, "%" PRIu64 ".%0*" PRIu64, v / scale, digits,
                                v % scale);
    while (n > 0 && out[n - 1] == '0')
        n--;
    if (n > 0 && out[n - 1] == '.')
        n--;
    out[n] = '\0';
    return n;
}

const char *
duration_go_text(int64_t ns, char out[DURATION_TEXT_MAX])
{
    uint64_t left = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    char *p = out;

    if (left == 0)
        return strcpy(out, "0s");
    if (ns < 0)
        *p++ = '-';
    if (left < 1000) {
        sprintf(p, "%" PRIu64 "ns", left);
    } else if (left < 1000000) {
        strcpy(p + put_fraction(left, 3, p), "\xc2\xb5s");
    } else if (left < 1000000000) {
        strcpy(p + put_fraction(left, 6, p), "ms");
    } else {
        uint64_t seconds = left / 1000000000;
        if (seconds >= 3600)
            p += sprintf(p, "%" PRIu64 "h", seconds / 3600);
        if (seconds >= 60)
            p += sprintf(p, "%" PRIu64 "m", seconds / 60 % 60);
        strcpy(p + put_fraction(left % 60000000000, 9, p), "s");
    }
    return out;
}
