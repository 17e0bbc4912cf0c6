// Exact products by AVX-512 VNNI. vpdpbusd takes unsigned weights and signed activations.
#ifndef SC_KERNELS_DOT_H
#define SC_KERNELS_DOT_H

#include "kernels/x86/avx512/lanes.h"

#define LANES_SIGNED_WEIGHTS 0

// acc + the sum of each lane's four weights times the four activations at x.
static inline lanes_i32 lanes_dot4(lanes_i32 acc, lanes_bytes w, const int8_t *x)
{
    return _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(lanes_int32_at(x)));
}

// acc + the sum of each lane's two int16 times the two int16 at x.
static inline lanes_i32 lanes_dot2(lanes_i32 acc, lanes_i32 w, const int16_t *x)
{
    return _mm512_dpwssd_epi32(acc, w, _mm512_set1_epi32(lanes_int32_at(x)));
}

#endif
