// Q5_0: 32 numbers of five bits under one f16 scale, centred on 16. ggml's type 6 (block_q5_0).
//
//     byte 0    2         6                                 22
//          | d  | fifth   | nibbles: byte j = q[16+j] q[j]  |   bit i of `fifth` (u32) is q[i]'s highest
//
//     weight[i] = d * (nibble[i] + 16 * bit[i] - 16),  q in -16..15
#include "tensor/parts.h"

enum { BLOCK_SIZE = 32, BLOCK_BYTES = 22, GROUP = BLOCK_SIZE };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    uint8_t nibbles[BLOCK_SIZE];
    uint32_t fifth = sc_load_u32(bytes + 2);
    out->d = sc_load_f16(bytes);
    out->scale[0] = 1;
    sc_unpack_nibbles(bytes + 6, nibbles);
    for (uint32_t i = 0; i < BLOCK_SIZE; i++) out->q[i] = (int8_t)((int32_t)(nibbles[i] | (fifth >> i & 1) << 4) - 16);
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
};
