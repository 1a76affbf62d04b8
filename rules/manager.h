/* rules/manager.h: the manager's own struct, shared by this directory only. `lock` guards the list
 * of groups and their scheduling. */
#pragma once
#include "rules/group.h"

struct retired {
    struct rule_group *group;
    int64_t due_mono_ns; /* when its series are marked stale */
    int64_t t_ms;        /* the marker's time: that of the reload */
};

/* What a reload gives to all groups alike. Immutable; an evaluation keeps what it started with, so
 * that a reload need not wait for the slow ones. */
struct rules_surroundings {
    _Atomic unsigned refs;
    struct arena arena; /* holds the rest */
    struct labels external_labels;
    struct str external_url;
    int64_t query_offset_ms;
};

struct rules_manager {
    struct rules_options options;
    struct rules_metrics metrics;
    _Atomic int64_t slots; /* of concurrent_evals_max, those that are free */
    struct lock lock;
    struct cond changed;        /* a group finished, a reload, the end */
    struct rule_group **groups; /* by key */
    size_t groups_nr;
    struct retired *retired;
    size_t retired_nr, retired_cap;
    struct rules_surroundings *surroundings; /* a reference */
    bool loaded;            /* rule files were applied once: later groups are not restored */
    int64_t resend_mono_ns; /* when restored alerts are sent; 0: no more */
    bool started;
    _Atomic bool stopping;
    pthread_t thread;
};
