#include "bench_target.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "model/sample.h"

#define EXPECT_NONE(b, series, t) \
    cr_expect(bench_at(b, series, t) != bench_at(b, series, t) && !bench_stale_at(b, series, t))

Test(page_append, samples_get_the_targets_labels)
{
    struct bench_target b;

    bench_init(&b, "");
    bench_scrape(&b, "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2.5\nb 3\n", 1000);
    cr_expect_eq(bench_at(&b, "a{x=\"1\"}", 1000), 1);
    cr_expect_eq(bench_at(&b, "a{x=\"2\"}", 1000), 2.5);
    cr_expect_eq(bench_at(&b, "b", 1000), 3);
    cr_expect_eq(bench_at(&b, "up", 1000), 1);
    cr_expect_eq(bench_at(&b, "scrape_samples_scraped", 1000), 3);
    cr_expect_eq(bench_at(&b, "scrape_samples_post_metric_relabeling", 1000), 3);
    cr_expect_eq(bench_at(&b, "scrape_series_added", 1000), 3);
    cr_expect_str_eq(bench_error(&b), "");
    bench_fini(&b);
}

Test(page_append, an_unchanged_page_is_not_parsed_again)
{
    struct bench_target b;

    bench_init(&b, "");
    bench_scrape(&b, "# HELP a Help.\n# TYPE a gauge\na{x=\"1\"} 1\nb 3\n", 1000);
    b.storage.lookups_nr = 0;
    bench_scrape(&b, "# HELP a Help.\n# TYPE a gauge\na{x=\"1\"} 2\nb NaN\n", 2000);
    cr_expect_eq(b.storage.lookups_nr, 0);
    cr_expect_eq(bench_at(&b, "a{x=\"1\"}", 2000), 2);
    cr_expect_eq(double_bits(bench_at(&b, "b", 2000)), NORMAL_NAN_BITS);
    cr_expect_eq(bench_at(&b, "scrape_samples_scraped", 2000), 2);
    cr_expect_eq(bench_at(&b, "scrape_series_added", 2000), 0);
    bench_fini(&b);
}

/* What happens to series `a` and `b` from page to page; S is a marker, - is nothing, a digit is a
 * value. */
static const struct {
    const char *name, *yaml, *pages[4], *want_a, *want_b;
} stories[] = {
    { "a series vanishes", "", { "a 1\nb 1\n", "b 2\n", "b 3\n" }, "1S-", "123" },
    { "the last line vanishes", "", { "b 1\na 1\n", "b 2\n", "b 3\n" }, "1S-", "123" },
    { "a series comes back", "", { "a 1\n", "b 2\n", "a 3\n" }, "1S3", "-2S" },
    { "lines change places", "", { "a 1\nb 1\n", "b 2\na 2\n", "a 3\nb 3\n" }, "123", "123" },
    { "no answer", "", { "a 1\nb 1\n", NULL, "a 3\n" }, "1S3", "1S-" },
    { "an empty page", "", { "a 1\n", "", "a 3\n" }, "1S3", "---" },
    { "a page that breaks half way",
      "",
      { "a 1\nb 1\n", "a 2\nb {\n", "a 3\nb 3\n" },
      "1-3",
      "1S3" },
    { "explicit times have no markers", "", { "a 1 1000\nb 1\n", "b 2\n" }, "1-", "12" },
    { "unless asked for",
      "track_timestamps_staleness: true\n",
      { "a 1 1000\nb 1\n", "b 2\n" },
      "1S",
      "12" },
    { "times begin to be given", "", { "a 1\n", "a 2 2000\n", "b 3\n" }, "1S-", "--3" },
    { "times are ignored",
      "honor_timestamps: false\n",
      { "a 1 5\n", "a 2 5\n", "b 3\n" },
      "12S",
      "--3" },
    { "the same series twice",
      "",
      { "a 1\na 9\nb 1\n", "a 2\na 9\nb 2\n", "a 9\nb 3\n" },
      "129",
      "123" },
    { "dropped by relabelling",
      "metric_relabel_configs: [{source_labels: [__name__], regex: a, action: drop}]\n",
      { "a 1\nb 1\n", "a 2\nb 2\n", "b 3\n" },
      "---",
      "123" },
    { "over the limit", "sample_limit: 1\n", { "a 1\n", "a 2\nb 2\n", "a 3\n" }, "1-3", "---" },
    { "a page that breaks, then no answer",
      "",
      { "a 1\nb 1\n", "a 2\nb {\n", NULL, "b 4\n" },
      "1-S-",
      "1S-4" },
    { "a page that breaks again and again",
      "",
      { "a 1\nb 1\n", "a 2\nb {\n", "a 2\nb {\n", "a 4\nb 4\n" },
      "1--4",
      "1S-4" },
    { "two ways to write one series", "", { "a{} 1\n", "a 2\n", "a{ } 3\n" }, "123", "---" },
    { "blank lines and comments",
      "",
      { "\n# x\na 1\n\nb 1\n", "\n# x\na 2\n\nb 2\n", "a 3\nb 3\n" },
      "123",
      "123" },
};

static char
letter(struct bench_target *b, const char *series, int64_t t_ms)
{
    double v = bench_at(b, series, t_ms);

    if (is_stale(v))
        return 'S';
    return isnan(v) ? '-' : (char)('0' + (int)v);
}

Test(page_append, staleness_follows_prometheus)
{
    for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
        struct bench_target b;
        char a[5] = "", bb[5] = "";
        size_t nr = strlen(stories[i].want_a);

        bench_init(&b, stories[i].yaml);
        for (size_t j = 0; j < nr; j++) {
            int64_t t_ms = (int64_t)(j + 1) * 1000;

            bench_scrape(&b, stories[i].pages[j], t_ms);
            a[j] = letter(&b, "a", t_ms);
            bb[j] = letter(&b, "b", t_ms);
        }
        cr_expect_str_eq(a, stories[i].want_a, "%s: a", stories[i].name);
        cr_expect_str_eq(bb, stories[i].want_b, "%s: b", stories[i].name);
        bench_fini(&b);
    }
}

static const struct {
    const char *name, *yaml, *type, *page, *want;
} failures[] = {
    { "sample limit", "sample_limit: 2\n", "text/plain", "a 1\nb 1\nc 1\n",
      "sample limit exceeded" },
    { "label limit", "label_limit: 3\n", "text/plain", "a{x=\"1\"} 1\n",
      "label_limit exceeded (metric: a, number of labels: 4, limit: 3)" },
    { "label name length", "label_name_length_limit: 8\n", "text/plain", "a{long_name=\"1\"} 1\n",
      "label_name_length_limit exceeded (metric: a, label name: long_name, length: 9, limit: 8)" },
    { "label value length", "label_value_length_limit: 14\n", "text/plain",
      "a{x=\"123456789012345\"} 1\n",
      "label_value_length_limit exceeded (metric: a, label name: x, value: \"123456789012345\", "
      "length: 15, limit: 14)" },
    { "no name", "metric_relabel_configs: [{regex: __name__, action: labeldrop}]\n", "text/plain",
      "a 1\n", "missing metric name (__name__ label)" },
    { "legacy names", "metric_name_validation_scheme: legacy\n", "text/plain", "{\"a.b\"} 1\n",
      "invalid metric name or label names: {__name__=\"a.b\", instance=\"localhost:9090\", "
      "job=\"test\"}" },
    { "no type", "", "", "a 1\n",
      "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
      "specified for target" },
    { "wrong type", "", "text/html", "a 1\n",
      "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified "
      "for target" },
    { "no end", "", "application/openmetrics-text", "a 1\n", "data does not end with # EOF" },
    { "a label twice", "", "text/plain", "a{x=\"1\",x=\"2\"} 1\n",
      "label name \"x\" is not unique: invalid sample" },
    { "malformed UTF-8", "", "text/plain", "a{x=\"\xff\"} 1\n",
      "invalid UTF-8 label value: \"\\\"\\xff\\\"\"" },
    { "not a number", "", "text/plain", "a true\n",
      "strconv.ParseFloat: parsing \"true\": invalid syntax while parsing: \"a true\"" },
};

Test(page_append, a_page_that_fails_says_why_and_stores_nothing)
{
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        struct bench_target b;

        bench_init(&b, failures[i].yaml);
        bench_scrape_as(&b, failures[i].type, failures[i].page, strlen(failures[i].page), 1000);
        cr_expect_str_eq(bench_error(&b), failures[i].want, "%s", failures[i].name);
        cr_expect_eq(bench_at(&b, "up", 1000), 0, "%s", failures[i].name);
        EXPECT_NONE(&b, "a", 1000);
        bench_fini(&b);
    }
}

static const struct {
    const char *name, *yaml, *page, *want;
} labelled[] = {
    { "the target wins", "", "a{job=\"x\"} 1\n",
      "{__name__=\"a\", exported_job=\"x\", instance=\"localhost:9090\", job=\"test\"}" },
    { "and again", "", "a{job=\"x\",exported_job=\"y\"} 1\n",
      "{__name__=\"a\", exported_exported_job=\"x\", exported_job=\"y\", "
      "instance=\"localhost:9090\", job=\"test\"}" },
    { "the exposed label wins", "honor_labels: true\n", "a{job=\"x\"} 1\n",
      "{__name__=\"a\", instance=\"localhost:9090\", job=\"x\"}" },
    { "even when it is empty", "honor_labels: true\n", "a{job=\"\"} 1\n",
      "{__name__=\"a\", instance=\"localhost:9090\"}" },
    { "le is normalised", "", "# TYPE a histogram\na_bucket{le=\"1\"} 1\n",
      "{__name__=\"a_bucket\", instance=\"localhost:9090\", job=\"test\", le=\"1.0\"}" },
    { "escapes", "", "a{x=\"\\\"\\\\\\n\"} 1\n",
      "{__name__=\"a\", instance=\"localhost:9090\", job=\"test\", x=\"\\\"\\\\\\n\"}" },
};

Test(page_append, whose_label_wins)
{
    for (size_t i = 0; i < ARRAY_LEN(labelled); i++) {
        struct bench_target b;

        bench_init(&b, labelled[i].yaml);
        bench_scrape(&b, labelled[i].page, 1000);
        cr_expect_eq(bench_at(&b, labelled[i].want, 1000), 1, "%s: %s", labelled[i].name,
                     b.storage.series[0].labels);
        bench_fini(&b);
    }
}

Test(page_append, a_type_below_recognised_lines_is_still_known)
{
    struct bench_target b;

    bench_init(&b, "");
    bench_scrape(&b, "# TYPE a histogram\na_bucket{le=\"1\"} 1\n", 1000);
    bench_scrape(&b, "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"2\"} 3\n", 2000);
    cr_expect_eq(bench_at(&b, "a_bucket{le=\"2.0\"}", 2000), 3);
    bench_fini(&b);
}

Test(page_append, a_collected_series_is_looked_up_again)
{
    struct bench_target b;

    bench_init(&b, "");
    bench_scrape(&b, "# TYPE a summary\na{quantile=\"1\"} 1\nb 1\n", 1000);
    fake_storage_collect(
        &b.storage,
        "{__name__=\"a\", instance=\"localhost:9090\", job=\"test\", quantile=\"1.0\"}");
    bench_scrape(&b, "# TYPE a summary\na{quantile=\"1\"} 2\nb 2\n", 2000);
    cr_expect_eq(bench_at(&b, "a{quantile=\"1.0\"}", 2000), 2);
    bench_scrape(&b, "# TYPE a summary\na{quantile=\"1\"} 3\nb 2\n", 3000);
    cr_expect_eq(bench_at(&b, "a{quantile=\"1.0\"}", 3000), 3);
    bench_fini(&b);
}

Test(page_append, what_storage_refuses_is_counted_and_the_rest_is_kept)
{
    struct bench_target b;

    bench_init(&b, "");
    b.storage.strict = true;
    bench_scrape(&b, "a 1 5000\nb 1\n", 1000);
    bench_scrape(&b, "a 2 4000\nb 2\n", 2000);
    cr_expect_eq(bench_at(&b, "b", 2000), 2);
    cr_expect_eq(metric_get(b.metrics.out_of_order), 1);
    bench_scrape(&b, "a 3 9999999999999\nb 3\n", 3000); /* the year 2286 */
    cr_expect_eq(metric_get(b.metrics.out_of_bounds), 1);
    cr_expect_eq(bench_at(&b, "b", 3000), 3);
    cr_expect_eq(bench_at(&b, "up", 3000), 1);
    bench_scrape(&b, "b 4\nb 5\n", 4000);
    cr_expect_eq(metric_get(b.metrics.duplicates), 1);
    cr_expect_eq(bench_at(&b, "b", 4000), 4);
    bench_fini(&b);
}

Test(page_append, exemplars_go_with_their_series)
{
    static const char page[] =
        "# TYPE a counter\na_total 1 # {id=\"x\"} 0.5 3\nb_total 2 # {} 7\n# EOF\n";
    struct bench_target b;

    bench_init(&b, "");
    for (int i = 1; i <= 2; i++) {
        fake_storage_forget(&b.storage);
        bench_scrape_as(&b, "application/openmetrics-text", page, sizeof page - 1, i * 1000);
        cr_assert_eq(b.storage.exemplars_nr, 2, "%s", bench_error(&b));
        cr_expect_eq(b.storage.exemplars[0].t_ms, 3000);
        cr_expect_eq(b.storage.exemplars[1].t_ms, i * 1000);
    }
    bench_fini(&b);
}

Test(page_append, metadata_follows_the_page_and_stays_for_ten_scrapes)
{
    struct bench_target b;
    const struct target_family *f;

    bench_init(&b, "");
    bench_scrape(&b, "# HELP a First.\n# TYPE a counter\na 1\nb 1\n", 1000);
    bench_scrape(&b, "# HELP a Second.\n# TYPE a counter\na 1\nb 1\n", 2000);
    f = target_meta_find(&b.t->meta, STR("a"));
    cr_assert_not_null(f);
    cr_expect(str_is(f->text->meta.help, "Second."));
    cr_expect_eq(f->text->meta.type, METADATA_COUNTER);
    for (int i = 0; i < 20; i++) {
        bench_scrape(&b, i % 2 ? "b 1\nc 1\n" : "b 1\n", 3000 + i * 1000);
        cr_expect_eq(target_meta_find(&b.t->meta, STR("a")) != NULL, i < 10, "scrape %d", i);
    }
    bench_fini(&b);
}

Test(page_append, a_removed_target_is_marked_with_its_synthetic_series)
{
    struct bench_target b;

    bench_init(&b, "extra_scrape_metrics: true\n");
    bench_scrape(&b, "a 1\n", 1000);
    cr_expect_eq(bench_at(&b, "scrape_timeout_seconds", 1000), 10);
    cr_expect_eq(bench_at(&b, "scrape_body_size_bytes", 1000), 4);
    scrape_end(&b.shared, &b.x, b.t, b.setup, 2000);
    cr_expect(bench_stale_at(&b, "a", 2000));
    cr_expect(bench_stale_at(&b, "up", 2000));
    cr_expect(bench_stale_at(&b, "scrape_body_size_bytes", 2000));
    bench_fini(&b);
}

Test(page_append, a_refused_series_is_tried_again)
{
    struct bench_target b;

    bench_init(&b, "");
    bench_scrape(&b, "a 1\n", 1000);
    b.storage.refuse_new = true;
    bench_scrape(&b, "a 2\nb 2\n", 2000);
    cr_expect_eq(bench_at(&b, "a", 2000), 2);
    cr_expect_eq(metric_get(b.metrics.refused), 1);
    b.storage.refuse_new = false;
    bench_scrape(&b, "a 3\nb 3\n", 3000);
    cr_expect_eq(bench_at(&b, "b", 3000), 3);
    bench_fini(&b);
}

Test(page_append, classic_histograms_are_converted_when_asked)
{
    static const char page[] =
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 7\nh_count 3\n"
        "# TYPE b gauge\nb 1\n";
    struct bench_target b;

    bench_init(&b, "convert_classic_histograms_to_nhcb: true\n");
    for (int i = 1; i <= 3; i++) {
        bench_scrape(&b, page, i * 1000);
        cr_expect_str_eq(bench_error(&b), "");
        cr_expect_eq(bench_at(&b, "h", i * 1000), 7, "the fake storage keeps the sum");
        cr_expect_eq(bench_at(&b, "b", i * 1000), 1);
        EXPECT_NONE(&b, "h_count", i * 1000);
        cr_expect_eq(bench_at(&b, "scrape_series_added", i * 1000), i == 1 ? 2 : 0);
    }
    bench_scrape(&b, "b 1\n", 4000);
    cr_expect(bench_stale_at(&b, "h", 4000));
    bench_fini(&b);
}

/* ---- property: whatever an exporter does to its page, the samples are those of somebody who
 * parses every line */

enum { LINES_MAX = 40, KEYS_NR = 60 };

struct model_line {
    int key; /* -1: a comment */
    int v;
    bool has_t;
};

struct model {
    struct model_line lines[LINES_MAX];
    int nr;
    bool tracked[KEYS_NR];
    uint64_t random;
};

static unsigned
draw(struct model *m, unsigned below)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(m->random >> 33) % below;
}

static void
mutate(struct model *m)
{
    unsigned changes = draw(m, 4) == 0 ? 0 : draw(m, 4);

    for (unsigned c = 0; c < changes; c++) {
        int at = m->nr == 0 ? 0 : (int)draw(m, (unsigned)m->nr);

        if (draw(m, 2) != 0 && m->nr < LINES_MAX) {
            memmove(m->lines + at + 1, m->lines + at, (size_t)(m->nr++ - at) * sizeof *m->lines);
            m->lines[at] = (struct model_line){ draw(m, 6) == 0 ? -1 : (int)draw(m, KEYS_NR), 0,
                                                draw(m, 8) == 0 };
        } else if (m->nr > 0) {
            memmove(m->lines + at, m->lines + at + 1, (size_t)(--m->nr - at) * sizeof *m->lines);
        }
    }
    for (int i = 0; i < m->nr; i++)
        m->lines[i].v = (int)draw(m, 1000);
}

static void
key_text(int key, struct buf *out)
{
    buf_printf(out,
               key % 3 == 0   ? "m%d"
               : key % 3 == 1 ? "m%d{z=\"x y\"}"
                              : "m%d{zz=\"1\",zy=\"}\\\"\"}",
               key);
}

static void
write_page(struct model *m, struct buf *page, int64_t t_ms)
{
    for (int i = 0; i < m->nr; i++) {
        if (m->lines[i].key < 0) {
            buf_printf(page, "# TYPE f%d gauge\n", i % 3);
            continue;
        }
        key_text(m->lines[i].key, page);
        buf_printf(page, " %d", m->lines[i].v);
        if (m->lines[i].has_t)
            buf_printf(page, " %lld", (long long)t_ms);
        buf_byte(page, '\n');
    }
}

/* The sum of what a naive scraper would store, key by key, markers apart; and how many markers. */
static void
expect_scrape(struct bench_target *b, struct model *m, int64_t t_ms, int scrape)
{
    int last[KEYS_NR], count[KEYS_NR] = { 0 };
    bool tracked[KEYS_NR] = { false }, met[KEYS_NR] = { false };
    static const char *const tails[] = { "", "{z=\"x y\"}", "{zy=\"}\\\"\", zz=\"1\"}" };

    for (int i = 0; i < m->nr; i++) {
        struct model_line l = m->lines[i];

        if (l.key < 0)
            continue;
        if (!met[l.key] || l.has_t) {
            last[l.key] = l.v;
            count[l.key]++;
            tracked[l.key] |= !l.has_t;
        }
        met[l.key] = true;
    }
    for (int k = 0; k < KEYS_NR; k++) {
        struct buf name = { 0 };
        bool marked = m->tracked[k] && !tracked[k];
        double got;

        buf_printf(&name, "m%d%s", k, tails[k % 3]);
        got = bench_at(b, buf_z(&name), t_ms);
        if (marked)
            cr_expect(is_stale(got), "scrape %d: %s wants a marker", scrape, buf_z(&name));
        else if (count[k] != 0)
            cr_expect_eq(got, last[k], "scrape %d: %s", scrape, buf_z(&name));
        else
            cr_expect(isnan(got) && !is_stale(got), "scrape %d: %s should not be there", scrape,
                      buf_z(&name));
        m->tracked[k] = tracked[k];
        buf_fini(&name);
    }
}

Test(page_append, random_changes_of_a_page_are_followed)
{
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given == NULL ? 20261121 : strtoull(given, NULL, 0);
    struct model m = { .random = seed };
    struct bench_target b;

    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    bench_init(&b, "");
    for (int i = 1; i <= 600; i++) {
        struct buf page = { 0 };
        int64_t t_ms = 1000000 + i * 1000;

        mutate(&m);
        write_page(&m, &page, t_ms);
        fake_storage_forget(&b.storage);
        bench_scrape(&b, page.n == 0 ? "" : buf_z(&page), t_ms);
        cr_assert_str_eq(bench_error(&b), "");
        expect_scrape(&b, &m, t_ms, i);
        buf_fini(&page);
    }
    bench_fini(&b);
}
