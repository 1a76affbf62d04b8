/* Wiring. Start goes from what nothing depends on to what depends on everything, stop the other way
 * round:
 *
 *   metrics, pool, engine -> http (not ready) -> db (replays) -> notifier -> rules -> scrape ->
 * discovery of Alertmanagers -> configuration
 *   -> ready
 *
 * A reload loads the whole file first and touches the parts only when it is good; each part takes
 * its section or refuses, and a refusal leaves the old configuration in charge of that part and is
 * reported. */
#include "cmd/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/glob.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/units.h"
#include "cmd/config.h"
#include "cmd/external_url.h"
#include "cmd/features.h"
#include "cmd/process_metrics.h"
#include "cmd/version.h"
#include "discovery/discovery.h"
#include "http/http.h"
#include "http/web_config.h"
#include "promql/engine.h"
#include "rules/notify/notifier.h"
#include "rules/rules.h"
#include "scrape/scrape.h"
#include "tsdb/db.h"

/* Instant queries that touch at most so many samples are answered on the I/O thread: some 100 us.
 */
enum { CHEAP_SAMPLES_MAX = 5000 };

/* A thread that waits costs some kilobytes; --query.max-concurrency has no bound of its own. */
enum { QUERY_THREADS_MAX = 128 };

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

/* ---- configuration ---- */

static const char *
environment(const char *name)
{
    return getenv(name);
}

static void
log_unbuilt(void *arg, const char *path)
{
    struct buf *names = arg;

    buf_printf(names, "%s%s", names->n == 0 ? "" : ", ", path);
}

/* What is kept: the file's block counts when it is there, else the flags, else 15 days. */
struct retention {
    int64_t ms;
    uint64_t bytes;
    double percent;
};

static struct retention retention_of(const struct flags *f, const struct config *config);

/* Flags count where the file says nothing, and are then shown as if the file had said it. */
static void
retention_fill(const struct flags *f, struct config *config)
{
    struct retention r = retention_of(f, config);
    struct tsdb_config *tsdb = config->storage.tsdb;

    tsdb->retention->time_ms = r.ms;
    tsdb->retention->size_bytes = (int64_t)r.bytes;
    tsdb->retention->percentage = r.percent;
}

static bool
load_config(struct server *s, struct config **config, struct error *err)
{
    const struct flags *f = s->flags;
    struct config_options options = {
        .scrape = { .extra_scrape_metrics = f->feature.extra_scrape_metrics,
                    .proto_first =
                        f->feature.created_timestamp_zero_ingestion || f->feature.st_storage },
        .env = environment,
        .log = &s->log,
    };
    struct buf unbuilt = { 0 };

    if (!config_load(s->io, s->flags->config_file, &options, config, err))
        return error_wrap(err, "couldn't load configuration (--config.file=\"%s\")",
                          s->flags->config_file);
    retention_fill(f, *config);
    config_unbuilt(*config, log_unbuilt, &unbuilt);
    bool ok = unbuilt.n == 0 || f->narthex_allow_unbuilt;
    if (!ok) {
        error_set(err, ERR_INVALID,
                  "%s: not built yet, and refused rather than ignored (--narthex.allow-unbuilt "
                  "starts without): %s",
                  s->flags->config_file, buf_z(&unbuilt));
        config_unref(*config);
    } else if (unbuilt.n != 0) {
        log_warn(&s->log, "Configured parts that are not built yet are ignored",
                 LOG_S("parts", buf_as_str(&unbuilt)));
    }
    buf_fini(&unbuilt);
    return ok;
}

static void
exemplars_apply(struct server *s, const struct config *config)
{
    int64_t nr = config->storage.exemplars == NULL ? TSDB_MAX_EXEMPLARS_DEFAULT
                                                   : config->storage.exemplars->max_exemplars;

    if (s->flags->feature.exemplar_storage)
        db_exemplars_max_set(s->db, nr <= 0 ? 0 : (uint32_t)MIN(nr, (int64_t)UINT32_MAX));
}

static struct retention
retention_of(const struct flags *f, const struct config *config)
{
    const struct tsdb_config *tsdb = config->storage.tsdb;
    struct retention r = { f->storage_tsdb_retention_time_ms,
                           (uint64_t)f->storage_tsdb_retention_size_bytes, 0 };

    if (tsdb->retention_given)
        r = (struct retention){ tsdb->retention->time_ms, (uint64_t)tsdb->retention->size_bytes,
                                tsdb->retention->percentage };
    if (r.ms == 0 && r.bytes == 0 && r.percent == 0)
        r.ms = INT64_C(15) * 24 * 3600 * 1000;
    return r;
}

/* "15d", "512MB", "80%": all that apply, as runtimeinfo shows them. */
static struct str
retention_text(struct arena *arena, const struct retention *r)
{
    struct buf b = { 0 };

    if (r->ms != 0)
        duration_print(r->ms, &b);
    if (r->bytes != 0) {
        char text[UNITS_TEXT_MAX];
        buf_c(&b, b.n == 0 ? "" : " or ");
        buf_c(&b, units_bytes_text((int64_t)r->bytes, text));
    }
    if (r->percent != 0)
        buf_printf(&b, "%s%g%%", b.n == 0 ? "" : " or ", r->percent);
    struct str text = arena_str(arena, buf_as_str(&b));
    buf_fini(&b);
    return text;
}

/* A tenth of the retention, at most 31 days: Prometheus's rule when the flag is not given. */
static int64_t
max_block_ms(const struct retention *r)
{
    const int64_t most = INT64_C(31) * 24 * 3600 * 1000;

    return r->ms != 0 && r->ms / 10 < most ? r->ms / 10 : most;
}

static struct str
max_block_text(struct arena *arena, const struct retention *r)
{
    char text[DURATION_TEXT_MAX];

    return arena_str(arena, str_c(duration_text(max_block_ms(r), text)));
}

static bool
rule_files(struct server *s, const struct config *config, struct arena *arena,
           struct conf_strs *files, struct error *err)
{
    size_t cap = 0;

    *files = (struct conf_strs){ 0 };
    for (size_t i = 0; i < config->rule_files.nr; i++) {
        struct conf_strs found;
        if (!glob_list(s->io, config->rule_files.items[i], arena, &found, err))
            return error_wrap(err, "error retrieving rule files for %.*s",
                              STR_ARG(config->rule_files.items[i]));
        ARENA_GROW(arena, files->items, files->nr, files->nr + found.nr, &cap);
        for (size_t j = 0; j < found.nr; j++)
            files->items[files->nr++] = found.items[j];
    }
    return true;
}

static bool
rules_apply(struct server *s, const struct config *config, struct error *err)
{
    struct conf_strs files;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    bool ok = rule_files(s, config, &arena, &files, err);
    if (ok) {
        struct rules_settings settings = {
            .files = files.items,
            .files_nr = files.nr,
            .interval_ms = config->global.evaluation_interval_ms,
            .query_offset_ms = config->global.rule_query_offset_ms,
            .external_labels = config->global.external_labels,
            .external_url = str_c(s->url.url),
            .legacy_names = config->global.name_validation == NAME_SCHEME_LEGACY,
        };
        ok = rules_manager_apply(s->rules, &settings, err);
    }
    arena_fini(&arena);
    return ok;
}

/* The sets of Alertmanagers are named by their place. */
static void
notify_targets(void *arg, struct str set, struct target_group *const *groups, size_t groups_nr)
{
    struct server *s = arg;
    char z[32];

    snprintf(z, sizeof z, "%.*s", STR_ARG(set));
    notifier_set_targets(s->notifier, strtoul(z + strlen("config-"), NULL, 10), groups, groups_nr);
}

static bool
notifier_config_apply(struct server *s, const struct config *config, struct error *err)
{
    const struct alerting_config *alerting = &config->alerting;
    struct discovery_set *sets;
    struct arena arena;

    if (!notifier_apply(s->notifier, alerting, config->pool, config->global.external_labels, err))
        return false;
    arena_init(&arena, SIZE_MAX);
    sets = ARENA_NEW_ARRAY(&arena, struct discovery_set, alerting->alertmanagers.nr);
    for (size_t i = 0; i < alerting->alertmanagers.nr; i++)
        sets[i] = (struct discovery_set){ arena_printf(&arena, "config-%zu", i),
                                          &alerting->alertmanagers.items[i].discovery };
    discovery_manager_apply(s->notify_discovery, sets, alerting->alertmanagers.nr, config->pool);
    arena_fini(&arena);
    return true;
}

static void
http_config_apply(struct server *s, const struct config *config, bool ok)
{
    struct buf yaml = { 0 };

    config_write(config, &yaml);
    struct http_config_view view = {
        .yaml = buf_as_str(&yaml),
        .external_labels = config->global.external_labels,
        .reload_ok = ok,
        .reload_ms = clock_now_ms(s->clock),
    };
    http_set_config(s->http, &view);
    buf_fini(&yaml);
}

/* Gives every part its section. All are tried; the first refusal is reported. */
static bool
config_apply(struct server *s, const struct config *config, struct error *err)
{
    struct retention keep = retention_of(s->flags, config);
    struct error more = { 0 };
    bool ok = true;

    db_retention_set(s->db, keep.ms, keep.bytes, keep.percent);
    db_ooo_window_set(s->db, config->storage.tsdb->out_of_order_time_window_ms);
    exemplars_apply(s, config);
    engine_set_subquery_step(s->engine, config->global.evaluation_interval_ms);
    bool (*const parts[])(struct server *, const struct config *,
                          struct error *) = { notifier_config_apply, rules_apply };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!parts[i](s, config, ok ? err : &more))
            ok = false;
    if (!scrape_manager_apply(s->scrape, config->jobs, config->jobs_nr,
                              config->global.external_labels, config->pool, ok ? err : &more))
        ok = false;
    error_clear(&more);
    return ok;
}

static void
show_reload(struct server *s, bool ok)
{
    metric_set(s->reload_ok, ok);
    if (ok)
        metric_set(s->reload_time, (double)clock_now_ms(s->clock) / 1000);
}

bool
server_reload(struct server *s, struct error *err)
{
    struct config *config;

    lock_take(&s->reload_lock);
    log_info(&s->log, "Loading configuration file", LOG_C("filename", s->flags->config_file));
    bool ok = load_config(s, &config, err);
    if (ok) {
        ok = config_apply(s, config, err);
        config_unref(s->config);
        s->config = config;
    }
    if (ok)
        log_info(&s->log, "Completed loading of configuration file",
                 LOG_C("filename", s->flags->config_file));
    else
        log_error(&s->log, "Error reloading config", LOG_E(err));
    show_reload(s, ok);
    http_config_apply(s, s->config, ok);
    struct http_notification failed = { STR("Configuration reload has failed."),
                                        clock_now_ms(s->clock) };
    http_set_notifications(s->http, &failed, ok ? 0 : 1);
    lock_release(&s->reload_lock);
    return ok;
}

/* ---- start ---- */

static bool
http_reload(void *arg, struct error *err)
{
    return server_reload(arg, err);
}

static void
http_quit(void *arg)
{
    struct server *s = arg;

    s->quit(s->quit_arg);
}

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
    struct retention keep = retention_of(f, s->config);
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
        .state_dir =
            arena_printf(&s->arena, "%s/narthex/alerts", f->storage_tsdb_path).p,
        .pool = s->pool,
        .log = s->log,
        .metrics = s->metrics,
        .notify = notifier_send,
        .concurrent_evals_max =
            f->feature.concurrent_rule_eval ? f->rules_max_concurrent_evals : 0,
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
        .update = notify_targets,
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

/* ---- http ---- */

static void
hostname_find(struct server *s)
{
    if (gethostname(s->hostname, sizeof s->hostname - 1) != 0)
        snprintf(s->hostname, sizeof s->hostname, "localhost");
    if (getcwd(s->cwd, sizeof s->cwd) == NULL)
        s->cwd[0] = '\0';
}

static void
log_web_unbuilt(void *arg, const char *path)
{
    log_warn(arg, "The web configuration asks for what has no effect yet", LOG_C("key", path));
}

static bool
web_make(struct server *s, struct error *err)
{
    if (!web_config_load(s->io, s->flags->web_config_file, &s->web, err))
        return error_wrap(err, "unable to validate web configuration file");
    web_config_unbuilt(s->web, log_web_unbuilt, &s->log);
    const struct conf_map *headers = &s->web->http.headers;
    s->web_headers = ARENA_NEW_ARRAY(&s->arena, struct http_header_line, headers->nr);
    for (size_t i = 0; i < headers->nr; i++)
        s->web_headers[i] =
            (struct http_header_line){ headers->items[i].name, headers->items[i].value };
    return true;
}

static bool
web_authorize(void *arg, struct str user, struct str password)
{
    const struct server *s = arg;

    return web_config_authorize(s->web, user, password);
}

static bool
cors_make(struct server *s, struct error *err)
{
    struct str pattern = str_c(s->flags->web_cors_origin);

    s->cors_origin = regex_compile(pattern, REGEX_ANCHORED, err);
    return s->cors_origin != NULL ||
           error_wrap(err, "could not compile CORS regex string '%.*s'", STR_ARG(pattern));
}

/* The value of a flag as it is shown: what start-up adjusted, as adjusted. */
static struct str
shown_value(struct server *s, const struct flag_value *flag)
{
    const struct retention keep = retention_of(s->flags, s->config);
    char text[DURATION_TEXT_MAX];

    if (str_is(flag->name, "web.route-prefix"))
        return str_c(s->url.route_prefix);
    if (str_is(flag->name, "web.external-url"))
        return arena_printf(&s->arena, "%s%s", s->url.url,
                            s->url.route_prefix[1] == '\0' ? "/" : "");
    if (str_is(flag->name, "storage.tsdb.retention.time") && keep.ms != 0)
        return arena_str(&s->arena, str_c(duration_text(keep.ms, text)));
    if (str_is(flag->name, "storage.tsdb.max-block-duration") &&
        s->flags->storage_tsdb_max_block_duration_ms == 0)
        return max_block_text(&s->arena, &keep);
    return flag->value;
}

static void
shown_flags_make(struct server *s)
{
    const struct flag_value *all = flags_shown(s->flags, &s->arena, &s->shown_flags_nr);

    s->shown_flags = ARENA_NEW_ARRAY(&s->arena, struct http_flag, s->shown_flags_nr);
    for (size_t i = 0; i < s->shown_flags_nr; i++)
        s->shown_flags[i] = (struct http_flag){ all[i].name, shown_value(s, &all[i]) };
}

static struct http_deps
http_deps_of(struct server *s)
{
    const struct flags *f = s->flags;
    struct retention keep = retention_of(f, s->config);

    return (struct http_deps){
        .engine = s->engine,
        .queryable = s->db == NULL ? NULL : db_queryable(s->db),
        .db = s->db,
        .scrape = s->scrape,
        .rules = s->rules,
        .notifier = s->notifier,
        .replay = &s->replay,
        .parse = { .experimental_functions = f->feature.promql_experimental_functions,
                   .duration_expressions = true,
                   .extended_ranges = f->feature.promql_extended_range_selectors,
                   .fill_modifiers = f->feature.promql_binop_fill_modifiers },
        .pool = s->pool,
        .queries = s->queries,
        .clock = s->clock,
        .log = s->log,
        .metrics = s->metrics,
        .reload = http_reload,
        .quit = http_quit,
        .arg = s,
        .external_url = str_c(s->url.url),
        .route_prefix = str_c(s->url.route_prefix),
        .page_title = str_c(f->web_page_title),
        .cors_origin = s->cors_origin,
        .enable_lifecycle = f->web_enable_lifecycle,
        .enable_admin = f->web_enable_admin_api,
        .flags = s->shown_flags,
        .flags_nr = s->shown_flags_nr,
        .features = s->features,
        .features_nr = s->features_nr,
        .build = { STR(PROMETHEUS_VERSION), STR(BUILD_REVISION), STR(BUILD_BRANCH), STR(BUILD_USER),
                   STR(BUILD_DATE), STR(BUILD_COMPILER) },
        .runtime = { .start_ms = clock_now_ms(s->clock),
                     .cwd = str_c(s->cwd),
                     .hostname = str_c(s->hostname),
                     .storage_retention = retention_text(&s->arena, &keep),
                     .cpus = pool_cpus() },
        .cheap_samples_max = CHEAP_SAMPLES_MAX,
        .authorize = web_config_has_users(s->web) ? web_authorize : NULL,
        .headers = s->web_headers,
        .headers_nr = s->web->http.headers.nr,
    };
}

static bool
http_make(struct server *s, struct error *err)
{
    const struct flags *f = s->flags;
    static const enum http_client_auth client_auths[] = {
        [WEB_CLIENT_NONE] = HTTP_CLIENT_NONE,
        [WEB_CLIENT_REQUEST] = HTTP_CLIENT_REQUEST,
        [WEB_CLIENT_REQUIRE_ANY] = HTTP_CLIENT_REQUIRE_ANY,
        [WEB_CLIENT_VERIFY_IF_GIVEN] = HTTP_CLIENT_VERIFY_IF_GIVEN,
        [WEB_CLIENT_VERIFY] = HTTP_CLIENT_VERIFY,
    };
    struct http_deps deps = http_deps_of(s);
    struct http_server_options options = {
        .listen = f->web_listen_address.items,
        .listen_nr = f->web_listen_address.nr,
        .connections_max = (unsigned)f->web_max_connections,
        .idle_timeout_ms = f->web_read_timeout_ms,
        .tls = { .certificate_pem = s->web->certificate_pem,
                 .key_pem = s->web->key_pem,
                 .client_ca_pem = s->web->client_ca_pem,
                 .priorities = s->web->priorities,
                 .client_auth = client_auths[s->web->client_auth] },
    };

    return http_start(&deps, &options, &s->http, err);
}

static void
parts_ready(struct server *s, enum http_readiness readiness)
{
    struct http_deps deps = http_deps_of(s);

    http_set_ready(s->http, readiness, &deps);
    metric_set(s->ready, readiness == HTTP_READY);
}

/* ---- life ---- */

static bool
start_prepare(struct server *s, int *exit_status, struct error *err)
{
    const struct flags *f = s->flags;

    hostname_find(s);
    *exit_status = 2;
    if (!cors_make(s, err) || !web_make(s, err) || !load_config(s, &s->config, err))
        return false;
    *exit_status = 2;
    if (!external_url_make(str_c(f->web_external_url), str_c(f->web_route_prefix),
                           str_c(s->hostname), f->web_listen_address.items[0], &s->url, err))
        return error_wrap(err, "parse external URL \"%s\"", f->web_external_url);
    shown_flags_make(s);
    s->features = features_list(f, &s->arena, &s->features_nr);
    return true;
}

static bool
start_parts(struct server *s, int *exit_status, struct error *err)
{
    base_make(s);
    engine_make(s);
    *exit_status = 1;
    if (!http_make(s, err))
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
    bool ok = config_apply(s, s->config, err);
    show_reload(s, ok);
    http_config_apply(s, s->config, ok);
    if (!ok)
        return error_wrap(err, "error loading config from \"%s\"", s->flags->config_file);
    rules_manager_start(s->rules);
    http_set_notifications(s->http, NULL, 0);
    parts_ready(s, HTTP_READY);
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
        parts_ready(s, HTTP_STOPPING);
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
