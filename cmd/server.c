/* Life of a server. Start goes from what nothing depends on to what depends on everything, stop the
 * other way round:
 *
 *   metrics, pools, engine -> http (not ready) -> db (replays) -> notifier -> rules -> scrape ->
 * discovery of Alertmanagers
 *   -> configuration -> ready */
#include "cmd/server_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cmd/features.h"
#include "cmd/process_metrics.h"
#include "cmd/version.h"

/* A thread that waits costs some kilobytes; --query.max-concurrency has no bound of its own. */
enum { QUERY_THREADS_MAX = 128 };

static void
engine_make(struct server *s)
{
    const struct flags *f = s->flags;
    struct engine_options options = {
        .lookback_ms = f->query_lookback_delta_ms,
        .timeout_ms = f->query_timeout_ms,
        .samples_max = (uint64_t)f->query_max_samples,
        .concurrency_max = (unsigned)f->query_max_concurrency,
        .subquery_step_ms = s->config->global.evaluation_interval_ms,
        .experimental_functions = f->feature.promql_experimental_functions,
        .extended_range_selectors = f->feature.promql_extended_range_selectors,
        .binop_fill = f->feature.promql_binop_fill_modifiers,
        .delayed_name_removal = f->feature.promql_delayed_name_removal,
        .per_step_stats = f->feature.promql_per_step_stats,
        .pool = s->pool,
        .clock = s->clock,
        .metrics = s->metrics,
    };

    s->engine = engine_new(&options);
}

static bool
db_make(struct server *s, struct error *err)
{
    const struct flags *f = s->flags;
    struct server_retention keep = server_retention(f, s->config);
    struct db_options options = {
        .metrics = s->metrics,
        .pool = s->pool,
        .log = s->log,
        .replay = &s->replay,
        .min_block_ms = f->storage_tsdb_min_block_duration_ms,
        .max_block_ms = f->storage_tsdb_max_block_duration_ms,
        .retention_ms = keep.ms,
        .retention_bytes = keep.bytes,
        .retention_percent = keep.percent,
        .wal_segment_bytes = (uint32_t)f->storage_tsdb_wal_segment_size_bytes,
        .wal_compression = !f->storage_tsdb_wal_compression ? DB_WAL_PLAIN
                           : strcmp(f->storage_tsdb_wal_compression_type, "zstd") == 0
                               ? DB_WAL_ZSTD
                               : DB_WAL_SNAPPY,
        .samples_per_chunk = (uint32_t)f->storage_tsdb_samples_per_chunk,
        .chunk_segment_bytes = (uint64_t)f->storage_tsdb_max_block_chunk_segment_size_bytes,
        .ooo_window_ms = s->config->storage.tsdb->out_of_order_time_window_ms,
        .no_lockfile = f->storage_tsdb_no_lockfile,
        .no_overlapping_compaction = !f->storage_tsdb_allow_overlapping_compaction,
        .metadata_wal = f->feature.metadata_wal_records,
        .xor2 = f->feature.xor2_encoding ||
                str_is(s->config->storage.tsdb->chunk_encoding.floats, "xor2"),
    };

    if (f->feature.exemplar_storage)
        options.exemplars_max = TSDB_MAX_EXEMPLARS_DEFAULT;
    return db_open(s->flags->storage_tsdb_path, s->io, s->clock, &options, &s->db, err);
}

static void
rules_make(struct server *s)
{
    const struct flags *f = s->flags;
    struct notifier_options notify = {
        .capacity = (size_t)f->alertmanager_notification_queue_capacity,
        .batch_max = (size_t)f->alertmanager_notification_batch_size,
        .drain = f->alertmanager_drain_notification_queue_on_shutdown,
        .clock = s->clock,
        .log = s->log,
        .metrics = s->metrics,
    };
    struct rules_options rules = {
        .engine = s->engine,
        .queryable = db_queryable(s->db),
        .appendable = db_appendable(s->db),
        .io = s->io,
        .clock = s->clock,
        .state_dir = arena_printf(&s->arena, "%s/narthex/alerts", f->storage_tsdb_path).p,
        .pool = s->pool,
        .log = s->log,
        .metrics = s->metrics,
        .notify = notifier_send,
        .concurrent_evals_max = f->feature.concurrent_rule_eval ? f->rules_max_concurrent_evals : 0,
        .resend_delay_ms = f->rules_alert_resend_delay_ms,
        .outage_tolerance_ms = f->rules_alert_for_outage_tolerance_ms,
        .grace_period_ms = f->rules_alert_for_grace_period_ms,
        .experimental_functions = f->feature.promql_experimental_functions,
        .extended_range_selectors = f->feature.promql_extended_range_selectors,
        .binop_fill = f->feature.promql_binop_fill_modifiers,
    };

    s->notifier = notifier_new(&notify);
    rules.notify_arg = s->notifier;
    s->rules = rules_manager_new(&rules);
}

static void
scrape_make(struct server *s)
{
    const struct flags *f = s->flags;
    struct scrape_options scrape = {
        .storage = db_appendable(s->db),
        .clock = s->clock,
        .io = s->io,
        .log = s->log,
        .metrics = s->metrics,
        .user_agent = USER_AGENT,
        .align_timestamps = f->scrape_adjust_timestamps,
        .timestamp_tolerance_ns = f->scrape_timestamp_tolerance_ns,
        .discovery_reload_ms = f->scrape_discovery_reload_interval_ms,
        .append_metadata = f->feature.metadata_wal_records,
        .type_and_unit_labels = f->feature.type_and_unit_labels,
        .parse_start_timestamps =
            f->feature.created_timestamp_zero_ingestion || f->feature.st_storage,
    };
    struct discovery_options notify = {
        .name = "notify",
        .throttle_ms = f->scrape_discovery_reload_interval_ms,
        .clock = s->clock,
        .io = s->io,
        .log = s->log,
        .metrics = s->metrics,
        .update = server_notify_targets,
        .arg = s,
    };

    s->scrape = scrape_manager_new(&scrape);
    s->notify_discovery = discovery_manager_new(&notify);
}

static void
base_make(struct server *s)
{
    s->metrics = metrics_new();
    s->process = process_metrics_new(s->metrics, clock_now_ms(s->clock));
    s->ready = metrics_gauge(s->metrics, "prometheus_ready",
                             "Whether Prometheus startup was fully completed and the server is "
                             "ready for normal operation.");
    s->reload_ok = metrics_gauge(s->metrics, "prometheus_config_last_reload_successful",
                                 "Whether the last configuration reload attempt was successful.");
    s->reload_time =
        metrics_gauge(s->metrics, "prometheus_config_last_reload_success_timestamp_seconds",
                      "Timestamp of the last successful configuration reload.");
    s->pool = pool_new(pool_cpus(), "worker");
    s->queries = pool_new((unsigned)MAX(1, MIN(s->flags->query_max_concurrency, QUERY_THREADS_MAX)),
                          "query");
}

/* ---- life ---- */

/* No part has a setting of its own there yet: the file is read so that nobody believes that a key
 * of it took effect. */
static bool
narthex_config_check(const struct server *s, struct error *err)
{
    struct narthex_config config;

    if (s->flags->narthex_config[0] == '\0')
        return true;
    if (!narthex_config_load(s->io, s->flags->narthex_config, &config, err))
        return error_wrap(err, "couldn't load configuration (--narthex.config=\"%s\")",
                          s->flags->narthex_config);
    narthex_config_fini(&config);
    return true;
}

static bool
start_prepare(struct server *s, int *exit_status, struct error *err)
{
    const struct flags *f = s->flags;

    server_find_host(s);
    *exit_status = 2;
    if (f->agent)
        return error_set(err, ERR_UNAVAILABLE, "agent mode (--agent) is not built yet");
    if (!narthex_config_check(s, err))
        return false;
    if (!server_make_cors(s, err) || !server_make_web(s, err) ||
        !server_load_config(s, &s->config, err))
        return false;
    *exit_status = 2;
    if (!external_url_make(str_c(f->web_external_url), str_c(f->web_route_prefix),
                           str_c(s->hostname), f->web_listen_address.items[0], &s->url, err))
        return error_wrap(err, "parse external URL \"%s\"", f->web_external_url);
    server_make_shown_flags(s);
    s->features = features_list(f, &s->arena, &s->features_nr);
    return true;
}

static bool
start_parts(struct server *s, int *exit_status, struct error *err)
{
    base_make(s);
    engine_make(s);
    *exit_status = 1;
    if (!server_make_http(s, err))
        return error_wrap(err, "unable to start web listener");
    struct http_notification starting = {
        STR("Prometheus is starting and replaying the write-ahead log (WAL)."),
        clock_now_ms(s->clock)
    };
    http_set_notifications(s->http, &starting, 1);
    if (!db_make(s, err))
        return error_wrap(err, "opening storage failed");
    log_info(&s->log, "TSDB started");
    rules_make(s);
    scrape_make(s);
    bool ok = server_apply_config(s, s->config, err);
    server_show_reload(s, ok);
    server_show_config(s, s->config, ok);
    if (!ok)
        return error_wrap(err, "error loading config from \"%s\"", s->flags->config_file);
    rules_manager_start(s->rules);
    http_set_notifications(s->http, NULL, 0);
    server_set_ready(s, HTTP_READY);
    log_info(&s->log, "Server is ready to receive web requests.",
             LOG_I("port", http_port(s->http)));
    return true;
}

bool
server_start(const struct flags *flags, const struct log *log, void (*quit)(void *arg), void *arg,
             struct server **server, int *exit_status, struct error *err)
{
    struct server *s = MEM_NEW(struct server);

    s->flags = flags;
    s->log = *log;
    s->io = io_posix();
    s->clock = clock_real();
    s->quit = quit;
    s->quit_arg = arg;
    lock_init(&s->reload_lock, LOCK_RELOAD, "reload");
    arena_init(&s->arena, SIZE_MAX);
    if (start_prepare(s, exit_status, err) && start_parts(s, exit_status, err)) {
        *server = s;
        return true;
    }
    server_stop(s);
    return false;
}

void
server_stop(struct server *s)
{
    if (s == NULL)
        return;
    if (s->http != NULL) {
        struct http_notification stopping = {
            STR("Prometheus is shutting down and gracefully stopping all operations."),
            clock_now_ms(s->clock)
        };
        http_set_notifications(s->http, &stopping, 1);
        server_set_ready(s, HTTP_STOPPING);
    }
    /* HTTP first: its requests read from all the others. */
    http_stop(s->http);
    discovery_manager_free(s->notify_discovery);
    scrape_manager_free(s->scrape);
    rules_manager_free(s->rules);
    notifier_free(s->notifier);
    db_close(s->db);
    engine_free(s->engine);
    pool_free(s->queries);
    pool_free(s->pool);
    metrics_free(s->metrics);
    process_metrics_free(s->process);
    config_unref(s->config);
    web_config_free(s->web);
    regex_unref(s->cors_origin);
    external_url_fini(&s->url);
    arena_fini(&s->arena);
    lock_fini(&s->reload_lock);
    mem_free(s);
}

uint16_t
server_port(const struct server *s)
{
    return http_port(s->http);
}
