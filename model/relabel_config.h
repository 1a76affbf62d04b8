/* model/relabel_config.h: a list of relabelling rules in a configuration file, made into rules of
 * model/relabel.h.
 *
 * A section holds a struct relabel_list and includes it with RELABEL_ROW(); once the section's name
 * scheme is known, relabel_list_check() applies Prometheus's rules on which fields an action needs
 * and compiles `rules`. Lives in the conf_pool. */
#pragma once
#include "base/conf.h"
#include "model/relabel.h"

/* Which names are valid for metrics and labels. */
enum name_scheme { NAME_SCHEME_UNSET, NAME_SCHEME_LEGACY, NAME_SCHEME_UTF8 };

/* One rule as written. */
struct relabel_config {
    uint32_t line;
    struct conf_strs source_labels;
    struct str separator;
    struct regex *regex; /* NULL: not given, the default (.*); null in the file is the empty one */
    uint64_t modulus;
    struct str target_label, replacement;
    int action; /* enum relabel_action */
};

struct relabel_list {
    struct relabel_config *items;
    size_t nr;
    bool given;
    struct relabel_rule
        *rules; /* nr of them, after relabel_list_check(); what model/relabel.h runs */
};

/* Fills in the default expression, checks each rule under the scheme and makes `rules`. The line of
 * the rule is in err. */
MUST_CHECK bool relabel_list_check(struct conf_pool *pool, struct relabel_list *list,
                                   enum name_scheme scheme, struct error *err);

extern const struct conf_table relabel_config_table;

/* A row for a struct relabel_list; null_text is what to say for a null entry. */
#define RELABEL_ROW(key_, struct_, field_, null_text)                                           \
    {                                                                                           \
        .key = (key_), .type = CONF_STRUCTS, .flags = CONF_OMITEMPTY,                           \
        .offset = offsetof(struct_, field_), .table = &relabel_config_table, .bad = (null_text) \
    }
