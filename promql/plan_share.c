/* Parts of a query that occur more than once are evaluated once. */
#include "promql/plan_priv.h"

#include "base/mem.h"
#include "promql/expr_same.h"

enum {
    SHARED_PARTS_MAX = 64
}; /* longer queries are machine-made; comparing all pairs would be slow */

/* A part worth evaluating once: it reads many samples for each point. */
static bool
worth_sharing(const struct expr *e)
{
    if (e->kind == EXPR_AGGREGATE)
        return true;
    for (size_t i = 0; e->kind == EXPR_CALL && i < e->call.args_nr; i++)
        if (plan_is_range(expr_unwrapped(e->call.args[i])))
            return true;
    return false;
}

static bool
same_place(const struct shared_part *a, const struct place *p)
{
    const struct step_grid *x = &a->frame->grid, *y = &p->frame->grid;

    return x->start_ms == y->start_ms && x->step_ms == y->step_ms && x->nr == y->nr &&
           a->frame->instant == p->frame->instant && a->plain == p->plain &&
           a->stats_only == (p->stats && !p->buckets);
}

/* The later of two equal parts is evaluated, since annotations show the later position; the earlier
 * one becomes its alias. */
void
plan_share(struct eval *ev, const struct place *p, const struct expr *e, struct node *n)
{
    if (!worth_sharing(e) || ev->parts_nr == SHARED_PARTS_MAX)
        return;
    for (size_t i = 0; i < ev->parts_nr; i++) {
        struct shared_part *part = &ev->parts[i];

        if (!same_place(part, p) || !expr_same(part->e, e))
            continue;
        part->node->ops = &alias_ops;
        part->node->args = ARENA_NEW_ARRAY(ev->arena, struct node *, 1);
        part->node->args[0] = n;
        part->node->args_nr = 1;
        part->node = n;
        part->e = e;
        n->uses++;
        return;
    }
    MEM_GROW(ev->parts, ev->parts_nr + 1, &ev->parts_cap);
    ev->parts[ev->parts_nr++] =
        (struct shared_part){ e, p->frame, n, p->plain, p->stats && !p->buckets };
}
