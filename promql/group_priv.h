/* promql/group_priv.h: what the aggregations share: groups of series, fold kernels, sums of
 * histograms. */
#pragma once
#include "promql/exec_priv.h"
#include "promql/range_kernels.h"

/* group.c: the group of each series of `child`; *groups are the labels of the groups, in order of
 * appearance. */
const uint32_t *group_series(struct eval *ev, const struct aggregate_node *n,
                             const struct node *child, struct series **groups, uint32_t *groups_nr);
struct series group_labels(struct eval *ev, const struct aggregate_node *n,
                           const struct names *names, const struct series *s);
/* Counts the held columns of a node that did its work when it was opened. */
void node_tally_held(struct eval *ev, struct node *n);

/* fold_kernels.c: one column into a group, all steps present. */
void fold_kernel_sum(const double *x, double *sum, double *c, size_t nr);
bool fold_kernel_finite_sum(const double *x, const double *sum, size_t nr);
void fold_kernel_min(const double *x, double *best, size_t nr);
void fold_kernel_max(const double *x, double *best, size_t nr);
void fold_kernel_count(uint32_t *count, size_t nr);

/* fold_histogram.c: sum and mean of histograms, compensated. */
struct fold_histogram;
struct fold_histogram *fold_histogram_new(struct arena *a);
/* Takes nothing from now on, and has no result. */
void fold_histogram_ignore(struct fold_histogram *f);
void fold_histogram_add(struct eval *ev, struct fold_histogram *f, const struct histogram *h,
                        bool avg, struct anno_at at, struct str name);
/* NULL when the histograms did not fit together. */
struct histogram *
fold_histogram_end(struct eval *ev, struct fold_histogram *f, bool avg, struct anno_at at);
