/* From the syntax tree to the tree of nodes.
 *
 * The syntax tree is shared by threads and never changed. Parts whose value does not depend on the
 * step ("@", numbers) are evaluated once, on a frame of one step, and repeated: the rules which
 * parts these are, and that the parameter of an aggregation is not looked at, are Prometheus's,
 * since they decide what is counted and what "@ start()" means. Distinct selectors are chosen once,
 * whatever their offsets and ranges. */
#include "promql/plan_priv.h"

#include "base/mem.h"

static bool
build(struct eval *ev, struct place p, struct expr *e, struct node **out, struct error *err);

void *
node_new(struct eval *ev, size_t bytes, const struct node_ops *ops, struct frame *f,
         const struct expr *e, uint32_t args_nr)
{
    struct node *n = arena_zalloc(ev->arena, bytes);

    n->ops = ops;
    n->frame = f;
    n->type = e->type;
    n->pos = e->pos;
    n->id = ev->nodes_nr++;
    n->uses = 1;
    n->args_nr = args_nr;
    n->args = ARENA_NEW_ARRAY(ev->arena, struct node *, args_nr);
    return n;
}

/* Ranks follow evaluation: children before their parent, in order. */
static struct node *
ranked(struct eval *ev, struct node *n)
{
    n->rank = ev->ranks_nr++;
    return n;
}

static struct frame *
frame_new(struct eval *ev, int64_t start_ms, int64_t end_ms, int64_t step_ms)
{
    struct frame *f = ARENA_NEW(ev->arena, struct frame);

    f->grid.start_ms = start_ms;
    f->grid.step_ms = step_ms;
    f->grid.nr =
        end_ms < start_ms ? 0 : (size_t)((uint64_t)(end_ms - start_ms) / (uint64_t)step_ms) + 1;
    f->instant = start_ms == end_ms;
    return f;
}

/* e once, on a frame of one step, repeated over the steps of p. */
static bool
build_once(struct eval *ev, struct place p, struct expr *e, struct node **out, struct error *err)
{
    struct node *n = node_new(ev, sizeof *n, &invariant_ops, p.frame, e, 1);
    int64_t start_ms = p.frame->grid.start_ms;

    p.frame = frame_new(ev, start_ms, start_ms, 1);
    if (!build(ev, p, e, &n->args[0], err))
        return false;
    *out = ranked(ev, n);
    return true;
}

static bool
build_child(struct eval *ev, struct place p, struct expr *e, bool wrap, struct node **out,
            struct error *err)
{
    if (wrap && !p.plain && plan_invariance(e).wrap)
        return build_once(ev, p, e, out, err);
    return build(ev, p, e, out, err);
}

static bool
build_selector(struct eval *ev, struct place p, struct expr *e, bool timestamps, struct node **out)
{
    struct select_node *n = NODE_NEW(ev, struct select_node, &select_ops, p.frame, e, 0);

    n->base.type = VALUE_VECTOR;
    n->sel = &e->selector;
    n->offset_ms = plan_shift(ev, &p, &e->selector.shift);
    n->fixed = plan_has_at(&e->selector.shift, p.plain);
    n->selection = plan_select(ev, &p, &e->selector, 0);
    n->timestamps = timestamps;
    n->stats_only = p.stats && !p.buckets;
    if (timestamps && n->fixed) /* timestamp(x @ t offset o) looks at t, not at t - o */
        n->offset_ms -= e->selector.shift.offset_ms;
    *out = ranked(ev, &n->base);
    return true;
}

/* ---- range vectors ---- */

static int64_t
default_step(const struct eval *ev, const struct subquery_expr *s)
{
    return s->step_ms != 0 ? s->step_ms : ev->subquery_step_ms;
}

/* The subquery's own steps: multiples of its step behind the first window's start, up to the last
 * step of the parent. */
static struct frame *
subquery_frame(struct eval *ev, const struct place *p, const struct subquery_expr *s,
               int64_t offset_ms)
{
    const struct step_grid *g = &p->frame->grid;
    int64_t step_ms = default_step(ev, s), first_ms = g->start_ms - offset_ms - s->range_ms;
    int64_t start_ms = step_ms * (first_ms / step_ms);

    if (start_ms <= first_ms)
        start_ms += step_ms;
    return frame_new(ev, start_ms, g->nr == 0 ? start_ms - 1 : grid_time(g, g->nr - 1) - offset_ms,
                     step_ms);
}

static bool
build_inner(struct eval *ev, struct place p, struct expr *e, int64_t offset_ms, struct node **out,
            struct error *err)
{
    const struct subquery_expr *s = &e->subquery;
    bool at = plan_has_at(&s->shift, p.plain), once = !p.plain && plan_invariance(s->inner).whole;

    p.buckets = true; /* resets cannot be told without them */
    bool reads = p.frame->grid.nr > 1 || p.frame->reads;
    p.frame = subquery_frame(ev, &p, s, offset_ms);
    p.frame->reads = reads;
    if (p.frame->grid.nr > UINT32_MAX)
        return error_too_many_samples(err);
    p.offset_ms = (at ? 0 : p.offset_ms) + s->shift.offset_ms;
    p.range_ms = (at ? 0 : p.range_ms) + s->range_ms;
    p.at_set |= at;
    p.at_ms = at ? plan_at(ev, &s->shift) : p.at_ms;
    p.hint_step_ms = p.frame->grid.step_ms;
    return once ? build_once(ev, p, s->inner, out, err) : build(ev, p, s->inner, out, err);
}

static bool
range_source(struct eval *ev, struct place p, struct expr *arg, struct range_node *n,
             struct error *err)
{
    const struct selector_expr *sel;

    if (arg->kind == EXPR_SUBQUERY) {
        n->fixed = plan_has_at(&arg->subquery.shift, p.plain);
        n->offset_ms = plan_shift(ev, &p, &arg->subquery.shift);
        n->range_ms = arg->subquery.range_ms;
        n->written_offset_ms = n->raw ? 0 : arg->subquery.shift.offset_ms;
        return build_inner(ev, p, arg, n->offset_ms, &n->inner, err);
    }
    sel = &arg->matrix.selector->selector;
    n->sel = sel;
    n->fixed = plan_has_at(&sel->shift, p.plain);
    n->offset_ms = plan_shift(ev, &p, &sel->shift);
    n->range_ms = arg->matrix.range_ms;
    n->selection = plan_select(ev, &p, sel, n->range_ms);
    n->stats_only = p.stats && !p.buckets;
    return true;
}

/* A function over a range vector. The samples of a subquery come last in args, after it has been
 * evaluated first. */
static bool
build_range(struct eval *ev, struct place p, struct expr *e, bool wrap, struct node **out,
            struct error *err)
{
    const struct call_expr *call = &e->call;
    struct range_node *n =
        NODE_NEW(ev, struct range_node, &range_ops, p.frame, e, (uint32_t)call->args_nr);
    uint32_t scalars_nr = 0;
    struct expr *first = expr_unwrapped(call->args[0]);

    n->fn = call->fn->id;
    n->arg_pos = first->kind == EXPR_SUBQUERY ? (struct pos_range){ 0, 0 } : first->pos;
    for (size_t i = 0; i < call->args_nr; i++) {
        struct expr *arg = expr_unwrapped(call->args[i]);
        if (plan_is_range(arg) && !range_source(ev, p, arg, n, err))
            return false;
    }
    for (size_t i = 0; i < call->args_nr; i++) {
        struct expr *arg = expr_unwrapped(call->args[i]);
        if (!plan_is_range(arg) && !build_child(ev, p, arg, wrap, &n->base.args[scalars_nr++], err))
            return false;
    }
    n->base.args[scalars_nr] = n->inner;
    n->base.args_nr = scalars_nr + (n->inner != NULL);
    n->scalars = ARENA_NEW_ARRAY(ev->arena, const double *, scalars_nr);
    *out = ranked(ev, &n->base);
    return true;
}

static bool
build_absent_range(struct eval *ev, struct place p, struct expr *e, bool wrap, struct node **out,
                   struct error *err)
{
    struct call_node *n = NODE_NEW(ev, struct call_node, &absent_range_ops, p.frame, e, 1);

    n->fn = FN_ABSENT_OVER_TIME;
    n->expr = &e->call;
    if (!build_range(ev, p, e, wrap, &n->base.args[0], err))
        return false;
    *out = ranked(ev, &n->base);
    return true;
}

/* The whole query is x[5m] or x[5m:1m]. */
/* Delayed name removal: the names that are to go do so at the very end. */
static struct node *
without_names(struct eval *ev, struct node *of, struct expr *e)
{
    struct node *n = node_new(ev, sizeof *n, &rename_ops, of->frame, e, 1);

    n->args[0] = of;
    return ranked(ev, n);
}

static bool
build_raw(struct eval *ev, struct place p, struct expr *e, struct node **out, struct error *err)
{
    struct range_node *n = NODE_NEW(ev, struct range_node, &range_ops, p.frame, e, 1);

    n->raw = true;
    n->arg_pos = e->pos;
    if (!range_source(ev, p, e, n, err))
        return false;
    if (ev->delayed_names && n->inner != NULL)
        n->inner = without_names(ev, n->inner, e);
    n->base.args[0] = n->inner;
    n->base.args_nr = n->inner != NULL;
    *out = ranked(ev, &n->base);
    return true;
}

/* ---- calls ---- */

static const struct node_ops *
call_ops(const struct call_expr *call)
{
    switch (call->fn->id) {
    case FN_TIME:
    case FN_PI:
        return &time_ops;
    case FN_VECTOR:
        return &vector_ops;
    case FN_SCALAR:
        return &scalar_ops;
    case FN_MAX_OF:
    case FN_MIN_OF:
        return &pick_scalar_ops;
    case FN_TIMESTAMP:
        return &timestamp_ops;
    case FN_START_TIMESTAMP:
        return &nothing_ops;
    case FN_SORT:
    case FN_SORT_DESC:
    case FN_SORT_BY_LABEL:
    case FN_SORT_BY_LABEL_DESC:
        return &sort_ops;
    case FN_ABSENT:
        return &absent_ops;
    case FN_LABEL_REPLACE:
    case FN_LABEL_JOIN:
        return &label_ops;
    case FN_HISTOGRAM_QUANTILE:
    case FN_HISTOGRAM_QUANTILES:
    case FN_HISTOGRAM_FRACTION:
        return &bucket_ops;
    case FN_HISTOGRAM_AVG:
    case FN_HISTOGRAM_COUNT:
    case FN_HISTOGRAM_SUM:
    case FN_HISTOGRAM_STDDEV:
    case FN_HISTOGRAM_STDVAR:
        return &histogram_ops;
    default:
        return call->args_nr == 0 ? &time_ops : NULL;
    }
}

static double
query_constant(const struct eval *ev, enum function_id fn)
{
    switch (fn) {
    case FN_START:
        return (double)ev->start_ms / 1000;
    case FN_END:
        return (double)ev->end_ms / 1000;
    case FN_RANGE:
        return (double)(ev->end_ms - ev->start_ms) / 1000;
    default:
        return ev->start_ms == ev->end_ms ? 0 : (double)ev->step_ms / 1000;
    }
}

static bool
build_number(struct eval *ev, struct place p, struct expr *e, double v, struct node **out)
{
    struct number_node *n = NODE_NEW(ev, struct number_node, &number_ops, p.frame, e, 0);

    n->v = v;
    *out = ranked(ev, &n->base);
    return true;
}

static bool
build_args(struct eval *ev, struct place p, struct expr *e, bool wrap, struct node *n,
           struct error *err)
{
    for (size_t i = 0; i < e->call.args_nr; i++)
        if (!build_child(ev, p, expr_unwrapped(e->call.args[i]), wrap, &n->args[i], err))
            return false;
    return true;
}

static bool
build_math(struct eval *ev, struct place p, struct expr *e, bool wrap, struct node **out,
           struct error *err)
{
    struct math_node *n =
        NODE_NEW(ev, struct math_node, &math_ops, p.frame, e, (uint32_t)e->call.args_nr);

    n->fn = e->call.fn->id;
    if (!build_args(ev, p, e, wrap, &n->base, err))
        return false;
    *out = ranked(ev, &n->base);
    return true;
}

/* The moment at which info series are looked at follows the first selector in the first argument:
 * its offset and "@", and those of the subqueries around it up to the first "@". */
struct moment {
    bool found, at_set;
    int64_t at_ms, offset_ms;
};

static void
add_shift(const struct eval *ev, const struct time_shift *s, bool plain, struct moment *m)
{
    if (m->at_set)
        return;
    m->offset_ms += s->offset_ms;
    m->at_set = plan_has_at(s, plain);
    m->at_ms = plan_at(ev, s);
}

static void
find_moment(const struct eval *ev, struct expr *e, bool plain, struct moment *m)
{
    if (e->kind == EXPR_SELECTOR) {
        m->found = true;
        add_shift(ev, &e->selector.shift, plain, m);
        return;
    }
    if (e->kind == EXPR_MATRIX) {
        find_moment(ev, e->matrix.selector, plain, m);
        return;
    }
    struct expr *child;
    for (size_t i = 0; !m->found && (child = expr_child(e, i)) != NULL; i++)
        find_moment(ev, child, plain, m);
    if (m->found && e->kind == EXPR_SUBQUERY)
        add_shift(ev, &e->subquery.shift, plain, m);
}

/* args[0]: the vector; args[1]: the info series, selected when the first is known. */
static bool
build_info(struct eval *ev, struct place p, struct expr *e, bool wrap, struct node **out,
           struct error *err)
{
    static const struct selector_expr any = { 0 };
    struct call_node *n = NODE_NEW(ev, struct call_node, &info_ops, p.frame, e, 2);
    struct select_node *s = NODE_NEW(ev, struct select_node, &select_ops, p.frame, e, 0);
    struct moment m = { 0 };
    const struct step_grid *g = &p.frame->grid;
    struct expr *first = expr_unwrapped(e->call.args[0]);

    n->fn = FN_INFO;
    n->expr = &e->call;
    find_moment(ev, first, p.plain, &m);
    s->sel = &any;
    s->timestamps = s->named = true;
    s->offset_ms = m.offset_ms;
    s->pinned = m.at_set;
    s->pin_ms = m.at_ms - m.offset_ms;
    MEM_GROW(ev->selections, ev->selections_nr + 1, &ev->selections_cap);
    s->selection = (uint32_t)ev->selections_nr;
    int64_t from_ms = m.at_set ? m.at_ms : g->start_ms,
            to_ms = m.at_set || g->nr == 0 ? from_ms : grid_time(g, g->nr - 1);
    ev->selections[ev->selections_nr++] =
        (struct selection){ .min_ms = from_ms - ev->lookback_ms + 1 - m.offset_ms,
                            .max_ms = to_ms - m.offset_ms,
                            .late = true };
    if (!build_child(ev, p, first, wrap, &n->base.args[0], err))
        return false;
    n->base.args[1] = ranked(ev, &s->base);
    *out = ranked(ev, &n->base);
    return true;
}

static bool
build_plain_call(struct eval *ev, struct place p, struct expr *e, const struct node_ops *ops,
                 bool wrap, struct node **out, struct error *err)
{
    struct call_node *n =
        NODE_NEW(ev, struct call_node, ops, p.frame, e, (uint32_t)e->call.args_nr);

    n->fn = e->call.fn->id;
    n->expr = &e->call;
    for (size_t i = 0; i < e->call.args_nr && i < ARRAY_LEN(n->arg_pos); i++)
        n->arg_pos[i] = p.plain ? e->call.args[i]->pos : expr_unwrapped(e->call.args[i])->pos;
    if (!build_args(ev, p, e, wrap, &n->base, err))
        return false;
    *out = ranked(ev, &n->base);
    return true;
}

static void
note_buckets(struct place *p, enum function_id fn)
{
    p->stats |= fn == FN_HISTOGRAM_COUNT || fn == FN_HISTOGRAM_SUM || fn == FN_HISTOGRAM_AVG;
    p->buckets |=
        fn == FN_HISTOGRAM_QUANTILE || fn == FN_HISTOGRAM_QUANTILES || fn == FN_HISTOGRAM_FRACTION;
}

static bool
build_call(struct eval *ev, struct place p, struct expr *e, struct node **out, struct error *err)
{
    const struct call_expr *call = &e->call;
    bool wrap = !plan_invariance(e).whole;

    if (plan_is_constant(e))
        return build_number(ev, p, e, query_constant(ev, call->fn->id), out);
    p.func = call->fn->name;
    p.by = NULL;
    note_buckets(&p, call->fn->id);
    for (size_t i = 0; i < call->args_nr; i++)
        if (plan_is_range(expr_unwrapped(call->args[i])))
            return call->fn->id == FN_ABSENT_OVER_TIME
                       ? build_absent_range(ev, p, e, wrap, out, err)
                       : build_range(ev, p, e, wrap, out, err);
    if (call->fn->id == FN_TIMESTAMP && expr_unwrapped(call->args[0])->kind == EXPR_SELECTOR)
        return build_selector(ev, p, expr_unwrapped(call->args[0]), true, out);
    if (call->fn->id == FN_INFO)
        return build_info(ev, p, e, wrap, out, err);
    const struct node_ops *ops = call_ops(call);
    return ops == NULL ? build_math(ev, p, e, wrap, out, err)
                       : build_plain_call(ev, p, e, ops, wrap, out, err);
}

/* ---- operators ---- */

static const struct node_ops *
binary_ops(const struct binary_expr *b)
{
    bool left = b->lhs->type == VALUE_SCALAR, right = b->rhs->type == VALUE_SCALAR;

    if (left && right)
        return &binary_scalar_ops;
    if (left || right)
        return &binary_mixed_ops;
    return op_is_set(b->op) ? &set_ops : &join_ops;
}

static bool
build_binary(struct eval *ev, struct place p, struct expr *e, struct node **out, struct error *err)
{
    const struct binary_expr *b = &e->binary;
    struct binary_node *n = NODE_NEW(ev, struct binary_node, binary_ops(b), p.frame, e, 2);
    bool wrap = !plan_invariance(e).whole;

    n->expr = b;
    n->op = b->op;
    n->return_bool = b->return_bool;
    p.buckets |= b->op == OP_TRIM_UPPER || b->op == OP_TRIM_LOWER;
    p.func = NULL;
    p.by = NULL;
    if (!build_child(ev, p, b->lhs, wrap, &n->base.args[0], err) ||
        !build_child(ev, p, b->rhs, wrap, &n->base.args[1], err))
        return false;
    *out = ranked(ev, &n->base);
    return true;
}

static bool
build_unary(struct eval *ev, struct place p, struct expr *e, struct node **out, struct error *err)
{
    if (e->unary.op != OP_SUB)
        return build(ev, p, e->unary.inner, out, err);
    struct node *n = node_new(ev, sizeof *n, &negate_ops, p.frame, e, 1);
    if (!build(ev, p, e->unary.inner, &n->args[0], err))
        return false;
    *out = ranked(ev, n);
    return true;
}

static const struct node_ops *
aggregate_ops(enum aggregate_op op)
{
    switch (op) {
    case AGGR_TOPK:
    case AGGR_BOTTOMK:
    case AGGR_LIMITK:
        return &topk_ops;
    case AGGR_LIMIT_RATIO:
        return &ratio_ops;
    case AGGR_QUANTILE:
        return &quantile_ops;
    case AGGR_COUNT_VALUES:
        return &count_values_ops;
    default:
        return &fold_ops;
    }
}

/* args[0] is the operand, args[1] the parameter; the parameter is evaluated first. */
static bool
build_aggregate(struct eval *ev, struct place p, struct expr *e, struct node **out,
                struct error *err)
{
    const struct aggregate_expr *a = &e->aggregate;
    struct aggregate_node *n =
        NODE_NEW(ev, struct aggregate_node, aggregate_ops(a->op), p.frame, e, 2);
    struct expr *inner = expr_unwrapped(a->inner),
                *param = a->param == NULL ? NULL : expr_unwrapped(a->param);
    struct place plain = p;

    n->expr = a;
    n->op = a->op;
    n->inner_pos = inner->pos;
    n->base.args_nr = 1;
    plain.plain = true;
    if (param != NULL && param->type != VALUE_STRING) {
        n->param_pos = param->pos;
        n->param_constant = param->kind == EXPR_NUMBER || plan_is_constant(param);
        n->base.args_nr = 2;
        if (!build(ev, plain, param, &n->base.args[1], err))
            return false;
    }
    p.func = promql_aggregates[a->op].name;
    p.by = a;
    if (!build(ev, p, inner, &n->base.args[0], err))
        return false;
    *out = ranked(ev, &n->base);
    return true;
}

static bool
build_string(struct eval *ev, struct place p, struct expr *e, struct node **out)
{
    struct string_node *n = NODE_NEW(ev, struct string_node, &string_ops, p.frame, e, 0);

    n->v = e->string.v;
    *out = ranked(ev, &n->base);
    return true;
}

static bool
build_kind(struct eval *ev, struct place p, struct expr *e, struct node **out, struct error *err)
{
    switch (e->kind) {
    case EXPR_NUMBER:
        return build_number(ev, p, e, e->number.v, out);
    case EXPR_STRING:
        return build_string(ev, p, e, out);
    case EXPR_PAREN:
        return build(ev, p, e->paren.inner, out, err);
    case EXPR_UNARY:
        return build_unary(ev, p, e, out, err);
    case EXPR_BINARY:
        return build_binary(ev, p, e, out, err);
    case EXPR_CALL:
        return build_call(ev, p, e, out, err);
    case EXPR_AGGREGATE:
        return build_aggregate(ev, p, e, out, err);
    case EXPR_SELECTOR:
        return build_selector(ev, p, e, false, out);
    case EXPR_MATRIX:
    case EXPR_SUBQUERY:
        return build_raw(ev, p, e, out, err);
    case EXPR_STEP_INVARIANT:
        return build(ev, p, e->step_invariant.inner, out, err);
    default:
        return error_set(err, ERR_INTERNAL, "no plan for an expression of kind %d", (int)e->kind);
    }
}

static bool
build(struct eval *ev, struct place p, struct expr *e, struct node **out, struct error *err)
{
    if (!build_kind(ev, p, e, out, err))
        return false;
    plan_share(ev, &p, e, *out);
    return true;
}

bool
plan_build(struct eval *ev, struct expr *e, struct node **root, struct error *err)
{
    struct place p = { .hint_step_ms = ev->step_ms };

    ev->parts_nr = ev->nodes_nr = ev->ranks_nr = 0;
    p.frame = frame_new(ev, ev->slice_start_ms, ev->slice_end_ms, MAX(ev->step_ms, (int64_t)1));
    p.frame->instant = ev->start_ms == ev->end_ms;
    if (!build_child(ev, p, e, true, root, err))
        return false;
    if (ev->delayed_names && e->type == VALUE_VECTOR)
        *root = without_names(ev, *root, e);
    return true;
}
