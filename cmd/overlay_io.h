/* cmd/overlay_io.h: a file system that reads what is on disk and keeps every change in memory, so
 * that a data directory can be opened, repaired and replayed without touching it.
 *
 * Below is any struct io, never written to; above is a mem_io. A file of below that is opened for
 * writing, renamed or linked is copied up first; what was removed or moved is hidden. Directories
 * of below cannot be renamed. Paths must be absolute, without "." and ".." parts, so that a name is
 * the same above and below. Locks are granted: who owns the directory is not kept from its work.
 * Thread-safe. */
#pragma once
#include "base/lock.h"
#include "base/mem_io.h"
#include "base/table.h"

struct overlay_io {
    struct io io; /* hand out &o.io */
    const struct io *below;
    struct mem_io above;
    struct lock lock;    /* guards the two below; no I/O under it */
    struct table hidden; /* char *: paths of below that are gone, with all that lies under them */
    struct table maps;   /* struct overlay_map: mappings of files above */
};

void overlay_io_init(struct overlay_io *o, const struct io *below);
void overlay_io_fini(struct overlay_io *o);
