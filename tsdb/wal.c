/* Where the log stands: segment number and byte offset `at`. Bytes behind `at` may be left by a
 * failed write; they are cut off before the next one (torn). Batches that the full disk did not
 * take wait in memory (hold) and are written before any other. Invariants:
 *   1. Below `at` the segment holds whole records only.
 *   2. A record never crosses segments: when it does not fit, the page is padded with zeros and the
 * next segment begun.
 *   3. A segment is synced before the next one receives its first record, whatever the mode. */
#include "tsdb/wal.h"

#include <errno.h>
#include <limits.h>
#include <snappy-c.h>
#include <stdio.h>
#include <zstd.h>
#include "base/crc32c.h"
#include "base/lock.h"
#include "base/mem.h"
#include "tsdb/wal_hold.h"

struct wal {
    const struct io *io;
    const struct clock *clock;
    char *dir;
    struct wal_options o;
    struct lock lock; /* guards all below */
    struct cond moved;
    io_file file;
    uint32_t segment;
    uint64_t at, older_bytes; /* older_bytes: of finished segments */
    bool torn;
    struct wal_hold hold; /* batches that wait for room; they go first */
    struct buf framed;
    uint64_t written, synced; /* counts of commits */
    bool syncing, stopping, has_thread;
    pthread_t thread;
    struct {
        struct metric *fsync_failed, *page_flushes, *completed_pages, *part_writes, *part_bytes,
            *writes_failed, *truncations, *truncations_failed, *segment, *saved, *held_bytes, *held,
            *held_refused, *held_lost;
        struct metric_summary *fsync;
    } m;
    struct metric unused; /* where counts go without a registry */
};

void
wal_segment_path(char *path, size_t cap, const char *dir, uint32_t segment)
{
    snprintf(path, cap, "%s/%08u", dir, segment);
}

static void
put_fragment(struct buf *out, uint8_t type, struct bytes data)
{
    buf_byte(out, type);
    buf_u16be(out, (uint16_t)data.n);
    buf_u32be(out, crc32c(0, data.p, data.n));
    buf_add(out, data.p, data.n);
}

static void
pad(struct buf *out, size_t n)
{
    memset(buf_reserve(out, n), 0, n);
    out->n += n;
}

void
wal_frame(struct buf *out, uint64_t at, struct bytes data, enum wal_compression compression)
{
    uint8_t flag = compression == WAL_SNAPPY ? 8 : compression == WAL_ZSTD ? 16 : 0;
    bool first = true;

    do {
        size_t room = WAL_PAGE_BYTES - (size_t)(at % WAL_PAGE_BYTES);
        if (room <= WAL_FRAGMENT_HEADER) { /* as Prometheus: no empty fragment at a page's end */
            pad(out, room);
            at += room;
            continue;
        }
        size_t n = MIN(data.n, room - WAL_FRAGMENT_HEADER);
        bool last = n == data.n;
        uint8_t type = first && last ? 1 : first ? 2 : last ? 4 : 3;
        put_fragment(out, type | flag, (struct bytes){ data.p, n });
        data = (struct bytes){ data.p + n, data.n - n };
        at += WAL_FRAGMENT_HEADER + n;
        first = false;
        if (last)
            return;
    } while (true);
}

uint64_t
wal_framed_bytes(uint64_t at, uint64_t data_bytes)
{
    uint64_t pages = data_bytes / (WAL_PAGE_BYTES - WAL_FRAGMENT_HEADER) + 2;

    (void)at;
    return data_bytes + pages * WAL_FRAGMENT_HEADER + WAL_FRAGMENT_HEADER;
}

void
wal_batch_fini(struct wal_batch *b)
{
    buf_fini(&b->raw);
    buf_fini(&b->packed);
    mem_free(b->records);
    ZSTD_freeCCtx(b->zstd);
    *b = (struct wal_batch){ 0 };
}

void
wal_batch_reset(struct wal_batch *b)
{
    buf_reset(&b->raw);
    buf_reset(&b->packed);
    b->nr = 0;
    b->saved_bytes = 0;
}

/* Bytes put behind packed, or 0 when compression does not help. */
static size_t
pack(struct wal_batch *b, enum wal_compression compression)
{
    size_t n = 0;

    if (compression == WAL_SNAPPY) {
        n = snappy_max_compressed_length(b->raw.n);
        char *p = (char *)buf_reserve(&b->packed, n);
        if (snappy_compress((const char *)b->raw.p, b->raw.n, p, &n) != SNAPPY_OK)
            n = 0;
    } else if (compression == WAL_ZSTD) {
        size_t room = ZSTD_compressBound(b->raw.n);
        if (b->zstd == NULL)
            b->zstd = ZSTD_createCCtx();
        n = ZSTD_compressCCtx(b->zstd, buf_reserve(&b->packed, room), room, b->raw.p, b->raw.n, 1);
        if (ZSTD_isError(n))
            n = 0;
    }
    return n < b->raw.n ? n : 0;
}

void
wal_batch_add(struct wal_batch *b, enum wal_compression compression)
{
    if (b->raw.n == 0)
        return;
    size_t n = pack(b, compression);
    if (n != 0) {
        b->packed.n += n;
        b->saved_bytes += b->raw.n - n;
    } else {
        compression = WAL_PLAIN;
        n = b->raw.n;
        buf_add(&b->packed, b->raw.p, n);
    }
    MEM_GROW(b->records, b->nr + 1, &b->cap);
    b->records[b->nr++] = (struct wal_packed){ (uint32_t)n, compression };
    buf_reset(&b->raw);
}

static bool
segment_begin(struct wal *w, uint32_t segment, struct error *err)
{
    char path[PATH_MAX];
    io_file file;

    wal_segment_path(path, sizeof path, w->dir, segment);
    if (!io_open(w->io, path, IO_READ | IO_WRITE | IO_CREATE | IO_TRUNCATE, &file, err))
        return false;
    if (!io_sync_dir(w->io, w->dir, err)) {
        io_close(w->io, file);
        return false;
    }
    w->file = file;
    w->segment = segment;
    w->at = 0;
    w->torn = false;
    metric_set(w->m.segment, segment);
    return true;
}

static bool
sync_file(struct wal *w, io_file file, struct error *err)
{
    int64_t start_ns = clock_monotonic_ns(w->clock);
    bool ok = io_sync(w->io, file, err);
    int64_t end_ns = clock_monotonic_ns(w->clock);

    if (w->m.fsync != NULL)
        metric_summary_observe(w->m.fsync, (double)(end_ns - start_ns) / 1e9, end_ns);
    if (!ok)
        metric_inc(w->m.fsync_failed);
    return ok;
}

/* Cuts off what a failed write may have left. */
static bool
mend(struct wal *w, struct error *err)
{
    if (!w->torn)
        return true;
    if (!io_truncate(w->io, w->file, w->at, err))
        return false;
    w->torn = false;
    return true;
}

static bool
write_at(struct wal *w, struct bytes data, struct error *err)
{
    if (!mend(w, err))
        return false;
    if (!io_write(w->io, w->file, data.p, data.n, w->at, err)) {
        struct error ignored = { 0 };
        w->torn = true;
        error_ignored(mend(w, &ignored));
        error_clear(&ignored);
        metric_inc(w->m.writes_failed);
        return false;
    }
    metric_add(w->m.completed_pages,
               (double)((w->at + data.n) / WAL_PAGE_BYTES - w->at / WAL_PAGE_BYTES));
    metric_inc(w->m.page_flushes);
    w->at += data.n;
    return true;
}

static bool
pad_page(struct wal *w, struct error *err)
{
    size_t part = (size_t)(w->at % WAL_PAGE_BYTES);
    static const uint8_t zeros[WAL_PAGE_BYTES];

    return part == 0 || write_at(w, (struct bytes){ zeros, WAL_PAGE_BYTES - part }, err);
}

/* With the lock. Finishes the segment and begins the next. */
static bool
cut(struct wal *w, struct error *err)
{
    while (w->syncing)
        cond_wait(&w->moved, &w->lock);
    if (!pad_page(w, err) || !sync_file(w, w->file, err))
        return false;
    io_file old = w->file;
    uint64_t old_bytes = w->at;
    if (!segment_begin(w, w->segment + 1, err))
        return false;
    io_drop_cache(w->io, old);
    io_close(w->io, old);
    w->older_bytes += old_bytes;
    w->synced = w->written;
    return true;
}

static void
metrics_init(struct wal *w)
{
    struct metrics *m = w->o.metrics;
    static const double quantiles[] = { 0.5, 0.9, 0.99 };
    static const char *const compression[] = { "compression", NULL };

    w->m.fsync_failed = w->m.page_flushes = w->m.completed_pages = w->m.part_writes =
        w->m.part_bytes = w->m.writes_failed = w->m.truncations = w->m.truncations_failed =
            w->m.segment = w->m.saved = w->m.held_bytes = w->m.held = w->m.held_refused =
                w->m.held_lost = &w->unused;
    if (m == NULL)
        return;
    w->m.fsync_failed =
        metrics_counter(m, "narthex_wal_fsync_failed_total", "Syncs of WAL segments that failed.");
    w->m.page_flushes = metrics_counter(m, "prometheus_tsdb_wal_page_flushes_total",
                                        "Total number of page flushes.");
    w->m.completed_pages = metrics_counter(m, "prometheus_tsdb_wal_completed_pages_total",
                                           "Total number of completed pages.");
    w->m.part_writes = metrics_counter(m, "prometheus_tsdb_wal_record_part_writes_total",
                                       "Total number of record parts written before flushing.");
    w->m.part_bytes = metrics_counter(m, "prometheus_tsdb_wal_record_parts_bytes_written_total",
                                      "Total number of record part bytes written before flushing, "
                                      "including CRC and compression headers.");
    w->m.writes_failed = metrics_counter(m, "prometheus_tsdb_wal_writes_failed_total",
                                         "Total number of write log writes that failed.");
    w->m.truncations =
        metrics_counter(m, "prometheus_tsdb_wal_truncations_total",
                        "Total number of write log truncations that were attempted.");
    w->m.truncations_failed = metrics_counter(m, "prometheus_tsdb_wal_truncations_failed_total",
                                              "Total number of write log truncations that failed.");
    w->m.segment = metrics_gauge(m, "prometheus_tsdb_wal_segment_current",
                                 "Write log segment index that TSDB is currently writing to.");
    w->m.held_bytes = metrics_gauge(m, "narthex_wal_held_bytes",
                                    "Bytes of batches in memory that the full disk did not take.");
    w->m.held = metrics_counter(m, "narthex_wal_held_batches_total",
                                "Batches kept in memory because the disk was full.");
    w->m.held_refused =
        metrics_counter(m, "narthex_wal_refused_batches_total",
                        "Batches refused while the disk was full: pushes, and all beyond the bound "
                        "of what is kept in memory.");
    w->m.held_lost = metrics_counter(m, "narthex_wal_lost_batches_total",
                                     "Batches still in memory when the log was closed.");
    struct str how = w->o.compression == WAL_ZSTD ? STR("zstd") : STR("snappy");
    w->m.saved = metrics_child(
        metrics_family(m, METRIC_COUNTER, "prometheus_tsdb_wal_record_bytes_saved_total",
                       "Total number of bytes saved by the optional record compression.",
                       compression),
        &how);
    w->m.fsync = metrics_summary(metrics_family(m, METRIC_SUMMARY,
                                                "prometheus_tsdb_wal_fsync_duration_seconds",
                                                "Duration of write log fsync.", NULL),
                                 NULL, quantiles, ARRAY_LEN(quantiles));
}

/* Syncs everything committed before the call. With the lock, which is released meanwhile. */
static bool
sync_locked(struct wal *w, struct error *err)
{
    uint64_t want = w->written;

    while (w->syncing && w->synced < want)
        cond_wait(&w->moved, &w->lock);
    if (w->synced >= want)
        return true;
    w->syncing = true;
    uint64_t target = w->written;
    io_file file = w->file; /* cut() waits for us: it stays open */
    lock_release(&w->lock);
    bool ok = sync_file(w, file, err);
    lock_take(&w->lock);
    w->syncing = false;
    if (ok)
        w->synced = MAX(w->synced, target);
    cond_broadcast(&w->moved);
    return ok;
}

/* With the lock: the batch's records as they will stand from the current offset on. */
static void
frame_batch(struct wal *w, const struct wal_batch *b)
{
    const uint8_t *p = b->packed.p;

    buf_reset(&w->framed);
    for (size_t i = 0; i < b->nr; i++) {
        wal_frame(&w->framed, w->at + w->framed.n, (struct bytes){ p, b->records[i].bytes },
                  b->records[i].compression);
        p += b->records[i].bytes;
    }
}

/* With the lock: the whole batch reaches the file, or nothing of it. */
static bool
write_batch(struct wal *w, const struct wal_batch *b, struct error *err)
{
    if (w->at > 0 &&
        w->at + wal_framed_bytes(w->at, b->packed.n) + b->nr * 14 > w->o.segment_bytes &&
        !cut(w, err))
        return false;
    frame_batch(w, b);
    if (!write_at(w, buf_as_bytes(&w->framed), err))
        return false;
    metric_add(w->m.part_writes, (double)b->nr);
    metric_add(w->m.part_bytes, (double)w->framed.n);
    metric_add(w->m.saved, (double)b->saved_bytes);
    w->written++;
    return true;
}

/* No room, or a device that refuses: both may pass, and neither is a fault of the batch. */
static bool
is_full(const struct error *err)
{
    return err->kind == ERR_FULL || (err->kind == ERR_IO && err->sys == EIO);
}

/* With the lock: writes what waits, oldest first. True when nothing waits any more. */
static bool
drain(struct wal *w, struct error *err)
{
    struct wal_batch b;
    uint64_t before = w->hold.nr;

    while (wal_hold_first(&w->hold, &b) && write_batch(w, &b, err))
        wal_hold_drop(&w->hold);
    if (before == 0)
        return true;
    metric_set(w->m.held_bytes, (double)w->hold.bytes);
    if (w->hold.nr == 0)
        log_info(&w->o.log, "the WAL is written again, it has what was kept in memory");
    return w->hold.nr == 0;
}

static void *
syncer(void *arg)
{
    struct wal *w = arg;
    struct error err = { 0 };

    lock_take(&w->lock);
    while (!w->stopping) {
        cond_wait_ms(&w->moved, &w->lock, w->o.sync_interval_ms);
        error_ignored(drain(w, &err)); /* said when it began */
        error_clear(&err);
        if (w->synced < w->written && !sync_locked(w, &err)) {
            log_error(&w->o.log, "syncing the WAL failed, tried again at the next interval",
                      LOG_E(&err));
            error_clear(&err);
        }
    }
    lock_release(&w->lock);
    return NULL;
}

static uint64_t
files_bytes(struct wal *w, const struct wal_segments *s)
{
    char path[PATH_MAX];
    struct error err = { 0 };
    struct io_stat st;
    uint64_t sum = 0;

    for (size_t i = 0; i < s->nr; i++) {
        wal_segment_path(path, sizeof path, w->dir, s->v[i]);
        if (io_stat_path(w->io, path, &st, &err))
            sum += st.bytes;
    }
    error_clear(&err);
    return sum;
}

bool
wal_open(struct wal **out, const struct io *io, const struct clock *clock, const char *dir,
         const struct wal_options *options, struct error *err)
{
    struct wal_segments segments = { 0 };
    struct wal *w = MEM_NEW(struct wal);

    *w = (struct wal){
        .io = io, .clock = clock, .o = *options, .file = IO_NONE, .dir = mem_strdup(dir)
    };
    if (w->o.segment_bytes == 0)
        w->o.segment_bytes = WAL_SEGMENT_BYTES;
    w->o.segment_bytes = MAX(w->o.segment_bytes / WAL_PAGE_BYTES, 1) * WAL_PAGE_BYTES;
    if (w->o.sync_interval_ms == 0)
        w->o.sync_interval_ms = 1000;
    w->hold.bytes_max = w->o.hold_bytes_max == 0 ? WAL_HOLD_BYTES_MAX : w->o.hold_bytes_max;
    lock_init(&w->lock, LOCK_WAL, "wal");
    cond_init(&w->moved);
    metrics_init(w);
    if (!io_mkdir(io, dir, err) || !wal_segments_list(io, dir, &segments, err))
        goto fail;
    w->older_bytes = files_bytes(w, &segments);
    if (!segment_begin(w, segments.nr == 0 ? 0 : segments.v[segments.nr - 1] + 1, err))
        goto fail;
    if (w->o.sync == WAL_SYNC_INTERVAL)
        w->has_thread = pthread_create(&w->thread, NULL, syncer, w) == 0;
    mem_free(segments.v);
    *out = w;
    return true;
fail:
    mem_free(segments.v);
    wal_close(w);
    return false;
}

void
wal_close(struct wal *w)
{
    struct error err = { 0 };

    if (w == NULL)
        return;
    if (w->has_thread) {
        lock_take(&w->lock);
        w->stopping = true;
        cond_broadcast(&w->moved);
        lock_release(&w->lock);
        pthread_join(w->thread, NULL);
    }
    if (w->file != IO_NONE) {
        if (!drain(w, &err))
            log_error(&w->o.log, "the disk is full, samples that were only in memory are lost",
                      LOG_I("batches", w->hold.nr), LOG_E(&err));
        metric_add(w->m.held_lost, (double)w->hold.nr);
        if (!pad_page(w, &err) || !sync_file(w, w->file, &err))
            log_error(&w->o.log, "closing the WAL failed", LOG_E(&err));
        io_close(w->io, w->file);
    }
    error_clear(&err);
    cond_fini(&w->moved);
    lock_fini(&w->lock);
    buf_fini(&w->framed);
    wal_hold_fini(&w->hold);
    mem_free(w->dir);
    mem_free(w);
}

static bool
fits_a_segment(const struct wal_batch *b, struct error *err)
{
    return b->packed.n <= WAL_RECORD_BYTES_MAX ||
           error_set(err, ERR_LIMIT, "a batch of %zu bytes does not fit a WAL segment",
                     b->packed.n);
}

bool
wal_commit(struct wal *w, const struct wal_batch *b, struct error *err)
{
    bool ok;

    if (b->nr == 0)
        return true;
    if (!fits_a_segment(b, err))
        return false;
    lock_take(&w->lock);
    if (drain(w, err) && write_batch(w, b, err)) {
        ok = w->o.sync != WAL_SYNC_COMMIT || sync_locked(w, err);
    } else {
        ok = false;
        if (is_full(err)) {
            err->kind = ERR_FULL;
            metric_inc(w->m.held_refused);
        }
    }
    lock_release(&w->lock);
    return ok || error_wrap(err, "wal segment %08u", w->segment);
}

/* With the lock, after a write that failed with err. */
static bool
hold_batch(struct wal *w, const struct wal_batch *b, struct error *err)
{
    bool first = w->hold.nr == 0;

    if (!is_full(err))
        return false;
    err->kind = ERR_FULL;
    if (!wal_hold_add(&w->hold, b)) {
        metric_inc(w->m.held_refused);
        return error_wrap(err, "the bound of samples in memory is reached");
    }
    metric_inc(w->m.held);
    metric_set(w->m.held_bytes, (double)w->hold.bytes);
    if (first)
        log_error(&w->o.log, "the WAL cannot be written, samples stay in memory until it can",
                  LOG_I("bytes_max", w->hold.bytes_max), LOG_E(err));
    error_clear(err);
    return true;
}

bool
wal_commit_or_hold(struct wal *w, const struct wal_batch *b, struct error *err)
{
    bool ok = true;

    if (b->nr == 0)
        return true;
    if (!fits_a_segment(b, err))
        return false;
    lock_take(&w->lock);
    if (!drain(w, err) || !write_batch(w, b, err))
        ok = hold_batch(w, b, err);
    else if (w->o.sync == WAL_SYNC_COMMIT && !sync_locked(w, err))
        error_clear(err); /* it is in the file; counted, and synced with a later one */
    lock_release(&w->lock);
    return ok || error_wrap(err, "wal segment %08u", w->segment);
}

uint64_t
wal_held_bytes(struct wal *w)
{
    lock_take(&w->lock);
    uint64_t bytes = w->hold.bytes;
    lock_release(&w->lock);
    return bytes;
}

enum wal_compression
wal_compression_of(const struct wal *w)
{
    return w->o.compression;
}

const char *
wal_dir(const struct wal *w)
{
    return w->dir;
}

uint32_t
wal_segment(struct wal *w)
{
    lock_take(&w->lock);
    uint32_t segment = w->segment;
    lock_release(&w->lock);
    return segment;
}

bool
wal_cut(struct wal *w, struct error *err)
{
    lock_take(&w->lock);
    bool ok = cut(w, err);
    lock_release(&w->lock);
    return ok;
}

bool
wal_truncate(struct wal *w, uint32_t first, struct error *err)
{
    struct wal_segments s;
    char path[PATH_MAX];
    bool ok = true;

    metric_inc(w->m.truncations);
    if (!wal_segments_list(w->io, w->dir, &s, err)) {
        metric_inc(w->m.truncations_failed);
        return false;
    }
    /* Oldest first, so that a crash leaves no gap. */
    for (size_t i = 0; ok && i < s.nr && s.v[i] < first; i++) {
        wal_segment_path(path, sizeof path, w->dir, s.v[i]);
        ok = io_remove(w->io, path, err);
    }
    ok = ok && io_sync_dir(w->io, w->dir, err);
    if (!ok)
        metric_inc(w->m.truncations_failed);
    s.nr = 0;
    mem_free(s.v);
    return ok;
}

bool
wal_flush(struct wal *w, struct error *err)
{
    lock_take(&w->lock);
    bool ok = drain(w, err) && sync_locked(w, err);
    lock_release(&w->lock);
    return ok;
}

uint64_t
wal_bytes(struct wal *w)
{
    struct wal_segments s;
    struct error err = { 0 };
    uint64_t sum = 0;

    if (wal_segments_list(w->io, w->dir, &s, &err)) {
        sum = files_bytes(w, &s);
        mem_free(s.v);
    }
    error_clear(&err);
    return sum;
}
