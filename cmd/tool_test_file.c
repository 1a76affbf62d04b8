#include "cmd/tool_test_file.h"

#include <stdio.h>

#include "base/glob.h"
#include "base/mem.h"
#include "cmd/tool.h"

#define DEFAULT_INTERVAL_MS 60000

#define ROW(struct_, key_, type_, field_)                                   \
    {                                                                       \
        .key = (key_), .type = (type_), .offset = offsetof(struct_, field_) \
    }
#define LIST(struct_, key_, field_, table_)                                       \
    {                                                                             \
        .key = (key_), .type = CONF_STRUCTS, .offset = offsetof(struct_, field_), \
        .table = &(table_)                                                        \
    }

static const struct conf_row series_rows[] = {
    ROW(struct test_series, "series", CONF_STR, series),
    ROW(struct test_series, "values", CONF_STR, values),
};
static const struct conf_table series_table = { .type = "main.series",
                                                .bytes = sizeof(struct test_series),
                                                CONF_ROWS(series_rows) };

static const struct conf_row alert_rows[] = {
    ROW(struct test_alert, "exp_labels", CONF_MAP, labels),
    ROW(struct test_alert, "exp_annotations", CONF_MAP, annotations),
};
static const struct conf_table alert_table = { .type = "main.alert",
                                               .bytes = sizeof(struct test_alert),
                                               CONF_ROWS(alert_rows) };

static const struct conf_row alert_case_rows[] = {
    ROW(struct test_alert_case, "eval_time", CONF_DURATION, eval_ms),
    ROW(struct test_alert_case, "alertname", CONF_STR, alertname),
    LIST(struct test_alert_case, "exp_alerts", alerts, alert_table),
};
static const struct conf_table alert_case_table = { .type = "main.alertTestCase",
                                                    .bytes = sizeof(struct test_alert_case),
                                                    CONF_ROWS(alert_case_rows) };

static const struct conf_row sample_rows[] = {
    ROW(struct test_sample, "labels", CONF_STR, labels),
    ROW(struct test_sample, "value", CONF_FLOAT, value),
    ROW(struct test_sample, "histogram", CONF_STR, histogram),
};
static const struct conf_table sample_table = { .type = "main.sample",
                                                .bytes = sizeof(struct test_sample),
                                                CONF_ROWS(sample_rows) };

static const struct conf_row expr_case_rows[] = {
    ROW(struct test_expr_case, "expr", CONF_STR, expr),
    ROW(struct test_expr_case, "eval_time", CONF_DURATION, eval_ms),
    LIST(struct test_expr_case, "exp_samples", samples, sample_table),
};
static const struct conf_table expr_case_table = { .type = "main.promqlTestCase",
                                                   .bytes = sizeof(struct test_expr_case),
                                                   CONF_ROWS(expr_case_rows) };

static bool
check_start(struct conf *c, void *value, struct error *err)
{
    struct test_group *g = CONTAINER_OF(value, struct test_group, start_text);

    (void)c;
    return tool_parse_time(g->start_text, &g->start_ns, err);
}

static const struct conf_row group_rows[] = {
    ROW(struct test_group, "interval", CONF_DURATION, interval_ms),
    LIST(struct test_group, "input_series", series, series_table),
    LIST(struct test_group, "alert_rule_test", alerts, alert_case_table),
    LIST(struct test_group, "promql_expr_test", exprs, expr_case_table),
    ROW(struct test_group, "external_labels", CONF_MAP, external_labels),
    ROW(struct test_group, "external_url", CONF_STR, external_url),
    ROW(struct test_group, "name", CONF_STR, name),
    { .key = "start_timestamp",
      .type = CONF_STR,
      .offset = offsetof(struct test_group, start_text),
      .check = check_start },
};
static const struct conf_table group_table = { .type = "main.testGroup",
                                               .bytes = sizeof(struct test_group),
                                               CONF_ROWS(group_rows) };

static const struct conf_row file_rows[] = {
    ROW(struct test_file, "rule_files", CONF_STRS, rule_files),
    ROW(struct test_file, "evaluation_interval", CONF_DURATION, interval_ms),
    ROW(struct test_file, "group_eval_order", CONF_STRS, group_order),
    LIST(struct test_file, "tests", groups, group_table),
    ROW(struct test_file, "fuzzy_compare", CONF_BOOL, fuzzy),
};
static const struct conf_table file_table = { .type = "main.unitTestFile",
                                              .bytes = sizeof(struct test_file),
                                              CONF_ROWS(file_rows) };

static void
add_path(struct arena *arena, struct conf_strs *list, size_t *cap, struct str path)
{
    ARENA_GROW(arena, list->items, list->nr, list->nr + 1, cap);
    list->items[list->nr++] = path;
}

static bool
expand_rule_files(struct test_file *f, const struct io *io, struct str dir, struct error *err)
{
    struct arena *arena = conf_pool_arena(f->pool);
    struct conf_strs all = { 0 };
    size_t cap = 0;

    for (size_t i = 0; i < f->rule_files.nr; i++) {
        struct str pattern = conf_join_dir(f->pool, dir, f->rule_files.items[i]);
        struct conf_strs paths;
        if (!glob_list(io, pattern, arena, &paths, err))
            return false;
        if (paths.nr == 0)
            fprintf(stderr, "  WARNING: no file match pattern %.*s\n", STR_ARG(pattern));
        for (size_t k = 0; k < paths.nr; k++)
            add_path(arena, &all, &cap, paths.items[k]);
    }
    f->rule_files = all;
    return true;
}

static void
fill_intervals(struct test_file *f)
{
    if (f->interval_ms == 0)
        f->interval_ms = DEFAULT_INTERVAL_MS;
    for (size_t i = 0; i < f->groups.nr; i++)
        if (f->groups.items[i].interval_ms == 0)
            f->groups.items[i].interval_ms = f->interval_ms;
}

static bool
check_order(const struct test_file *f, struct error *err)
{
    for (size_t i = 0; i < f->group_order.nr; i++)
        for (size_t k = 0; k < i; k++)
            if (str_eq(f->group_order.items[i], f->group_order.items[k]))
                return error_set(err, ERR_INVALID, "group name repeated in evaluation order: %.*s",
                                 STR_ARG(f->group_order.items[i]));
    return true;
}

bool
test_file_load(struct test_file *f, const struct io *io, const char *path, struct error *err)
{
    char *text = NULL;
    size_t n = 0;
    struct conf_pool *pool = conf_pool_new();

    *f = (struct test_file){ 0 };
    bool ok = io_read_file(io, path, CONF_FILE_BYTES_MAX, &text, &n, err);
    if (ok && !conf_load(pool, (struct str){ text, n }, &file_table, f, NULL, err))
        ok = tool_yaml_words(err);
    f->pool = pool;
    mem_free(text);
    ok = ok && expand_rule_files(f, io, conf_dir(str_c(path)), err) && check_order(f, err);
    if (ok)
        fill_intervals(f);
    return ok;
}

void
test_file_fini(struct test_file *f)
{
    conf_pool_unref(f->pool);
    f->pool = NULL;
}
