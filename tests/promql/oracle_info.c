/* info(): labels of info metrics, joined on job and instance. */
#include "oracle_priv.h"

struct info {
    const struct matcher **names; /* conditions on the info metric's name */
    size_t names_nr;
    struct matcher *data; /* on its other labels */
    size_t data_nr;
    struct matrix series; /* values are the times of the samples */
};

static const struct str identifying[] = { STR("instance"), STR("job") };

static bool
all_match(const struct matcher **m, size_t nr, struct str value)
{
    for (size_t i = 0; i < nr; i++)
        if (!matcher_matches(m[i], value))
            return false;
    return true;
}

/* Without a positive condition names end in _info; without any it is target_info. */
static bool
name_matches(const struct info *f, struct str name)
{
    bool positive = false;

    for (size_t i = 0; i < f->names_nr; i++)
        positive = positive || f->names[i]->type == MATCH_EQ || f->names[i]->type == MATCH_RE;
    if (f->names_nr == 0)
        return str_is(name, "target_info");
    if (!positive && !(name.n > 5 && str_ends(name, STR("_info"))))
        return false;
    return all_match(f->names, f->names_nr, name);
}

static void
split_matchers(struct oracle *o, const struct expr *e, struct info *f)
{
    if (e->call.args_nr < 2)
        return;
    const struct selector_expr *sel = &e->call.args[1]->selector;
    f->names = ARENA_NEW_ARRAY(o->arena, const struct matcher *, sel->matchers_nr + 1);
    f->data = ARENA_NEW_ARRAY(o->arena, struct matcher, sel->matchers_nr + 1);
    for (size_t i = 0; i < sel->matchers_nr; i++) {
        if (str_eq(sel->matchers[i].name, LABEL_NAME))
            f->names[f->names_nr++] = &sel->matchers[i];
        else
            f->data[f->data_nr++] = sel->matchers[i];
    }
}

/* The first selector of the operand, in the order of a walk, says when to look: */
struct when {
    bool found, at;
    int64_t at_ms, offset_ms;
};

static void
find_when(const struct expr *e, struct when around, struct when *out)
{
    struct expr *child;

    if (e->kind == EXPR_SELECTOR && !out->found) {
        const struct time_shift *s = &e->selector.shift;

        *out = around;
        out->found = true;
        if (s->at == AT_TIME)
            *out = (struct when){ true, true, s->at_ms, s->offset_ms };
        else
            out->offset_ms += s->offset_ms;
        return;
    }
    if (e->kind == EXPR_MATRIX) {
        find_when(e->matrix.selector, around, out);
        return;
    }
    if (e->kind == EXPR_SUBQUERY && !around.at) {
        const struct time_shift *s = &e->subquery.shift;

        around.at = s->at == AT_TIME;
        around.at_ms = s->at_ms;
        around.offset_ms = around.at ? s->offset_ms : around.offset_ms + s->offset_ms;
    }
    for (size_t i = 0; (child = expr_child(e, i)) != NULL; i++)
        find_when(child, around, out);
}

static bool
shares_id(const struct matrix *m, const bool *ignore, struct labels ls)
{
    bool any = false;

    for (size_t k = 0; k < ARRAY_LEN(identifying); k++) {
        bool has = false, listed = false;

        for (size_t i = 0; i < m->nr; i++) {
            struct str v = labels_get(m->v[i].labels, identifying[k]);

            if (ignore[i] || v.n == 0)
                continue;
            listed = true;
            has = has || str_eq(v, labels_get(ls, identifying[k]));
        }
        if (listed && !has)
            return false;
        any = any || listed;
    }
    return any;
}

static void
fetch(struct ev *ev, const struct expr *e, const struct matrix *m, const bool *ignore,
      struct info *f)
{
    struct when when = { 0 };
    struct matrix all = read_series(ev, f->data, f->data_nr, false);

    find_when(e->call.args[0], (struct when){ 0 }, &when);
    for (size_t i = 0; i < all.nr; i++) {
        struct labels ls = all.v[i].labels;
        struct oseries s = { .labels = ls };

        if (!name_matches(f, name_of(ls)) || !shares_id(m, ignore, ls))
            continue;
        for (int64_t t = ev->start_ms; t <= ev->end_ms; t += ev->step_ms) {
            int64_t at, look = (when.at ? when.at_ms : t) - when.offset_ms;
            double v;
            struct histogram *h;

            if (!sample_before(ev->o, &all.v[i], look, &at, &v, &h))
                continue;
            if (h != NULL)
                oracle_fail(ev->o, "this should be an info metric, with float samples: %.*s",
                            STR_ARG(labels_text(ev->o->arena, ls)));
            series_add(ev->o, &s, t, (double)at, NULL);
        }
        if (s.f_nr > 0)
            *matrix_add(ev->o, &f->series, ls, false) = s;
    }
}

static bool
same_id(struct labels a, struct labels b)
{
    for (size_t k = 0; k < ARRAY_LEN(identifying); k++)
        if (!str_eq(labels_get(a, identifying[k]), labels_get(b, identifying[k])))
            return false;
    return true;
}

/* Of info series with the same name and identity the newest sample counts. */
static struct vec
newest(struct ev *ev, const struct vec *in)
{
    struct vec out = { 0 };

    for (size_t i = 0; i < in->nr; i++) {
        const struct sample *s = &in->v[i];
        size_t k = 0;

        while (k < out.nr && !(same_id(out.v[k].labels, s->labels) &&
                               str_eq(name_of(out.v[k].labels), name_of(s->labels))))
            k++;
        if (k == out.nr)
            vec_add(ev->o, &out, *s);
        else if (out.v[k].v == s->v)
            oracle_fail(
                ev->o,
                "found duplicate series for info metric: existing %.*s @ %lld, new %.*s @ %lld",
                STR_ARG(labels_text(ev->o->arena, out.v[k].labels)), (long long)out.v[k].v,
                STR_ARG(labels_text(ev->o->arena, s->labels)), (long long)s->v);
        else if (out.v[k].v < s->v)
            out.v[k] = *s;
    }
    return out;
}

static bool
wanted(const struct info *f, struct str name)
{
    for (size_t i = 0; i < f->data_nr; i++)
        if (str_eq(f->data[i].name, name))
            return true;
    return f->data_nr == 0;
}

static bool
may_be_missing(const struct info *f)
{
    for (size_t i = 0; i < f->data_nr; i++)
        if (!matcher_matches_empty(&f->data[i]))
            return false;
    return true;
}

static void
enrich(struct ev *ev, const struct info *f, struct sample s, const struct vec *infos,
       struct vec *out)
{
    struct arena *a = ev->o->arena;
    struct labels add = { 0 }, base = s.labels;
    bool seen = false;

    for (size_t i = 0; i < infos->nr; i++) {
        struct labels ls = infos->v[i].labels;

        if (!same_id(ls, base))
            continue;
        seen = true;
        for (size_t k = 0; k < ls.nr; k++) {
            struct str name = ls.v[k].name, old = labels_get(add, name);

            if (str_eq(name, LABEL_NAME) || !wanted(f, name))
                continue;
            if (old.n > 0 && !str_eq(old, ls.v[k].value))
                oracle_fail(ev->o, "conflicting label: %.*s", STR_ARG(name));
            if (!labels_has(base, name))
                add = labels_set(a, add, name, ls.v[k].value);
        }
    }
    if (!seen && !may_be_missing(f))
        return;
    for (size_t k = 0; k < add.nr; k++)
        s.labels = labels_set(a, s.labels, add.v[k].name, add.v[k].value);
    vec_add(ev->o, out, s);
}

static void
step_of(struct oracle *o, struct matrix *m, int64_t t_ms, struct vec *out)
{
    out->nr = 0;
    for (size_t i = 0; i < m->nr; i++) {
        struct sample s = { .labels = m->v[i].labels, .drop_name = m->v[i].drop_name, .group = i };

        if (series_next(&m->v[i], t_ms, &s.v, &s.h))
            vec_add(o, out, s);
    }
}

static void
put(struct ev *ev, struct matrix *out, const struct vec *v, int64_t t_ms)
{
    for (size_t i = 0; i < v->nr; i++) {
        struct oseries *to = NULL;

        for (size_t k = 0; k < out->nr && to == NULL; k++)
            if (labels_eq(out->v[k].labels, v->v[i].labels))
                to = &out->v[k];
        if (to != NULL && ((to->f_nr > 0 && to->f[to->f_nr - 1].t_ms == t_ms) ||
                           (to->h_nr > 0 && to->h[to->h_nr - 1].t_ms == t_ms)))
            oracle_fail(ev->o, "vector cannot contain metrics with the same labelset");
        if (to == NULL)
            to = matrix_add(ev->o, out, v->v[i].labels, v->v[i].drop_name);
        series_add(ev->o, to, t_ms, v->v[i].v, v->v[i].h);
    }
}

struct matrix
eval_info(struct ev *ev, struct expr *e)
{
    struct info f = { 0 };
    struct matrix m = oracle_eval(ev, e->call.args[0]), out = { 0 };
    bool *ignore = ARENA_NEW_ARRAY(ev->o->arena, bool, m.nr + 1);
    struct vec base = { 0 }, infos = { 0 }, result = { 0 };

    split_matchers(ev->o, e, &f);
    for (size_t i = 0; i < m.nr; i++)
        ignore[i] = name_matches(&f, name_of(m.v[i].labels));
    fetch(ev, e, &m, ignore, &f);
    for (int64_t t = ev->start_ms; t <= ev->end_ms; t += ev->step_ms) {
        step_of(ev->o, &m, t, &base);
        step_of(ev->o, &f.series, t, &infos);
        if (base.nr == 0)
            continue;
        struct vec one = newest(ev, &infos);
        result.nr = 0;
        for (size_t i = 0; i < base.nr; i++) {
            if (ignore[base.v[i].group])
                vec_add(ev->o, &result, base.v[i]);
            else
                enrich(ev, &f, base.v[i], &one, &result);
        }
        put(ev, &out, &result, t);
    }
    return out;
}
