/* tsdb/chunk_cut.h: when the head starts a new chunk: Prometheus's rule, as a pure function of the
 * open chunk.
 *
 * Chunks never cross a multiple of range_ms (the smallest block range); inside a range they are cut
 * so that they come out about equally long. The series keeps next_ms (the rule's memory) beside its
 * open chunk. Thread-safe. */
#pragma once
#include "base/util.h"
#include "tsdb/chunk.h"

#define CHUNK_CUT_SAMPLES               120 /* samples per chunk, the target */
#define CHUNK_CUT_FLOAT_BYTES           (1024 - 19)
#define CHUNK_CUT_HISTOGRAM_BYTES       1024
#define CHUNK_CUT_HISTOGRAM_SAMPLES_MIN 10
#define CHUNK_CUT_OOO_SAMPLES           32

/* The open chunk as the rule sees it. */
struct chunk_open {
    enum chunk_encoding encoding;
    int64_t min_ms, max_ms; /* meaningless when samples_nr is 0 */
    uint32_t samples_nr;
    size_t bytes; /* encoded length, header included */
};

/* End of the range that holds t_ms (division truncates towards zero, as Prometheus's does). */
int64_t chunk_cut_range_end(int64_t t_ms, int64_t range_ms);

/* True: a sample at t_ms starts a new chunk (open == NULL: there is none yet). *next_ms is brought
 * up to date either way. samples_target is CHUNK_CUT_SAMPLES unless configured; wanted is the
 * encoding that the sample would get. */
bool chunk_cut_float(const struct chunk_open *open, enum chunk_encoding wanted, int64_t t_ms,
                     int64_t range_ms, uint32_t samples_target, int64_t *next_ms);

/* Rules 1 to 5 for native histograms; *computed is the series' flag. What the chunk itself decides
 * afterwards (rule 6: resets, layouts) is chunk_histogram_append()'s. */
bool chunk_cut_histogram(const struct chunk_open *open, enum chunk_encoding wanted, int64_t t_ms,
                         int64_t range_ms, int64_t *next_ms, bool *computed);
