/* Relabelling with rules and labels from outside. The input is lines: a rule
 * "action|regex|target|replacement|separator|modulus", or a label "name=value". */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "model/relabel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { RULES_MAX = 16 };

struct input {
    struct relabel_rule rules[RULES_MAX];
    size_t rules_nr;
    struct labels_builder b;
};

static struct str
field_next(struct str *rest)
{
    size_t n = str_find(*rest, '|', 0);
    struct str field = { rest->p, n };

    *rest = str_skip(*rest, n < rest->n ? n + 1 : n);
    return field;
}

static void
rule_add(struct input *in, struct str line, const struct str *sources)
{
    struct relabel_rule rule = { .source_labels = sources, .source_labels_nr = 2, .modulus = 7 };
    struct error err = { 0 };

    struct str action = field_next(&line), regex = field_next(&line);
    rule.target_label = field_next(&line);
    rule.replacement = field_next(&line);
    rule.separator = field_next(&line);
    rule.legacy_names = line.n % 2 == 1;
    if (in->rules_nr == RULES_MAX || !relabel_action_of(action, &rule.action))
        return;
    rule.re = regex_compile(regex, REGEX_ANCHORED, &err);
    if (rule.re != NULL)
        in->rules[in->rules_nr++] = rule;
    error_clear(&err);
}

static void
line_take(struct input *in, struct str line, const struct str *sources)
{
    size_t eq = str_find(line, '=', 0);

    if (str_find(line, '|', 0) < line.n)
        rule_add(in, line, sources);
    else if (eq < line.n && label_name_valid((struct str){ line.p, eq }))
        labels_builder_set(&in->b, (struct str){ line.p, eq }, str_skip(line, eq + 1));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct str sources[] = { { "a", 1 }, { "b", 1 } };
    struct str rest = { (const char *)data, n };
    struct input in = { 0 };
    struct arena arena;
    struct buf text = { 0 };

    arena_init(&arena, 64 << 20);
    labels_builder_init(&in.b);
    while (rest.n > 0) {
        size_t end = str_find(rest, '\n', 0);
        line_take(&in, (struct str){ rest.p, end }, sources);
        rest = str_skip(rest, end < rest.n ? end + 1 : end);
    }
    relabel_apply(in.rules, in.rules_nr, &in.b, &arena);
    struct labels ls = labels_builder_view(&in.b);
    for (size_t i = 1; i < ls.nr; i++)
        ASSERT(str_cmp(ls.v[i - 1].name, ls.v[i].name) < 0);
    labels_print(ls, &text);
    for (size_t i = 0; i < in.rules_nr; i++)
        regex_unref((struct regex *)in.rules[i].re);
    buf_fini(&text);
    labels_builder_fini(&in.b);
    arena_fini(&arena);
    return 0;
}
