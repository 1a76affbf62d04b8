/* cmd/tool_junit.h: results of rule tests as JUnit XML, with promtool's attributes. */
#pragma once
#include "cmd/tool_suite.h"

/* The cases of one file, collected. Zero-initialised is empty. */
struct junit_suite {
    struct buf cases;
    size_t cases_nr, failures_nr, errors_nr;
    char when[32];
};

/* A case with the errors from number `from` on; aborted: the file could not be run. */
void junit_case(struct junit_suite *j, const char *name, const struct suite_errors *errors,
                size_t from, bool aborted);
/* Appends the file's suite and releases j. */
void junit_print(struct junit_suite *j, struct str name, struct buf *out);
