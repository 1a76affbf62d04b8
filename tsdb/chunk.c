#include "tsdb/chunk.h"

#include "tsdb/chunk_priv.h"

static const struct {
    const char *text;
    uint8_t header_bytes;
    bool is_float;
} encodings[CHUNK_ENCODING_MAX + 1] = {
    [CHUNK_NONE] = { "none", 0, false },
    [CHUNK_XOR] = { "XOR", 2, true },
    [CHUNK_HISTOGRAM] = { "histogram", 3, false },
    [CHUNK_FLOAT_HISTOGRAM] = { "floathistogram", 3, false },
    [CHUNK_XOR2] = { "XOR2", 3, true },
    [CHUNK_HISTOGRAM_ST] = { "histogramST", 3, false },
    [CHUNK_FLOAT_HISTOGRAM_ST] = { "floathistogramST", 3, false },
};

bool
chunk_encoding_known(unsigned encoding)
{
    return encoding > CHUNK_NONE && encoding <= CHUNK_ENCODING_MAX;
}

const char *
chunk_encoding_text(enum chunk_encoding encoding)
{
    return encoding <= CHUNK_ENCODING_MAX ? encodings[encoding].text : "<unknown>";
}

bool
chunk_is_float(enum chunk_encoding encoding)
{
    return encoding <= CHUNK_ENCODING_MAX && encodings[encoding].is_float;
}

/* In the ST histogram encodings the reset header takes the two top bits of the count. */
static bool
count_holds_reset(enum chunk_encoding encoding)
{
    return encoding == CHUNK_HISTOGRAM_ST || encoding == CHUNK_FLOAT_HISTOGRAM_ST;
}

uint32_t
chunk_samples_nr(enum chunk_encoding encoding, struct bytes data)
{
    if (!chunk_encoding_known(encoding) || data.n < encodings[encoding].header_bytes)
        return 0;
    uint32_t nr = (uint32_t)data.p[0] << 8 | data.p[1];
    return count_holds_reset(encoding) ? nr & 0x3FFF : nr;
}

enum chunk_reset
chunk_reset_of(enum chunk_encoding encoding, struct bytes data)
{
    if (!chunk_encoding_known(encoding) || data.n < encodings[encoding].header_bytes ||
        encodings[encoding].is_float)
        return CHUNK_RESET_UNKNOWN;
    return (enum chunk_reset)(data.p[count_holds_reset(encoding) ? 0 : 2] >> 6);
}

/* Leaves of out[from..] what lies in the range. Times grow. */
static void
trim(struct sample_buf *out, size_t from, int64_t min_ms, int64_t max_ms)
{
    size_t lo = from;

    while (out->nr > from && out->t_ms[out->nr - 1] > max_ms)
        out->nr--;
    while (lo < out->nr && out->t_ms[lo] < min_ms)
        lo++;
    if (lo == from)
        return;
    size_t nr = out->nr - lo;
    memmove(out->t_ms + from, out->t_ms + lo, nr * sizeof *out->t_ms);
    memmove(out->v + from, out->v + lo, nr * sizeof *out->v);
    if (out->h != NULL)
        memmove(out->h + from, out->h + lo, nr * sizeof *out->h);
    if (out->st_ms != NULL)
        memmove(out->st_ms + from, out->st_ms + lo, nr * sizeof *out->st_ms);
    out->nr = from + nr;
}

bool
chunk_read(enum chunk_encoding encoding, struct bytes data, int64_t min_ms, int64_t max_ms,
           struct sample_buf *out, struct error *err)
{
    size_t from = out->nr;
    bool ok;

    switch (encoding) {
    case CHUNK_XOR:
        ok = chunk_xor_read(data, out, err);
        break;
    case CHUNK_XOR2:
        ok = chunk_xor2_read(data, out, err);
        break;
    case CHUNK_HISTOGRAM:
    case CHUNK_FLOAT_HISTOGRAM:
    case CHUNK_HISTOGRAM_ST:
    case CHUNK_FLOAT_HISTOGRAM_ST:
        ok = chunk_histogram_read(encoding, data, min_ms, max_ms, out, err);
        break;
    default:
        return error_set(err, ERR_CORRUPT, "unknown chunk encoding %u", (unsigned)encoding);
    }
    trim(out, from, min_ms, max_ms);
    return ok;
}

/* The next CHUNK_XOR_LANES chunks are all XOR, in range and dense. */
static bool
lanes_ready(const struct chunk *chunks, size_t nr, int64_t min_ms, int64_t max_ms)
{
    if (nr < CHUNK_XOR_LANES)
        return false;
    for (size_t i = 0; i < CHUNK_XOR_LANES; i++) {
        const struct chunk *c = &chunks[i];
        if (c->encoding != CHUNK_XOR || c->max_ms < min_ms || c->min_ms > max_ms ||
            !chunk_xor_is_dense(c->data))
            return false;
    }
    return true;
}

bool
chunk_read_many(const struct chunk *chunks, size_t nr, int64_t min_ms, int64_t max_ms,
                struct sample_buf *out, struct error *err)
{
    struct error other = { 0 };
    bool ok = true;

    for (size_t i = 0; i < nr; i++) {
        const struct chunk *c = &chunks[i];
        size_t from = out->nr;
        if (c->max_ms < min_ms || c->min_ms > max_ms)
            continue;
        if (lanes_ready(c, nr - i, min_ms, max_ms) && chunk_xor_read_lanes(c, out)) {
            trim(out, from, min_ms, max_ms);
            i += CHUNK_XOR_LANES - 1;
            continue;
        }
        /* The first damage is the one that is told. */
        if (!chunk_read(c->encoding, c->data, min_ms, max_ms, out, ok ? err : &other))
            ok = false;
    }
    error_clear(&other);
    return ok;
}
