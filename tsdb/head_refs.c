/* Reference -> sid. References of one scrape are neighbours, so the pages of 512 are dense; the
 * directory of pages is a small open addressing table that lookups read without a lock.
 *
 * Why that is safe: keys and pages are atomics; a directory that was outgrown stays allocated (they
 * double, so all old ones together are smaller than the new one); a page that became empty is given
 * to other references, never freed. A lookup that races with a removal may thus read a sid of
 * another reference: the caller compares head_series.ref under the series' lock. */
#include "base/mem.h"
#include "tsdb/head_priv.h"

#define KEY_REMOVED UINT64_MAX
enum { DIR_LOG_MIN = 6 };

static struct ref_dir *
dir_new(uint32_t log, struct ref_dir *older)
{
    struct ref_dir *d = mem_zalloc(sizeof *d + (sizeof d->e[0] << log));

    d->log = log;
    d->older = older;
    return d;
}

void
head_refs_init(struct head_refs *r)
{
    *r = (struct head_refs){ 0 };
    lock_init(&r->lock, LOCK_POSTINGS, "head refs");
    atomic_store(&r->dir, dir_new(DIR_LOG_MIN, NULL));
}

void
head_refs_fini(struct head_refs *r)
{
    struct ref_dir *d = atomic_load(&r->dir);

    for (size_t i = 0; i < (size_t)1 << d->log; i++)
        mem_free(atomic_load(&d->e[i].page));
    for (struct ref_page *page = r->free_pages, *next; page != NULL; page = next) {
        next = page->next_free;
        mem_free(page);
    }
    while (d != NULL) {
        struct ref_dir *older = d->older;
        mem_free(d);
        d = older;
    }
    lock_fini(&r->lock);
}

/* Only into free places: a lookup that walks past a removed key must go on. */
static void
dir_put(struct ref_dir *d, uint64_t key, struct ref_page *page)
{
    size_t mask = ((size_t)1 << d->log) - 1, i = ref_dir_start(d, key);

    while (atomic_load_explicit(&d->e[i].key, memory_order_relaxed) != 0)
        i = (i + 1) & mask;
    atomic_store_explicit(&d->e[i].page, page, memory_order_release);
    atomic_store_explicit(&d->e[i].key, key, memory_order_release);
    d->used++;
}

static struct ref_dir *
dir_grow(struct head_refs *r, struct ref_dir *old)
{
    /* Removed keys are left behind, so the same size can be enough. */
    uint32_t log = r->pages_nr * 2 > ((size_t)1 << old->log) / 2 ? old->log + 1 : old->log;
    struct ref_dir *d = dir_new(log, old);

    for (size_t i = 0; i < (size_t)1 << old->log; i++) {
        uint64_t key = atomic_load(&old->e[i].key);
        if (key != 0 && key != KEY_REMOVED)
            dir_put(d, key, atomic_load(&old->e[i].page));
    }
    atomic_store_explicit(&r->dir, d, memory_order_release);
    return d;
}

static struct ref_page *
page_add(struct head_refs *r, uint64_t key)
{
    struct ref_dir *d = atomic_load(&r->dir);
    struct ref_page *page = r->free_pages;

    if (page != NULL)
        r->free_pages = page->next_free;
    else
        page = mem_zalloc(sizeof *page);
    r->pages_nr++;
    if ((size_t)(d->used + 1) * 4 > ((size_t)3 << d->log))
        d = dir_grow(r, d);
    dir_put(d, key, page);
    return page;
}

static void
page_drop(struct head_refs *r, uint64_t key, struct ref_page *page)
{
    struct ref_dir *d = atomic_load(&r->dir);
    size_t mask = ((size_t)1 << d->log) - 1, i = ref_dir_start(d, key);

    while (atomic_load(&d->e[i].key) != key)
        i = (i + 1) & mask;
    atomic_store(&d->e[i].page, NULL);
    atomic_store(&d->e[i].key, KEY_REMOVED);
    page->next_free = r->free_pages;
    r->free_pages = page;
    r->pages_nr--;
}

void
head_refs_set(struct head_refs *r, uint64_t ref, uint32_t sid)
{
    uint64_t key = (ref >> REF_PAGE_LOG) + 1;

    lock_take(&r->lock);
    struct ref_page *page = ref_page_find(atomic_load(&r->dir), key);
    if (page == NULL && sid != SID_NONE)
        page = page_add(r, key);
    if (page != NULL) {
        uint32_t old = atomic_exchange_explicit(&page->sid[ref & (REF_PAGE_NR - 1)], sid,
                                                memory_order_acq_rel);
        page->live_nr += (uint32_t)(sid != SID_NONE) - (uint32_t)(old != SID_NONE);
        if (page->live_nr == 0)
            page_drop(r, key, page);
    }
    lock_release(&r->lock);
}

/* All references that lead to sid. */
void
head_refs_forget_sid(struct head_refs *r, uint32_t sid)
{
    struct ref_dir *d = atomic_load(&r->dir);

    for (size_t i = 0; i < (size_t)1 << d->log; i++) {
        uint64_t key = atomic_load(&d->e[i].key);
        struct ref_page *page = atomic_load(&d->e[i].page);
        for (uint64_t k = 0; key != 0 && key != KEY_REMOVED && page != NULL && k < REF_PAGE_NR; k++)
            if (atomic_load(&page->sid[k]) == sid)
                head_refs_set(r, (key - 1) << REF_PAGE_LOG | k, SID_NONE);
    }
}
