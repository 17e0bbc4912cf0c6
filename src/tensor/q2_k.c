// Q2_K: 256 numbers of two bits in 16 groups, each with a 4-bit scale and a 4-bit min. ggml's type 10 (block_q2_K).
//
//     byte 0               16                                     80   82     84
//          | min,scale x16 | two bits: byte l of each half holds  | d  | dmin |
//          | high,low four | elements l, 32+l, 64+l, 96+l         |    |      |
//
//     weight[i] = (d * scale[i/16]) * q[i] - (dmin * min[i/16]),  q in 0..3, scale and min in 0..15
#include "tensor/parts.h"

enum { BLOCK_SIZE = 256, BLOCK_BYTES = 84, GROUP = 16 };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    out->d = sc_load_f16(bytes + 80);
    out->m = -sc_load_f16(bytes + 82);
    for (size_t g = 0; g < BLOCK_SIZE / GROUP; g++) {
        out->scale[g] = bytes[g] & 15;
        out->min[g] = bytes[g] >> 4;
    }
    sc_unpack_two_bits(bytes + 16, (uint8_t *)out->q);
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

static const struct sc_packing packing = { .bits = 2, .head = SC_HEAD_DM_NIBBLES };

const struct sc_format sc_format_q2_k = {
    .name = "Q2_K",
    .id = 10,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = true,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
};
