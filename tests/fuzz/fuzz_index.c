/* An index file. Checksums are made right first, else nothing behind them would ever be reached. */
#include "base/crc32c.h"
#include "base/mem.h"
#include "tsdb/index_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
put_u32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

/* A section `u32 length | content | crc`. */
static void
section_fix(uint8_t *p, size_t n, uint64_t at)
{
    if (at > n || n - at < 8)
        return;
    struct dec d = dec_of((struct bytes){ p + at, n - (size_t)at });
    uint32_t length = dec_u32(&d);
    if (length <= n - at - 8)
        put_u32(p + at + 4 + length, crc32c(0, p + at + 4, length));
}

static void
entry_fix(uint8_t *p, size_t n, uint64_t at)
{
    if (at >= n)
        return;
    struct dec d = dec_of((struct bytes){ p + at, n - (size_t)at });
    uint64_t length = dec_uvarint(&d);
    if (dec_ok(&d) && dec_left(&d) >= 4 && length <= dec_left(&d) - 4)
        put_u32(p + (d.p - p) + length, crc32c(0, d.p, (size_t)length));
}

static void
files_fix(uint8_t *p, size_t n)
{
    if (n < INDEX_TOC_BYTES)
        return;
    uint8_t *toc = p + n - INDEX_TOC_BYTES;
    struct dec d = dec_of((struct bytes){ toc, INDEX_TOC_BYTES });
    uint64_t symbols = dec_u64(&d);
    dec_bytes(&d, 32);
    uint64_t table = dec_u64(&d);
    section_fix(p, n - INDEX_TOC_BYTES, symbols);
    section_fix(p, n - INDEX_TOC_BYTES, table);
    put_u32(toc + INDEX_TOC_BYTES - 4, crc32c(0, toc, INDEX_TOC_BYTES - 4));
}

static void
series_read(const struct index_reader *r, uint8_t *p, size_t n, uint32_t ref, struct error *err)
{
    struct dec d;
    struct str text;

    entry_fix(p, n - INDEX_TOC_BYTES, r->version == 1 ? ref : (uint64_t)ref * INDEX_SERIES_ALIGN);
    if (!index_series_entry(r, ref, &d, err))
        return;
    for (uint64_t left = dec_uvarint(&d) * 2; left > 0 && dec_ok(&d); left--)
        error_ignored(index_symbol(r, (uint32_t)dec_uvarint(&d), &text, err));
}

static void
values_read(const struct index_reader *r, uint8_t *p, size_t n, const struct index_name *name,
            struct arena *a, struct error *err)
{
    struct index_values it;
    struct str value;
    uint64_t at;

    index_values_start(&it, r, name, 0);
    while (index_values_next(&it, &value, &at)) {
        struct postings list;
        (void)index_values_find(r, name, value);
        section_fix(p, n - INDEX_TOC_BYTES, at);
        if (!index_postings(r, at, a, &list, err))
            continue;
        for (size_t i = 0; i < list.nr && i < 16; i++)
            series_read(r, p, n, list.v[i], err);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct index_reader r;
    struct error err = { 0 };
    struct arena a;

    if (n > 1 << 16)
        return 0;
    uint8_t *p = mem_dup(data, n);
    files_fix(p, n);
    arena_init(&a, SIZE_MAX);
    if (index_reader_open(&r, (struct bytes){ p, n }, &err))
        for (size_t i = 0; i < r.names_nr; i++)
            values_read(&r, p, n, &r.names[i], &a, &err);
    index_reader_fini(&r);
    arena_fini(&a);
    error_clear(&err);
    mem_free(p);
    return 0;
}
