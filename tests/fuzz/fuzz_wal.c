/* A segment of any bytes: the reader ends, reports holes in order, and after repair there is no
 * damage left and the same records. */
#include <stdlib.h>
#include "base/mem.h"
#include "base/mem_io.h"
#include "tsdb/wal.h"
#include "tsdb/wal_repair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
walk(const struct io *io, struct wal_damages *d, size_t *holes)
{
    struct error err = { 0 };
    struct wal_reader r;
    struct wal_record rec;
    struct buf into = { 0 };
    enum wal_step step;
    uint64_t at = 0;
    size_t records = 0;

    *holes = 0;
    if (!wal_reader_open(&r, io, "/wal/00000000", 0, &err))
        abort();
    while ((step = wal_reader_next(&r, &rec)) != WAL_END) {
        struct bytes out;
        if (rec.start < at || rec.end < rec.start)
            abort();
        at = rec.end;
        if (step == WAL_HOLE) {
            ++*holes;
            if (d != NULL)
                wal_damages_add(d, 0, rec.start, rec.end);
            continue;
        }
        records++;
        error_ignored(wal_unpack(&rec, &into, &out, &err));
        error_clear(&err);
    }
    if (!wal_reader_end(&r, &err))
        abort();
    wal_reader_close(&r);
    buf_fini(&into);
    return records;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mem_io m;
    struct error err = { 0 };
    struct wal_damages d = { 0 };
    size_t holes;
    io_file f;

    mem_io_init(&m);
    if (!io_mkdir(&m.io, "/wal", &err) ||
        !io_open(&m.io, "/wal/00000000", IO_WRITE | IO_CREATE, &f, &err) ||
        !io_write(&m.io, f, data, size, 0, &err))
        abort();
    io_close(&m.io, f);
    size_t records = walk(&m.io, &d, &holes);
    if (!wal_repair(&m.io, "/wal", "/aside", "wal", &d, &err))
        abort();
    if (walk(&m.io, NULL, &holes) != records || holes != 0)
        abort();
    wal_damages_fini(&d);
    mem_io_fini(&m);
    return 0;
}
