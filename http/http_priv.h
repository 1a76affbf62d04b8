/* http/http_priv.h: what the handlers share: the server's state, one call, the route table's row.
 */
#pragma once
#include <stdatomic.h>
#include "base/json.h"
#include "base/lock.h"
#include "base/metrics.h"
#include "http/http.h"
#include "http/params.h"
#include "model/matcher.h"

/* Warnings and infos shown, as Prometheus caps them. */
#define CALL_NOTES_MAX 10

struct http {
    struct http_deps deps; /* parts are set before readiness says HTTP_READY, read after */
    struct http_server *server;
    _Atomic int readiness;
    _Atomic bool quitting;
    struct lock lock;          /* guards what a reload changes */
    struct arena config_arena; /* of config and external_labels */
    struct http_config_view config;
    struct arena notes_arena;
    struct http_notification *notes;
    size_t notes_nr;
    struct http_metrics {
        struct metric_family *requests, *durations, *sizes, *scrapes;
        struct metric *scrapes_in_flight, *federation_errors, *federation_warnings;
    } metrics; /* NULLs without a registry */
};

/* ---- http/http_metrics.c ---- */
void http_metrics_init(struct http *h);
/* The server runs: its numbers may be asked for. */
void http_metrics_ready(struct http *h);
void http_metrics_done(void *arg, const struct http_request *req, const struct http_response *resp);
/* Nothing when there is no registry. */
void http_metrics_inc(struct metric *m);

/* One request being answered. */
struct call {
    struct http *h;
    struct http_request *req;
    struct http_response *resp;
    struct json j; /* writes into the response's body */
    struct str warnings[CALL_NOTES_MAX + 1], infos[CALL_NOTES_MAX + 1];
    size_t warnings_nr, infos_nr;
    bool no_content; /* success without a body: 204 */
};

static inline struct arena *
call_arena(struct call *c)
{
    return &c->req->arena;
}

void call_warn(struct call *c, struct str text);
/* The whole answer as text, for what is not under /api/v1. */
void call_text(struct call *c, unsigned status, struct str text);
/* As Go's http.Error: one line, no sniffing. */
void call_error_text(struct call *c, unsigned status, struct str line);
void call_redirect(struct call *c, unsigned status, const char *word, struct str location);

/* A call of the API appends the value of "data"; false: the error's kind decides status and
 * errorType. */
typedef bool (*api_fn)(struct call *c, struct error *err);
typedef void (*raw_fn)(struct call *c);

enum route_flags {
    ROUTE_READY = 1, /* 503 until the server is ready */
    ROUTE_CORS = 2,
    ROUTE_GZIP = 4,
    ROUTE_INLINE = 8,   /* never takes long */
    ROUTE_CHEAP = 16,   /* the engine says whether it takes long */
    ROUTE_SERVER = 32,  /* not in agent mode */
    ROUTE_SERVICE = 64, /* takes some milliseconds; queries must not delay it */
    ROUTE_API = ROUTE_READY | ROUTE_CORS | ROUTE_GZIP
};

struct route {
    unsigned methods;
    const char
        *path;  /* ":name" stands for a segment, a final "*name" for any rest; as metrics name it */
    api_fn api; /* one of the two */
    raw_fn raw;
    unsigned flags;
};

extern const struct route http_routes[];
extern const size_t http_routes_nr;
/* The route of path for the method; *methods gets what the path is served with at all, 0 for an
 * unknown path. */
const struct route *
route_find(enum http_method method, struct str path, unsigned *methods, struct str *param);

/* ---- handlers ---- */
bool api_options(struct call *c, struct error *err);
bool api_query(struct call *c, struct error *err);
bool api_query_cheap(struct http *h, struct http_request *req);
bool api_query_range(struct call *c, struct error *err);
bool api_query_exemplars(struct call *c, struct error *err);
bool api_format_query(struct call *c, struct error *err);
bool api_parse_query(struct call *c, struct error *err);
bool api_series(struct call *c, struct error *err);
bool api_labels(struct call *c, struct error *err);
bool api_label_values(struct call *c, struct error *err);
bool api_targets(struct call *c, struct error *err);
bool api_targets_metadata(struct call *c, struct error *err);
bool api_relabel_steps(struct call *c, struct error *err);
bool api_metadata(struct call *c, struct error *err);
bool api_scrape_pools(struct call *c, struct error *err);
bool api_scrape_pool_config(struct call *c, struct error *err);
bool api_rules(struct call *c, struct error *err);
bool api_alerts(struct call *c, struct error *err);
bool api_alertmanagers(struct call *c, struct error *err);
bool api_status_config(struct call *c, struct error *err);
bool api_status_flags(struct call *c, struct error *err);
bool api_status_buildinfo(struct call *c, struct error *err);
bool api_status_runtimeinfo(struct call *c, struct error *err);
bool api_status_tsdb(struct call *c, struct error *err);
bool api_status_blocks(struct call *c, struct error *err);
bool api_status_walreplay(struct call *c, struct error *err);
bool api_features(struct call *c, struct error *err);
bool api_notifications(struct call *c, struct error *err);
bool api_delete_series(struct call *c, struct error *err);
bool api_clean_tombstones(struct call *c, struct error *err);
bool api_snapshot(struct call *c, struct error *err);
bool api_search(struct call *c, struct error *err);
void raw_notifications_live(struct call *c);
void raw_remote_write(struct call *c);
void raw_remote_read(struct call *c);
void raw_otlp(struct call *c);
void raw_federate(struct call *c);
void raw_metrics(struct call *c);
void raw_version(struct call *c);
void raw_healthy(struct call *c);
void raw_ready(struct call *c);
void raw_reload(struct call *c);
void raw_quit(struct call *c);
void raw_lifecycle_get(struct call *c);
void raw_home(struct call *c);
void raw_graph(struct call *c);
void raw_page(struct call *c);
void raw_asset(struct call *c);

/* ---- shared by handlers ---- */

/* A selector's conditions. */
struct matcher_set {
    struct matcher *v;
    size_t nr;
};
struct matcher_sets {
    struct matcher_set *v;
    size_t nr;
};
/* All of match[], each with a condition that refuses "". False with the parser's error as it is. */
MUST_CHECK bool call_matchers(struct call *c, struct matcher_sets *sets, struct error *err);
void matcher_sets_fini(struct matcher_sets *sets);
bool matcher_set_matches(const struct matcher_set *set, struct labels ls);

/* ERR_IO and the like from storage become what the API calls "execution". */
bool storage_error(struct error *err);

/* Go's time.Time as JSON: "2026-01-01T00:00:00.5Z"; 0 is Go's zero time. */
void json_time(struct json *j, int64_t ns);
void json_labels(struct json *j, struct labels ls);
/* A sample value as the API has it: a quoted number. */
void json_value(struct buf *out, double v);
void json_timestamp(struct buf *out, int64_t t_ms);
void json_histogram(struct buf *out, const struct histogram *h);

/* A page or file of the UI; n 0: no such file. */
struct web_file {
    const char *path, *type;
    struct str bytes;
};
const struct web_file *web_file_find(struct str path);
