// Q5_1: 32 numbers of five bits under an f16 scale and an f16 minimum. ggml's type 7 (block_q5_1).
//
//     byte 0    2    4         8                                 24
//          | d  | m  | fifth   | nibbles: byte j = q[16+j] q[j]  |   bit i of `fifth` (u32) is q[i]'s highest
//
//     weight[i] = d * (nibble[i] + 16 * bit[i]) + m,  q in 0..31
#include "base/size.h"
#include "tensor/parts.h"

enum { BLOCK_SIZE = 32, BLOCK_BYTES = 24, GROUP = BLOCK_SIZE };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    uint8_t nibbles[BLOCK_SIZE], fifth[BLOCK_SIZE];
    out->d = sc_load_f16(bytes);
    out->m = sc_load_f16(bytes + 2);
    out->scale[0] = 1;
    out->min[0] = 1;
    sc_unpack_nibbles(bytes + 8, nibbles);
    sc_unpack_fifth_bits(sc_load_u32(bytes + 4), fifth);
    for (size_t i = 0; i < BLOCK_SIZE; i++) out->q[i] = (int8_t)(nibbles[i] | fifth[i]);
}

static void decode(const void *restrict blocks, float *restrict out, size_t n_blocks)
{
    const uint8_t *bytes = blocks;
    for (size_t b = 0; b < n_blocks; b++) {
        struct sc_block block;
        unpack(bytes + b * BLOCK_BYTES, &block);
        sc_block_expand(&block, BLOCK_SIZE, GROUP, true, out + b * BLOCK_SIZE);
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
        sc_fit_offset(&groups, 31, false, &fit);
        for (size_t l = 0; l < n; l++) {
            uint8_t *block = bytes + (b + l) * BLOCK_BYTES;
            int8_t q[BLOCK_SIZE];
            float d, m;
            sc_store_u16(block, sc_search_half(fit.scale[l], groups.unit[l], &d));
            sc_store_u16(block + 2, sc_search_half(fit.min[l], groups.unit[l], &m));
            sc_groups_quantize(&groups, l, d, m, 0, 31, q);
            sc_store_u32(block + 4, sc_pack_fifth_bits(q));
            sc_pack_nibbles(q, block + 8);
        }
    }
}

static const struct sc_packing packing = { .bits = 5, .head = SC_HEAD_DM };

const struct sc_format sc_format_q5_1 = {
    .name = "Q5_1",
    .id = 7,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = true,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
    .encode = encode,
};
