// Element and block formats: sizes, half precision against a slow definition, decoding against gguf-py's results,
// integers against floats, and (where the reference files are there) whole tensors.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/size.h"
#include "formats/gguf.h"
#include "tensor/format.h"
#include "tensor/half.h"

// Numbers, sizes and the range of the integers, as ggml defines them.
static const struct expectation {
    const char *name;
    uint32_t id, block_size, block_bytes, group;
    bool has_min;
    int q_min, q_max, scale_min, scale_max, min_max;
} expectations[] = {
    { "F32", 0, 1, 4, 0, false, 0, 0, 0, 0, 0 },
    { "F16", 1, 1, 2, 0, false, 0, 0, 0, 0, 0 },
    { "BF16", 30, 1, 2, 0, false, 0, 0, 0, 0, 0 },
    { "Q8_0", 8, 32, 34, 32, false, -128, 127, 1, 1, 0 },
    { "Q4_0", 2, 32, 18, 32, false, -8, 7, 1, 1, 0 },
    { "Q4_1", 3, 32, 20, 32, true, 0, 15, 1, 1, 1 },
    { "Q5_0", 6, 32, 22, 32, false, -16, 15, 1, 1, 0 },
    { "Q5_1", 7, 32, 24, 32, true, 0, 31, 1, 1, 1 },
    { "Q2_K", 10, 256, 84, 16, true, 0, 3, 0, 15, 15 },
    { "Q3_K", 11, 256, 110, 16, false, -4, 3, -32, 31, 0 },
    { "Q4_K", 12, 256, 144, 32, true, 0, 15, 0, 63, 63 },
    { "Q5_K", 13, 256, 176, 32, true, 0, 31, 0, 63, 63 },
    { "Q6_K", 14, 256, 210, 16, false, -32, 31, -128, 127, 0 },
    { "IQ4_NL", 20, 32, 18, 32, false, -127, 113, 1, 1, 0 },
    { "IQ4_XS", 23, 256, 136, 32, false, -127, 113, -32, 31, 0 },
    { "MXFP4", 39, 32, 17, 32, false, -12, 12, 1, 1, 0 },
    { "TQ2_0", 35, 256, 66, 256, false, -1, 2, 1, 1, 0 },
};

static uint64_t random_state;

static uint32_t next_random(void) // splitmix64, upper half
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static void random_bytes(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)next_random();
}

static void test_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < SC_COUNT(expectations); i++) {
        const struct expectation *e = &expectations[i];
        const struct sc_format *format = sc_format_find(e->id);
        assert_non_null(format);
        assert_string_equal(format->name, e->name);
        assert_int_equal(format->block_size, e->block_size);
        assert_int_equal(format->block_bytes, e->block_bytes);
        assert_int_equal(format->group, e->group);
        assert_int_equal(format->has_min, e->has_min);
        assert_non_null(format->decode);
        assert_int_equal(format->unpack != NULL, e->group != 0);
        assert_ptr_equal(format, sc_format_find_name(e->name));
        assert_ptr_equal(format, sc_format_at(i));
        assert_int_equal(sc_format_row_bytes(format, 512), 512 / e->block_size * e->block_bytes);
    }
    assert_null(sc_format_at(SC_COUNT(expectations)));
    assert_null(sc_format_find(4)); // Q4_2, removed from ggml
    assert_null(sc_format_find(UINT32_MAX));
    assert_ptr_equal(sc_format_find_name("q4_k"), sc_format_find(12));
    assert_ptr_equal(sc_format_find_name("mXfP4"), sc_format_find(39));
    assert_null(sc_format_find_name("Q4"));
    assert_null(sc_format_find_name("Q4_K_M"));
    assert_null(sc_format_find_name(""));
}

// The definition of f16, by powers of two. NaN for exponent 31 with a payload.
static double half_by_definition(uint32_t half)
{
    uint32_t e = half >> 10 & 31, m = half & 1023;
    double magnitude = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, (int)e - 25) : ldexp(m, -24);
    return half & 0x8000 ? -magnitude : magnitude;
}

static void test_half_to_f32(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        float value = sc_f32_from_f16((uint16_t)half);
        double expected = half_by_definition(half);
        assert_int_equal(sc_bits_of_f32(value), sc_bits_of_f32(sc_half_to_f32((uint16_t)half)));
        if (isnan(expected)) {
            assert_true(isnan(value));
            assert_int_equal(sc_bits_of_f32(value), (half & 0x8000) << 16 | 0x7f800000 | (half & 1023) << 13);
            assert_int_equal(sc_f16_from_f32(value), half | 0x0200); // quiet
            continue;
        }
        assert_int_equal(sc_bits_of_f32(value), sc_bits_of_f32((float)expected));
        assert_int_equal(sc_f16_from_f32(value), half);
    }
}

// The nearest f16 by search among all of them: ties to the even one, 65520 and above to infinity.
static uint16_t nearest_half(float value)
{
    uint32_t sign = signbit(value) ? 0x8000 : 0, low = 0, high = 0x7c00;
    double x = fabs((double)value);
    while (high - low > 1) { // half(low) <= x, and x < half(high) or high is infinity
        uint32_t middle = (low + high) / 2;
        if (half_by_definition(middle) <= x) low = middle;
        else high = middle;
    }
    double above = high == 0x7c00 ? 65536.0 : half_by_definition(high);
    double to_low = x - half_by_definition(low), to_high = above - x;
    uint32_t nearest = to_low < to_high ? low : to_high < to_low ? high : low & 1 ? high : low;
    return (uint16_t)(sign | nearest);
}

static void check_half(float value)
{
    uint16_t expected = nearest_half(value), found = sc_f16_from_f32(value);
    if (expected != found) fail_msg("f16 of %a: expected %04x, found %04x", (double)value, expected, found);
}

static void test_half_from_f32(void **state)
{
    (void)state;
    // Every point halfway between two neighbours, and the f32 next to it on either side.
    for (uint32_t half = 0; half < 0x7c00; half++) {
        double above = half + 1 == 0x7c00 ? 65536.0 : half_by_definition(half + 1);
        float middle = (float)((half_by_definition(half) + above) / 2);
        check_half(middle);
        check_half(-middle);
        check_half(nextafterf(middle, 0));
        check_half(nextafterf(middle, INFINITY));
    }
    const float special[] = { 0.0f,      -0.0f,     65504.0f, 65519.996f,   65520.0f,        65536.0f,
                              1e38f,     INFINITY,  0x1p-24f, 0x1p-25f,     0x1.000002p-25f, 0x1p-26f,
                              0x1p-149f, 0x1p-126f, 0x1p-14f, 0x1.ffcp-15f, 0x1.ffep-15f,    0x1.fffffep-15f };
    for (size_t i = 0; i < SC_COUNT(special); i++) {
        check_half(special[i]);
        check_half(-special[i]);
    }
    random_state = 1;
    for (size_t i = 0; i < 1000000; i++) {
        float value = sc_f32_of_bits(next_random());
        if (!isnan(value)) check_half(value);
        check_half(ldexpf((float)(int32_t)next_random(), -(int)(next_random() % 64)));
    }
    assert_int_equal(sc_f16_from_f32(sc_f32_of_bits(0x7f800001)), 0x7e00); // NaNs stay NaNs
    assert_int_equal(sc_f16_from_f32(sc_f32_of_bits(0xffffffff)), 0xffff);
}

static void test_bf16(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++)
        assert_int_equal(sc_bits_of_f32(sc_f32_from_bf16((uint16_t)bits)), bits << 16);
}

static uint32_t hex_digit(char c) { return (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10); }

static void check_case(char *head, const char *floats)
{
    char *hex = strchr(head, ' ');
    assert_non_null(hex);
    *hex++ = '\0';
    const struct sc_format *format = sc_format_find_name(head);
    assert_non_null(format);
    assert_int_equal(strlen(hex), 2 * format->block_bytes);
    assert_int_equal(strlen(floats), 8 * format->block_size);
    uint8_t bytes[1 + SC_BLOCK_MAX * 4];
    float out[SC_BLOCK_MAX];
    for (size_t i = 0; i < format->block_bytes; i++) // at an odd address, on purpose
        bytes[1 + i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    format->decode(bytes + 1, out, 1);
    for (size_t i = 0; i < format->block_size; i++) {
        uint32_t expected = 0;
        for (size_t k = 0; k < 8; k++) expected = expected << 4 | hex_digit(floats[8 * i + k]);
        if (sc_bits_of_f32(out[i]) != expected)
            fail_msg("%s, element %zu: expected bits %08x, found %08x", head, i, expected, sc_bits_of_f32(out[i]));
    }
}

static void test_cases(void **state)
{
    (void)state;
    char *text, *rest;
    size_t n_bytes, n_cases = 0;
    socle_error err;
    if (sc_read_file(SC_SOURCE_ROOT "/tests/data/format_cases.txt", 1 << 20, &text, &n_bytes, &err) != SOCLE_OK)
        fail_msg("%s", err.message);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] == '#') continue;
        char *floats = strtok_r(NULL, "\n", &rest);
        assert_non_null(floats);
        check_case(line, floats);
        n_cases++;
    }
    free(text);
    assert_true(n_cases >= 3 * SC_COUNT(expectations));
}

// A block of random bits, drawn again while one of its f16 fields is infinite or NaN.
static void random_block(const struct sc_format *format, uint8_t *bytes, struct sc_block *block)
{
    do {
        random_bytes(bytes, format->block_bytes);
        memset(block, 0x55, sizeof *block);
        format->unpack(bytes, block);
    } while (!isfinite(block->d) || (format->has_min && !isfinite(block->m)));
}

static void check_ranges(const struct expectation *e, const struct sc_block *block)
{
    for (size_t i = 0; i < e->block_size; i++) assert_in_range(block->q[i] + 128, e->q_min + 128, e->q_max + 128);
    for (size_t g = 0; g < e->block_size / e->group; g++) {
        assert_in_range(block->scale[g] + 128, e->scale_min + 128, e->scale_max + 128);
        if (e->has_min) assert_in_range(block->min[g], 0, e->min_max);
    }
    // Nothing is written past the block's own numbers.
    for (size_t i = e->block_size; i < SC_BLOCK_MAX; i++) assert_int_equal(block->q[i], 0x55);
    for (size_t g = e->block_size / e->group; g < SC_GROUPS_MAX; g++) assert_int_equal(block->scale[g], 0x5555);
}

static void test_unpack(void **state)
{
    (void)state;
    random_state = 2;
    for (size_t f = 0; f < SC_COUNT(expectations); f++) {
        const struct expectation *e = &expectations[f];
        const struct sc_format *format = sc_format_find(e->id);
        bool seen_low = false, seen_high = false;
        for (size_t round = 0; format->unpack && round < 500; round++) {
            uint8_t bytes[SC_BLOCK_MAX];
            struct sc_block block;
            float out[SC_BLOCK_MAX];
            random_block(format, bytes, &block);
            check_ranges(e, &block);
            format->decode(bytes, out, 1);
            for (size_t i = 0; i < format->block_size; i++) {
                size_t g = i / format->group;
                double product = (double)block.d * block.scale[g] * block.q[i];
                double offset = format->has_min ? (double)block.m * block.min[g] : 0.0;
                // Three roundings, each at most half a unit of the larger term; 2^-149 covers subnormals.
                double bound = (fabs(product) + fabs(offset)) * 0x1p-22 + 0x1p-148;
                if (isfinite(out[i])) assert_true(fabs(product + offset - (double)out[i]) <= bound);
                else assert_true(fabs(product + offset) > 3.4e38);
                seen_low |= block.q[i] == e->q_min;
                seen_high |= block.q[i] == e->q_max;
            }
        }
        if (format->unpack) assert_true(seen_low && seen_high);
    }
}

// Whatever a file holds, sums of a block fit an int32 with activations in -127..127; without sub-scales they stay
// below 2^22, so that they convert to f32 exactly.
static void test_bounds(void **state)
{
    (void)state;
    for (size_t f = 0; f < SC_COUNT(expectations); f++) {
        const struct expectation *e = &expectations[f];
        int64_t q = SC_MAX(-e->q_min, e->q_max), scale = SC_MAX(-e->scale_min, e->scale_max);
        assert_true(e->block_size * q * scale * 127 < INT32_MAX);
        assert_true((int64_t)e->block_size * e->min_max * 127 < INT32_MAX);
        if (scale == 1) assert_true(e->block_size * q * 127 < 1 << 22);
    }
}

// Many blocks at once are the same as one at a time.
static void test_rows(void **state)
{
    (void)state;
    enum { N = 5 };
    random_state = 3;
    for (size_t f = 0; f < SC_COUNT(expectations); f++) {
        const struct sc_format *format = sc_format_find(expectations[f].id);
        uint8_t bytes[N * SC_BLOCK_MAX];
        float row[N * SC_BLOCK_MAX], one[SC_BLOCK_MAX];
        random_bytes(bytes, sizeof bytes);
        memset(row, 0x55, sizeof row);
        format->decode(bytes, row, N);
        for (size_t b = 0; b < N; b++) {
            format->decode(bytes + b * format->block_bytes, one, 1);
            assert_memory_equal(one, row + b * format->block_size, format->block_size * sizeof(float));
        }
        for (size_t i = N * format->block_size; i < SC_COUNT(row); i++)
            assert_int_equal(sc_bits_of_f32(row[i]), 0x55555555);
    }
}

static const char *fixtures(void)
{
    const char *folder = getenv("SOCLE_FIXTURES");
    return folder ? folder : SC_SOURCE_ROOT "/../shared/fixtures";
}

static void check_fixture(const char *name)
{
    char path[4096];
    struct sc_gguf *gguf;
    struct sc_mapping floats;
    socle_error err;
    snprintf(path, sizeof path, "%s/quant/%s.gguf", fixtures(), name);
    if (sc_gguf_open(path, &gguf, &err) != SOCLE_OK) fail_msg("%s", err.message);
    snprintf(path, sizeof path, "%s/quant/%s.attn_k.f32", fixtures(), name);
    if (sc_map_file(path, &floats, &err) != SOCLE_OK) fail_msg("%s", err.message);
    const struct sc_tensor *tensor = sc_gguf_find_tensor(gguf, "blk.0.attn_k.weight");
    assert_non_null(tensor);
    size_t n = (size_t)(tensor->shape[0] * tensor->shape[1]);
    assert_int_equal(floats.n_bytes, n * sizeof(float));
    float *out = malloc(n * sizeof *out);
    assert_non_null(out);
    for (size_t r = 0; r < tensor->shape[1]; r++)
        tensor->format->decode(sc_tensor_row(tensor, 0, r), out + r * tensor->shape[0],
                               tensor->shape[0] / tensor->format->block_size);
    for (size_t i = 0; i < n; i++) {
        uint32_t expected;
        memcpy(&expected, floats.data + i * 4, 4);
        if (sc_bits_of_f32(out[i]) != expected)
            fail_msg("%s (%s), element %zu: expected bits %08x, found %08x", path, tensor->format->name, i, expected,
                     sc_bits_of_f32(out[i]));
    }
    printf("%-10s blk.0.attn_k.weight is %s: %zu values equal\n", name, tensor->format->name, n);
    free(out);
    sc_unmap(&floats);
    sc_gguf_close(gguf);
}

static void test_fixtures(void **state)
{
    (void)state;
    static const char *const names[] = {
        "base-f32", "F16",  "BF16", "Q8_0", "Q4_0",   "Q4_1",   "Q5_0",      "Q5_1",  "Q2_K",
        "Q3_K",     "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4_MOE", "TQ2_0",
    };
    char path[4096];
    snprintf(path, sizeof path, "%s/quant/base-f32.gguf", fixtures());
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("skipped: no reference files at %s (set SOCLE_FIXTURES)\n", path);
        skip();
    }
    fclose(file);
    for (size_t i = 0; i < SC_COUNT(names); i++) check_fixture(names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),   cmocka_unit_test(test_half_to_f32), cmocka_unit_test(test_half_from_f32),
        cmocka_unit_test(test_bf16),   cmocka_unit_test(test_cases),       cmocka_unit_test(test_unpack),
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_rows),        cmocka_unit_test(test_fixtures),
    };
    return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
