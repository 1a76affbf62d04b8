/* Samples as Prometheus counts them, worked out after the fact.
 *
 * Prometheus walks the syntax tree, step by step where we go series by series, and keeps one
 * number: samples in memory now. Its highest value is peakSamples and what --query.max-samples
 * limits. What it would have been follows from what each node gave out at each step, so this file
 * walks the plan in Prometheus's order and replays the number. */
#include "promql/exec_priv.h"

struct replay {
    struct eval *ev;
    uint64_t peak, loaded, read;
    uint64_t *loaded_at; /* NULL inside parts that have steps of their own */
    uint64_t *read_at;   /* NULL unless somebody asks per step */
};

static uint64_t replay_node(struct replay *r, const struct node *n, uint64_t now);

static void
raise_peak(struct replay *r, uint64_t now)
{
    r->peak = MAX(r->peak, now);
}

static uint64_t
given_at(const struct replay *r, const struct node *n, size_t k)
{
    const struct tally *t = &r->ev->tallies[node_shared(n)->id];

    if (n->type == VALUE_STRING || k >= node_steps(n))
        return 0;
    return t->full_nr + (t->at == NULL ? 0 : t->at[k]);
}

static uint64_t
weight_at(const struct replay *r, const struct node *n, size_t k)
{
    const uint64_t *heavy_at = r->ev->tallies[node_shared(n)->id].heavy_at;

    return given_at(r, n, k) + (heavy_at == NULL ? 0 : heavy_at[k]);
}

static uint64_t
given(const struct replay *r, const struct node *n)
{
    return r->ev->tallies[node_shared(n)->id].total;
}

static void
add_steps(uint64_t *into, const uint64_t *from, size_t nr)
{
    for (size_t k = 0; into != NULL && from != NULL && k < nr; k++)
        into[k] += from[k];
}

static void
add_loaded(struct replay *r, const struct node *n)
{
    const struct tally *t = &r->ev->tallies[n->id];

    r->loaded += t->loaded;
    r->read += t->read;
    add_steps(r->loaded_at, t->loaded_at, node_steps(n));
    add_steps(r->read_at, t->read_at, node_steps(n));
}

static void
add_read(struct replay *r, size_t k, uint64_t samples)
{
    r->read += samples;
    if (r->read_at != NULL)
        r->read_at[k] += samples;
}

/* Operands whole, then step by step: their points are gathered, the result is added. */
static uint64_t
replay_steps(struct replay *r, const struct node *n, uint64_t before)
{
    uint64_t now = before;

    for (uint32_t i = 0; i < n->args_nr; i++)
        if (n->args[i]->type != VALUE_STRING)
            now = replay_node(r, n->args[i], now);
    for (size_t k = 0; k < node_steps(n); k++) {
        uint64_t gathered = 0, result = weight_at(r, n, k);

        for (uint32_t i = 0; i < n->args_nr; i++)
            gathered += given_at(r, n->args[i], k);
        raise_peak(r, now + gathered + result);
        now += result;
    }
    raise_peak(r, before + given(r, n));
    return before + given(r, n);
}

static uint64_t
replay_aggregate(struct replay *r, const struct node *n, uint64_t before)
{
    uint64_t now = n->args_nr > 1 ? replay_node(r, n->args[1], before) : before;

    replay_node(r, n->args[0], now);
    raise_peak(r, before + given(r, n));
    return before + given(r, n);
}

/* Series by series: the window grows and shrinks, the results of earlier series stay. */
static uint64_t
replay_windows(struct replay *r, const struct range_node *n, uint64_t now)
{
    for (uint32_t i = 0; i < n->base.sources_nr && n->windows != NULL; i++) {
        const struct window_tally *w = &n->windows[i];

        raise_peak(r, now + w->window_max);
        now += w->out_nr;
        raise_peak(r, now + w->window_last);
    }
    return now;
}

/* What a subquery read belongs to the first step that uses it; what lies in a gap between two
 * windows to none. */
static void
merge_reads(struct replay *r, const struct range_node *n, const struct replay *sub)
{
    const struct step_grid *outer = &n->base.frame->grid, *inner = &n->inner->frame->grid;

    if (outer->nr <= 1) {
        add_read(r, 0, sub->read);
        return;
    }
    for (size_t k = 0; sub->read_at != NULL && k < inner->nr; k++) {
        int64_t t_ms = grid_time(inner, k) + n->written_offset_ms;
        size_t step = 0;

        if (t_ms > outer->start_ms)
            step = (size_t)((t_ms - outer->start_ms + outer->step_ms - 1) / outer->step_ms);
        step = MIN(step, outer->nr - 1);
        if (sub->read_at[k] > 0 && t_ms > grid_time(outer, step) - n->range_ms)
            add_read(r, step, sub->read_at[k]);
    }
}

static uint64_t
replay_range(struct replay *r, const struct node *n, uint64_t now)
{
    const struct range_node *range = (const struct range_node *)n;
    uint32_t scalars_nr = n->args_nr - (range->inner != NULL);
    uint64_t inner = 0;

    if (range->inner != NULL) {
        struct replay sub = { .ev = r->ev, .peak = r->peak };
        /* One more than the steps: a part that does not depend on the step reads at the first, also
         * where a subquery has none. */
        if (range->inner->frame->reads)
            sub.read_at = ARENA_NEW_ARRAY(r->ev->arena, uint64_t, node_steps(range->inner) + 1);
        now = replay_node(&sub, range->inner, now);
        merge_reads(r, range, &sub);
        r->peak = MAX(r->peak, sub.peak);
        inner = given(r, range->inner);
        if (range->raw)
            r->loaded += sub.loaded;
    }
    for (uint32_t i = 0; i < scalars_nr; i++)
        now = replay_node(r, n->args[i], now);
    add_loaded(r, n);
    if (range->raw && range->inner == NULL)
        now += given(r, n);
    raise_peak(r, now);
    if (range->raw)
        return now;
    now = replay_windows(r, range, now);
    return now - MIN(now, inner);
}

static uint64_t
replay_once(struct replay *r, const struct node *n, uint64_t now)
{
    struct replay sub = { .ev = r->ev, .peak = r->peak };
    size_t steps = node_steps(n);

    now = replay_node(&sub, n->args[0], now);
    r->loaded += sub.loaded * steps;
    if (steps > 0)
        add_read(r, 0, sub.read);
    for (size_t k = 0; r->loaded_at != NULL && k < steps; k++)
        r->loaded_at[k] += sub.loaded;
    now += given(r, n) - MIN(given(r, n), given(r, n->args[0]));
    r->peak = MAX(sub.peak, now);
    return now;
}

/* timestamp(selector) is worked out step by step: the samples found, then the results. */
static uint64_t
replay_timestamps(struct replay *r, const struct node *n, uint64_t before)
{
    uint64_t now = before;

    for (size_t k = 0; k < node_steps(n); k++) {
        raise_peak(r, now + 2 * given_at(r, n, k));
        now += given_at(r, n, k);
    }
    return now;
}

static uint64_t
replay_select(struct replay *r, const struct node *n, uint64_t now)
{
    add_loaded(r, n);
    if (((const struct select_node *)n)->timestamps)
        return replay_timestamps(r, n, now);
    now += given(r, n);
    raise_peak(r, now);
    return now;
}

static uint64_t
replay_node(struct replay *r, const struct node *n, uint64_t now)
{
    const struct node_ops *ops = n->ops;

    if (ops == &select_ops)
        return replay_select(r, n, now);
    if (ops == &range_ops)
        return replay_range(r, n, now);
    if (ops == &invariant_ops)
        return replay_once(r, n, now);
    if (ops == &fold_ops || ops == &topk_ops || ops == &ratio_ops || ops == &quantile_ops)
        return replay_aggregate(r, n, now);
    if (ops == &negate_ops || ops == &label_ops || ops == &absent_range_ops || ops == &rename_ops ||
        ops == &alias_ops)
        return replay_node(r, n->args[0], now);
    return replay_steps(r, n, now);
}

void
account_run(struct eval *ev, struct node *root, struct account *a)
{
    struct replay r = { .ev = ev, .loaded_at = a->loaded_at, .read_at = a->read_at };

    replay_node(&r, root, 0);
    a->peak = r.peak;
    a->loaded = r.loaded;
    a->read = r.read;
}
