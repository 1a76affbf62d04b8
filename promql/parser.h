/* promql/parser.h: from text to a checked syntax tree, with Prometheus's error texts.
 *
 * The grammar is Prometheus 3.14's. Text is UTF-8 and at most PROMQL_TEXT_BYTES_MAX long; nesting
 * is limited to PROMQL_HEIGHT_MAX (see ast.h). Pure functions on the caller's arena: thread-safe.
 */
#pragma once
#include "promql/ast.h"

#define PROMQL_TEXT_BYTES_MAX (16u << 20)
/* Errors after this many are not collected. */
#define PROMQL_ERRORS_MAX     100000

/* What a feature flag switches on. All false is what a server does by default, except for
 * duration_expressions, which a server always has on. */
struct promql_parse_options {
    bool experimental_functions; /* promql-experimental-functions */
    bool duration_expressions;   /* always on in a server since 3.14 */
    bool extended_ranges;        /* promql-extended-range-selectors: anchored, smoothed */
    bool fill_modifiers;         /* promql-binop-fill-modifiers: fill, fill_left, fill_right */
};

/* One thing that is wrong: where, and what ("unexpected right parenthesis ')'"). */
struct promql_error {
    struct pos_range pos;
    struct str msg; /* in the arena */
};

struct promql_errors {
    struct promql_error *items; /* in the order found, in the arena */
    size_t max;                 /* collect no more than that; 0 stands for PROMQL_ERRORS_MAX */
    size_t nr, cap;
};

/* The tree, or NULL and ERR_INVALID with the first error as "line:column: parse error: text". The
 * caller releases it with expr_fini() before the arena goes. */
struct expr *promql_parse(struct arena *arena, struct str text,
                          const struct promql_parse_options *options, struct error *err);

/* The same with every error found; *errors is empty on success. */
struct expr *
promql_parse_all(struct arena *arena, struct str text, const struct promql_parse_options *options,
                 struct promql_errors *errors);

/* A lone selector, as the parameter match[] holds it: `up{job="x"}`. Not checked for a non-empty
 * condition. The caller calls matcher_fini() on each. */
MUST_CHECK bool
promql_parse_selector(struct arena *arena, struct str text,
                      const struct promql_parse_options *options, struct matcher **matchers,
                      size_t *matchers_nr, struct error *err);

/* Sets err from e: "1:7: parse error: ...". Lines and columns count from 1, columns in bytes. */
bool promql_error_set(struct error *err, struct str text, const struct promql_error *e);
