/* tsdb create-blocks-from openmetrics: one pass over the text for its first and last time, then one
 * per block, so that memory holds one block's samples whatever the file's order. Passes over times
 * without samples are skipped: each pass notes the first time behind its block. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cmd/tool.h"
#include "cmd/tool_blocks.h"
#include "scrape/parse.h"
#include "tsdb/block_writer.h"
#include "tsdb/chunk_cut.h"
#include "tsdb/compact.h"
#include "tsdb/db_priv.h" /* head_write_block() */

#define BLOCK_MS         INT64_C(7200000)
#define BLOCK_RANGES_NR  10
#define NS_PER_MS        INT64_C(1000000)
/* Samples per batch, so that what is not committed yet stays small. */
#define BATCH_SAMPLES_NR 5000

struct import {
    struct tool *t;
    const char *dir;
    struct str text;
    int64_t block_ms;
    const struct str *labels; /* name=value each */
    size_t labels_nr;
    bool header_printed;
};

/* The parser takes a buffer; OpenMetrics text is only read. */
static void
parser_start(struct page_parser *p, const struct import *im)
{
    static const struct parse_options options = { 0 };
    struct buf page = { (uint8_t *)(uintptr_t)im->text.p, im->text.n, im->text.n };

    page_parser_init(p);
    page_parser_start(p, PAGE_OPENMETRICS, &page, &options);
}

static bool
find_bounds(const struct import *im, int64_t *min_ms, int64_t *max_ms, struct error *err)
{
    struct page_parser p;
    enum parse_entry entry;
    bool ok = true;

    *min_ms = INT64_MAX;
    *max_ms = INT64_MIN;
    parser_start(&p, im);
    while (ok && (entry = page_parser_next(&p, err)) != PARSE_END) {
        if (entry == PARSE_ERROR)
            ok = error_wrap(err, "next");
        else if (entry == PARSE_SERIES && !p.has_t)
            ok = error_set(err, ERR_INVALID, "expected timestamp for series got none");
        else if (entry == PARSE_SERIES) {
            *min_ms = MIN(*min_ms, p.t_ms);
            *max_ms = MAX(*max_ms, p.t_ms);
        }
    }
    page_parser_fini(&p);
    if (*max_ms == INT64_MIN)
        *min_ms = *max_ms = 0;
    return ok;
}

/* ---- one block ---- */

struct filling {
    struct import *im;
    struct head *head;
    struct appender *batch; /* NULL between batches */
    size_t batch_nr;
    struct labels_builder labels;
    struct arena scratch;
    int64_t from_ms, to_ms; /* to_ms is not included */
    int64_t next_ms;        /* the first time at or behind to_ms */
};

static struct labels
full_labels(struct filling *f, struct labels parsed)
{
    labels_builder_reset(&f->labels, parsed);
    for (size_t i = 0; i < f->im->labels_nr; i++) {
        struct str pair = f->im->labels[i];
        size_t equals = str_find(pair, '=', 0);
        labels_builder_set(&f->labels, (struct str){ pair.p, equals }, str_skip(pair, equals + 1));
    }
    return labels_builder_view(&f->labels);
}

static bool
end_batch(struct filling *f, struct error *err)
{
    struct appender *batch = f->batch;

    f->batch = NULL;
    f->batch_nr = 0;
    return batch == NULL || append_commit(batch, err) || error_wrap(err, "commit");
}

static bool
add_sample(struct filling *f, struct page_parser *p, struct error *err)
{
    static const struct append_options options = { 0 };
    struct arena_mark mark = arena_mark(&f->scratch);
    series_ref ref = SERIES_REF_NONE;

    if (f->batch == NULL)
        f->batch = append_begin(head_appendable(f->head), &options);
    struct labels labels = full_labels(f, page_parser_labels(p, &f->scratch));
    enum append_outcome o = append_sample(f->batch, &ref, labels, 0, p->t_ms, p->value);
    arena_rewind(&f->scratch, mark);
    if (o != APPEND_OK && o != APPEND_DUPLICATE)
        return error_set(err, ERR_CONFLICT, "add sample: %s", append_outcome_text(o));
    return ++f->batch_nr < BATCH_SAMPLES_NR || end_batch(f, err);
}

static bool
take_series(struct filling *f, struct page_parser *p, struct error *err)
{
    if (!p->has_t)
        return error_set(err, ERR_INVALID, "expected timestamp for series %.*s, got none",
                         STR_ARG(p->series));
    if (p->t_ms >= f->to_ms)
        f->next_ms = MIN(f->next_ms, p->t_ms);
    return p->t_ms < f->from_ms || p->t_ms >= f->to_ms || add_sample(f, p, err);
}

static bool
fill(struct filling *f, struct error *err)
{
    struct page_parser p;
    enum parse_entry entry;
    bool ok = true;

    parser_start(&p, f->im);
    while (ok && (entry = page_parser_next(&p, err)) != PARSE_END) {
        if (entry == PARSE_ERROR)
            ok = error_wrap(err, "parse");
        else if (entry == PARSE_SERIES)
            ok = take_series(f, &p, err);
    }
    page_parser_fini(&p);
    if (ok)
        return end_batch(f, err);
    if (f->batch != NULL)
        append_rollback(f->batch);
    return false;
}

static bool
print_block(struct import *im, struct block_id id, struct error *err)
{
    struct symbols *symbols = symbols_new();
    struct block *block = NULL;
    struct buf path = { 0 }, out = { 0 };

    buf_printf(&path, "%s/%s", im->dir, id.z);
    bool ok = block_open(&block, im->t->io, buf_z(&path), symbols, err);
    if (ok) {
        tool_blocks_print(im->t->io, &block, 1, !im->header_printed,
                          tool_bool(&im->t->line, "human-readable"), &out);
        im->header_printed = true;
        tool_put(&out, stdout);
        block_unref(block);
    }
    buf_fini(&path);
    buf_fini(&out);
    symbols_free(symbols);
    return ok;
}

static bool
flush(struct filling *f, struct error *err)
{
    struct import *im = f->im;
    struct block_id id = compact_new_id(im->t->clock);
    bool empty = false;

    if (head_series_nr(f->head) == 0)
        return true;
    if (!head_write_block(f->head, im->t->io, im->dir, id, head_min_ms(f->head),
                          head_max_ms(f->head) + 1, BLOCK_SEGMENT_BYTES, &empty, err))
        return error_wrap(err, "flush");
    return empty || tool_bool(&im->t->line, "quiet") || print_block(im, id, err);
}

/* *next_ms: the first sample behind this block's time, INT64_MAX for none. */
static bool
import_block(struct import *im, int64_t from_ms, int64_t *next_ms, struct error *err)
{
    struct symbols *symbols = symbols_new();
    /* Twice the block's length: a head takes samples up to half a range older than its newest, and
     * the text may bring the block's samples in any order. */
    struct head_options o = { .io = im->t->io,
                              .clock = im->t->clock,
                              .symbols = symbols,
                              .log = log_none,
                              .range_ms = 2 * im->block_ms,
                              .samples_per_chunk = CHUNK_CUT_SAMPLES };
    struct filling f = { .im = im,
                         .head = head_new(&o),
                         .from_ms = from_ms,
                         .to_ms = from_ms + im->block_ms,
                         .next_ms = INT64_MAX };

    head_attach(f.head, NULL, NULL);
    labels_builder_init(&f.labels);
    arena_init(&f.scratch, SIZE_MAX);
    bool ok = fill(&f, err) && flush(&f, err);
    *next_ms = f.next_ms;
    arena_fini(&f.scratch);
    labels_builder_fini(&f.labels);
    head_free(f.head);
    symbols_free(symbols);
    return ok || error_wrap(err, "process blocks");
}

/* The longest range of Prometheus's that is not above what was asked for. */
static int64_t
block_range(int64_t wanted_ms)
{
    int64_t ms = BLOCK_MS, next = BLOCK_MS;

    for (int i = 0; i < BLOCK_RANGES_NR && next <= wanted_ms; i++, next *= 3)
        ms = next;
    return ms;
}

static bool
import_text(struct import *im, struct error *err)
{
    int64_t min_ms, max_ms, next_ms = INT64_MAX;

    if (!find_bounds(im, &min_ms, &max_ms, err))
        return error_wrap(err, "getting min and max timestamp");
    for (int64_t from_ms = min_ms / im->block_ms * im->block_ms; from_ms <= max_ms;
         from_ms += im->block_ms) {
        if (next_ms != INT64_MAX && next_ms >= from_ms + im->block_ms)
            continue;
        if (!import_block(im, from_ms, &next_ms, err))
            return error_wrap(err, "block creation");
    }
    return true;
}

/* ---- the file ---- */

/* A pipe cannot be mapped; io_read_file() asks for the size first. */
static bool
read_stream(const char *path, struct buf *text, struct error *err)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    if (f == NULL)
        return error_sys(err, "open %s", path);
    while ((n = fread(buf_reserve(text, 1 << 16), 1, 1 << 16, f)) > 0)
        text->n += n;
    bool ok = !ferror(f) || error_sys(err, "read %s", path);
    fclose(f);
    return ok;
}

static bool
import_file(struct import *im, const char *path, struct error *err)
{
    const struct io *io = im->t->io;
    struct buf text = { 0 };
    struct io_map map = { 0 };
    io_file file = IO_NONE;
    struct io_stat st;
    bool ok = io_stat_path(io, path, &st, err), mapped = false;

    if (ok && st.bytes > 0) {
        ok = mapped = io_open(io, path, IO_READ, &file, err) && io_map_file(io, file, &map, err);
        im->text = (struct str){ (const char *)map.p, map.n };
    } else if (ok) {
        ok = read_stream(path, &text, err);
        im->text = buf_as_str(&text);
    }
    if (ok && !io_mkdir(io, im->dir, err))
        ok = error_wrap(err, "create output dir");
    ok = ok && import_text(im, err);
    if (mapped)
        io_unmap(io, map);
    if (file != IO_NONE)
        io_close(io, file);
    buf_fini(&text);
    return ok;
}

int
tool_import_openmetrics(struct tool *t)
{
    struct import im = { .t = t, .dir = tool_z(&t->line, "output directory") };
    struct error err = { 0 };

    im.block_ms = block_range(tool_duration_ns(&t->line, "max-block-duration") / NS_PER_MS);
    im.labels = tool_strs(&t->line, "label", &im.labels_nr);
    return import_file(&im, tool_z(&t->line, "input file"), &err) ? TOOL_OK : tool_fail(&err);
}
