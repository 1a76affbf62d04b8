/* What the text of a scalar means, as Go's yaml.v2 resolves it: YAML 1.1 without base 60, with
 * yes/no/on/off, with 0x, 0o, 0b and octal 017, and underscores anywhere in a number. */
#include "base/conf_priv.h"

#include <math.h>

#include "base/decimal.h"

static const struct {
    const char *text;
    struct conf_scalar scalar;
} words[] = {
    { "", { .kind = SCALAR_NULL } },
    { "~", { .kind = SCALAR_NULL } },
    { "null", { .kind = SCALAR_NULL } },
    { "Null", { .kind = SCALAR_NULL } },
    { "NULL", { .kind = SCALAR_NULL } },
    { "y", { .kind = SCALAR_BOOL, .b = true } },
    { "Y", { .kind = SCALAR_BOOL, .b = true } },
    { "yes", { .kind = SCALAR_BOOL, .b = true } },
    { "Yes", { .kind = SCALAR_BOOL, .b = true } },
    { "YES", { .kind = SCALAR_BOOL, .b = true } },
    { "true", { .kind = SCALAR_BOOL, .b = true } },
    { "True", { .kind = SCALAR_BOOL, .b = true } },
    { "TRUE", { .kind = SCALAR_BOOL, .b = true } },
    { "on", { .kind = SCALAR_BOOL, .b = true } },
    { "On", { .kind = SCALAR_BOOL, .b = true } },
    { "ON", { .kind = SCALAR_BOOL, .b = true } },
    { "n", { .kind = SCALAR_BOOL } },
    { "N", { .kind = SCALAR_BOOL } },
    { "no", { .kind = SCALAR_BOOL } },
    { "No", { .kind = SCALAR_BOOL } },
    { "NO", { .kind = SCALAR_BOOL } },
    { "false", { .kind = SCALAR_BOOL } },
    { "False", { .kind = SCALAR_BOOL } },
    { "FALSE", { .kind = SCALAR_BOOL } },
    { "off", { .kind = SCALAR_BOOL } },
    { "Off", { .kind = SCALAR_BOOL } },
    { "OFF", { .kind = SCALAR_BOOL } },
    { ".nan", { .kind = SCALAR_FLOAT, .f = NAN } },
    { ".NaN", { .kind = SCALAR_FLOAT, .f = NAN } },
    { ".NAN", { .kind = SCALAR_FLOAT, .f = NAN } },
    { ".inf", { .kind = SCALAR_FLOAT, .f = INFINITY } },
    { ".Inf", { .kind = SCALAR_FLOAT, .f = INFINITY } },
    { ".INF", { .kind = SCALAR_FLOAT, .f = INFINITY } },
    { "+.inf", { .kind = SCALAR_FLOAT, .f = INFINITY } },
    { "+.Inf", { .kind = SCALAR_FLOAT, .f = INFINITY } },
    { "+.INF", { .kind = SCALAR_FLOAT, .f = INFINITY } },
    { "-.inf", { .kind = SCALAR_FLOAT, .f = -INFINITY } },
    { "-.Inf", { .kind = SCALAR_FLOAT, .f = -INFINITY } },
    { "-.INF", { .kind = SCALAR_FLOAT, .f = -INFINITY } },
};

enum { WORD_BYTES_MAX = 5, NUMBER_BYTES_MAX = 128 };

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Decimal digits from the front of s; the value saturates, only its range matters here. */
static size_t
take_number(struct str *s, size_t digits_max, unsigned *v)
{
    size_t n = 0;

    *v = 0;
    while (n < s->n && n < digits_max && is_digit(s->p[n]))
        *v = *v * 10 + (unsigned)(s->p[n++] - '0');
    *s = str_skip(*s, n);
    return n;
}

static bool
take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_skip(*s, 1);
    return true;
}

static unsigned
month_days(unsigned year, unsigned month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

/* h:m:s with an optional fraction. */
static bool
take_time(struct str *s)
{
    unsigned h, m, sec, ignored;

    if (take_number(s, 2, &h) == 0 || !take_char(s, ':') || take_number(s, 2, &m) == 0 ||
        !take_char(s, ':') || take_number(s, 2, &sec) == 0 || h > 23 || m > 59 || sec > 59)
        return false;
    if (s->n > 1 && (s->p[0] == '.' || s->p[0] == ',') && is_digit(s->p[1])) {
        *s = str_skip(*s, 1);
        take_number(s, s->n, &ignored);
    }
    return true;
}

/* Z or +hh:mm, to the end. */
static bool
take_zone(struct str s)
{
    unsigned h, m;

    if (str_is(s, "Z"))
        return true;
    if (!take_char(&s, '+') && !take_char(&s, '-'))
        return false;
    return take_number(&s, 2, &h) == 2 && take_char(&s, ':') && take_number(&s, 2, &m) == 2 &&
           s.n == 0 && h <= 24 && m < 60;
}

/* The forms that Go's yaml.v2 takes for a timestamp: a date, with "T" time and zone, or with a
 * space and time. */
static bool
is_timestamp(struct str s)
{
    unsigned year, month, day;

    if (take_number(&s, 4, &year) != 4 || !take_char(&s, '-') || take_number(&s, 2, &month) == 0 ||
        !take_char(&s, '-') || take_number(&s, 2, &day) == 0)
        return false;
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month))
        return false;
    if (s.n == 0)
        return true;
    if (take_char(&s, ' '))
        return take_time(&s) && s.n == 0;
    return (take_char(&s, 'T') || take_char(&s, 't')) && take_time(&s) && take_zone(s);
}

/* Go's ParseUint(s, 0, 64) on a text without underscores. */
static bool
parse_digits(struct str s, uint64_t *v)
{
    unsigned base = 10;

    if (s.n > 1 && s.p[0] == '0') {
        char c = (char)(s.p[1] | 0x20);
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        s = str_skip(s, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
    }
    if (s.n == 0)
        return false;
    *v = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = (char)(s.p[i] | 0x20);
        unsigned digit = is_digit(s.p[i])       ? (unsigned)(s.p[i] - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 99;
        if (digit >= base || __builtin_mul_overflow(*v, (uint64_t)base, v) ||
            __builtin_add_overflow(*v, (uint64_t)digit, v))
            return false;
    }
    return true;
}

static bool
parse_integer(struct str s, struct conf_scalar *out)
{
    bool minus = s.p[0] == '-', sign = minus || s.p[0] == '+';
    uint64_t v;

    if (!parse_digits(str_skip(s, sign), &v) || (minus && v > 1ull << 63))
        return false;
    if (minus || v <= INT64_MAX)
        *out = (struct conf_scalar){ .kind = SCALAR_INT, .i = (int64_t)(minus ? -v : v) };
    else if (sign)
        return false; /* ParseUint takes no sign */
    else
        *out = (struct conf_scalar){ .kind = SCALAR_UINT, .u = v };
    return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool
looks_float(struct str s)
{
    unsigned ignored;

    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_skip(s, 1);
    size_t whole = take_number(&s, s.n, &ignored), part = 0;
    if (take_char(&s, '.'))
        part = take_number(&s, s.n, &ignored);
    if (whole + part == 0)
        return false;
    if (take_char(&s, 'e') || take_char(&s, 'E')) {
        if (!take_char(&s, '-'))
            take_char(&s, '+');
        if (take_number(&s, s.n, &ignored) == 0)
            return false;
    }
    return s.n == 0;
}

static bool
resolve_number(struct str text, struct conf_scalar *out)
{
    char digits[NUMBER_BYTES_MAX];
    size_t n = 0;

    if (text.n > sizeof digits)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '_')
            digits[n++] = text.p[i];
    struct str plain = { digits, n };
    if (n == 0)
        return false;
    if (parse_integer(plain, out))
        return true;
    if (!looks_float(plain) || !decimal_parse(plain, &out->f))
        return false;
    out->kind = SCALAR_FLOAT;
    return true;
}

struct conf_scalar
conf_scalar_resolve(struct str text)
{
    struct conf_scalar s = { .kind = SCALAR_STR };

    for (size_t i = 0; text.n <= WORD_BYTES_MAX && i < ARRAY_LEN(words); i++)
        if (str_is(text, words[i].text))
            return words[i].scalar;
    if (text.p[0] == '.' && decimal_parse(text, &s.f)) {
        s.kind = SCALAR_FLOAT;
    } else if (is_digit(text.p[0]) || text.p[0] == '-' || text.p[0] == '+') {
        if (is_timestamp(text))
            s.kind = SCALAR_TIMESTAMP;
        else if (!resolve_number(text, &s))
            s = (struct conf_scalar){ .kind = SCALAR_STR };
    }
    return s;
}

const char *
conf_scalar_tag(enum conf_scalar_kind kind)
{
    static const char *const tags[] = { "!!null", "!!str",   "!!bool",     "!!int",
                                        "!!int",  "!!float", "!!timestamp" };

    return tags[kind];
}

static int
base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Go's StdEncoding: line ends are skipped, padding is required. */
static bool
base64_decode(struct arena *arena, struct str text, struct str *out)
{
    uint8_t *bytes = arena_alloc(arena, text.n / 4 * 3 + 4);
    size_t n = 0, digits = 0, pads = 0;
    uint32_t group = 0;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\n' || c == '\r')
            continue;
        int v = c == '=' ? 0 : base64_value(c);
        if (v < 0 || (pads > 0 && c != '=') || (c == '=' && digits % 4 < 2))
            return false;
        pads += c == '=';
        group = group << 6 | (uint32_t)v;
        if (++digits % 4 != 0)
            continue;
        for (int shift = 16; shift >= 0; shift -= 8)
            bytes[n++] = (uint8_t)(group >> shift);
        group = 0;
        if (pads > 0 && str_find(text, '=', i + 1) < text.n)
            return false;
    }
    *out = (struct str){ (const char *)bytes, n - MIN(n, pads) };
    return digits % 4 == 0;
}

/* The last part of a tag of the YAML namespace ("int" for !!int), or "". */
static struct str
short_tag(struct str tag)
{
    struct str prefix = STR("tag:yaml.org,2002:");

    return str_starts(tag, prefix) ? str_skip(tag, prefix.n) : STR_NONE;
}

bool
conf_scalar_of(struct arena *arena, const struct conf_node *node, struct conf_scalar *s,
               struct str *text, struct error *err)
{
    struct str tag = short_tag(node->tag);

    *text = node->value;
    *s = (struct conf_scalar){ .kind = SCALAR_STR };
    if (str_is(tag, "binary") && !base64_decode(arena, node->value, text))
        return error_set(err, ERR_INVALID, "!!binary value contains invalid base64 data");
    if (str_is(tag, "null"))
        s->kind = SCALAR_NULL;
    if (node->tag.n == 0 ? !node->plain
                         : !str_is(tag, "int") && !str_is(tag, "float") && !str_is(tag, "bool") &&
                               !str_is(tag, "timestamp"))
        return true;
    *s = conf_scalar_resolve(node->value);
    const char *found = conf_scalar_tag(s->kind) + 2;
    if (tag.n == 0 || str_is(tag, found))
        return true;
    if (str_is(tag, "float") && s->kind == SCALAR_INT) {
        *s = (struct conf_scalar){ .kind = SCALAR_FLOAT, .f = (double)s->i };
        return true;
    }
    return error_set(err, ERR_INVALID, "cannot decode !!%s `%.*s` as a !!%.*s", found,
                     STR_ARG(node->value), STR_ARG(tag));
}

bool
conf_node_null(const struct conf_node *node)
{
    if (node->kind != NODE_SCALAR)
        return false;
    if (node->tag.n != 0)
        return str_is(short_tag(node->tag), "null");
    return node->plain && conf_scalar_resolve(node->value).kind == SCALAR_NULL;
}

bool
conf_node_merge(const struct conf_node *node)
{
    return node->kind == NODE_SCALAR && str_is(node->value, "<<") &&
           (node->plain || str_is(short_tag(node->tag), "merge"));
}
