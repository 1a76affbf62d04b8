/* cmd/server_priv.h: the server's parts, shared by server.c (life), server_config.c (configuration)
 * and server_http.c (what HTTP is told). */
#pragma once
#include "base/lock.h"
#include "cmd/config.h"
#include "cmd/external_url.h"
#include "cmd/server.h"
#include "discovery/discovery.h"
#include "http/http.h"
#include "http/web_config.h"
#include "promql/engine.h"
#include "rules/notify/notifier.h"
#include "rules/rules.h"
#include "scrape/scrape.h"
#include "tsdb/db.h"

struct server {
    const struct flags *flags;
    struct log log;
    const struct io *io;
    const struct clock *clock;
    void (*quit)(void *arg);
    void *quit_arg;

    struct lock reload_lock; /* one reload at a time; guards config */
    struct config *config;
    struct external_url url;
    char hostname[256], cwd[4096];

    struct metrics *metrics;
    struct process_metrics *process;
    struct metric *ready, *reload_ok, *reload_time;
    struct pool *pool; /* one thread per CPU: decodes, evaluates and writes in parallel */
    /* As many threads as queries may run at once: a long one must not keep a short one waiting. */
    struct pool *queries;
    struct engine *engine;
    struct db_replay_status replay;
    struct db *db;
    struct notifier *notifier;
    struct rules_manager *rules;
    struct scrape_manager *scrape;
    struct discovery_manager *notify_discovery;
    struct web_config *web;
    struct http_header_line *web_headers;
    struct regex *cors_origin;
    struct http *http;
    struct http_flag *shown_flags;
    size_t shown_flags_nr;
    struct http_feature *features;
    size_t features_nr;
    struct arena arena; /* what lives as long as the server */
};

/* ---- server_config.c ---- */

/* What is kept: the file's block counts when it is there, else the flags, else 15 days. */
struct server_retention {
    int64_t ms;
    uint64_t bytes;
    double percent;
};

struct server_retention server_retention(const struct flags *f, const struct config *config);
/* "15d", "512MiB", "80%": all that apply, as runtimeinfo shows them; in the arena. */
struct str server_retention_text(struct arena *arena, const struct server_retention *r);
/* The largest block when the flag is not given. */
struct str server_max_block_text(struct arena *arena, const struct server_retention *r);

/* Loads and checks the file; parts that are not built are refused unless the flag allows them. */
MUST_CHECK bool server_load_config(struct server *s, struct config **config, struct error *err);
/* Gives every part its section. All are tried; the first refusal is reported. */
MUST_CHECK bool
server_apply_config(struct server *s, const struct config *config, struct error *err);
/* What /metrics and the API show of a load. */
void server_show_reload(struct server *s, bool ok);
void server_show_config(struct server *s, const struct config *config, bool ok);
/* A discovery_update_fn for the sets of Alertmanagers. */
void server_notify_targets(void *arg, struct str set, struct target_group *const *groups,
                           size_t groups_nr);

/* ---- server_http.c ---- */

void server_find_host(struct server *s);
MUST_CHECK bool server_make_web(struct server *s, struct error *err);
MUST_CHECK bool server_make_cors(struct server *s, struct error *err);
void server_make_shown_flags(struct server *s);
/* Starts listening, not ready. */
MUST_CHECK bool server_make_http(struct server *s, struct error *err);
void server_set_ready(struct server *s, enum http_readiness readiness);
