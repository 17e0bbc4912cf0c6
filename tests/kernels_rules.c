// `base` against the written rules (docs/numerics.md), programmed once more in the plainest way, bit for bit; and
// against double precision, within the bounds that the number of roundings gives.
//
// Nothing here shares code with src/kernels/ref but the elementary functions, which kernels_elementary.c measures.
// Attention has a file of its own, kernels_rules_attend.c.
#include "kernels_plain.h"

#include "kernels/ref/elementary.h"
#include "kernels/ref/sum.h"

// ---- the sum

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

static void check_float_sum(const float *w, const float *x, size_t k, float found)
{
    float expected = plain_float_product(w, x, k);
    kc_same_floats(&expected, &found, 1, "y");
    double exact = 0.0, magnitude = 0.0;
    for (size_t j = 0; j < k; j++) {
        exact += (double)w[j] * (double)x[j];
        magnitude += fabs((double)w[j] * (double)x[j]);
    }
    double allowed = bound(SC_MIN(k, (size_t)256) + tree_depth((k + 255) / 256), magnitude) + 0x1p-40 * magnitude;
    if (fabs(exact - (double)found) > allowed)
        fail_msg("%s: %g is %g away from the exact sum, at most %g allowed", kc_name(), (double)found,
                 fabs(exact - (double)found), allowed);
}

// Numbers about 1 in any of the three float formats.
static void fill_float_rows(const struct sc_format *format, uint8_t *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float value = kc_uniform(-2, 2);
        uint32_t bits = sc_bits_of_f32(value);
        uint16_t half = format->id == 1 ? sc_half_from_f32(value) : (uint16_t)(bits >> 16);
        memcpy(rows + i * format->block_bytes, format->block_bytes == 4 ? (void *)&bits : (void *)&half,
               format->block_bytes);
    }
}

// From rows as they lie in files: packing and product together.
static void check_float_product(const struct sc_format *format, size_t k, enum kc_kind kind)
{
    enum { N = 18, COLUMNS = 3 };
    size_t row_bytes = sc_format_row_bytes(format, k), group_bytes = sc_packed_group_bytes(format, k);
    uint8_t *rows = kc_reserve(N * row_bytes);
    float *w = kc_reserve(k * sizeof *w), *x = kc_floats(COLUMNS * k, kind), y[COLUMNS][N];
    void *scratch = kc_take_aligned(sc_matmul_scratch(k, COLUMNS), KC_ENDS_AT_GUARD);
    fill_float_rows(format, rows, N * k);
    uint8_t *groups = kc_pack(format, rows, row_bytes, N, k, group_bytes);
    kc_case("%s by the rule, k %zu", format->name, k);
    kc_base()->matmul_float(&(struct sc_matmul){ .format = format,
                                                 .groups = groups,
                                                 .group_bytes = group_bytes,
                                                 .n_rows = N,
                                                 .k = k,
                                                 .n_columns = COLUMNS,
                                                 .x = (const float *[]){ x, x + k, x + 2 * k },
                                                 .y = (float *[]){ y[0], y[1], y[2] },
                                                 .scratch = scratch });
    for (size_t r = 0; r < N; r++) {
        format->decode(rows + r * row_bytes, w, k);
        for (size_t c = 0; c < COLUMNS; c++) check_float_sum(w, x + c * k, k, y[c][r]);
    }
    kc_release();
    free(rows);
    free(groups);
    free(w);
    free(x);
}

static void float_products_follow_the_rule(void)
{
    static const size_t ks[] = { 1, 31, 255, 256, 257, 512, 1000, 2817, 5000 };
    const struct sc_format *format;
    kc_seed(21);
    for (size_t f = 0; (format = sc_format_at(f)); f++)
        for (size_t i = 0; i < SC_COUNT(ks) && !format->unpack; i++)
            check_float_product(format, ks[i], i % 2 ? KC_NORMAL : KC_ILL);
}

// One row times one column, element by element in 64-bit integers. `exact` and `magnitude` are in double; magnitude is
// infinite where a sum may pass what binary32 holds before the activations' scale makes it small again.
static float plain_quantized_product(const struct sc_format *format, const uint8_t *row, const struct kc_panels *x,
                                     size_t c, double *exact, double *magnitude)
{
    float segments[64], a = 0.0f;
    size_t n = 0, k = x->k;
    double unscaled = 0.0;
    *exact = *magnitude = 0.0;
    for (size_t start = 0; start < k; start += format->block_size) {
        struct sc_block block = { .m = 0.0f };
        format->unpack(row + start / format->block_size * format->block_bytes, &block);
        int64_t s = 0, t = 0;
        double d = (double)kc_panels_d(x, c, start / 256);
        for (size_t i = 0; i < format->block_size; i++) {
            int q = kc_panels_q(x, c, start + i);
            int64_t product = (int64_t)block.scale[i / format->group] * block.q[i] * q;
            int64_t shift = format->has_min ? (int64_t)block.min[i / format->group] * q : 0;
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
            segments[n++] = a * kc_panels_d(x, c, start / 256);
            a = 0.0f;
        }
    }
    if (unscaled > 3e38) *magnitude = INFINITY;
    return plain_tree(segments, n);
}

static void check_quantized_sum(const struct sc_format *format, const uint8_t *row, const struct kc_panels *x, size_t c,
                                float found)
{
    double exact, magnitude;
    float expected = plain_quantized_product(format, row, x, c, &exact, &magnitude);
    kc_same_floats(&expected, &found, 1, "y");
    // Two fma and one conversion for each of at most 8 blocks and their mins, the activations' scale, the tree.
    size_t n_roundings = 2 * (256 / format->block_size) + 3 + tree_depth((x->k + 255) / 256);
    double allowed = bound(n_roundings, magnitude) + 0x1p-40 * magnitude + 0x1p-148 * (double)x->k;
    if (magnitude < 3e38 && !(fabs(exact - (double)found) <= allowed))
        fail_msg("%s: %g is %g away from the exact sum, at most %g allowed", kc_name(), (double)found,
                 fabs(exact - (double)found), allowed);
}

// From rows as they lie in files and floats: packing, quantization and product together.
static void check_quantized_product(const struct sc_format *format, size_t k, enum kc_kind kind, enum kc_bytes bytes)
{
    enum { N = 17, COLUMNS = 2 };
    size_t row_bytes = sc_format_row_bytes(format, k), group_bytes = sc_packed_group_bytes(format, k);
    uint8_t *rows = kc_reserve(N * row_bytes);
    float *x = kc_floats(COLUMNS * k, kind), y[COLUMNS][N];
    struct kc_panels panels = kc_panels_new(k, COLUMNS);
    void *scratch = kc_take_aligned(sc_matmul_scratch(k, COLUMNS), KC_ENDS_AT_GUARD);
    kc_fill_blocks(format, rows, N * k / format->block_size, bytes);
    if (bytes == KC_ALL_ONES || bytes == KC_SIGN_BITS) // q is +127, -127 throughout
        for (size_t j = 0; j < k; j++) x[j] = bytes == KC_ALL_ONES ? 3.0f : -3.0f;
    uint8_t *groups = kc_pack(format, rows, row_bytes, N, k, group_bytes);
    kc_case("%s by the rule, k %zu, bytes %d", format->name, k, (int)bytes);
    kc_base()->quantize((const float *[]){ x, x + k }, k, &panels.at[0]);
    kc_base()->matmul_quantized(&(struct sc_matmul){ .format = format,
                                                     .groups = groups,
                                                     .group_bytes = group_bytes,
                                                     .n_rows = N,
                                                     .k = k,
                                                     .n_columns = COLUMNS,
                                                     .panels = panels.at,
                                                     .y = (float *[]){ y[0], y[1] },
                                                     .scratch = scratch });
    for (size_t r = 0; r < N; r += r ? 5 : 1) // 0, 1, 6, 11, 16
        for (size_t c = 0; c < COLUMNS; c++) check_quantized_sum(format, rows + r * row_bytes, &panels, c, y[c][r]);
    kc_release();
    free(rows);
    free(groups);
    free(x);
    kc_panels_free(&panels);
}

static void quantized_products_follow_the_rule(void)
{
    static const size_t ks[] = { 256, 32, 768, 288, 1280, 2816, 992, 4352 };
    const struct sc_format *format;
    kc_seed(22);
    for (size_t f = 0; (format = sc_format_at(f)); f++)
        for (size_t i = 0; format->unpack && i < SC_COUNT(ks) * KC_BYTES_KINDS; i++)
            check_quantized_product(format, sc_align_up(ks[i % SC_COUNT(ks)], format->block_size),
                                    i % 3 ? KC_NORMAL : KC_MIXED, (enum kc_bytes)(i / SC_COUNT(ks)));
}

// ---- quantize

// n rows of k, one after another, in one panel.
static struct kc_panels quantized(const float *x, size_t k, size_t n)
{
    const float *rows[SC_PANEL];
    struct kc_panels out = kc_panels_new(k, n);
    for (size_t c = 0; c < n; c++) rows[c] = x + c * k;
    kc_base()->quantize(rows, k, &out.at[0]);
    return out;
}

static void check_quantized_row(const struct kc_panels *found, size_t c, const float *x)
{
    size_t k = found->k;
    for (size_t start = 0; start < k; start += 256) {
        float amax = 0.0f;
        for (size_t i = start; i < k && i < start + 256; i++) amax = fmaxf(amax, fabsf(x[i]));
        float scale = amax / 127.0f, d = kc_panels_d(found, c, start / 256);
        kc_same_floats(&scale, &d, 1, "d");
        for (size_t i = start; i < k && i < start + 256; i++) {
            int q = kc_panels_q(found, c, i);
            assert_int_equal(q, (int)lrintf(x[i] * (127.0f / amax)));
            assert_true(q >= -127);
            assert_true(fabs((double)q * (double)scale - (double)x[i]) <= 0.50001 * (double)scale);
        }
    }
    for (size_t i = k; i < sc_align_up(k, 4); i++) assert_int_equal(kc_panels_q(found, c, i), 0);
    for (size_t g = 0; g < k / 16; g++) {
        int sum = 0;
        for (size_t i = 0; i < 16; i++) sum += kc_panels_q(found, c, 16 * g + i);
        assert_int_equal(kc_panels_sum(found, c, g), sum);
    }
}

static void quantize_rounds_to_the_nearest_and_ties_to_even(void)
{
    // A greatest element of 127 makes the scale 1.
    const float ties[] = { 127.0f, 0.5f,   1.5f,    2.5f,        -0.5f, -1.5f, -2.5f,
                           125.5f, 126.5f, -126.5f, 0.49999997f, -0.0f, 3.0f };
    const int expected[] = { 127, 0, 2, 2, 0, -2, -2, 126, 126, -126, 0, 0, 3 };
    struct kc_panels found = quantized(ties, SC_COUNT(ties), 1);
    assert_true(kc_panels_d(&found, 0, 0) == 1.0f);
    for (size_t i = 0; i < SC_COUNT(ties); i++) assert_int_equal(kc_panels_q(&found, 0, i), expected[i]);
    kc_panels_free(&found);
    kc_seed(23);
    for (size_t round = 0; round < 300; round++) {
        size_t k = kc_between(1, 600), n = kc_between(1, SC_PANEL);
        float *x = kc_floats(n * k, round % 2 ? KC_NORMAL : KC_MIXED);
        kc_case("quantize by the rule, %zu rows of %zu", n, k);
        found = quantized(x, k, n);
        for (size_t c = 0; c < n; c++) check_quantized_row(&found, c, x + c * k);
        kc_panels_free(&found);
        free(x);
    }
}

// All bytes of a panel of three columns lie where kernels.h says.
static void panels_lie_as_drawn(void)
{
    enum { K = 259, N = 3, QUADS = 65 };
    float x[N * K];
    for (size_t c = 0; c < N; c++)
        for (size_t i = 0; i < K; i++)
            x[c * K + i] = i % 256 ? (float)((7 * i + 13 * c) % 100) : 127.0f * (float)(c + 1);
    struct kc_panels found = quantized(x, K, N);
    for (size_t i = 0; i < 4 * QUADS * N; i++) {
        size_t element = i / (4 * N) * 4 + i % 4, c = i / 4 % N;
        long q = element < K ? lrintf(x[c * K + element] * (127.0f / (127.0f * (float)(c + 1)))) : 0;
        assert_int_equal(found.at[0].q[i], q);
    }
    for (size_t i = 0; i < 2 * N; i++) assert_true(found.at[0].d[i] == (float)(i % N + 1));
    for (size_t i = 0; i < K / 16 * N; i++) {
        int sum = 0;
        for (size_t j = 0; j < 16; j++) sum += kc_panels_q(&found, i % N, i / N * 16 + j);
        assert_int_equal(found.at[0].sums[i], sum);
    }
    kc_panels_free(&found);
}

static void check_greatest(float amax)
{
    float x[256];
    for (size_t i = 0; i < 256; i++) x[i] = i & 1 ? amax : -amax;
    struct kc_panels found = quantized(x, 256, 1);
    int expected = kc_panels_q(&found, 0, 1);
    kc_case("quantize %a", (double)amax);
    if (expected != 127 && expected != 0) fail_msg("%s: found %d", kc_name(), expected);
    if (expected == 0 && amax > 3.8e-37f) fail_msg("%s: counts as zero", kc_name());
    if (expected == 0) assert_true(kc_panels_d(&found, 0, 0) == 0.0f);
    for (size_t i = 0; i < 256; i++) assert_int_equal(kc_panels_q(&found, 0, i), i & 1 ? expected : -expected);
    kc_panels_free(&found);
}

static void quantize_never_leaves_the_range(void)
{
    float x[256] = { 0 };
    kc_seed(24);
    for (size_t round = 0; round < 20000; round++) check_greatest(sc_f32_of_bits(kc_random() % 0x7f800000u));
    x[3] = -0.0f;
    struct kc_panels found = quantized(x, 256, 1);
    assert_int_equal(sc_bits_of_f32(kc_panels_d(&found, 0, 0)), 0);
    for (size_t i = 0; i < 256; i++) assert_int_equal(kc_panels_q(&found, 0, i), 0);
    kc_panels_free(&found);
    for (size_t i = 0; i < 256; i++) x[i] = i & 1 ? 127.0f : -127.0f;
    x[0] = 0x1p-149f;
    found = quantized(x, 256, 1);
    assert_int_equal(kc_panels_q(&found, 0, 0), 0);
    kc_panels_free(&found);
    for (size_t i = 0; i < 256; i++) x[i] = -5.0f; // the least sums there are
    found = quantized(x, 256, 1);
    for (size_t g = 0; g < 16; g++) assert_int_equal(kc_panels_sum(&found, 0, g), -2032);
    kc_panels_free(&found);
}

// Infinity and not-a-number anywhere in a segment make its scale not a number; other segments and rows do not mind.
static void quantize_passes_on_what_is_not_finite(void)
{
    float x[2 * 600];
    kc_seed(31);
    for (size_t round = 0; round < 60; round++) {
        size_t at = kc_between(0, 599);
        kc_fill(x, SC_COUNT(x), KC_NORMAL);
        x[600 + at] = round % 3 == 0 ? NAN : round % 3 == 1 ? INFINITY : -INFINITY;
        kc_case("quantize with element %zu not finite", at);
        struct kc_panels found = quantized(x, 600, 2);
        check_quantized_row(&found, 0, x);
        for (size_t s = 0; s < 3; s++) assert_int_equal(isnan(kc_panels_d(&found, 1, s)) != 0, s == at / 256);
        for (size_t i = at / 256 * 256; i < 600 && i < (at / 256 + 1) * 256; i++)
            assert_int_equal(kc_panels_q(&found, 1, i), 0);
        kc_panels_free(&found);
    }
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
    kc_base()->weigh(before, 2.0f, 0.7f, cap, N);
    for (size_t i = 0; i < N; i++) {
        double expected = exp((double)((before[i] - 2.0f) * 0.7f));
        assert_true(fabs((double)cap[i] - expected) <= 2e-7 * expected);
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
    KC_TEST(panels_lie_as_drawn),
    KC_TEST(quantize_never_leaves_the_range),
    KC_TEST(quantize_passes_on_what_is_not_finite),
    KC_TEST(norm_follows_the_rule),
    KC_TEST(rope_turns_pairs_by_the_rule),
    KC_TEST(activations_are_the_published_formulas),
    KC_TEST(small_row_kernels_follow_the_rule),
    KC_TEST(routing_follows_the_rule),
};

size_t kc_rule_tests(struct CMUnitTest *out)
{
    memcpy(out, tests, sizeof tests);
    return SC_COUNT(tests);
}
