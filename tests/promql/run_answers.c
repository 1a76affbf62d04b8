/* run_answers [-v] [-e]: opens a copy of the data directory of the conformance answers with the
 * database, and compares what the engine gives with what Prometheus 3.14 gave. -e: the lines of the
 * experimental features as well. Exit status 1 when a default line differs, 77 when the data are
 * not there. Error texts, warnings and infos are counted apart. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "answers.h"
#include "base/clock.h"
#include "base/io.h"
#include "conformance.h"
#include "tsdb/db.h"

#define SAMPLES_MAX      50000000
#define SUBQUERY_STEP_MS 60000 /* the evaluation interval of the server that was asked */

static void
print_tally(const char *flags, const char *what, const struct answers_tally *t)
{
    printf("answers, %s flags, %s: %zu of %zu passed; with texts %zu\n", flags, what, t->passed,
           t->nr, t->texts_passed);
}

static bool
run_flags(struct db *db, const char *flags, bool verbose)
{
    char path[4096];
    bool all = strcmp(flags, "experimental") == 0;
    struct pool *pool = pool_new(1, "query");
    struct engine_options o = { .samples_max = SAMPLES_MAX,
                                .clock = clock_real(),
                                .pool = pool,
                                .subquery_step_ms = SUBQUERY_STEP_MS,
                                .experimental_functions = all,
                                .extended_range_selectors = all,
                                .binop_fill = all,
                                .delayed_name_removal = all };
    struct answers a = {
        .engine = engine_new(&o), .storage = db_queryable(db), .flags = flags, .verbose = verbose
    };

    bool ok =
        conformance_path("answers/answers.jsonl.gz", path, sizeof path) && answers_run(&a, path);
    print_tally(flags, "floats", &a.floats);
    print_tally(flags, "native histograms", &a.histograms);
    engine_free(a.engine);
    pool_free(pool);
    return ok && a.floats.passed == a.floats.nr && a.histograms.passed == a.histograms.nr;
}

/* The directory is opened for writing, so a copy it is. */
static bool
copy_data(const char *from, const char *to)
{
    char command[9000];

    snprintf(command, sizeof command, "cp -R '%s' '%s/data' && chmod -R u+w '%s/data'", from, to,
             to);
    return system(command) == 0;
}

static void
remove_data(const char *dir)
{
    char command[4200];

    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", dir);
}

static bool
run(const char *dir, bool verbose, bool experimental)
{
    char path[4200];
    struct db_options o = { .no_maintenance = true };
    struct db *db;
    struct error err = { 0 };

    snprintf(path, sizeof path, "%s/data", dir);
    if (!db_open(path, io_posix(), clock_real(), &o, &db, &err)) {
        fprintf(stderr, "%s\n", error_text(&err));
        error_clear(&err);
        return false;
    }
    bool ok = run_flags(db, "default", verbose);
    if (experimental)
        run_flags(db, "experimental", verbose);
    db_close(db);
    return ok;
}

int
main(int argc, char **argv)
{
    char from[4096], dir[] = P_tmpdir "/answers.XXXXXX";
    bool verbose = false, experimental = false;

    for (int c; (c = getopt(argc, argv, "ve")) != -1;) {
        verbose |= c == 'v';
        experimental |= c == 'e';
    }
    if (!conformance_path("answers/data", from, sizeof from)) {
        printf("answers: skipped, no conformance data\n");
        return 77;
    }
    if (mkdtemp(dir) == NULL || !copy_data(from, dir))
        return 1;
    bool ok = run(dir, verbose, experimental);
    remove_data(dir);
    return ok ? 0 : 1;
}
