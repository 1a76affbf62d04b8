/* tsdb/index_writer_priv.h: the writer's state, shared by its two halves (series; postings and
 * tables). */
#pragma once
#include "tsdb/file_out.h"
#include "tsdb/index_format.h"
#include "tsdb/index_writer.h"

struct index_writer {
    struct file_out file;
    char *path, *table_path; /* owned; the postings offset table is collected in a second file */
    struct index_toc toc;
    enum { STAGE_SYMBOLS, STAGE_SERIES, STAGE_DONE } stage;

    struct buf text;     /* all symbols, one after the other */
    uint64_t *symbol_at; /* where each begins in text */
    size_t symbols_nr, symbols_cap;
    uint32_t *slots; /* open addressing by hash of the text: index + 1, 0 is free */
    size_t slots_nr; /* a power of two */

    uint64_t *name_uses; /* by symbol: how many series have it as a label name */
    uint64_t series_nr;
    struct buf entry;       /* one series' entry */
    struct buf last_labels; /* the series before, for checking the order */
    uint64_t last_chunk_ref;
};

/* The text of symbol i, borrowed from the writer. */
struct str index_writer_symbol_text(const struct index_writer *w, size_t i);
/* Writes all postings lists and the offset table; sets toc.postings and toc.postings_table. */
MUST_CHECK bool index_writer_postings(struct index_writer *w, struct error *err);
