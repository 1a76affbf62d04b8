/* tsdb/chunk_xor.h: writing XOR chunks (encoding 1), the float encoding of Prometheus.
 *
 * The head keeps the bytes in a block of its own of any size and a struct chunk_xor (32 bytes)
 * beside them; a series that is idle may drop the state and get it back from the bytes by
 * chunk_xor_resume(). The caller locks; times must grow (not checked here). */
#pragma once
#include "tsdb/chunk.h"

#define CHUNK_XOR_HEADER_BYTES     2
#define CHUNK_XOR_SAMPLE_BYTES_MAX 20 /* what one append adds at most */

struct chunk_xor {
    int64_t t_ms;   /* the newest sample */
    uint64_t delta; /* its distance to the one before */
    double v;
    uint8_t leading; /* window of the last xor; 0xFF: none yet */
    uint8_t trailing;
    uint8_t free_nr; /* unused low bits of the last byte */
    uint8_t spare;
    uint16_t nr; /* samples, as in the header */
};

/* Writes the header of an empty chunk, CHUNK_XOR_HEADER_BYTES bytes, to p. */
void chunk_xor_start(struct chunk_xor *x, uint8_t *p);

/* Appends one sample to the bytes p[0..*n) that have room for cap. False, with nothing changed,
 * when cap is too small: the caller makes more room (CHUNK_XOR_SAMPLE_BYTES_MAX more always
 * suffices) and asks again; also when the chunk is full (CHUNK_SAMPLES_MAX), which the cutting rule
 * never lets happen. */
MUST_CHECK bool
chunk_xor_append(struct chunk_xor *x, uint8_t *p, size_t *n, size_t cap, int64_t t_ms, double v);

/* The same, but the number of samples in the header stays as it was: for a caller that gives the
 * bytes to nobody before chunk_xor_count(). Saves touching a line of memory per sample. */
MUST_CHECK bool chunk_xor_append_bits(struct chunk_xor *x, uint8_t *p, size_t *n, size_t cap,
                                      int64_t t_ms, double v);
void chunk_xor_count(const struct chunk_xor *x, uint8_t *p);

/* The state as after appending all samples of data. Bits behind the last sample are taken as free
 * room of its last byte. */
MUST_CHECK bool chunk_xor_resume(struct chunk_xor *x, struct bytes data, struct error *err);
