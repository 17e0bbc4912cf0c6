// Hashes of the parts that logits are made of: elementary functions over a sweep of all floats, decoded blocks, draws.
// Not-a-number counts as one value, since its payload is no part of the contract.
#include "golden.h"

#include <stdio.h>

#include "base/size.h"
#include "base/random.h"
#include "kernels/elementary64.h"
#include "kernels/ref/elementary.h"
#include "tensor/half.h"

static uint64_t add(uint64_t hash, float x) { return golden_hash_word(hash, x != x ? 0x7fc00000u : sc_bits_of_f32(x)); }

static uint64_t add64(uint64_t hash, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x) bits = UINT64_C(0x7ff8) << 48;
    return golden_hash_word(golden_hash_word(hash, (uint32_t)bits), (uint32_t)(bits >> 32));
}

static float exp32(float x) { return sc_exp(x); }
static float tanh32(float x) { return sc_tanh(x); }
static float sigmoid32(float x) { return sc_sigmoid(x); }
static float through_f16(float x) { return sc_half_to_f32(sc_half_from_f32(x)); }

// Over every 49999th float: all exponents, both signs, infinities and not-a-number.
static uint64_t sweep(size_t which)
{
    static float (*const functions[])(float) = { exp32, tanh32, sigmoid32, through_f16 };
    uint64_t hash = golden_hash_start;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 49999)
        hash = add(hash, functions[which](sc_f32_of_bits((uint32_t)bits)));
    return hash;
}

static uint64_t cos_sin(size_t argument)
{
    (void)argument;
    uint64_t hash = golden_hash_start;
    for (uint64_t i = 0; i < 20000; i++) {
        float c, s;
        sc_cos_sin(i < 64 ? i << 58 : golden_random(1, i), &c, &s);
        hash = add(add(hash, c), s);
    }
    return hash;
}

static uint64_t binary64(size_t argument)
{
    (void)argument;
    uint64_t hash = golden_hash_start;
    for (uint64_t i = 0; i < 10000; i++) {
        double fraction = (double)(golden_random(2, i) >> 11) * 0x1p-53;
        hash = add64(hash, sc_exp64(1420.0 * fraction - 710.0));
        hash = add64(hash, sc_log64(fraction * (i % 2 ? 1.0 : 1e9)));
        hash = add64(hash, sc_pow64(1.0 + 1e6 * fraction, -(double)i / 10000));
    }
    return hash;
}

static uint64_t all_halves(size_t argument)
{
    (void)argument;
    uint64_t hash = golden_hash_start;
    for (uint32_t bits = 0; bits <= UINT16_MAX; bits++) hash = add(hash, sc_half_to_f32((uint16_t)bits));
    return hash;
}

static uint64_t draws(size_t argument)
{
    (void)argument;
    uint64_t hash = golden_hash_start;
    for (uint64_t i = 0; i < 1000; i++)
        hash = add64(hash, sc_random_uniform(i * i * i, i << (i % 40), SC_RANDOM_SAMPLE));
    return hash;
}

static uint64_t decode(size_t format_index)
{
    const struct sc_format *format = sc_format_at(format_index);
    uint64_t hash = golden_hash_start;
    uint8_t bytes[1024];
    float values[SC_BLOCK_MAX];
    for (uint64_t b = 0; b < 200; b++) {
        for (size_t i = 0; i < format->block_bytes; i++) bytes[i] = (uint8_t)golden_random(b, i);
        format->decode(bytes, values, 1);
        for (size_t i = 0; i < format->block_size; i++) hash = add(hash, values[i]);
    }
    return hash;
}

bool golden_function_at(size_t i, struct golden_function *out, char name[64])
{
    static const struct golden_function functions[] = {
        { "functions/exp", sweep, 0 },      { "functions/tanh", sweep, 1 },       { "functions/sigmoid", sweep, 2 },
        { "functions/to_f16", sweep, 3 },   { "functions/from_f16", all_halves }, { "functions/cos_sin", cos_sin },
        { "functions/binary64", binary64 }, { "functions/random", draws },
    };
    if (i < SC_COUNT(functions)) {
        *out = functions[i];
        return true;
    }
    const struct sc_format *format = sc_format_at(i - SC_COUNT(functions));
    if (!format) return false;
    snprintf(name, 64, "decode/%s", format->name);
    *out = (struct golden_function){ name, decode, i - SC_COUNT(functions) };
    return true;
}
