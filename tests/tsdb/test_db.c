/* The database through its seams, on a file system in memory and a clock that stands still. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "base/fault_io.h"
#include "base/mem.h"
#include "tsdb/db.h"
#include "tsdb/isolation.h"

#define HOUR_MS INT64_C(3600000)
#define T0      INT64_C(1700006400000) /* a multiple of two hours */

struct fixture {
    struct mem_io mem;
    const struct io *io;
    struct clock_virtual clock;
    struct db *db;
};

static const struct db_options test_options = { .no_maintenance = true,
                                                .wal_sync = DB_SYNC_COMMIT,
                                                .wal_segment_bytes = 64 << 10,
                                                .chunk_segment_bytes = 1 << 20,
                                                .log = { 0 } };

static bool
fixture_open(struct fixture *f, struct error *err)
{
    struct db_options o = test_options;

    o.log = log_none;
    f->db = NULL;
    return db_open("/data", f->io, &f->clock.base, &o, &f->db, err);
}

static void
fixture_init(struct fixture *f)
{
    struct error err = { 0 };

    mem_io_init(&f->mem);
    f->io = &f->mem.io;
    clock_virtual_init(&f->clock, T0, 1);
    cr_assert(fixture_open(f, &err), "%s", error_text(&err));
}

static void
fixture_fini(struct fixture *f)
{
    db_close(f->db);
    mem_io_fini(&f->mem);
}

static void
fixture_reopen(struct fixture *f)
{
    struct error err = { 0 };

    db_close(f->db);
    cr_assert(fixture_open(f, &err), "%s", error_text(&err));
}

static struct labels
labels_of(uint32_t i, struct label v[3], char text[2][32])
{
    snprintf(text[0], 32, "m%u", i % 3);
    snprintf(text[1], 32, "i%u", i);
    v[0] = (struct label){ LABEL_NAME, str_c(text[0]) };
    v[1] = (struct label){ LABEL_INSTANCE, str_c(text[1]) };
    v[2] = (struct label){ LABEL_JOB, STR("test") };
    return (struct labels){ v, 3 };
}

static struct appender *
begin(struct db *db)
{
    struct append_options o = { 0 };

    return append_begin(db_appendable(db), &o);
}

/* As a push: what cannot be logged is refused. */
static struct appender *
begin_durable(struct db *db)
{
    struct append_options o = { .must_be_durable = true };

    return append_begin(db_appendable(db), &o);
}

static enum append_outcome
add(struct appender *a, uint32_t series, int64_t t_ms, double v)
{
    struct label l[3];
    char text[2][32];
    series_ref ref = SERIES_REF_NONE;

    return append_sample(a, &ref, labels_of(series, l, text), 0, t_ms, v);
}

static enum append_outcome
add_one(struct db *db, uint32_t series, int64_t t_ms, double v)
{
    struct appender *a = begin(db);
    struct error err = { 0 };
    enum append_outcome outcome = add(a, series, t_ms, v);

    cr_assert(append_commit(a, &err), "%s", error_text(&err));
    return outcome;
}

/* Samples of one series, by its instance. */
static size_t
read_series(struct querier *q, uint32_t series, struct sample_buf *b)
{
    struct arena arena;
    struct matcher m;
    struct series_set *set;
    struct error err = { 0 };
    char text[32];

    arena_init(&arena, SIZE_MAX);
    snprintf(text, sizeof text, "i%u", series);
    cr_assert(matcher_init(&m, MATCH_EQ, LABEL_INSTANCE, str_c(text), &arena, &err));
    cr_assert(querier_select(q, &m, 1, NULL, &set, &err), "%s", error_text(&err));
    sample_buf_reset(b);
    cr_assert_leq(set->nr, 1);
    if (set->nr == 1)
        cr_assert(series_read(set, 0, INT64_MIN, INT64_MAX, b, &err), "%s", error_text(&err));
    matcher_fini(&m);
    arena_fini(&arena);
    return b->nr;
}

static size_t
count_series(struct db *db, uint32_t series)
{
    struct querier *q;
    struct error err = { 0 };
    struct sample_buf b;

    cr_assert(querier_open(db_queryable(db), INT64_MIN, INT64_MAX, &q, &err));
    sample_buf_init(&b, NULL);
    size_t nr = read_series(q, series, &b);
    sample_buf_fini(&b);
    querier_close(q);
    return nr;
}

Test(append, follows_the_rules_of_prometheus)
{
    static const struct {
        const char *name;
        int64_t t_ms;
        double v;
        enum append_outcome want;
    } cases[] = {
        { "first", T0, 1, APPEND_OK },
        { "newer", T0 + 1, 2, APPEND_OK },
        { "same time and value", T0 + 1, 2, APPEND_DUPLICATE },
        { "same time, other value", T0 + 1, 3, APPEND_DUPLICATE_TIME },
        { "older", T0, 1, APPEND_OUT_OF_ORDER },
        { "older than any", T0 - 1, 1, APPEND_OUT_OF_ORDER },
        { "zero", T0 + 2, 0.0, APPEND_OK },
        { "minus zero has other bits", T0 + 2, -0.0, APPEND_DUPLICATE_TIME },
        { "half a range ahead", T0 + HOUR_MS, 1, APPEND_OK },
        { "just inside the window, older than the series", T0, 1, APPEND_OUT_OF_ORDER },
        { "just outside of it", T0 - 1, 1, APPEND_OUT_OF_BOUNDS },
    };
    struct fixture f;

    fixture_init(&f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_eq(add_one(f.db, 0, cases[i].t_ms, cases[i].v), cases[i].want, "%s",
                     cases[i].name);
    cr_expect_eq(count_series(f.db, 0), 4);
    fixture_fini(&f);
}

Test(append, refuses_bad_label_sets)
{
    struct fixture f;
    struct label twice[] = { { STR("a"), STR("1") }, { STR("a"), STR("2") } };
    struct label empty[] = { { STR("a"), STR("") } };
    series_ref ref = SERIES_REF_NONE;
    struct error err = { 0 };

    fixture_init(&f);
    struct appender *a = begin(f.db);
    cr_expect_eq(append_sample(a, &ref, LABELS_NONE, 0, T0, 1), APPEND_BAD_LABELS);
    cr_expect_eq(append_sample(a, &ref, (struct labels){ twice, 2 }, 0, T0, 1), APPEND_BAD_LABELS);
    cr_expect_eq(append_sample(a, &ref, (struct labels){ empty, 1 }, 0, T0, 1), APPEND_BAD_LABELS);
    ref = 12345;
    cr_expect_eq(append_sample(a, &ref, LABELS_NONE, 0, T0, 1), APPEND_REF_UNKNOWN);
    cr_expect(append_commit(a, &err));
    fixture_fini(&f);
}

Test(append, rolls_back_without_a_trace)
{
    struct fixture f;

    fixture_init(&f);
    struct appender *a = begin(f.db);
    cr_assert_eq(add(a, 1, T0, 1), APPEND_OK);
    append_rollback(a);
    cr_expect_eq(count_series(f.db, 1), 0);
    cr_expect_eq(add_one(f.db, 1, T0, 2), APPEND_OK);
    fixture_reopen(&f);
    cr_expect_eq(count_series(f.db, 1), 1,
                 "the series record was logged by the batch that came through");
    fixture_fini(&f);
}

Test(isolation, shows_whole_batches_only)
{
    struct fixture f;
    struct querier *before, *after;
    struct error err = { 0 };
    struct sample_buf b;

    fixture_init(&f);
    sample_buf_init(&b, NULL);
    for (int64_t i = 0; i < 300; i++) {
        cr_assert(querier_open(db_queryable(f.db), INT64_MIN, INT64_MAX, &before, &err));
        struct appender *a = begin(f.db);
        for (uint32_t s = 0; s < 5; s++)
            cr_assert_eq(add(a, s, T0 + i * 1000, (double)i), APPEND_OK);
        cr_assert(append_commit(a, &err));
        cr_assert(querier_open(db_queryable(f.db), INT64_MIN, INT64_MAX, &after, &err));
        for (uint32_t s = 0; s < 5; s++) {
            cr_assert_eq(read_series(before, s, &b), i == 0 ? 0 : i, "series %u, batch %lld", s,
                         (long long)i);
            cr_assert_eq(read_series(after, s, &b), i + 1);
        }
        querier_close(before);
        querier_close(after);
    }
    sample_buf_fini(&b);
    fixture_fini(&f);
}

Test(isolation, a_slow_batch_hides_itself_only)
{
    struct isolation iso;
    struct isolation_reader r, later;
    uint64_t settled;

    isolation_init(&iso, NULL);
    uint64_t slow = isolation_begin(&iso, &settled);
    uint64_t quick = isolation_begin(&iso, &settled);
    isolation_end(&iso, quick);
    isolation_open(&iso, &r);
    cr_expect(isolation_sees(&r, quick));
    cr_expect(!isolation_sees(&r, slow));
    isolation_end(&iso, slow);
    cr_expect(!isolation_sees(&r, slow), "a view does not change");
    uint64_t next = isolation_begin(&iso, &settled);
    cr_expect_eq(settled, slow, "the open view still needs the slow batch's number");
    cr_expect(!isolation_sees(&r, next));
    isolation_end(&iso, next);
    isolation_open(&iso, &later);
    cr_expect(isolation_sees(&later, slow) && isolation_sees(&later, next));
    isolation_close(&iso, &r);
    isolation_close(&iso, &later);
    isolation_fini(&iso);
}

/* Rounds of all series, 15 s apart; returns the next time. */
static int64_t
fill(struct db *db, uint32_t series_nr, int64_t from_ms, int64_t to_ms)
{
    struct error err = { 0 };

    for (; from_ms < to_ms; from_ms += 15000) {
        struct appender *a = begin(db);
        for (uint32_t s = 0; s < series_nr; s++)
            cr_assert_eq(add(a, s, from_ms, (double)(from_ms / 1000 + s)), APPEND_OK);
        cr_assert(append_commit(a, &err), "%s", error_text(&err));
    }
    return from_ms;
}

static void
check_continuous(struct db *db, uint32_t series_nr, int64_t from_ms, int64_t to_ms)
{
    struct querier *q;
    struct error err = { 0 };
    struct sample_buf b;

    cr_assert(querier_open(db_queryable(db), INT64_MIN, INT64_MAX, &q, &err));
    sample_buf_init(&b, NULL);
    for (uint32_t s = 0; s < series_nr; s++) {
        cr_assert_eq(read_series(q, s, &b), (size_t)((to_ms - from_ms + 14999) / 15000),
                     "series %u", s);
        for (size_t i = 0; i < b.nr; i++) {
            cr_assert_eq(b.t_ms[i], from_ms + (int64_t)i * 15000);
            cr_assert_eq(b.v[i], (double)(b.t_ms[i] / 1000 + s));
        }
    }
    sample_buf_fini(&b);
    querier_close(q);
}

static size_t
blocks_nr(struct db *db)
{
    struct arena arena;
    struct str *metas;
    size_t nr;

    arena_init(&arena, SIZE_MAX);
    db_blocks(db, &arena, &metas, &nr);
    arena_fini(&arena);
    return nr;
}

Test(db, cuts_the_head_and_answers_from_blocks_and_head)
{
    struct fixture f;
    struct error err = { 0 };
    int64_t t_ms = T0;

    fixture_init(&f);
    db_compaction_enable(f.db, false);
    for (int64_t hour = 1; hour <= 16; hour++) {
        t_ms = fill(f.db, 7, t_ms, T0 + hour * HOUR_MS + 15000);
        cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
        check_continuous(f.db, 7, T0, t_ms);
    }
    cr_expect_eq(blocks_nr(f.db), 7);
    struct db_head_stats st;
    db_head_stats(f.db, &st);
    cr_expect_eq(st.min_ms, T0 + 14 * HOUR_MS);
    fixture_reopen(&f);
    check_continuous(f.db, 7, T0, t_ms);
    db_compaction_enable(f.db, true);
    cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
    cr_expect_lt(blocks_nr(f.db), 7);
    check_continuous(f.db, 7, T0, t_ms);
    t_ms = fill(f.db, 7, t_ms, t_ms + HOUR_MS);
    check_continuous(f.db, 7, T0, t_ms);
    fixture_fini(&f);
}

/* An open query keeps what it reads; the head is truncated in a later round. */
Test(db, truncation_takes_nothing_from_an_open_query)
{
    struct fixture f;
    struct error err = { 0 };
    struct querier *q;
    struct series_set *set;
    struct sample_buf b;

    fixture_init(&f);
    fill(f.db, 3, T0, T0 + 4 * HOUR_MS);
    cr_assert_eq(add_one(f.db, 99, T0 + 4 * HOUR_MS, 1), APPEND_OK);
    cr_assert(querier_open(db_queryable(f.db), INT64_MIN, INT64_MAX, &q, &err));
    cr_assert(querier_select(q, NULL, 0, NULL, &set, &err));
    cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
    cr_assert_eq(blocks_nr(f.db), 1);
    sample_buf_init(&b, NULL);
    for (uint32_t i = 0; i < set->nr; i++) {
        sample_buf_reset(&b);
        cr_assert(series_read(set, i, INT64_MIN, INT64_MAX, &b, &err), "%s", error_text(&err));
        cr_assert(b.nr == 960 || b.nr == 1);
    }
    sample_buf_fini(&b);
    querier_close(q);
    cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
    struct db_head_stats st;
    db_head_stats(f.db, &st);
    cr_expect_eq(st.min_ms, T0 + 2 * HOUR_MS);
    fixture_fini(&f);
}

/* Series that went away are collected; their references do not come back, and the labels get a new
 * one. */
Test(db, collects_series_without_samples)
{
    struct fixture f;
    struct error err = { 0 };
    struct label l[3];
    char text[2][32];
    series_ref ref = SERIES_REF_NONE, again;

    fixture_init(&f);
    struct appender *a = begin(f.db);
    cr_assert_eq(append_sample(a, &ref, labels_of(50, l, text), 0, T0, 1), APPEND_OK);
    cr_assert(append_commit(a, &err));
    fill(f.db, 3, T0 + 1, T0 + 4 * HOUR_MS);
    cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
    struct db_head_stats st;
    db_head_stats(f.db, &st);
    cr_expect_eq(st.series_nr, 3);
    cr_expect_eq(st.label_pairs_nr, 3 + 3 + 1);
    a = begin(f.db);
    again = ref;
    cr_expect_eq(append_sample(a, &again, LABELS_NONE, 0, T0 + 4 * HOUR_MS, 1), APPEND_REF_UNKNOWN);
    cr_expect_eq(append_sample(a, &again, labels_of(50, l, text), 0, T0 + 4 * HOUR_MS, 1),
                 APPEND_OK);
    cr_expect_gt(again, ref);
    cr_assert(append_commit(a, &err));
    cr_expect_eq(count_series(f.db, 50), 2, "one sample in the block, one in the head");
    fixture_fini(&f);
}

/* The process dies at any of its calls; whatever was acknowledged is there afterwards, once, in
 * order. */
Test(db, keeps_what_was_acknowledged)
{
    uint32_t last_calls = 0;

    for (uint32_t nth = 1, fired = 1; fired; nth += 1 + nth / 150) {
        struct fixture f;
        struct fault_io fio;
        struct error err = { 0 };
        int64_t acknowledged = 0;
        fault_io_init(&fio,
                      (struct fault){ .nth = nth, .crash = true, .short_write = nth % 3 == 0 });
        f.io = &fio.io;
        clock_virtual_init(&f.clock, T0, nth);
        bool ok = fixture_open(&f, &err);
        for (int64_t i = 0; ok && i < 60; i++) {
            struct appender *a = begin_durable(f.db);
            for (uint32_t s = 0; s < 5; s++)
                cr_assert_eq(add(a, s, T0 + i * 300000, (double)i), APPEND_OK);
            ok = append_commit(a, &err);
            acknowledged += ok;
            if (ok && i % 8 == 7)
                error_ignored(db_maintain(f.db, &err));
        }
        db_close(f.db);
        fired = fault_io_crash(&fio);
        last_calls = nth;
        error_clear(&err);
        cr_assert(fixture_open(&f, &err), "fault at call %u, seed %llu: %s", nth,
                  (unsigned long long)fio.seed, error_text(&err));
        for (uint32_t s = 0; s < 5; s++)
            cr_assert_geq((int64_t)count_series(f.db, s), acknowledged,
                          "fault at call %u, seed %llu, series %u", nth,
                          (unsigned long long)fio.seed, s);
        db_close(f.db);
        fault_io_fini(&fio);
    }
    cr_assert_gt(last_calls, 100);
}

static const struct histogram_span one_span[] = { { 0, 2 } };

static struct histogram
histogram_of(int64_t n, const int64_t deltas[2])
{
    return (struct histogram){
        .is_int = true,
        .schema = 1,
        .zero_threshold = 0.001,
        .count_int = (uint64_t)(2 * n + 1),
        .count = (double)(2 * n + 1),
        .sum = (double)n,
        .pos = { .spans = one_span, .spans_nr = 1, .deltas = deltas, .buckets_nr = 2 }
    };
}

static enum append_outcome
add_histogram(struct db *db, uint32_t series, int64_t t_ms, int64_t n)
{
    int64_t deltas[2] = { n, 1 };
    struct histogram h = histogram_of(n, deltas);
    struct appender *a = begin(db);
    struct label l[3];
    char text[2][32];
    series_ref ref = SERIES_REF_NONE;
    struct error err = { 0 };
    enum append_outcome outcome =
        append_histogram(a, &ref, labels_of(series, l, text), 0, t_ms, &h);

    cr_assert(append_commit(a, &err), "%s", error_text(&err));
    return outcome;
}

static void
check_histograms(struct db *db, size_t nr)
{
    struct querier *q;
    struct error err = { 0 };
    struct arena arena;
    struct sample_buf b;

    arena_init(&arena, SIZE_MAX);
    cr_assert(querier_open(db_queryable(db), INT64_MIN, INT64_MAX, &q, &err));
    sample_buf_init(&b, &arena);
    cr_assert_eq(read_series(q, 1, &b), nr + 1);
    for (size_t i = 0; i < nr; i++) {
        cr_assert(b.h != NULL && b.h[i] != NULL);
        cr_assert_eq(b.h[i]->sum, (double)(i + 1));
        cr_assert_eq(b.h[i]->pos.deltas[0], (int64_t)i + 1);
    }
    cr_assert(b.h[nr] != NULL && is_stale(b.h[nr]->sum),
              "the stale marker has the kind of the series");
    sample_buf_fini(&b);
    querier_close(q);
    arena_fini(&arena);
}

Test(append, keeps_native_histograms)
{
    enum { HISTOGRAMS = 300 };
    struct fixture f;
    struct error err = { 0 };

    fixture_init(&f);
    for (int64_t i = 0; i < HISTOGRAMS; i++)
        cr_assert_eq(add_histogram(f.db, 1, T0 + i * 60000, i + 1), APPEND_OK);
    int64_t last_ms = T0 + (HISTOGRAMS - 1) * INT64_C(60000);
    cr_expect_eq(add_histogram(f.db, 1, last_ms, HISTOGRAMS), APPEND_DUPLICATE);
    cr_expect_eq(add_histogram(f.db, 1, last_ms, 5), APPEND_DUPLICATE_TIME);
    cr_expect_eq(add_histogram(f.db, 1, last_ms - 1, 5), APPEND_OUT_OF_ORDER);
    cr_expect_eq(add_one(f.db, 1, last_ms, 1), APPEND_DUPLICATE_TIME);
    cr_expect_eq(add_one(f.db, 1, last_ms + 1000, double_of_bits(STALE_NAN_BITS)), APPEND_OK);
    check_histograms(f.db, HISTOGRAMS);
    fixture_reopen(&f);
    check_histograms(f.db, HISTOGRAMS);
    cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
    cr_expect_geq(blocks_nr(f.db), 1);
    check_histograms(f.db, HISTOGRAMS);
    fixture_reopen(&f);
    check_histograms(f.db, HISTOGRAMS);
    fixture_fini(&f);
}

/* What cannot be logged is not acknowledged, not visible, and the series goes on when the disk has
 * room again. */
Test(db, refuses_pushes_while_the_disk_is_full)
{
    struct fixture f;
    struct error err = { 0 };

    fixture_init(&f);
    fill(f.db, 3, T0, T0 + 60000);
    mem_io_set_space(&f.mem, 1);
    struct appender *a = begin_durable(f.db);
    cr_assert_eq(add(a, 0, T0 + 60000, 1), APPEND_OK);
    cr_assert_eq(add(a, 7, T0 + 60000, 1), APPEND_OK);
    cr_expect(!append_commit(a, &err));
    cr_expect_eq(err.kind, ERR_FULL, "%s", error_text(&err));
    error_clear(&err);
    cr_expect_eq(count_series(f.db, 0), 4);
    mem_io_set_space(&f.mem, UINT64_C(1) << 30);
    cr_expect_eq(add_one(f.db, 0, T0 + 75000, 1), APPEND_OK);
    cr_expect_eq(add_one(f.db, 7, T0 + 75000, 1), APPEND_OK);
    fixture_reopen(&f);
    cr_expect_eq(count_series(f.db, 0), 5);
    cr_expect_eq(count_series(f.db, 7), 1);
    fixture_fini(&f);
}

Test(db, counts_what_it_holds)
{
    struct fixture f;
    struct arena arena;
    struct db_cardinality c;
    struct db_head_stats st;

    fixture_init(&f);
    arena_init(&arena, SIZE_MAX);
    fill(f.db, 9, T0, T0 + 30000);
    db_head_stats(f.db, &st);
    cr_expect_eq(st.series_nr, 9);
    cr_expect_eq(st.chunks_nr, 9);
    cr_expect_eq(st.label_pairs_nr, 3 + 9 + 1);
    cr_expect_eq(st.min_ms, T0);
    cr_expect_eq(st.max_ms, T0 + 15000);
    db_cardinality(f.db, 2, &arena, &c);
    cr_assert(c.series_by_metric_nr == 2 && c.values_by_label_nr == 2 && c.series_by_pair_nr == 2);
    cr_expect_eq(c.series_by_metric[0].nr, 3);
    cr_expect(str_is(c.values_by_label[0].name, "instance") && c.values_by_label[0].nr == 9);
    cr_expect(str_is(c.series_by_pair[0].name, "job=test") && c.series_by_pair[0].nr == 9);
    cr_expect(str_is(c.bytes_by_label[0].name, "job") && c.bytes_by_label[0].nr == 36);
    arena_fini(&arena);
    fixture_fini(&f);
}

Test(db, publishes_its_numbers)
{
    static const char *const wanted[] = {
        "prometheus_tsdb_head_series 5\n",
        "prometheus_tsdb_head_samples_appended_total{type=\"float\"} 11\n",
        "prometheus_tsdb_out_of_order_samples_total{type=\"float\"} 1\n",
        "prometheus_tsdb_out_of_order_samples_total{type=\"histogram\"} 0\n",
        "prometheus_tsdb_head_stale_series 1\n",
        "prometheus_tsdb_blocks_loaded 0\n",
        "prometheus_tsdb_wal_segment_current 0\n",
        "prometheus_tsdb_compaction_duration_seconds_count 0\n",
        "prometheus_tsdb_wal_fsync_duration_seconds",
    };
    struct mem_io m;
    struct clock_virtual clock;
    struct db_options o = test_options;
    struct error err = { 0 };
    struct buf text = { 0 };
    struct db *db;

    mem_io_init(&m);
    clock_virtual_init(&clock, T0, 1);
    o.log = log_none;
    o.metrics = metrics_new();
    cr_assert(db_open("/data", &m.io, &clock.base, &o, &db, &err), "%s", error_text(&err));
    fill(db, 5, T0, T0 + 15001);
    cr_assert_eq(add_one(db, 0, T0, 1), APPEND_OUT_OF_ORDER);
    cr_assert_eq(add_one(db, 0, T0 + 20000, double_of_bits(STALE_NAN_BITS)), APPEND_OK);
    metrics_write_text(o.metrics, &text, clock_monotonic_ns(&clock.base));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        cr_expect_not_null(strstr(buf_z(&text), wanted[i]), "%s", wanted[i]);
    buf_fini(&text);
    db_close(db);
    metrics_free(o.metrics);
    mem_io_fini(&m);
}

Test(db, is_opened_by_one_at_a_time)
{
    struct fixture f;
    struct db_options o = test_options;
    struct error err = { 0 };
    struct io_stat st;
    struct db *second;

    fixture_init(&f);
    o.log = log_none;
    cr_expect(!db_open("/data", f.io, &f.clock.base, &o, &second, &err));
    cr_expect_eq(err.kind, ERR_CONFLICT, "%s", error_text(&err));
    error_clear(&err);
    cr_expect(io_stat_path(f.io, "/data/lock", &st, &err), "the other one's lock stays");
    fixture_reopen(&f);
    db_close(f.db);
    f.db = NULL;
    cr_expect(!io_stat_path(f.io, "/data/lock", &st, &err));
    error_clear(&err);
    fixture_fini(&f);
}
