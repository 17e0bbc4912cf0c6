// Products of two matrices of floats (program/gemm.h) against a plain triple loop that follows the rule: segments of
// 256 in order, a tree over segments. However the operands lie and the result is cut, on every level.
#include "kernels_plain.h"

#include "program/gemm.h"
#include "fixtures.h"

// An operand and its elements as plain rows: (i, p) at values[i * k + p].
struct side {
    struct sc_operand operand;
    struct sc_tensor weight;
    float *values, *x, *scale;
    size_t n_x, n_scale;
    void *groups;
};

enum lie { ROWS, COLUMNS, SCALED_COLUMNS, TURNED };

static void make_rows(struct side *s, size_t n, size_t k, enum kc_kind kind)
{
    size_t stride = k + kc_random() % 3;
    s->n_x = (n - 1) * stride + k;
    s->x = kc_floats(s->n_x, kind);
    s->operand = (struct sc_operand){ .lie = SC_LIE_ROWS, .x = s->x, .stride = stride };
    for (size_t i = 0; i < n; i++) memcpy(s->values + i * k, s->x + i * stride, k * sizeof *s->x);
}

static void make_columns(struct side *s, size_t n, size_t k, bool scaled, enum kc_kind kind)
{
    size_t stride = n + kc_random() % 3, scale_stride = 1 + kc_random() % 2;
    s->n_x = (k - 1) * stride + n;
    s->n_scale = (k - 1) * scale_stride + 1;
    s->x = kc_floats(s->n_x, kind);
    s->scale = scaled ? kc_floats(s->n_scale, KC_NORMAL) : NULL;
    s->operand = (struct sc_operand){ SC_LIE_COLUMNS, s->x, stride, s->scale, scale_stride, NULL, 0 };
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < k; p++)
            s->values[i * k + p] = s->x[p * stride + i] * (scaled ? s->scale[p * scale_stride] : 1.0f);
}

// The second of two packed matrices of k rows of n elements.
static void make_turned(struct side *s, size_t n, size_t k, const struct sc_format *format)
{
    size_t row_bytes = sc_format_row_bytes(format, n), group_bytes = sc_packed_group_bytes(format, n);
    size_t matrix_bytes = sc_packed_bytes(format, n, k);
    uint8_t *rows = kc_reserve(k * row_bytes);
    float *row = kc_reserve(n * sizeof *row);
    kc_fill_blocks(format, rows, k * n / format->block_size, KC_RANDOM);
    for (size_t i = 0; i < k * n && format->block_bytes == 4; i++) ((float *)(void *)rows)[i] = kc_value(KC_NORMAL);
    s->groups = aligned_alloc(64, sc_align_up(2 * matrix_bytes, 64));
    assert_non_null(s->groups);
    memset(s->groups, 0xff, 2 * matrix_bytes);
    for (size_t p = 0; p < k; p += SC_GROUP_ROWS)
        sc_pack_group(format, rows + p * row_bytes, row_bytes, SC_MIN(k - p, (size_t)SC_GROUP_ROWS), n,
                      (char *)s->groups + matrix_bytes + p / SC_GROUP_ROWS * group_bytes);
    for (size_t p = 0; p < k; p++) {
        format->decode(rows + p * row_bytes, row, n / format->block_size);
        for (size_t i = 0; i < n; i++) s->values[i * k + p] = row[i];
    }
    s->weight = (struct sc_tensor){ .format = format,
                                    .n_dims = 3,
                                    .shape = { n, k, 2, 1 },
                                    .data = s->groups,
                                    .n_bytes = 2 * matrix_bytes,
                                    .row_stride = group_bytes,
                                    .matrix_stride = matrix_bytes,
                                    .packed = true };
    s->operand = (struct sc_operand){ .lie = SC_LIE_TURNED, .matrix = 1 };
    free(rows);
    free(row);
}

static struct side make_side(enum lie lie, const struct sc_format *format, size_t n, size_t k, enum kc_kind kind)
{
    struct side s = { .values = kc_reserve(n * k * sizeof(float)) };
    if (lie == ROWS) make_rows(&s, n, k, kind);
    else if (lie == TURNED) make_turned(&s, n, k, format);
    else make_columns(&s, n, k, lie == SCALED_COLUMNS, kind);
    return s;
}

static void free_side(struct side *s)
{
    free(s->values);
    free(s->x);
    free(s->scale);
    free(s->groups);
}

static struct sc_operand place_side(const struct side *s, enum kc_place place)
{
    struct sc_operand operand = s->operand;
    if (s->x) operand.x = kc_copy(s->x, s->n_x * sizeof *s->x, place);
    if (s->scale) operand.scale = kc_copy(s->scale, s->n_scale * sizeof *s->scale, place);
    if (s->groups) operand.weight = &s->weight;
    return operand;
}

struct product_case {
    struct side a, b;
    struct sc_product product; // without operands and c
    const float *before, *expected;
    size_t n_c, round;
};

static size_t place_of(const struct sc_product *p, size_t i, size_t j)
{
    return i / 16 * p->c_group + i % 16 + j * p->c_column;
}

// Cut for 1 to 4 threads, or (0) as small as may be.
static struct sc_product_cut some_cut(const struct sc_product *p, size_t n_threads)
{
    if (n_threads) return sc_product_cut(p, n_threads);
    struct sc_product_cut cut = sc_product_cut(p, 1);
    if (p->a.lie != SC_LIE_TURNED) cut.rows = 32;
    cut.columns = SC_PANEL;
    cut.row_blocks = (p->n_rows + cut.rows - 1) / cut.rows;
    cut.column_blocks = (p->n_columns + cut.columns - 1) / cut.columns;
    return cut;
}

static void run_product(const struct sc_kernels *kernels, enum kc_place place, const void *context)
{
    const struct product_case *c = context;
    struct sc_product p = c->product;
    p.a = place_side(&c->a, place);
    p.b = place_side(&c->b, place);
    void *scratch = kc_take_aligned(sc_product_scratch(p.k), place);
    for (size_t way = 0; way < 2; way++) {
        struct sc_product_cut cut = some_cut(&p, way ? 1 + (c->round + place) % 4 : 0);
        p.c = kc_copy(c->before, c->n_c * sizeof *p.c, place);
        for (size_t task = cut.row_blocks * cut.column_blocks; task-- > 0;)
            sc_product_task(kernels, &p, &cut, task, scratch);
        kc_same_floats(c->expected, p.c, c->n_c, "c and what lies between its elements");
    }
}

static void expect(struct product_case *c, float *expected)
{
    const struct sc_product *p = &c->product;
    for (size_t i = 0; i < p->n_rows; i++)
        for (size_t j = 0; j < p->n_columns; j++) {
            float *to = expected + place_of(p, i, j);
            float sum = plain_float_product(c->a.values + i * p->k, c->b.values + j * p->k, p->k);
            if (p->factor != 1.0f) sum = sum * p->factor;
            *to = p->add ? *to + sum : sum;
        }
}

enum { STEP = IS_SANITIZED ? 4 : 1 }; // instrumented, each layout meets some of the sizes
static const size_t sizes[][3] = {
    // rows, columns, sums
    { 1, 1, 1 },     { 16, 12, 16 },  { 17, 13, 31 },  { 33, 25, 255 }, { 40, 7, 256 },
    { 31, 50, 257 }, { 96, 24, 513 }, { 530, 30, 70 }, { 70, 490, 40 }, { 5, 3, 1300 },
};

// The round decides on the result's layout, on factor and add.
static void check_product(enum lie a, const struct sc_format *format, enum lie b, const size_t size[3], size_t round)
{
    size_t n_rows = size[0], n_columns = size[1], k = size[2];
    if (format) n_rows = sc_align_up(n_rows, format->block_size);
    enum kc_kind kind = round % 3 ? KC_NORMAL : KC_ILL;
    bool packed = round % 2;
    struct product_case c = { .a = make_side(a, format, n_rows, k, kind),
                              .b = make_side(b, sc_format_find_name("F32"), n_columns, k, kind),
                              .product = { .n_rows = n_rows,
                                           .n_columns = n_columns,
                                           .k = k,
                                           .factor = round % 5 ? 1.0f : -0.37f,
                                           .c_group = packed ? n_columns * 16 : 16,
                                           .c_column = packed ? 16 : n_rows + round % 4,
                                           .add = round / 2 % 2 } };
    for (size_t i = 0; i < n_rows; i++) c.n_c = SC_MAX(c.n_c, place_of(&c.product, i, n_columns - 1) + 1);
    float *before = kc_floats(c.n_c, KC_NORMAL), *expected = kc_reserve(c.n_c * sizeof *expected);
    memcpy(expected, before, c.n_c * sizeof *expected);
    kc_case("product %d%s%s by %d, %zu rows, %zu columns of %zu, way %zu", (int)a, format ? " " : "",
            format ? format->name : "", (int)b, n_rows, n_columns, k, round);
    expect(&c, expected);
    c.round = round;
    c.before = before;
    c.expected = expected;
    kc_each_level(run_product, &c);
    free_side(&c.a);
    free_side(&c.b);
    free(before);
    free(expected);
}

static void products_follow_the_rule_however_operands_lie(void)
{
    size_t round = 0;
    kc_seed(80);
    for (int a = ROWS; a <= SCALED_COLUMNS; a++)
        for (int b = ROWS; b <= TURNED; b++)
            for (size_t i = (size_t)(a + b) % STEP; i < SC_COUNT(sizes); i += STEP, round++)
                check_product((enum lie)a, NULL, (enum lie)b, sizes[i], round + round / 10);
}

static void products_with_packed_matrices_follow_the_rule(void)
{
    static const char *const names[] = { "F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "MXFP4" };
    size_t round = 0;
    kc_seed(81);
    for (size_t f = 0; f < SC_COUNT(names); f++)
        for (size_t i = f % STEP; i < SC_COUNT(sizes); i += STEP, round++)
            check_product(TURNED, sc_format_find_name(names[f]), (enum lie)(round % 3), sizes[i], round + round / 10);
}

// The pool's threads, and the calling one alone.
static void products_are_the_same_by_any_number_of_threads(void)
{
    enum { ROWS_OF_C = 100, N_COLUMNS = 200, K = 300 };
    socle_error err;
    kc_seed(82);
    struct side a = make_side(COLUMNS, NULL, ROWS_OF_C, K, KC_NORMAL), b = make_side(ROWS, NULL, N_COLUMNS, K, KC_ILL);
    float *alone = kc_reserve(ROWS_OF_C * N_COLUMNS * sizeof *alone), *found = kc_reserve(ROWS_OF_C * N_COLUMNS * 4);
    size_t stride = sc_align_up(sc_product_scratch(K), 64);
    char *scratch = aligned_alloc(64, 4 * stride);
    assert_non_null(scratch);
    struct sc_product p = { a.operand, b.operand, ROWS_OF_C, N_COLUMNS, K, 1.0f, alone, 16, ROWS_OF_C, false };
    sc_product_alone(kc_base(), &p, scratch);
    p.c = found;
    for (uint32_t n_threads = 1; n_threads <= 4; n_threads++) {
        struct sc_pool *pool;
        kc_case("product by %u threads", n_threads);
        assert_int_equal(sc_pool_create(n_threads, &pool, &err), SOCLE_OK);
        memset(found, 0x5a, ROWS_OF_C * N_COLUMNS * sizeof *found);
        sc_product_run(kc_base(), pool, &p, scratch, stride);
        kc_same_floats(alone, found, (size_t)ROWS_OF_C * N_COLUMNS, "c");
        sc_pool_free(pool);
    }
    free_side(&a);
    free_side(&b);
    free(alone);
    free(found);
    free(scratch);
}

static const struct CMUnitTest tests[] = {
    KC_TEST(products_follow_the_rule_however_operands_lie),
    KC_TEST(products_with_packed_matrices_follow_the_rule),
    KC_TEST(products_are_the_same_by_any_number_of_threads),
};

size_t kc_product_tests(struct CMUnitTest *out)
{
    memcpy(out, tests, sizeof tests);
    return SC_COUNT(tests);
}
