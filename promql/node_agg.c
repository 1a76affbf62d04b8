/* Folding aggregations: each column of the operand is added to the arrays of its group and dropped,
 * in series order, so that the sums have Prometheus's bits. Memory is groups x steps. The first
 * value of a group needs no case of its own: -0 is neutral for a compensated sum, NaN for extremes.
 */
#include "promql/group_priv.h"

#include <math.h>

#include "model/histogram_math.h"

/* The arrays of one group; made when its first column with points comes. */
struct group {
    double *sum, *c; /* sum: also extreme, or sum of squares; c: compensation, or mean */
    uint32_t *count;
    uint64_t *incremental; /* avg: bits of the steps whose sum would have overflowed; sum is then
                              the mean */
    struct fold_histogram **h; /* steps with histograms; NULL while there are none */
    uint64_t *mixed_floats;    /* with h: bits of the steps that have floats */
    bool drop_name;
};

struct fold {
    struct eval *ev;
    struct aggregate_node *n;
    const uint32_t *group_of;
    struct group *groups;
    size_t steps;
};

static void
group_start(struct fold *f, struct group *g)
{
    struct arena *a = f->ev->arena;
    enum aggregate_op op = f->n->op;
    double start = op == AGGR_MIN || op == AGGR_MAX   ? NAN
                   : op == AGGR_SUM || op == AGGR_AVG ? -0.0
                                                      : 0;

    g->count = ARENA_NEW_ARRAY(a, uint32_t, f->steps);
    if (op == AGGR_COUNT || op == AGGR_GROUP)
        return;
    g->sum = arena_alloc(a, f->steps * sizeof *g->sum);
    for (size_t k = 0; k < f->steps; k++)
        g->sum[k] = start;
    if (op != AGGR_MIN && op != AGGR_MAX)
        g->c = ARENA_NEW_ARRAY(a, double, f->steps);
}

/* ---- all steps present: loops that the compiler turns into vectors (fold_kernels.c) ---- */

static bool
incremental_at(const struct group *g, size_t k)
{
    return g->incremental != NULL && (g->incremental[k / 64] >> (k % 64) & 1) != 0;
}

static void
avg_incremental(struct group *g, size_t k, double x)
{
    double n = g->count[k], q = (n - 1) / n, mean = q * g->sum[k], c = q * g->c[k];

    sum_inc(x / n, &mean, &c);
    g->sum[k] = mean;
    g->c[k] = c;
}

/* One value for avg; count is already raised. */
static void
avg_add(struct fold *f, struct group *g, size_t k, double x)
{
    double sum = g->sum[k], c = g->c[k];

    if (incremental_at(g, k)) {
        avg_incremental(g, k, x);
        return;
    }
    sum_inc(x, &sum, &c);
    if (!isinf(sum) || g->count[k] == 1) {
        g->sum[k] = sum;
        g->c[k] = c;
        return;
    }
    if (g->incremental == NULL)
        g->incremental = ARENA_NEW_ARRAY(f->ev->arena, uint64_t, COLUMN_WORDS(f->steps));
    g->incremental[k / 64] |= UINT64_C(1) << (k % 64);
    g->sum[k] /= (double)g->count[k] - 1;
    g->c[k] /= (double)g->count[k] - 1;
    avg_incremental(g, k, x);
}

static void
variance_add(struct group *g, size_t k, double x)
{
    double delta = x - g->c[k];

    g->c[k] += delta / (double)g->count[k];
    g->sum[k] += delta * (x - g->c[k]);
}

static void
fold_value(struct fold *f, struct group *g, size_t k, double x)
{
    g->count[k]++;
    switch (f->n->op) {
    case AGGR_SUM:
        sum_inc(x, &g->sum[k], &g->c[k]);
        break;
    case AGGR_AVG:
        avg_add(f, g, k, x);
        break;
    case AGGR_MIN:
        if (g->sum[k] > x || isnan(g->sum[k]))
            g->sum[k] = x;
        break;
    case AGGR_MAX:
        if (g->sum[k] < x || isnan(g->sum[k]))
            g->sum[k] = x;
        break;
    case AGGR_STDDEV:
    case AGGR_STDVAR:
        variance_add(g, k, x);
        break;
    default:
        break;
    }
}

/* True when the whole column could be taken at once. */
static bool
fold_full(struct fold *f, struct group *g, const struct column *c)
{
    switch (f->n->op) {
    case AGGR_SUM:
        fold_kernel_sum(c->v, g->sum, g->c, c->nr);
        break;
    case AGGR_AVG:
        if (g->incremental != NULL || !fold_kernel_finite_sum(c->v, g->sum, c->nr))
            return false;
        fold_kernel_sum(c->v, g->sum, g->c, c->nr);
        break;
    case AGGR_MIN:
        fold_kernel_min(c->v, g->sum, c->nr);
        break;
    case AGGR_MAX:
        fold_kernel_max(c->v, g->sum, c->nr);
        break;
    case AGGR_COUNT:
    case AGGR_GROUP:
        break;
    default:
        return false;
    }
    fold_kernel_count(g->count, c->nr);
    return true;
}

static void
fold_floats(struct fold *f, struct group *g, const struct column *c)
{
    if (c->present_nr == c->nr && fold_full(f, g, c))
        return;
    for (size_t i = 0; i < COLUMN_WORDS(c->nr); i++)
        for (uint64_t word = c->present[i]; word != 0; word &= word - 1) {
            size_t k = i * 64 + (size_t)__builtin_ctzll(word);
            fold_value(f, g, k, c->v[k]);
        }
}

/* ---- histograms ---- */

static void
ignored_histogram(struct fold *f, const char *op)
{
    struct anno_at at = { f->n->inner_pos, f->n->base.rank };

    anno_info(&f->ev->annos, at, "ignored histogram in %s aggregation", op);
}

static void
fold_one_histogram(struct fold *f, struct group *g, size_t k, const struct histogram *h,
                   struct str name)
{
    enum aggregate_op op = f->n->op;

    if (op == AGGR_COUNT || op == AGGR_GROUP) {
        g->count[k]++;
        return;
    }
    if (op != AGGR_SUM && op != AGGR_AVG) {
        ignored_histogram(f, promql_aggregates[op].name);
        return;
    }
    if (g->h == NULL)
        g->h = ARENA_NEW_ARRAY(f->ev->arena, struct fold_histogram *, f->steps);
    if (g->h[k] == NULL) {
        g->h[k] = fold_histogram_new(f->ev->arena);
        if (g->count[k] > 0) /* a float came first: there will be no sum, and nothing is added */
            fold_histogram_ignore(g->h[k]);
    }
    fold_histogram_add(f->ev, g->h[k], h, op == AGGR_AVG,
                       (struct anno_at){ f->n->inner_pos, f->n->base.rank }, name);
}

static void
fold_mixed(struct fold *f, struct group *g, const struct column *c, struct str name)
{
    for (size_t k = 0; k < c->nr; k++) {
        if (!column_has(c, k))
            continue;
        if (column_histogram(c, k) == NULL)
            fold_value(f, g, k, c->v[k]);
        else
            fold_one_histogram(f, g, k, c->h[k], name);
    }
}

static bool
fold_column(void *arg, uint32_t i, const struct column *c, struct error *err)
{
    struct fold *f = arg;
    struct group *g = &f->groups[f->group_of[i]];

    if (g->count == NULL)
        group_start(f, g);
    g->drop_name |= f->n->base.args[0]->series[i].drop_name;
    if (c->h == NULL)
        fold_floats(f, g, c);
    else
        fold_mixed(f, g, c, series_name(f->ev, &f->n->base.args[0]->series[i]));
    return eval_go_on(f->ev, err);
}

/* ---- results ---- */

/* Without empty buckets, unlike a sum over time. */
static const struct histogram *
fold_aggregate_end(const struct fold *f, struct fold_histogram *g, struct anno_at at)
{
    struct histogram *h = fold_histogram_end(f->ev, g, f->n->op == AGGR_AVG, at);

    if (h != NULL)
        histogram_compact(h, 0, f->ev->arena);
    return h;
}

static double
float_result(const struct fold *f, const struct group *g, size_t k)
{
    double n = g->count[k];

    switch (f->n->op) {
    case AGGR_SUM:
        return g->sum[k] + g->c[k];
    case AGGR_AVG:
        return incremental_at(g, k) ? g->sum[k] + g->c[k] : g->sum[k] / n + g->c[k] / n;
    case AGGR_STDVAR:
        return g->sum[k] / n;
    case AGGR_STDDEV:
        return sqrt(g->sum[k] / n);
    case AGGR_COUNT:
        return n;
    case AGGR_GROUP:
        return 1;
    default:
        return g->sum[k];
    }
}

static void
histogram_result(struct fold *f, const struct group *g, size_t k, struct column *out)
{
    struct anno_at at = { f->n->inner_pos, f->n->base.rank };

    if (g->count[k] > 0) {
        anno_warn(&f->ev->annos, at, "encountered a mix of histograms and floats for aggregation");
        return;
    }
    const struct histogram *h = fold_aggregate_end(f, g->h[k], at);
    if (h == NULL)
        return;
    out->h[k] = h;
    column_mark(out, k);
}

static void
group_end(struct fold *f, const struct group *g, struct column *out)
{
    column_new(f->ev->arena, out, f->steps, g->h != NULL);
    for (size_t k = 0; k < f->steps && g->count != NULL; k++) {
        if (g->h != NULL && g->h[k] != NULL) {
            histogram_result(f, g, k, out);
        } else if (g->count[k] > 0) {
            out->v[k] = float_result(f, g, k);
            column_mark(out, k);
        }
    }
    column_count(out);
}

static bool
fold_open(struct eval *ev, struct node *n, struct error *err)
{
    struct fold f = { .ev = ev, .n = (struct aggregate_node *)n, .steps = node_steps(n) };
    uint32_t groups_nr, nr = 0;

    if (!node_open(ev, n->args[0], err))
        return false;
    f.group_of = group_series(ev, f.n, n->args[0], &n->series, &groups_nr);
    f.groups = ARENA_NEW_ARRAY(ev->arena, struct group, groups_nr);
    n->held = ARENA_NEW_ARRAY(ev->arena, struct column, groups_nr);
    if (!node_each(ev, n->args[0], fold_column, &f, err))
        return false;
    for (uint32_t g = 0; g < groups_nr; g++) {
        if (f.groups[g].count == NULL)
            continue;
        group_end(&f, &f.groups[g], &n->held[nr]);
        if (n->held[nr].present_nr == 0)
            continue;
        n->series[nr] = n->series[g];
        n->series[nr].drop_name = f.groups[g].drop_name;
        nr++;
    }
    n->series_nr = n->sources_nr = nr;
    node_tally_held(ev, n);
    return true;
}

const struct node_ops fold_ops = { fold_open, NULL };
