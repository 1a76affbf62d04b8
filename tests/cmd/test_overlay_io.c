/* cmd/overlay_io.c over a file system in memory: changes are seen above and never reach below. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/mem.h"
#include "cmd/overlay_io.h"

struct world {
    struct mem_io below;
    struct overlay_io overlay;
    const struct io *io;
};

static void
put(const struct io *io, const char *path, const char *text)
{
    struct error err = { 0 };
    io_file file;

    cr_assert(io_open(io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &file, &err), "%s",
              error_text(&err));
    cr_assert(io_write(io, file, text, strlen(text), 0, &err));
    io_close(io, file);
}

/* The whole file, or "missing"; the caller frees. */
static char *
get(const struct io *io, const char *path)
{
    struct error err = { 0 };
    char *text = NULL;
    size_t n;

    if (!io_read_file(io, path, 1000, &text, &n, &err))
        text = mem_strdup(err.kind == ERR_NOT_FOUND ? "missing" : "error");
    error_clear(&err);
    return text;
}

static void
expect(const struct io *io, const char *path, const char *want, const char *when)
{
    char *got = get(io, path);

    cr_expect_str_eq(got, want, "%s: %s", when, path);
    mem_free(got);
}

static void
expect_list(const struct io *io, const char *path, const char *want)
{
    struct io_dir_list list;
    struct error err = { 0 };
    char got[200] = "";

    cr_assert(io_list(io, path, &list, &err), "%s", error_text(&err));
    for (size_t i = 0; i < list.nr; i++) {
        strcat(got, list.entries[i].name);
        strcat(got, list.entries[i].is_dir ? "/ " : " ");
    }
    io_dir_list_fini(&list);
    cr_expect_str_eq(got, want);
}

static void
world_open(struct world *w)
{
    struct error err = { 0 };

    mem_io_init(&w->below);
    cr_assert(io_mkdir(&w->below.io, "/d/sub", &err));
    put(&w->below.io, "/d/a", "one");
    put(&w->below.io, "/d/b", "two");
    put(&w->below.io, "/d/sub/c", "three");
    overlay_io_init(&w->overlay, &w->below.io);
    w->io = &w->overlay.io;
}

/* Whatever the test did, below is as it was. */
static void
world_close(struct world *w)
{
    expect(&w->below.io, "/d/a", "one", "below");
    expect(&w->below.io, "/d/b", "two", "below");
    expect(&w->below.io, "/d/sub/c", "three", "below");
    expect_list(&w->below.io, "/d", "a b sub/ ");
    overlay_io_fini(&w->overlay);
    mem_io_fini(&w->below);
}

Test(overlay_io, shows_what_is_below)
{
    struct world w;

    world_open(&w);
    expect(w.io, "/d/a", "one", "through");
    expect(w.io, "/d/none", "missing", "through");
    expect_list(w.io, "/d", "a b sub/ ");
    world_close(&w);
}

Test(overlay_io, keeps_writes_above)
{
    struct world w;
    struct error err = { 0 };
    io_file file;

    world_open(&w);
    cr_assert(io_open(w.io, "/d/a", IO_WRITE, &file, &err));
    cr_assert(io_write(w.io, file, "X", 1, 1, &err));
    io_close(w.io, file);
    expect(w.io, "/d/a", "oXe", "changed in place");
    put(w.io, "/d/sub/new", "4");
    expect(w.io, "/d/sub/new", "4", "made");
    expect_list(w.io, "/d/sub", "c new ");
    cr_expect_not(io_open(w.io, "/d/b", IO_CREATE | IO_EXCLUSIVE | IO_WRITE, &file, &err));
    cr_expect_eq(err.kind, ERR_CONFLICT);
    error_clear(&err);
    world_close(&w);
}

Test(overlay_io, hides_what_was_removed)
{
    struct world w;
    struct error err = { 0 };

    world_open(&w);
    cr_assert(io_remove(w.io, "/d/a", &err));
    expect(w.io, "/d/a", "missing", "removed");
    cr_expect_not(io_remove(w.io, "/d/a", &err));
    cr_expect_eq(err.kind, ERR_NOT_FOUND);
    error_clear(&err);
    cr_assert(io_remove_tree(w.io, "/d/sub", &err));
    expect(w.io, "/d/sub/c", "missing", "removed with its directory");
    expect_list(w.io, "/d", "b ");
    cr_assert(io_mkdir(w.io, "/d/sub", &err));
    put(w.io, "/d/sub/e", "5");
    expect_list(w.io, "/d/sub", "e ");
    world_close(&w);
}

Test(overlay_io, renames_and_links_copies)
{
    struct world w;
    struct error err = { 0 };

    world_open(&w);
    cr_assert(io_rename(w.io, "/d/a", "/d/b", &err), "%s", error_text(&err));
    expect(w.io, "/d/b", "one", "renamed over");
    expect(w.io, "/d/a", "missing", "renamed away");
    cr_assert(io_link(w.io, "/d/sub/c", "/d/sub/l", &err));
    expect(w.io, "/d/sub/l", "three", "linked");
    cr_expect_not(io_rename(w.io, "/d/sub", "/d/other", &err), "a directory of below");
    error_clear(&err);
    world_close(&w);
}

Test(overlay_io, maps_either_side)
{
    static const char *const paths[] = { "/d/a", "/d/n" };
    struct world w;
    struct error err = { 0 };

    world_open(&w);
    put(w.io, "/d/n", "one");
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct io_map map;
        io_file file;
        cr_assert(io_open(w.io, paths[i], IO_READ, &file, &err));
        cr_assert(io_map_file(w.io, file, &map, &err));
        cr_expect(map.n == 3 && memcmp(map.p, "one", 3) == 0, "%s", paths[i]);
        io_unmap(w.io, map);
        io_close(w.io, file);
    }
    world_close(&w);
}
