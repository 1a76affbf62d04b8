/* rules/rule_file.h: one rule file: groups of recording and alerting rules, parsed and checked with
 * line numbers.
 *
 * Expressions and templates are checked and kept as text; who evaluates parses them again into
 * memory of his own. Everything is immutable and belongs to the rule_file. Loading has one owner
 * thread; what is loaded may be read by any. */
#pragma once
#include "base/conf.h"
#include "base/io.h"
#include "model/labels.h"
#include "promql/parser.h"

struct rule_config {
    struct conf_pos record_at, alert_at, expr_at; /* of the values; zero when not there */
    struct str record;                            /* one of these two is not empty */
    struct str alert;
    struct str expr;
    int64_t for_ms, keep_firing_for_ms;
    struct conf_map label_map, annotations; /* sorted by name; values are templates for alerts */
};

struct rule_group_config {
    struct str name;
    int64_t interval_ms;     /* 0: global.evaluation_interval */
    bool query_offset_given; /* else global.rule_query_offset */
    int64_t query_offset_ms;
    int64_t limit; /* 0: none */
    struct conf_map label_map;
    CONF_LIST(struct rule_config) rules;
};

struct rule_file {
    struct conf_pool *pool;
    CONF_LIST(struct rule_group_config) groups;
};

struct rule_file_options {
    bool legacy_names;   /* label and metric names are checked by the legacy scheme */
    bool ignore_unknown; /* unknown keys are no error (promtool) */
    const struct promql_parse_options
        *parser; /* which parts of the language are on; NULL: a server's default */
};

/* Everything that is wrong with a file, in Prometheus's words and order:
 * `7:15: group "g", rule 1, "x": could not parse expression: 1:7: parse error: unexpected end of
 * input`. */
struct rule_file_errors {
    char **items; /* owned, each too */
    size_t nr, cap;
};

void rule_file_errors_fini(struct rule_file_errors *errors);

/* NULL when errors is not empty. rule_file_free() releases. */
struct rule_file *rule_file_parse_all(struct str text, const struct rule_file_options *options,
                                      struct rule_file_errors *errors);

/* Reads and checks a file. False: `err` says "path: " and the first thing wrong, and how many more
 * there are. */
MUST_CHECK bool
rule_file_load(const struct io *io, const char *path, const struct rule_file_options *options,
               struct rule_file **file, struct error *err);
/* The same for a text in memory; name is for messages. */
MUST_CHECK bool
rule_file_parse(struct str text, const char *name, const struct rule_file_options *options,
                struct rule_file **file, struct error *err);
void rule_file_free(struct rule_file *file); /* accepts NULL */
