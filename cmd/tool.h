/* cmd/tool.h: what the commands of narthextool share. One process runs one command, on one thread;
 * each handler prints to standard output and error as promtool does and returns the exit status. */
#pragma once
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/tool_line.h"
#include "promql/parser.h"

enum { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_LINT = 3 };

struct tool {
    struct tool_line line;
    const struct io *io;
    const struct clock *clock;
    struct log log;                    /* warnings of what is loaded, to standard error */
    struct promql_parse_options parse; /* what --enable-feature switched on */
    bool delayed_name_removal;
};

extern const struct tool_command tool_commands[];
extern const size_t tool_commands_nr;

/* tool_check_config.c */
int tool_check_config(struct tool *t);
int tool_check_web_config(struct tool *t);
int tool_check_sd(struct tool *t); /* tool_check_sd.c */
/* tool_check_rules.c */
int tool_check_rules(struct tool *t);
/* tool_check_metrics.c */
int tool_check_metrics(struct tool *t);
/* tool_query.c */
int tool_check_healthy(struct tool *t);
int tool_check_ready(struct tool *t);
int tool_query_instant(struct tool *t);
int tool_query_range(struct tool *t);
int tool_query_series(struct tool *t);
int tool_query_labels(struct tool *t);
/* tool_test_rules.c */
int tool_test_rules(struct tool *t);
/* tool_tsdb.c, tool_analyze.c, tool_dump.c, tool_import.c */
int tool_tsdb_list(struct tool *t);
int tool_tsdb_analyze(struct tool *t);
int tool_tsdb_dump(struct tool *t);
int tool_tsdb_dump_openmetrics(struct tool *t);
int tool_import_openmetrics(struct tool *t);
/* tool_promql.c */
int tool_promql_format(struct tool *t);
int tool_matchers_set(struct tool *t);
int tool_matchers_delete(struct tool *t);

/* ---- tool_text.c ---- */

/* Everything to a stream; empties nothing. */
void tool_put(const struct buf *text, FILE *to);
/* Prints the error's text as a line to standard error and releases it; gives TOOL_FAILED. */
int tool_fail(struct error *err);
/* Says an unknown key as Prometheus does; every other error stays as the loader said it. False. */
bool tool_yaml_words(struct error *err);
/* Standard input whole; the caller frees. */
MUST_CHECK bool tool_read_stdin(char **p, size_t *n, struct error *err);
/* Seconds since 1970 with a fraction, or RFC 3339: ns. False with promtool's words. */
MUST_CHECK bool tool_parse_time(struct str text, int64_t *ns, struct error *err);

/* Text in columns, as Go's tabwriter aligns it: a column is as wide as its widest cell and the
 * padding, at least `width`; the last cell of a row is not padded unless `pad_last`. Cells of a row
 * are separated by tabs. */
struct tool_table {
    size_t width, padding;
    bool pad_last;
    struct buf text; /* rows */
};
void tool_table_print(struct tool_table *table, struct buf *out); /* and releases the rows */

/* What the lint of rule files wants; checks files and says what it found. */
struct rules_lint {
    bool duplicates, fatal, ignore_unknown;
};
struct lint_verdict {
    bool failed, errors; /* lint findings alone are no errors */
};
struct rules_lint tool_rules_lint(struct str options, bool fatal, bool ignore_unknown);
struct lint_verdict tool_lint_rule_files(struct tool *t, const struct rules_lint *lint,
                                         const struct str *files, size_t files_nr);
int tool_lint_status(struct lint_verdict v, bool fatal);
