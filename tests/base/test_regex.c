#include "base/regex.h"

#include <criterion/criterion.h>
#include <jansson.h>

static struct regex *
compiled(const char *pattern, unsigned flags)
{
    struct error err = { 0 };
    struct regex *re = regex_compile(str_c(pattern), flags, &err);

    cr_assert(re != NULL, "%s: %s", pattern, error_text(&err));
    return re;
}

/* What Go says; an empty text means that the pattern is fine. */
static const struct {
    const char *pattern;
    bool anchored;
    const char *want;
} refusals[] = {
    { "a(", false, "error parsing regexp: missing closing ): `a(`" },
    { "a(", true, "error parsing regexp: missing closing ): `^(?s:a()$`" },
    { "a)", false, "error parsing regexp: unexpected ): `a)`" },
    { "a)", true, "error parsing regexp: unexpected ): `^(?s:a))$`" },
    { "[a", false, "error parsing regexp: missing closing ]: `[a`" },
    { "[a", true, "error parsing regexp: missing closing ]: `[a)$`" },
    { "a[]", false, "error parsing regexp: missing closing ]: `[]`" },
    { "a[]", true, "error parsing regexp: missing closing ]: `[])$`" },
    { "*a", false, "error parsing regexp: missing argument to repetition operator: `*`" },
    { "*a", true, "error parsing regexp: missing argument to repetition operator: `*`" },
    { "a**", false, "error parsing regexp: invalid nested repetition operator: `**`" },
    { "a**", true, "error parsing regexp: invalid nested repetition operator: `**`" },
    { "a{1001}", false, "error parsing regexp: invalid repeat count: `{1001}`" },
    { "a{1001}", true, "error parsing regexp: invalid repeat count: `{1001}`" },
    { "a{2}{3}", false, "error parsing regexp: invalid nested repetition operator: `{2}{3}`" },
    { "a{2}{3}", true, "error parsing regexp: invalid nested repetition operator: `{2}{3}`" },
    { "(?P<n>a", false, "error parsing regexp: missing closing ): `(?P<n>a`" },
    { "(?P<n>a", true, "error parsing regexp: missing closing ): `^(?s:(?P<n>a)$`" },
    { "(?P<>a)", false, "error parsing regexp: invalid named capture: `(?P<>`" },
    { "(?P<>a)", true, "error parsing regexp: invalid named capture: `(?P<>`" },
    { "(?P<n>a)(?P<n>b)", false, "" },
    { "(?P<n>a)(?P<n>b)", true, "" },
    { "(?i", false, "error parsing regexp: invalid or unsupported Perl syntax: `(?i`" },
    { "(?i", true, "error parsing regexp: missing closing ): `^(?s:(?i)$`" },
    { "(?z)", false, "error parsing regexp: invalid or unsupported Perl syntax: `(?z`" },
    { "(?z)", true, "error parsing regexp: invalid or unsupported Perl syntax: `(?z`" },
    { "\\", false, "error parsing regexp: trailing backslash at end of expression: ``" },
    { "\\", true, "error parsing regexp: missing closing ): `^(?s:\\)$`" },
    { "a\\", false, "error parsing regexp: trailing backslash at end of expression: ``" },
    { "a\\", true, "error parsing regexp: missing closing ): `^(?s:a\\)$`" },
    { "\\C", false, "error parsing regexp: invalid escape sequence: `\\C`" },
    { "\\C", true, "error parsing regexp: invalid escape sequence: `\\C`" },
    { "\\pX", false, "error parsing regexp: invalid character class range: `\\pX`" },
    { "\\pX", true, "error parsing regexp: invalid character class range: `\\pX`" },
    { "\\8", false, "error parsing regexp: invalid escape sequence: `\\8`" },
    { "\\8", true, "error parsing regexp: invalid escape sequence: `\\8`" },
    { "[b-a]", false, "error parsing regexp: invalid character class range: `b-a`" },
    { "[b-a]", true, "error parsing regexp: invalid character class range: `b-a`" },
    { "[[:foo:]]", false, "error parsing regexp: invalid character class range: `[:foo:]`" },
    { "[[:foo:]]", true, "error parsing regexp: invalid character class range: `[:foo:]`" },
    { "(?<n>a)(?<n>b)", false, "" },
    { "(?<n>a)(?<n>b)", true, "" },
    { "(?<n", false, "error parsing regexp: invalid named capture: `(?<n`" },
    { "(?<n", true, "error parsing regexp: invalid named capture: `(?<n)$`" },
    { "a\xff", false,
      "error parsing regexp: invalid UTF-8: `\xff"
      "`" },
    { "a\xff", true,
      "error parsing regexp: invalid UTF-8: `\xff"
      ")$`" },
    { "(?=a)", false, "error parsing regexp: invalid or unsupported Perl syntax: `(?=`" },
    { "(?=a)", true, "error parsing regexp: invalid or unsupported Perl syntax: `(?=`" },
    { "(?!a)", false, "error parsing regexp: invalid or unsupported Perl syntax: `(?!`" },
    { "(?!a)", true, "error parsing regexp: invalid or unsupported Perl syntax: `(?!`" },
    { "x{2,1}", false, "error parsing regexp: invalid repeat count: `{2,1}`" },
    { "x{2,1}", true, "error parsing regexp: invalid repeat count: `{2,1}`" },
    { "(?P<a-b>x)", false, "error parsing regexp: invalid named capture: `(?P<a-b>`" },
    { "(?P<a-b>x)", true, "error parsing regexp: invalid named capture: `(?P<a-b>`" },
    { "[a\\", false, "error parsing regexp: trailing backslash at end of expression: ``" },
    { "[a\\", true, "error parsing regexp: missing closing ]: `[a\\)$`" },
    { "\\x{110000}", false, "error parsing regexp: invalid escape sequence: `\\x{110000`" },
    { "\\x{110000}", true, "error parsing regexp: invalid escape sequence: `\\x{110000`" },
    { "(a{1000}){1000}", false, "error parsing regexp: invalid repeat count: `{1000}`" },
    { "(a{1000}){1000}", true, "error parsing regexp: invalid repeat count: `{1000}`" },
    { "(?<n>a)(", false, "error parsing regexp: missing closing ): `(?<n>a)(`" },
    { "(?<n>a)(", true, "error parsing regexp: missing closing ): `^(?s:(?<n>a)()$`" },
    { "\\Qa(", false, "" },
    { "\\Qa(", true, "error parsing regexp: missing closing ): `^(?s:\\Qa()$`" },
    { "(?<a-b>x)", false, "error parsing regexp: invalid named capture: `(?<a-b>`" },
    { "(?<a-b>x)", true, "error parsing regexp: invalid named capture: `(?<a-b>`" },
    { "(?i)(?<n>a", false, "error parsing regexp: missing closing ): `(?i)(?<n>a`" },
    { "(?i)(?<n>a", true, "error parsing regexp: missing closing ): `^(?s:(?i)(?<n>a)$`" },
};

Test(regex, refuses_in_the_words_of_go)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct error err = { 0 };
        struct regex *re = regex_compile(str_c(refusals[i].pattern),
                                         refusals[i].anchored ? REGEX_ANCHORED : 0, &err);
        cr_expect_eq(re != NULL, refusals[i].want[0] == '\0', "%s", refusals[i].pattern);
        cr_expect_str_eq(error_text(&err), refusals[i].want, "%s: got %s, want %s",
                         refusals[i].pattern, error_text(&err), refusals[i].want);
        regex_unref(re);
        error_clear(&err);
    }
}

Test(regex, quotes_the_bare_pattern_for_matchers)
{
    struct error err = { 0 };

    cr_expect(regex_compile(STR("a("), REGEX_ANCHORED | REGEX_MATCHER, &err) == NULL);
    cr_expect_str_eq(error_text(&err), "error parsing regexp: missing closing ): `a(`");
    cr_expect(regex_compile(STR("a)(b"), REGEX_ANCHORED | REGEX_MATCHER, &err) == NULL);
    error_clear(&err);
    struct regex *re = regex_compile(STR("a)(b"), REGEX_ANCHORED, &err);
    cr_assert(re != NULL);
    cr_expect(regex_match(re, STR("ab")));
    regex_unref(re);
}

static const struct {
    const char *pattern, *text, *tmpl, *want;
} replacements[] = {
    { "a*", "baaac", "<$0>", "<>b<aaa>c<>" },
    { "", "abc", "-", "-a-b-c-" },
    { "b", "abcb", "[$0]", "a[b]c[b]" },
    { "(?P<x>b)", "abc", "${x}${x}$y", "abbc" },
    { "x*", "日本", "-", "-日-本-" },
    { "a|", "ba", "<$0>", "<>b<a>" },
    { "(.)(.)", "abcde", "$2$1", "badce" },
    { "(.)", "ab", "$1x", "" },
    { "(.)", "ab", "${1}x$$1$", "ax$1$bx$1$" },
    { "^", "ab", "$01|", "|ab" },
    { "b*$", "abb", "!", "a!" },
};

Test(regex, replaces_all_as_go_does)
{
    for (size_t i = 0; i < ARRAY_LEN(replacements); i++) {
        struct buf out = { 0 };
        struct regex *re = compiled(replacements[i].pattern, 0);
        regex_replace_all(re, str_c(replacements[i].text), str_c(replacements[i].tmpl), &out);
        cr_expect_str_eq(buf_z(&out), replacements[i].want, "%s: %s", replacements[i].pattern,
                         buf_z(&out));
        regex_unref(re);
        buf_fini(&out);
    }
}

Test(regex, expands_groups_by_number_and_name)
{
    struct buf out = { 0 };
    struct regex *re = compiled("(?P<a>x)(y)?(?<b>z)", REGEX_ANCHORED);

    cr_expect(regex_expand(re, STR("xz"), STR("$1-$2-$3-$4-${a}${b}-$$-$-${"), &out));
    cr_expect_str_eq(buf_z(&out), "x--z--xz-$-$-${");
    cr_expect_not(regex_expand(re, STR("xzz"), STR("$1"), &out));
    regex_unref(re);
    buf_fini(&out);
}

/* The set with commas, or `prefix*`, or "*" when nothing is known. */
static const struct {
    const char *pattern, *want;
} known[] = {
    { "foo", "foo" },
    { "foo|bar", "bar,foo" },
    { "(foo|bar)", "bar,foo" },
    { "web-(?:1|2)", "web-1,web-2" },
    { "a[b-d]e", "abe,ace,ade" },
    { "a\\.b", "a.b" },
    { "^foo$", "foo" },
    { "^foo|bar$", "*" },
    { "colou?r", "color,colour" },
    { "foo.*", "foo*" },
    { "foo.+bar", "foo*" },
    { "fo*", "f*" },
    { "fo+", "fo*" },
    { "fo{2}", "f*" },
    { "(api|app)_.+", "ap*" },
    { "(?i)foo", "*" },
    { "foo(?i)bar|x", "*" },
    { "foo(?i)bar", "fo*" },
    { "", "*" },
    { ".*", "*" },
    { "foo|", "*" },
    { "a(b|)c", "abc,ac" },
    { "[^a]b", "*" },
    { "\\d+", "*" },
    { "a\\d|b", "*" },
    { "(?s:foo)", "foo" },
    { "(?P<n>foo)bar", "foobar" },
    { "\xC3\xA9t", "\xC3\xA9t" },
};

Test(regex, knows_sets_and_prefixes)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct buf got = { 0 };
        struct regex *re = compiled(known[i].pattern, REGEX_ANCHORED);
        const struct str *set = NULL;
        size_t nr = regex_set(re, &set);
        for (size_t j = 0; j < nr; j++)
            buf_printf(&got, "%s%.*s", j == 0 ? "" : ",", STR_ARG(set[j]));
        if (nr == 0)
            buf_printf(&got, "%.*s*", STR_ARG(regex_prefix(re)));
        cr_expect_str_eq(buf_z(&got), known[i].want, "%s: %s", known[i].pattern, buf_z(&got));
        regex_unref(re);
        buf_fini(&got);
    }
}

Test(regex, takes_a_large_alternation_and_a_long_literal)
{
    struct buf pattern = { 0 };
    for (int i = 0; i < 20000; i++)
        buf_printf(&pattern, "%svalue-number-%d", i == 0 ? "" : "|", i);
    struct regex *re = compiled(buf_z(&pattern), REGEX_ANCHORED);
    cr_expect(regex_match(re, STR("value-number-19999")));
    cr_expect_not(regex_match(re, STR("value-number-20000")));
    regex_unref(re);
    buf_reset(&pattern);
    for (int i = 0; i < 100000; i++)
        buf_byte(&pattern, 'x');
    re = compiled(buf_z(&pattern), REGEX_ANCHORED);
    cr_expect(regex_match(re, buf_as_str(&pattern)));
    regex_unref(re);
    buf_fini(&pattern);
}

/* Found against Go: what looks like a literal start is none when the pattern closes the wrapper's
 * group, or when a repetition reaches over a flag group to the letter before. */
Test(regex, does_not_take_an_optional_start_for_a_prefix)
{
    static const char *const patterns[] = { "ab)*?(", "a(?i)*?", "b)??.*(?i:(?i)",
                                            "(?<n>a)?(?<n>b)?" };

    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        struct regex *re = compiled(patterns[i], REGEX_ANCHORED);
        cr_expect(regex_match(re, STR("")), "%s", patterns[i]);
        regex_unref(re);
    }
}

Test(regex, refuses_a_pattern_over_the_limit)
{
    struct buf pattern = { 0 };
    struct error err = { 0 };

    for (size_t i = 0; i <= REGEX_PATTERN_BYTES_MAX; i++)
        buf_byte(&pattern, 'x');
    cr_expect(regex_compile(buf_as_str(&pattern), REGEX_ANCHORED, &err) == NULL);
    cr_expect_eq(err.kind, ERR_LIMIT);
    buf_fini(&pattern);
    error_clear(&err);
}

static json_t *
conformance_line(FILE *f)
{
    return json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
}

static size_t
count_misses(const struct regex *re, json_t *texts, bool want)
{
    size_t misses = 0, i;
    json_t *text;

    json_array_foreach(texts, i, text)
    {
        struct str s = { json_string_value(text), json_string_length(text) };
        misses += regex_match(re, s) != want;
    }
    return misses;
}

Test(regex, agrees_with_the_conformance_cases)
{
    char path[1024];
    const char *dir = getenv("NARTHEX_CONFORMANCE");
    size_t passed = 0, nr = 0;

    snprintf(path, sizeof path, "%s/regex/regex.jsonl",
             dir != NULL ? dir : SOURCE_DIR "/../shared/conformance");
    FILE *f = fopen(path, "r");
    if (f == NULL)
        cr_skip("51 cases skipped: no conformance data\n");
    for (json_t *c; (c = conformance_line(f)) != NULL; json_decref(c), nr++) {
        struct regex *re =
            compiled(json_string_value(json_object_get(c, "re")), REGEX_ANCHORED | REGEX_MATCHER);
        size_t misses = count_misses(re, json_object_get(c, "match"), true) +
                        count_misses(re, json_object_get(c, "no_match"), false);
        passed += misses == 0;
        cr_expect_eq(misses, 0, "%s: %zu misses", json_string_value(json_object_get(c, "re")),
                     misses);
        regex_unref(re);
    }
    fclose(f);
    printf("%zu of %zu passed\n", passed, nr);
    cr_expect_gt(nr, 0);
}
