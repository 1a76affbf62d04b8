/* The delimited protobuf format: MetricFamily messages, each behind its length.
 *
 * One family is split into its metrics, one metric is decoded at a time, and a small machine turns
 * it into the entries that a text page would have: help, unit, type, then per metric one series, or
 * _count, _sum and a series per quantile or bucket, or a native histogram. p->series is the labels
 * joined by bytes that no UTF-8 text has, so that the page cache recognises it. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include "scrape/parse_protobuf.h"
#include "scrape/parse_nhcb.h"
#include "scrape/parse_priv.h"
#include "base/mem.h"
#include "base/proto.h"
#include "model/histogram_math.h"

enum family_type {
    TYPE_COUNTER,
    TYPE_GAUGE,
    TYPE_SUMMARY,
    TYPE_UNTYPED,
    TYPE_HISTOGRAM,
    TYPE_GAUGE_HISTOGRAM,
    TYPES_NR
};

enum place { AT_FAMILY, AT_HELP, AT_UNIT, AT_TYPE, AT_METRIC, AT_FIELDS, AT_CONVERTED };

/* Which of a summary's or classic histogram's series comes. */
enum { FIELD_COUNT = -2, FIELD_SUM = -1 };

struct bucket {
    double bound, count; /* a quantile and its value, too */
    struct bytes exemplar;
    bool has_exemplar;
};

struct metric {
    struct bytes *labels;
    size_t labels_nr, labels_cap;
    int64_t t_ms, st_ms;
    double value, count, sum;
    struct bytes exemplar; /* a counter's */
    bool has_exemplar;
    struct bucket *buckets; /* or quantiles */
    size_t buckets_nr, buckets_cap;
    struct bytes *exemplars; /* of a native histogram */
    size_t exemplars_nr, exemplars_cap;

    /* Native histogram. */
    uint64_t count_int, zero_count_int;
    double count_float, zero_count_float, zero_threshold;
    int32_t schema;
    struct side {
        struct histogram_span *spans;
        size_t spans_nr, spans_cap;
        int64_t *deltas;
        size_t deltas_nr, deltas_cap;
        double *counts;
        size_t counts_nr, counts_cap;
    } pos, neg;
};

struct protobuf_page {
    struct dec in;
    enum place place;

    struct str name, help, unit;
    uint64_t type;
    struct bytes *metrics;
    size_t metrics_nr, metrics_cap, metric;

    struct metric m;
    int field; /* FIELD_COUNT, FIELD_SUM, then the index of a quantile or bucket */
    bool last_field;
    bool is_native;      /* the entry at hand is a native histogram */
    bool classic_too;    /* its classic series follow */
    bool exemplar_given; /* of the series at hand */
    size_t exemplar;     /* next of a native histogram */
    struct arena arena;  /* labels and histogram of the entry at hand */
    struct labels labels;
    struct histogram histogram;
    struct buf series;
    struct nhcb_buckets nhcb;
};

struct protobuf_page *
protobuf_page_new(void)
{
    struct protobuf_page *g = MEM_NEW(struct protobuf_page);

    arena_init(&g->arena, SIZE_MAX);
    return g;
}

static void
side_fini(struct side *s)
{
    free(s->spans);
    free(s->deltas);
    free(s->counts);
}

void
protobuf_page_free(struct protobuf_page *g)
{
    if (g == NULL)
        return;
    free(g->metrics);
    free(g->m.labels);
    free(g->m.buckets);
    free(g->m.exemplars);
    side_fini(&g->m.pos);
    side_fini(&g->m.neg);
    buf_fini(&g->series);
    nhcb_buckets_fini(&g->nhcb);
    arena_fini(&g->arena);
    free(g);
}

void
protobuf_page_start(struct protobuf_page *g, struct bytes page)
{
    g->in = dec_of(page);
    g->place = AT_FAMILY;
    g->metrics_nr = g->metric = 0;
}

/* ---- decoding */

static int64_t
timestamp_ms(struct bytes b)
{
    struct proto p = proto_of(b);
    int64_t seconds = 0, nanos = 0;

    while (proto_next(&p)) {
        if (p.field == 1)
            seconds = proto_int(&p);
        else if (p.field == 2)
            nanos = (int32_t)proto_int(&p);
    }
    if (seconds > INT64_MAX / 1000 - 1 || seconds < INT64_MIN / 1000 + 1)
        return 0;
    return seconds * 1000 + nanos / 1000000;
}

static bool
decode_bucket(struct bytes b, bool quantile, struct bucket *out, struct error *err)
{
    struct proto p = proto_of(b);
    uint64_t count = 0;

    *out = (struct bucket){ 0 };
    while (proto_next(&p)) {
        if (quantile && p.field == 1)
            out->bound = proto_double(&p);
        else if (quantile && p.field == 2)
            out->count = proto_double(&p);
        else if (!quantile && p.field == 1)
            count = proto_uint(&p);
        else if (!quantile && p.field == 2)
            out->bound = proto_double(&p);
        else if (!quantile && p.field == 3) {
            out->exemplar = proto_bytes(&p);
            out->has_exemplar = true;
        } else if (!quantile && p.field == 4)
            out->count = proto_double(&p);
    }
    if (!quantile && out->count == 0)
        out->count = (double)count;
    return proto_end(&p, err);
}

static bool
add_bucket(struct metric *m, struct bytes b, bool quantile, struct error *err)
{
    MEM_GROW(m->buckets, m->buckets_nr + 1, &m->buckets_cap);
    return decode_bucket(b, quantile, &m->buckets[m->buckets_nr++], err);
}

static bool
add_span(struct side *s, struct bytes b, struct error *err)
{
    struct histogram_span span = { 0 };
    struct proto p = proto_of(b);

    while (proto_next(&p)) {
        if (p.field == 1)
            span.offset = (int32_t)proto_sint(&p);
        else if (p.field == 2)
            span.length = (uint32_t)proto_uint(&p);
    }
    MEM_GROW(s->spans, s->spans_nr + 1, &s->spans_cap);
    s->spans[s->spans_nr++] = span;
    return proto_end(&p, err);
}

static void
add_deltas(struct side *s, struct proto *p)
{
    struct dec d = proto_packed(p);

    while (dec_left(&d) != 0) {
        MEM_GROW(s->deltas, s->deltas_nr + 1, &s->deltas_cap);
        s->deltas[s->deltas_nr++] = proto_packed_sint(&d);
    }
    p->d.bad |= d.bad;
}

static void
add_counts(struct side *s, struct proto *p)
{
    struct dec d = proto_packed(p);

    while (dec_left(&d) != 0) {
        MEM_GROW(s->counts, s->counts_nr + 1, &s->counts_cap);
        s->counts[s->counts_nr++] = proto_packed_double(&d);
    }
    p->d.bad |= d.bad;
}

/* The fields that only native histograms have; false: err is set. */
static bool
native_field(struct metric *m, struct proto *p, struct error *err)
{
    struct side *side = p->field <= 11 ? &m->neg : &m->pos;

    switch (p->field) {
    case 5:
        m->schema = (int32_t)proto_sint(p);
        return true;
    case 6:
        m->zero_threshold = proto_double(p);
        return true;
    case 7:
        m->zero_count_int = proto_uint(p);
        return true;
    case 8:
        m->zero_count_float = proto_double(p);
        return true;
    case 9:
    case 12:
        return add_span(side, proto_bytes(p), err);
    case 10:
    case 13:
        add_deltas(side, p);
        return true;
    case 11:
    case 14:
        add_counts(side, p);
        return true;
    case 16:
        MEM_GROW(m->exemplars, m->exemplars_nr + 1, &m->exemplars_cap);
        m->exemplars[m->exemplars_nr++] = proto_bytes(p);
        return true;
    }
    return true;
}

static bool
decode_histogram(struct metric *m, struct bytes b, struct error *err)
{
    struct proto p = proto_of(b);

    while (proto_next(&p)) {
        bool ok = true;

        switch (p.field) {
        case 1:
            m->count_int = proto_uint(&p);
            break;
        case 2:
            m->sum = proto_double(&p);
            break;
        case 3:
            ok = add_bucket(m, proto_bytes(&p), false, err);
            break;
        case 4:
            m->count_float = proto_double(&p);
            break;
        case 15:
            m->st_ms = timestamp_ms(proto_bytes(&p));
            break;
        default:
            ok = native_field(m, &p, err);
        }
        if (!ok)
            return false;
    }
    m->count = m->count_float != 0 ? m->count_float : (double)m->count_int;
    return proto_end(&p, err);
}

static bool
decode_summary(struct metric *m, struct bytes b, struct error *err)
{
    struct proto p = proto_of(b);

    while (proto_next(&p)) {
        if (p.field == 1)
            m->count = (double)proto_uint(&p);
        else if (p.field == 2)
            m->sum = proto_double(&p);
        else if (p.field == 3) {
            if (!add_bucket(m, proto_bytes(&p), true, err))
                return false;
        } else if (p.field == 4)
            m->st_ms = timestamp_ms(proto_bytes(&p));
    }
    return proto_end(&p, err);
}

/* Counter, gauge, untyped. */
static bool
decode_value(struct metric *m, struct bytes b, bool counter, struct error *err)
{
    struct proto p = proto_of(b);

    while (proto_next(&p)) {
        if (p.field == 1)
            m->value = proto_double(&p);
        else if (counter && p.field == 2) {
            m->exemplar = proto_bytes(&p);
            m->has_exemplar = true;
        } else if (counter && p.field == 3)
            m->st_ms = timestamp_ms(proto_bytes(&p));
    }
    return proto_end(&p, err);
}

static void
metric_reset(struct metric *m)
{
    m->labels_nr = m->buckets_nr = m->exemplars_nr = 0;
    m->t_ms = m->st_ms = 0;
    m->value = m->count = m->sum = 0;
    m->has_exemplar = false;
    m->count_int = m->zero_count_int = 0;
    m->count_float = m->zero_count_float = m->zero_threshold = 0;
    m->schema = 0;
    m->pos.spans_nr = m->pos.deltas_nr = m->pos.counts_nr = 0;
    m->neg.spans_nr = m->neg.deltas_nr = m->neg.counts_nr = 0;
}

/* The message of a metric that belongs to its family's type. */
static bool
decode_kind(struct metric *m, uint64_t type, uint32_t field, struct bytes b, struct error *err)
{
    static const uint32_t fields[TYPES_NR] = { 3, 2, 4, 5, 7, 7 };

    if (fields[type] != field)
        return true;
    switch ((enum family_type)type) {
    case TYPE_SUMMARY:
        return decode_summary(m, b, err);
    case TYPE_HISTOGRAM:
    case TYPE_GAUGE_HISTOGRAM:
        return decode_histogram(m, b, err);
    default:
        return decode_value(m, b, type == TYPE_COUNTER, err);
    }
}

static bool
decode_metric(struct protobuf_page *g, struct bytes b, struct error *err)
{
    struct metric *m = &g->m;
    struct proto p = proto_of(b);

    metric_reset(m);
    while (proto_next(&p)) {
        if (p.field == 1) {
            MEM_GROW(m->labels, m->labels_nr + 1, &m->labels_cap);
            m->labels[m->labels_nr++] = proto_bytes(&p);
        } else if (p.field == 6) {
            m->t_ms = proto_int(&p);
        } else if (p.field <= 7) {
            if (!decode_kind(m, g->type, p.field, proto_bytes(&p), err))
                return false;
        }
    }
    return proto_end(&p, err);
}

static bool
decode_family(struct protobuf_page *g, struct bytes b, struct error *err)
{
    struct proto p = proto_of(b);

    g->name = g->help = g->unit = STR_NONE;
    g->type = TYPE_COUNTER;
    g->metrics_nr = g->metric = 0;
    while (proto_next(&p)) {
        if (p.field == 1)
            g->name = proto_str(&p);
        else if (p.field == 2)
            g->help = proto_str(&p);
        else if (p.field == 3)
            g->type = proto_uint(&p);
        else if (p.field == 4) {
            MEM_GROW(g->metrics, g->metrics_nr + 1, &g->metrics_cap);
            g->metrics[g->metrics_nr++] = proto_bytes(&p);
        } else if (p.field == 5)
            g->unit = proto_str(&p);
    }
    return proto_end(&p, err);
}

static bool
check_family(const struct protobuf_page *g, struct error *err)
{
    struct buf name = { 0 };
    bool ok = true;

    quote_go(g->name, &name);
    if (!label_name_valid(g->name))
        ok = error_set(err, ERR_CORRUPT, "invalid metric name: %.*s", STR_ARG(g->name));
    else if (!str_utf8_valid(g->help))
        ok = error_set(err, ERR_CORRUPT, "invalid help for metric %s: %.*s", buf_z(&name),
                       STR_ARG(g->help));
    else if (g->type >= TYPES_NR)
        ok = error_set(err, ERR_CORRUPT, "unknown metric type for metric %s: %" PRIu64,
                       buf_z(&name), g->type);
    buf_fini(&name);
    return ok;
}

/* The next family with metrics. False: the end, or an error. */
static bool
next_family(struct protobuf_page *g, struct error *err)
{
    do {
        uint64_t n;

        if (dec_left(&g->in) == 0)
            return false;
        n = dec_uvarint(&g->in);
        if (!dec_ok(&g->in))
            return error_set(err, ERR_CORRUPT, "clientpb: invalid varint encountered");
        if (n > dec_left(&g->in))
            return error_set(err, ERR_CORRUPT,
                             "clientpb: insufficient length of buffer, expected at least %" PRIu64
                             " bytes, got %zu bytes",
                             n, dec_left(&g->in));
        if (!decode_family(g, dec_bytes(&g->in, (size_t)n), err))
            return false;
    } while (g->metrics_nr == 0);
    return check_family(g, err);
}

/* ---- entries */

static bool
is_histogram(const struct protobuf_page *g)
{
    return g->type == TYPE_HISTOGRAM || g->type == TYPE_GAUGE_HISTOGRAM;
}

static bool
is_native(const struct page_parser *p)
{
    const struct metric *m = &p->protobuf->m;

    return is_histogram(p->protobuf) && !p->options.ignore_native_histograms &&
           (m->pos.spans_nr != 0 || m->neg.spans_nr != 0 || m->zero_threshold > 0 ||
            m->zero_count_int > 0);
}

static enum metadata_type
metadata_of(uint64_t type)
{
    static const enum metadata_type types[TYPES_NR] = {
        METADATA_COUNTER, METADATA_GAUGE,     METADATA_SUMMARY,
        METADATA_UNKNOWN, METADATA_HISTOGRAM, METADATA_GAUGEHISTOGRAM
    };
    return types[type];
}

static struct str
series_name(struct protobuf_page *g)
{
    if (g->is_native || (!is_histogram(g) && g->type != TYPE_SUMMARY))
        return g->name;
    if (g->field == FIELD_COUNT)
        return arena_printf(&g->arena, "%.*s_count", STR_ARG(g->name));
    if (g->field == FIELD_SUM)
        return arena_printf(&g->arena, "%.*s_sum", STR_ARG(g->name));
    return g->type == TYPE_SUMMARY ? g->name
                                   : arena_printf(&g->arena, "%.*s_bucket", STR_ARG(g->name));
}

/* le or quantile of the series at hand, and whether it is the last one. */
static bool
field_label(struct protobuf_page *g, struct label *l)
{
    const struct metric *m = &g->m;
    size_t i = (size_t)g->field;
    double bound;

    if (g->is_native || g->field < 0 || (!is_histogram(g) && g->type != TYPE_SUMMARY))
        return false;
    bound = i < m->buckets_nr ? m->buckets[i].bound : INFINITY;
    *l = (struct label){ is_histogram(g) ? LABEL_BUCKET : LABEL_QUANTILE,
                         parse_float_text(bound, &g->arena) };
    g->last_field = is_histogram(g) ? isinf(bound) && bound > 0 : i + 1 >= m->buckets_nr;
    return true;
}

static bool
decode_label(struct bytes b, struct label *l, struct error *err)
{
    struct proto p = proto_of(b);

    *l = (struct label){ STR(""), STR("") };
    while (proto_next(&p)) {
        if (p.field == 1) {
            l->name = proto_str(&p);
            if (!label_name_valid(l->name))
                return error_set(err, ERR_CORRUPT, "invalid label name: %.*s", STR_ARG(l->name));
        } else if (p.field == 2) {
            l->value = proto_str(&p);
            if (!str_utf8_valid(l->value))
                return error_set(err, ERR_CORRUPT, "invalid label value: %.*s", STR_ARG(l->value));
        }
    }
    return proto_end(&p, err);
}

static int
by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* The text that stands for the series: name, then names and values behind 0xff bytes. */
static void
series_text(struct protobuf_page *g)
{
    buf_reset(&g->series);
    for (size_t i = 0; i < g->labels.nr; i++) {
        if (!str_eq(g->labels.v[i].name, LABEL_NAME)) {
            buf_byte(&g->series, 0xff);
            buf_str(&g->series, g->labels.v[i].name);
            buf_byte(&g->series, 0xff);
        }
        buf_str(&g->series, g->labels.v[i].value);
    }
}

static bool
series_labels(struct page_parser *p, struct error *err)
{
    struct protobuf_page *g = p->protobuf;
    struct label *v = ARENA_NEW_ARRAY(&g->arena, struct label, g->m.labels_nr + 4);
    struct str name = series_name(g);
    size_t nr = parse_family_labels(p, name, v);

    for (size_t i = 0; i < g->m.labels_nr; i++) {
        if (!decode_label(g->m.labels[i], &v[nr], err))
            return false;
        nr += !parse_label_overridden(p, v[nr].name, name);
    }
    nr += field_label(g, &v[nr]);
    qsort(v, nr, sizeof *v, by_name);
    g->labels = (struct labels){ v, nr };
    series_text(g);
    p->series = buf_as_str(&g->series);
    p->t_ms = g->m.t_ms;
    p->has_t = g->m.t_ms != 0;
    return true;
}

static bool
check_side(const struct protobuf_page *g, const char *name, const struct side *s, size_t buckets_nr,
           struct error *err)
{
    struct buf quoted = { 0 };
    uint64_t sum = 0;

    for (size_t i = 0; i < s->spans_nr; i++)
        sum += s->spans[i].length;
    if (sum == buckets_nr)
        return true;
    quote_go(g->name, &quoted);
    error_set(err, ERR_CORRUPT,
              "histogram %s: %s side: spans require %" PRIu64 " buckets, have %zu", buf_z(&quoted),
              name, sum, buckets_nr);
    buf_fini(&quoted);
    return false;
}

static struct histogram_side
side_of(const struct side *s, bool is_float)
{
    struct histogram_side out = { .spans = s->spans, .spans_nr = s->spans_nr };

    out.buckets_nr = is_float ? s->counts_nr : s->deltas_nr;
    if (is_float)
        out.counts = s->counts;
    else
        out.deltas = s->deltas;
    return out;
}

static enum parse_entry
native_entry(struct page_parser *p, struct error *err)
{
    struct protobuf_page *g = p->protobuf;
    const struct metric *m = &g->m;
    bool is_float = m->count_float > 0 || m->zero_count_float > 0;

    g->is_native = true;
    g->exemplar = 0;
    g->classic_too = p->options.keep_classic_histograms && m->buckets_nr != 0;
    if (!check_side(g, "positive", &m->pos, is_float ? m->pos.counts_nr : m->pos.deltas_nr, err) ||
        !check_side(g, "negative", &m->neg, is_float ? m->neg.counts_nr : m->neg.deltas_nr, err) ||
        !series_labels(p, err))
        return PARSE_ERROR;
    g->histogram =
        (struct histogram){ .hint = g->type == TYPE_GAUGE_HISTOGRAM ? HINT_GAUGE : HINT_UNKNOWN,
                            .schema = m->schema,
                            .is_int = !is_float,
                            .zero_threshold = m->zero_threshold,
                            .zero_count =
                                is_float ? m->zero_count_float : (double)m->zero_count_int,
                            .count = is_float ? m->count_float : (double)m->count_int,
                            .zero_count_int = is_float ? 0 : m->zero_count_int,
                            .count_int = is_float ? 0 : m->count_int,
                            .sum = m->sum,
                            .pos = side_of(&m->pos, is_float),
                            .neg = side_of(&m->neg, is_float) };
    histogram_compact(&g->histogram, 0, &g->arena);
    p->histogram = &g->histogram;
    return PARSE_HISTOGRAM;
}

static double
field_value(const struct protobuf_page *g)
{
    const struct metric *m = &g->m;

    if (g->field == FIELD_COUNT)
        return m->count;
    if (g->field == FIELD_SUM)
        return m->sum;
    return (size_t)g->field < m->buckets_nr ? m->buckets[g->field].count : m->count;
}

/* The classic histogram at hand as one with custom buckets. */
static enum parse_entry
converted_entry(struct page_parser *p, struct error *err)
{
    struct protobuf_page *g = p->protobuf;
    const struct metric *m = &g->m;

    g->place = AT_METRIC;
    g->is_native = true;
    g->exemplar = 0;
    nhcb_buckets_reset(&g->nhcb);
    nhcb_set_count(&g->nhcb, m->count);
    g->nhcb.sum = m->sum;
    for (size_t i = 0; i < m->buckets_nr; i++)
        nhcb_set_bucket(&g->nhcb, m->buckets[i].bound, m->buckets[i].count);
    if (!nhcb_convert(&g->nhcb, &g->arena, &g->histogram, err) || !series_labels(p, err))
        return PARSE_ERROR;
    if (g->type == TYPE_GAUGE_HISTOGRAM)
        g->histogram.hint = HINT_GAUGE;
    p->histogram = &g->histogram;
    return PARSE_HISTOGRAM;
}

/* Whether the metric at hand is a classic histogram to be converted. */
static bool
is_converted(const struct page_parser *p)
{
    return p->options.convert_classic_histograms && is_histogram(p->protobuf) && !is_native(p);
}

/* _count, _sum, then quantiles or buckets; the last one ends the metric. */
static enum parse_entry
field_entry(struct page_parser *p, struct error *err)
{
    struct protobuf_page *g = p->protobuf;

    g->is_native = false;
    p->histogram = NULL;
    g->last_field = g->type == TYPE_SUMMARY && g->field == FIELD_SUM && g->m.buckets_nr == 0;
    if (!series_labels(p, err))
        return PARSE_ERROR;
    p->value = field_value(g);
    g->place = !g->last_field ? AT_FIELDS : is_converted(p) ? AT_CONVERTED : AT_METRIC;
    return PARSE_SERIES;
}

static enum parse_entry
metric_entry(struct page_parser *p, struct error *err)
{
    struct protobuf_page *g = p->protobuf;

    if (!decode_metric(g, g->metrics[g->metric++], err))
        return PARSE_ERROR;
    g->field = FIELD_COUNT;
    if (is_native(p)) {
        enum parse_entry e = native_entry(p, err);

        g->place = g->classic_too ? AT_FIELDS : AT_METRIC;
        g->field = FIELD_COUNT - 1;
        return e;
    }
    if (is_converted(p) && !p->options.keep_classic_histograms)
        return converted_entry(p, err);
    if (is_histogram(g) || g->type == TYPE_SUMMARY)
        return field_entry(p, err);
    g->is_native = false;
    p->histogram = NULL;
    if (!series_labels(p, err))
        return PARSE_ERROR;
    p->value = g->m.value;
    return PARSE_SERIES;
}

/* help, unit and type of the family at hand. */
static enum parse_entry
family_entry(struct page_parser *p, enum place next, enum parse_entry entry)
{
    struct protobuf_page *g = p->protobuf;

    p->name = g->name;
    p->text = entry == PARSE_HELP ? g->help : entry == PARSE_UNIT ? g->unit : STR_NONE;
    p->unit = g->unit;
    p->type = metadata_of(g->type);
    buf_reset(&g->series);
    buf_printf(&g->series, "%d%d", (int)entry, (int)p->type);
    buf_str(&g->series, g->name);
    buf_byte(&g->series, 0xff);
    buf_str(&g->series, p->text);
    p->series = buf_as_str(&g->series);
    g->place = next;
    return entry;
}

enum parse_entry
parse_protobuf_next(struct page_parser *p, struct error *err)
{
    struct protobuf_page *g = p->protobuf;

    g->exemplar_given = false;
    arena_rewind(&g->arena, (struct arena_mark){ 0 });
    if (g->place == AT_METRIC && g->metric == g->metrics_nr)
        g->place = AT_FAMILY;
    switch (g->place) {
    case AT_FAMILY:
        if (!next_family(g, err))
            return err->kind == ERR_NONE ? PARSE_END : PARSE_ERROR;
        return family_entry(p, AT_HELP, PARSE_HELP);
    case AT_HELP:
        if (g->unit.n != 0)
            return family_entry(p, AT_UNIT, PARSE_UNIT);
        return family_entry(p, AT_METRIC, PARSE_TYPE);
    case AT_UNIT:
    case AT_TYPE:
        return family_entry(p, AT_METRIC, PARSE_TYPE);
    case AT_METRIC:
        return metric_entry(p, err);
    case AT_CONVERTED:
        return converted_entry(p, err);
    case AT_FIELDS:
        g->field++;
        return field_entry(p, err);
    }
    return PARSE_END;
}

struct labels
parse_protobuf_labels(struct page_parser *p, struct arena *scratch)
{
    (void)scratch; /* they live until the next entry as it is */
    return p->protobuf->labels;
}

static bool
exemplar_time(struct bytes b)
{
    struct proto p = proto_of(b);
    bool has = false;

    while (proto_next(&p))
        has |= p.field == 3;
    return has;
}

static void
decode_exemplar(struct bytes b, struct exemplar *e, struct arena *scratch)
{
    struct label *v = ARENA_NEW_ARRAY(scratch, struct label, b.n / 2 + 1);
    struct error err = { 0 };
    struct proto p = proto_of(b);
    size_t nr = 0;

    *e = (struct exemplar){ 0 };
    while (proto_next(&p)) {
        if (p.field == 1) {
            nr += decode_label(proto_bytes(&p), &v[nr], &err);
        } else if (p.field == 2) {
            e->v = proto_double(&p);
        } else if (p.field == 3) {
            e->t_ms = timestamp_ms(proto_bytes(&p));
            e->has_t = true;
        }
    }
    qsort(v, nr, sizeof *v, by_name);
    e->labels = (struct labels){ v, nr };
    error_clear(&err);
}

/* A native histogram's own, or those of its classic buckets; only ones with a time. */
static bool
native_exemplar(struct protobuf_page *g, struct exemplar *e, struct arena *scratch)
{
    const struct metric *m = &g->m;
    size_t nr = m->exemplars_nr != 0 ? m->exemplars_nr : m->buckets_nr;

    while (g->exemplar < nr) {
        size_t i = g->exemplar++;
        bool has = m->exemplars_nr != 0 || m->buckets[i].has_exemplar;
        struct bytes b = m->exemplars_nr != 0 ? m->exemplars[i] : m->buckets[i].exemplar;

        if (!has || !exemplar_time(b))
            continue;
        decode_exemplar(b, e, scratch);
        return true;
    }
    return false;
}

bool
parse_protobuf_exemplar(struct page_parser *p, struct exemplar *e, struct arena *scratch)
{
    struct protobuf_page *g = p->protobuf;
    const struct metric *m = &g->m;

    if (g->is_native)
        return native_exemplar(g, e, scratch);
    if (g->exemplar_given)
        return false;
    g->exemplar_given = true;
    if (g->type == TYPE_COUNTER && m->has_exemplar) {
        decode_exemplar(m->exemplar, e, scratch);
        return true;
    }
    if (is_histogram(g) && g->field >= 0 && (size_t)g->field < m->buckets_nr &&
        m->buckets[g->field].has_exemplar) {
        decode_exemplar(m->buckets[g->field].exemplar, e, scratch);
        return true;
    }
    return false;
}

int64_t
parse_protobuf_start_timestamp(struct page_parser *p)
{
    return p->protobuf->m.st_ms;
}
