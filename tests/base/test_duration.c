/* base/duration.c, base/duration_go.c, base/units.c, base/quote.c: small notations, both ways. */
#include <criterion/criterion.h>

#include "base/duration.h"
#include "base/quote.h"
#include "base/units.h"

Test(duration, parses_and_prints_prometheus_notation)
{
    static const struct {
        const char *text, *error, *shown;
        int64_t ms;
    } cases[] = {
        { "0", NULL, "0s", 0 },
        { "0s", NULL, "0s", 0 },
        { "90s", NULL, "1m30s", 90000 },
        { "1h30m", NULL, "1h30m", 5400000 },
        { "1y2w3d4h5m6s7ms", NULL, "382d4h5m6s7ms", 33019506007 },
        { "365d", NULL, "1y", 31536000000 },
        { "14d", NULL, "2w", 1209600000 },
        { "90d", NULL, "90d", 7776000000 },
        { "106751d", NULL, "106751d", 9223286400000 },
        { "", "empty duration string", NULL, 0 },
        { "1", "not a valid duration string: \"1\"", NULL, 0 },
        { "-1s", "not a valid duration string: \"-1s\"", NULL, 0 },
        { "1.5h", "unknown unit \".\" in duration \"1.5h\"", NULL, 0 },
        { "1m1d", "not a valid duration string: \"1m1d\"", NULL, 0 },
        { "1s1s", "not a valid duration string: \"1s1s\"", NULL, 0 },
        { "1x", "unknown unit \"x\" in duration \"1x\"", NULL, 0 },
        { "293y", "duration out of range", NULL, 0 },
        { "99999999999999999999s", "not a valid duration string: \"99999999999999999999s\"", NULL,
          0 },
    };
    struct error err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char shown[DURATION_TEXT_MAX];
        int64_t ms = -1;
        bool ok = duration_parse(str_c(cases[i].text), &ms, &err);
        cr_expect_eq(ok, cases[i].error == NULL, "%s", cases[i].text);
        if (!ok) {
            cr_expect_str_eq(error_text(&err), cases[i].error);
            continue;
        }
        cr_expect_eq(ms, cases[i].ms, "%s: %lld", cases[i].text, (long long)ms);
        cr_expect_str_eq(duration_text(ms, shown), cases[i].shown);
    }
    error_clear(&err);
}

Test(duration, parses_and_prints_go_notation)
{
    static const struct {
        const char *text, *shown; /* shown NULL: refused */
        int64_t ns;
    } cases[] = {
        { "0", "0s", 0 },
        { "2ms", "2ms", 2000000 },
        { "1.5h", "1h30m0s", 5400000000000 },
        { "-1m0.5s", "-1m0.5s", -60500000000 },
        { "1h15m30.918s", "1h15m30.918s", 4530918000000 },
        { "1500us", "1.5ms", 1500000 },
        { "1ns", "1ns", 1 },
        { ".5s", "500ms", 500000000 },
        { "1", NULL, 0 },
        { "s", NULL, 0 },
        { ".s", NULL, 0 },
        { "1d", NULL, 0 },
        { "9223372036854775808ns", NULL, 0 },
        { "-9223372036854775808ns", "-2562047h47m16.854775808s", INT64_MIN },
    };
    struct error err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char shown[DURATION_TEXT_MAX];
        int64_t ns = -1;
        bool ok = duration_go_parse(str_c(cases[i].text), &ns, &err);
        cr_expect_eq(ok, cases[i].shown != NULL, "%s", cases[i].text);
        if (ok) {
            cr_expect_eq(ns, cases[i].ns, "%s: %lld", cases[i].text, (long long)ns);
            cr_expect_str_eq(duration_go_text(ns, shown), cases[i].shown);
        }
    }
    error_clear(&err);
}

Test(units, parses_and_prints_powers_of_1024)
{
    static const struct {
        const char *text, *shown; /* shown NULL: refused */
        int64_t bytes;
    } cases[] = {
        { "0", "0B", 0 },
        { "15MB", "15MiB", 15 << 20 },
        { "15MiB", "15MiB", 15 << 20 },
        { "1KB1B", "1KiB1B", 1025 },
        { "1.5KB", "1KiB512B", 1536 },
        { "1EiB", "1EiB", 1ll << 60 },
        { "-1KB", "-1KiB", -1024 },
        { "5", NULL, 0 },
        { "1kB", NULL, 0 },
        { "8EB", NULL, 0 },
        { "", NULL, 0 },
        { "1KiB1KB", NULL, 0 },
        { "512B", "512B", 512 },
    };
    struct error err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char shown[UNITS_TEXT_MAX];
        int64_t bytes = -1;
        bool ok = units_bytes_parse(str_c(cases[i].text), &bytes, &err);
        cr_expect_eq(ok, cases[i].shown != NULL, "%s", cases[i].text);
        if (ok) {
            cr_expect_eq(bytes, cases[i].bytes, "%s: %lld", cases[i].text, (long long)bytes);
            cr_expect_str_eq(units_bytes_text(bytes, shown), cases[i].shown);
        }
    }
    error_clear(&err);
}

Test(quote, quotes_as_go_does)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "a\"b\\c", "\"a\\\"b\\\\c\"" },  { "\n\t\x01\x7f", "\"\\n\\t\\x01\\x7f\"" },
        { "\xff", "\"\\xff\"" },           { "caf\xc3\xa9", "\"caf\xc3\xa9\"" },
        { "\xe2\x80\x8b", "\"\\u200b\"" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf got = { 0 };
        quote_go(str_c(cases[i].text), &got);
        cr_expect_str_eq(buf_z(&got), cases[i].want);
        buf_fini(&got);
    }
}
