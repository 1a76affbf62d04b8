/* query and query_range: parameters, warnings, statistics. */
#include <inttypes.h>

#include "http/http_priv.h"
#include "http/result_json.h"

enum { POINTS_MAX = 11000 };

static void
write_timings(struct json *j, const struct query_stats *st)
{
    const struct {
        const char *key;
        double seconds;
    } timings[] = {
        { "evalTotalTime", st->eval_total_s },        { "resultSortTime", st->result_sort_s },
        { "queryPreparationTime", st->query_prep_s }, { "innerEvalTime", st->inner_eval_s },
        { "execQueueTime", st->exec_queue_s },        { "execTotalTime", st->exec_total_s }
    };

    json_key(j, "timings");
    json_open(j, '{');
    for (size_t i = 0; i < ARRAY_LEN(timings); i++) {
        json_key(j, timings[i].key);
        json_float(j, timings[i].seconds);
    }
    json_close(j, '}');
}

static void
write_stats(struct json *j, const struct query *q, const struct query_stats *st)
{
    json_key(j, "stats");
    json_open(j, '{');
    write_timings(j, st);
    json_key(j, "samples");
    json_open(j, '{');
    if (st->samples_per_step != NULL && q->per_step_stats) {
        json_key(j, "totalQueryableSamplesPerStep");
        json_open(j, '[');
        for (size_t i = 0; i < st->steps_nr; i++) {
            json_open(j, '[');
            json_float(j, (double)(q->start_ms + (int64_t)i * q->step_ms) / 1000);
            json_uint(j, st->samples_per_step[i]);
            json_close(j, ']');
        }
        json_close(j, ']');
    }
    json_key(j, "totalQueryableSamples");
    json_uint(j, st->total_queryable_samples);
    json_key(j, "samplesRead");
    json_uint(j, st->total_queryable_samples);
    json_key(j, "peakSamples");
    json_uint(j, st->peak_samples);
    json_close(j, '}');
    json_close(j, '}');
}

/* ---- notes */

static size_t
notes_take(struct call *c, struct str *to, const struct str *from, size_t nr, const char *kind)
{
    size_t taken = MIN(nr, (size_t)CALL_NOTES_MAX);

    for (size_t i = 0; i < taken; i++)
        to[i] = arena_str(call_arena(c), from[i]);
    if (nr > taken) {
        to[taken] =
            arena_printf(call_arena(c), "%zu more %s annotations omitted", nr - taken, kind);
        taken++;
    }
    return taken;
}

static void
result_notes(struct call *c, const struct query_result *r)
{
    c->warnings_nr = notes_take(c, c->warnings, r->warnings, r->warnings_nr, "warning");
    c->infos_nr = notes_take(c, c->infos, r->infos, r->infos_nr, "info");
    if (r->truncated)
        call_warn(c, STR("results truncated due to limit"));
    struct str stats = http_param(c->req, "stats");
    if (stats.n != 0 && !str_is(stats, "true") && !str_is(stats, "all"))
        call_warn(c, arena_printf(call_arena(c),
                                  "value \"%.*s\" for parameter \"stats\" is deprecated and will "
                                  "be rejected in the next major release, use \"true\" or \"all\"",
                                  STR_ARG(stats)));
}

static void
write_query_data(struct call *c, const struct query *q, const struct query_result *r)
{
    static const char *const types[] = {
        [VALUE_NONE] = "none",     [VALUE_VECTOR] = "vector", [VALUE_SCALAR] = "scalar",
        [VALUE_MATRIX] = "matrix", [VALUE_STRING] = "string",
    };
    struct json *j = &c->j;

    json_open(j, '{');
    json_key(j, "resultType");
    json_str(j, str_c(types[r->type]));
    json_key(j, "result");
    result_json(r, q, c->h->deps.pool, j->out);
    j->comma = true;
    if (q->stats)
        write_stats(j, q, &r->stats);
    json_close(j, '}');
    result_notes(c, r);
}

/* ---- parameters */

static bool
take_options(const struct http_request *req, struct query *q, struct error *err)
{
    struct str timeout = http_param(req, "timeout");
    struct str lookback = http_param(req, "lookback_delta");
    struct str stats = http_param(req, "stats");
    int64_t ns;

    if (timeout.n != 0) {
        if (!param_duration(timeout, &ns, err))
            return error_wrap(err, "invalid parameter \"timeout\"");
        if (ns <= 0)
            return error_set(err, ERR_INVALID,
                             "invalid parameter \"query\": context deadline exceeded");
        q->timeout_ms = MAX(ns / 1000000, 1);
    }
    if (lookback.n != 0) {
        if (!param_duration(lookback, &ns, err))
            return error_wrap(err, "error parsing lookback delta duration");
        q->lookback_ms = MAX(ns / 1000000, 0);
    }
    q->stats = stats.n != 0;
    q->per_step_stats = str_is(stats, "all");
    q->text = http_param(req, "query");
    q->canceled = &req->canceled;
    return true;
}

static bool
take_instant(const struct http *h, const struct http_request *req, struct query *q,
             struct error *err)
{
    int64_t now_ms = clock_now_ms(h->deps.clock);

    if (!request_limit(req, &q->limit, err) ||
        !request_time(req, "time", now_ms, &q->start_ms, err))
        return false;
    q->end_ms = q->start_ms;
    return take_options(req, q, err);
}

static bool
take_range_time(const struct http_request *req, const char *name, int64_t *t_ms, struct error *err)
{
    struct str text = http_param(req, name);

    if (param_time(text, t_ms))
        return true;
    return error_set(err, ERR_INVALID,
                     "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid timestamp", name,
                     STR_ARG(text));
}

static bool
step_refused(struct error *err)
{
    return error_set(err, ERR_INVALID,
                     "invalid parameter \"step\": zero or negative query resolution step widths "
                     "are not accepted. Try a positive integer");
}

static bool
take_step(const struct http_request *req, struct query *q, struct error *err)
{
    int64_t ns;

    if (!param_duration(http_param(req, "step"), &ns, err))
        return error_wrap(err, "invalid parameter \"step\"");
    q->step_ms = ns / 1000000;
    if (ns <= 0)
        return step_refused(err);
    __int128 span_ns = ((__int128)q->end_ms - q->start_ms) * 1000000;
    if (span_ns / ns > POINTS_MAX)
        return error_set(err, ERR_INVALID,
                         "exceeded maximum resolution of 11,000 points per timeseries. Try "
                         "decreasing the query resolution (?step=XX)");
    /* Steps below a millisecond: Prometheus divides by zero there. */
    if (q->step_ms == 0)
        return step_refused(err);
    return true;
}

static bool
take_range(const struct http_request *req, struct query *q, struct error *err)
{
    if (!request_limit(req, &q->limit, err) || !take_range_time(req, "start", &q->start_ms, err) ||
        !take_range_time(req, "end", &q->end_ms, err))
        return false;
    if (q->end_ms < q->start_ms)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"end\": end timestamp must not be before start time");
    return take_step(req, q, err) && take_options(req, q, err);
}

/* ---- the calls */

static bool
answer(struct call *c, const struct query *q, struct error *err)
{
    const struct http_deps *d = &c->h->deps;
    struct query_result result;

    if (d->engine == NULL || d->queryable == NULL)
        return error_set(err, ERR_UNAVAILABLE, "no storage to query");
    if (!engine_query(d->engine, d->queryable, q, &result, err)) {
        if (err->kind == ERR_INVALID)
            error_wrap(err, "invalid parameter \"query\"");
        return false;
    }
    write_query_data(c, q, &result);
    query_result_fini(&result);
    return true;
}

bool
api_query(struct call *c, struct error *err)
{
    struct query q = { 0 };

    return take_instant(c->h, c->req, &q, err) && answer(c, &q, err);
}

/* Asked on the I/O thread: a request that is refused anyway is cheap too. */
bool
api_query_cheap(struct http *h, struct http_request *req)
{
    const struct http_deps *d = &h->deps;
    struct query q = { 0 };
    struct error err = { 0 };

    if (d->cheap_samples_max == 0 || d->engine == NULL || d->queryable == NULL)
        return false;
    http_request_params(req, http_request_header(req, "Content-Type"));
    bool refused = !take_instant(h, req, &q, &err);
    error_clear(&err);
    return refused || engine_is_cheap(d->engine, d->queryable, &q, d->cheap_samples_max);
}

bool
api_query_range(struct call *c, struct error *err)
{
    struct query q = { 0 };

    return take_range(c->req, &q, err) && answer(c, &q, err);
}
