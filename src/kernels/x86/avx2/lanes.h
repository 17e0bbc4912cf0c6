// Sixteen lanes in two AVX2 registers. The words of this vocabulary are told in kernels/lanes/README.md.
#ifndef SC_KERNELS_X86_AVX2_LANES_H
#define SC_KERNELS_X86_AVX2_LANES_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    __m256 a, b; // lanes 0 to 7, 8 to 15
} lanes_f32;
typedef struct {
    __m256i a, b;
} lanes_i32;
typedef lanes_i32 lanes_bytes; // 64 bytes, four for each lane

enum {
    LANES_COLUMNS = 4,
    LANES_COLUMNS_FLOAT = 4,
    LANES_GEMM_GROUPS = 1,
    LANES_GEMM_COLUMNS = 6,
    LANES_QUERIES = 4,
    LANES_ROW_QUERIES = 2,
    LANES_WIDTH = 32
};

// ---- f32
static inline lanes_f32 lanes_zero(void) { return (lanes_f32){ _mm256_setzero_ps(), _mm256_setzero_ps() }; }
static inline lanes_f32 lanes_set(float x) { return (lanes_f32){ _mm256_set1_ps(x), _mm256_set1_ps(x) }; }
static inline lanes_f32 lanes_load(const float *x) { return (lanes_f32){ _mm256_loadu_ps(x), _mm256_loadu_ps(x + 8) }; }
static inline void lanes_store(float *y, lanes_f32 x)
{
    _mm256_storeu_ps(y, x.a);
    _mm256_storeu_ps(y + 8, x.b);
}
static inline lanes_f32 lanes_add(lanes_f32 x, lanes_f32 y)
{
    return (lanes_f32){ _mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b) };
}
static inline lanes_f32 lanes_mul(lanes_f32 x, lanes_f32 y)
{
    return (lanes_f32){ _mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b) };
}
// x > y ? x : y in each lane
static inline lanes_f32 lanes_max(lanes_f32 x, lanes_f32 y)
{
    return (lanes_f32){ _mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b) };
}
static inline lanes_f32 lanes_fma(lanes_f32 x, lanes_f32 y, lanes_f32 z)
{
    return (lanes_f32){ _mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b) };
}
static inline lanes_f32 lanes_of_i32(lanes_i32 x)
{
    return (lanes_f32){ _mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b) };
}
static inline lanes_f32 lanes_load_f16(const void *x)
{
    const __m128i *at = x;
    return (lanes_f32){ _mm256_cvtph_ps(_mm_loadu_si128(at)), _mm256_cvtph_ps(_mm_loadu_si128(at + 1)) };
}
static inline lanes_f32 lanes_load_bf16(const void *x)
{
    const __m128i *at = x;
    __m256i a = _mm256_cvtepu16_epi32(_mm_loadu_si128(at)), b = _mm256_cvtepu16_epi32(_mm_loadu_si128(at + 1));
    return (lanes_f32){ _mm256_castsi256_ps(_mm256_slli_epi32(a, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(b, 16)) };
}

// ---- int32
static inline lanes_i32 lanes_set_i(int32_t x) { return (lanes_i32){ _mm256_set1_epi32(x), _mm256_set1_epi32(x) }; }
static inline lanes_i32 lanes_load_i(const int32_t *x)
{
    return (lanes_i32){ _mm256_loadu_si256((const void *)x), _mm256_loadu_si256((const void *)(x + 8)) };
}
static inline void lanes_store_i(int32_t *y, lanes_i32 x)
{
    _mm256_storeu_si256((void *)y, x.a);
    _mm256_storeu_si256((void *)(y + 8), x.b);
}
static inline lanes_i32 lanes_add_i(lanes_i32 x, lanes_i32 y)
{
    return (lanes_i32){ _mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b) };
}
static inline lanes_i32 lanes_mul_i(lanes_i32 x, lanes_i32 y)
{
    return (lanes_i32){ _mm256_mullo_epi32(x.a, y.a), _mm256_mullo_epi32(x.b, y.b) };
}
static inline lanes_i32 lanes_and_i(lanes_i32 x, lanes_i32 y)
{
    return (lanes_i32){ _mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b) };
}
static inline lanes_i32 lanes_or_i(lanes_i32 x, lanes_i32 y)
{
    return (lanes_i32){ _mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b) };
}
static inline lanes_i32 lanes_shl_i(lanes_i32 x, int n)
{
    __m128i count = _mm_cvtsi32_si128(n);
    return (lanes_i32){ _mm256_sll_epi32(x.a, count), _mm256_sll_epi32(x.b, count) };
}
static inline lanes_i32 lanes_shr_i(lanes_i32 x, int n)
{
    __m128i count = _mm_cvtsi32_si128(n);
    return (lanes_i32){ _mm256_srl_epi32(x.a, count), _mm256_srl_epi32(x.b, count) };
}
static inline lanes_i32 lanes_load_u8(const void *x)
{
    __m128i bytes = _mm_loadu_si128(x);
    return (lanes_i32){ _mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)) };
}
static inline lanes_i32 lanes_load_s8(const void *x)
{
    __m128i bytes = _mm_loadu_si128(x);
    return (lanes_i32){ _mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)) };
}

// ---- bytes
static inline lanes_bytes lanes_load_bytes(const void *x)
{
    const __m256i *at = x;
    return (lanes_bytes){ _mm256_loadu_si256(at), _mm256_loadu_si256(at + 1) };
}
static inline void lanes_store_bytes(void *y, lanes_bytes x)
{
    __m256i *at = y;
    _mm256_storeu_si256(at, x.a);
    _mm256_storeu_si256(at + 1, x.b);
}
static inline lanes_bytes lanes_and_bytes(lanes_bytes x, uint8_t y)
{
    __m256i mask = _mm256_set1_epi8((char)y);
    return (lanes_bytes){ _mm256_and_si256(x.a, mask), _mm256_and_si256(x.b, mask) };
}
static inline lanes_bytes lanes_or_bytes(lanes_bytes x, lanes_bytes y) { return lanes_or_i(x, y); }
static inline lanes_bytes lanes_add_bytes(lanes_bytes x, uint8_t y)
{
    __m256i more = _mm256_set1_epi8((char)y);
    return (lanes_bytes){ _mm256_add_epi8(x.a, more), _mm256_add_epi8(x.b, more) };
}
// Shifts may carry bits into the neighbouring byte: mask afterwards.
static inline lanes_bytes lanes_shl_bytes(lanes_bytes x, int n)
{
    __m128i count = _mm_cvtsi32_si128(n);
    return (lanes_bytes){ _mm256_sll_epi16(x.a, count), _mm256_sll_epi16(x.b, count) };
}
static inline lanes_bytes lanes_shr_bytes(lanes_bytes x, int n)
{
    __m128i count = _mm_cvtsi32_si128(n);
    return (lanes_bytes){ _mm256_srl_epi16(x.a, count), _mm256_srl_epi16(x.b, count) };
}
static inline lanes_bytes lanes_look_up(const int8_t table[16], lanes_bytes place)
{
    __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table));
    return (lanes_bytes){ _mm256_shuffle_epi8(both, place.a), _mm256_shuffle_epi8(both, place.b) };
}

// Four bytes from any address; a load that compilers fold into the instruction that broadcasts it.
typedef int32_t __attribute__((may_alias, aligned(1))) lanes_any_int32;
static inline int32_t lanes_int32_at(const void *x) { return *(const lanes_any_int32 *)x; }

#endif
