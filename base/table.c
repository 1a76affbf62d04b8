/* Linear probing from the top bits of hash * golden ratio: callers that shard by the low bits of
 * the same hash do not fill one corner, and small integers spread as well. */
#include "base/table.h"

#include <string.h>

#include "base/mem.h"

enum { TABLE_LOG_MIN = 3 };

static size_t
table_mask(const struct table *t)
{
    return ((size_t)1 << t->log) - 1;
}

static size_t
table_home(const struct table *t, uint64_t hash)
{
    return (size_t)((hash * 0x9E3779B97F4A7C15u) >> (64 - t->log));
}

void
table_fini(struct table *t)
{
    mem_free(t->slots);
    *t = (struct table){ 0 };
}

void
table_reset(struct table *t)
{
    if (t->slots != NULL)
        memset(t->slots, 0, sizeof *t->slots << t->log);
    t->nr = 0;
}

static void
slot_put(struct table *t, struct table_slot slot)
{
    size_t i = table_home(t, slot.hash), mask = table_mask(t);

    while (t->slots[i].item != NULL)
        i = (i + 1) & mask;
    t->slots[i] = slot;
}

static void
table_resize(struct table *t, unsigned log)
{
    struct table old = *t;

    t->log = log;
    t->slots = MEM_NEW_ARRAY(struct table_slot, (size_t)1 << log);
    if (old.slots == NULL)
        return;
    for (size_t i = 0; i <= table_mask(&old); i++) {
        if (old.slots[i].item != NULL)
            slot_put(t, old.slots[i]);
    }
    mem_free(old.slots);
}

void
table_reserve(struct table *t, size_t nr)
{
    unsigned log = MAX(t->log, (unsigned)TABLE_LOG_MIN);

    while (((size_t)1 << log) / 4 * 3 < nr)
        log++;
    if (t->slots == NULL || log > t->log)
        table_resize(t, log);
}

/* The slot that holds the item, or SIZE_MAX. */
static size_t
table_at(const struct table *t, uint64_t hash, table_eq_fn eq, const void *key)
{
    if (t->slots == NULL)
        return SIZE_MAX;
    size_t mask = table_mask(t);
    for (size_t i = table_home(t, hash); t->slots[i].item != NULL; i = (i + 1) & mask) {
        if (t->slots[i].hash == hash && eq(t->slots[i].item, key))
            return i;
    }
    return SIZE_MAX;
}

void *
table_find(const struct table *t, uint64_t hash, table_eq_fn eq, const void *key)
{
    size_t i = table_at(t, hash, eq, key);

    return i == SIZE_MAX ? NULL : t->slots[i].item;
}

void
table_add(struct table *t, uint64_t hash, void *item)
{
    ASSERT(item != NULL);
    table_reserve(t, t->nr + 1);
    slot_put(t, (struct table_slot){ hash, item });
    t->nr++;
}

/* Moves later members of the run into the hole when the hole lies between their home and where they
 * are. */
static void
close_hole(struct table *t, size_t hole)
{
    size_t mask = table_mask(t);

    for (size_t i = (hole + 1) & mask; t->slots[i].item != NULL; i = (i + 1) & mask) {
        size_t home = table_home(t, t->slots[i].hash);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole].item = NULL;
}

void *
table_remove(struct table *t, uint64_t hash, table_eq_fn eq, const void *key)
{
    size_t i = table_at(t, hash, eq, key);

    if (i == SIZE_MAX)
        return NULL;
    void *item = t->slots[i].item;
    close_hole(t, i);
    t->nr--;
    return item;
}

void *
table_next(const struct table *t, size_t *at)
{
    if (t->slots == NULL)
        return NULL;
    for (; *at <= table_mask(t); ++*at) {
        if (t->slots[*at].item != NULL)
            return t->slots[(*at)++].item;
    }
    return NULL;
}

size_t
table_bytes(const struct table *t)
{
    return t->slots == NULL ? 0 : sizeof *t->slots << t->log;
}
