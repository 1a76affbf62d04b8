/* tsdb/replay.h: bringing the head back from chunks_head and the WAL at start.
 *
 * Reading, checking and decompressing run on the calling thread; samples are applied by workers,
 * each of which owns the series whose id falls to it. Nothing is changed on disk here: damage is
 * collected for wal_repair(). */
#pragma once
#include "tsdb/db.h"
#include "tsdb/head.h"
#include "tsdb/wal_repair.h"

/* Chunks met in chunks_head, by series reference. */
struct replay_chunks {
    struct head_chunk *v; /* owned; sorted by replay_run() */
    size_t nr, cap;
};

struct replay_options {
    const struct io *io;
    const char *wal_dir;
    struct head *head;
    struct exemplars *exemplars; /* may be NULL */
    struct log log;
    unsigned workers_nr;             /* 0: on the calling thread */
    struct db_replay_status *status; /* may be NULL */
    struct replay_chunks *chunks;
    int64_t min_valid_ms; /* samples below are in blocks */
};

struct replay_result {
    uint64_t series_nr, samples_nr, unknown_refs_nr, bad_records_nr;
    bool has_checkpoint;
    uint32_t checkpoint;
    struct wal_damages wal, in_checkpoint; /* the caller's: wal_damages_fini() */
    uint32_t checkpoint_damaged;           /* whose directory in_checkpoint is about */
};

MUST_CHECK bool
replay_run(const struct replay_options *o, struct replay_result *r, struct error *err);
void replay_chunks_fini(struct replay_chunks *c);
