#include "tsdb/chunk_cut.h"

#include <criterion/criterion.h>

enum { RANGE_MS = 7200000 };

/* Chunk lengths of a series with a steady interval, in one range. */
static const struct {
    int64_t interval_ms;
    uint32_t want[8];
} steady[] = {
    { 15000, { 120, 120, 120, 120 } },
    { 30000, { 120, 120 } },
    { 60000, { 120 } },
};

Test(chunk_cut, steady_intervals_give_equal_chunks)
{
    for (size_t i = 0; i < ARRAY_LEN(steady); i++) {
        struct chunk_open open = { .encoding = CHUNK_XOR };
        uint32_t got[9] = { 0 }, nr = 0;
        int64_t next_ms = 0;
        for (int64_t t = 0; t < RANGE_MS; t += steady[i].interval_ms) {
            if (chunk_cut_float(t == 0 ? NULL : &open, CHUNK_XOR, t, RANGE_MS, CHUNK_CUT_SAMPLES,
                                &next_ms)) {
                open.min_ms = t;
                open.samples_nr = 0;
                nr++;
            }
            open.max_ms = t;
            got[nr - 1] = ++open.samples_nr;
        }
        for (size_t k = 0; k < nr || steady[i].want[k] != 0; k++)
            cr_expect_eq(got[k], steady[i].want[k], "%lld ms, chunk %zu: %u",
                         (long long)steady[i].interval_ms, k, got[k]);
    }
}

static const struct {
    const char *name;
    struct chunk_open open;
    enum chunk_encoding wanted;
    int64_t t_ms, next_ms;
    bool want;
    int64_t want_next_ms;
} rules[] = {
    { "full by bytes",
      { CHUNK_XOR, 0, 1000, 50, 1006 },
      CHUNK_XOR,
      2000,
      RANGE_MS,
      true,
      RANGE_MS },
    { "just not full by bytes",
      { CHUNK_XOR, 0, 1000, 50, 1005 },
      CHUNK_XOR,
      2000,
      RANGE_MS,
      false,
      RANGE_MS },
    { "other kind",
      { CHUNK_HISTOGRAM, 0, 1000, 50, 100 },
      CHUNK_XOR,
      2000,
      RANGE_MS,
      true,
      RANGE_MS },
    { "XOR2 after XOR",
      { CHUNK_XOR, 0, 1000, 50, 100 },
      CHUNK_XOR2,
      2000,
      RANGE_MS,
      false,
      RANGE_MS },
    { "range ends",
      { CHUNK_XOR, 0, 1000, 50, 100 },
      CHUNK_XOR,
      RANGE_MS,
      RANGE_MS,
      true,
      2 * RANGE_MS },
    { "240 samples", { CHUNK_XOR, 0, 1000, 240, 100 }, CHUNK_XOR, 2000, RANGE_MS, true, RANGE_MS },
    { "before the epoch",
      { CHUNK_XOR, -1000, -900, 5, 100 },
      CHUNK_XOR,
      -500,
      RANGE_MS,
      false,
      RANGE_MS },
};

Test(chunk_cut, follows_the_rules_in_their_order)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        int64_t next_ms = rules[i].next_ms;
        bool got = chunk_cut_float(&rules[i].open, rules[i].wanted, rules[i].t_ms, RANGE_MS,
                                   CHUNK_CUT_SAMPLES, &next_ms);
        cr_expect_eq(got, rules[i].want, "%s", rules[i].name);
        cr_expect_eq(next_ms, rules[i].want_next_ms, "%s", rules[i].name);
    }
}

Test(chunk_cut, histograms_wait_for_ten_samples_unless_the_range_ends)
{
    struct chunk_open open = { CHUNK_HISTOGRAM, 0, 9000, 9, 3000 };
    int64_t next_ms = RANGE_MS;
    bool computed = false;

    cr_expect_not(
        chunk_cut_histogram(&open, CHUNK_HISTOGRAM, 10000, RANGE_MS, &next_ms, &computed));
    cr_expect(computed);
    open.samples_nr = 10;
    cr_expect(chunk_cut_histogram(&open, CHUNK_HISTOGRAM, 10000, RANGE_MS, &next_ms, &computed));
    cr_expect_not(computed);
    open.samples_nr = 3;
    computed = true;
    cr_expect(chunk_cut_histogram(&open, CHUNK_HISTOGRAM, RANGE_MS, RANGE_MS, &next_ms, &computed));
}
