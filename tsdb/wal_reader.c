/* A segment is pages of 32 KiB; a page holds fragments `type | u16 length | u32 CRC | data`; type 0
 * ends the page, the rest is zeros. A record is one full fragment or first, middle..., last.
 *
 * Finding the way again after damage: fragments inside a page are chained by their lengths, which
 * may themselves be damaged, so a fragment is believed only when its CRC fits. After a bad one the
 * walk goes to the next page, whose start is known, and takes the first fragment there that begins
 * a record. One exception keeps more: when only the data of a fragment is bad and the fragment that
 * its length points to is sound, the walk goes on there. */
#include "tsdb/wal_reader.h"

#include <snappy-c.h>
#include <stdio.h>
#include <zstd.h>
#include "base/crc32c.h"
#include "base/mem.h"

enum { BLOCK_BYTES = 1 << 20 };
enum fragment_type { FRAG_PAGE_END, FRAG_FULL, FRAG_FIRST, FRAG_MIDDLE, FRAG_LAST };

struct fragment {
    enum fragment_type type;
    enum wal_compression compression;
    struct bytes data;
    uint64_t end; /* offset behind it */
};

bool
wal_reader_open(struct wal_reader *r, const struct io *io, const char *path, uint64_t at,
                struct error *err)
{
    *r = (struct wal_reader){ .io = io, .file = IO_NONE, .at = at };
    if (!io_open(io, path, IO_READ, &r->file, err))
        return false;
    if (!io_size(io, r->file, &r->bytes, err)) {
        wal_reader_close(r);
        return false;
    }
    r->block = mem_alloc(BLOCK_BYTES);
    return true;
}

void
wal_reader_close(struct wal_reader *r)
{
    if (r->io != NULL && r->file != IO_NONE)
        io_close(r->io, r->file);
    mem_free(r->block);
    buf_fini(&r->parts);
    error_clear(&r->err);
    *r = (struct wal_reader){ .file = IO_NONE };
}

static void
hole_begin(struct wal_reader *r, uint64_t at, const char *why)
{
    if (r->in_hole)
        return;
    r->in_hole = true;
    r->hole_at = at;
    snprintf(r->hole_why, sizeof r->hole_why, "%s", why);
}

/* The page's bytes from `at` on, up to its end or the segment's. NULL when reading failed. */
static const uint8_t *
page_rest(struct wal_reader *r, uint64_t at, size_t *n)
{
    uint64_t page_end = MIN((at / WAL_PAGE_BYTES + 1) * WAL_PAGE_BYTES, r->bytes);

    if (at < r->block_at || page_end > r->block_at + r->block_n || r->block_n == 0) {
        uint64_t start = at / WAL_PAGE_BYTES * WAL_PAGE_BYTES;
        uint64_t want = MIN((uint64_t)BLOCK_BYTES, r->bytes - start);
        r->block_n = 0;
        if (!io_read(r->io, r->file, r->block, (size_t)want, start, &r->err))
            return NULL;
        r->block_at = start;
        r->block_n = want;
    }
    *n = (size_t)(page_end - at);
    return r->block + (at - r->block_at);
}

static bool
all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static uint32_t
be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Looks at the fragment at `p`. NULL when it is sound, else what is wrong. *length is set whenever
 * the header lies inside. */
static const char *
fragment_parse(const uint8_t *p, size_t n, struct fragment *f, size_t *length)
{
    *length = 0;
    f->type = (enum fragment_type)(p[0] & 7);
    if (p[0] == 0)
        return all_zero(p, n) ? NULL : "unexpected non-zero byte in padded page";
    if (f->type == FRAG_PAGE_END || f->type > FRAG_LAST)
        return "unknown fragment type";
    if (n < WAL_FRAGMENT_HEADER)
        return "fragment header is cut off";
    *length = (size_t)p[1] << 8 | p[2];
    if (*length > n - WAL_FRAGMENT_HEADER)
        return "fragment reaches over its page or is cut off";
    f->compression = (p[0] & 8) != 0 ? WAL_SNAPPY : (p[0] & 16) != 0 ? WAL_ZSTD : WAL_PLAIN;
    f->data = (struct bytes){ p + WAL_FRAGMENT_HEADER, *length };
    if (crc32c(0, f->data.p, f->data.n) != be32(p + 3))
        return "unexpected checksum";
    return NULL;
}

/* After a bad fragment: where to look next. */
static uint64_t
resync(const uint8_t *p, size_t n, uint64_t at, size_t length)
{
    struct fragment next;
    size_t next_length, skip = WAL_FRAGMENT_HEADER + length;

    if (length != 0 && skip < n && p[skip] != 0 &&
        fragment_parse(p + skip, n - skip, &next, &next_length) == NULL)
        return at + skip;
    return (at / WAL_PAGE_BYTES + 1) * WAL_PAGE_BYTES;
}

/* The next sound fragment; false at the end, on a failed read, and after damage (the hole has begun
 * then and at stands behind it). */
static bool
fragment_next(struct wal_reader *r, struct fragment *f, bool *bad)
{
    *bad = false;
    while (r->at < r->bytes) {
        size_t n, length;
        const uint8_t *p = page_rest(r, r->at, &n);
        if (p == NULL)
            return false;
        const char *why = fragment_parse(p, n, f, &length);
        if (why != NULL) {
            hole_begin(r, r->at, why);
            r->at = MIN(resync(p, n, r->at, length), r->bytes);
            *bad = true;
            return false;
        }
        if (f->type != FRAG_PAGE_END) {
            r->at += WAL_FRAGMENT_HEADER + length;
            f->end = r->at;
            return true;
        }
        r->at += n;
    }
    return false;
}

/* Collects the fragments of one record. */
struct assembly {
    bool open;
    uint64_t start;
    enum wal_compression compression;
};

static const char *
order_wrong(const struct assembly *a, enum fragment_type type)
{
    if (a->open && (type == FRAG_FULL || type == FRAG_FIRST))
        return "record begins inside another one";
    if (!a->open && (type == FRAG_MIDDLE || type == FRAG_LAST))
        return "record continues that never began";
    return NULL;
}

/* True when f completes a record. */
static bool
assemble(struct wal_reader *r, struct assembly *a, const struct fragment *f, struct wal_record *rec)
{
    uint64_t start = f->end - f->data.n - WAL_FRAGMENT_HEADER;

    if (f->type == FRAG_FULL) {
        *rec = (struct wal_record){ f->data, f->compression, start, f->end };
        return true;
    }
    if (f->type == FRAG_FIRST) {
        *a = (struct assembly){ true, start, f->compression };
        buf_reset(&r->parts);
    }
    buf_add(&r->parts, f->data.p, f->data.n);
    if (f->type != FRAG_LAST)
        return false;
    *rec = (struct wal_record){ buf_as_bytes(&r->parts), a->compression, a->start, f->end };
    a->open = false;
    return true;
}

/* The hole that ends where the walk stands now, or before the record that comes next. */
static enum wal_step
hole_out(struct wal_reader *r, uint64_t end, struct wal_record *rec)
{
    r->in_hole = false;
    *rec = (struct wal_record){ .start = r->hole_at, .end = end };
    return WAL_HOLE;
}

enum wal_step
wal_reader_next(struct wal_reader *r, struct wal_record *rec)
{
    struct assembly a = { 0 };
    struct fragment f;
    bool bad;

    for (;;) {
        uint64_t before = r->at;
        if (!fragment_next(r, &f, &bad)) {
            if (bad) {
                if (a.open)
                    r->hole_at = MIN(r->hole_at, a.start);
                a.open = false;
                continue;
            }
            if (a.open && r->err.kind == ERR_NONE)
                hole_begin(r, a.start, "last record is torn");
            return r->in_hole && r->err.kind == ERR_NONE ? hole_out(r, r->bytes, rec) : WAL_END;
        }
        const char *why = order_wrong(&a, f.type);
        uint64_t start = f.end - f.data.n - WAL_FRAGMENT_HEADER;
        if (why != NULL) {
            hole_begin(r, a.open ? a.start : start, why);
            a.open = false;
            if (f.type == FRAG_MIDDLE || f.type == FRAG_LAST)
                continue;
        }
        if (r->in_hole) { /* this fragment begins a record: the hole ends before it */
            r->at = MAX(before, start);
            return hole_out(r, start, rec);
        }
        if (assemble(r, &a, &f, rec))
            return WAL_RECORD;
    }
}

bool
wal_reader_end(struct wal_reader *r, struct error *err)
{
    if (r->err.kind == ERR_NONE)
        return true;
    error_copy(err, &r->err);
    return false;
}

static bool
unpack_snappy(struct bytes in, struct buf *into, struct error *err)
{
    size_t n = 0;

    if (snappy_uncompressed_length((const char *)in.p, in.n, &n) != SNAPPY_OK ||
        n > WAL_RECORD_BYTES_MAX)
        return error_set(err, ERR_CORRUPT, "snappy record has a bad length");
    uint8_t *p = buf_reserve(into, n);
    if (snappy_uncompress((const char *)in.p, in.n, (char *)p, &n) != SNAPPY_OK)
        return error_set(err, ERR_CORRUPT, "snappy record does not decode");
    into->n += n;
    return true;
}

/* The frame may not tell its size (streaming writers): room is doubled up to the limit then. */
static bool
unpack_zstd(struct bytes in, struct buf *into, struct error *err)
{
    unsigned long long told = ZSTD_getFrameContentSize(in.p, in.n);

    if (told == ZSTD_CONTENTSIZE_ERROR)
        return error_set(err, ERR_CORRUPT, "zstd record has no frame");
    for (size_t room = told == ZSTD_CONTENTSIZE_UNKNOWN ? MAX(in.n * 4, (size_t)4096)
                                                        : (size_t)told;
         ; room *= 2) {
        if (room > WAL_RECORD_BYTES_MAX)
            return error_set(err, ERR_CORRUPT, "zstd record is too long");
        size_t n = ZSTD_decompress(buf_reserve(into, room), room, in.p, in.n);
        if (!ZSTD_isError(n)) {
            into->n += n;
            return true;
        }
        if (told != ZSTD_CONTENTSIZE_UNKNOWN)
            return error_set(err, ERR_CORRUPT, "zstd record does not decode");
    }
}

bool
wal_unpack_more(const struct wal_record *rec, struct buf *into, struct bytes *out,
                struct error *err)
{
    size_t at = into->n;

    if (rec->compression == WAL_PLAIN) {
        *out = rec->data;
        return true;
    }
    bool ok = rec->compression == WAL_SNAPPY ? unpack_snappy(rec->data, into, err)
                                             : unpack_zstd(rec->data, into, err);
    if (ok)
        *out = (struct bytes){ into->p + at, into->n - at };
    return ok;
}

bool
wal_unpack(const struct wal_record *rec, struct buf *into, struct bytes *out, struct error *err)
{
    buf_reset(into);
    return wal_unpack_more(rec, into, out, err);
}

static bool
segment_number(const char *name, uint32_t *nr)
{
    uint64_t v = 0;

    if (*name == '\0')
        return false;
    for (; *name != '\0'; name++) {
        if (*name < '0' || *name > '9' || v > UINT32_MAX / 10)
            return false;
        v = v * 10 + (uint64_t)(*name - '0');
    }
    *nr = (uint32_t)v;
    return v < INT32_MAX;
}

static int
u32_cmp(const void *a, const void *b)
{
    uint32_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

bool
wal_segments_list(const struct io *io, const char *dir, struct wal_segments *s, struct error *err)
{
    struct io_dir_list list;

    if (!io_list(io, dir, &list, err))
        return false;
    *s = (struct wal_segments){ MEM_NEW_ARRAY(uint32_t, list.nr + 1), 0 };
    for (size_t i = 0; i < list.nr; i++)
        if (!list.entries[i].is_dir && segment_number(list.entries[i].name, &s->v[s->nr]))
            s->nr++;
    io_dir_list_fini(&list);
    qsort(s->v, s->nr, sizeof *s->v, u32_cmp);
    return true;
}
