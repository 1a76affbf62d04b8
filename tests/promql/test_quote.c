#include <criterion/criterion.h>
#include "promql/quote.h"

Test(quote, writes_as_go_does)
{
    static const struct {
        struct str text;
        const char *want;
    } cases[] = {
        { { "", 0 }, "\"\"" },
        { { "plain", 5 }, "\"plain\"" },
        { { "a\"b\\c", 5 }, "\"a\\\"b\\\\c\"" },
        { { "\a\b\t\n\v\f\r", 7 }, "\"\\a\\b\\t\\n\\v\\f\\r\"" },
        { { "\0\x1f\x7f", 3 }, "\"\\x00\\x1f\\x7f\"" },
        { { "\xff\xc3", 2 }, "\"\\xff\\xc3\"" },
        { { "\xc3\xa9\xe2\x82\xac", 5 }, "\"\xc3\xa9\xe2\x82\xac\"" },
        { { "\xe2\x80\x8b", 3 }, "\"\\u200b\"" },         /* zero-width space */
        { { "\xf4\x8f\xbf\xbf", 4 }, "\"\\U0010ffff\"" }, /* never assigned */
        { { "\xcd\xb8", 2 }, "\"\\u0378\"" },             /* unassigned */
        { { "\xef\xbf\xbd", 3 }, "\"\xef\xbf\xbd\"" },    /* U+FFFD itself */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf got = { 0 };

        quote(&got, cases[i].text);
        cr_expect_str_eq(buf_z(&got), cases[i].want, "case %zu", i);
        buf_fini(&got);
    }
}

Test(quote, reads_literals)
{
    static const struct {
        const char *literal;
        struct str want; /* p NULL: refused */
    } cases[] = {
        { "\"\"", { "", 0 } },
        { "'a\\'b\"'", { "a'b\"", 4 } },
        { "`a\\nb\n`", { "a\\nb\n", 5 } },
        { "\"\\a\\b\\f\\n\\r\\t\\v\\\\\"", { "\a\b\f\n\r\t\v\\", 8 } },
        { "\"\\x41\\101\\u00e9\\U0001F600\"", { "AA\xc3\xa9\xf0\x9f\x98\x80", 8 } },
        { "\"\\xff\\000\"", { "\xff\0", 2 } },
        { "\"", { NULL, 0 } },
        { "\"a'", { NULL, 0 } },
        { "a\"a", { NULL, 0 } },
        { "\"a\"b\"", { NULL, 0 } },
        { "'\\\"'", { NULL, 0 } },
        { "\"\\q\"", { NULL, 0 } },
        { "\"\\x4\"", { NULL, 0 } },
        { "\"\\400\"", { NULL, 0 } },
        { "\"\\UFFFFFFFF\"", { NULL, 0 } },
        { "\"a\nb\"", { NULL, 0 } },
        { "\"\\\"", { NULL, 0 } },
        { "`a`b`", { NULL, 0 } },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf got = { 0 };
        bool ok = unquote(str_c(cases[i].literal), &got);

        cr_expect_eq(ok, cases[i].want.p != NULL, "%s", cases[i].literal);
        if (ok)
            cr_expect(str_eq(buf_as_str(&got), cases[i].want), "%s", cases[i].literal);
        buf_fini(&got);
    }
}

Test(quote, quotes_runes)
{
    static const struct {
        uint32_t rune;
        const char *want;
    } cases[] = {
        { 'a', "'a'" },
        { '\'', "'\\''" },
        { '"', "'\"'" },
        { '\n', "'\\n'" },
        { 0xe9, "'\xc3\xa9'" },
        { 0x200b, "'\\u200b'" },
        { 0xd800, "'\xef\xbf\xbd'" },
        { UINT32_MAX, "'\xef\xbf\xbd'" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf got = { 0 };

        quote_rune(&got, cases[i].rune);
        cr_expect_str_eq(buf_z(&got), cases[i].want);
        buf_fini(&got);
    }
}
