/* tsdb/index_format.h: numbers of the index and chunk files that reader and writer share
 * (docs/formats/block.md). */
#pragma once
#include "base/util.h"

#define INDEX_MAGIC   UINT32_C(0xBAAAD700)
#define SEGMENT_MAGIC UINT32_C(0x85BD40DD)

enum {
    INDEX_VERSION_WRITTEN = 2,
    INDEX_HEADER_BYTES = 5,
    INDEX_TOC_BYTES = 6 * 8 + 4,
    INDEX_SERIES_ALIGN = 16,
    INDEX_SAMPLE_EVERY = 32, /* symbols and postings table entries kept in memory */
    SEGMENT_VERSION = 1,
    SEGMENT_HEADER_BYTES = 8,
    CRC_BYTES = 4
};

/* Offsets of the sections; label indices are obsolete and empty. */
struct index_toc {
    uint64_t symbols, series, label_indices, label_indices_table, postings, postings_table;
};
