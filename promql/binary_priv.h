/* promql/binary_priv.h: what the binary operators share. */
#pragma once
#include "promql/exec_priv.h"

struct binary_value {
    double v;
    const struct histogram *h; /* not NULL: the value */
};

/* True for operators whose result is a different quantity, so that the metric's name goes. */
bool binary_changes_meaning(enum binary_op op);
/* False: no result, and an annotation says why. *keep: a comparison holds. Histograms made are in
 * a. */
bool binary_point(struct eval *ev, enum binary_op op, struct binary_value l, struct binary_value r,
                  struct arena *a, struct anno_at at, struct binary_value *out, bool *keep);
/* Float arithmetic on whole columns; false when it is something else. */
bool binary_arithmetic(enum binary_op op, const struct column *l, const struct column *r,
                       struct column *out);
void binary_types_info(struct eval *ev, enum binary_op op, bool left_histogram,
                       bool right_histogram, struct anno_at at);

/* binary_histogram.c */
bool
binary_histograms(struct eval *ev, enum binary_op op, struct binary_value l, struct binary_value r,
                  struct arena *a, struct anno_at at, struct binary_value *out, bool *keep);
const struct histogram *binary_negated(const struct histogram *h, struct arena *a);

/* histogram_trim.c: the observations below (or above) `at`. */
const struct histogram *
histogram_trimmed(const struct histogram *from, double at, bool below, struct arena *a);
