/* tsdb/chunk_histogram.h: writing native histogram chunks: integer and float, with or without start
 * timestamps.
 *
 * An open chunk is an object on the heap: its bytes and the running values of every bucket. A
 * sample whose buckets differ from the chunk's recodes the chunk to the union of both, or starts
 * another chunk, by Prometheus's rules (surface/formats.md, "When the head starts a new chunk",
 * rules 6 and 7). Not thread-safe: one owner (the series' lock). */
#pragma once
#include "base/buf.h"
#include "tsdb/chunk.h"

struct chunk_histogram;

/* An empty chunk of one of the four histogram encodings. */
struct chunk_histogram *chunk_histogram_new(enum chunk_encoding encoding);
void chunk_histogram_free(struct chunk_histogram *c); /* accepts NULL */

/* Appends h at t_ms. *next becomes NULL when it went into c (whose bytes may have been rewritten),
 * else a new chunk that holds h alone: the caller seals c and goes on with it. prev may be NULL:
 * for the first sample of a chunk that continues prev, it decides the reset header. st_ms is kept
 * by the ST encodings only. ERR_INTERNAL when h is of the other kind or the chunk is full. */
MUST_CHECK bool
chunk_histogram_append(struct chunk_histogram *c, const struct chunk_histogram *prev, int64_t st_ms,
                       int64_t t_ms, const struct histogram *h, struct chunk_histogram **next,
                       struct error *err);

enum chunk_encoding chunk_histogram_encoding(const struct chunk_histogram *c);
/* Borrowed until the next append. */
struct bytes chunk_histogram_bytes(const struct chunk_histogram *c);
uint32_t chunk_histogram_samples_nr(const struct chunk_histogram *c);
/* Heap bytes held, for the memory sheet. */
size_t chunk_histogram_memory(const struct chunk_histogram *c);
