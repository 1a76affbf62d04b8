/* Deletion, cleaning and snapshots: only with --web.enable-admin-api. */
#include "base/quote.h"
#include "http/http_priv.h"
#include "tsdb/db.h"

static bool
admin_on(struct call *c, struct error *err)
{
    if (!c->h->deps.enable_admin)
        return error_set(err, ERR_UNAVAILABLE, "admin APIs disabled");
    if (c->h->deps.db == NULL)
        return error_set(err, ERR_UNAVAILABLE, "no storage to administer");
    return true;
}

/* What storage refuses here is "internal" to Prometheus. */
static bool
internal_error(struct error *err)
{
    if (err->kind != ERR_CANCELED)
        err->kind = ERR_INTERNAL;
    return false;
}

struct admin_guard {
    struct query_guard base;
    const struct http_request *req;
};

static bool
client_gone(struct query_guard *g, struct error *err)
{
    const struct http_request *req = CONTAINER_OF(g, struct admin_guard, base)->req;

    if (!atomic_load_explicit(&req->canceled, memory_order_relaxed))
        return false;
    error_set(err, ERR_CANCELED, "context canceled");
    return true;
}

static bool
delete_each(struct call *c, int64_t start_ms, int64_t end_ms, struct error *err)
{
    struct admin_guard guard = { { client_gone }, c->req };
    size_t at = 0;
    struct str text;
    bool ok = true;

    while (ok && http_param_each(c->req, "match[]", &at, &text)) {
        struct matcher_set set = { 0 };
        /* Unlike elsewhere a selector of everything is taken. */
        if (!promql_parse_selector(call_arena(c), text, &c->h->deps.parse, &set.v, &set.nr, err))
            return error_wrap(err, "invalid parameter \"match[]\"");
        ok = db_delete_series(c->h->deps.db, set.v, set.nr, start_ms, end_ms, &guard.base, err) ||
             internal_error(err);
        for (size_t i = 0; i < set.nr; i++)
            matcher_fini(&set.v[i]);
    }
    return ok;
}

bool
api_delete_series(struct call *c, struct error *err)
{
    int64_t start_ms, end_ms;
    struct str text;
    size_t at = 0;

    c->no_content = true;
    if (!admin_on(c, err))
        return false;
    if (!http_param_each(c->req, "match[]", &at, &text))
        return error_set(err, ERR_INVALID, "no match[] parameter provided");
    return request_time(c->req, "start", PARAM_TIME_MIN, &start_ms, err) &&
           request_time(c->req, "end", PARAM_TIME_MAX, &end_ms, err) &&
           delete_each(c, start_ms, end_ms, err);
}

bool
api_clean_tombstones(struct call *c, struct error *err)
{
    c->no_content = true;
    return admin_on(c, err) && (db_clean_tombstones(c->h->deps.db, err) || internal_error(err));
}

static bool
take_skip_head(struct call *c, bool *skip_head, struct error *err)
{
    struct str text = http_param(c->req, "skip_head");

    *skip_head = false;
    if (text.n == 0 || param_bool(text, skip_head))
        return true;
    struct buf quoted = { 0 };
    quote_go(text, &quoted);
    error_set(err, ERR_INVALID,
              "invalid parameter \"skip_head\": unable to parse boolean: strconv.ParseBool: "
              "parsing %s: invalid syntax",
              buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

bool
api_snapshot(struct call *c, struct error *err)
{
    char name[DB_SNAPSHOT_NAME_BYTES];
    bool skip_head;

    if (!admin_on(c, err) || !take_skip_head(c, &skip_head, err))
        return false;
    if (!db_snapshot(c->h->deps.db, skip_head, name, err))
        return internal_error(err);
    json_open(&c->j, '{');
    json_key(&c->j, "name");
    json_str(&c->j, str_c(name));
    json_close(&c->j, '}');
    return true;
}
