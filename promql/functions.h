/* promql/functions.h: the functions, aggregations and operators of the language, one row each.
 *
 * The tables are constant data: lexer, parser, checker, printer, engine and documentation read the
 * same rows, so that adding a function is one row here and one case in the engine. Any thread may
 * read them. */
#pragma once
#include "base/str.h"

enum value_type { VALUE_NONE, VALUE_VECTOR, VALUE_SCALAR, VALUE_MATRIX, VALUE_STRING };

/* "vector", "matrix", ...: as the API and the syntax tree name a type. */
const char *value_type_text(enum value_type type);
/* "instant vector", "range vector", ...: as error texts name it. */
const char *value_type_documented(enum value_type type);

/* In alphabetical order, as the rows are. */
enum function_id {
    FN_ABS,
    FN_ABSENT,
    FN_ABSENT_OVER_TIME,
    FN_ACOS,
    FN_ACOSH,
    FN_ASIN,
    FN_ASINH,
    FN_ATAN,
    FN_ATANH,
    FN_AVG_OVER_TIME,
    FN_CEIL,
    FN_CHANGES,
    FN_CLAMP,
    FN_CLAMP_MAX,
    FN_CLAMP_MIN,
    FN_COS,
    FN_COSH,
    FN_COUNT_OVER_TIME,
    FN_DAY_OF_MONTH,
    FN_DAY_OF_WEEK,
    FN_DAY_OF_YEAR,
    FN_DAYS_IN_MONTH,
    FN_DEG,
    FN_DELTA,
    FN_DERIV,
    FN_DOUBLE_EXPONENTIAL_SMOOTHING,
    FN_END,
    FN_EXP,
    FN_FIRST_OVER_TIME,
    FN_FLOOR,
    FN_HISTOGRAM_AVG,
    FN_HISTOGRAM_COUNT,
    FN_HISTOGRAM_FRACTION,
    FN_HISTOGRAM_QUANTILE,
    FN_HISTOGRAM_QUANTILES,
    FN_HISTOGRAM_STDDEV,
    FN_HISTOGRAM_STDVAR,
    FN_HISTOGRAM_SUM,
    FN_HOUR,
    FN_IDELTA,
    FN_INCREASE,
    FN_INFO,
    FN_IRATE,
    FN_LABEL_JOIN,
    FN_LABEL_REPLACE,
    FN_LAST_OVER_TIME,
    FN_LN,
    FN_LOG10,
    FN_LOG2,
    FN_MAD_OVER_TIME,
    FN_MAX_OF,
    FN_MAX_OVER_TIME,
    FN_MIN_OF,
    FN_MIN_OVER_TIME,
    FN_MINUTE,
    FN_MONTH,
    FN_PI,
    FN_PREDICT_LINEAR,
    FN_PRESENT_OVER_TIME,
    FN_QUANTILE_OVER_TIME,
    FN_RAD,
    FN_RANGE,
    FN_RATE,
    FN_RESETS,
    FN_ROUND,
    FN_SCALAR,
    FN_SGN,
    FN_SIN,
    FN_SINH,
    FN_SORT,
    FN_SORT_BY_LABEL,
    FN_SORT_BY_LABEL_DESC,
    FN_SORT_DESC,
    FN_SQRT,
    FN_START,
    FN_START_TIMESTAMP,
    FN_STDDEV_OVER_TIME,
    FN_STDVAR_OVER_TIME,
    FN_STEP,
    FN_SUM_OVER_TIME,
    FN_TAN,
    FN_TANH,
    FN_TIME,
    FN_TIMESTAMP,
    FN_TS_OF_FIRST_OVER_TIME,
    FN_TS_OF_LAST_OVER_TIME,
    FN_TS_OF_MAX_OVER_TIME,
    FN_TS_OF_MIN_OVER_TIME,
    FN_VECTOR,
    FN_YEAR,
    FN_NR
};

#define FUNCTION_ARGS_MAX 5

struct function {
    enum function_id id;
    const char *name;
    uint8_t args_nr; /* declared arguments */
    enum value_type args[FUNCTION_ARGS_MAX];
    /* 0: exactly args_nr arguments. n > 0: args_nr - 1 up to args_nr - 1 + n. -1: at least args_nr
     * - 1. Arguments past the declared ones have the type of the last. */
    int8_t variadic;
    enum value_type result;
    bool experimental;
};

extern const struct function promql_functions[FN_NR];

/* The row of a name, or NULL. */
const struct function *function_find(struct str name);

/* In alphabetical order, as the rows are. */
enum aggregate_op {
    AGGR_AVG,
    AGGR_BOTTOMK,
    AGGR_COUNT,
    AGGR_COUNT_VALUES,
    AGGR_GROUP,
    AGGR_LIMIT_RATIO,
    AGGR_LIMITK,
    AGGR_MAX,
    AGGR_MIN,
    AGGR_QUANTILE,
    AGGR_STDDEV,
    AGGR_STDVAR,
    AGGR_SUM,
    AGGR_TOPK,
    AGGR_NR
};

struct aggregate {
    enum aggregate_op op;
    const char *name;
    enum value_type param; /* VALUE_NONE when it takes no parameter */
    bool experimental;
};

extern const struct aggregate promql_aggregates[AGGR_NR];

enum operator_kind { OPERATOR_ARITHMETIC, OPERATOR_COMPARISON, OPERATOR_SET, OPERATOR_DURATION };

enum binary_op {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_POW,
    OP_ATAN2,
    OP_EQ, /* == */
    OP_NE,
    OP_GT,
    OP_LT,
    OP_GE,
    OP_LE,
    OP_TRIM_UPPER, /* "</": histogram observations above the scalar are dropped */
    OP_TRIM_LOWER, /* ">/" */
    OP_AND,
    OP_OR,
    OP_UNLESS,
    /* Leaves and calls of duration expressions only, see struct duration_expr. */
    OP_STEP,
    OP_RANGE,
    OP_MIN_OF,
    OP_MAX_OF,
    OP_NR
};

struct operator_row {
    enum binary_op op;
    const char *text;
    enum operator_kind kind;
    uint8_t precedence; /* higher binds tighter; 0 for those that do not stand between operands */
    bool right;         /* right-associative */
};

extern const struct operator_row promql_operators[OP_NR];

static inline bool
op_is_comparison(enum binary_op op)
{
    return promql_operators[op].kind == OPERATOR_COMPARISON;
}

static inline bool
op_is_set(enum binary_op op)
{
    return promql_operators[op].kind == OPERATOR_SET;
}
