/* tsdb/chunk_priv.h: what the chunk encodings share among themselves. */
#pragma once
#include "base/bits.h"
#include "tsdb/chunk.h"

/* A walk over an XOR chunk's samples. bits.bad ends it. */
struct xor_reader {
    struct bit_reader bits; /* behind the header */
    int64_t t_ms;
    uint64_t delta, v;
    uint64_t odd;         /* not 0: times may not grow, look at each */
    uint32_t nr, left_nr; /* samples in all; not read yet */
    uint8_t leading, trailing;
    bool has_window;
};

/* data holds the header at least. */
void xor_reader_init(struct xor_reader *r, struct bytes data);
/* False at the end, and on damage, which leaves left_nr > 0 and bits.bad set. */
bool xor_reader_next(struct xor_reader *r);

/* A value field: `0` same, `10` in the old window, `11` with a new one; changes *v. A new window
 * sets both. */
void xor_field_read(struct bit_reader *bits, uint64_t *v, uint8_t *leading, uint8_t *trailing);

/* uvarint and varint that begin at any bit. */
uint64_t bits_uvarint(struct bit_reader *bits);
int64_t bits_varint(struct bit_reader *bits);

/* Every reader appends all samples of data to out (room is reserved inside) and reports damage; the
 * caller trims to a range. */
MUST_CHECK bool chunk_xor_read(struct bytes data, struct sample_buf *out, struct error *err);
/* True for a chunk that is worth reading in turns with others. */
#define CHUNK_XOR_LANES 4
bool chunk_xor_is_dense(struct bytes data);
/* CHUNK_XOR_LANES dense chunks in time order, read in turns. False, with nothing added, on any
 * damage: read them one by one then. */
MUST_CHECK bool chunk_xor_read_lanes(const struct chunk *chunks, struct sample_buf *out);
MUST_CHECK bool chunk_xor2_read(struct bytes data, struct sample_buf *out, struct error *err);
MUST_CHECK bool
chunk_histogram_read(enum chunk_encoding encoding, struct bytes data, int64_t min_ms,
                     int64_t max_ms, struct sample_buf *out, struct error *err);
