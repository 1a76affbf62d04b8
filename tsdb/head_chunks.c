/* File: magic, version, 3 zero bytes, then entries
 *   u64 series | u64 min | u64 max | encoding (0x80: out of order) | uvarint length | data | CRC of
 * all before up to one with series, min and max 0 (Prometheus preallocates) or the end.
 *
 * Opening reads every file once. The first damage sets that file and all later ones aside: what
 * they held is in the WAL, whose replay would skip samples that a later chunk covers, so keeping
 * later files would lose the gap. Nothing is appended to a file of an earlier run. A finished file
 * is mapped; the newest is read by pread, its unwritten tail from the buffer. */
#include "tsdb/head_chunks.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/dec.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/varint.h"

#define MAGIC UINT32_C(0x0130BC91)
enum {
    VERSION = 1,
    FILE_HEADER_BYTES = 8,
    ENTRY_FIXED_BYTES = 25, /* series, min, max, encoding */
    OOO_BIT = 0x80,
    CRC_BYTES = 4,
    BUFFER_BYTES = 64 << 10,
    READ_AHEAD_BYTES = 1024, /* most chunks come with one pread */
    CHUNK_BYTES_MAX = 16 << 20
};

struct file {
    _Atomic uint32_t refs;
    const struct io *io;
    io_file handle;
    struct io_map map; /* of a finished file; p NULL for the newest */
    uint32_t number;
    uint64_t bytes; /* written or buffered */
    int64_t max_ms;
    char *path;
};

struct head_chunks {
    const struct io *io;
    char *dir;
    uint64_t file_bytes;
    struct lock lock;    /* guards everything below */
    struct file **files; /* by number, consecutive */
    size_t files_nr, files_cap;
    bool writing; /* the last of files is ours and open for writing */
    uint32_t next_number;
    struct buf buffer; /* the newest file's bytes from file->bytes - buffer.n on */
};

static void
file_unref(struct file *f)
{
    if (atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    if (f->map.p != NULL)
        io_unmap(f->io, f->map);
    if (f->handle != IO_NONE)
        io_close(f->io, f->handle);
    mem_free(f->path);
    mem_free(f);
}

static struct file *
file_new(struct head_chunks *hc, uint32_t number)
{
    struct file *f = MEM_NEW(struct file);
    struct buf path = { 0 };

    buf_printf(&path, "%s/%06u", hc->dir, number);
    f->path = mem_strdup(buf_z(&path));
    buf_fini(&path);
    atomic_init(&f->refs, 1);
    f->io = hc->io;
    f->handle = IO_NONE;
    f->number = number;
    f->max_ms = INT64_MIN;
    return f;
}

static void
file_keep(struct head_chunks *hc, struct file *f)
{
    MEM_GROW(hc->files, hc->files_nr + 1, &hc->files_cap);
    hc->files[hc->files_nr++] = f;
    hc->next_number = f->number + 1;
}

/* ---- one entry ---- */

struct entry {
    struct head_chunk head;
    struct bytes data;
    size_t bytes; /* of the whole entry */
};

/* *end: there is no further entry. Damage is ERR_CORRUPT. */
static bool
entry_parse(struct bytes from, struct entry *e, bool *end, struct error *err)
{
    struct dec d = dec_of(from);

    *end = from.n == 0;
    if (*end)
        return true;
    e->head.series = dec_u64(&d);
    e->head.min_ms = (int64_t)dec_u64(&d);
    e->head.max_ms = (int64_t)dec_u64(&d);
    *end = dec_ok(&d) && e->head.series == 0 && e->head.min_ms == 0 && e->head.max_ms == 0;
    if (*end)
        return true;
    uint8_t encoding = dec_u8(&d);
    uint64_t n = dec_uvarint(&d);
    if (n > dec_left(&d))
        dec_fail(&d);
    e->data = dec_bytes(&d, (size_t)n);
    size_t checked = (size_t)(d.p - from.p);
    uint32_t crc = dec_u32(&d);
    if (!dec_ok(&d))
        return error_set(err, ERR_CORRUPT, "a chunk ends behind its file");
    if (crc32c(0, from.p, checked) != crc)
        return error_set(err, ERR_CORRUPT, "checksum does not match");
    e->head.encoding = (enum chunk_encoding)(encoding & ~OOO_BIT);
    e->head.is_ooo = (encoding & OOO_BIT) != 0;
    e->head.samples_nr = chunk_samples_nr(e->head.encoding, e->data);
    e->bytes = checked + CRC_BYTES;
    return true;
}

/* ---- opening ---- */

struct walk {
    struct file *f;
    uint64_t at;
    struct entry e;
    bool end;
};

static bool
walk_next(void *arg, struct error *err)
{
    struct walk *w = arg;

    if (w->at == 0) {
        struct dec d = dec_of((struct bytes){ w->f->map.p, w->f->map.n });
        if (dec_u32(&d) != MAGIC || dec_u8(&d) != VERSION || dec_left(&d) < 3)
            return error_set(err, ERR_CORRUPT, "not a head chunks file of version %d", VERSION);
        w->at = FILE_HEADER_BYTES;
    }
    struct bytes rest = { w->f->map.p + w->at, w->f->map.n - (size_t)w->at };
    if (!entry_parse(rest, &w->e, &w->end, err))
        return error_wrap(err, "offset %" PRIu64, w->at);
    if (!w->end) {
        w->e.head.ref = (uint64_t)w->f->number << 32 | w->at;
        w->at += w->e.bytes;
    }
    return true;
}

static bool
file_walk(struct file *f, head_chunk_fn fn, void *arg, struct error *err)
{
    struct walk w = { .f = f };

    for (;;) {
        if (!io_guarded_read(walk_next, &w, err))
            return false;
        if (w.end)
            break;
        f->max_ms = MAX(f->max_ms, w.e.head.max_ms);
        if (chunk_encoding_known(w.e.head.encoding) && !fn(arg, &w.e.head, err))
            return false;
    }
    f->bytes = w.at;
    return true;
}

static bool
file_map(struct file *f, struct error *err)
{
    if (!io_open(f->io, f->path, IO_READ, &f->handle, err))
        return false;
    bool ok = io_map_file(f->io, f->handle, &f->map, err);
    io_close(f->io, f->handle);
    f->handle = IO_NONE;
    return ok;
}

/* Maps anew: the pages that the walk has touched would count as ours as long as the mapping lives.
 */
static bool
file_map_anew(struct file *f, struct error *err)
{
    io_unmap(f->io, f->map);
    f->map = (struct io_map){ 0 };
    return file_map(f, err);
}

struct numbers {
    uint32_t *v;
    size_t nr;
};

static int
number_cmp(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static bool
numbers_list(struct head_chunks *hc, struct numbers *out, struct error *err)
{
    struct io_dir_list list = { 0 };

    if (!io_list(hc->io, hc->dir, &list, err))
        return false;
    out->v = MEM_NEW_ARRAY(uint32_t, list.nr + 1);
    for (size_t i = 0; i < list.nr; i++) {
        const char *name = list.entries[i].name;
        size_t n = strlen(name);
        if (n == 0 || n > 9 || strspn(name, "0123456789") != n || list.entries[i].is_dir)
            continue;
        out->v[out->nr++] = (uint32_t)strtoul(name, NULL, 10);
    }
    if (out->nr > 0)
        qsort(out->v, out->nr, sizeof *out->v, number_cmp);
    io_dir_list_fini(&list);
    return true;
}

/* A crash right after creating a file leaves it empty, or preallocated and without a header. */
static bool
is_unborn(const struct file *f)
{
    static const uint8_t zeros[4];
    uint8_t magic[4];
    struct error err = { 0 };
    io_file handle;

    if (!io_open(f->io, f->path, IO_READ, &handle, &err)) {
        error_clear(&err);
        return false;
    }
    bool unborn =
        !io_read(f->io, handle, magic, sizeof magic, 0, &err) || memcmp(magic, zeros, 4) == 0;
    error_clear(&err);
    io_close(f->io, handle);
    return unborn;
}

static bool
set_aside(struct head_chunks *hc, const char *aside_dir, struct file *f, struct error *err)
{
    struct buf to = { 0 };
    struct io_stat st;
    bool ok = io_mkdir(hc->io, aside_dir, err);

    buf_printf(&to, "%s/%06u", aside_dir, f->number);
    /* An earlier file of this number stays; the newer one gets a longer name. */
    for (struct error none = { 0 }; ok && io_stat_path(hc->io, buf_z(&to), &st, &none);)
        buf_c(&to, "+");
    ok = ok && io_rename(hc->io, f->path, buf_z(&to), err);
    buf_fini(&to);
    return ok;
}

static void
damage_note(struct head_chunks_damage *damage, uint32_t number, struct error *why)
{
    if (!damage->found) {
        damage->found = true;
        damage->first_bad_file = number;
        snprintf(damage->why, sizeof damage->why, "%06u: %s", number, error_text(why));
    }
    damage->files_nr++;
    error_clear(why);
}

static bool
files_open(struct head_chunks *hc, const struct numbers *numbers, const char *aside_dir,
           head_chunk_fn fn, void *arg, struct head_chunks_damage *damage, struct error *err)
{
    for (size_t i = 0; i < numbers->nr; i++) {
        struct file *f = file_new(hc, numbers->v[i]);
        struct error why = { 0 };
        bool good = !damage->found, ok = true;
        hc->next_number = numbers->v[i] + 1;
        if (i + 1 == numbers->nr && is_unborn(f)) {
            ok = io_remove(hc->io, f->path, err);
            file_unref(f);
            return ok;
        }
        if (good && i > 0 && numbers->v[i] != numbers->v[i - 1] + 1)
            good = error_set(&why, ERR_CORRUPT, "files are not sequential");
        good = good && file_map(f, &why) && file_walk(f, fn, arg, &why) && file_map_anew(f, &why);
        if (good) {
            file_keep(hc, f);
            continue;
        }
        damage_note(damage, f->number, &why);
        ok = set_aside(hc, aside_dir, f, err);
        file_unref(f);
        if (!ok)
            return false;
    }
    return true;
}

bool
head_chunks_open(struct head_chunks **out, const struct io *io, const char *dir,
                 const char *aside_dir, uint64_t file_bytes, head_chunk_fn fn, void *arg,
                 struct head_chunks_damage *damage, struct error *err)
{
    struct head_chunks *hc = MEM_NEW(struct head_chunks);
    struct numbers numbers = { 0 };

    *damage = (struct head_chunks_damage){ 0 };
    hc->io = io;
    hc->dir = mem_strdup(dir);
    hc->file_bytes = file_bytes;
    hc->next_number = 1;
    lock_init(&hc->lock, LOCK_HEAD_CHUNKS, "head chunks");
    bool ok = io_mkdir(io, dir, err) && numbers_list(hc, &numbers, err) &&
              files_open(hc, &numbers, aside_dir, fn, arg, damage, err);
    /* Numbers stay sequential for Prometheus when the damaged ones are gone. */
    if (ok && damage->found)
        hc->next_number = hc->files_nr == 0 ? 1 : hc->files[hc->files_nr - 1]->number + 1;
    mem_free(numbers.v);
    if (!ok) {
        error_wrap(err, "head chunks '%s'", dir);
        head_chunks_close(hc);
        return false;
    }
    *out = hc;
    return true;
}

/* ---- writing; the lock is held ---- */

static bool
buffer_flush(struct head_chunks *hc, struct error *err)
{
    if (!hc->writing || hc->buffer.n == 0)
        return true;
    struct file *f = hc->files[hc->files_nr - 1];
    if (!io_write(hc->io, f->handle, hc->buffer.p, hc->buffer.n, f->bytes - hc->buffer.n, err))
        return false;
    buf_reset(&hc->buffer);
    return true;
}

/* The newest file gets its mapping and is closed for writing. */
static bool
file_finish(struct head_chunks *hc, struct error *err)
{
    struct io_map map;

    if (!hc->writing)
        return true;
    struct file *f = hc->files[hc->files_nr - 1];
    if (!buffer_flush(hc, err) || !io_sync(hc->io, f->handle, err) ||
        !io_map_file(hc->io, f->handle, &map, err))
        return false;
    f->map = map; /* readers that pread keep the handle: it closes with the last reference */
    hc->writing = false;
    return true;
}

static bool
file_start(struct head_chunks *hc, struct error *err)
{
    struct file *f = file_new(hc, hc->next_number);

    if (!io_open(hc->io, f->path, IO_READ | IO_WRITE | IO_CREATE | IO_TRUNCATE, &f->handle, err)) {
        file_unref(f);
        return false;
    }
    file_keep(hc, f);
    hc->writing = true;
    buf_reset(&hc->buffer);
    buf_u32be(&hc->buffer, MAGIC);
    buf_u32be(&hc->buffer, (uint32_t)VERSION << 24);
    f->bytes = hc->buffer.n;
    /* The header goes out at once: a file without one counts as unborn. */
    if (buffer_flush(hc, err) && io_sync_dir(hc->io, hc->dir, err))
        return true;
    hc->writing = false;
    hc->files_nr--;
    hc->next_number = f->number;
    struct error other = { 0 };
    error_ignored(io_remove(hc->io, f->path, &other));
    error_clear(&other);
    file_unref(f);
    return false;
}

static void
entry_put(struct buf *b, uint64_t series, const struct chunk *c, bool is_ooo)
{
    size_t from = b->n;

    buf_u64be(b, series);
    buf_u64be(b, (uint64_t)c->min_ms);
    buf_u64be(b, (uint64_t)c->max_ms);
    buf_byte(b, (uint8_t)(c->encoding | (is_ooo ? OOO_BIT : 0)));
    buf_uvarint(b, c->data.n);
    buf_add(b, c->data.p, c->data.n);
    buf_u32be(b, crc32c(0, b->p + from, b->n - from));
}

static bool
write_locked(struct head_chunks *hc, uint64_t series, const struct chunk *c, bool is_ooo,
             uint64_t *ref, struct error *err)
{
    uint64_t most = ENTRY_FIXED_BYTES + VARINT_BYTES_MAX + c->data.n + CRC_BYTES;

    if (hc->writing && hc->files[hc->files_nr - 1]->bytes + most > hc->file_bytes &&
        !file_finish(hc, err))
        return false;
    if (!hc->writing && !file_start(hc, err))
        return false;
    if (hc->buffer.n + most > BUFFER_BYTES && !buffer_flush(hc, err))
        return false;
    struct file *f = hc->files[hc->files_nr - 1];
    size_t before = hc->buffer.n;
    *ref = (uint64_t)f->number << 32 | f->bytes;
    entry_put(&hc->buffer, series, c, is_ooo);
    f->bytes += hc->buffer.n - before;
    f->max_ms = MAX(f->max_ms, c->max_ms);
    return true;
}

bool
head_chunks_write(struct head_chunks *hc, uint64_t series, const struct chunk *c, bool is_ooo,
                  uint64_t *ref, struct error *err)
{
    if (c->data.n > CHUNK_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "chunk of %zu bytes is too large for the head chunks",
                         c->data.n);
    lock_take(&hc->lock);
    bool ok = write_locked(hc, series, c, is_ooo, ref, err);
    lock_release(&hc->lock);
    return ok || error_wrap(err, "head chunks '%s'", hc->dir);
}

bool
head_chunks_flush(struct head_chunks *hc, struct error *err)
{
    lock_take(&hc->lock);
    bool ok = buffer_flush(hc, err);
    lock_release(&hc->lock);
    return ok || error_wrap(err, "head chunks '%s'", hc->dir);
}

void
head_chunks_close(struct head_chunks *hc)
{
    struct error err = { 0 };

    if (hc == NULL)
        return;
    if (hc->writing && buffer_flush(hc, &err))
        error_ignored(io_sync(hc->io, hc->files[hc->files_nr - 1]->handle, &err));
    error_clear(&err);
    for (size_t i = 0; i < hc->files_nr; i++)
        file_unref(hc->files[i]);
    mem_free(hc->files);
    buf_fini(&hc->buffer);
    lock_fini(&hc->lock);
    mem_free(hc->dir);
    mem_free(hc);
}

/* ---- reading ---- */

static struct file *
file_find(const struct head_chunks *hc, uint64_t number)
{
    if (hc->files_nr == 0 || number < hc->files[0]->number ||
        number - hc->files[0]->number >= hc->files_nr)
        return NULL;
    return hc->files[number - hc->files[0]->number];
}

struct copy {
    struct bytes from;
    struct buf *into;
    struct entry e; /* its data lies in into */
};

static bool
entry_here(struct bytes from, struct entry *e, struct error *err)
{
    bool end;

    if (!entry_parse(from, e, &end, err))
        return false;
    return !end || error_set(err, ERR_CORRUPT, "no chunk there");
}

static bool
copy_mapped(void *arg, struct error *err)
{
    struct copy *c = arg;

    if (!entry_here(c->from, &c->e, err))
        return false;
    buf_reset(c->into);
    buf_add(c->into, c->e.data.p, c->e.data.n);
    c->e.data = buf_as_bytes(c->into);
    return true;
}

/* The whole entry by pread: what most need at once, then the rest if it is longer. */
static bool
copy_read(const struct file *f, uint64_t at, uint64_t end, struct buf *into, struct error *err)
{
    size_t n = (size_t)MIN(end - at, (uint64_t)READ_AHEAD_BYTES);
    uint64_t data_n = 0;

    buf_reset(into);
    if (!io_read(f->io, f->handle, buf_reserve(into, n), n, at, err))
        return false;
    into->n = n;
    if (n <= ENTRY_FIXED_BYTES)
        return error_set(err, ERR_CORRUPT, "no chunk there");
    size_t length_n = uvarint_get(into->p + ENTRY_FIXED_BYTES, n - ENTRY_FIXED_BYTES, &data_n);
    uint64_t all = ENTRY_FIXED_BYTES + length_n + data_n + CRC_BYTES;
    if (length_n == 0 || data_n > CHUNK_BYTES_MAX || all > end - at)
        return error_set(err, ERR_CORRUPT, "a chunk ends behind its file");
    if (all > n) {
        if (!io_read(f->io, f->handle, buf_reserve(into, (size_t)all - n), (size_t)all - n, at + n,
                     err))
            return false;
        into->n = (size_t)all;
    }
    return true;
}

/* Finds the file and, when the entry is still in the buffer, copies it; else *f is referenced for
 * reading outside the lock. */
static bool
copy_start(struct head_chunks *hc, uint64_t ref, struct buf *into, struct file **f, uint64_t *end,
           bool *done, struct error *err)
{
    uint64_t at = ref & UINT32_MAX;

    *done = false;
    *f = file_find(hc, ref >> 32);
    if (*f == NULL || at < FILE_HEADER_BYTES || at >= (*f)->bytes)
        return error_set(err, ERR_NOT_FOUND, "no such chunk");
    *end = (*f)->bytes;
    if (hc->writing && *f == hc->files[hc->files_nr - 1]) {
        uint64_t flushed = *end - hc->buffer.n;
        if (at >= flushed) {
            buf_reset(into);
            buf_add(into, hc->buffer.p + (at - flushed), (size_t)(*end - at));
            *done = true;
            return true;
        }
        *end = flushed;
    }
    atomic_fetch_add(&(*f)->refs, 1);
    return true;
}

static bool
copy_any(struct head_chunks *hc, uint64_t ref, struct copy *c, struct error *err)
{
    uint64_t at = ref & UINT32_MAX, end = 0;
    struct file *f;
    bool done, mapped;

    lock_take(&hc->lock);
    bool ok = copy_start(hc, ref, c->into, &f, &end, &done, err);
    mapped = ok && !done && f->map.p != NULL;
    lock_release(&hc->lock);
    if (!ok)
        return false;
    if (mapped) {
        c->from = (struct bytes){ f->map.p + at, (size_t)(MIN(end, (uint64_t)f->map.n) - at) };
        ok = at < f->map.n ? io_guarded_read(copy_mapped, c, err)
                           : error_set(err, ERR_CORRUPT, "a chunk lies behind its file");
    } else {
        ok = (done || copy_read(f, at, end, c->into, err)) &&
             entry_here(buf_as_bytes(c->into), &c->e, err);
    }
    if (!done)
        file_unref(f);
    return ok;
}

bool
head_chunks_copy(struct head_chunks *hc, uint64_t ref, struct buf *into,
                 enum chunk_encoding *encoding, struct bytes *data, struct error *err)
{
    struct copy c = { .into = into };

    if (!copy_any(hc, ref, &c, err))
        return error_wrap(err, "head chunk %06u at %u", (uint32_t)(ref >> 32), (uint32_t)ref);
    *encoding = c.e.head.encoding;
    *data = c.e.data;
    return true;
}

/* ---- truncation ---- */

bool
head_chunks_truncate(struct head_chunks *hc, int64_t min_ms, struct error *err)
{
    struct file **gone;
    size_t nr = 0;
    bool ok = true;

    lock_take(&hc->lock);
    while (nr + 1 < hc->files_nr && hc->files[nr]->max_ms < min_ms)
        nr++;
    gone = mem_dup(hc->files, nr * sizeof *gone);
    memmove(hc->files, hc->files + nr, (hc->files_nr - nr) * sizeof *hc->files);
    hc->files_nr -= nr;
    lock_release(&hc->lock);
    /* Oldest first, so that a failure leaves the numbers sequential. */
    for (size_t i = 0; i < nr; i++) {
        ok = ok && io_remove(hc->io, gone[i]->path, err);
        file_unref(gone[i]);
    }
    mem_free(gone);
    return ok || error_wrap(err, "head chunks '%s'", hc->dir);
}

uint64_t
head_chunks_bytes(struct head_chunks *hc)
{
    uint64_t bytes = 0;

    lock_take(&hc->lock);
    for (size_t i = 0; i < hc->files_nr; i++)
        bytes += hc->files[i]->bytes;
    lock_release(&hc->lock);
    return bytes;
}
