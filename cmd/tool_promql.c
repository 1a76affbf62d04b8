/* Expressions printed anew, as they are or with a label matcher changed in every selector. */
#include <stdio.h>

#include "base/mem.h"
#include "cmd/tool.h"
#include "promql/printer.h"

/* What to do with the matchers of a label; NULL value: take them away. */
struct edit {
    struct arena *arena;
    struct str name;
    const struct str *value;
    enum match_type type;
};

static void
set_matchers(struct selector_expr *s, const struct edit *e)
{
    bool found = false;

    for (size_t i = 0; i < s->matchers_nr; i++) {
        if (!str_eq(s->matchers[i].name, e->name))
            continue;
        s->matchers[i].type = e->type;
        s->matchers[i].value = *e->value;
        found = true;
    }
    if (found)
        return;
    struct matcher *v = ARENA_NEW_ARRAY(e->arena, struct matcher, s->matchers_nr + 1);
    memcpy(v, s->matchers, s->matchers_nr * sizeof *v);
    v[s->matchers_nr] = (struct matcher){ .type = e->type, .name = e->name, .value = *e->value };
    s->matchers = v;
    s->matchers_nr++;
}

static void
delete_matchers(struct selector_expr *s, const struct edit *e)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->matchers_nr; i++) {
        if (str_eq(s->matchers[i].name, e->name))
            matcher_fini(&s->matchers[i]);
        else
            s->matchers[kept++] = s->matchers[i];
    }
    s->matchers_nr = kept;
}

static bool
edit_selector(struct expr *x, void *arg)
{
    const struct edit *e = arg;

    if (x->kind == EXPR_MATRIX)
        x = x->matrix.selector;
    if (x->kind != EXPR_SELECTOR)
        return true;
    if (e->value != NULL)
        set_matchers(&x->selector, e);
    else
        delete_matchers(&x->selector, e);
    return true;
}

static int
print_edited(struct tool *t, struct edit *edit)
{
    struct error err = { 0 };
    struct arena arena;
    struct buf out = { 0 };

    if (!tool_bool(&t->line, "experimental")) {
        fprintf(stderr,
                "This command is experimental and requires the --experimental flag to be set.\n");
        return TOOL_FAILED;
    }
    arena_init(&arena, SIZE_MAX);
    struct expr *expr = promql_parse(&arena, tool_str(&t->line, "query"), &t->parse, &err);
    if (expr != NULL) {
        if (edit != NULL) {
            edit->arena = &arena;
            expr_walk(expr, edit_selector, edit);
        }
        expr_print_pretty(expr, &out);
        printf("%s\n", buf_z(&out));
        expr_fini(expr);
    }
    buf_fini(&out);
    arena_fini(&arena);
    return expr != NULL ? TOOL_OK : tool_fail(&err);
}

int
tool_promql_format(struct tool *t)
{
    return print_edited(t, NULL);
}

int
tool_matchers_set(struct tool *t)
{
    struct str type = tool_str(&t->line, "type"), value = tool_str(&t->line, "value");
    struct edit edit = { .name = tool_str(&t->line, "name"), .value = &value };

    for (int i = MATCH_EQ; i <= MATCH_NRE; i++)
        if (str_is(type, match_type_text((enum match_type)i)))
            edit.type = (enum match_type)i;
    return print_edited(t, &edit);
}

int
tool_matchers_delete(struct tool *t)
{
    struct edit edit = { .name = tool_str(&t->line, "name") };

    return print_edited(t, &edit);
}
