/* rules/notify/notifier.h: sends alerts to Alertmanagers: v2 API, one queue and one thread per
 * Alertmanager, so that a dead or slow one never delays the others.
 *
 * notifier_send() adds external labels, applies the alert relabelling and queues; it never waits
 * for the network. A queue holds capacity alerts; when it is full the oldest go, counted. A batch
 * has at most batch_max alerts; a failed batch is counted and dropped, since the rules send every
 * firing alert again. All calls are thread-safe. */
#pragma once
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "discovery/discovery.h"
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

/* Takes over the section `alerting`: keep holds the memory that config lives in and is referenced
 * as long as needed. Who the Alertmanagers are comes from discovery (static ones too) through
 * notifier_set_targets(); until then the section at the same place keeps its queues. False: nothing
 * changed. */
MUST_CHECK bool
notifier_apply(struct notifier *n, const struct alerting_config *config, struct conf_pool *keep,
               struct labels external_labels, struct error *err);

/* What discovery found for alertmanagers[index]. Replaces the former ones; queues of Alertmanagers
 * that stay are kept. */
void notifier_set_targets(struct notifier *n, size_t index, struct target_group *const *groups,
                          size_t groups_nr);

/* A rules_notify_fn; arg is the notifier. */
void notifier_send(void *arg, const struct alert_message *alerts, size_t alerts_nr);

/* For /api/v1/alertmanagers: URLs in the arena. Dropped ones were refused by relabelling. */
struct alertmanagers_view {
    struct str *active, *dropped;
    size_t active_nr, dropped_nr;
};
void notifier_view(struct notifier *n, struct arena *arena, struct alertmanagers_view *view);
