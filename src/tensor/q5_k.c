// Q5_K: 256 numbers of five bits in 8 groups, each with a 6-bit scale and a 6-bit min. ggml's type 13 (block_q5_K).
//
//     byte 0    2      4                16              48                                        176
//          | d  | dmin | scales, mins   | fifth bits    | nibbles: 32 bytes for every 64 elements,  |
//          |    |      | 16 x 6 bits    | of 8 elements | low halves the first 32, high the second  |
//
//     fifth bit of element i: bit i/32 of byte i%32. The packing of the scales is drawn in parts.h.
//     weight[i] = (d * scale[i/32]) * q[i] - (dmin * min[i/32]),  q in 0..31, scale and min in 0..63
#include "tensor/parts.h"

enum { BLOCK_SIZE = 256, BLOCK_BYTES = 176, GROUP = 32, N_GROUPS = BLOCK_SIZE / GROUP };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from, *fifth = bytes + 16, *nibbles = bytes + 48;
    out->d = sc_load_f16(bytes);
    out->m = -sc_load_f16(bytes + 2);
    sc_unpack_six_bits(bytes + 4, out->scale, out->min);
    for (size_t pair = 0; pair < 4; pair++)
        for (size_t l = 0; l < 32; l++) {
            int packed = nibbles[32 * pair + l], high = fifth[l] >> (2 * pair);
            out->q[64 * pair + l] = (int8_t)((packed & 15) | (high & 1) << 4);
            out->q[64 * pair + 32 + l] = (int8_t)(packed >> 4 | (high & 2) << 3);
        }
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
    struct sc_super_block found;
    for (size_t b = 0; b < n_blocks; b++, bytes += BLOCK_BYTES) {
        sc_groups_load(&groups, x, importance, b * N_GROUPS, N_GROUPS, GROUP, BLOCK_SIZE);
        sc_search_super_block(&groups, 31, &found);
        sc_store_u16(bytes, found.d_half);
        sc_store_u16(bytes + 2, found.m_half);
        sc_pack_six_bits(found.scale, found.min, bytes + 4);
        memset(bytes + 16, 0, GROUP);
        for (size_t pair = 0; pair < 4; pair++) {
            int8_t q[2][GROUP];
            for (size_t half = 0; half < 2; half++) {
                size_t l = 2 * pair + half;
                sc_groups_quantize(&groups, l, found.d * found.scale[l], -(found.m * found.min[l]), 0, 31, q[half]);
            }
            for (size_t i = 0; i < GROUP; i++) {
                bytes[48 + 32 * pair + i] = (uint8_t)((q[0][i] & 15) | (q[1][i] & 15) << 4);
                bytes[16 + i] |= (uint8_t)((q[0][i] >> 4 | q[1][i] >> 4 << 1) << (2 * pair));
            }
        }
    }
}

static const struct sc_packing packing = { .bits = 5, .head = SC_HEAD_DM_SIX_BITS, .minus_m = true };

const struct sc_format sc_format_q5_k = {
    .name = "Q5_K",
    .id = 13,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = true,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
    .encode = encode,
};
