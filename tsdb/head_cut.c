/* Chunks of the head for a block, as they are wherever possible: a chunk never crosses a multiple
 * of the block range, so only the first cut of a head that began inside a range, deletions, and
 * directories written with another range need re-encoding. */
#include "base/mem.h"
#include "tsdb/chunk_encode.h"
#include "tsdb/head_priv.h"

static bool
deleted_from(const struct head *h, uint64_t ref, int64_t min_ms, int64_t max_ms)
{
    const struct tombstone_series *t = tombstones_find(&h->tombstones, ref);

    for (uint32_t i = 0; t != NULL && i < t->nr; i++)
        if (t->ranges[i].min_ms <= max_ms && t->ranges[i].max_ms >= min_ms)
            return true;
    return false;
}

/* Reads everything and encodes it anew. */
static bool
recode(struct head *h, struct head_series *s, int64_t min_ms, int64_t max_ms, struct arena *arena,
       struct chunk **chunks, size_t *nr, struct error *err)
{
    struct head_reader r;
    struct sample_buf b;
    struct chunk_list list = { 0 };

    sample_buf_init(&b, arena);
    head_reader_open(h, &r);
    bool ok = head_read(&r, s, min_ms, max_ms - 1, &b, err);
    head_reader_close(&r);
    ok = ok && chunk_encode(&b, CHUNK_XOR, CHUNK_ENCODE_SAMPLES_MAX, arena, &list, err);
    sample_buf_fini(&b);
    *chunks = list.v;
    *nr = list.nr;
    return ok;
}

static bool
copy_from_file(struct head *h, struct head_sealed *e, struct arena *arena, struct chunk *out,
               struct error *err)
{
    struct buf file = { 0 };
    struct bytes data;
    bool ok =
        h->chunks != NULL && head_chunks_copy(h->chunks, e->ref, &file, &out->encoding, &data, err);

    if (ok) {
        uint8_t *p = arena_alloc(arena, data.n);
        memcpy(p, data.p, data.n);
        out->data = (struct bytes){ p, data.n };
    }
    buf_fini(&file);
    return ok;
}

static struct bytes
arena_copy(struct arena *arena, struct bytes b)
{
    uint8_t *p = arena_alloc(arena, b.n);

    memcpy(p, b.p, b.n);
    return (struct bytes){ p, b.n };
}

/* With the lock: every chunk that overlaps, its place in the file still to be read. *whole: none
 * reaches over the edges. */
static size_t
list_chunks(struct head_series *s, int64_t min_ms, int64_t max_ms, struct arena *arena,
            struct chunk *out, struct head_sealed *from, bool *whole)
{
    struct chunk open;
    size_t nr = 0;

    for (uint32_t i = 0; i < s->sealed_nr; i++) {
        const struct head_sealed *e = &s->sealed[i];
        if (e->min_ms >= max_ms || sealed_max_ms(e) < min_ms)
            continue;
        *whole = *whole && e->min_ms >= min_ms && sealed_max_ms(e) < max_ms;
        out[nr] = (struct chunk){ .encoding = (enum chunk_encoding)e->encoding,
                                  .min_ms = e->min_ms,
                                  .max_ms = sealed_max_ms(e) };
        if (e->in_mem)
            out[nr].data = arena_copy(arena, (struct bytes){ e->mem->bytes, e->mem->n });
        from[nr++] = *e;
    }
    if (head_open_chunk(s, &open) && open.min_ms < max_ms && open.max_ms >= min_ms) {
        *whole = *whole && open.min_ms >= min_ms && open.max_ms < max_ms;
        out[nr] = open;
        out[nr].data = arena_copy(arena, open.data);
        from[nr++] = (struct head_sealed){ .in_mem = true };
    }
    return nr;
}

bool
head_cut_chunks(struct head *h, struct head_series *s, int64_t min_ms, int64_t max_ms,
                struct arena *arena, struct chunk **chunks, size_t *nr, struct error *err)
{
    bool whole = true;

    series_lock(s);
    size_t room = s->sealed_nr + 1u;
    series_unlock(s);
    room += 4; /* chunks finished between the two locks; appends below max_ms are over */
    struct chunk *out = ARENA_NEW_ARRAY(arena, struct chunk, room);
    struct head_sealed *from = ARENA_NEW_ARRAY(arena, struct head_sealed, room);
    series_lock(s);
    if (s->sealed_nr + 1u > room) {
        series_unlock(s);
        return head_cut_chunks(h, s, min_ms, max_ms, arena, chunks, nr, err);
    }
    size_t found = list_chunks(s, min_ms, max_ms, arena, out, from, &whole);
    series_unlock(s);
    rwlock_read(&h->tombstones_lock);
    whole = whole && !deleted_from(h, head_series_ref(s), min_ms, max_ms - 1);
    rwlock_release(&h->tombstones_lock);
    if (!whole)
        return recode(h, s, min_ms, max_ms, arena, chunks, nr, err);
    for (size_t i = 0; i < found; i++)
        if (!from[i].in_mem && !copy_from_file(h, &from[i], arena, &out[i], err))
            return false;
    *chunks = out;
    *nr = found;
    return true;
}
