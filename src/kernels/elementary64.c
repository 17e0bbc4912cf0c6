#include "kernels/elementary64.h"

#include <stdint.h>
#include <string.h>

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// x = n ln2 + r; e^r by Taylor to r^13 (error below 2^-52 for |r| <= 0.35); then times 2^n in two exact steps.
double sc_exp64(double x)
{
    if (x != x) return x;
    if (x < -708.0) return 0.0;
    if (x > 709.0) return of_bits(UINT64_C(0x7ff) << 52);
    int n = (int)(x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5));
    double r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
    double term = 1.0, sum = 1.0;
    for (int i = 1; i <= 13; i++) {
        term = term * r / i;
        sum = sum + term;
    }
    int half = n / 2;
    return sum * of_bits((uint64_t)(half + 1023) << 52) * of_bits((uint64_t)(n - half + 1023) << 52);
}

// x = m 2^n with m in [1/sqrt2, sqrt2); ln m = 2 atanh(s), s = (m - 1) / (m + 1), |s| < 0.172, by its series to s^25.
double sc_log64(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int n = (int)(bits >> 52) - 1023;
    if (!(x > 0.0) || n == -1023 || n == 1024) return of_bits(UINT64_C(0x7ff8) << 48);
    double m = of_bits((bits & (UINT64_MAX >> 12)) | UINT64_C(1023) << 52);
    if (m > 1.4142135623730951) {
        m = m / 2;
        n++;
    }
    double s = (m - 1) / (m + 1), z = s * s, sum = 0.0;
    for (int i = 25; i >= 1; i -= 2) sum = sum * z + 1.0 / i;
    return n * 0x1.62e42fee00000p-1 + (2 * s * sum + n * 0x1.a39ef35793c76p-33);
}

double sc_pow64(double x, double y) { return sc_exp64(y * sc_log64(x)); }
