/* tests/promql/answers.h: recorded answers of Prometheus 3.14 (conformance, section 13) against the
 * engine. */
#pragma once
#include "promql/engine.h"

struct answers_tally {
    size_t passed, nr;             /* results, errors and their kinds */
    size_t texts_passed, texts_nr; /* error texts, warnings, infos */
};

struct answers {
    struct engine *engine;
    struct queryable *storage;
    const char *flags; /* "default" or "experimental" */
    bool verbose;
    /* Queries whose text has one of these are left out; NULL-terminated, may be NULL. */
    const char *const *leave_out;
    struct answers_tally floats, histograms; /* by whether the result has a native histogram */
};

/* Runs all lines of answers.jsonl.gz; false when it cannot be read. */
bool answers_run(struct answers *a, const char *path);
