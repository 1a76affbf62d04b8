/* Comparing, checking and printing histograms. */
#include "model/histogram.h"

#include <inttypes.h>
#include <math.h>

#include "base/decimal.h"
#include "model/histogram_math.h"
#include "model/sample.h"

/* ---- equality */

/* The next span that has buckets, with the offsets of empty ones added; false at the end. */
static bool
span_next(const struct histogram_side *side, size_t *i, int64_t *offset, uint32_t *length)
{
    *offset = 0;
    while (*i < side->spans_nr) {
        const struct histogram_span *span = &side->spans[(*i)++];
        *offset += span->offset;
        *length = span->length;
        if (span->length != 0)
            return true;
    }
    return false;
}

static bool
spans_eq(const struct histogram_side *a, const struct histogram_side *b)
{
    size_t i = 0, j = 0;

    for (;;) {
        int64_t offset_a, offset_b;
        uint32_t length_a = 0, length_b = 0;
        bool more_a = span_next(a, &i, &offset_a, &length_a);
        bool more_b = span_next(b, &j, &offset_b, &length_b);
        if (!more_a || !more_b)
            return more_a == more_b;
        if (offset_a != offset_b || length_a != length_b)
            return false;
    }
}

static bool
side_eq(const struct histogram_side *a, const struct histogram_side *b)
{
    return a->buckets_nr == b->buckets_nr && spans_eq(a, b) &&
           (a->buckets_nr == 0 ||
            memcmp(a->counts, b->counts, a->buckets_nr * sizeof a->counts[0]) == 0);
}

bool
histogram_bounds_eq(const struct histogram *a, const struct histogram *b)
{
    if (a->custom_values_nr != b->custom_values_nr)
        return false;
    for (size_t i = 0; i < a->custom_values_nr; i++)
        if (a->custom_values[i] != b->custom_values[i])
            return false;
    return true;
}

static bool
totals_eq(const struct histogram *a, const struct histogram *b)
{
    if (a->is_int)
        return a->count_int == b->count_int && a->zero_count_int == b->zero_count_int;
    return double_bits(a->count) == double_bits(b->count) &&
           double_bits(a->zero_count) == double_bits(b->zero_count);
}

bool
histogram_eq(const struct histogram *a, const struct histogram *b)
{
    if (a->is_int != b->is_int || a->schema != b->schema ||
        double_bits(a->sum) != double_bits(b->sum) || a->zero_threshold != b->zero_threshold)
        return false;
    if (histogram_is_custom(a) && !histogram_bounds_eq(a, b))
        return false;
    return totals_eq(a, b) && side_eq(&a->neg, &b->neg) && side_eq(&a->pos, &b->pos);
}

static bool
side_overflows(const struct histogram_side *side)
{
    for (size_t i = 0; i < side->buckets_nr; i++)
        if (isinf(side->counts[i]))
            return true;
    return false;
}

bool
histogram_has_overflow(const struct histogram *h)
{
    if (isinf(h->sum))
        return true;
    for (size_t i = 0; i < h->custom_values_nr; i++)
        if (isinf(h->custom_values[i]))
            return true;
    return !h->is_int && (isinf(h->zero_count) || isinf(h->count) || side_overflows(&h->pos) ||
                          side_overflows(&h->neg));
}

/* ---- checking */

#define TEXT_NEGATIVE_OFFSET "histogram has a span whose offset is negative"
#define TEXT_SPANS           "histogram spans specify different number of buckets than provided"
#define TEXT_NEGATIVE_BUCKET "histogram has a bucket whose observation count is negative"

static struct str
general(double v, char *out)
{
    return (struct str){ out, decimal_format_general(v, out) };
}

/* first_too: the first offset may not be negative either. total: buckets and gaps together. */
static bool
spans_check(const struct histogram_side *side, bool first_too, uint64_t *total, struct error *err)
{
    uint64_t need = 0, gaps = 0;

    for (size_t i = 0; i < side->spans_nr; i++) {
        const struct histogram_span *span = &side->spans[i];
        if ((i > 0 || first_too) && span->offset < 0)
            return error_set(err, ERR_INVALID,
                             "span number %zu with offset %d: " TEXT_NEGATIVE_OFFSET, i + 1,
                             span->offset);
        need += span->length;
        gaps += (uint64_t)MAX(span->offset, 0);
    }
    if (need != side->buckets_nr)
        return error_set(err, ERR_INVALID,
                         "spans need %" PRIu64 " buckets, have %zu buckets: " TEXT_SPANS, need,
                         side->buckets_nr);
    *total = need + gaps;
    return true;
}

static bool
counts_check(const struct histogram *h, const struct histogram_side *side, uint64_t *sum,
             struct error *err)
{
    int64_t run = 0;
    char text[DECIMAL_BYTES_MAX];

    for (size_t i = 0; i < side->buckets_nr; i++) {
        if (h->is_int) {
            run = (int64_t)((uint64_t)run + (uint64_t)side->deltas[i]);
            if (run < 0)
                return error_set(err, ERR_INVALID,
                                 "bucket number %zu has observation count of %" PRId64
                                 ": " TEXT_NEGATIVE_BUCKET,
                                 i + 1, run);
            *sum += (uint64_t)run;
        } else if (side->counts[i] < 0) {
            return error_set(
                err, ERR_INVALID,
                "bucket number %zu has observation count of %.*s: " TEXT_NEGATIVE_BUCKET, i + 1,
                STR_ARG(general(side->counts[i], text)));
        }
    }
    return true;
}

static bool
custom_values_check(const struct histogram *h, struct error *err)
{
    double prev = -INFINITY;

    for (size_t i = 0; i < h->custom_values_nr; i++) {
        double bound = h->custom_values[i];
        if (isnan(bound))
            return error_set(err, ERR_INVALID, "histogram custom bounds must not be NaN");
        if (i > 0 && bound <= prev)
            return error_set(err, ERR_INVALID,
                             "previous bound is %f and current is %f: histogram custom bounds must "
                             "be in strictly increasing order",
                             prev, bound);
        prev = bound;
    }
    if (prev == INFINITY)
        return error_set(err, ERR_INVALID,
                         "last +Inf bound must not be explicitly defined: histogram custom bounds "
                         "must be finite");
    return true;
}

static bool
custom_layout_check(const struct histogram *h, struct error *err)
{
    uint64_t total;

    if (!custom_values_check(h, err) || !spans_check(&h->pos, true, &total, err))
        return error_wrap(err, "custom buckets");
    if (h->custom_values_nr + 1 < total)
        return error_set(err, ERR_INVALID,
                         "custom buckets: only %zu custom bounds defined which is insufficient to "
                         "cover total span length of %" PRIu64
                         ": histogram custom bounds are too few",
                         h->custom_values_nr, total);
    if (h->is_int ? h->zero_count_int != 0 : h->zero_count != 0)
        return error_set(err, ERR_INVALID, "custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return error_set(err, ERR_INVALID, "custom buckets: must have zero threshold of 0");
    if (h->neg.spans_nr > 0)
        return error_set(err, ERR_INVALID, "custom buckets: must not have negative spans");
    if (h->neg.buckets_nr > 0)
        return error_set(err, ERR_INVALID, "custom buckets: must not have negative buckets");
    return true;
}

static bool
exponential_check(const struct histogram *h, uint64_t *sum, struct error *err)
{
    uint64_t total;
    char text[DECIMAL_BYTES_MAX];

    if (!spans_check(&h->pos, false, &total, err))
        return error_wrap(err, "positive side");
    if (!spans_check(&h->neg, false, &total, err) || !counts_check(h, &h->neg, sum, err))
        return error_wrap(err, "negative side");
    if (!h->is_int && h->zero_count < 0)
        return error_set(err, ERR_INVALID,
                         "zero bucket has observation count of %.*s: " TEXT_NEGATIVE_BUCKET,
                         STR_ARG(general(h->zero_count, text)));
    if (h->custom_values_nr > 0)
        return error_set(err, ERR_INVALID,
                         "histogram with exponential schema must not have custom bounds");
    return true;
}

static bool
total_check(const struct histogram *h, uint64_t sum, struct error *err)
{
    bool loose = isnan(h->sum);

    sum += h->zero_count_int;
    if (loose ? sum <= h->count_int : sum == h->count_int)
        return true;
    return error_set(
        err, ERR_INVALID,
        "%" PRIu64 " observations found in buckets, but the Count field is %" PRIu64 ": %s", sum,
        h->count_int,
        loose ? "histogram's observation count should be at least the number of "
                "observations found in the buckets"
              : "histogram's observation count should equal the number of observations "
                "found in the buckets (in absence of NaN)");
}

bool
histogram_validate(const struct histogram *h, struct error *err)
{
    uint64_t sum = 0;
    char text[DECIMAL_BYTES_MAX];

    if (!histogram_is_custom(h) && !histogram_schema_exponential(h->schema))
        return error_set(err, ERR_INVALID,
                         "histogram has an invalid schema, which must be between %d and %d for "
                         "exponential buckets, or %d for custom buckets, got schema %d",
                         HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_CUSTOM,
                         h->schema);
    if (histogram_is_custom(h) ? !custom_layout_check(h, err) : !exponential_check(h, &sum, err))
        return false;
    if (!h->is_int && h->count < 0)
        return error_set(err, ERR_INVALID,
                         "observation count is  %.*s: histogram's observation count is negative",
                         STR_ARG(general(h->count, text)));
    if (!counts_check(h, &h->pos, &sum, err))
        return error_wrap(err, "positive side");
    return !h->is_int || total_check(h, sum, err);
}

/* ---- printing */

static void
print_number(double v, struct buf *out)
{
    out->n += decimal_format_general(v, (char *)buf_reserve(out, DECIMAL_BYTES_MAX));
}

static void
print_bucket(const struct histogram *h, const struct histogram_bucket *b, struct buf *out)
{
    buf_c(out, b->lower_inclusive ? ", [" : ", (");
    print_number(b->lower, out);
    buf_byte(out, ',');
    print_number(b->upper, out);
    buf_c(out, b->upper_inclusive ? "]:" : "):");
    if (h->is_int)
        buf_printf(out, "%" PRIu64, b->count_int);
    else
        print_number(b->count, out);
}

void
histogram_print(const struct histogram *h, struct buf *out)
{
    struct histogram_walk w;

    buf_c(out, "{count:");
    if (h->is_int)
        buf_printf(out, "%" PRIu64, h->count_int);
    else
        print_number(h->count, out);
    buf_c(out, ", sum:");
    print_number(h->sum, out);
    for (histogram_walk_backward(&w, h, false); histogram_walk_next(&w);)
        if (w.at.count != 0)
            print_bucket(h, &w.at, out);
    struct histogram_bucket zero = histogram_zero_bucket(h);
    if (h->is_int ? h->zero_count_int != 0 : h->zero_count != 0)
        print_bucket(h, &zero, out);
    for (histogram_walk_init(&w, h, true); histogram_walk_next(&w);)
        if (w.at.count != 0)
            print_bucket(h, &w.at, out);
    buf_byte(out, '}');
}
