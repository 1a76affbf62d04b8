/* The published list of blocks: replaced as a whole under blocks_lock, each entry one reference;
 * queries hold references of their own, so that a block taken out of the list lives until its last
 * reader is done, also when its directory is gone. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/ulid.h"
#include "tsdb/db_priv.h"

static int
block_cmp(const void *a, const void *b)
{
    const struct block_meta *x = block_meta(*(struct block *const *)a),
                            *y = block_meta(*(struct block *const *)b);

    if (x->min_ms != y->min_ms)
        return x->min_ms < y->min_ms ? -1 : 1;
    return strcmp(x->id.z, y->id.z);
}

static bool
is_block_name(const char *name)
{
    struct ulid id;

    return ulid_parse(str_c(name), &id);
}

static bool
open_named(struct db *db, const char *name, struct block **b, struct error *err)
{
    char dir[PATH_MAX];

    snprintf(dir, sizeof dir, "%.3000s/%.100s", db->path, name);
    return block_open(b, db->io, dir, db->symbols, err);
}

/* A block that cannot be read is moved out of the way, whole, and the rest is served. */
static bool
set_aside(struct db *db, const char *name, const struct error *why, struct error *err)
{
    char from[PATH_MAX], to[PATH_MAX];

    snprintf(from, sizeof from, "%.3000s/%.100s", db->path, name);
    snprintf(to, sizeof to, "%.3000s/%.100s", db->aside_path, name);
    log_error(&db->o.log, "damaged block set aside", LOG_C("block", name), LOG_C("to", to),
              LOG_E(why));
    metric_inc(db->m.blocks_aside);
    atomic_fetch_add(&db->corruptions, 1);
    return io_mkdir(db->io, db->aside_path, err) && io_rename(db->io, from, to, err) &&
           io_sync_dir(db->io, db->path, err);
}

bool
db_blocks_load(struct db *db, struct error *err)
{
    struct io_dir_list list;
    size_t cap = 0;
    bool ok = true;

    if (!io_list(db->io, db->path, &list, err))
        return false;
    for (size_t i = 0; ok && i < list.nr; i++) {
        struct error why = { 0 };
        struct block *b;
        if (!list.entries[i].is_dir || !is_block_name(list.entries[i].name))
            continue;
        if (open_named(db, list.entries[i].name, &b, &why)) {
            MEM_GROW(db->blocks, db->blocks_nr + 1, &cap);
            db->blocks[db->blocks_nr++] = b;
        } else if (why.kind == ERR_CORRUPT || why.kind == ERR_NOT_FOUND ||
                   why.kind == ERR_INVALID) {
            ok = set_aside(db, list.entries[i].name, &why, err);
        } else {
            error_copy(err, &why);
            ok = false;
        }
        error_clear(&why);
    }
    io_dir_list_fini(&list);
    if (db->blocks_nr > 1)
        qsort(db->blocks, db->blocks_nr, sizeof *db->blocks, block_cmp);
    return ok;
}

void
db_blocks_close(struct db *db)
{
    for (size_t i = 0; i < db->blocks_nr; i++)
        block_unref(db->blocks[i]);
    mem_free(db->blocks);
    db->blocks = NULL;
    db->blocks_nr = 0;
}

struct block **
db_blocks_ref(struct db *db, int64_t min_ms, int64_t max_ms, size_t *nr)
{
    struct block **v = mem_alloc(mem_array_bytes(db->blocks_nr + 1, sizeof *v));

    *nr = 0;
    for (size_t i = 0; i < db->blocks_nr; i++) {
        const struct block_meta *meta = block_meta(db->blocks[i]);
        if (meta->min_ms <= max_ms && meta->max_ms > min_ms)
            v[(*nr)++] = block_ref(db->blocks[i]);
    }
    return v;
}

int64_t
db_blocks_in_order_max(struct db *db)
{
    int64_t max_ms = INT64_MIN, horizon_ms = head_horizon_ms(db->head);

    for (size_t i = 0; i < db->blocks_nr; i++) {
        const struct block_meta *meta = block_meta(db->blocks[i]);
        if (meta->max_ms <= horizon_ms && !block_meta_has_hint(meta, BLOCK_HINT_OOO) &&
            !block_meta_has_hint(meta, BLOCK_HINT_STALE) &&
            !block_meta_has_hint(meta, BLOCK_HINT_SELECTED))
            max_ms = MAX(max_ms, meta->max_ms);
    }
    return max_ms;
}

static bool
listed(struct block *const *v, size_t nr, const struct block *b)
{
    for (size_t i = 0; i < nr; i++)
        if (v[i] == b)
            return true;
    return false;
}

/* The new list: what stays, and the added one. */
static void
swap_list(struct db *db, struct block *added, struct block *const *gone, size_t gone_nr)
{
    struct block **v = mem_alloc(mem_array_bytes(db->blocks_nr + 1, sizeof *v)), **old;
    size_t nr = 0, old_nr;

    rwlock_write(&db->blocks_lock);
    for (size_t i = 0; i < db->blocks_nr; i++)
        if (!listed(gone, gone_nr, db->blocks[i]))
            v[nr++] = block_ref(db->blocks[i]);
    if (added != NULL)
        v[nr++] = added;
    if (nr > 1)
        qsort(v, nr, sizeof *v, block_cmp);
    old = db->blocks;
    old_nr = db->blocks_nr;
    db->blocks = v;
    db->blocks_nr = nr;
    if (added != NULL && !block_meta_has_hint(block_meta(added), BLOCK_HINT_OOO) && gone_nr == 0 &&
        block_meta(added)->max_ms <= head_horizon_ms(db->head))
        head_set_min_valid_ms(db->head, block_meta(added)->max_ms);
    rwlock_release(&db->blocks_lock);
    for (size_t i = 0; i < old_nr; i++)
        block_unref(old[i]);
    mem_free(old);
}

bool
db_block_publish(struct db *db, struct block_id id, struct block *const *gone, size_t gone_nr,
                 struct error *err)
{
    struct block *added = NULL;
    struct block_id *ids = mem_alloc(mem_array_bytes(gone_nr + 1, sizeof *ids));
    bool ok = true;

    metric_inc(db->m.reloads);
    for (size_t i = 0; i < gone_nr; i++)
        ids[i] = block_meta(gone[i])->id;
    if (id.z[0] != '\0' && !open_named(db, id.z, &added, err)) {
        metric_inc(db->m.reloads_failed);
        mem_free(ids);
        return false;
    }
    swap_list(db, added, gone, gone_nr);
    for (size_t i = 0; ok && i < gone_nr; i++)
        ok = block_delete_dir(db->io, db->path, ids[i], err);
    mem_free(ids);
    return ok;
}

bool
db_block_reopen(struct db *db, struct block *b, struct error *err)
{
    struct block *again;

    if (!block_open(&again, db->io, block_dir(b), db->symbols, err))
        return false;
    swap_list(db, again, &b, 1);
    return true;
}

struct block **
db_blocks_all(struct db *db, size_t *nr)
{
    rwlock_read(&db->blocks_lock);
    struct block **v = db_blocks_ref(db, INT64_MIN, INT64_MAX, nr);
    rwlock_release(&db->blocks_lock);
    return v;
}

void
db_blocks_unref(struct block **v, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        block_unref(v[i]);
    mem_free(v);
}

static uint64_t
bytes_limit(struct db *db, uint64_t bytes, double percent)
{
    struct error err = { 0 };
    uint64_t free_bytes, total;

    if (percent <= 0)
        return bytes;
    if (io_space(db->io, db->path, &free_bytes, &total, &err))
        bytes = (uint64_t)((double)total * percent / 100);
    error_clear(&err);
    return bytes;
}

bool
db_retention(struct db *db, struct error *err)
{
    size_t nr, gone_nr = 0;
    struct block **v = db_blocks_all(db, &nr);
    struct retention_block *rb = mem_alloc(mem_array_bytes(nr + 1, sizeof *rb));
    bool *gone = MEM_NEW_ARRAY(bool, nr + 1);

    lock_take(&db->options_lock);
    struct retention r = { db->o.retention_ms, db->o.retention_bytes };
    double percent = db->o.retention_percent;
    lock_release(&db->options_lock);
    r.bytes_max = bytes_limit(db, r.bytes_max, percent);
    for (size_t i = 0; i < nr; i++)
        rb[i] = (struct retention_block){ block_meta(v[i]), block_bytes(v[i]) };
    uint64_t other = r.bytes_max == 0 ? 0 : wal_bytes(db->wal) + head_chunks_bytes(db->head_chunks);
    retention_apply(&r, rb, nr, other, gone);
    struct block **out = mem_alloc(mem_array_bytes(nr + 1, sizeof *out));
    for (size_t i = 0; i < nr; i++)
        if (gone[i])
            out[gone_nr++] = v[i];
    bool ok = true;
    if (gone_nr > 0) {
        log_info(&db->o.log, "deleting blocks beyond retention", LOG_I("blocks", gone_nr));
        metric_inc(db->m.time_retentions);
        ok = db_block_publish(db, (struct block_id){ "" }, out, gone_nr, err);
    }
    mem_free(out);
    mem_free(rb);
    mem_free(gone);
    db_blocks_unref(v, nr);
    return ok;
}

static int64_t
max_block_ms(const struct db *db)
{
    int64_t max_ms = INT64_C(31) * 24 * 3600 * 1000;

    if (db->o.max_block_ms != 0)
        return db->o.max_block_ms;
    return db->o.retention_ms != 0 ? MIN(max_ms, db->o.retention_ms / 10) : max_ms;
}

static bool
disown(struct db *db, struct block *b, struct error *err)
{
    struct block_meta meta;

    log_warn(&db->o.log, "block of the future no longer tells where the present begins",
             LOG_C("block", block_meta(b)->id.z), LOG_I("maxt", block_meta(b)->max_ms));
    block_meta_copy(&meta, block_meta(b));
    block_meta_add_hint(&meta, BLOCK_HINT_OOO);
    bool ok = block_meta_write(&meta, db->io, block_dir(b), err);
    block_meta_fini(&meta);
    return ok && db_block_reopen(db, b, err);
}

bool
db_blocks_disown_future(struct db *db, struct error *err)
{
    int64_t horizon_ms = head_horizon_ms(db->head);
    size_t nr;
    struct block **v = db_blocks_all(db, &nr);
    bool ok = true;

    for (size_t i = 0; ok && i < nr; i++)
        if (block_meta(v[i])->max_ms > horizon_ms &&
            !block_meta_has_hint(block_meta(v[i]), BLOCK_HINT_OOO))
            ok = disown(db, v[i], err);
    db_blocks_unref(v, nr);
    return ok;
}

/* Asked while merging: the server is stopping. */
struct stop_guard {
    struct query_guard base;
    struct db *db;
};

static bool
stop_asked(struct query_guard *g, struct error *err)
{
    struct db *db = CONTAINER_OF(g, struct stop_guard, base)->db;

    lock_take(&db->wake_lock);
    bool stopping = db->stopping;
    lock_release(&db->wake_lock);
    if (stopping)
        error_set(err, ERR_CANCELED, "stopping");
    return stopping;
}

/* One step of the plan; *done when there was nothing to merge. */
static bool
merge_step(struct db *db, struct block **v, size_t nr, bool *done, struct error *err)
{
    const struct block_meta **metas = mem_alloc(mem_array_bytes(nr + 1, sizeof *metas));
    lock_take(&db->options_lock);
    struct compact_ranges ranges = compact_ranges_of(db->o.min_block_ms, max_block_ms(db));
    lock_release(&db->options_lock);
    struct stop_guard stop = { { stop_asked }, db };
    struct compact_options o = { .io = db->io,
                                 .clock = db->clock,
                                 .dir = db->path,
                                 .segment_bytes = db->o.chunk_segment_bytes,
                                 .stop = &stop.base };
    struct compact_plan plan;
    struct block_id id = { "" };
    bool empty = false, ok = true;

    for (size_t i = 0; i < nr; i++)
        metas[i] = block_meta(v[i]);
    compact_plan(metas, nr, &ranges, !db->o.no_overlapping_compaction, &plan);
    *done = plan.nr == 0;
    if (!*done) {
        struct block **in = mem_alloc(mem_array_bytes(plan.nr, sizeof *in));
        for (size_t i = 0; i < plan.nr; i++)
            in[i] = v[plan.index[i]];
        metric_inc(db->m.compactions);
        int64_t start_ns = clock_monotonic_ns(db->clock);
        ok = compact_blocks(&o, in, plan.nr, &id, &empty, err);
        db_compaction_took(db, start_ns);
        if (ok)
            ok = db_block_publish(db, empty ? (struct block_id){ "" } : id, in, plan.nr, err);
        else if (err->kind != ERR_CANCELED)
            metric_inc(db->m.compactions_failed);
        if (ok)
            log_info(&db->o.log, "compact blocks", LOG_I("count", plan.nr), LOG_C("ulid", id.z));
        mem_free(in);
    }
    compact_plan_fini(&plan);
    mem_free((void *)metas);
    return ok;
}

bool
db_merge(struct db *db, struct error *err)
{
    bool done = false, ok = true;

    while (ok && !done) {
        size_t nr;
        struct block **v = db_blocks_all(db, &nr);
        ok = merge_step(db, v, nr, &done, err);
        db_blocks_unref(v, nr);
    }
    return ok;
}
