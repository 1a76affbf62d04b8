/* cmd/tool_test_file.h: unit test files of rules, as promtool reads them: input series, and what
 * alerts and expressions are expected to give at which time.
 *
 * Everything lives in the pool and is immutable after loading. */
#pragma once
#include "base/conf.h"
#include "base/io.h"

struct test_series {
    struct str series, values;
};

struct test_alert {
    struct conf_map labels, annotations;
};

struct test_alert_case {
    int64_t eval_ms;
    struct str alertname;
    CONF_LIST(struct test_alert) alerts;
};

struct test_sample {
    struct str labels;
    double value;
    struct str histogram; /* not empty: value does not count */
};

struct test_expr_case {
    struct str expr;
    int64_t eval_ms;
    CONF_LIST(struct test_sample) samples;
};

struct test_group {
    int64_t interval_ms; /* the file's when not given */
    CONF_LIST(struct test_series) series;
    CONF_LIST(struct test_alert_case) alerts;
    CONF_LIST(struct test_expr_case) exprs;
    struct conf_map external_labels;
    struct str external_url, name;
    struct str start_text;
    int64_t start_ns; /* of what input series and eval times count from */
};

struct test_file {
    struct conf_pool *pool;
    struct conf_strs rule_files; /* relative to the file until tool_test_file_load() */
    int64_t interval_ms;
    struct conf_strs group_order;
    CONF_LIST(struct test_group) groups;
    bool fuzzy;
};

/* Reads the file; rule files become paths, globs expanded (one that matches nothing is a warning to
 * standard error). test_file_fini() in any case. */
MUST_CHECK bool
test_file_load(struct test_file *f, const struct io *io, const char *path, struct error *err);
void test_file_fini(struct test_file *f);
