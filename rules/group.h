/* rules/group.h: a group of rules that are evaluated together, in order, at one timestamp. Shared
 * by this directory only.
 *
 * `lock` guards the rules' state that others read. One thread at a time evaluates (the manager sees
 * to it); it takes the lock only to publish, never during a query or a write. */
#pragma once
#include "base/lock.h"
#include "rules/depend.h"
#include "rules/rule.h"
#include "rules/rules_metrics.h"

struct rule_source;

struct rule_group {
    struct lock lock;
    struct str name, path; /* in the pool of the rule file, which `file` keeps */
    struct rule_source *file;
    char *key; /* "file;name": the label of metrics */
    int64_t interval_ns, limit, query_offset_ms;
    bool query_offset_given;
    struct rule **rules;
    size_t rules_nr;
    struct rule_batches batches;
    _Atomic int64_t *slots; /* how many more rules may run at once, in all groups; NULL: none */
    uint64_t hash;
    const struct rules_metrics *families; /* the manager's */
    struct rule_group_metrics metrics;

    /* Series of rules that a reload removed: they get a stale marker after the next evaluation. */
    struct labels *stale;
    size_t stale_nr, stale_cap;

    /* shown; under lock */
    int64_t evaluation_ns, last_evaluation_ns;

    /* Of the evaluating thread. Kept apart from what the manager's lock guards: the compiler tests
     * neighbouring flags with one load. */
    int64_t saved_at_ns; /* when its alerts were kept last */
    uint32_t evaluations_nr;
    bool should_restore;

    /* scheduling; under the manager's lock */
    int64_t slot_ns;     /* of the last evaluation, 0 before the first */
    int64_t due_mono_ns; /* when the next one is due */
    bool running;
    bool leaving; /* a reload replaces or removes it: not to be started again */
};

/* A loaded rule file, kept as long as a group of it lives. Groups end on the thread that reloads
 * and, when they leave, on the scheduler's. */
struct rule_source {
    struct rule_file *file;
    struct str path; /* owned */
    _Atomic unsigned refs;
};

void rule_source_unref(struct rule_source *source);

/* The newest evaluation time at or before now: Prometheus's slot for this file, group and interval.
 */
int64_t rule_group_slot(const struct rule_group *g, int64_t now_ns);

struct rule_group *
rule_group_new(const struct rules_options *options, struct rules_metrics *metrics,
               struct rule_source *source, const struct rule_group_config *config,
               int64_t interval_ms, bool restored, struct error *err);
void rule_group_free(struct rule_group *g);

/* Makes its metrics visible: it is in charge from now on. */
void rule_group_show(struct rule_group *g);
/* How far back it asks and writes: its own key or the global one. */
int64_t rule_group_offset_ms(const struct rule_group *g, int64_t global_ms);

bool rule_group_equal(const struct rule_group *a, const struct rule_group *b);
/* Moves state from the same group of before a reload: rules with equal names and labels keep alerts
 * and series. Nothing of `from` is running. */
void rule_group_take_state(struct rule_group *g, struct rule_group *from);

/* Evaluates all rules at slot_ns. cx gives the surroundings; its arena is reset for each rule. */
void rule_group_evaluate(struct rule_group *g, const struct rules_options *options,
                         struct labels external_labels, struct str external_url,
                         int64_t query_offset_ms, int64_t slot_ns, const _Atomic bool *canceled);
/* Marks every series of the group stale at slot_ns: it is gone from the configuration. */
void rule_group_mark_stale(struct rule_group *g, const struct rules_options *options, int64_t t_ms);
/* Sends what fires according to the kept state, as of now_ns. */
void rule_group_send_restored(struct rule_group *g, const struct rules_options *options,
                              struct str external_url, int64_t now_ns);
/* Restores `for` of all alerting rules as of now_ns. */
void rule_group_restore(struct rule_group *g, const struct rules_options *options, int64_t now_ns,
                        const _Atomic bool *canceled);
