/* cmd/flags.h: the server's command line: all flags of Prometheus 3.14 and Narthex's own, as one
 * table.
 *
 *     struct flags flags;
 *     int status = flags_parse(&flags, argc, argv, io, &out, &err_text);
 *     if (status >= 0) { print both; return status; }
 *
 * Strings are borrowed from argv and from the arena inside; flags_fini() releases. One owner
 * thread. main may adjust values afterwards (retention, external URL, ...): /api/v1/status/flags
 * shows what the struct holds when flags_each() is called. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"

#define FLAGS_VERSION "3.14.0" /* what we say we are */

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
    struct str config_file;
    bool config_auto_reload;
    int64_t config_auto_reload_interval_ms;
    struct flags_strs web_listen_addresses;
    bool auto_gomaxprocs, auto_gomemlimit;
    double auto_gomemlimit_ratio;
    int64_t auto_gomemlimit_refresh_interval_ms;
    struct str web_config_file;
    int64_t web_read_timeout_ms, web_max_connections, web_max_notifications_subscribers;
    struct str web_external_url, web_route_prefix, web_user_assets;
    bool web_enable_lifecycle, web_enable_admin_api, web_enable_remote_write_receiver;
    struct flags_strs remote_write_messages;
    bool web_enable_otlp_receiver;
    struct str web_console_templates, web_console_libraries, web_page_title, web_cors_origin;

    struct str storage_path;
    int64_t min_block_duration_ms, max_block_duration_ms; /* max: 0 is not given */
    int64_t max_block_chunk_segment_bytes, wal_segment_bytes, retention_time_ms, retention_bytes;
    bool no_lockfile, allow_overlapping_compaction, wal_compression;
    struct str wal_compression_type;
    int64_t head_chunks_write_queue_size, samples_per_chunk, delayed_compaction_max_percent;
    struct str delay_compact_file_path;
    int64_t block_reload_interval_ms;

    struct str agent_path;
    int64_t agent_wal_segment_bytes;
    bool agent_wal_compression;
    struct str agent_wal_compression_type;
    int64_t agent_wal_truncate_frequency_ms, agent_retention_min_time_ms,
        agent_retention_max_time_ms;
    bool agent_checkpoint_from_memory;
    int64_t agent_checkpoint_batch_size;
    bool agent_no_lockfile;

    int64_t remote_flush_deadline_ms, remote_read_sample_limit, remote_read_concurrent_limit;
    int64_t remote_read_max_bytes_in_frame, web_search_max_limit;
    int64_t rules_for_outage_tolerance_ms, rules_for_grace_period_ms, rules_resend_delay_ms,
        rules_max_concurrent_evals;
    bool scrape_adjust_timestamps;
    int64_t scrape_timestamp_tolerance_ns;
    int64_t notification_queue_capacity, notification_batch_size;
    bool notification_drain_on_shutdown;
    int64_t query_lookback_delta_ms, query_timeout_ms, query_max_concurrency, query_max_samples;
    int64_t scrape_discovery_reload_interval_ms;
    struct flags_strs enable_feature;
    bool agent;
    struct str log_level, log_format;
    bool write_documentation;

    struct str narthex_config;  /* ours: a second configuration file */
    bool narthex_allow_unbuilt; /* ours: start although parts of the configuration have no effect
                                   yet */

    bool help;
    uint64_t given[2]; /* bit n: row n of the table was on the command line */
    struct feature_flags features;
    struct arena *arena; /* owned; texts of @files */
};

/* -1: go on. Otherwise the process ends with this status after printing *out to standard output and
 * *err to standard error (--help, --version, or what is wrong, as Prometheus says it). */
int flags_parse(struct flags *flags, int argc, char *const *argv, const struct io *io,
                struct buf *out, struct buf *err);
void flags_fini(struct flags *flags);

/* Reads --enable-feature into flags->features and logs what each means, once, with warnings for
 * what is unknown, removed or about to go. False: two of them exclude each other. */
MUST_CHECK bool flags_features(struct flags *flags, const struct log *log, struct error *err);

/* Every flag's name and value as /api/v1/status/flags shows it, sorted by name (Narthex's own are
 * left out). The value is borrowed during the call. */
void flags_each(const struct flags *flags,
                void (*fn)(void *arg, const char *name, struct str value), void *arg);

/* Names the flags on the command line that have no effect in this version yet, and unbuilt feature
 * flags ("feature x"). */
void
flags_without_effect(const struct flags *flags, void (*fn)(void *arg, const char *name), void *arg);

/* The text of --version. */
void flags_version(struct buf *out);
