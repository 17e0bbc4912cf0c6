// AArch64 with dot products: Cortex-A55 and A75 (2017), Neoverse N1, Apple M1 and later.
#ifndef SC_KERNELS_CPU_H
#define SC_KERNELS_CPU_H

#include <stdbool.h>
#include <sys/auxv.h>

#define LEVEL_DESCRIPTION "NEON, DotProd"

// Asked of the operating system: HWCAP_ASIMDDP.
static bool supported(void) { return getauxval(AT_HWCAP) & (1ul << 20); }

#endif
