/* quantile and count_values: what a group gives at a step depends on all its values at that step.
 */
#include "promql/group_priv.h"

#include <math.h>

#include "base/decimal.h"
#include "base/hash.h"
#include "model/histogram_math.h"

/* ---- quantile: the operand is held, groups are worked on in parallel ---- */

struct quantiles {
    struct node *n;
    const uint32_t *first, *members; /* series of each group */
    struct column *out;
};

static void
members_of(struct eval *ev, struct quantiles *q, const uint32_t *group_of, uint32_t groups_nr,
           uint32_t nr)
{
    uint32_t *first = ARENA_NEW_ARRAY(ev->arena, uint32_t, groups_nr + 1), *fill;
    uint32_t *members = ARENA_NEW_ARRAY(ev->arena, uint32_t, nr);

    for (uint32_t i = 0; i < nr; i++)
        first[group_of[i] + 1]++;
    for (uint32_t g = 0; g < groups_nr; g++)
        first[g + 1] += first[g];
    fill = arena_alloc(ev->arena, (groups_nr + 1) * sizeof *fill);
    memcpy(fill, first, (groups_nr + 1) * sizeof *fill);
    for (uint32_t i = 0; i < nr; i++)
        members[fill[group_of[i]]++] = i;
    q->first = first;
    q->members = members;
}

static bool
quantile_group(struct eval *ev, uint32_t g, struct worker *w, void *arg, struct error *err)
{
    struct quantiles *q = arg;
    const struct aggregate_node *a = (const struct aggregate_node *)q->n;
    struct column *out = &q->out[g];
    uint32_t nr = q->first[g + 1] - q->first[g];
    double *v = arena_alloc(&w->arena, ((size_t)nr + 1) * sizeof *v);
    struct anno_at at = { a->inner_pos, a->base.rank };

    for (size_t k = 0; k < out->nr; k++) {
        size_t n = 0;

        for (uint32_t i = 0; i < nr; i++) {
            const struct column *c = &q->n->args[0]->held[q->members[q->first[g] + i]];

            if (!column_has(c, k))
                continue;
            if (column_histogram(c, k) != NULL)
                anno_info(&ev->annos, at, "ignored histogram in quantile aggregation");
            else
                v[n++] = c->v[k];
        }
        if (n == 0)
            continue;
        quantile_sort(v, n);
        out->v[k] = quantile_sorted(a->param[k], v, n);
        column_mark(out, k);
    }
    column_count(out);
    return eval_go_on(ev, err);
}

static void
warn_quantile(struct eval *ev, struct anno_at at, double q)
{
    char text[ANNO_NUMBER_BYTES];

    anno_warn(&ev->annos, at, "quantile value should be between 0 and 1, got %s",
              anno_number(q, text));
}

static void
check_quantiles(struct eval *ev, const struct aggregate_node *a, size_t steps)
{
    struct anno_at at = { a->param_pos, a->base.rank };
    double min = INFINITY, max = -INFINITY;
    bool nan = false;

    for (size_t k = 0; k < steps; k++) {
        nan |= isnan(a->param[k]);
        min = a->param[k] < min ? a->param[k] : min;
        max = a->param[k] > max ? a->param[k] : max;
    }
    if (nan)
        warn_quantile(ev, at, NAN);
    /* Among extremes as Go takes them an infinity wins over NaN, and NaN over all else. */
    if ((!nan || max == INFINITY) && max > 1)
        warn_quantile(ev, at, max);
    if ((!nan || min == -INFINITY) && min < 0)
        warn_quantile(ev, at, min);
}

static bool
quantile_open(struct eval *ev, struct node *n, struct error *err)
{
    struct aggregate_node *a = (struct aggregate_node *)n;
    struct quantiles q = { .n = n };
    uint32_t groups_nr, nr = 0;

    if (!node_scalar(ev, n->args[1], &a->param, err) || !node_open(ev, n->args[0], err) ||
        !node_hold(ev, n->args[0], err))
        return false;
    check_quantiles(ev, a, node_steps(n));
    const uint32_t *group_of = group_series(ev, a, n->args[0], &n->series, &groups_nr);
    members_of(ev, &q, group_of, groups_nr, n->args[0]->series_nr);
    q.out = n->held = ARENA_NEW_ARRAY(ev->arena, struct column, groups_nr);
    for (uint32_t g = 0; g < groups_nr; g++)
        column_new(ev->arena, &q.out[g], node_steps(n), false);
    if (!eval_run(ev, groups_nr, quantile_group, &q, err))
        return false;
    for (uint32_t g = 0; g < groups_nr; g++) {
        if (q.out[g].present_nr == 0)
            continue;
        n->series[nr] = n->series[g];
        for (uint32_t i = q.first[g]; i < q.first[g + 1]; i++)
            n->series[nr].drop_name |= n->args[0]->series[q.members[i]].drop_name;
        n->held[nr++] = q.out[g];
    }
    n->series_nr = n->sources_nr = nr;
    node_tally_held(ev, n);
    return true;
}

const struct node_ops quantile_ops = { quantile_open, NULL };

/* ---- count_values: columns are folded into one counter per group, value and step ---- */

struct counter {
    uint32_t group;
    uint64_t bits; /* of the value, or the id of a histogram's text */
    bool histogram;
    struct series labels;
    uint32_t *count;
};

struct counting {
    struct eval *ev;
    struct aggregate_node *a;
    const uint32_t *group_of;
    struct series *groups;
    symbol_id label;
    bool ignore_value; /* without (label): values do not tell groups apart */
    size_t steps;
    struct table table;
    struct counter **items;
    size_t nr, cap;
    struct counter *last;
};

static bool
counter_is(const void *item, const void *key)
{
    const struct counter *a = item, *b = key;

    return a->group == b->group && a->bits == b->bits && a->histogram == b->histogram;
}

static symbol_id
value_symbol(struct counting *s, double v, const struct histogram *h)
{
    char text[DECIMAL_BYTES_MAX];
    struct buf b = { 0 };

    if (h == NULL)
        return eval_symbol(s->ev, (struct str){ text, decimal_format_fixed(v, text) });
    histogram_print(h, &b);
    symbol_id id = eval_symbol(s->ev, buf_as_str(&b));
    buf_fini(&b);
    return id;
}

static struct counter *
counter_of(struct counting *s, uint32_t group, double v, const struct histogram *h)
{
    struct counter key = { .group = group, .histogram = h != NULL };

    if (!s->ignore_value)
        key.bits = h != NULL ? value_symbol(s, 0, h) : isnan(v) ? NORMAL_NAN_BITS : double_bits(v);
    key.histogram &= !s->ignore_value;
    if (s->last != NULL && counter_is(s->last, &key))
        return s->last;
    uint64_t hash = hash64_mix(hash64_mix(key.bits, group), key.histogram);
    struct counter *c = table_find(&s->table, hash, counter_is, &key);
    if (c == NULL) {
        c = ARENA_NEW(s->ev->arena, struct counter);
        *c = key;
        c->labels = s->groups[group];
        if (!s->ignore_value)
            c->labels = series_set_label(s->ev, &c->labels, s->label, value_symbol(s, v, h));
        c->count = ARENA_NEW_ARRAY(s->ev->arena, uint32_t, s->steps);
        table_add(&s->table, hash, c);
        ARENA_GROW(s->ev->arena, s->items, s->nr, s->nr + 1, &s->cap);
        s->items[s->nr++] = c;
    }
    s->last = c;
    return c;
}

static bool
count_column(void *arg, uint32_t i, const struct column *c, struct error *err)
{
    struct counting *s = arg;

    for (size_t k = 0; k < c->nr; k++)
        if (column_has(c, k))
            counter_of(s, s->group_of[i], c->v[k], column_histogram(c, k))->count[k]++;
    return eval_go_on(s->ev, err);
}

static void
count_results(struct counting *s, struct node *n)
{
    n->held = ARENA_NEW_ARRAY(s->ev->arena, struct column, s->nr);
    n->series = ARENA_NEW_ARRAY(s->ev->arena, struct series, s->nr);
    n->series_nr = n->sources_nr = (uint32_t)s->nr;
    for (size_t i = 0; i < s->nr; i++) {
        struct column *c = &n->held[i];

        n->series[i] = s->items[i]->labels;
        column_new(s->ev->arena, c, s->steps, false);
        for (size_t k = 0; k < s->steps; k++) {
            if (s->items[i]->count[k] == 0)
                continue;
            c->v[k] = s->items[i]->count[k];
            column_mark(c, k);
        }
        column_count(c);
    }
}

/* The new label replaces one of the same name before the groups are made. */
static const struct node *
without_label(struct counting *s, const struct node *child)
{
    struct node *copy = ARENA_NEW(s->ev->arena, struct node);
    struct names one = { &s->label, 1 };

    *copy = *child;
    copy->series = ARENA_NEW_ARRAY(s->ev->arena, struct series, child->series_nr);
    for (uint32_t i = 0; i < child->series_nr; i++)
        copy->series[i] = series_without(s->ev, &child->series[i], &one, false);
    return copy;
}

static bool
count_values_open(struct eval *ev, struct node *n, struct error *err)
{
    struct aggregate_node *a = (struct aggregate_node *)n;
    struct str name = expr_unwrapped(a->expr->param)->string.v;
    struct counting s = { .ev = ev, .a = a, .steps = node_steps(n) };
    uint32_t groups_nr;

    if (!label_name_valid(name))
        return error_set(err, ERR_EXECUTION, "invalid label name \"%.*s\"", STR_ARG(name));
    if (!node_open(ev, n->args[0], err))
        return false;
    s.label = eval_symbol(ev, name);
    for (size_t i = 0; a->expr->without && i < a->expr->grouping_nr; i++)
        s.ignore_value |= str_eq(a->expr->grouping[i], name);
    s.ignore_value |= a->expr->without && s.label == ev->name_id;
    s.group_of = group_series(ev, a, without_label(&s, n->args[0]), &s.groups, &groups_nr);
    bool ok = node_each(ev, n->args[0], count_column, &s, err);
    table_fini(&s.table);
    if (!ok)
        return false;
    count_results(&s, n);
    node_tally_held(ev, n);
    return true;
}

const struct node_ops count_values_ops = { count_values_open, NULL };
