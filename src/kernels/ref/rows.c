// Kernels over one row of activations: quantization, norms, rotary embedding, activations, sums.
#include "kernels/ref/ref.h"

#include "kernels/ref/elementary.h"
#include "kernels/ref/sum.h"

void SC_REF(finish)(float *y, size_t n, float a, float b, const float *bias)
{
    if (a != 1.0f)
        for (size_t i = 0; i < n; i++) y[i] = y[i] * a;
    if (b != 1.0f)
        for (size_t i = 0; i < n; i++) y[i] = y[i] * b;
    if (bias)
        for (size_t i = 0; i < n; i++) y[i] = y[i] + bias[i];
}

// The greatest magnitude, compared as bits: infinity stands above all numbers, and not-a-number above infinity.
static uint32_t segment_amax(const float *x, size_t n)
{
    uint32_t amax = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t a = sc_bits_of_f32(x[i]) & 0x7fffffffu;
        amax = a > amax ? a : amax;
    }
    return amax;
}

// One segment of one row: q[n] and the scale.
static float quantize_segment(const float *x, size_t n, int8_t q[SC_SEGMENT])
{
    const float shift = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number, ties to even
    uint32_t amax_bits = segment_amax(x, n);
    if (amax_bits >= 0x7f800000u) {
        // Not a number then, whatever it is multiplied by: it must reach the logits, where it is an error.
        for (size_t i = 0; i < n; i++) q[i] = 0;
        return sc_f32_of_bits(0x7fc00000u);
    }
    float amax = sc_f32_of_bits(amax_bits);
    float inverse = amax > 0.0f ? 127.0f / amax : 0.0f;
    // A segment so small that 127 / amax overflows counts as zero.
    if (inverse - inverse != 0.0f) inverse = amax = 0.0f;
    for (size_t i = 0; i < n; i++) {
        float t = x[i] * inverse + shift;
        q[i] = (int8_t)(sc_bits_of_f32(t) - sc_bits_of_f32(shift));
    }
    return amax / 127.0f;
}

static void put_segment(const struct sc_panel *out, size_t c, size_t start, size_t n, const int8_t q[SC_SEGMENT])
{
    char *to = (char *)out->q + (start / 4 * out->n + c) * 4;
    for (size_t i = 0; i < n; i += 4, to += 4 * out->n) __builtin_memcpy(to, q + i, 4);
    int16_t *sums = out->sums + start / 16 * out->n + c, *most = &out->most[start / SC_SEGMENT];
    if (c == 0) *most = 0;
    for (size_t i = 0; i + 16 <= n; i += 16, sums += out->n) {
        int32_t sum = 0, size = 0;
        for (size_t j = 0; j < 16; j++) sum += q[i + j];
        for (size_t j = 0; j < 16; j++) size += q[i + j] < 0 ? -q[i + j] : q[i + j];
        *sums = (int16_t)sum;
        if (size > *most) *most = (int16_t)size;
    }
}

void SC_REF(quantize)(const float *const *x, size_t k, const struct sc_panel *out)
{
    int8_t q[SC_SEGMENT + 4];
    for (size_t c = 0; c < out->n; c++)
        for (size_t start = 0; start < k; start += SC_SEGMENT) {
            size_t n = k - start < SC_SEGMENT ? k - start : SC_SEGMENT;
            out->d[start / SC_SEGMENT * out->n + c] = quantize_segment(x[c] + start, n, q);
            for (size_t i = n; i % 4; i++) q[i] = 0;
            put_segment(out, c, start, n, q);
        }
}

static float sum_of_squares(const float *x, size_t n)
{
    struct sc_tree tree = { .n = 0 };
    for (size_t start = 0; start < n; start += SC_SEGMENT) {
        size_t size = n - start < SC_SEGMENT ? n - start : SC_SEGMENT, i = 0;
        float lane[SC_LANES] = { 0 };
        for (; i + SC_LANES <= size; i += SC_LANES)
            for (size_t l = 0; l < SC_LANES; l++) lane[l] = __builtin_fmaf(x[start + i + l], x[start + i + l], lane[l]);
        for (size_t l = 0; i + l < size; l++) lane[l] = __builtin_fmaf(x[start + i + l], x[start + i + l], lane[l]);
        sc_tree_push(&tree, sc_fold_lanes(lane));
    }
    return sc_tree_total(&tree);
}

float SC_REF(norm)(const struct sc_norm *args)
{
    float mean = sum_of_squares(args->x, args->n) / (float)args->n;
    float r = 1.0f / __builtin_sqrtf(mean + args->eps);
    for (size_t i = 0; i < args->n; i++) args->y[i] = args->w ? args->x[i] * args->w[i] : args->x[i];
    if (args->apply)
        for (size_t i = 0; i < args->n; i++) args->y[i] = args->y[i] * r;
    return r;
}

void SC_REF(rope_angles)(const uint64_t *turns, size_t n_pairs, uint32_t position, float gain, float *cos, float *sin)
{
    for (size_t j = 0; j < n_pairs; j++) {
        sc_cos_sin(turns[j] * position, &cos[j], &sin[j]); // wraps: whole turns drop out exactly
        cos[j] = cos[j] * gain;
        sin[j] = sin[j] * gain;
    }
}

void SC_REF(rope)(const struct sc_rope *args)
{
    size_t step = args->halves ? 1 : 2, other = args->halves ? args->n_pairs : 1;
    for (size_t j = 0; j < args->n_pairs; j++) {
        float a = args->x[j * step], b = args->x[j * step + other];
        args->y[j * step] = __builtin_fmaf(a, args->cos[j], -(b * args->sin[j]));
        args->y[j * step + other] = __builtin_fmaf(a, args->sin[j], b * args->cos[j]);
    }
    for (size_t i = 2 * args->n_pairs; i < args->n; i++) args->y[i] = args->x[i];
}

// x * sigmoid(2 u) with u = sqrt(2 / pi) * (x + 0.044715 x^3): the tanh form of GELU (Hendrycks and Gimpel 2016).
static float gelu(float x)
{
    float u = x * __builtin_fmaf(0.044715f * x, x, 1.0f);
    return x * sc_sigmoid(0x1.988454p+0f * u); // 2 sqrt(2 / pi)
}

// gpt-oss: gate at most 7, up in [-7, 7], gate * sigmoid(1.702 gate) * (up + 1).
static float swiglu_oai(float gate, float up)
{
    gate = gate > 7.0f ? 7.0f : gate;
    up = up > 7.0f ? 7.0f : (up < -7.0f ? -7.0f : up);
    return gate * sc_sigmoid(1.702f * gate) * (up + 1.0f);
}

void SC_REF(glu)(enum sc_activation activation, const float *gate, const float *up, float *y, size_t n)
{
    if (activation == SC_SILU)
        for (size_t i = 0; i < n; i++) y[i] = gate[i] * sc_sigmoid(gate[i]) * up[i];
    else if (activation == SC_GELU)
        for (size_t i = 0; i < n; i++) y[i] = gelu(gate[i]) * up[i];
    else
        for (size_t i = 0; i < n; i++) y[i] = swiglu_oai(gate[i], up[i]);
}

void SC_REF(add)(const float *a, const float *b, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

void SC_REF(scale)(const float *x, float factor, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] * factor;
}

void SC_REF(softcap)(const float *x, float cap, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = cap * sc_tanh(x[i] / cap);
}

void SC_REF(weigh)(const float *x, float max, float factor, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = sc_exp((x[i] - max) * factor);
}

void SC_REF(expert_sum)(const float *x, size_t stride, const float *weights, size_t n_used, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = weights[0] * x[i];
    for (size_t e = 1; e < n_used; e++)
        for (size_t i = 0; i < n; i++) y[i] = __builtin_fmaf(weights[e], x[e * stride + i], y[i]);
}
