/* A list of chunks, newest first. Chunks double from 4 KiB to 1 MiB; what is larger gets a chunk of
 * its own size. Rewinding frees whole chunks above the mark and resets the fill of the marked one.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum { ARENA_ALIGN = 16, CHUNK_BYTES_MIN = 4096, CHUNK_BYTES_MAX = 1 << 20 };

struct arena_chunk {
    struct arena_chunk *below;
    size_t used, cap; /* bytes of data */
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

void
arena_init(struct arena *a, size_t bytes_max)
{
    *a = (struct arena){ .own = { .bytes_max = bytes_max } };
    a->budget = &a->own;
}

void
arena_init_shared(struct arena *a, struct arena_budget *budget)
{
    *a = (struct arena){ .budget = budget };
}

static void
chunk_pop(struct arena *a)
{
    struct arena_chunk *chunk = a->top;

    a->top = chunk->below;
    atomic_fetch_sub_explicit(&a->budget->bytes, chunk->cap, memory_order_relaxed);
    UNPOISON(chunk->data, chunk->cap);
    mem_free(chunk);
}

void
arena_fini(struct arena *a)
{
    while (a->top != NULL)
        chunk_pop(a);
}

static void
chunk_push(struct arena *a, size_t bytes)
{
    size_t cap = a->top == NULL ? CHUNK_BYTES_MIN : MIN(a->top->cap * 2, (size_t)CHUNK_BYTES_MAX);

    cap = MAX(cap, bytes);
    struct arena_chunk *chunk = mem_alloc(sizeof *chunk + cap);
    chunk->below = a->top;
    chunk->used = 0;
    chunk->cap = cap;
    POISON(chunk->data, cap);
    a->top = chunk;
    size_t total = atomic_fetch_add_explicit(&a->budget->bytes, cap, memory_order_relaxed) + cap;
    if (total > a->budget->bytes_max)
        atomic_store_explicit(&a->budget->over, true, memory_order_relaxed);
}

void *
arena_alloc(struct arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        mem_exhausted(bytes);
    size_t rounded = (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (a->top == NULL || a->top->cap - a->top->used < rounded)
        chunk_push(a, rounded);
    void *p = a->top->data + a->top->used;
    a->top->used += rounded;
    UNPOISON(p, bytes);
    return p;
}

void *
arena_zalloc(struct arena *a, size_t bytes)
{
    return memset(arena_alloc(a, bytes), 0, bytes);
}

size_t
arena_array_bytes(size_t nr, size_t item_bytes)
{
    return mem_array_bytes(nr, item_bytes);
}

struct str
arena_str(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.n + 1);

    if (s.n != 0)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return (struct str){ copy, s.n };
}

struct str
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char small[256];

    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    if ((size_t)n < sizeof small)
        return arena_str(a, (struct str){ small, (size_t)n });
    char *text = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (struct str){ text, (size_t)n };
}

void *
arena_grow(struct arena *a, void *items, size_t nr, size_t need, size_t *cap, size_t item_bytes)
{
    if (need <= *cap)
        return items;
    size_t grown = MAX(need, *cap < 8 ? (size_t)8 : *cap * 2);
    void *copy = arena_alloc(a, mem_array_bytes(grown, item_bytes));
    if (nr != 0)
        memcpy(copy, items, nr * item_bytes);
    *cap = grown;
    return copy;
}

size_t
arena_bytes(const struct arena *a)
{
    return atomic_load_explicit(&a->budget->bytes, memory_order_relaxed);
}

struct arena_mark
arena_mark(const struct arena *a)
{
    return (struct arena_mark){ a->top, a->top == NULL ? 0 : a->top->used };
}

void
arena_rewind(struct arena *a, struct arena_mark mark)
{
    while (a->top != mark.chunk)
        chunk_pop(a);
    if (a->top == NULL)
        return;
    POISON(a->top->data + mark.used, a->top->used - mark.used);
    a->top->used = mark.used;
}
