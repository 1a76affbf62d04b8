/* promql/binary_priv.h: what the binary operators share. */
#pragma once
#include "promql/exec_priv.h"

struct binary_value {
    double v;
    const struct histogram *h; /* not NULL: the value */
};

/* True for operators whose result is a different quantity, so that the metric's name goes. */
bool binary_changes_meaning(enum binary_op op);
/* What there is to say of one pair. */
enum binary_note {
    BINARY_QUIET,
    BINARY_FLOATS, /* types that do not go together, by what is left and right */
    BINARY_FLOAT_HISTOGRAM,
    BINARY_HISTOGRAM_FLOAT,
    BINARY_HISTOGRAMS,
    BINARY_LAYOUT,    /* exponential and custom buckets */
    BINARY_RESETS,    /* conflicting counter resets */
    BINARY_RECONCILED /* custom bounds; there is a result */
};

/* False: no result, and the note says why. *keep: a comparison holds. Histograms made are in a. */
bool binary_point(enum binary_op op, struct binary_value l, struct binary_value r, struct arena *a,
                  struct binary_value *out, bool *keep, enum binary_note *note);
void binary_tell(struct eval *ev, enum binary_op op, enum binary_note note, struct anno_at at);
/* Float arithmetic on whole columns; false when it is something else. */
bool binary_arithmetic(enum binary_op op, const struct column *l, const struct column *r,
                       struct column *out);

/* binary_histogram.c */
bool
binary_histograms(enum binary_op op, struct binary_value l, struct binary_value r, struct arena *a,
                  struct binary_value *out, bool *keep, enum binary_note *note);
const struct histogram *binary_negated(const struct histogram *h, struct arena *a);

/* histogram_trim.c: the observations below (or above) `at`. */
const struct histogram *
histogram_trimmed(const struct histogram *from, double at, bool below, struct arena *a);
