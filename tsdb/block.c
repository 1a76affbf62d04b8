/* Opening, reference counting, the series' entries. block_select.c finds series, block_samples.c
 * reads their chunks.
 *
 * Everything mapped is read inside io_guarded_read(); what takes locks (symbols, regular
 * expressions) stands outside it and works on copies in an arena. */
#include "tsdb/block.h"

#include <stdio.h>

#include "base/mem.h"
#include "tsdb/block_priv.h"

enum { SEGMENTS_MAX = 1 << 20 };

static bool
index_open(void *arg, struct error *err)
{
    struct block *b = arg;

    return index_reader_open(&b->index, (struct bytes){ b->index_map.p, b->index_map.n }, err);
}

static bool
map_path(struct block *b, const char *name, struct io_map *map, struct error *err)
{
    struct buf path = { 0 };
    io_file file;

    buf_printf(&path, "%s/%s", b->dir, name);
    bool ok = io_open(b->io, buf_z(&path), IO_READ, &file, err);
    if (ok) {
        ok = io_map_file(b->io, file, map, err);
        io_close(b->io, file);
    }
    buf_fini(&path);
    if (ok)
        b->bytes += map->n;
    return ok;
}

static bool
segment_check(void *arg, struct error *err)
{
    const struct io_map *map = arg;
    struct dec d = dec_of((struct bytes){ map->p, map->n });

    if (dec_u32(&d) != SEGMENT_MAGIC || dec_u8(&d) != SEGMENT_VERSION || dec_left(&d) < 3)
        return error_set(err, ERR_CORRUPT, "not a chunk segment of version %d", SEGMENT_VERSION);
    return true;
}

/* Segments are the files with a number for a name, in order; others are ignored, as Prometheus
 * does. */
static bool
segments_open(struct block *b, struct error *err)
{
    struct io_dir_list list = { 0 };
    struct buf path = { 0 };
    bool ok;

    buf_printf(&path, "%s/chunks", b->dir);
    ok = io_list(b->io, buf_z(&path), &list, err);
    b->segments = MEM_NEW_ARRAY(struct io_map, list.nr + 1);
    for (size_t i = 0; ok && i < list.nr; i++) {
        const char *name = list.entries[i].name;
        if (name[0] == '\0' || strspn(name, "0123456789") != strlen(name) ||
            b->segments_nr == SEGMENTS_MAX)
            continue;
        buf_reset(&path);
        buf_printf(&path, "chunks/%s", name);
        ok = map_path(b, buf_z(&path), &b->segments[b->segments_nr], err);
        b->segments_nr += ok;
        if (ok && !io_guarded_read(segment_check, &b->segments[b->segments_nr - 1], err))
            ok = error_wrap(err, "%s", buf_z(&path));
    }
    io_dir_list_fini(&list);
    buf_fini(&path);
    return ok;
}

bool
block_open(struct block **out, const struct io *io, const char *dir, struct symbols *symbols,
           struct error *err)
{
    struct block *b = MEM_NEW(struct block);
    bool ok = false;

    atomic_init(&b->refs, 1);
    b->io = io;
    b->dir = mem_strdup(dir);
    b->symbols = symbols;
    if (!block_meta_read(&b->meta, io, dir, err) || !map_path(b, "index", &b->index_map, err))
        goto out;
    if (!io_guarded_read(index_open, b, err) || !segments_open(b, err))
        goto out;
    if (!tombstones_read(&b->tombstones, io, dir, err))
        goto out;
    b->ids = MEM_NEW_ARRAY(_Atomic symbol_id, (size_t)b->index.symbols_nr + 1);
    *out = b;
    ok = true;
out:
    if (!ok) {
        error_wrap(err, "block '%s'", dir);
        block_unref(b);
    }
    return ok;
}

struct block *
block_ref(struct block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

static void
block_free(struct block *b)
{
    for (size_t i = 0; b->ids != NULL && i < b->index.symbols_nr; i++)
        if (b->ids[i] != SYMBOL_NONE)
            symbols_unref(b->symbols, b->ids[i]);
    mem_free((void *)(uintptr_t)b->ids);
    index_reader_fini(&b->index);
    if (b->index_map.p != NULL)
        io_unmap(b->io, b->index_map);
    for (size_t i = 0; i < b->segments_nr; i++)
        io_unmap(b->io, b->segments[i]);
    mem_free(b->segments);
    tombstones_fini(&b->tombstones);
    block_meta_fini(&b->meta);
    mem_free(b->dir);
    mem_free(b);
}

void
block_unref(struct block *b)
{
    if (b != NULL && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        block_free(b);
}

const struct block_meta *
block_meta(const struct block *b)
{
    return &b->meta;
}

const char *
block_dir(const struct block *b)
{
    return b->dir;
}

uint64_t
block_bytes(const struct block *b)
{
    return b->bytes;
}

const struct tombstones *
block_tombstones(const struct block *b)
{
    return &b->tombstones;
}

/* One reading of a series' entry: what is copied out of the mapping. */
struct series_read {
    struct block *b;
    uint32_t ref;
    struct arena *arena;
    bool want_texts; /* of all labels; else of symbols that have no id yet */
    uint32_t pairs_nr, chunks_nr;
    uint32_t *numbers; /* symbol numbers, name and value in turn */
    struct str *texts; /* beside them */
    const struct block_chunk *chunks;
};

static bool
symbol_copy(struct series_read *s, uint32_t symbol_ref, uint32_t i, struct error *err)
{
    const struct index_reader *r = &s->b->index;
    struct str text;

    s->numbers[i] = index_symbol_number(r, symbol_ref);
    if (s->numbers[i] == UINT32_MAX)
        return error_set(err, ERR_CORRUPT, "series %u: unknown symbol %u", s->ref, symbol_ref);
    if (!s->want_texts &&
        atomic_load_explicit(&s->b->ids[s->numbers[i]], memory_order_acquire) != SYMBOL_NONE)
        return true;
    if (!index_symbol(r, symbol_ref, &text, err))
        return false;
    s->texts[i] = arena_str(s->arena, text);
    return true;
}

static bool
series_copy(void *arg, struct error *err)
{
    struct series_read *s = arg;
    struct dec d;

    if (!index_series_entry(&s->b->index, s->ref, &d, err))
        return false;
    uint64_t nr = dec_uvarint(&d);
    if (nr > dec_left(&d) / 2)
        return error_set(err, ERR_CORRUPT, "series %u: labels do not fit the entry", s->ref);
    s->pairs_nr = (uint32_t)nr;
    s->numbers = ARENA_NEW_ARRAY(s->arena, uint32_t, nr * 2 + 1);
    s->texts = ARENA_NEW_ARRAY(s->arena, struct str, nr * 2 + 1);
    for (uint32_t i = 0; i < s->pairs_nr * 2; i++) {
        uint64_t symbol_ref = dec_uvarint(&d);
        if (symbol_ref > UINT32_MAX)
            return error_set(err, ERR_CORRUPT, "series %u: symbol reference too large", s->ref);
        if (!symbol_copy(s, (uint32_t)symbol_ref, i, err))
            return false;
    }
    return block_chunks_parse(&d, s->arena, &s->chunks, &s->chunks_nr, err);
}

/* The database's id of a symbol; two threads that meet it at once keep one reference between them.
 */
static symbol_id
id_of(struct block *b, uint32_t number, struct str text)
{
    symbol_id id = atomic_load_explicit(&b->ids[number], memory_order_acquire), none = SYMBOL_NONE;

    if (id != SYMBOL_NONE)
        return id;
    id = symbols_intern(b->symbols, text);
    if (atomic_compare_exchange_strong(&b->ids[number], &none, id))
        return id;
    symbols_unref(b->symbols, id);
    return none;
}

bool
block_series(struct block *b, uint32_t ref, struct arena *arena, struct block_series *out,
             struct error *err)
{
    struct series_read s = { .b = b, .ref = ref, .arena = arena };

    if (!io_guarded_read(series_copy, &s, err))
        return error_wrap(err, "block '%s'", b->dir);
    struct symbol_pair *pairs = ARENA_NEW_ARRAY(arena, struct symbol_pair, (size_t)s.pairs_nr + 1);
    for (uint32_t i = 0; i < s.pairs_nr; i++) {
        pairs[i].name = id_of(b, s.numbers[2 * i], s.texts[2 * i]);
        pairs[i].value = id_of(b, s.numbers[2 * i + 1], s.texts[2 * i + 1]);
    }
    *out = (struct block_series){ pairs, s.pairs_nr, s.chunks, s.chunks_nr };
    return true;
}

bool
block_series_texts(struct block *b, uint32_t ref, struct arena *arena, struct labels *labels,
                   const struct block_chunk **chunks, uint32_t *chunks_nr, struct error *err)
{
    struct series_read s = { .b = b, .ref = ref, .arena = arena, .want_texts = true };

    if (!io_guarded_read(series_copy, &s, err))
        return error_wrap(err, "block '%s'", b->dir);
    struct label *v = ARENA_NEW_ARRAY(arena, struct label, (size_t)s.pairs_nr + 1);
    for (uint32_t i = 0; i < s.pairs_nr; i++)
        v[i] = (struct label){ s.texts[2 * i], s.texts[2 * i + 1] };
    *labels = (struct labels){ v, s.pairs_nr };
    *chunks = s.chunks;
    *chunks_nr = s.chunks_nr;
    return true;
}

bool
block_labels(struct block *b, uint32_t ref, struct arena *arena, struct labels *out,
             struct error *err)
{
    const struct block_chunk *chunks;
    uint32_t chunks_nr;

    return block_series_texts(b, ref, arena, out, &chunks, &chunks_nr, err);
}

struct symbols_copy {
    struct block *b;
    uint32_t from, nr;
    struct arena *arena;
    struct str *texts;
};

static bool
symbols_copy(void *arg, struct error *err)
{
    struct symbols_copy *q = arg;
    const struct index_reader *r = &q->b->index;
    struct str text;

    for (uint32_t i = 0; i < q->nr; i++) {
        uint32_t ref = r->version == 1 ? (uint32_t)r->symbol_at[q->from + i] : q->from + i;
        if (!index_symbol(r, ref, &text, err))
            return false;
        q->texts[i] = arena_str(q->arena, text);
    }
    return true;
}

bool
block_symbols(struct block *b, uint32_t from, uint32_t *nr, struct arena *arena, struct str *texts,
              struct error *err)
{
    struct symbols_copy q = { b, from, MIN(*nr, b->index.symbols_nr - from), arena, texts };

    if (!io_guarded_read(symbols_copy, &q, err))
        return error_wrap(err, "block '%s'", b->dir);
    *nr = q.nr;
    return true;
}
