/* Routing, and what is the same for every answer: readiness, CORS, authorisation, the envelope of
 * the API, compression, metrics. */
#include "http/http.h"

#include <stdio.h>
#include <strings.h>

#include "base/gzip.h"
#include "base/mem.h"
#include "http/auth.h"
#include "http/http_priv.h"
#include "http/paths.h"

/* Smaller bodies are not worth the CPU on either side. */
enum { COMPRESS_BYTES_MIN = 1400 };

/* ---- errors of the API */

static const struct {
    enum err_kind kind;
    const char *type;
    unsigned status;
} error_types[] = {
    { ERR_INVALID, "bad_data", 400 },        { ERR_EXECUTION, "execution", 422 },
    { ERR_LIMIT, "execution", 422 },         { ERR_TIMEOUT, "timeout", 503 },
    { ERR_CANCELED, "canceled", 499 },       { ERR_NOT_FOUND, "not_found", 404 },
    { ERR_UNAVAILABLE, "unavailable", 500 },
};

static unsigned
error_status(const struct error *err, const char **type)
{
    for (size_t i = 0; i < ARRAY_LEN(error_types); i++) {
        if (error_types[i].kind == err->kind) {
            *type = error_types[i].type;
            return error_types[i].status;
        }
    }
    *type = "internal";
    return 500;
}

static void
api_failed(struct call *c, const struct error *err)
{
    const char *type;

    c->resp->status = error_status(err, &type);
    buf_reset(&c->resp->body);
    struct json j = json_to(&c->resp->body);
    json_open(&j, '{');
    json_key(&j, "status");
    json_str(&j, STR("error"));
    json_key(&j, "errorType");
    json_str(&j, str_c(type));
    json_key(&j, "error");
    json_str_html(&j, str_c(error_text(err)));
    json_close(&j, '}');
}

static void
api_notes(struct call *c, const char *key, const struct str *notes, size_t nr)
{
    if (nr == 0)
        return;
    json_key(&c->j, key);
    json_open(&c->j, '[');
    for (size_t i = 0; i < nr; i++)
        json_str_html(&c->j, notes[i]);
    json_close(&c->j, ']');
}

static void
run_api(struct call *c, const struct route *route)
{
    struct error err = { 0 };

    c->resp->status = 200;
    c->j = json_to(&c->resp->body);
    json_open(&c->j, '{');
    json_key(&c->j, "status");
    json_str(&c->j, STR("success"));
    json_key(&c->j, "data");
    bool ok = (route->flags & ROUTE_SERVER) && c->h->deps.agent
                  ? error_set(&err, ERR_EXECUTION, "unavailable with Prometheus Agent")
                  : route->api(c, &err);
    if (ok && c->no_content) {
        c->resp->status = 204;
        buf_reset(&c->resp->body);
        return;
    }
    if (ok) {
        c->j.comma = true;
        api_notes(c, "warnings", c->warnings, c->warnings_nr);
        api_notes(c, "infos", c->infos, c->infos_nr);
        json_close(&c->j, '}');
    } else {
        api_failed(c, &err);
    }
    http_response_header(c->resp, STR("Content-Type"), STR("application/json"));
    error_clear(&err);
}

/* ---- headers */

static void
add_cors(struct http *h, struct http_request *req, struct http_response *resp)
{
    struct str origin = http_request_header(req, "Origin");

    http_response_header(resp, STR("Vary"), STR("Origin"));
    if (origin.n == 0)
        return;
    http_response_header(resp, STR("Access-Control-Allow-Headers"),
                         STR("Accept, Authorization, Content-Type, Origin"));
    http_response_header(resp, STR("Access-Control-Allow-Methods"), STR("GET, POST, OPTIONS"));
    http_response_header(resp, STR("Access-Control-Expose-Headers"), STR("Date"));
    /* Prometheus would answer "*" for the pattern ".*" if its comparison of patterns did not miss
     * its own anchors; what clients see is always their origin. */
    if (h->deps.cors_origin == NULL || regex_match(h->deps.cors_origin, origin))
        http_response_header(resp, STR("Access-Control-Allow-Origin"),
                             arena_str(&req->arena, origin));
}

/* The first coding of the client's list that we know. */
static bool
coding_of(struct str accept, enum gzip_format *format, struct str *name)
{
    static const struct {
        struct str name;
        enum gzip_format format;
    } codings[] = { { { "gzip", 4 }, GZIP_GZIP },
                    { { "deflate", 7 }, GZIP_DEFLATE },
                    { { "zstd", 4 }, GZIP_ZSTD } };

    while (accept.n > 0) {
        size_t end = str_find(accept, ',', 0);
        struct str token = str_trim((struct str){ accept.p, end });
        for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
            if (str_eq(token, codings[i].name)) {
                *format = codings[i].format;
                *name = codings[i].name;
                return true;
            }
        }
        accept = str_skip(accept, end < accept.n ? end + 1 : end);
    }
    return false;
}

static void
compress(struct http_request *req, struct http_response *resp)
{
    enum gzip_format format;
    struct str name;
    struct bytes plain =
        resp->static_body.n != 0
            ? (struct bytes){ (const uint8_t *)resp->static_body.p, resp->static_body.n }
            : buf_as_bytes(&resp->body);

    if (plain.n < COMPRESS_BYTES_MIN ||
        !coding_of(http_request_header(req, "Accept-Encoding"), &format, &name))
        return;
    struct buf encoded = { 0 };
    gzip_encode(format, plain, &encoded);
    buf_fini(&resp->body);
    resp->body = encoded;
    resp->static_body = STR_NONE;
    http_response_header(resp, STR("Content-Encoding"), name);
}

/* ---- one request */

static void
respond_plain(struct http_response *resp, unsigned status, const char *text, bool error)
{
    resp->status = status;
    http_response_header(resp, STR("Content-Type"), STR("text/plain; charset=utf-8"));
    if (error)
        http_response_header(resp, STR("X-Content-Type-Options"), STR("nosniff"));
    buf_c(&resp->body, text);
}

/* httprouter answers OPTIONS by itself, and says so. */
static void
respond_wrong_method(struct http_request *req, struct http_response *resp, unsigned methods)
{
    static const struct {
        enum http_method method;
        const char *text;
    } names[] = { { HTTP_GET, "GET" },
                  { HTTP_HEAD, "HEAD" },
                  { HTTP_OPTIONS, "OPTIONS" },
                  { HTTP_POST, "POST" },
                  { HTTP_PUT, "PUT" } };
    struct buf allow = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (methods & names[i].method)
            buf_printf(&allow, "%s%s", allow.n > 0 ? ", " : "", names[i].text);
    http_response_header(resp, STR("Allow"), arena_str(&req->arena, buf_as_str(&allow)));
    buf_fini(&allow);
    if (req->method == HTTP_OPTIONS)
        resp->status = 200;
    else
        respond_plain(resp, 405, "Method Not Allowed\n", true);
}

/* Go's multiplexer sends what is not written plainly to where it is. */
static bool
respond_unclean(struct http *h, struct http_request *req, struct http_response *resp)
{
    struct call c = { .h = h, .req = req, .resp = resp };
    struct str clean = path_clean(&req->arena, req->path);

    if (str_eq(clean, req->path))
        return false;
    call_redirect(&c, 307, "Temporary Redirect",
                  arena_printf(&req->arena, "%.*s%s%.*s", STR_ARG(path_escape(&req->arena, clean)),
                               req->query.n > 0 ? "?" : "", STR_ARG(req->query)));
    return true;
}

/* httprouter sends a path with a slash too many to where it is served; below /api/v1 it forgets the
 * prefix. */
static bool
respond_other_slash(struct http *h, struct http_request *req, struct http_response *resp)
{
    struct call c = { .h = h, .req = req, .resp = resp };
    struct str path = req->path, param;
    unsigned methods;

    if (str_is(path, "/api/v1")) {
        call_redirect(&c, 307, "Temporary Redirect", STR("/api/v1/"));
        return true;
    }
    if (path.n < 2 || path.p[path.n - 1] != '/')
        return false;
    path.n--;
    if (str_is(path, "/api/v1") || route_find(req->method, path, &methods, &param) == NULL)
        return false;
    if (str_starts(path, STR("/api/v1/")))
        path = str_skip(path, strlen("/api/v1"));
    bool get = req->method == HTTP_GET;
    call_redirect(&c, get ? 301 : 308, get ? "Moved Permanently" : "Permanent Redirect",
                  path_escape(&req->arena, path));
    return true;
}

static void
respond_not_ready(struct http_response *resp, enum http_readiness readiness)
{
    http_response_header(resp, STR("X-Prometheus-Stopping"),
                         readiness == HTTP_STOPPING ? STR("true") : STR("false"));
    respond_plain(resp, 503, "Service Unavailable", false);
}

/* False: not below the prefix. The bare "/" of a server with a prefix leads to it. */
static bool
strip_prefix(struct http *h, struct http_request *req)
{
    struct str prefix = h->deps.route_prefix;

    if (prefix.n <= 1)
        return true;
    if (!str_starts(req->path, prefix))
        return false;
    struct str rest = str_skip(req->path, prefix.n);
    if (rest.n != 0 && rest.p[0] != '/')
        return false;
    req->path = rest.n == 0 ? STR("/") : rest;
    return true;
}

static void
respond_unrouted(struct http *h, struct http_request *req, struct http_response *resp,
                 unsigned methods)
{
    if (methods != 0)
        respond_wrong_method(req, resp, methods);
    else if (!respond_other_slash(h, req, resp))
        respond_plain(resp, 404, "404 page not found\n", true);
}

/* The route, or NULL when the response is made. */
static const struct route *
route_request(struct http *h, struct http_request *req, struct http_response *resp)
{
    struct call c = { .h = h, .req = req, .resp = resp };
    unsigned methods;

    if (respond_unclean(h, req, resp))
        return NULL;
    if (h->deps.route_prefix.n > 1 && str_is(req->path, "/") && req->method == HTTP_GET) {
        call_redirect(&c, 302, "Found", h->deps.route_prefix);
        return NULL;
    }
    if (!strip_prefix(h, req)) {
        respond_plain(resp, 404, "404 page not found\n", true);
        return NULL;
    }
    const struct route *route = route_find(req->method, req->path, &methods, &req->route_param);
    if (route == NULL) {
        respond_unrouted(h, req, resp, methods);
        return NULL;
    }
    enum http_readiness readiness = atomic_load(&h->readiness);
    if ((route->flags & ROUTE_READY) && readiness != HTTP_READY) {
        respond_not_ready(resp, readiness);
        return NULL;
    }
    req->route = route;
    return route;
}

static enum http_run
where_to_run(const struct route *route)
{
    return route->flags & ROUTE_INLINE    ? HTTP_RUN_INLINE
           : route->flags & ROUTE_SERVICE ? HTTP_RUN_SERVICE
                                          : HTTP_RUN_WORKER;
}

/* Checking a password takes as long as a query, so with users nothing happens before a worker has
 * the request. */
static enum http_run
begin(void *arg, struct http_request *req, struct http_response *resp, size_t *body_max)
{
    struct http *h = arg;

    (void)body_max;
    for (size_t i = 0; i < h->deps.headers_nr; i++)
        http_response_header(resp, h->deps.headers[i].name, h->deps.headers[i].value);
    if (h->deps.authorize != NULL)
        return HTTP_RUN_SERVICE;
    const struct route *route = route_request(h, req, resp);
    if (route == NULL)
        return HTTP_RUN_REFUSE;
    return where_to_run(route);
}

static bool
cheap(void *arg, struct http_request *req)
{
    const struct route *route = req->route;

    return route != NULL && (route->flags & ROUTE_CHEAP) && api_query_cheap(arg, req);
}

static void
run_route(struct http *h, const struct route *route, struct http_request *req,
          struct http_response *resp)
{
    struct call c = { .h = h, .req = req, .resp = resp };

    if (req->params == NULL)
        http_request_params(req, http_request_header(req, "Content-Type"));
    if (route->flags & ROUTE_GZIP)
        http_response_header(resp, STR("Vary"), STR("Accept-Encoding"));
    if (route->flags & ROUTE_CORS)
        add_cors(h, req, resp);
    if (route->api != NULL)
        run_api(&c, route);
    else
        route->raw(&c);
    if ((route->flags & ROUTE_GZIP) && resp->status != 204)
        compress(req, resp);
}

/* With users a request comes here without a route, on a service thread; a query then goes on to a
 * worker. */
static enum http_run
run(void *arg, struct http_request *req, struct http_response *resp)
{
    struct http *h = arg;

    if (req->route == NULL) {
        if (!auth_check(&h->deps, req, resp))
            return HTTP_RUN_INLINE;
        const struct route *route = route_request(h, req, resp);
        if (route == NULL)
            return HTTP_RUN_INLINE;
        if (where_to_run(route) == HTTP_RUN_WORKER)
            return HTTP_RUN_WORKER;
    }
    run_route(h, req->route, req, resp);
    return HTTP_RUN_INLINE;
}

/* ---- lifecycle */

bool
http_start(const struct http_deps *deps, const struct http_server_options *server,
           struct http **http, struct error *err)
{
    struct http *h = MEM_NEW(struct http);
    struct http_server_options options = *server;
    const struct http_callbacks callbacks = {
        .begin = begin, .cheap = cheap, .run = run, .done = http_metrics_done, .arg = h
    };

    h->deps = *deps;
    lock_init(&h->lock, LOCK_HTTP, "http state");
    arena_init(&h->config_arena, SIZE_MAX);
    arena_init(&h->notes_arena, SIZE_MAX);
    http_metrics_init(h);
    options.pool = deps->queries != NULL ? deps->queries : deps->pool;
    options.clock = deps->clock;
    options.log = deps->log;
    if (!http_server_start(&options, &callbacks, &h->server, err)) {
        http_stop(h);
        return false;
    }
    http_metrics_ready(h);
    *http = h;
    return true;
}

void
http_stop(struct http *h)
{
    if (h == NULL)
        return;
    http_server_stop(h->server);
    arena_fini(&h->config_arena);
    arena_fini(&h->notes_arena);
    lock_fini(&h->lock);
    mem_free(h);
}

uint16_t
http_port(const struct http *h)
{
    return http_server_port(h->server);
}

void
http_set_ready(struct http *h, enum http_readiness readiness, const struct http_deps *parts)
{
    struct http_deps *d = &h->deps;

    /* Once ready, requests read them. */
    if (parts != NULL && atomic_load(&h->readiness) != HTTP_READY) {
        d->engine = parts->engine != NULL ? parts->engine : d->engine;
        d->queryable = parts->queryable != NULL ? parts->queryable : d->queryable;
        d->db = parts->db != NULL ? parts->db : d->db;
        d->scrape = parts->scrape != NULL ? parts->scrape : d->scrape;
        d->rules = parts->rules != NULL ? parts->rules : d->rules;
        d->notifier = parts->notifier != NULL ? parts->notifier : d->notifier;
    }
    atomic_store(&h->readiness, (int)readiness);
}

void
http_set_config(struct http *h, const struct http_config_view *config)
{
    lock_take(&h->lock);
    arena_fini(&h->config_arena);
    arena_init(&h->config_arena, SIZE_MAX);
    h->config = *config;
    h->config.yaml = arena_str(&h->config_arena, config->yaml);
    h->config.external_labels = labels_copy(&h->config_arena, config->external_labels);
    lock_release(&h->lock);
}

void
http_set_notifications(struct http *h, const struct http_notification *list, size_t nr)
{
    lock_take(&h->lock);
    arena_fini(&h->notes_arena);
    arena_init(&h->notes_arena, SIZE_MAX);
    h->notes = ARENA_NEW_ARRAY(&h->notes_arena, struct http_notification, nr);
    h->notes_nr = nr;
    for (size_t i = 0; i < nr; i++)
        h->notes[i] = (struct http_notification){ arena_str(&h->notes_arena, list[i].text),
                                                  list[i].since_ms };
    lock_release(&h->lock);
}
