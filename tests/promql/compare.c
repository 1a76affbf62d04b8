#include "compare.h"
#include <float.h>
#include <math.h>
#include "base/regex.h"
#include "model/histogram_math.h"
#include "model/sample.h"

bool
values_equal(double a, double b)
{
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);

    if (is_stale(a) || is_stale(b))
        return is_stale(a) && is_stale(b);
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (a == b)
        return true;
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return diff < 1e-6 * DBL_MIN;
    return diff / fmin(sum, DBL_MAX) < 1e-6;
}

static bool
sides_equal(const struct histogram_side *a, const struct histogram_side *b)
{
    if (a->spans_nr != b->spans_nr || a->buckets_nr != b->buckets_nr)
        return false;
    for (size_t i = 0; i < a->spans_nr; i++) {
        if (a->spans[i].offset != b->spans[i].offset || a->spans[i].length != b->spans[i].length)
            return false;
    }
    for (size_t i = 0; i < a->buckets_nr; i++) {
        if (!values_equal(a->counts[i], b->counts[i]))
            return false;
    }
    return true;
}

bool
histograms_equal(const struct histogram *a, const struct histogram *b, bool with_hint)
{
    struct arena scratch;

    arena_init(&scratch, SIZE_MAX);
    struct histogram *x = histogram_to_float(a, &scratch), *y = histogram_to_float(b, &scratch);
    histogram_compact(x, 0, &scratch);
    histogram_compact(y, 0, &scratch);
    bool equal = x->schema == y->schema && x->zero_threshold == y->zero_threshold &&
                 values_equal(x->count, y->count) && values_equal(x->sum, y->sum) &&
                 values_equal(x->zero_count, y->zero_count) && histogram_bounds_eq(x, y) &&
                 sides_equal(&x->pos, &y->pos) && sides_equal(&x->neg, &y->neg) &&
                 (!with_hint || a->hint == b->hint);
    arena_fini(&scratch);
    return equal;
}

static bool
differ(struct buf *why, const char *what)
{
    buf_printf(why, "%s\n", what);
    return false;
}

static void
print_value(struct buf *out, double v, const struct histogram *h)
{
    struct arena scratch;

    if (h == NULL) {
        buf_printf(out, is_stale(v) ? "stale" : "%.17g", v);
        return;
    }
    arena_init(&scratch, SIZE_MAX);
    series_desc_print_histogram(h, &scratch, out);
    arena_fini(&scratch);
}

static bool
value_matches(const struct series_value *want, const struct result_series *got, size_t i,
              struct buf *why)
{
    const struct histogram *h = got->h == NULL ? NULL : got->h[i];
    bool same = (h != NULL) == (want->h != NULL) &&
                (h != NULL ? histograms_equal(want->h, h, want->hint_set)
                           : values_equal(want->v, got->v[i]));

    if (same)
        return true;
    labels_print_metric(got->labels, why);
    buf_printf(why, " at %lld ms: want ", (long long)got->t_ms[i]);
    print_value(why, want->v, want->h);
    buf_c(why, ", got ");
    print_value(why, h == NULL ? got->v[i] : 0, h);
    buf_byte(why, '\n');
    return false;
}

/* Value n of want stands for start + n * step. */
static bool
points_match(const struct series_desc *want, const struct result_series *got, int64_t start_ms,
             int64_t step_ms, struct buf *why)
{
    size_t at = 0;

    for (size_t n = 0; n < want->nr; n++) {
        if (want->values[n].omitted)
            continue;
        if (at == got->nr || got->t_ms[at] != start_ms + (int64_t)n * step_ms) {
            labels_print_metric(got->labels, why);
            return differ(why, ": a point is missing, or is not where it should be");
        }
        if (!value_matches(&want->values[n], got, at++, why))
            return false;
    }
    if (at == got->nr)
        return true;
    labels_print_metric(got->labels, why);
    return differ(why, ": there are more points than expected");
}

static const struct series_desc *
find_expected(const struct series_list *list, struct labels labels)
{
    /* The later of two equal lines counts, as in a load. */
    for (size_t i = list->nr; i-- > 0;) {
        if (labels_eq(list->items[i].labels, labels))
            return &list->items[i];
    }
    return NULL;
}

static bool
is_matrix(const struct script_command *c)
{
    return c->eval.range || c->eval.range_vector;
}

static bool
instant_matches(const struct series_desc *want, const struct result_series *got, struct buf *why)
{
    if (got->nr != 1 || want->nr != 1)
        return differ(why, "an instant vector's series must have one value");
    return value_matches(&want->values[0], got, 0, why);
}

static bool
series_match(const struct script_command *c, const struct query_result *r, struct buf *why)
{
    for (size_t i = 0; i < r->series_nr; i++) {
        const struct result_series *got = &r->series[i];
        const struct series_desc *want = c->eval.ordered && i < c->series.nr
                                             ? &c->series.items[i]
                                             : find_expected(&c->series, got->labels);

        if (want == NULL || !labels_eq(want->labels, got->labels)) {
            labels_print_metric(got->labels, why);
            return differ(why, ": this series is not expected (here)");
        }
        if (!(is_matrix(c)
                  ? points_match(want, got, c->eval.points_start_ms, c->eval.points_step_ms, why)
                  : instant_matches(want, got, why)))
            return false;
        if (is_matrix(c) && i > 0 && labels_cmp(r->series[i - 1].labels, got->labels) >= 0)
            return differ(why, "the series of a matrix are not sorted by labels");
    }
    if (r->series_nr == c->series.nr)
        return true;
    buf_printf(why, "%zu series, expected %zu\n", r->series_nr, c->series.nr);
    return false;
}

static bool
text_matches(const struct text_expect *want, struct str got)
{
    struct error err = { 0 };

    if (want->rule == TEXT_ANY)
        return true;
    if (want->rule == TEXT_EXACT)
        return str_eq(want->text, got);
    struct regex *re = regex_compile(want->text, 0, &err);
    bool found = re != NULL && regex_match(re, got);
    regex_unref(re);
    error_clear(&err);
    return found;
}

/* Each rule has a text and each text a rule. */
static bool
annotations_match(const struct text_expects *want, bool none, const struct str *got, size_t nr,
                  struct buf *why)
{
    if (none && nr != 0) {
        buf_printf(why, "unexpected annotation: %.*s\n", STR_ARG(got[0]));
        return false;
    }
    for (size_t i = 0; i < want->nr; i++) {
        size_t k = 0;

        while (k < nr && !text_matches(&want->items[i], got[k]))
            k++;
        if (k == nr) {
            buf_printf(why, "annotation is missing: %.*s\n", STR_ARG(want->items[i].text));
            return false;
        }
    }
    for (size_t k = 0; want->nr != 0 && k < nr; k++) {
        size_t i = 0;

        while (i < want->nr && !text_matches(&want->items[i], got[k]))
            i++;
        if (i == want->nr) {
            buf_printf(why, "unexpected annotation: %.*s\n", STR_ARG(got[k]));
            return false;
        }
    }
    return true;
}

static bool
failure_matches(const struct script_command *c, bool ok, const struct error *err, struct buf *why)
{
    if (ok)
        return differ(why, "the query should have failed");
    if (text_matches(&c->eval.fail_text, str_c(error_text(err))))
        return true;
    buf_printf(why, "failed with: %s\n", error_text(err));
    return false;
}

static bool
result_matches(const struct script_command *c, const struct query_result *r, struct buf *why)
{
    const struct script_eval *e = &c->eval;

    if (r->type == VALUE_STRING)
        return (e->has_string && str_eq(e->string, r->string)) ||
               differ(why, "the string is another one");
    if (r->type == VALUE_SCALAR) {
        if (e->has_scalar && values_equal(e->scalar, r->scalar))
            return true;
        buf_printf(why, "got the scalar %.17g\n", r->scalar);
        return false;
    }
    if (e->has_string || e->has_scalar || (r->type == VALUE_MATRIX) != is_matrix(c))
        return differ(why, "the result has another type");
    return series_match(c, r, why);
}

bool
outcome_matches(const struct script_command *c, bool ok, const struct query_result *result,
                const struct error *err, struct buf *why)
{
    const struct script_eval *e = &c->eval;

    if (e->fail)
        return failure_matches(c, ok, err, why);
    if (!ok) {
        buf_printf(why, "failed with: %s\n", error_text(err));
        return false;
    }
    return annotations_match(&e->warns, e->no_warn, result->warnings, result->warnings_nr, why) &&
           annotations_match(&e->infos, e->no_info, result->infos, result->infos_nr, why) &&
           result_matches(c, result, why);
}

/* The index of the point at t_ms, or nr. */
static size_t
point_at(const struct result_series *s, int64_t t_ms)
{
    size_t i = 0;

    while (i < s->nr && s->t_ms[i] != t_ms)
        i++;
    return i;
}

bool
point_matches(const struct script_command *c, const struct query_result *result, int64_t t_ms,
              struct buf *why)
{
    size_t nr = 0;

    for (size_t i = 0; i < result->series_nr; i++) {
        const struct result_series *got = &result->series[i];
        size_t at = point_at(got, t_ms);

        if (at == got->nr)
            continue;
        if (c->eval.has_scalar)
            return values_equal(c->eval.scalar, got->v[at]) ||
                   differ(why, "as a range: another number");
        const struct series_desc *want = find_expected(&c->series, got->labels);
        if (want == NULL || want->nr != 1)
            return differ(why, "as a range: a series is not expected");
        if (!value_matches(&want->values[0], got, at, why))
            return false;
        nr++;
    }
    if (nr == c->series.nr && !c->eval.has_scalar)
        return true;
    return differ(why, "as a range: a series is missing");
}
