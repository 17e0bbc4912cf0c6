// The baseline of an architecture: the reference kernels as the compiler makes them for any such machine.
#ifndef SC_KERNELS_CPU_H
#define SC_KERNELS_CPU_H

#include <stdbool.h>

#define LEVEL_DESCRIPTION "plain C for the baseline of this architecture"

static bool supported(void) { return true; }

#endif
