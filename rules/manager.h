/* rules/manager.h: the manager's own struct, shared by this directory only. `lock` guards the list
 * of groups and their scheduling. */
#pragma once
#include "rules/group.h"

struct retired {
    struct rule_group *group;
    int64_t due_mono_ns; /* when its series are marked stale */
    int64_t t_ms;        /* the marker's time: that of the reload */
};

struct rules_manager {
    struct rules_options options;
    struct rules_metrics metrics;
    struct lock lock;
    struct cond changed;        /* a group finished, a reload, the end */
    struct rule_group **groups; /* by key */
    size_t groups_nr;
    struct retired *retired;
    size_t retired_nr, retired_cap;
    struct arena *
        settings; /* holds external_labels and external_url; replaced at reload when nothing runs */
    struct labels external_labels;
    struct str external_url;
    int64_t query_offset_ms;
    bool loaded; /* rule files were applied once: later groups are not restored */
    bool started;
    bool reloading; /* nothing new is started meanwhile */
    _Atomic bool stopping;
    pthread_t thread;
};
