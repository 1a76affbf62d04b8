/* What the server tells about itself: Prometheus's families where they exist, narthex_http_* for
 * the rest. */
#include <stdio.h>

#include "http/http_priv.h"

static const double seconds_bounds[] = { 0.1, 0.2, 0.4, 1, 3, 8, 20, 60, 120 };
static const double bytes_bounds[] = { 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };

static void
init_requests(struct http *h, struct metrics *m)
{
    static const char *const by_code[] = { "handler", "code", NULL };
    static const char *const by_handler[] = { "handler", NULL };
    static const char *const code_only[] = { "code", NULL };
    static const char *const codes[] = { "200", "500", "503" };

    h->metrics.requests = metrics_family(m, METRIC_COUNTER, "prometheus_http_requests_total",
                                         "Counter of HTTP requests.", by_code);
    h->metrics.durations =
        metrics_family(m, METRIC_HISTOGRAM, "prometheus_http_request_duration_seconds",
                       "Histogram of latencies for HTTP requests.", by_handler);
    h->metrics.sizes = metrics_family(m, METRIC_HISTOGRAM, "prometheus_http_response_size_bytes",
                                      "Histogram of response size for HTTP requests.", by_handler);
    h->metrics.scrapes = metrics_family(m, METRIC_COUNTER, "promhttp_metric_handler_requests_total",
                                        "Total number of scrapes by HTTP status code.", code_only);
    for (size_t i = 0; i < http_routes_nr; i++)
        metrics_child(h->metrics.requests,
                      (struct str[]){ str_c(http_routes[i].path), STR("200") });
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        metrics_child(h->metrics.scrapes, (struct str[]){ str_c(codes[i]) });
}

void
http_metrics_init(struct http *h)
{
    struct metrics *m = h->deps.metrics;

    if (m == NULL)
        return;
    init_requests(h, m);
    h->metrics.scrapes_in_flight = metrics_gauge(m, "promhttp_metric_handler_requests_in_flight",
                                                 "Current number of scrapes being served.");
    h->metrics.federation_errors =
        metrics_counter(m, "prometheus_web_federation_errors_total",
                        "Total number of errors that occurred while sending federation responses.");
    h->metrics.federation_warnings = metrics_counter(
        m, "prometheus_web_federation_warnings_total",
        "Total number of warnings that occurred while sending federation responses.");
}

void
http_metrics_inc(struct metric *m)
{
    if (m != NULL)
        metric_inc(m);
}

/* ---- numbers that the server keeps */

static struct http_server_stats
stats_of(void *arg)
{
    struct http_server_stats st;

    http_server_stats(((struct http *)arg)->server, &st);
    return st;
}

static void
emit_accepted(void *arg, struct metrics_out *out)
{
    metrics_emit(out, (struct str[]){ STR("http") }, (double)stats_of(arg).accepted);
}

static void
emit_closed(void *arg, struct metrics_out *out)
{
    metrics_emit(out, (struct str[]){ STR("http") }, (double)stats_of(arg).closed);
}

static void
emit_connections(void *arg, struct metrics_out *out)
{
    struct http_server_stats st = stats_of(arg);

    metrics_emit(out, (struct str[]){ STR("waiting") }, st.waiting);
    metrics_emit(out, (struct str[]){ STR("busy") }, st.connections - st.waiting);
}

static void
emit_refused(void *arg, struct metrics_out *out)
{
    struct http_server_stats st = stats_of(arg);

    metrics_emit(out, (struct str[]){ STR("room") }, (double)st.evicted);
    metrics_emit(out, (struct str[]){ STR("slow") }, (double)st.late);
}

static void
emit_canceled(void *arg, struct metrics_out *out)
{
    metrics_emit(out, NULL, (double)stats_of(arg).canceled);
}

static void
emit_bodies(void *arg, struct metrics_out *out)
{
    metrics_emit(out, NULL, (double)stats_of(arg).bodies_bytes);
}

void
http_metrics_ready(struct http *h)
{
    static const char *const listener[] = { "listener_name", NULL }, *const state[] = { "state",
                                                                                        NULL };
    static const char *const reason[] = { "reason", NULL }, *const none[] = { NULL };
    static const struct {
        enum metric_type type;
        const char *name, *help;
        const char *const *labels;
        metrics_collect_fn emit;
    } families[] = {
        { METRIC_COUNTER, "net_conntrack_listener_conn_accepted_total",
          "Total number of connections opened to the listener of a given name.", listener,
          emit_accepted },
        { METRIC_COUNTER, "net_conntrack_listener_conn_closed_total",
          "Total number of connections closed that were made to the listener of a given name.",
          listener, emit_closed },
        { METRIC_GAUGE, "narthex_http_connections",
          "Open connections, by whether a complete request is being answered.", state,
          emit_connections },
        { METRIC_COUNTER, "narthex_http_connections_closed_total",
          "Connections that the server closed: for room among idle ones, or for slowness.", reason,
          emit_refused },
        { METRIC_COUNTER, "narthex_http_requests_canceled_total",
          "Requests whose client hung up before the answer.", none, emit_canceled },
        { METRIC_GAUGE, "narthex_http_request_bodies_bytes", "Bytes of request bodies in memory.",
          none, emit_bodies },
    };

    if (h->deps.metrics == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        metrics_collector(h->deps.metrics,
                          metrics_family(h->deps.metrics, families[i].type, families[i].name,
                                         families[i].help, families[i].labels),
                          families[i].emit, h);
}

/* ---- one answer */

void
http_metrics_done(void *arg, const struct http_request *req, const struct http_response *resp)
{
    struct http *h = arg;
    const struct route *route = req->route;
    char code[16];

    if (h->metrics.requests == NULL || route == NULL)
        return;
    struct str handler = str_c(route->path);
    int n = snprintf(code, sizeof code, "%u", resp->status);
    struct str code_text = { code, (size_t)n };
    metric_inc(metrics_child(h->metrics.requests, (struct str[]){ handler, code_text }));
    if (route->raw == raw_metrics)
        metric_inc(metrics_child(h->metrics.scrapes, &code_text));
    double took_s = (double)(clock_monotonic_ns(h->deps.clock) - req->begin_ns) / 1e9;
    metric_histogram_observe(metrics_histogram(h->metrics.durations, &handler, seconds_bounds,
                                               ARRAY_LEN(seconds_bounds)),
                             took_s);
    metric_histogram_observe(
        metrics_histogram(h->metrics.sizes, &handler, bytes_bounds, ARRAY_LEN(bytes_bounds)),
        (double)(resp->static_body.n + resp->body.n));
}
