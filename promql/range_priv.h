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
/* range_extended.c: anchored and smoothed. */
void range_extended(const struct range_node *r, const struct windows *w, struct column *out);
