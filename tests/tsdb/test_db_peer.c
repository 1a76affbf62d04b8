/* What we write, the peer reads: a directory filled by processes that die, with blocks,
 * chunks_head, checkpoint and WAL, is dumped by Prometheus's own tool and must give our lines.
 * Needs build/peers (or PROMTOOL in the environment); skipped without. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/mem.h"
#include "db_dump.h"

enum { SKIPPED = 77, SERIES = 60 };
#define T0      INT64_C(1700006400000)
#define HOUR_MS INT64_C(3600000)

static struct db *
open_dir(const char *dir)
{
    struct db_options o = {
        .log = log_none, .no_maintenance = true, .no_lockfile = true, .wal_segment_bytes = 64 << 10
    };
    struct error err = { 0 };
    struct db *db;

    if (!db_open(dir, io_posix(), clock_real(), &o, &db, &err)) {
        fprintf(stderr, "%s\n", error_text(&err));
        exit(1);
    }
    return db;
}

static double
value_of(uint32_t s, int64_t t_ms)
{
    int64_t n = t_ms / 15000;

    if (s % 10 == 9 && n % 97 == 0)
        return double_of_bits(STALE_NAN_BITS);
    return s % 3 == 0 ? (double)n : s % 3 == 1 ? (double)((n * 7919 + s) % 1000) / 100 : 5;
}

static void
fill(struct db *db, int64_t from_ms, int64_t to_ms)
{
    struct error err = { 0 };
    struct append_options o = { 0 };

    for (; from_ms < to_ms; from_ms += 15000) {
        struct appender *a = append_begin(db_appendable(db), &o);
        for (uint32_t s = 0; s < SERIES; s++) {
            char name[32], id[32];
            snprintf(name, sizeof name, "metric_%u", s % 7);
            snprintf(id, sizeof id, "\xc3\xa9-%u", s);
            struct label v[] = { { LABEL_NAME, str_c(name) },
                                 { STR("id"), str_c(id) },
                                 { LABEL_JOB, STR("peer") } };
            series_ref ref = SERIES_REF_NONE;
            if (append_sample(a, &ref, (struct labels){ v, 3 }, 0, from_ms, value_of(s, from_ms)) !=
                APPEND_OK)
                exit(1);
        }
        if (!append_commit(a, &err))
            exit(1);
    }
}

/* In a process that ends as if it was killed. */
static void
life(const char *dir, int64_t from_ms, int64_t to_ms)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct error err = { 0 };
        struct db *db = open_dir(dir);
        fill(db, from_ms, to_ms);
        if (!db_maintain(db, &err)) {
            fprintf(stderr, "%s\n", error_text(&err));
            _exit(1);
        }
        fill(db, to_ms, to_ms + 600000);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "a life failed\n");
        exit(1);
    }
}

static bool
run(const char *promtool, const char *what, const char *dir, const char *out)
{
    char command[4096];

    snprintf(command, sizeof command, "'%s' tsdb %s '%s' > '%s' 2>&1", promtool, what, dir, out);
    int status = system(command);
    if (status != 0) {
        fprintf(stderr, "promtool tsdb %s failed:\n", what);
        snprintf(command, sizeof command, "tail -5 '%s' >&2", out);
        (void)!system(command);
    }
    return status == 0;
}

int
main(void)
{
    const char *promtool = getenv("PROMTOOL");
    struct dump ours, theirs;
    char out[512];

    if (promtool == NULL)
        promtool = SOURCE_DIR "/build/peers/prometheus/usr/bin/promtool";
    if (access(promtool, X_OK) != 0) {
        fprintf(stderr, "no promtool at %s: skipped\n", promtool);
        return SKIPPED;
    }
    char *dir = dir_copy(NULL);
    snprintf(out, sizeof out, "%s.out", dir);
    for (int64_t h = 0; h < 12; h += 3)
        life(dir, T0 + h * HOUR_MS + (h == 0 ? 0 : 600000), T0 + (h + 3) * HOUR_MS);
    struct db *db = open_dir(dir);
    db_dump(db, &ours);
    db_close(db);
    if (!run(promtool, "list", dir, out) || !run(promtool, "analyze", dir, out) ||
        !run(promtool, "dump", dir, out) || !dump_load(&theirs, out))
        return 1;
    size_t missing = dump_missing(&ours, &theirs, "the peer does not have"),
           extra = dump_missing(&theirs, &ours, "only the peer has");
    printf("%zu lines of ours, %zu of the peer\n", ours.nr, theirs.nr);
    bool ok = missing == 0 && extra == 0 && ours.nr == SERIES * (12 * 240 + 40);
    dump_fini(&ours);
    dump_fini(&theirs);
    unlink(out);
    dir_remove(dir);
    return ok ? 0 : 1;
}
