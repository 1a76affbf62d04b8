/* The inverse tangent by the rational approximation of Cephes (Moshier), as Go has it: reduced to
 * [0, 0.66], then x + x^3 P(x^2) / Q(x^2). */
#include "promql/go_math.h"

static double
reduced(double x)
{
    static const double p[] = { -8.750608600031904122785e-01, -1.615753718733365076637e+01,
                                -7.500855792314704667340e+01, -1.228866684490136173410e+02,
                                -6.485021904942025371773e+01 };
    static const double q[] = { 2.485846490142306297962e+01, 1.650270098316988542046e+02,
                                4.328810604912902668951e+02, 4.853903996359136964868e+02,
                                1.945506571482613964425e+02 };
    double z = x * x, num = p[0], den = z + q[0];

    for (int i = 1; i < 5; i++) {
        num = num * z + p[i];
        den = den * z + q[i];
    }
    return x * (z * num / den) + x;
}

static double
positive(double x)
{
    const double more_bits = 6.123233995736765886130e-17, tan_3pi_8 = 2.41421356237309504880;

    if (x <= 0.66)
        return reduced(x);
    if (x > tan_3pi_8)
        return M_PI / 2 - reduced(1 / x) + more_bits;
    return M_PI / 4 + reduced((x - 1) / (x + 1)) + 0.5 * more_bits;
}

double
go_atan(double x)
{
    if (x == 0)
        return x;
    return x > 0 ? positive(x) : -positive(-x);
}

double
go_atan2(double y, double x)
{
    if (isnan(x) || isnan(y) || x == 0 || y == 0 || isinf(x) || isinf(y))
        return atan2(y, x); /* multiples of pi/4, the same in both */
    double q = go_atan(y / x);
    if (x >= 0)
        return q;
    return q <= 0 ? q + M_PI : q - M_PI;
}
