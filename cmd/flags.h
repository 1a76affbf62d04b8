/* cmd/flags.h: the server's command line: all flags of Prometheus 3.14 and Narthex's own, as one
 * table.
 *
 *     struct flags flags;
 *     int status = flags_parse(&flags, argc, argv, io, &out, &err_text);
 *     if (status >= 0) { print both; return status; }
 *
 * Strings are borrowed from argv and from the arena inside; flags_fini() releases. One owner
 * thread. main may adjust values afterwards (retention, external URL, ...): /api/v1/status/flags
 * shows what the struct holds when flags_shown() is called. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"

/* Which features --enable-feature switched on. */
struct feature_flags {
    bool exemplar_storage, memory_snapshot_on_shutdown, extra_scrape_metrics, metadata_wal_records;
    bool promql_per_step_stats, auto_reload_config, concurrent_rule_eval,
        promql_experimental_functions;
    bool created_timestamp_zero_ingestion, xor2_encoding, histograms_st_encoding, st_synthesis,
        st_storage;
    bool use_start_timestamps, delayed_compaction, promql_delayed_name_removal,
        promql_extended_range_selectors;
    bool promql_binop_fill_modifiers, old_ui, otlp_deltatocumulative, otlp_native_delta_ingestion;
    bool type_and_unit_labels, use_uncached_io, fast_startup, search_api;
};

struct flags_strs { /* repeatable flags */
    struct str *items;
    size_t nr, cap;
};

struct flags {
    /* In the order of the table: the flag's name with _ for . and -, and the unit. Strings are
     * NUL-terminated, never NULL. */
    const char *config_file;
    bool config_auto_reload;
    int64_t config_auto_reload_interval_ms;
    struct flags_strs web_listen_address;
    bool auto_gomaxprocs;
    bool auto_gomemlimit;
    double auto_gomemlimit_ratio;
    int64_t auto_gomemlimit_refresh_interval_ms;
    const char *web_config_file;
    int64_t web_read_timeout_ms;
    int64_t web_max_connections;
    int64_t web_max_notifications_subscribers;
    const char *web_external_url;
    const char *web_route_prefix;
    const char *web_user_assets;
    bool web_enable_lifecycle;
    bool web_enable_admin_api;
    bool web_enable_remote_write_receiver;
    struct flags_strs web_remote_write_receiver_accepted_protobuf_messages;
    bool web_enable_otlp_receiver;
    const char *web_console_templates;
    const char *web_console_libraries;
    const char *web_page_title;
    const char *web_cors_origin;
    const char *storage_tsdb_path;
    int64_t storage_tsdb_min_block_duration_ms;
    int64_t storage_tsdb_max_block_duration_ms;
    int64_t storage_tsdb_max_block_chunk_segment_size_bytes;
    int64_t storage_tsdb_wal_segment_size_bytes;
    int64_t storage_tsdb_retention_time_ms;
    int64_t storage_tsdb_retention_size_bytes;
    bool storage_tsdb_no_lockfile;
    bool storage_tsdb_allow_overlapping_compaction;
    bool storage_tsdb_wal_compression;
    const char *storage_tsdb_wal_compression_type;
    int64_t storage_tsdb_head_chunks_write_queue_size;
    int64_t storage_tsdb_samples_per_chunk;
    int64_t storage_tsdb_delayed_compaction_max_percent;
    const char *storage_tsdb_delay_compact_file_path;
    int64_t storage_tsdb_block_reload_interval_ms;
    const char *storage_agent_path;
    int64_t storage_agent_wal_segment_size_bytes;
    bool storage_agent_wal_compression;
    const char *storage_agent_wal_compression_type;
    int64_t storage_agent_wal_truncate_frequency_ms;
    int64_t storage_agent_retention_min_time_ms;
    int64_t storage_agent_retention_max_time_ms;
    bool storage_agent_checkpoint_from_in_memory_series;
    int64_t storage_agent_checkpoint_batch_size;
    bool storage_agent_no_lockfile;
    int64_t storage_remote_flush_deadline_ms;
    int64_t storage_remote_read_sample_limit;
    int64_t storage_remote_read_concurrent_limit;
    int64_t storage_remote_read_max_bytes_in_frame;
    int64_t web_search_max_limit;
    int64_t rules_alert_for_outage_tolerance_ms;
    int64_t rules_alert_for_grace_period_ms;
    int64_t rules_alert_resend_delay_ms;
    int64_t rules_max_concurrent_evals;
    bool scrape_adjust_timestamps;
    int64_t scrape_timestamp_tolerance_ns;
    int64_t alertmanager_notification_queue_capacity;
    int64_t alertmanager_notification_batch_size;
    bool alertmanager_drain_notification_queue_on_shutdown;
    int64_t query_lookback_delta_ms;
    int64_t query_timeout_ms;
    int64_t query_max_concurrency;
    int64_t query_max_samples;
    int64_t scrape_discovery_reload_interval_ms;
    struct flags_strs enable_feature;
    bool agent;
    const char *log_level;
    const char *log_format;
    bool write_documentation;
    const char *narthex_config;
    bool narthex_allow_unbuilt;

    uint64_t given[2]; /* bit n: row n of the table was on the command line */
    struct feature_flags feature;
    struct arena *arena; /* owned; texts of @files */
};

/* -1: go on. Otherwise the process ends with this status after printing *out to standard output and
 * *err to standard error (--help, --version, or what is wrong, as Prometheus says it). */
int flags_parse(struct flags *flags, int argc, char *const *argv, const struct io *io,
                struct buf *out, struct buf *err);
void flags_fini(struct flags *flags);

/* Reads --enable-feature into flags->feature and logs what each means, once, with warnings for
 * what is unknown, removed or about to go. False: two of them exclude each other. */
MUST_CHECK bool flags_features(struct flags *flags, const struct log *log, struct error *err);

struct flag_value {
    struct str name, value;
};

/* Every flag's name and value as /api/v1/status/flags shows it, sorted by name (Narthex's own are
 * left out); in the arena. */
const struct flag_value *flags_shown(const struct flags *flags, struct arena *arena, size_t *nr);

/* Names the flags on the command line that have no effect in this version yet, and unbuilt feature
 * flags ("feature x"). */
void
flags_without_effect(const struct flags *flags, void (*fn)(void *arg, const char *name), void *arg);

/* The text of --version. */
void flags_version(struct buf *out);
