#include "base/glob.h"

#include <fnmatch.h>

#include "base/mem.h"

static bool
has_wildcard(const char *z)
{
    return strpbrk(z, "*?[\\") != NULL;
}

static void
push(struct arena *arena, struct conf_strs *paths, size_t *cap, struct str path)
{
    ARENA_GROW(arena, paths->items, paths->nr, paths->nr + 1, cap);
    paths->items[paths->nr++] = path;
}

static bool
bracket_closed(const char *z)
{
    const char *open = strchr(z, '[');

    return open == NULL || strchr(open, ']') != NULL;
}

bool
glob_list(const struct io *io, struct str pattern, struct arena *arena, struct conf_strs *paths,
          struct error *err)
{
    struct error ignored = { 0 };
    struct io_dir_list list = { 0 };
    struct io_stat st;
    const char *path = arena_str(arena, pattern).p, *slash = strrchr(path, '/');
    const char *last = slash == NULL ? path : slash + 1;
    size_t cap = 0, dir_n = (size_t)(last - path);

    *paths = (struct conf_strs){ 0 };
    if (!bracket_closed(last))
        return error_set(err, ERR_INVALID, "syntax error in pattern");
    if (!has_wildcard(last)) {
        if (io_stat_path(io, path, &st, &ignored))
            push(arena, paths, &cap, str_c(path));
        error_clear(&ignored);
        return true;
    }
    struct str dir = dir_n == 0   ? STR(".")
                     : dir_n == 1 ? STR("/")
                                  : arena_str(arena, (struct str){ path, dir_n - 1 });
    if (!io_list(io, dir.p, &list, &ignored)) {
        error_clear(&ignored);
        return true;
    }
    for (size_t i = 0; i < list.nr; i++)
        if (fnmatch(last, list.entries[i].name, FNM_PATHNAME) == 0)
            push(arena, paths, &cap,
                 arena_printf(arena, "%.*s%s", (int)dir_n, path, list.entries[i].name));
    io_dir_list_fini(&list);
    return true;
}
