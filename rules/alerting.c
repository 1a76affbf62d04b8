/* Alerting rules: the life of an alert. Each evaluation compares the expression's result with the
 * alerts that are known:
 *
 *   not known, in the result       -> pending (firing at once when `for` is 0)
 *   pending, in the result         -> firing once active for `for`
 *   pending, not in the result     -> forgotten
 *   firing, not in the result      -> kept firing for keep_firing_for, then resolved
 *   resolved                       -> kept and sent again for RESOLVED_RETENTION_NS, so that an
 * Alertmanager that was away learns of it
 *
 * ALERTS and ALERTS_FOR_STATE are written for pending and firing alerts. The rules are those of
 * Prometheus 3.14's AlertingRule. */
#include <inttypes.h>
#include <math.h>

#include "base/mem.h"
#include "rules/rule.h"

#define NS_PER_MS             INT64_C(1000000)
#define NS_PER_S              INT64_C(1000000000)
#define RESOLVED_RETENTION_NS (15 * 60 * NS_PER_S)

const char *
alert_state_text(enum alert_state state)
{
    static const char *const texts[] = { "unknown", "inactive", "pending", "firing" };

    return texts[state];
}

void
alert_free(struct alert *a)
{
    rule_labels_free(a->labels);
    rule_labels_free(a->annotations);
    mem_free(a);
}

static bool
alert_labels_eq(const void *item, const void *key)
{
    return labels_eq(((const struct alert *)item)->labels, *(const struct labels *)key);
}

/* ---- what the result says ---- */

struct template_query {
    const struct rule_context *cx;
};

static bool
query_for_template(void *arg, struct str expr, int64_t t_ms, struct query_result *result,
                   struct error *err)
{
    const struct rule_context *cx = ((struct template_query *)arg)->cx;
    struct query query = {
        .text = expr, .start_ms = t_ms, .end_ms = t_ms, .canceled = cx->canceled
    };

    return engine_query(cx->options->engine, cx->options->queryable, &query, result, err);
}

/* Expands one text; what goes wrong becomes the text, as Prometheus does, and is logged. */
static struct str
expand(const struct rule *r, const struct rule_context *cx, const struct template *t,
       const struct template_alert *data)
{
    struct template_query query = { cx };
    struct template_env env = {
        .t_ms = cx->ts_ns / NS_PER_MS,
        .external_url = cx->external_url,
        .query = query_for_template,
        .query_arg = &query,
    };
    struct buf out = { 0 };
    struct error err = { 0 };
    struct str text;

    if (template_expand(t, data, &env, &out, &err)) {
        text = arena_str(cx->arena, buf_as_str(&out));
    } else {
        text = arena_printf(cx->arena, "<error expanding template: %s>", error_text(&err));
        log_warn(&cx->options->log, "Expanding alert template failed", LOG_S("alert", r->name),
                 LOG_E(&err));
    }
    error_clear(&err);
    buf_fini(&out);
    return text;
}

static void
candidate_fill(const struct rule *r, const struct rule_context *cx, struct labels metric,
               const struct template_alert *data, struct labels_builder *b, struct alert *a)
{
    labels_builder_reset(b, metric);
    labels_builder_del(b, LABEL_NAME);
    for (size_t i = 0; i < r->label_templates_nr; i++)
        labels_builder_set(b, r->label_templates[i].name,
                           expand(r, cx, r->label_templates[i].text, data));
    labels_builder_set(b, ALERT_NAME_LABEL, r->name);
    a->labels = labels_builder_finish(b, cx->arena);

    /* Annotations keep empty values. */
    struct label *annotations =
        ARENA_NEW_ARRAY(cx->arena, struct label, r->annotation_templates_nr);
    for (size_t i = 0; i < r->annotation_templates_nr; i++)
        annotations[i] = (struct label){ r->annotation_templates[i].name,
                                         expand(r, cx, r->annotation_templates[i].text, data) };
    a->annotations = (struct labels){ annotations, r->annotation_templates_nr };
    a->hash = labels_hash(a->labels);
    a->active_at_ns = cx->ts_ns;
    a->state = ALERT_PENDING;
}

bool
alerting_candidates(const struct rule *r, const struct rule_context *cx,
                    const struct query_result *result, struct alert_candidates *out,
                    struct error *err)
{
    bool scalar = result->type == VALUE_SCALAR, ok = true;
    size_t nr = scalar ? 1 : result->series_nr;
    struct labels_builder b;
    struct table seen = { 0 };

    labels_builder_init(&b);
    table_reserve(&seen, nr);
    out->v = ARENA_NEW_ARRAY(cx->arena, struct alert, nr);
    for (out->nr = 0; ok && out->nr < nr; out->nr++) {
        const struct result_series *s = scalar ? NULL : &result->series[out->nr];
        struct alert *a = &out->v[out->nr];
        struct template_alert data = {
            .labels = scalar ? LABELS_NONE : s->labels,
            .external_labels = cx->external_labels,
            .external_url = cx->external_url,
            .histogram = scalar || s->h == NULL ? NULL : s->h[0],
        };
        data.value = scalar ? result->scalar : data.histogram != NULL ? 0 : s->v[0];
        candidate_fill(r, cx, data.labels, &data, &b, a);
        a->value = data.value;
        ok =
            table_find(&seen, a->hash, alert_labels_eq, &a->labels) == NULL ||
            error_set(err, ERR_EXECUTION,
                      "vector contains metrics with the same labelset after applying alert labels");
        table_add(&seen, a->hash, a);
    }
    table_fini(&seen);
    labels_builder_fini(&b);
    return ok;
}

/* ---- the new state ---- */

static void
alert_take(struct rule *r, const struct alert *found)
{
    struct alert *known = table_find(&r->active, found->hash, alert_labels_eq, &found->labels);

    if (known != NULL && known->state != ALERT_INACTIVE) {
        rule_labels_free(known->annotations);
        known->annotations = rule_labels_own(found->annotations);
        known->value = found->value;
        known->seen = true;
        return;
    }
    r->moved = true;
    if (known != NULL) {
        table_remove(&r->active, known->hash, alert_labels_eq, &known->labels);
        alert_free(known);
    }
    struct alert *a = mem_dup(found, sizeof *found);
    a->labels = rule_labels_own(found->labels);
    a->annotations = rule_labels_own(found->annotations);
    a->seen = true;
    table_add(&r->active, a->hash, a);
}

/* An alert whose expression gave nothing: true when it goes on firing all the same. */
static bool
alert_keeps_firing(struct rule *r, struct alert *a, int64_t ts_ns)
{
    if (a->state != ALERT_FIRING || r->keep_firing_for_ns <= 0)
        return false;
    if (a->keep_firing_since_ns == 0) {
        a->keep_firing_since_ns = ts_ns;
        r->moved = true;
    }
    return ts_ns - a->keep_firing_since_ns < r->keep_firing_for_ns;
}

/* After an outage, its series may not have been scraped again yet. */
static bool
alert_is_held(const struct rule *r, const struct alert *a, int64_t ts_ns)
{
    return ts_ns < r->hold_until_ns && a->state != ALERT_INACTIVE;
}

static bool
alert_forgettable(const struct alert *a, int64_t ts_ns)
{
    return a->state == ALERT_PENDING ||
           (a->resolved_at_ns != 0 && ts_ns - a->resolved_at_ns > RESOLVED_RETENTION_NS);
}

/* False: the alert is neither pending nor firing after this evaluation; *forget tells whether it is
 * dropped. */
static bool
alert_step(struct rule *r, struct alert *a, int64_t ts_ns, bool *forget)
{
    *forget = false;
    if (a->seen) {
        r->moved |= a->keep_firing_since_ns != 0;
        a->keep_firing_since_ns = 0;
    } else if (alert_is_held(r, a, ts_ns)) {
        return true; /* and does not begin to fire either */
    } else if (!alert_keeps_firing(r, a, ts_ns)) {
        *forget = alert_forgettable(a, ts_ns);
        r->moved |= *forget || a->state != ALERT_INACTIVE;
        if (a->state != ALERT_INACTIVE) {
            a->state = ALERT_INACTIVE;
            a->resolved_at_ns = ts_ns;
        }
        return false;
    }
    if (a->state == ALERT_PENDING && ts_ns - a->active_at_ns >= r->for_ns) {
        a->state = ALERT_FIRING;
        a->fired_at_ns = ts_ns;
        r->moved = true;
    }
    /* `for` was raised by a reload. */
    if (a->state == ALERT_FIRING && ts_ns - a->active_at_ns < r->for_ns) {
        a->state = ALERT_PENDING;
        r->moved = true;
        a->fired_at_ns = a->last_sent_at_ns = a->keep_firing_since_ns = 0;
    }
    return true;
}

static void
sample_add(const struct rule_context *cx, struct rule_samples *out, struct labels labels, double v)
{
    ARENA_GROW(cx->arena, out->v, out->nr, out->nr + 1, &out->cap);
    out->v[out->nr++] = (struct rule_sample){ .labels = labels, .v = v };
}

static void
alert_samples(const struct rule *r, const struct rule_context *cx, const struct alert *a,
              struct rule_samples *out)
{
    struct label extra[] = {
        { ALERT_NAME_LABEL, r->name },
        { ALERT_STATE_LABEL, str_c(alert_state_text(a->state)) },
    };
    struct labels base = rule_labels_merge(cx->arena, r->labels, a->labels, STR_NONE);

    sample_add(cx, out,
               rule_labels_merge(cx->arena, base, (struct labels){ extra, 2 }, STR("ALERTS")), 1);
    sample_add(
        cx, out,
        rule_labels_merge(cx->arena, base, (struct labels){ extra, 1 }, STR("ALERTS_FOR_STATE")),
        (double)(a->active_at_ns / NS_PER_S));
}

static void
active_clear(struct rule *r)
{
    struct alert *a;

    for (size_t at = 0; (a = table_next(&r->active, &at)) != NULL;)
        alert_free(a);
    table_reset(&r->active);
}

/* Forgotten alerts are collected first: the table must not change while it is walked. */
static size_t
alerts_step(struct rule *r, const struct rule_context *cx, struct rule_samples *out)
{
    struct alert **forgotten = ARENA_NEW_ARRAY(cx->arena, struct alert *, r->active.nr), *a;
    size_t forgotten_nr = 0, active_nr = 0;

    for (size_t at = 0; (a = table_next(&r->active, &at)) != NULL;) {
        bool forget;
        bool on = alert_step(r, a, cx->ts_ns, &forget);
        a->seen = false;
        if (forget)
            forgotten[forgotten_nr++] = a;
        if (!on)
            continue;
        active_nr++;
        if (r->restored)
            alert_samples(r, cx, a, out);
    }
    for (size_t i = 0; i < forgotten_nr; i++) {
        table_remove(&r->active, forgotten[i]->hash, alert_labels_eq, &forgotten[i]->labels);
        alert_free(forgotten[i]);
    }
    return active_nr;
}

bool
alerting_update(struct rule *r, const struct rule_context *cx, const struct alert_candidates *found,
                struct rule_samples *out, struct error *err)
{
    for (size_t i = 0; i < found->nr; i++)
        alert_take(r, &found->v[i]);
    size_t active_nr = alerts_step(r, cx, out);
    if (cx->limit <= 0 || active_nr <= (size_t)cx->limit)
        return true;
    active_clear(r);
    r->moved = true;
    out->nr = 0;
    return error_set(err, ERR_EXECUTION, "exceeded limit of %" PRId64 " with %zu alerts", cx->limit,
                     active_nr);
}

/* ---- sending and showing ---- */

static bool
alert_needs_sending(const struct alert *a, int64_t ts_ns, int64_t resend_delay_ns)
{
    if (a->state == ALERT_PENDING)
        return false;
    if (a->resolved_at_ns > a->last_sent_at_ns)
        return true;
    return a->last_sent_at_ns + resend_delay_ns < ts_ns;
}

/* Bytes that Go's url.QueryEscape leaves as they are. */
static bool
is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static struct str
generator_url(const struct rule *r, const struct rule_context *cx)
{
    struct buf b = { 0 };

    buf_str(&b, cx->external_url);
    buf_c(&b, "/graph?g0.expr=");
    for (size_t i = 0; i < r->query.n; i++) {
        char c = r->query.p[i];
        if (is_unreserved(c))
            buf_byte(&b, (uint8_t)c);
        else if (c == ' ')
            buf_byte(&b, '+');
        else
            buf_printf(&b, "%%%02X", (unsigned char)c);
    }
    buf_c(&b, "&g0.tab=1");
    struct str url = arena_str(cx->arena, buf_as_str(&b));
    buf_fini(&b);
    return url;
}

static struct alert_message
alert_message_of(const struct alert *a, const struct rule_context *cx, struct str url)
{
    return (struct alert_message){
        .labels = labels_copy(cx->arena, a->labels),
        .annotations = labels_copy(cx->arena, a->annotations),
        .starts_at_ns = a->fired_at_ns,
        .ends_at_ns = a->resolved_at_ns != 0 ? a->resolved_at_ns : a->valid_until_ns,
        .generator_url = url,
    };
}

/* Allows for two evaluations or sends to fail. */
static int64_t
valid_until(const struct rule_context *cx, int64_t interval_ns)
{
    return cx->ts_ns + 4 * MAX(interval_ns, cx->options->resend_delay_ms * NS_PER_MS);
}

size_t
alerting_restored(struct rule *r, const struct rule_context *cx, int64_t interval_ns,
                  struct alert_message **messages)
{
    struct str url = generator_url(r, cx);
    struct alert *a;
    size_t nr = 0;

    *messages = ARENA_NEW_ARRAY(cx->arena, struct alert_message, r->active.nr);
    for (size_t at = 0; (a = table_next(&r->active, &at)) != NULL;) {
        if (a->state != ALERT_FIRING || a->last_sent_at_ns != 0)
            continue;
        /* Not marked as sent: the first evaluation sends it too. */
        a->valid_until_ns = valid_until(cx, interval_ns);
        (*messages)[nr++] = alert_message_of(a, cx, url);
    }
    return nr;
}

size_t
alerting_due(struct rule *r, const struct rule_context *cx, int64_t interval_ns,
             struct alert_message **messages)
{
    int64_t resend_ns = cx->options->resend_delay_ms * NS_PER_MS;
    struct str url = generator_url(r, cx);
    struct alert *a;
    size_t nr = 0;

    *messages = ARENA_NEW_ARRAY(cx->arena, struct alert_message, r->active.nr);
    for (size_t at = 0; (a = table_next(&r->active, &at)) != NULL;) {
        if (!alert_needs_sending(a, cx->ts_ns, resend_ns))
            continue;
        a->last_sent_at_ns = cx->ts_ns;
        a->valid_until_ns = valid_until(cx, interval_ns);
        (*messages)[nr++] = alert_message_of(a, cx, url);
    }
    return nr;
}

enum alert_state
alerting_state(const struct rule *r)
{
    enum alert_state state = ALERT_INACTIVE;
    struct alert *a;

    if (r->last_evaluation_ns == 0)
        return ALERT_UNKNOWN;
    for (size_t at = 0; (a = table_next(&r->active, &at)) != NULL;)
        state = MAX(state, a->state);
    return state;
}
