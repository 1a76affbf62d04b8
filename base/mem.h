/* base/mem.h: allocation that does not fail.
 *
 * Out of memory aborts with one line: sizes that a client controls are limited before they get
 * here, so what is left is the machine's own exhaustion. Everything returned is released with
 * mem_free() or free(). Thread-safe as malloc is. */
#pragma once
#include <stdlib.h>
#include "base/util.h"

void *mem_alloc(size_t bytes) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t bytes) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *p, size_t bytes) __attribute__((returns_nonnull));
void *mem_dup(const void *p, size_t bytes) __attribute__((malloc, returns_nonnull));
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));

/* Bytes of an array; aborts when the product overflows. */
size_t mem_array_bytes(size_t nr, size_t item_bytes);

NORETURN void mem_exhausted(size_t bytes);

#define MEM_NEW(type)           ((type *)mem_zalloc(sizeof(type)))
#define MEM_NEW_ARRAY(type, nr) ((type *)mem_zalloc(mem_array_bytes((nr), sizeof(type))))

static inline void
mem_free(void *p)
{
    free(p);
}

/* Makes room for `need` items in a growing array of `*cap` items, at least doubling it. The new
 * room is not zeroed. Use as: MEM_GROW(v->items, v->nr + 1, &v->cap). */
void *mem_grow(void *items, size_t need, size_t *cap, size_t item_bytes);
#define MEM_GROW(items, need, cap) ((items) = mem_grow((items), (need), (cap), sizeof *(items)))
