/* tsdb/chunk_encode.h: samples to chunks, as Prometheus encodes them when it merges overlapping
 * chunks: at most 120 samples each, a new chunk where the kind or layout of the samples changes.
 * The bytes live in the arena. Pure; thread-safe. */
#pragma once
#include "tsdb/chunk.h"

#define CHUNK_ENCODE_SAMPLES_MAX 120

struct chunk_list {
    struct chunk *v; /* in the arena */
    size_t nr, cap;
};

/* Samples [from, nr) of the buffer, in time order. floats: CHUNK_XOR or CHUNK_XOR2 for floats
 * without start timestamps. */
MUST_CHECK bool
chunk_encode(const struct sample_buf *samples, enum chunk_encoding floats, size_t samples_max,
             struct arena *arena, struct chunk_list *out, struct error *err);
