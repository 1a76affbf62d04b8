/* rules/notify/queue.h: the queue and the sending thread of one Alertmanager. Shared by this
 * directory only.
 *
 * notify_queue_add() never waits for the network. The thread posts batches. One that is refused
 * (400, 413, 422) is halved until the bad alerts stand alone, within REFUSED_POSTS_MAX posts; what
 * cannot be delivered is counted and dropped. Internally locked. */
#pragma once
#include "base/buf.h"
#include "base/http_client.h"
#include "base/metrics.h"
#include "rules/notify/notifier.h"

/* One alert as it goes out: the JSON object, made once and shared by all queues. Immutable. */
struct queued_alert {
    _Atomic unsigned refs;
    size_t n;
    char json[];
};

struct queued_alert *queued_alert_new(const struct alert_message *alert);
struct queued_alert *queued_alert_ref(struct queued_alert *a);
void queued_alert_unref(struct queued_alert *a);

/* Families with the label `alertmanager`; NULL without a registry. */
struct notify_metrics {
    struct metric_family *sent, *dropped, *errors, *queue_length, *latency, *latency_histogram;
};
void notify_metrics_init(struct notify_metrics *nm, struct metrics *registry);

struct notify_queue;

/* How to reach an Alertmanager. Both are referenced by who keeps a copy. */
struct notify_route {
    struct http_client *client;
    struct conf_pool *pool; /* what the client points into */
    int64_t timeout_ms;
};

/* url is copied, the route referenced. Starts the thread. */
struct notify_queue *
notify_queue_new(const struct notifier_options *options, const struct notify_metrics *metrics,
                 struct str url, const struct notify_route *route);
/* No more is added; the thread sends what is left when options.drain, and ends. Does not wait. */
void notify_queue_stop(struct notify_queue *q);
/* True once a stopped queue's thread is about to end, so that freeing does not wait. */
bool notify_queue_is_done(struct notify_queue *q);
/* Stops, waits for the thread. Accepts NULL. */
void notify_queue_free(struct notify_queue *q);
struct str notify_queue_url(const struct notify_queue *q);
/* After a reload: the next batch goes out by this route. */
void notify_queue_set_route(struct notify_queue *q, const struct notify_route *route);
/* References the alerts. When the queue is full the oldest go. */
void notify_queue_add(struct notify_queue *q, struct queued_alert *const *alerts, size_t alerts_nr);
