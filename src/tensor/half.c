// The half-precision conversions of format.h, for callers outside inner loops. The rules are in half.h.
#include "tensor/half.h"

#include "tensor/format.h"

float sc_f32_from_f16(uint16_t bits) { return sc_half_to_f32(bits); }
uint16_t sc_f16_from_f32(float value) { return sc_half_from_f32(value); }
float sc_f32_from_bf16(uint16_t bits) { return sc_bf16_to_f32(bits); }
uint16_t sc_bf16_from_f32(float value) { return sc_f32_to_bf16(value); }
