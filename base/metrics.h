/* base/metrics.h: the server's own metrics: registry, counters, gauges, histograms, summaries,
 * collectors.
 *
 * Families are registered once at start on a registry object; names and help texts are Prometheus's
 * own where the family exists there (surface/self_metrics.tsv), else narthex_*. Updating is
 * lock-free and thread-safe. A metric belongs to its registry and lives as long. Series with labels
 * are made by metrics_child() (cheap, may be kept) or given by a collector callback at scrape time
 * (targets, rule groups: sets that change). */
#pragma once
#include <stdatomic.h>
#include "base/buf.h"

struct metrics;
struct metric_family;

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_SUMMARY, METRIC_UNTYPED };

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/* A float that many threads add to. Counters only grow. */
struct metric {
    _Atomic uint64_t bits; /* double */
};

void metric_add(struct metric *m, double by);
void metric_set(struct metric *m, double v);
double metric_get(const struct metric *m);
static inline void
metric_inc(struct metric *m)
{
    metric_add(m, 1);
}

/* Without labels: one series, starts at 0. The same name twice returns the same series (several
 * servers in one test process use several registries). name, help: static storage. */
struct metric *metrics_counter(struct metrics *m, const char *name, const char *help);
struct metric *metrics_gauge(struct metrics *m, const char *name, const char *help);

/* With labels: names are a NULL-terminated static array. */
struct metric_family *metrics_family(struct metrics *m, enum metric_type type, const char *name,
                                     const char *help, const char *const *label_names);
/* The series for these label values (as many as names), made on first use. */
struct metric *metrics_child(struct metric_family *f, const struct str *values);
void metrics_child_remove(struct metric_family *f, const struct str *values);

/* Classic histogram with the given upper bounds (without +Inf). */
struct metric_histogram;
struct metric_histogram *metrics_histogram(struct metric_family *f, const struct str *values,
                                           const double *bounds, size_t bounds_nr);
void metric_histogram_observe(struct metric_histogram *h, double v);

/* Windowed summary (quantiles over the last 10 minutes, as client_golang's default objectives are
 * used by Prometheus). */
struct metric_summary;
struct metric_summary *metrics_summary(struct metric_family *f, const struct str *values,
                                       const double *quantiles, size_t quantiles_nr);
void metric_summary_observe(struct metric_summary *s, double v, int64_t monotonic_ns);

/* Called at every scrape of /metrics to emit series of f: metrics_emit() for each. Must not
 * register. */
struct metrics_out;
typedef void (*metrics_collect_fn)(void *arg, struct metrics_out *out);
void
metrics_collector(struct metrics *m, struct metric_family *f, metrics_collect_fn fn, void *arg);
void metrics_emit(struct metrics_out *out, const struct str *values, double v);

/* All families, sorted by name, as text 0.0.4 or as delimited protobuf MetricFamily messages. */
void metrics_write_text(struct metrics *m, struct buf *out, int64_t monotonic_ns);
void metrics_write_protobuf(struct metrics *m, struct buf *out, int64_t monotonic_ns);
