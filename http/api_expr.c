/* Calls about the text of expressions, exemplars of what an expression selects, and selectors of
 * match[]. */
#include "base/mem.h"
#include "http/http_priv.h"
#include "promql/ast_json.h"
#include "promql/printer.h"
#include "tsdb/db.h"

static struct expr *
parse(struct call *c, struct error *err)
{
    return promql_parse(call_arena(c), http_param(c->req, "query"), &c->h->deps.parse, err);
}

bool
api_format_query(struct call *c, struct error *err)
{
    struct buf text = { 0 };
    struct expr *e = parse(c, err);

    if (e == NULL)
        return error_wrap(err, "invalid parameter \"query\"");
    expr_print_pretty(e, &text);
    json_str_html(&c->j, buf_as_str(&text));
    buf_fini(&text);
    expr_fini(e);
    return true;
}

bool
api_parse_query(struct call *c, struct error *err)
{
    struct expr *e = parse(c, err);

    if (e == NULL)
        return error_wrap(err, "invalid parameter \"query\"");
    expr_json(e, c->j.out);
    expr_fini(e);
    return true;
}

/* ---- exemplars */

struct selectors {
    struct arena *arena;
    struct db_matchers *v;
    size_t nr, cap;
};

static bool
collect(struct expr *e, void *arg)
{
    struct selectors *s = arg;

    if (e->kind == EXPR_SELECTOR) {
        ARENA_GROW(s->arena, s->v, s->nr, s->nr + 1, &s->cap);
        s->v[s->nr++] = (struct db_matchers){ e->selector.matchers, e->selector.matchers_nr };
    }
    return true;
}

static void
write_exemplars(struct json *j, const struct db_exemplar_series *s)
{
    json_open(j, '{');
    json_key(j, "seriesLabels");
    json_labels(j, s->labels);
    json_key(j, "exemplars");
    json_open(j, '[');
    for (size_t i = 0; i < s->nr; i++) {
        json_open(j, '{');
        json_key(j, "labels");
        json_labels(j, s->exemplars[i].labels);
        json_key(j, "value");
        json_value(j->out, s->exemplars[i].v);
        j->comma = true;
        json_key(j, "timestamp");
        json_timestamp(j->out, s->exemplars[i].t_ms);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static bool
exemplars_of(struct call *c, struct expr *e, int64_t start_ms, int64_t end_ms, struct error *err)
{
    struct selectors s = { .arena = call_arena(c) };
    struct db_exemplar_series *series = NULL;
    size_t nr = 0;

    expr_walk(e, collect, &s);
    if (s.nr == 0) {
        c->no_content = true;
        return true;
    }
    if (c->h->deps.db != NULL &&
        !db_exemplars(c->h->deps.db, s.v, s.nr, start_ms, end_ms, call_arena(c), &series, &nr, err))
        return storage_error(err);
    json_open(&c->j, '[');
    for (size_t i = 0; i < nr; i++)
        write_exemplars(&c->j, &series[i]);
    json_close(&c->j, ']');
    return true;
}

bool
api_query_exemplars(struct call *c, struct error *err)
{
    int64_t start_ms, end_ms;

    if (!request_time(c->req, "start", PARAM_TIME_MIN, &start_ms, err) ||
        !request_time(c->req, "end", PARAM_TIME_MAX, &end_ms, err))
        return false;
    if (end_ms < start_ms)
        return error_set(err, ERR_INVALID, "end timestamp must not be before start timestamp");
    struct expr *e = parse(c, err);
    if (e == NULL)
        return false;
    bool ok = exemplars_of(c, e, start_ms, end_ms, err);
    expr_fini(e);
    return ok;
}

/* ---- selectors */

static bool
refuses_empty(const struct matcher_set *set)
{
    for (size_t i = 0; i < set->nr; i++)
        if (!matcher_matches_empty(&set->v[i]))
            return true;
    return false;
}

bool
matcher_set_matches(const struct matcher_set *set, struct labels ls)
{
    for (size_t i = 0; i < set->nr; i++)
        if (!matcher_matches(&set->v[i], labels_get(ls, set->v[i].name)))
            return false;
    return true;
}

void
matcher_sets_fini(struct matcher_sets *sets)
{
    for (size_t i = 0; i < sets->nr; i++)
        for (size_t k = 0; k < sets->v[i].nr; k++)
            matcher_fini(&sets->v[i].v[k]);
    sets->nr = 0;
}

bool
call_matchers(struct call *c, struct matcher_sets *sets, struct error *err)
{
    struct arena *a = call_arena(c);
    size_t at = 0, cap = 0;
    struct str text;

    *sets = (struct matcher_sets){ 0 };
    while (http_param_each(c->req, "match[]", &at, &text)) {
        ARENA_GROW(a, sets->v, sets->nr, sets->nr + 1, &cap);
        struct matcher_set *set = &sets->v[sets->nr];
        if (!promql_parse_selector(a, text, &c->h->deps.parse, &set->v, &set->nr, err))
            goto fail;
        sets->nr++;
    }
    for (size_t i = 0; i < sets->nr; i++) {
        if (!refuses_empty(&sets->v[i])) {
            error_set(err, ERR_INVALID, "match[] must contain at least one non-empty matcher");
            goto fail;
        }
    }
    return true;
fail:
    matcher_sets_fini(sets);
    return false;
}
