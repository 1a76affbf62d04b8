/* The head's part of a block: its series in label order, their chunks as they are. Memory: a
 * pointer per series and four bytes per symbol; chunks are copied one series at a time. */
#include <stdlib.h>
#include "base/mem.h"
#include "tsdb/db_priv.h"

struct sorted {
    struct head_series *s;
    const struct symbol_pair *pairs;
    uint32_t pairs_nr;
};

static int
pairs_cmp(struct symbols *symbols, const struct sorted *a, const struct sorted *b)
{
    uint32_t nr = MIN(a->pairs_nr, b->pairs_nr);

    for (uint32_t i = 0; i < nr; i++) {
        struct symbol_pair x = a->pairs[i], y = b->pairs[i];
        if (x.name != y.name)
            return str_cmp(symbols_text(symbols, x.name), symbols_text(symbols, y.name));
        if (x.value != y.value)
            return str_cmp(symbols_text(symbols, x.value), symbols_text(symbols, y.value));
    }
    return (a->pairs_nr > b->pairs_nr) - (a->pairs_nr < b->pairs_nr);
}

static int
sorted_cmp(const void *a, const void *b, void *symbols)
{
    return pairs_cmp(symbols, a, b);
}

static int
text_cmp(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* A set of ids: open addressing, 0 is free (no symbol has it). */
struct id_set {
    uint32_t *v;
    size_t nr;
    unsigned log;
};

static bool
id_set_add(struct id_set *set, uint32_t id)
{
    if (set->v == NULL || (set->nr + 1) * 2 > (size_t)1 << set->log) {
        struct id_set bigger = { .log = set->v == NULL ? 10 : set->log + 1 };
        bigger.v = MEM_NEW_ARRAY(uint32_t, (size_t)1 << bigger.log);
        for (size_t i = 0; set->v != NULL && i < (size_t)1 << set->log; i++)
            if (set->v[i] != 0)
                id_set_add(&bigger, set->v[i]);
        mem_free(set->v);
        *set = bigger;
    }
    size_t mask = ((size_t)1 << set->log) - 1, i = (id * UINT32_C(0x9E3779B1)) & mask;
    for (; set->v[i] != 0; i = (i + 1) & mask)
        if (set->v[i] == id)
            return false;
    set->v[i] = id;
    set->nr++;
    return true;
}

static bool
write_symbols(struct block_writer *w, struct symbols *symbols, const struct sorted *v, size_t nr,
              struct error *err)
{
    struct id_set set = { 0 };
    bool ok = block_writer_symbol(w, STR(""), err);

    for (size_t i = 0; i < nr; i++) {
        for (uint32_t k = 0; k < v[i].pairs_nr; k++) {
            id_set_add(&set, v[i].pairs[k].name);
            id_set_add(&set, v[i].pairs[k].value);
        }
    }
    struct str *texts = mem_alloc(mem_array_bytes(set.nr + 1, sizeof *texts));
    size_t texts_nr = 0;
    for (size_t i = 0; set.v != NULL && i < (size_t)1 << set.log; i++)
        if (set.v[i] != 0 && set.v[i] != SYMBOL_EMPTY)
            texts[texts_nr++] = symbols_text(symbols, set.v[i]);
    qsort(texts, texts_nr, sizeof *texts, text_cmp);
    for (size_t i = 0; ok && i < texts_nr; i++)
        ok = block_writer_symbol(w, texts[i], err);
    mem_free(texts);
    mem_free(set.v);
    return ok;
}

static bool
write_series(struct block_writer *w, struct head *h, const struct sorted *s, int64_t min_ms,
             int64_t max_ms, struct error *err)
{
    struct symbols *symbols = head_symbols(h);
    struct arena arena;
    struct chunk *chunks;
    size_t nr;

    arena_init(&arena, SIZE_MAX);
    bool ok = head_cut_chunks(h, s->s, min_ms, max_ms, &arena, &chunks, &nr, err);
    if (ok && nr > 0) {
        struct label *v = ARENA_NEW_ARRAY(&arena, struct label, s->pairs_nr);
        for (uint32_t i = 0; i < s->pairs_nr; i++)
            v[i] = (struct label){ symbols_text(symbols, s->pairs[i].name),
                                   symbols_text(symbols, s->pairs[i].value) };
        ok = block_writer_series(w, (struct labels){ v, s->pairs_nr }, chunks, nr, err);
    }
    arena_fini(&arena);
    return ok;
}

static bool
write_all(struct block_writer *w, struct head *h, struct sorted *v, size_t nr, int64_t min_ms,
          int64_t max_ms, bool *empty, struct error *err)
{
    struct block_meta meta = { .min_ms = min_ms, .max_ms = max_ms, .level = 1 };

    qsort_r(v, nr, sizeof *v, sorted_cmp, head_symbols(h));
    if (!write_symbols(w, head_symbols(h), v, nr, err))
        return false;
    for (size_t i = 0; i < nr; i++)
        if (!write_series(w, h, &v[i], min_ms, max_ms, err))
            return false;
    *empty = block_writer_series_nr(w) == 0;
    bool ok = *empty || block_writer_finish(w, &meta, err);
    block_meta_fini(&meta);
    return ok;
}

bool
head_write_block(struct head *h, const struct io *io, const char *dir, struct block_id id,
                 int64_t min_ms, int64_t max_ms, uint64_t segment_bytes, bool *empty,
                 struct error *err)
{
    struct head_reader r;
    struct arena arena;
    struct head_series **series;
    struct block_writer *w = NULL;
    struct sorted *v = NULL;
    size_t nr = 0;

    arena_init(&arena, SIZE_MAX);
    head_reader_open(h, &r);
    bool ok = head_select(&r, NULL, 0, min_ms, max_ms - 1, NULL, &arena, &series, &nr, err);
    if (ok) {
        v = mem_alloc(mem_array_bytes(nr + 1, sizeof *v));
        for (size_t i = 0; i < nr; i++) {
            v[i].s = series[i];
            v[i].pairs = head_series_pairs(series[i], &v[i].pairs_nr);
        }
        *empty = nr == 0;
        ok = nr == 0 || (block_writer_new(&w, io, dir, id, segment_bytes, err) &&
                         write_all(w, h, v, nr, min_ms, max_ms, empty, err));
    }
    block_writer_free(w);
    mem_free(v);
    head_reader_close(&r);
    arena_fini(&arena);
    return ok || error_wrap(err, "writing the head from %lld to %lld as a block", (long long)min_ms,
                            (long long)max_ms);
}
