// One segment of a product of two matrices of floats: sixteen rows side by side, each adding up its own products in
// order. What joins segments is program/gemm.c.
#include "kernels/ref/ref.h"

void SC_REF(gemm)(const struct sc_gemm *args)
{
    for (size_t j = 0; j < args->n_columns; j++)
        for (size_t i = 0; i < args->n_rows; i += SC_LANES) {
            const float *a = args->a + i * args->k, *b = args->b + j / SC_PANEL * SC_PANEL * args->k + j % SC_PANEL;
            float lane[SC_LANES] = { 0 };
            for (size_t p = 0; p < args->k; p++)
                for (size_t r = 0; r < SC_LANES; r++)
                    lane[r] = __builtin_fmaf(a[p * SC_LANES + r], b[p * SC_PANEL], lane[r]);
            for (size_t r = 0; r < SC_LANES; r++) args->c[j * args->stride + i + r] = lane[r];
        }
}
