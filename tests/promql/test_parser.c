/* The language without outside data: what parses to what, what is refused with which words, and the
 * limits. */
#include <criterion/criterion.h>
#include "promql/parser.h"
#include "promql/printer.h"

static const struct promql_parse_options all_on = {
    .experimental_functions = true,
    .duration_expressions = true,
    .extended_ranges = true,
    .fill_modifiers = true,
};
static const struct promql_parse_options server = { .duration_expressions = true };

/* Parses and prints into out; what is refused gives the error's text. */
static void
parse_to_text(const char *text, const struct promql_parse_options *options, bool pretty,
              struct buf *out)
{
    struct error err = { 0 };
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    struct expr *e = promql_parse(&arena, str_c(text), options, &err);
    if (e == NULL)
        buf_c(out, error_text(&err));
    else if (pretty)
        expr_print_pretty(e, out);
    else
        expr_print(e, out);
    error_clear(&err);
    expr_fini(e);
    arena_fini(&arena);
}

static void
expect_text(const char *text, const struct promql_parse_options *options, bool pretty,
            const char *want)
{
    struct buf got = { 0 };

    parse_to_text(text, options, pretty, &got);
    cr_expect_str_eq(buf_z(&got), want, "%s\n  want %s\n  got  %s", text, want, buf_z(&got));
    buf_fini(&got);
}

Test(parser, prints_the_canonical_form)
{
    static const char *const cases[][2] = {
        { "1+2*3^2", "1 + 2 * 3 ^ 2" },
        { "-a^b*c", "-a ^ b * c" },
        { "0x10", "16" },
        { "1_000", "1000" },
        { "010", "8" },
        { "1h30m", "1h30m" },
        { "a OFFSET 90s", "a offset 1m30s" },
        { "a offset -1w", "a offset -1w" },
        { "a offset 5m + 3", "a offset 5m + 3" },
        { "a offset (5m + 3)", "a offset (5m + 3)" },
        { "a offset --5 + 3", "a offset (5 + 3)" },
        { "a @ start() offset 1m", "a @ start() offset 1m" },
        { "a offset 1m @ 1.5", "a @ 1.500 offset 1m" },
        { "a[5m] anchored", "a[5m] anchored" },
        { "a[5m:30s] @ end() offset 10s", "a[5m:30s] @ end() offset 10s" },
        { "a[ 1m + step() * 2 : min_of(1m, range()) ]", "a[1m + step() * 2:min_of(1m, range())]" },
        { "{'quoted name', x!=\"\"}", "{__name__=\"quoted name\",x!=\"\"}" },
        { "{'a'=~'b|c'}", "{a=~\"b|c\"}" },
        { "{`utf8 \xC3\xA9`='1', b='2'}", "{\"utf8 \xC3\xA9\"=\"1\",b=\"2\"}" },
        { "sum(a) by (b, c)", "sum by (b, c) (a)" },
        { "SUM WITHOUT (\"x y\") (a)", "sum without (\"x y\") (a)" },
        { "topk by (x) (3, a)", "topk by (x) (3, a)" },
        { "limitk(2, a) / limit_ratio(0.5, a)", "limitk(2, a) / limit_ratio(0.5, a)" },
        { "a and b or c unless d", "a and b or c unless d" },
        { "a == bool on (x) group_left (y) b", "a == bool on (x) group_left (y) b" },
        { "a + ignoring (x) group_right b", "a + ignoring (x) group_right () b" },
        { "a + fill_left(1) fill_right(2) b", "a + fill_left (1) fill_right (2) b" },
        { "a atan2 b </ 3 >/ 4", "a atan2 b </ 3 >/ 4" },
        { "fill + offset + start + step", "fill + offset + start + step" },
        { "info(a, {b=\"c\"})", "info(a, {b=\"c\"})" },
        { "label_join(a, 'd', '-', 'x', 'y')", "label_join(a, \"d\", \"-\", \"x\", \"y\")" },
        { "time() # now\n - 5", "time() - 5" },
        { "'\\u00e9\\x41\\101\\n'", "\"\xC3\xA9"
                                    "AA\\n\"" },
        { "\"\\u200b\"", "\"\\u200b\"" },
        { "+Inf - NaN", "+Inf - NaN" },
        { "max_of(1, 2) + step()", "max_of(1, 2) + step()" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_text(cases[i][0], &all_on, false, cases[i][1]);
        expect_text(cases[i][1], &all_on, false, cases[i][1]);
    }
}

Test(parser, refuses_with_place_and_reason)
{
    static const char *const cases[][2] = {
        { "", "unknown position: parse error: no expression found in input" },
        { " \n", "1:1: parse error: no expression found in input" },
        { "a +", "1:4: parse error: unexpected end of input" },
        { "a\n+ $", "2:3: parse error: unexpected character: '$'" },
        { "(a", "1:3: parse error: unclosed left parenthesis" },
        { "a)", "1:3: parse error: unexpected right parenthesis ')'" },
        { "a[5m", "1:5: parse error: unclosed left bracket" },
        { "a{b=c}", "1:5: parse error: unexpected identifier \"c\" in label matching, "
                    "expected string" },
        { "a{b=~'('}", "1:3: parse error: error parsing regexp: missing closing ): `(`" },
        { "a{b=~'a)(b'}", "1:3: parse error: error parsing regexp: unexpected ): `a)(b`" },
        { "sum by (a b) (c)", "1:11: parse error: unexpected identifier \"b\" in grouping opts, "
                              "expected \",\" or \")\"" },
        { "sum(a b)", "1:7: parse error: unexpected identifier \"b\" in aggregation" },
        { "rate(a)", "1:6: parse error: expected type range vector in call to function "
                     "\"rate\", got instant vector" },
        { "abs()", "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 0" },
        { "nope(a)", "1:1: parse error: unknown function with name \"nope\"" },
        { "clamp(a, 1, 2,)", "1:14: parse error: trailing commas not allowed in function call "
                             "args" },
        { "1 > 2", "1:3: parse error: comparisons between scalars must use BOOL modifier" },
        { "a + bool b", "1:3: parse error: bool modifier can only be used on comparison "
                        "operators" },
        { "{}", "1:1: parse error: vector selector must contain at least one non-empty "
                "matcher" },
        { "a[5m] + 1", "1:1: parse error: binary expression must contain only scalar and "
                       "instant vector types" },
        { "a offset 1m offset 1m", "1:1: parse error: offset may not be set multiple times" },
        { "a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times" },
        { "a[0s]", "1:3: parse error: duration must be greater than 0" },
        { "a[5m/0]", "1:5: parse error: division by zero" },
        { "mad_over_time(a[5m])", "1:1: parse error: function \"mad_over_time\" is not enabled" },
        { "limitk(1, a)", "1:1: parse error: limitk() is experimental and must be enabled with "
                          "--enable-feature=promql-experimental-functions" },
        { "a smoothed", "1:1: parse error: smoothed modifier is experimental and not enabled" },
        { "a + on(x) group_left @ b", "1:22: parse error: unexpected <op:@> in grouping opts, "
                                      "expected \"(\"" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_text(cases[i][0], &server, false, cases[i][1]);
}

Test(parser, breaks_long_lines)
{
    expect_text("sum by (job) (rate(http_requests_total{code=~\"5..\",method=\"POST\"}[5m])) / "
                "sum by (job) (rate(http_requests_total[5m]))",
                &server, true,
                "  sum by (job) (rate(http_requests_total{code=~\"5..\",method=\"POST\"}[5m]))\n"
                "/\n"
                "  sum by (job) (rate(http_requests_total[5m]))");
}

/* n times `open`, then `middle`, then n times `close`. */
static void
nested(struct buf *out, size_t n, const char *open, const char *middle, const char *close)
{
    for (size_t i = 0; i < n; i++)
        buf_c(out, open);
    buf_c(out, middle);
    for (size_t i = 0; i < n; i++)
        buf_c(out, close);
}

Test(parser, limits_nesting_without_using_up_the_stack)
{
    static const struct {
        const char *open, *middle, *close;
    } cases[] = { { "(", "1", ")" },         { "-(", "a", ")" },   { "abs(", "a", ")" },
                  { "a[(", "5m", ")]" },     { "", "a", " + a" },  { "a ^ ", "a", "" },
                  { "sum(", "a", ")" },      { "+-", "a", "" },    { "", "a", "[1m:]" },
                  { "a[1m+((", "1", "))]" }, { "", "a[1", " + 1" } };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text = { 0 }, got = { 0 };

        nested(&text, 100000, cases[i].open, cases[i].middle, cases[i].close);
        parse_to_text(buf_z(&text), &all_on, false, &got);
        cr_expect(strstr(buf_z(&got), "parse error: ") != NULL, "%s", cases[i].open);
        buf_fini(&text);
        buf_fini(&got);
    }
}

Test(parser, takes_nesting_up_to_the_limit)
{
    struct buf text = { 0 }, got = { 0 };

    nested(&text, PROMQL_HEIGHT_MAX - 1, "(", "1", ")");
    parse_to_text(buf_z(&text), &all_on, false, &got);
    cr_expect(str_eq(buf_as_str(&got), buf_as_str(&text)));

    buf_reset(&text);
    buf_reset(&got);
    nested(&text, PROMQL_HEIGHT_MAX, "(", "1", ")");
    parse_to_text(buf_z(&text), &all_on, false, &got);
    cr_expect_str_eq(buf_z(&got),
                     "1:2001: parse error: expression is nested more than 2000 levels deep");
    buf_fini(&text);
    buf_fini(&got);
}

Test(parser, resolves_duration_expressions)
{
    static const struct {
        const char *text;
        int64_t range_ms, offset_ms;
        const char *error;
    } cases[] = {
        { "a[step() * 2] offset (range() / 2)", 120000, 300000, NULL },
        { "a[max_of(step(), 5m)] offset -step()", 300000, -60000, NULL },
        { "a[2 ^ 3 % 5]", 3000, 0, NULL },
        { "a[step() - 1h]", 0, 0, "2:13: duration must be greater than 0" },
        { "a[1m / (step() - 60)]", 0, 0, "2:19: division by zero" },
        { "a[10 ^ 300 * step()]", 0, 0, "2:19: duration is out of range" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = { 0 };
        struct arena arena;

        arena_init(&arena, SIZE_MAX);
        struct expr *e = promql_parse(&arena, str_c(cases[i].text), &server, &err);
        cr_assert(e != NULL, "%s: %s", cases[i].text, error_text(&err));
        bool ok = promql_resolve_durations(e, 0, 600000, 60000, &err);
        cr_expect_eq(ok, cases[i].error == NULL, "%s", cases[i].text);
        if (!ok)
            cr_expect_str_eq(error_text(&err), cases[i].error, "%s", cases[i].text);
        else
            cr_expect(e->matrix.range_ms == cases[i].range_ms &&
                          e->matrix.selector->selector.shift.offset_ms == cases[i].offset_ms,
                      "%s: %lld", cases[i].text, (long long)e->matrix.range_ms);
        error_clear(&err);
        expr_fini(e);
        arena_fini(&arena);
    }
}

Test(parser, reads_lone_selectors)
{
    struct error err = { 0 };
    struct matcher *matchers;
    struct arena arena;
    size_t nr;

    arena_init(&arena, SIZE_MAX);
    cr_assert(
        promql_parse_selector(&arena, STR("up{job=~\"a.*\"}"), &server, &matchers, &nr, &err));
    cr_assert_eq(nr, 2);
    cr_expect(str_is(matchers[0].name, "job") && str_is(matchers[1].value, "up"));
    for (size_t i = 0; i < nr; i++)
        matcher_fini(&matchers[i]);
    cr_assert(promql_parse_selector(&arena, STR("{}"), &server, &matchers, &nr, &err) && nr == 0);
    cr_expect(!promql_parse_selector(&arena, STR("up + 1"), &server, &matchers, &nr, &err));
    cr_expect_str_eq(error_text(&err), "1:4: parse error: unexpected <op:+>");
    error_clear(&err);
    arena_fini(&arena);
}
