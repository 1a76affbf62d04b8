/* The one table of what is served. */
#include <string.h>

#include "http/http_priv.h"

#define GET_ONLY HTTP_GET
#define GET_POST (HTTP_GET | HTTP_POST)
#define GET_HEAD (HTTP_GET | HTTP_HEAD)
#define POST_PUT (HTTP_POST | HTTP_PUT)
#define API(methods_, path_, fn_, flags_)                             \
    {                                                                 \
        .methods = (methods_), .path = "/api/v1" path_, .api = (fn_), \
        .flags = ROUTE_API | (flags_)                                 \
    }
#define RAW(methods_, path_, fn_, flags_)                                       \
    {                                                                           \
        .methods = (methods_), .path = (path_), .raw = (fn_), .flags = (flags_) \
    }

const struct route http_routes[] = {
    API(GET_POST, "/query", api_query, ROUTE_SERVER | ROUTE_CHEAP),
    API(GET_POST, "/query_range", api_query_range, ROUTE_SERVER),
    API(GET_POST, "/query_exemplars", api_query_exemplars, ROUTE_SERVER),
    API(GET_POST, "/format_query", api_format_query, ROUTE_SERVER),
    API(GET_POST, "/parse_query", api_parse_query, ROUTE_SERVER),
    API(GET_POST, "/labels", api_labels, ROUTE_SERVER),
    API(GET_ONLY, "/label/:name/values", api_label_values, ROUTE_SERVER),
    API(GET_POST, "/series", api_series, ROUTE_SERVER),
    API(GET_ONLY, "/scrape_pools", api_scrape_pools, ROUTE_SERVICE),
    API(GET_ONLY, "/scrape_pools/config", api_scrape_pool_config, ROUTE_SERVICE),
    API(GET_ONLY, "/targets", api_targets, ROUTE_SERVICE),
    API(GET_ONLY, "/targets/metadata", api_targets_metadata, ROUTE_SERVICE),
    API(GET_ONLY, "/targets/relabel_steps", api_relabel_steps, ROUTE_SERVICE),
    API(GET_ONLY, "/alertmanagers", api_alertmanagers, ROUTE_SERVER | ROUTE_SERVICE),
    API(GET_ONLY, "/metadata", api_metadata, ROUTE_SERVICE),
    API(GET_ONLY, "/rules", api_rules, ROUTE_SERVER | ROUTE_SERVICE),
    API(GET_ONLY, "/alerts", api_alerts, ROUTE_SERVER | ROUTE_SERVICE),
    API(GET_ONLY, "/status/config", api_status_config, ROUTE_SERVICE),
    API(GET_ONLY, "/status/runtimeinfo", api_status_runtimeinfo, ROUTE_SERVICE),
    API(GET_ONLY, "/status/buildinfo", api_status_buildinfo, ROUTE_INLINE),
    API(GET_ONLY, "/status/flags", api_status_flags, ROUTE_INLINE),
    API(GET_ONLY, "/status/tsdb", api_status_tsdb, ROUTE_SERVER | ROUTE_SERVICE),
    API(GET_ONLY, "/status/tsdb/blocks", api_status_blocks, ROUTE_SERVER | ROUTE_SERVICE),
    API(GET_ONLY, "/features", api_features, ROUTE_INLINE),
    API(POST_PUT, "/admin/tsdb/delete_series", api_delete_series, ROUTE_SERVER),
    API(POST_PUT, "/admin/tsdb/clean_tombstones", api_clean_tombstones, ROUTE_SERVER),
    API(POST_PUT, "/admin/tsdb/snapshot", api_snapshot, ROUTE_SERVER),
    { GET_POST, "/api/v1/search/metric_names", api_search, NULL, ROUTE_READY | ROUTE_CORS },
    { GET_POST, "/api/v1/search/label_names", api_search, NULL, ROUTE_READY | ROUTE_CORS },
    { GET_POST, "/api/v1/search/label_values", api_search, NULL, ROUTE_READY | ROUTE_CORS },
    /* These two answer while the server starts. */
    { HTTP_GET, "/api/v1/status/walreplay", api_status_walreplay, NULL, ROUTE_CORS | ROUTE_INLINE },
    { HTTP_GET, "/api/v1/notifications", api_notifications, NULL, ROUTE_CORS | ROUTE_INLINE },
    RAW(GET_ONLY, "/api/v1/notifications/live", raw_notifications_live, ROUTE_CORS | ROUTE_INLINE),
    RAW(HTTP_POST, "/api/v1/read", raw_remote_read, ROUTE_READY | ROUTE_INLINE),
    RAW(HTTP_POST, "/api/v1/write", raw_remote_write, ROUTE_READY | ROUTE_INLINE),
    RAW(HTTP_POST, "/api/v1/otlp/v1/metrics", raw_otlp, ROUTE_READY | ROUTE_INLINE),
    API(HTTP_OPTIONS, "/*path", api_options, ROUTE_INLINE),

    RAW(GET_ONLY, "/federate", raw_federate, ROUTE_READY | ROUTE_GZIP | ROUTE_SERVICE),
    RAW(GET_ONLY, "/metrics", raw_metrics, ROUTE_GZIP | ROUTE_SERVICE),
    RAW(GET_ONLY, "/version", raw_version, ROUTE_INLINE),
    RAW(GET_HEAD, "/-/healthy", raw_healthy, ROUTE_INLINE),
    RAW(GET_HEAD, "/-/ready", raw_ready, ROUTE_READY | ROUTE_INLINE),
    RAW(POST_PUT, "/-/reload", raw_reload, ROUTE_SERVICE),
    RAW(POST_PUT, "/-/quit", raw_quit, ROUTE_INLINE),
    RAW(GET_ONLY, "/-/reload", raw_lifecycle_get, ROUTE_INLINE),
    RAW(GET_ONLY, "/-/quit", raw_lifecycle_get, ROUTE_INLINE),

    RAW(GET_ONLY, "/", raw_home, ROUTE_INLINE),
    RAW(GET_ONLY, "/graph", raw_graph, ROUTE_INLINE),
    RAW(GET_ONLY, "/query", raw_page, ROUTE_INLINE | ROUTE_GZIP),
    RAW(GET_ONLY, "/alerts", raw_page, ROUTE_INLINE | ROUTE_GZIP),
    RAW(GET_ONLY, "/rules", raw_page, ROUTE_INLINE | ROUTE_GZIP),
    RAW(GET_ONLY, "/targets", raw_page, ROUTE_INLINE | ROUTE_GZIP),
    RAW(GET_ONLY, "/service-discovery", raw_page, ROUTE_INLINE | ROUTE_GZIP),
    RAW(GET_ONLY, "/alertmanager-discovery", raw_page, ROUTE_INLINE | ROUTE_GZIP),
    RAW(GET_ONLY, "/status", raw_page, ROUTE_INLINE | ROUTE_GZIP),
    RAW(GET_ONLY, "/tsdb-status", raw_page, ROUTE_INLINE | ROUTE_GZIP),
    RAW(GET_ONLY, "/config", raw_page, ROUTE_INLINE | ROUTE_GZIP),
    RAW(GET_ONLY, "/flags", raw_page, ROUTE_INLINE | ROUTE_GZIP),
    RAW(GET_ONLY, "/assets/*filepath", raw_asset, ROUTE_INLINE | ROUTE_GZIP),
    RAW(GET_ONLY, "/favicon.svg", raw_asset, ROUTE_INLINE),
    RAW(GET_ONLY, "/favicon.ico", raw_asset, ROUTE_INLINE),
};
const size_t http_routes_nr = ARRAY_LEN(http_routes);

static bool
path_matches(const char *pattern, struct str path, struct str *param)
{
    size_t i = 0;

    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '*')
            return true;
        if (*pattern == ':') {
            size_t end = str_find(path, '/', i);
            while (pattern[1] != '\0' && pattern[1] != '/')
                pattern++;
            *param = (struct str){ path.p + i, end - i };
            if (end == i)
                return false;
            i = end;
        } else if (i == path.n || path.p[i++] != *pattern) {
            return false;
        }
    }
    return i == path.n;
}

/* The row for OPTIONS on everything below /api/v1 makes no path known that no other row knows. */
const struct route *
route_find(enum http_method method, struct str path, unsigned *methods, struct str *param)
{
    *methods = 0;
    for (size_t i = 0; i < http_routes_nr; i++) {
        const struct route *r = &http_routes[i];
        struct str segment = STR_NONE;
        if (!path_matches(r->path, path, &segment))
            continue;
        if (r->methods & method) {
            *param = segment;
            return r;
        }
        if (r->methods != HTTP_OPTIONS)
            *methods |= r->methods | HTTP_OPTIONS;
    }
    return NULL;
}
