#include "tsdb/block.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault_io.h"
#include "conformance.h"
#include "tsdb/block_priv.h"
#include "tsdb/block_writer.h"
#include "tsdb/chunk_xor.h"

enum { BLOCKS_MAX = 64 };

struct blocks {
    char *dirs[BLOCKS_MAX];
    size_t nr;
};

/* All block directories of the conformance data. */
static void
find_blocks(struct blocks *found, const char *root)
{
    DIR *d = opendir(root);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        char path[2048], meta[2100];
        if (e->d_name[0] == '.' || e->d_type != DT_DIR)
            continue;
        snprintf(path, sizeof path, "%s/%s", root, e->d_name);
        snprintf(meta, sizeof meta, "%s/meta.json", path);
        if (access(meta, R_OK) == 0 && found->nr < BLOCKS_MAX)
            found->dirs[found->nr++] = strdup(path);
        else
            find_blocks(found, path);
    }
    if (d != NULL)
        closedir(d);
}

static void
blocks_free(struct blocks *b)
{
    for (size_t i = 0; i < b->nr; i++)
        free(b->dirs[i]);
}

/* Every symbol of the block's table, as the writer wants them. */
static bool
copy_symbols(struct block *b, struct block_writer *w, struct error *err)
{
    for (uint32_t i = 0; i < b->index.symbols_nr; i++) {
        struct str text;
        uint32_t ref = b->index.version == 1 ? (uint32_t)b->index.symbol_at[i] : i;
        if (!index_symbol(&b->index, ref, &text, err) || !block_writer_symbol(w, text, err))
            return false;
    }
    return true;
}

static bool
copy_series(struct block *b, uint32_t ref, struct block_writer *w, struct error *err)
{
    struct block_series s;
    struct labels labels;
    struct arena a;
    bool ok;

    arena_init(&a, SIZE_MAX);
    ok = block_series(b, ref, &a, &s, err) && block_labels(b, ref, &a, &labels, err);
    struct chunk *chunks = ok ? ARENA_NEW_ARRAY(&a, struct chunk, s.chunks_nr) : NULL;
    for (uint32_t i = 0; ok && i < s.chunks_nr; i++) {
        chunks[i] = (struct chunk){ .min_ms = s.chunks[i].min_ms, .max_ms = s.chunks[i].max_ms };
        ok = block_chunk_copy(b, s.chunks[i].ref, &a, &chunks[i].encoding, &chunks[i].data, err);
    }
    ok = ok && block_writer_series(w, labels, chunks, s.chunks_nr, err);
    arena_fini(&a);
    return ok;
}

static bool
rewrite(struct block *b, const char *parent, struct error *err)
{
    struct block_writer *w = NULL;
    struct postings refs;
    struct block_meta meta;
    struct arena a;

    arena_init(&a, SIZE_MAX);
    block_meta_copy(&meta, block_meta(b));
    bool ok = block_writer_new(&w, io_posix(), parent, meta.id, BLOCK_SEGMENT_BYTES, err) &&
              copy_symbols(b, w, err) && block_select(b, NULL, 0, NULL, &a, &refs, err);
    for (size_t i = 0; ok && i < refs.nr; i++)
        ok = copy_series(b, refs.v[i], w, err);
    ok = ok && block_writer_finish(w, &meta, err);
    block_writer_free(w);
    block_meta_fini(&meta);
    arena_fini(&a);
    return ok;
}

static void
expect_same_file(const char *a_dir, const char *b_dir, const char *name)
{
    char a_path[2200], b_path[2200], *a = NULL, *b = NULL;
    struct error err = { 0 };
    size_t a_n, b_n;

    snprintf(a_path, sizeof a_path, "%s/%s", a_dir, name);
    snprintf(b_path, sizeof b_path, "%s/%s", b_dir, name);
    cr_assert(io_read_file(io_posix(), a_path, 1 << 30, &a, &a_n, &err), "%s", err.msg);
    cr_assert(io_read_file(io_posix(), b_path, 1 << 30, &b, &b_n, &err), "%s", err.msg);
    cr_expect(a_n == b_n && memcmp(a, b, a_n) == 0, "%s differs: %zu and %zu bytes", a_path, a_n,
              b_n);
    mem_free(a);
    mem_free(b);
}

Test(block, rewriting_conformance_blocks_gives_their_bytes)
{
    const char *root = conformance_path("");
    struct symbols *symbols = symbols_new();
    struct blocks found = { 0 };
    char tmp[] = "/tmp/narthex-test-XXXXXX", out[256];
    struct error err = { 0 };
    size_t passed = 0;

    if (root == NULL)
        return;
    char *root_copy = strdup(root);
    find_blocks(&found, root_copy);
    cr_assert(mkdtemp(tmp) != NULL);
    for (size_t i = 0; i < found.nr; i++) {
        struct block *b;
        cr_assert(block_open(&b, io_posix(), found.dirs[i], symbols, &err), "%s", err.msg);
        cr_expect(rewrite(b, tmp, &err), "%s: %s", found.dirs[i], err.msg);
        snprintf(out, sizeof out, "%s/%s", tmp, block_meta(b)->id.z);
        if (b->index.version == INDEX_VERSION_WRITTEN) {
            expect_same_file(found.dirs[i], out, "index");
            expect_same_file(found.dirs[i], out, "chunks/000001");
        }
        if (block_meta(b)->tombstones_nr == 0 && b->index.version == INDEX_VERSION_WRITTEN)
            expect_same_file(found.dirs[i], out, "meta.json");
        passed++;
        block_unref(b);
    }
    fprintf(stderr, "%zu blocks rewritten\n", passed);
    cr_expect(io_remove_tree(io_posix(), tmp, &err));
    blocks_free(&found);
    free(root_copy);
    symbols_free(symbols);
}

/* chunks.jsonl of one directory. */
struct listing {
    struct block *blocks[BLOCKS_MAX];
    size_t blocks_nr, series_nr, passed;
};

static struct block *
block_of(const struct listing *l, const char *id)
{
    for (size_t i = 0; i < l->blocks_nr; i++)
        if (strcmp(block_meta(l->blocks[i])->id.z, id) == 0)
            return l->blocks[i];
    return NULL;
}

static bool
chunk_is(struct block *b, const struct block_chunk *c, json_t *want)
{
    enum chunk_encoding encoding;
    struct error err = { 0 };
    struct bytes data;
    struct arena a;

    arena_init(&a, SIZE_MAX);
    bool ok = block_chunk_copy(b, c->ref, &a, &encoding, &data, &err);
    ok = ok && c->ref == (uint64_t)json_integer_value(json_object_get(want, "ref")) &&
         c->min_ms == json_integer_value(json_object_get(want, "min")) &&
         c->max_ms == json_integer_value(json_object_get(want, "max")) &&
         chunk_samples_nr(encoding, data) == json_integer_value(json_object_get(want, "samples")) &&
         data.n == (size_t)json_integer_value(json_object_get(want, "size")) &&
         strcasecmp(chunk_encoding_text(encoding),
                    json_string_value(json_object_get(want, "encoding"))) == 0;
    error_clear(&err);
    arena_fini(&a);
    return ok;
}

/* Selects the one series that has exactly these labels. */
static bool
series_find(struct block *b, json_t *labels, struct arena *a, uint32_t *ref)
{
    struct matcher *m = ARENA_NEW_ARRAY(a, struct matcher, json_array_size(labels));
    struct error err = { 0 };
    struct postings refs;
    struct labels got;
    json_t *label;
    size_t i;

    json_array_foreach(labels, i, label)
    {
        cr_assert(matcher_init(&m[i], MATCH_EQ, str_c(json_string_value(json_array_get(label, 0))),
                               str_c(json_string_value(json_array_get(label, 1))), a, &err));
    }
    cr_assert(block_select(b, m, i, NULL, a, &refs, &err), "%s", err.msg);
    for (size_t k = 0; k < refs.nr; k++) {
        cr_assert(block_labels(b, refs.v[k], a, &got, &err));
        *ref = refs.v[k];
        if (got.nr == i)
            return true;
    }
    return false;
}

static void
listing_line(json_t *line, void *arg)
{
    struct listing *l = arg;
    struct block *b = block_of(l, json_string_value(json_object_get(line, "block")));
    json_t *want = json_object_get(line, "chunks");
    struct error err = { 0 };
    struct block_series s;
    struct arena a;
    uint32_t ref;

    if (want == NULL) {
        uint64_t series = (uint64_t)json_integer_value(json_object_get(line, "tombstone_ref"));
        const struct tombstone_series *t = tombstones_find(block_tombstones(b), series);
        json_t *ranges = json_object_get(line, "intervals");
        cr_expect(t != NULL && t->nr == json_array_size(ranges), "tombstones of series %llu",
                  (unsigned long long)series);
        return;
    }
    arena_init(&a, SIZE_MAX);
    l->series_nr++;
    bool ok = b != NULL && series_find(b, json_object_get(line, "labels"), &a, &ref) &&
              block_series(b, ref, &a, &s, &err) && s.chunks_nr == json_array_size(want);
    for (uint32_t i = 0; ok && i < s.chunks_nr; i++)
        ok = chunk_is(b, &s.chunks[i], json_array_get(want, i));
    cr_expect(ok, "series %zu of %s", l->series_nr, b == NULL ? "?" : block_dir(b));
    l->passed += ok;
    arena_fini(&a);
}

Test(block, holds_the_listed_series_and_chunks)
{
    static const char *dirs[] = { "blocks-levels",
                                  "blocks-overlapping",
                                  "blocks-vertical",
                                  "native-histograms",
                                  "ooo-block",
                                  "st-storage",
                                  "tombstones",
                                  "wal-checkpoint",
                                  "xor2",
                                  "clean" };
    size_t passed = 0, nr = 0;

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        struct symbols *symbols = symbols_new();
        struct listing l = { 0 };
        struct blocks found = { 0 };
        struct error err = { 0 };
        char relative[128];
        snprintf(relative, sizeof relative, "tsdb/%s/data", dirs[i]);
        const char *root = conformance_path(relative);
        if (root == NULL)
            return;
        char *root_copy = strdup(root);
        find_blocks(&found, root_copy);
        for (; l.blocks_nr < found.nr; l.blocks_nr++)
            cr_assert(block_open(&l.blocks[l.blocks_nr], io_posix(), found.dirs[l.blocks_nr],
                                 symbols, &err),
                      "%s", err.msg);
        snprintf(relative, sizeof relative, "tsdb/%s/chunks.jsonl", dirs[i]);
        if (conformance_lines(relative, listing_line, &l)) {
            size_t have = 0;
            for (size_t k = 0; k < l.blocks_nr; k++)
                have += block_meta(l.blocks[k])->series_nr;
            cr_expect_eq(have, l.series_nr, "%s: %zu series", dirs[i], have);
        }
        for (size_t k = 0; k < l.blocks_nr; k++)
            block_unref(l.blocks[k]);
        passed += l.passed;
        nr += l.series_nr;
        blocks_free(&found);
        free(root_copy);
        symbols_free(symbols);
    }
    fprintf(stderr, "%zu of %zu series passed\n", passed, nr);
}

struct lines {
    char **v;
    size_t nr, cap;
};

static void
line_add(struct lines *l, char *line)
{
    MEM_GROW(l->v, l->nr + 1, &l->cap);
    l->v[l->nr++] = line;
}

static int
line_cmp(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Samples of a block as `{labels} time bits`; histograms without a value. */
static void
dump_block(struct block *b, struct lines *out)
{
    struct sample_buf samples;
    struct postings refs;
    struct error err = { 0 };
    struct arena a, h;

    arena_init(&a, SIZE_MAX);
    arena_init(&h, SIZE_MAX);
    sample_buf_init(&samples, &h);
    cr_assert(block_select(b, NULL, 0, NULL, &a, &refs, &err));
    for (size_t i = 0; i < refs.nr; i++) {
        struct labels labels;
        struct buf text = { 0 };
        sample_buf_reset(&samples);
        cr_assert(block_labels(b, refs.v[i], &a, &labels, &err));
        cr_assert(block_read(b, refs.v[i], TIME_MIN_MS, TIME_MAX_MS, &samples, &err), "%s",
                  err.msg);
        labels_print(labels, &text);
        for (size_t k = 0; k < samples.nr; k++) {
            struct buf line = { 0 };
            bool is_histogram = samples.h != NULL && samples.h[k] != NULL;
            double v = isnan(samples.v[k]) ? NAN : samples.v[k];
            buf_printf(&line, "%s %lld %s", buf_z(&text), (long long)samples.t_ms[k],
                       is_histogram ? "histogram" : "");
            if (!is_histogram)
                buf_printf(&line, "%.17g", isnan(v) ? NAN : v);
            buf_z(&line);
            line_add(out, (char *)line.p);
        }
        buf_fini(&text);
    }
    sample_buf_fini(&samples);
    arena_fini(&a);
    arena_fini(&h);
}

/* A line of dump.txt in the same form. */
static char *
dump_line(const char *line)
{
    struct buf out = { 0 };
    const char *labels_end = line;
    bool quoted = false;

    for (; *labels_end != '}' || quoted; labels_end++) {
        if (quoted && *labels_end == '\\')
            labels_end++;
        else if (*labels_end == '"')
            quoted = !quoted;
    }
    const char *time = strrchr(line, ' ') + 1, *value = labels_end + 2;
    buf_printf(&out, "%.*s %lld ", (int)(labels_end + 1 - line), line, strtoll(time, NULL, 10));
    if (*value == '{')
        buf_c(&out, "histogram");
    else
        buf_printf(&out, "%.17g", strtod(value, NULL));
    buf_z(&out);
    return (char *)out.p;
}

static void
read_dump(const char *relative, struct lines *out)
{
    char command[4200], *line = NULL;
    size_t cap = 0;

    snprintf(command, sizeof command, "zcat '%s'", conformance_path(relative));
    FILE *f = popen(command, "r");
    while (getline(&line, &cap, f) > 0)
        line_add(out, dump_line(line));
    free(line);
    pclose(f);
}

static void
lines_free(struct lines *l)
{
    for (size_t i = 0; i < l->nr; i++)
        free(l->v[i]);
    free(l->v);
}

Test(block, reads_the_samples_that_were_dumped)
{
    static const char *dirs[] = { "blocks-openmetrics", "index_format_v1", "blocks-vertical" };

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        struct symbols *symbols = symbols_new();
        struct lines got = { 0 }, want = { 0 };
        struct blocks found = { 0 };
        struct error err = { 0 };
        char relative[128];
        size_t same = 0;
        snprintf(relative, sizeof relative, "tsdb/%s", dirs[i]);
        const char *root = conformance_path(relative);
        if (root == NULL)
            return;
        char *root_copy = strdup(root);
        find_blocks(&found, root_copy);
        for (size_t k = 0; k < found.nr; k++) {
            struct block *b;
            cr_assert(block_open(&b, io_posix(), found.dirs[k], symbols, &err), "%s", err.msg);
            dump_block(b, &got);
            block_unref(b);
        }
        snprintf(relative, sizeof relative, "tsdb/%s/dump.txt.gz", dirs[i]);
        read_dump(relative, &want);
        qsort(got.v, got.nr, sizeof *got.v, line_cmp);
        qsort(want.v, want.nr, sizeof *want.v, line_cmp);
        cr_expect_eq(got.nr, want.nr, "%s: %zu samples, not %zu", dirs[i], got.nr, want.nr);
        for (size_t k = 0; k < got.nr && k < want.nr; k++)
            same += strcmp(got.v[k], want.v[k]) == 0;
        cr_expect_eq(same, want.nr, "%s: '%s', not '%s'", dirs[i], got.v[0], want.v[0]);
        fprintf(stderr, "%s: %zu of %zu samples passed\n", dirs[i], same, want.nr);
        lines_free(&got);
        lines_free(&want);
        blocks_free(&found);
        free(root_copy);
        symbols_free(symbols);
    }
}

/* ---- selecting ---- */

static const struct {
    enum match_type type;
    const char *name, *value;
} conditions[] = {
    { MATCH_EQ, "__name__", "g_counter_total" },
    { MATCH_EQ, "job", "a" },
    { MATCH_EQ, "job", "" },
    { MATCH_EQ, "nowhere", "" },
    { MATCH_EQ, "nowhere", "x" },
    { MATCH_NE, "job", "a" },
    { MATCH_NE, "job", "" },
    { MATCH_NE, "nowhere", "x" },
    { MATCH_RE, "job", "a|b" },
    { MATCH_RE, "job", ".*" },
    { MATCH_RE, "job", ".+" },
    { MATCH_RE, "__name__", "g_.*t.*" },
    { MATCH_RE, "__name__", "g_counter.*" },
    { MATCH_RE, "job", "a|" },
    { MATCH_RE, "instance", "" },
    { MATCH_NRE, "job", "a|b" },
    { MATCH_NRE, "job", ".*" },
    { MATCH_NRE, "job", ".+" },
    { MATCH_NRE, "instance", "x.*" },
    { MATCH_NRE, "nowhere", "y" },
    { MATCH_NRE, "nowhere", "" },
};

/* Every pair of conditions, against asking each series. */
static void
expect_selects(struct block *b, struct arena *a)
{
    struct matcher m[ARRAY_LEN(conditions)];
    struct error err = { 0 };
    struct postings all, got;

    for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
        cr_assert(matcher_init(&m[i], conditions[i].type, str_c(conditions[i].name),
                               str_c(conditions[i].value), a, &err));
    cr_assert(block_select(b, NULL, 0, NULL, a, &all, &err));
    cr_assert_eq(all.nr, block_meta(b)->series_nr);
    struct labels *labels = ARENA_NEW_ARRAY(a, struct labels, all.nr);
    for (size_t k = 0; k < all.nr; k++)
        cr_assert(block_labels(b, all.v[k], a, &labels[k], &err));
    for (size_t i = 0; i < ARRAY_LEN(conditions) * ARRAY_LEN(conditions); i++) {
        struct matcher pair[2] = { m[i / ARRAY_LEN(conditions)], m[i % ARRAY_LEN(conditions)] };
        size_t n = 0;
        cr_assert(block_select(b, pair, 2, NULL, a, &got, &err), "%s", err.msg);
        for (size_t k = 0; k < all.nr; k++) {
            if (!matcher_matches(&pair[0], labels_get(labels[k], pair[0].name)) ||
                !matcher_matches(&pair[1], labels_get(labels[k], pair[1].name)))
                continue;
            cr_expect(n < got.nr && got.v[n] == all.v[k], "conditions %zu: series %zu", i, k);
            n++;
        }
        cr_expect_eq(n, got.nr, "conditions %zu: %zu series, not %zu", i, got.nr, n);
    }
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
        matcher_fini(&m[i]);
}

Test(block, selects_what_the_matchers_match)
{
    const char *root = conformance_path("tsdb/blocks-overlapping/data");
    struct symbols *symbols = symbols_new();
    struct blocks found = { 0 };
    struct error err = { 0 };
    struct block *b;
    struct arena a;

    if (root == NULL)
        return;
    char *root_copy = strdup(root);
    find_blocks(&found, root_copy);
    cr_assert(block_open(&b, io_posix(), found.dirs[0], symbols, &err), "%s", err.msg);
    arena_init(&a, SIZE_MAX);
    expect_selects(b, &a);
    arena_fini(&a);
    block_unref(b);
    blocks_free(&found);
    free(root_copy);
    symbols_free(symbols);
}

/* ---- a block of our own ---- */

static bool
write_block(const struct io *io, const char *dir, struct block_id id, int series_nr,
            struct error *err)
{
    static const char *const names[] = { "__name__", "i", "m" };
    struct block_meta meta = { .min_ms = 0, .max_ms = 7200000, .level = 1 };
    struct block_writer *w = NULL;
    char numbers[4000][8];
    uint8_t p[64];
    struct chunk_xor x;
    size_t n = CHUNK_XOR_HEADER_BYTES;

    chunk_xor_start(&x, p);
    cr_assert(chunk_xor_append(&x, p, &n, sizeof p, 1000, 1.5));
    struct chunk chunk = { CHUNK_XOR, { p, n }, 1000, 1000 };
    bool ok = block_writer_new(&w, io, dir, id, 16384, err) && block_writer_symbol(w, STR(""), err);
    for (int i = 0; ok && i < series_nr; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%04d", i % 10000);
        ok = block_writer_symbol(w, str_c(numbers[i]), err);
    }
    for (size_t i = 0; ok && i < ARRAY_LEN(names); i++)
        ok = block_writer_symbol(w, str_c(names[i]), err);
    for (int i = 0; ok && i < series_nr; i++) {
        struct label v[] = { { LABEL_NAME, STR("m") }, { STR("i"), str_c(numbers[i]) } };
        ok = block_writer_series(w, (struct labels){ v, 2 }, &chunk, 1, err);
    }
    ok = ok && block_writer_finish(w, &meta, err);
    block_meta_fini(&meta);
    block_writer_free(w);
    return ok;
}

/* Fail the first call, then the second, ...: a block is whole or not there. */
Test(block, a_crash_while_writing_leaves_a_whole_block_or_none)
{
    struct block_id id = { "01M7WYCDADFBEXMMZFFPZ8Z65C" };
    uint32_t whole_nr = 0, nth = 1;

    for (bool fired = true; fired; nth++) {
        struct symbols *symbols = symbols_new();
        struct fault_io fio;
        struct error err = { 0 };
        struct io_stat st;
        struct block *b = NULL;
        fault_io_init(&fio, (struct fault){ .nth = nth, .sys = EIO, .crash = true });
        bool ok = io_mkdir(&fio.io, "/data", &err) && io_sync_dir(&fio.io, "/", &err) &&
                  write_block(&fio.io, "/data", id, 50, &err);
        fired = fault_io_crash(&fio);
        error_clear(&err);
        bool there = io_stat_path(&fio.io, "/data/01M7WYCDADFBEXMMZFFPZ8Z65C", &st, &err);
        cr_expect(there || !ok, "call %u, seed %llu: acknowledged and gone", nth,
                  (unsigned long long)fio.seed);
        error_clear(&err);
        if (there) {
            cr_expect(block_open(&b, &fio.io, "/data/01M7WYCDADFBEXMMZFFPZ8Z65C", symbols, &err),
                      "call %u, seed %llu: %s", nth, (unsigned long long)fio.seed,
                      error_text(&err));
            cr_expect(b == NULL || block_meta(b)->series_nr == 50);
            whole_nr++;
        }
        block_unref(b);
        error_clear(&err);
        fault_io_fini(&fio);
        symbols_free(symbols);
    }
    cr_expect_gt(whole_nr, 0);
    cr_expect_gt(nth, 10);
}

Test(block, a_file_truncated_while_open_is_an_error_of_that_block)
{
    char tmp[] = "/tmp/narthex-test-XXXXXX", dir[128], path[160];
    struct block_id id = { "01M7WYCDADFBEXMMZFFPZ8Z65C" };
    struct symbols *symbols = symbols_new();
    struct sample_buf samples;
    struct error err = { 0 };
    struct postings refs;
    struct block *b;
    struct arena a;

    io_guard_install();
    cr_assert(mkdtemp(tmp) != NULL);
    cr_assert(write_block(io_posix(), tmp, id, 4000, &err), "%s", err.msg);
    snprintf(dir, sizeof dir, "%s/%s", tmp, id.z);
    arena_init(&a, SIZE_MAX);
    sample_buf_init(&samples, NULL);
    cr_assert(block_open(&b, io_posix(), dir, symbols, &err), "%s", err.msg);
    cr_assert(block_select(b, NULL, 0, NULL, &a, &refs, &err));
    cr_assert_eq(refs.nr, 4000);
    cr_assert(b->segments_nr > 1, "segments are cut");
    cr_assert(block_read(b, refs.v[3999], 0, 7200000, &samples, &err) && samples.nr == 1);
    snprintf(path, sizeof path, "%s/chunks/000002", dir);
    cr_assert_eq(truncate(path, 8), 0);
    cr_expect(block_read(b, refs.v[0], 0, 7200000, &samples, &err), "the first segment is whole");
    cr_expect_not(block_read(b, refs.v[1500], 0, 7200000, &samples, &err));
    cr_expect(strstr(error_text(&err), id.z) != NULL, "%s", error_text(&err));
    snprintf(path, sizeof path, "%s/index", dir);
    cr_assert_eq(truncate(path, 100), 0);
    cr_expect_not(block_read(b, refs.v[3999], 0, 7200000, &samples, &err));
    block_unref(b);
    cr_expect_not(block_open(&b, io_posix(), dir, symbols, &err));
    cr_expect_eq(err.kind, ERR_CORRUPT, "%s", error_text(&err));
    sample_buf_fini(&samples);
    arena_fini(&a);
    symbols_free(symbols);
    cr_expect(io_remove_tree(io_posix(), tmp, &err));
}
