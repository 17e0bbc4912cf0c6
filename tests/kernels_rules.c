// `base` against the written rules (docs/numerics.md), programmed once more in the plainest way, bit for bit; and
// against double precision, within the bounds that the number of roundings gives.
//
// Nothing here shares code with src/kernels/ref but the elementary functions, which kernels_elementary.c measures.
#include "kernel_check.h"

#include <math.h>

#include "kernels/ref/elementary.h"
#include "kernels/ref/sum.h"

// ---- the sum

// All segment sums lie side by side; neighbours are paired and an odd one is passed up, until one is left.
static float plain_tree(const float *segments, size_t n)
{
    if (n == 0) return 0.0f;
    float *level = malloc(n * sizeof *level);
    assert_non_null(level);
    memcpy(level, segments, n * sizeof *level);
    while (n > 1) {
        size_t pairs = n / 2;
        for (size_t i = 0; i < pairs; i++) level[i] = level[2 * i] + level[2 * i + 1];
        if (n % 2) level[pairs] = level[n - 1];
        n = pairs + n % 2;
    }
    float total = level[0];
    free(level);
    return total;
}

// Lane l of 16 by 16 lanes: what l and its partners give, halving from 8 down to 1.
static float plain_fold(const float *lanes, size_t l, size_t step)
{
    if (step == 16) return lanes[l];
    return plain_fold(lanes, l, 2 * step) + plain_fold(lanes, l + step, 2 * step);
}

static void the_binary_counter_is_the_tree_of_neighbours(void)
{
    kc_seed(20);
    for (size_t n = 0; n <= 300; n++) {
        float *segments = kc_floats(n, n % 2 ? KC_NORMAL : KC_MIXED), rows[10 * 3];
        struct sc_tree tree = { .n = 0 };
        struct sc_row_tree row_tree = { rows, 3, 0, 0 };
        kc_case("tree of %zu segments", n);
        for (size_t i = 0; i < n; i++) {
            sc_tree_push(&tree, segments[i]);
            float *row = sc_row_tree_next(&row_tree);
            for (size_t j = 0; j < 3; j++) row[j] = segments[i] * (float)(1 << j);
            sc_row_tree_push(&row_tree);
        }
        sc_row_tree_finish(&row_tree);
        float expected = plain_tree(segments, n), found = sc_tree_total(&tree);
        kc_same_floats(&expected, &found, 1, "total");
        for (size_t j = 0; j < 3 && n; j++) {
            float times = expected * (float)(1 << j);
            kc_same_floats(&times, &rows[j], 1, "total of a row tree");
        }
        free(segments);
    }
    float lanes[16], copy[16];
    for (size_t round = 0; round < 100; round++) {
        kc_fill(lanes, 16, KC_MIXED);
        memcpy(copy, lanes, sizeof copy);
        float expected = plain_fold(lanes, 0, 1), found = sc_fold_lanes(copy);
        kc_same_floats(&expected, &found, 1, "folded lanes");
    }
}

// ---- matrix products

// |error| of n roundings of terms that add up to `sum` in magnitude.
static double bound(size_t n, double sum)
{
    double u = 0x1p-24 * (double)n;
    return u / (1 - u) * sum + 0x1p-149 * (double)n;
}

static size_t tree_depth(size_t n)
{
    size_t depth = 0;
    for (; n > 1; n = (n + 1) / 2) depth++;
    return depth;
}

static float plain_float_product(const float *w, const float *x, size_t k)
{
    float segments[64];
    size_t n = 0;
    for (size_t i = 0; i < k; i++) {
        if (i % 256 == 0) segments[n++] = 0.0f;
        segments[n - 1] = fmaf(w[i], x[i], segments[n - 1]);
    }
    return plain_tree(segments, n);
}

static void float_products_follow_the_rule(void)
{
    static const size_t ks[] = { 1, 31, 255, 256, 257, 512, 1000, 2817, 5000 };
    const struct sc_format *format;
    kc_seed(21);
    for (size_t f = 0; (format = sc_format_at(f)); f++)
        for (size_t i = 0; i < SC_COUNT(ks) && !format->unpack; i++) {
            enum { N = 18 };
            size_t k = ks[i], row_bytes = sc_format_row_bytes(format, k);
            uint8_t *rows = malloc(N * row_bytes);
            float *w = malloc(k * sizeof *w), *x = kc_floats(k, i % 2 ? KC_NORMAL : KC_ILL), y[N];
            assert_true(rows && w);
            for (size_t b = 0; b < N * k; b++) { // numbers about 1 in any of the three formats
                float value = kc_uniform(-2, 2);
                uint32_t bits = sc_bits_of_f32(value);
                uint16_t half = format->id == 1 ? sc_half_from_f32(value) : (uint16_t)(bits >> 16);
                memcpy(rows + b * format->block_bytes, format->block_bytes == 4 ? (void *)&bits : (void *)&half,
                       format->block_bytes);
            }
            kc_case("%s by the rule, k %zu", format->name, k);
            kc_base()->matmul_float(&(struct sc_matmul){ .format = format,
                                                         .rows = rows,
                                                         .row_stride = row_bytes,
                                                         .n_rows = N,
                                                         .k = k,
                                                         .n_columns = 1,
                                                         .x = (const float *[]){ x },
                                                         .y = (float *[]){ y } });
            for (size_t r = 0; r < N; r++) {
                format->decode(rows + r * row_bytes, w, k);
                float expected = plain_float_product(w, x, k);
                kc_same_floats(&expected, &y[r], 1, "y");
                double exact = 0.0, magnitude = 0.0;
                for (size_t j = 0; j < k; j++) {
                    exact += (double)w[j] * (double)x[j];
                    magnitude += fabs((double)w[j] * (double)x[j]);
                }
                double allowed = bound(SC_MIN(k, (size_t)256) + tree_depth((k + 255) / 256), magnitude) +
                                 0x1p-40 * magnitude;
                if (fabs(exact - (double)y[r]) > allowed)
                    fail_msg("%s: %g is %g away from the exact sum, at most %g allowed", kc_name(), (double)y[r],
                             fabs(exact - (double)y[r]), allowed);
            }
            free(rows);
            free(w);
            free(x);
        }
}

// One row times one column, element by element in 64-bit integers. `exact` and `magnitude` are in double; magnitude is
// infinite where a sum may pass what binary32 holds before the activations' scale makes it small again.
static float plain_quantized_product(const struct sc_format *format, const uint8_t *row, const struct sc_q8 *x,
                                     size_t k, double *exact, double *magnitude)
{
    float segments[64], a = 0.0f;
    size_t n = 0;
    double unscaled = 0.0;
    *exact = *magnitude = 0.0;
    for (size_t start = 0; start < k; start += format->block_size) {
        struct sc_block block = { .m = 0.0f };
        format->unpack(row + start / format->block_size * format->block_bytes, &block);
        int64_t s = 0, t = 0;
        double d = (double)x->d[start / 256];
        for (size_t i = 0; i < format->block_size; i++) {
            int64_t product = (int64_t)block.scale[i / format->group] * block.q[i] * x->q[start + i];
            int64_t shift = format->has_min ? (int64_t)block.min[i / format->group] * x->q[start + i] : 0;
            s += product;
            t += shift;
            double term = fabs((double)product * (double)block.d) + fabs((double)shift * (double)block.m);
            unscaled += term;
            *magnitude += term * fabs(d);
        }
        assert_true(s >= INT32_MIN && s <= INT32_MAX && t >= INT32_MIN && t <= INT32_MAX);
        *exact += ((double)s * (double)block.d + (double)t * (double)block.m) * d;
        a = fmaf(block.d, (float)s, a);
        if (format->has_min) a = fmaf(block.m, (float)t, a);
        if ((start + format->block_size) % 256 == 0 || start + format->block_size == k) {
            segments[n++] = a * x->d[start / 256];
            a = 0.0f;
        }
    }
    if (unscaled > 3e38) *magnitude = INFINITY;
    return plain_tree(segments, n);
}

static void quantized_products_follow_the_rule(void)
{
    static const size_t ks[] = { 256, 32, 768, 288, 1280, 2816, 992, 4352 };
    const struct sc_format *format;
    kc_seed(22);
    for (size_t f = 0; (format = sc_format_at(f)); f++)
        for (size_t i = 0; format->unpack && i < SC_COUNT(ks) * KC_BYTES_KINDS; i++) {
            enum { N = 3 };
            size_t k = sc_align_up(ks[i % SC_COUNT(ks)], format->block_size),
                   row_bytes = sc_format_row_bytes(format, k);
            enum kc_bytes bytes = (enum kc_bytes)(i / SC_COUNT(ks));
            uint8_t *rows = malloc(N * row_bytes);
            float *x = kc_floats(k, i % 3 ? KC_NORMAL : KC_MIXED), y[N];
            struct sc_q8 q = { malloc(k), malloc((k + 255) / 256 * sizeof(float)), malloc(k / 16 * sizeof(int16_t)) };
            assert_true(rows && q.q && q.d && q.sums);
            kc_fill_blocks(format, rows, N * k / format->block_size, bytes);
            if (bytes == KC_ALL_ONES || bytes == KC_SIGN_BITS)
                for (size_t j = 0; j < k; j++) x[j] = bytes == KC_ALL_ONES ? 3.0f : -3.0f; // q is +127, -127 throughout
            kc_case("%s by the rule, k %zu, bytes %d", format->name, k, (int)bytes);
            kc_base()->quantize(x, k, &q);
            kc_base()->matmul_quantized(&(struct sc_matmul){ .format = format,
                                                             .rows = rows,
                                                             .row_stride = row_bytes,
                                                             .n_rows = N,
                                                             .k = k,
                                                             .n_columns = 1,
                                                             .xq = &q,
                                                             .y = (float *[]){ y } });
            for (size_t r = 0; r < N; r++) {
                double exact, magnitude;
                float expected = plain_quantized_product(format, rows + r * row_bytes, &q, k, &exact, &magnitude);
                kc_same_floats(&expected, &y[r], 1, "y");
                // Two fma and one conversion for each of at most 8 blocks and their mins, the activations' scale, the
                // tree.
                size_t n_roundings = 2 * (256 / format->block_size) + 3 + tree_depth((k + 255) / 256);
                double allowed = bound(n_roundings, magnitude) + 0x1p-40 * magnitude + 0x1p-148 * (double)k;
                if (magnitude < 3e38 && !(fabs(exact - (double)y[r]) <= allowed))
                    fail_msg("%s: %g is %g away from the exact sum, at most %g allowed", kc_name(), (double)y[r],
                             fabs(exact - (double)y[r]), allowed);
            }
            free(rows);
            free(x);
            free(q.q);
            free(q.d);
            free(q.sums);
        }
}

// ---- quantize

static struct sc_q8 quantized(const float *x, size_t n, int8_t *q, float *d, int16_t *sums)
{
    struct sc_q8 out = { q, d, sums };
    kc_base()->quantize(x, n, &out);
    return out;
}

static void quantize_rounds_to_the_nearest_and_ties_to_even(void)
{
    float x[600], d[3];
    int8_t q[600];
    int16_t sums[37];
    // A greatest element of 127 makes the scale 1.
    const float ties[] = { 127.0f, 0.5f,   1.5f,    2.5f,        -0.5f, -1.5f, -2.5f,
                           125.5f, 126.5f, -126.5f, 0.49999997f, -0.0f, 3.0f };
    const int expected[] = { 127, 0, 2, 2, 0, -2, -2, 126, 126, -126, 0, 0, 3 };
    quantized(ties, SC_COUNT(ties), q, d, sums);
    assert_true(d[0] == 1.0f);
    for (size_t i = 0; i < SC_COUNT(ties); i++) assert_int_equal(q[i], expected[i]);
    kc_seed(23);
    for (size_t round = 0; round < 600; round++) {
        size_t n = kc_between(1, 600);
        kc_fill(x, n, round % 2 ? KC_NORMAL : KC_MIXED);
        kc_case("quantize by the rule, n %zu", n);
        quantized(x, n, q, d, sums);
        for (size_t start = 0; start < n; start += 256) {
            float amax = 0.0f;
            for (size_t i = start; i < n && i < start + 256; i++) amax = fmaxf(amax, fabsf(x[i]));
            float scale = amax / 127.0f;
            kc_same_floats(&scale, &d[start / 256], 1, "d");
            for (size_t i = start; i < n && i < start + 256; i++) {
                assert_int_equal(q[i], (int)lrintf(x[i] * (127.0f / amax)));
                assert_true(q[i] >= -127);
                assert_true(fabs((double)q[i] * (double)scale - (double)x[i]) <= 0.50001 * (double)scale);
            }
        }
        for (size_t g = 0; g < n / 16; g++) {
            int sum = 0;
            for (size_t i = 0; i < 16; i++) sum += q[16 * g + i];
            assert_int_equal(sums[g], sum);
        }
    }
}

static void quantize_never_leaves_the_range(void)
{
    float x[256], d[1];
    int8_t q[256];
    int16_t sums[16];
    kc_seed(24);
    for (size_t round = 0; round < 20000; round++) { // any greatest element, in all 256 places
        float amax = sc_f32_of_bits(kc_random() % 0x7f800000u);
        for (size_t i = 0; i < 256; i++) x[i] = i & 1 ? amax : -amax;
        quantized(x, 256, q, d, sums);
        int expected = q[1];
        kc_case("quantize %a", (double)amax);
        if (expected != 127 && expected != 0) fail_msg("%s: found %d", kc_name(), expected);
        if (expected == 0 && amax > 3.8e-37f) fail_msg("%s: counts as zero", kc_name());
        if (expected == 0) assert_true(d[0] == 0.0f);
        for (size_t i = 0; i < 256; i++) assert_int_equal(q[i], i & 1 ? expected : -expected);
    }
    memset(x, 0, sizeof x);
    x[3] = -0.0f;
    quantized(x, 256, q, d, sums);
    assert_int_equal(sc_bits_of_f32(d[0]), 0);
    for (size_t i = 0; i < 256; i++) assert_int_equal(q[i], 0);
    for (size_t i = 0; i < 256; i++) x[i] = i & 1 ? 127.0f : -127.0f;
    x[0] = 0x1p-149f;
    quantized(x, 256, q, d, sums);
    assert_int_equal(q[0], 0);
    for (size_t i = 0; i < 256; i++) x[i] = -5.0f; // the least sums there are
    quantized(x, 256, q, d, sums);
    for (size_t g = 0; g < 16; g++) assert_int_equal(sums[g], -2032);
}

// ---- norm

static void norm_follows_the_rule(void)
{
    static const size_t ns[] = { 1, 5, 16, 64, 128, 255, 256, 257, 300, 1024, 1029, 2817 };
    kc_seed(25);
    for (size_t round = 0; round < 4 * SC_COUNT(ns); round++) {
        size_t n = ns[round / 4];
        bool weighted = round & 1, apply = round & 2;
        float *x = kc_floats(n, KC_NORMAL), *w = kc_floats(n, KC_NORMAL), *y = kc_floats(n, KC_NORMAL), segments[16];
        size_t n_segments = 0;
        for (size_t start = 0; start < n; start += 256) {
            float lanes[16] = { 0 };
            for (size_t i = start; i < n && i < start + 256; i++) lanes[i % 16] = fmaf(x[i], x[i], lanes[i % 16]);
            segments[n_segments++] = plain_fold(lanes, 0, 1);
        }
        float expected = 1.0f / sqrtf(plain_tree(segments, n_segments) / (float)n + 1e-5f);
        kc_case("norm by the rule, n %zu", n);
        float r = kc_base()->norm(&(struct sc_norm){ x, weighted ? w : NULL, y, n, 1e-5f, apply });
        kc_same_floats(&expected, &r, 1, "1 / rms");
        double sum = 0.0;
        for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
        double exact = 1.0 / sqrt(sum / (double)n + (double)1e-5f);
        assert_true(fabs((double)r - exact) <= 16 * 0x1p-24 * exact);
        for (size_t i = 0; i < n; i++) {
            float value = weighted ? x[i] * w[i] : x[i];
            if (apply) value = value * r;
            kc_same_floats(&value, &y[i], 1, "y");
        }
        free(x);
        free(w);
        free(y);
    }
}

// ---- rope

static void rope_turns_pairs_by_the_rule(void)
{
    float x[40], y[40], cosines[20], sines[20];
    kc_seed(26);
    for (size_t round = 0; round < 400; round++) {
        size_t n = 2 * kc_between(1, 20), n_pairs = kc_between(1, n / 2);
        bool halves = round & 1;
        kc_fill(x, n, KC_NORMAL);
        for (size_t j = 0; j < n_pairs; j++) {
            float angle = kc_uniform(-4, 4);
            cosines[j] = cosf(angle);
            sines[j] = sinf(angle);
        }
        kc_case("rope by the rule, n %zu, %zu pairs", n, n_pairs);
        kc_base()->rope(&(struct sc_rope){ x, y, n, n_pairs, halves, cosines, sines });
        for (size_t j = 0; j < n_pairs; j++) {
            size_t a = halves ? j : 2 * j, b = halves ? j + n_pairs : 2 * j + 1;
            float first = fmaf(x[a], cosines[j], -(x[b] * sines[j])), second = fmaf(x[a], sines[j], x[b] * cosines[j]);
            kc_same_floats(&first, &y[a], 1, "first of a pair");
            kc_same_floats(&second, &y[b], 1, "second of a pair");
            double before = hypot((double)x[a], (double)x[b]), after = hypot((double)y[a], (double)y[b]);
            assert_true(fabs(before - after) <= 4e-7 * before); // a turn keeps the length
        }
        kc_same_floats(x + 2 * n_pairs, y + 2 * n_pairs, n - 2 * n_pairs, "the rest");
    }
}

// ---- attention

struct plain_attention {
    const float *q, *k, *v; // [dim_k], [last][dim_k], [last][dim_v]
    size_t dim_k, dim_v, first, last;
    float scale, softcap;
    const float *sink;
};

static float plain_score(const struct plain_attention *a, size_t p)
{
    float score = plain_float_product(a->k + p * a->dim_k, a->q, a->dim_k) * a->scale;
    return a->softcap != 0.0f ? a->softcap * sc_tanh(score / a->softcap) : score;
}

// Adds up term(p) over first..last by absolute segments of positions: in lanes for the total (i == dim_v), in order
// for element i of the values.
static float plain_sum_over_positions(const struct plain_attention *a, const float *e, size_t i)
{
    float segments[16];
    size_t n = 0;
    for (size_t p = a->first; p < a->last; n++) {
        float lanes[16] = { 0 }, sum = 0.0f;
        size_t segment = p / 256;
        for (; p < a->last && p / 256 == segment; p++) {
            if (i == a->dim_v) lanes[p % 16] += e[p];
            else sum = fmaf(e[p], a->v[p * a->dim_v + i], sum);
        }
        segments[n] = i == a->dim_v ? plain_fold(lanes, 0, 1) : sum;
    }
    return plain_tree(segments, n);
}

static void plain_attend(const struct plain_attention *a, float *y)
{
    float *e = calloc(a->last, sizeof *e), max = -INFINITY;
    assert_non_null(e);
    for (size_t p = a->first; p < a->last; p++) max = fmaxf(max, e[p] = plain_score(a, p));
    if (a->sink) max = fmaxf(max, *a->sink);
    for (size_t p = a->first; p < a->last; p++) e[p] = sc_exp(e[p] - max);
    float total = plain_sum_over_positions(a, e, a->dim_v);
    if (a->sink) total += sc_exp(*a->sink - max);
    float inverse = 1.0f / total;
    for (size_t i = 0; i < a->dim_v; i++) y[i] = plain_sum_over_positions(a, e, i) * inverse;
    free(e);
}

// The answer in double, and how far from it the roundings may lead.
static double exact_attend(const struct plain_attention *a, double *y)
{
    double *e = calloc(a->last, sizeof *e), max = a->sink ? (double)*a->sink : -INFINITY, total = 0.0;
    double score_error = 0.0, v_max = 0.0;
    assert_non_null(e);
    for (size_t p = a->first; p < a->last; p++) {
        double magnitude = 0.0;
        for (size_t i = 0; i < a->dim_k; i++) {
            e[p] += (double)a->q[i] * (double)a->k[p * a->dim_k + i];
            magnitude += fabs((double)a->q[i] * (double)a->k[p * a->dim_k + i]);
        }
        e[p] *= (double)a->scale;
        score_error = fmax(score_error, bound(a->dim_k + 4, magnitude) * (double)a->scale);
        if (a->softcap != 0.0f) e[p] = (double)a->softcap * tanh(e[p] / (double)a->softcap);
        score_error = fmax(score_error, 8 * 0x1p-24 * fabs(e[p]));
        max = fmax(max, e[p]);
    }
    for (size_t p = a->first; p < a->last; p++) total += e[p] = exp(e[p] - max);
    if (a->sink) total += exp((double)*a->sink - max);
    for (size_t i = 0; i < a->dim_v; i++) {
        y[i] = 0.0;
        for (size_t p = a->first; p < a->last; p++) {
            y[i] += e[p] / total * (double)a->v[p * a->dim_v + i];
            v_max = fmax(v_max, fabs((double)a->v[p * a->dim_v + i]));
        }
    }
    free(e);
    // Weights are as wrong as their scores, twice over for the greatest one; then 256 roundings and a tree.
    return (4 * score_error + bound(280, 2.0)) * v_max;
}

static void check_attention(size_t dim_k, size_t dim_v, size_t first, size_t last, unsigned how)
{
    bool f32 = how & 1, shared = how & 2;
    float *q = kc_floats(dim_k, KC_NORMAL), *k = kc_floats(last * dim_k, KC_NORMAL),
          *v = kc_floats(last * dim_v, KC_NORMAL);
    float *y = kc_floats(dim_v, KC_NORMAL), *expected = kc_floats(dim_v, KC_NORMAL), sink = kc_uniform(-2, 6);
    float *scratch = kc_floats(sc_attend_scratch(last, dim_v), KC_NORMAL);
    double *exact = malloc(dim_v * sizeof *exact);
    void *cache_k = calloc(sc_align_up(last, 16) * dim_k, 4), *cache_v = calloc(last * dim_v, 4);
    assert_true(exact && cache_k && cache_v);
    struct sc_kv kv = { cache_k, shared ? NULL : cache_v, dim_k, dim_v, f32 };
    for (size_t p = 0; p < last; p++) kc_base()->store(&kv, p, k + p * dim_k, v + p * dim_v);
    for (size_t i = 0; !f32 && i < last * dim_k; i++) k[i] = sc_half_to_f32(sc_half_from_f32(k[i]));
    for (size_t i = 0; i < last * dim_v; i++)
        v[i] = shared ? k[i / dim_v * dim_k + i % dim_v] : f32 ? v[i] : sc_half_to_f32(sc_half_from_f32(v[i]));
    struct plain_attention plain = {
        q, k, v, dim_k, dim_v, first, last, 0.17f, how & 4 ? 5.0f : 0.0f, how & 8 ? &sink : NULL
    };
    kc_case("attention by the rule, %zu..%zu, keys of %zu, values of %zu, variant %u", first, last, dim_k, dim_v, how);
    kc_base()->attend(&(struct sc_attend){ kv, q, y, first, last, plain.scale, plain.softcap, plain.sink, scratch });
    plain_attend(&plain, expected);
    kc_same_floats(expected, y, dim_v, "y");
    double allowed = exact_attend(&plain, exact);
    for (size_t i = 0; i < dim_v; i++)
        if (!(fabs(exact[i] - (double)y[i]) <= allowed))
            fail_msg("%s: y[%zu] is %g, exactly %g (%g allowed)", kc_name(), i, (double)y[i], exact[i], allowed);
    void *all[] = { q, k, v, y, expected, scratch, exact, cache_k, cache_v };
    for (size_t i = 0; i < SC_COUNT(all); i++) free(all[i]);
}

static void attention_follows_the_rule(void)
{
    kc_seed(27);
    for (unsigned how = 0; how < 16; how++) {
        check_attention(33, 17, 0, kc_between(1, 40), how);
        check_attention(300, 280, 0, 35, how); // keys of more than one segment
        check_attention(24, 20, 0, 1041, how);
        check_attention(24, 20, kc_between(1, 500), kc_between(501, 1300), how);
        check_attention(8, 8, 1311, 1312, how);
    }
}

static void stored_keys_and_values_lie_as_drawn(void)
{
    enum { DIM_K = 5, DIM_V = 3, N = 35 };
    uint16_t k[48 * DIM_K], v[N * DIM_V];
    float key[DIM_K], value[DIM_V];
    memset(k, 0xff, sizeof k);
    memset(v, 0xff, sizeof v);
    struct sc_kv kv = { k, v, DIM_K, DIM_V, false };
    for (size_t p = 0; p < N; p++) {
        for (size_t i = 0; i < DIM_K; i++) key[i] = (float)(p * 10 + i);
        for (size_t i = 0; i < DIM_V; i++) value[i] = -(float)(p * 10 + i);
        kc_base()->store(&kv, p, key, value);
    }
    for (size_t p = 0; p < 48; p++)
        for (size_t i = 0; i < DIM_K; i++) {
            uint16_t found = k[(p / 16 * DIM_K + i) * 16 + p % 16];
            assert_int_equal(found, p < N ? sc_half_from_f32((float)(p * 10 + i)) : 0xffff);
        }
    for (size_t i = 0; i < SC_COUNT(v); i++)
        assert_int_equal(v[i], sc_half_from_f32(-(float)(i / DIM_V * 10 + i % DIM_V)));
}

// ---- activations, finish, sums of experts

static void activations_are_the_published_formulas(void)
{
    enum { N = 4000 };
    float gate[N], up[N], y[N];
    kc_seed(28);
    for (int act = SC_SILU; act <= SC_SWIGLU_OAI; act++) {
        for (size_t i = 0; i < N; i++) {
            gate[i] = kc_uniform(-12, 12);
            up[i] = kc_uniform(-12, 12);
        }
        kc_base()->glu((enum sc_activation)act, gate, up, y, N);
        for (size_t i = 0; i < N; i++) {
            double g = (double)gate[i], u = (double)up[i], exact;
            if (act == SC_SILU) exact = g / (1 + exp(-g)) * u;
            else if (act == SC_GELU) exact = g / (1 + exp(-2 * sqrt(2 / acos(-1)) * (g + 0.044715 * g * g * g))) * u;
            else exact = fmin(g, 7) / (1 + exp(-1.702 * fmin(g, 7))) * (fmax(fmin(u, 7), -7) + 1);
            // exp(t) is as wrong as t is: a few roundings of |t|, which is 1.6 (g + 0.045 g^3) at most.
            double t = act == SC_GELU ? 1.6 * (fabs(g) + 0.045 * fabs(g * g * g)) : 1.8 * fabs(g);
            double allowed = (8 + 4 * t) * 0x1p-24 * fabs(exact) + 1e-35;
            if (act == SC_SWIGLU_OAI) allowed += 0x1p-23 * fabs(g);
            if (fabs(exact - (double)y[i]) > allowed)
                fail_msg("glu %d of %g, %g: found %g, exactly %g", act, g, u, (double)y[i], exact);
        }
    }
}

static void small_row_kernels_follow_the_rule(void)
{
    enum { N = 50, USED = 4 };
    float x[USED * N], y[N], before[N], bias[N], cap[N], weights[USED];
    kc_seed(29);
    kc_fill(x, USED * N, KC_NORMAL);
    kc_fill(before, N, KC_NORMAL);
    kc_fill(bias, N, KC_NORMAL);
    kc_fill(weights, USED, KC_NORMAL);
    kc_case("small kernels by the rule");
    memcpy(y, before, sizeof y);
    kc_base()->finish(y, N, 0.3f, 1.7f, bias);
    for (size_t i = 0; i < N; i++) assert_true(y[i] == before[i] * 0.3f * 1.7f + bias[i]);
    kc_base()->expert_sum(x, N, weights, USED, y, N);
    for (size_t i = 0; i < N; i++) {
        float sum = weights[0] * x[i];
        for (size_t e = 1; e < USED; e++) sum = fmaf(weights[e], x[e * N + i], sum);
        kc_same_floats(&sum, &y[i], 1, "sum of experts");
    }
    kc_base()->add(x, before, y, N);
    kc_base()->scale(before, 0.7f, bias, N);
    kc_base()->softcap(before, 3.0f, cap, N);
    for (size_t i = 0; i < N; i++) {
        assert_true(y[i] == x[i] + before[i] && bias[i] == before[i] * 0.7f);
        assert_true(fabs((double)cap[i] - 3.0 * tanh((double)before[i] / 3.0)) <= 1e-6);
    }
}

// ---- routing

struct ranked {
    float score;
    int32_t id;
};

static int by_score_then_id(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->score != y->score ? (x->score > y->score ? -1 : 1) : x->id - y->id;
}

// What a group is worth: its best expert, or with a sigmoid gate the sum of its two best.
static float plain_group(const struct sc_route *r, const float *score, size_t g, size_t size)
{
    struct ranked members[SC_EXPERTS_MAX];
    for (size_t i = 0; i < size; i++) members[i] = (struct ranked){ score[g * size + i], (int32_t)i };
    qsort(members, size, sizeof *members, by_score_then_id);
    return r->gating == SC_GATING_SIGMOID && size > 1 ? members[0].score + members[1].score : members[0].score;
}

static void plain_softmax(float *x, size_t n)
{
    float max = x[0], sum = 0.0f;
    for (size_t i = 0; i < n; i++) max = fmaxf(max, x[i]);
    for (size_t i = 0; i < n; i++) sum += sc_exp(x[i] - max);
    for (size_t i = 0; i < n; i++) x[i] = sc_exp(x[i] - max) / sum;
}

static void plain_route(const struct sc_route *r, int32_t *ids, float *weights)
{
    float gate[SC_EXPERTS_MAX], score[SC_EXPERTS_MAX], sum = 0.0f;
    struct ranked all[SC_EXPERTS_MAX], groups[SC_EXPERTS_MAX];
    size_t n_groups = SC_MAX(r->n_groups, (size_t)1), size = r->n_experts / n_groups, n = 0;
    memcpy(gate, r->logits, r->n_experts * sizeof *gate);
    if (r->gating == SC_GATING_SOFTMAX) plain_softmax(gate, r->n_experts);
    for (size_t i = 0; i < r->n_experts; i++) {
        if (r->gating == SC_GATING_SIGMOID) gate[i] = sc_sigmoid(gate[i]);
        score[i] = r->bias ? gate[i] + r->bias[i] : gate[i];
    }
    for (size_t g = 0; g < n_groups; g++) groups[g] = (struct ranked){ plain_group(r, score, g, size), (int32_t)g };
    qsort(groups, n_groups, sizeof *groups, by_score_then_id);
    for (size_t g = 0; g < (n_groups > 1 ? r->n_groups_used : 1); g++)
        for (size_t i = 0; i < size; i++, n++) {
            size_t expert = (size_t)groups[g].id * size + i;
            all[n] = (struct ranked){ score[expert], (int32_t)expert };
        }
    qsort(all, n, sizeof *all, by_score_then_id);
    for (size_t i = 0; i < r->n_used; i++) weights[i] = gate[ids[i] = all[i].id];
    if (r->gating == SC_GATING_SOFTMAX_TOP) plain_softmax(weights, r->n_used);
    for (size_t i = 0; i < r->n_used; i++) sum += weights[i];
    for (size_t i = 0; i < r->n_used; i++) {
        if (r->normalize) weights[i] /= fmaxf(sum, 0x1p-14f);
        weights[i] *= r->scale;
    }
}

static void routing_follows_the_rule(void)
{
    float logits[64], bias[64], weights[8], expected_weights[8];
    int32_t ids[8], expected_ids[8];
    kc_seed(30);
    for (size_t round = 0; round < 3000; round++) {
        size_t n_groups = (size_t)1 << kc_random() % 4, size = kc_between(1, 64 / n_groups),
               used = kc_between(1, n_groups);
        struct sc_route args = { logits,
                                 kc_random() & 1 ? bias : NULL,
                                 n_groups * size,
                                 kc_between(1, SC_MIN(used * size, (size_t)8)),
                                 n_groups,
                                 used,
                                 (enum sc_gating)kc_between(1, 3),
                                 kc_random() & 1,
                                 kc_random() & 1 ? 1.0f : 2.5f,
                                 ids,
                                 weights };
        bool ties = kc_random() & 1;
        for (size_t i = 0; i < args.n_experts; i++) {
            logits[i] = ties ? (float)kc_between(0, 2) : kc_value(KC_NORMAL);
            if (round % 5 == 0) logits[i] -= 12.0f; // sigmoids so small that their sum is held up to 2^-14
            bias[i] = ties ? 0.0f : kc_uniform(-0.1f, 0.1f);
        }
        kc_case("routing by the rule, %zu of %zu, %zu of %zu groups, gating %d", args.n_used, args.n_experts, used,
                n_groups, (int)args.gating);
        kc_base()->route(&args);
        plain_route(&args, expected_ids, expected_weights);
        kc_same_bytes(expected_ids, ids, args.n_used * sizeof *ids, "ids");
        kc_same_floats(expected_weights, weights, args.n_used, "weights");
    }
    // Ties go to the lower id, in order.
    for (size_t i = 0; i < 64; i++) logits[i] = 1.0f;
    kc_base()->route(&(struct sc_route){ logits, NULL, 64, 4, 8, 2, SC_GATING_SIGMOID, true, 1.0f, ids, weights });
    for (int32_t i = 0; i < 4; i++) {
        assert_int_equal(ids[i], i);
        assert_true(weights[i] == 0.25f);
    }
}

static const struct CMUnitTest tests[] = {
    KC_TEST(the_binary_counter_is_the_tree_of_neighbours),
    KC_TEST(float_products_follow_the_rule),
    KC_TEST(quantized_products_follow_the_rule),
    KC_TEST(quantize_rounds_to_the_nearest_and_ties_to_even),
    KC_TEST(quantize_never_leaves_the_range),
    KC_TEST(norm_follows_the_rule),
    KC_TEST(rope_turns_pairs_by_the_rule),
    KC_TEST(attention_follows_the_rule),
    KC_TEST(stored_keys_and_values_lie_as_drawn),
    KC_TEST(activations_are_the_published_formulas),
    KC_TEST(small_row_kernels_follow_the_rule),
    KC_TEST(routing_follows_the_rule),
};

size_t kc_rule_tests(struct CMUnitTest *out)
{
    memcpy(out, tests, sizeof tests);
    return SC_COUNT(tests);
}
