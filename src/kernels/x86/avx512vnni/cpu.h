// x86-64 with AVX-512 VNNI: Cascade Lake (2019), Zen 4 (2022) and later.
#ifndef SC_KERNELS_CPU_H
#define SC_KERNELS_CPU_H

#include "kernels/x86/cpuid.h"

#define LEVEL_DESCRIPTION "AVX-512 F, BW, DQ, VL, VNNI"

// Asked of the CPU and the operating system.
static bool supported(void) { return cpuid_avx512() && __builtin_cpu_supports("avx512vnni"); }

#endif
