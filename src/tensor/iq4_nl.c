// IQ4_NL: 32 places in a codebook of sixteen values under one f16 scale. ggml's type 20 (block_iq4_nl).
//
//     byte 0    2                                           18
//          | d  | nibbles: byte j = place[16+j] place[j]    |
//
//     weight[i] = d * codebook[place[i]],  values in -127..113 (parts.h)
#include "tensor/parts.h"

enum { BLOCK_SIZE = 32, BLOCK_BYTES = 18, GROUP = BLOCK_SIZE };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    uint8_t places[BLOCK_SIZE];
    out->d = sc_load_f16(bytes);
    out->scale[0] = 1;
    sc_unpack_nibbles(bytes + 2, places);
    for (size_t i = 0; i < BLOCK_SIZE; i++) out->q[i] = sc_iq4_codebook[places[i]];
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

static const struct sc_packing packing = { .bits = 4, .head = SC_HEAD_D, .codebook = sc_iq4_codebook };

const struct sc_format sc_format_iq4_nl = {
    .name = "IQ4_NL",
    .id = 20,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = false,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
};
