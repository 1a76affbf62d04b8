/* base/io.h: the file system as an object, so that faults, full disks and crashes can be simulated.
 *
 * Everything of tsdb and rules that touches files goes through a `struct io`. Three
 * implementations: io_posix() (the real one), mem_io (tests: a file system in memory, fast) and
 * fault_io (tests: wraps another, fails the nth call, short writes, disk full, and simulates a
 * crash that keeps, loses or tears what was not synced). All calls are thread-safe; one open file
 * may be written by one thread at a time, read by many (pread). Paths are NUL-terminated. Every
 * failure names the path it was about. */
#pragma once
#include "base/error.h"
#include "base/str.h"

struct io;
typedef int io_file; /* a handle of this io; IO_NONE is "not open" */
#define IO_NONE (-1)

enum io_open_flags {
    IO_READ = 1,
    IO_WRITE = 2,  /* implies reading */
    IO_CREATE = 4, /* create if missing */
    IO_TRUNCATE = 8,
    IO_EXCLUSIVE = 16 /* with IO_CREATE: fail with ERR_CONFLICT when it exists */
};

struct io_entry {
    char *name; /* without the directory */
    bool is_dir;
};

struct io_dir_list {
    struct io_entry *entries; /* sorted bytewise by name; owned */
    size_t nr;
};

struct io_stat {
    uint64_t bytes;
    int64_t mtime_ns;
    uint64_t inode;
    bool is_dir;
};

/* A file mapped for reading. Reads of the bytes must stand inside io_guarded_read(): a truncated
 * file or an I/O error under a mapping raises SIGBUS, which the guard turns into a failed read of
 * that one source. */
struct io_map {
    const uint8_t *p;
    size_t n;
};

struct io_ops {
    bool (*open)(const struct io *io, const char *path, unsigned flags, io_file *file,
                 struct error *err);
    void (*close)(const struct io *io, io_file file);
    /* Reads exactly n bytes at offset, or fails (ERR_CORRUPT at the end of the file). */
    bool (*read)(const struct io *io, io_file file, void *p, size_t n, uint64_t offset,
                 struct error *err);
    /* Writes all n bytes at offset, or fails; then any part may have reached the file. ENOSPC gives
     * ERR_FULL. */
    bool (*write)(const struct io *io, io_file file, const void *p, size_t n, uint64_t offset,
                  struct error *err);
    bool (*size)(const struct io *io, io_file file, uint64_t *bytes, struct error *err);
    bool (*truncate)(const struct io *io, io_file file, uint64_t bytes, struct error *err);
    /* Reserves room so that later writes inside it cannot meet a full disk; the size grows (bytes
     * read as zero). */
    bool (*preallocate)(const struct io *io, io_file file, uint64_t bytes, struct error *err);
    bool (*sync)(const struct io *io, io_file file, struct error *err); /* fdatasync */
    /* Tells the kernel that written pages will not be read soon (files written once must not fill
     * the page cache). */
    void (*drop_cache)(const struct io *io, io_file file);
    bool (*map)(const struct io *io, io_file file, struct io_map *map, struct error *err);
    void (*unmap)(const struct io *io, struct io_map map);

    bool (*rename)(const struct io *io, const char *from, const char *to, struct error *err);
    bool (*remove)(const struct io *io, const char *path,
                   struct error *err); /* file; missing: ERR_NOT_FOUND */
    bool (*remove_tree)(const struct io *io, const char *path,
                        struct error *err); /* missing is success */
    bool (*mkdir)(const struct io *io, const char *path,
                  struct error *err); /* with parents; existing is success */
    bool (*list)(const struct io *io, const char *path, struct io_dir_list *list,
                 struct error *err);
    bool (*stat)(const struct io *io, const char *path, struct io_stat *st,
                 struct error *err); /* ERR_NOT_FOUND */
    bool (*sync_dir)(const struct io *io, const char *path, struct error *err);
    bool (*link)(const struct io *io, const char *from, const char *to,
                 struct error *err); /* hard link */
    /* Free and total bytes of the file system that holds path. */
    bool (*space)(const struct io *io, const char *path, uint64_t *free_bytes,
                  uint64_t *total_bytes, struct error *err);
    /* Takes an exclusive advisory lock on the open file without waiting; ERR_CONFLICT when another
     * process has it. */
    bool (*lock)(const struct io *io, io_file file, struct error *err);
};

struct io {
    const struct io_ops *ops;
};

const struct io *io_posix(void); /* stateless, shared */

#define io_open(io, ...)        ((io)->ops->open((io), __VA_ARGS__))
#define io_close(io, ...)       ((io)->ops->close((io), __VA_ARGS__))
#define io_read(io, ...)        ((io)->ops->read((io), __VA_ARGS__))
#define io_write(io, ...)       ((io)->ops->write((io), __VA_ARGS__))
#define io_size(io, ...)        ((io)->ops->size((io), __VA_ARGS__))
#define io_truncate(io, ...)    ((io)->ops->truncate((io), __VA_ARGS__))
#define io_preallocate(io, ...) ((io)->ops->preallocate((io), __VA_ARGS__))
#define io_sync(io, ...)        ((io)->ops->sync((io), __VA_ARGS__))
#define io_drop_cache(io, ...)  ((io)->ops->drop_cache((io), __VA_ARGS__))
#define io_map_file(io, ...)    ((io)->ops->map((io), __VA_ARGS__))
#define io_unmap(io, ...)       ((io)->ops->unmap((io), __VA_ARGS__))
#define io_rename(io, ...)      ((io)->ops->rename((io), __VA_ARGS__))
#define io_remove(io, ...)      ((io)->ops->remove((io), __VA_ARGS__))
#define io_remove_tree(io, ...) ((io)->ops->remove_tree((io), __VA_ARGS__))
#define io_mkdir(io, ...)       ((io)->ops->mkdir((io), __VA_ARGS__))
#define io_list(io, ...)        ((io)->ops->list((io), __VA_ARGS__))
#define io_stat_path(io, ...)   ((io)->ops->stat((io), __VA_ARGS__))
#define io_sync_dir(io, ...)    ((io)->ops->sync_dir((io), __VA_ARGS__))
#define io_link(io, ...)        ((io)->ops->link((io), __VA_ARGS__))
#define io_space(io, ...)       ((io)->ops->space((io), __VA_ARGS__))
#define io_lock(io, ...)        ((io)->ops->lock((io), __VA_ARGS__))

void io_dir_list_fini(struct io_dir_list *list);

/* Whole small files (configuration, meta.json). Files over bytes_max are refused with ERR_LIMIT
 * before allocation. *p is owned by the caller and NUL-terminated behind its end. */
MUST_CHECK bool io_read_file(const struct io *io, const char *path, size_t bytes_max, char **p,
                             size_t *n, struct error *err);
/* Writes `path.tmp`, syncs it, renames it over path and syncs the directory: old or new after a
 * crash, never half. */
MUST_CHECK bool
io_replace_file(const struct io *io, const char *path, struct bytes content, struct error *err);

/* Runs fn(arg) so that a SIGBUS raised by a mapped read inside it makes io_guarded_read() return
 * false with ERR_IO instead of killing the process. fn must not take locks or allocate outside an
 * arena that the caller releases. Nestable; the guard is per thread. io_guard_install() sets the
 * signal handler once at start (main, tests). */
typedef bool (*io_guarded_fn)(void *arg, struct error *err);
void io_guard_install(void);
MUST_CHECK bool io_guarded_read(io_guarded_fn fn, void *arg, struct error *err);
