// The arithmetic: every kernel, as one table of functions per instruction-set level.
//
// Kernels include only element formats: they allocate nothing, do no I/O, know no threads and cannot fail.
// src/kernels/ref/ is the specification (docs/numerics.md says it in words). Every level gives the same bits.
//
// Sums. One shape everywhere, set by indices alone: segments of 256 elements, joined by a binary tree that pairs
// neighbours and passes an odd one up (sum.h). Nothing here depends on threads, batch, tile or vector width.
#ifndef SC_KERNELS_KERNELS_H
#define SC_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tensor/format.h"

enum {
    SC_SEGMENT = 256,        // elements per segment of a sum, and per activation scale
    SC_LANES = 16,           // output rows or keys computed side by side
    SC_PANEL = 12,           // activation rows side by side in a panel
    SC_COLUMNS_MAX = 48,     // activation rows that one matrix-product call takes: whole panels
    SC_TREE_LEVELS_MAX = 32, // 2^32 segments
    SC_EXPERTS_MAX = 1024,
    SC_HEAD_DIM_MAX = 1024, // of keys and values
    SC_QUERIES_MAX = 64,    // query heads that one attention call takes
    SC_CACHE_BLOCK = 32,    // elements under one scale of a Q8_0 cache
    SC_PEAK_MACS = 12288,   // multiply-adds in one repetition of the two peak loops
};

// Up to SC_PANEL rows of k activations as integers, side by side, by quads of 4 elements:
//     x[c][i] ~ q[(i / 4 * n + c) * 4 + i % 4] * d[i / 256 * n + c],    |q| <= 127
struct sc_panel {
    size_t n;      // columns
    int8_t *q;     // [k / 4][n][4]; of the last quad, elements past k are 0
    float *d;      // [ceil(k / 256)][n]
    int16_t *sums; // [k / 16][n]: sums of 16 neighbours of q, for formats with mins or offsets
    int16_t *most; // [ceil(k / 256)]: the largest sum of 16 neighbours of |q|, of any column
};

static inline size_t sc_align_64(size_t n_bytes) { return (n_bytes + 63) & ~(size_t)63; }

// Bytes of a panel of n columns of k, and its parts in such memory (aligned to 64).
static inline size_t sc_panel_bytes(size_t k, size_t n)
{
    size_t segments = (k + SC_SEGMENT - 1) / SC_SEGMENT, q = (k + 3) / 4 * 4 * n, sums = (k + 15) / 16 * 2 * n;
    return sc_align_64(q) + sc_align_64(4 * segments * n) + sc_align_64(sums) + sc_align_64(2 * segments);
}

static inline struct sc_panel sc_panel_at(void *memory, size_t k, size_t n)
{
    size_t segments = (k + SC_SEGMENT - 1) / SC_SEGMENT;
    char *d = (char *)memory + sc_align_64((k + 3) / 4 * 4 * n), *sums = d + sc_align_64(4 * segments * n);
    char *most = sums + sc_align_64((k + 15) / 16 * 2 * n);
    return (struct sc_panel){ n, memory, (float *)(void *)d, (int16_t *)(void *)sums, (int16_t *)(void *)most };
}

// y[c][r] = sum over i < k of weight[r][i] * x[c][i], for r < n_rows, c < n_columns <= SC_COLUMNS_MAX.
struct sc_matmul {
    const struct sc_format *format;
    const void *groups; // packed rows (tensor/packed.h): row 0 is the first of its group
    size_t group_bytes; // from one group of 16 rows to the next
    size_t n_rows, k, n_columns;
    const float *const *x;         // float formats: n_columns rows of k
    const struct sc_panel *panels; // quantized formats: n_columns columns, all panels full but the last
    float *const *y;               // n_columns rows of n_rows
    void *scratch;                 // sc_matmul_scratch(k, n_columns) bytes, aligned to 64
};

// Offsets, sums of activations by group and the nodes of a tree of sums, for each column; or panels of float columns.
static inline size_t sc_matmul_scratch(size_t k, size_t n_columns)
{
    size_t levels = 2;
    for (size_t n = k / SC_SEGMENT; n > 0; n /= 2) levels++;
    size_t quantized = n_columns * (k / 16 * 8 + (k + 4) + levels * SC_LANES * 4), floats = n_columns / SC_PANEL * SC_PANEL * (k + 4) * 4;
    return (quantized > floats ? quantized : floats) + 1024;
}

// One segment of a product of two matrices of floats, of which training has many kinds (program/gemm.h):
//     c[j][i] = sum over p < k of a[i][p] * b[j][p], in order        k <= 256
struct sc_gemm {
    const float *a;              // [ceil(n_rows / 16)][k][16]: rows in lanes
    const float *b;              // [ceil(n_columns / 12)][k][12]: columns side by side
    size_t n_rows, n_columns, k; // what a and b have past them may be any numbers
    float *c;                    // [n_columns][stride], stride a multiple of 16: up to the next 16 rows are written
    size_t stride;
};

// Turns an n x m matrix of floats around: y[j * y_stride + i] = x[i * x_stride + j].
struct sc_transpose {
    const float *x;
    float *y;
    size_t x_stride, y_stride, n, m;
};

// y = x * w (w may be NULL: y = x) and *r = 1 / sqrt(sum(x^2) / n + eps); with `apply`, y = (x * w) * r.
struct sc_norm {
    const float *x, *w;
    float *y;
    size_t n;
    float eps;
    bool apply;
};

// Rotary embedding of one head: pair j of n_pairs turns by the angle phase[j] (a fraction of a turn in 2^-64).
// Pair j is (2j, 2j + 1), or with `halves` (j, j + n_pairs). Elements past 2 * n_pairs are copied.
struct sc_rope {
    const float *x;
    float *y; // may be x
    size_t n, n_pairs;
    bool halves;
    const float *cos, *sin; // [n_pairs], from rope_angles
};

// Where keys and values of one layer and one kv head lie. Keys are interleaved by 16 positions so that positions sit
// in lanes; values are row by row. As f16 or f32:
//     key(p, i) at k[(p / 16 * dim_k + i) * 16 + p % 16]      value(p, i) at v[p * dim_v + i]
// As Q8_0, blocks of 32 elements (the last may be short) share an f16 scale, which lies behind the bytes:
//     keys, for every 16 positions       [dim_k][16] int8, [ceil(dim_k / 32)][16] f16
//     values, for every position         [dim_v] int8, [ceil(dim_v / 32)] f16
// With v == NULL the values are the first dim_v elements of the keys (latent attention's one compressed cache).
// With `segments` each segment of 256 positions lies by itself: p is then counted within it, and segments[p / 256]
// bytes are added to k and to v.
enum sc_cache_format { SC_CACHE_F16, SC_CACHE_F32, SC_CACHE_Q8_0 };
struct sc_kv {
    void *k, *v;
    size_t dim_k, dim_v;
    enum sc_cache_format format;
    const size_t *segments; // NULL: they follow each other
};

static inline size_t sc_cache_scales(size_t dim) { return (dim + SC_CACHE_BLOCK - 1) / SC_CACHE_BLOCK; }

// Bytes of one position's elements of one head; 16 positions' keys are 16 times as many.
static inline size_t sc_cache_row_bytes(enum sc_cache_format format, size_t dim)
{
    if (format == SC_CACHE_Q8_0) return dim + 2 * sc_cache_scales(dim);
    return dim * (format == SC_CACHE_F32 ? 4 : 2);
}

// From k, or v with rows of dim elements, to where segment s begins.
static inline size_t sc_kv_segment(const struct sc_kv *kv, size_t s, size_t dim)
{
    return kv->segments ? kv->segments[s] : s * SC_SEGMENT * sc_cache_row_bytes(kv->format, dim);
}
static inline char *sc_kv_keys(const struct sc_kv *kv, size_t s)
{
    return (char *)kv->k + sc_kv_segment(kv, s, kv->dim_k);
}
static inline char *sc_kv_values(const struct sc_kv *kv, size_t s)
{
    return (char *)kv->v + sc_kv_segment(kv, s, kv->dim_v);
}

// Query heads that share a kv head, each against its keys first <= p < last, of these only the ones in segments
// begin <= s < end of 256 positions. Each gives a node: the greatest score, the sum of exponentials, and the weighted
// values, which sc_kernels.attend_join can join to others.
struct sc_attend {
    struct sc_kv kv;
    size_t n_queries;      // at most SC_QUERIES_MAX
    const float *const *q; // [n_queries] rows of dim_k
    float *const *node;    // [n_queries] rows of sc_node_floats(dim_v)
    const uint32_t *first, *last;
    size_t begin, end; // segments; every query has keys in each
    float scale;       // of the dot products
    float softcap;     // 0: none; else score = cap * tanh(score / cap)
    void *scratch;     // sc_attend_scratch(dim_k, dim_v, n_segments) bytes, aligned to 64
};

// A node: [dim_v] values, the greatest score, the sum.
static inline size_t sc_node_floats(size_t dim_v) { return dim_v + 2; }

// Scores of a segment, queries turned around, and a tree of nodes, for SC_QUERIES_MAX queries.
static inline size_t sc_attend_scratch(size_t dim_k, size_t dim_v, size_t n_segments)
{
    size_t levels = 2;
    for (; n_segments > 0; n_segments /= 2) levels++;
    return 4 * (SC_QUERIES_MAX * (SC_SEGMENT + dim_k + levels * sc_node_floats(dim_v)) + SC_SEGMENT * SC_LANES) + 1024;
}

// The softmax of one row of scores and its adjoint: score[j] becomes its share p = exp(score - max) / sum, of keys
// begin
// <= j < end (others: 0), and d_share[j], the derivative by the share, becomes that by the score before scaling:
//     p * (d_share - mean) * slope * scale        slope: 1 - (score / softcap)^2 where scores are capped
// score comes in as the plain dot products. n: how many there are. `sink`: one more score, or NULL; its derivative is
// added to *d_sink. mean: what the shares' derivatives are on average, which is answer . d_answer.
struct sc_softmax_adjoint {
    float *score, *d_share;
    size_t begin, end, n;
    float scale, softcap, mean;
    const float *sink;
    float *d_sink;
};

// Adam's step with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101), for n weights:
//     m = beta1 m + (1 - beta1) g      v = beta2 v + (1 - beta2) g^2           g: the gradient times `clip`
//     w = w - rate (decay w) - rate / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps)
struct sc_adamw {
    float *w, *m, *v;
    const float *g;
    size_t n;
    float clip, rate, decay, beta1, beta2, eps;
    float correction1, correction2; // 1 - beta^t
};

enum sc_activation { SC_SILU, SC_GELU, SC_SWIGLU_OAI };
enum sc_gating { SC_GATING_SOFTMAX = 1, SC_GATING_SIGMOID = 2, SC_GATING_SOFTMAX_TOP = 3 };

// Chooses n_used of n_experts for one token (docs/numerics.md, "Routing").
struct sc_route {
    const float *logits;                               // [n_experts]
    const float *bias;                                 // [n_experts] added for the choice only, or NULL
    size_t n_experts, n_used, n_groups, n_groups_used; // n_groups <= 1: no groups
    enum sc_gating gating;
    bool normalize;
    float scale;
    int32_t *ids;   // [n_used], best first; ties: the lower id
    float *weights; // [n_used]
};

struct sc_kernels {
    const char *name; // "base", "v3", ...
    const char *description;
    bool (*supported)(void); // by this CPU and operating system

    void (*matmul_float)(const struct sc_matmul *args);
    void (*matmul_quantized)(const struct sc_matmul *args);
    // After a product: y = y * a * b + bias, from the left; a and b are skipped when 1 is passed, bias when NULL.
    void (*finish)(float *y, size_t n, float a, float b, const float *bias);
    // Rows x[c] of k. A scale for every 256 elements: d = amax / 127, q = round(x * (127 / amax)), ties to even; all
    // zero: d = 0. out->n rows.
    void (*quantize)(const float *const *x, size_t k, const struct sc_panel *out);
    float (*norm)(const struct sc_norm *args);
    // Angles of one position: turns[j] is pair j's frequency in 2^-64 turns a position; cos and sin are times `gain`.
    void (*rope_angles)(const uint64_t *turns, size_t n_pairs, uint32_t position, float gain, float *cos, float *sin);
    void (*rope)(const struct sc_rope *args);
    void (*store)(const struct sc_kv *kv, size_t position, const float *k, const float *v);
    void (*attend)(const struct sc_attend *args);
    // a = a joined with b, both nodes of dim_v values, b's keys after a's.
    void (*attend_join)(float *a, const float *b, size_t dim_v);
    // y = the values of a node over its sum; `sink` (or NULL) is one more score, which has weight and no value.
    void (*attend_finish)(const float *node, const float *sink, float *y, size_t dim_v);
    // y = act(gate) * up
    void (*glu)(enum sc_activation activation, const float *gate, const float *up, float *y, size_t n);
    void (*add)(const float *a, const float *b, float *y, size_t n);
    void (*scale)(const float *x, float factor, float *y, size_t n);
    void (*softcap)(const float *x, float cap, float *y, size_t n);
    // y = exp((x - max) * factor): what tokens weigh beside the most probable one. y may be x.
    void (*weigh)(const float *x, float max, float factor, float *y, size_t n);
    void (*route)(const struct sc_route *args);
    // y = w[0] * x[0], then y = fma(w[e], x[e], y) in order: the experts' answers of one token.
    void (*expert_sum)(const float *x, size_t stride, const float *weights, size_t n_used, float *y, size_t n);

    // ---- training: adjoints and what belongs to them. dy is the derivative of the loss by an op's output, dx by its
    // input.

    void (*gemm)(const struct sc_gemm *args);
    void (*transpose)(const struct sc_transpose *args);
    // dx = (dy * w - x * c) * r with c = sum(dy * w * x) * r^2 / n; w may be NULL. Of x * w * r, however late r came.
    void (*norm_adjoint)(const float *x, const float *w, float r, const float *dy, float *dx, size_t n);
    void (*glu_adjoint)(enum sc_activation activation, const float *gate, const float *up, const float *dy,
                        float *d_gate, float *d_up, size_t n);
    // The derivative by all experts' logits from that by the chosen ones' weights; args as `route` left them.
    void (*route_adjoint)(const struct sc_route *args, const float *d_weights, float *d_logits);
    void (*softcap_adjoint)(const float *y, float cap, const float *dy, float *dx, size_t n);
    void (*softmax_adjoint)(const struct sc_softmax_adjoint *args);
    // The answer's dot product with its derivative: sum of x * y, sixteen lanes.
    float (*dot)(const float *x, const float *y, size_t n);
    // y = fma(factor, x, y)
    void (*add_scaled)(const float *x, float factor, float *y, size_t n);
    // y[i] = fma(a[i] * b[i], factor, y[i]): a row's part in the derivative by a weight of every element.
    void (*add_products)(const float *a, const float *b, float factor, float *y, size_t n);
    // Of logits x: the greatest, and the sum of exp(x - max), sixteen lanes.
    void (*log_sum)(const float *x, size_t n, float *max, float *sum);
    // x = exp(x - max) * factor
    void (*shares)(float *x, size_t n, float max, float factor);
    void (*adamw)(const struct sc_adamw *args);
    // Sum of squares, in sixteen lanes of binary64, folded pairwise.
    double (*square_sum)(const float *x, size_t n);
    // y = x / keep or 0, as the numbers of Philox at (counter + i / 4) say; keep: the share that stays. y may be x.
    void (*dropout)(const float *x, float *y, size_t n, uint64_t key, uint64_t counter, float keep);

    // For measuring only (peak.c): n repetitions of SC_PEAK_MACS multiply-adds on data in the first-level cache, int8
    // products summed in int32 and fused multiply-adds of f32. What they return says only that they ran.
    int64_t (*peak_int8)(size_t n);
    float (*peak_f32)(size_t n);
};

// The best level that this machine supports, or the one called `name` (NULL: SOCLE_CPU, then the best).
// Errors: SOCLE_BAD_ARGUMENT names the levels there are; SOCLE_UNSUPPORTED one that this machine lacks.
socle_status sc_kernels_choose(const char *name, const struct sc_kernels **out, socle_error *err);
// The i-th level from the plainest to the best, or NULL past the last.
const struct sc_kernels *sc_kernels_at(size_t i);

#endif
