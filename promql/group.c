/* Groups of an aggregation: label ids kept or left out, hashed once per series. */
#include "promql/group_priv.h"

struct series
group_labels(struct eval *ev, const struct aggregate_node *n, const struct names *names,
             const struct series *s)
{
    struct series g =
        n->expr->without ? series_without(ev, s, names, true) : series_keep(ev, s, names);

    g.drop_name = false;
    return g;
}

const uint32_t *
group_series(struct eval *ev, const struct aggregate_node *n, const struct node *child,
             struct series **groups, uint32_t *groups_nr)
{
    struct names names = names_of(ev, n->expr->grouping, n->expr->grouping_nr);
    uint32_t *group_of = ARENA_NEW_ARRAY(ev->arena, uint32_t, child->series_nr);
    struct series_index x;
    bool added;

    series_index_init(&x, ev->arena);
    for (uint32_t i = 0; i < child->series_nr; i++) {
        struct arena_mark mark = arena_mark(ev->arena);
        struct series g = group_labels(ev, n, &names, &child->series[i]);

        group_of[i] = series_index_find(&x, &g);
        if (group_of[i] == UINT32_MAX)
            group_of[i] = series_index_add(&x, &g, &added);
        else
            arena_rewind(ev->arena, mark);
    }
    series_index_fini(&x);
    *groups = x.items;
    *groups_nr = x.nr;
    return group_of;
}

void
node_tally_held(struct eval *ev, struct node *n)
{
    for (uint32_t i = 0; i < n->series_nr; i++)
        tally_column(&ev->workers[0].tallies[n->id], &n->held[i]);
}
