/* The server's own state: configuration, flags, versions, storage, notifications. */
#include "http/http_priv.h"
#include "tsdb/db.h"

enum { TSDB_ITEMS = 10, TSDB_ITEMS_MAX = 10000 };

static void
key_str(struct json *j, const char *key, struct str value)
{
    json_key(j, key);
    json_str_html(j, value);
}

static void
key_int(struct json *j, const char *key, int64_t v)
{
    json_key(j, key);
    json_int(j, v);
}

static void
key_ms(struct json *j, const char *key, int64_t t_ms)
{
    json_key(j, key);
    json_time(j, t_ms * 1000000);
}

bool
api_options(struct call *c, struct error *err)
{
    (void)err;
    c->no_content = true;
    return true;
}

bool
api_status_config(struct call *c, struct error *err)
{
    (void)err;
    json_open(&c->j, '{');
    lock_take(&c->h->lock);
    key_str(&c->j, "yaml", c->h->config.yaml);
    lock_release(&c->h->lock);
    json_close(&c->j, '}');
    return true;
}

bool
api_status_flags(struct call *c, struct error *err)
{
    const struct http_deps *d = &c->h->deps;

    (void)err;
    json_open(&c->j, '{');
    for (size_t i = 0; i < d->flags_nr; i++) {
        json_key_str(&c->j, d->flags[i].name);
        json_str_html(&c->j, d->flags[i].value);
    }
    json_close(&c->j, '}');
    return true;
}

static void
write_build(struct json *j, const struct http_build *b)
{
    json_open(j, '{');
    key_str(j, "version", b->version);
    key_str(j, "revision", b->revision);
    key_str(j, "branch", b->branch);
    key_str(j, "buildUser", b->build_user);
    key_str(j, "buildDate", b->build_date);
    key_str(j, "goVersion", b->go_version);
    json_close(j, '}');
}

bool
api_status_buildinfo(struct call *c, struct error *err)
{
    (void)err;
    write_build(&c->j, &c->h->deps.build);
    return true;
}

void
raw_version(struct call *c)
{
    struct json j = json_to(&c->resp->body);

    c->resp->status = 200;
    http_response_header(c->resp, STR("Content-Type"), STR("text/plain; charset=utf-8"));
    write_build(&j, &c->h->deps.build);
    buf_byte(&c->resp->body, '\n');
}

bool
api_status_runtimeinfo(struct call *c, struct error *err)
{
    const struct http_runtime *r = &c->h->deps.runtime;
    struct db *db = c->h->deps.db;
    struct json *j = &c->j;

    (void)err;
    lock_take(&c->h->lock);
    bool reload_ok = c->h->config.reload_ok;
    int64_t reload_ms = c->h->config.reload_ms;
    lock_release(&c->h->lock);
    json_open(j, '{');
    key_ms(j, "startTime", r->start_ms);
    key_str(j, "CWD", r->cwd);
    key_str(j, "hostname", r->hostname);
    json_key(j, "serverTime");
    json_time(j, clock_now_ns(c->h->deps.clock));
    json_key(j, "reloadConfigSuccess");
    json_bool(j, reload_ok);
    key_ms(j, "lastConfigTime", reload_ms / 1000 * 1000);
    key_int(j, "corruptionCount", db == NULL ? 0 : (int64_t)db_corruptions(db));
    /* No goroutines here; threads that work on requests come nearest. */
    key_int(j, "goroutineCount", c->h->deps.pool == NULL ? 1 : pool_threads(c->h->deps.pool));
    key_int(j, "GOMAXPROCS", r->cpus);
    key_int(j, "GOMEMLIMIT", (int64_t)MIN(r->memory_limit_bytes, (uint64_t)INT64_MAX));
    key_str(j, "GOGC", STR(""));
    key_str(j, "GODEBUG", STR(""));
    key_str(j, "storageRetention", r->storage_retention);
    json_close(j, '}');
    return true;
}

/* ---- storage */

static void
write_counts(struct json *j, const char *key, const struct db_count *counts, size_t nr)
{
    json_key(j, key);
    json_open(j, '[');
    for (size_t i = 0; i < nr; i++) {
        json_open(j, '{');
        key_str(j, "name", counts[i].name);
        json_key(j, "value");
        json_uint(j, counts[i].nr);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void
write_head(struct json *j, const struct db_head_stats *st)
{
    json_key(j, "headStats");
    json_open(j, '{');
    key_int(j, "numSeries", (int64_t)st->series_nr);
    key_int(j, "numLabelPairs", (int64_t)st->label_pairs_nr);
    key_int(j, "chunkCount", (int64_t)st->chunks_nr);
    key_int(j, "minTime", st->min_ms);
    key_int(j, "maxTime", st->max_ms);
    json_close(j, '}');
}

static bool
take_items(struct call *c, size_t *items, struct error *err)
{
    struct str text = http_param(c->req, "limit");
    int64_t v = TSDB_ITEMS;

    if (text.n != 0 && (!param_int(text, "Atoi", &v, err) || v < 1))
        return error_set(err, ERR_INVALID, "limit must be a positive number");
    if (v > TSDB_ITEMS_MAX)
        return error_set(err, ERR_INVALID, "limit must not exceed %d", TSDB_ITEMS_MAX);
    *items = (size_t)v;
    return true;
}

bool
api_status_tsdb(struct call *c, struct error *err)
{
    struct db_head_stats st = { .min_ms = INT64_MAX, .max_ms = INT64_MIN };
    struct db_cardinality k = { 0 };
    struct json *j = &c->j;
    size_t items = 0;

    if (!take_items(c, &items, err))
        return false;
    if (c->h->deps.db != NULL) {
        db_head_stats(c->h->deps.db, &st);
        db_cardinality(c->h->deps.db, items, call_arena(c), &k);
    }
    json_open(j, '{');
    write_head(j, &st);
    write_counts(j, "seriesCountByMetricName", k.series_by_metric, k.series_by_metric_nr);
    write_counts(j, "labelValueCountByLabelName", k.values_by_label, k.values_by_label_nr);
    write_counts(j, "memoryInBytesByLabelName", k.bytes_by_label, k.bytes_by_label_nr);
    write_counts(j, "seriesCountByLabelValuePair", k.series_by_pair, k.series_by_pair_nr);
    json_close(j, '}');
    return true;
}

bool
api_status_blocks(struct call *c, struct error *err)
{
    struct str *metas = NULL;
    size_t nr = 0;

    (void)err;
    if (c->h->deps.db != NULL)
        db_blocks(c->h->deps.db, call_arena(c), &metas, &nr);
    json_open(&c->j, '{');
    json_key(&c->j, "blocks");
    json_open(&c->j, '[');
    for (size_t i = 0; i < nr; i++)
        json_raw(&c->j, str_trim(metas[i]));
    json_close(&c->j, ']');
    json_close(&c->j, '}');
    return true;
}

bool
api_status_walreplay(struct call *c, struct error *err)
{
    const struct db_replay_status *r = c->h->deps.replay;

    (void)err;
    json_open(&c->j, '{');
    key_int(&c->j, "min", r == NULL ? 0 : atomic_load(&r->min));
    key_int(&c->j, "max", r == NULL ? 0 : atomic_load(&r->max));
    key_int(&c->j, "current", r == NULL ? 0 : atomic_load(&r->current));
    json_close(&c->j, '}');
    return true;
}

/* ---- the rest */

bool
api_notifications(struct call *c, struct error *err)
{
    (void)err;
    json_open(&c->j, '[');
    lock_take(&c->h->lock);
    for (size_t i = 0; i < c->h->notes_nr; i++) {
        json_open(&c->j, '{');
        key_str(&c->j, "text", c->h->notes[i].text);
        key_ms(&c->j, "date", c->h->notes[i].since_ms);
        json_key(&c->j, "active");
        json_bool(&c->j, true);
        json_close(&c->j, '}');
    }
    lock_release(&c->h->lock);
    json_close(&c->j, ']');
    return true;
}

/* Streams are not offered: this is what Prometheus answers when it has as many subscribers as it
 * wants. */
void
raw_notifications_live(struct call *c)
{
    c->resp->status = 204;
}

bool
api_search(struct call *c, struct error *err)
{
    (void)c;
    return error_set(err, ERR_UNAVAILABLE, "search API disabled");
}
