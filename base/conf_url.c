/* As much of Go's url.Parse as can refuse a text, with its words, and the scheme and host that
 * checks look at. */
#include "base/conf_priv.h"

#include "base/quote.h"

static bool
url_refuse(struct str text, const char *why, struct error *err)
{
    struct buf quoted = { 0 };

    quote_go(text, &quoted);
    error_set(err, ERR_INVALID, "parse %s: %s", buf_z(&quoted), why);
    buf_fini(&quoted);
    return false;
}

static bool
is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Splits "scheme:rest"; no scheme when a character before the colon cannot be in one. */
static bool
url_scheme(struct str text, struct str *scheme, struct str *rest, struct error *err)
{
    *scheme = STR_NONE;
    *rest = text;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (is_alpha(c) || (i > 0 && (is_digit(c) || c == '+' || c == '-' || c == '.')))
            continue;
        if (c != ':')
            return true;
        if (i == 0)
            return url_refuse(text, "missing protocol scheme", err);
        *scheme = (struct str){ text.p, i };
        *rest = str_skip(text, i + 1);
        return true;
    }
    return true;
}

/* Percent signs must start an escape; in hosts only those of zones and non-ASCII bytes are allowed,
 * which is checked loosely. */
static bool
url_escapes(struct str text, struct str part, struct error *err)
{
    for (size_t i = 0; i < part.n; i++) {
        if (part.p[i] != '%' || (i + 2 < part.n && is_hex(part.p[i + 1]) && is_hex(part.p[i + 2])))
            continue;
        struct buf why = { 0 };
        buf_c(&why, "invalid URL escape ");
        quote_go((struct str){ part.p + i, MIN(part.n - i, (size_t)3) }, &why);
        url_refuse(text, buf_z(&why), err);
        buf_fini(&why);
        return false;
    }
    return true;
}

static bool
url_bad_port(struct str text, struct str port, struct error *err)
{
    struct buf why = { 0 };

    buf_c(&why, "invalid port ");
    quote_go(port, &why);
    buf_c(&why, " after host");
    url_refuse(text, buf_z(&why), err);
    buf_fini(&why);
    return false;
}

/* ":port" with digits only, or nothing. */
static bool
url_port(struct str text, struct str port, struct error *err)
{
    if (port.n == 0)
        return true;
    for (size_t i = 0; i < port.n; i++)
        if (i == 0 ? port.p[0] != ':' : !is_digit(port.p[i]))
            return url_bad_port(text, port, err);
    return true;
}

static bool
url_host(struct str text, struct str host, struct error *err)
{
    size_t colon = host.n;

    if (host.n > 0 && host.p[0] == '[') {
        size_t end = host.n;
        while (end > 0 && host.p[end - 1] != ']')
            end--;
        if (end == 0)
            return url_refuse(text, "missing ']' in host", err);
        return url_port(text, str_skip(host, end), err) && url_escapes(text, host, err);
    }
    while (colon > 0 && host.p[colon - 1] != ':')
        colon--;
    if (colon > 0 && !url_port(text, str_skip(host, colon - 1), err))
        return false;
    for (size_t i = 0; i < host.n; i++)
        if (strchr(" <>\"{}|\\^`", host.p[i]) != NULL) {
            struct buf why = { 0 };
            buf_c(&why, "invalid character ");
            quote_go((struct str){ host.p + i, 1 }, &why);
            buf_c(&why, " in host name");
            url_refuse(text, buf_z(&why), err);
            buf_fini(&why);
            return false;
        }
    return url_escapes(text, host, err);
}

static struct str
url_authority(struct str rest, struct str *path)
{
    size_t n = 2;

    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    *path = str_skip(rest, n);
    return (struct str){ rest.p + 2, n - 2 };
}

static size_t
last_at(struct str authority)
{
    size_t n = authority.n;

    while (n > 0 && authority.p[n - 1] != '@')
        n--;
    return n;
}

bool
conf_url_parse(struct str text, struct conf_url *url, struct error *err)
{
    struct str rest, path, whole = { text.p, str_find(text, '#', 0) };

    *url = (struct conf_url){ .text = text, .given = true };
    for (size_t i = 0; i < text.n; i++)
        if ((uint8_t)text.p[i] < ' ' || text.p[i] == 0x7f)
            return url_refuse(text, "net/url: invalid control character in URL", err);
    if (str_is(whole, "*"))
        return true;
    if (!url_scheme(whole, &url->scheme, &rest, err))
        return false;
    path = rest;
    if (!str_starts(rest, STR("/"))) {
        if (url->scheme.n > 0)
            return true; /* opaque */
        size_t slash = str_find(rest, '/', 0), colon = str_find(rest, ':', 0);
        if (colon < slash)
            return url_refuse(text, "first path segment in URL cannot contain colon", err);
    }
    if ((url->scheme.n > 0 || !str_starts(rest, STR("///"))) && str_starts(rest, STR("//"))) {
        struct str authority = url_authority(rest, &path);
        url->host = str_skip(authority, last_at(authority));
        if (!url_host(text, url->host, err))
            return false;
    }
    return url_escapes(text, (struct str){ path.p, str_find(path, '?', 0) }, err);
}

void
conf_url_redacted(const struct conf_url *url, struct buf *out)
{
    struct str text = url->text, path;
    size_t scheme_n = url->scheme.n == 0 ? 0 : url->scheme.n + 1;

    if (!str_starts(str_skip(text, scheme_n), STR("//"))) {
        buf_str(out, text);
        return;
    }
    struct str authority = url_authority(str_skip(text, scheme_n), &path);
    size_t at = last_at(authority), colon = str_find((struct str){ authority.p, at }, ':', 0);
    for (size_t i = 0; i < scheme_n; i++) {
        char c = text.p[i];
        buf_byte(out, (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c));
    }
    buf_c(out, "//");
    if (colon < at) {
        buf_add(out, authority.p, colon);
        buf_c(out, ":xxxxx@");
        authority = str_skip(authority, at);
    }
    buf_str(out, authority);
    buf_str(out, path);
}
