/* Answers of the query API as text and as JSON. Times come as seconds with a fraction and are
 * milliseconds; values come as text. */
/* base/json.h has a json_null() too, which is the one meant here. */
#define json_null jansson_null
#include <jansson.h>
#undef json_null

#include <math.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/quote.h"
#include "cmd/tool_http.h"

static struct str
text_of(json_t *v)
{
    return (struct str){ json_string_value(v), json_string_length(v) };
}

static double
number_of(json_t *v)
{
    double d = 0;

    if (json_is_string(v))
        return decimal_parse(text_of(v), &d) ? d : 0;
    return json_number_value(v);
}

static void
print_fixed(double v, struct buf *out)
{
    char text[DECIMAL_BYTES_MAX];

    buf_add(out, text, decimal_format_fixed(v, text));
}

static void
print_time(json_t *t, struct buf *out)
{
    print_fixed(round(number_of(t) * 1000) / 1000, out);
}

/* ---- labels ---- */

static int
key_cmp(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names, sorted; the caller frees. */
static const char **
sorted_keys(json_t *object, size_t *nr)
{
    const char **v = MEM_NEW_ARRAY(const char *, json_object_size(object) + 1), *key;
    json_t *value;

    *nr = 0;
    json_object_foreach(object, key, value) v[(*nr)++] = key;
    qsort(v, *nr, sizeof *v, key_cmp);
    return v;
}

/* name{a="b"}; with_name false: {__name__="name", a="b"}. */
static void
print_labels(json_t *metric, bool with_name, struct buf *out)
{
    struct str name = text_of(json_object_get(metric, "__name__"));
    size_t nr, shown = 0;
    const char **keys = sorted_keys(metric, &nr);

    if (with_name)
        buf_str(out, name);
    for (size_t i = 0; i < nr; i++) {
        if (with_name && strcmp(keys[i], "__name__") == 0)
            continue;
        buf_printf(out, "%s%s=", shown++ == 0 ? "{" : ", ", keys[i]);
        quote_go(text_of(json_object_get(metric, keys[i])), out);
    }
    if (shown > 0)
        buf_byte(out, '}');
    else if (!with_name || name.n == 0)
        buf_c(out, "{}");
    mem_free(keys);
}

static void
json_labels(struct json *j, json_t *metric)
{
    size_t nr;
    const char **keys = sorted_keys(metric, &nr);

    json_open(j, '{');
    for (size_t i = 0; i < nr; i++) {
        json_key_str(j, str_c(keys[i]));
        json_str_html(j, text_of(json_object_get(metric, keys[i])));
    }
    json_close(j, '}');
    mem_free(keys);
}

/* ---- values ---- */

static void
print_bucket(json_t *b, struct buf *out)
{
    char text[DECIMAL_BYTES_MAX];
    long long bounds = (long long)number_of(json_array_get(b, 0)); /* which ends belong to it */

    buf_byte(out, bounds == 1 || bounds == 3 ? '[' : '(');
    for (size_t i = 1; i <= 2; i++) {
        buf_add(out, text, decimal_format_general(number_of(json_array_get(b, i)), text));
        buf_byte(out, i == 1 ? ',' : bounds == 0 || bounds == 3 ? ']' : ')');
    }
    buf_byte(out, ':');
    print_fixed(number_of(json_array_get(b, 3)), out);
}

static void
print_histogram(json_t *h, struct buf *out)
{
    json_t *buckets = json_object_get(h, "buckets");

    buf_printf(out, "Count: %f, Sum: %f, Buckets: [", number_of(json_object_get(h, "count")),
               number_of(json_object_get(h, "sum")));
    for (size_t i = 0; i < json_array_size(buckets); i++) {
        if (i > 0)
            buf_byte(out, ' ');
        print_bucket(json_array_get(buckets, i), out);
    }
    buf_byte(out, ']');
}

/* value @[time] */
static void
print_point(json_t *pair, struct buf *out)
{
    json_t *v = json_array_get(pair, 1);

    if (json_is_object(v))
        print_histogram(v, out);
    else
        print_fixed(number_of(v), out);
    buf_c(out, " @[");
    print_time(json_array_get(pair, 0), out);
    buf_byte(out, ']');
}

static void
print_points(json_t *points, struct buf *out)
{
    for (size_t i = 0; i < json_array_size(points); i++) {
        buf_byte(out, '\n');
        print_point(json_array_get(points, i), out);
    }
}

static void
print_vector(json_t *result, struct buf *out)
{
    for (size_t i = 0; i < json_array_size(result); i++) {
        json_t *s = json_array_get(result, i), *h = json_object_get(s, "histogram");
        if (i > 0)
            buf_byte(out, '\n');
        print_labels(json_object_get(s, "metric"), true, out);
        buf_c(out, " => ");
        print_point(h != NULL ? h : json_object_get(s, "value"), out);
    }
}

/* Fewer labels first; then by the first label in order of names that differs, a missing one first.
 */
static int
metric_cmp(json_t *a, json_t *b)
{
    size_t nr, b_nr = json_object_size(b), i = 0;
    const char **keys = sorted_keys(a, &nr), **b_keys = sorted_keys(b, &b_nr);
    int c = (nr > b_nr) - (nr < b_nr);

    for (; c == 0 && i < nr; i++) {
        c = -strcmp(keys[i], b_keys[i]);
        if (c == 0)
            c = str_cmp(text_of(json_object_get(a, keys[i])), text_of(json_object_get(b, keys[i])));
    }
    mem_free(keys);
    mem_free(b_keys);
    return c;
}

static int
series_cmp(const void *a, const void *b)
{
    return metric_cmp(json_object_get(*(json_t *const *)a, "metric"),
                      json_object_get(*(json_t *const *)b, "metric"));
}

static void
print_matrix(json_t *result, struct buf *out)
{
    size_t nr = json_array_size(result);
    json_t **sorted = MEM_NEW_ARRAY(json_t *, nr + 1);

    for (size_t i = 0; i < nr; i++)
        sorted[i] = json_array_get(result, i);
    qsort(sorted, nr, sizeof *sorted, series_cmp);
    for (size_t i = 0; i < nr; i++) {
        json_t *s = sorted[i];
        if (i > 0)
            buf_byte(out, '\n');
        print_labels(json_object_get(s, "metric"), true, out);
        buf_c(out, " =>");
        print_points(json_object_get(s, "values"), out);
        print_points(json_object_get(s, "histograms"), out);
    }
    mem_free(sorted);
}

/* ---- JSON ---- */

static void
json_number(struct json *j, json_t *v)
{
    struct buf text = { 0 };

    print_fixed(number_of(v), &text);
    json_str(j, buf_as_str(&text));
    buf_fini(&text);
}

static void
json_histogram(struct json *j, json_t *h)
{
    json_t *buckets = json_object_get(h, "buckets");

    json_open(j, '{');
    json_key(j, "count");
    json_number(j, json_object_get(h, "count"));
    json_key(j, "sum");
    json_number(j, json_object_get(h, "sum"));
    json_key(j, "buckets");
    if (json_array_size(buckets) == 0)
        json_null(j);
    else
        json_open(j, '[');
    for (size_t i = 0; i < json_array_size(buckets); i++) {
        json_t *b = json_array_get(buckets, i);
        json_open(j, '[');
        json_int(j, (int64_t)number_of(json_array_get(b, 0)));
        for (size_t k = 1; k <= 3; k++)
            json_number(j, json_array_get(b, k));
        json_close(j, ']');
    }
    if (json_array_size(buckets) > 0)
        json_close(j, ']');
    json_close(j, '}');
}

static void
json_point(struct json *j, json_t *pair, bool text)
{
    struct buf t = { 0 };
    json_t *v = json_array_get(pair, 1);

    print_time(json_array_get(pair, 0), &t);
    json_open(j, '[');
    json_raw(j, buf_as_str(&t));
    if (json_is_object(v))
        json_histogram(j, v);
    else if (text)
        json_str_html(j, text_of(v));
    else
        json_number(j, v);
    json_close(j, ']');
    buf_fini(&t);
}

static void
json_member(struct json *j, json_t *series, const char *key, bool list)
{
    json_t *v = json_object_get(series, key);

    if (v == NULL)
        return;
    json_key(j, key);
    if (!list) {
        json_point(j, v, false);
        return;
    }
    json_open(j, '[');
    for (size_t i = 0; i < json_array_size(v); i++)
        json_point(j, json_array_get(v, i), false);
    json_close(j, ']');
}

static void
json_result(struct json *j, json_t *result)
{
    json_open(j, '[');
    for (size_t i = 0; i < json_array_size(result); i++) {
        json_t *s = json_array_get(result, i);
        json_open(j, '{');
        json_key(j, "metric");
        json_labels(j, json_object_get(s, "metric"));
        json_member(j, s, "value", false);
        json_member(j, s, "histogram", false);
        json_member(j, s, "values", true);
        json_member(j, s, "histograms", true);
        json_close(j, '}');
    }
    json_close(j, ']');
}

/* ---- whole answers ---- */

void
tool_print_value(json_t *data, bool as_json, struct buf *out)
{
    json_t *result = json_object_get(data, "result");
    const char *type = json_string_value(json_object_get(data, "resultType"));
    struct json j = json_to(out);
    bool is_string = type != NULL && strcmp(type, "string") == 0,
         is_scalar = type != NULL && strcmp(type, "scalar") == 0;

    if (as_json && (is_scalar || is_string))
        json_point(&j, result, is_string);
    else if (as_json)
        json_result(&j, result);
    else if (is_string)
        buf_str(out, text_of(json_array_get(result, 1)));
    else if (is_scalar) {
        buf_c(out, "scalar: ");
        print_point(result, out);
    } else if (type != NULL && strcmp(type, "matrix") == 0)
        print_matrix(result, out);
    else
        print_vector(result, out);
    buf_byte(out, '\n');
}

void
tool_print_series(json_t *data, bool as_json, struct buf *out)
{
    struct json j = json_to(out);

    if (as_json)
        json_open(&j, '[');
    for (size_t i = 0; i < json_array_size(data); i++) {
        if (as_json) {
            json_labels(&j, json_array_get(data, i));
            continue;
        }
        print_labels(json_array_get(data, i), false, out);
        buf_byte(out, '\n');
    }
    if (as_json) {
        json_close(&j, ']');
        buf_byte(out, '\n');
    }
}

void
tool_print_strings(json_t *data, bool as_json, struct buf *out)
{
    struct json j = json_to(out);

    if (as_json)
        json_open(&j, '[');
    for (size_t i = 0; i < json_array_size(data); i++) {
        if (as_json) {
            json_str_html(&j, text_of(json_array_get(data, i)));
            continue;
        }
        buf_str(out, text_of(json_array_get(data, i)));
        buf_byte(out, '\n');
    }
    if (as_json) {
        json_close(&j, ']');
        buf_byte(out, '\n');
    }
}
