#include "tsdb/exemplar.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct label series_a[] = { { STR("__name__"), STR("a") } };
static const struct label series_b[] = { { STR("__name__"), STR("b") } };

static enum exemplar_outcome
add(struct exemplars *x, const struct label *series, int64_t t_ms, double v)
{
    char id[32];

    snprintf(id, sizeof id, "%lld", (long long)t_ms);
    struct label l[] = { { STR("trace_id"), str_c(id) } };
    struct exemplar e = { .labels = { l, 1 }, .v = v, .t_ms = t_ms, .has_t = true };
    return exemplars_add(x, (struct labels){ series, 1 }, &e);
}

static size_t
select_nr(struct exemplars *x, int64_t min_ms, int64_t max_ms, size_t *series_nr)
{
    struct exemplar_series *s;
    struct arena arena;
    size_t nr = 0;

    arena_init(&arena, SIZE_MAX);
    exemplars_select(x, NULL, 0, min_ms, max_ms, &arena, &s, series_nr);
    for (size_t i = 0; i < *series_nr; i++) {
        nr += s[i].nr;
        for (size_t k = 1; k < s[i].nr; k++)
            cr_expect_leq(s[i].exemplars[k - 1].t_ms, s[i].exemplars[k].t_ms);
    }
    arena_fini(&arena);
    return nr;
}

Test(exemplar, follows_the_rules_of_order)
{
    struct exemplars *x = exemplars_new(10, NULL);

    cr_expect_eq(add(x, series_a, 10, 1), EXEMPLAR_OK);
    cr_expect_eq(add(x, series_a, 10, 1), EXEMPLAR_DUPLICATE);
    cr_expect_eq(add(x, series_a, 9, 1), EXEMPLAR_OUT_OF_ORDER);
    cr_expect_eq(add(x, series_a, 10, 2), EXEMPLAR_OK, "the same time with a larger value");
    cr_expect_eq(add(x, series_a, 10, 1.5), EXEMPLAR_OUT_OF_ORDER);
    cr_expect_eq(add(x, series_b, 1, 1), EXEMPLAR_OK, "series are apart");
    exemplars_free(x);
}

Test(exemplar, overwrites_the_oldest)
{
    struct exemplars *x = exemplars_new(4, NULL);
    size_t series_nr;

    for (int64_t i = 0; i < 3; i++)
        cr_expect_eq(add(x, series_a, i, 1), EXEMPLAR_OK);
    for (int64_t i = 0; i < 3; i++)
        cr_expect_eq(add(x, series_b, i, 1), EXEMPLAR_OK);
    cr_expect_eq(select_nr(x, INT64_MIN, INT64_MAX, &series_nr), 4);
    cr_expect_eq(series_nr, 2);
    cr_expect_eq(select_nr(x, 2, 2, &series_nr), 2);
    cr_expect_eq(add(x, series_b, 3, 1), EXEMPLAR_OK);
    cr_expect_eq(select_nr(x, INT64_MIN, INT64_MAX, &series_nr), 4);
    cr_expect_eq(series_nr, 1, "a series goes with its last exemplar");
    exemplars_resize(x, 2);
    cr_expect_eq(select_nr(x, INT64_MIN, INT64_MAX, &series_nr), 2);
    exemplars_resize(x, 0);
    cr_expect(!exemplars_on(x));
    cr_expect_eq(add(x, series_a, 100, 1), EXEMPLAR_OFF);
    exemplars_resize(x, 3);
    cr_expect_eq(add(x, series_a, 100, 1), EXEMPLAR_OK);
    exemplars_free(x);
}
