/* narthextool: what promtool is to Prometheus. The table of commands, and main. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "cmd/tool.h"
#include "cmd/version.h"

#define PARAMS(array) (array), ARRAY_LEN(array)
#define NO_PARAMS     NULL, 0

#define HTTP_CONFIG                                                       \
    {                                                                     \
        .name = "http.config.file", .type = TOOL_FILE,                    \
        .help = "File with the HTTP client's credentials, TLS and proxy." \
    }
#define LINT_FATAL                                             \
    {                                                          \
        .name = "lint-fatal", .type = TOOL_BOOL,               \
        .help = "Findings of the lint end with exit status 3." \
    }
#define IGNORE_UNKNOWN                                      \
    {                                                       \
        .name = "ignore-unknown-fields", .type = TOOL_BOOL, \
        .help = "Unknown keys of rule files are no error."  \
    }
#define SERVER_URL                                                                              \
    {                                                                                           \
        .name = "url", .type = TOOL_URL, .dflt = "http://localhost:9090", .help = "The server." \
    }

static const struct tool_param root_flags[] = {
    { .name = "help", .type = TOOL_BOOL, .letter = 'h', .help = "Show usage of a command." },
    { .name = "version", .type = TOOL_BOOL, .help = "Show the version." },
    { .name = "experimental",
      .type = TOOL_BOOL,
      .help = "Allow experimental commands: those of promql." },
    { .name = "enable-feature",
      .type = TOOL_STR,
      .many = true,
      .help = "Comma-separated features: promql-experimental-functions, "
              "promql-delayed-name-removal, promql-extended-range-selectors, "
              "promql-binop-fill-modifiers." },
};

static const struct tool_param check_flags[] = {
    { .name = "query.lookback-delta",
      .type = TOOL_DURATION,
      .dflt = "5m",
      .help = "The server's lookback, for the lint too-long-scrape-interval." },
};

static const struct tool_param check_config_flags[] = {
    { .name = "syntax-only", .type = TOOL_BOOL, .help = "Leave out the files that it names." },
    { .name = "lint",
      .type = TOOL_STR,
      .dflt = "duplicate-rules",
      .help = "What to look for: all, duplicate-rules, none, too-long-scrape-interval." },
    LINT_FATAL,
    IGNORE_UNKNOWN,
    { .name = "agent", .type = TOOL_BOOL, .help = "The file is for agent mode." },
};
static const struct tool_param check_config_args[] = {
    { .name = "config-files",
      .type = TOOL_FILE,
      .required = true,
      .many = true,
      .help = "The files to check." },
};
static const struct tool_param check_web_args[] = {
    { .name = "web-config-files",
      .type = TOOL_FILE,
      .required = true,
      .many = true,
      .help = "The files to check." },
};

static const struct tool_param check_rules_flags[] = {
    { .name = "lint",
      .type = TOOL_STR,
      .dflt = "duplicate-rules",
      .help = "What to look for: all, duplicate-rules, none." },
    LINT_FATAL,
    IGNORE_UNKNOWN,
};
static const struct tool_param check_rules_args[] = {
    { .name = "rule-files",
      .type = TOOL_FILE,
      .many = true,
      .help = "The files to check; standard input when there is none." },
};

static const struct tool_param check_metrics_flags[] = {
    { .name = "extended", .type = TOOL_BOOL, .help = "Print the number of series per metric." },
    { .name = "lint", .type = TOOL_STR, .dflt = "all", .help = "all or none." },
};

static const struct tool_param test_flags[] = {
    { .name = "junit", .type = TOOL_STR, .help = "File for results as JUnit XML." },
};
static const struct tool_param test_rules_flags[] = {
    { .name = "run",
      .type = TOOL_STR,
      .many = true,
      .help = "Only groups of tests whose name matches the regular expression." },
    { .name = "debug", .type = TOOL_BOOL, .help = "Say what happens, and print all samples." },
    { .name = "diff", .type = TOOL_BOOL, .help = "Show what differs in colours." },
    IGNORE_UNKNOWN,
};
static const struct tool_param test_rules_args[] = {
    { .name = "test-rule-file",
      .type = TOOL_FILE,
      .required = true,
      .many = true,
      .help = "The unit test files." },
};

#define DB_PATH                                                                             \
    {                                                                                       \
        .name = "db path", .type = TOOL_STR, .dflt = "data/", .help = "The data directory." \
    }

static const struct tool_param analyze_flags[] = {
    { .name = "limit", .type = TOOL_INT, .dflt = "20", .help = "Rows of each list." },
    { .name = "extended", .type = TOOL_BOOL, .help = "Look into the chunks too." },
    { .name = "match", .type = TOOL_STR, .help = "Only series that the selector finds." },
};
static const struct tool_param analyze_args[] = {
    DB_PATH,
    { .name = "block id", .type = TOOL_STR, .help = "The block; the newest when not given." },
};

static const struct tool_param list_flags[] = {
    { .name = "human-readable",
      .type = TOOL_BOOL,
      .letter = 'r',
      .help = "Times and sizes for people." },
};
static const struct tool_param db_args[] = { DB_PATH };

#define DUMP_FLAGS                                                                        \
    { .name = "sandbox-dir-root",                                                         \
      .type = TOOL_STR,                                                                   \
      .help = "Accepted for compatibility: replay writes to memory only." },              \
        { .name = "min-time",                                                             \
          .type = TOOL_INT64,                                                             \
          .dflt = "-9223372036854775808",                                                 \
          .help = "The first time, in milliseconds." },                                   \
        { .name = "max-time",                                                             \
          .type = TOOL_INT64,                                                             \
          .dflt = "9223372036854775807",                                                  \
          .help = "The last time, in milliseconds." },                                    \
    {                                                                                     \
        .name = "match", .type = TOOL_STR, .many = true, .dflt = "{__name__=~'(?s:.*)'}", \
        .help = "Selector of series."                                                     \
    }

static const struct tool_param dump_flags[] = {
    DUMP_FLAGS,
    { .name = "format",
      .type = TOOL_ENUM,
      .choices = "prom,seriesjson",
      .dflt = "prom",
      .help = "Samples as text, or only the labels of series as JSON." },
};
static const struct tool_param dump_openmetrics_flags[] = { DUMP_FLAGS };

static const struct tool_param create_flags[] = {
    { .name = "human-readable",
      .type = TOOL_BOOL,
      .letter = 'r',
      .help = "Times and sizes for people." },
    { .name = "quiet", .type = TOOL_BOOL, .letter = 'q', .help = "Do not list the blocks made." },
    { .name = "max-block-duration",
      .type = TOOL_DURATION,
      .hidden = true,
      .help = "The longest time a block may span; less than 2h is 2h." },
};
static const struct tool_param import_flags[] = {
    { .name = "label",
      .type = TOOL_MAP,
      .many = true,
      .help = "Label for all series: name=value." },
};
static const struct tool_param import_args[] = {
    { .name = "input file", .type = TOOL_STR, .required = true, .help = "OpenMetrics text." },
    { .name = "output directory",
      .type = TOOL_STR,
      .dflt = "data/",
      .help = "Where the blocks go." },
};

static const struct tool_param server_flags[] = { HTTP_CONFIG, SERVER_URL };

static const struct tool_param query_flags[] = {
    { .name = "format",
      .type = TOOL_ENUM,
      .letter = 'o',
      .choices = "promql,json",
      .dflt = "promql",
      .help = "How answers are printed." },
    HTTP_CONFIG,
};

#define SERVER_ARG                                                                        \
    {                                                                                     \
        .name = "server", .type = TOOL_URL, .required = true, .help = "The server's URL." \
    }
#define EXPR_ARG                                                                      \
    {                                                                                 \
        .name = "expr", .type = TOOL_STR, .required = true, .help = "The expression." \
    }
#define HEADER_FLAG                                                                             \
    {                                                                                           \
        .name = "header", .type = TOOL_MAP, .many = true, .help = "Header to send: name=value." \
    }
#define START_FLAG                                                               \
    {                                                                            \
        .name = "start", .type = TOOL_STR, .help = "Start: RFC 3339 or seconds." \
    }
#define END_FLAG                                                             \
    {                                                                        \
        .name = "end", .type = TOOL_STR, .help = "End: RFC 3339 or seconds." \
    }

static const struct tool_param instant_flags[] = {
    { .name = "time", .type = TOOL_STR, .help = "Time of evaluation: RFC 3339 or seconds." },
    HEADER_FLAG,
};
static const struct tool_param range_flags[] = {
    HEADER_FLAG,
    START_FLAG,
    END_FLAG,
    { .name = "step", .type = TOOL_DURATION, .help = "Between two points." },
};
static const struct tool_param query_args[] = { SERVER_ARG, EXPR_ARG };

static const struct tool_param series_flags[] = {
    { .name = "match",
      .type = TOOL_STR,
      .required = true,
      .many = true,
      .help = "Selector of series." },
    START_FLAG,
    END_FLAG,
};
static const struct tool_param series_args[] = { SERVER_ARG };

static const struct tool_param labels_flags[] = {
    START_FLAG,
    END_FLAG,
    { .name = "match", .type = TOOL_STR, .many = true, .help = "Selector of series." },
};
static const struct tool_param labels_args[] = {
    SERVER_ARG,
    { .name = "name", .type = TOOL_STR, .required = true, .help = "The label." },
};

#define QUERY_ARG                                                                      \
    {                                                                                  \
        .name = "query", .type = TOOL_STR, .required = true, .help = "The expression." \
    }
#define NAME_ARG                                                                 \
    {                                                                            \
        .name = "name", .type = TOOL_STR, .required = true, .help = "The label." \
    }

static const struct tool_param format_args[] = { QUERY_ARG };
static const struct tool_param matchers_set_flags[] = {
    { .name = "type",
      .type = TOOL_ENUM,
      .letter = 't',
      .choices = "=,!=,=~,!~",
      .dflt = "=",
      .help = "How the label is matched." },
};
static const struct tool_param matchers_set_args[] = {
    QUERY_ARG,
    NAME_ARG,
    { .name = "value", .type = TOOL_STR, .required = true, .help = "The value." },
};
static const struct tool_param matchers_delete_args[] = { QUERY_ARG, NAME_ARG };

static const struct tool_param sd_flags[] = {
    { .name = "timeout",
      .type = TOOL_DURATION,
      .dflt = "30s",
      .help = "Accepted for compatibility: static and file targets are there at once." },
};
static const struct tool_param sd_args[] = {
    { .name = "config-file",
      .type = TOOL_FILE,
      .required = true,
      .help = "The configuration file." },
    { .name = "job", .type = TOOL_STR, .required = true, .help = "The job's name." },
};

/* Commands of promtool that are not built yet: their lines are understood, and refused. */
static const struct tool_param any_args[] = {
    { .name = "args", .type = TOOL_STR, .many = true, .help = "Not read." },
};

static int
not_built(struct tool *t)
{
    fprintf(stderr, "narthextool: %s is not built yet\n", t->line.command->name);
    return TOOL_FAILED;
}

const struct tool_command tool_commands[] = {
    { "", PARAMS(root_flags), NO_PARAMS, NULL,
      "Checks, tests and converts what a Prometheus server reads and writes.", false },
    { "check", PARAMS(check_flags), NO_PARAMS, NULL, "Check files for validity.", false },
    { "check config", PARAMS(check_config_flags), PARAMS(check_config_args), tool_check_config,
      "Check configuration files and what they name.", false },
    { "check web-config", NO_PARAMS, PARAMS(check_web_args), tool_check_web_config,
      "Check web configuration files.", false },
    { "check rules", PARAMS(check_rules_flags), PARAMS(check_rules_args), tool_check_rules,
      "Check rule files.", false },
    { "check metrics", PARAMS(check_metrics_flags), NO_PARAMS, tool_check_metrics,
      "Hold an exposition page on standard input against the naming rules.", false },
    { "test", PARAMS(test_flags), NO_PARAMS, NULL, "Run unit tests.", false },
    { "test rules", PARAMS(test_rules_flags), PARAMS(test_rules_args), tool_test_rules,
      "Run unit tests of rules.", false },
    { "tsdb", NO_PARAMS, NO_PARAMS, NULL, "Look into data directories and make blocks.", false },
    { "tsdb analyze", PARAMS(analyze_flags), PARAMS(analyze_args), tool_tsdb_analyze,
      "Churn, cardinality and chunks of a block.", false },
    { "tsdb list", PARAMS(list_flags), PARAMS(db_args), tool_tsdb_list, "List the blocks.", false },
    { "tsdb dump", PARAMS(dump_flags), PARAMS(db_args), tool_tsdb_dump,
      "Print all series and samples.", false },
    { "tsdb dump-openmetrics", PARAMS(dump_openmetrics_flags), PARAMS(db_args),
      tool_tsdb_dump_openmetrics, "Print samples as OpenMetrics text, without native histograms.",
      false },
    { "tsdb create-blocks-from", PARAMS(create_flags), NO_PARAMS, NULL, "Make blocks.", false },
    { "tsdb create-blocks-from openmetrics", PARAMS(import_flags), PARAMS(import_args),
      tool_import_openmetrics, "Make blocks from OpenMetrics text.", false },
    { "check healthy", PARAMS(server_flags), NO_PARAMS, tool_check_healthy,
      "Ask a server whether it is healthy.", false },
    { "check ready", PARAMS(server_flags), NO_PARAMS, tool_check_ready,
      "Ask a server whether it is ready.", false },
    { "query", PARAMS(query_flags), NO_PARAMS, NULL, "Query a server.", false },
    { "query instant", PARAMS(instant_flags), PARAMS(query_args), tool_query_instant,
      "Instant query.", false },
    { "query range", PARAMS(range_flags), PARAMS(query_args), tool_query_range, "Range query.",
      false },
    { "query series", PARAMS(series_flags), PARAMS(series_args), tool_query_series,
      "Series that selectors find.", false },
    { "query labels", PARAMS(labels_flags), PARAMS(labels_args), tool_query_labels,
      "Values of a label.", false },
    { "promql", NO_PARAMS, NO_PARAMS, NULL, "Print and change expressions; needs --experimental.",
      false },
    { "promql format", NO_PARAMS, PARAMS(format_args), tool_promql_format,
      "Print an expression with line breaks.", false },
    { "promql label-matchers", NO_PARAMS, NO_PARAMS, NULL, "Change matchers of an expression.",
      false },
    { "promql label-matchers set", PARAMS(matchers_set_flags), PARAMS(matchers_set_args),
      tool_matchers_set, "Set or replace a matcher in every selector.", false },
    { "promql label-matchers delete", NO_PARAMS, PARAMS(matchers_delete_args), tool_matchers_delete,
      "Take a matcher out of every selector.", false },
    { "check service-discovery", PARAMS(sd_flags), PARAMS(sd_args), tool_check_sd,
      "The targets of a job before and after relabelling.", false },
    { "push", NO_PARAMS, NO_PARAMS, NULL, "Push to a server.", false },
    { "push metrics", NO_PARAMS, PARAMS(any_args), not_built, "Not built yet.", true },
    { "query analyze", NO_PARAMS, PARAMS(any_args), not_built, "Not built yet.", true },
    { "debug", NO_PARAMS, NO_PARAMS, NULL, "Collect what a server says of itself.", true },
    { "debug pprof", NO_PARAMS, PARAMS(any_args), not_built, "Not built yet.", true },
    { "debug metrics", NO_PARAMS, PARAMS(any_args), not_built, "Not built yet.", true },
    { "debug all", NO_PARAMS, PARAMS(any_args), not_built, "Not built yet.", true },
    { "tsdb bench write", NO_PARAMS, PARAMS(any_args), not_built, "Not built yet.", true },
    { "tsdb bench", NO_PARAMS, NO_PARAMS, NULL, "Benchmarks.", true },
    { "tsdb create-blocks-from rules", NO_PARAMS, PARAMS(any_args), not_built, "Not built yet.",
      true },
};
const size_t tool_commands_nr = ARRAY_LEN(tool_commands);

static const struct {
    const char *name;
    size_t offset;
} features[] = {
    { "promql-experimental-functions", offsetof(struct tool, parse.experimental_functions) },
    { "promql-extended-range-selectors", offsetof(struct tool, parse.extended_ranges) },
    { "promql-binop-fill-modifiers", offsetof(struct tool, parse.fill_modifiers) },
    { "promql-delayed-name-removal", offsetof(struct tool, delayed_name_removal) },
    { "promql-duration-expr", SIZE_MAX }, /* always on */
    { "", SIZE_MAX },
};

static void
enable(struct tool *t, struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        if (!str_is(name, features[i].name))
            continue;
        if (features[i].offset != SIZE_MAX)
            *((bool *)t + features[i].offset) = true;
        return;
    }
    printf("  WARNING: Unknown feature passed to --enable-feature: %.*s", STR_ARG(name));
}

static void
enable_features(struct tool *t)
{
    size_t nr;
    const struct str *lists = tool_strs(&t->line, "enable-feature", &nr);

    t->parse.duration_expressions = true;
    for (size_t i = 0; i < nr; i++)
        for (size_t from = 0; from <= lists[i].n;) {
            size_t end = str_find(lists[i], ',', from);
            enable(t, (struct str){ lists[i].p + from, end - from });
            from = end + 1;
        }
}

int
main(int argc, char **argv)
{
    struct tool t = { .io = io_posix(), .clock = clock_real() };
    struct buf out = { 0 }, err = { 0 };

    signal(SIGPIPE, SIG_DFL); /* `narthextool tsdb dump | head` ends quietly */
    io_guard_install();
    int status =
        tool_line_parse(&t.line, tool_commands, tool_commands_nr, argc, argv, t.io, &out, &err);
    tool_put(&out, stdout);
    tool_put(&err, stderr);
    if (status < 0 && tool_bool(&t.line, "version")) {
        printf("narthextool, version %s (as promtool %s)\n", NARTHEX_VERSION, PROMETHEUS_VERSION);
        status = TOOL_OK;
    } else if (status < 0) {
        struct log_sink *sink = log_sink_new(STDERR_FILENO, LOG_WARN, LOG_LOGFMT);
        t.log = (struct log){ .sink = sink };
        enable_features(&t);
        status = t.line.command->run(&t);
        log_sink_free(sink);
    }
    buf_fini(&out);
    buf_fini(&err);
    tool_line_fini(&t.line);
    return status;
}
