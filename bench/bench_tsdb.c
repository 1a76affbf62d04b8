/* Measures the storage by itself, as scrapes would use it: targets x series, one batch per target
 * and round, by reference after the first.
 *
 *     bench_tsdb [series [rounds [dir]]]     default 200000 75 and a fresh directory below $TMPDIR
 *
 * Prints CPU nanoseconds per sample of appending (thread time: collecting, encoding, logging,
 * applying), resident bytes per series, the time of opening the directory again after a process
 * that was not stopped cleanly, and of reading everything back. Values are counters, gauges and
 * constants in the proportion of an exporter's page. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/mem.h"
#include "tsdb/db.h"

enum { SERIES_PER_TARGET = 1000 };
#define START_MS    INT64_C(1700000000000)
#define INTERVAL_MS 15000

struct bench {
    uint32_t series_nr, rounds;
    series_ref *refs;
    double *values;
    uint64_t state;
};

static uint64_t
next_random(struct bench *b)
{
    b->state ^= b->state << 13;
    b->state ^= b->state >> 7;
    b->state ^= b->state << 17;
    return b->state;
}

static double
seconds(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double
resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long size = 0, resident = 0;

    if (f != NULL && fscanf(f, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    if (f != NULL)
        fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* A label set of an exporter: name, job, instance and two of its own. */
static struct labels
make_labels(uint32_t i, struct label v[6], char text[6][64])
{
    uint32_t target = i / SERIES_PER_TARGET, k = i % SERIES_PER_TARGET;
    static const char *const names[] = {
        "__name__", "code", "handler", "instance", "job", "method"
    };

    snprintf(text[0], 64, "http_requests_%u_total", k % 40);
    snprintf(text[1], 64, "%u", 200 + k / 40 % 5);
    snprintf(text[2], 64, "/api/v1/path_%u", k / 200);
    snprintf(text[3], 64, "host-%u.example.org:9100", target);
    snprintf(text[4], 64, "node");
    snprintf(text[5], 64, "%s", k % 2 == 0 ? "GET" : "POST");
    for (size_t n = 0; n < 6; n++)
        v[n] = (struct label){ str_c(names[n]), str_c(text[n]) };
    return (struct labels){ v, 6 };
}

static double
next_value(struct bench *b, uint32_t i)
{
    switch (i % 4) {
    case 0:
        return b->values[i]; /* does not change */
    case 1:
        return b->values[i] += (double)(next_random(b) % 1000);
    case 2:
        return b->values[i] += 1;
    default:
        return b->values[i] = (double)(next_random(b) % 1000000) / 100;
    }
}

static void
scrape(struct bench *b, struct db *db, uint32_t target, int64_t t_ms)
{
    struct append_options options = { 0 };
    struct appender *a = append_begin(db_appendable(db), &options);
    struct error err = { 0 };
    struct label v[6];
    char text[6][64];

    for (uint32_t i = target * SERIES_PER_TARGET; i < (target + 1) * SERIES_PER_TARGET; i++) {
        struct labels labels = b->refs[i] == 0 ? make_labels(i, v, text) : LABELS_NONE;
        if (append_sample(a, &b->refs[i], labels, 0, t_ms, next_value(b, i)) != APPEND_OK)
            abort();
    }
    if (!append_commit(a, &err)) {
        fprintf(stderr, "%s\n", error_text(&err));
        exit(1);
    }
}

static struct db *
open_db(const char *dir)
{
    struct db_options o = { .log = log_none, .no_maintenance = true, .no_lockfile = true };
    struct error err = { 0 };
    struct db *db;

    if (!db_open(dir, io_posix(), clock_real(), &o, &db, &err)) {
        fprintf(stderr, "%s\n", error_text(&err));
        exit(1);
    }
    return db;
}

/* In a child, which ends as if it had been killed. */
static void
fill(struct bench *b, const char *dir)
{
    double before = resident_bytes();
    struct db *db = open_db(dir);
    double first = 0, rest = 0;

    b->refs = MEM_NEW_ARRAY(series_ref, b->series_nr);
    b->values = MEM_NEW_ARRAY(double, b->series_nr);
    memset(b->refs, 0, b->series_nr * sizeof *b->refs);
    double own = resident_bytes() - before;
    for (uint32_t r = 0; r < b->rounds; r++) {
        double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (uint32_t t = 0; t < b->series_nr / SERIES_PER_TARGET; t++)
            scrape(b, db, t, START_MS + (int64_t)r * INTERVAL_MS + t);
        *(r == 0 ? &first : &rest) += seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
    }
    printf("new series          %8.0f ns each\n", first * 1e9 / b->series_nr);
    if (b->rounds > 1)
        printf("append              %8.1f ns per sample\n",
               rest * 1e9 / ((double)b->series_nr * (b->rounds - 1)));
    /* What the bench itself keeps per series is not the storage's. */
    double mine = (double)b->series_nr * (sizeof *b->refs + sizeof *b->values);
    (void)own;
    printf("resident            %8.0f bytes per series\n",
           (resident_bytes() - mine) / b->series_nr);
    fflush(stdout);
    _exit(0);
}

static void
replay_and_read(const struct bench *b, const char *dir)
{
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    struct db *db = open_db(dir);
    double wall = seconds(CLOCK_MONOTONIC) - start;
    struct select_hints hints = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
    struct error err = { 0 };
    struct sample_buf buf;
    struct querier *q;
    struct series_set *set;
    uint64_t samples = 0;

    printf("replay              %8.3f s, %.3f s of CPU, %.1f M samples\n", wall,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, (double)b->series_nr * b->rounds / 1e6);
    printf("resident after it   %8.0f bytes per series\n", resident_bytes() / b->series_nr);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (!querier_open(db_queryable(db), INT64_MIN, INT64_MAX, &q, &err) ||
        !querier_select(q, NULL, 0, &hints, &set, &err))
        exit(1);
    printf("select all          %8.1f ns per series\n",
           (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e9 / b->series_nr);
    sample_buf_init(&buf, NULL);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (uint32_t i = 0; i < set->nr; i++) {
        sample_buf_reset(&buf);
        if (!series_read(set, i, INT64_MIN, INT64_MAX, &buf, &err))
            exit(1);
        samples += buf.nr;
    }
    printf("read back           %8.1f ns per sample, %llu samples\n",
           (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e9 / (double)samples,
           (unsigned long long)samples);
    sample_buf_fini(&buf);
    querier_close(q);
    db_close(db);
}

int
main(int argc, char **argv)
{
    struct bench b = { .series_nr = 200000, .rounds = 75, .state = 88172645463325252u };
    char template[256], command[512];
    const char *tmp = getenv("TMPDIR"), *dir = argc > 3 ? argv[3] : NULL;

    if (argc > 1)
        b.series_nr = (uint32_t)atoi(argv[1]) / SERIES_PER_TARGET * SERIES_PER_TARGET;
    if (argc > 2)
        b.rounds = (uint32_t)atoi(argv[2]);
    if (dir == NULL) {
        snprintf(template, sizeof template, "%s/bench-tsdb-XXXXXX", tmp == NULL ? "/tmp" : tmp);
        dir = mkdtemp(template);
    }
    pid_t child = fork();
    if (child == 0)
        fill(&b, dir);
    waitpid(child, NULL, 0);
    replay_and_read(&b, dir);
    if (argc <= 3) {
        snprintf(command, sizeof command, "rm -rf '%s'", dir);
        return system(command);
    }
    return 0;
}
