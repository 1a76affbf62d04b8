/* tsdb/index_writer.h: the index file of a block, version 2, streamed: symbols, series, then
 * finish() adds postings and tables.
 *
 * Used by block_writer.c alone; the order and the limits are its (block_writer.h). One owner
 * thread. */
#pragma once
#include "model/labels.h"
#include "tsdb/block.h"

struct index_writer;

/* Makes `dir`/index. */
MUST_CHECK bool
index_writer_new(struct index_writer **w, const struct io *io, const char *dir, struct error *err);
MUST_CHECK bool index_writer_symbol(struct index_writer *w, struct str text, struct error *err);
MUST_CHECK bool
index_writer_series(struct index_writer *w, struct labels labels, const struct block_chunk *chunks,
                    size_t chunks_nr, struct error *err);
MUST_CHECK bool index_writer_finish(struct index_writer *w, struct error *err);
void index_writer_free(struct index_writer *w);
