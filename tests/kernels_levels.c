// Every level against `base`, bit for bit: the kernels over one row, and routing.
#include "kernel_check.h"

#include <math.h>

static const size_t lengths[] = { 1,   2,   15,  16,  17,  31,  32,  33,   64,   100,
                                  127, 255, 256, 257, 511, 512, 513, 1000, 2304, 4099 };

static const char *kind_name(size_t kind) { return kc_kind_name((enum kc_kind)kind); }

// ---- the table itself

static void every_level_fills_its_table(void)
{
    const struct sc_kernels *k;
    assert_string_equal(kc_base()->name, "base");
    assert_true(kc_base()->supported());
    for (size_t i = 0; (k = sc_kernels_at(i)); i++) {
        kc_case("table of %s", k->name);
        assert_non_null(k->description);
        assert_true(k->matmul_float && k->matmul_quantized && k->finish && k->quantize && k->norm && k->rope_angles);
        assert_true(k->rope && k->store && k->attend && k->attend_join && k->attend_finish && k->glu && k->add);
        assert_true(k->scale && k->softcap && k->weigh && k->route && k->expert_sum && k->peak_int8 && k->peak_f32);
        if (!k->supported()) continue;
        k->peak_int8(3); // they promise no more than to run
        k->peak_f32(3);
    }
}

static void levels_are_chosen_by_name(void)
{
    const struct sc_kernels *found = NULL;
    socle_error err;
    assert_int_equal(sc_kernels_choose("BASE", &found, &err), SOCLE_OK);
    assert_ptr_equal(found, kc_base());
    assert_int_equal(sc_kernels_choose("v99", &found, &err), SOCLE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "'v99'"));
    assert_non_null(strstr(err.message, "base"));
    char *before = getenv("SOCLE_CPU") ? strdup(getenv("SOCLE_CPU")) : NULL;
    setenv("SOCLE_CPU", "base", 1);
    assert_int_equal(sc_kernels_choose(NULL, &found, &err), SOCLE_OK);
    assert_ptr_equal(found, kc_base());
    unsetenv("SOCLE_CPU");
    assert_int_equal(sc_kernels_choose(NULL, &found, &err), SOCLE_OK);
    assert_true(found->supported());
    const struct sc_kernels *k;
    for (size_t i = 0; (k = sc_kernels_at(i)); i++) {
        socle_status status = sc_kernels_choose(k->name, &found, &err);
        assert_int_equal(status, k->supported() ? SOCLE_OK : SOCLE_UNSUPPORTED);
        if (k->supported()) assert_ptr_equal(found, k);
    }
    if (before) setenv("SOCLE_CPU", before, 1);
    free(before);
}

// ---- one row in, one row out

// What the simple kernels need: up to two inputs, two numbers, an output of n.
struct row_case {
    void (*call)(const struct sc_kernels *k, const struct row_case *c, const float *a, const float *b, float *y);
    const float *a, *b; // b may be NULL
    size_t n_a, n_b, n;
    float p, q;
    enum sc_activation activation;
    const float *y_before; // of kernels that change y
    const float *expected;
};

static void run_row(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct row_case *c = context;
    const float *a = kc_copy(c->a, c->n_a * sizeof *a, place),
                *b = c->b ? kc_copy(c->b, c->n_b * sizeof *b, place) : NULL;
    float *y = c->y_before ? kc_copy(c->y_before, c->n * sizeof *y, place) : kc_take(c->n * sizeof *y, place);
    c->call(k, c, a, b, y);
    kc_same_floats(c->expected, y, c->n, "y");
}

static void check_row(struct row_case *c)
{
    float *expected = malloc(c->n * sizeof *expected);
    assert_non_null(expected);
    if (c->y_before) memcpy(expected, c->y_before, c->n * sizeof *expected);
    c->call(kc_base(), c, c->a, c->b, expected);
    c->expected = expected;
    kc_each_level(run_row, c);
    free(expected);
}

static void call_glu(const struct sc_kernels *k, const struct row_case *c, const float *a, const float *b, float *y)
{
    k->glu(c->activation, a, b, y, c->n);
}

static void call_add(const struct sc_kernels *k, const struct row_case *c, const float *a, const float *b, float *y)
{
    k->add(a, b, y, c->n);
}

static void call_scale(const struct sc_kernels *k, const struct row_case *c, const float *a, const float *b, float *y)
{
    (void)b;
    k->scale(a, c->p, y, c->n);
}

static void call_softcap(const struct sc_kernels *k, const struct row_case *c, const float *a, const float *b, float *y)
{
    (void)b;
    k->softcap(a, c->p, y, c->n);
}

static void call_weigh(const struct sc_kernels *k, const struct row_case *c, const float *a, const float *b, float *y)
{
    (void)b;
    k->weigh(a, c->p, c->q, y, c->n);
}

static void call_finish(const struct sc_kernels *k, const struct row_case *c, const float *a, const float *b, float *y)
{
    (void)a;
    k->finish(y, c->n, c->p, c->q, b);
}

// Every row kernel on every length with every kind of values.
static void row_kernels_agree_on_all_levels(void)
{
    static const float factors[] = { 0.0f, 1.0f, 0.1f, -3.0f, 0x1p-130f, 0x1p100f };
    static const float caps[] = { 30.0f, 50.0f, 1.0f, 0x1p-20f, 1e6f };
    kc_seed(1);
    for (size_t l = 0; l < SC_COUNT(lengths); l++)
        for (size_t kind = 0; kind < KC_KINDS; kind++) {
            size_t n = lengths[l];
            float *a = kc_floats(n, (enum kc_kind)kind), *b = kc_floats(n, (enum kc_kind)kind);
            float *before = kc_floats(n, (enum kc_kind)kind);
            struct row_case c = { .a = a, .b = b, .n_a = n, .n_b = n, .n = n };
            c.call = call_glu;
            for (int act = SC_SILU; act <= SC_SWIGLU_OAI; act++) {
                kc_case("glu %d, n %zu, %s", act, n, kind_name(kind));
                c.activation = (enum sc_activation)act;
                check_row(&c);
            }
            kc_case("add, n %zu, %s", n, kind_name(kind));
            c.call = call_add;
            check_row(&c);
            c.p = factors[kc_random() % SC_COUNT(factors)];
            kc_case("scale by %g, n %zu, %s", (double)c.p, n, kind_name(kind));
            c.call = call_scale;
            check_row(&c);
            c.p = caps[kc_random() % SC_COUNT(caps)];
            kc_case("softcap %g, n %zu, %s", (double)c.p, n, kind_name(kind));
            c.call = call_softcap;
            check_row(&c);
            c.q = factors[kc_random() % SC_COUNT(factors)];
            kc_case("weigh beside %g by %g, n %zu, %s", (double)c.p, (double)c.q, n, kind_name(kind));
            c.call = call_weigh;
            check_row(&c);
            c.call = call_finish;
            c.y_before = before;
            for (size_t how = 0; how < 8; how++) {
                c.p = how & 1 ? 0.37f : 1.0f;
                c.q = how & 2 ? -1.7f : 1.0f;
                c.b = how & 4 ? b : NULL;
                kc_case("finish, variant %zu, n %zu, %s", how, n, kind_name(kind));
                check_row(&c);
            }
            free(a);
            free(b);
            free(before);
        }
}

// Steps over the bit patterns of all finite floats, so that no threshold of exp, tanh or the activations is missed.
static void activations_agree_over_all_exponents(void)
{
    enum { N = 1 << 16 };
    float *x = kc_floats(N, KC_NORMAL), *ones = malloc(N * sizeof *ones);
    assert_non_null(ones);
    for (size_t i = 0; i < N; i++) {
        uint32_t bits = (uint32_t)(i & 0xffff) << 16 | (kc_random() & 0xffff);
        x[i] = (bits & 0x7fffffff) < 0x7f800000 ? sc_f32_of_bits(bits) : (float)i * 0x1p-8f - 128.0f;
        ones[i] = 1.0f;
    }
    struct row_case c = { .call = call_glu, .a = x, .b = ones, .n_a = N, .n_b = N, .n = N };
    for (int act = SC_SILU; act <= SC_SWIGLU_OAI; act++) {
        kc_case("glu %d over all exponents", act);
        c.activation = (enum sc_activation)act;
        check_row(&c);
    }
    kc_case("softcap over all exponents");
    c.call = call_softcap;
    c.p = 1.0f;
    check_row(&c);
    free(x);
    free(ones);
}

// ---- sums of experts

struct expert_case {
    const float *x, *weights, *expected;
    size_t stride, n_used, n;
};

static void run_expert_sum(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct expert_case *c = context;
    float *y = kc_take(c->n * sizeof *y, place);
    k->expert_sum(kc_copy(c->x, ((c->n_used - 1) * c->stride + c->n) * sizeof *c->x, place), c->stride,
                  kc_copy(c->weights, c->n_used * sizeof *c->weights, place), c->n_used, y, c->n);
    kc_same_floats(c->expected, y, c->n, "y");
}

static void expert_sums_agree_on_all_levels(void)
{
    kc_seed(2);
    for (size_t l = 0; l < SC_COUNT(lengths); l++)
        for (size_t kind = 0; kind < KC_KINDS; kind++) {
            size_t n = lengths[l], n_used = kc_between(1, 9), stride = n + kc_random() % 3;
            float *x = kc_floats(n_used * stride, (enum kc_kind)kind), *weights = kc_floats(n_used, KC_NORMAL);
            float *expected = kc_floats(n, KC_NORMAL);
            kc_case("expert_sum of %zu, n %zu, stride %zu, %s", n_used, n, stride, kind_name(kind));
            kc_base()->expert_sum(x, stride, weights, n_used, expected, n);
            kc_each_level(run_expert_sum, &(struct expert_case){ x, weights, expected, stride, n_used, n });
            free(x);
            free(weights);
            free(expected);
        }
}

// ---- quantize

struct quantize_case {
    const float *x; // [n][k]
    struct kc_panels expected;
};

static void run_quantize(const struct sc_kernels *kernels, enum kc_place place, const void *context)
{
    const struct quantize_case *c = context;
    const float *x[SC_PANEL];
    size_t k = c->expected.k, n = c->expected.n_columns;
    struct kc_panels found = kc_panels_take(k, n, place);
    for (size_t i = 0; i < n; i++) x[i] = kc_copy(c->x + i * k, k * sizeof **x, place);
    kernels->quantize(x, k, &found.at[0]);
    kc_panels_same(&c->expected, &found);
}

enum { TIES = KC_KINDS, NOT_FINITE, QUANTIZE_KINDS };

static void fill_activations(float *x, size_t k, size_t kind)
{
    static const uint32_t not_finite[] = { 0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc12345u, 0x7f800001u };
    kc_fill(x, k, kind < KC_KINDS ? (enum kc_kind)kind : KC_NORMAL);
    if (kind == TIES) // halves of whole numbers, so that every element of a segment is a tie
        for (size_t i = 0; i < k; i++) x[i] = i % SC_SEGMENT ? (float)kc_between(0, 253) - 126.5f : -127.0f;
    if (kind == NOT_FINITE) { // one in any place
        uint32_t bits = not_finite[kc_random() % SC_COUNT(not_finite)];
        memcpy(x + kc_random() % k, &bits, sizeof bits);
    }
}

static void check_quantize(size_t k, size_t n, size_t kind)
{
    float *x = kc_floats(n * k, KC_NORMAL);
    const float *rows[SC_PANEL];
    for (size_t i = 0; i < n; i++) {
        rows[i] = x + i * k;
        fill_activations(x + i * k, k, kind < QUANTIZE_KINDS ? kind : kc_random() % QUANTIZE_KINDS);
    }
    struct quantize_case c = { x, kc_panels_new(k, n) };
    kc_case("quantize %zu rows of %zu, %s", n, k,
            kind < KC_KINDS      ? kind_name(kind)
            : kind == TIES       ? "ties"
            : kind == NOT_FINITE ? "not finite"
                                 : "all kinds");
    kc_base()->quantize(rows, k, &c.expected.at[0]);
    kc_each_level(run_quantize, &c);
    free(x);
    kc_panels_free(&c.expected);
}

// One row and several side by side; then every number of rows with lengths that end anywhere in a quad or group.
static void quantize_agrees_on_all_levels(void)
{
    static const size_t ends[] = { 3, 4, 6, 18, 61, 130, 250, 253, 263, 272, 777 };
    kc_seed(3);
    for (size_t l = 0; l < SC_COUNT(lengths); l++)
        for (size_t kind = 0; kind <= QUANTIZE_KINDS; kind++) {
            check_quantize(lengths[l], 1, kind);
            check_quantize(lengths[l], 1 + (l + kind) % SC_PANEL, kind);
        }
    for (size_t n = 1; n <= SC_PANEL; n++)
        for (size_t l = 0; l < SC_COUNT(ends); l++) check_quantize(ends[l], n, QUANTIZE_KINDS);
}

// ---- norm

struct norm_case {
    struct sc_norm args;
    const float *expected;
    float r;
};

static void run_norm(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct norm_case *c = context;
    size_t n_bytes = c->args.n * sizeof(float);
    struct sc_norm args = c->args;
    args.x = kc_copy(c->args.x, n_bytes, place);
    if (args.w) args.w = kc_copy(c->args.w, n_bytes, place);
    args.y = kc_take(n_bytes, place);
    float r = k->norm(&args);
    kc_same_floats(&c->r, &r, 1, "1 / rms");
    kc_same_floats(c->expected, args.y, args.n, "y");
}

static void norm_agrees_on_all_levels(void)
{
    kc_seed(4);
    for (size_t l = 0; l < SC_COUNT(lengths); l++)
        for (size_t kind = 0; kind < KC_KINDS; kind++)
            for (size_t how = 0; how < 4; how++) {
                size_t n = lengths[l];
                float *x = kc_floats(n, (enum kc_kind)kind), *w = kc_floats(n, KC_NORMAL), *y = kc_floats(n, KC_NORMAL);
                struct norm_case c = { { x, how & 1 ? w : NULL, y, n, 1e-6f, how & 2 }, y, 0.0f };
                kc_case("norm, n %zu, %s, %s, %s", n, kind_name(kind), how & 1 ? "weighted" : "plain",
                        how & 2 ? "applied" : "1/rms kept");
                c.r = kc_base()->norm(&c.args);
                kc_each_level(run_norm, &c);
                free(x);
                free(w);
                free(y);
            }
}

// ---- rope

struct angles_case {
    const uint64_t *turns;
    size_t n_pairs;
    uint32_t position;
    float gain;
    const float *cos, *sin;
};

static void run_angles(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct angles_case *c = context;
    float *cosines = kc_take(c->n_pairs * sizeof *cosines, place), *sines = kc_take(c->n_pairs * sizeof *sines, place);
    k->rope_angles(kc_copy(c->turns, c->n_pairs * sizeof *c->turns, place), c->n_pairs, c->position, c->gain, cosines,
                   sines);
    kc_same_floats(c->cos, cosines, c->n_pairs, "cos");
    kc_same_floats(c->sin, sines, c->n_pairs, "sin");
}

static void rope_angles_agree_on_all_levels(void)
{
    static const uint32_t positions[] = { 0, 1, 2, 511, 8191, 1000000, UINT32_MAX };
    uint64_t turns[67];
    float cosines[67], sines[67];
    kc_seed(5);
    for (size_t n = 1; n <= SC_COUNT(turns); n++)
        for (size_t p = 0; p < SC_COUNT(positions); p++) {
            for (size_t i = 0; i < n; i++) turns[i] = ((uint64_t)kc_random() << 32 | kc_random()) >> kc_random() % 40;
            turns[kc_random() % n] = (uint64_t)kc_random() % 8 << 61; // eighths of a turn
            float gain = p % 2 ? 1.0f : 1.2079f;
            kc_case("rope_angles, %zu pairs, position %u", n, positions[p]);
            kc_base()->rope_angles(turns, n, positions[p], gain, cosines, sines);
            kc_each_level(run_angles, &(struct angles_case){ turns, n, positions[p], gain, cosines, sines });
        }
}

struct rope_case {
    struct sc_rope args;
    const float *expected;
    bool in_place;
};

static void run_rope(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct rope_case *c = context;
    struct sc_rope args = c->args;
    size_t n_bytes = args.n * sizeof(float);
    args.cos = kc_copy(c->args.cos, args.n_pairs * sizeof(float), place);
    args.sin = kc_copy(c->args.sin, args.n_pairs * sizeof(float), place);
    args.x = kc_copy(c->args.x, n_bytes, place);
    args.y = c->in_place ? (float *)(uintptr_t)args.x : kc_take(n_bytes, place);
    k->rope(&args);
    kc_same_floats(c->expected, args.y, args.n, "y");
    if (!c->in_place) kc_same_floats(c->args.x, args.x, args.n, "x afterwards");
}

static void rope_agrees_on_all_levels(void)
{
    static const size_t dims[] = { 2, 6, 8, 16, 34, 64, 80, 96, 128, 130, 192, 256 };
    kc_seed(6);
    for (size_t d = 0; d < SC_COUNT(dims); d++)
        for (size_t kind = 0; kind < KC_KINDS; kind++)
            for (size_t how = 0; how < 8; how++) {
                size_t n = dims[d], n_pairs = how & 4 ? kc_between(1, n / 2) : n / 2;
                float *x = kc_floats(n, (enum kc_kind)kind), *y = kc_floats(n, KC_NORMAL);
                float *cosines = kc_floats(n_pairs, KC_NORMAL), *sines = kc_floats(n_pairs, KC_NORMAL);
                struct rope_case c = { { x, y, n, n_pairs, how & 1, cosines, sines }, y, how & 2 };
                kc_case("rope, n %zu, %zu pairs, %s, %s, %s", n, n_pairs, how & 1 ? "halves" : "neighbours",
                        how & 2 ? "in place" : "apart", kind_name(kind));
                kc_base()->rope(&c.args);
                kc_each_level(run_rope, &c);
                free(x);
                free(y);
                free(cosines);
                free(sines);
            }
}

// ---- route

struct route_case {
    struct sc_route args;
};

static void run_route(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct route_case *c = context;
    struct sc_route args = c->args;
    args.logits = kc_copy(c->args.logits, args.n_experts * sizeof(float), place);
    if (args.bias) args.bias = kc_copy(c->args.bias, args.n_experts * sizeof(float), place);
    args.ids = kc_take(args.n_used * sizeof *args.ids, place);
    args.weights = kc_take(args.n_used * sizeof *args.weights, place);
    k->route(&args);
    kc_same_bytes(c->args.ids, args.ids, args.n_used * sizeof *args.ids, "ids");
    kc_same_floats(c->args.weights, args.weights, args.n_used, "weights");
}

static void routing_agrees_on_all_levels(void)
{
    static const size_t counts[] = { 1, 2, 4, 8, 16, 32, 60, 64, 128, 160, 256, 384, 512, SC_EXPERTS_MAX };
    float logits[SC_EXPERTS_MAX], bias[SC_EXPERTS_MAX], weights[SC_EXPERTS_MAX];
    int32_t ids[SC_EXPERTS_MAX];
    kc_seed(7);
    for (size_t round = 0; round < 40 * SC_COUNT(counts); round++) {
        size_t n = counts[round % SC_COUNT(counts)], n_groups = 1;
        while (n_groups < 8 && n % (2 * n_groups) == 0 && kc_random() % 3) n_groups *= 2;
        size_t n_groups_used = kc_between(1, n_groups), most = n / n_groups * n_groups_used;
        struct sc_route args = { .logits = logits,
                                 .bias = kc_random() & 1 ? bias : NULL,
                                 .n_experts = n,
                                 .n_used = kc_between(1, SC_MIN(most, (size_t)10)),
                                 .n_groups = n_groups,
                                 .n_groups_used = n_groups_used,
                                 .gating = (enum sc_gating)kc_between(1, 3),
                                 .normalize = kc_random() & 1,
                                 .scale = kc_random() & 1 ? 1.0f : 2.5f,
                                 .ids = ids,
                                 .weights = weights };
        bool ties = kc_random() & 1;
        for (size_t i = 0; i < n; i++) {
            logits[i] = ties ? (float)kc_between(0, 3) : kc_value(round % 7 ? KC_NORMAL : KC_MIXED);
            bias[i] = ties ? (float)kc_between(0, 1) : kc_value(KC_NORMAL);
        }
        if (round % 11 == 0) // no gate is above 0, so that the sum which normalizes is held up
            for (size_t i = 0; i < n; i++) logits[i] = -1000.0f - (float)i;
        kc_case("route, %zu of %zu, %zu of %zu groups, gating %d%s%s", args.n_used, n, n_groups_used, n_groups,
                (int)args.gating, args.bias ? ", biased" : "", ties ? ", ties" : "");
        kc_base()->route(&args);
        kc_each_level(run_route, &(struct route_case){ args });
    }
}

static const struct CMUnitTest tests[] = {
    KC_TEST(every_level_fills_its_table),     KC_TEST(levels_are_chosen_by_name),
    KC_TEST(row_kernels_agree_on_all_levels), KC_TEST(activations_agree_over_all_exponents),
    KC_TEST(expert_sums_agree_on_all_levels), KC_TEST(quantize_agrees_on_all_levels),
    KC_TEST(norm_agrees_on_all_levels),       KC_TEST(rope_angles_agree_on_all_levels),
    KC_TEST(rope_agrees_on_all_levels),       KC_TEST(routing_agrees_on_all_levels),
};

size_t kc_level_tests(struct CMUnitTest *out)
{
    memcpy(out, tests, sizeof tests);
    return SC_COUNT(tests);
}
