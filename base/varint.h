/* base/varint.h: Go's varints: LEB128, the signed form zig-zag. Pure functions on caller's memory.
 */
#pragma once
#include "base/util.h"

#define VARINT_BYTES_MAX 10

/* Writes at most VARINT_BYTES_MAX bytes; returns how many. */
static inline size_t
uvarint_put(uint8_t *p, uint64_t v)
{
    size_t n = 0;

    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

static inline size_t
varint_put(uint8_t *p, int64_t v)
{
    return uvarint_put(p, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

/* Reads from n bytes; returns how many were taken, 0 when the bytes end early or the value
 * overflows. */
static inline size_t
uvarint_get(const uint8_t *p, size_t n, uint64_t *v)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n && i < VARINT_BYTES_MAX; i++) {
        if (i == VARINT_BYTES_MAX - 1 && p[i] > 1)
            return 0;
        value |= (uint64_t)(p[i] & 0x7F) << (7 * i);
        if (p[i] < 0x80) {
            *v = value;
            return i + 1;
        }
    }
    return 0;
}

static inline size_t
varint_get(const uint8_t *p, size_t n, int64_t *v)
{
    uint64_t u;
    size_t taken = uvarint_get(p, n, &u);

    if (taken != 0)
        *v = (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
    return taken;
}
