/* rules/rules_metrics.h: the metric families of rule evaluation, under Prometheus's names. Shared
 * by this directory only. All calls accept metrics that were made without a registry and then do
 * nothing. */
#pragma once
#include "base/metrics.h"

struct rules_metrics {
    struct metric_family *evaluations, *failures, *iterations, *missed, *interval, *last_evaluation,
        *last_duration, *last_rule_sum, *last_restore, *rules, *samples;
    struct metric_summary *rule_duration, *group_duration;
    struct metric_histogram *rule_duration_histogram, *group_duration_histogram;
};

/* One group's series. */
struct rule_group_metrics {
    struct metric *evaluations, *failures, *iterations, *missed, *interval, *last_evaluation,
        *last_duration, *last_rule_sum, *last_restore, *rules, *samples;
};

void rules_metrics_init(struct rules_metrics *rm, struct metrics *registry);
void rule_group_metrics_init(struct rule_group_metrics *gm, const struct rules_metrics *rm,
                             struct str key);
void rule_group_metrics_remove(const struct rules_metrics *rm, struct str key);

static inline void
metric_add_if(struct metric *m, double by)
{
    if (m != NULL)
        metric_add(m, by);
}

static inline void
metric_set_if(struct metric *m, double v)
{
    if (m != NULL)
        metric_set(m, v);
}
