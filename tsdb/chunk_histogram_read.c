/* Decoding histogram chunks, integer and float, with and without start timestamps: one walk for the
 * four encodings.
 *
 * Header: u16 count and a flags byte whose top bits are the reset header; with start timestamps the
 * reset header is the top of the count and the third byte is the one of XOR2. Then the layout (zero
 * threshold, schema, spans, custom bounds), then samples: integer fields as delta of delta, float
 * fields as xor, each bucket with its own state. */
#include "tsdb/chunk_priv.h"

#include "model/histogram_math.h"
#include "tsdb/chunk_varbit.h"

enum { HEADER_BYTES = 3, SCHEMA_MIN = -9, SCHEMA_MAX = 52 };

/* One number of the histogram as it runs through the chunk. */
struct field {
    uint64_t v; /* integer, or bits of a double */
    union {
        int64_t delta;
        struct {
            uint8_t leading, trailing;
        };
    };
};

struct histogram_reader {
    struct bit_reader bits;
    bool is_int, has_st, st_first;
    uint32_t nr, read_nr, st_from;
    enum chunk_reset reset;
    struct histogram layout; /* spans, bounds, schema, threshold: shared by all samples */
    int64_t t_ms, delta_ms, st_ms, st_diff;
    struct field count, zero, sum;
    struct field *buckets; /* positive ones, then negative ones */
    size_t buckets_nr;
};

static double
zero_threshold_read(struct bit_reader *bits)
{
    uint64_t byte = bits_take(bits, 8);

    if (byte == 0)
        return 0;
    if (byte == 255)
        return double_of_bits(bits_take64(bits, 64));
    return ldexp(0.5, (int)byte - 243);
}

/* Each element takes a bit at least: more than there are bits left is damage, found before
 * allocating. */
static size_t
count_read(struct bit_reader *bits)
{
    uint64_t nr = varbit_uint(bits);

    if (nr > bits->bits_nr - bits->pos) {
        bits->bad = true;
        return 0;
    }
    return (size_t)nr;
}

static void
spans_read(struct bit_reader *bits, struct histogram_side *side, struct arena *arena)
{
    size_t nr = count_read(bits);
    struct histogram_span *spans =
        nr == 0 ? NULL : ARENA_NEW_ARRAY(arena, struct histogram_span, nr);
    uint64_t buckets_nr = 0;

    for (size_t i = 0; i < nr && !bits->bad; i++) {
        uint64_t length = varbit_uint(bits);
        spans[i].offset = (int32_t)varbit_int(bits);
        spans[i].length = (uint32_t)length;
        buckets_nr += spans[i].length;
        if (length > UINT32_MAX || buckets_nr > bits->bits_nr)
            bits->bad = true;
    }
    *side = (struct histogram_side){ .spans = spans, .spans_nr = nr, .buckets_nr = buckets_nr };
}

static double
bound_read(struct bit_reader *bits)
{
    uint64_t v = varbit_uint(bits);

    return v == 0 ? double_of_bits(bits_take64(bits, 64)) : (double)(v - 1) / 1000;
}

static void
bounds_read(struct bit_reader *bits, struct histogram *layout, struct arena *arena)
{
    size_t nr = count_read(bits);
    double *bounds = nr == 0 ? NULL : ARENA_NEW_ARRAY(arena, double, nr);

    for (size_t i = 0; i < nr && !bits->bad; i++)
        bounds[i] = bound_read(bits);
    layout->custom_values = bounds;
    layout->custom_values_nr = nr;
}

static bool
layout_read(struct histogram_reader *r, struct arena *arena, struct error *err)
{
    struct histogram *layout = &r->layout;

    layout->zero_threshold = zero_threshold_read(&r->bits);
    int64_t schema = varbit_int(&r->bits);
    spans_read(&r->bits, &layout->pos, arena);
    spans_read(&r->bits, &layout->neg, arena);
    if (schema != HISTOGRAM_SCHEMA_CUSTOM && (schema < SCHEMA_MIN || schema > SCHEMA_MAX))
        return error_set(err, ERR_CORRUPT, "histogram chunk with unknown schema %lld",
                         (long long)schema);
    layout->schema = (int32_t)schema;
    layout->is_int = r->is_int;
    if (schema == HISTOGRAM_SCHEMA_CUSTOM)
        bounds_read(&r->bits, layout, arena);
    if (r->bits.bad ||
        layout->pos.buckets_nr + layout->neg.buckets_nr > r->bits.bits_nr - r->bits.pos)
        return error_set(err, ERR_CORRUPT, "histogram chunk's layout does not decode");
    r->buckets_nr = layout->pos.buckets_nr + layout->neg.buckets_nr;
    r->buckets = ARENA_NEW_ARRAY(arena, struct field, r->buckets_nr + 1);
    return true;
}

static void
field_read(struct histogram_reader *r, struct field *f)
{
    if (r->is_int) {
        f->delta = (int64_t)((uint64_t)f->delta + (uint64_t)varbit_int(&r->bits));
        f->v += (uint64_t)f->delta;
    } else {
        xor_field_read(&r->bits, &f->v, &f->leading, &f->trailing);
    }
}

static void
first_read(struct histogram_reader *r)
{
    r->t_ms = varbit_int(&r->bits);
    r->count.v = r->is_int ? varbit_uint(&r->bits) : bits_take64(&r->bits, 64);
    r->zero.v = r->is_int ? varbit_uint(&r->bits) : bits_take64(&r->bits, 64);
    r->sum.v = bits_take64(&r->bits, 64);
    for (size_t i = 0; i < r->buckets_nr && !r->bits.bad; i++)
        r->buckets[i].v = r->is_int ? (uint64_t)varbit_int(&r->bits) : bits_take64(&r->bits, 64);
}

static void
later_read(struct histogram_reader *r)
{
    r->delta_ms = (int64_t)((uint64_t)r->delta_ms + (uint64_t)varbit_int(&r->bits));
    r->t_ms = (int64_t)((uint64_t)r->t_ms + (uint64_t)r->delta_ms);
    field_read(r, &r->count);
    field_read(r, &r->zero);
    xor_field_read(&r->bits, &r->sum.v, &r->sum.leading, &r->sum.trailing);
    if (r->sum.v == STALE_NAN_BITS)
        return; /* a stale marker has no buckets */
    for (size_t i = 0; i < r->buckets_nr && !r->bits.bad; i++)
        field_read(r, &r->buckets[i]);
}

static void
st_read(struct histogram_reader *r, int64_t before_ms)
{
    if (r->read_nr == 0) {
        if (r->st_first) {
            r->st_diff = bits_varint(&r->bits);
            r->st_ms = (int64_t)((uint64_t)r->t_ms - (uint64_t)r->st_diff);
        }
        return;
    }
    if (r->st_from == 0 || r->read_nr < r->st_from)
        return;
    int64_t diff = varbit_int(&r->bits);
    r->st_diff = r->read_nr == r->st_from ? diff : (int64_t)((uint64_t)r->st_diff + (uint64_t)diff);
    r->st_ms = (int64_t)((uint64_t)before_ms - (uint64_t)r->st_diff);
}

static enum histogram_hint
hint_of(const struct histogram_reader *r)
{
    if (r->reset == CHUNK_RESET_GAUGE)
        return HINT_GAUGE;
    /* What the header says of the first sample is not passed on: the chunk before it may be gone.
     */
    return r->read_nr > 0 ? HINT_NOT_RESET : HINT_UNKNOWN;
}

static void
sides_fill(const struct histogram_reader *r, struct histogram *h, uint64_t *values)
{
    for (size_t i = 0; i < r->buckets_nr; i++)
        values[i] = r->buckets[i].v;
    if (r->is_int) {
        h->pos.deltas = (const int64_t *)values;
        h->neg.deltas = (const int64_t *)values + h->pos.buckets_nr;
    } else {
        h->pos.counts = (const double *)(const void *)values;
        h->neg.counts = (const double *)(const void *)values + h->pos.buckets_nr;
    }
}

/* The current sample as a histogram of its own in the arena. */
static struct histogram *
sample_make(const struct histogram_reader *r, struct arena *arena)
{
    bool stale = r->sum.v == STALE_NAN_BITS;
    size_t values_nr = stale ? 0 : r->buckets_nr;
    struct histogram *h = arena_alloc(arena, sizeof *h + values_nr * sizeof(uint64_t));

    *h = (struct histogram){ .is_int = r->is_int, .sum = double_of_bits(r->sum.v) };
    if (stale)
        return h;
    *h = r->layout;
    h->hint = hint_of(r);
    h->sum = double_of_bits(r->sum.v);
    h->count_int = r->is_int ? r->count.v : 0;
    h->zero_count_int = r->is_int ? r->zero.v : 0;
    h->count = r->is_int ? (double)r->count.v : double_of_bits(r->count.v);
    h->zero_count = r->is_int ? (double)r->zero.v : double_of_bits(r->zero.v);
    sides_fill(r, h, (uint64_t *)(void *)(h + 1));
    return h;
}

static bool
samples_read(struct histogram_reader *r, int64_t min_ms, int64_t max_ms, struct sample_buf *out,
             struct error *err)
{
    for (; r->read_nr < r->nr; r->read_nr++) {
        int64_t before_ms = r->t_ms;
        if (r->read_nr == 0)
            first_read(r);
        else
            later_read(r);
        if (r->has_st)
            st_read(r, before_ms);
        if (r->bits.bad)
            return error_set(err, ERR_CORRUPT, "histogram chunk ends after %u of %u samples",
                             r->read_nr, r->nr);
        if (r->read_nr > 0 && r->t_ms <= before_ms)
            return error_set(err, ERR_CORRUPT,
                             "histogram chunk: time of sample %u is not after the one before",
                             r->read_nr);
        if (r->t_ms > max_ms)
            return true;
        if (r->t_ms < min_ms)
            continue;
        struct histogram *h = sample_make(r, out->arena);
        /* Finer schemas are reserved: they are read, and given out at the finest one that is
         * computed with. */
        if (h->schema > HISTOGRAM_SCHEMA_MAX &&
            !histogram_reduce(h, HISTOGRAM_SCHEMA_MAX, out->arena, err))
            return false;
        sample_buf_add_histogram(out, r->t_ms, h);
        if (out->st_ms != NULL)
            out->st_ms[out->nr - 1] = r->st_ms;
    }
    return true;
}

bool
chunk_histogram_read(enum chunk_encoding encoding, struct bytes data, int64_t min_ms,
                     int64_t max_ms, struct sample_buf *out, struct error *err)
{
    if (out->arena == NULL)
        return error_set(err, ERR_INTERNAL, "no arena for histograms");
    if (data.n < HEADER_BYTES)
        return error_set(err, ERR_CORRUPT, "histogram chunk of %zu bytes has no header", data.n);
    struct bytes body = { data.p + HEADER_BYTES, data.n - HEADER_BYTES };
    struct histogram_reader r = { .bits = bit_reader_of(body),
                                  .nr = chunk_samples_nr(encoding, data),
                                  .reset = chunk_reset_of(encoding, data) };
    r.is_int = encoding == CHUNK_HISTOGRAM || encoding == CHUNK_HISTOGRAM_ST;
    r.has_st = encoding == CHUNK_HISTOGRAM_ST || encoding == CHUNK_FLOAT_HISTOGRAM_ST;
    if (r.has_st) {
        r.st_first = (data.p[2] & 0x80) != 0;
        r.st_from = data.p[2] & 0x7F;
    }
    if (r.nr == 0)
        return true;
    return layout_read(&r, out->arena, err) && samples_read(&r, min_ms, max_ms, out, err);
}
