// Q6_K: 256 numbers of six bits in 16 groups, each with a signed 8-bit scale. ggml's type 14 (block_q6_K).
//
//     byte 0                               128                                 192        208  210
//          | nibbles: 64 bytes for every   | upper two bits: byte l of each    | scale x16 | d  |
//          | 128 elements, low halves the  | half holds elements l, 32+l,      | int8      |    |
//          | first 64, high the second     | 64+l, 96+l                        |           |    |
//
//     weight[i] = (d * scale[i/16]) * (q[i] - 32),  q - 32 in -32..31, scale in -128..127
#include "tensor/parts.h"

enum { BLOCK_SIZE = 256, BLOCK_BYTES = 210, GROUP = 16, N_GROUPS = BLOCK_SIZE / GROUP };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    const int8_t *scales = (const int8_t *)bytes + 192;
    uint8_t upper[BLOCK_SIZE];
    out->d = sc_load_f16(bytes + 208);
    for (size_t g = 0; g < BLOCK_SIZE / GROUP; g++) out->scale[g] = scales[g];
    sc_unpack_two_bits(bytes + 128, upper);
    for (size_t half = 0; half < 2; half++)
        for (size_t l = 0; l < 64; l++) {
            size_t i = 128 * half + l;
            int packed = bytes[64 * half + l];
            out->q[i] = (int8_t)(((packed & 15) | upper[i] << 4) - 32);
            out->q[i + 64] = (int8_t)((packed >> 4 | upper[i + 64] << 4) - 32);
        }
}

static void decode(const void *restrict blocks, float *restrict out, size_t n_blocks)
{
    const uint8_t *bytes = blocks;
    for (size_t b = 0; b < n_blocks; b++) {
        struct sc_block block;
        unpack(bytes + b * BLOCK_BYTES, &block);
        sc_block_expand(&block, BLOCK_SIZE, GROUP, false, out + b * BLOCK_SIZE);
    }
}

// ---- encoding

// A block while its scales are searched: two halves of eight groups, one in each lane.
struct search {
    struct sc_groups halves[2];
    float scale[N_GROUPS], error[N_GROUPS]; // errors less sum of w x^2
    float qq[N_GROUPS], xq[N_GROUPS];       // of the best rounding (search.h)
};

// Rounds the numbers with scales `step` beside those of `centre`, and keeps what is better than before.
static void try_scales(struct search *s, const float *centre, float step, float d)
{
    const float zero[SC_SEARCH_LANES] = { 0 };
    for (size_t h = 0; h < 2; h++) {
        float scale[SC_SEARCH_LANES], inverse[SC_SEARCH_LANES];
        struct sc_rounding sums;
        for (size_t l = 0; l < SC_SEARCH_LANES; l++) {
            scale[l] = sc_search_clamp(centre[h * SC_SEARCH_LANES + l] + step, -128.0f, 127.0f);
            float a = d * scale[l];
            inverse[l] = a != 0.0f ? 1.0f / a : 0.0f;
        }
        sc_groups_round(&s->halves[h], inverse, zero, -32, 31, &sums);
        for (size_t l = 0; l < SC_SEARCH_LANES; l++) {
            size_t g = h * SC_SEARCH_LANES + l;
            float a = d * scale[l], error = a * (a * sums.qq[l] - 2.0f * sums.xq[l]);
            bool better = error < s->error[g];
            s->error[g] = better ? error : s->error[g];
            s->scale[g] = better ? scale[l] : s->scale[g];
            s->qq[g] = better ? sums.qq[l] : s->qq[g];
            s->xq[g] = better ? sums.xq[l] : s->xq[g];
        }
    }
}

// With d given, each group tries three scales. Returns the block's error; *next_d is what least squares then makes of
// d.
static float settle(struct search *s, float d, float *next_d)
{
    float centre[N_GROUPS], error = 0.0f, numerator = 0.0f, denominator = 0.0f;
    memcpy(centre, s->scale, sizeof centre);
    for (size_t g = 0; g < N_GROUPS; g++) s->error[g] = 0x1p127f;
    for (int step = 0; step < 3; step++) try_scales(s, centre, step == 0 ? 0.0f : step == 1 ? -1.0f : 1.0f, d);
    for (size_t g = 0; g < N_GROUPS; g++) {
        error += s->error[g];
        numerator += s->scale[g] * s->xq[g];
        denominator += s->scale[g] * s->scale[g] * s->qq[g];
    }
    *next_d = denominator > 0.0f ? numerator / denominator : d;
    return error;
}

// Each group on its own first; then d so that their scales lie near whole multiples of it; then all once more.
static uint16_t search_block(struct search *s, float *best_d, float *best_scale)
{
    float magnitude[N_GROUPS], curvature[N_GROUPS], wanted[N_GROUPS], unit = s->halves[0].unit[0], least = 0.0f;
    uint16_t best_half = 0;
    for (size_t g = 0; g < N_GROUPS; g += SC_SEARCH_LANES) {
        struct sc_fit fit;
        sc_fit_scale(&s->halves[g / SC_SEARCH_LANES], 31, &fit);
        for (size_t l = 0; l < SC_SEARCH_LANES; l++) {
            wanted[g + l] = fit.scale[l];
            magnitude[g + l] = fit.scale[l] < 0.0f ? -fit.scale[l] : fit.scale[l];
            curvature[g + l] = fit.sums.qq[l];
        }
    }
    float next_d = sc_search_common_factor(magnitude, curvature, N_GROUPS, 127);
    for (int round = 0; round < 2; round++) {
        float d;
        uint16_t half = sc_search_half(next_d, unit, &d);
        for (size_t g = 0; g < N_GROUPS && round == 0; g++)
            s->scale[g] = d != 0.0f ? sc_search_round(sc_search_clamp(wanted[g] / d, -128.0f, 127.0f)) : 0.0f;
        float error = settle(s, d, &next_d);
        if (round > 0 && !(error < least)) break;
        least = error;
        *best_d = d;
        best_half = half;
        memcpy(best_scale, s->scale, sizeof s->scale);
    }
    return best_half;
}

static void encode(const float *restrict x, const float *importance, void *restrict blocks, size_t n_blocks)
{
    uint8_t *bytes = blocks;
    struct search s;
    for (size_t b = 0; b < n_blocks; b++, bytes += BLOCK_BYTES) {
        float d = 0.0f, scale[N_GROUPS];
        int8_t q[BLOCK_SIZE];
        for (size_t h = 0; h < 2; h++)
            sc_groups_load(&s.halves[h], x, importance, b * N_GROUPS + h * SC_SEARCH_LANES, SC_SEARCH_LANES, GROUP,
                           BLOCK_SIZE);
        sc_store_u16(bytes + 208, search_block(&s, &d, scale));
        for (size_t g = 0; g < N_GROUPS; g++) {
            bytes[192 + g] = (uint8_t)(int8_t)scale[g];
            sc_groups_quantize(&s.halves[g / SC_SEARCH_LANES], g % SC_SEARCH_LANES, d * scale[g], 0.0f, -32, 31,
                               q + g * GROUP);
        }
        memset(bytes + 128, 0, 64);
        for (size_t i = 0; i < BLOCK_SIZE; i++) {
            size_t half = i / 128, l = i % 128;
            int code = q[i] + 32;
            bytes[128 + 32 * half + l % 32] |= (uint8_t)(code >> 4 << (2 * (l / 32)));
            q[i] = (int8_t)(code & 15);
        }
        for (size_t half = 0; half < 2; half++)
            for (size_t l = 0; l < 64; l++)
                bytes[64 * half + l] = (uint8_t)(q[128 * half + l] | q[128 * half + 64 + l] << 4);
    }
}

static const struct sc_packing packing = { .bits = 6, .offset = 32, .head = SC_HEAD_D_SCALES, .d_at = 208 };

const struct sc_format sc_format_q6_k = {
    .name = "Q6_K",
    .id = 14,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = false,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
    .encode = encode,
};
