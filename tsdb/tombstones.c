/* The file: magic, version byte, entries (uvarint ref, varint min, varint max), CRC of the entries
 * alone. */
#include "tsdb/tombstones.h"

#include "base/crc32c.h"
#include "base/dec.h"
#include "base/mem.h"

#define MAGIC UINT32_C(0x0130BA30)
enum { VERSION = 1, HEADER_BYTES = 5, CRC_BYTES = 4, FILE_BYTES_MAX = 1 << 30 };

void
tombstones_fini(struct tombstones *t)
{
    for (size_t i = 0; i < t->nr; i++)
        mem_free(t->series[i].ranges);
    mem_free(t->series);
    *t = (struct tombstones){ 0 };
}

/* The first series with a reference not below ref. */
static size_t
lower_bound(const struct tombstones *t, uint64_t ref)
{
    size_t lo = 0, hi = t->nr;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t->series[mid].ref < ref)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct tombstone_series *
series_get(struct tombstones *t, uint64_t ref)
{
    size_t at = lower_bound(t, ref);

    if (at < t->nr && t->series[at].ref == ref)
        return &t->series[at];
    MEM_GROW(t->series, t->nr + 1, &t->cap);
    memmove(t->series + at + 1, t->series + at, (t->nr - at) * sizeof *t->series);
    t->series[at] = (struct tombstone_series){ .ref = ref };
    t->nr++;
    return &t->series[at];
}

/* Times are whole milliseconds, so that neighbours one apart touch. */
static bool
ends_before(struct time_range a, struct time_range b)
{
    return a.max_ms < b.min_ms && b.min_ms - 1 > a.max_ms;
}

void
tombstones_add(struct tombstones *t, uint64_t ref, int64_t min_ms, int64_t max_ms)
{
    struct tombstone_series *s = series_get(t, ref);
    struct time_range add = { min_ms, max_ms };
    uint32_t from = 0, to;

    while (from < s->nr && ends_before(s->ranges[from], add))
        from++;
    for (to = from; to < s->nr && !ends_before(add, s->ranges[to]); to++) {
        add.min_ms = MIN(add.min_ms, s->ranges[to].min_ms);
        add.max_ms = MAX(add.max_ms, s->ranges[to].max_ms);
    }
    if (from == to && s->nr == s->cap) {
        s->cap = s->cap == 0 ? 1 : s->cap * 2;
        s->ranges = mem_realloc(s->ranges, mem_array_bytes(s->cap, sizeof *s->ranges));
    }
    memmove(s->ranges + from + 1, s->ranges + to, (s->nr - to) * sizeof *s->ranges);
    s->ranges[from] = add;
    s->nr = s->nr + 1 - (to - from);
}

const struct tombstone_series *
tombstones_find(const struct tombstones *t, uint64_t ref)
{
    size_t at = lower_bound(t, ref);

    return at < t->nr && t->series[at].ref == ref ? &t->series[at] : NULL;
}

size_t
tombstones_ranges_nr(const struct tombstones *t)
{
    size_t nr = 0;

    for (size_t i = 0; i < t->nr; i++)
        nr += t->series[i].nr;
    return nr;
}

bool
tombstones_covers(const struct tombstone_series *s, int64_t min_ms, int64_t max_ms)
{
    for (uint32_t i = 0; i < s->nr; i++)
        if (s->ranges[i].min_ms <= min_ms && max_ms <= s->ranges[i].max_ms)
            return true;
    return false;
}

bool
tombstones_deleted(const struct tombstone_series *s, int64_t t_ms, uint32_t *hint)
{
    while (*hint < s->nr && s->ranges[*hint].max_ms < t_ms)
        ++*hint;
    return *hint < s->nr && s->ranges[*hint].min_ms <= t_ms;
}

struct entry {
    uint64_t ref;
    struct time_range range;
};

static int
entry_cmp(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return (x->ref > y->ref) - (x->ref < y->ref);
}

/* Prometheus writes them in no order of references; sorting first makes each addition one at the
 * end. */
static bool
entries_parse(struct tombstones *t, struct bytes bytes, struct error *err)
{
    struct dec d = dec_of(bytes);
    struct entry *entries = NULL;
    size_t nr = 0, cap = 0;

    while (dec_left(&d) > 0) {
        struct entry e = { .ref = dec_uvarint(&d) };
        e.range.min_ms = dec_varint(&d);
        e.range.max_ms = dec_varint(&d);
        if (!dec_ok(&d))
            break;
        MEM_GROW(entries, nr + 1, &cap);
        entries[nr++] = e;
    }
    bool ok = dec_end(&d, err);
    if (ok && nr > 0)
        qsort(entries, nr, sizeof *entries, entry_cmp);
    for (size_t i = 0; ok && i < nr; i++) {
        if (entries[i].range.min_ms > entries[i].range.max_ms)
            ok = error_set(err, ERR_CORRUPT, "tombstone ends before it begins");
        else
            tombstones_add(t, entries[i].ref, entries[i].range.min_ms, entries[i].range.max_ms);
    }
    mem_free(entries);
    return ok;
}

bool
tombstones_parse(struct tombstones *t, struct bytes file, struct error *err)
{
    struct dec d = dec_of(file);
    struct tombstones parsed = { 0 };

    if (file.n < HEADER_BYTES + CRC_BYTES)
        return error_set(err, ERR_CORRUPT, "tombstones file of %zu bytes is too short", file.n);
    if (dec_u32(&d) != MAGIC || dec_u8(&d) != VERSION)
        return error_set(err, ERR_CORRUPT, "not a tombstones file of version %d", VERSION);
    struct bytes entries = dec_bytes(&d, file.n - HEADER_BYTES - CRC_BYTES);
    if (crc32c(0, entries.p, entries.n) != dec_u32(&d))
        return error_set(err, ERR_CORRUPT, "tombstones file: checksum does not match");
    if (!entries_parse(&parsed, entries, err)) {
        tombstones_fini(&parsed);
        return false;
    }
    *t = parsed;
    return true;
}

void
tombstones_print(const struct tombstones *t, struct buf *out)
{
    buf_u32be(out, MAGIC);
    buf_byte(out, VERSION);
    size_t from = out->n;
    for (size_t i = 0; i < t->nr; i++) {
        for (uint32_t k = 0; k < t->series[i].nr; k++) {
            buf_uvarint(out, t->series[i].ref);
            buf_varint(out, t->series[i].ranges[k].min_ms);
            buf_varint(out, t->series[i].ranges[k].max_ms);
        }
    }
    buf_u32be(out, crc32c(0, out->p + from, out->n - from));
}

bool
tombstones_read(struct tombstones *t, const struct io *io, const char *dir, struct error *err)
{
    struct buf path = { 0 };
    char *p = NULL;
    size_t n;
    bool ok;

    buf_printf(&path, "%s/tombstones", dir);
    if (io_read_file(io, buf_z(&path), FILE_BYTES_MAX, &p, &n, err)) {
        ok = tombstones_parse(t, (struct bytes){ (const uint8_t *)p, n }, err);
    } else {
        ok = err->kind == ERR_NOT_FOUND;
        *t = (struct tombstones){ 0 };
        if (ok)
            error_clear(err);
    }
    mem_free(p);
    buf_fini(&path);
    return ok;
}

bool
tombstones_write(const struct tombstones *t, const struct io *io, const char *dir,
                 struct error *err)
{
    struct buf path = { 0 }, file = { 0 };

    buf_printf(&path, "%s/tombstones", dir);
    tombstones_print(t, &file);
    bool ok = io_replace_file(io, buf_z(&path), buf_as_bytes(&file), err);
    buf_fini(&path);
    buf_fini(&file);
    return ok;
}
