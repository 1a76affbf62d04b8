/* Forgetting what blocks hold now. For each shard: chunks that end before the bound go; a series
 * without chunks and without pending samples leaves the tables at once and its memory when the last
 * view that may know it closes. Appends by reference never wait for this; new series of a shard
 * wait while that shard is walked. */
#include <stdlib.h>
#include "base/mem.h"
#include "tsdb/head_priv.h"

struct gc {
    struct head *h;
    int64_t t_ms, oldest_ms;
    struct head_series **gone;
    size_t gone_nr, gone_cap;
    uint64_t chunks_nr;
};

/* With the series' lock: drops chunks that end before t_ms. */
static void
series_truncate(struct gc *gc, struct head_series *s)
{
    uint32_t old = 0;
    struct chunk open;

    while (old < s->sealed_nr && sealed_max_ms(&s->sealed[old]) < gc->t_ms) {
        if (s->sealed[old].in_mem)
            mem_free(s->sealed[old].mem);
        old++;
    }
    if (old > 0) {
        s->sealed_nr = (uint16_t)(s->sealed_nr - old);
        memmove(s->sealed, s->sealed + old, s->sealed_nr * sizeof *s->sealed);
        s->sealed_cap = s->sealed_nr;
        if (s->sealed_nr == 0) {
            mem_free(s->sealed);
            s->sealed = NULL;
        } else {
            s->sealed = mem_realloc(s->sealed, s->sealed_nr * sizeof *s->sealed);
        }
        gc->chunks_nr += old;
    }
    if (s->sealed_nr == 0 && head_open_chunk(s, &open) && open.max_ms < gc->t_ms) {
        if (s->data == NULL) {
            head_histogram_drop_chunk(s);
        } else {
            mem_free(s->data);
            s->data = NULL;
            s->data_n = s->data_cap = 0;
        }
        gc->chunks_nr++;
    }
    if (s->sealed_nr > 0)
        gc->oldest_ms = MIN(gc->oldest_ms, s->sealed[0].min_ms);
    else if (head_open_chunk(s, &open))
        gc->oldest_ms = MIN(gc->oldest_ms, open.min_ms);
}

static void
shard_truncate(struct gc *gc, struct head_shard *shard)
{
    struct head *h = gc->h;
    size_t first_gone = gc->gone_nr;
    struct chunk open;

    lock_take(&shard->lock);
    for (uint32_t i = 0; shard->slots != NULL && i < 1u << shard->log; i++) {
        if (shard->slots[i].sid == SID_NONE)
            continue;
        struct head_series *s = head_series_at(h, shard->slots[i].sid);
        series_lock(s);
        series_truncate(gc, s);
        if (s->pending_nr == 0 && s->sealed_nr == 0 && !head_open_chunk(s, &open)) {
            head_note_newest(h, s, false, false);
            s->flags &= (uint8_t)~SERIES_LIVE;
            MEM_GROW(gc->gone, gc->gone_nr + 1, &gc->gone_cap);
            gc->gone[gc->gone_nr++] = s;
        }
        series_unlock(s);
    }
    for (size_t i = first_gone; i < gc->gone_nr; i++)
        head_shard_remove(shard, head_series_hash(h, gc->gone[i]), gc->gone[i]->sid);
    lock_release(&shard->lock);
}

static int
slot_cmp(const void *a, const void *b)
{
    uint32_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static int
pair_cmp(const void *a, const void *b)
{
    const struct symbol_pair *x = a, *y = b;

    if (x->name != y->name)
        return x->name < y->name ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

/* Every pair of a removed series, once. */
static struct symbol_pair *
pairs_of(const struct gc *gc, size_t *nr)
{
    size_t all = 0, kept = 0;

    for (size_t i = 0; i < gc->gone_nr; i++)
        all += gc->gone[i]->pairs_nr;
    struct symbol_pair *pairs = mem_alloc(mem_array_bytes(all + 1, sizeof *pairs));
    all = 0;
    for (size_t i = 0; i < gc->gone_nr; i++) {
        memcpy(pairs + all, gc->gone[i]->pairs, gc->gone[i]->pairs_nr * sizeof *pairs);
        all += gc->gone[i]->pairs_nr;
    }
    qsort(pairs, all, sizeof *pairs, pair_cmp);
    for (size_t i = 0; i < all; i++)
        if (i == 0 || pair_cmp(&pairs[i], &pairs[i - 1]) != 0)
            pairs[kept++] = pairs[i];
    *nr = kept;
    return pairs;
}

/* Other references of the same labels, met at replay, are rare: their page entries are found by
 * walking. */
static void
refs_forget(struct head *h, struct head_series *s)
{
    uint64_t ref = atomic_load_explicit(&s->ref, memory_order_relaxed);

    head_refs_set(&h->refs, ref, SID_NONE);
    if ((s->flags & SERIES_ALIASED) != 0)
        head_refs_forget_sid(&h->refs, s->sid);
}

static void
remove_series(struct gc *gc)
{
    struct head *h = gc->h;
    size_t pairs_nr;

    if (gc->gone_nr == 0)
        return;
    uint32_t *slots = mem_alloc(mem_array_bytes(gc->gone_nr, sizeof *slots));
    for (size_t i = 0; i < gc->gone_nr; i++)
        slots[i] = gc->gone[i]->slot;
    qsort(slots, gc->gone_nr, sizeof *slots, slot_cmp);
    struct symbol_pair *pairs = pairs_of(gc, &pairs_nr);
    head_postings_remove(h, (struct postings){ slots, gc->gone_nr }, pairs, pairs_nr);
    for (size_t i = 0; i < gc->gone_nr; i++) {
        refs_forget(h, gc->gone[i]);
        isolation_retire(&h->isolation, gc->gone[i], head_series_release);
    }
    atomic_fetch_sub(&h->series_nr, gc->gone_nr);
    metric_add(h->m.series_removed, (double)gc->gone_nr);
    mem_free(slots);
    mem_free(pairs);
}

static void
tombstones_truncate(struct head *h, int64_t t_ms)
{
    struct tombstones kept = { 0 };

    rwlock_write(&h->tombstones_lock);
    for (size_t i = 0; i < h->tombstones.nr; i++) {
        const struct tombstone_series *s = &h->tombstones.series[i];
        for (uint32_t k = 0; k < s->nr && head_has_ref(h, s->ref); k++)
            if (s->ranges[k].max_ms >= t_ms)
                tombstones_add(&kept, s->ref, s->ranges[k].min_ms, s->ranges[k].max_ms);
    }
    struct tombstones old = h->tombstones;
    h->tombstones = kept;
    rwlock_release(&h->tombstones_lock);
    tombstones_fini(&old);
}

void
head_truncate(struct head *h, int64_t t_ms)
{
    struct gc gc = { .h = h, .t_ms = t_ms, .oldest_ms = INT64_MAX };
    int64_t start_ns = clock_monotonic_ns(h->o.clock);

    metric_inc(h->m.truncations);
    head_set_min_valid_ms(h, t_ms);
    for (size_t i = 0; i < SHARDS_NR; i++)
        shard_truncate(&gc, &h->shards[i]);
    remove_series(&gc);
    tombstones_truncate(h, t_ms);
    atomic_fetch_sub(&h->chunks_nr, gc.chunks_nr);
    metric_add(h->m.chunks_removed, (double)gc.chunks_nr);
    /* Samples that came in meanwhile are not older than the bound. */
    int64_t min_ms = gc.oldest_ms == INT64_MAX ? t_ms : MAX(gc.oldest_ms, t_ms);
    if (head_min_ms(h) != INT64_MAX)
        atomic_store_explicit(&h->min_ms, min_ms, memory_order_release);
    mem_free(gc.gone);
    int64_t end_ns = clock_monotonic_ns(h->o.clock);
    if (h->m.gc != NULL)
        metric_summary_observe(h->m.gc, (double)(end_ns - start_ns) / 1e9, end_ns);
}
