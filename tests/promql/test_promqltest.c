#include <criterion/criterion.h>
#include "conformance.h"
#include "promqltest.h"

static bool
parse(struct arena *arena, const char *text, struct script *script, struct error *err)
{
    return script_parse(arena, str_c(text), script, err);
}

Test(promqltest, reads_commands_and_their_blocks)
{
    static const char text[] = "# a comment\n"
                               "load 1m\n"
                               "  a{x=\"1\"} 1+1x2\n"
                               "  a{x=\"1\"}@st -1m\n"
                               "\n"
                               "clear\n"
                               "load_with_nhcb 30s\n"
                               "\tb 1\n"
                               "# ends the block\n"
                               "eval range from 0 to 10m step 2m30s sum(a)\n"
                               "  expect warn msg: PromQL warning: x (1:1)\n"
                               "  expect no_info\n"
                               "  {} 1 _ 3\n"
                               "\n"
                               "eval instant at 1h5s 1 + 1\n"
                               "  0x2\n";
    struct error err = { 0 };
    struct script s;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    cr_assert(parse(&arena, text, &s, &err), "%s", error_text(&err));
    cr_assert_eq(s.nr, 5);
    cr_expect(s.commands[0].kind == SCRIPT_LOAD && s.commands[0].step_ms == 60000);
    cr_expect_eq(s.commands[0].series.nr, 1, "lines of start timestamps are left out");
    cr_expect_eq(s.commands[1].kind, SCRIPT_CLEAR);
    cr_expect_eq(s.commands[2].kind, SCRIPT_LOAD_NHCB);
    const struct script_eval *range = &s.commands[3].eval, *instant = &s.commands[4].eval;
    cr_expect(range->range && range->end_ms == 600000 && range->step_ms == 150000);
    cr_expect(str_is(range->query, "sum(a)") && range->no_info && range->warns.nr == 1);
    cr_expect_eq(s.commands[3].series.items[0].nr, 3);
    cr_expect(instant->has_scalar && instant->scalar == 2 && instant->start_ms == 3605000);
    cr_expect_eq(s.commands[4].line, 15);
    arena_fini(&arena);
}

Test(promqltest, reads_expectations)
{
    static const char text[] = "eval instant at 0 x\n"
                               "  expect fail regex: vector .* many\n"
                               "\n"
                               "eval_fail instant at 0 y\n"
                               "\n"
                               "eval instant at 0 \"a\"\n"
                               "  expect string `a`\n"
                               "\n"
                               "eval instant at 5m a[2m]\n"
                               "  expect ordered\n"
                               "  expect range vector from 3m to 5m step 1m\n"
                               "  a 1 2 3\n";
    struct error err = { 0 };
    struct script s;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    cr_assert(parse(&arena, text, &s, &err), "%s", error_text(&err));
    cr_assert_eq(s.nr, 4);
    cr_expect(s.commands[0].eval.fail && s.commands[0].eval.fail_text.rule == TEXT_REGEX &&
              str_is(s.commands[0].eval.fail_text.text, "vector .* many"));
    cr_expect(s.commands[1].eval.fail && s.commands[1].eval.fail_text.rule == TEXT_ANY);
    cr_expect(str_is(s.commands[2].eval.string, "a"));
    cr_expect(s.commands[3].eval.ordered && s.commands[3].eval.range_vector &&
              s.commands[3].eval.points_start_ms == 180000);
    arena_fini(&arena);
}

Test(promqltest, refuses_malformed_scripts_with_the_line)
{
    static const char *const cases[][2] = {
        { "\nfoo\n", "line 2: unknown command: foo" },
        { "load 1x\n", "line 1: not a duration: 1x" },
        { "load 1m\n a 1x\n",
          "line 2: 1:5: parse error: unexpected end of input in series values" },
        { "eval instant at 0 a\n expect luck\n", "line 2: unknown expectation: luck" },
        { "eval range from 0 until 1m step 1m a\n", "line 1: unexpected word: until" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = { 0 };
        struct script s;
        struct arena arena;

        arena_init(&arena, SIZE_MAX);
        cr_expect(!parse(&arena, cases[i][0], &s, &err));
        cr_expect_str_eq(error_text(&err), cases[i][1]);
        error_clear(&err);
        arena_fini(&arena);
    }
}

Test(promqltest, reads_every_conformance_script)
{
    static const char *const names[] = { "aggregators",
                                         "at_modifier",
                                         "collision",
                                         "duration_expression",
                                         "extended_vectors",
                                         "fill-modifier",
                                         "functions",
                                         "histograms",
                                         "info",
                                         "limit",
                                         "literals",
                                         "native_histograms",
                                         "operators",
                                         "selectors",
                                         "staleness",
                                         "start_timestamps",
                                         "type_and_unit" };
    size_t evals = 0, files = 0;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[512], full[4096];
        struct error err = { 0 };
        struct buf text = { 0 };
        struct script s;
        struct arena arena;

        snprintf(path, sizeof path, "promql/%s.test", names[i]);
        if (!conformance_path(path, full, sizeof full))
            continue;
        files++;
        arena_init(&arena, SIZE_MAX);
        cr_assert(read_file(full, &text, &err));
        cr_expect(script_parse(&arena, buf_as_str(&text), &s, &err), "%s: %s", names[i],
                  error_text(&err));
        for (size_t k = 0; k < s.nr; k++)
            evals += s.commands[k].kind == SCRIPT_EVAL;
        error_clear(&err);
        arena_fini(&arena);
        buf_fini(&text);
    }
    if (files == 0)
        fprintf(stderr, "promql/*.test: 17 files skipped, there is no conformance data\n");
    else
        cr_expect_eq(evals, 1402, "%zu", evals);
}
