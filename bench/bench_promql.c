/* bench_promql: what the engine itself takes for the query rows of the design's budget table, over
 * series in memory.
 *
 *     bench_promql [threads] [rounds]
 *
 * Reading is a copy of arrays here, so a database's decoding comes on top (about 3 to 6 ns a
 * sample). Prints the best of the rounds in milliseconds beside the budget of column "first". */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mem_storage.h"
#include "promql/engine.h"

#define STEP_MS   15000
#define SAMPLES   1680 /* seven hours at 15 s */
#define QUERY_END ((int64_t)SAMPLES * STEP_MS)

static const struct row {
    const char *name, *text;
    size_t steps;
    double budget_ms;
} rows[] = {
    { "sum of 20,000 series x 240", "sum(wide)", 240, 80 },
    { "histogram_quantile, 8,000 buckets x 360",
      "histogram_quantile(0.9, sum by (le, job) (rate(lat_bucket[5m])))", 360, 150 },
    { "sum by (instance) (rate), 1,000 x 360", "sum by (instance) (rate(req_total[5m]))", 360, 15 },
    { "quantile_over_time 30m, 500 x 360", "quantile_over_time(0.9, temp[30m])", 360, 500 },
    { "join of two rates, 1,000 x 360",
      "rate(req_total[5m]) / on (instance, path) rate(err_total[5m])", 360, 80 },
    { "max_over_time 1h, 500 x 360", "max_over_time(temp[1h])", 360, 0 },
    { "sum_over_time 1h, 500 x 360", "sum_over_time(temp[1h])", 360, 0 },
    { "topk 10 of 1,000 x 360", "topk(10, req_total)", 360, 0 },
    { "instant vector of 100", "hundred", 1, 1.5 },
    { "instant sum by (rate), 1,000", "sum by (instance) (rate(req_total[5m]))", 1, 0 },
};

static uint64_t state = 88172645463325252u;

static double
chance(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

static void
fill(struct mem_storage *s, struct labels labels, bool counter, size_t from)
{
    double v = counter ? 0 : 20;

    for (size_t i = from; i < SAMPLES; i++) {
        v += counter ? (double)(int64_t)(chance() * 10) : chance() - 0.5;
        if (counter && chance() < 0.0005)
            v = 0;
        mem_storage_add(s, labels, (int64_t)i * STEP_MS, v, NULL);
    }
}

static void
add_series(struct mem_storage *s, const char *name, size_t nr, size_t paths, const char *le,
           bool counter, size_t from)
{
    for (size_t i = 0; i < nr; i++) {
        char instance[32], path[32], job[32], bound[32];
        struct label l[5];
        size_t n = 0;

        snprintf(instance, sizeof instance, "host-%zu:9100", i / paths);
        snprintf(path, sizeof path, "/p%zu", i % paths);
        snprintf(job, sizeof job, "job-%zu", i / paths % 20);
        snprintf(bound, sizeof bound, i % paths == paths - 1 ? "+Inf" : "%g",
                 (double)(i % paths + 1) / 10);
        l[n++] = (struct label){ LABEL_NAME, str_c(name) };
        l[n++] = (struct label){ LABEL_INSTANCE, str_c(instance) };
        l[n++] = (struct label){ LABEL_JOB, str_c(job) };
        l[n++] = (struct label){ str_c(le), le[0] == 'l' ? str_c(bound) : str_c(path) };
        fill(s, (struct labels){ l, n }, counter, from);
    }
}

static double
run(struct engine *e, struct mem_storage *s, const struct row *r)
{
    struct query q = { .text = str_c(r->text), .end_ms = QUERY_END, .step_ms = STEP_MS };
    struct query_result result;
    struct error err = { 0 };
    int64_t from_ns = clock_monotonic_ns(clock_real());

    q.start_ms = QUERY_END - (int64_t)(r->steps - 1) * STEP_MS;
    if (r->steps == 1)
        q.step_ms = 0;
    if (!engine_query(e, mem_storage_queryable(s), &q, &result, &err)) {
        fprintf(stderr, "%s: %s\n", r->name, error_text(&err));
        exit(1);
    }
    double ms = (double)(clock_monotonic_ns(clock_real()) - from_ns) / 1e6;
    query_result_fini(&result);
    return ms;
}

int
main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : pool_cpus();
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    struct pool *pool = threads > 1 ? pool_new(threads - 1, "query") : NULL;
    struct engine_options o = { .pool = pool, .clock = clock_real() };
    struct engine *e = engine_new(&o);
    struct mem_storage *s = mem_storage_new();

    add_series(s, "wide", 20000, 100, "path", false, SAMPLES - 300);
    add_series(s, "lat_bucket", 8000, 10, "le", true, SAMPLES - 420);
    add_series(s, "req_total", 1000, 10, "path", true, SAMPLES - 420);
    add_series(s, "err_total", 1000, 10, "path", true, SAMPLES - 420);
    add_series(s, "temp", 500, 10, "path", false, SAMPLES - 800);
    add_series(s, "hundred", 100, 10, "path", false, SAMPLES - 100);
    printf("%u threads, best of %d\n", threads, rounds);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double best = 1e9;

        for (int k = 0; k < rounds; k++)
            best = MIN(best, run(e, s, &rows[i]));
        printf("%-46s %9.2f ms", rows[i].name, best);
        if (rows[i].budget_ms > 0)
            printf("   budget %6.1f", rows[i].budget_ms);
        printf("\n");
    }
    mem_storage_free(s);
    engine_free(e);
    pool_free(pool);
    return 0;
}
