/* Values of parameters. Times and durations are computed with the float operations of Prometheus,
 * in its order, since the last millisecond decides which samples a query sees. */
#include "http/params.h"

#include <math.h>
#include <stdio.h>

#include "base/decimal.h"
#include "base/duration.h"
#include "base/quote.h"

#define TEXT_MIN "-292273086-05-16T16:47:06Z"
#define TEXT_MAX "292277025-08-18T07:12:54.999999999Z"

/* Days from 1970-01-01 by the proleptic Gregorian calendar. */
static int64_t
days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned of_era = (unsigned)(year - era * 400);
    unsigned of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    return era * 146097 + (int64_t)(of_era * 365 + of_era / 4 - of_era / 100 + of_year) - 719468;
}

static unsigned
days_in(unsigned year, unsigned month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Exactly n digits, then `after` unless that is 0. */
static bool
take(struct str *s, size_t n, char after, unsigned *v)
{
    *v = 0;
    if (s->n < n + (after != '\0'))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        *v = *v * 10 + (unsigned)(s->p[i] - '0');
    }
    if (after != '\0' && s->p[n] != after)
        return false;
    *s = str_skip(*s, n + (after != '\0'));
    return true;
}

/* ".123456": the first three digits count. */
static bool
take_fraction(struct str *s, unsigned *ms)
{
    size_t n = 1;

    *ms = 0;
    if (s->n == 0 || (s->p[0] != '.' && s->p[0] != ','))
        return true;
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++)
        if (n <= 3)
            *ms = *ms * 10 + (unsigned)(s->p[n] - '0');
    for (size_t i = n; i <= 3; i++)
        *ms *= 10;
    *s = str_skip(*s, n);
    return n > 1;
}

static bool
take_zone(struct str *s, int64_t *offset_s)
{
    unsigned hours, minutes;

    *offset_s = 0;
    if (s->n == 1 && s->p[0] == 'Z')
        return true;
    if (s->n != 6 || (s->p[0] != '+' && s->p[0] != '-'))
        return false;
    bool west = s->p[0] == '-';
    *s = str_skip(*s, 1);
    if (!take(s, 2, ':', &hours) || !take(s, 2, '\0', &minutes) || hours > 24 || minutes > 60)
        return false;
    *offset_s = (int64_t)(hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

static bool
rfc3339(struct str s, int64_t *t_ms)
{
    unsigned year, month, day, hour, minute, second, ms;
    int64_t offset_s;

    if (!take(&s, 4, '-', &year) || !take(&s, 2, '-', &month) || !take(&s, 2, 'T', &day) ||
        !take(&s, 2, ':', &hour) || !take(&s, 2, ':', &minute) || !take(&s, 2, '\0', &second) ||
        !take_fraction(&s, &ms) || !take_zone(&s, &offset_s))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return false;
    int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *t_ms = (seconds - offset_s) * 1000 + ms;
    return true;
}

/* As amd64 converts a float out of range, which is what Go programs see there. */
static int64_t
to_int(double v)
{
    return v >= -9223372036854775808.0 && v < 9223372036854775808.0 ? (int64_t)v : INT64_MIN;
}

static int64_t
seconds_to_ms(double t)
{
    double whole, fraction = modf(t, &whole);
    int64_t ns = to_int(round(fraction * 1000) / 1000 * 1e9);
    int64_t ms = ns / 1000000 - (ns % 1000000 < 0);

    /* Wraps around as Go's integers do; such times lie outside of everything. */
    return (int64_t)((uint64_t)to_int(whole) * 1000 + (uint64_t)ms);
}

bool
param_time(struct str text, int64_t *t_ms)
{
    double v;

    if (decimal_parse_go(text, &v)) {
        *t_ms = seconds_to_ms(v);
        return true;
    }
    if (rfc3339(text, t_ms))
        return true;
    if (str_is(text, TEXT_MIN))
        *t_ms = PARAM_TIME_MIN;
    else if (str_is(text, TEXT_MAX))
        *t_ms = PARAM_TIME_MAX;
    else
        return false;
    return true;
}

/* prefix "text" suffix, the text quoted as Go does. */
static bool
refuse(struct error *err, const char *prefix, struct str text, const char *suffix)
{
    struct buf out = { 0 };

    buf_c(&out, prefix);
    quote_go(text, &out);
    buf_c(&out, suffix);
    error_set(err, ERR_INVALID, "%s", buf_z(&out));
    buf_fini(&out);
    return false;
}

bool
param_duration(struct str text, int64_t *ns, struct error *err)
{
    double v;
    int64_t ms;
    struct error ignored = { 0 };

    if (decimal_parse_go(text, &v)) {
        v *= 1e9;
        if (v > 9223372036854775807.0 || v < -9223372036854775808.0)
            return refuse(err, "cannot parse ", text, " to a valid duration. It overflows int64");
        *ns = to_int(v);
        return true;
    }
    bool ok = duration_parse(text, &ms, &ignored);
    error_clear(&ignored);
    if (!ok)
        return refuse(err, "cannot parse ", text, " to a valid duration");
    *ns = ms * 1000000;
    return true;
}

bool
param_int(struct str text, const char *go_function, int64_t *v, struct error *err)
{
    size_t i = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+');
    bool minus = i == 1 && text.p[0] == '-', fits = true;
    uint64_t n = 0, most = (uint64_t)INT64_MAX + minus;
    char prefix[64];

    snprintf(prefix, sizeof prefix, "strconv.%s: parsing ", go_function);
    if (i == text.n)
        return refuse(err, prefix, text, ": invalid syntax");
    for (; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return refuse(err, prefix, text, ": invalid syntax");
        unsigned digit = (unsigned)(text.p[i] - '0');
        fits = fits && n <= (most - digit) / 10;
        n = n * 10 + digit;
    }
    if (!fits)
        return refuse(err, prefix, text, ": value out of range");
    *v = (int64_t)(minus ? -n : n);
    return true;
}

bool
param_bool(struct str text, bool *v)
{
    static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
    static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (str_is(text, yes[i]) || str_is(text, no[i])) {
            *v = str_is(text, yes[i]);
            return true;
        }
    }
    return false;
}

bool
request_time(const struct http_request *req, const char *name, int64_t dflt, int64_t *t_ms,
             struct error *err)
{
    struct str text = http_param(req, name);
    char prefix[160];

    *t_ms = dflt;
    if (text.n == 0 || param_time(text, t_ms))
        return true;
    snprintf(prefix, sizeof prefix,
             "invalid parameter \"%s\": invalid time value for '%s': cannot parse ", name, name);
    return refuse(err, prefix, text, " to a valid timestamp");
}

bool
request_limit(const struct http_request *req, size_t *limit, struct error *err)
{
    struct str text = http_param(req, "limit");
    int64_t v = 0;

    if (text.n != 0 && !param_int(text, "Atoi", &v, err))
        return error_wrap(err, "invalid parameter \"limit\"");
    if (v < 0)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"limit\": limit must be non-negative");
    *limit = (size_t)v;
    return true;
}
