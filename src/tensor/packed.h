// Packed weights: one layout for every instruction set and device, made once when a model loads or by `socle pack`.
//
// Rows go in groups of 16, the lanes of a vector; a short last group is filled with zeros. A group holds its K elements
// in segments of 256 (the last may be short), one tile each, back to back:
//
//     float formats    element i of lane r at (i * 16 + r), as in the file
//     quantized ones   | head | codes |       both multiples of 64 bytes, so that tiles keep the alignment
//
// Head, by kind (enum sc_head), for the tile's n_blocks blocks (block sizes are 32 or 256):
//     d        [n_blocks][16] f16, or one byte each (E8M0, the exponent of MXFP4)
//     m        [n_blocks][16] f16, where there are minimums; weight = d * scale * q + m * min
//     scales   [bytes][16] sub-scales and sub-mins, drawn at enum sc_head
//
// Codes, for every 32 elements `bits` vectors of 64 bytes, which hold a word of 4 bytes for each lane. Numbers of 4
// elements are a quad; a code is put together from planes:
//     8 bits   vectors 0..7: byte j of vector t is element 4t + j, signed
//     4        vectors 0..3: byte j of vector t has element 4t + j in its low half, 16 + 4t + j in its high half
//     2        vectors 0..1: bits 2b, 2b+1 of byte j of vector t are those of element 16t + 4b + j
//     1        one vector:   bit b of byte j is that of element 4b + j
//     6 = 4 low bits, then 2 high; 5 = 4 and 1; 3 = 2 and 1
// A code stands for the number codebook[code], or code - offset.
#ifndef SC_TENSOR_PACKED_H
#define SC_TENSOR_PACKED_H

#include "tensor/format.h"

// In files, packed tensors carry this in the upper half of their format's number.
#define SC_PACKED_FORMAT UINT32_C(0x53430000)
#define SC_PACKED_VERSION_KEY "socle.packed.version"
enum { SC_PACKED_VERSION = 1 }; // of this layout; changes with it

enum { SC_GROUP_ROWS = 16, SC_TILE_ELEMENTS = 256, SC_TILE_ALIGNMENT = 64 };

enum sc_head {
    SC_HEAD_D,           // d
    SC_HEAD_E8M0,        // d as a byte e: 2^(e - 128), subnormal for e of 0 and 1
    SC_HEAD_DM,          // d, m
    SC_HEAD_D_SCALES,    // d; a signed byte for each group: its scale
    SC_HEAD_DM_SIX_BITS, // d, m; 12 bytes as drawn at sc_unpack_six_bits (parts.h)
    SC_HEAD_DM_NIBBLES,  // d, m; a byte for each group: its scale in the low half, its min in the high half
};

// How a quantized format's blocks are packed.
struct sc_packing {
    uint8_t bits; // of a code: 2, 3, 4, 5, 6 or 8
    int8_t offset;
    enum sc_head head;
    uint8_t d_at;                                           // where d lies in the file's block; m follows it
    bool minus_m;                                           // the file's block has -m
    const int8_t *codebook;                                 // [1 << bits], or NULL
    void (*codes)(const void *block, struct sc_block *out); // with a codebook: `unpack`, but q are the codes
};

// Where the parts of a tile of n elements lie.
struct sc_tile_layout {
    size_t d_bytes;                 // of one d: 2, or 1
    size_t m_offset, scales_offset; // from the tile's start
    size_t n_scale_bytes;           // for one lane and block
    size_t head_bytes, codes_bytes; // both multiples of 64
};

struct sc_tile_layout sc_tile_layout(const struct sc_format *format, size_t n);
// Bytes of one tile of n elements, and of a whole group of rows of k elements.
size_t sc_packed_tile_bytes(const struct sc_format *format, size_t n);
size_t sc_packed_group_bytes(const struct sc_format *format, size_t k);
// Bytes of a matrix of n_rows rows of k.
static inline size_t sc_packed_bytes(const struct sc_format *format, size_t k, size_t n_rows)
{
    return (n_rows + SC_GROUP_ROWS - 1) / SC_GROUP_ROWS * sc_packed_group_bytes(format, k);
}

// Packs n_rows <= 16 rows of k elements, row_stride bytes apart in the file's format, into one group.
void sc_pack_group(const struct sc_format *format, const void *rows, size_t row_stride, size_t n_rows, size_t k,
                   void *group);
// Reads block b of lane r back from a tile of n elements (quantized formats): what `unpack` gives for the file's block.
void sc_packed_block(const struct sc_format *format, const void *tile, size_t n, size_t r, size_t b,
                     struct sc_block *out);
// Decodes lane r of a group of k elements: what `decode` gives for the file's row.
void sc_packed_decode_row(const struct sc_format *format, const void *group, size_t k, size_t r, float *out);
// The same of all 16 lanes, elements i to i + n (whole blocks) only: out[n][16]. Quantized formats.
void sc_packed_decode_columns(const struct sc_format *format, const void *group, size_t k, size_t i, size_t n,
                              float *out);

#endif
