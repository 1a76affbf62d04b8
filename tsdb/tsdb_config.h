/* tsdb/tsdb_config.h: the section `storage` of the configuration file.
 *
 * Reloadable. Immutable after loading; lives in the file's conf_pool. */
#pragma once
#include "base/conf.h"

struct tsdb_retention_config {
    int64_t time_ms;    /* 0: none */
    int64_t size_bytes; /* 0: none */
    double percentage;  /* of the file system, 0: none; wins over size */
};

struct tsdb_chunk_encoding_config {
    struct str floats; /* "", "xor" or "xor2"; empty: as the feature flag says */
};

struct tsdb_config {
    int64_t out_of_order_shown_ms; /* for rendering only */
    int64_t out_of_order_time_window_ms;
    double stale_series_compaction_threshold; /* share of stale series, 0: never */
    struct tsdb_chunk_encoding_config chunk_encoding;
    struct tsdb_retention_config *retention; /* never NULL after loading */
    bool retention_given;                    /* the block is there: flags do not count */
};

struct tsdb_exemplars_config {
    int64_t max_exemplars; /* 0 or less: off */
};

struct storage_config {
    struct tsdb_config *tsdb;                /* never NULL after storage_config_complete() */
    struct tsdb_exemplars_config *exemplars; /* NULL when not given: 100000 */
};

#define TSDB_MAX_EXEMPLARS_DEFAULT 100000

extern const struct conf_table storage_config_table;

/* Puts in the blocks that the file left out. */
void storage_config_complete(struct conf_pool *pool, struct storage_config *s);
