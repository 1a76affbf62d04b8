#include "promql/parse_priv.h"

/* Words that may stand where a metric's name does: all but bool, on, ignoring, group_left,
 * group_right, atan2. */
bool
parse_names_metric(const struct token *t)
{
    switch (t->type) {
    case TOKEN_IDENTIFIER:
    case TOKEN_METRIC_IDENTIFIER:
    case TOKEN_AGGREGATE:
    case TOKEN_BY:
    case TOKEN_FILL:
    case TOKEN_FILL_LEFT:
    case TOKEN_FILL_RIGHT:
    case TOKEN_OFFSET:
    case TOKEN_SMOOTHED:
    case TOKEN_ANCHORED:
    case TOKEN_WITHOUT:
    case TOKEN_START:
    case TOKEN_END:
    case TOKEN_STEP:
    case TOKEN_RANGE:
    case TOKEN_MAX_OF:
    case TOKEN_MIN_OF:
        return true;
    case TOKEN_OPERATOR:
        return op_is_set(t->op);
    default:
        return false;
    }
}

/* Words that may stand where a label's name does, outside braces. */
static bool
names_label(const struct token *t)
{
    switch (t->type) {
    case TOKEN_BOOL:
    case TOKEN_GROUP_LEFT:
    case TOKEN_GROUP_RIGHT:
    case TOKEN_IGNORING:
    case TOKEN_ON:
        return true;
    case TOKEN_WITHOUT:
        return false;
    case TOKEN_OPERATOR:
        return op_is_set(t->op) || t->op == OP_ATAN2;
    default:
        return parse_names_metric(t);
    }
}

struct labels_list {
    struct str *items;
    size_t nr, cap;
};

static bool
parse_grouping_label(struct parser *p, struct labels_list *list)
{
    const struct token *t = parse_peek(p);

    if (t->type != TOKEN_STRING && !names_label(t)) {
        parse_unexpected_item(p, "grouping opts", "label");
        return false;
    }
    struct token name = parse_take(p);
    struct str label =
        name.type == TOKEN_STRING ? parse_unquote(p, name.text) : arena_str(p->arena, name.text);
    if (label.n == 0 || !str_utf8_valid(label))
        parse_error(p, name.pos, "invalid label name for grouping: %s", parse_quoted(p, label).p);
    ARENA_GROW(p->arena, list->items, list->nr, list->nr + 1, &list->cap);
    list->items[list->nr++] = label;
    return true;
}

bool
parse_grouping(struct parser *p, const struct str **labels, size_t *nr)
{
    struct labels_list list = { 0 };

    if (!parse_accept(p, TOKEN_LEFT_PAREN)) {
        parse_unexpected_item(p, "grouping opts", "\"(\"");
        return false;
    }
    while (!parse_accept(p, TOKEN_RIGHT_PAREN)) {
        if (!parse_grouping_label(p, &list))
            return false;
        if (!parse_accept(p, TOKEN_COMMA) && parse_peek(p)->type != TOKEN_RIGHT_PAREN) {
            parse_unexpected_item(p, "grouping opts", "\",\" or \")\"");
            return false;
        }
    }
    *labels = list.items;
    *nr = list.nr;
    return true;
}

struct matchers_list {
    struct matcher *items;
    size_t nr, cap;
};

/* matcher_init() compiles with anchors around the text; here it is tried by itself, so that `a)(b`
 * is refused, and in the words that clients know: without the anchors. */
static bool
expression_compiles(enum match_type type, struct str value, struct error *err)
{
    if (type != MATCH_RE && type != MATCH_NRE)
        return true;
    struct regex *re = regex_compile(value, 0, err);
    regex_unref(re);
    return re != NULL;
}

/* Makes a matcher; one whose expression does not compile is reported and left out. */
static void
add_matcher(struct parser *p, struct matchers_list *list, enum match_type type, struct str name,
            struct str value, struct pos_range pos)
{
    struct error err = { 0 };
    struct matcher m;

    if (!expression_compiles(type, value, &err) ||
        !matcher_init(&m, type, name, value, p->arena, &err)) {
        parse_error(p, pos, "%s", error_text(&err));
        error_clear(&err);
        return;
    }
    if (m.re != NULL) {
        ARENA_GROW(p->arena, p->regexes, p->regexes_nr, p->regexes_nr + 1, &p->regexes_cap);
        p->regexes[p->regexes_nr++] = m.re;
    }
    ARENA_GROW(p->arena, list->items, list->nr, list->nr + 1, &list->cap);
    list->items[list->nr++] = m;
}

static bool
match_type_of(const struct token *t, enum match_type *type)
{
    if (t->type == TOKEN_EQL)
        *type = MATCH_EQ;
    else if (t->type == TOKEN_OPERATOR && t->op == OP_NE)
        *type = MATCH_NE;
    else if (t->type == TOKEN_EQL_REGEX)
        *type = MATCH_RE;
    else if (t->type == TOKEN_NEQ_REGEX)
        *type = MATCH_NRE;
    else
        return false;
    return true;
}

static bool
parse_label_matcher(struct parser *p, struct matchers_list *list)
{
    enum match_type type;

    if (parse_peek(p)->type != TOKEN_IDENTIFIER && p->token.type != TOKEN_STRING) {
        parse_unexpected_item(p, "label matching", "identifier or \"}\"");
        return false;
    }
    struct token label = parse_take(p);
    bool quoted = label.type == TOKEN_STRING;
    struct str name = quoted ? parse_unquote(p, label.text) : label.text;
    if (!match_type_of(parse_peek(p), &type)) {
        if (!quoted) {
            parse_unexpected_item(p, "label matching", "label matching operator");
            return false;
        }
        /* A lone string is the metric's name. */
        add_matcher(p, list, MATCH_EQ, STR("__name__"), name, label.pos);
        return true;
    }
    parse_take(p);
    if (parse_peek(p)->type != TOKEN_STRING) {
        parse_unexpected_item(p, "label matching", "string");
        return false;
    }
    struct token value = parse_take(p);
    struct pos_range pos = { label.pos.start, value.pos.end };
    add_matcher(p, list, type, name, parse_unquote(p, value.text), pos);
    return true;
}

/* "{" [matcher {"," matcher} [","]] "}" */
static bool
parse_matchers(struct parser *p, struct matchers_list *list)
{
    if (!parse_accept(p, TOKEN_LEFT_BRACE))
        return false;
    while (!parse_accept(p, TOKEN_RIGHT_BRACE)) {
        if (!parse_label_matcher(p, list))
            return false;
        if (!parse_accept(p, TOKEN_COMMA) && parse_peek(p)->type != TOKEN_RIGHT_BRACE) {
            parse_unexpected_item(p, "label matching", "\",\" or \"}\"");
            return false;
        }
    }
    return true;
}

struct expr *
parse_selector(struct parser *p, const struct token *name)
{
    struct matchers_list list = { 0 };
    struct pos_range pos = name == NULL ? parse_peek(p)->pos : name->pos;

    if (name == NULL || parse_peek(p)->type == TOKEN_LEFT_BRACE) {
        if (!parse_matchers(p, &list))
            return NULL;
        pos.end = p->last_closing;
    }
    struct expr *e = parse_new(p, EXPR_SELECTOR, VALUE_VECTOR, pos);
    if (name != NULL) {
        e->selector.name = arena_str(p->arena, name->text);
        add_matcher(p, &list, MATCH_EQ, STR("__name__"), name->text, pos);
    }
    e->selector.matchers = list.items;
    e->selector.matchers_nr = list.nr;
    return e;
}
