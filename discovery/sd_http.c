/* http_sd_configs: target groups as JSON from a URL, asked for every refresh interval.
 *
 * The exchange runs on an event loop of its own; its thread parses the answer and leaves the groups
 * in `inbox`, where the manager's thread finds them when woken. A failed refresh keeps what was
 * there. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "base/http_client.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/quote.h"
#include "discovery/mechanism.h"

struct http_sd {
    struct discoverer base;
    const struct http_sd_config *config;
    struct http_client *client;
    struct http_loop *loop;
    struct metric *failures, *refresh_failures;
    char *url, *interval_header;
    const char *headers[4];

    struct lock lock; /* guards the inbox */
    struct target_group **inbox;
    size_t inbox_nr;
    bool arrived;

    /* The loop's. */
    bool asking;
    int64_t next_ns;
    struct buf body;
};

/* Go's pattern: application/json, at most with charset=utf-8. */
static bool
is_json(const char *content_type)
{
    struct str s = str_trim(str_c(content_type));

    if (s.n < 16 || strncasecmp(s.p, "application/json", 16) != 0)
        return false;
    s = str_trim(str_skip(s, 16));
    if (s.n == 0)
        return true;
    if (s.p[0] != ';')
        return false;
    s = str_trim(str_skip(s, 1));
    return (s.n == 13 && strncasecmp(s.p, "charset=utf-8", 13) == 0) ||
           (s.n == 15 && strncasecmp(s.p, "charset=\"utf-8\"", 15) == 0);
}

static bool
read_reply(struct http_sd *d, const struct http_reply *reply, struct target_group ***groups,
           size_t *nr, struct error *err)
{
    if (!reply->ok) {
        error_copy(err, reply->err);
        return false;
    }
    if (reply->status != 200)
        return error_set(err, ERR_IO, "server returned HTTP status %s", reply->status_text);
    if (!is_json(reply->content_type)) {
        struct buf quoted = { 0 };

        quote_go(str_c(reply->content_type), &quoted);
        error_set(err, ERR_INVALID, "unsupported content type %s", buf_z(&quoted));
        buf_fini(&quoted);
        return false;
    }
    return target_groups_parse(GROUPS_JSON, buf_as_str(&d->body), str_c(d->url), STR("__meta_url"),
                               groups, nr, err);
}

static void
inbox_clear(struct http_sd *d)
{
    for (size_t i = 0; i < d->inbox_nr; i++)
        target_group_unref(d->inbox[i]);
    free(d->inbox);
    d->inbox = NULL;
    d->inbox_nr = 0;
}

static void
done(void *arg, const struct http_reply *reply)
{
    struct http_sd *d = arg;
    struct target_group **groups;
    struct error err = { 0 };
    size_t nr;

    d->asking = false;
    if (!reply->ok && reply->err->kind == ERR_CANCELED)
        return;
    if (!read_reply(d, reply, &groups, &nr, &err)) {
        metric_inc(d->failures);
        metric_inc(d->refresh_failures);
        log_error(&d->base.env.log, "Unable to refresh target groups", LOG_E(&err),
                  LOG_C("discovery", "http"), LOG_S("config", d->base.env.set));
        error_clear(&err);
        return;
    }
    lock_take(&d->lock);
    inbox_clear(d);
    d->inbox = groups;
    d->inbox_nr = nr;
    d->arrived = true;
    lock_release(&d->lock);
    atomic_store(&d->base.woken, true);
    d->base.env.wake(d->base.env.wake_arg);
}

static int64_t
tick(void *arg, int64_t now_ns)
{
    struct http_sd *d = arg;
    int64_t interval_ns = d->config->refresh_interval_ms * 1000000;

    if (d->asking || now_ns < d->next_ns)
        return d->asking ? now_ns + interval_ns : d->next_ns;
    d->next_ns = now_ns + interval_ns;
    d->asking = true;
    http_request_start(d->loop, d->client,
                       &(struct http_send){ .method = "GET",
                                            .url = d->url,
                                            .headers = d->headers,
                                            .timeout_ms = d->config->refresh_interval_ms,
                                            .bytes_max = GROUPS_BYTES_MAX,
                                            .body_into = &d->body },
                       done, d);
    return d->next_ns;
}

static int64_t
look(struct discoverer *base, int64_t now_ns)
{
    struct http_sd *d = CONTAINER_OF(base, struct http_sd, base);
    struct target_group **groups = NULL;
    size_t nr = 0;
    bool arrived;

    (void)now_ns;
    lock_take(&d->lock);
    arrived = d->arrived;
    if (arrived) {
        groups = d->inbox;
        nr = d->inbox_nr;
        d->inbox = NULL;
        d->inbox_nr = 0;
        d->arrived = false;
    }
    lock_release(&d->lock);
    if (arrived)
        discovery_publish(base, groups, nr);
    return INT64_MAX;
}

static bool
same(const struct discoverer *a, const struct discoverer *b)
{
    const struct http_sd *x = CONTAINER_OF(a, const struct http_sd, base),
                         *y = CONTAINER_OF(b, const struct http_sd, base);

    return strcmp(x->url, y->url) == 0;
}

static void
http_sd_free(struct discoverer *base)
{
    struct http_sd *d = CONTAINER_OF(base, struct http_sd, base);

    http_loop_free(d->loop);
    http_client_unref(d->client);
    inbox_clear(d);
    lock_fini(&d->lock);
    buf_fini(&d->body);
    free(d->interval_header);
    free(d->url);
    free(d);
}

static const struct discovery_ops http_ops = {
    .name = "http", .look = look, .free = http_sd_free, .same = same
};

static void
begin(void *arg)
{
    struct http_sd *d = arg;

    d->next_ns = 0;
    tick(d, clock_monotonic_ns(d->base.env.clock));
    http_loop_wake(d->loop);
}

struct discoverer *
http_sd_new(const struct discoverer_env *env, const struct http_sd_config *config,
            struct error *err)
{
    static const char *const by_mechanism[] = { "config", "mechanism", NULL };
    struct str values[] = { env->set, STR("http") };
    struct http_client *client;
    struct http_sd *d;
    char header[96];

    if (!http_client_new(&config->http, "http", &client, err))
        return NULL;
    d = MEM_NEW(struct http_sd);
    d->base = (struct discoverer){ .ops = &http_ops, .env = *env, .fd = -1 };
    d->config = config;
    d->client = client;
    d->url = str_dup(config->url);
    snprintf(header, sizeof header, "X-Prometheus-Refresh-Interval-Seconds: %.15g",
             (double)config->refresh_interval_ms / 1000);
    d->interval_header = mem_strdup(header);
    d->headers[0] = "Accept: application/json";
    d->headers[1] = "User-Agent: Prometheus/3.14.0";
    d->headers[2] = d->interval_header;
    d->failures = metrics_counter(env->metrics, "prometheus_sd_http_failures_total",
                                  "Number of HTTP service discovery refresh failures.");
    d->refresh_failures = metrics_child(
        metrics_family(env->metrics, METRIC_COUNTER, "prometheus_sd_refresh_failures_total",
                       "Number of refresh failures for the given SD mechanism.", by_mechanism),
        values);
    lock_init(&d->lock, LOCK_TARGET, "http_sd");
    /* The loop's first tick may come before its address is stored here: nothing is due until
     * begin(). */
    d->next_ns = INT64_MAX;
    d->loop = http_loop_new("http_sd", env->clock, tick, d);
    http_loop_call(d->loop, begin, d);
    return &d->base;
}
