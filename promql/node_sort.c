/* sort, sort_desc, sort_by_label, sort_by_label_desc: the order of an instant query's result. A
 * range query's is by labels, and gets a warning. */
#include "promql/label_priv.h"

#include <math.h>
#include <stdlib.h>

struct sorter {
    struct eval *ev;
    const struct node *child;
    enum function_id fn;
    const symbol_id *labels;
    uint32_t labels_nr;
};

/* NaN last, both ways. */
static bool
value_before(const struct sorter *s, uint32_t a, uint32_t b)
{
    double x = s->child->held[a].v[0], y = s->child->held[b].v[0];

    if (isnan(x) || isnan(y))
        return !isnan(x);
    return s->fn == FN_SORT ? x < y : x > y;
}

static size_t
digits(struct str s, size_t from)
{
    size_t to = from;

    while (to < s.n && s.p[to] >= '0' && s.p[to] <= '9')
        to++;
    return to;
}

static int
number_cmp(struct str a, struct str b)
{
    while (a.n > 0 && a.p[0] == '0')
        a = str_skip(a, 1);
    while (b.n > 0 && b.p[0] == '0')
        b = str_skip(b, 1);
    return a.n != b.n ? (a.n > b.n) - (a.n < b.n) : str_cmp(a, b);
}

/* A run of digits or of anything else. */
static struct str
chunk_at(struct str s, size_t at)
{
    size_t to = digits(s, at);

    while (to == at && to < s.n)
        for (to = at + 1; to < s.n && digits(s, to) == to; to++)
            ;
    return (struct str){ s.p + at, to - at };
}

/* "a2" before "a10": runs of digits compare as numbers. */
static int
natural_cmp(struct str a, struct str b)
{
    size_t i = 0, j = 0;

    while (i < a.n && j < b.n) {
        struct str x = chunk_at(a, i), y = chunk_at(b, j);
        bool numbers = digits(x, 0) == x.n && digits(y, 0) == y.n;
        int c = numbers ? number_cmp(x, y) : str_cmp(x, y);

        if (c != 0)
            return c;
        i += x.n;
        j += y.n;
    }
    if (i < a.n || j < b.n)
        return i < a.n ? 1 : -1;
    return str_cmp(a, b);
}

static bool
label_before(const struct sorter *s, uint32_t a, uint32_t b)
{
    const struct series *x = &s->child->series[a], *y = &s->child->series[b];
    int c = 0;

    for (uint32_t i = 0; c == 0 && i < s->labels_nr; i++) {
        symbol_id p = pairs_get(x, s->labels[i]), q = pairs_get(y, s->labels[i]);
        if (p != q)
            c = natural_cmp(eval_text(s->ev, p), eval_text(s->ev, q));
    }
    if (c == 0)
        c = series_cmp(s->ev, x, y);
    return s->fn == FN_SORT_BY_LABEL ? c < 0 : c > 0;
}

static int
sorter_cmp(const void *a, const void *b, void *arg)
{
    const struct sorter *s = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    bool by_value = s->fn == FN_SORT || s->fn == FN_SORT_DESC;

    if (by_value ? value_before(s, x, y) : label_before(s, x, y))
        return -1;
    if (by_value ? value_before(s, y, x) : label_before(s, y, x))
        return 1;
    return (x > y) - (x < y);
}

static void
sort_series(struct eval *ev, struct node *n, struct sorter *s)
{
    const struct node *child = n->args[0];
    uint32_t *order = ARENA_NEW_ARRAY(ev->arena, uint32_t, child->series_nr), nr = 0;
    bool floats_only = s->fn == FN_SORT || s->fn == FN_SORT_DESC;

    for (uint32_t i = 0; i < child->series_nr; i++)
        if (child->held[i].present_nr > 0 &&
            !(floats_only && column_histogram(&child->held[i], 0) != NULL))
            order[nr++] = i;
    if (nr > 1)
        qsort_r(order, nr, sizeof *order, sorter_cmp, s);
    n->series = ARENA_NEW_ARRAY(ev->arena, struct series, nr);
    n->held = ARENA_NEW_ARRAY(ev->arena, struct column, nr);
    n->series_nr = n->sources_nr = nr;
    for (uint32_t i = 0; i < nr; i++) {
        n->series[i] = child->series[order[i]];
        n->held[i] = child->held[order[i]];
        tally_column(&ev->workers[0].tallies[n->id], &n->held[i]);
    }
}

static bool
sort_open(struct eval *ev, struct node *n, struct error *err)
{
    struct call_node *call = (struct call_node *)n;
    struct sorter s = { ev, n->args[0], call->fn, NULL, (uint32_t)call->expr->args_nr - 1 };
    symbol_id *labels = ARENA_NEW_ARRAY(ev->arena, symbol_id, s.labels_nr);

    if (!node_open(ev, n->args[0], err))
        return false;
    if (!n->frame->instant)
        anno_warn(
            &ev->annos, (struct anno_at){ n->pos, n->rank },
            "sort is ineffective for range queries since results are always ordered by labels");
    if (n->frame->grid.nr == 1) {
        for (uint32_t i = 0; i < s.labels_nr; i++)
            labels[i] = eval_symbol(ev, call_string(call, i + 1));
        s.labels = labels;
        if (!node_hold(ev, n->args[0], err))
            return false;
        sort_series(ev, n, &s);
        return true;
    }
    n->series = n->args[0]->series;
    n->series_nr = n->sources_nr = n->args[0]->series_nr;
    return true;
}

static bool
sort_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
            struct error *err)
{
    enum function_id fn = ((struct call_node *)n)->fn;
    struct column c;

    if (!node_column(ev, n->args[0], i, w, &c, err))
        return false;
    *out = c;
    if (c.h == NULL || fn == FN_SORT_BY_LABEL || fn == FN_SORT_BY_LABEL_DESC)
        return true;
    column_new(&w->arena, out, c.nr, false);
    for (size_t k = 0; k < c.nr; k++) {
        if (!column_has(&c, k) || c.h[k] != NULL)
            continue;
        out->v[k] = c.v[k];
        column_mark(out, k);
    }
    column_count(out);
    return true;
}

const struct node_ops sort_ops = { sort_open, sort_column };
