#include "at_variants.h"
#include "promql/parser.h"
#include "promql/printer.h"

static const struct promql_parse_options all_on = {
    .experimental_functions = true,
    .duration_expressions = true,
    .extended_ranges = true,
    .fill_modifiers = true,
};

bool
depends_on_bounds(struct str query)
{
    static const char *const calls[] = { "start()", "end()", "range()", "step()" };

    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (memmem(query.p, query.n, calls[i], strlen(calls[i])) != NULL)
            return true;
    }
    return false;
}

static bool
is_timeless(struct expr *e, void *arg)
{
    if (e->kind != EXPR_CALL)
        return true;
    switch (e->call.fn->id) {
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
    case FN_START:
    case FN_END:
    case FN_STEP:
    case FN_RANGE:
        return false;
    default:
        return true;
    }
}

static void
set_at(struct time_shift *shift, int64_t t_ms)
{
    if (shift->at == AT_NONE) {
        shift->at = AT_TIME;
        shift->at_ms = t_ms;
    }
}

/* What is inside a subquery moves with it. */
static void
pin(struct expr *e, int64_t t_ms)
{
    struct expr *child;

    if (e->kind == EXPR_SELECTOR)
        set_at(&e->selector.shift, t_ms);
    if (e->kind == EXPR_SUBQUERY) {
        set_at(&e->subquery.shift, t_ms);
        return;
    }
    for (size_t i = 0; (child = expr_child(e, i)) != NULL; i++)
        pin(child, t_ms);
}

bool
at_variant(struct str query, int64_t t_ms, struct buf *out)
{
    struct promql_errors errors = { .max = 1 };
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    struct expr *e = promql_parse_all(&arena, query, &all_on, &errors);
    bool ok = e != NULL && !depends_on_bounds(query) && expr_walk(e, is_timeless, NULL);
    if (ok) {
        pin(e, t_ms);
        expr_print(e, out);
    }
    expr_fini(e);
    arena_fini(&arena);
    return ok;
}
