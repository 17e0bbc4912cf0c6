// Q4_0: 32 numbers of four bits under one f16 scale, centred on 8. ggml's type 2 (block_q4_0).
//
//     byte 0    2                                 18
//          | d  | nibbles: byte j = q[16+j] q[j]  |        weight[i] = d * (nibble[i] - 8),  q in -8..7
#include "tensor/parts.h"

enum { BLOCK_SIZE = 32, BLOCK_BYTES = 18, GROUP = BLOCK_SIZE };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    uint8_t nibbles[BLOCK_SIZE];
    out->d = sc_load_f16(bytes);
    out->scale[0] = 1;
    sc_unpack_nibbles(bytes + 2, nibbles);
    for (size_t i = 0; i < BLOCK_SIZE; i++) out->q[i] = (int8_t)(nibbles[i] - 8);
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

static const struct sc_packing packing = { .bits = 4, .offset = 8, .head = SC_HEAD_D };

const struct sc_format sc_format_q4_0 = {
    .name = "Q4_0",
    .id = 2,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = false,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
};
