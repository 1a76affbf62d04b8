/* promql/parse_priv.h: what the files of the parser share.
 *
 * Recursive descent over one token of lookahead. A parse_*() function returns NULL (or false) when
 * a token does not fit; who stands around it and has a word for its place ("in label matching")
 * says so with parse_unexpected_item(), the innermost first, and the parse ends. Mistakes that
 * leave the structure clear (parse_error()) are collected and parsing goes on; the order of the
 * errors is part of what clients see. */
#pragma once
#include "promql/lexer.h"
#include "promql/parser.h"

struct parser {
    struct arena *arena;
    const struct promql_parse_options *options;
    struct lexer lexer;
    struct promql_errors *errors;
    struct token token; /* lookahead, when has_token; else the last one taken */
    bool has_token;
    bool told; /* the unexpected token has been reported */
    uint32_t
        last_closing; /* end of the last bracket, brace, parenthesis, number or duration read */
    uint32_t depth;   /* of the recursion, at most PROMQL_HEIGHT_MAX */
    struct regex **regexes; /* of all matchers made, to be released when the parse fails */
    size_t regexes_nr, regexes_cap;
};

/* parser.c */
const struct token *parse_peek(struct parser *p);
struct token parse_take(struct parser *p);
/* Takes the next token if it is of that type. */
bool parse_accept(struct parser *p, enum token_type type);
void parse_error(struct parser *p, struct pos_range pos, const char *fmt, ...) PRINTF(3, 4);
/* "unexpected TOKEN in PLACE, expected WHAT"; place and what may be "". */
void parse_unexpected_item(struct parser *p, const char *place, const char *expected);
/* True, or an error when the text nests too deeply or the arena is over its limit; pairs with
 * parse_leave(). */
bool parse_enter(struct parser *p);
void parse_leave(struct parser *p);
struct expr *
parse_new(struct parser *p, enum expr_kind kind, enum value_type type, struct pos_range pos);
/* Sets e's height above child's; child may be NULL. */
void parse_adopt(struct expr *e, const struct expr *child);
struct str parse_quoted(struct parser *p, struct str text); /* Go's %q, in the arena */
struct str parse_unquote(struct parser *p, struct str literal);

/* parse_number_literal.c: the token is a number or duration just taken. */
double parse_number_literal(struct parser *p, const struct token *t);
struct expr *parse_number_expr(struct parser *p, const struct token *t);
bool parse_is_number(const struct token *t);
int64_t parse_seconds_to_ms(double seconds);

/* parse_expr.c */
struct expr *parse_expr(struct parser *p, int precedence_min);

/* parse_call.c: function calls and aggregations; the name has been taken. */
struct expr *parse_call(struct parser *p, const struct token *name);
struct expr *parse_aggregate(struct parser *p, const struct token *name);
bool parse_starts_expr(const struct token *t);

/* parse_binary.c: what stands between an operator and its right side; false on a syntax error. */
bool parse_modifiers(struct parser *p, struct binary_expr *b);

/* parse_postfix.c: offset, @, anchored, smoothed, [...] behind e. */
struct expr *parse_postfix(struct parser *p, struct expr *e);

/* parse_duration.c */
struct expr *parse_duration(struct parser *p, int precedence_min);
struct expr *parse_offset_duration(struct parser *p);

/* parse_selector.c */
struct expr *parse_selector(struct parser *p, const struct token *name); /* name: NULL for {...} */
bool parse_names_metric(const struct token *t);
/* "(" labels ")" */
bool parse_grouping(struct parser *p, const struct str **labels, size_t *nr);
