// A tile of packed weights (tensor/packed.h) made ready for multiplication: the numbers of an element's 16 rows side by
// side as signed bytes, heads as numbers.
//
// In packed vectors a lane has the four bytes of its quad together. They are taken apart first, so that byte j of 16
// lanes lies at j * 16: narrowing shifts of 32-bit lanes do that on any machine; loads of segments (vlseg4e8) are
// one instruction but take a step for each byte on many.
#ifndef SC_KERNELS_RISCV_RVV_TILE_H
#define SC_KERNELS_RISCV_RVV_TILE_H

#include "kernels/riscv/rvv/vectors.h"
#include "tensor/half.h"
#include "tensor/packed.h"

enum { TILE_BLOCKS = SC_SEGMENT / 32, TILE_GROUPS = SC_SEGMENT / 16 };
enum { VECTOR = 64, BLOCK_QUADS = 8 };

struct tile {
    _Alignas(64) int8_t q[SC_SEGMENT][SC_LANES];
    _Alignas(64) float d[TILE_BLOCKS][SC_LANES];
    _Alignas(64) float m[TILE_BLOCKS][SC_LANES];
    _Alignas(64) int16_t scale[TILE_GROUPS][SC_LANES];
    _Alignas(64) int16_t min[TILE_GROUPS][SC_LANES];
};

VECTOR_INLINE vuint8m4_t load_vector(const uint8_t *x) { return __riscv_vle8_v_u8m4(x, VECTOR); }
VECTOR_INLINE vuint8m4_t and_vector(vuint8m4_t x, uint8_t y) { return __riscv_vand_vx_u8m4(x, y, VECTOR); }
VECTOR_INLINE vuint8m4_t or_vector(vuint8m4_t x, vuint8m4_t y) { return __riscv_vor_vv_u8m4(x, y, VECTOR); }
VECTOR_INLINE vuint8m4_t shr_vector(vuint8m4_t x, size_t n) { return __riscv_vsrl_vx_u8m4(x, n, VECTOR); }
// Bit `from` of every byte moved to bit `to`, and what lies beside it; mask afterwards.
VECTOR_INLINE vuint8m4_t move_bits(vuint8m4_t x, size_t from, size_t to)
{
    return to >= from ? __riscv_vsll_vx_u8m4(x, to - from, VECTOR) : shr_vector(x, from - to);
}

// Byte j of lane r from r * 4 + j to j * 16 + r.
VECTOR_INLINE void take_apart(const uint8_t *from, uint8_t *to)
{
    vuint32m4_t words = __riscv_vreinterpret_v_u8m4_u32m4(load_vector(from));
    vuint16m2_t low = __riscv_vnsrl_wx_u16m2(words, 0, SC_LANES), high = __riscv_vnsrl_wx_u16m2(words, 16, SC_LANES);
    __riscv_vse8_v_u8m1(to, __riscv_vnsrl_wx_u8m1(low, 0, SC_LANES), SC_LANES);
    __riscv_vse8_v_u8m1(to + SC_LANES, __riscv_vnsrl_wx_u8m1(low, 8, SC_LANES), SC_LANES);
    __riscv_vse8_v_u8m1(to + 2 * SC_LANES, __riscv_vnsrl_wx_u8m1(high, 0, SC_LANES), SC_LANES);
    __riscv_vse8_v_u8m1(to + 3 * SC_LANES, __riscv_vnsrl_wx_u8m1(high, 8, SC_LANES), SC_LANES);
}

VECTOR_INLINE void put_quad(int8_t *to, vuint8m4_t codes, uint8_t offset)
{
    __riscv_vse8_v_u8m4((uint8_t *)to, __riscv_vsub_vx_u8m4(codes, offset, VECTOR), VECTOR);
}

// 32 codes of 4, 5 or 6 bits from vectors taken apart.
VECTOR_INLINE void unpack_nibbles(int bits, const uint8_t *codes, uint8_t offset, int8_t (*to)[SC_LANES])
{
    vuint8m4_t high = load_vector(codes + (bits > 4 ? 4 : 0) * VECTOR);
    for (size_t half = 0; half < 2; half++) {
        if (bits == 6) high = load_vector(codes + (4 + half) * VECTOR);
        for (size_t t = 0; t < 4; t++) {
            vuint8m4_t low = load_vector(codes + t * VECTOR);
            low = half ? shr_vector(low, 4) : and_vector(low, 0x0f);
            if (bits == 5) low = or_vector(low, and_vector(move_bits(high, 4 * half + t, 4), 0x10));
            if (bits == 6) low = or_vector(low, and_vector(move_bits(high, 2 * t, 4), 0x30));
            put_quad(to[(4 * half + t) * 4], low, offset);
        }
    }
}

// 32 codes of 2 or 3 bits.
VECTOR_INLINE void unpack_pairs(int bits, const uint8_t *codes, uint8_t offset, int8_t (*to)[SC_LANES])
{
    vuint8m4_t high = load_vector(codes + (bits == 3 ? 2 : 0) * VECTOR);
    for (size_t half = 0; half < 2; half++) {
        vuint8m4_t pairs = load_vector(codes + half * VECTOR);
        for (size_t t = 0; t < 4; t++) {
            vuint8m4_t low = and_vector(shr_vector(pairs, 2 * t), 3);
            if (bits == 3) low = or_vector(low, and_vector(move_bits(high, 4 * half + t, 2), 4));
            put_quad(to[(4 * half + t) * 4], low, offset);
        }
    }
}

static void unpack_codes(const struct sc_packing *packing, const uint8_t *codes, size_t n, struct tile *tile)
{
    _Alignas(64) uint8_t apart[6 * VECTOR];
    uint8_t bits = packing->bits, offset = (uint8_t)packing->offset;
    for (size_t i = 0; i < n; i += 32, codes += bits * VECTOR) {
        int8_t(*to)[SC_LANES] = tile->q + i;
        uint8_t *out = bits == 8 ? (uint8_t *)to : apart;
        for (size_t v = 0; v < bits; v++) take_apart(codes + v * VECTOR, out + v * VECTOR);
        if (bits == 4) unpack_nibbles(4, apart, offset, to);
        else if (bits == 5) unpack_nibbles(5, apart, offset, to);
        else if (bits == 6) unpack_nibbles(6, apart, offset, to);
        else if (bits == 2) unpack_pairs(2, apart, offset, to);
        else if (bits == 3) unpack_pairs(3, apart, offset, to);
    }
    if (!packing->codebook) return;
    vint8m1_t book = load_i8(packing->codebook);
    for (size_t i = 0; i < n; i++) {
        vuint8m1_t place = __riscv_vle8_v_u8m1((uint8_t *)tile->q[i], SC_LANES);
        __riscv_vse8_v_i8m1(tile->q[i], __riscv_vrgather_vv_i8m1(book, place, SC_LANES), SC_LANES);
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

VECTOR_INLINE vuint8m1_t load_u8(const uint8_t *x) { return __riscv_vle8_v_u8m1(x, SC_LANES); }
VECTOR_INLINE vuint8m1_t shr_u8(vuint8m1_t x, size_t n) { return __riscv_vsrl_vx_u8m1(x, n, SC_LANES); }
VECTOR_INLINE vuint8m1_t and_u8(vuint8m1_t x, uint8_t y) { return __riscv_vand_vx_u8m1(x, y, SC_LANES); }
VECTOR_INLINE void put_u8(int16_t *to, vuint8m1_t x)
{
    __riscv_vse16_v_u16m2((uint16_t *)to, __riscv_vzext_vf2_u16m2(x, SC_LANES), SC_LANES);
}
// Bits 4 and 5 from the upper two of `high`.
VECTOR_INLINE vuint8m1_t six_bits(vuint8m1_t low, vuint8m1_t high)
{
    return __riscv_vor_vv_u8m1(low, and_u8(shr_u8(high, 2), 0x30), SC_LANES);
}

// The packing of twelve bytes is drawn at sc_unpack_six_bits (tensor/parts.h).
static void unpack_six_bits(const uint8_t *bytes, struct tile *tile)
{
    for (size_t j = 0; j < 4; j++) {
        vuint8m1_t a = load_u8(bytes + j * SC_LANES), b = load_u8(bytes + (4 + j) * SC_LANES);
        vuint8m1_t c = load_u8(bytes + (8 + j) * SC_LANES);
        put_u8(tile->scale[j], and_u8(a, 63));
        put_u8(tile->scale[4 + j], six_bits(and_u8(c, 15), a));
        put_u8(tile->min[j], and_u8(b, 63));
        put_u8(tile->min[4 + j], six_bits(shr_u8(c, 4), b));
    }
}

static void unpack_scales(enum sc_head head, const uint8_t *bytes, size_t n, struct tile *tile)
{
    if (head == SC_HEAD_DM_SIX_BITS) unpack_six_bits(bytes, tile);
    for (size_t g = 0; g < n && head == SC_HEAD_D_SCALES; g++) {
        vint8m1_t scale = load_i8((const int8_t *)bytes + g * SC_LANES);
        __riscv_vse16_v_i16m2(tile->scale[g], __riscv_vsext_vf2_i16m2(scale, SC_LANES), SC_LANES);
    }
    for (size_t g = 0; g < n && head == SC_HEAD_DM_NIBBLES; g++) {
        vuint8m1_t both = load_u8(bytes + g * SC_LANES);
        put_u8(tile->scale[g], and_u8(both, 15));
        put_u8(tile->min[g], shr_u8(both, 4));
    }
}

static void unpack_tile(const struct sc_format *format, const uint8_t *packed, size_t n,
                        const struct sc_tile_layout *layout, struct tile *tile)
{
    size_t n_blocks = n / format->block_size;
    if (layout->d_bytes == 1) unpack_exponents(packed, n_blocks * SC_LANES, tile->d[0]);
    else
        for (size_t b = 0; b < n_blocks; b++) store_f32(tile->d[b], load_f16(packed + b * SC_LANES * 2));
    for (size_t b = 0; b < n_blocks && format->has_min; b++)
        store_f32(tile->m[b], load_f16(packed + layout->m_offset + b * SC_LANES * 2));
    unpack_scales(format->packing->head, packed + layout->scales_offset, layout->n_scale_bytes, tile);
    unpack_codes(format->packing, packed + layout->head_bytes, n, tile);
}

#endif
