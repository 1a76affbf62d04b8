/* Postings lists in order of name and value. They are collected by reading the series section of
 * the file again, a group of label names at a time, so that a group holds at most as many
 * references as there are series (and at least GROUP_NR_MIN, so that small blocks take one pass):
 * memory is 12 bytes a series twice over, whatever the number of labels. */
#include <string.h>

#include "base/crc32c.h"
#include "base/dec.h"
#include "base/mem.h"
#include "base/varint.h"
#include "tsdb/index_writer_priv.h"

enum { GROUP_NR_MIN = 1 << 18, WINDOW_BYTES = 1 << 20, SERIES_LABEL = 2 };

/* One reference of one list: key is the name's place in its group and the value's symbol. */
struct use {
    uint64_t key;
    uint32_t ref;
};

struct collector {
    struct index_writer *w;
    struct file_out table;
    uint64_t lists_nr;
    uint32_t *group_of; /* by name symbol: place in the group + 1, 0: not in it */
    struct use *uses, *spare;
    size_t uses_nr, uses_cap;
};

/* A walk over the series section through a window of the file. */
struct section {
    struct index_writer *w;
    uint64_t at, end, window_at;
    uint8_t *window;
    size_t window_n;
};

static bool
window_fill(struct section *s, size_t need, struct error *err)
{
    if (s->at >= s->window_at && s->at + need <= s->window_at + s->window_n)
        return true;
    size_t want = MAX(need, (size_t)WINDOW_BYTES);
    s->window_at = s->at;
    s->window_n = (size_t)MIN(want, s->end - s->at);
    s->window = mem_realloc(s->window, MAX(want, s->window_n));
    return io_read(s->w->file.io, s->w->file.file, s->window, s->window_n, s->at, err);
}

/* The next series' entry, borrowed until the next call; *ref 0 at the end. */
static bool
section_next(struct section *s, struct bytes *entry, uint32_t *ref, struct error *err)
{
    uint64_t n = 0;

    *ref = 0;
    s->at = (s->at + INDEX_SERIES_ALIGN - 1) / INDEX_SERIES_ALIGN * INDEX_SERIES_ALIGN;
    if (s->at >= s->end)
        return true;
    if (!window_fill(s, MIN((uint64_t)VARINT_BYTES_MAX, s->end - s->at), err))
        return false;
    size_t length_n = uvarint_get(s->window + (s->at - s->window_at),
                                  s->window_n - (size_t)(s->at - s->window_at), &n);
    if (length_n == 0 || n > s->end - s->at - length_n)
        return error_set(err, ERR_CORRUPT, "series section does not read back");
    if (!window_fill(s, length_n + (size_t)n, err))
        return false;
    *entry = (struct bytes){ s->window + (s->at - s->window_at) + length_n, (size_t)n };
    *ref = (uint32_t)(s->at / INDEX_SERIES_ALIGN);
    s->at += length_n + n + CRC_BYTES;
    return true;
}

static void
use_add(struct collector *c, uint64_t key, uint32_t ref)
{
    MEM_GROW(c->uses, c->uses_nr + 1, &c->uses_cap);
    c->uses[c->uses_nr++] = (struct use){ key, ref };
}

static void
entry_collect(struct collector *c, struct bytes entry, uint32_t ref)
{
    struct dec d = dec_of(entry);

    for (uint64_t labels_nr = dec_uvarint(&d); labels_nr > 0; labels_nr--) {
        uint64_t name = dec_uvarint(&d), value = dec_uvarint(&d);
        if (c->group_of[name] != 0)
            use_add(c, (uint64_t)c->group_of[name] << 32 | value, ref);
    }
}

static bool
section_collect(struct collector *c, bool all_only, struct error *err)
{
    struct section s = { .w = c->w, .at = c->w->toc.series, .end = c->w->toc.label_indices };
    struct bytes entry;
    uint32_t ref;
    bool ok;

    c->uses_nr = 0;
    while ((ok = section_next(&s, &entry, &ref, err)) && ref != 0) {
        if (all_only)
            use_add(c, 0, ref);
        else
            entry_collect(c, entry, ref);
    }
    mem_free(s.window);
    return ok;
}

/* Stable radix sort by key, skipping bytes that are the same in all keys; references stay in order
 * within a key. */
static void
uses_sort(struct collector *c)
{
    c->spare = mem_realloc(c->spare, mem_array_bytes(c->uses_cap, sizeof *c->spare));
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t at[257] = { 0 };
        for (size_t i = 0; i < c->uses_nr; i++)
            at[(c->uses[i].key >> shift & 0xFF) + 1]++;
        if (at[(c->uses[0].key >> shift & 0xFF) + 1] == c->uses_nr)
            continue;
        for (size_t b = 1; b < 257; b++)
            at[b] += at[b - 1];
        for (size_t i = 0; i < c->uses_nr; i++)
            c->spare[at[c->uses[i].key >> shift & 0xFF]++] = c->uses[i];
        struct use *sorted = c->spare;
        c->spare = c->uses;
        c->uses = sorted;
    }
}

static void
str_add(struct file_out *f, struct str s)
{
    uint8_t length[VARINT_BYTES_MAX];

    file_out_add(f, length, uvarint_put(length, s.n));
    file_out_add(f, s.p, s.n);
}

static void
list_write(struct collector *c, struct str name, struct str value, const struct use *uses,
           size_t nr)
{
    struct file_out *f = &c->w->file;
    uint8_t number[VARINT_BYTES_MAX];

    file_out_pad(f, 4);
    file_out_add(&c->table, &(uint8_t){ SERIES_LABEL }, 1);
    str_add(&c->table, name);
    str_add(&c->table, value);
    file_out_add(&c->table, number, uvarint_put(number, file_out_pos(f)));
    file_out_u32(f, (uint32_t)(nr + 1) * 4);
    f->crc = 0;
    file_out_u32(f, (uint32_t)nr);
    for (size_t i = 0; i < nr; i++)
        file_out_u32(f, uses[i].ref);
    file_out_u32(f, f->crc);
    c->lists_nr++;
}

static void
group_write(struct collector *c, const uint32_t *names)
{
    for (size_t i = 0, end; i < c->uses_nr; i = end) {
        for (end = i + 1; end < c->uses_nr && c->uses[end].key == c->uses[i].key; end++)
            continue;
        uint32_t name = names[(c->uses[i].key >> 32) - 1];
        list_write(c, index_writer_symbol_text(c->w, name),
                   index_writer_symbol_text(c->w, (uint32_t)c->uses[i].key), c->uses + i, end - i);
    }
}

/* Takes names from *next on into a group; returns how many. */
static size_t
group_make(struct collector *c, size_t *next, uint32_t **names)
{
    uint64_t most = MAX(c->w->series_nr, (uint64_t)GROUP_NR_MIN), total = 0;
    size_t nr = 0, cap = 0;

    *names = NULL;
    memset(c->group_of, 0, c->w->symbols_nr * sizeof *c->group_of);
    for (; *next < c->w->symbols_nr; ++*next) {
        uint64_t uses = c->w->name_uses[*next];
        if (uses == 0)
            continue;
        if (nr > 0 && total + uses > most)
            break;
        MEM_GROW(*names, nr + 1, &cap);
        (*names)[nr++] = (uint32_t)*next;
        c->group_of[*next] = (uint32_t)nr;
        total += uses;
    }
    return nr;
}

static bool
groups_write(struct collector *c, struct error *err)
{
    size_t next = 0;
    uint32_t *names;

    while (group_make(c, &next, &names) > 0) {
        bool ok = section_collect(c, false, err);
        if (ok && c->uses_nr > 0) {
            uses_sort(c);
            group_write(c, names);
        }
        mem_free(names);
        if (!ok || !file_out_ok(&c->w->file, err))
            return false;
    }
    mem_free(names);
    return true;
}

/* Appends the table's entries, which are complete but for length, count and CRC. */
static bool
table_copy(struct collector *c, struct error *err)
{
    struct file_out *f = &c->w->file;
    uint64_t bytes = file_out_pos(&c->table);
    uint8_t *window = mem_alloc(WINDOW_BYTES);
    bool ok = true;

    c->w->toc.postings_table = file_out_pos(f);
    c->w->toc.label_indices_table = c->w->toc.postings_table;
    if (bytes + 4 > UINT32_MAX)
        ok = error_set(err, ERR_LIMIT, "postings offset table of %llu bytes does not fit the index",
                       (unsigned long long)bytes);
    file_out_u32(f, (uint32_t)bytes + 4);
    f->crc = 0;
    file_out_u32(f, (uint32_t)c->lists_nr);
    for (uint64_t at = 0; ok && at < bytes; at += WINDOW_BYTES) {
        size_t n = (size_t)MIN(bytes - at, (uint64_t)WINDOW_BYTES);
        ok = io_read(c->table.io, c->table.file, window, n, at, err);
        if (ok)
            file_out_add(f, window, n);
    }
    file_out_u32(f, f->crc);
    mem_free(window);
    return ok && file_out_ok(f, err);
}

bool
index_writer_postings(struct index_writer *w, struct error *err)
{
    struct collector c = { .w = w, .table = { .file = IO_NONE } };
    bool ok = false;

    file_out_flush(&w->file);
    if (!file_out_ok(&w->file, err) || !file_out_open(&c.table, w->file.io, w->table_path, err))
        return false;
    c.group_of = MEM_NEW_ARRAY(uint32_t, w->symbols_nr + 1);
    w->toc.postings = file_out_pos(&w->file);
    if (!section_collect(&c, true, err))
        goto out;
    list_write(&c, STR_NONE, STR_NONE, c.uses, c.uses_nr);
    if (!groups_write(&c, err))
        goto out;
    file_out_flush(&c.table);
    ok = file_out_ok(&c.table, err) && table_copy(&c, err);
out:
    mem_free(c.group_of);
    mem_free(c.uses);
    mem_free(c.spare);
    file_out_fini(&c.table);
    return io_remove(w->file.io, w->table_path, ok ? err : &(struct error){ 0 }) && ok;
}
