/* cmd/tool_blocks.h: the blocks of a data directory, and the whole database, opened for reading
 * only: nothing in the directory is changed, also when it is damaged or in use. One owner thread.
 */
#pragma once
#include "cmd/overlay_io.h"
#include "tsdb/block.h"
#include "tsdb/db.h"

struct tool;

struct tool_blocks {
    struct symbols *symbols;
    struct block **v; /* by min_ms */
    size_t nr, cap;
};

/* Every block must be readable, or be the parent of one that is. tool_blocks_close() in any case.
 */
MUST_CHECK bool
tool_blocks_open(struct tool_blocks *b, const struct io *io, const char *dir, struct error *err);
void tool_blocks_close(struct tool_blocks *b);

/* The rows of `tsdb list`. */
void tool_blocks_print(const struct io *io, struct block *const *blocks, size_t nr, bool header,
                       bool human, struct buf *out);

/* Blocks and WAL as one database, over a file system that forgets what is written. */
struct tool_db {
    struct overlay_io fs;
    struct db *db;
};

MUST_CHECK bool tool_db_open(struct tool_db *d, struct tool *t, const char *dir, struct error *err);
void tool_db_close(struct tool_db *d);

/* "opening the db dir: ..." when there is no such directory. */
MUST_CHECK bool tool_check_dir(const struct io *io, const char *dir, struct error *err);
