/* base/buf.h: a growing byte buffer: response bodies, records, index sections.
 *
 * Embedded by its user. Zero-initialised is empty and valid; buf_fini() releases. Appending never
 * fails (see base/mem.h); who appends what a client controls checks b->n against a limit first. Not
 * thread-safe. */
#pragma once
#include "base/str.h"

struct buf {
    uint8_t *p;
    size_t n, cap;
};

void buf_fini(struct buf *b);
/* Empties it and keeps the room. */
void buf_reset(struct buf *b);
/* Makes room for n more bytes and returns where they go; the caller then adds to b->n what it
 * wrote. */
uint8_t *buf_reserve(struct buf *b, size_t n);

void buf_add(struct buf *b, const void *p, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);

static inline void
buf_str(struct buf *b, struct str s)
{
    if (s.n != 0)
        buf_add(b, s.p, s.n);
}

static inline void
buf_c(struct buf *b, const char *z)
{
    buf_str(b, str_c(z));
}

static inline void
buf_byte(struct buf *b, uint8_t byte)
{
    *buf_reserve(b, 1) = byte;
    b->n++;
}

/* A code point as UTF-8; U+FFFD for what is none. */
void buf_rune(struct buf *b, uint32_t rune);

/* Big-endian integers and Go's varints (LEB128; the signed form is zig-zag). */
void buf_u16be(struct buf *b, uint16_t v);
void buf_u32be(struct buf *b, uint32_t v);
void buf_u64be(struct buf *b, uint64_t v);
void buf_uvarint(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, int64_t v);
/* uvarint length, then the bytes. */
void buf_uvarint_str(struct buf *b, struct str s);

static inline struct str
buf_as_str(const struct buf *b)
{
    return (struct str){ (const char *)b->p, b->n };
}

static inline struct bytes
buf_as_bytes(const struct buf *b)
{
    return (struct bytes){ b->p, b->n };
}

/* Adds a NUL that does not count, and returns the text; valid until the next change. */
const char *buf_z(struct buf *b);
/* Hands the bytes to the caller, who frees them, and leaves b empty. */
uint8_t *buf_take(struct buf *b, size_t *n);
