// Attention of one query head: scores, softmax, weighted values (docs/numerics.md, "Attention").
//
//     score(p) = (q . key(p)) * scale         elements in order within segments of 256, tree over segments
//     e(p)     = exp(score(p) - max)
//     total    = sum of e                      lanes p mod 16 in segments of 256 positions, tree; then + exp(sink -
//     max) y[i]     = (sum over p of e(p) * value(p, i)) * (1 / total)
//                                              positions in order within segments of 256 positions, tree over segments
//
// Segments of positions are those of the absolute position, so neither the chunk that a prompt came in nor a window's
// start moves them: positions outside first..last are skipped, never padded.
#include "kernels/ref/ref.h"

#include "kernels/ref/elementary.h"
#include "kernels/ref/sum.h"
#include "tensor/half.h"

static float load(const void *values, bool f32, size_t i)
{
    return f32 ? ((const float *)values)[i] : sc_half_to_f32(((const uint16_t *)values)[i]);
}

static void store_one(void *values, bool f32, size_t i, float value)
{
    if (f32) ((float *)values)[i] = value;
    else ((uint16_t *)values)[i] = sc_half_from_f32(value);
}

void SC_REF(store)(const struct sc_kv *kv, size_t position, const float *k, const float *v)
{
    size_t group = position / SC_LANES * kv->dim_k * SC_LANES, lane = position % SC_LANES;
    for (size_t i = 0; i < kv->dim_k; i++) store_one(kv->k, kv->f32, group + i * SC_LANES + lane, k[i]);
    if (!kv->v) return;
    for (size_t i = 0; i < kv->dim_v; i++) store_one(kv->v, kv->f32, position * kv->dim_v + i, v[i]);
}

// The dot products of q with the 16 keys of one group.
static void score_group(const struct sc_attend *args, size_t group, float out[SC_LANES])
{
    float nodes[SC_TREE_LEVELS_MAX * SC_LANES];
    struct sc_row_tree tree = { nodes, SC_LANES, 0, 0 };
    size_t dim = args->kv.dim_k, base = group * dim * SC_LANES;
    for (size_t start = 0; start < dim; start += SC_SEGMENT) {
        size_t end = dim - start < SC_SEGMENT ? dim : start + SC_SEGMENT;
        float lane[SC_LANES] = { 0 };
        if (args->kv.f32) {
            const float *k = (const float *)args->kv.k + base;
            for (size_t i = start; i < end; i++)
                for (size_t l = 0; l < SC_LANES; l++)
                    lane[l] = __builtin_fmaf(args->q[i], k[i * SC_LANES + l], lane[l]);
        } else {
            const uint16_t *k = (const uint16_t *)args->kv.k + base;
            for (size_t i = start; i < end; i++)
                for (size_t l = 0; l < SC_LANES; l++)
                    lane[l] = __builtin_fmaf(args->q[i], sc_half_to_f32(k[i * SC_LANES + l]), lane[l]);
        }
        float *node = sc_row_tree_next(&tree);
        for (size_t l = 0; l < SC_LANES; l++) node[l] = lane[l];
        sc_row_tree_push(&tree);
    }
    sc_row_tree_finish(&tree);
    for (size_t l = 0; l < SC_LANES; l++) out[l] = nodes[l];
}

// Fills score[p] for the groups that hold first..last and returns the greatest within first..last.
static float scores(const struct sc_attend *args, float *score)
{
    for (size_t group = args->first / SC_LANES; group * SC_LANES < args->last; group++) {
        float *out = score + group * SC_LANES;
        score_group(args, group, out);
        for (size_t l = 0; l < SC_LANES; l++) out[l] = out[l] * args->scale;
        if (args->softcap != 0.0f)
            for (size_t l = 0; l < SC_LANES; l++) out[l] = args->softcap * sc_tanh(out[l] / args->softcap);
    }
    float max = args->sink ? *args->sink : score[args->first];
    for (size_t p = args->first; p < args->last; p++) max = score[p] > max ? score[p] : max;
    return max;
}

// Turns scores into e(p) and returns their sum.
static float exponentials(const struct sc_attend *args, float *score, float max)
{
    struct sc_tree tree = { .n = 0 };
    for (size_t p = args->first; p < args->last;) {
        size_t end = (p / SC_SEGMENT + 1) * SC_SEGMENT;
        if (end > args->last) end = args->last;
        float lane[SC_LANES] = { 0 };
        for (; p < end; p++) {
            score[p] = sc_exp(score[p] - max);
            lane[p % SC_LANES] = lane[p % SC_LANES] + score[p];
        }
        sc_tree_push(&tree, sc_fold_lanes(lane));
    }
    return sc_tree_total(&tree);
}

// The values of positions p..p + n within one group of 16, as f32 rows of dim_v in `rows`.
static void load_values(const struct sc_attend *args, size_t p, size_t n, float *rows)
{
    size_t dim = args->kv.dim_v, base = p / SC_LANES * args->kv.dim_k * SC_LANES + p % SC_LANES;
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < dim; i++)
            rows[j * dim + i] = args->kv.v ? load(args->kv.v, args->kv.f32, (p + j) * dim + i)
                                           : load(args->kv.k, args->kv.f32, base + i * SC_LANES + j);
}

static void weighted_values(const struct sc_attend *args, const float *weight, struct sc_row_tree *tree, float *rows)
{
    size_t dim = args->kv.dim_v;
    for (size_t p = args->first; p < args->last;) {
        size_t end = (p / SC_SEGMENT + 1) * SC_SEGMENT;
        if (end > args->last) end = args->last;
        float *sum = sc_row_tree_next(tree);
        for (size_t i = 0; i < dim; i++) sum[i] = 0.0f;
        while (p < end) {
            size_t n = SC_LANES - p % SC_LANES;
            if (n > end - p) n = end - p;
            load_values(args, p, n, rows);
            for (size_t j = 0; j < n; j++)
                for (size_t i = 0; i < dim; i++) sum[i] = __builtin_fmaf(weight[p + j], rows[j * dim + i], sum[i]);
            p += n;
        }
        sc_row_tree_push(tree);
    }
    sc_row_tree_finish(tree);
}

void SC_REF(attend)(const struct sc_attend *args)
{
    size_t dim = args->kv.dim_v;
    float *score = args->scratch, *rows = score + (args->last + SC_LANES), *nodes = rows + SC_LANES * dim;
    struct sc_row_tree tree = { nodes, dim, 0, 0 };
    float max = scores(args, score);
    float total = exponentials(args, score, max);
    if (args->sink) total = total + sc_exp(*args->sink - max);
    weighted_values(args, score, &tree, rows);
    float inverse = 1.0f / total;
    for (size_t i = 0; i < dim; i++) args->y[i] = nodes[i] * inverse;
}
