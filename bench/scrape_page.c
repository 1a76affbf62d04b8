/* scrape_page: what one sample costs on its way from a fetched page to storage's door: recognise,
 * decimal, append by ref.
 *
 * Storage is a counter; what is measured is scrape alone. Many targets, so that their caches are
 * cold as in a server. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/conf.h"
#include "base/mem.h"
#include "discovery/mechanism.h"
#include "scrape/page_append.h"

enum { TARGETS = 100, SERIES = 1000, ROUNDS = 20 };

struct sink {
    struct appendable base;
    struct appender batch;
    uint64_t refs, samples;
    double sum;
};

static enum append_outcome
sample(struct appender *a, series_ref *ref, struct labels ls, int64_t st_ms, int64_t t_ms, double v)
{
    struct sink *s = CONTAINER_OF(a, struct sink, batch);

    (void)ls;
    (void)st_ms;
    (void)t_ms;
    if (*ref == SERIES_REF_NONE)
        *ref = ++s->refs;
    s->samples++;
    s->sum += v;
    return APPEND_OK;
}

static const struct append_ops ops = { .sample = sample };

static void
write_page(struct buf *page, int round)
{
    buf_reset(page);
    for (int i = 0; i < SERIES; i++) {
        if (i % 20 == 0)
            buf_printf(page,
                       "# HELP bench_requests_%d_total Requests.\n# TYPE bench_requests_%d_total "
                       "counter\n",
                       i / 20, i / 20);
        buf_printf(
            page,
            "bench_requests_%d_total{method=\"GET\",code=\"%d\",handler=\"/api/v1/item/%d\"} %d\n",
            i / 20, 200 + i % 5, i % 20, i * 31 + round * 7);
    }
}

static struct target *
make_target(struct target_setup *setup, int i)
{
    struct error err = { 0 };
    struct labels_builder b;
    struct target *t = NULL;
    char address[32];
    struct str s = { address, (size_t)snprintf(address, sizeof address, "host-%d:9100", i) };
    struct target_group *g = target_group_new(STR("0"), LABELS_NONE, &s, 1);

    labels_builder_init(&b);
    if (target_build(setup, g, 0, &b, &t, &err) != TARGET_BUILT)
        abort();
    labels_builder_fini(&b);
    target_group_unref(g);
    return t;
}

static double
cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int
main(void)
{
    struct conf_pool *pool = conf_pool_new();
    struct sink sink = { .batch = { &ops } };
    struct scrape_config config;
    struct global_config global;
    struct page_append x;
    struct target *targets[TARGETS];
    struct error err = { 0 };
    struct buf page = { 0 }, body = { 0 };
    double best = 1e18, first = 0;

    global_config_init(pool, &global, &(struct scrape_config_options){ 0 });
    if (!conf_load(pool, STR("job_name: bench\n"), &scrape_config_table, &config, NULL, &err) ||
        !scrape_config_complete(pool, &config, &global, &err))
        abort();
    struct target_setup *setup = target_setup_new(&config, pool, NULL, NULL);
    page_append_init(&x, 1);
    for (int i = 0; i < TARGETS; i++)
        targets[i] = make_target(setup, i);
    for (int round = 0; round < ROUNDS; round++) {
        double began, spent = 0;

        write_page(&page, round);
        for (int i = 0; i < TARGETS; i++) {
            struct page_result r = { 0 };

            buf_reset(&body);
            buf_add(&body, page.p, page.n);
            began = cpu_ns();
            targets[i]->scrape_nr++;
            if (!page_append(&x, targets[i], &config, &sink.batch, PAGE_TEXT, &body, 1000, 1000, &r,
                             &err))
                abort();
            spent += cpu_ns() - began;
        }
        if (round == 0)
            first = spent / (TARGETS * SERIES);
        else if (spent / (TARGETS * SERIES) < best)
            best = spent / (TARGETS * SERIES);
    }
    printf("page of %zu bytes, %d samples; first sight %.0f ns per sample; recognised %.1f ns per "
           "sample; cache %zu bytes per line\n",
           page.n, SERIES, first, best,
           page_cache_bytes(&targets[0]->cache) / targets[0]->cache.nr);
    for (int i = 0; i < TARGETS; i++)
        target_unref(targets[i], &x.metas);
    page_append_fini(&x);
    target_setup_unref(setup);
    conf_pool_unref(pool);
    buf_fini(&page);
    buf_fini(&body);
    return sink.samples == 0;
}
