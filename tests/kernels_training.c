// Every level against `base`, bit for bit: the kernels of training.
#include "kernel_check.h"

#include <math.h>

static const size_t lengths[] = { 1, 2, 15, 16, 17, 31, 33, 64, 100, 255, 256, 257, 511, 513, 1000, 4099 };

static const char *kind_name(size_t kind) { return kc_kind_name((enum kc_kind)kind); }

// ---- some rows in, some rows out

enum { IN_MAX = 4, OUT_MAX = 3 };

struct rows_case {
    void (*call)(const struct sc_kernels *k, const struct rows_case *c, const float *const *in, float *const *out);
    const float *in[IN_MAX]; // [n_in[i]], NULL: not there
    size_t n_in[IN_MAX], n;
    const float *before[OUT_MAX]; // [n_out[i]] what the outputs hold, of kernels that change them
    size_t n_out[OUT_MAX];        // 0: not there
    float p, q;
    enum sc_activation activation;
    uint64_t key, counter;
    const void *more;
    float *expected[OUT_MAX];
};

static void run_rows(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct rows_case *c = context;
    const float *in[IN_MAX];
    float *out[OUT_MAX];
    for (size_t i = 0; i < IN_MAX; i++) in[i] = c->in[i] ? kc_copy(c->in[i], c->n_in[i] * sizeof(float), place) : NULL;
    for (size_t i = 0; i < OUT_MAX; i++)
        out[i] = c->before[i] ? kc_copy(c->before[i], c->n_out[i] * sizeof(float), place)
                              : kc_take(c->n_out[i] * sizeof(float), place);
    c->call(k, c, in, out);
    for (size_t i = 0; i < OUT_MAX; i++) kc_same_floats(c->expected[i], out[i], c->n_out[i], "out");
    for (size_t i = 0; i < IN_MAX; i++)
        if (in[i]) kc_same_floats(c->in[i], in[i], c->n_in[i], "in afterwards");
}

static void check_rows(struct rows_case *c)
{
    for (size_t i = 0; i < OUT_MAX; i++) {
        c->expected[i] = kc_reserve(c->n_out[i] * sizeof(float));
        if (c->before[i]) memcpy(c->expected[i], c->before[i], c->n_out[i] * sizeof(float));
    }
    c->call(kc_base(), c, c->in, c->expected);
    kc_each_level(run_rows, c);
    for (size_t i = 0; i < OUT_MAX; i++) free(c->expected[i]);
}

// Three rows of n, to be given to any kernel; and what outputs hold.
struct rows {
    float *in[3], *before[3];
    size_t n;
};

static struct rows new_rows(size_t n, enum kc_kind kind)
{
    struct rows r = { .n = n };
    for (size_t i = 0; i < 3; i++) {
        r.in[i] = kc_floats(n, kind);
        r.before[i] = kc_floats(n, kind);
    }
    return r;
}

static void free_rows(struct rows *r)
{
    for (size_t i = 0; i < 3; i++) {
        free(r->in[i]);
        free(r->before[i]);
    }
}

static struct rows_case case_of(const struct rows *r, size_t n_in, size_t n_out, bool changes)
{
    struct rows_case c = { .n = r->n };
    for (size_t i = 0; i < n_in; i++) c.in[i] = r->in[i], c.n_in[i] = r->n;
    for (size_t i = 0; i < n_out; i++) c.before[i] = changes ? r->before[i] : NULL, c.n_out[i] = r->n;
    return c;
}

typedef void check_kernel(const struct rows *rows, size_t kind);

static void each_length(uint64_t seed, check_kernel *check)
{
    kc_seed(seed);
    for (size_t l = 0; l < SC_COUNT(lengths); l++)
        for (size_t kind = 0; kind < KC_KINDS; kind++) {
            struct rows rows = new_rows(lengths[l], (enum kc_kind)kind);
            check(&rows, kind);
            free_rows(&rows);
        }
}

#define CALL(name)                                                                                                     \
    static void call_##name(const struct sc_kernels *k, const struct rows_case *c, const float *const *in,             \
                            float *const *out)

// ---- adjoints

CALL(norm_adjoint) { k->norm_adjoint(in[0], in[2], c->p, in[1], out[0], c->n); }
CALL(glu_adjoint) { k->glu_adjoint(c->activation, in[0], in[1], in[2], out[0], out[1], c->n); }
CALL(softcap_adjoint) { k->softcap_adjoint(in[0], c->p, in[1], out[0], c->n); }

static void check_adjoints(const struct rows *rows, size_t kind)
{
    static const float caps[] = { 30.0f, 1.0f, 0x1p-20f };
    for (size_t weighted = 0; weighted < 2; weighted++) {
        struct rows_case c = case_of(rows, 2 + weighted, 1, false);
        c.call = call_norm_adjoint;
        c.p = kc_uniform(0.01f, 3);
        kc_case("norm_adjoint%s, n %zu, %s", weighted ? ", weighted" : "", rows->n, kind_name(kind));
        check_rows(&c);
    }
    for (int act = SC_SILU; act <= SC_SWIGLU_OAI; act++) {
        struct rows_case c = case_of(rows, 3, 2, false);
        c.call = call_glu_adjoint;
        c.activation = (enum sc_activation)act;
        kc_case("glu_adjoint %d, n %zu, %s", act, rows->n, kind_name(kind));
        check_rows(&c);
    }
    struct rows_case c = case_of(rows, 2, 1, false);
    c.call = call_softcap_adjoint;
    c.p = caps[kc_random() % SC_COUNT(caps)];
    kc_case("softcap_adjoint %g, n %zu, %s", (double)c.p, rows->n, kind_name(kind));
    check_rows(&c);
}

static void adjoints_of_rows_agree_on_all_levels(void) { each_length(60, check_adjoints); }

// Steps over the bit patterns of all finite floats, so that no threshold is missed.
static void adjoints_of_activations_agree_over_all_exponents(void)
{
    enum { N = 1 << 16 };
    kc_seed(61);
    struct rows rows = new_rows(N, KC_NORMAL);
    for (size_t i = 0; i < N; i++) {
        uint32_t bits = (uint32_t)i << 16 | (kc_random() & 0xffff);
        rows.in[0][i] = (bits & 0x7fffffff) < 0x7f800000 ? sc_f32_of_bits(bits) : (float)i * 0x1p-8f - 128.0f;
        rows.in[1][i] = i % 5 ? 1.0f : kc_uniform(-9, 9);
    }
    for (int act = SC_SILU; act <= SC_SWIGLU_OAI; act++) {
        struct rows_case c = case_of(&rows, 3, 2, false);
        c.call = call_glu_adjoint;
        c.activation = (enum sc_activation)act;
        kc_case("glu_adjoint %d over all exponents", act);
        check_rows(&c);
    }
    free_rows(&rows);
}

// ---- sums

CALL(dot) { *out[0] = k->dot(in[0], in[1], c->n); }
CALL(log_sum) { k->log_sum(in[0], c->n, out[0], out[1]); }
CALL(add_scaled) { k->add_scaled(in[0], c->p, out[0], c->n); }
CALL(add_products) { k->add_products(in[0], in[1], c->p, out[0], c->n); }

CALL(shares)
{
    (void)in;
    k->shares(out[0], c->n, c->p, c->q);
}

static void check_sums(const struct rows *rows, size_t kind)
{
    struct rows_case c = case_of(rows, 2, 1, false);
    c.call = call_dot;
    c.n_out[0] = 1;
    kc_case("dot, n %zu, %s", rows->n, kind_name(kind));
    check_rows(&c);
    c = case_of(rows, 1, 2, false);
    c.call = call_log_sum;
    c.n_out[0] = c.n_out[1] = 1;
    kc_case("log_sum, n %zu, %s", rows->n, kind_name(kind));
    check_rows(&c);
    c = case_of(rows, 1, 1, true);
    c.call = call_add_scaled;
    c.p = kc_value((enum kc_kind)kind);
    kc_case("add_scaled by %g, n %zu, %s", (double)c.p, rows->n, kind_name(kind));
    check_rows(&c);
    c.in[1] = rows->in[1];
    c.n_in[1] = rows->n;
    c.call = call_add_products;
    kc_case("add_products by %g, n %zu, %s", (double)c.p, rows->n, kind_name(kind));
    check_rows(&c);
    c = case_of(rows, 0, 1, true);
    c.call = call_shares;
    c.p = kc_value((enum kc_kind)kind);
    c.q = kc_uniform(0, 1);
    kc_case("shares beside %g times %g, n %zu, %s", (double)c.p, (double)c.q, rows->n, kind_name(kind));
    check_rows(&c);
}

static void sums_agree_on_all_levels(void) { each_length(62, check_sums); }

struct square_case {
    const float *x;
    size_t n;
    double expected;
};

static void run_square_sum(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct square_case *c = context;
    double found = k->square_sum(kc_copy(c->x, c->n * sizeof *c->x, place), c->n);
    kc_same_bytes(&c->expected, &found, sizeof found, "sum");
}

static void check_squares(const struct rows *rows, size_t kind)
{
    struct square_case c = { rows->in[0], rows->n, kc_base()->square_sum(rows->in[0], rows->n) };
    kc_case("square_sum, n %zu, %s", rows->n, kind_name(kind));
    kc_each_level(run_square_sum, &c);
}

static void sums_of_squares_agree_on_all_levels(void) { each_length(63, check_squares); }

// ---- the step

CALL(adamw)
{
    struct sc_adamw args = *(const struct sc_adamw *)c->more;
    args.w = out[0];
    args.m = out[1];
    args.v = out[2];
    args.g = in[0];
    args.n = c->n;
    k->adamw(&args);
}

static void check_adamw(const struct rows *rows, size_t kind)
{
    struct sc_adamw args = { .clip = kc_random() & 1 ? 1.0f : kc_uniform(0, 1),
                             .rate = kc_uniform(0, 1e-2f),
                             .decay = kc_random() & 1 ? 0.0f : 0.1f,
                             .beta1 = 0.9f,
                             .beta2 = 0.95f,
                             .eps = 1e-8f,
                             .correction1 = kc_uniform(0.1f, 1),
                             .correction2 = kc_uniform(0.05f, 1) };
    struct rows_case c = case_of(rows, 1, 3, true);
    for (size_t i = 0; i < rows->n; i++) rows->before[2][i] = fabsf(rows->before[2][i]);
    c.call = call_adamw;
    c.more = &args;
    kc_case("adamw, n %zu, %s", rows->n, kind_name(kind));
    check_rows(&c);
}

static void steps_agree_on_all_levels(void) { each_length(64, check_adamw); }

// ---- dropout

CALL(dropout) { k->dropout(in[0] ? in[0] : out[0], out[0], c->n, c->key, c->counter, c->p); }

static void check_dropout(const struct rows *rows, size_t kind)
{
    static const float keeps[] = { 0.5f, 0.9f, 0.1f, 1.0f, 0x1p-20f };
    static const uint64_t counters[] = { 0, 16, UINT64_C(0xfffffff8), UINT64_C(0x12345678fffffff0), UINT64_MAX - 3 };
    for (size_t in_place = 0; in_place < 2; in_place++) {
        struct rows_case c = case_of(rows, !in_place, 1, in_place);
        c.call = call_dropout;
        c.p = keeps[kc_random() % SC_COUNT(keeps)];
        c.key = (uint64_t)kc_random() << 32 | kc_random();
        c.counter = counters[kc_random() % SC_COUNT(counters)];
        kc_case("dropout to %g%s, n %zu, %s", (double)c.p, in_place ? ", in place" : "", rows->n, kind_name(kind));
        check_rows(&c);
    }
}

static void dropout_agrees_on_all_levels(void) { each_length(65, check_dropout); }

// ---- softmax and routing

CALL(softmax_adjoint)
{
    struct sc_softmax_adjoint args = *(const struct sc_softmax_adjoint *)c->more;
    args.score = out[0];
    args.d_share = out[1];
    args.sink = in[0];
    args.d_sink = out[2];
    args.n = c->n;
    k->softmax_adjoint(&args);
}

static void check_softmax(const struct rows *rows, size_t kind)
{
    for (size_t how = 0; how < 4; how++) {
        struct rows_case c = case_of(rows, how & 1, 3, true);
        size_t begin = kc_random() % rows->n;
        struct sc_softmax_adjoint args = { .begin = how & 2 ? begin : 0,
                                           .end = how & 2 ? kc_between(begin + 1, rows->n) : rows->n,
                                           .scale = kc_uniform(0.01f, 1),
                                           .softcap = kc_random() & 1 ? 0.0f : kc_uniform(1, 50),
                                           .mean = kc_value((enum kc_kind)kind) };
        c.call = call_softmax_adjoint;
        c.more = &args;
        c.n_in[0] = 1;
        c.n_out[2] = how & 1; // a sink's
        kc_case("softmax_adjoint %zu, keys %zu to %zu of %zu, %s", how, args.begin, args.end, rows->n, kind_name(kind));
        check_rows(&c);
    }
}

static void adjoints_of_softmax_agree_on_all_levels(void) { each_length(66, check_softmax); }

struct route_case {
    struct sc_route args;
    const float *d_weights, *expected;
};

static void run_route(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct route_case *c = context;
    struct sc_route args = c->args;
    float *d_logits = kc_take(args.n_experts * sizeof *d_logits, place);
    args.logits = kc_copy(args.logits, args.n_experts * sizeof(float), place);
    args.ids = kc_copy(args.ids, args.n_used * sizeof *args.ids, place);
    args.weights = NULL; // not read
    k->route_adjoint(&args, kc_copy(c->d_weights, args.n_used * sizeof(float), place), d_logits);
    kc_same_floats(c->expected, d_logits, args.n_experts, "d_logits");
}

static void adjoints_of_routing_agree_on_all_levels(void)
{
    static const size_t counts[] = { 1, 2, 8, 17, 64, 160, 256, SC_EXPERTS_MAX };
    static float logits[SC_EXPERTS_MAX], weights[SC_EXPERTS_MAX], d_weights[SC_EXPERTS_MAX], d_logits[SC_EXPERTS_MAX];
    static int32_t ids[SC_EXPERTS_MAX];
    kc_seed(67);
    for (size_t round = 0; round < 30 * SC_COUNT(counts); round++) {
        size_t n = counts[round % SC_COUNT(counts)];
        struct sc_route args = { .logits = logits,
                                 .n_experts = n,
                                 .n_used = kc_between(1, SC_MIN(n, (size_t)10)),
                                 .gating = (enum sc_gating)kc_between(1, 3),
                                 .normalize = kc_random() & 1,
                                 .scale = kc_random() & 1 ? 1.0f : 2.5f,
                                 .ids = ids,
                                 .weights = weights };
        kc_fill(logits, n, round % 7 ? KC_NORMAL : KC_MIXED);
        kc_fill(d_weights, n, KC_NORMAL);
        if (round % 11 == 0) // no gate is above 0, so that the sum which normalizes is held up
            for (size_t i = 0; i < n; i++) logits[i] = -1000.0f - (float)i;
        kc_base()->route(&args);
        kc_base()->route_adjoint(&args, d_weights, d_logits);
        kc_case("route_adjoint, %zu of %zu, gating %d", args.n_used, n, (int)args.gating);
        kc_each_level(run_route, &(struct route_case){ args, d_weights, d_logits });
    }
}

// ---- products of floats

struct gemm_case {
    struct sc_gemm args;
    size_t n_a, n_b, n_c;
    const float *expected;
};

static void run_gemm(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct gemm_case *c = context;
    struct sc_gemm args = c->args;
    args.a = kc_copy(args.a, c->n_a * sizeof(float), place);
    args.b = kc_copy(args.b, c->n_b * sizeof(float), place);
    args.c = kc_take(c->n_c * sizeof(float), place);
    k->gemm(&args);
    for (size_t j = 0; j < args.n_columns; j++)
        kc_same_floats(c->expected + j * args.stride, args.c + j * args.stride, args.n_rows, "a column of c");
}

// What lies past rows and columns is not a number, which must not reach the others.
static void check_gemm(size_t n_rows, size_t n_columns, size_t k, enum kc_kind kind)
{
    size_t rows = sc_align_up(n_rows, 16), columns = (n_columns + 11) / 12 * 12, stride = rows + kc_random() % 2 * 16;
    struct gemm_case c = { .n_a = rows * k, .n_b = columns * k, .n_c = (n_columns - 1) * stride + rows };
    float *a = kc_floats(c.n_a, kind), *b = kc_floats(c.n_b, kind), *expected = kc_reserve(c.n_c * sizeof *expected);
    for (size_t p = 0; p < k; p++) {
        for (size_t i = n_rows; i < rows; i++) a[i / 16 * 16 * k + p * 16 + i % 16] = __builtin_nanf("");
        for (size_t j = n_columns; j < columns; j++) b[j / 12 * 12 * k + p * 12 + j % 12] = __builtin_nanf("");
    }
    c.args = (struct sc_gemm){ a, b, n_rows, n_columns, k, expected, stride };
    c.expected = expected;
    kc_base()->gemm(&c.args);
    kc_case("gemm, %zu rows, %zu columns of %zu, %s", n_rows, n_columns, k, kind_name(kind));
    for (size_t j = 0; j < n_columns; j++)
        for (size_t i = 0; i < n_rows; i++) {
            float sum = 0.0f;
            for (size_t p = 0; p < k; p++)
                sum = fmaf(a[i / 16 * 16 * k + p * 16 + i % 16], b[j / 12 * 12 * k + p * 12 + j % 12], sum);
            kc_same_floats(&sum, &expected[j * stride + i], 1, "an element of c by the rule");
        }
    kc_each_level(run_gemm, &c);
    free(a);
    free(b);
    free(expected);
}

static void products_of_floats_agree_on_all_levels(void)
{
    static const size_t rows[] = { 1, 15, 16, 17, 32, 33, 48, 80 }, ks[] = { 1, 2, 7, 64, 255, 256 };
    kc_seed(68);
    for (size_t r = 0; r < SC_COUNT(rows); r++)
        for (size_t n_columns = 1; n_columns <= 30; n_columns++)
            check_gemm(rows[r], n_columns, ks[n_columns % SC_COUNT(ks)], (enum kc_kind)((r + n_columns) % KC_KINDS));
}

struct transpose_case {
    struct sc_transpose args;
};

static void run_transpose(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    struct sc_transpose args = ((const struct transpose_case *)context)->args;
    size_t n_x = (args.n - 1) * args.x_stride + args.m, n_y = (args.m - 1) * args.y_stride + args.n;
    uint32_t fresh;
    memset(&fresh, 0x5a, sizeof fresh);
    args.x = kc_copy(args.x, n_x * sizeof(float), place);
    args.y = kc_take(n_y * sizeof(float), place);
    k->transpose(&args);
    for (size_t j = 0; j < args.m; j++) {
        for (size_t i = 0; i < args.n; i++)
            kc_same_floats(&args.x[i * args.x_stride + j], &args.y[j * args.y_stride + i], 1, "an element");
        for (size_t i = args.n; i < args.y_stride && j + 1 < args.m; i++)
            kc_same_bytes(&fresh, &args.y[j * args.y_stride + i], sizeof fresh, "what lies between rows");
    }
}

static void matrices_are_turned_alike_on_all_levels(void)
{
    static const size_t sizes[] = { 1, 2, 12, 15, 16, 17, 31, 33, 48, 67 };
    kc_seed(69);
    for (size_t i = 0; i < SC_COUNT(sizes); i++)
        for (size_t j = 0; j < SC_COUNT(sizes); j++) {
            size_t n = sizes[i], m = sizes[j], x_stride = m + kc_random() % 3, y_stride = n + kc_random() % 3;
            float *x = kc_floats(n * x_stride, KC_MIXED);
            kc_case("transpose, %zu by %zu, strides %zu and %zu", n, m, x_stride, y_stride);
            kc_each_level(run_transpose, &(struct transpose_case){ { x, NULL, x_stride, y_stride, n, m } });
            free(x);
        }
}

static void every_level_can_train(void)
{
    const struct sc_kernels *k;
    for (size_t i = 0; (k = sc_kernels_at(i)); i++) {
        kc_case("table of %s", k->name);
        assert_true(k->gemm && k->transpose && k->norm_adjoint && k->glu_adjoint && k->route_adjoint);
        assert_true(k->softcap_adjoint && k->softmax_adjoint && k->dot && k->add_scaled && k->add_products);
        assert_true(k->log_sum && k->shares && k->adamw && k->square_sum && k->dropout);
    }
}

static const struct CMUnitTest tests[] = {
    KC_TEST(every_level_can_train),
    KC_TEST(adjoints_of_rows_agree_on_all_levels),
    KC_TEST(adjoints_of_activations_agree_over_all_exponents),
    KC_TEST(sums_agree_on_all_levels),
    KC_TEST(sums_of_squares_agree_on_all_levels),
    KC_TEST(steps_agree_on_all_levels),
    KC_TEST(dropout_agrees_on_all_levels),
    KC_TEST(adjoints_of_softmax_agree_on_all_levels),
    KC_TEST(adjoints_of_routing_agree_on_all_levels),
    KC_TEST(products_of_floats_agree_on_all_levels),
    KC_TEST(matrices_are_turned_alike_on_all_levels),
};

size_t kc_training_tests(struct CMUnitTest *out)
{
    memcpy(out, tests, sizeof tests);
    return SC_COUNT(tests);
}
