// Elementary functions from exact steps: no libm, so that every machine gives the same bits (docs/numerics.md).
//
// Only +, -, *, /, fma, conversions and bit patterns of binary32 are used. Loops over these vectorize.
#ifndef SC_KERNELS_REF_ELEMENTARY_H
#define SC_KERNELS_REF_ELEMENTARY_H

#include "tensor/half.h"

// e^x. x = n ln2 + r with n the nearest whole number and |r| <= ln2 / 2; e^r by its Taylor series to r^7.
// Below -87 the answer is +0, above 88 infinity; not-a-number passes through. Error: below 2 units in the last place.
static inline float sc_exp(float x)
{
    const float shift = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number in the low bits
    float clamped = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
    float t = __builtin_fmaf(clamped, 0x1.715476p+0f, shift);
    float n = t - shift;
    float r = __builtin_fmaf(n, -0x1.62e400p-1f, clamped);
    r = __builtin_fmaf(n, -0x1.7f7d1cp-20f, r);
    float p = 0x1.a01a02p-13f;                 // 1/7!
    p = __builtin_fmaf(p, r, 0x1.6c16c2p-10f); // 1/6!
    p = __builtin_fmaf(p, r, 0x1.111112p-7f);  // 1/5!
    p = __builtin_fmaf(p, r, 0x1.555556p-5f);  // 1/4!
    p = __builtin_fmaf(p, r, 0x1.555556p-3f);  // 1/3!
    p = __builtin_fmaf(p, r, 0.5f);
    p = __builtin_fmaf(p, r, 1.0f);
    p = __builtin_fmaf(p, r, 1.0f);
    float y = p * sc_f32_of_bits((sc_bits_of_f32(t) - sc_bits_of_f32(shift) + 127u) << 23);
    y = x < -87.0f ? 0.0f : y;
    y = x > 88.0f ? sc_f32_of_bits(0x7f800000u) : y;
    return x == x ? y : x;
}

static inline float sc_sigmoid(float x) { return 1.0f / (1.0f + sc_exp(-x)); }

// tanh: Lambert's continued fraction to the seventh term below 1/2 (error < 2^-30), else 1 - 2 / (e^2x + 1).
static inline float sc_tanh(float x)
{
    float a = sc_f32_of_bits(sc_bits_of_f32(x) & 0x7fffffffu), z = x * x;
    float p = __builtin_fmaf(__builtin_fmaf(z + 378.0f, z, 17325.0f), z, 135135.0f);
    float q = __builtin_fmaf(__builtin_fmaf(__builtin_fmaf(28.0f, z, 3150.0f), z, 62370.0f), z, 135135.0f);
    float small = x * (p / q);
    float large = 1.0f - 2.0f / (sc_exp(2.0f * a) + 1.0f);
    large = x < 0.0f ? -large : large;
    return a < 0.5f ? small : large;
}

// cos and sin of 2 pi * phase / 2^64. The phase is cut to the nearest quarter turn by integers, exactly; the rest,
// at most an eighth of a turn, is rounded to f32 and goes through the Taylor series.
static inline void sc_cos_sin(uint64_t phase, float *cos_out, float *sin_out)
{
    uint64_t quarter = (phase + (UINT64_C(1) << 61)) >> 62;
    int64_t rest = (int64_t)(phase - (quarter << 62));
    float x = (float)rest * 0x1.921fb6p-62f; // 2 pi / 2^64
    float z = x * x;
    float s = __builtin_fmaf(0x1.71de3ap-19f, z, -0x1.a01a02p-13f); // 1/9!, -1/7!
    s = __builtin_fmaf(s, z, 0x1.111112p-7f);
    s = __builtin_fmaf(s, z, -0x1.555556p-3f);
    s = __builtin_fmaf(s * z, x, x);
    float c = __builtin_fmaf(-0x1.27e4fcp-22f, z, 0x1.a01a02p-16f); // -1/10!, 1/8!
    c = __builtin_fmaf(c, z, -0x1.6c16c2p-10f);
    c = __builtin_fmaf(c, z, 0x1.555556p-5f);
    c = __builtin_fmaf(c, z, -0.5f);
    c = __builtin_fmaf(c, z, 1.0f);
    const float cosines[4] = { c, -s, -c, s }, sines[4] = { s, c, -s, -c };
    *cos_out = cosines[quarter & 3];
    *sin_out = sines[quarter & 3];
}

#endif
