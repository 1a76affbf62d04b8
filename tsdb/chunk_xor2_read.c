/* Decoding XOR2 chunks: u16 count, a byte that tells whether sample 0 has a start timestamp (top
 * bit) and from which sample on every sample carries one (low 7 bits, 0: none), then bits. A stale
 * sample leaves the value that the next xor refers to unchanged. */
#include "tsdb/chunk_priv.h"

#include "tsdb/chunk_varbit.h"

enum { HEADER_BYTES = 3 };

struct xor2_reader {
    struct bit_reader bits;
    uint32_t nr, read_nr, st_from;
    bool st_first;
    int64_t t_ms, st_ms, st_diff;
    uint64_t delta, v, base; /* base: the newest value that is not stale */
    uint8_t leading, trailing;
};

static void
window_read(struct xor2_reader *r, bool is_new)
{
    if (is_new) {
        unsigned leading = (unsigned)bits_take(&r->bits, 5);
        unsigned significant = (unsigned)bits_take(&r->bits, 6);
        significant = significant == 0 ? 64 : significant;
        if (leading + significant > 64) {
            r->bits.bad = true;
            return;
        }
        r->leading = (uint8_t)leading;
        r->trailing = (uint8_t)(64 - leading - significant);
    }
    r->base ^= bits_take64(&r->bits, 64u - r->leading - r->trailing) << r->trailing;
    r->v = r->base;
}

/* `0` same, `10` old window, `110` new window, `111` stale. */
static void
value_read(struct xor2_reader *r)
{
    unsigned ones = (unsigned)__builtin_clzll(~(bits_peek(&r->bits) >> 61 << 61) | 1);

    bits_skip(&r->bits, MIN(ones + 1, 3u));
    if (ones == 0)
        r->v = r->base;
    else if (ones == 3)
        r->v = STALE_NAN_BITS;
    else
        window_read(r, ones == 2);
}

static int64_t
signed_take(struct bit_reader *bits, unsigned n)
{
    uint64_t v = bits_take64(bits, n);

    return (int64_t)(v << (64 - n)) >> (64 - n);
}

/* `0` nothing changed, `10` value, `110`+13, `1110`+20, `11110`+64 new delta and value, `11111`
 * stale. */
static void
joint_read(struct xor2_reader *r)
{
    static const uint8_t sizes[] = { 0, 0, 13, 20, 64 };
    unsigned ones = MIN((unsigned)__builtin_clzll(~bits_peek(&r->bits) | 1), 5u);

    bits_skip(&r->bits, MIN(ones + 1, 5u));
    if (ones >= 2 && ones <= 4)
        r->delta += (uint64_t)signed_take(&r->bits, sizes[ones]);
    r->t_ms = (int64_t)((uint64_t)r->t_ms + r->delta);
    if (ones == 0)
        r->v = r->base;
    else if (ones == 1)
        window_read(r, bits_take(&r->bits, 1) == 1);
    else if (ones == 5)
        r->v = STALE_NAN_BITS;
    else
        value_read(r);
}

/* Start timestamps are kept as their distance to the previous sample's time. */
static void
st_read(struct xor2_reader *r, int64_t before_ms)
{
    if (r->st_from == 0 || r->read_nr < r->st_from)
        return;
    int64_t diff = varbit_int(&r->bits);
    r->st_diff = r->read_nr == r->st_from ? diff : (int64_t)((uint64_t)r->st_diff + (uint64_t)diff);
    r->st_ms = (int64_t)((uint64_t)before_ms - (uint64_t)r->st_diff);
}

static void
first_read(struct xor2_reader *r)
{
    r->t_ms = bits_varint(&r->bits);
    r->v = bits_take64(&r->bits, 64);
    if (r->v != STALE_NAN_BITS)
        r->base = r->v;
    if (r->st_first)
        r->st_ms = (int64_t)((uint64_t)r->t_ms - (uint64_t)bits_varint(&r->bits));
}

static void
sample_read(struct xor2_reader *r)
{
    int64_t before_ms = r->t_ms;

    if (r->read_nr == 0) {
        first_read(r);
        return;
    }
    if (r->read_nr == 1) {
        r->delta = bits_uvarint(&r->bits);
        r->t_ms = (int64_t)((uint64_t)r->t_ms + r->delta);
        value_read(r);
    } else {
        joint_read(r);
    }
    st_read(r, before_ms);
}

bool
chunk_xor2_read(struct bytes data, struct sample_buf *out, struct error *err)
{
    if (data.n < HEADER_BYTES)
        return error_set(err, ERR_CORRUPT, "XOR2 chunk of %zu bytes has no header", data.n);
    struct bytes body = { data.p + HEADER_BYTES, data.n - HEADER_BYTES };
    struct xor2_reader r = { .bits = bit_reader_of(body),
                             .nr = (uint32_t)data.p[0] << 8 | data.p[1],
                             .st_first = (data.p[2] & 0x80) != 0,
                             .st_from = data.p[2] & 0x7F };
    for (; r.read_nr < r.nr; r.read_nr++) {
        int64_t before_ms = r.t_ms;
        sample_read(&r);
        if (r.bits.bad)
            return error_set(err, ERR_CORRUPT, "XOR2 chunk ends after %u of %u samples", r.read_nr,
                             r.nr);
        if (r.read_nr > 0 && r.t_ms <= before_ms)
            return error_set(err, ERR_CORRUPT,
                             "XOR2 chunk: time of sample %u is not after the one before",
                             r.read_nr);
        sample_buf_add(out, r.t_ms, double_of_bits(r.v));
        if (out->st_ms != NULL)
            out->st_ms[out->nr - 1] = r.st_ms;
    }
    return true;
}
