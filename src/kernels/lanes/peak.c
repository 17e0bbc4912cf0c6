// How fast this level multiplies and adds when nothing else is in the way: the measuring stick of `socle bench` and
// `socle doctor`. It computes nothing that a model needs, so it is no part of the arithmetic contract.
//
// Twelve sums stay in registers and take one product after another; all factors are in registers or the first-level
// cache. That is the innermost step of a matrix product without its unpacking, its scales and its cache misses. The
// compiler must believe that the factors change at each step, so that no step can be left out or merged with another.
#include "kernels/lanes/lanes.h"

#include "dot.h"

enum { SUMS = LANES_COLUMNS, INT8_STEP = SUMS * SC_LANES * 4, F32_STEP = SUMS * SC_LANES };

// The compiler takes all memory as changed here, `pointer`'s too.
#define FORGET(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

int64_t SC_LANES_NAME(peak_int8)(size_t n)
{
    _Alignas(64) int8_t w[64] = { 3, -5, 7 }, x[64] = { 1, 2, -3 };
    lanes_i32 sums[SUMS];
#pragma GCC unroll 12
    for (size_t i = 0; i < SUMS; i++) sums[i] = lanes_set_i((int32_t)i); // unlike, or compilers make one of all
    for (size_t step = 0; step < n * (SC_PEAK_MACS / INT8_STEP); step++) {
        FORGET(w);
        FORGET(x);
        lanes_bytes weights = lanes_load_bytes(w);
#pragma GCC unroll 12
        for (size_t i = 0; i < SUMS; i++) sums[i] = lanes_dot4(sums[i], weights, x);
    }
    int32_t out[SC_LANES];
#pragma GCC unroll 12
    for (size_t i = 1; i < SUMS; i++) sums[0] = lanes_add_i(sums[0], sums[i]);
    lanes_store_i(out, sums[0]);
    return out[0];
}

float SC_LANES_NAME(peak_f32)(size_t n)
{
    _Alignas(64) float w[SC_LANES] = { 0.5f }, x[1] = { 0.25f };
    lanes_f32 sums[SUMS];
#pragma GCC unroll 12
    for (size_t i = 0; i < SUMS; i++) sums[i] = lanes_set((float)i); // unlike, or compilers make one of all
    for (size_t step = 0; step < n * (SC_PEAK_MACS / F32_STEP); step++) {
        FORGET(w);
        FORGET(x);
        lanes_f32 weights = lanes_load(w), factor = lanes_set(x[0]);
#pragma GCC unroll 12
        for (size_t i = 0; i < SUMS; i++) sums[i] = lanes_fma(weights, factor, sums[i]);
    }
    float out[SC_LANES];
#pragma GCC unroll 12
    for (size_t i = 1; i < SUMS; i++) sums[0] = lanes_add(sums[0], sums[i]);
    lanes_store(out, sums[0]);
    return out[0];
}
