/* Appending, querying, cutting blocks, making and losing series, deleting, cleaning, snapshots and
 * a disk that fills, all at once, for NARTHEX_STRESS_SECONDS (default 3).
 *
 * Each writer owns targets; a round gives every series of a target the same value at the same time,
 * so a reader that sees a time of one series must see it in all series of that target: whole
 * batches only. Time runs fast, so that heads are cut every second or so. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/mem_io.h"
#include "tsdb/db.h"

enum { WRITERS = 3, READERS = 2, SERIES = 40, CHURN_ROUNDS = 400 };
#define T0 INT64_C(1700006400000)

struct stress {
    struct db *db;
    struct mem_io *mem;
    const struct clock *clock;
    int64_t end_ns;
    _Atomic int64_t newest_ms[WRITERS]; /* committed */
    _Atomic uint64_t rounds, reads, samples, deletions, snapshots;
};

struct thread_arg {
    struct stress *st;
    unsigned index;
};

static bool
over(const struct stress *st)
{
    return clock_monotonic_ns(st->clock) > st->end_ns;
}

static void
fail(const char *what, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", what, err == NULL ? "" : error_text(err));
    abort();
}

static struct labels
labels_of(unsigned target, unsigned series, uint64_t generation, struct label v[4],
          char text[3][32])
{
    snprintf(text[0], 32, "metric_%u", series);
    snprintf(text[1], 32, "target-%u", target);
    /* A tenth of the series change their name from time to time. */
    snprintf(text[2], 32, "%llu", (unsigned long long)(series % 10 == 0 ? generation : 0));
    v[0] = (struct label){ LABEL_NAME, str_c(text[0]) };
    v[1] = (struct label){ STR("generation"), str_c(text[2]) };
    v[2] = (struct label){ LABEL_INSTANCE, str_c(text[1]) };
    return (struct labels){ v, 3 };
}

static void *
writer(void *arg)
{
    struct thread_arg *ta = arg;
    struct stress *st = ta->st;
    series_ref refs[SERIES] = { 0 };
    struct append_options o = { 0 };
    struct error err = { 0 };
    struct label v[4];
    char text[3][32];

    for (uint64_t round = 0; !over(st); round++) {
        struct appender *a = append_begin(db_appendable(st->db), &o);
        int64_t t_ms = T0 + (int64_t)round * 15000;
        if (round % CHURN_ROUNDS == 0)
            for (unsigned s = 0; s < SERIES; s += 10)
                refs[s] = SERIES_REF_NONE;
        for (unsigned s = 0; s < SERIES; s++) {
            struct labels labels = labels_of(ta->index, s, round / CHURN_ROUNDS, v, text);
            enum append_outcome outcome =
                append_sample(a, &refs[s], labels, 0, t_ms, (double)round);
            if (outcome != APPEND_OK && outcome != APPEND_OUT_OF_BOUNDS)
                fail(append_outcome_text(outcome), NULL);
        }
        if (round % 50 == 49) {
            append_rollback(a);
            continue;
        }
        if (!append_commit(a, &err))
            fail("commit", &err);
        atomic_store(&st->newest_ms[ta->index], t_ms);
        atomic_fetch_add(&st->rounds, 1);
        /* Nobody runs far ahead: the others' samples would be out of bounds. */
        for (unsigned i = 0; i < WRITERS && !over(st); i++)
            while (atomic_load(&st->newest_ms[i]) + 1800000 < t_ms && !over(st))
                sched_yield();
    }
    atomic_store(&st->newest_ms[ta->index], INT64_MAX / 2);
    return NULL;
}

/* All series of a target end at the same time with the same value. */
static void
check_target(struct stress *st, struct querier *q, unsigned target, int64_t from_ms,
             struct sample_buf *b)
{
    struct arena arena;
    struct matcher m[2];
    struct series_set *set;
    struct error err = { 0 };
    char text[32];
    int64_t last_ms = INT64_MIN;

    arena_init(&arena, SIZE_MAX);
    snprintf(text, sizeof text, "target-%u", target);
    if (!matcher_init(&m[0], MATCH_EQ, LABEL_INSTANCE, str_c(text), &arena, &err) ||
        !matcher_init(&m[1], MATCH_RE, STR("generation"), STR("0"), &arena, &err) ||
        !querier_select(q, m, 2, NULL, &set, &err))
        fail("select", &err);
    for (uint32_t i = 0; i < set->nr; i++) {
        struct labels labels = series_labels(set, i, &arena);
        if (str_is(labels_get(labels, LABEL_NAME), "metric_0") ||
            str_ends(labels_get(labels, LABEL_NAME), STR("0")))
            continue; /* it changed its name meanwhile */
        sample_buf_reset(b);
        if (!series_read(set, i, from_ms, INT64_MAX, b, &err))
            fail("read", &err);
        for (size_t k = 0; k < b->nr; k++)
            if (b->t_ms[k] != T0 + (int64_t)b->v[k] * 15000 ||
                (k > 0 && b->t_ms[k] <= b->t_ms[k - 1]))
                fail("wrong sample", NULL);
        int64_t end_ms = b->nr == 0 ? INT64_MIN + 1 : b->t_ms[b->nr - 1];
        if (last_ms != INT64_MIN && end_ms != last_ms)
            fail("a batch was seen in part", NULL);
        last_ms = end_ms;
        atomic_fetch_add(&st->samples, b->nr);
    }
    matcher_fini(&m[0]);
    matcher_fini(&m[1]);
    arena_fini(&arena);
}

static void *
reader(void *arg)
{
    struct thread_arg *ta = arg;
    struct stress *st = ta->st;
    struct error err = { 0 };
    struct sample_buf b;

    sample_buf_init(&b, NULL);
    for (uint64_t i = 0; !over(st); i++) {
        unsigned target = (unsigned)((i + ta->index) % WRITERS);
        int64_t newest = atomic_load(&st->newest_ms[target]);
        int64_t from_ms = i % 7 == 0 ? INT64_MIN : newest - 3 * 3600000;
        struct querier *q;
        if (!querier_open(db_queryable(st->db), from_ms, INT64_MAX, &q, &err))
            fail("open", &err);
        check_target(st, q, target, from_ms, &b);
        querier_close(q);
        atomic_fetch_add(&st->reads, 1);
    }
    sample_buf_fini(&b);
    return NULL;
}

static void
delete_one(struct stress *st, struct error *err)
{
    struct arena arena;
    struct matcher m;

    arena_init(&arena, SIZE_MAX);
    /* A name that the readers do not look at. */
    if (!matcher_init(&m, MATCH_EQ, LABEL_NAME, STR("metric_30"), &arena, err))
        fail("matcher", err);
    if (db_delete_series(st->db, &m, 1, INT64_MIN, INT64_MAX, NULL, err))
        atomic_fetch_add(&st->deletions, 1);
    matcher_fini(&m);
    arena_fini(&arena);
}

/* What fails while the disk is full fails with that, and leaves nothing. */
static void *
administrator(void *arg)
{
    struct stress *st = ((struct thread_arg *)arg)->st;
    struct error err = { 0 };
    char name[DB_SNAPSHOT_NAME_BYTES];

    for (uint64_t i = 0; !over(st); i++) {
        mem_io_set_space(st->mem, i % 3 == 2 ? 1 : UINT64_C(1) << 40);
        delete_one(st, &err);
        if (db_snapshot(st->db, i % 2 == 0, name, &err))
            atomic_fetch_add(&st->snapshots, 1);
        error_ignored(i % 4 != 0 || db_clean_tombstones(st->db, &err));
        error_ignored(io_remove_tree(&st->mem->io, "/data/snapshots", &err));
        if (err.kind != ERR_NONE && err.kind != ERR_FULL)
            fail("administration", &err);
        error_clear(&err);
    }
    mem_io_set_space(st->mem, UINT64_C(1) << 40);
    return NULL;
}

int
main(void)
{
    const char *seconds = getenv("NARTHEX_STRESS_SECONDS");
    struct db_options o = { .log = log_none,
                            .wal_segment_bytes = 1 << 20,
                            .maintenance_ms = 50,
                            .wal_sync_interval_ms = 20 };
    struct mem_io m;
    struct stress st = { .clock = clock_real(), .mem = &m };
    struct thread_arg args[WRITERS + READERS + 1];
    pthread_t threads[WRITERS + READERS + 1];
    struct error err = { 0 };

    mem_io_init(&m);
    if (!db_open("/data", &m.io, st.clock, &o, &st.db, &err))
        fail("open", &err);
    st.end_ns =
        clock_monotonic_ns(st.clock) + (seconds == NULL ? 3 : atoi(seconds)) * INT64_C(1000000000);
    for (unsigned i = 0; i < WRITERS; i++)
        atomic_store(&st.newest_ms[i], T0);
    for (unsigned i = 0; i < WRITERS + READERS + 1; i++) {
        args[i] = (struct thread_arg){ &st, i < WRITERS ? i : i - WRITERS };
        if (pthread_create(&threads[i], NULL,
                           i < WRITERS             ? writer
                           : i < WRITERS + READERS ? reader
                                                   : administrator,
                           &args[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < WRITERS + READERS + 1; i++)
        pthread_join(threads[i], NULL);
    struct db_head_stats hs;
    db_head_stats(st.db, &hs);
    printf("%llu batches, %llu queries, %llu samples read, %llu deletions, %llu snapshots, %llu "
           "series "
           "and %llu chunks in the head\n",
           (unsigned long long)atomic_load(&st.rounds), (unsigned long long)atomic_load(&st.reads),
           (unsigned long long)atomic_load(&st.samples),
           (unsigned long long)atomic_load(&st.deletions),
           (unsigned long long)atomic_load(&st.snapshots), (unsigned long long)hs.series_nr,
           (unsigned long long)hs.chunks_nr);
    db_close(st.db);
    mem_io_fini(&m);
    return 0;
}
