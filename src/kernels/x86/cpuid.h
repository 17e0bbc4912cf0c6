// What a CPU supports, for the levels' cpu.h. __builtin_cpu_supports asks the operating system as well, but the names
// of two features are unknown to older compilers (Clang 14), which CPUID is asked for directly: their registers are
// AVX's, so the operating system keeps them if it keeps AVX2's.
#ifndef SC_KERNELS_X86_CPUID_H
#define SC_KERNELS_X86_CPUID_H

#include <cpuid.h>
#include <stdbool.h>

static inline bool cpuid_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & (1u << 29));
}

static inline bool cpuid_avxvnni(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 4));
}

// AVX2, FMA, F16C, BMI 1 and 2: what every level above the baseline has.
static inline bool cpuid_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && cpuid_f16c();
}

// The same and AVX-512 F, BW, DQ, VL.
static inline bool cpuid_avx512(void)
{
    return cpuid_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

#endif
