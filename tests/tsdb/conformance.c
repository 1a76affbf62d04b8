#include "conformance.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

const char *
conformance_path(const char *relative)
{
    static char path[4096];
    const char *dir = getenv("NARTHEX_CONFORMANCE");
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", dir == NULL ? SOURCE_DIR "/../shared/conformance" : dir,
             relative);
    if (stat(path, &st) == 0)
        return path;
    fprintf(stderr, "conformance data '%s' is not here: its cases are skipped\n", relative);
    return NULL;
}

/* One line of any length; NULL at the end. */
static char *
line_read(gzFile f, char **line, size_t *cap)
{
    size_t n = 0;

    for (;;) {
        if (*cap - n < 65536)
            *line = mem_realloc(*line, *cap += 1 << 20);
        if (gzgets(f, *line + n, 65536) == NULL)
            return n == 0 ? NULL : *line;
        n += strlen(*line + n);
        if ((*line)[n - 1] == '\n')
            return *line;
    }
}

bool
conformance_lines(const char *relative, json_line_fn fn, void *arg)
{
    const char *path = conformance_path(relative);
    char *line = NULL;
    size_t cap = 0;

    if (path == NULL)
        return false;
    gzFile f = gzopen(path, "rb");
    while (line_read(f, &line, &cap) != NULL) {
        json_t *json = json_loads(line, 0, NULL);
        ASSERT(json != NULL);
        fn(json, arg);
        json_decref(json);
    }
    gzclose(f);
    free(line);
    return true;
}

uint8_t *
hex_bytes(const char *hex, size_t *n)
{
    *n = strlen(hex) / 2;
    uint8_t *p = mem_alloc(*n + 1);
    for (size_t i = 0; i < *n; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        p[i] = (uint8_t)byte;
    }
    return p;
}

uint64_t
hex_u64(const char *hex)
{
    return strtoull(hex, NULL, 16);
}

static bool
same_double(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool
number_is(json_t *want, double got)
{
    if (json_is_string(want))
        return same_double(strtod(json_string_value(want), NULL), got);
    return same_double(json_number_value(want), got);
}

static bool
spans_are(json_t *want, const struct histogram_side *side)
{
    if (json_array_size(want) != side->spans_nr)
        return false;
    for (size_t i = 0; i < side->spans_nr; i++) {
        json_t *span = json_array_get(want, i);
        if (json_integer_value(json_array_get(span, 0)) != side->spans[i].offset ||
            json_integer_value(json_array_get(span, 1)) != side->spans[i].length)
            return false;
    }
    return true;
}

static bool
buckets_are(json_t *want, const struct histogram_side *side, bool is_int)
{
    if (json_array_size(want) != side->buckets_nr)
        return false;
    for (size_t i = 0; i < side->buckets_nr; i++) {
        json_t *bucket = json_array_get(want, i);
        if (is_int ? json_integer_value(bucket) != side->deltas[i]
                   : !number_is(bucket, side->counts[i]))
            return false;
    }
    return true;
}

bool
histogram_is_json(const struct histogram *h, json_t *want, char *why, size_t why_bytes)
{
    static const char *hints[] = { "unknown", "reset", "not_reset", "gauge" };
    const char *bad = NULL;
    json_t *bounds = json_object_get(want, "custom_values");
    bool is_int = strcmp(json_string_value(json_object_get(want, "kind")), "int") == 0;
    const char *hint = json_string_value(json_object_get(want, "hint"));

    if (h->is_int != is_int)
        bad = "kind";
    else if (hint != NULL && strcmp(hint, hints[h->hint]) != 0)
        bad = "hint";
    else if (h->schema != json_integer_value(json_object_get(want, "schema")))
        bad = "schema";
    else if (!number_is(json_object_get(want, "sum"), h->sum))
        bad = "sum";
    else if (!number_is(json_object_get(want, "count"), h->count))
        bad = "count";
    else if (!number_is(json_object_get(want, "zero_count"), h->zero_count))
        bad = "zero_count";
    else if (!number_is(json_object_get(want, "zero_threshold"), h->zero_threshold))
        bad = "zero_threshold";
    else if (!spans_are(json_object_get(want, "pos_spans"), &h->pos) ||
             !spans_are(json_object_get(want, "neg_spans"), &h->neg))
        bad = "spans";
    else if (!buckets_are(json_object_get(want, is_int ? "pos_deltas" : "pos_counts"), &h->pos,
                          is_int) ||
             !buckets_are(json_object_get(want, is_int ? "neg_deltas" : "neg_counts"), &h->neg,
                          is_int))
        bad = "buckets";
    else if (json_array_size(bounds) != h->custom_values_nr)
        bad = "custom_values";
    for (size_t i = 0; bad == NULL && i < h->custom_values_nr; i++)
        if (!number_is(json_array_get(bounds, i), h->custom_values[i]))
            bad = "custom_values";
    snprintf(why, why_bytes, "%s", bad == NULL ? "" : bad);
    return bad == NULL;
}
