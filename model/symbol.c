/* Records of variable length in pages that never move; an id is a record's place.
 *
 * A record stands at a multiple of 4 bytes:
 *
 *     refs u32 | hash u64 | length u8 (255: u32 follows) | text
 *
 * and its id is page number << PAGE_LOG | offset in units of 4 bytes, so there is no array of
 * entries and text is found with two loads and no lock. 13 bytes a record, 1.5 of rounding on
 * average, and 4 bytes per slot of the shard's hash table, which is kept between 0.53 and 0.8 full:
 * about 21 bytes over the string. A record too large for a page gets an allocation of its own under
 * a page number of its own.
 *
 * Invariants:
 * 1. A record in a shard's table has a text that no other record of the table has.
 * 2. refs reaches 0 only under the shard's lock, in the same critical section that takes the record
 * out of the table; so who holds the lock and finds a record may add a reference.
 * 3. What is freed goes to the shard's list for its size and is given out again for records of the
 * same size only.
 * 4. Page 0 holds one record, the empty string, which is never counted or freed. */
#include "model/symbol.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "base/lock.h"
#include "base/mem.h"

enum {
    SHARD_LOG = 4,
    SHARDS_NR = 1 << SHARD_LOG,
    UNIT_BYTES = 4,
    PAGE_LOG = 12, /* units in a page: 16 KiB */
    PAGE_UNITS = 1 << PAGE_LOG,
    PAGES_MAX = 1 << (32 - PAGE_LOG),
    HASH_AT = 4,
    LENGTH_AT = 12,
    SMALL_UNITS_MAX = 256, /* records up to 1 KiB have a free list for their exact size */
    SLOTS_MIN = 64
};

struct shard {
    struct lock lock; /* guards everything below, and who is in the table */
    uint32_t *slots;  /* ids, 0 for free; linear probing from a place that grows with the hash */
    uint32_t slots_nr, symbols_nr;
    uint32_t next, left; /* units of the current page not given out yet */
    uint32_t free[SMALL_UNITS_MAX +
                  1];    /* heads of lists by size in units; linked through the hash field */
    uint32_t free_pages; /* page numbers of freed large records, linked through page_next */
    size_t bytes;
};

struct symbols {
    struct shard shards[SHARDS_NR];
    _Atomic uint32_t pages_nr;
    uint32_t
        *page_next; /* by page number; of free_pages. Guarded by the shard that owns the page */
    _Atomic(uint8_t *) *pages; /* PAGES_MAX; the kernel backs only what was used */
};

static uint8_t *
record_at(const struct symbols *s, symbol_id id)
{
    uint8_t *page = atomic_load_explicit(&s->pages[id >> PAGE_LOG], memory_order_acquire);

    return page + (size_t)(id & (PAGE_UNITS - 1)) * UNIT_BYTES;
}

static _Atomic uint32_t *
record_refs(uint8_t *record)
{
    return (_Atomic uint32_t *)(void *)record;
}

static uint64_t
record_hash(const uint8_t *record)
{
    uint64_t hash;

    memcpy(&hash, record + HASH_AT, sizeof hash);
    return hash;
}

static struct str
record_text(const uint8_t *record)
{
    uint32_t n = record[LENGTH_AT];

    if (LIKELY(n < 255))
        return (struct str){ (const char *)record + LENGTH_AT + 1, n };
    memcpy(&n, record + LENGTH_AT + 1, sizeof n);
    return (struct str){ (const char *)record + LENGTH_AT + 5, n };
}

static size_t
record_units(size_t text_n)
{
    size_t head = text_n < 255 ? LENGTH_AT + 1 : LENGTH_AT + 5;

    return (head + text_n + UNIT_BYTES - 1) / UNIT_BYTES;
}

static void
record_write(uint8_t *record, uint64_t hash, struct str text)
{
    uint32_t n = (uint32_t)text.n;

    atomic_store_explicit(record_refs(record), 1, memory_order_relaxed);
    memcpy(record + HASH_AT, &hash, sizeof hash);
    record[LENGTH_AT] = (uint8_t)MIN(n, 255u);
    if (n >= 255)
        memcpy(record + LENGTH_AT + 1, &n, sizeof n);
    if (n != 0)
        memcpy(record + (n < 255 ? LENGTH_AT + 1 : LENGTH_AT + 5), text.p, n);
}

/* ---- places for records */

static uint32_t
page_number(struct symbols *s, struct shard *shard)
{
    uint32_t page = shard->free_pages;

    if (page != 0) {
        shard->free_pages = s->page_next[page];
        return page;
    }
    page = atomic_fetch_add_explicit(&s->pages_nr, 1, memory_order_relaxed);
    /* 16 GiB of labels: the same end as running out of memory, which comes first on most machines.
     */
    if (page >= PAGES_MAX)
        mem_exhausted((size_t)PAGE_UNITS * UNIT_BYTES);
    return page;
}

static symbol_id
page_add(struct symbols *s, struct shard *shard, size_t bytes)
{
    uint32_t page = page_number(s, shard);

    atomic_store_explicit(&s->pages[page], mem_alloc(bytes), memory_order_release);
    shard->bytes += bytes;
    return page << PAGE_LOG;
}

/* What is left of a page that cannot take the next record becomes free records of the largest sizes
 * that fit. */
static void
page_retire(struct symbols *s, struct shard *shard)
{
    while (shard->left >= record_units(1)) {
        uint32_t units = MIN(shard->left, (uint32_t)SMALL_UNITS_MAX);
        uint64_t link = shard->free[units];
        memcpy(record_at(s, shard->next) + HASH_AT, &link, sizeof link);
        shard->free[units] = shard->next;
        shard->next += units;
        shard->left -= units;
    }
}

static symbol_id
place_small(struct symbols *s, struct shard *shard, uint32_t units)
{
    symbol_id id = shard->free[units];

    if (id != 0) {
        shard->free[units] = (uint32_t)record_hash(record_at(s, id));
        return id;
    }
    if (shard->left < units) {
        page_retire(s, shard);
        shard->next = page_add(s, shard, (size_t)PAGE_UNITS * UNIT_BYTES);
        shard->left = PAGE_UNITS;
    }
    id = shard->next;
    shard->next += units;
    shard->left -= units;
    return id;
}

static symbol_id
place_take(struct symbols *s, struct shard *shard, size_t text_n)
{
    size_t units = record_units(text_n);

    if (units <= SMALL_UNITS_MAX)
        return place_small(s, shard, (uint32_t)units);
    return page_add(s, shard, units * UNIT_BYTES);
}

static void
place_give(struct symbols *s, struct shard *shard, symbol_id id, size_t text_n)
{
    size_t units = record_units(text_n);
    uint32_t page = id >> PAGE_LOG;

    if (units <= SMALL_UNITS_MAX) {
        uint64_t link = shard->free[units];
        memcpy(record_at(s, id) + HASH_AT, &link, sizeof link);
        shard->free[units] = id;
        return;
    }
    mem_free(atomic_exchange_explicit(&s->pages[page], NULL, memory_order_acq_rel));
    shard->bytes -= units * UNIT_BYTES;
    s->page_next[page] = shard->free_pages;
    shard->free_pages = page;
}

/* ---- the hash table of a shard */

static struct shard *
shard_of(const struct symbols *s, uint64_t hash)
{
    return (struct shard *)&s->shards[hash >> (64 - SHARD_LOG)];
}

static uint32_t
home(const struct shard *shard, uint64_t hash)
{
    return (uint32_t)((uint64_t)(uint32_t)hash * shard->slots_nr >> 32);
}

static uint32_t
after(const struct shard *shard, uint32_t slot)
{
    return slot + 1 == shard->slots_nr ? 0 : slot + 1;
}

/* The slot of the text, or the free one where it would go. */
static uint32_t
probe(const struct symbols *s, const struct shard *shard, uint64_t hash, struct str text)
{
    uint32_t slot = home(shard, hash);

    while (shard->slots[slot] != 0) {
        const uint8_t *record = record_at(s, shard->slots[slot]);
        if (record_hash(record) == hash && str_eq(record_text(record), text))
            break;
        slot = after(shard, slot);
    }
    return slot;
}

static void
slots_grow(struct symbols *s, struct shard *shard)
{
    uint32_t *old = shard->slots, old_nr = shard->slots_nr;

    shard->slots_nr = MAX(old_nr + old_nr / 2, (uint32_t)SLOTS_MIN);
    shard->slots = MEM_NEW_ARRAY(uint32_t, shard->slots_nr);
    shard->bytes += (size_t)(shard->slots_nr - old_nr) * sizeof shard->slots[0];
    for (uint32_t i = 0; i < old_nr; i++) {
        if (old[i] == 0)
            continue;
        uint32_t slot = home(shard, record_hash(record_at(s, old[i])));
        while (shard->slots[slot] != 0)
            slot = after(shard, slot);
        shard->slots[slot] = old[i];
    }
    mem_free(old);
}

/* Closes the gap, so that every record stays reachable from its home without tombstones. */
static void
slot_clear(const struct symbols *s, struct shard *shard, uint32_t gap)
{
    for (uint32_t at = after(shard, gap); shard->slots[at] != 0; at = after(shard, at)) {
        uint32_t h = home(shard, record_hash(record_at(s, shard->slots[at])));
        bool between = gap < at ? h > gap && h <= at : h > gap || h <= at;
        if (between)
            continue;
        shard->slots[gap] = shard->slots[at];
        gap = at;
    }
    shard->slots[gap] = 0;
}

static symbol_id
shard_intern(struct symbols *s, struct shard *shard, uint64_t hash, struct str text)
{
    if ((uint64_t)(shard->symbols_nr + 1) * 5 > (uint64_t)shard->slots_nr * 4)
        slots_grow(s, shard);
    uint32_t slot = probe(s, shard, hash, text);
    symbol_id id = shard->slots[slot];
    if (id != 0) {
        atomic_fetch_add_explicit(record_refs(record_at(s, id)), 1, memory_order_relaxed);
        return id;
    }
    id = place_take(s, shard, text.n);
    record_write(record_at(s, id), hash, text);
    shard->slots[slot] = id;
    shard->symbols_nr++;
    return id;
}

/* ---- what others call */

struct symbols *
symbols_new(void)
{
    struct symbols *s = MEM_NEW(struct symbols);

    s->pages = mem_zalloc(mem_array_bytes(PAGES_MAX, sizeof s->pages[0]));
    s->page_next = MEM_NEW_ARRAY(uint32_t, PAGES_MAX);
    for (size_t i = 0; i < SHARDS_NR; i++) {
        lock_init(&s->shards[i].lock, LOCK_SYMBOLS, "symbols");
        slots_grow(s, &s->shards[i]);
    }
    atomic_store(&s->pages_nr, 1);
    atomic_store(&s->pages[0], mem_zalloc((SYMBOL_EMPTY + 1) * UNIT_BYTES + 32));
    record_write(record_at(s, SYMBOL_EMPTY), hash64("", 0), STR(""));
    return s;
}

void
symbols_free(struct symbols *s)
{
    if (s == NULL)
        return;
    uint32_t pages_nr = MIN(atomic_load(&s->pages_nr), (uint32_t)PAGES_MAX);
    for (uint32_t i = 0; i < pages_nr; i++)
        mem_free(atomic_load(&s->pages[i]));
    for (size_t i = 0; i < SHARDS_NR; i++) {
        mem_free(s->shards[i].slots);
        lock_fini(&s->shards[i].lock);
    }
    mem_free(s->pages);
    mem_free(s->page_next);
    mem_free(s);
}

symbol_id
symbols_intern(struct symbols *s, struct str text)
{
    if (text.n == 0)
        return SYMBOL_EMPTY;
    if (text.n > UINT32_MAX)
        mem_exhausted(text.n);
    uint64_t hash = hash64_str(text);
    struct shard *shard = shard_of(s, hash);
    lock_take(&shard->lock);
    symbol_id id = shard_intern(s, shard, hash, text);
    lock_release(&shard->lock);
    return id;
}

symbol_id
symbols_find(struct symbols *s, struct str text)
{
    if (text.n == 0)
        return SYMBOL_EMPTY;
    uint64_t hash = hash64_str(text);
    struct shard *shard = shard_of(s, hash);
    lock_take(&shard->lock);
    symbol_id id = shard->slots[probe(s, shard, hash, text)];
    lock_release(&shard->lock);
    return id;
}

void
symbols_ref(struct symbols *s, symbol_id id)
{
    if (id > SYMBOL_EMPTY)
        atomic_fetch_add_explicit(record_refs(record_at(s, id)), 1, memory_order_relaxed);
}

static void
unref_locked(struct symbols *s, struct shard *shard, symbol_id id)
{
    uint8_t *record = record_at(s, id);

    if (atomic_fetch_sub_explicit(record_refs(record), 1, memory_order_acq_rel) != 1)
        return;
    struct str text = record_text(record);
    slot_clear(s, shard, probe(s, shard, record_hash(record), text));
    shard->symbols_nr--;
    place_give(s, shard, id, text.n);
}

void
symbols_unref(struct symbols *s, symbol_id id)
{
    if (id <= SYMBOL_EMPTY)
        return;
    uint8_t *record = record_at(s, id);
    uint32_t refs = atomic_load_explicit(record_refs(record), memory_order_relaxed);
    while (refs > 1)
        if (atomic_compare_exchange_weak_explicit(record_refs(record), &refs, refs - 1,
                                                  memory_order_release, memory_order_relaxed))
            return;
    struct shard *shard = shard_of(s, record_hash(record));
    lock_take(&shard->lock);
    unref_locked(s, shard, id);
    lock_release(&shard->lock);
}

struct str
symbols_text(const struct symbols *s, symbol_id id)
{
    return record_text(record_at(s, id));
}

uint64_t
symbols_hash(const struct symbols *s, symbol_id id)
{
    return record_hash(record_at(s, id));
}

void
symbols_stats(struct symbols *s, struct symbols_stats *st)
{
    *st = (struct symbols_stats){ .bytes = sizeof *s };
    for (size_t i = 0; i < SHARDS_NR; i++) {
        lock_take(&s->shards[i].lock);
        st->symbols_nr += s->shards[i].symbols_nr;
        st->bytes += s->shards[i].bytes;
        lock_release(&s->shards[i].lock);
    }
}
