/* tsdb/block_priv.h: an open block, shared by the block_*.c files. */
#pragma once
#include <stdatomic.h>
#include "base/io.h"
#include "tsdb/block.h"
#include "tsdb/index_reader.h"

struct block {
    _Atomic uint32_t refs;
    const struct io *io;
    char *dir;               /* owned */
    struct symbols *symbols; /* the database's */
    struct block_meta meta;
    struct io_map index_map;
    struct index_reader index;
    struct io_map *segments;
    size_t segments_nr;
    struct tombstones tombstones;
    uint64_t bytes;
    /* By symbol number: the database's id, 0 until the symbol is first met. Each entry holds one
     * reference. */
    _Atomic symbol_id *ids;
};

/* A chunk's bytes in the mapping, CRC checked. Inside io_guarded_read() only. */
MUST_CHECK bool block_chunk_view(const struct block *b, uint64_t ref, enum chunk_encoding *encoding,
                                 struct bytes *data, struct error *err);
/* The chunk list of a series' entry, into the arena; d stands behind the labels. Inside
 * io_guarded_read() only. */
MUST_CHECK bool
block_chunks_parse(struct dec *d, struct arena *arena, const struct block_chunk **chunks,
                   uint32_t *nr, struct error *err);

/* Labels and chunks of a series as texts, in the arena: for compaction, which must not fill the
 * database's symbol table. */
MUST_CHECK bool
block_series_texts(struct block *b, uint32_t ref, struct arena *arena, struct labels *labels,
                   const struct block_chunk **chunks, uint32_t *chunks_nr, struct error *err);
/* Up to *nr symbols from number `from` on, in order, copied to the arena; *nr tells how many there
 * were. */
MUST_CHECK bool block_symbols(struct block *b, uint32_t from, uint32_t *nr, struct arena *arena,
                              struct str *texts, struct error *err);
