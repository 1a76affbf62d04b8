/* Chunks of a series go to the current segment file as they come; a segment is cut before the chunk
 * that might not fit, reckoned as Prometheus does (with the longest length field), so that the same
 * chunks give the same files. A crash leaves the temporary directory, which the next start removes
 * (block_clean_dir). */
#include "tsdb/block_writer.h"

#include <stdio.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/varint.h"
#include "tsdb/file_out.h"
#include "tsdb/index_format.h"
#include "tsdb/index_writer.h"
#include "tsdb/tombstones.h"

enum { LENGTH_BYTES_MAX = 5 };

struct block_writer {
    const struct io *io;
    char *parent, *tmp_dir, *dir;
    struct block_id id;
    struct index_writer *index;
    struct file_out segment;
    uint32_t segment_nr; /* of the open one, from 1; 0: none yet */
    uint64_t segment_bytes;
    struct block_chunk *chunks; /* of the series being written */
    size_t chunks_cap;
    struct block_meta stats;
    bool done;
};

static char *
path_of(const char *fmt_dir, const char *name, const char *suffix)
{
    struct buf b = { 0 };

    buf_printf(&b, "%s/%s%s", fmt_dir, name, suffix);
    char *path = mem_strdup(buf_z(&b));
    buf_fini(&b);
    return path;
}

bool
block_writer_new(struct block_writer **out, const struct io *io, const char *parent,
                 struct block_id id, uint64_t segment_bytes, struct error *err)
{
    struct block_writer *w = MEM_NEW(struct block_writer);
    char *chunks_dir = NULL;
    bool ok = false;

    w->io = io;
    w->id = id;
    w->segment_bytes = segment_bytes;
    w->segment.file = IO_NONE;
    w->parent = mem_strdup(parent);
    w->dir = path_of(parent, id.z, "");
    w->tmp_dir = path_of(parent, id.z, BLOCK_TMP_CREATION);
    chunks_dir = path_of(w->tmp_dir, "chunks", "");
    if (!io_remove_tree(io, w->tmp_dir, err) || !io_mkdir(io, chunks_dir, err))
        goto out;
    if (!index_writer_new(&w->index, io, w->tmp_dir, err))
        goto out;
    *out = w;
    ok = true;
out:
    mem_free(chunks_dir);
    if (!ok)
        block_writer_free(w);
    return ok;
}

void
block_writer_free(struct block_writer *w)
{
    struct error err = { 0 };

    if (w == NULL)
        return;
    index_writer_free(w->index);
    file_out_fini(&w->segment);
    if (!w->done)
        error_ignored(io_remove_tree(w->io, w->tmp_dir, &err));
    error_clear(&err);
    mem_free(w->chunks);
    mem_free(w->parent);
    mem_free(w->tmp_dir);
    mem_free(w->dir);
    mem_free(w);
}

bool
block_writer_symbol(struct block_writer *w, struct str text, struct error *err)
{
    return index_writer_symbol(w->index, text, err);
}

uint64_t
block_writer_series_nr(const struct block_writer *w)
{
    return w->stats.series_nr;
}

static bool
segment_finish(struct block_writer *w, struct error *err)
{
    if (w->segment_nr == 0)
        return true;
    bool ok = file_out_finish(&w->segment, err);
    file_out_fini(&w->segment);
    return ok;
}

static bool
segment_cut(struct block_writer *w, struct error *err)
{
    char name[32];
    static const uint8_t header_rest[4] = { SEGMENT_VERSION };

    if (!segment_finish(w, err))
        return false;
    snprintf(name, sizeof name, "chunks/%06u", ++w->segment_nr);
    char *path = path_of(w->tmp_dir, name, "");
    bool ok = file_out_open(&w->segment, w->io, path, err);
    mem_free(path);
    if (!ok)
        return false;
    file_out_u32(&w->segment, SEGMENT_MAGIC);
    file_out_add(&w->segment, header_rest, sizeof header_rest);
    return true;
}

static uint64_t
chunk_write(struct block_writer *w, const struct chunk *c)
{
    uint64_t ref = (uint64_t)(w->segment_nr - 1) << 32 | file_out_pos(&w->segment);
    uint8_t length[VARINT_BYTES_MAX], encoding = (uint8_t)c->encoding;

    file_out_add(&w->segment, length, uvarint_put(length, c->data.n));
    w->segment.crc = 0;
    file_out_add(&w->segment, &encoding, 1);
    file_out_add(&w->segment, c->data.p, c->data.n);
    file_out_u32(&w->segment, w->segment.crc);
    return ref;
}

static void
chunk_count(struct block_writer *w, const struct chunk *c)
{
    uint32_t nr = chunk_samples_nr(c->encoding, c->data);

    w->stats.samples_nr += nr;
    *(chunk_is_float(c->encoding) ? &w->stats.float_samples_nr : &w->stats.histogram_samples_nr) +=
        nr;
    w->stats.chunks_nr++;
}

static bool
chunks_write(struct block_writer *w, const struct chunk *chunks, size_t nr, struct error *err)
{
    uint64_t base = w->segment_nr == 0 ? SEGMENT_HEADER_BYTES : file_out_pos(&w->segment),
             batch = 0;

    if (w->segment_nr == 0 && !segment_cut(w, err))
        return false;
    for (size_t i = 0; i < nr; i++) {
        uint64_t most = LENGTH_BYTES_MAX + 1 + chunks[i].data.n + CRC_BYTES;
        batch += most;
        if ((i > 0 || base > SEGMENT_HEADER_BYTES) && base + batch > w->segment_bytes) {
            if (!segment_cut(w, err))
                return false;
            base = SEGMENT_HEADER_BYTES;
            batch = most;
        }
        w->chunks[i] =
            (struct block_chunk){ chunk_write(w, &chunks[i]), chunks[i].min_ms, chunks[i].max_ms };
        chunk_count(w, &chunks[i]);
    }
    return file_out_ok(&w->segment, err);
}

bool
block_writer_series(struct block_writer *w, struct labels labels, const struct chunk *chunks,
                    size_t chunks_nr, struct error *err)
{
    MEM_GROW(w->chunks, chunks_nr, &w->chunks_cap);
    if (!chunks_write(w, chunks, chunks_nr, err) ||
        !index_writer_series(w->index, labels, w->chunks, chunks_nr, err))
        return false;
    w->stats.series_nr++;
    return true;
}

static void
meta_fill(const struct block_writer *w, struct block_meta *meta)
{
    meta->id = w->id;
    meta->samples_nr = w->stats.samples_nr;
    meta->float_samples_nr = w->stats.float_samples_nr;
    meta->histogram_samples_nr = w->stats.histogram_samples_nr;
    meta->series_nr = w->stats.series_nr;
    meta->chunks_nr = w->stats.chunks_nr;
    if (meta->sources_nr == 0)
        block_meta_add_source(meta, w->id);
}

bool
block_writer_finish(struct block_writer *w, struct block_meta *meta, struct error *err)
{
    struct tombstones none = { 0 };
    bool ok = false;

    char *chunks_dir = path_of(w->tmp_dir, "chunks", "");
    if (w->segment_nr == 0 && !segment_cut(w, err))
        goto out;
    if (!segment_finish(w, err) || !index_writer_finish(w->index, err))
        goto out;
    meta_fill(w, meta);
    if (!block_meta_write(meta, w->io, w->tmp_dir, err) ||
        !tombstones_write(&none, w->io, w->tmp_dir, err))
        goto out;
    if (!io_sync_dir(w->io, chunks_dir, err) || !io_sync_dir(w->io, w->tmp_dir, err) ||
        !io_rename(w->io, w->tmp_dir, w->dir, err))
        goto out;
    w->done = true;
    ok = io_sync_dir(w->io, w->parent, err);
out:
    mem_free(chunks_dir);
    return ok || error_wrap(err, "block %s", w->id.z);
}
