/* rules/depend.h: which rules of a group may be evaluated at the same time. Shared by this
 * directory only.
 *
 * A rule depends on an earlier one of its group when it selects what that one writes, in its
 * expression or in a `query` of its templates. The rules without dependencies come first, at the
 * same time; then, one by one, those that depend and are depended on; then, at the same time, those
 * that only depend. A selector without a name, or a query that a template puts together, may mean
 * any rule: such a group is evaluated in order. */
#pragma once
#include "rules/rule.h"

struct rule_batches {
    size_t *order; /* indices of rules; owned */
    size_t *ends;  /* of each batch in order; owned */
    size_t nr;     /* 0: in order, one after the other */
};

void rule_batches_init(struct rule_batches *b, const struct rules_options *options,
                       struct rule *const *rules, size_t rules_nr);
void rule_batches_fini(struct rule_batches *b);
