#include "base/json.h"

#include <math.h>

#include "base/decimal.h"

static void
before_value(struct json *j)
{
    if (j->comma)
        buf_byte(j->out, ',');
    j->comma = true;
}

void
json_open(struct json *j, char bracket)
{
    before_value(j);
    buf_byte(j->out, (uint8_t)bracket);
    j->comma = false;
}

void
json_close(struct json *j, char bracket)
{
    buf_byte(j->out, (uint8_t)bracket);
    j->comma = true;
}

void
json_key(struct json *j, const char *key)
{
    before_value(j);
    buf_byte(j->out, '"');
    buf_c(j->out, key);
    buf_c(j->out, "\":");
    j->comma = false;
}

void
json_key_str(struct json *j, struct str key)
{
    json_str(j, key);
    buf_byte(j->out, ':');
    j->comma = false;
}

static bool
plain(uint8_t c, bool html)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' &&
           !(html && (c == '<' || c == '>' || c == '&'));
}

static void
quote_ascii(struct buf *out, uint8_t c)
{
    static const char escapes[] = "\"\"\\\\\nn\rr\tt";

    for (const char *e = escapes; *e != '\0'; e += 2) {
        if ((uint8_t)e[0] == c) {
            buf_byte(out, '\\');
            buf_byte(out, (uint8_t)e[1]);
            return;
        }
    }
    buf_printf(out, "\\u%04x", c);
}

/* Writes the rune at s[0]; returns its length. */
static size_t
quote_rune(struct buf *out, struct str s, bool html)
{
    uint32_t rune;
    size_t n = str_rune(s, &rune);

    if (n == 1)
        buf_c(out, "\\ufffd");
    else if (html && (rune == 0x2028 || rune == 0x2029))
        buf_printf(out, "\\u%04x", rune);
    else
        buf_add(out, s.p, n);
    return n;
}

void
json_quote(struct buf *out, struct str s, bool html)
{
    buf_byte(out, '"');
    for (size_t i = 0; i < s.n;) {
        size_t run = i;
        while (run < s.n && plain((uint8_t)s.p[run], html))
            run++;
        buf_add(out, s.p + i, run - i);
        i = run;
        if (i == s.n)
            break;
        if ((uint8_t)s.p[i] < 0x80)
            quote_ascii(out, (uint8_t)s.p[i++]);
        else
            i += quote_rune(out, str_skip(s, i), html);
    }
    buf_byte(out, '"');
}

void
json_str(struct json *j, struct str s)
{
    before_value(j);
    json_quote(j->out, s, false);
}

void
json_str_html(struct json *j, struct str s)
{
    before_value(j);
    json_quote(j->out, s, true);
}

void
json_int(struct json *j, int64_t v)
{
    before_value(j);
    buf_printf(j->out, "%lld", (long long)v);
}

void
json_uint(struct json *j, uint64_t v)
{
    before_value(j);
    buf_printf(j->out, "%llu", (unsigned long long)v);
}

void
json_float(struct json *j, double v)
{
    char text[DECIMAL_BYTES_MAX];

    if (!isfinite(v)) {
        json_null(j);
        return;
    }
    before_value(j);
    size_t n = decimal_format_api(v, text);
    /* Go's JSON cleans e-07 up to e-7. */
    if (n > 4 && text[n - 4] == 'e' && text[n - 3] == '-' && text[n - 2] == '0') {
        text[n - 2] = text[n - 1];
        n--;
    }
    buf_add(j->out, text, n);
}

void
json_bool(struct json *j, bool v)
{
    json_raw(j, v ? STR("true") : STR("false"));
}

void
json_null(struct json *j)
{
    json_raw(j, STR("null"));
}

void
json_raw(struct json *j, struct str s)
{
    before_value(j);
    buf_str(j->out, s);
}
