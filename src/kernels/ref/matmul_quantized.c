// Matrix product of quantized weights with int8 activations. Integers inside, fixed order outside:
//
//     block    s = sum over groups g of scale[g] * (sum of q * x in g)          exact, int32
//              t = sum over groups g of min[g] * (sum of x in g)                exact, int32
//     segment  a = fma(d, (float)s, a), then a = fma(m, (float)t, a)           blocks in order, from a = 0
//     row      tree over segments of a * (the activations' scale of that segment)
//
// (float) rounds once, to nearest even, where |s| or |t| exceeds 2^24; blocks without sub-scales never do.
#include "kernels/ref/ref.h"

#include "kernels/ref/sum.h"
#include "tensor/packed.h"

enum { BLOCKS_MAX = SC_SEGMENT / 32 };

// Exact products of a group. The sizes there are get loops of known length, which compilers vectorize whole.
static inline int32_t dot(const int8_t *a, const int8_t *b, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += (int16_t)a[i] * (int16_t)b[i];
    return sum;
}

static int32_t group_products(const int8_t *q, const int8_t *x, size_t group)
{
    if (group == 32) return dot(q, x, 32);
    if (group == 16) return dot(q, x, 16);
    return dot(q, x, SC_SEGMENT); // one group is the whole block
}

static int32_t block_products(const struct sc_block *block, const int8_t *x, size_t size, size_t group)
{
    int32_t sum = 0;
    for (size_t g = 0, i = 0; i < size; g++, i += group)
        sum += block->scale[g] * group_products(block->q + i, x + i, group);
    return sum;
}

// `sums` are n apart.
static int32_t block_mins(const struct sc_block *block, const int16_t *sums, size_t n, size_t size, size_t group)
{
    int32_t sum = 0;
    for (size_t g = 0, i = 0; i < size; g++, i += group) {
        int32_t x = 0;
        for (size_t j = i / 16; j < (i + group) / 16; j++) x += sums[j * n];
        sum += block->min[g] * x;
    }
    return sum;
}

// A panel's column taken out of it.
struct column {
    const int8_t *q; // [k]
    const struct sc_panel *panel;
    size_t c; // in the panel
};

static float segment_sum(const struct sc_format *format, const struct sc_block *blocks, size_t n_blocks,
                         const struct column *x, size_t start)
{
    size_t size = format->block_size, group = format->group, n = x->panel->n;
    float a = 0.0f;
    for (size_t b = 0; b < n_blocks; b++, start += size) {
        const int16_t *sums = x->panel->sums + start / 16 * n + x->c;
        a = __builtin_fmaf(blocks[b].d, (float)block_products(&blocks[b], x->q + start, size, group), a);
        if (format->has_min)
            a = __builtin_fmaf(blocks[b].m, (float)block_mins(&blocks[b], sums, n, size, group), a);
    }
    return a;
}

static void take_columns(const struct sc_matmul *args, struct column *columns)
{
    int8_t *q = args->scratch;
    for (size_t c = 0; c < args->n_columns; c++, q += args->k) {
        const struct sc_panel *panel = &args->panels[c / SC_PANEL];
        columns[c] = (struct column){ q, panel, c % SC_PANEL };
        for (size_t i = 0; i < args->k; i++) q[i] = panel->q[(i / 4 * panel->n + c % SC_PANEL) * 4 + i % 4];
    }
}

static void multiply_row(const struct sc_matmul *args, const struct column *columns, size_t r)
{
    const struct sc_format *format = args->format;
    struct sc_block blocks[BLOCKS_MAX];
    struct sc_tree trees[SC_COLUMNS_MAX];
    const char *tile = (const char *)args->groups + r / SC_LANES * args->group_bytes;
    for (size_t c = 0; c < args->n_columns; c++) trees[c].n = trees[c].depth = 0;
    for (size_t start = 0; start < args->k; start += SC_SEGMENT) {
        size_t n = args->k - start < SC_SEGMENT ? args->k - start : SC_SEGMENT, n_blocks = n / format->block_size;
        for (size_t b = 0; b < n_blocks; b++) sc_packed_block(format, tile, n, r % SC_LANES, b, &blocks[b]);
        tile += sc_packed_tile_bytes(format, n);
        for (size_t c = 0; c < args->n_columns; c++) {
            const struct sc_panel *panel = columns[c].panel;
            float a = segment_sum(format, blocks, n_blocks, &columns[c], start);
            sc_tree_push(&trees[c], a * panel->d[start / SC_SEGMENT * panel->n + columns[c].c]);
        }
    }
    for (size_t c = 0; c < args->n_columns; c++) args->y[c][r] = sc_tree_total(&trees[c]);
}

void SC_REF(matmul_quantized)(const struct sc_matmul *args)
{
    struct column columns[SC_COLUMNS_MAX];
    take_columns(args, columns);
    for (size_t r = 0; r < args->n_rows; r++) multiply_row(args, columns, r);
}
