#include "model/histogram_math.h"

#include <criterion/criterion.h>
#include <math.h>

#define SIDE(spans_, counts_)                                              \
    {                                                                      \
        .spans = spans_, .spans_nr = ARRAY_LEN(spans_), .counts = counts_, \
        .buckets_nr = ARRAY_LEN(counts_)                                   \
    }
#define ISIDE(spans_, deltas_)                                             \
    {                                                                      \
        .spans = spans_, .spans_nr = ARRAY_LEN(spans_), .deltas = deltas_, \
        .buckets_nr = ARRAY_LEN(deltas_)                                   \
    }

static const struct histogram_span two[] = { { -1, 2 }, { 1, 1 } }, one[] = { { 0, 3 } };
static const double counts[] = { 1, 2, 4 };
static const int64_t deltas[] = { 1, 1, -1 };

static const struct histogram wide0 = {
    .count = 10, .sum = 5.5, .zero_count = 3, .zero_threshold = 0.001, .pos = SIDE(two, counts)
};
static const struct histogram dense1 = {
    .schema = 1, .count = 7, .sum = 2, .pos = SIDE(one, counts), .neg = SIDE(one, counts)
};
static const struct histogram whole = { .is_int = true,
                                        .count = 7,
                                        .count_int = 7,
                                        .sum = 2,
                                        .zero_count = 3,
                                        .zero_count_int = 3,
                                        .zero_threshold = 0.5,
                                        .pos = ISIDE(one, deltas) };
static const double bounds_a[] = { 1, 2, 5 }, bounds_b[] = { 1, 5, 7 };
static const struct histogram custom_a = { .schema = -53,
                                           .count = 7,
                                           .sum = 9,
                                           .pos = SIDE(one, counts),
                                           .custom_values = bounds_a,
                                           .custom_values_nr = 3 };
static const struct histogram custom_b = { .schema = -53,
                                           .count = 7,
                                           .sum = 9,
                                           .pos = SIDE(one, counts),
                                           .custom_values = bounds_b,
                                           .custom_values_nr = 3 };

static struct arena arena;

static void
setup(void)
{
    arena_init(&arena, 64 << 20);
}

static void
teardown(void)
{
    arena_fini(&arena);
}

TestSuite(histogram, .init = setup, .fini = teardown);

static void
expect_text(const struct histogram *h, const char *want)
{
    struct buf got = { 0 };

    histogram_print(h, &got);
    cr_expect_str_eq(buf_z(&got), want);
    buf_fini(&got);
}

Test(histogram, prints_as_prometheus_does)
{
    expect_text(&wide0, "{count:10, sum:5.5, [-0.001,0.001]:3, (0.25,0.5]:1, (0.5,1]:2, (2,4]:4}");
    expect_text(&whole, "{count:7, sum:2, [-0.5,0.5]:3, (0.5,1]:1, (1,2]:2, (2,4]:1}");
    expect_text(&custom_a, "{count:7, sum:9, [-Inf,1]:1, (1,2]:2, (2,5]:4}");
    expect_text(&dense1, "{count:7, sum:2, [-2,-1.414213562373095):4, [-1.414213562373095,-1):2, "
                         "[-1,-0.7071067811865475):1, (0.7071067811865475,1]:1, "
                         "(1,1.414213562373095]:2, (1.414213562373095,2]:4}");
}

/* Each odd boundary is its left neighbour times the schema's factor, each even one the coarser
 * schema's. */
Test(histogram, boundaries_follow_the_recurrence)
{
    for (int32_t schema = 1; schema <= 8; schema++) {
        int64_t nr = INT64_C(1) << schema;
        double factor = histogram_bound(1, schema, NULL, 0);
        for (int64_t i = 1; i < nr; i++) {
            double b = histogram_bound(i, schema, NULL, 0);
            if (i % 2 == 0)
                cr_expect_eq(b, histogram_bound(i / 2, schema - 1, NULL, 0));
            else
                cr_expect_eq(b / 2, histogram_bound(i - 1, schema, NULL, 0) / 2 * factor);
        }
        cr_expect_float_eq(factor, exp2(exp2(-schema)), 1e-15);
    }
    cr_expect_eq(histogram_bound(1024, 0, NULL, 0), 1.7976931348623157e308);
    cr_expect_eq(histogram_bound(1025, 0, NULL, 0), INFINITY);
    cr_expect_eq(histogram_bound(-3, -2, NULL, 0), 1.0 / 4096);
}

Test(histogram, adds_one_layout_in_place)
{
    struct histogram *h = histogram_copy(&wide0, &arena);
    struct histogram_notes notes = { 0 };

    cr_assert(histogram_add(h, &wide0, &notes, &arena));
    expect_text(h, "{count:20, sum:11, [-0.001,0.001]:6, (0.25,0.5]:2, (0.5,1]:4, (2,4]:8}");
    cr_assert(histogram_sub(h, &wide0, &notes, &arena));
    cr_expect(histogram_eq(h, &wide0));
}

/* Schema 1 becomes schema 0; both zero buckets become one of 0.001. */
Test(histogram, adds_across_schemas_and_zero_thresholds)
{
    struct histogram *h = histogram_copy(&wide0, &arena);
    struct histogram_notes notes = { 0 };

    cr_assert(histogram_add(h, &dense1, &notes, &arena));
    expect_text(h, "{count:17, sum:7.5, [-2,-1):6, [-1,-0.5):1, [-0.001,0.001]:3, (0.25,0.5]:1, "
                   "(0.5,1]:3, (1,2]:6, (2,4]:4}");
    h = histogram_copy(&dense1, &arena);
    cr_assert(histogram_add(h, &wide0, &notes, &arena));
    cr_expect_eq(h->schema, 0);
    cr_expect_eq(h->zero_threshold, 0.001);
    cr_expect_eq(h->zero_count, 3);
}

/* A threshold of 0.3 cuts the bucket (0.25, 0.5]: it grows to 0.5 and takes that bucket in. */
Test(histogram, widens_a_zero_bucket_to_whole_buckets)
{
    struct histogram wider = { .zero_threshold = 0.3, .zero_count = 1, .count = 1 };
    struct histogram *h = histogram_copy(&wide0, &arena), *x = histogram_copy(&wider, &arena);
    struct histogram_notes notes = { 0 };

    cr_assert(histogram_add(h, &wider, &notes, &arena));
    expect_text(h, "{count:11, sum:5.5, [-0.5,0.5]:5, (0.5,1]:2, (2,4]:4}");
    cr_assert(histogram_add(x, &wide0, &notes, &arena));
    expect_text(x, "{count:11, sum:5.5, [-0.5,0.5]:5, (0.5,1]:2, (2,4]:4}");
}

Test(histogram, maps_custom_buckets_to_common_bounds)
{
    struct histogram *h = histogram_copy(&custom_a, &arena);
    struct histogram_notes notes = { 0 };

    cr_assert(histogram_add(h, &custom_b, &notes, &arena));
    cr_expect(notes.bounds_reconciled);
    expect_text(h, "{count:14, sum:18, [-Inf,1]:2, (1,5]:8, (5,+Inf]:4}");
    cr_expect_not(histogram_add(h, &wide0, &notes, &arena));
}

Test(histogram, compensates_sums)
{
    struct histogram big = wide0, one_h = wide0, *h = histogram_copy(&wide0, &arena), *c = NULL;
    struct histogram_notes notes = { 0 };

    h->sum = 1;
    big.sum = 1e100;
    one_h.sum = -1e100;
    cr_assert(histogram_kahan_add(h, &c, &big, &notes, &arena));
    cr_assert(histogram_kahan_add(h, &c, &dense1, &notes, &arena));
    cr_assert(histogram_kahan_add(h, &c, &one_h, &notes, &arena));
    cr_assert(histogram_add(h, c, &notes, &arena));
    cr_expect_eq(h->sum, 3);
    cr_expect_eq(h->count, 37);
}

Test(histogram, notes_conflicting_hints)
{
    struct histogram reset = wide0, *h = histogram_copy(&wide0, &arena);
    struct histogram_notes notes = { 0 };

    reset.hint = HINT_RESET;
    h->hint = HINT_NOT_RESET;
    cr_assert(histogram_add(h, &reset, &notes, &arena));
    cr_expect(notes.reset_collision);
    cr_expect_eq(h->hint, HINT_UNKNOWN);
    histogram_mul(h, -1);
    cr_expect_eq(h->hint, HINT_GAUGE);
    histogram_div(h, 0);
    cr_expect_eq(h->pos.buckets_nr, 0);
}

Test(histogram, compacts_and_reduces_both_kinds)
{
    static const struct histogram_span spans[] = { { 1, 4 }, { 0, 0 }, { 2, 2 } };
    static const double sparse[] = { 0, 1, 0, 2, 3, 0 };
    struct histogram h = { .schema = 3, .count = 6, .pos = SIDE(spans, sparse) };
    struct error err = { 0 };
    struct histogram *i = histogram_to_int(&h, &arena);

    histogram_compact(&h, 0, &arena);
    cr_expect_eq(h.pos.spans_nr, 3);
    cr_expect_eq(h.pos.buckets_nr, 3);
    histogram_compact(&h, 2, &arena);
    cr_expect_eq(h.pos.spans_nr, 1);
    cr_expect_eq(h.pos.buckets_nr, 6);
    histogram_compact(i, 0, &arena);
    cr_assert(histogram_reduce(i, 1, &arena, &err), "%s", error_text(&err));
    expect_text(i, "{count:6, sum:0, (1,1.414213562373095]:3, (1.414213562373095,2]:3}");
    cr_expect_not(histogram_reduce(i, 2, &arena, &err));
    error_clear(&err);
}

Test(histogram, converts_whole_counts_both_ways)
{
    struct histogram *f = histogram_to_float(&whole, &arena);

    cr_expect_eq(f->count, 7);
    cr_expect_eq(f->pos.counts[1], 2);
    cr_expect(histogram_eq(histogram_to_int(f, &arena), &whole));
    f->sum = 0.5;
    f->count = 1.5;
    cr_expect_null(histogram_to_int(f, &arena));
}

Test(histogram, walks_all_buckets_in_order)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        struct histogram_all it;
        double last = reverse ? INFINITY : -INFINITY;
        size_t nr = 0;
        struct histogram h = dense1;
        h.zero_count = 2;
        h.zero_threshold = 0.8;
        for (histogram_all_init(&it, &h, reverse); histogram_all_next(&it); nr++) {
            cr_expect(reverse ? it.at.upper <= last : it.at.lower >= last);
            last = reverse ? it.at.lower : it.at.upper;
        }
        cr_expect_eq(nr, 7);
    }
}

Test(histogram, detects_resets)
{
    struct histogram *less = histogram_copy(&wide0, &arena), *more = histogram_copy(&wide0, &arena);
    struct histogram finer = wide0;

    ((double *)less->pos.counts)[1] = 1;
    more->count = 12;
    ((double *)more->pos.counts)[2] = 6;
    finer.schema = 1;
    cr_expect(histogram_detect_reset(less, &wide0));
    cr_expect_not(histogram_detect_reset(more, &wide0));
    cr_expect(histogram_detect_reset(&wide0, more));
    cr_expect(histogram_detect_reset(&finer, &wide0));
    cr_expect(histogram_detect_reset(&custom_b, &custom_a));
    cr_expect_not(histogram_detect_reset(&custom_a, &custom_a));
    less->hint = HINT_NOT_RESET;
    cr_expect_not(histogram_detect_reset(less, &wide0));
}

static const double backwards[] = { 2, 1 }, endless[] = { 1, INFINITY };
static const int64_t below_zero[] = { 1, -2, 5 };
static const struct histogram_span negative_span[] = { { 0, 1 }, { -1, 2 } };

static const struct {
    const char *want;
    struct histogram h;
} invalid[] = {
    { "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or "
      "-53 "
      "for custom buckets, got schema 9",
      { .schema = 9 } },
    { "positive side: span number 2 with offset -1: histogram has a span whose offset is negative",
      { .pos = SIDE(negative_span, counts) } },
    { "positive side: spans need 3 buckets, have 2 buckets: histogram spans specify different "
      "number of "
      "buckets than provided",
      { .pos = { .spans = one, .spans_nr = 1, .counts = counts, .buckets_nr = 2 } } },
    { "positive side: bucket number 2 has observation count of -1: histogram has a bucket whose "
      "observation count is negative",
      { .is_int = true, .pos = ISIDE(one, below_zero) } },
    { "4 observations found in buckets, but the Count field is 7: histogram's observation count "
      "should "
      "equal the number of observations found in the buckets (in absence of NaN)",
      { .is_int = true, .count_int = 7, .pos = ISIDE(one, deltas) } },
    { "custom buckets: previous bound is 2.000000 and current is 1.000000: histogram custom bounds "
      "must "
      "be in strictly increasing order",
      { .schema = -53, .custom_values = backwards, .custom_values_nr = 2 } },
    { "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds "
      "must be "
      "finite",
      { .schema = -53, .custom_values = endless, .custom_values_nr = 2 } },
    { "custom buckets: only 1 custom bounds defined which is insufficient to cover total span "
      "length of "
      "3: histogram custom bounds are too few",
      { .schema = -53,
        .custom_values = endless,
        .custom_values_nr = 1,
        .pos = SIDE(one, counts) } },
};

Test(histogram, refuses_inconsistent_ones)
{
    struct error err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(invalid); i++) {
        cr_expect_not(histogram_validate(&invalid[i].h, &err), "%s", invalid[i].want);
        cr_expect_str_eq(error_text(&err), invalid[i].want);
    }
    cr_expect(histogram_validate(&wide0, &err));
    cr_expect(histogram_validate(&custom_a, &err));
    error_clear(&err);
}
