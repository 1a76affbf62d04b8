/* Decoding XOR chunks. A chunk of 120 samples is decoded in one go into the columns: a bit position
 * with byte-swapped 64-bit loads, the delta-of-delta prefix classified by counting ones, runs of
 * unchanged samples taken at once by counting zeros. Several chunks are walked in turns, one sample
 * each, since mispredicted branches are what costs and different chunks' overlap. */
#include "tsdb/chunk_priv.h"

#include "tsdb/chunk_xor.h"

enum { PEEK_BITS = 57 }; /* what bits_peek() gives at least */

uint64_t
bits_uvarint(struct bit_reader *bits)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint64_t byte = bits_take(bits, 8);
        if (shift == 63 && byte > 1)
            break;
        v |= (byte & 0x7F) << shift;
        if (byte < 0x80)
            return v;
    }
    bits->bad = true;
    return 0;
}

int64_t
bits_varint(struct bit_reader *bits)
{
    uint64_t u = bits_uvarint(bits);

    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

/* Both control bits are known to be there; `word` is what lies at the position. */
static inline void
xor_changed(struct bit_reader *bits, uint64_t word, uint64_t *v, uint8_t *leading,
            uint8_t *trailing)
{
    unsigned used = 2;

    if (word >> 62 == 3) {
        unsigned significant = (unsigned)(word >> 51) & 63;
        significant = significant == 0 ? 64 : significant;
        *leading = (uint8_t)(word >> 57 & 31);
        /* A window of more than 64 bits cannot be written; it is read as damage. */
        if (UNLIKELY(*leading + significant > 64)) {
            bits->bad = true;
            significant = 64u - *leading;
        }
        *trailing = (uint8_t)(64 - *leading - significant);
        used = 13;
    }
    unsigned n = 64u - *leading - *trailing;
    uint64_t x;
    if (LIKELY(used + n <= PEEK_BITS)) {
        x = word << used >> (64 - n);
        bits_skip(bits, used + n);
    } else {
        bits_skip(bits, used);
        x = bits_take64(bits, n);
    }
    *v ^= x << *trailing;
}

void
xor_field_read(struct bit_reader *bits, uint64_t *v, uint8_t *leading, uint8_t *trailing)
{
    uint64_t word = bits_peek(bits);

    if (word >> 63 == 0)
        bits_skip(bits, 1);
    else
        xor_changed(bits, word, v, leading, trailing);
}

/* A delta-of-delta that is not zero: `10`+14, `110`+17, `1110`+20, `1111`+64 bits. */
static inline int64_t
dod_read(struct bit_reader *bits, uint64_t word)
{
    static const uint8_t sizes[] = { 0, 14, 17, 20 };
    unsigned ones = (unsigned)__builtin_clzll(~word | 1);

    if (UNLIKELY(ones >= 4)) {
        bits_skip(bits, 4);
        return (int64_t)bits_take64(bits, 64);
    }
    unsigned n = sizes[ones];
    int64_t x = (int64_t)(word << (ones + 1) >> (64 - n));
    bits_skip(bits, ones + 1 + n);
    return x > INT64_C(1) << (n - 1) ? x - (INT64_C(1) << n) : x;
}

void
xor_reader_init(struct xor_reader *r, struct bytes data)
{
    struct bytes body = { data.p + CHUNK_XOR_HEADER_BYTES, data.n - CHUNK_XOR_HEADER_BYTES };
    uint32_t nr = (uint32_t)data.p[0] << 8 | data.p[1];

    *r = (struct xor_reader){ .bits = bit_reader_of(body), .nr = nr, .left_nr = nr };
}

/* Not 0 for a delta with which times may fail to grow: not above 0, or so large that 65535 of them
 * may overflow. */
static inline uint64_t
delta_odd(uint64_t delta)
{
    return (delta - 1) >> 45;
}

static void
read_first(struct xor_reader *r)
{
    if (r->left_nr == r->nr) {
        r->t_ms = bits_varint(&r->bits);
        r->odd |= (uint64_t)(r->t_ms >> 61 != 0 && r->t_ms >> 61 != -1);
        r->v = bits_take64(&r->bits, 64);
        return;
    }
    r->delta = bits_uvarint(&r->bits);
    r->odd |= delta_odd(r->delta);
    r->t_ms = (int64_t)((uint64_t)r->t_ms + r->delta);
    uint64_t word = bits_peek(&r->bits);
    r->has_window = word >> 63 != 0;
    xor_field_read(&r->bits, &r->v, &r->leading, &r->trailing);
}

/* A sample after the second. */
static inline void
read_later(struct xor_reader *r)
{
    uint64_t word = bits_peek(&r->bits);

    if (word >> 63 == 0) {
        bits_skip(&r->bits, 1);
        word <<= 1;
        if (UNLIKELY(r->bits.pos % 8 == 0)) /* the shift above may have left only 56 bits */
            word = bits_peek(&r->bits);
    } else {
        r->delta += (uint64_t)dod_read(&r->bits, word);
        r->odd |= delta_odd(r->delta);
        word = bits_peek(&r->bits);
    }
    r->t_ms = (int64_t)((uint64_t)r->t_ms + r->delta);
    if (word >> 63 == 0) {
        bits_skip(&r->bits, 1);
    } else {
        r->has_window = true;
        xor_changed(&r->bits, word, &r->v, &r->leading, &r->trailing);
    }
}

bool
xor_reader_next(struct xor_reader *r)
{
    if (r->left_nr == 0 || r->bits.bad)
        return false;
    if (r->nr - r->left_nr < 2)
        read_first(r);
    else
        read_later(r);
    if (r->bits.bad)
        return false;
    r->left_nr--;
    return true;
}

/* Samples at this position that repeat delta and value, two zero bits each; at most max. */
static inline uint32_t
run_length(uint64_t word, uint32_t max)
{
    uint32_t pairs = (uint32_t)__builtin_clzll(word | 1) / 2;

    return MIN(MIN(pairs, (uint32_t)PEEK_BITS / 2), max);
}

/* What a sample takes at most, and a whole word behind it: with so many bytes left nothing needs
 * checking. */
enum { FAST_BYTES = 32 };

static inline bool
has_fast_bytes(const struct xor_reader *r)
{
    return r->bits.pos / 8 + FAST_BYTES <= r->bits.bits_nr / 8;
}

static inline uint64_t
fast_peek(const struct xor_reader *r)
{
    uint64_t word;

    memcpy(&word, r->bits.p + r->bits.pos / 8, sizeof word);
    return __builtin_bswap64(word) << r->bits.pos % 8;
}

/* A new delta, without a branch on its size. False (nothing read) for the 64-bit form. */
static inline bool
dod_fast(struct xor_reader *r, uint64_t word)
{
    static const uint8_t taken[4] = { 1, 16, 20, 24 }, unused[4] = { 63, 50, 47, 44 };
    static const uint32_t full[4] = { 1, 1 << 14, 1 << 17, 1 << 20 };
    unsigned ones = (unsigned)__builtin_clzll(~word | 1);

    if (UNLIKELY(ones >= 4))
        return false;
    uint64_t dod = word << (ones + 1) >> unused[ones];
    dod -= dod > full[ones] / 2 ? full[ones] : 0;
    r->delta += dod;
    r->odd |= delta_odd(r->delta);
    r->bits.pos += taken[ones];
    return true;
}

/* read_later() without checks. Where time is regular or values keep their window the branches are
 * foreseen; on the size of a delta and of a value there are none. */
static inline void
read_fast(struct xor_reader *r, uint64_t word)
{
    if (word >> 63 == 0) {
        r->bits.pos++;
    } else if (!dod_fast(r, word)) {
        read_later(r);
        return;
    }
    r->t_ms = (int64_t)((uint64_t)r->t_ms + r->delta);
    word = fast_peek(r);
    if (word >> 63 == 0) {
        r->bits.pos++;
        return;
    }
    unsigned n = 64u - r->leading - r->trailing;
    if (word >> 62 == 3 || n > PEEK_BITS - 2) {
        r->has_window = true;
        xor_changed(&r->bits, word, &r->v, &r->leading, &r->trailing);
        return;
    }
    r->v ^= word << 2 >> (64 - n) << r->trailing;
    r->bits.pos += 2 + n;
}

/* Writes up to the rest of the chunk behind t[0..], v[0..]; returns how many. */
static uint32_t
read_rest(struct xor_reader *r, int64_t *t, uint64_t *v)
{
    struct xor_reader at = *r; /* in registers */
    uint32_t nr = at.left_nr, i = 0;

    while (i < nr) {
        uint32_t run = run_length(bits_peek(&at.bits), nr - i);
        if (run != 0) {
            bits_skip(&at.bits, run * 2);
            for (uint32_t end = i + run; i < end; i++) {
                at.t_ms = (int64_t)((uint64_t)at.t_ms + at.delta);
                t[i] = at.t_ms;
                v[i] = at.v;
            }
        } else {
            if (LIKELY(has_fast_bytes(&at)))
                read_fast(&at, fast_peek(&at));
            else
                read_later(&at);
            t[i] = at.t_ms;
            v[i] = at.v;
            i++;
        }
        if (UNLIKELY(at.bits.bad)) {
            i -= MIN(i, MAX(run, 1u));
            break;
        }
    }
    at.left_nr = nr - i;
    *r = at;
    return i;
}

/* Times must grow; cuts at the first that does not. */
static uint32_t
grown_nr(const int64_t *t, uint32_t nr)
{
    bool grows = true;

    for (uint32_t i = 1; i < nr; i++)
        grows &= t[i] > t[i - 1];
    if (LIKELY(grows))
        return nr;
    for (uint32_t i = 1; i < nr; i++)
        if (t[i] <= t[i - 1])
            return i;
    return nr;
}

bool
chunk_xor_read(struct bytes data, struct sample_buf *out, struct error *err)
{
    struct xor_reader r;
    uint32_t i = 0;

    if (data.n < CHUNK_XOR_HEADER_BYTES)
        return error_set(err, ERR_CORRUPT, "XOR chunk of %zu bytes has no header", data.n);
    xor_reader_init(&r, data);
    /* A sample takes two bits at least: bounds what a damaged count can make us allocate. */
    sample_buf_reserve(out, MIN((uint64_t)r.nr, data.n * 4 + 2));
    int64_t *t = out->t_ms + out->nr;
    uint64_t *v = (uint64_t *)(void *)(out->v + out->nr);
    for (; i < 2 && xor_reader_next(&r); i++) {
        t[i] = r.t_ms;
        v[i] = r.v;
    }
    if (i == 2 && r.left_nr <= data.n * 4)
        i += read_rest(&r, t + 2, v + 2);
    uint32_t good_nr = r.odd == 0 ? i : grown_nr(t, i);
    if (out->h != NULL)
        memset(out->h + out->nr, 0, good_nr * sizeof *out->h);
    if (out->st_ms != NULL)
        memset(out->st_ms + out->nr, 0, good_nr * sizeof *out->st_ms);
    out->nr += good_nr;
    if (good_nr < i)
        return error_set(err, ERR_CORRUPT,
                         "XOR chunk: time of sample %u is not after the one before", good_nr);
    if (r.left_nr != 0)
        return error_set(err, ERR_CORRUPT, "XOR chunk ends after %u of %u samples", i, r.nr);
    return true;
}

/* ---- several chunks in turns ---- */

enum {
    LANES = CHUNK_XOR_LANES,
    RUNS_BITS_MAX =
        4 /* fewer bits a sample: mostly unchanged, where taking runs is ten times as fast */
};

bool
chunk_xor_is_dense(struct bytes data)
{
    uint32_t nr = data.n < CHUNK_XOR_HEADER_BYTES ? 0 : (uint32_t)data.p[0] << 8 | data.p[1];

    return nr > 2 && nr <= data.n * 4 && data.n * 8 > (size_t)nr * RUNS_BITS_MAX;
}

struct lane {
    struct xor_reader r;
    int64_t *t;
    uint64_t *v;
};

static inline void
lane_step(struct lane *l, uint32_t i, bool fast)
{
    if (fast)
        read_fast(&l->r, fast_peek(&l->r));
    else
        read_later(&l->r);
    l->t[i] = l->r.t_ms;
    l->v[i] = l->r.v;
}

/* Two first samples, which all lanes have. */
static void
lane_start(struct lane *l, struct bytes data, int64_t *t, uint64_t *v)
{
    *l = (struct lane){ .t = t, .v = v };
    xor_reader_init(&l->r, data);
    for (uint32_t i = 0; i < 2; i++) {
        if (!xor_reader_next(&l->r))
            break;
        t[i] = l->r.t_ms;
        v[i] = l->r.v;
    }
}

/* Samples from the third on, one of each lane in turn, as long as no lane comes near its end;
 * returns how far. */
static uint32_t
lanes_fast(struct lane *lanes, uint32_t nr)
{
    struct lane a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];
    uint32_t i = 2;

    for (; i < nr; i++) {
        if (UNLIKELY(!(has_fast_bytes(&a.r) & has_fast_bytes(&b.r) & has_fast_bytes(&c.r) &
                       has_fast_bytes(&d.r))))
            break;
        lane_step(&a, i, true);
        lane_step(&b, i, true);
        lane_step(&c, i, true);
        lane_step(&d, i, true);
    }
    lanes[0] = a;
    lanes[1] = b;
    lanes[2] = c;
    lanes[3] = d;
    return i;
}

bool
chunk_xor_read_lanes(const struct chunk *chunks, struct sample_buf *out)
{
    struct lane lanes[LANES];
    size_t total = 0, at = out->nr;
    uint32_t together = UINT32_MAX;
    uint64_t odd = 0;
    bool good = true;

    for (unsigned k = 0; k < LANES; k++)
        total += chunk_samples_nr(CHUNK_XOR, chunks[k].data);
    sample_buf_reserve(out, total);
    for (unsigned k = 0; k < LANES; k++) {
        lane_start(&lanes[k], chunks[k].data, out->t_ms + at, (uint64_t *)(void *)(out->v + at));
        at += lanes[k].r.nr;
        together = MIN(together, lanes[k].r.nr);
    }
    uint32_t i = lanes_fast(lanes, together);
    /* Damage only reads zeros from there on, so it is asked for once behind the loop. */
    for (unsigned k = 0; k < LANES; k++) {
        for (uint32_t j = i; j < lanes[k].r.nr; j++)
            lane_step(&lanes[k], j, has_fast_bytes(&lanes[k].r));
        good &= !lanes[k].r.bits.bad;
        odd |= lanes[k].r.odd;
        odd |= (uint64_t)(k > 0 && lanes[k].t[0] <= lanes[k].t[-1]);
    }
    if (!good || odd != 0)
        return false;
    if (out->h != NULL)
        memset(out->h + out->nr, 0, total * sizeof *out->h);
    if (out->st_ms != NULL)
        memset(out->st_ms + out->nr, 0, total * sizeof *out->st_ms);
    out->nr += total;
    return true;
}
