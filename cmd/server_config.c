/* Configuration: loading it, giving the parts their sections, reloading.
 *
 * A reload loads the whole file first and touches the parts only when it is good; each part takes
 * its section or refuses, and a refusal leaves the old configuration in charge of that part and is
 * reported. */
#include "cmd/server_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/duration.h"
#include "base/glob.h"
#include "base/mem.h"
#include "base/units.h"

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

/* Flags count where the file says nothing, and are then shown as if the file had said it. */
static void
retention_fill(const struct flags *f, struct config *config)
{
    struct server_retention r = server_retention(f, config);
    struct tsdb_config *tsdb = config->storage.tsdb;

    tsdb->retention->time_ms = r.ms;
    tsdb->retention->size_bytes = (int64_t)r.bytes;
    tsdb->retention->percentage = r.percent;
}

bool
server_load_config(struct server *s, struct config **config, struct error *err)
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

struct server_retention
server_retention(const struct flags *f, const struct config *config)
{
    const struct tsdb_config *tsdb = config->storage.tsdb;
    struct server_retention r = { f->storage_tsdb_retention_time_ms,
                                  (uint64_t)f->storage_tsdb_retention_size_bytes, 0 };

    if (tsdb->retention_given)
        r = (struct server_retention){ tsdb->retention->time_ms,
                                       (uint64_t)tsdb->retention->size_bytes,
                                       tsdb->retention->percentage };
    if (r.ms == 0 && r.bytes == 0 && r.percent == 0)
        r.ms = INT64_C(15) * 24 * 3600 * 1000;
    return r;
}

/* "15d", "512MB", "80%": all that apply, as runtimeinfo shows them. */
struct str
server_retention_text(struct arena *arena, const struct server_retention *r)
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
max_block_ms(const struct server_retention *r)
{
    const int64_t most = INT64_C(31) * 24 * 3600 * 1000;

    return r->ms != 0 && r->ms / 10 < most ? r->ms / 10 : most;
}

struct str
server_max_block_text(struct arena *arena, const struct server_retention *r)
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
apply_rules(struct server *s, const struct config *config, struct error *err)
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
void
server_notify_targets(void *arg, struct str set, struct target_group *const *groups,
                      size_t groups_nr)
{
    struct server *s = arg;
    char z[32];

    snprintf(z, sizeof z, "%.*s", STR_ARG(set));
    notifier_set_targets(s->notifier, strtoul(z + strlen("config-"), NULL, 10), groups, groups_nr);
}

static bool
apply_notifier(struct server *s, const struct config *config, struct error *err)
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

void
server_show_config(struct server *s, const struct config *config, bool ok)
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
bool
server_apply_config(struct server *s, const struct config *config, struct error *err)
{
    struct server_retention keep = server_retention(s->flags, config);
    struct error more = { 0 };
    bool ok = true;

    db_retention_set(s->db, keep.ms, keep.bytes, keep.percent);
    db_ooo_window_set(s->db, config->storage.tsdb->out_of_order_time_window_ms);
    exemplars_apply(s, config);
    engine_set_subquery_step(s->engine, config->global.evaluation_interval_ms);
    bool (*const parts[])(struct server *, const struct config *,
                          struct error *) = { apply_notifier, apply_rules };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!parts[i](s, config, ok ? err : &more))
            ok = false;
    if (!scrape_manager_apply(s->scrape, config->jobs, config->jobs_nr,
                              config->global.external_labels, config->pool, ok ? err : &more))
        ok = false;
    error_clear(&more);
    return ok;
}

void
server_show_reload(struct server *s, bool ok)
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
    bool ok = server_load_config(s, &config, err);
    if (ok) {
        ok = server_apply_config(s, config, err);
        config_unref(s->config);
        s->config = config;
    }
    if (ok)
        log_info(&s->log, "Completed loading of configuration file",
                 LOG_C("filename", s->flags->config_file));
    else
        log_error(&s->log, "Error reloading config", LOG_E(err));
    server_show_reload(s, ok);
    server_show_config(s, s->config, ok);
    struct http_notification failed = { STR("Configuration reload has failed."),
                                        clock_now_ms(s->clock) };
    http_set_notifications(s->http, &failed, ok ? 0 : 1);
    lock_release(&s->reload_lock);
    return ok;
}
