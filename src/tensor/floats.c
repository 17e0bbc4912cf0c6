// F32, F16, BF16: a block is one number. ggml's types 0, 1 and 30.
//
// Rows in these formats multiply f32 activations, so there is nothing to unpack. Numbers are little-endian in files.
#include "tensor/parts.h"

static void decode_f32(const void *restrict blocks, float *restrict out, size_t n_blocks)
{
    const uint8_t *bytes = blocks;
    for (size_t i = 0; i < n_blocks; i++) out[i] = sc_f32_of_bits(sc_load_u32(bytes + 4 * i));
}

static void decode_f16(const void *restrict blocks, float *restrict out, size_t n_blocks)
{
    const uint8_t *bytes = blocks;
    for (size_t i = 0; i < n_blocks; i++) out[i] = sc_load_f16(bytes + 2 * i);
}

static void decode_bf16(const void *restrict blocks, float *restrict out, size_t n_blocks)
{
    const uint8_t *bytes = blocks;
    for (size_t i = 0; i < n_blocks; i++) out[i] = sc_bf16_to_f32(sc_load_u16(bytes + 2 * i));
}

static void encode_f32(const float *restrict x, const float *importance, void *restrict blocks, size_t n_blocks)
{
    (void)importance;
    uint8_t *bytes = blocks;
    for (size_t i = 0; i < n_blocks; i++) sc_store_u32(bytes + 4 * i, sc_bits_of_f32(x[i]));
}

static void encode_f16(const float *restrict x, const float *importance, void *restrict blocks, size_t n_blocks)
{
    (void)importance;
    uint8_t *bytes = blocks;
    for (size_t i = 0; i < n_blocks; i++) sc_store_u16(bytes + 2 * i, sc_half_from_f32(x[i]));
}

static void encode_bf16(const float *restrict x, const float *importance, void *restrict blocks, size_t n_blocks)
{
    (void)importance;
    uint8_t *bytes = blocks;
    for (size_t i = 0; i < n_blocks; i++) sc_store_u16(bytes + 2 * i, sc_f32_to_bf16(x[i]));
}

const struct sc_format sc_format_f32 = {
    .name = "F32",
    .id = 0,
    .block_size = 1,
    .block_bytes = 4,
    .decode = decode_f32,
    .encode = encode_f32,
};

const struct sc_format sc_format_f16 = {
    .name = "F16",
    .id = 1,
    .block_size = 1,
    .block_bytes = 2,
    .decode = decode_f16,
    .encode = encode_f16,
};

const struct sc_format sc_format_bf16 = {
    .name = "BF16",
    .id = 30,
    .block_size = 1,
    .block_bytes = 2,
    .decode = decode_bf16,
    .encode = encode_bf16,
};
