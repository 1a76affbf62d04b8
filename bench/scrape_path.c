/* scrape_path: the whole way of a sample in one process without a server around it: discovery,
 * HTTP, pages, database.
 *
 *     load_generator --targets 200 --series 1000 --interval-ms 1000 --sd targets.json &
 *     scrape_path targets.json datadir [seconds [interval [null|db [loops]]]]
 *
 * Prints CPU seconds per million samples and resident bytes per series. With "null" storage is a
 * counter. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/conf.h"
#include "base/mem.h"
#include "scrape/scrape.h"
#include "tsdb/db.h"

struct sink {
    struct appendable base;
    _Atomic uint64_t refs, samples;
    struct appendable *to; /* NULL: nowhere */
};

struct sink_batch {
    struct appender base;
    struct sink *s;
    struct appender *to;
};

static enum append_outcome
sample(struct appender *a, series_ref *ref, struct labels ls, int64_t st_ms, int64_t t_ms, double v)
{
    struct sink_batch *b = CONTAINER_OF(a, struct sink_batch, base);

    atomic_fetch_add_explicit(&b->s->samples, 1, memory_order_relaxed);
    if (b->to != NULL)
        return append_sample(b->to, ref, ls, st_ms, t_ms, v);
    if (*ref == SERIES_REF_NONE)
        *ref = atomic_fetch_add(&b->s->refs, 1) + 1;
    return APPEND_OK;
}

static bool
commit(struct appender *a, struct error *err)
{
    struct sink_batch *b = CONTAINER_OF(a, struct sink_batch, base);
    bool ok = b->to == NULL || append_commit(b->to, err);

    free(b);
    return ok;
}

static void
rollback(struct appender *a)
{
    struct sink_batch *b = CONTAINER_OF(a, struct sink_batch, base);

    if (b->to != NULL)
        append_rollback(b->to);
    free(b);
}

static const struct append_ops ops = { .sample = sample, .commit = commit, .rollback = rollback };

static struct appender *
begin(struct appendable *base, const struct append_options *options)
{
    struct sink *s = CONTAINER_OF(base, struct sink, base);
    struct sink_batch *b = MEM_NEW(struct sink_batch);

    b->base.ops = &ops;
    b->s = s;
    b->to = s->to == NULL ? NULL : append_begin(s->to, options);
    return &b->base;
}

static double
cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static uint64_t
resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long all = 0, resident = 0;

    if (f == NULL || fscanf(f, "%lu %lu", &all, &resident) != 2)
        resident = 0;
    if (f != NULL)
        fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
apply(struct scrape_manager *m, const char *sd, const char *interval)
{
    struct conf_pool *pool = conf_pool_new();
    struct scrape_config job;
    const struct scrape_config *jobs[] = { &job };
    struct global_config global;
    struct error err = { 0 };
    struct buf text = { 0 };

    buf_printf(&text,
               "job_name: bench\nscrape_interval: %s\nscrape_timeout: %s\nfile_sd_configs: "
               "[{files: ['%s']}]\n",
               interval, interval, sd);
    global_config_init(pool, &global, &(struct scrape_config_options){ 0 });
    struct scrape_config *kept = arena_alloc(conf_pool_arena(pool), sizeof *kept);
    jobs[0] = kept;
    if (!conf_load(pool, arena_str(conf_pool_arena(pool), buf_as_str(&text)), &scrape_config_table,
                   kept, NULL, &err) ||
        !scrape_config_complete(pool, kept, &global, &err) ||
        !scrape_manager_apply(m, jobs, 1, LABELS_NONE, pool, &err)) {
        fprintf(stderr, "scrape_path: %s\n", error_text(&err));
        exit(1);
    }
    conf_pool_unref(pool);
    buf_fini(&text);
}

int
main(int argc, char **argv)
{
    unsigned seconds = argc > 3 ? (unsigned)atoi(argv[3]) : 10;
    const char *interval = argc > 4 ? argv[4] : "1s";
    bool nowhere = argc > 5 && strcmp(argv[5], "null") == 0;
    struct sink sink = { .base.begin = begin };
    struct log_sink *out = log_sink_new(2, LOG_WARN, LOG_LOGFMT);
    struct log log = { out, NULL };
    struct error err = { 0 };
    struct db *db = NULL;

    if (argc < 3) {
        fprintf(stderr,
                "usage: scrape_path targets.json datadir [seconds [interval [null|db [loops]]]]\n");
        return 1;
    }
    io_guard_install();
    if (!nowhere && !db_open(argv[2], io_posix(), clock_real(), &(struct db_options){ .log = log },
                             &db, &err)) {
        fprintf(stderr, "scrape_path: %s\n", error_text(&err));
        return 1;
    }
    sink.to = nowhere ? NULL : db_appendable(db);
    struct scrape_manager *m = scrape_manager_new(
        &(struct scrape_options){ .storage = &sink.base,
                                  .loops_nr = argc > 6 ? (unsigned)atoi(argv[6]) : 0,
                                  .clock = clock_real(),
                                  .io = io_posix(),
                                  .log = log,
                                  .align_timestamps = true,
                                  .timestamp_tolerance_ns = 2000000 });
    apply(m, argv[1], interval);
    sleep(3); /* first sight of all series is not what is measured */
    double cpu = cpu_s();
    uint64_t samples = atomic_load(&sink.samples);
    sleep(seconds);
    cpu = cpu_s() - cpu;
    samples = atomic_load(&sink.samples) - samples;
    printf("%" PRIu64 " samples in %u s, %.3f CPU seconds per million samples", samples, seconds,
           cpu / ((double)samples / 1e6));
    if (db != NULL) {
        struct db_head_stats st;

        db_head_stats(db, &st);
        printf(", %" PRIu64 " series, %.0f resident bytes per series", st.series_nr,
               (double)resident_bytes() / (double)(st.series_nr == 0 ? 1 : st.series_nr));
    }
    printf("\n");
    scrape_manager_free(m);
    db_close(db);
    log_sink_free(out);
    return 0;
}
