/* tsdb/wal_reader.h: walk the records of one WAL segment (or of a checkpoint's, or the WBL's).
 *
 * Reads ahead in blocks of 1 MiB; a record is borrowed until the next call. Damage does not end the
 * walk: the bytes up to the next whole record are reported as one hole, so that what lies behind is
 * still read. Not thread-safe: one owner. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include "base/io.h"

#define WAL_PAGE_BYTES      32768u
#define WAL_FRAGMENT_HEADER 7u
#define WAL_RECORD_BYTES_MAX \
    (UINT32_C(256) << 20) /* a segment's maximum: no honest record is longer */

enum wal_compression { WAL_PLAIN, WAL_SNAPPY, WAL_ZSTD };

struct wal_record {
    struct bytes data; /* as stored; wal_unpack() gives the record itself */
    enum wal_compression compression;
    uint64_t start,
        end; /* byte offsets in the segment: first fragment's header, behind the last one */
};

struct wal_reader {
    const struct io *io;
    io_file file;
    uint64_t bytes, at; /* of the segment; next fragment */
    uint8_t *block;     /* owned: read ahead */
    uint64_t block_at, block_n;
    struct buf parts; /* a record of several fragments */
    struct error err; /* reading failed: ends the walk */
    bool in_hole;
    uint64_t hole_at;
    char hole_why[96];
};

/* Starts at byte offset `at` (a multiple of the page). */
MUST_CHECK bool wal_reader_open(struct wal_reader *r, const struct io *io, const char *path,
                                uint64_t at, struct error *err);
void wal_reader_close(struct wal_reader *r);

enum wal_step { WAL_RECORD, WAL_HOLE, WAL_END };

/* WAL_HOLE: [hole->start, hole->end) does not hold whole records; r->hole_why says what was met
 * first. WAL_END: the segment is over or could not be read; wal_reader_end() tells. */
enum wal_step wal_reader_next(struct wal_reader *r, struct wal_record *rec);
MUST_CHECK bool wal_reader_end(struct wal_reader *r, struct error *err);

/* Decompresses into `into` (reused) when needed. Sizes are checked before room is made. */
MUST_CHECK bool wal_unpack_more(const struct wal_record *rec, struct buf *into, struct bytes *out,
                                struct error *err); /* behind what `into` holds */
MUST_CHECK bool
wal_unpack(const struct wal_record *rec, struct buf *into, struct bytes *out, struct error *err);

/* The segments of a directory: every name that is a decimal number, in numeric order. */
struct wal_segments {
    uint32_t *v; /* owned: mem_free() */
    size_t nr;
};
MUST_CHECK bool
wal_segments_list(const struct io *io, const char *dir, struct wal_segments *s, struct error *err);
