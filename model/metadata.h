/* model/metadata.h: what an exposition says of a metric family: type, help, unit; and exemplars.
 * Borrowed strings. */
#pragma once
#include "base/str.h"
#include "model/labels.h"

/* Values are those of WAL record type 6 (surface/formats.md). */
enum metadata_type {
    METADATA_UNKNOWN,
    METADATA_COUNTER,
    METADATA_GAUGE,
    METADATA_HISTOGRAM,
    METADATA_GAUGEHISTOGRAM,
    METADATA_SUMMARY,
    METADATA_INFO,
    METADATA_STATESET
};

struct metadata {
    enum metadata_type type;
    struct str help, unit;
};

const char *metadata_type_text(enum metadata_type type); /* "counter", ... */

struct exemplar {
    struct labels labels;
    double v;
    int64_t t_ms;
    bool has_t; /* the exposition gave a time */
};
