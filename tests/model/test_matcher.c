#include "model/matcher.h"

#include <criterion/criterion.h>

#include "conformance.h"

static const struct {
    enum match_type type;
    const char *value, *yes, *no, *text;
} cases[] = {
    { MATCH_EQ, "a", "a", "b", "job=\"a\"" },
    { MATCH_NE, "a", "b", "a", "job!=\"a\"" },
    { MATCH_RE, "a|b.*", "b\nc", "ab", "job=~\"a|b.*\"" },
    { MATCH_NRE, "a|b", "ab", "b", "job!~\"a|b\"" },
    { MATCH_EQ, "", "", "x", "job=\"\"" },
};

Test(matcher, decides_and_prints)
{
    struct arena arena;
    struct buf text = { 0 };
    struct error err = { 0 };

    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct matcher m;
        cr_assert(matcher_init(&m, cases[i].type, STR("job"), str_c(cases[i].value), &arena, &err));
        cr_expect(matcher_matches(&m, str_c(cases[i].yes)), "%s", cases[i].text);
        cr_expect_not(matcher_matches(&m, str_c(cases[i].no)), "%s", cases[i].text);
        buf_reset(&text);
        matcher_print(&m, &text);
        cr_expect_str_eq(buf_z(&text), cases[i].text);
        matcher_fini(&m);
    }
    struct matcher bad;
    cr_expect_not(matcher_init(&bad, MATCH_RE, STR("job"), STR("a("), &arena, &err));
    cr_expect_eq(err.kind, ERR_INVALID);
    error_clear(&err);
    buf_fini(&text);
    arena_fini(&arena);
}

static bool
all_match(const struct matcher *m, json_t *texts, bool want)
{
    size_t i;
    json_t *text;

    json_array_foreach(texts, i,
                       text) if (matcher_matches(m, conformance_str(text)) != want) return false;
    return true;
}

static bool
regex_case(json_t *line)
{
    struct arena arena;
    struct matcher m;
    struct error err = { 0 };

    arena_init(&arena, 1 << 20);
    bool ok = matcher_init(&m, MATCH_RE, STR("n"), conformance_str(json_object_get(line, "re")),
                           &arena, &err);
    if (ok) {
        ok = all_match(&m, json_object_get(line, "match"), true) &&
             all_match(&m, json_object_get(line, "no_match"), false);
        matcher_fini(&m);
    }
    error_clear(&err);
    arena_fini(&arena);
    return ok;
}

Test(matcher, agrees_with_the_recorded_matches)
{
    cr_expect(conformance_each("regex/regex.jsonl", regex_case));
}
