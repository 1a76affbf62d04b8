/* Loops over all steps of a column, free of branches so that they become vector code; bits as the
 * plain forms in node_agg.c. */
#include "promql/group_priv.h"

#include <math.h>

#define LARGEST 1.7976931348623157e308

void
fold_kernel_sum(const double *restrict x, double *restrict sum, double *restrict c, size_t nr)
{
    for (size_t k = 0; k < nr; k++) {
        double s = sum[k], t = s + x[k];
        bool big = fabs(s) >= fabs(x[k]);
        double high = big ? s : x[k], low = big ? x[k] : s;
        double more = c[k] + ((high - t) + low);

        c[k] = fabs(t) > LARGEST ? 0 : more;
        sum[k] = t;
    }
}

/* True when adding x leaves every sum finite. */
bool
fold_kernel_finite_sum(const double *restrict x, const double *restrict sum, size_t nr)
{
    bool inf = false;

    for (size_t k = 0; k < nr; k++)
        inf |= fabs(sum[k] + x[k]) > LARGEST;
    return !inf;
}

void
fold_kernel_min(const double *restrict x, double *restrict best, size_t nr)
{
    for (size_t k = 0; k < nr; k++)
        best[k] = best[k] <= x[k] || (isnan(x[k]) && !isnan(best[k])) ? best[k] : x[k];
}

void
fold_kernel_max(const double *restrict x, double *restrict best, size_t nr)
{
    for (size_t k = 0; k < nr; k++)
        best[k] = best[k] >= x[k] || (isnan(x[k]) && !isnan(best[k])) ? best[k] : x[k];
}

void
fold_kernel_count(uint32_t *count, size_t nr)
{
    for (size_t k = 0; k < nr; k++)
        count[k]++;
}
