// Attention: what ref/attend.c specifies, with 16 positions in lanes for scores and 16 elements in lanes for values.
// Its steps are those of lanes/attend.c:
//
//     for each segment of 256 positions
//         scores of all queries with its keys       a group of 16 keys at a time, four queries or one
//         exponentials and their sums
//         weighted values of all queries            16 elements at a time, four queries or one
//         join the segment's nodes into the trees
//
// Values that lie inside keys (latent attention) are turned around into rows first, 16 positions at a time.
#include "kernels/lanes/lanes.h"

#include <string.h>

#include "kernels/ref/elementary.h"
#include "kernels/ref/sum.h"
#include "kernels/riscv/rvv/vectors.h"

enum { QUERIES = 4 }; // together

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

// ---- scores

static size_t element_bytes(enum sc_cache_format format)
{
    return format == SC_CACHE_F32 ? 4 : format == SC_CACHE_F16 ? 2 : 1;
}

// The 16 keys' element i; formats are constants.
VECTOR_INLINE vfloat32m4_t load_keys(enum sc_cache_format format, const char *keys, size_t dim, size_t i)
{
    const char *at = keys + i * SC_LANES * element_bytes(format);
    if (format == SC_CACHE_F32) return load_f32(at);
    if (format == SC_CACHE_F16) return load_f16(at);
    vfloat32m4_t scales = load_f16(keys + (dim + i / SC_CACHE_BLOCK * 2) * SC_LANES);
    return __riscv_vfmul_vv_f32m4(load_s8(at, SC_LANES), scales, SC_LANES);
}

static void store_scores(const struct work *w, size_t group, size_t j, vfloat32m4_t sum)
{
    float *score = w->score + j * SC_SEGMENT + group * SC_LANES % SC_SEGMENT;
    store_f32(score, __riscv_vfmul_vf_f32m4(sum, w->args->scale, SC_LANES));
}

VECTOR_INLINE void score_four(const struct work *w, enum sc_cache_format format, size_t group, size_t j)
{
    const char *keys = keys_of(w, group);
    size_t dim = w->args->kv.dim_k, n = w->args->n_queries, n_segments = (dim + SC_SEGMENT - 1) / SC_SEGMENT;
    float nodes[QUERIES][4 * SC_LANES]; // keys have at most 1024 elements
    const float *q = w->q + j;
    for (size_t s = 0, i = 0; s < n_segments; s++) {
        vfloat32m4_t a = set_f32(0.0f), b = a, c = a, d = a;
        for (size_t end = i + SC_SEGMENT < dim ? i + SC_SEGMENT : dim; i < end; i++, q += n) {
            vfloat32m4_t k = load_keys(format, keys, dim, i);
            a = fma_f32(q[0], k, a);
            b = fma_f32(q[1], k, b);
            c = fma_f32(q[2], k, c);
            d = fma_f32(q[3], k, d);
        }
        push_segment(nodes[0], s, a);
        push_segment(nodes[1], s, b);
        push_segment(nodes[2], s, c);
        push_segment(nodes[3], s, d);
    }
    for (size_t i = 0; i < QUERIES; i++) store_scores(w, group, j + i, finish_tree(nodes[i], n_segments));
}

VECTOR_INLINE void score_one(const struct work *w, enum sc_cache_format format, size_t group, size_t j)
{
    const char *keys = keys_of(w, group);
    size_t dim = w->args->kv.dim_k, n = w->args->n_queries, n_segments = (dim + SC_SEGMENT - 1) / SC_SEGMENT;
    float nodes[4 * SC_LANES];
    for (size_t s = 0, i = 0; s < n_segments; s++) {
        vfloat32m4_t a = set_f32(0.0f);
        for (size_t end = i + SC_SEGMENT < dim ? i + SC_SEGMENT : dim; i < end; i++)
            a = fma_f32(w->q[i * n + j], load_keys(format, keys, dim, i), a);
        push_segment(nodes, s, a);
    }
    store_scores(w, group, j, finish_tree(nodes, n_segments));
}

VECTOR_INLINE void score_groups(const struct work *w, enum sc_cache_format format, struct span span)
{
    for (size_t group = span.first / SC_LANES; group * SC_LANES < span.last; group++) {
        size_t j = 0;
        for (; j + QUERIES <= w->args->n_queries; j += QUERIES) score_four(w, format, group, j);
        for (; j < w->args->n_queries; j++) score_one(w, format, group, j);
    }
}

static void score_segment(const struct work *w, struct span span)
{
    if (w->args->kv.format == SC_CACHE_F32) score_groups(w, SC_CACHE_F32, span);
    else if (w->args->kv.format == SC_CACHE_F16) score_groups(w, SC_CACHE_F16, span);
    else score_groups(w, SC_CACHE_Q8_0, span);
}

// The greatest of score[first..last]; not-a-number only where it is the first, as in the reference.
static float greatest(const float *score, size_t first, size_t last)
{
    vfloat32m1_t most = __riscv_vfmv_v_f_f32m1(score[first], 1);
    if (score[first] != score[first]) return score[first];
    for (size_t n; first < last; first += n) {
        n = __riscv_vsetvl_e32m8(last - first);
        most = __riscv_vfredmax_vs_f32m8_f32m1(__riscv_vle32_v_f32m8(score + first, n), most, n);
    }
    return __riscv_vfmv_f_s_f32m1_f32(most);
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

// `width` <= 16 elements of a row from i on; with Q8_0 they share a scale.
VECTOR_INLINE vfloat32m4_t load_value(const struct values *v, enum sc_cache_format format, size_t p, size_t i,
                                      size_t width)
{
    const char *row = v->rows + (p - v->base) * v->row_bytes;
    if (format == SC_CACHE_F32) return __riscv_vle32_v_f32m4((const float *)(const void *)row + i, width);
    if (format == SC_CACHE_F16)
        return f32_of_f16(__riscv_vle16_v_i16m2((const int16_t *)(const void *)row + i, width), width);
    uint16_t d;
    memcpy(&d, row + v->dim + i / SC_CACHE_BLOCK * 2, sizeof d); // any address
    return __riscv_vfmul_vf_f32m4(load_s8(row + i, width), sc_half_to_f32(d), width);
}

// y[j][i..] = fma over positions of e[j][p] * value(p, i..) for four queries that see the same positions.
VECTOR_INLINE void add_four(const struct values *v, enum sc_cache_format format, const float *const *e, float *const *y,
                            struct span span, size_t i, size_t width)
{
    const float *e0 = e[0], *e1 = e[1], *e2 = e[2], *e3 = e[3];
    vfloat32m4_t a = __riscv_vle32_v_f32m4(y[0] + i, width), b = __riscv_vle32_v_f32m4(y[1] + i, width);
    vfloat32m4_t c = __riscv_vle32_v_f32m4(y[2] + i, width), d = __riscv_vle32_v_f32m4(y[3] + i, width);
    for (size_t p = span.first; p < span.last; p++) {
        vfloat32m4_t value = load_value(v, format, p, i, width);
        a = __riscv_vfmacc_vf_f32m4(a, e0[p % SC_SEGMENT], value, width);
        b = __riscv_vfmacc_vf_f32m4(b, e1[p % SC_SEGMENT], value, width);
        c = __riscv_vfmacc_vf_f32m4(c, e2[p % SC_SEGMENT], value, width);
        d = __riscv_vfmacc_vf_f32m4(d, e3[p % SC_SEGMENT], value, width);
    }
    __riscv_vse32_v_f32m4(y[0] + i, a, width);
    __riscv_vse32_v_f32m4(y[1] + i, b, width);
    __riscv_vse32_v_f32m4(y[2] + i, c, width);
    __riscv_vse32_v_f32m4(y[3] + i, d, width);
}

VECTOR_INLINE void add_one(const struct values *v, enum sc_cache_format format, const float *e, float *y,
                           struct span span, size_t i, size_t width)
{
    vfloat32m4_t a = __riscv_vle32_v_f32m4(y + i, width);
    for (size_t p = span.first; p < span.last; p++)
        a = __riscv_vfmacc_vf_f32m4(a, e[p % SC_SEGMENT], load_value(v, format, p, i, width), width);
    __riscv_vse32_v_f32m4(y + i, a, width);
}

VECTOR_INLINE void add_all(const struct values *v, enum sc_cache_format format, size_t n, const float *const *e,
                           float *const *y, const struct span *spans)
{
    for (size_t j = 0, together; j < n; j += together) {
        for (together = 1; together < QUERIES && j + together < n; together++)
            if (spans[j + together].first != spans[j].first || spans[j + together].last != spans[j].last) break;
        if (together < QUERIES) together = 1;
        for (size_t i = 0; i < v->dim; i += SC_LANES) {
            size_t width = v->dim - i < SC_LANES ? v->dim - i : SC_LANES;
            if (together == QUERIES) add_four(v, format, e + j, y + j, spans[j], i, width);
            else add_one(v, format, e[j], y[j], spans[j], i, width);
        }
    }
}

static void add_rows(const struct values *v, size_t n, const float *const *e, float *const *y, const struct span *spans)
{
    if (v->format == SC_CACHE_F32) add_all(v, SC_CACHE_F32, n, e, y, spans);
    else if (v->format == SC_CACHE_F16) add_all(v, SC_CACHE_F16, n, e, y, spans);
    else add_all(v, SC_CACHE_Q8_0, n, e, y, spans);
}

// Elements i0..i0 + n of the 16 keys of a group, as rows of 16 floats: out[lane][i].
VECTOR_INLINE void turn_keys(const struct work *w, enum sc_cache_format format, size_t group, size_t i0, size_t n,
                             float *out)
{
    const char *keys = keys_of(w, group);
    for (size_t i = 0; i < n; i++) {
        vfloat32m4_t k = load_keys(format, keys, w->args->kv.dim_k, i0 + i);
        __riscv_vsse32_v_f32m4(out + i, SC_LANES * sizeof *out, k, SC_LANES);
    }
}

static void turn_any_keys(const struct work *w, size_t group, size_t i0, size_t n, float *out)
{
    if (w->args->kv.format == SC_CACHE_F32) turn_keys(w, SC_CACHE_F32, group, i0, n, out);
    else if (w->args->kv.format == SC_CACHE_F16) turn_keys(w, SC_CACHE_F16, group, i0, n, out);
    else turn_keys(w, SC_CACHE_Q8_0, group, i0, n, out);
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
            turn_any_keys(w, p / SC_LANES, i, width, w->rows + (p - base) * SC_LANES);
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
