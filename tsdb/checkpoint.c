/* Records are re-encoded type by type: the entries that stay are collected and go into one record
 * of their own. Records of unknown types are left out, as Prometheus does; a record that does not
 * decode contributes what stood before its damage. */
#include "tsdb/checkpoint.h"

#include <limits.h>
#include <stdio.h>
#include "base/arena.h"
#include "base/mem.h"
#include "tsdb/record.h"

struct checkpoint {
    const struct io *io;
    const struct checkpoint_rules *rules;
    struct checkpoint_stats *stats;
    const char *dir;
    io_file file;
    uint32_t segment;
    uint64_t at;
    struct wal_batch batch;
    struct buf unpacked, framed;
    struct arena arena;
    /* scratch: entries that stay */
    struct record_sample *samples;
    struct record_histogram *histograms;
    struct record_exemplar *exemplars;
    size_t samples_cap, histograms_cap, exemplars_cap;
    /* the latest metadata of each series is written once, at the end */
    struct kept_metadata {
        struct record_metadata m;
        size_t order;
    } * metadata;
    size_t metadata_nr, metadata_cap;
    struct arena texts;
};

enum { FLUSH_BYTES = 256 << 10, METADATA_PER_RECORD = 1000 };

void
checkpoint_path(char *path, size_t cap, const char *wal_dir, uint32_t nr)
{
    snprintf(path, cap, "%.4000s/checkpoint.%08u", wal_dir, nr);
}

/* "checkpoint.00000003" -> 3 */
static bool
checkpoint_number(const char *name, uint32_t *nr)
{
    unsigned long long v = 0;
    static const char prefix[] = "checkpoint.";

    if (strncmp(name, prefix, sizeof prefix - 1) != 0 || name[sizeof prefix - 1] == '\0')
        return false;
    for (const char *p = name + sizeof prefix - 1; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || v > INT32_MAX)
            return false;
        v = v * 10 + (unsigned)(*p - '0');
    }
    *nr = (uint32_t)v;
    return v <= INT32_MAX;
}

bool
checkpoint_find(const struct io *io, const char *wal_dir, bool *found, uint32_t *nr,
                struct error *err)
{
    struct io_dir_list list;
    uint32_t v;

    *found = false;
    if (!io_list(io, wal_dir, &list, err))
        return false;
    for (size_t i = 0; i < list.nr; i++) {
        if (list.entries[i].is_dir && checkpoint_number(list.entries[i].name, &v) &&
            (!*found || v > *nr)) {
            *nr = v;
            *found = true;
        }
    }
    io_dir_list_fini(&list);
    return true;
}

bool
checkpoint_clean(const struct io *io, const char *wal_dir, uint32_t nr, struct error *err)
{
    struct io_dir_list list;
    char path[PATH_MAX];
    uint32_t v;
    bool ok = true;

    if (!io_list(io, wal_dir, &list, err))
        return false;
    for (size_t i = 0; ok && i < list.nr; i++) {
        struct str name = str_c(list.entries[i].name);
        bool tmp = str_starts(name, STR("checkpoint.")) && str_ends(name, STR(".tmp"));
        if (!list.entries[i].is_dir || !(tmp || (checkpoint_number(name.p, &v) && v < nr)))
            continue;
        snprintf(path, sizeof path, "%.3000s/%.900s", wal_dir, name.p);
        ok = io_remove_tree(io, path, err);
    }
    io_dir_list_fini(&list);
    return ok;
}

static bool
open_segment(struct checkpoint *c, struct error *err)
{
    char path[PATH_MAX];

    wal_segment_path(path, sizeof path, c->dir, c->segment);
    c->at = 0;
    return io_open(c->io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &c->file, err);
}

static bool
close_segment(struct checkpoint *c, struct error *err)
{
    if (c->file == IO_NONE)
        return true;
    /* The last page is padded with zeros, as a closed log's is. */
    static const uint8_t zeros[WAL_PAGE_BYTES];
    size_t part = (size_t)(c->at % WAL_PAGE_BYTES);
    bool ok = part == 0 || io_write(c->io, c->file, zeros, WAL_PAGE_BYTES - part, c->at, err);
    ok = ok && io_sync(c->io, c->file, err);
    io_drop_cache(c->io, c->file);
    io_close(c->io, c->file);
    c->file = IO_NONE;
    return ok;
}

static bool
write_framed(struct checkpoint *c, struct error *err)
{
    bool ok = io_write(c->io, c->file, c->framed.p, c->framed.n, c->at, err);

    c->at += c->framed.n;
    buf_reset(&c->framed);
    return ok;
}

static bool
flush(struct checkpoint *c, struct error *err)
{
    const uint8_t *p = c->batch.packed.p;

    for (size_t i = 0; i < c->batch.nr; i++) {
        struct bytes data = { p, c->batch.records[i].bytes };
        uint64_t at = c->at + c->framed.n;
        if (at > 0 && at + wal_framed_bytes(at, data.n) > c->rules->segment_bytes) {
            c->segment++;
            if (!write_framed(c, err) || !close_segment(c, err) || !open_segment(c, err))
                return false;
        }
        wal_frame(&c->framed, c->at + c->framed.n, data, c->batch.records[i].compression);
        p += data.n;
    }
    wal_batch_reset(&c->batch);
    return write_framed(c, err);
}

static bool
keeps(struct checkpoint *c, uint64_t ref)
{
    return c->rules->keep(c->rules->arg, ref);
}

static void
filter_series(struct checkpoint *c, struct record_iter *it)
{
    struct labels labels;
    uint64_t ref;

    while (record_next_series(it, &ref, &labels, &c->arena)) {
        if (!keeps(c, ref)) {
            c->stats->series_dropped++;
            continue;
        }
        if (c->batch.raw.n == 0)
            record_begin(&c->batch.raw, RECORD_SERIES);
        record_add_series(&c->batch.raw, ref, labels);
    }
}

static void
filter_samples(struct checkpoint *c, struct record_iter *it)
{
    struct record_sample s;
    size_t nr = 0;

    while (record_next_sample(it, &s)) {
        if (s.t_ms < c->rules->min_ms) {
            c->stats->samples_dropped++;
            continue;
        }
        MEM_GROW(c->samples, nr + 1, &c->samples_cap);
        c->samples[nr++] = s;
    }
    if (nr > 0)
        record_put_samples(&c->batch.raw, c->samples, nr);
}

static void
filter_histograms(struct checkpoint *c, struct record_iter *it)
{
    struct record_histogram h;
    size_t nr = 0;

    while (record_next_histogram(it, &h, &c->arena)) {
        if (h.t_ms < c->rules->min_ms) {
            c->stats->samples_dropped++;
            continue;
        }
        MEM_GROW(c->histograms, nr + 1, &c->histograms_cap);
        c->histograms[nr++] = h;
    }
    /* A record of version 2 may mix custom buckets with others: runs of one type become one record
     * each. */
    for (size_t i = 0, end; i < nr; i = end) {
        enum record_type type = record_histogram_type(&c->histograms[i].h);
        for (end = i + 1; end < nr && record_histogram_type(&c->histograms[end].h) == type;)
            end++;
        record_put_histograms(&c->batch.raw, type, c->histograms + i, end - i);
        wal_batch_add(&c->batch, c->rules->compression);
    }
}

static void
filter_tombstones(struct checkpoint *c, struct record_iter *it)
{
    struct record_tombstone t;

    while (record_next_tombstone(it, &t)) {
        if (t.max_ms < c->rules->min_ms)
            continue;
        if (c->batch.raw.n == 0)
            record_begin(&c->batch.raw, RECORD_TOMBSTONES);
        record_add_tombstone(&c->batch.raw, &t);
    }
}

static void
filter_exemplars(struct checkpoint *c, struct record_iter *it)
{
    struct record_exemplar e;
    size_t nr = 0;

    while (record_next_exemplar(it, &e, &c->arena)) {
        if (e.t_ms < c->rules->min_ms)
            continue;
        MEM_GROW(c->exemplars, nr + 1, &c->exemplars_cap);
        c->exemplars[nr++] = e;
    }
    if (nr > 0)
        record_put_exemplars(&c->batch.raw, c->exemplars, nr);
}

static void
collect_metadata(struct checkpoint *c, struct record_iter *it)
{
    struct record_metadata m;

    while (record_next_metadata(it, &m)) {
        if (!keeps(c, m.ref))
            continue;
        m.m.help = arena_str(&c->texts, m.m.help);
        m.m.unit = arena_str(&c->texts, m.m.unit);
        MEM_GROW(c->metadata, c->metadata_nr + 1, &c->metadata_cap);
        c->metadata[c->metadata_nr] = (struct kept_metadata){ m, c->metadata_nr };
        c->metadata_nr++;
    }
}

static void
filter_record(struct checkpoint *c, struct bytes rec)
{
    struct record_iter it;
    struct error err = { 0 };

    record_iter_init(&it, rec);
    switch (it.type) {
    case RECORD_SERIES:
        filter_series(c, &it);
        break;
    case RECORD_SAMPLES:
    case RECORD_SAMPLES_V2:
        filter_samples(c, &it);
        break;
    case RECORD_HISTOGRAMS:
    case RECORD_FLOAT_HISTOGRAMS:
    case RECORD_CUSTOM_HISTOGRAMS:
    case RECORD_CUSTOM_FLOAT_HISTOGRAMS:
    case RECORD_HISTOGRAMS_V2:
    case RECORD_FLOAT_HISTOGRAMS_V2:
        filter_histograms(c, &it);
        break;
    case RECORD_TOMBSTONES:
        filter_tombstones(c, &it);
        break;
    case RECORD_EXEMPLARS:
        filter_exemplars(c, &it);
        break;
    case RECORD_METADATA:
        collect_metadata(c, &it);
        break;
    case RECORD_MMAP_MARKERS:
    case RECORD_UNKNOWN:
        return;
    }
    if (!record_end(&it, &err))
        c->stats->records_bad++;
    error_clear(&err);
    wal_batch_add(&c->batch, c->rules->compression);
}

static bool
filter_segment(struct checkpoint *c, const char *path, struct error *err)
{
    struct wal_reader r;
    struct wal_record packed;
    struct bytes rec;
    enum wal_step step;
    bool ok = true;

    if (!wal_reader_open(&r, c->io, path, 0, err))
        return false;
    while (ok && (step = wal_reader_next(&r, &packed)) != WAL_END) {
        struct error bad = { 0 };
        struct arena_mark mark = arena_mark(&c->arena);
        if (step == WAL_HOLE || !wal_unpack(&packed, &c->unpacked, &rec, &bad))
            c->stats->records_bad++;
        else
            filter_record(c, rec);
        error_clear(&bad);
        arena_rewind(&c->arena, mark);
        if (c->batch.packed.n > FLUSH_BYTES)
            ok = flush(c, err);
    }
    ok = ok && wal_reader_end(&r, err);
    wal_reader_close(&r);
    return ok;
}

/* All segments of `dir` in [first, last]. */
static bool
filter_dir(struct checkpoint *c, const char *dir, uint32_t first, uint32_t last, struct error *err)
{
    struct wal_segments s;
    char path[PATH_MAX];
    bool ok = true;

    if (!wal_segments_list(c->io, dir, &s, err))
        return false;
    for (size_t i = 0; ok && i < s.nr; i++) {
        if (s.v[i] < first || s.v[i] > last)
            continue;
        wal_segment_path(path, sizeof path, dir, s.v[i]);
        ok = filter_segment(c, path, err);
    }
    mem_free(s.v);
    return ok;
}

/* By series, in the order of the log within one. */
static int
metadata_cmp(const void *a, const void *b)
{
    const struct kept_metadata *x = a, *y = b;

    if (x->m.ref != y->m.ref)
        return x->m.ref < y->m.ref ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static bool
write_metadata(struct checkpoint *c, struct error *err)
{
    size_t in_record = 0;

    if (c->metadata_nr > 0)
        qsort(c->metadata, c->metadata_nr, sizeof *c->metadata, metadata_cmp);
    for (size_t i = 0; i < c->metadata_nr; i++) {
        if (i + 1 < c->metadata_nr && c->metadata[i + 1].m.ref == c->metadata[i].m.ref)
            continue;
        if (c->batch.raw.n == 0)
            record_begin(&c->batch.raw, RECORD_METADATA);
        record_add_metadata(&c->batch.raw, &c->metadata[i].m);
        if (++in_record % METADATA_PER_RECORD == 0)
            wal_batch_add(&c->batch, c->rules->compression);
    }
    wal_batch_add(&c->batch, c->rules->compression);
    return flush(c, err);
}

static bool
filter_all(struct checkpoint *c, const char *wal_dir, uint32_t last, struct error *err)
{
    char path[PATH_MAX];
    uint32_t nr = 0, first = 0;
    bool found;

    if (!checkpoint_find(c->io, wal_dir, &found, &nr, err))
        return false;
    if (found) {
        checkpoint_path(path, sizeof path, wal_dir, nr);
        first = nr + 1;
        if (!filter_dir(c, path, 0, UINT32_MAX, err))
            return false;
    }
    return filter_dir(c, wal_dir, first, last, err) && flush(c, err) && write_metadata(c, err) &&
           close_segment(c, err);
}

static void
checkpoint_fini(struct checkpoint *c)
{
    if (c->file != IO_NONE)
        io_close(c->io, c->file);
    wal_batch_fini(&c->batch);
    buf_fini(&c->unpacked);
    buf_fini(&c->framed);
    arena_fini(&c->arena);
    arena_fini(&c->texts);
    mem_free(c->samples);
    mem_free(c->histograms);
    mem_free(c->exemplars);
    mem_free(c->metadata);
}

bool
checkpoint_write(const struct io *io, const char *wal_dir, uint32_t last,
                 const struct checkpoint_rules *rules, struct checkpoint_stats *stats,
                 struct error *err)
{
    char path[PATH_MAX], tmp[PATH_MAX];
    struct checkpoint c = { .io = io, .rules = rules, .stats = stats, .dir = tmp, .file = IO_NONE };
    bool ok;

    *stats = (struct checkpoint_stats){ 0 };
    checkpoint_path(path, sizeof path, wal_dir, last);
    snprintf(tmp, sizeof tmp, "%.4000s.tmp", path);
    arena_init(&c.arena, SIZE_MAX);
    arena_init(&c.texts, SIZE_MAX);
    ok = io_remove_tree(io, tmp, err) && io_mkdir(io, tmp, err) && open_segment(&c, err) &&
         filter_all(&c, wal_dir, last, err) && io_sync_dir(io, tmp, err) &&
         io_rename(io, tmp, path, err) && io_sync_dir(io, wal_dir, err);
    if (!ok) {
        struct error ignored = { 0 };
        error_ignored(io_remove_tree(io, tmp, &ignored));
        error_clear(&ignored);
    }
    checkpoint_fini(&c);
    return ok || error_wrap(err, "checkpoint '%s'", path);
}
