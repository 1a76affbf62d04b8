/* tsdb/block_writer.h: writes one block, streaming: symbols first, then the series in label order
 * with their chunks.
 *
 * Everything goes to `<parent>/<ulid>.tmp-for-creation`; block_writer_finish() syncs it and renames
 * it to `<parent>/<ulid>`, so that a crash leaves a whole block or a directory that the next start
 * removes. Memory: the symbols' text with 12 bytes each, and a bounded share of postings at a time;
 * chunks and series are never held. Files leave the page cache when done. One owner thread. */
#pragma once
#include "base/io.h"
#include "model/labels.h"
#include "tsdb/block_meta.h"
#include "tsdb/chunk.h"

#define BLOCK_TMP_CREATION  ".tmp-for-creation"
#define BLOCK_TMP_DELETION  ".tmp-for-deletion"
#define BLOCK_SEGMENT_BYTES (UINT64_C(512) << 20)

struct block_writer;

/* id: a fresh ULID. segment_bytes: where chunk segments are cut, BLOCK_SEGMENT_BYTES but in tests.
 */
MUST_CHECK bool block_writer_new(struct block_writer **w, const struct io *io, const char *parent,
                                 struct block_id id, uint64_t segment_bytes, struct error *err);

/* Every label name and value that follows, and the empty string first, in bytewise order, once
 * each; more than needed is fine. */
MUST_CHECK bool block_writer_symbol(struct block_writer *w, struct str text, struct error *err);

/* In label order, no series twice, at least one chunk each; chunks sorted by time. Samples are
 * counted for the statistics from the chunks' headers. ERR_INTERNAL when the order is broken or a
 * symbol was not announced. */
MUST_CHECK bool
block_writer_series(struct block_writer *w, struct labels labels, const struct chunk *chunks,
                    size_t chunks_nr, struct error *err);

uint64_t block_writer_series_nr(const struct block_writer *w);

/* Writes postings, tombstones (empty) and meta.json, syncs, renames. meta gives min_ms, max_ms,
 * level, sources, parents, hints; its id and statistics are filled in here (sources gets the id
 * itself when empty). The writer stays to be freed. */
MUST_CHECK bool
block_writer_finish(struct block_writer *w, struct block_meta *meta, struct error *err);

/* Without a successful finish the temporary directory is removed. Accepts NULL. */
void block_writer_free(struct block_writer *w);
