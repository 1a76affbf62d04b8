/* scrape/metrics.h: the server's own metrics of scraping: prometheus_target_*. Thread-safe. */
#pragma once
#include "base/metrics.h"
#include "scrape/page_append.h"

struct scrape_metrics {
    struct metrics *registry;
    struct metric *pools, *pools_failed, *reloads, *reloads_failed, *exceeded_target_limit,
        *exceeded_label_limits;
    struct metric *sample_limit, *body_limit, *bucket_limit, *duplicates, *out_of_order,
        *out_of_bounds, *exemplar_out_of_order, *cache_flush, *refused;
    struct metric_family *syncs, *target_limit, *targets, *symbols, *sync_failed, *sync_length,
        *sync_histogram, *reload_length, *interval_length, *interval_histogram, *meta_bytes,
        *meta_entries;
    struct metric_histogram *duration;
};

void scrape_metrics_init(struct scrape_metrics *m, struct metrics *registry);
/* What one page's result adds. */
void scrape_metrics_page(struct scrape_metrics *m, const struct page_result *r);
void scrape_metrics_interval(struct scrape_metrics *m, int64_t interval_ms, double seconds,
                             int64_t monotonic_ns);
void
scrape_metrics_sync(struct scrape_metrics *m, struct str job, double seconds, int64_t monotonic_ns);
void scrape_metrics_reload(struct scrape_metrics *m, int64_t interval_ms, double seconds,
                           int64_t monotonic_ns);
/* A pool is gone: its series go too. */
void scrape_metrics_forget(struct scrape_metrics *m, struct str job);
