#include "base/proto.h"

static uint64_t
little_endian(struct dec *d, size_t n)
{
    struct bytes b = dec_bytes(d, n);
    uint64_t v = 0;

    for (size_t i = b.n; i-- > 0;)
        v = v << 8 | b.p[i];
    return v;
}

bool
proto_next(struct proto *p)
{
    if (dec_left(&p->d) == 0)
        return false;
    uint64_t tag = dec_uvarint(&p->d);
    if (tag >> 3 == 0 || tag >> 3 > 536870911)
        dec_fail(&p->d);
    p->field = (uint32_t)(tag >> 3);
    p->wire = (enum proto_wire)(tag & 7);
    p->number = 0;
    p->value = p->d.p;
    p->bytes = (struct bytes){ 0 };
    switch (p->wire) {
    case PROTO_VARINT:
        p->number = dec_uvarint(&p->d);
        break;
    case PROTO_FIXED64:
        p->number = little_endian(&p->d, 8);
        break;
    case PROTO_FIXED32:
        p->number = little_endian(&p->d, 4);
        break;
    case PROTO_BYTES: {
        uint64_t n = dec_uvarint(&p->d);
        p->bytes = dec_bytes(&p->d, n > dec_left(&p->d) ? SIZE_MAX : (size_t)n);
        break;
    }
    default:
        dec_fail(&p->d);
    }
    return dec_ok(&p->d);
}

bool
proto_end(const struct proto *p, struct error *err)
{
    return dec_ok(&p->d) || error_set(err, ERR_CORRUPT, "protobuf message does not decode");
}

static bool
wire_is(struct proto *p, enum proto_wire wire)
{
    if (p->wire != wire)
        dec_fail(&p->d);
    return p->wire == wire;
}

static double
double_of(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

double
proto_double(struct proto *p)
{
    return wire_is(p, PROTO_FIXED64) ? double_of(p->number) : 0;
}

uint64_t
proto_uint(struct proto *p)
{
    if (p->wire == PROTO_BYTES)
        dec_fail(&p->d);
    return p->number;
}

int64_t
proto_sint(struct proto *p)
{
    uint64_t v = wire_is(p, PROTO_VARINT) ? p->number : 0;

    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

struct bytes
proto_bytes(struct proto *p)
{
    return wire_is(p, PROTO_BYTES) ? p->bytes : (struct bytes){ 0 };
}

struct str
proto_str(struct proto *p)
{
    struct bytes b = proto_bytes(p);

    return (struct str){ (const char *)b.p, b.n };
}

/* The value of an unpacked one starts at p->value. */
struct dec
proto_packed(struct proto *p)
{
    if (p->wire == PROTO_BYTES)
        return dec_of(p->bytes);
    return (struct dec){ .p = p->value, .end = p->d.p };
}

double
proto_packed_double(struct dec *d)
{
    return double_of(little_endian(d, 8));
}

static void
put_tag(struct buf *b, uint32_t field, enum proto_wire wire)
{
    buf_uvarint(b, (uint64_t)field << 3 | wire);
}

void
proto_put_uint(struct buf *b, uint32_t field, uint64_t v)
{
    put_tag(b, field, PROTO_VARINT);
    buf_uvarint(b, v);
}

void
proto_put_sint(struct buf *b, uint32_t field, int64_t v)
{
    put_tag(b, field, PROTO_VARINT);
    buf_varint(b, v);
}

void
proto_put_double(struct buf *b, uint32_t field, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    put_tag(b, field, PROTO_FIXED64);
    for (unsigned i = 0; i < 8; i++)
        buf_byte(b, (uint8_t)(bits >> (8 * i)));
}

void
proto_put_str(struct buf *b, uint32_t field, struct str s)
{
    put_tag(b, field, PROTO_BYTES);
    buf_uvarint_str(b, s);
}

size_t
proto_open(struct buf *b, uint32_t field)
{
    put_tag(b, field, PROTO_BYTES);
    return b->n;
}

/* Moves the content up to make room for its length. */
void
proto_close(struct buf *b, size_t opened)
{
    uint8_t length[VARINT_BYTES_MAX];
    size_t content = b->n - opened, n = uvarint_put(length, content);

    buf_reserve(b, n);
    memmove(b->p + opened + n, b->p + opened, content);
    memcpy(b->p + opened, length, n);
    b->n += n;
}
