#include "tensor/search.h"

#include <string.h>
#if defined(__SSE2__) && !defined(__AVX__)
#include <emmintrin.h>
#endif

#include "base/size.h"
#include "tensor/half.h"

enum { LANES = SC_SEARCH_LANES, STARTS = 9, FACTORS = 16 };

// As many lanes as the machine surely has: it changes no bit, as each lane is on its own.
#ifdef __AVX__
enum { WIDTH = 8 };
#else
enum { WIDTH = 4 };
#endif
typedef float vector __attribute__((vector_size(WIDTH * 4)));
typedef int32_t mask __attribute__((vector_size(WIDTH * 4)));

static inline vector load(const float *from)
{
    vector v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline void store(float *to, vector v) { memcpy(to, &v, sizeof v); }

static inline vector choose(mask which, vector yes, vector no)
{
    return (vector)((which & (mask)yes) | (~which & (mask)no));
}

// a < b ? a : b, and a > b ? a : b: one instruction where compilers can be told so.
#if defined(__SSE2__) && !defined(__AVX__)
static inline vector smaller(vector a, vector b) { return _mm_min_ps(a, b); }
static inline vector larger(vector a, vector b) { return _mm_max_ps(a, b); }
#else
static inline vector smaller(vector a, vector b) { return choose(a < b, a, b); }
static inline vector larger(vector a, vector b) { return choose(a > b, a, b); }
#endif

// The nearest whole number between low and high; not a number: low.
static inline vector nearest(vector q, vector low, vector high)
{
    q = smaller(larger(q, low), high);
    return (q + 0x1.8p23f) - 0x1.8p23f;
}

void sc_groups_round(const struct sc_groups *groups, const float *inverse, const float *min, int q_min, int q_max,
                     struct sc_rounding *out)
{
    const vector low = (vector){ 0 } + (float)q_min, high = (vector){ 0 } + (float)q_max;
    for (size_t l = 0; l < LANES; l += WIDTH) {
        vector sum_q = { 0 }, sum_qq = { 0 }, sum_xq = { 0 };
        const vector factor = load(inverse + l), offset = load(min + l);
        for (size_t i = 0; i < groups->n; i++) {
            vector x = load(&groups->x[i][l]), w = load(&groups->w[i][l]);
            vector q = nearest((x - offset) * factor, low, high);
            vector wq = w * q;
            sum_q += wq;
            sum_qq += wq * q;
            sum_xq += wq * x;
        }
        store(out->q + l, sum_q);
        store(out->qq + l, sum_qq);
        store(out->xq + l, sum_xq);
    }
}

// ---- loading

// The power of two at or below the largest magnitude, kept where its square and inverse are ordinary numbers.
static float unit_of(const float *x, size_t n)
{
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t magnitude = sc_bits_of_f32(x[i]) & 0x7fffffffu;
        most = SC_MAX(most, magnitude);
    }
    uint32_t exponent = most >> 23;
    exponent = exponent < 127 - 60 ? 127 - 60 : exponent > 127 + 100 ? 127 + 100 : exponent;
    return sc_f32_of_bits(exponent << 23);
}

// What importances are multiplied by, so that they are near 1 on average; 0 where they say nothing.
static float importance_scale(const float *importance, size_t n)
{
    float sums[LANES] = { 0 }, sum = 0.0f; // n is a multiple of LANES
    for (size_t i = 0; i < n; i += LANES)
        for (size_t l = 0; l < LANES; l++) sums[l] += importance[i + l];
    for (size_t l = 0; l < LANES; l++) sum += sums[l];
    float mean = sum / (float)n;
    return mean > 0x1p-120f && mean < 0x1p120f ? 1.0f / mean : 0.0f;
}

// importance_factor 0: all count alike.
static void load_group(struct sc_groups *groups, size_t l, const float *x, const float *importance,
                       float importance_factor)
{
    float inverse = 1.0f / groups->unit[l];
    for (size_t i = 0; i < groups->n; i++) {
        // A column that no text has used yet still counts a little.
        float w = importance_factor > 0.0f ? importance[i] * importance_factor + 0x1p-20f : 1.0f;
        groups->x[i][l] = x[i] * inverse;
        groups->w[i][l] = w;
    }
}

static void add_up(struct sc_groups *groups)
{
    for (size_t l = 0; l < LANES; l += WIDTH) {
        vector sum_w = { 0 }, sum_wx = { 0 };
        for (size_t i = 0; i < groups->n; i++) {
            vector w = load(&groups->w[i][l]);
            sum_w += w;
            sum_wx += w * load(&groups->x[i][l]);
        }
        store(groups->sum_w + l, sum_w);
        store(groups->sum_wx + l, sum_wx);
    }
}

void sc_groups_load(struct sc_groups *groups, const float *x, const float *importance, size_t first, size_t n_groups,
                    size_t n, size_t n_together)
{
    if (n_groups < LANES) memset(groups, 0, sizeof *groups);
    groups->n = n;
    float unit = 1.0f, factor = 0.0f;
    for (size_t l = 0; l < n_groups; l++) {
        size_t begin = (first + l) * n, set = begin / n_together * n_together;
        if (l == 0 || begin == set) {
            unit = unit_of(x + set, n_together);
            factor = importance ? importance_scale(importance + set, n_together) : 0.0f;
        }
        groups->unit[l] = unit;
        load_group(groups, l, x + begin, importance ? importance + begin : NULL, factor);
    }
    add_up(groups);
}

uint16_t sc_search_half(float value, float unit, float *rounded)
{
    uint16_t half = sc_half_from_f32(value * unit);
    if ((half & 0x7c00u) == 0x7c00u) half = (uint16_t)((half & 0x8000u) | 0x7bffu);
    *rounded = sc_half_to_f32(half) / unit;
    return half;
}

void sc_groups_extreme(const struct sc_groups *groups, float *extreme)
{
    for (size_t l = 0; l < LANES; l++) extreme[l] = 0.0f;
    for (size_t i = 0; i < groups->n; i++)
        for (size_t l = 0; l < LANES; l++) {
            float x = groups->x[i][l], most = extreme[l];
            extreme[l] = x * x > most * most ? x : most;
        }
}

void sc_groups_error(const struct sc_groups *groups, const float *scale, int q_min, int q_max, float *error)
{
    const vector low = (vector){ 0 } + (float)q_min, high = (vector){ 0 } + (float)q_max;
    float inverse[LANES];
    for (size_t l = 0; l < LANES; l++) inverse[l] = scale[l] != 0.0f ? 1.0f / scale[l] : 0.0f;
    for (size_t l = 0; l < LANES; l += WIDTH) {
        vector sum = { 0 };
        const vector factor = load(inverse + l), step = load(scale + l);
        for (size_t i = 0; i < groups->n; i++) {
            vector x = load(&groups->x[i][l]), miss = x - step * nearest(x * factor, low, high);
            sum += load(&groups->w[i][l]) * (miss * miss);
        }
        store(error + l, sum);
    }
}

float sc_search_common_factor(const float *x, const float *c, size_t n, int most)
{
    float largest = 0.0f, best = 0.0f, least = 0.0f;
    for (size_t l = 0; l < n; l++) largest = x[l] > largest ? x[l] : largest;
    if (!(largest > 0.0f)) return 0.0f;
    for (int k = 0; k < FACTORS; k++) {
        float factor = largest / (float)(most - k), inverse = 1.0f / factor, cost = 0.0f;
        for (size_t l = 0; l < n; l++) {
            float miss = x[l] - factor * sc_search_round(sc_search_clamp(x[l] * inverse, 0.0f, (float)most));
            cost += c[l] * (miss * miss);
        }
        if (k > 0 && !(cost < least)) continue;
        least = cost;
        best = factor;
    }
    return best;
}

void sc_groups_quantize(const struct sc_groups *groups, size_t lane, float scale, float min, int q_min, int q_max,
                        int8_t *out)
{
    float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    for (size_t i = 0; i < groups->n; i++) {
        float q = (groups->x[i][lane] - min) * inverse;
        out[i] = (int8_t)sc_search_round(sc_search_clamp(q, (float)q_min, (float)q_max));
    }
}

// ---- fitting one group

// Least squares for x ~ scale * q; takes it into `fit` where it explains more.
static void take_scale(const struct sc_rounding *sums, struct sc_fit *fit)
{
    const vector zero = { 0 };
    for (size_t l = 0; l < LANES; l += WIDTH) {
        vector qq = load(sums->qq + l), xq = load(sums->xq + l), scale = xq / qq, gain = scale * xq;
        mask better = (qq > zero) & (gain > load(fit->gain + l));
        store(fit->scale + l, choose(better, scale, load(fit->scale + l)));
        store(fit->gain + l, choose(better, gain, load(fit->gain + l)));
        store(fit->sums.qq + l, choose(better, qq, load(fit->sums.qq + l)));
    }
}

void sc_fit_scale(const struct sc_groups *groups, int q_max, struct sc_fit *out)
{
    const float zero[LANES] = { 0 };
    float extreme[LANES], inverse[LANES];
    struct sc_rounding sums;
    memset(out, 0, sizeof *out);
    sc_groups_extreme(groups, extreme);
    // The number of largest magnitude becomes about q_min, which reaches one further than q_max.
    for (int k = 0; k < STARTS; k++) {
        float target = -(float)q_max - 1.75f + 0.25f * (float)k;
        for (size_t l = 0; l < LANES; l++) inverse[l] = extreme[l] != 0.0f ? target / extreme[l] : 0.0f;
        sc_groups_round(groups, inverse, zero, -q_max - 1, q_max, &sums);
        take_scale(&sums, out);
    }
    for (size_t l = 0; l < LANES; l++) inverse[l] = out->scale[l] != 0.0f ? 1.0f / out->scale[l] : 0.0f;
    sc_groups_round(groups, inverse, zero, -q_max - 1, q_max, &sums);
    take_scale(&sums, out);
}

// Least squares for x ~ scale * q + min; takes it into `fit` where it explains more.
static void take_offset(const struct sc_groups *groups, const struct sc_rounding *sums, bool below_zero,
                        struct sc_fit *fit)
{
    const vector zero = { 0 };
    for (size_t l = 0; l < LANES; l += WIDTH) {
        vector w = load(groups->sum_w + l), wx = load(groups->sum_wx + l);
        vector q = load(sums->q + l), qq = load(sums->qq + l), xq = load(sums->xq + l);
        // Where all q are alike, two unknowns are one too many: what is left of the determinant is rounding.
        vector determinant = w * qq - q * q, inverse = 1.0f / determinant;
        mask solvable = determinant > 0x1p-16f * (w * qq);
        vector scale = (w * xq - wx * q) * inverse, min = (qq * wx - q * xq) * inverse;
        mask at_zero = ((min > zero) | ~solvable) & (below_zero ? ~(mask){ 0 } : (mask){ 0 });
        scale = choose(at_zero, xq / qq, scale);
        min = choose(at_zero, zero, min);
        vector gain = scale * xq + min * wx;
        mask better = (solvable | at_zero) & (scale > zero) & (gain > load(fit->gain + l));
        store(fit->scale + l, choose(better, scale, load(fit->scale + l)));
        store(fit->min + l, choose(better, min, load(fit->min + l)));
        store(fit->gain + l, choose(better, gain, load(fit->gain + l)));
        store(fit->sums.q + l, choose(better, q, load(fit->sums.q + l)));
        store(fit->sums.qq + l, choose(better, qq, load(fit->sums.qq + l)));
        store(fit->sums.xq + l, choose(better, xq, load(fit->sums.xq + l)));
    }
}

void sc_fit_offset(const struct sc_groups *groups, int q_max, bool below_zero, struct sc_fit *out)
{
    float low[LANES], high[LANES], inverse[LANES];
    struct sc_rounding sums;
    memset(out, 0, sizeof *out);
    for (size_t l = 0; l < LANES; l++) {
        high[l] = groups->x[0][l];
        low[l] = below_zero ? 0.0f : high[l];
    }
    for (size_t i = 0; i < groups->n; i++)
        for (size_t l = 0; l < LANES; l++) {
            float x = groups->x[i][l];
            low[l] = x < low[l] ? x : low[l];
            high[l] = x > high[l] ? x : high[l];
        }
    // Until something fits, a constant group is its own offset.
    for (size_t l = 0; l < LANES; l++) {
        out->min[l] = low[l];
        out->gain[l] = low[l] < high[l] ? -1.0f : low[l] * groups->sum_wx[l];
    }
    // The lowest number is 0, the highest about q_max.
    for (int k = 0; k < STARTS; k++) {
        float target = (float)q_max - 1.0f + 0.25f * (float)k;
        for (size_t l = 0; l < LANES; l++) inverse[l] = low[l] < high[l] ? target / (high[l] - low[l]) : 0.0f;
        sc_groups_round(groups, inverse, low, 0, q_max, &sums);
        take_offset(groups, &sums, below_zero, out);
    }
    for (size_t l = 0; l < LANES; l++) inverse[l] = out->scale[l] > 0.0f ? 1.0f / out->scale[l] : 0.0f;
    float min[LANES];
    memcpy(min, out->min, sizeof min);
    sc_groups_round(groups, inverse, min, 0, q_max, &sums);
    take_offset(groups, &sums, below_zero, out);
}
