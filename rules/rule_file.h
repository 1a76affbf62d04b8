/* rules/rule_file.h: one rule file: groups of recording and alerting rules, parsed and checked with
 * line numbers.
 *
 * Expressions are checked by promql/parser.h and kept as text; who evaluates parses them again into
 * an arena of his own. Everything is immutable and belongs to the rule_file; not thread-safe while
 * loading. */
#pragma once
#include "base/conf.h"
#include "base/io.h"
#include "model/labels.h"

struct rule_config {
    uint32_t line;      /* of its first key in the file */
    uint32_t expr_line; /* of the expression */
    struct str record;  /* one of these two is not empty */
    struct str alert;
    struct str expr;
    int64_t for_ms, keep_firing_for_ms;
    struct conf_map label_map, annotations; /* sorted by name; values are templates for alerts */
};

struct rule_group_config {
    uint32_t line;
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
    bool legacy_names;   /* label names are checked by the legacy scheme */
    bool ignore_unknown; /* unknown keys are no error (promtool) */
    const struct promql_parse_options
        *parser; /* which experimental functions are on; NULL: default */
};

/* Reads and checks a file. False: `err` says the first thing wrong ("file.yml: 3:9: group "x", rule
 * 0, ..."). rule_file_free() accepts NULL. */
MUST_CHECK bool
rule_file_load(const struct io *io, const char *path, const struct rule_file_options *options,
               struct rule_file **file, struct error *err);
/* The same for a text in memory; name is for messages. */
MUST_CHECK bool
rule_file_parse(struct str text, const char *name, const struct rule_file_options *options,
                struct rule_file **file, struct error *err);
void rule_file_free(struct rule_file *file);
