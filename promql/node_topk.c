/* topk, bottomk, limitk: the k best (first) series of each group at each step. Step-blocked: one
 * heap per group and step, so memory is groups x steps x k however many series flow past, and
 * nothing of the operand is held. The heap moves as Go's container/heap, which decides between
 * equal values. limit_ratio looks at labels alone and streams. */
#include "promql/group_priv.h"

#include <inttypes.h>
#include <math.h>

struct entry {
    double v;
    const struct histogram *h;
    uint32_t series;
};

struct heap {
    struct entry *e;
    uint32_t nr, cap;
};

struct topk {
    struct eval *ev;
    struct aggregate_node *n;
    const uint32_t *group_of;
    struct heap *heaps; /* groups x steps */
    uint32_t groups_nr;
    size_t steps;
    const int64_t *k; /* per step; below 1: nothing */
};

static bool
less(enum aggregate_op op, const struct entry *a, const struct entry *b)
{
    if (isnan(a->v))
        return true;
    return op == AGGR_BOTTOMK ? a->v > b->v : a->v < b->v;
}

static void
swap(struct entry *a, struct entry *b)
{
    struct entry x = *a;

    *a = *b;
    *b = x;
}

static void
heap_up(enum aggregate_op op, struct heap *h, uint32_t j)
{
    while (j > 0) {
        uint32_t i = (j - 1) / 2;

        if (i == j || !less(op, &h->e[j], &h->e[i]))
            break;
        swap(&h->e[i], &h->e[j]);
        j = i;
    }
}

static void
heap_down(enum aggregate_op op, struct heap *h, uint32_t i)
{
    for (uint32_t child; (child = 2 * i + 1) < h->nr; i = child) {
        if (child + 1 < h->nr && less(op, &h->e[child + 1], &h->e[child]))
            child++;
        if (!less(op, &h->e[child], &h->e[i]))
            break;
        swap(&h->e[i], &h->e[child]);
    }
}

static void
heap_push(struct topk *t, struct heap *h, struct entry e)
{
    if (h->nr == h->cap) {
        size_t cap = h->cap;
        ARENA_GROW(t->ev->arena, h->e, h->nr, h->nr + 1, &cap);
        h->cap = (uint32_t)cap;
    }
    h->e[h->nr++] = e;
    /* bottomk's first push and limitk's all go through the heap for ascending values, as in
     * Prometheus. */
    heap_up(t->n->op == AGGR_BOTTOMK && h->nr > 1 ? AGGR_BOTTOMK : AGGR_TOPK, h, h->nr - 1);
}

static void
offer(struct topk *t, struct heap *h, int64_t k, struct entry e)
{
    enum aggregate_op op = t->n->op;

    if (h->nr < k) {
        heap_push(t, h, e);
        return;
    }
    if (op == AGGR_LIMITK)
        return;
    const struct entry *worst = &h->e[0];
    bool better = op == AGGR_TOPK ? worst->v < e.v : worst->v > e.v;
    if (better || (isnan(worst->v) && !isnan(e.v))) {
        h->e[0] = e;
        if (k > 1)
            heap_down(op, h, 0);
    }
}

static void
ignored(struct topk *t)
{
    struct anno_at at = { t->n->base.pos, t->n->base.rank };

    anno_info(&t->ev->annos, at, "ignored histogram in %s aggregation",
              promql_aggregates[t->n->op].name);
}

static bool
topk_column(void *arg, uint32_t i, const struct column *c, struct error *err)
{
    struct topk *t = arg;
    struct heap *heaps = &t->heaps[(size_t)t->group_of[i] * t->steps];

    for (size_t k = 0; k < c->nr; k++) {
        if (!column_has(c, k) || t->k[k] < 1)
            continue;
        const struct histogram *h = column_histogram(c, k);
        if (h != NULL && t->n->op != AGGR_LIMITK)
            ignored(t);
        else if (h == NULL || heaps[k].nr < t->k[k])
            offer(t, &heaps[k], t->k[k],
                  (struct entry){ h == NULL ? c->v[k] : 0,
                                  h == NULL ? NULL : histogram_keep(t->ev->arena, h), i });
    }
    return eval_go_on(t->ev, err);
}

/* ---- results ---- */

/* Best first; a stable sort. */
static void
sort_entries(enum aggregate_op op, struct entry *e, uint32_t nr, struct entry *tmp)
{
    if (nr < 2)
        return;
    uint32_t half = nr / 2, a = 0, b = half, n = 0;
    sort_entries(op, e, half, tmp);
    sort_entries(op, e + half, nr - half, tmp);
    while (a < half || b < nr)
        tmp[n++] = b == nr || (a < half && !(less(op, &e[a], &e[b]) && !less(op, &e[b], &e[a])))
                       ? e[a++]
                       : e[b++];
    memcpy(e, tmp, nr * sizeof *e);
}

static void
put_entry(struct topk *t, struct node *n, uint32_t *out_of, const struct entry *e, size_t k)
{
    struct column *c;

    if (out_of[e->series] == UINT32_MAX) {
        out_of[e->series] = n->series_nr;
        n->series[n->series_nr] = n->args[0]->series[e->series];
        column_new(t->ev->arena, &n->held[n->series_nr++], t->steps, false);
    }
    c = &n->held[out_of[e->series]];
    if (e->h != NULL && c->h == NULL)
        c->h = ARENA_NEW_ARRAY(t->ev->arena, const struct histogram *, c->nr);
    column_mark(c, k);
    c->v[k] = e->v;
    if (c->h != NULL)
        c->h[k] = e->h;
    c->present_nr++;
}

/* In the order of an instant query: group by group, best first. */
static void
topk_results(struct topk *t, struct node *n)
{
    uint32_t child_nr = n->args[0]->series_nr, most = 0;
    uint32_t *out_of = arena_alloc(t->ev->arena, arena_array_bytes(child_nr, sizeof *out_of));

    memset(out_of, 0xff, child_nr * sizeof *out_of);
    n->series = ARENA_NEW_ARRAY(t->ev->arena, struct series, child_nr);
    n->held = ARENA_NEW_ARRAY(t->ev->arena, struct column, child_nr);
    for (size_t i = 0; i < (size_t)t->groups_nr * t->steps; i++)
        most = MAX(most, t->heaps[i].nr);
    struct entry *tmp = arena_alloc(t->ev->arena, ((size_t)most + 1) * sizeof *tmp);
    for (size_t i = 0; i < (size_t)t->groups_nr * t->steps; i++) {
        struct heap *h = &t->heaps[i];

        if (t->n->op != AGGR_LIMITK)
            sort_entries(t->n->op, h->e, h->nr, tmp);
        for (uint32_t e = 0; e < h->nr; e++)
            put_entry(t, n, out_of, &h->e[e], i % t->steps);
    }
    n->sources_nr = n->series_nr;
}

/* ---- k ---- */

struct span {
    double min, max;
    bool nan;
};

static struct span
span_of(const double *v, size_t nr)
{
    struct span s = { 1.7976931348623157e308, -1.7976931348623157e308, false };

    for (size_t k = 0; k < nr; k++) {
        s.nan |= isnan(v[k]);
        s.max = isnan(v[k]) || isnan(s.max) ? NAN : MAX(s.max, v[k]);
        s.min = isnan(v[k]) || isnan(s.min) ? NAN : MIN(s.min, v[k]);
    }
    return s;
}

/* False with an error, or with *nothing when no step wants any series. */
static bool
check_k(const struct span *s, bool *nothing, struct error *err)
{
    char text[ANNO_NUMBER_BYTES];

    *nothing = s->max < 1;
    if (*nothing)
        return true;
    if (s->nan)
        return error_set(err, ERR_EXECUTION, "Parameter value is NaN");
    if (s->min <= -9223372036854775808.0)
        return error_set(err, ERR_EXECUTION, "Scalar value %s underflows int64",
                         anno_number(s->min, text));
    if (s->max >= 9223372036854775808.0)
        return error_set(err, ERR_EXECUTION, "Scalar value %s overflows int64",
                         anno_number(s->max, text));
    return true;
}

static bool
drop_column(void *arg, uint32_t i, const struct column *c, struct error *err)
{
    (void)arg;
    (void)i;
    (void)c;
    (void)err;
    return true;
}

static bool
nothing_wanted(struct eval *ev, struct node *n, struct error *err)
{
    n->series_nr = n->sources_nr = 0;
    n->held = ARENA_NEW_ARRAY(ev->arena, struct column, 1);
    return node_each(ev, n->args[0], drop_column, NULL, err);
}

static bool
topk_open(struct eval *ev, struct node *n, struct error *err)
{
    struct topk t = { .ev = ev, .n = (struct aggregate_node *)n, .steps = node_steps(n) };
    bool nothing;
    struct series *groups;

    if (!node_scalar(ev, n->args[1], &t.n->param, err) || !node_open(ev, n->args[0], err))
        return false;
    struct span span = span_of(t.n->param, t.steps);
    if (!check_k(&span, &nothing, err))
        return false;
    if (nothing)
        return nothing_wanted(ev, n, err);
    int64_t *k = ARENA_NEW_ARRAY(ev->arena, int64_t, t.steps);
    for (size_t i = 0; i < t.steps; i++)
        k[i] = MIN((int64_t)t.n->param[i], (int64_t)n->args[0]->series_nr);
    t.k = k;
    t.group_of = group_series(ev, t.n, n->args[0], &groups, &t.groups_nr);
    t.heaps = ARENA_NEW_ARRAY(ev->arena, struct heap, (size_t)t.groups_nr * t.steps);
    if (!node_each(ev, n->args[0], topk_column, &t, err))
        return false;
    topk_results(&t, n);
    node_tally_held(ev, n);
    return true;
}

const struct node_ops topk_ops = { topk_open, NULL };

/* ---- limit_ratio ---- */

static void
ratio_warnings(struct eval *ev, const struct aggregate_node *a, const struct span *s)
{
    struct anno_at at = { a->param_pos, a->base.rank };
    char text[ANNO_NUMBER_BYTES];

    if (s->max > 1)
        anno_warn(&ev->annos, at, "ratio value should be between -1 and 1, got %s, capping to 1",
                  anno_number(s->max, text));
    if (s->min < -1)
        anno_warn(&ev->annos, at, "ratio value should be between -1 and 1, got %s, capping to -1",
                  anno_number(s->min, text));
}

static bool
ratio_open(struct eval *ev, struct node *n, struct error *err)
{
    struct aggregate_node *a = (struct aggregate_node *)n;

    if (!node_scalar(ev, n->args[1], &a->param, err) || !node_open(ev, n->args[0], err))
        return false;
    struct span s = span_of(a->param, node_steps(n));
    if (s.max == 0 && s.min == 0)
        return nothing_wanted(ev, n, err);
    if (s.nan)
        return error_set(err, ERR_EXECUTION, "Ratio value is NaN");
    ratio_warnings(ev, a, &s);
    n->series = n->args[0]->series;
    n->series_nr = n->sources_nr = n->args[0]->series_nr;
    return true;
}

static bool
ratio_takes(double r, double offset)
{
    r = MAX(-1.0, MIN(1.0, r));
    return (r >= 0 && offset < r) || (r < 0 && offset >= 1 + r);
}

static bool
ratio_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
             struct error *err)
{
    const struct aggregate_node *a = (struct aggregate_node *)n;
    double offset =
        (double)labels_hash(series_text(ev, &n->series[i], &w->arena)) / 18446744073709551616.0;
    struct column c;

    if (!node_column(ev, n->args[0], i, w, &c, err))
        return false;
    *out = c;
    out->present = ARENA_NEW_ARRAY(&w->arena, uint64_t, COLUMN_WORDS(c.nr));
    for (size_t k = 0; k < c.nr; k++)
        if (column_has(&c, k) && a->param[k] != 0 && ratio_takes(a->param[k], offset))
            column_mark(out, k);
    column_count(out);
    return true;
}

const struct node_ops ratio_ops = { ratio_open, ratio_column };
