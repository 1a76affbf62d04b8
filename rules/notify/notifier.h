/* rules/notify/notifier.h: sends alerts to Alertmanagers: v2 API, one queue and one thread per Alertmanager, so that a dead or slow one
 * never delays the others.
 *
 * notifier_send() adds external labels, applies the alert relabelling and queues; it never waits for the network. A queue holds
 * capacity alerts; when it is full the oldest go, counted. A batch has at most batch_max alerts; a failed batch is counted and dropped, since the
 * rules send every firing alert again. All calls are thread-safe. */
#pragma once
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "rules/rules.h"
#include "rules/rules_config.h"

struct notifier;

struct notifier_options {
    size_t capacity;  /* --alertmanager.notification-queue-capacity */
    size_t batch_max; /* --alertmanager.notification-batch-size */
    bool drain;       /* --alertmanager.drain-notification-queue-on-shutdown */
    const struct clock *clock;
    struct log log;
    struct metrics *metrics; /* NULL: none */
};

struct notifier *notifier_new(const struct notifier_options *options);
/* Sends what is queued first when options.drain. Accepts NULL. */
void notifier_free(struct notifier *n);

/* Takes over the section `alerting`: keep holds the memory that config lives in (conf_pool) and is referenced as long as needed. Queues of
 * Alertmanagers that stay are kept. Static targets at once; discovered ones come through notifier_set_targets(). */
MUST_CHECK bool notifier_apply(struct notifier *n, const struct alerting_config *config, struct conf_pool *keep,
                               struct labels external_labels, struct error *err);

/* The targets that discovery found for alertmanagers[index]: label sets with __address__. Replaces the former ones. */
void notifier_set_targets(struct notifier *n, size_t index, const struct labels *targets, size_t targets_nr);

/* A rules_notify_fn; arg is the notifier. */
void notifier_send(void *arg, const struct alert_message *alerts, size_t alerts_nr);

/* For /api/v1/alertmanagers: URLs in the arena. Dropped ones were refused by relabelling. */
struct alertmanagers_view {
    struct str *active, *dropped;
    size_t active_nr, dropped_nr;
};
void notifier_view(struct notifier *n, struct arena *arena, struct alertmanagers_view *view);
