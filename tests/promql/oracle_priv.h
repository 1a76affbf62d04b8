/* tests/promql/oracle_priv.h: what the parts of the oracle share.
 *
 * All memory is the result's arena. Failing leaves by longjmp() to oracle_query(), as Prometheus's
 * evaluator panics. */
#pragma once
#include <setjmp.h>

#include "model/histogram_math.h"
#include "oracle.h"
#include "promql/ast.h"

struct fpoint {
    int64_t t_ms;
    double v;
};

struct hpoint {
    int64_t t_ms;
    struct histogram *h; /* never written to: copy first */
};

/* One series: floats and histograms apart, each in time order. *_at: how far a consumer is. */
struct oseries {
    struct labels labels;
    bool drop_name; /* delayed name removal: the name goes at the very end */
    struct fpoint *f;
    struct hpoint *h;
    size_t f_nr, f_cap, f_at, h_nr, h_cap, h_at;
};

struct matrix {
    struct oseries *v;
    size_t nr, cap;
};

struct sample {
    struct labels labels;
    double v;
    struct histogram *h; /* NULL: a float */
    int64_t t_ms;        /* of the sample itself, for timestamp() */
    bool drop_name;
    size_t group; /* of vector matching: equal signatures have equal numbers */
};

struct vec {
    struct sample *v;
    size_t nr, cap;
};

struct note {
    struct str text; /* without position */
    uint32_t start;
    bool warning;
    /* Only for repaired buckets of histogram_quantile(), which are merged. */
    bool monotonicity;
    int64_t min_ms, max_ms;
    double bucket_min, bucket_max, diff_max;
    size_t nr;
};

struct oracle {
    struct oracle_options options;
    struct arena *arena;
    struct querier *querier;
    struct str text;
    int64_t start_ms, end_ms, step_ms; /* of the query; an instant one has step 0 */
    struct note *notes;
    size_t notes_nr, notes_cap;
    struct error *err;
    jmp_buf failed;
};

/* One evaluation over a grid; a subquery and a step-invariant part have their own. */
struct ev {
    struct oracle *o;
    int64_t start_ms, end_ms, step_ms;
};

/* ---- oracle.c ---- */
void oracle_fail(struct oracle *o, const char *fmt, ...) __attribute__((noreturn)) PRINTF(2, 3);
void oracle_warn(struct oracle *o, const struct expr *e, const char *fmt, ...) PRINTF(3, 4);
void oracle_info(struct oracle *o, const struct expr *e, const char *fmt, ...) PRINTF(3, 4);
void oracle_note(struct oracle *o, struct note note); /* text in the arena; later ones win */

/* ---- oracle_labels.c ---- */
struct str name_of(struct labels ls);
struct labels labels_keep(struct arena *a, struct labels ls, const struct str *names, size_t nr);
/* with_name: __name__ goes as well */
struct labels
labels_drop(struct arena *a, struct labels ls, const struct str *names, size_t nr, bool with_name);
struct labels labels_set(struct arena *a, struct labels ls, struct str name, struct str value);
struct labels labels_unnamed(struct arena *a, struct labels ls); /* without metadata labels */
struct labels labels_for_match(struct arena *a, struct labels ls, const struct vector_matching *m);
struct str labels_text(struct arena *a, struct labels ls);
/* The output name of an operation that drops it now, or marks it for later. */
struct labels dropped_now(struct oracle *o, struct labels ls);

/* ---- oracle_eval.c ---- */
struct matrix oracle_eval(struct ev *ev, struct expr *e);
/* Sets engine_offset_ms of all selectors and subqueries below e: with "@", so that a selector that
 * is evaluated at t_ms looks where it should. */
void oracle_place(struct expr *e, int64_t t_ms);
/* Calls fn for each step with the samples of each operand at that step; series of the result appear
 * in the order they are first seen. */
typedef void (*step_fn)(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms,
                        struct vec *out);
struct matrix each_step(struct ev *ev, struct expr *e, struct expr **operands, size_t nr,
                        const struct vector_matching *m, step_fn fn);
void vec_add(struct oracle *o, struct vec *v, struct sample s);
struct oseries *matrix_add(struct oracle *o, struct matrix *m, struct labels ls, bool drop_name);
void series_add(struct oracle *o, struct oseries *s, int64_t t_ms, double v, struct histogram *h);
/* The next sample of s when it is of time t_ms. */
bool series_next(struct oseries *s, int64_t t_ms, double *v, struct histogram **h);
struct matrix merge_same_labels(struct ev *ev, struct matrix m);
bool has_same_labels(const struct matrix *m);
/* Every sample of the series that match. A selector gives stale markers too. */
struct matrix read_series(struct ev *ev, const struct matcher *matchers, size_t nr, bool stats);
/* The sample an instant selector sees at t_ms. */
bool sample_before(const struct oracle *o, const struct oseries *s, int64_t t_ms, int64_t *at_ms,
                   double *v, struct histogram **h);

/* ---- oracle_range.c, oracle_rate.c ---- */
/* What a function over a range sees of one series at one step. */
struct window {
    struct oracle *o;
    const struct expr *call;
    const struct expr *arg; /* the range argument, NULL for a subquery: positions count from it */
    struct str name;
    struct labels labels;
    const struct fpoint *f;
    const struct hpoint *h;
    size_t f_nr, h_nr;
    int64_t t_ms, range_ms, offset_ms;
    bool anchored, smoothed;
    double params[2]; /* the other arguments in order */
};
struct matrix eval_range_call(struct ev *ev, struct expr *e, size_t range_arg);
struct matrix eval_subquery(struct ev *ev, struct expr *e);
/* False: no sample. */
bool range_function(struct window *w, double *v, struct histogram **h);
bool rate_function(struct window *w, bool counter, bool rate, double *v, struct histogram **h);
bool last_two_function(struct window *w, bool rate, double *v, struct histogram **h);
/* Notes of addition; false when schemas do not mix. */
bool window_add(struct window *w, struct histogram *to, const struct histogram *h);
bool window_sub(struct window *w, struct histogram *to, const struct histogram *h);
double between_points(struct fpoint a, struct fpoint b, int64_t t_ms, bool counter);
/* h1 at t1, h2 at t2, at t; NULL when schemas do not mix. */
struct histogram *
between_histograms(struct oracle *o, const struct expr *at, const struct hpoint *a,
                   const struct hpoint *b, int64_t t_ms, bool counter);
void warn_mixed_schemas(struct oracle *o, const struct expr *at, struct str name);

/* ---- oracle_binary.c, oracle_aggregate.c, oracle_functions.c, oracle_quantile.c, oracle_info.c
 * ---- */
struct matrix eval_binary(struct ev *ev, struct expr *e);
struct matrix eval_aggregate(struct ev *ev, struct expr *e);
struct matrix eval_call(struct ev *ev, struct expr *e);
struct matrix eval_info(struct ev *ev, struct expr *e);
void step_histogram_quantile(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms,
                             struct vec *out);
void step_histogram_fraction(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms,
                             struct vec *out);
double quantile_of(double q, double *values, size_t nr); /* sorts the values */
void check_quantile(struct oracle *o, double q, const struct expr *at);
void kahan(double inc, double *sum, double *c);
struct histogram *
histogram_mean(struct arena *a, struct histogram *sum, struct histogram *c, double nr);
struct labels absent_labels(struct oracle *o, const struct matcher *matchers, size_t nr);
double max_of(double a, double b); /* as Go's math.Max */
double min_of(double a, double b);
