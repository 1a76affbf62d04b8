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

static void
read_first(struct xor_reader *r)
{
    if (r->left_nr == r->nr) {
        r->t_ms = bits_varint(&r->bits);
        r->v = bits_take64(&r->bits, 64);
        return;
    }
    r->delta = bits_uvarint(&r->bits);
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
    uint32_t good_nr = grown_nr(t, i);
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
