/* Instant vector selectors: at each step the newest sample of (t - lookback, t], unless it is a
 * stale marker. One walk over samples and steps together. timestamp(selector) gives the sample's
 * time in place of its value. */
#include "promql/range_priv.h"

static bool
select_open(struct eval *ev, struct node *n, struct error *err)
{
    struct select_node *s = (struct select_node *)n;
    const struct series_set *set = ev->selections[s->selection].set;
    struct series *series = ARENA_NEW_ARRAY(ev->arena, struct series, set->nr);

    (void)err;
    for (uint32_t i = 0; i < set->nr; i++) {
        series[i].pairs = series_pairs(set, i, &series[i].nr);
        if (s->timestamps && !s->named)
            series[i] = series_anonymous(ev, series[i]);
    }
    if (s->timestamps && !s->named) {
        node_series(ev, n, series, set->nr);
    } else {
        n->series = series;
        n->series_nr = n->sources_nr = set->nr;
    }
    return true;
}

static bool
is_end(const struct sample_buf *b, size_t i)
{
    const struct histogram *h = b->h == NULL ? NULL : b->h[i];

    return is_stale(h != NULL ? h->sum : b->v[i]);
}

/* The time that step k looks at. */
static int64_t
moment_of(const struct select_node *s, size_t k)
{
    return s->pinned ? s->pin_ms : grid_time(&s->base.frame->grid, k) - s->offset_ms;
}

/* How many of the first samples lie one in each step, the first in the step that ends at ref_ms. */
static size_t
paced_nr(const int64_t *t_ms, const double *v, size_t nr, int64_t ref_ms, int64_t step_ms)
{
    size_t i = 0;

    for (; i < nr; i++, ref_ms += step_ms)
        if (t_ms[i] > ref_ms || t_ms[i] <= ref_ms - step_ms || is_stale(v[i]))
            break;
    return i;
}

static void
mark_many(struct column *c, size_t k, size_t nr)
{
    while (nr > 0) {
        size_t bit = k % COLUMN_WORD_BITS, n = MIN(nr, COLUMN_WORD_BITS - bit);
        c->present[k / COLUMN_WORD_BITS] |= UINT64_MAX >> (COLUMN_WORD_BITS - n) << bit;
        k += n;
        nr -= n;
    }
}

/* The values of steps from k on that have one sample each, as scraping at the pace of the steps
 * gives; returns how many. The last one counts only if no second sample of its step follows. */
static size_t
fill_paced(const struct sample_buf *b, size_t next, int64_t ref_ms, int64_t step_ms, size_t k,
           struct column *out)
{
    size_t n =
        paced_nr(b->t_ms + next, b->v + next, MIN(b->nr - next, out->nr - k), ref_ms, step_ms);

    if (n > 0 && next + n < b->nr && b->t_ms[next + n] <= ref_ms + (int64_t)(n - 1) * step_ms)
        n--;
    if (n > 0)
        memcpy(out->v + k, b->v + next, n * sizeof out->v[0]);
    mark_many(out, k, n);
    return n;
}

static void
fill_floats(const struct select_node *s, const struct sample_buf *b, int64_t lookback_ms,
            struct column *out)
{
    const struct step_grid *g = &s->base.frame->grid;
    size_t next = 0; /* the first sample behind the step */
    int64_t ref_ms = moment_of(s, 0), step_ms = s->pinned ? 0 : g->step_ms;
    bool may_pace = step_ms > 0 && step_ms <= lookback_ms && !s->timestamps;

    for (size_t k = 0; k < g->nr;) {
        size_t n = may_pace ? fill_paced(b, next, ref_ms, step_ms, k, out) : 0;
        next += n;
        k += n;
        ref_ms += (int64_t)n * step_ms;
        if (k == g->nr)
            break;
        while (next < b->nr && b->t_ms[next] <= ref_ms)
            next++;
        if (next > 0 && b->t_ms[next - 1] > ref_ms - lookback_ms && !is_stale(b->v[next - 1])) {
            out->v[k] = s->timestamps ? (double)b->t_ms[next - 1] / 1000 : b->v[next - 1];
            column_mark(out, k);
        }
        k++;
        ref_ms += step_ms;
    }
}

static void
fill_mixed(const struct select_node *s, const struct sample_buf *b, int64_t lookback_ms,
           struct column *out)
{
    const struct step_grid *g = &s->base.frame->grid;
    size_t next = 0;

    for (size_t k = 0; k < g->nr; k++) {
        int64_t ref_ms = moment_of(s, k);

        while (next < b->nr && b->t_ms[next] <= ref_ms)
            next++;
        if (next == 0 || b->t_ms[next - 1] <= ref_ms - lookback_ms || is_end(b, next - 1))
            continue;
        column_mark(out, k);
        if (s->timestamps)
            out->v[k] = (double)b->t_ms[next - 1] / 1000;
        else if (b->h[next - 1] != NULL)
            out->h[k] = b->h[next - 1];
        else
            out->v[k] = b->v[next - 1];
    }
}

static uint64_t
weight_at(const struct column *c, size_t k)
{
    const struct histogram *h = column_histogram(c, k);

    return h == NULL ? 1 : histogram_weight(h);
}

static void
count_loaded(struct eval *ev, const struct select_node *s, struct worker *w, const struct column *c)
{
    struct tally *t = &w->tallies[s->base.id];

    if (c->h == NULL && !ev->per_step_stats && !s->base.frame->reads) {
        t->loaded += c->present_nr;
        t->read += c->present_nr;
        return;
    }
    for (size_t k = 0; k < c->nr; k++)
        if (column_has(c, k))
            tally_samples(ev, w, &s->base, k, weight_at(c, k), weight_at(c, k));
}

/* x smoothed: between the samples around each step. */
static bool
smoothed_source(struct eval *ev, struct select_node *s, uint32_t source, struct worker *w,
                struct column *out, struct error *err)
{
    const struct step_grid *g = &s->base.frame->grid;
    const struct series_set *set = ev->selections[s->selection].set;
    struct sample_buf *b = &w->samples;
    int64_t first_ms = g->start_ms - s->offset_ms, last_ms = grid_time(g, g->nr - 1) - s->offset_ms;
    struct series labels = { 0 };
    size_t from = 0, to = 0;

    samples_restart(b);
    if (!series_read(set, source, first_ms - ev->lookback_ms + 1, last_ms + ev->lookback_ms, b,
                     err))
        return false;
    range_drop_stale(b);
    samples_to_float(b, &w->arena);
    labels.pairs = series_pairs(set, source, &labels.nr);
    struct smoothing smoothing = {
        ev, b, series_name(ev, &labels), { s->base.pos, s->base.rank }, &w->arena
    };
    column_new(&w->arena, out, g->nr, b->h != NULL);
    for (size_t k = 0; k < g->nr; k++) {
        int64_t t_ms = grid_time(g, k) - s->offset_ms;

        while (to < b->nr && b->t_ms[to] <= t_ms + ev->lookback_ms)
            to++;
        while (from < to && b->t_ms[from] <= t_ms - ev->lookback_ms)
            from++;
        if (from < to)
            smoothed_point(&smoothing, from, to, t_ms, out, k);
    }
    column_count(out);
    return true;
}

static bool
select_source(struct eval *ev, struct node *n, uint32_t source, struct worker *w,
              struct column *out, struct error *err)
{
    struct select_node *s = (struct select_node *)n;
    const struct step_grid *g = &n->frame->grid;
    struct sample_buf *b = &w->samples;
    int64_t first_ms = moment_of(s, 0), last_ms = moment_of(s, g->nr - 1);

    if (s->sel->smoothed && !s->timestamps)
        return smoothed_source(ev, s, source, w, out, err);
    samples_restart(b);
    if (!series_read(ev->selections[s->selection].set, source,
                     first_ms - ev->lookback_ms + !s->stats_only, last_ms, b, err))
        return false;
    samples_to_float(b, &w->arena);
    if (s->stats_only)
        samples_to_stats(b, &w->arena);
    column_new(&w->arena, out, g->nr, b->h != NULL && !s->timestamps);
    if (b->h == NULL)
        fill_floats(s, b, ev->lookback_ms, out);
    else
        fill_mixed(s, b, ev->lookback_ms, out);
    column_count(out);
    count_loaded(ev, s, w, out);
    return true;
}

static bool
select_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
              struct error *err)
{
    return node_merge(ev, n, i, w, select_source, out, err);
}

const struct node_ops select_ops = { select_open, select_column };

/* timestamp() of anything but a selector: the time of the step, at points of any kind. */
static bool
timestamp_open(struct eval *ev, struct node *n, struct error *err)
{
    struct node *child = n->args[0];

    if (!node_open(ev, child, err))
        return false;
    struct series *series = ARENA_NEW_ARRAY(ev->arena, struct series, child->series_nr);
    for (uint32_t i = 0; i < child->series_nr; i++)
        series[i] = series_anonymous(ev, child->series[i]);
    node_series(ev, n, series, child->series_nr);
    return true;
}

static bool
timestamp_source(struct eval *ev, struct node *n, uint32_t source, struct worker *w,
                 struct column *out, struct error *err)
{
    struct column c;

    if (!node_column(ev, n->args[0], source, w, &c, err))
        return false;
    column_new(&w->arena, out, c.nr, false);
    out->present = c.present;
    out->present_nr = c.present_nr;
    for (size_t k = 0; k < c.nr; k++)
        out->v[k] = (double)grid_time(&n->frame->grid, k) / 1000;
    return true;
}

static bool
timestamp_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
                 struct error *err)
{
    return node_merge(ev, n, i, w, timestamp_source, out, err);
}

const struct node_ops timestamp_ops = { timestamp_open, timestamp_column };
