/* Which rules of a group wait for which. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/mem.h"
#include "rules/group.h"

/* Groups, and their batches as "0 1|2|3": a bar ends a batch; "" is in order. */
static const struct {
    const char *rules, *want;
} cases[] = {
    { "{record: a, expr: x}, {record: b, expr: y}, {record: c, expr: z}", "0 1 2" },
    { "{record: a, expr: x}, {record: b, expr: a}, {record: c, expr: b}", "0|1|2" },
    { "{record: a, expr: x}, {record: b, expr: 'rate(a[5m])'}, {record: c, expr: a + z}, {record: "
      "d, "
      "expr: y}",
      "0 3|1 2" },
    { "{record: a, expr: b}, {record: b, expr: x}", "0 1" }, /* b is a later one */
    { "{record: a, expr: x}, {record: b, expr: '{job=\"j\"}'}", "" },
    { "{record: a, expr: x}, {record: b, expr: '{__name__=~\"a|q\"}'}", "0|1" },
    { "{alert: A, expr: x}, {record: b, expr: ALERTS}", "0|1" },
    { "{alert: A, expr: x}, {record: b, expr: 'ALERTS{alertname=\"B\"}'}", "0 1" },
    { "{alert: A, expr: x}, {record: b, expr: 'ALERTS_FOR_STATE{alertname=~\"A|B\"}'}", "0|1" },
    { "{record: a, expr: x}, {alert: B, expr: y, annotations: {s: '{{ query \"a\" | first }}'}}",
      "0|1" },
    { "{record: a, expr: x}, {alert: B, expr: y, labels: {s: '{{ with \"sum(a)\" | query }}{{ . | "
      "first | value }}{{ end }}'}}",
      "0|1" },
    { "{record: a, expr: x}, {alert: B, expr: y, annotations: {s: '{{ query \"z\" | first }}'}}",
      "0 1" },
    { "{record: a, expr: x}, {alert: B, expr: y, annotations: {s: '{{ printf \"%s\" $value | query "
      "}}'}}",
      "" },
};

static void
batches_print(const struct rule_batches *b, struct buf *out)
{
    for (size_t i = 0, at = 0; i < b->nr; i++)
        for (; at < b->ends[i]; at++)
            buf_printf(out, "%s%zu",
                       at == 0                         ? ""
                       : i > 0 && at == b->ends[i - 1] ? "|"
                                                       : " ",
                       b->order[at]);
}

Test(depend, batches_follow_what_rules_select)
{
    struct engine *engine =
        engine_new(&(const struct engine_options){ .samples_max = 1000, .clock = clock_real() });
    struct rules_options options = { .engine = engine, .concurrent_evals_max = 4 };
    struct rules_metrics metrics = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rule_file_options file_options = { 0 };
        struct error err = { 0 };
        struct buf text = { 0 }, got = { 0 };
        struct rule_source *source = MEM_NEW(struct rule_source);
        buf_printf(&text, "groups: [{name: g, rules: [%s]}]", cases[i].rules);
        cr_assert(rule_file_parse(buf_as_str(&text), "f", &file_options, &source->file, &err),
                  "%s: %s", cases[i].rules, error_text(&err));
        source->path = (struct str){ str_dup(STR("f")), 1 };
        source->refs = 1;
        struct rule_group *g = rule_group_new(&options, &metrics, source,
                                              &source->file->groups.items[0], 1000, true, &err);
        rule_source_unref(source);
        cr_assert_not_null(g, "%s", error_text(&err));
        batches_print(&g->batches, &got);
        cr_expect_str_eq(buf_z(&got), cases[i].want, "%s: %s", cases[i].rules, buf_z(&got));
        rule_group_free(g);
        buf_fini(&text);
        buf_fini(&got);
    }
    engine_free(engine);
}
