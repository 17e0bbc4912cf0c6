// MXFP4: 32 floats of four bits (E2M1) under a shared power of two (E8M0). ggml's type 39 (block_mxfp4); Open Compute
// Project, "Microscaling Formats (MX) Specification" 1.0, section 5.
//
//     byte 0   1                                      17
//          | e | nibbles: byte j = code[16+j] code[j] |       code  s ee m: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and negatives
//
// The codes are kept doubled, as integers, and the scale halved: weight[i] = 2^(e-128) * doubled[code[i]], exactly.
// Scales below 2^-126 (e of 0 and 1) are subnormal. Minus zero reads as zero, e = 255 as 2^127, as ggml has it (the
// specification calls the latter not a number).
#include "tensor/parts.h"

enum { BLOCK_SIZE = 32, BLOCK_BYTES = 17, GROUP = BLOCK_SIZE };

static const int8_t doubled[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

static void unpack(const void *restrict from, struct sc_block *restrict out)
{
    const uint8_t *bytes = from;
    uint8_t codes[BLOCK_SIZE];
    out->d = sc_exponent_to_f32(bytes[0]);
    out->scale[0] = 1;
    sc_unpack_nibbles(bytes + 1, codes);
    for (size_t i = 0; i < BLOCK_SIZE; i++) out->q[i] = doubled[codes[i]];
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

static const struct sc_packing packing = { .bits = 4, .head = SC_HEAD_E8M0, .codebook = doubled };

const struct sc_format sc_format_mxfp4 = {
    .name = "MXFP4",
    .id = 39,
    .block_size = BLOCK_SIZE,
    .block_bytes = BLOCK_BYTES,
    .group = GROUP,
    .has_min = false,
    .decode = decode,
    .unpack = unpack,
    .packing = &packing,
};
