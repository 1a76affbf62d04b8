/* http/http.h: Prometheus's HTTP API, pages and administration on one server.
 *
 * Owns the server (http/server.h) and the route table; everything served belongs to others and is
 * borrowed through struct http_deps until http_stop(). What is not there yet at start (a database
 * that replays) comes through http_set_ready(): before it, routes that need it answer 503 as
 * Prometheus does. Calls may come from any thread. */
#pragma once
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "base/regex.h"
#include "http/server.h"
#include "model/labels.h"
#include "promql/engine.h"
#include "promql/parser.h"
#include "tsdb/querier.h"

struct db;
struct db_replay_status;
struct scrape_manager;
struct rules_manager;
struct notifier;

enum http_readiness { HTTP_NOT_READY, HTTP_READY, HTTP_STOPPING };

/* name and value, sorted by name: /api/v1/status/flags. */
struct http_flag {
    struct str name, value;
};

/* A line of /api/v1/notifications. */
struct http_notification {
    struct str text;
    int64_t since_ms;
};

/* /api/v1/features: a feature of a category ("promql", "duration_expr"); sorted by category, then
 * name. */
struct http_feature {
    const char *category, *name;
    bool on;
};

/* What a reload changes; copied by http_set_config(). */
struct http_config_view {
    struct str yaml; /* the loaded configuration as Prometheus shows it */
    struct labels external_labels;
    bool reload_ok;
    int64_t reload_ms; /* the last successful load */
};

struct http_runtime {
    int64_t start_ms;
    struct str cwd, hostname, storage_retention; /* "15d", "512MiB" */
    uint64_t memory_limit_bytes;
    unsigned cpus;
};

struct http_build {
    struct str version, revision, branch, build_user, build_date, go_version;
};

struct http_deps {
    /* Parts. NULL ones answer as if they were empty; `db` may be given by http_set_ready(). */
    struct engine *engine;
    struct queryable *queryable;
    struct db *db;
    struct scrape_manager *scrape;
    struct rules_manager *rules;
    struct notifier *notifier;
    struct db_replay_status *replay;
    struct promql_parse_options parse; /* what expressions may use */
    struct pool *pool;                 /* splits big answers */
    struct pool *queries; /* runs queries, each on one thread that may be busy for minutes */
    const struct clock *clock;
    struct log log;
    struct metrics *metrics;

    /* Commands. Called on a worker; NULL: not available. */
    bool (*reload)(void *arg, struct error *err);
    void (*quit)(void *arg); /* returns at once */
    void *arg;

    /* Settings, all borrowed. */
    struct str external_url; /* http://host:9090/prefix, no trailing slash */
    struct str route_prefix; /* "/" or "/prefix" */
    struct str page_title;
    const struct regex *cors_origin; /* NULL: every origin, ".*" */
    bool enable_lifecycle, enable_admin, agent;
    const struct http_flag *flags;
    size_t flags_nr;
    const struct http_feature *features;
    size_t features_nr;
    struct http_build build;
    struct http_runtime runtime;
    /* 0 disables: instant queries that touch at most so many samples are answered on the I/O
     * thread. */
    uint64_t cheap_samples_max;
    /* Basic authentication: true lets the request in. NULL: everybody. user and password are
     * decoded. Called on
     * workers; may be slow. */
    bool (*authorize)(void *arg, struct str user, struct str password);
    /* Headers added to every response. */
    const struct http_header_line *headers;
    size_t headers_nr;
};

struct http;

/* Copies *deps (not what it points to). server: listening, limits, TLS; its pool, clock and log are
 * taken from deps. */
MUST_CHECK bool http_start(const struct http_deps *deps, const struct http_server_options *server,
                           struct http **http, struct error *err);
/* Stops the server first. Accepts NULL. */
void http_stop(struct http *h);
uint16_t http_port(const struct http *h);

/* From NOT_READY on routes that need storage answer. db, scrape, rules, notifier, queryable of
 * *parts replace those of the deps where not NULL. */
void http_set_ready(struct http *h, enum http_readiness readiness, const struct http_deps *parts);
void http_set_config(struct http *h, const struct http_config_view *config);
/* The current notifications, replacing the former ones. */
void http_set_notifications(struct http *h, const struct http_notification *list, size_t nr);
