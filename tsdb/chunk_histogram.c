/* The layout (spans, bounds, schema, zero threshold) stands once at the chunk's start, so a sample
 * with other buckets needs either the chunk written again with the union of the buckets, or another
 * chunk. Both sides are compared as lists of bucket indexes with absolute counts; deltas exist only
 * in the bytes. */
#include "tsdb/chunk_histogram.h"

#include "base/mem.h"
#include "tsdb/chunk_bits_put.h"
#include "tsdb/chunk_priv.h"

enum { HEADER_BYTES = 3, ST_SAMPLES_MAX = 0x3FFF };

/* One running number: an integer with its last change, or a double's bits with its xor window. */
struct field {
    uint64_t v;
    union {
        int64_t delta;
        struct {
            uint8_t leading, trailing;
        };
    };
};

struct side {
    struct histogram_span *spans;
    size_t spans_nr;
    struct field
        *buckets; /* integer kind: the deltas between buckets, as in struct histogram_side */
    size_t nr;
};

struct chunk_histogram {
    enum chunk_encoding encoding;
    bool is_int, has_st;
    uint32_t nr;
    struct buf bytes;
    unsigned free_nr;
    int32_t schema;
    double zero_threshold;
    double *bounds;
    size_t bounds_nr;
    int64_t t_ms, delta_ms;
    struct field count, zero, sum;
    struct side pos, neg;
    struct st_writer st;
};

struct chunk_histogram *
chunk_histogram_new(enum chunk_encoding encoding)
{
    static const uint8_t header[HEADER_BYTES];
    struct chunk_histogram *c = MEM_NEW(struct chunk_histogram);

    c->encoding = encoding;
    c->is_int = encoding == CHUNK_HISTOGRAM || encoding == CHUNK_HISTOGRAM_ST;
    c->has_st = encoding == CHUNK_HISTOGRAM_ST || encoding == CHUNK_FLOAT_HISTOGRAM_ST;
    c->sum.leading = WINDOW_NONE;
    if (!c->is_int)
        c->count.leading = c->zero.leading = WINDOW_NONE;
    buf_add(&c->bytes, header, sizeof header);
    return c;
}

static void
contents_free(struct chunk_histogram *c)
{
    buf_fini(&c->bytes);
    mem_free(c->bounds);
    mem_free(c->pos.spans);
    mem_free(c->pos.buckets);
    mem_free(c->neg.spans);
    mem_free(c->neg.buckets);
}

void
chunk_histogram_free(struct chunk_histogram *c)
{
    if (c == NULL)
        return;
    contents_free(c);
    mem_free(c);
}

enum chunk_encoding
chunk_histogram_encoding(const struct chunk_histogram *c)
{
    return c->encoding;
}

struct bytes
chunk_histogram_bytes(const struct chunk_histogram *c)
{
    return buf_as_bytes(&c->bytes);
}

uint32_t
chunk_histogram_samples_nr(const struct chunk_histogram *c)
{
    return c->nr;
}

size_t
chunk_histogram_memory(const struct chunk_histogram *c)
{
    return sizeof *c + c->bytes.cap + c->bounds_nr * sizeof *c->bounds +
           (c->pos.spans_nr + c->neg.spans_nr) * sizeof *c->pos.spans +
           (c->pos.nr + c->neg.nr) * sizeof *c->pos.buckets;
}

static enum chunk_reset
reset_get(const struct chunk_histogram *c)
{
    return chunk_reset_of(c->encoding, chunk_histogram_bytes(c));
}

static void
reset_set(struct chunk_histogram *c, enum chunk_reset reset)
{
    uint8_t *byte = &c->bytes.p[c->has_st ? 0 : 2];

    *byte = (uint8_t)((*byte & 0x3F) | (unsigned)reset << 6);
}

static void
nr_set(struct chunk_histogram *c, uint32_t nr)
{
    uint8_t keep = c->has_st ? c->bytes.p[0] & 0xC0 : 0;

    c->nr = nr;
    c->bytes.p[0] = (uint8_t)(keep | nr >> 8);
    c->bytes.p[1] = (uint8_t)nr;
}

/* ---- the layout ---- */

static void
threshold_put(struct bit_writer *w, double threshold)
{
    int exp;

    if (threshold == 0) {
        bits_put(w, 0, 8);
    } else if (frexp(threshold, &exp) == 0.5 && exp >= -242 && exp <= 11) {
        bits_put(w, (uint64_t)(exp + 243), 8);
    } else {
        bits_put(w, 255, 8);
        bits_put(w, double_bits(threshold), 64);
    }
}

static void
spans_put(struct bit_writer *w, const struct histogram_side *side)
{
    varbit_put_uint(w, side->spans_nr);
    for (size_t i = 0; i < side->spans_nr; i++) {
        varbit_put_uint(w, side->spans[i].length);
        varbit_put_int(w, side->spans[i].offset);
    }
}

/* Thousandths up to 33554.430 fit four bytes; what is not exactly one is stored whole. */
static void
bound_put(struct bit_writer *w, double bound)
{
    double thousandths = bound * 1000;

    if (thousandths >= 0 && thousandths <= 33554430 && round(thousandths) / 1000 == bound) {
        varbit_put_uint(w, (uint64_t)round(thousandths) + 1);
    } else {
        bits_put(w, 0, 1);
        bits_put(w, double_bits(bound), 64);
    }
}

static void
side_start(struct side *s, const struct histogram_side *from, bool is_int)
{
    s->spans = mem_dup(from->spans, from->spans_nr * sizeof *s->spans);
    s->spans_nr = from->spans_nr;
    s->buckets = MEM_NEW_ARRAY(struct field, from->buckets_nr + 1);
    s->nr = from->buckets_nr;
    for (size_t i = 0; !is_int && i < s->nr; i++)
        s->buckets[i].leading = WINDOW_NONE;
}

static void
layout_put(struct chunk_histogram *c, struct bit_writer *w, const struct histogram *h)
{
    threshold_put(w, h->zero_threshold);
    varbit_put_int(w, h->schema);
    spans_put(w, &h->pos);
    spans_put(w, &h->neg);
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        varbit_put_uint(w, h->custom_values_nr);
        for (size_t i = 0; i < h->custom_values_nr; i++)
            bound_put(w, h->custom_values[i]);
    }
    c->schema = h->schema;
    c->zero_threshold = h->zero_threshold;
    c->bounds = mem_dup(h->custom_values, h->custom_values_nr * sizeof *c->bounds);
    c->bounds_nr = h->custom_values_nr;
    side_start(&c->pos, &h->pos, c->is_int);
    side_start(&c->neg, &h->neg, c->is_int);
}

/* ---- one sample ---- */

static uint64_t
bucket_of(const struct histogram_side *side, bool is_int, size_t i)
{
    return is_int ? (uint64_t)side->deltas[i] : double_bits(side->counts[i]);
}

static void
xor_put(struct bit_writer *w, struct field *f, uint8_t *leading, uint8_t *trailing, uint64_t v)
{
    if (v == f->v)
        bits_put(w, 0, 1);
    else
        xor_put_changed(w, v ^ f->v, leading, trailing, 2, 2, 3, 2);
    f->v = v;
}

static void
field_put(struct bit_writer *w, bool is_int, struct field *f, uint64_t v)
{
    if (!is_int) {
        xor_put(w, f, &f->leading, &f->trailing, v);
        return;
    }
    int64_t delta = (int64_t)(v - f->v);
    varbit_put_int(w, (int64_t)((uint64_t)delta - (uint64_t)f->delta));
    f->delta = delta;
    f->v = v;
}

static void
side_first(struct bit_writer *w, bool is_int, struct side *s, const struct histogram_side *from)
{
    for (size_t i = 0; i < s->nr; i++) {
        s->buckets[i].v = bucket_of(from, is_int, i);
        if (is_int)
            varbit_put_int(w, from->deltas[i]);
        else
            bits_put(w, s->buckets[i].v, 64);
    }
}

static void
first_put(struct chunk_histogram *c, struct bit_writer *w, int64_t t_ms, const struct histogram *h)
{
    layout_put(c, w, h);
    varbit_put_int(w, t_ms);
    c->count.v = c->is_int ? h->count_int : double_bits(h->count);
    c->zero.v = c->is_int ? h->zero_count_int : double_bits(h->zero_count);
    c->sum.v = double_bits(h->sum);
    if (c->is_int) {
        varbit_put_uint(w, c->count.v);
        varbit_put_uint(w, c->zero.v);
    } else {
        bits_put(w, c->count.v, 64);
        bits_put(w, c->zero.v, 64);
    }
    bits_put(w, c->sum.v, 64);
    side_first(w, c->is_int, &c->pos, &h->pos);
    side_first(w, c->is_int, &c->neg, &h->neg);
}

/* A stale marker's integer counts are written as "no change of the change", whatever they were. */
static void
stale_counts(struct chunk_histogram *c, struct bit_writer *w)
{
    bits_put(w, 0, 2);
    c->count = c->zero = (struct field){ 0 };
}

static void
later_put(struct chunk_histogram *c, struct bit_writer *w, int64_t t_ms, const struct histogram *h)
{
    int64_t delta_ms = (int64_t)((uint64_t)t_ms - (uint64_t)c->t_ms);

    varbit_put_int(w, (int64_t)((uint64_t)delta_ms - (uint64_t)c->delta_ms));
    c->delta_ms = delta_ms;
    if (c->is_int && is_stale(h->sum)) {
        stale_counts(c, w);
    } else {
        field_put(w, c->is_int, &c->count, c->is_int ? h->count_int : double_bits(h->count));
        field_put(w, c->is_int, &c->zero,
                  c->is_int ? h->zero_count_int : double_bits(h->zero_count));
    }
    xor_put(w, &c->sum, &c->sum.leading, &c->sum.trailing, double_bits(h->sum));
    for (size_t i = 0; i < h->pos.buckets_nr; i++)
        field_put(w, c->is_int, &c->pos.buckets[i], bucket_of(&h->pos, c->is_int, i));
    for (size_t i = 0; i < h->neg.buckets_nr; i++)
        field_put(w, c->is_int, &c->neg.buckets[i], bucket_of(&h->neg, c->is_int, i));
}

/* h has the chunk's layout, or is the first sample, or a stale marker (which has none). */
static void
sample_put(struct chunk_histogram *c, int64_t st_ms, int64_t t_ms, const struct histogram *h)
{
    struct bit_writer w = { .out = &c->bytes, .free_nr = c->free_nr };
    struct histogram stale = { .is_int = c->is_int, .sum = h->sum };
    int64_t before_ms = c->t_ms;

    if (is_stale(h->sum))
        h = &stale;
    if (c->nr == 0)
        first_put(c, &w, t_ms, h);
    else
        later_put(c, &w, t_ms, h);
    if (c->has_st)
        st_put(&c->st, &w, HEADER_BYTES - 1, c->nr, before_ms, t_ms, st_ms);
    c->t_ms = t_ms;
    c->free_nr = w.free_nr;
    nr_set(c, c->nr + 1);
}

/* ---- comparing layouts ---- */

/* Buckets of one side as indexes and absolute counts. */
struct flat {
    int64_t *index;
    union {
        int64_t *ints;
        double *floats;
    };
    size_t nr;
};

static struct flat
flat_of(struct arena *a, const struct histogram_span *spans, size_t spans_nr, size_t nr)
{
    struct flat f = { .index = ARENA_NEW_ARRAY(a, int64_t, nr + 1),
                      .ints = ARENA_NEW_ARRAY(a, int64_t, nr + 1) };
    int64_t at = 0;

    for (size_t s = 0; s < spans_nr; s++) {
        at += spans[s].offset;
        for (uint32_t i = 0; i < spans[s].length && f.nr < nr; i++)
            f.index[f.nr++] = at++;
    }
    return f;
}

static struct flat
flat_of_chunk(struct arena *a, const struct chunk_histogram *c, const struct side *s)
{
    struct flat f = flat_of(a, s->spans, s->spans_nr, s->nr);
    int64_t sum = 0;

    for (size_t i = 0; i < f.nr; i++) {
        if (c->is_int)
            f.ints[i] = sum = (int64_t)((uint64_t)sum + s->buckets[i].v);
        else
            f.floats[i] = double_of_bits(s->buckets[i].v);
    }
    return f;
}

static struct flat
flat_of_side(struct arena *a, bool is_int, const struct histogram_side *s)
{
    struct flat f = flat_of(a, s->spans, s->spans_nr, s->buckets_nr);
    int64_t sum = 0;

    for (size_t i = 0; i < f.nr; i++) {
        if (is_int)
            f.ints[i] = sum = (int64_t)((uint64_t)sum + (uint64_t)s->deltas[i]);
        else
            f.floats[i] = s->counts[i];
    }
    return f;
}

/* What appending one side would take. */
struct fit {
    bool reset;         /* a counter went down */
    bool chunk_misses;  /* the sample has buckets that the chunk lacks */
    bool sample_misses; /* the chunk has buckets (all 0, unless a gauge) that the sample lacks */
    int64_t *merged;    /* the union of the indexes */
    size_t merged_nr;
};

static bool
count_above(bool is_int, const struct flat *a, size_t i, const struct flat *b, size_t j)
{
    return is_int ? a->ints[i] > b->ints[j] : a->floats[i] > b->floats[j];
}

static bool
count_is_zero(bool is_int, const struct flat *a, size_t i)
{
    return is_int ? a->ints[i] == 0 : a->floats[i] == 0;
}

static struct fit
fit_side(struct arena *arena, bool is_int, bool gauge, const struct flat *a, const struct flat *b)
{
    struct fit fit = { .merged = ARENA_NEW_ARRAY(arena, int64_t, a->nr + b->nr + 1) };
    size_t i = 0, j = 0;

    while (i < a->nr || j < b->nr) {
        bool in_a = i < a->nr && (j == b->nr || a->index[i] <= b->index[j]);
        bool in_b = j < b->nr && (i == a->nr || b->index[j] <= a->index[i]);
        fit.merged[fit.merged_nr++] = in_a ? a->index[i] : b->index[j];
        if (!gauge && in_a &&
            (in_b ? count_above(is_int, a, i, b, j) : !count_is_zero(is_int, a, i)))
            fit.reset = true;
        fit.chunk_misses |= !in_a;
        fit.sample_misses |= !in_b;
        i += in_a;
        j += in_b;
    }
    return fit;
}

static bool
same_bounds(const struct chunk_histogram *c, const struct histogram *h)
{
    if (h->schema != HISTOGRAM_SCHEMA_CUSTOM)
        return true;
    if (h->custom_values_nr != c->bounds_nr)
        return false;
    for (size_t i = 0; i < c->bounds_nr; i++)
        if (h->custom_values[i] != c->bounds[i])
            return false;
    return true;
}

enum verdict { FITS, FITS_NOT, FITS_NOT_RESET, FITS_NOT_GAUGE };

/* Counter sample against a chunk, checks in Prometheus's order; fits are filled for FITS with
 * buckets. */
static enum verdict
counter_verdict(struct arena *a, const struct chunk_histogram *c, const struct histogram *h,
                struct fit *pos, struct fit *neg)
{
    if (c->nr > 0 && reset_get(c) == CHUNK_RESET_GAUGE)
        return FITS_NOT_GAUGE;
    if (h->hint == HINT_RESET)
        return FITS_NOT_RESET;
    if (is_stale(h->sum))
        return FITS;
    if (c->sum.v == STALE_NAN_BITS)
        return FITS_NOT;
    if (c->is_int ? h->count_int < c->count.v : h->count < double_of_bits(c->count.v))
        return FITS_NOT_RESET;
    if (h->schema != c->schema || h->zero_threshold != c->zero_threshold)
        return FITS_NOT;
    if (!same_bounds(c, h))
        return FITS_NOT_RESET;
    if (c->is_int ? h->zero_count_int < c->zero.v : h->zero_count < double_of_bits(c->zero.v))
        return FITS_NOT_RESET;
    struct flat chunk_pos = flat_of_chunk(a, c, &c->pos),
                sample_pos = flat_of_side(a, c->is_int, &h->pos);
    struct flat chunk_neg = flat_of_chunk(a, c, &c->neg),
                sample_neg = flat_of_side(a, c->is_int, &h->neg);
    *pos = fit_side(a, c->is_int, false, &chunk_pos, &sample_pos);
    *neg = fit_side(a, c->is_int, false, &chunk_neg, &sample_neg);
    return pos->reset || neg->reset ? FITS_NOT_RESET : FITS;
}

static enum verdict
gauge_verdict(struct arena *a, const struct chunk_histogram *c, const struct histogram *h,
              struct fit *pos, struct fit *neg)
{
    if (reset_get(c) != CHUNK_RESET_GAUGE)
        return FITS_NOT;
    if (is_stale(h->sum))
        return FITS;
    if (c->sum.v == STALE_NAN_BITS || h->schema != c->schema ||
        h->zero_threshold != c->zero_threshold || !same_bounds(c, h))
        return FITS_NOT;
    struct flat chunk_pos = flat_of_chunk(a, c, &c->pos),
                sample_pos = flat_of_side(a, c->is_int, &h->pos);
    struct flat chunk_neg = flat_of_chunk(a, c, &c->neg),
                sample_neg = flat_of_side(a, c->is_int, &h->neg);
    *pos = fit_side(a, c->is_int, true, &chunk_pos, &sample_pos);
    *neg = fit_side(a, c->is_int, true, &chunk_neg, &sample_neg);
    return FITS;
}

/* Header of a chunk that starts because a sample did not fit. Integer and float chunks differ after
 * a gauge. */
static enum chunk_reset
reset_after(const struct chunk_histogram *c, enum verdict verdict)
{
    if (verdict == FITS_NOT_RESET)
        return CHUNK_RESET_YES;
    return verdict == FITS_NOT_GAUGE && c->is_int ? CHUNK_RESET_NO : CHUNK_RESET_UNKNOWN;
}

/* Header of a chunk that continues prev without having been forced to. */
static enum chunk_reset
reset_continued(const struct chunk_histogram *prev, const struct histogram *h)
{
    struct fit pos, neg;
    struct arena a;

    arena_init(&a, SIZE_MAX);
    enum verdict verdict = counter_verdict(&a, prev, h, &pos, &neg);
    arena_fini(&a);
    if (verdict == FITS_NOT_RESET)
        return CHUNK_RESET_YES;
    return verdict == FITS_NOT && prev->is_int ? CHUNK_RESET_UNKNOWN : CHUNK_RESET_NO;
}

/* ---- recoding ---- */

/* The shortest spans for a list of indexes. */
static void
spans_of(struct arena *a, const int64_t *index, size_t nr, struct histogram_side *out)
{
    struct histogram_span *spans = ARENA_NEW_ARRAY(a, struct histogram_span, nr + 1);
    size_t n = 0;

    for (size_t i = 0; i < nr; i++) {
        if (i > 0 && index[i] == index[i - 1] + 1) {
            spans[n - 1].length++;
            continue;
        }
        spans[n++] =
            (struct histogram_span){ (int32_t)(i == 0 ? index[0] : index[i] - index[i - 1] - 1),
                                     1 };
    }
    out->spans = spans;
    out->spans_nr = n;
}

/* `from` with buckets of 0 where `to` has more; to's spans are set. */
static void
side_widen(struct arena *a, bool is_int, const struct histogram_side *from, const int64_t *merged,
           size_t nr, struct histogram_side *to)
{
    struct flat f = flat_of_side(a, is_int, from);
    int64_t *values = ARENA_NEW_ARRAY(a, int64_t, nr + 1), before = 0;
    size_t i = 0;

    for (size_t k = 0; k < nr; k++) {
        bool have = i < f.nr && f.index[i] == merged[k];
        if (is_int) {
            int64_t count = have ? f.ints[i] : 0;
            values[k] = (int64_t)((uint64_t)count - (uint64_t)before);
            before = count;
        } else {
            double count = have ? f.floats[i] : 0;
            memcpy(&values[k], &count, sizeof count);
        }
        i += have;
    }
    to->buckets_nr = nr;
    if (is_int)
        to->deltas = values;
    else
        to->counts = (const double *)(const void *)values;
}

static struct histogram
histogram_widen(struct arena *a, const struct histogram *h, const struct histogram *layout,
                const struct fit *pos, const struct fit *neg)
{
    struct histogram wide = *h;

    if (is_stale(h->sum))
        return wide;
    wide.pos = layout->pos;
    wide.neg = layout->neg;
    side_widen(a, h->is_int, &h->pos, pos->merged, pos->merged_nr, &wide.pos);
    side_widen(a, h->is_int, &h->neg, neg->merged, neg->merged_nr, &wide.neg);
    return wide;
}

/* Writes the chunk's samples again with the wider layout. */
static bool
recode(struct arena *a, struct chunk_histogram *c, const struct histogram *layout,
       const struct fit *pos, const struct fit *neg, struct error *err)
{
    struct chunk_histogram *wide = chunk_histogram_new(c->encoding);
    struct sample_buf old;

    sample_buf_init(&old, a);
    sample_buf_reserve(&old, c->nr);
    old.st_ms = mem_zalloc(old.cap * sizeof *old.st_ms);
    bool ok = chunk_histogram_read(c->encoding, chunk_histogram_bytes(c), TIME_MIN_MS, TIME_MAX_MS,
                                   &old, err);
    for (size_t i = 0; ok && i < old.nr; i++) {
        struct histogram h = histogram_widen(a, old.h[i], layout, pos, neg);
        sample_put(wide, old.st_ms[i], old.t_ms[i], &h);
    }
    sample_buf_fini(&old);
    if (ok) {
        reset_set(wide, reset_get(c));
        struct chunk_histogram narrow = *c;
        *c = *wide;
        *wide = narrow;
    }
    chunk_histogram_free(wide);
    return ok;
}

/* Whose spans the chunk has afterwards: the sample's when only the chunk lacked buckets, the
 * chunk's when only the sample did, new ones when both did; a gauge that lacks buckets always gets
 * new ones. */
static struct histogram
layout_choose(struct arena *a, const struct chunk_histogram *c, const struct histogram *h,
              bool gauge, const struct fit *pos, const struct fit *neg)
{
    struct histogram layout = *h;
    bool sample_misses = pos->sample_misses || neg->sample_misses;
    bool chunk_misses = pos->chunk_misses || neg->chunk_misses;

    if (sample_misses && !chunk_misses && !gauge) {
        layout.pos = (struct histogram_side){ .spans = c->pos.spans, .spans_nr = c->pos.spans_nr };
        layout.neg = (struct histogram_side){ .spans = c->neg.spans, .spans_nr = c->neg.spans_nr };
    } else if (sample_misses) {
        if (gauge || pos->sample_misses)
            spans_of(a, pos->merged, pos->merged_nr, &layout.pos);
        if (gauge || neg->sample_misses)
            spans_of(a, neg->merged, neg->merged_nr, &layout.neg);
    }
    return layout;
}

static bool
append_fitting(struct arena *a, struct chunk_histogram *c, int64_t st_ms, int64_t t_ms,
               const struct histogram *h, const struct fit *pos, const struct fit *neg,
               struct error *err)
{
    bool gauge = h->hint == HINT_GAUGE;
    bool chunk_misses = pos->chunk_misses || neg->chunk_misses;

    if (is_stale(h->sum) || (!chunk_misses && !pos->sample_misses && !neg->sample_misses)) {
        sample_put(c, st_ms, t_ms, h);
        return true;
    }
    struct histogram layout = layout_choose(a, c, h, gauge, pos, neg);
    struct histogram wide = histogram_widen(a, h, &layout, pos, neg);
    if (chunk_misses && !recode(a, c, &layout, pos, neg, err))
        return false;
    sample_put(c, st_ms, t_ms, &wide);
    return true;
}

static void
append_first(struct chunk_histogram *c, const struct chunk_histogram *prev, int64_t st_ms,
             int64_t t_ms, const struct histogram *h)
{
    sample_put(c, st_ms, t_ms, h);
    if (h->hint == HINT_GAUGE)
        reset_set(c, CHUNK_RESET_GAUGE);
    else if (h->hint == HINT_RESET)
        reset_set(c, CHUNK_RESET_YES);
    else if (prev != NULL && prev->is_int == c->is_int)
        reset_set(c, reset_continued(prev, h));
}

bool
chunk_histogram_append(struct chunk_histogram *c, const struct chunk_histogram *prev, int64_t st_ms,
                       int64_t t_ms, const struct histogram *h, struct chunk_histogram **next,
                       struct error *err)
{
    bool gauge = h->hint == HINT_GAUGE, ok = true;
    struct fit pos = { 0 }, neg = { 0 };
    struct arena a;

    *next = NULL;
    if (h->is_int != c->is_int && !is_stale(h->sum))
        return error_set(err, ERR_INTERNAL, "histogram of another kind than its chunk");
    if (c->nr == (c->has_st ? ST_SAMPLES_MAX : CHUNK_SAMPLES_MAX))
        return error_set(err, ERR_INTERNAL, "histogram chunk is full");
    if (c->nr == 0) {
        append_first(c, prev, st_ms, t_ms, h);
        return true;
    }
    arena_init(&a, SIZE_MAX);
    enum verdict verdict =
        gauge ? gauge_verdict(&a, c, h, &pos, &neg) : counter_verdict(&a, c, h, &pos, &neg);
    if (verdict == FITS) {
        ok = append_fitting(&a, c, st_ms, t_ms, h, &pos, &neg, err);
    } else {
        *next = chunk_histogram_new(c->encoding);
        sample_put(*next, st_ms, t_ms, h);
        reset_set(*next, gauge ? CHUNK_RESET_GAUGE : reset_after(c, verdict));
    }
    arena_fini(&a);
    return ok;
}
