/* The analysis is that of Prometheus, with the queries of templates added. */
#include "rules/depend.h"

#include "base/mem.h"
#include "promql/parser.h"

#define ALERTS_NAME           STR("ALERTS")
#define ALERTS_FOR_STATE_NAME STR("ALERTS_FOR_STATE")

struct analysis {
    const struct promql_parse_options *parse;
    struct rule *const *rules;
    bool *depends, *is_depended_on; /* by rule */
    size_t at;                      /* the rule whose selectors are looked at */
    bool indeterminate;
};

static const struct matcher *
matcher_of(const struct selector_expr *s, struct str name)
{
    for (size_t i = 0; i < s->matchers_nr; i++)
        if (str_eq(s->matchers[i].name, name))
            return &s->matchers[i];
    return NULL;
}

/* True when the selector may return what the rule writes. */
static bool
selects(const struct selector_expr *s, const struct matcher *name, const struct rule *r)
{
    if (matcher_matches(name, r->name))
        return true;
    if (!r->is_alert ||
        (!matcher_matches(name, ALERTS_NAME) && !matcher_matches(name, ALERTS_FOR_STATE_NAME)))
        return false;
    const struct matcher *alert = matcher_of(s, ALERT_NAME_LABEL);
    return alert == NULL || matcher_matches(alert, r->name);
}

static bool
visit(struct expr *e, void *arg)
{
    struct analysis *a = arg;

    if (e->kind != EXPR_SELECTOR)
        return true;
    const struct matcher *name = matcher_of(&e->selector, LABEL_NAME);
    if (name == NULL) {
        a->indeterminate = true;
        return false;
    }
    /* Later rules may be selected too, but then it is their last result that is meant. */
    for (size_t i = 0; i < a->at; i++)
        if (selects(&e->selector, name, a->rules[i]))
            a->depends[a->at] = a->is_depended_on[i] = true;
    return true;
}

/* A text that does not parse selects nothing: its evaluation fails. */
static void
analyse_query(void *arg, struct str text)
{
    struct analysis *a = arg;
    struct error err = { 0 };
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    struct expr *e = promql_parse(&arena, text, a->parse, &err);
    if (e != NULL)
        error_ignored(expr_walk(e, visit, a));
    expr_fini(e);
    error_clear(&err);
    arena_fini(&arena);
}

static void
analyse_templates(struct analysis *a, const struct rule_template *t, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        if (!template_queries_each(t[i].text, analyse_query, a))
            a->indeterminate = true;
}

/* Appends the rules with these two properties; each is a batch of its own unless `together`. */
static void
batch_add(struct rule_batches *b, const struct analysis *a, size_t rules_nr, size_t *at,
          bool (*belongs)(const struct analysis *a, size_t i), bool together)
{
    size_t start = *at;

    for (size_t i = 0; i < rules_nr; i++) {
        if (!belongs(a, i))
            continue;
        b->order[(*at)++] = i;
        if (!together)
            b->ends[b->nr++] = *at;
    }
    if (together && *at != start)
        b->ends[b->nr++] = *at;
}

static bool
is_first(const struct analysis *a, size_t i)
{
    return !a->depends[i];
}

static bool
is_between(const struct analysis *a, size_t i)
{
    return a->depends[i] && a->is_depended_on[i];
}

static bool
is_last(const struct analysis *a, size_t i)
{
    return a->depends[i] && !a->is_depended_on[i];
}

void
rule_batches_init(struct rule_batches *b, const struct rules_options *options,
                  struct rule *const *rules, size_t rules_nr)
{
    struct promql_parse_options parse = rule_parse_options(options);
    struct analysis a = { .parse = &parse, .rules = rules };
    size_t at = 0;

    *b = (struct rule_batches){ 0 };
    if (options->concurrent_evals_max <= 0 || rules_nr < 2)
        return;
    a.depends = MEM_NEW_ARRAY(bool, rules_nr);
    a.is_depended_on = MEM_NEW_ARRAY(bool, rules_nr);
    for (a.at = 0; a.at < rules_nr && !a.indeterminate; a.at++) {
        const struct rule *r = rules[a.at];
        analyse_query(&a, r->query);
        analyse_templates(&a, r->label_templates, r->label_templates_nr);
        analyse_templates(&a, r->annotation_templates, r->annotation_templates_nr);
    }
    if (!a.indeterminate) {
        b->order = MEM_NEW_ARRAY(size_t, rules_nr);
        b->ends = MEM_NEW_ARRAY(size_t, rules_nr);
        batch_add(b, &a, rules_nr, &at, is_first, true);
        batch_add(b, &a, rules_nr, &at, is_between, false);
        batch_add(b, &a, rules_nr, &at, is_last, true);
    }
    mem_free(a.depends);
    mem_free(a.is_depended_on);
}

void
rule_batches_fini(struct rule_batches *b)
{
    mem_free(b->order);
    mem_free(b->ends);
    *b = (struct rule_batches){ 0 };
}
