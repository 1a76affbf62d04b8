/* Which series carry a pair: for each pair the growing list of their slots, and for each name its
 * pairs.
 *
 * Slots are given out growing, so a list only ever gets longer at its end, or is replaced as a
 * whole by collection. A reader takes (array, count) under the lock and goes on reading without it:
 * an append writes behind the count; an array that is replaced is retired through head.isolation
 * until the readers of that time are gone. The few slots inside a posting_list are copied by the
 * reader.
 *
 * Slot -> sid has 4 bytes per slot ever given out since the last renumbering; pages without series
 * go. */
#include "base/hash.h"
#include "base/mem.h"
#include "tsdb/head_priv.h"

enum { TABLE_LOG_MIN = 8, FEW = 2, RETIRE_MAX = 64 };
#define NO_LIST UINT32_MAX

/* With the lock. The array is retired when no lock is held: isolation's lock ranks before the
 * shards'. */
static void
replaced_add(struct head_postings *p, void *array)
{
    MEM_GROW(p->replaced, p->replaced_nr + 1, &p->replaced_cap);
    p->replaced[p->replaced_nr++] = array;
    atomic_store_explicit(&p->has_replaced, true, memory_order_relaxed);
}

static void
release_array(void *owner, void *item)
{
    (void)owner;
    mem_free(item);
}

void
head_postings_drain(struct head *h)
{
    struct head_postings *p = &h->postings;

    if (!atomic_load_explicit(&p->has_replaced, memory_order_relaxed))
        return;
    rwlock_write(&p->lock);
    atomic_store_explicit(&p->has_replaced, false, memory_order_relaxed);
    void **v = p->replaced;
    size_t nr = p->replaced_nr;
    p->replaced = NULL;
    p->replaced_nr = p->replaced_cap = 0;
    rwlock_release(&p->lock);
    for (size_t i = 0; i < nr; i++)
        isolation_retire(&h->isolation, v[i], release_array);
    mem_free(v);
}

void
head_postings_init(struct head_postings *p)
{
    *p = (struct head_postings){ .free_list = NO_LIST, .table_log = TABLE_LOG_MIN };
    rwlock_init(&p->lock, LOCK_POSTINGS, "head postings");
    p->table = MEM_NEW_ARRAY(uint32_t, (size_t)1 << p->table_log);
}

static void
list_fini(struct posting_list *l)
{
    if (l->cap != 0)
        mem_free(l->many);
    l->cap = 0;
}

void
head_postings_fini(struct head_postings *p)
{
    for (size_t i = 0; i < p->lists_nr; i++)
        list_fini(&p->lists[i]);
    for (size_t i = 0; i < p->names_nr; i++)
        mem_free(p->names[i].lists);
    for (size_t i = 0; i < p->slot_pages_nr; i++)
        mem_free(p->slot_pages[i]);
    list_fini(&p->all);
    mem_free(p->lists);
    mem_free(p->names);
    mem_free(p->table);
    mem_free(p->slot_pages);
    for (size_t i = 0; i < p->replaced_nr; i++)
        mem_free(p->replaced[i]);
    mem_free(p->replaced);
    rwlock_fini(&p->lock);
}

static uint64_t
pair_hash(struct symbol_pair pair)
{
    return ((uint64_t)pair.name << 32 | pair.value) * UINT64_C(0x9E3779B97F4A7C15);
}

static size_t
table_start(const struct head_postings *p, struct symbol_pair pair)
{
    return (size_t)(pair_hash(pair) >> (64 - p->table_log));
}

static bool
list_is(const struct posting_list *l, struct symbol_pair pair)
{
    return l->name == pair.name && l->value == pair.value;
}

/* The place of the pair, or the free place where it would go. */
static size_t
table_find(const struct head_postings *p, struct symbol_pair pair)
{
    size_t mask = ((size_t)1 << p->table_log) - 1, i = table_start(p, pair);

    while (p->table[i] != 0 && !list_is(&p->lists[p->table[i] - 1], pair))
        i = (i + 1) & mask;
    return i;
}

static void
table_grow(struct head_postings *p)
{
    mem_free(p->table);
    p->table_log++;
    p->table = MEM_NEW_ARRAY(uint32_t, (size_t)1 << p->table_log);
    for (size_t i = 0; i < p->lists_nr; i++) {
        const struct posting_list *l = &p->lists[i];
        if (l->name != SYMBOL_NONE)
            p->table[table_find(p, (struct symbol_pair){ l->name, l->value })] = (uint32_t)i + 1;
    }
}

static void
table_remove(struct head_postings *p, struct symbol_pair pair)
{
    size_t mask = ((size_t)1 << p->table_log) - 1, hole = table_find(p, pair);

    for (size_t i = (hole + 1) & mask; p->table[i] != 0; i = (i + 1) & mask) {
        const struct posting_list *l = &p->lists[p->table[i] - 1];
        size_t start = table_start(p, (struct symbol_pair){ l->name, l->value });
        /* It may move back when its own start is not behind the hole. */
        if (((i - start) & mask) >= ((i - hole) & mask)) {
            p->table[hole] = p->table[i];
            hole = i;
        }
    }
    p->table[hole] = 0;
    p->table_nr--;
}

/* Names are few (tens): a linear walk over the array, newest hit moved nowhere. */
static struct posting_name *
name_find(const struct head_postings *p, symbol_id name)
{
    for (size_t i = 0; i < p->names_nr; i++)
        if (p->names[i].name == name)
            return &p->names[i];
    return NULL;
}

const struct posting_name *
head_postings_name(const struct head_postings *p, symbol_id name)
{
    return name_find(p, name);
}

static void
name_add(struct head_postings *p, symbol_id name, uint32_t list)
{
    struct posting_name *n = name_find(p, name);
    size_t cap;

    if (n == NULL) {
        MEM_GROW(p->names, p->names_nr + 1, &p->names_cap);
        n = &p->names[p->names_nr++];
        *n = (struct posting_name){ .name = name };
    }
    cap = n->cap;
    MEM_GROW(n->lists, n->nr + 1, &cap);
    n->cap = (uint32_t)cap;
    n->lists[n->nr++] = list;
}

static uint32_t
list_new(struct head_postings *p, struct symbol_pair pair)
{
    uint32_t i = p->free_list;

    if (i != NO_LIST) {
        p->free_list = p->lists[i].nr;
    } else {
        MEM_GROW(p->lists, p->lists_nr + 1, &p->lists_cap);
        i = (uint32_t)p->lists_nr++;
    }
    p->lists[i] = (struct posting_list){ .name = pair.name, .value = pair.value };
    name_add(p, pair.name, i);
    return i;
}

static struct posting_list *
list_get(struct head_postings *p, struct symbol_pair pair)
{
    size_t at = table_find(p, pair);

    if (p->table[at] == 0) {
        if ((size_t)(p->table_nr + 1) * 4 > ((size_t)3 << p->table_log)) {
            table_grow(p);
            at = table_find(p, pair);
        }
        p->table[at] = list_new(p, pair) + 1;
        p->table_nr++;
    }
    return &p->lists[p->table[at] - 1];
}

/* Room grows by a half: lists of a head that stopped growing waste a sixth on average. */
static void
list_append(struct head_postings *p, struct posting_list *l, uint32_t slot)
{
    if (l->cap == 0 && l->nr < FEW) {
        l->few[l->nr++] = slot;
        return;
    }
    if (l->cap == 0 || l->nr == l->cap) {
        uint32_t cap = l->cap == 0 ? 4 : l->cap + MAX(l->cap / 2, 4u);
        uint32_t *many = mem_alloc(mem_array_bytes(cap, sizeof *many));
        memcpy(many, l->cap == 0 ? l->few : l->many, l->nr * sizeof *many);
        if (l->cap != 0)
            replaced_add(p, l->many);
        l->many = many;
        l->cap = cap;
    }
    l->many[l->nr++] = slot;
}

static uint32_t *
slot_place(struct head_postings *p, uint32_t slot)
{
    size_t page = slot >> SLOT_PAGE_LOG;

    while (p->slot_pages_nr <= page) {
        MEM_GROW(p->slot_pages, p->slot_pages_nr + 1, &p->slot_pages_cap);
        p->slot_pages[p->slot_pages_nr++] = NULL;
    }
    if (p->slot_pages[page] == NULL)
        p->slot_pages[page] = MEM_NEW_ARRAY(uint32_t, SLOT_PAGE_NR);
    return &p->slot_pages[page][slot & (SLOT_PAGE_NR - 1)];
}

uint32_t
head_postings_sid(const struct head_postings *p, uint32_t slot)
{
    size_t page = slot >> SLOT_PAGE_LOG;

    if (page >= p->slot_pages_nr || p->slot_pages[page] == NULL)
        return SID_NONE;
    return p->slot_pages[page][slot & (SLOT_PAGE_NR - 1)];
}

static void renumber(struct head *h);

static void
add_locked(struct head_postings *p, struct head_series *s)
{
    s->slot = p->next_slot++;
    *slot_place(p, s->slot) = s->sid;
    list_append(p, &p->all, s->slot);
    for (uint32_t i = 0; i < s->pairs_nr; i++)
        list_append(p, list_get(p, s->pairs[i]), s->slot);
}

void
head_postings_add(struct head *h, struct head_series *s)
{
    rwlock_write(&h->postings.lock);
    if (h->postings.next_slot == UINT32_MAX)
        renumber(h);
    add_locked(&h->postings, s);
    rwlock_release(&h->postings.lock);
}

struct postings
head_postings_list(const struct head_postings *p, struct symbol_pair pair)
{
    uint32_t at = pair.name == SYMBOL_NONE ? 0 : p->table[table_find(p, pair)];
    const struct posting_list *l = pair.name == SYMBOL_NONE ? &p->all
                                   : at == 0                ? NULL
                                                            : &p->lists[at - 1];

    if (l == NULL)
        return POSTINGS_NONE;
    return (struct postings){ l->cap == 0 ? l->few : l->many, l->nr };
}

/* What is left of l without the removed slots, in an array of its own size. */
static void
list_filter(struct head_postings *p, struct posting_list *l, struct postings gone)
{
    const uint32_t *old = l->cap == 0 ? l->few : l->many;
    uint32_t *kept = mem_alloc(mem_array_bytes(MAX(l->nr, 1u), sizeof *kept)), nr = 0;
    size_t at = 0;

    for (uint32_t i = 0; i < l->nr; i++) {
        while (at < gone.nr && gone.v[at] < old[i])
            at++;
        if (at == gone.nr || gone.v[at] != old[i])
            kept[nr++] = old[i];
    }
    if (l->cap != 0)
        replaced_add(p, l->many);
    if (nr <= FEW) {
        memcpy(l->few, kept, nr * sizeof *kept);
        mem_free(kept);
        l->cap = 0;
    } else {
        l->many = mem_realloc(kept, nr * sizeof *kept);
        l->cap = nr;
    }
    l->nr = nr;
}

/* The pair has no series any more. Its name still lists it, without a symbol and empty, until
 * names_sweep(). */
static void
list_remove(struct head_postings *p, struct symbol_pair pair)
{
    struct posting_list *l = &p->lists[p->table[table_find(p, pair)] - 1];

    table_remove(p, pair);
    *l = (struct posting_list){ .name = SYMBOL_NONE };
}

/* Takes empty lists out of their names, all at once: a name may have a million values, most of them
 * gone. */
static void
names_sweep(struct head_postings *p)
{
    for (size_t i = 0; i < p->names_nr;) {
        struct posting_name *n = &p->names[i];
        uint32_t kept = 0;
        for (uint32_t k = 0; k < n->nr; k++) {
            uint32_t index = n->lists[k];
            if (p->lists[index].name != SYMBOL_NONE) {
                n->lists[kept++] = index;
            } else {
                p->lists[index].nr = p->free_list;
                p->free_list = index;
            }
        }
        n->nr = kept;
        if (kept > 0) {
            i++;
            continue;
        }
        mem_free(n->lists);
        *n = p->names[--p->names_nr];
    }
}

static void
remove_pairs(struct head_postings *p, struct postings gone, const struct symbol_pair *pairs,
             size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        uint32_t at = p->table[table_find(p, pairs[i])];
        if (at == 0)
            continue;
        list_filter(p, &p->lists[at - 1], gone);
        if (p->lists[at - 1].nr == 0)
            list_remove(p, pairs[i]);
    }
}

static void
slots_clear(struct head_postings *p, struct postings gone)
{
    for (size_t i = 0; i < gone.nr; i++) {
        uint32_t **page = &p->slot_pages[gone.v[i] >> SLOT_PAGE_LOG];
        (*page)[gone.v[i] & (SLOT_PAGE_NR - 1)] = SID_NONE;
        bool last =
            i + 1 == gone.nr || gone.v[i + 1] >> SLOT_PAGE_LOG != gone.v[i] >> SLOT_PAGE_LOG;
        bool empty = last && gone.v[i] >> SLOT_PAGE_LOG != p->next_slot >> SLOT_PAGE_LOG;
        for (uint32_t k = 0; empty && k < SLOT_PAGE_NR; k++)
            empty = (*page)[k] == SID_NONE;
        if (empty) {
            mem_free(*page);
            *page = NULL;
        }
    }
}

void
head_postings_remove(struct head *h, struct postings gone, const struct symbol_pair *pairs,
                     size_t pairs_nr)
{
    if (gone.nr == 0)
        return;
    /* A few lists at a time, so that new series and queries get in between. */
    for (size_t i = 0; i < pairs_nr; i += RETIRE_MAX) {
        rwlock_write(&h->postings.lock);
        remove_pairs(&h->postings, gone, pairs + i, MIN((size_t)RETIRE_MAX, pairs_nr - i));
        rwlock_release(&h->postings.lock);
    }
    rwlock_write(&h->postings.lock);
    list_filter(&h->postings, &h->postings.all, gone);
    names_sweep(&h->postings);
    slots_clear(&h->postings, gone);
    rwlock_release(&h->postings.lock);
    head_postings_drain(h);
}

static void
list_renumber(struct head_postings *p, struct posting_list *l, const struct head *h)
{
    uint32_t *old = l->cap == 0 ? l->few : l->many;
    uint32_t *now = l->cap == 0 ? l->few : mem_alloc(mem_array_bytes(l->cap, sizeof *now));

    for (uint32_t i = 0; i < l->nr; i++)
        now[i] = head_series_at(h, head_postings_sid(p, old[i]))->slot;
    if (l->cap != 0) {
        replaced_add(p, old);
        l->many = now;
    }
}

/* Numbers the slots anew from 0 in their old order. Once per four thousand million new series:
 * appends of known series go on, new ones and queries that select wait. */
static void
renumber(struct head *h)
{
    struct head_postings *p = &h->postings;
    uint32_t nr = 0;
    struct posting_list all = p->all;
    const uint32_t *slots = all.cap == 0 ? all.few : all.many;
    uint32_t *sids = mem_alloc(mem_array_bytes(MAX(all.nr, 1u), sizeof *sids));
    for (uint32_t i = 0; i < all.nr; i++)
        sids[i] = head_postings_sid(p, slots[i]);
    for (; nr < all.nr; nr++)
        head_series_at(h, sids[nr])->slot = nr;
    for (size_t i = 0; i < p->lists_nr; i++)
        if (p->lists[i].name != SYMBOL_NONE)
            list_renumber(p, &p->lists[i], h);
    list_renumber(p, &p->all, h);
    for (size_t i = 0; i < p->slot_pages_nr; i++)
        mem_free(p->slot_pages[i]);
    p->slot_pages_nr = 0;
    for (uint32_t i = 0; i < nr; i++)
        *slot_place(p, i) = sids[i];
    p->next_slot = nr;
    p->numbering++;
    mem_free(sids);
}

void
head_postings_renumber(struct head *h)
{
    rwlock_write(&h->postings.lock);
    renumber(h);
    rwlock_release(&h->postings.lock);
    head_postings_drain(h);
}
