// Matrix product of float weights with f32 activations: what ref/matmul_float.c specifies, with 16 rows in lanes and
// four columns at a time, or four groups of rows with one column.
#include "kernels/lanes/lanes.h"

#include <string.h>

#include "kernels/riscv/rvv/vectors.h"

// How an element of 16 rows becomes floats; a constant wherever it is passed.
enum kind { F32, F16, BF16 };

enum { COLUMNS = 4, GROUPS = 4 };

VECTOR_INLINE vfloat32m4_t load_weights(enum kind kind, const char *at)
{
    if (kind == F32) return load_f32(at);
    return kind == F16 ? load_f16(at) : load_bf16(at);
}

static size_t levels_of(const struct sc_matmul *args)
{
    size_t levels = 2;
    for (size_t n = args->k / SC_SEGMENT; n > 0; n /= 2) levels++;
    return levels;
}

// n elements of 16 rows with four columns, into segment s of the trees at `nodes`, `tree` floats apart.
VECTOR_INLINE void multiply_four(enum kind kind, const char *w, size_t s, size_t n, const float *const *x, float *nodes,
                                 size_t tree)
{
    size_t step = SC_LANES * (kind == F32 ? 4 : 2);
    const float *x0 = x[0] + s * SC_SEGMENT, *x1 = x[1] + s * SC_SEGMENT;
    const float *x2 = x[2] + s * SC_SEGMENT, *x3 = x[3] + s * SC_SEGMENT;
    vfloat32m4_t a = set_f32(0.0f), b = a, c = a, d = a;
    for (size_t i = 0; i < n; i++, w += step) {
        vfloat32m4_t weights = load_weights(kind, w);
        a = fma_f32(x0[i], weights, a);
        b = fma_f32(x1[i], weights, b);
        c = fma_f32(x2[i], weights, c);
        d = fma_f32(x3[i], weights, d);
    }
    push_segment(nodes, s, a);
    push_segment(nodes + tree, s, b);
    push_segment(nodes + 2 * tree, s, c);
    push_segment(nodes + 3 * tree, s, d);
}

VECTOR_INLINE void multiply_one(enum kind kind, const char *w, size_t s, size_t n, const float *x, float *nodes)
{
    size_t step = SC_LANES * (kind == F32 ? 4 : 2);
    vfloat32m4_t a = set_f32(0.0f);
    for (size_t i = 0; i < n; i++) a = fma_f32(x[s * SC_SEGMENT + i], load_weights(kind, w + i * step), a);
    push_segment(nodes, s, a);
}

// Four groups of rows, `apart` bytes from one to the next, with one column. Together, because each lane's sum waits for
// its last product.
VECTOR_INLINE void multiply_groups(enum kind kind, const char *w, size_t apart, size_t s, size_t n, const float *x,
                                   float (*nodes)[SC_TREE_LEVELS_MAX * SC_LANES])
{
    size_t step = SC_LANES * (kind == F32 ? 4 : 2);
    vfloat32m4_t a = set_f32(0.0f), b = a, c = a, d = a;
    for (size_t i = 0; i < n; i++, w += step) {
        float factor = x[s * SC_SEGMENT + i];
        a = fma_f32(factor, load_weights(kind, w), a);
        b = fma_f32(factor, load_weights(kind, w + apart), b);
        c = fma_f32(factor, load_weights(kind, w + 2 * apart), c);
        d = fma_f32(factor, load_weights(kind, w + 3 * apart), d);
    }
    push_segment(nodes[0], s, a);
    push_segment(nodes[1], s, b);
    push_segment(nodes[2], s, c);
    push_segment(nodes[3], s, d);
}

// The tile's weights as f32: [n][16].
VECTOR_INLINE void widen(enum kind kind, const char *w, size_t n, float (*out)[SC_LANES])
{
    for (size_t i = 0; i < n; i++) store_f32(out[i], load_weights(kind, w + i * SC_LANES * 2));
}

// One segment of one group of rows with all columns.
VECTOR_INLINE void multiply_columns(const struct sc_matmul *args, enum kind kind, const char *w, size_t s, size_t n)
{
    size_t c = 0, tree = levels_of(args) * SC_LANES;
    float *nodes = args->scratch;
    for (; c + COLUMNS <= args->n_columns; c += COLUMNS)
        multiply_four(kind, w, s, n, args->x + c, nodes + c * tree, tree);
    for (; c < args->n_columns; c++) multiply_one(kind, w, s, n, args->x[c], nodes + c * tree);
}

VECTOR_INLINE void multiply_rows(const struct sc_matmul *args, enum kind kind, size_t row)
{
    const char *w = (const char *)args->groups + row / SC_LANES * args->group_bytes;
    size_t n_segments = (args->k + SC_SEGMENT - 1) / SC_SEGMENT, tree = levels_of(args) * SC_LANES;
    size_t n_rows = args->n_rows - row < SC_LANES ? args->n_rows - row : SC_LANES;
    float wide[SC_SEGMENT][SC_LANES], *nodes = args->scratch;
    for (size_t s = 0; s < n_segments; s++) {
        size_t start = s * SC_SEGMENT, n = args->k - start < SC_SEGMENT ? args->k - start : SC_SEGMENT;
        const char *at = w + start * SC_LANES * (kind == F32 ? 4 : 2);
        if (kind != F32 && args->n_columns > COLUMNS) { // widened once for all columns
            widen(kind, at, n, wide);
            multiply_columns(args, F32, (const char *)wide, s, n);
        } else {
            multiply_columns(args, kind, at, s, n);
        }
    }
    for (size_t c = 0; c < args->n_columns; c++)
        __riscv_vse32_v_f32m4(args->y[c] + row, finish_tree(nodes + c * tree, n_segments), n_rows);
}

VECTOR_INLINE void multiply_one_column(const struct sc_matmul *args, enum kind kind, size_t row)
{
    const char *w = (const char *)args->groups + row / SC_LANES * args->group_bytes;
    size_t n_segments = (args->k + SC_SEGMENT - 1) / SC_SEGMENT;
    float nodes[GROUPS][SC_TREE_LEVELS_MAX * SC_LANES];
    for (size_t s = 0; s < n_segments; s++) {
        size_t start = s * SC_SEGMENT, n = args->k - start < SC_SEGMENT ? args->k - start : SC_SEGMENT;
        const char *at = w + start * SC_LANES * (kind == F32 ? 4 : 2);
        multiply_groups(kind, at, args->group_bytes, s, n, args->x[0], nodes);
    }
    for (size_t g = 0; g < GROUPS; g++) store_f32(args->y[0] + row + g * SC_LANES, finish_tree(nodes[g], n_segments));
}

VECTOR_INLINE void multiply(const struct sc_matmul *args, enum kind kind)
{
    size_t row = 0;
    for (; args->n_columns == 1 && row + GROUPS * SC_LANES <= args->n_rows; row += GROUPS * SC_LANES)
        multiply_one_column(args, kind, row);
    for (; row < args->n_rows; row += SC_LANES) multiply_rows(args, kind, row);
}

void SC_LANES_NAME(matmul_float)(const struct sc_matmul *args)
{
    if (args->format->block_bytes == 4) multiply(args, F32);
    else if (strcmp(args->format->name, "F16") == 0) multiply(args, F16);
    else multiply(args, BF16);
}
