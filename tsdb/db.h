/* tsdb/db.h: one database: a data directory in Prometheus's format, opened, appended to, queried,
 * maintained.
 *
 * Ties together the head (what is younger than about three hours), the WAL, the blocks on disk and
 * the maintenance thread that cuts the head to blocks, merges blocks and applies retention. Several
 * databases may live in one process.
 *
 * db_open() replays what is on disk and repairs damage before it returns; a thread that wants to
 * answer meanwhile reads the struct db_replay_status it passed in the options. Everything else is
 * internally locked: any thread may call it until db_close(), before which every appender and
 * querier must be gone. On disk: <path>/{<ULID>,wal,chunks_head,lock} as Prometheus has them, and
 * <path>/narthex/ for what is ours. */
#pragma once
#include <stdatomic.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "model/matcher.h"
#include "model/metadata.h"
#include "tsdb/append.h"
#include "tsdb/querier.h"

struct db;
struct block;

/* For /api/v1/status/walreplay while db_open() runs: WAL segments min..max, the one being read.
 * Written by db_open() only. */
struct db_replay_status {
    _Atomic int32_t min, max, current;
    _Atomic bool done;
};

enum db_wal_compression { DB_WAL_SNAPPY, DB_WAL_ZSTD, DB_WAL_PLAIN };

/* When the WAL is synced to disk. It always *reaches the file* before a commit is acknowledged. */
enum db_wal_sync { DB_SYNC_INTERVAL, DB_SYNC_COMMIT, DB_SYNC_OFF };

struct db_options {
    /* Seams. io, clock and log must be given; metrics and pool may be NULL. All are borrowed until
     * db_close(). */
    struct metrics *metrics;
    struct pool *pool; /* replay and queries of many blocks spread over it */
    struct log log;
    struct db_replay_status *replay; /* may be NULL */

    int64_t min_block_ms;       /* head chunk range and smallest block; 0: 2 h */
    int64_t max_block_ms;       /* largest block compaction makes; 0: min(31 d, retention / 10) */
    int64_t retention_ms;       /* 0: for ever */
    uint64_t retention_bytes;   /* 0: no limit */
    double retention_percent;   /* of the file system; 0: no limit */
    uint32_t wal_segment_bytes; /* 0: 128 MiB */
    enum db_wal_compression wal_compression;
    enum db_wal_sync wal_sync;
    int64_t wal_sync_interval_ms; /* 0: 1000 */
    uint64_t held_bytes_max;      /* of samples kept in memory while the disk is full; 0: 256 MiB */
    uint32_t samples_per_chunk;   /* 0: 120 */
    uint32_t exemplars_max;       /* 0: exemplar storage is off */
    uint64_t chunk_segment_bytes; /* cap of a block's chunk files; 0: 512 MiB */
    int64_t ooo_window_ms;        /* 0: out-of-order samples are refused */
    int64_t maintenance_ms;       /* pause between two rounds of the maintenance thread; 0: 60 s */
    bool no_lockfile;
    bool no_overlapping_compaction;
    bool metadata_wal;   /* the feature metadata-wal-records */
    bool xor2;           /* float chunks with encoding XOR2 */
    bool no_maintenance; /* no thread: tests call db_maintain() themselves */
    /* Asked (without locks held) before a new series is made; false refuses it (APPEND_OVER_LIMIT).
     * May be NULL. */
    bool (*admit_series)(void *arg);
    void *admit_arg;
};

/* Opens or creates the directory. ERR_CONFLICT: another process holds the lock file. */
MUST_CHECK bool db_open(const char *path, const struct io *io, const struct clock *clock,
                        const struct db_options *options, struct db **db, struct error *err);
/* Stops maintenance, syncs and closes. Acknowledged samples are safe without it. The metrics
 * registry must not be written any more (its collectors ask the database). Accepts NULL. */
void db_close(struct db *db);

/* Borrowed for the database's life. */
struct appendable *db_appendable(struct db *db);
struct queryable *db_queryable(struct db *db);

/* May change while running (reload of the configuration): retention, out-of-order window, number of
 * exemplars. */
void db_retention_set(struct db *db, int64_t retention_ms, uint64_t retention_bytes,
                      double retention_percent);
void db_ooo_window_set(struct db *db, int64_t ooo_window_ms);
void db_exemplars_max_set(struct db *db, uint32_t exemplars_max);

/* One round of what the maintenance thread does: cut the head while it spans more than 1.5 block
 * ranges, merge blocks, apply retention. Returns after the round; rounds exclude each other. */
MUST_CHECK bool db_maintain(struct db *db, struct error *err);
/* Wakes the maintenance thread for a round now. */
void db_maintain_soon(struct db *db);

/* ---- administration: each excludes rounds of maintenance; any thread ---- */

/* Deletes the samples in [min_ms, max_ms] (both included) of the series that match all matchers, as
 * far as there are samples now: a tombstone in the head's log and in each block, safe before it
 * returns. Queries that are open may still see them. guard may be NULL. */
MUST_CHECK bool
db_delete_series(struct db *db, const struct matcher *matchers, size_t matchers_nr, int64_t min_ms,
                 int64_t max_ms, struct query_guard *guard, struct error *err);
/* Rewrites every block that has tombstones without what they delete. */
MUST_CHECK bool db_clean_tombstones(struct db *db, struct error *err);
/* <path>/snapshots/<name>: the blocks as hard links, and the head as one more block unless
 * skip_head. An unfinished one is removed again. */
#define DB_SNAPSHOT_NAME_BYTES 40 /* 20261121T064500Z-0123456789abcdef */
MUST_CHECK bool
db_snapshot(struct db *db, bool skip_head, char name[DB_SNAPSHOT_NAME_BYTES], struct error *err);

/* Oldest sample of head and blocks; false when there is none at all. */
bool db_start_ms(struct db *db, int64_t *start_ms);

/* The head's numbers for /api/v1/status/tsdb; cheap. */
struct db_head_stats {
    uint64_t series_nr, label_pairs_nr, chunks_nr;
    int64_t min_ms, max_ms; /* INT64_MAX, INT64_MIN while the head is empty */
};
void db_head_stats(struct db *db, struct db_head_stats *st);

/* The `limit` largest of each list, largest first; names and arrays live in the arena. */
struct db_count {
    struct str name;
    uint64_t nr;
};
struct db_cardinality {
    struct db_count *series_by_metric, *values_by_label, *bytes_by_label, *series_by_pair;
    size_t series_by_metric_nr, values_by_label_nr, bytes_by_label_nr, series_by_pair_nr;
};
void db_cardinality(struct db *db, size_t limit, struct arena *arena, struct db_cardinality *c);

/* The text of meta.json of every block, oldest first, in the arena. */
void db_blocks(struct db *db, struct arena *arena, struct str **metas, size_t *metas_nr);

/* Exemplars for query_exemplars: series matching all matchers of any of the sets, in [min_ms,
 * max_ms] (both included), in order of labels; texts in the arena. Empty when exemplar storage is
 * off. */
struct db_matchers {
    const struct matcher *v;
    size_t nr;
};
struct db_exemplar_series {
    struct labels labels;
    struct exemplar *exemplars;
    size_t nr;
};
MUST_CHECK bool
db_exemplars(struct db *db, const struct db_matchers *sets, size_t sets_nr, int64_t min_ms,
             int64_t max_ms, struct arena *arena, struct db_exemplar_series **series,
             size_t *series_nr, struct error *err);

/* How often damage was met and repaired since start, for runtimeinfo's corruptionCount. */
uint64_t db_corruptions(const struct db *db);

/* Stops and starts merging of blocks (the head is still cut): tests. */
void db_compaction_enable(struct db *db, bool on);
