#include "promql/parser.h"
#include <stdarg.h>
#include <stdio.h>
#include "base/mem.h"
#include "promql/check.h"
#include "promql/parse_priv.h"
#include "promql/quote.h"

static void
add_error(struct parser *p, struct pos_range pos, struct str msg)
{
    struct promql_errors *es = p->errors;

    if (es->nr >= es->max)
        return;
    ARENA_GROW(p->arena, es->items, es->nr, es->nr + 1, &es->cap);
    es->items[es->nr++] = (struct promql_error){ pos, msg };
}

void
parse_error(struct parser *p, struct pos_range pos, const char *fmt, ...)
{
    va_list ap;
    char *msg;

    if (p->errors->nr >= p->errors->max)
        return;
    va_start(ap, fmt);
    int n = vasprintf(&msg, fmt, ap);
    va_end(ap);
    if (n < 0)
        mem_exhausted(0);
    add_error(p, pos, arena_str(p->arena, (struct str){ msg, (size_t)n }));
    mem_free(msg);
}

const struct token *
parse_peek(struct parser *p)
{
    if (p->has_token)
        return &p->token;
    lexer_next(&p->lexer, &p->token);
    p->has_token = true;
    switch (p->token.type) {
    case TOKEN_ERROR:
        /* It is met once: nothing takes the token, so that it stays the lookahead until the end. */
        add_error(p, p->token.pos, p->lexer.msg);
        break;
    case TOKEN_RIGHT_BRACE:
    case TOKEN_RIGHT_BRACKET:
    case TOKEN_RIGHT_PAREN:
    case TOKEN_DURATION:
    case TOKEN_NUMBER:
        p->last_closing = p->token.pos.end;
        break;
    default:
        break;
    }
    return &p->token;
}

struct token
parse_take(struct parser *p)
{
    parse_peek(p);
    p->has_token = false;
    return p->token;
}

bool
parse_accept(struct parser *p, enum token_type type)
{
    if (parse_peek(p)->type != type)
        return false;
    p->has_token = false;
    return true;
}

void
parse_unexpected_item(struct parser *p, const char *place, const char *expected)
{
    if (p->told)
        return;
    p->told = true;
    if (p->token.type == TOKEN_ERROR)
        return;
    parse_error(p, p->token.pos, "unexpected %s%s%s%s%s", token_describe(&p->token, p->arena).p,
                place[0] == '\0' ? "" : " in ", place, expected[0] == '\0' ? "" : ", expected ",
                expected);
}

bool
parse_enter(struct parser *p)
{
    if (p->depth == PROMQL_HEIGHT_MAX) {
        if (!p->told)
            parse_error(p, parse_peek(p)->pos, "expression is nested more than %d levels deep",
                        PROMQL_HEIGHT_MAX);
        p->told = true;
        return false;
    }
    if (arena_over(p->arena)) {
        if (!p->told)
            parse_error(p, parse_peek(p)->pos, "expression needs too much memory");
        p->told = true;
        return false;
    }
    p->depth++;
    return true;
}

void
parse_leave(struct parser *p)
{
    p->depth--;
}

struct expr *
parse_new(struct parser *p, enum expr_kind kind, enum value_type type, struct pos_range pos)
{
    struct expr *e = ARENA_NEW(p->arena, struct expr);

    e->kind = kind;
    e->type = type;
    e->pos = pos;
    e->height = 1;
    return e;
}

void
parse_adopt(struct expr *e, const struct expr *child)
{
    if (child != NULL && e->height <= child->height)
        e->height = child->height + 1;
}

struct str
parse_quoted(struct parser *p, struct str text)
{
    struct buf b = { 0 };

    quote(&b, text);
    struct str quoted = arena_str(p->arena, buf_as_str(&b));
    buf_fini(&b);
    return quoted;
}

struct str
parse_unquote(struct parser *p, struct str literal)
{
    struct buf b = { 0 };
    struct str v = STR("");

    if (unquote(literal, &b))
        v = arena_str(p->arena, buf_as_str(&b));
    else
        parse_error(p, p->token.pos, "error unquoting string %s: invalid syntax",
                    parse_quoted(p, literal).p);
    buf_fini(&b);
    return v;
}

static void
parser_init(struct parser *p, struct arena *arena, struct str text,
            const struct promql_parse_options *options, struct promql_errors *errors)
{
    *p = (struct parser){ .arena = arena, .options = options, .errors = errors };
    if (errors->max == 0)
        errors->max = PROMQL_ERRORS_MAX;
    lexer_init(&p->lexer, text, false, arena);
}

/* False, with the compiled expressions released, when there was any error. */
static bool
parser_finish(struct parser *p)
{
    if (p->errors->nr == 0)
        return true;
    for (size_t i = 0; i < p->regexes_nr; i++)
        regex_unref(p->regexes[i]);
    return false;
}

static bool
text_fits(struct parser *p)
{
    if (p->lexer.text.n <= PROMQL_TEXT_BYTES_MAX)
        return true;
    parse_error(p, (struct pos_range){ 0, 0 }, "expression has more than %u bytes",
                PROMQL_TEXT_BYTES_MAX);
    return false;
}

static struct expr *
parse_whole(struct parser *p)
{
    if (parse_peek(p)->type == TOKEN_EOF) {
        parse_error(p, (struct pos_range){ 0, 0 }, "no expression found in input");
        return NULL;
    }
    struct expr *e = parse_expr(p, 0);
    if (e == NULL || (parse_peek(p)->type != TOKEN_EOF && p->token.type != TOKEN_ERROR))
        parse_unexpected_item(p, "", "");
    return e;
}

struct expr *
promql_parse_all(struct arena *arena, struct str text, const struct promql_parse_options *options,
                 struct promql_errors *errors)
{
    struct parser p;

    parser_init(&p, arena, text, options, errors);
    if (!text_fits(&p))
        return NULL;
    struct expr *e = parse_whole(&p);
    /* Types are looked at only when the structure is sound. */
    if (errors->nr == 0)
        check_expr(&p, e);
    if (errors->nr == 0 && e->height > PROMQL_HEIGHT_MAX)
        parse_error(&p, e->pos, "expression is nested more than %d levels deep", PROMQL_HEIGHT_MAX);
    return parser_finish(&p) ? e : NULL;
}

struct expr *
promql_parse(struct arena *arena, struct str text, const struct promql_parse_options *options,
             struct error *err)
{
    struct promql_errors errors = { .max = 1 };
    struct expr *e = promql_parse_all(arena, text, options, &errors);

    if (e == NULL)
        promql_error_set(err, text, &errors.items[0]);
    return e;
}

bool
promql_parse_selector(struct arena *arena, struct str text,
                      const struct promql_parse_options *options, struct matcher **matchers,
                      size_t *matchers_nr, struct error *err)
{
    struct promql_errors errors = { .max = 1 };
    struct parser p;
    struct expr *e = NULL;

    parser_init(&p, arena, text, options, &errors);
    if (text_fits(&p)) {
        const struct token *t = parse_peek(&p);

        if (parse_names_metric(t)) {
            struct token name = parse_take(&p);
            e = parse_selector(&p, &name);
        } else if (t->type == TOKEN_LEFT_BRACE) {
            e = parse_selector(&p, NULL);
        }
        if (e == NULL || parse_peek(&p)->type != TOKEN_EOF)
            parse_unexpected_item(&p, "", "");
    }
    if (!parser_finish(&p))
        return promql_error_set(err, text, &errors.items[0]);
    *matchers = e->selector.matchers;
    *matchers_nr = e->selector.matchers_nr;
    return true;
}

bool
promql_error_set(struct error *err, struct str text, const struct promql_error *e)
{
    size_t line = 1, column = e->pos.start + 1;

    if (text.n == 0)
        return error_set(err, ERR_INVALID, "unknown position: parse error: %.*s", STR_ARG(e->msg));
    for (size_t i = 0; i < e->pos.start && i < text.n; i++) {
        if (text.p[i] == '\n') {
            line++;
            column = e->pos.start - i;
        }
    }
    return error_set(err, ERR_INVALID, "%zu:%zu: parse error: %.*s", line, column, STR_ARG(e->msg));
}
