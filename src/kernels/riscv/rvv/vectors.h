// Sixteen lanes in RISC-V vectors of any length: 32-bit lanes take four registers of 128 bits (LMUL 4), 16-bit lanes
// two, bytes one, and every instruction is told the length 16. Longer registers are used in part.
//
// Such types have no size that the compiler knows: they cannot lie in arrays or structs, so kernels name each one.
#ifndef SC_KERNELS_RISCV_RVV_VECTORS_H
#define SC_KERNELS_RISCV_RVV_VECTORS_H

#include <riscv_vector.h>
#include <stdint.h>

#include "kernels/kernels.h"

#define VECTOR_INLINE static inline __attribute__((always_inline))

VECTOR_INLINE vfloat32m4_t load_f32(const void *x) { return __riscv_vle32_v_f32m4(x, SC_LANES); }
VECTOR_INLINE void store_f32(float *y, vfloat32m4_t x) { __riscv_vse32_v_f32m4(y, x, SC_LANES); }
VECTOR_INLINE vfloat32m4_t set_f32(float x) { return __riscv_vfmv_v_f_f32m4(x, SC_LANES); }
VECTOR_INLINE vfloat32m4_t add_f32(vfloat32m4_t x, vfloat32m4_t y) { return __riscv_vfadd_vv_f32m4(x, y, SC_LANES); }
// fma(x, y, sum), rounded once
VECTOR_INLINE vfloat32m4_t fma_f32(float x, vfloat32m4_t y, vfloat32m4_t sum)
{
    return __riscv_vfmacc_vf_f32m4(sum, x, y, SC_LANES);
}
VECTOR_INLINE vfloat32m4_t f32_of_i32(vint32m4_t x) { return __riscv_vfcvt_f_x_v_f32m4(x, SC_LANES); }

// n <= 16 of f16 as tensor/half.h has it: the magnitude moved under the wider exponent, times 2^112, which is exact for
// normal and subnormal numbers (the processor has no mode that flushes them); infinities and NaNs get the greatest
// exponent.
VECTOR_INLINE vfloat32m4_t f32_of_f16(vint16m2_t x, size_t n)
{
    vuint16m2_t magnitude = __riscv_vsll_vx_u16m2(__riscv_vreinterpret_v_i16m2_u16m2(x), 1, n);
    vbool8_t special = __riscv_vmsgtu_vx_u16m2_b8(magnitude, 0xf7ff, n);
    vint32m4_t bits = __riscv_vsll_vx_i32m4(__riscv_vsext_vf2_i32m4(x, n), 13, n);
    bits = __riscv_vand_vx_i32m4(bits, (int32_t)0x8fffffff, n); // the sign is in bits 28 to 31
    vfloat32m4_t y = __riscv_vfmul_vf_f32m4(__riscv_vreinterpret_v_i32m4_f32m4(bits), 0x1p112f, n);
    bits = __riscv_vreinterpret_v_f32m4_i32m4(y);
    bits = __riscv_vor_vx_i32m4_mu(special, bits, bits, 0x7f800000, n);
    return __riscv_vreinterpret_v_i32m4_f32m4(bits);
}
VECTOR_INLINE vfloat32m4_t load_f16(const void *x) { return f32_of_f16(__riscv_vle16_v_i16m2(x, SC_LANES), SC_LANES); }
VECTOR_INLINE vfloat32m4_t load_bf16(const void *x)
{
    vuint32m4_t wide = __riscv_vzext_vf2_u32m4(__riscv_vle16_v_u16m2(x, SC_LANES), SC_LANES);
    return __riscv_vreinterpret_v_u32m4_f32m4(__riscv_vsll_vx_u32m4(wide, 16, SC_LANES));
}
// n <= 16 signed bytes as floats.
VECTOR_INLINE vfloat32m4_t load_s8(const void *x, size_t n)
{
    return __riscv_vfwcvt_f_x_v_f32m4(__riscv_vsext_vf2_i16m2(__riscv_vle8_v_i8m1(x, n), n), n);
}

VECTOR_INLINE vint16m2_t load_i16(const int16_t *x) { return __riscv_vle16_v_i16m2(x, SC_LANES); }
VECTOR_INLINE vint8m1_t load_i8(const int8_t *x) { return __riscv_vle8_v_i8m1(x, SC_LANES); }
VECTOR_INLINE vint32m4_t zero_i32(void) { return __riscv_vmv_v_x_i32m4(0, SC_LANES); }

// Takes segment s into the tree of sums at nodes[levels][16]: as many pairs merge as s + 1 has trailing zero bits.
static inline void push_segment(float *nodes, size_t s, vfloat32m4_t sum)
{
    float *node = nodes + (size_t)__builtin_popcountll(s) * SC_LANES;
    for (size_t merges = (size_t)__builtin_ctzll(s + 1); merges > 0; merges--) {
        node -= SC_LANES;
        sum = add_f32(load_f32(node), sum);
    }
    store_f32(node, sum);
}

// The tree's total.
static inline vfloat32m4_t finish_tree(const float *nodes, size_t n_segments)
{
    size_t depth = (size_t)__builtin_popcountll(n_segments);
    vfloat32m4_t sum = load_f32(nodes + (depth - 1) * SC_LANES);
    for (size_t i = depth - 1; i > 0; i--) sum = add_f32(load_f32(nodes + (i - 1) * SC_LANES), sum);
    return sum;
}

#endif
