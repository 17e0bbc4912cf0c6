// Matrix product of float weights with f32 activations: what ref/matmul_float.c specifies, with 16 rows in lanes.
#include "kernels/lanes/lanes.h"

#include <string.h>

#include "dot.h"
#include "kernels/ref/turn.h"

// How an element of 16 rows becomes floats.
enum kind { F32, F16, BF16 };

enum { PREFETCH_BYTES = 1024 }; // ahead

#define FLOAT_INLINE static inline __attribute__((always_inline))

FLOAT_INLINE lanes_f32 load_weights(enum kind kind, const char *at)
{
    if (kind == F32) return lanes_load((const float *)(const void *)at);
    return kind == F16 ? lanes_load_f16(at) : lanes_load_bf16(at);
}

// sums[c] = the products of one segment's n elements with `columns` columns. The size is a constant.
FLOAT_INLINE void multiply_columns(enum kind kind, const char *w, size_t n, const float *const *x, size_t start,
                                   size_t columns, lanes_f32 *sums)
{
    size_t step = SC_LANES * (kind == F32 ? 4 : 2);
    const float *at[LANES_COLUMNS_FLOAT];
#pragma GCC unroll 8
    for (size_t c = 0; c < columns; c++) {
        sums[c] = lanes_zero();
        at[c] = x[c] + start;
    }
    for (size_t i = 0; i < n; i++, w += step) {
        lanes_f32 weights = load_weights(kind, w);
#pragma GCC unroll 8
        for (size_t c = 0; c < columns; c++) sums[c] = lanes_fma(weights, lanes_set(at[c][i]), sums[c]);
    }
}

// Takes segment s into the tree of sums at nodes[levels][16].
FLOAT_INLINE void push_segment(float *nodes, size_t s, lanes_f32 sum)
{
    float *node = nodes + (size_t)__builtin_popcountll(s) * SC_LANES;
    for (size_t merges = (size_t)__builtin_ctzll(s + 1); merges > 0; merges--) {
        node -= SC_LANES;
        sum = lanes_add(lanes_load(node), sum);
    }
    lanes_store(node, sum);
}

static void finish(float *nodes, size_t n_segments, size_t n_rows, float *y)
{
    size_t depth = (size_t)__builtin_popcountll(n_segments);
    lanes_f32 sum = lanes_load(nodes + (depth - 1) * SC_LANES);
    for (size_t i = depth - 1; i > 0; i--) sum = lanes_add(lanes_load(nodes + (i - 1) * SC_LANES), sum);
    if (n_rows >= SC_LANES) {
        lanes_store(y, sum);
        return;
    }
    lanes_store(nodes, sum);
    memcpy(y, nodes, n_rows * sizeof *y);
}

// One group of rows with `columns` columns from column c0 on.
FLOAT_INLINE void multiply_group(const struct sc_matmul *args, enum kind kind, size_t row, size_t c0, size_t columns)
{
    const char *w = (const char *)args->groups + row / SC_LANES * args->group_bytes;
    float nodes[LANES_COLUMNS_FLOAT][SC_TREE_LEVELS_MAX * SC_LANES];
    lanes_f32 sums[LANES_COLUMNS_FLOAT];
    size_t n_segments = (args->k + SC_SEGMENT - 1) / SC_SEGMENT;
    for (size_t s = 0; s < n_segments; s++) {
        size_t start = s * SC_SEGMENT, n = args->k - start < SC_SEGMENT ? args->k - start : SC_SEGMENT;
        multiply_columns(kind, w + start * SC_LANES * args->format->block_bytes, n, args->x + c0, start, columns, sums);
#pragma GCC unroll 8
        for (size_t c = 0; c < columns; c++) push_segment(nodes[c], s, sums[c]);
    }
    for (size_t c = 0; c < columns; c++) finish(nodes[c], n_segments, args->n_rows - row, args->y[c0 + c] + row);
}

// GROUPS whole groups of rows with one column. Together, because each lane's sum waits for its last product.
enum { GROUPS = 4 };
FLOAT_INLINE void multiply_one_column(const struct sc_matmul *args, enum kind kind, size_t row, size_t c)
{
    const char *w = (const char *)args->groups + row / SC_LANES * args->group_bytes;
    const float *x = args->x[c];
    float nodes[GROUPS][SC_TREE_LEVELS_MAX * SC_LANES];
    size_t step = SC_LANES * args->format->block_bytes, n_segments = (args->k + SC_SEGMENT - 1) / SC_SEGMENT;
    for (size_t s = 0, i = 0; s < n_segments; s++) {
        size_t end = args->k - i < SC_SEGMENT ? args->k : i + SC_SEGMENT;
        lanes_f32 sums[GROUPS] = { lanes_zero(), lanes_zero(), lanes_zero(), lanes_zero() };
        for (; i < end; i++, w += step) {
#pragma GCC unroll 4
            for (size_t g = 0; g < GROUPS; g++) {
                if (kind == F32 || i % 2 == 0) __builtin_prefetch(w + g * args->group_bytes + PREFETCH_BYTES);
                sums[g] = lanes_fma(load_weights(kind, w + g * args->group_bytes), lanes_set(x[i]), sums[g]);
            }
        }
#pragma GCC unroll 4
        for (size_t g = 0; g < GROUPS; g++) push_segment(nodes[g], s, sums[g]);
    }
    for (size_t g = 0; g < GROUPS; g++) finish(nodes[g], n_segments, SC_LANES, args->y[c] + row + g * SC_LANES);
}

// One group of rows with the columns from c on.
FLOAT_INLINE void multiply_rows(const struct sc_matmul *args, enum kind kind, size_t row, size_t c)
{
    for (size_t left; (left = args->n_columns - c) > 0;) {
        size_t columns = left >= LANES_COLUMNS_FLOAT ? LANES_COLUMNS_FLOAT : left >= 2 ? 2 : 1;
        if (columns == LANES_COLUMNS_FLOAT) multiply_group(args, kind, row, c, LANES_COLUMNS_FLOAT);
        else if (columns == 2) multiply_group(args, kind, row, c, 2);
        else multiply_group(args, kind, row, c, 1);
        c += columns;
    }
}

// ---- whole panels of columns: laid side by side first, so that several groups of rows find them in the cache

// A tree of 2^20 elements has at most 13 nodes at a time.
enum { PANEL_LEVELS = 20, PANEL_GROUPS = LANES_GEMM_GROUPS, PANEL_COLUMNS = LANES_GEMM_COLUMNS };

// sums[g * columns + c] = the products of one segment's n elements of `groups` groups with columns that lie side by
// side.
FLOAT_INLINE void multiply_tile(enum kind kind, const char *w, size_t apart, const float *x, size_t n, size_t groups,
                                lanes_f32 *sums)
{
    size_t step = SC_LANES * (kind == F32 ? 4 : 2);
#pragma GCC unroll 24
    for (size_t i = 0; i < groups * PANEL_COLUMNS; i++) sums[i] = lanes_zero();
    for (size_t i = 0; i < n; i++, w += step, x += SC_PANEL) {
        lanes_f32 rows[PANEL_GROUPS];
#pragma GCC unroll 2
        for (size_t g = 0; g < groups; g++) rows[g] = load_weights(kind, w + g * apart);
#pragma GCC unroll 12
        for (size_t c = 0; c < PANEL_COLUMNS; c++) {
            lanes_f32 factor = lanes_set(x[c]);
#pragma GCC unroll 2
            for (size_t g = 0; g < groups; g++)
                sums[g * PANEL_COLUMNS + c] = lanes_fma(rows[g], factor, sums[g * PANEL_COLUMNS + c]);
        }
    }
}

// `groups` groups of rows with PANEL_COLUMNS columns from c on, which lie at x.
FLOAT_INLINE void multiply_panel(const struct sc_matmul *args, enum kind kind, size_t row, size_t c, const float *x,
                                 size_t groups)
{
    const char *w = (const char *)args->groups + row / SC_LANES * args->group_bytes;
    float nodes[PANEL_GROUPS * PANEL_COLUMNS][PANEL_LEVELS * SC_LANES];
    lanes_f32 sums[PANEL_GROUPS * PANEL_COLUMNS];
    size_t step = SC_LANES * args->format->block_bytes, n_segments = (args->k + SC_SEGMENT - 1) / SC_SEGMENT;
    for (size_t s = 0; s < n_segments; s++) {
        size_t start = s * SC_SEGMENT, n = args->k - start < SC_SEGMENT ? args->k - start : SC_SEGMENT;
        multiply_tile(kind, w + start * step, args->group_bytes, x + start * SC_PANEL, n, groups, sums);
#pragma GCC unroll 24
        for (size_t i = 0; i < groups * PANEL_COLUMNS; i++) push_segment(nodes[i], s, sums[i]);
    }
    for (size_t g = 0; g < groups; g++)
        for (size_t i = 0; i < PANEL_COLUMNS; i++)
            finish(nodes[g * PANEL_COLUMNS + i], n_segments, args->n_rows - row - g * SC_LANES,
                   args->y[c + i] + row + g * SC_LANES);
}

// `groups` groups of rows from `row` on with all whole panels: those rows stay in the first cache.
FLOAT_INLINE void multiply_panels(const struct sc_matmul *args, enum kind kind, size_t row, size_t groups)
{
    const float *x = args->scratch;
    for (size_t c = 0; c + SC_PANEL <= args->n_columns; c += SC_PANEL, x += SC_PANEL * args->k)
        for (size_t i = 0; i < SC_PANEL; i += PANEL_COLUMNS) multiply_panel(args, kind, row, c + i, x + i, groups);
}

// All rows with all whole panels of columns. Returns how many columns those are.
FLOAT_INLINE size_t multiply_whole_panels(const struct sc_matmul *args, enum kind kind)
{
    size_t n = args->n_columns / SC_PANEL * SC_PANEL, row = 0;
    for (size_t c = 0; c < n; c += SC_PANEL)
        sc_turn_rows(args->x + c, 0, SC_PANEL, args->k, (float *)args->scratch + c * args->k, SC_PANEL);
    for (; n && row + (PANEL_GROUPS - 1) * SC_LANES < args->n_rows; row += PANEL_GROUPS * SC_LANES)
        multiply_panels(args, kind, row, PANEL_GROUPS);
    for (; n && row < args->n_rows; row += SC_LANES) multiply_panels(args, kind, row, 1);
    return n;
}

FLOAT_INLINE void multiply(const struct sc_matmul *args, enum kind kind)
{
    size_t row = 0, c = 0;
    for (; args->n_columns == 1 && row + GROUPS * SC_LANES <= args->n_rows; row += GROUPS * SC_LANES)
        multiply_one_column(args, kind, row, 0);
    if (args->k >> PANEL_LEVELS == 0) c = multiply_whole_panels(args, kind); // the trees of sums are no deeper
    for (; row < args->n_rows && c < args->n_columns; row += SC_LANES) multiply_rows(args, kind, row, c);
}

void SC_LANES_NAME(matmul_float)(const struct sc_matmul *args)
{
    if (args->format->block_bytes == 4) multiply(args, F32);
    else if (strcmp(args->format->name, "F16") == 0) multiply(args, F16);
    else multiply(args, BF16);
}
