#include "promql/match_priv.h"

struct series
match_labels(struct eval *ev, const struct match *m, const struct series *s)
{
    return m->m->on ? series_keep(ev, s, &m->names) : series_without(ev, s, &m->names, true);
}

static uint32_t *
number(struct eval *ev, const struct match *m, const struct node *n, struct series_index *x)
{
    uint32_t *group_of = ARENA_NEW_ARRAY(ev->arena, uint32_t, n->series_nr);
    bool added;

    for (uint32_t i = 0; i < n->series_nr; i++) {
        struct arena_mark mark = arena_mark(ev->arena);
        struct series s = match_labels(ev, m, &n->series[i]);

        group_of[i] = series_index_find(x, &s);
        if (group_of[i] == UINT32_MAX)
            group_of[i] = series_index_add(x, &s, &added);
        else
            arena_rewind(ev->arena, mark);
    }
    return group_of;
}

struct match *
match_new(struct eval *ev, const struct vector_matching *matching, const struct node *left,
          const struct node *right)
{
    struct match *m = ARENA_NEW(ev->arena, struct match);
    struct series_index x;

    m->m = matching;
    m->names = names_of(ev, matching->labels, matching->labels_nr);
    series_index_init(&x, ev->arena);
    m->group_of[0] = number(ev, m, left, &x);
    m->group_of[1] = number(ev, m, right, &x);
    m->groups_nr = x.nr;
    series_index_fini(&x);
    return m;
}
