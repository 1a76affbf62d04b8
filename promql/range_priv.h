/* promql/range_priv.h: what node_range.c and its relatives (histograms, anchored and smoothed
 * ranges) share. */
#pragma once
#include "promql/exec_priv.h"
#include "promql/range_kernels.h"

struct windows range_windows(const struct eval *ev, const struct range_node *r, const int64_t *t_ms,
                             const double *v, size_t nr, struct worker *w);
/* weight_before[i]: what samples before i weigh; NULL: one each. */
void range_count(struct eval *ev, struct range_node *r, uint32_t source, struct worker *w,
                 const struct windows *x, const uint64_t *weight_before, const struct column *out);
struct anno_at range_at(const struct range_node *r);
/* what, then the name in quotes. */
void range_anno(struct eval *ev, const struct range_node *r, bool warning, const char *what,
                struct str name);

/* The float kernel of the function over all windows. */
bool range_floats(struct eval *ev, struct range_node *r, const struct windows *x,
                  struct column *out, struct error *err);

/* range_mixed.c: a series with histograms. */
bool range_mixed(struct eval *ev, struct range_node *r, uint32_t source, struct str name,
                 struct worker *w, struct sample_buf *b, struct column *out, struct error *err);
#define MIXED_TEXT "encountered a mix of histograms and floats for metric name"
#define SCHEMAS_TEXT                                                                              \
    "vector contains a mix of histograms with exponential and custom buckets schemas for metric " \
    "name"
#define NOT_COUNTER_TEXT "this native histogram metric is not a counter:"
#define NOT_GAUGE_TEXT   "this native histogram metric is not a gauge:"

/* The histograms of one window. */
struct points {
    const struct histogram *const *h;
    const int64_t *t_ms;
    size_t nr;
};

static inline bool
range_is_extended(const struct range_node *r)
{
    return r->sel != NULL && (r->sel->anchored || r->sel->smoothed);
}

/* range_extended_histogram.c: where a window of histograms ends, and whom it concerns. */
struct extended_at {
    struct eval *ev;
    const struct range_node *r;
    struct str name;
    struct arena *arena;
    int64_t end_ms;
};
/* Anchored or smoothed rate, increase, delta; NULL when there is none. */
const struct histogram *extended_histogram(const struct extended_at *at, const struct points *p);

/* Samples at the bounds of a bare anchored or smoothed range vector stand in for what is outside.
 * Floats only. */
void range_extend_raw(const struct range_node *r, struct sample_buf *b, int64_t start_ms,
                      int64_t end_ms);

/* range_extended.c: anchored and smoothed. */
void range_extended(const struct range_node *r, const struct windows *w, struct column *out);

/* A smoothed instant vector: the samples of one series without stale markers. */
struct smoothing {
    struct eval *ev;
    const struct sample_buf *b;
    struct str name;
    struct anno_at at;
    struct arena *arena;
};
/* The value at t_ms from samples [from, to), those within one lookback on either side. */
void smoothed_point(const struct smoothing *s, size_t from, size_t to, int64_t t_ms,
                    struct column *out, size_t k);
/* Leaves stale markers out. */
void range_drop_stale(struct sample_buf *b);
