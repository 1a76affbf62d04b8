/* Facts of the layouts that are easy to miss: reference deltas of version 1 records are signed and
 * relative to the first entry, those of version 2 relative to the previous one; the first entry of
 * version 2 has no delta at all. Counts that come from the bytes are checked against what is left
 * of the record before anything is allocated. */
#include "tsdb/record.h"

#include "model/sample.h"

enum { ST_NONE = 0, ST_SAME = 1, ST_DELTA = 2 };

enum record_type
record_type_of(struct bytes rec)
{
    if (rec.n == 0 || rec.p[0] < RECORD_SERIES || rec.p[0] > RECORD_FLOAT_HISTOGRAMS_V2)
        return RECORD_UNKNOWN;
    return (enum record_type)rec.p[0];
}

const char *
record_type_text(enum record_type type)
{
    switch (type) {
    case RECORD_SERIES:
        return "series";
    case RECORD_SAMPLES:
        return "samples";
    case RECORD_SAMPLES_V2:
        return "samples-v2";
    case RECORD_TOMBSTONES:
        return "tombstones";
    case RECORD_EXEMPLARS:
        return "exemplars";
    case RECORD_MMAP_MARKERS:
        return "mmapmarkers";
    case RECORD_METADATA:
        return "metadata";
    case RECORD_HISTOGRAMS:
        return "histogram_samples";
    case RECORD_FLOAT_HISTOGRAMS:
        return "float_histogram_samples";
    case RECORD_CUSTOM_HISTOGRAMS:
        return "custom_buckets_histogram_samples";
    case RECORD_CUSTOM_FLOAT_HISTOGRAMS:
        return "custom_buckets_float_histogram_samples";
    case RECORD_HISTOGRAMS_V2:
        return "histogram_samples-v2";
    case RECORD_FLOAT_HISTOGRAMS_V2:
        return "float_histogram_samples-v2";
    default:
        return "unknown";
    }
}

static bool
is_v2(enum record_type type)
{
    return type >= RECORD_SAMPLES_V2 && type != RECORD_UNKNOWN;
}

/* Types whose entries are relative to a base that stands in front. */
static bool
has_base(enum record_type type)
{
    return type == RECORD_SAMPLES || type == RECORD_EXEMPLARS ||
           (type >= RECORD_HISTOGRAMS && type <= RECORD_CUSTOM_FLOAT_HISTOGRAMS);
}

void
record_iter_init(struct record_iter *it, struct bytes rec)
{
    *it = (struct record_iter){ .d = dec_of(rec), .type = record_type_of(rec), .first = true };
    (void)dec_u8(&it->d);
    if (dec_left(&it->d) == 0)
        return; /* a record without entries is fine */
    if (has_base(it->type)) {
        it->base_ref = dec_u64(&it->d);
        it->base_t_ms = (int64_t)dec_u64(&it->d);
    } else if (is_v2(it->type)) {
        it->base_ref = (uint64_t)dec_varint(&it->d);
        it->base_t_ms = dec_varint(&it->d);
        it->first_st_ms = dec_varint(&it->d);
    }
}

static bool
more(const struct record_iter *it)
{
    return dec_ok(&it->d) && dec_left(&it->d) > 0;
}

bool
record_end(const struct record_iter *it, struct error *err)
{
    if (!dec_ok(&it->d))
        return error_set(err, ERR_CORRUPT, "record of type %s ends inside an entry",
                         record_type_text(it->type));
    if (dec_left(&it->d) > 0)
        return error_set(err, ERR_CORRUPT, "record of type %s has %zu bytes left over",
                         record_type_text(it->type), dec_left(&it->d));
    return true;
}

static int64_t
add_ms(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* What starts every entry of the sample-like records. */
static void
entry_head(struct record_iter *it, uint64_t *ref, int64_t *t_ms, int64_t *st_ms)
{
    *st_ms = 0;
    if (!is_v2(it->type)) {
        *ref = it->base_ref + (uint64_t)dec_varint(&it->d);
        *t_ms = add_ms(it->base_t_ms, dec_varint(&it->d));
        return;
    }
    if (it->first) {
        *ref = it->base_ref;
        *t_ms = it->base_t_ms;
        *st_ms = it->first_st_ms;
    } else {
        *ref = it->base_ref + (uint64_t)dec_varint(&it->d);
        *t_ms = add_ms(it->base_t_ms, dec_varint(&it->d));
        uint8_t marker = dec_u8(&it->d);
        if (marker == ST_SAME)
            *st_ms = it->prev_st_ms;
        else if (marker != ST_NONE)
            *st_ms = add_ms(it->first_st_ms, dec_varint(&it->d));
    }
    it->first = false;
    it->base_ref = *ref;
    it->prev_st_ms = *st_ms;
}

static bool
read_labels(struct dec *d, struct labels *labels, struct arena *arena)
{
    uint64_t nr = dec_uvarint(d);

    /* A label takes two bytes at least. */
    if (nr > RECORD_LABELS_MAX || nr > dec_left(d) / 2) {
        dec_fail(d);
        return false;
    }
    struct label *v = ARENA_NEW_ARRAY(arena, struct label, (size_t)nr);
    for (size_t i = 0; i < nr; i++) {
        v[i].name = dec_uvarint_str(d);
        v[i].value = dec_uvarint_str(d);
    }
    *labels = (struct labels){ v, (size_t)nr };
    return dec_ok(d);
}

bool
record_next_series(struct record_iter *it, uint64_t *ref, struct labels *labels,
                   struct arena *arena)
{
    if (!more(it))
        return false;
    *ref = dec_u64(&it->d);
    return read_labels(&it->d, labels, arena);
}

bool
record_next_sample(struct record_iter *it, struct record_sample *s)
{
    if (!more(it))
        return false;
    entry_head(it, &s->ref, &s->t_ms, &s->st_ms);
    s->v = double_of_bits(dec_u64(&it->d));
    return dec_ok(&it->d);
}

bool
record_samples_v1_init(struct record_samples_v1 *r, struct bytes rec)
{
    struct record_iter it;

    record_iter_init(&it, rec);
    *r = (struct record_samples_v1){
        .p = it.d.p, .end = it.d.end, .base_ref = it.base_ref, .base_t_ms = it.base_t_ms
    };
    return dec_ok(&it.d);
}

static bool
read_spans(struct dec *d, struct histogram_side *side, struct arena *arena)
{
    uint64_t nr = dec_uvarint(d);

    if (nr > dec_left(d) / 2) {
        dec_fail(d);
        return false;
    }
    struct histogram_span *spans = ARENA_NEW_ARRAY(arena, struct histogram_span, (size_t)nr);
    for (size_t i = 0; i < nr; i++) {
        spans[i].offset = (int32_t)dec_varint(d);
        spans[i].length = (uint32_t)dec_uvarint(d);
    }
    side->spans = spans;
    side->spans_nr = (size_t)nr;
    return dec_ok(d);
}

/* The spans must announce exactly the buckets that are there: everybody behind relies on it. */
static bool
spans_fit(const struct histogram_side *side)
{
    uint64_t total = 0;

    for (size_t i = 0; i < side->spans_nr; i++)
        total += side->spans[i].length;
    return total == side->buckets_nr;
}

static bool
read_buckets(struct dec *d, bool is_int, struct histogram_side *side, struct arena *arena)
{
    uint64_t nr = dec_uvarint(d);

    if (nr > dec_left(d) / (is_int ? 1 : 8)) {
        dec_fail(d);
        return false;
    }
    side->buckets_nr = (size_t)nr;
    if (is_int) {
        int64_t *deltas = ARENA_NEW_ARRAY(arena, int64_t, (size_t)nr);
        for (size_t i = 0; i < nr; i++)
            deltas[i] = dec_varint(d);
        side->deltas = deltas;
    } else {
        double *counts = ARENA_NEW_ARRAY(arena, double, (size_t)nr);
        for (size_t i = 0; i < nr; i++)
            counts[i] = double_of_bits(dec_u64(d));
        side->counts = counts;
    }
    if (!spans_fit(side))
        dec_fail(d);
    return dec_ok(d);
}

static bool
read_custom_values(struct dec *d, struct histogram *h, struct arena *arena)
{
    uint64_t nr = dec_uvarint(d);

    if (nr > dec_left(d) / 8) {
        dec_fail(d);
        return false;
    }
    double *values = ARENA_NEW_ARRAY(arena, double, (size_t)nr);
    for (size_t i = 0; i < nr; i++)
        values[i] = double_of_bits(dec_u64(d));
    h->custom_values = values;
    h->custom_values_nr = (size_t)nr;
    return dec_ok(d);
}

static bool
read_histogram(struct dec *d, bool is_int, struct histogram *h, struct arena *arena)
{
    *h = (struct histogram){ .is_int = is_int };
    h->hint = (enum histogram_hint)(dec_u8(d) & 3);
    h->schema = (int32_t)dec_varint(d);
    h->zero_threshold = double_of_bits(dec_u64(d));
    if (is_int) {
        h->zero_count_int = dec_uvarint(d);
        h->count_int = dec_uvarint(d);
        h->zero_count = (double)h->zero_count_int;
        h->count = (double)h->count_int;
    } else {
        h->zero_count = double_of_bits(dec_u64(d));
        h->count = double_of_bits(dec_u64(d));
    }
    h->sum = double_of_bits(dec_u64(d));
    if (!read_spans(d, &h->pos, arena) || !read_spans(d, &h->neg, arena) ||
        !read_buckets(d, is_int, &h->pos, arena) || !read_buckets(d, is_int, &h->neg, arena))
        return false;
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        return read_custom_values(d, h, arena);
    return dec_ok(d);
}

static bool
type_is_int(enum record_type type)
{
    return type == RECORD_HISTOGRAMS || type == RECORD_CUSTOM_HISTOGRAMS ||
           type == RECORD_HISTOGRAMS_V2;
}

bool
record_next_histogram(struct record_iter *it, struct record_histogram *h, struct arena *arena)
{
    if (!more(it))
        return false;
    entry_head(it, &h->ref, &h->t_ms, &h->st_ms);
    return read_histogram(&it->d, type_is_int(it->type), &h->h, arena);
}

bool
record_next_tombstone(struct record_iter *it, struct record_tombstone *t)
{
    if (!more(it))
        return false;
    t->ref = dec_u64(&it->d);
    t->min_ms = dec_varint(&it->d);
    t->max_ms = dec_varint(&it->d);
    return dec_ok(&it->d);
}

bool
record_next_exemplar(struct record_iter *it, struct record_exemplar *e, struct arena *arena)
{
    if (!more(it))
        return false;
    e->ref = it->base_ref + (uint64_t)dec_varint(&it->d);
    e->t_ms = add_ms(it->base_t_ms, dec_varint(&it->d));
    e->v = double_of_bits(dec_u64(&it->d));
    return read_labels(&it->d, &e->labels, arena);
}

bool
record_next_metadata(struct record_iter *it, struct record_metadata *m)
{
    if (!more(it))
        return false;
    *m = (struct record_metadata){ .ref = dec_uvarint(&it->d) };
    uint8_t type = dec_u8(&it->d);
    m->m.type = type <= METADATA_STATESET ? (enum metadata_type)type : METADATA_UNKNOWN;
    uint64_t fields = dec_uvarint(&it->d);
    for (uint64_t i = 0; i < fields && dec_ok(&it->d); i++) {
        struct str name = dec_uvarint_str(&it->d), value = dec_uvarint_str(&it->d);
        if (str_is(name, "UNIT"))
            m->m.unit = value;
        else if (str_is(name, "HELP"))
            m->m.help = value; /* other names come from later versions */
    }
    return dec_ok(&it->d);
}

bool
record_next_marker(struct record_iter *it, struct record_marker *m)
{
    if (!more(it))
        return false;
    m->ref = dec_u64(&it->d);
    m->chunk_ref = dec_u64(&it->d);
    return dec_ok(&it->d);
}

void
record_begin(struct buf *out, enum record_type type)
{
    buf_byte(out, (uint8_t)type);
}

static void
put_labels(struct buf *out, struct labels labels)
{
    buf_uvarint(out, labels.nr);
    for (size_t i = 0; i < labels.nr; i++) {
        buf_uvarint_str(out, labels.v[i].name);
        buf_uvarint_str(out, labels.v[i].value);
    }
}

void
record_add_series(struct buf *out, uint64_t ref, struct labels labels)
{
    buf_u64be(out, ref);
    put_labels(out, labels);
}

void
record_add_tombstone(struct buf *out, const struct record_tombstone *t)
{
    buf_u64be(out, t->ref);
    buf_varint(out, t->min_ms);
    buf_varint(out, t->max_ms);
}

void
record_add_metadata(struct buf *out, const struct record_metadata *m)
{
    buf_uvarint(out, m->ref);
    buf_byte(out, (uint8_t)m->m.type);
    buf_uvarint(out, 2);
    buf_uvarint_str(out, STR("UNIT"));
    buf_uvarint_str(out, m->m.unit);
    buf_uvarint_str(out, STR("HELP"));
    buf_uvarint_str(out, m->m.help);
}

static void
put_base(struct buf *out, enum record_type type, uint64_t ref, int64_t t_ms)
{
    record_begin(out, type);
    buf_u64be(out, ref);
    buf_u64be(out, (uint64_t)t_ms);
}

void
record_put_samples(struct buf *out, const struct record_sample *s, size_t nr)
{
    put_base(out, RECORD_SAMPLES, s[0].ref, s[0].t_ms);
    uint8_t *start = buf_reserve(out, nr * (2 * VARINT_BYTES_MAX + 8)), *p = start;
    for (size_t i = 0; i < nr; i++) {
        p += varint_put(p, (int64_t)(s[i].ref - s[0].ref));
        p += varint_put(p, (int64_t)((uint64_t)s[i].t_ms - (uint64_t)s[0].t_ms));
        uint64_t bits = __builtin_bswap64(double_bits(s[i].v));
        memcpy(p, &bits, sizeof bits);
        p += sizeof bits;
    }
    out->n += (size_t)(p - start);
}

static void
put_spans(struct buf *out, const struct histogram_side *side)
{
    buf_uvarint(out, side->spans_nr);
    for (size_t i = 0; i < side->spans_nr; i++) {
        buf_varint(out, side->spans[i].offset);
        buf_uvarint(out, side->spans[i].length);
    }
}

static void
put_buckets(struct buf *out, bool is_int, const struct histogram_side *side)
{
    buf_uvarint(out, side->buckets_nr);
    for (size_t i = 0; i < side->buckets_nr; i++) {
        if (is_int)
            buf_varint(out, side->deltas[i]);
        else
            buf_u64be(out, double_bits(side->counts[i]));
    }
}

static void
put_histogram(struct buf *out, const struct histogram *h)
{
    buf_byte(out, (uint8_t)h->hint);
    buf_varint(out, h->schema);
    buf_u64be(out, double_bits(h->zero_threshold));
    if (h->is_int) {
        buf_uvarint(out, h->zero_count_int);
        buf_uvarint(out, h->count_int);
    } else {
        buf_u64be(out, double_bits(h->zero_count));
        buf_u64be(out, double_bits(h->count));
    }
    buf_u64be(out, double_bits(h->sum));
    put_spans(out, &h->pos);
    put_spans(out, &h->neg);
    put_buckets(out, h->is_int, &h->pos);
    put_buckets(out, h->is_int, &h->neg);
    if (h->schema != HISTOGRAM_SCHEMA_CUSTOM)
        return;
    buf_uvarint(out, h->custom_values_nr);
    for (size_t i = 0; i < h->custom_values_nr; i++)
        buf_u64be(out, double_bits(h->custom_values[i]));
}

enum record_type
record_histogram_type(const struct histogram *h)
{
    bool custom = h->schema == HISTOGRAM_SCHEMA_CUSTOM;

    if (h->is_int)
        return custom ? RECORD_CUSTOM_HISTOGRAMS : RECORD_HISTOGRAMS;
    return custom ? RECORD_CUSTOM_FLOAT_HISTOGRAMS : RECORD_FLOAT_HISTOGRAMS;
}

void
record_put_histograms(struct buf *out, enum record_type type, const struct record_histogram *h,
                      size_t nr)
{
    put_base(out, type, h[0].ref, h[0].t_ms);
    for (size_t i = 0; i < nr; i++) {
        buf_varint(out, (int64_t)(h[i].ref - h[0].ref));
        buf_varint(out, (int64_t)((uint64_t)h[i].t_ms - (uint64_t)h[0].t_ms));
        put_histogram(out, &h[i].h);
    }
}

void
record_put_exemplars(struct buf *out, const struct record_exemplar *e, size_t nr)
{
    put_base(out, RECORD_EXEMPLARS, e[0].ref, e[0].t_ms);
    for (size_t i = 0; i < nr; i++) {
        buf_varint(out, (int64_t)(e[i].ref - e[0].ref));
        buf_varint(out, (int64_t)((uint64_t)e[i].t_ms - (uint64_t)e[0].t_ms));
        buf_u64be(out, double_bits(e[i].v));
        put_labels(out, e[i].labels);
    }
}
