#include "tsdb/chunk_xor2.h"

#include "tsdb/chunk_bits_put.h"

enum { HEADER_BYTES = 3 };

void
chunk_xor2_init(struct chunk_xor2 *x)
{
    static const uint8_t header[HEADER_BYTES];

    *x = (struct chunk_xor2){ .leading = WINDOW_NONE };
    buf_add(&x->bytes, header, sizeof header);
}

void
chunk_xor2_fini(struct chunk_xor2 *x)
{
    buf_fini(&x->bytes);
}

/* `0` same, `10` old window, `110` new window, `111` stale. */
static void
value_put(struct chunk_xor2 *x, struct bit_writer *w, uint64_t v)
{
    if (v == STALE_NAN_BITS)
        bits_put(w, 7, 3);
    else if (v == x->base)
        bits_put(w, 0, 1);
    else
        xor_put_changed(w, v ^ x->base, &x->leading, &x->trailing, 2, 2, 6, 3);
}

/* Bins are two's complement here. */
static bool
fits(int64_t v, unsigned n)
{
    return v >= -(INT64_C(1) << (n - 1)) && v < INT64_C(1) << (n - 1);
}

static void
joint_put(struct chunk_xor2 *x, struct bit_writer *w, int64_t dod, uint64_t v)
{
    if (dod == 0) {
        if (v == STALE_NAN_BITS)
            bits_put(w, 31, 5);
        else if (v == x->base)
            bits_put(w, 0, 1);
        else
            xor_put_changed(w, v ^ x->base, &x->leading, &x->trailing, 4, 3, 5, 3);
        return;
    }
    if (fits(dod, 13)) {
        bits_put(w, UINT64_C(6) << 13 | ((uint64_t)dod & 0x1FFF), 16);
    } else if (fits(dod, 20)) {
        bits_put(w, UINT64_C(14) << 20 | ((uint64_t)dod & 0xFFFFF), 24);
    } else {
        bits_put(w, 30, 5);
        bits_put(w, (uint64_t)dod, 64);
    }
    value_put(x, w, v);
}

static void
varint_bits(struct bit_writer *w, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bits_put(w, bytes[i], 8);
}

static void
time_value_put(struct chunk_xor2 *x, struct bit_writer *w, int64_t t_ms, uint64_t v)
{
    uint8_t bytes[VARINT_BYTES_MAX];
    uint64_t delta = (uint64_t)t_ms - (uint64_t)x->t_ms;

    if (x->nr == 0) {
        varint_bits(w, bytes, varint_put(bytes, t_ms));
        bits_put(w, v, 64);
        return;
    }
    if (x->nr == 1) {
        varint_bits(w, bytes, uvarint_put(bytes, delta));
        value_put(x, w, v);
    } else {
        joint_put(x, w, (int64_t)(delta - x->delta), v);
    }
    x->delta = delta;
}

bool
chunk_xor2_append(struct chunk_xor2 *x, int64_t st_ms, int64_t t_ms, double value)
{
    struct bit_writer w = { .out = &x->bytes, .free_nr = x->free_nr };
    struct st_writer st = { .st_ms = x->st_ms, .diff = x->st_diff, .from = x->st_from };
    uint64_t v = double_bits(value);

    if (x->nr == CHUNK_SAMPLES_MAX)
        return false;
    time_value_put(x, &w, t_ms, v);
    st_put(&st, &w, HEADER_BYTES - 1, x->nr, x->t_ms, t_ms, st_ms);
    x->st_ms = st.st_ms;
    x->st_diff = st.diff;
    x->st_from = st.from;
    x->t_ms = t_ms;
    if (v != STALE_NAN_BITS)
        x->base = v;
    x->free_nr = (uint8_t)w.free_nr;
    x->nr++;
    x->bytes.p[0] = (uint8_t)(x->nr >> 8);
    x->bytes.p[1] = (uint8_t)x->nr;
    return true;
}
