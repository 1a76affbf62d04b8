/* tsdb/index_reader.h: the index file of a block, read in place from a mapping. Used by block*.c
 * alone.
 *
 * Every function that takes a reader must stand inside io_guarded_read(): it touches mapped bytes.
 * Texts and bytes returned point into the mapping: copy them out before leaving the guard.
 * Immutable after index_reader_open(); any number of threads. */
#pragma once
#include "base/arena.h"
#include "base/dec.h"
#include "tsdb/index_format.h"
#include "tsdb/postings.h"

/* The values of one label name in the postings offset table. */
struct index_name {
    struct str name; /* owned copy */
    uint32_t entry;  /* first of its places in `entries` */
    uint32_t values_nr;
};

struct index_reader {
    struct bytes file;
    unsigned version;
    struct index_toc toc;
    uint32_t symbols_nr;
    uint64_t *symbol_at; /* file offset of every 32nd symbol; version 1: of each */
    uint32_t *entries;   /* place in the table of every 32nd entry of a name; version 1: of each,
                            sorted by value */
    size_t entries_nr, entries_cap;
    struct index_name *names; /* sorted; the first is "" (all postings) when present */
    size_t names_nr, names_cap;
    struct bytes table; /* entries of the postings offset table */
};

MUST_CHECK bool index_reader_open(struct index_reader *r, struct bytes file, struct error *err);
void
index_reader_fini(struct index_reader *r); /* also after a failed open; touches no mapped bytes */

/* A symbol as series entries refer to it: index, or file offset in version 1. */
MUST_CHECK bool
index_symbol(const struct index_reader *r, uint32_t ref, struct str *text, struct error *err);
/* The number 0..symbols_nr-1 of a symbol reference; UINT32_MAX when there is none. */
uint32_t index_symbol_number(const struct index_reader *r, uint32_t ref);

/* A series' entry behind its length, CRC checked. */
MUST_CHECK bool index_series_entry(const struct index_reader *r, uint32_t ref, struct dec *entry,
                                   struct error *err);

/* NULL when no series has the label. */
const struct index_name *index_name_find(const struct index_reader *r, struct str name);

/* Walks the values of a name in order. */
struct index_values {
    const struct index_reader *r;
    const struct index_name *name;
    struct dec at;
    uint32_t next_nr; /* of the value that comes next */
};
void index_values_start(struct index_values *it, const struct index_reader *r,
                        const struct index_name *name, uint32_t from_nr);
/* False at the end or on damage (it->at.bad). */
bool index_values_next(struct index_values *it, struct str *value, uint64_t *postings_at);
/* The number of the first value that is not below `value`, or values_nr. */
uint32_t
index_values_find(const struct index_reader *r, const struct index_name *name, struct str value);

/* The references of one list, copied to the arena; CRC and order checked. */
MUST_CHECK bool index_postings(const struct index_reader *r, uint64_t at, struct arena *arena,
                               struct postings *list, struct error *err);
