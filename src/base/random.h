// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
// The number is a function of the seed, the position and the purpose, so nothing has to be remembered or replayed.
#ifndef SC_BASE_RANDOM_H
#define SC_BASE_RANDOM_H

#include <stdint.h>

enum sc_random_purpose { SC_RANDOM_SAMPLE = 1, SC_RANDOM_SHUFFLE = 2, SC_RANDOM_CUT = 3, SC_RANDOM_WEIGHTS = 4, SC_RANDOM_DROPOUT = 5 };

// Ten rounds over `counter` under `key`, in place.
void sc_philox(uint32_t counter[4], const uint32_t key[2]);

// Uniform in [0, 1), a multiple of 2^-53.
double sc_random_uniform(uint64_t seed, uint64_t position, enum sc_random_purpose purpose);
// Uniform over 0 .. n - 1, without bias; n >= 1.
uint32_t sc_random_below(uint64_t seed, uint64_t position, enum sc_random_purpose purpose, uint32_t n);

#endif
