/* What an answer is made of: texts, redirects, JSON pieces. */
#include <inttypes.h>
#include <stdio.h>

#include "base/decimal.h"
#include "http/http_priv.h"
#include "model/histogram_math.h"

void
call_warn(struct call *c, struct str text)
{
    if (c->warnings_nr < CALL_NOTES_MAX)
        c->warnings[c->warnings_nr++] = text;
}

void
call_text(struct call *c, unsigned status, struct str text)
{
    c->resp->status = status;
    http_response_header(c->resp, STR("Content-Type"), STR("text/plain; charset=utf-8"));
    buf_reset(&c->resp->body);
    buf_str(&c->resp->body, text);
}

void
call_error_text(struct call *c, unsigned status, struct str line)
{
    call_text(c, status, line);
    buf_byte(&c->resp->body, '\n');
    http_response_header(c->resp, STR("X-Content-Type-Options"), STR("nosniff"));
}

static void
html_text(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        switch (text.p[i]) {
        case '&':
            buf_c(out, "&amp;");
            break;
        case '<':
            buf_c(out, "&lt;");
            break;
        case '>':
            buf_c(out, "&gt;");
            break;
        case '"':
            buf_c(out, "&#34;");
            break;
        case '\'':
            buf_c(out, "&#39;");
            break;
        default:
            buf_byte(out, (uint8_t)text.p[i]);
        }
    }
}

void
call_redirect(struct call *c, unsigned status, const char *word, struct str location)
{
    struct buf *out = &c->resp->body;

    c->resp->status = status;
    http_response_header(c->resp, STR("Location"), location);
    http_response_header(c->resp, STR("Content-Type"), STR("text/html; charset=utf-8"));
    buf_c(out, "<a href=\"");
    html_text(location, out);
    buf_printf(out, "\">%s</a>.\n\n", word);
}

/* ---- JSON */

/* Civil date of a day number since 1970, proleptic Gregorian. */
static void
civil(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = (unsigned)(days - era * 146097);
    unsigned y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * y + y / 4 - y / 100);
    unsigned m = (5 * of_year + 2) / 153;

    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = (int64_t)y + era * 400 + (*month <= 2);
}

void
json_time(struct json *j, int64_t ns)
{
    int64_t seconds = ns / 1000000000 - (ns % 1000000000 < 0), year;
    unsigned fraction = (unsigned)(ns - seconds * 1000000000), month, day;
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    unsigned of_day = (unsigned)(seconds - days * 86400);
    char text[64];

    if (ns == 0) {
        json_str(j, STR("0001-01-01T00:00:00Z"));
        return;
    }
    civil(days, &year, &month, &day);
    int n = snprintf(text, sizeof text, "%04" PRId64 "-%02u-%02uT%02u:%02u:%02u", year, month, day,
                     of_day / 3600, of_day / 60 % 60, of_day % 60);
    if (fraction != 0) {
        n += snprintf(text + n, sizeof text - (size_t)n, ".%09u", fraction);
        while (text[n - 1] == '0')
            n--;
    }
    text[n++] = 'Z';
    json_str(j, (struct str){ text, (size_t)n });
}

void
json_labels(struct json *j, struct labels ls)
{
    json_open(j, '{');
    for (size_t i = 0; i < ls.nr; i++) {
        json_key_str(j, ls.v[i].name);
        json_str(j, ls.v[i].value);
    }
    json_close(j, '}');
}

void
json_value(struct buf *out, double v)
{
    char *p = (char *)buf_reserve(out, DECIMAL_BYTES_MAX + 2);

    p[0] = '"';
    size_t n = decimal_format_api(v, p + 1);
    p[n + 1] = '"';
    out->n += n + 2;
}

void
json_timestamp(struct buf *out, int64_t t_ms)
{
    uint64_t ms = t_ms < 0 ? -(uint64_t)t_ms : (uint64_t)t_ms;
    char digits[24];
    size_t n = sizeof digits;
    unsigned fraction = (unsigned)(ms % 1000);

    if (fraction != 0) {
        for (int i = 0; i < 3; i++, fraction /= 10)
            digits[--n] = (char)('0' + fraction % 10);
        digits[--n] = '.';
    }
    ms /= 1000;
    do {
        digits[--n] = (char)('0' + ms % 10);
        ms /= 10;
    } while (ms != 0);
    if (t_ms < 0)
        digits[--n] = '-';
    buf_add(out, digits + n, sizeof digits - n);
}

/* 0: (lower, upper], 1: [lower, upper), 2: both open, 3: both closed. */
static char
bounds_digit(const struct histogram_bucket *b)
{
    if (b->lower_inclusive)
        return b->upper_inclusive ? '3' : '1';
    return b->upper_inclusive ? '0' : '2';
}

void
json_histogram(struct buf *out, const struct histogram *h)
{
    struct histogram_all it;
    bool found = false;

    buf_c(out, "{\"count\":");
    json_value(out, h->count);
    buf_c(out, ",\"sum\":");
    json_value(out, h->sum);
    for (histogram_all_init(&it, h, false); histogram_all_next(&it);) {
        if (it.at.count == 0)
            continue;
        buf_c(out, found ? ",[" : ",\"buckets\":[[");
        found = true;
        buf_byte(out, (uint8_t)bounds_digit(&it.at));
        buf_byte(out, ',');
        json_value(out, it.at.lower);
        buf_byte(out, ',');
        json_value(out, it.at.upper);
        buf_byte(out, ',');
        json_value(out, it.at.count);
        buf_byte(out, ']');
    }
    buf_c(out, found ? "]}" : "}");
}
