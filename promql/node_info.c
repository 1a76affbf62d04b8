/* info(v, {selector}): adds to each series the labels of info series that have the same "instance"
 * and "job" (experimental).
 *
 * Which info series there are is known when v's labels are, so they are selected when the node is
 * opened. At each step the newest sample of a metric with the same identifying labels counts; two
 * equally new ones are an error. A series may get other labels at other steps, and is then several
 * series in the result. */
#include "promql/exec_priv.h"

#include <math.h>

#define NO_SERIES UINT32_MAX

struct info_key {
    symbol_id name, instance, job;
};

struct info {
    struct eval *ev;
    struct call_node *n;
    struct node *base, *infos;
    const struct matcher *matchers; /* of the second argument */
    size_t matchers_nr;
    bool positive, negative; /* there are matchers on the name that ask for, or exclude */
    symbol_id instance, job;
    size_t steps;

    struct info_key *keys; /* distinct ones of info series */
    uint32_t **newest;     /* per key: the info series that counts at each step, or NO_SERIES */
    size_t keys_nr, keys_cap;
    symbol_id *names; /* distinct metrics */
    uint32_t names_nr;

    uint64_t *base_any;
    size_t failed_at; /* the first step with a mistake; steps: none */
    struct error failure;

    struct series_index outs;
    struct column *columns;
    size_t columns_cap;
};

static bool
is_name(const struct matcher *m)
{
    return str_eq(m->name, LABEL_NAME);
}

/* Whether a metric is one that info series are taken from. */
static bool
is_info_name(const struct info *f, struct str name)
{
    if (!f->positive && !f->negative)
        return str_is(name, "target_info");
    if (!f->positive && !(name.n > 5 && str_ends(name, STR("_info"))))
        return false;
    for (size_t i = 0; i < f->matchers_nr; i++)
        if (is_name(&f->matchers[i]) && !matcher_matches(&f->matchers[i], name))
            return false;
    return true;
}

static void
read_matchers(struct info *f)
{
    const struct call_expr *call = f->n->expr;

    if (call->args_nr < 2)
        return;
    const struct selector_expr *sel = &expr_unwrapped(call->args[1])->selector;
    f->matchers = sel->matchers;
    f->matchers_nr = sel->matchers_nr;
    for (size_t i = 0; i < f->matchers_nr; i++) {
        enum match_type type = f->matchers[i].type;

        f->positive |= is_name(&f->matchers[i]) && (type == MATCH_EQ || type == MATCH_RE);
        f->negative |= is_name(&f->matchers[i]) && (type == MATCH_NE || type == MATCH_NRE);
    }
}

static bool
enriched(const struct info *f, uint32_t i)
{
    return !is_info_name(f, series_name(f->ev, &f->base->series[i]));
}

/* ---- selecting ---- */

static bool
select_infos(struct info *f, struct error *err)
{
    struct eval *ev = f->ev;
    struct selection *s = &ev->selections[((struct select_node *)f->infos)->selection];
    struct matcher *m = ARENA_NEW_ARRAY(ev->arena, struct matcher, f->matchers_nr + 1);

    for (size_t i = 0; i < f->matchers_nr; i++)
        m[i] = f->matchers[i];
    s->matchers = m;
    s->matchers_nr = f->matchers_nr;
    if (!f->positive && !f->negative)
        m[s->matchers_nr++] =
            (struct matcher){ .type = MATCH_EQ, .name = LABEL_NAME, .value = STR("target_info") };
    s->hints.min_ms = s->min_ms;
    s->hints.max_ms = s->max_ms;
    s->hints.func = STR("info");
    if (!querier_select(ev->q, s->matchers, s->matchers_nr, &s->hints, &s->set, err))
        return error_wrap(err, "expanding series");
    return node_open(ev, f->infos, err) && node_hold(ev, f->infos, err);
}

static bool
known(const struct names *values, symbol_id v)
{
    return values->nr == 0 || names_has(values, v);
}

static void
learn(struct names *values, symbol_id v)
{
    if (v != SYMBOL_EMPTY && !names_has(values, v))
        values->v[values->nr++] = v;
}

/* ---- what counts at each step ---- */

static size_t
key_of(struct info *f, struct info_key key, bool add)
{
    for (size_t i = 0; i < f->keys_nr; i++)
        if (memcmp(&f->keys[i], &key, sizeof key) == 0)
            return i;
    if (!add)
        return SIZE_MAX;
    size_t cap = f->keys_cap;
    ARENA_GROW(f->ev->arena, f->keys, f->keys_nr, f->keys_nr + 1, &cap);
    ARENA_GROW(f->ev->arena, f->newest, f->keys_nr, f->keys_nr + 1, &f->keys_cap);
    f->keys[f->keys_nr] = key;
    f->newest[f->keys_nr] = arena_alloc(f->ev->arena, f->steps * sizeof(uint32_t));
    memset(f->newest[f->keys_nr], 0xff, f->steps * sizeof(uint32_t));
    return f->keys_nr++;
}

static struct info_key
key_with(const struct info *f, symbol_id name, const struct series *s)
{
    return (struct info_key){ name, pairs_get(s, f->instance), pairs_get(s, f->job) };
}

static void
duplicate(struct info *f, size_t k, uint32_t existing, uint32_t added)
{
    struct buf a = { 0 }, b = { 0 };
    const struct node *n = f->infos;

    labels_print(series_text(f->ev, &n->series[existing], f->ev->arena), &a);
    labels_print(series_text(f->ev, &n->series[added], f->ev->arena), &b);
    f->failed_at = k;
    error_set(&f->failure, ERR_EXECUTION,
              "found duplicate series for info metric: existing %.*s @ %lld, new %.*s @ %lld",
              STR_ARG(buf_as_str(&a)), llround(n->held[existing].v[k] * 1000),
              STR_ARG(buf_as_str(&b)), llround(n->held[added].v[k] * 1000));
    buf_fini(&a);
    buf_fini(&b);
}

static void
add_info(struct info *f, uint32_t i)
{
    const struct series *s = &f->infos->series[i];
    const struct column *c = &f->infos->held[i], *held = f->infos->held;
    size_t key = key_of(f, key_with(f, pairs_get(s, f->ev->name_id), s), true);
    uint32_t *newest = f->newest[key];

    for (size_t k = 0; k < f->steps; k++) {
        if (!column_has(c, k))
            continue;
        if (newest[k] == NO_SERIES || held[newest[k]].v[k] < c->v[k])
            newest[k] = i;
        else if (held[newest[k]].v[k] == c->v[k] && k < f->failed_at &&
                 (f->base_any[k / 64] >> (k % 64) & 1) != 0)
            duplicate(f, k, newest[k], i);
    }
}

static void
add_infos(struct info *f)
{
    struct names instances, jobs, names;
    uint32_t base_nr = f->base->series_nr, nr = f->infos->series_nr;

    instances = (struct names){ ARENA_NEW_ARRAY(f->ev->arena, symbol_id, base_nr), 0 };
    jobs = (struct names){ ARENA_NEW_ARRAY(f->ev->arena, symbol_id, base_nr), 0 };
    names = (struct names){ ARENA_NEW_ARRAY(f->ev->arena, symbol_id, nr + 1), 0 };
    for (uint32_t i = 0; i < base_nr; i++) {
        if (f->base->held[i].present_nr == 0 || !enriched(f, i))
            continue;
        learn(&instances, pairs_get(&f->base->series[i], f->instance));
        learn(&jobs, pairs_get(&f->base->series[i], f->job));
    }
    for (uint32_t i = 0; i < nr && (instances.nr > 0 || jobs.nr > 0); i++) {
        const struct series *s = &f->infos->series[i];

        if (f->infos->held[i].present_nr == 0 || !is_info_name(f, series_name(f->ev, s)) ||
            !known(&instances, pairs_get(s, f->instance)) || !known(&jobs, pairs_get(s, f->job)))
            continue;
        learn(&names, pairs_get(s, f->ev->name_id));
        add_info(f, i);
    }
    f->names = names.v;
    f->names_nr = names.nr;
}

/* ---- combining ---- */

static bool
wanted_label(const struct info *f, struct str name)
{
    bool any = false;

    for (size_t i = 0; i < f->matchers_nr; i++) {
        if (is_name(&f->matchers[i]))
            continue;
        any = true;
        if (str_eq(f->matchers[i].name, name))
            return true;
    }
    return !any;
}

static bool
empty_will_do(const struct info *f)
{
    for (size_t i = 0; i < f->matchers_nr; i++)
        if (!is_name(&f->matchers[i]) && !matcher_matches_empty(&f->matchers[i]))
            return false;
    return true;
}

/* Labels of one info series go into `more`, unless the base series has them. */
static bool
take_labels(struct info *f, const struct series *base, const struct series *info,
            struct series *more, size_t k)
{
    for (uint32_t i = 0; i < info->nr; i++) {
        symbol_id name = info->pairs[i].name, there = pairs_get(more, name);

        if (name == f->ev->name_id || !wanted_label(f, eval_text(f->ev, name)))
            continue;
        if (there != SYMBOL_EMPTY && there != info->pairs[i].value) {
            if (k < f->failed_at) {
                f->failed_at = k;
                error_set(&f->failure, ERR_EXECUTION, "conflicting label: %.*s",
                          STR_ARG(eval_text(f->ev, name)));
            }
            return false;
        }
        if (pairs_get(base, name) == SYMBOL_EMPTY)
            *more = series_set_label(f->ev, more, name, info->pairs[i].value);
    }
    return true;
}

/* The result that base series b belongs to at step k, or NO_SERIES. rows: the info series of each
 * metric per step. */
static uint32_t
out_at(struct info *f, uint32_t b, uint32_t *const *rows, size_t k)
{
    const struct series *base = &f->base->series[b];
    struct series more = { 0 }, out = *base;
    bool found = false, added;

    for (uint32_t i = 0; i < f->names_nr && rows != NULL; i++) {
        if (rows[i] == NULL || rows[i][k] == NO_SERIES)
            continue;
        found = true;
        if (!take_labels(f, base, &f->infos->series[rows[i][k]], &more, k))
            return NO_SERIES;
    }
    if (rows != NULL && !found && !empty_will_do(f))
        return NO_SERIES;
    for (uint32_t i = 0; i < more.nr; i++)
        out = series_set_label(f->ev, &out, more.pairs[i].name, more.pairs[i].value);
    uint32_t at = series_index_add(&f->outs, &out, &added);
    if (added) {
        ARENA_GROW(f->ev->arena, f->columns, at, at + 1u, &f->columns_cap);
        column_new(f->ev->arena, &f->columns[at], f->steps, f->base->held[b].h != NULL);
    }
    return at;
}

static bool
same_rows(const struct info *f, uint32_t *const *rows, size_t a, size_t b)
{
    for (uint32_t i = 0; rows != NULL && i < f->names_nr; i++)
        if (rows[i] != NULL && rows[i][a] != rows[i][b])
            return false;
    return true;
}

static bool
put_point(struct info *f, uint32_t at, const struct column *c, size_t k)
{
    struct column *out = &f->columns[at];

    if (column_has(out, k))
        return false;
    column_mark(out, k);
    out->v[k] = c->v[k];
    if (column_histogram(c, k) != NULL) {
        if (out->h == NULL)
            out->h = ARENA_NEW_ARRAY(f->ev->arena, const struct histogram *, f->steps);
        out->h[k] = c->h[k];
    }
    return true;
}

static void
combine_series(struct info *f, uint32_t b)
{
    const struct column *c = &f->base->held[b];
    uint32_t **rows = NULL, at = NO_SERIES;
    size_t last = SIZE_MAX;

    if (enriched(f, b)) {
        rows = ARENA_NEW_ARRAY(f->ev->arena, uint32_t *, f->names_nr);
        for (uint32_t i = 0; i < f->names_nr; i++) {
            size_t key = key_of(f, key_with(f, f->names[i], &f->base->series[b]), false);
            rows[i] = key == SIZE_MAX ? NULL : f->newest[key];
        }
    }
    for (size_t k = 0; k < f->steps; k++) {
        if (!column_has(c, k))
            continue;
        if (last == SIZE_MAX || !same_rows(f, rows, last, k))
            at = out_at(f, b, rows, k);
        last = k;
        if (at != NO_SERIES && !put_point(f, at, c, k) && k < f->failed_at) {
            f->failed_at = k;
            error_same_labels(&f->failure);
        }
    }
}

static void
any_base(struct info *f)
{
    f->base_any = ARENA_NEW_ARRAY(f->ev->arena, uint64_t, COLUMN_WORDS(f->steps));
    for (uint32_t i = 0; i < f->base->series_nr; i++)
        for (size_t w = 0; w < COLUMN_WORDS(f->steps); w++)
            f->base_any[w] |= f->base->held[i].present[w];
}

static void
info_results(struct info *f, struct node *n)
{
    n->series = f->outs.items;
    n->series_nr = n->sources_nr = f->outs.nr;
    n->held = f->columns != NULL ? f->columns : ARENA_NEW_ARRAY(f->ev->arena, struct column, 1);
    for (uint32_t i = 0; i < n->series_nr; i++) {
        column_count(&n->held[i]);
        tally_column(&f->ev->workers[0].tallies[n->id], &n->held[i]);
    }
}

static bool
info_open(struct eval *ev, struct node *n, struct error *err)
{
    struct info f = {
        .ev = ev, .n = (struct call_node *)n, .base = n->args[0], .infos = n->args[1]
    };

    f.steps = f.failed_at = node_steps(n);
    f.instance = eval_symbol(ev, LABEL_INSTANCE);
    f.job = eval_symbol(ev, LABEL_JOB);
    read_matchers(&f);
    if (!node_open(ev, f.base, err) || !node_hold(ev, f.base, err) || !select_infos(&f, err))
        return false;
    any_base(&f);
    add_infos(&f);
    series_index_init(&f.outs, ev->arena);
    for (uint32_t b = 0; b < f.base->series_nr; b++)
        if (f.base->held[b].present_nr > 0)
            combine_series(&f, b);
    series_index_fini(&f.outs);
    if (f.failed_at < f.steps)
        error_copy(err, &f.failure);
    error_clear(&f.failure);
    if (f.failed_at < f.steps)
        return false;
    info_results(&f, n);
    return true;
}

const struct node_ops info_ops = { info_open, NULL };
