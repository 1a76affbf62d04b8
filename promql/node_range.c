/* Functions over range vectors. A series is read once, its windows (t - range, t] are found by one
 * walk, and the kernel of the function runs over all of them. The samples come from storage or, for
 * a subquery, from a column of the inner node. */
#include "promql/range_priv.h"

#include "promql/quote.h"

static bool
keeps_name(enum function_id fn)
{
    return fn == FN_LAST_OVER_TIME || fn == FN_FIRST_OVER_TIME;
}

static bool
anchored_safe(enum function_id fn)
{
    return fn == FN_RESETS || fn == FN_CHANGES || fn == FN_RATE || fn == FN_INCREASE ||
           fn == FN_DELTA;
}

static bool
modifier_fits(const struct range_node *r, struct error *err)
{
    const char *name = promql_functions[r->fn].name;

    if (r->raw || r->sel == NULL)
        return true;
    if (r->sel->anchored && !anchored_safe(r->fn))
        return error_set(err, ERR_EXECUTION,
                         "anchored modifier can only be used with: changes, delta, increase, rate, "
                         "resets - not with %s",
                         name);
    if (r->sel->smoothed && (!anchored_safe(r->fn) || r->fn == FN_RESETS || r->fn == FN_CHANGES))
        return error_set(
            err, ERR_EXECUTION,
            "smoothed modifier can only be used with: delta, increase, rate - not with %s", name);
    return true;
}

static struct series
source_series(struct eval *ev, const struct range_node *r, uint32_t i)
{
    if (r->inner != NULL)
        return r->inner->series[i];
    struct series s = { 0 };
    s.pairs = series_pairs(ev->selections[r->selection].set, i, &s.nr);
    return s;
}

static bool
range_open(struct eval *ev, struct node *n, struct error *err)
{
    struct range_node *r = (struct range_node *)n;
    uint32_t scalars_nr = n->args_nr - (r->inner != NULL);

    if (r->inner != NULL && !node_open(ev, r->inner, err))
        return false;
    for (uint32_t i = 0; i < scalars_nr; i++)
        if (!node_scalar(ev, n->args[i], &r->scalars[i], err))
            return false;
    if (!modifier_fits(r, err))
        return false;
    uint32_t nr = r->inner != NULL ? r->inner->series_nr : ev->selections[r->selection].set->nr;
    struct series *series = ARENA_NEW_ARRAY(ev->arena, struct series, nr);
    for (uint32_t i = 0; i < nr; i++) {
        series[i] = source_series(ev, r, i);
        if (!r->raw && !keeps_name(r->fn))
            series[i] = series_anonymous(ev, series[i]);
    }
    if (r->fn == FN_ABSENT_OVER_TIME ||
        r->raw) { /* which series have equal labels does not matter */
        n->series = series;
        n->series_nr = n->sources_nr = nr;
    } else {
        node_series(ev, n, series, nr);
    }
    r->windows = ARENA_NEW_ARRAY(ev->arena, struct window_tally, nr);
    return true;
}

/* ---- samples ---- */

/* A subquery may have missed a reset or show one twice: what a histogram says about resets is
 * forgotten. */
static const struct histogram *
unhinted(struct arena *a, const struct histogram *h)
{
    if (h->hint != HINT_RESET && h->hint != HINT_NOT_RESET)
        return h;
    struct histogram *copy = arena_alloc(a, sizeof *copy);
    *copy = *h;
    copy->hint = HINT_UNKNOWN;
    return copy;
}

static bool
samples_of_inner(struct eval *ev, struct range_node *r, uint32_t i, struct worker *w,
                 struct sample_buf *b, struct error *err)
{
    struct column c;

    if (!node_column(ev, r->inner, i, w, &c, err))
        return false;
    samples_restart(b);
    sample_buf_reserve(b, c.present_nr);
    for (size_t k = 0; k < c.nr; k++) {
        if (!column_has(&c, k))
            continue;
        int64_t t_ms = grid_time(&r->inner->frame->grid, k);
        if (column_histogram(&c, k) != NULL)
            sample_buf_add_histogram(b, t_ms, r->raw ? c.h[k] : unhinted(&w->arena, c.h[k]));
        else
            sample_buf_add(b, t_ms, c.v[k]);
    }
    return true;
}

void
range_drop_stale(struct sample_buf *b)
{
    size_t nr = 0;

    for (size_t i = 0; i < b->nr; i++) {
        const struct histogram *h = b->h == NULL ? NULL : b->h[i];

        if (is_stale(h != NULL ? h->sum : b->v[i]))
            continue;
        if (nr != i) {
            b->t_ms[nr] = b->t_ms[i];
            b->v[nr] = b->v[i];
            if (b->h != NULL)
                b->h[nr] = h;
        }
        nr++;
    }
    b->nr = nr;
}

/* How far samples outside the range are looked at on either side. */
static void
reach(const struct eval *ev, const struct range_node *r, int64_t *before_ms, int64_t *after_ms)
{
    *before_ms = r->sel != NULL && (r->sel->anchored || r->sel->smoothed) ? ev->lookback_ms : 0;
    *after_ms = r->sel != NULL && r->sel->smoothed ? ev->lookback_ms : 0;
}

static bool
samples_of(struct eval *ev, struct range_node *r, uint32_t i, struct worker *w,
           struct sample_buf *b, struct error *err)
{
    const struct step_grid *g = &r->base.frame->grid;
    int64_t first_ms = g->start_ms - r->offset_ms, before_ms, after_ms;
    int64_t last_ms = r->fixed ? first_ms : grid_time(g, g->nr - 1) - r->offset_ms;

    if (r->inner != NULL) {
        if (!samples_of_inner(ev, r, i, w, b, err))
            return false;
    } else {
        /* stats_only: one sample before the window says whether its first is a reset. */
        reach(ev, r, &before_ms, &after_ms);
        samples_restart(b);
        if (!series_read(ev->selections[r->selection].set, i,
                         first_ms - r->range_ms - before_ms + !r->stats_only, last_ms + after_ms, b,
                         err))
            return false;
    }
    range_drop_stale(b);
    samples_to_float(b, &w->arena);
    if (r->stats_only)
        samples_to_stats(b, &w->arena);
    return true;
}

/* ---- windows ---- */

/* Samples [lo[k], hi[k]) lie in (end - range, end] for step k. */
static void
find_windows(const struct range_node *r, const int64_t *t_ms, size_t nr, int64_t before_ms,
             int64_t after_ms, uint32_t *lo, uint32_t *hi)
{
    const struct step_grid *g = &r->base.frame->grid;
    size_t from = 0, to = 0;
    int64_t end_ms = g->start_ms - r->offset_ms;

    for (size_t k = 0; k < g->nr; k++, end_ms += r->fixed ? 0 : g->step_ms) {
        while (to < nr && t_ms[to] <= end_ms + after_ms)
            to++;
        while (from < to && t_ms[from] <= end_ms - r->range_ms - before_ms)
            from++;
        lo[k] = (uint32_t)from;
        hi[k] = r->range_ms == 0 ? (uint32_t)from : (uint32_t)to;
    }
}

static struct windows
windows_of(const struct eval *ev, const struct range_node *r, const int64_t *t_ms, const double *v,
           size_t nr, struct worker *w)
{
    const struct step_grid *g = &r->base.frame->grid;
    uint32_t *lo = arena_alloc(&w->arena, g->nr * sizeof *lo),
             *hi = arena_alloc(&w->arena, g->nr * sizeof *hi);
    struct windows x = { .t_ms = t_ms, .v = v, .samples_nr = nr, .lo = lo, .hi = hi, .nr = g->nr };
    int64_t before_ms, after_ms;

    reach(ev, r, &before_ms, &after_ms);
    find_windows(r, t_ms, nr, before_ms, after_ms, lo, hi);
    x.first_end_ms = g->start_ms - r->offset_ms;
    x.first_time_ms = g->start_ms;
    x.step_ms = g->step_ms;
    x.range_ms = r->range_ms;
    x.scalars = r->scalars;
    x.scratch = &w->arena;
    return x;
}

struct windows
range_windows(const struct eval *ev, const struct range_node *r, const int64_t *t_ms,
              const double *v, size_t nr, struct worker *w)
{
    return windows_of(ev, r, t_ms, v, nr, w);
}

/* ---- counting as Prometheus counts ---- */

static uint64_t
weight_of(const uint64_t *weight_before, uint32_t from, uint32_t to)
{
    if (to <= from)
        return 0;
    return weight_before == NULL ? to - from : weight_before[to] - weight_before[from];
}

void
range_count(struct eval *ev, struct range_node *r, uint32_t source, struct worker *w,
            const struct windows *x, const uint64_t *weight_before, const struct column *out)
{
    struct window_tally *wt = &r->windows[source];
    uint64_t most = 0, last = 0;
    uint32_t seen = 0; /* samples up to here were read for an earlier step */

    for (size_t k = 0; k < x->nr; k++) {
        uint64_t fresh = weight_of(weight_before, MAX(x->lo[k], seen), x->hi[k]);

        last = weight_of(weight_before, x->lo[k], x->hi[k]);
        most = MAX(most, last);
        tally_samples(ev, w, &r->base, k, last, r->inner != NULL ? 0 : fresh);
        seen = MAX(seen, x->hi[k]);
    }
    wt->window_max = (uint32_t)MIN(most, (uint64_t)UINT32_MAX);
    wt->window_last = (uint32_t)MIN(last, (uint64_t)UINT32_MAX);
    wt->out_nr = (uint32_t)(out->h == NULL ? out->present_nr : column_weight(out));
}

/* ---- annotations and errors ---- */

static bool
counter_like(struct str name)
{
    return str_ends(name, STR("_total")) || str_ends(name, STR("_sum")) ||
           str_ends(name, STR("_count")) || str_ends(name, STR("_bucket"));
}

struct anno_at
range_at(const struct range_node *r)
{
    return (struct anno_at){ r->arg_pos, r->base.rank };
}

void
range_anno(struct eval *ev, const struct range_node *r, bool warning, const char *what,
           struct str name)
{
    struct buf b = { 0 };

    quote(&b, name);
    if (warning)
        anno_warn(&ev->annos, range_at(r), "%s %.*s", what, STR_ARG(buf_as_str(&b)));
    else
        anno_info(&ev->annos, range_at(r), "%s %.*s", what, STR_ARG(buf_as_str(&b)));
    buf_fini(&b);
}

static bool
has_floats(const struct column *out)
{
    if (out->h == NULL)
        return out->present_nr > 0;
    for (size_t k = 0; k < out->nr; k++)
        if (column_has(out, k) && out->h[k] == NULL)
            return true;
    return false;
}

static void
warn_if_not_counter(struct eval *ev, struct range_node *r, uint32_t source,
                    const struct column *out)
{
    struct series s = source_series(ev, r, source);
    symbol_id id = pairs_get(&s, ev->name_id);

    if (id == SYMBOL_EMPTY || !has_floats(out) ||
        atomic_load_explicit(&r->warned, memory_order_relaxed) == id)
        return;
    struct str name = eval_text(ev, id);
    if (counter_like(name))
        return;
    atomic_store_explicit(&r->warned, id, memory_order_relaxed);
    range_anno(
        ev, r, false,
        "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:", name);
}

static bool
factor_fits(double x, const char *what, const char *name, struct error *err)
{
    if (!(x <= 0 || x >= 1))
        return true;
    return error_set(err, ERR_EXECUTION, "invalid %s factor. Expected: 0 < %s < 1, got: %f", what,
                     name, x);
}

static bool
arguments_fit(struct eval *ev, struct range_node *r, const struct windows *x, struct error *err)
{
    char text[ANNO_NUMBER_BYTES];

    if (r->fn != FN_QUANTILE_OVER_TIME && r->fn != FN_DOUBLE_EXPONENTIAL_SMOOTHING)
        return true;
    for (size_t k = 0; k < x->nr; k++) {
        double q = r->scalars[0][k];

        if (x->hi[k] == x->lo[k])
            continue;
        if (r->fn == FN_QUANTILE_OVER_TIME && !(q >= 0 && q <= 1))
            anno_warn(&ev->annos, range_at(r), "quantile value should be between 0 and 1, got %s",
                      anno_number(q, text));
        if (r->fn == FN_DOUBLE_EXPONENTIAL_SMOOTHING &&
            (!factor_fits(q, "smoothing", "sf", err) ||
             !factor_fits(r->scalars[1][k], "trend", "tf", err)))
            return false;
    }
    return true;
}

/* ---- columns ---- */

bool
range_floats(struct eval *ev, struct range_node *r, const struct windows *x, struct column *out,
             struct error *err)
{
    if (!arguments_fit(ev, r, x, err))
        return false;
    if (r->sel != NULL && (r->sel->anchored || r->sel->smoothed))
        range_extended(r, x, out);
    else
        range_kernel_of(r->fn)(x, out);
    return true;
}

static bool
range_source_column(struct eval *ev, struct node *n, uint32_t source, struct worker *w,
                    struct column *out, struct error *err)
{
    struct range_node *r = (struct range_node *)n;
    struct sample_buf *b = &w->samples;

    if (!samples_of(ev, r, source, w, b, err))
        return false;
    column_new(&w->arena, out, node_steps(n), b->h != NULL);
    if (b->nr == 0)
        return true;
    if (b->h != NULL) {
        struct series s = source_series(ev, r, source);
        if (!range_mixed(ev, r, source, series_name(ev, &s), w, b, out, err))
            return false;
    } else {
        struct windows x = windows_of(ev, r, b->t_ms, b->v, b->nr, w);
        if (!range_floats(ev, r, &x, out, err))
            return false;
        column_count(out);
        range_count(ev, r, source, w, &x, NULL, out);
    }
    if (r->fn == FN_RATE || r->fn == FN_INCREASE)
        warn_if_not_counter(ev, r, source, out);
    return true;
}

/* Two sources of one series with points are an error here even when they are never there at the
 * same step. */
static bool
range_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
             struct error *err)
{
    struct range_node *r = (struct range_node *)n;

    if (n->first == NULL)
        return range_source_column(ev, n, i, w, out, err);
    if (!node_merge(ev, n, i, w, range_source_column, out, err))
        return false;
    for (uint32_t k = n->first[i]; !ev->delayed_names && k < n->first[i + 1]; k++)
        if (r->windows[n->sources[k]].out_nr > 0 && !eval_owns(ev, n, i, n->sources[k]))
            return error_same_labels(err);
    return true;
}

const struct node_ops range_ops = { range_open, range_column };

bool
range_raw(struct eval *ev, struct range_node *r, uint32_t i, struct worker *w,
          struct sample_buf *out, struct error *err)
{
    uint64_t weight = 0;

    if (!samples_of(ev, r, i, w, out, err))
        return false;
    if (r->inner != NULL)
        return true;
    if (r->range_ms == 0)
        out->nr = 0;
    if (range_is_extended(r)) {
        int64_t end_ms = r->base.frame->grid.start_ms - r->offset_ms;

        if (out->h != NULL)
            return error_set(err, ERR_EXECUTION, "%s modifier is not supported with histograms",
                             r->sel->anchored ? "anchored" : "smoothed");
        range_extend_raw(r, out, end_ms - r->range_ms, end_ms);
    }
    for (size_t k = 0; k < out->nr; k++)
        weight += out->h != NULL && out->h[k] != NULL ? histogram_weight(out->h[k]) : 1;
    tally_samples(ev, w, &r->base, 0, weight, weight);
    w->tallies[r->base.id].total += weight;
    return true;
}
