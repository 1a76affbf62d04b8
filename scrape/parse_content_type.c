/* Which parser a Content-Type asks for, with Prometheus's words for those that ask for none. */
#include <strings.h>
#include "scrape/parse_priv.h"

static bool
is_token_byte(char c)
{
    return c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static size_t
token_bytes(struct str s)
{
    size_t n = 0;

    while (n < s.n && is_token_byte(s.p[n]))
        n++;
    return n;
}

static struct str
skip_blanks(struct str s)
{
    while (s.n != 0 && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' || s.p[0] == '\n'))
        s = str_skip(s, 1);
    return s;
}

/* "type/subtype" alone: what is wrong with it, or NULL. */
static const char *
media_type_fault(struct str type)
{
    size_t n = token_bytes(type);

    if (n == 0)
        return "mime: no media type";
    if (n == type.n)
        return NULL;
    if (type.p[n] != '/')
        return "mime: expected slash after first token";
    type = str_skip(type, n + 1);
    n = token_bytes(type);
    if (n == 0)
        return "mime: expected token after slash";
    return n == type.n ? NULL : "mime: unexpected content after media subtype";
}

/* One `name=value`; the rest is left in *s. */
static bool
take_parameter(struct str *s)
{
    size_t n = token_bytes(*s);

    if (n == 0)
        return false;
    *s = skip_blanks(str_skip(*s, n));
    if (s->n == 0 || s->p[0] != '=')
        return false;
    *s = skip_blanks(str_skip(*s, 1));
    if (s->n == 0)
        return false;
    if (s->p[0] != '"') {
        n = token_bytes(*s);
        *s = str_skip(*s, n);
        return n != 0;
    }
    for (size_t i = 1; i < s->n; i++) {
        if (s->p[i] == '\\') {
            i++;
        } else if (s->p[i] == '"') {
            *s = str_skip(*s, i + 1);
            return true;
        }
    }
    return false;
}

/* As Go's mime.ParseMediaType: the type in *type, or why there is none. */
static const char *
media_type(struct str text, struct str *type)
{
    size_t semicolon = str_find(text, ';', 0);
    const char *fault;

    *type = str_trim((struct str){ text.p, semicolon });
    fault = media_type_fault(*type);
    if (fault != NULL)
        return fault;
    text = str_skip(text, semicolon);
    for (;;) {
        text = skip_blanks(text);
        if (text.n == 0)
            return NULL;
        if (text.p[0] != ';')
            return "mime: invalid media parameter";
        text = skip_blanks(str_skip(text, 1));
        if (text.n == 0)
            return NULL; /* a semicolon at the end is fine */
        if (!take_parameter(&text))
            return "mime: invalid media parameter";
    }
}

static bool
format_of(struct str type, enum page_format *format)
{
    static const struct {
        const char *name;
        enum page_format format;
    } known[] = {
        { "text/plain", PAGE_TEXT },
        { "application/openmetrics-text", PAGE_OPENMETRICS },
        { "application/vnd.google.protobuf", PAGE_PROTOBUF },
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (type.n == strlen(known[i].name) && strncasecmp(type.p, known[i].name, type.n) == 0) {
            *format = known[i].format;
            return true;
        }
    return false;
}

/* The sentence about a header that cannot be used; fault may be NULL. */
static void
complain(const char *what, struct str header, const char *fallback, const char *fault,
         struct error *err)
{
    struct buf text = { 0 };

    buf_c(&text, what);
    quote_go(header, &text);
    if (fallback[0] != 0) {
        buf_c(&text, ", using fallback_scrape_protocol ");
        quote_go(str_c(fallback), &text);
    } else {
        buf_printf(&text, " and no fallback_scrape_protocol %s",
                   fault != NULL ? "for target" : "specified for target");
    }
    if (fault != NULL)
        buf_printf(&text, "\n%s", fault);
    error_set(err, ERR_CORRUPT, "%s", buf_z(&text));
    buf_fini(&text);
}

static void
complain_blank(const char *fallback, struct error *err)
{
    struct buf text = { 0 };

    buf_c(&text, "non-compliant scrape target sending blank Content-Type");
    if (fallback[0] != 0) {
        buf_c(&text, ", using fallback_scrape_protocol ");
        quote_go(str_c(fallback), &text);
    } else {
        buf_c(&text, " and no fallback_scrape_protocol specified for target");
    }
    error_set(err, ERR_CORRUPT, "%s", buf_z(&text));
    buf_fini(&text);
}

bool
page_format_of(const char *content_type, const char *fallback, enum page_format *format,
               bool *warned, struct error *err)
{
    struct str header = str_c(content_type), type;
    const char *fault;

    *warned = true;
    if (header.n == 0) {
        complain_blank(fallback, err);
    } else if ((fault = media_type(header, &type)) != NULL) {
        complain(fallback[0] != 0 ? "could not parse received Content-Type "
                                  : "cannot parse Content-Type ",
                 header, fallback, fault, err);
    } else if (format_of(type, format)) {
        *warned = false;
        return true;
    } else {
        complain("received unsupported Content-Type ", header, fallback, NULL, err);
    }
    /* The fallback is a media type with parameters, as the Accept header has it. */
    header = str_c(fallback);
    return fallback[0] != 0 &&
           format_of((struct str){ fallback, str_find(header, ';', 0) }, format);
}
