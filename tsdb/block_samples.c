/* From a series' chunk list to samples. */
#include "base/crc32c.h"
#include "tsdb/block_priv.h"

bool
block_chunks_parse(struct dec *d, struct arena *arena, const struct block_chunk **out,
                   uint32_t *out_nr, struct error *err)
{
    uint64_t nr = dec_uvarint(d);

    if (nr > dec_left(d) / 3)
        return error_set(err, ERR_CORRUPT, "series' chunks do not fit the entry");
    struct block_chunk *chunks = ARENA_NEW_ARRAY(arena, struct block_chunk, nr + 1);
    for (uint64_t i = 0; i < nr; i++) {
        const struct block_chunk *before = i == 0 ? NULL : &chunks[i - 1];
        uint64_t min =
            before == NULL ? (uint64_t)dec_varint(d) : (uint64_t)before->max_ms + dec_uvarint(d);
        uint64_t max = min + dec_uvarint(d);
        chunks[i].min_ms = (int64_t)min;
        chunks[i].max_ms = (int64_t)max;
        chunks[i].ref = before == NULL ? dec_uvarint(d) : before->ref + (uint64_t)dec_varint(d);
    }
    *out = chunks;
    *out_nr = (uint32_t)nr;
    return dec_check(d, err) || error_wrap(err, "series' chunks");
}

bool
block_chunk_view(const struct block *b, uint64_t ref, enum chunk_encoding *encoding,
                 struct bytes *data, struct error *err)
{
    uint64_t segment = ref >> 32, at = ref & UINT32_MAX;

    if (segment >= b->segments_nr || at < SEGMENT_HEADER_BYTES || at >= b->segments[segment].n)
        return error_set(err, ERR_CORRUPT, "chunk %llx lies outside the segments",
                         (unsigned long long)ref);
    struct dec d =
        dec_of((struct bytes){ b->segments[segment].p + at, b->segments[segment].n - (size_t)at });
    uint64_t n = dec_uvarint(&d);
    if (n >= dec_left(&d))
        dec_fail(&d);
    struct bytes content = dec_bytes(&d, (size_t)n + 1); /* encoding and data */
    uint32_t crc = dec_u32(&d);
    if (!dec_ok(&d))
        return error_set(err, ERR_CORRUPT, "chunk %llx ends behind its segment",
                         (unsigned long long)ref);
    if (crc32c(0, content.p, content.n) != crc)
        return error_set(err, ERR_CORRUPT, "chunk %llx: checksum does not match",
                         (unsigned long long)ref);
    *encoding = (enum chunk_encoding)content.p[0];
    *data = (struct bytes){ content.p + 1, content.n - 1 };
    return true;
}

struct samples_read {
    const struct block *b;
    uint32_t ref;
    const struct block_chunk *chunks; /* NULL: read the entry first */
    uint32_t chunks_nr;
    struct arena *scratch;
    int64_t min_ms, max_ms;
    struct sample_buf *out;
};

static bool
entry_chunks(struct samples_read *s, struct error *err)
{
    struct dec d;

    if (!index_series_entry(&s->b->index, s->ref, &d, err))
        return false;
    for (uint64_t left = dec_uvarint(&d) * 2; left > 0 && dec_ok(&d); left--)
        (void)dec_uvarint(&d);
    return block_chunks_parse(&d, s->scratch, &s->chunks, &s->chunks_nr, err);
}

/* A damaged chunk is left out, the others are read; the first damage is reported. */
static bool
samples_read(void *arg, struct error *err)
{
    struct samples_read *s = arg;
    struct error other = { 0 };
    size_t nr = 0;
    bool ok = true;

    if (s->chunks == NULL && !entry_chunks(s, err))
        return false;
    struct chunk *views = ARENA_NEW_ARRAY(s->scratch, struct chunk, (size_t)s->chunks_nr + 1);
    for (uint32_t i = 0; i < s->chunks_nr; i++) {
        const struct block_chunk *c = &s->chunks[i];
        if (c->max_ms < s->min_ms || c->min_ms > s->max_ms)
            continue;
        views[nr] = (struct chunk){ .min_ms = c->min_ms, .max_ms = c->max_ms };
        if (block_chunk_view(s->b, c->ref, &views[nr].encoding, &views[nr].data, ok ? err : &other))
            nr++;
        else
            ok = false;
    }
    ok &= chunk_read_many(views, nr, s->min_ms, s->max_ms, s->out, ok ? err : &other);
    error_clear(&other);
    return ok;
}

/* Takes deleted samples out of out[from..]. */
static void
deleted_remove(const struct tombstone_series *deleted, struct sample_buf *out, size_t from)
{
    uint32_t hint = 0;
    size_t to = from;

    for (size_t i = from; i < out->nr; i++) {
        if (tombstones_deleted(deleted, out->t_ms[i], &hint))
            continue;
        out->t_ms[to] = out->t_ms[i];
        out->v[to] = out->v[i];
        if (out->h != NULL)
            out->h[to] = out->h[i];
        if (out->st_ms != NULL)
            out->st_ms[to] = out->st_ms[i];
        to++;
    }
    out->nr = to;
}

static bool
read_any(struct samples_read *s, struct error *err)
{
    size_t from = s->out->nr;
    struct arena scratch;

    arena_init(&scratch, SIZE_MAX);
    s->scratch = &scratch;
    bool ok = io_guarded_read(samples_read, s, err);
    arena_fini(&scratch);
    const struct tombstone_series *deleted = tombstones_find(&s->b->tombstones, s->ref);
    if (deleted != NULL)
        deleted_remove(deleted, s->out, from);
    return ok || error_wrap(err, "block '%s'", s->b->dir);
}

bool
block_read(struct block *b, uint32_t ref, int64_t min_ms, int64_t max_ms, struct sample_buf *buf,
           struct error *err)
{
    struct samples_read s = { .b = b, .ref = ref, .min_ms = min_ms, .max_ms = max_ms, .out = buf };

    return read_any(&s, err);
}

bool
block_read_chunks(struct block *b, uint32_t ref, const struct block_chunk *chunks, size_t nr,
                  int64_t min_ms, int64_t max_ms, struct sample_buf *buf, struct error *err)
{
    struct samples_read s = { .b = b, .ref = ref, .min_ms = min_ms, .max_ms = max_ms, .out = buf };

    if (nr == 0)
        return true;
    s.chunks = chunks;
    s.chunks_nr = (uint32_t)nr;
    return read_any(&s, err);
}

struct chunk_copy {
    const struct block *b;
    uint64_t ref;
    struct arena *arena;
    enum chunk_encoding encoding;
    struct bytes data;
};

static bool
chunk_copy(void *arg, struct error *err)
{
    struct chunk_copy *c = arg;
    struct bytes view;

    if (!block_chunk_view(c->b, c->ref, &c->encoding, &view, err))
        return false;
    uint8_t *copy = arena_alloc(c->arena, view.n + 1);
    memcpy(copy, view.p, view.n);
    c->data = (struct bytes){ copy, view.n };
    return true;
}

bool
block_chunk_copy(struct block *b, uint64_t chunk_ref, struct arena *arena,
                 enum chunk_encoding *encoding, struct bytes *data, struct error *err)
{
    struct chunk_copy c = { .b = b, .ref = chunk_ref, .arena = arena };

    if (!io_guarded_read(chunk_copy, &c, err))
        return error_wrap(err, "block '%s'", b->dir);
    *encoding = c.encoding;
    *data = c.data;
    return true;
}
