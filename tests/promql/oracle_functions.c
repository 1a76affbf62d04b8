/* Functions of instant vectors, scalars and labels. */
#include "oracle_priv.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/regex.h"

double
max_of(double a, double b)
{
    if (a == INFINITY || b == INFINITY)
        return INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

double
min_of(double a, double b)
{
    return -max_of(-a, -b);
}

static bool
subtracts(const struct matcher *matchers, size_t nr, const struct matcher *m)
{
    for (size_t i = 0; i < nr; i++)
        if (str_eq(matchers[i].name, m->name) && !matcher_matches_empty(&matchers[i]))
            return (m->type == MATCH_NE || m->type == MATCH_NRE) && matcher_matches_empty(m);
    return true;
}

/* Selecting has sorted the conditions: those that take away come last. */
static const struct matcher *
sorted_matchers(struct arena *a, const struct matcher *matchers, size_t nr)
{
    struct matcher *out = ARENA_NEW_ARRAY(a, struct matcher, nr + 1);
    size_t out_nr = 0;

    for (int last = 0; last < 2; last++)
        for (size_t i = 0; i < nr; i++)
            if (subtracts(matchers, nr, &matchers[i]) == (last == 1))
                out[out_nr++] = matchers[i];
    return out;
}

struct labels
absent_labels(struct oracle *o, const struct matcher *matchers, size_t nr)
{
    struct labels out = { 0 };

    matchers = sorted_matchers(o->arena, matchers, nr);

    for (size_t i = 0; i < nr; i++) {
        bool again = false;

        if (str_eq(matchers[i].name, LABEL_NAME))
            continue;
        for (size_t k = 0; k < i; k++) /* only equalities count as seen */
            again = again ||
                    (str_eq(matchers[k].name, matchers[i].name) && matchers[k].type == MATCH_EQ);
        bool set = matchers[i].type == MATCH_EQ && !again;
        out = labels_set(o->arena, out, matchers[i].name, set ? matchers[i].value : STR_NONE);
    }
    return out;
}

/* ---- one float in, one float out ---- */

static double
round_to(double v, double to)
{
    double inverse = 1 / to;

    return floor(v * inverse + 0.5) / inverse;
}

static double
sign_of(double v)
{
    return v < 0 ? -1 : v > 0 ? 1 : v;
}

static double
math(enum function_id fn, double v)
{
    switch (fn) {
    case FN_ABS:
        return fabs(v);
    case FN_CEIL:
        return ceil(v);
    case FN_FLOOR:
        return floor(v);
    case FN_EXP:
        return exp(v);
    case FN_SQRT:
        return sqrt(v);
    case FN_LN:
        return log(v);
    case FN_LOG2:
        return log2(v);
    case FN_LOG10:
        return log10(v);
    case FN_SIN:
        return sin(v);
    case FN_COS:
        return cos(v);
    case FN_TAN:
        return tan(v);
    case FN_ASIN:
        return asin(v);
    case FN_ACOS:
        return acos(v);
    case FN_ATAN:
        return atan(v);
    case FN_SINH:
        return sinh(v);
    case FN_COSH:
        return cosh(v);
    case FN_TANH:
        return tanh(v);
    case FN_ASINH:
        return asinh(v);
    case FN_ACOSH:
        return acosh(v);
    case FN_ATANH:
        return atanh(v);
    case FN_RAD:
        return v * 3.14159265358979323846 / 180;
    case FN_DEG:
        return v * 180 / 3.14159265358979323846;
    default:
        return sign_of(v);
    }
}

static void
give_unnamed(struct ev *ev, const struct sample *s, double v, struct vec *out)
{
    vec_add(ev->o, out,
            (struct sample){ .labels = dropped_now(ev->o, s->labels), .v = v, .drop_name = true });
}

static void
step_math(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    enum function_id fn = e->call.fn->id;

    (void)t_ms;
    for (size_t i = 0; i < in[0].nr; i++) {
        double v = in[0].v[i].v, low = -INFINITY, high = INFINITY;

        if (in[0].v[i].h != NULL)
            continue;
        if (fn == FN_ROUND) {
            give_unnamed(ev, &in[0].v[i], round_to(v, e->call.args_nr > 1 ? in[1].v[0].v : 1), out);
            continue;
        }
        if (fn == FN_CLAMP || fn == FN_CLAMP_MIN)
            low = in[1].v[0].v;
        if (fn == FN_CLAMP || fn == FN_CLAMP_MAX)
            high = in[fn == FN_CLAMP ? 2 : 1].v[0].v;
        if (high < low)
            return;
        bool clamps = fn == FN_CLAMP || fn == FN_CLAMP_MIN || fn == FN_CLAMP_MAX;
        give_unnamed(ev, &in[0].v[i], clamps ? max_of(low, min_of(high, v)) : math(fn, v), out);
    }
}

/* ---- dates ---- */

/* Days from 1970 on, any number of them. */
struct date {
    int64_t year, month, day, day_of_year;
};

static bool
is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

static int64_t
days_in(int64_t year, int64_t month)
{
    return month_days[month - 1] + (month == 2 && is_leap(year));
}

static struct date
date_of(int64_t days)
{
    enum { CYCLE_YEARS = 400, CYCLE_DAYS = 146097 };
    int64_t cycles = days / CYCLE_DAYS - (days % CYCLE_DAYS < 0);
    struct date d = { .year = 1970 + cycles * CYCLE_YEARS, .month = 1 };

    days -= cycles * CYCLE_DAYS;
    while (days >= 365 + is_leap(d.year))
        days -= 365 + is_leap(d.year++);
    d.day_of_year = days + 1;
    while (days >= days_in(d.year, d.month))
        days -= days_in(d.year, d.month++);
    d.day = days + 1;
    return d;
}

static double
date_part(enum function_id fn, double v)
{
    /* Go counts seconds from a year long ago, in 64 bits without sign. */
    const uint64_t ago_s = UINT64_C(62135596800) + UINT64_C(9223371966579724800);
    int64_t t = v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
    uint64_t since_s = (uint64_t)t + ago_s;
    int64_t days = (int64_t)(since_s / 86400) - (int64_t)(ago_s / 86400);
    struct date d = date_of(days);

    switch (fn) {
    case FN_DAYS_IN_MONTH:
        return (double)days_in(d.year, d.month);
    case FN_DAY_OF_MONTH:
        return (double)d.day;
    case FN_DAY_OF_WEEK:
        return (double)(((days + 4) % 7 + 7) % 7);
    case FN_DAY_OF_YEAR:
        return (double)d.day_of_year;
    case FN_HOUR:
        return (double)(since_s / 3600 % 24);
    case FN_MINUTE:
        return (double)(since_s / 60 % 60);
    case FN_MONTH:
        return (double)d.month;
    default:
        return (double)d.year;
    }
}

static void
step_date(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    enum function_id fn = e->call.fn->id;

    if (e->call.args_nr == 0) {
        vec_add(ev->o, out, (struct sample){ .v = date_part(fn, (double)(t_ms / 1000)) });
        return;
    }
    for (size_t i = 0; i < in[0].nr; i++)
        if (in[0].v[i].h == NULL)
            give_unnamed(ev, &in[0].v[i], date_part(fn, in[0].v[i].v), out);
}

/* ---- histograms ---- */

static double
histogram_variance(const struct histogram *h)
{
    double mean = h->sum / h->count, variance = 0, c = 0;
    struct histogram_all it;

    histogram_all_init(&it, h, false);
    while (histogram_all_next(&it)) {
        const struct histogram_bucket *b = &it.at;
        double v;

        if (b->count == 0)
            continue;
        if (histogram_is_custom(h)) {
            v = (b->upper + b->lower) / 2;
        } else if (b->lower <= 0 && b->upper >= 0) {
            v = 0;
        } else {
            v = sqrt(b->upper * b->lower);
            v = b->upper < 0 ? -v : v;
        }
        kahan(b->count * (v - mean) * (v - mean), &variance, &c);
    }
    return (variance + c) / h->count;
}

static void
step_histogram(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    (void)t_ms;
    for (size_t i = 0; i < in[0].nr; i++) {
        const struct histogram *h = in[0].v[i].h;
        double v;

        if (h == NULL)
            continue;
        switch (e->call.fn->id) {
        case FN_HISTOGRAM_COUNT:
            v = h->count;
            break;
        case FN_HISTOGRAM_SUM:
            v = h->sum;
            break;
        case FN_HISTOGRAM_AVG:
            v = h->sum / h->count;
            break;
        case FN_HISTOGRAM_STDVAR:
            v = histogram_variance(h);
            break;
        default:
            v = sqrt(histogram_variance(h));
            break;
        }
        give_unnamed(ev, &in[0].v[i], v, out);
    }
}

/* ---- the order of instant vectors ---- */

static size_t
digits_at(struct str s, size_t at)
{
    size_t n = 0;

    while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9')
        n++;
    return n;
}

/* "a2" before "a10". */
static int
natural_order(struct str a, struct str b)
{
    size_t i = 0, k = 0;

    while (i < a.n && k < b.n) {
        size_t n = digits_at(a, i), m = digits_at(b, k);

        if (n > 0 && m > 0) {
            unsigned long long x = strtoull(a.p + i, NULL, 10), y = strtoull(b.p + k, NULL, 10);
            if (x != y)
                return x < y ? -1 : 1;
            i += n;
            k += m;
        } else if (a.p[i] != b.p[k]) {
            return (unsigned char)a.p[i] < (unsigned char)b.p[k] ? -1 : 1;
        } else {
            i++;
            k++;
        }
    }
    return (a.n - i > b.n - k) - (a.n - i < b.n - k);
}

static bool
goes_before(const struct expr *e, const struct sample *a, const struct sample *b)
{
    enum function_id fn = e->call.fn->id;
    bool down = fn == FN_SORT_BY_LABEL_DESC;

    if (fn == FN_SORT || fn == FN_SORT_DESC) {
        if (isnan(b->v)) /* NaN last */
            return true;
        return fn == FN_SORT ? a->v < b->v : a->v > b->v;
    }
    for (size_t i = 1; i < e->call.args_nr; i++) {
        struct str name = expr_unwrapped(e->call.args[i])->string.v;
        int c = natural_order(labels_get(a->labels, name), labels_get(b->labels, name));

        if (c != 0)
            return down ? c > 0 : c < 0;
    }
    int c = labels_cmp(a->labels, b->labels);
    return down ? c > 0 : c < 0;
}

static void
step_sort(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    bool by_value = e->call.fn->id == FN_SORT || e->call.fn->id == FN_SORT_DESC;

    (void)t_ms;
    for (size_t i = 0; i < in[0].nr; i++)
        if (in[0].v[i].h == NULL || !by_value)
            vec_add(ev->o, out, in[0].v[i]);
    for (size_t i = 1; i < out->nr; i++)
        for (size_t j = i; j > 0 && goes_before(e, &out->v[j], &out->v[j - 1]); j--) {
            struct sample t = out->v[j];
            out->v[j] = out->v[j - 1];
            out->v[j - 1] = t;
        }
    if (ev->start_ms != ev->end_ms)
        oracle_warn(
            ev->o, e,
            "sort is ineffective for range queries since results are always ordered by labels");
}

/* ---- the rest ---- */

static double
scalar_of(const struct vec *v)
{
    double out = NAN;
    bool found = false;

    for (size_t i = 0; i < v->nr; i++) {
        if (v->v[i].h != NULL)
            continue;
        if (found)
            return NAN;
        found = true;
        out = v->v[i].v;
    }
    return out;
}

static void
step_scalar(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    double v;

    switch (e->call.fn->id) {
    case FN_TIME:
        v = (double)t_ms / 1000;
        break;
    case FN_PI:
        v = 3.14159265358979323846;
        break;
    case FN_SCALAR:
        v = scalar_of(&in[0]);
        break;
    case FN_MAX_OF:
        v = max_of(in[0].v[0].v, in[1].v[0].v);
        break;
    case FN_MIN_OF:
        v = min_of(in[0].v[0].v, in[1].v[0].v);
        break;
    default:
        v = in[0].v[0].v; /* vector() */
        break;
    }
    vec_add(ev->o, out, (struct sample){ .v = v });
}

static void
step_absent(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    const struct expr *arg = e->call.args[0];
    struct labels ls = { 0 };

    (void)t_ms;
    if (in[0].nr > 0)
        return;
    if (arg->kind == EXPR_SELECTOR)
        ls = absent_labels(ev->o, arg->selector.matchers, arg->selector.matchers_nr);
    vec_add(ev->o, out, (struct sample){ .labels = ls, .v = 1 });
}

static void
step_timestamp(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    (void)e;
    (void)t_ms;
    for (size_t i = 0; i < in[0].nr; i++)
        give_unnamed(ev, &in[0].v[i], (double)in[0].v[i].t_ms / 1000, out);
}

/* Of a selector itself: the time of the sample found. With "@" the offset does not count. */
static void
step_timestamp_found(struct ev *ev, struct expr *e, struct vec *in, int64_t t_ms, struct vec *out)
{
    struct selector_expr *sel = &e->call.args[0]->selector;
    struct matrix all = read_series(ev, sel->matchers, sel->matchers_nr, sel->skip_buckets);
    int64_t offset_ms =
        sel->shift.at == AT_TIME ? t_ms - sel->shift.at_ms : sel->shift.engine_offset_ms;

    (void)in;
    for (size_t i = 0; i < all.nr; i++) {
        struct sample s = { .labels = all.v[i].labels };

        if (sample_before(ev->o, &all.v[i], t_ms - offset_ms, &s.t_ms, &s.v, &s.h))
            give_unnamed(ev, &s, (double)s.t_ms / 1000, out);
    }
}

/* ---- labels ---- */

static struct str
string_arg(const struct expr *e, size_t i)
{
    return expr_unwrapped(e->call.args[i])->string.v;
}

static void
set_label(struct oracle *o, struct oseries *s, struct str name, struct str value)
{
    s->labels = labels_set(o->arena, s->labels, name, value);
    if (str_eq(name, LABEL_NAME))
        s->drop_name = false;
}

static struct matrix
label_replace(struct ev *ev, struct expr *e)
{
    struct error bad = { 0 };
    struct regex *re = regex_compile(string_arg(e, 4), REGEX_ANCHORED, &bad);
    struct buf b = { 0 };

    error_clear(&bad);
    if (re == NULL)
        oracle_fail(ev->o, "invalid regular expression in label_replace(): %.*s",
                    STR_ARG(string_arg(e, 4)));
    regex_unref(re); /* evaluation below may leave by longjmp() */
    if (!label_name_valid(string_arg(e, 1)))
        oracle_fail(ev->o, "invalid destination label name in label_replace(): %.*s",
                    STR_ARG(string_arg(e, 1)));
    struct matrix m = oracle_eval(ev, e->call.args[0]);
    re = regex_compile(string_arg(e, 4), REGEX_ANCHORED, &bad);
    for (size_t i = 0; i < m.nr; i++) {
        buf_reset(&b);
        if (regex_expand(re, labels_get(m.v[i].labels, string_arg(e, 3)), string_arg(e, 2), &b))
            set_label(ev->o, &m.v[i], string_arg(e, 1), buf_as_str(&b));
    }
    regex_unref(re);
    buf_fini(&b);
    return merge_same_labels(ev, m);
}

static struct matrix
label_join(struct ev *ev, struct expr *e)
{
    for (size_t i = 3; i < e->call.args_nr; i++)
        if (!label_name_valid(string_arg(e, i)))
            oracle_fail(ev->o, "invalid source label name in label_join(): %.*s",
                        STR_ARG(string_arg(e, i)));
    if (!label_name_valid(string_arg(e, 1)))
        oracle_fail(ev->o, "invalid destination label name in label_join(): %.*s",
                    STR_ARG(string_arg(e, 1)));
    struct matrix m = oracle_eval(ev, e->call.args[0]);
    struct buf b = { 0 };
    for (size_t i = 0; i < m.nr; i++) {
        buf_reset(&b);
        for (size_t k = 3; k < e->call.args_nr; k++) {
            if (k > 3)
                buf_str(&b, string_arg(e, 2));
            buf_str(&b, labels_get(m.v[i].labels, string_arg(e, k)));
        }
        set_label(ev->o, &m.v[i], string_arg(e, 1), buf_as_str(&b));
    }
    buf_fini(&b);
    return merge_same_labels(ev, m);
}

static step_fn
function_of(const struct expr *e)
{
    switch (e->call.fn->id) {
    case FN_TIME:
    case FN_PI:
    case FN_SCALAR:
    case FN_VECTOR:
    case FN_MAX_OF:
    case FN_MIN_OF:
        return step_scalar;
    case FN_ABSENT:
        return step_absent;
    case FN_TIMESTAMP:
        return step_timestamp;
    case FN_SORT:
    case FN_SORT_DESC:
    case FN_SORT_BY_LABEL:
    case FN_SORT_BY_LABEL_DESC:
        return step_sort;
    case FN_DAYS_IN_MONTH:
    case FN_DAY_OF_MONTH:
    case FN_DAY_OF_WEEK:
    case FN_DAY_OF_YEAR:
    case FN_HOUR:
    case FN_MINUTE:
    case FN_MONTH:
    case FN_YEAR:
        return step_date;
    case FN_HISTOGRAM_COUNT:
    case FN_HISTOGRAM_SUM:
    case FN_HISTOGRAM_AVG:
    case FN_HISTOGRAM_STDDEV:
    case FN_HISTOGRAM_STDVAR:
        return step_histogram;
    case FN_HISTOGRAM_QUANTILE:
    case FN_HISTOGRAM_QUANTILES:
        return step_histogram_quantile;
    case FN_HISTOGRAM_FRACTION:
        return step_histogram_fraction;
    default:
        return step_math;
    }
}

struct matrix
eval_call(struct ev *ev, struct expr *e)
{
    struct call_expr *c = &e->call;

    if (c->fn->id == FN_TIMESTAMP && c->args[0]->kind == EXPR_SELECTOR)
        return each_step(ev, e, NULL, 0, NULL, step_timestamp_found);
    if (c->fn->id == FN_LABEL_REPLACE)
        return label_replace(ev, e);
    if (c->fn->id == FN_LABEL_JOIN)
        return label_join(ev, e);
    if (c->fn->id == FN_INFO)
        return eval_info(ev, e);
    for (size_t i = 0; i < c->args_nr; i++)
        if (c->args[i]->kind == EXPR_MATRIX || c->args[i]->kind == EXPR_SUBQUERY)
            return eval_range_call(ev, e, i);
    return each_step(ev, e, c->args, c->args_nr, NULL, function_of(e));
}
