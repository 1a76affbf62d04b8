/* run_tests [-v] [-1] file-or-directory...: runs .test scripts and prints per file how many
 * evaluations passed. Exit status 1 when any failed, 77 when there was nothing to run. -v tells
 * about each failure; -1 runs evaluations as written only: else each instant one is also run as a
 * range query around its time, and with @ on its selectors at other times, where that must not
 * change the result. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "at_variants.h"
#include "compare.h"
#include "conformance.h"
#include "runner.h"

#define MINUTE_MS 60000

struct run {
    struct runner runner;
    bool verbose, once;
    const char *path;
    size_t passed, failed;             /* of this file */
    size_t passed_total, failed_total; /* of files before */
};

static void
complain(const struct run *run, const struct script_command *c, struct str query, struct buf *why)
{
    if (run->verbose)
        printf("%s:%zu: %.*s\n    %s", run->path, c->line, STR_ARG(query), buf_z(why));
}

static bool
check_at(struct run *run, const struct script_command *c, struct str query, int64_t start_ms,
         int64_t end_ms)
{
    struct query_result result = { 0 };
    struct error err = { 0 };
    struct buf why = { 0 };
    bool ok = runner_query(&run->runner, query, start_ms, end_ms, c->eval.step_ms, &result, &err);
    bool passed = outcome_matches(c, ok, &result, &err, &why);

    if (!passed)
        complain(run, c, query, &why);
    if (ok)
        query_result_fini(&result);
    error_clear(&err);
    buf_fini(&why);
    return passed;
}

/* The point in the middle of a range query is what the instant query gives. */
static bool
check_as_range(struct run *run, const struct script_command *c, struct str query, int64_t t_ms)
{
    const struct script_eval *e = &c->eval;
    struct query_result result = { 0 };
    struct error err = { 0 };
    struct buf why = { 0 };

    if (e->fail || e->ordered || e->has_string || e->range_vector || depends_on_bounds(query))
        return true;
    bool ok = runner_query(&run->runner, query, t_ms - MINUTE_MS, t_ms + MINUTE_MS, MINUTE_MS,
                           &result, &err);
    if (!ok)
        buf_printf(&why, "as a range: %s\n", error_text(&err));
    bool passed = ok && point_matches(c, &result, t_ms, &why);
    if (!passed)
        complain(run, c, query, &why);
    if (ok)
        query_result_fini(&result);
    error_clear(&err);
    buf_fini(&why);
    return passed;
}

/* Columns in annotations move when @ is added: only their presence is checked by the plain run. */
static struct script_command
without_annotations(const struct script_command *c)
{
    struct script_command copy = *c;

    copy.eval.warns.nr = copy.eval.infos.nr = 0;
    copy.eval.fail_text.rule = TEXT_ANY;
    return copy;
}

static bool
check_variants(struct run *run, const struct script_command *c)
{
    struct script_command plain = without_annotations(c);
    int64_t t = c->eval.start_ms;
    const int64_t times[] = { 0, t / 5, t, 10 * t, -10 * t }, at_zero[] = { -1000, 0, 1000 };
    const int64_t *list = t == 0 ? at_zero : times;
    size_t nr = t == 0 ? ARRAY_LEN(at_zero) : ARRAY_LEN(times);
    struct buf query = { 0 };
    bool passed = check_as_range(run, c, c->eval.query, t);

    if (at_variant(c->eval.query, t, &query)) {
        for (size_t i = 0; passed && i < nr; i++)
            passed = check_at(run, &plain, buf_as_str(&query), list[i], list[i]) &&
                     check_as_range(run, &plain, buf_as_str(&query), list[i]);
    }
    buf_fini(&query);
    return passed;
}

static void
run_eval(struct run *run, const struct script_command *c)
{
    const struct script_eval *e = &c->eval;
    bool passed = check_at(run, c, e->query, e->start_ms, e->end_ms);

    if (passed && !run->once && !e->range)
        passed = check_variants(run, c);
    run->passed += passed;
    run->failed += !passed;
}

static bool
run_script(struct run *run, const struct script *script, struct error *err)
{
    for (size_t i = 0; i < script->nr; i++) {
        const struct script_command *c = &script->commands[i];

        if (c->kind == SCRIPT_EVAL)
            run_eval(run, c);
        else if (!runner_prepare(&run->runner, c, err))
            return error_wrap(err, "line %zu", c->line);
    }
    return true;
}

static void
run_file(struct run *run, const char *path)
{
    struct buf text = { 0 };
    struct error err = { 0 };
    struct script script;
    struct arena arena;

    run->path = path;
    run->passed = run->failed = 0;
    arena_init(&arena, SIZE_MAX);
    runner_init(&run->runner, true, 10000);
    if (!read_file(path, &text, &err) || !script_parse(&arena, buf_as_str(&text), &script, &err) ||
        !run_script(run, &script, &err)) {
        printf("%s: %s\n", path, error_text(&err));
        run->failed++;
    }
    printf("%s: %zu passed, %zu failed\n", path, run->passed, run->failed);
    run->passed_total += run->passed;
    run->failed_total += run->failed;
    error_clear(&err);
    runner_fini(&run->runner);
    arena_fini(&arena);
    buf_fini(&text);
}

static int
is_script(const struct dirent *d)
{
    return str_ends(str_c(d->d_name), STR(".test"));
}

static void
run_path(struct run *run, const char *path)
{
    struct dirent **entries;
    struct stat st;
    char full[4096];

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        run_file(run, path);
        return;
    }
    int nr = scandir(path, &entries, is_script, alphasort);
    for (int i = 0; i < nr; i++) {
        snprintf(full, sizeof full, "%s/%s", path, entries[i]->d_name);
        run_file(run, full);
        free(entries[i]);
    }
    if (nr >= 0)
        free(entries);
}

int
main(int argc, char **argv)
{
    struct run run = { 0 };

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            run.verbose = true;
        else if (strcmp(argv[i], "-1") == 0)
            run.once = true;
        else
            run_path(&run, argv[i]);
    }
    printf("%zu passed, %zu failed\n", run.passed_total, run.failed_total);
    if (run.passed_total + run.failed_total == 0)
        return 77;
    return run.failed_total == 0 ? 0 : 1;
}
