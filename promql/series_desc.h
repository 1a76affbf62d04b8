/* promql/series_desc.h: the notation in which tests write series: `http_requests{job="x"} 0+50x10 _
 * stale {{...}}`.
 *
 * Used by the runner of .test scripts and by unit tests of rules. Everything lives in the caller's
 * arena. Pure. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "model/histogram.h"
#include "model/labels.h"

/* Repetitions may ask for any number; this is where a description is refused (ERR_LIMIT). */
#define SERIES_DESC_VALUES_MAX 1000000

struct series_value {
    bool omitted;              /* `_`: no sample here */
    bool hint_set;             /* a histogram whose text says counter_reset_hint:... */
    double v;                  /* the stale marker for `stale`; undefined when h is set */
    const struct histogram *h; /* float kind, or NULL; several values may share one */
};

struct series_desc {
    struct labels labels;
    struct series_value *values;
    size_t nr;
};

/* ERR_INVALID with Prometheus's text, "line:column: parse error: ...". */
MUST_CHECK bool
series_desc_parse(struct arena *arena, struct str text, struct series_desc *out, struct error *err);

/* A histogram in this notation, without what has its default: `{{schema:1 count:3 buckets:[1 2]}}`.
 * Spans that are apart are joined by zeros. */
void series_desc_print_histogram(const struct histogram *h, struct arena *scratch, struct buf *out);
