/* Layout: u16 number of samples, then bits: sample 0 is varint t and 64 bits of value; sample 1
 * uvarint delta and a value field; all others delta-of-delta field and value field
 * (docs/formats/chunks.md).
 *
 * One append computes the at most four fields first and writes them only when they fit, so that "no
 * room" changes nothing. */
#include "tsdb/chunk_xor.h"

#include "base/varint.h"
#include "tsdb/chunk_priv.h"

enum {
    NO_WINDOW = 0xFF,
    LEADING_MAX = 31,
    STORE_ROOM =
        CHUNK_XOR_SAMPLE_BYTES_MAX + 8 /* whole words may be stored over what a sample adds */
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

/* Writes nbits <= 56 at bit `at` with one 8-byte store: what stands before in the byte is kept,
 * what comes behind is zeroed. */
static inline void
store_bits(uint8_t *p, size_t at, uint64_t v, unsigned n)
{
    uint64_t word = (uint64_t)p[at / 8] & (0xFF00u >> at % 8);

    word = word << 56 | v << (64 - n) >> at % 8;
    word = __builtin_bswap64(word);
    memcpy(p + at / 8, &word, sizeof word);
}

/* With STORE_ROOM bytes behind the chunk. */
static void
fields_store(const struct fields *f, uint8_t *p, size_t at)
{
    for (unsigned i = 0; i < f->nr; i++) {
        unsigned n = f->n[i];
        if (UNLIKELY(n > 56)) {
            store_bits(p, at, f->v[i] >> 32, n - 32);
            at += n - 32;
            n = 32;
        }
        store_bits(p, at, f->v[i] & (UINT64_MAX >> (64 - n)), n);
        at += n;
    }
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

/* The fields were found to fit into cap. */
static inline void
fields_write(const struct fields *f, uint8_t *p, size_t *n, size_t cap, uint8_t *free_nr)
{
    size_t at = *n * 8 - *free_nr, end = at + f->bits;

    if (cap - *n >= STORE_ROOM)
        fields_store(f, p, at);
    else
        fields_put(f, p, *n, *free_nr);
    *n = (end + 7) / 8;
    *free_nr = (uint8_t)(*n * 8 - end);
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

bool
chunk_xor_append(struct chunk_xor *x, uint8_t *p, size_t *n, size_t cap, int64_t t_ms, double v)
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
    if (*n + (f.bits + 7 - x->free_nr) / 8 > cap)
        return false;
    fields_write(&f, p, n, cap, &next.free_nr);
    next.t_ms = t_ms;
    next.v = v;
    next.nr++;
    p[0] = (uint8_t)(next.nr >> 8);
    p[1] = (uint8_t)next.nr;
    *x = next;
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
