// Exact products by AVX2: bytes times bytes to int16 and int16 pairs to int32, neither of which may saturate.
// vpmaddubsw wants one side unsigned: it gets the weights' magnitudes, and the activations take their signs.
// 2 * 128 * 127 < 2^15.
#ifndef SC_KERNELS_DOT_H
#define SC_KERNELS_DOT_H

#include "kernels/x86/avx2/lanes.h"

#define LANES_SIGNED_WEIGHTS 1

static inline __m256i lanes_dot4_half(__m256i acc, __m256i w, __m256i x)
{
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline lanes_i32 lanes_dot4(lanes_i32 acc, lanes_bytes w, const int8_t *x)
{
    __m256i xs = _mm256_set1_epi32(lanes_int32_at(x));
    return (lanes_i32){ lanes_dot4_half(acc.a, w.a, xs), lanes_dot4_half(acc.b, w.b, xs) };
}

static inline lanes_i32 lanes_dot2(lanes_i32 acc, lanes_i32 w, const int16_t *x)
{
    __m256i xs = _mm256_set1_epi32(lanes_int32_at(x));
    return (lanes_i32){ _mm256_add_epi32(acc.a, _mm256_madd_epi16(w.a, xs)),
                        _mm256_add_epi32(acc.b, _mm256_madd_epi16(w.b, xs)) };
}

// acc + s * scale, where both fit into int16: the upper halves of s, all equal bits, meet zeros.
static inline lanes_i32 lanes_mac(lanes_i32 acc, lanes_i32 s, lanes_i32 scale)
{
    lanes_i32 low = lanes_and_i(scale, lanes_set_i(0xffff));
    return (lanes_i32){ _mm256_add_epi32(acc.a, _mm256_madd_epi16(s.a, low.a)),
                        _mm256_add_epi32(acc.b, _mm256_madd_epi16(s.b, low.b)) };
}

#endif
