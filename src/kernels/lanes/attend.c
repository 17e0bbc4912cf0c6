// Attention: what ref/attend.c specifies, with 16 positions in lanes for scores and 16 elements in lanes for values.
//
//     for each segment of 256 positions
//         scores of all queries with its keys       a group of 16 keys at a time, some queries in registers
//         exponentials and their sums
//         weighted values of all queries            a value's elements at a time, some queries in registers
//         join the segment's nodes into the trees
//
// Queries share keys and values: each is widened from the cache's format once for several of them. Values that lie
// inside keys (latent attention) are turned around into rows first, 16 positions at a time.
#include "kernels/lanes/lanes.h"

#include <string.h>

#include "dot.h"
#include "kernels/ref/elementary.h"
#include "kernels/ref/sum.h"

#define ATTEND_INLINE static inline __attribute__((always_inline))

enum { WIDTH = LANES_WIDTH }; // elements of values at a time

struct work {
    const struct sc_attend *args;
    float *q;     // [dim_k][n_queries]: an element of all queries side by side
    float *score; // [n_queries][256], then the exponentials
    float *rows;  // [256][16]: turned values
    float *nodes; // [n_queries][levels][dim_v + 2]
    size_t levels, k_bytes, v_bytes;
};

// The segment's positions that one query sees.
struct span {
    size_t first, last;
};

static struct span span_of(const struct sc_attend *args, size_t j, size_t s)
{
    struct span span = { s * SC_SEGMENT, (s + 1) * SC_SEGMENT };
    if (args->first[j] > span.first) span.first = args->first[j];
    if (args->last[j] < span.last) span.last = args->last[j];
    return span;
}

// The 16 keys of a group.
static inline const char *keys_of(const struct work *w, size_t group)
{
    size_t at = group * SC_LANES % SC_SEGMENT;
    return sc_kv_keys(&w->args->kv, group * SC_LANES / SC_SEGMENT) + at * w->k_bytes;
}

// 16 elements of the cache: at `at`, in Q8_0 with the scales at `scales` (of each, or one of all).
ATTEND_INLINE lanes_f32 load_keys(enum sc_cache_format format, const char *at, lanes_f32 scales)
{
    if (format == SC_CACHE_F32) return lanes_load((const float *)(const void *)at);
    if (format == SC_CACHE_F16) return lanes_load_f16(at);
    return lanes_mul(lanes_of_i32(lanes_load_s8(at)), scales);
}

enum { KEYS_AHEAD = 4096, VALUES_AHEAD = 16 }; // prefetched: bytes, rows

// sum[g * queries + j] = fma over elements begin..end of queries j and the 16 keys of group g, `groups` of them at
// `keys`. Two groups together give few queries enough sums to keep the processor busy.
ATTEND_INLINE void dot_keys(const struct work *w, enum sc_cache_format format, const char *keys, const float *q,
                            size_t begin, size_t end, size_t groups, size_t queries, lanes_f32 *sum)
{
    size_t step = SC_LANES * (format == SC_CACHE_F32 ? 4 : format == SC_CACHE_F16 ? 2 : 1);
    size_t n_queries = w->args->n_queries, group_bytes = SC_LANES * w->k_bytes;
    lanes_f32 scales[2] = { lanes_zero(), lanes_zero() };
#pragma GCC unroll 8
    for (size_t j = 0; j < groups * queries; j++) sum[j] = lanes_zero();
    for (size_t i = begin; i < end; i++) {
#pragma GCC unroll 2
        for (size_t g = 0; g < groups; g++) {
            const char *at = keys + g * group_bytes;
            if (format == SC_CACHE_Q8_0 && i % SC_CACHE_BLOCK == 0)
                scales[g] = lanes_load_f16(at + w->args->kv.dim_k * SC_LANES + i / SC_CACHE_BLOCK * SC_LANES * 2);
            __builtin_prefetch(at + i * step + KEYS_AHEAD);
            lanes_f32 k = load_keys(format, at + i * step, scales[g]);
#pragma GCC unroll 8
            for (size_t j = 0; j < queries; j++)
                sum[g * queries + j] = lanes_fma(lanes_set(q[i * n_queries + j]), k, sum[g * queries + j]);
        }
    }
}

// Scores of `queries` queries from j0 on with `groups` groups of 16 keys.
ATTEND_INLINE void score_group(const struct work *w, enum sc_cache_format format, size_t group, size_t j0,
                               size_t groups, size_t queries)
{
    const struct sc_attend *args = w->args;
    const char *keys = keys_of(w, group);
    size_t dim = args->kv.dim_k, n_segments = (dim + SC_SEGMENT - 1) / SC_SEGMENT;
    lanes_f32 sum[LANES_QUERIES], scale = lanes_set(args->scale);
    float nodes[LANES_QUERIES][4 * SC_LANES]; // keys have at most 1024 elements
    size_t s = 0;
    do { // heads have at least one element
        size_t end = (s + 1) * SC_SEGMENT < dim ? (s + 1) * SC_SEGMENT : dim;
        dot_keys(w, format, keys, w->q + j0, s * SC_SEGMENT, end, groups, queries, sum);
        if (n_segments == 1) break;
#pragma GCC unroll 8
        for (size_t j = 0; j < groups * queries; j++) {
            float *node = nodes[j] + (size_t)__builtin_popcountll(s) * SC_LANES;
            for (size_t merges = (size_t)__builtin_ctzll(s + 1); merges > 0; merges--) {
                node -= SC_LANES;
                sum[j] = lanes_add(lanes_load(node), sum[j]);
            }
            lanes_store(node, sum[j]);
        }
    } while (++s < n_segments);
    size_t depth = n_segments == 1 ? 0 : (size_t)__builtin_popcountll(n_segments);
#pragma GCC unroll 8
    for (size_t j = 0; j < groups * queries; j++) {
        if (depth > 0) sum[j] = lanes_load(nodes[j] + (depth - 1) * SC_LANES);
        for (size_t i = depth; i > 1; i--) sum[j] = lanes_add(lanes_load(nodes[j] + (i - 2) * SC_LANES), sum[j]);
        float *score = w->score + (j0 + j % queries) * SC_SEGMENT + (group + j / queries) * SC_LANES % SC_SEGMENT;
        lanes_store(score, lanes_mul(sum[j], scale));
    }
}

ATTEND_INLINE void score_groups(const struct work *w, enum sc_cache_format format, struct span span)
{
    size_t n = w->args->n_queries, end = (span.last + SC_LANES - 1) / SC_LANES;
    for (size_t group = span.first / SC_LANES, groups; group < end; group += groups) {
        // With few queries two groups, unless they would leave the segment.
        groups = n < LANES_QUERIES && LANES_QUERIES >= 8 && group + 1 < end ? 2 : 1;
        for (size_t j = 0, left; (left = n - j) > 0;) {
            size_t queries = left >= LANES_QUERIES ? LANES_QUERIES : left >= 4 ? 4 : 1;
            if (groups == 2 && queries == 4) score_group(w, format, group, j, 2, LANES_QUERIES >= 8 ? 4 : 1);
            else if (groups == 2) score_group(w, format, group, j, 2, 1);
            else if (queries == LANES_QUERIES) score_group(w, format, group, j, 1, LANES_QUERIES);
            else if (queries == 4) score_group(w, format, group, j, 1, 4);
            else score_group(w, format, group, j, 1, 1);
            j += queries;
        }
    }
}

static void score_segment(const struct work *w, struct span span)
{
    if (w->args->kv.format == SC_CACHE_F32) score_groups(w, SC_CACHE_F32, span);
    else if (w->args->kv.format == SC_CACHE_F16) score_groups(w, SC_CACHE_F16, span);
    else score_groups(w, SC_CACHE_Q8_0, span);
}

// The greatest of score[first..last]; of equal ones any, and not-a-number never.
static float greatest(const float *score, size_t first, size_t last)
{
    float lane[SC_LANES], max = score[first];
    size_t p = first;
    if (last - first >= SC_LANES) {
        lanes_f32 most = lanes_load(score + p);
        for (p += SC_LANES; p + SC_LANES <= last; p += SC_LANES) most = lanes_max(lanes_load(score + p), most);
        lanes_store(lane, most);
        for (size_t l = 0; l < SC_LANES; l++) max = lane[l] > max ? lane[l] : max;
    }
    for (; p < last; p++) max = score[p] > max ? score[p] : max;
    return max;
}

// Scores become exponentials, 0 where the query sees nothing; the greatest score and the sum go to the node.
static void exponentials(const struct work *w, size_t j, struct span span, float *node)
{
    const struct sc_attend *args = w->args;
    float *score = w->score + j * SC_SEGMENT, lane[SC_LANES] = { 0 };
    size_t first = span.first % SC_SEGMENT, last = first + (span.last - span.first);
    if (args->softcap != 0.0f)
        for (size_t p = first; p < last; p++) score[p] = args->softcap * sc_tanh(score[p] / args->softcap);
    float max = greatest(score, first, last);
    for (size_t p = first; p < last; p++) score[p] = sc_exp(score[p] - max);
    size_t p = first;
    for (; p < last && p % SC_LANES; p++) lane[p % SC_LANES] = lane[p % SC_LANES] + score[p];
    for (; p + SC_LANES <= last; p += SC_LANES)
        for (size_t l = 0; l < SC_LANES; l++) lane[l] = lane[l] + score[p + l];
    for (; p < last; p++) lane[p % SC_LANES] = lane[p % SC_LANES] + score[p];
    node[args->kv.dim_v] = max + 0.0f;
    node[args->kv.dim_v + 1] = sc_fold_lanes(lane);
}

// ---- values

// Where the rows of values lie: row p at rows + (p - base) * row_bytes.
struct values {
    enum sc_cache_format format;
    const char *rows;
    size_t base, row_bytes, dim;
};

ATTEND_INLINE lanes_f32 load_value(const struct values *v, enum sc_cache_format format, const char *row, size_t i)
{
    if (format == SC_CACHE_F32) return lanes_load((const float *)(const void *)row + i);
    if (format == SC_CACHE_F16) return lanes_load_f16(row + 2 * i);
    uint16_t d;
    memcpy(&d, row + v->dim + i / SC_CACHE_BLOCK * 2, sizeof d);
    return lanes_mul(lanes_of_i32(lanes_load_s8(row + i)), lanes_set(sc_half_to_f32(d)));
}

// y[j][i0..] = fma over p of e[j][p] * value(p, i0..) for `queries` queries and `vectors` vectors of 16 elements.
ATTEND_INLINE void add_values(const struct values *v, enum sc_cache_format format, const float *const *e,
                              float *const *y, struct span span, size_t i0, size_t queries, size_t vectors)
{
    lanes_f32 sum[LANES_ROW_QUERIES][WIDTH / SC_LANES];
#pragma GCC unroll 4
    for (size_t j = 0; j < queries; j++)
#pragma GCC unroll 4
        for (size_t i = 0; i < vectors; i++) sum[j][i] = lanes_load(y[j] + i0 + i * SC_LANES);
    for (size_t p = span.first; p < span.last; p++) {
        const char *row = v->rows + (p - v->base) * v->row_bytes;
        lanes_f32 value[WIDTH / SC_LANES];
        __builtin_prefetch(row + VALUES_AHEAD * v->row_bytes);
        __builtin_prefetch(row + VALUES_AHEAD * v->row_bytes + 64);
#pragma GCC unroll 4
        for (size_t i = 0; i < vectors; i++) value[i] = load_value(v, format, row, i0 + i * SC_LANES);
#pragma GCC unroll 4
        for (size_t j = 0; j < queries; j++) {
            lanes_f32 weight = lanes_set(e[j][p % SC_SEGMENT]);
#pragma GCC unroll 4
            for (size_t i = 0; i < vectors; i++) sum[j][i] = lanes_fma(weight, value[i], sum[j][i]);
        }
    }
#pragma GCC unroll 4
    for (size_t j = 0; j < queries; j++)
#pragma GCC unroll 4
        for (size_t i = 0; i < vectors; i++) lanes_store(y[j] + i0 + i * SC_LANES, sum[j][i]);
}

// The elements that do not fill a vector.
static void add_last_values(const struct values *v, const float *e, float *y, struct span span, size_t i0)
{
    for (size_t p = span.first; p < span.last; p++) {
        const char *row = v->rows + (p - v->base) * v->row_bytes;
        for (size_t i = i0; i < v->dim; i++) {
            float value;
            if (v->format == SC_CACHE_F32) {
                value = ((const float *)(const void *)row)[i];
            } else if (v->format == SC_CACHE_F16) {
                value = sc_half_to_f32(((const uint16_t *)(const void *)row)[i]);
            } else {
                uint16_t d;
                memcpy(&d, row + v->dim + i / SC_CACHE_BLOCK * 2, sizeof d);
                value = (float)((const int8_t *)row)[i] * sc_half_to_f32(d);
            }
            y[i] = __builtin_fmaf(e[p % SC_SEGMENT], value, y[i]);
        }
    }
}

// Queries that see the same positions, all elements.
ATTEND_INLINE void add_some(const struct values *v, enum sc_cache_format format, const float *const *e, float *const *y,
                            struct span span, size_t queries)
{
    size_t i = 0;
    for (; i + WIDTH <= v->dim; i += WIDTH) add_values(v, format, e, y, span, i, queries, WIDTH / SC_LANES);
    for (; i + SC_LANES <= v->dim; i += SC_LANES) add_values(v, format, e, y, span, i, queries, 1);
    for (size_t j = 0; j < queries && i < v->dim; j++) add_last_values(v, e[j], y[j], span, i);
}

ATTEND_INLINE void add_all(const struct values *v, enum sc_cache_format format, size_t n, const float *const *e,
                           float *const *y, const struct span *spans)
{
    for (size_t j = 0, together; j < n; j += together) {
        for (together = 1; together < LANES_ROW_QUERIES && j + together < n; together++)
            if (spans[j + together].first != spans[j].first || spans[j + together].last != spans[j].last) break;
        if (spans[j].first >= spans[j].last) continue;
        if (together == LANES_ROW_QUERIES) {
            add_some(v, format, e + j, y + j, spans[j], LANES_ROW_QUERIES);
            continue;
        }
        together = 1;
        add_some(v, format, e + j, y + j, spans[j], 1);
    }
}

static void add_rows(const struct values *v, size_t n, const float *const *e, float *const *y, const struct span *spans)
{
    if (v->format == SC_CACHE_F32) add_all(v, SC_CACHE_F32, n, e, y, spans);
    else if (v->format == SC_CACHE_F16) add_all(v, SC_CACHE_F16, n, e, y, spans);
    else add_all(v, SC_CACHE_Q8_0, n, e, y, spans);
}

// Elements i0..i0 + n of the 16 keys of a group, as rows of 16 floats: out[lane][i].
static void turn_keys(const struct work *w, size_t group, size_t i0, size_t n, float *out)
{
    const struct sc_kv *kv = &w->args->kv;
    const char *keys = keys_of(w, group);
    size_t step = SC_LANES * (kv->format == SC_CACHE_F32 ? 4 : kv->format == SC_CACHE_F16 ? 2 : 1);
    float columns[SC_LANES][SC_LANES];
    for (size_t i = 0; i < n; i++) {
        const char *at = keys + (i0 + i) * step, *d = keys + kv->dim_k * SC_LANES;
        lanes_f32 scales = lanes_zero();
        if (kv->format == SC_CACHE_Q8_0) scales = lanes_load_f16(d + (i0 + i) / SC_CACHE_BLOCK * SC_LANES * 2);
        lanes_f32 k = kv->format == SC_CACHE_F32   ? load_keys(SC_CACHE_F32, at, scales)
                      : kv->format == SC_CACHE_F16 ? load_keys(SC_CACHE_F16, at, scales)
                                                   : load_keys(SC_CACHE_Q8_0, at, scales);
        lanes_store(columns[i], k);
    }
    for (size_t l = 0; l < SC_LANES; l++)
        for (size_t i = 0; i < n; i++) out[l * SC_LANES + i] = columns[i][l];
}

// Values inside keys: 16 elements of the segment's positions at a time, turned once and used by all queries.
static void add_latent(const struct work *w, size_t n, const float *const *e, float *const *y, const struct span *spans)
{
    struct span all = spans[0];
    for (size_t j = 1; j < n; j++) {
        if (spans[j].first < all.first) all.first = spans[j].first;
        if (spans[j].last > all.last) all.last = spans[j].last;
    }
    size_t base = all.first / SC_LANES * SC_LANES;
    for (size_t i = 0; i < w->args->kv.dim_v; i += SC_LANES) {
        size_t width = w->args->kv.dim_v - i < SC_LANES ? w->args->kv.dim_v - i : SC_LANES;
        float *part[SC_QUERIES_MAX];
        for (size_t j = 0; j < n; j++) part[j] = y[j] + i;
        for (size_t p = base; p < all.last; p += SC_LANES)
            turn_keys(w, p / SC_LANES, i, width, w->rows + (p - base) * SC_LANES);
        struct values v = { SC_CACHE_F32, (const char *)w->rows, base, SC_LANES * sizeof(float), width };
        add_rows(&v, n, e, part, spans);
    }
}

// ---- trees of nodes

static float *node_at(const struct work *w, size_t j, size_t depth)
{
    return w->nodes + (j * w->levels + depth) * sc_node_floats(w->args->kv.dim_v);
}

static void attend_segment(const struct work *w, size_t s, size_t depth)
{
    const struct sc_attend *args = w->args;
    struct span spans[SC_QUERIES_MAX], all = { (s + 1) * SC_SEGMENT, s * SC_SEGMENT };
    const float *e[SC_QUERIES_MAX];
    float *y[SC_QUERIES_MAX];
    for (size_t j = 0; j < args->n_queries; j++) {
        spans[j] = span_of(args, j, s);
        if (spans[j].first < all.first) all.first = spans[j].first;
        if (spans[j].last > all.last) all.last = spans[j].last;
    }
    score_segment(w, all);
    for (size_t j = 0; j < args->n_queries; j++) {
        e[j] = w->score + j * SC_SEGMENT;
        y[j] = node_at(w, j, depth);
        memset(y[j], 0, args->kv.dim_v * sizeof(float));
        exponentials(w, j, spans[j], y[j]);
    }
    struct values v = { args->kv.format, NULL, s * SC_SEGMENT, w->v_bytes, args->kv.dim_v };
    if (args->kv.v) v.rows = sc_kv_values(&args->kv, s);
    if (args->kv.v) add_rows(&v, args->n_queries, e, y, spans);
    else add_latent(w, args->n_queries, e, y, spans);
}

static void turn_queries(const struct work *w)
{
    const struct sc_attend *args = w->args;
    for (size_t j = 0; j < args->n_queries; j++)
        for (size_t i = 0; i < args->kv.dim_k; i++) w->q[i * args->n_queries + j] = args->q[j][i];
}

void SC_LANES_NAME(attend)(const struct sc_attend *args)
{
    float *scratch = args->scratch;
    size_t dim_v = args->kv.dim_v, depth = 0;
    struct work w = { .args = args, .levels = 2 };
    for (size_t n = args->end - args->begin; n > 0; n /= 2) w.levels++;
    w.score = scratch;
    w.rows = w.score + SC_QUERIES_MAX * SC_SEGMENT;
    w.q = w.rows + SC_SEGMENT * SC_LANES;
    w.nodes = w.q + args->n_queries * args->kv.dim_k;
    w.k_bytes = sc_cache_row_bytes(args->kv.format, args->kv.dim_k);
    w.v_bytes = sc_cache_row_bytes(args->kv.format, dim_v);
    turn_queries(&w);
    for (size_t s = args->begin, n = 1; s < args->end; s++, n++) {
        attend_segment(&w, s, depth++);
        for (size_t pairs = n; (pairs & 1) == 0; pairs >>= 1, depth--)
            for (size_t j = 0; j < args->n_queries; j++)
                SC_REF(attend_join)(node_at(&w, j, depth - 2), node_at(&w, j, depth - 1), dim_v);
    }
    for (; depth > 1; depth--)
        for (size_t j = 0; j < args->n_queries; j++)
            SC_REF(attend_join)(node_at(&w, j, depth - 2), node_at(&w, j, depth - 1), dim_v);
    for (size_t j = 0; j < args->n_queries; j++)
        memcpy(args->node[j], node_at(&w, j, 0), sc_node_floats(dim_v) * sizeof(float));
}
