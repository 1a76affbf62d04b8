/* A vector with a scalar on either side, and the minus sign. Element-wise; comparisons filter. */
#include "promql/binary_priv.h"

#include <math.h>

bool
binary_changes_meaning(enum binary_op op)
{
    switch (op) {
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_POW:
    case OP_MOD:
    case OP_ATAN2:
        return true;
    default:
        return false;
    }
}

static bool
histograms_only(enum binary_op op)
{
    return op == OP_TRIM_LOWER || op == OP_TRIM_UPPER;
}

static void
types_info(struct eval *ev, enum binary_op op, enum binary_note note, struct anno_at at)
{
    bool left = note == BINARY_HISTOGRAMS || note == BINARY_HISTOGRAM_FLOAT,
         right = note == BINARY_HISTOGRAMS || note == BINARY_FLOAT_HISTOGRAM;
    const char *text = promql_operators[op].text;

    anno_info(&ev->annos, at,
              "incompatible sample types encountered for binary operator \"%s\": %s %s %s", text,
              left ? "histogram" : "float", text, right ? "histogram" : "float");
}

void
binary_tell(struct eval *ev, enum binary_op op, enum binary_note note, struct anno_at at)
{
    const char *what = op == OP_ADD ? "addition" : "subtraction";

    switch (note) {
    case BINARY_QUIET:
        break;
    case BINARY_LAYOUT:
        anno_warn(&ev->annos, at, "incompatible bucket layout encountered for binary operator %s",
                  promql_operators[op].text);
        break;
    case BINARY_RESETS:
        anno_warn(&ev->annos, at, "conflicting counter resets during histogram %s", what);
        break;
    case BINARY_RECONCILED:
        anno_info(&ev->annos, at, "mismatched custom buckets were reconciled during %s", what);
        break;
    default:
        types_info(ev, op, note, at);
        break;
    }
}

bool
binary_point(enum binary_op op, struct binary_value l, struct binary_value r, struct arena *a,
             struct binary_value *out, bool *keep, enum binary_note *note)
{
    *out = (struct binary_value){ 0 };
    *note = BINARY_QUIET;
    if (l.h != NULL || r.h != NULL)
        return binary_histograms(op, l, r, a, out, keep, note);
    if (histograms_only(op)) {
        *note = BINARY_FLOATS;
        return false;
    }
    out->v = op_is_comparison(op) ? l.v : binary_scalars(op, l.v, r.v);
    *keep = !op_is_comparison(op) || binary_scalars(op, l.v, r.v) != 0;
    return true;
}

static bool
mixed_open(struct eval *ev, struct node *n, struct error *err)
{
    struct binary_node *b = (struct binary_node *)n;
    int vector = n->args[0]->type == VALUE_SCALAR;
    struct node *child = n->args[vector];

    for (int side = 0; side < 2; side++) {
        if (side == vector ? !node_open(ev, child, err)
                           : !node_scalar(ev, n->args[side], &b->scalars[side], err))
            return false;
    }
    struct series *series = ARENA_NEW_ARRAY(ev->arena, struct series, child->series_nr);
    for (uint32_t i = 0; i < child->series_nr; i++) {
        series[i] = child->series[i];
        if (binary_changes_meaning(b->op) || b->return_bool)
            series[i] = series_anonymous(ev, series[i]);
    }
    node_series(ev, n, series, child->series_nr);
    return true;
}

/* All steps there, floats, arithmetic: the common case as one loop. */
static void
arithmetic(enum binary_op op, const double *l, const double *r, double *out, size_t nr)
{
    switch (op) {
    case OP_ADD:
        for (size_t k = 0; k < nr; k++)
            out[k] = l[k] + r[k];
        break;
    case OP_SUB:
        for (size_t k = 0; k < nr; k++)
            out[k] = l[k] - r[k];
        break;
    case OP_MUL:
        for (size_t k = 0; k < nr; k++)
            out[k] = l[k] * r[k];
        break;
    case OP_DIV:
        for (size_t k = 0; k < nr; k++)
            out[k] = l[k] / r[k];
        break;
    default:
        for (size_t k = 0; k < nr; k++)
            out[k] = binary_scalars(op, l[k], r[k]);
    }
}

bool
binary_arithmetic(enum binary_op op, const struct column *l, const struct column *r,
                  struct column *out)
{
    if (!binary_changes_meaning(op) || l->h != NULL || r->h != NULL)
        return false;
    for (size_t i = 0; i < COLUMN_WORDS(out->nr); i++)
        out->present[i] = l->present[i] & r->present[i];
    column_count(out);
    if (out->present_nr == out->nr) {
        arithmetic(op, l->v, r->v, out->v, out->nr);
        return true;
    }
    for (size_t k = 0; k < out->nr; k++)
        if (column_has(out, k))
            out->v[k] = binary_scalars(op, l->v[k], r->v[k]);
    return true;
}

static void
mixed_point(struct eval *ev, const struct binary_node *b, const struct column *c, size_t k,
            bool swapped, struct worker *w, struct column *out)
{
    struct binary_value vector = { c->v[k], column_histogram(c, k) },
                        scalar = { b->scalars[swapped ? 0 : 1][k], NULL };
    struct binary_value x;
    struct anno_at at = { b->base.pos, b->base.rank };
    enum binary_note note;
    bool keep = false, ok;

    ok = binary_point(b->op, swapped ? scalar : vector, swapped ? vector : scalar, &w->arena, &x,
                      &keep, &note);
    binary_tell(ev, b->op, note, at);
    if (!ok)
        return;
    if (op_is_comparison(b->op) && swapped)
        x = vector; /* the element is what stays, whichever side it is on */
    if (b->return_bool) {
        /* A histogram stays one: Prometheus replaces its float value only. */
        x.v = keep;
        keep = true;
    }
    if (!keep)
        return;
    column_mark(out, k);
    out->v[k] = x.v;
    if (out->h != NULL)
        out->h[k] = x.h;
}

static bool
mixed_source(struct eval *ev, struct node *n, uint32_t source, struct worker *w, struct column *out,
             struct error *err)
{
    struct binary_node *b = (struct binary_node *)n;
    bool swapped = b->scalars[0] != NULL;
    struct column c, s = { .v = (double *)(uintptr_t)b->scalars[swapped ? 0 : 1] };

    if (!node_column(ev, n->args[swapped ? 1 : 0], source, w, &c, err))
        return false;
    column_new(&w->arena, out, c.nr, c.h != NULL);
    s.present = c.present; /* a scalar is there whenever the other side is */
    s.nr = c.nr;
    if (binary_arithmetic(b->op, swapped ? &s : &c, swapped ? &c : &s, out))
        return true;
    for (size_t k = 0; k < c.nr; k++)
        if (column_has(&c, k))
            mixed_point(ev, b, &c, k, swapped, w, out);
    column_count(out);
    return true;
}

static bool
mixed_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
             struct error *err)
{
    return node_merge(ev, n, i, w, mixed_source, out, err);
}

const struct node_ops binary_mixed_ops = { mixed_open, mixed_column };

/* ---- -x ---- */

static bool
negate_open(struct eval *ev, struct node *n, struct error *err)
{
    struct node *child = n->args[0];

    if (!node_open(ev, child, err))
        return false;
    struct series *series = ARENA_NEW_ARRAY(ev->arena, struct series, child->series_nr);
    for (uint32_t i = 0; i < child->series_nr; i++)
        series[i] =
            child->type == VALUE_SCALAR ? child->series[i] : series_anonymous(ev, child->series[i]);
    node_series(ev, n, series, child->series_nr);
    return true;
}

static bool
negate_source(struct eval *ev, struct node *n, uint32_t source, struct worker *w,
              struct column *out, struct error *err)
{
    struct column c;

    if (!node_column(ev, n->args[0], source, w, &c, err))
        return false;
    column_new(&w->arena, out, c.nr, c.h != NULL);
    memcpy(out->present, c.present, COLUMN_WORDS(c.nr) * sizeof c.present[0]);
    out->present_nr = c.present_nr;
    for (size_t k = 0; k < c.nr; k++) {
        out->v[k] = -c.v[k];
        if (column_has(&c, k) && column_histogram(&c, k) != NULL)
            out->h[k] = binary_negated(c.h[k], &w->arena);
    }
    return true;
}

static bool
negate_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
              struct error *err)
{
    return node_merge(ev, n, i, w, negate_source, out, err);
}

const struct node_ops negate_ops = { negate_open, negate_column };
