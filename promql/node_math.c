/* Element-wise functions of floats: one value in, one out, names dropped. Histograms have no value
 * here and are left out. */
#include "promql/exec_priv.h"

#include "promql/go_math.h"

typedef double (*float_fn)(double v);

static double
fn_rad(double v)
{
    return v * M_PI / 180;
}

static double
fn_deg(double v)
{
    return v * 180 / M_PI;
}

static double
fn_sgn(double v)
{
    return v < 0 ? -1 : v > 0 ? 1 : v;
}

/* ---- dates ---- */

/* Go counts seconds from a year far in the past, modulo 2^64: times before it come out far in the
 * future. */
#define GO_FIRST_SECOND (-(__int128)9223372028715321600)

/* Go converts a float to int64 by truncation; what does not fit gives the smallest. */
static __int128
seconds_of(double v)
{
    bool fits = v >= -9223372036854775808.0 && v < 9223372036854775808.0;
    __int128 s = fits ? (int64_t)v : INT64_MIN;

    return s < GO_FIRST_SECOND ? s + ((__int128)1 << 64) : s;
}

struct date {
    int64_t year;
    int month, day, year_day;
};

/* Days since the epoch to a date of the proleptic Gregorian calendar (Hinnant's algorithm). */
static struct date
date_of(int64_t days)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365,
            doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    struct date d = { .day = (int)(doy - (153 * mp + 2) / 5 + 1),
                      .month = (int)(mp < 10 ? mp + 3 : mp - 9) };

    d.year = yoe + era * 400 + (d.month <= 2);
    bool leap = (d.year % 4 == 0 && d.year % 100 != 0) || d.year % 400 == 0;
    d.year_day = (int)(d.month > 2 ? doy + 60 + leap : doy - 305); /* March 1st is day 60 or 61 */
    return d;
}

static int64_t
floor_div(__int128 a, int64_t b)
{
    return (int64_t)(a / b - (a % b < 0));
}

static struct date
date_at(double v)
{
    return date_of(floor_div(seconds_of(v), 86400));
}

static int64_t
second_of_day(double v)
{
    __int128 s = seconds_of(v);

    return (int64_t)(s - (__int128)floor_div(s, 86400) * 86400);
}

static double
fn_days_in_month(double v)
{
    static const int days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    struct date d = date_at(v);
    bool leap = (d.year % 4 == 0 && d.year % 100 != 0) || d.year % 400 == 0;

    return days[d.month - 1] + (d.month == 2 && leap);
}

static double
fn_day_of_month(double v)
{
    return date_at(v).day;
}

static double
fn_day_of_week(double v)
{
    int64_t day = (floor_div(seconds_of(v), 86400) + 4) % 7;

    return (double)(day < 0 ? day + 7 : day);
}

static double
fn_day_of_year(double v)
{
    return date_at(v).year_day;
}

static double
fn_hour(double v)
{
    return (double)(second_of_day(v) / 3600);
}

static double
fn_minute(double v)
{
    return (double)(second_of_day(v) / 60 % 60);
}

static double
fn_month(double v)
{
    return date_at(v).month;
}

static double
fn_year(double v)
{
    return (double)date_at(v).year;
}

static const float_fn functions[FN_NR] = {
    [FN_ABS] = fabs,
    [FN_CEIL] = ceil,
    [FN_FLOOR] = floor,
    [FN_EXP] = exp,
    [FN_SQRT] = sqrt,
    [FN_LN] = log,
    [FN_LOG2] = log2,
    [FN_LOG10] = log10,
    [FN_SIN] = sin,
    [FN_COS] = cos,
    [FN_TAN] = tan,
    [FN_ASIN] = asin,
    [FN_ACOS] = acos,
    [FN_ATAN] = go_atan,
    [FN_SINH] = sinh,
    [FN_COSH] = cosh,
    [FN_TANH] = tanh,
    [FN_ASINH] = asinh,
    [FN_ACOSH] = acosh,
    [FN_ATANH] = atanh,
    [FN_RAD] = fn_rad,
    [FN_DEG] = fn_deg,
    [FN_SGN] = fn_sgn,
    [FN_DAYS_IN_MONTH] = fn_days_in_month,
    [FN_DAY_OF_MONTH] = fn_day_of_month,
    [FN_DAY_OF_WEEK] = fn_day_of_week,
    [FN_DAY_OF_YEAR] = fn_day_of_year,
    [FN_HOUR] = fn_hour,
    [FN_MINUTE] = fn_minute,
    [FN_MONTH] = fn_month,
    [FN_YEAR] = fn_year,
};

/* ---- functions with scalars beside the vector ---- */

/* Steps where the bounds are the wrong way round give nothing. */
static void
clamp_column(const struct math_node *m, struct column *out, const struct column *c)
{
    for (size_t k = 0; k < c->nr; k++) {
        double low = m->fn == FN_CLAMP_MAX ? -INFINITY : m->scalars[0][k];
        double high = m->fn == FN_CLAMP_MIN ? INFINITY : m->scalars[m->fn == FN_CLAMP][k];

        if (!column_has(c, k) || column_histogram(c, k) != NULL || high < low)
            continue;
        out->v[k] = go_max(low, go_min(high, c->v[k]));
        column_mark(out, k);
    }
}

static void
round_column(const struct math_node *m, struct column *out, const struct column *c)
{
    for (size_t k = 0; k < c->nr; k++) {
        double inverse = m->scalars[0] == NULL ? 1 : 1 / m->scalars[0][k];

        if (!column_has(c, k) || column_histogram(c, k) != NULL)
            continue;
        out->v[k] = floor(c->v[k] * inverse + 0.5) / inverse;
        column_mark(out, k);
    }
}

static void
plain_column(float_fn fn, struct column *out, const struct column *c)
{
    if (c->present_nr == c->nr && c->h == NULL) {
        for (size_t k = 0; k < c->nr; k++)
            out->v[k] = fn(c->v[k]);
        column_fill(out);
        return;
    }
    for (size_t k = 0; k < c->nr; k++) {
        if (!column_has(c, k) || column_histogram(c, k) != NULL)
            continue;
        out->v[k] = fn(c->v[k]);
        column_mark(out, k);
    }
}

static bool
math_open(struct eval *ev, struct node *n, struct error *err)
{
    struct math_node *m = (struct math_node *)n;
    struct node *child = n->args[0];

    if (!node_open(ev, child, err))
        return false;
    for (uint32_t i = 1; i < n->args_nr; i++)
        if (!node_scalar(ev, n->args[i], &m->scalars[i - 1], err))
            return false;
    struct series *series = ARENA_NEW_ARRAY(ev->arena, struct series, child->series_nr);
    for (uint32_t i = 0; i < child->series_nr; i++)
        series[i] = series_anonymous(ev, child->series[i]);
    node_series(ev, n, series, child->series_nr);
    return true;
}

static bool
math_source(struct eval *ev, struct node *n, uint32_t source, struct worker *w, struct column *out,
            struct error *err)
{
    struct math_node *m = (struct math_node *)n;
    struct column c;

    if (!node_column(ev, n->args[0], source, w, &c, err))
        return false;
    column_new(&w->arena, out, c.nr, false);
    if (m->fn == FN_ROUND)
        round_column(m, out, &c);
    else if (m->fn == FN_CLAMP || m->fn == FN_CLAMP_MAX || m->fn == FN_CLAMP_MIN)
        clamp_column(m, out, &c);
    else
        plain_column(functions[m->fn], out, &c);
    column_count(out);
    return true;
}

static bool
math_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
            struct error *err)
{
    return node_merge(ev, n, i, w, math_source, out, err);
}

const struct node_ops math_ops = { math_open, math_column };

/* ---- functions of the step alone: time(), pi(), hour() and the like without argument ---- */

static double
at_step(enum function_id fn, int64_t t_ms)
{
    if (fn == FN_PI)
        return M_PI;
    if (fn == FN_TIME)
        return (double)t_ms / 1000;
    return functions[fn]((double)(t_ms / 1000));
}

static bool
time_open(struct eval *ev, struct node *n, struct error *err)
{
    struct column *c = ARENA_NEW(ev->arena, struct column);

    (void)err;
    column_new(ev->arena, c, node_steps(n), false);
    for (size_t k = 0; k < c->nr; k++)
        c->v[k] = at_step(((struct call_node *)n)->fn, grid_time(&n->frame->grid, k));
    column_fill(c);
    n->series = ARENA_NEW(ev->arena, struct series);
    n->series_nr = n->sources_nr = 1;
    n->held = c;
    tally_column(&ev->workers[0].tallies[n->id], c);
    return true;
}

const struct node_ops time_ops = { time_open, NULL };
