/* A machine's clock that is wrong, and samples that claim to be from far ahead: the present goes
 * on.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "base/mem.h"
#include "base/mem_io.h"
#include "tsdb/db.h"

#define HOUR_MS   INT64_C(3600000)
#define MINUTE_MS INT64_C(60000)
#define NOW       INT64_C(1800000000000) /* 2027-01-15 */
#define YEAR_2098 INT64_C(4040000000000)

struct fixture {
    struct mem_io mem;
    struct clock_virtual clock;
    struct db *db;
};

static void
fixture_open(struct fixture *f)
{
    struct db_options o = { .no_maintenance = true,
                            .wal_sync = DB_SYNC_COMMIT,
                            .wal_segment_bytes = 64 << 10,
                            .log = log_none };
    struct error err = { 0 };

    cr_assert(db_open("/data", &f->mem.io, &f->clock.base, &o, &f->db, &err), "%s",
              error_text(&err));
}

static void
fixture_init(struct fixture *f, int64_t now_ms)
{
    mem_io_init(&f->mem);
    clock_virtual_init(&f->clock, now_ms, 1);
    fixture_open(f);
}

static void
fixture_reopen(struct fixture *f)
{
    db_close(f->db);
    fixture_open(f);
}

static void
fixture_fini(struct fixture *f)
{
    db_close(f->db);
    mem_io_fini(&f->mem);
}

static void
set_clock(struct fixture *f, int64_t to_ms)
{
    clock_virtual_step_wall(&f->clock, to_ms - clock_now_ms(&f->clock.base));
}

static enum append_outcome
add(struct fixture *f, const char *series, int64_t t_ms)
{
    struct append_options o = { 0 };
    struct appender *a = append_begin(db_appendable(f->db), &o);
    struct label l[] = { { LABEL_NAME, str_c(series) } };
    series_ref ref = SERIES_REF_NONE;
    struct error err = { 0 };
    enum append_outcome outcome =
        append_sample(a, &ref, (struct labels){ l, 1 }, 0, t_ms, (double)t_ms);

    cr_assert(append_commit(a, &err), "%s", error_text(&err));
    return outcome;
}

static size_t
count(struct fixture *f, const char *series)
{
    struct querier *q;
    struct error err = { 0 };
    struct sample_buf b;
    struct arena arena;
    struct matcher m;
    struct series_set *set;

    arena_init(&arena, SIZE_MAX);
    cr_assert(querier_open(db_queryable(f->db), INT64_MIN, INT64_MAX, &q, &err));
    cr_assert(matcher_init(&m, MATCH_EQ, LABEL_NAME, str_c(series), &arena, &err));
    cr_assert(querier_select(q, &m, 1, NULL, &set, &err), "%s", error_text(&err));
    sample_buf_init(&b, NULL);
    if (set->nr == 1)
        cr_assert(series_read(set, 0, INT64_MIN, INT64_MAX, &b, &err), "%s", error_text(&err));
    size_t nr = b.nr;
    for (size_t i = 0; i < nr; i++)
        cr_assert(b.v[i] == (double)b.t_ms[i] && (i == 0 || b.t_ms[i - 1] < b.t_ms[i]));
    sample_buf_fini(&b);
    matcher_fini(&m);
    querier_close(q);
    arena_fini(&arena);
    return nr;
}

/* Scrapes every minute with rounds of maintenance; every sample must be taken. */
static void
live(struct fixture *f, const char *series, int64_t for_ms)
{
    struct error err = { 0 };

    for (int64_t end_ms = clock_now_ms(&f->clock.base) + for_ms;
         clock_now_ms(&f->clock.base) < end_ms; clock_virtual_advance(&f->clock, MINUTE_MS)) {
        int64_t now_ms = clock_now_ms(&f->clock.base);
        cr_assert_eq(add(f, series, now_ms), APPEND_OK, "%s at %lld", series, (long long)now_ms);
        if (now_ms / MINUTE_MS % 30 == 0)
            cr_assert(db_maintain(f->db, &err), "%s", error_text(&err));
    }
}

static size_t
blocks_nr(struct fixture *f)
{
    struct arena arena;
    struct str *metas;
    size_t nr;

    arena_init(&arena, SIZE_MAX);
    db_blocks(f->db, &arena, &metas, &nr);
    arena_fini(&arena);
    return nr;
}

Test(clock, samples_far_ahead_are_out_of_bounds)
{
    static const struct {
        const char *name;
        int64_t ahead_ms;
        enum append_outcome want;
    } cases[] = {
        { "the year 2098, before anything else", YEAR_2098 - NOW, APPEND_OUT_OF_BOUNDS },
        { "the end of time", INT64_MAX - NOW, APPEND_OUT_OF_BOUNDS },
        { "now", 0, APPEND_OK },
        { "what scrapes let through", 10 * MINUTE_MS, APPEND_OK },
        { "just inside", 15 * MINUTE_MS, APPEND_OK },
        { "just outside", 15 * MINUTE_MS + 1, APPEND_OUT_OF_BOUNDS },
        { "the year 2098", YEAR_2098 - NOW, APPEND_OUT_OF_BOUNDS },
    };
    struct fixture f;

    fixture_init(&f, NOW);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_eq(add(&f, "a", NOW + cases[i].ahead_ms), cases[i].want, "%s", cases[i].name);
    cr_expect_eq(add(&f, "b", NOW - 40 * MINUTE_MS), APPEND_OK, "the window stands");
    cr_expect_eq(count(&f, "a"), 3);
    fixture_fini(&f);
}

/* Prometheus takes them, and its directory is what we are started on. */
Test(clock, a_sample_from_2098_in_the_log_does_not_stop_the_present)
{
    struct fixture f;

    fixture_init(&f, NOW);
    live(&f, "a", HOUR_MS);
    set_clock(&f, YEAR_2098);
    cr_assert_eq(add(&f, "bad", YEAR_2098), APPEND_OK);
    set_clock(&f, NOW + HOUR_MS);
    live(&f, "a", 5 * HOUR_MS);
    cr_expect_geq(blocks_nr(&f), 1);
    for (int opened = 0; opened < 2; opened++) {
        fixture_reopen(&f);
        live(&f, "a", 5 * HOUR_MS);
        cr_expect_eq(count(&f, "a"), (size_t)(60 * (11 + 5 * opened)));
        cr_expect_eq(count(&f, "bad"), 1, "what was accepted stays");
    }
    fixture_fini(&f);
}

Test(clock, blocks_of_the_future_do_not_stop_the_present)
{
    struct fixture f;

    fixture_init(&f, YEAR_2098);
    live(&f, "future", 8 * HOUR_MS);
    cr_assert_geq(blocks_nr(&f), 1);
    set_clock(&f, NOW);
    fixture_reopen(&f);
    live(&f, "a", 8 * HOUR_MS);
    fixture_reopen(&f);
    live(&f, "a", 8 * HOUR_MS);
    cr_expect_eq(count(&f, "a"), 16 * 60);
    cr_expect_eq(count(&f, "future"), 8 * 60);
    fixture_fini(&f);
}

/* In one process, without a restart. */
Test(clock, a_step_ahead_and_back_does_not_stop_new_series)
{
    struct fixture f;
    struct error err = { 0 };

    fixture_init(&f, NOW);
    live(&f, "a", 6 * HOUR_MS);
    set_clock(&f, YEAR_2098);
    live(&f, "future", 8 * HOUR_MS);
    set_clock(&f, NOW + 8 * HOUR_MS);
    cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
    live(&f, "b", 8 * HOUR_MS);
    cr_expect_eq(count(&f, "a"), 6 * 60);
    cr_expect_eq(count(&f, "b"), 8 * 60);
    cr_expect_eq(count(&f, "future"), 8 * 60);
    fixture_fini(&f);
}

/* The last block before the step reaches over the time to which the clock comes back. */
Test(clock, a_step_back_into_a_finished_block_loses_nothing)
{
    struct fixture f;
    struct error err = { 0 };

    fixture_init(&f, NOW);
    live(&f, "a", 6 * HOUR_MS + 37 * MINUTE_MS);
    set_clock(&f, YEAR_2098);
    live(&f, "future", 8 * HOUR_MS);
    set_clock(&f, NOW + 6 * HOUR_MS + 37 * MINUTE_MS);
    cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
    for (size_t i = 1; i <= 20; i++) {
        live(&f, "b", 20 * MINUTE_MS);
        fixture_reopen(&f);
        cr_assert_eq(count(&f, "b"), 20 * i, "%zu: %zu", i, count(&f, "b"));
        cr_assert_eq(count(&f, "a"), 6 * 60 + 37);
        cr_assert_eq(count(&f, "future"), 8 * 60);
    }
    fixture_fini(&f);
}

/* A machine that comes up in 1970: its samples are out of bounds as in Prometheus, nothing else
 * happens, and the right time goes on. */
Test(clock, a_clock_that_was_reset_judges_nothing)
{
    struct fixture f;

    fixture_init(&f, NOW);
    live(&f, "a", 6 * HOUR_MS);
    set_clock(&f, 1000);
    fixture_reopen(&f);
    cr_expect_eq(add(&f, "a", 1000), APPEND_OUT_OF_BOUNDS);
    cr_expect_eq(add(&f, "b", 1000), APPEND_OUT_OF_BOUNDS);
    cr_expect_eq(count(&f, "a"), 6 * 60);
    set_clock(&f, NOW + 6 * HOUR_MS);
    live(&f, "a", 6 * HOUR_MS);
    cr_expect_eq(count(&f, "a"), 12 * 60);
    fixture_fini(&f);
}
