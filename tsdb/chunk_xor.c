/* Layout: u16 number of samples, then bits: sample 0 is varint t and 64 bits of value; sample 1
 * uvarint delta and a value field; all others delta-of-delta field and value field
 * (docs/formats/chunks.md).
 *
 * One append computes the fields first and writes them only when they fit, so that "no room"
 * changes nothing. From the third sample on a sample takes at most 101 bits, unless its delta
 * leaves the bins: those go out as two 64-bit words. The first two and the others go field by
 * field. */
#include "tsdb/chunk_xor.h"

#include "base/varint.h"
#include "tsdb/chunk_priv.h"

enum {
    NO_WINDOW = 0xFF,
    LEADING_MAX = 31,
    WORDS_BYTES = 16,
};

/* Bits to be written: the low `n` bits of v, field by field. */
struct fields {
    uint64_t v[12];
    uint8_t n[12];
    unsigned nr, bits;
};

static inline void
field_add(struct fields *f, uint64_t v, unsigned n)
{
    f->v[f->nr] = n < 64 ? v & ((UINT64_C(1) << n) - 1) : v;
    f->n[f->nr++] = (uint8_t)n;
    f->bits += n;
}

static void
fields_varint(struct fields *f, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        field_add(f, bytes[i], 8);
}

/* An n-bit bin holds -(2^(n-1)-1) .. 2^(n-1). */
static inline bool
fits(int64_t x, unsigned n)
{
    return -((INT64_C(1) << (n - 1)) - 1) <= x && x <= INT64_C(1) << (n - 1);
}

static inline void
fields_dod(struct fields *f, int64_t dod)
{
    if (dod == 0) {
        field_add(f, 0, 1);
    } else if (fits(dod, 14)) {
        field_add(f, UINT64_C(2) << 14 | ((uint64_t)dod & 0x3FFF), 16);
    } else if (fits(dod, 17)) {
        field_add(f, UINT64_C(6) << 17 | ((uint64_t)dod & 0x1FFFF), 20);
    } else if (fits(dod, 20)) {
        field_add(f, UINT64_C(14) << 20 | ((uint64_t)dod & 0xFFFFF), 24);
    } else {
        field_add(f, 15, 4);
        field_add(f, (uint64_t)dod, 64);
    }
}

/* Sets the window in *next when a new one is needed. */
static inline void
fields_xor(struct fields *f, uint64_t delta, const struct chunk_xor *x, struct chunk_xor *next)
{
    if (delta == 0) {
        field_add(f, 0, 1);
        return;
    }
    unsigned leading = MIN((unsigned)__builtin_clzll(delta), (unsigned)LEADING_MAX);
    unsigned trailing = (unsigned)__builtin_ctzll(delta);
    if (x->leading != NO_WINDOW && leading >= x->leading && trailing >= x->trailing) {
        field_add(f, 2, 2);
        field_add(f, delta >> x->trailing, 64u - x->leading - x->trailing);
        return;
    }
    unsigned significant = 64 - leading - trailing;
    next->leading = (uint8_t)leading;
    next->trailing = (uint8_t)trailing;
    field_add(f, UINT64_C(3) << 11 | (uint64_t)leading << 6 | (significant & 63), 13);
    field_add(f, delta >> trailing, significant);
}

/* Touches no byte that the chunk will not have. */
static void
fields_put(const struct fields *f, uint8_t *p, size_t at, unsigned room)
{
    for (unsigned i = 0; i < f->nr; i++) {
        uint64_t v = f->v[i];
        unsigned left = f->n[i];
        if (room != 0) {
            unsigned take = MIN(left, room);
            p[at - 1] |= (uint8_t)(v >> (left - take) << (room - take));
            room -= take;
            left -= take;
        }
        for (; left >= 8; left -= 8)
            p[at++] = (uint8_t)(v >> (left - 8));
        if (left > 0) {
            room = 8 - left;
            p[at++] = (uint8_t)(v << room);
        }
    }
}

void
chunk_xor_start(struct chunk_xor *x, uint8_t *p)
{
    *x = (struct chunk_xor){ .leading = NO_WINDOW };
    p[0] = p[1] = 0;
}

/* The fields of the first two samples hold whole varints. */
static void
fields_first(struct fields *f, const struct chunk_xor *x, int64_t t_ms, double v)
{
    uint8_t bytes[VARINT_BYTES_MAX];

    if (x->nr == 0) {
        fields_varint(f, bytes, varint_put(bytes, t_ms));
        field_add(f, double_bits(v), 64);
    } else {
        fields_varint(f, bytes, uvarint_put(bytes, (uint64_t)t_ms - (uint64_t)x->t_ms));
    }
}

/* The first two samples, and deltas outside the bins. */
static bool
append_fields(struct chunk_xor *x, uint8_t *p, size_t *n, size_t cap, int64_t t_ms, double v)
{
    struct chunk_xor next = *x;
    struct fields f;

    if (UNLIKELY(x->nr == CHUNK_SAMPLES_MAX))
        return false;
    f.nr = f.bits = 0;
    if (x->nr < 2)
        fields_first(&f, x, t_ms, v);
    if (x->nr > 0) {
        next.delta = (uint64_t)t_ms - (uint64_t)x->t_ms;
        if (x->nr > 1)
            fields_dod(&f, (int64_t)(next.delta - x->delta));
        fields_xor(&f, double_bits(v) ^ double_bits(x->v), x, &next);
    }
    size_t end = *n * 8 - x->free_nr + f.bits;
    if ((end + 7) / 8 > cap)
        return false;
    fields_put(&f, p, *n, x->free_nr);
    *n = (end + 7) / 8;
    next.free_nr = (uint8_t)(*n * 8 - end);
    next.t_ms = t_ms;
    next.v = v;
    next.nr++;
    *x = next;
    return true;
}

/* A sample's bits: the delta-of-delta field and what leads the value, then the value's own. */
struct sample_bits {
    uint64_t head, value; /* value: left-aligned, zeros behind */
    unsigned head_n, value_n;
    uint8_t leading, trailing; /* the window from here on */
};

/* False for what takes 64 bits. */
static inline bool
bits_dod(struct sample_bits *b, uint64_t dod)
{
    uint64_t below = dod - 1;
    uint64_t size = below ^ (uint64_t)((int64_t)below >> 63); /* fits n bits when < 2^(n-1) */

    if (dod == 0) {
        b->head = 0;
        b->head_n = 1;
    } else if (LIKELY(size < 1 << 13)) {
        b->head = UINT64_C(2) << 14 | (dod & 0x3FFF);
        b->head_n = 16;
    } else if (size < 1 << 16) {
        b->head = UINT64_C(6) << 17 | (dod & 0x1FFFF);
        b->head_n = 20;
    } else if (size < 1 << 19) {
        b->head = UINT64_C(14) << 20 | (dod & 0xFFFFF);
        b->head_n = 24;
    } else {
        return false;
    }
    return true;
}

static inline void
bits_xor(struct sample_bits *b, uint64_t delta, const struct chunk_xor *x)
{
    b->leading = x->leading;
    b->trailing = x->trailing;
    b->value = 0;
    b->value_n = 0;
    if (delta == 0) {
        b->head <<= 1;
        b->head_n++;
        return;
    }
    unsigned leading = MIN((unsigned)__builtin_clzll(delta), (unsigned)LEADING_MAX);
    unsigned trailing = (unsigned)__builtin_ctzll(delta);
    if (leading >= x->leading && trailing >= x->trailing) { /* never so while there is none */
        b->head = b->head << 2 | 2;
        b->head_n += 2;
    } else {
        unsigned significant = 64 - leading - trailing;
        b->head = b->head << 13 | UINT64_C(3) << 11 | (uint64_t)leading << 6 | (significant & 63);
        b->head_n += 13;
        b->leading = (uint8_t)leading;
        b->trailing = (uint8_t)trailing;
    }
    b->value = delta << b->leading;
    b->value_n = 64u - b->leading - b->trailing;
}

static inline void
put_be64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
}

static inline uint64_t
get_be64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

static void
words_store_last(uint8_t *p, size_t at, size_t cap, uint64_t high, uint64_t low)
{
    uint8_t *last = p + cap - WORDS_BYTES;
    unsigned skip = (unsigned)(at - (cap - WORDS_BYTES) * 8);
    unsigned __int128 bits = ((unsigned __int128)high << 64 | low) >> skip;
    unsigned __int128 before = (unsigned __int128)get_be64(last) << 64 | get_be64(last + 8);

    bits |= before & ~(~(unsigned __int128)0 >> skip);
    put_be64(last, (uint64_t)(bits >> 64));
    put_be64(last + 8, (uint64_t)bits);
}

/* 128 left-aligned bits to bit `at` of p[0..cap): what lies before is kept, what follows is zeroed.
 * Near the end of the room the two words move back over bytes that are there already. */
static inline void
words_store(uint8_t *p, size_t at, size_t cap, uint64_t high, uint64_t low)
{
    size_t byte = at / 8;
    unsigned skip = at % 8;
    uint64_t before = (uint64_t)(p[byte] & (0xFF00u >> skip)) << 56;

    if (UNLIKELY(byte + WORDS_BYTES > cap)) {
        words_store_last(p, at, cap, high, low);
        return;
    }
    put_be64(p + byte, before | high >> skip);
    put_be64(p + byte + 8, low >> skip | high << 1 << (63 - skip));
}

bool
chunk_xor_append_bits(struct chunk_xor *x, uint8_t *p, size_t *n, size_t cap, int64_t t_ms,
                      double v)
{
    struct sample_bits b;
    uint64_t delta = (uint64_t)t_ms - (uint64_t)x->t_ms;

    if (UNLIKELY(x->nr < 2 || x->nr == CHUNK_SAMPLES_MAX || cap < WORDS_BYTES ||
                 !bits_dod(&b, delta - x->delta)))
        return append_fields(x, p, n, cap, t_ms, v);
    bits_xor(&b, double_bits(v) ^ double_bits(x->v), x);
    size_t at = *n * 8 - x->free_nr, end = at + b.head_n + b.value_n, bytes_nr = (end + 7) / 8;
    if (UNLIKELY(bytes_nr > cap))
        return false;
    words_store(p, at, cap, b.head << (64 - b.head_n) | b.value >> b.head_n,
                b.value << (64 - b.head_n));
    *n = bytes_nr;
    x->free_nr = (uint8_t)(bytes_nr * 8 - end);
    x->leading = b.leading;
    x->trailing = b.trailing;
    x->delta = delta;
    x->t_ms = t_ms;
    x->v = v;
    x->nr++;
    return true;
}

void
chunk_xor_count(const struct chunk_xor *x, uint8_t *p)
{
    p[0] = (uint8_t)(x->nr >> 8);
    p[1] = (uint8_t)x->nr;
}

bool
chunk_xor_append(struct chunk_xor *x, uint8_t *p, size_t *n, size_t cap, int64_t t_ms, double v)
{
    if (!chunk_xor_append_bits(x, p, n, cap, t_ms, v))
        return false;
    chunk_xor_count(x, p);
    return true;
}

bool
chunk_xor_resume(struct chunk_xor *x, struct bytes data, struct error *err)
{
    struct xor_reader r;

    if (data.n < CHUNK_XOR_HEADER_BYTES)
        return error_set(err, ERR_CORRUPT, "XOR chunk of %zu bytes has no header", data.n);
    xor_reader_init(&r, data);
    while (xor_reader_next(&r))
        continue;
    if (r.bits.bad)
        return error_set(err, ERR_CORRUPT, "XOR chunk ends after %u of %u samples",
                         r.nr - r.left_nr, r.nr);
    uint64_t bytes_nr = (r.bits.pos + 7) / 8;
    if (bytes_nr + CHUNK_XOR_HEADER_BYTES != data.n)
        return error_set(err, ERR_CORRUPT, "XOR chunk has bytes behind its last sample");
    *x = (struct chunk_xor){ .t_ms = r.t_ms,
                             .delta = r.delta,
                             .v = double_of_bits(r.v),
                             .leading = r.has_window ? r.leading : NO_WINDOW,
                             .trailing = r.trailing,
                             .free_nr = (uint8_t)(bytes_nr * 8 - r.bits.pos),
                             .nr = (uint16_t)r.nr };
    return true;
}
