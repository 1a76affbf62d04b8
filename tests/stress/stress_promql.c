/* Many threads query one engine with one pool at once, some of them canceled halfway: for the
 * thread sanitizer. Answers must be the ones of a quiet engine. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mem_storage.h"
#include "promql/engine.h"

enum { THREADS = 4, ROUNDS = 12, SERIES = 60, SAMPLES = 120, STEP_MS = 15000 };

static const char *const queries[] = {
    "sum by (i) (rate(c_total[2m]))",
    "histogram_quantile(0.9, c_total)",
    "topk(3, c_total) or quantile(0.5, c_total)",
    "c_total / on (i, le) rate(c_total[1m])",
    "max_over_time(sum(c_total)[5m:15s]) + rate(c_total[2m]) / rate(c_total[2m])",
    "rate(g[2m])",
    "count_values(\"v\", g) and on () sum(c_total)",
};

struct stress {
    struct engine *e;
    struct queryable *storage;
    double want[ARRAY_LEN(queries)];
    _Atomic int failures;
};

static struct mem_storage *
storage_new(void)
{
    struct mem_storage *s = mem_storage_new();

    for (int n = 0; n < SERIES; n++) {
        char i[8], le[8];
        struct label l[] = { { LABEL_NAME, n % 5 == 0 ? STR("g") : STR("c_total") },
                             { STR("i"), { i, 0 } },
                             { STR("le"), { le, 0 } } };

        l[1].value.n = (size_t)snprintf(i, sizeof i, "%d", n / 6);
        l[2].value.n = (size_t)snprintf(le, sizeof le, n % 6 == 5 ? "+Inf" : "%d", n % 6);
        for (int k = 0; k < SAMPLES; k++)
            mem_storage_add(s, (struct labels){ l, 3 }, (int64_t)k * STEP_MS, (k * (n + 1)) % 71,
                            NULL);
    }
    return s;
}

static bool
ask(struct stress *s, size_t which, const _Atomic bool *canceled, double *sum)
{
    struct query q = { .text = str_c(queries[which]),
                       .start_ms = 300000,
                       .end_ms = 1500000,
                       .step_ms = 30000,
                       .canceled = canceled };
    struct query_result r;
    struct error err = { 0 };

    if (!engine_query(s->e, s->storage, &q, &r, &err)) {
        bool expected = err.kind == ERR_CANCELED;
        error_clear(&err);
        *sum = NAN;
        return expected;
    }
    *sum = 0;
    for (size_t i = 0; i < r.series_nr; i++)
        for (size_t k = 0; k < r.series[i].nr; k++)
            *sum += isfinite(r.series[i].v[k]) ? r.series[i].v[k] : 1;
    query_result_fini(&r);
    return true;
}

static void *
worker(void *arg)
{
    struct stress *s = arg;
    _Atomic bool canceled = false;

    for (size_t i = 0; i < ROUNDS * ARRAY_LEN(queries); i++) {
        size_t which = i % ARRAY_LEN(queries);
        double sum;

        atomic_store(&canceled, i % 17 == 16);
        if (!ask(s, which, &canceled, &sum) || (!isnan(sum) && sum != s->want[which]))
            atomic_fetch_add(&s->failures, 1);
    }
    return NULL;
}

int
main(void)
{
    struct pool *pool = pool_new(3, "query");
    struct engine_options o = { .pool = pool, .concurrency_max = 3 };
    struct mem_storage *mem = storage_new();
    struct stress s = { .e = engine_new(&o), .storage = mem_storage_queryable(mem) };
    pthread_t threads[THREADS];

    for (size_t i = 0; i < ARRAY_LEN(queries); i++)
        if (!ask(&s, i, NULL, &s.want[i]))
            return 1;
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, worker, &s);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    engine_free(s.e);
    pool_free(pool);
    mem_storage_free(mem);
    printf("%d answers differed\n", s.failures);
    return s.failures == 0 ? 0 : 1;
}
