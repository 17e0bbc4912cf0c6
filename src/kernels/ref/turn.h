// Turning sixteen by sixteen floats around.
#ifndef SC_KERNELS_REF_TURN_H
#define SC_KERNELS_REF_TURN_H

#include <string.h>

#include "kernels/kernels.h"

typedef float sc_row16 __attribute__((vector_size(64), aligned(4), may_alias));

// One round of the perfect shuffle: rows i and i + 8 are interleaved. Four rounds turn a 16 x 16 block around.
static inline void sc_shuffle(const sc_row16 in[16], sc_row16 out[16])
{
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        out[2 * i] = __builtin_shufflevector(in[i], in[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        out[2 * i + 1] = __builtin_shufflevector(in[i], in[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30,
                                                 15, 31);
    }
}

// 16 elements of n <= 16 rows, from x[row] + at on, become 16 rows of n.
static inline void sc_turn_block(const float *const *x, size_t at, size_t n, float *y, size_t y_stride)
{
    sc_row16 a[16], b[16];
    for (size_t i = 0; i < 16; i++) {
        if (i < n) memcpy(&a[i], x[i] + at, sizeof a[i]);
        else a[i] = (sc_row16){ 0 };
    }
    sc_shuffle(a, b);
    sc_shuffle(b, a);
    sc_shuffle(a, b);
    sc_shuffle(b, a);
    for (size_t j = 0; j < 16; j++) {
        if (n == 16) memcpy(y + j * y_stride, &a[j], 16 * sizeof *y);
        else if (n == SC_PANEL) memcpy(y + j * y_stride, &a[j], SC_PANEL * sizeof *y);
        else memcpy(y + j * y_stride, &a[j], n * sizeof *y);
    }
}

// n rows of m elements, from x[row] + at on: y[j * y_stride + i] = x[i][at + j]; n <= 16.
static inline void sc_turn_rows(const float *const *x, size_t at, size_t n, size_t m, float *y, size_t y_stride)
{
    size_t j = 0;
    for (; j + 16 <= m; j += 16) sc_turn_block(x, at + j, n, y + j * y_stride, y_stride);
    for (; j < m; j++)
        for (size_t r = 0; r < n; r++) y[j * y_stride + r] = x[r][at + j];
}

#endif
