/* base/bits.h: bit streams, most significant bit first, as Prometheus's chunk encodings use them.
 *
 * The reader keeps a bit position and loads 8 bytes, byte-swapped, at any bit offset: bounded, it
 * never reads past the bytes it was given (the last 8 bytes go through a byte-wise tail). Reading
 * past the end gives zeros and sets `bad`. */
#pragma once
#include "base/buf.h"

struct bit_reader {
    const uint8_t *p;
    uint64_t pos, bits_nr; /* next bit; how many there are */
    bool bad;
};

static inline struct bit_reader
bit_reader_of(struct bytes b)
{
    return (struct bit_reader){ .p = b.p, .bits_nr = (uint64_t)b.n * 8 };
}

/* The next 57 or more bits, left-aligned in 64, zero-padded at the end; does not move. */
static inline uint64_t
bits_peek(const struct bit_reader *r)
{
    uint64_t byte = r->pos / 8, total = r->bits_nr / 8, word = 0;

    if (LIKELY(byte + 8 <= total)) {
        memcpy(&word, r->p + byte, 8);
        word = __builtin_bswap64(word);
    } else {
        for (uint64_t i = 0; i < 8; i++)
            word = word << 8 | (byte + i < total ? r->p[byte + i] : 0);
    }
    return word << (r->pos % 8);
}

static inline void
bits_skip(struct bit_reader *r, unsigned n)
{
    r->pos += n;
    if (UNLIKELY(r->pos > r->bits_nr)) {
        r->pos = r->bits_nr;
        r->bad = true;
    }
}

/* Up to 56 bits, as an unsigned number. */
static inline uint64_t
bits_take(struct bit_reader *r, unsigned n)
{
    uint64_t v = n == 0 ? 0 : bits_peek(r) >> (64 - n);

    bits_skip(r, n);
    return r->bad ? 0 : v;
}

static inline uint64_t
bits_take64(struct bit_reader *r, unsigned n)
{
    if (n <= 56)
        return bits_take(r, n);
    uint64_t high = bits_take(r, n - 32);
    return high << 32 | bits_take(r, 32);
}

struct bit_writer {
    struct buf *out;  /* whole and started bytes */
    unsigned free_nr; /* unused low bits of the last byte, 0..7 */
};

/* Appends the n low bits of v, n <= 64. */
static inline void
bits_put(struct bit_writer *w, uint64_t v, unsigned n)
{
    if (n < 64)
        v &= (UINT64_C(1) << n) - 1;
    if (w->free_nr != 0) {
        unsigned take = MIN(n, w->free_nr);
        w->out->p[w->out->n - 1] |= (uint8_t)((v >> (n - take)) << (w->free_nr - take));
        w->free_nr -= take;
        n -= take;
    }
    while (n >= 8) {
        n -= 8;
        buf_byte(w->out, (uint8_t)(v >> n));
    }
    if (n > 0) {
        buf_byte(w->out, (uint8_t)(v << (8 - n)));
        w->free_nr = 8 - n;
    }
}
