/* Names, labels and help texts of prometheus_target_*. */
#include "scrape/metrics.h"
#include "base/duration.h"

static const char *const by_job[] = { "scrape_job", NULL };
static const char *const by_interval[] = { "interval", NULL };
static const double interval_quantiles[] = { 0.01, 0.05, 0.5, 0.9, 0.99 };
static const double interval_bounds[] = { 0.01, 0.1, 1, 10 };

static void
counters(struct scrape_metrics *m, struct metrics *reg)
{
#define COUNTER(field, name, help) m->field = metrics_counter(reg, "prometheus_target_" name, help)
    COUNTER(pools, "scrape_pools_total", "Total number of scrape pool creation attempts.");
    COUNTER(pools_failed, "scrape_pools_failed_total",
            "Total number of scrape pool creations that failed.");
    COUNTER(reloads, "scrape_pool_reloads_total", "Total number of scrape pool reloads.");
    COUNTER(reloads_failed, "scrape_pool_reloads_failed_total",
            "Total number of failed scrape pool reloads.");
    COUNTER(
        exceeded_target_limit, "scrape_pool_exceeded_target_limit_total",
        "Total number of times scrape pools hit the target limit, during sync or config reload.");
    COUNTER(
        exceeded_label_limits, "scrape_pool_exceeded_label_limits_total",
        "Total number of times scrape pools hit the label limits, during sync or config reload.");
    COUNTER(sample_limit, "scrapes_exceeded_sample_limit_total",
            "Total number of scrapes that hit the sample limit and were rejected.");
    COUNTER(body_limit, "scrapes_exceeded_body_size_limit_total",
            "Total number of scrapes that hit the body size limit");
    COUNTER(
        bucket_limit, "scrapes_exceeded_native_histogram_bucket_limit_total",
        "Total number of scrapes that hit the native histogram bucket limit and were rejected.");
    COUNTER(duplicates, "scrapes_sample_duplicate_timestamp_total",
            "Total number of samples rejected due to duplicate timestamps but different values.");
    COUNTER(out_of_order, "scrapes_sample_out_of_order_total",
            "Total number of samples rejected due to not being out of the expected order.");
    COUNTER(
        out_of_bounds, "scrapes_sample_out_of_bounds_total",
        "Total number of samples rejected due to timestamp falling outside of the time bounds.");
    COUNTER(exemplar_out_of_order, "scrapes_exemplar_out_of_order_total",
            "Total number of exemplar rejected due to not being out of the expected order.");
    COUNTER(
        cache_flush, "scrapes_cache_flush_forced_total",
        "How many times a scrape cache was flushed due to getting big while scrapes are failing.");
#undef COUNTER
    m->refused = metrics_counter(
        reg, "narthex_scrape_samples_refused_total",
        "Scraped samples of new series that storage refused because memory is short.");
}

static void
families(struct scrape_metrics *m, struct metrics *reg)
{
#define FAMILY(field, type, name, labels, help) \
    m->field = metrics_family(reg, METRIC_##type, "prometheus_target_" name, help, labels)
    FAMILY(syncs, COUNTER, "scrape_pool_sync_total", by_job,
           "Total number of syncs that were executed on a scrape pool.");
    FAMILY(target_limit, GAUGE, "scrape_pool_target_limit", by_job,
           "Maximum number of targets allowed in this scrape pool.");
    FAMILY(targets, GAUGE, "scrape_pool_targets", by_job,
           "Current number of targets in this scrape pool.");
    FAMILY(symbols, GAUGE, "scrape_pool_symboltable_items", by_job,
           "Current number of symbols in the scrape pool.");
    FAMILY(sync_failed, COUNTER, "sync_failed_total", by_job,
           "Total number of target sync failures.");
    FAMILY(sync_length, SUMMARY, "sync_length_seconds", by_job,
           "Actual interval to sync the scrape pool.");
    FAMILY(sync_histogram, HISTOGRAM, "sync_length_histogram_seconds", by_job,
           "Actual interval to sync the scrape pool.");
    FAMILY(reload_length, SUMMARY, "reload_length_seconds", by_interval,
           "Actual interval to reload the scrape pool with a given configuration.");
    FAMILY(interval_length, SUMMARY, "interval_length_seconds", by_interval,
           "Actual intervals between scrapes.");
    FAMILY(interval_histogram, HISTOGRAM, "interval_length_histogram_seconds", by_interval,
           "Actual intervals between scrapes.");
    FAMILY(meta_bytes, GAUGE, "metadata_cache_bytes", by_job,
           "The number of bytes that are currently used for storing metric metadata in the cache");
    FAMILY(meta_entries, GAUGE, "metadata_cache_entries", by_job,
           "Total number of metric metadata entries in the cache");
#undef FAMILY
}

void
scrape_metrics_init(struct scrape_metrics *m, struct metrics *registry)
{
    static const double bounds[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 };

    *m = (struct scrape_metrics){ .registry = registry };
    counters(m, registry);
    families(m, registry);
    m->duration = metrics_histogram(
        metrics_family(registry, METRIC_HISTOGRAM, "prometheus_target_scrape_duration_seconds",
                       "Total duration of the scrape from start to commit completion in seconds.",
                       NULL),
        NULL, bounds, ARRAY_LEN(bounds));
}

void
scrape_metrics_page(struct scrape_metrics *m, const struct page_result *r)
{
    const struct {
        struct metric *metric;
        uint64_t by;
    } adds[] = {
        { m->duplicates, r->duplicates },
        { m->out_of_order, r->out_of_order },
        { m->out_of_bounds, r->out_of_bounds },
        { m->exemplar_out_of_order, r->exemplars_out_of_order },
        { m->refused, r->refused },
        { m->cache_flush, r->cache_flushed },
        { m->sample_limit, r->sample_limit },
        { m->bucket_limit, r->bucket_limit },
        { m->exceeded_label_limits, r->label_limits },
    };

    for (size_t i = 0; i < ARRAY_LEN(adds); i++)
        if (adds[i].by != 0)
            metric_add(adds[i].metric, (double)adds[i].by);
}

void
scrape_metrics_interval(struct scrape_metrics *m, int64_t interval_ms, double seconds,
                        int64_t monotonic_ns)
{
    char text[DURATION_TEXT_MAX];
    struct str values[] = { str_c(duration_go_text(interval_ms * 1000000, text)) };

    metric_summary_observe(metrics_summary(m->interval_length, values, interval_quantiles,
                                           ARRAY_LEN(interval_quantiles)),
                           seconds, monotonic_ns);
    metric_histogram_observe(metrics_histogram(m->interval_histogram, values, interval_bounds,
                                               ARRAY_LEN(interval_bounds)),
                             seconds);
}

void
scrape_metrics_sync(struct scrape_metrics *m, struct str job, double seconds, int64_t monotonic_ns)
{
    struct str values[] = { job };

    metric_inc(metrics_child(m->syncs, values));
    metric_summary_observe(
        metrics_summary(m->sync_length, values, interval_quantiles, ARRAY_LEN(interval_quantiles)),
        seconds, monotonic_ns);
    metric_histogram_observe(
        metrics_histogram(m->sync_histogram, values, interval_bounds, ARRAY_LEN(interval_bounds)),
        seconds);
}

void
scrape_metrics_reload(struct scrape_metrics *m, int64_t interval_ms, double seconds,
                      int64_t monotonic_ns)
{
    char text[DURATION_TEXT_MAX];
    struct str values[] = { str_c(duration_go_text(interval_ms * 1000000, text)) };

    metric_summary_observe(metrics_summary(m->reload_length, values, interval_quantiles,
                                           ARRAY_LEN(interval_quantiles)),
                           seconds, monotonic_ns);
}

void
scrape_metrics_forget(struct scrape_metrics *m, struct str job)
{
    struct metric_family *const all[] = { m->syncs,         m->target_limit, m->targets,
                                          m->symbols,       m->sync_failed,  m->sync_length,
                                          m->sync_histogram };
    struct str values[] = { job };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        metrics_child_remove(all[i], values);
}
