/* Rule groups, alerts, Alertmanagers. */
#include "rules/rules.h"

#include <stdlib.h>

#include "base/decimal.h"
#include "base/digest.h"
#include "base/quote.h"
#include "http/http_priv.h"
#include "rules/notify/notifier.h"

enum rule_types { RULES_ALL, RULES_ALERTING, RULES_RECORDING };

/* What the client wants to see. */
struct rule_filter {
    const struct http_request *req;
    enum rule_types types;
    bool exclude_alerts, evaluations;
    int64_t groups_max; /* -1: all */
    struct str token;
    struct matcher_sets sets;
};

static void
key_str(struct json *j, const char *key, struct str value)
{
    json_key(j, key);
    json_str_html(j, value);
}

static void
key_float(struct json *j, const char *key, double v)
{
    json_key(j, key);
    json_float(j, v);
}

static void
write_alert(struct json *j, const struct alert_view *a)
{
    char value[DECIMAL_BYTES_MAX];

    json_open(j, '{');
    json_key(j, "labels");
    json_labels(j, a->labels);
    json_key(j, "annotations");
    json_labels(j, a->annotations);
    key_str(j, "state", str_c(alert_state_text(a->state)));
    json_key(j, "activeAt");
    json_time(j, a->active_at_ns);
    if (a->keep_firing_since_ns != 0) {
        json_key(j, "keepFiringSince");
        json_time(j, a->keep_firing_since_ns);
    }
    key_str(j, "value", (struct str){ value, decimal_format_exp(a->value, value) });
    json_close(j, '}');
}

static void
write_alerts(struct json *j, const struct rule_view *r)
{
    json_open(j, '[');
    for (size_t i = 0; i < r->alerts_nr; i++)
        write_alert(j, &r->alerts[i]);
    json_close(j, ']');
}

static void
write_alerting_part(struct json *j, const struct rule_view *r, bool exclude_alerts)
{
    key_float(j, "duration", (double)r->for_ms / 1000);
    key_float(j, "keepFiringFor", (double)r->keep_firing_for_ms / 1000);
    json_key(j, "labels");
    json_labels(j, r->labels);
    json_key(j, "annotations");
    json_labels(j, r->annotations);
    json_key(j, "alerts");
    if (exclude_alerts)
        json_null(j);
    else
        write_alerts(j, r);
}

/* Only for who asks with narthex_evaluations: Prometheus has nothing like it. */
static void
write_evaluations(struct json *j, const struct rule_view *r)
{
    json_key(j, "evaluations");
    json_open(j, '[');
    for (size_t i = 0; i < r->evaluations_nr; i++) {
        const struct rule_evaluation_view *e = &r->evaluations[i];
        json_open(j, '{');
        json_key(j, "time");
        json_time(j, e->slot_ns);
        key_float(j, "duration", (double)e->took_ns / 1e9);
        json_key(j, "samples");
        json_uint(j, e->samples_nr);
        if (e->error.n != 0)
            key_str(j, "error", e->error);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void
write_rule(struct json *j, const struct rule_view *r, bool exclude_alerts)
{
    json_open(j, '{');
    if (r->is_alert)
        key_str(j, "state", str_c(alert_state_text(r->state)));
    key_str(j, "name", r->name);
    key_str(j, "query", r->query);
    if (r->is_alert) {
        write_alerting_part(j, r, exclude_alerts);
    } else {
        json_key(j, "labels");
        json_labels(j, r->labels);
    }
    key_str(j, "health", str_c(r->health));
    if (r->last_error.n != 0)
        key_str(j, "lastError", r->last_error);
    key_float(j, "evaluationTime", r->evaluation_s);
    json_key(j, "lastEvaluation");
    json_time(j, r->last_evaluation_ns);
    key_str(j, "type", r->is_alert ? STR("alerting") : STR("recording"));
    if (r->evaluations != NULL)
        write_evaluations(j, r);
    json_close(j, '}');
}

/* ---- what to show */

/* True when the parameter is not given or one of its values is `value`. */
static bool
listed(const struct http_request *req, const char *name, struct str value)
{
    size_t at = 0, nr = 0;
    struct str want;

    for (; http_param_each(req, name, &at, &want); nr++)
        if (str_eq(want, value))
            return true;
    return nr == 0;
}

static bool
rule_wanted(const struct rule_filter *f, const struct rule_view *r)
{
    if (f->types != RULES_ALL && r->is_alert != (f->types == RULES_ALERTING))
        return false;
    if (!listed(f->req, "rule_name[]", r->name))
        return false;
    for (size_t i = 0; i < f->sets.nr; i++)
        if (matcher_set_matches(&f->sets.v[i], r->labels))
            return true;
    return f->sets.nr == 0;
}

static bool
group_wanted(const struct rule_filter *f, const struct rule_group_view *g)
{
    if (!listed(f->req, "rule_group[]", g->name) || !listed(f->req, "file[]", g->file))
        return false;
    for (size_t i = 0; i < g->rules_nr; i++)
        if (rule_wanted(f, &g->rules[i]))
            return true;
    return false;
}

static struct str
group_token(struct arena *a, const struct rule_group_view *g)
{
    struct str key = arena_printf(a, "%.*s;%.*s", STR_ARG(g->file), STR_ARG(g->name));
    uint8_t sum[DIGEST_SHA256_BYTES];
    char *hex = arena_alloc(a, 2 * sizeof sum + 1);

    digest_sha256(key, sum);
    digest_hex(sum, sizeof sum, hex);
    return (struct str){ hex, 2 * sizeof sum };
}

static void
write_group(struct json *j, const struct rule_filter *f, const struct rule_group_view *g)
{
    json_open(j, '{');
    key_str(j, "name", g->name);
    key_str(j, "file", g->file);
    json_key(j, "rules");
    json_open(j, '[');
    for (size_t i = 0; i < g->rules_nr; i++)
        if (rule_wanted(f, &g->rules[i]))
            write_rule(j, &g->rules[i], f->exclude_alerts);
    json_close(j, ']');
    key_float(j, "interval", (double)g->interval_ms / 1000);
    json_key(j, "limit");
    json_int(j, g->limit);
    key_float(j, "evaluationTime", g->evaluation_s);
    json_key(j, "lastEvaluation");
    json_time(j, g->last_evaluation_ns);
    json_close(j, '}');
}

/* ---- parameters */

static bool
take_types(struct rule_filter *f, struct error *err)
{
    struct str type = http_query_param(f->req, "type");

    for (size_t i = 0; i < type.n; i++)
        if (type.p[i] >= 'A' && type.p[i] <= 'Z')
            ((char *)type.p)[i] = (char)(type.p[i] | 0x20);
    f->types = RULES_ALL;
    if (type.n == 0)
        return true;
    if (str_is(type, "alert"))
        f->types = RULES_ALERTING;
    else if (str_is(type, "record"))
        f->types = RULES_RECORDING;
    else
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"type\": not supported value \"%.*s\"", STR_ARG(type));
    return true;
}

static bool
take_exclude(struct rule_filter *f, struct error *err)
{
    struct str text = http_query_param(f->req, "exclude_alerts");

    if (text.n == 0 || param_bool(text, &f->exclude_alerts))
        return true;
    struct buf quoted = { 0 };
    quote_go(text, &quoted);
    error_set(err, ERR_INVALID,
              "invalid parameter \"exclude_alerts\": error converting exclude_alerts: "
              "strconv.ParseBool: parsing %s: invalid syntax",
              buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

static bool
take_page(struct rule_filter *f, struct error *err)
{
    struct str limit = http_query_param(f->req, "group_limit");

    f->token = http_query_param(f->req, "group_next_token");
    f->groups_max = -1;
    if (f->token.n != 0 && limit.n == 0)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"group_next_token\": group_limit needs to be present "
                         "in order to paginate over the groups");
    if (limit.n == 0)
        return true;
    if (!param_int(limit, "ParseInt", &f->groups_max, err)) {
        error_wrap(err, "group_limit needs to be a valid number");
        return error_wrap(err, "invalid parameter \"group_limit\"");
    }
    if (f->groups_max > INT32_MAX || f->groups_max < INT32_MIN)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"group_limit\": group_limit needs to be a valid "
                         "number: strconv.ParseInt: parsing \"%.*s\": value out of range",
                         STR_ARG(limit));
    if (f->groups_max <= 0)
        return error_set(
            err, ERR_INVALID,
            "invalid parameter \"group_limit\": group_limit needs to be greater than 0");
    return true;
}

/* ---- the calls */

static bool
write_groups(struct call *c, const struct rule_filter *f, const struct rules_view *view,
             struct error *err)
{
    struct json *j = &c->j;
    struct str next = STR_NONE;
    bool found = f->groups_max < 0 || f->token.n == 0;
    int64_t written = 0;

    json_open(j, '{');
    json_key(j, "groups");
    json_open(j, '[');
    for (size_t i = 0; i < view->groups_nr; i++) {
        const struct rule_group_view *g = &view->groups[i];
        found = found || str_eq(f->token, group_token(call_arena(c), g));
        if (!found || !group_wanted(f, g))
            continue;
        if (f->groups_max > 0 && written++ == f->groups_max) {
            next = group_token(call_arena(c), g);
            break;
        }
        write_group(j, f, g);
    }
    json_close(j, ']');
    if (next.n != 0)
        key_str(j, "groupNextToken", next);
    json_close(j, '}');
    return found || error_set(err, ERR_INVALID,
                              "invalid parameter \"group_next_token\": invalid group_next_token "
                              "'%.*s'. were rule groups changed?",
                              STR_ARG(f->token));
}

static void
view_rules(struct call *c, bool evaluations, struct rules_view *view)
{
    *view = (struct rules_view){ 0 };
    if (c->h->deps.rules == NULL)
        return;
    if (evaluations)
        rules_manager_view_evaluations(c->h->deps.rules, call_arena(c), view);
    else
        rules_manager_view(c->h->deps.rules, call_arena(c), view);
}

bool
api_rules(struct call *c, struct error *err)
{
    struct rule_filter f = { .req = c->req };
    struct rules_view view;

    if (c->req->params_error.n != 0)
        return error_set(err, ERR_INVALID, "error parsing form values: %.*s",
                         STR_ARG(c->req->params_error));
    if (!call_matchers(c, &f.sets, err))
        return false;
    bool ok = take_types(&f, err) && take_exclude(&f, err) && take_page(&f, err);
    error_ignored(param_bool(http_query_param(c->req, "narthex_evaluations"), &f.evaluations));
    if (ok) {
        view_rules(c, f.evaluations, &view);
        ok = write_groups(c, &f, &view, err);
    }
    matcher_sets_fini(&f.sets);
    return ok;
}

bool
api_alerts(struct call *c, struct error *err)
{
    struct rules_view view;

    (void)err;
    view_rules(c, false, &view);
    json_open(&c->j, '{');
    json_key(&c->j, "alerts");
    json_open(&c->j, '[');
    for (size_t i = 0; i < view.groups_nr; i++)
        for (size_t k = 0; k < view.groups[i].rules_nr; k++)
            for (size_t a = 0; a < view.groups[i].rules[k].alerts_nr; a++)
                write_alert(&c->j, &view.groups[i].rules[k].alerts[a]);
    json_close(&c->j, ']');
    json_close(&c->j, '}');
    return true;
}

static void
write_urls(struct json *j, const char *key, const struct str *urls, size_t nr)
{
    json_key(j, key);
    json_open(j, '[');
    for (size_t i = 0; i < nr; i++) {
        json_open(j, '{');
        key_str(j, "url", urls[i]);
        json_close(j, '}');
    }
    json_close(j, ']');
}

bool
api_alertmanagers(struct call *c, struct error *err)
{
    struct alertmanagers_view view = { 0 };

    (void)err;
    if (c->h->deps.notifier != NULL)
        notifier_view(c->h->deps.notifier, call_arena(c), &view);
    json_open(&c->j, '{');
    write_urls(&c->j, "activeAlertmanagers", view.active, view.active_nr);
    write_urls(&c->j, "droppedAlertmanagers", view.dropped, view.dropped_nr);
    json_close(&c->j, '}');
    return true;
}
