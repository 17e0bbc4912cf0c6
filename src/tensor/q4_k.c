// Q4_K: 256 numbers of four bits in 8 groups, each with a 6-bit scale and a 6-bit min. ggml's type 12 (block_q4_K).
//
//     byte 0    2      4                16                                        144
//          | d  | dmin | scales, mins   | nibbles: 32 bytes for every 64 elements,  |
//          |    |      | 16 x 6 bits    | low halves the first 32, high the second  |
//
//     The packing of the scales is drawn in parts.h.
//     weight[i] = (d * scale[i/32]) * q[i] - (dmin * min[i/32]),  q in 0..15, scale and min in 0..63
#include "tensor/parts.h"

enum { BLOCK_SIZE = 256, BLOCK_BYTES = 144, GROUP = 32, N_GROUPS = BLOCK_SIZE / GROUP };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from, *nibbles = bytes + 16;
    out->d = sc_load_f16(bytes);
    out->m = -sc_load_f16(bytes + 2);
    sc_unpack_six_bits(bytes + 4, out->scale, out->min);
    for (size_t pair = 0; pair < 4; pair++)
        for (size_t l = 0; l < 32; l++) {
            out->q[64 * pair + l] = nibbles[32 * pair + l] & 15;
            out->q[64 * pair + 32 + l] = nibbles[32 * pair + l] >> 4;
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
        sc_search_super_block(&groups, 15, &found);
        sc_store_u16(bytes, found.d_half);
        sc_store_u16(bytes + 2, found.m_half);
        sc_pack_six_bits(found.scale, found.min, bytes + 4);
        for (size_t pair = 0; pair < 4; pair++) {
            int8_t q[2][GROUP];
            for (size_t half = 0; half < 2; half++) {
                size_t l = 2 * pair + half;
                sc_groups_quantize(&groups, l, found.d * found.scale[l], -(found.m * found.min[l]), 0, 15, q[half]);
            }
            for (size_t i = 0; i < GROUP; i++) bytes[16 + 32 * pair + i] = (uint8_t)(q[0][i] | q[1][i] << 4);
        }
    }
}

static const struct sc_packing packing = { .bits = 4, .head = SC_HEAD_DM_SIX_BITS, .minus_m = true };

const struct sc_format sc_format_q4_k = {
    .name = "Q4_K",
    .id = 12,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = true,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
    .encode = encode,
};
