// Attention of `base` against the written rules (docs/numerics.md, "Attention"), programmed once more in the plainest
// way, bit for bit; and against double precision. What the cache holds is checked apart, in each of its formats.
#include "kernels_plain.h"

#include "kernels/ref/elementary.h"

static const char *const format_names[] = { [SC_CACHE_F16] = "F16", [SC_CACHE_F32] = "F32", [SC_CACHE_Q8_0] = "Q8_0" };

// ---- the cache

// The n <= 32 numbers of a block as a Q8_0 cache keeps them: whole multiples of a scale that is an f16.
static void plain_q8_block(const float *x, size_t n, uint16_t *d, int8_t *q)
{
    float amax = 0.0f;
    for (size_t i = 0; i < n; i++) amax = fmaxf(amax, fabsf(x[i]));
    *d = sc_half_from_f32(amax / 127.0f);
    for (size_t i = 0; i < n; i++)
        q[i] = *d == 0 ? 0 : (int8_t)lrintf(fminf(fmaxf(x[i] * (1.0f / sc_half_to_f32(*d)), -127.0f), 127.0f));
}

// What comes back from a cache for the numbers that were stored.
static void round_to_format(enum sc_cache_format format, float *x, size_t n)
{
    for (size_t i = 0; format == SC_CACHE_F16 && i < n; i++) x[i] = sc_half_to_f32(sc_half_from_f32(x[i]));
    for (size_t start = 0; format == SC_CACHE_Q8_0 && start < n; start += 32) {
        uint16_t d;
        int8_t q[32];
        size_t size = SC_MIN(n - start, (size_t)32);
        plain_q8_block(x + start, size, &d, q);
        for (size_t i = 0; i < size; i++) x[start + i] = (float)q[i] * sc_half_to_f32(d);
    }
}

enum { DIM_K = 37, DIM_V = 35, N = 21, K_GROUPS = 2, BLOCKS = 2 }; // the second block of a vector is short

static void check_float_cache(const uint8_t *k, const uint8_t *v, const float *keys, const float *values, size_t bytes)
{
    for (size_t p = 0; p < K_GROUPS * 16; p++)
        for (size_t i = 0; i < DIM_K; i++) {
            const uint8_t *found = k + ((p / 16 * DIM_K + i) * 16 + p % 16) * bytes;
            uint32_t bits = p < N ? sc_bits_of_f32(keys[p * DIM_K + i]) : UINT32_MAX;
            uint16_t half = p < N ? sc_half_from_f32(keys[p * DIM_K + i]) : UINT16_MAX;
            kc_same_bytes(bytes == 4 ? (void *)&bits : (void *)&half, found, bytes, "key");
        }
    for (size_t i = 0; i < N * DIM_V; i++) {
        uint16_t half = sc_half_from_f32(values[i]);
        kc_same_bytes(bytes == 4 ? (const void *)(values + i) : (void *)&half, v + i * bytes, bytes, "value");
    }
}

static void check_q8_cache(const uint8_t *k, const uint8_t *v, const float *keys, const float *values)
{
    enum { K_ROW = DIM_K + 2 * BLOCKS, V_ROW = DIM_V + 2 * BLOCKS };
    for (size_t p = 0; p < K_GROUPS * 16; p++)
        for (size_t start = 0; start < DIM_K; start += 32) {
            uint16_t d = UINT16_MAX;
            int8_t q[32];
            size_t n = SC_MIN((size_t)DIM_K - start, (size_t)32), lane = p % 16;
            const uint8_t *group = k + p / 16 * 16 * K_ROW;
            memset(q, -1, sizeof q);
            if (p < N) plain_q8_block(keys + p * DIM_K + start, n, &d, q);
            kc_same_bytes(&d, group + 16 * DIM_K + 2 * (start / 32 * 16 + lane), 2, "scale of a key");
            for (size_t i = 0; i < n; i++) kc_same_bytes(q + i, group + (start + i) * 16 + lane, 1, "key");
        }
    for (size_t p = 0; p < N; p++)
        for (size_t start = 0; start < DIM_V; start += 32) {
            uint16_t d;
            int8_t q[32];
            size_t n = SC_MIN((size_t)DIM_V - start, (size_t)32);
            plain_q8_block(values + p * DIM_V + start, n, &d, q);
            kc_same_bytes(&d, v + p * V_ROW + DIM_V + start / 32 * 2, 2, "scale of a value");
            kc_same_bytes(q, v + p * V_ROW + start, n, "value");
        }
}

// Numbers of a kind, none too great for a scale; KC_KINDS: so small that scales are subnormal f16s, some of which are
// rounded down so far that numbers lie beyond 127 of them.
static float *numbers_for_cache(size_t n, size_t kind)
{
    float *x = kc_floats(n, kind < KC_KINDS ? (enum kc_kind)kind : KC_NORMAL);
    for (size_t i = 0; i < n; i++) x[i] = kind < KC_KINDS ? fmaxf(fminf(x[i], 8e6f), -8e6f) : x[i] * 0x1p-18f;
    return x;
}

// Every byte of a cache of 21 positions: keys in groups of 16, the rest of the second group untouched.
static void stored_keys_and_values_lie_as_drawn(void)
{
    kc_seed(40);
    for (int format = SC_CACHE_F16; format <= SC_CACHE_Q8_0; format++)
        for (size_t kind = 0; kind <= KC_KINDS; kind++) {
            size_t k_bytes = K_GROUPS * 16 * sc_cache_row_bytes((enum sc_cache_format)format, DIM_K);
            size_t v_bytes = N * sc_cache_row_bytes((enum sc_cache_format)format, DIM_V);
            float *keys = numbers_for_cache(N * DIM_K, kind), *values = numbers_for_cache(N * DIM_V, kind);
            uint8_t *k = kc_take(k_bytes, KC_ENDS_AT_GUARD), *v = kc_take(v_bytes, KC_ENDS_AT_GUARD);
            memset(k, 0xff, k_bytes);
            memset(v, 0xff, v_bytes);
            struct sc_kv kv = { k, v, DIM_K, DIM_V, (enum sc_cache_format)format, NULL };
            kc_case("cache of %s, numbers of kind %zu", format_names[format], kind);
            for (size_t p = N; p-- > 0;) kc_base()->store(&kv, p, keys + p * DIM_K, values + p * DIM_V);
            if (format == SC_CACHE_Q8_0) check_q8_cache(k, v, keys, values);
            else check_float_cache(k, v, keys, values, format == SC_CACHE_F32 ? 4 : 2);
            kc_release();
            free(keys);
            free(values);
        }
}

// Half a step of the scale, and what an f16 rounds off the scale: at most 127 halves of its last bit.
static void a_q8_cache_is_off_by_little(void)
{
    float x[32], y[32];
    kc_seed(41);
    for (size_t round = 0; round < 3000; round++) {
        float amax = 0.0f, size = ldexpf(1.0f, (int)kc_between(0, 30) - 16);
        for (size_t i = 0; i < 32; i++) amax = fmaxf(amax, fabsf(x[i] = y[i] = size * kc_value(KC_NORMAL)));
        round_to_format(SC_CACHE_Q8_0, y, 32);
        double step = (double)amax / 127, allowed = 0.5 * step * 1.001 + 127 * (step * 0x1p-11 + 0x1p-25);
        for (size_t i = 0; i < 32; i++)
            if (!(fabs((double)y[i] - (double)x[i]) <= allowed))
                fail_msg("%g of at most %g came back as %g", (double)x[i], (double)amax, (double)y[i]);
    }
}

// A number that is infinite, not a number or too great for a scale does not come back as a number.
static void a_q8_cache_passes_on_what_is_not_finite(void)
{
    static const float strange[] = { INFINITY, -INFINITY, NAN, 1e7f, -3e38f };
    kc_seed(42);
    for (size_t round = 0; round < 100; round++) {
        float q[40], k[40], v[40], nodes[42], y[40];
        uint8_t keys[16 * (40 + 4)], values[40 + 4];
        uint32_t first = 0, last = 1;
        struct sc_kv kv = { keys, values, 40, 40, SC_CACHE_Q8_0, NULL };
        kc_fill(q, 40, KC_NORMAL);
        kc_fill(k, 40, KC_NORMAL);
        kc_fill(v, 40, KC_NORMAL);
        *(round % 2 ? k + kc_random() % 40 : v + kc_random() % 32) = strange[round % SC_COUNT(strange)];
        kc_base()->store(&kv, 0, k, v);
        struct sc_attend args = { kv,
                                  1,
                                  (const float *[]){ q },
                                  (float *[]){ nodes },
                                  &first,
                                  &last,
                                  0,
                                  1,
                                  0.1f,
                                  0.0f,
                                  kc_take_aligned(sc_attend_scratch(40, 40, 1), KC_ENDS_AT_GUARD) };
        kc_case("a Q8_0 cache with %g", (double)strange[round % SC_COUNT(strange)]);
        kc_base()->attend(&args);
        kc_base()->attend_finish(nodes, NULL, y, 40);
        for (size_t i = 0; i < 40; i++) assert_int_equal(isfinite(y[i]) != 0, round % 2 == 0 && i >= 32);
        kc_release();
    }
}

// ---- attention

// One query, all keys and values as f32.
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

// The node of the positions first..last of one segment.
static void plain_segment(const struct plain_attention *a, size_t first, size_t last, float *node)
{
    float e[256], lanes[16] = { 0 }, max = -INFINITY;
    for (size_t p = first; p < last; p++) max = fmaxf(max, e[p % 256] = plain_score(a, p));
    for (size_t p = first; p < last; p++) lanes[p % 16] += e[p % 256] = sc_exp(e[p % 256] - max);
    for (size_t i = 0; i < a->dim_v; i++) {
        node[i] = 0.0f;
        for (size_t p = first; p < last; p++) node[i] = fmaf(e[p % 256], a->v[p * a->dim_v + i], node[i]);
    }
    node[a->dim_v] = max;
    node[a->dim_v + 1] = plain_fold(lanes, 0, 1);
}

static void plain_join(float *a, const float *b, size_t dim_v)
{
    float max = fmaxf(a[dim_v], b[dim_v]), of_a = sc_exp(a[dim_v] - max), of_b = sc_exp(b[dim_v] - max);
    for (size_t i = 0; i <= dim_v + 1; i++) a[i] = i == dim_v ? max : a[i] * of_a + b[i] * of_b;
}

// The node of all positions first..last in segments begin..end: neighbours are joined until one is left.
static void plain_node(const struct plain_attention *a, size_t begin, size_t end, float *node)
{
    size_t floats = a->dim_v + 2, n = end - begin;
    float *level = kc_reserve(n * floats * sizeof *level);
    for (size_t s = begin; s < end; s++)
        plain_segment(a, SC_MAX(a->first, s * 256), SC_MIN(a->last, (s + 1) * 256), level + (s - begin) * floats);
    for (size_t pairs; n > 1; n = pairs + n % 2) {
        pairs = n / 2;
        for (size_t i = 0; i < pairs; i++) {
            plain_join(level + 2 * i * floats, level + (2 * i + 1) * floats, a->dim_v);
            memmove(level + i * floats, level + 2 * i * floats, floats * sizeof *level);
        }
        if (n % 2) memmove(level + pairs * floats, level + (n - 1) * floats, floats * sizeof *level);
    }
    memcpy(node, level, floats * sizeof *node);
    free(level);
}

static void plain_finish(const struct plain_attention *a, const float *node, float *y)
{
    float max = node[a->dim_v], total = node[a->dim_v + 1], factor = 1.0f;
    if (a->sink) {
        float greatest = fmaxf(max, *a->sink);
        factor = sc_exp(max - greatest);
        total = total * factor + sc_exp(*a->sink - greatest);
    }
    factor = factor * (1.0f / total);
    for (size_t i = 0; i < a->dim_v; i++) y[i] = node[i] * factor;
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
    // Weights are as wrong as their scores, twice over for the greatest one; then 256 roundings, and at each level of
    // the tree a difference, an exponential, a product and a sum.
    return (4 * score_error + bound(280 + 8 * tree_depth((a->last + 255) / 256), 2.0)) * v_max;
}

// Keys and values of `last` positions, stored and as they come back.
struct stored {
    struct sc_kv kv;
    float *k, *v;
};

static struct stored store_all(size_t dim_k, size_t dim_v, size_t last, enum sc_cache_format format, bool shared)
{
    struct stored s = { .kv = { NULL, NULL, dim_k, dim_v, format, NULL } };
    size_t k_bytes = sc_align_up(last, 16) * sc_cache_row_bytes(format, dim_k);
    size_t v_bytes = last * sc_cache_row_bytes(format, dim_v);
    s.k = kc_floats(last * dim_k, KC_NORMAL);
    s.v = kc_floats(last * dim_v, KC_NORMAL);
    s.kv.k = memset(kc_take(k_bytes, KC_ENDS_AT_GUARD), 0xff, k_bytes);
    if (!shared) s.kv.v = memset(kc_take(v_bytes, KC_ENDS_AT_GUARD), 0xff, v_bytes);
    for (size_t p = 0; p < last; p++) {
        kc_base()->store(&s.kv, p, s.k + p * dim_k, s.v + p * dim_v);
        round_to_format(format, s.k + p * dim_k, dim_k);
        round_to_format(format, s.v + p * dim_v, dim_v);
        if (shared) memcpy(s.v + p * dim_v, s.k + p * dim_k, dim_v * sizeof *s.v);
    }
    return s;
}

static void check_answer(const struct plain_attention *plain, const float *node, size_t begin, size_t end)
{
    float *expected = kc_reserve((plain->dim_v + 2) * sizeof *expected), *y = kc_reserve(plain->dim_v * sizeof *y);
    double *exact = kc_reserve(plain->dim_v * sizeof *exact);
    plain_node(plain, begin, end, expected);
    kc_same_floats(expected, node, plain->dim_v + 2, "node");
    kc_base()->attend_finish(node, plain->sink, y, plain->dim_v);
    plain_finish(plain, node, expected);
    kc_same_floats(expected, y, plain->dim_v, "y");
    double allowed = exact_attend(plain, exact);
    for (size_t i = 0; i < plain->dim_v; i++)
        if (!(fabs(exact[i] - (double)y[i]) <= allowed))
            fail_msg("%s: y[%zu] is %g, exactly %g (%g allowed)", kc_name(), i, (double)y[i], exact[i], allowed);
    free(expected);
    free(y);
    free(exact);
}

// Two queries, one of them with a position less at either end where that leaves it some in every segment.
static void check_attention(size_t dim_k, size_t dim_v, size_t first, size_t last, unsigned how)
{
    enum sc_cache_format format = (enum sc_cache_format)(how % 3);
    bool shared = how & 4, less = last - first > 600 && first % 256 < 255 && last % 256 != 1;
    float sink = kc_uniform(-2, 6), *q = kc_floats(2 * dim_k, KC_NORMAL);
    float *nodes = kc_reserve(2 * (dim_v + 2) * sizeof *nodes);
    uint32_t firsts[] = { (uint32_t)first, (uint32_t)first + less },
             lasts[] = { (uint32_t)last, (uint32_t)last - less };
    struct stored s = store_all(dim_k, dim_v, last, format, shared);
    struct sc_attend args = { .kv = s.kv, .n_queries = 2, .first = firsts, .last = lasts };
    args.q = (const float *[]){ q, q + dim_k };
    args.node = (float *[]){ nodes, nodes + dim_v + 2 };
    args.begin = first / 256;
    args.end = (last + 255) / 256;
    args.scale = 0.17f;
    args.softcap = how & 8 ? 5.0f : 0.0f;
    args.scratch = kc_take_aligned(sc_attend_scratch(dim_k, dim_v, args.end - args.begin), KC_ENDS_AT_GUARD);
    kc_case("attention by the rule, %zu..%zu, keys of %zu, values of %zu, variant %u", first, last, dim_k, dim_v, how);
    kc_base()->attend(&args);
    for (size_t j = 0; j < 2; j++) {
        struct plain_attention plain = { q + j * dim_k, s.k,      s.v,        dim_k,        dim_v,
                                         firsts[j],     lasts[j], args.scale, args.softcap, how & 16 ? &sink : NULL };
        check_answer(&plain, args.node[j], args.begin, args.end);
    }
    kc_release();
    free(q);
    free(nodes);
    free(s.k);
    free(s.v);
}

static void attention_follows_the_rule(void)
{
    kc_seed(27);
    for (unsigned how = 0; how < 32; how++) {
        check_attention(33, 17, 0, kc_between(1, 40), how);
        if (how % 3 == 0) check_attention(300, 280, 0, 35, how); // keys of more than one segment
        check_attention(24, 20, 0, 1041, how);
        check_attention(25, 21, kc_between(1, 500), kc_between(501, 1300), how);
        check_attention(8, 8, 1311, 1312, how);
    }
}

// Scores so far apart that whole segments count for nothing, and all alike.
static void attention_follows_the_rule_for_scores_far_apart(void)
{
    enum { DIM = 4, LAST = 1100 };
    kc_seed(43);
    for (unsigned how = 0; how < 24; how++) {
        float q[DIM], nodes[DIM + 2], sink = how & 1 ? 200.0f : -200.0f;
        uint32_t first = (uint32_t)kc_between(0, 255), last = LAST;
        struct stored s = store_all(DIM, DIM, LAST, (enum sc_cache_format)(how % 3), false);
        for (size_t i = 0; i < DIM; i++) q[i] = how < 6 ? 0.0f : how < 12 ? -0.0f : kc_value(KC_NORMAL) * 100.0f;
        struct sc_attend args = { s.kv,
                                  1,
                                  (const float *[]){ q },
                                  (float *[]){ nodes },
                                  &first,
                                  &last,
                                  0,
                                  5,
                                  1.0f,
                                  0.0f,
                                  kc_take_aligned(sc_attend_scratch(DIM, DIM, 5), KC_ENDS_AT_GUARD) };
        struct plain_attention plain = { q, s.k, s.v, DIM, DIM, first, LAST, 1.0f, 0.0f, how & 2 ? &sink : NULL };
        kc_case("attention by the rule, scores far apart, variant %u", how);
        kc_base()->attend(&args);
        if (how < 12) assert_int_equal(sc_bits_of_f32(nodes[DIM]), 0); // never minus zero
        check_answer(&plain, nodes, 0, 5);
        kc_release();
        free(s.k);
        free(s.v);
    }
}

static const struct CMUnitTest tests[] = {
    KC_TEST(stored_keys_and_values_lie_as_drawn),
    KC_TEST(a_q8_cache_is_off_by_little),
    KC_TEST(a_q8_cache_passes_on_what_is_not_finite),
    KC_TEST(attention_follows_the_rule),
    KC_TEST(attention_follows_the_rule_for_scores_far_apart),
};

size_t kc_attend_rule_tests(struct CMUnitTest *out)
{
    memcpy(out, tests, sizeof tests);
    return SC_COUNT(tests);
}
