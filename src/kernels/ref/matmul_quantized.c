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

static int32_t block_mins(const struct sc_block *block, const int16_t *sums, size_t size, size_t group)
{
    int32_t sum = 0;
    for (size_t g = 0, i = 0; i < size; g++, i += group) {
        int32_t x = 0;
        for (size_t j = i / 16; j < (i + group) / 16; j++) x += sums[j];
        sum += block->min[g] * x;
    }
    return sum;
}

static float segment_sum(const struct sc_format *format, const struct sc_block *blocks, size_t n_blocks,
                         const struct sc_q8 *x, size_t start)
{
    size_t size = format->block_size, group = format->group;
    float a = 0.0f;
    for (size_t b = 0; b < n_blocks; b++, start += size) {
        a = __builtin_fmaf(blocks[b].d, (float)block_products(&blocks[b], x->q + start, size, group), a);
        if (format->has_min)
            a = __builtin_fmaf(blocks[b].m, (float)block_mins(&blocks[b], x->sums + start / 16, size, group), a);
    }
    return a;
}

void SC_REF(matmul_quantized)(const struct sc_matmul *args)
{
    const struct sc_format *format = args->format;
    struct sc_block blocks[BLOCKS_MAX];
    struct sc_tree trees[SC_COLUMNS_MAX];
    for (size_t r = 0; r < args->n_rows; r++) {
        const char *bytes = (const char *)args->rows + r * args->row_stride;
        for (size_t c = 0; c < args->n_columns; c++) trees[c].n = trees[c].depth = 0;
        for (size_t start = 0; start < args->k; start += SC_SEGMENT) {
            size_t n = args->k - start < SC_SEGMENT ? args->k - start : SC_SEGMENT;
            size_t n_blocks = n / format->block_size;
            for (size_t b = 0; b < n_blocks; b++, bytes += format->block_bytes) format->unpack(bytes, &blocks[b]);
            for (size_t c = 0; c < args->n_columns; c++) {
                const struct sc_q8 *x = &args->xq[c];
                float a = segment_sum(format, blocks, n_blocks, x, start);
                sc_tree_push(&trees[c], a * x->d[start / SC_SEGMENT]);
            }
        }
        for (size_t c = 0; c < args->n_columns; c++) args->y[c][r] = sc_tree_total(&trees[c]);
    }
}
