/* Scraping, reloading, discovery and views at once, for the thread sanitizer: two loops, a file of
 * targets that changes, jobs that come and go and change, readers of every view and of /metrics. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/conf.h"
#include "scrape/scrape.h"
#include "tests/scrape/fake_storage.h"
#include "tests/scrape/http_fake.h"

struct bed {
    struct http_fake *http;
    struct fake_storage storage;
    struct metrics *metrics;
    struct scrape_manager *m;
    char file[128];
    atomic_bool stop;
};

static void
apply(struct bed *b, int round)
{
    struct conf_pool *pool = conf_pool_new();
    const struct scrape_config *jobs[3];
    struct global_config global;
    struct error err = { 0 };
    size_t nr = 1 + (size_t)round % 3;

    global_config_init(pool, &global, &(struct scrape_config_options){ 0 });
    for (size_t i = 0; i < nr; i++) {
        struct scrape_config *job = arena_alloc(conf_pool_arena(pool), sizeof *job);
        struct str text = arena_printf(
            conf_pool_arena(pool),
            "job_name: j%zu\nscrape_interval: 10ms\nscrape_timeout: 10ms\nsample_limit: %d\n"
            "static_configs: [{targets: ['127.0.0.1:%u']}]\n"
            "file_sd_configs: [{files: ['%s'], refresh_interval: 1s}]\n"
            "metric_relabel_configs: [{target_label: round, replacement: '%d'}]\n",
            i, 100 + round % 2, http_fake_port(b->http), b->file, round / 5);

        if (!conf_load(pool, text, &scrape_config_table, job, NULL, &err) ||
            !scrape_config_complete(pool, job, &global, &err)) {
            fprintf(stderr, "%s\n", error_text(&err));
            exit(1);
        }
        jobs[i] = job;
    }
    if (!scrape_manager_apply(b->m, jobs, nr, LABELS_NONE, pool, &err)) {
        fprintf(stderr, "%s\n", error_text(&err));
        exit(1);
    }
    conf_pool_unref(pool);
}

static void *
read_views(void *arg)
{
    struct bed *b = arg;

    while (!atomic_load(&b->stop)) {
        struct targets_view targets;
        struct metadata_view meta;
        struct buf text = { 0 };
        struct arena arena;

        arena_init(&arena, SIZE_MAX);
        scrape_targets(b->m, STR(""), &arena, &targets);
        scrape_metadata(b->m, STR(""), NULL, NULL, &arena, &meta);
        metrics_write_text(b->metrics, &text, clock_monotonic_ns(clock_real()));
        buf_fini(&text);
        arena_fini(&arena);
        usleep(1000);
    }
    return NULL;
}

static void
write_targets(struct bed *b, int round)
{
    char tmp[160];
    FILE *f;

    snprintf(tmp, sizeof tmp, "%s.new", b->file);
    f = fopen(tmp, "w");
    if (f == NULL)
        exit(1);
    fputs("[{\"targets\":[", f);
    for (int i = 0; i < round % 5; i++)
        fprintf(f, "%s\"127.0.0.%d:%u\"", i == 0 ? "" : ",", i + 2, http_fake_port(b->http));
    fputs("]}]", f);
    fclose(f);
    if (rename(tmp, b->file) != 0)
        exit(1);
}

int
main(void)
{
    static const char *const pages[] = { "# HELP a A.\n# TYPE a counter\na 1\n",
                                         "# HELP a B.\n# TYPE a gauge\na 2\nb 3\n" };
    struct bed b = { 0 };
    pthread_t reader;
    char dir[] = P_tmpdir "/narthex-stress-XXXXXX";

    signal(SIGPIPE, SIG_IGN);
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(b.file, sizeof b.file, "%s/targets.json", dir);
    b.http = http_fake_new();
    fake_storage_init(&b.storage);
    b.metrics = metrics_new();
    b.m = scrape_manager_new(&(struct scrape_options){ .storage = &b.storage.base,
                                                       .clock = clock_real(),
                                                       .io = io_posix(),
                                                       .log = log_none,
                                                       .metrics = b.metrics,
                                                       .loops_nr = 2,
                                                       .discovery_reload_ms = 10 });
    if (pthread_create(&reader, NULL, read_views, &b) != 0)
        return 1;
    for (int round = 0; round < 60; round++) {
        http_fake_set_page(b.http, pages[round % 2]);
        write_targets(&b, round);
        apply(&b, round);
        usleep(20000);
    }
    atomic_store(&b.stop, true);
    pthread_join(reader, NULL);
    scrape_manager_free(b.m);
    http_fake_free(b.http);
    printf("%zu samples in %zu batches\n", b.storage.samples_nr, b.storage.commits_nr);
    int bad = b.storage.commits_nr == 0;
    fake_storage_fini(&b.storage);
    metrics_free(b.metrics);
    unlink(b.file);
    rmdir(dir);
    return bad;
}
