/* tsdb/db_priv.h: the database's own layout, shared by db.c (open, close), db_blocks.c,
 * db_maintain.c, db_stats.c and querier.c. */
#pragma once
#include "base/lock.h"
#include "tsdb/block.h"
#include "tsdb/compact.h"
#include "tsdb/db.h"
#include "tsdb/head.h"

struct db_metrics {
    struct metric_histogram *compaction_seconds; /* NULL without a registry, as the next */
    struct metric_summary *truncate_seconds;
    struct metric *compactions, *compactions_failed, *compactions_triggered, *compactions_skipped,
        *reloads, *reloads_failed, *time_retentions, *size_retentions, *corruptions, *checkpoints,
        *checkpoints_failed, *checkpoint_deletions, *checkpoint_deletions_failed, *replay_seconds,
        *blocks_aside, *clean_start, *truncations_failed, *retention_seconds, *retention_percent,
        *retention_bytes, *mmap_corruptions;
};

struct db {
    struct appendable
        appendable; /* the head's, with the size check of nothing: see db_appendable() */
    struct queryable queryable;
    const struct io *io;
    const struct clock *clock;
    struct db_options o; /* retention and window under options_lock */
    char *path, *wal_path, *head_path, *aside_path;
    io_file lockfile;
    struct symbols *symbols;
    struct exemplars *exemplars;
    struct head *head;
    struct wal *wal;
    struct head_chunks *head_chunks;
    struct db_metrics m;
    struct metric unused;
    _Atomic uint64_t corruptions;

    struct rwlock blocks_lock;
    struct block **blocks; /* sorted by min_ms; one reference each */
    size_t blocks_nr;

    struct lock options_lock;

    struct lock maintain_lock;  /* one round at a time; guards the three below */
    _Atomic int64_t cut_end_ms; /* blocks hold everything below; INT64_MIN: none cut yet */
    int64_t truncate_ms; /* the head is still to be truncated to here once readers have passed
                            truncate_mark */
    uint64_t truncate_mark;
    bool truncate_due, merging_off;

    struct lock wake_lock;
    struct cond wake;
    bool stopping, soon, has_thread;
    pthread_t thread;
};

/* db_blocks.c */
MUST_CHECK bool db_blocks_load(struct db *db, struct error *err); /* at open */
MUST_CHECK bool
db_block_publish(struct db *db, struct block_id id, struct block *const *gone, size_t gone_nr,
                 struct error *err); /* id.z empty: only takes away */
/* The block's files beside its chunks and index changed: queries from now on see it as it is now.
 */
MUST_CHECK bool db_block_reopen(struct db *db, struct block *b, struct error *err);
void db_blocks_close(struct db *db);
/* References to the blocks that overlap [min_ms, max_ms]; the caller unrefs and frees. */
struct block **db_blocks_ref(struct db *db, int64_t min_ms, int64_t max_ms, size_t *nr);
struct block **db_blocks_all(struct db *db, size_t *nr); /* the same of all */
void db_blocks_unref(struct block **v, size_t nr);       /* frees v as well */
int64_t db_blocks_in_order_max(struct db *db);
/* Blocks that end after head_horizon_ms() were cut while the clock was wrong. They get the hint of
 * out-of-order blocks, for good: neither we nor Prometheus then take their end for the end of what
 * is in blocks, and the log's samples below it stay. */
MUST_CHECK bool db_blocks_disown_future(struct db *db, struct error *err);
MUST_CHECK bool db_retention(struct db *db, struct error *err);
MUST_CHECK bool db_merge(struct db *db, struct error *err);

/* db_admin.c: what a block that is gone said of where the log begins; INT64_MIN when none is. */
MUST_CHECK bool db_floor_read(struct db *db, int64_t *floor_ms, struct error *err);

/* db_maintain.c */
int64_t db_uncut_min_ms(const struct db *db); /* the head's oldest sample that no block has */
void db_compaction_took(struct db *db, int64_t start_ns);
void *db_maintain_thread(void *db);

/* head_block.c: writes [min_ms, max_ms) of the head as a block into dir. *empty: nothing there, no
 * block made. */
MUST_CHECK bool head_write_block(struct head *h, const struct io *io, const char *dir,
                                 struct block_id id, int64_t min_ms, int64_t max_ms,
                                 uint64_t segment_bytes, bool *empty, struct error *err);

/* querier.c */
MUST_CHECK bool db_querier_open(struct queryable *storage, int64_t min_ms, int64_t max_ms,
                                struct querier **q, struct error *err);
