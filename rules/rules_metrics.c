#include "rules/rules_metrics.h"

static const char *const group_label[] = { "rule_group", NULL };
static const char *const no_label[] = { NULL };
static const double quantiles[] = { 0.01, 0.05, 0.5, 0.9, 0.99 };
/* Prometheus's default native-capable buckets as its classic histogram shows them. */
static const double duration_bounds[] = { 0.01, 0.1, 1, 10 };

/* One row per family with a series for each group. */
static const struct {
    size_t family_at, metric_at;
    enum metric_type type;
    const char *name, *help;
} families[] = {
#define ROW(field, type, name, help)                                                             \
    {                                                                                            \
        offsetof(struct rules_metrics, field), offsetof(struct rule_group_metrics, field), type, \
            "prometheus_rule_" name, help                                                        \
    }
    ROW(evaluations, METRIC_COUNTER, "evaluations_total", "The total number of rule evaluations."),
    ROW(failures, METRIC_COUNTER, "evaluation_failures_total",
        "The total number of rule evaluation failures."),
    ROW(iterations, METRIC_COUNTER, "group_iterations_total",
        "The total number of scheduled rule group evaluations, whether executed or missed."),
    ROW(missed, METRIC_COUNTER, "group_iterations_missed_total",
        "The total number of rule group evaluations missed due to slow rule group evaluation."),
    ROW(interval, METRIC_GAUGE, "group_interval_seconds", "The interval of a rule group."),
    ROW(last_evaluation, METRIC_GAUGE, "group_last_evaluation_timestamp_seconds",
        "The timestamp of the last rule group evaluation in seconds."),
    ROW(last_duration, METRIC_GAUGE, "group_last_duration_seconds",
        "The duration of the last rule group evaluation."),
    ROW(last_rule_sum, METRIC_GAUGE, "group_last_rule_duration_sum_seconds",
        "The sum of time in seconds it took to evaluate each rule in the group regardless of "
        "concurrency. This should be "
        "higher than the group duration if rules are evaluated concurrently."),
    ROW(last_restore, METRIC_GAUGE, "group_last_restore_duration_seconds",
        "The duration of the last alert rules alerts restoration using the `ALERTS_FOR_STATE` "
        "series."),
    ROW(rules, METRIC_GAUGE, "group_rules", "The number of rules."),
    ROW(samples, METRIC_GAUGE, "group_last_evaluation_samples",
        "The number of samples returned during the last rule group evaluation."),
#undef ROW
};

static struct metric_family **
family_of(struct rules_metrics *rm, size_t i)
{
    return (struct metric_family **)(void *)((char *)rm + families[i].family_at);
}

void
rules_metrics_init(struct rules_metrics *rm, struct metrics *registry)
{
    *rm = (struct rules_metrics){ 0 };
    if (registry == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        *family_of(rm, i) = metrics_family(registry, families[i].type, families[i].name,
                                           families[i].help, group_label);
    struct metric_family *f =
        metrics_family(registry, METRIC_SUMMARY, "prometheus_rule_evaluation_duration_seconds",
                       "The duration for a rule to execute.", no_label);
    rm->rule_duration = metrics_summary(f, NULL, quantiles + 2, ARRAY_LEN(quantiles) - 2);
    f = metrics_family(registry, METRIC_SUMMARY, "prometheus_rule_group_duration_seconds",
                       "The duration of rule group evaluations.", no_label);
    rm->group_duration = metrics_summary(f, NULL, quantiles, ARRAY_LEN(quantiles));
    f = metrics_family(registry, METRIC_HISTOGRAM,
                       "prometheus_rule_evaluation_duration_histogram_seconds",
                       "The duration for a rule to execute.", no_label);
    rm->rule_duration_histogram =
        metrics_histogram(f, NULL, duration_bounds, ARRAY_LEN(duration_bounds));
    f = metrics_family(registry, METRIC_HISTOGRAM,
                       "prometheus_rule_group_duration_histogram_seconds",
                       "The duration of rule group evaluations.", no_label);
    rm->group_duration_histogram =
        metrics_histogram(f, NULL, duration_bounds, ARRAY_LEN(duration_bounds));
}

void
rule_group_metrics_init(struct rule_group_metrics *gm, const struct rules_metrics *rm,
                        struct str key)
{
    *gm = (struct rule_group_metrics){ 0 };
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        struct metric_family *f = *family_of((struct rules_metrics *)(uintptr_t)rm, i);
        if (f != NULL)
            *(struct metric **)(void *)((char *)gm + families[i].metric_at) =
                metrics_child(f, &key);
    }
}

void
rule_group_metrics_remove(const struct rules_metrics *rm, struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        struct metric_family *f = *family_of((struct rules_metrics *)(uintptr_t)rm, i);
        if (f != NULL)
            metrics_child_remove(f, &key);
    }
}
