// One segment of a product of two matrices of floats: what ref/gemm.c specifies, with LANES_GEMM_GROUPS groups of 16
// rows by LANES_GEMM_COLUMNS columns in registers.
#include "kernels/lanes/lanes.h"

#include "dot.h"

#define GEMM_INLINE static inline __attribute__((always_inline))

enum { COLUMNS = LANES_GEMM_COLUMNS };
_Static_assert(SC_PANEL % LANES_GEMM_COLUMNS == 0, "a panel is whole tiles");

// Columns of b from `b` on with `groups` groups of rows, `apart` floats from one to the next. Sizes are constants.
GEMM_INLINE void multiply_tile(const float *a, size_t apart, const float *b, size_t k, size_t groups, size_t columns,
                               float *c, size_t stride)
{
    lanes_f32 sums[LANES_GEMM_GROUPS * COLUMNS];
#pragma GCC unroll 24
    for (size_t i = 0; i < groups * columns; i++) sums[i] = lanes_zero();
    for (size_t p = 0; p < k; p++, a += SC_LANES, b += SC_PANEL) {
        lanes_f32 rows[LANES_GEMM_GROUPS];
#pragma GCC unroll 2
        for (size_t g = 0; g < groups; g++) rows[g] = lanes_load(a + g * apart);
#pragma GCC unroll 12
        for (size_t j = 0; j < columns; j++) {
            lanes_f32 x = lanes_set(b[j]);
#pragma GCC unroll 2
            for (size_t g = 0; g < groups; g++) sums[g * columns + j] = lanes_fma(rows[g], x, sums[g * columns + j]);
        }
    }
#pragma GCC unroll 12
    for (size_t j = 0; j < columns; j++)
#pragma GCC unroll 2
        for (size_t g = 0; g < groups; g++) lanes_store(c + j * stride + g * SC_LANES, sums[g * columns + j]);
}

// `groups` groups of rows from row i on with all columns: those rows stay in the first cache.
GEMM_INLINE void multiply_rows(const struct sc_gemm *args, size_t i, size_t groups)
{
    size_t j = 0, apart = SC_LANES * args->k;
    const float *a = args->a + i * args->k;
    float *c = args->c + i;
#define PANEL(j) (args->b + (j) / SC_PANEL * SC_PANEL * args->k + (j) % SC_PANEL)
    for (; j + COLUMNS <= args->n_columns; j += COLUMNS)
        multiply_tile(a, apart, PANEL(j), args->k, groups, COLUMNS, c + j * args->stride, args->stride);
    for (; j + 4 <= args->n_columns && COLUMNS > 4; j += 4)
        multiply_tile(a, apart, PANEL(j), args->k, groups, 4, c + j * args->stride, args->stride);
    for (; j < args->n_columns; j++)
        multiply_tile(a, apart, PANEL(j), args->k, groups, 1, c + j * args->stride, args->stride);
}

void SC_LANES_NAME(gemm)(const struct sc_gemm *args)
{
    size_t i = 0;
    for (; i + (LANES_GEMM_GROUPS - 1) * SC_LANES < args->n_rows; i += LANES_GEMM_GROUPS * SC_LANES)
        multiply_rows(args, i, LANES_GEMM_GROUPS);
    for (; i < args->n_rows; i += SC_LANES) multiply_rows(args, i, 1);
}
