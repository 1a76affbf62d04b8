/* Opening walks symbols and postings table once (their CRCs are checked on the way) and keeps where
 * every 32nd entry is. Nothing of the file is believed: offsets are checked against its size,
 * counts against the bytes that would have to hold them. */
#include "tsdb/index_reader.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "base/mem.h"

void
index_reader_fini(struct index_reader *r)
{
    for (size_t i = 0; i < r->names_nr; i++)
        mem_free((char *)(uintptr_t)r->names[i].name.p);
    mem_free(r->names);
    mem_free(r->entries);
    mem_free(r->symbol_at);
    *r = (struct index_reader){ 0 };
}

/* A section `u32 length | content | crc` at an offset; what names it in an error. */
static bool
section_at(const struct index_reader *r, uint64_t at, const char *what, struct bytes *content,
           struct error *err)
{
    if (at > r->file.n)
        return error_set(err, ERR_CORRUPT, "%s: offset %llu lies outside the index", what,
                         (unsigned long long)at);
    struct dec d = dec_of((struct bytes){ r->file.p + at, r->file.n - (size_t)at });
    uint32_t n = dec_u32(&d);
    struct bytes b = dec_bytes(&d, n);
    uint32_t crc = dec_u32(&d);
    if (!dec_ok(&d))
        return error_set(err, ERR_CORRUPT, "%s: ends behind the end of the index", what);
    if (crc32c(0, b.p, b.n) != crc)
        return error_set(err, ERR_CORRUPT, "%s: checksum does not match", what);
    *content = b;
    return true;
}

static bool
toc_read(struct index_reader *r, struct error *err)
{
    if (r->file.n < INDEX_HEADER_BYTES + INDEX_TOC_BYTES)
        return error_set(err, ERR_CORRUPT, "index of %zu bytes is too short", r->file.n);
    struct dec head = dec_of(r->file);
    if (dec_u32(&head) != INDEX_MAGIC)
        return error_set(err, ERR_CORRUPT, "not an index file");
    r->version = dec_u8(&head);
    if (r->version < 1 || r->version > 3)
        return error_set(err, ERR_CORRUPT, "unknown index file version %u", r->version);
    struct bytes toc = { r->file.p + r->file.n - INDEX_TOC_BYTES, INDEX_TOC_BYTES };
    struct dec d = dec_of(toc);
    r->toc.symbols = dec_u64(&d);
    r->toc.series = dec_u64(&d);
    r->toc.label_indices = dec_u64(&d);
    r->toc.label_indices_table = dec_u64(&d);
    r->toc.postings = dec_u64(&d);
    r->toc.postings_table = dec_u64(&d);
    if (crc32c(0, toc.p, toc.n - CRC_BYTES) != dec_u32(&d))
        return error_set(err, ERR_CORRUPT, "table of contents: checksum does not match");
    return true;
}

static bool
symbols_read(struct index_reader *r, struct error *err)
{
    struct bytes section;

    if (!section_at(r, r->toc.symbols, "symbols", &section, err))
        return false;
    struct dec d = dec_of(section);
    uint32_t nr = dec_u32(&d), every = r->version == 1 ? 1 : INDEX_SAMPLE_EVERY;
    if (nr > dec_left(&d))
        return error_set(err, ERR_CORRUPT, "symbols: %u do not fit their section", nr);
    r->symbols_nr = nr;
    r->symbol_at = MEM_NEW_ARRAY(uint64_t, (size_t)nr / every + 1);
    for (uint32_t i = 0; i < nr; i++) {
        if (i % every == 0)
            r->symbol_at[i / every] = (uint64_t)(d.p - r->file.p);
        (void)dec_uvarint_str(&d);
    }
    return dec_check(&d, err) || error_wrap(err, "symbols");
}

uint32_t
index_symbol_number(const struct index_reader *r, uint32_t ref)
{
    size_t lo = 0, hi = r->symbols_nr;

    if (r->version != 1)
        return ref < r->symbols_nr ? ref : UINT32_MAX;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->symbol_at[mid] < ref)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->symbols_nr && r->symbol_at[lo] == ref ? (uint32_t)lo : UINT32_MAX;
}

bool
index_symbol(const struct index_reader *r, uint32_t ref, struct str *text, struct error *err)
{
    uint32_t number = index_symbol_number(r, ref);
    uint32_t every = r->version == 1 ? 1 : INDEX_SAMPLE_EVERY;

    if (number == UINT32_MAX)
        return error_set(err, ERR_CORRUPT, "unknown symbol reference %u", ref);
    uint64_t at = r->symbol_at[number / every];
    struct dec d = dec_of((struct bytes){ r->file.p + at, r->file.n - (size_t)at });
    for (uint32_t i = number % every; i > 0; i--)
        (void)dec_uvarint_str(&d);
    *text = dec_uvarint_str(&d);
    return dec_check(&d, err);
}

/* One entry: number of strings (2), name, value, offset of the list. */
static bool
entry_read(struct dec *d, struct str *name, struct str *value, uint64_t *postings_at)
{
    if (dec_uvarint(d) != 2)
        dec_fail(d);
    *name = dec_uvarint_str(d);
    *value = dec_uvarint_str(d);
    *postings_at = dec_uvarint(d);
    return dec_ok(d);
}

static struct index_name *
name_start(struct index_reader *r, struct str name)
{
    MEM_GROW(r->names, r->names_nr + 1, &r->names_cap);
    struct index_name *n = &r->names[r->names_nr];
    *n = (struct index_name){ { str_dup(name), name.n }, (uint32_t)r->entries_nr, 0 };
    r->names_nr++;
    return n;
}

static void
entry_keep(struct index_reader *r, uint32_t place)
{
    MEM_GROW(r->entries, r->entries_nr + 1, &r->entries_cap);
    r->entries[r->entries_nr++] = place;
}

/* Names must come in order; values of a name are trusted to (CRC), a wrong order only hides them.
 */
static bool
table_sample(struct index_reader *r, struct error *err)
{
    struct dec d = dec_of(r->table);
    struct index_name *n = NULL;
    struct str name, value;
    uint64_t at;

    while (dec_left(&d) > 0) {
        uint32_t place = (uint32_t)(d.p - r->table.p);
        if (!entry_read(&d, &name, &value, &at))
            return error_set(err, ERR_CORRUPT, "postings table does not decode");
        if (n == NULL || !str_eq(n->name, name)) {
            if (n != NULL && str_cmp(n->name, name) > 0)
                return error_set(err, ERR_CORRUPT, "postings table is not sorted");
            n = name_start(r, name);
        }
        if (n->values_nr++ % INDEX_SAMPLE_EVERY == 0)
            entry_keep(r, place);
    }
    return true;
}

struct place {
    struct str name, value;
    uint32_t place;
};

static int
place_cmp(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int c = str_cmp(x->name, y->name);

    return c != 0 ? c : str_cmp(x->value, y->value);
}

/* Version 1 was not always sorted: all places are kept, in order. */
static bool
table_sort(struct index_reader *r, struct error *err)
{
    struct dec d = dec_of(r->table);
    struct place *places = NULL;
    size_t nr = 0, cap = 0;
    uint64_t at;

    while (dec_left(&d) > 0) {
        struct place p = { .place = (uint32_t)(d.p - r->table.p) };
        if (!entry_read(&d, &p.name, &p.value, &at))
            break;
        MEM_GROW(places, nr + 1, &cap);
        places[nr++] = p;
    }
    if (nr > 0)
        qsort(places, nr, sizeof *places, place_cmp);
    for (size_t i = 0; i < nr; i++) {
        if (i == 0 || !str_eq(places[i].name, places[i - 1].name))
            name_start(r, places[i].name);
        r->names[r->names_nr - 1].values_nr++;
        entry_keep(r, places[i].place);
    }
    mem_free(places);
    return dec_check(&d, err) || error_wrap(err, "postings table");
}

bool
index_reader_open(struct index_reader *r, struct bytes file, struct error *err)
{
    struct bytes section;

    *r = (struct index_reader){ .file = file };
    if (!toc_read(r, err) || !symbols_read(r, err))
        return false;
    if (!section_at(r, r->toc.postings_table, "postings table", &section, err))
        return false;
    if (section.n < 4)
        return error_set(err, ERR_CORRUPT, "postings table has no count");
    r->table = (struct bytes){ section.p + 4, section.n - 4 };
    return r->version == 1 ? table_sort(r, err) : table_sample(r, err);
}

bool
index_series_entry(const struct index_reader *r, uint32_t ref, struct dec *entry, struct error *err)
{
    uint64_t at = r->version == 1 ? ref : (uint64_t)ref * INDEX_SERIES_ALIGN;

    if (at < INDEX_HEADER_BYTES || at >= r->file.n)
        return error_set(err, ERR_CORRUPT, "series %u lies outside the index", ref);
    struct dec d = dec_of((struct bytes){ r->file.p + at, r->file.n - (size_t)at });
    uint64_t n = dec_uvarint(&d);
    struct bytes content = dec_bytes(&d, (size_t)n);
    uint32_t crc = dec_u32(&d);
    if (!dec_ok(&d))
        return error_set(err, ERR_CORRUPT, "series %u ends behind the end of the index", ref);
    if (crc32c(0, content.p, content.n) != crc)
        return error_set(err, ERR_CORRUPT, "series %u: checksum does not match", ref);
    *entry = dec_of(content);
    return true;
}

const struct index_name *
index_name_find(const struct index_reader *r, struct str name)
{
    size_t lo = 0, hi = r->names_nr;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = str_cmp(r->names[mid].name, name);
        if (c == 0)
            return &r->names[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static struct dec
entry_at(const struct index_reader *r, size_t kept)
{
    uint32_t place = r->entries[kept];

    return dec_of((struct bytes){ r->table.p + place, r->table.n - place });
}

void
index_values_start(struct index_values *it, const struct index_reader *r,
                   const struct index_name *name, uint32_t from_nr)
{
    uint32_t every = r->version == 1 ? 1 : INDEX_SAMPLE_EVERY;
    struct str value;
    uint64_t at;

    *it = (struct index_values){ .r = r, .name = name, .next_nr = from_nr };
    if (from_nr >= name->values_nr)
        return;
    it->at = entry_at(r, name->entry + from_nr / every);
    it->next_nr = from_nr / every * every;
    while (it->next_nr < from_nr && index_values_next(it, &value, &at))
        continue;
}

bool
index_values_next(struct index_values *it, struct str *value, uint64_t *postings_at)
{
    struct str name;

    if (it->next_nr >= it->name->values_nr || it->at.bad)
        return false;
    if (it->r->version == 1)
        it->at = entry_at(it->r, it->name->entry + it->next_nr);
    it->next_nr++;
    return entry_read(&it->at, &name, value, postings_at);
}

uint32_t
index_values_find(const struct index_reader *r, const struct index_name *name, struct str value)
{
    uint32_t every = r->version == 1 ? 1 : INDEX_SAMPLE_EVERY;
    uint32_t lo = 0, hi = (name->values_nr + every - 1) / every; /* the last kept value <= value */
    struct index_values it;
    struct str at_name, at_value;
    uint64_t at;

    while (lo + 1 < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct dec d = entry_at(r, name->entry + mid);
        if (entry_read(&d, &at_name, &at_value, &at) && str_cmp(at_value, value) <= 0)
            lo = mid;
        else
            hi = mid;
    }
    index_values_start(&it, r, name, lo * every);
    while (index_values_next(&it, &at_value, &at))
        if (str_cmp(at_value, value) >= 0)
            return it.next_nr - 1;
    return name->values_nr;
}

bool
index_postings(const struct index_reader *r, uint64_t at, struct arena *arena,
               struct postings *list, struct error *err)
{
    struct bytes section;

    if (!section_at(r, at, "postings", &section, err))
        return false;
    struct dec d = dec_of(section);
    uint32_t nr = dec_u32(&d);
    if (!dec_ok(&d) || dec_left(&d) / 4 < nr)
        return error_set(err, ERR_CORRUPT, "postings: %u references do not fit the list", nr);
    uint32_t *v = arena_alloc(arena, arena_array_bytes((size_t)nr + 1, sizeof *v));
    bool grows = true;
    for (uint32_t i = 0; i < nr; i++) {
        uint32_t be;
        memcpy(&be, d.p + (size_t)i * 4, 4);
        v[i] = __builtin_bswap32(be);
        grows &= i == 0 || v[i] > v[i - 1];
    }
    if (!grows)
        return error_set(err, ERR_CORRUPT, "postings: references are not sorted");
    *list = (struct postings){ v, nr };
    return true;
}
