/* run_default [-v] [-a]: runs promql/default.jsonl of the conformance data: what a default server
 * answers to the scripts' evaluations. Prints how many passed by kind. Exit status 1 when one fails
 * that is in scope: without native histograms, or with -a any; 77 when the data are not there. */
#include <stdlib.h>
#include "base/decimal.h"
#include "compare.h"
#include "conformance.h"
#include "model/histogram_math.h"
#include "runner.h"

#define SAMPLES_MAX 50000000

struct tally {
    size_t passed, nr;
};

struct run {
    struct runner runner;
    bool verbose;
    char file[256]; /* of the script that is loaded */
    struct arena arena;
    struct script script;
    struct buf text;
    size_t next; /* command */
    struct tally floats, histograms, experimental;
};

static bool
number_is(const json_t *want, double got)
{
    double w;

    if (!json_is_string(want))
        return false;
    if (strcmp(json_string_value(want), "stale") == 0)
        return is_stale(got);
    return decimal_parse(str_c(json_string_value(want)), &w) && values_equal(w, got);
}

static bool
labels_are(const json_t *want, struct labels got)
{
    const char *name;
    json_t *value;
    bool ok = true;

    if (json_is_array(want)) {
        ok = json_array_size(want) == got.nr;
        for (size_t i = 0; ok && i < got.nr; i++) {
            const json_t *pair = json_array_get(want, i);

            ok = str_is(got.v[i].name, json_string_value(json_array_get(pair, 0))) &&
                 str_is(got.v[i].value, json_string_value(json_array_get(pair, 1)));
        }
        return ok;
    }
    if (json_object_size(want) != got.nr)
        return false;
    json_object_foreach((json_t *)want, name, value) ok =
        ok && str_is(labels_get(got, str_c(name)), json_string_value(value));
    return ok;
}

static struct histogram_side
side_from(struct arena *arena, const json_t *spans, const json_t *counts)
{
    size_t spans_nr = json_array_size(spans), nr = json_array_size(counts);
    struct histogram_span *s = ARENA_NEW_ARRAY(arena, struct histogram_span, spans_nr + 1);
    double *c = ARENA_NEW_ARRAY(arena, double, nr + 1);

    for (size_t i = 0; i < spans_nr; i++) {
        s[i].offset = (int32_t)json_integer_value(json_array_get(json_array_get(spans, i), 0));
        s[i].length = (uint32_t)json_integer_value(json_array_get(json_array_get(spans, i), 1));
    }
    for (size_t i = 0; i < nr; i++)
        (void)!decimal_parse(str_c(json_string_value(json_array_get(counts, i))), &c[i]);
    return (
        struct histogram_side){ .spans = s, .spans_nr = spans_nr, .counts = c, .buckets_nr = nr };
}

static double
number_from(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    double d = 0;

    if (json_is_string(v))
        (void)!decimal_parse(str_c(json_string_value(v)), &d);
    else
        d = json_number_value(v);
    return d;
}

static bool
histogram_is(const json_t *want, const struct histogram *got)
{
    struct arena arena;

    if (got == NULL || !json_is_object(want))
        return false;
    arena_init(&arena, SIZE_MAX);
    const json_t *custom = json_object_get(want, "custom_values");
    double *bounds = ARENA_NEW_ARRAY(&arena, double, json_array_size(custom) + 1);
    for (size_t i = 0; i < json_array_size(custom); i++)
        (void)!decimal_parse(str_c(json_string_value(json_array_get(custom, i))), &bounds[i]);
    struct histogram h = {
        .schema = (int32_t)number_from(want, "schema"),
        .count = number_from(want, "count"),
        .sum = number_from(want, "sum"),
        .zero_count = number_from(want, "zero_count"),
        .zero_threshold = number_from(want, "zero_threshold"),
        .pos = side_from(&arena, json_object_get(want, "pos_spans"),
                         json_object_get(want, "pos_counts")),
        .neg = side_from(&arena, json_object_get(want, "neg_spans"),
                         json_object_get(want, "neg_counts")),
        .custom_values = bounds,
        .custom_values_nr = json_array_size(custom),
    };
    bool same = histograms_equal(&h, got, false);
    arena_fini(&arena);
    return same;
}

static const struct histogram *
histogram_at(const struct result_series *s, size_t i)
{
    return s->h == NULL ? NULL : s->h[i];
}

static bool
sample_is(const json_t *want, const struct result_series *got)
{
    const json_t *h = json_object_get(want, "h");

    if (got->nr != 1 || !labels_are(json_object_get(want, "labels"), got->labels) ||
        json_integer_value(json_object_get(want, "t")) != got->t_ms[0])
        return false;
    if (h != NULL)
        return histogram_is(h, histogram_at(got, 0));
    return histogram_at(got, 0) == NULL && number_is(json_object_get(want, "v"), got->v[0]);
}

/* Floats and histograms are listed apart. */
static bool
points_are(const json_t *want, const struct result_series *got)
{
    const json_t *floats = json_object_get(want, "floats");
    const json_t *histograms = json_object_get(want, "histograms");
    size_t f = 0, h = 0;

    if (!labels_are(json_object_get(want, "labels"), got->labels))
        return false;
    for (size_t i = 0; i < got->nr; i++) {
        const struct histogram *hist = histogram_at(got, i);
        const json_t *point =
            hist == NULL ? json_array_get(floats, f++) : json_array_get(histograms, h++);

        if (json_integer_value(json_array_get(point, 0)) != got->t_ms[i])
            return false;
        if (hist == NULL ? !number_is(json_array_get(point, 1), got->v[i])
                         : !histogram_is(json_array_get(point, 1), hist))
            return false;
    }
    return f == json_array_size(floats) && h == json_array_size(histograms);
}

static bool
series_are(const json_t *want, const struct query_result *r, bool ordered)
{
    bool *used = calloc(r->series_nr + 1, sizeof *used);
    bool ok = json_array_size(want) == r->series_nr;

    for (size_t i = 0; ok && i < r->series_nr; i++) {
        const json_t *item = json_array_get(want, i);
        size_t first = ordered ? i : 0, end = ordered ? i + 1 : r->series_nr, k = first;

        while (k < end && (used[k] || !(r->type == VALUE_MATRIX ? points_are(item, &r->series[k])
                                                                : sample_is(item, &r->series[k]))))
            k++;
        ok = k < end;
        if (ok)
            used[k] = true;
    }
    free(used);
    return ok;
}

static int
cmp_str(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool
texts_are(const json_t *want, const struct str *got, size_t nr)
{
    struct str *sorted = calloc(nr + 1, sizeof *sorted);
    bool ok = json_array_size(want) == nr;

    memcpy(sorted, got, nr * sizeof *sorted);
    qsort(sorted, nr, sizeof *sorted, cmp_str);
    for (size_t i = 0; ok && i < nr; i++)
        ok = str_is(sorted[i], json_string_value(json_array_get(want, i)));
    free(sorted);
    return ok;
}

static bool
result_is(const json_t *row, const struct query_result *r, const char **why)
{
    const json_t *want = json_object_get(row, "result");
    bool ordered = json_is_true(json_object_get(row, "ordered"));
    bool matrix = strcmp(json_string_value(json_object_get(row, "resultType")), "matrix") == 0;
    bool ok;

    *why = "type";
    if (strcmp(json_string_value(json_object_get(row, "resultType")), value_type_text(r->type)) !=
        0)
        return false;
    *why = "value";
    if (r->type == VALUE_SCALAR)
        ok = number_is(json_object_get(want, "v"), r->scalar);
    else if (r->type == VALUE_STRING)
        ok = str_is(r->string, json_string_value(json_object_get(want, "v")));
    else
        ok = series_are(want, r, ordered || matrix);
    if (!ok)
        return false;
    *why = "warnings";
    if (!texts_are(json_object_get(row, "warnings"), r->warnings, r->warnings_nr))
        return false;
    *why = "infos";
    return texts_are(json_object_get(row, "infos"), r->infos, r->infos_nr);
}

static bool
error_is(const json_t *row, const struct error *err)
{
    bool invalid = strcmp(json_string_value(json_object_get(row, "errorType")), "bad_data") == 0;

    return (err->kind == ERR_INVALID) == invalid &&
           strcmp(json_string_value(json_object_get(row, "error")), error_text(err)) == 0;
}

static int64_t
time_of(const json_t *row, const char *key)
{
    return json_integer_value(json_object_get(row, key));
}

static bool
row_passes(struct run *run, const json_t *row)
{
    struct str query = str_c(json_string_value(json_object_get(row, "query")));
    bool range = strcmp(json_string_value(json_object_get(row, "kind")), "range") == 0;
    int64_t start = range ? time_of(row, "start_ms") : time_of(row, "time_ms");
    int64_t end = range ? time_of(row, "end_ms") : start;
    bool want_ok = json_is_true(json_object_get(row, "ok"));
    struct query_result result = { 0 };
    struct error err = { 0 };
    const char *why = "outcome";
    bool ok = runner_query(&run->runner, query, start, end, range ? time_of(row, "step_ms") : 0,
                           &result, &err);
    bool passed = ok == want_ok && (ok ? result_is(row, &result, &why) : error_is(row, &err));

    if (!passed && run->verbose)
        printf("%s:%lld: %.*s\n    %s %s\n", run->file, (long long)time_of(row, "line"),
               STR_ARG(query), why, error_text(&err));
    if (ok)
        query_result_fini(&result);
    error_clear(&err);
    return passed;
}

static void
close_script(struct run *run)
{
    if (run->file[0] == '\0')
        return;
    runner_fini(&run->runner);
    arena_fini(&run->arena);
    buf_fini(&run->text);
    run->file[0] = '\0';
}

static bool
open_script(struct run *run, const char *name, struct error *err)
{
    char path[512], full[4096];

    close_script(run);
    snprintf(run->file, sizeof run->file, "%s", name);
    snprintf(path, sizeof path, "promql/%s", name);
    arena_init(&run->arena, SIZE_MAX);
    runner_init(&run->runner, false, SAMPLES_MAX);
    run->next = 0;
    return conformance_path(path, full, sizeof full) && read_file(full, &run->text, err) &&
           script_parse(&run->arena, buf_as_str(&run->text), &run->script, err);
}

/* Loads what the script loads in front of that line. */
static bool
advance(struct run *run, const json_t *row, struct error *err)
{
    const char *file = json_string_value(json_object_get(row, "file"));
    size_t line = (size_t)time_of(row, "line");

    if (strcmp(run->file, file) != 0 && !open_script(run, file, err))
        return false;
    for (; run->next < run->script.nr && run->script.commands[run->next].line < line; run->next++) {
        const struct script_command *c = &run->script.commands[run->next];

        if (c->kind != SCRIPT_EVAL && !runner_prepare(&run->runner, c, err))
            return false;
    }
    return true;
}

static void
run_row(struct run *run, const json_t *row)
{
    struct tally *tally = json_is_true(json_object_get(row, "needs_experimental"))
                              ? &run->experimental
                          : json_is_true(json_object_get(row, "has_histograms")) ? &run->histograms
                                                                                 : &run->floats;
    struct error err = { 0 };

    tally->nr++;
    if (!advance(run, row, &err))
        printf("%s: %s\n", run->file, error_text(&err));
    else
        tally->passed += row_passes(run, row);
    error_clear(&err);
}

int
main(int argc, char **argv)
{
    FILE *f = conformance_open("promql/default.jsonl");
    struct run run = { 0 };
    bool all = false;
    json_t *row;

    for (int i = 1; i < argc; i++) {
        run.verbose |= strcmp(argv[i], "-v") == 0;
        all |= strcmp(argv[i], "-a") == 0;
    }
    if (f == NULL) {
        printf("promql/default.jsonl: all cases skipped, there is no conformance data\n");
        return 77;
    }
    while ((row = conformance_next(f)) != NULL) {
        run_row(&run, row);
        json_decref(row);
    }
    fclose(f);
    close_script(&run);
    printf("promql/default.jsonl: floats: %zu of %zu passed\n", run.floats.passed, run.floats.nr);
    printf("promql/default.jsonl: with native histograms: %zu of %zu passed\n",
           run.histograms.passed, run.histograms.nr);
    printf("promql/default.jsonl: refused without a feature flag: %zu of %zu passed\n",
           run.experimental.passed, run.experimental.nr);
    bool ok = run.floats.passed == run.floats.nr && run.experimental.passed == run.experimental.nr;
    return ok && (!all || run.histograms.passed == run.histograms.nr) ? 0 : 1;
}
