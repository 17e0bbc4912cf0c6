// IQ4_XS: 256 places in the codebook of IQ4_NL in 8 groups, each with a signed 6-bit scale. ggml's type 23
// (block_iq4_xs).
//
//     byte 0    2             4              8                                        136
//          | d  | upper two   | lower four   | nibbles: 16 bytes for every group of 32, |
//          |    | bits, a u16 | bits x 8     | low halves the first 16, high the second |
//
//     scale g: lower bits in byte g/2 (low half for even g), upper ones at bit 2*g of the u16
//     weight[i] = (d * (scale[i/32] - 32)) * codebook[place[i]],  scale - 32 in -32..31, values in -127..113 (parts.h)
#include "tensor/parts.h"

enum { BLOCK_SIZE = 256, BLOCK_BYTES = 136, GROUP = 32 };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    uint32_t upper = sc_load_u16(bytes + 2);
    out->d = sc_load_f16(bytes);
    for (uint32_t g = 0; g < BLOCK_SIZE / GROUP; g++) {
        uint8_t places[GROUP];
        uint32_t lower = bytes[4 + g / 2] >> (4 * (g % 2)) & 15;
        out->scale[g] = (int16_t)((int32_t)(lower | (upper >> (2 * g) & 3) << 4) - 32);
        sc_unpack_nibbles(bytes + 8 + 16 * g, places);
        for (size_t i = 0; i < GROUP; i++) out->q[GROUP * g + i] = sc_iq4_codebook[places[i]];
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

static const struct sc_packing packing = { .bits = 4, .head = SC_HEAD_D_SCALES, .codebook = sc_iq4_codebook };

const struct sc_format sc_format_iq4_xs = {
    .name = "IQ4_XS",
    .id = 23,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = false,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
};
