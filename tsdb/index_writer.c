/* Symbols are kept in memory as one text with offsets and a hash of indexes: about 12 bytes each
 * beside their text. Everything else goes through the file's buffer. Lengths and CRCs that come
 * before their content are patched. */
#include "tsdb/index_writer.h"

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/varint.h"
#include "tsdb/index_writer_priv.h"

bool
index_writer_new(struct index_writer **out, const struct io *io, const char *dir, struct error *err)
{
    struct index_writer *w = MEM_NEW(struct index_writer);
    struct buf path = { 0 };

    buf_printf(&path, "%s/index", dir);
    w->path = mem_strdup(buf_z(&path));
    buf_c(&path, "_tmp_po");
    w->table_path = mem_strdup(buf_z(&path));
    buf_fini(&path);
    w->file.file = IO_NONE;
    if (!file_out_open(&w->file, io, w->path, err)) {
        index_writer_free(w);
        return false;
    }
    file_out_u32(&w->file, INDEX_MAGIC);
    file_out_add(&w->file, &(uint8_t){ INDEX_VERSION_WRITTEN }, 1);
    w->toc.symbols = file_out_pos(&w->file);
    file_out_u32(&w->file, 0); /* length and count are patched */
    w->file.crc = 0;
    file_out_u32(&w->file, 0);
    *out = w;
    return true;
}

void
index_writer_free(struct index_writer *w)
{
    if (w == NULL)
        return;
    file_out_fini(&w->file);
    mem_free(w->path);
    mem_free(w->table_path);
    buf_fini(&w->text);
    mem_free(w->symbol_at);
    mem_free(w->slots);
    mem_free(w->name_uses);
    buf_fini(&w->entry);
    buf_fini(&w->last_labels);
    mem_free(w);
}

struct str
index_writer_symbol_text(const struct index_writer *w, size_t i)
{
    uint64_t end = i + 1 < w->symbols_nr ? w->symbol_at[i + 1] : w->text.n;

    return (struct str){ (const char *)w->text.p + w->symbol_at[i],
                         (size_t)(end - w->symbol_at[i]) };
}

bool
index_writer_symbol(struct index_writer *w, struct str text, struct error *err)
{
    uint8_t length[VARINT_BYTES_MAX];

    if (w->stage != STAGE_SYMBOLS)
        return error_set(err, ERR_INTERNAL, "symbol after the first series");
    if (w->symbols_nr > 0 && str_cmp(text, index_writer_symbol_text(w, w->symbols_nr - 1)) <= 0)
        return error_set(err, ERR_INTERNAL, "symbol '%.*s' out of order", STR_ARG(text));
    MEM_GROW(w->symbol_at, w->symbols_nr + 1, &w->symbols_cap);
    w->symbol_at[w->symbols_nr++] = w->text.n;
    buf_str(&w->text, text);
    file_out_add(&w->file, length, uvarint_put(length, text.n));
    file_out_add(&w->file, text.p, text.n);
    return file_out_ok(&w->file, err);
}

/* The slot that holds text, or the free one where it belongs. */
static uint32_t *
slot_of(const struct index_writer *w, struct str text)
{
    size_t at = hash64_str(text) & (w->slots_nr - 1);

    while (w->slots[at] != 0 && !str_eq(index_writer_symbol_text(w, w->slots[at] - 1), text))
        at = (at + 1) & (w->slots_nr - 1);
    return &w->slots[at];
}

static bool
symbol_index(const struct index_writer *w, struct str text, uint32_t *index, struct error *err)
{
    uint32_t slot = *slot_of(w, text);

    if (slot == 0)
        return error_set(err, ERR_INTERNAL, "symbol '%.*s' was not announced", STR_ARG(text));
    *index = slot - 1;
    return true;
}

/* The CRC covers the count, which is known only now: it is computed over the text again. */
static bool
symbols_finish(struct index_writer *w, struct error *err)
{
    uint64_t bytes = file_out_pos(&w->file) - w->toc.symbols - 4;
    uint32_t count_be = __builtin_bswap32((uint32_t)w->symbols_nr);
    uint32_t crc = crc32c(0, &count_be, 4);
    uint8_t length[VARINT_BYTES_MAX];

    if (bytes > UINT32_MAX || w->symbols_nr >= UINT32_MAX)
        return error_set(err, ERR_LIMIT, "symbol table of %llu bytes does not fit a block's index",
                         (unsigned long long)bytes);
    for (size_t i = 0; i < w->symbols_nr; i++) {
        struct str text = index_writer_symbol_text(w, i);
        crc = crc32c(crc, length, uvarint_put(length, text.n));
        crc = crc32c(crc, text.p, text.n);
    }
    file_out_patch_u32(&w->file, w->toc.symbols, (uint32_t)bytes);
    file_out_patch_u32(&w->file, w->toc.symbols + 4, (uint32_t)w->symbols_nr);
    file_out_u32(&w->file, crc);
    for (w->slots_nr = 64; w->slots_nr < w->symbols_nr * 2;)
        w->slots_nr *= 2;
    w->slots = MEM_NEW_ARRAY(uint32_t, w->slots_nr);
    for (size_t i = 0; i < w->symbols_nr; i++)
        *slot_of(w, index_writer_symbol_text(w, i)) = (uint32_t)i + 1;
    w->name_uses = MEM_NEW_ARRAY(uint64_t, w->symbols_nr + 1);
    w->toc.series = file_out_pos(&w->file);
    w->stage = STAGE_SERIES;
    return file_out_ok(&w->file, err);
}

/* Indexes of the labels' symbols as compared with the series before: order of indexes is order of
 * texts. */
static bool
labels_put(struct index_writer *w, struct labels labels, struct error *err)
{
    struct buf *b = &w->entry;
    const uint32_t *last = (const uint32_t *)(const void *)w->last_labels.p;
    size_t last_nr = w->last_labels.n / sizeof *last;
    int order = 0;
    struct buf now = { 0 };

    buf_uvarint(b, labels.nr);
    for (size_t i = 0; i < labels.nr * 2; i++) {
        const struct label *l = &labels.v[i / 2];
        uint32_t index;
        if (!symbol_index(w, i % 2 == 0 ? l->name : l->value, &index, err)) {
            buf_fini(&now);
            return false;
        }
        if (i % 2 == 0)
            w->name_uses[index]++;
        if (order == 0)
            order = i >= last_nr ? 1 : (index > last[i]) - (index < last[i]);
        buf_uvarint(b, index);
        buf_add(&now, &index, sizeof index);
    }
    buf_fini(&w->last_labels);
    w->last_labels = now;
    if (order <= 0 && w->series_nr > 0)
        return error_set(err, ERR_INTERNAL, "series out of label order");
    return true;
}

static bool
chunks_put(struct index_writer *w, const struct block_chunk *chunks, size_t nr, struct error *err)
{
    struct buf *b = &w->entry;

    buf_uvarint(b, nr);
    for (size_t i = 0; i < nr; i++) {
        const struct block_chunk *c = &chunks[i], *before = i == 0 ? NULL : c - 1;
        if (c->max_ms < c->min_ms || (before != NULL && c->min_ms <= before->max_ms) ||
            c->ref < w->last_chunk_ref)
            return error_set(err, ERR_INTERNAL, "chunks of a series out of order");
        if (before == NULL)
            buf_varint(b, c->min_ms);
        else
            buf_uvarint(b, (uint64_t)c->min_ms - (uint64_t)before->max_ms);
        buf_uvarint(b, (uint64_t)c->max_ms - (uint64_t)c->min_ms);
        if (before == NULL)
            buf_uvarint(b, c->ref);
        else
            buf_varint(b, (int64_t)(c->ref - before->ref));
        w->last_chunk_ref = c->ref;
    }
    return true;
}

bool
index_writer_series(struct index_writer *w, struct labels labels, const struct block_chunk *chunks,
                    size_t chunks_nr, struct error *err)
{
    uint8_t length[VARINT_BYTES_MAX];

    if (w->stage == STAGE_SYMBOLS && !symbols_finish(w, err))
        return false;
    buf_reset(&w->entry);
    if (!labels_put(w, labels, err) || !chunks_put(w, chunks, chunks_nr, err))
        return false;
    file_out_pad(&w->file, INDEX_SERIES_ALIGN);
    if (file_out_pos(&w->file) / INDEX_SERIES_ALIGN > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "index exceeds 64 GiB");
    file_out_add(&w->file, length, uvarint_put(length, w->entry.n));
    file_out_add(&w->file, w->entry.p, w->entry.n);
    file_out_u32(&w->file, crc32c(0, w->entry.p, w->entry.n));
    w->series_nr++;
    return file_out_ok(&w->file, err);
}

static void
toc_write(struct index_writer *w)
{
    w->file.crc = 0;
    file_out_u64(&w->file, w->toc.symbols);
    file_out_u64(&w->file, w->toc.series);
    file_out_u64(&w->file, w->toc.label_indices);
    file_out_u64(&w->file, w->toc.label_indices_table);
    file_out_u64(&w->file, w->toc.postings);
    file_out_u64(&w->file, w->toc.postings_table);
    file_out_u32(&w->file, w->file.crc);
}

bool
index_writer_finish(struct index_writer *w, struct error *err)
{
    if (w->stage == STAGE_SYMBOLS && !symbols_finish(w, err))
        return false;
    w->stage = STAGE_DONE;
    w->toc.label_indices = file_out_pos(&w->file);
    if (!index_writer_postings(w, err))
        return false;
    toc_write(w);
    return file_out_finish(&w->file, err);
}
