/* What HTTP is told: the parts it serves, settings from flags and the web configuration file,
 * commands. */
#include "cmd/server_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/mem.h"
#include "cmd/features.h"
#include "cmd/version.h"

/* Instant queries that touch at most so many samples are answered on the I/O thread: some 100 us.
 */
enum { CHEAP_SAMPLES_MAX = 5000 };

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

void
server_find_host(struct server *s)
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

bool
server_make_web(struct server *s, struct error *err)
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

bool
server_make_cors(struct server *s, struct error *err)
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
    const struct server_retention keep = server_retention(s->flags, s->config);
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
        return server_max_block_text(&s->arena, &keep);
    return flag->value;
}

void
server_make_shown_flags(struct server *s)
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
    struct server_retention keep = server_retention(f, s->config);

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
                     .storage_retention = server_retention_text(&s->arena, &keep),
                     .cpus = pool_cpus() },
        .cheap_samples_max = CHEAP_SAMPLES_MAX,
        .authorize = web_config_has_users(s->web) ? web_authorize : NULL,
        .headers = s->web_headers,
        .headers_nr = s->web->http.headers.nr,
    };
}

bool
server_make_http(struct server *s, struct error *err)
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

void
server_set_ready(struct server *s, enum http_readiness readiness)
{
    struct http_deps deps = http_deps_of(s);

    http_set_ready(s->http, readiness, &deps);
    metric_set(s->ready, readiness == HTTP_READY);
}
