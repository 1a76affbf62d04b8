/* Targets, what they say of their metrics, scrape pools, and the steps of relabelling. */
#include "scrape/scrape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/duration.h"
#include "http/http_priv.h"
#include "http/labels_in.h"

/* ---- the URL as one can reach it from elsewhere */

static bool
is_local(struct str host)
{
    return str_is(host, "127.0.0.1") || str_is(host, "localhost") || str_is(host, "::1");
}

/* "host:port" or "[::1]:port"; port may be missing. */
static void
split_host(struct str authority, struct str *host, struct str *port)
{
    size_t colon = authority.n;

    while (colon > 0 && authority.p[colon - 1] != ':' && authority.p[colon - 1] != ']')
        colon--;
    bool has_port = colon > 0 && authority.p[colon - 1] == ':';
    *host = (struct str){ authority.p, has_port ? colon - 1 : authority.n };
    *port = has_port ? str_skip(authority, colon) : STR("");
    if (host->n >= 2 && host->p[0] == '[')
        *host = (struct str){ host->p + 1, host->n - 2 };
}

/* Scheme, authority and rest of "http://a:1/x". */
static void
split_url(struct str url, struct str *scheme, struct str *authority, struct str *rest)
{
    size_t colon = str_find(url, ':', 0);

    *scheme = (struct str){ url.p, colon };
    *rest = colon + 3 <= url.n ? str_skip(url, colon + 3) : STR("");
    size_t slash = 0;
    while (slash < rest->n && rest->p[slash] != '/' && rest->p[slash] != '?')
        slash++;
    *authority = (struct str){ rest->p, slash };
    *rest = str_skip(*rest, slash);
}

/* A target on this host is named by the external URL's host; our own port also by its scheme and
 * port. */
static struct str
global_url(struct call *c, struct str url)
{
    struct str scheme, authority, rest, host, port, own_scheme, own_authority, own_rest, own_host,
        own_port;
    char listen_port[8];

    split_url(url, &scheme, &authority, &rest);
    split_host(authority, &host, &port);
    if (!is_local(host))
        return url;
    split_url(c->h->deps.external_url, &own_scheme, &own_authority, &own_rest);
    snprintf(listen_port, sizeof listen_port, "%u", http_port(c->h));
    if (str_is(port, listen_port))
        return arena_printf(call_arena(c), "%.*s://%.*s%.*s", STR_ARG(own_scheme),
                            STR_ARG(own_authority), STR_ARG(rest));
    split_host(own_authority, &own_host, &own_port);
    return arena_printf(call_arena(c), "%.*s://%.*s%s%.*s%.*s", STR_ARG(scheme), STR_ARG(own_host),
                        port.n > 0 ? ":" : "", STR_ARG(port), STR_ARG(rest));
}

/* ---- targets */

static void
key_str(struct json *j, const char *key, struct str value)
{
    json_key(j, key);
    json_str_html(j, value);
}

static void
write_target(struct call *c, const struct target_view *t)
{
    struct json *j = &c->j;

    json_open(j, '{');
    json_key(j, "discoveredLabels");
    json_labels(j, t->discovered);
    json_key(j, "labels");
    json_labels(j, t->labels);
    key_str(j, "scrapePool", t->pool);
    key_str(j, "scrapeUrl", t->url);
    key_str(j, "globalUrl", global_url(c, t->url));
    key_str(j, "lastError", t->last_error);
    json_key(j, "lastScrape");
    json_time(j, t->last_scrape_ns);
    json_key(j, "lastScrapeDuration");
    json_float(j, t->last_duration_s);
    key_str(j, "health", str_c(target_health_text(t->health)));
    key_str(j, "scrapeInterval", t->interval_text);
    key_str(j, "scrapeTimeout", t->timeout_text);
    json_close(j, '}');
}

static void
write_dropped(struct call *c, const struct targets_view *view)
{
    struct json *j = &c->j;

    json_key(j, "droppedTargets");
    json_open(j, '[');
    for (size_t i = 0; i < view->dropped_nr; i++) {
        json_open(j, '{');
        json_key(j, "discoveredLabels");
        json_labels(j, view->dropped[i].discovered);
        key_str(j, "scrapePool", view->dropped[i].pool);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void
write_dropped_counts(struct json *j, const struct targets_view *view)
{
    json_key(j, "droppedTargetCounts");
    json_open(j, '{');
    for (size_t i = 0; i < view->pools_nr; i++) {
        json_key_str(j, view->pools[i].name);
        json_uint(j, view->pools[i].dropped_nr);
    }
    json_close(j, '}');
}

/* The counts are of all pools, whatever scrapePool says. */
static void
view_targets(struct call *c, struct str pool, struct targets_view *view)
{
    *view = (struct targets_view){ 0 };
    if (c->h->deps.scrape != NULL)
        scrape_targets(c->h->deps.scrape, pool, call_arena(c), view);
}

static struct str
lower(struct arena *a, struct str s)
{
    struct str copy = arena_str(a, s);
    char *p = (char *)copy.p;

    for (size_t i = 0; i < copy.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] | 0x20);
    return copy;
}

bool
api_targets(struct call *c, struct error *err)
{
    struct str state = lower(call_arena(c), http_query_param(c->req, "state"));
    struct str pool = http_query_param(c->req, "scrapePool");
    bool any = state.n == 0 || str_is(state, "any");
    struct targets_view view, all;

    (void)err;
    view_targets(c, pool, &view);
    if (pool.n != 0)
        view_targets(c, STR(""), &all);
    if (!any && !str_is(state, "active"))
        view.active_nr = 0;
    json_open(&c->j, '{');
    json_key(&c->j, "activeTargets");
    json_open(&c->j, '[');
    for (size_t i = 0; i < view.active_nr; i++)
        write_target(c, &view.active[i]);
    json_close(&c->j, ']');
    if (any || str_is(state, "dropped")) {
        write_dropped(c, &view);
        write_dropped_counts(&c->j, pool.n != 0 ? &all : &view);
    } else {
        json_key(&c->j, "droppedTargets");
        json_raw(&c->j, STR("[]"));
        json_key(&c->j, "droppedTargetCounts");
        json_null(&c->j);
    }
    json_close(&c->j, '}');
    return true;
}

bool
api_scrape_pools(struct call *c, struct error *err)
{
    struct targets_view view;

    (void)err;
    view_targets(c, STR(""), &view);
    json_open(&c->j, '{');
    json_key(&c->j, "scrapePools");
    json_open(&c->j, '[');
    for (size_t i = 0; i < view.pools_nr; i++)
        json_str_html(&c->j, view.pools[i].name);
    json_close(&c->j, ']');
    json_close(&c->j, '}');
    return true;
}

/* The reference in *keep is the caller's. */
static const struct scrape_config *
pool_config(struct call *c, struct conf_pool **keep, struct error *err)
{
    struct str pool = http_param(c->req, "scrapePool");
    const struct scrape_config *config = NULL;

    if (pool.n == 0) {
        error_set(err, ERR_INVALID, "no scrapePool parameter provided");
        return NULL;
    }
    if (c->h->deps.scrape != NULL)
        config = scrape_pool_config(c->h->deps.scrape, pool, keep);
    if (config == NULL)
        error_set(err, ERR_INVALID,
                  "error retrieving scrape config: scrape pool \"%.*s\" not found", STR_ARG(pool));
    return config;
}

bool
api_scrape_pool_config(struct call *c, struct error *err)
{
    struct conf_pool *keep = NULL;
    struct buf yaml = { 0 };
    const struct scrape_config *config = pool_config(c, &keep, err);

    if (config == NULL)
        return false;
    conf_write(&scrape_config_table, config, &yaml);
    json_open(&c->j, '{');
    key_str(&c->j, "yaml", buf_as_str(&yaml));
    json_close(&c->j, '}');
    buf_fini(&yaml);
    conf_pool_unref(keep);
    return true;
}

/* ---- relabelling, step by step */

static void
write_rule(struct json *j, const struct relabel_config *rule)
{
    json_open(j, '{');
    if (rule->source_labels.nr > 0) {
        json_key(j, "source_labels");
        json_open(j, '[');
        for (size_t i = 0; i < rule->source_labels.nr; i++)
            json_str(j, rule->source_labels.items[i]);
        json_close(j, ']');
    }
    key_str(j, "separator", rule->separator);
    key_str(j, "regex", rule->regex == NULL ? STR("(.*)") : regex_pattern(rule->regex));
    if (rule->modulus != 0) {
        json_key(j, "modulus");
        json_uint(j, rule->modulus);
    }
    if (rule->target_label.n != 0)
        key_str(j, "target_label", rule->target_label);
    key_str(j, "replacement", rule->replacement);
    key_str(j, "action", str_c(relabel_action_text((enum relabel_action)rule->action)));
    json_close(j, '}');
}

static void
write_steps(struct call *c, const struct relabel_list *list, struct labels_builder *b)
{
    bool keep = true;

    json_key(&c->j, "steps");
    json_open(&c->j, '[');
    for (size_t i = 0; i < list->nr; i++) {
        keep = keep && relabel_apply(&list->rules[i], 1, b, call_arena(c));
        json_open(&c->j, '{');
        json_key(&c->j, "rule");
        write_rule(&c->j, &list->items[i]);
        json_key(&c->j, "output");
        json_labels(&c->j, keep ? labels_builder_view(b) : LABELS_NONE);
        json_key(&c->j, "keep");
        json_bool(&c->j, keep);
        json_close(&c->j, '}');
    }
    json_close(&c->j, ']');
}

bool
api_relabel_steps(struct call *c, struct error *err)
{
    struct conf_pool *keep = NULL;
    struct labels_builder b;
    const struct scrape_config *config = NULL;

    if (http_param(c->req, "scrapePool").n == 0)
        return error_set(err, ERR_INVALID, "no scrapePool parameter provided");
    labels_builder_init(&b);
    bool ok = labels_of_json(http_param(c->req, "labels"), &b, call_arena(c), err) &&
              (config = pool_config(c, &keep, err)) != NULL;
    if (ok) {
        json_open(&c->j, '{');
        write_steps(c, &config->relabel_configs, &b);
        json_close(&c->j, '}');
        conf_pool_unref(keep);
    }
    labels_builder_fini(&b);
    return ok;
}

/* ---- metadata */

static bool
take_number(const struct http_request *req, const char *name, int64_t *v, struct error *err)
{
    struct str text = http_param(req, name);

    *v = -1;
    if (text.n == 0 || param_int(text, "Atoi", v, err))
        return true;
    return error_set(err, ERR_INVALID, "%s must be a number", name);
}

static void
write_metadata(struct json *j, const struct metadata *m)
{
    key_str(j, "type", str_c(metadata_type_text(m->type)));
    key_str(j, "help", m->help);
    key_str(j, "unit", m->unit);
}

static bool
target_matches(void *arg, struct labels target)
{
    return matcher_set_matches(arg, target);
}

static void
write_target_metadata(struct call *c, const struct metadata_view *view, struct str metric,
                      int64_t limit)
{
    struct json *j = &c->j;

    json_open(j, '[');
    /* Prometheus looks at the limit between targets only. */
    for (size_t i = 0; i < view->nr; i++) {
        const struct target_metadata_view *m = &view->items[i];
        bool new_target = i == 0 || !labels_eq(view->items[i - 1].target, m->target);
        if (limit >= 0 && new_target && (int64_t)i >= limit)
            break;
        json_open(j, '{');
        json_key(j, "target");
        json_labels(j, m->target);
        if (metric.n == 0)
            key_str(j, "metric", m->metric);
        write_metadata(j, &m->meta);
        json_close(j, '}');
    }
    json_close(j, ']');
}

bool
api_targets_metadata(struct call *c, struct error *err)
{
    struct str match = http_param(c->req, "match_target"), metric = http_param(c->req, "metric");
    struct matcher_set set = { 0 };
    struct metadata_view view = { 0 };
    int64_t limit;

    if (!take_number(c->req, "limit", &limit, err))
        return false;
    if (match.n != 0 &&
        !promql_parse_selector(call_arena(c), match, &c->h->deps.parse, &set.v, &set.nr, err))
        return error_wrap(err, "invalid parameter \"match_target\"");
    if (c->h->deps.scrape != NULL)
        scrape_metadata(c->h->deps.scrape, metric, match.n != 0 ? target_matches : NULL, &set,
                        call_arena(c), &view);
    write_target_metadata(c, &view, metric, limit);
    struct matcher_sets sets = { &set, 1 };
    matcher_sets_fini(&sets);
    return true;
}

static int
cmp_metadata(const void *a, const void *b)
{
    const struct target_metadata_view *x = a, *y = b;
    int d = str_cmp(x->metric, y->metric);

    if (d == 0)
        d = (x->meta.type > y->meta.type) - (x->meta.type < y->meta.type);
    if (d == 0)
        d = str_cmp(x->meta.help, y->meta.help);
    return d != 0 ? d : str_cmp(x->meta.unit, y->meta.unit);
}

/* items are sorted; one family's different texts form a list. Returns where the family ends. */
static size_t
write_family(struct json *j, const struct metadata_view *view, size_t from, int64_t per_metric)
{
    int64_t written = 0;
    size_t i = from;

    json_key_str(j, view->items[from].metric);
    json_open(j, '[');
    for (; i < view->nr && str_eq(view->items[i].metric, view->items[from].metric); i++) {
        if ((i > from && cmp_metadata(&view->items[i - 1], &view->items[i]) == 0) ||
            (per_metric > 0 && written >= per_metric))
            continue;
        written++;
        json_open(j, '{');
        write_metadata(j, &view->items[i].meta);
        json_close(j, '}');
    }
    json_close(j, ']');
    return i;
}

bool
api_metadata(struct call *c, struct error *err)
{
    int64_t limit, per_metric, families = 0;
    struct metadata_view view = { 0 };

    if (!take_number(c->req, "limit", &limit, err) ||
        !take_number(c->req, "limit_per_metric", &per_metric, err))
        return false;
    if (c->h->deps.scrape != NULL)
        scrape_metadata(c->h->deps.scrape, http_param(c->req, "metric"), NULL, NULL, call_arena(c),
                        &view);
    if (view.nr > 0)
        qsort(view.items, view.nr, sizeof view.items[0], cmp_metadata);
    json_open(&c->j, '{');
    for (size_t i = 0; i < view.nr && (limit < 0 || families < limit); families++)
        i = write_family(&c->j, &view, i, per_metric);
    json_close(&c->j, '}');
    return true;
}
