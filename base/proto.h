/* base/proto.h: the protobuf wire format: a bounded reader and a writer into a buf.
 *
 * The reader walks the fields of one message; nested messages are bytes that get a reader of their
 * own. It borrows the bytes, allocates nothing, and stops at the first damage, which proto_end()
 * then tells. Groups are damage: nothing that we read has them.
 *
 *     struct proto p = proto_of(bytes);
 *     while (proto_next(&p)) {
 *         if (p.field == 1) name = proto_str(&p);
 *     }
 *     return proto_end(&p, err); */
#pragma once
#include "base/buf.h"
#include "base/dec.h"

enum proto_wire { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2, PROTO_FIXED32 = 5 };

struct proto {
    struct dec d;
    uint32_t field;
    enum proto_wire wire;
    uint64_t number;      /* VARINT, FIXED64, FIXED32 */
    struct bytes bytes;   /* BYTES */
    const uint8_t *value; /* where the value starts */
};

static inline struct proto
proto_of(struct bytes b)
{
    return (struct proto){ .d = dec_of(b) };
}

/* Steps to the next field; false at the end or on damage, and then keeps saying false. */
bool proto_next(struct proto *p);

/* After a false: true for a clean end, else ERR_CORRUPT. */
MUST_CHECK bool proto_end(const struct proto *p, struct error *err);

/* The field's value. A value of another wire type than asked for reads as zero or empty, and is
 * damage. */
double proto_double(struct proto *p);
uint64_t proto_uint(struct proto *p);
int64_t proto_sint(struct proto *p); /* zig-zag: sint32, sint64 */
struct str proto_str(struct proto *p);
struct bytes proto_bytes(struct proto *p);
static inline int64_t
proto_int(struct proto *p)
{
    return (int64_t)proto_uint(p);
}

/* Walks a packed repeated field (an unpacked one gives its one value): for (struct dec d =
 * proto_packed(p); dec_left(&d) != 0;) with dec_uvarint() or proto_packed_double(). */
struct dec proto_packed(struct proto *p);
double proto_packed_double(struct dec *d);
static inline int64_t
proto_packed_sint(struct dec *d)
{
    return dec_varint(d); /* Go's signed varint is the same zig-zag */
}

void proto_put_uint(struct buf *b, uint32_t field, uint64_t v);
void proto_put_sint(struct buf *b, uint32_t field, int64_t v);
void proto_put_double(struct buf *b, uint32_t field, double v);
void proto_put_str(struct buf *b, uint32_t field, struct str s);

/* A nested message: what is appended between the two calls becomes its content. Nestable. */
size_t proto_open(struct buf *b, uint32_t field);
void proto_close(struct buf *b, size_t opened);
