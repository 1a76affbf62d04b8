/* tsdb/chunk_xor2.h: writing XOR2 chunks (encoding 4): floats with joint time and value codes, and
 * start timestamps.
 *
 * The open chunk owns its bytes. Not thread-safe: one owner (the series' lock); times must grow. */
#pragma once
#include "base/buf.h"
#include "tsdb/chunk.h"

struct chunk_xor2 {
    struct buf bytes; /* with the header */
    int64_t t_ms, st_ms, st_diff;
    uint64_t delta, base; /* base: bits of the newest value that is not stale */
    uint32_t nr;
    uint8_t leading, trailing, free_nr, st_from;
};

void chunk_xor2_init(struct chunk_xor2 *x);
void chunk_xor2_fini(struct chunk_xor2 *x);
/* False when the chunk is full. */
MUST_CHECK bool chunk_xor2_append(struct chunk_xor2 *x, int64_t st_ms, int64_t t_ms, double v);
