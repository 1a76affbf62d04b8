/* Functions that read one number out of a native histogram; floats are left out. */
#include "promql/exec_priv.h"

#include <math.h>

#include "promql/quantile.h"

static bool
histogram_open(struct eval *ev, struct node *n, struct error *err)
{
    struct node *child = n->args[0];

    if (!node_open(ev, child, err))
        return false;
    struct series *series = ARENA_NEW_ARRAY(ev->arena, struct series, child->series_nr);
    for (uint32_t i = 0; i < child->series_nr; i++)
        series[i] = series_unnamed(ev, child->series[i]);
    node_series(ev, n, series, child->series_nr);
    return true;
}

static double
read_out(enum function_id fn, const struct histogram *h)
{
    switch (fn) {
    case FN_HISTOGRAM_COUNT:
        return h->count;
    case FN_HISTOGRAM_SUM:
        return h->sum;
    case FN_HISTOGRAM_AVG:
        return h->sum / h->count;
    case FN_HISTOGRAM_STDDEV:
        return sqrt(histogram_variance(h));
    default:
        return histogram_variance(h);
    }
}

static bool
histogram_source(struct eval *ev, struct node *n, uint32_t source, struct worker *w,
                 struct column *out, struct error *err)
{
    struct column c;

    if (!node_column(ev, n->args[0], source, w, &c, err))
        return false;
    column_new(&w->arena, out, c.nr, false);
    for (size_t k = 0; c.h != NULL && k < c.nr; k++) {
        if (!column_has(&c, k) || c.h[k] == NULL)
            continue;
        out->v[k] = read_out(((struct call_node *)n)->fn, c.h[k]);
        column_mark(out, k);
    }
    column_count(out);
    return true;
}

static bool
histogram_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
                 struct error *err)
{
    return node_merge(ev, n, i, w, histogram_source, out, err);
}

const struct node_ops histogram_ops = { histogram_open, histogram_column };
