/* model/histogram_math.h: what one can do with native histograms, by Prometheus's rules and in its
 * order of operations.
 *
 * A function that makes a histogram puts its arrays into the arena it is given; *h may then share
 * arrays with its inputs, which must live as long. "Accumulating" calls (add, sub, kahan, scale)
 * need an accumulator made by histogram_copy(), whose arrays they may overwrite. Inputs may come
 * from disk or wire and be malformed as long as each side's buckets_nr is the real size of its
 * array: nothing here reads past it. Pure; thread-safe. */
#pragma once
#include "model/histogram.h"

static inline bool
histogram_is_custom(const struct histogram *h)
{
    return h->schema == HISTOGRAM_SCHEMA_CUSTOM;
}

static inline bool
histogram_schema_exponential(int32_t schema)
{
    return schema >= HISTOGRAM_SCHEMA_MIN && schema <= HISTOGRAM_SCHEMA_MAX;
}

/* ---- making ---- */

/* A deep copy whose arrays are the copy's own; unused fields of the schema are cleared. */
struct histogram *histogram_copy(const struct histogram *h, struct arena *a);
/* The float form; an integer histogram is converted, a float one copied. */
struct histogram *histogram_to_float(const struct histogram *h, struct arena *a);
/* The integer form of a float histogram; NULL when a count is no whole number of observations or
 * below 0. */
struct histogram *histogram_to_int(const struct histogram *h, struct arena *a);
/* ERR_INVALID with Prometheus's text when h is not consistent. */
MUST_CHECK bool histogram_validate(const struct histogram *h, struct error *err);

/* ---- looking ---- */

/* Same data, bit by bit: hint ignored, empty spans ignored. Integer and float forms are never
 * equal. */
bool histogram_eq(const struct histogram *a, const struct histogram *b);
bool histogram_bounds_eq(const struct histogram *a, const struct histogram *b); /* custom values */
/* {count:3, sum:4.5, [-0.001,0.001]:1, (0.5,1]:2}: as Prometheus's String(). */
void histogram_print(const struct histogram *h, struct buf *out);
bool histogram_has_overflow(const struct histogram *h); /* some number is infinite */

struct histogram_bucket {
    double lower, upper;
    bool lower_inclusive, upper_inclusive;
    double count;
    uint64_t count_int; /* integer histograms */
    int32_t index;
};

/* Walks the buckets of one side, away from zero or towards it, empty ones included, merged to a
 * coarser schema if asked. */
struct histogram_walk {
    const struct histogram *h;
    const struct histogram_side *side;
    bool positive, backward;
    int32_t target; /* schema of the buckets returned */
    size_t span, bucket;
    uint32_t in_span;
    int64_t next; /* index of the next raw bucket */
    int64_t run;  /* integer kind: the last bucket's count */
    bool pending; /* a raw bucket was read and belongs to the next merged one */
    int32_t pending_index;
    double pending_count;
    uint64_t pending_int;
    double skip_to; /* exponential: leading buckets whose bound is not above this are left out */
    struct histogram_bucket at;
};

/* Away from zero. */
void histogram_walk_init(struct histogram_walk *w, const struct histogram *h, bool positive);
/* Away from zero, in the coarser schema `target`, leaving out leading buckets within |start|. */
void histogram_walk_merged(struct histogram_walk *w, const struct histogram *h, bool positive,
                           double start, int32_t target);
/* Towards zero. */
void histogram_walk_backward(struct histogram_walk *w, const struct histogram *h, bool positive);
/* Fills w->at with index and count only: cheaper than the boundaries. */
bool histogram_walk_step(struct histogram_walk *w);
/* Fills w->at. */
bool histogram_walk_next(struct histogram_walk *w);

/* All buckets in growing order of their values (or falling, reverse): negative, zero (when it has
 * observations), positive. A boundary that lies within the zero bucket is set to its threshold. */
struct histogram_all {
    const struct histogram *h;
    struct histogram_walk left, right;
    int state;
    struct histogram_bucket at;
};
void histogram_all_init(struct histogram_all *it, const struct histogram *h, bool reverse);
bool histogram_all_next(struct histogram_all *it);

struct histogram_bucket histogram_zero_bucket(const struct histogram *h);
/* The upper boundary of a bucket; the first custom bucket starts at -Inf, the last ends at +Inf. */
double
histogram_bound(int64_t index, int32_t schema, const double *custom_values, size_t custom_nr);
int32_t histogram_target_index(int32_t index, int32_t schema, int32_t target);

/* ---- changing; float kind unless said ---- */

/* Empty buckets at the ends of spans go, spans at most empty_max apart become one, longer runs of
 * empty buckets split one. Both kinds. */
void histogram_compact(struct histogram *h, size_t empty_max, struct arena *a);
/* To a coarser schema. Both kinds. ERR_INVALID for custom buckets, a finer target or inconsistent
 * spans. */
MUST_CHECK bool
histogram_reduce(struct histogram *h, int32_t target, struct arena *a, struct error *err);

struct histogram_notes {
    bool reset_collision;   /* one side says reset, the other not_reset */
    bool bounds_reconciled; /* different custom bounds were mapped to those both have */
};

/* h += other. False: one has custom buckets and the other has not; h is unchanged. notes are added
 * to, not cleared. */
MUST_CHECK bool histogram_add(struct histogram *h, const struct histogram *other,
                              struct histogram_notes *notes, struct arena *a);
MUST_CHECK bool histogram_sub(struct histogram *h, const struct histogram *other,
                              struct histogram_notes *notes, struct arena *a);
/* As histogram_add() with the rounding errors collected in *c, which starts as NULL and is made by
 * the first call: the best sum is histogram_add(h, *c) at the end. */
MUST_CHECK bool
histogram_kahan_add(struct histogram *h, struct histogram **c, const struct histogram *other,
                    struct histogram_notes *notes, struct arena *a);
/* Every count and the sum times or divided by a number. A negative one makes a gauge; dividing by 0
 * drops the buckets. */
void histogram_mul(struct histogram *h, double by);
void histogram_div(struct histogram *h, double by);

/* True when h cannot follow `previous` without a counter reset between them; the hint of h decides
 * when it knows. */
bool histogram_detect_reset(const struct histogram *h, const struct histogram *previous);

#define HISTOGRAM_MIX_TEXT                                                                   \
    "cannot apply this operation on histograms with a mix of exponential and custom bucket " \
    "schemas"

/* One step of compensated summation as Prometheus does it. */
void histogram_kahan(double inc, double *sum, double *c);
