#include "tsdb/wal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include "base/fault_io.h"
#include "base/mem.h"
#include "tsdb/wal_repair.h"

static const struct wal_options plain = { .segment_bytes = 4 * WAL_PAGE_BYTES,
                                          .compression = WAL_PLAIN,
                                          .sync = WAL_SYNC_COMMIT,
                                          .log = { 0 } };

/* Record i of `n` bytes, recognisable. */
static void
put_record(struct buf *out, uint32_t i, size_t n)
{
    for (size_t k = 0; k < n; k++)
        buf_byte(out,
                 k < 4 ? (uint8_t)(i >> (8 * k)) : (uint8_t)((i * 2654435761u + k * 40503u) >> 13));
}

static bool
log_record(struct wal *w, uint32_t i, size_t n, struct error *err)
{
    struct wal_batch b = { 0 };

    put_record(&b.raw, i, n);
    wal_batch_add(&b, wal_compression_of(w));
    bool ok = wal_commit(w, &b, err);
    wal_batch_fini(&b);
    return ok;
}

static struct wal *
open_wal(const struct io *io, struct wal_options o)
{
    struct wal *w;
    struct error err = { 0 };

    o.log = log_none;
    if (!wal_open(&w, io, clock_real(), "/wal", &o, &err))
        return NULL;
    return w;
}

/* Reads all segments; seen[i] counts records whose bytes are those of record i. Returns the number
 * of holes. */
static size_t
read_all(const struct io *io, uint8_t *seen, size_t max, const size_t *sizes,
         struct wal_damages *damages)
{
    struct wal_segments s;
    struct error err = { 0 };
    struct buf unpacked = { 0 }, want = { 0 };
    char path[256];
    size_t holes = 0;

    cr_assert(wal_segments_list(io, "/wal", &s, &err), "%s", error_text(&err));
    for (size_t i = 0; i < s.nr; i++) {
        struct wal_reader r;
        struct wal_record packed;
        enum wal_step step;
        wal_segment_path(path, sizeof path, "/wal", s.v[i]);
        cr_assert(wal_reader_open(&r, io, path, 0, &err), "%s", error_text(&err));
        while ((step = wal_reader_next(&r, &packed)) != WAL_END) {
            struct bytes rec;
            if (step == WAL_HOLE) {
                holes++;
                if (damages != NULL)
                    wal_damages_add(damages, s.v[i], packed.start, packed.end);
                continue;
            }
            cr_assert(wal_unpack(&packed, &unpacked, &rec, &err), "%s", error_text(&err));
            uint32_t nr =
                rec.n < 4 ? UINT32_MAX
                          : rec.p[0] | rec.p[1] << 8 | rec.p[2] << 16 | (uint32_t)rec.p[3] << 24;
            cr_assert_lt(nr, max);
            buf_reset(&want);
            put_record(&want, nr, sizes[nr]);
            cr_assert(want.n == rec.n && memcmp(want.p, rec.p, rec.n) == 0, "record %u", nr);
            seen[nr]++;
        }
        cr_assert(wal_reader_end(&r, &err), "%s", error_text(&err));
        wal_reader_close(&r);
    }
    mem_free(s.v);
    buf_fini(&unpacked);
    buf_fini(&want);
    return holes;
}

enum { RECORDS = 60 };

/* Sizes around the page and its header, and some that span pages. */
static size_t
size_of(uint32_t i)
{
    static const size_t sizes[] = { 4,
                                    100,
                                    WAL_PAGE_BYTES - 7,
                                    WAL_PAGE_BYTES - 8,
                                    WAL_PAGE_BYTES - 6,
                                    20000,
                                    70000,
                                    12740,
                                    5,
                                    7,
                                    32747,
                                    64 };

    return sizes[i % ARRAY_LEN(sizes)];
}

Test(wal, gives_back_what_was_logged)
{
    static const enum wal_compression how[] = { WAL_PLAIN, WAL_SNAPPY, WAL_ZSTD };

    for (size_t c = 0; c < ARRAY_LEN(how); c++) {
        struct mem_io m;
        struct error err = { 0 };
        struct wal_options o = plain;
        uint8_t seen[RECORDS] = { 0 };
        size_t sizes[RECORDS];
        mem_io_init(&m);
        o.compression = how[c];
        struct wal *w = open_wal(&m.io, o);
        cr_assert_not_null(w);
        for (uint32_t i = 0; i < RECORDS; i++) {
            sizes[i] = size_of(i);
            cr_assert(log_record(w, i, sizes[i], &err), "%s", error_text(&err));
            if (i == RECORDS / 2) { /* as another process would find it */
                wal_close(w);
                w = open_wal(&m.io, o);
            }
        }
        cr_assert(how[c] != WAL_PLAIN || wal_segment(w) > 3);
        wal_close(w);
        cr_assert_eq(read_all(&m.io, seen, RECORDS, sizes, NULL), 0);
        for (uint32_t i = 0; i < RECORDS; i++)
            cr_assert_eq(seen[i], 1, "record %u, compression %d", i, how[c]);
        mem_io_fini(&m);
    }
}

Test(wal, keeps_what_was_acknowledged)
{
    size_t sizes[RECORDS];

    for (uint32_t i = 0; i < RECORDS; i++)
        sizes[i] = size_of(i);
    for (uint32_t nth = 1, fired = 1; fired; nth++) {
        struct fault_io fio;
        struct error err = { 0 };
        uint8_t seen[RECORDS] = { 0 };
        uint32_t acknowledged = 0;
        fault_io_init(&fio,
                      (struct fault){ .nth = nth, .crash = true, .short_write = nth % 2 == 0 });
        struct wal *w = open_wal(&fio.io, plain);
        while (w != NULL && acknowledged < RECORDS &&
               log_record(w, acknowledged, sizes[acknowledged], &err))
            acknowledged++;
        wal_close(w);
        fired = fault_io_crash(&fio);
        error_clear(&err);
        if (acknowledged > 0)
            read_all(&fio.io, seen, RECORDS, sizes, NULL);
        for (uint32_t i = 0; i < acknowledged; i++)
            cr_assert_eq(seen[i], 1, "fault at call %u, seed %llu: record %u of %u", nth,
                         (unsigned long long)fio.seed, i, acknowledged);
        fault_io_fini(&fio);
    }
}

Test(wal, goes_on_after_a_failed_write)
{
    size_t sizes[RECORDS];

    for (uint32_t i = 0; i < RECORDS; i++)
        sizes[i] = 1000;
    for (uint32_t nth = 1; nth < 40; nth++) {
        struct fault_io fio;
        struct error err = { 0 };
        uint8_t seen[RECORDS] = { 0 };
        bool acknowledged[RECORDS];
        fault_io_init(&fio, (struct fault){ .nth = nth, .sys = EIO, .short_write = true });
        struct wal *w = open_wal(&fio.io, plain);
        for (uint32_t i = 0; w != NULL && i < RECORDS; i++)
            acknowledged[i] = log_record(w, i, sizes[i], &err);
        error_clear(&err);
        if (w != NULL) {
            wal_close(w);
            cr_assert_eq(read_all(&fio.io, seen, RECORDS, sizes, NULL), 0, "fault at call %u", nth);
            for (uint32_t i = 0; i < RECORDS; i++)
                cr_assert(seen[i] == 1 || !acknowledged[i], "fault at call %u: record %u", nth, i);
        }
        fault_io_fini(&fio);
    }
}

static void
flip(const struct io *io, uint32_t segment, uint64_t at, uint8_t bits)
{
    struct error err = { 0 };
    char path[256];
    io_file f;
    uint8_t byte;

    wal_segment_path(path, sizeof path, "/wal", segment);
    cr_assert(io_open(io, path, IO_WRITE, &f, &err) && io_read(io, f, &byte, 1, at, &err), "%s",
              error_text(&err));
    byte ^= bits;
    cr_assert(io_write(io, f, &byte, 1, at, &err));
    io_close(io, f);
}

/* Whatever bit is flipped: at most the records of the pages around are lost, nothing false is read,
 * and the repaired log has no damage. */
Test(wal, repairs_any_flipped_bit)
{
    size_t sizes[RECORDS];

    for (uint64_t at = 0, step = 1; at < 3 * WAL_PAGE_BYTES; at += step) {
        struct mem_io m;
        struct error err = { 0 };
        struct wal_damages d = { 0 };
        uint8_t seen[RECORDS] = { 0 }, again[RECORDS] = { 0 };
        mem_io_init(&m);
        struct wal *w = open_wal(&m.io, plain);
        for (uint32_t i = 0; i < RECORDS; i++) {
            sizes[i] = 3000;
            cr_assert(log_record(w, i, sizes[i], &err));
        }
        wal_close(w);
        flip(&m.io, 0, at, (uint8_t)(1u << at % 8));
        read_all(&m.io, seen, RECORDS, sizes, &d);
        cr_assert(wal_repair(&m.io, "/wal", "/aside", "wal", &d, &err), "%s", error_text(&err));
        cr_assert_eq(read_all(&m.io, again, RECORDS, sizes, NULL), 0, "bit at %llu",
                     (unsigned long long)at);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < RECORDS; i++) {
            cr_assert_eq(seen[i], again[i]);
            kept += seen[i];
        }
        cr_assert_geq(kept, RECORDS - 13, "bit at %llu: %u records kept", (unsigned long long)at,
                      kept);
        wal_damages_fini(&d);
        mem_io_fini(&m);
        step = at < 40 || at % WAL_PAGE_BYTES > WAL_PAGE_BYTES - 20 ? 1 : 97;
    }
}

Test(wal, cuts_a_torn_tail)
{
    size_t sizes[3] = { 3000, 3000, 3000 };

    for (uint64_t cut = 3007 * 2 + 1; cut < 3007 * 3; cut += 211) {
        struct mem_io m;
        struct error err = { 0 };
        struct wal_damages d = { 0 };
        uint8_t seen[3] = { 0 };
        io_file f;
        mem_io_init(&m);
        struct wal *w = open_wal(&m.io, plain);
        for (uint32_t i = 0; i < 3; i++)
            cr_assert(log_record(w, i, sizes[i], &err));
        wal_close(w);
        cr_assert(io_open(&m.io, "/wal/00000000", IO_WRITE, &f, &err) &&
                  io_truncate(&m.io, f, cut, &err));
        io_close(&m.io, f);
        cr_assert_eq(read_all(&m.io, seen, 3, sizes, &d), 1);
        cr_assert(seen[0] && seen[1] && !seen[2]);
        cr_assert(wal_repair(&m.io, "/wal", "/aside", "wal", &d, &err), "%s", error_text(&err));
        memset(seen, 0, sizeof seen);
        cr_assert_eq(read_all(&m.io, seen, 3, sizes, NULL), 0);
        cr_assert(seen[0] && seen[1] && !seen[2]);
        wal_damages_fini(&d);
        mem_io_fini(&m);
    }
}
