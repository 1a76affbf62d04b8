#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>

static const char prefixes[] = " KMGTPE"; /* powers of 1024 from 0 */

static bool
is_digit(struct str s)
{
    return s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9';
}

/* [0-9]* from the front; false when it grows out of 63 bits. */
static bool
take_digits(struct str *s, int64_t *v)
{
    *v = 0;
    for (; is_digit(*s); *s = str_skip(*s, 1)) {
        if (*v >= (INT64_MAX - 9) / 10)
            return false;
        *v = *v * 10 + (s->p[0] - '0');
    }
    return true;
}

/* "B", and with a prefix "KB" or, when iec, "KiB". 0 when unknown. */
static double
unit_value(struct str name, bool iec)
{
    double v = 1;

    if (str_is(name, "B"))
        return 1;
    if (name.n != (iec ? 3u : 2u) || name.p[name.n - 1] != 'B' || (iec && name.p[1] != 'i'))
        return 0;
    for (const char *p = prefixes + 1; *p != '\0'; p++) {
        v *= 1024;
        if (name.p[0] == *p)
            return v;
    }
    return 0;
}

static bool
units_refuse(struct str text, struct error *err)
{
    return error_set(err, ERR_INVALID, "units: invalid %.*s", STR_ARG(text));
}

/* One number with its unit. */
static bool
units_part(struct str text, struct str *rest, bool iec, double *sum, struct error *err)
{
    int64_t whole, part = 0;
    double scale = 1;
    size_t before = rest->n, digits, unit_n = 0;

    if (!take_digits(rest, &whole))
        return units_refuse(text, err);
    digits = before - rest->n;
    if (rest->n > 0 && rest->p[0] == '.') {
        *rest = str_skip(*rest, 1);
        before = rest->n;
        if (!take_digits(rest, &part))
            return units_refuse(text, err);
        digits += before - rest->n;
        for (size_t i = rest->n; i < before; i++)
            scale *= 10;
    }
    if (digits == 0)
        return units_refuse(text, err);
    while (unit_n < rest->n && rest->p[unit_n] != '.' && !is_digit(str_skip(*rest, unit_n)))
        unit_n++;
    struct str name = { rest->p, unit_n };
    double unit = unit_value(name, iec);
    if (unit == 0)
        return error_set(err, ERR_INVALID, "units: unknown unit %.*s in %.*s", STR_ARG(name),
                         STR_ARG(text));
    *rest = str_skip(*rest, unit_n);
    *sum += ((double)whole + (double)part / scale) * unit;
    return true;
}

static bool
units_parse(struct str text, bool iec, int64_t *bytes, struct error *err)
{
    struct str rest = text;
    bool minus = false;
    double sum = 0;

    if (rest.n > 0 && (rest.p[0] == '-' || rest.p[0] == '+')) {
        minus = rest.p[0] == '-';
        rest = str_skip(rest, 1);
    }
    if (rest.n == 0)
        return units_refuse(text, err);
    if (str_is(rest, "0"))
        rest = STR_NONE;
    while (rest.n > 0)
        if (!units_part(text, &rest, iec, &sum, err))
            return false;
    /* 2^63 itself is over, though it equals (double)INT64_MAX. */
    if (sum >= 0x1p63)
        return error_set(err, ERR_INVALID, "units: overflow parsing unit");
    *bytes = minus ? -(int64_t)sum : (int64_t)sum;
    return true;
}

bool
units_bytes_parse(struct str text, int64_t *bytes, struct error *err)
{
    struct error ignored = { 0 };
    bool ok = units_parse(text, true, bytes, &ignored);

    error_clear(&ignored);
    return ok || units_parse(text, false, bytes, err);
}

const char *
units_bytes_text(int64_t bytes, char out[UNITS_TEXT_MAX])
{
    int64_t parts[sizeof prefixes - 1];
    int nr = 0;
    size_t n = 0;

    do {
        parts[nr++] = bytes % 1024;
        bytes /= 1024;
    } while (bytes != 0);
    for (int i = nr - 1; i >= 0; i--) {
        if (parts[i] == 0 && nr > 1)
            continue;
        n += (size_t)snprintf(out + n, UNITS_TEXT_MAX - n, "%" PRId64, parts[i]);
        if (i > 0)
            n += (size_t)snprintf(out + n, UNITS_TEXT_MAX - n, "%ci", prefixes[i]);
        n += (size_t)snprintf(out + n, UNITS_TEXT_MAX - n, "B");
    }
    return out;
}
