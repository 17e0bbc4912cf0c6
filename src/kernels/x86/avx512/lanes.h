// Sixteen lanes in one AVX-512 register. The words of this vocabulary are told in kernels/lanes/README.md.
#ifndef SC_KERNELS_X86_AVX512_LANES_H
#define SC_KERNELS_X86_AVX512_LANES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m512 lanes_f32;   // 16 f32
typedef __m512i lanes_i32;  // 16 int32
typedef __m512i lanes_bytes; // 64 bytes, four for each lane

enum {
    LANES_COLUMNS = 12,
    LANES_COLUMNS_FLOAT = 8,
    LANES_GEMM_GROUPS = 2,
    LANES_GEMM_COLUMNS = 12,
    LANES_QUERIES = 8,
    LANES_ROW_QUERIES = 4,
    LANES_WIDTH = 64
};

// ---- f32
static inline lanes_f32 lanes_zero(void) { return _mm512_setzero_ps(); }
static inline lanes_f32 lanes_set(float x) { return _mm512_set1_ps(x); }
static inline lanes_f32 lanes_load(const float *x) { return _mm512_loadu_ps(x); }
static inline void lanes_store(float *y, lanes_f32 x) { _mm512_storeu_ps(y, x); }
static inline lanes_f32 lanes_add(lanes_f32 a, lanes_f32 b) { return _mm512_add_ps(a, b); }
static inline lanes_f32 lanes_mul(lanes_f32 a, lanes_f32 b) { return _mm512_mul_ps(a, b); }
// a > b ? a : b in each lane
static inline lanes_f32 lanes_max(lanes_f32 a, lanes_f32 b) { return _mm512_max_ps(a, b); }
static inline lanes_f32 lanes_fma(lanes_f32 a, lanes_f32 b, lanes_f32 c) { return _mm512_fmadd_ps(a, b, c); }
static inline lanes_f32 lanes_of_i32(lanes_i32 x) { return _mm512_cvtepi32_ps(x); }
static inline lanes_f32 lanes_load_f16(const void *x) { return _mm512_cvtph_ps(_mm256_loadu_si256(x)); }
static inline lanes_f32 lanes_load_bf16(const void *x)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(x)), 16));
}

// ---- int32
static inline lanes_i32 lanes_set_i(int32_t x) { return _mm512_set1_epi32(x); }
static inline lanes_i32 lanes_load_i(const int32_t *x) { return _mm512_loadu_si512(x); }
static inline void lanes_store_i(int32_t *y, lanes_i32 x) { _mm512_storeu_si512(y, x); }
static inline lanes_i32 lanes_add_i(lanes_i32 a, lanes_i32 b) { return _mm512_add_epi32(a, b); }
static inline lanes_i32 lanes_mul_i(lanes_i32 a, lanes_i32 b) { return _mm512_mullo_epi32(a, b); }
static inline lanes_i32 lanes_and_i(lanes_i32 a, lanes_i32 b) { return _mm512_and_si512(a, b); }
static inline lanes_i32 lanes_or_i(lanes_i32 a, lanes_i32 b) { return _mm512_or_si512(a, b); }
static inline lanes_i32 lanes_shl_i(lanes_i32 a, int n) { return _mm512_sll_epi32(a, _mm_cvtsi32_si128(n)); }
static inline lanes_i32 lanes_shr_i(lanes_i32 a, int n) { return _mm512_srl_epi32(a, _mm_cvtsi32_si128(n)); }
static inline lanes_i32 lanes_load_u8(const void *x) { return _mm512_cvtepu8_epi32(_mm_loadu_si128(x)); }
static inline lanes_i32 lanes_load_s8(const void *x) { return _mm512_cvtepi8_epi32(_mm_loadu_si128(x)); }

// ---- bytes
static inline lanes_bytes lanes_load_bytes(const void *x) { return _mm512_loadu_si512(x); }
static inline void lanes_store_bytes(void *y, lanes_bytes x) { _mm512_storeu_si512(y, x); }
static inline lanes_bytes lanes_and_bytes(lanes_bytes a, uint8_t b)
{
    return _mm512_and_si512(a, _mm512_set1_epi8((char)b));
}
static inline lanes_bytes lanes_or_bytes(lanes_bytes a, lanes_bytes b) { return _mm512_or_si512(a, b); }
static inline lanes_bytes lanes_add_bytes(lanes_bytes a, uint8_t b)
{
    return _mm512_add_epi8(a, _mm512_set1_epi8((char)b));
}
// Shifts may carry bits into the neighbouring byte: mask afterwards.
static inline lanes_bytes lanes_shl_bytes(lanes_bytes a, int n) { return _mm512_sll_epi16(a, _mm_cvtsi32_si128(n)); }
static inline lanes_bytes lanes_shr_bytes(lanes_bytes a, int n) { return _mm512_srl_epi16(a, _mm_cvtsi32_si128(n)); }
static inline lanes_bytes lanes_look_up(const int8_t table[16], lanes_bytes place)
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const void *)table)), place);
}

// Four bytes from any address; a load that compilers fold into the instruction that broadcasts it.
typedef int32_t __attribute__((may_alias, aligned(1))) lanes_any_int32;
static inline int32_t lanes_int32_at(const void *x) { return *(const lanes_any_int32 *)x; }

#endif
