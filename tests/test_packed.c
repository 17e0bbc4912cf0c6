// Packed weights (tensor/packed.h): every format's blocks come back as they were, lie as drawn, and stay in their
// memory.
#include "kernel_check.h"

#include <math.h>

enum { ROWS = SC_GROUP_ROWS };

// Every format with some row lengths: whole tiles, and where blocks allow it short last ones.
static size_t some_k(const struct sc_format *format, size_t round)
{
    static const size_t ks[] = { 256, 768, 32, 288, 512, 224 }, floats[] = { 1, 2, 255, 256, 257, 600 };
    return format->packing ? sc_align_up(ks[round % SC_COUNT(ks)], format->block_size)
                           : floats[round % SC_COUNT(floats)];
}

// n rows row_stride bytes apart, of random bytes throughout: infinite and not-a-number scales, too.
static uint8_t *random_rows(size_t n_rows, size_t row_stride, size_t row_bytes, enum kc_place place)
{
    size_t n = (n_rows - 1) * row_stride + row_bytes;
    uint8_t *rows = kc_take(n, place);
    for (size_t i = 0; i < n; i++) rows[i] = (uint8_t)kc_random();
    return rows;
}

static void same_block(const struct sc_format *format, const struct sc_block *a, const struct sc_block *b)
{
    size_t n_groups = format->block_size / format->group;
    kc_same_bytes(a->q, b->q, format->block_size, "q");
    kc_same_bytes(a->scale, b->scale, n_groups * sizeof *a->scale, "scales");
    kc_same_floats(&a->d, &b->d, 1, "d");
    if (!format->has_min) return;
    kc_same_bytes(a->min, b->min, n_groups * sizeof *a->min, "mins");
    kc_same_floats(&a->m, &b->m, 1, "m");
}

static void check_blocks(const struct sc_format *format, const uint8_t *row, const uint8_t *group, size_t k, size_t r)
{
    for (size_t start = 0; start < k; start += SC_TILE_ELEMENTS) {
        size_t n = SC_MIN(k - start, (size_t)SC_TILE_ELEMENTS);
        for (size_t b = 0; b < n / format->block_size; b++, row += format->block_bytes) {
            struct sc_block expected, found;
            memset(&found, 0x55, sizeof found);
            format->unpack(row, &expected);
            sc_packed_block(format, group, n, r, b, &found);
            same_block(format, &expected, &found);
            for (size_t i = format->block_size; i < SC_BLOCK_MAX; i++) assert_int_equal(found.q[i], 0x55);
        }
        group += sc_packed_tile_bytes(format, n);
    }
}

// All places of memory: rows and group end or begin at a forbidden page, rows lie at any address and distance.
static void check_group(const struct sc_format *format, size_t k, size_t n_rows, enum kc_place place)
{
    size_t row_bytes = sc_format_row_bytes(format, k), stride = row_bytes + (kc_random() % 2 ? 0 : kc_between(1, 70));
    uint8_t *rows = random_rows(n_rows, stride, row_bytes, place);
    uint8_t *group = kc_take(sc_packed_group_bytes(format, k), place);
    float *expected = kc_reserve(k * sizeof *expected), *found = kc_reserve(k * sizeof *found);
    kc_case("%s, %zu rows of %zu, %zu bytes apart", format->name, n_rows, k, stride);
    sc_pack_group(format, rows, stride, n_rows, k, group);
    for (size_t r = 0; r < ROWS; r++) {
        sc_packed_decode_row(format, group, k, r, found);
        for (size_t i = 0; i < k && r >= n_rows; i++) assert_true(found[i] == 0.0f);
        if (r >= n_rows) continue;
        format->decode(rows + r * stride, expected, k / format->block_size);
        kc_same_floats(expected, found, k, "decoded row");
        if (format->packing) check_blocks(format, rows + r * stride, group, k, r);
    }
    kc_release();
    free(expected);
    free(found);
}

static void packed_blocks_and_rows_are_those_of_the_file(void)
{
    const struct sc_format *format;
    kc_seed(50);
    for (size_t f = 0; (format = sc_format_at(f)); f++)
        for (size_t round = 0; round < 90; round++)
            check_group(format, some_k(format, round), round % 3 ? ROWS : 1 + round / 3 % 15, round & 1);
}

// Columns of all lanes at once, from any block to any other, are those of the rows one by one.
static void check_columns(const struct sc_format *format, size_t k, enum kc_place place)
{
    size_t row_bytes = sc_format_row_bytes(format, k), n_blocks = k / format->block_size;
    size_t first = kc_random() % n_blocks, i = first * format->block_size;
    size_t n = kc_between(1, n_blocks - first) * format->block_size;
    uint8_t *rows = random_rows(ROWS, row_bytes, row_bytes, place);
    uint8_t *group = kc_take(sc_packed_group_bytes(format, k), place);
    float *columns = kc_take(n * ROWS * sizeof *columns, place), *row = kc_reserve(k * sizeof *row);
    kc_case("%s, columns %zu to %zu of %zu", format->name, i, i + n, k);
    sc_pack_group(format, rows, row_bytes, ROWS, k, group);
    sc_packed_decode_columns(format, group, k, i, n, columns);
    for (size_t r = 0; r < ROWS; r++) {
        sc_packed_decode_row(format, group, k, r, row);
        for (size_t j = 0; j < n; j++) kc_same_floats(&row[i + j], &columns[j * ROWS + r], 1, "column");
    }
    kc_release();
    free(row);
}

static void packed_columns_are_those_of_the_rows(void)
{
    const struct sc_format *format;
    kc_seed(55);
    for (size_t f = 0; (format = sc_format_at(f)); f++)
        for (size_t round = 0; round < 60 && format->packing; round++)
            check_columns(format, some_k(format, round), round & 1);
}

// The same 16 codes or scales in every block, so that none is missed by chance.
static void every_code_scale_and_exponent_comes_back(void)
{
    const struct sc_format *format;
    for (size_t f = 0; (format = sc_format_at(f)); f++) {
        uint8_t rows[ROWS * SC_BLOCK_MAX];
        uint8_t *group = kc_take(sc_packed_group_bytes(format, format->block_size), KC_ENDS_AT_GUARD);
        if (!format->packing) continue;
        for (unsigned value = 0; value < 256; value += ROWS) {
            for (unsigned r = 0; r < ROWS; r++)
                memset(rows + r * format->block_bytes, (int)(value + r), format->block_bytes);
            kc_case("%s, bytes %u to %u", format->name, value, value + 15);
            sc_pack_group(format, rows, format->block_bytes, ROWS, format->block_size, group);
            for (size_t r = 0; r < ROWS; r++)
                check_blocks(format, rows + r * format->block_bytes, group, format->block_size, r);
        }
    }
    kc_release();
}

// The bits of lanes that no row fills, and between head and codes, are zero whatever was in the memory before.
static void packed_bytes_depend_on_the_rows_alone(void)
{
    const struct sc_format *format;
    kc_seed(51);
    for (size_t f = 0; (format = sc_format_at(f)); f++)
        for (size_t n_rows = 1; n_rows <= ROWS; n_rows++) {
            size_t k = some_k(format, n_rows), row_bytes = sc_format_row_bytes(format, k);
            size_t group_bytes = sc_packed_group_bytes(format, k);
            uint8_t *rows = random_rows(n_rows, row_bytes, row_bytes, KC_ENDS_AT_GUARD);
            uint8_t *a = kc_take(group_bytes, KC_ENDS_AT_GUARD), *b = kc_take(group_bytes, KC_BEGINS_AT_GUARD);
            kc_case("%s, %zu rows of %zu, twice", format->name, n_rows, k);
            memset(a, 0xff, group_bytes);
            memset(b, 0x00, group_bytes);
            sc_pack_group(format, rows, row_bytes, n_rows, k, a);
            sc_pack_group(format, rows, row_bytes, n_rows, k, b);
            kc_same_bytes(a, b, group_bytes, "packed");
            kc_release();
        }
}

// ---- the drawing

// The code of element e of 32 as it is drawn in packed.h, bit by bit.
static unsigned drawn_code(unsigned bits, const uint8_t *codes, size_t r, size_t e)
{
    unsigned code = 0;
    for (unsigned b = 0; b < bits; b++) {
        size_t vector = e / 4, bit = b; // 8 bits
        if (bits >= 4 && bits <= 6 && b < 4) vector = e % 16 / 4, bit = e / 16 * 4 + b;
        if (bits == 6 && b >= 4) vector = 4 + e / 16, bit = e % 16 / 4 * 2 + b - 4;
        if (bits == 5 && b == 4) vector = 4, bit = e / 4;
        if (bits <= 3 && b < 2) vector = e / 16, bit = e % 16 / 4 * 2 + b;
        if (bits == 3 && b == 2) vector = 2, bit = e / 4;
        code |= (codes[vector * 64 + r * 4 + e % 4] >> bit & 1u) << b;
    }
    return code;
}

// Codes and heads of one lane of a tile against its row of the file.
static void check_drawing(const struct sc_format *format, const uint8_t *row, const uint8_t *tile, size_t n, size_t r)
{
    const struct sc_packing *packing = format->packing;
    struct sc_tile_layout layout = sc_tile_layout(format, n);
    size_t n_blocks = n / format->block_size;
    for (size_t b = 0; b < n_blocks; b++) {
        struct sc_block block = { .m = 0.0f };
        const uint8_t *codes = tile + layout.head_bytes + b * format->block_size / 32 * packing->bits * 64;
        format->unpack(row + b * format->block_bytes, &block);
        for (size_t i = 0; i < format->block_size; i++) {
            unsigned code = drawn_code(packing->bits, codes + i / 32 * packing->bits * 64, r, i % 32);
            int number = packing->codebook ? packing->codebook[code] : (int8_t)(code - (unsigned)packing->offset);
            assert_int_equal(number, block.q[i]);
        }
        if (packing->head == SC_HEAD_E8M0) {
            assert_int_equal(tile[b * 16 + r], row[b * format->block_bytes]);
            continue;
        }
        uint16_t half;
        memcpy(&half, tile + (b * 16 + r) * 2, 2);
        float d = sc_half_to_f32(half);
        kc_same_floats(&block.d, &d, 1, "d");
        memcpy(&half, tile + (n_blocks * 16 + b * 16 + r) * 2, 2);
        d = sc_half_to_f32(half);
        if (format->has_min) kc_same_floats(&block.m, &d, 1, "m");
    }
}

static void tiles_lie_as_drawn(void)
{
    const struct sc_format *format;
    kc_seed(52);
    for (size_t f = 0; (format = sc_format_at(f)); f++)
        for (size_t n = 32; n <= 256 && format->packing; n += 32) {
            if (n % format->block_size) continue;
            size_t row_bytes = sc_format_row_bytes(format, n);
            uint8_t *rows = random_rows(ROWS, row_bytes, row_bytes, KC_ENDS_AT_GUARD);
            uint8_t *tile = kc_take(sc_packed_tile_bytes(format, n), KC_ENDS_AT_GUARD);
            kc_case("%s, a tile of %zu", format->name, n);
            sc_pack_group(format, rows, row_bytes, ROWS, n, tile);
            for (size_t r = 0; r < ROWS; r++) check_drawing(format, rows + r * row_bytes, tile, n, r);
            kc_release();
        }
}

static void floats_lie_element_by_element(void)
{
    enum { K = 300 };
    const struct sc_format *format;
    kc_seed(53);
    for (size_t f = 0; (format = sc_format_at(f)); f++) {
        if (format->packing) continue;
        size_t bytes = format->block_bytes;
        uint8_t *rows = random_rows(ROWS, K * bytes, K * bytes, KC_ENDS_AT_GUARD);
        uint8_t *group = kc_take(sc_packed_group_bytes(format, K), KC_ENDS_AT_GUARD);
        kc_case("%s, a group", format->name);
        sc_pack_group(format, rows, K * bytes, ROWS, K, group);
        for (size_t r = 0; r < ROWS; r++)
            for (size_t i = 0; i < K; i++)
                kc_same_bytes(rows + (r * K + i) * bytes, group + (i * ROWS + r) * bytes, bytes, "element");
        kc_release();
    }
}

// Packed files are kept: what is packed today must be readable tomorrow. Sums of bytes by FNV-1a.
static void the_layout_stays_as_it_is(void)
{
    static const struct {
        const char *name;
        uint64_t sum;
    } expected[] = {
        { "F32", UINT64_C(0x979cee9723f3bacf) },    { "F16", UINT64_C(0x3a3f9a9ce75c289e) },
        { "BF16", UINT64_C(0x3a3f9a9ce75c289e) },   { "Q8_0", UINT64_C(0xcafd176d3d4bf061) },
        { "Q4_0", UINT64_C(0x96af4972a0f5c908) },   { "Q4_1", UINT64_C(0x41cb9c659e4f1858) },
        { "Q5_0", UINT64_C(0xc6f458fbfd066d24) },   { "Q5_1", UINT64_C(0xa38321ae9296cc11) },
        { "Q2_K", UINT64_C(0xe9feb8651c987f7a) },   { "Q3_K", UINT64_C(0xc996e72d0b5bed12) },
        { "Q4_K", UINT64_C(0xa53c771b5c534281) },   { "Q5_K", UINT64_C(0x9c5e983d6dc3069b) },
        { "Q6_K", UINT64_C(0xb6175c5ad5535c1d) },   { "IQ4_NL", UINT64_C(0x96af4972a0f5c908) },
        { "IQ4_XS", UINT64_C(0x8b55493dbb05abcc) }, { "MXFP4", UINT64_C(0x848b04e5da03d99f) },
        { "TQ2_0", UINT64_C(0x5f0d121d6d0c0e86) },
    };
    const struct sc_format *format;
    for (size_t f = 0; (format = sc_format_at(f)); f++) {
        size_t k = 256 + (format->block_size == 256 ? 256 : 32), row_bytes = sc_format_row_bytes(format, k);
        kc_seed(54);
        uint8_t *rows = random_rows(ROWS, row_bytes, row_bytes, KC_ENDS_AT_GUARD);
        uint8_t *group = kc_take(sc_packed_group_bytes(format, k), KC_ENDS_AT_GUARD);
        sc_pack_group(format, rows, row_bytes, ROWS - 1, k, group);
        uint64_t sum = UINT64_C(0xcbf29ce484222325);
        for (size_t i = 0; i < sc_packed_group_bytes(format, k); i++) sum = (sum ^ group[i]) * UINT64_C(0x100000001b3);
        kc_release();
        bool found = false;
        for (size_t i = 0; i < SC_COUNT(expected); i++)
            found |= strcmp(expected[i].name, format->name) == 0 && expected[i].sum == sum;
        if (!found) fail_msg("the sum of %s is now 0x%016llx", format->name, (unsigned long long)sum);
    }
}

// ---- sizes

static void packed_weights_are_hardly_larger_than_the_file(void)
{
    const struct sc_format *format;
    for (size_t f = 0; (format = sc_format_at(f)); f++)
        for (size_t k = 256; k <= 2048; k += 256) {
            size_t file = ROWS * sc_format_row_bytes(format, k), packed = sc_packed_group_bytes(format, k);
            assert_true(packed >= file && (double)packed <= 1.06 * (double)file);
            assert_int_equal(sc_packed_bytes(format, k, 1), packed);
            assert_int_equal(sc_packed_bytes(format, k, 16), packed);
            assert_int_equal(sc_packed_bytes(format, k, 17), 2 * packed);
            assert_int_equal(packed, k / 256 * sc_packed_tile_bytes(format, 256));
        }
}

static void tiles_keep_the_alignment(void)
{
    const struct sc_format *format;
    for (size_t f = 0; (format = sc_format_at(f)); f++)
        for (size_t n = format->block_size; n <= 256 && format->packing; n += format->block_size) {
            struct sc_tile_layout layout = sc_tile_layout(format, n);
            assert_int_equal(layout.head_bytes % 64, 0);
            assert_int_equal(layout.codes_bytes, n / 32 * format->packing->bits * 64);
            assert_true(layout.scales_offset + 16 * layout.n_scale_bytes <= layout.head_bytes);
            assert_true(layout.head_bytes - layout.scales_offset - 16 * layout.n_scale_bytes < 64);
            assert_int_equal(sc_packed_tile_bytes(format, n), layout.head_bytes + layout.codes_bytes);
            assert_int_equal(sc_packed_group_bytes(format, 512 + n),
                             2 * sc_packed_tile_bytes(format, 256) + sc_packed_tile_bytes(format, n));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KC_TEST(packed_blocks_and_rows_are_those_of_the_file),
        KC_TEST(packed_columns_are_those_of_the_rows),
        KC_TEST(every_code_scale_and_exponent_comes_back),
        KC_TEST(packed_bytes_depend_on_the_rows_alone),
        KC_TEST(tiles_lie_as_drawn),
        KC_TEST(floats_lie_element_by_element),
        KC_TEST(the_layout_stays_as_it_is),
        KC_TEST(packed_weights_are_hardly_larger_than_the_file),
        KC_TEST(tiles_keep_the_alignment),
    };
    return cmocka_run_group_tests_name("packed", tests, NULL, NULL);
}
