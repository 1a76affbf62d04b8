/* tsdb/querier_priv.h: one view over head and blocks: querier.c (opening, selecting, labels) and
 * querier_merge.c (one series read from several sources). */
#pragma once
#include "tsdb/db_priv.h"

struct db_querier {
    struct querier base;
    struct db *db;
    struct symbols *symbols;
    struct head_reader head;
    bool has_head;
    int64_t head_min_ms;   /* below, blocks have it */
    struct block **blocks; /* by min_ms; one reference each */
    size_t blocks_nr;
    struct arena arena; /* selected series; lives as long as the querier */
};

/* Where a part of a series lies: the head, or a block. */
struct series_part {
    struct block *block; /* NULL: the head */
    union {
        struct head_series *head;
        struct {
            const struct block_chunk *chunks;
            uint32_t ref, chunks_nr;
        };
    };
};

struct merged_series {
    const struct symbol_pair *pairs;
    uint32_t pairs_nr, parts_nr;
    struct series_part *parts; /* blocks by min_ms, then the head */
};

struct db_series_set {
    struct series_set base;
    struct merged_series *series;
};

extern const struct series_set_ops db_series_set_ops;
