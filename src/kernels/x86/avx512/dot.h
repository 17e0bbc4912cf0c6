// Exact products by AVX-512 BW without VNNI: bytes times bytes to int16 and int16 pairs to int32, neither of which may
// saturate. vpmaddubsw wants one side unsigned: it gets the weights' magnitudes, and the activations take their signs.
// 2 * 128 * 127 < 2^15.
#ifndef SC_KERNELS_DOT_H
#define SC_KERNELS_DOT_H

#include "kernels/x86/avx512/lanes.h"

#define LANES_SIGNED_WEIGHTS 1

static inline lanes_i32 lanes_dot4(lanes_i32 acc, lanes_bytes w, const int8_t *x)
{
    __m512i xs = _mm512_set1_epi32(lanes_int32_at(x));
    xs = _mm512_mask_sub_epi8(xs, _mm512_movepi8_mask(w), _mm512_setzero_si512(), xs);
    __m512i pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(w), xs);
    return _mm512_add_epi32(acc, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

static inline lanes_i32 lanes_dot2(lanes_i32 acc, lanes_i32 w, const int16_t *x)
{
    return _mm512_add_epi32(acc, _mm512_madd_epi16(w, _mm512_set1_epi32(lanes_int32_at(x))));
}

// acc + s * scale, where both fit into int16: the upper halves of s, all equal bits, meet zeros.
static inline lanes_i32 lanes_mac(lanes_i32 acc, lanes_i32 s, lanes_i32 scale)
{
    __m512i low = _mm512_and_si512(scale, _mm512_set1_epi32(0xffff));
    return _mm512_add_epi32(acc, _mm512_madd_epi16(s, low));
}

#endif
