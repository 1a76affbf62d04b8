#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/quote.h"

/* From large to small, the order in which they must stand. */
static const struct {
    const char *name;
    int64_t ms;
    bool exact; /* printed only when nothing is left over */
} units[] = {
    { "y", 365ll * 24 * 3600 * 1000, true },
    { "w", 7ll * 24 * 3600 * 1000, true },
    { "d", 24ll * 3600 * 1000, false },
    { "h", 3600 * 1000, false },
    { "m", 60 * 1000, false },
    { "s", 1000, false },
    { "ms", 1, false },
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t
digits_nr(struct str s)
{
    size_t n = 0;

    while (n < s.n && is_digit(s.p[n]))
        n++;
    return n;
}

/* False when it does not fit into 64 bits. */
static bool
digits_value(struct str s, uint64_t *v)
{
    *v = 0;
    for (size_t i = 0; i < s.n; i++)
        if (__builtin_mul_overflow(*v, 10u, v) ||
            __builtin_add_overflow(*v, (uint64_t)(s.p[i] - '0'), v))
            return false;
    return true;
}

static bool
duration_refuse(struct str text, struct error *err)
{
    struct buf quoted = { 0 };

    quote_go(text, &quoted);
    error_set(err, ERR_INVALID, "not a valid duration string: %s", buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

static bool
duration_refuse_unit(struct str unit, struct str text, struct error *err)
{
    struct buf quoted = { 0 }, all = { 0 };

    quote_go(unit, &quoted);
    quote_go(text, &all);
    error_set(err, ERR_INVALID, "unknown unit %s in duration %s", buf_z(&quoted), buf_z(&all));
    buf_fini(&quoted);
    buf_fini(&all);
    return false;
}

static size_t
unit_find(struct str name)
{
    size_t i = 0;

    while (i < ARRAY_LEN(units) && !str_is(name, units[i].name))
        i++;
    return i;
}

/* One number with its unit from the front of *rest; *after is the first unit that may still come.
 */
static bool
duration_part(struct str text, struct str *rest, size_t *after, int64_t *ms, struct error *err)
{
    size_t n = digits_nr(*rest), unit_n = 0;
    uint64_t v;

    if (n == 0 || !digits_value((struct str){ rest->p, n }, &v))
        return duration_refuse(text, err);
    *rest = str_skip(*rest, n);
    while (unit_n < rest->n && !is_digit(rest->p[unit_n]))
        unit_n++;
    if (unit_n == 0)
        return duration_refuse(text, err);
    struct str name = { rest->p, unit_n };
    size_t unit = unit_find(name);
    if (unit == ARRAY_LEN(units))
        return duration_refuse_unit(name, text, err);
    if (unit < *after)
        return duration_refuse(text, err);
    *after = unit + 1;
    *rest = str_skip(*rest, unit_n);
    if (v > (uint64_t)(DURATION_MS_MAX / units[unit].ms) ||
        (*ms += (int64_t)v * units[unit].ms) > DURATION_MS_MAX)
        return error_set(err, ERR_INVALID, "duration out of range");
    return true;
}

bool
duration_parse(struct str text, int64_t *ms, struct error *err)
{
    struct str rest = text;
    size_t after = 0;
    int64_t sum = 0;

    if (text.n == 0)
        return error_set(err, ERR_INVALID, "empty duration string");
    if (str_is(text, "0")) {
        *ms = 0;
        return true;
    }
    while (rest.n > 0)
        if (!duration_part(text, &rest, &after, &sum, err))
            return false;
    *ms = sum;
    return true;
}

const char *
duration_text(int64_t ms, char out[DURATION_TEXT_MAX])
{
    uint64_t left = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
    size_t n = 0;

    if (left == 0)
        return strcpy(out, "0s");
    if (ms < 0)
        out[n++] = '-';
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        uint64_t unit = (uint64_t)units[i].ms;
        if (left < unit || (units[i].exact && left % unit != 0))
            continue;
        n += (size_t)snprintf(out + n, DURATION_TEXT_MAX - n, "%" PRIu64 "%s", left / unit,
                              units[i].name);
        left %= unit;
    }
    return out;
}

void
duration_print(int64_t ms, struct buf *out)
{
    char text[DURATION_TEXT_MAX];

    buf_c(out, duration_text(ms, text));
}
