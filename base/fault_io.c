#include "base/fault_io.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static struct fault_io *
fault_of(const struct io *io)
{
    return CONTAINER_OF(io, struct fault_io, io);
}

static const struct io *
mem_of(const struct io *io)
{
    return &fault_of(io)->mem.io;
}

/* True when this call must fail; err is then set. */
static bool
strikes(const struct io *io, const char *what, struct error *err)
{
    struct fault_io *f = fault_of(io);

    if (f->healed || f->fault.nth == 0)
        return false;
    uint32_t call = atomic_fetch_add(&f->calls_nr, 1) + 1;
    if (call != f->fault.nth && !(f->fault.crash && atomic_load(&f->fired)))
        return false;
    atomic_store(&f->fired, true);
    errno = f->fault.sys == 0 ? EIO : f->fault.sys;
    error_sys(err, "%s (injected at call %u)", what, call);
    return true;
}

static bool
fault_open(const struct io *io, const char *path, unsigned flags, io_file *file, struct error *err)
{
    return !strikes(io, "open", err) && io_open(mem_of(io), path, flags, file, err);
}

static void
fault_close(const struct io *io, io_file file)
{
    io_close(mem_of(io), file);
}

static bool
fault_read(const struct io *io, io_file file, void *p, size_t n, uint64_t offset, struct error *err)
{
    return !strikes(io, "read", err) && io_read(mem_of(io), file, p, n, offset, err);
}

static bool
fault_write(const struct io *io, io_file file, const void *p, size_t n, uint64_t offset,
            struct error *err)
{
    struct fault_io *f = fault_of(io);
    bool first = !atomic_load(&f->fired);

    if (!strikes(io, "write", err))
        return io_write(mem_of(io), file, p, n, offset, err);
    if (first && f->fault.short_write) {
        struct error ignored = { 0 };
        error_ignored(io_write(mem_of(io), file, p, n / 2, offset, &ignored));
        error_clear(&ignored);
    }
    return false;
}

static bool
fault_size(const struct io *io, io_file file, uint64_t *bytes, struct error *err)
{
    return !strikes(io, "stat", err) && io_size(mem_of(io), file, bytes, err);
}

static bool
fault_truncate(const struct io *io, io_file file, uint64_t bytes, struct error *err)
{
    return !strikes(io, "truncate", err) && io_truncate(mem_of(io), file, bytes, err);
}

static bool
fault_preallocate(const struct io *io, io_file file, uint64_t bytes, struct error *err)
{
    return !strikes(io, "allocate", err) && io_preallocate(mem_of(io), file, bytes, err);
}

static bool
fault_sync(const struct io *io, io_file file, struct error *err)
{
    return !strikes(io, "sync", err) && io_sync(mem_of(io), file, err);
}

static void
fault_drop_cache(const struct io *io, io_file file)
{
    io_drop_cache(mem_of(io), file);
}

static bool
fault_map(const struct io *io, io_file file, struct io_map *map, struct error *err)
{
    return !strikes(io, "map", err) && io_map_file(mem_of(io), file, map, err);
}

static void
fault_unmap(const struct io *io, struct io_map map)
{
    io_unmap(mem_of(io), map);
}

static bool
fault_rename(const struct io *io, const char *from, const char *to, struct error *err)
{
    return !strikes(io, "rename", err) && io_rename(mem_of(io), from, to, err);
}

static bool
fault_remove(const struct io *io, const char *path, struct error *err)
{
    return !strikes(io, "remove", err) && io_remove(mem_of(io), path, err);
}

static bool
fault_remove_tree(const struct io *io, const char *path, struct error *err)
{
    return !strikes(io, "remove", err) && io_remove_tree(mem_of(io), path, err);
}

static bool
fault_mkdir(const struct io *io, const char *path, struct error *err)
{
    return !strikes(io, "mkdir", err) && io_mkdir(mem_of(io), path, err);
}

static bool
fault_list(const struct io *io, const char *path, struct io_dir_list *list, struct error *err)
{
    return !strikes(io, "list", err) && io_list(mem_of(io), path, list, err);
}

static bool
fault_stat(const struct io *io, const char *path, struct io_stat *st, struct error *err)
{
    return !strikes(io, "stat", err) && io_stat_path(mem_of(io), path, st, err);
}

static bool
fault_sync_dir(const struct io *io, const char *path, struct error *err)
{
    return !strikes(io, "sync", err) && io_sync_dir(mem_of(io), path, err);
}

static bool
fault_link(const struct io *io, const char *from, const char *to, struct error *err)
{
    return !strikes(io, "link", err) && io_link(mem_of(io), from, to, err);
}

static bool
fault_space(const struct io *io, const char *path, uint64_t *free_bytes, uint64_t *total_bytes,
            struct error *err)
{
    return !strikes(io, "statvfs", err) && io_space(mem_of(io), path, free_bytes, total_bytes, err);
}

static bool
fault_lock(const struct io *io, io_file file, struct error *err)
{
    return !strikes(io, "lock", err) && io_lock(mem_of(io), file, err);
}

static const struct io_ops fault_ops = {
    .open = fault_open,
    .close = fault_close,
    .read = fault_read,
    .write = fault_write,
    .size = fault_size,
    .truncate = fault_truncate,
    .preallocate = fault_preallocate,
    .sync = fault_sync,
    .drop_cache = fault_drop_cache,
    .map = fault_map,
    .unmap = fault_unmap,
    .rename = fault_rename,
    .remove = fault_remove,
    .remove_tree = fault_remove_tree,
    .mkdir = fault_mkdir,
    .list = fault_list,
    .stat = fault_stat,
    .sync_dir = fault_sync_dir,
    .link = fault_link,
    .space = fault_space,
    .lock = fault_lock,
};

static uint64_t
pick_seed(const struct fault *fault)
{
    const char *given = getenv("TEST_SEED");

    if (fault->seed != 0)
        return fault->seed;
    return given != NULL ? strtoull(given, NULL, 10) : fault->nth * UINT64_C(2654435761) + 1;
}

void
fault_io_init(struct fault_io *f, struct fault fault)
{
    *f = (struct fault_io){ .io = { &fault_ops }, .fault = fault, .seed = pick_seed(&fault) };
    mem_io_init(&f->mem);
    if (fault.disk_bytes != 0)
        mem_io_set_space(&f->mem, fault.disk_bytes);
}

void
fault_io_fini(struct fault_io *f)
{
    mem_io_fini(&f->mem);
}

bool
fault_io_crash(struct fault_io *f)
{
    f->healed = true;
    if (f->fault.crash)
        mem_io_crash(&f->mem, f->seed);
    return atomic_load(&f->fired);
}
