// Every level against `base`, bit for bit: the matrix products, in every format.
#include "kernel_check.h"

// What one product needs, in plain memory. Columns have one length, rows one stride.
struct product {
    const struct sc_format *format;
    size_t n_rows, k, n_columns, row_stride;
    uint8_t *rows;
    float *x;      // [n_columns][k], float formats
    int8_t *q;     // [n_columns][k], quantized formats
    float *d;      // [n_columns][n_d]
    int16_t *sums; // [n_columns][k / 16]
    float *y;      // [n_columns][n_rows]
};

static size_t n_d(const struct product *p) { return (p->k + SC_SEGMENT - 1) / SC_SEGMENT; }
static size_t rows_bytes(const struct product *p)
{
    return (p->n_rows - 1) * p->row_stride + sc_format_row_bytes(p->format, p->k);
}

static void *reserve(size_t n_bytes)
{
    void *memory = malloc(n_bytes ? n_bytes : 1);
    assert_non_null(memory);
    return memory;
}

// Integers as quantize would make them, but anywhere in their range.
static void fill_activations(struct product *p, enum kc_kind kind, bool extreme)
{
    for (size_t i = 0; i < p->n_columns * p->k; i++)
        p->q[i] = (int8_t)(extreme ? (kc_random() % 8 ? 127 : -127) : (int)kc_between(0, 254) - 127);
    if (extreme) memset(p->q, 127, p->k); // one column all of one sign: the greatest sums there are
    for (size_t c = 0; c < p->n_columns; c++)
        for (size_t i = 0; i < p->k / 16; i++) {
            int sum = 0;
            for (size_t j = 0; j < 16; j++) sum += p->q[c * p->k + 16 * i + j];
            p->sums[c * (p->k / 16) + i] = (int16_t)sum;
        }
    kc_fill(p->d, p->n_columns * n_d(p), kind);
}

static struct product make_product(const struct sc_format *format, size_t n_rows, size_t k, size_t n_columns,
                                   enum kc_kind kind, enum kc_bytes bytes)
{
    // Rows of whole numbers of elements apart: F32 rows stay aligned to 4 bytes, quantized ones to nothing.
    size_t pad = kc_random() % 3 * (format->unpack ? 1 : format->block_bytes);
    struct product p = { format, n_rows, k, n_columns, sc_format_row_bytes(format, k) + pad };
    p.rows = reserve(rows_bytes(&p));
    memset(p.rows, 0xff, rows_bytes(&p)); // between the rows: NaN, were it read as a number
    for (size_t r = 0; r < n_rows; r++)
        kc_fill_blocks(format, p.rows + r * p.row_stride, k / format->block_size, bytes);
    if (!format->unpack && format->block_bytes == 4)
        for (size_t r = 0; r < n_rows; r++) kc_fill((float *)(void *)(p.rows + r * p.row_stride), k, kind);
    p.x = kc_floats(n_columns * k, kind);
    p.q = reserve(n_columns * k);
    p.d = reserve(n_columns * n_d(&p) * sizeof *p.d);
    p.sums = reserve(n_columns * (k / 16) * sizeof *p.sums);
    p.y = reserve(n_columns * n_rows * sizeof *p.y);
    fill_activations(&p, kind, bytes == KC_ALL_ONES || bytes == KC_ALL_ZEROS || bytes == KC_SIGN_BITS);
    return p;
}

static void free_product(struct product *p)
{
    free(p->rows);
    free(p->x);
    free(p->q);
    free(p->d);
    free(p->sums);
    free(p->y);
}

static void multiply(const struct sc_kernels *k, const struct product *p, const void *rows, const float *const *x,
                     const struct sc_q8 *xq, float *const *y)
{
    struct sc_matmul args = { .format = p->format,
                              .rows = rows,
                              .row_stride = p->row_stride,
                              .n_rows = p->n_rows,
                              .k = p->k,
                              .n_columns = p->n_columns,
                              .x = x,
                              .xq = xq,
                              .y = y };
    if (p->format->unpack) k->matmul_quantized(&args);
    else k->matmul_float(&args);
}

static void run_product(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct product *p = context;
    const float *x[SC_COLUMNS_MAX];
    struct sc_q8 xq[SC_COLUMNS_MAX];
    float *y[SC_COLUMNS_MAX];
    for (size_t c = 0; c < p->n_columns; c++) {
        if (!p->format->unpack) x[c] = kc_copy(p->x + c * p->k, p->k * sizeof **x, place);
        else
            xq[c] = (struct sc_q8){ kc_copy(p->q + c * p->k, p->k, place),
                                    kc_copy(p->d + c * n_d(p), n_d(p) * sizeof *p->d, place),
                                    kc_copy(p->sums + c * (p->k / 16), p->k / 16 * sizeof *p->sums, place) };
        y[c] = kc_take(p->n_rows * sizeof **y, place);
    }
    multiply(k, p, kc_copy(p->rows, rows_bytes(p), place), x, xq, y);
    for (size_t c = 0; c < p->n_columns; c++) kc_same_floats(p->y + c * p->n_rows, y[c], p->n_rows, "y");
}

static void check_product(const struct sc_format *format, size_t n_rows, size_t k, size_t n_columns, enum kc_kind kind,
                          enum kc_bytes bytes)
{
    struct product p = make_product(format, n_rows, k, n_columns, kind, bytes);
    const float *x[SC_COLUMNS_MAX];
    struct sc_q8 xq[SC_COLUMNS_MAX];
    float *y[SC_COLUMNS_MAX];
    for (size_t c = 0; c < n_columns; c++) {
        x[c] = p.x + c * k;
        xq[c] = (struct sc_q8){ p.q + c * k, p.d + c * n_d(&p), p.sums + c * (k / 16) };
        y[c] = p.y + c * n_rows;
    }
    kc_case("%s, %zu rows %zu bytes apart, k %zu, %zu columns, %s, bytes %d", format->name, n_rows, p.row_stride, k,
            n_columns, kc_kind_name(kind), (int)bytes);
    multiply(kc_base(), &p, p.rows, x, xq, y);
    kc_each_level(run_product, &p);
    free_product(&p);
}

static enum kc_kind some_kind(void) { return (enum kc_kind)(kc_random() % KC_KINDS); }

// Each k with 1 to 5 columns; each number of rows; the most columns; then the worst bytes.
static void check_format(const struct sc_format *format, const size_t *ks, size_t n_ks)
{
    for (size_t i = 0; i < n_ks; i++)
        for (size_t n_columns = 1; n_columns <= 5; n_columns++)
            check_product(format, kc_between(1, 33), ks[i], n_columns, n_columns == 1 ? KC_NORMAL : some_kind(),
                          KC_RANDOM);
    for (size_t n_rows = 1; n_rows <= 33; n_rows++)
        check_product(format, n_rows, ks[n_rows % n_ks], 1 + n_rows % 5, some_kind(), KC_RANDOM);
    check_product(format, 17, ks[n_ks - 1], SC_COLUMNS_MAX, KC_NORMAL, KC_RANDOM);
    check_product(format, 3, ks[1], SC_COLUMNS_MAX - 1, KC_ILL, KC_RANDOM);
    for (int bytes = KC_ALL_ONES; bytes < KC_BYTES_KINDS; bytes++)
        for (size_t i = 0; i < 3; i++)
            check_product(format, kc_between(1, 20), ks[kc_random() % n_ks], kc_between(1, 6),
                          i ? some_kind() : KC_NORMAL, (enum kc_bytes)bytes);
}

static void float_products_agree_on_all_levels(void)
{
    static const size_t ks[] = { 1, 2, 31, 32, 33, 255, 256, 257, 512, 513, 1000, 1793 };
    const struct sc_format *format;
    kc_seed(8);
    for (size_t i = 0; (format = sc_format_at(i)); i++)
        if (!format->unpack) check_format(format, ks, SC_COUNT(ks));
}

static void quantized_products_agree_on_all_levels(void)
{
    static const size_t small[] = { 32, 64, 96, 224, 256, 288, 480, 512, 544, 1120, 1792 };
    static const size_t great[] = { 256, 512, 768, 1280, 1792 };
    const struct sc_format *format;
    kc_seed(9);
    for (size_t i = 0; (format = sc_format_at(i)); i++) {
        if (!format->unpack) continue;
        assert_true(format->block_size == 32 || format->block_size == 256);
        if (format->block_size == 32) check_format(format, small, SC_COUNT(small));
        else check_format(format, great, SC_COUNT(great));
    }
}

// What a row or a column gives does not depend on the others that are computed with it.
static void products_do_not_depend_on_neighbours(void)
{
    const struct sc_format *format;
    kc_seed(10);
    for (size_t i = 0; (format = sc_format_at(i)); i++) {
        struct product p = make_product(format, 19, 768, 7, KC_NORMAL, KC_RANDOM);
        const struct sc_kernels *k;
        for (size_t level = 0; (k = sc_kernels_at(level)); level++) {
            if (!k->supported()) continue;
            kc_case("%s on level %s: one row and column at a time", format->name, k->name);
            const float *x[7];
            struct sc_q8 xq[7];
            float *y[7], one;
            for (size_t c = 0; c < 7; c++) {
                x[c] = p.x + c * p.k;
                xq[c] = (struct sc_q8){ p.q + c * p.k, p.d + c * n_d(&p), p.sums + c * (p.k / 16) };
                y[c] = p.y + c * p.n_rows;
            }
            multiply(k, &p, p.rows, x, xq, y);
            struct product single = p;
            single.n_rows = single.n_columns = 1;
            for (size_t c = 0; c < 7; c++)
                for (size_t r = 0; r < p.n_rows; r++) {
                    multiply(k, &single, p.rows + r * p.row_stride, x + c, xq + c, (float *[]){ &one });
                    kc_same_floats(&y[c][r], &one, 1, "y");
                }
        }
        free_product(&p);
    }
}

static const struct CMUnitTest tests[] = {
    KC_TEST(float_products_agree_on_all_levels),
    KC_TEST(quantized_products_agree_on_all_levels),
    KC_TEST(products_do_not_depend_on_neighbours),
};

size_t kc_matmul_tests(struct CMUnitTest *out)
{
    memcpy(out, tests, sizeof tests);
    return SC_COUNT(tests);
}
