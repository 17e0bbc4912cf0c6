// Q3_K: 256 numbers of three bits in 16 groups, each with a signed 6-bit scale. ggml's type 11 (block_q3_K).
//
//     byte 0               32                                    96             108  110
//          | third bits    | two bits: byte l of each half holds | scales       | d  |
//          | of 8 elements | elements l, 32+l, 64+l, 96+l        | 16 x 6 bits  |    |
//
//     third bit of element i: bit i/32 of byte i%32; where it is 0, the number is 4 lower
//     scale j: lower four bits in byte j%8 of 12 (low half for j < 8), upper two in byte 8 + j%4 at bit 2*(j/4)
//     weight[i] = (d * (scale[i/16] - 32)) * q[i],  q in -4..3, scale - 32 in -32..31
#include "tensor/parts.h"

enum { BLOCK_SIZE = 256, BLOCK_BYTES = 110, GROUP = 16 };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from, *scales = bytes + 96;
    uint8_t low[BLOCK_SIZE];
    out->d = sc_load_f16(bytes + 108);
    for (uint32_t j = 0; j < BLOCK_SIZE / GROUP; j++) {
        int lower = scales[j % 8] >> (4 * (j / 8)) & 15;
        int upper = scales[8 + j % 4] >> (2 * (j / 4)) & 3;
        out->scale[j] = (int16_t)((lower | upper << 4) - 32);
    }
    sc_unpack_two_bits(bytes + 32, low);
    for (size_t s = 0; s < 8; s++)
        for (size_t l = 0; l < 32; l++) out->q[32 * s + l] = (int8_t)(low[32 * s + l] + (bytes[l] >> s & 1) * 4 - 4);
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

static const struct sc_packing packing = { .bits = 3, .offset = 4, .head = SC_HEAD_D_SCALES };

const struct sc_format sc_format_q3_k = {
    .name = "Q3_K",
    .id = 11,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = false,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
};
