/* Deleting from the head: one log record with a range for each series, clamped to the samples it
 * has now, so that later ones are not concerned. The record reaches the log before the ranges are
 * in force: an answer that leaves something out never brings it back after a restart. */
#include "base/mem.h"
#include "tsdb/head_priv.h"
#include "tsdb/record.h"

/* With the series' lock: bounds of its samples; false when there are none. */
static bool
series_bounds(struct head_series *s, struct time_range *r)
{
    struct chunk open;
    bool has_open = head_open_chunk(s, &open);

    if (!has_open && s->sealed_nr == 0)
        return false;
    r->min_ms = s->sealed_nr > 0 ? s->sealed[0].min_ms : open.min_ms;
    r->max_ms = has_open ? open.max_ms : sealed_max_ms(&s->sealed[s->sealed_nr - 1]);
    if (has_open && s->sealed_nr > 0) {
        r->min_ms = MIN(r->min_ms, open.min_ms);
        r->max_ms = MAX(r->max_ms, sealed_max_ms(&s->sealed[s->sealed_nr - 1]));
    }
    return true;
}

/* One tombstone per series that has samples in the range. */
static size_t
collect(struct head_series **series, size_t nr, int64_t min_ms, int64_t max_ms,
        struct record_tombstone *out)
{
    size_t found = 0;

    for (size_t i = 0; i < nr; i++) {
        struct time_range has;
        series_lock(series[i]);
        bool any = series_bounds(series[i], &has);
        uint64_t ref = atomic_load_explicit(&series[i]->ref, memory_order_relaxed);
        series_unlock(series[i]);
        if (any && has.min_ms <= max_ms && has.max_ms >= min_ms)
            out[found++] = (struct record_tombstone){ .ref = ref,
                                                      .min_ms = MAX(min_ms, has.min_ms),
                                                      .max_ms = MIN(max_ms, has.max_ms) };
    }
    return found;
}

static bool
log_tombstones(struct head *h, const struct record_tombstone *v, size_t nr, struct error *err)
{
    struct wal_batch b = { 0 };

    if (h->wal == NULL || nr == 0)
        return true;
    record_begin(&b.raw, RECORD_TOMBSTONES);
    for (size_t i = 0; i < nr; i++)
        record_add_tombstone(&b.raw, &v[i]);
    wal_batch_add(&b, wal_compression_of(h->wal));
    bool ok = wal_commit(h->wal, &b, err) && wal_flush(h->wal, err);
    wal_batch_fini(&b);
    return ok;
}

bool
head_delete(struct head *h, const struct matcher *matchers, size_t matchers_nr, int64_t min_ms,
            int64_t max_ms, struct query_guard *guard, struct error *err)
{
    struct head_reader r;
    struct arena arena;
    struct head_series **series;
    size_t nr;

    arena_init(&arena, SIZE_MAX);
    head_reader_open(h, &r);
    bool ok =
        head_select(&r, matchers, matchers_nr, min_ms, max_ms, guard, &arena, &series, &nr, err);
    if (ok) {
        struct record_tombstone *v = ARENA_NEW_ARRAY(&arena, struct record_tombstone, nr + 1);
        nr = collect(series, nr, min_ms, max_ms, v);
        ok = log_tombstones(h, v, nr, err);
        rwlock_write(&h->tombstones_lock);
        for (size_t i = 0; ok && i < nr; i++)
            tombstones_add(&h->tombstones, v[i].ref, v[i].min_ms, v[i].max_ms);
        rwlock_release(&h->tombstones_lock);
    }
    head_reader_close(&r);
    arena_fini(&arena);
    return ok || error_wrap(err, "deleting from the head");
}
