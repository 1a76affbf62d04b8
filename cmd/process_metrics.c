#include "cmd/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pool.h"
#include "cmd/version.h"

#ifdef NARTHEX_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

struct process_metrics {
    double start_s;
};

static double
cpu_seconds(const struct process_metrics *p)
{
    struct timespec ts;

    (void)p;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double
open_fds(const struct process_metrics *p)
{
    DIR *dir = opendir("/proc/self/fd");
    double nr = 0;

    (void)p;
    if (dir == NULL)
        return 0;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        nr += e->d_name[0] != '.';
    closedir(dir);
    return nr - 1; /* the directory itself */
}

static double
limit_of(__rlimit_resource_t what)
{
    struct rlimit limit;

    if (getrlimit(what, &limit) != 0)
        return 0;
    return limit.rlim_cur == RLIM_INFINITY ? 1.8446744073709552e19 : (double)limit.rlim_cur;
}

static double
max_fds(const struct process_metrics *p)
{
    (void)p;
    return limit_of(RLIMIT_NOFILE);
}

static double
virtual_max(const struct process_metrics *p)
{
    (void)p;
    return limit_of(RLIMIT_AS);
}

/* A field of /proc/self/statm, in bytes. */
static double
statm(unsigned field)
{
    unsigned long long pages[2] = { 0, 0 };
    FILE *f = fopen("/proc/self/statm", "re");

    if (f == NULL)
        return 0;
    if (fscanf(f, "%llu %llu", &pages[0], &pages[1]) != 2)
        pages[field] = 0;
    fclose(f);
    return (double)pages[field] * (double)sysconf(_SC_PAGESIZE);
}

static double
virtual_bytes(const struct process_metrics *p)
{
    (void)p;
    return statm(0);
}

static double
resident_bytes(const struct process_metrics *p)
{
    (void)p;
    return statm(1);
}

static double
start_seconds(const struct process_metrics *p)
{
    return p->start_s;
}

static double
threads(const struct process_metrics *p)
{
    DIR *dir = opendir("/proc/self/task");
    double nr = 0;

    (void)p;
    if (dir == NULL)
        return 0;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        nr += e->d_name[0] != '.';
    closedir(dir);
    return nr;
}

static double
cpus(const struct process_metrics *p)
{
    (void)p;
    return pool_cpus();
}

/* Bytes received (field 0) or sent (field 8) by the network namespace, loopback left out as
 * procfs's collector does not. */
static double
network_bytes(unsigned field)
{
    FILE *f = fopen("/proc/self/net/dev", "re");
    char line[512];
    double total = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *colon = strchr(line, ':'), *end;
        double v = 0;
        if (colon == NULL)
            continue;
        char *at = colon + 1;
        for (unsigned i = 0; i <= field; i++) {
            v = strtod(at, &end);
            at = end;
        }
        total += v;
    }
    if (f != NULL)
        fclose(f);
    return total;
}

static double
received_bytes(const struct process_metrics *p)
{
    (void)p;
    return network_bytes(0);
}

static double
sent_bytes(const struct process_metrics *p)
{
    (void)p;
    return network_bytes(8);
}

#ifdef NARTHEX_JEMALLOC
static double
jemalloc_bytes(const char *name)
{
    uint64_t epoch = 1;
    size_t bytes = 0, n = sizeof epoch;

    mallctl("epoch", &epoch, &n, &epoch, n); /* refreshes the statistics */
    n = sizeof bytes;
    return mallctl(name, &bytes, &n, NULL, 0) == 0 ? (double)bytes : 0;
}

static double
heap_allocated(const struct process_metrics *p)
{
    (void)p;
    return jemalloc_bytes("stats.allocated");
}

static double
heap_active(const struct process_metrics *p)
{
    (void)p;
    return jemalloc_bytes("stats.active");
}

static double
heap_mapped(const struct process_metrics *p)
{
    (void)p;
    return jemalloc_bytes("stats.mapped");
}
#endif

static const struct process_row {
    enum metric_type type;
    const char *name, *help;
    double (*read)(const struct process_metrics *p);
} rows[] = {
    { METRIC_COUNTER, "process_cpu_seconds_total",
      "Total user and system CPU time spent in seconds.", cpu_seconds },
    { METRIC_GAUGE, "process_open_fds", "Number of open file descriptors.", open_fds },
    { METRIC_GAUGE, "process_max_fds", "Maximum number of open file descriptors.", max_fds },
    { METRIC_GAUGE, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
      virtual_bytes },
    { METRIC_GAUGE, "process_virtual_memory_max_bytes",
      "Maximum amount of virtual memory available in bytes.", virtual_max },
    { METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory size in bytes.",
      resident_bytes },
    { METRIC_GAUGE, "process_start_time_seconds",
      "Start time of the process since unix epoch in seconds.", start_seconds },
    { METRIC_COUNTER, "process_network_receive_bytes_total",
      "Number of bytes received by the process over the network.", received_bytes },
    { METRIC_COUNTER, "process_network_transmit_bytes_total",
      "Number of bytes sent by the process over the network.", sent_bytes },
    { METRIC_GAUGE, "go_threads", "Number of OS threads created.", threads },
    { METRIC_GAUGE, "go_sched_gomaxprocs_threads",
      "The number of threads that run queries and rules: the CPUs this process may use.", cpus },
#ifdef NARTHEX_JEMALLOC
    { METRIC_GAUGE, "go_memstats_alloc_bytes",
      "Number of bytes allocated in heap and currently in use.", heap_allocated },
    { METRIC_GAUGE, "go_memstats_heap_alloc_bytes",
      "Number of heap bytes allocated and currently in use.", heap_allocated },
    { METRIC_GAUGE, "go_memstats_heap_inuse_bytes", "Number of heap bytes that are in use.",
      heap_active },
    { METRIC_GAUGE, "go_memstats_sys_bytes", "Number of bytes obtained from system.", heap_mapped },
#endif
};

struct row_of {
    const struct process_row *row;
    struct process_metrics *p;
};

/* One collector for each row: the callback gets the row through a small struct that lives as long
 * as the registry. */
static void
collect(void *arg, struct metrics_out *out)
{
    const struct row_of *r = arg;

    metrics_emit(out, NULL, r->row->read(r->p));
}

struct owned {
    struct process_metrics p; /* first: what callers hold */
    struct row_of rows[ARRAY_LEN(rows)];
};

static void
build_info(struct metrics *registry)
{
    static const char *const names[] = { "branch",   "goarch", "goos",    "goversion",
                                         "revision", "tags",   "version", NULL };
    static const char *const our_names[] = { "version", NULL };
#if defined(__aarch64__)
    const struct str arch = STR("arm64");
#else
    const struct str arch = STR("amd64");
#endif
    const struct str values[] = { STR(BUILD_BRANCH),      arch,
                                  STR("linux"),           STR(BUILD_COMPILER),
                                  STR(BUILD_REVISION),    STR("none"),
                                  STR(PROMETHEUS_VERSION) };
    const struct str ours = STR(NARTHEX_VERSION);

    metric_set(metrics_child(
                   metrics_family(
                       registry, METRIC_GAUGE, "prometheus_build_info",
                       "A metric with a constant '1' value labeled by version, revision, branch, "
                       "goversion from which prometheus was built, and the goos and goarch for the "
                       "build.",
                       names),
                   values),
               1);
    metric_set(
        metrics_child(
            metrics_family(registry, METRIC_GAUGE, "narthex_build_info",
                           "A metric with a constant '1' value labeled by Narthex's own version.",
                           our_names),
            &ours),
        1);
}

struct process_metrics *
process_metrics_new(struct metrics *registry, int64_t start_ms)
{
    static const char *const no_labels[] = { NULL };
    struct owned *o = MEM_NEW(struct owned);

    o->p.start_s = (double)start_ms / 1000;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        o->rows[i] = (struct row_of){ &rows[i], &o->p };
        metrics_collector(
            registry, metrics_family(registry, rows[i].type, rows[i].name, rows[i].help, no_labels),
            collect, &o->rows[i]);
    }
    build_info(registry);
    return &o->p;
}

void
process_metrics_free(struct process_metrics *p)
{
    mem_free(p);
}
