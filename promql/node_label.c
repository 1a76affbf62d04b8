/* Functions on labels: label_replace, label_join; and, for delayed name removal, the dropping of
 * names at the very end. Values stream through. */
#include "promql/exec_priv.h"

#include "promql/label_priv.h"

struct str
call_string(const struct call_node *n, uint32_t i)
{
    return expr_unwrapped(n->expr->args[i])->string.v;
}

static bool
valid_name(struct str name, const char *what, const char *fn, struct error *err)
{
    return label_name_valid(name) ||
           error_set(err, ERR_EXECUTION, "invalid %s label name in %s(): %.*s", what, fn,
                     STR_ARG(name));
}

static struct series
relabelled(struct eval *ev, const struct series *s, symbol_id dst, struct str value)
{
    struct series out = series_set_label(ev, s, dst, eval_symbol(ev, value));

    out.drop_name = s->drop_name && dst != ev->name_id && !str_eq(eval_text(ev, dst), LABEL_NAME);
    return out;
}

static bool
replace_labels(struct eval *ev, const struct call_node *n, struct series *series, struct error *err)
{
    const struct node *child = n->base.args[0];
    struct str dst = call_string(n, 1), tmpl = call_string(n, 2), pattern = call_string(n, 4);
    struct error bad = { 0 };
    struct regex *re = regex_compile(pattern, REGEX_ANCHORED, &bad);
    struct buf value = { 0 };
    symbol_id from = eval_symbol(ev, call_string(n, 3)), to = eval_symbol(ev, dst);
    bool ok = re != NULL;

    error_clear(&bad);
    if (!ok)
        return error_set(err, ERR_EXECUTION, "invalid regular expression in label_replace(): %.*s",
                         STR_ARG(pattern));
    ok = valid_name(dst, "destination", "label_replace", err);
    for (uint32_t i = 0; ok && i < child->series_nr; i++) {
        buf_reset(&value);
        series[i] = child->series[i];
        if (regex_expand(re, eval_text(ev, pairs_get(&series[i], from)), tmpl, &value))
            series[i] = relabelled(ev, &series[i], to, buf_as_str(&value));
    }
    buf_fini(&value);
    regex_unref(re);
    return ok;
}

static void
join_values(struct eval *ev, const struct call_node *n, const struct series *s,
            const symbol_id *from, struct buf *out)
{
    struct str separator = call_string(n, 2);

    buf_reset(out);
    for (uint32_t i = 3; i < n->expr->args_nr; i++) {
        if (i > 3)
            buf_str(out, separator);
        buf_str(out, eval_text(ev, pairs_get(s, from[i - 3])));
    }
}

static bool
join_labels_of(struct eval *ev, const struct call_node *n, struct series *series, struct error *err)
{
    const struct node *child = n->base.args[0];
    symbol_id *from = ARENA_NEW_ARRAY(ev->arena, symbol_id, n->expr->args_nr);
    struct buf value = { 0 };

    for (uint32_t i = 3; i < n->expr->args_nr; i++) {
        if (!valid_name(call_string(n, i), "source", "label_join", err))
            return false;
        from[i - 3] = eval_symbol(ev, call_string(n, i));
    }
    if (!valid_name(call_string(n, 1), "destination", "label_join", err))
        return false;
    symbol_id to = eval_symbol(ev, call_string(n, 1));
    for (uint32_t i = 0; i < child->series_nr; i++) {
        join_values(ev, n, &child->series[i], from, &value);
        series[i] = relabelled(ev, &child->series[i], to, buf_as_str(&value));
    }
    buf_fini(&value);
    return true;
}

static bool
label_open(struct eval *ev, struct node *n, struct error *err)
{
    struct call_node *call = (struct call_node *)n;

    if (!node_open(ev, n->args[0], err))
        return false;
    struct series *series = ARENA_NEW_ARRAY(ev->arena, struct series, n->args[0]->series_nr);
    if (call->fn == FN_LABEL_REPLACE ? !replace_labels(ev, call, series, err)
                                     : !join_labels_of(ev, call, series, err))
        return false;
    node_series(ev, n, series, n->args[0]->series_nr);
    return true;
}

static bool
pass_source(struct eval *ev, struct node *n, uint32_t source, struct worker *w, struct column *out,
            struct error *err)
{
    return node_column(ev, n->args[0], source, w, out, err);
}

static bool
pass_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
            struct error *err)
{
    return node_merge(ev, n, i, w, pass_source, out, err);
}

const struct node_ops label_ops = { label_open, pass_column };

static bool
rename_open(struct eval *ev, struct node *n, struct error *err)
{
    if (!node_open(ev, n->args[0], err))
        return false;
    struct series *series = ARENA_NEW_ARRAY(ev->arena, struct series, n->args[0]->series_nr);
    for (uint32_t i = 0; i < n->args[0]->series_nr; i++) {
        series[i] = n->args[0]->series[i];
        if (series[i].drop_name)
            series[i] = series_nameless(ev, series[i]);
    }
    node_series(ev, n, series, n->args[0]->series_nr);
    return true;
}

const struct node_ops rename_ops = { rename_open, pass_column };
