/* promql/go_math.h: where Go's math package differs from C's. */
#pragma once
#include <math.h>

/* Infinities of the right sign win over NaN, zeros are ordered by sign. */
static inline double
go_max(double a, double b)
{
    if (a == INFINITY || b == INFINITY)
        return INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

static inline double
go_min(double a, double b)
{
    return -go_max(-a, -b);
}

/* Go's Atan is Cephes's, whose last bit is not always the C library's; it shows where values become
 * labels (count_values). */
double go_atan(double x);
double go_atan2(double y, double x);
