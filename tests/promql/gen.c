/* Expressions by grammar: each function writes one of its kind, with at most `depth` more levels.
 */
#include "gen.h"

#define PICK(g, list) ((list)[gen_below((g), ARRAY_LEN(list))])

static void vector(struct gen *g, int depth, struct buf *out);
static void scalar(struct gen *g, int depth, struct buf *out);

static const char *const durations[] = { "1s", "15s", "30s", "1m", "90s", "2m", "5m", "10m" };
static const char *const numbers[] = { "0",   "1",   "2",   "0.5", "-1",   "3",   "10",  "100",
                                       "1e3", "0.1", "NaN", "Inf", "-Inf", "0.9", "7.25" };

/* ---- selectors ---- */

static void
duration(struct gen *g, struct buf *out)
{
    buf_c(out, PICK(g, durations));
}

static void
shift(struct gen *g, bool offset, struct buf *out)
{
    if (gen_below(g, 8) == 0 && offset)
        buf_printf(out, " offset %s%s", gen_below(g, 3) == 0 ? "-" : "", PICK(g, durations));
    if (gen_below(g, 10) == 0) {
        unsigned kind = gen_below(g, 3);

        if (kind == 0)
            buf_printf(out, " @ %lld.%u",
                       (long long)(GEN_START_MS / 1000) +
                           (long long)gen_below(g, (unsigned)(GEN_SPAN_MS / 1000)),
                       gen_below(g, 10));
        else
            buf_c(out, kind == 1 ? " @ start()" : " @ end()");
    }
}

static void
matchers(struct gen *g, struct buf *out)
{
    static const char *const list[] = { "job=\"j0\"",       "job=\"j1\"",   "instance=~\"i[01]\"",
                                        "instance!=\"i0\"", "code=\"200\"", "code!~\"5..\"",
                                        "instance=~\".+\"", "job!~\"x\"",   "nosuch=\"\"",
                                        "instance=\"i1\"" };
    unsigned nr = gen_below(g, 5) < 3 ? 0 : 1 + gen_below(g, 2);

    for (unsigned i = 0; i < nr; i++)
        buf_printf(out, "%s%s%s", i == 0 ? "{" : ",", PICK(g, list), i + 1 == nr ? "}" : "");
}

static void
bare_selector(struct gen *g, struct buf *out)
{
    static const char *const names[] = { "c_total", "d_total",    "g",           "m",     "c_total",
                                         "g",       "nh",         "nhcb",        "nhg",   "nhx",
                                         "mixed",   "lat_bucket", "target_info", "nosuch" };

    if (gen_below(g, 25) == 0)
        buf_c(out,
              gen_below(g, 2) ? "{job=\"j0\"}" : "{__name__=~\"c_total|g|nh\",instance=\"i0\"}");
    else
        buf_c(out, PICK(g, names));
    if (out->p[out->n - 1] != '}')
        matchers(g, out);
}

static void
selector(struct gen *g, struct buf *out)
{
    bare_selector(g, out);
    if (g->experimental && gen_below(g, 20) == 0)
        buf_c(out, " smoothed");
    shift(g, true, out);
}

static void
range(struct gen *g, int depth, bool extended, struct buf *out)
{
    bool offset = true;

    if (depth > 0 && gen_below(g, 4) == 0) {
        static const char *const steps[] = { "", "15s", "1m", "40s" };
        size_t from = out->n;

        vector(g, depth - 1, out);
        /* A subquery whose first step is that of the query makes Prometheus move what has "@"
         * inside by the subquery's offset, to where its storage may not have looked. */
        offset = memchr(out->p + from, '@', out->n - from) == NULL;
        buf_c(out, "[");
        duration(g, out);
        buf_printf(out, ":%s]", PICK(g, steps));
    } else {
        bare_selector(g, out);
        buf_c(out, "[");
        duration(g, out);
        buf_c(out, "]");
        if (extended && g->experimental && gen_below(g, 4) == 0)
            buf_c(out, gen_below(g, 2) ? " anchored" : " smoothed");
    }
    shift(g, offset, out);
}

/* ---- functions ---- */

static void
call_range(struct gen *g, int depth, struct buf *out)
{
    static const char *const extended[] = { "rate", "increase", "delta", "changes", "resets" };
    static const char *const plain[] = {
        "rate",
        "increase",
        "delta",
        "changes",
        "resets",
        "irate",
        "idelta",
        "avg_over_time",
        "sum_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "last_over_time",
        "present_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "absent_over_time",
        "deriv",
    };
    static const char *const experimental[] = { "mad_over_time",         "first_over_time",
                                                "ts_of_min_over_time",   "ts_of_max_over_time",
                                                "ts_of_first_over_time", "ts_of_last_over_time" };
    unsigned kind = gen_below(g, 16);

    if (kind == 0) {
        buf_c(out, "quantile_over_time(");
        scalar(g, depth - 1, out);
        buf_c(out, ", ");
    } else if (kind == 1) {
        buf_c(out, "predict_linear(");
        range(g, depth - 1, false, out);
        buf_c(out, ", ");
        scalar(g, depth - 1, out);
        buf_c(out, ")");
        return;
    } else if (kind == 2 && g->experimental) {
        buf_c(out, "double_exponential_smoothing(");
        range(g, depth - 1, false, out);
        buf_c(out, ", 0.3, 0.6)");
        return;
    } else if (kind == 3) {
        buf_printf(out, "%s(", PICK(g, extended));
        range(g, depth - 1, true, out);
        buf_c(out, ")");
        return;
    } else {
        buf_printf(out, "%s(",
                   g->experimental && kind == 4 ? PICK(g, experimental) : PICK(g, plain));
    }
    range(g, depth - 1, false, out);
    buf_c(out, ")");
}

static void
call_vector(struct gen *g, int depth, struct buf *out)
{
    static const char *const plain[] = { "abs",
                                         "ceil",
                                         "floor",
                                         "exp",
                                         "sqrt",
                                         "ln",
                                         "log2",
                                         "log10",
                                         "sin",
                                         "cos",
                                         "tan",
                                         "asin",
                                         "acos",
                                         "atan",
                                         "sinh",
                                         "cosh",
                                         "tanh",
                                         "asinh",
                                         "acosh",
                                         "atanh",
                                         "rad",
                                         "deg",
                                         "sgn",
                                         "round",
                                         "sort",
                                         "sort_desc",
                                         "timestamp",
                                         "absent",
                                         "hour",
                                         "minute",
                                         "month",
                                         "year",
                                         "day_of_week",
                                         "day_of_month",
                                         "day_of_year",
                                         "days_in_month",
                                         "histogram_count",
                                         "histogram_sum",
                                         "histogram_avg",
                                         "histogram_stddev",
                                         "histogram_stdvar",
                                         "timestamp",
                                         "absent",
                                         "round",
                                         "histogram_count",
                                         "histogram_sum" };
    static const char *const scalars[] = { "clamp_min", "clamp_max", "round" };
    unsigned kind = gen_below(g, 12);

    if (kind == 0) {
        buf_printf(out, "%s(", PICK(g, scalars));
        vector(g, depth - 1, out);
        buf_c(out, ", ");
        scalar(g, depth - 1, out);
    } else if (kind == 1) {
        buf_c(out, "clamp(");
        vector(g, depth - 1, out);
        buf_c(out, ", -3, ");
        scalar(g, depth - 1, out);
    } else if (kind == 2) {
        buf_c(out, "label_replace(");
        vector(g, depth - 1, out);
        buf_printf(out, ", \"%s\", \"%s\", \"%s\", \"%s\"",
                   gen_below(g, 4) == 0 ? "instance" : "dst", gen_below(g, 3) == 0 ? "" : "x$1",
                   gen_below(g, 2) ? "job" : "instance", gen_below(g, 3) == 0 ? "i(0)" : "(.*)");
    } else if (kind == 3) {
        buf_c(out, "label_join(");
        vector(g, depth - 1, out);
        buf_printf(out, ", \"%s\", \"-\", \"job\", \"instance\"",
                   gen_below(g, 4) == 0 ? "job" : "dst");
    } else if (kind == 4) {
        buf_c(out, "vector(");
        scalar(g, depth - 1, out);
    } else {
        buf_printf(out, "%s(", PICK(g, plain));
        vector(g, depth - 1, out);
    }
    buf_c(out, ")");
}

static void
call_histogram(struct gen *g, int depth, struct buf *out)
{
    static const char *const inner[] = { "lat_bucket",
                                         "rate(lat_bucket[2m])",
                                         "nh",
                                         "rate(nh[2m])",
                                         "nhcb",
                                         "sum by (le, job) (rate(lat_bucket[5m]))",
                                         "nhx",
                                         "sum(rate(nh[5m]))",
                                         "{__name__=~\"lat_bucket|nh\"}",
                                         "sum by (job) (nhg)",
                                         "rate(nhcb[1m])" };
    unsigned kind = gen_below(g, 6);
    const char *arg = PICK(g, inner);

    if (kind == 0) {
        buf_c(out, "histogram_fraction(");
        scalar(g, depth - 1, out);
        buf_c(out, ", ");
        scalar(g, depth - 1, out);
        buf_printf(out, ", %s)", arg);
    } else if (kind == 1 && g->experimental) {
        buf_printf(out, "histogram_quantiles(%s, \"q\", 0.5, 0.9)", arg);
    } else if (kind == 2) {
        buf_c(out, "histogram_quantile(0.9, ");
        vector(g, depth - 1, out);
        buf_c(out, ")");
    } else {
        buf_c(out, "histogram_quantile(");
        scalar(g, depth - 1, out);
        buf_printf(out, ", %s)", arg);
    }
}

static void
call_experimental(struct gen *g, int depth, struct buf *out)
{
    static const char *const infos[] = { "", ", {version=~\".+\"}", ", {__name__=\"build_info\"}",
                                         ", {__name__=~\".*_info\",rev=\"v1\"}",
                                         ", {version=\"v2\"}" };

    if (out->n == 0) { /* further inside the order would only decide what is said first */
        buf_printf(out, "sort_by_label%s(", gen_below(g, 2) ? "_desc" : "");
        vector(g, depth - 1, out);
        buf_c(out, ", \"instance\")");
        return;
    }
    buf_c(out, "info(");
    vector(g, depth - 1, out);
    buf_printf(out, "%s)", PICK(g, infos));
}

/* ---- operators ---- */

static void
grouping(struct gen *g, struct buf *out)
{
    static const char *const list[] = { "job", "instance", "job, instance", "code", "le, job", "" };

    if (gen_below(g, 3) > 0)
        buf_printf(out, " %s (%s) ", gen_below(g, 3) == 0 ? "without" : "by", PICK(g, list));
}

/* Series whose order is the storage's: which of equal values topk takes depends on it, and in a
 * range query the order of what operators give is nobody's. */
static void
ordered_vector(struct gen *g, int depth, struct buf *out)
{
    if (gen_below(g, 2))
        selector(g, out);
    else
        call_range(g, MIN(depth, 1), out);
}

/* Values that become labels must not depend on the last bit of a C library's function. */
static void
coarse_vector(struct gen *g, int depth, struct buf *out)
{
    if (gen_below(g, 2)) {
        selector(g, out);
        return;
    }
    buf_c(out, "round(");
    vector(g, depth, out);
    buf_c(out, ")");
}

static void
aggregate(struct gen *g, int depth, struct buf *out)
{
    static const char *const plain[] = { "sum",   "avg",    "min",    "max", "count",
                                         "group", "stddev", "stdvar", "sum", "avg" };
    static const char *const chosen[] = { "topk", "bottomk" };
    unsigned kind = gen_below(g, 10);

    if (kind == 0) {
        buf_c(out, PICK(g, chosen));
        grouping(g, out);
        buf_printf(out, "(%u, ", gen_below(g, 4));
        ordered_vector(g, depth - 1, out);
        buf_c(out, ")");
        return;
    } else if (kind == 1) {
        buf_c(out, "quantile");
        grouping(g, out);
        buf_c(out, "(");
        scalar(g, depth - 1, out);
        buf_c(out, ", ");
    } else if (kind == 2) {
        buf_c(out, "count_values");
        grouping(g, out);
        buf_printf(out, "(\"%s\", ", gen_below(g, 4) == 0 ? "job" : "val");
        coarse_vector(g, depth - 1, out);
        buf_c(out, ")");
        return;
    } else if (kind == 3 && g->experimental) {
        bool ratio = gen_below(g, 2);

        buf_c(out, ratio ? "limit_ratio" : "limitk");
        grouping(g, out);
        buf_printf(out, "(%s, ", ratio ? (gen_below(g, 2) ? "0.4" : "-0.6") : "2");
        if (!ratio) { /* which ones are chosen depends on an order that only selectors have */
            selector(g, out);
            buf_c(out, ")");
            return;
        }
    } else {
        buf_c(out, PICK(g, plain));
        grouping(g, out);
        buf_c(out, "(");
    }
    vector(g, depth - 1, out);
    buf_c(out, ")");
}

static void
matching(struct gen *g, bool set, struct buf *out)
{
    static const char *const list[] = { "job, instance", "job, instance", "instance", "code",
                                        "job" };
    static const char *const fills[] = { " fill(0)", " fill_left(1)", " fill_right(2)" };

    if (gen_below(g, 2)) {
        buf_printf(out, " %s (%s)", gen_below(g, 2) ? "on" : "ignoring", PICK(g, list));
        if (!set && gen_below(g, 3) == 0)
            buf_printf(out, " group_%s (%s)", gen_below(g, 2) ? "left" : "right",
                       gen_below(g, 2) ? "" : "version");
    }
    if (!set && g->experimental && gen_below(g, 10) == 0)
        buf_c(out, PICK(g, fills));
    buf_c(out, " ");
}

static void
binary(struct gen *g, int depth, struct buf *out)
{
    static const char *const arithmetic[] = { "+",     "-", "*", "/", "%", "^",
                                              "atan2", "+", "-", "*", "/" };
    static const char *const comparison[] = { "==", "!=", ">", "<", ">=", "<=" };
    static const char *const sets[] = { "and", "or", "unless" };
    unsigned kind = gen_below(g, 8), sides = gen_below(g, 3);
    bool set = kind == 0;

    buf_c(out, "(");
    if (sides == 0 && !set)
        scalar(g, depth - 1, out);
    else
        vector(g, depth - 1, out);
    if (set)
        buf_printf(out, " %s", PICK(g, sets));
    else if (kind < 4)
        buf_printf(out, " %s%s", PICK(g, comparison), gen_below(g, 3) == 0 ? " bool" : "");
    else if (kind == 4 && sides == 1 && gen_below(g, 2))
        buf_c(out, gen_below(g, 2) ? " </" : " >/");
    else
        buf_printf(out, " %s", PICK(g, arithmetic));
    if (set || sides == 2)
        matching(g, set, out);
    buf_c(out, " ");
    if (sides == 1 && !set)
        scalar(g, depth - 1, out);
    else
        vector(g, depth - 1, out);
    buf_c(out, ")");
}

static void
scalar(struct gen *g, int depth, struct buf *out)
{
    static const char *const calls[] = {
        "time()", "pi()", "start()", "end()", "range()", "step()"
    };
    unsigned kind = gen_below(g, 12);

    if (kind == 0 && depth > 0) {
        buf_c(out, "scalar(");
        vector(g, depth - 1, out);
        buf_c(out, ")");
    } else if (kind == 1) {
        buf_c(out, g->experimental ? PICK(g, calls) : "time()");
    } else if (kind == 2 && depth > 0) {
        buf_c(out, "(");
        scalar(g, depth - 1, out);
        buf_c(out, gen_below(g, 2) ? " * " : " - ");
        scalar(g, depth - 1, out);
        buf_c(out, ")");
    } else {
        buf_c(out, PICK(g, numbers));
    }
}

static void
vector(struct gen *g, int depth, struct buf *out)
{
    unsigned kind = gen_below(g, 20);

    if (depth <= 0 || kind < 3)
        selector(g, out);
    else if (kind < 8)
        call_range(g, depth, out);
    else if (kind < 11)
        call_vector(g, depth, out);
    else if (kind < 12)
        call_histogram(g, depth, out);
    else if (kind < 15)
        aggregate(g, depth, out);
    else if (kind < 18)
        binary(g, depth, out);
    else if (kind < 19 && g->experimental)
        call_experimental(g, depth, out);
    else {
        buf_c(out, "-(");
        vector(g, depth - 1, out);
        buf_c(out, ")");
    }
}

void
gen_query(struct gen *g, bool instant, struct buf *out)
{
    int depth = 1 + (int)gen_below(g, 4);
    unsigned kind = gen_below(g, 40);

    if (kind == 0)
        scalar(g, depth, out);
    else if (kind == 1 && instant)
        range(g, depth, false, out);
    else
        vector(g, depth, out);
}
