#include "base/io.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"

void
io_dir_list_fini(struct io_dir_list *list)
{
    for (size_t i = 0; i < list->nr; i++)
        mem_free(list->entries[i].name);
    mem_free(list->entries);
    *list = (struct io_dir_list){ 0 };
}

bool
io_read_file(const struct io *io, const char *path, size_t bytes_max, char **p, size_t *n,
             struct error *err)
{
    io_file file = IO_NONE;
    uint64_t bytes = 0;
    char *text = NULL;
    bool ok = false;

    if (!io_open(io, path, IO_READ, &file, err))
        return false;
    if (!io_size(io, file, &bytes, err))
        goto out;
    if (bytes > bytes_max) {
        error_set(err, ERR_LIMIT, "'%s' has %llu bytes, over the limit of %zu", path,
                  (unsigned long long)bytes, bytes_max);
        goto out;
    }
    text = mem_alloc((size_t)bytes + 1);
    if (!io_read(io, file, text, (size_t)bytes, 0, err))
        goto out;
    text[bytes] = '\0';
    *p = text;
    *n = (size_t)bytes;
    text = NULL;
    ok = true;
out:
    mem_free(text);
    io_close(io, file);
    return ok;
}

/* The directory part of path, "." when there is none. */
static char *
dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return mem_strdup(".");
    return str_dup((struct str){ path, slash == path ? 1 : (size_t)(slash - path) });
}

static bool
write_synced(const struct io *io, const char *path, struct bytes content, struct error *err)
{
    io_file file = IO_NONE;

    if (!io_open(io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &file, err))
        return false;
    bool ok = io_write(io, file, content.p, content.n, 0, err) && io_sync(io, file, err);
    io_close(io, file);
    return ok;
}

bool
io_replace_file(const struct io *io, const char *path, struct bytes content, struct error *err)
{
    struct buf tmp = { 0 };
    char *dir = dir_of(path);

    buf_printf(&tmp, "%s.tmp", path);
    bool ok = write_synced(io, buf_z(&tmp), content, err) &&
              io_rename(io, buf_z(&tmp), path, err) && io_sync_dir(io, dir, err);
    mem_free(dir);
    buf_fini(&tmp);
    return ok;
}
