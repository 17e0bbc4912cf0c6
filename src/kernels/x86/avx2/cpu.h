// x86-64 with AVX2 and FMA: Haswell (2013), Zen (2017) and later.
#ifndef SC_KERNELS_CPU_H
#define SC_KERNELS_CPU_H

#include "kernels/x86/cpuid.h"

#define LEVEL_DESCRIPTION "AVX2, FMA, F16C"

// Asked of the CPU and the operating system.
static bool supported(void) { return cpuid_avx2(); }

#endif
