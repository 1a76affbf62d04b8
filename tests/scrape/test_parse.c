#include "conformance.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void
expect_all(const char *kind)
{
    struct case_counts c = textparse_all(kind);

    if (!c.here) {
        fprintf(stderr, "textparse/%s: the shared cases are not here: skipped\n", kind);
        return;
    }
    fprintf(stderr, "textparse/%s: %u of %u passed\n", kind, c.passed, c.passed + c.failed);
    cr_expect_eq(c.failed, 0);
}

Test(parse, shared_text_pages_give_their_entries)
{
    expect_all("text");
}

Test(parse, shared_openmetrics_pages_give_their_entries)
{
    expect_all("openmetrics");
}

Test(parse, shared_protobuf_pages_give_their_entries)
{
    expect_all("protobuf");
}

static const struct {
    enum page_format format;
    const char *page, *want;
} broken[] = {
    { PAGE_TEXT, "a 1\nb{c=\"d\" 2\n",
      "expected label name, got \"2\" (\"INVALID\") while parsing: \"b{c=\\\"d\\\" 2\"" },
    { PAGE_TEXT, "a 1 99999999999999999999\n",
      "strconv.ParseInt: parsing \"99999999999999999999\": value out of range while parsing: \"a 1 "
      "99999999999999999999\"" },
    { PAGE_TEXT, "# TYPE a wrong\n", "invalid metric type \"wrong\"" },
    { PAGE_TEXT, "a 1 -5\n",
      "expected timestamp or new record, got \"-\" (\"INVALID\") while parsing: \"a 1 -\"" },
    { PAGE_TEXT, "{\"a\",\"b\"} 1\n",
      "metric name already set while parsing: \"{\\\"a\\\",\\\"b\\\"}\"" },
    { PAGE_OPENMETRICS, "a 1", "data does not end with # EOF" },
    { PAGE_OPENMETRICS, "a 1\n", "data does not end with # EOF" },
    { PAGE_OPENMETRICS, "a 1 1e400\n# EOF\n",
      "strconv.ParseFloat: parsing \"1e400\": value out of range while parsing: \"a 1 1e400\"" },
};

Test(parse, says_what_is_wrong_with_a_page)
{
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct page_parser p;
        struct buf page = { 0 };
        struct error err = { 0 };
        enum parse_entry e;

        buf_c(&page, broken[i].page);
        page_parser_init(&p);
        page_parser_start(&p, broken[i].format, &page, &(struct parse_options){ 0 });
        do
            e = page_parser_next(&p, &err);
        while (e != PARSE_END && e != PARSE_ERROR);
        cr_expect_eq(e, PARSE_ERROR, "case %zu", i);
        cr_expect_str_eq(error_text(&err), broken[i].want);
        error_clear(&err);
        page_parser_fini(&p);
        buf_fini(&page);
    }
}

static const struct {
    const char *type, *fallback;
    bool ok, warned;
    enum page_format format;
    const char *want;
} types[] = {
    { "text/plain; version=0.0.4; charset=utf-8", "", true, false, PAGE_TEXT, "" },
    { "Text/Plain", "", true, false, PAGE_TEXT, "" },
    { "application/openmetrics-text; version=1.0.0;", "", true, false, PAGE_OPENMETRICS, "" },
    { "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
      "encoding=delimited",
      "", true, false, PAGE_PROTOBUF, "" },
    { "", "", false, true, PAGE_TEXT,
      "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
      "specified for target" },
    { "", "text/plain;version=0.0.4", true, true, PAGE_TEXT,
      "non-compliant scrape target sending blank Content-Type, using fallback_scrape_protocol "
      "\"text/plain;version=0.0.4\"" },
    { "text/html", "", false, true, PAGE_TEXT,
      "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified "
      "for target" },
    { "text/plain; version", "", false, true, PAGE_TEXT,
      "cannot parse Content-Type \"text/plain; version\" and no fallback_scrape_protocol for "
      "target\nmime: invalid media "
      "parameter" },
    { "application/openmetrics-text", "text/plain;version=0.0.4", true, false, PAGE_OPENMETRICS,
      "" },
};

Test(parse, content_type_chooses_the_parser)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        enum page_format format = PAGE_TEXT;
        struct error err = { 0 };
        bool warned, ok = page_format_of(types[i].type, types[i].fallback, &format, &warned, &err);

        cr_expect_eq(ok, types[i].ok, "%s", types[i].type);
        cr_expect_eq(warned, types[i].warned, "%s", types[i].type);
        if (ok)
            cr_expect_eq(format, types[i].format, "%s", types[i].type);
        cr_expect_str_eq(error_text(&err), types[i].want);
        error_clear(&err);
    }
}
