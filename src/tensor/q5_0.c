// Q5_0: 32 numbers of five bits under one f16 scale, centred on 16. ggml's type 6 (block_q5_0).
//
//     byte 0    2         6                                 22
//          | d  | fifth   | nibbles: byte j = q[16+j] q[j]  |   bit i of `fifth` (u32) is q[i]'s highest
//
//     weight[i] = d * (nibble[i] + 16 * bit[i] - 16),  q in -16..15
#include "base/size.h"
#include "tensor/parts.h"

enum { BLOCK_SIZE = 32, BLOCK_BYTES = 22, GROUP = BLOCK_SIZE };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    uint8_t nibbles[BLOCK_SIZE], fifth[BLOCK_SIZE];
    out->d = sc_load_f16(bytes);
    out->scale[0] = 1;
    sc_unpack_nibbles(bytes + 6, nibbles);
    sc_unpack_fifth_bits(sc_load_u32(bytes + 2), fifth);
    for (size_t i = 0; i < BLOCK_SIZE; i++) out->q[i] = (int8_t)((nibbles[i] | fifth[i]) - 16);
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

static void encode(const float *restrict x, const float *importance, void *restrict blocks, size_t n_blocks)
{
    uint8_t *bytes = blocks;
    struct sc_groups groups;
    struct sc_fit fit;
    for (size_t b = 0, n; b < n_blocks; b += n) {
        n = SC_MIN(n_blocks - b, (size_t)SC_SEARCH_LANES);
        sc_groups_load(&groups, x, importance, b, n, BLOCK_SIZE, BLOCK_SIZE);
        sc_fit_scale(&groups, 15, &fit);
        for (size_t l = 0; l < n; l++) {
            uint8_t *block = bytes + (b + l) * BLOCK_BYTES;
            int8_t q[BLOCK_SIZE];
            float d;
            sc_store_u16(block, sc_search_half(fit.scale[l], groups.unit[l], &d));
            sc_groups_quantize(&groups, l, d, 0.0f, -16, 15, q);
            for (size_t i = 0; i < BLOCK_SIZE; i++) q[i] = (int8_t)(q[i] + 16);
            sc_store_u32(block + 2, sc_pack_fifth_bits(q));
            sc_pack_nibbles(q, block + 6);
        }
    }
}

static const struct sc_packing packing = { .bits = 5, .offset = 16, .head = SC_HEAD_D };

const struct sc_format sc_format_q5_0 = {
    .name = "Q5_0",
    .id = 6,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = false,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
    .encode = encode,
};
