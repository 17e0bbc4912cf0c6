// How fast this level multiplies and adds when nothing else is in the way; lanes/peak.c tells what that means. The
// steps are the innermost ones of the products of 8-bit weights, and of f32 weights.
#include "kernels/lanes/lanes.h"

#include "kernels/riscv/rvv/vectors.h"

enum { INT8_STEP = 4 * 2 * SC_LANES, F32_STEP = 6 * SC_LANES };

// The compiler takes all memory as changed here, `pointer`'s too.
#define FORGET(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

VECTOR_INLINE vint32m4_t add_pair(vint32m4_t sum, vint8m1_t v, vint8m1_t w, const int8_t *x)
{
    vint16m2_t products = __riscv_vwmacc_vx_i16m2(__riscv_vwmul_vx_i16m2(v, x[0], SC_LANES), x[1], w, SC_LANES);
    return __riscv_vwadd_wv_i32m4(sum, products, SC_LANES);
}

int64_t SC_LANES_NAME(peak_int8)(size_t n)
{
    _Alignas(64) int8_t w[2 * SC_LANES] = { 3, -5, 7 }, x[8] = { 1, 2, -3 };
    vint32m4_t a = zero_i32(), b = a, c = a, d = a;
    for (size_t step = 0; step < n * (SC_PEAK_MACS / INT8_STEP); step++) {
        FORGET(w);
        FORGET(x);
        vint8m1_t w0 = load_i8(w), w1 = load_i8(w + SC_LANES);
        a = add_pair(a, w0, w1, x);
        b = add_pair(b, w0, w1, x + 2);
        c = add_pair(c, w0, w1, x + 4);
        d = add_pair(d, w0, w1, x + 6);
    }
    a = __riscv_vadd_vv_i32m4(__riscv_vadd_vv_i32m4(a, b, SC_LANES), __riscv_vadd_vv_i32m4(c, d, SC_LANES), SC_LANES);
    int32_t out[SC_LANES];
    __riscv_vse32_v_i32m4(out, a, SC_LANES);
    return out[0];
}

float SC_LANES_NAME(peak_f32)(size_t n)
{
    _Alignas(64) float w[SC_LANES] = { 0.5f }, x[6] = { 0.25f };
    vfloat32m4_t a = set_f32(0.0f), b = a, c = a, d = a, e = a, f = a;
    for (size_t step = 0; step < n * (SC_PEAK_MACS / F32_STEP); step++) {
        FORGET(w);
        FORGET(x);
        vfloat32m4_t weights = load_f32(w);
        a = fma_f32(x[0], weights, a);
        b = fma_f32(x[1], weights, b);
        c = fma_f32(x[2], weights, c);
        d = fma_f32(x[3], weights, d);
        e = fma_f32(x[4], weights, e);
        f = fma_f32(x[5], weights, f);
    }
    float out[SC_LANES];
    store_f32(out, add_f32(add_f32(add_f32(a, b), add_f32(c, d)), add_f32(e, f)));
    return out[0];
}
