/* tests/promql/promqltest.h: scripts that load samples, evaluate expressions and say what must come
 * out.
 *
 *     load 1m
 *         requests{job="x"} 0+10x10
 *
 *     eval instant at 10m rate(requests[5m])
 *         {job="x"} 0.16666666666666666
 *
 * Lines up to the next empty line (or comment) belong to a command: `clear`, `load <step>`,
 * `load_with_nhcb <step>`, `eval instant at <time> <query>`, `eval range from <time> to <time> step
 * <step> <query>`, with `expect ...` lines and result lines below an eval. A script is read as a
 * whole before any of it runs; everything lives in the caller's arena. */
#pragma once
#include "promql/series_desc.h"

enum script_kind { SCRIPT_CLEAR, SCRIPT_LOAD, SCRIPT_LOAD_NHCB, SCRIPT_EVAL };

/* What a text must be: anything, exactly this, or matched by this expression somewhere. */
enum text_rule { TEXT_ANY, TEXT_EXACT, TEXT_REGEX };

struct text_expect {
    enum text_rule rule;
    struct str text;
};

struct text_expects {
    struct text_expect *items;
    size_t nr, cap;
};

struct series_list {
    struct series_desc *items;
    size_t nr, cap;
};

struct script_eval {
    struct str query;
    bool range;
    int64_t start_ms, end_ms, step_ms; /* instant: start and end are the time, step is 0 */
    bool fail, no_warn, no_info, ordered;
    struct text_expect fail_text;
    struct text_expects warns, infos;
    bool has_string, has_scalar, range_vector;
    struct str string;
    double scalar;
    int64_t points_start_ms, points_step_ms; /* where result values lie */
};

struct script_command {
    enum script_kind kind;
    size_t line;               /* from 1 */
    int64_t step_ms;           /* of a load */
    struct series_list series; /* loaded, or expected */
    struct script_eval eval;
};

struct script {
    struct script_command *commands;
    size_t nr, cap;
};

/* ERR_INVALID with the line's number when the script is malformed. */
MUST_CHECK bool
script_parse(struct arena *arena, struct str text, struct script *out, struct error *err);
