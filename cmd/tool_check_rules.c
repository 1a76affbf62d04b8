/* Rule files: what is wrong with them, and rules that are there twice. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/quote.h"
#include "cmd/tool.h"
#include "rules/rule_file.h"

static void
unknown_option(struct str option)
{
    struct buf quoted = { 0 };

    quote_go(option, &quoted);
    printf("WARNING: unknown lint option: %s\n", buf_z(&quoted));
    buf_fini(&quoted);
}

struct rules_lint
tool_rules_lint(struct str options, bool fatal, bool ignore_unknown)
{
    struct rules_lint lint = { .fatal = fatal, .ignore_unknown = ignore_unknown };

    for (size_t from = 0; options.n > 0 && from <= options.n;) {
        size_t end = str_find(options, ',', from);
        struct str one = { options.p + from, end - from };
        if (str_is(one, "all") || str_is(one, "duplicate-rules"))
            lint.duplicates = true;
        else if (!str_is(one, "none"))
            unknown_option(one);
        from = end + 1;
    }
    return lint;
}

int
tool_lint_status(struct lint_verdict v, bool fatal)
{
    return v.failed && v.errors ? TOOL_FAILED : v.failed && fatal ? TOOL_LINT : TOOL_OK;
}

/* ---- duplicates ---- */

struct named_rule {
    struct str metric;
    struct labels labels;
};

static int
named_cmp(const void *a, const void *b)
{
    const struct named_rule *x = a, *y = b;
    int c = str_cmp(x->metric, y->metric);

    return c != 0 ? c : labels_cmp(x->labels, y->labels);
}

/* The group's labels, the rule's over them. */
static struct labels
labels_of(const struct rule_group_config *g, const struct rule_config *r, struct arena *arena)
{
    struct labels_builder b;

    labels_builder_init(&b);
    for (size_t i = 0; i < g->label_map.nr; i++)
        labels_builder_set(&b, g->label_map.items[i].name, g->label_map.items[i].value);
    for (size_t i = 0; i < r->label_map.nr; i++)
        labels_builder_set(&b, r->label_map.items[i].name, r->label_map.items[i].value);
    struct labels ls = labels_builder_finish(&b, arena);
    labels_builder_fini(&b);
    return ls;
}

static struct named_rule *
collect(const struct rule_file *file, struct arena *arena, size_t *nr)
{
    size_t all_nr = 0;

    for (size_t i = 0; i < file->groups.nr; i++)
        all_nr += file->groups.items[i].rules.nr;
    struct named_rule *v = ARENA_NEW_ARRAY(arena, struct named_rule, all_nr + 1);
    *nr = 0;
    for (size_t i = 0; i < file->groups.nr; i++) {
        const struct rule_group_config *g = &file->groups.items[i];
        for (size_t k = 0; k < g->rules.nr; k++) {
            const struct rule_config *r = &g->rules.items[k];
            v[(*nr)++] = (struct named_rule){ r->alert.n > 0 ? r->alert : r->record,
                                              labels_of(g, r, arena) };
        }
    }
    return v;
}

/* Each rule that is there more than once, once. */
static size_t
say_duplicates(struct named_rule *v, size_t nr, struct buf *out)
{
    size_t found = 0;

    qsort(v, nr, sizeof *v, named_cmp);
    for (size_t i = 1; i < nr; i++) {
        if (named_cmp(&v[i - 1], &v[i]) != 0 || (i > 1 && named_cmp(&v[i - 2], &v[i]) == 0))
            continue;
        found++;
        buf_printf(out, "Metric: %.*s\nLabel(s):\n", STR_ARG(v[i].metric));
        for (size_t k = 0; k < v[i].labels.nr; k++)
            buf_printf(out, "\t%.*s: %.*s\n", STR_ARG(v[i].labels.v[k].name),
                       STR_ARG(v[i].labels.v[k].value));
    }
    return found;
}

/* False: a finding, said. */
static bool
lint_file(const struct rule_file *file, const struct rules_lint *lint)
{
    struct buf said = { 0 };
    struct arena arena;
    size_t rules_nr, found;

    arena_init(&arena, SIZE_MAX);
    struct named_rule *v = collect(file, &arena, &rules_nr);
    found = lint->duplicates ? say_duplicates(v, rules_nr, &said) : 0;
    if (found > 0)
        fprintf(stderr,
                "  FAILED:\nlint error %zu duplicate rule(s) found.\n"
                "%sMight cause inconsistency while recording expressions\n",
                found, buf_z(&said));
    else
        printf("  SUCCESS: %zu rules found\n", rules_nr);
    buf_fini(&said);
    arena_fini(&arena);
    return found == 0;
}

/* ---- files ---- */

/* prefix: the file's name and ": ", or "" for standard input. */
static struct lint_verdict
check_text(struct tool *t, const struct rules_lint *lint, struct str text, const char *prefix)
{
    struct rule_file_options options = { .ignore_unknown = lint->ignore_unknown,
                                         .parser = &t->parse };
    struct rule_file_errors errors = { 0 };
    struct lint_verdict verdict = { 0 };
    struct rule_file *file = rule_file_parse_all(text, &options, &errors);

    if (file == NULL) {
        fprintf(stderr, "  FAILED:\n");
        for (size_t i = 0; i < errors.nr; i++)
            fprintf(stderr, "%s%s\n", prefix, errors.items[i]);
        verdict = (struct lint_verdict){ true, true };
    } else {
        verdict.failed = !lint_file(file, lint);
        printf("\n");
    }
    rule_file_errors_fini(&errors);
    rule_file_free(file);
    return verdict;
}

static struct lint_verdict
check_file(struct tool *t, const struct rules_lint *lint, struct str path)
{
    struct error err = { 0 };
    struct buf prefix = { 0 };
    char *text = NULL;
    size_t n = 0;
    struct lint_verdict verdict = { true, true };

    buf_printf(&prefix, "%.*s", STR_ARG(path));
    printf("Checking %s\n", buf_z(&prefix));
    if (io_read_file(t->io, buf_z(&prefix), CONF_FILE_BYTES_MAX, &text, &n, &err)) {
        buf_c(&prefix, ": ");
        verdict = check_text(t, lint, (struct str){ text, n }, buf_z(&prefix));
    } else {
        fprintf(stderr, "  FAILED:\n%s: %s\n", buf_z(&prefix), error_text(&err));
    }
    mem_free(text);
    buf_fini(&prefix);
    error_clear(&err);
    return verdict;
}

struct lint_verdict
tool_lint_rule_files(struct tool *t, const struct rules_lint *lint, const struct str *files,
                     size_t files_nr)
{
    struct lint_verdict all = { 0 };

    for (size_t i = 0; i < files_nr; i++) {
        struct lint_verdict one = check_file(t, lint, files[i]);
        all.failed = all.failed || one.failed;
        all.errors = all.errors || one.errors;
    }
    return all;
}

static struct lint_verdict
check_stdin(struct tool *t, const struct rules_lint *lint)
{
    struct lint_verdict verdict = { true, true };
    struct error err = { 0 };
    char *text = NULL;
    size_t n = 0;

    printf("Checking standard input\n");
    if (tool_read_stdin(&text, &n, &err))
        verdict = check_text(t, lint, (struct str){ text, n }, "");
    else
        fprintf(stderr, "  FAILED: %s\n", error_text(&err));
    mem_free(text);
    error_clear(&err);
    return verdict;
}

int
tool_check_rules(struct tool *t)
{
    struct rules_lint lint =
        tool_rules_lint(tool_str(&t->line, "lint"), tool_bool(&t->line, "lint-fatal"),
                        tool_bool(&t->line, "ignore-unknown-fields"));
    size_t nr;
    const struct str *files = tool_strs(&t->line, "rule-files", &nr);
    struct lint_verdict verdict =
        nr == 0 ? check_stdin(t, &lint) : tool_lint_rule_files(t, &lint, files, nr);

    return tool_lint_status(verdict, lint.fatal);
}
