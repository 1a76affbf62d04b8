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

/* What a sample takes at most, and whole words behind it: with so many bytes left nothing needs
 * checking. */
enum { FAST_BYTES = 32 };

/* The compiler thinks several copies of a step too large; called, its state would live in memory.
 */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* What the fast loops keep in registers: no address of it may leave them. */
struct fast {
    const uint8_t *p;
    uint64_t pos, end; /* bits; end: the last place from where a sample may be read unchecked */
    uint64_t t_ms, delta, v, odd;
    unsigned skip, trailing; /* skip: 64 less the bits of a value in this window */
    bool has_window, bad;    /* bad: a window that cannot be; what was read is to be thrown away */
};

ALWAYS_INLINE struct fast
fast_of(const struct xor_reader *r)
{
    uint64_t bytes_nr = r->bits.bits_nr / 8;

    return (struct fast){ .p = r->bits.p,
                          .pos = r->bits.pos,
                          .end = bytes_nr < FAST_BYTES ? 0 : (bytes_nr - FAST_BYTES) * 8,
                          .t_ms = (uint64_t)r->t_ms,
                          .delta = r->delta,
                          .v = r->v,
                          .odd = r->odd,
                          .skip = (unsigned)r->leading + r->trailing,
                          .trailing = r->trailing,
                          .has_window = r->has_window };
}

static inline void
fast_back(const struct fast *f, struct xor_reader *r)
{
    r->t_ms = (int64_t)f->t_ms;
    r->delta = f->delta;
    r->v = f->v;
    r->odd = f->odd;
    r->leading = (uint8_t)(f->skip - f->trailing);
    r->trailing = (uint8_t)f->trailing;
    r->has_window = f->has_window;
    r->bits.pos = f->pos;
}

ALWAYS_INLINE uint64_t
fast_peek(const struct fast *f, uint64_t pos)
{
    uint64_t word;

    memcpy(&word, f->p + pos / 8, sizeof word);
    return __builtin_bswap64(word) << pos % 8;
}

/* A new delta, without a branch on its size. False (nothing read) for the 64-bit form. */
ALWAYS_INLINE bool
fast_delta(struct fast *f, uint64_t word)
{
    static const uint8_t taken[4] = { 1, 16, 20, 24 }, unused[4] = { 63, 50, 47, 44 };
    static const uint32_t full[4] = { 1, 1 << 14, 1 << 17, 1 << 20 };
    unsigned ones = (unsigned)__builtin_clzll(~word | 1);

    if (UNLIKELY(ones >= 4))
        return false;
    uint64_t dod = word << (ones + 1) >> unused[ones];
    dod -= dod > full[ones] / 2 ? full[ones] : 0;
    f->delta += dod;
    f->odd |= delta_odd(f->delta);
    f->pos += taken[ones];
    return true;
}

/* A value that changed; its control bits are on top of word. */
ALWAYS_INLINE void
fast_value(struct fast *f, uint64_t word)
{
    if (word >> 62 == 3) {
        unsigned significant = (unsigned)(word >> 51) & 63, leading = (unsigned)(word >> 57) & 31;
        significant = significant == 0 ? 64 : significant;
        f->bad |= leading + significant > 64;
        f->skip = 64 - significant;
        f->trailing = (64 - leading - significant) & 63;
        f->has_window = true;
        f->pos += 13;
    } else {
        f->pos += 2;
    }
    word = fast_peek(f, f->pos);
    if (UNLIKELY(f->skip < 64 - PEEK_BITS))
        word = word >> 32 << 32 | fast_peek(f, f->pos + 32) >> 32;
    f->v ^= word >> f->skip << f->trailing;
    f->pos += 64 - f->skip;
}

ALWAYS_INLINE void
fast_value_or_same(struct fast *f, uint64_t word)
{
    if (word >> 63 == 0)
        f->pos++;
    else
        fast_value(f, word);
}

/* read_later() without checks, where time is regular or values keep their window without a branch
 * that is not foreseen. False, with nothing read, for what read_later() has to look at. */
ALWAYS_INLINE bool
fast_step(struct fast *f, uint64_t word)
{
    if (word >> 63 == 0) {
        f->pos++;
        word <<= 1;
    } else {
        if (UNLIKELY(!fast_delta(f, word)))
            return false;
        word = fast_peek(f, f->pos);
    }
    f->t_ms += f->delta;
    fast_value_or_same(f, word);
    return true;
}

/* As many as can be read unchecked, at most nr; returns how many. */
static uint32_t
fast_many(struct fast *state, uint32_t nr, int64_t *t, uint64_t *v)
{
    struct fast f = *state;
    uint32_t i = 0;

    while (i < nr && f.pos <= f.end) {
        uint64_t word = fast_peek(&f, f.pos);
        if (word >> 62 != 0) {
            if (!fast_step(&f, word))
                break;
            t[i] = (int64_t)f.t_ms;
            v[i++] = f.v;
            continue;
        }
        uint32_t end = i + run_length(word, nr - i);
        f.pos += (uint64_t)(end - i) * 2;
        for (; i < end; i++) {
            f.t_ms += f.delta;
            t[i] = (int64_t)f.t_ms;
            v[i] = f.v;
        }
    }
    *state = f;
    return i;
}

/* The last bytes of a chunk are read from a copy with zeros behind it. */
static uint32_t
fast_last(struct fast *f, uint64_t bits_nr, uint32_t nr, int64_t *t, uint64_t *v)
{
    uint8_t copy[2 * FAST_BYTES + sizeof(uint64_t)] = { 0 };
    uint64_t from = f->pos / 8, n = bits_nr / 8 - from;

    if (n > FAST_BYTES + 8)
        return 0;
    const uint8_t *p = f->p;
    memcpy(copy, p + from, n);
    f->p = copy;
    f->pos -= from * 8;
    f->end = n * 8;
    uint32_t i = fast_many(f, nr, t, v);
    f->p = p;
    f->pos += from * 8;
    return i;
}

/* False, with nothing changed, when it came upon damage. */
static bool
read_fast(struct xor_reader *r, uint32_t nr, int64_t *t, uint64_t *v, uint32_t *read_nr)
{
    struct fast f = fast_of(r);
    uint32_t i = fast_many(&f, nr, t, v);

    if (i < nr && !f.bad && f.pos <= r->bits.bits_nr)
        i += fast_last(&f, r->bits.bits_nr, nr - i, t + i, v + i);
    if (f.bad || f.pos > r->bits.bits_nr)
        return false;
    fast_back(&f, r);
    *read_nr = i;
    return true;
}

/* Writes up to the rest of the chunk behind t[0..], v[0..]; returns how many. */
static uint32_t
read_rest(struct xor_reader *r, int64_t *t, uint64_t *v)
{
    uint32_t nr = r->left_nr, i = 0, fast_nr;
    bool fast = true;

    for (; i < nr; i++) {
        fast_nr = 0;
        fast = fast && read_fast(r, nr - i, t + i, v + i, &fast_nr);
        i += fast_nr;
        if (i == nr)
            break;
        read_later(r);
        if (UNLIKELY(r->bits.bad))
            break;
        t[i] = r->t_ms;
        v[i] = r->v;
    }
    r->left_nr = nr - i;
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

/* Jittered: without a branch on time, which would not be foreseen. */
ALWAYS_INLINE bool
lane_step(struct fast *f, const struct lane *l, uint32_t i, bool jittered)
{
    uint64_t word = fast_peek(f, f->pos);
    bool ok = true;

    if (!jittered) {
        ok = fast_step(f, word);
    } else if (LIKELY((ok = fast_delta(f, word)))) {
        f->t_ms += f->delta;
        fast_value_or_same(f, fast_peek(f, f->pos));
    }
    l->t[i] = (int64_t)f->t_ms;
    l->v[i] = f->v;
    return ok;
}

/* Samples from the third on, one of each lane in turn, as long as no lane comes near its end or to
 * something odd: each then stands where its reader says. */
ALWAYS_INLINE bool
lanes_walk(struct lane *lanes, uint32_t nr, bool jittered)
{
    struct fast a = fast_of(&lanes[0].r), b = fast_of(&lanes[1].r), c = fast_of(&lanes[2].r),
                d = fast_of(&lanes[3].r);
    uint32_t i = 2, done[LANES];
    bool ok_a = true, ok_b = true, ok_c = true, ok_d = true;

    for (; i < nr; i++) {
        if (UNLIKELY(a.pos > a.end || b.pos > b.end || c.pos > c.end || d.pos > d.end))
            break;
        ok_a = lane_step(&a, &lanes[0], i, jittered);
        ok_b = lane_step(&b, &lanes[1], i, jittered);
        ok_c = lane_step(&c, &lanes[2], i, jittered);
        ok_d = lane_step(&d, &lanes[3], i, jittered);
        if (UNLIKELY(!(ok_a & ok_b & ok_c & ok_d)))
            break;
    }
    bool stopped = i < nr && !(ok_a & ok_b & ok_c & ok_d);
    done[0] = i + (stopped && ok_a);
    done[1] = i + (stopped && ok_b);
    done[2] = i + (stopped && ok_c);
    done[3] = i + (stopped && ok_d);
    if (a.bad || b.bad || c.bad || d.bad)
        return false;
    fast_back(&a, &lanes[0].r);
    fast_back(&b, &lanes[1].r);
    fast_back(&c, &lanes[2].r);
    fast_back(&d, &lanes[3].r);
    for (unsigned k = 0; k < LANES; k++)
        lanes[k].r.left_nr = lanes[k].r.nr - done[k];
    return true;
}

/* Whether time jitters is asked of the third samples: with jitter hardly all four repeat a delta.
 */
static bool
lanes_fast(struct lane *lanes, uint32_t nr)
{
    uint64_t changed = 0;

    for (unsigned k = 0; k < LANES; k++)
        changed |= bits_peek(&lanes[k].r.bits) >> 63;
    return changed != 0 ? lanes_walk(lanes, nr, true) : lanes_walk(lanes, nr, false);
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
    for (unsigned k = 0; k < LANES; k++)
        good &= lanes[k].r.left_nr == lanes[k].r.nr - 2; /* both first samples are there */
    if (!good || !lanes_fast(lanes, together))
        return false;
    for (unsigned k = 0; k < LANES; k++) {
        struct lane *l = &lanes[k];
        uint32_t from = l->r.nr - l->r.left_nr;
        read_rest(&l->r, l->t + from, l->v + from);
        good &= l->r.left_nr == 0;
        odd |= l->r.odd;
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
