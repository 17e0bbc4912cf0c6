// Every level against `base`, bit for bit: the matrix products, in every format.
#include "kernel_check.h"

// What one product needs, in plain memory.
struct product {
    const struct sc_format *format;
    size_t n_rows, k, n_columns, group_bytes;
    size_t shift;            // groups begin this far from a multiple of 64, as they may in a mapped file
    uint8_t *groups;         // packed
    float *x;                // [n_columns][k], float formats
    struct kc_panels panels; // quantized formats
    float *y;                // [n_columns][n_rows]
};

static size_t groups_bytes(const struct product *p)
{
    return kc_packed_bytes(p->format, p->n_rows, p->k, p->group_bytes);
}

// Integers as quantize would make them, but anywhere in their range.
static void fill_activations(struct product *p, enum kc_kind kind, bool extreme)
{
    size_t n_d = (p->k + SC_SEGMENT - 1) / SC_SEGMENT;
    int8_t *q = kc_reserve(p->k);
    float *d = kc_floats(n_d, kind);
    for (size_t c = 0; c < p->n_columns; c++) {
        for (size_t i = 0; i < p->k; i++)
            q[i] = (int8_t)(extreme ? (kc_random() % 8 ? 127 : -127) : (int)kc_between(0, 254) - 127);
        if (extreme && c == 0) memset(q, 127, p->k); // one column all of one sign: the greatest sums there are
        kc_fill(d, n_d, kind);
        kc_panels_put(&p->panels, c, q, d);
    }
    free(q);
    free(d);
}

// Floats of any bits, or of a kind of values.
static void fill_row(const struct sc_format *format, uint8_t *row, size_t k, enum kc_kind kind, enum kc_bytes bytes)
{
    kc_fill_blocks(format, row, k / format->block_size, bytes);
    if (format->unpack || kc_random() % 4 == 0) return;
    for (size_t i = 0; i < k; i++) {
        float value = kc_value(kind);
        uint32_t bits = sc_bits_of_f32(value);
        uint16_t half = (uint16_t)(bits >> 16), f16 = sc_half_from_f32(value);
        if (format->id == 1 && (f16 & 0x7c00) == 0x7c00) f16 = (uint16_t)(bits >> 16 & 0xbfff); // finite at least
        if (format->id == 1) half = f16;
        memcpy(row + i * format->block_bytes, format->block_bytes == 4 ? (void *)&bits : (void *)&half,
               format->block_bytes);
    }
}

static struct product make_product(const struct sc_format *format, size_t n_rows, size_t k, size_t n_columns,
                                   enum kc_kind kind, enum kc_bytes bytes)
{
    struct product p = { .format = format, .n_rows = n_rows, .k = k, .n_columns = n_columns };
    size_t row_stride = sc_format_row_bytes(format, k) + kc_random() % 3;
    uint8_t *rows = kc_reserve(n_rows * row_stride);
    memset(rows, 0xff, n_rows * row_stride); // between the rows: NaN, were it read as a number
    for (size_t r = 0; r < n_rows; r++) fill_row(format, rows + r * row_stride, k, kind, bytes);
    p.group_bytes = sc_packed_group_bytes(format, k) + (kc_random() % 4 ? 0 : 64);
    p.shift = kc_random() % 4 ? 0 : 32;
    p.groups = kc_pack(format, rows, row_stride, n_rows, k, p.group_bytes);
    free(rows);
    p.y = kc_floats(n_columns * n_rows, KC_NORMAL);
    if (!format->unpack) {
        p.x = kc_floats(n_columns * k, kind);
        return p;
    }
    p.panels = kc_panels_new(k, n_columns);
    fill_activations(&p, kind, bytes == KC_ALL_ONES || bytes == KC_ALL_ZEROS || bytes == KC_SIGN_BITS);
    return p;
}

static void free_product(struct product *p)
{
    free(p->groups);
    free(p->x);
    free(p->y);
    kc_panels_free(&p->panels);
}

static void multiply(const struct sc_kernels *k, const struct product *p, const void *groups, const float *const *x,
                     const struct sc_panel *panels, float *const *y, void *scratch)
{
    struct sc_matmul args = { .format = p->format,
                              .groups = groups,
                              .group_bytes = p->group_bytes,
                              .n_rows = p->n_rows,
                              .k = p->k,
                              .n_columns = p->n_columns,
                              .x = x,
                              .panels = panels,
                              .y = y,
                              .scratch = scratch };
    if (p->format->unpack) k->matmul_quantized(&args);
    else k->matmul_float(&args);
}

static const void *place_groups(const struct product *p, enum kc_place place)
{
    uint8_t *at = kc_take(groups_bytes(p) + p->shift, place);
    if (place == KC_BEGINS_AT_GUARD) at += p->shift;
    return memcpy(at, p->groups, groups_bytes(p));
}

static void run_product(const struct sc_kernels *k, enum kc_place place, const void *context)
{
    const struct product *p = context;
    const float *x[SC_COLUMNS_MAX];
    float *y[SC_COLUMNS_MAX];
    struct kc_panels panels = kc_panels_copy(&p->panels, place);
    for (size_t c = 0; c < p->n_columns; c++) {
        x[c] = p->x ? kc_copy(p->x + c * p->k, p->k * sizeof **x, place) : NULL;
        y[c] = kc_take(p->n_rows * sizeof **y, place);
    }
    multiply(k, p, place_groups(p, place), x, panels.at, y,
             kc_take_aligned(sc_matmul_scratch(p->k, p->n_columns), place));
    for (size_t c = 0; c < p->n_columns; c++) kc_same_floats(p->y + c * p->n_rows, y[c], p->n_rows, "y");
}

// The product into p->y, from and to plain memory.
static void multiply_plainly(const struct sc_kernels *k, const struct product *p)
{
    const float *x[SC_COLUMNS_MAX];
    float *y[SC_COLUMNS_MAX];
    void *scratch = kc_reserve(sc_matmul_scratch(p->k, p->n_columns) + 64);
    for (size_t c = 0; c < p->n_columns; c++) {
        x[c] = p->x ? p->x + c * p->k : NULL;
        y[c] = p->y + c * p->n_rows;
    }
    multiply(k, p, p->groups, x, p->panels.at, y, (void *)sc_align_up((uintptr_t)scratch, 64));
    free(scratch);
}

static void check_product(const struct sc_format *format, size_t n_rows, size_t k, size_t n_columns, enum kc_kind kind,
                          enum kc_bytes bytes)
{
    struct product p = make_product(format, n_rows, k, n_columns, kind, bytes);
    kc_case("%s, %zu rows, groups %zu bytes apart, k %zu, %zu columns, %s, bytes %d", format->name, n_rows,
            p.group_bytes, k, n_columns, kc_kind_name(kind), (int)bytes);
    multiply_plainly(kc_base(), &p);
    kc_each_level(run_product, &p);
    free_product(&p);
}

static enum kc_kind some_kind(void) { return (enum kc_kind)(kc_random() % KC_KINDS); }

// Every number of columns in a panel and several panels; each k; each number of rows; then the worst bytes.
static void check_format(const struct sc_format *format, const size_t *ks, size_t n_ks)
{
    static const size_t columns[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 24, 25, 36, 47, 48 };
    for (size_t i = 0; i < SC_COUNT(columns); i++)
        for (size_t round = 0; round < (columns[i] > 13 ? 1 : 3); round++)
            check_product(format, kc_between(1, 33), ks[round == 0 ? n_ks - 1 : kc_random() % n_ks], columns[i],
                          round == 0 ? KC_NORMAL : some_kind(), KC_RANDOM);
    for (size_t i = 0; i < n_ks; i++)
        for (size_t round = 0; round < 2; round++)
            check_product(format, kc_between(1, 20), ks[i], round ? kc_between(2, 13) : 1, some_kind(), KC_RANDOM);
    for (size_t n_rows = 1; n_rows <= 33; n_rows++)
        check_product(format, n_rows, ks[n_rows % n_ks], 1 + n_rows % 13, some_kind(), KC_RANDOM);
    for (int bytes = KC_ALL_ONES; bytes < KC_BYTES_KINDS; bytes++)
        for (size_t i = 0; i < 4; i++)
            check_product(format, kc_between(1, 20), ks[kc_random() % n_ks], i == 0 ? 12 : kc_between(1, 11),
                          i ? some_kind() : KC_NORMAL, (enum kc_bytes)bytes);
}

static void float_products_agree_on_all_levels(void)
{
    static const size_t ks[] = { 1, 2, 31, 32, 33, 255, 256, 257, 512, 513, 1000, 1281 };
    const struct sc_format *format;
    kc_seed(8);
    for (size_t i = 0; (format = sc_format_at(i)); i++)
        if (!format->unpack) check_format(format, ks, SC_COUNT(ks));
}

static void quantized_products_agree_on_all_levels(void)
{
    static const size_t small[] = { 32, 64, 96, 224, 256, 288, 480, 512, 544, 1792, 1120 };
    static const size_t great[] = { 256, 512, 768, 1792, 1280 };
    const struct sc_format *format;
    kc_seed(9);
    for (size_t i = 0; (format = sc_format_at(i)); i++) {
        if (!format->unpack) continue;
        assert_true(format->block_size == 32 || format->block_size == 256);
        if (format->block_size == 32) check_format(format, small, SC_COUNT(small));
        else check_format(format, great, SC_COUNT(great));
    }
}

// Columns begin..end and rows of the groups begin_group.. as a product of their own.
static struct product part_of(const struct product *p, size_t begin, size_t end, size_t group, size_t n_rows)
{
    size_t n_d = (p->k + SC_SEGMENT - 1) / SC_SEGMENT, n = end - begin;
    struct product part = { .format = p->format, .n_rows = n_rows, .k = p->k, .n_columns = n };
    part.group_bytes = p->group_bytes;
    part.groups = p->groups + group * p->group_bytes;
    part.y = kc_reserve(n * n_rows * sizeof *part.y);
    if (p->x) part.x = p->x + begin * p->k;
    if (p->x) return part;
    int8_t *q = kc_reserve(p->k);
    float *d = kc_floats(n_d, KC_NORMAL);
    part.panels = kc_panels_new(p->k, n);
    for (size_t c = 0; c < n; c++) {
        for (size_t i = 0; i < p->k; i++) q[i] = (int8_t)kc_panels_q(&p->panels, begin + c, i);
        for (size_t i = 0; i < n_d; i++) d[i] = kc_panels_d(&p->panels, begin + c, i);
        kc_panels_put(&part.panels, c, q, d);
    }
    free(q);
    free(d);
    return part;
}

// What a row or a column gives does not depend on the others that are computed with it.
static void products_do_not_depend_on_neighbours(void)
{
    enum { ROWS = 35, COLUMNS = 29 };
    const struct sc_format *format;
    const struct sc_kernels *k;
    kc_seed(10);
    for (size_t i = 0; (format = sc_format_at(i)); i++) {
        struct product p = make_product(format, ROWS, 768, COLUMNS, KC_NORMAL, KC_RANDOM);
        for (size_t level = 0; (k = sc_kernels_at(level)); level++) {
            if (!k->supported()) continue;
            multiply_plainly(k, &p);
            for (size_t round = 0; round < 30; round++) {
                size_t begin = kc_between(0, COLUMNS - 1), end = begin + 1 + kc_random() % (COLUMNS - begin);
                size_t group = kc_between(0, 2), n_rows = kc_between(1, ROWS - 16 * group);
                struct product part = part_of(&p, begin, round % 2 ? begin + 1 : end, group, n_rows);
                kc_case("%s on level %s: columns %zu on, %zu of them; group %zu, %zu rows", format->name, k->name,
                        begin, part.n_columns, group, n_rows);
                multiply_plainly(k, &part);
                for (size_t c = 0; c < part.n_columns; c++)
                    kc_same_floats(p.y + (begin + c) * ROWS + 16 * group, part.y + c * n_rows, n_rows, "y");
                free(part.y);
                kc_panels_free(&part.panels);
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
