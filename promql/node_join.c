/* Arithmetic and comparison between two vectors.
 *
 * The "one" side is held (right, or left with group_right). When every match group has at most one
 * series there, and no two results could carry the same labels, no step needs to know of another
 * series: the "many" side streams (node_join.c). All else goes through join_slow.c, which takes the
 * columns of the "many" side one by one and checks duplicates step by step. */
#include "promql/join_priv.h"

#include "promql/quote.h"

struct series
join_labels(struct eval *ev, const struct join *j, const struct series *many,
            const struct series *one)
{
    const struct vector_matching *m = j->match->m;
    struct series s = *many;

    if (binary_changes_meaning(j->n->op) || (j->n->return_bool && !ev->delayed_names))
        s = series_nameless(ev, s);
    if (m->card == CARD_ONE_TO_ONE)
        s = m->on ? series_keep(ev, &s, &j->match->names)
                  : series_without(ev, &s, &j->match->names, false);
    for (uint32_t i = 0; i < j->include.nr && one != NULL; i++)
        s = series_set_label(ev, &s, j->include.v[i], pairs_get(one, j->include.v[i]));
    s.drop_name = j->n->return_bool;
    return s;
}

static void
keep_note(const struct join *j, const struct join_pair *p, enum binary_note note)
{
    uint64_t mine = (p->order + 1) << 8 | note;
    uint64_t there = atomic_load_explicit(&j->notes[p->k], memory_order_relaxed);

    while (there < mine && !atomic_compare_exchange_weak(&j->notes[p->k], &there, mine))
        ;
}

void
joins_tell(struct eval *ev)
{
    for (const struct join *j = ev->joins; j != NULL; j = j->next) {
        struct anno_at at = { j->n->base.pos, j->n->base.rank };
        uint32_t told = 0;

        for (size_t k = 0; k < node_steps(&j->n->base); k++) {
            enum binary_note note = (enum binary_note)(j->notes[k] & 0xff);

            if ((told >> note & 1) == 0)
                binary_tell(ev, j->n->op, note, at);
            told |= UINT32_C(1) << note;
        }
    }
    ev->joins = NULL;
}

bool
join_point(const struct join *j, const struct join_pair *p, struct arena *a,
           struct binary_value *out, bool *keep)
{
    enum binary_note note;
    bool ok = binary_point(j->n->op, j->swapped ? p->one : p->many, j->swapped ? p->many : p->one,
                           a, out, keep, &note);

    if (note != BINARY_QUIET)
        keep_note(j, p, note);
    if (!ok)
        return false;
    if (j->n->return_bool)
        *out = (struct binary_value){ *keep, NULL };
    *keep |= j->n->return_bool;
    return true;
}

/* The only series of each group on the "one" side; false when a group has several. */
static bool
single_ones(struct eval *ev, struct join *j)
{
    const uint32_t *group_of = j->match->group_of[!j->many_side];

    j->one_of = arena_alloc(ev->arena, arena_array_bytes(j->match->groups_nr, sizeof *j->one_of));
    for (uint32_t g = 0; g < j->match->groups_nr; g++)
        j->one_of[g] = NO_SERIES;
    for (uint32_t i = 0; i < j->one->series_nr; i++) {
        if (j->one_of[group_of[i]] != NO_SERIES)
            return false;
        j->one_of[group_of[i]] = i;
    }
    return true;
}

/* True when no two series of the "many" side can meet in one result. */
static bool
distinct_results(struct eval *ev, struct join *j, struct series *out)
{
    const uint32_t *group_of = j->match->group_of[j->many_side];
    uint8_t *taken = ARENA_NEW_ARRAY(ev->arena, uint8_t, j->match->groups_nr);
    struct series_index x;
    bool added = true;

    series_index_init(&x, ev->arena);
    table_reserve(&x.table, j->many->series_nr);
    for (uint32_t i = 0; added && i < j->many->series_nr; i++) {
        uint32_t one = j->one_of[group_of[i]];

        out[i] =
            join_labels(ev, j, &j->many->series[i], one == NO_SERIES ? NULL : &j->one->series[one]);
        if (one == NO_SERIES)
            continue;
        series_index_add(&x, &out[i], &added);
        added &= j->match->m->card != CARD_ONE_TO_ONE || !taken[group_of[i]];
        taken[group_of[i]] = 1;
    }
    series_index_fini(&x);
    return added;
}

static bool
join_open(struct eval *ev, struct node *n, struct error *err)
{
    struct binary_node *b = (struct binary_node *)n;
    const struct vector_matching *m = b->expr->matching;
    struct join *j = ARENA_NEW(ev->arena, struct join);

    b->join = j;
    j->notes = ARENA_NEW_ARRAY(ev->arena, _Atomic uint64_t, node_steps(n) + 1);
    j->next = ev->joins;
    ev->joins = j;
    j->n = b;
    j->swapped = m->card == CARD_ONE_TO_MANY;
    j->many_side = j->swapped;
    j->many = n->args[j->many_side];
    j->one = n->args[!j->many_side];
    if (!node_open(ev, n->args[0], err) || !node_open(ev, n->args[1], err) ||
        !node_hold(ev, j->one, err))
        return false;
    j->match = match_new(ev, m, n->args[0], n->args[1]);
    j->include = names_of(ev, m->include, m->include_nr);
    struct series *series = ARENA_NEW_ARRAY(ev->arena, struct series, j->many->series_nr);
    if (m->has_fill_left || m->has_fill_right || !single_ones(ev, j) ||
        !distinct_results(ev, j, series))
        return join_slow(ev, n, j, err);
    n->series = series;
    n->series_nr = n->sources_nr = j->many->series_nr;
    return true;
}

static bool
join_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
            struct error *err)
{
    const struct join *j = ((struct binary_node *)n)->join;
    uint32_t one = j->one_of[j->match->group_of[j->many_side][i]];
    struct column many;

    if (!node_column(ev, j->many, i, w, &many, err))
        return false;
    const struct column *o = one == NO_SERIES ? NULL : &j->one->held[one];
    column_new(&w->arena, out, many.nr, many.h != NULL || (o != NULL && o->h != NULL));
    if (o == NULL ||
        binary_arithmetic(j->n->op, j->swapped ? o : &many, j->swapped ? &many : o, out))
        return true;
    for (size_t k = 0; k < many.nr; k++) {
        struct binary_value x;
        bool keep = false;

        if (!column_has(&many, k) || !column_has(o, k))
            continue;
        struct join_pair p = { column_value(&many, k), column_value(o, k), k, i };
        if (!join_point(j, &p, &w->arena, &x, &keep) || !keep)
            continue;
        column_mark(out, k);
        out->v[k] = x.v;
        if (out->h != NULL)
            out->h[k] = x.h;
    }
    column_count(out);
    return true;
}

const struct node_ops join_ops = { join_open, join_column };
