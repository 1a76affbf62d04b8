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

namespace
{

/* Up to eight digits at once, without a branch on how many there are: the digits' bytes are moved
 * to the top of a word, zeros come in below, and three multiplications add them up. Wants eight
 * readable bytes; returns how many were digits. */
inline unsigned
take_eight(const char *p, uint64_t *value)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    word ^= 0x3030303030303030u; /* digits are now 0 to 9; adding 0x76 carries into the top bit of
                                    all else */
    uint64_t others = ((word + 0x7676767676767676u) | word) & 0x8080808080808080u;
    unsigned nr = others == 0 ? 8 : static_cast<unsigned>(__builtin_ctzll(others)) / 8;
    if (nr == 0) {
        *value = 0;
        return 0;
    }
    word <<= 64 - 8 * nr;
    word = word * 10 + (word >> 8);
    *value = ((word & 0x000000FF000000FFu) * 0x000F424000000064u +
              (word >> 16 & 0x000000FF000000FFu) * 0x0000271000000001u) >>
             32;
    return nr;
}

const uint64_t UINT_POWERS_OF_TEN[] = { 1,      10,      100,      1000,     10000,
                                        100000, 1000000, 10000000, 100000000 };

/* The digits before the point; more than 16 or so are not looked at. */
inline const char *
take_run(const char *p, const char *end, uint64_t *mantissa)
{
    uint64_t value;

    for (int i = 0; i < 2 && end - p >= 8; i++) {
        unsigned nr = take_eight(p, &value);
        *mantissa = *mantissa * UINT_POWERS_OF_TEN[nr] + value;
        p += nr;
        if (LIKELY(nr < 8))
            return p;
    }
    for (int i = 0; i < 8 && p < end && is_digit(*p); i++, p++)
        *mantissa = *mantissa * 10 + static_cast<uint64_t>(*p - '0');
    return p;
}

} // namespace

/* Nearly all values of a page are integers or have a few decimals: at most 15 digits in all, so
 * that the mantissa is below 2^53 and the power of ten is exact. What is longer may have overflowed
 * the mantissa: it is parsed again, slowly. */
const char *
decimal_scan(const char *p, const char *end, double *v)
{
    uint64_t mantissa = 0;
    unsigned decimals = 0;
    const char *digits = p + (p < end && *p == '-');
    const char *q = take_run(digits, end, &mantissa);

    if (q == digits)
        return scan_slowly(p, end, v);
    if (q < end && *q == '.') {
        /* Few, and mostly as many as on the line before: here the plain loop is the faster one. */
        const char *point = q++;
        const char *limit = end - q > 16 ? q + 16 : end;
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

char *
put_pair(char *p, uint64_t v)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";

    memcpy(p, pairs + 2 * v, 2);
    return p + 2;
}

/* Exactly `nr` digits; unrolled, with constant divisors. */
template <unsigned nr>
inline char *
put_digits(char *p, uint64_t v)
{
    if constexpr (nr % 2 != 0) {
        p = put_digits<nr - 1>(p, v / 10);
        *p++ = static_cast<char>('0' + v % 10);
    } else if constexpr (nr != 0) {
        p = put_digits<nr - 2>(p, v / 100);
        p = put_pair(p, v % 100);
    }
    return p;
}

/* v as n / 10^decimals, zeros at the end left out, when that is a number of at most 15 digits and
 * reads back as v; else NULL. */
template <unsigned decimals, uint64_t scale>
inline char *
put_scaled(char *p, double v)
{
    double scaled = v * static_cast<double>(scale) + 0.5;

    if (!(scaled < static_cast<double>(FAST_MAX)))
        return nullptr;
    uint64_t n = static_cast<uint64_t>(scaled);
    if (static_cast<double>(n) / static_cast<double>(scale) != v)
        return nullptr;
    p = put_uint(p, n / scale);
    if (n % scale == 0)
        return p;
    *p++ = '.';
    p = put_digits<decimals>(p, n % scale);
    while (p[-1] == '0')
        p--;
    return p;
}

/* Milliseconds, microseconds and nanoseconds are what most fractions are. */
char *
put_short(char *p, double v)
{
    char *end = put_scaled<3, 1000>(p, v);

    if (end == nullptr)
        end = put_scaled<6, 1000000>(p, v);
    return end != nullptr ? end : put_scaled<9, 1000000000>(p, v);
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
    char *end = put_short(p, v);
    if (end != nullptr)
        return static_cast<size_t>(end - out);
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
