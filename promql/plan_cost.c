/* What running a plan holds in memory, before it runs. */
#include "promql/plan_priv.h"

enum {
    FOLD_BYTES = 28,  /* sum, compensation, count, result */
    COLUMN_BYTES = 9, /* value and presence */
    HEAP_BYTES = 24
};

/* At most so many series, and what is held to make them. */
struct cost {
    uint64_t series_nr, bytes;
};

static struct cost cost_of(const struct eval *ev, const struct node *n);

static struct cost
cost_of_children(const struct eval *ev, const struct node *n)
{
    struct cost sum = { 0, 0 };

    for (uint32_t i = 0; i < n->args_nr; i++) {
        struct cost c = cost_of(ev, n->args[i]);

        sum.bytes += c.bytes;
        sum.series_nr =
            n->ops == &set_ops ? sum.series_nr + c.series_nr : MAX(sum.series_nr, c.series_nr);
    }
    return sum;
}

static uint64_t
selected(const struct eval *ev, uint32_t selection)
{
    const struct series_set *set = ev->selections[selection].set;

    return set == NULL ? 0 : set->nr;
}

static struct cost
cost_of(const struct eval *ev, const struct node *n)
{
    struct cost c = cost_of_children(ev, n);
    uint64_t steps = node_steps(n);

    if (n->ops == &select_ops)
        c.series_nr = selected(ev, ((const struct select_node *)n)->selection);
    else if (n->ops == &range_ops && ((const struct range_node *)n)->inner == NULL)
        c.series_nr = selected(ev, ((const struct range_node *)n)->selection);
    if (n->ops == &fold_ops) {
        const struct aggregate_expr *a = ((const struct aggregate_node *)n)->expr;

        c.series_nr =
            a->grouping_nr == 0 && !a->without ? MIN(c.series_nr, (uint64_t)1) : c.series_nr;
        c.bytes += c.series_nr * steps * FOLD_BYTES;
    } else if (n->ops == &topk_ops) {
        c.bytes += c.series_nr * steps * HEAP_BYTES;
    } else if (n->ops == &join_ops || n->ops == &set_ops || n->ops == &quantile_ops ||
               n->ops == &count_values_ops || n->ops == &alias_ops) {
        c.bytes += c.series_nr * steps * COLUMN_BYTES;
    }
    return c;
}

uint64_t
plan_bytes(const struct eval *ev, const struct node *root)
{
    return cost_of(ev, root).bytes;
}
