/* The list of lines of a target's last page.
 *
 * Invariants: 1. bytes_flags, hashes and refs have nr entries. 2. A line with LINE_DUPLICATE has
 * the ref of the line with the same hash further up. 3. During a rebuild r->seen[i] is set for an
 * old line exactly when its text was met on this page. */
#include <stdlib.h>
#include "scrape/page_cache.h"
#include "base/mem.h"

/* A place in the index: old line i is i, new line i is i | SLOT_NEW. */
#define SLOT_NEW  0x80000000u
#define SLOT_FREE UINT32_MAX

struct rebuild_slot {
    uint64_t hash;
    uint32_t place;
};

#define LINE_ALL_BYTES (sizeof(series_ref) + sizeof(uint64_t) + sizeof(uint32_t))

void
page_cache_fini(struct page_cache *c)
{
    free(c->refs);
    *c = (struct page_cache){ 0 };
}

size_t
page_cache_bytes(const struct page_cache *c)
{
    return c->nr * LINE_ALL_BYTES;
}

static void
cache_resize(struct page_cache *c, uint32_t nr)
{
    free(c->refs);
    *c = (struct page_cache){ .nr = nr };
    if (nr == 0)
        return;
    c->refs = mem_alloc(mem_array_bytes(nr, LINE_ALL_BYTES));
    c->hashes = c->refs + nr;
    c->bytes_flags = (uint32_t *)(void *)(c->hashes + nr);
}

void
page_rebuild_fini(struct page_rebuild *r)
{
    free(r->lines);
    free(r->seen);
    free(r->slots);
    free(r->refs);
    *r = (struct page_rebuild){ 0 };
}

static struct rebuild_slot *
slot_of(const struct page_rebuild *r, uint64_t hash)
{
    size_t mask = ((size_t)1 << r->slots_log) - 1;
    size_t at = (size_t)hash & mask;

    while (r->slots[at].place != SLOT_FREE && r->slots[at].hash != hash)
        at = (at + 1) & mask;
    return &r->slots[at];
}

static void
index_reset(struct page_rebuild *r, unsigned log)
{
    size_t nr = (size_t)1 << log;

    if (nr > r->slots_cap) {
        free(r->slots);
        r->slots = mem_alloc(mem_array_bytes(nr, sizeof *r->slots));
        r->slots_cap = nr;
    }
    r->slots_log = log;
    for (size_t i = 0; i < nr; i++)
        r->slots[i].place = SLOT_FREE;
}

/* The first line with a hash keeps its place. */
static void
index_add(struct page_rebuild *r, uint64_t hash, uint32_t place)
{
    struct rebuild_slot *slot = slot_of(r, hash);

    if (slot->place == SLOT_FREE)
        *slot = (struct rebuild_slot){ hash, place };
}

static void
index_grow(struct page_rebuild *r, const struct page_cache *c)
{
    index_reset(r, r->slots_log + 1);
    for (uint32_t i = 0; i < c->nr; i++)
        if (!(c->bytes_flags[i] & LINE_META))
            index_add(r, c->hashes[i], i);
    for (size_t i = 0; i < r->nr; i++)
        if (!(r->lines[i].bytes_flags & LINE_META))
            index_add(r, r->lines[i].hash, (uint32_t)i | SLOT_NEW);
}

void
page_rebuild_start(struct page_rebuild *r, const struct page_cache *c, uint32_t same)
{
    unsigned log = 6;

    r->nr = 0;
    while (((size_t)1 << log) < (size_t)c->nr * 2)
        log++;
    r->slots_log = log - 1;
    index_grow(r, c);
    MEM_GROW(r->seen, c->nr + 1, &r->seen_cap);
    memset(r->seen, 0, c->nr + 1);
    for (uint32_t i = 0; i < same; i++) {
        MEM_GROW(r->lines, r->nr + 1, &r->cap);
        r->lines[r->nr++] = page_cache_line(c, i);
        r->seen[i] = PAGE_SEEN_TRACKED; /* or it was not tracked, and is not now */
    }
}

/* Keeps room in the index: every added line may need a slot of its own. */
static void
index_reserve(struct page_rebuild *r, const struct page_cache *c)
{
    if ((r->nr + c->nr) * 4 > ((size_t)3 << r->slots_log))
        index_grow(r, c);
}

void
page_rebuild_add(struct page_rebuild *r, const struct page_cache *c, struct page_line line,
                 bool fresh)
{
    MEM_GROW(r->lines, r->nr + 1, &r->cap);
    r->lines[r->nr++] = line;
    if (fresh) {
        index_reserve(r, c);
        index_add(r, line.hash, (uint32_t)(r->nr - 1) | SLOT_NEW);
    }
}

struct rebuild_found
page_rebuild_find(const struct page_rebuild *r, const struct page_cache *c, uint64_t hash)
{
    struct rebuild_found f = { .old = UINT32_MAX };
    const struct rebuild_slot *slot = slot_of(r, hash);

    if (slot->place == SLOT_FREE)
        return f;
    f.known = true;
    if (slot->place & SLOT_NEW) {
        f.on_page = true;
        f.line = r->lines[slot->place & ~SLOT_NEW];
    } else {
        f.old = slot->place;
        f.on_page = r->seen[f.old] != PAGE_UNSEEN;
        f.line = page_cache_line(c, f.old);
    }
    return f;
}

static int
by_ref(const void *a, const void *b)
{
    series_ref x = *(const series_ref *)a, y = *(const series_ref *)b;

    return (x > y) - (x < y);
}

/* Refs of the new list that are tracked, sorted: the same series may have been written in another
 * way before. */
static size_t
tracked_refs(struct page_rebuild *r)
{
    size_t nr = 0;

    MEM_GROW(r->refs, r->nr + 1, &r->refs_cap);
    for (size_t i = 0; i < r->nr; i++)
        if (r->lines[i].bytes_flags & LINE_TRACKED)
            r->refs[nr++] = r->lines[i].ref;
    qsort(r->refs, nr, sizeof *r->refs, by_ref);
    return nr;
}

bool
page_rebuild_each_stale(struct page_rebuild *r, const struct page_cache *c, page_stale_fn fn,
                        void *arg)
{
    size_t refs_nr = 0;
    bool sorted = false;

    for (uint32_t i = 0; i < c->nr; i++) {
        if (!(c->bytes_flags[i] & LINE_TRACKED) || r->seen[i] == PAGE_SEEN_TRACKED)
            continue;
        if (!sorted)
            refs_nr = tracked_refs(r);
        sorted = true;
        if (bsearch(&c->refs[i], r->refs, refs_nr, sizeof *r->refs, by_ref) == NULL &&
            !fn(arg, c->refs[i]))
            return false;
    }
    return true;
}

void
page_rebuild_finish(struct page_rebuild *r, struct page_cache *c)
{
    ASSERT(r->nr < SLOT_NEW);
    if (r->nr != c->nr)
        cache_resize(c, (uint32_t)r->nr);
    for (size_t i = 0; i < r->nr; i++) {
        c->refs[i] = r->lines[i].ref;
        c->hashes[i] = r->lines[i].hash;
        c->bytes_flags[i] = r->lines[i].bytes_flags;
    }
}

bool
page_cache_each_tracked(const struct page_cache *c, page_stale_fn fn, void *arg)
{
    for (uint32_t i = 0; i < c->nr; i++)
        if ((c->bytes_flags[i] & LINE_TRACKED) && !fn(arg, c->refs[i]))
            return false;
    return true;
}

void
page_cache_untrack(struct page_cache *c)
{
    for (uint32_t i = 0; i < c->nr; i++)
        c->bytes_flags[i] &= ~(uint32_t)LINE_TRACKED;
}
