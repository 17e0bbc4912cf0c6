// One segment of a product of two matrices of floats: what ref/gemm.c specifies, with 16 rows by four columns at a
// time.
#include "kernels/lanes/lanes.h"

#include "kernels/riscv/rvv/vectors.h"

static void multiply_four(const float *a, const float *b, size_t k, float *out, size_t stride)
{
    vfloat32m4_t s0 = set_f32(0.0f), s1 = s0, s2 = s0, s3 = s0;
    for (size_t p = 0; p < k; p++, a += SC_LANES, b += SC_PANEL) {
        vfloat32m4_t rows = load_f32((const char *)a);
        s0 = fma_f32(b[0], rows, s0);
        s1 = fma_f32(b[1], rows, s1);
        s2 = fma_f32(b[2], rows, s2);
        s3 = fma_f32(b[3], rows, s3);
    }
    store_f32(out, s0);
    store_f32(out + stride, s1);
    store_f32(out + 2 * stride, s2);
    store_f32(out + 3 * stride, s3);
}

static void multiply_one(const float *a, const float *b, size_t k, float *out)
{
    vfloat32m4_t sum = set_f32(0.0f);
    for (size_t p = 0; p < k; p++) sum = fma_f32(b[p * SC_PANEL], load_f32((const char *)(a + p * SC_LANES)), sum);
    store_f32(out, sum);
}

void SC_LANES_NAME(gemm)(const struct sc_gemm *args)
{
    for (size_t j = 0, columns; j < args->n_columns; j += columns) {
        const float *b = args->b + j / SC_PANEL * SC_PANEL * args->k + j % SC_PANEL;
        float *c = args->c + j * args->stride;
        columns = args->n_columns - j >= 4 ? 4 : 1;
        for (size_t i = 0; i < args->n_rows; i += SC_LANES) {
            if (columns == 4) multiply_four(args->a + i * args->k, b, args->k, c + i, args->stride);
            else multiply_one(args->a + i * args->k, b, args->k, c + i);
        }
    }
}
