// AArch64 with integer matrix products: Neoverse V1 and N2 (2021), Apple M2 and later.
#ifndef SC_KERNELS_CPU_H
#define SC_KERNELS_CPU_H

#include <stdbool.h>
#include <sys/auxv.h>

#define LEVEL_DESCRIPTION "NEON, DotProd, I8MM"

// Asked of the operating system: HWCAP_ASIMDDP, HWCAP2_I8MM.
static bool supported(void) { return (getauxval(AT_HWCAP) & (1ul << 20)) && (getauxval(AT_HWCAP2) & (1ul << 13)); }

#endif
