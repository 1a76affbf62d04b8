/* cmd/tool_suite.h: the little world in which one group of rule tests runs: a database in memory,
 * an engine, the rule groups, and the input series, of which each is appended when its time comes.
 *
 * Groups are evaluated at times that the test gives, not at their slots. One owner thread. */
#pragma once
#include "base/clock.h"
#include "base/mem_io.h"
#include "cmd/tool_test_file.h"
#include "promql/engine.h"
#include "rules/group.h"
#include "tsdb/db.h"

struct tool;

/* Texts of what went wrong, owned. */
struct suite_errors {
    char **v;
    size_t nr, cap;
};

void suite_error(struct suite_errors *errors, const char *fmt, ...) PRINTF(2, 3);
void suite_errors_fini(struct suite_errors *errors);

struct suite_input {
    struct labels labels;
    struct suite_sample *samples; /* in time order */
    size_t nr, cap, next;         /* next: the first not appended yet */
};

struct suite {
    struct tool *t;
    const struct test_group *test;
    struct arena arena;
    struct mem_io fs;
    struct clock_virtual clock; /* the database's: stands at the test's time */
    struct db *db;
    struct engine *engine;
    struct rules_options options;
    struct rules_metrics metrics; /* without a registry */
    struct labels external_labels;
    struct suite_input *inputs;
    size_t inputs_nr, inputs_cap;
    struct rule_group **groups; /* in the order of evaluation */
    size_t groups_nr, groups_cap;
};

/* False: errors say why. suite_close() in any case. */
MUST_CHECK bool suite_open(struct suite *s, struct tool *t, const struct test_file *file,
                           const struct test_group *test, struct suite_errors *errors);
void suite_close(struct suite *s);

/* Appends what input there is up to t_ms. */
MUST_CHECK bool suite_append(struct suite *s, int64_t t_ms, struct error *err);
/* Evaluates every group at ts_ns; false: rules failed. */
MUST_CHECK bool suite_evaluate(struct suite *s, int64_t ts_ns, struct suite_errors *errors);
