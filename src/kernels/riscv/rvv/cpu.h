// RISC-V with vectors as ratified (V 1.0) of at least 128 bits.
#ifndef SC_KERNELS_CPU_H
#define SC_KERNELS_CPU_H

#include <stdbool.h>
#include <sys/auxv.h>

#define LEVEL_DESCRIPTION "V 1.0, vectors of 128 bits or more"

// The kernel says that there are vectors; the vectors themselves whether 16 lanes of 32 bits fit into four registers.
// Drafts of V (0.7) refuse the type asked for here and answer 0.
static bool supported(void)
{
    unsigned long lanes;
    if (!(getauxval(AT_HWCAP) & 1UL << ('V' - 'A'))) return false;
    __asm__ volatile("vsetvli %0, %1, e32, m4, ta, ma" : "=r"(lanes) : "r"(16UL));
    return lanes == 16;
}

#endif
