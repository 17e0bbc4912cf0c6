// Adjoints over one row, the loss and the optimizer's step: what training adds to rows.c (docs/training.md).
#include "kernels/ref/ref.h"

#include "kernels/ref/elementary.h"
#include "kernels/ref/sum.h"

float SC_REF(dot)(const float *x, const float *y, size_t n)
{
    struct sc_tree tree = { .n = 0 };
    for (size_t start = 0; start < n; start += SC_SEGMENT) {
        size_t size = n - start < SC_SEGMENT ? n - start : SC_SEGMENT, i = 0;
        const float *a = x + start, *b = y + start;
        float lane[SC_LANES] = { 0 };
        for (; i + SC_LANES <= size; i += SC_LANES)
            for (size_t l = 0; l < SC_LANES; l++) lane[l] = __builtin_fmaf(a[i + l], b[i + l], lane[l]);
        for (size_t l = 0; i + l < size; l++) lane[l] = __builtin_fmaf(a[i + l], b[i + l], lane[l]);
        sc_tree_push(&tree, sc_fold_lanes(lane));
    }
    return sc_tree_total(&tree);
}

void SC_REF(norm_adjoint)(const float *x, const float *w, float r, const float *dy, float *dx, size_t n)
{
    for (size_t i = 0; i < n; i++) dx[i] = w ? dy[i] * w[i] : dy[i];
    float c = SC_REF(dot)(dx, x, n) * (r * r) / (float)n;
    for (size_t i = 0; i < n; i++) dx[i] = __builtin_fmaf(-x[i], c, dx[i]) * r;
}

// ---- activations; s' = s (1 - s) for the sigmoid s

static void silu_adjoint(const float *gate, const float *up, const float *dy, float *d_gate, float *d_up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float s = sc_sigmoid(gate[i]), a = gate[i] * s, d = dy[i] * up[i];
        d_up[i] = dy[i] * a;
        d_gate[i] = d * __builtin_fmaf(a, 1.0f - s, s);
    }
}

// gelu(x) = x sigmoid(c u), u = x (1 + 0.044715 x^2), u' = 1 + 3 * 0.044715 x^2
static void gelu_adjoint(const float *gate, const float *up, const float *dy, float *d_gate, float *d_up, size_t n)
{
    const float c = 0x1.988454p+0f;
    for (size_t i = 0; i < n; i++) {
        float x = gate[i], z = 0.044715f * x;
        float s = sc_sigmoid(c * (x * __builtin_fmaf(z, x, 1.0f))), a = x * s, d = dy[i] * up[i];
        float slope = c * __builtin_fmaf(3.0f * z, x, 1.0f);
        d_up[i] = dy[i] * a;
        d_gate[i] = d * __builtin_fmaf(a * (1.0f - s), slope, s);
    }
}

// Where gpt-oss cuts gate or up off, they have no influence.
static void oai_adjoint(const float *gate, const float *up, const float *dy, float *d_gate, float *d_up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float g = gate[i] > 7.0f ? 7.0f : gate[i], u = up[i] > 7.0f ? 7.0f : (up[i] < -7.0f ? -7.0f : up[i]);
        float s = sc_sigmoid(1.702f * g), a = g * s, d = dy[i] * (u + 1.0f);
        d_up[i] = up[i] > 7.0f || up[i] < -7.0f ? 0.0f : dy[i] * a;
        d_gate[i] = gate[i] > 7.0f ? 0.0f : d * __builtin_fmaf(a * (1.0f - s), 1.702f, s);
    }
}

void SC_REF(glu_adjoint)(enum sc_activation activation, const float *gate, const float *up, const float *dy,
                         float *d_gate, float *d_up, size_t n)
{
    if (activation == SC_SILU) silu_adjoint(gate, up, dy, d_gate, d_up, n);
    else if (activation == SC_GELU) gelu_adjoint(gate, up, dy, d_gate, d_up, n);
    else oai_adjoint(gate, up, dy, d_gate, d_up, n);
}

void SC_REF(softcap_adjoint)(const float *y, float cap, const float *dy, float *dx, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float t = y[i] / cap;
        dx[i] = dy[i] * __builtin_fmaf(-t, t, 1.0f);
    }
}

// ---- attention

// score[begin..end) from dot products to exp(score - max); returns 1 / their sum, that of a sink included, and the
// sink's own exponential.
static float exponentials(const struct sc_softmax_adjoint *args, float *of_sink)
{
    float *x = args->score + args->begin;
    size_t n = args->end - args->begin;
    for (size_t i = 0; i < n; i++) x[i] = x[i] * args->scale;
    if (args->softcap != 0.0f)
        for (size_t i = 0; i < n; i++) x[i] = args->softcap * sc_tanh(x[i] / args->softcap);
    float max, sum;
    if (args->softcap != 0.0f) // the slope of the cap, before the scores are gone
        for (size_t i = 0; i < n; i++) {
            float t = x[i] / args->softcap;
            args->d_share[args->begin + i] = args->d_share[args->begin + i] - args->mean;
            args->d_share[args->begin + i] = args->d_share[args->begin + i] * __builtin_fmaf(-t, t, 1.0f);
        }
    SC_REF(log_sum)(x, n, &max, &sum);
    float top = args->sink && *args->sink > max ? *args->sink : max;
    *of_sink = args->sink ? sc_exp(*args->sink - top) : 0.0f;
    float factor = top == max ? 1.0f : sc_exp(max - top);
    for (size_t i = 0; i < n; i++) x[i] = sc_exp(x[i] - top);
    return 1.0f / (sum * factor + *of_sink);
}

void SC_REF(softmax_adjoint)(const struct sc_softmax_adjoint *args)
{
    float of_sink, inverse = exponentials(args, &of_sink), *p = args->score, *d = args->d_share;
    for (size_t j = 0; j < args->begin; j++) p[j] = d[j] = 0.0f;
    for (size_t j = args->end; j < args->n; j++) p[j] = d[j] = 0.0f;
    float mean = args->softcap != 0.0f ? 0.0f : args->mean; // taken off already
    for (size_t j = args->begin; j < args->end; j++) {
        p[j] = p[j] * inverse;
        d[j] = p[j] * (d[j] - mean) * args->scale;
    }
    if (args->sink) *args->d_sink = *args->d_sink - of_sink * inverse * args->mean;
}

// ---- sums

void SC_REF(add_scaled)(const float *x, float factor, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = __builtin_fmaf(factor, x[i], y[i]);
}

void SC_REF(add_products)(const float *a, const float *b, float factor, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = __builtin_fmaf(a[i] * b[i], factor, y[i]);
}

double SC_REF(square_sum)(const float *x, size_t n)
{
    double lane[SC_LANES] = { 0 };
    size_t i = 0;
    for (; i + SC_LANES <= n; i += SC_LANES)
        for (size_t l = 0; l < SC_LANES; l++) lane[l] = lane[l] + (double)x[i + l] * (double)x[i + l];
    for (size_t l = 0; i + l < n; l++) lane[l] = lane[l] + (double)x[i + l] * (double)x[i + l];
    for (size_t half = SC_LANES / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++) lane[l] = lane[l] + lane[l + half];
    return lane[0];
}

// ---- the loss

void SC_REF(log_sum)(const float *x, size_t n, float *max, float *sum)
{
    float most[SC_LANES];
    for (size_t l = 0; l < SC_LANES; l++) most[l] = x[0];
    size_t i = 0;
    for (; i + SC_LANES <= n; i += SC_LANES)
        for (size_t l = 0; l < SC_LANES; l++) most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
    for (size_t l = 0; i + l < n; l++) most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
    *max = most[0];
    for (size_t l = 1; l < SC_LANES; l++) *max = most[l] > *max ? most[l] : *max;
    struct sc_tree tree = { .n = 0 };
    for (size_t start = 0; start < n; start += SC_SEGMENT) {
        size_t size = n - start < SC_SEGMENT ? n - start : SC_SEGMENT;
        float lane[SC_LANES] = { 0 };
        for (i = 0; i + SC_LANES <= size; i += SC_LANES)
            for (size_t l = 0; l < SC_LANES; l++) lane[l] = lane[l] + sc_exp(x[start + i + l] - *max);
        for (size_t l = 0; i + l < size; l++) lane[l] = lane[l] + sc_exp(x[start + i + l] - *max);
        sc_tree_push(&tree, sc_fold_lanes(lane));
    }
    *sum = sc_tree_total(&tree);
}

void SC_REF(shares)(float *x, size_t n, float max, float factor)
{
    for (size_t i = 0; i < n; i++) x[i] = sc_exp(x[i] - max) * factor;
}

// ---- the step

void SC_REF(adamw)(const struct sc_adamw *args)
{
    float keep1 = 1.0f - args->beta1, keep2 = 1.0f - args->beta2;
    float rate = args->rate / args->correction1, shrink = args->rate * args->decay, inverse2 = 1.0f / args->correction2;
    for (size_t i = 0; i < args->n; i++) {
        float g = args->g[i] * args->clip;
        float m = __builtin_fmaf(args->beta1, args->m[i], keep1 * g);
        float v = __builtin_fmaf(args->beta2, args->v[i], keep2 * (g * g));
        float w = __builtin_fmaf(-shrink, args->w[i], args->w[i]);
        args->m[i] = m;
        args->v[i] = v;
        args->w[i] = __builtin_fmaf(-rate, m / (__builtin_sqrtf(v * inverse2) + args->eps), w);
    }
}

// ---- dropout

// Ten rounds of Philox4x32 (base/random.h has the source) on sixteen counters at once.
static void philox16(uint64_t key, uint64_t counter, uint32_t out[4][SC_LANES])
{
    uint32_t a[SC_LANES], b[SC_LANES], c[SC_LANES], d[SC_LANES], k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (size_t l = 0; l < SC_LANES; l++) {
        a[l] = (uint32_t)(counter + l);
        b[l] = (uint32_t)((counter + l) >> 32);
        c[l] = d[l] = 0;
    }
    for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u)
        for (size_t l = 0; l < SC_LANES; l++) {
            uint64_t x = (uint64_t)0xd2511f53u * a[l], y = (uint64_t)0xcd9e8d57u * c[l];
            a[l] = (uint32_t)(y >> 32) ^ b[l] ^ k0;
            b[l] = (uint32_t)y;
            c[l] = (uint32_t)(x >> 32) ^ d[l] ^ k1;
            d[l] = (uint32_t)x;
        }
    for (size_t l = 0; l < SC_LANES; l++) {
        out[0][l] = a[l];
        out[1][l] = b[l];
        out[2][l] = c[l];
        out[3][l] = d[l];
    }
}

void SC_REF(dropout)(const float *x, float *y, size_t n, uint64_t key, uint64_t counter, float keep)
{
    uint32_t numbers[4][SC_LANES], limit = (uint32_t)(keep * 0x1p24f);
    float factor = 1.0f / keep;
    for (size_t start = 0; start < n; start += 4 * SC_LANES, counter += SC_LANES) {
        size_t size = n - start < 4 * SC_LANES ? n - start : 4 * SC_LANES;
        philox16(key, counter, numbers);
        for (size_t i = 0; i < size; i++) {
            float kept = x[start + i] * factor; // element i takes word i / 16 of counter i % 16
            y[start + i] = numbers[i / SC_LANES][i % SC_LANES] >> 8 < limit ? kept : 0.0f;
        }
    }
}
