// Matrix product of float weights with f32 activations.
//
// Sixteen output rows sit side by side, so that each adds up its own products in order:
//     lane[r] = fma(w[r][i], x[i], lane[r])     for i in the segment, in order
// and the segments' lanes are joined by the tree. The weights of one segment are decoded once, then used for every column.
#include "kernels/ref/ref.h"

#include "kernels/ref/sum.h"

enum { COLUMNS_AT_ONCE = 4 };

// tile[i][r] = weight (row + r, start + i). `packed` holds n elements of 16 rows, element by element.
static void decode_tile(const struct sc_format *format, const char *packed, size_t n, float tile[SC_SEGMENT][SC_LANES])
{
    format->decode(packed, tile[0], n * SC_LANES);
}

static void sum_four(float tile[SC_SEGMENT][SC_LANES], size_t n, const float *const x[COLUMNS_AT_ONCE],
                     float *out[COLUMNS_AT_ONCE])
{
    float lane[COLUMNS_AT_ONCE][SC_LANES] = { { 0 } };
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < COLUMNS_AT_ONCE; c++)
            for (size_t r = 0; r < SC_LANES; r++) lane[c][r] = __builtin_fmaf(tile[i][r], x[c][i], lane[c][r]);
    for (size_t c = 0; c < COLUMNS_AT_ONCE; c++)
        for (size_t r = 0; r < SC_LANES; r++) out[c][r] = lane[c][r];
}

static void sum_one(float tile[SC_SEGMENT][SC_LANES], size_t n, const float *x, float *out)
{
    float lane[SC_LANES] = { 0 };
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < SC_LANES; r++) lane[r] = __builtin_fmaf(tile[i][r], x[i], lane[r]);
    for (size_t r = 0; r < SC_LANES; r++) out[r] = lane[r];
}

static void sum_columns(const struct sc_matmul *args, float tile[SC_SEGMENT][SC_LANES], size_t start, size_t n,
                        struct sc_row_tree *trees)
{
    size_t c = 0;
    for (; c + COLUMNS_AT_ONCE <= args->n_columns; c += COLUMNS_AT_ONCE) {
        const float *x[COLUMNS_AT_ONCE];
        float *out[COLUMNS_AT_ONCE];
        for (size_t i = 0; i < COLUMNS_AT_ONCE; i++) {
            x[i] = args->x[c + i] + start;
            out[i] = sc_row_tree_next(&trees[c + i]);
        }
        sum_four(tile, n, x, out);
    }
    for (; c < args->n_columns; c++) sum_one(tile, n, args->x[c] + start, sc_row_tree_next(&trees[c]));
    for (c = 0; c < args->n_columns; c++) sc_row_tree_push(&trees[c]);
}

void SC_REF(matmul_float)(const struct sc_matmul *args)
{
    float tile[SC_SEGMENT][SC_LANES];
    float nodes[SC_COLUMNS_MAX][SC_TREE_LEVELS_MAX * SC_LANES];
    struct sc_row_tree trees[SC_COLUMNS_MAX];
    for (size_t row = 0; row < args->n_rows; row += SC_LANES) {
        size_t n_rows = args->n_rows - row < SC_LANES ? args->n_rows - row : SC_LANES;
        const char *group = (const char *)args->groups + row / SC_LANES * args->group_bytes;
        for (size_t c = 0; c < args->n_columns; c++) trees[c] = (struct sc_row_tree){ nodes[c], SC_LANES, 0, 0 };
        for (size_t start = 0; start < args->k; start += SC_SEGMENT) {
            size_t n = args->k - start < SC_SEGMENT ? args->k - start : SC_SEGMENT;
            decode_tile(args->format, group + start * SC_LANES * args->format->block_bytes, n, tile);
            sum_columns(args, tile, start, n, trees);
        }
        for (size_t c = 0; c < args->n_columns; c++) {
            sc_row_tree_finish(&trees[c]);
            for (size_t r = 0; r < n_rows; r++) args->y[c][row + r] = nodes[c][r];
        }
    }
}
