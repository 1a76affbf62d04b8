/* tsdb/checkpoint.h: replacing the oldest WAL segments by what of them is still needed.
 *
 * `checkpoint.%08u` holds ordinary segments; it stands for everything up to the segment of that
 * number. It is built as `.tmp`, synced and renamed, so that a crash leaves it whole or not there;
 * the segments it replaces are removed afterwards by the caller. */
#pragma once
#include "base/io.h"
#include "tsdb/wal.h"

struct checkpoint_rules {
    int64_t min_ms;                        /* samples, exemplars and deletions older than that go */
    bool (*keep)(void *arg, uint64_t ref); /* series, and what belongs to it */
    void *arg;
    enum wal_compression compression;
    uint32_t segment_bytes;
};

struct checkpoint_stats {
    uint64_t series_dropped, samples_dropped, records_bad;
};

/* From the last checkpoint and the segments above it, up to `last`. */
MUST_CHECK bool checkpoint_write(const struct io *io, const char *wal_dir, uint32_t last,
                                 const struct checkpoint_rules *rules,
                                 struct checkpoint_stats *stats, struct error *err);

/* The newest checkpoint; found: false when there is none. */
MUST_CHECK bool checkpoint_find(const struct io *io, const char *wal_dir, bool *found, uint32_t *nr,
                                struct error *err);
/* Removes all below nr, and unfinished ones. */
MUST_CHECK bool
checkpoint_clean(const struct io *io, const char *wal_dir, uint32_t nr, struct error *err);
void checkpoint_path(char *path, size_t cap, const char *wal_dir, uint32_t nr);
