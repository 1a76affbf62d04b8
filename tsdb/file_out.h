/* tsdb/file_out.h: a file that is written once, from start to end, through a buffer: index, chunk
 * segments.
 *
 * Counts bytes, keeps a running CRC that the caller resets, and can patch what is already written
 * (lengths known late). Errors stick: later calls do nothing and file_out_finish() reports the
 * first. One owner thread. */
#pragma once
#include "base/io.h"

struct file_out {
    const struct io *io;
    io_file file;
    char *path; /* owned */
    uint8_t *buf;
    size_t used;
    uint64_t flushed_bytes;
    uint32_t crc;
    bool failed;
    struct error err; /* the first failure */
};

MUST_CHECK bool
file_out_open(struct file_out *f, const struct io *io, const char *path, struct error *err);
void file_out_add(struct file_out *f, const void *p, size_t n);
void file_out_u32(struct file_out *f, uint32_t v); /* big-endian */
void file_out_u64(struct file_out *f, uint64_t v);
/* Zeros up to a multiple of `align`. */
void file_out_pad(struct file_out *f, size_t align);
void file_out_patch_u32(struct file_out *f, uint64_t at, uint32_t v);
void file_out_flush(struct file_out *f);
MUST_CHECK bool file_out_ok(const struct file_out *f, struct error *err);

static inline uint64_t
file_out_pos(const struct file_out *f)
{
    return f->flushed_bytes + f->used;
}

/* Flushes, syncs, leaves the page cache, closes. */
MUST_CHECK bool file_out_finish(struct file_out *f, struct error *err);
void file_out_fini(struct file_out *f); /* closes what was not finished; accepts a zeroed one */
