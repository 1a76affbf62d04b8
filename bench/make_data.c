/* make_data: writes the bench's data set, so that every server answers the same questions from the same samples.
 *
 *   make_data --db=<dir> --end-ms=<t> [--steps=480] [--step-ms=15000] [--scale=1]
 *       a data directory in Prometheus's format, left as kill -9 leaves it: everything in the WAL and chunks_head
 *   make_data --text --end-ms=<t> ...
 *       the same samples to standard output as exposition text with times, for /api/v1/import/prometheus
 *
 * The samples are a function of series and step alone: gauges walk, counters grow by small steps with a reset now and then. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tsdb/db.h"

struct family {
    const char *name;
    unsigned instances, per_instance;
    enum { GAUGE, COUNTER, BUCKETS } kind;
};

/* What each family is for stands in bench/run.py beside the query that reads it. */
static const struct family families[] = {
    { "bench_gauge", 200, 100, GAUGE },          { "bench_requests_total", 100, 10, COUNTER },
    { "bench_errors_total", 100, 10, COUNTER },  { "bench_latency_bucket", 500, 16, BUCKETS },
    { "bench_small", 50, 10, GAUGE },            { "bench_hundred", 10, 10, GAUGE },
};

struct options {
    const char *db;
    bool text;
    int64_t end_ms, step_ms;
    unsigned steps, scale;
};

struct series {
    struct label labels[4];
    size_t labels_nr;
    char instance[24], index[24], name[32];
    series_ref ref;
    uint64_t random;
    double value;
    unsigned bucket; /* 0: not a bucket */
    bool counter;
};

static uint64_t
mix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The next value of a series. Buckets of one instance stay cumulative: all draw from the instance's number. */
static double
next_value(struct series *s)
{
    uint64_t r = mix(&s->random);

    if (s->bucket != 0)
        s->value += (double)((r & 15) * s->bucket);
    else if (s->counter)
        s->value = r % 997 == 0 ? 0 : s->value + (double)(r % 100);
    else
        s->value += (double)(int64_t)(r % 2001) / 100 - 10;
    return s->value;
}

static void
series_init(struct series *s, const struct family *f, unsigned instance, unsigned i)
{
    *s = (struct series){ .counter = f->kind == COUNTER };
    snprintf(s->name, sizeof s->name, "%s", f->name);
    snprintf(s->instance, sizeof s->instance, "host-%u:9100", instance);
    s->random = (f->kind == BUCKETS ? instance : instance * 1000u + i) + (uint64_t)(uintptr_t)f->instances * 7919u;
    if (f->kind == BUCKETS && i + 1 == f->per_instance)
        snprintf(s->index, sizeof s->index, "+Inf");
    else if (f->kind == BUCKETS)
        snprintf(s->index, sizeof s->index, "%g", 0.005 * (double)(1u << i));
    else
        snprintf(s->index, sizeof s->index, "%u", i);
    s->bucket = f->kind == BUCKETS ? i + 1 : 0;
    s->labels[0] = (struct label){ LABEL_NAME, str_c(s->name) };
    s->labels[1] = (struct label){ LABEL_INSTANCE, str_c(s->instance) };
    s->labels[2] = (struct label){ LABEL_JOB, STR("bench") };
    s->labels[3] = (struct label){ f->kind == BUCKETS ? STR("le") : STR("path"), str_c(s->index) };
    s->labels_nr = 4;
}

static struct series *
all_series(const struct options *o, size_t *nr)
{
    struct series *all;
    size_t n = 0;

    *nr = 0;
    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        *nr += (size_t)families[f].instances * families[f].per_instance * o->scale;
    all = MEM_NEW_ARRAY(struct series, *nr);
    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        for (unsigned inst = 0; inst < families[f].instances * o->scale; inst++)
            for (unsigned i = 0; i < families[f].per_instance; i++)
                series_init(&all[n++], &families[f], inst, i);
    return all;
}

static int64_t
step_time(const struct options *o, unsigned step)
{
    return o->end_ms - (int64_t)(o->steps - 1 - step) * o->step_ms;
}

static void
fail(const char *what, const struct error *err)
{
    fprintf(stderr, "make_data: %s: %s\n", what, error_text(err));
    exit(1);
}

static void
write_db(const struct options *o, struct series *all, size_t nr)
{
    struct db_options options = { .log = log_none, .no_maintenance = true };
    struct append_options append = { 0 };
    struct error err = { 0 };
    struct db *db;

    if (!db_open(o->db, io_posix(), clock_real(), &options, &db, &err))
        fail("open", &err);
    for (unsigned step = 0; step < o->steps; step++) {
        struct appender *a = append_begin(db_appendable(db), &append);
        for (size_t i = 0; i < nr; i++) {
            struct labels ls = { all[i].labels, all[i].labels_nr };
            double v = next_value(&all[i]);
            if (append_sample(a, &all[i].ref, ls, 0, step_time(o, step), v) != APPEND_OK)
                fail("append", &(struct error){ .msg = "a sample was refused" });
        }
        if (!append_commit(a, &err))
            fail("commit", &err);
    }
    /* Not closed: the directory is to be as after kill -9. */
    _exit(0);
}

static void
write_text(const struct options *o, struct series *all, size_t nr)
{
    for (unsigned step = 0; step < o->steps; step++)
        for (size_t i = 0; i < nr; i++) {
            const struct series *s = &all[i];
            double v = next_value(&all[i]);
            printf("%s{instance=\"%s\",job=\"bench\",%.*s=\"%s\"} %.17g %" PRId64 "\n", s->name, s->instance,
                   STR_ARG(s->labels[3].name), s->index, v, step_time(o, step));
        }
}

static bool
take(const char *arg, const char *name, const char **value)
{
    size_t n = strlen(name);

    if (strncmp(arg, name, n) != 0 || arg[n] != '=')
        return false;
    *value = arg + n + 1;
    return true;
}

static unsigned
number(const char *value, unsigned most)
{
    char *end;

    errno = 0;
    unsigned long v = strtoul(value, &end, 10);
    if (errno != 0 || *end != '\0' || v == 0 || v > most) {
        fprintf(stderr, "make_data: '%s' is not a number from 1 to %u\n", value, most);
        exit(2);
    }
    return (unsigned)v;
}

int
main(int argc, char **argv)
{
    struct options o = { .step_ms = 15000, .steps = 480, .scale = 1 };
    size_t nr;

    for (int i = 1; i < argc; i++) {
        const char *v;
        if (strcmp(argv[i], "--text") == 0)
            o.text = true;
        else if (take(argv[i], "--db", &v))
            o.db = v;
        else if (take(argv[i], "--end-ms", &v))
            o.end_ms = strtoll(v, NULL, 10);
        else if (take(argv[i], "--steps", &v))
            o.steps = number(v, 100000);
        else if (take(argv[i], "--step-ms", &v))
            o.step_ms = number(v, 86400000);
        else if (take(argv[i], "--scale", &v))
            o.scale = number(v, 1000);
        else {
            fprintf(stderr, "make_data: unknown argument %s\n", argv[i]);
            return 2;
        }
    }
    if (o.end_ms <= 0 || (o.db == NULL) == !o.text) {
        fprintf(stderr, "usage: make_data (--db=DIR | --text) --end-ms=T [--steps=N] [--step-ms=N] [--scale=N]\n");
        return 2;
    }
    struct series *all = all_series(&o, &nr);
    fprintf(stderr, "%zu series, %zu samples\n", nr, nr * o.steps);
    if (o.text)
        write_text(&o, all, nr);
    else
        write_db(&o, all, nr);
    mem_free(all);
    return 0;
}
