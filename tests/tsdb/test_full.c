/* A full disk: what nobody was promised goes on in memory and reaches the WAL when there is room,
 * before anything newer; pushes are refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include "base/fault_io.h"
#include "base/mem.h"
#include "tsdb/db.h"

#define T0      INT64_C(1700006400000) /* a multiple of two hours */
#define STEP_MS INT64_C(15000)
#define PLENTY  (UINT64_C(1) << 30)

struct fixture {
    struct mem_io mem;
    struct clock_virtual clock;
    struct db_options o;
    struct db *db;
};

static void
fixture_open(struct fixture *f)
{
    struct error err = { 0 };

    f->o.metrics = metrics_new();
    cr_assert(db_open("/data", &f->mem.io, &f->clock.base, &f->o, &f->db, &err), "%s",
              error_text(&err));
}

static void
fixture_close(struct fixture *f)
{
    db_close(f->db);
    metrics_free(f->o.metrics);
}

static void
fixture_init(struct fixture *f)
{
    *f = (struct fixture){ .o = { .no_maintenance = true,
                                  .wal_sync = DB_SYNC_COMMIT,
                                  .wal_segment_bytes = 64 << 10,
                                  .log = log_none } };
    mem_io_init(&f->mem);
    clock_virtual_init(&f->clock, T0, 1);
    fixture_open(f);
}

static void
fixture_fini(struct fixture *f)
{
    fixture_close(f);
    mem_io_fini(&f->mem);
}

/* One sample for each of series from..to-1. */
static bool
append(struct db *db, uint32_t from, uint32_t to, int64_t t_ms, bool push, struct error *err)
{
    struct append_options o = { .must_be_durable = push };
    struct appender *a = append_begin(db_appendable(db), &o);

    for (uint32_t i = from; i < to; i++) {
        char text[16];
        snprintf(text, sizeof text, "i%u", i);
        struct label l[] = { { LABEL_NAME, STR("up") }, { LABEL_INSTANCE, str_c(text) } };
        series_ref ref = SERIES_REF_NONE;
        cr_assert_eq(append_sample(a, &ref, (struct labels){ l, 2 }, 0, t_ms, (double)(t_ms + i)),
                     APPEND_OK);
    }
    return append_commit(a, err);
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

static void
expect_metric(struct fixture *f, const char *line)
{
    struct buf text = { 0 };

    metrics_write_text(f->o.metrics, &text, 0);
    cr_expect_not_null(strstr(buf_z(&text), line), "%s", line);
    buf_fini(&text);
}

/* Long enough to finish chunks meanwhile; a series that exists and one that is new. */
Test(full, scrapes_go_on_in_memory_and_reach_the_disk)
{
    struct fixture f;
    struct error err = { 0 };
    int64_t t_ms = T0;

    fixture_init(&f);
    for (int i = 0; i < 10; i++, t_ms += STEP_MS)
        cr_assert(append(f.db, 0, 3, t_ms, false, &err));
    mem_io_set_space(&f.mem, 1);
    for (int i = 0; i < 300; i++, t_ms += STEP_MS) {
        cr_assert(append(f.db, 0, 6, t_ms, false, &err), "%s", error_text(&err));
        cr_assert(!append(f.db, 6, 7, t_ms, true, &err));
        cr_assert_eq(err.kind, ERR_FULL);
        error_clear(&err);
        if (i % 50 == 0)
            error_ignored(db_maintain(f.db, &err));
        error_clear(&err);
    }
    cr_expect_eq(count(f.db, 0), 310);
    cr_expect_eq(count(f.db, 4), 300);
    cr_expect_eq(count(f.db, 6), 0);
    expect_metric(&f, "narthex_wal_held_batches_total 300\n");
    expect_metric(&f, "narthex_wal_refused_batches_total 300\n");
    mem_io_set_space(&f.mem, PLENTY);
    cr_assert(append(f.db, 6, 7, t_ms, true, &err), "%s", error_text(&err));
    cr_assert(append(f.db, 0, 6, t_ms, false, &err), "%s", error_text(&err));
    expect_metric(&f, "narthex_wal_held_bytes 0\n");
    cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
    for (int opened = 0; opened < 2; opened++) {
        cr_expect_eq(count(f.db, 0), 311);
        cr_expect_eq(count(f.db, 4), 301);
        cr_expect_eq(count(f.db, 6), 1);
        fixture_close(&f);
        fixture_open(&f);
    }
    fixture_fini(&f);
}

Test(full, closing_writes_what_waits_when_there_is_room_again)
{
    struct fixture f;
    struct error err = { 0 };

    fixture_init(&f);
    mem_io_set_space(&f.mem, 1);
    for (int i = 0; i < 20; i++)
        cr_assert(append(f.db, 0, 3, T0 + i * STEP_MS, false, &err));
    mem_io_set_space(&f.mem, PLENTY);
    fixture_close(&f);
    fixture_open(&f);
    cr_expect_eq(count(f.db, 2), 20);
    fixture_fini(&f);
}

Test(full, refuses_beyond_the_bound_and_goes_on_afterwards)
{
    struct fixture f;
    struct error err = { 0 };
    int64_t t_ms = T0;
    size_t kept = 0;

    fixture_init(&f);
    fixture_close(&f);
    f.o.held_bytes_max = 4000;
    fixture_open(&f);
    mem_io_set_space(&f.mem, 1);
    for (; append(f.db, 0, 3, t_ms, false, &err); t_ms += STEP_MS)
        kept++;
    cr_expect_eq(err.kind, ERR_FULL);
    cr_expect(kept > 10 && kept < 60, "%zu", kept);
    error_clear(&err);
    cr_expect_eq(count(f.db, 1), kept, "a refused batch is not seen");
    expect_metric(&f, "narthex_wal_refused_batches_total 1\n");
    mem_io_set_space(&f.mem, PLENTY);
    cr_assert(append(f.db, 0, 3, t_ms, false, &err), "%s", error_text(&err));
    fixture_close(&f);
    fixture_open(&f);
    cr_expect_eq(count(f.db, 1), kept + 1);
    fixture_fini(&f);
}

/* The disk fills in the middle of anything: each limit in turn, then there is room. */
Test(full, loses_nothing_wherever_the_disk_fills)
{
    for (uint64_t bytes = 1; bytes < 12000; bytes += 97) {
        struct fixture f;
        struct error err = { 0 };

        fixture_init(&f);
        cr_assert(append(f.db, 0, 5, T0, false, &err));
        mem_io_set_space(&f.mem, bytes);
        for (int i = 1; i < 130; i++)
            cr_assert(append(f.db, 0, 5, T0 + i * STEP_MS, false, &err), "%s", error_text(&err));
        mem_io_set_space(&f.mem, PLENTY);
        cr_assert(append(f.db, 0, 5, T0 + 130 * STEP_MS, false, &err));
        fixture_close(&f);
        fixture_open(&f);
        for (uint32_t s = 0; s < 5; s++)
            cr_assert_eq(count(f.db, s), 131, "%llu bytes", (unsigned long long)bytes);
        fixture_fini(&f);
    }
}

/* A device that refuses one call, whichever: nothing a push was promised is lost, nothing is there
 * twice. */
Test(full, a_refusing_device_is_like_a_full_disk)
{
    for (uint32_t nth = 40; nth < 400; nth += 7) {
        struct fault_io fio;
        struct clock_virtual clock;
        struct db_options o = { .no_maintenance = true,
                                .wal_sync = DB_SYNC_COMMIT,
                                .wal_segment_bytes = 64 << 10,
                                .log = log_none };
        struct error err = { 0 };
        struct db *db = NULL;
        size_t taken = 0;

        fault_io_init(&fio, (struct fault){ .nth = nth, .sys = EIO, .short_write = nth % 2 == 0 });
        clock_virtual_init(&clock, T0, nth);
        if (!db_open("/data", &fio.io, &clock.base, &o, &db, &err)) {
            error_clear(&err);
            fault_io_fini(&fio);
            continue;
        }
        for (int i = 0; i < 130; i++)
            taken += append(db, 0, 2, T0 + i * STEP_MS, false, &err);
        error_clear(&err);
        cr_assert_eq(taken, 130, "call %u", nth);
        db_close(db);
        fault_io_crash(&fio);
        cr_assert(db_open("/data", &fio.io, &clock.base, &o, &db, &err), "%s", error_text(&err));
        cr_assert_eq(count(db, 1), 130, "call %u", nth);
        db_close(db);
        fault_io_fini(&fio);
    }
}

/* Hours of it: the head cannot be cut, blocks cannot be merged, and every try is cleaned up. */
Test(full, cutting_and_merging_catch_up)
{
    enum { HOURS = 3600000 / 15000 };
    struct fixture f;
    struct error err = { 0 };
    int64_t i = 0;

    fixture_init(&f);
    for (uint64_t room = 1; room < 1 << 20; room *= 64) {
        for (int64_t end = i + 7 * HOURS; i < end; i++) {
            cr_assert(append(f.db, 0, 4, T0 + i * STEP_MS, false, &err));
            if (i % HOURS == 0)
                cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
        }
        mem_io_set_space(&f.mem, room);
        for (int64_t end = i + 7 * HOURS; i < end; i++) {
            cr_assert(append(f.db, 0, 4, T0 + i * STEP_MS, false, &err), "%s", error_text(&err));
            if (i % HOURS == 0)
                error_ignored(db_maintain(f.db, &err));
            error_clear(&err);
        }
        cr_expect_eq(count(f.db, 1), (size_t)i, "while the disk is full");
        mem_io_set_space(&f.mem, PLENTY);
        cr_assert(db_maintain(f.db, &err), "%s", error_text(&err));
        cr_expect_eq(count(f.db, 1), (size_t)i, "there is room again");
        fixture_close(&f);
        fixture_open(&f);
        cr_expect_eq(count(f.db, 1), (size_t)i, "after a restart");
    }
    struct io_dir_list list;
    cr_assert(io_list(&f.mem.io, "/data", &list, &err));
    for (size_t k = 0; k < list.nr; k++)
        cr_expect_null(strstr(list.entries[k].name, ".tmp"), "%s", list.entries[k].name);
    io_dir_list_fini(&list);
    fixture_fini(&f);
}
