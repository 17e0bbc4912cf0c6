// Q8_0: 32 signed bytes under one f16 scale. ggml's type 8 (block_q8_0).
//
//     byte 0    2                                 34
//          | d  | q[0] q[1] …               q[31] |        weight[i] = d * q[i],  q in -128..127
#include "tensor/parts.h"

enum { BLOCK_SIZE = 32, BLOCK_BYTES = 34, GROUP = BLOCK_SIZE };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    out->d = sc_load_f16(bytes);
    out->scale[0] = 1;
    memcpy(out->q, bytes + 2, BLOCK_SIZE);
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

static const struct sc_packing packing = { .bits = 8, .head = SC_HEAD_D };

const struct sc_format sc_format_q8_0 = {
    .name = "Q8_0",
    .id = 8,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = false,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
};
