/* Walking the tree of a template, after Go's text/template: which node an error names follows Go
 * too (x->at). */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "rules/template_priv.h"

enum { STEPS_MAX = 1000000, DEPTH_MAX = 1000 };

/* How a list ended. */
enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED };

static enum flow walk(struct texec *x, struct tvalue dot, const struct tnode *n);
static bool
eval_pipeline(struct texec *x, struct tvalue dot, const struct tnode *pipe, struct tvalue *v);
static bool eval_arg(struct texec *x, struct tvalue dot, enum targ type, const struct tnode *n,
                     struct tvalue *v);

static const struct tvalue tv_none = { .kind = TV_NONE };

/* ---- errors ---- */

/* Line and column of a node: lines count from 1, columns are bytes from 0. */
static void
place(const struct template *t, size_t pos, unsigned *line, size_t *column)
{
    size_t line_start = 0;

    *line = 1;
    for (size_t i = 0; i < pos && i < t->text.n; i++)
        if (t->text.p[i] == '\n') {
            ++*line;
            line_start = i + 1;
        }
    *column = pos - line_start;
}

bool
texec_fail(struct texec *x, const char *fmt, ...)
{
    char message[1024];
    struct buf node = { 0 };
    unsigned line;
    size_t column;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    if (x->at == NULL) {
        error_set(x->err, ERR_INVALID, "template: %.*s: %s", STR_ARG(x->template->name), message);
        return false;
    }
    place(x->template, x->at->pos, &line, &column);
    tnode_print(x->at, &node);
    error_set(x->err, ERR_INVALID, "template: %.*s:%u:%zu: executing \"%.*s\" at <%s>: %s",
              STR_ARG(x->template->name), line, column, STR_ARG(x->tree_name), buf_z(&node),
              message);
    buf_fini(&node);
    return false;
}

/* ---- variables ---- */

static void
var_push(struct texec *x, struct str name, struct tvalue v)
{
    ARENA_GROW(x->arena, x->vars, x->vars_nr, x->vars_nr + 1, &x->vars_cap);
    x->vars[x->vars_nr++] = (struct tvalue_var){ name, v };
}

static struct tvalue_var *
var_find(struct texec *x, struct str name)
{
    for (size_t i = x->vars_nr; i-- > 0;)
        if (str_eq(x->vars[i].name, name))
            return &x->vars[i];
    return NULL; /* the parser has checked */
}

/* ---- fields ---- */

static bool
alert_field(const struct template_alert *a, struct str name, struct tvalue *v)
{
    if (str_is(name, "Labels"))
        *v = (struct tvalue){ .kind = TV_LABELS, .labels = a->labels };
    else if (str_is(name, "ExternalLabels"))
        *v = (struct tvalue){ .kind = TV_LABELS, .labels = a->external_labels };
    else if (str_is(name, "ExternalURL"))
        *v = (struct tvalue){ .kind = TV_STRING, .s = a->external_url };
    else if (str_is(name, "Value") && a->histogram != NULL)
        *v = (struct tvalue){ .kind = TV_HISTOGRAM, .histogram = a->histogram };
    else if (str_is(name, "Value"))
        *v = (struct tvalue){ .kind = TV_FLOAT, .f = a->value };
    else
        return false;
    return true;
}

static bool
sample_field(const struct tsample *s, struct str name, struct tvalue *v)
{
    if (str_is(name, "Labels"))
        *v = (struct tvalue){ .kind = TV_LABELS, .labels = s->labels };
    else if (str_is(name, "Value") && s->h != NULL)
        *v = (struct tvalue){ .kind = TV_HISTOGRAM, .histogram = s->h };
    else if (str_is(name, "Value"))
        *v = (struct tvalue){ .kind = TV_FLOAT, .f = s->v };
    else
        return false;
    return true;
}

static struct tvalue
of_int(int64_t i)
{
    return (struct tvalue){ .kind = TV_INT, .i = i };
}

static struct tvalue
of_float(double f)
{
    return (struct tvalue){ .kind = TV_FLOAT, .f = f };
}

/* Methods of time.Time with their arguments. */
static bool
time_method(struct texec *x, int64_t ns, struct str name, const struct tvalue *args, size_t args_nr,
            struct tvalue *v)
{
    struct buf out = { 0 };
    static const struct {
        const char *name;
        struct str layout;
    } numbers[] = { { "Year", STR("2006") }, { "Day", STR("2") },    { "Hour", STR("15") },
                    { "Minute", STR("4") },  { "Second", STR("5") }, { "YearDay", STR("002") } };

    if (str_is(name, "Unix"))
        *v = of_int(ns / 1000000000 - (ns % 1000000000 < 0));
    else if (str_is(name, "UnixMilli"))
        *v = of_int(ns / 1000000 - (ns % 1000000 < 0));
    else if (str_is(name, "UnixMicro"))
        *v = of_int(ns / 1000 - (ns % 1000 < 0));
    else if (str_is(name, "UnixNano"))
        *v = of_int(ns);
    else if (str_is(name, "UTC"))
        *v = (struct tvalue){ .kind = TV_TIME, .i = ns };
    else if (str_is(name, "Add") && args_nr == 1 && args[0].kind == TV_DURATION)
        *v = (struct tvalue){ .kind = TV_TIME, .i = (int64_t)((uint64_t)ns + (uint64_t)args[0].i) };
    else if (str_is(name, "Sub") && args_nr == 1 && args[0].kind == TV_TIME)
        *v = (struct tvalue){ .kind = TV_DURATION,
                              .i = (int64_t)((uint64_t)ns - (uint64_t)args[0].i) };
    else {
        struct str layout = STR_NONE;
        bool number = false;
        if (str_is(name, "Format") && args_nr == 1 && args[0].kind == TV_STRING)
            layout = args[0].s;
        else if (str_is(name, "String"))
            layout = STR("2006-01-02 15:04:05.999999999 -0700 MST");
        else if (str_is(name, "Weekday"))
            layout = STR("Monday");
        else if (str_is(name, "Month"))
            layout = STR("January");
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
            if (str_is(name, numbers[i].name)) {
                layout = numbers[i].layout;
                number = true;
            }
        if (layout.p == NULL)
            return false;
        tvalue_time_format(ns, layout, &out);
        *v = number
                 ? of_int(strtoll(buf_z(&out), NULL, 10))
                 : (struct tvalue){ .kind = TV_STRING, .s = arena_str(x->arena, buf_as_str(&out)) };
        buf_fini(&out);
    }
    return true;
}

static bool
duration_method(struct texec *x, int64_t ns, struct str name, struct tvalue *v)
{
    static const struct {
        const char *name;
        double ns;
    } floats[] = { { "Hours", 3600e9 }, { "Minutes", 60e9 }, { "Seconds", 1e9 } };
    static const struct {
        const char *name;
        int64_t ns;
    } ints[] = { { "Milliseconds", 1000000 }, { "Microseconds", 1000 }, { "Nanoseconds", 1 } };

    for (size_t i = 0; i < ARRAY_LEN(floats); i++)
        if (str_is(name, floats[i].name))
            return *v = of_float((double)ns / floats[i].ns), true;
    for (size_t i = 0; i < ARRAY_LEN(ints); i++)
        if (str_is(name, ints[i].name))
            return *v = of_int(ns / ints[i].ns), true;
    if (!str_is(name, "String"))
        return false;
    struct buf out = { 0 };
    tvalue_print(&(struct tvalue){ .kind = TV_DURATION, .i = ns }, &out);
    *v = (struct tvalue){ .kind = TV_STRING, .s = arena_str(x->arena, buf_as_str(&out)) };
    buf_fini(&out);
    return true;
}

static bool
map_field(struct texec *x, const struct tvalue *of, struct str name, struct tvalue *v)
{
    if (of->kind == TV_LABELS) {
        if (x->missing_is_error && !labels_has(of->labels, name))
            return texec_fail(x, "map has no entry for key \"%.*s\"", STR_ARG(name));
        *v = (struct tvalue){ .kind = TV_STRING, .s = labels_get(of->labels, name) };
        return true;
    }
    *v = tv_none;
    for (size_t i = 0; i < of->map.nr; i++)
        if (str_eq(of->map.pairs[i].name, name))
            *v = *of->map.pairs[i].value;
    return true;
}

/* One field or method of a value. */
static bool
eval_field(struct texec *x, const struct tvalue *of, struct str name, const struct tvalue *args,
           size_t args_nr, struct tvalue *v)
{
    bool found = false;

    switch (of->kind) {
    case TV_NONE:
        if (x->missing_is_error)
            return texec_fail(x, "nil data; no entry for key \"%.*s\"", STR_ARG(name));
        *v = tv_none;
        return true;
    case TV_LABELS:
    case TV_MAP:
        if (args_nr != 0)
            return texec_fail(x, "%.*s is not a method but has arguments", STR_ARG(name));
        return map_field(x, of, name, v);
    case TV_ALERT:
        found = alert_field(of->alert, name, v);
        break;
    case TV_SAMPLE:
        found = sample_field(of->sample, name, v);
        break;
    case TV_TIME:
        return time_method(x, of->i, name, args, args_nr, v) ||
               texec_fail(x, "can't evaluate field %.*s in type %s", STR_ARG(name),
                          tvalue_type(of));
    case TV_DURATION:
        found = duration_method(x, of->i, name, v);
        break;
    default:
        break;
    }
    if (!found)
        return texec_fail(x, "can't evaluate field %.*s in type %s", STR_ARG(name),
                          tvalue_type(of));
    return args_nr == 0 ||
           texec_fail(x, "%.*s has arguments but cannot be invoked as function", STR_ARG(name));
}

/* The arguments of a method call: those of the command, then the value piped in. */
static bool
eval_args(struct texec *x, struct tvalue dot, struct tnode *const *args, size_t args_nr,
          const struct tvalue *final, struct tvalue **out, size_t *out_nr)
{
    *out = ARENA_NEW_ARRAY(x->arena, struct tvalue, args_nr + 1);
    for (*out_nr = 0; *out_nr < args_nr; ++*out_nr)
        if (!eval_arg(x, dot, TA_ANY, args[*out_nr], &(*out)[*out_nr]))
            return false;
    if (final != NULL)
        (*out)[(*out_nr)++] = *final;
    return true;
}

/* Fields from names on; arguments belong to the last one. */
static bool
eval_chain(struct texec *x, struct tvalue dot, struct tvalue of, const struct str *names,
           size_t names_nr, struct tnode *const *args, size_t args_nr, const struct tvalue *final,
           struct tvalue *v)
{
    struct tvalue *values;
    size_t values_nr;

    for (size_t i = 0; i + 1 < names_nr; i++)
        if (!eval_field(x, &of, names[i], NULL, 0, &of))
            return false;
    if (!eval_args(x, dot, args, args_nr, final, &values, &values_nr))
        return false;
    return eval_field(x, &of, names[names_nr - 1], values, values_nr, v);
}

/* ---- functions ---- */

static const char *
targ_type(enum targ type)
{
    static const char *const names[] = { "interface {}",         "string",           "float64",
                                         "template.queryResult", "*template.sample", "int",
                                         "time.Duration" };
    return names[type];
}

static bool
value_fits(const struct tvalue *v, enum targ type)
{
    static const enum tvalue_kind kinds[] = { TV_NONE,   TV_STRING, TV_FLOAT,   TV_RESULT,
                                              TV_SAMPLE, TV_INT,    TV_DURATION };

    return type == TA_ANY || v->kind == kinds[type];
}

static enum targ
arg_type(const struct tfunc *f, size_t i)
{
    return f->types[MIN(i, f->variadic ? (f->args_min == 0 ? 0 : (size_t)f->args_min)
                                       : ARRAY_LEN(f->types) - 1)];
}

static bool
call_values(struct texec *x, const struct tfunc *f, const struct tnode *at,
            const struct tvalue *args, size_t nr, struct tvalue *v)
{
    struct error err = { 0 };
    bool ok = f->call(x, args, nr, v, &err);

    if (!ok && x->err->kind == ERR_NONE) {
        x->at = at;
        texec_fail(x, "error calling %s: %s", f->name, error_text(&err));
    }
    error_clear(&err);
    return ok;
}

/* `and` and `or` stop at the first argument that decides. */
static bool
eval_logic(struct texec *x, struct tvalue dot, bool is_and, struct tnode *const *args,
           size_t args_nr, const struct tvalue *final, struct tvalue *v)
{
    for (size_t i = 0; i < args_nr; i++) {
        if (!eval_arg(x, dot, TA_ANY, args[i], v))
            return false;
        if (tvalue_truth(v) != is_and)
            return true;
    }
    if (final != NULL)
        *v = *final;
    return true;
}

static bool
eval_function(struct texec *x, struct tvalue dot, const struct tnode *identifier,
              const struct tnode *at, struct tnode *const *args, size_t args_nr,
              const struct tvalue *final, struct tvalue *v)
{
    const struct tfunc *f = tfunc_find(identifier->text);
    size_t nr = args_nr + (final != NULL);

    x->at = identifier;
    if (f->variadic && nr < f->args_min)
        return texec_fail(x, "wrong number of args for %s: want at least %u got %zu", f->name,
                          f->args_min, nr);
    if (!f->variadic && nr != f->args_min)
        return texec_fail(x, "wrong number of args for %s: want %u got %zu", f->name, f->args_min,
                          nr);
    if (f->call == NULL)
        return eval_logic(x, dot, str_is(identifier->text, "and"), args, args_nr, final, v);
    struct tvalue *values = ARENA_NEW_ARRAY(x->arena, struct tvalue, nr);
    for (size_t i = 0; i < args_nr; i++)
        if (!eval_arg(x, dot, arg_type(f, i), args[i], &values[i]))
            return false;
    if (final != NULL) {
        enum targ type = arg_type(f, args_nr);
        values[args_nr] = *final;
        /* Go converts an integer constant that is piped into a float parameter only when it stands
         * there as an argument. */
        if (!value_fits(final, type))
            return texec_fail(x, "wrong type for value; expected %s; got %s", targ_type(type),
                              tvalue_type(final));
    }
    return call_values(x, f, at, values, nr, v);
}

/* ---- operands ---- */

static struct tvalue
constant(const struct tnode *n)
{
    bool looks_float = false;

    /* Hexadecimal digits hold an 'e' that is no exponent. */
    bool hex = n->text.n > 1 && (n->text.p[1] == 'x' || n->text.p[1] == 'X');
    for (size_t i = 0; i < n->text.n && n->text.p[0] != '\''; i++)
        looks_float |= !hex && memchr(".eEpP", n->text.p[i], 5) != NULL;
    if (n->is_int && !looks_float)
        return of_int(n->integer);
    return of_float(n->number);
}

static bool
eval_number_arg(struct texec *x, enum targ type, const struct tnode *n, struct tvalue *v)
{
    struct buf text = { 0 };

    if (type == TA_ANY) {
        *v = constant(n);
        return true;
    }
    if (type == TA_FLOAT && n->is_float) {
        *v = of_float(n->number);
        return true;
    }
    if (type == TA_INT && n->is_int) {
        *v = of_int(n->integer);
        return true;
    }
    tnode_print(n, &text);
    if (type == TA_STRING || type == TA_FLOAT || type == TA_INT)
        texec_fail(x, "expected %s; found %s",
                   type == TA_STRING  ? "string"
                   : type == TA_FLOAT ? "float"
                                      : "integer",
                   buf_z(&text));
    else
        texec_fail(x, "can't handle %s for arg of type %s", buf_z(&text), targ_type(type));
    buf_fini(&text);
    return false;
}

/* A command's first word, or an argument: its value. args: the rest of the command, NULL for an
 * argument. */
static bool
eval_operand(struct texec *x, struct tvalue dot, const struct tnode *n, const struct tnode *at,
             struct tnode *const *args, size_t args_nr, const struct tvalue *final,
             struct tvalue *v)
{
    struct tvalue of;

    switch (n->kind) {
    case NODE_FIELD:
        x->at = n;
        return eval_chain(x, dot, dot, n->names, n->names_nr, args, args_nr, final, v);
    case NODE_CHAIN:
        x->at = n;
        if (n->pipe->kind == NODE_NIL)
            return texec_fail(x, "indirection through explicit nil");
        if (!eval_arg(x, dot, TA_ANY, n->pipe, &of))
            return false;
        return eval_chain(x, dot, of, n->names, n->names_nr, args, args_nr, final, v);
    case NODE_VARIABLE:
        x->at = n;
        *v = var_find(x, n->names[0])->value;
        if (n->names_nr == 1)
            return (args_nr == 0 && final == NULL) ||
                   texec_fail(x, "can't give argument to non-function %.*s", STR_ARG(n->names[0]));
        return eval_chain(x, dot, *v, n->names + 1, n->names_nr - 1, args, args_nr, final, v);
    case NODE_IDENTIFIER:
        return eval_function(x, dot, n, at, args, args_nr, final, v);
    case NODE_PIPE:
        return eval_pipeline(x, dot, n, v);
    default:
        break;
    }
    x->at = n;
    if (args_nr != 0 || final != NULL) {
        struct buf text = { 0 };
        tnode_print(n, &text);
        texec_fail(x, "can't give argument to non-function %s", buf_z(&text));
        buf_fini(&text);
        return false;
    }
    *v = n->kind == NODE_BOOL     ? (struct tvalue){ .kind = TV_BOOL, .b = n->boolean }
         : n->kind == NODE_DOT    ? dot
         : n->kind == NODE_NUMBER ? constant(n)
         : n->kind == NODE_STRING ? (struct tvalue){ .kind = TV_STRING, .s = n->string }
                                  : tv_none;
    return true;
}

static bool
eval_arg(struct texec *x, struct tvalue dot, enum targ type, const struct tnode *n,
         struct tvalue *v)
{
    x->at = n;
    if (n->kind == NODE_NUMBER)
        return eval_number_arg(x, type, n, v);
    if (!eval_operand(x, dot, n, n, NULL, 0, NULL, v))
        return false;
    if (value_fits(v, type))
        return true;
    if (v->kind == TV_NONE)
        return texec_fail(x, "invalid value; expected %s", targ_type(type));
    if (n->kind == NODE_STRING || n->kind == NODE_BOOL) {
        struct buf text = { 0 };
        tnode_print(n, &text);
        texec_fail(x, "can't handle %s for arg of type %s", buf_z(&text), targ_type(type));
        buf_fini(&text);
        return false;
    }
    return texec_fail(x, "wrong type for value; expected %s; got %s", targ_type(type),
                      tvalue_type(v));
}

static bool
eval_command(struct texec *x, struct tvalue dot, const struct tnode *cmd,
             const struct tvalue *final, struct tvalue *v)
{
    const struct tnode *first = cmd->items[0];

    if (first->kind == NODE_NIL) {
        x->at = first;
        return texec_fail(x, "nil is not a command");
    }
    return eval_operand(x, dot, first, cmd, cmd->items + 1, cmd->items_nr - 1, final, v);
}

/* The commands of a pipeline, without its declarations. */
static bool
eval_commands(struct texec *x, struct tvalue dot, const struct tnode *pipe, struct tvalue *v)
{
    struct tvalue final;

    x->at = pipe;
    if (++x->steps > STEPS_MAX)
        return texec_fail(x, "template runs for too long");
    for (size_t i = 0; i < pipe->items_nr; i++) {
        if (!eval_command(x, dot, pipe->items[i], i == 0 ? NULL : &final, v))
            return false;
        final = *v;
    }
    return true;
}

static bool
eval_pipeline(struct texec *x, struct tvalue dot, const struct tnode *pipe, struct tvalue *v)
{
    if (++x->depth > DEPTH_MAX)
        return texec_fail(x, "exceeded maximum template depth (%d)", DEPTH_MAX);
    bool ok = eval_commands(x, dot, pipe, v);
    x->depth--;
    for (size_t i = 0; ok && i < pipe->decls_nr; i++) {
        if (pipe->is_assign)
            var_find(x, pipe->decls[i]->names[0])->value = *v;
        else
            var_push(x, pipe->decls[i]->names[0], *v);
    }
    return ok;
}

/* ---- statements ---- */

static enum flow
walk_list(struct texec *x, struct tvalue dot, const struct tnode *list)
{
    enum flow flow = FLOW_ON;

    for (size_t i = 0; list != NULL && flow == FLOW_ON && i < list->items_nr; i++)
        flow = walk(x, dot, list->items[i]);
    return flow;
}

static enum flow
walk_condition(struct texec *x, struct tvalue dot, const struct tnode *n)
{
    size_t vars_nr = x->vars_nr;
    struct tvalue v;

    if (!eval_pipeline(x, dot, n->pipe, &v))
        return FLOW_FAILED;
    bool truth = tvalue_truth(&v);
    enum flow flow =
        walk_list(x, n->kind == NODE_WITH && truth ? v : dot, truth ? n->list : n->else_list);
    x->vars_nr = vars_nr;
    return flow;
}

/* Element i of what range goes over; *key is its index or name. False past the end. */
static bool
range_element(struct texec *x, const struct tvalue *over, size_t i, struct tvalue *key,
              struct tvalue *element)
{
    *key = of_int((int64_t)i);
    switch (over->kind) {
    case TV_LIST:
        if (i < over->list.nr)
            *element = over->list.v[i];
        return i < over->list.nr;
    case TV_RESULT:
        if (i < over->result.nr)
            *element = (struct tvalue){ .kind = TV_SAMPLE, .sample = &over->result.v[i] };
        return i < over->result.nr;
    case TV_INT:
        *element = of_int((int64_t)i);
        return over->i > 0 && (uint64_t)i < (uint64_t)over->i;
    case TV_LABELS:
        if (i >= over->labels.nr)
            return false;
        *key = (struct tvalue){ .kind = TV_STRING, .s = over->labels.v[i].name };
        *element = (struct tvalue){ .kind = TV_STRING, .s = over->labels.v[i].value };
        return true;
    case TV_MAP:
        if (i >= over->map.nr)
            return false;
        *key = (struct tvalue){ .kind = TV_STRING, .s = over->map.pairs[i].name };
        *element = *over->map.pairs[i].value;
        return true;
    default:
        return false;
    }
}

static void
range_declare(struct texec *x, const struct tnode *pipe, struct tvalue key, struct tvalue element)
{
    struct tvalue values[2] = { pipe->decls_nr == 2 ? key : element, element };

    for (size_t i = 0; i < pipe->decls_nr && i < 2; i++) {
        if (pipe->is_assign)
            var_find(x, pipe->decls[i]->names[0])->value = values[i];
        else
            var_push(x, pipe->decls[i]->names[0], values[i]);
    }
}

static enum flow
walk_range(struct texec *x, struct tvalue dot, const struct tnode *n)
{
    size_t vars_nr = x->vars_nr, i = 0;
    struct tvalue over, key, element;
    enum flow flow = FLOW_ON;

    if (!eval_commands(x, dot, n->pipe, &over))
        return FLOW_FAILED;
    if (over.kind == TV_BOOL || over.kind == TV_UINT || over.kind == TV_FLOAT ||
        over.kind == TV_STRING || over.kind >= TV_SAMPLE) {
        struct buf text = { 0 };
        tvalue_print(&over, &text);
        x->at = n;
        texec_fail(x, "range can't iterate over %s", buf_z(&text));
        buf_fini(&text);
        return FLOW_FAILED;
    }
    for (; (flow == FLOW_ON || flow == FLOW_CONTINUE) && range_element(x, &over, i, &key, &element);
         i++) {
        if (++x->steps > STEPS_MAX) {
            texec_fail(x, "template runs for too long");
            return FLOW_FAILED;
        }
        range_declare(x, n->pipe, key, element);
        flow = walk_list(x, element, n->list);
        x->vars_nr = vars_nr;
    }
    if (flow == FLOW_FAILED)
        return flow;
    if (i == 0)
        flow = walk_list(x, dot, n->else_list);
    x->vars_nr = vars_nr;
    return flow == FLOW_FAILED ? flow : FLOW_ON;
}

static enum flow
walk_template(struct texec *x, struct tvalue dot, const struct tnode *n)
{
    const struct template *t = x->template;
    const struct tnode *tree = str_eq(n->string, t->name) ? t->root : NULL;
    struct tvalue v = tv_none;

    x->at = n;
    for (size_t i = 0; i < t->defined_nr; i++)
        if (str_eq(t->defined[i].name, n->string))
            tree = t->defined[i].list;
    if (tree == NULL)
        return texec_fail(x, "template \"%.*s\" not defined", STR_ARG(n->string)), FLOW_FAILED;
    if (++x->depth > DEPTH_MAX)
        return texec_fail(x, "exceeded maximum template depth (%d)", DEPTH_MAX), FLOW_FAILED;
    if (n->pipe != NULL && !eval_pipeline(x, dot, n->pipe, &v))
        return FLOW_FAILED;
    struct str outer = x->tree_name;
    size_t vars_nr = x->vars_nr;
    x->tree_name = n->string;
    var_push(x, STR("$"), v); /* the parser lets the body see no other variable */
    enum flow flow = walk_list(x, v, tree);
    x->vars_nr = vars_nr;
    x->tree_name = outer;
    x->depth--;
    return flow;
}

static bool
output_fits(struct texec *x)
{
    if (x->out->n - x->out_start <= TEMPLATE_OUTPUT_BYTES_MAX)
        return true;
    return texec_fail(x, "output is longer than %u bytes", TEMPLATE_OUTPUT_BYTES_MAX);
}

static enum flow
walk(struct texec *x, struct tvalue dot, const struct tnode *n)
{
    struct tvalue v;

    x->at = n;
    if (++x->steps > STEPS_MAX)
        return texec_fail(x, "template runs for too long"), FLOW_FAILED;
    switch (n->kind) {
    case NODE_TEXT:
        buf_str(x->out, n->text);
        break;
    case NODE_ACTION:
        if (!eval_pipeline(x, dot, n->pipe, &v))
            return FLOW_FAILED;
        if (n->pipe->decls_nr == 0)
            tvalue_print(&v, x->out);
        break;
    case NODE_IF:
    case NODE_WITH:
        return walk_condition(x, dot, n);
    case NODE_RANGE:
        return walk_range(x, dot, n);
    case NODE_TEMPLATE:
        return walk_template(x, dot, n);
    case NODE_BREAK:
        return FLOW_BREAK;
    case NODE_CONTINUE:
        return FLOW_CONTINUE;
    default:
        break;
    }
    return output_fits(x) ? FLOW_ON : FLOW_FAILED;
}

bool
template_execute(const struct template *t, const struct tvalue *data,
                 const struct template_env *env, bool missing_is_error, struct buf *out,
                 struct error *err)
{
    struct arena arena;
    struct texec x = {
        .template = t,
        .env = env,
        .arena = &arena,
        .out = out,
        .out_start = out->n,
        .tree_name = t->name,
        .missing_is_error = missing_is_error,
        .err = err,
    };

    arena_init(&arena, SIZE_MAX);
    error_clear(err);
    var_push(&x, STR("$"), *data);
    bool ok = walk_list(&x, *data, t->root) != FLOW_FAILED;
    if (!ok)
        out->n = x.out_start;
    for (size_t i = 0; i < x.results_nr; i++)
        query_result_fini(&x.results[i]);
    arena_fini(&arena);
    return ok;
}

bool
template_expand(const struct template *t, const struct template_alert *alert,
                const struct template_env *env, struct buf *out, struct error *err)
{
    struct tvalue data = { .kind = TV_ALERT, .alert = alert };

    if (template_execute(t, &data, env, false, out, err))
        return true;
    return error_wrap(err, "error executing template %.*s", STR_ARG(t->name));
}
