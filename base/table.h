/* base/table.h: an open-addressing hash table from a 64-bit hash and the caller's equality to a
 * pointer.
 *
 * Keeps the hash and the item, never the key: the item knows its key. Items are borrowed, not NULL.
 * Zero-initialised is empty and valid; table_fini() releases the slots only. Grows by doubling at
 * 3/4 full, removes by shifting back (no tombstones). Not thread-safe; a table that nobody changes
 * may be read by many.
 *
 *     static bool symbol_is(const void *item, const void *key);
 *     struct symbol *s = table_find(&t, hash, symbol_is, &text);
 *     if (s == NULL)
 *         table_add(&t, hash, s = symbol_new(text)); */
#pragma once
#include "base/util.h"

struct table_slot {
    uint64_t hash;
    void *item; /* NULL: free */
};

struct table {
    struct table_slot *slots;
    size_t nr;    /* items */
    unsigned log; /* 2^log slots, when slots is not NULL */
};

typedef bool (*table_eq_fn)(const void *item, const void *key);

void table_fini(struct table *t);
/* Forgets all items and keeps the room. */
void table_reset(struct table *t);
/* Makes room for nr items in all, so that adding them does not grow again. */
void table_reserve(struct table *t, size_t nr);

/* NULL when there is none. */
void *table_find(const struct table *t, uint64_t hash, table_eq_fn eq, const void *key);
/* The caller knows that no equal item is there. */
void table_add(struct table *t, uint64_t hash, void *item);
/* The removed item, or NULL. */
void *table_remove(struct table *t, uint64_t hash, table_eq_fn eq, const void *key);

/* Walks all items in no particular order: for (size_t at = 0; (x = table_next(&t, &at)) != NULL;).
 * The table must not change meanwhile. */
void *table_next(const struct table *t, size_t *at);

/* Bytes held by the slots, for the memory sheet. */
size_t table_bytes(const struct table *t);
