#include <criterion/criterion.h>
#include "discovery/mechanism.h"
#include "scrape/loop.h"
#include "base/conf.h"

/* The worked example of the format notes: labels hash, target hash, seed and offset. */
Test(schedule, offsets_are_prometheuss)
{
    static const struct label v[] = {
        { STR("__address__"), STR("localhost:9090") },
        { STR("__always_scrape_classic_histograms__"), STR("false") },
        { STR("__convert_classic_histograms_to_nhcb__"), STR("false") },
        { STR("__metrics_path__"), STR("/metrics") },
        { STR("__scheme__"), STR("http") },
        { STR("__scrape_interval__"), STR("15s") },
        { STR("__scrape_native_histograms__"), STR("false") },
        { STR("__scrape_timeout__"), STR("10s") },
        { STR("instance"), STR("localhost:9090") },
        { STR("job"), STR("prometheus") },
    };
    static const struct label site[] = { { STR("site"), STR("a") } };
    uint64_t hash = UINT64_C(7277918468011271714), seed;

    cr_expect_eq(labels_hash((struct labels){ v, ARRAY_LEN(v) }), UINT64_C(12641124587720896089));
    seed = target_offset_seed(STR("myhost"), (struct labels){ site, 1 });
    cr_expect_eq(seed, UINT64_C(18311970471524075588));
    cr_expect_eq(target_offset_ns(hash, INT64_C(15000000000), seed, 0), INT64_C(7449687654));
    /* At any other time the target's turn falls on the same places of the clock. */
    for (int64_t now = 0; now < INT64_C(60000000000); now += INT64_C(777777777)) {
        int64_t wait = target_offset_ns(hash, INT64_C(15000000000), seed, now);

        cr_expect(wait > 0 && wait <= INT64_C(15000000000));
        cr_expect_eq((now + wait) % INT64_C(15000000000), INT64_C(7449687654));
    }
}

static const struct {
    const char *name;
    int64_t now_ns, aligned_ns, interval_ns, want_ns, want_aligned_ns;
    bool adjust;
} alignments[] = {
    { "on time", 1000, 1000, 1000000000, 1000, 1000, true },
    { "a little late", 1001500000, 1000000000, 1000000000, 1000000000, 1000000000, true },
    { "too late", 1003000000, 1000000000, 1000000000, 1003000000, 1000000000, true },
    { "the next tick", 2001000000, 1000000000, 1000000000, 2000000000, 2000000000, true },
    { "many ticks later", 9000500000, 1000000000, 1000000000, 9000000000, 9000000000, true },
    { "a little early", 1999000000, 1000000000, 1000000000, 2000000000, 2000000000, true },
    { "switched off", 1001500000, 1000000000, 1000000000, 1001500000, 1000000000, false },
    { "at most a hundredth of the interval", 1001500000, 1000000000, 100000000, 1001500000,
      1000000000, true },
    { "the clock was set back", 500000000, 1000000000, 1000000000, 500000000, 500000000, true },
};

Test(schedule, timestamps_snap_to_the_schedule)
{
    for (size_t i = 0; i < ARRAY_LEN(alignments); i++) {
        int64_t aligned = alignments[i].aligned_ns;
        int64_t got = scrape_align(alignments[i].now_ns, &aligned, alignments[i].interval_ns,
                                   alignments[i].adjust, 2000000);

        cr_expect_eq(got, alignments[i].want_ns, "%s: %lld", alignments[i].name, (long long)got);
        cr_expect_eq(aligned, alignments[i].want_aligned_ns, "%s: %lld", alignments[i].name,
                     (long long)aligned);
    }
}

struct built {
    const char *name, *yaml, *address;
    enum target_built want;
    const char *text; /* URL or error */
};

static const struct built builds[] = {
    { "plain", "", "localhost:9100", TARGET_BUILT, "http://localhost:9100/metrics" },
    { "parameters", "params: {b: [x, y], a: [\"1 2\"], c: [z]}\n", "h:1", TARGET_BUILT,
      "http://h:1/metrics?a=1+2&b=x&b=y&c=z" },
    { "a parameter from a label",
      "params: {b: [x, y]}\nrelabel_configs: [{target_label: __param_b, replacement: q}, "
      "{target_label: __param_a, replacement: r}]\n",
      "h:1", TARGET_BUILT, "http://h:1/metrics?a=r&b=q&b=y" },
    { "another path", "metrics_path: /a b\nscheme: https\n", "h", TARGET_BUILT, "https://h/a%20b" },
    { "no address", "", "", TARGET_FAILED, "no address" },
    { "a URL", "", "http://x/", TARGET_FAILED, "\"http://x/\" is not a valid hostname" },
    { "interval 0", "relabel_configs: [{target_label: __scrape_interval__, replacement: 0s}]\n",
      "h", TARGET_FAILED, "scrape interval cannot be 0" },
    { "timeout 0", "relabel_configs: [{target_label: __scrape_timeout__, replacement: 0s}]\n", "h",
      TARGET_FAILED, "scrape timeout cannot be 0" },
    { "timeout over interval",
      "relabel_configs: [{target_label: __scrape_interval__, replacement: 1s}]\n", "h",
      TARGET_FAILED, "scrape timeout cannot be greater than scrape interval (\"10s\" > \"1s\")" },
    { "not a duration", "relabel_configs: [{target_label: __scrape_interval__, replacement: x}]\n",
      "h", TARGET_FAILED, "error parsing scrape interval: not a valid duration string: \"x\"" },
    { "not a bool",
      "relabel_configs: [{target_label: __scrape_native_histograms__, replacement: x}]\n", "h",
      TARGET_FAILED,
      "error parsing scrape native histograms: strconv.ParseBool: parsing \"x\": invalid syntax" },
    { "dropped", "relabel_configs: [{action: drop, regex: h, source_labels: [__address__]}]\n", "h",
      TARGET_DROPPED, "" },
};

static void
expect_build(const struct built *c)
{
    struct conf_pool *pool = conf_pool_new();
    struct scrape_config config;
    struct global_config global;
    struct error err = { 0 };
    struct buf text = { 0 };
    struct labels_builder b;
    struct target *t = NULL;

    buf_printf(&text, "job_name: x\n%s", c->yaml);
    global_config_init(pool, &global, &(struct scrape_config_options){ 0 });
    cr_assert(conf_load(pool, buf_as_str(&text), &scrape_config_table, &config, NULL, &err), "%s",
              error_text(&err));
    cr_assert(scrape_config_complete(pool, &config, &global, &err), "%s", error_text(&err));
    struct target_setup *setup = target_setup_new(&config, pool, NULL, NULL);
    struct str address = str_c(c->address);
    struct target_group *group = target_group_new(STR("0"), LABELS_NONE, &address, 1);
    labels_builder_init(&b);
    enum target_built got = target_build(setup, group, 0, &b, &t, &err);
    cr_expect_eq(got, c->want, "%s: %s", c->name, error_text(&err));
    if (got == TARGET_BUILT) {
        cr_expect(str_is(t->url, c->text), "%s: %.*s", c->name, STR_ARG(t->url));
        target_unref(t, NULL);
    } else {
        cr_expect_str_eq(error_text(&err), c->text, "%s", c->name);
    }
    labels_builder_fini(&b);
    error_clear(&err);
    buf_fini(&text);
    target_group_unref(group);
    target_setup_unref(setup);
    conf_pool_unref(pool);
}

Test(schedule, a_target_is_built_or_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(builds); i++)
        expect_build(&builds[i]);
}

Test(schedule, accept_header_follows_the_protocols)
{
    struct conf_pool *pool = conf_pool_new();
    struct scrape_config config;
    struct global_config global;
    struct error err = { 0 };

    global_config_init(pool, &global, &(struct scrape_config_options){ 0 });
    cr_assert(conf_load(pool, STR("job_name: x\n"), &scrape_config_table, &config, NULL, &err));
    cr_assert(scrape_config_complete(pool, &config, &global, &err), "%s", error_text(&err));
    struct target_setup *setup = target_setup_new(&config, pool, NULL, NULL);
    cr_expect_str_eq(
        setup->accept,
        "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,text/"
        "plain;version=1.0.0;escaping=allow-utf-8;"
        "q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2");
    target_setup_unref(setup);
    conf_pool_unref(pool);
}
