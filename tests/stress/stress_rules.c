/* Rules for the thread sanitizer: groups that run every few milliseconds on a pool, rules inside
 * them at the same time, reloads that change, remove and rename groups, views, and a notifier whose
 * Alertmanagers come and go and never answer, all at once over a real database. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/mem_io.h"
#include "discovery/mechanism.h"
#include "rules/notify/notifier.h"
#include "rules/rules.h"
#include "tsdb/db.h"

enum { RELOADS_NR = 60, GROUPS_NR = 6 };

struct stress {
    struct mem_io io;
    struct db *db;
    struct engine *engine;
    struct pool *pool;
    struct metrics *metrics;
    struct notifier *notifier;
    struct rules_manager *rules;
    struct conf_pool *conf;
    struct alerting_config alerting;
    struct alertmanager_config section;
    atomic_bool stopping;
};

static void
check(bool ok, struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", error_text(err));
    abort();
}

static void
rules_write(struct stress *s, unsigned round)
{
    struct buf text = { 0 };
    struct error err = { 0 };

    buf_c(&text, "groups:\n");
    for (unsigned g = 0; g < GROUPS_NR; g++) {
        unsigned version = g % 2 == 0 ? 0 : round; /* every other group stays as it is */
        if ((g + round) % 5 == 0)
            continue;
        buf_printf(&text, "  - {name: g%u, interval: %ums, rules: [", g, 5 + g);
        for (unsigned i = 0; i < 8; i++)
            buf_printf(&text, "{record: 'r%u_%u', expr: 'time() + %u'}, ", g, i, version);
        buf_printf(&text,
                   "{alert: A%u, expr: 'r%u_0 > 0', annotations: {v: '{{ query \"r%u_1\" | first | "
                   "value }}'}, labels: {v: '%u'}}, ",
                   g, g, g, version);
        buf_printf(&text, "{alert: B%u, expr: 'vector(time()) %% 2 > 1'}]}\n", g);
    }
    check(io_replace_file(&s->io.io, "rules.yml", buf_as_bytes(&text), &err), &err);
    buf_fini(&text);
}

static void
rules_reload(struct stress *s, unsigned round)
{
    const struct str files[] = { STR("rules.yml") };
    struct rules_settings settings = { .files = files,
                                       .files_nr = 1,
                                       .interval_ms = 10,
                                       .external_url =
                                           round % 2 ? STR("http://a") : STR("http://b") };
    struct error err = { 0 };

    rules_write(s, round);
    check(rules_manager_apply(s->rules, &settings, &err), &err);
    check(notifier_apply(s->notifier, &s->alerting, s->conf, LABELS_NONE, &err), &err);
}

static void *
discover(void *arg)
{
    struct stress *s = arg;

    for (unsigned i = 0; !atomic_load(&s->stopping); i++) {
        const struct str addresses[] = { STR("127.0.0.1:1"), STR("127.0.0.1:2") };
        struct target_group *g = target_group_new(STR("0"), LABELS_NONE, addresses + i % 2, 1);
        notifier_set_targets(s->notifier, 0, &g, 1);
        target_group_unref(g);
        usleep(3 * 1000);
    }
    return NULL;
}

static void *
look(void *arg)
{
    struct stress *s = arg;

    while (!atomic_load(&s->stopping)) {
        struct rules_view rules;
        struct alertmanagers_view ams;
        struct arena arena;
        struct buf page = { 0 };
        arena_init(&arena, SIZE_MAX);
        rules_manager_view(s->rules, &arena, &rules);
        notifier_view(s->notifier, &arena, &ams);
        metrics_write_text(s->metrics, &page, clock_monotonic_ns(clock_real()));
        buf_fini(&page);
        arena_fini(&arena);
        usleep(1 * 1000);
    }
    return NULL;
}

static void
stress_init(struct stress *s)
{
    struct db_options db = { .log = log_none, .no_maintenance = true, .no_lockfile = true };
    struct engine_options engine = { .lookback_ms = 300000,
                                     .timeout_ms = 60000,
                                     .samples_max = 1000000,
                                     .subquery_step_ms = 1000,
                                     .clock = clock_real() };
    struct notifier_options notify = {
        .capacity = 100, .batch_max = 10, .drain = true, .clock = clock_real(), .log = log_none
    };
    struct error err = { 0 };

    mem_io_init(&s->io);
    check(db_open("data", &s->io.io, clock_real(), &db, &s->db, &err), &err);
    s->metrics = notify.metrics = metrics_new();
    s->pool = engine.pool = pool_new(4, "stress");
    s->engine = engine_new(&engine);
    s->notifier = notifier_new(&notify);
    s->conf = conf_pool_new();
    http_client_config_init(&s->section.http);
    s->section.scheme = STR("http");
    s->section.timeout_ms = 50;
    s->alerting.alertmanagers.items = &s->section;
    s->alerting.alertmanagers.nr = 1;
}

static void
rules_start(struct stress *s)
{
    struct rules_options options = { .engine = s->engine,
                                     .queryable = db_queryable(s->db),
                                     .appendable = db_appendable(s->db),
                                     .io = &s->io.io,
                                     .clock = clock_real(),
                                     .pool = s->pool,
                                     .state_dir = "data/narthex/alerts",
                                     .log = log_none,
                                     .metrics = s->metrics,
                                     .notify = notifier_send,
                                     .notify_arg = s->notifier,
                                     .resend_delay_ms = 5,
                                     .outage_tolerance_ms = 60000,
                                     .grace_period_ms = 0,
                                     .concurrent_evals_max = 3 };

    s->rules = rules_manager_new(&options);
    rules_reload(s, 0);
    rules_manager_start(s->rules);
}

static void
stress_fini(struct stress *s)
{
    notifier_free(s->notifier);
    db_close(s->db);
    engine_free(s->engine);
    pool_free(s->pool);
    metrics_free(s->metrics);
    conf_pool_unref(s->conf);
    mem_io_fini(&s->io);
}

int
main(void)
{
    struct stress s = { 0 };
    pthread_t threads[2];

    stress_init(&s);
    rules_start(&s);
    if (pthread_create(&threads[0], NULL, discover, &s) != 0 ||
        pthread_create(&threads[1], NULL, look, &s) != 0)
        abort();
    for (unsigned i = 1; i <= RELOADS_NR; i++) {
        usleep(20 * 1000);
        rules_reload(&s, i);
    }
    atomic_store(&s.stopping, true);
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    rules_manager_free(s.rules); /* while groups run */
    rules_start(&s);             /* and again, from the kept state */
    rules_manager_free(s.rules);
    stress_fini(&s);
    return 0;
}
