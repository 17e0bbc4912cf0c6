// A tile of packed weights (tensor/packed.h) made ready for multiplication: codes as bytes, heads as numbers.
//
// Weights are bytes that lanes_dot4 multiplies: signed numbers q, or with LANES_SIGNED_WEIGHTS 0 unsigned ones q + o.
// The products then hold o times the sum of the activations too much, which the accumulator's start takes away.
#ifndef SC_KERNELS_LANES_TILE_H
#define SC_KERNELS_LANES_TILE_H

#include <string.h>

#include "dot.h"
#include "kernels/kernels.h"
#include "tensor/half.h"
#include "tensor/packed.h"

enum { TILE_BLOCKS = SC_SEGMENT / 32, TILE_GROUPS = SC_SEGMENT / 16, TILE_QUADS = SC_SEGMENT / 4 };
enum { VECTOR = 64, BLOCK_QUADS = 8 };

struct tile {
    _Alignas(64) int8_t quads[TILE_QUADS][VECTOR];
    _Alignas(64) float d[TILE_BLOCKS][SC_LANES];
    _Alignas(64) float m[TILE_BLOCKS][SC_LANES];
    _Alignas(64) int32_t scale[TILE_GROUPS][SC_LANES];
    _Alignas(64) int32_t mins[TILE_GROUPS / 2][SC_LANES]; // of two groups, as two int16
    _Alignas(64) int32_t more[TILE_GROUPS / 2][SC_LANES]; // `centre` times the scales of two groups, as two int16
};

// What unpacking needs to know of a format, found once.
struct unpacking {
    const struct sc_format *format;
    unsigned bits;
    uint8_t add;    // to the code, after the codebook
    int32_t offset; // o
    int32_t centre; // see centre_of
    int32_t narrow; // see narrow_of
    bool look_up;
    int8_t codebook[16];
};

// Where a group's products fit into int16, multiplying them by the sub-scale takes one step (lanes_mac). Codes of 0 to
// 15 in groups of 32 do not fit (32 * 15 * 127), but 8 less do: what is missing then is 8 * scale * the sum of the
// group's activations, which is as cheap as a minimum. Where the group's activations are not all large (narrow_of),
// codes of 0 to 15 fit as they are, and so do codes of 0 to 31 less 16, and those of Q6_K.
static inline int32_t centre_of(const struct sc_packing *packing)
{
    return packing->head == SC_HEAD_DM_SIX_BITS ? 1 << (packing->bits - 1) : 0;
}

// The largest sum of 16 absolute activations with which a group's products fit into int16; 0: they always or never do.
static inline int32_t narrow_of(const struct sc_packing *packing)
{
    if (packing->head == SC_HEAD_DM_SIX_BITS) return 32767 / (packing->bits == 4 ? 15 : 16) / 2; // a group has 32
    return packing->head == SC_HEAD_D_SCALES && packing->bits == 6 ? 32767 / 32 : 0;
}

static inline struct unpacking unpacking_of(const struct sc_format *format)
{
    const struct sc_packing *packing = format->packing;
    struct unpacking u = { .format = format, .bits = packing->bits, .look_up = packing->codebook != NULL };
    bool is_signed = packing->bits == 8 || packing->codebook;
    u.centre = centre_of(packing);
    u.narrow = narrow_of(packing);
    if (LANES_SIGNED_WEIGHTS) u.add = (uint8_t) - (packing->offset + u.centre);
    else u.offset = is_signed ? 128 : packing->offset + u.centre;
    if (!LANES_SIGNED_WEIGHTS && packing->bits == 8) u.add = 128;
    for (size_t i = 0; packing->codebook && i < 16; i++)
        u.codebook[i] = (int8_t)(LANES_SIGNED_WEIGHTS ? packing->codebook[i] : packing->codebook[i] + 128);
    return u;
}

#define TILE_INLINE static inline __attribute__((always_inline))

// Bit `from` of every byte moved to bit `to`, and what lies beside it; mask afterwards.
TILE_INLINE lanes_bytes move_bits(lanes_bytes x, int from, int to)
{
    return to >= from ? lanes_shl_bytes(x, to - from) : lanes_shr_bytes(x, from - to);
}

// Where codes go, once they are bytes: into a tile, which many columns use, or straight into the sums of one column.
struct quads {
    int8_t (*to)[VECTOR]; // NULL: to `sums`
    const int8_t *x;      // the column's activations
    lanes_i32 sums[2];
    int per_sum; // adjacent quads that go into one sum: 4 where there are two groups, otherwise 1 for shorter chains
};

TILE_INLINE void put_quad(const struct unpacking *u, struct quads *quads, int q, lanes_bytes code)
{
    if (u->look_up) code = lanes_look_up(u->codebook, code);
    else if (u->bits == 8 || (LANES_SIGNED_WEIGHTS && u->add)) code = lanes_add_bytes(code, u->add);
    if (quads->to) lanes_store_bytes(quads->to[q], code);
    else {
        lanes_i32 *sum = &quads->sums[q / quads->per_sum % 2];
        *sum = lanes_dot4(*sum, code, quads->x + 4 * q);
    }
}

// 32 codes of 4, 5 or 6 bits.
TILE_INLINE void unpack_nibbles(const struct unpacking *u, int bits, const uint8_t *codes, struct quads *quads)
{
    lanes_bytes high = lanes_load_bytes(codes + (bits > 4 ? 4 : 0) * VECTOR);
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        if (bits == 6) high = lanes_load_bytes(codes + (4 + half) * VECTOR);
#pragma GCC unroll 4
        for (int t = 0; t < 4; t++) {
            lanes_bytes low = lanes_load_bytes(codes + t * VECTOR);
            low = lanes_and_bytes(half ? lanes_shr_bytes(low, 4) : low, 0x0f);
            if (bits == 5) low = lanes_or_bytes(low, lanes_and_bytes(move_bits(high, 4 * half + t, 4), 0x10));
            if (bits == 6) low = lanes_or_bytes(low, lanes_and_bytes(move_bits(high, 2 * t, 4), 0x30));
            put_quad(u, quads, 4 * half + t, low);
        }
    }
}

// 32 codes of 2 or 3 bits.
TILE_INLINE void unpack_pairs(const struct unpacking *u, int bits, const uint8_t *codes, struct quads *quads)
{
    lanes_bytes high = lanes_load_bytes(codes + (bits == 3 ? 2 : 0) * VECTOR);
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        lanes_bytes pairs = lanes_load_bytes(codes + half * VECTOR);
#pragma GCC unroll 4
        for (int t = 0; t < 4; t++) {
            lanes_bytes low = lanes_and_bytes(lanes_shr_bytes(pairs, 2 * t), 3);
            if (bits == 3) low = lanes_or_bytes(low, lanes_and_bytes(move_bits(high, 4 * half + t, 2), 4));
            put_quad(u, quads, 4 * half + t, low);
        }
    }
}

TILE_INLINE void unpack_bytes(const struct unpacking *u, const uint8_t *codes, struct quads *quads)
{
#pragma GCC unroll 8
    for (int q = 0; q < BLOCK_QUADS; q++) put_quad(u, quads, q, lanes_load_bytes(codes + q * VECTOR));
}

// 32 codes, of as many bits as `bits` says, a constant.
TILE_INLINE void unpack_block(const struct unpacking *u, unsigned bits, const uint8_t *codes, struct quads *quads)
{
    if (bits == 4) unpack_nibbles(u, 4, codes, quads);
    else if (bits == 5) unpack_nibbles(u, 5, codes, quads);
    else if (bits == 6) unpack_nibbles(u, 6, codes, quads);
    else if (bits == 2) unpack_pairs(u, 2, codes, quads);
    else if (bits == 3) unpack_pairs(u, 3, codes, quads);
    else unpack_bytes(u, codes, quads);
}

static void unpack_codes(const struct unpacking *u, const uint8_t *codes, size_t n, struct tile *tile)
{
    for (size_t q = 0; q < n / 4; q += BLOCK_QUADS, codes += u->bits * VECTOR) {
        struct quads quads = { .to = tile->quads + q };
        unpack_block(u, u->bits, codes, &quads);
    }
}

// 2^(e - 128) as in MXFP4; e < 2 gives a subnormal.
static void unpack_exponents(const uint8_t *e, size_t n, float *d)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t normal = ((uint32_t)e[i] - 1) << 23, subnormal = 0x00200000u << (e[i] & 1);
        d[i] = sc_f32_of_bits(e[i] < 2 ? subnormal : normal);
    }
}

static inline lanes_i32 pair_of(lanes_i32 low, lanes_i32 high) { return lanes_or_i(low, lanes_shl_i(high, 16)); }

// The packing of twelve bytes is drawn at sc_unpack_six_bits (tensor/parts.h).
static void unpack_six_bits(const struct unpacking *u, const uint8_t *bytes, struct tile *tile)
{
    lanes_i32 six = lanes_set_i(63), four = lanes_set_i(15), scale[8], min[8];
    for (size_t j = 0; j < 4; j++) {
        lanes_i32 a = lanes_load_u8(bytes + j * SC_LANES), b = lanes_load_u8(bytes + (4 + j) * SC_LANES);
        lanes_i32 c = lanes_load_u8(bytes + (8 + j) * SC_LANES);
        scale[j] = lanes_and_i(a, six);
        scale[4 + j] = lanes_or_i(lanes_and_i(c, four), lanes_shl_i(lanes_shr_i(a, 6), 4));
        min[j] = lanes_and_i(b, six);
        min[4 + j] = lanes_or_i(lanes_shr_i(c, 4), lanes_shl_i(lanes_shr_i(b, 6), 4));
    }
    lanes_i32 centre = lanes_set_i(u->centre);
    for (size_t j = 0; j < 8; j++) lanes_store_i(tile->scale[j], scale[j]);
    for (size_t j = 0; j < 4; j++) {
        lanes_i32 pair = pair_of(scale[2 * j], scale[2 * j + 1]);
        lanes_store_i(tile->mins[j], pair_of(min[2 * j], min[2 * j + 1]));
        lanes_store_i(tile->more[j], lanes_mul_i(pair, centre)); // at most 16 * 63 in each half
    }
}

static void unpack_scales(const struct unpacking *u, const uint8_t *bytes, size_t n, struct tile *tile)
{
    lanes_i32 four = lanes_set_i(15);
    if (u->format->packing->head == SC_HEAD_D_SCALES)
        for (size_t g = 0; g < n; g++) lanes_store_i(tile->scale[g], lanes_load_s8(bytes + g * SC_LANES));
    if (u->format->packing->head != SC_HEAD_DM_NIBBLES) return;
    for (size_t g = 0; g < n; g += 2) {
        lanes_i32 a = lanes_load_u8(bytes + g * SC_LANES), b = lanes_load_u8(bytes + (g + 1) * SC_LANES);
        lanes_store_i(tile->scale[g], lanes_and_i(a, four));
        lanes_store_i(tile->scale[g + 1], lanes_and_i(b, four));
        lanes_store_i(tile->mins[g / 2], pair_of(lanes_shr_i(a, 4), lanes_shr_i(b, 4)));
    }
}

static void unpack_head(const struct unpacking *u, const uint8_t *packed, size_t n, const struct sc_tile_layout *layout,
                        struct tile *tile)
{
    size_t n_blocks = n / u->format->block_size;
    if (layout->d_bytes == 1) unpack_exponents(packed, n_blocks * SC_LANES, tile->d[0]);
    else
        for (size_t b = 0; b < n_blocks; b++) lanes_store(tile->d[b], lanes_load_f16(packed + b * SC_LANES * 2));
    for (size_t b = 0; b < n_blocks && u->format->has_min; b++)
        lanes_store(tile->m[b], lanes_load_f16(packed + layout->m_offset + b * SC_LANES * 2));
    if (u->format->packing->head == SC_HEAD_DM_SIX_BITS) unpack_six_bits(u, packed + layout->scales_offset, tile);
    else unpack_scales(u, packed + layout->scales_offset, layout->n_scale_bytes, tile);
}

#endif
