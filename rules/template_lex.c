/* Items of a template text, after Go's text/template/parse: text, delimiters with trimming,
 * comments, and the tokens between them. */
#include <stdio.h>

#include "rules/template_priv.h"

static const struct {
    const char *word;
    enum item_kind kind;
} keywords[] = {
    { "block", ITEM_BLOCK },   { "break", ITEM_BREAK }, { "continue", ITEM_CONTINUE },
    { "define", ITEM_DEFINE }, { "else", ITEM_ELSE },   { "end", ITEM_END },
    { "if", ITEM_IF },         { "range", ITEM_RANGE }, { "template", ITEM_TEMPLATE },
    { "with", ITEM_WITH },     { "nil", ITEM_NIL },     { "true", ITEM_BOOL },
    { "false", ITEM_BOOL },
};

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c & 0x80) != 0;
}

static char
at(const struct lex *l, size_t i)
{
    return i < l->text.n ? l->text.p[i] : '\0';
}

static bool
looks_at(const struct lex *l, size_t i, const char *z)
{
    struct str rest = i > l->text.n ? STR_NONE : str_skip(l->text, i);

    return str_starts(rest, str_c(z));
}

void
lex_init(struct lex *l, struct str text)
{
    *l = (struct lex){ .text = text, .line = 1 };
}

/* The item [start, l->pos). */
static struct item
emit(struct lex *l, enum item_kind kind, size_t start)
{
    struct item it = { kind, start, l->line, { l->text.p + start, l->pos - start } };

    for (size_t i = start; i < l->pos; i++)
        l->line += l->text.p[i] == '\n';
    return it;
}

static struct item
fail(struct lex *l, size_t start, const char *message)
{
    l->stopped = true;
    snprintf(l->message, sizeof l->message, "%s", message);
    return (struct item){ ITEM_ERROR, start, l->line, str_c(l->message) };
}

static void
count_lines(struct lex *l, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        l->line += l->text.p[i] == '\n';
}

/* {{/ * ... * /}}: false when it is not a comment; true and *bad when it does not close. */
static bool
comment(struct lex *l, size_t start, bool *bad)
{
    size_t i = start + 2;

    *bad = false;
    if (at(l, i) == '-' && is_space(at(l, i + 1)))
        i += 2;
    if (!looks_at(l, i, "/*"))
        return false;
    const char *close = memmem(l->text.p + i, l->text.n - i, "*/", 2);
    *bad = true;
    if (close == NULL)
        return true;
    size_t end = (size_t)(close - l->text.p) + 2;
    bool trim = is_space(at(l, end)) && looks_at(l, end + 1, "-}}");
    if (trim)
        end += 2;
    if (!looks_at(l, end, "}}"))
        return true;
    *bad = false;
    end += 2;
    while (trim && end < l->text.n && is_space(at(l, end)))
        end++;
    count_lines(l, l->pos, end);
    l->pos = end;
    return true;
}

static struct item
lex_text(struct lex *l)
{
    for (;;) {
        size_t start = l->pos;
        const char *open =
            start < l->text.n ? memmem(l->text.p + start, l->text.n - start, "{{", 2) : NULL;
        size_t end = open == NULL ? l->text.n : (size_t)(open - l->text.p), kept = end;
        if (open != NULL && at(l, end + 2) == '-' && is_space(at(l, end + 3)))
            while (kept > start && is_space(at(l, kept - 1)))
                kept--;
        if (kept > start) {
            l->pos = kept;
            struct item it = emit(l, ITEM_TEXT, start);
            count_lines(l, kept, end);
            l->pos = end;
            return it;
        }
        count_lines(l, kept, end);
        l->pos = end;
        if (open == NULL)
            return (struct item){ ITEM_EOF, l->pos, l->line, STR_NONE };
        bool bad;
        if (!comment(l, end, &bad))
            break;
        if (bad)
            return fail(l, end, "unclosed comment");
    }
    size_t start = l->pos;
    l->pos += at(l, start + 2) == '-' && is_space(at(l, start + 3)) ? 4 : 2;
    l->inside = true;
    l->parens = 0;
    struct item it = emit(l, ITEM_LEFT, start);
    return it;
}

/* The right delimiter, with what it trims. */
static struct item
right_delim(struct lex *l, bool trim)
{
    if (l->parens != 0)
        return fail(l, l->pos, "unclosed left paren");
    size_t start = l->pos;
    l->pos += trim ? 4 : 2;
    l->inside = false;
    struct item it = emit(l, ITEM_RIGHT, start);
    size_t end = l->pos;
    while (trim && end < l->text.n && is_space(at(l, end)))
        end++;
    count_lines(l, l->pos, end);
    l->pos = end;
    return it;
}

static bool
at_terminator(const struct lex *l)
{
    char c = at(l, l->pos);

    return l->pos >= l->text.n || is_space(c) || strchr(".,|:)(=", c) != NULL ||
           looks_at(l, l->pos, "}}");
}

static struct item
bad_character(struct lex *l, size_t start)
{
    uint32_t rune;
    char message[64];
    size_t n = str_rune(str_skip(l->text, l->pos), &rune);

    snprintf(message, sizeof message, "bad character U+%04X '%.*s'", rune, (int)n,
             l->text.p + l->pos);
    return fail(l, start, message);
}

static struct item
lex_word(struct lex *l)
{
    size_t start = l->pos;

    while (l->pos < l->text.n && is_alnum(at(l, l->pos)))
        l->pos++;
    if (!at_terminator(l))
        return bad_character(l, start);
    struct str word = { l->text.p + start, l->pos - start };
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (str_is(word, keywords[i].word))
            return emit(l, keywords[i].kind, start);
    return emit(l, ITEM_IDENTIFIER, start);
}

/* .name, $name, or a lone dot or dollar. */
static struct item
lex_field(struct lex *l, enum item_kind kind)
{
    size_t start = l->pos++;

    if (at_terminator(l) && kind == ITEM_FIELD)
        return emit(l, ITEM_DOT, start);
    if (at_terminator(l))
        return emit(l, ITEM_VARIABLE, start);
    while (l->pos < l->text.n && is_alnum(at(l, l->pos)))
        l->pos++;
    if (!at_terminator(l))
        return bad_character(l, start);
    return emit(l, kind, start);
}

static struct item
lex_quoted(struct lex *l, char quote)
{
    size_t start = l->pos++;

    for (; l->pos < l->text.n && at(l, l->pos) != quote; l->pos++) {
        if (quote == '`')
            continue;
        if (at(l, l->pos) == '\n')
            break;
        if (at(l, l->pos) == '\\' && l->pos + 1 < l->text.n && at(l, l->pos + 1) != '\n')
            l->pos++;
    }
    if (l->pos >= l->text.n || at(l, l->pos) != quote)
        return fail(l, start,
                    quote == '`'    ? "unterminated raw quoted string"
                    : quote == '\'' ? "unterminated character constant"
                                    : "unterminated quoted string");
    l->pos++;
    return emit(l,
                quote == '`'    ? ITEM_RAW_STRING
                : quote == '\'' ? ITEM_CHAR_CONSTANT
                                : ITEM_STRING,
                start);
}

static struct item
lex_number(struct lex *l)
{
    size_t start = l->pos;
    char message[96];

    if (strchr("+-", at(l, l->pos)) != NULL)
        l->pos++;
    while (l->pos < l->text.n &&
           (is_alnum(at(l, l->pos)) || at(l, l->pos) == '.' ||
            (strchr("+-", at(l, l->pos)) != NULL && strchr("eEpP", at(l, l->pos - 1)) != NULL)))
        l->pos++;
    if (at_terminator(l))
        return emit(l, ITEM_NUMBER, start);
    l->pos++;
    snprintf(message, sizeof message, "bad number syntax: \"%.*s\"",
             (int)MIN(l->pos - start, (size_t)40), l->text.p + start);
    return fail(l, start, message);
}

static struct item
lex_space(struct lex *l)
{
    size_t start = l->pos;

    while (is_space(at(l, l->pos))) {
        /* The space before a trimming delimiter belongs to the delimiter. */
        if (looks_at(l, l->pos + 1, "-}}"))
            break;
        l->pos++;
    }
    if (l->pos == start)
        return right_delim(l, true);
    return emit(l, ITEM_SPACE, start);
}

static struct item
lex_paren(struct lex *l, char c)
{
    size_t start = l->pos++;

    if (c == '(') {
        l->parens++;
        return emit(l, ITEM_LPAREN, start);
    }
    if (l->parens-- == 0)
        return fail(l, start, "unexpected right paren");
    return emit(l, ITEM_RPAREN, start);
}

static struct item
lex_declare(struct lex *l)
{
    size_t start = l->pos++;

    if (at(l, l->pos) != '=')
        return fail(l, start, "expected :=");
    l->pos++;
    return emit(l, ITEM_DECLARE, start);
}

static struct item
lex_one(struct lex *l, enum item_kind kind)
{
    size_t start = l->pos++;

    return emit(l, kind, start);
}

static struct item
lex_inside(struct lex *l)
{
    char c = at(l, l->pos), next = at(l, l->pos + 1);

    if (looks_at(l, l->pos, "}}"))
        return right_delim(l, false);
    if (l->pos >= l->text.n)
        return fail(l, l->pos, "unclosed action");
    if (is_space(c))
        return lex_space(l);
    if (c == '"' || c == '`' || c == '\'')
        return lex_quoted(l, c);
    if (c == '(' || c == ')')
        return lex_paren(l, c);
    if (c == ':')
        return lex_declare(l);
    if (c == '=' || c == '|' || c == ',')
        return lex_one(l, c == '=' ? ITEM_ASSIGN : c == '|' ? ITEM_PIPE : ITEM_COMMA);
    if (c == '.' && !(next >= '0' && next <= '9'))
        return lex_field(l, ITEM_FIELD);
    if (c == '$')
        return lex_field(l, ITEM_VARIABLE);
    if (c == '+' || c == '-' || c == '.' || (c >= '0' && c <= '9'))
        return lex_number(l);
    if (is_alnum(c))
        return lex_word(l);
    if (c > ' ' && c < 0x7f)
        return lex_one(l, ITEM_CHAR);
    {
        char message[64];
        uint32_t rune;
        str_rune(str_skip(l->text, l->pos), &rune);
        snprintf(message, sizeof message, "unrecognized character in action: U+%04X", rune);
        return fail(l, l->pos, message);
    }
}

struct item
lex_next(struct lex *l)
{
    if (l->stopped)
        return (struct item){ ITEM_EOF, l->pos, l->line, STR_NONE };
    return l->inside ? lex_inside(l) : lex_text(l);
}
