/* The API over a real database and engine on a file system in memory. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "base/gzip.h"
#include "base/mem_io.h"
#include "client.h"
#include "http/http.h"
#include "tsdb/db.h"

#define T0 INT64_C(1700006400000)

struct fixture {
    struct mem_io mem;
    struct clock_virtual clock;
    struct db *db;
    struct engine *engine;
    struct pool *pool;
    struct http *http;
    struct http_deps deps;
    uint16_t port;
    struct buf head, body;
    unsigned reloads, quits;
};

#define L(n, v)               \
    {                         \
        { n, sizeof(n) - 1 }, \
        {                     \
            v, sizeof(v) - 1  \
        }                     \
    }

static void
append_series(struct fixture *f, const struct label *ls, size_t nr, double first, double step)
{
    struct error err = { 0 };
    struct append_options options = { 0 };
    series_ref ref = SERIES_REF_NONE;

    for (int i = 0; i < 11; i++) {
        struct appender *a = append_begin(db_appendable(f->db), &options);
        append_sample(a, &ref, (struct labels){ ls, nr }, 0, T0 + i * 60000, first + step * i);
        cr_assert(append_commit(a, &err), "%s", error_text(&err));
    }
}

static bool
reload(void *arg, struct error *err)
{
    struct fixture *f = arg;

    return f->reloads++ == 0 || error_set(err, ERR_INVALID, "line 3: no such key");
}

static void
quit(void *arg)
{
    ((struct fixture *)arg)->quits++;
}

static bool
authorize(void *arg, struct str user, struct str password)
{
    (void)arg;
    return str_is(user, "ann") && str_is(password, "s:x");
}

static void
storage_make(struct fixture *f)
{
    static const struct label up_a[] = { L("__name__", "up"), L("job", "a") };
    static const struct label up_b[] = { L("__name__", "up"), L("job", "b\"<\n") };
    static const struct label odd[] = { L("__name__", "my.metric"), L("x y", "1") };
    struct db_options options = { .no_maintenance = true, .log = log_none };
    struct error err = { 0 };

    mem_io_init(&f->mem);
    clock_virtual_init(&f->clock, T0 + 600000, 1);
    cr_assert(db_open("/data", &f->mem.io, &f->clock.base, &options, &f->db, &err), "%s",
              error_text(&err));
    append_series(f, up_a, 2, 1, 0);
    append_series(f, up_b, 2, 0, 0.5);
    append_series(f, odd, 2, 1e21, 0);
}

static void
fixture_start(struct fixture *f)
{
    static const struct str listen = { "127.0.0.1:0", 11 };
    static const struct label external[] = { L("site", "s") };
    struct http_server_options server = {
        .listen = &listen, .listen_nr = 1, .connections_max = 50, .io_threads = 1
    };
    struct http_config_view config = { STR("global: {}\n"), { external, 1 }, true, T0 };
    struct error err = { 0 };

    cr_assert(http_start(&f->deps, &server, &f->http, &err), "%s", error_text(&err));
    http_set_config(f->http, &config);
    f->port = http_port(f->http);
}

static void
fixture_init(struct fixture *f)
{
    *f = (struct fixture){ 0 };
    storage_make(f);
    f->pool = pool_new(2, "test");
    struct engine_options engine = { .lookback_ms = 300000,
                                     .timeout_ms = 120000,
                                     .samples_max = 50000000,
                                     .concurrency_max = 20,
                                     .subquery_step_ms = 60000,
                                     .pool = f->pool,
                                     .clock = &f->clock.base };
    f->engine = engine_new(&engine);
    f->deps = (struct http_deps){ .engine = f->engine,
                                  .queryable = db_queryable(f->db),
                                  .db = f->db,
                                  .pool = f->pool,
                                  .clock = &f->clock.base,
                                  .log = log_none,
                                  .parse = { .duration_expressions = true },
                                  .reload = reload,
                                  .quit = quit,
                                  .arg = f,
                                  .external_url = STR("http://example.org:9090"),
                                  .route_prefix = STR("/") };
}

static void
fixture_fini(struct fixture *f)
{
    http_stop(f->http);
    engine_free(f->engine);
    pool_free(f->pool);
    db_close(f->db);
    mem_io_fini(&f->mem);
    buf_fini(&f->head);
    buf_fini(&f->body);
}

static unsigned
get(struct fixture *f, const char *target)
{
    return client_get(f->port, "GET", target, "", NULL, &f->head, &f->body);
}

static const struct {
    const char *target;
    unsigned status;
    const char *want;
} calls[] = {
    { "/api/v1/query?query=up&time=1700007000", 200,
      "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
      "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\"},\"value\":[1700007000,\"1\"]},"
      "{\"metric\":{\"__name__\":\"up\",\"job\":\"b\\\"<\\n\"},\"value\":[1700007000,\"5\"]}]}}" },
    { "/api/v1/query?query=1.5&time=1700007000.25", 200,
      "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1700007000.250,\"1."
      "5\"]}}" },
    { "/api/v1/query?query=%22a%3C%22&time=1", 200,
      "{\"status\":\"success\",\"data\":{\"resultType\":\"string\",\"result\":[1,\"a\\u003c\"]}}" },
    { "/api/v1/query?query=%7B%22my.metric%22%7D", 200,
      "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
      "{\"metric\":{\"__name__\":\"my.metric\",\"x "
      "y\":\"1\"},\"value\":[1700007000,\"1e+21\"]}]}}" },
    { "/api/v1/query_range?query=up%7Bjob!=%22a%22%7D&start=1700006400&end=1700006520&step=1m", 200,
      "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__"
      "name__\":\"up\","
      "\"job\":\"b\\\"<\\n\"},\"values\":[[1700006400,\"0\"],[1700006460,\"0.5\"],[1700006520,"
      "\"1\"]]}]}}" },
    { "/api/v1/query?query=up&time=1700007000&limit=1", 200, NULL },
    { "/api/v1/query?query=up%5B", 400,
      "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid parameter "
      "\\\"query\\\": 1:4: "
      "parse error: unexpected end of input in duration expression\"}" },
    { "/api/v1/query_range?query=up&start=0&end=20000&step=1", 400,
      "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"exceeded maximum resolution of "
      "11,000 points "
      "per timeseries. Try decreasing the query resolution (?step=XX)\"}" },
    { "/api/v1/query_range?query=up&start=0&end=11000&step=1", 200, NULL },
    { "/api/v1/query_range?query=up&start=0&end=1&step=0.0001", 400,
      "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid parameter "
      "\\\"step\\\": zero or "
      "negative query resolution step widths are not accepted. Try a positive integer\"}" },
    { "/api/v1/labels", 200, "{\"status\":\"success\",\"data\":[\"__name__\",\"job\",\"x y\"]}" },
    { "/api/v1/labels?limit=1", 200,
      "{\"status\":\"success\",\"data\":[\"__name__\"],\"warnings\":[\"results truncated due to "
      "limit\"]}" },
    { "/api/v1/labels?match%5B%5D=up&match%5B%5D=%7Bjob=%22a%22%7D", 200,
      "{\"status\":\"success\",\"data\":[\"__name__\",\"job\"]}" },
    { "/api/v1/label/U__x_20_y/values", 200, "{\"status\":\"success\",\"data\":[\"1\"]}" },
    { "/api/v1/label/__name__/values?match%5B%5D=up", 200,
      "{\"status\":\"success\",\"data\":[\"up\"]}" },
    { "/api/v1/series?match%5B%5D=up%7Bjob=%22a%22%7D&match%5B%5D=up%7Bjob=~%22a%22%7D", 200,
      "{\"status\":\"success\",\"data\":[{\"__name__\":\"up\",\"job\":\"a\"}]}" },
    { "/api/v1/series", 400,
      "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"no match[] parameter "
      "provided\"}" },
    { "/api/v1/query_exemplars?query=1", 204, "" },
    { "/api/v1/format_query?query=sum(up)by(job)", 200,
      "{\"status\":\"success\",\"data\":\"sum by (job) (up)\"}" },
    { "/api/v1/targets?state=x", 200,
      "{\"status\":\"success\",\"data\":{\"activeTargets\":[],\"droppedTargets\":[],"
      "\"droppedTargetCounts\":null}}" },
    { "/api/v1/rules", 200, "{\"status\":\"success\",\"data\":{\"groups\":[]}}" },
    { "/api/v1/alerts", 200, "{\"status\":\"success\",\"data\":{\"alerts\":[]}}" },
    { "/api/v1/metadata", 200, "{\"status\":\"success\",\"data\":{}}" },
    { "/api/v1/status/config", 200,
      "{\"status\":\"success\",\"data\":{\"yaml\":\"global: {}\\n\"}}" },
    { "/api/v1/status/tsdb?limit=0", 400,
      "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"limit must be a positive "
      "number\"}" },
    { "/api/v1/nosuch", 404, "404 page not found\n" },
    { "/api/v1/query/", 301, "<a href=\"/query\">Moved Permanently</a>.\n\n" },
    { "//a/./b/../c%0d%0aX:1?q=1", 307,
      "<a href=\"/a/c%0D%0AX:1?q=1\">Temporary Redirect</a>.\n\n" },
    { "/../..//", 307, "<a href=\"/\">Temporary Redirect</a>.\n\n" },
    { "/api/v1/rules?type=Foo", 400,
      "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid parameter "
      "\\\"type\\\": not supported value \\\"foo\\\"\"}" },
    { "/api/v1/query?query=1&timeout=0", 400,
      "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid parameter "
      "\\\"query\\\": context deadline exceeded\"}" },
    { "/", 302, "<a href=\"/query\">Found</a>.\n\n" },
    { "/graph?g0.expr=a&b", 302, "<a href=\"/query?g0.expr=a&amp;b\">Found</a>.\n\n" },
    { "/-/healthy", 200, "Prometheus Server is Healthy.\n" },
    { "/federate?match%5B%5D=%7B__name__!=%22%22%7D", 200,
      "# TYPE my_metric untyped\nmy_metric{x_y=\"1\",instance=\"\",site=\"s\"} 1e+21 "
      "1700007000000\n"
      "# TYPE up untyped\nup{job=\"a\",instance=\"\",site=\"s\"} 1 1700007000000\n"
      "up{job=\"b\\\"<\\n\",instance=\"\",site=\"s\"} 5 1700007000000\n" },
    { "/federate?match%5B%5D=up%5B", 400, "1:3: parse error: unexpected \"[\"\n" },
};

Test(api, answers_as_prometheus_does)
{
    struct fixture f;

    fixture_init(&f);
    fixture_start(&f);
    http_set_ready(f.http, HTTP_READY, NULL);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        cr_expect_eq(get(&f, calls[i].target), calls[i].status, "%s", calls[i].target);
        if (calls[i].want != NULL)
            cr_expect_str_eq((char *)f.body.p, calls[i].want, "%s", calls[i].target);
    }
    fixture_fini(&f);
}

Test(api, says_503_until_it_is_ready)
{
    struct fixture f;

    fixture_init(&f);
    fixture_start(&f);
    cr_expect_eq(get(&f, "/-/healthy"), 200);
    cr_expect_eq(get(&f, "/-/ready"), 503);
    cr_expect_str_eq(client_header(&f.head, "X-Prometheus-Stopping"), "false");
    cr_expect_eq(get(&f, "/api/v1/query?query=1"), 503);
    cr_expect_eq(get(&f, "/api/v1/status/walreplay"), 200);
    http_set_ready(f.http, HTTP_READY, NULL);
    cr_expect_eq(get(&f, "/-/ready"), 200);
    http_set_ready(f.http, HTTP_STOPPING, NULL);
    cr_expect_eq(get(&f, "/-/ready"), 503);
    cr_expect_str_eq(client_header(&f.head, "X-Prometheus-Stopping"), "true");
    fixture_fini(&f);
}

Test(api, lives_below_a_prefix)
{
    struct fixture f;

    fixture_init(&f);
    f.deps.route_prefix = STR("/prom");
    f.deps.external_url = STR("https://example.org/outer");
    fixture_start(&f);
    http_set_ready(f.http, HTTP_READY, NULL);
    cr_expect_eq(get(&f, "/prom/api/v1/labels"), 200);
    cr_expect_eq(get(&f, "/api/v1/labels"), 404);
    cr_expect_eq(get(&f, "/prometheus/api/v1/labels"), 404);
    cr_expect_eq(get(&f, "/"), 302);
    cr_expect_str_eq(client_header(&f.head, "Location"), "/prom");
    cr_expect_eq(get(&f, "/prom"), 302);
    cr_expect_str_eq(client_header(&f.head, "Location"), "/outer/query");
    cr_expect_eq(get(&f, "/prom/query"), 200);
    cr_expect_not_null(strstr((char *)f.body.p, "<base href=\"/outer/\">"));
    cr_expect_eq(get(&f, "/prom/assets/app.js"), 200);
    cr_expect_eq(get(&f, "/prom/assets/none.js"), 404);
    fixture_fini(&f);
}

Test(api, reloads_and_quits_when_allowed)
{
    struct fixture f;

    fixture_init(&f);
    f.deps.enable_lifecycle = true;
    fixture_start(&f);
    cr_expect_eq(client_get(f.port, "POST", "/-/reload", "", "", &f.head, &f.body), 200);
    cr_expect_eq(client_get(f.port, "PUT", "/-/reload", "", "", &f.head, &f.body), 500);
    cr_expect_str_eq((char *)f.body.p, "failed to reload config: line 3: no such key\n");
    cr_expect_eq(get(&f, "/-/reload"), 405);
    cr_expect_eq(client_get(f.port, "POST", "/-/quit", "", "", &f.head, &f.body), 200);
    cr_expect_eq(client_get(f.port, "POST", "/-/quit", "", "", &f.head, &f.body), 200);
    cr_expect_str_eq((char *)f.body.p, "Termination already in progress.");
    cr_expect_eq(f.quits, 1);
    fixture_fini(&f);
}

Test(api, asks_for_a_password)
{
    struct fixture f;

    fixture_init(&f);
    f.deps.authorize = authorize;
    fixture_start(&f);
    http_set_ready(f.http, HTTP_READY, NULL);
    cr_expect_eq(get(&f, "/-/healthy"), 401);
    cr_expect_str_eq(client_header(&f.head, "WWW-Authenticate"), "Basic");
    cr_expect_eq(get(&f, "/nosuch"), 401);
    cr_expect_eq(client_get(f.port, "GET", "/-/healthy", "Authorization: Basic YW5uOnM6eA==\r\n",
                            NULL, &f.head, &f.body),
                 200);
    cr_expect_eq(client_get(f.port, "GET", "/nosuch", "Authorization: basic YW5uOnM6eA==\r\n", NULL,
                            &f.head, &f.body),
                 404);
    cr_expect_eq(client_get(f.port, "GET", "/-/healthy", "Authorization: Basic YW5uOng=\r\n", NULL,
                            &f.head, &f.body),
                 401);
    cr_expect_eq(client_get(f.port, "GET", "/-/healthy", "Authorization: Basic !!\r\n", NULL,
                            &f.head, &f.body),
                 401);
    fixture_fini(&f);
}

static const struct {
    const char *accept, *coding;
    enum gzip_format format;
} codings[] = {
    { "gzip", "gzip", GZIP_GZIP },
    { "br, deflate , gzip", "deflate", GZIP_DEFLATE },
    { "zstd", "zstd", GZIP_ZSTD },
    { "gzip;q=1", "", GZIP_GZIP },
};

Test(api, compresses_when_asked)
{
    struct fixture f;
    struct buf plain = { 0 };
    struct error err = { 0 };
    char header[64];

    fixture_init(&f);
    fixture_start(&f);
    http_set_ready(f.http, HTTP_READY, NULL);
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        snprintf(header, sizeof header, "Accept-Encoding: %s\r\n", codings[i].accept);
        cr_expect_eq(client_get(f.port, "GET", "/assets/app.js", header, NULL, &f.head, &f.body),
                     200);
        cr_expect_str_eq(client_header(&f.head, "Content-Encoding"), codings[i].coding);
        if (codings[i].coding[0] == '\0')
            continue;
        buf_reset(&plain);
        cr_expect(gzip_decode(codings[i].format, buf_as_bytes(&f.body), 1 << 20, &plain, &err),
                  "%s", error_text(&err));
        cr_expect(str_starts(buf_as_str(&plain), STR("/* Navigation")));
    }
    buf_fini(&plain);
    error_clear(&err);
    fixture_fini(&f);
}

Test(api, refuses_a_form_that_is_too_long)
{
    struct fixture f;

    fixture_init(&f);
    fixture_start(&f);
    http_set_ready(f.http, HTTP_READY, NULL);
    int fd = client_open(f.port);
    client_send(fd, "POST /api/v1/query HTTP/1.1\r\nHost: a\r\nContent-Type: "
                    "application/x-www-form-urlencoded\r\n"
                    "Content-Length: 104857600\r\n\r\n");
    buf_reset(&f.body);
    client_read_all(fd, &f.body);
    cr_expect(str_starts(buf_as_str(&f.body), STR("HTTP/1.1 413")));
    close(fd);
    cr_expect_eq(client_get(f.port, "POST", "/api/v1/query",
                            "Content-Type: application/x-www-form-urlencoded\r\n",
                            "query=count(up)&time=1700007000", &f.head, &f.body),
                 200);
    cr_expect_not_null(strstr((char *)f.body.p, "[1700007000,\"2\"]"));
    fixture_fini(&f);
}

Test(api, allows_the_origins_that_match)
{
    struct fixture f;
    struct error err = { 0 };

    fixture_init(&f);
    struct regex *origin = regex_compile(STR("https?://a\\.b"), REGEX_ANCHORED, &err);
    f.deps.cors_origin = origin;
    fixture_start(&f);
    http_set_ready(f.http, HTTP_READY, NULL);
    client_get(f.port, "OPTIONS", "/api/v1/query", "Origin: http://a.b\r\n", NULL, &f.head,
               &f.body);
    cr_expect_str_eq(client_header(&f.head, "Access-Control-Allow-Origin"), "http://a.b");
    client_get(f.port, "OPTIONS", "/api/v1/query", "Origin: http://a.bc\r\n", NULL, &f.head,
               &f.body);
    cr_expect_str_eq(client_header(&f.head, "Access-Control-Allow-Origin"), "");
    fixture_fini(&f);
    regex_unref(origin);
}
