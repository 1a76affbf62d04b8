/* The tree of a template: recursive descent after Go's text/template/parse, with its error texts.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/mem.h"
#include "rules/template_priv.h"

enum { NESTING_MAX = 100, PEEK_MAX = 3 };

struct parse {
    struct template *t;
    struct lex lex;
    struct item ahead[PEEK_MAX]; /* put back; the last is next */
    unsigned ahead_nr;
    struct str *vars; /* in scope */
    size_t vars_nr, vars_cap;
    unsigned nesting, ranges;
    bool failed;
    struct error *err;
};

static bool
fail(struct parse *p, unsigned line, const char *fmt, ...)
{
    char message[512];
    va_list ap;

    if (p->failed)
        return false;
    p->failed = true;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    return error_set(p->err, ERR_INVALID, "template: %.*s:%u: %s", STR_ARG(p->t->name), line,
                     message);
}

static struct item
next(struct parse *p)
{
    return p->ahead_nr != 0 ? p->ahead[--p->ahead_nr] : lex_next(&p->lex);
}

static void
back(struct parse *p, struct item it)
{
    ASSERT(p->ahead_nr < PEEK_MAX);
    p->ahead[p->ahead_nr++] = it;
}

static struct item
next_solid(struct parse *p)
{
    struct item it;

    do
        it = next(p);
    while (it.kind == ITEM_SPACE);
    return it;
}

static struct item
peek(struct parse *p)
{
    struct item it = next(p);

    back(p, it);
    return it;
}

static struct item
peek_solid(struct parse *p)
{
    struct item it = next_solid(p);

    back(p, it);
    return it;
}

/* As Go prints an item in errors. */
static const char *
item_text(struct item it, char out[96])
{
    if (it.kind == ITEM_EOF)
        snprintf(out, 96, "EOF");
    else if (it.kind == ITEM_ERROR)
        snprintf(out, 96, "%.*s", (int)MIN(it.text.n, (size_t)90), it.text.p);
    else if (it.kind >= ITEM_KEYWORD_FIRST)
        snprintf(out, 96, "<%.*s>", STR_ARG(it.text));
    else if (it.text.n > 10)
        snprintf(out, 96, "\"%.10s\"...", it.text.p);
    else
        snprintf(out, 96, "\"%.*s\"", STR_ARG(it.text));
    return out;
}

static void
unexpected(struct parse *p, struct item it, const char *context)
{
    char text[96];

    if (it.kind == ITEM_ERROR)
        fail(p, it.line, "%s", item_text(it, text));
    else
        fail(p, it.line, "unexpected %s in %s", item_text(it, text), context);
}

static struct tnode *
node_new(struct parse *p, enum node_kind kind, struct item it)
{
    struct tnode *n = ARENA_NEW(&p->t->arena, struct tnode);

    n->kind = kind;
    n->pos = it.pos;
    n->line = it.line;
    n->text = it.text;
    return n;
}

static void
items_add(struct parse *p, struct tnode *n, struct tnode *item)
{
    ARENA_GROW(&p->t->arena, n->items, n->items_nr, n->items_nr + 1, &n->items_cap);
    n->items[n->items_nr++] = item;
}

static void
names_add(struct parse *p, struct tnode *n, struct str name)
{
    ARENA_GROW(&p->t->arena, n->names, n->names_nr, n->names_nr + 1, &n->names_cap);
    n->names[n->names_nr++] = name;
}

static void
var_push(struct parse *p, struct str name)
{
    ARENA_GROW(&p->t->arena, p->vars, p->vars_nr, p->vars_nr + 1, &p->vars_cap);
    p->vars[p->vars_nr++] = name;
}

static bool
var_known(const struct parse *p, struct str name)
{
    for (size_t i = 0; i < p->vars_nr; i++)
        if (str_eq(p->vars[i], name))
            return true;
    return false;
}

/* ---- constants ---- */

/* \x41, \u0041, \U00000041, \101: *i stands on the character after the backslash and is left on the
 * last digit. */
static bool
unquote_digits(struct str text, size_t *i, struct buf *out)
{
    char c = text.p[*i], z[9] = { 0 }, *end;
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 3;
    size_t from = digits == 3 ? *i : *i + 1;

    if (from + digits > text.n - 1 || (digits == 3 && (c < '0' || c > '7')))
        return false;
    memcpy(z, text.p + from, digits);
    unsigned long v = strtoul(z, &end, digits == 3 ? 8 : 16);
    if (digits < 4)
        buf_byte(out, (uint8_t)v);
    else
        buf_rune(out, (uint32_t)v);
    *i = from + digits - 1;
    return *end == '\0';
}

static bool
unquote(struct parse *p, struct item it, struct str *out)
{
    struct buf b = { 0 };
    bool ok = true;

    if (it.kind == ITEM_RAW_STRING) {
        for (size_t i = 1; i + 1 < it.text.n; i++)
            if (it.text.p[i] != '\r')
                buf_byte(&b, (uint8_t)it.text.p[i]);
    }
    for (size_t i = 1; ok && it.kind != ITEM_RAW_STRING && i + 1 < it.text.n; i++) {
        static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
        char c = it.text.p[i];
        if (c != '\\') {
            buf_byte(&b, (uint8_t)c);
            continue;
        }
        c = it.text.p[++i];
        const char *hit = c == '\0' ? NULL : strchr(from, c);
        if (hit != NULL)
            buf_byte(&b, (uint8_t)to[hit - from]);
        else
            ok = unquote_digits(it.text, &i, &b);
    }
    *out = arena_str(&p->t->arena, buf_as_str(&b));
    buf_fini(&b);
    return ok || fail(p, it.line, "invalid syntax");
}

static struct tnode *
string_node(struct parse *p, struct item it)
{
    struct tnode *n = node_new(p, NODE_STRING, it);

    unquote(p, it, &n->string);
    return n;
}

static struct tnode *
char_node(struct parse *p, struct item it)
{
    struct tnode *n = node_new(p, NODE_NUMBER, it);
    struct str text;
    uint32_t rune = 0;

    if (!unquote(p, it, &text) || str_rune(text, &rune) != text.n) {
        fail(p, it.line, "malformed character constant: %.*s", STR_ARG(it.text));
        return n;
    }
    n->is_int = n->is_float = true;
    n->integer = (int64_t)rune;
    n->number = rune;
    return n;
}

static struct tnode *
number_node(struct parse *p, struct item it)
{
    struct tnode *n = node_new(p, NODE_NUMBER, it);
    char z[64], *end;

    if (it.text.n < sizeof z) {
        size_t used = 0;
        for (size_t i = 0; i < it.text.n; i++) /* 1_000 */
            if (it.text.p[i] != '_')
                z[used++] = it.text.p[i];
        z[used] = '\0';
        errno = 0;
        n->integer = strtoll(z, &end, 0);
        n->is_int = errno == 0 && *end == '\0' && used != 0;
        n->is_float = decimal_parse((struct str){ z, used }, &n->number);
    }
    if (n->is_int && !n->is_float) {
        n->number = (double)n->integer;
        n->is_float = true;
    } else if (n->is_float && !n->is_int && n->number == (double)(int64_t)n->number &&
               n->number > -9e18 && n->number < 9e18) {
        n->integer = (int64_t)n->number; /* 1e3 serves as an integer too */
        n->is_int = true;
    }
    if (!n->is_int && !n->is_float)
        fail(p, it.line, "illegal number syntax: \"%.*s\"", STR_ARG(it.text));
    return n;
}

/* ---- pipelines ---- */

static struct tnode *pipeline(struct parse *p, const char *context, enum item_kind end);

static struct tnode *
variable_node(struct parse *p, struct item it)
{
    struct tnode *n = node_new(p, NODE_VARIABLE, it);

    if (!var_known(p, it.text))
        fail(p, it.line, "undefined variable \"%.*s\"", STR_ARG(it.text));
    names_add(p, n, it.text);
    return n;
}

/* One operand without its trailing fields, or NULL when the next item starts none. */
static struct tnode *
term(struct parse *p)
{
    struct item it = next_solid(p);
    struct tnode *n;

    switch (it.kind) {
    case ITEM_IDENTIFIER:
        if (tfunc_find(it.text) == NULL)
            fail(p, it.line, "function \"%.*s\" not defined", STR_ARG(it.text));
        return node_new(p, NODE_IDENTIFIER, it);
    case ITEM_DOT:
        return node_new(p, NODE_DOT, it);
    case ITEM_NIL:
        return node_new(p, NODE_NIL, it);
    case ITEM_VARIABLE:
        return variable_node(p, it);
    case ITEM_FIELD:
        n = node_new(p, NODE_FIELD, it);
        names_add(p, n, str_skip(it.text, 1));
        return n;
    case ITEM_BOOL:
        n = node_new(p, NODE_BOOL, it);
        n->boolean = str_is(it.text, "true");
        return n;
    case ITEM_NUMBER:
        return number_node(p, it);
    case ITEM_CHAR_CONSTANT:
        return char_node(p, it);
    case ITEM_STRING:
    case ITEM_RAW_STRING:
        return string_node(p, it);
    case ITEM_LPAREN:
        return pipeline(p, "parenthesized pipeline", ITEM_RPAREN);
    default:
        back(p, it);
        return NULL;
    }
}

static struct tnode *
operand(struct parse *p)
{
    struct tnode *n = term(p);

    if (n == NULL || p->failed || peek(p).kind != ITEM_FIELD)
        return n;
    if (n->kind != NODE_FIELD && n->kind != NODE_VARIABLE) {
        if (n->kind == NODE_BOOL || n->kind == NODE_STRING || n->kind == NODE_NUMBER ||
            n->kind == NODE_NIL || n->kind == NODE_DOT) {
            struct buf b = { 0 };
            tnode_print(n, &b);
            fail(p, n->line, "unexpected . after term \"%s\"", buf_z(&b));
            buf_fini(&b);
            return n;
        }
        struct tnode *chain = node_new(p, NODE_CHAIN, peek(p));
        chain->pipe = n;
        n = chain;
    } else {
        n->pos = peek(p).pos; /* where Go says that it is: at the first field behind it */
    }
    while (peek(p).kind == ITEM_FIELD)
        names_add(p, n, str_skip(next(p).text, 1));
    return n;
}

static struct tnode *
command(struct parse *p)
{
    struct tnode *cmd = node_new(p, NODE_COMMAND, peek_solid(p));

    while (!p->failed) {
        peek_solid(p);
        struct tnode *arg = operand(p);
        if (arg != NULL)
            items_add(p, cmd, arg);
        struct item it = next(p);
        if (it.kind == ITEM_SPACE)
            continue;
        if (it.kind == ITEM_RIGHT || it.kind == ITEM_RPAREN)
            back(p, it);
        else if (it.kind != ITEM_PIPE)
            unexpected(p, it, "operand");
        break;
    }
    if (cmd->items_nr == 0)
        fail(p, cmd->line, "empty command");
    return cmd;
}

static void
declare(struct parse *p, struct tnode *pipe, struct item it)
{
    struct tnode *v = node_new(p, NODE_VARIABLE, it);

    names_add(p, v, it.text);
    ARENA_GROW(&p->t->arena, pipe->decls, pipe->decls_nr, pipe->decls_nr + 1, &pipe->decls_cap);
    pipe->decls[pipe->decls_nr++] = v;
}

/* "$x :=", "$x =", or in range "$i, $x :=". Anything else is put back. */
static void
declarations(struct parse *p, struct tnode *pipe, const char *context)
{
    struct item v = peek_solid(p);

    if (v.kind != ITEM_VARIABLE)
        return;
    next_solid(p);
    struct item after = next(p), sep = after;
    if (after.kind == ITEM_SPACE)
        sep = next_solid(p);
    if (sep.kind == ITEM_DECLARE || sep.kind == ITEM_ASSIGN) {
        pipe->is_assign = sep.kind == ITEM_ASSIGN;
        if (pipe->is_assign && !var_known(p, v.text))
            fail(p, v.line, "undefined variable \"%.*s\"", STR_ARG(v.text));
        declare(p, pipe, v);
        if (!pipe->is_assign)
            var_push(p, v.text);
        return;
    }
    if (sep.kind == ITEM_COMMA && strcmp(context, "range") == 0 && pipe->decls_nr == 0) {
        declare(p, pipe, v);
        var_push(p, v.text);
        if (peek_solid(p).kind != ITEM_VARIABLE)
            fail(p, v.line, "range can only initialize variables");
        declarations(p, pipe, context);
        return;
    }
    if (sep.kind == ITEM_COMMA) {
        fail(p, sep.line, "too many declarations in %s", context);
        return;
    }
    /* A use of the variable: put back what was read, the space too, since it ends the operand. */
    back(p, sep);
    if (after.kind == ITEM_SPACE)
        back(p, after);
    back(p, v);
}

static void
pipeline_check(struct parse *p, const struct tnode *pipe, const char *context)
{
    if (pipe->items_nr == 0)
        fail(p, pipe->line, "missing value for %s", context);
    for (size_t i = 1; i < pipe->items_nr; i++) {
        const struct tnode *first = pipe->items[i]->items_nr == 0 ? NULL : pipe->items[i]->items[0];
        if (first != NULL &&
            (first->kind == NODE_BOOL || first->kind == NODE_DOT || first->kind == NODE_NIL ||
             first->kind == NODE_NUMBER || first->kind == NODE_STRING))
            fail(p, pipe->line, "non executable command in pipeline stage %zu", i + 1);
    }
}

static struct tnode *
pipeline(struct parse *p, const char *context, enum item_kind end)
{
    struct tnode *pipe = node_new(p, NODE_PIPE, peek_solid(p));

    if (++p->nesting > NESTING_MAX)
        fail(p, pipe->line, "template nested more than %d deep", NESTING_MAX);
    declarations(p, pipe, context);
    while (!p->failed) {
        struct item it = next_solid(p);
        if (it.kind == end) {
            pipeline_check(p, pipe, context);
            break;
        }
        back(p, it);
        static const enum item_kind starts[] = { ITEM_BOOL,       ITEM_CHAR_CONSTANT, ITEM_DOT,
                                                 ITEM_FIELD,      ITEM_NUMBER,        ITEM_NIL,
                                                 ITEM_RAW_STRING, ITEM_STRING,        ITEM_VARIABLE,
                                                 ITEM_LPAREN,     ITEM_IDENTIFIER };
        bool starts_command = false;
        for (size_t i = 0; i < ARRAY_LEN(starts); i++)
            starts_command |= it.kind == starts[i];
        if (!starts_command)
            unexpected(p, it, context);
        else
            items_add(p, pipe, command(p));
    }
    p->nesting--;
    return pipe;
}

/* ---- statements ---- */

static struct tnode *list_until_end(struct parse *p, struct item *closer);

static void
expect_right(struct parse *p, const char *context)
{
    struct item it = next_solid(p);

    if (it.kind != ITEM_RIGHT)
        unexpected(p, it, context);
}

/* The body of if, range, with: a list, then else parts, up to end. */
static struct tnode *
control(struct parse *p, enum node_kind kind, struct item keyword)
{
    struct tnode *n = node_new(p, kind, keyword);
    const char *context = kind == NODE_IF ? "if" : kind == NODE_RANGE ? "range" : "with";
    size_t vars_nr = p->vars_nr;
    struct item closer;

    n->pipe = pipeline(p, context, ITEM_RIGHT);
    p->ranges += kind == NODE_RANGE;
    n->list = list_until_end(p, &closer);
    p->ranges -= kind == NODE_RANGE;
    if (!p->failed && closer.kind == ITEM_ELSE) {
        struct item it = peek_solid(p);
        if ((it.kind == ITEM_IF && kind == NODE_IF) ||
            (it.kind == ITEM_WITH && kind == NODE_WITH)) {
            next_solid(p);
            n->else_list = node_new(p, NODE_LIST, it);
            items_add(p, n->else_list, control(p, kind, it));
            p->vars_nr = vars_nr;
            return n; /* the inner one took the end */
        }
        expect_right(p, "else");
        n->else_list = list_until_end(p, &closer);
        if (!p->failed && closer.kind == ITEM_ELSE)
            fail(p, closer.line, "expected end; found {{else}}");
    }
    p->vars_nr = vars_nr;
    return n;
}

static void
define_tree(struct parse *p, struct str name, struct tnode *list)
{
    struct template *t = p->t;

    ARENA_GROW(&t->arena, t->defined, t->defined_nr, t->defined_nr + 1, &t->defined_cap);
    t->defined[t->defined_nr++] = (struct named_tree){ name, list };
}

static bool
tree_name(struct parse *p, const char *context, struct str *name)
{
    struct item it = next_solid(p);

    if (it.kind != ITEM_STRING && it.kind != ITEM_RAW_STRING) {
        unexpected(p, it, context);
        return false;
    }
    return unquote(p, it, name);
}

/* A define or block body sees only its own variables. */
static struct tnode *
own_scope_list(struct parse *p)
{
    struct str *vars = p->vars;
    size_t vars_nr = p->vars_nr, vars_cap = p->vars_cap;
    struct item closer;

    p->vars = NULL;
    p->vars_nr = p->vars_cap = 0;
    var_push(p, STR("$"));
    struct tnode *list = list_until_end(p, &closer);
    if (!p->failed && closer.kind != ITEM_END)
        fail(p, closer.line, "unexpected {{else}} in define clause");
    p->vars = vars;
    p->vars_nr = vars_nr;
    p->vars_cap = vars_cap;
    return list;
}

static void
define(struct parse *p)
{
    struct str name;

    if (!tree_name(p, "define clause", &name))
        return;
    expect_right(p, "define clause");
    if (!p->failed)
        define_tree(p, name, own_scope_list(p));
}

static struct tnode *
template_node(struct parse *p, struct item keyword, bool block)
{
    const char *context = block ? "block clause" : "template clause";
    struct tnode *n = node_new(p, NODE_TEMPLATE, keyword);

    if (!tree_name(p, context, &n->string))
        return n;
    if (block || peek_solid(p).kind != ITEM_RIGHT)
        n->pipe = pipeline(p, context, ITEM_RIGHT);
    else
        next_solid(p);
    if (block && !p->failed)
        define_tree(p, n->string, own_scope_list(p));
    return n;
}

static struct tnode *
loop_jump(struct parse *p, enum node_kind kind, struct item keyword)
{
    const char *word = kind == NODE_BREAK ? "break" : "continue";

    if (p->ranges == 0)
        fail(p, keyword.line, "{{%s}} outside {{range}}", word);
    expect_right(p, kind == NODE_BREAK ? "{{break}}" : "{{continue}}");
    return node_new(p, kind, keyword);
}

/* What stands after {{. NULL with *closer set for end and else. */
static struct tnode *
action(struct parse *p, struct item *closer)
{
    struct item it = next_solid(p);

    switch (it.kind) {
    case ITEM_IF:
        return control(p, NODE_IF, it);
    case ITEM_RANGE:
        return control(p, NODE_RANGE, it);
    case ITEM_WITH:
        return control(p, NODE_WITH, it);
    case ITEM_TEMPLATE:
        return template_node(p, it, false);
    case ITEM_BLOCK:
        return template_node(p, it, true);
    case ITEM_BREAK:
        return loop_jump(p, NODE_BREAK, it);
    case ITEM_CONTINUE:
        return loop_jump(p, NODE_CONTINUE, it);
    case ITEM_DEFINE:
        define(p);
        return NULL;
    case ITEM_END:
        expect_right(p, "end");
        *closer = it;
        return NULL;
    case ITEM_ELSE:
        *closer = it;
        return NULL;
    default: {
        back(p, it);
        struct tnode *n = node_new(p, NODE_ACTION, it);
        n->pipe = pipeline(p, "command", ITEM_RIGHT);
        return n;
    }
    }
}

/* Adds statements until EOF (closer: ITEM_EOF), end or else. */
static struct tnode *
list_of(struct parse *p, struct item *closer)
{
    struct tnode *list = node_new(p, NODE_LIST, peek(p));

    *closer = (struct item){ .kind = ITEM_SPACE };
    while (!p->failed && closer->kind == ITEM_SPACE) {
        struct item it = next(p);
        if (it.kind == ITEM_TEXT) {
            items_add(p, list, node_new(p, NODE_TEXT, it));
        } else if (it.kind == ITEM_LEFT) {
            struct tnode *n = action(p, closer);
            if (n != NULL)
                items_add(p, list, n);
        } else if (it.kind == ITEM_EOF) {
            *closer = it;
        } else {
            unexpected(p, it, "input");
        }
    }
    return list;
}

static struct tnode *
list_until_end(struct parse *p, struct item *closer)
{
    *closer = (struct item){ .kind = ITEM_EOF };
    if (++p->nesting > NESTING_MAX)
        fail(p, p->lex.line, "template nested more than %d deep", NESTING_MAX);
    struct tnode *list = p->failed ? NULL : list_of(p, closer);
    if (!p->failed && closer->kind == ITEM_EOF)
        fail(p, closer->line, "unexpected EOF");
    p->nesting--;
    return list;
}

struct template *
template_parse_text(struct str name, struct str text, struct error *err)
{
    struct template *t = MEM_NEW(struct template);
    struct parse p = { .t = t, .err = err };
    struct item closer;

    arena_init(&t->arena, SIZE_MAX);
    t->name = arena_str(&t->arena, name);
    t->text = arena_str(&t->arena, text);
    lex_init(&p.lex, t->text);
    var_push(&p, STR("$"));
    t->root = list_of(&p, &closer);
    if (!p.failed && closer.kind != ITEM_EOF)
        fail(&p, closer.line, "unexpected {{%.*s}}", STR_ARG(closer.text));
    if (!p.failed)
        return t;
    template_free(t);
    return NULL;
}

/* Prometheus puts these in front of every alert template, so columns in errors count them. */
static const char alert_prefix[] = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}"
                                   "{{$externalURL := .ExternalURL}}{{$value := .Value}}";

struct template *
template_parse(struct str name, struct str text, struct error *err)
{
    struct buf whole = { 0 };

    buf_c(&whole, alert_prefix);
    buf_str(&whole, text);
    struct template *t = template_parse_text(name, buf_as_str(&whole), err);
    buf_fini(&whole);
    if (t != NULL)
        t->plain = memmem(text.p, text.n, "{{", 2) == NULL;
    return t;
}

void
template_free(struct template *t)
{
    if (t == NULL)
        return;
    arena_fini(&t->arena);
    mem_free(t);
}

bool
template_is_plain(const struct template *t)
{
    return t->plain;
}

/* ---- printing nodes ---- */

static void
print_joined(struct tnode *const *items, size_t nr, const char *sep, struct buf *out)
{
    for (size_t i = 0; i < nr; i++) {
        if (i != 0)
            buf_c(out, sep);
        bool wrap = items[i]->kind == NODE_PIPE;
        if (wrap)
            buf_byte(out, '(');
        tnode_print(items[i], out);
        if (wrap)
            buf_byte(out, ')');
    }
}

void
tnode_print(const struct tnode *n, struct buf *out)
{
    switch (n->kind) {
    case NODE_PIPE:
        print_joined(n->decls, n->decls_nr, ", ", out);
        if (n->decls_nr != 0)
            buf_c(out, n->is_assign ? " = " : " := ");
        print_joined(n->items, n->items_nr, " | ", out);
        break;
    case NODE_COMMAND:
        print_joined(n->items, n->items_nr, " ", out);
        break;
    case NODE_FIELD:
    case NODE_CHAIN:
    case NODE_VARIABLE:
        if (n->kind == NODE_CHAIN)
            print_joined(&n->pipe, 1, "", out);
        for (size_t i = 0; i < n->names_nr; i++) {
            if (n->kind != NODE_VARIABLE || i != 0)
                buf_byte(out, '.');
            buf_str(out, n->names[i]);
        }
        break;
    case NODE_ACTION:
        buf_c(out, "{{");
        tnode_print(n->pipe, out);
        buf_c(out, "}}");
        break;
    case NODE_TEMPLATE:
        buf_printf(out, "{{template \"%.*s\"", STR_ARG(n->string));
        if (n->pipe != NULL) {
            buf_byte(out, ' ');
            tnode_print(n->pipe, out);
        }
        buf_c(out, "}}");
        break;
    case NODE_IF:
    case NODE_RANGE:
    case NODE_WITH:
        buf_printf(out, "{{%.*s ", STR_ARG(n->text));
        tnode_print(n->pipe, out);
        buf_c(out, "}}");
        break;
    case NODE_LIST:
        print_joined(n->items, n->items_nr, "", out);
        break;
    default:
        buf_str(out, n->text);
        break;
    }
}
