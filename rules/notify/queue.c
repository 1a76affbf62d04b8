/* A ring of shared alerts, one thread that empties it in batches.
 *
 * The batch is concatenated from JSON objects that were made once for all Alertmanagers. As in
 * Prometheus a batch that cannot be delivered is dropped: firing alerts come again after the resend
 * delay, resolved ones for 15 minutes.
 *
 * A batch that is refused for its content would be refused for ever, and with it up to 255 good
 * alerts: it is halved, and the halves are sent, down to the bad ones. Posting an alert twice is
 * harmless, since Alertmanager knows it by its labels. */
#include "rules/notify/queue.h"

#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "base/lock.h"
#include "base/mem.h"

#define NS_PER_MS         INT64_C(1000000)
/* Posts for one refused batch: enough to single out three bad alerts among 256. */
#define REFUSED_POSTS_MAX 51

struct notify_queue {
    const struct notifier_options *options;
    const struct notify_metrics *families;
    struct lock lock;
    struct cond changed;
    struct queued_alert **ring; /* capacity slots */
    size_t first, nr;
    bool stopping, done;
    struct notify_route route; /* changes with a reload: under lock */
    char *url;
    struct metric *sent, *dropped, *errors, *length;
    struct metric_summary *latency;
    struct metric_histogram *latency_histogram;
    pthread_t thread;
};

/* ---- alerts as JSON ---- */

static void
write_labels(struct json *j, const char *key, struct labels ls)
{
    json_key(j, key);
    json_open(j, '{');
    for (size_t i = 0; i < ls.nr; i++) {
        json_key_str(j, ls.v[i].name);
        json_str_html(j, ls.v[i].value);
    }
    json_close(j, '}');
}

/* 2006-01-02T15:04:05.000Z; Go's zero time for "not set". */
static void
write_time(struct json *j, const char *key, int64_t ns)
{
    time_t s = (time_t)(ns / 1000000000);
    struct tm tm;
    char text[64];

    gmtime_r(&s, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03dZ", (int)(ns / NS_PER_MS % 1000));
    json_key(j, key);
    json_str(j, ns == 0 ? STR("0001-01-01T00:00:00.000Z") : str_c(text));
}

struct queued_alert *
queued_alert_new(const struct alert_message *alert)
{
    struct buf b = { 0 };
    struct json j = json_to(&b);

    json_open(&j, '{');
    if (alert->annotations.nr != 0) /* else it is left out, as Go does with what may be empty */
        write_labels(&j, "annotations", alert->annotations);
    write_time(&j, "endsAt", alert->ends_at_ns);
    write_time(&j, "startsAt", alert->starts_at_ns);
    if (alert->generator_url.n != 0) {
        json_key(&j, "generatorURL");
        json_str_html(&j, alert->generator_url);
    }
    write_labels(&j, "labels", alert->labels);
    json_close(&j, '}');
    struct queued_alert *a = mem_alloc(sizeof *a + b.n);
    atomic_init(&a->refs, 1);
    a->n = b.n;
    memcpy(a->json, b.p, b.n);
    buf_fini(&b);
    return a;
}

struct queued_alert *
queued_alert_ref(struct queued_alert *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

void
queued_alert_unref(struct queued_alert *a)
{
    if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1)
        mem_free(a);
}

/* ---- metrics ---- */

static const char *const am_label[] = { "alertmanager", NULL };

void
notify_metrics_init(struct notify_metrics *nm, struct metrics *registry)
{
    *nm = (struct notify_metrics){ 0 };
    if (registry == NULL)
        return;
    nm->sent = metrics_family(registry, METRIC_COUNTER, "prometheus_notifications_sent_total",
                              "Total number of alerts sent.", am_label);
    nm->dropped = metrics_family(
        registry, METRIC_COUNTER, "prometheus_notifications_dropped_total",
        "Total number of alerts dropped due to errors when sending to Alertmanager.", am_label);
    nm->errors = metrics_family(registry, METRIC_COUNTER, "prometheus_notifications_errors_total",
                                "Total number of sent alerts affected by errors.", am_label);
    nm->queue_length =
        metrics_family(registry, METRIC_GAUGE, "prometheus_notifications_queue_length",
                       "The number of alert notifications in the queue.", am_label);
    nm->latency =
        metrics_family(registry, METRIC_SUMMARY, "prometheus_notifications_latency_seconds",
                       "Latency quantiles for sending alert notifications.", am_label);
    nm->latency_histogram = metrics_family(
        registry, METRIC_HISTOGRAM, "prometheus_notifications_latency_histogram_seconds",
        "Latency histogram for sending alert notifications.", am_label);
}

static void
queue_metrics_init(struct notify_queue *q)
{
    static const double quantiles[] = { 0.5, 0.9, 0.99 };
    static const double bounds[] = { 0.01, 0.1, 1, 10 };
    struct str url = str_c(q->url);

    if (q->families->sent == NULL)
        return;
    q->sent = metrics_child(q->families->sent, &url);
    q->dropped = metrics_child(q->families->dropped, &url);
    q->errors = metrics_child(q->families->errors, &url);
    q->length = metrics_child(q->families->queue_length, &url);
    q->latency = metrics_summary(q->families->latency, &url, quantiles, ARRAY_LEN(quantiles));
    q->latency_histogram =
        metrics_histogram(q->families->latency_histogram, &url, bounds, ARRAY_LEN(bounds));
}

static void
queue_metrics_remove(struct notify_queue *q)
{
    struct str url = str_c(q->url);

    if (q->families->sent == NULL)
        return;
    metrics_child_remove(q->families->sent, &url);
    metrics_child_remove(q->families->dropped, &url);
    metrics_child_remove(q->families->errors, &url);
    metrics_child_remove(q->families->queue_length, &url);
    metrics_child_remove(q->families->latency, &url);
    metrics_child_remove(q->families->latency_histogram, &url);
}

static void
count(struct metric *m, size_t by)
{
    if (m != NULL && by != 0)
        metric_add(m, (double)by);
}

/* Under the lock. */
static void
show_length(struct notify_queue *q)
{
    if (q->length != NULL)
        metric_set(q->length, (double)q->nr);
}

/* ---- sending ---- */

static struct notify_route
route_ref(const struct notify_route *from)
{
    return (struct notify_route){ http_client_ref(from->client), conf_pool_ref(from->pool),
                                  from->timeout_ms };
}

static void
route_unref(struct notify_route *route)
{
    http_client_unref(route->client);
    conf_pool_unref(route->pool);
}

/* What became of a post. */
enum verdict {
    POST_TAKEN,
    POST_REFUSED, /* for what is in it */
    POST_FAILED,  /* another status: it may do better later */
    POST_NO_ANSWER
};

static enum verdict
post(struct notify_queue *q, const struct buf *body, struct error *err)
{
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    struct buf answer = { 0 };
    struct http_reply reply;

    lock_take(&q->lock);
    struct notify_route route = route_ref(&q->route);
    lock_release(&q->lock);
    struct http_send send = {
        .method = "POST",
        .url = q->url,
        .headers = headers,
        .body = buf_as_bytes(body),
        .timeout_ms = route.timeout_ms,
        .bytes_max = 1 << 20,
        .body_into = &answer,
    };
    bool answered = http_exchange(route.client, &send, &reply, err);
    route_unref(&route);
    buf_fini(&answer);
    if (!answered)
        return POST_NO_ANSWER;
    if (reply.status / 100 == 2)
        return POST_TAKEN;
    error_set(err, ERR_IO, "bad response status %s", reply.status_text);
    return reply.status == 400 || reply.status == 413 || reply.status == 422 ? POST_REFUSED
                                                                             : POST_FAILED;
}

static enum verdict
batch_post(struct notify_queue *q, struct queued_alert **batch, size_t nr, struct error *err)
{
    const struct clock *clock = q->options->clock;
    int64_t started_ns = clock_monotonic_ns(clock);
    struct buf body = { 0 };

    for (size_t i = 0; i < nr; i++) {
        buf_byte(&body, i == 0 ? '[' : ',');
        buf_add(&body, batch[i]->json, batch[i]->n);
    }
    buf_byte(&body, ']');
    enum verdict verdict = post(q, &body, err);
    if (verdict == POST_TAKEN && q->latency != NULL) {
        double took_s = (double)(clock_monotonic_ns(clock) - started_ns) / 1e9;
        metric_summary_observe(q->latency, took_s, clock_monotonic_ns(clock));
        metric_histogram_observe(q->latency_histogram, took_s);
    }
    buf_fini(&body);
    return verdict;
}

/* False: no answer came. */
static bool
batch_send(struct notify_queue *q, struct queued_alert **batch, size_t nr, unsigned *posts_left)
{
    struct error err = { 0 };
    enum verdict verdict = batch_post(q, batch, nr, &err);
    bool ok = verdict != POST_NO_ANSWER;

    --*posts_left;
    if (verdict == POST_REFUSED && nr > 1 && *posts_left >= 2) {
        ok = batch_send(q, batch, nr / 2, posts_left);
        if (*posts_left > 0) {
            error_clear(&err);
            return batch_send(q, batch + nr / 2, nr - nr / 2, posts_left) && ok;
        }
        nr -= nr / 2; /* the other half goes with the same error */
    }
    if (verdict == POST_TAKEN) {
        count(q->sent, nr);
    } else {
        count(q->errors, nr);
        count(q->dropped, nr);
        log_error(&q->options->log, "Error sending alerts", LOG_C("alertmanager", q->url),
                  LOG_I("count", nr), LOG_E(&err));
    }
    error_clear(&err);
    return ok;
}

/* Takes the oldest alerts out of the ring; under the lock. */
static size_t
batch_take(struct notify_queue *q, struct queued_alert **batch)
{
    size_t nr = MIN(q->nr, q->options->batch_max);

    for (size_t i = 0; i < nr; i++)
        batch[i] = q->ring[(q->first + i) % q->options->capacity];
    q->first = (q->first + nr) % q->options->capacity;
    q->nr -= nr;
    show_length(q);
    return nr;
}

static void *
sender(void *arg)
{
    struct notify_queue *q = arg;
    struct queued_alert **batch = MEM_NEW_ARRAY(struct queued_alert *, q->options->batch_max);

    bool answered = true;

    lock_take(&q->lock);
    for (;;) {
        while (q->nr == 0 && !q->stopping)
            cond_wait(&q->changed, &q->lock);
        /* Draining ends at the first silence: a dead Alertmanager must not hold up the shutdown
         * for a timeout per batch. */
        if (q->stopping && (q->nr == 0 || !q->options->drain || !answered))
            break;
        unsigned posts_left = REFUSED_POSTS_MAX;
        size_t nr = batch_take(q, batch);
        lock_release(&q->lock);
        answered = batch_send(q, batch, nr, &posts_left);
        for (size_t i = 0; i < nr; i++)
            queued_alert_unref(batch[i]);
        lock_take(&q->lock);
    }
    q->done = true;
    lock_release(&q->lock);
    mem_free(batch);
    return NULL;
}

/* Drops the oldest; under the lock. */
static void
drop_oldest(struct notify_queue *q, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        queued_alert_unref(q->ring[(q->first + i) % q->options->capacity]);
    q->first = (q->first + nr) % q->options->capacity;
    q->nr -= nr;
    count(q->dropped, nr);
}

void
notify_queue_add(struct notify_queue *q, struct queued_alert *const *alerts, size_t alerts_nr)
{
    size_t capacity = q->options->capacity, dropped_nr = 0;

    lock_take(&q->lock);
    if (alerts_nr > capacity) {
        dropped_nr = alerts_nr - capacity;
        count(q->dropped, dropped_nr);
        alerts += dropped_nr;
        alerts_nr = capacity;
    }
    if (q->nr + alerts_nr > capacity) {
        dropped_nr += q->nr + alerts_nr - capacity;
        drop_oldest(q, q->nr + alerts_nr - capacity);
    }
    for (size_t i = 0; i < alerts_nr; i++)
        q->ring[(q->first + q->nr++) % capacity] = queued_alert_ref(alerts[i]);
    show_length(q);
    cond_signal(&q->changed);
    lock_release(&q->lock);
    if (dropped_nr != 0)
        log_warn(&q->options->log, "Alert notification queue full, dropping alerts",
                 LOG_C("alertmanager", q->url), LOG_I("count", dropped_nr));
}

void
notify_queue_set_route(struct notify_queue *q, const struct notify_route *route)
{
    lock_take(&q->lock);
    struct notify_route old = q->route;
    q->route = route_ref(route);
    lock_release(&q->lock);
    route_unref(&old);
}

struct str
notify_queue_url(const struct notify_queue *q)
{
    return str_c(q->url);
}

struct notify_queue *
notify_queue_new(const struct notifier_options *options, const struct notify_metrics *metrics,
                 struct str url, const struct notify_route *route)
{
    struct notify_queue *q = MEM_NEW(struct notify_queue);

    q->options = options;
    q->families = metrics;
    q->route = route_ref(route);
    q->url = str_dup(url);
    q->ring = MEM_NEW_ARRAY(struct queued_alert *, options->capacity);
    lock_init(&q->lock, LOCK_QUEUE, "notifications");
    cond_init(&q->changed);
    queue_metrics_init(q);
    int rc = pthread_create(&q->thread, NULL, sender, q);
    ASSERT(rc == 0);
    return q;
}

void
notify_queue_stop(struct notify_queue *q)
{
    lock_take(&q->lock);
    q->stopping = true;
    cond_signal(&q->changed);
    lock_release(&q->lock);
}

bool
notify_queue_is_done(struct notify_queue *q)
{
    lock_take(&q->lock);
    bool done = q->done;
    lock_release(&q->lock);
    return done;
}

void
notify_queue_free(struct notify_queue *q)
{
    if (q == NULL)
        return;
    notify_queue_stop(q);
    pthread_join(q->thread, NULL);
    if (q->nr != 0)
        log_warn(&q->options->log,
                 "Alert notification queue not drained on shutdown, dropping alerts",
                 LOG_C("alertmanager", q->url), LOG_I("count", q->nr));
    drop_oldest(q, q->nr);
    queue_metrics_remove(q);
    route_unref(&q->route);
    cond_fini(&q->changed);
    lock_fini(&q->lock);
    mem_free(q->ring);
    mem_free(q->url);
    mem_free(q);
}
