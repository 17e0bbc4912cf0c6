// What several formats share: little-endian loads and stores at any address, the step from integers to floats, the
// packed 6-bit scales of Q4_K and Q5_K, the codebook of IQ4_NL and IQ4_XS. Included by the formats' own files only.
//
// A format's file says how the bits of a block become integers (unpack). How integers become floats is the same for
// all of them and said once, here (sc_block_expand).
#ifndef SC_TENSOR_PARTS_H
#define SC_TENSOR_PARTS_H

#include <string.h>

#include "tensor/format.h"
#include "tensor/half.h"
#include "tensor/packed.h"
#include "tensor/search.h"

#define SC_FORMAT(format) extern const struct sc_format format;
#include "tensor/formats.h"
#undef SC_FORMAT

static inline uint16_t sc_load_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap16(value) : value;
}

static inline uint32_t sc_load_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap32(value) : value;
}

static inline void sc_store_u16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static inline void sc_store_u32(uint8_t *bytes, uint32_t value)
{
    sc_store_u16(bytes, (uint16_t)value);
    sc_store_u16(bytes + 2, (uint16_t)(value >> 16));
}

static inline float sc_load_f16(const uint8_t *bytes) { return sc_half_to_f32(sc_load_u16(bytes)); }

// The floats of a block of n elements in groups of `group`: (d * scale) * q, or (d * scale) * q + (m * min), each
// operation rounded. Callers pass constants, so that this becomes straight vector code.
static inline void sc_block_expand(const struct sc_block *restrict block, size_t n, size_t group, bool has_min,
                                   float *restrict out)
{
    for (size_t g = 0; g < n / group; g++) {
        float d = block->d * (float)block->scale[g];
        float m = has_min ? block->m * (float)block->min[g] : 0.0f;
        const int8_t *q = block->q + g * group;
        float *to = out + g * group;
        if (has_min)
            for (size_t i = 0; i < group; i++) to[i] = d * (float)q[i] + m;
        else
            for (size_t i = 0; i < group; i++) to[i] = d * (float)q[i];
    }
}

// 16 bytes as 32 numbers of four bits: the low halves first, then the high halves.
static inline void sc_unpack_nibbles(const uint8_t *restrict packed, uint8_t *restrict out)
{
    for (size_t i = 0; i < 16; i++) out[i] = packed[i] & 15;
    for (size_t i = 0; i < 16; i++) out[16 + i] = packed[i] >> 4;
}

// Numbers in the place of their codes.
static inline void sc_look_up(int8_t *q, size_t n, const int8_t codebook[16])
{
    for (size_t i = 0; i < n; i++) q[i] = codebook[q[i]];
}

// The way back.
static inline void sc_pack_nibbles(const int8_t *restrict q, uint8_t *restrict packed)
{
    for (size_t i = 0; i < 16; i++) packed[i] = (uint8_t)((q[i] & 15) | (q[16 + i] & 15) << 4);
}

// The fifth bits of 32 numbers: bit i is that of number i.
static inline uint32_t sc_pack_fifth_bits(const int8_t *q)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < 32; i++) bits |= (uint32_t)(q[i] >> 4 & 1) << i;
    return bits;
}

// The 64 bytes of a 256-block's two-bit numbers: in each half of 128, byte l holds elements l, 32+l, 64+l, 96+l,
// the first in its lowest bits.
static inline void sc_unpack_two_bits(const uint8_t *restrict packed, uint8_t *restrict out)
{
    for (size_t half = 0; half < 2; half++, packed += 32, out += 128)
        for (size_t l = 0; l < 32; l++) { // shifts by constants, so that compilers vectorize this
            out[l] = packed[l] & 3;
            out[32 + l] = packed[l] >> 2 & 3;
            out[64 + l] = packed[l] >> 4 & 3;
            out[96 + l] = packed[l] >> 6;
        }
}

// The fifth bits of Q5_0 and Q5_1: bit i of `bits` becomes out[i], 16 or 0. Eight at a time: a byte is copied eight
// times, copy j keeps its bit j, and adding 127 carries whatever is left into the copy's highest bit.
static inline void sc_unpack_fifth_bits(uint32_t bits, uint8_t *restrict out)
{
    for (size_t i = 0; i < 32; i += 8, bits >>= 8) {
        uint64_t x = (bits & 255) * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
        x = (x + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 3 & UINT64_C(0x1010101010101010);
        if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) x = __builtin_bswap64(x);
        memcpy(out + i, &x, sizeof x);
    }
}

// The 12 bytes of eight 6-bit scales and eight 6-bit mins of Q4_K and Q5_K, for j in 0..3, high bits left:
//     byte j      | scale[4+j]: upper two | scale[j]: all six      |
//     byte 4 + j  | min[4+j]: upper two   | min[j]: all six        |
//     byte 8 + j  | min[4+j]: lower four  | scale[4+j]: lower four |
static inline void sc_unpack_six_bits(const uint8_t *restrict packed, int16_t *restrict scale, int16_t *restrict min)
{
    for (size_t j = 0; j < 4; j++) {
        scale[j] = packed[j] & 63;
        min[j] = packed[4 + j] & 63;
        scale[4 + j] = (int16_t)((packed[8 + j] & 15) | (packed[j] >> 6 << 4));
        min[4 + j] = (int16_t)((packed[8 + j] >> 4) | (packed[4 + j] >> 6 << 4));
    }
}

// The way back, from whole numbers in 0..63.
static inline void sc_pack_six_bits(const float *restrict scale, const float *restrict min, uint8_t *restrict packed)
{
    for (size_t j = 0; j < 4; j++) {
        uint32_t s0 = (uint32_t)scale[j], s1 = (uint32_t)scale[4 + j], m0 = (uint32_t)min[j], m1 = (uint32_t)min[4 + j];
        packed[j] = (uint8_t)(s0 | s1 >> 4 << 6);
        packed[4 + j] = (uint8_t)(m0 | m1 >> 4 << 6);
        packed[8 + j] = (uint8_t)((s1 & 15) | (m1 & 15) << 4);
    }
}

// Byte i of the twelve.
static inline uint8_t sc_six_bits_byte(const int16_t *scale, const int16_t *min, size_t i)
{
    size_t j = i % 4;
    if (i < 4) return (uint8_t)(scale[j] | scale[4 + j] >> 4 << 6);
    if (i < 8) return (uint8_t)(min[j] | min[4 + j] >> 4 << 6);
    return (uint8_t)((scale[4 + j] & 15) | (min[4 + j] & 15) << 4);
}

// 2^(e - 128), MXFP4's scale halved; subnormal for e of 0 and 1.
static inline float sc_exponent_to_f32(uint32_t e)
{
    uint32_t normal = (e - 1) << 23, subnormal = 0x00200000u << (e & 1);
    return sc_f32_of_bits(e < 2 ? subnormal : normal);
}

// The sixteen values of the 4-bit non-linear formats, denser around zero (ggml's kvalues_iq4nl).
static const int8_t sc_iq4_codebook[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };

#endif
