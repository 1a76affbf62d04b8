/* Data directories that Prometheus 3.14 left, opened and read in full: the contents must be those
 * of dump.txt.gz. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "conformance.h"
#include "db_dump.h"

static struct db *
open_dir(const char *dir, int64_t block_ms)
{
    struct db_options o = {
        .log = log_none, .no_maintenance = true, .min_block_ms = block_ms, .exemplars_max = 100000
    };
    struct error err = { 0 };
    struct db *db;

    cr_assert(db_open(dir, io_posix(), clock_real(), &o, &db, &err), "%s: %s", dir,
              error_text(&err));
    return db;
}

/* with_more: a directory whose dump may have lines besides, but none that `of` has not. */
static const struct {
    const char *name, *of;
    bool partial; /* start timestamps and out-of-order data belong to a later part */
} cases[] = {
    { "blocks-openmetrics", NULL, false },
    { "clean", NULL, false },
    { "killed", NULL, false },
    { "wal-truncated", "killed", false },
    { "wal-bitflip", "killed", false },
    { "xor2", NULL, false },
    { "st-storage", NULL, false },
    { "st-storage-wal", NULL, false },
    { "wal-zstd", NULL, false },
    { "wal-uncompressed", NULL, false },
    { "wal-checkpoint", NULL, false },
    { "tombstones", NULL, false },
    { "wal-exemplars-metadata", NULL, false },
    { "blocks-levels", NULL, false },
    { "blocks-overlapping", NULL, false },
    { "blocks-vertical", NULL, false },
    { "native-histograms", NULL, false },
    { "chunk-snapshot", NULL, false },
    { "chunk-snapshot-killed", NULL, false },
};

static void
load_dump(const char *name, struct dump *d)
{
    char relative[256];

    snprintf(relative, sizeof relative, "tsdb/%s/dump.txt.gz", name);
    const char *path = conformance_path(relative);
    cr_assert(path != NULL && dump_load(d, path), "%s", relative);
}

/* Opened twice: the second time reads what the first left after its repair. */
static bool
case_passes(const char *name, const char *of, const char *dir, const char *when, int64_t block_ms)
{
    struct dump want, got, bound;
    struct db *db = open_dir(dir, block_ms);
    struct error err = { 0 };

    if (block_ms != 0)
        cr_assert(db_maintain(db, &err), "%s: %s", name, error_text(&err));
    db_dump(db, &got);
    db_close(db);
    load_dump(name, &want);
    size_t missing = dump_missing(&want, &got, "missing"), extra;
    if (of != NULL) {
        load_dump(of, &bound);
        extra = dump_missing(&got, &bound, "never written");
        dump_fini(&bound);
    } else {
        extra = dump_missing(&got, &want, "unexpected");
    }
    if (missing + extra > 0)
        fprintf(stderr, "%s %s: %zu lines wanted, %zu missing, %zu unexpected\n", name, when,
                want.nr, missing, extra);
    dump_fini(&want);
    dump_fini(&got);
    return missing + extra == 0;
}

Test(db, reads_directories_of_prometheus)
{
    size_t passed = 0;

    if (conformance_path("tsdb") == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char relative[256];
        snprintf(relative, sizeof relative, "tsdb/%s/data", cases[i].name);
        char *dir = dir_copy(conformance_path(relative));
        bool first = case_passes(cases[i].name, cases[i].of, dir, "first", 0);
        passed += first && case_passes(cases[i].name, cases[i].of, dir, "again", 0) &&
                  case_passes(cases[i].name, cases[i].of, dir, "cut and merged", 600000);
        dir_remove(dir);
    }
    printf("directories of Prometheus: %zu of %zu passed\n", passed, ARRAY_LEN(cases));
    cr_assert_eq(passed, ARRAY_LEN(cases));
}

/* [["name", "value"], ...], sorted. */
static struct labels
labels_of_json(json_t *json, struct arena *arena)
{
    struct label *v = ARENA_NEW_ARRAY(arena, struct label, json_array_size(json));
    size_t nr;
    json_t *pair;

    json_array_foreach(json, nr, pair)
    {
        v[nr].name = arena_str(arena, str_c(json_string_value(json_array_get(pair, 0))));
        v[nr].value = arena_str(arena, str_c(json_string_value(json_array_get(pair, 1))));
    }
    return (struct labels){ v, json_array_size(json) };
}

struct exemplar_check {
    struct arena arena;
    struct db_exemplar_series *series;
    size_t series_nr, lines, exemplars, missing;
};

static void
check_exemplars(json_t *line, void *arg)
{
    struct exemplar_check *c = arg;
    struct labels want = labels_of_json(json_object_get(line, "series"), &c->arena);
    json_t *list = json_object_get(line, "exemplars"), *e;
    size_t i = 0, k;

    while (i < c->series_nr && !labels_eq(c->series[i].labels, want))
        i++;
    c->lines++;
    if (i == c->series_nr || c->series[i].nr != json_array_size(list)) {
        c->missing++;
        return;
    }
    json_array_foreach(list, k, e)
    {
        const struct exemplar *got = &c->series[i].exemplars[k];
        struct labels labels = labels_of_json(json_object_get(e, "labels"), &c->arena);
        c->exemplars++;
        c->missing += !labels_eq(labels, got->labels) ||
                      got->t_ms != json_integer_value(json_object_get(e, "timestamp_ms"));
    }
}

Test(db, brings_back_exemplars_of_prometheus)
{
    static const char *const names[] = { "wal-exemplars-metadata", "wal-checkpoint" };

    if (conformance_path("tsdb") == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct exemplar_check c = { 0 };
        char relative[256];
        struct error err = { 0 };
        snprintf(relative, sizeof relative, "tsdb/%s/data", names[i]);
        char *dir = dir_copy(conformance_path(relative));
        struct db *db = open_dir(dir, 0);
        arena_init(&c.arena, SIZE_MAX);
        cr_assert(db_exemplars(db, NULL, 0, INT64_MIN, INT64_MAX, &c.arena, &c.series, &c.series_nr,
                               &err));
        snprintf(relative, sizeof relative, "tsdb/%s/exemplars.jsonl", names[i]);
        cr_assert(conformance_lines(relative, check_exemplars, &c));
        printf("%s: %zu series with %zu exemplars, %zu wrong\n", names[i], c.lines, c.exemplars,
               c.missing);
        cr_expect_eq(c.missing, 0, "%s", names[i]);
        cr_expect_eq(c.lines, c.series_nr);
        arena_fini(&c.arena);
        db_close(db);
        dir_remove(dir);
    }
}
