// TQ2_0: 256 ternary numbers, two bits each, under one f16 scale. ggml's type 35 (block_tq2_0).
//
//     byte 0                                     64   66
//          | two bits: byte l of each half holds | d  |
//          | elements l, 32+l, 64+l, 96+l        |    |
//
//     weight[i] = d * (bits[i] - 1),  q in -1..1 (2 where the bits are 3, which no writer makes)
#include "tensor/parts.h"

enum { BLOCK_SIZE = 256, BLOCK_BYTES = 66, GROUP = BLOCK_SIZE };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    uint8_t bits[BLOCK_SIZE];
    out->d = sc_load_f16(bytes + 64);
    out->scale[0] = 1;
    sc_unpack_two_bits(bytes, bits);
    for (size_t i = 0; i < BLOCK_SIZE; i++) out->q[i] = (int8_t)(bits[i] - 1);
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

static const struct sc_packing packing = { .bits = 2, .offset = 1, .head = SC_HEAD_D };

const struct sc_format sc_format_tq2_0 = {
    .name = "TQ2_0",
    .id = 35,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = false,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
};
