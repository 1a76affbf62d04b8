#include "base/table.h"

#include <criterion/criterion.h>

#include "base/hash.h"
#include "base/mem.h"

static bool
number_is(const void *item, const void *key)
{
    return *(const uint32_t *)item == *(const uint32_t *)key;
}

static uint64_t
hash_of(uint32_t v, unsigned spread)
{
    return spread == 0 ? 7 : spread == 1 ? v % 50 : hash64(&v, sizeof v);
}

/* Against an array of flags; the first spread makes every hash collide. */
Test(table, agrees_with_a_naive_set)
{
    enum { NUMBERS = 1000 };
    static uint32_t numbers[NUMBERS];

    for (uint32_t i = 0; i < NUMBERS; i++)
        numbers[i] = i;
    for (unsigned spread = 0; spread < 3; spread++) {
        struct table t = { 0 };
        bool in[NUMBERS] = { false };
        size_t nr = 0;
        uint32_t state = 12345;
        for (int step = 0; step < 20000; step++) {
            state = state * 1664525 + 1013904223;
            uint32_t v = (state >> 8) % (spread == 0 ? 60 : NUMBERS);
            uint64_t hash = hash_of(v, spread);
            cr_assert_eq(table_find(&t, hash, number_is, &v) != NULL, in[v]);
            if (in[v])
                cr_assert_eq(table_remove(&t, hash, number_is, &v), &numbers[v]);
            else
                table_add(&t, hash, &numbers[v]);
            in[v] = !in[v];
            nr = in[v] ? nr + 1 : nr - 1;
            cr_assert_eq(t.nr, nr);
        }
        size_t walked = 0, at = 0;
        for (uint32_t *v; (v = table_next(&t, &at)) != NULL; walked++)
            cr_assert(in[*v]);
        cr_expect_eq(walked, nr);
        table_reset(&t);
        cr_expect_eq(t.nr, 0);
        table_fini(&t);
    }
}

Test(table, empty_finds_nothing)
{
    struct table t = { 0 };
    uint32_t key = 1;
    size_t at = 0;

    cr_expect(table_find(&t, 1, number_is, &key) == NULL);
    cr_expect(table_remove(&t, 1, number_is, &key) == NULL);
    cr_expect(table_next(&t, &at) == NULL);
    cr_expect_eq(table_bytes(&t), 0);
    table_fini(&t);
}
