/* Numbers and what turns scalars and vectors into each other. All of one series, or of folding
 * one's child. */
#include "promql/exec_priv.h"

#include "promql/go_math.h"

static bool
one_series(struct eval *ev, struct node *n, const double *v)
{
    struct column *c = ARENA_NEW(ev->arena, struct column);

    column_new(ev->arena, c, node_steps(n), false);
    memcpy(c->v, v, c->nr * sizeof *v);
    column_fill(c);
    n->series = ARENA_NEW(ev->arena, struct series);
    n->series_nr = n->sources_nr = 1;
    n->held = c;
    ev->workers[0].tallies[n->id].total += c->nr;
    ev->workers[0].tallies[n->id].full_nr++;
    return true;
}

static double *
values_new(struct eval *ev, const struct node *n)
{
    return arena_alloc(ev->arena, node_steps(n) * sizeof(double));
}

static bool
number_open(struct eval *ev, struct node *n, struct error *err)
{
    double *v = values_new(ev, n);

    (void)err;
    for (size_t k = 0; k < node_steps(n); k++)
        v[k] = ((struct number_node *)n)->v;
    return one_series(ev, n, v);
}

const struct node_ops number_ops = { number_open, NULL };

static bool
string_open(struct eval *ev, struct node *n, struct error *err)
{
    (void)ev;
    (void)n;
    (void)err;
    return true;
}

const struct node_ops string_ops = { string_open, NULL };

/* scalar(v): the one float there is at a step, else NaN. */
struct scalar_fold {
    double *v;
    uint8_t *seen;
};

static bool
scalar_fold_column(void *arg, uint32_t i, const struct column *c, struct error *err)
{
    struct scalar_fold *f = arg;

    (void)i;
    (void)err;
    for (size_t k = 0; k < c->nr; k++) {
        if (!column_has(c, k) || column_histogram(c, k) != NULL)
            continue;
        f->v[k] = f->seen[k] ? NAN : c->v[k];
        f->seen[k] = 1;
    }
    return true;
}

static bool
scalar_open(struct eval *ev, struct node *n, struct error *err)
{
    struct scalar_fold f = { values_new(ev, n),
                             ARENA_NEW_ARRAY(ev->arena, uint8_t, node_steps(n)) };

    for (size_t k = 0; k < node_steps(n); k++)
        f.v[k] = NAN;
    if (!node_open(ev, n->args[0], err) || !node_each(ev, n->args[0], scalar_fold_column, &f, err))
        return false;
    return one_series(ev, n, f.v);
}

const struct node_ops scalar_ops = { scalar_open, NULL };

static bool
vector_open(struct eval *ev, struct node *n, struct error *err)
{
    const double *v;

    return node_scalar(ev, n->args[0], &v, err) && one_series(ev, n, v);
}

const struct node_ops vector_ops = { vector_open, NULL };

/* ---- two scalars ---- */

double
binary_scalars(enum binary_op op, double l, double r)
{
    switch (op) {
    case OP_ADD:
        return l + r;
    case OP_SUB:
        return l - r;
    case OP_MUL:
        return l * r;
    case OP_DIV:
        return l / r;
    case OP_POW:
        return pow(l, r);
    case OP_MOD:
        return fmod(l, r);
    case OP_ATAN2:
        return go_atan2(l, r);
    case OP_EQ:
        return l == r;
    case OP_NE:
        return l != r;
    case OP_GT:
        return l > r;
    case OP_LT:
        return l < r;
    case OP_GE:
        return l >= r;
    case OP_LE:
        return l <= r;
    default:
        return NAN;
    }
}

static bool
binary_scalar_open(struct eval *ev, struct node *n, struct error *err)
{
    double *v = values_new(ev, n);
    const double *l, *r;

    if (!node_scalar(ev, n->args[0], &l, err) || !node_scalar(ev, n->args[1], &r, err))
        return false;
    const struct binary_node *b = (struct binary_node *)n;
    for (size_t k = 0; k < node_steps(n); k++)
        v[k] = binary_scalars(b->op, l[k], r[k]);
    return one_series(ev, n, v);
}

const struct node_ops binary_scalar_ops = { binary_scalar_open, NULL };

static bool
pick_scalar_open(struct eval *ev, struct node *n, struct error *err)
{
    double *v = values_new(ev, n);
    bool max = ((struct call_node *)n)->fn == FN_MAX_OF;
    const double *l, *r;

    if (!node_scalar(ev, n->args[0], &l, err) || !node_scalar(ev, n->args[1], &r, err))
        return false;
    for (size_t k = 0; k < node_steps(n); k++)
        v[k] = max ? go_max(l[k], r[k]) : go_min(l[k], r[k]);
    return one_series(ev, n, v);
}

const struct node_ops pick_scalar_ops = { pick_scalar_open, NULL };

/* ---- what is the same at every step ---- */

static bool
invariant_open(struct eval *ev, struct node *n, struct error *err)
{
    struct node *child = n->args[0];

    if (!node_open(ev, child, err) || (child->type != VALUE_STRING && !node_hold(ev, child, err)))
        return false;
    n->series = child->series;
    n->series_nr = n->sources_nr = child->series_nr;
    return true;
}

static bool
invariant_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
                 struct error *err)
{
    struct column c;

    if (!node_column(ev, n->args[0], i, w, &c, err))
        return false;
    column_new(&w->arena, out, node_steps(n), c.h != NULL);
    if (c.present_nr == 0)
        return true;
    column_fill(out);
    for (size_t k = 0; k < out->nr; k++) {
        out->v[k] = c.v[0];
        if (c.h != NULL)
            out->h[k] = c.h[0];
    }
    return true;
}

const struct node_ops invariant_ops = { invariant_open, invariant_column };

/* start_timestamp(): storage hands none to queries yet, and then Prometheus gives an empty vector,
 * too. */
static bool
ignore_column(void *arg, uint32_t i, const struct column *c, struct error *err)
{
    (void)arg;
    (void)i;
    (void)c;
    (void)err;
    return true;
}

static bool
nothing_open(struct eval *ev, struct node *n, struct error *err)
{
    n->series_nr = 0;
    return node_open(ev, n->args[0], err) && node_each(ev, n->args[0], ignore_column, NULL, err);
}

const struct node_ops nothing_ops = { nothing_open, NULL };

/* A part of the query that occurs again later, where it is evaluated. */
static bool
alias_open(struct eval *ev, struct node *n, struct error *err)
{
    struct node *real = n->args[0];

    if (!node_open(ev, real, err) || !node_hold(ev, real, err))
        return false;
    n->series = real->series;
    n->series_nr = n->sources_nr = real->series_nr;
    n->held = real->held;
    return true;
}

const struct node_ops alias_ops = { alias_open, NULL };

const struct node *
node_shared(const struct node *n)
{
    while (n->ops == &alias_ops)
        n = n->args[0];
    return n;
}
