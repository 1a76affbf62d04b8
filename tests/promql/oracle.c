/* From text to result: parse, fold what is known before evaluation, mark step-invariant parts,
 * evaluate, sort. */
#include "oracle_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "promql/annotations.h"
#include "promql/parser.h"

void
oracle_fail(struct oracle *o, const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    error_ignored(error_set(o->err, ERR_EXECUTION, "%s", text));
    longjmp(o->failed, 1);
}

/* ---- annotations ---- */

/* a is the older one. */
static void
merge_monotonicity(struct note *a, const struct note *b)
{
    a->min_ms = MIN(a->min_ms, b->min_ms);
    a->max_ms = MAX(a->max_ms, b->max_ms);
    a->bucket_min = b->bucket_min < a->bucket_min ? b->bucket_min : a->bucket_min;
    a->bucket_max = b->bucket_max > a->bucket_max ? b->bucket_max : a->bucket_max;
    a->diff_max = b->diff_max > a->diff_max ? b->diff_max : a->diff_max;
    a->nr += b->nr;
}

void
oracle_note(struct oracle *o, struct note note)
{
    for (size_t i = 0; i < o->notes_nr; i++) {
        struct note *old = &o->notes[i];

        if (!str_eq(old->text, note.text))
            continue;
        if (note.monotonicity)
            merge_monotonicity(old, &note);
        else
            *old = note;
        return;
    }
    ARENA_GROW(o->arena, o->notes, o->notes_nr, o->notes_nr + 1, &o->notes_cap);
    o->notes[o->notes_nr++] = note;
}

static void
note_text(struct oracle *o, const struct expr *e, bool warning, const char *fmt, va_list ap)
{
    char text[1024];

    vsnprintf(text, sizeof text, fmt, ap);
    oracle_note(o, (struct note){ .text = arena_printf(o->arena, "PromQL %s: %s",
                                                       warning ? "warning" : "info", text),
                                  .start = e == NULL ? 0 : e->pos.start,
                                  .warning = warning });
}

void
oracle_warn(struct oracle *o, const struct expr *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    note_text(o, e, true, fmt, ap);
    va_end(ap);
}

void
oracle_info(struct oracle *o, const struct expr *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    note_text(o, e, false, fmt, ap);
    va_end(ap);
}

static struct str
time_text(struct arena *a, int64_t t_ms)
{
    time_t t = (time_t)(t_ms / 1000);
    char text[40];
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return arena_str(a, str_c(text));
}

static struct str
full_text(struct oracle *o, const struct note *n)
{
    size_t line = 1, column = 1;
    char low[ANNO_NUMBER_BYTES], high[ANNO_NUMBER_BYTES];

    for (size_t i = 0; i < n->start && i < o->text.n; i++) {
        column = o->text.p[i] == '\n' ? 1 : column + 1;
        line += o->text.p[i] == '\n';
    }
    if (!n->monotonicity)
        return arena_printf(o->arena, "%.*s (%zu:%zu)", STR_ARG(n->text), line, column);
    struct str from = time_text(o->arena, n->min_ms), to = time_text(o->arena, n->max_ms);
    return arena_printf(o->arena,
                        "%.*s, from buckets %s to %s, with a max diff of %.2g, over %zu samples "
                        "from %.*s to %.*s (%zu:%zu)",
                        STR_ARG(n->text), anno_number(n->bucket_min, low),
                        anno_number(n->bucket_max, high), n->diff_max, n->nr, STR_ARG(from),
                        STR_ARG(to), line, column);
}

static int
by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void
list_notes(struct oracle *o, bool warnings, const struct str **texts, size_t *nr)
{
    struct str *out = ARENA_NEW_ARRAY(o->arena, struct str, o->notes_nr + 1);

    *nr = 0;
    for (size_t i = 0; i < o->notes_nr; i++)
        if (o->notes[i].warning == warnings)
            out[(*nr)++] = full_text(o, &o->notes[i]);
    qsort(out, *nr, sizeof *out, by_text);
    *texts = out;
}

/* ---- before evaluation ---- */

static void
fold_one(struct oracle *o, struct expr *e)
{
    double v;

    if (e->kind != EXPR_CALL)
        return;
    switch (e->call.fn->id) {
    case FN_START:
        v = (double)o->start_ms / 1000;
        break;
    case FN_END:
        v = (double)o->end_ms / 1000;
        break;
    case FN_RANGE:
        v = (double)(o->end_ms - o->start_ms) / 1000;
        break;
    case FN_STEP:
        v = o->start_ms == o->end_ms ? 0 : (double)o->step_ms / 1000;
        break;
    default:
        return;
    }
    e->kind = EXPR_NUMBER;
    e->number = (struct number_expr){ .v = v };
}

static bool
fold_visit(struct expr *e, void *arg)
{
    fold_one(arg, e);
    return true;
}

static void
unwrap(struct expr **e)
{
    while (*e != NULL && (*e)->kind == EXPR_PAREN)
        *e = (*e)->paren.inner;
}

static void
wrap(struct oracle *o, struct expr **e)
{
    struct expr *outer = ARENA_NEW(o->arena, struct expr);

    *outer = (struct expr){
        .kind = EXPR_STEP_INVARIANT, .type = (*e)->type, .pos = (*e)->pos, .height = (*e)->height
    };
    outer->step_invariant.inner = *e;
    *e = outer;
}

struct invariant {
    bool is, wrap;
};

static struct invariant mark(struct oracle *o, struct expr *e);

static bool
fix_at(struct oracle *o, struct time_shift *s)
{
    if (s->at == AT_START)
        s->at_ms = o->start_ms;
    else if (s->at == AT_END)
        s->at_ms = o->end_ms;
    /* Not reached in an aggregation's parameter: there start() and end() have no effect. */
    s->at = s->at == AT_NONE ? AT_NONE : AT_TIME;
    return s->at == AT_TIME;
}

static bool
unsafe_at(enum function_id fn)
{
    switch (fn) {
    case FN_DAYS_IN_MONTH:
    case FN_DAY_OF_MONTH:
    case FN_DAY_OF_WEEK:
    case FN_DAY_OF_YEAR:
    case FN_HOUR:
    case FN_MINUTE:
    case FN_MONTH:
    case FN_YEAR:
    case FN_PREDICT_LINEAR:
    case FN_TIME:
    case FN_TIMESTAMP:
        return true;
    default:
        return false;
    }
}

static struct invariant
mark_call(struct oracle *o, struct expr *e)
{
    struct call_expr *c = &e->call;
    bool whole = !unsafe_at(c->fn->id), timestamp = c->fn->id == FN_TIMESTAMP;
    bool *wraps = ARENA_NEW_ARRAY(o->arena, bool, c->args_nr + 1);

    for (size_t i = 0; i < c->args_nr; i++) {
        unwrap(&c->args[i]);
        struct invariant arg = mark(o, c->args[i]);
        wraps[i] = arg.wrap;
        whole = whole && arg.is;
        timestamp = timestamp && arg.is && c->args[i]->kind == EXPR_SELECTOR;
    }
    if (whole || timestamp)
        return (struct invariant){ true, true };
    for (size_t i = 0; i < c->args_nr; i++)
        if (wraps[i])
            wrap(o, &c->args[i]);
    return (struct invariant){ false, false };
}

static struct invariant
mark_binary(struct oracle *o, struct expr *e)
{
    struct invariant l = mark(o, e->binary.lhs), r = mark(o, e->binary.rhs);

    if (l.is && r.is)
        return (struct invariant){ true, true };
    if (l.wrap)
        wrap(o, &e->binary.lhs);
    if (r.wrap)
        wrap(o, &e->binary.rhs);
    return (struct invariant){ false, false };
}

static struct invariant
mark(struct oracle *o, struct expr *e)
{
    bool at;

    switch (e->kind) {
    case EXPR_SELECTOR:
        at = fix_at(o, &e->selector.shift);
        return (struct invariant){ at, at };
    case EXPR_AGGREGATE:
        unwrap(&e->aggregate.inner);
        unwrap(&e->aggregate.param);
        return mark(o, e->aggregate.inner);
    case EXPR_BINARY:
        return mark_binary(o, e);
    case EXPR_CALL:
        return mark_call(o, e);
    case EXPR_MATRIX:
        return (struct invariant){ mark(o, e->matrix.selector).is, false };
    case EXPR_SUBQUERY:
        if (mark(o, e->subquery.inner).is)
            wrap(o, &e->subquery.inner);
        return (struct invariant){ fix_at(o, &e->subquery.shift), false };
    case EXPR_PAREN:
        return mark(o, e->paren.inner);
    case EXPR_UNARY:
        return mark(o, e->unary.inner);
    default:
        return (struct invariant){ true, false };
    }
}

/* Below histogram_count and its like only count and sum are decoded, unless something on the way
 * down needs the buckets. */
static void
mark_stats(struct expr *e, bool stats, bool buckets)
{
    struct expr *child;

    if (e->kind == EXPR_SELECTOR)
        e->selector.skip_buckets = stats && !buckets;
    if (e->kind == EXPR_MATRIX)
        mark_stats(e->matrix.selector, stats, buckets);
    if (e->kind == EXPR_CALL) {
        enum function_id fn = e->call.fn->id;

        stats =
            stats || fn == FN_HISTOGRAM_COUNT || fn == FN_HISTOGRAM_SUM || fn == FN_HISTOGRAM_AVG;
        buckets = buckets || fn == FN_HISTOGRAM_QUANTILE || fn == FN_HISTOGRAM_QUANTILES ||
                  fn == FN_HISTOGRAM_FRACTION;
    }
    buckets = buckets || e->kind == EXPR_SUBQUERY ||
              (e->kind == EXPR_BINARY &&
               (e->binary.op == OP_TRIM_UPPER || e->binary.op == OP_TRIM_LOWER));
    for (size_t i = 0; (child = expr_child(e, i)) != NULL; i++)
        mark_stats(child, stats, buckets);
}

/* ---- the result ---- */

static int
point_order(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static struct result_series
result_of(struct oracle *o, const struct oseries *s)
{
    size_t nr = s->f_nr + s->h_nr, f = 0, h = 0;
    int64_t *t = ARENA_NEW_ARRAY(o->arena, int64_t, nr + 1);
    double *v = ARENA_NEW_ARRAY(o->arena, double, nr + 1);
    const struct histogram **hs = ARENA_NEW_ARRAY(o->arena, const struct histogram *, nr + 1);

    for (size_t i = 0; i < nr; i++) {
        bool is_float =
            h == s->h_nr || (f < s->f_nr && point_order(s->f[f].t_ms, s->h[h].t_ms) <= 0);

        t[i] = is_float ? s->f[f].t_ms : s->h[h].t_ms;
        v[i] = is_float ? s->f[f].v : 0;
        hs[i] = is_float ? NULL : s->h[h].h;
        f += is_float;
        h += !is_float;
    }
    return (struct result_series){
        .labels = s->labels, .t_ms = t, .v = v, .h = s->h_nr > 0 ? hs : NULL, .nr = nr
    };
}

static int
by_labels(const void *a, const void *b)
{
    return labels_cmp(((const struct result_series *)a)->labels,
                      ((const struct result_series *)b)->labels);
}

static void
set_result(struct oracle *o, struct matrix m, struct query_result *r)
{
    bool instant_vector = o->step_ms == 0 && r->type == VALUE_VECTOR;

    r->series = ARENA_NEW_ARRAY(o->arena, struct result_series, m.nr + 1);
    for (size_t i = 0; i < m.nr; i++) {
        r->series[r->series_nr] = result_of(o, &m.v[i]);
        if (instant_vector) /* values looked up elsewhere show the query's time */
            *(int64_t *)(uintptr_t)r->series[r->series_nr].t_ms = o->start_ms;
        r->series_nr++;
    }
    if (!instant_vector)
        qsort(r->series, r->series_nr, sizeof r->series[0], by_labels);
}

static struct matrix
drop_names(struct ev *ev, struct matrix m)
{
    if (!ev->o->options.all_features)
        return m;
    for (size_t i = 0; i < m.nr; i++)
        if (m.v[i].drop_name)
            m.v[i].labels = labels_unnamed(ev->o->arena, m.v[i].labels);
    return merge_same_labels(ev, m);
}

static void
evaluate(struct oracle *o, struct expr *e, struct query_result *r)
{
    struct ev ev = { o, o->start_ms, o->end_ms, o->step_ms == 0 ? 1 : o->step_ms };

    r->t_ms = o->start_ms;
    r->type = o->step_ms > 0 ? VALUE_MATRIX : e->type;
    if (e->type == VALUE_STRING) {
        r->string = expr_unwrapped(e)->string.v;
        return;
    }
    struct matrix m = drop_names(&ev, oracle_eval(&ev, e));
    if (r->type == VALUE_SCALAR)
        r->scalar = m.v[0].f[0].v;
    else
        set_result(o, m, r);
}

static bool
run(struct oracle *o, struct expr *e, struct query_result *r)
{
    if (setjmp(o->failed) != 0)
        return false;
    mark_stats(e, false, false);
    error_ignored(expr_walk(e, fold_visit, o));
    if (!promql_resolve_durations(e, o->start_ms, o->end_ms, o->step_ms, o->err))
        return false;
    if (mark(o, e).wrap)
        wrap(o, &e);
    oracle_place(e, o->start_ms);
    evaluate(o, e, r);
    list_notes(o, true, &r->warnings, &r->warnings_nr);
    list_notes(o, false, &r->infos, &r->infos_nr);
    return true;
}

bool
oracle_query(const struct oracle_options *options, struct queryable *storage,
             const struct query *query, struct query_result *result, struct error *err)
{
    bool all = options->all_features, ok = false;
    struct promql_parse_options parse = { all, true, all, all };
    struct arena *arena = MEM_NEW(struct arena);
    struct oracle *o;

    arena_init(arena, SIZE_MAX);
    o = ARENA_NEW(arena, struct oracle);
    o->options = *options;
    o->arena = arena;
    o->text = query->text;
    o->start_ms = query->start_ms;
    o->end_ms = query->end_ms;
    o->step_ms = query->step_ms;
    o->err = err;
    *result = (struct query_result){ .arena = arena };
    struct expr *e = promql_parse(arena, query->text, &parse, err);
    if (e != NULL && querier_open(storage, INT64_MIN, INT64_MAX, &o->querier, err)) {
        ok = run(o, e, result);
        querier_close(o->querier);
    }
    expr_fini(e);
    if (!ok) {
        arena_fini(arena);
        mem_free(arena);
    }
    return ok;
}
