/* Matrices are the hot path: 100,000 points are an ordinary answer. All series of a range query
 * stand on one grid of steps, so the text of each time is made once; a point is then two copies and
 * one decimal, written behind a single check for room. */
#include "http/result_json.h"

#include "base/decimal.h"
#include "base/mem.h"
#include "http/http_priv.h"

enum {
    PARALLEL_POINTS_MIN = 200000, /* below, handing out costs more than it gives */
    POINT_BYTES = 32,             /* what most points take */
    STAMP_BYTES = 31,
    STAMPED_SERIES_MIN = 3 /* with fewer the table does not pay */
};

/* The text of one time: "[1700000000.5,\"" */
struct stamp {
    uint8_t n;
    char text[STAMP_BYTES];
};

struct stamps {
    int64_t start_ms, step_ms;
    size_t nr;
    struct stamp *v; /* NULL: times are written one by one */
};

static void
stamp_make(struct stamp *s, int64_t t_ms, struct buf *scratch)
{
    buf_reset(scratch);
    buf_byte(scratch, '[');
    json_timestamp(scratch, t_ms);
    buf_c(scratch, ",\"");
    s->n = (uint8_t)scratch->n;
    memcpy(s->text, scratch->p, scratch->n);
}

static void
stamps_init(struct stamps *s, const struct query_result *r, const struct query *q)
{
    struct buf scratch = { 0 };

    *s = (struct stamps){ q->start_ms, q->step_ms, 0, NULL };
    if (q->step_ms <= 0 || r->series_nr < STAMPED_SERIES_MIN)
        return;
    s->nr = (size_t)((q->end_ms - q->start_ms) / q->step_ms) + 1;
    s->v = MEM_NEW_ARRAY(struct stamp, s->nr);
    for (size_t i = 0; i < s->nr; i++)
        stamp_make(&s->v[i], q->start_ms + (int64_t)i * q->step_ms, &scratch);
    buf_fini(&scratch);
}

/* The step of a time; steps of a series mostly follow each other, so the next one is tried first.
 */
static const struct stamp *
stamp_of(const struct stamps *s, int64_t t_ms, size_t *next)
{
    size_t i = *next;

    if (UNLIKELY(i >= s->nr || s->start_ms + (int64_t)i * s->step_ms != t_ms)) {
        i = (size_t)((t_ms - s->start_ms) / s->step_ms);
        if (i >= s->nr || s->start_ms + (int64_t)i * s->step_ms != t_ms)
            return NULL;
    }
    *next = i + 1;
    return &s->v[i];
}

/* [time,"value"] */
static void
put_point(struct buf *out, const struct stamp *stamp, double v)
{
    char *p = (char *)buf_reserve(out, sizeof *stamp + DECIMAL_BYTES_MAX + 2), *from = p;

    memcpy(p, stamp->text, STAMP_BYTES);
    p += stamp->n;
    p += decimal_format_api(v, p);
    *p++ = '"';
    *p++ = ']';
    out->n += (size_t)(p - from);
}

static void
put_points(struct buf *out, const struct stamps *stamps, const struct result_series *s)
{
    struct stamp own;
    struct buf scratch = { 0 };
    size_t next = 0;
    bool first = true;

    for (size_t i = 0; i < s->nr; i++) {
        if (s->h != NULL && s->h[i] != NULL)
            continue;
        const struct stamp *stamp = stamps->v == NULL ? NULL : stamp_of(stamps, s->t_ms[i], &next);
        if (stamp == NULL) {
            stamp_make(&own, s->t_ms[i], &scratch);
            stamp = &own;
        }
        if (first)
            buf_c(out, ",\"values\":[");
        else
            buf_byte(out, ',');
        first = false;
        put_point(out, stamp, s->v[i]);
    }
    if (!first)
        buf_byte(out, ']');
    buf_fini(&scratch);
}

static void
put_histograms(struct buf *out, const struct result_series *s)
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
put_series(struct buf *out, const struct stamps *stamps, const struct result_series *s)
{
    buf_reserve(out, s->nr * POINT_BYTES + 256);
    buf_c(out, "{\"metric\":");
    labels_json(s->labels, out);
    put_points(out, stamps, s);
    put_histograms(out, s);
    buf_byte(out, '}');
}

/* ---- slices of series, one buffer each */

struct slices {
    const struct query_result *r;
    struct stamps stamps;
    struct buf *bufs;
    size_t nr;
};

static void
put_slice(void *arg, size_t i)
{
    struct slices *s = arg;
    size_t from = s->r->series_nr * i / s->nr, to = s->r->series_nr * (i + 1) / s->nr;

    for (size_t at = from; at < to; at++) {
        if (at > 0)
            buf_byte(&s->bufs[i], ',');
        put_series(&s->bufs[i], &s->stamps, &s->r->series[at]);
    }
}

static size_t
slices_nr(const struct query_result *r, const struct pool *pool)
{
    size_t points = 0;

    for (size_t i = 0; i < r->series_nr; i++)
        points += r->series[i].nr;
    if (pool == NULL || points < PARALLEL_POINTS_MIN)
        return 1;
    return MAX(MIN(r->series_nr, (size_t)pool_threads(pool) * 2), (size_t)1);
}

static void
put_matrix(const struct query_result *r, const struct query *q, struct pool *pool, struct buf *out)
{
    struct slices s = { .r = r, .bufs = out, .nr = slices_nr(r, pool) };

    stamps_init(&s.stamps, r, q);
    if (s.nr == 1) {
        put_slice(&s, 0);
    } else {
        s.bufs = MEM_NEW_ARRAY(struct buf, s.nr);
        pool_run(pool, s.nr, put_slice, &s);
        for (size_t i = 0; i < s.nr; i++) {
            buf_str(out, buf_as_str(&s.bufs[i]));
            buf_fini(&s.bufs[i]);
        }
        mem_free(s.bufs);
    }
    mem_free(s.stamps.v);
}

/* ---- the other types */

static void
put_sample(struct buf *out, const struct result_series *s)
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

static void
put_single(struct buf *out, const struct query_result *r)
{
    json_timestamp(out, r->t_ms);
    buf_byte(out, ',');
    if (r->type == VALUE_SCALAR)
        json_value(out, r->scalar);
    else
        json_quote(out, r->string, true);
}

void
result_json(const struct query_result *r, const struct query *q, struct pool *pool, struct buf *out)
{
    buf_byte(out, '[');
    if (r->type == VALUE_SCALAR || r->type == VALUE_STRING) {
        put_single(out, r);
    } else if (r->type == VALUE_VECTOR) {
        for (size_t i = 0; i < r->series_nr; i++) {
            if (i > 0)
                buf_byte(out, ',');
            put_sample(out, &r->series[i]);
        }
    } else {
        put_matrix(r, q, pool, out);
    }
    buf_byte(out, ']');
}
