// Exact products by the matrix instructions of Armv8.6 (FEAT_I8MM): two rows of eight weights times two columns of
// eight activations give four sums at once.
//
//     weights  [row 0: quads q, q+1 | row 1: quads q, q+1]      sums  [r0c0 r0c1 | r1c0 r1c1]
//     columns  [col 0: quads q, q+1 | col 1: quads q, q+1]
//
// Quads lie one after another, so zipping two of them makes both operands, and unzipping the sums makes lanes again.
#ifndef SC_KERNELS_DOT_H
#define SC_KERNELS_DOT_H

#include "kernels/arm/neon/lanes.h"

#define LANES_SIGNED_WEIGHTS 1
#define LANES_HAS_DOT_QUADS

// acc + the sum of each lane's four weights times the four activations at x.
static inline lanes_i32 lanes_dot4(lanes_i32 acc, lanes_bytes w, const int8_t *x)
{
    int8x16_t xs = lanes_four_bytes(x);
    LANES_EACH acc.v[i] = vdotq_s32(acc.v[i], vreinterpretq_s8_u8(w.v[i]), xs);
    return acc;
}

static inline int32x4_t lanes_quads_at(const int8_t *w) { return vreinterpretq_s32_s8(vld1q_s8(w)); }

// Two columns, quads by pairs.
static inline __attribute__((always_inline)) void lanes_dot_two_columns(const int8_t *w, size_t n_quads,
                                                                        const int8_t *x, size_t n, lanes_i32 *s)
{
    int32x4_t low[4], high[4]; // rows 4i, 4i + 1 and 4i + 2, 4i + 3
    LANES_EACH
    {
        low[i] = vzip1q_s32(s[0].v[i], s[1].v[i]);
        high[i] = vzip2q_s32(s[0].v[i], s[1].v[i]);
    }
    for (size_t q = 0; q < n_quads; q += 2, w += 128, x += 8 * n) {
        int32x2_t first = vreinterpret_s32_s8(vld1_s8(x)), second = vreinterpret_s32_s8(vld1_s8(x + 4 * n));
        int8x16_t xs = vreinterpretq_s8_s32(vcombine_s32(vzip1_s32(first, second), vzip2_s32(first, second)));
        LANES_EACH
        {
            int32x4_t a = lanes_quads_at(w + 16 * i), b = lanes_quads_at(w + 64 + 16 * i);
            low[i] = vmmlaq_s32(low[i], vreinterpretq_s8_s32(vzip1q_s32(a, b)), xs);
            high[i] = vmmlaq_s32(high[i], vreinterpretq_s8_s32(vzip2q_s32(a, b)), xs);
        }
    }
    LANES_EACH
    {
        s[0].v[i] = vuzp1q_s32(low[i], high[i]);
        s[1].v[i] = vuzp2q_s32(low[i], high[i]);
    }
}

// s[c] += the products of n_quads quads, an even number, with `columns` columns, a constant.
static inline __attribute__((always_inline)) void lanes_dot_quads(const int8_t *w, size_t n_quads, const int8_t *x,
                                                                  size_t n, size_t columns, lanes_i32 *s)
{
    for (size_t c = 0; c + 2 <= columns; c += 2) lanes_dot_two_columns(w, n_quads, x + 4 * c, n, s + c);
    if (columns == 1)
        for (size_t q = 0; q < n_quads; q++) s[0] = lanes_dot4(s[0], lanes_load_bytes(w + 64 * q), x + 4 * q * n);
}

#endif
