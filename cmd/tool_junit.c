#include "cmd/tool_junit.h"

static void
xml_escaped(struct str s, struct buf *out)
{
    static const struct {
        char c;
        const char *text;
    } escapes[] = { { '"', "&#34;" }, { '\'', "&#39;" }, { '&', "&amp;" },  { '<', "&lt;" },
                    { '>', "&gt;" },  { '\t', "&#x9;" }, { '\n', "&#xA;" }, { '\r', "&#xD;" } };
    uint32_t rune;

    for (size_t n; s.n > 0; s = str_skip(s, n)) {
        const char *text = NULL;
        n = str_rune(s, &rune);
        for (size_t i = 0; i < ARRAY_LEN(escapes); i++)
            if (rune == (uint32_t)escapes[i].c)
                text = escapes[i].text;
        if (text != NULL)
            buf_c(out, text);
        else
            buf_rune(out, rune < 0x20 ? 0xFFFD : rune); /* XML has no other control characters */
    }
}

void
junit_case(struct junit_suite *j, const char *name, const struct suite_errors *errors, size_t from,
           bool aborted)
{
    const char *tag = aborted ? "error" : "failure";

    j->cases_nr++;
    buf_c(&j->cases, "<testcase name=\"");
    xml_escaped(str_c(name), &j->cases);
    buf_c(&j->cases, "\">");
    for (size_t i = from; i < errors->nr; i++) {
        buf_printf(&j->cases, "<%s>", tag);
        xml_escaped(str_c(errors->v[i]), &j->cases);
        buf_printf(&j->cases, "</%s>", tag);
        j->errors_nr += aborted;
        j->failures_nr += !aborted;
    }
    buf_c(&j->cases, "</testcase>");
}

void
junit_print(struct junit_suite *j, struct str name, struct buf *out)
{
    buf_c(out, "<testsuite name=\"");
    xml_escaped(name, out);
    buf_printf(out,
               "\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"0\" timestamp=\"%s\">",
               j->cases_nr, j->failures_nr, j->errors_nr, j->when);
    buf_str(out, buf_as_str(&j->cases));
    buf_c(out, "</testsuite>");
    buf_fini(&j->cases);
}
