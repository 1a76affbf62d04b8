/* /federate: the newest sample of each selected series within the lookback, as exposition text; and
 * /metrics. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "http/http_priv.h"
#include "model/histogram_math.h"

/* How names outside the legacy alphabet are written. */
enum escaping { ESCAPE_UNDERSCORES, ESCAPE_NONE };

struct federated {
    struct labels labels;
    int64_t t_ms;
    double v;
    const struct histogram *h;
};

struct federation {
    struct federated *v;
    size_t nr, cap;
    int64_t min_ms, max_ms;
    struct labels external;
    enum escaping escaping;
};

/* ---- reading */

static bool
is_stale_sample(const struct sample_buf *b, size_t i)
{
    return is_stale(b->h != NULL && b->h[i] != NULL ? b->h[i]->sum : b->v[i]);
}

static void
take_newest(struct call *c, struct federation *f, const struct series_set *set, uint32_t i,
            const struct sample_buf *b)
{
    size_t last = b->nr - 1;

    if (b->nr == 0 || is_stale_sample(b, last))
        return;
    ARENA_GROW(call_arena(c), f->v, f->nr, f->nr + 1, &f->cap);
    f->v[f->nr++] = (struct federated){
        .labels = series_labels(set, i, call_arena(c)),
        .t_ms = b->t_ms[last],
        .v = b->v[last],
        .h = b->h == NULL || b->h[last] == NULL ? NULL
                                                : histogram_to_float(b->h[last], call_arena(c)),
    };
}

static bool
read_set(struct call *c, struct federation *f, struct querier *q,
         const struct matcher_set *matchers, struct error *err)
{
    struct select_hints hints = { .min_ms = f->min_ms, .max_ms = f->max_ms, .sorted = true };
    struct series_set *set;
    struct sample_buf b;
    struct arena scratch;
    bool ok = querier_select(q, matchers->v, matchers->nr, &hints, &set, err);

    if (!ok)
        return false;
    arena_init(&scratch, SIZE_MAX);
    sample_buf_init(&b, &scratch);
    for (uint32_t i = 0; ok && i < set->nr; i++) {
        sample_buf_reset(&b);
        ok = series_read(set, i, f->min_ms, f->max_ms, &b, err);
        if (ok)
            take_newest(c, f, set, i, &b);
    }
    sample_buf_fini(&b);
    arena_fini(&scratch);
    return ok;
}

static int
cmp_name(const void *a, const void *b)
{
    const struct federated *x = a, *y = b;
    int d = str_cmp(labels_get(x->labels, LABEL_NAME), labels_get(y->labels, LABEL_NAME));

    return d != 0 ? d : labels_cmp(x->labels, y->labels);
}

/* A series that several selectors found counts once. */
static void
sort_unique(struct federation *f)
{
    size_t nr = 0;

    if (f->nr > 0)
        qsort(f->v, f->nr, sizeof f->v[0], cmp_name);
    for (size_t i = 0; i < f->nr; i++)
        if (nr == 0 || !labels_eq(f->v[nr - 1].labels, f->v[i].labels))
            f->v[nr++] = f->v[i];
    f->nr = nr;
}

/* ---- writing */

static void
put_name(const struct federation *f, struct buf *out, struct str name, bool colon)
{
    bool first = true;

    if (f->escaping == ESCAPE_NONE) {
        buf_str(out, name);
        return;
    }
    for (size_t i = 0; i < name.n; first = false) {
        uint32_t rune;
        size_t n = str_rune(str_skip(name, i), &rune);
        char ch = name.p[i];
        bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' ||
                      (colon && ch == ':') || (!first && ch >= '0' && ch <= '9');
        buf_byte(out, letter ? (uint8_t)ch : '_');
        i += n;
    }
}

static void
put_escaped(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' || s.p[i] == '"' || s.p[i] == '\n') {
            buf_byte(out, '\\');
            buf_byte(out, s.p[i] == '\n' ? 'n' : (uint8_t)s.p[i]);
        } else {
            buf_byte(out, (uint8_t)s.p[i]);
        }
    }
}

static void
put_pair(const struct federation *f, struct buf *out, bool *first, struct str name,
         struct str value)
{
    buf_byte(out, *first ? '{' : ',');
    *first = false;
    if (f->escaping == ESCAPE_NONE && !label_name_legacy(name)) {
        buf_byte(out, '"');
        put_escaped(out, name);
        buf_byte(out, '"');
    } else {
        put_name(f, out, name, false);
    }
    buf_c(out, "=\"");
    put_escaped(out, value);
    buf_byte(out, '"');
}

static void
put_value(struct buf *out, double v)
{
    out->n += decimal_format_general(v, (char *)buf_reserve(out, DECIMAL_BYTES_MAX));
}

/* name_suffix{labels,external labels,extra} value time. An instance label is always there, so that
 * the scraper adds none. */
static void
put_line(const struct federation *f, struct buf *out, const struct federated *s, const char *suffix,
         struct str extra, struct str extra_value, double v)
{
    struct str name = labels_get(s->labels, LABEL_NAME);
    bool first = true, quoted = f->escaping == ESCAPE_NONE && !metric_name_legacy(name);

    if (!quoted) {
        put_name(f, out, name, true);
        buf_c(out, suffix);
    } else {
        buf_c(out, "{\"");
        put_escaped(out, name);
        buf_printf(out, "%s\"", suffix);
        first = false;
    }
    for (size_t i = 0; i < s->labels.nr; i++)
        if (!str_eq(s->labels.v[i].name, LABEL_NAME))
            put_pair(f, out, &first, s->labels.v[i].name, s->labels.v[i].value);
    for (size_t i = 0; i < f->external.nr; i++)
        if (!labels_has(s->labels, f->external.v[i].name))
            put_pair(f, out, &first, f->external.v[i].name, f->external.v[i].value);
    if (extra.n != 0)
        put_pair(f, out, &first, extra, extra_value);
    if (!first)
        buf_byte(out, '}');
    buf_byte(out, ' ');
    put_value(out, v);
    buf_printf(out, " %" PRId64 "\n", s->t_ms);
}

/* Custom buckets are classic ones by another name: cumulative counts under their upper bounds. */
static void
put_histogram(const struct federation *f, struct buf *out, const struct federated *s)
{
    struct histogram_walk w;
    double sum = 0;
    char le[DECIMAL_BYTES_MAX];
    bool more;

    histogram_walk_init(&w, s->h, true);
    more = histogram_walk_step(&w);
    for (size_t i = 0; i < s->h->custom_values_nr; i++) {
        while (more && w.at.index <= (int32_t)i) {
            sum += w.at.count;
            more = histogram_walk_step(&w);
        }
        size_t n = decimal_format_general(s->h->custom_values[i], le);
        put_line(f, out, s, "_bucket", LABEL_BUCKET, (struct str){ le, n }, sum);
    }
    put_line(f, out, s, "_bucket", LABEL_BUCKET, STR("+Inf"), s->h->count);
    put_line(f, out, s, "_sum", STR_NONE, STR_NONE, s->h->sum);
    put_line(f, out, s, "_count", STR_NONE, STR_NONE, s->h->count);
}

static void
put_type(const struct federation *f, struct buf *out, const struct federated *s)
{
    struct str name = labels_get(s->labels, LABEL_NAME);
    bool quoted = f->escaping == ESCAPE_NONE && !metric_name_legacy(name);

    buf_c(out, quoted ? "# TYPE \"" : "# TYPE ");
    put_name(f, out, name, true);
    buf_c(out, quoted ? "\" " : " ");
    buf_c(out, s->h == NULL ? "untyped\n" : "histogram\n");
}

static void
write_all(const struct federation *f, struct buf *out)
{
    struct str last = STR_NONE;
    bool last_histogram = false;

    for (size_t i = 0; i < f->nr; i++) {
        const struct federated *s = &f->v[i];
        struct str name = labels_get(s->labels, LABEL_NAME);
        /* Exponential histograms have no text form. */
        if (name.n == 0 || (s->h != NULL && !histogram_is_custom(s->h)))
            continue;
        if (!str_eq(name, last) || last_histogram != (s->h != NULL))
            put_type(f, out, s);
        last = name;
        last_histogram = s->h != NULL;
        if (s->h != NULL)
            put_histogram(f, out, s);
        else
            put_line(f, out, s, "", STR_NONE, STR_NONE, s->v);
    }
}

/* ---- the calls */

static struct labels
external_labels(struct call *c)
{
    struct labels_builder b;

    labels_builder_init(&b);
    lock_take(&c->h->lock);
    labels_builder_reset(&b, c->h->config.external_labels);
    struct labels ls = labels_builder_finish(&b, call_arena(c));
    lock_release(&c->h->lock);
    labels_builder_fini(&b);
    if (labels_has(ls, LABEL_INSTANCE))
        return ls;
    /* An empty value, which a builder would not keep. */
    struct label *v = ARENA_NEW_ARRAY(call_arena(c), struct label, ls.nr + 1);
    size_t nr = 0;
    for (size_t i = 0; i < ls.nr && str_cmp(ls.v[i].name, LABEL_INSTANCE) < 0; i++)
        v[nr++] = ls.v[i];
    v[nr++] = (struct label){ LABEL_INSTANCE, STR("") };
    for (size_t i = nr - 1; i < ls.nr; i++)
        v[nr++] = ls.v[i];
    return (struct labels){ v, nr };
}

static enum escaping
escaping_of(struct call *c)
{
    struct str accept = http_request_header(c->req, "Accept");

    return accept.n != 0 && memmem(accept.p, accept.n, "escaping=allow-utf-8", 20) != NULL
               ? ESCAPE_NONE
               : ESCAPE_UNDERSCORES;
}

static void
text_header(struct call *c, enum escaping escaping)
{
    http_response_header(
        c->resp, STR("Content-Type"),
        escaping == ESCAPE_NONE
            ? STR("text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8")
            : STR("text/plain; version=0.0.4; charset=utf-8; escaping=underscores"));
}

static bool
federate(struct call *c, const struct matcher_sets *sets, struct federation *f, struct error *err)
{
    struct querier *q;
    bool ok = true;

    if (!querier_open(c->h->deps.queryable, f->min_ms, f->max_ms, &q, err))
        return false;
    for (size_t i = 0; ok && i < sets->nr; i++)
        ok = read_set(c, f, q, &sets->v[i], err);
    if (ok) {
        sort_unique(f);
        write_all(f, &c->resp->body);
    }
    querier_close(q);
    return ok;
}

/* As call_matchers() but without asking for a condition that refuses "". */
static bool
federate_matchers(struct call *c, struct matcher_sets *sets, struct error *err)
{
    size_t at = 0, cap = 0;
    struct str text;

    while (http_param_each(c->req, "match[]", &at, &text)) {
        ARENA_GROW(call_arena(c), sets->v, sets->nr, sets->nr + 1, &cap);
        if (!promql_parse_selector(call_arena(c), text, &c->h->deps.parse, &sets->v[sets->nr].v,
                                   &sets->v[sets->nr].nr, err))
            return false;
        sets->nr++;
    }
    return true;
}

void
raw_federate(struct call *c)
{
    struct matcher_sets sets = { 0 };
    struct error err = { 0 };
    int64_t now_ms = clock_now_ms(c->h->deps.clock);
    int64_t lookback_ms =
        c->h->deps.engine == NULL ? 300000 : engine_lookback_ms(c->h->deps.engine);
    struct federation f = { .min_ms = now_ms - lookback_ms,
                            .max_ms = now_ms,
                            .external = external_labels(c),
                            .escaping = escaping_of(c) };

    c->resp->status = 200;
    if (c->req->params_error.n != 0) {
        call_error_text(c, 400,
                        arena_printf(call_arena(c), "error parsing form values: %.*s",
                                     STR_ARG(c->req->params_error)));
    } else if (!federate_matchers(c, &sets, &err)) {
        call_error_text(c, 400, arena_printf(call_arena(c), "%s", error_text(&err)));
    } else if (c->h->deps.queryable != NULL && !federate(c, &sets, &f, &err)) {
        http_metrics_inc(c->h->metrics.federation_errors);
        call_error_text(c, 500, arena_printf(call_arena(c), "%s", error_text(&err)));
    } else {
        text_header(c, f.escaping);
    }
    matcher_sets_fini(&sets);
    error_clear(&err);
}

void
raw_metrics(struct call *c)
{
    struct str accept = http_request_header(c->req, "Accept");
    int64_t now_ns = clock_monotonic_ns(c->h->deps.clock);
    bool proto = accept.n != 0 &&
                 memmem(accept.p, accept.n, "application/vnd.google.protobuf", 31) != NULL &&
                 memmem(accept.p, accept.n, "encoding=delimited", 18) != NULL;

    c->resp->status = 200;
    if (c->h->deps.metrics == NULL) {
        text_header(c, ESCAPE_UNDERSCORES);
        return;
    }
    metric_add(c->h->metrics.scrapes_in_flight, 1);
    if (!proto) {
        text_header(c, escaping_of(c));
        metrics_write_text(c->h->deps.metrics, &c->resp->body, now_ns);
        metric_add(c->h->metrics.scrapes_in_flight, -1);
        return;
    }
    http_response_header(
        c->resp, STR("Content-Type"),
        STR("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
            "encoding=delimited; escaping=underscores"));
    metrics_write_protobuf(c->h->deps.metrics, &c->resp->body, now_ns);
    metric_add(c->h->metrics.scrapes_in_flight, -1);
}
