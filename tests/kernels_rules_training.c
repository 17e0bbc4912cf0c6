// The kernels of training: adjoints against derivatives taken by differences in binary64, sums and random numbers
// against their rules (docs/numerics.md, "Training"), bit for bit.
#include "kernels_plain.h"

#include "base/random.h"
#include "kernels/ref/elementary.h"

// ---- sums

// Sixteen lanes within segments of 256, a tree over segments, of what `term` makes of each element.
static float plain_lanes(const float *x, const float *y, size_t n, float (*term)(float lane, float x, float y))
{
    float segments[64], lanes[16];
    size_t s = 0;
    for (size_t start = 0; start < n; start += 256) {
        memset(lanes, 0, sizeof lanes);
        for (size_t i = start; i < n && i < start + 256; i++) lanes[i % 16] = term(lanes[i % 16], x[i], y[i]);
        segments[s++] = plain_fold(lanes, 0, 1);
    }
    return plain_tree(segments, s);
}

static float product_term(float lane, float x, float y) { return fmaf(x, y, lane); }
static float exponential_term(float lane, float x, float y) { return lane + sc_exp(x - y); }

static void check_sums(size_t n, enum kc_kind kind)
{
    float *x = kc_floats(n, kind), *y = kc_floats(n, kind), max, sum, most = x[0];
    kc_case("sums of %zu, %s, by the rule", n, kc_kind_name(kind));
    float expected = plain_lanes(x, y, n, product_term), found = kc_base()->dot(x, y, n);
    kc_same_floats(&expected, &found, 1, "dot");
    for (size_t i = 0; i < n; i++) most = fmaxf(most, x[i]);
    for (size_t i = 0; i < n; i++) y[i] = most;
    kc_base()->log_sum(x, n, &max, &sum);
    expected = plain_lanes(x, y, n, exponential_term);
    assert_true(max == most);
    kc_same_floats(&expected, &sum, 1, "sum of exponentials");
    double lanes[16] = { 0 };
    for (size_t i = 0; i < n; i++) lanes[i % 16] += (double)x[i] * (double)x[i];
    for (size_t step = 8; step > 0; step /= 2)
        for (size_t l = 0; l < step; l++) lanes[l] += lanes[l + step];
    double squares = kc_base()->square_sum(x, n);
    kc_same_bytes(&lanes[0], &squares, sizeof squares, "sum of squares");
    free(x);
    free(y);
}

static void sums_of_training_follow_the_rule(void)
{
    static const size_t ns[] = { 1, 15, 16, 17, 255, 256, 257, 512, 513, 1000, 4099 };
    kc_seed(70);
    for (size_t i = 0; i < SC_COUNT(ns); i++)
        for (size_t kind = 0; kind < KC_KINDS; kind++) check_sums(ns[i], (enum kc_kind)kind);
}

static void shares_and_their_sum_are_those_of_softmax(void)
{
    enum { N = 1000 };
    float *x = kc_floats(N, KC_NORMAL), max, sum;
    double total = 0.0, shares = 0.0;
    kc_base()->log_sum(x, N, &max, &sum);
    for (size_t i = 0; i < N; i++) total += exp((double)x[i] - (double)max);
    assert_true(fabs((double)sum - total) < 1e-6 * total);
    kc_base()->shares(x, N, max, 1.0f / sum);
    for (size_t i = 0; i < N; i++) shares += (double)x[i];
    assert_true(fabs(shares - 1.0) < 1e-6);
    free(x);
}

// ---- adjoints against differences

enum { MOST = 64 };

// A function of n numbers in binary64, its m values weighted by dy and added up.
typedef double function(const double *x, const void *context);

static void check_derivatives(function *f, const void *context, const float *x, const float *found, size_t n)
{
    double at[MOST];
    assert_true(n <= MOST);
    for (size_t i = 0; i < n; i++) at[i] = (double)x[i];
    for (size_t i = 0; i < n; i++) {
        double step = 1e-5, kept = at[i];
        at[i] = kept + step;
        double up = f(at, context);
        at[i] = kept - step;
        double expected = (up - f(at, context)) / (2 * step);
        at[i] = kept;
        if (!(fabs(expected - (double)found[i]) <= 2e-5 + 1e-5 * fabs(expected)))
            fail_msg("%s: derivative %zu is %.9g, by differences %.9g", kc_name(), i, (double)found[i], expected);
    }
}

struct glu_function {
    enum sc_activation activation;
    float dy;
};

static double glu_of(const double *x, const void *context)
{
    const struct glu_function *f = context;
    double g = x[0], u = x[1];
    if (f->activation == SC_SILU) return (double)f->dy * g / (1 + exp(-g)) * u;
    if (f->activation == SC_GELU)
        return (double)f->dy * 0.5 * g * (1 + tanh(sqrt(2 / M_PI) * (g + 0.044715 * g * g * g))) * u;
    g = fmin(g, 7);
    u = fmin(fmax(u, -7), 7);
    return (double)f->dy * g / (1 + exp(-1.702 * g)) * (u + 1);
}

static void adjoints_of_activations_are_derivatives(void)
{
    kc_seed(71);
    for (int act = SC_SILU; act <= SC_SWIGLU_OAI; act++)
        for (size_t round = 0; round < 2000; round++) {
            struct glu_function f = { (enum sc_activation)act, kc_uniform(-1, 1) };
            float x[2] = { kc_uniform(-9, 9), kc_uniform(-9, 9) }, found[2];
            if (fabsf(fabsf(x[0]) - 7) < 1e-3f || fabsf(fabsf(x[1]) - 7) < 1e-3f) continue; // a bend
            kc_case("glu_adjoint %d at %g and %g", act, (double)x[0], (double)x[1]);
            kc_base()->glu_adjoint(f.activation, &x[0], &x[1], &f.dy, &found[0], &found[1], 1);
            check_derivatives(glu_of, &f, x, found, 2);
        }
}

struct row_function {
    size_t n;
    const float *w, *dy;
    double eps, cap;
};

static double norm_of(const double *x, const void *context)
{
    const struct row_function *f = context;
    double squares = 0.0, sum = 0.0;
    for (size_t i = 0; i < f->n; i++) squares += x[i] * x[i];
    for (size_t i = 0; i < f->n; i++) sum += (double)f->dy[i] * x[i] * (f->w ? (double)f->w[i] : 1.0);
    return sum / sqrt(squares / (double)f->n + f->eps);
}

static double cap_of(const double *x, const void *context)
{
    const struct row_function *f = context;
    return (double)*f->dy * f->cap * tanh(x[0] / f->cap);
}

static void adjoints_of_norm_and_cap_are_derivatives(void)
{
    float x[MOST], w[MOST], dy[MOST], y[MOST], dx[MOST];
    kc_seed(72);
    for (size_t round = 0; round < 300; round++) {
        struct row_function f = { .n = kc_between(1, MOST), .w = round % 2 ? w : NULL, .dy = dy, .eps = 1e-3 };
        kc_fill(x, f.n, KC_NORMAL);
        kc_fill(w, f.n, KC_NORMAL);
        kc_fill(dy, f.n, KC_NORMAL);
        x[0] += 1.0f;
        kc_case("norm_adjoint of %zu", f.n);
        float r = kc_base()->norm(&(struct sc_norm){ .x = x, .w = f.w, .y = y, .n = f.n, .eps = 1e-3f });
        kc_base()->norm_adjoint(x, f.w, r, dy, dx, f.n);
        check_derivatives(norm_of, &f, x, dx, f.n);
        f.cap = round % 3 ? 30.0 : 1.5;
        kc_case("softcap_adjoint by %g", f.cap);
        kc_base()->softcap(x, (float)f.cap, y, 1);
        kc_base()->softcap_adjoint(y, (float)f.cap, dy, dx, 1);
        check_derivatives(cap_of, &f, x, dx, 1);
    }
}

// Attention's part: x are n dot products and, last, a sink.
struct softmax_function {
    struct sc_softmax_adjoint args;
    const float *d_share;
    bool sink;
};

static double softmax_of(const double *x, const void *context)
{
    const struct softmax_function *f = context;
    double total = f->sink ? exp(x[f->args.n]) : 0.0, sum = 0.0;
    for (size_t i = f->args.begin; i < f->args.end; i++) {
        double score = x[i] * (double)f->args.scale, cap = (double)f->args.softcap;
        double e = exp(cap != 0.0 ? cap * tanh(score / cap) : score);
        total += e;
        sum += e * (double)f->d_share[i];
    }
    return sum / total;
}

// The mean is what the forward walk has: the answer times its derivative.
static void adjoints_of_softmax_are_derivatives(void)
{
    float x[MOST], d_share[MOST], score[MOST], found[MOST];
    double at[MOST];
    kc_seed(73);
    for (size_t round = 0; round < 400; round++) {
        size_t n = kc_between(1, MOST - 1), begin = round % 2 ? kc_random() % n : 0;
        struct softmax_function f = { .d_share = d_share, .sink = round / 2 % 2 };
        f.args = (struct sc_softmax_adjoint){ .score = score,
                                              .d_share = found,
                                              .begin = begin,
                                              .end = round % 2 ? kc_between(begin + 1, n) : n,
                                              .n = n,
                                              .scale = kc_uniform(0.1f, 1),
                                              .softcap = round / 4 % 2 ? 2.5f : 0.0f,
                                              .sink = f.sink ? &x[n] : NULL,
                                              .d_sink = &found[n] };
        kc_fill(x, n + 1, KC_NORMAL);
        kc_fill(d_share, n, KC_NORMAL);
        for (size_t i = 0; i <= n; i++) at[i] = (double)x[i];
        f.args.mean = (float)softmax_of(at, &f);
        memcpy(score, x, n * sizeof *x);
        memcpy(found, d_share, n * sizeof *x);
        found[n] = 0.0f;
        kc_case("softmax_adjoint of %zu to %zu of %zu, way %zu", begin, f.args.end, n, round % 8);
        kc_base()->softmax_adjoint(&f.args);
        check_derivatives(softmax_of, &f, x, found, n + 1);
    }
}

struct route_function {
    struct sc_route args;
    const float *dy;
};

static double route_of(const double *x, const void *context)
{
    const struct route_function *f = context;
    const struct sc_route *args = &f->args;
    double gate[MOST], total = 0.0, sum = 0.0, y = 0.0;
    for (size_t i = 0; i < args->n_experts; i++) {
        gate[i] = args->gating == SC_GATING_SIGMOID ? 1 / (1 + exp(-x[i])) : exp(x[i]);
        if (args->gating == SC_GATING_SOFTMAX) total += gate[i];
    }
    for (size_t i = 0; i < args->n_used && args->gating == SC_GATING_SOFTMAX_TOP; i++) total += gate[args->ids[i]];
    if (args->gating == SC_GATING_SIGMOID) total = 1.0;
    for (size_t i = 0; i < args->n_used; i++) sum += gate[args->ids[i]] / total;
    for (size_t i = 0; i < args->n_used; i++)
        y += (double)f->dy[i] * gate[args->ids[i]] / total / (args->normalize ? sum : 1.0) * (double)args->scale;
    return y;
}

static void adjoints_of_routing_are_derivatives(void)
{
    float logits[MOST], weights[MOST], dy[MOST], found[MOST];
    int32_t ids[MOST];
    kc_seed(74);
    for (size_t round = 0; round < 600; round++) {
        size_t n = kc_between(1, MOST);
        struct route_function f = { { .logits = logits,
                                      .n_experts = n,
                                      .n_used = kc_between(1, SC_MIN(n, (size_t)8)),
                                      .gating = (enum sc_gating)(1 + round % 3),
                                      .normalize = round / 3 % 2,
                                      .scale = round / 6 % 2 ? 1.0f : 2.5f,
                                      .ids = ids,
                                      .weights = weights },
                                    dy };
        kc_fill(logits, n, KC_NORMAL);
        kc_fill(dy, n, KC_NORMAL);
        kc_base()->route(&f.args);
        kc_case("route_adjoint, %zu of %zu, gating %d", f.args.n_used, n, (int)f.args.gating);
        kc_base()->route_adjoint(&f.args, dy, found);
        check_derivatives(route_of, &f, logits, found, n);
    }
}

// ---- the step, and what is dropped

static void a_step_is_that_of_adamw(void)
{
    kc_seed(75);
    for (size_t round = 0; round < 1000; round++) {
        float w = kc_uniform(-2, 2), m = kc_uniform(-1, 1), v = kc_uniform(0, 1), g = kc_uniform(-2, 2);
        struct sc_adamw a = { &w, &m, &v, &g, 1, 0.5f, 1e-2f, 0.1f, 0.9f, 0.95f, 1e-8f, 0.271f, 0.142625f };
        double clipped = (double)g * 0.5, m1 = 0.9 * (double)m + 0.1 * clipped;
        double v1 = 0.95 * (double)v + 0.05 * clipped * clipped;
        double w1 = (double)w * (1 - 1e-2 * 0.1) - 1e-2 / 0.271 * m1 / (sqrt(v1 / 0.142625) + 1e-8);
        kc_base()->adamw(&a);
        assert_true(fabs((double)m - m1) < 2e-7 && fabs((double)v - v1) < 2e-7 && fabs((double)w - w1) < 5e-7);
    }
}

static void dropout_takes_the_numbers_of_philox(void)
{
    enum { N = 150 };
    float x[N], y[N];
    kc_seed(76);
    for (size_t round = 0; round < 50; round++) {
        uint32_t key[2] = { kc_random(), kc_random() };
        uint64_t counter = round % 2 ? UINT64_C(0x5fffffff0) : kc_random();
        float keep = kc_uniform(0.01f, 1);
        kc_fill(x, N, KC_NORMAL);
        kc_case("dropout to %g", (double)keep);
        kc_base()->dropout(x, y, N, (uint64_t)key[1] << 32 | key[0], counter, keep);
        for (uint64_t i = 0; i < N; i++) {
            uint64_t at = counter + i / 64 * 16 + i % 16;
            uint32_t numbers[4] = { (uint32_t)at, (uint32_t)(at >> 32), 0, 0 };
            sc_philox(numbers, key);
            float kept = numbers[i % 64 / 16] >> 8 < (uint32_t)(keep * 0x1p24f) ? x[i] * (1.0f / keep) : 0.0f;
            kc_same_floats(&kept, &y[i], 1, "y");
        }
    }
}

static void dropout_keeps_the_share_and_the_mean(void)
{
    enum { N = 1 << 16 };
    float *x = kc_reserve(N * sizeof *x);
    size_t n_kept = 0;
    for (size_t i = 0; i < N; i++) x[i] = 1.0f;
    kc_base()->dropout(x, x, N, 7, 0, 0.75f);
    for (size_t i = 0; i < N; i++) {
        assert_true(x[i] == 0.0f || x[i] == 1.0f / 0.75f);
        n_kept += x[i] != 0.0f;
    }
    assert_true(fabs((double)n_kept / N - 0.75) < 0.01);
    free(x);
}

static const struct CMUnitTest tests[] = {
    KC_TEST(sums_of_training_follow_the_rule),
    KC_TEST(shares_and_their_sum_are_those_of_softmax),
    KC_TEST(adjoints_of_activations_are_derivatives),
    KC_TEST(adjoints_of_norm_and_cap_are_derivatives),
    KC_TEST(adjoints_of_softmax_are_derivatives),
    KC_TEST(adjoints_of_routing_are_derivatives),
    KC_TEST(a_step_is_that_of_adamw),
    KC_TEST(dropout_takes_the_numbers_of_philox),
    KC_TEST(dropout_keeps_the_share_and_the_mean),
};

size_t kc_training_rule_tests(struct CMUnitTest *out)
{
    memcpy(out, tests, sizeof tests);
    return SC_COUNT(tests);
}
