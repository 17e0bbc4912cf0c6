// Attention: scores, softmax, weighted values (docs/numerics.md, "Attention"). A segment of 256 positions gives a node:
//
//     score(p) = (q . key(p)) * scale         elements in order within segments of 256, tree over segments
//     max      = the greatest score           of the segment's positions
//     e(p)     = exp(score(p) - max)
//     sum      = sum of e                     sixteen lanes by p mod 16
//     y[i]     = sum over p of e(p) * value(p, i)                          positions in order
//
// Nodes are joined by the tree: with max the greater one, a factor exp(own max - max) for each side, and
//     sum = sum_a * factor_a + sum_b * factor_b          y[i] likewise
//
// Segments of positions are those of the absolute position, so neither the chunk that a prompt came in nor a window's
// start moves them: positions outside first..last are skipped, never padded.
#include "kernels/ref/ref.h"

#include <string.h>

#include "kernels/ref/elementary.h"
#include "kernels/ref/sum.h"
#include "tensor/half.h"

// ---- the cache

// q and scale of the n <= 32 elements of a Q8_0 block. The scale is a rounded f16; q are whole multiples of it.
static uint16_t quantize_block(const float *x, size_t n, int8_t *q)
{
    const float shift = 12582912.0f;
    float amax = 0.0f;
    for (size_t i = 0; i < n; i++) {
        float a = sc_f32_of_bits(sc_bits_of_f32(x[i]) & 0x7fffffffu);
        amax = a > amax || a != a ? a : amax;
    }
    uint16_t d = sc_half_from_f32(amax / 127.0f);
    float inverse = 1.0f / sc_half_to_f32(d);
    if (inverse - inverse != 0.0f || d >= 0x7c00u) inverse = 0.0f; // all zero, or not finite
    for (size_t i = 0; i < n; i++) {
        float t = x[i] * inverse;
        t = (t > 127.0f ? 127.0f : (t < -127.0f ? -127.0f : t)) + shift;
        q[i] = (int8_t)(d < 0x7c00u ? sc_bits_of_f32(t) - sc_bits_of_f32(shift) : 0u);
    }
    return d;
}

// Stores a vector whose element i is `step` elements after element i - 1, in Q8_0 with scales `step` apart too.
static void store_q8(void *values, void *scales, size_t step, size_t dim, const float *x)
{
    for (size_t start = 0; start < dim; start += SC_CACHE_BLOCK) {
        size_t n = dim - start < SC_CACHE_BLOCK ? dim - start : SC_CACHE_BLOCK;
        int8_t q[SC_CACHE_BLOCK];
        uint16_t d = quantize_block(x + start, n, q);
        memcpy((char *)scales + start / SC_CACHE_BLOCK * step * sizeof d, &d, sizeof d); // any address
        for (size_t i = 0; i < n; i++) ((int8_t *)values)[(start + i) * step] = q[i];
    }
}

static void store_vector(enum sc_cache_format format, char *row, size_t lane, size_t step, size_t dim, const float *x)
{
    if (format == SC_CACHE_Q8_0) {
        store_q8(row + lane, row + dim * step + 2 * lane, step, dim, x);
    } else if (format == SC_CACHE_F32) {
        float *to = (float *)(void *)row + lane;
        for (size_t i = 0; i < dim; i++) to[i * step] = x[i];
    } else {
        uint16_t *to = (uint16_t *)(void *)row + lane;
        for (size_t i = 0; i < dim; i++) to[i * step] = sc_half_from_f32(x[i]);
    }
}

void SC_REF(store)(const struct sc_kv *kv, size_t position, const float *k, const float *v)
{
    size_t s = position / SC_SEGMENT, at = position % SC_SEGMENT, lane = at % SC_LANES;
    char *keys = sc_kv_keys(kv, s) + (at - lane) * sc_cache_row_bytes(kv->format, kv->dim_k);
    store_vector(kv->format, keys, lane, SC_LANES, kv->dim_k, k);
    if (!kv->v) return;
    char *row = sc_kv_values(kv, s) + at * sc_cache_row_bytes(kv->format, kv->dim_v);
    store_vector(kv->format, row, 0, 1, kv->dim_v, v);
}

// Element i of a vector stored so.
static float load(enum sc_cache_format format, const char *row, size_t lane, size_t step, size_t dim, size_t i)
{
    if (format == SC_CACHE_F32) return ((const float *)(const void *)row)[i * step + lane];
    if (format == SC_CACHE_F16) return sc_half_to_f32(((const uint16_t *)(const void *)row)[i * step + lane]);
    uint16_t d;
    memcpy(&d, row + dim * step + (i / SC_CACHE_BLOCK * step + lane) * sizeof d, sizeof d);
    return (float)((const int8_t *)row)[i * step + lane] * sc_half_to_f32(d);
}

// The 16 keys of one group, elements `start..start + n`: out[i][lane].
static void load_keys(const struct sc_kv *kv, size_t group, size_t start, size_t n, float out[SC_SEGMENT][SC_LANES])
{
    size_t at = group * SC_LANES % SC_SEGMENT;
    const char *row = sc_kv_keys(kv, group * SC_LANES / SC_SEGMENT) + at * sc_cache_row_bytes(kv->format, kv->dim_k);
    for (size_t i = 0; i < n; i++)
        for (size_t l = 0; l < SC_LANES; l++) out[i][l] = load(kv->format, row, l, SC_LANES, kv->dim_k, start + i);
}

static float load_value(const struct sc_kv *kv, size_t p, size_t i)
{
    size_t s = p / SC_SEGMENT, at = p % SC_SEGMENT, lane = at % SC_LANES;
    if (kv->v) {
        const char *row = sc_kv_values(kv, s) + at * sc_cache_row_bytes(kv->format, kv->dim_v);
        return load(kv->format, row, 0, 1, kv->dim_v, i);
    }
    const char *row = sc_kv_keys(kv, s) + (at - lane) * sc_cache_row_bytes(kv->format, kv->dim_k);
    return load(kv->format, row, lane, SC_LANES, kv->dim_k, i);
}

// ---- one segment of one query

// The dot products of q with the 16 keys of one group.
static void score_group(const struct sc_kv *kv, const float *q, size_t group, float out[SC_LANES])
{
    float nodes[SC_TREE_LEVELS_MAX * SC_LANES], keys[SC_SEGMENT][SC_LANES];
    struct sc_row_tree tree = { nodes, SC_LANES, 0, 0 };
    for (size_t start = 0; start < kv->dim_k; start += SC_SEGMENT) {
        size_t n = kv->dim_k - start < SC_SEGMENT ? kv->dim_k - start : SC_SEGMENT;
        float lane[SC_LANES] = { 0 };
        load_keys(kv, group, start, n, keys);
        for (size_t i = 0; i < n; i++)
            for (size_t l = 0; l < SC_LANES; l++) lane[l] = __builtin_fmaf(q[start + i], keys[i][l], lane[l]);
        float *node = sc_row_tree_next(&tree);
        for (size_t l = 0; l < SC_LANES; l++) node[l] = lane[l];
        sc_row_tree_push(&tree);
    }
    sc_row_tree_finish(&tree);
    for (size_t l = 0; l < SC_LANES; l++) out[l] = nodes[l];
}

// score[p % 256] for the positions first..last of one segment; returns the greatest.
static float scores(const struct sc_attend *args, const float *q, size_t first, size_t last, float *score)
{
    for (size_t group = first / SC_LANES; group * SC_LANES < last; group++) {
        float *out = score + group * SC_LANES % SC_SEGMENT;
        score_group(&args->kv, q, group, out);
        for (size_t l = 0; l < SC_LANES; l++) out[l] = out[l] * args->scale;
        if (args->softcap != 0.0f)
            for (size_t l = 0; l < SC_LANES; l++) out[l] = args->softcap * sc_tanh(out[l] / args->softcap);
    }
    float max = score[first % SC_SEGMENT];
    for (size_t p = first; p < last; p++) max = score[p % SC_SEGMENT] > max ? score[p % SC_SEGMENT] : max;
    return max;
}

static void attend_segment(const struct sc_attend *args, const float *q, size_t first, size_t last, float *node)
{
    float score[SC_SEGMENT], lane[SC_LANES] = { 0 };
    size_t dim = args->kv.dim_v;
    float max = scores(args, q, first, last, score);
    for (size_t i = 0; i < dim; i++) node[i] = 0.0f;
    for (size_t p = first; p < last; p++) {
        float e = sc_exp(score[p % SC_SEGMENT] - max);
        lane[p % SC_LANES] = lane[p % SC_LANES] + e;
        for (size_t i = 0; i < dim; i++) node[i] = __builtin_fmaf(e, load_value(&args->kv, p, i), node[i]);
    }
    node[dim] = max + 0.0f; // never minus zero
    node[dim + 1] = sc_fold_lanes(lane);
}

// ---- nodes

void SC_REF(attend_join)(float *a, const float *b, size_t dim_v)
{
    float max = b[dim_v] > a[dim_v] ? b[dim_v] : a[dim_v];
    float of_a = sc_exp(a[dim_v] - max), of_b = sc_exp(b[dim_v] - max);
    for (size_t i = 0; i < dim_v; i++) a[i] = a[i] * of_a + b[i] * of_b;
    a[dim_v] = max;
    a[dim_v + 1] = a[dim_v + 1] * of_a + b[dim_v + 1] * of_b;
}

void SC_REF(attend_finish)(const float *node, const float *sink, float *y, size_t dim_v)
{
    float factor = 1.0f, total = node[dim_v + 1];
    if (sink) {
        float max = *sink > node[dim_v] ? *sink : node[dim_v];
        factor = sc_exp(node[dim_v] - max);
        total = total * factor + sc_exp(*sink - max);
    }
    factor = factor * (1.0f / total);
    for (size_t i = 0; i < dim_v; i++) y[i] = node[i] * factor;
}

void SC_REF(attend)(const struct sc_attend *args)
{
    size_t floats = sc_node_floats(args->kv.dim_v);
    float *nodes = args->scratch;
    for (size_t j = 0; j < args->n_queries; j++) {
        size_t depth = 0;
        for (size_t s = args->begin, n = 1; s < args->end; s++, n++) {
            size_t first = s * SC_SEGMENT, last = first + SC_SEGMENT;
            if (first < args->first[j]) first = args->first[j];
            if (last > args->last[j]) last = args->last[j];
            attend_segment(args, args->q[j], first, last, nodes + depth++ * floats);
            for (size_t pairs = n; (pairs & 1) == 0; pairs >>= 1, depth--)
                SC_REF(attend_join)(nodes + (depth - 2) * floats, nodes + (depth - 1) * floats, args->kv.dim_v);
        }
        for (; depth > 1; depth--)
            SC_REF(attend_join)(nodes + (depth - 2) * floats, nodes + (depth - 1) * floats, args->kv.dim_v);
        for (size_t i = 0; i < floats; i++) args->node[j][i] = nodes[i];
    }
}
