/* histogram_quantile, histogram_quantiles, histogram_fraction.
 *
 * Series that differ in "le" alone are one classic histogram; the series without "le" may be a
 * native one. A group's columns are computed when its result is asked for, in the order of the
 * bounds, which is the same at every step. Where a step has both kinds there is no result. */
#include "promql/label_priv.h"

#include <math.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "promql/quantile.h"
#include "promql/quote.h"

struct member {
    double bound;
    uint32_t series;
};

struct bucket_group {
    struct series labels;
    uint32_t first, nr; /* members, in order of their bounds */
    uint32_t native;    /* the series without "le", or NO_SERIES */
};
#define NO_SERIES UINT32_MAX

/* One result: a group, and for several quantiles which. */
struct bucket_out {
    uint32_t group, scalar;
    double q; /* of several quantiles */
};

struct bucket_state {
    struct node *input;
    struct anno_at at;
    struct member *members;
    struct bucket_group *groups;
    struct bucket_out *outs;
    uint32_t groups_nr;
    bool several; /* histogram_quantiles */
    const double **scalars;
    uint32_t scalars_nr;
};

static struct pos_range
arg_place(const struct call_node *n, uint32_t i)
{
    return i < ARRAY_LEN(n->arg_pos) ? n->arg_pos[i] : expr_unwrapped(n->expr->args[i])->pos;
}

/* ---- groups ---- */

static int
member_cmp(const void *a, const void *b)
{
    const struct member *x = a, *y = b;

    if (x->bound != y->bound)
        return x->bound < y->bound ? -1 : 1;
    return (x->series > y->series) - (x->series < y->series);
}

/* The group of each series, without "le"; *bounds gets NaN for those that cannot be a bucket. */
static uint32_t *
group_input(struct eval *ev, struct bucket_state *b, struct series_index *x, double *bounds)
{
    uint32_t *group_of = ARENA_NEW_ARRAY(ev->arena, uint32_t, b->input->series_nr);
    struct names le = { &ev->le_id, ev->le_id != SYMBOL_NONE };
    bool added;

    for (uint32_t i = 0; i < b->input->series_nr; i++) {
        struct arena_mark mark = arena_mark(ev->arena);
        const struct series *s = &b->input->series[i];
        struct series g = series_without(ev, s, &le, false);

        bounds[i] = NAN;
        if (!decimal_parse_go(eval_text(ev, pairs_get(s, ev->le_id)), &bounds[i]))
            bounds[i] = NAN;
        group_of[i] = series_index_find(x, &g);
        if (group_of[i] == UINT32_MAX)
            group_of[i] = series_index_add(x, &g, &added);
        else
            arena_rewind(ev->arena, mark);
    }
    return group_of;
}

static void
fill_groups(struct eval *ev, struct bucket_state *b, const uint32_t *group_of, const double *bounds)
{
    uint32_t nr = b->input->series_nr, at = 0;

    b->members = ARENA_NEW_ARRAY(ev->arena, struct member, nr);
    for (uint32_t i = 0; i < nr; i++) {
        struct bucket_group *g = &b->groups[group_of[i]];
        bool has_le =
            ev->le_id != SYMBOL_NONE && pairs_get(&b->input->series[i], ev->le_id) != SYMBOL_EMPTY;

        if (has_le)
            g->nr++;
        else
            g->native = i;
    }
    for (uint32_t g = 0; g < b->groups_nr; at += b->groups[g++].nr)
        b->groups[g].first = at;
    for (uint32_t g = 0; g < b->groups_nr; g++)
        b->groups[g].nr = 0;
    for (uint32_t i = 0; i < nr; i++) {
        struct bucket_group *g = &b->groups[group_of[i]];

        if (g->native != i)
            b->members[g->first + g->nr++] = (struct member){ bounds[i], i };
    }
    for (uint32_t g = 0; g < b->groups_nr; g++)
        if (b->groups[g].nr > 1)
            qsort(&b->members[b->groups[g].first], b->groups[g].nr, sizeof *b->members, member_cmp);
}

static void
group_buckets(struct eval *ev, struct bucket_state *b)
{
    double *bounds = ARENA_NEW_ARRAY(ev->arena, double, b->input->series_nr);
    struct series_index x;

    series_index_init(&x, ev->arena);
    uint32_t *group_of = group_input(ev, b, &x, bounds);
    b->groups_nr = x.nr;
    b->groups = ARENA_NEW_ARRAY(ev->arena, struct bucket_group, x.nr);
    for (uint32_t g = 0; g < x.nr; g++)
        b->groups[g] = (struct bucket_group){ .labels = x.items[g], .native = NO_SERIES };
    series_index_fini(&x);
    fill_groups(ev, b, group_of, bounds);
}

/* ---- annotations ---- */

static void
check_quantile(struct eval *ev, const struct call_node *n, uint32_t arg, double q)
{
    char text[ANNO_NUMBER_BYTES];
    struct anno_at at = { arg_place(n, arg), n->base.rank };

    if (!(q >= 0 && q <= 1))
        anno_warn(&ev->annos, at, "quantile value should be between 0 and 1, got %s",
                  anno_number(q, text));
}

static struct str
shown_name(const struct eval *ev, const struct series *s)
{
    return ev->delayed_names ? series_name(ev, s) : STR_NONE;
}

static void
bad_bucket(struct eval *ev, const struct bucket_state *b, uint32_t series)
{
    const struct series *s = &b->input->series[series];
    struct buf text = { 0 };

    buf_c(&text, "bucket label \"le\" is missing or has a malformed value of ");
    quote(&text, eval_text(ev, pairs_get(s, ev->le_id)));
    if (shown_name(ev, s).n > 0) {
        buf_c(&text, " for metric name ");
        quote(&text, shown_name(ev, s));
    }
    anno_warn(&ev->annos, b->at, "%.*s", STR_ARG(buf_as_str(&text)));
    buf_fini(&text);
}

static void
anno_for_metric(struct eval *ev, const struct bucket_state *b, bool warning, const char *what,
                struct str name)
{
    struct buf text = { 0 };

    buf_c(&text, what);
    if (name.n > 0) {
        buf_c(&text, " for metric name ");
        quote(&text, name);
    }
    if (warning)
        anno_warn(&ev->annos, b->at, "%.*s", STR_ARG(buf_as_str(&text)));
    else
        anno_info(&ev->annos, b->at, "%.*s", STR_ARG(buf_as_str(&text)));
    buf_fini(&text);
}

/* ---- one step ---- */

struct step {
    struct eval *ev;
    const struct bucket_state *b;
    const struct bucket_group *g;
    const struct call_node *n;
    const struct bucket_out *o;
    size_t k;
    int64_t t_ms;
};

/* Prometheus repairs the buckets in place, so that only the first quantile finds something to tell.
 */
static bool
repaired_before(const struct step *s)
{
    for (uint32_t i = 0; s->b->several && i < s->o->scalar; i++)
        if (s->b->scalars[i][s->k] >= 0 && s->b->scalars[i][s->k] <= 1)
            return true;
    return false;
}

static double
classic(const struct step *s, struct buckets *buckets)
{
    struct repair r;

    if (s->n->fn == FN_HISTOGRAM_FRACTION)
        return buckets_fraction(s->b->scalars[0][s->k], s->b->scalars[1][s->k], buckets);
    double q = s->b->several ? s->o->q : s->b->scalars[0][s->k];
    double v = buckets_quantile(q, buckets, &r);
    if (r.forced && !repaired_before(s))
        anno_monotonicity(&s->ev->annos, s->b->at, shown_name(s->ev, &s->g->labels), s->t_ms,
                          r.bucket_min, r.bucket_max, r.diff_max);
    return v;
}

static double
native(const struct step *s, const struct histogram *h)
{
    enum nan_note note;
    bool has_nan;
    struct str name = shown_name(s->ev, &s->g->labels);

    if (s->n->fn == FN_HISTOGRAM_FRACTION) {
        double f = histogram_fraction(s->b->scalars[0][s->k], s->b->scalars[1][s->k], h, &has_nan);
        if (has_nan)
            anno_for_metric(s->ev, s->b, false,
                            "input to histogram_fraction has NaN observations, which are excluded "
                            "from all fractions",
                            name);
        return f;
    }
    double v = histogram_quantile(s->b->several ? s->o->q : s->b->scalars[0][s->k], h, &note);
    if (note != NAN_NONE)
        anno_for_metric(
            s->ev, s->b, false,
            note == NAN_RESULT
                ? "input to histogram_quantile has NaN observations, result is NaN"
                : "input to histogram_quantile has NaN observations, result is skewed higher",
            name);
    return v;
}

static void
gather(const struct bucket_state *b, const struct bucket_group *g, const struct column *c, size_t k,
       struct buckets *out)
{
    out->nr = 0;
    for (uint32_t i = 0; i < g->nr; i++) {
        double bound = b->members[g->first + i].bound;

        if (isnan(bound) || !column_has(&c[i], k) || column_histogram(&c[i], k) != NULL)
            continue;
        out->bound[out->nr] = bound;
        out->count[out->nr++] = c[i].v[k];
    }
}

static void
one_step(const struct step *s, const struct column *c, const struct column *plain,
         struct buckets *buckets, struct column *out)
{
    const struct histogram *h =
        plain != NULL && column_has(plain, s->k) ? column_histogram(plain, s->k) : NULL;

    gather(s->b, s->g, c, s->k, buckets);
    if (h != NULL && buckets->nr > 0) {
        anno_for_metric(s->ev, s->b, true, "vector contains a mix of classic and native histograms",
                        shown_name(s->ev, &s->g->labels));
        return;
    }
    if (h == NULL && buckets->nr == 0)
        return;
    if (s->b->several && s->b->scalars[s->o->scalar][s->k] != s->o->q &&
        !(isnan(s->o->q) && isnan(s->b->scalars[s->o->scalar][s->k])))
        return;
    out->v[s->k] = h != NULL ? native(s, h) : classic(s, buckets);
    column_mark(out, s->k);
}

static bool
has_float(const struct column *c)
{
    if (c->h == NULL)
        return c->present_nr > 0;
    for (size_t k = 0; k < c->nr; k++)
        if (column_has(c, k) && c->h[k] == NULL)
            return true;
    return false;
}

static bool
group_columns(struct eval *ev, const struct bucket_state *b, const struct bucket_group *g,
              struct worker *w, struct column *c, struct error *err)
{
    for (uint32_t i = 0; i < g->nr; i++) {
        const struct member *m = &b->members[g->first + i];

        if (!node_column(ev, b->input, m->series, w, &c[i], err))
            return false;
        if (isnan(m->bound) && has_float(&c[i]))
            bad_bucket(ev, b, m->series);
    }
    if (g->native == NO_SERIES)
        return true;
    if (!node_column(ev, b->input, g->native, w, &c[g->nr], err))
        return false;
    if (has_float(&c[g->nr]))
        bad_bucket(ev, b, g->native);
    return true;
}

static bool
bucket_source(struct eval *ev, struct node *n, uint32_t source, struct worker *w,
              struct column *out, struct error *err)
{
    struct call_node *call = (struct call_node *)n;
    struct bucket_state *b = call->state;
    const struct bucket_out *o = &b->outs[source];
    const struct bucket_group *g = &b->groups[o->group];
    struct column *c = ARENA_NEW_ARRAY(&w->arena, struct column, g->nr + 1);
    struct buckets buckets = { arena_alloc(&w->arena, ((size_t)g->nr + 1) * sizeof(double)),
                               arena_alloc(&w->arena, ((size_t)g->nr + 1) * sizeof(double)), 0 };

    if (!group_columns(ev, b, g, w, c, err))
        return false;
    column_new(&w->arena, out, node_steps(n), false);
    for (size_t k = 0; k < out->nr; k++) {
        struct step s = { ev, b, g, call, o, k, grid_time(&n->frame->grid, k) };

        one_step(&s, c, g->native == NO_SERIES ? NULL : &c[g->nr], &buckets, out);
    }
    column_count(out);
    return true;
}

static bool
bucket_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
              struct error *err)
{
    return node_merge(ev, n, i, w, bucket_source, out, err);
}

/* ---- opening ---- */

/* Which arguments are scalars and where the vector stands. */
static bool
open_arguments(struct eval *ev, struct node *n, struct bucket_state *b, struct error *err)
{
    struct call_node *call = (struct call_node *)n;
    uint32_t vector = call->fn == FN_HISTOGRAM_FRACTION   ? 2
                      : call->fn == FN_HISTOGRAM_QUANTILE ? 1
                                                          : 0;

    b->several = call->fn == FN_HISTOGRAM_QUANTILES;
    b->input = n->args[vector];
    b->at = (struct anno_at){ arg_place(call, vector), n->rank };
    b->scalars = ARENA_NEW_ARRAY(ev->arena, const double *, n->args_nr);
    for (uint32_t i = 0; i < n->args_nr; i++) {
        if (n->args[i]->type != VALUE_SCALAR)
            continue;
        if (!node_scalar(ev, n->args[i], &b->scalars[b->scalars_nr++], err))
            return false;
        for (size_t k = 0; call->fn != FN_HISTOGRAM_FRACTION && k < node_steps(n); k++)
            check_quantile(ev, call, i, b->scalars[b->scalars_nr - 1][k]);
    }
    return node_open(ev, b->input, err) && (!b->several || node_hold(ev, b->input, err));
}

/* 0.5, 1.0, as OpenMetrics writes a float. */
static symbol_id
quantile_symbol(struct eval *ev, double q)
{
    char text[DECIMAL_BYTES_MAX + 2];
    size_t n = decimal_format_general(q, text);

    if (isfinite(q) && memchr(text, '.', n) == NULL && memchr(text, 'e', n) == NULL) {
        text[n++] = '.';
        text[n++] = '0';
    }
    return eval_symbol(ev, (struct str){ text, n });
}

static bool
met_before(const double *v, size_t k)
{
    for (size_t i = 0; i < k; i++)
        if (v[i] == v[k] || (isnan(v[i]) && isnan(v[k])))
            return true;
    return false;
}

/* For several quantiles: one result per group, argument and value that the argument takes. */
static uint32_t
list_several(struct eval *ev, struct node *n, struct bucket_state *b, struct series **series)
{
    symbol_id label = eval_symbol(ev, call_string((struct call_node *)n, 1));
    size_t nr = 0, cap = 0, series_cap = 0;

    *series = NULL;
    for (uint32_t i = 0; i < b->scalars_nr; i++)
        for (size_t k = 0; k < node_steps(n); k++) {
            if (k > 0 && (b->scalars[i][k] == b->scalars[i][k - 1] || met_before(b->scalars[i], k)))
                continue;
            symbol_id value = quantile_symbol(ev, b->scalars[i][k]);
            for (uint32_t g = 0; g < b->groups_nr; g++) {
                struct series s = series_anonymous(ev, b->groups[g].labels);
                ARENA_GROW(ev->arena, b->outs, nr, nr + 1, &cap);
                ARENA_GROW(ev->arena, *series, nr, nr + 1, &series_cap);
                b->outs[nr] = (struct bucket_out){ g, i, b->scalars[i][k] };
                (*series)[nr] = series_set_label(ev, &s, label, value);
                (*series)[nr++].drop_name = s.drop_name;
            }
        }
    return (uint32_t)nr;
}

static bool
bucket_open(struct eval *ev, struct node *n, struct error *err)
{
    struct bucket_state *b = ARENA_NEW(ev->arena, struct bucket_state);
    struct series *series;
    uint32_t nr;

    ((struct call_node *)n)->state = b;
    if (!open_arguments(ev, n, b, err))
        return false;
    group_buckets(ev, b);
    if (b->several) {
        nr = list_several(ev, n, b, &series);
    } else {
        nr = b->groups_nr;
        series = ARENA_NEW_ARRAY(ev->arena, struct series, nr);
        b->outs = ARENA_NEW_ARRAY(ev->arena, struct bucket_out, nr);
        for (uint32_t g = 0; g < nr; g++) {
            series[g] = series_anonymous(ev, b->groups[g].labels);
            b->outs[g].group = g;
        }
    }
    node_series(ev, n, series, nr);
    return true;
}

const struct node_ops bucket_ops = { bucket_open, bucket_column };
