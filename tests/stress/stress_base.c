/* Threads of base/ at once, for the thread sanitizer: nested pool jobs that update metrics and
 * share a regular expression while the registry is written, and an HTTP loop under calls,
 * cancellations and wake-ups. Exit status 0: all counts add up. */
#include <stdio.h>
#include <unistd.h>

#include "base/http_client.h"
#include "base/http_client_config.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "base/regex.h"

enum { OUTER = 200, INNER = 50, REQUESTS = 200 };

static const char *const labels[] = { "worker", NULL };

struct shared {
    struct pool *pool;
    struct metrics *metrics;
    struct metric *total;
    struct metric_family *family;
    struct metric_histogram *histogram;
    struct metric_summary *summary;
    struct regex *re;
    struct log_throttle throttle;
};

static void
inner(void *arg, size_t i)
{
    struct shared *s = arg;
    uint64_t held;

    metric_inc(s->total);
    metric_histogram_observe(s->histogram, (double)i);
    metric_summary_observe(s->summary, (double)i, (int64_t)i);
    if (!regex_match(s->re, STR("web-17.example")))
        metric_add(s->total, 1000000);
    log_throttle_pass(&s->throttle, (int64_t)i, 1, &held);
}

static void
outer(void *arg, size_t i)
{
    struct shared *s = arg;
    char name[16];
    int n = snprintf(name, sizeof name, "%zu", i % 7);
    struct str value = { name, (size_t)n };
    struct buf text = { 0 };

    metric_inc(metrics_child(s->family, &value));
    if (i % 11 == 0)
        metrics_child_remove(s->family, &value);
    pool_run(s->pool, INNER, inner, s);
    if (i % 20 == 0)
        metrics_write_text(s->metrics, &text, 1000);
    buf_fini(&text);
}

static bool
pool_and_metrics(void)
{
    static const double bounds[] = { 10, 20 }, quantiles[] = { 0.5 };
    struct error err = { 0 };
    struct shared s = { .pool = pool_new(3, "stress"), .metrics = metrics_new() };

    s.total = metrics_counter(s.metrics, "total", "T.");
    s.family = metrics_family(s.metrics, METRIC_COUNTER, "family", "F.", labels);
    s.histogram = metrics_histogram(metrics_family(s.metrics, METRIC_HISTOGRAM, "h", "H.", NULL),
                                    NULL, bounds, 2);
    s.summary = metrics_summary(metrics_family(s.metrics, METRIC_SUMMARY, "s", "S.", NULL), NULL,
                                quantiles, 1);
    s.re = regex_compile(STR("web-[0-9]+\\.example"), REGEX_ANCHORED, &err);
    pool_run(s.pool, OUTER, outer, &s);
    bool ok = metric_get(s.total) == OUTER * INNER;
    pool_free(s.pool);
    regex_unref(s.re);
    metrics_free(s.metrics);
    return ok;
}

struct requests {
    struct http_loop *loop;
    struct http_client *client;
    struct buf bodies[REQUESTS];
    _Atomic unsigned started_nr, done_nr;
};

static void
done(void *arg, const struct http_reply *reply)
{
    ((struct requests *)arg)->done_nr++;
}

/* Nobody listens on port 1: each fails at once, or is cancelled. */
static void
start_one(void *arg)
{
    struct requests *q = arg;
    unsigned i = q->started_nr++;
    struct http_send send = { .method = "GET",
                              .url = "http://127.0.0.1:1/",
                              .timeout_ms = 1000,
                              .body_into = &q->bodies[i] };
    struct http_request *r = http_request_start(q->loop, q->client, &send, done, q);

    if (i % 3 == 0)
        http_request_cancel(r);
}

static void
call_one(void *arg, size_t i)
{
    struct requests *q = arg;

    http_loop_call(q->loop, start_one, q);
    http_loop_wake(q->loop);
}

static bool
http_loops(void)
{
    struct http_client_config config = { .follow_redirects = true };
    struct requests *q = MEM_NEW(struct requests);
    struct error err = { 0 };
    struct pool *pool = pool_new(3, "callers");

    if (!http_client_new(&config, "stress", &q->client, &err))
        return false;
    q->loop = http_loop_new("stress", clock_real(), NULL, NULL);
    pool_run(pool, REQUESTS, call_one, q);
    http_loop_free(q->loop);
    bool ok = q->started_nr == REQUESTS && q->done_nr == REQUESTS;
    pool_free(pool);
    http_client_unref(q->client);
    for (size_t i = 0; i < REQUESTS; i++)
        buf_fini(&q->bodies[i]);
    mem_free(q);
    return ok;
}

int
main(void)
{
    for (int i = 0; i < 3; i++) {
        if (!pool_and_metrics() || !http_loops()) {
            fprintf(stderr, "counts do not add up in round %d\n", i);
            return 1;
        }
    }
    return 0;
}
