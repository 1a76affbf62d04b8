/* Numbers from pages: the scanner and the parser agree, and what parses is written and read back to
 * the same bits. */
#include "base/decimal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool
same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *p = (const char *)data, *end = p + n;
    double scanned, parsed, back;
    char text[DECIMAL_BYTES_MAX];

    const char *stop = decimal_scan(p, end, &scanned);
    if (stop != NULL &&
        (!decimal_parse((struct str){ p, (size_t)(stop - p) }, &parsed) || !same(scanned, parsed)))
        abort();
    if (!decimal_parse_go((struct str){ p, n }, &parsed))
        return decimal_refusal((struct str){ p, n }) == NULL;
    size_t (*const forms[])(double, char *) = { decimal_format_fixed, decimal_format_general,
                                                decimal_format_exp, decimal_format_api };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        size_t len = forms[i](parsed, text);
        if (len > sizeof text || !decimal_parse((struct str){ text, len }, &back) ||
            !same(parsed, back))
            abort();
    }
    return decimal_format_precision(parsed, 4, text) > sizeof text;
}
