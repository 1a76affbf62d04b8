#include "conformance.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "model/sample.h"

const char *
conformance_dir(char path[4096])
{
    const char *dir = getenv("NARTHEX_CONFORMANCE");
    struct stat st;

    snprintf(path, 4096, "%s", dir == NULL ? SOURCE_DIR "/../shared/conformance" : dir);
    return stat(path, &st) == 0 ? path : NULL;
}

bool
read_whole(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");

    buf_reset(out);
    if (f == NULL)
        return false;
    for (size_t n = 1; n > 0;) {
        uint8_t *p = buf_reserve(out, 65536);

        n = fread(p, 1, 65536, f);
        out->n += n;
    }
    fclose(f);
    return true;
}

static struct str
text_of(json_t *v)
{
    return (struct str){ json_string_value(v), json_string_length(v) };
}

static bool
same_text(json_t *entry, const char *key, struct str got)
{
    json_t *v = json_object_get(entry, key);
    struct str want = v == NULL ? STR("") : text_of(v);

    if (str_eq(want, got))
        return true;
    fprintf(stderr, "  %s: want '%.*s', got '%.*s'\n", key, STR_ARG(want), STR_ARG(got));
    return false;
}

static bool
same_labels(json_t *want, struct labels got)
{
    if (json_array_size(want) != got.nr)
        return fprintf(stderr, "  labels: want %zu, got %zu\n", json_array_size(want), got.nr),
               false;
    for (size_t i = 0; i < got.nr; i++) {
        json_t *pair = json_array_get(want, i);

        if (!str_eq(text_of(json_array_get(pair, 0)), got.v[i].name) ||
            !str_eq(text_of(json_array_get(pair, 1)), got.v[i].value))
            return fprintf(stderr, "  label %zu: got %.*s=%.*s\n", i, STR_ARG(got.v[i].name),
                           STR_ARG(got.v[i].value)),
                   false;
    }
    return true;
}

static double
number_of(json_t *v)
{
    return json_is_string(v) ? strtod(json_string_value(v), NULL) : json_number_value(v);
}

static bool
same_time(json_t *entry, const char *key, bool has, int64_t got)
{
    json_t *v = json_object_get(entry, key);

    if ((v != NULL) == has && (!has || json_integer_value(v) == got))
        return true;
    fprintf(stderr, "  %s: want %" JSON_INTEGER_FORMAT " (%s), got %" PRId64 " (%s)\n", key,
            json_integer_value(v), v == NULL ? "none" : "given", got, has ? "given" : "none");
    return false;
}

static bool
same_exemplars(json_t *entry, struct page_parser *p, struct arena *arena)
{
    json_t *list = json_object_get(entry, "exemplars");
    struct exemplar e;
    size_t nr = 0;

    while (page_parser_exemplar(p, &e, arena)) {
        json_t *want = json_array_get(list, nr++);

        if (want == NULL)
            return fprintf(stderr, "  an exemplar too many\n"), false;
        if (!same_labels(json_object_get(want, "labels"), e.labels) ||
            !same_time(want, "timestamp_ms", e.has_t, e.t_ms) ||
            number_of(json_object_get(want, "value")) != e.v)
            return fprintf(stderr, "  exemplar %zu differs: value %g\n", nr - 1, e.v), false;
    }
    if (nr != json_array_size(list))
        return fprintf(stderr, "  exemplars: want %zu, got %zu\n", json_array_size(list), nr),
               false;
    return true;
}

static bool
same_bits(json_t *entry, double got)
{
    const char *want = json_string_value(json_object_get(entry, "value_bits"));
    char text[32];

    snprintf(text, sizeof text, "%016" PRIx64, double_bits(got));
    if (want != NULL && strcmp(want, text) == 0)
        return true;
    fprintf(stderr, "  value: want %s, got %s\n", want, text);
    return false;
}

static bool
same_spans(json_t *h, const char *key, const struct histogram_side *side)
{
    json_t *list = json_object_get(h, key);

    if (json_array_size(list) != side->spans_nr)
        return fprintf(stderr, "  %s: want %zu, got %zu\n", key, json_array_size(list),
                       side->spans_nr),
               false;
    for (size_t i = 0; i < side->spans_nr; i++) {
        json_t *span = json_array_get(list, i);

        if (json_integer_value(json_array_get(span, 0)) != side->spans[i].offset ||
            json_integer_value(json_array_get(span, 1)) != side->spans[i].length)
            return fprintf(stderr, "  %s differ\n", key), false;
    }
    return true;
}

static bool
same_buckets(json_t *h, const char *side_name, const struct histogram_side *side, bool is_int)
{
    char key[32];
    json_t *list;

    snprintf(key, sizeof key, "%s_%s", side_name, is_int ? "deltas" : "counts");
    list = json_object_get(h, key);
    if (json_array_size(list) != side->buckets_nr)
        return fprintf(stderr, "  %s: want %zu, got %zu\n", key, json_array_size(list),
                       side->buckets_nr),
               false;
    for (size_t i = 0; i < side->buckets_nr; i++) {
        json_t *v = json_array_get(list, i);

        if (is_int ? json_integer_value(v) != side->deltas[i] : number_of(v) != side->counts[i])
            return fprintf(stderr, "  %s[%zu] differs\n", key, i), false;
    }
    return true;
}

static bool
same_number(json_t *h, const char *key, double got)
{
    double want = number_of(json_object_get(h, key));

    if (want == got || (want != want && got != got))
        return true;
    fprintf(stderr, "  %s: want %g, got %g\n", key, want, got);
    return false;
}

static bool
same_histogram(json_t *want, const struct histogram *got)
{
    static const char *const hints[] = { "unknown", "reset", "not_reset", "gauge" };
    const char *kind = json_string_value(json_object_get(want, "kind"));
    json_t *bounds = json_object_get(want, "custom_values");

    if (got == NULL || strcmp(kind, got->is_int ? "int" : "float") != 0 ||
        strcmp(json_string_value(json_object_get(want, "hint")), hints[got->hint]) != 0)
        return fprintf(stderr, "  histogram: want %s, got something else\n", kind), false;
    if (json_array_size(bounds) != got->custom_values_nr)
        return fprintf(stderr, "  custom values differ in number\n"), false;
    for (size_t i = 0; i < got->custom_values_nr; i++)
        if (number_of(json_array_get(bounds, i)) != got->custom_values[i])
            return fprintf(stderr, "  custom value %zu differs\n", i), false;
    return same_number(want, "schema", got->schema) && same_number(want, "sum", got->sum) &&
           same_number(want, "count", got->is_int ? (double)got->count_int : got->count) &&
           same_number(want, "zero_count",
                       got->is_int ? (double)got->zero_count_int : got->zero_count) &&
           same_number(want, "zero_threshold", got->zero_threshold) &&
           same_spans(want, "pos_spans", &got->pos) && same_spans(want, "neg_spans", &got->neg) &&
           same_buckets(want, "pos", &got->pos, got->is_int) &&
           same_buckets(want, "neg", &got->neg, got->is_int);
}

static bool
same_series(json_t *entry, struct page_parser *p, bool histogram, bool with_st)
{
    int64_t st = with_st ? page_parser_start_timestamp(p) : 0;
    struct arena arena;
    bool ok;

    arena_init(&arena, SIZE_MAX);
    ok = same_labels(json_object_get(entry, "labels"), page_parser_labels(p, &arena)) &&
         same_time(entry, "timestamp_ms", p->has_t, p->t_ms) &&
         same_time(entry, "start_timestamp_ms", st != 0, st) &&
         (histogram ? same_histogram(json_object_get(entry, "histogram"), p->histogram)
                    : same_bits(entry, p->value)) &&
         same_exemplars(entry, p, &arena);
    arena_fini(&arena);
    return ok;
}

static bool
same_entry(json_t *entry, enum parse_entry e, struct page_parser *p, bool with_st)
{
    static const char *const names[] = { "",     "",        "type",   "help",
                                         "unit", "comment", "series", "histogram" };
    const char *want = json_string_value(json_object_get(entry, "entry"));

    if (want == NULL || strcmp(want, names[e]) != 0)
        return fprintf(stderr, "  want entry '%s', got '%s'\n", want == NULL ? "end" : want,
                       names[e]),
               false;
    switch (e) {
    case PARSE_TYPE:
        return same_text(entry, "name", p->name) &&
               same_text(entry, "type", str_c(metadata_type_text(p->type)));
    case PARSE_HELP:
        return same_text(entry, "name", p->name) && same_text(entry, "help", p->text);
    case PARSE_UNIT:
        return same_text(entry, "name", p->name) && same_text(entry, "unit", p->unit);
    case PARSE_COMMENT:
        return same_text(entry, "comment", p->text);
    default:
        return same_series(entry, p, e == PARSE_HISTOGRAM, with_st);
    }
}

static bool
option(json_t *header, const char *key)
{
    return json_is_true(json_object_get(json_object_get(header, "options"), key));
}

static bool
same_end(json_t *end, enum parse_entry e, const struct error *err)
{
    const char *want = json_string_value(json_object_get(end, "error"));

    if (want == NULL ? e == PARSE_END : e == PARSE_ERROR && strcmp(want, error_text(err)) == 0)
        return true;
    fprintf(stderr, "  want end '%s', got '%s'\n", want == NULL ? "eof" : want,
            e == PARSE_ERROR ? error_text(err) : "eof");
    return false;
}

static bool
walk(json_t **lines, size_t nr, struct page_parser *p, bool with_st)
{
    struct error err = { 0 };
    bool ok = true;

    for (size_t i = 1; ok && i < nr; i++) {
        enum parse_entry e = page_parser_next(p, &err);

        if (json_object_get(lines[i], "end") != NULL || e == PARSE_END || e == PARSE_ERROR) {
            ok = json_object_get(lines[i], "end") != NULL && same_end(lines[i], e, &err);
            if (!ok)
                fprintf(stderr, "  at entry %zu: %s\n", i, error_text(&err));
            break;
        }
        ok = same_entry(lines[i], e, p, with_st);
        if (!ok)
            fprintf(stderr, "  at entry %zu\n", i);
    }
    error_clear(&err);
    return ok;
}

static bool
run_case(json_t **lines, size_t nr, struct buf *page, const char *kind)
{
    const struct parse_options options = {
        .type_and_unit_labels = option(lines[0], "type_and_unit_labels"),
        .skip_start_timestamp_series = option(lines[0], "skip_start_timestamp_series"),
        .ignore_native_histograms = option(lines[0], "ignore_native_histograms"),
        .keep_classic_histograms = option(lines[0], "keep_classic_histograms"),
        .convert_classic_histograms = option(lines[0], "convert_classic_to_nhcb"),
    };
    enum page_format format = strcmp(kind, "text") == 0          ? PAGE_TEXT
                              : strcmp(kind, "openmetrics") == 0 ? PAGE_OPENMETRICS
                                                                 : PAGE_PROTOBUF;
    struct page_parser p;
    bool ok;

    page_parser_init(&p);
    page_parser_start(&p, format, page, &options);
    ok = walk(lines, nr, &p, options.skip_start_timestamp_series || format == PAGE_PROTOBUF);
    page_parser_fini(&p);
    return ok;
}

bool
textparse_case(const char *dir, const char *kind, const char *name)
{
    struct buf page = { 0 }, text = { 0 };
    bool ok;
    json_t *lines[4096];
    char path[4096 + 64];
    size_t nr = 0;

    snprintf(path, sizeof path, "%s/textparse/%s/%s.in", dir, kind, name);
    if (!read_whole(path, &page))
        return false;
    snprintf(path, sizeof path, "%s/textparse/%s/%s.jsonl", dir, kind, name);
    read_whole(path, &text);
    for (char *at = (char *)text.p, *end = at + text.n; at < end && nr < 4096;) {
        char *eol = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((eol == NULL ? end : eol) - at);

        if (n != 0)
            lines[nr++] = json_loadb(at, n, JSON_ALLOW_NUL, NULL);
        at += n + 1;
    }
    ok = run_case(lines, nr, &page, kind);
    for (size_t i = 0; i < nr; i++)
        json_decref(lines[i]);
    buf_fini(&page);
    buf_fini(&text);
    return ok;
}

struct case_counts
textparse_all(const char *kind)
{
    struct case_counts counts = { 0 };
    char dir[4096], path[4096 + 64];
    struct dirent *e;
    DIR *d;

    if (conformance_dir(dir) == NULL)
        return counts;
    counts.here = true;
    snprintf(path, sizeof path, "%s/textparse/%s", dir, kind);
    d = opendir(path);
    while (d != NULL && (e = readdir(d)) != NULL) {
        char name[256];
        size_t n = strlen(e->d_name);
        bool ok;

        if (n < 4 || strcmp(e->d_name + n - 3, ".in") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)n - 3, e->d_name);
        ok = textparse_case(dir, kind, name);
        counts.passed += ok;
        counts.failed += !ok;
        if (!ok)
            fprintf(stderr, "%s/%s failed\n", kind, name);
    }
    if (d != NULL)
        closedir(d);
    return counts;
}
