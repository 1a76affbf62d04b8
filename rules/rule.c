/* What recording and alerting rules have in common: compiling, querying, label sets. */
#include "rules/rule.h"

#include "base/buf.h"
#include "base/duration.h"
#include "base/mem.h"
#include "promql/printer.h"

#define NS_PER_MS INT64_C(1000000)

int64_t
rule_sample_ms(const struct rule_context *cx)
{
    return cx->ts_ns / NS_PER_MS - cx->query_offset_ms;
}

struct labels
rule_labels_own(struct labels ls)
{
    size_t bytes = 0;

    if (ls.nr == 0)
        return LABELS_NONE;
    for (size_t i = 0; i < ls.nr; i++)
        bytes += ls.v[i].name.n + ls.v[i].value.n;
    struct label *v = mem_alloc(mem_array_bytes(ls.nr, sizeof *v) + bytes);
    char *text = (char *)(v + ls.nr);
    for (size_t i = 0; i < ls.nr; i++) {
        struct label l = ls.v[i];
        if (l.name.n != 0)
            memcpy(text, l.name.p, l.name.n);
        v[i].name = (struct str){ text, l.name.n };
        text += l.name.n;
        if (l.value.n != 0)
            memcpy(text, l.value.p, l.value.n);
        v[i].value = (struct str){ text, l.value.n };
        text += l.value.n;
    }
    return (struct labels){ v, ls.nr };
}

void
rule_labels_free(struct labels ls)
{
    mem_free((void *)(uintptr_t)ls.v);
}

struct labels
rule_labels_merge(struct arena *arena, struct labels base, struct labels over, struct str name)
{
    struct labels_builder b;

    labels_builder_init(&b);
    labels_builder_reset(&b, base);
    for (size_t i = 0; i < over.nr; i++)
        labels_builder_set(&b, over.v[i].name, over.v[i].value);
    if (name.n != 0)
        labels_builder_set(&b, LABEL_NAME, name);
    struct labels ls = labels_builder_finish(&b, arena);
    labels_builder_fini(&b);
    return ls;
}

/* Group labels with the rule's own on top. Empty values stay: they take a label of the result away.
 */
static struct labels
labels_of_maps(const struct conf_map *group, const struct conf_map *rule)
{
    size_t groups_nr = group == NULL ? 0 : group->nr, i = 0, j = 0;
    struct label *v = MEM_NEW_ARRAY(struct label, groups_nr + rule->nr);
    struct labels merged = { v, 0 };

    while (i < groups_nr || j < rule->nr) {
        int c = i == groups_nr  ? 1
                : j == rule->nr ? -1
                                : str_cmp(group->items[i].name, rule->items[j].name);
        const struct conf_pair *pair = c < 0 ? &group->items[i] : &rule->items[j];
        i += c <= 0;
        j += c >= 0;
        v[merged.nr++] = (struct label){ pair->name, pair->value };
    }
    struct labels owned = rule_labels_own(merged);
    mem_free(v);
    return owned;
}

static bool
rule_templates(const struct rule *r, struct labels from, struct rule_template **out, size_t *nr,
               struct error *err)
{
    char *name = mem_alloc(r->name.n + 9);
    bool ok = true;

    memcpy(name, "__alert_", 8);
    if (r->name.n != 0)
        memcpy(name + 8, r->name.p, r->name.n);
    *out = MEM_NEW_ARRAY(struct rule_template, from.nr);
    for (*nr = 0; ok && *nr < from.nr; ++*nr) {
        struct rule_template *t = &(*out)[*nr];
        t->name = from.v[*nr].name;
        t->text = template_parse((struct str){ name, r->name.n + 8 }, from.v[*nr].value, err);
        ok = t->text != NULL;
    }
    mem_free(name);
    return ok;
}

struct promql_parse_options
rule_parse_options(const struct rules_options *o)
{
    return (struct promql_parse_options){
        .experimental_functions = o->experimental_functions,
        .duration_expressions = true,
        .extended_ranges = o->extended_range_selectors,
        .fill_modifiers = o->binop_fill,
    };
}

/* The canonical text of an expression that the rule file's check has accepted. */
static bool
rule_canonical(const struct rules_options *o, struct str text, struct str *query, struct error *err)
{
    struct promql_parse_options parse = rule_parse_options(o);
    struct arena arena;
    struct buf out = { 0 };

    arena_init(&arena, SIZE_MAX);
    struct expr *expr = promql_parse(&arena, text, &parse, err);
    if (expr != NULL) {
        expr_print(expr, &out);
        expr_fini(expr);
        *query = (struct str){ str_dup(buf_as_str(&out)), out.n };
    }
    buf_fini(&out);
    arena_fini(&arena);
    return expr != NULL;
}

/* Two rules with the same identity are the same rule to a reload. */
static struct str
rule_identity(const struct rule *r)
{
    struct buf b = { 0 };

    buf_printf(&b, "%d ", r->is_alert);
    buf_str(&b, r->name);
    buf_byte(&b, '\n');
    buf_str(&b, r->query);
    buf_printf(&b, "\n%lld %lld ", (long long)r->for_ns, (long long)r->keep_firing_for_ns);
    labels_print(r->labels, &b);
    labels_print(r->annotations, &b);
    size_t n;
    char *text = (char *)buf_take(&b, &n);
    return (struct str){ text, n };
}

struct rule *
rule_new(const struct rules_options *options, const struct rule_group_config *group,
         const struct rule_config *config, bool restored, struct error *err)
{
    struct rule *r = MEM_NEW(struct rule);

    r->is_alert = config->alert.n != 0;
    r->name = r->is_alert ? config->alert : config->record;
    r->for_ns = config->for_ms * NS_PER_MS;
    r->keep_firing_for_ns = config->keep_firing_for_ms * NS_PER_MS;
    r->labels = labels_of_maps(&group->label_map, &config->label_map);
    r->annotations = labels_of_maps(NULL, &config->annotations);
    r->health = "unknown";
    r->restored = restored;
    if (!rule_canonical(options, config->expr, &r->query, err) ||
        !engine_prepare(options->engine, r->query, &r->prepared, err))
        goto failed;
    if (r->is_alert &&
        (!rule_templates(r, r->labels, &r->label_templates, &r->label_templates_nr, err) ||
         !rule_templates(r, r->annotations, &r->annotation_templates, &r->annotation_templates_nr,
                         err)))
        goto failed;
    r->identity = rule_identity(r);
    return r;
failed:
    rule_free(r);
    return NULL;
}

static void
rule_templates_free(struct rule_template *t, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        template_free(t[i].text);
    mem_free(t);
}

void
rule_free(struct rule *r)
{
    if (r == NULL)
        return;
    struct alert *a;
    for (size_t at = 0; (a = table_next(&r->active, &at)) != NULL;)
        alert_free(a);
    struct rule_series *s;
    for (size_t at = 0; (s = table_next(&r->series, &at)) != NULL;) {
        rule_labels_free(s->labels);
        mem_free(s);
    }
    table_fini(&r->active);
    table_fini(&r->series);
    rule_templates_free(r->label_templates, r->label_templates_nr);
    rule_templates_free(r->annotation_templates, r->annotation_templates_nr);
    prepared_free(r->prepared);
    rule_labels_free(r->labels);
    rule_labels_free(r->annotations);
    for (size_t i = 0; r->evaluations != NULL && i < RULE_EVALUATIONS_MAX; i++)
        mem_free(r->evaluations[i].error);
    mem_free(r->evaluations);
    mem_free((void *)(uintptr_t)r->query.p);
    mem_free((void *)(uintptr_t)r->identity.p);
    error_clear(&r->last_error);
    mem_free(r);
}

bool
rule_query(const struct rule *r, const struct rule_context *cx, struct query_result *result,
           struct error *err)
{
    int64_t t_ms = rule_sample_ms(cx);
    struct query query = {
        .start_ms = t_ms,
        .end_ms = t_ms,
        .canceled = cx->canceled,
    };

    if (!engine_run(cx->options->engine, cx->options->queryable, r->prepared, &query, result, err))
        return false;
    if (result->type == VALUE_VECTOR || result->type == VALUE_SCALAR)
        return true;
    query_result_fini(result);
    return error_set(err, ERR_EXECUTION, "rule result is not a vector or scalar");
}
