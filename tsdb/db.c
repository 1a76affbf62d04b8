/* Opening, in this order: lock file; leftovers of unfinished blocks; blocks; chunks_head;
 * checkpoint and WAL into the head; repair of what was damaged; a new WAL segment. Nothing is
 * written to the WAL before it is whole again. */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include "base/mem.h"
#include "tsdb/checkpoint.h"
#include "tsdb/chunk_cut.h"
#include "tsdb/db_priv.h"
#include "tsdb/replay.h"

#define HOUR_MS INT64_C(3600000)

static void
options_default(struct db_options *o)
{
    if (o->min_block_ms == 0)
        o->min_block_ms = 2 * HOUR_MS;
    if (o->wal_segment_bytes == 0)
        o->wal_segment_bytes = WAL_SEGMENT_BYTES;
    if (o->samples_per_chunk == 0)
        o->samples_per_chunk = CHUNK_CUT_SAMPLES;
    if (o->chunk_segment_bytes == 0)
        o->chunk_segment_bytes = BLOCK_SEGMENT_BYTES;
    if (o->maintenance_ms == 0)
        o->maintenance_ms = 60000;
}

/* Every counter leads somewhere, so that nobody asks whether there is a registry. */
static void
metrics_init(struct db *db)
{
    static const struct {
        size_t offset;
        bool gauge;
        const char *name, *help;
    } rows[] = {
#define ROW(field, gauge, name, help) { offsetof(struct db_metrics, field), gauge, name, help }
        ROW(compactions, false, "prometheus_tsdb_compactions_total",
            "Total number of compactions that were executed for the partition."),
        ROW(compactions_failed, false, "prometheus_tsdb_compactions_failed_total",
            "Total number of compactions that failed for the partition."),
        ROW(compactions_triggered, false, "prometheus_tsdb_compactions_triggered_total",
            "Total number of triggered compactions for the partition."),
        ROW(compactions_skipped, false, "prometheus_tsdb_compactions_skipped_total",
            "Total number of skipped compactions due to disabled auto compaction."),
        ROW(reloads, false, "prometheus_tsdb_reloads_total",
            "Number of times the database reloaded block data from disk."),
        ROW(reloads_failed, false, "prometheus_tsdb_reloads_failures_total",
            "Number of times the database failed to reloadBlocks block data from disk."),
        ROW(time_retentions, false, "prometheus_tsdb_time_retentions_total",
            "The number of times that blocks were deleted because the maximum time limit was "
            "exceeded."),
        ROW(size_retentions, false, "prometheus_tsdb_size_retentions_total",
            "The number of times that blocks were deleted because the maximum number of bytes was "
            "exceeded."),
        ROW(corruptions, false, "prometheus_tsdb_wal_corruptions_total",
            "Total number of WAL corruptions."),
        ROW(mmap_corruptions, false, "prometheus_tsdb_mmap_chunk_corruptions_total",
            "Total number of memory-mapped chunk corruptions."),
        ROW(checkpoints, false, "prometheus_tsdb_checkpoint_creations_total",
            "Total number of checkpoint creations attempted."),
        ROW(checkpoints_failed, false, "prometheus_tsdb_checkpoint_creations_failed_total",
            "Total number of checkpoint creations that failed."),
        ROW(checkpoint_deletions, false, "prometheus_tsdb_checkpoint_deletions_total",
            "Total number of checkpoint deletions attempted."),
        ROW(checkpoint_deletions_failed, false, "prometheus_tsdb_checkpoint_deletions_failed_total",
            "Total number of checkpoint deletions that failed."),
        ROW(replay_seconds, true, "prometheus_tsdb_data_replay_duration_seconds",
            "Time taken to replay the data on disk."),
        ROW(blocks_aside, false, "narthex_blocks_set_aside_total",
            "Blocks that could not be read and were set aside."),
        ROW(clean_start, true, "prometheus_tsdb_clean_start",
            "-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: "
            "lockfile creation was clean"),
        ROW(truncations_failed, false, "prometheus_tsdb_head_truncations_failed_total",
            "Total number of head truncations that failed."),
        ROW(retention_seconds, true, "prometheus_tsdb_retention_limit_seconds",
            "How long to retain samples in storage."),
        ROW(retention_percent, true, "prometheus_tsdb_retention_limit_percentage",
            "Max percentage of total storage space to retain, configured 0 means disabled"),
        ROW(retention_bytes, true, "prometheus_tsdb_retention_limit_bytes",
            "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled"),
#undef ROW
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct metric *m = &db->unused;
        if (db->o.metrics != NULL)
            m = rows[i].gauge ? metrics_gauge(db->o.metrics, rows[i].name, rows[i].help)
                              : metrics_counter(db->o.metrics, rows[i].name, rows[i].help);
        memcpy((char *)&db->m + rows[i].offset, &m, sizeof m);
    }
}

static void
distributions_init(struct db *db)
{
    static const double bounds[] = {
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192
    };
    static const double quantiles[] = { 0 };
    struct metrics *m = db->o.metrics;

    if (m == NULL)
        return;
    db->m.compaction_seconds = metrics_histogram(
        metrics_family(m, METRIC_HISTOGRAM, "prometheus_tsdb_compaction_duration_seconds",
                       "Duration of compaction runs", NULL),
        NULL, bounds, ARRAY_LEN(bounds));
    db->m.truncate_seconds = metrics_summary(
        metrics_family(m, METRIC_SUMMARY, "prometheus_tsdb_wal_truncate_duration_seconds",
                       "Duration of WAL truncation.", NULL),
        NULL, quantiles, 0);
}

static void
collect_blocks(void *arg, struct metrics_out *out)
{
    struct db *db = arg;

    rwlock_read(&db->blocks_lock);
    size_t nr = db->blocks_nr;
    rwlock_release(&db->blocks_lock);
    metrics_emit(out, NULL, (double)nr);
}

static void
collect_block_bytes(void *arg, struct metrics_out *out)
{
    struct db *db = arg;
    uint64_t sum = 0;

    rwlock_read(&db->blocks_lock);
    for (size_t i = 0; i < db->blocks_nr; i++)
        sum += block_bytes(db->blocks[i]);
    rwlock_release(&db->blocks_lock);
    metrics_emit(out, NULL, (double)sum);
}

static void
collect_wal_bytes(void *arg, struct metrics_out *out)
{
    metrics_emit(out, NULL, (double)wal_bytes(((struct db *)arg)->wal));
}

static void
collect_lowest(void *arg, struct metrics_out *out)
{
    int64_t start_ms = 0;

    (void)db_start_ms(arg, &start_ms);
    metrics_emit(out, NULL, (double)start_ms);
}

static void
collect_lowest_s(void *arg, struct metrics_out *out)
{
    int64_t start_ms = 0;

    (void)db_start_ms(arg, &start_ms);
    metrics_emit(out, NULL, (double)start_ms / 1000);
}

static void
collectors_init(struct db *db)
{
    static const struct {
        const char *name, *help;
        metrics_collect_fn fn;
    } rows[] = {
        { "prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks",
          collect_blocks },
        { "prometheus_tsdb_storage_blocks_bytes",
          "The number of bytes that are currently used for local storage by all blocks.",
          collect_block_bytes },
        { "prometheus_tsdb_wal_storage_size_bytes", "Size of the write log directory.",
          collect_wal_bytes },
        { "prometheus_tsdb_lowest_timestamp",
          "Lowest timestamp value stored in the database. The unit is decided by the library "
          "consumer.",
          collect_lowest },
        { "prometheus_tsdb_lowest_timestamp_seconds",
          "Lowest timestamp value stored in the database.", collect_lowest_s },
    };

    for (size_t i = 0; db->o.metrics != NULL && i < ARRAY_LEN(rows); i++)
        metrics_collector(
            db->o.metrics,
            metrics_family(db->o.metrics, METRIC_GAUGE, rows[i].name, rows[i].help, NULL),
            rows[i].fn, db);
}

static char *
path_join(const char *dir, const char *name)
{
    struct buf b = { 0 };

    buf_printf(&b, "%s/%s", dir, name);
    char *z = mem_strdup(buf_z(&b));
    buf_fini(&b);
    return z;
}

static bool
lock_directory(struct db *db, struct error *err)
{
    struct error ignored = { 0 };
    struct io_stat st;
    char pid[32];

    if (db->o.no_lockfile) {
        metric_set(db->m.clean_start, -1);
        return true;
    }
    char *path = path_join(db->path, "lock");
    metric_set(db->m.clean_start, !io_stat_path(db->io, path, &st, &ignored));
    error_clear(&ignored);
    bool ok = io_open(db->io, path, IO_READ | IO_WRITE | IO_CREATE, &db->lockfile, err) &&
              io_lock(db->io, db->lockfile, err);
    if (ok) {
        /* For people only: a full disk is no reason not to start. */
        int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
        error_ignored(io_truncate(db->io, db->lockfile, 0, &ignored) &&
                      io_write(db->io, db->lockfile, pid, (size_t)n, 0, &ignored));
        error_clear(&ignored);
    } else {
        error_wrap(err, "the data directory is in use");
        /* It is not ours to remove. */
        if (db->lockfile != IO_NONE)
            io_close(db->io, db->lockfile);
        db->lockfile = IO_NONE;
    }
    mem_free(path);
    return ok;
}

static void
unlock_directory(struct db *db)
{
    struct error ignored = { 0 };

    if (db->lockfile == IO_NONE)
        return;
    char *path = path_join(db->path, "lock");
    error_ignored(io_remove(db->io, path, &ignored));
    error_clear(&ignored);
    io_close(db->io, db->lockfile);
    mem_free(path);
}

/* chunks_head: what is met before the WAL tells which series it belongs to. */
struct met_chunks {
    struct replay_chunks list;
    int64_t min_valid_ms;
};

static bool
meet_chunk(void *arg, const struct head_chunk *c, struct error *err)
{
    struct met_chunks *m = arg;

    (void)err;
    if (c->is_ooo || c->max_ms < m->min_valid_ms || !chunk_encoding_known(c->encoding))
        return true;
    MEM_GROW(m->list.v, m->list.nr + 1, &m->list.cap);
    m->list.v[m->list.nr++] = *c;
    return true;
}

static bool
open_head_chunks(struct db *db, struct met_chunks *m, struct error *err)
{
    struct head_chunks_damage damage = { 0 };
    char aside[PATH_MAX];
    size_t kept = 0;

    snprintf(aside, sizeof aside, "%.3000s/chunks_head", db->aside_path);
    if (!head_chunks_open(&db->head_chunks, db->io, db->head_path, aside, HEAD_CHUNKS_FILE_BYTES,
                          meet_chunk, m, &damage, err))
        return false;
    if (!damage.found)
        return true;
    log_warn(&db->o.log, "damaged chunks_head file set aside, its samples come from the WAL",
             LOG_I("file", damage.first_bad_file), LOG_I("files", damage.files_nr),
             LOG_C("reason", damage.why));
    metric_inc(db->m.mmap_corruptions);
    atomic_fetch_add(&db->corruptions, 1);
    for (size_t i = 0; i < m->list.nr; i++)
        if (m->list.v[i].ref >> 32 < damage.first_bad_file)
            m->list.v[kept++] = m->list.v[i];
    m->list.nr = kept;
    return true;
}

static bool
repair_log(struct db *db, const char *dir, const char *name, struct wal_damages *d,
           struct error *err)
{
    if (d->nr == 0)
        return true;
    metric_add(db->m.corruptions, 1);
    atomic_fetch_add(&db->corruptions, 1);
    log_warn(&db->o.log, "repairing the WAL; removed bytes are kept", LOG_C("dir", dir),
             LOG_I("places", d->nr), LOG_C("kept_in", db->aside_path));
    return wal_repair(db->io, dir, db->aside_path, name, d, err);
}

static bool
repair(struct db *db, struct replay_result *r, struct error *err)
{
    char dir[PATH_MAX];
    struct wal_segments s = { 0 };
    size_t missing = 0;

    checkpoint_path(dir, sizeof dir, db->wal_path, r->checkpoint_damaged);
    bool ok = repair_log(db, dir, "checkpoint", &r->in_checkpoint, err) &&
              repair_log(db, db->wal_path, "wal", &r->wal, err) &&
              wal_segments_list(db->io, db->wal_path, &s, err) &&
              wal_fill_gaps(db->io, db->wal_path, &s, &missing, err);
    if (missing > 0)
        log_warn(&db->o.log, "missing WAL segments replaced by empty ones",
                 LOG_I("segments", missing));
    mem_free(s.v);
    return ok;
}

static bool
replay(struct db *db, struct met_chunks *met, struct error *err)
{
    struct replay_options o = { .io = db->io,
                                .wal_dir = db->wal_path,
                                .head = db->head,
                                .exemplars = db->exemplars,
                                .log = db->o.log,
                                .workers_nr = pool_cpus(),
                                .status = db->o.replay,
                                .chunks = &met->list,
                                .min_valid_ms = met->min_valid_ms };
    struct replay_result r;
    int64_t start_ns = clock_monotonic_ns(db->clock);
    bool ok = io_mkdir(db->io, db->wal_path, err) &&
              checkpoint_clean(db->io, db->wal_path, 0, err) && replay_run(&o, &r, err);

    if (!ok)
        return false;
    ok = repair(db, &r, err);
    wal_damages_fini(&r.wal);
    wal_damages_fini(&r.in_checkpoint);
    double seconds = (double)(clock_monotonic_ns(db->clock) - start_ns) / 1e9;
    metric_set(db->m.replay_seconds, seconds);
    log_info(&db->o.log, "WAL replay completed", LOG_I("series", r.series_nr),
             LOG_I("samples", r.samples_nr), LOG_I("unknown_refs", r.unknown_refs_nr),
             LOG_F("seconds", seconds));
    return ok;
}

static bool
open_wal(struct db *db, struct error *err)
{
    static const enum wal_compression how[] = {
        [DB_WAL_SNAPPY] = WAL_SNAPPY, [DB_WAL_ZSTD] = WAL_ZSTD, [DB_WAL_PLAIN] = WAL_PLAIN
    };
    static const enum wal_sync sync[] = { [DB_SYNC_INTERVAL] = WAL_SYNC_INTERVAL,
                                          [DB_SYNC_COMMIT] = WAL_SYNC_COMMIT,
                                          [DB_SYNC_OFF] = WAL_SYNC_OFF };
    struct wal_options o = { .segment_bytes = db->o.wal_segment_bytes,
                             .compression = how[db->o.wal_compression],
                             .sync = sync[db->o.wal_sync],
                             .sync_interval_ms = db->o.wal_sync_interval_ms,
                             .hold_bytes_max = db->o.held_bytes_max,
                             .metrics = db->o.metrics,
                             .log = db->o.log };

    return wal_open(&db->wal, db->io, db->clock, db->wal_path, &o, err);
}

static bool
load(struct db *db, struct error *err)
{
    struct met_chunks met = { 0 };

    if (!io_mkdir(db->io, db->path, err) || !lock_directory(db, err) ||
        !block_clean_dir(db->io, db->path, err) || !db_blocks_load(db, err))
        return false;
    if (!db_blocks_disown_future(db, err)) {
        log_warn(&db->o.log, "blocks of the future could not be marked", LOG_E(err));
        error_clear(err); /* while we run they do not count anyway */
    }
    if (!db_floor_read(db, &met.min_valid_ms, err))
        return false;
    met.min_valid_ms = MAX(met.min_valid_ms, db_blocks_in_order_max(db));
    db->cut_end_ms = met.min_valid_ms;
    head_set_min_valid_ms(db->head, met.min_valid_ms);
    bool ok = open_head_chunks(db, &met, err);
    if (ok) {
        head_attach(db->head, NULL, db->head_chunks);
        ok = replay(db, &met, err) && open_wal(db, err);
    }
    replay_chunks_fini(&met.list);
    if (ok)
        head_attach(db->head, db->wal, NULL);
    return ok;
}

bool
db_open(const char *path, const struct io *io, const struct clock *clock,
        const struct db_options *options, struct db **out, struct error *err)
{
    struct db *db = MEM_NEW(struct db);

    db->io = io;
    db->clock = clock;
    db->o = *options;
    db->lockfile = IO_NONE;
    options_default(&db->o);
    db->queryable.open = db_querier_open;
    db->path = mem_strdup(path);
    db->wal_path = path_join(path, "wal");
    db->head_path = path_join(path, "chunks_head");
    db->aside_path = path_join(path, "narthex/damaged");
    rwlock_init(&db->blocks_lock, LOCK_BLOCKS, "blocks");
    lock_init(&db->options_lock, LOCK_HEAD, "db options");
    lock_init(&db->maintain_lock, LOCK_COMPACT, "maintenance");
    lock_init(&db->wake_lock, LOCK_POOL, "maintenance wake");
    cond_init(&db->wake);
    metrics_init(db);
    distributions_init(db);
    metric_set(db->m.retention_seconds, (double)db->o.retention_ms / 1000);
    metric_set(db->m.retention_bytes, (double)db->o.retention_bytes);
    metric_set(db->m.retention_percent, db->o.retention_percent);
    db->symbols = symbols_new();
    db->exemplars = exemplars_new(db->o.exemplars_max, db->o.metrics);
    struct head_options ho = { .io = io,
                               .clock = clock,
                               .symbols = db->symbols,
                               .exemplars = db->exemplars,
                               .metrics = db->o.metrics,
                               .log = db->o.log,
                               .range_ms = db->o.min_block_ms,
                               .samples_per_chunk = db->o.samples_per_chunk,
                               .metadata_wal = db->o.metadata_wal,
                               .guard_clock = true,
                               .admit_series = db->o.admit_series,
                               .admit_arg = db->o.admit_arg };
    db->head = head_new(&ho);
    if (!load(db, err)) {
        db_close(db);
        return false;
    }
    collectors_init(db);
    if (db->o.replay != NULL)
        atomic_store(&db->o.replay->done, true);
    if (!db->o.no_maintenance)
        db->has_thread = pthread_create(&db->thread, NULL, db_maintain_thread, db) == 0;
    *out = db;
    return true;
}

void
db_close(struct db *db)
{
    if (db == NULL)
        return;
    if (db->has_thread) {
        lock_take(&db->wake_lock);
        db->stopping = true;
        cond_broadcast(&db->wake);
        lock_release(&db->wake_lock);
        pthread_join(db->thread, NULL);
    }
    wal_close(db->wal);
    head_free(db->head);
    head_chunks_close(db->head_chunks);
    db_blocks_close(db);
    exemplars_free(db->exemplars);
    symbols_free(db->symbols);
    unlock_directory(db);
    rwlock_fini(&db->blocks_lock);
    lock_fini(&db->options_lock);
    lock_fini(&db->maintain_lock);
    lock_fini(&db->wake_lock);
    cond_fini(&db->wake);
    mem_free(db->path);
    mem_free(db->wal_path);
    mem_free(db->head_path);
    mem_free(db->aside_path);
    mem_free(db);
}

struct appendable *
db_appendable(struct db *db)
{
    return head_appendable(db->head);
}

struct queryable *
db_queryable(struct db *db)
{
    return &db->queryable;
}

void
db_retention_set(struct db *db, int64_t retention_ms, uint64_t retention_bytes,
                 double retention_percent)
{
    lock_take(&db->options_lock);
    db->o.retention_ms = retention_ms;
    db->o.retention_bytes = retention_bytes;
    db->o.retention_percent = retention_percent;
    lock_release(&db->options_lock);
    metric_set(db->m.retention_seconds, (double)retention_ms / 1000);
    metric_set(db->m.retention_bytes, (double)retention_bytes);
    metric_set(db->m.retention_percent, retention_percent);
}

void
db_ooo_window_set(struct db *db, int64_t ooo_window_ms)
{
    lock_take(&db->options_lock);
    db->o.ooo_window_ms = ooo_window_ms;
    lock_release(&db->options_lock);
}

void
db_exemplars_max_set(struct db *db, uint32_t exemplars_max)
{
    exemplars_resize(db->exemplars, exemplars_max);
}
