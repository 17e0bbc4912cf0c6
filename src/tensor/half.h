// f16 and bf16 to f32, and f32 to f16: the stated integer rules, without branches, so that loops over them vectorize.
//
//     f16   s eeeee mmmmmmmmmm               (-1)^s * 2^(e-15)  * 1.m;   e = 0: 2^-14 * 0.m;   e = 31: infinity, NaN
//     bf16  s eeeeeeee mmmmmmm               the upper half of an f32
//     f32   s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm
//
// The results are those of IEEE 754-2019, section 5.4.2 (convertFormat, roundTiesToEven); a NaN keeps its sign and
// the upper bits of its payload, and becomes quiet on the way to f16. No step depends on the processor's
// flush-to-zero or denormals-are-zero modes.
#ifndef SC_TENSOR_HALF_H
#define SC_TENSOR_HALF_H

#include <stdint.h>
#include <string.h>

static inline float sc_f32_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t sc_bits_of_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float sc_half_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = (uint32_t)(half & 0x7fffu) << 13;
    uint32_t normal = magnitude + ((127u - 15u) << 23);
    uint32_t special = magnitude | 0x7f800000u;
    // A subnormal's bits under the exponent of 2^-14, less 2^-14: exact, and no f32 subnormal on the way.
    uint32_t subnormal = sc_bits_of_f32(sc_f32_of_bits(magnitude + (113u << 23)) - 0x1p-14f);
    // Masks rather than choices: compilers turn those into branches, and then do not vectorize.
    uint32_t is_subnormal = 0u - (uint32_t)(magnitude < 0x00800000u);
    uint32_t is_special = 0u - (uint32_t)(magnitude >= 0x0f800000u);
    uint32_t bits = (normal & ~is_subnormal & ~is_special) | (subnormal & is_subnormal) | (special & is_special);
    return sc_f32_of_bits(sign | bits);
}

static inline uint16_t sc_half_from_f32(float value)
{
    uint32_t bits = sc_bits_of_f32(value);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    // Half a unit of f16 less the tie, plus the last kept bit: rounds to nearest even, and carries into the exponent.
    uint32_t normal = (magnitude - ((127u - 15u) << 23) + 0x0fffu + ((magnitude >> 13) & 1u)) >> 13;
    // In [0.5, 1) an f32's last bit is worth 2^-24, a subnormal f16's last bit: the addition rounds.
    uint32_t subnormal = sc_bits_of_f32(sc_f32_of_bits(magnitude) + 0.5f) - 0x3f000000u;
    uint32_t nan = 0x7e00u | ((magnitude >> 13) & 0x03ffu);
    uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
    half = magnitude >= 0x47800000u ? 0x7c00u : half; // 65536 and above, infinity
    half = magnitude > 0x7f800000u ? nan : half;
    return (uint16_t)(sign | half);
}

static inline float sc_bf16_to_f32(uint16_t bits) { return sc_f32_of_bits((uint32_t)bits << 16); }

static inline uint16_t sc_f32_to_bf16(float value)
{
    uint32_t bits = sc_bits_of_f32(value);
    uint32_t is_nan = 0u - (uint32_t)((bits & 0x7fffffffu) > 0x7f800000u);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
    return (uint16_t)((rounded & ~is_nan) | (quiet & is_nan));
}

#endif
