#include "tsdb/head_append_priv.h"

#include <stdlib.h>
#include "base/mem.h"

static void
collect_gauge(void *arg, struct metrics_out *out, double v)
{
    (void)arg;
    metrics_emit(out, NULL, v);
}

static void
collect_series(void *arg, struct metrics_out *out)
{
    collect_gauge(arg, out, (double)head_series_nr(arg));
}

static void
collect_chunks(void *arg, struct metrics_out *out)
{
    collect_gauge(arg, out, (double)head_chunks_nr(arg));
}

static void
collect_min(void *arg, struct metrics_out *out)
{
    collect_gauge(arg, out, (double)head_min_ms(arg));
}

static void
collect_max(void *arg, struct metrics_out *out)
{
    collect_gauge(arg, out, (double)head_max_ms(arg));
}

static void
collect_min_s(void *arg, struct metrics_out *out)
{
    collect_gauge(arg, out, (double)head_min_ms(arg) / 1000);
}

static void
collect_max_s(void *arg, struct metrics_out *out)
{
    collect_gauge(arg, out, (double)head_max_ms(arg) / 1000);
}

static void
collect_low(void *arg, struct metrics_out *out)
{
    uint64_t low, high;

    isolation_marks(&((struct head *)arg)->isolation, &low, &high);
    collect_gauge(arg, out, (double)low);
}

static void
collect_high(void *arg, struct metrics_out *out)
{
    uint64_t low, high;

    isolation_marks(&((struct head *)arg)->isolation, &low, &high);
    collect_gauge(arg, out, (double)high);
}

static void
collect_chunks_bytes(void *arg, struct metrics_out *out)
{
    struct head *h = arg;

    collect_gauge(arg, out, h->chunks == NULL ? 0 : (double)head_chunks_bytes(h->chunks));
}

static void
collect_stale(void *arg, struct metrics_out *out)
{
    collect_gauge(arg, out, (double)atomic_load(&((struct head *)arg)->stale_nr));
}

static void
collect_histograms(void *arg, struct metrics_out *out)
{
    collect_gauge(arg, out, (double)atomic_load(&((struct head *)arg)->histogram_nr));
}

static const struct {
    const char *name, *help;
    metrics_collect_fn fn;
} gauges[] = {
    { "prometheus_tsdb_head_stale_series", "Total number of stale series in the head block.",
      collect_stale },
    { "prometheus_tsdb_head_native_histogram_series",
      "Number of series whose most recent in-order sample is a native histogram.",
      collect_histograms },
    { "prometheus_tsdb_head_series", "Total number of series in the head block.", collect_series },
    { "prometheus_tsdb_head_chunks", "Total number of chunks in the head block.", collect_chunks },
    { "prometheus_tsdb_head_min_time",
      "Minimum time bound of the head block. The unit is decided by the library consumer.",
      collect_min },
    { "prometheus_tsdb_head_max_time",
      "Maximum timestamp of the head block. The unit is decided by the library consumer.",
      collect_max },
    { "prometheus_tsdb_head_min_time_seconds", "Minimum time bound of the head block.",
      collect_min_s },
    { "prometheus_tsdb_head_max_time_seconds", "Maximum timestamp of the head block.",
      collect_max_s },
    { "prometheus_tsdb_isolation_low_watermark",
      "The lowest TSDB append ID that is still referenced.", collect_low },
    { "prometheus_tsdb_isolation_high_watermark",
      "The highest TSDB append ID that has been given out.", collect_high },
    { "prometheus_tsdb_head_chunks_storage_size_bytes", "Size of the chunks_head directory.",
      collect_chunks_bytes },
};

static struct metric *
typed(struct metrics *m, const char *name, const char *help, const char *type)
{
    static const char *const names[] = { "type", NULL };
    struct str value = str_c(type);

    return metrics_child(metrics_family(m, METRIC_COUNTER, name, help, names), &value);
}

static void
metrics_none(struct head *h)
{
    struct metric **all[] = {
        &h->m.series_created,     &h->m.series_removed,    &h->m.series_not_found,
        &h->m.chunks_created,     &h->m.chunks_removed,    &h->m.appended_float,
        &h->m.appended_histogram, &h->m.truncations,       &h->m.mmap_chunks,
        &h->m.active_appenders,   &h->m.appenders_created, &h->m.seal_failed,
        &h->m.out_of_order[0],    &h->m.out_of_order[1],   &h->m.out_of_bounds[0],
        &h->m.out_of_bounds[1],   &h->m.too_old[0],        &h->m.too_old[1]
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        *all[i] = &h->unused;
}

static void
metrics_register(struct head *h, struct metrics *m)
{
    struct head_metrics *hm = &h->m;

    hm->series_created = metrics_counter(m, "prometheus_tsdb_head_series_created_total",
                                         "Total number of series created in the head");
    hm->series_removed = metrics_counter(m, "prometheus_tsdb_head_series_removed_total",
                                         "Total number of series removed in the head");
    hm->series_not_found =
        metrics_counter(m, "prometheus_tsdb_head_series_not_found_total",
                        "Total number of requests for series that were not found.");
    hm->chunks_created = metrics_counter(m, "prometheus_tsdb_head_chunks_created_total",
                                         "Total number of chunks created in the head");
    hm->chunks_removed = metrics_counter(m, "prometheus_tsdb_head_chunks_removed_total",
                                         "Total number of chunks removed in the head");
    hm->appended_float = typed(m, "prometheus_tsdb_head_samples_appended_total",
                               "Total number of appended samples.", "float");
    hm->appended_histogram = typed(m, "prometheus_tsdb_head_samples_appended_total",
                                   "Total number of appended samples.", "histogram");
    for (size_t i = 0; i < 2; i++) {
        const char *type = i == 0 ? "float" : "histogram";
        hm->out_of_order[i] =
            typed(m, "prometheus_tsdb_out_of_order_samples_total",
                  "Total number of out of order samples ingestion failed attempts due to "
                  "out of order being disabled.",
                  type);
        hm->out_of_bounds[i] =
            typed(m, "prometheus_tsdb_out_of_bound_samples_total",
                  "Total number of out of bound samples ingestion failed attempts with out "
                  "of order support disabled.",
                  type);
        hm->too_old[i] =
            typed(m, "prometheus_tsdb_too_old_samples_total",
                  "Total number of out of order samples ingestion failed attempts with out of "
                  "support enabled, but sample outside of time window.",
                  type);
    }
    hm->truncations = metrics_counter(m, "prometheus_tsdb_head_truncations_total",
                                      "Total number of head truncations attempted.");
    hm->mmap_chunks = metrics_counter(m, "prometheus_tsdb_mmap_chunks_total",
                                      "Total number of chunks that were memory-mapped.");
    hm->active_appenders = metrics_gauge(m, "prometheus_tsdb_head_active_appenders",
                                         "Number of currently active appender transactions");
    hm->appenders_created = metrics_counter(m, "prometheus_tsdb_head_appenders_created_total",
                                            "Total number of appenders created.");
    hm->seal_failed =
        metrics_counter(m, "narthex_head_chunk_writes_failed_total",
                        "Writes to chunks_head that failed; the chunks stayed in memory.");
    for (size_t i = 0; i < ARRAY_LEN(gauges); i++)
        metrics_collector(m, metrics_family(m, METRIC_GAUGE, gauges[i].name, gauges[i].help, NULL),
                          gauges[i].fn, h);
    static const double quantiles[] = { 0 };
    hm->gc = metrics_summary(
        metrics_family(m, METRIC_SUMMARY, "prometheus_tsdb_head_gc_duration_seconds",
                       "Runtime of garbage collection in the head block.", NULL),
        NULL, quantiles, 0);
}

struct head *
head_new(const struct head_options *options)
{
    struct head *h = MEM_NEW(struct head);

    h->o = *options;
    h->appendable.begin = head_append_begin;
    atomic_store(&h->min_ms, INT64_MAX);
    atomic_store(&h->max_ms, INT64_MIN);
    atomic_store(&h->min_valid_ms, INT64_MIN);
    atomic_store(&h->next_ref, 1);
    h->next_sid = 1;
    h->slabs =
        calloc(SLABS_MAX, sizeof *h->slabs); /* 1 MiB of which the kernel backs what is used */
    if (h->slabs == NULL)
        mem_exhausted(SLABS_MAX * sizeof *h->slabs);
    for (size_t i = 0; i < SHARDS_NR; i++)
        lock_init(&h->shards[i].lock, LOCK_STRIPE, "head shard");
    lock_init(&h->slab_lock, LOCK_POSTINGS, "head slabs");
    lock_init(&h->appenders_lock, LOCK_HEAD, "head appenders");
    rwlock_init(&h->tombstones_lock, LOCK_HEAD, "head tombstones");
    head_refs_init(&h->refs);
    head_postings_init(&h->postings);
    isolation_init(&h->isolation, h);
    metrics_none(h);
    if (h->o.metrics != NULL)
        metrics_register(h, h->o.metrics);
    return h;
}

void
head_free(struct head *h)
{
    if (h == NULL)
        return;
    head_appenders_free(h);
    isolation_fini(&h->isolation);
    for (uint32_t sid = 1; sid < h->next_sid; sid++) {
        struct head_series *s = head_series_at(h, sid);
        if ((s->flags & SERIES_LIVE) != 0)
            head_series_release(h, s);
    }
    for (size_t i = 0; i < SLABS_MAX && atomic_load(&h->slabs[i]) != NULL; i++)
        free(atomic_load(&h->slabs[i]));
    free(h->slabs);
    for (size_t i = 0; i < SHARDS_NR; i++) {
        mem_free(h->shards[i].slots);
        lock_fini(&h->shards[i].lock);
    }
    head_refs_fini(&h->refs);
    head_postings_fini(&h->postings);
    tombstones_fini(&h->tombstones);
    mem_free(h->free_sids);
    lock_fini(&h->slab_lock);
    lock_fini(&h->appenders_lock);
    rwlock_fini(&h->tombstones_lock);
    mem_free(h);
}

void
head_attach(struct head *h, struct wal *wal, struct head_chunks *chunks)
{
    if (wal != NULL)
        h->wal = wal;
    if (chunks != NULL)
        h->chunks = chunks;
}

struct isolation *
head_isolation(struct head *h)
{
    return &h->isolation;
}

struct appendable *
head_appendable(struct head *h)
{
    return &h->appendable;
}

int64_t
head_min_ms(const struct head *h)
{
    return atomic_load_explicit(&h->min_ms, memory_order_acquire);
}

int64_t
head_max_ms(const struct head *h)
{
    return atomic_load_explicit(&h->max_ms, memory_order_acquire);
}

int64_t
head_min_valid_ms(const struct head *h)
{
    return atomic_load_explicit(&h->min_valid_ms, memory_order_acquire);
}

void
head_set_min_valid_ms(struct head *h, int64_t t_ms)
{
    int64_t now = atomic_load(&h->min_valid_ms);

    while (now < t_ms && !atomic_compare_exchange_weak(&h->min_valid_ms, &now, t_ms))
        continue;
}

void
head_bounds_update(struct head *h, int64_t min_ms, int64_t max_ms)
{
    int64_t now = atomic_load(&h->min_ms);

    while (min_ms < now && !atomic_compare_exchange_weak(&h->min_ms, &now, min_ms))
        continue;
    now = atomic_load(&h->max_ms);
    while (max_ms > now && !atomic_compare_exchange_weak(&h->max_ms, &now, max_ms))
        continue;
}

/* Scrapes and pushes refuse what is more than ten minutes ahead; a little more here, since a batch
 * may wait between their look at the clock and ours. Still less than half of a default range, so
 * that the present stays inside the window whatever was accepted. */
#define AHEAD_MAX_MS      (INT64_C(15) * 60 * 1000)
/* 2026-11-01: no clock that is right stands before it. */
#define CLOCK_BELIEVED_MS INT64_C(1793491200000)

int64_t
head_horizon_ms(const struct head *h)
{
    int64_t now_ms = h->o.guard_clock ? clock_now_ms(h->o.clock) : 0;

    return now_ms < CLOCK_BELIEVED_MS ? INT64_MAX : now_ms + AHEAD_MAX_MS;
}

void
head_step_back(struct head *h, int64_t min_valid_ms)
{
    atomic_store_explicit(&h->min_valid_ms, min_valid_ms, memory_order_release);
}

bool
head_compactable(const struct head *h)
{
    int64_t min_ms = head_min_ms(h), max_ms = MIN(head_max_ms(h), head_horizon_ms(h));

    return max_ms != INT64_MIN && min_ms != INT64_MAX && max_ms > min_ms &&
           (uint64_t)max_ms - (uint64_t)min_ms > (uint64_t)(h->o.range_ms / 2 * 3);
}

uint64_t
head_series_nr(const struct head *h)
{
    return atomic_load(&h->series_nr);
}

uint64_t
head_chunks_nr(const struct head *h)
{
    return atomic_load(&h->chunks_nr);
}

struct symbols *
head_symbols(const struct head *h)
{
    return h->o.symbols;
}

uint64_t
head_next_ref(const struct head *h)
{
    return atomic_load(&h->next_ref);
}

void
head_reserve_ref(struct head *h, uint64_t ref)
{
    uint64_t now = atomic_load(&h->next_ref);

    while (now <= ref && !atomic_compare_exchange_weak(&h->next_ref, &now, ref + 1))
        continue;
}

void
head_reader_open(struct head *h, struct head_reader *r)
{
    r->head = h;
    isolation_open(&h->isolation, &r->view);
}

void
head_reader_close(struct head_reader *r)
{
    if (r->head != NULL)
        isolation_close(&r->head->isolation, &r->view);
    r->head = NULL;
}
