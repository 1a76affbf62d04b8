/* model/histogram.h: native histograms as data: exponential (schema -4..8) and custom buckets
 * (schema -53), integer and float.
 *
 * One struct for both kinds. Counts of an integer histogram are stored as on the wire: deltas to
 * the previous bucket; a float histogram holds absolute counts. A histogram is a value whose arrays
 * belong to somebody (an arena, a chunk decoder's scratch): functions that produce one say where.
 * Rules (bucket boundaries, compaction, counter resets, reconciling zero buckets, and arithmetic
 * order) are Prometheus's model/histogram of 3.14. Pure; thread-safe. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#define HISTOGRAM_SCHEMA_MIN    (-4)
#define HISTOGRAM_SCHEMA_MAX    8
#define HISTOGRAM_SCHEMA_CUSTOM (-53)

enum histogram_hint { HINT_UNKNOWN, HINT_RESET, HINT_NOT_RESET, HINT_GAUGE };

struct histogram_span {
    int32_t offset; /* first span: index of the first bucket; later ones: buckets skipped */
    uint32_t length;
};

struct histogram_side {
    const struct histogram_span *spans;
    size_t spans_nr;
    union {
        const int64_t *deltas; /* integer kind: relative to the previous bucket */
        const double *counts;  /* float kind: absolute */
    };
    size_t buckets_nr; /* the sum of the spans' lengths */
};

struct histogram {
    enum histogram_hint hint;
    int32_t schema;
    bool is_int;
    double zero_threshold;
    double zero_count, count; /* exact up to 2^53; integer kind also in the two below */
    uint64_t zero_count_int, count_int;
    double sum; /* the stale marker's bits mark a stale histogram */
    struct histogram_side pos, neg;
    const double *custom_values; /* upper bounds, without +Inf; schema -53 only */
    size_t custom_values_nr;
};
