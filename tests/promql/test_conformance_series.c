/* parser/series.jsonl: series descriptions to labels and values, or the error. */
#include <criterion/criterion.h>
#include "base/decimal.h"
#include "conformance.h"
#include "model/sample.h"
#include "promql/series_desc.h"

static bool
number_is(const json_t *want, double got)
{
    double w;

    if (!json_is_string(want) ||
        !decimal_parse((struct str){ json_string_value(want), json_string_length(want) }, &w))
        return false;
    return w == got || (isnan(w) && isnan(got));
}

static bool
numbers_are(const json_t *want, const double *got, size_t nr)
{
    bool ok = json_array_size(want) == nr;

    for (size_t i = 0; ok && i < nr; i++)
        ok = number_is(json_array_get(want, i), got[i]);
    return ok;
}

static bool
side_is(const json_t *spans, const json_t *counts, const struct histogram_side *side)
{
    bool ok = json_array_size(spans) == side->spans_nr &&
              numbers_are(counts, side->counts, side->buckets_nr);

    for (size_t i = 0; ok && i < side->spans_nr; i++) {
        const json_t *span = json_array_get(spans, i);

        ok = json_integer_value(json_array_get(span, 0)) == side->spans[i].offset &&
             json_integer_value(json_array_get(span, 1)) == side->spans[i].length;
    }
    return ok;
}

static bool
text_is(const json_t *want, const struct histogram *h)
{
    struct buf text = { 0 };
    struct arena scratch;

    if (!json_is_string(want))
        return true;
    arena_init(&scratch, SIZE_MAX);
    series_desc_print_histogram(h, &scratch, &text);
    bool same = str_is(buf_as_str(&text), json_string_value(want));
    if (!same)
        fprintf(stderr, "  want %s\n  got  %s\n", json_string_value(want), buf_z(&text));
    buf_fini(&text);
    arena_fini(&scratch);
    return same;
}

static bool
histogram_is(const json_t *want, const struct series_value *v)
{
    static const char *const hints[] = { "unknown", "reset", "not_reset", "gauge" };
    const struct histogram *h = v->h;

    return h != NULL && json_integer_value(json_object_get(want, "schema")) == h->schema &&
           number_is(json_object_get(want, "count"), h->count) &&
           number_is(json_object_get(want, "sum"), h->sum) &&
           number_is(json_object_get(want, "zero_count"), h->zero_count) &&
           number_is(json_object_get(want, "zero_threshold"), h->zero_threshold) &&
           numbers_are(json_object_get(want, "custom_values"), h->custom_values,
                       h->custom_values_nr) &&
           strcmp(json_string_value(json_object_get(want, "hint")), hints[h->hint]) == 0 &&
           json_is_true(json_object_get(want, "hint_set")) == v->hint_set &&
           side_is(json_object_get(want, "pos_spans"), json_object_get(want, "pos_counts"),
                   &h->pos) &&
           side_is(json_object_get(want, "neg_spans"), json_object_get(want, "neg_counts"),
                   &h->neg) &&
           text_is(json_object_get(want, "text"), h);
}

static bool
value_is(const json_t *want, const struct series_value *v)
{
    if (json_is_null(want))
        return v->omitted;
    if (json_is_object(want))
        return histogram_is(want, v);
    if (strcmp(json_string_value(want), "stale") == 0)
        return !v->omitted && is_stale(v->v);
    return !v->omitted && v->h == NULL && number_is(want, v->v);
}

static bool
series_is(const json_t *row, const struct series_desc *s)
{
    const json_t *labels = json_object_get(row, "labels"), *values = json_object_get(row, "values");
    bool ok = json_array_size(labels) == s->labels.nr && json_array_size(values) == s->nr;

    for (size_t i = 0; ok && i < s->labels.nr; i++) {
        const json_t *label = json_array_get(labels, i);

        ok = str_is(s->labels.v[i].name, json_string_value(json_array_get(label, 0))) &&
             str_is(s->labels.v[i].value, json_string_value(json_array_get(label, 1)));
    }
    for (size_t i = 0; ok && i < s->nr; i++)
        ok = value_is(json_array_get(values, i), &s->values[i]);
    return ok;
}

static bool
row_passes(const json_t *row)
{
    struct buf input = { 0 };
    struct error err = { 0 };
    struct series_desc s;
    struct arena arena;
    bool ok;

    cr_assert(conformance_text(row, "input", &input));
    arena_init(&arena, SIZE_MAX);
    if (series_desc_parse(&arena, buf_as_str(&input), &s, &err))
        ok = json_is_true(json_object_get(row, "ok")) && series_is(row, &s);
    else
        ok = json_is_false(json_object_get(row, "ok")) &&
             strcmp(json_string_value(json_object_get(row, "error")), error_text(&err)) == 0;
    if (!ok)
        fprintf(stderr, "failed: %s\n  %s\n", buf_z(&input), error_text(&err));
    error_clear(&err);
    arena_fini(&arena);
    buf_fini(&input);
    return ok;
}

Test(conformance_series, every_row)
{
    FILE *f = conformance_open("parser/series.jsonl");
    size_t nr = 0, passed = 0;
    json_t *row;

    if (f == NULL) {
        fprintf(stderr, "parser/series.jsonl: all cases skipped, there is no conformance data\n");
        return;
    }
    while ((row = conformance_next(f)) != NULL) {
        nr++;
        passed += row_passes(row);
        json_decref(row);
    }
    fclose(f);
    fprintf(stderr, "parser/series.jsonl: %zu of %zu passed\n", passed, nr);
    cr_assert_eq(passed, nr);
}
