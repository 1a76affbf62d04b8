/* Data directories, opened for reading; tsdb list. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/ulid.h"
#include "base/units.h"
#include "cmd/tool.h"
#include "cmd/tool_blocks.h"

#define NS_PER_MS INT64_C(1000000)

bool
tool_check_dir(const struct io *io, const char *dir, struct error *err)
{
    struct error why = { 0 };
    struct io_stat st;

    if (io_stat_path(io, dir, &st, &why))
        return true;
    if (why.kind == ERR_NOT_FOUND)
        error_set(err, ERR_NOT_FOUND, "opening the db dir: stat %s: no such file or directory",
                  dir);
    else
        error_set(err, why.kind, "opening the db dir: %s", error_text(&why));
    error_clear(&why);
    return false;
}

/* ---- blocks ---- */

struct broken {
    struct block_id id;
    char *why;
};

static int
block_cmp(const void *a, const void *b)
{
    const struct block_meta *x = block_meta(*(struct block *const *)a),
                            *y = block_meta(*(struct block *const *)b);

    if (x->min_ms != y->min_ms)
        return x->min_ms < y->min_ms ? -1 : 1;
    return strcmp(x->id.z, y->id.z);
}

static bool
is_parent(const struct tool_blocks *b, struct block_id id)
{
    for (size_t i = 0; i < b->nr; i++) {
        const struct block_meta *meta = block_meta(b->v[i]);
        for (size_t k = 0; k < meta->parents_nr; k++)
            if (strcmp(meta->parents[k].id.z, id.z) == 0)
                return true;
    }
    return false;
}

/* A damaged block is no error when a newer one has its contents. */
static bool
judge(const struct tool_blocks *b, struct broken *broken, size_t nr, struct error *err)
{
    struct buf said = { 0 };

    for (size_t i = 0; i < nr; i++) {
        if (!is_parent(b, broken[i].id))
            buf_printf(&said, "%scorrupted block %s: %s", said.n == 0 ? "" : "\n", broken[i].id.z,
                       broken[i].why);
        mem_free(broken[i].why);
    }
    mem_free(broken);
    bool ok = said.n == 0 || error_set(err, ERR_CORRUPT, "%s", buf_z(&said));
    buf_fini(&said);
    return ok;
}

bool
tool_blocks_open(struct tool_blocks *b, const struct io *io, const char *dir, struct error *err)
{
    struct io_dir_list list = { 0 };
    struct broken *broken = NULL;
    size_t broken_nr = 0, broken_cap = 0;

    *b = (struct tool_blocks){ .symbols = symbols_new() };
    if (!tool_check_dir(io, dir, err) || !io_list(io, dir, &list, err))
        return false;
    for (size_t i = 0; i < list.nr; i++) {
        const char *name = list.entries[i].name;
        struct error why = { 0 };
        char path[PATH_MAX];
        struct ulid id;
        struct block *block;
        if (!list.entries[i].is_dir || !ulid_parse(str_c(name), &id))
            continue;
        snprintf(path, sizeof path, "%.3000s/%s", dir, name);
        if (block_open(&block, io, path, b->symbols, &why)) {
            MEM_GROW(b->v, b->nr + 1, &b->cap);
            b->v[b->nr++] = block;
        } else {
            MEM_GROW(broken, broken_nr + 1, &broken_cap);
            broken[broken_nr] = (struct broken){ .why = mem_strdup(error_text(&why)) };
            snprintf(broken[broken_nr++].id.z, BLOCK_ULID_BYTES, "%s", name);
        }
        error_clear(&why);
    }
    io_dir_list_fini(&list);
    if (b->nr > 1)
        qsort(b->v, b->nr, sizeof *b->v, block_cmp);
    return judge(b, broken, broken_nr, err);
}

void
tool_blocks_close(struct tool_blocks *b)
{
    for (size_t i = 0; i < b->nr; i++)
        block_unref(b->v[i]);
    mem_free(b->v);
    symbols_free(b->symbols);
}

/* ---- the database ---- */

bool
tool_db_open(struct tool_db *d, struct tool *t, const char *dir, struct error *err)
{
    struct db_options o = {
        .log = t->log, .wal_sync = DB_SYNC_OFF, .no_lockfile = true, .no_maintenance = true
    };
    char path[PATH_MAX];

    d->db = NULL;
    overlay_io_init(&d->fs, t->io);
    if (!tool_check_dir(t->io, dir, err))
        return false;
    if (realpath(dir, path) == NULL)
        return error_sys(err, "opening the db dir: %s", dir);
    return db_open(path, &d->fs.io, t->clock, &o, &d->db, err);
}

void
tool_db_close(struct tool_db *d)
{
    db_close(d->db);
    overlay_io_fini(&d->fs);
}

/* ---- list ---- */

static void
print_time(int64_t t_ms, bool human, struct buf *out)
{
    time_t s = (time_t)(t_ms / 1000);
    struct tm tm;
    char text[64];

    if (!human || gmtime_r(&s, &tm) == NULL) {
        buf_printf(out, "%lld", (long long)t_ms);
        return;
    }
    buf_add(out, text, strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S +0000 UTC", &tm));
}

/* Of one file; 0 when it is not there. */
static uint64_t
file_bytes(const struct io *io, const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct error ignored = { 0 };
    struct io_stat st = { 0 };

    snprintf(path, sizeof path, "%.3000s/%.255s", dir, name);
    bool there = io_stat_path(io, path, &st, &ignored) && !st.is_dir;
    error_clear(&ignored);
    return there ? st.bytes : 0;
}

/* Everything that the block has on disk. */
static uint64_t
files_bytes(const struct io *io, const char *dir)
{
    static const char *const names[] = { "index", "meta.json", "tombstones" };
    struct io_dir_list list = { 0 };
    struct error ignored = { 0 };
    char chunks[PATH_MAX];
    uint64_t sum = 0;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        sum += file_bytes(io, dir, names[i]);
    snprintf(chunks, sizeof chunks, "%.3000s/chunks", dir);
    if (io_list(io, chunks, &list, &ignored))
        for (size_t i = 0; i < list.nr; i++)
            sum += file_bytes(io, chunks, list.entries[i].name);
    io_dir_list_fini(&list);
    error_clear(&ignored);
    return sum;
}

void
tool_blocks_print(const struct io *io, struct block *const *blocks, size_t nr, bool header,
                  bool human, struct buf *out)
{
    struct tool_table table = { .width = 13, .padding = 2 };
    char duration[DURATION_TEXT_MAX], size[UNITS_TEXT_MAX];

    if (header)
        buf_c(&table.text, "BLOCK ULID\tMIN TIME\tMAX TIME\tDURATION\tNUM SAMPLES\tNUM "
                           "CHUNKS\tNUM SERIES\tSIZE\n");
    for (size_t i = 0; i < nr; i++) {
        const struct block_meta *m = block_meta(blocks[i]);
        uint64_t bytes = files_bytes(io, block_dir(blocks[i]));
        buf_printf(&table.text, "%s\t", m->id.z);
        print_time(m->min_ms, human, &table.text);
        buf_byte(&table.text, '\t');
        print_time(m->max_ms, human, &table.text);
        buf_printf(&table.text, "\t%s\t%llu\t%llu\t%llu\t",
                   duration_go_text((m->max_ms - m->min_ms) * NS_PER_MS, duration),
                   (unsigned long long)m->samples_nr, (unsigned long long)m->chunks_nr,
                   (unsigned long long)m->series_nr);
        if (human)
            buf_printf(&table.text, "%s\n", units_bytes_text((int64_t)bytes, size));
        else
            buf_printf(&table.text, "%llu\n", (unsigned long long)bytes);
    }
    tool_table_print(&table, out);
}

int
tool_tsdb_list(struct tool *t)
{
    struct tool_blocks blocks;
    struct error err = { 0 };
    struct buf out = { 0 };
    bool ok = tool_blocks_open(&blocks, t->io, tool_z(&t->line, "db path"), &err);

    if (ok)
        tool_blocks_print(t->io, blocks.v, blocks.nr, true, tool_bool(&t->line, "human-readable"),
                          &out);
    tool_put(&out, stdout);
    buf_fini(&out);
    tool_blocks_close(&blocks);
    return ok ? TOOL_OK : tool_fail(&err);
}
