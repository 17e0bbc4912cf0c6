// Exact products by the dot-product instructions of Armv8.2 (FEAT_DotProd).
#ifndef SC_KERNELS_DOT_H
#define SC_KERNELS_DOT_H

#include "kernels/arm/neon/lanes.h"

#define LANES_SIGNED_WEIGHTS 1

// acc + the sum of each lane's four weights times the four activations at x.
static inline lanes_i32 lanes_dot4(lanes_i32 acc, lanes_bytes w, const int8_t *x)
{
    int8x16_t xs = lanes_four_bytes(x);
    LANES_EACH acc.v[i] = vdotq_s32(acc.v[i], vreinterpretq_s8_u8(w.v[i]), xs);
    return acc;
}

#endif
