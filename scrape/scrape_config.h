/* scrape/scrape_config.h: the sections `global` and `scrape_configs`, and files named by
 * `scrape_config_files`.
 *
 * After loading every job is complete: what it left out has been taken from global, limits and
 * schemes are checked, paths are relative to the working directory. All structs are immutable and
 * live in the conf_pool of their file: a scrape pool that keeps a `const struct scrape_config *`
 * holds a conf_pool_ref() on config's pool (cmd/config.h), so a reload just swaps pointers. */
#pragma once
#include "base/http_client_config.h"
#include "discovery/discovery_config.h"
#include "model/relabel_config.h"

enum scrape_protocol {
    SCRAPE_PROTO,         /* PrometheusProto: delimited protobuf */
    SCRAPE_OPENMETRICS_0, /* OpenMetricsText0.0.1 */
    SCRAPE_OPENMETRICS_1, /* OpenMetricsText1.0.0 */
    SCRAPE_TEXT_0,        /* PrometheusText0.0.4 */
    SCRAPE_TEXT_1,        /* PrometheusText1.0.0 */
    SCRAPE_PROTOCOLS_NR,
    SCRAPE_NO_PROTOCOL = -1 /* fallback_scrape_protocol not set */
};

/* "PrometheusText0.0.4" and the media type with parameters that the Accept header names. */
const char *scrape_protocol_name(enum scrape_protocol p);
const char *scrape_protocol_media_type(enum scrape_protocol p);

enum escaping_scheme { ESCAPE_ALLOW_UTF8, ESCAPE_UNDERSCORES, ESCAPE_DOTS, ESCAPE_VALUES };

struct global_config {
    int64_t scrape_interval_ms, scrape_timeout_ms;
    struct conf_strs scrape_protocols; /* not given: each job chooses */
    int64_t evaluation_interval_ms, rule_query_offset_ms;
    struct str query_log_file, scrape_failure_log_file;
    struct conf_map external_label_map; /* after environment expansion; may hold empty values */
    struct labels external_labels;      /* the same without empty values */
    int64_t body_size_limit;            /* 0: none, for these */
    uint64_t sample_limit, target_limit, label_limit, label_name_length_limit,
        label_value_length_limit;
    uint64_t keep_dropped_targets;
    int name_validation; /* enum name_scheme */
    struct str metric_name_escaping_scheme;
    int scrape_native_histograms; /* enum conf_tri; set after loading */
    bool convert_classic_histograms_to_nhcb, always_scrape_classic_histograms;
    int extra_scrape_metrics; /* enum conf_tri; set after loading */
};

struct scrape_config {
    uint32_t line; /* in its file */
    struct str job_name;
    bool honor_labels, honor_timestamps, track_timestamps_staleness;
    struct conf_multimap params;
    int64_t scrape_interval_ms, scrape_timeout_ms;
    struct conf_strs scrape_protocols; /* names as rendered; use protocols below */
    struct str fallback_scrape_protocol;
    int scrape_native_histograms,
        always_scrape_classic_histograms; /* enum conf_tri; set after loading */
    int convert_classic_histograms_to_nhcb;
    struct str scrape_failure_log_file;
    struct str metrics_path, scheme;
    bool enable_compression;
    int64_t body_size_limit; /* bytes, 0: none */
    uint64_t sample_limit, target_limit, label_limit, label_name_length_limit,
        label_value_length_limit;
    uint64_t native_histogram_bucket_limit;
    double native_histogram_min_bucket_factor;
    uint64_t keep_dropped_targets;
    int name_validation; /* enum name_scheme; set after loading */
    struct str metric_name_escaping_scheme;
    int extra_scrape_metrics; /* enum conf_tri; set after loading */
    struct http_client_config http;
    struct relabel_list relabel_configs, metric_relabel_configs;
    struct discovery_config discovery;

    /* Worked out while loading. */
    enum scrape_protocol protocols[SCRAPE_PROTOCOLS_NR]; /* most wanted first */
    size_t protocols_nr;
    enum scrape_protocol fallback; /* SCRAPE_NO_PROTOCOL when not set */
    enum escaping_scheme escaping;
};

struct scrape_config_list {
    struct scrape_config *items;
    size_t nr;
    bool given;
};

extern const struct conf_table global_config_table;
extern const struct conf_table scrape_config_table; /* one job */
extern const struct conf_table
    scrape_config_file_table; /* a file of scrape_config_files: struct scrape_config_list */

/* Defaults that feature flags change. */
struct scrape_config_options {
    bool extra_scrape_metrics; /* the default of that key */
    bool proto_first; /* start timestamps are wanted: protobuf first when no protocols are given */
};

/* What `global` is when the file does not have it. */
void global_config_init(struct conf_pool *pool, struct global_config *g,
                        const struct scrape_config_options *options);

/* Completes a job from global and checks it; names the job in the error. */
MUST_CHECK bool scrape_config_complete(struct conf_pool *pool, struct scrape_config *job,
                                       const struct global_config *global, struct error *err);
