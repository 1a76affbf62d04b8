/* Data directories that Prometheus 3.14 left, opened and read in full: the contents must be those
 * of dump.txt.gz. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "conformance.h"
#include "db_dump.h"

static struct db *
open_dir(const char *dir)
{
    struct db_options o = { .log = log_none, .no_maintenance = true };
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
case_passes(const char *name, const char *of, const char *dir, const char *when)
{
    struct dump want, got, bound;
    struct db *db = open_dir(dir);

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
        bool first = case_passes(cases[i].name, cases[i].of, dir, "first");
        passed += first && case_passes(cases[i].name, cases[i].of, dir, "again");
        dir_remove(dir);
    }
    printf("directories of Prometheus: %zu of %zu passed\n", passed, ARRAY_LEN(cases));
    cr_assert_eq(passed, ARRAY_LEN(cases));
}
