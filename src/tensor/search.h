// The search for scales that the encoders share. Included by the formats' own files only.
//
// Encoding asks, for a group of numbers x with weights w: which scale a (and offset b), and which integers q, make
//
//     sum of w * (x - (a * q + b))^2        least?
//
// For given q, a and b follow from two linear equations (weighted least squares). For given a and b, q is what rounds
// x nearest. Neither step alone finds the least, so several starts are tried and the best result is kept.
//
// Eight groups are searched side by side, one in each vector lane, so that no sum ever crosses lanes: the bits do not
// depend on how wide the machine's vectors are. Only binary32 + - * / in a fixed order; no libm.
#ifndef SC_TENSOR_SEARCH_H
#define SC_TENSOR_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SC_SEARCH_LANES = 8, SC_SEARCH_GROUP_MAX = 32 };

// Eight groups of n numbers: number i of group l is x[i][l] * unit[l], a power of two that brings the largest close
// to 1, so that no square overflows or vanishes.
struct sc_groups {
    size_t n;
    float x[SC_SEARCH_GROUP_MAX][SC_SEARCH_LANES];
    float w[SC_SEARCH_GROUP_MAX][SC_SEARCH_LANES];
    float unit[SC_SEARCH_LANES];
    float sum_w[SC_SEARCH_LANES], sum_wx[SC_SEARCH_LANES];
};

// What one rounding of the groups gives: sums of w q, w q^2 and w x q.
struct sc_rounding {
    float q[SC_SEARCH_LANES], qq[SC_SEARCH_LANES], xq[SC_SEARCH_LANES];
};

// The best found for each group: x ~ scale * q + min, with the sums of that rounding. Nothing fits a group of zeros:
// its scale is 0.
struct sc_fit {
    float scale[SC_SEARCH_LANES], min[SC_SEARCH_LANES], gain[SC_SEARCH_LANES];
    struct sc_rounding sums;
};

// Loads groups first..first + n_groups <= 8 of n numbers each, which lie back to back from x on; the other lanes become
// zeros. importance: a weight >= 0 for each number, or NULL: all count alike. Every n_together numbers share a unit,
// and their weights keep their proportions.
void sc_groups_load(struct sc_groups *groups, const float *x, const float *importance, size_t first, size_t n_groups,
                    size_t n, size_t n_together);

// Rounds every number to q = (x - min) * inverse, kept in q_min..q_max, and adds up.
void sc_groups_round(const struct sc_groups *groups, const float *inverse, const float *min, int q_min, int q_max,
                     struct sc_rounding *out);

// Each group's number of largest magnitude, the first of several.
void sc_groups_extreme(const struct sc_groups *groups, float *extreme);

// The squared errors of x ~ scale * q, q in q_min..q_max, summed for each group.
void sc_groups_error(const struct sc_groups *groups, const float *scale, int q_min, int q_max, float *error);

// x ~ scale * q with q in q_min..q_max, q_min = -q_max - 1; the scale may be negative.
void sc_fit_scale(const struct sc_groups *groups, int q_max, struct sc_fit *out);
// x ~ scale * q + min with q in 0..q_max; `below_zero` keeps min <= 0.
void sc_fit_offset(const struct sc_groups *groups, int q_max, bool below_zero, struct sc_fit *out);

// The integers of lane l with this scale and offset: out[n].
void sc_groups_quantize(const struct sc_groups *groups, size_t lane, float scale, float min, int q_min, int q_max,
                        int8_t *out);

// The factor f, of those that bring the largest of n <= 16 numbers x >= 0 to most - k (k < 16), for which the sum of
// c * (x - f * round(x / f))^2 is least; 0 where all are 0.
float sc_search_common_factor(const float *x, const float *c, size_t n, int most);

// A number of units as an f16, kept finite; *rounded is what that f16 stands for, in units again.
uint16_t sc_search_half(float value, float unit, float *rounded);

// The super-blocks of Q4_K and Q5_K: x ~ (d * scale[l]) * q - (m * min[l]) for eight groups of 32 with one unit.
// scale and min are whole numbers in 0..63; d and m are rounded to f16, in units.
struct sc_super_block {
    float d, m;
    uint16_t d_half, m_half;
    float scale[SC_SEARCH_LANES], min[SC_SEARCH_LANES];
};
void sc_search_super_block(const struct sc_groups *groups, int q_max, struct sc_super_block *out);

static inline float sc_search_clamp(float x, float low, float high)
{
    x = x > low ? x : low; // not a number: low
    return x < high ? x : high;
}

// The nearest whole number, ties to even; |x| < 2^22.
static inline float sc_search_round(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

#endif
