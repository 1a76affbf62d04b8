#include "base/decimal.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

static uint64_t
bits_of(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double
double_of(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The bits and the refusals of Go's strconv.ParseFloat. */
static const struct {
    const char *text;
    uint64_t want;
    const char *refusal;
} parsed[] = {
    { "0", 0x0000000000000000, "" },
    { "-0", 0x8000000000000000, "" },
    { "1", 0x3ff0000000000000, "" },
    { "+1", 0x3ff0000000000000, "" },
    { "-1", 0xbff0000000000000, "" },
    { "1.", 0x3ff0000000000000, "" },
    { ".", 0x0000000000000000, "invalid syntax" },
    { ".5", 0x3fe0000000000000, "" },
    { "-.5", 0xbfe0000000000000, "" },
    { "1e", 0x0000000000000000, "invalid syntax" },
    { "1e+", 0x0000000000000000, "invalid syntax" },
    { "1e5", 0x40f86a0000000000, "" },
    { "1E-5", 0x3ee4f8b588e368f1, "" },
    { "1e-400", 0x0000000000000000, "" },
    { "-1e-400", 0x8000000000000000, "" },
    { "1e400", 0x0000000000000000, "value out of range" },
    { "-1e400", 0x0000000000000000, "value out of range" },
    { "0e400", 0x0000000000000000, "" },
    { "0e99999999999999999999", 0x0000000000000000, "" },
    { "1e99999999999999999999", 0x0000000000000000, "value out of range" },
    { "1e-99999999999999999999", 0x0000000000000000, "" },
    { "nan(1)", 0x0000000000000000, "invalid syntax" },
    { "NaN", 0x7ff8000000000001, "" },
    { "nan", 0x7ff8000000000001, "" },
    { "+nan", 0x0000000000000000, "invalid syntax" },
    { "-nan", 0x0000000000000000, "invalid syntax" },
    { "Inf", 0x7ff0000000000000, "" },
    { "+inf", 0x7ff0000000000000, "" },
    { "-INF", 0xfff0000000000000, "" },
    { "infinity", 0x7ff0000000000000, "" },
    { "+Infinity", 0x7ff0000000000000, "" },
    { "infi", 0x0000000000000000, "invalid syntax" },
    { "infinit", 0x0000000000000000, "invalid syntax" },
    { "0x1", 0x0000000000000000, "invalid syntax" },
    { "", 0x0000000000000000, "invalid syntax" },
    { "+", 0x0000000000000000, "invalid syntax" },
    { "-", 0x0000000000000000, "invalid syntax" },
    { "--1", 0x0000000000000000, "invalid syntax" },
    { "1 ", 0x0000000000000000, "invalid syntax" },
    { " 1", 0x0000000000000000, "invalid syntax" },
    { "1,5", 0x0000000000000000, "invalid syntax" },
    { "3e-324", 0x0000000000000001, "" },
    { "2e-324", 0x0000000000000000, "" },
    { "5e-324", 0x0000000000000001, "" },
    { "1.7976931348623157e308", 0x7fefffffffffffff, "" },
    { "1.7976931348623159e308", 0x0000000000000000, "value out of range" },
    { "17976931348623157000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "000000000000000000000000000000000000000000000",
      0x0000000000000000, "value out of range" },
    { "9007199254740993", 0x4340000000000000, "" },
    { "9007199254740993.0000000000000000000000001", 0x4340000000000001, "" },
    { "123456789012345678901234567890", 0x45f8ee90ff6c373e, "" },
    { "0."
      "000000000000000000000000000000000000000000000000000000000000123456789012345678901234567890",
      0x334964c23946b6b0, "" },
    { "1.00000000000000011102230246251565404236316680908203125", 0x3ff0000000000000, "" },
    { "1.00000000000000011102230246251565404236316680908203124", 0x3ff0000000000000, "" },
    { "0.1", 0x3fb999999999999a, "" },
    { "0.3", 0x3fd3333333333333, "" },
    { "4.35", 0x4011666666666666, "" },
    { "1e22", 0x4480f0cf064dd592, "" },
    { "1e23", 0x44b52d02c7e14af6, "" },
    { "8.5e22", 0x44b1ffdbf6b2b2eb, "" },
    { "2.2250738585072011e-308", 0x000fffffffffffff, "" },
    { "00000000000000000000000000001", 0x3ff0000000000000, "" },
    { "000000000000000000000000.0000000000000000000000000000001", 0x398039d665896880, "" },
    { "1.5e-10", 0x3de49da7e361ce4c, "" },
    { "12345678901234567", 0x4345ee2a2eb5a5c4, "" },
    { "1e0005", 0x40f86a0000000000, "" },
    { "1.2.3", 0x0000000000000000, "invalid syntax" },
    { "1e5.5", 0x0000000000000000, "invalid syntax" },
    { "inf1", 0x0000000000000000, "invalid syntax" },
    { "nano", 0x0000000000000000, "invalid syntax" },
};

Test(decimal, parses_what_go_parses)
{
    for (size_t i = 0; i < ARRAY_LEN(parsed); i++) {
        double v = 42;
        bool ok = decimal_parse(str_c(parsed[i].text), &v);
        cr_expect_eq(ok, parsed[i].refusal[0] == '\0', "%s", parsed[i].text);
        if (ok)
            cr_expect_eq(bits_of(v), parsed[i].want, "%s gave %a", parsed[i].text, v);
        else
            cr_expect(v == 42 &&
                          strcmp(decimal_refusal(str_c(parsed[i].text)), parsed[i].refusal) == 0,
                      "%s", parsed[i].text);
    }
}

Test(decimal, scans_a_number_up_to_its_end)
{
    static const char *const tails[] = { "", "\n", " 123", "\tx", "# {}" };

    for (size_t i = 0; i < ARRAY_LEN(parsed) * ARRAY_LEN(tails); i++) {
        const char *text = parsed[i / ARRAY_LEN(tails)].text;
        char line[512];
        double v = 42;
        if (strchr(text, ' ') != NULL)
            continue;
        int n = snprintf(line, sizeof line, "%s%s", text, tails[i % ARRAY_LEN(tails)]);
        const char *end = decimal_scan(line, line + n, &v);
        if (parsed[i / ARRAY_LEN(tails)].refusal[0] != '\0') {
            cr_expect(end == NULL, "%s", line);
            continue;
        }
        cr_expect_eq(end, line + strlen(text), "%s", line);
        cr_expect_eq(bits_of(v), parsed[i / ARRAY_LEN(tails)].want, "%s gave %a", line, v);
    }
}

/* Prometheus's parsers keep to the forms from before Go 1.13. */
Test(decimal, refuses_hex_and_underscores_as_the_exposition_parsers_do)
{
    static const char *const texts[] = { "0x1p-2", "1_000", "0x_1p-2", "1p5", "1P5", "0x1.8p1" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        double v;
        cr_expect_not(decimal_parse(str_c(texts[i]), &v), "%s", texts[i]);
        cr_expect_str_eq(decimal_refusal(str_c(texts[i])), "unsupported character in float");
    }
}

static const struct {
    const char *text;
    uint64_t want;
    bool ok;
} literals[] = {
    { "0x1p-2", 0x3fd0000000000000, true },
    { "0X1P-2", 0x3fd0000000000000, true },
    { "0x_1p-2", 0x3fd0000000000000, true },
    { "1_000", 0x408f400000000000, true },
    { "1__0", 0x0000000000000000, false },
    { "_1", 0x0000000000000000, false },
    { "1_", 0x0000000000000000, false },
    { "1_000.5_5", 0x408f446666666666, true },
    { "0x1.8p1", 0x4008000000000000, true },
    { "0x1p", 0x0000000000000000, false },
    { "0x1", 0x0000000000000000, false },
    { "0xp1", 0x0000000000000000, false },
    { "-0x1p4", 0xc030000000000000, true },
    { "0x1p+4", 0x4030000000000000, true },
    { "0x1p2000", 0x0000000000000000, false },
    { "0x1p-2000", 0x0000000000000000, true },
    { "0x1.fffffffffffff8p0", 0x4000000000000000, true },
    { "1_e5", 0x0000000000000000, false },
    { "0x1_0p0", 0x4030000000000000, true },
    { "+0x.8p0", 0x3fe0000000000000, true },
    { "0x1.0000000000000801p0", 0x3ff0000000000001, true },
    { "1e1_0", 0x4202a05f20000000, true },
    { "in_f", 0x0000000000000000, false },
};

Test(decimal, parses_all_of_go_when_asked)
{
    for (size_t i = 0; i < ARRAY_LEN(literals); i++) {
        double v = 0;
        cr_expect_eq(decimal_parse_go(str_c(literals[i].text), &v), literals[i].ok, "%s",
                     literals[i].text);
        cr_expect_eq(bits_of(v), literals[i].want, "%s gave %a", literals[i].text, v);
    }
}

static const struct {
    uint64_t bits;
    const char *fixed, *general, *exp, *api, *four;
} formatted[] = {
    { 0x412e848000000000, "1000000", "1e+06", "1e+06", "1000000", "1e+06" },
    { 0x419d6f3454000000, "123456789", "1.23456789e+08", "1.23456789e+08", "123456789",
      "1.235e+08" },
    { 0x4415af1d78b58c40, "100000000000000000000", "1e+20", "1e+20", "100000000000000000000",
      "1e+20" },
    { 0x444b1ae4d6e2ef50, "1000000000000000000000", "1e+21", "1e+21", "1e+21", "1e+21" },
    { 0x3f1a36e2eb1c432d, "0.0001", "0.0001", "1e-04", "0.0001", "0.0001" },
    { 0x3ee4f8b588e368f1, "0.00001", "1e-05", "1e-05", "0.00001", "1e-05" },
    { 0x3e7ad7f29abcaf48, "0.0000001", "1e-07", "1e-07", "1e-07", "1e-07" },
    { 0x40fe240800000000, "123456.5", "123456.5", "1.234565e+05", "123456.5", "1.235e+05" },
    { 0x4132d68780000000, "1234567.5", "1.2345675e+06", "1.2345675e+06", "1234567.5", "1.235e+06" },
    { 0x4059000000000000, "100", "100", "1e+02", "100", "100" },
    { 0x40f86a0000000000, "100000", "100000", "1e+05", "100000", "1e+05" },
    { 0x412e847e00000000, "999999", "999999", "9.99999e+05", "999999", "1e+06" },
    { 0x430c6bf526340000, "1000000000000000", "1e+15", "1e+15", "1000000000000000", "1e+15" },
    { 0x4341c37937e08000, "10000000000000000", "1e+16", "1e+16", "10000000000000000", "1e+16" },
    { 0x437b69b4ba630f35, "123456789012345680", "1.2345678901234568e+17", "1.2345678901234568e+17",
      "123456789012345680", "1.235e+17" },
    { 0x44b52d02c7e14af6, "100000000000000000000000", "1e+23", "1e+23", "1e+23", "1e+23" },
    { 0x0000000000000001,
      "0."
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "000000000000000000000000000000000000000000000005",
      "5e-324", "5e-324", "5e-324", "4.941e-324" },
    { 0x7fefffffffffffff,
      "17976931348623157000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "000000000000000000000000000000000",
      "1.7976931348623157e+308", "1.7976931348623157e+308", "1.7976931348623157e+308",
      "1.798e+308" },
    { 0x0000000000000000, "0", "0", "0e+00", "0", "0" },
    { 0x8000000000000000, "-0", "-0", "-0e+00", "-0", "-0" },
    { 0x3fb999999999999a, "0.1", "0.1", "1e-01", "0.1", "0.1" },
    { 0xbfd0000000000000, "-0.25", "-0.25", "-2.5e-01", "-0.25", "-0.25" },
    { 0x3ff004189374bc6a, "1.001", "1.001", "1.001e+00", "1.001", "1.001" },
    { 0x3ff0020c49ba5e35, "1.0005", "1.0005", "1.0005e+00", "1.0005", "1" },
    { 0x426d1a94a1fffff8, "999999999999.999", "9.99999999999999e+11", "9.99999999999999e+11",
      "999999999999.999", "1e+12" },
    { 0x419d6f3454800000, "123456789.125", "1.23456789125e+08", "1.23456789125e+08",
      "123456789.125", "1.235e+08" },
    { 0x3fd5555555555555, "0.3333333333333333", "0.3333333333333333", "3.333333333333333e-01",
      "0.3333333333333333", "0.3333" },
    { 0x7ff0000000000000, "+Inf", "+Inf", "+Inf", "+Inf", "+Inf" },
    { 0xfff0000000000000, "-Inf", "-Inf", "-Inf", "-Inf", "-Inf" },
    { 0x7ff8000000000001, "NaN", "NaN", "NaN", "NaN", "NaN" },
    { 0x4330000000000000, "4503599627370496", "4.503599627370496e+15", "4.503599627370496e+15",
      "4503599627370496", "4.504e+15" },
    { 0x4340000000000000, "9007199254740992", "9.007199254740992e+15", "9.007199254740992e+15",
      "9007199254740992", "9.007e+15" },
    { 0x42700000000001f8, "1099511627776.123", "1.099511627776123e+12", "1.099511627776123e+12",
      "1099511627776.123", "1.1e+12" },
    { 0xc031000000000000, "-17", "-17", "-1.7e+01", "-17", "-17" },
    { 0x3e25798ee2308c3a, "0.0000000025", "2.5e-09", "2.5e-09", "2.5e-09", "2.5e-09" },
    { 0x3eb0c6f7a0b5ed8d, "0.000001", "1e-06", "1e-06", "0.000001", "1e-06" },
    { 0x3eb0c6f784902b25, "0.0000009999999", "9.999999e-07", "9.999999e-07", "9.999999e-07",
      "1e-06" },
    { 0x3f50624dd2f1a9fc, "0.001", "0.001", "1e-03", "0.001", "0.001" },
    { 0x40934a456d5cfaad, "1234.5678", "1234.5678", "1.2345678e+03", "1234.5678", "1235" },
};

static void
expect_format(size_t n, const char *got, const char *want)
{
    cr_expect(n == strlen(want) && memcmp(got, want, n) == 0, "got %.*s, want %s", (int)n, got,
              want);
}

Test(decimal, formats_as_go_does)
{
    for (size_t i = 0; i < ARRAY_LEN(formatted); i++) {
        double v = double_of(formatted[i].bits);
        char out[DECIMAL_BYTES_MAX];
        expect_format(decimal_format_fixed(v, out), out, formatted[i].fixed);
        expect_format(decimal_format_general(v, out), out, formatted[i].general);
        expect_format(decimal_format_exp(v, out), out, formatted[i].exp);
        expect_format(decimal_format_api(v, out), out, formatted[i].api);
        expect_format(decimal_format_precision(v, 4, out), out, formatted[i].four);
    }
}

Test(decimal, reads_back_what_it_wrote)
{
    uint64_t state = 88172645463325252u;

    for (int i = 0; i < 200000; i++) {
        char out[DECIMAL_BYTES_MAX];
        double back = 0;
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        double v = i % 3 == 0   ? double_of(state)
                   : i % 3 == 1 ? (double)(int64_t)state / 1000
                                : (double)(state % 100000000) / 1000;
        if (!isfinite(v))
            continue;
        size_t n = decimal_format_fixed(v, out);
        cr_assert(decimal_scan(out, out + n, &back) == out + n && bits_of(back) == bits_of(v),
                  "%a: %.*s", v, (int)n, out);
        n = decimal_format_general(v, out);
        cr_assert(decimal_parse((struct str){ out, n }, &back) && bits_of(back) == bits_of(v),
                  "%a: %.*s", v, (int)n, out);
    }
}
