#include "tsdb/postings.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { SETS = 6, RANGE = 3000 };

static uint64_t state;

static uint32_t
chance(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

/* A naive set: one byte a number. */
static void
generate(struct postings *set, uint8_t *naive, uint32_t *v, uint32_t scale)
{
    uint32_t one_in = 1 + chance(chance(2) ? 4 : 400);
    size_t n = 0;

    for (uint32_t i = 0; i < RANGE; i++)
        if ((naive[i] = chance(one_in) == 0))
            v[n++] = i * scale;
    *set = (struct postings){ v, n };
}

static void
expect(struct postings got, const uint8_t *want, uint32_t scale, const char *what)
{
    size_t n = 0;

    for (uint32_t i = 0; i < RANGE; i++) {
        if (!want[i])
            continue;
        cr_assert(n < got.nr && got.v[n] == i * scale, "%s: element %zu, seed in TEST_SEED", what,
                  n);
        n++;
    }
    cr_assert_eq(n, got.nr, "%s: %zu elements too many", what, got.nr - n);
}

Test(postings, agree_with_naive_sets)
{
    static uint32_t v[SETS][RANGE];
    static uint8_t naive[SETS][RANGE], want[RANGE];
    const char *seed = getenv("TEST_SEED");
    struct postings sets[SETS];

    state = seed == NULL ? 20261121 : strtoull(seed, NULL, 0);
    printf("TEST_SEED=%llu\n", (unsigned long long)state);
    for (int round = 0; round < 300; round++) {
        struct arena a;
        size_t nr = 1 + chance(SETS);
        uint32_t scale = chance(2) ? 1 : 1000000;
        arena_init(&a, SIZE_MAX);
        for (size_t i = 0; i < nr; i++)
            generate(&sets[i], naive[i], v[i], scale);
        for (uint32_t k = 0; k < RANGE; k++) {
            want[k] = 1;
            for (size_t i = 0; i < nr; i++)
                want[k] &= naive[i][k];
        }
        expect(postings_intersect(&a, sets, nr), want, scale, "intersect");
        for (uint32_t k = 0; k < RANGE; k++) {
            want[k] = 0;
            for (size_t i = 0; i < nr; i++)
                want[k] |= naive[i][k];
        }
        expect(postings_union(&a, sets, nr), want, scale, "union");
        for (uint32_t k = 0; k < RANGE; k++)
            want[k] = naive[0][k] && !naive[nr - 1][k];
        expect(postings_subtract(&a, sets[0], sets[nr - 1]), want, scale, "subtract");
        cr_assert_eq(postings_has(sets[0], 7 * scale), naive[0][7] != 0);
        arena_fini(&a);
    }
}
