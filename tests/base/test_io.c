#include "base/io.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault_io.h"
#include "base/mem.h"
#include "base/mem_io.h"

static char dir[64];

/* The same behaviour is asked of the real file system and of the one in memory. */
static void
expect_file_system(const struct io *io, const char *root)
{
    struct error err = { 0 };
    char path[128], other[128];
    io_file file, again;
    uint64_t bytes = 0;
    char got[16] = "";

    snprintf(path, sizeof path, "%s/a/b/file", root);
    snprintf(other, sizeof other, "%s/a", root);
    cr_expect_not(io_open(io, path, IO_READ, &file, &err));
    cr_expect_eq(err.kind, ERR_NOT_FOUND);
    cr_expect(strstr(error_text(&err), path) != NULL);
    snprintf(path, sizeof path, "%s/a/b", root);
    cr_assert(io_mkdir(io, path, &err) && io_mkdir(io, path, &err), "%s", error_text(&err));
    snprintf(path, sizeof path, "%s/a/b/file", root);
    cr_assert(io_open(io, path, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &file, &err), "%s",
              error_text(&err));
    cr_expect_not(io_open(io, path, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &again, &err));
    cr_expect_eq(err.kind, ERR_CONFLICT);
    cr_assert(io_write(io, file, "hello", 5, 3, &err) && io_size(io, file, &bytes, &err));
    cr_expect_eq(bytes, 8);
    cr_assert(io_read(io, file, got, 8, 0, &err));
    cr_expect(memcmp(got, "\0\0\0hello", 8) == 0);
    cr_expect_not(io_read(io, file, got, 9, 0, &err));
    cr_expect_eq(err.kind, ERR_CORRUPT);
    cr_assert(io_preallocate(io, file, 100, &err) && io_preallocate(io, file, 50, &err));
    cr_assert(io_size(io, file, &bytes, &err) && bytes == 100);
    cr_assert(io_truncate(io, file, 8, &err) && io_sync(io, file, &err));

    struct io_map map;
    cr_assert(io_map_file(io, file, &map, &err) && map.n == 8 && map.p[3] == 'h');
    io_unmap(io, map);
    cr_assert(io_open(io, path, IO_READ, &again, &err));
    cr_expect(io_lock(io, file, &err));
    cr_expect_not(io_lock(io, again, &err));
    cr_expect_eq(err.kind, ERR_CONFLICT);
    io_close(io, file);
    cr_expect(io_lock(io, again, &err), "%s", error_text(&err));
    io_close(io, again);

    struct io_dir_list list;
    char copy[128];
    snprintf(copy, sizeof copy, "%s/a/0copy", root);
    cr_assert(io_link(io, path, copy, &err) && io_sync_dir(io, other, &err));
    cr_assert(io_list(io, other, &list, &err));
    cr_expect(list.nr == 2 && strcmp(list.entries[0].name, "0copy") == 0 &&
              !list.entries[0].is_dir && strcmp(list.entries[1].name, "b") == 0 &&
              list.entries[1].is_dir);
    io_dir_list_fini(&list);
    struct io_stat st, st2;
    cr_assert(io_stat_path(io, path, &st, &err) && io_stat_path(io, copy, &st2, &err));
    cr_expect(st.bytes == 8 && st.inode == st2.inode && !st.is_dir);

    char moved[128];
    snprintf(moved, sizeof moved, "%s/moved", root);
    cr_assert(io_rename(io, other, moved, &err));
    cr_expect_not(io_stat_path(io, path, &st, &err));
    cr_expect_eq(err.kind, ERR_NOT_FOUND);
    snprintf(path, sizeof path, "%s/moved/b/file", root);
    cr_expect(io_remove(io, path, &err));
    cr_expect_not(io_remove(io, path, &err));
    cr_expect_eq(err.kind, ERR_NOT_FOUND);
    cr_expect(io_remove_tree(io, moved, &err) && io_remove_tree(io, moved, &err));
    cr_expect_not(io_list(io, moved, &list, &err));
    uint64_t free_bytes, total_bytes;
    cr_expect(io_space(io, root, &free_bytes, &total_bytes, &err) && free_bytes <= total_bytes);

    char *text;
    size_t n;
    snprintf(path, sizeof path, "%s/small", root);
    cr_assert(io_replace_file(io, path, (struct bytes){ (const uint8_t *)"one", 3 }, &err));
    cr_assert(io_replace_file(io, path, (struct bytes){ (const uint8_t *)"three", 5 }, &err));
    cr_expect_not(io_read_file(io, path, 4, &text, &n, &err));
    cr_expect_eq(err.kind, ERR_LIMIT);
    cr_assert(io_read_file(io, path, 5, &text, &n, &err));
    cr_expect(n == 5 && strcmp(text, "three") == 0);
    mem_free(text);
    error_clear(&err);
}

Test(io_posix, behaves_as_a_file_system)
{
    struct error err = { 0 };

    strcpy(dir, "/tmp/narthex-test-XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    expect_file_system(io_posix(), dir);
    cr_expect(io_remove_tree(io_posix(), dir, &err));
}

Test(mem_io, behaves_as_a_file_system)
{
    struct mem_io m;
    struct error err = { 0 };

    mem_io_init(&m);
    cr_assert(io_mkdir(&m.io, "/data", &err));
    expect_file_system(&m.io, "/data");
    mem_io_fini(&m);
}

Test(mem_io, says_when_the_disk_is_full)
{
    struct mem_io m;
    struct error err = { 0 };
    io_file file;

    mem_io_init(&m);
    mem_io_set_space(&m, 10);
    cr_assert(io_open(&m.io, "/f", IO_WRITE | IO_CREATE, &file, &err));
    cr_expect(io_write(&m.io, file, "0123456789", 10, 0, &err));
    cr_expect_not(io_write(&m.io, file, "x", 1, 10, &err));
    cr_expect(err.kind == ERR_FULL && err.sys == ENOSPC);
    cr_expect(io_write(&m.io, file, "x", 1, 0, &err));
    io_close(&m.io, file);
    cr_expect(io_remove(&m.io, "/f", &err) &&
              io_open(&m.io, "/g", IO_WRITE | IO_CREATE, &file, &err));
    cr_expect(io_write(&m.io, file, "0123456789", 10, 0, &err));
    mem_io_fini(&m);
    error_clear(&err);
}

/* Replaces a file until something fails; after any crash the old or the new content is there,
 * whole. */
Test(fault_io, a_replaced_file_is_old_or_new_after_any_crash)
{
    struct bytes old = { (const uint8_t *)"old content", 11 },
                 new = { (const uint8_t *)"newer content", 13 };
    unsigned runs = 0;

    for (uint64_t seed = 1; seed < 20; seed++) {
        for (uint32_t nth = 1, fired = 1; fired; nth++, runs++) {
            struct fault_io fio;
            struct error err = { 0 };
            char *text = NULL;
            size_t n = 0;
            fault_io_init(&fio,
                          (struct fault){
                              .nth = nth, .crash = true, .short_write = true, .seed = seed * nth });
            bool first = io_mkdir(&fio.io, "/d", &err) && io_sync_dir(&fio.io, "/", &err) &&
                         io_replace_file(&fio.io, "/d/f", old, &err);
            bool second = first && io_replace_file(&fio.io, "/d/f", new, &err);
            fired = fault_io_crash(&fio);
            bool there = io_read_file(&fio.io, "/d/f", 100, &text, &n, &err);
            cr_assert(there || !first, "acknowledged file lost, call %u, seed %llu", nth,
                      (unsigned long long)fio.seed);
            if (there)
                cr_assert((n == 13 && memcmp(text, "newer content", 13) == 0) ||
                              (!second && n == 11 && memcmp(text, "old content", 11) == 0),
                          "torn: '%.*s', call %u, seed %llu", (int)n, text, nth,
                          (unsigned long long)fio.seed);
            mem_free(text);
            error_clear(&err);
            fault_io_fini(&fio);
        }
    }
    cr_expect_gt(runs, 200);
}

/* Of unsynced bytes every outcome occurs: kept, lost, torn. */
Test(fault_io, unsynced_bytes_are_kept_lost_or_torn)
{
    unsigned kept = 0, lost = 0, torn = 0;

    for (uint64_t seed = 1; seed < 200; seed++) {
        struct mem_io m;
        struct error err = { 0 };
        io_file file;
        uint64_t bytes = 0;
        mem_io_init(&m);
        cr_assert(io_open(&m.io, "/f", IO_WRITE | IO_CREATE, &file, &err) &&
                  io_sync_dir(&m.io, "/", &err));
        cr_assert(io_write(&m.io, file, "synced", 6, 0, &err) && io_sync(&m.io, file, &err));
        cr_assert(io_write(&m.io, file, "0123456789", 10, 6, &err));
        mem_io_crash(&m, seed);
        cr_assert(io_open(&m.io, "/f", IO_READ, &file, &err) && io_size(&m.io, file, &bytes, &err));
        cr_assert_geq(bytes, 6);
        kept += bytes == 16;
        lost += bytes == 6;
        torn += bytes > 6 && bytes < 16;
        mem_io_fini(&m);
    }
    cr_expect(kept > 0 && lost > 0 && torn > 0, "%u %u %u", kept, lost, torn);
}

struct reader {
    struct io_map map;
    unsigned char sum;
};

static bool
read_all(void *arg, struct error *err)
{
    struct reader *r = arg;

    for (size_t i = 0; i < r->map.n; i++)
        r->sum = (unsigned char)(r->sum + ((const volatile uint8_t *)r->map.p)[i]);
    return true;
}

static bool
read_nested(void *arg, struct error *err)
{
    struct error inner = { 0 };

    cr_expect_not(io_guarded_read(read_all, arg, &inner));
    error_clear(&inner);
    return true;
}

Test(io_guard, a_file_truncated_under_its_mapping_is_a_failed_read)
{
    const struct io *io = io_posix();
    struct error err = { 0 };
    char path[] = "/tmp/narthex-test-XXXXXX";
    io_file file = mkstemp(path);
    struct reader r = { 0 };

    io_guard_install();
    cr_assert(io_truncate(io, file, 64 * 1024, &err) && io_map_file(io, file, &r.map, &err));
    cr_expect(io_guarded_read(read_all, &r, &err));
    cr_assert(io_truncate(io, file, 100, &err));
    for (int i = 0; i < 3; i++) {
        cr_expect_not(io_guarded_read(read_all, &r, &err));
        cr_expect_eq(err.kind, ERR_IO);
    }
    cr_expect(io_guarded_read(read_nested, &r, &err));
    io_unmap(io, r.map);
    io_close(io, file);
    unlink(path);
    error_clear(&err);
}
