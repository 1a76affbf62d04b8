/* absent and absent_over_time: folding to one bit per step. The labels are those that the selector
 * fixes by "=". */
#include "promql/exec_priv.h"

struct presence {
    uint64_t *any;
};

static bool
any_column(void *arg, uint32_t i, const struct column *c, struct error *err)
{
    struct presence *p = arg;

    (void)i;
    (void)err;
    for (size_t w = 0; w < COLUMN_WORDS(c->nr); w++)
        p->any[w] |= c->present[w];
    return true;
}

static const struct selector_expr *
selector_of(struct eval *ev, const struct call_node *n)
{
    struct expr *e = expr_unwrapped(n->expr->args[0]);

    (void)ev;
    if (e->kind == EXPR_MATRIX)
        return &e->matrix.selector->selector;
    /* What was evaluated once for all steps is no selector any more. */
    return e->kind == EXPR_SELECTOR && n->base.args[0]->ops != &invariant_ops ? &e->selector : NULL;
}

/* True for a condition that only takes series away from what others select. */
static bool
subtracts(const struct selector_expr *sel, const struct matcher *m)
{
    bool must_be_set = false;

    for (size_t i = 0; i < sel->matchers_nr; i++)
        must_be_set |=
            str_eq(sel->matchers[i].name, m->name) && !matcher_matches_empty(&sel->matchers[i]);
    return !must_be_set ||
           ((m->type == MATCH_NE || m->type == MATCH_NRE) && matcher_matches_empty(m));
}

/* A label that is fixed twice, or fixed and then asked for otherwise, is left out. Conditions that
 * only take away come last, wherever they are written: Prometheus's storage sorts them so before
 * absent() looks. */
static struct series
fixed_labels(struct eval *ev, const struct selector_expr *sel)
{
    struct series s = { 0 };
    struct names seen = { ARENA_NEW_ARRAY(ev->arena, symbol_id, sel->matchers_nr), 0 };

    for (size_t k = 0; k < 2 * sel->matchers_nr; k++) {
        size_t i = k % sel->matchers_nr;
        const struct matcher *m = &sel->matchers[i];
        symbol_id name = eval_symbol(ev, m->name);

        if (str_eq(m->name, LABEL_NAME) || subtracts(sel, m) != (k >= sel->matchers_nr))
            continue;
        if (m->type == MATCH_EQ && !names_has(&seen, name)) {
            s = series_set_label(ev, &s, name, eval_symbol(ev, m->value));
            seen.v[seen.nr++] = name;
        } else {
            s = series_set_label(ev, &s, name, SYMBOL_EMPTY);
        }
    }
    return s;
}

static bool
absent_open(struct eval *ev, struct node *n, struct error *err)
{
    const struct selector_expr *sel = selector_of(ev, (struct call_node *)n);
    struct presence p = { ARENA_NEW_ARRAY(ev->arena, uint64_t, COLUMN_WORDS(node_steps(n))) };
    struct column *c = ARENA_NEW(ev->arena, struct column);

    if (!node_open(ev, n->args[0], err) || !node_each(ev, n->args[0], any_column, &p, err))
        return false;
    column_new(ev->arena, c, node_steps(n), false);
    for (size_t k = 0; k < c->nr; k++) {
        c->v[k] = 1;
        if ((p.any[k / 64] >> (k % 64) & 1) == 0)
            column_mark(c, k);
    }
    column_count(c);
    n->series = ARENA_NEW(ev->arena, struct series);
    if (sel != NULL)
        *n->series = fixed_labels(ev, sel);
    n->series_nr = n->sources_nr = 1;
    n->held = c;
    tally_column(&ev->workers[0].tallies[n->id], c);
    return true;
}

const struct node_ops absent_ops = { absent_open, NULL };
const struct node_ops absent_range_ops = { absent_open, NULL };
