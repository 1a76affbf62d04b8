/* bench_promql: what the engine takes for the query rows of the design's budget table.
 *
 *     bench_promql [threads] [rounds] [empty directory]
 *
 * With a directory the series are in a database there (head chunks), else in memory, where reading
 * is a copy of arrays. Prints the best of the rounds in milliseconds beside the budget of column
 * "first". */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mem_storage.h"
#include "promql/engine.h"
#include "tsdb/db.h"

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

/* All series, filled step by step as scrapes do. */
struct source {
    struct labels labels;
    size_t from; /* first step */
    bool counter;
    double v;
    series_ref ref;
};

struct sink {
    struct mem_storage *mem; /* or */
    struct db *db;
    struct arena arena;
    struct source *sources;
    size_t nr, cap;
};

static void
add_series(struct sink *s, const char *name, size_t nr, size_t paths, const char *le, bool counter,
           size_t from)
{
    for (size_t i = 0; i < nr; i++) {
        char instance[32], path[32], job[32], bound[32];
        struct label l[4];

        snprintf(instance, sizeof instance, "host-%zu:9100", i / paths);
        snprintf(path, sizeof path, "/p%zu", i % paths);
        snprintf(job, sizeof job, "job-%zu", i / paths % 20);
        snprintf(bound, sizeof bound, i % paths == paths - 1 ? "+Inf" : "%g",
                 (double)(i % paths + 1) / 10);
        l[0] = (struct label){ LABEL_NAME, str_c(name) };
        l[1] = (struct label){ LABEL_INSTANCE, str_c(instance) };
        l[2] = (struct label){ LABEL_JOB, str_c(job) };
        l[3] = (struct label){ str_c(le), le[0] == 'l' ? str_c(bound) : str_c(path) };
        MEM_GROW(s->sources, s->nr + 1, &s->cap);
        s->sources[s->nr++] =
            (struct source){ .labels = labels_copy(&s->arena, (struct labels){ l, 4 }),
                             .from = SAMPLES - from,
                             .counter = counter,
                             .v = counter ? 0 : 20 };
    }
}

static double
next_value(struct source *x)
{
    x->v += x->counter ? (double)(int64_t)(chance() * 10) : chance() - 0.5;
    if (x->counter && chance() < 0.0005)
        x->v = 0;
    return x->v;
}

static void
fill_memory(struct sink *s)
{
    for (size_t k = 0; k < s->nr; k++)
        for (size_t i = s->sources[k].from; i < SAMPLES; i++)
            mem_storage_add(s->mem, s->sources[k].labels, (int64_t)i * STEP_MS,
                            next_value(&s->sources[k]), NULL);
}

static void
fill_database(struct sink *s)
{
    struct error err = { 0 };

    for (size_t i = 0; i < SAMPLES; i++) {
        struct append_options o = { 0 };
        struct appender *a = append_begin(db_appendable(s->db), &o);

        for (size_t k = 0; k < s->nr; k++)
            if (i >= s->sources[k].from)
                append_sample(a, &s->sources[k].ref, s->sources[k].labels, 0, (int64_t)i * STEP_MS,
                              next_value(&s->sources[k]));
        if (!append_commit(a, &err)) {
            fprintf(stderr, "append: %s\n", error_text(&err));
            exit(1);
        }
    }
}

static void
fill(struct sink *s)
{
    add_series(s, "wide", 20000, 100, "path", false, 300);
    add_series(s, "lat_bucket", 8000, 10, "le", true, 420);
    add_series(s, "req_total", 1000, 10, "path", true, 420);
    add_series(s, "err_total", 1000, 10, "path", true, 420);
    add_series(s, "temp", 500, 10, "path", false, 800);
    add_series(s, "hundred", 100, 10, "path", false, 100);
    if (s->db != NULL)
        fill_database(s);
    else
        fill_memory(s);
}

static double
run(struct engine *e, struct queryable *storage, const struct row *r)
{
    struct query q = { .text = str_c(r->text), .end_ms = QUERY_END, .step_ms = STEP_MS };
    struct query_result result;
    struct error err = { 0 };
    int64_t from_ns = clock_monotonic_ns(clock_real());

    q.start_ms = QUERY_END - (int64_t)(r->steps - 1) * STEP_MS;
    if (r->steps == 1)
        q.step_ms = 0;
    if (!engine_query(e, storage, &q, &result, &err)) {
        fprintf(stderr, "%s: %s\n", r->name, error_text(&err));
        exit(1);
    }
    double ms = (double)(clock_monotonic_ns(clock_real()) - from_ns) / 1e6;
    query_result_fini(&result);
    return ms;
}

static struct queryable *
open_sink(struct sink *s, const char *dir)
{
    struct db_options o = { .no_maintenance = true };
    struct error err = { 0 };

    arena_init(&s->arena, SIZE_MAX);
    if (dir == NULL) {
        s->mem = mem_storage_new();
    } else if (!db_open(dir, io_posix(), clock_real(), &o, &s->db, &err)) {
        fprintf(stderr, "%s\n", error_text(&err));
        exit(1);
    }
    fill(s);
    return s->db != NULL ? db_queryable(s->db) : mem_storage_queryable(s->mem);
}

int
main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : pool_cpus();
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    struct pool *pool = threads > 1 ? pool_new(threads - 1, "query") : NULL;
    struct engine_options o = { .pool = pool, .clock = clock_real() };
    struct engine *e = engine_new(&o);
    struct sink s = { 0 };
    struct queryable *storage = open_sink(&s, argc > 3 ? argv[3] : NULL);

    printf("%u threads, best of %d, %s\n", threads, rounds, s.db != NULL ? "database" : "memory");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double best = 1e9;

        for (int k = 0; k < rounds; k++)
            best = MIN(best, run(e, storage, &rows[i]));
        printf("%-46s %9.2f ms", rows[i].name, best);
        if (rows[i].budget_ms > 0)
            printf("   budget %6.1f", rows[i].budget_ms);
        printf("\n");
    }
    mem_storage_free(s.mem);
    db_close(s.db);
    arena_fini(&s.arena);
    mem_free(s.sources);
    engine_free(e);
    pool_free(pool);
    return 0;
}
