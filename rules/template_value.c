/* Values of templates: their Go types, truth, and how Go's fmt prints them. */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "base/decimal.h"
#include "base/duration.h"
#include "base/quote.h"
#include "model/histogram_math.h"
#include "rules/template_priv.h"

#define NS_PER_S INT64_C(1000000000)

const char *
tvalue_type(const struct tvalue *v)
{
    static const char *const names[] = {
        [TV_NONE] = "<nil>",
        [TV_BOOL] = "bool",
        [TV_INT] = "int",
        [TV_UINT] = "uint",
        [TV_FLOAT] = "float64",
        [TV_STRING] = "string",
        [TV_LABELS] = "map[string]string",
        [TV_MAP] = "map[string]interface {}",
        [TV_LIST] = "[]interface {}",
        [TV_RESULT] = "template.queryResult",
        [TV_SAMPLE] = "*template.sample",
        [TV_TIME] = "*time.Time",
        [TV_DURATION] = "*time.Duration",
        [TV_HISTOGRAM] = "*histogram.FloatHistogram",
        [TV_ALERT] = "struct { Labels map[string]string; ExternalLabels map[string]string; "
                     "ExternalURL string; "
                     "Value interface {} }",
    };
    return v->type != NULL ? v->type : names[v->kind];
}

bool
tvalue_truth(const struct tvalue *v)
{
    switch (v->kind) {
    case TV_NONE:
        return false;
    case TV_BOOL:
        return v->b;
    case TV_INT:
        return v->i != 0;
    case TV_UINT:
        return v->u != 0;
    case TV_FLOAT:
        return v->f != 0;
    case TV_STRING:
        return v->s.n != 0;
    case TV_LABELS:
        return v->labels.nr != 0;
    case TV_MAP:
        return v->map.nr != 0;
    case TV_LIST:
        return v->list.nr != 0;
    case TV_RESULT:
        return v->result.nr != 0;
    default: /* pointers that are not nil, and structs */
        return true;
    }
}

/* ---- time ---- */

struct time_parts {
    struct tm tm;
    int64_t frac_ns;
};

static struct time_parts
time_parts(int64_t ns)
{
    struct time_parts p;
    time_t s = (time_t)(ns / NS_PER_S - (ns % NS_PER_S < 0));

    p.frac_ns = ns - (int64_t)s * NS_PER_S;
    gmtime_r(&s, &p.tm);
    return p;
}

/* Go's reference time in pieces: the longest match first. How each is printed is one strftime
 * format, or a case below. */
static const struct {
    const char *ref, *strftime_format;
} time_pieces[] = {
    { "January", "%B" }, { "Monday", "%A" }, { "2006", "%Y" }, { "-07:00", NULL },
    { "-0700", NULL },   { "Z07:00", NULL }, { "Jan", "%b" },  { "Mon", "%a" },
    { "MST", NULL },     { "002", "%j" },    { "01", "%m" },   { "02", "%d" },
    { "03", "%I" },      { "04", "%M" },     { "05", "%S" },   { "06", "%y" },
    { "15", "%H" },      { "PM", "%p" },     { "_2", "%e" },   { "1", NULL },
    { "2", NULL },       { "3", NULL },      { "4", NULL },    { "5", NULL },
    { "-07", NULL },     { "pm", NULL },
};

static void
time_piece(size_t i, const struct time_parts *p, struct buf *out)
{
    const char *ref = time_pieces[i].ref;
    char text[64];

    if (time_pieces[i].strftime_format != NULL) {
        buf_add(out, text, strftime(text, sizeof text, time_pieces[i].strftime_format, &p->tm));
        return;
    }
    if (strcmp(ref, "-07:00") == 0)
        buf_c(out, "+00:00");
    else if (strcmp(ref, "-0700") == 0)
        buf_c(out, "+0000");
    else if (strcmp(ref, "-07") == 0)
        buf_c(out, "+00");
    else if (strcmp(ref, "Z07:00") == 0)
        buf_c(out, "Z");
    else if (strcmp(ref, "MST") == 0)
        buf_c(out, "UTC");
    else if (strcmp(ref, "pm") == 0)
        buf_c(out, p->tm.tm_hour >= 12 ? "pm" : "am");
    else
        buf_printf(out, "%d",
                   ref[0] == '1'   ? p->tm.tm_mon + 1
                   : ref[0] == '2' ? p->tm.tm_mday
                   : ref[0] == '3' ? (p->tm.tm_hour + 11) % 12 + 1
                   : ref[0] == '4' ? p->tm.tm_min
                                   : p->tm.tm_sec);
}

/* ".000" keeps zeros, ".999" drops trailing ones; false when no fraction starts here. */
static bool
time_fraction(struct str *layout, int64_t frac_ns, struct buf *out)
{
    size_t n = 1;
    char digits[10];

    if (layout->n < 2 || (layout->p[0] != '.' && layout->p[0] != ',') ||
        (layout->p[1] != '0' && layout->p[1] != '9'))
        return false;
    while (n < layout->n && layout->p[n] == layout->p[1])
        n++;
    if (n > 10 || (n < layout->n && layout->p[n] >= '0' && layout->p[n] <= '9'))
        return false;
    snprintf(digits, sizeof digits, "%09d", (int)frac_ns);
    size_t keep = n - 1;
    while (layout->p[1] == '9' && keep > 0 && digits[keep - 1] == '0')
        keep--;
    if (keep != 0) {
        buf_byte(out, (uint8_t)layout->p[0]);
        buf_add(out, digits, keep);
    }
    *layout = str_skip(*layout, n);
    return true;
}

void
tvalue_time_format(int64_t ns, struct str layout, struct buf *out)
{
    struct time_parts p = time_parts(ns);

    while (layout.n > 0) {
        size_t i = 0;
        if (time_fraction(&layout, p.frac_ns, out))
            continue;
        while (i < ARRAY_LEN(time_pieces) && !str_starts(layout, str_c(time_pieces[i].ref)))
            i++;
        if (i == ARRAY_LEN(time_pieces)) {
            buf_byte(out, (uint8_t)layout.p[0]);
            layout = str_skip(layout, 1);
            continue;
        }
        time_piece(i, &p, out);
        layout = str_skip(layout, strlen(time_pieces[i].ref));
    }
}

/* ---- fmt ---- */

static void
print_labels(struct labels ls, struct buf *out)
{
    buf_c(out, "map[");
    for (size_t i = 0; i < ls.nr; i++)
        buf_printf(out, "%s%.*s:%.*s", i == 0 ? "" : " ", STR_ARG(ls.v[i].name),
                   STR_ARG(ls.v[i].value));
    buf_byte(out, ']');
}

static void
print_float(double v, struct buf *out)
{
    char text[DECIMAL_BYTES_MAX];

    buf_add(out, text, decimal_format_general(v, text));
}

static void
print_alert(const struct template_alert *a, struct buf *out)
{
    buf_byte(out, '{');
    print_labels(a->labels, out);
    buf_byte(out, ' ');
    print_labels(a->external_labels, out);
    buf_printf(out, " %.*s ", STR_ARG(a->external_url));
    if (a->histogram != NULL)
        histogram_print(a->histogram, out);
    else
        print_float(a->value, out);
    buf_byte(out, '}');
}

static void
print_sample(const struct tsample *s, struct buf *out)
{
    buf_c(out, "&{");
    print_labels(s->labels, out);
    buf_byte(out, ' ');
    if (s->h != NULL)
        histogram_print(s->h, out);
    else
        print_float(s->v, out);
    buf_byte(out, '}');
}

static void
print_list(const struct tvalue *v, struct buf *out)
{
    buf_byte(out, '[');
    for (size_t i = 0; i < v->list.nr; i++) {
        if (i != 0)
            buf_byte(out, ' ');
        tvalue_print(&v->list.v[i], out);
    }
    buf_byte(out, ']');
}

static void
print_map(const struct tvalue *v, struct buf *out)
{
    buf_c(out, "map[");
    for (size_t i = 0; i < v->map.nr; i++) {
        buf_printf(out, "%s%.*s:", i == 0 ? "" : " ", STR_ARG(v->map.pairs[i].name));
        tvalue_print(v->map.pairs[i].value, out);
    }
    buf_byte(out, ']');
}

void
tvalue_print(const struct tvalue *v, struct buf *out)
{
    char duration[DURATION_TEXT_MAX];

    switch (v->kind) {
    case TV_NONE:
        buf_c(out, "<no value>");
        break;
    case TV_BOOL:
        buf_c(out, v->b ? "true" : "false");
        break;
    case TV_INT:
        buf_printf(out, "%lld", (long long)v->i);
        break;
    case TV_UINT:
        buf_printf(out, "%llu", (unsigned long long)v->u);
        break;
    case TV_FLOAT:
        print_float(v->f, out);
        break;
    case TV_STRING:
        buf_str(out, v->s);
        break;
    case TV_LABELS:
        print_labels(v->labels, out);
        break;
    case TV_MAP:
        print_map(v, out);
        break;
    case TV_LIST:
        print_list(v, out);
        break;
    case TV_RESULT:
        buf_byte(out, '[');
        for (size_t i = 0; i < v->result.nr; i++) {
            if (i != 0)
                buf_byte(out, ' ');
            /* Go prints addresses here, which nobody can want; what they point to is shown instead.
             */
            print_sample(&v->result.v[i], out);
        }
        buf_byte(out, ']');
        break;
    case TV_SAMPLE:
        print_sample(v->sample, out);
        break;
    case TV_TIME:
        tvalue_time_format(v->i, STR("2006-01-02 15:04:05.999999999 -0700 MST"), out);
        break;
    case TV_DURATION:
        buf_c(out, duration_go_text(v->i, duration));
        break;
    case TV_HISTOGRAM:
        histogram_print(v->histogram, out);
        break;
    case TV_ALERT:
        print_alert(v->alert, out);
        break;
    }
}

/* ---- printf ---- */

struct verb {
    char flags[8], letter;
    int width, precision; /* -1: not given */
};

/* Reads what follows '%'; returns how many bytes. */
static size_t
verb_read(struct str s, struct verb *v)
{
    size_t i = 0, flags = 0;

    *v = (struct verb){ .width = -1, .precision = -1 };
    while (i < s.n && strchr("+-# 0", s.p[i]) != NULL && flags < sizeof v->flags - 1)
        v->flags[flags++] = s.p[i++];
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        v->width = MIN((v->width < 0 ? 0 : v->width) * 10 + (s.p[i] - '0'), 1000);
    if (i < s.n && s.p[i] == '.')
        for (i++, v->precision = 0; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
            v->precision = MIN(v->precision * 10 + (s.p[i] - '0'), 1000);
    if (i < s.n)
        v->letter = s.p[i++];
    return i;
}

static void
pad(const struct verb *v, struct str text, struct buf *out)
{
    size_t runes = 0;
    bool left = strchr(v->flags, '-') != NULL;

    for (size_t i = 0; i < text.n; i++)
        runes += ((uint8_t)text.p[i] & 0xC0) != 0x80;
    size_t fill = v->width > 0 && (size_t)v->width > runes ? (size_t)v->width - runes : 0;
    for (size_t i = 0; !left && i < fill; i++)
        buf_byte(out, ' ');
    buf_str(out, text);
    for (size_t i = 0; left && i < fill; i++)
        buf_byte(out, ' ');
}

/* A number by C's printf, which agrees with Go's in these verbs. */
static void
print_number(const struct verb *v, const struct tvalue *arg, struct buf *out)
{
    char format[64];
    int n = snprintf(format, sizeof format, "%%%s", v->flags);

    if (v->width >= 0)
        n += snprintf(format + n, sizeof format - (size_t)n, "%d", v->width);
    if (v->precision >= 0)
        n += snprintf(format + n, sizeof format - (size_t)n, ".%d", v->precision);
    char letter = v->letter == 'F' ? 'f' : v->letter;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (arg->kind == TV_FLOAT) {
        snprintf(format + n, sizeof format - (size_t)n, "%c", letter);
        buf_printf(out, format, arg->f);
    } else {
        snprintf(format + n, sizeof format - (size_t)n, "ll%c", letter);
        buf_printf(out, format, arg->kind == TV_INT ? arg->i : (long long)arg->u);
    }
#pragma GCC diagnostic pop
}

static bool
is_integer(const struct tvalue *v)
{
    return v->kind == TV_INT || v->kind == TV_UINT;
}

static void
print_verb(const struct verb *v, const struct tvalue *arg, struct buf *out)
{
    struct buf text = { 0 };
    bool finite = arg->kind == TV_FLOAT && isfinite(arg->f);

    if (is_integer(arg) && v->letter != '\0' && strchr("dxXo", v->letter) != NULL) {
        print_number(v, arg, out);
    } else if (finite && strchr("eEfFgG", v->letter) != NULL &&
               (v->precision >= 0 || strchr("gG", v->letter) == NULL)) {
        print_number(v, arg, out);
    } else if (arg->kind == TV_STRING && v->letter == 'q') {
        quote_go(arg->s, &text);
        pad(v, buf_as_str(&text), out);
    } else if (v->letter == 'v' || (arg->kind == TV_FLOAT && strchr("eEfFgG", v->letter) != NULL) ||
               (arg->kind == TV_BOOL && v->letter == 't') ||
               (v->letter == 's' && arg->kind != TV_FLOAT && !is_integer(arg) &&
                arg->kind != TV_BOOL)) {
        tvalue_print(arg, &text);
        if (v->precision >= 0 && arg->kind == TV_STRING)
            text.n = MIN(text.n, (size_t)v->precision);
        pad(v, buf_as_str(&text), out);
    } else {
        tvalue_print(arg, &text);
        buf_printf(out, "%%!%c(%s=%s)", v->letter, tvalue_type(arg), buf_z(&text));
    }
    buf_fini(&text);
}

void
tvalue_printf(struct str format, const struct tvalue *args, size_t args_nr, struct buf *out)
{
    size_t used = 0;

    for (size_t i = 0; i < format.n; i++) {
        struct verb v;
        if (format.p[i] != '%') {
            buf_byte(out, (uint8_t)format.p[i]);
            continue;
        }
        i += verb_read(str_skip(format, i + 1), &v);
        if (v.letter == '\0')
            buf_c(out, "%!(NOVERB)");
        else if (v.letter == '%')
            buf_byte(out, '%');
        else if (used >= args_nr)
            buf_printf(out, "%%!%c(MISSING)", v.letter);
        else
            print_verb(&v, &args[used++], out);
    }
    for (size_t i = used; i < args_nr; i++) {
        buf_printf(out, "%s%s=", i == used ? "%!(EXTRA " : ", ", tvalue_type(&args[i]));
        tvalue_print(&args[i], out);
        if (i + 1 == args_nr)
            buf_byte(out, ')');
    }
}
