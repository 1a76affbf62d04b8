#include "answers.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/decimal.h"
#include "model/histogram_math.h"

#define LINE_BYTES (1 << 20)

static const char *
text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static int64_t
ms_of(const char *text)
{
    return llround(strtod(text, NULL) * 1000);
}

static bool
number_close(const char *want, double got)
{
    double w;

    if (!decimal_parse(str_c(want), &w))
        return false;
    if (isnan(w) || isnan(got))
        return isnan(w) && isnan(got);
    if (w == got)
        return true;
    if (isinf(w) || isinf(got))
        return false;
    return fabs(w - got) <= fmax(1e-9 * fmax(fabs(w), fabs(got)), 1e-12);
}

static int
boundary_rule(const struct histogram_bucket *b)
{
    if (b->lower_inclusive)
        return b->upper_inclusive ? 3 : 1;
    return b->upper_inclusive ? 0 : 2;
}

static bool
buckets_are(const json_t *want, const struct histogram *h)
{
    struct histogram_all it;
    size_t i = 0;

    histogram_all_init(&it, h, false);
    while (histogram_all_next(&it)) {
        const json_t *b = json_array_get(want, i);

        if (it.at.count == 0)
            continue;
        if (b == NULL || json_integer_value(json_array_get(b, 0)) != boundary_rule(&it.at) ||
            !number_close(json_string_value(json_array_get(b, 1)), it.at.lower) ||
            !number_close(json_string_value(json_array_get(b, 2)), it.at.upper) ||
            !number_close(json_string_value(json_array_get(b, 3)), it.at.count))
            return false;
        i++;
    }
    return i == json_array_size(want);
}

static bool
histogram_is(const json_t *want, const struct histogram *h)
{
    return h != NULL && number_close(text_of(want, "count"), h->count) &&
           number_close(text_of(want, "sum"), h->sum) &&
           buckets_are(json_object_get(want, "buckets"), h);
}

static bool
labels_are(const json_t *want, struct labels got)
{
    const char *name;
    json_t *value;

    if (json_object_size(want) != got.nr)
        return false;
    json_object_foreach(
        (json_t *)want, name,
        value) if (!str_is(labels_get(got, str_c(name)), json_string_value(value))) return false;
    return true;
}

static bool
time_is(const json_t *want, int64_t t_ms)
{
    return llround(json_number_value(want) * 1000) == t_ms;
}

/* Floats and histograms are listed apart. */
static bool
points_are(const json_t *want, const struct result_series *got)
{
    const json_t *values = json_object_get(want, "values"),
                 *histograms = json_object_get(want, "histograms");
    size_t f = 0, h = 0;

    for (size_t i = 0; i < got->nr; i++) {
        const struct histogram *gh = got->h == NULL ? NULL : got->h[i];
        const json_t *p =
            gh != NULL ? json_array_get(histograms, h++) : json_array_get(values, f++);

        if (p == NULL || !time_is(json_array_get(p, 0), got->t_ms[i]))
            return false;
        if (gh != NULL ? !histogram_is(json_array_get(p, 1), gh)
                       : !number_close(json_string_value(json_array_get(p, 1)), got->v[i]))
            return false;
    }
    return f == json_array_size(values) && h == json_array_size(histograms);
}

static bool
sample_is(const json_t *want, const struct result_series *got)
{
    const json_t *h = json_object_get(want, "histogram"), *v = json_object_get(want, "value");

    if (got->nr != 1 || !time_is(json_array_get(h != NULL ? h : v, 0), got->t_ms[0]))
        return false;
    if (h != NULL)
        return histogram_is(json_array_get(h, 1), got->h == NULL ? NULL : got->h[0]);
    return (got->h == NULL || got->h[0] == NULL) &&
           number_close(json_string_value(json_array_get(v, 1)), got->v[0]);
}

static bool
series_are(const json_t *want, const struct query_result *got, bool ordered)
{
    if (json_array_size(want) != got->series_nr)
        return false;
    for (size_t i = 0; i < got->series_nr; i++) {
        const struct result_series *s = &got->series[i];
        bool found = false;

        for (size_t k = ordered ? i : 0; !found && k < (ordered ? i + 1 : got->series_nr); k++) {
            const json_t *w = json_array_get(want, k);

            found = labels_are(json_object_get(w, "metric"), s->labels) &&
                    (got->type == VALUE_VECTOR ? sample_is(w, s) : points_are(w, s));
        }
        if (!found)
            return false;
    }
    return true;
}

static bool
result_is(const json_t *row, const struct query_result *got)
{
    const json_t *want = json_object_get(row, "result");
    const char *type = text_of(row, "resultType");

    if (strcmp(type, value_type_text(got->type)) != 0)
        return false;
    if (got->type == VALUE_SCALAR)
        return time_is(json_array_get(want, 0), got->t_ms) &&
               number_close(json_string_value(json_array_get(want, 1)), got->scalar);
    if (got->type == VALUE_STRING)
        return str_is(got->string, json_string_value(json_array_get(want, 1)));
    return series_are(want, got, json_is_true(json_object_get(row, "ordered")));
}

static bool
notes_are(const json_t *want, const struct str *got, size_t nr)
{
    bool ok = json_array_size(want) == nr;

    for (size_t i = 0; ok && i < nr; i++)
        ok = str_is(got[i], json_string_value(json_array_get(want, i)));
    return ok;
}

static const char *
error_type(const struct error *err)
{
    switch (err->kind) {
    case ERR_INVALID:
        return "bad_data";
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_CANCELED:
        return "canceled";
    default:
        return "execution";
    }
}

static bool
error_text_is(const json_t *row, const struct error *err)
{
    const char *want = text_of(row, "error");
    static const char prefix[] = "invalid parameter \"query\": ";

    if (json_is_true(json_object_get(row, "errorVaries")))
        return true;
    if (err->kind == ERR_INVALID && strncmp(want, prefix, sizeof prefix - 1) == 0)
        want += sizeof prefix - 1;
    return strcmp(want, error_text(err)) == 0;
}

static struct query
query_of(const json_t *row)
{
    struct query q = { .text = str_c(text_of(row, "query")) };

    if (text_of(row, "time") != NULL) {
        q.start_ms = q.end_ms = ms_of(text_of(row, "time"));
        return q;
    }
    q.start_ms = ms_of(text_of(row, "start"));
    q.end_ms = ms_of(text_of(row, "end"));
    q.step_ms = ms_of(text_of(row, "step")); /* "9" and "9s" alike */
    return q;
}

static bool
has_histograms(const json_t *row)
{
    const json_t *result = json_object_get(row, "result");

    for (size_t i = 0; json_is_array(result) && i < json_array_size(result); i++)
        if (json_object_get(json_array_get(result, i), "histogram") != NULL ||
            json_object_get(json_array_get(result, i), "histograms") != NULL)
            return true;
    return false;
}

static void
complain(const struct answers *a, const json_t *row, const char *what, const char *more)
{
    if (a->verbose)
        printf("%lld %s [%s]: %s %s\n", (long long)json_integer_value(json_object_get(row, "id")),
               text_of(row, "query"), text_of(row, "time") != NULL ? "instant" : "range", what,
               more);
}

static void
check(struct answers *a, const json_t *row)
{
    struct answers_tally *t = has_histograms(row) ? &a->histograms : &a->floats;
    struct query q = query_of(row);
    struct query_result result;
    struct error err = { 0 };
    bool want_ok = strcmp(text_of(row, "status"), "success") == 0, same, texts;
    bool ok = engine_query(a->engine, a->storage, &q, &result, &err);

    if (ok) {
        same = want_ok && result_is(row, &result);
        texts = notes_are(json_object_get(row, "warnings"), result.warnings, result.warnings_nr) &&
                notes_are(json_object_get(row, "infos"), result.infos, result.infos_nr);
    } else {
        same = !want_ok && strcmp(error_type(&err), text_of(row, "errorType")) == 0;
        texts = same && error_text_is(row, &err);
    }
    if (!same)
        complain(a, row, ok ? "result differs" : "failed:", error_text(&err));
    else if (!texts)
        complain(a, row, "texts differ",
                 !ok                      ? error_text(&err)
                 : result.warnings_nr > 0 ? result.warnings[0].p
                                          : "");
    t->nr++;
    t->passed += same;
    t->texts_nr++;
    t->texts_passed += same && texts;
    if (ok)
        query_result_fini(&result);
    error_clear(&err);
}

static bool
left_out(const struct answers *a, const char *query)
{
    for (size_t i = 0; a->leave_out != NULL && a->leave_out[i] != NULL; i++)
        if (strstr(query, a->leave_out[i]) != NULL)
            return true;
    return false;
}

bool
answers_run(struct answers *a, const char *path)
{
    gzFile f = gzopen(path, "rb");
    char *line = malloc(LINE_BYTES);

    if (f == NULL) {
        free(line);
        return false;
    }
    while (gzgets(f, line, LINE_BYTES) != NULL) {
        json_t *row = json_loads(line, 0, NULL);

        if (row != NULL && strcmp(text_of(row, "flags"), a->flags) == 0 &&
            !left_out(a, text_of(row, "query")))
            check(a, row);
        json_decref(row);
    }
    gzclose(f);
    free(line);
    return true;
}
