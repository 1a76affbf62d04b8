/* promql/quantile.h: quantiles and fractions of classic and native histograms. Pure functions. */
#pragma once
#include "model/histogram.h"

/* Buckets of one classic histogram in the order of their bounds; counts are cumulative. Both arrays
 * are changed. */
struct buckets {
    double *bound, *count;
    size_t nr;
};

/* What had to be done about counts that fall. */
struct repair {
    bool forced;
    double bucket_min, bucket_max, diff_max;
};

double buckets_quantile(double q, struct buckets *b, struct repair *repair);
double buckets_fraction(double lower, double upper, struct buckets *b);

/* Observations of NaN are counted but lie in no bucket. */
enum nan_note { NAN_NONE, NAN_RESULT, NAN_SKEW };
double histogram_quantile(double q, const struct histogram *h, enum nan_note *note);
double histogram_fraction(double lower, double upper, const struct histogram *h, bool *has_nan);
double histogram_variance(const struct histogram *h);
