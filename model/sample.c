#include "model/sample.h"

#include "base/mem.h"

void
sample_buf_init(struct sample_buf *b, struct arena *histograms)
{
    *b = (struct sample_buf){ .arena = histograms };
}

void
sample_buf_fini(struct sample_buf *b)
{
    mem_free(b->t_ms);
    mem_free(b->v);
    mem_free(b->h);
    mem_free(b->st_ms);
    *b = (struct sample_buf){ 0 };
}

/* The arena is for this buffer's histograms alone: nothing below is kept. */
void
sample_buf_reset(struct sample_buf *b)
{
    b->nr = 0;
    mem_free(b->h);
    b->h = NULL;
    if (b->arena != NULL && b->arena->top != NULL)
        arena_rewind(b->arena, (struct arena_mark){ NULL, 0 });
}

void
sample_buf_reserve(struct sample_buf *b, size_t more)
{
    size_t need = b->nr + more;

    if (need <= b->cap)
        return;
    size_t cap = MAX(need, b->cap < 128 ? (size_t)128 : b->cap * 2);
    b->t_ms = mem_realloc(b->t_ms, mem_array_bytes(cap, sizeof b->t_ms[0]));
    b->v = mem_realloc(b->v, mem_array_bytes(cap, sizeof b->v[0]));
    if (b->h != NULL)
        b->h = mem_realloc(b->h, mem_array_bytes(cap, sizeof b->h[0]));
    if (b->st_ms != NULL)
        b->st_ms = mem_realloc(b->st_ms, mem_array_bytes(cap, sizeof b->st_ms[0]));
    b->cap = cap;
}

void
sample_buf_add(struct sample_buf *b, int64_t t_ms, double v)
{
    sample_buf_reserve(b, 1);
    b->t_ms[b->nr] = t_ms;
    b->v[b->nr] = v;
    if (b->h != NULL)
        b->h[b->nr] = NULL;
    if (b->st_ms != NULL)
        b->st_ms[b->nr] = 0;
    b->nr++;
}

void
sample_buf_add_histogram(struct sample_buf *b, int64_t t_ms, const struct histogram *h)
{
    sample_buf_reserve(b, 1);
    if (b->h == NULL)
        b->h = MEM_NEW_ARRAY(const struct histogram *, b->cap);
    size_t i = b->nr;
    sample_buf_add(b, t_ms, 0);
    b->h[i] = h;
}
