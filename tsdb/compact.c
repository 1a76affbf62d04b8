/* Merging blocks: symbols of all inputs, then the series of all inputs in label order. A series'
 * chunks are taken as they are; those with deleted samples are encoded again, and groups of chunks
 * that overlap in time are merged sample by sample (at equal times the chunk that starts later
 * wins) and cut at 120 samples. Memory: one series of each input. */
#include "tsdb/compact.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/ulid.h"
#include "tsdb/block_priv.h"
#include "tsdb/chunk_encode.h"

enum { SYMBOLS_AT_ONCE = 1024, NO_LIMIT = CHUNK_SAMPLES_MAX };

/* One input, standing at a series. */
struct input {
    struct block *b;
    struct arena refs_arena, arena; /* arena: of the current series, or of a batch of symbols */
    struct postings refs;
    size_t at;
    struct labels labels;
    const struct block_chunk *chunks;
    uint32_t chunks_nr;
    struct str *symbols;
    uint32_t symbols_nr, symbols_at, symbols_from;
};

struct merge {
    const struct compact_options *o;
    struct input *in;
    size_t nr;
    int64_t min_ms, max_ms; /* both included */
    struct block_writer *w;
    struct arena arena; /* of the series being written */
};

struct block_id
compact_new_id(const struct clock *clock)
{
    struct ulid ulid = ulid_new(clock);
    struct block_id id;

    ulid_format(&ulid, id.z);
    return id;
}

static void
arena_empty(struct arena *a)
{
    arena_rewind(a, (struct arena_mark){ NULL, 0 });
}

/* ---- symbols ---- */

static bool
symbols_fill(struct input *in, struct error *err)
{
    if (in->symbols_at < in->symbols_nr || in->symbols_from == in->b->index.symbols_nr)
        return true;
    arena_empty(&in->arena);
    in->symbols = ARENA_NEW_ARRAY(&in->arena, struct str, SYMBOLS_AT_ONCE);
    in->symbols_nr = SYMBOLS_AT_ONCE;
    in->symbols_at = 0;
    if (!block_symbols(in->b, in->symbols_from, &in->symbols_nr, &in->arena, in->symbols, err))
        return false;
    in->symbols_from += in->symbols_nr;
    return true;
}

static bool
symbols_merge(struct merge *m, struct error *err)
{
    for (;;) {
        struct str *least = NULL;
        for (size_t i = 0; i < m->nr; i++) {
            struct input *in = &m->in[i];
            if (!symbols_fill(in, err))
                return false;
            if (in->symbols_at < in->symbols_nr &&
                (least == NULL || str_cmp(in->symbols[in->symbols_at], *least) < 0))
                least = &in->symbols[in->symbols_at];
        }
        if (least == NULL)
            return true;
        if (!block_writer_symbol(m->w, *least, err))
            return false;
        struct str taken = *least;
        for (size_t i = 0; i < m->nr; i++) {
            struct input *in = &m->in[i];
            if (in->symbols_at < in->symbols_nr && str_eq(in->symbols[in->symbols_at], taken))
                in->symbols_at++;
        }
    }
}

/* ---- chunks of one series ---- */

/* A chunk with where it came from. */
struct piece {
    struct chunk chunk;
    size_t order; /* input and place, for a stable sort */
};

struct pieces {
    struct piece *v;
    size_t nr, cap;
};

static int
piece_cmp(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;

    if (x->chunk.min_ms != y->chunk.min_ms)
        return x->chunk.min_ms < y->chunk.min_ms ? -1 : 1;
    if (x->chunk.max_ms != y->chunk.max_ms)
        return x->chunk.max_ms < y->chunk.max_ms ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static void
piece_add(struct merge *m, struct pieces *p, struct chunk c)
{
    ARENA_GROW(&m->arena, p->v, p->nr, p->nr + 1, &p->cap);
    p->v[p->nr] = (struct piece){ c, p->nr };
    p->nr++;
}

static void
samples_open(struct merge *m, struct sample_buf *s)
{
    sample_buf_init(s, &m->arena);
    sample_buf_reserve(s, 1);
    s->st_ms = mem_zalloc(s->cap * sizeof *s->st_ms);
}

static bool
touches_deleted(const struct tombstone_series *deleted, const struct chunk *c)
{
    for (uint32_t i = 0; deleted != NULL && i < deleted->nr; i++)
        if (deleted->ranges[i].min_ms <= c->max_ms && c->min_ms <= deleted->ranges[i].max_ms)
            return true;
    return false;
}

/* What is left of s. Stale markers of a gauge chunk are gauges again, so that they stay in their
 * chunk. */
static void
samples_filter(const struct tombstone_series *deleted, bool gauge, struct sample_buf *s,
               struct arena *arena)
{
    uint32_t hint = 0;
    size_t to = 0;

    for (size_t i = 0; i < s->nr; i++) {
        if (deleted != NULL && tombstones_deleted(deleted, s->t_ms[i], &hint))
            continue;
        s->t_ms[to] = s->t_ms[i];
        s->v[to] = s->v[i];
        s->st_ms[to] = s->st_ms[i];
        if (s->h != NULL) {
            struct histogram *h = arena_alloc(arena, sizeof *h);
            *h = *s->h[i];
            h->hint = gauge ? HINT_GAUGE : h->hint;
            s->h[to] = h;
        }
        to++;
    }
    s->nr = to;
}

/* One chunk without its deleted samples, in its own encoding. */
static bool
piece_reencode(struct merge *m, const struct tombstone_series *deleted, const struct chunk *c,
               struct pieces *p, struct error *err)
{
    struct chunk_list list = { 0 };
    struct sample_buf s;
    bool gauge = chunk_reset_of(c->encoding, c->data) == CHUNK_RESET_GAUGE;

    samples_open(m, &s);
    bool ok = chunk_read(c->encoding, c->data, m->min_ms, m->max_ms, &s, err);
    if (ok) {
        samples_filter(deleted, gauge, &s, &m->arena);
        ok = chunk_encode(&s, c->encoding == CHUNK_XOR2 ? CHUNK_XOR2 : CHUNK_XOR, NO_LIMIT,
                          &m->arena, &list, err);
    }
    for (size_t i = 0; ok && i < list.nr; i++)
        piece_add(m, p, list.v[i]);
    sample_buf_fini(&s);
    return ok;
}

static bool
input_pieces(struct merge *m, struct input *in, struct pieces *p, struct error *err)
{
    const struct tombstone_series *deleted =
        tombstones_find(block_tombstones(in->b), in->refs.v[in->at]);

    for (uint32_t i = 0; i < in->chunks_nr; i++) {
        struct chunk c = { .min_ms = in->chunks[i].min_ms, .max_ms = in->chunks[i].max_ms };
        if (c.max_ms < m->min_ms || c.min_ms > m->max_ms)
            continue;
        if (deleted != NULL && tombstones_covers(deleted, c.min_ms, c.max_ms))
            continue;
        if (!block_chunk_copy(in->b, in->chunks[i].ref, &m->arena, &c.encoding, &c.data, err))
            return false;
        bool cut = c.min_ms < m->min_ms || c.max_ms > m->max_ms || touches_deleted(deleted, &c);
        if (!cut)
            piece_add(m, p, c);
        else if (!piece_reencode(m, deleted, &c, p, err))
            return false;
    }
    return true;
}

/* ---- overlapping chunks ---- */

/* Merges the samples of several buffers; of equal times the last buffer's counts. */
static void
samples_merge(const struct sample_buf *from, size_t nr, size_t *at, struct sample_buf *out)
{
    for (;;) {
        size_t best = nr;
        for (size_t k = 0; k < nr; k++)
            if (at[k] < from[k].nr &&
                (best == nr || from[k].t_ms[at[k]] <= from[best].t_ms[at[best]]))
                best = k;
        if (best == nr)
            return;
        int64_t t_ms = from[best].t_ms[at[best]];
        const struct sample_buf *s = &from[best];
        if (s->h != NULL && s->h[at[best]] != NULL)
            sample_buf_add_histogram(out, t_ms, s->h[at[best]]);
        else
            sample_buf_add(out, t_ms, s->v[at[best]]);
        out->st_ms[out->nr - 1] = s->st_ms[at[best]];
        for (size_t k = 0; k < nr; k++)
            at[k] += at[k] < from[k].nr && from[k].t_ms[at[k]] == t_ms;
    }
}

static bool
group_merge(struct merge *m, const struct piece *group, size_t nr, struct chunk_list *out,
            struct error *err)
{
    struct sample_buf *from = ARENA_NEW_ARRAY(&m->arena, struct sample_buf, nr), merged;
    size_t *at = ARENA_NEW_ARRAY(&m->arena, size_t, nr), opened = 0;
    bool ok = true;

    samples_open(m, &merged);
    for (; ok && opened < nr; opened++) {
        const struct chunk *c = &group[opened].chunk;
        samples_open(m, &from[opened]);
        ok = chunk_read(c->encoding, c->data, TIME_MIN_MS, TIME_MAX_MS, &from[opened], err);
    }
    if (ok) {
        samples_merge(from, nr, at, &merged);
        ok = chunk_encode(&merged, CHUNK_XOR, CHUNK_ENCODE_SAMPLES_MAX, &m->arena, out, err);
    }
    for (size_t i = 0; i < opened; i++)
        sample_buf_fini(&from[i]);
    sample_buf_fini(&merged);
    return ok;
}

static bool
same_chunk(const struct chunk *a, const struct chunk *b)
{
    return a->min_ms == b->min_ms && a->max_ms == b->max_ms && a->data.n == b->data.n &&
           memcmp(a->data.p, b->data.p, a->data.n) == 0;
}

/* Takes the group of overlapping pieces at *at, doubles dropped, into group; moves *at behind it.
 */
static size_t
group_take(const struct pieces *p, size_t *at, struct piece *group)
{
    size_t nr = 0;
    int64_t max_ms = p->v[*at].chunk.max_ms;

    group[nr++] = p->v[(*at)++];
    for (; *at < p->nr && p->v[*at].chunk.min_ms <= max_ms; ++*at) {
        if (same_chunk(&p->v[*at].chunk, &group[nr - 1].chunk))
            continue;
        max_ms = MAX(max_ms, p->v[*at].chunk.max_ms);
        group[nr++] = p->v[*at];
    }
    return nr;
}

static bool
pieces_merge(struct merge *m, struct pieces *p, struct chunk_list *out, struct error *err)
{
    struct piece *group = ARENA_NEW_ARRAY(&m->arena, struct piece, p->nr + 1);
    size_t at = 0;

    if (p->nr > 0)
        qsort(p->v, p->nr, sizeof *p->v, piece_cmp);
    while (at < p->nr) {
        size_t nr = group_take(p, &at, group);
        if (nr > 1) {
            if (!group_merge(m, group, nr, out, err))
                return false;
            continue;
        }
        ARENA_GROW(&m->arena, out->v, out->nr, out->nr + 1, &out->cap);
        out->v[out->nr++] = group[0].chunk;
    }
    return true;
}

/* ---- series ---- */

static bool
input_load(struct input *in, struct error *err)
{
    if (in->at == in->refs.nr)
        return true;
    arena_empty(&in->arena);
    return block_series_texts(in->b, in->refs.v[in->at], &in->arena, &in->labels, &in->chunks,
                              &in->chunks_nr, err);
}

static struct input *
least_input(struct merge *m)
{
    struct input *least = NULL;

    for (size_t i = 0; i < m->nr; i++) {
        struct input *in = &m->in[i];
        if (in->at < in->refs.nr && (least == NULL || labels_cmp(in->labels, least->labels) < 0))
            least = in;
    }
    return least;
}

/* Writes the series at `least`, which other inputs may have too, and moves all that have it on. */
static bool
series_merge(struct merge *m, struct input *least, struct error *err)
{
    struct pieces pieces = { 0 };
    struct chunk_list list = { 0 };

    arena_empty(&m->arena);
    struct labels labels = labels_copy(&m->arena, least->labels);
    for (size_t i = 0; i < m->nr; i++) {
        struct input *in = &m->in[i];
        if (in->at == in->refs.nr || (in != least && !labels_eq(in->labels, labels)))
            continue;
        if (!input_pieces(m, in, &pieces, err))
            return false;
        in->at++;
        if (!input_load(in, err))
            return false;
    }
    if (!pieces_merge(m, &pieces, &list, err))
        return false;
    return list.nr == 0 || block_writer_series(m->w, labels, list.v, list.nr, err);
}

static bool
all_series_merge(struct merge *m, struct error *err)
{
    struct query_guard *stop = m->o->stop;
    struct input *least;

    for (size_t i = 0; i < m->nr; i++) {
        arena_empty(&m->in[i].arena);
        if (!block_select(m->in[i].b, NULL, 0, NULL, &m->in[i].refs_arena, &m->in[i].refs, err) ||
            !input_load(&m->in[i], err))
            return false;
    }
    while ((least = least_input(m)) != NULL) {
        if (stop != NULL && stop->stop(stop, err))
            return false;
        if (!series_merge(m, least, err))
            return false;
    }
    return true;
}

/* ---- the whole ---- */

static void
meta_merge(struct block *const *blocks, size_t nr, struct block_meta *meta)
{
    bool all_ooo = true;

    *meta = (struct block_meta){ .min_ms = block_meta(blocks[0])->min_ms,
                                 .max_ms = block_meta(blocks[0])->max_ms };
    for (size_t i = 0; i < nr; i++) {
        const struct block_meta *b = block_meta(blocks[i]);
        meta->min_ms = MIN(meta->min_ms, b->min_ms);
        meta->max_ms = MAX(meta->max_ms, b->max_ms);
        meta->level = MAX(meta->level, b->level);
        for (size_t k = 0; k < b->sources_nr; k++)
            block_meta_add_source(meta, b->sources[k]);
        block_meta_add_parent(meta, b);
        if (block_meta_has_hint(b, BLOCK_HINT_STALE))
            block_meta_add_hint(meta, BLOCK_HINT_STALE);
        if (block_meta_has_hint(b, BLOCK_HINT_SELECTED))
            block_meta_add_hint(meta, BLOCK_HINT_SELECTED);
        all_ooo &= block_meta_has_hint(b, BLOCK_HINT_OOO);
    }
    /* Such blocks do not count for where the WAL's replay begins: only a block of nothing else may
     * carry the hint. */
    if (all_ooo)
        block_meta_add_hint(meta, BLOCK_HINT_OOO);
    meta->level++;
}

/* As Prometheus has it: the block counts as new, and its parent is only what it replaces. */
static void
meta_renew(struct block_meta *meta)
{
    mem_free(meta->sources);
    meta->sources = NULL;
    meta->sources_nr = 0;
    meta->level = 1;
}

static void
merge_init(struct merge *m, const struct compact_options *o, struct block *const *blocks, size_t nr,
           const struct block_meta *meta)
{
    *m = (struct merge){ .o = o, .nr = nr, .min_ms = meta->min_ms, .max_ms = meta->max_ms - 1 };
    m->in = MEM_NEW_ARRAY(struct input, nr);
    arena_init(&m->arena, SIZE_MAX);
    for (size_t i = 0; i < nr; i++) {
        m->in[i].b = blocks[i];
        arena_init(&m->in[i].arena, SIZE_MAX);
        arena_init(&m->in[i].refs_arena, SIZE_MAX);
    }
}

static void
merge_fini(struct merge *m)
{
    for (size_t i = 0; i < m->nr; i++) {
        arena_fini(&m->in[i].arena);
        arena_fini(&m->in[i].refs_arena);
    }
    arena_fini(&m->arena);
    block_writer_free(m->w);
    mem_free(m->in);
}

bool
compact_blocks(const struct compact_options *o, struct block *const *blocks, size_t nr,
               struct block_id *id, bool *empty, struct error *err)
{
    struct block_id fresh = compact_new_id(o->clock);
    struct block_meta meta;
    struct merge m;

    meta_merge(blocks, nr, &meta);
    if (o->rewrite)
        meta_renew(&meta);
    merge_init(&m, o, blocks, nr, &meta);
    bool ok = block_writer_new(&m.w, o->io, o->dir, fresh, o->segment_bytes, err) &&
              symbols_merge(&m, err) && all_series_merge(&m, err);
    *empty = ok && block_writer_series_nr(m.w) == 0;
    ok = ok && (*empty || block_writer_finish(m.w, &meta, err));
    merge_fini(&m);
    block_meta_fini(&meta);
    if (ok)
        *id = fresh;
    return ok || error_wrap(err, "compaction");
}

/* ---- directories ---- */

bool
block_delete_dir(const struct io *io, const char *dir, struct block_id id, struct error *err)
{
    struct buf from = { 0 }, to = { 0 };

    buf_printf(&from, "%s/%s", dir, id.z);
    buf_printf(&to, "%s/%s%s", dir, id.z, BLOCK_TMP_DELETION);
    bool ok = io_rename(io, buf_z(&from), buf_z(&to), err) && io_remove_tree(io, buf_z(&to), err);
    buf_fini(&from);
    buf_fini(&to);
    return ok;
}

static bool
is_leftover(const char *name)
{
    static const char *const suffixes[] = { BLOCK_TMP_CREATION, BLOCK_TMP_DELETION, ".tmp" };
    struct str s = str_c(name);

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        struct ulid ulid;
        struct str suffix = str_c(suffixes[i]);
        if (str_ends(s, suffix) && ulid_parse((struct str){ s.p, s.n - suffix.n }, &ulid))
            return true;
    }
    return false;
}

bool
block_clean_dir(const struct io *io, const char *dir, struct error *err)
{
    struct io_dir_list list = { 0 };
    struct buf path = { 0 };
    bool ok = io_list(io, dir, &list, err);

    for (size_t i = 0; ok && i < list.nr; i++) {
        if (!list.entries[i].is_dir || !is_leftover(list.entries[i].name))
            continue;
        buf_reset(&path);
        buf_printf(&path, "%s/%s", dir, list.entries[i].name);
        ok = io_remove_tree(io, buf_z(&path), err);
    }
    io_dir_list_fini(&list);
    buf_fini(&path);
    return ok;
}
