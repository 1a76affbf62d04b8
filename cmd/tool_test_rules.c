/* test rules: for each group of tests, time runs from its start in steps of the evaluation
 * interval; alerts are compared on the way, expressions at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/decimal.h"
#include "base/duration.h"
#include "base/mem.h"
#include "base/quote.h"
#include "base/regex.h"
#include "cmd/tool.h"
#include "cmd/tool_junit.h"
#include "cmd/tool_test_text.h"
#include "model/histogram_math.h"
#include "promql/series_desc.h"

#define NS_PER_MS INT64_C(1000000)

struct run {
    struct tool *t;
    const struct test_file *file;
    const struct test_group *test;
    struct suite suite;
    struct suite_errors *errors;
    bool diff;
};

static int64_t
last_eval_ms(const struct test_group *test)
{
    int64_t last = 0;

    for (size_t i = 0; i < test->alerts.nr; i++)
        last = MAX(last, test->alerts.items[i].eval_ms);
    for (size_t i = 0; i < test->exprs.nr; i++)
        last = MAX(last, test->exprs.items[i].eval_ms);
    return last;
}

/* ---- alerts ---- */

static void
add_alert(struct arena *arena, struct shown_alerts *list, struct labels labels,
          struct labels annotations)
{
    ARENA_GROW(arena, list->v, list->nr, list->nr + 1, &list->cap);
    list->v[list->nr++] = (struct shown_alert){ labels, annotations };
}

static void
firing_alerts(const struct rule *r, struct arena *arena, struct shown_alerts *out)
{
    struct alert *a;

    for (size_t at = 0; (a = table_next(&r->active, &at)) != NULL;)
        if (a->state == ALERT_FIRING && a->resolved_at_ns == 0)
            add_alert(arena, out, labels_copy(arena, a->labels),
                      labels_copy(arena, a->annotations));
}

/* Alerts of that name may come from several groups. */
static void
collect_alerts(const struct suite *s, struct str name, struct arena *arena,
               struct shown_alerts *out)
{
    for (size_t i = 0; i < s->groups_nr; i++)
        for (size_t k = 0; k < s->groups[i]->rules_nr; k++) {
            const struct rule *r = s->groups[i]->rules[k];
            if (r->is_alert && str_eq(r->name, name))
                firing_alerts(r, arena, out);
        }
    shown_alerts_sort(out);
}

static struct labels
labels_of(const struct conf_map *map, struct str alertname, struct arena *arena)
{
    struct labels_builder b;

    labels_builder_init(&b);
    for (size_t i = 0; i < map->nr; i++)
        labels_builder_set(&b, map->items[i].name, map->items[i].value);
    if (alertname.n > 0)
        labels_builder_set(&b, ALERT_NAME_LABEL, alertname);
    struct labels ls = labels_builder_finish(&b, arena);
    labels_builder_fini(&b);
    return ls;
}

static void
check_alerts(struct run *run, const struct test_alert_case *c)
{
    struct shown_alerts want = { 0 }, got = { 0 };
    char when[DURATION_TEXT_MAX];
    struct buf said = { 0 };
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    for (size_t i = 0; i < c->alerts.nr; i++)
        add_alert(&arena, &want, labels_of(&c->alerts.items[i].labels, c->alertname, &arena),
                  labels_of(&c->alerts.items[i].annotations, STR_NONE, &arena));
    shown_alerts_sort(&want);
    collect_alerts(&run->suite, c->alertname, &arena, &got);
    if (!shown_alerts_equal(&want, &got)) {
        if (run->test->name.n > 0)
            buf_printf(&said, "    name: %.*s,\n", STR_ARG(run->test->name));
        buf_printf(&said, "    alertname: %.*s, time: %s, \n        ", STR_ARG(c->alertname),
                   duration_text(c->eval_ms, when));
        if (run->diff) {
            buf_c(&said, "diff: ");
            shown_alerts_diff(&want, &got, &said);
        } else {
            buf_c(&said, "exp:");
            shown_alerts_print(&want, &said);
            buf_c(&said, ", \n        got:");
            shown_alerts_print(&got, &said);
        }
        suite_error(run->errors, "%s", buf_z(&said));
    }
    buf_fini(&said);
    arena_fini(&arena);
}

static int
case_cmp(const void *a, const void *b)
{
    const struct test_alert_case *x = *(const struct test_alert_case *const *)a,
                                 *y = *(const struct test_alert_case *const *)b;

    if (x->eval_ms != y->eval_ms)
        return x->eval_ms < y->eval_ms ? -1 : 1;
    return x < y ? -1 : x > y; /* cases of one time as they stand in the file */
}

static bool
check_names(struct run *run)
{
    char when[DURATION_TEXT_MAX];

    for (size_t i = 0; i < run->test->alerts.nr; i++) {
        const struct test_alert_case *c = &run->test->alerts.items[i];
        if (c->alertname.n > 0)
            continue;
        struct str name = run->test->name;
        suite_error(run->errors,
                    "an item under alert_rule_test misses required attribute alertname at "
                    "eval_time %s%s%.*s%s",
                    duration_text(c->eval_ms, when), name.n > 0 ? " (in TestGroup " : "",
                    STR_ARG(name), name.n > 0 ? ")" : "");
        return false;
    }
    return true;
}

/* Evaluates from the start to the last time that a test asks for. False: rules failed, and the rest
 * is not looked at. */
static bool
run_time(struct run *run, const struct test_alert_case **cases)
{
    int64_t interval_ms = run->file->interval_ms, last_ms = last_eval_ms(run->test);
    size_t next = 0;

    for (int64_t off_ms = 0; off_ms <= last_ms; off_ms += interval_ms) {
        struct error err = { 0 };
        int64_t ts_ns;
        if (__builtin_add_overflow(run->test->start_ns, off_ms * NS_PER_MS, &ts_ns))
            break; /* beyond the year 2262 */
        if (!suite_append(&run->suite, ts_ns / NS_PER_MS, &err))
            suite_error(run->errors, "%s", error_text(&err));
        else if (!suite_evaluate(&run->suite, ts_ns, run->errors))
            return false;
        error_clear(&err);
        for (; next < run->test->alerts.nr && cases[next]->eval_ms < off_ms + interval_ms; next++)
            check_alerts(run, cases[next]);
    }
    return true;
}

/* ---- expressions ---- */

static void
complain_expr(struct run *run, const struct test_expr_case *c, const char *what)
{
    char when[DURATION_TEXT_MAX];
    struct buf quoted = { 0 };

    quote_go(c->expr, &quoted);
    suite_error(run->errors, "    expr: %s, time: %s,%s", buf_z(&quoted),
                duration_text(c->eval_ms, when), what);
    buf_fini(&quoted);
}

static void
add_sample(struct arena *arena, struct shown_samples *list, struct shown_sample s)
{
    ARENA_GROW(arena, list->v, list->nr, list->nr + 1, &list->cap);
    list->v[list->nr++] = s;
}

static struct str
histogram_text(const struct histogram *h, struct arena *arena)
{
    struct buf text = { 0 };

    series_desc_print_histogram(h, arena, &text);
    struct str s = arena_str(arena, buf_as_str(&text));
    buf_fini(&text);
    return s;
}

/* The labels of an expected sample; "" has none. */
static bool
parse_metric(struct arena *arena, struct str text, struct labels *out, struct error *err)
{
    struct series_desc desc;

    *out = LABELS_NONE;
    if (str_trim(text).n == 0)
        return true;
    if (!series_desc_parse(arena, text, &desc, err))
        return false;
    *out = desc.labels;
    return desc.nr == 0 || error_set(err, ERR_INVALID, "unexpected values behind a metric");
}

static bool
parse_histogram(struct arena *arena, struct str text, struct str *out, struct error *err)
{
    struct series_desc desc;

    if (!series_desc_parse(arena, arena_printf(arena, "{} %.*s", STR_ARG(text)), &desc, err))
        return false;
    if (desc.nr != 1)
        return error_set(err, ERR_INVALID, "expected 1 value, got %zu", desc.nr);
    if (desc.values[0].h == NULL)
        return error_set(err, ERR_INVALID, "expected histogram, got %.*s", STR_ARG(text));
    *out = histogram_text(desc.values[0].h, arena);
    return true;
}

static bool
wanted_samples(const struct test_expr_case *c, struct arena *arena, struct shown_samples *out,
               struct error *err)
{
    struct buf quoted = { 0 };

    for (size_t i = 0; i < c->samples.nr; i++) {
        const struct test_sample *s = &c->samples.items[i];
        struct shown_sample shown = { .v = s->value };
        if (!parse_metric(arena, s->labels, &shown.labels, err) ||
            (s->histogram.n > 0 && !parse_histogram(arena, s->histogram, &shown.histogram, err))) {
            quote_go(s->labels, &quoted);
            error_wrap(err, "labels %s", buf_z(&quoted));
            buf_fini(&quoted);
            return false;
        }
        add_sample(arena, out, shown);
    }
    shown_samples_sort(out);
    return true;
}

static bool
got_samples(const struct query_result *r, struct arena *arena, struct shown_samples *out,
            struct error *err)
{
    if (r->type == VALUE_SCALAR) {
        add_sample(arena, out, (struct shown_sample){ .v = r->scalar });
        return true;
    }
    if (r->type != VALUE_VECTOR)
        return error_set(err, ERR_EXECUTION, "rule result is not a vector or scalar");
    for (size_t i = 0; i < r->series_nr; i++) {
        const struct result_series *s = &r->series[i];
        struct shown_sample shown = { .labels = s->labels };
        if (s->h != NULL && s->h[0] != NULL)
            shown.histogram = histogram_text(s->h[0], arena);
        else
            shown.v = s->v[0];
        add_sample(arena, out, shown);
    }
    shown_samples_sort(out);
    return true;
}

static void
compare_samples(struct run *run, const struct test_expr_case *c, const struct shown_samples *want,
                const struct shown_samples *got)
{
    struct buf said = { 0 };

    if (shown_samples_equal(want, got, run->file->fuzzy))
        return;
    buf_c(&said, "\n        exp: ");
    shown_samples_print(want, &said);
    buf_c(&said, "\n        got: ");
    shown_samples_print(got, &said);
    complain_expr(run, c, buf_z(&said));
    buf_fini(&said);
}

static void
check_expr(struct run *run, const struct test_expr_case *c)
{
    int64_t t_ms = run->test->start_ns / NS_PER_MS + c->eval_ms;
    struct query query = { .text = c->expr, .start_ms = t_ms, .end_ms = t_ms };
    struct shown_samples want = { 0 }, got = { 0 };
    struct query_result result;
    struct error err = { 0 };
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    bool ran = engine_query(run->suite.engine, run->suite.options.queryable, &query, &result, &err);
    if (ran && got_samples(&result, &arena, &got, &err) && wanted_samples(c, &arena, &want, &err)) {
        compare_samples(run, c, &want, &got);
    } else {
        error_wrap(&err, " err");
        complain_expr(run, c, error_text(&err));
    }
    if (ran)
        query_result_fini(&result);
    arena_fini(&arena);
    error_clear(&err);
}

/* ---- --debug ---- */

static void
print_point(const struct result_series *s, size_t i, struct buf *out)
{
    char number[DECIMAL_BYTES_MAX];

    if (s->h != NULL && s->h[i] != NULL)
        histogram_print(s->h[i], out);
    else
        buf_add(out, number, decimal_format_fixed(s->v[i], number));
    buf_printf(out, " @[%lld]\n", (long long)s->t_ms[i]);
}

/* Everything that the test's storage holds. */
static void
dump_all(struct run *run)
{
    char range[DURATION_TEXT_MAX];
    int64_t s_nr = last_eval_ms(run->test) / 1000 + 1,
            t_ms = run->test->start_ns / NS_PER_MS + s_nr * 1000;
    struct buf text = { 0 }, out = { 0 };
    struct query_result result;
    struct error err = { 0 };

    duration_go_text(s_nr * 1000 * NS_PER_MS, range);
    buf_printf(&text, "{__name__=~\".+\"}[%s]", range);
    struct query query = { .text = buf_as_str(&text), .start_ms = t_ms, .end_ms = t_ms };
    if (!engine_query(run->suite.engine, run->suite.options.queryable, &query, &result, &err)) {
        fprintf(stderr, "DEBUG: Failed query exec, expr: %s, err: %s\n", buf_z(&text),
                error_text(&err));
    } else {
        fprintf(stderr, "DEBUG: Dump of all data (input_series and rules) at %s:\n", range);
        for (size_t i = 0; i < result.series_nr; i++) {
            labels_print(result.series[i].labels, &out);
            buf_c(&out, " =>\n");
            for (size_t k = 0; k < result.series[i].nr; k++)
                print_point(&result.series[i], k, &out);
        }
        fprintf(stderr, "%s", out.n == 0 ? "\n" : buf_z(&out));
        query_result_fini(&result);
    }
    buf_fini(&text);
    buf_fini(&out);
    error_clear(&err);
}

/* ---- a group of tests ---- */

static void
run_opened(struct run *run, bool debug)
{
    size_t nr = run->test->alerts.nr;
    const struct test_alert_case **cases = MEM_NEW_ARRAY(const struct test_alert_case *, nr + 1);

    for (size_t i = 0; i < nr; i++)
        cases[i] = &run->test->alerts.items[i];
    qsort(cases, nr, sizeof *cases, case_cmp);
    bool ok = run_time(run, cases);
    for (size_t i = 0; ok && i < run->test->exprs.nr; i++)
        check_expr(run, &run->test->exprs.items[i]);
    if (ok && debug)
        dump_all(run);
    mem_free(cases);
}

static void
run_group(struct tool *t, const struct test_file *file, const struct test_group *test,
          const char *name, struct suite_errors *errors)
{
    bool debug = tool_bool(&t->line, "debug");
    struct run run = {
        .t = t, .file = file, .test = test, .errors = errors, .diff = tool_bool(&t->line, "diff")
    };
    int64_t started_ns = clock_monotonic_ns(t->clock);
    char took[DURATION_TEXT_MAX];

    if (debug)
        fprintf(stderr, "DEBUG: Starting test %s\n", name);
    if (suite_open(&run.suite, t, file, test, errors) && check_names(&run))
        run_opened(&run, debug);
    suite_close(&run.suite);
    if (debug)
        fprintf(stderr, "DEBUG: Test %s finished, took %s\n", name,
                duration_go_text(clock_monotonic_ns(t->clock) - started_ns, took));
}

/* ---- files ---- */

static void
run_file(struct tool *t, const char *path, const struct regex *only, struct junit_suite *j,
         struct suite_errors *errors)
{
    struct test_file file;
    struct error err = { 0 };
    time_t now = (time_t)(clock_now_ns(t->clock) / 1000000000);
    struct tm tm;

    if (!test_file_load(&file, t->io, path, &err)) {
        suite_error(errors, "%s", error_text(&err));
        junit_case(j, "unknown", errors, 0, true);
    }
    strftime(j->when, sizeof j->when, "%Y-%m-%dT%H:%M:%S", localtime_r(&now, &tm));
    for (size_t i = 0; err.kind == ERR_NONE && i < file.groups.nr; i++) {
        const struct test_group *test = &file.groups.items[i];
        struct buf name = { 0 };
        size_t before = errors->nr;
        if (only != NULL && !regex_match(only, test->name))
            continue;
        if (test->name.n > 0)
            buf_str(&name, test->name);
        else
            buf_printf(&name, "unnamed#%zu", i);
        run_group(t, &file, test, buf_z(&name), errors);
        junit_case(j, buf_z(&name), errors, before, false);
        buf_fini(&name);
    }
    test_file_fini(&file);
    error_clear(&err);
}

/* The patterns of --run as one; *only stays NULL when there is none. */
static bool
compile_run(struct tool *t, struct regex **only, struct error *err)
{
    struct buf pattern = { 0 };
    size_t nr;
    const struct str *given = tool_strs(&t->line, "run", &nr);

    for (size_t i = 0; i < nr; i++)
        buf_printf(&pattern, "%s%.*s", i == 0 ? "" : "|", STR_ARG(given[i]));
    if (nr > 0)
        *only = regex_compile(buf_as_str(&pattern), 0, err);
    buf_fini(&pattern);
    return nr == 0 || *only != NULL;
}

static bool
run_and_say(struct tool *t, struct str path, const struct regex *only, struct buf *xml)
{
    struct suite_errors errors = { 0 };
    struct junit_suite j = { 0 };

    run_file(t, arena_str(&t->line.arena, path).p, only, &j, &errors);
    junit_print(&j, path, xml);
    if (errors.nr > 0)
        fprintf(stderr, "  FAILED:\n");
    for (size_t i = 0; i < errors.nr; i++) {
        fprintf(stderr, "%s\n", errors.v[i]);
        printf("\n");
    }
    if (errors.nr == 0)
        printf("  SUCCESS\n");
    printf("\n");
    bool ok = errors.nr == 0;
    suite_errors_fini(&errors);
    return ok;
}

static bool
write_junit(struct tool *t, const struct buf *xml, struct error *err)
{
    io_file file;

    if (!tool_given(&t->line, "junit"))
        return true;
    if (!io_open(t->io, tool_z(&t->line, "junit"), IO_WRITE | IO_CREATE | IO_TRUNCATE, &file, err))
        return false;
    bool ok = io_write(t->io, file, xml->p, xml->n, 0, err);
    io_close(t->io, file);
    return ok;
}

int
tool_test_rules(struct tool *t)
{
    struct regex *only = NULL;
    struct buf xml = { 0 };
    struct error err = { 0 };
    size_t nr;
    const struct str *files = tool_strs(&t->line, "test-rule-file", &nr);
    int status = TOOL_OK;

    if (!compile_run(t, &only, &err))
        return tool_fail(&err);
    buf_c(&xml, "<testsuites>");
    for (size_t i = 0; i < nr; i++)
        if (!run_and_say(t, files[i], only, &xml))
            status = TOOL_FAILED;
    buf_c(&xml, "</testsuites>");
    if (!write_junit(t, &xml, &err)) {
        fprintf(stderr, "failed to write JUnit XML: %s\n", error_text(&err));
        error_clear(&err);
    }
    regex_unref(only);
    buf_fini(&xml);
    return status;
}
