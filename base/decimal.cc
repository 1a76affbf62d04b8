/* Reading: one pass collects sign, up to 19 digits and the power of ten. When the digits fit into
 * 53 bits and the power into 10^22 both are exact doubles and one multiplication or division rounds
 * once, which is right (Clinger's fast path); the rest goes to from_chars, after our own check of
 * the grammar. Writing: integers and up to three decimals are printed from an integer; else
 * to_chars gives the shortest digits in scientific form, which are then laid out as Go does.
 * (to_chars in fixed form would print 1e23 as 99999999999999991611392; Go pads with zeros.) */
extern "C" {
#include "base/decimal.h"
}

#include <charconv>
#include <cmath>

namespace
{

const uint64_t NORMAL_NAN = 0x7ff8000000000001u;
const int64_t EXPONENT_CAP = 10000; /* where Go stops counting; far outside of any double */
const double POWERS_OF_TEN[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

enum outcome { GOOD, SYNTAX, RANGE, UNSUPPORTED };

/* A number cut into its parts. */
struct parts {
    const char *digits_start; /* behind the sign */
    bool negative, any_digit;
    bool exact;        /* mantissa holds all digits */
    uint64_t mantissa; /* first 19 significant digits */
    int digits_nr;     /* significant digits, leading zeros not counted */
    int64_t exp10;     /* value = mantissa * 10^exp10 when exact */
    int64_t point;     /* value = 0.d1d2... * 10^point */
};

inline bool
is_digit(char c)
{
    return static_cast<unsigned char>(c - '0') < 10;
}

double
double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Lower-case ASCII words only. */
bool
word_is(const char *p, const char *end, const char *word)
{
    for (; *word != '\0'; p++, word++) {
        if (p == end || (*p | 0x20) != *word)
            return false;
    }
    return p == end;
}

/* "Inf", "Infinity" with a sign, "NaN" without. */
bool
special_value(const char *p, const char *end, double *v)
{
    if (word_is(p, end, "nan")) {
        *v = double_of(NORMAL_NAN);
        return true;
    }
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (!word_is(p, end, "inf") && !word_is(p, end, "infinity"))
        return false;
    *v = negative ? -HUGE_VAL : HUGE_VAL;
    return true;
}

inline void
take_digit(parts &n, char c, bool after_point)
{
    n.any_digit = true;
    if (n.digits_nr == 0 && c == '0') {
        n.exp10 -= after_point;
        n.point -= after_point;
        return;
    }
    n.digits_nr++;
    n.point += !after_point;
    if (n.digits_nr > 19) {
        n.exact = n.exact && c == '0';
        n.exp10 += !after_point;
        return;
    }
    n.mantissa = n.mantissa * 10 + static_cast<uint64_t>(c - '0');
    n.exp10 -= after_point;
}

/* Reads e+12; false when no digit follows the e. */
bool
take_exponent(parts &n, const char *&p, const char *end)
{
    const char *q = p + 1;
    bool negative = q < end && *q == '-';
    int64_t e = 0;

    if (q < end && (*q == '-' || *q == '+'))
        q++;
    if (q == end || !is_digit(*q))
        return false;
    for (; q < end && is_digit(*q); q++) {
        if (e < EXPONENT_CAP)
            e = e * 10 + (*q - '0');
    }
    n.exp10 += negative ? -e : e;
    n.point += negative ? -e : e;
    p = q;
    return true;
}

/* The end of the decimal number at p, or NULL. */
const char *
take_number(parts &n, const char *p, const char *end)
{
    n = parts{};
    n.exact = true;
    n.negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    n.digits_start = p;
    for (; p < end && is_digit(*p); p++)
        take_digit(n, *p, false);
    if (p < end && *p == '.') {
        for (p++; p < end && is_digit(*p); p++)
            take_digit(n, *p, true);
    }
    if (!n.any_digit)
        return nullptr;
    if (p < end && (*p | 0x20) == 'e' && !take_exponent(n, p, end))
        return nullptr;
    return p;
}

outcome
number_value(const parts &n, const char *end, double *v)
{
    double magnitude = 0;

    if (n.exact && n.mantissa >> 53 == 0 && n.exp10 >= -22 && n.exp10 <= 22) {
        magnitude = static_cast<double>(n.mantissa);
        if (n.exp10 < 0)
            magnitude /= POWERS_OF_TEN[-n.exp10];
        else
            magnitude *= POWERS_OF_TEN[n.exp10];
    } else if (n.digits_nr != 0 && n.point > 310) {
        return RANGE;
    } else if (n.digits_nr != 0 && n.point >= -330) {
        std::from_chars_result r = std::from_chars(n.digits_start, end, magnitude);
        if (r.ec == std::errc::result_out_of_range || std::isinf(magnitude)) {
            if (n.point > 0)
                return RANGE;
            magnitude = 0;
        }
    }
    *v = n.negative ? -magnitude : magnitude;
    return GOOD;
}

outcome
parse(const char *p, const char *end, double *v)
{
    parts n;
    const char *stop = take_number(n, p, end);

    if (stop == end && stop != nullptr)
        return number_value(n, end, v);
    if (special_value(p, end, v))
        return GOOD;
    for (const char *c = p; c < end; c++) {
        if (*c == 'p' || *c == 'P' || *c == '_')
            return UNSUPPORTED;
    }
    return SYNTAX;
}

inline bool
ends_number(char c)
{
    return c == '\n' || c == ' ' || c == '\t' || c == '#';
}

/* Everything that the short form in decimal_scan() does not cover. */
const char *
scan_slowly(const char *p, const char *end, double *v)
{
    const char *stop = p;

    while (stop < end && !ends_number(*stop))
        stop++;
    return parse(p, stop, v) == GOOD ? stop : nullptr;
}

} // namespace

bool
decimal_parse(struct str s, double *v)
{
    double parsed;

    if (parse(s.p, s.p + s.n, &parsed) != GOOD)
        return false;
    *v = parsed;
    return true;
}

const char *
decimal_refusal(struct str s)
{
    double ignored;

    switch (parse(s.p, s.p + s.n, &ignored)) {
    case RANGE:
        return "value out of range";
    case UNSUPPORTED:
        return "unsupported character in float";
    default:
        return "invalid syntax";
    }
}

namespace
{

/* Hexadecimal digits, one point and a binary exponent that must be there; std::from_chars wants
 * them without 0x. */
outcome
parse_hex(const char *p, const char *end, double *v)
{
    double magnitude = 0;
    bool negative = *p == '-';

    p += *p == '-' || *p == '+';
    p += 2;
    const char *power = static_cast<const char *>(memchr(p, 'p', static_cast<size_t>(end - p)));
    if (power == nullptr || power + 1 == end || *p == '-')
        return SYNTAX;
    /* from_chars refuses a plus in the exponent's place only at the front of the whole number. */
    std::from_chars_result r = std::from_chars(p, end, magnitude, std::chars_format::hex);
    if (r.ptr != end || r.ec == std::errc::invalid_argument)
        return SYNTAX;
    if (r.ec == std::errc::result_out_of_range) {
        if (power[1] != '-')
            return RANGE;
        magnitude = 0;
    }
    *v = negative ? -magnitude : magnitude;
    return GOOD;
}

bool
is_hex(const char *p, const char *end)
{
    p += p < end && (*p == '-' || *p == '+');
    return end - p > 2 && p[0] == '0' && (p[1] | 0x20) == 'x';
}

/* Copies s in lower case without its underscores; false when one does not stand between digits (the
 * x of 0x counts as one). */
bool
drop_underscores(struct str s, char *out, size_t *n)
{
    char before = '^';

    *n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool digit = is_digit(c) ||
                     (is_hex(s.p, s.p + s.n) && ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')) ||
                     (is_hex(s.p, s.p + s.n) && (c | 0x20) == 'x');
        if (c == '_' && before != '0')
            return false;
        if (before == '_' && !digit)
            return false;
        before = digit ? '0' : c == '_' ? '_' : '!';
        if (c != '_')
            out[(*n)++] = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    return before != '_';
}

} // namespace

bool
decimal_parse_go(struct str s, double *v)
{
    char text[1024]; /* a literal longer than this has no underscores worth taking */
    size_t n;
    double parsed;

    if (decimal_parse(s, v))
        return true;
    if (s.n > sizeof text || !drop_underscores(s, text, &n))
        return false;
    outcome o = is_hex(text, text + n) ? parse_hex(text, text + n, &parsed)
                                       : parse(text, text + n, &parsed);
    if (o == GOOD)
        *v = parsed;
    return o == GOOD;
}

/* Nearly all values of a page are integers or have a few decimals: at most 15 digits in all, so
 * that the mantissa is below 2^53 and the power of ten is exact. */
const char *
decimal_scan(const char *p, const char *end, double *v)
{
    const char *q = p;
    uint64_t mantissa = 0;
    unsigned decimals = 0;

    if (q < end && *q == '-')
        q++;
    const char *digits = q;
    const char *limit = end - q > 16 ? q + 16 : end;
    for (; q < limit && is_digit(*q); q++)
        mantissa = mantissa * 10 + static_cast<uint64_t>(*q - '0');
    if (q == digits)
        return scan_slowly(p, end, v);
    if (q < limit && *q == '.') {
        const char *point = q++;
        for (; q < limit && is_digit(*q); q++)
            mantissa = mantissa * 10 + static_cast<uint64_t>(*q - '0');
        decimals = static_cast<unsigned>(q - point - 1);
    }
    if (q - digits > 15 || (q < end && !ends_number(*q)))
        return scan_slowly(p, end, v);
    double magnitude = static_cast<double>(mantissa);
    if (decimals != 0)
        magnitude /= POWERS_OF_TEN[decimals];
    *v = digits != p ? -magnitude : magnitude;
    return q;
}

namespace
{

const int64_t FAST_MAX =
    1000000000000000; /* 10^15: any 15 digits survive a double, so ours are the shortest */

/* The shortest digits of a finite, positive number: value = 0.d1d2... * 10^point. */
struct digits {
    char d[24];
    int nr, point;
};

digits
shortest_digits(double v)
{
    char text[40];
    digits out = {};
    std::to_chars_result r =
        std::to_chars(text, text + sizeof text, v, std::chars_format::scientific);
    const char *p = text;

    for (; *p != 'e'; p++) {
        if (*p != '.')
            out.d[out.nr++] = *p;
    }
    int exponent = 0;
    std::from_chars(p + 1 + (p[1] == '+'), r.ptr, exponent);
    while (out.nr > 1 && out.d[out.nr - 1] == '0')
        out.nr--;
    out.point = v == 0 ? 1 : exponent + 1;
    return out;
}

/* NaN, the infinities and zero; 0 when v is none of these. */
size_t
put_special(double v, char *out)
{
    const char *text = std::isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf";

    if (std::isfinite(v))
        return 0;
    size_t n = strlen(text);
    memcpy(out, text, n);
    return n;
}

char *
put_uint(char *p, uint64_t v)
{
    return std::to_chars(p, p + 20, v).ptr;
}

char *
put_fixed(char *p, const digits &n)
{
    if (n.point <= 0) {
        *p++ = '0';
        *p++ = '.';
        memset(p, '0', static_cast<size_t>(-n.point));
        p += -n.point;
        memcpy(p, n.d, static_cast<size_t>(n.nr));
        return p + n.nr;
    }
    int whole = MIN(n.nr, n.point);
    memcpy(p, n.d, static_cast<size_t>(whole));
    p += whole;
    memset(p, '0', static_cast<size_t>(n.point - whole));
    p += n.point - whole;
    if (n.nr > whole) {
        *p++ = '.';
        memcpy(p, n.d + whole, static_cast<size_t>(n.nr - whole));
        p += n.nr - whole;
    }
    return p;
}

char *
put_exponent(char *p, const digits &n)
{
    int e = n.point - 1;

    *p++ = n.d[0];
    if (n.nr > 1) {
        *p++ = '.';
        memcpy(p, n.d + 1, static_cast<size_t>(n.nr - 1));
        p += n.nr - 1;
    }
    *p++ = 'e';
    *p++ = e < 0 ? '-' : '+';
    e = e < 0 ? -e : e;
    if (e < 10)
        *p++ = '0';
    return put_uint(p, static_cast<uint64_t>(e));
}

/* v as thousandths, when it is a number of at most 15 digits with up to three decimals; else -1. */
int64_t
as_thousandths(double v)
{
    if (!(v < static_cast<double>(FAST_MAX / 1000)))
        return -1;
    int64_t n = static_cast<int64_t>(v * 1000 + 0.5);
    return static_cast<double>(n) / 1000 == v ? n : -1;
}

char *
put_thousandths(char *p, uint64_t n)
{
    uint64_t rest = n % 1000;

    p = put_uint(p, n / 1000);
    if (rest == 0)
        return p;
    *p++ = '.';
    *p++ = static_cast<char>('0' + rest / 100);
    if (rest % 100 == 0)
        return p;
    *p++ = static_cast<char>('0' + rest / 10 % 10);
    if (rest % 10 != 0)
        *p++ = static_cast<char>('0' + rest % 10);
    return p;
}

} // namespace

size_t
decimal_format_fixed(double v, char *out)
{
    char *p = out;

    if (!std::isfinite(v))
        return put_special(v, out);
    if (std::signbit(v))
        *p++ = '-';
    v = std::fabs(v);
    if (v < static_cast<double>(FAST_MAX) && static_cast<double>(static_cast<uint64_t>(v)) == v)
        return static_cast<size_t>(put_uint(p, static_cast<uint64_t>(v)) - out);
    int64_t thousandths = as_thousandths(v);
    if (thousandths >= 0)
        return static_cast<size_t>(put_thousandths(p, static_cast<uint64_t>(thousandths)) - out);
    return static_cast<size_t>(put_fixed(p, shortest_digits(v)) - out);
}

size_t
decimal_format_api(double v, char *out)
{
    double magnitude = std::fabs(v);

    if (std::isfinite(v) && magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21))
        return decimal_format_exp(v, out);
    return decimal_format_fixed(v, out);
}

size_t
decimal_format_general(double v, char *out)
{
    char *p = out;

    if (!std::isfinite(v))
        return put_special(v, out);
    if (std::signbit(v))
        *p++ = '-';
    v = std::fabs(v);
    if (v < 1e6 && static_cast<double>(static_cast<uint64_t>(v)) == v)
        return static_cast<size_t>(put_uint(p, static_cast<uint64_t>(v)) - out);
    digits n = shortest_digits(v);
    bool with_exponent = n.point - 1 < -4 || n.point - 1 >= DECIMAL_GENERAL_DIGITS;
    return static_cast<size_t>((with_exponent ? put_exponent(p, n) : put_fixed(p, n)) - out);
}

size_t
decimal_format_exp(double v, char *out)
{
    char *p = out;

    if (!std::isfinite(v))
        return put_special(v, out);
    if (std::signbit(v))
        *p++ = '-';
    return static_cast<size_t>(put_exponent(p, shortest_digits(std::fabs(v))) - out);
}

size_t
decimal_format_precision(double v, int precision, char *out)
{
    if (!std::isfinite(v))
        return put_special(v, out);
    std::to_chars_result r = std::to_chars(out, out + DECIMAL_BYTES_MAX, v,
                                           std::chars_format::general, MIN(MAX(precision, 1), 300));
    return static_cast<size_t>(r.ptr - out);
}
