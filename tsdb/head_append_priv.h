/* tsdb/head_append_priv.h: one open batch, shared by head_append.c (collecting) and head_commit.c
 * (logging and applying). */
#pragma once
#include "tsdb/head_priv.h"
#include "tsdb/record.h"

enum { APPEND_AHEAD = 12 }; /* series fetched ahead: measured, 8 to 16 are alike */

/* Samples of one record type, in the order of appending. */
struct append_run {
    uint8_t type;
    uint32_t nr;
};

struct append_exemplar_item {
    struct head_series *s;
    struct record_exemplar r;
};

struct head_appender {
    struct appender base;
    struct head *head;
    struct head_appender *next, *prev; /* in head.open or head.idle */
    struct append_options options;
    int64_t min_valid_ms;           /* read by others under appenders_lock */
    int64_t horizon_ms;             /* later samples are out of bounds */
    const struct head_series *hint; /* the batch's newest series: new ones resemble it */
    bool empty;                     /* the head had no sample when the batch began */

    struct record_sample *samples;
    struct head_series **series; /* beside samples */
    size_t samples_nr, samples_cap;
    struct record_histogram *histograms;
    struct head_series **histogram_series;
    size_t histograms_nr, histograms_cap;
    struct append_run *runs;
    size_t runs_nr, runs_cap;
    struct head_series **unlogged;
    size_t unlogged_nr, unlogged_cap;
    struct append_exemplar_item *exemplars;
    size_t exemplars_nr, exemplars_cap;
    struct record_metadata *metadata;
    struct head_series **metadata_series;
    size_t metadata_nr, metadata_cap;

    struct arena arena; /* copies of histograms and texts */
    struct arena_mark start;
    struct wal_batch wal;
    struct head_seals seals;
};

struct appender *
head_append_begin(struct appendable *storage, const struct append_options *options);
void head_appenders_free(struct head *h);
enum append_outcome head_recheck_float(const struct head_appender *a, const struct head_series *s,
                                       int64_t t_ms, double v);
enum append_outcome
head_recheck_histogram(const struct head_appender *a, const struct head_series *s, int64_t t_ms,
                       const struct histogram *h);

/* False: nothing is in the log. */
MUST_CHECK bool head_commit_log(struct head_appender *a, struct error *err);
void head_commit_apply(struct head_appender *a);
