/* base/arena.h: memory that is released together: one request, one arena.
 *
 * arena_alloc() always succeeds. Past the limit it raises a flag (arena_over()) that the evaluator
 * tests at each step together with deadline and cancellation, so that one ERR_LIMIT stands where
 * NULL checks would be; the overshoot until then is bounded by what one step allocates. Pointers
 * stay valid until arena_rewind() past them or arena_fini(). A struct arena must not be moved or
 * copied once initialised. Under ASan released memory is poisoned. One owner thread; arenas for
 * workers are arenas of their own that share the limit through `budget`. */
#pragma once
#include <stdatomic.h>
#include "base/str.h"

struct arena_chunk;

/* A byte limit that several arenas of one query share. Set bytes_max before use. */
struct arena_budget {
    size_t bytes_max;
    _Atomic size_t bytes;
    _Atomic bool over; /* sticks */
};

struct arena {
    struct arena_chunk *top; /* newest chunk; older ones are linked from it */
    struct arena_budget *budget;
    struct arena_budget own; /* used when the caller gives no shared budget */
};

struct arena_mark {
    struct arena_chunk *chunk;
    size_t used;
};

void arena_init(struct arena *a, size_t bytes_max);
/* Charges a budget shared with other arenas; it must outlive this one. */
void arena_init_shared(struct arena *a, struct arena_budget *budget);
void arena_fini(struct arena *a);

/* 16-byte aligned, not zeroed. */
void *arena_alloc(struct arena *a, size_t bytes) __attribute__((returns_nonnull));
void *arena_zalloc(struct arena *a, size_t bytes) __attribute__((returns_nonnull));
#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_NEW_ARRAY(a, type, nr) \
    ((type *)arena_zalloc((a), arena_array_bytes((nr), sizeof(type))))
size_t arena_array_bytes(size_t nr, size_t item_bytes);

struct str arena_str(struct arena *a, struct str s); /* a copy, NUL-terminated behind its end */
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);

/* Grows an array that lives in the arena (the old copy stays until the arena goes). */
void *
arena_grow(struct arena *a, void *items, size_t nr, size_t need, size_t *cap, size_t item_bytes);
#define ARENA_GROW(a, items, nr, need, cap) \
    ((items) = arena_grow((a), (items), (nr), (need), (cap), sizeof *(items)))

static inline bool
arena_over(const struct arena *a)
{
    return atomic_load_explicit(&a->budget->over, memory_order_relaxed);
}

/* Bytes charged to the arena's budget (shared ones included). */
size_t arena_bytes(const struct arena *a);

/* Scratch per step: everything allocated after the mark is released. */
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);
