/* rules/rule_file.c against the shared rule files (conformance/rules): what loads, and every error
 * text in order. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>

#include "base/duration.h"
#include "base/mem.h"
#include "rules/rule_file.h"

static void
conformance_path(char *out, size_t n, const char *file)
{
    const char *dir = getenv("NARTHEX_CONFORMANCE");

    snprintf(out, n, "%s/rules/%s", dir != NULL ? dir : SOURCE_DIR "/../shared/conformance", file);
}

static bool
same_errors(const json_t *want, const struct rule_file_errors *got)
{
    bool same = json_array_size(want) == got->nr;

    for (size_t i = 0; same && i < got->nr; i++)
        same = strcmp(json_string_value(json_array_get(want, i)), got->items[i]) == 0;
    return same;
}

static bool
same_groups(const json_t *want, const struct rule_file *got)
{
    if (got == NULL)
        return want == NULL;
    if (json_array_size(want) != got->groups.nr)
        return false;
    for (size_t i = 0; i < got->groups.nr; i++) {
        const struct rule_group_config *g = &got->groups.items[i];
        const json_t *w = json_array_get(want, i);
        char interval[DURATION_TEXT_MAX];
        if (!str_is(g->name, json_string_value(json_object_get(w, "name"))) ||
            (size_t)json_integer_value(json_object_get(w, "rules")) != g->rules.nr ||
            strcmp(json_string_value(json_object_get(w, "interval")),
                   duration_text(g->interval_ms, interval)) != 0)
            return false;
    }
    return true;
}

static bool
row_passes(const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "file"));
    struct rule_file_options options = { 0 };
    struct rule_file_errors errors = { 0 };
    struct error err = { 0 };
    char path[4096], *text = NULL;
    size_t n = 0;

    options.legacy_names = strcmp(json_string_value(json_object_get(row, "scheme")), "legacy") == 0;
    conformance_path(path, sizeof path, name);
    cr_assert(io_read_file(io_posix(), path, 1 << 24, &text, &n, &err), "%s", error_text(&err));
    struct rule_file *file = rule_file_parse_all((struct str){ text, n }, &options, &errors);
    bool ok = same_errors(json_object_get(row, "errors"), &errors) &&
              same_groups(json_object_get(row, "groups"), file);
    if (!ok) {
        char *want = json_dumps(json_object_get(row, "errors"), JSON_INDENT(1));
        printf("%s: want %s\n", name, want);
        for (size_t i = 0; i < errors.nr; i++)
            printf("  got \"%s\"\n", errors.items[i]);
        free(want);
    }
    rule_file_free(file);
    rule_file_errors_fini(&errors);
    mem_free(text);
    return ok;
}

Test(rule_file, agrees_with_the_shared_files)
{
    char path[4096], *line = NULL;
    size_t cap = 0, passed = 0, total = 0;

    conformance_path(path, sizeof path, "expected.jsonl");
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        printf("rule files: skipped, no %s\n", path);
        return;
    }
    while (getline(&line, &cap, f) > 0) {
        json_t *row = json_loads(line, 0, NULL);
        total++;
        passed += row_passes(row);
        json_decref(row);
    }
    free(line);
    fclose(f);
    printf("rule files: %zu of %zu passed\n", passed, total);
    cr_expect_eq(passed, total);
}

Test(rule_file, knows_places_and_optional_values)
{
    struct error err = { 0 };
    struct rule_file *file = NULL;
    struct rule_file_options options = { 0 };
    const char *text = "groups:\n- name: g\n  query_offset: 0s\n  rules:\n  - alert: A\n    expr: "
                       "up == 0\n    for: 5m\n"
                       "- name: h\n  rules: []\n";

    cr_assert(rule_file_parse(str_c(text), "x.yml", &options, &file, &err), "%s", error_text(&err));
    cr_assert_eq(file->groups.nr, 2);
    const struct rule_config *rule = &file->groups.items[0].rules.items[0];
    cr_expect(file->groups.items[0].query_offset_given &&
              !file->groups.items[1].query_offset_given);
    cr_expect_eq(rule->expr_at.line, 6);
    cr_expect_eq(rule->expr_at.column, 11);
    cr_expect_eq(rule->for_ms, 300000);
    rule_file_free(file);
}

/* As Go's yaml.v3: what is written wins, also when the merge key comes later. */
Test(rule_file, written_keys_win_over_merged_ones)
{
    struct error err = { 0 };
    struct rule_file *file = NULL;
    struct rule_file_options options = { 0 };
    const char *text =
        "groups:\n- name: g\n  rules:\n  - &a {alert: A, expr: up, labels: &l {x: '1', y: '2'}}\n"
        "  - {alert: B, labels: {x: '3', <<: *l}, <<: *a}\n";

    cr_assert(rule_file_parse(str_c(text), "x.yml", &options, &file, &err), "%s", error_text(&err));
    const struct rule_config *rule = &file->groups.items[0].rules.items[1];
    cr_expect(str_is(rule->alert, "B") && str_is(rule->expr, "up"));
    cr_assert_eq(rule->label_map.nr, 2);
    cr_expect(str_is(rule->label_map.items[0].value, "3"));
    rule_file_free(file);
}
