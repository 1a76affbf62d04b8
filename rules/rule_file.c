#include "rules/rule_file.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/quote.h"
#include "rules/template.h"

#define RULE_FILE_BYTES_MAX CONF_FILE_BYTES_MAX
#define EXPR_ARENA_BYTES \
    (64u << 20) /* for the tree of one expression, thrown away after the check */

#define R(key_, type_, field_)                                   \
    {                                                            \
        .key = (key_), .type = (type_), .flags = CONF_OMITEMPTY, \
        .offset = offsetof(struct rule_config, field_)           \
    }
#define R_AT(key_, field_, pos_)                                                         \
    {                                                                                    \
        .key = (key_), .type = CONF_STR, .offset = offsetof(struct rule_config, field_), \
        .pos_at = CONF_POS_AT(struct rule_config, pos_)                                  \
    }

static const struct conf_row rule_rows[] = {
    R_AT("record", record, record_at),
    R_AT("alert", alert, alert_at),
    R_AT("expr", expr, expr_at),
    R("for", CONF_DURATION, for_ms),
    R("keep_firing_for", CONF_DURATION, keep_firing_for_ms),
    R("labels", CONF_MAP, label_map),
    R("annotations", CONF_MAP, annotations),
};

static const struct conf_table rule_table = {
    .type = "rulefmt.Rule",
    .bytes = sizeof(struct rule_config),
    CONF_ROWS(rule_rows),
};

#define G(key_, type_, field_)                                                               \
    {                                                                                        \
        .key = (key_), .type = (type_), .offset = offsetof(struct rule_group_config, field_) \
    }

static const struct conf_row group_rows[] = {
    G("name", CONF_STR, name),
    G("interval", CONF_DURATION, interval_ms),
    G("query_offset", CONF_DURATION, query_offset_ms),
    G("limit", CONF_INT, limit),
    { .key = "rules",
      .type = CONF_STRUCTS,
      .offset = offsetof(struct rule_group_config, rules),
      .table = &rule_table },
    G("labels", CONF_MAP, label_map),
};

static bool
group_check(struct conf *c, void *obj, struct error *err)
{
    (void)err;
    ((struct rule_group_config *)obj)->query_offset_given = conf_given(c, "query_offset");
    return true;
}

static const struct conf_table group_table = {
    .type = "rulefmt.RuleGroup",
    .bytes = sizeof(struct rule_group_config),
    CONF_ROWS(group_rows),
    .check = group_check,
};

static const struct conf_row file_rows[] = {
    { .key = "groups",
      .type = CONF_STRUCTS,
      .offset = offsetof(struct rule_file, groups),
      .table = &group_table },
};

static const struct conf_table file_table = {
    .type = "rulefmt.RuleGroups",
    .bytes = sizeof(struct rule_file),
    CONF_ROWS(file_rows),
};

static void PRINTF(2, 3) complain(struct rule_file_errors *errors, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        mem_exhausted(0);
    va_end(ap);
    MEM_GROW(errors->items, errors->nr + 1, &errors->cap);
    errors->items[errors->nr++] = text;
}

void
rule_file_errors_fini(struct rule_file_errors *errors)
{
    for (size_t i = 0; i < errors->nr; i++)
        mem_free(errors->items[i]);
    mem_free(errors->items);
    *errors = (struct rule_file_errors){ 0 };
}

/* The rule at hand, for messages. */
struct place {
    const struct rule_file_options *options;
    struct rule_file_errors *errors;
    const struct rule_group_config *group;
    const struct rule_config *rule;
    size_t nth; /* from 1 */
};

/* `group "g", rule 1, "x": what`, with line and column of one or two values in front. */
static void
complain_rule(const struct place *p, const struct conf_pos *at, const struct conf_pos *also,
              const char *what)
{
    struct buf said = { 0 };

    if (at != NULL)
        buf_printf(&said, "%u:%u: ", at->line, at->column);
    if (also != NULL)
        buf_printf(&said, "%u:%u: ", also->line, also->column);
    buf_c(&said, "group ");
    quote_go(p->group->name, &said);
    buf_printf(&said, ", rule %zu, ", p->nth);
    quote_go(p->rule->alert.n > 0 ? p->rule->alert : p->rule->record, &said);
    complain(p->errors, "%s: %s", buf_z(&said), what);
    buf_fini(&said);
}

static void
complain_value(const struct place *p, const struct conf_pos *at, const char *what, struct str value)
{
    struct buf said = { 0 };

    buf_printf(&said, "%s: %.*s", what, STR_ARG(value));
    complain_rule(p, at, NULL, buf_z(&said));
    buf_fini(&said);
}

static void
check_expr(const struct place *p)
{
    static const struct promql_parse_options server = { .duration_expressions = true };
    const struct promql_parse_options *options =
        p->options->parser != NULL ? p->options->parser : &server;
    struct error err = { 0 };
    struct arena arena;

    if (p->rule->expr.n == 0) {
        complain_rule(p, &p->rule->expr_at, NULL, "field 'expr' must be set in rule");
        return;
    }
    arena_init(&arena, EXPR_ARENA_BYTES);
    struct expr *expr = promql_parse(&arena, p->rule->expr, options, &err);
    if (expr == NULL)
        complain_value(p, &p->rule->expr_at, "could not parse expression", str_c(error_text(&err)));
    else
        expr_fini(expr);
    arena_fini(&arena);
    error_clear(&err);
}

static bool
metric_name_ok(struct str name, bool legacy)
{
    return legacy ? metric_name_legacy(name) : name.n > 0 && str_utf8_valid(name);
}

static bool
label_name_ok(struct str name, bool legacy)
{
    return legacy ? label_name_legacy(name) : label_name_valid(name);
}

static void
check_record(const struct place *p)
{
    const struct rule_config *r = p->rule;
    const struct conf_pos *at = &r->record_at;

    if (r->record.n == 0)
        return;
    if (r->annotations.nr > 0)
        complain_rule(p, at, NULL, "invalid field 'annotations' in recording rule");
    if (r->for_ms != 0)
        complain_rule(p, at, NULL, "invalid field 'for' in recording rule");
    if (r->keep_firing_for_ms != 0)
        complain_rule(p, at, NULL, "invalid field 'keep_firing_for' in recording rule");
    if (!metric_name_ok(r->record, p->options->legacy_names))
        complain_value(p, at, "invalid recording rule name", r->record);
    /* Valid UTF-8, but most likely an expression in the wrong place. */
    if (str_find(r->record, '{', 0) < r->record.n || str_find(r->record, '}', 0) < r->record.n)
        complain_value(p, at, "braces present in the recording rule name; should it be in expr?",
                       r->record);
}

static void
check_names(const struct place *p)
{
    bool legacy = p->options->legacy_names;

    for (size_t i = 0; i < p->rule->label_map.nr; i++) {
        const struct conf_pair *l = &p->rule->label_map.items[i];
        if (!label_name_ok(l->name, legacy) || str_eq(l->name, LABEL_NAME))
            complain_value(p, NULL, "invalid label name", l->name);
        if (!str_utf8_valid(l->value))
            complain_value(p, NULL, "invalid label value", l->value);
    }
    for (size_t i = 0; i < p->rule->annotations.nr; i++)
        if (!label_name_ok(p->rule->annotations.items[i].name, legacy))
            complain_value(p, NULL, "invalid annotation name", p->rule->annotations.items[i].name);
}

static void
check_template(const struct place *p, const char *kind, const struct conf_pair *pair)
{
    struct buf name = { 0 }, said = { 0 };
    struct error err = { 0 };

    buf_printf(&name, "__alert_%.*s", STR_ARG(p->rule->alert));
    struct template *t = template_parse(buf_as_str(&name), pair->value, &err);
    if (t == NULL) {
        buf_printf(&said, "%s ", kind);
        quote_go(pair->name, &said);
        buf_printf(&said, ": %s", error_text(&err));
        complain_rule(p, NULL, NULL, buf_z(&said));
    }
    template_free(t);
    error_clear(&err);
    buf_fini(&name);
    buf_fini(&said);
}

static void
check_rule(const struct place *p)
{
    const struct rule_config *r = p->rule;

    if (r->record.n > 0 && r->alert.n > 0)
        complain_rule(p, &r->record_at, &r->alert_at,
                      "only one of 'record' and 'alert' must be set");
    if (r->record.n == 0 && r->alert.n == 0)
        complain_rule(p, &r->record_at, &r->alert_at, "one of 'record' or 'alert' must be set");
    check_expr(p);
    check_record(p);
    check_names(p);
    if (r->alert.n == 0)
        return;
    for (size_t i = 0; i < r->label_map.nr; i++)
        check_template(p, "label", &r->label_map.items[i]);
    for (size_t i = 0; i < r->annotations.nr; i++)
        check_template(p, "annotation", &r->annotations.items[i]);
}

/* Prometheus knows no place of a group: it says 0:0. */
static void
check_group(const struct rule_file *file, size_t nth, const struct rule_file_options *options,
            struct rule_file_errors *errors)
{
    const struct rule_group_config *g = &file->groups.items[nth];
    bool repeated = false;

    if (g->name.n == 0)
        complain(errors, "0:0: Groupname must not be empty");
    for (size_t i = 0; i < nth; i++)
        repeated = repeated || str_eq(file->groups.items[i].name, g->name);
    if (repeated)
        complain(errors, "0:0: groupname: \"%.*s\" is repeated in the same file", STR_ARG(g->name));
    for (size_t i = 0; i < g->label_map.nr; i++) {
        const struct conf_pair *l = &g->label_map.items[i];
        if (!label_name_ok(l->name, options->legacy_names) || str_eq(l->name, LABEL_NAME))
            complain(errors, "invalid label name: %.*s", STR_ARG(l->name));
        if (!str_utf8_valid(l->value))
            complain(errors, "invalid label value: %.*s", STR_ARG(l->value));
    }
    for (size_t i = 0; i < g->rules.nr; i++)
        check_rule(&(struct place){ options, errors, g, &g->rules.items[i], i + 1 });
}

struct rule_file *
rule_file_parse_all(struct str text, const struct rule_file_options *options,
                    struct rule_file_errors *errors)
{
    struct rule_file *file = MEM_NEW(struct rule_file);
    struct conf_pool *pool = conf_pool_new();
    struct buf unknown = { 0 };
    struct error err = { 0 };
    size_t before = errors->nr;

    bool ok = conf_load_v3(pool, text, &file_table, file, &unknown, &err);
    file->pool = pool;
    if (unknown.n > 0 && !options->ignore_unknown)
        complain(errors, "yaml: unmarshal errors:%s", buf_z(&unknown));
    if (!ok)
        complain(errors, "%s", error_text(&err));
    ok = ok && errors->nr == before;
    for (size_t i = 0; ok && i < file->groups.nr; i++)
        check_group(file, i, options, errors);
    buf_fini(&unknown);
    error_clear(&err);
    if (errors->nr == before)
        return file;
    rule_file_free(file);
    return NULL;
}

bool
rule_file_parse(struct str text, const char *name, const struct rule_file_options *options,
                struct rule_file **file, struct error *err)
{
    struct rule_file_errors errors = { 0 };
    struct rule_file *parsed = rule_file_parse_all(text, options, &errors);

    if (parsed != NULL)
        *file = parsed;
    else if (errors.nr == 1)
        error_set(err, ERR_INVALID, "%s: %s", name, errors.items[0]);
    else
        error_set(err, ERR_INVALID, "%s: %s (and %zu more)", name, errors.items[0], errors.nr - 1);
    rule_file_errors_fini(&errors);
    return parsed != NULL;
}

bool
rule_file_load(const struct io *io, const char *path, const struct rule_file_options *options,
               struct rule_file **file, struct error *err)
{
    char *text = NULL;
    size_t n = 0;

    if (!io_read_file(io, path, RULE_FILE_BYTES_MAX, &text, &n, err))
        return error_wrap(err, "%s", path);
    bool ok = rule_file_parse((struct str){ text, n }, path, options, file, err);
    mem_free(text);
    return ok;
}

void
rule_file_free(struct rule_file *file)
{
    if (file == NULL)
        return;
    conf_pool_unref(file->pool);
    mem_free(file);
}
