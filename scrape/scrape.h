/* scrape/scrape.h: scraping: from target groups to samples in storage.
 *
 * The manager owns a discovery manager (named "scrape"), one pool per job and a few event loops
 * (base/http_client.h). A target belongs to one loop, whose thread fetches, parses and appends its
 * pages; nothing of a scrape waits on another thread. Configurations are applied by one caller at a
 * time; the views below may be taken by any thread at any time and copy what they show into the
 * caller's arena. */
#pragma once
#include "base/arena.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "model/metadata.h"
#include "scrape/scrape_config.h"
#include "tsdb/append.h"

struct scrape_manager;

struct scrape_options {
    struct appendable *storage;
    const struct clock *clock;
    const struct io *io;
    struct log log;
    struct metrics *metrics;        /* NULL: none */
    unsigned loops_nr;              /* event loops; 0: one per four CPUs, 1 to 4 */
    const char *user_agent;         /* "Prometheus/3.14.0"; static storage */
    bool align_timestamps;          /* --scrape.adjust-timestamps */
    int64_t timestamp_tolerance_ns; /* --scrape.timestamp-tolerance */
    int64_t discovery_reload_ms;    /* --scrape.discovery-reload-interval; 0: 5 s */
    bool append_metadata;           /* feature metadata-wal-records */
    bool type_and_unit_labels;      /* feature of that name */
    bool parse_start_timestamps;    /* features created-timestamp-zero-ingestion, st-storage */
    struct str hostname;            /* empty: the machine's fully qualified name; tests set it */
};

struct scrape_manager *scrape_manager_new(const struct scrape_options *options);
/* Stops all loops without staleness markers, as a shutdown does: who starts again next minute wants
 * no gap. Accepts NULL. */
void scrape_manager_free(struct scrape_manager *m);

/* Takes over the jobs (those of scrape_config_files included, complete, names unique) and the
 * external labels, which are part of the hash that spreads scrapes. Targets that stay go on with
 * their cache when the job is the same. keep holds the memory of all of it and is referenced as
 * long as needed. False: the old configuration still runs. */
MUST_CHECK bool
scrape_manager_apply(struct scrape_manager *m, const struct scrape_config *const *jobs,
                     size_t jobs_nr, struct labels external_labels, struct conf_pool *keep,
                     struct error *err);

/* Views: everything is copied into the arena. */
enum target_health { TARGET_UNKNOWN, TARGET_UP, TARGET_DOWN };
const char *target_health_text(enum target_health h); /* "unknown", "up", "down" */

struct target_view {
    struct str pool;
    struct labels discovered; /* before relabelling */
    struct labels labels;     /* the public ones: without names that start with __ */
    struct str url;
    struct str last_error;  /* empty: none */
    int64_t last_scrape_ns; /* wall time; 0: not yet */
    double last_duration_s;
    enum target_health health;
    int64_t interval_ms, timeout_ms;
    struct str interval_text, timeout_text; /* as the labels have them, canonical */
    struct str address, scheme, path;       /* __address__, __scheme__, __metrics_path__ */
};

/* A target that relabelling dropped. */
struct dropped_target_view {
    struct str pool;
    struct labels discovered;
};

struct scrape_pool_view {
    struct str name;
    size_t active_nr;
    uint64_t dropped_nr; /* all of them; of `dropped` below only keep_dropped_targets are kept */
};

struct targets_view {
    struct target_view *active; /* by pool name, then URL */
    size_t active_nr;
    struct dropped_target_view *dropped; /* by pool name, in the order of discovery */
    size_t dropped_nr;
    struct scrape_pool_view *pools; /* by name */
    size_t pools_nr;
};

/* pool: only this one, or empty for all. */
void scrape_targets(struct scrape_manager *m, struct str pool, struct arena *arena,
                    struct targets_view *view);

/* The configuration of a pool for /api/v1/targets/relabel_steps; NULL: no such pool. The reference
 * in *keep is the caller's. */
const struct scrape_config *
scrape_pool_config(struct scrape_manager *m, struct str pool, struct conf_pool **keep);

/* What active targets say of their metric families. */
struct target_metadata_view {
    struct labels target; /* the public labels; shared by the entries of a target */
    struct str metric;
    struct metadata meta;
};

struct metadata_view {
    struct target_metadata_view *items; /* target by target */
    size_t nr;
};

/* metric: only this family, or empty for all. match (NULL: all) chooses targets by their public
 * labels. */
typedef bool (*scrape_target_match_fn)(void *arg, struct labels target);
void scrape_metadata(struct scrape_manager *m, struct str metric, scrape_target_match_fn match,
                     void *arg, struct arena *arena, struct metadata_view *view);
