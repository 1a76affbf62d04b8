/* Making, finding and releasing series. A series is made under the lock of its shard; it is in the
 * postings and reachable by reference before the lock goes. */
#include <stdlib.h>
#include "base/hash.h"
#include "base/mem.h"
#include "tsdb/head_priv.h"

enum { SHARD_SLOTS_LOG_MIN = 4 };

static uint32_t
hash_tag(uint64_t hash)
{
    return (uint32_t)hash;
}

static struct head_shard *
shard_of(struct head *h, uint64_t hash)
{
    return &h->shards[hash >> (64 - SHARD_LOG)];
}

static bool
labels_match(const struct head *h, const struct head_series *s, struct labels labels)
{
    if (s->pairs_nr != labels.nr)
        return false;
    for (size_t i = 0; i < labels.nr; i++)
        if (!str_eq(symbols_text(h->o.symbols, s->pairs[i].value), labels.v[i].value) ||
            !str_eq(symbols_text(h->o.symbols, s->pairs[i].name), labels.v[i].name))
            return false;
    return true;
}

static struct head_series *
shard_find(const struct head *h, const struct head_shard *shard, uint64_t hash,
           struct labels labels)
{
    uint32_t mask = (1u << shard->log) - 1, tag = hash_tag(hash);

    if (shard->slots == NULL)
        return NULL;
    for (uint32_t i = tag & mask; shard->slots[i].sid != SID_NONE; i = (i + 1) & mask) {
        if (shard->slots[i].tag != tag)
            continue;
        struct head_series *s = head_series_at(h, shard->slots[i].sid);
        if (labels_match(h, s, labels))
            return s;
    }
    return NULL;
}

static void
shard_put(struct head_shard *shard, uint32_t tag, uint32_t sid)
{
    uint32_t mask = (1u << shard->log) - 1, i = tag & mask;

    while (shard->slots[i].sid != SID_NONE)
        i = (i + 1) & mask;
    shard->slots[i] = (struct shard_slot){ tag, sid };
}

static void
shard_add(struct head_shard *shard, uint32_t tag, uint32_t sid)
{
    if (shard->slots == NULL || (shard->nr + 1) * 5 > (4u << shard->log)) {
        struct shard_slot *old = shard->slots;
        uint32_t old_nr = old == NULL ? 0 : 1u << shard->log;
        shard->log = old == NULL ? SHARD_SLOTS_LOG_MIN : shard->log + 1;
        shard->slots = MEM_NEW_ARRAY(struct shard_slot, (size_t)1 << shard->log);
        for (uint32_t i = 0; i < old_nr; i++)
            if (old[i].sid != SID_NONE)
                shard_put(shard, old[i].tag, old[i].sid);
        mem_free(old);
    }
    shard_put(shard, tag, sid);
    shard->nr++;
}

void
head_shard_remove(struct head_shard *shard, uint64_t hash, uint32_t sid)
{
    uint32_t mask = (1u << shard->log) - 1, hole = hash_tag(hash) & mask;

    while (shard->slots[hole].sid != sid)
        hole = (hole + 1) & mask;
    for (uint32_t i = (hole + 1) & mask; shard->slots[i].sid != SID_NONE; i = (i + 1) & mask) {
        uint32_t start = shard->slots[i].tag & mask;
        if (((i - start) & mask) >= ((i - hole) & mask)) {
            shard->slots[hole] = shard->slots[i];
            hole = i;
        }
    }
    shard->slots[hole] = (struct shard_slot){ 0 };
    shard->nr--;
}

static uint32_t
sid_take(struct head *h)
{
    uint32_t sid;

    lock_take(&h->slab_lock);
    if (h->free_nr > 0) {
        sid = h->free_sids[--h->free_nr];
    } else {
        sid = h->next_sid++;
        ASSERT(sid >> SLAB_LOG < SLABS_MAX);
        if (atomic_load(&h->slabs[sid >> SLAB_LOG]) == NULL) {
            struct head_series *slab = aligned_alloc(64, sizeof *slab << SLAB_LOG);
            if (slab == NULL)
                mem_exhausted(sizeof *slab << SLAB_LOG);
            memset(slab, 0, sizeof *slab << SLAB_LOG);
            atomic_store_explicit(&h->slabs[sid >> SLAB_LOG], slab, memory_order_release);
        }
    }
    lock_release(&h->slab_lock);
    return sid;
}

/* One more reference to the id of text: that of the hint's pair when it is the same text, else
 * looked up. */
static symbol_id
intern(struct symbols *symbols, symbol_id hint, struct str text)
{
    if (hint != SYMBOL_NONE && str_eq(symbols_text(symbols, hint), text)) {
        symbols_ref(symbols, hint);
        return hint;
    }
    return symbols_intern(symbols, text);
}

static struct head_series *
series_new(struct head *h, struct labels labels, uint64_t ref, const struct head_series *hint)
{
    uint32_t sid = sid_take(h);
    struct head_series *s = head_series_at(h, sid);
    struct symbol_pair *pairs = mem_alloc(mem_array_bytes(labels.nr, sizeof *pairs));

    for (size_t i = 0; i < labels.nr; i++) {
        struct symbol_pair like = { SYMBOL_NONE, SYMBOL_NONE };
        if (hint != NULL && i < hint->pairs_nr)
            like = hint->pairs[i];
        pairs[i] = (struct symbol_pair){ intern(h->o.symbols, like.name, labels.v[i].name),
                                         intern(h->o.symbols, like.value, labels.v[i].value) };
    }
    series_lock(s); /* somebody with a stale reference may be looking */
    s->flags = SERIES_LIVE;
    s->pairs = pairs;
    s->pairs_nr = (uint16_t)labels.nr;
    s->sid = sid;
    s->xor = (struct chunk_xor){ .t_ms = INT64_MIN };
    s->next_ms = INT64_MIN;
    atomic_store_explicit(&s->ref, ref, memory_order_relaxed);
    series_unlock(s);
    return s;
}

static struct head_series *
create(struct head *h, struct head_shard *shard, uint64_t hash, struct labels labels, uint64_t ref,
       const struct head_series *hint)
{
    if (ref == SERIES_REF_NONE)
        ref = atomic_fetch_add(&h->next_ref, 1);
    struct head_series *s = series_new(h, labels, ref, hint);

    head_postings_add(h, s);
    head_refs_set(&h->refs, ref, s->sid);
    shard_add(shard, hash_tag(hash), s->sid);
    atomic_fetch_add(&h->series_nr, 1);
    metric_inc(h->m.series_created);
    return s;
}

struct head_series *
head_get_or_create(struct head *h, uint64_t hash, struct labels labels, uint64_t ref,
                   const struct head_series *hint, bool *created, bool *refused)
{
    struct head_shard *shard = shard_of(h, hash);

    *created = *refused = false;
    lock_take(&shard->lock);
    struct head_series *s = shard_find(h, shard, hash, labels);
    if (s == NULL && ref == SERIES_REF_NONE && h->o.admit_series != NULL) {
        lock_release(&shard->lock);
        *refused = !h->o.admit_series(h->o.admit_arg);
        lock_take(&shard->lock);
        s = shard_find(h, shard, hash, labels);
    }
    if (s == NULL && !*refused) {
        s = create(h, shard, hash, labels, ref, hint);
        *created = true;
    }
    if (s != NULL) {
        /* Held until the appender is done: collection cannot take it away before the caller has it.
         */
        *refused = false;
        series_lock(s);
        s->pending_nr++;
        series_unlock(s);
    }
    lock_release(&shard->lock);
    if (*created)
        head_postings_drain(h);
    return s;
}

uint64_t
head_series_hash(const struct head *h, const struct head_series *s)
{
    struct label few[64],
        *v = s->pairs_nr <= ARRAY_LEN(few) ? few : MEM_NEW_ARRAY(struct label, s->pairs_nr);

    for (uint32_t i = 0; i < s->pairs_nr; i++)
        v[i] = (struct label){ symbols_text(h->o.symbols, s->pairs[i].name),
                               symbols_text(h->o.symbols, s->pairs[i].value) };
    uint64_t hash = labels_hash((struct labels){ v, s->pairs_nr });
    if (v != few)
        mem_free(v);
    return hash;
}

/* Takes what the struct owns apart; the place is given out again. Nobody can reach it any more but
 * by a stale reference. */
void
head_series_release(void *head, void *series)
{
    struct head *h = head;
    struct head_series *s = series;

    for (uint32_t i = 0; i < s->pairs_nr; i++) {
        symbols_unref(h->o.symbols, s->pairs[i].name);
        symbols_unref(h->o.symbols, s->pairs[i].value);
    }
    series_lock(s);
    if ((s->flags & SERIES_BATCHES) != 0)
        mem_free((void *)(uintptr_t)s->batch);
    for (uint32_t i = 0; i < s->sealed_nr; i++)
        if (s->sealed[i].in_mem)
            mem_free(s->sealed[i].mem);
    if (s->ext != NULL) {
        head_histogram_free(s->ext->histogram);
        mem_free(s->ext->texts);
        mem_free(s->ext);
    }
    mem_free(s->data);
    mem_free(s->sealed);
    mem_free(s->pairs);
    s->data = NULL;
    s->sealed = NULL;
    s->pairs = NULL;
    s->ext = NULL;
    s->batch = 0;
    s->batch_nr = 0;
    s->data_n = s->data_cap = s->sealed_nr = s->sealed_cap = s->pairs_nr = 0;
    s->flags = 0;
    series_unlock(s);
    lock_take(&h->slab_lock);
    MEM_GROW(h->free_sids, h->free_nr + 1, &h->free_cap);
    h->free_sids[h->free_nr++] = s->sid;
    lock_release(&h->slab_lock);
}

struct head_series *
head_find_ref(struct head *h, uint64_t ref)
{
    uint32_t sid = head_refs_find(&h->refs, ref);

    return sid == SID_NONE ? NULL : head_series_at(h, sid);
}

bool
head_has_ref(struct head *h, uint64_t ref)
{
    return head_refs_find(&h->refs, ref) != SID_NONE;
}

const struct symbol_pair *
head_series_pairs(const struct head_series *s, uint32_t *nr)
{
    *nr = s->pairs_nr;
    return s->pairs;
}

uint64_t
head_series_ref(const struct head_series *s)
{
    return atomic_load_explicit(&((struct head_series *)s)->ref, memory_order_relaxed);
}

uint32_t
head_series_id(const struct head_series *s)
{
    return s->sid;
}
