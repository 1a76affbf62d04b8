/* tsdb/wal.h: the write-ahead log: segments of 32 KiB pages that hold framed, compressed,
 * checksummed records, in Prometheus's bytes.
 *
 * A commit hands over the records of one batch; they reach the file as consecutive records by one
 * write, or not at all: after a failed write the file is cut back to where it stood. Nothing is
 * preallocated, so that Prometheus can read a live or killed log. Internally locked.
 *
 * Durability: by interval (a thread syncs what was written since the last time), by commit (each
 * commit waits; those that wait together share one sync), or off. A finished segment is always
 * synced. */
#pragma once
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/metrics.h"
#include "tsdb/wal_reader.h"

#define WAL_SEGMENT_BYTES (UINT32_C(128) << 20)

enum wal_sync { WAL_SYNC_INTERVAL, WAL_SYNC_COMMIT, WAL_SYNC_OFF };

struct wal_options {
    uint32_t segment_bytes; /* 0: WAL_SEGMENT_BYTES; whole pages */
    enum wal_compression compression;
    enum wal_sync sync;
    int64_t sync_interval_ms;   /* 0: 1000 */
    uint64_t hold_bytes_max;    /* of batches kept while the disk is full; 0: 256 MiB */
    struct metrics *metrics;    /* may be NULL */
    const char *metrics_prefix; /* "prometheus_tsdb_wal" */
    struct log log;
};

struct wal;

/* Starts the segment after the highest one in dir (made when missing). Whoever wants the old ones
 * repaired or replayed does so before. */
MUST_CHECK bool wal_open(struct wal **w, const struct io *io, const struct clock *clock,
                         const char *dir, const struct wal_options *options, struct error *err);
/* Pads the last page, syncs, closes. Accepts NULL. */
void wal_close(struct wal *w);

/* The records of one commit, compressed as they come. Zeroed is empty; reused; one owner. */
struct wal_batch {
    struct buf raw;    /* the record being encoded */
    struct buf packed; /* finished ones, one after the other */
    struct wal_packed {
        uint32_t bytes;
        enum wal_compression compression;
    } * records;
    size_t nr, cap;
    uint64_t saved_bytes; /* by compression */
    void *zstd;
};

void wal_batch_fini(struct wal_batch *b);
void wal_batch_reset(struct wal_batch *b);
/* Takes what was encoded into b->raw as one record (nothing when empty) and empties raw. */
void wal_batch_add(struct wal_batch *b, enum wal_compression compression);

/* True: every record of b is in the file (and on disk, with WAL_SYNC_COMMIT). ERR_FULL: the disk is
 * full, or refuses to be written. */
MUST_CHECK bool wal_commit(struct wal *w, const struct wal_batch *b, struct error *err);
/* The same, but while the disk is full b is kept in memory and written when there is room again, in
 * the order of the commits. ERR_FULL only when more than hold_bytes_max would be kept. */
MUST_CHECK bool wal_commit_or_hold(struct wal *w, const struct wal_batch *b, struct error *err);
/* Memory of the batches that wait for room. */
uint64_t wal_held_bytes(struct wal *w);

enum wal_compression wal_compression_of(const struct wal *w);
const char *wal_dir(const struct wal *w);
/* The segment being written. */
uint32_t wal_segment(struct wal *w);
/* Finishes it and starts the next. */
MUST_CHECK bool wal_cut(struct wal *w, struct error *err);
/* Removes the segments below `first`. */
MUST_CHECK bool wal_truncate(struct wal *w, uint32_t first, struct error *err);
/* Everything committed so far is on disk afterwards. */
MUST_CHECK bool wal_flush(struct wal *w, struct error *err);
/* Bytes of all files below the directory; for metrics and retention. */
uint64_t wal_bytes(struct wal *w);

/* Frames data into out as it will stand at byte `at` of a segment: what the writer, repair and
 * checkpoints share. */
void wal_frame(struct buf *out, uint64_t at, struct bytes data, enum wal_compression compression);
/* Bytes that wal_frame() will add at most. */
uint64_t wal_framed_bytes(uint64_t at, uint64_t data_bytes);
/* "<dir>/%08u" */
void wal_segment_path(char *path, size_t cap, const char *dir, uint32_t segment);
