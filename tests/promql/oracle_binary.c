/* Operators: scalars, vector and scalar, vector matching, set operators. */
#include "oracle_priv.h"

#include "promql/binary_priv.h"

static double
scalar_op(enum binary_op op, double a, double b)
{
    switch (op) {
    case OP_ADD:
        return a + b;
    case OP_SUB:
        return a - b;
    case OP_MUL:
        return a * b;
    case OP_DIV:
        return a / b;
    case OP_MOD:
        return fmod(a, b);
    case OP_POW:
        return pow(a, b);
    case OP_ATAN2:
        return atan2(a, b);
    case OP_EQ:
        return a == b;
    case OP_NE:
        return a != b;
    case OP_GT:
        return a > b;
    case OP_LT:
        return a < b;
    case OP_GE:
        return a >= b;
    default:
        return a <= b;
    }
}

/* What comes of one pair. */
struct pair {
    double v;
    struct histogram *h;
    bool keep;
    bool failed;       /* no result */
    const char *note;  /* an annotation, NULL: none */
    bool note_warning; /* of which kind */
};

static struct pair
incompatible(struct oracle *o, enum binary_op op, const char *l, const char *r)
{
    const char *text = promql_operators[op].text;
    struct str note = arena_printf(
        o->arena, "incompatible sample types encountered for binary operator \"%s\": %s %s %s",
        text, l, text, r);

    return (struct pair){ .failed = true, .note = note.p };
}

static struct pair
both_histograms(struct oracle *o, enum binary_op op, struct histogram *l, struct histogram *r)
{
    struct pair out = { .keep = true };
    struct histogram_notes notes = { 0 };
    bool add = op == OP_ADD;

    if (op == OP_EQ || op == OP_NE)
        return (struct pair){ .h = l, .keep = histogram_eq(l, r) == (op == OP_EQ) };
    if (op != OP_ADD && op != OP_SUB)
        return incompatible(o, op, "histogram", "histogram");
    out.h = histogram_copy(l, o->arena);
    if (!(add ? histogram_add(out.h, r, &notes, o->arena)
              : histogram_sub(out.h, r, &notes, o->arena))) {
        struct str note =
            arena_printf(o->arena, "incompatible bucket layout encountered for binary operator %s",
                         promql_operators[op].text);
        return (struct pair){ .failed = true, .note = note.p, .note_warning = true };
    }
    if (!add)
        out.h->hint = HINT_GAUGE;
    if (notes.bounds_reconciled)
        out.note = add ? "mismatched custom buckets were reconciled during addition"
                       : "mismatched custom buckets were reconciled during subtraction";
    if (notes.reset_collision) {
        out.note = add ? "conflicting counter resets during histogram addition"
                       : "conflicting counter resets during histogram subtraction";
        out.note_warning = true;
    }
    histogram_compact(out.h, 0, o->arena);
    return out;
}

static struct pair
one_histogram(struct oracle *o, enum binary_op op, double v, struct histogram *l,
              struct histogram *r)
{
    struct pair out = { .keep = true };

    if (op == OP_MUL || (op == OP_DIV && l != NULL)) {
        out.h = histogram_copy(l != NULL ? l : r, o->arena);
        if (op == OP_MUL)
            histogram_mul(out.h, v);
        else
            histogram_div(out.h, v);
        histogram_compact(out.h, 0, o->arena);
        return out;
    }
    if (l != NULL && (op == OP_TRIM_UPPER || op == OP_TRIM_LOWER)) {
        out.h = histogram_copy(histogram_trimmed(l, v, op == OP_TRIM_UPPER, o->arena), o->arena);
        return out;
    }
    return incompatible(o, op, l != NULL ? "histogram" : "float",
                        r != NULL ? "histogram" : "float");
}

static struct pair
element(struct oracle *o, enum binary_op op, double l, double r, struct histogram *lh,
        struct histogram *rh)
{
    if (lh != NULL && rh != NULL)
        return both_histograms(o, op, lh, rh);
    if (lh != NULL || rh != NULL)
        return one_histogram(o, op, lh != NULL ? r : l, lh, rh);
    if (op == OP_TRIM_UPPER || op == OP_TRIM_LOWER)
        return incompatible(o, op, "float", "float");
    if (op_is_comparison(op))
        return (struct pair){ .v = l, .keep = scalar_op(op, l, r) != 0 };
    return (struct pair){ .v = scalar_op(op, l, r), .keep = true };
}

static void
tell(struct oracle *o, const struct expr *e, const struct pair *last)
{
    if (last->note != NULL && last->note_warning)
        oracle_warn(o, e, "%s", last->note);
    else if (last->note != NULL)
        oracle_info(o, e, "%s", last->note);
}

static bool
makes_new_metric(enum binary_op op)
{
    return promql_operators[op].kind == OPERATOR_ARITHMETIC && op != OP_TRIM_UPPER &&
           op != OP_TRIM_LOWER;
}

/* ---- one or both are scalars ---- */

static void
step_scalars(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    (void)t_ms;
    vec_add(ev->o, out,
            (struct sample){ .v = scalar_op(e->binary.op, in[0].v[0].v, in[1].v[0].v) });
}

static void
with_scalar(struct ev *ev, struct expr *e, struct vec *in, bool swap, struct vec *out)
{
    enum binary_op op = e->binary.op;
    double scalar = in[swap ? 0 : 1].v[0].v;
    const struct vec *v = &in[swap ? 1 : 0];
    struct pair last = { 0 };

    for (size_t i = 0; i < v->nr; i++) {
        struct sample s = v->v[i];
        struct pair p = swap ? element(ev->o, op, scalar, s.v, NULL, s.h)
                             : element(ev->o, op, s.v, scalar, s.h, NULL);

        if (p.failed) {
            last = p;
            continue;
        }
        if (op_is_comparison(op) && swap) {
            p.v = s.v;
            p.h = s.h;
        }
        if (e->binary.return_bool) {
            p.v = p.keep;
            p.h = NULL;
            p.keep = true;
        }
        if (!p.keep)
            continue;
        if (e->binary.return_bool || makes_new_metric(op)) {
            s.labels = dropped_now(ev->o, s.labels);
            s.drop_name = true;
        }
        s.v = p.v;
        s.h = p.h;
        vec_add(ev->o, out, s);
    }
    tell(ev->o, e, &last);
}

static void
step_left_scalar(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    (void)t_ms;
    with_scalar(ev, e, in, true, out);
}

static void
step_right_scalar(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    (void)t_ms;
    with_scalar(ev, e, in, false, out);
}

/* ---- sets ---- */

static bool
has_group(const struct vec *v, size_t group)
{
    for (size_t i = 0; i < v->nr; i++)
        if (v->v[i].group == group)
            return true;
    return false;
}

static void
step_set(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    enum binary_op op = e->binary.op;

    (void)t_ms;
    for (size_t i = 0; i < in[0].nr; i++)
        if (op == OP_OR || has_group(&in[1], in[0].v[i].group) == (op == OP_AND))
            vec_add(ev->o, out, in[0].v[i]);
    for (size_t i = 0; op == OP_OR && i < in[1].nr; i++)
        if (!has_group(&in[0], in[1].v[i].group))
            vec_add(ev->o, out, in[1].v[i]);
}

/* ---- vector matching ---- */

struct join {
    struct ev *ev;
    struct expr *e;
    const struct vector_matching *m;
    struct vec many, one; /* one: at most one sample per group */
    struct vec matched;   /* group and labels of what was made so far */
    struct pair last;
};

static void
refuse_duplicates(struct join *j)
{
    struct oracle *o = j->ev->o;

    for (size_t i = 0; i < j->one.nr; i++)
        for (size_t k = 0; k < i; k++) {
            if (j->one.v[i].group != j->one.v[k].group)
                continue;
            struct labels ls = labels_for_match(o->arena, j->one.v[i].labels, j->m);
            struct str group = labels_text(o->arena, ls),
                       a = labels_text(o->arena, j->one.v[i].labels),
                       b = labels_text(o->arena, j->one.v[k].labels);
            if (str_cmp(a, b) > 0) {
                struct str t = a;
                a = b;
                b = t;
            }
            oracle_fail(
                o,
                "found duplicate series for the match group %.*s on the %s hand-side of the "
                "operation: [%.*s, %.*s];many-to-many matching not allowed: matching labels "
                "must be unique on one side",
                STR_ARG(group), j->m->card == CARD_ONE_TO_MANY ? "left" : "right", STR_ARG(a),
                STR_ARG(b));
        }
}

static struct labels
joined_labels(struct join *j, const struct sample *many, const struct sample *one)
{
    struct arena *a = j->ev->o->arena;
    struct labels ls = many->labels;

    if (makes_new_metric(j->e->binary.op) ||
        (j->e->binary.return_bool && !j->ev->o->options.all_features))
        ls = labels_unnamed(a, ls);
    if (j->m->card == CARD_ONE_TO_ONE)
        ls = j->m->on ? labels_keep(a, ls, j->m->labels, j->m->labels_nr)
                      : labels_drop(a, ls, j->m->labels, j->m->labels_nr, false);
    for (size_t i = 0; i < j->m->include_nr; i++)
        ls = labels_set(a, ls, j->m->include[i], labels_get(one->labels, j->m->include[i]));
    return ls;
}

static void
refuse_second_match(struct join *j, size_t group, struct labels ls)
{
    for (size_t i = 0; i < j->matched.nr; i++) {
        if (j->matched.v[i].group != group)
            continue;
        if (j->m->card == CARD_ONE_TO_ONE)
            oracle_fail(j->ev->o,
                        "multiple matches for labels: many-to-one matching must be explicit "
                        "(group_left/group_right)");
        if (labels_eq(j->matched.v[i].labels, ls))
            oracle_fail(j->ev->o,
                        "multiple matches for labels: grouping labels must ensure unique matches");
    }
    vec_add(j->ev->o, &j->matched, (struct sample){ .labels = ls, .group = group });
}

static void
join_pair(struct join *j, const struct sample *many, const struct sample *one, size_t group,
          struct vec *out)
{
    bool swap = j->m->card == CARD_ONE_TO_MANY, return_bool = j->e->binary.return_bool;
    const struct sample *l = swap ? one : many, *r = swap ? many : one;
    struct pair p = element(j->ev->o, j->e->binary.op, l->v, r->v, l->h, r->h);

    if (p.note != NULL)
        j->last = p;
    /* A warning is an error to Prometheus, and there is no result. */
    if (p.failed || (p.note != NULL && p.note_warning))
        return;
    struct labels ls = joined_labels(j, many, one);
    refuse_second_match(j, group, ls);
    if (!p.keep && !return_bool)
        return;
    vec_add(j->ev->o, out,
            (struct sample){ .labels = ls,
                             .v = return_bool ? p.keep : p.v,
                             .h = return_bool ? NULL : p.h,
                             .drop_name = return_bool });
}

static void
step_join(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    const struct vector_matching *m = e->binary.matching;
    bool swap = m->card == CARD_ONE_TO_MANY;
    struct join j = { .ev = ev, .e = e, .m = m, .many = in[swap], .one = in[!swap] };

    (void)t_ms;
    if ((in[0].nr == 0 && in[1].nr == 0) ||
        ((in[0].nr == 0 || in[1].nr == 0) && !m->has_fill_left && !m->has_fill_right))
        return;
    refuse_duplicates(&j);
    for (size_t i = 0; i < j.many.nr; i++) {
        const struct sample *many = &j.many.v[i];
        struct sample fill = { .labels = labels_for_match(ev->o->arena, many->labels, m),
                               .v = m->fill_right };
        const struct sample *one = m->has_fill_right ? &fill : NULL;

        for (size_t k = 0; k < j.one.nr; k++)
            if (j.one.v[k].group == many->group)
                one = &j.one.v[k];
        if (one != NULL)
            join_pair(&j, many, one, many->group, out);
    }
    for (size_t i = 0; m->has_fill_left && i < j.one.nr; i++) {
        const struct sample *one = &j.one.v[i];
        struct sample fill = { .labels = labels_for_match(ev->o->arena, one->labels, m),
                               .v = m->fill_left };

        if (!has_group(&j.matched, one->group))
            join_pair(&j, &fill, one, one->group, out);
    }
    tell(ev->o, e, &j.last);
}

struct matrix
eval_binary(struct ev *ev, struct expr *e)
{
    struct binary_expr *b = &e->binary;
    struct expr *sides[2] = { b->lhs, b->rhs };
    step_fn fn;

    if (b->lhs->type == VALUE_SCALAR)
        fn = b->rhs->type == VALUE_SCALAR ? step_scalars : step_left_scalar;
    else if (b->rhs->type == VALUE_SCALAR)
        fn = step_right_scalar;
    else
        fn = op_is_set(b->op) ? step_set : step_join;
    return each_step(ev, e, sides, 2, fn == step_set || fn == step_join ? b->matching : NULL, fn);
}
