// How fast this level multiplies and adds when nothing else is in the way: the measuring stick of `socle bench` and
// `socle doctor`. It computes nothing that a model needs, so it is no part of the arithmetic contract.
//
// Eight sums stay in registers and take one product after another; the first factor comes from the first-level cache.
// That is the innermost step of a matrix product without its decoding, its scales and its cache misses. Honest means:
// the compiler must believe that the factors change at each step, so that no step can be left out or merged with
// another, and the instructions are those that this level is compiled for, not the best that the CPU may have.
//
//     int8: factors widened to int16, products of pairs added in int32, which is exact    f32: fused multiply-add
#include "kernels/ref/ref.h"

enum { SUMS = 8 };

// The compiler takes all memory as changed here, `pointer`'s too.
#define FORGET(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

#if defined(__SSE2__)
#include <emmintrin.h>
enum { INTEGERS = 8, FLOATS = 1 };
typedef __m128i integers;
typedef float floats; // without the instruction, fmaf is a call of the C library
static inline integers add_product(integers sum, integers a, integers b)
{
    return _mm_add_epi32(sum, _mm_madd_epi16(a, b));
}
static inline floats fuse(floats a, floats b, floats sum) { return __builtin_fmaf(a, b, sum); }

#elif defined(__ARM_NEON)
#include <arm_neon.h>
enum { INTEGERS = 4, FLOATS = 4 };
typedef int32x4_t integers;
typedef float32x4_t floats;
static inline integers add_product(integers sum, integers a, integers b)
{
    return vmlal_s16(sum, vget_low_s16(vreinterpretq_s16_s32(a)), vget_low_s16(vreinterpretq_s16_s32(b)));
}
static inline floats fuse(floats a, floats b, floats sum) { return vfmaq_f32(sum, a, b); }

#else
enum { INTEGERS = 1, FLOATS = 1 };
typedef int32_t integers;
typedef float floats;
static inline integers add_product(integers sum, integers a, integers b)
{
    return (integers)((uint32_t)sum + (uint32_t)((int16_t)a * (int16_t)b));
}
static inline floats fuse(floats a, floats b, floats sum) { return __builtin_fmaf(a, b, sum); }
#endif

int64_t SC_REF(peak_int8)(size_t n)
{
    integers w[SUMS], x;
    __builtin_memset(w, 0, sizeof w);
    __builtin_memset(&x, 0, sizeof x);
    FORGET(&x);
    integers factor = x;
    // Named one by one: compilers keep names in registers, and an array perhaps not.
    integers s0 = factor, s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
    for (size_t step = 0, n_steps = n * (SC_PEAK_MACS / (SUMS * INTEGERS)); step < n_steps; step++) {
        FORGET(w);
        s0 = add_product(s0, w[0], factor);
        s1 = add_product(s1, w[1], factor);
        s2 = add_product(s2, w[2], factor);
        s3 = add_product(s3, w[3], factor);
        s4 = add_product(s4, w[4], factor);
        s5 = add_product(s5, w[5], factor);
        s6 = add_product(s6, w[6], factor);
        s7 = add_product(s7, w[7], factor);
    }
    integers sums[SUMS] = { s0, s1, s2, s3, s4, s5, s6, s7 };
    FORGET(sums);
    int32_t first;
    __builtin_memcpy(&first, sums, sizeof first);
    return first;
}

float SC_REF(peak_f32)(size_t n)
{
    floats w[SUMS], x;
    __builtin_memset(w, 0, sizeof w);
    __builtin_memset(&x, 0, sizeof x);
    FORGET(&x);
    floats factor = x;
    // Named one by one: compilers keep names in registers, and an array perhaps not.
    floats s0 = factor, s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
    for (size_t step = 0, n_steps = n * (SC_PEAK_MACS / (SUMS * FLOATS)); step < n_steps; step++) {
        FORGET(w);
        s0 = fuse(w[0], factor, s0);
        s1 = fuse(w[1], factor, s1);
        s2 = fuse(w[2], factor, s2);
        s3 = fuse(w[3], factor, s3);
        s4 = fuse(w[4], factor, s4);
        s5 = fuse(w[5], factor, s5);
        s6 = fuse(w[6], factor, s6);
        s7 = fuse(w[7], factor, s7);
    }
    floats sums[SUMS] = { s0, s1, s2, s3, s4, s5, s6, s7 };
    FORGET(sums);
    float first;
    __builtin_memcpy(&first, sums, sizeof first);
    return first;
}
