#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/varint.h"

void
buf_fini(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){ 0 };
}

void
buf_reset(struct buf *b)
{
    b->n = 0;
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
    if (b->cap - b->n < n)
        b->p = mem_grow(b->p, MAX(b->n + n, (size_t)64), &b->cap, 1);
    return b->p + b->n;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(buf_reserve(b, n), p, n);
    b->n += n;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    buf_reserve(b, 128);
    va_start(ap, fmt);
    int n = vsnprintf((char *)b->p + b->n, b->cap - b->n, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    if ((size_t)n >= b->cap - b->n) {
        buf_reserve(b, (size_t)n + 1);
        va_start(ap, fmt);
        vsnprintf((char *)b->p + b->n, b->cap - b->n, fmt, ap);
        va_end(ap);
    }
    b->n += (size_t)n;
}

void
buf_rune(struct buf *b, uint32_t rune)
{
    if (rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF))
        rune = 0xFFFD;
    if (rune < 0x80) {
        buf_byte(b, (uint8_t)rune);
        return;
    }
    unsigned more = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
    static const uint8_t first[] = { 0, 0xC0, 0xE0, 0xF0 };
    buf_byte(b, (uint8_t)(first[more] | rune >> (6 * more)));
    while (more-- > 0)
        buf_byte(b, (uint8_t)(0x80 | (rune >> (6 * more) & 0x3F)));
}

void
buf_u16be(struct buf *b, uint16_t v)
{
    v = __builtin_bswap16(v);
    buf_add(b, &v, sizeof v);
}

void
buf_u32be(struct buf *b, uint32_t v)
{
    v = __builtin_bswap32(v);
    buf_add(b, &v, sizeof v);
}

void
buf_u64be(struct buf *b, uint64_t v)
{
    v = __builtin_bswap64(v);
    buf_add(b, &v, sizeof v);
}

void
buf_uvarint(struct buf *b, uint64_t v)
{
    b->n += uvarint_put(buf_reserve(b, VARINT_BYTES_MAX), v);
}

void
buf_varint(struct buf *b, int64_t v)
{
    b->n += varint_put(buf_reserve(b, VARINT_BYTES_MAX), v);
}

void
buf_uvarint_str(struct buf *b, struct str s)
{
    buf_uvarint(b, s.n);
    buf_str(b, s);
}

const char *
buf_z(struct buf *b)
{
    *buf_reserve(b, 1) = '\0';
    return (const char *)b->p;
}

uint8_t *
buf_take(struct buf *b, size_t *n)
{
    uint8_t *p = b->p;

    *n = b->n;
    *b = (struct buf){ 0 };
    return p;
}
