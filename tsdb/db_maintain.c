/* A round of maintenance. Cutting the head, step by step, and what a crash leaves between the
 * steps:
 *   1. the block is written and renamed into place  -- a block whose samples the WAL has as well:
 * replay skips what is below its end
 *   2. it is published; from now on queries take that time from it and appends below its end are
 * refused
 *   3. once every query that was open at 2 is done: the head forgets, chunks_head files go
 *   4. the WAL is cut, a checkpoint replaces its older two thirds, those segments go -- old
 * segments below a checkpoint are ignored Step 3 waits for nobody: when queries are still open it
 * is left to a later round. */
#include "base/mem.h"
#include "tsdb/checkpoint.h"
#include "tsdb/chunk_cut.h"
#include "tsdb/db_priv.h"

enum { TRUNCATE_TRIES = 20, TRUNCATE_TRY_MS = 5, CUT_LOOK_MS = 1000, CUT_RETRY_MS = 5000 };

void
db_compaction_took(struct db *db, int64_t start_ns)
{
    if (db->m.compaction_seconds != NULL)
        metric_histogram_observe(db->m.compaction_seconds,
                                 (double)(clock_monotonic_ns(db->clock) - start_ns) / 1e9);
}

static bool
keep_ref(void *arg, uint64_t ref)
{
    return head_has_ref(arg, ref);
}

static bool
write_checkpoint(struct db *db, uint32_t last, int64_t min_ms, struct error *err)
{
    struct checkpoint_rules rules = { .min_ms = min_ms,
                                      .keep = keep_ref,
                                      .arg = db->head,
                                      .compression = wal_compression_of(db->wal),
                                      .segment_bytes = db->o.wal_segment_bytes };
    struct checkpoint_stats stats;

    metric_inc(db->m.checkpoints);
    if (!checkpoint_write(db->io, db->wal_path, last, &rules, &stats, err)) {
        metric_inc(db->m.checkpoints_failed);
        return false;
    }
    if (stats.records_bad > 0)
        log_warn(&db->o.log, "records that did not decode were left out of the checkpoint",
                 LOG_I("records", stats.records_bad));
    if (!wal_truncate(db->wal, last + 1, err))
        return false;
    metric_inc(db->m.checkpoint_deletions);
    if (!checkpoint_clean(db->io, db->wal_path, last, err)) {
        metric_inc(db->m.checkpoint_deletions_failed);
        return false;
    }
    return true;
}

static bool
truncate_wal(struct db *db, int64_t min_ms, struct error *err)
{
    struct wal_segments s;
    uint32_t nr = 0;
    bool found;

    if (!wal_segments_list(db->io, db->wal_path, &s, err))
        return false;
    int64_t first = s.nr == 0 ? 0 : s.v[0], last = s.nr == 0 ? -1 : (int64_t)s.v[s.nr - 1] - 1;
    mem_free(s.v);
    /* So that a quiet database does not keep more than it needs. */
    if (!wal_cut(db->wal, err) || !checkpoint_find(db->io, db->wal_path, &found, &nr, err))
        return false;
    if (last < 0)
        return true;
    last = first + (last - first) * 2 / 3;
    if (last <= first || (found && (int64_t)nr >= last))
        return true;
    return write_checkpoint(db, (uint32_t)last, min_ms, err);
}

/* Step 3 and 4 when their time has come; *still_due tells that queries are in the way. */
static bool
truncate_head(struct db *db, bool *still_due, struct error *err)
{
    *still_due = db->truncate_due && !isolation_passed(head_isolation(db->head), db->truncate_mark);
    if (!db->truncate_due || *still_due)
        return true;
    db->truncate_due = false;
    head_truncate(db->head, db->truncate_ms);
    bool ok = head_chunks_truncate(db->head_chunks, db->truncate_ms, err);
    int64_t start_ns = clock_monotonic_ns(db->clock);
    ok = truncate_wal(db, db->truncate_ms, err) && ok;
    int64_t end_ns = clock_monotonic_ns(db->clock);
    if (db->m.truncate_seconds != NULL)
        metric_summary_observe(db->m.truncate_seconds, (double)(end_ns - start_ns) / 1e9, end_ns);
    if (!ok) {
        metric_inc(db->m.truncations_failed);
        return false;
    }
    return true;
}

static bool
truncate_soon(struct db *db, struct error *err)
{
    bool due = true;

    for (int i = 0; due && i < TRUNCATE_TRIES; i++) {
        if (!truncate_head(db, &due, err))
            return false;
        if (!due)
            break;
        lock_take(&db->wake_lock);
        if (!db->stopping)
            cond_wait_ms(&db->wake, &db->wake_lock, TRUNCATE_TRY_MS);
        lock_release(&db->wake_lock);
    }
    return true;
}

int64_t
db_uncut_min_ms(const struct db *db)
{
    return MAX(head_min_ms(db->head), db->cut_end_ms);
}

static bool
cut_due(const struct db *db)
{
    int64_t min_ms = db_uncut_min_ms(db), max_ms = head_max_ms(db->head);

    if (max_ms != INT64_MIN)
        max_ms = MIN(max_ms, head_horizon_ms(db->head));
    return max_ms != INT64_MIN && head_min_ms(db->head) != INT64_MAX && max_ms > min_ms &&
           (uint64_t)max_ms - (uint64_t)min_ms > (uint64_t)(db->o.min_block_ms / 2 * 3);
}

/* Steps 1 to 4 for one block range. *waits: open appenders may still add to it. */
static bool
cut_block(struct db *db, bool *waits, struct error *err)
{
    int64_t min_ms = db_uncut_min_ms(db);
    int64_t end_ms = chunk_cut_range_end(min_ms, db->o.min_block_ms);
    struct block_id id = compact_new_id(db->clock);
    bool empty;

    *waits = head_appends_below(db->head, end_ms);
    if (*waits)
        return true;
    metric_inc(db->m.compactions);
    int64_t start_ns = clock_monotonic_ns(db->clock);
    if (!head_write_block(db->head, db->io, db->path, id, min_ms, end_ms, db->o.chunk_segment_bytes,
                          &empty, err)) {
        metric_inc(db->m.compactions_failed);
        return false;
    }
    db_compaction_took(db, start_ns);
    if (empty)
        head_set_min_valid_ms(db->head, end_ms);
    else if (!db_block_publish(db, id, NULL, 0, err))
        return false;
    db->cut_end_ms = end_ms;
    db->truncate_ms = end_ms;
    db->truncate_mark = isolation_mark(head_isolation(db->head));
    db->truncate_due = true;
    log_info(&db->o.log, "write block", LOG_C("ulid", id.z), LOG_I("mint", min_ms),
             LOG_I("maxt", end_ms));
    return truncate_soon(db, err);
}

/* Blocks were cut while the machine's clock stood far ahead, and it is back: what they hold stays,
 * but they no longer say where the present begins. */
static bool
clock_is_back(const struct db *db)
{
    return head_min_valid_ms(db->head) > head_horizon_ms(db->head);
}

static bool
step_back(struct db *db, struct error *err)
{
    if (!db_blocks_disown_future(db, err))
        return false;
    rwlock_read(&db->blocks_lock);
    int64_t min_valid_ms = db_blocks_in_order_max(db);
    rwlock_release(&db->blocks_lock);
    head_step_back(db->head, min_valid_ms);
    db->cut_end_ms = min_valid_ms;
    db->truncate_due = false;
    log_warn(&db->o.log, "the machine's clock was set back", LOG_I("accepting_from", min_valid_ms));
    return true;
}

static bool
make_blocks(struct db *db, struct error *err)
{
    bool waits = false;

    if (clock_is_back(db) && !step_back(db, err))
        return false;
    if (!truncate_soon(db, err) || !head_seal_retry(db->head, err))
        return false;
    while (!waits && cut_due(db))
        if (!cut_block(db, &waits, err))
            return false;
    return db->merging_off || db_merge(db, err);
}

/* Retention runs whatever happened before: it is what makes room on a full disk. */
static bool
round_locked(struct db *db, struct error *err)
{
    struct error other = { 0 };
    bool made = make_blocks(db, err);
    bool kept = db_retention(db, made ? err : &other);

    error_clear(&other);
    return made && kept;
}

bool
db_maintain(struct db *db, struct error *err)
{
    lock_take(&db->maintain_lock);
    metric_inc(db->m.compactions_triggered);
    bool ok = round_locked(db, err);
    lock_release(&db->maintain_lock);
    return ok;
}

/* Waits for the next round: asked for, due by time, or the head has grown past what is cut. Appends
 * do not wake the thread, so it looks by itself; the look is a few loads. */
static void
round_wait(struct db *db)
{
    int64_t until_ns = clock_monotonic_ns(db->clock) + db->o.maintenance_ms * 1000000;

    while (!db->stopping && !db->soon && !cut_due(db) && !clock_is_back(db) &&
           clock_monotonic_ns(db->clock) < until_ns)
        cond_wait_ms(&db->wake, &db->wake_lock, MIN(db->o.maintenance_ms, (int64_t)CUT_LOOK_MS));
}

void *
db_maintain_thread(void *arg)
{
    struct db *db = arg;
    struct error err = { 0 };
    bool cut_failed = false;

    lock_take(&db->wake_lock);
    while (!db->stopping) {
        /* A cut that cannot be made now (disk full, appenders in the way) is tried again after a
         * pause. */
        if (cut_failed && !db->soon)
            cond_wait_ms(&db->wake, &db->wake_lock,
                         MIN(db->o.maintenance_ms, (int64_t)CUT_RETRY_MS));
        round_wait(db);
        db->soon = false;
        if (db->stopping)
            break;
        lock_release(&db->wake_lock);
        if (!db_maintain(db, &err) && err.kind != ERR_CANCELED)
            log_error(&db->o.log, "maintenance failed, tried again in the next round", LOG_E(&err));
        error_clear(&err);
        cut_failed = cut_due(db);
        lock_take(&db->wake_lock);
    }
    lock_release(&db->wake_lock);
    return NULL;
}

void
db_maintain_soon(struct db *db)
{
    lock_take(&db->wake_lock);
    db->soon = true;
    cond_broadcast(&db->wake);
    lock_release(&db->wake_lock);
}

void
db_compaction_enable(struct db *db, bool on)
{
    lock_take(&db->maintain_lock);
    db->merging_off = !on;
    lock_release(&db->maintain_lock);
}
