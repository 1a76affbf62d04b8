/* rules/rules.h: recording and alerting rules: loads rule files, evaluates groups at Prometheus's
 * times, keeps alert state.
 *
 * One manager per server. Groups are evaluated on the worker pool, each by one thread at a time,
 * the rules inside in order; a group's evaluation time is the slot that Prometheus gives the same
 * file and group (surface/formats.md, "Label-set hash"), not the time of running. All calls are
 * thread-safe. Nothing here sends alerts: `notify` is called with what is due
 * (rules/notify/notifier.h takes it).
 *
 * Order of use: rules_manager_new, rules_manager_apply (again at every reload), rules_manager_start
 * once storage answers, rules_manager_free. */
#pragma once
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "model/labels.h"
#include "promql/engine.h"
#include "tsdb/append.h"
#include "tsdb/querier.h"

struct rules_manager;

enum alert_state { ALERT_UNKNOWN, ALERT_INACTIVE, ALERT_PENDING, ALERT_FIRING };

/* "unknown", "inactive", "pending", "firing" */
const char *alert_state_text(enum alert_state state);

/* One alert to be sent. Times are ns since the epoch. Everything is borrowed during notify(). */
struct alert_message {
    struct labels labels, annotations;
    int64_t starts_at_ns, ends_at_ns;
    struct str generator_url;
};

typedef void (*rules_notify_fn)(void *arg, const struct alert_message *alerts, size_t alerts_nr);

struct rules_options {
    struct engine *engine;
    struct queryable *queryable;
    struct appendable *appendable;
    const struct io *io; /* rule files */
    const struct clock *clock;
    const char *state_dir; /* where alerts are kept over a restart; NULL: only as series */
    struct pool *pool;     /* NULL: evaluate on the scheduler's thread */
    struct log log;
    struct metrics *metrics; /* NULL: none */
    rules_notify_fn notify;  /* NULL: alerts are kept and not sent */
    void *notify_arg;
    /* Rules of a group that do not depend on each other run at the same time: in all groups at
     * most so many besides the first of each group. 0: one after the other. */
    int64_t concurrent_evals_max;
    int64_t resend_delay_ms, outage_tolerance_ms, grace_period_ms;
    bool experimental_functions, extended_range_selectors,
        binop_fill; /* what expressions may use */
};

/* What a reload brings. Borrowed during the call. */
struct rules_settings {
    const struct str *files; /* globs expanded, in order */
    size_t files_nr;
    int64_t interval_ms; /* global.evaluation_interval */
    int64_t query_offset_ms;
    struct labels external_labels;
    struct str external_url; /* no trailing slash */
    bool legacy_names;
};

struct rules_manager *rules_manager_new(const struct rules_options *options);

/* Loads all files. Unchanged groups go on untouched, changed ones keep the state of rules with the
 * same name and labels; series of vanished rules get stale markers two intervals later. False:
 * nothing changed, err says the first thing wrong. */
MUST_CHECK bool rules_manager_apply(struct rules_manager *m, const struct rules_settings *settings,
                                    struct error *err);

/* Starts the scheduler's thread. */
void rules_manager_start(struct rules_manager *m);
/* Cancels running evaluations, waits for them, stops the thread. Accepts NULL. */
void rules_manager_free(struct rules_manager *m);

/* Without rules_manager_start(), for tests on a virtual clock: evaluates what is due now, on this
 * thread. Returns the wall time in ns of the next slot, INT64_MAX when there is no group. */
int64_t rules_manager_run_due(struct rules_manager *m);

/* ---- what the API shows: copies in the caller's arena ---- */

struct alert_view {
    struct labels labels, annotations;
    enum alert_state state;
    double value;
    int64_t active_at_ns, keep_firing_since_ns; /* 0: not set */
};

struct rule_evaluation_view {
    int64_t slot_ns, took_ns; /* the time it was for; how long it took */
    size_t samples_nr;
    struct str error; /* empty: none */
};

struct rule_view {
    bool is_alert;
    struct str name, query; /* query: canonical text */
    struct labels labels, annotations;
    int64_t for_ms, keep_firing_for_ms;
    const char *health; /* "unknown", "ok", "err" */
    struct str last_error;
    double evaluation_s;
    int64_t last_evaluation_ns; /* 0: never */
    enum alert_state state;
    struct alert_view *alerts; /* active ones */
    size_t alerts_nr;
    struct rule_evaluation_view *evaluations; /* newest first; when asked for */
    size_t evaluations_nr;
};

struct rule_group_view {
    struct str name, file;
    int64_t interval_ms, limit;
    double evaluation_s;
    int64_t last_evaluation_ns;
    struct rule_view *rules;
    size_t rules_nr;
};

struct rules_view {
    struct rule_group_view *groups; /* by file, then name */
    size_t groups_nr;
};

void rules_manager_view(struct rules_manager *m, struct arena *arena, struct rules_view *view);
/* With the last 100 evaluations of each rule. */
void rules_manager_view_evaluations(struct rules_manager *m, struct arena *arena,
                                    struct rules_view *view);
