/* cmd/flags_table.h: a row per flag; shared by parsing, checking and showing. Internal to
 * cmd/flags. */
#pragma once
#include "cmd/flags.h"

enum flag_type {
    FLAG_BOOL,
    FLAG_STR,
    FLAG_STRS,     /* repeatable */
    FLAG_ENUM,     /* one of `choices` */
    FLAG_MESSAGES, /* repeatable, comma lists of `choices`, each once */
    FLAG_INT,      /* as Go's kingpin: a float, cut */
    FLAG_INT64,    /* an integer with any base prefix */
    FLAG_FLOAT,
    FLAG_DURATION,
    FLAG_GO_DURATION,
    FLAG_BYTES,
    FLAG_ACTION /* ends the program; `action` */
};

enum flag_mode { MODE_BOTH, MODE_SERVER, MODE_AGENT, MODE_OURS };
enum flag_action {
    ACTION_HELP = 1,
    ACTION_MARKDOWN,
    ACTION_VERSION,
    ACTION_WORDS,
    ACTION_BASH,
    ACTION_ZSH
};

struct flag_row {
    const char *name;
    enum flag_type type;
    size_t offset;
    const char *dflt; /* as on the command line; NULL: empty */
    enum flag_mode mode;
    bool hidden;         /* not in --help */
    bool idle;           /* without effect yet */
    const char *choices; /* comma list */
    enum flag_action action;
    const char *help;
};

extern const struct flag_row flag_rows[];
extern const size_t flag_rows_nr;

struct feature_row {
    const char *name;
    size_t offset; /* of a bool in struct feature_flags; SIZE_MAX: none */
    bool warn;     /* on its way out: a warning */
    bool idle;     /* without effect yet */
    const char *says;
};

extern const struct feature_row feature_rows[];
extern const size_t feature_rows_nr;

static inline bool
flag_given(const struct flags *flags, size_t row)
{
    return flags->given[row / 64] >> row % 64 & 1;
}

/* The value as text. */
void flag_show(const struct flag_row *row, const struct flags *flags, struct buf *out);
void flags_help(struct buf *out);
void flags_markdown(struct buf *out);
