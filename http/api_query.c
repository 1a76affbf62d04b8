/* query, query_range, and their results as JSON, written straight from the engine's columns. */
#include <inttypes.h>

#include "base/mem.h"
#include "http/http_priv.h"

enum { POINTS_MAX = 11000, PARALLEL_POINTS_MIN = 200000, POINT_BYTES = 32 };

/* ---- results */

static void
write_points(struct buf *out, const struct result_series *s)
{
    bool first = true;

    for (size_t i = 0; i < s->nr; i++) {
        if (s->h != NULL && s->h[i] != NULL)
            continue;
        buf_c(out, first ? ",\"values\":[[" : ",[");
        first = false;
        json_timestamp(out, s->t_ms[i]);
        buf_byte(out, ',');
        json_value(out, s->v[i]);
        buf_byte(out, ']');
    }
    if (!first)
        buf_byte(out, ']');
}

static void
write_histograms(struct buf *out, const struct result_series *s)
{
    bool first = true;

    for (size_t i = 0; s->h != NULL && i < s->nr; i++) {
        if (s->h[i] == NULL)
            continue;
        buf_c(out, first ? ",\"histograms\":[[" : ",[");
        first = false;
        json_timestamp(out, s->t_ms[i]);
        buf_byte(out, ',');
        json_histogram(out, s->h[i]);
        buf_byte(out, ']');
    }
    if (!first)
        buf_byte(out, ']');
}

static void
write_matrix_series(struct buf *out, const struct result_series *s)
{
    buf_reserve(out, s->nr * POINT_BYTES + 256);
    buf_c(out, "{\"metric\":");
    labels_json(s->labels, out);
    write_points(out, s);
    write_histograms(out, s);
    buf_byte(out, '}');
}

static void
write_vector_sample(struct buf *out, const struct result_series *s)
{
    bool is_histogram = s->h != NULL && s->h[0] != NULL;

    buf_c(out, "{\"metric\":");
    labels_json(s->labels, out);
    buf_c(out, is_histogram ? ",\"histogram\":[" : ",\"value\":[");
    json_timestamp(out, s->t_ms[0]);
    buf_byte(out, ',');
    if (is_histogram)
        json_histogram(out, s->h[0]);
    else
        json_value(out, s->v[0]);
    buf_c(out, "]}");
}

/* Large matrices are written in slices of series, one buffer each, on free workers. */
struct slices {
    const struct query_result *r;
    struct buf *bufs;
    size_t nr;
};

static void
write_slice(void *arg, size_t i)
{
    struct slices *s = arg;
    size_t from = s->r->series_nr * i / s->nr, to = s->r->series_nr * (i + 1) / s->nr;

    for (size_t at = from; at < to; at++) {
        if (at > 0)
            buf_byte(&s->bufs[i], ',');
        write_matrix_series(&s->bufs[i], &s->r->series[at]);
    }
}

static void
write_matrix(struct call *c, const struct query_result *r, struct buf *out)
{
    size_t points = 0;

    for (size_t i = 0; i < r->series_nr; i++)
        points += r->series[i].nr;
    struct pool *pool = points >= PARALLEL_POINTS_MIN ? c->h->deps.pool : NULL;
    size_t nr = pool == NULL ? 1 : MIN(r->series_nr, (size_t)pool_threads(pool) * 2);
    if (nr <= 1) {
        struct slices all = { r, out, 1 };
        write_slice(&all, 0);
        return;
    }
    struct slices s = { r, MEM_NEW_ARRAY(struct buf, nr), nr };
    pool_run(pool, nr, write_slice, &s);
    for (size_t i = 0; i < nr; i++) {
        buf_str(out, buf_as_str(&s.bufs[i]));
        buf_fini(&s.bufs[i]);
    }
    mem_free(s.bufs);
}

static void
write_result(struct call *c, const struct query_result *r, struct buf *out)
{
    switch (r->type) {
    case VALUE_SCALAR:
    case VALUE_STRING:
        buf_byte(out, '[');
        json_timestamp(out, r->t_ms);
        buf_byte(out, ',');
        if (r->type == VALUE_SCALAR)
            json_value(out, r->scalar);
        else
            json_quote(out, r->string, true);
        buf_byte(out, ']');
        break;
    case VALUE_VECTOR:
        buf_byte(out, '[');
        for (size_t i = 0; i < r->series_nr; i++) {
            if (i > 0)
                buf_byte(out, ',');
            write_vector_sample(out, &r->series[i]);
        }
        buf_byte(out, ']');
        break;
    default:
        buf_byte(out, '[');
        write_matrix(c, r, out);
        buf_byte(out, ']');
    }
}

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
    write_result(c, r, j->out);
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
