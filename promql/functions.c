#include "promql/functions.h"

/* Short names keep a row on a line. */
#define V VALUE_VECTOR
#define M VALUE_MATRIX
#define S VALUE_SCALAR
#define T VALUE_STRING

/* id, name, declared arguments, variadic, result, experimental */
const struct function promql_functions[FN_NR] = {
    { FN_ABS, "abs", 1, { V }, 0, V, false },
    { FN_ABSENT, "absent", 1, { V }, 0, V, false },
    { FN_ABSENT_OVER_TIME, "absent_over_time", 1, { M }, 0, V, false },
    { FN_ACOS, "acos", 1, { V }, 0, V, false },
    { FN_ACOSH, "acosh", 1, { V }, 0, V, false },
    { FN_ASIN, "asin", 1, { V }, 0, V, false },
    { FN_ASINH, "asinh", 1, { V }, 0, V, false },
    { FN_ATAN, "atan", 1, { V }, 0, V, false },
    { FN_ATANH, "atanh", 1, { V }, 0, V, false },
    { FN_AVG_OVER_TIME, "avg_over_time", 1, { M }, 0, V, false },
    { FN_CEIL, "ceil", 1, { V }, 0, V, false },
    { FN_CHANGES, "changes", 1, { M }, 0, V, false },
    { FN_CLAMP, "clamp", 3, { V, S, S }, 0, V, false },
    { FN_CLAMP_MAX, "clamp_max", 2, { V, S }, 0, V, false },
    { FN_CLAMP_MIN, "clamp_min", 2, { V, S }, 0, V, false },
    { FN_COS, "cos", 1, { V }, 0, V, false },
    { FN_COSH, "cosh", 1, { V }, 0, V, false },
    { FN_COUNT_OVER_TIME, "count_over_time", 1, { M }, 0, V, false },
    { FN_DAY_OF_MONTH, "day_of_month", 1, { V }, 1, V, false },
    { FN_DAY_OF_WEEK, "day_of_week", 1, { V }, 1, V, false },
    { FN_DAY_OF_YEAR, "day_of_year", 1, { V }, 1, V, false },
    { FN_DAYS_IN_MONTH, "days_in_month", 1, { V }, 1, V, false },
    { FN_DEG, "deg", 1, { V }, 0, V, false },
    { FN_DELTA, "delta", 1, { M }, 0, V, false },
    { FN_DERIV, "deriv", 1, { M }, 0, V, false },
    { FN_DOUBLE_EXPONENTIAL_SMOOTHING, "double_exponential_smoothing", 3, { M, S, S }, 0, V, true },
    { FN_END, "end", 0, { VALUE_NONE }, 0, S, true },
    { FN_EXP, "exp", 1, { V }, 0, V, false },
    { FN_FIRST_OVER_TIME, "first_over_time", 1, { M }, 0, V, false },
    { FN_FLOOR, "floor", 1, { V }, 0, V, false },
    { FN_HISTOGRAM_AVG, "histogram_avg", 1, { V }, 0, V, false },
    { FN_HISTOGRAM_COUNT, "histogram_count", 1, { V }, 0, V, false },
    { FN_HISTOGRAM_FRACTION, "histogram_fraction", 3, { S, S, V }, 0, V, false },
    { FN_HISTOGRAM_QUANTILE, "histogram_quantile", 2, { S, V }, 0, V, false },
    { FN_HISTOGRAM_QUANTILES, "histogram_quantiles", 4, { V, T, S, S }, 9, V, true },
    { FN_HISTOGRAM_STDDEV, "histogram_stddev", 1, { V }, 0, V, false },
    { FN_HISTOGRAM_STDVAR, "histogram_stdvar", 1, { V }, 0, V, false },
    { FN_HISTOGRAM_SUM, "histogram_sum", 1, { V }, 0, V, false },
    { FN_HOUR, "hour", 1, { V }, 1, V, false },
    { FN_IDELTA, "idelta", 1, { M }, 0, V, false },
    { FN_INCREASE, "increase", 1, { M }, 0, V, false },
    { FN_INFO, "info", 2, { V, V }, 1, V, true },
    { FN_IRATE, "irate", 1, { M }, 0, V, false },
    { FN_LABEL_JOIN, "label_join", 4, { V, T, T, T }, -1, V, false },
    { FN_LABEL_REPLACE, "label_replace", 5, { V, T, T, T, T }, 0, V, false },
    { FN_LAST_OVER_TIME, "last_over_time", 1, { M }, 0, V, false },
    { FN_LN, "ln", 1, { V }, 0, V, false },
    { FN_LOG10, "log10", 1, { V }, 0, V, false },
    { FN_LOG2, "log2", 1, { V }, 0, V, false },
    { FN_MAD_OVER_TIME, "mad_over_time", 1, { M }, 0, V, true },
    { FN_MAX_OF, "max_of", 2, { S, S }, 0, S, true },
    { FN_MAX_OVER_TIME, "max_over_time", 1, { M }, 0, V, false },
    { FN_MIN_OF, "min_of", 2, { S, S }, 0, S, true },
    { FN_MIN_OVER_TIME, "min_over_time", 1, { M }, 0, V, false },
    { FN_MINUTE, "minute", 1, { V }, 1, V, false },
    { FN_MONTH, "month", 1, { V }, 1, V, false },
    { FN_PI, "pi", 0, { VALUE_NONE }, 0, S, false },
    { FN_PREDICT_LINEAR, "predict_linear", 2, { M, S }, 0, V, false },
    { FN_PRESENT_OVER_TIME, "present_over_time", 1, { M }, 0, V, false },
    { FN_QUANTILE_OVER_TIME, "quantile_over_time", 2, { S, M }, 0, V, false },
    { FN_RAD, "rad", 1, { V }, 0, V, false },
    { FN_RANGE, "range", 0, { VALUE_NONE }, 0, S, true },
    { FN_RATE, "rate", 1, { M }, 0, V, false },
    { FN_RESETS, "resets", 1, { M }, 0, V, false },
    { FN_ROUND, "round", 2, { V, S }, 1, V, false },
    { FN_SCALAR, "scalar", 1, { V }, 0, S, false },
    { FN_SGN, "sgn", 1, { V }, 0, V, false },
    { FN_SIN, "sin", 1, { V }, 0, V, false },
    { FN_SINH, "sinh", 1, { V }, 0, V, false },
    { FN_SORT, "sort", 1, { V }, 0, V, false },
    { FN_SORT_BY_LABEL, "sort_by_label", 2, { V, T }, -1, V, true },
    { FN_SORT_BY_LABEL_DESC, "sort_by_label_desc", 2, { V, T }, -1, V, true },
    { FN_SORT_DESC, "sort_desc", 1, { V }, 0, V, false },
    { FN_SQRT, "sqrt", 1, { V }, 0, V, false },
    { FN_START, "start", 0, { VALUE_NONE }, 0, S, true },
    { FN_START_TIMESTAMP, "start_timestamp", 1, { V }, 0, V, true },
    { FN_STDDEV_OVER_TIME, "stddev_over_time", 1, { M }, 0, V, false },
    { FN_STDVAR_OVER_TIME, "stdvar_over_time", 1, { M }, 0, V, false },
    { FN_STEP, "step", 0, { VALUE_NONE }, 0, S, true },
    { FN_SUM_OVER_TIME, "sum_over_time", 1, { M }, 0, V, false },
    { FN_TAN, "tan", 1, { V }, 0, V, false },
    { FN_TANH, "tanh", 1, { V }, 0, V, false },
    { FN_TIME, "time", 0, { VALUE_NONE }, 0, S, false },
    { FN_TIMESTAMP, "timestamp", 1, { V }, 0, V, false },
    { FN_TS_OF_FIRST_OVER_TIME, "ts_of_first_over_time", 1, { M }, 0, V, true },
    { FN_TS_OF_LAST_OVER_TIME, "ts_of_last_over_time", 1, { M }, 0, V, true },
    { FN_TS_OF_MAX_OVER_TIME, "ts_of_max_over_time", 1, { M }, 0, V, true },
    { FN_TS_OF_MIN_OVER_TIME, "ts_of_min_over_time", 1, { M }, 0, V, true },
    { FN_VECTOR, "vector", 1, { S }, 0, V, false },
    { FN_YEAR, "year", 1, { V }, 1, V, false },
};

/* op, name, parameter, experimental */
const struct aggregate promql_aggregates[AGGR_NR] = {
    { AGGR_AVG, "avg", VALUE_NONE, false },       { AGGR_BOTTOMK, "bottomk", S, false },
    { AGGR_COUNT, "count", VALUE_NONE, false },   { AGGR_COUNT_VALUES, "count_values", T, false },
    { AGGR_GROUP, "group", VALUE_NONE, false },   { AGGR_LIMIT_RATIO, "limit_ratio", S, true },
    { AGGR_LIMITK, "limitk", S, true },           { AGGR_MAX, "max", VALUE_NONE, false },
    { AGGR_MIN, "min", VALUE_NONE, false },       { AGGR_QUANTILE, "quantile", S, false },
    { AGGR_STDDEV, "stddev", VALUE_NONE, false }, { AGGR_STDVAR, "stdvar", VALUE_NONE, false },
    { AGGR_SUM, "sum", VALUE_NONE, false },       { AGGR_TOPK, "topk", S, false },
};

/* op, text, kind, precedence, right-associative */
const struct operator_row promql_operators[OP_NR] = {
    { OP_ADD, "+", OPERATOR_ARITHMETIC, 4, false },
    { OP_SUB, "-", OPERATOR_ARITHMETIC, 4, false },
    { OP_MUL, "*", OPERATOR_ARITHMETIC, 5, false },
    { OP_DIV, "/", OPERATOR_ARITHMETIC, 5, false },
    { OP_MOD, "%", OPERATOR_ARITHMETIC, 5, false },
    { OP_POW, "^", OPERATOR_ARITHMETIC, 6, true },
    { OP_ATAN2, "atan2", OPERATOR_ARITHMETIC, 5, false },
    { OP_EQ, "==", OPERATOR_COMPARISON, 3, false },
    { OP_NE, "!=", OPERATOR_COMPARISON, 3, false },
    { OP_GT, ">", OPERATOR_COMPARISON, 3, false },
    { OP_LT, "<", OPERATOR_COMPARISON, 3, false },
    { OP_GE, ">=", OPERATOR_COMPARISON, 3, false },
    { OP_LE, "<=", OPERATOR_COMPARISON, 3, false },
    { OP_TRIM_UPPER, "</", OPERATOR_ARITHMETIC, 3, false },
    { OP_TRIM_LOWER, ">/", OPERATOR_ARITHMETIC, 3, false },
    { OP_AND, "and", OPERATOR_SET, 2, false },
    { OP_OR, "or", OPERATOR_SET, 1, false },
    { OP_UNLESS, "unless", OPERATOR_SET, 2, false },
    { OP_STEP, "step", OPERATOR_DURATION, 0, false },
    { OP_RANGE, "range", OPERATOR_DURATION, 0, false },
    { OP_MIN_OF, "min_of", OPERATOR_DURATION, 0, false },
    { OP_MAX_OF, "max_of", OPERATOR_DURATION, 0, false },
};

const struct function *
function_find(struct str name)
{
    /* About ninety rows, once per call in a query's text: not worth a hash. */
    for (size_t i = 0; i < FN_NR; i++) {
        if (str_is(name, promql_functions[i].name))
            return &promql_functions[i];
    }
    return NULL;
}

const char *
value_type_text(enum value_type type)
{
    static const char *const texts[] = { "none", "vector", "scalar", "matrix", "string" };

    return texts[type];
}

const char *
value_type_documented(enum value_type type)
{
    if (type == VALUE_VECTOR)
        return "instant vector";
    if (type == VALUE_MATRIX)
        return "range vector";
    return value_type_text(type);
}
