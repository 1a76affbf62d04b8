#include "tsdb/isolation.h"

#include <string.h>
#include "base/mem.h"

void
isolation_init(struct isolation *iso, void *owner)
{
    *iso = (struct isolation){ .owner = owner };
    lock_init(&iso->lock, LOCK_ISOLATION, "isolation");
}

void
isolation_fini(struct isolation *iso)
{
    ASSERT(iso->oldest == NULL && iso->open_nr == 0);
    for (size_t i = 0; i < iso->retired_nr; i++)
        iso->retired[i].release(iso->owner, iso->retired[i].item);
    mem_free(iso->retired);
    mem_free(iso->open);
    lock_fini(&iso->lock);
}

/* With the lock. What batches that begin from now on may forget in a series: a reader's view is at
 * least as old as any batch open when it was opened, so the oldest reader bounds all. */
static uint64_t
settled(const struct isolation *iso)
{
    uint64_t low = iso->open_nr > 0 ? iso->open[0] : iso->last + 1;

    for (const struct isolation_reader *r = iso->oldest; r != NULL; r = r->newer)
        low = MIN(low, r->low);
    return low;
}

uint64_t
isolation_begin(struct isolation *iso, uint64_t *settled_below)
{
    lock_take(&iso->lock);
    *settled_below = settled(iso);
    uint64_t batch = ++iso->last;
    MEM_GROW(iso->open, iso->open_nr + 1, &iso->open_cap);
    iso->open[iso->open_nr++] = batch;
    lock_release(&iso->lock);
    return batch;
}

void
isolation_end(struct isolation *iso, uint64_t batch)
{
    size_t i = 0;

    lock_take(&iso->lock);
    while (i < iso->open_nr && iso->open[i] != batch)
        i++;
    ASSERT(i < iso->open_nr);
    memmove(iso->open + i, iso->open + i + 1, (iso->open_nr - i - 1) * sizeof *iso->open);
    iso->open_nr--;
    lock_release(&iso->lock);
}

void
isolation_marks(struct isolation *iso, uint64_t *low, uint64_t *high)
{
    lock_take(&iso->lock);
    *low = settled(iso);
    *high = iso->last;
    lock_release(&iso->lock);
}

void
isolation_open(struct isolation *iso, struct isolation_reader *r)
{
    *r = (struct isolation_reader){ 0 };
    lock_take(&iso->lock);
    r->highest = iso->last;
    r->low = iso->open_nr > 0 ? iso->open[0] : iso->last + 1;
    r->generation = iso->generation;
    r->open_nr = (uint32_t)iso->open_nr;
    if (r->open_nr > 0)
        r->open = mem_dup(iso->open, iso->open_nr * sizeof *iso->open);
    r->older = iso->newest;
    if (iso->newest != NULL)
        iso->newest->newer = r;
    else
        iso->oldest = r;
    iso->newest = r;
    lock_release(&iso->lock);
}

/* With the lock: takes what may go out of the list; *nr items in *out (owned by the caller). */
static struct isolation_retired *
take_due(struct isolation *iso, size_t *nr)
{
    uint64_t oldest = iso->oldest != NULL ? iso->oldest->generation : UINT64_MAX;
    struct isolation_retired *due;

    *nr = 0;
    while (*nr < iso->retired_nr && iso->retired[*nr].generation <= oldest)
        ++*nr;
    if (*nr == 0)
        return NULL;
    due = mem_dup(iso->retired, *nr * sizeof *due);
    iso->retired_nr -= *nr;
    memmove(iso->retired, iso->retired + *nr, iso->retired_nr * sizeof *iso->retired);
    return due;
}

static void
release_due(struct isolation *iso, struct isolation_retired *due, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        due[i].release(iso->owner, due[i].item);
    mem_free(due);
}

void
isolation_close(struct isolation *iso, struct isolation_reader *r)
{
    size_t nr;

    lock_take(&iso->lock);
    if (r->older != NULL)
        r->older->newer = r->newer;
    else
        iso->oldest = r->newer;
    if (r->newer != NULL)
        r->newer->older = r->older;
    else
        iso->newest = r->older;
    struct isolation_retired *due = take_due(iso, &nr);
    lock_release(&iso->lock);
    mem_free(r->open);
    release_due(iso, due, nr);
}

bool
isolation_sees(const struct isolation_reader *r, uint64_t batch)
{
    if (batch < r->low)
        return true;
    if (batch > r->highest)
        return false;
    for (uint32_t i = 0; i < r->open_nr; i++)
        if (r->open[i] == batch)
            return false;
    return true;
}

void
isolation_retire(struct isolation *iso, void *item, isolation_release_fn release)
{
    lock_take(&iso->lock);
    bool now = iso->oldest == NULL;
    if (!now) {
        /* Readers opened from here on have a higher generation and cannot reach the item. */
        MEM_GROW(iso->retired, iso->retired_nr + 1, &iso->retired_cap);
        iso->retired[iso->retired_nr++] =
            (struct isolation_retired){ item, release, ++iso->generation };
    }
    lock_release(&iso->lock);
    if (now)
        release(iso->owner, item);
}

uint64_t
isolation_mark(struct isolation *iso)
{
    lock_take(&iso->lock);
    uint64_t mark = ++iso->generation;
    lock_release(&iso->lock);
    return mark;
}

bool
isolation_passed(struct isolation *iso, uint64_t mark)
{
    lock_take(&iso->lock);
    bool passed = iso->oldest == NULL || iso->oldest->generation >= mark;
    lock_release(&iso->lock);
    return passed;
}
