/* tsdb/block.h: one block on disk, opened for reading: immutable, reference-counted, any number of
 * threads.
 *
 * Opening maps index and chunk segments, checks the table of contents and the sections' CRCs, and
 * samples symbols and the postings table (every 32nd) into memory; everything else is read from the
 * mapping when asked, behind io_guarded_read(), and checked by CRC first. Every error names the
 * block's directory. Symbols of the block become ids of the database's table (model/symbol.h) when
 * first met; the block holds one reference to each until it closes. Deleting the directory while
 * readers hold references is fine (POSIX). */
#pragma once
#include "base/arena.h"
#include "model/matcher.h"
#include "model/sample.h"
#include "model/symbol.h"
#include "tsdb/block_meta.h"
#include "tsdb/chunk.h"
#include "tsdb/postings.h"
#include "tsdb/querier.h"
#include "tsdb/tombstones.h"

struct block;

/* dir is the block's directory; symbols must outlive it. One reference is the caller's. */
MUST_CHECK bool block_open(struct block **b, const struct io *io, const char *dir,
                           struct symbols *symbols, struct error *err);
struct block *block_ref(struct block *b);
void block_unref(struct block *b); /* accepts NULL; the last one unmaps */

const struct block_meta *block_meta(const struct block *b);
const char *block_dir(const struct block *b);
/* Bytes of all its files, as retention by size counts them. */
uint64_t block_bytes(const struct block *b);

/* References of the series that match all matchers (none: all), sorted by reference, which is label
 * order. `guard` (may be NULL) is asked every few thousand values. The set lives in the arena. */
MUST_CHECK bool block_select(struct block *b, const struct matcher *matchers, size_t matchers_nr,
                             struct query_guard *guard, struct arena *arena, struct postings *refs,
                             struct error *err);

/* One chunk of a series: times as the index has them, ref for block_chunk(). */
struct block_chunk {
    uint64_t ref;
    int64_t min_ms, max_ms; /* both included */
};

struct block_series {
    const struct symbol_pair *pairs; /* sorted by name text; NULL when not asked for */
    uint32_t pairs_nr;
    const struct block_chunk *chunks; /* all of them, in time order */
    uint32_t chunks_nr;
};

/* Reads one series' entry into the arena. Symbol ids are valid while the block is referenced. */
MUST_CHECK bool block_series(struct block *b, uint32_t ref, struct arena *arena,
                             struct block_series *out, struct error *err);
/* The labels as text, copied to the arena. */
MUST_CHECK bool block_labels(struct block *b, uint32_t ref, struct arena *arena, struct labels *out,
                             struct error *err);

/* Appends the samples of the series in [min_ms, max_ms], deleted ones left out, to buf. */
MUST_CHECK bool block_read(struct block *b, uint32_t ref, int64_t min_ms, int64_t max_ms,
                           struct sample_buf *buf, struct error *err);
/* The same when the entry was read before: chunks of block_series(). */
MUST_CHECK bool
block_read_chunks(struct block *b, uint32_t ref, const struct block_chunk *chunks, size_t nr,
                  int64_t min_ms, int64_t max_ms, struct sample_buf *buf, struct error *err);
/* A copy of a chunk's bytes in the arena, CRC checked. */
MUST_CHECK bool
block_chunk_copy(struct block *b, uint64_t chunk_ref, struct arena *arena,
                 enum chunk_encoding *encoding, struct bytes *data, struct error *err);

/* Names, and values of one name, of all series: sorted, unique, copied to the arena. */
MUST_CHECK bool block_label_names(struct block *b, struct arena *arena, struct str **names,
                                  size_t *nr, struct error *err);
MUST_CHECK bool block_label_values(struct block *b, struct str name, struct arena *arena,
                                   struct str **values, size_t *nr, struct error *err);

/* Borrowed, sorted by reference; empty for most blocks. */
const struct tombstones *block_tombstones(const struct block *b);
