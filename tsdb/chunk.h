/* tsdb/chunk.h: the encodings of a chunk, and reading a chunk of any of them into a column of
 * samples.
 *
 * A chunk is a run of samples of one series, encoded; its bytes are those that lie on disk between
 * the encoding byte and the CRC (docs/formats/chunks.md). Reading borrows the bytes, allocates only
 * inside the given sample_buf and its arena, takes no locks, and is therefore allowed inside
 * io_guarded_read() once sample_buf_reserve() made room. Pure; thread-safe. Damage never crashes:
 * the samples before it are kept in the buffer and ERR_CORRUPT says how far it came. */
#pragma once
#include "base/error.h"
#include "base/str.h"
#include "model/sample.h"

enum chunk_encoding {
    CHUNK_NONE = 0,
    CHUNK_XOR = 1,
    CHUNK_HISTOGRAM = 2,
    CHUNK_FLOAT_HISTOGRAM = 3,
    CHUNK_XOR2 = 4,
    CHUNK_HISTOGRAM_ST = 5,
    CHUNK_FLOAT_HISTOGRAM_ST = 6
};
#define CHUNK_ENCODING_MAX 6
#define CHUNK_SAMPLES_MAX  65535 /* the count is 16 bits, in the ST histogram encodings 14 */

/* A chunk's bytes, borrowed, and what is known of them. */
struct chunk {
    enum chunk_encoding encoding;
    struct bytes data;
    int64_t min_ms, max_ms; /* of the first and last sample */
};

/* The counter-reset header of the histogram encodings (the two top bits as on disk). */
enum chunk_reset {
    CHUNK_RESET_UNKNOWN = 0,
    CHUNK_RESET_NO = 1,
    CHUNK_RESET_YES = 2,
    CHUNK_RESET_GAUGE = 3
};

bool chunk_encoding_known(unsigned encoding);
/* "XOR", "histogram", "floathistogram", "XOR2", ...: as Prometheus prints them. */
const char *chunk_encoding_text(enum chunk_encoding encoding);
bool chunk_is_float(enum chunk_encoding encoding);
/* As the header says; 0 for bytes too short to have one. */
uint32_t chunk_samples_nr(enum chunk_encoding encoding, struct bytes data);
/* CHUNK_RESET_UNKNOWN for float encodings. */
enum chunk_reset chunk_reset_of(enum chunk_encoding encoding, struct bytes data);

/* Appends the samples with min_ms <= t <= max_ms to out, in order. Histograms go to out->arena.
 * Start timestamps are written when out->st_ms is not NULL (0 for none). */
MUST_CHECK bool chunk_read(enum chunk_encoding encoding, struct bytes data, int64_t min_ms,
                           int64_t max_ms, struct sample_buf *out, struct error *err);

/* The same over several chunks, oldest first and not overlapping; XOR chunks are decoded several at
 * a time, which is faster than one after the other. Chunks wholly outside the range are skipped. On
 * damage the good chunks before and after it stay. */
MUST_CHECK bool chunk_read_many(const struct chunk *chunks, size_t nr, int64_t min_ms,
                                int64_t max_ms, struct sample_buf *out, struct error *err);
