// The table of one level: every entry the reference kernel, compiled for that level.
#include "kernels/ref/ref.h"

#define LEVEL_NAME2(level) #level
#define LEVEL_NAME(level) LEVEL_NAME2(level)

// What the compiler was told to use, asked of the CPU and the operating system at start.
static bool supported(void)
{
#if defined(__AVX512BW__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("fma");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

#if defined(__AVX512BW__)
#define DESCRIPTION "x86-64-v4: AVX-512 F, BW, DQ, VL"
#elif defined(__AVX2__)
#define DESCRIPTION "x86-64-v3: AVX2 and FMA"
#else
#define DESCRIPTION "plain C for the baseline of this architecture"
#endif

extern const struct sc_kernels SC_REF(kernels);
const struct sc_kernels SC_REF(kernels) = {
    .name = LEVEL_NAME(SC_LEVEL),
    .description = DESCRIPTION,
    .supported = supported,
    .matmul_float = SC_REF(matmul_float),
    .matmul_quantized = SC_REF(matmul_quantized),
    .finish = SC_REF(finish),
    .quantize = SC_REF(quantize),
    .norm = SC_REF(norm),
    .rope_angles = SC_REF(rope_angles),
    .rope = SC_REF(rope),
    .store = SC_REF(store),
    .attend = SC_REF(attend),
    .attend_join = SC_REF(attend_join),
    .attend_finish = SC_REF(attend_finish),
    .glu = SC_REF(glu),
    .add = SC_REF(add),
    .scale = SC_REF(scale),
    .softcap = SC_REF(softcap),
    .route = SC_REF(route),
    .expert_sum = SC_REF(expert_sum),
    .peak_int8 = SC_REF(peak_int8),
    .peak_f32 = SC_REF(peak_f32),
};
