/* tsdb/head_chunks.h: the directory chunks_head: finished chunks of the head, which thereby leave
 * memory.
 *
 * One writer appends to the newest file (cut at 128 MiB); any number of readers copy chunks out by
 * reference. A reference is the file's number in the high and the byte offset in the low 32 bits.
 * Writes are buffered; what is not in the file yet is read from the buffer. Nothing here is synced
 * per chunk: the WAL still has the samples. Internally locked. */
#pragma once
#include "base/io.h"
#include "base/buf.h"
#include "tsdb/chunk.h"

struct head_chunks;

#define HEAD_CHUNKS_FILE_BYTES (UINT64_C(128) << 20)

/* One entry met at opening. data is borrowed for the call. */
struct head_chunk {
    uint64_t ref; /* for head_chunks_copy() */
    uint64_t series;
    int64_t min_ms, max_ms;
    enum chunk_encoding encoding;
    bool is_ooo;
    uint32_t samples_nr;
};

/* False stops and counts the entry as damage (in-order chunks of a series that overlap). */
typedef bool (*head_chunk_fn)(void *arg, const struct head_chunk *c, struct error *err);

/* What opening found wrong; files from first_bad_file on were moved to aside_dir, nothing is lost.
 */
struct head_chunks_damage {
    bool found;
    uint32_t first_bad_file;
    uint32_t files_nr;
    char why[256];
};

/* Opens or makes `dir`. Each known chunk is given to fn in file order. After damage fn may have
 * seen chunks of files that were then set aside: the caller drops those with ref >> 32 >=
 * damage->first_bad_file. A torn newest file (crash) is cut by starting a new one. aside_dir (made
 * when needed) is `<data>/narthex/damaged/chunks_head`. */
MUST_CHECK bool head_chunks_open(struct head_chunks **hc, const struct io *io, const char *dir,
                                 const char *aside_dir, uint64_t file_bytes, head_chunk_fn fn,
                                 void *arg, struct head_chunks_damage *damage, struct error *err);
/* Flushes, syncs the newest file and closes. */
void head_chunks_close(struct head_chunks *hc); /* accepts NULL */

/* *ref tells where it will lie. On an error (full disk) nothing was added; the caller keeps the
 * chunk in memory. */
MUST_CHECK bool head_chunks_write(struct head_chunks *hc, uint64_t series, const struct chunk *c,
                                  bool is_ooo, uint64_t *ref, struct error *err);
/* Puts the buffer into the file. */
MUST_CHECK bool head_chunks_flush(struct head_chunks *hc, struct error *err);

/* Reuse one per reader; zeroed is empty, buf_fini() releases. The chunk's bytes are put there; CRC
 * checked. */
MUST_CHECK bool
head_chunks_copy(struct head_chunks *hc, uint64_t ref, struct buf *into,
                 enum chunk_encoding *encoding, struct bytes *data, struct error *err);

/* Deletes whole files that hold nothing newer than or at min_ms. Never the newest. */
MUST_CHECK bool head_chunks_truncate(struct head_chunks *hc, int64_t min_ms, struct error *err);
/* Bytes of all files. */
uint64_t head_chunks_bytes(struct head_chunks *hc);
