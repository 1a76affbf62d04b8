/* cmd/tool_line.h: the command line of narthextool: a table of commands, each with flags and
 * arguments, read by the rules of the parser that promtool uses.
 *
 * Commands nest by words ("tsdb create-blocks-from rules"); flags of a command's parents belong to
 * it too and may stand anywhere behind the word that brings them. Values are checked while parsing
 * and kept as text: a handler asks for them by name, which must be in the table (asserted).
 * Strings are borrowed from argv and the arena of the line. One owner thread. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"

enum tool_type {
    TOOL_BOOL,     /* flags only: --x, --no-x */
    TOOL_STR,      /* any text */
    TOOL_ENUM,     /* one of `choices` */
    TOOL_INT,      /* as the server's integer flags */
    TOOL_INT64,    /* with any base prefix */
    TOOL_DURATION, /* Go's notation */
    TOOL_FILE,     /* must exist and be no directory */
    TOOL_URL,
    TOOL_MAP /* name=value */
};

struct tool_param {
    const char *name;
    enum tool_type type;
    char letter; /* -x; 0: none */
    bool required, many, hidden;
    const char *dflt;    /* NULL: none */
    const char *choices; /* TOOL_ENUM */
    const char *help;
};

struct tool;
struct tool_command {
    const char *name; /* words with a space between; "" is the program itself */
    const struct tool_param *flags;
    size_t flags_nr;
    const struct tool_param *args;
    size_t args_nr;
    int (*run)(struct tool *t); /* the exit status; NULL: a group of commands */
    const char *help;
    bool hidden;
};

struct tool_value;
struct tool_line {
    struct arena arena;
    const char *program;                 /* the name of errors and usage */
    const struct tool_command *commands; /* the first is the program itself */
    size_t commands_nr;
    const struct tool_command *command; /* what was asked for */
    struct tool_value *values;          /* in the order given */
    size_t values_nr, values_cap;
};

/* -1: run line->command. Otherwise the process ends with this status; usage and errors have been
 * added to out and err. tool_line_fini() in any case. */
int
tool_line_parse(struct tool_line *line, const struct tool_command *commands, size_t commands_nr,
                int argc, char *const *argv, const struct io *io, struct buf *out, struct buf *err);
void tool_line_fini(struct tool_line *line);

/* ---- for handlers; the last one given, else the default, else "" / false / 0 ---- */
struct str tool_str(const struct tool_line *l, const char *name);
const char *tool_z(struct tool_line *l, const char *name); /* the same, NUL-terminated */
bool tool_bool(const struct tool_line *l, const char *name);
int64_t tool_int(const struct tool_line *l, const char *name);
int64_t tool_duration_ns(const struct tool_line *l, const char *name);
bool tool_given(const struct tool_line *l, const char *name);
/* All of a repeatable flag or argument, or its default; in the arena. */
const struct str *tool_strs(struct tool_line *l, const char *name, size_t *nr);

/* Usage of a command (of the program: its row): flags, arguments, commands below it. */
void tool_help(const struct tool_line *l, const struct tool_command *c, struct buf *out);
/* True when b is a or lies below it. */
bool tool_below(const struct tool_command *a, const struct tool_command *b);
