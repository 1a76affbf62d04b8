/* promql/lexer.h: PromQL and series descriptions as a stream of tokens.
 *
 * What a character means depends on where it stands (inside braces, behind '[', in a list of
 * values), and the lexer follows that by itself, as Prometheus's does, for its errors are part of
 * the language's error texts. It borrows the text, skips comments, and sticks at the end: after
 * TOKEN_EOF or TOKEN_ERROR it repeats it. One owner thread. */
#pragma once
#include "base/arena.h"
#include "promql/ast.h"

enum token_type {
    TOKEN_ERROR, /* the lexer's msg says why; its span is [start, end of the text) */
    TOKEN_EOF,
    TOKEN_EQL, /* "=", inside braces and by mistake elsewhere */
    TOKEN_BLANK,
    TOKEN_COLON,
    TOKEN_COMMA,
    TOKEN_DURATION,
    TOKEN_IDENTIFIER,
    TOKEN_METRIC_IDENTIFIER, /* one with a colon in it */
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_OPEN_HIST,
    TOKEN_CLOSE_HIST,
    TOKEN_NUMBER,
    TOKEN_SPACE,
    TOKEN_STRING,
    TOKEN_TIMES,
    TOKEN_EQL_REGEX,
    TOKEN_NEQ_REGEX,
    TOKEN_AT,
    TOKEN_OPERATOR,  /* op says which; != inside braces too */
    TOKEN_AGGREGATE, /* aggr says which */
    TOKEN_HIST_KEY,  /* series descriptions: sum, count, schema, ... */
    TOKEN_HIST_HINT, /* unknown, reset, not_reset, gauge */
    /* Keywords. */
    TOKEN_BOOL,
    TOKEN_BY,
    TOKEN_GROUP_LEFT,
    TOKEN_GROUP_RIGHT,
    TOKEN_FILL,
    TOKEN_FILL_LEFT,
    TOKEN_FILL_RIGHT,
    TOKEN_IGNORING,
    TOKEN_OFFSET,
    TOKEN_SMOOTHED,
    TOKEN_ANCHORED,
    TOKEN_ON,
    TOKEN_WITHOUT,
    /* Words that are keywords in front of "(" only. */
    TOKEN_START,
    TOKEN_END,
    TOKEN_STEP,
    TOKEN_RANGE,
    TOKEN_MAX_OF,
    TOKEN_MIN_OF
};

struct token {
    enum token_type type;
    union {
        enum binary_op op;
        enum aggregate_op aggr;
    };
    struct str text; /* as written */
    struct pos_range pos;
};

/* What the next character is read as. */
enum lexer_mode {
    LEX_STATEMENT,
    LEX_BRACES,
    LEX_DURATION, /* right behind '[', until the first number */
    LEX_VALUES,   /* series descriptions, behind the metric */
    LEX_HISTOGRAM,
    LEX_BUCKETS,
    LEX_BUCKET_NUMBER, /* behind a minus sign */
    LEX_DONE
};

struct lexer {
    struct str text;
    struct arena *arena; /* for msg */
    struct str msg;      /* after TOKEN_ERROR */
    enum lexer_mode mode;
    uint32_t pos, start, width;
    int64_t paren_depth;
    bool bracket_open, got_colon, got_duration;
    bool series; /* the text is a series description */
};

/* text is at most PROMQL_TEXT_BYTES_MAX long. */
void lexer_init(struct lexer *lx, struct str text, bool series, struct arena *arena);

/* The next token; after the end the same again. */
void lexer_next(struct lexer *lx, struct token *t);

/* How error texts name a token: `<op:+>`, `identifier "foo"`, `end of input`. In the arena. */
struct str token_describe(const struct token *t, struct arena *arena);

/* True when the rune is one of ' ', tab, newline, carriage return. */
bool lexer_is_space(uint32_t rune);
