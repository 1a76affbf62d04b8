/* Read in the steps that decide which error a person sees first: tokens into flags, words and
 * arguments; then help; then values; then what is missing. */
#include "cmd/tool_line.h"

#include "base/conf.h"
#include "base/duration.h"
#include "base/mem.h"
#include "base/quote.h"
#include "cmd/flag_line.h"

struct tool_value {
    const struct tool_param *param;
    struct str text;
    bool negative; /* --no-x */
};

struct reader {
    struct tool_line *line;
    struct flag_line tokens;
    const struct io *io;
    const struct tool_command *at;
    size_t args_nr; /* arguments read so far that are not repeatable */
    bool help, version;
};

bool
tool_below(const struct tool_command *a, const struct tool_command *b)
{
    size_t n = strlen(a->name);

    return n == 0 ||
           (strncmp(a->name, b->name, n) == 0 && (b->name[n] == '\0' || b->name[n] == ' '));
}

static bool
has_children(const struct tool_line *l, const struct tool_command *c)
{
    for (size_t i = 0; i < l->commands_nr; i++)
        if (&l->commands[i] != c && tool_below(c, &l->commands[i]))
            return true;
    return false;
}

static const struct tool_command *
find_child(const struct tool_line *l, const struct tool_command *c, struct str word)
{
    struct buf name = { 0 };
    const struct tool_command *found = NULL;

    buf_printf(&name, "%s%s%.*s", c->name, *c->name == '\0' ? "" : " ", STR_ARG(word));
    for (size_t i = 1; i < l->commands_nr; i++)
        if (str_is(buf_as_str(&name), l->commands[i].name))
            found = &l->commands[i];
    buf_fini(&name);
    return found;
}

/* A flag of the command or of one above it. */
static const struct tool_param *
find_flag(const struct tool_line *l, const struct tool_command *c, struct str name, char letter)
{
    for (size_t i = 0; i < l->commands_nr; i++) {
        const struct tool_command *over = &l->commands[i];
        if (!tool_below(over, c))
            continue;
        for (size_t k = 0; k < over->flags_nr; k++)
            if (letter != '\0' ? over->flags[k].letter == letter
                               : str_is(name, over->flags[k].name))
                return &over->flags[k];
    }
    return NULL;
}

static void
add_value(struct tool_line *l, struct tool_value v)
{
    MEM_GROW(l->values, l->values_nr + 1, &l->values_cap);
    l->values[l->values_nr++] = v;
}

static bool
flag_value(struct reader *r, const struct tool_param *p, bool negative, struct str shown,
           struct error *err)
{
    struct tool_value v = { .param = p, .negative = negative };
    enum flag_token_kind kind;

    if (p->type != TOOL_BOOL) {
        if (!flag_line_next(&r->tokens, &kind, &v.text, err))
            return false;
        if (kind != TOKEN_VALUE)
            return error_set(err, ERR_INVALID, "expected argument for flag '%.*s'", STR_ARG(shown));
    }
    if (strcmp(p->name, "help") == 0)
        r->help = !negative;
    if (strcmp(p->name, "version") == 0)
        r->version = !negative;
    add_value(r->line, v);
    return true;
}

static bool
read_long(struct reader *r, struct str name, struct error *err)
{
    const struct tool_param *p = find_flag(r->line, r->at, name, '\0');
    bool negative = false;

    if (p == NULL && str_starts(name, STR("no-"))) {
        p = find_flag(r->line, r->at, str_skip(name, 3), '\0');
        negative = true;
        if (p != NULL && p->type != TOOL_BOOL)
            p = NULL;
    }
    if (p == NULL)
        return error_set(err, ERR_INVALID, "unknown long flag '--%.*s'", STR_ARG(name));
    return flag_value(r, p, negative, arena_printf(&r->line->arena, "--%.*s", STR_ARG(name)), err);
}

/* -abc is -a -bc for a flag without value, and bc is the value of one with. */
static bool
read_short(struct reader *r, struct str text, struct error *err)
{
    const struct tool_param *p = find_flag(r->line, r->at, STR_NONE, text.p[0]);
    struct str rest = str_skip(text, 1);

    if (p == NULL)
        return error_set(err, ERR_INVALID, "unknown short flag '-%c'", text.p[0]);
    if (rest.n > 0 && p->type == TOOL_BOOL)
        flag_line_push(&r->tokens, arena_printf(&r->line->arena, "-%.*s", STR_ARG(rest)));
    else if (rest.n > 0)
        flag_line_push(&r->tokens, rest);
    return flag_value(r, p, false, arena_printf(&r->line->arena, "-%c", text.p[0]), err);
}

static bool
read_word(struct reader *r, struct str text, struct error *err)
{
    struct tool_line *l = r->line;
    struct buf quoted = { 0 };

    if (has_children(l, r->at)) {
        const struct tool_command *child = find_child(l, r->at, text);
        if (child == NULL && r->at == l->commands && str_is(text, "help")) {
            r->help = true;
            return true;
        }
        if (child != NULL) {
            r->at = child;
            return true;
        }
        quote_go(text, &quoted);
        error_set(err, ERR_INVALID, "expected command but got %s", buf_z(&quoted));
        buf_fini(&quoted);
        return false;
    }
    if (r->args_nr >= r->at->args_nr)
        return error_set(err, ERR_INVALID, "unexpected %.*s", STR_ARG(text));
    const struct tool_param *p = &r->at->args[r->args_nr];
    if (!p->many)
        r->args_nr++;
    add_value(l, (struct tool_value){ .param = p, .text = text });
    return true;
}

static bool
read_all(struct reader *r, struct error *err)
{
    enum flag_token_kind kind;
    struct str text;

    for (;;) {
        if (!flag_line_next(&r->tokens, &kind, &text, err))
            return false;
        if (kind == TOKEN_END)
            return true;
        bool ok = kind == TOKEN_LONG    ? read_long(r, text, err)
                  : kind == TOKEN_SHORT ? read_short(r, text, err)
                                        : read_word(r, text, err);
        if (!ok)
            return false;
    }
}

/* ---- values ---- */

static bool
check_file(struct reader *r, struct str path, struct error *err)
{
    struct error ignored = { 0 };
    struct io_stat st;

    if (!io_stat_path(r->io, arena_str(&r->line->arena, path).p, &st, &ignored)) {
        error_clear(&ignored);
        return error_set(err, ERR_NOT_FOUND, "path '%.*s' does not exist", STR_ARG(path));
    }
    return !st.is_dir || error_set(err, ERR_INVALID, "'%.*s' is a directory", STR_ARG(path));
}

static bool
check_url(struct str text, struct error *err)
{
    struct conf_url url;

    return conf_url_parse(text, &url, err) || error_wrap(err, "invalid URL");
}

static bool
check_value(struct reader *r, const struct tool_value *v, struct error *err)
{
    int64_t n;

    switch (v->param->type) {
    case TOOL_ENUM:
        return flag_enum(v->param->choices, v->text, err);
    case TOOL_INT:
        return flag_int(v->text, &n, err);
    case TOOL_INT64:
        return flag_int64(&r->line->arena, v->text, &n, err);
    case TOOL_DURATION:
        return duration_go_parse(v->text, &n, err);
    case TOOL_FILE:
        return check_file(r, v->text, err);
    case TOOL_URL:
        return check_url(v->text, err);
    case TOOL_MAP:
        return str_find(v->text, '=', 0) < v->text.n ||
               error_set(err, ERR_INVALID, "expected KEY=VALUE got '%.*s'", STR_ARG(v->text));
    default:
        return true;
    }
}

static bool
is_flag(const struct tool_line *l, const struct tool_param *p)
{
    for (size_t i = 0; i < l->commands_nr; i++)
        if (p >= l->commands[i].flags && p < l->commands[i].flags + l->commands[i].flags_nr)
            return true;
    return false;
}

static bool
given_before(const struct tool_line *l, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (l->values[k].param == l->values[i].param)
            return true;
    return false;
}

static bool
check_values(struct reader *r, struct error *err)
{
    struct tool_line *l = r->line;

    for (size_t i = 0; i < l->values_nr; i++) {
        const struct tool_param *p = l->values[i].param;
        if (!p->many && p->type != TOOL_MAP && is_flag(l, p) && given_before(l, i))
            return error_set(err, ERR_INVALID, "flag '%s' cannot be repeated", p->name);
        if (!check_value(r, &l->values[i], err))
            return false;
    }
    return true;
}

static bool
given(const struct tool_line *l, const struct tool_param *p)
{
    for (size_t i = 0; i < l->values_nr; i++)
        if (l->values[i].param == p)
            return true;
    return false;
}

static bool
check_missing(const struct reader *r, struct error *err)
{
    struct buf missing = { 0 };

    for (size_t i = 0; i < r->line->commands_nr; i++) {
        const struct tool_command *over = &r->line->commands[i];
        for (size_t k = 0; tool_below(over, r->at) && k < over->flags_nr; k++)
            if (over->flags[k].required && !given(r->line, &over->flags[k]))
                buf_printf(&missing, "%s'--%s'", missing.n == 0 ? "" : ", ", over->flags[k].name);
    }
    bool ok = missing.n == 0 ||
              error_set(err, ERR_INVALID, "required flag(s) %s not provided", buf_z(&missing));
    for (size_t k = 0; ok && k < r->at->args_nr; k++)
        if (r->at->args[k].required && !given(r->line, &r->at->args[k]))
            ok = error_set(err, ERR_INVALID, "required argument '%s' not provided",
                           r->at->args[k].name);
    buf_fini(&missing);
    return ok;
}

static bool
check_command(const struct reader *r, struct error *err)
{
    return r->at == r->line->commands || r->at->run != NULL ||
           error_set(err, ERR_INVALID, "must select a subcommand of '%s'", r->at->name);
}

int
tool_line_parse(struct tool_line *line, const struct tool_command *commands, size_t commands_nr,
                int argc, char *const *argv, const struct io *io, struct buf *out,
                struct buf *err_text)
{
    struct reader r = { .line = line, .io = io, .at = commands };
    struct error err = { 0 };
    int status = -1;

    *line = (struct tool_line){ .commands = commands, .commands_nr = commands_nr };
    arena_init(&line->arena, SIZE_MAX);
    const char *slash = argc == 0 ? NULL : strrchr(argv[0], '/');
    line->program = slash != NULL ? slash + 1 : argc == 0 ? "narthextool" : argv[0];
    flag_line_init(&r.tokens, &line->arena, io, argc, argv);
    bool ok = read_all(&r, &err);
    line->command = r.at;
    if (r.version) {
        ok = true;
    } else if (ok && (r.help || (r.at == commands && line->values_nr == 0))) {
        tool_help(line, r.at, out);
        status = 0;
    } else if (ok) {
        ok = check_values(&r, &err) && check_command(&r, &err) && check_missing(&r, &err);
        if (ok && r.at == commands) {
            tool_help(line, r.at, out);
            status = 0;
        }
    }
    if (!ok) {
        buf_printf(err_text, "%s: error: %s, try --help\n", line->program, error_text(&err));
        status = 1;
    }
    flag_line_fini(&r.tokens);
    error_clear(&err);
    return status;
}

void
tool_line_fini(struct tool_line *line)
{
    mem_free(line->values);
    arena_fini(&line->arena);
}

/* ---- asking ---- */

static const struct tool_param *
find_param(const struct tool_line *l, const char *name)
{
    const struct tool_param *p = find_flag(l, l->command, str_c(name), '\0');

    for (size_t i = 0; p == NULL && i < l->command->args_nr; i++)
        if (strcmp(l->command->args[i].name, name) == 0)
            p = &l->command->args[i];
    ASSERT(p != NULL); /* a handler that asks for what its command does not have */
    return p;
}

static const struct tool_value *
find_value(const struct tool_line *l, const struct tool_param *p)
{
    for (size_t i = l->values_nr; i-- > 0;)
        if (l->values[i].param == p)
            return &l->values[i];
    return NULL;
}

struct str
tool_str(const struct tool_line *l, const char *name)
{
    const struct tool_param *p = find_param(l, name);
    const struct tool_value *v = find_value(l, p);

    return v != NULL ? v->text : p->dflt != NULL ? str_c(p->dflt) : STR("");
}

const char *
tool_z(struct tool_line *l, const char *name)
{
    return arena_str(&l->arena, tool_str(l, name)).p;
}

bool
tool_given(const struct tool_line *l, const char *name)
{
    return find_value(l, find_param(l, name)) != NULL;
}

bool
tool_bool(const struct tool_line *l, const char *name)
{
    const struct tool_value *v = find_value(l, find_param(l, name));

    return v != NULL && !v->negative;
}

int64_t
tool_int(const struct tool_line *l, const char *name)
{
    struct error err = { 0 };
    struct arena scratch;
    int64_t n = 0;

    arena_init(&scratch, SIZE_MAX);
    bool ok = find_param(l, name)->type == TOOL_INT
                  ? flag_int(tool_str(l, name), &n, &err)
                  : flag_int64(&scratch, tool_str(l, name), &n, &err);
    ASSERT(ok); /* checked while parsing */
    arena_fini(&scratch);
    return n;
}

int64_t
tool_duration_ns(const struct tool_line *l, const char *name)
{
    struct str text = tool_str(l, name);
    struct error err = { 0 };
    int64_t ns = 0;

    bool ok = text.n == 0 || duration_go_parse(text, &ns, &err);
    ASSERT(ok); /* checked while parsing */
    return ns;
}

const struct str *
tool_strs(struct tool_line *l, const char *name, size_t *nr)
{
    const struct tool_param *p = find_param(l, name);
    struct str *v = ARENA_NEW_ARRAY(&l->arena, struct str, l->values_nr + 1);

    *nr = 0;
    for (size_t i = 0; i < l->values_nr; i++)
        if (l->values[i].param == p)
            v[(*nr)++] = l->values[i].text;
    if (*nr == 0 && p->dflt != NULL)
        v[(*nr)++] = str_c(p->dflt);
    return v;
}
