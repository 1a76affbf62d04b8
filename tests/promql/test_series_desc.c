#include <criterion/criterion.h>
#include "model/sample.h"
#include "promql/series_desc.h"

/* What was read, one word per value; or the error's text. */
static void
read_to_text(const char *text, struct buf *out)
{
    struct error err = { 0 };
    struct series_desc s;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    if (!series_desc_parse(&arena, str_c(text), &s, &err))
        buf_c(out, error_text(&err));
    else
        labels_print_metric(s.labels, out);
    for (size_t i = 0; err.kind == ERR_NONE && i < s.nr; i++) {
        buf_byte(out, ' ');
        if (s.values[i].omitted)
            buf_byte(out, '_');
        else if (s.values[i].h != NULL)
            series_desc_print_histogram(s.values[i].h, &arena, out);
        else if (is_stale(s.values[i].v))
            buf_c(out, "stale");
        else
            buf_printf(out, "%g", s.values[i].v);
    }
    error_clear(&err);
    arena_fini(&arena);
}

Test(series_desc, reads_values)
{
    static const char *const cases[][2] = {
        { "a 1 2.5 -3e2 Inf", "a 1 2.5 -300 inf" },
        { "a{x='y'} 1x2 _ _x3 stale", "a{x=\"y\"} 1 1 1 _ _ _ _ stale" },
        { "a 1+2x3 5-1x1", "a 1 3 5 7 5 4" },
        { "a 0x3", "a 0 0 0 0" },
        { "a  1\t2 ", "a 1 2" },
        { "a", "a" },
        { "a {{}} {{count:2 sum:3}}x1", "a {{}} {{count:2 sum:3}} {{count:2 sum:3}}" },
        { "a {{buckets:[1 2]}}+{{buckets:[1 0 1]}}x2",
          "a {{buckets:[1 2]}} {{buckets:[2 2 1]}} {{buckets:[3 2 2]}}" },
        { "a {{schema:-53 custom_values:[1 5] buckets:[1 2 3]}}",
          "a {{schema:-53 custom_values:[1 5] buckets:[1 2 3]}}" },
        { "a 1x", "1:5: parse error: unexpected end of input in series values" },
        { "a 1 none", "1:5: parse error: unexpected identifier \"none\" in series values, "
                      "expected number or \"stale\"" },
        { "a{b} 1", "1:4: parse error: unexpected \"}\" in label set, expected \"=\"" },
        { "a {{sum:1 sum: 2}}", "1:15: parse error: unexpected \" \" in histogram description, "
                                "expected histogram description key, e.g. buckets:[5 10 7]" },
        { "a 1x99999999999999", "series description has more than 1000000 values" },
        { "a _x1000001", "series description has more than 1000000 values" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf got = { 0 };

        read_to_text(cases[i][0], &got);
        cr_expect_str_eq(buf_z(&got), cases[i][1], "%s\n  want %s\n  got  %s", cases[i][0],
                         cases[i][1], buf_z(&got));
        buf_fini(&got);
    }
}
