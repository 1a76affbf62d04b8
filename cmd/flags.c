/* Parsing, in the two steps that Prometheus's parser has and that decide which error comes first:
 * the line is read into elements (unknown flags, missing and surplus values end here, with status
 * 1), then the values are set in order (a bad value or a flag given twice ends with the usage and
 * status 2). */
#include "cmd/flags.h"

#include <math.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/quote.h"
#include "base/regex.h"
#include "base/units.h"
#include "cmd/flag_line.h"
#include "cmd/flags_table.h"

enum { EXIT_WRONG_LINE = 1, EXIT_WRONG_VALUE = 2, EXIT_WRONG_MODE = 3 };

/* A flag met on the line. */
struct element {
    size_t row;
    bool negative; /* --no-x */
    struct str value;
};

struct line {
    struct flags *flags;
    struct flag_line text;
    struct element *elements;
    size_t nr, cap;
    enum flag_action action;
};

static size_t
find_row(struct str name)
{
    size_t i = 0;

    while (i < flag_rows_nr && !str_is(name, flag_rows[i].name))
        i++;
    return i;
}

static bool
takes_value(size_t row)
{
    return flag_rows[row].type != FLAG_BOOL && flag_rows[row].type != FLAG_ACTION;
}

/* One element; an action that is due at once (--version) sets l->action. */
static bool
read_long(struct line *l, struct str name, struct error *err)
{
    struct element e = { .row = find_row(name) };
    enum flag_token_kind kind;

    if (e.row == flag_rows_nr && str_starts(name, STR("no-"))) {
        e.row = find_row(str_skip(name, 3));
        e.negative = true;
        if (e.row < flag_rows_nr && takes_value(e.row))
            e.row = flag_rows_nr;
    }
    if (e.row == flag_rows_nr)
        return error_set(err, ERR_INVALID, "unknown long flag '--%.*s'", STR_ARG(name));
    if (takes_value(e.row)) {
        if (!flag_line_next(&l->text, &kind, &e.value, err))
            return false;
        if (kind != TOKEN_VALUE)
            return error_set(err, ERR_INVALID, "expected argument for flag '--%.*s'",
                             STR_ARG(name));
    }
    if (flag_rows[e.row].action == ACTION_VERSION && !e.negative)
        l->action = ACTION_VERSION;
    MEM_GROW(l->elements, l->nr + 1, &l->cap);
    l->elements[l->nr++] = e;
    return true;
}

static bool
read_line(struct line *l, struct error *err)
{
    enum flag_token_kind kind;
    struct str text;

    for (;;) {
        if (!flag_line_next(&l->text, &kind, &text, err))
            return false;
        if (kind == TOKEN_END)
            return true;
        if (kind == TOKEN_VALUE)
            return error_set(err, ERR_INVALID, "unexpected %.*s", STR_ARG(text));
        if (kind == TOKEN_SHORT && text.p[0] != 'h')
            return error_set(err, ERR_INVALID, "unknown short flag '-%c'", text.p[0]);
        if (kind == TOKEN_SHORT && text.n > 1)
            flag_line_push(&l->text,
                           arena_printf(l->flags->arena, "-%.*s", STR_ARG(str_skip(text, 1))));
        if (!read_long(l, kind == TOKEN_SHORT ? STR("help") : text, err))
            return false;
        if (l->action == ACTION_VERSION)
            return true;
    }
}

static void
add_str(struct arena *arena, struct flags_strs *list, struct str s)
{
    ARENA_GROW(arena, list->items, list->nr, list->nr + 1, &list->cap);
    list->items[list->nr++] = s;
}

/* One message a time; only the default is a list. */
static bool
add_message(struct arena *arena, const struct flag_row *row, struct flags_strs *list,
            struct str one, struct error *err)
{
    if (!flag_in_choices(row->choices, one))
        return error_set(err, ERR_INVALID,
                         "unknown type for remote write protobuf message %.*s, supported: "
                         "prometheus.WriteRequest, io.prometheus.write.v2.Request",
                         STR_ARG(one));
    for (size_t i = 0; i < list->nr; i++)
        if (str_eq(list->items[i], one))
            return error_set(err, ERR_INVALID, "duplicated %.*s flag value, got %.*s already",
                             STR_ARG(one), STR_ARG(one));
    add_str(arena, list, one);
    return true;
}

static bool
set_enum(const struct flag_row *row, struct str text, struct error *err)
{
    /* The two flags of the log have words of their own. */
    if (str_starts(str_c(row->name), STR("log.")) && !flag_in_choices(row->choices, text))
        return error_set(err, ERR_INVALID, "unrecognized log %s %.*s", row->name + 4,
                         STR_ARG(text));
    return flag_enum(row->choices, text, err);
}

static bool
set_value(struct flags *flags, const struct flag_row *row, struct str text, struct error *err)
{
    void *at = (char *)flags + row->offset;

    switch (row->type) {
    case FLAG_BOOL:
        *(bool *)at = str_is(text, "true");
        return true;
    case FLAG_STR:
        *(const char **)at = arena_str(flags->arena, text).p;
        return true;
    case FLAG_STRS:
        add_str(flags->arena, at, text);
        return true;
    case FLAG_MESSAGES:
        return add_message(flags->arena, row, at, text, err);
    case FLAG_ENUM:
        *(const char **)at = arena_str(flags->arena, text).p;
        return set_enum(row, text, err);
    case FLAG_INT:
        return flag_int(text, at, err);
    case FLAG_INT64:
        return flag_int64(flags->arena, text, at, err);
    case FLAG_FLOAT:
        return flag_float(text, at, err);
    case FLAG_DURATION:
        return duration_parse(text, at, err);
    case FLAG_GO_DURATION:
        return duration_go_parse(text, at, err);
    case FLAG_BYTES:
        return units_bytes_parse(text, at, err);
    default:
        return true;
    }
}

static bool
set_element(struct line *l, const struct element *e, struct error *err)
{
    const struct flag_row *row = &flag_rows[e->row];
    bool repeatable = row->type == FLAG_STRS || row->type == FLAG_MESSAGES;

    if (flag_given(l->flags, e->row) && !repeatable)
        return error_set(err, ERR_INVALID, "flag '%s' cannot be repeated", row->name);
    l->flags->given[e->row / 64] |= 1ull << e->row % 64;
    if (row->type == FLAG_ACTION) {
        if (!e->negative)
            l->action = row->action;
        return true;
    }
    if (row->type == FLAG_BOOL)
        return set_value(l->flags, row, e->negative ? STR("false") : STR("true"), err);
    return set_value(l->flags, row, e->value, err);
}

static void
set_default(struct flags *flags, const struct flag_row *row)
{
    struct str all = row->dflt == NULL ? STR("") : str_c(row->dflt);
    struct error err = { 0 };
    size_t from = 0;

    do {
        size_t end = row->type == FLAG_MESSAGES ? str_find(all, ',', from) : all.n;
        bool ok = set_value(flags, row, (struct str){ all.p + from, end - from }, &err);
        ASSERT(ok); /* a table with a bad default */
        from = end + 1;
    } while (from < all.n);
}

static void
set_defaults(struct flags *flags)
{
    for (size_t i = 0; i < flag_rows_nr; i++) {
        const struct flag_row *row = &flag_rows[i];
        bool empty = row->dflt == NULL && row->type != FLAG_STR;
        if (!flag_given(flags, i) && row->type != FLAG_ACTION && !empty)
            set_default(flags, row);
    }
}

/* Flags of the other mode: ["--a" "--b"], and whether there are any. */
static bool
wrong_mode(const struct flags *flags, struct buf *names)
{
    enum flag_mode wrong = flags->agent ? MODE_SERVER : MODE_AGENT;

    for (size_t i = 0; i < flag_rows_nr; i++)
        if (flag_given(flags, i) && flag_rows[i].mode == wrong)
            buf_printf(names, "%s\"--%s\"", names->n == 0 ? "" : " ", flag_rows[i].name);
    return names->n > 0;
}

static int
check_regex(const struct flags *flags, struct buf *err)
{
    struct error why = { 0 };
    struct buf pattern = { 0 };

    /* Prometheus compiles it as ^(?s:...)$ like any matcher. */
    struct regex *re = regex_compile(str_c(flags->web_cors_origin), REGEX_ANCHORED, &why);
    bool ok = re != NULL;
    if (!ok) {
        quote_go(str_c(flags->web_cors_origin), &pattern);
        buf_printf(err, "could not compile CORS regex string %s: %s\n", buf_z(&pattern),
                   error_text(&why));
    }
    buf_fini(&pattern);
    regex_unref(re);
    error_clear(&why);
    return ok ? -1 : EXIT_WRONG_VALUE;
}

/* What no value alone can say. */
static int
check(const struct flags *flags, struct buf *err)
{
    struct buf names = { 0 };
    int status = -1;

    if (flags->web_search_max_limit < 0) {
        buf_printf(
            err,
            "--web.search.max-limit must be non-negative; got %lld (use 0 to disable the cap)\n",
            (long long)flags->web_search_max_limit);
        return EXIT_WRONG_LINE;
    }
    if (wrong_mode(flags, &names)) {
        buf_printf(err, "The following flag(s) can %s in agent mode: [%s]",
                   flags->agent ? "not be used" : "only be used", buf_z(&names));
        status = EXIT_WRONG_MODE;
    } else if (flags->agent && flags->storage_agent_checkpoint_batch_size <= 0) {
        buf_c(err, "--storage.agent.checkpoint-batch-size must be greater than 0.\n");
        status = EXIT_WRONG_LINE;
    } else if (!(flags->auto_gomemlimit_ratio > 0 && flags->auto_gomemlimit_ratio <= 1)) {
        buf_c(err, "--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1.");
        status = EXIT_WRONG_LINE;
    } else {
        status = check_regex(flags, err);
    }
    buf_fini(&names);
    return status;
}

static int
run_action(enum flag_action action, struct buf *out)
{
    switch (action) {
    case ACTION_HELP:
        flags_help(out);
        break;
    case ACTION_MARKDOWN:
        flags_markdown(out);
        break;
    case ACTION_VERSION:
        flags_version(out);
        break;
    case ACTION_WORDS:
        for (size_t i = 0; i < flag_rows_nr; i++)
            if (!flag_rows[i].hidden)
                buf_printf(out, "--%s\n", flag_rows[i].name);
        break;
    case ACTION_BASH:
    case ACTION_ZSH:
        if (action == ACTION_ZSH)
            buf_c(out, "autoload -U +X bashcompinit && bashcompinit\n");
        buf_c(out, "complete -W \"$(narthex --completion-bash)\" narthex prometheus\n");
        break;
    }
    return 0;
}

static int
finish(struct line *l, struct error *err, struct buf *out, struct buf *err_text)
{
    bool ok = true;

    for (size_t i = 0; ok && i < l->nr; i++)
        ok = set_element(l, &l->elements[i], err);
    if (!ok) {
        buf_printf(err_text, "Error parsing command line arguments: %s\n", error_text(err));
        flags_help(err_text);
        return EXIT_WRONG_VALUE;
    }
    set_defaults(l->flags);
    if (l->action == 0 && l->flags->write_documentation)
        l->action = ACTION_MARKDOWN;
    return l->action != 0 ? run_action(l->action, out) : check(l->flags, err_text);
}

int
flags_parse(struct flags *flags, int argc, char *const *argv, const struct io *io, struct buf *out,
            struct buf *err_text)
{
    struct line l = { .flags = flags };
    struct error err = { 0 };
    int status;

    *flags = (struct flags){ .arena = MEM_NEW(struct arena) };
    arena_init(flags->arena, SIZE_MAX);
    flag_line_init(&l.text, flags->arena, io, argc, argv);
    if (!read_line(&l, &err)) {
        buf_printf(err_text, "Error parsing command line arguments: %s\nprometheus: error: %s\n",
                   error_text(&err), error_text(&err));
        status = EXIT_WRONG_LINE;
    } else if (l.action == ACTION_VERSION) {
        status = run_action(ACTION_VERSION, out);
    } else {
        status = finish(&l, &err, out, err_text);
    }
    flag_line_fini(&l.text);
    mem_free(l.elements);
    error_clear(&err);
    return status;
}

void
flags_fini(struct flags *flags)
{
    if (flags->arena == NULL)
        return;
    arena_fini(flags->arena);
    mem_free(flags->arena);
    flags->arena = NULL;
}

static void
say_feature(const struct log *log, const struct feature_row *row)
{
    if (row->warn)
        log_warn(log, "feature flag", LOG_C("option", row->name), LOG_C("note", row->says));
    else
        log_info(log, "experimental feature enabled", LOG_C("option", row->name),
                 LOG_C("note", row->says));
}

static void
enable(struct flags *flags, struct str name, const struct log *log)
{
    for (size_t i = 0; i < feature_rows_nr; i++) {
        const struct feature_row *row = &feature_rows[i];
        if (!str_is(name, row->name))
            continue;
        if (row->offset != SIZE_MAX)
            *((bool *)&flags->feature + row->offset) = true;
        say_feature(log, row);
        return;
    }
    log_warn(log, "Unknown option for --enable-feature", LOG_S("option", name));
}

bool
flags_features(struct flags *flags, const struct log *log, struct error *err)
{
    for (size_t i = 0; i < flags->enable_feature.nr; i++) {
        struct str list = flags->enable_feature.items[i];
        for (size_t from = 0; from <= list.n;) {
            size_t end = str_find(list, ',', from);
            enable(flags, (struct str){ list.p + from, end - from }, log);
            from = end + 1;
        }
    }
    if (flags->feature.auto_reload_config)
        flags->config_auto_reload = true;
    if (flags->feature.otlp_deltatocumulative && flags->feature.otlp_native_delta_ingestion)
        return error_set(err, ERR_INVALID,
                         "cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion "
                         "features at the same time");
    return true;
}
