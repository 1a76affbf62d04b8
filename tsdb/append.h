/* tsdb/append.h: the one way into storage. Scrapes, rules, remote write, OTLP and import all go through it; nothing else writes.
 *
 * A batch belongs to one thread from append_begin() to commit or rollback. Samples become visible to queries all at once at
 * commit; commit writes the WAL (series records before samples, one write) before it returns true.
 * Refs are 64-bit, never 0, never reused. A caller keeps the ref of a series beside what it scraped and appends by ref without labels: the
 * common case. When the series was collected meanwhile the outcome is APPEND_REF_UNKNOWN and nothing was added: append again with labels and ref 0.
 * Errors of single samples are outcomes, not failures of the batch: the caller counts them and goes on. The rules (duplicate, out of order, too
 * old, out of bounds) are Prometheus 3.14's headAppender. */
#pragma once
#include "base/error.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"

typedef uint64_t series_ref;
#define SERIES_REF_NONE UINT64_C(0)

enum append_outcome {
    APPEND_OK,
    APPEND_DUPLICATE,     /* same time and value as the newest sample: accepted, nothing stored */
    APPEND_REF_UNKNOWN,   /* no such series any more, and no labels given */
    APPEND_DUPLICATE_TIME,/* "duplicate sample for timestamp": same time, other value */
    APPEND_OUT_OF_ORDER,  /* "out of order sample" */
    APPEND_TOO_OLD,       /* "too old sample": older than the out-of-order window */
    APPEND_OUT_OF_BOUNDS, /* "out of bounds": before the head's minimum valid time */
    APPEND_BAD_LABELS,    /* empty or duplicate label set */
    APPEND_BAD_HISTOGRAM,
    APPEND_OVER_LIMIT     /* the memory budget refuses new series; known ones go on */
};
#define APPEND_OUTCOMES_NR 10

/* Prometheus's text for an outcome ("out of order sample"). */
const char *append_outcome_text(enum append_outcome outcome);

struct appender; /* one batch */

struct append_options {
    int64_t start_ms;      /* unused by storage rules; for logs */
    bool must_be_durable;  /* pushes, whose sender repeats what was refused: commit fails with ERR_FULL while the disk is full.
                            * Otherwise the batch goes on into memory (up to db_options.held_bytes_max) and to disk when there is room */
    bool discard_ooo;      /* stale markers: an out-of-order sample is dropped even inside the out-of-order window */
};

struct append_ops {
    /* *ref: in: the known ref or SERIES_REF_NONE; out: the ref to keep. labels may be empty when *ref is given. Labels are copied when
     * the series is new. st_ms: start timestamp or 0. */
    enum append_outcome (*sample)(struct appender *a, series_ref *ref, struct labels labels, int64_t st_ms, int64_t t_ms,
                                  double v);
    enum append_outcome (*histogram)(struct appender *a, series_ref *ref, struct labels labels, int64_t st_ms, int64_t t_ms,
                                     const struct histogram *h);
    /* For a series of this batch or an older one. Dropped silently when exemplar storage is off. */
    enum append_outcome (*exemplar)(struct appender *a, series_ref ref, const struct exemplar *e);
    void (*metadata)(struct appender *a, series_ref ref, const struct metadata *m);
    /* False: nothing of the batch is visible or acknowledged; the appender is gone either way. */
    bool (*commit)(struct appender *a, struct error *err);
    void (*rollback)(struct appender *a);
};

struct appender {
    const struct append_ops *ops;
};

/* Where batches come from: a database (tsdb/db.h), or a test's own. */
struct appendable {
    struct appender *(*begin)(struct appendable *storage, const struct append_options *options);
};

static inline struct appender *
append_begin(struct appendable *storage, const struct append_options *options)
{
    return storage->begin(storage, options);
}

static inline enum append_outcome
append_sample(struct appender *a, series_ref *ref, struct labels labels, int64_t st_ms, int64_t t_ms, double v)
{
    return a->ops->sample(a, ref, labels, st_ms, t_ms, v);
}

static inline enum append_outcome
append_histogram(struct appender *a, series_ref *ref, struct labels labels, int64_t st_ms, int64_t t_ms,
                 const struct histogram *h)
{
    return a->ops->histogram(a, ref, labels, st_ms, t_ms, h);
}

static inline enum append_outcome
append_exemplar(struct appender *a, series_ref ref, const struct exemplar *e)
{
    return a->ops->exemplar(a, ref, e);
}

static inline void
append_metadata(struct appender *a, series_ref ref, const struct metadata *m)
{
    a->ops->metadata(a, ref, m);
}

MUST_CHECK static inline bool
append_commit(struct appender *a, struct error *err)
{
    return a->ops->commit(a, err);
}

static inline void
append_rollback(struct appender *a)
{
    a->ops->rollback(a);
}
