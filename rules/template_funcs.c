/* The functions of templates: Go's builtins and Prometheus's own (surface/templates.tsv), one
 * table. */
#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/duration.h"
#include "base/regex.h"
#include "rules/template_priv.h"

#define ARGS                                                                           \
    struct texec *x, const struct tvalue *args, size_t args_nr, struct tvalue *result, \
        struct error *err

static bool
give_str(struct texec *x, struct tvalue *result, struct buf *text)
{
    *result = (struct tvalue){ .kind = TV_STRING, .s = arena_str(x->arena, buf_as_str(text)) };
    buf_fini(text);
    return true;
}

static bool
give_bool(struct tvalue *result, bool b)
{
    *result = (struct tvalue){ .kind = TV_BOOL, .b = b };
    return true;
}

static bool
give_float(struct tvalue *result, double f)
{
    *result = (struct tvalue){ .kind = TV_FLOAT, .f = f };
    return true;
}

/* ---- numbers for people ---- */

static bool
to_float(const struct tvalue *v, double *f, struct error *err)
{
    switch (v->kind) {
    case TV_FLOAT:
        *f = v->f;
        return true;
    case TV_INT:
        *f = (double)v->i;
        return true;
    case TV_UINT:
        *f = (double)v->u;
        return true;
    case TV_DURATION:
        *f = (double)v->i / 1e9;
        return true;
    case TV_STRING:
        if (decimal_parse(v->s, f))
            return true;
        return error_set(err, ERR_INVALID, "strconv.ParseFloat: parsing \"%.*s\": %s",
                         STR_ARG(v->s), decimal_refusal(v->s));
    default:
        return error_set(err, ERR_INVALID, "can't convert %s to float", tvalue_type(v));
    }
}

/* "%.4g" and a suffix. */
static bool
give_g4(struct texec *x, struct tvalue *result, double v, const char *before, const char *after)
{
    char text[DECIMAL_BYTES_MAX];
    struct buf b = { 0 };

    buf_c(&b, before);
    buf_add(&b, text, decimal_format_precision(v, 4, text));
    buf_c(&b, after);
    return give_str(x, result, &b);
}

/* Divides by base until below it; returns the last prefix used. */
static const char *
scale_down(double *v, double base, const char *const *prefixes)
{
    const char *prefix = "";

    for (size_t i = 0; prefixes[i] != NULL && fabs(*v) >= base; i++) {
        prefix = prefixes[i];
        *v /= base;
    }
    return prefix;
}

static const char *
scale_up(double *v)
{
    static const char *const prefixes[] = { "m", "u", "n", "p", "f", "a", "z", "y" };
    const char *prefix = "";

    for (size_t i = 0; i < ARRAY_LEN(prefixes) && fabs(*v) < 1; i++) {
        prefix = prefixes[i];
        *v *= 1000;
    }
    return prefix;
}

static bool
fn_humanize(ARGS)
{
    static const char *const prefixes[] = { "k", "M", "G", "T", "P", "E", "Z", "Y", NULL };
    const char *prefix = "";
    double v;

    if (!to_float(&args[0], &v, err))
        return false;
    if (v != 0 && isfinite(v))
        prefix = fabs(v) >= 1 ? scale_down(&v, 1000, prefixes) : scale_up(&v);
    return give_g4(x, result, v, "", prefix);
}

static bool
fn_humanize1024(ARGS)
{
    static const char *const prefixes[] = { "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi", NULL };
    const char *prefix = "";
    double v;

    if (!to_float(&args[0], &v, err))
        return false;
    if (isfinite(v) && fabs(v) > 1)
        prefix = scale_down(&v, 1024, prefixes);
    return give_g4(x, result, v, "", prefix);
}

static bool
duration_of_whole(struct texec *x, double v, struct tvalue *result)
{
    const char *sign = v < 0 ? "-" : "";
    struct buf b = { 0 };

    v = fabs(v);
    /* What does not fit is Go's conversion on amd64. */
    long long s = v < 9223372036854775808.0 ? (long long)v : INT64_MIN;
    long long days = s / 86400, hours = s / 3600 % 24, minutes = s / 60 % 60;
    if (days != 0)
        buf_printf(&b, "%s%lldd %lldh %lldm %llds", sign, days, hours, minutes, s % 60);
    else if (hours != 0)
        buf_printf(&b, "%s%lldh %lldm %llds", sign, hours, minutes, s % 60);
    else if (minutes != 0)
        buf_printf(&b, "%s%lldm %llds", sign, minutes, s % 60);
    else
        return give_g4(x, result, v, sign, "s");
    return give_str(x, result, &b);
}

static bool
fn_humanize_duration(ARGS)
{
    double v;
    char unit[4];

    if (!to_float(&args[0], &v, err))
        return false;
    if (!isfinite(v))
        return give_g4(x, result, v, "", "");
    if (fabs(v) >= 1)
        return duration_of_whole(x, v, result);
    const char *prefix = v == 0 ? "" : scale_up(&v);
    unit[0] = prefix[0] != '\0' ? prefix[0] : 's';
    unit[1] = prefix[0] != '\0' ? 's' : '\0';
    unit[2] = '\0';
    return give_g4(x, result, v, "", unit);
}

static bool
fn_humanize_percentage(ARGS)
{
    double v;

    return to_float(&args[0], &v, err) && give_g4(x, result, v * 100, "", "%");
}

static bool
float_to_time(double v, struct tvalue *result, struct error *err)
{
    char text[DECIMAL_BYTES_MAX];
    double ns = v * 1e9;

    if (!isfinite(v))
        return error_set(err, ERR_INVALID, "value is NaN or Inf");
    if (ns >= 9223372036854775808.0 || ns < -9223372036854775808.0)
        return error_set(
            err, ERR_INVALID,
            "%.*s cannot be represented as a nanoseconds timestamp since it overflows int64",
            (int)decimal_format_general(v, text), text);
    /* Prometheus's times are milliseconds. */
    *result = (struct tvalue){ .kind = TV_TIME, .i = (int64_t)ns / 1000000 * 1000000 };
    return true;
}

static bool
fn_humanize_timestamp(ARGS)
{
    struct tvalue t;
    struct buf b = { 0 };
    double v;

    if (!to_float(&args[0], &v, err))
        return false;
    if (!isfinite(v))
        return give_g4(x, result, v, "", "");
    if (!float_to_time(v, &t, err))
        return false;
    tvalue_print(&t, &b);
    return give_str(x, result, &b);
}

static bool
fn_to_time(ARGS)
{
    double v;

    return to_float(&args[0], &v, err) && float_to_time(v, result, err);
}

static bool
fn_to_duration(ARGS)
{
    double v, ns;

    if (!to_float(&args[0], &v, err))
        return false;
    ns = v * 1e9;
    bool fits = ns > -9223372036854775808.0 && ns < 9223372036854775808.0;
    *result = (struct tvalue){ .kind = TV_DURATION, .i = fits ? (int64_t)ns : INT64_MIN };
    return true;
}

static bool
fn_now(ARGS)
{
    return give_float(result, (double)x->env->t_ms / 1000);
}

static bool
fn_parse_duration(ARGS)
{
    struct str text = args[0].s;
    bool negative = text.n > 0 && text.p[0] == '-';
    int64_t ms;

    if (!duration_parse(negative ? str_skip(text, 1) : text, &ms, err))
        return false;
    return give_float(result, (double)(negative ? -ms : ms) / 1000);
}

/* ---- text ---- */

static bool
case_map(struct texec *x, struct str s, int (*map)(int), struct tvalue *result)
{
    struct buf b = { 0 };

    for (size_t i = 0; i < s.n; i++)
        buf_byte(&b, (uint8_t)((uint8_t)s.p[i] < 0x80 ? map((uint8_t)s.p[i]) : (uint8_t)s.p[i]));
    return give_str(x, result, &b);
}

static bool
fn_to_upper(ARGS)
{
    return case_map(x, args[0].s, toupper, result);
}

static bool
fn_to_lower(ARGS)
{
    return case_map(x, args[0].s, tolower, result);
}

static bool
fn_title(ARGS)
{
    struct buf b = { 0 };
    bool in_word = false;

    for (size_t i = 0; i < args[0].s.n; i++) {
        uint8_t c = (uint8_t)args[0].s.p[i];
        bool letter = isalnum(c) || c >= 0x80 || c == '_' || (c == '\'' && in_word);
        buf_byte(&b, letter && !in_word && c < 0x80 ? (uint8_t)toupper(c) : c);
        in_word = letter;
    }
    return give_str(x, result, &b);
}

static bool
fn_re_replace_all(ARGS)
{
    struct regex *re = regex_compile(args[0].s, 0, err);
    struct buf b = { 0 };

    if (re == NULL) {
        /* Go's MustCompile panics, and the panic's text is what people see. */
        struct buf why = { 0 };
        buf_c(&why, error_text(err));
        error_set(err, ERR_INVALID, "regexp: Compile(`%.*s`): %s", STR_ARG(args[0].s), buf_z(&why));
        buf_fini(&why);
        return false;
    }
    regex_replace_all(re, args[2].s, args[1].s, &b);
    regex_unref(re);
    return give_str(x, result, &b);
}

/* Unanchored: .* on both sides. */
static bool
fn_match(ARGS)
{
    struct regex *plain = regex_compile(args[0].s, 0, err);

    if (plain == NULL)
        return false;
    bool hit = regex_match(plain, args[1].s);
    regex_unref(plain);
    return give_bool(result, hit);
}

static void
query_escape(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (isalnum(c) || (c != '\0' && strchr("-_.~", c) != NULL))
            buf_byte(out, c);
        else if (c == ' ')
            buf_byte(out, '+');
        else
            buf_printf(out, "%%%02X", c);
    }
}

static bool
give_link(struct texec *x, struct str expr, int tab, struct tvalue *result)
{
    struct buf b = { 0 };

    buf_c(&b, "/graph?g0.expr=");
    query_escape(expr, &b);
    buf_printf(&b, "&g0.tab=%d", tab);
    return give_str(x, result, &b);
}

static bool
fn_graph_link(ARGS)
{
    return give_link(x, args[0].s, 0, result);
}

static bool
fn_table_link(ARGS)
{
    return give_link(x, args[0].s, 1, result);
}

/* Go's net.SplitHostPort: false when it is none. */
static bool
split_host_port(struct str s, struct str *host, struct str *port)
{
    size_t colon = s.n;

    while (colon > 0 && s.p[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    colon--;
    *port = str_skip(s, colon + 1);
    *host = (struct str){ s.p, colon };
    if (s.p[0] == '[') {
        if (host->n < 2 || str_find(s, ']', 0) + 1 != colon)
            return false;
        *host = (struct str){ s.p + 1, colon - 2 };
        return true;
    }
    return str_find(*host, ':', 0) == host->n && str_find(s, '[', 0) == s.n &&
           str_find(s, ']', 0) == s.n;
}

static bool
is_ip(struct str s)
{
    char z[64];
    struct in6_addr addr;

    if (s.n >= sizeof z)
        return false;
    memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    return inet_pton(AF_INET, z, &addr) == 1 || inet_pton(AF_INET6, z, &addr) == 1;
}

static bool
fn_strip_port(ARGS)
{
    struct str host, port;

    *result = args[0];
    if (split_host_port(args[0].s, &host, &port))
        result->s = host;
    return true;
}

static bool
fn_strip_domain(ARGS)
{
    struct str host = args[0].s, port = STR_NONE;
    struct buf b = { 0 };

    if (!split_host_port(args[0].s, &host, &port)) {
        host = args[0].s;
        port = STR_NONE;
    }
    *result = args[0];
    if (host.n == 0 || is_ip(host))
        return true;
    buf_add(&b, host.p, str_find(host, '.', 0));
    if (port.n != 0)
        buf_printf(&b, ":%.*s", STR_ARG(port));
    return give_str(x, result, &b);
}

static bool
fn_path_prefix(ARGS)
{
    struct str url = x->env->external_url;
    const char *scheme = url.n == 0 ? NULL : memmem(url.p, url.n, "://", 3);
    size_t from = scheme == NULL ? 0 : (size_t)(scheme - url.p) + 3;
    size_t path = str_find(url, '/', from);

    *result =
        (struct tvalue){ .kind = TV_STRING, .s = path < url.n ? str_skip(url, path) : STR("") };
    return true;
}

static bool
fn_external_url(ARGS)
{
    *result = (struct tvalue){ .kind = TV_STRING, .s = x->env->external_url };
    return true;
}

static bool
fn_safe_html(ARGS)
{
    *result = args[0];
    return true;
}

/* ---- queries ---- */

static bool
fn_query(ARGS)
{
    struct query_result r;

    if (x->env->query == NULL)
        return error_set(err, ERR_UNAVAILABLE, "queries are not available here");
    if (!x->env->query(x->env->query_arg, args[0].s, x->env->t_ms, &r, err))
        return false;
    ARENA_GROW(x->arena, x->results, x->results_nr, x->results_nr + 1, &x->results_cap);
    x->results[x->results_nr++] = r;
    if (r.type != VALUE_VECTOR && r.type != VALUE_SCALAR)
        return error_set(err, ERR_INVALID, "query result is not a vector or scalar");
    size_t nr = r.type == VALUE_SCALAR ? 1 : r.series_nr;
    struct tsample *samples = ARENA_NEW_ARRAY(x->arena, struct tsample, nr);
    if (r.type == VALUE_SCALAR)
        samples[0].v = r.scalar;
    for (size_t i = 0; r.type == VALUE_VECTOR && i < nr; i++)
        samples[i] = (struct tsample){ r.series[i].labels, r.series[i].v[0],
                                       r.series[i].h == NULL ? NULL : r.series[i].h[0] };
    result->kind = TV_RESULT;
    result->type = NULL;
    result->result.v = samples;
    result->result.nr = nr;
    return true;
}

static bool
fn_first(ARGS)
{
    if (args[0].result.nr == 0)
        return error_set(err, ERR_INVALID, "first() called on vector with no elements");
    *result = (struct tvalue){ .kind = TV_SAMPLE, .sample = &args[0].result.v[0] };
    return true;
}

static bool
fn_label(ARGS)
{
    *result =
        (struct tvalue){ .kind = TV_STRING, .s = labels_get(args[1].sample->labels, args[0].s) };
    return true;
}

static bool
fn_value(ARGS)
{
    const struct tsample *s = args[0].sample;

    if (s->h == NULL)
        return give_float(result, s->v);
    *result = (struct tvalue){ .kind = TV_HISTOGRAM, .histogram = s->h };
    return true;
}

static bool
fn_strvalue(ARGS)
{
    *result = (struct tvalue){ .kind = TV_STRING,
                               .s = labels_get(args[0].sample->labels, STR("__value__")) };
    return true;
}

struct sort_by {
    struct tsample sample;
    struct str key;
    size_t was;
};

static int
sort_by_cmp(const void *a, const void *b)
{
    const struct sort_by *p = a, *q = b;
    int c = str_cmp(p->key, q->key);

    return c != 0 ? c : (p->was > q->was) - (p->was < q->was);
}

static bool
fn_sort_by_label(ARGS)
{
    size_t nr = args[1].result.nr;
    struct sort_by *items = ARENA_NEW_ARRAY(x->arena, struct sort_by, nr);
    struct tsample *sorted = ARENA_NEW_ARRAY(x->arena, struct tsample, nr);

    for (size_t i = 0; i < nr; i++)
        items[i] = (struct sort_by){ args[1].result.v[i],
                                     labels_get(args[1].result.v[i].labels, args[0].s), i };
    if (nr != 0)
        qsort(items, nr, sizeof *items, sort_by_cmp);
    for (size_t i = 0; i < nr; i++)
        sorted[i] = items[i].sample;
    *result = args[1];
    result->result.v = sorted;
    return true;
}

static bool
fn_args(ARGS)
{
    struct tpair *pairs = ARENA_NEW_ARRAY(x->arena, struct tpair, args_nr);

    for (size_t i = 0; i < args_nr; i++) {
        pairs[i].name = arena_printf(x->arena, "arg%zu", i);
        pairs[i].value = ARENA_NEW(x->arena, struct tvalue);
        *pairs[i].value = args[i];
    }
    *result = (struct tvalue){ .kind = TV_MAP };
    result->map.pairs = pairs;
    result->map.nr = args_nr;
    return true;
}

/* ---- Go's builtins ---- */

static bool
fn_not(ARGS)
{
    return give_bool(result, !tvalue_truth(&args[0]));
}

static bool
fn_len(ARGS)
{
    size_t n;

    switch (args[0].kind) {
    case TV_STRING:
        n = args[0].s.n;
        break;
    case TV_LABELS:
        n = args[0].labels.nr;
        break;
    case TV_MAP:
        n = args[0].map.nr;
        break;
    case TV_LIST:
        n = args[0].list.nr;
        break;
    case TV_RESULT:
        n = args[0].result.nr;
        break;
    case TV_NONE:
        return error_set(err, ERR_INVALID, "len of nil pointer");
    default:
        return error_set(err, ERR_INVALID, "len of type %s", tvalue_type(&args[0]));
    }
    *result = (struct tvalue){ .kind = TV_INT, .i = (int64_t)n };
    return true;
}

static bool
index_at(const struct tvalue *key, size_t nr, size_t *i, struct error *err)
{
    if (key->kind != TV_INT && key->kind != TV_UINT)
        return error_set(err, ERR_INVALID, "cannot index slice/array with type %s",
                         tvalue_type(key));
    if (key->i < 0 || (uint64_t)key->i >= nr)
        return error_set(err, ERR_INVALID, "index out of range: %lld", (long long)key->i);
    *i = (size_t)key->i;
    return true;
}

static bool
index_one(struct tvalue *v, const struct tvalue *key, struct error *err)
{
    size_t i = 0;

    switch (v->kind) {
    case TV_LABELS:
        if (key->kind != TV_STRING)
            return error_set(err, ERR_INVALID, "value has type %s; should be string",
                             tvalue_type(key));
        *v = (struct tvalue){ .kind = TV_STRING, .s = labels_get(v->labels, key->s) };
        return true;
    case TV_MAP: {
        struct tvalue hit = { .kind = TV_NONE };
        if (key->kind != TV_STRING)
            return error_set(err, ERR_INVALID, "value has type %s; should be string",
                             tvalue_type(key));
        for (i = 0; i < v->map.nr; i++)
            if (str_eq(v->map.pairs[i].name, key->s))
                hit = *v->map.pairs[i].value;
        *v = hit;
        return true;
    }
    case TV_LIST:
        if (!index_at(key, v->list.nr, &i, err))
            return false;
        *v = v->list.v[i];
        return true;
    case TV_RESULT:
        if (!index_at(key, v->result.nr, &i, err))
            return false;
        *v = (struct tvalue){ .kind = TV_SAMPLE, .sample = &v->result.v[i] };
        return true;
    case TV_STRING:
        if (!index_at(key, v->s.n, &i, err))
            return false;
        *v = (struct tvalue){ .kind = TV_UINT, .type = "uint8", .u = (uint8_t)v->s.p[i] };
        return true;
    case TV_NONE:
        return error_set(err, ERR_INVALID, "index of untyped nil");
    default:
        return error_set(err, ERR_INVALID, "can't index item of type %s", tvalue_type(v));
    }
}

static bool
fn_index(ARGS)
{
    struct tvalue v = args[0];

    for (size_t i = 1; i < args_nr; i++)
        if (!index_one(&v, &args[i], err))
            return false;
    *result = v;
    return true;
}

static bool
fn_slice(ARGS)
{
    size_t from = 0, to = args[0].kind == TV_STRING ? args[0].s.n : args[0].result.nr;

    if (args[0].kind != TV_STRING && args[0].kind != TV_RESULT)
        return error_set(err, ERR_INVALID, "can't slice item of type %s", tvalue_type(&args[0]));
    if (args_nr > 3)
        return error_set(err, ERR_INVALID, "too many slice indexes: %zu", args_nr - 1);
    if ((args_nr > 1 && !index_at(&args[1], to + 1, &from, err)) ||
        (args_nr > 2 && !index_at(&args[2], to + 1, &to, err)))
        return false;
    if (from > to)
        return error_set(err, ERR_INVALID, "invalid slice index: %zu > %zu", from, to);
    *result = args[0];
    if (args[0].kind == TV_STRING) {
        result->s = (struct str){ args[0].s.p + from, to - from };
    } else {
        result->result.v += from;
        result->result.nr = to - from;
    }
    return true;
}

/* Sprint: a space between operands when neither is a string. */
static bool
fn_print(ARGS)
{
    struct buf b = { 0 };

    for (size_t i = 0; i < args_nr; i++) {
        if (i != 0 && args[i].kind != TV_STRING && args[i - 1].kind != TV_STRING)
            buf_byte(&b, ' ');
        if (args[i].kind == TV_NONE)
            buf_c(&b, "<nil>");
        else
            tvalue_print(&args[i], &b);
    }
    return give_str(x, result, &b);
}

static bool
fn_println(ARGS)
{
    struct buf b = { 0 };

    for (size_t i = 0; i < args_nr; i++) {
        if (i != 0)
            buf_byte(&b, ' ');
        if (args[i].kind == TV_NONE)
            buf_c(&b, "<nil>");
        else
            tvalue_print(&args[i], &b);
    }
    buf_byte(&b, '\n');
    return give_str(x, result, &b);
}

static bool
fn_printf(ARGS)
{
    struct buf b = { 0 };

    tvalue_printf(args[0].s, args + 1, args_nr - 1, &b);
    return give_str(x, result, &b);
}

/* html, js, urlquery: print all arguments, then escape. */
static bool
escaped(struct texec *x, const struct tvalue *args, size_t args_nr,
        void (*escape)(struct str, struct buf *), struct tvalue *result)
{
    struct tvalue text;
    struct buf b = { 0 };

    fn_print(x, args, args_nr, &text, NULL);
    escape(text.s, &b);
    return give_str(x, result, &b);
}

static void
html_escape(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '<')
            buf_c(out, "&lt;");
        else if (c == '>')
            buf_c(out, "&gt;");
        else if (c == '&')
            buf_c(out, "&amp;");
        else if (c == '"')
            buf_c(out, "&#34;");
        else if (c == '\'')
            buf_c(out, "&#39;");
        else
            buf_byte(out, (uint8_t)c);
    }
}

static void
js_escape(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c == '\\' || c == '\'' || c == '"')
            buf_printf(out, "\\%c", c);
        else if (c < ' ' || c == '<' || c == '>' || c == '&' || c == '=')
            buf_printf(out, "\\u%04X", c);
        else
            buf_byte(out, c);
    }
}

static bool
fn_html(ARGS)
{
    return escaped(x, args, args_nr, html_escape, result);
}

static bool
fn_js(ARGS)
{
    return escaped(x, args, args_nr, js_escape, result);
}

static bool
fn_urlquery(ARGS)
{
    return escaped(x, args, args_nr, query_escape, result);
}

static bool
fn_call(ARGS)
{
    return error_set(err, ERR_INVALID, "non-function %s of type %s", "value",
                     tvalue_type(&args[0]));
}

/* ---- comparison ---- */

enum basic { BASIC_NONE, BASIC_BOOL, BASIC_INT, BASIC_UINT, BASIC_FLOAT, BASIC_STRING };

static enum basic
basic_of(const struct tvalue *v)
{
    static const enum basic kinds[] = {
        [TV_BOOL] = BASIC_BOOL,   [TV_INT] = BASIC_INT,       [TV_UINT] = BASIC_UINT,
        [TV_FLOAT] = BASIC_FLOAT, [TV_STRING] = BASIC_STRING, [TV_DURATION] = BASIC_NONE,
        [TV_ALERT] = BASIC_NONE
    };
    return kinds[v->kind];
}

static bool
comparable(const struct tvalue *a, const struct tvalue *b, struct error *err)
{
    enum basic p = basic_of(a), q = basic_of(b);

    if (p == BASIC_NONE || q == BASIC_NONE)
        return error_set(err, ERR_INVALID, "invalid type for comparison");
    if (p != q && !((p == BASIC_INT && q == BASIC_UINT) || (p == BASIC_UINT && q == BASIC_INT)))
        return error_set(err, ERR_INVALID, "incompatible types for comparison");
    return true;
}

/* -1, 0, 1; 2 when NaN is about. */
static int
compare(const struct tvalue *a, const struct tvalue *b)
{
    switch (basic_of(a)) {
    case BASIC_BOOL:
        return a->b - b->b;
    case BASIC_STRING: {
        int c = str_cmp(a->s, b->s);
        return (c > 0) - (c < 0);
    }
    case BASIC_FLOAT:
        if (isnan(a->f) || isnan(b->f))
            return 2;
        return (a->f > b->f) - (a->f < b->f);
    default:
        if (a->kind == b->kind)
            return a->kind == TV_INT ? (a->i > b->i) - (a->i < b->i)
                                     : (a->u > b->u) - (a->u < b->u);
        if (a->kind == TV_INT)
            return a->i < 0 ? -1 : ((uint64_t)a->i > b->u) - ((uint64_t)a->i < b->u);
        return b->i < 0 ? 1 : (a->u > (uint64_t)b->i) - (a->u < (uint64_t)b->i);
    }
}

static bool
fn_eq(ARGS)
{
    for (size_t i = 1; i < args_nr; i++) {
        if (!comparable(&args[0], &args[i], err))
            return false;
        if (compare(&args[0], &args[i]) == 0)
            return give_bool(result, true);
    }
    return give_bool(result, false);
}

static bool
fn_ne(ARGS)
{
    return comparable(&args[0], &args[1], err) &&
           give_bool(result, compare(&args[0], &args[1]) != 0);
}

static bool
ordered(const struct tvalue *a, const struct tvalue *b, int *c, struct error *err)
{
    if (!comparable(a, b, err))
        return false;
    if (basic_of(a) == BASIC_BOOL)
        return error_set(err, ERR_INVALID, "invalid type for comparison");
    *c = compare(a, b);
    return true;
}

static bool
fn_lt(ARGS)
{
    int c = 0;

    return ordered(&args[0], &args[1], &c, err) && give_bool(result, c == -1);
}

static bool
fn_le(ARGS)
{
    int c = 0;

    return ordered(&args[0], &args[1], &c, err) && give_bool(result, c == -1 || c == 0);
}

/* Go defines gt as not le, so a NaN makes it true. */
static bool
fn_gt(ARGS)
{
    int c = 0;

    return ordered(&args[0], &args[1], &c, err) && give_bool(result, c == 1 || c == 2);
}

static bool
fn_ge(ARGS)
{
    int c = 0;

    return ordered(&args[0], &args[1], &c, err) && give_bool(result, c != -1);
}

/* Sorted by name. call == NULL: the walker's own. */
static const struct tfunc functions[] = {
    { "and", 1, true, { TA_ANY }, NULL },
    { "args", 0, true, { TA_ANY }, fn_args },
    { "call", 1, true, { TA_ANY, TA_ANY }, fn_call },
    { "eq", 2, true, { TA_ANY, TA_ANY, TA_ANY }, fn_eq },
    { "externalURL", 0, false, { TA_ANY }, fn_external_url },
    { "first", 1, false, { TA_RESULT }, fn_first },
    { "ge", 2, false, { TA_ANY, TA_ANY }, fn_ge },
    { "graphLink", 1, false, { TA_STRING }, fn_graph_link },
    { "gt", 2, false, { TA_ANY, TA_ANY }, fn_gt },
    { "html", 0, true, { TA_ANY }, fn_html },
    { "humanize", 1, false, { TA_ANY }, fn_humanize },
    { "humanize1024", 1, false, { TA_ANY }, fn_humanize1024 },
    { "humanizeDuration", 1, false, { TA_ANY }, fn_humanize_duration },
    { "humanizePercentage", 1, false, { TA_ANY }, fn_humanize_percentage },
    { "humanizeTimestamp", 1, false, { TA_ANY }, fn_humanize_timestamp },
    { "index", 1, true, { TA_ANY, TA_ANY }, fn_index },
    { "js", 0, true, { TA_ANY }, fn_js },
    { "label", 2, false, { TA_STRING, TA_SAMPLE }, fn_label },
    { "le", 2, false, { TA_ANY, TA_ANY }, fn_le },
    { "len", 1, false, { TA_ANY }, fn_len },
    { "lt", 2, false, { TA_ANY, TA_ANY }, fn_lt },
    { "match", 2, false, { TA_STRING, TA_STRING }, fn_match },
    { "ne", 2, false, { TA_ANY, TA_ANY }, fn_ne },
    { "not", 1, false, { TA_ANY }, fn_not },
    { "now", 0, false, { TA_ANY }, fn_now },
    { "or", 1, true, { TA_ANY }, NULL },
    { "parseDuration", 1, false, { TA_STRING }, fn_parse_duration },
    { "pathPrefix", 0, false, { TA_ANY }, fn_path_prefix },
    { "print", 0, true, { TA_ANY }, fn_print },
    { "printf", 1, true, { TA_STRING, TA_ANY }, fn_printf },
    { "println", 0, true, { TA_ANY }, fn_println },
    { "query", 1, false, { TA_STRING }, fn_query },
    { "reReplaceAll", 3, false, { TA_STRING, TA_STRING, TA_STRING }, fn_re_replace_all },
    { "safeHtml", 1, false, { TA_STRING }, fn_safe_html },
    { "slice", 1, true, { TA_ANY, TA_ANY }, fn_slice },
    { "sortByLabel", 2, false, { TA_STRING, TA_RESULT }, fn_sort_by_label },
    { "stripDomain", 1, false, { TA_STRING }, fn_strip_domain },
    { "stripPort", 1, false, { TA_STRING }, fn_strip_port },
    { "strvalue", 1, false, { TA_SAMPLE }, fn_strvalue },
    { "tableLink", 1, false, { TA_STRING }, fn_table_link },
    { "title", 1, false, { TA_STRING }, fn_title },
    { "toDuration", 1, false, { TA_ANY }, fn_to_duration },
    { "toLower", 1, false, { TA_STRING }, fn_to_lower },
    { "toTime", 1, false, { TA_ANY }, fn_to_time },
    { "toUpper", 1, false, { TA_STRING }, fn_to_upper },
    { "urlQueryEscape", 1, false, { TA_STRING }, fn_urlquery },
    { "urlquery", 0, true, { TA_ANY }, fn_urlquery },
    { "value", 1, false, { TA_SAMPLE }, fn_value },
};

static int
tfunc_cmp(const void *key, const void *row)
{
    return str_cmp(*(const struct str *)key, str_c(((const struct tfunc *)row)->name));
}

const struct tfunc *
tfunc_find(struct str name)
{
    return bsearch(&name, functions, ARRAY_LEN(functions), sizeof functions[0], tfunc_cmp);
}
