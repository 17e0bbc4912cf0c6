// Element and block formats: how a row of weights lies in memory.
//
// A format is one const descriptor in one file (src/tensor/<format>.c) and one line in src/tensor/formats.h.
// A row of n elements is n / block_size blocks of block_bytes bytes each, back to back; n is a multiple of block_size.
//
// Two readings of the same bytes, and the way there:
//   decode  the exact f32 values, as the format's inventors define them (order of operations included)
//   unpack  the integers inside a block, for exact integer products (docs/numerics.md, "Quantized products")
//   encode  a block whose decoded values lie near given ones (docs/quantization.md)
#ifndef SC_TENSOR_FORMAT_H
#define SC_TENSOR_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SC_BLOCK_MAX = 256, SC_GROUP_MIN = 16, SC_GROUPS_MAX = SC_BLOCK_MAX / SC_GROUP_MIN };

// One block as integers. With g = i / group:
//     weight[i] = d * scale[g] * q[i] + m * min[g]
// (formats without mins leave m and min alone and have has_min false; those without sub-scales have one group
// with scale 1, so that |sum of scale * q * x| <= 2^31 always holds: 256 * 127 * 128 * 128 / group count is checked
// per format in tests/test_formats.c).
struct sc_block {
    int8_t q[SC_BLOCK_MAX];
    int16_t scale[SC_GROUPS_MAX];
    int16_t min[SC_GROUPS_MAX];
    float d, m;
};

struct sc_packing;

struct sc_format {
    const char *name;     // "Q4_K", as it is written in files and on the command line
    uint32_t id;          // the number of this type in GGUF
    uint16_t block_size;  // elements per block: 1, 32 or 256
    uint16_t block_bytes; // bytes per block
    uint16_t group;       // elements under one integer sub-scale: 16, 32 or block_size; 0 for float formats
    bool has_min;
    // Decodes n_blocks blocks into n_blocks * block_size floats.
    void (*decode)(const void *blocks, float *out, size_t n_blocks);
    // Unpacks one block; NULL for float formats (F32, F16, BF16), which multiply f32 activations.
    void (*unpack)(const void *block, struct sc_block *out);
    // How its blocks lie when packed (packed.h); NULL for float formats.
    const struct sc_packing *packing;
    // Encodes n_blocks * block_size finite floats; NULL where there is no encoder. importance: a weight >= 0 of each
    // element's squared error, or NULL: all count alike. The same bits on every machine. F16 rounds to infinity what
    // it cannot hold; block formats keep to their largest scale.
    void (*encode)(const float *x, const float *importance, void *blocks, size_t n_blocks);
};

// The format with this GGUF type number, or NULL.
const struct sc_format *sc_format_find(uint32_t id);
// The format with this name (any case), or NULL.
const struct sc_format *sc_format_find_name(const char *name);
// The i-th format, or NULL past the last: for listing.
const struct sc_format *sc_format_at(size_t i);

// Bytes of a row of n elements; n must be a multiple of block_size.
static inline size_t sc_format_row_bytes(const struct sc_format *format, size_t n)
{
    return n / format->block_size * format->block_bytes;
}

// f16 to f32 and back by stated integer rules; round to nearest even, overflow to infinity.
float sc_f32_from_f16(uint16_t bits);
uint16_t sc_f16_from_f32(float value);
// bf16 is the upper half of an f32, rounded to nearest even.
float sc_f32_from_bf16(uint16_t bits);
uint16_t sc_bf16_from_f32(float value);

#endif
