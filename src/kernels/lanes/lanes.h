// The kernels written over a vocabulary of sixteen lanes. The same source is compiled for each instruction set that
// supplies the vocabulary (README.md here); SC_LEVEL names it, so every function's symbol ends in the level's name.
#ifndef SC_KERNELS_LANES_LANES_H
#define SC_KERNELS_LANES_LANES_H

#include "kernels/kernels.h"
#include "kernels/ref/ref.h"

#define SC_LANES_JOIN2(name, level) sc_lanes_##name##_##level
#define SC_LANES_JOIN(name, level) SC_LANES_JOIN2(name, level)
#define SC_LANES_NAME(name) SC_LANES_JOIN(name, SC_LEVEL)

void SC_LANES_NAME(matmul_float)(const struct sc_matmul *args);
void SC_LANES_NAME(matmul_quantized)(const struct sc_matmul *args);
void SC_LANES_NAME(gemm)(const struct sc_gemm *args);
void SC_LANES_NAME(attend)(const struct sc_attend *args);
int64_t SC_LANES_NAME(peak_int8)(size_t n);
float SC_LANES_NAME(peak_f32)(size_t n);

#endif
