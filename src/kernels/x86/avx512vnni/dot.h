// Exact products by AVX-512 VNNI. vpdpbusd takes unsigned weights and signed activations.
#ifndef SC_KERNELS_DOT_H
#define SC_KERNELS_DOT_H

#include "kernels/x86/avx512/lanes.h"

#define LANES_SIGNED_WEIGHTS 0

// acc + the sum of each lane's four weights times the four activations at x. In assembly, because compilers broadcast
// x by an instruction of its own, and the processor's front end is what this loop must spare.
static inline lanes_i32 lanes_dot4(lanes_i32 acc, lanes_bytes w, const int8_t *x)
{
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const lanes_any_int32 *)x));
    return acc;
}

// acc + the sum of each lane's two int16 times the two int16 at x.
static inline lanes_i32 lanes_dot2(lanes_i32 acc, lanes_i32 w, const int16_t *x)
{
    __asm__("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const lanes_any_int32 *)(const void *)x));
    return acc;
}

// acc + s * scale, where both fit into int16: the upper halves of s, all equal bits, meet zeros. In assembly, because
// compilers copy the accumulator first.
static inline lanes_i32 lanes_mac(lanes_i32 acc, lanes_i32 s, lanes_i32 scale)
{
    lanes_i32 low = _mm512_and_si512(scale, _mm512_set1_epi32(0xffff));
    __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(s), "v"(low));
    return acc;
}

#endif
