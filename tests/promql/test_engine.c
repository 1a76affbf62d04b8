/* The engine as its callers see it: limits, deadlines, statistics, threads; numbers are the
 * scripts' business. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include "base/clock.h"
#include "mem_storage.h"
#include "promql/engine.h"

enum { STEP_MS = 15000, SAMPLES = 200 };

static void
add(struct mem_storage *s, const char *name, const char *i, const double *v, size_t nr)
{
    struct label l[] = { { LABEL_NAME, str_c(name) }, { STR("i"), str_c(i) } };

    for (size_t k = 0; k < nr; k++)
        mem_storage_add(s, (struct labels){ l, 2 }, (int64_t)k * STEP_MS, v[k], NULL);
}

/* Twenty counters with resets and one gauge with a spike. */
static struct mem_storage *
storage_new(void)
{
    struct mem_storage *s = mem_storage_new();
    double v[SAMPLES];
    char i[8];

    for (unsigned n = 0; n < 20; n++) {
        for (unsigned k = 0; k < SAMPLES; k++)
            v[k] = (k * (n + 1)) % 97 + 0.1 * n;
        snprintf(i, sizeof i, "%u", n);
        add(s, "c_total", i, v, SAMPLES);
    }
    for (unsigned k = 0; k < SAMPLES; k++)
        v[k] = k == 20 ? 1e17 : k == 60 ? INFINITY : 0.1;
    add(s, "spike", "0", v, SAMPLES);
    return s;
}

static struct query
range_query(const char *text)
{
    return (struct query){
        .text = str_c(text), .start_ms = 600000, .end_ms = 2400000, .step_ms = 30000
    };
}

static const char *
run(const struct engine_options *o, const struct query *q, struct query_result *result,
    struct error *err)
{
    struct mem_storage *s = storage_new();
    struct engine *e = engine_new(o);
    const char *text = NULL;

    if (!engine_query(e, mem_storage_queryable(s), q, result, err))
        text = error_text(err);
    engine_free(e);
    mem_storage_free(s);
    return text;
}

static const struct {
    const char *text;
    uint64_t peak, loaded;
} counted[] = {
    { "c_total", 20 * 61, 20 * 61 },
    { "sum(c_total)", 20 * 61, 20 * 61 },
    { "rate(c_total[5m])", 20 * 61 + 20, 20 * 61 * 20 },
    { "c_total{i=\"1\"} + 1", 61 + 61 + 60 + 3,
      61 }, /* both sides, results so far, one step at work */
    { "1", 61, 0 },
};

Test(engine, counts_samples_as_prometheus_does)
{
    for (size_t i = 0; i < ARRAY_LEN(counted); i++) {
        struct query q = range_query(counted[i].text);
        struct engine_options o = { 0 };
        struct query_result r;
        struct error err = { 0 };

        cr_assert_null(run(&o, &q, &r, &err));
        cr_expect_eq(r.stats.peak_samples, counted[i].peak, "%s: peak %lu", counted[i].text,
                     (unsigned long)r.stats.peak_samples);
        cr_expect_eq(r.stats.total_queryable_samples, counted[i].loaded, "%s: loaded %lu",
                     counted[i].text, (unsigned long)r.stats.total_queryable_samples);
        query_result_fini(&r);
    }
}

Test(engine, limits_samples_at_the_peak)
{
    for (size_t i = 0; i < ARRAY_LEN(counted); i++) {
        for (uint64_t below = 0; below < 2; below++) {
            struct query q = range_query(counted[i].text);
            struct engine_options o = { .samples_max = counted[i].peak - below };
            struct query_result r;
            struct error err = { 0 };
            const char *text = run(&o, &q, &r, &err);

            if (below == 0) {
                cr_expect_null(text, "%s: %s", counted[i].text, text);
                query_result_fini(&r);
            } else {
                cr_assert_not_null(text, "%s", counted[i].text);
                cr_expect_str_eq(
                    text,
                    "query processing would load too many samples into memory in query execution");
                cr_expect_eq(err.kind, ERR_LIMIT);
            }
            error_clear(&err);
        }
    }
}

Test(engine, counts_per_step_when_asked)
{
    struct query q = range_query("sum(c_total) + rate(c_total{i=\"3\"}[1m] @ 1000)");
    struct engine_options o = { .per_step_stats = true };
    struct query_result r;
    struct error err = { 0 };
    uint64_t sum = 0;

    q.per_step_stats = true;
    cr_assert_null(run(&o, &q, &r, &err));
    cr_assert_eq(r.stats.steps_nr, 61);
    for (size_t k = 0; k < r.stats.steps_nr; k++)
        sum += r.stats.samples_per_step[k];
    cr_expect_eq(sum, r.stats.total_queryable_samples);
    query_result_fini(&r);
}

/* A clock that runs a second further each time it is asked. */
struct hasty {
    struct clock base;
    _Atomic int64_t now_ns;
};

static int64_t
hasty_ns(const struct clock *c)
{
    return atomic_fetch_add(&((struct hasty *)(uintptr_t)c)->now_ns, 1000000000);
}

static uint64_t
hasty_random(const struct clock *c)
{
    (void)c;
    return 4;
}

Test(engine, gives_up_at_the_deadline)
{
    static const struct clock_ops ops = { hasty_ns, hasty_ns, hasty_random };
    struct hasty clock = { { &ops }, 0 };
    struct query q = range_query("sum(rate(c_total[5m]))");
    struct engine_options o = { .clock = &clock.base, .timeout_ms = 10000 };
    struct query_result r;
    struct error err = { 0 };

    cr_assert_str_eq(run(&o, &q, &r, &err), "query timed out in expression evaluation");
    cr_expect_eq(err.kind, ERR_TIMEOUT);
    o.timeout_ms = 1000000;
    q.timeout_ms = 5000; /* the shorter counts */
    cr_assert_str_eq(run(&o, &q, &r, &err), "query timed out in expression evaluation");
    error_clear(&err);
}

Test(engine, stops_when_the_client_has_gone)
{
    _Atomic bool gone = true;
    struct query q = range_query("c_total");
    struct engine_options o = { 0 };
    struct query_result r;
    struct error err = { 0 };

    q.canceled = &gone;
    cr_assert_str_eq(run(&o, &q, &r, &err), "query was canceled in expression evaluation");
    cr_expect_eq(err.kind, ERR_CANCELED);
    error_clear(&err);
}

Test(engine, refuses_what_needs_too_much_memory)
{
    struct query q = { .text = STR("c_total"), .start_ms = 0, .end_ms = 3000000, .step_ms = 1 };
    struct engine_options o = { .query_bytes_max = 1 << 20 };
    struct query_result r;
    struct error err = { 0 };

    cr_assert_not_null(run(&o, &q, &r, &err));
    cr_expect_eq(err.kind, ERR_LIMIT, "%s", error_text(&err));
    error_clear(&err);
}

static const struct {
    const char *text, *want;
    int64_t step_ms;
} refused[] = {
    { "c_total[5m]",
      "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
      1000 },
    { "\"x\"",
      "invalid expression type \"string\" for range query, must be Scalar or instant Vector",
      1000 },
    { "c_total", "zero or negative query resolution step widths are not accepted", -1 },
};

Test(engine, refuses_before_running)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct query q = range_query(refused[i].text);
        struct engine_options o = { 0 };
        struct query_result r;
        struct error err = { 0 };

        q.step_ms = refused[i].step_ms;
        cr_expect_str_eq(run(&o, &q, &r, &err), refused[i].want);
        cr_expect_eq(err.kind, ERR_INVALID);
        error_clear(&err);
    }
}

Test(engine, forgets_what_has_left_the_window)
{
    struct query q = { .text = STR("sum_over_time(spike[2m])"),
                       .start_ms = 0,
                       .end_ms = 2700000,
                       .step_ms = STEP_MS };
    struct engine_options o = { 0 };
    struct query_result r;
    struct error err = { 0 };

    cr_assert_null(run(&o, &q, &r, &err));
    cr_assert_eq(r.series_nr, 1);
    for (size_t k = 8; k < r.series[0].nr; k++) {
        double v = r.series[0].v[k];

        if (k >= 20 && k < 28)
            cr_expect(v >= 1e17);
        else if (k >= 60 && k < 68)
            cr_expect(isinf(v));
        else
            cr_expect_eq(v, 0.1 * 8, "step %zu: %.17g", k, v);
    }
    query_result_fini(&r);
}

static bool
same_results(const struct query_result *a, const struct query_result *b)
{
    if (a->series_nr != b->series_nr)
        return false;
    for (size_t i = 0; i < a->series_nr; i++) {
        const struct result_series *x = &a->series[i], *y = &b->series[i];

        if (x->nr != y->nr || !labels_eq(x->labels, y->labels) ||
            memcmp(x->t_ms, y->t_ms, x->nr * 8) != 0 || memcmp(x->v, y->v, x->nr * 8) != 0)
            return false;
    }
    return true;
}

static const char *const queries[] = {
    "sum(rate(c_total[5m]))",
    "avg by (i) (c_total)",
    "topk(3, c_total)",
    "quantile(0.3, c_total)",
    "c_total / on (i) rate(c_total[1m])",
    "c_total and on (i) (c_total > 50)",
    "count_values(\"v\", c_total)",
    "quantile_over_time(0.9, c_total[10m])",
    "max_over_time(rate(c_total[1m])[10m:30s])",
    "stddev(c_total) or vector(1)",
};

Test(engine, gives_the_same_bits_with_any_number_of_threads)
{
    struct pool *pool = pool_new(3, "query");

    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct query q = range_query(queries[i]);
        struct engine_options o = { 0 };
        struct query_result alone, together;
        struct error err = { 0 };

        cr_assert_null(run(&o, &q, &alone, &err));
        o.pool = pool;
        cr_assert_null(run(&o, &q, &together, &err));
        cr_expect(same_results(&alone, &together), "%s", queries[i]);
        query_result_fini(&alone);
        query_result_fini(&together);
    }
    pool_free(pool);
}

struct shared {
    struct engine *e;
    struct queryable *storage;
    const struct prepared *p;
    bool ok;
};

static void *
run_shared(void *arg)
{
    struct shared *s = arg;

    s->ok = true;
    for (int i = 0; i < 20; i++) {
        struct query q = range_query("");
        struct query_result r;
        struct error err = { 0 };

        q.end_ms += i * 1000;
        if (engine_run(s->e, s->storage, s->p, &q, &r, &err))
            query_result_fini(&r);
        else
            s->ok = false;
        error_clear(&err);
    }
    return NULL;
}

Test(engine, shares_a_prepared_query_and_few_places)
{
    struct engine_options o = { .concurrency_max = 2, .experimental_functions = true };
    struct engine *e = engine_new(&o);
    struct mem_storage *s = storage_new();
    struct prepared *p;
    struct error err = { 0 };
    struct shared shared[4];
    pthread_t threads[4];

    cr_assert(engine_prepare(e, STR("sum(rate(c_total[range()/10])) + step()"), &p, &err), "%s",
              error_text(&err));
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        shared[i] = (struct shared){ e, mem_storage_queryable(s), p, false };
        pthread_create(&threads[i], NULL, run_shared, &shared[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], NULL);
        cr_expect(shared[i].ok);
    }
    prepared_free(p);
    engine_free(e);
    mem_storage_free(s);
}

static const char *const long_queries[] = {
    "max(sum by (i) (c_total))",
    "sum(topk(3, c_total))",
    "sum(c_total / on (i) rate(c_total[1m]))",
    "count(quantile by (i) (0.5, c_total))",
};

Test(engine, runs_in_slices_when_memory_is_short)
{
    for (size_t i = 0; i < ARRAY_LEN(long_queries); i++) {
        struct query q = range_query(long_queries[i]);
        struct engine_options o = { 0 };
        struct query_result whole, sliced;
        struct error err = { 0 };

        q.step_ms = 100; /* 18,001 steps of 20 series: about 10 MB at once */
        cr_assert_null(run(&o, &q, &whole, &err));
        o.query_bytes_max = 6 << 20;
        const char *text = run(&o, &q, &sliced, &err);
        cr_assert_null(text, "%s: %s", long_queries[i], text);
        cr_expect(same_results(&whole, &sliced), "%s", long_queries[i]);
        cr_expect_eq(whole.stats.total_queryable_samples, sliced.stats.total_queryable_samples);
        query_result_fini(&whole);
        query_result_fini(&sliced);
    }
}

Test(engine, evaluates_equal_parts_once_and_counts_them_twice)
{
    struct query q = range_query("rate(c_total[5m]) / rate(c_total[5m]) + on () group_left () "
                                 "(sum(c_total) / (sum(c_total)))");
    struct query half = range_query("rate(c_total[5m])"), sum = range_query("sum(c_total)");
    struct engine_options o = { 0 };
    struct query_result r, one, two;
    struct error err = { 0 };

    cr_assert_null(run(&o, &q, &r, &err));
    cr_assert_null(run(&o, &half, &one, &err));
    cr_assert_null(run(&o, &sum, &two, &err));
    cr_expect_eq(r.series_nr, 20);
    for (size_t i = 0; i < r.series_nr; i++)
        for (size_t k = 0; k < r.series[i].nr; k++)
            cr_expect_eq(r.series[i].v[k], 2);
    cr_expect_eq(r.stats.total_queryable_samples,
                 2 * (one.stats.total_queryable_samples + two.stats.total_queryable_samples));
    query_result_fini(&r);
    query_result_fini(&one);
    query_result_fini(&two);
}

Test(engine, cuts_the_result_at_the_limit)
{
    struct query q = range_query("c_total");
    struct engine_options o = { 0 };
    struct query_result r;
    struct error err = { 0 };

    for (size_t limit = 19; limit <= 21; limit++) {
        q.limit = limit;
        cr_assert_null(run(&o, &q, &r, &err));
        cr_expect_eq(r.series_nr, MIN(limit, (size_t)20));
        cr_expect_eq(r.truncated, limit < 20);
        query_result_fini(&r);
    }
}

/* Sums of times and ranges must not overflow, wherever in the 64 bits a client puts them. */
Test(engine, takes_times_from_both_ends_of_the_world)
{
    static const int64_t times[] = { INT64_MIN, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX };
    static const char *const exprs[] = {
        "c_total",
        "rate(c_total[100y])",
        "c_total offset 250y",
        "c_total offset -250y",
        "c_total @ 9.2e15",
        "rate(c_total[1m] @ -9.2e15 offset 250y)",
        "sum_over_time(c_total[100y:1y] @ 9.2e15 offset -250y)",
        "max_over_time(rate(c_total[1m])[10m:1m])",
        "time() + timestamp(c_total @ start()) + month()",
    };

    for (size_t i = 0; i < ARRAY_LEN(times) * ARRAY_LEN(exprs) * 2; i++) {
        int64_t t_ms = times[i / 2 % ARRAY_LEN(times)];
        struct query q = { .text = str_c(exprs[i / 2 / ARRAY_LEN(times)]),
                           .start_ms = t_ms < 0 ? t_ms : t_ms - 1000 * (int64_t)(i % 2),
                           .step_ms = (int64_t)(i % 2) * 100 };
        q.end_ms = t_ms < 0 ? t_ms + 1000 : t_ms;
        struct engine_options o = { 0 };
        struct query_result result;
        struct error err = { 0 };
        const char *text = run(&o, &q, &result, &err);
        cr_expect_null(text, "%.*s at %" PRId64 ": %s", STR_ARG(q.text), t_ms, text);
        cr_expect_eq(result.series_nr, 0, "%.*s", STR_ARG(q.text));
        query_result_fini(&result);
        error_clear(&err);
    }
}
