// The super-blocks of Q4_K and Q5_K: eight groups of 32 share two f16 factors, and each has a 6-bit scale and a 6-bit
// min under them.
//
//   1. Each group on its own gets the scale a and offset b that fit it best (sc_fit_offset).
//   2. d and m are chosen so that the a's and b's lie near whole multiples, up to 63, of them: a miss of r in a costs
//      about r^2 times the curvature of that group's error.
//   3. With d and m as f16, each group tries three scales; for each, the numbers are rounded and the best min follows
//      from least squares. Then d and m themselves follow from least squares over the whole block, once more as f16,
//      and the step is repeated. The better of the two is kept.
#include "tensor/search.h"

#include <string.h>

enum { LANES = SC_SEARCH_LANES, SCALE_MAX = 63, ROUNDS = 2 };

struct settling {
    const struct sc_groups *groups;
    int q_max;
    float d, m; // as f16
    uint16_t d_half, m_half;
    float scale[LANES], min[LANES], error[LANES]; // the best so far; errors less sum of w x^2
    struct sc_rounding sums;
};

// Rounds with these scales and mins, finds the best min for that rounding, and keeps what is better than before.
static void try_scales(struct settling *s, const float *scale, const float *min, struct sc_rounding *sums)
{
    const struct sc_groups *g = s->groups;
    float inverse[LANES], offset[LANES], inverse_m = s->m > 0.0f ? 1.0f / s->m : 0.0f;
    for (size_t l = 0; l < LANES; l++) {
        float a = s->d * scale[l];
        inverse[l] = a > 0.0f ? 1.0f / a : 0.0f;
        offset[l] = -(s->m * min[l]);
    }
    sc_groups_round(g, inverse, offset, 0, s->q_max, sums);
    for (size_t l = 0; l < LANES; l++) {
        float a = s->d * scale[l], w = g->sum_w[l], q = sums->q[l], wx = g->sum_wx[l];
        float best_min = w > 0.0f ? (a * q - wx) / w * inverse_m : 0.0f;
        best_min = sc_search_round(sc_search_clamp(best_min, 0.0f, SCALE_MAX));
        float b = -(s->m * best_min);
        float error = a * (a * sums->qq[l] - 2.0f * sums->xq[l] + 2.0f * (b * q)) + b * (b * w - 2.0f * wx);
        bool better = error < s->error[l];
        s->error[l] = better ? error : s->error[l];
        s->scale[l] = better ? scale[l] : s->scale[l];
        s->min[l] = better ? best_min : s->min[l];
        s->sums.q[l] = better ? q : s->sums.q[l];
        s->sums.qq[l] = better ? sums->qq[l] : s->sums.qq[l];
        s->sums.xq[l] = better ? sums->xq[l] : s->sums.xq[l];
    }
}

// One round: the scales as given, one less, one more.
static void settle(struct settling *s)
{
    const struct sc_groups *g = s->groups;
    float scale[LANES], min[LANES], inverse_m = s->m > 0.0f ? 1.0f / s->m : 0.0f;
    struct sc_rounding first, other;
    float centre[LANES];
    memcpy(centre, s->scale, sizeof centre);
    memcpy(min, s->min, sizeof min);
    for (size_t l = 0; l < LANES; l++) s->error[l] = 0x1p127f;
    try_scales(s, centre, min, &first);
    for (int step = -1; step <= 1; step += 2) {
        for (size_t l = 0; l < LANES; l++) {
            scale[l] = sc_search_clamp(centre[l] + (float)step, 0.0f, SCALE_MAX);
            // The offset moves so that the middle of the group stays where it is.
            float a = s->d * scale[l];
            float moved = g->sum_w[l] > 0.0f ? (a * first.q[l] - g->sum_wx[l]) / g->sum_w[l] * inverse_m : 0.0f;
            min[l] = sc_search_round(sc_search_clamp(moved, 0.0f, SCALE_MAX));
        }
        try_scales(s, scale, min, &other);
    }
}

// d and m by least squares over the block, for the scales, mins and integers at hand; false where there is no answer.
static bool refit(const struct settling *s, float *d, float *m)
{
    float uu = 0.0f, uv = 0.0f, vv = 0.0f, xu = 0.0f, xv = 0.0f; // u = scale * q, v = min
    for (size_t l = 0; l < LANES; l++) {
        float scale = s->scale[l], min = s->min[l];
        uu += scale * scale * s->sums.qq[l];
        uv += scale * min * s->sums.q[l];
        vv += min * min * s->groups->sum_w[l];
        xu += scale * s->sums.xq[l];
        xv += min * s->groups->sum_wx[l];
    }
    float determinant = uu * vv - uv * uv;
    if (determinant > 0.0f) {
        *d = (xu * vv - xv * uv) / determinant;
        *m = (xu * uv - uu * xv) / determinant;
    } else {
        *d = uu > 0.0f ? xu / uu : 0.0f;
        *m = 0.0f;
    }
    return *d > 0.0f && *m >= 0.0f;
}

static float total(const float *error)
{
    float sum = 0.0f;
    for (size_t l = 0; l < LANES; l++) sum += error[l];
    return sum;
}

void sc_search_super_block(const struct sc_groups *groups, int q_max, struct sc_super_block *out)
{
    struct sc_fit fit;
    float curvature[LANES], depth[LANES], unit = groups->unit[0];
    memset(out, 0, sizeof *out);
    sc_fit_offset(groups, q_max, true, &fit);
    for (size_t l = 0; l < LANES; l++) {
        float w = groups->sum_w[l], q = fit.sums.q[l];
        curvature[l] = fit.sums.qq[l] - (w > 0.0f ? q * q / w : 0.0f);
        depth[l] = -fit.min[l];
    }
    float d = sc_search_common_factor(fit.scale, curvature, LANES, SCALE_MAX);
    float m = sc_search_common_factor(depth, groups->sum_w, LANES, SCALE_MAX);
    struct settling s = { .groups = groups, .q_max = q_max };
    float best = 0.0f;
    for (int round = 0; round < ROUNDS; round++) {
        s.d_half = sc_search_half(d, unit, &s.d);
        s.m_half = sc_search_half(m, unit, &s.m);
        for (size_t l = 0; l < LANES && round == 0; l++) {
            float scale = s.d > 0.0f ? fit.scale[l] / s.d : 0.0f, min = s.m > 0.0f ? depth[l] / s.m : 0.0f;
            s.scale[l] = sc_search_round(sc_search_clamp(scale, 0.0f, SCALE_MAX));
            s.min[l] = sc_search_round(sc_search_clamp(min, 0.0f, SCALE_MAX));
        }
        settle(&s);
        float error = total(s.error);
        if (round == 0 || error < best) {
            best = error;
            *out = (struct sc_super_block){ .d = s.d, .m = s.m, .d_half = s.d_half, .m_half = s.m_half };
            memcpy(out->scale, s.scale, sizeof s.scale);
            memcpy(out->min, s.min, sizeof s.min);
        }
        if (!refit(&s, &d, &m)) break;
    }
}
