/* cmd/flag_line.h: a command line as tokens, and the values of flags: what every program of ours
 * shares, with the rules and words of the parser that Prometheus uses.
 *
 * `--x=y` is a flag and then a value, `--` ends flags, `@file` stands for the file's lines. Values
 * are borrowed from argv and the arena. One owner thread. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "base/io.h"

enum flag_token_kind { TOKEN_END, TOKEN_VALUE, TOKEN_LONG, TOKEN_SHORT };

struct flag_line {
    struct arena *arena;
    const struct io *io;
    struct str *args; /* what is left, next one last */
    size_t args_nr, args_cap, files_nr;
    bool flags_over;   /* after -- */
    struct str pushed; /* the value of --x=value */
    bool has_pushed;
};

void flag_line_init(struct flag_line *l, struct arena *arena, const struct io *io, int argc,
                    char *const *argv);
void flag_line_fini(struct flag_line *l);

/* The text of a TOKEN_LONG is the name, of a TOKEN_SHORT what follows the dash. */
MUST_CHECK bool flag_line_next(struct flag_line *l, enum flag_token_kind *kind, struct str *text,
                               struct error *err);
/* Puts an argument back in front: the rest of "-hx". */
void flag_line_push(struct flag_line *l, struct str arg);

/* Values, with Go's words for what is wrong. */
bool flag_in_choices(const char *choices, struct str value); /* a comma list */
MUST_CHECK bool flag_float(struct str text, double *v, struct error *err);
/* As Go's kingpin reads an int: a float, cut. */
MUST_CHECK bool flag_int(struct str text, int64_t *v, struct error *err);
/* An integer with any base prefix. */
MUST_CHECK bool flag_int64(struct arena *arena, struct str text, int64_t *v, struct error *err);
MUST_CHECK bool flag_enum(const char *choices, struct str text, struct error *err);
