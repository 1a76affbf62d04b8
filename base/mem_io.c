/* A node is a file or a directory: bytes as they are, bytes as they were at the last sync, and the
 * writes in between. Names are a flat map from path to node, kept twice: as it is, and as it is
 * durable; `journal` leads from the second to the first. A rename of a directory is one journal
 * entry that moves a prefix. */
#include "base/mem_io.h"

#include <errno.h>

#include "base/buf.h"
#include "base/lock.h"
#include "base/mem.h"

struct change {
    uint64_t offset;
    uint64_t bytes; /* of data, or the size to truncate to */
    uint8_t *data;  /* NULL: a truncation or growth */
};

struct node {
    unsigned refs;
    bool is_dir, locked;
    uint64_t inode;
    int64_t mtime_ns;
    struct buf now, durable;
    struct change *changes;
    size_t changes_nr, changes_cap;
};

struct name {
    char *path;
    struct node *node;
};

struct names {
    struct name *items; /* sorted by path */
    size_t nr, cap;
};

/* node set: path appears; to set: path becomes to; else path goes. */
struct journal_entry {
    char *path, *to;
    struct node *node;
};

struct handle {
    struct node *node;
    char *path;
    bool locker;
};

struct mem_fs {
    struct lock lock;
    struct names now, durable;
    struct journal_entry *journal;
    size_t journal_nr, journal_cap;
    struct handle
        *handles; /* by handle number; never used again, so that a stale one stays stale */
    size_t handles_nr, handles_cap;
    uint64_t used, space, inodes;
    int64_t clock_ns; /* grows with every change */
};

static struct mem_fs *
fs_of(const struct io *io)
{
    return ((const struct mem_io *)(const void *)io)->fs;
}

static void
node_unref(struct node *n)
{
    if (n == NULL || --n->refs != 0)
        return;
    for (size_t i = 0; i < n->changes_nr; i++)
        mem_free(n->changes[i].data);
    mem_free(n->changes);
    buf_fini(&n->now);
    buf_fini(&n->durable);
    mem_free(n);
}

static struct node *
node_new(struct mem_fs *fs, bool is_dir)
{
    struct node *n = MEM_NEW(struct node);

    *n = (struct node){ .is_dir = is_dir, .inode = ++fs->inodes, .mtime_ns = ++fs->clock_ns };
    return n;
}

static size_t
names_at(const struct names *names, const char *path)
{
    size_t low = 0, high = names->nr;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(names->items[mid].path, path) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct node *
names_get(const struct names *names, const char *path)
{
    size_t at = names_at(names, path);

    return at < names->nr && strcmp(names->items[at].path, path) == 0 ? names->items[at].node
                                                                      : NULL;
}

static void
names_remove(struct names *names, const char *path)
{
    size_t at = names_at(names, path);

    if (at == names->nr || strcmp(names->items[at].path, path) != 0)
        return;
    node_unref(names->items[at].node);
    mem_free(names->items[at].path);
    names->nr--;
    memmove(names->items + at, names->items + at + 1, (names->nr - at) * sizeof *names->items);
}

static void
names_put(struct names *names, const char *path, struct node *node)
{
    node->refs++;
    names_remove(names, path);
    size_t at = names_at(names, path);
    MEM_GROW(names->items, names->nr + 1, &names->cap);
    memmove(names->items + at + 1, names->items + at, (names->nr - at) * sizeof *names->items);
    names->items[at] = (struct name){ mem_strdup(path), node };
    names->nr++;
}

static bool
below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    if (strcmp(dir, "/") == 0)
        return path[0] == '/' && path[1] != '\0';
    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* Moves a name and everything below it. */
static void
names_move(struct names *names, const char *from, const char *to)
{
    struct buf path = { 0 };

    for (size_t i = 0; i < names->nr; i++) {
        if (strcmp(names->items[i].path, from) != 0 && !below(names->items[i].path, from))
            continue;
        struct node *node = names->items[i].node;
        node->refs++;
        buf_reset(&path);
        buf_printf(&path, "%s%s", to, names->items[i].path + strlen(from));
        names_remove(names, names->items[i].path);
        names_put(names, buf_z(&path), node);
        node_unref(node);
        i = (size_t)-1; /* places have changed: look again from the start */
    }
    buf_fini(&path);
}

static void
names_fini(struct names *names)
{
    for (size_t i = 0; i < names->nr; i++) {
        node_unref(names->items[i].node);
        mem_free(names->items[i].path);
    }
    mem_free(names->items);
    *names = (struct names){ 0 };
}

static void
names_apply(struct names *names, const struct journal_entry *e)
{
    if (e->node != NULL)
        names_put(names, e->path, e->node);
    else if (e->to != NULL)
        names_move(names, e->path, e->to);
    else
        names_remove(names, e->path);
}

/* Makes one change of names, and notes it. */
static void
journal_add(struct mem_fs *fs, const char *path, const char *to, struct node *node)
{
    MEM_GROW(fs->journal, fs->journal_nr + 1, &fs->journal_cap);
    struct journal_entry *e = &fs->journal[fs->journal_nr++];
    *e = (struct journal_entry){ mem_strdup(path), to == NULL ? NULL : mem_strdup(to), node };
    if (node != NULL)
        node->refs++;
    names_apply(&fs->now, e);
    fs->clock_ns++;
}

/* The first nr entries become durable; the rest stays noted. */
static void
journal_commit(struct mem_fs *fs, size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        struct journal_entry *e = &fs->journal[i];
        names_apply(&fs->durable, e);
        node_unref(e->node);
        mem_free(e->path);
        mem_free(e->to);
    }
    fs->journal_nr -= nr;
    if (fs->journal_nr != 0)
        memmove(fs->journal, fs->journal + nr, fs->journal_nr * sizeof *fs->journal);
}

static void
journal_drop(struct mem_fs *fs)
{
    for (size_t i = 0; i < fs->journal_nr; i++) {
        node_unref(fs->journal[i].node);
        mem_free(fs->journal[i].path);
        mem_free(fs->journal[i].to);
    }
    fs->journal_nr = 0;
}

static void
handle_clear(struct handle *h)
{
    if (h->locker)
        h->node->locked = false;
    node_unref(h->node);
    mem_free(h->path);
    *h = (struct handle){ 0 };
}

static bool
fail(struct error *err, int sys, enum err_kind kind, const char *what, const char *path)
{
    errno = sys;
    error_sys(err, "%s %s", what, path);
    err->kind = kind;
    return false;
}

static bool
missing(struct error *err, const char *what, const char *path)
{
    return fail(err, ENOENT, ERR_NOT_FOUND, what, path);
}

static struct handle *
handle_of(struct mem_fs *fs, io_file file, struct error *err)
{
    if (file < 0 || (size_t)file >= fs->handles_nr || fs->handles[file].node == NULL) {
        error_set(err, ERR_IO, "handle %d: Bad file descriptor", file);
        return NULL;
    }
    return &fs->handles[file];
}

static bool
parent_is_dir(struct mem_fs *fs, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL || slash == path)
        return true;
    char *dir = str_dup((struct str){ path, (size_t)(slash - path) });
    struct node *n = names_get(&fs->now, dir);
    mem_free(dir);
    return n != NULL && n->is_dir;
}

static void
resize(struct buf *b, uint64_t bytes)
{
    if (bytes > b->n) {
        buf_reserve(b, (size_t)bytes - b->n);
        memset(b->p + b->n, 0, (size_t)bytes - b->n);
    }
    b->n = (size_t)bytes;
}

static void
change_apply(struct buf *b, const struct change *c)
{
    if (c->data == NULL) {
        resize(b, c->bytes);
        return;
    }
    if (c->offset + c->bytes > b->n)
        resize(b, c->offset + c->bytes);
    if (c->bytes != 0)
        memcpy(b->p + c->offset, c->data, (size_t)c->bytes);
}

static void
change_add(struct mem_fs *fs, struct node *n, uint64_t offset, const void *data, uint64_t bytes)
{
    size_t before = n->now.n;

    MEM_GROW(n->changes, n->changes_nr + 1, &n->changes_cap);
    struct change *c = &n->changes[n->changes_nr++];
    *c = (struct change){ offset, bytes, data == NULL ? NULL : mem_dup(data, (size_t)bytes) };
    change_apply(&n->now, c);
    n->mtime_ns = ++fs->clock_ns;
    fs->used += n->now.n - before;
}

/* `used` only grows with writes; what removing gave back is counted when it is needed. */
static bool
has_room(struct mem_fs *fs, uint64_t more)
{
    if (fs->used + more <= fs->space)
        return true;
    fs->used = 0;
    for (size_t i = 0; i < fs->now.nr; i++)
        fs->used += fs->now.items[i].node->now.n;
    return fs->used + more <= fs->space;
}

static bool
open_locked(struct mem_fs *fs, const char *path, unsigned flags, io_file *file, struct error *err)
{
    struct node *n = names_get(&fs->now, path);

    if (n != NULL && (flags & IO_EXCLUSIVE) != 0)
        return fail(err, EEXIST, ERR_CONFLICT, "open", path);
    if (n != NULL && n->is_dir && (flags & IO_WRITE) != 0)
        return fail(err, EISDIR, ERR_IO, "open", path);
    if (n == NULL && ((flags & IO_CREATE) == 0 || !parent_is_dir(fs, path)))
        return missing(err, "open", path);
    if (n == NULL)
        journal_add(fs, path, NULL, n = node_new(fs, false));
    else if ((flags & IO_TRUNCATE) != 0)
        change_add(fs, n, 0, NULL, 0);
    MEM_GROW(fs->handles, fs->handles_nr + 1, &fs->handles_cap);
    n->refs++;
    fs->handles[fs->handles_nr] = (struct handle){ n, mem_strdup(path), false };
    *file = (io_file)fs->handles_nr++;
    return true;
}

static bool
mem_open(const struct io *io, const char *path, unsigned flags, io_file *file, struct error *err)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    bool ok = open_locked(fs, path, flags, file, err);
    lock_release(&fs->lock);
    return ok;
}

static void
mem_close(const struct io *io, io_file file)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    if (file >= 0 && (size_t)file < fs->handles_nr && fs->handles[file].node != NULL)
        handle_clear(&fs->handles[file]);
    lock_release(&fs->lock);
}

static bool
mem_read(const struct io *io, io_file file, void *p, size_t n, uint64_t offset, struct error *err)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    struct handle *h = handle_of(fs, file, err);
    bool ok = h != NULL;
    if (ok && (offset > h->node->now.n || h->node->now.n - offset < n))
        ok = error_set(err, ERR_CORRUPT, "read %s: file ends early", h->path);
    if (ok && n != 0)
        memcpy(p, h->node->now.p + offset, n);
    lock_release(&fs->lock);
    return ok;
}

static bool
mem_write(const struct io *io, io_file file, const void *p, size_t n, uint64_t offset,
          struct error *err)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    struct handle *h = handle_of(fs, file, err);
    bool ok = h != NULL;
    uint64_t more = ok && offset + n > h->node->now.n ? offset + n - h->node->now.n : 0;
    if (ok && !has_room(fs, more))
        ok = fail(err, ENOSPC, ERR_FULL, "write", h->path);
    if (ok && n != 0)
        change_add(fs, h->node, offset, p, n);
    lock_release(&fs->lock);
    return ok;
}

static bool
mem_size(const struct io *io, io_file file, uint64_t *bytes, struct error *err)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    struct handle *h = handle_of(fs, file, err);
    if (h != NULL)
        *bytes = h->node->now.n;
    lock_release(&fs->lock);
    return h != NULL;
}

static bool
set_size(const struct io *io, io_file file, uint64_t bytes, bool grow_only, struct error *err)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    struct handle *h = handle_of(fs, file, err);
    bool ok = h != NULL;
    if (ok && bytes > h->node->now.n && !has_room(fs, bytes - h->node->now.n))
        ok = fail(err, ENOSPC, ERR_FULL, "allocate", h->path);
    if (ok && (!grow_only || bytes > h->node->now.n))
        change_add(fs, h->node, 0, NULL, bytes);
    lock_release(&fs->lock);
    return ok;
}

static bool
mem_truncate(const struct io *io, io_file file, uint64_t bytes, struct error *err)
{
    return set_size(io, file, bytes, false, err);
}

static bool
mem_preallocate(const struct io *io, io_file file, uint64_t bytes, struct error *err)
{
    return set_size(io, file, bytes, true, err);
}

static void
node_commit(struct node *n)
{
    for (size_t i = 0; i < n->changes_nr; i++) {
        change_apply(&n->durable, &n->changes[i]);
        mem_free(n->changes[i].data);
    }
    n->changes_nr = 0;
}

static bool
mem_sync(const struct io *io, io_file file, struct error *err)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    struct handle *h = handle_of(fs, file, err);
    if (h != NULL)
        node_commit(h->node);
    lock_release(&fs->lock);
    return h != NULL;
}

static void
mem_drop_cache(const struct io *io, io_file file)
{
}

static bool
mem_map(const struct io *io, io_file file, struct io_map *map, struct error *err)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    struct handle *h = handle_of(fs, file, err);
    if (h != NULL)
        *map = (struct io_map){ mem_dup(h->node->now.p, h->node->now.n), h->node->now.n };
    lock_release(&fs->lock);
    return h != NULL;
}

static void
mem_unmap(const struct io *io, struct io_map map)
{
    mem_free((void *)(uintptr_t)map.p);
}

static bool
dir_is_empty(const struct mem_fs *fs, const char *path)
{
    for (size_t i = 0; i < fs->now.nr; i++) {
        if (below(fs->now.items[i].path, path))
            return false;
    }
    return true;
}

static bool
mem_rename(const struct io *io, const char *from, const char *to, struct error *err)
{
    struct mem_fs *fs = fs_of(io);
    bool ok = true;

    lock_take(&fs->lock);
    struct node *target = names_get(&fs->now, to);
    if (names_get(&fs->now, from) == NULL || !parent_is_dir(fs, to))
        ok = missing(err, "rename", from);
    else if (target != NULL && target->is_dir && !dir_is_empty(fs, to))
        ok = fail(err, ENOTEMPTY, ERR_IO, "rename", from);
    else if (strcmp(from, to) != 0)
        journal_add(fs, from, to, NULL);
    lock_release(&fs->lock);
    return ok;
}

static bool
mem_remove(const struct io *io, const char *path, struct error *err)
{
    struct mem_fs *fs = fs_of(io);
    bool ok = true;

    lock_take(&fs->lock);
    struct node *n = names_get(&fs->now, path);
    if (n == NULL)
        ok = missing(err, "remove", path);
    else if (n->is_dir)
        ok = fail(err, EISDIR, ERR_IO, "remove", path);
    else
        journal_add(fs, path, NULL, NULL);
    lock_release(&fs->lock);
    return ok;
}

static bool
mem_remove_tree(const struct io *io, const char *path, struct error *err)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    for (size_t i = fs->now.nr; i-- > 0;) {
        if (strcmp(fs->now.items[i].path, path) == 0 || below(fs->now.items[i].path, path)) {
            char *gone = mem_strdup(fs->now.items[i].path);
            journal_add(fs, gone, NULL, NULL);
            mem_free(gone);
        }
    }
    lock_release(&fs->lock);
    return true;
}

static bool
mkdir_one(struct mem_fs *fs, const char *path, struct error *err)
{
    struct node *n = names_get(&fs->now, path);

    if (n != NULL)
        return n->is_dir || fail(err, ENOTDIR, ERR_IO, "mkdir", path);
    journal_add(fs, path, NULL, node_new(fs, true));
    return true;
}

static bool
mem_mkdir(const struct io *io, const char *path, struct error *err)
{
    struct mem_fs *fs = fs_of(io);
    bool ok = true;

    lock_take(&fs->lock);
    for (const char *p = path + 1; ok; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char *part = str_dup((struct str){ path, (size_t)(p - path) });
        ok = mkdir_one(fs, part, err);
        mem_free(part);
        if (*p == '\0')
            break;
    }
    lock_release(&fs->lock);
    return ok;
}

static bool
mem_list(const struct io *io, const char *path, struct io_dir_list *list, struct error *err)
{
    struct mem_fs *fs = fs_of(io);
    struct io_dir_list found = { 0 };
    size_t cap = 0, n = strcmp(path, "/") == 0 ? 0 : strlen(path);

    lock_take(&fs->lock);
    struct node *dir = names_get(&fs->now, path);
    bool ok = n == 0 || (dir != NULL && dir->is_dir) || missing(err, "list", path);
    for (size_t i = 0; ok && i < fs->now.nr; i++) {
        const struct name *name = &fs->now.items[i];
        if (!below(name->path, path) || strchr(name->path + n + 1, '/') != NULL)
            continue;
        MEM_GROW(found.entries, found.nr + 1, &cap);
        found.entries[found.nr++] =
            (struct io_entry){ mem_strdup(name->path + n + 1), name->node->is_dir };
    }
    lock_release(&fs->lock);
    if (ok)
        *list = found;
    return ok;
}

static bool
mem_stat(const struct io *io, const char *path, struct io_stat *st, struct error *err)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    struct node *n = names_get(&fs->now, path);
    if (n != NULL)
        *st = (struct io_stat){ n->now.n, n->mtime_ns, n->inode, n->is_dir };
    lock_release(&fs->lock);
    return n != NULL || missing(err, "stat", path);
}

static bool
directly_in(const char *path, const char *dir)
{
    return path != NULL && below(path, dir) &&
           strchr(path + (strcmp(dir, "/") == 0 ? 1 : strlen(dir) + 1), '/') == NULL;
}

static bool
mem_sync_dir(const struct io *io, const char *path, struct error *err)
{
    struct mem_fs *fs = fs_of(io);
    size_t until = 0;

    lock_take(&fs->lock);
    for (size_t i = 0; i < fs->journal_nr; i++) {
        if (directly_in(fs->journal[i].path, path) || directly_in(fs->journal[i].to, path))
            until = i + 1;
    }
    journal_commit(fs, until);
    lock_release(&fs->lock);
    return true;
}

static bool
mem_link(const struct io *io, const char *from, const char *to, struct error *err)
{
    struct mem_fs *fs = fs_of(io);
    bool ok = true;

    lock_take(&fs->lock);
    struct node *n = names_get(&fs->now, from);
    if (n == NULL || !parent_is_dir(fs, to))
        ok = missing(err, "link", from);
    else if (names_get(&fs->now, to) != NULL)
        ok = fail(err, EEXIST, ERR_IO, "link", from);
    else
        journal_add(fs, to, NULL, n);
    lock_release(&fs->lock);
    return ok;
}

static bool
mem_space(const struct io *io, const char *path, uint64_t *free_bytes, uint64_t *total_bytes,
          struct error *err)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    error_ignored(has_room(fs, UINT64_MAX / 2)); /* counts anew */
    *total_bytes = fs->space;
    *free_bytes = fs->space - MIN(fs->used, fs->space);
    lock_release(&fs->lock);
    return true;
}

static bool
mem_lock(const struct io *io, io_file file, struct error *err)
{
    struct mem_fs *fs = fs_of(io);

    lock_take(&fs->lock);
    struct handle *h = handle_of(fs, file, err);
    bool ok = h != NULL;
    if (ok && h->node->locked && !h->locker)
        ok = fail(err, EWOULDBLOCK, ERR_CONFLICT, "lock", h->path);
    else if (ok)
        h->locker = h->node->locked = true;
    lock_release(&fs->lock);
    return ok;
}

static const struct io_ops mem_ops = {
    .open = mem_open,
    .close = mem_close,
    .read = mem_read,
    .write = mem_write,
    .size = mem_size,
    .truncate = mem_truncate,
    .preallocate = mem_preallocate,
    .sync = mem_sync,
    .drop_cache = mem_drop_cache,
    .map = mem_map,
    .unmap = mem_unmap,
    .rename = mem_rename,
    .remove = mem_remove,
    .remove_tree = mem_remove_tree,
    .mkdir = mem_mkdir,
    .list = mem_list,
    .stat = mem_stat,
    .sync_dir = mem_sync_dir,
    .link = mem_link,
    .space = mem_space,
    .lock = mem_lock,
};

void
mem_io_init(struct mem_io *m)
{
    m->io.ops = &mem_ops;
    m->fs = MEM_NEW(struct mem_fs);
    m->fs->space = UINT64_C(1) << 40;
    m->fs->clock_ns = INT64_C(1700000000000000000);
    lock_init(&m->fs->lock, LOCK_RANK_NONE, "mem_io");
}

void
mem_io_fini(struct mem_io *m)
{
    struct mem_fs *fs = m->fs;

    if (fs == NULL)
        return;
    for (size_t i = 0; i < fs->handles_nr; i++)
        handle_clear(&fs->handles[i]);
    mem_free(fs->handles);
    journal_drop(fs);
    mem_free(fs->journal);
    names_fini(&fs->now);
    names_fini(&fs->durable);
    lock_fini(&fs->lock);
    mem_free(fs);
    m->fs = NULL;
}

void
mem_io_set_space(struct mem_io *m, uint64_t bytes)
{
    lock_take(&m->fs->lock);
    m->fs->space = bytes;
    lock_release(&m->fs->lock);
}

static uint64_t
next_random(uint64_t *state)
{
    uint64_t x = *state += 0x9E3779B97F4A7C15u;

    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* Of the unsynced changes of a file: all (1 of 4), none (1 of 4), or each by a coin, one of them
 * possibly cut in the middle. */
static void
node_crash(struct node *n, uint64_t *random)
{
    uint64_t how = next_random(random) % 4;

    for (size_t i = 0; i < n->changes_nr; i++) {
        struct change *c = &n->changes[i];
        bool keep = how == 0 || (how > 1 && next_random(random) % 2 == 0);
        if (keep && how == 3 && c->data != NULL && c->bytes > 0)
            c->bytes = next_random(random) % (c->bytes + 1);
        if (keep)
            change_apply(&n->durable, c);
        mem_free(c->data);
    }
    n->changes_nr = 0;
    n->locked = false;
    buf_reset(&n->now);
    buf_add(&n->now, n->durable.p, n->durable.n);
}

/* A name whose directory did not survive went with it. */
static void
drop_orphans(struct mem_fs *fs)
{
    for (size_t i = 0; i < fs->now.nr; i++) {
        if (parent_is_dir(fs, fs->now.items[i].path))
            continue;
        char *path = mem_strdup(fs->now.items[i].path);
        names_remove(&fs->now, path);
        names_remove(&fs->durable, path);
        mem_free(path);
        i = (size_t)-1;
    }
}

void
mem_io_crash(struct mem_io *m, uint64_t seed)
{
    struct mem_fs *fs = m->fs;

    lock_take(&fs->lock);
    for (size_t i = 0; i < fs->handles_nr; i++)
        handle_clear(&fs->handles[i]);
    journal_commit(fs, (size_t)(next_random(&seed) % (fs->journal_nr + 1)));
    journal_drop(fs);
    names_fini(&fs->now);
    fs->used = 0;
    for (size_t i = 0; i < fs->durable.nr; i++) {
        struct node *n = fs->durable.items[i].node;
        node_crash(n, &seed);
        names_put(&fs->now, fs->durable.items[i].path, n);
        fs->used += n->now.n;
    }
    drop_orphans(fs);
    lock_release(&fs->lock);
}
