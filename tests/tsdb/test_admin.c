/* Deleting series, rewriting blocks, snapshots: over blocks and head together. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include "base/fault_io.h"
#include "base/mem.h"
#include "tsdb/db.h"

#define T0      INT64_C(1700006400000) /* a multiple of two hours */
#define STEP_MS INT64_C(60000)
enum { SERIES = 5, STEPS = 9 * 60 };

struct fixture {
    struct mem_io mem;
    const struct io *io;
    struct clock_virtual clock;
    struct db *db;
};

static bool
open_at(struct fixture *f, const char *path, struct db **db, struct error *err)
{
    struct db_options o = { .no_maintenance = true,
                            .wal_sync = DB_SYNC_COMMIT,
                            .wal_segment_bytes = 64 << 10,
                            .log = log_none };

    return db_open(path, f->io, &f->clock.base, &o, db, err);
}

static bool
append(struct db *db, int64_t t_ms, struct error *err)
{
    struct append_options o = { .must_be_durable = true };
    struct appender *a = append_begin(db_appendable(db), &o);

    for (uint32_t i = 0; i < SERIES; i++) {
        char text[16];
        snprintf(text, sizeof text, "i%u", i);
        struct label l[] = { { LABEL_NAME, STR("up") }, { LABEL_INSTANCE, str_c(text) } };
        series_ref ref = SERIES_REF_NONE;
        cr_assert_eq(append_sample(a, &ref, (struct labels){ l, 2 }, 0, t_ms, (double)(t_ms + i)),
                     APPEND_OK);
    }
    return append_commit(a, err);
}

/* Nine hours: three blocks and a head. */
static void
fill(struct fixture *f)
{
    struct error err = { 0 };

    for (int64_t i = 0; i < STEPS; i++) {
        cr_assert(append(f->db, T0 + i * STEP_MS, &err), "%s", error_text(&err));
        if (i % 60 == 59)
            cr_assert(db_maintain(f->db, &err), "%s", error_text(&err));
    }
}

static void
fixture_init(struct fixture *f)
{
    struct error err = { 0 };

    mem_io_init(&f->mem);
    f->io = &f->mem.io;
    clock_virtual_init(&f->clock, T0, 1);
    cr_assert(open_at(f, "/data", &f->db, &err), "%s", error_text(&err));
    fill(f);
}

static void
fixture_reopen(struct fixture *f)
{
    struct error err = { 0 };

    db_close(f->db);
    cr_assert(open_at(f, "/data", &f->db, &err), "%s", error_text(&err));
}

static void
fixture_fini(struct fixture *f)
{
    db_close(f->db);
    mem_io_fini(&f->mem);
}

/* How many samples the series has; each must have its value. */
static size_t
count(struct db *db, uint32_t series)
{
    struct querier *q;
    struct error err = { 0 };
    struct sample_buf b;
    struct arena arena;
    struct matcher m;
    struct series_set *set;
    char text[16];

    arena_init(&arena, SIZE_MAX);
    snprintf(text, sizeof text, "i%u", series);
    cr_assert(querier_open(db_queryable(db), INT64_MIN, INT64_MAX, &q, &err));
    cr_assert(matcher_init(&m, MATCH_EQ, LABEL_INSTANCE, str_c(text), &arena, &err));
    cr_assert(querier_select(q, &m, 1, NULL, &set, &err), "%s", error_text(&err));
    sample_buf_init(&b, NULL);
    if (set->nr == 1)
        cr_assert(series_read(set, 0, INT64_MIN, INT64_MAX, &b, &err), "%s", error_text(&err));
    size_t nr = b.nr;
    for (size_t i = 0; i < nr; i++)
        cr_assert_eq(b.v[i], (double)(b.t_ms[i] + series));
    sample_buf_fini(&b);
    matcher_fini(&m);
    querier_close(q);
    arena_fini(&arena);
    return nr;
}

static bool
delete_series(struct db *db, const char *instance, int64_t min_ms, int64_t max_ms,
              struct error *err)
{
    struct arena arena;
    struct matcher m;

    arena_init(&arena, SIZE_MAX);
    cr_assert(matcher_init(&m, MATCH_RE, LABEL_INSTANCE, str_c(instance), &arena, err));
    bool ok = db_delete_series(db, &m, 1, min_ms, max_ms, NULL, err);
    matcher_fini(&m);
    arena_fini(&arena);
    return ok;
}

/* Every block's meta.json together. */
static void
metas(struct db *db, struct buf *out)
{
    struct arena arena;
    struct str *v;
    size_t nr;

    arena_init(&arena, SIZE_MAX);
    db_blocks(db, &arena, &v, &nr);
    buf_reset(out);
    for (size_t i = 0; i < nr; i++)
        buf_str(out, v[i]);
    (void)buf_z(out);
    arena_fini(&arena);
}

static void
expect_counts(struct db *db, const size_t want[SERIES], const char *when)
{
    for (uint32_t s = 0; s < SERIES; s++)
        cr_expect_eq(count(db, s), want[s], "%s: series %u has %zu of %zu", when, s, count(db, s),
                     want[s]);
}

Test(admin, deletes_from_blocks_and_head)
{
    static const struct {
        const char *name, *instance;
        int64_t from, to; /* minutes, both included */
        size_t want[SERIES];
    } cases[] = {
        { "nothing matches", "none", 0, STEPS, { STEPS, STEPS, STEPS, STEPS, STEPS } },
        { "ends before it begins", ".+", 60, 30, { STEPS, STEPS, STEPS, STEPS, STEPS } },
        { "one in the middle of blocks",
          "i1",
          30,
          200,
          { STEPS, STEPS - 171, STEPS, STEPS, STEPS } },
        { "the same again", "i1", 30, 200, { STEPS, STEPS - 171, STEPS, STEPS, STEPS } },
        { "overlapping", "i1", 100, 209, { STEPS, STEPS - 180, STEPS, STEPS, STEPS } },
        { "from the head alone",
          "i2",
          530,
          2000,
          { STEPS, STEPS - 180, STEPS - 10, STEPS, STEPS } },
        { "two of them, whole",
          "i3|i4",
          -1000000,
          1000000,
          { STEPS, STEPS - 180, STEPS - 10, 0, 0 } },
    };
    struct fixture f;
    struct error err = { 0 };
    struct buf text = { 0 };
    const size_t *last = cases[ARRAY_LEN(cases) - 1].want;

    fixture_init(&f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cr_assert(delete_series(f.db, cases[i].instance, T0 + cases[i].from * STEP_MS,
                                T0 + cases[i].to * STEP_MS, &err),
                  "%s", error_text(&err));
        expect_counts(f.db, cases[i].want, cases[i].name);
    }
    metas(f.db, &text);
    cr_expect_not_null(strstr(buf_z(&text), "numTombstones"));
    fixture_reopen(&f);
    expect_counts(f.db, last, "after a restart");
    cr_assert(db_clean_tombstones(f.db, &err), "%s", error_text(&err));
    metas(f.db, &text);
    cr_expect_null(strstr(buf_z(&text), "numTombstones"));
    expect_counts(f.db, last, "cleaned");
    fixture_reopen(&f);
    expect_counts(f.db, last, "cleaned, after a restart");
    for (int64_t i = STEPS; i < 2 * STEPS; i++) {
        cr_assert(append(f.db, T0 + i * STEP_MS, &err), "%s", error_text(&err));
        if (i % 60 == 59)
            cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
    }
    static const size_t later[SERIES] = { 2 * STEPS, 2 * STEPS - 180, 2 * STEPS - 10, STEPS,
                                          STEPS };
    expect_counts(f.db, later, "what comes later is not concerned");
    buf_fini(&text);
    fixture_fini(&f);
}

Test(admin, cleaning_can_leave_no_block)
{
    static const size_t none[SERIES] = { 0 };
    struct fixture f;
    struct error err = { 0 };
    struct buf text = { 0 };

    fixture_init(&f);
    cr_assert(delete_series(f.db, ".+", INT64_MIN, INT64_MAX, &err), "%s", error_text(&err));
    expect_counts(f.db, none, "deleted");
    cr_assert(db_clean_tombstones(f.db, &err), "%s", error_text(&err));
    metas(f.db, &text);
    cr_expect_eq(text.n, 0, "%s", buf_z(&text));
    fixture_reopen(&f);
    expect_counts(f.db, none, "after a restart");
    buf_fini(&text);
    fixture_fini(&f);
}

Test(admin, a_query_that_is_open_is_not_disturbed)
{
    struct fixture f;
    struct error err = { 0 };
    struct querier *q;
    struct series_set *set;
    struct sample_buf b;

    fixture_init(&f);
    cr_assert(querier_open(db_queryable(f.db), T0, T0 + 100 * STEP_MS, &q, &err));
    cr_assert(querier_select(q, NULL, 0, NULL, &set, &err));
    cr_assert(delete_series(f.db, ".+", T0, T0 + 100 * STEP_MS, &err));
    cr_assert(db_clean_tombstones(f.db, &err), "%s", error_text(&err));
    sample_buf_init(&b, NULL);
    cr_assert(series_read(set, 0, T0, T0 + 100 * STEP_MS, &b, &err), "%s", error_text(&err));
    cr_expect_eq(b.nr, 101);
    sample_buf_fini(&b);
    querier_close(q);
    cr_expect_eq(count(f.db, 0), STEPS - 101);
    fixture_fini(&f);
}

Test(admin, a_snapshot_is_a_database)
{
    static const size_t want[SERIES] = { STEPS, STEPS - 100, STEPS, STEPS, STEPS };
    struct fixture f;
    struct error err = { 0 };

    fixture_init(&f);
    cr_assert(delete_series(f.db, "i1", T0, T0 + 99 * STEP_MS, &err));
    for (int skip_head = 0; skip_head < 2; skip_head++) {
        char name[DB_SNAPSHOT_NAME_BYTES], path[128];
        struct db *copy;
        cr_assert(db_snapshot(f.db, skip_head, name, &err), "%s", error_text(&err));
        cr_expect_eq(strlen(name), 33);
        cr_expect(memcmp(name, "20231115T000000Z-", 17) == 0, "%s", name);
        snprintf(path, sizeof path, "/data/snapshots/%s", name);
        cr_assert(open_at(&f, path, &copy, &err), "%s", error_text(&err));
        if (skip_head)
            cr_expect(count(copy, 0) < STEPS && count(copy, 0) >= STEPS / 2);
        else
            expect_counts(copy, want, "snapshot");
        cr_assert(delete_series(copy, ".+", INT64_MIN, INT64_MAX, &err));
        cr_assert(db_clean_tombstones(copy, &err), "%s", error_text(&err));
        db_close(copy);
        expect_counts(f.db, want, "the original, whatever is done to its copy");
    }
    fixture_reopen(&f);
    expect_counts(f.db, want, "the original after a restart");
    fixture_fini(&f);
}

/* Each call fails in turn, once. Told that it is done, it is done; in any case nothing else is gone
 * and the next try succeeds. */
Test(admin, survives_any_failing_call)
{
    for (uint32_t nth = 1, fired = 1; fired; nth += 1 + nth / 40) {
        struct fault_io fio;
        struct fixture f = { .io = NULL };
        struct error err = { 0 };
        char name[DB_SNAPSHOT_NAME_BYTES];

        fault_io_init(&fio, (struct fault){ 0 });
        f.io = &fio.io;
        clock_virtual_init(&f.clock, T0, nth);
        cr_assert(open_at(&f, "/data", &f.db, &err), "%s", error_text(&err));
        fill(&f);
        fio.fault.nth = atomic_load(&fio.calls_nr) + nth;
        fio.fault.sys = nth % 2 == 0 ? EIO : ENOSPC;
        bool deleted = delete_series(f.db, "i1", T0 + 30 * STEP_MS, T0 + 529 * STEP_MS, &err);
        error_clear(&err);
        cr_expect(!deleted || count(f.db, 1) == STEPS - 500, "call %u", nth);
        bool cleaned = db_clean_tombstones(f.db, &err);
        error_clear(&err);
        bool shot = db_snapshot(f.db, false, name, &err);
        error_clear(&err);
        fired = fault_io_crash(&fio);
        cr_expect(fired || (deleted && cleaned && shot), "call %u", nth);
        for (int again = 0; again < 2; again++) {
            cr_expect_eq(count(f.db, 0), STEPS, "call %u", nth);
            cr_assert(delete_series(f.db, "i1", T0 + 30 * STEP_MS, T0 + 529 * STEP_MS, &err),
                      "call %u: %s", nth, error_text(&err));
            cr_assert(db_clean_tombstones(f.db, &err), "call %u: %s", nth, error_text(&err));
            cr_expect_eq(count(f.db, 1), STEPS - 500, "call %u", nth);
            cr_expect_eq(count(f.db, 4), STEPS, "call %u", nth);
            if (again == 0)
                fixture_reopen(&f);
        }
        db_close(f.db);
        fault_io_fini(&fio);
    }
}
