/* A handle is twice the handle of the side it belongs to, plus one above. */
#include "cmd/overlay_io.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/fnv.h"
#include "base/mem.h"

struct overlay_map {
    const uint8_t *p;
};

static struct overlay_io *
overlay_of(const struct io *io)
{
    return CONTAINER_OF(io, struct overlay_io, io);
}

static const struct io *
above_of(const struct io *io)
{
    return &overlay_of(io)->above.io;
}

static const struct io *
below_of(const struct io *io)
{
    return overlay_of(io)->below;
}

static const struct io *
side_of(const struct io *io, io_file file)
{
    return file % 2 != 0 ? above_of(io) : below_of(io);
}

/* ---- what is where ---- */

static bool
path_eq(const void *item, const void *key)
{
    return strcmp(item, key) == 0;
}

static uint64_t
path_hash(struct str path)
{
    return fnv64a(FNV64_START, path);
}

/* path or a directory above it was removed. */
static bool
is_hidden(const struct io *io, const char *path)
{
    struct overlay_io *o = overlay_of(io);
    char *part = mem_strdup(path);
    bool found = false;

    lock_take(&o->lock);
    for (char *end = part + strlen(part); !found && end != NULL && end > part;) {
        *end = '\0';
        found = table_find(&o->hidden, path_hash(str_c(part)), path_eq, part) != NULL;
        end = strrchr(part, '/');
    }
    lock_release(&o->lock);
    mem_free(part);
    return found;
}

static void
hide(const struct io *io, const char *path)
{
    struct overlay_io *o = overlay_of(io);

    if (is_hidden(io, path))
        return;
    lock_take(&o->lock);
    table_add(&o->hidden, path_hash(str_c(path)), mem_strdup(path));
    lock_release(&o->lock);
}

static bool
stat_quiet(const struct io *side, const char *path, struct io_stat *st)
{
    struct error ignored = { 0 };
    bool there = io_stat_path(side, path, st, &ignored);

    error_clear(&ignored);
    return there;
}

static bool
is_above(const struct io *io, const char *path)
{
    struct io_stat st;

    return stat_quiet(above_of(io), path, &st);
}

static bool
is_below(const struct io *io, const char *path, struct io_stat *st)
{
    return !is_hidden(io, path) && stat_quiet(below_of(io), path, st);
}

static bool
missing(const char *what, const char *path, struct error *err)
{
    return error_set(err, ERR_NOT_FOUND, "%s '%s': No such file or directory", what, path);
}

/* The directory of path, above as well when it is below. */
static bool
raise_dir(const struct io *io, const char *path, struct error *err)
{
    char *dir = mem_strdup(path), *slash = strrchr(dir, '/');
    struct io_stat st;
    bool ok = true;

    if (slash != NULL && slash != dir) {
        *slash = '\0';
        if (!is_above(io, dir) && is_below(io, dir, &st))
            ok = io_mkdir(above_of(io), dir, err);
    }
    mem_free(dir);
    return ok;
}

static bool
copy_bytes(const struct io *io, const char *path, uint64_t bytes, io_file to, struct error *err)
{
    enum { BLOCK = 1 << 20 };
    io_file from;

    if (!io_open(below_of(io), path, IO_READ, &from, err))
        return false;
    uint8_t *block = mem_alloc(BLOCK);
    bool ok = true;
    for (uint64_t at = 0; ok && at < bytes; at += BLOCK) {
        size_t n = (size_t)MIN(bytes - at, (uint64_t)BLOCK);
        ok = io_read(below_of(io), from, block, n, at, err) &&
             io_write(above_of(io), to, block, n, at, err);
    }
    mem_free(block);
    io_close(below_of(io), from);
    return ok;
}

/* A file of below gets a copy above, unless it has one. */
static bool
copy_up(const struct io *io, const char *path, struct error *err)
{
    struct io_stat st;
    io_file to;

    if (is_above(io, path))
        return true;
    if (!is_below(io, path, &st))
        return missing("open", path, err);
    if (st.is_dir)
        return error_set(err, ERR_UNAVAILABLE, "'%s': read-only directory", path);
    if (!raise_dir(io, path, err) ||
        !io_open(above_of(io), path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &to, err))
        return false;
    bool ok = copy_bytes(io, path, st.bytes, to, err);
    io_close(above_of(io), to);
    return ok;
}

/* ---- the calls ---- */

static bool
overlay_open(const struct io *io, const char *path, unsigned flags, io_file *file,
             struct error *err)
{
    bool writes = (flags & ~(unsigned)IO_READ) != 0;
    struct io_stat st;

    if (!writes && !is_above(io, path)) {
        if (is_hidden(io, path))
            return missing("open", path, err);
        if (!io_open(below_of(io), path, flags, file, err))
            return false;
        *file *= 2;
        return true;
    }
    if (writes && !is_above(io, path) && is_below(io, path, &st)) {
        if (flags & IO_EXCLUSIVE)
            return error_set(err, ERR_CONFLICT, "open '%s': File exists", path);
        if (!copy_up(io, path, err))
            return false;
    }
    if ((writes && !raise_dir(io, path, err)) || !io_open(above_of(io), path, flags, file, err))
        return false;
    *file = *file * 2 + 1;
    return true;
}

static void
overlay_close(const struct io *io, io_file file)
{
    io_close(side_of(io, file), file / 2);
}

static bool
overlay_read(const struct io *io, io_file file, void *p, size_t n, uint64_t offset,
             struct error *err)
{
    return io_read(side_of(io, file), file / 2, p, n, offset, err);
}

static bool
overlay_write(const struct io *io, io_file file, const void *p, size_t n, uint64_t offset,
              struct error *err)
{
    return io_write(side_of(io, file), file / 2, p, n, offset, err);
}

static bool
overlay_size(const struct io *io, io_file file, uint64_t *bytes, struct error *err)
{
    return io_size(side_of(io, file), file / 2, bytes, err);
}

static bool
overlay_truncate(const struct io *io, io_file file, uint64_t bytes, struct error *err)
{
    return io_truncate(side_of(io, file), file / 2, bytes, err);
}

static bool
overlay_preallocate(const struct io *io, io_file file, uint64_t bytes, struct error *err)
{
    return io_preallocate(side_of(io, file), file / 2, bytes, err);
}

/* Nothing outlives the process. */
static bool
overlay_sync(const struct io *io, io_file file, struct error *err)
{
    (void)io;
    (void)file;
    (void)err;
    return true;
}

static void
overlay_drop_cache(const struct io *io, io_file file)
{
    io_drop_cache(side_of(io, file), file / 2);
}

static bool
overlay_map_file(const struct io *io, io_file file, struct io_map *map, struct error *err)
{
    struct overlay_io *o = overlay_of(io);

    if (!io_map_file(side_of(io, file), file / 2, map, err))
        return false;
    if (file % 2 != 0) {
        struct overlay_map *m = MEM_NEW(struct overlay_map);
        m->p = map->p;
        lock_take(&o->lock);
        table_add(&o->maps, (uint64_t)(uintptr_t)map->p, m);
        lock_release(&o->lock);
    }
    return true;
}

static bool
map_eq(const void *item, const void *key)
{
    return ((const struct overlay_map *)item)->p == key;
}

static void
overlay_unmap(const struct io *io, struct io_map map)
{
    struct overlay_io *o = overlay_of(io);

    lock_take(&o->lock);
    struct overlay_map *m = table_remove(&o->maps, (uint64_t)(uintptr_t)map.p, map_eq, map.p);
    lock_release(&o->lock);
    io_unmap(m != NULL ? above_of(io) : below_of(io), map);
    mem_free(m);
}

static bool
overlay_rename(const struct io *io, const char *from, const char *to, struct error *err)
{
    struct io_stat st;

    if (is_below(io, from, &st) && st.is_dir)
        return error_set(err, ERR_UNAVAILABLE, "'%s': read-only directory", from);
    if (!copy_up(io, from, err) || !raise_dir(io, to, err) ||
        !io_rename(above_of(io), from, to, err))
        return false;
    if (is_below(io, from, &st))
        hide(io, from);
    if (is_below(io, to, &st))
        hide(io, to);
    return true;
}

static bool
overlay_remove(const struct io *io, const char *path, struct error *err)
{
    struct io_stat st;
    bool below = is_below(io, path, &st), above = is_above(io, path);

    if (!below && !above)
        return missing("remove", path, err);
    if (above && !io_remove(above_of(io), path, err))
        return false;
    if (below)
        hide(io, path);
    return true;
}

static bool
overlay_remove_tree(const struct io *io, const char *path, struct error *err)
{
    struct io_stat st;

    if (is_below(io, path, &st))
        hide(io, path);
    return io_remove_tree(above_of(io), path, err);
}

static bool
overlay_mkdir(const struct io *io, const char *path, struct error *err)
{
    return io_mkdir(above_of(io), path, err);
}

static int
entry_cmp(const void *a, const void *b)
{
    return strcmp(((const struct io_entry *)a)->name, ((const struct io_entry *)b)->name);
}

static bool
has_entry(const struct io_dir_list *list, const char *name)
{
    for (size_t i = 0; i < list->nr; i++)
        if (strcmp(list->entries[i].name, name) == 0)
            return true;
    return false;
}

/* Entries of below that are neither hidden nor above as well join the list. */
static void
merge_entries(const struct io *io, const char *path, struct io_dir_list *list,
              const struct io_dir_list *below)
{
    size_t cap = list->nr, nr = list->nr;

    for (size_t i = 0; i < below->nr; i++) {
        struct buf full = { 0 };
        buf_printf(&full, "%s/%s", path, below->entries[i].name);
        if (!has_entry(list, below->entries[i].name) && !is_hidden(io, buf_z(&full))) {
            MEM_GROW(list->entries, nr + 1, &cap);
            list->entries[nr++] =
                (struct io_entry){ mem_strdup(below->entries[i].name), below->entries[i].is_dir };
        }
        buf_fini(&full);
    }
    list->nr = nr;
    if (nr > 1)
        qsort(list->entries, nr, sizeof *list->entries, entry_cmp);
}

static bool
overlay_list(const struct io *io, const char *path, struct io_dir_list *list, struct error *err)
{
    struct io_dir_list below = { 0 };
    struct io_stat st;
    bool is_there = is_below(io, path, &st), above = is_above(io, path);

    *list = (struct io_dir_list){ 0 };
    if (!is_there && !above)
        return missing("list", path, err);
    if (above && !io_list(above_of(io), path, list, err))
        return false;
    if (is_there && !io_list(below_of(io), path, &below, err)) {
        io_dir_list_fini(list);
        return false;
    }
    merge_entries(io, path, list, &below);
    io_dir_list_fini(&below);
    return true;
}

static bool
overlay_stat(const struct io *io, const char *path, struct io_stat *st, struct error *err)
{
    if (is_above(io, path))
        return io_stat_path(above_of(io), path, st, err);
    return is_hidden(io, path) ? missing("stat", path, err)
                               : io_stat_path(below_of(io), path, st, err);
}

static bool
overlay_sync_dir(const struct io *io, const char *path, struct error *err)
{
    (void)io;
    (void)path;
    (void)err;
    return true;
}

static bool
overlay_link(const struct io *io, const char *from, const char *to, struct error *err)
{
    return copy_up(io, from, err) && raise_dir(io, to, err) && io_link(above_of(io), from, to, err);
}

static bool
overlay_space(const struct io *io, const char *path, uint64_t *free_bytes, uint64_t *total_bytes,
              struct error *err)
{
    return io_space(below_of(io), path, free_bytes, total_bytes, err);
}

static bool
overlay_lock(const struct io *io, io_file file, struct error *err)
{
    (void)io;
    (void)file;
    (void)err;
    return true;
}

static const struct io_ops overlay_ops = {
    .open = overlay_open,
    .close = overlay_close,
    .read = overlay_read,
    .write = overlay_write,
    .size = overlay_size,
    .truncate = overlay_truncate,
    .preallocate = overlay_preallocate,
    .sync = overlay_sync,
    .drop_cache = overlay_drop_cache,
    .map = overlay_map_file,
    .unmap = overlay_unmap,
    .rename = overlay_rename,
    .remove = overlay_remove,
    .remove_tree = overlay_remove_tree,
    .mkdir = overlay_mkdir,
    .list = overlay_list,
    .stat = overlay_stat,
    .sync_dir = overlay_sync_dir,
    .link = overlay_link,
    .space = overlay_space,
    .lock = overlay_lock,
};

void
overlay_io_init(struct overlay_io *o, const struct io *below)
{
    *o = (struct overlay_io){ .io = { &overlay_ops }, .below = below };
    mem_io_init(&o->above);
    lock_init(&o->lock, LOCK_RANK_NONE, "overlay_io");
}

void
overlay_io_fini(struct overlay_io *o)
{
    char *path;

    for (size_t at = 0; (path = table_next(&o->hidden, &at)) != NULL;)
        mem_free(path);
    table_fini(&o->hidden);
    table_fini(&o->maps);
    lock_fini(&o->lock);
    mem_io_fini(&o->above);
}
