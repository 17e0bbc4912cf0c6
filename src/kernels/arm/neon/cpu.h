// AArch64: every such processor has NEON.
#ifndef SC_KERNELS_CPU_H
#define SC_KERNELS_CPU_H

#include <stdbool.h>

#define LEVEL_DESCRIPTION "NEON"

// Asked of the operating system.
static bool supported(void) { return true; }

#endif
