/* lock, pool, clock, log. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/pool.h"

Test(lock, growing_ranks_are_fine_and_try_tells)
{
    struct lock outer, inner;
    struct rwlock shared;

    lock_init(&outer, LOCK_HEAD, "outer");
    lock_init(&inner, LOCK_SERIES, "inner");
    rwlock_init(&shared, LOCK_POSTINGS, "shared");
    for (int i = 0; i < 3; i++) {
        lock_take(&outer);
        lock_take(&inner);
        rwlock_read(&shared);
        lock_release(&outer); /* not in reverse order: allowed */
        rwlock_release(&shared);
        lock_release(&inner);
    }
    cr_expect(lock_try(&inner));
    lock_release(&inner);
    lock_fini(&outer);
    lock_fini(&inner);
    rwlock_fini(&shared);
}

#ifndef __OPTIMIZE__ /* only debug builds look */
Test(lock, a_broken_order_aborts, .signal = SIGABRT)
{
    struct lock outer, inner;

    lock_init(&outer, LOCK_HEAD, "outer");
    lock_init(&inner, LOCK_SERIES, "inner");
    lock_take(&inner);
    lock_take(&outer);
}
#endif

Test(lock, a_condition_times_out)
{
    struct lock l;
    struct cond c;

    lock_init(&l, LOCK_RANK_NONE, "l");
    cond_init(&c);
    lock_take(&l);
    cr_expect_not(cond_wait_ms(&c, &l, 1));
    lock_release(&l);
    cond_fini(&c);
    lock_fini(&l);
}

struct work {
    struct pool *pool;
    _Atomic unsigned calls[1000];
    _Atomic unsigned total;
};

static void
one(void *arg, size_t i)
{
    atomic_fetch_add(&((struct work *)arg)->calls[i], 1);
}

static void
nested(void *arg, size_t i)
{
    struct work *w = arg;

    pool_run(w->pool, 100, one, w);
    atomic_fetch_add(&w->total, 1);
}

static void
submitted(void *arg)
{
    nested(arg, 0);
}

Test(pool, runs_every_index_once_also_nested)
{
    static struct work w;

    w.pool = pool_new(3, "test");
    cr_expect_eq(pool_threads(w.pool), 3);
    pool_run(w.pool, 1000, one, &w);
    for (size_t i = 0; i < 1000; i++)
        cr_assert_eq(w.calls[i], 1);
    pool_run(w.pool, 50, nested, &w);
    for (size_t i = 0; i < 50; i++)
        pool_submit(w.pool, submitted, &w);
    pool_free(w.pool); /* waits for what was submitted */
    cr_expect_eq(w.total, 100);
    for (size_t i = 0; i < 1000; i++)
        cr_assert_eq(w.calls[i], i < 100 ? 101 : 1);
    pool_run(NULL, 10, one, &w);
    cr_expect_eq(w.calls[0], 102);
    pool_run(NULL, 0, one, &w);
    pool_free(NULL);
}

Test(pool, knows_at_least_one_cpu)
{
    cr_expect_geq(pool_cpus(), 1);
}

Test(clock, a_virtual_one_moves_when_told)
{
    struct clock_virtual c, d;

    clock_virtual_init(&c, -1, 7);
    clock_virtual_init(&d, -1, 7);
    int64_t mono = clock_monotonic_ns(&c.base);
    cr_expect_eq(clock_now_ms(&c.base), -1);
    clock_virtual_advance(&c, 1500);
    cr_expect_eq(clock_now_ms(&c.base), 1499);
    cr_expect_eq(clock_monotonic_ns(&c.base) - mono, 1500000000);
    clock_virtual_step_wall(&c, -5000);
    cr_expect_eq(clock_now_ms(&c.base), -3501);
    cr_expect_eq(clock_monotonic_ns(&c.base) - mono, 1500000000);
    cr_expect_eq(clock_random(&c.base), clock_random(&d.base));
    cr_expect_neq(clock_random(&c.base), clock_random(&d.base) + 1);
    cr_expect_neq(clock_random(clock_real()), clock_random(clock_real()));
}

static struct buf
logged(enum log_format format, enum log_level level)
{
    int pipes[2];
    struct buf text = { 0 };
    struct error err = { 0 };

    cr_assert_eq(pipe(pipes), 0);
    struct log_sink *sink = log_sink_new(pipes[1], level, format);
    struct log root = { sink, NULL }, log = log_with(&root, "scrape");
    error_set(&err, ERR_IO, "it \"broke\"\n");
    log_info(&log, "append failed, dropped", LOG_C("target", "http://x?a=b"), LOG_E(&err),
             LOG_I("samples", -3), LOG_F("ratio", 0.5), LOG_B("ok", false), LOG_C("plain", "word"));
    log_debug(&log, "not shown");
    log_error(&root, "bare");
    log_error(&log_none, "nowhere");
    close(pipes[1]);
    for (ssize_t n; (n = read(pipes[0], buf_reserve(&text, 4096), 4096)) > 0;)
        text.n += (size_t)n;
    close(pipes[0]);
    log_sink_free(sink);
    error_clear(&err);
    return text;
}

Test(log, writes_logfmt_as_slog_does)
{
    struct buf text = logged(LOG_LOGFMT, LOG_INFO);
    const char *line = buf_z(&text);

    cr_expect(strncmp(line, "time=20", 7) == 0);
    cr_expect(strstr(line, "Z level=INFO source=test_threads.c:") != NULL);
    cr_expect(strstr(line,
                     " msg=\"append failed, dropped\" component=scrape target=\"http://x?a=b\" "
                     "err=\"it \\\"broke\\\"\\n\" samples=-3 ratio=0.5 ok=false plain=word\n") !=
                  NULL,
              "%s", line);
    cr_expect(strstr(line, " msg=bare\n") != NULL && strstr(line, "not shown") == NULL);
    buf_fini(&text);
}

Test(log, writes_json)
{
    struct buf text = logged(LOG_JSON, LOG_ERROR);

    cr_expect(strncmp(buf_z(&text), "{\"time\":\"20", 11) == 0, "%s", buf_z(&text));
    cr_expect(strstr(buf_z(&text), ",\"msg\":\"bare\"}\n") != NULL);
    cr_expect(strstr(buf_z(&text), "append") == NULL);
    buf_fini(&text);
}

Test(log, a_throttle_lets_one_through_and_counts)
{
    struct log_throttle t = { 0 };
    uint64_t held = 99;

    cr_expect(log_throttle_pass(&t, 1000, 10, &held) && held == 0);
    cr_expect_not(log_throttle_pass(&t, 2000, 10, &held));
    cr_expect_not(log_throttle_pass(&t, 10000999, 10, &held));
    cr_expect(log_throttle_pass(&t, 10001000, 10, &held) && held == 2);
}
