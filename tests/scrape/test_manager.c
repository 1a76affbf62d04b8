/* The whole way with real threads and sockets: discovery, schedule, HTTP, append, views. Waits for
 * what must come, never for a time. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/conf.h"
#include "fake_storage.h"
#include "http_fake.h"
#include "model/sample.h"
#include "scrape/scrape.h"

struct bed {
    struct http_fake *http;
    struct fake_storage storage;
    struct scrape_manager *m;
    struct metrics *metrics;
    char dir[64], file[96];
};

static void
bed_init(struct bed *b)
{
    memset(b, 0, sizeof *b);
    signal(SIGPIPE, SIG_IGN);
    b->http = http_fake_new();
    fake_storage_init(&b->storage);
    b->metrics = metrics_new();
    snprintf(b->dir, sizeof b->dir, "%s/narthex-scrape-XXXXXX",
             getenv("TMPDIR") == NULL ? P_tmpdir : getenv("TMPDIR"));
    cr_assert_not_null(mkdtemp(b->dir));
    snprintf(b->file, sizeof b->file, "%s/targets.json", b->dir);
    b->m = scrape_manager_new(&(struct scrape_options){ .storage = &b->storage.base,
                                                        .clock = clock_real(),
                                                        .io = io_posix(),
                                                        .log = log_none,
                                                        .metrics = b->metrics,
                                                        .loops_nr = 2,
                                                        .discovery_reload_ms = 50,
                                                        .align_timestamps = true,
                                                        .timestamp_tolerance_ns = 2000000 });
}

static void
bed_fini(struct bed *b)
{
    scrape_manager_free(b->m);
    http_fake_free(b->http);
    fake_storage_fini(&b->storage);
    metrics_free(b->metrics);
    unlink(b->file);
    rmdir(b->dir);
}

/* `%d` in yaml is the server's port. */
static void
apply(struct bed *b, const char *const *yaml, size_t nr)
{
    struct conf_pool *pool = conf_pool_new();
    const struct scrape_config *jobs[16];
    struct global_config global;
    struct error err = { 0 };

    global_config_init(pool, &global, &(struct scrape_config_options){ 0 });
    for (size_t i = 0; i < nr; i++) {
        struct scrape_config *job = arena_alloc(conf_pool_arena(pool), sizeof *job);
        struct buf text = { 0 };

        for (const char *at = yaml[i]; *at != 0; at++) {
            if (at[0] == '%' && at[1] == 'd') {
                buf_printf(&text, "%u", http_fake_port(b->http));
                at++;
            } else if (at[0] == '%' && at[1] == 'f') {
                buf_c(&text, b->file);
                at++;
            } else {
                buf_byte(&text, (uint8_t)*at);
            }
        }
        struct str copy = arena_str(conf_pool_arena(pool), buf_as_str(&text));
        cr_assert(conf_load(pool, copy, &scrape_config_table, job, NULL, &err), "%s",
                  error_text(&err));
        cr_assert(scrape_config_complete(pool, job, &global, &err), "%s", error_text(&err));
        jobs[i] = job;
        buf_fini(&text);
    }
    cr_assert(scrape_manager_apply(b->m, jobs, nr, LABELS_NONE, pool, &err), "%s",
              error_text(&err));
    conf_pool_unref(pool);
}

static bool
wait_for(bool (*fn)(struct bed *b, const void *arg), struct bed *b, const void *arg)
{
    for (int i = 0; i < 3000; i++) {
        if (fn(b, arg))
            return true;
        usleep(10000);
    }
    return false;
}

/* The pool's only target has this error ("": it is up). */
struct wanted_error {
    const char *pool, *error;
    bool prefix;
};

static bool
has_error(struct bed *b, const void *arg)
{
    const struct wanted_error *w = arg;
    struct targets_view view;
    struct arena arena;
    bool ok = false;

    arena_init(&arena, SIZE_MAX);
    scrape_targets(b->m, str_c(w->pool), &arena, &view);
    if (view.active_nr == 1 && view.active[0].health != TARGET_UNKNOWN) {
        ok = w->prefix ? str_starts(view.active[0].last_error, str_c(w->error))
                       : str_is(view.active[0].last_error, w->error);
        if (!ok)
            fprintf(stderr, "%s: %.*s\n", w->pool, STR_ARG(view.active[0].last_error));
    }
    arena_fini(&arena);
    return ok;
}

static const char metrics_job[] =
    "job_name: good\nscrape_interval: 50ms\nscrape_timeout: 50ms\n"
    "static_configs: [{targets: [\"127.0.0.1:%d\"], labels: {zone: z}}]\n";

static bool
counted(struct bed *b, const void *arg)
{
    return fake_storage_count(&b->storage, arg) >= 5;
}

Test(manager, scrapes_what_the_configuration_names)
{
    struct bed b;
    char labels[128];
    const char *jobs[] = { metrics_job };

    bed_init(&b);
    apply(&b, jobs, 1);
    snprintf(labels, sizeof labels,
             "{__name__=\"a\", instance=\"127.0.0.1:%u\", job=\"good\", zone=\"z\"}",
             http_fake_port(b.http));
    cr_expect(wait_for(counted, &b, labels));
    cr_expect(wait_for(has_error, &b, &(struct wanted_error){ "good", "", false }));
    bed_fini(&b);
}

static const struct {
    const char *path, *more;
    struct wanted_error want;
} bad[] = {
    { "/404", "", { "j0", "server returned HTTP status 404 Not Found", false } },
    { "/big", "body_size_limit: 100KB\n", { "j1", "body size limit exceeded", false } },
    { "/bomb", "body_size_limit: 1MB\n", { "j2", "body size limit exceeded", false } },
    { "/endless", "body_size_limit: 1MB\n", { "j3", "body size limit exceeded", false } },
    { "/slow", "", { "j4", "", true } },
    { "/plain",
      "",
      { "j5",
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
        "specified for target",
        false } },
    { "/plain", "fallback_scrape_protocol: PrometheusText0.0.4\n", { "j6", "", false } },
    { "/broken", "", { "j7", "expected label name, got ", true } },
    { "/big", "sample_limit: 10\n", { "j8", "sample limit exceeded", false } },
    { "/metrics", "target_limit: 1\n", { "j9", "", false } },
};

static bool
is_down(struct bed *b, const void *arg)
{
    struct targets_view view;
    struct arena arena;
    bool down;

    arena_init(&arena, SIZE_MAX);
    scrape_targets(b->m, str_c(arg), &arena, &view);
    down = view.active_nr == 1 && view.active[0].health == TARGET_DOWN &&
           view.active[0].last_error.n != 0;
    arena_fini(&arena);
    return down;
}

Test(manager, a_bad_target_gets_a_clear_error_and_the_others_go_on)
{
    const char *jobs[ARRAY_LEN(bad) + 1];
    struct buf texts[ARRAY_LEN(bad)] = { 0 };
    struct bed b;

    bed_init(&b);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        buf_printf(
            &texts[i],
            "job_name: j%zu\nscrape_interval: 3s\nscrape_timeout: 3s\nmetrics_path: %s\n%s"
            "static_configs: [{targets: [\"127.0.0.1:%%d\"]}]\n",
            i, bad[i].path, bad[i].more);
        jobs[i] = buf_z(&texts[i]);
    }
    jobs[ARRAY_LEN(bad)] = metrics_job;
    apply(&b, jobs, ARRAY_LEN(jobs));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect(wait_for(has_error, &b, &bad[i].want), "%s", bad[i].path);
    cr_expect(wait_for(is_down, &b, "j4"));
    cr_expect(wait_for(has_error, &b, &(struct wanted_error){ "good", "", false }));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        buf_fini(&texts[i]);
    bed_fini(&b);
}

static bool
has_targets(struct bed *b, const void *arg)
{
    struct targets_view view;
    struct arena arena;
    size_t nr;

    arena_init(&arena, SIZE_MAX);
    scrape_targets(b->m, STR(""), &arena, &view);
    nr = view.active_nr;
    arena_fini(&arena);
    return nr == *(const size_t *)arg;
}

static void
write_file(const char *path, const char *text)
{
    char tmp[128];
    FILE *f;

    snprintf(tmp, sizeof tmp, "%s.new", path);
    f = fopen(tmp, "w");
    fputs(text, f);
    fclose(f);
    cr_assert_eq(rename(tmp, path), 0);
}

static const char file_job[] =
    "job_name: files\nscrape_interval: 50ms\nscrape_timeout: 50ms\n"
    "file_sd_configs: [{files: [\"%f\"], refresh_interval: 1h}]\n"
    "relabel_configs: [{source_labels: [drop], regex: \"1\", action: drop}]\n";

static bool
marked(struct bed *b, const void *arg)
{
    const char *labels = arg;
    bool found = false;

    lock_take(&b->storage.lock);
    for (size_t i = 0; i < b->storage.samples_nr; i++)
        found |= is_stale(b->storage.samples[i].v) &&
                 strcmp(b->storage.series[b->storage.samples[i].ref - 1].labels, labels) == 0;
    lock_release(&b->storage.lock);
    return found;
}

Test(manager, follows_a_file_of_targets_and_marks_those_that_go)
{
    struct bed b;
    char text[256], labels[160];
    const char *jobs[] = { file_job };
    struct targets_view view;
    struct arena arena;
    size_t none = 0, one = 1;

    bed_init(&b);
    apply(&b, jobs, 1);
    cr_expect(wait_for(has_targets, &b, &none));
    snprintf(
        text, sizeof text,
        "[{\"targets\":[\"127.0.0.1:%u\"]},{\"targets\":[\"x:1\"],\"labels\":{\"drop\":\"1\"}}]",
        http_fake_port(b.http));
    write_file(b.file, text);
    cr_expect(wait_for(has_targets, &b, &one));
    snprintf(labels, sizeof labels, "{__name__=\"a\", instance=\"127.0.0.1:%u\", job=\"files\"}",
             http_fake_port(b.http));
    cr_expect(wait_for(counted, &b, labels));
    arena_init(&arena, SIZE_MAX);
    scrape_targets(b.m, STR("files"), &arena, &view);
    cr_assert_eq(view.dropped_nr, 1);
    cr_expect(str_is(labels_get(view.dropped[0].discovered, STR("__address__")), "x:1"));
    cr_expect(str_is(labels_get(view.active[0].discovered, STR("__meta_filepath")), b.file));
    cr_expect_eq(view.pools[0].dropped_nr, 1);
    arena_fini(&arena);
    write_file(b.file, "[{\"targets\":");
    write_file(b.file, "[]");
    cr_expect(wait_for(has_targets, &b, &none));
    cr_expect(wait_for(marked, &b, labels));
    bed_fini(&b);
}

Test(manager, a_reload_keeps_what_it_can)
{
    const char *first[] = { metrics_job, file_job }, *second[] = { metrics_job };
    static const char relabelled[] =
        "job_name: good\nscrape_interval: 50ms\nscrape_timeout: 50ms\n"
        "static_configs: [{targets: [\"127.0.0.1:%d\"], labels: {zone: z}}]\n"
        "metric_relabel_configs: [{target_label: extra, replacement: e}]\n";
    const char *third[] = { relabelled };
    struct bed b;
    char labels[128];

    bed_init(&b);
    apply(&b, first, 2);
    snprintf(labels, sizeof labels,
             "{__name__=\"a\", instance=\"127.0.0.1:%u\", job=\"good\", zone=\"z\"}",
             http_fake_port(b.http));
    cr_expect(wait_for(counted, &b, labels));
    b.storage.lookups_nr = 0;
    apply(&b, second, 1);
    fake_storage_forget(&b.storage);
    cr_expect(wait_for(counted, &b, labels));
    cr_expect_eq(b.storage.lookups_nr, 0);
    apply(&b, third, 1);
    snprintf(labels, sizeof labels,
             "{__name__=\"a\", extra=\"e\", instance=\"127.0.0.1:%u\", job=\"good\", zone=\"z\"}",
             http_fake_port(b.http));
    cr_expect(wait_for(counted, &b, labels));
    bed_fini(&b);
}

Test(manager, metadata_of_targets_is_shown)
{
    struct bed b;
    const char *jobs[] = { metrics_job };
    struct metadata_view view;
    struct arena arena;

    bed_init(&b);
    http_fake_set_page(b.http, "# HELP a Some help.\n# TYPE a counter\na 1\n");
    apply(&b, jobs, 1);
    cr_expect(wait_for(has_error, &b, &(struct wanted_error){ "good", "", false }));
    arena_init(&arena, SIZE_MAX);
    scrape_metadata(b.m, STR(""), NULL, NULL, &arena, &view);
    cr_assert_eq(view.nr, 1);
    cr_expect(str_is(view.items[0].metric, "a"));
    cr_expect(str_is(view.items[0].meta.help, "Some help."));
    cr_expect_eq(view.items[0].meta.type, METADATA_COUNTER);
    arena_fini(&arena);
    bed_fini(&b);
}

Test(manager, targets_come_from_a_url)
{
    struct bed b;
    char labels[160];
    const char *jobs[] = {
        "job_name: url\nscrape_interval: 50ms\nscrape_timeout: 50ms\n"
        "http_sd_configs: [{url: \"http://127.0.0.1:%d/sd\", refresh_interval: 1s}]\n"
    };

    bed_init(&b);
    apply(&b, jobs, 1);
    snprintf(labels, sizeof labels,
             "{__name__=\"a\", instance=\"127.0.0.1:%u\", job=\"url\", via=\"http\"}",
             http_fake_port(b.http));
    cr_expect(wait_for(counted, &b, labels));
    apply(&b, jobs, 1); /* what the URL said stays */
    fake_storage_forget(&b.storage);
    cr_expect(wait_for(counted, &b, labels));
    bed_fini(&b);
}
