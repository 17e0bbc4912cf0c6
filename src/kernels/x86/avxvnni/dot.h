// Exact products by AVX-VNNI, the 256-bit form of VNNI on CPUs without AVX-512. vpdpbusd takes unsigned weights and
// signed activations.
#ifndef SC_KERNELS_DOT_H
#define SC_KERNELS_DOT_H

#include "kernels/x86/avx2/lanes.h"

#define LANES_SIGNED_WEIGHTS 0

// acc + the sum of each lane's four weights times the four activations at x.
static inline lanes_i32 lanes_dot4(lanes_i32 acc, lanes_bytes w, const int8_t *x)
{
    __m256i xs = _mm256_set1_epi32(lanes_int32_at(x));
    return (lanes_i32){ _mm256_dpbusd_avx_epi32(acc.a, w.a, xs), _mm256_dpbusd_avx_epi32(acc.b, w.b, xs) };
}

// acc + the sum of each lane's two int16 times the two int16 at x.
static inline lanes_i32 lanes_dot2(lanes_i32 acc, lanes_i32 w, const int16_t *x)
{
    __m256i xs = _mm256_set1_epi32(lanes_int32_at(x));
    return (lanes_i32){ _mm256_dpwssd_avx_epi32(acc.a, w.a, xs), _mm256_dpwssd_avx_epi32(acc.b, w.b, xs) };
}

// acc + s * scale, where both fit into int16: the upper halves of s, all equal bits, meet zeros.
static inline lanes_i32 lanes_mac(lanes_i32 acc, lanes_i32 s, lanes_i32 scale)
{
    lanes_i32 low = lanes_and_i(scale, lanes_set_i(0xffff));
    return (lanes_i32){ _mm256_dpwssd_avx_epi32(acc.a, s.a, low.a), _mm256_dpwssd_avx_epi32(acc.b, s.b, low.b) };
}

#endif
