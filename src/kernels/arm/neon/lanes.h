// Sixteen lanes in four NEON registers. The words of this vocabulary are told in kernels/lanes/README.md.
#ifndef SC_KERNELS_ARM_NEON_LANES_H
#define SC_KERNELS_ARM_NEON_LANES_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

// v[i] has lanes 4i to 4i + 3.
typedef struct {
    float32x4_t v[4];
} lanes_f32;
typedef struct {
    int32x4_t v[4];
} lanes_i32;
typedef struct {
    uint8x16_t v[4]; // 64 bytes, four for each lane
} lanes_bytes;

enum {
    LANES_COLUMNS = 4,
    LANES_COLUMNS_FLOAT = 4,
    LANES_GEMM_GROUPS = 1,
    LANES_GEMM_COLUMNS = 6,
    LANES_QUERIES = 4,
    LANES_ROW_QUERIES = 2,
    LANES_WIDTH = 32
};

#define LANES_EACH _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)

// ---- f32
static inline lanes_f32 lanes_set(float x)
{
    lanes_f32 y;
    LANES_EACH y.v[i] = vdupq_n_f32(x);
    return y;
}
static inline lanes_f32 lanes_zero(void) { return lanes_set(0.0f); }
static inline lanes_f32 lanes_load(const float *x)
{
    lanes_f32 y;
    LANES_EACH y.v[i] = vld1q_f32(x + 4 * i);
    return y;
}
static inline void lanes_store(float *y, lanes_f32 x)
{
    LANES_EACH vst1q_f32(y + 4 * i, x.v[i]);
}
static inline lanes_f32 lanes_add(lanes_f32 a, lanes_f32 b)
{
    LANES_EACH a.v[i] = vaddq_f32(a.v[i], b.v[i]);
    return a;
}
static inline lanes_f32 lanes_mul(lanes_f32 a, lanes_f32 b)
{
    LANES_EACH a.v[i] = vmulq_f32(a.v[i], b.v[i]);
    return a;
}
// a > b ? a : b in each lane
static inline lanes_f32 lanes_max(lanes_f32 a, lanes_f32 b)
{
    LANES_EACH a.v[i] = vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]);
    return a;
}
static inline lanes_f32 lanes_fma(lanes_f32 a, lanes_f32 b, lanes_f32 c)
{
    LANES_EACH c.v[i] = vfmaq_f32(c.v[i], a.v[i], b.v[i]);
    return c;
}
static inline lanes_f32 lanes_of_i32(lanes_i32 x)
{
    lanes_f32 y;
    LANES_EACH y.v[i] = vcvtq_f32_s32(x.v[i]);
    return y;
}
static inline lanes_f32 lanes_load_f16(const void *x)
{
    lanes_f32 y;
    LANES_EACH y.v[i] = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8((const uint8_t *)x + 8 * i)));
    return y;
}
static inline lanes_f32 lanes_load_bf16(const void *x)
{
    lanes_f32 y;
    LANES_EACH y.v[i] =
        vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8((const uint8_t *)x + 8 * i)), 16));
    return y;
}

// ---- int32
static inline lanes_i32 lanes_set_i(int32_t x)
{
    lanes_i32 y;
    LANES_EACH y.v[i] = vdupq_n_s32(x);
    return y;
}
static inline lanes_i32 lanes_load_i(const int32_t *x)
{
    lanes_i32 y;
    LANES_EACH y.v[i] = vld1q_s32(x + 4 * i);
    return y;
}
static inline void lanes_store_i(int32_t *y, lanes_i32 x)
{
    LANES_EACH vst1q_s32(y + 4 * i, x.v[i]);
}
static inline lanes_i32 lanes_add_i(lanes_i32 a, lanes_i32 b)
{
    LANES_EACH a.v[i] = vaddq_s32(a.v[i], b.v[i]);
    return a;
}
static inline lanes_i32 lanes_mul_i(lanes_i32 a, lanes_i32 b)
{
    LANES_EACH a.v[i] = vmulq_s32(a.v[i], b.v[i]);
    return a;
}
static inline lanes_i32 lanes_and_i(lanes_i32 a, lanes_i32 b)
{
    LANES_EACH a.v[i] = vandq_s32(a.v[i], b.v[i]);
    return a;
}
static inline lanes_i32 lanes_or_i(lanes_i32 a, lanes_i32 b)
{
    LANES_EACH a.v[i] = vorrq_s32(a.v[i], b.v[i]);
    return a;
}
static inline lanes_i32 lanes_shl_i(lanes_i32 a, int n)
{
    LANES_EACH a.v[i] = vshlq_s32(a.v[i], vdupq_n_s32(n));
    return a;
}
static inline lanes_i32 lanes_shr_i(lanes_i32 a, int n)
{
    LANES_EACH a.v[i] =
        vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a.v[i]), vdupq_n_s32(-n)));
    return a;
}
static inline lanes_i32 lanes_load_s8(const void *x)
{
    int8x16_t bytes = vld1q_s8(x);
    int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    return (lanes_i32){ { vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)),
                          vmovl_high_s16(high) } };
}
static inline lanes_i32 lanes_load_u8(const void *x)
{
    uint8x16_t bytes = vld1q_u8(x);
    uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    return (lanes_i32){ { vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))),
                          vreinterpretq_s32_u32(vmovl_high_u16(low)),
                          vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))),
                          vreinterpretq_s32_u32(vmovl_high_u16(high)) } };
}

// ---- bytes
static inline lanes_bytes lanes_load_bytes(const void *x)
{
    lanes_bytes y;
    LANES_EACH y.v[i] = vld1q_u8((const uint8_t *)x + 16 * i);
    return y;
}
static inline void lanes_store_bytes(void *y, lanes_bytes x)
{
    LANES_EACH vst1q_u8((uint8_t *)y + 16 * i, x.v[i]);
}
static inline lanes_bytes lanes_and_bytes(lanes_bytes a, uint8_t b)
{
    LANES_EACH a.v[i] = vandq_u8(a.v[i], vdupq_n_u8(b));
    return a;
}
static inline lanes_bytes lanes_or_bytes(lanes_bytes a, lanes_bytes b)
{
    LANES_EACH a.v[i] = vorrq_u8(a.v[i], b.v[i]);
    return a;
}
static inline lanes_bytes lanes_add_bytes(lanes_bytes a, uint8_t b)
{
    LANES_EACH a.v[i] = vaddq_u8(a.v[i], vdupq_n_u8(b));
    return a;
}
static inline lanes_bytes lanes_shl_bytes(lanes_bytes a, int n)
{
    LANES_EACH a.v[i] = vshlq_u8(a.v[i], vdupq_n_s8((int8_t)n));
    return a;
}
static inline lanes_bytes lanes_shr_bytes(lanes_bytes a, int n)
{
    LANES_EACH a.v[i] = vshlq_u8(a.v[i], vdupq_n_s8((int8_t)-n));
    return a;
}
static inline lanes_bytes lanes_look_up(const int8_t table[16], lanes_bytes place)
{
    uint8x16_t values = vreinterpretq_u8_s8(vld1q_s8(table));
    LANES_EACH place.v[i] = vqtbl1q_u8(values, place.v[i]);
    return place;
}

// Four bytes from any address, in every lane.
static inline int8x16_t lanes_four_bytes(const void *x)
{
    int32_t value;
    __builtin_memcpy(&value, x, sizeof value);
    return vreinterpretq_s8_s32(vdupq_n_s32(value));
}

// acc + the sum of each lane's two int16 times the two int16 at x.
static inline lanes_i32 lanes_dot2(lanes_i32 acc, lanes_i32 w, const int16_t *x)
{
    int16x8_t pair = vreinterpretq_s16_s8(lanes_four_bytes(x));
    LANES_EACH
    {
        int16x8_t both = vreinterpretq_s16_s32(w.v[i]);
        int32x4_t low = vmull_s16(vget_low_s16(both), vget_low_s16(pair)), high = vmull_high_s16(both, pair);
        acc.v[i] = vaddq_s32(acc.v[i], vpaddq_s32(low, high));
    }
    return acc;
}

// acc + s * scale
static inline lanes_i32 lanes_mac(lanes_i32 acc, lanes_i32 s, lanes_i32 scale)
{
    LANES_EACH acc.v[i] = vmlaq_s32(acc.v[i], s.v[i], scale.v[i]);
    return acc;
}

#endif
