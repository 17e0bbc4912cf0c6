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
    SC_COLUMNS_MAX = 64,     // activation rows that one matrix-product call takes
    SC_TREE_LEVELS_MAX = 32, // 2^32 segments
    SC_EXPERTS_MAX = 1024,
    SC_HEAD_DIM_MAX = 1024, // of keys and values
    SC_PEAK_MACS = 8192,    // multiply-adds in one repetition of the two peak loops
};

// One row of k activations as integers: x[i] ~ q[i] * d[i / 256], |q| <= 127.
struct sc_q8 {
    int8_t *q;     // [k]
    float *d;      // [ceil(k / 256)]
    int16_t *sums; // [k / 16]: sums of 16 neighbours of q, for formats with mins
};

// y[c][r] = sum over i < k of weight[r][i] * x[c][i], for r < n_rows, c < n_columns <= SC_COLUMNS_MAX.
struct sc_matmul {
    const struct sc_format *format;
    const void *rows;  // row 0
    size_t row_stride; // bytes
    size_t n_rows, k, n_columns;
    const float *const *x;  // float formats: n_columns rows of k
    const struct sc_q8 *xq; // quantized formats: n_columns rows
    float *const *y;        // n_columns rows of n_rows
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
// in lanes; values are row by row:
//     key(p, i) at k[(p / 16 * dim_k + i) * 16 + p % 16]      value(p, i) at v[p * dim_v + i]
// With v == NULL the values are the first dim_v elements of the keys (latent attention's one compressed cache).
struct sc_kv {
    void *k, *v;
    size_t dim_k, dim_v;
    bool f32; // else f16
};

// One query head at one position against keys first <= p < last.
struct sc_attend {
    struct sc_kv kv;
    const float *q; // [dim_k]
    float *y;       // [dim_v]
    size_t first, last;
    float scale;       // of the dot products
    float softcap;     // 0: none; else score = cap * tanh(score / cap)
    const float *sink; // NULL, or one more score that takes weight and has no value
    float *scratch;    // sc_attend_scratch(last, dim_v) floats
};

static inline size_t sc_attend_scratch(size_t last, size_t dim_v)
{
    return (last + SC_LANES) + (SC_TREE_LEVELS_MAX + 1) * dim_v + SC_LANES * dim_v;
}

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
    // A scale for every 256 elements: d = amax / 127, q = round(x * (127 / amax)), ties to even; all zero: d = 0.
    void (*quantize)(const float *x, size_t n, struct sc_q8 *out);
    float (*norm)(const struct sc_norm *args);
    // Angles of one position: turns[j] is pair j's frequency in 2^-64 turns a position; cos and sin are times `gain`.
    void (*rope_angles)(const uint64_t *turns, size_t n_pairs, uint32_t position, float gain, float *cos, float *sin);
    void (*rope)(const struct sc_rope *args);
    void (*store)(const struct sc_kv *kv, size_t position, const float *k, const float *v);
    void (*attend)(const struct sc_attend *args);
    // y = act(gate) * up
    void (*glu)(enum sc_activation activation, const float *gate, const float *up, float *y, size_t n);
    void (*add)(const float *a, const float *b, float *y, size_t n);
    void (*scale)(const float *x, float factor, float *y, size_t n);
    void (*softcap)(const float *x, float cap, float *y, size_t n);
    void (*route)(const struct sc_route *args);
    // y = w[0] * x[0], then y = fma(w[e], x[e], y) in order: the experts' answers of one token.
    void (*expert_sum)(const float *x, size_t stride, const float *weights, size_t n_used, float *y, size_t n);

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
