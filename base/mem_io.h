/* base/mem_io.h: a file system in memory, for tests: fast, gone with its owner, and able to crash.
 *
 * It keeps apart what is written and what is synced. Names follow an ordered journal, as on ext4:
 * sync_dir() makes all name changes up to the last one in that directory durable; syncing a file
 * makes its bytes durable, not its name. mem_io_crash() rolls back to what is durable plus, by
 * seed, part of the rest. Paths are as given, without "." and ".." parts; "/" exists. Mappings are
 * copies: writes after io_map_file() are not seen in them. Thread-safe (one lock). */
#pragma once
#include "base/io.h"

struct mem_fs;

struct mem_io {
    struct io io; /* hand out &m.io */
    struct mem_fs *fs;
};

void mem_io_init(struct mem_io *m);
void mem_io_fini(struct mem_io *m);

/* Writes that would hold more bytes than this in all fail with ERR_FULL (ENOSPC). Default: 1 TiB.
 */
void mem_io_set_space(struct mem_io *m, uint64_t bytes);

/* As if power was lost: open files are gone, unsynced bytes and names are kept, lost or torn by
 * seed. */
void mem_io_crash(struct mem_io *m, uint64_t seed);
