/* base/dec.h: a bounded reader over bytes from disk or wire. Read ten fields, then ask dec_end()
 * before using any.
 *
 * After the first read past the end or bad varint every read gives zero and dec_ok() is false.
 * Borrows the bytes; copyable; not thread-safe. Multi-byte integers are big-endian, as all of
 * Prometheus's files. */
#pragma once
#include "base/error.h"
#include "base/str.h"
#include "base/varint.h"

struct dec {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct dec
dec_of(struct bytes b)
{
    return (struct dec){ .p = b.p, .end = b.p + b.n };
}

static inline size_t
dec_left(const struct dec *d)
{
    return (size_t)(d->end - d->p);
}

static inline bool
dec_ok(const struct dec *d)
{
    return !d->bad;
}

static inline void
dec_fail(struct dec *d)
{
    d->bad = true;
    d->p = d->end;
}

static inline struct bytes
dec_bytes(struct dec *d, size_t n)
{
    struct bytes b = { d->p, n };

    if (dec_left(d) < n) {
        dec_fail(d);
        return (struct bytes){ d->end, 0 };
    }
    d->p += n;
    return b;
}

static inline uint64_t
dec_be(struct dec *d, size_t n)
{
    struct bytes b = dec_bytes(d, n);
    uint64_t v = 0;

    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | b.p[i];
    return v;
}

static inline uint8_t
dec_u8(struct dec *d)
{
    return (uint8_t)dec_be(d, 1);
}

static inline uint16_t
dec_u16(struct dec *d)
{
    return (uint16_t)dec_be(d, 2);
}

static inline uint32_t
dec_u32(struct dec *d)
{
    return (uint32_t)dec_be(d, 4);
}

static inline uint64_t
dec_u64(struct dec *d)
{
    return dec_be(d, 8);
}

static inline uint64_t
dec_uvarint(struct dec *d)
{
    uint64_t v = 0;
    size_t n = uvarint_get(d->p, dec_left(d), &v);

    if (n == 0)
        dec_fail(d);
    d->p += n;
    return n == 0 ? 0 : v;
}

static inline int64_t
dec_varint(struct dec *d)
{
    int64_t v = 0;
    size_t n = varint_get(d->p, dec_left(d), &v);

    if (n == 0)
        dec_fail(d);
    d->p += n;
    return n == 0 ? 0 : v;
}

/* uvarint length, then the bytes. */
static inline struct str
dec_uvarint_str(struct dec *d)
{
    uint64_t n = dec_uvarint(d);

    if (n > dec_left(d)) {
        dec_fail(d);
        return STR_NONE;
    }
    struct bytes b = dec_bytes(d, (size_t)n);
    return (struct str){ (const char *)b.p, b.n };
}

/* True when everything read so far was there and nothing is left over. */
MUST_CHECK bool dec_end(const struct dec *d, struct error *err);
/* True when everything read so far was there. */
MUST_CHECK bool dec_check(const struct dec *d, struct error *err);
