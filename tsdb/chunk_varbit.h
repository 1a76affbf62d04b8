/* tsdb/chunk_varbit.h: the variable-length integers of histogram and XOR2 chunks: a prefix of ones
 * tells the size, an n-bit bin of the signed form holds -(2^(n-1)-1) .. 2^(n-1). Pure. */
#pragma once
#include "base/bits.h"
#include "base/varint.h"

static const uint8_t varbit_sizes[9] = { 0, 3, 6, 9, 12, 18, 25, 56, 64 };

/* The payload and its size in bits. */
static inline uint64_t
varbit_payload(struct bit_reader *bits, unsigned *n)
{
    uint64_t word = bits_peek(bits);
    unsigned ones = MIN((unsigned)__builtin_clzll(~word | 1), 8u);

    bits_skip(bits, MIN(ones + 1, 8u));
    *n = varbit_sizes[ones];
    return bits_take64(bits, *n);
}

static inline uint64_t
varbit_uint(struct bit_reader *bits)
{
    unsigned n;

    return varbit_payload(bits, &n);
}

static inline int64_t
varbit_int(struct bit_reader *bits)
{
    unsigned n;
    uint64_t v = varbit_payload(bits, &n);

    if (n != 0 && n < 64 && v > UINT64_C(1) << (n - 1))
        v -= UINT64_C(1) << n;
    return (int64_t)v;
}

static inline void
varbit_put(struct bit_writer *w, uint64_t v, unsigned size_index)
{
    if (size_index == 8)
        bits_put(w, 0xFF, 8);
    else
        bits_put(w, (UINT64_C(2) << size_index) - 2, size_index + 1);
    bits_put(w, v, varbit_sizes[size_index]);
}

static inline void
varbit_put_uint(struct bit_writer *w, uint64_t v)
{
    unsigned i = 0;

    while (i < 8 && v >> varbit_sizes[i] != 0)
        i++;
    varbit_put(w, v, i);
}

static inline void
varbit_put_int(struct bit_writer *w, int64_t v)
{
    unsigned i = v == 0 ? 0 : 1;

    while (i != 0 && i < 8) {
        int64_t half = INT64_C(1) << (varbit_sizes[i] - 1);
        if (v >= 1 - half && v <= half)
            break;
        i++;
    }
    varbit_put(w, (uint64_t)v, i);
}
