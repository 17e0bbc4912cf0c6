// x86-64 with AVX-VNNI: Alder Lake (2021) and later without AVX-512.
#ifndef SC_KERNELS_CPU_H
#define SC_KERNELS_CPU_H

#include "kernels/x86/cpuid.h"

#define LEVEL_DESCRIPTION "AVX2, FMA, F16C, AVX-VNNI"

// Asked of the CPU and the operating system.
static bool supported(void) { return cpuid_avx2() && cpuid_avxvnni(); }

#endif
