/* Which queries a template makes, as far as its text tells. */
#include "rules/template_priv.h"

struct walk {
    void (*fn)(void *arg, struct str expr);
    void *arg;
    bool constant;
};

static bool
is_query(const struct tnode *n)
{
    return n->kind == NODE_IDENTIFIER && str_is(n->text, "query");
}

/* A command of one constant string: what it hands on. */
static const struct tnode *
constant_of(const struct tnode *cmd)
{
    return cmd->items_nr == 1 && cmd->items[0]->kind == NODE_STRING ? cmd->items[0] : NULL;
}

/* `query "text"`, or "text" piped into `query`. */
static void
walk_command(struct walk *w, const struct tnode *cmd, const struct tnode *before)
{
    for (size_t i = 0; i < cmd->items_nr; i++) {
        const struct tnode *text = NULL;
        if (!is_query(cmd->items[i]))
            continue;
        if (i == 0 && cmd->items_nr == 2 && cmd->items[1]->kind == NODE_STRING)
            text = cmd->items[1];
        else if (i == 0 && cmd->items_nr == 1 && before != NULL)
            text = constant_of(before);
        if (text != NULL)
            w->fn(w->arg, text->string);
        else
            w->constant = false;
    }
}

static void
walk_node(struct walk *w, const struct tnode *n)
{
    if (n == NULL)
        return;
    for (size_t i = 0; i < n->items_nr; i++) {
        if (n->items[i]->kind == NODE_COMMAND)
            walk_command(w, n->items[i], i == 0 ? NULL : n->items[i - 1]);
        walk_node(w, n->items[i]);
    }
    walk_node(w, n->pipe);
    walk_node(w, n->list);
    walk_node(w, n->else_list);
}

bool
template_queries_each(const struct template *t, void (*fn)(void *arg, struct str expr), void *arg)
{
    struct walk w = { fn, arg, true };

    walk_node(&w, t->root);
    for (size_t i = 0; i < t->defined_nr; i++)
        walk_node(&w, t->defined[i].list);
    return w.constant;
}
