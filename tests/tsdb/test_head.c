/* The head by itself: tables at their limits, and selection against a naive model. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/mem_io.h"
#include "tsdb/head_priv.h"

#define T0 INT64_C(1700006400000)

struct fixture {
    struct mem_io mem;
    struct clock_virtual clock;
    struct symbols *symbols;
    struct head *head;
};

static void
fixture_init(struct fixture *f)
{
    mem_io_init(&f->mem);
    clock_virtual_init(&f->clock, T0, 1);
    f->symbols = symbols_new();
    struct head_options o = { .io = &f->mem.io,
                              .clock = &f->clock.base,
                              .symbols = f->symbols,
                              .log = log_none,
                              .range_ms = 7200000,
                              .samples_per_chunk = 120 };
    f->head = head_new(&o);
}

static void
fixture_fini(struct fixture *f)
{
    head_free(f->head);
    struct symbols_stats st;
    symbols_stats(f->symbols, &st);
    cr_expect_leq(st.symbols_nr, 1, "every reference was given back");
    symbols_free(f->symbols);
    mem_io_fini(&f->mem);
}

/* Series i carries values that depend on i's digits; some labels are missing. */
static struct labels
labels_of(uint32_t i, struct label v[4], char text[4][16])
{
    size_t nr = 0;

    snprintf(text[0], 16, "m%u", i % 5);
    snprintf(text[1], 16, "a%u", i % 7);
    snprintf(text[2], 16, "b%u", i / 3 % 11);
    snprintf(text[3], 16, "i%u", i);
    v[nr++] = (struct label){ LABEL_NAME, str_c(text[0]) };
    if (i % 4 != 0)
        v[nr++] = (struct label){ STR("a"), str_c(text[1]) };
    if (i % 6 != 0)
        v[nr++] = (struct label){ STR("b"), str_c(text[2]) };
    v[nr++] = (struct label){ STR("id"), str_c(text[3]) };
    return (struct labels){ v, nr };
}

static series_ref
append(struct head *h, uint32_t i, int64_t t_ms)
{
    struct append_options o = { 0 };
    struct appender *a = append_begin(head_appendable(h), &o);
    struct label v[4];
    char text[4][16];
    series_ref ref = SERIES_REF_NONE;
    struct error err = { 0 };

    cr_assert_eq(append_sample(a, &ref, labels_of(i, v, text), 0, t_ms, i), APPEND_OK);
    cr_assert(append_commit(a, &err));
    return ref;
}

static size_t
select_nr(struct head *h, const struct matcher *m, size_t m_nr, bool *found, uint32_t found_nr)
{
    struct head_reader r;
    struct arena arena;
    struct head_series **v;
    struct error err = { 0 };
    size_t nr;

    arena_init(&arena, SIZE_MAX);
    head_reader_open(h, &r);
    cr_assert(head_select(&r, m, m_nr, INT64_MIN, INT64_MAX, NULL, &arena, &v, &nr, &err));
    for (size_t i = 0; found != NULL && i < nr; i++) {
        uint32_t pairs_nr;
        const struct symbol_pair *pairs = head_series_pairs(v[i], &pairs_nr);
        struct str id = symbols_text(head_symbols(h), pairs[pairs_nr - 1].value);
        uint32_t k = (uint32_t)strtoul(id.p + 1, NULL, 10);
        cr_assert(k < found_nr && !found[k]);
        found[k] = true;
    }
    head_reader_close(&r);
    arena_fini(&arena);
    return nr;
}

Test(head, renumbers_slots_when_they_run_out)
{
    struct fixture f;
    struct matcher m;
    struct arena arena;
    struct error err = { 0 };

    fixture_init(&f);
    arena_init(&arena, SIZE_MAX);
    cr_assert(matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("m1"), &arena, &err));
    for (uint32_t i = 0; i < 40; i++)
        append(f.head, i, T0);
    f.head->postings.next_slot = UINT32_MAX - 20;
    for (uint32_t i = 40; i < 100; i++)
        append(f.head, i, T0);
    cr_expect_eq(f.head->postings.numbering, 1);
    cr_expect_eq(f.head->postings.next_slot, 100);
    cr_expect_eq(select_nr(f.head, NULL, 0, NULL, 0), 100);
    cr_expect_eq(select_nr(f.head, &m, 1, NULL, 0), 20);
    matcher_fini(&m);
    arena_fini(&arena);
    fixture_fini(&f);
}

Test(head, gives_references_beyond_32_bits)
{
    struct fixture f;
    struct append_options o = { 0 };
    struct error err = { 0 };
    series_ref refs[20];

    fixture_init(&f);
    head_reserve_ref(f.head, (UINT64_C(1) << 32) - 10);
    for (uint32_t i = 0; i < 20; i++)
        refs[i] = append(f.head, i, T0);
    cr_expect_gt(refs[19], UINT64_C(1) << 32);
    struct appender *a = append_begin(head_appendable(f.head), &o);
    for (uint32_t i = 0; i < 20; i++) {
        cr_expect_eq(append_sample(a, &refs[i], LABELS_NONE, 0, T0 + 1, 1), APPEND_OK, "%llu",
                     (unsigned long long)refs[i]);
        series_ref wrong = refs[i] & UINT32_MAX;
        if (wrong != refs[i] && wrong != SERIES_REF_NONE)
            cr_expect_eq(append_sample(a, &wrong, LABELS_NONE, 0, T0 + 2, 1), APPEND_REF_UNKNOWN);
    }
    cr_assert(append_commit(a, &err));
    fixture_fini(&f);
}

static uint32_t
random_below(uint64_t *state, uint32_t n)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 33) % n;
}

static void
random_matcher(uint64_t *state, struct matcher *m, struct arena *arena)
{
    static const struct str names[] = { STR("__name__"), STR("a"), STR("b"), STR("nowhere") };
    static const char *const texts[] = { "m1",        "a3",  "b10", "",       "m1|m2", "a.*",
                                         "b(1|2|10)", ".*",  ".+",  "a[1-3]", "b",     "m3|",
                                         "(m|a|b)1",  "b1.", "i.*", "|a5" };
    struct error err = { 0 };

    cr_assert(matcher_init(m, (enum match_type)random_below(state, 4),
                           names[random_below(state, 4)],
                           str_c(texts[random_below(state, ARRAY_LEN(texts))]), arena, &err),
              "%s", error_text(&err));
}

/* Any mix of matchers gives what trying every series gives, also after a part of them was
 * collected. */
Test(head, selects_what_a_naive_walk_selects)
{
    enum { SERIES = 600, ROUNDS = 3000 };
    const char *seed = getenv("TEST_SEED");
    uint64_t state = seed == NULL ? 88172645463325252u : strtoull(seed, NULL, 10);
    struct fixture f;
    struct arena arena;

    fixture_init(&f);
    arena_init(&arena, SIZE_MAX);
    for (uint32_t i = 0; i < SERIES; i++)
        append(f.head, i, T0 + (i % 9 == 0 ? 0 : 1000));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct matcher m[3];
        bool found[SERIES] = { false };
        size_t m_nr = 1 + random_below(&state, 3), want = 0;
        struct arena_mark mark = arena_mark(&arena);
        if (round == ROUNDS / 2)
            head_truncate(f.head, T0 + 500);
        for (size_t i = 0; i < m_nr; i++)
            random_matcher(&state, &m[i], &arena);
        size_t nr = select_nr(f.head, m, m_nr, found, SERIES);
        for (uint32_t i = 0; i < SERIES; i++) {
            struct label v[4];
            char text[4][16];
            struct labels ls = labels_of(i, v, text);
            bool all = round < ROUNDS / 2 || i % 9 != 0;
            for (size_t k = 0; all && k < m_nr; k++)
                all = matcher_matches(&m[k], labels_get(ls, m[k].name));
            cr_assert_eq(found[i], all, "seed %s, round %u, series %u",
                         seed == NULL ? "default" : seed, round, i);
            want += all;
        }
        cr_assert_eq(nr, want);
        for (size_t i = 0; i < m_nr; i++)
            matcher_fini(&m[i]);
        arena_rewind(&arena, mark);
    }
    arena_fini(&arena);
    fixture_fini(&f);
}

/* The open chunk of a reader stays what it was while appends, cuts and collection go on. */
Test(head, a_view_reads_the_same_twice)
{
    struct fixture f;
    struct head_reader r;
    struct sample_buf b;
    struct error err = { 0 };

    fixture_init(&f);
    sample_buf_init(&b, NULL);
    for (int64_t i = 0; i < 500; i++)
        append(f.head, 1, T0 + i * 15000);
    head_reader_open(f.head, &r);
    struct head_series *s = head_find_ref(f.head, 1);
    cr_assert(head_read(&r, s, INT64_MIN, INT64_MAX, &b, &err));
    cr_expect_eq(b.nr, 500);
    for (int64_t i = 500; i < 900; i++) {
        append(f.head, 1, T0 + i * 15000);
        sample_buf_reset(&b);
        cr_assert(head_read(&r, s, INT64_MIN, INT64_MAX, &b, &err));
        cr_assert_eq(b.nr, 500);
        sample_buf_reset(&b);
        cr_assert(head_read(&r, s, T0 + 480 * 15000, T0 + 490 * 15000, &b, &err));
        cr_assert_eq(b.nr, 11);
    }
    head_reader_close(&r);
    sample_buf_fini(&b);
    fixture_fini(&f);
}
