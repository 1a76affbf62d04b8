/* What replay does to the head: series by reference, samples without the rules of appending (they
 * were checked when they were logged). */
#include "base/mem.h"
#include "tsdb/head_priv.h"

struct head_series *
head_replay_series(struct head *h, uint64_t ref, struct labels labels,
                   const struct head_series *hint, bool *created)
{
    bool refused;

    head_reserve_ref(h, ref);
    struct head_series *s = head_find_ref(h, ref);
    if (s != NULL) {
        *created = false;
        return s;
    }
    s = head_get_or_create(h, labels_hash(labels), labels, ref, hint, created, &refused);
    if (s == NULL)
        return NULL;
    series_lock(s);
    s->pending_nr--;
    if (*created)
        s->flags |= SERIES_LOGGED;
    series_unlock(s);
    return s;
}

void
head_replay_alias(struct head *h, uint64_t ref, struct head_series *s)
{
    series_lock(s);
    s->flags |= SERIES_ALIASED;
    series_unlock(s);
    head_refs_set(&h->refs, ref, s->sid);
}

void
head_replay_init(struct head_replay *w, struct head *h)
{
    *w = (struct head_replay){
        .head = h, .seals = MEM_NEW(struct head_seals), .min_ms = INT64_MAX, .max_ms = INT64_MIN
    };
}

enum { SEALS_PER_WRITE = 256 };

static void
write_seals(struct head_replay *w)
{
    struct error err = { 0 };

    error_ignored(head_seals_write(w->head, w->seals,
                                   &err)); /* they stay in memory; maintenance tries again */
    error_clear(&err);
}

void
head_replay_fini(struct head_replay *w)
{
    write_seals(w);
    head_seals_fini(w->seals);
    mem_free(w->seals);
    if (w->max_ms != INT64_MIN)
        head_bounds_update(w->head, w->min_ms, w->max_ms);
    w->seals = NULL;
}

static void
replayed(struct head_replay *w, int64_t t_ms)
{
    w->min_ms = MIN(w->min_ms, t_ms);
    w->max_ms = MAX(w->max_ms, t_ms);
    w->samples_nr++;
    if (UNLIKELY(w->seals->nr >= SEALS_PER_WRITE))
        write_seals(w);
}

/* No lock: replay gives each series to one worker, and nobody reads yet. */
void
head_replay_sample(struct head_replay *w, struct head_series *s, int64_t t_ms, double v)
{
    bool ok;

    if (t_ms <= s->xor.t_ms)
        return; /* a chunk of chunks_head has it, or a series of several references */
    enum head_kind kind = UNLIKELY(is_stale(v)) ? head_newest_kind(s) : HEAD_FLOAT;
    if (kind != HEAD_FLOAT) {
        struct histogram stale = { .is_int = kind == HEAD_HISTOGRAM, .sum = v };
        ok = head_histogram_append(w->head, s, t_ms, &stale, w->seals);
    } else {
        ok = head_chunk_append(w->head, s, t_ms, v, w->seals);
    }
    if (ok)
        replayed(w, t_ms);
}

void
head_replay_histogram(struct head_replay *w, struct head_series *s, int64_t t_ms,
                      const struct histogram *hist)
{
    if (t_ms <= s->xor.t_ms)
        return;
    bool ok = head_histogram_append(w->head, s, t_ms, hist, w->seals);
    if (ok)
        replayed(w, t_ms);
}

bool
head_replay_chunk(struct head *h, struct head_series *s, const struct head_chunk *c)
{
    uint64_t span = (uint64_t)c->max_ms - (uint64_t)c->min_ms;
    bool ok = true;

    series_lock(s);
    if (s->sealed_nr > 0 && sealed_max_ms(&s->sealed[s->sealed_nr - 1]) >= c->min_ms)
        ok = false;
    if (ok && s->sealed_nr < UINT16_MAX) {
        struct head_sealed e = { .ref = c->ref,
                                 .min_ms = c->min_ms,
                                 .span_ms = (uint32_t)MIN(span, (uint64_t)UINT32_MAX),
                                 .nr = (uint16_t)MIN(c->samples_nr, (uint32_t)UINT16_MAX),
                                 .encoding = (uint8_t)c->encoding };
        head_sealed_add(s, &e);
        s->xor.t_ms = MAX(s->xor.t_ms, c->max_ms);
        atomic_fetch_add(&h->chunks_nr, 1);
    }
    series_unlock(s);
    if (ok)
        head_bounds_update(h, c->min_ms, c->max_ms);
    return ok;
}

void
head_replay_drop_chunks(struct head *h, uint32_t first_bad_file)
{
    for (uint32_t sid = 1; sid < h->next_sid; sid++) {
        struct head_series *s = head_series_at(h, sid);
        uint16_t keep = 0;
        while (keep < s->sealed_nr && s->sealed[keep].ref >> 32 < first_bad_file)
            keep++;
        atomic_fetch_sub(&h->chunks_nr, (uint64_t)(s->sealed_nr - keep));
        if (keep < s->sealed_nr)
            s->xor.t_ms = keep == 0 ? INT64_MIN : sealed_max_ms(&s->sealed[keep - 1]);
        s->sealed_nr = keep;
    }
}

void
head_replay_tombstone(struct head *h, uint64_t ref, int64_t min_ms, int64_t max_ms)
{
    struct head_series *s = head_find_ref(h, ref);

    if (s == NULL)
        return;
    rwlock_write(&h->tombstones_lock);
    tombstones_add(&h->tombstones, head_series_ref(s), min_ms, max_ms);
    rwlock_release(&h->tombstones_lock);
}
