#include "promqltest.h"
#include "base/duration.h"
#include "promql/parser.h"
#include "promql/quote.h"

struct reader {
    struct arena *arena;
    struct str rest; /* of the text */
    struct str line; /* trimmed; empty for a comment */
    size_t line_nr;
    struct script *script;
    struct error *err;
};

static bool
fail(struct reader *r, const char *what, struct str text)
{
    return error_set(r->err, ERR_INVALID, "line %zu: %s: %.*s", r->line_nr, what, STR_ARG(text));
}

/* False at the end of the text. */
static bool
read_line(struct reader *r)
{
    if (r->rest.n == 0)
        return false;
    size_t end = str_find(r->rest, '\n', 0);
    r->line = str_trim((struct str){ r->rest.p, end });
    r->rest = str_skip(r->rest, end < r->rest.n ? end + 1 : end);
    r->line_nr++;
    if (r->line.n != 0 && r->line.p[0] == '#')
        r->line = STR_NONE;
    return true;
}

/* The next line of a command's block; false at the line that ends it. */
static bool
read_block_line(struct reader *r)
{
    return read_line(r) && r->line.n != 0;
}

/* Cuts the first word off *s. */
static struct str
take_word(struct str *s)
{
    size_t n = 0;

    *s = str_trim(*s);
    while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
        n++;
    struct str word = { s->p, n };
    *s = str_trim(str_skip(*s, n));
    return word;
}

static bool
take_keyword(struct reader *r, struct str *s, const char *word)
{
    struct str got = take_word(s);

    return str_is(got, word) || fail(r, "unexpected word", got);
}

static bool
take_duration(struct reader *r, struct str *s, int64_t *ms)
{
    struct str word = take_word(s);
    struct error err = { 0 };

    if (duration_parse(word, ms, &err))
        return true;
    error_clear(&err);
    return fail(r, "not a duration", word);
}

static struct script_command *
add_command(struct reader *r, enum script_kind kind)
{
    struct script *s = r->script;

    ARENA_GROW(r->arena, s->commands, s->nr, s->nr + 1, &s->cap);
    struct script_command *c = &s->commands[s->nr++];
    *c = (struct script_command){ .kind = kind, .line = r->line_nr };
    return c;
}

static bool
add_series(struct reader *r, struct series_list *list)
{
    struct error err = { 0 };
    struct series_desc s;

    if (!series_desc_parse(r->arena, r->line, &s, &err)) {
        error_set(r->err, ERR_INVALID, "line %zu: %s", r->line_nr, error_text(&err));
        error_clear(&err);
        return false;
    }
    ARENA_GROW(r->arena, list->items, list->nr, list->nr + 1, &list->cap);
    list->items[list->nr++] = s;
    return true;
}

/* Lines of start timestamps ("metric{...}@st ..."): storage without them ignores these. */
static bool
is_start_times(struct str line)
{
    return str_ends(take_word(&line), STR("@st"));
}

static bool
read_load(struct reader *r, struct str args, enum script_kind kind)
{
    struct script_command *c = add_command(r, kind);

    if (!take_duration(r, &args, &c->step_ms))
        return false;
    while (read_block_line(r)) {
        if (!is_start_times(r->line) && !add_series(r, &c->series))
            return false;
    }
    return true;
}

/* "msg: text", "regex: text" or nothing. */
static bool
read_text_expect(struct reader *r, struct str rest, struct text_expect *out)
{
    *out = (struct text_expect){ .rule = TEXT_ANY };
    if (rest.n == 0)
        return true;
    if (str_starts(rest, STR("msg:")))
        out->rule = TEXT_EXACT;
    else if (str_starts(rest, STR("regex:")))
        out->rule = TEXT_REGEX;
    else
        return fail(r, "expected msg: or regex:", rest);
    out->text = str_trim(str_skip(rest, str_find(rest, ':', 0) + 1));
    return true;
}

static bool
add_text_expect(struct reader *r, struct str rest, struct text_expects *list)
{
    ARENA_GROW(r->arena, list->items, list->nr, list->nr + 1, &list->cap);
    return read_text_expect(r, rest, &list->items[list->nr++]);
}

static bool
read_string(struct reader *r, struct str rest, struct script_eval *e)
{
    struct buf text = { 0 };

    e->has_string = unquote(rest, &text);
    if (e->has_string)
        e->string = arena_str(r->arena, buf_as_str(&text));
    buf_fini(&text);
    return e->has_string || fail(r, "not a string", rest);
}

/* expect range vector from <time> to <time> step <step> */
static bool
read_range_vector(struct reader *r, struct str rest, struct script_eval *e)
{
    int64_t end_ms;

    e->range_vector = true;
    return take_keyword(r, &rest, "vector") && take_keyword(r, &rest, "from") &&
           take_duration(r, &rest, &e->points_start_ms) && take_keyword(r, &rest, "to") &&
           take_duration(r, &rest, &end_ms) && take_keyword(r, &rest, "step") &&
           take_duration(r, &rest, &e->points_step_ms);
}

static bool
read_expect(struct reader *r, struct str rest, struct script_eval *e)
{
    struct str what = take_word(&rest);

    if (str_is(what, "fail")) {
        e->fail = true;
        return read_text_expect(r, rest, &e->fail_text);
    }
    if (str_is(what, "warn"))
        return add_text_expect(r, rest, &e->warns);
    if (str_is(what, "info"))
        return add_text_expect(r, rest, &e->infos);
    if (str_is(what, "no_warn"))
        return e->no_warn = true;
    if (str_is(what, "no_info"))
        return e->no_info = true;
    if (str_is(what, "ordered"))
        return e->ordered = true;
    if (str_is(what, "string"))
        return read_string(r, rest, e);
    if (str_is(what, "range"))
        return read_range_vector(r, rest, e);
    return fail(r, "unknown expectation", what);
}

/* True when the whole line is a number, as PromQL writes it. */
static bool
read_scalar(struct reader *r, struct script_eval *e)
{
    static const struct promql_parse_options options = { 0 };
    struct promql_errors errors = { .max = 1 };
    struct expr *number = promql_parse_all(r->arena, r->line, &options, &errors);

    e->has_scalar = number != NULL && number->kind == EXPR_NUMBER;
    if (e->has_scalar)
        e->scalar = number->number.v;
    expr_fini(number);
    return e->has_scalar;
}

static bool
read_results(struct reader *r, struct script_command *c)
{
    while (read_block_line(r)) {
        struct str rest = r->line;

        if (str_is(take_word(&rest), "expect")) {
            if (!read_expect(r, rest, &c->eval))
                return false;
        } else if (read_scalar(r, &c->eval)) {
            return true;
        } else if (!add_series(r, &c->series)) {
            return false;
        }
    }
    return true;
}

static bool
read_eval(struct reader *r, struct str rest, bool fails)
{
    struct script_command *c = add_command(r, SCRIPT_EVAL);
    struct script_eval *e = &c->eval;

    e->range = str_is(take_word(&rest), "range");
    if (e->range) {
        if (!take_keyword(r, &rest, "from") || !take_duration(r, &rest, &e->start_ms) ||
            !take_keyword(r, &rest, "to") || !take_duration(r, &rest, &e->end_ms) ||
            !take_keyword(r, &rest, "step") || !take_duration(r, &rest, &e->step_ms))
            return false;
    } else {
        if (!take_keyword(r, &rest, "at") || !take_duration(r, &rest, &e->start_ms))
            return false;
        e->end_ms = e->start_ms;
    }
    e->query = rest;
    e->fail = fails;
    e->points_start_ms = e->start_ms;
    e->points_step_ms = e->step_ms;
    return read_results(r, c);
}

static bool
read_command(struct reader *r)
{
    struct str rest = r->line, word = take_word(&rest);

    if (str_is(word, "clear")) {
        add_command(r, SCRIPT_CLEAR);
        return true;
    }
    if (str_is(word, "load"))
        return read_load(r, rest, SCRIPT_LOAD);
    if (str_is(word, "load_with_nhcb"))
        return read_load(r, rest, SCRIPT_LOAD_NHCB);
    if (str_is(word, "eval") || str_is(word, "eval_fail"))
        return read_eval(r, rest, str_is(word, "eval_fail"));
    return fail(r, "unknown command", word);
}

bool
script_parse(struct arena *arena, struct str text, struct script *out, struct error *err)
{
    struct reader r = { .arena = arena, .rest = text, .script = out, .err = err };

    *out = (struct script){ 0 };
    while (read_line(&r)) {
        if (r.line.n != 0 && !read_command(&r))
            return false;
    }
    return true;
}
