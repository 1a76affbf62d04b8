/* Rules on a virtual clock: groups at their slots, the life of alerts, reload, restoration. Storage
 * is memory, the rule files are in a file system in memory. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/mem_io.h"
#include "rules/rules.h"
#include "tests/promql/mem_storage.h"

#define MINUTE_MS 60000
#define T0_MS     INT64_C(1700000000000)

/* ---- a storage that takes batches into memory ---- */

struct pending {
    struct labels labels;
    int64_t t_ms;
    double v;
};

struct memory {
    struct appendable appendable;
    struct mem_storage *storage;
    struct arena arena;
    bool commit_fails;
};

struct batch {
    struct appender base;
    struct memory *memory;
    struct pending *samples;
    size_t nr, cap;
};

static enum append_outcome
batch_sample(struct appender *a, series_ref *ref, struct labels labels, int64_t st_ms, int64_t t_ms,
             double v)
{
    struct batch *b = CONTAINER_OF(a, struct batch, base);

    MEM_GROW(b->samples, b->nr + 1, &b->cap);
    b->samples[b->nr++] = (struct pending){ labels_copy(&b->memory->arena, labels), t_ms, v };
    *ref = 1;
    return APPEND_OK;
}

static void
batch_free(struct appender *a)
{
    struct batch *b = CONTAINER_OF(a, struct batch, base);

    mem_free(b->samples);
    mem_free(b);
}

static bool
batch_commit(struct appender *a, struct error *err)
{
    struct batch *b = CONTAINER_OF(a, struct batch, base);
    bool ok = !b->memory->commit_fails || error_set(err, ERR_FULL, "no space left on device");

    for (size_t i = 0; ok && i < b->nr; i++)
        mem_storage_add(b->memory->storage, b->samples[i].labels, b->samples[i].t_ms,
                        b->samples[i].v, NULL);
    batch_free(a);
    return ok;
}

static const struct append_ops batch_ops = { .sample = batch_sample,
                                             .commit = batch_commit,
                                             .rollback = batch_free };

static struct appender *
memory_begin(struct appendable *storage, const struct append_options *options)
{
    struct batch *b = MEM_NEW(struct batch);

    b->base.ops = &batch_ops;
    b->memory = CONTAINER_OF(storage, struct memory, appendable);
    return &b->base;
}

/* ---- one manager with everything around it ---- */

struct sent {
    char text[256]; /* alertname{labels} start-end annotation */
};

struct world {
    struct memory memory;
    struct mem_io io;
    struct clock_virtual clock;
    struct engine *engine;
    struct rules_manager *rules;
    struct sent sent[64];
    size_t sent_nr;
    const char *state_dir;
};

static void
take_alerts(void *arg, const struct alert_message *alerts, size_t alerts_nr)
{
    struct world *w = arg;

    for (size_t i = 0; i < alerts_nr; i++) {
        struct buf b = { 0 };
        cr_assert_lt(w->sent_nr, ARRAY_LEN(w->sent));
        labels_print(alerts[i].labels, &b);
        buf_printf(&b, " start=%lld end=%lld",
                   (long long)(alerts[i].starts_at_ns / 1000000 - T0_MS) / 1000,
                   (long long)(alerts[i].ends_at_ns / 1000000 - T0_MS) / 1000);
        snprintf(w->sent[w->sent_nr++].text, sizeof w->sent[0].text, "%s", buf_z(&b));
        buf_fini(&b);
    }
}

static void
manager_start_with(struct world *w, int64_t concurrent_evals_max)
{
    struct rules_options options = {
        .engine = w->engine,
        .queryable = mem_storage_queryable(w->memory.storage),
        .appendable = &w->memory.appendable,
        .io = &w->io.io,
        .clock = &w->clock.base,
        .concurrent_evals_max = concurrent_evals_max,
        .state_dir = w->state_dir,
        .log = log_none,
        .notify = take_alerts,
        .notify_arg = w,
        .resend_delay_ms = MINUTE_MS,
        .outage_tolerance_ms = 60 * MINUTE_MS,
        .grace_period_ms = 10 * MINUTE_MS,
    };

    w->rules = rules_manager_new(&options);
}

static void
manager_start(struct world *w)
{
    manager_start_with(w, 0);
}

static struct world *
world_new(void)
{
    struct world *w = MEM_NEW(struct world);

    w->memory.appendable.begin = memory_begin;
    w->memory.storage = mem_storage_new();
    arena_init(&w->memory.arena, SIZE_MAX);
    mem_io_init(&w->io);
    clock_virtual_init(&w->clock, T0_MS, 1);
    struct engine_options options = { .lookback_ms = 5 * MINUTE_MS,
                                      .timeout_ms = MINUTE_MS,
                                      .samples_max = 1000000,
                                      .subquery_step_ms = MINUTE_MS,
                                      .clock = &w->clock.base };
    w->engine = engine_new(&options);
    manager_start(w);
    return w;
}

static void
world_free(struct world *w)
{
    rules_manager_free(w->rules);
    engine_free(w->engine);
    mem_storage_free(w->memory.storage);
    arena_fini(&w->memory.arena);
    mem_io_fini(&w->io);
    mem_free(w);
}

static void
apply_files(struct world *w, const char *text, size_t files_nr)
{
    const struct str files[] = { STR("rules.yml"), STR("rules.yml") };
    struct rules_settings settings = { .files = files,
                                       .files_nr = files_nr,
                                       .interval_ms = MINUTE_MS,
                                       .external_url = STR("http://x") };
    struct error err = { 0 };

    cr_assert(io_replace_file(&w->io.io, "rules.yml",
                              (struct bytes){ (const uint8_t *)text, strlen(text) }, &err),
              "%s", error_text(&err));
    cr_assert(rules_manager_apply(w->rules, &settings, &err), "%s", error_text(&err));
}

static void
apply(struct world *w, const char *text)
{
    apply_files(w, text, 1);
}

/* Minutes pass, one evaluation each, at the group's own slots; `up` has a sample at every one. */
static void
run(struct world *w, unsigned minutes, double up)
{
    struct label ls[] = { { LABEL_NAME, STR("up") }, { LABEL_INSTANCE, STR("a:1") } };

    for (unsigned i = 0; i < minutes; i++) {
        int64_t next_ns = rules_manager_run_due(w->rules), now_ns = clock_now_ns(&w->clock.base);
        cr_assert_neq(next_ns, INT64_MAX);
        clock_virtual_advance(&w->clock, (next_ns - now_ns + 999999) / 1000000);
        mem_storage_add(w->memory.storage, (struct labels){ ls, 2 },
                        clock_now_ms(&w->clock.base) - 1, up, NULL);
        rules_manager_run_due(w->rules);
    }
}

/* The value of an instant query, or -1 when there is no single one. */
static double
ask(struct world *w, const char *expr)
{
    struct query query = { .text = str_c(expr), .start_ms = clock_now_ms(&w->clock.base) };
    struct query_result result;
    struct error err = { 0 };

    query.end_ms = query.start_ms;
    cr_assert(
        engine_query(w->engine, mem_storage_queryable(w->memory.storage), &query, &result, &err),
        "%s", error_text(&err));
    double v = result.series_nr == 1 ? result.series[0].v[0] : -1;
    query_result_fini(&result);
    return v;
}

static const struct rule_view *
only_rule(struct world *w, struct arena *arena, struct rules_view *view)
{
    rules_manager_view(w->rules, arena, view);
    cr_assert_eq(view->groups_nr, 1);
    cr_assert_eq(view->groups[0].rules_nr, 1);
    return &view->groups[0].rules[0];
}

static enum alert_state
state_of(struct world *w)
{
    struct rules_view view;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    enum alert_state state = only_rule(w, &arena, &view)->state;
    arena_fini(&arena);
    return state;
}

/* ---- the tests ---- */

Test(rules, records_under_a_new_name_and_ends_what_vanishes)
{
    struct world *w = world_new();

    apply(w, "groups: [{name: g, rules: [{record: 'a:up', expr: 'up > 0', labels: {l: x}}]}]\n");
    run(w, 2, 7);
    cr_expect_eq(ask(w, "a:up{l='x', instance='a:1'}"), 7);
    run(w, 1, 0); /* the filter drops it: a stale marker ends the series at once */
    cr_expect_eq(ask(w, "a:up"), -1);
    world_free(w);
}

Test(rules, evaluates_at_the_slot_of_file_and_name)
{
    struct world *w = world_new();

    apply(w, "groups: [{name: example, rules: [{record: t, expr: 'timestamp(up)*0 + time()'}]}]\n");
    run(w, 2, 1);
    /* hash({file="rules.yml", name="example"}) mod 1m = 50.337076781 s, as in surface/formats.md.
     */
    double t = ask(w, "t");
    cr_expect_float_eq(fmod(t, 60), 50.337, 1e-6, "%f", t);
    world_free(w);
}

static const char alert_for_5m[] =
    "groups: [{name: g, rules: [{alert: Down, expr: 'up == 0', for: 5m, keep_firing_for: 2m}]}]\n";

Test(rules, alert_goes_through_pending_firing_kept_and_resolved)
{
    struct world *w = world_new();

    apply(w, alert_for_5m);
    run(w, 2, 1);
    cr_expect_eq(state_of(w), ALERT_INACTIVE);
    run(w, 1, 0);
    cr_expect_eq(state_of(w), ALERT_PENDING);
    cr_expect_eq(ask(w, "ALERTS{alertstate='pending', alertname='Down', instance='a:1'}"), 1);
    run(w, 4, 0);
    cr_expect_eq(state_of(w), ALERT_PENDING);
    cr_expect_eq(w->sent_nr, 0, "pending alerts are not sent");
    run(w, 1, 0);
    cr_expect_eq(state_of(w), ALERT_FIRING);
    cr_expect_eq(w->sent_nr, 1);
    cr_expect_eq(ask(w, "ALERTS{alertstate='firing'}"), 1);
    cr_expect_eq(ask(w, "ALERTS{alertstate='pending'}"), -1, "its series ended");
    run(w, 2, 1); /* kept firing */
    cr_expect_eq(state_of(w), ALERT_FIRING);
    run(w, 2, 1);
    cr_expect_eq(state_of(w), ALERT_INACTIVE);
    cr_expect_eq(ask(w, "ALERTS"), -1);
    const char *last = w->sent[w->sent_nr - 1].text;
    cr_expect_not_null(strstr(last, "{alertname=\"Down\", instance=\"a:1\"}"), "%s", last);
    world_free(w);
}

Test(rules, pending_that_recovers_is_forgotten)
{
    struct world *w = world_new();

    apply(w, alert_for_5m);
    run(w, 3, 0);
    run(w, 1, 1);
    cr_expect_eq(state_of(w), ALERT_INACTIVE);
    run(w, 5, 0);
    cr_expect_eq(state_of(w), ALERT_PENDING, "five minutes start again");
    world_free(w);
}

Test(rules, resolved_alerts_are_sent_for_a_quarter_of_an_hour)
{
    struct world *w = world_new();

    apply(w, "groups: [{name: g, rules: [{alert: Down, expr: 'up == 0'}]}]\n");
    run(w, 1, 1);
    run(w, 1, 0);
    cr_expect_eq(w->sent_nr, 1);
    run(w, 30, 1);
    /* At once, then after every resend delay that has passed, until 15 minutes are over. */
    cr_expect_geq(w->sent_nr, 8, "%zu", w->sent_nr);
    cr_expect_leq(w->sent_nr, 18, "%zu", w->sent_nr);
    world_free(w);
}

Test(rules, reload_keeps_state_of_what_stays_and_ends_what_goes)
{
    struct world *w = world_new();

    apply(w, "groups: [{name: g, rules: [{alert: Down, expr: 'up == 0', for: 5m}, {record: gone, "
             "expr: up}]}]\n");
    run(w, 4, 0);
    cr_expect_eq(ask(w, "gone"), 0);
    apply(w, alert_for_5m);
    run(w, 3, 0);
    cr_expect_eq(state_of(w), ALERT_FIRING, "the alert is known from before the reload");
    cr_expect_eq(ask(w, "gone"), -1, "its series got a stale marker");
    world_free(w);
}

Test(rules, a_bad_file_changes_nothing)
{
    struct world *w = world_new();
    const struct str files[] = { STR("bad.yml") };
    struct rules_settings settings = { .files = files, .files_nr = 1, .interval_ms = MINUTE_MS };
    struct error err = { 0 };

    apply(w, alert_for_5m);
    cr_assert(io_replace_file(
        &w->io.io, "bad.yml",
        (struct bytes){ (const uint8_t *)"groups: [{name: g, rules: [{record: a, expr: 'up ++'}]}]",
                        56 },
        &err));
    cr_expect_not(rules_manager_apply(w->rules, &settings, &err));
    cr_expect_not_null(strstr(error_text(&err), "bad.yml"), "%s", error_text(&err));
    error_clear(&err);
    run(w, 2, 0);
    cr_expect_eq(state_of(w), ALERT_PENDING);
    world_free(w);
}

Test(rules, limit_and_duplicates_are_errors_that_show)
{
    static const struct {
        const char *file, *want;
    } cases[] = {
        { "groups: [{name: g, limit: 1, rules: [{record: a, expr: 'up or vector(1)'}]}]\n",
          "exceeded limit of 1 with 2 series" },
        { "groups: [{name: g, rules: [{record: a, expr: 'up or vector(1)', labels: {instance: "
          "''}}]}]\n",
          "vector contains metrics with the same labelset after applying rule labels" },
        { "groups: [{name: g, rules: [{alert: a, expr: 'up or vector(1)', labels: {instance: "
          "'x'}}]}]\n",
          "vector contains metrics with the same labelset after applying alert labels" },
        { "groups: [{name: g, limit: 1, rules: [{alert: a, expr: 'up or vector(1)'}]}]\n",
          "exceeded limit of 1 with 2 alerts" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = world_new();
        struct rules_view view;
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        apply(w, cases[i].file);
        run(w, 2, 1);
        const struct rule_view *r = only_rule(w, &arena, &view);
        cr_expect_str_eq(r->health, "err");
        cr_expect(str_is(r->last_error, cases[i].want), "%.*s", STR_ARG(r->last_error));
        arena_fini(&arena);
        world_free(w);
    }
}

Test(rules, a_failed_commit_loses_no_stale_marker)
{
    struct world *w = world_new();

    apply(w, "groups: [{name: g, rules: [{record: 'a:up', expr: 'up > 0'}]}]\n");
    run(w, 2, 7);
    w->memory.commit_fails = true;
    run(w, 1, 0);
    w->memory.commit_fails = false;
    cr_expect_eq(ask(w, "a:up"), 7, "the marker did not reach storage");
    run(w, 1, 0);
    cr_expect_eq(ask(w, "a:up"), -1);
    world_free(w);
}

Test(rules, restores_for_after_a_restart)
{
    struct world *w = world_new();

    apply(w, "groups: [{name: g, rules: [{alert: Down, expr: 'up == 0', for: 30m}]}]\n");
    run(w, 25, 0);
    cr_expect_eq(state_of(w), ALERT_PENDING);
    rules_manager_free(w->rules); /* five minutes off */
    clock_virtual_advance(&w->clock, 5 * MINUTE_MS);
    manager_start(w);
    apply(w, "groups: [{name: g, rules: [{alert: Down, expr: 'up == 0', for: 30m}]}]\n");
    run(w, 3, 0);
    cr_expect_eq(state_of(w), ALERT_PENDING);
    run(w, 8, 0);
    cr_expect_eq(state_of(w), ALERT_PENDING, "less than the grace period has passed");
    run(w, 5, 0);
    cr_expect_eq(state_of(w), ALERT_FIRING, "without restoration it would take 30 minutes");
    world_free(w);
}

Test(rules, a_step_of_the_clock_stops_nothing)
{
    struct world *w = world_new();

    apply(w, "groups: [{name: g, rules: [{record: n, expr: 'vector(1)'}]}]\n");
    run(w, 2, 1);
    clock_virtual_step_wall(&w->clock, 3600 * 1000);
    run(w, 2, 1);
    cr_expect_eq(ask(w, "n"), 1);
    clock_virtual_step_wall(&w->clock, -7200 * 1000);
    run(w, 2, 1);
    cr_expect_eq(ask(w, "n"), 1);
    world_free(w);
}

Test(rules, the_first_evaluation_is_that_of_the_next_slot)
{
    struct world *w = world_new();

    /* Its slots are at 50.337076781 s past the minute; it is 20 s now. */
    apply(w, "groups: [{name: example, rules: [{record: n, expr: 'vector(1)'}]}]\n");
    clock_virtual_advance(&w->clock, 30336); /* the timer's last millisecond, rounded down */
    rules_manager_run_due(w->rules);
    cr_expect_eq(ask(w, "n"), -1, "the slot before the start is not evaluated");
    clock_virtual_advance(&w->clock, 2);
    rules_manager_run_due(w->rules);
    cr_expect_eq(ask(w, "n"), 1);
    world_free(w);
}

Test(rules, a_file_named_twice_has_its_groups_once)
{
    static const char file[] = "groups: [{name: g, rules: [{record: n, expr: 'vector(1)'}]}]\n";
    struct world *w = world_new();
    struct rules_view view;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    apply_files(w, file, 2);
    only_rule(w, &arena, &view);
    run(w, 2, 1);
    apply_files(w, file, 1);
    run(w, 4, 1);
    cr_expect_eq(ask(w, "n"), 1, "no group left, so no marker ends the series");
    arena_fini(&arena);
    world_free(w);
}

/* On one thread, since the storage here is for one: tests/e2e runs it on many. */
Test(rules, concurrent_rules_see_what_they_depend_on)
{
    struct world *w = world_new();
    struct buf text = { 0 };

    rules_manager_free(w->rules);
    manager_start_with(w, 4);
    buf_c(&text, "groups: [{name: g, rules: [");
    for (unsigned i = 0; i < 20; i++)
        buf_printf(&text, "{record: 'r%u', expr: 'time() + 0 * vector(1)'}, ", i);
    for (unsigned i = 0; i < 20; i++)
        buf_printf(&text, "{record: 's%u', expr: 'time() - r%u'}, ", i, i);
    buf_c(&text, "{record: total, expr: 'count({__name__=~\"s.*\"} == 0)'}]}]\n");
    apply(w, buf_z(&text));
    run(w, 3, 1);
    cr_expect_eq(ask(w, "total"), 20, "%g", ask(w, "total"));
    world_free(w);
    buf_fini(&text);
}

/* ---- state over restarts ---- */

static const char kept_rules[] =
    "groups: [{name: g, rules: [{alert: Slow, expr: 'up == 0', for: 3m, keep_firing_for: 2m}, "
    "{alert: Quick, expr: 'up == 0', labels: {severity: page}, annotations: {v: '{{ $value }}'}}, "
    "{alert: Long, expr: 'up < 2', for: 30m}]}]\n";

static void
restart(struct world *w)
{
    rules_manager_free(w->rules);
    manager_start(w);
    apply(w, kept_rules);
}

/* Every alert with its times. */
static void
alerts_print(struct world *w, struct buf *out)
{
    struct rules_view view;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    rules_manager_view(w->rules, &arena, &view);
    for (size_t i = 0; i < view.groups[0].rules_nr; i++) {
        const struct rule_view *r = &view.groups[0].rules[i];
        for (size_t j = 0; j < r->alerts_nr; j++) {
            const struct alert_view *a = &r->alerts[j];
            labels_print(a->labels, out);
            buf_printf(out, " %s since %lld kept %lld\n", alert_state_text(a->state),
                       (long long)a->active_at_ns, (long long)a->keep_firing_since_ns);
        }
    }
    arena_fini(&arena);
}

Test(rules, a_restart_at_every_step_changes_nothing)
{
    /* One character per minute: what `up` is. */
    static const char script[] = "1100000111000001110111000000000000011000100000000000000000011111";
    struct world *whole = world_new(), *cut = world_new();

    whole->state_dir = cut->state_dir = "data/narthex/alerts";
    restart(whole);
    restart(cut);
    run(whole, 3, 1);
    run(cut, 3, 1);
    for (size_t i = 0; script[i] != '\0'; i++) {
        struct buf want = { 0 }, got = { 0 };
        run(whole, 1, script[i] - '0');
        restart(cut);
        run(cut, 1, script[i] - '0');
        alerts_print(whole, &want);
        alerts_print(cut, &got);
        cr_expect_str_eq(buf_z(&got), buf_z(&want), "step %zu: %s instead of %s", i, buf_z(&got),
                         buf_z(&want));
        buf_fini(&want);
        buf_fini(&got);
        whole->sent_nr = cut->sent_nr = 0;
    }
    world_free(whole);
    world_free(cut);
}

Test(rules, a_restart_sends_again_with_the_first_start)
{
    struct world *w = world_new();

    w->state_dir = "data/narthex/alerts";
    restart(w);
    run(w, 3, 1);
    run(w, 5, 0);
    char before[256], after[256];
    snprintf(before, sizeof before, "%s", w->sent[w->sent_nr - 1].text);
    w->sent_nr = 0;
    restart(w);
    run(w, 1, 0);
    cr_assert_gt(w->sent_nr, 0, "at the first evaluation");
    snprintf(after, sizeof after, "%s", w->sent[w->sent_nr - 1].text);
    *strstr(before, " end=") = *strstr(after, " end=") = '\0';
    cr_expect_str_eq(after, before);
    world_free(w);
}

Test(rules, an_outage_is_not_waited_through_and_resolves_nothing_at_once)
{
    struct world *w = world_new();
    struct buf got = { 0 };

    w->state_dir = "data/narthex/alerts";
    restart(w);
    run(w, 3, 1);
    run(w, 10, 0); /* Long is pending for 10 minutes or more, the others fire */
    rules_manager_free(w->rules);
    clock_virtual_advance(&w->clock, 40 * MINUTE_MS);
    manager_start(w);
    apply(w, kept_rules);
    /* Nothing is scraped in the first minute: the old samples are beyond the lookback. */
    int64_t next_ns = rules_manager_run_due(w->rules), now_ns = clock_now_ns(&w->clock.base);
    clock_virtual_advance(&w->clock, (next_ns - now_ns + 999999) / 1000000);
    rules_manager_run_due(w->rules);
    alerts_print(w, &got);
    cr_expect_not_null(strstr(buf_z(&got), "alertname=\"Quick\", instance=\"a:1\", "
                                           "severity=\"page\"} firing"),
                       "%s", buf_z(&got));
    cr_expect_not_null(strstr(buf_z(&got), "alertname=\"Long\", instance=\"a:1\"} pending"),
                       "40 minutes without anybody looking do not count: %s", buf_z(&got));
    run(w, 8, 1);
    buf_reset(&got);
    alerts_print(w, &got);
    cr_expect_null(strstr(buf_z(&got), "Quick"), "%s", buf_z(&got));
    buf_fini(&got);
    world_free(w);
}

Test(rules, state_of_groups_that_are_gone_is_removed)
{
    struct world *w = world_new();
    struct io_dir_list list;
    struct error err = { 0 };

    w->state_dir = "data/narthex/alerts";
    restart(w);
    run(w, 3, 1);
    run(w, 5, 0);
    rules_manager_free(w->rules);
    manager_start(w);
    apply(w, "groups: [{name: another, rules: [{record: n, expr: up}]}]\n");
    cr_assert(io_list(&w->io.io, w->state_dir, &list, &err));
    cr_expect_eq(list.nr, 0);
    io_dir_list_fini(&list);
    world_free(w);
}

Test(rules, damaged_state_is_ignored)
{
    struct world *w = world_new();
    struct io_dir_list list;
    struct error err = { 0 };
    char path[300], *text;
    size_t n;

    w->state_dir = "data/narthex/alerts";
    restart(w);
    run(w, 3, 1);
    run(w, 5, 0);
    cr_assert(io_list(&w->io.io, w->state_dir, &list, &err));
    cr_assert_eq(list.nr, 1);
    snprintf(path, sizeof path, "%s/%s", w->state_dir, list.entries[0].name);
    io_dir_list_fini(&list);
    cr_assert(io_read_file(&w->io.io, path, 1 << 20, &text, &n, &err));
    for (size_t i = 0; i < n; i++) {
        text[i] ^= 1;
        cr_assert(io_replace_file(&w->io.io, path, (struct bytes){ (uint8_t *)text, n }, &err));
        text[i] ^= 1;
        struct buf got = { 0 };
        restart(w);
        alerts_print(w, &got);
        cr_expect_eq(got.n, 0, "byte %zu: %s", i, buf_z(&got));
        buf_fini(&got);
    }
    mem_free(text);
    world_free(w);
}

Test(rules, the_last_hundred_evaluations_are_shown)
{
    struct world *w = world_new();
    struct rules_view view;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    apply(w, "groups: [{name: g, limit: 1, rules: [{record: n, expr: 'up or vector(1) > 0'}]}]\n");
    run(w, 120, 1);
    run(w, 1, -1);
    rules_manager_view_evaluations(w->rules, &arena, &view);
    const struct rule_view *r = &view.groups[0].rules[0];
    cr_assert_eq(r->evaluations_nr, 100);
    cr_expect(str_is(r->evaluations[0].error, "exceeded limit of 1 with 2 series"));
    cr_expect_eq(r->evaluations[0].slot_ns - r->evaluations[99].slot_ns, 99 * 60000000000);
    apply(w, "groups: [{name: g, rules: [{record: n, expr: 'up'}]}]\n");
    run(w, 1, 1);
    rules_manager_view_evaluations(w->rules, &arena, &view);
    r = &view.groups[0].rules[0];
    cr_assert_eq(r->evaluations_nr, 100, "a reload keeps them");
    cr_expect_eq(r->evaluations[0].error.n, 0);
    cr_expect_eq(r->evaluations[0].samples_nr, 1);
    only_rule(w, &arena, &view);
    cr_expect_null(view.groups[0].rules[0].evaluations, "not unless asked for");
    arena_fini(&arena);
    world_free(w);
}
