/* The open chunk of a series and what happens when it is finished.
 *
 * Room for the open chunk grows by the allocator's own size classes, about a fifth at a time, so
 * that what is wasted is a tenth on average. A finished chunk is copied out at its exact size,
 * written to chunks_head as soon as the commit that finished it holds no lock, and then only its
 * place there is kept (24 bytes). Chunks of one series go to the file in time order: whoever writes
 * takes the series' oldest unwritten one, and SERIES_SEALING keeps others out. */
#include "base/mem.h"
#include "tsdb/head_priv.h"

enum { OPEN_BYTES_MIN = 32 };

/* The allocator's size class that holds n: steps of 16 up to 128, then four to each doubling. */
static size_t
size_class(size_t n)
{
    if (n <= 128)
        return (MAX(n, (size_t)1) + 15) & ~(size_t)15;
    size_t step = ((size_t)1 << (63 - __builtin_clzll(n - 1))) / 4;
    return (n + step - 1) / step * step;
}

static bool
data_grow(struct head_series *s, size_t need)
{
    size_t cap = size_class(need);

    if (cap > UINT16_MAX)
        return false;
    s->data = mem_realloc(s->data, cap);
    s->data_cap = (uint16_t)cap;
    return true;
}

static void
chunk_begin(struct head *h, struct head_series *s, int64_t t_ms)
{
    int64_t t_last = s->xor.t_ms;
    double v_last = s->xor.v;

    data_grow(s, OPEN_BYTES_MIN);
    chunk_xor_start(&s->xor, s->data);
    s->data_n = CHUNK_XOR_HEADER_BYTES;
    s->xor.t_ms = t_last; /* overwritten by the append; kept should that fail */
    s->xor.v = v_last;
    s->min_ms = t_ms;
    atomic_fetch_add_explicit(&h->chunks_nr, 1, memory_order_relaxed);
    metric_inc(h->m.chunks_created);
}

void
head_sealed_add(struct head_series *s, const struct head_sealed *c)
{
    if (s->sealed_nr == s->sealed_cap) {
        uint32_t cap = s->sealed_cap < 4 ? s->sealed_cap + 1u : s->sealed_cap + s->sealed_cap / 2u;
        s->sealed_cap = (uint16_t)MIN(cap, (uint32_t)UINT16_MAX);
        s->sealed = mem_realloc(s->sealed, mem_array_bytes(s->sealed_cap, sizeof *s->sealed));
    }
    s->sealed[s->sealed_nr++] = *c;
}

static struct head_sealed
sealed_of(const struct chunk *c)
{
    uint64_t span = (uint64_t)c->max_ms - (uint64_t)c->min_ms;
    struct sealed_mem *mem = mem_alloc(sizeof *mem + c->data.n);

    mem->n = (uint32_t)c->data.n;
    memcpy(mem->bytes, c->data.p, c->data.n);
    return (struct head_sealed){ .mem = mem,
                                 .min_ms = c->min_ms,
                                 .span_ms = (uint32_t)MIN(span, (uint64_t)UINT32_MAX),
                                 .nr = (uint16_t)chunk_samples_nr(c->encoding, c->data),
                                 .encoding = (uint8_t)c->encoding,
                                 .in_mem = true };
}

bool
head_open_chunk(struct head_series *s, struct chunk *c)
{
    if (s->data == NULL)
        return head_histogram_chunk(s, c);
    chunk_xor_count(&s->xor, s->data);
    *c = (struct chunk){ .encoding = CHUNK_XOR,
                         .data = { s->data, s->data_n },
                         .min_ms = s->min_ms,
                         .max_ms = s->xor.t_ms };
    return true;
}

void
head_chunk_seal(struct head_series *s, struct head_seals *seals)
{
    struct chunk open;

    if (!head_open_chunk(s, &open) || s->sealed_nr == UINT16_MAX)
        return;
    struct head_sealed c = sealed_of(&open);
    head_sealed_add(s, &c);
    MEM_GROW(seals->v, seals->nr + 1, &seals->cap);
    seals->v[seals->nr++] =
        (struct seal_item){ s, atomic_load_explicit(&s->ref, memory_order_relaxed), c.mem };
}

void
head_chunk_finish(struct head *h, struct head_series *s, struct head_seals *seals)
{
    (void)h;
    head_chunk_seal(s, seals);
    if (s->data != NULL) {
        mem_free(s->data);
        s->data = NULL;
        s->data_n = s->data_cap = 0;
    } else if (head_histogram_open(s)) {
        head_histogram_drop_chunk(s);
    }
}

/* The cutting rule for a float at t_ms; brings the open chunk up to date. */
static void
cut_if_due(struct head *h, struct head_series *s, int64_t t_ms, struct head_seals *seals)
{
    struct chunk_open open;

    if (s->data == NULL && head_histogram_open(s))
        head_chunk_finish(h, s, seals);
    if (s->data != NULL)
        open = (struct chunk_open){ .encoding = CHUNK_XOR,
                                    .min_ms = s->min_ms,
                                    .max_ms = s->xor.t_ms,
                                    .samples_nr = s->xor.nr,
                                    .bytes = s->data_n };
    if (!chunk_cut_float(s->data == NULL ? NULL : &open, CHUNK_XOR, t_ms, h->o.range_ms,
                         h->o.samples_per_chunk, &s->next_ms))
        return;
    head_chunk_finish(h, s, seals);
    chunk_begin(h, s, t_ms);
}

void
head_note_newest(struct head *h, struct head_series *s, bool stale, bool histogram)
{
    uint8_t now = (uint8_t)((stale ? SERIES_STALE : 0) | (histogram ? SERIES_HISTOGRAM : 0));
    uint8_t before = s->flags & (SERIES_STALE | SERIES_HISTOGRAM);

    if (LIKELY(now == before))
        return;
    s->flags = (uint8_t)((s->flags & ~(SERIES_STALE | SERIES_HISTOGRAM)) | now);
    atomic_fetch_add(&h->stale_nr,
                     (uint64_t)((now & SERIES_STALE) != 0) - ((before & SERIES_STALE) != 0));
    atomic_fetch_add(&h->histogram_nr, (uint64_t)((now & SERIES_HISTOGRAM) != 0) -
                                           ((before & SERIES_HISTOGRAM) != 0));
}

bool
head_chunk_append(struct head *h, struct head_series *s, int64_t t_ms, double v,
                  struct head_seals *seals)
{
    size_t n;

    cut_if_due(h, s, t_ms, seals);
    n = s->data_n;
    if (!chunk_xor_append_bits(&s->xor, s->data, &n, s->data_cap, t_ms, v)) {
        if (!data_grow(s, n + CHUNK_XOR_SAMPLE_BYTES_MAX) ||
            !chunk_xor_append_bits(&s->xor, s->data, &n, s->data_cap, t_ms, v))
            return false;
    }
    s->data_n = (uint16_t)n;
    head_note_newest(h, s, is_stale(v), false);
    return true;
}

/* With the lock: the oldest chunk in memory; its bytes are copied since collection may free it
 * meanwhile. */
static bool
oldest_unwritten(struct head_series *s, struct chunk *c, struct buf *copy, struct sealed_mem **mem)
{
    for (uint32_t i = 0; i < s->sealed_nr; i++) {
        const struct head_sealed *e = &s->sealed[i];
        if (!e->in_mem)
            continue;
        buf_reset(copy);
        buf_add(copy, e->mem->bytes, e->mem->n);
        *mem = e->mem;
        *c = (struct chunk){ .encoding = (enum chunk_encoding)e->encoding,
                             .data = buf_as_bytes(copy),
                             .min_ms = e->min_ms,
                             .max_ms = sealed_max_ms(e) };
        return true;
    }
    return false;
}

static void
note_written(struct head_series *s, const struct sealed_mem *mem, uint64_t chunk_ref)
{
    for (uint32_t i = 0; i < s->sealed_nr; i++) {
        if (s->sealed[i].in_mem && s->sealed[i].mem == mem) {
            mem_free(s->sealed[i].mem);
            s->sealed[i].ref = chunk_ref;
            s->sealed[i].in_mem = false;
            return;
        }
    }
}

static bool
write_series(struct head *h, struct head_series *s, uint64_t ref, struct buf *copy,
             struct error *err)
{
    struct sealed_mem *mem;
    struct chunk c;
    bool ok = true;

    series_lock(s);
    if (atomic_load_explicit(&s->ref, memory_order_relaxed) != ref ||
        (s->flags & SERIES_SEALING) != 0)
        goto out; /* collected, or somebody else is at it and will see ours */
    s->flags |= SERIES_SEALING;
    while (ok && oldest_unwritten(s, &c, copy, &mem)) {
        uint64_t chunk_ref;
        series_unlock(s);
        ok = head_chunks_write(h->chunks, ref, &c, false, &chunk_ref, err);
        series_lock(s);
        if (ok)
            note_written(s, mem, chunk_ref);
    }
    s->flags &= (uint8_t)~SERIES_SEALING;
out:
    series_unlock(s);
    return ok;
}

bool
head_seals_write(struct head *h, struct head_seals *seals, struct error *err)
{
    struct buf copy = { 0 };
    bool ok = true;

    for (size_t i = 0; ok && h->chunks != NULL && i < seals->nr; i++)
        ok = write_series(h, seals->v[i].s, seals->v[i].ref, &copy, err);
    if (h->chunks != NULL)
        metric_add(h->m.mmap_chunks, (double)seals->nr);
    seals->nr = 0;
    buf_fini(&copy);
    if (!ok) {
        atomic_store(&h->has_mem_chunks, true);
        metric_inc(h->m.seal_failed);
    }
    return ok;
}

void
head_seals_fini(struct head_seals *seals)
{
    mem_free(seals->v);
    *seals = (struct head_seals){ 0 };
}

bool
head_seal_retry(struct head *h, struct error *err)
{
    struct buf copy = { 0 };
    bool ok = true;

    if (h->chunks == NULL || !atomic_exchange(&h->has_mem_chunks, false))
        return true;
    lock_take(&h->slab_lock);
    uint32_t sids_nr = h->next_sid;
    lock_release(&h->slab_lock);
    for (uint32_t sid = 1; ok && sid < sids_nr; sid++) {
        struct head_series *s = head_series_at(h, sid);
        uint64_t ref = atomic_load_explicit(&s->ref, memory_order_relaxed);
        ok = write_series(h, s, ref, &copy, err);
    }
    buf_fini(&copy);
    if (!ok)
        atomic_store(&h->has_mem_chunks, true);
    return ok && head_chunks_flush(h->chunks, err);
}

void
series_batch_note(struct head_series *s, uint64_t batch, uint64_t settled)
{
    struct series_batches *b;

    if ((s->flags & SERIES_BATCHES) == 0) {
        if (s->batch == batch || s->batch < settled) {
            s->batch_nr = s->batch == batch ? s->batch_nr + 1 : 1;
            s->batch = batch;
            return;
        }
        b = mem_alloc(sizeof *b + 4 * sizeof b->v[0]);
        *b = (struct series_batches){ .nr = 1, .cap = 4 };
        b->v[0].batch = s->batch;
        b->v[0].samples_nr = s->batch_nr;
        s->flags |= SERIES_BATCHES;
    } else {
        b = (struct series_batches *)(uintptr_t)s->batch;
    }
    uint32_t gone = 0;
    while (gone < b->nr && b->v[gone].batch < settled)
        gone++;
    memmove(b->v, b->v + gone, (b->nr - gone) * sizeof b->v[0]);
    b->nr -= gone;
    if (b->nr == 0) { /* back to the place inside the series */
        mem_free(b);
        s->flags &= (uint8_t)~SERIES_BATCHES;
        s->batch = batch;
        s->batch_nr = 1;
        return;
    }
    if (b->v[b->nr - 1].batch == batch) {
        b->v[b->nr - 1].samples_nr++;
    } else {
        if (b->nr == b->cap) {
            b->cap *= 2;
            b = mem_realloc(b, sizeof *b + b->cap * sizeof b->v[0]);
        }
        b->v[b->nr].batch = batch;
        b->v[b->nr++].samples_nr = 1;
    }
    s->batch = (uint64_t)(uintptr_t)b;
}
