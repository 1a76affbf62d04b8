#include "tsdb/wal_repair.h"

#include <limits.h>
#include <stdio.h>
#include "base/mem.h"
#include "tsdb/wal.h"

enum { GAPS_MAX = 10000, COPY_BYTES = 1 << 20 };

/* One segment being rewritten. */
struct rewrite {
    const struct io *io;
    const char *aside_dir, *log;
    uint32_t segment;
    io_file from, to;
    uint64_t to_at;
    struct buf framed;
};

void
wal_damages_add(struct wal_damages *d, uint32_t segment, uint64_t start, uint64_t end)
{
    MEM_GROW(d->v, d->nr + 1, &d->cap);
    d->v[d->nr++] = (struct wal_damage){ segment, start, end };
}

void
wal_damages_fini(struct wal_damages *d)
{
    mem_free(d->v);
    *d = (struct wal_damages){ 0 };
}

static int
damage_cmp(const void *a, const void *b)
{
    const struct wal_damage *x = a, *y = b;

    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    return (x->start > y->start) - (x->start < y->start);
}

/* Copies [start, end) of the old segment to a file of its own. */
static bool
keep_aside(struct rewrite *rw, uint64_t start, uint64_t end, struct error *err)
{
    char path[PATH_MAX];
    io_file out;
    bool ok = true;

    snprintf(path, sizeof path, "%s/%s-%08u-%llu", rw->aside_dir, rw->log, rw->segment,
             (unsigned long long)start);
    if (start == end)
        return true;
    if (!io_mkdir(rw->io, rw->aside_dir, err) ||
        !io_open(rw->io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &out, err))
        return false;
    uint8_t *block = mem_alloc(COPY_BYTES);
    for (uint64_t at = start; ok && at < end; at += COPY_BYTES) {
        size_t n = (size_t)MIN((uint64_t)COPY_BYTES, end - at);
        ok = io_read(rw->io, rw->from, block, n, at, err) &&
             io_write(rw->io, out, block, n, at - start, err);
    }
    ok = ok && io_sync(rw->io, out, err);
    mem_free(block);
    io_close(rw->io, out);
    return ok;
}

static bool
copy_record(struct rewrite *rw, const struct wal_record *rec, struct error *err)
{
    buf_reset(&rw->framed);
    wal_frame(&rw->framed, rw->to_at, rec->data, rec->compression);
    if (!io_write(rw->io, rw->to, rw->framed.p, rw->framed.n, rw->to_at, err))
        return false;
    rw->to_at += rw->framed.n;
    return true;
}

static bool
listed(const struct wal_damage *d, size_t nr, uint64_t start)
{
    for (size_t i = 0; i < nr; i++)
        if (d[i].start <= start && start < d[i].end)
            return true;
    return false;
}

static bool
rewrite_records(struct rewrite *rw, struct wal_reader *r, const struct wal_damage *d, size_t nr,
                struct error *err)
{
    struct wal_record rec;

    for (;;) {
        enum wal_step step = wal_reader_next(r, &rec);
        if (step == WAL_END)
            return wal_reader_end(r, err);
        bool ok = step == WAL_HOLE || listed(d, nr, rec.start)
                      ? keep_aside(rw, rec.start, rec.end, err)
                      : copy_record(rw, &rec, err);
        if (!ok)
            return false;
    }
}

static bool
rewrite_segment(const struct io *io, const char *dir, const char *aside_dir, const char *log,
                const struct wal_damage *d, size_t nr, struct error *err)
{
    struct rewrite rw = {
        .io = io, .aside_dir = aside_dir, .log = log, .segment = d[0].segment, .to = IO_NONE
    };
    struct wal_reader r = { .file = IO_NONE };
    char path[PATH_MAX], tmp[PATH_MAX];
    bool ok = false;

    wal_segment_path(path, sizeof path, dir, d[0].segment);
    snprintf(tmp, sizeof tmp, "%.4000s.tmp", path);
    if (!wal_reader_open(&r, io, path, 0, err))
        goto out;
    rw.from = r.file;
    if (!io_open(io, tmp, IO_WRITE | IO_CREATE | IO_TRUNCATE, &rw.to, err))
        goto out;
    ok = rewrite_records(&rw, &r, d, nr, err) && io_sync(io, rw.to, err) &&
         io_rename(io, tmp, path, err) && io_sync_dir(io, dir, err);
out:
    if (rw.to != IO_NONE)
        io_close(io, rw.to);
    wal_reader_close(&r);
    buf_fini(&rw.framed);
    return ok || error_wrap(err, "repairing wal segment '%s'", path);
}

bool
wal_repair(const struct io *io, const char *dir, const char *aside_dir, const char *log,
           struct wal_damages *d, struct error *err)
{
    if (d->nr > 1)
        qsort(d->v, d->nr, sizeof *d->v, damage_cmp);
    for (size_t i = 0, end; i < d->nr; i = end) {
        for (end = i + 1; end < d->nr && d->v[end].segment == d->v[i].segment;)
            end++;
        if (!rewrite_segment(io, dir, aside_dir, log, d->v + i, end - i, err))
            return false;
    }
    return true;
}

bool
wal_fill_gaps(const struct io *io, const char *dir, const struct wal_segments *s, size_t *missing,
              struct error *err)
{
    char path[PATH_MAX];
    io_file file;

    *missing = 0;
    if (s->nr == 0)
        return true;
    if (s->v[s->nr - 1] - s->v[0] - (s->nr - 1) > GAPS_MAX)
        return error_set(err, ERR_CORRUPT,
                         "segments of '%s' are not sequential: %08u to %08u, %zu files", dir,
                         s->v[0], s->v[s->nr - 1], s->nr);
    for (size_t i = 1; i < s->nr; i++) {
        for (uint32_t n = s->v[i - 1] + 1; n < s->v[i]; n++, ++*missing) {
            wal_segment_path(path, sizeof path, dir, n);
            if (!io_open(io, path, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &file, err))
                return false;
            io_close(io, file);
        }
    }
    return *missing == 0 || io_sync_dir(io, dir, err);
}
