/* What the admin API asks for: deleting series, rewriting blocks without what was deleted, and
 * snapshots. What a crash leaves:
 *   delete: some blocks and the head have their tombstones, others not: the caller was not told
 * that it was done, and asks again
 *   clean: a new block beside its parent, which retention removes as the parent of a living block
 *   snapshot: a directory that lacks blocks; nobody reads it but the caller */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/mem.h"
#include "tsdb/db_priv.h"

/* ---- delete ---- */

/* The range of the series' samples inside [min_ms, max_ms] goes to t. Like Prometheus it reaches
 * from the first to the last chunk, clamped. */
static void
bury(struct tombstones *t, uint32_t ref, const struct block_series *s, int64_t min_ms,
     int64_t max_ms)
{
    for (uint32_t i = 0; i < s->chunks_nr; i++) {
        if (s->chunks[i].min_ms > max_ms || s->chunks[i].max_ms < min_ms)
            continue;
        tombstones_add(t, ref, MAX(min_ms, s->chunks[0].min_ms),
                       MIN(max_ms, s->chunks[s->chunks_nr - 1].max_ms));
        return;
    }
}

static bool
select_tombstones(struct block *b, const struct matcher *matchers, size_t matchers_nr,
                  int64_t min_ms, int64_t max_ms, struct query_guard *guard, struct tombstones *t,
                  struct error *err)
{
    struct arena arena;
    struct postings refs;

    arena_init(&arena, SIZE_MAX);
    bool ok = block_select(b, matchers, matchers_nr, guard, &arena, &refs, err);
    for (size_t i = 0; ok && i < refs.nr; i++) {
        struct arena_mark mark = arena_mark(&arena);
        struct block_series s;
        ok = block_series(b, refs.v[i], &arena, &s, err);
        if (ok)
            bury(t, refs.v[i], &s, min_ms, max_ms);
        arena_rewind(&arena, mark);
    }
    arena_fini(&arena);
    return ok;
}

static void
tombstones_join(struct tombstones *t, const struct tombstones *more)
{
    for (size_t i = 0; i < more->nr; i++)
        for (uint32_t k = 0; k < more->series[i].nr; k++)
            tombstones_add(t, more->series[i].ref, more->series[i].ranges[k].min_ms,
                           more->series[i].ranges[k].max_ms);
}

/* The file of tombstones first: it alone decides what is read, the number in meta.json is for
 * people. */
static bool
block_bury(struct db *db, struct block *b, struct tombstones *t, struct error *err)
{
    struct block_meta meta;

    tombstones_join(t, block_tombstones(b));
    if (!tombstones_write(t, db->io, block_dir(b), err))
        return false;
    block_meta_copy(&meta, block_meta(b));
    meta.tombstones_nr = tombstones_ranges_nr(t);
    bool ok = block_meta_write(&meta, db->io, block_dir(b), err);
    block_meta_fini(&meta);
    return ok && db_block_reopen(db, b, err);
}

static bool
block_delete_series(struct db *db, struct block *b, const struct matcher *matchers,
                    size_t matchers_nr, int64_t min_ms, int64_t max_ms, struct query_guard *guard,
                    struct error *err)
{
    struct tombstones t = { 0 };
    bool ok = select_tombstones(b, matchers, matchers_nr, min_ms, max_ms, guard, &t, err);

    if (ok && t.nr > 0)
        ok = block_bury(db, b, &t, err);
    tombstones_fini(&t);
    return ok || error_wrap(err, "deleting from block '%s'", block_dir(b));
}

bool
db_delete_series(struct db *db, const struct matcher *matchers, size_t matchers_nr, int64_t min_ms,
                 int64_t max_ms, struct query_guard *guard, struct error *err)
{
    size_t nr;
    bool ok = true;

    if (min_ms > max_ms)
        return true;
    lock_take(&db->maintain_lock);
    struct block **v = db_blocks_all(db, &nr);
    for (size_t i = 0; ok && i < nr; i++)
        if (block_meta(v[i])->min_ms <= max_ms && block_meta(v[i])->max_ms > min_ms)
            ok = block_delete_series(db, v[i], matchers, matchers_nr, min_ms, max_ms, guard, err);
    db_blocks_unref(v, nr);
    ok = ok && head_delete(db->head, matchers, matchers_nr, min_ms, max_ms, guard, err);
    lock_release(&db->maintain_lock);
    return ok;
}

/* ---- clean ---- */

/* Replay leaves out what is older than the newest block. When cleaning takes that block away, the
 * log would bring the deleted samples back at the next start: <path>/narthex/accepting_from keeps
 * the bound. It never has to be removed, since blocks only move on. */
#define FLOOR_FILE "accepting_from"

static bool
floor_write(struct db *db, int64_t floor_ms, struct error *err)
{
    struct buf path = { 0 }, text = { 0 };

    buf_printf(&path, "%s/narthex", db->path);
    bool ok = io_mkdir(db->io, buf_z(&path), err);
    buf_printf(&path, "/" FLOOR_FILE);
    buf_printf(&text, "%" PRId64 "\n", floor_ms);
    ok = ok && io_replace_file(db->io, buf_z(&path), buf_as_bytes(&text), err);
    buf_fini(&path);
    buf_fini(&text);
    return ok;
}

bool
db_floor_read(struct db *db, int64_t *floor_ms, struct error *err)
{
    struct buf path = { 0 };
    char *text = NULL, *end;
    size_t n;

    *floor_ms = INT64_MIN;
    buf_printf(&path, "%s/narthex/" FLOOR_FILE, db->path);
    bool ok = io_read_file(db->io, buf_z(&path), 64, &text, &n, err);
    if (ok) {
        int64_t v = strtoll(text, &end, 10);
        if (end != text && *end == '\n' && v <= head_horizon_ms(db->head))
            *floor_ms = v;
    } else if (err->kind == ERR_NOT_FOUND) {
        error_clear(err);
        ok = true;
    }
    mem_free(text);
    buf_fini(&path);
    return ok;
}

static bool
floor_keep(struct db *db, struct error *err)
{
    rwlock_read(&db->blocks_lock);
    int64_t floor_ms = db_blocks_in_order_max(db);
    rwlock_release(&db->blocks_lock);
    return floor_ms == INT64_MIN || floor_write(db, floor_ms, err);
}

static bool
block_rewrite(struct db *db, struct block *b, struct error *err)
{
    struct compact_options o = { .io = db->io,
                                 .clock = db->clock,
                                 .dir = db->path,
                                 .segment_bytes = db->o.chunk_segment_bytes,
                                 .rewrite = true };
    struct block_id id = { "" };
    bool empty;

    if (!compact_blocks(&o, &b, 1, &id, &empty, err) || (empty && !floor_keep(db, err)))
        return false;
    log_info(&db->o.log, "block rewritten without its deleted samples",
             LOG_C("block", block_meta(b)->id.z), LOG_C("ulid", empty ? "none left" : id.z));
    return db_block_publish(db, empty ? (struct block_id){ "" } : id, &b, 1, err);
}

bool
db_clean_tombstones(struct db *db, struct error *err)
{
    size_t nr;
    bool ok = true;

    lock_take(&db->maintain_lock);
    struct block **v = db_blocks_all(db, &nr);
    for (size_t i = 0; ok && i < nr; i++)
        if (tombstones_ranges_nr(block_tombstones(v[i])) > 0)
            ok = block_rewrite(db, v[i], err) ||
                 error_wrap(err, "clean tombstones: '%s'", block_dir(v[i]));
    db_blocks_unref(v, nr);
    lock_release(&db->maintain_lock);
    return ok;
}

/* ---- snapshot ---- */

static bool
link_file(struct db *db, const char *from_dir, const char *to_dir, const char *name,
          struct error *err)
{
    char from[PATH_MAX], to[PATH_MAX];

    snprintf(from, sizeof from, "%.3000s/%.200s", from_dir, name);
    snprintf(to, sizeof to, "%.3000s/%.200s", to_dir, name);
    return io_link(db->io, from, to, err);
}

static bool
link_chunks(struct db *db, const char *from_dir, const char *to_dir, struct error *err)
{
    struct io_dir_list list = { 0 };
    bool ok = io_mkdir(db->io, to_dir, err) && io_list(db->io, from_dir, &list, err);

    for (size_t i = 0; ok && i < list.nr; i++)
        ok = list.entries[i].is_dir || link_file(db, from_dir, to_dir, list.entries[i].name, err);
    io_dir_list_fini(&list);
    return ok && io_sync_dir(db->io, to_dir, err);
}

/* A block without a file of tombstones has one in the snapshot: Prometheus always writes it. */
static bool
link_tombstones(struct db *db, const char *from_dir, const char *to_dir, struct error *err)
{
    static const struct tombstones none;

    if (link_file(db, from_dir, to_dir, "tombstones", err))
        return true;
    if (err->kind != ERR_NOT_FOUND)
        return false;
    error_clear(err);
    return tombstones_write(&none, db->io, to_dir, err);
}

static bool
link_block(struct db *db, const struct block *b, const char *dir, struct error *err)
{
    char to[PATH_MAX], chunks[PATH_MAX], from_chunks[PATH_MAX];
    const char *from = block_dir(b);

    snprintf(to, sizeof to, "%.3000s/%s", dir, block_meta(b)->id.z);
    snprintf(chunks, sizeof chunks, "%.3000s/chunks", to);
    snprintf(from_chunks, sizeof from_chunks, "%.3000s/chunks", from);
    return io_mkdir(db->io, to, err) && link_chunks(db, from_chunks, chunks, err) &&
           link_file(db, from, to, "index", err) && link_tombstones(db, from, to, err) &&
           link_file(db, from, to, "meta.json", err) && io_sync_dir(db->io, to, err);
}

static bool
write_head(struct db *db, const char *dir, struct error *err)
{
    int64_t min_ms = db_uncut_min_ms(db), max_ms = head_max_ms(db->head);
    bool empty;

    if (max_ms == INT64_MIN || min_ms > max_ms)
        return true;
    return head_write_block(db->head, db->io, dir, compact_new_id(db->clock), min_ms,
                            max_ms == INT64_MAX ? max_ms : max_ms + 1, db->o.chunk_segment_bytes,
                            &empty, err);
}

static bool
fill_snapshot(struct db *db, const char *dir, bool skip_head, struct error *err)
{
    size_t nr;
    bool ok = io_mkdir(db->io, dir, err);

    lock_take(&db->maintain_lock);
    struct block **v = db_blocks_all(db, &nr);
    for (size_t i = 0; ok && i < nr; i++)
        ok = link_block(db, v[i], dir, err) ||
             error_wrap(err, "error snapshotting block: '%s'", block_dir(v[i]));
    db_blocks_unref(v, nr);
    if (ok && !skip_head)
        ok = write_head(db, dir, err) || error_wrap(err, "snapshot head block");
    lock_release(&db->maintain_lock);
    return ok && io_sync_dir(db->io, dir, err);
}

bool
db_snapshot(struct db *db, bool skip_head, char name[DB_SNAPSHOT_NAME_BYTES], struct error *err)
{
    char dir[PATH_MAX];
    struct error ignored = { 0 };
    time_t now_s = (time_t)(clock_now_ms(db->clock) / 1000);
    struct tm tm;
    char at[20];

    gmtime_r(&now_s, &tm);
    strftime(at, sizeof at, "%Y%m%dT%H%M%SZ", &tm);
    snprintf(name, DB_SNAPSHOT_NAME_BYTES, "%s-%016" PRIx64, at,
             clock_random(db->clock) & INT64_MAX);
    snprintf(dir, sizeof dir, "%.3000s/snapshots/%s", db->path, name);
    if (fill_snapshot(db, dir, skip_head, err))
        return true;
    error_ignored(io_remove_tree(db->io, dir, &ignored));
    error_clear(&ignored);
    return error_wrap(err, "create snapshot");
}
