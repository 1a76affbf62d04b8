#include "model/labels.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#define L(n, v)               \
    {                         \
        { n, sizeof(n) - 1 }, \
        {                     \
            v, sizeof(v) - 1  \
        }                     \
    }

static const struct {
    const char *name, *text, *metric, *json;
    struct label v[3];
    size_t nr;
} cases[] = {
    { "none", "{}", "{}", "{}", { { { 0 }, { 0 } } }, 0 },
    { "a name only",
      "{__name__=\"up\"}",
      "up",
      "{\"__name__\":\"up\"}",
      { L("__name__", "up") },
      1 },
    { "a name and a label",
      "{__name__=\"up\", job=\"a\\\"b\\n\"}",
      "up{job=\"a\\\"b\\n\"}",
      "{\"__name__\":\"up\",\"job\":\"a\\\"b\\n\"}",
      { L("__name__", "up"), L("job", "a\"b\n") },
      2 },
    { "names outside the legacy alphabet",
      "{__name__=\"a.b\", \"x y\"=\"\xc3\xa4\"}",
      "{\"a.b\", \"x y\"=\"\xc3\xa4\"}",
      "{\"__name__\":\"a.b\",\"x y\":\"\xc3\xa4\"}",
      { L("__name__", "a.b"), L("x y", "\xc3\xa4") },
      2 },
};

static void
expect(const char *name, struct buf *got, const char *want)
{
    cr_expect_str_eq(buf_z(got), want, "%s", name);
    buf_reset(got);
}

Test(labels, print_as_prometheus_does)
{
    struct buf got = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct labels ls = { cases[i].v, cases[i].nr };
        labels_print(ls, &got);
        expect(cases[i].name, &got, cases[i].text);
        labels_print_metric(ls, &got);
        expect(cases[i].name, &got, cases[i].metric);
        labels_json(ls, &got);
        expect(cases[i].name, &got, cases[i].json);
    }
    buf_fini(&got);
}

/* The value that stands in the table of formats for the limit_ratio example: offset
 * 0.9251613065717192. */
Test(labels, hash_to_the_known_value)
{
    static const struct label up[] = { L("__name__", "up") };
    double offset = (double)labels_hash((struct labels){ up, 1 }) / 18446744073709551615.0;

    cr_expect_eq(offset, 0.9251613065717192);
}

Test(labels, hash_long_sets_like_short_ones)
{
    char text[3000];
    struct label v[2] = { L("a", "b"), L("c", "") };

    memset(text, 'x', sizeof text);
    for (size_t n = 950; n < sizeof text; n += 7) {
        v[1].value = (struct str){ text, n };
        uint64_t h = labels_hash((struct labels){ v, 2 });
        v[1].value.n--;
        cr_expect_neq(h, labels_hash((struct labels){ v, 2 }), "at %zu", n);
    }
}

Test(labels, order_a_prefix_first)
{
    static const struct label x[] = { L("a", "1"), L("b", "2") },
                              y[] = { L("a", "1"), L("c", "0") };

    cr_expect_lt(labels_cmp((struct labels){ x, 1 }, (struct labels){ x, 2 }), 0);
    cr_expect_lt(labels_cmp((struct labels){ x, 2 }, (struct labels){ y, 2 }), 0);
    cr_expect_eq(labels_cmp((struct labels){ x, 2 }, (struct labels){ x, 2 }), 0);
}

Test(labels, builder_sorts_replaces_and_deletes)
{
    static const struct label base[] = { L("b", "1"), L("d", "2") };
    struct labels_builder b;
    struct arena arena;
    struct buf got = { 0 };

    arena_init(&arena, 1 << 20);
    labels_builder_init(&b);
    labels_builder_reset(&b, (struct labels){ base, 2 });
    labels_builder_set(&b, STR("c"), STR("3"));
    labels_builder_set(&b, STR("a"), STR("4"));
    labels_builder_set(&b, STR("d"), STR(""));
    labels_builder_set(&b, STR("b"), STR("5"));
    labels_print(labels_builder_finish(&b, &arena), &got);
    expect("builder", &got, "{a=\"4\", b=\"5\", c=\"3\"}");
    cr_expect(str_is(labels_builder_get(&b, STR("c")), "3"));
    labels_builder_fini(&b);
    buf_fini(&got);
    arena_fini(&arena);
}

Test(labels, know_valid_names)
{
    cr_expect(label_name_legacy(STR("_a9")));
    cr_expect_not(label_name_legacy(STR("9a")));
    cr_expect_not(label_name_legacy(STR("a:b")));
    cr_expect_not(label_name_legacy(STR("")));
    cr_expect(metric_name_legacy(STR("a:b")));
    cr_expect(label_name_valid(STR("a b")));
    cr_expect_not(label_name_valid(STR("\xff")));
}
