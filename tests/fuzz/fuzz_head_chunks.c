/* One file of chunks_head in a file system in memory, the first entries' checksums made right. */
#include "base/crc32c.h"
#include "base/dec.h"
#include "base/mem.h"
#include "base/mem_io.h"
#include "tsdb/head_chunks.h"

enum { HEADER_BYTES = 8, FIXED_BYTES = 25 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
entries_fix(uint8_t *p, size_t n)
{
    for (size_t at = HEADER_BYTES; at + FIXED_BYTES < n;) {
        struct dec d = dec_of((struct bytes){ p + at, n - at });
        dec_bytes(&d, FIXED_BYTES);
        uint64_t length = dec_uvarint(&d);
        if (!dec_ok(&d) || dec_left(&d) < 4 || length > dec_left(&d) - 4)
            return;
        size_t end = (size_t)(d.p - p) + (size_t)length;
        uint32_t crc = __builtin_bswap32(crc32c(0, p + at, end - at));
        memcpy(p + end, &crc, sizeof crc);
        at = end + 4;
    }
}

struct met {
    uint64_t refs[64];
    size_t nr;
};

static bool
meet(void *arg, const struct head_chunk *c, struct error *err)
{
    struct met *met = arg;

    if (met->nr < ARRAY_LEN(met->refs))
        met->refs[met->nr++] = c->ref;
    return true;
}

static void
open_and_copy(const struct io *io)
{
    struct head_chunks *hc;
    struct head_chunks_damage damage;
    struct met met = { 0 };
    struct buf into = { 0 };
    struct error err = { 0 };

    ASSERT(head_chunks_open(&hc, io, "/chunks_head", "/damaged", 4096, meet, &met, &damage, &err));
    for (size_t i = 0; i < met.nr; i++) {
        enum chunk_encoding encoding;
        struct bytes chunk;
        bool ok = head_chunks_copy(hc, met.refs[i], &into, &encoding, &chunk, &err);
        ASSERT(ok || damage.found);
    }
    head_chunks_close(hc);
    buf_fini(&into);
    error_clear(&err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct error err = { 0 };
    io_file file;

    if (n > 1 << 16)
        return 0;
    struct mem_io m;
    mem_io_init(&m);
    const struct io *io = &m.io;
    uint8_t *p = mem_dup(data, n);
    entries_fix(p, n);
    ASSERT(io_mkdir(io, "/chunks_head", &err));
    ASSERT(io_open(io, "/chunks_head/000001", IO_WRITE | IO_CREATE, &file, &err));
    ASSERT(io_write(io, file, p, n, 0, &err));
    io_close(io, file);
    open_and_copy(io);
    mem_free(p);
    mem_io_fini(&m);
    return 0;
}
