/* The real file system. A file handle is the file descriptor. Every call retries EINTR; short reads
 * and writes go on until done, since a signal or a quota may cut them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

enum {
    NEW_FILE_MODE = 0666,
    NEW_DIR_MODE = 0777
}; /* the umask takes from these, as for Prometheus */

/* What is said when a handle fails: the name that it was opened by, as the kernel knows it. */
static bool
fail_file(struct error *err, io_file file, const char *what)
{
    int sys = errno;
    char link[64], path[4096];

    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    errno = sys;
    return error_sys(err, "%s %s", what, path);
}

static bool
fail_path(struct error *err, const char *what, const char *path)
{
    bool missing = errno == ENOENT;

    error_sys(err, "%s %s", what, path);
    if (missing)
        err->kind = ERR_NOT_FOUND;
    return false;
}

static bool
posix_open(const struct io *io, const char *path, unsigned flags, io_file *file, struct error *err)
{
    int how = O_CLOEXEC | ((flags & IO_WRITE) != 0 ? O_RDWR : O_RDONLY);

    how |= (flags & IO_CREATE) != 0 ? O_CREAT : 0;
    how |= (flags & IO_TRUNCATE) != 0 ? O_TRUNC : 0;
    how |= (flags & IO_EXCLUSIVE) != 0 ? O_EXCL : 0;
    int fd;
    do
        fd = open(path, how, NEW_FILE_MODE);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0) {
        *file = fd;
        return true;
    }
    bool exists = errno == EEXIST;
    fail_path(err, "open", path);
    if (exists)
        err->kind = ERR_CONFLICT;
    return false;
}

static void
posix_close(const struct io *io, io_file file)
{
    if (file != IO_NONE)
        close(file);
}

static bool
posix_read(const struct io *io, io_file file, void *p, size_t n, uint64_t offset, struct error *err)
{
    uint8_t *at = p;

    while (n > 0) {
        ssize_t got = pread(file, at, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_file(err, file, "read");
        if (got == 0)
            return error_set(err, ERR_CORRUPT, "file ends %zu bytes early", n);
        at += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

static bool
posix_write(const struct io *io, io_file file, const void *p, size_t n, uint64_t offset,
            struct error *err)
{
    const uint8_t *at = p;

    while (n > 0) {
        ssize_t put = pwrite(file, at, n, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_file(err, file, "write");
        at += put;
        n -= (size_t)put;
        offset += (uint64_t)put;
    }
    return true;
}

static bool
posix_size(const struct io *io, io_file file, uint64_t *bytes, struct error *err)
{
    struct stat st;

    if (fstat(file, &st) != 0)
        return fail_file(err, file, "stat");
    *bytes = (uint64_t)st.st_size;
    return true;
}

static bool
posix_truncate(const struct io *io, io_file file, uint64_t bytes, struct error *err)
{
    return ftruncate(file, (off_t)bytes) == 0 || fail_file(err, file, "truncate");
}

/* File systems without fallocate (some network ones) get a plain growing of the size: no guarantee,
 * but no failure. */
static bool
posix_preallocate(const struct io *io, io_file file, uint64_t bytes, struct error *err)
{
    uint64_t now;

    if (fallocate(file, 0, 0, (off_t)bytes) == 0)
        return true;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return fail_file(err, file, "allocate");
    if (!posix_size(io, file, &now, err))
        return false;
    return now >= bytes || posix_truncate(io, file, bytes, err);
}

static bool
posix_sync(const struct io *io, io_file file, struct error *err)
{
    return fdatasync(file) == 0 || fail_file(err, file, "sync");
}

static void
posix_drop_cache(const struct io *io, io_file file)
{
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
}

static bool
posix_map(const struct io *io, io_file file, struct io_map *map, struct error *err)
{
    uint64_t bytes;

    if (!posix_size(io, file, &bytes, err))
        return false;
    *map = (struct io_map){ 0 };
    if (bytes == 0)
        return true; /* mmap refuses an empty mapping */
    void *p = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, file, 0);
    if (p == MAP_FAILED)
        return fail_file(err, file, "map");
    *map = (struct io_map){ p, (size_t)bytes };
    return true;
}

static void
posix_unmap(const struct io *io, struct io_map map)
{
    if (map.p != NULL)
        munmap((void *)(uintptr_t)map.p, map.n);
}

static bool
posix_rename(const struct io *io, const char *from, const char *to, struct error *err)
{
    return rename(from, to) == 0 || fail_path(err, "rename", from);
}

static bool
posix_remove(const struct io *io, const char *path, struct error *err)
{
    return unlink(path) == 0 || fail_path(err, "remove", path);
}

static bool remove_entries(int dir_fd, const char *path, struct error *err);

/* Links are removed, never followed. */
static bool
remove_at(int parent, const char *name, const char *path, struct error *err)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM)
        return fail_path(err, "remove", path);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail_path(err, "remove", path);
    if (!remove_entries(fd, path, err))
        return false;
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || fail_path(err, "remove", path);
}

/* Takes over dir_fd. */
static bool
remove_entries(int dir_fd, const char *path, struct error *err)
{
    DIR *dir = fdopendir(dir_fd);
    bool ok = true;

    if (dir == NULL) {
        fail_path(err, "list", path);
        close(dir_fd);
        return false;
    }
    for (struct dirent *e; ok && (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            ok = remove_at(dir_fd, e->d_name, path, err);
    }
    closedir(dir);
    return ok;
}

static bool
posix_remove_tree(const struct io *io, const char *path, struct error *err)
{
    return remove_at(AT_FDCWD, path, path, err);
}

static bool
posix_mkdir(const struct io *io, const char *path, struct error *err)
{
    char *part = mem_strdup(path);
    bool ok = true;

    for (char *p = part + 1; ok && part[0] != '\0'; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char kept = *p;
        *p = '\0';
        ok = mkdir(part, NEW_DIR_MODE) == 0 || errno == EEXIST;
        *p = kept;
        if (kept == '\0')
            break;
    }
    if (!ok)
        fail_path(err, "mkdir", path);
    mem_free(part);
    return ok;
}

static int
entry_cmp(const void *a, const void *b)
{
    return strcmp(((const struct io_entry *)a)->name, ((const struct io_entry *)b)->name);
}

static bool
entry_is_dir(DIR *dir, const struct dirent *e)
{
    struct stat st;

    if (e->d_type != DT_UNKNOWN && e->d_type != DT_LNK)
        return e->d_type == DT_DIR;
    return fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static bool
posix_list(const struct io *io, const char *path, struct io_dir_list *list, struct error *err)
{
    DIR *dir = opendir(path);
    struct io_dir_list found = { 0 };
    size_t cap = 0;

    if (dir == NULL)
        return fail_path(err, "list", path);
    errno = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL; errno = 0) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        MEM_GROW(found.entries, found.nr + 1, &cap);
        found.entries[found.nr++] =
            (struct io_entry){ mem_strdup(e->d_name), entry_is_dir(dir, e) };
    }
    bool ok = errno == 0 || fail_path(err, "list", path);
    closedir(dir);
    if (!ok) {
        io_dir_list_fini(&found);
        return false;
    }
    if (found.nr > 1)
        qsort(found.entries, found.nr, sizeof *found.entries, entry_cmp);
    *list = found;
    return true;
}

static bool
posix_stat(const struct io *io, const char *path, struct io_stat *out, struct error *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return fail_path(err, "stat", path);
    *out =
        (struct io_stat){ .bytes = (uint64_t)st.st_size,
                          .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
                          .inode = st.st_ino,
                          .is_dir = S_ISDIR(st.st_mode) };
    return true;
}

static bool
posix_sync_dir(const struct io *io, const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return fail_path(err, "open", path);
    /* Some file systems cannot sync a directory and say EINVAL: there is nothing more to be had
     * from them. */
    bool ok = fsync(fd) == 0 || errno == EINVAL || fail_path(err, "sync", path);
    close(fd);
    return ok;
}

static bool
posix_link(const struct io *io, const char *from, const char *to, struct error *err)
{
    return link(from, to) == 0 || fail_path(err, "link", from);
}

static bool
posix_space(const struct io *io, const char *path, uint64_t *free_bytes, uint64_t *total_bytes,
            struct error *err)
{
    struct statvfs st;

    if (statvfs(path, &st) != 0)
        return fail_path(err, "statvfs", path);
    *free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    *total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    return true;
}

/* The lock of Go's flock package, and so of Prometheus: fcntl's would let the same process in
 * twice. */
static bool
posix_lock(const struct io *io, io_file file, struct error *err)
{
    if (flock(file, LOCK_EX | LOCK_NB) == 0)
        return true;
    bool taken = errno == EWOULDBLOCK;
    fail_file(err, file, "lock");
    if (taken)
        err->kind = ERR_CONFLICT;
    return false;
}

static const struct io_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .read = posix_read,
    .write = posix_write,
    .size = posix_size,
    .truncate = posix_truncate,
    .preallocate = posix_preallocate,
    .sync = posix_sync,
    .drop_cache = posix_drop_cache,
    .map = posix_map,
    .unmap = posix_unmap,
    .rename = posix_rename,
    .remove = posix_remove,
    .remove_tree = posix_remove_tree,
    .mkdir = posix_mkdir,
    .list = posix_list,
    .stat = posix_stat,
    .sync_dir = posix_sync_dir,
    .link = posix_link,
    .space = posix_space,
    .lock = posix_lock,
};

const struct io *
io_posix(void)
{
    static const struct io posix = { &posix_ops };

    return &posix;
}
