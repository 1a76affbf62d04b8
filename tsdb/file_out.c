#include "tsdb/file_out.h"

#include "base/crc32c.h"
#include "base/mem.h"

enum { BUF_BYTES = 1 << 20 };

bool
file_out_open(struct file_out *f, const struct io *io, const char *path, struct error *err)
{
    *f = (struct file_out){ .io = io, .file = IO_NONE };
    if (!io_open(io, path, IO_READ | IO_WRITE | IO_CREATE | IO_TRUNCATE, &f->file, err))
        return false;
    f->path = mem_strdup(path);
    f->buf = mem_alloc(BUF_BYTES);
    return true;
}

void
file_out_flush(struct file_out *f)
{
    if (f->failed || f->used == 0)
        return;
    if (!io_write(f->io, f->file, f->buf, f->used, f->flushed_bytes, &f->err))
        f->failed = true;
    f->flushed_bytes += f->used;
    f->used = 0;
}

void
file_out_add(struct file_out *f, const void *p, size_t n)
{
    const uint8_t *from = p;

    f->crc = crc32c(f->crc, p, n);
    while (n > 0) {
        size_t take = MIN(n, BUF_BYTES - f->used);
        memcpy(f->buf + f->used, from, take);
        f->used += take;
        from += take;
        n -= take;
        if (f->used == BUF_BYTES) {
            file_out_flush(f);
            f->used = 0; /* also when the write failed: the error is kept, the bytes are not */
        }
    }
}

void
file_out_u32(struct file_out *f, uint32_t v)
{
    v = __builtin_bswap32(v);
    file_out_add(f, &v, sizeof v);
}

void
file_out_u64(struct file_out *f, uint64_t v)
{
    v = __builtin_bswap64(v);
    file_out_add(f, &v, sizeof v);
}

void
file_out_pad(struct file_out *f, size_t align)
{
    static const uint8_t zeros[16];
    size_t over = (size_t)(file_out_pos(f) % align);

    ASSERT(align <= sizeof zeros);
    if (over != 0)
        file_out_add(f, zeros, align - over);
}

void
file_out_patch_u32(struct file_out *f, uint64_t at, uint32_t v)
{
    v = __builtin_bswap32(v);
    file_out_flush(f);
    if (!f->failed && !io_write(f->io, f->file, &v, sizeof v, at, &f->err))
        f->failed = true;
}

bool
file_out_ok(const struct file_out *f, struct error *err)
{
    if (f->failed)
        error_copy(err, &f->err);
    return !f->failed;
}

bool
file_out_finish(struct file_out *f, struct error *err)
{
    file_out_flush(f);
    if (!file_out_ok(f, err) || !io_sync(f->io, f->file, err))
        return false;
    io_drop_cache(f->io, f->file);
    io_close(f->io, f->file);
    f->file = IO_NONE;
    return true;
}

void
file_out_fini(struct file_out *f)
{
    if (f->file != IO_NONE && f->path != NULL)
        io_close(f->io, f->file);
    mem_free(f->path);
    mem_free(f->buf);
    error_clear(&f->err);
    *f = (struct file_out){ .file = IO_NONE };
}
