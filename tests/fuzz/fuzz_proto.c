/* The protobuf walker on any bytes, three levels deep. */
#include "base/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
walk(struct bytes b, int depth)
{
    struct proto p = proto_of(b);
    struct error err = { 0 };
    double sum = 0;

    while (proto_next(&p)) {
        if (p.wire == PROTO_BYTES && depth < 3)
            walk(proto_bytes(&p), depth + 1);
        for (struct dec d = proto_packed(&p); dec_left(&d) != 0;)
            sum += (double)dec_uvarint(&d);
        for (struct dec d = proto_packed(&p); dec_left(&d) != 0;)
            sum += proto_packed_double(&d);
        if (p.wire == PROTO_VARINT)
            sum += (double)proto_sint(&p);
        if (p.wire == PROTO_FIXED64)
            sum += proto_double(&p);
    }
    error_ignored(proto_end(&p, &err));
    error_clear(&err);
    (void)sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    walk((struct bytes){ data, n }, 0);
    return 0;
}
