/* Restoring `for` after a restart from the ALERTS_FOR_STATE series that the former process wrote:
 * Prometheus's rule. An alert that was pending goes on where it stood, but is given at least the
 * grace period, so that the world can be scraped again before it fires; the time of the outage does
 * not count. */
#include <math.h>

#include "base/mem.h"
#include "rules/rule.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)
/* Seconds whose nanoseconds surely fit into 64 bits, sums of two times included. */
#define FAR_S     4e9

static int64_t
restored_active_at(const struct rule *r, const struct rule_context *cx, int64_t down_at_ns,
                   int64_t active_at_ns)
{
    int64_t grace_ns = cx->options->grace_period_ms * NS_PER_MS;
    int64_t remaining_ns = r->for_ns - (down_at_ns - active_at_ns);

    if (remaining_ns <= 0) /* it was firing: the next evaluation says so again */
        return active_at_ns;
    if (remaining_ns < grace_ns)
        return cx->ts_ns + grace_ns - r->for_ns;
    return active_at_ns + (cx->ts_ns - down_at_ns);
}

static bool
alert_labels_eq(const void *item, const void *key)
{
    return labels_eq(((const struct alert *)item)->labels, *(const struct labels *)key);
}

static void
restore_from_series(struct rule *r, const struct rule_context *cx, const struct series_set *set,
                    uint32_t i, struct sample_buf *samples, struct lock *lock)
{
    struct error err = { 0 };
    struct labels_builder b;

    labels_builder_init(&b);
    labels_builder_reset(&b, series_labels(set, i, cx->arena));
    labels_builder_del(&b, LABEL_NAME);
    struct labels ls = labels_builder_finish(&b, cx->arena);
    labels_builder_fini(&b);
    struct alert *a = table_find(&r->active, labels_hash(ls), alert_labels_eq, &ls);
    if (a == NULL)
        return;
    sample_buf_reset(samples);
    bool ok = series_read(set, i, set->q->min_ms, set->q->max_ms, samples, &err);
    if (!ok)
        log_error(&cx->options->log, "Failed to restore 'for' state", LOG_S("alertname", r->name),
                  LOG_E(&err));
    error_clear(&err);
    size_t last = samples->nr - 1;
    if (!ok || samples->nr == 0 || is_stale(samples->v[last])) /* stale: it was not active */
        return;
    int64_t down_at_ns = samples->t_ms[last] / 1000 * NS_PER_S;
    double active_at_s = samples->v[last];
    if (!(fabs(active_at_s) < FAR_S)) /* nothing that a rule wrote */
        return;
    int64_t active_at_ns = restored_active_at(r, cx, down_at_ns, (int64_t)active_at_s * NS_PER_S);
    lock_take(lock);
    a->active_at_ns = active_at_ns;
    lock_release(lock);
}

static bool
select_for_state(const struct rule *r, const struct rule_context *cx, struct querier *q,
                 struct matcher *matchers, size_t *nr, struct series_set **set, struct error *err)
{
    struct select_hints hints = { .min_ms = q->min_ms, .max_ms = q->max_ms };

    if (!matcher_init(&matchers[0], MATCH_EQ, LABEL_NAME, STR("ALERTS_FOR_STATE"), cx->arena, err))
        return false;
    *nr = 1;
    if (!matcher_init(&matchers[1], MATCH_EQ, ALERT_NAME_LABEL, r->name, cx->arena, err))
        return false;
    *nr = 2;
    for (size_t i = 0; i < r->labels.nr; i++) {
        struct label l = r->labels.v[i];
        /* Templates were expanded per alert: their text is not what was stored. */
        if (memmem(l.value.p, l.value.n, "{{", 2) != NULL || str_eq(l.name, ALERT_NAME_LABEL))
            continue;
        if (!matcher_init(&matchers[*nr], MATCH_EQ, l.name, l.value, cx->arena, err))
            return false;
        ++*nr;
    }
    return querier_select(q, matchers, *nr, &hints, set, err);
}

void
alerting_restore(struct rule *r, const struct rule_context *cx, struct querier *q,
                 struct lock *lock)
{
    struct error err = { 0 };
    struct series_set *set;
    size_t nr = 0;

    r->restored = r->moved = true;
    /* A short `for` is simply waited for again. */
    if (q == NULL || r->for_ns < cx->options->grace_period_ms * NS_PER_MS || r->active.nr == 0)
        return;
    struct matcher *matchers = ARENA_NEW_ARRAY(cx->arena, struct matcher, r->labels.nr + 2);
    if (select_for_state(r, cx, q, matchers, &nr, &set, &err)) {
        struct sample_buf samples;
        struct arena histograms; /* its own: a reset of the samples empties it */
        arena_init(&histograms, SIZE_MAX);
        sample_buf_init(&samples, &histograms);
        for (uint32_t i = 0; i < set->nr; i++)
            restore_from_series(r, cx, set, i, &samples, lock);
        sample_buf_fini(&samples);
        arena_fini(&histograms);
    } else {
        log_error(&cx->options->log, "Failed to restore 'for' state", LOG_S("alertname", r->name),
                  LOG_E(&err));
    }
    for (size_t i = 0; i < nr; i++)
        matcher_fini(&matchers[i]);
    error_clear(&err);
}
