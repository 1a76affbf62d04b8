/* tsdb/chunk_bits_put.h: the xor value field and start timestamps, as written by histogram and XOR2
 * chunks. */
#pragma once
#include "tsdb/chunk_varbit.h"

#define WINDOW_NONE 0xFF

/* The window an xor delta needs: leading zeros are capped at what 5 bits hold. */
static inline void
xor_window(uint64_t delta, uint8_t *leading, uint8_t *trailing)
{
    *leading = (uint8_t)MIN(__builtin_clzll(delta), 31);
    *trailing = (uint8_t)__builtin_ctzll(delta);
}

/* Bits of the old window, or a new one: `same` and `fresh` are the control codes with their
 * lengths. */
static inline void
xor_put_changed(struct bit_writer *w, uint64_t delta, uint8_t *leading, uint8_t *trailing,
                unsigned same, unsigned same_n, unsigned fresh, unsigned fresh_n)
{
    uint8_t l, t;

    xor_window(delta, &l, &t);
    if (*leading != WINDOW_NONE && l >= *leading && t >= *trailing) {
        bits_put(w, same, same_n);
        bits_put(w, delta >> *trailing, 64u - *leading - *trailing);
        return;
    }
    *leading = l;
    *trailing = t;
    bits_put(w, fresh, fresh_n);
    bits_put(w, l, 5);
    bits_put(w, (uint64_t)(64 - l - t), 6);
    bits_put(w, delta >> t, 64u - l - t);
}

/* Start timestamps: the first as its distance to the sample, later ones as the change of their
 * distance to the sample before; the header byte tells from which sample on they are there, at most
 * 127. */
#define ST_FROM_MAX 127u

struct st_writer {
    int64_t st_ms, diff;
    uint8_t from;
};

static inline void
st_put(struct st_writer *s, struct bit_writer *w, size_t header_at, uint32_t nr, int64_t before_ms,
       int64_t t_ms, int64_t st_ms)
{
    int64_t diff = (int64_t)((uint64_t)before_ms - (uint64_t)st_ms);

    if (nr == 0) {
        if (st_ms != 0) {
            uint8_t bytes[VARINT_BYTES_MAX];
            size_t n = varint_put(bytes, (int64_t)((uint64_t)t_ms - (uint64_t)st_ms));
            for (size_t i = 0; i < n; i++)
                bits_put(w, bytes[i], 8);
            w->out->p[header_at] = 0x80;
        }
    } else if (s->from != 0) {
        varbit_put_int(w, (int64_t)((uint64_t)diff - (uint64_t)s->diff));
        s->diff = diff;
    } else if (st_ms != s->st_ms || nr == ST_FROM_MAX) {
        s->from = (uint8_t)nr;
        w->out->p[header_at] |= s->from;
        varbit_put_int(w, diff);
        s->diff = diff;
    }
    s->st_ms = st_ms;
}
