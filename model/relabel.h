/* model/relabel.h: rewriting label sets by rules: what relabel_configs, metric_relabel_configs and
 * the like do.
 *
 * A list of rules is immutable once made; any number of threads may apply it. Who makes the rules
 * (model/relabel_config.h for configuration files) owns their strings and expressions and has
 * checked them: `target_label` is a valid name or a template of names, `modulus` is not 0 for
 * RELABEL_HASHMOD, `re` is set for every action that matches. The semantics are Prometheus's, to
 * the order in which labelmap visits labels. */
#pragma once
#include "base/arena.h"
#include "base/regex.h"
#include "model/labels.h"

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL
};
#define RELABEL_ACTIONS_NR 11

struct relabel_rule {
    enum relabel_action action;
    const struct str *source_labels;
    size_t source_labels_nr;
    struct str separator;
    const struct regex *re; /* REGEX_ANCHORED; borrowed */
    uint64_t modulus;
    struct str target_label, replacement;
    bool legacy_names; /* a target name outside the legacy alphabet leaves the labels alone */
};

/* "replace", ... */
const char *relabel_action_text(enum relabel_action action);
/* By name in any case; false when there is none. */
bool relabel_action_of(struct str text, enum relabel_action *action);

/* Applies the rules in order to what is in the builder. False: the set is dropped, and the builder
 * holds what it had come to. Strings that rules make live in `arena`, which must outlive the
 * builder's contents. */
bool relabel_apply(const struct relabel_rule *rules, size_t rules_nr, struct labels_builder *b,
                   struct arena *arena);
