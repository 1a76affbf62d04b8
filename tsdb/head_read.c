/* Reading one series: under its lock the open chunk and the list of finished ones are copied (a few
 * hundred bytes), then everything is decoded without it. Samples of batches that the view does not
 * see are the newest of the series but for later batches: they are known as runs counted from the
 * end, and taken out of the decoded column. */
#include "base/mem.h"
#include "tsdb/head_priv.h"

/* Runs of unseen samples, newest first: after `skip` newer ones, `nr` that are not seen. */
struct unseen {
    struct unseen_run {
        uint32_t skip, nr;
    } * v;
    size_t nr, cap;
};

/* What was copied under the lock. */
struct copied {
    struct head_sealed *sealed; /* malloc'ed; those in memory point into bytes */
    size_t sealed_nr;
    struct buf bytes; /* chunks in memory and the open one */
    struct chunk open;
    bool has_open;
    struct unseen unseen;
};

static void
copied_fini(struct copied *c)
{
    mem_free(c->sealed);
    buf_fini(&c->bytes);
    mem_free(c->unseen.v);
}

static void
unseen_add(struct unseen *u, uint32_t skip, uint32_t nr)
{
    MEM_GROW(u->v, u->nr + 1, &u->cap);
    u->v[u->nr++] = (struct unseen_run){ skip, nr };
}

/* With the lock. */
static void
find_unseen(const struct head_series *s, const struct isolation_reader *view, struct unseen *u)
{
    if ((s->flags & SERIES_BATCHES) == 0) {
        if (s->batch_nr > 0 && !isolation_sees(view, s->batch))
            unseen_add(u, 0, s->batch_nr);
        return;
    }
    const struct series_batches *b = (const struct series_batches *)(uintptr_t)s->batch;
    uint32_t skip = 0;
    for (uint32_t i = b->nr; i-- > 0;) {
        if (isolation_sees(view, b->v[i].batch)) {
            skip += b->v[i].samples_nr;
        } else {
            unseen_add(u, skip, b->v[i].samples_nr);
            skip = 0;
        }
    }
}

/* With the lock. Chunks in memory are copied behind each other; their place in c->bytes stands in
 * .ref until all are there. */
static void
copy_sealed(const struct head_series *s, int64_t min_ms, int64_t max_ms, struct copied *c)
{
    if (s->sealed_nr == 0)
        return;
    c->sealed = mem_alloc(mem_array_bytes(s->sealed_nr, sizeof *c->sealed));
    for (uint32_t i = 0; i < s->sealed_nr; i++) {
        const struct head_sealed *e = &s->sealed[i];
        if (e->min_ms > max_ms || sealed_max_ms(e) < min_ms)
            continue;
        c->sealed[c->sealed_nr] = *e;
        if (e->in_mem) {
            c->sealed[c->sealed_nr].ref = (uint64_t)c->bytes.n << 32 | e->mem->n;
            buf_add(&c->bytes, e->mem->bytes, e->mem->n);
        }
        c->sealed_nr++;
    }
}

static void
copy_series(struct head_series *s, const struct isolation_reader *view, int64_t min_ms,
            int64_t max_ms, struct copied *c)
{
    *c = (struct copied){ 0 };
    series_lock(s);
    find_unseen(s, view, &c->unseen);
    if (c->unseen.nr > 0)
        max_ms = INT64_MAX; /* counted from the end: the end must be there */
    copy_sealed(s, min_ms, max_ms, c);
    c->has_open =
        head_open_chunk(s, &c->open) && c->open.min_ms <= max_ms && c->open.max_ms >= min_ms;
    if (c->has_open) {
        size_t at = c->bytes.n;
        buf_add(&c->bytes, c->open.data.p, c->open.data.n);
        c->open.data.p = c->bytes.p + at;
    }
    series_unlock(s);
}

/* The chunks as the decoder wants them: what lies in chunks_head is copied out. */
static bool
gather(const struct head *h, struct copied *c, struct buf *file_bytes, struct chunk *chunks,
       size_t *nr, struct error *err)
{
    struct buf one = { 0 };
    bool ok = true;

    *nr = 0;
    for (size_t i = 0; i < c->sealed_nr; i++) {
        const struct head_sealed *e = &c->sealed[i];
        struct chunk *out = &chunks[*nr];
        *out = (struct chunk){ .encoding = (enum chunk_encoding)e->encoding,
                               .min_ms = e->min_ms,
                               .max_ms = sealed_max_ms(e) };
        if (e->in_mem) {
            out->data =
                (struct bytes){ c->bytes.p + (e->ref >> 32), (size_t)(e->ref & UINT32_MAX) };
        } else {
            struct bytes data;
            struct error one_err = { 0 };
            if (h->chunks == NULL ||
                !head_chunks_copy(h->chunks, e->ref, &one, &out->encoding, &data, &one_err)) {
                if (ok)
                    error_copy(err, &one_err);
                error_clear(&one_err);
                ok = false; /* this chunk is left out, the others are given */
                continue;
            }
            out->data =
                (struct bytes){ NULL, data.n }; /* placed when the buffer has stopped moving */
            buf_add(file_bytes, data.p, data.n);
        }
        ++*nr;
    }
    size_t at = 0;
    for (size_t i = 0; i < *nr; i++) {
        if (chunks[i].data.p == NULL) {
            chunks[i].data.p = file_bytes->p + at;
            at += chunks[i].data.n;
        }
    }
    buf_fini(&one);
    return ok;
}

static void
buf_drop(struct sample_buf *b, size_t from, size_t nr)
{
    size_t left = b->nr - from - nr;

    memmove(b->t_ms + from, b->t_ms + from + nr, left * sizeof *b->t_ms);
    memmove(b->v + from, b->v + from + nr, left * sizeof *b->v);
    if (b->h != NULL)
        memmove(b->h + from, b->h + from + nr, left * sizeof *b->h);
    if (b->st_ms != NULL)
        memmove(b->st_ms + from, b->st_ms + from + nr, left * sizeof *b->st_ms);
    b->nr -= nr;
}

/* Takes the unseen out of what was added behind `start`; then what is newer than max_ms, which was
 * read to be able to count. */
static void
drop_unseen(struct sample_buf *b, size_t start, const struct unseen *u, int64_t max_ms)
{
    size_t end = b->nr;

    for (size_t i = 0; i < u->nr; i++) {
        end -= MIN((size_t)u->v[i].skip, end - start);
        size_t nr = MIN((size_t)u->v[i].nr, end - start);
        buf_drop(b, end - nr, nr);
        end -= nr;
    }
    while (b->nr > start && b->t_ms[b->nr - 1] > max_ms)
        b->nr--;
}

static void
drop_deleted(const struct head *h, uint64_t ref, struct sample_buf *b, size_t start)
{
    const struct tombstone_series *t = tombstones_find(&h->tombstones, ref);
    uint32_t hint = 0;
    size_t to = start;

    if (t == NULL)
        return;
    for (size_t i = start; i < b->nr; i++) {
        if (tombstones_deleted(t, b->t_ms[i], &hint))
            continue;
        b->t_ms[to] = b->t_ms[i];
        b->v[to] = b->v[i];
        if (b->h != NULL)
            b->h[to] = b->h[i];
        if (b->st_ms != NULL)
            b->st_ms[to] = b->st_ms[i];
        to++;
    }
    b->nr = to;
}

bool
head_read(const struct head_reader *r, struct head_series *s, int64_t min_ms, int64_t max_ms,
          struct sample_buf *buf, struct error *err)
{
    struct head *h = r->head;
    struct copied c;
    struct buf file_bytes = { 0 };
    size_t start = buf->nr, nr;

    copy_series(s, &r->view, min_ms, max_ms, &c);
    struct chunk few[8];
    struct chunk *chunks = c.sealed_nr < ARRAY_LEN(few)
                               ? few
                               : mem_alloc(mem_array_bytes(c.sealed_nr + 1, sizeof *chunks));
    bool ok = gather(h, &c, &file_bytes, chunks, &nr, err);
    if (c.has_open)
        chunks[nr++] = c.open;
    if (nr > 0) {
        struct error read_err = { 0 };
        bool read_ok = chunk_read_many(chunks, nr, min_ms, c.unseen.nr > 0 ? INT64_MAX : max_ms,
                                       buf, &read_err);
        if (!read_ok && ok)
            error_copy(err, &read_err);
        error_clear(&read_err);
        ok = ok && read_ok;
    }
    drop_unseen(buf, start, &c.unseen, max_ms);
    rwlock_read(&h->tombstones_lock);
    if (h->tombstones.nr > 0)
        drop_deleted(h, head_series_ref(s), buf, start);
    rwlock_release(&h->tombstones_lock);
    if (chunks != few)
        mem_free(chunks);
    buf_fini(&file_bytes);
    copied_fini(&c);
    return ok;
}

/* Samples of chunks that overlap, those that stick out counted by their share. */
uint64_t
head_estimate(struct head_series *s, int64_t min_ms, int64_t max_ms)
{
    uint64_t sum = 0;
    struct chunk open;

    series_lock(s);
    for (uint32_t i = 0; i < s->sealed_nr; i++)
        if (s->sealed[i].min_ms <= max_ms && sealed_max_ms(&s->sealed[i]) >= min_ms)
            sum += s->sealed[i].nr;
    if (head_open_chunk(s, &open) && open.min_ms <= max_ms && open.max_ms >= min_ms)
        sum += chunk_samples_nr(open.encoding, open.data);
    series_unlock(s);
    return sum;
}
