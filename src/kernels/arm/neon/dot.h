// Exact products by plain NEON: bytes times bytes to int16, of which two fit together (2 * 128 * 127 < 2^15).
#ifndef SC_KERNELS_DOT_H
#define SC_KERNELS_DOT_H

#include "kernels/arm/neon/lanes.h"

#define LANES_SIGNED_WEIGHTS 1

// acc + the sum of each lane's four weights times the four activations at x.
static inline lanes_i32 lanes_dot4(lanes_i32 acc, lanes_bytes w, const int8_t *x)
{
    int8x16_t xs = lanes_four_bytes(x);
    LANES_EACH
    {
        int8x16_t ws = vreinterpretq_s8_u8(w.v[i]);
        int16x8_t low = vmull_s8(vget_low_s8(ws), vget_low_s8(xs)), high = vmull_high_s8(ws, xs);
        acc.v[i] = vpadalq_s16(acc.v[i], vpaddq_s16(low, high));
    }
    return acc;
}

#endif
