#include "base/mem.h"

#include <stdio.h>
#include <string.h>

NORETURN void
mem_exhausted(size_t bytes)
{
    fprintf(stderr, "out of memory: %zu bytes\n", bytes);
    abort();
}

/* malloc(0) may return NULL, which would look like exhaustion. */
void *
mem_alloc(size_t bytes)
{
    void *p = malloc(bytes != 0 ? bytes : 1);

    if (p == NULL)
        mem_exhausted(bytes);
    return p;
}

void *
mem_zalloc(size_t bytes)
{
    void *p = calloc(1, bytes != 0 ? bytes : 1);

    if (p == NULL)
        mem_exhausted(bytes);
    return p;
}

void *
mem_realloc(void *p, size_t bytes)
{
    p = realloc(p, bytes != 0 ? bytes : 1);
    if (p == NULL)
        mem_exhausted(bytes);
    return p;
}

void *
mem_dup(const void *p, size_t bytes)
{
    void *copy = mem_alloc(bytes);

    if (bytes != 0)
        memcpy(copy, p, bytes);
    return copy;
}

char *
mem_strdup(const char *s)
{
    return mem_dup(s, strlen(s) + 1);
}

size_t
mem_array_bytes(size_t nr, size_t item_bytes)
{
    size_t bytes;

    if (__builtin_mul_overflow(nr, item_bytes, &bytes))
        mem_exhausted(SIZE_MAX);
    return bytes;
}

void *
mem_grow(void *items, size_t need, size_t *cap, size_t item_bytes)
{
    if (need <= *cap)
        return items;
    size_t grown = MAX(need, *cap < 8 ? (size_t)8 : *cap + *cap / 2);
    items = mem_realloc(items, mem_array_bytes(grown, item_bytes));
    *cap = grown;
    return items;
}
