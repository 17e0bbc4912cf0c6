// Encoders: errors beside llama.cpp's on the same data, what is exact, and blocks that are no ordinary ones.
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
#include "tensor/format.h"
#include "tensor/half.h"

enum { ROWS = 16, WIDTH = 1024, N = ROWS * WIDTH };

static const char *const names[] = { "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K" };

static uint64_t random_state;

static uint32_t next_random(void) // splitmix64, upper half
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

// The data of tests/data/make_quantize_errors.py.
static void make_data(const char *kind, float *x)
{
    random_state = 1;
    for (size_t i = 0; i < N; i++) {
        uint32_t a = next_random(), b = next_random(), c = next_random();
        int32_t total = (int32_t)((a & 0xffff) + (b & 0xffff) + (a >> 16) + (b >> 16)) - 131070;
        x[i] = (float)total / 2097152.0f;
        if (strcmp(kind, "outliers") == 0 && c % 64 == 0) x[i] *= 8.0f;
        if (strcmp(kind, "shifted") == 0) x[i] += 0x1p-6f;
    }
}

static void make_importances(float *w)
{
    random_state = 2;
    for (size_t i = 0; i < WIDTH; i++) {
        float root = (float)(next_random() % 256 + 1);
        w[i] = root * root;
    }
}

// Encodes n floats with importances that repeat every WIDTH, and decodes them again.
static void round_trip(const struct sc_format *format, const float *x, const float *w, size_t n, uint8_t *blocks,
                       float *y)
{
    size_t row = SC_MIN(n, (size_t)WIDTH);
    for (size_t i = 0; i < n; i += row)
        format->encode(x + i, w, blocks + sc_format_row_bytes(format, i), row / format->block_size);
    format->decode(blocks, y, n / format->block_size);
}

static double error_of(const float *x, const float *y, const float *w, size_t n)
{
    double errors = 0.0, squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        double weight = w ? (double)w[i % WIDTH] : 1.0, miss = (double)x[i] - (double)y[i];
        errors += weight * miss * miss;
        squares += weight * (double)x[i] * (double)x[i];
    }
    return sqrt(errors / squares);
}

static float x[N], y[N], importances[WIDTH];
static uint8_t blocks[N * 4];

static void errors_are_no_larger_than_those_of_llama_cpp(void **state)
{
    (void)state;
    char *text, *rest;
    size_t n_bytes, n_lines = 0;
    socle_error err;
    if (sc_read_file(SC_SOURCE_ROOT "/tests/data/quantize_errors.txt", 1 << 16, &text, &n_bytes, &err) != SOCLE_OK)
        fail_msg("%s", err.message);
    make_importances(importances);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char name[16], kind[16];
        double plain, weighted;
        if (sscanf(line, "%15s %15s %lf %lf", name, kind, &plain, &weighted) != 4) continue;
        const struct sc_format *format = sc_format_find_name(name);
        make_data(kind, x);
        round_trip(format, x, NULL, N, blocks, y);
        double ours = error_of(x, y, NULL, N);
        if (ours > plain) fail_msg("%s, %s: error %.6f, llama.cpp's is %.6f", name, kind, ours, plain);
        round_trip(format, x, importances, N, blocks, y);
        double ours_weighted = error_of(x, y, importances, N);
        if (ours_weighted > weighted)
            fail_msg("%s, %s, weighted: error %.6f, llama.cpp's is %.6f", name, kind, ours_weighted, weighted);
        printf("%-5s %-9s %.6f of %.6f, weighted %.6f of %.6f\n", name, kind, ours, plain, ours_weighted, weighted);
        n_lines++;
    }
    free(text);
    assert_int_equal(n_lines, 3 * SC_COUNT(names));
}

// FNV-1a of the blocks that each format makes of the data, plain and weighted: recorded on x86-64 with 128-bit vectors,
// the same with 256-bit ones and with another compiler. A better search changes them; a machine must not.
static const uint64_t recorded[] = {
    0x5557b0f2ee40afe4u, 0xcf059d5c4e03d32cu, 0x427d5bbe076d68f3u, 0x908407878ad267dfu,
    0xa5435c7826fc7313u, 0xeeceb259a291958eu, 0x40086a69ee8a915fu, 0x16a2fa146b301cf9u
};

static uint64_t hash_of(const uint8_t *bytes, size_t n, uint64_t hash)
{
    for (size_t i = 0; i < n; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static void the_bytes_are_the_same_on_every_machine(void **state)
{
    (void)state;
    bool same = true;
    make_importances(importances);
    for (size_t f = 0; f < SC_COUNT(names); f++) {
        const struct sc_format *format = sc_format_find_name(names[f]);
        uint64_t hash = 0xcbf29ce484222325u;
        for (size_t i = 0; i < 4; i++) {
            make_data(i < 2 ? "shifted" : "outliers", x);
            round_trip(format, x, i % 2 ? importances : NULL, N, blocks, y);
            hash = hash_of(blocks, sc_format_row_bytes(format, N), hash);
        }
        if (hash == recorded[f]) continue;
        same = false;
        printf("%s: expected %#llx, found %#llx\n", names[f], (unsigned long long)recorded[f],
               (unsigned long long)hash);
    }
    assert_true(same);
}

static void zeros_stay_zeros(void **state)
{
    (void)state;
    for (size_t f = 0; f < SC_COUNT(names); f++) {
        const struct sc_format *format = sc_format_find_name(names[f]);
        memset(x, 0, sizeof x);
        memset(blocks, 0xaa, sizeof blocks);
        memset(importances, 0, sizeof importances);
        round_trip(format, x, f % 2 ? importances : NULL, 512, blocks, y);
        for (size_t i = 0; i < 512; i++) assert_true(y[i] == 0.0f);
        // Zeros beside other blocks, too.
        for (size_t i = 256; i < 512; i++) x[i] = 1.0f;
        round_trip(format, x, NULL, 512, blocks, y);
        for (size_t i = 0; i < 256; i++) assert_true(y[i] == 0.0f);
    }
}

// Nothing is written past the blocks, whatever their number is beside the lanes of the search.
static void only_the_blocks_are_written(void **state)
{
    (void)state;
    make_data("plain", x);
    for (size_t f = 0; f < SC_COUNT(names); f++) {
        const struct sc_format *format = sc_format_find_name(names[f]);
        for (size_t n = 1; n < 20; n++) {
            static uint8_t some[20 * 256], all[20 * 256];
            memset(some, 0x55, sizeof some);
            format->encode(x, NULL, some, n);
            format->encode(x, NULL, all, 20);
            assert_memory_equal(some, all, n * format->block_bytes);
            for (size_t i = n * format->block_bytes; i < sizeof some; i++) assert_int_equal(some[i], 0x55);
        }
    }
}

static void constant_blocks_keep_their_value(void **state)
{
    (void)state;
    const float values[] = { 1.0f, -1.0f, 0.3f, -0.7f, 12345.0f, -3e-3f };
    for (size_t f = 0; f < SC_COUNT(names); f++)
        for (size_t v = 0; v < SC_COUNT(values); v++) {
            for (size_t i = 0; i < 512; i++) x[i] = values[v];
            round_trip(sc_format_find_name(names[f]), x, NULL, 512, blocks, y);
            for (size_t i = 0; i < 512; i++) // one f16 rounding, and one of the sub-scale
                assert_true(fabsf(y[i] - values[v]) <= 0x1p-9f * fabsf(values[v]));
        }
}

// A step of the scale where the largest number is at the end of the range.
static float step_of(const char *name)
{
    return name[1] == '8' ? 1.0f / 127.0f : name[1] == '6' ? 1.0f / 31.0f : name[1] == '5' ? 1.0f / 15.0f : 1.0f / 7.0f;
}

static void one_outlier_does_not_take_the_rest_along(void **state)
{
    (void)state;
    for (size_t f = 0; f < SC_COUNT(names); f++)
        for (int sign = -1; sign <= 1; sign += 2) {
            make_data("plain", x);
            x[100] = 50.0f * (float)sign;
            round_trip(sc_format_find_name(names[f]), x, NULL, 256, blocks, y);
            assert_true(fabsf(y[100] - x[100]) <= 0.6f * step_of(names[f]) * 50.0f);
            // Groups that the outlier is not in keep at least the precision that a common scale leaves them.
            for (size_t i = 0; i < 96; i++) assert_true(fabsf(y[i] - x[i]) <= 50.0f / 63.0f);
            for (size_t i = 0; i < 256; i++) assert_true(isfinite(y[i]));
        }
}

static void scaled_data_give_scaled_results(void **state)
{
    (void)state;
    static float scaled[1024], again[1024];
    make_data("outliers", x);
    for (size_t f = 0; f < SC_COUNT(names); f++) {
        const struct sc_format *format = sc_format_find_name(names[f]);
        for (size_t i = 0; i < 1024; i++) scaled[i] = 256.0f * x[i];
        // Far above f16's subnormal numbers, a power of two changes no rounding.
        round_trip(format, scaled, NULL, 1024, blocks, again);
        for (size_t i = 0; i < 1024; i++) scaled[i] = 1024.0f * x[i];
        round_trip(format, scaled, NULL, 1024, blocks, y);
        for (size_t i = 0; i < 1024; i++) assert_true(y[i] == 4.0f * again[i]);
    }
}

static void huge_and_tiny_numbers_stay_finite(void **state)
{
    (void)state;
    const float sizes[] = { 3e38f, 1e30f, 1e10f, 1e-10f, 1e-30f, 0x1p-126f, 0x1p-149f };
    for (size_t f = 0; f < SC_COUNT(names); f++)
        for (size_t s = 0; s < SC_COUNT(sizes); s++) {
            for (size_t i = 0; i < 512; i++) x[i] = sizes[s] * (float)((int)(i * 7 % 13) - 6) / 6.0f;
            round_trip(sc_format_find_name(names[f]), x, NULL, 512, blocks, y);
            for (size_t i = 0; i < 512; i++) {
                assert_true(isfinite(y[i]));
                assert_true(fabsf(y[i]) <= 1.2f * sizes[s] + 0x1p-24f);
            }
        }
}

// Blocks whose integers use the whole range, so that the scales can be told from the values.
static void full_block(const struct sc_format *format, uint8_t *block)
{
    const char *name = format->name;
    uint16_t d = sc_f16_from_f32(0.01f + (float)(next_random() % 1000) / 10000.0f);
    uint16_t m = sc_f16_from_f32(0.02f);
    for (size_t i = 0; i < format->block_bytes; i++) block[i] = (uint8_t)next_random();
    size_t at = strcmp(name, "Q6_K") == 0 ? 208 : 0;
    block[at] = (uint8_t)d;
    block[at + 1] = (uint8_t)(d >> 8);
    if (format->has_min) {
        block[2] = (uint8_t)m;
        block[3] = (uint8_t)(m >> 8);
    }
    if (strcmp(name, "Q8_0") == 0) block[2] = 127, block[3] = (uint8_t)-127;
    if (strcmp(name, "Q8_0") == 0)
        for (size_t i = 2; i < 34; i++) block[i] = block[i] == 0x80 ? 0 : block[i];
    if (strcmp(name, "Q4_0") == 0) block[2] = 0xf0; // -8 and 7
    if (strcmp(name, "Q4_1") == 0) block[4] = 0xf0;
    if (strcmp(name, "Q5_0") == 0) block[6] = 0xf0, block[4] |= 1, block[2] = (uint8_t)(block[2] & 0xfe);
    if (strcmp(name, "Q5_1") == 0) block[8] = 0xf0, block[6] |= 1, block[4] = (uint8_t)(block[4] & 0xfe);
}

static void values_on_the_grid_come_back_exactly(void **state)
{
    (void)state;
    static const char *const simple[] = { "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1" };
    random_state = 5;
    for (size_t f = 0; f < SC_COUNT(simple); f++) {
        const struct sc_format *format = sc_format_find_name(simple[f]);
        for (size_t round = 0; round < 300; round++) {
            float values[32], again[32];
            full_block(format, blocks);
            format->decode(blocks, values, 1);
            format->encode(values, NULL, blocks, 1);
            format->decode(blocks, again, 1);
            for (size_t i = 0; i < 32; i++)
                if (values[i] != again[i]) fail_msg("%s: %a became %a", simple[f], (double)values[i], (double)again[i]);
        }
    }
}

// The K formats: every group has the ends of its range, and one has the largest scale and min.
static void values_on_the_grid_of_sub_scales_come_back_exactly(void **state)
{
    (void)state;
    static const char *const wide[] = { "Q4_K", "Q5_K", "Q6_K" };
    random_state = 6;
    for (size_t f = 0; f < SC_COUNT(wide); f++) {
        const struct sc_format *format = sc_format_find_name(wide[f]);
        bool is_six = format->group == 16;
        int q_max = strcmp(wide[f], "Q4_K") == 0 ? 15 : 31;
        for (size_t round = 0; round < 200; round++) {
            float values[256], again[256], d = 0x1p-8f, m = 0x1p-6f;
            for (size_t i = 0; i < 256; i++) {
                size_t g = i / format->group, in_group = i % format->group;
                static int scale, min;
                if (in_group == 0) scale = g == 3 ? (is_six ? 127 : 63) : 30 + (int)(next_random() % 30);
                if (in_group == 0) min = g == 5 ? 63 : 20 + (int)(next_random() % 40);
                int q = (int)(next_random() % (unsigned)(q_max + 1));
                if (in_group < 2) q = in_group == 0 ? 0 : q_max;
                if (is_six) q = in_group == 0 ? -32 : q;
                values[i] = is_six ? d * (float)scale * (float)q : d * (float)scale * (float)q - m * (float)min;
            }
            format->encode(values, NULL, blocks, 1);
            format->decode(blocks, again, 1);
            for (size_t i = 0; i < 256; i++)
                if (values[i] != again[i])
                    fail_msg("%s: element %zu, %a became %a", wide[f], i, (double)values[i], (double)again[i]);
        }
    }
}

static void importance_lowers_the_error_where_it_is_high(void **state)
{
    (void)state;
    make_data("plain", x);
    for (size_t i = 0; i < WIDTH; i++) importances[i] = i % 4 == 0 ? 100.0f : 1.0f;
    for (size_t f = 0; f < SC_COUNT(names); f++) {
        const struct sc_format *format = sc_format_find_name(names[f]);
        double plain = 0.0, weighted = 0.0;
        round_trip(format, x, NULL, N, blocks, y);
        for (size_t i = 0; i < N; i += 4) plain += (double)(x[i] - y[i]) * (double)(x[i] - y[i]);
        round_trip(format, x, importances, N, blocks, y);
        for (size_t i = 0; i < N; i += 4) weighted += (double)(x[i] - y[i]) * (double)(x[i] - y[i]);
        if (weighted >= plain) fail_msg("%s: %g with importance, %g without", names[f], weighted, plain);
    }
}

static void importance_counts_by_its_proportions_alone(void **state)
{
    (void)state;
    static uint8_t other[N * 4];
    make_data("plain", x);
    for (size_t f = 0; f < SC_COUNT(names); f++) {
        const struct sc_format *format = sc_format_find_name(names[f]);
        size_t n_bytes = sc_format_row_bytes(format, N);
        make_importances(importances);
        round_trip(format, x, importances, N, blocks, y);
        for (size_t i = 0; i < WIDTH; i++) importances[i] *= 0x1p-40f;
        round_trip(format, x, importances, N, other, y);
        assert_memory_equal(blocks, other, n_bytes);
        // All zeros say nothing.
        memset(importances, 0, sizeof importances);
        round_trip(format, x, importances, N, other, y);
        round_trip(format, x, NULL, N, blocks, y);
        assert_memory_equal(blocks, other, n_bytes);
    }
}

static void float_formats_round_to_nearest_even(void **state)
{
    (void)state;
    const struct sc_format *bf16 = sc_format_find_name("BF16"), *f16 = sc_format_find_name("F16");
    const struct {
        uint32_t from, to;
    } cases[] = { { 0x3f800000, 0x3f80 }, { 0x3f808000, 0x3f80 }, { 0x3f818000, 0x3f82 }, { 0x3f808001, 0x3f81 },
                  { 0xbf808001, 0xbf81 }, { 0x7f7fffff, 0x7f80 }, { 0x00000001, 0x0000 }, { 0x00008001, 0x0001 } };
    for (size_t i = 0; i < SC_COUNT(cases); i++) {
        float value = sc_f32_of_bits(cases[i].from);
        uint8_t bytes[2];
        bf16->encode(&value, NULL, bytes, 1);
        assert_int_equal(bytes[0] | bytes[1] << 8, cases[i].to);
        assert_int_equal(sc_bf16_from_f32(value), cases[i].to);
    }
    random_state = 7;
    for (size_t i = 0; i < 10000; i++) {
        float value = sc_f32_of_bits(next_random());
        uint8_t bytes[2];
        if (!isfinite(value)) continue;
        f16->encode(&value, NULL, bytes, 1);
        assert_int_equal(bytes[0] | bytes[1] << 8, sc_f16_from_f32(value));
    }
    assert_true(isnan(sc_f32_from_bf16(sc_bf16_from_f32(sc_f32_of_bits(0x7f800001)))));
}

static void formats_without_an_encoder_say_so(void **state)
{
    (void)state;
    static const char *const only_read[] = { "Q2_K", "Q3_K", "IQ4_NL", "IQ4_XS", "MXFP4", "TQ2_0" };
    for (size_t i = 0; i < SC_COUNT(only_read); i++) assert_null(sc_format_find_name(only_read[i])->encode);
    for (size_t i = 0; i < SC_COUNT(names); i++) assert_non_null(sc_format_find_name(names[i])->encode);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_no_larger_than_those_of_llama_cpp),
        cmocka_unit_test(the_bytes_are_the_same_on_every_machine),
        cmocka_unit_test(zeros_stay_zeros),
        cmocka_unit_test(only_the_blocks_are_written),
        cmocka_unit_test(constant_blocks_keep_their_value),
        cmocka_unit_test(one_outlier_does_not_take_the_rest_along),
        cmocka_unit_test(scaled_data_give_scaled_results),
        cmocka_unit_test(huge_and_tiny_numbers_stay_finite),
        cmocka_unit_test(values_on_the_grid_come_back_exactly),
        cmocka_unit_test(values_on_the_grid_of_sub_scales_come_back_exactly),
        cmocka_unit_test(importance_lowers_the_error_where_it_is_high),
        cmocka_unit_test(importance_counts_by_its_proportions_alone),
        cmocka_unit_test(float_formats_round_to_nearest_even),
        cmocka_unit_test(formats_without_an_encoder_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
