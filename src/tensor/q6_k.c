// Q6_K: 256 numbers of six bits in 16 groups, each with a signed 8-bit scale. ggml's type 14 (block_q6_K).
//
//     byte 0                               128                                 192        208  210
//          | nibbles: 64 bytes for every   | upper two bits: byte l of each    | scale x16 | d  |
//          | 128 elements, low halves the  | half holds elements l, 32+l,      | int8      |    |
//          | first 64, high the second     | 64+l, 96+l                        |           |    |
//
//     weight[i] = (d * scale[i/16]) * (q[i] - 32),  q - 32 in -32..31, scale in -128..127
#include "tensor/parts.h"

enum { BLOCK_SIZE = 256, BLOCK_BYTES = 210, GROUP = 16 };

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

static const struct sc_packing packing = { .bits = 6, .offset = 32, .head = SC_HEAD_D_SCALES };

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
};
