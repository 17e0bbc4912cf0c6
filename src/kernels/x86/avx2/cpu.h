// x86-64 with AVX2 and FMA: Haswell (2013), Zen (2017) and later.
#ifndef SC_KERNELS_CPU_H
#define SC_KERNELS_CPU_H

#include <stdbool.h>

#define LEVEL_DESCRIPTION "AVX2, FMA, F16C"

// Asked of the CPU and the operating system.
static bool supported(void)
{
    return __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c") &&
           __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}

#endif
