/* promql/ast.h: the syntax tree of a query.
 *
 * Nodes live in the arena that was given to promql_parse() and are valid while it is. The only
 * thing outside the arena are the compiled expressions of matchers: expr_fini() on the root
 * releases them. Rewriting (wrapping a node in EXPR_STEP_INVARIANT, say) is fine while every
 * selector stays reachable from the root that is handed to expr_fini(). A tree that nobody changes
 * may be read by any number of threads.
 *
 * No tree is higher than PROMQL_HEIGHT_MAX nodes, so that walking one recursively is safe. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "model/matcher.h"
#include "promql/functions.h"

/* Chosen so that a recursive walk with frames of 1 kB stays below 2 MB of stack. Long chains of one
 * operator (a or b or c ...) count one level per operator. */
#define PROMQL_HEIGHT_MAX 2000

/* Bytes of the query's text, `end` exclusive. */
struct pos_range {
    uint32_t start, end;
};

enum expr_kind {
    EXPR_NUMBER,
    EXPR_STRING,
    EXPR_PAREN,
    EXPR_UNARY,
    EXPR_BINARY,
    EXPR_CALL,
    EXPR_AGGREGATE,
    EXPR_SELECTOR, /* instant vector selector */
    EXPR_MATRIX,   /* range vector selector */
    EXPR_SUBQUERY,
    EXPR_DURATION,      /* arithmetic on durations; never in the place of a value, see struct
                           duration_expr */
    EXPR_STEP_INVARIANT /* made by the engine, never by the parser */
};

struct expr;

struct number_expr {
    double v;
    bool duration; /* written as a duration (5m), and printed back as one */
};

/* EXPR_STRING: bytes after unquoting. */
struct string_expr {
    struct str v;
};

struct paren_expr {
    struct expr *inner;
};

struct unary_expr {
    enum binary_op op; /* OP_ADD or OP_SUB */
    struct expr *inner;
};

enum match_card { CARD_ONE_TO_ONE, CARD_MANY_TO_ONE, CARD_ONE_TO_MANY, CARD_MANY_TO_MANY };

/* "one-to-one", ... */
const char *match_card_text(enum match_card card);

/* How series of both sides find each other. */
struct vector_matching {
    enum match_card card; /* many-to-many for set operators */
    bool on;              /* labels are the ones to match on, else the ones to ignore */
    bool has_fill_left, has_fill_right;
    const struct str *labels; /* in the order written; may repeat */
    size_t labels_nr;
    const struct str *include; /* of group_left(...), group_right(...) */
    size_t include_nr;
    double fill_left, fill_right; /* what a missing series of that side counts as */
};

struct binary_expr {
    enum binary_op op;
    bool return_bool;
    struct expr *lhs, *rhs;
    struct vector_matching *matching; /* NULL unless both sides are instant vectors */
};

struct call_expr {
    const struct function *fn;
    struct expr **args; /* args_nr of them; optional trailing ones are simply missing */
    size_t args_nr;
};

struct aggregate_expr {
    enum aggregate_op op;
    bool without;
    struct expr *inner;
    struct expr *param;         /* NULL when the operator takes none */
    const struct str *grouping; /* in the order written; may repeat */
    size_t grouping_nr;
};

enum at_kind { AT_NONE, AT_TIME, AT_START, AT_END };

/* "offset" and "@" of a selector or subquery. */
struct time_shift {
    enum at_kind at;
    int64_t at_ms; /* AT_TIME: as written. The engine sets it for AT_START and AT_END as well */
    int64_t
        offset_ms; /* as written; filled by promql_resolve_durations() when it is an expression */
    struct expr *offset_expr; /* EXPR_DURATION, or NULL when the offset is a plain number */
    bool offset_set;          /* false when there is none, or a plain zero */
    int64_t engine_offset_ms; /* for the engine: with @ and enclosing subqueries worked in */
};

struct selector_expr {
    struct str name; /* the name in front of the braces, "" when there is none */
    /* All conditions, in the order written; the one for a name in front of the braces comes last.
     */
    struct matcher *matchers;
    size_t matchers_nr;
    struct time_shift shift;
    bool anchored, smoothed;
    bool allow_empty;  /* second argument of info(): need not have a condition that refuses "" */
    bool skip_buckets; /* for the engine: only count and sum of histograms are needed */
    uint32_t id;       /* for the engine: an index into its own arrays */
};

struct matrix_expr {
    struct expr *selector;   /* EXPR_SELECTOR; offset and @ stand there */
    int64_t range_ms;        /* filled by promql_resolve_durations() when it is an expression */
    struct expr *range_expr; /* EXPR_DURATION or NULL */
};

struct subquery_expr {
    struct expr *inner;
    struct time_shift shift;
    int64_t range_ms;
    int64_t step_ms; /* 0: the default step of the server */
    struct expr *range_expr, *step_expr;
};

/* A binary operation on durations, a sign (lhs NULL: OP_ADD, OP_SUB), step(), range() (both NULL),
 * or min_of()/max_of(). Operands are EXPR_DURATION or EXPR_NUMBER (seconds). */
struct duration_expr {
    enum binary_op op;
    bool wrapped; /* was in parentheses */
    struct expr *lhs, *rhs;
};

struct step_invariant_expr {
    struct expr *inner;
};

struct expr {
    enum expr_kind kind;
    enum value_type type;
    uint32_t height; /* 1 for a leaf */
    struct pos_range pos;
    union {
        struct number_expr number;
        struct string_expr string;
        struct paren_expr paren;
        struct unary_expr unary;
        struct binary_expr binary;
        struct call_expr call;
        struct aggregate_expr aggregate;
        struct selector_expr selector;
        struct matrix_expr matrix;
        struct subquery_expr subquery;
        struct duration_expr duration;
        struct step_invariant_expr step_invariant;
    };
};

/* Releases the compiled expressions of all matchers below e. Accepts NULL. */
void expr_fini(struct expr *e);

/* The children that are evaluated (not duration expressions), in evaluation order: the i-th, or
 * NULL past the last. An aggregation gives its operand first, then its parameter. */
struct expr *expr_child(const struct expr *e, size_t i);

/* Called for each node before its children; false stops the walk, which then returns false. */
typedef bool (*expr_visit_fn)(struct expr *e, void *arg);
bool expr_walk(struct expr *e, expr_visit_fn visit, void *arg);

/* Without parentheses and step-invariant wrappers around it. */
struct expr *expr_unwrapped(struct expr *e);

/* Replaces every duration expression by its value in milliseconds: range_ms, step_ms, offset_ms.
 * step() is the query's step and range() its end minus start, all in milliseconds (an instant query
 * has start = end and step 0). May be called again with other bounds. ERR_INVALID with Prometheus's
 * text ("12:15: division by zero") when a value is not a duration. */
MUST_CHECK bool promql_resolve_durations(struct expr *e, int64_t start_ms, int64_t end_ms,
                                         int64_t step_ms, struct error *err);
