/* base/decimal.h: decimal numbers both ways, exactly as Go's strconv gives them.
 *
 * Pure functions; thread-safe; independent of the locale. Implemented over <charconv> in
 * decimal.cc. */
#pragma once
#include "base/str.h"

/* Go's strconv.ParseFloat(s, 64) minus the forms that Prometheus's exposition parsers refuse:
 * decimal and hexadecimal floats, "Inf", "+Inf", "infinity", "NaN" in any case, an explicit plus.
 * `1e-400` is 0, `1e400` is an error (range), underscores and "nan(1)" are errors. A NaN result has
 * Prometheus's normal NaN bits (0x7ff8000000000001). False when s is not such a number; *v is then
 * untouched. */
MUST_CHECK bool decimal_parse(struct str s, double *v);

/* Why decimal_parse() refused, in Prometheus's words: "invalid syntax" or "value out of range"
 * (Go's, to be put behind `strconv.ParseFloat: parsing "...": `), or "unsupported character in
 * float" (its own, for p, P and _; stands alone). */
const char *decimal_refusal(struct str s);

/* Go's strconv.ParseFloat(s, 64) whole, with hexadecimal floats (0x1p-2) and underscores between
 * digits: what templates and PromQL's number literals take. NaN has the same bits. */
MUST_CHECK bool decimal_parse_go(struct str s, double *v);

/* The fast path of the exposition parsers: as decimal_parse(), but reads the longest number-like
 * prefix of [p, end) up to a space, tab, newline, '#' or end, and returns the byte after it; NULL
 * when it is not a number. */
const char *decimal_scan(const char *p, const char *end, double *v);

#define DECIMAL_BYTES_MAX \
    352 /* the longest fixed form: 1.7976931348623157e308 has 309 digits, tiny ones 340 */

/* Go's strconv.FormatFloat(v, 'f', -1, 64): shortest digits that read back, never an exponent.
 * "NaN", "+Inf", "-Inf". This is how PromQL's printer shows numbers. Returns the length; not
 * NUL-terminated. */
size_t decimal_format_fixed(double v, char *out);
/* How the HTTP API and the UI print sample values: fixed, but with an exponent below 1e-6 and from
 * 1e21 on. */
size_t decimal_format_api(double v, char *out);
/* FormatFloat(v, 'g', -1, 64), also Go's %v: an exponent when it is < -4 or >=
 * DECIMAL_GENERAL_DIGITS. Exposition text (`1e+06`), canonical `le` labels and logs use it. */
#define DECIMAL_GENERAL_DIGITS 6
size_t decimal_format_general(double v, char *out);
/* FormatFloat(v, 'e', -1, 64), as the alerts API prints values: 1e+00. */
size_t decimal_format_exp(double v, char *out);
/* Go's %g with a precision (digits > 0), as templates' humanize uses "%.4g". */
size_t decimal_format_precision(double v, int digits, char *out);
