/* Long queries in slices of the step grid. Steps do not depend on each other, so a plan that would
 * hold too much is built and run for some steps at a time, over the same selections; what each
 * slice gives is put together by labels.
 *
 * What must hold over all steps does: annotations are collected once, series of which only one
 * source may have points are remembered (eval_owns()), samples loaded are added up. The peak of
 * samples is the sum of the slices' peaks, which is what Prometheus has in memory at its end and,
 * for range functions, slightly more. */
#include "promql/engine_priv.h"

#include "base/mem.h"

/* A result while it grows. */
struct growing {
    struct series series;
    int64_t *t_ms;
    double *v;
    const struct histogram **h;
    size_t nr, cap;
};

struct gather {
    struct query_run *r;
    struct series_index index;
    struct growing *items;
    size_t nr, cap;
};

size_t
run_slices_nr(const struct query_run *r)
{
    size_t steps = node_steps(r->root), budget = r->e->options.query_bytes_max / 2;
    uint64_t bytes = plan_bytes(&r->ev, r->root);

    if (steps < 2 || bytes <= budget)
        return 1;
    return (size_t)MIN((bytes + budget - 1) / budget, (uint64_t)steps);
}

static struct growing *
growing_of(struct gather *g, const struct series *s)
{
    struct arena *keep = g->r->ev.keep;
    uint32_t at = series_index_find(&g->index, s);
    bool added;

    if (at != UINT32_MAX)
        return &g->items[at];
    struct symbol_pair *pairs = arena_alloc(keep, (s->nr + 1) * sizeof *pairs);
    if (s->nr > 0)
        memcpy(pairs, s->pairs, s->nr * sizeof *pairs);
    struct series copy = { pairs, s->nr, s->drop_name };
    series_index_add(&g->index, &copy, &added);
    MEM_GROW(g->items, g->nr + 1, &g->cap);
    g->items[g->nr] = (struct growing){ .series = copy };
    return &g->items[g->nr++];
}

static void
grow(struct growing *x, size_t more)
{
    if (x->nr + more <= x->cap)
        return;
    x->cap = MAX(x->nr + more, 2 * x->cap);
    x->t_ms = mem_realloc(x->t_ms, mem_array_bytes(x->cap, sizeof *x->t_ms));
    x->v = mem_realloc(x->v, mem_array_bytes(x->cap, sizeof *x->v));
    x->h = mem_realloc(x->h, mem_array_bytes(x->cap, sizeof *x->h));
}

static bool
gather_column(void *arg, uint32_t i, const struct column *c, struct error *err)
{
    struct gather *g = arg;
    struct growing *x = growing_of(g, &g->r->root->series[i]);

    grow(x, c->present_nr);
    for (size_t k = 0; k < c->nr; k++) {
        if (!column_has(c, k))
            continue;
        const struct histogram *h = column_histogram(c, k);
        x->t_ms[x->nr] = grid_time(&g->r->root->frame->grid, k);
        x->v[x->nr] = h == NULL ? c->v[k] : 0;
        x->h[x->nr++] = h == NULL ? NULL : histogram_keep(g->r->ev.keep, h);
    }
    return eval_go_on(&g->r->ev, err);
}

static bool
has_histogram(const struct growing *x)
{
    for (size_t i = 0; i < x->nr; i++)
        if (x->h[i] != NULL)
            return true;
    return false;
}

static void *
copied(struct arena *a, const void *p, size_t bytes)
{
    return memcpy(arena_alloc(a, bytes), p, bytes);
}

static void
gather_result(struct gather *g)
{
    struct query_run *r = g->r;
    struct arena *keep = r->ev.keep;
    struct result_series *out = ARENA_NEW_ARRAY(keep, struct result_series, g->nr);

    for (size_t i = 0; i < g->nr; i++) {
        struct growing *x = &g->items[i];

        out[i].labels = labels_copy(keep, series_text(&r->ev, &x->series, keep));
        out[i].t_ms = copied(keep, x->t_ms, x->nr * sizeof *x->t_ms);
        out[i].v = copied(keep, x->v, x->nr * sizeof *x->v);
        if (has_histogram(x))
            out[i].h = copied(keep, x->h, x->nr * sizeof *x->h);
        out[i].nr = x->nr;
    }
    run_list(r, out, g->nr);
}

static void
gather_fini(struct gather *g)
{
    for (size_t i = 0; i < g->nr; i++) {
        mem_free(g->items[i].t_ms);
        mem_free(g->items[i].v);
        mem_free(g->items[i].h);
    }
    mem_free(g->items);
    series_index_fini(&g->index);
}

/* Steps [from, to) of the query, in an arena of their own. */
static bool
run_slice(struct gather *g, struct expr *e, size_t from, size_t to, struct error *err)
{
    struct query_run *r = g->r;
    struct eval *ev = &r->ev;
    struct arena arena;

    arena_init_shared(&arena, ev->budget);
    ev->arena = &arena;
    ev->slice_start_ms = ev->start_ms + (int64_t)from * ev->step_ms;
    ev->slice_end_ms = ev->start_ms + (int64_t)(to - 1) * ev->step_ms;
    bool ok = plan_build(ev, e, &r->root, err) && node_open(ev, r->root, err) &&
              node_each(ev, r->root, gather_column, g, err) && run_account(r, from, err);
    arena_fini(&arena);
    ev->arena = ev->keep;
    return ok;
}

bool
run_slices(struct query_run *r, struct expr *e, size_t slices_nr, struct error *err)
{
    struct gather g = { .r = r };
    size_t steps = r->result->stats.steps_nr;
    bool ok = true;

    r->result->type = VALUE_MATRIX;
    series_index_init(&g.index, r->ev.keep);
    for (size_t i = 0; ok && i < slices_nr; i++)
        ok = run_slice(&g, e, i * steps / slices_nr, (i + 1) * steps / slices_nr, err);
    if (ok)
        gather_result(&g);
    gather_fini(&g);
    return ok;
}
