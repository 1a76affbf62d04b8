#include "model/relabel.h"

#include <criterion/criterion.h>

#include "conformance.h"

#define L(n, v)               \
    {                         \
        { n, sizeof(n) - 1 }, \
        {                     \
            v, sizeof(v) - 1  \
        }                     \
    }

static const struct str source_a[] = { { "a", 1 } };

/* Applied to {a="Straße", b="2"}. */
static const struct {
    const char *name, *regex, *want; /* want NULL: dropped */
    struct relabel_rule rule;
} cases[] = {
    { "lowercase",
      NULL,
      "{a=\"Stra\xc3\x9f"
      "e\", b=\"2\", c=\"stra\xc3\x9f"
      "e\"}",
      { .action = RELABEL_LOWERCASE, .target_label = { "c", 1 } } },
    { "uppercase keeps what has no capital",
      NULL,
      "{a=\"Stra\xc3\x9f"
      "e\", b=\"2\", c=\"STRA\xc3\x9f"
      "E\"}",
      { .action = RELABEL_UPPERCASE, .target_label = { "c", 1 } } },
    { "keepequal of different values",
      NULL,
      NULL,
      { .action = RELABEL_KEEPEQUAL, .target_label = { "b", 1 } } },
    { "dropequal of different values",
      NULL,
      "{a=\"Stra\xc3\x9f"
      "e\", b=\"2\"}",
      { .action = RELABEL_DROPEQUAL, .target_label = { "b", 1 } } },
    { "labelkeep", "b", "{b=\"2\"}", { .action = RELABEL_LABELKEEP } },
    { "labelmap onto itself and beyond",
      "(.)",
      "{a=\"Stra\xc3\x9f"
      "e\", b=\"2\", xa=\"Stra\xc3\x9f"
      "e\", xb=\"2\"}",
      { .action = RELABEL_LABELMAP, .replacement = { "x$1", 3 } } },
    { "an empty replacement deletes",
      ".*",
      "{a=\"Stra\xc3\x9f"
      "e\"}",
      { .action = RELABEL_REPLACE, .target_label = { "b", 1 }, .replacement = { "", 0 } } },
    { "a target outside the legacy names changes nothing",
      "(.*)",
      "{a=\"Stra\xc3\x9f"
      "e\", b=\"2\"}",
      { .action = RELABEL_REPLACE,
        .target_label = { "$1", 2 },
        .replacement = { "x", 1 },
        .legacy_names = true } },
};

Test(relabel, applies_each_action)
{
    static const struct label in[] = { L("a", "Stra\xc3\x9f"
                                              "e"),
                                       L("b", "2") };
    struct error err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct relabel_rule rule = cases[i].rule;
        struct labels_builder b;
        struct arena arena;
        struct buf got = { 0 };
        struct regex *re = NULL;
        arena_init(&arena, 1 << 20);
        labels_builder_init(&b);
        labels_builder_reset(&b, (struct labels){ in, 2 });
        if (cases[i].regex != NULL)
            rule.re = re = regex_compile(str_c(cases[i].regex), REGEX_ANCHORED, &err);
        rule.source_labels = source_a;
        rule.source_labels_nr = 1;
        bool keep = relabel_apply(&rule, 1, &b, &arena);
        cr_expect_eq(keep, cases[i].want != NULL, "%s", cases[i].name);
        labels_print(labels_builder_view(&b), &got);
        if (cases[i].want != NULL)
            cr_expect_str_eq(buf_z(&got), cases[i].want, "%s", cases[i].name);
        regex_unref(re);
        buf_fini(&got);
        labels_builder_fini(&b);
        arena_fini(&arena);
    }
}

Test(relabel, finds_actions_by_name)
{
    enum relabel_action action;

    cr_expect(relabel_action_of(STR("LabelKeep"), &action));
    cr_expect_eq(action, RELABEL_LABELKEEP);
    cr_expect_str_eq(relabel_action_text(action), "labelkeep");
    cr_expect_not(relabel_action_of(STR("label"), &action));
}

static struct relabel_rule
rule_of(json_t *config, struct str *sources)
{
    struct relabel_rule rule = {
        .source_labels = sources,
        .separator = conformance_str(json_object_get(config, "separator")),
        .modulus = (uint64_t)json_integer_value(json_object_get(config, "modulus")),
        .target_label = conformance_str(json_object_get(config, "target_label")),
        .replacement = conformance_str(json_object_get(config, "replacement")),
    };
    struct error err = { 0 };
    size_t i;
    json_t *label;

    json_array_foreach(json_object_get(config, "source_labels"), i, label)
        sources[rule.source_labels_nr++] = conformance_str(label);
    cr_assert(relabel_action_of(conformance_str(json_object_get(config, "action")), &rule.action));
    rule.re =
        regex_compile(conformance_str(json_object_get(config, "regex")), REGEX_ANCHORED, &err);
    cr_assert(rule.re != NULL, "%s", error_text(&err));
    return rule;
}

static void
fill(struct labels_builder *b, json_t *set)
{
    const char *name;
    json_t *value;

    labels_builder_reset(b, LABELS_NONE);
    json_object_foreach(set, name, value)
        labels_builder_set(b, str_c(name), conformance_str(value));
}

static bool
relabel_case(json_t *line)
{
    json_t *configs = json_object_get(line, "relabel_configs"), *config;
    struct relabel_rule rules[16];
    struct str sources[16][16];
    size_t nr = 0, i;
    struct labels_builder b, want;
    struct arena arena;

    arena_init(&arena, 1 << 20);
    labels_builder_init(&b);
    labels_builder_init(&want);
    json_array_foreach(configs, i, config)
    {
        rules[nr] = rule_of(config, sources[nr]);
        nr++;
    }
    fill(&b, json_object_get(line, "input"));
    fill(&want, json_object_get(line, "output"));
    bool keep = relabel_apply(rules, nr, &b, &arena);
    bool ok = keep == json_is_true(json_object_get(line, "keep")) &&
              (!keep || labels_eq(labels_builder_view(&b), labels_builder_view(&want)));
    for (i = 0; i < nr; i++)
        regex_unref((struct regex *)rules[i].re);
    labels_builder_fini(&b);
    labels_builder_fini(&want);
    arena_fini(&arena);
    return ok;
}

Test(relabel, agrees_with_the_recorded_results)
{
    cr_expect(conformance_each("relabel/relabel.jsonl", relabel_case));
}
