// Which experts a token goes to, and with what weight (docs/numerics.md, "Routing").
//
// Sources: Shazeer et al. 2017 (top-k gating); DeepSeek-V2 (arXiv:2405.04434) section 2.1 (groups by their best
// expert, softmax gate); DeepSeek-V3 (arXiv:2412.19437) section 2.1 (sigmoid gate, bias for the choice only, groups by
// the sum of their two best).
#include "kernels/ref/ref.h"

#include "kernels/ref/elementary.h"

// In order: the number of experts is small and the order is part of the contract.
static void softmax(float *x, size_t n)
{
    float max = x[0], sum = 0.0f;
    for (size_t i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++) {
        x[i] = sc_exp(x[i] - max);
        sum = sum + x[i];
    }
    for (size_t i = 0; i < n; i++) x[i] = x[i] / sum;
}

// The best of n not yet taken; ties go to the lower index. Takes it.
static size_t take_best(const float *score, bool *taken, size_t n)
{
    size_t best = n;
    for (size_t i = 0; i < n; i++)
        if (!taken[i] && (best == n || score[i] > score[best])) best = i;
    if (best < n) taken[best] = true;
    return best;
}

static float group_score(const struct sc_route *args, const float *score, size_t size)
{
    float best = score[0], second = -__builtin_inff();
    for (size_t i = 1; i < size; i++) {
        if (score[i] > best) {
            second = best;
            best = score[i];
        } else if (score[i] > second) {
            second = score[i];
        }
    }
    return args->gating == SC_GATING_SIGMOID && size > 1 ? best + second : best;
}

// Marks the experts of the groups that were not chosen as taken.
static void limit_groups(const struct sc_route *args, const float *score, bool *taken)
{
    size_t size = args->n_experts / args->n_groups;
    float group[SC_EXPERTS_MAX];
    bool chosen[SC_EXPERTS_MAX] = { false };
    for (size_t g = 0; g < args->n_groups; g++) group[g] = group_score(args, score + g * size, size);
    for (size_t i = 0; i < args->n_groups_used; i++) take_best(group, chosen, args->n_groups);
    for (size_t i = 0; i < args->n_experts; i++) taken[i] = !chosen[i / size];
}

static void weigh(const struct sc_route *args)
{
    float *w = args->weights;
    if (args->gating == SC_GATING_SOFTMAX_TOP) softmax(w, args->n_used);
    if (args->normalize) {
        float sum = 0.0f;
        for (size_t i = 0; i < args->n_used; i++) sum = sum + w[i];
        sum = sum < 0x1p-14f ? 0x1p-14f : sum; // as the field does: the smallest normal f16
        for (size_t i = 0; i < args->n_used; i++) w[i] = w[i] / sum;
    }
    if (args->scale != 1.0f)
        for (size_t i = 0; i < args->n_used; i++) w[i] = w[i] * args->scale;
}

void SC_REF(route)(const struct sc_route *args)
{
    float gate[SC_EXPERTS_MAX], score[SC_EXPERTS_MAX];
    bool taken[SC_EXPERTS_MAX] = { false };
    size_t n = args->n_experts;
    for (size_t i = 0; i < n; i++)
        gate[i] = args->gating == SC_GATING_SIGMOID ? sc_sigmoid(args->logits[i]) : args->logits[i];
    if (args->gating == SC_GATING_SOFTMAX) softmax(gate, n);
    for (size_t i = 0; i < n; i++) score[i] = args->bias ? gate[i] + args->bias[i] : gate[i];
    if (args->n_groups > 1) limit_groups(args, score, taken);
    for (size_t i = 0; i < args->n_used; i++) {
        size_t best = take_best(score, taken, n);
        args->ids[i] = (int32_t)best;
        args->weights[i] = gate[best];
    }
    weigh(args);
    // 0, or not a number if some logit was infinite or none: that must not vanish with an expert that is not chosen.
    float poison = 0.0f;
    for (size_t i = 0; i < n; i++) poison = poison + args->logits[i] * 0.0f;
    for (size_t i = 0; i < args->n_used; i++) args->weights[i] = args->weights[i] + poison;
}

// ---- the adjoint; all sums in order, as above

// From the derivatives by the weights to those by the chosen gates: weights are gates over their sum, times the scale.
static void weigh_adjoint(const struct sc_route *args, const float *gate, const float *d_weights, float *d_gate)
{
    float sum = 0.0f, mean = 0.0f;
    for (size_t i = 0; i < args->n_used; i++) d_gate[i] = d_weights[i] * args->scale;
    if (!args->normalize) return;
    for (size_t i = 0; i < args->n_used; i++) sum = sum + gate[i];
    bool is_small = sum < 0x1p-14f;
    sum = is_small ? 0x1p-14f : sum;
    for (size_t i = 0; i < args->n_used && !is_small; i++) mean = mean + d_gate[i] * (gate[i] / sum);
    for (size_t i = 0; i < args->n_used; i++) d_gate[i] = (d_gate[i] - mean) / sum;
}

void SC_REF(route_adjoint)(const struct sc_route *args, const float *d_weights, float *d_logits)
{
    float gate[SC_EXPERTS_MAX], chosen[SC_EXPERTS_MAX], d_gate[SC_EXPERTS_MAX], mean = 0.0f;
    size_t n = args->n_experts;
    for (size_t i = 0; i < n; i++) {
        gate[i] = args->gating == SC_GATING_SIGMOID ? sc_sigmoid(args->logits[i]) : args->logits[i];
        d_logits[i] = 0.0f;
    }
    if (args->gating == SC_GATING_SOFTMAX) softmax(gate, n);
    for (size_t i = 0; i < args->n_used; i++) chosen[i] = gate[args->ids[i]];
    if (args->gating == SC_GATING_SOFTMAX_TOP) softmax(chosen, args->n_used);
    weigh_adjoint(args, chosen, d_weights, d_gate);
    for (size_t i = 0; i < args->n_used; i++) mean = mean + d_gate[i] * chosen[i];
    if (args->gating == SC_GATING_SOFTMAX)
        for (size_t i = 0; i < n; i++) d_logits[i] = -gate[i] * mean;
    for (size_t i = 0; i < args->n_used; i++) {
        float *to = &d_logits[args->ids[i]], g = chosen[i];
        if (args->gating == SC_GATING_SIGMOID) *to = d_gate[i] * (g * (1.0f - g));
        else if (args->gating == SC_GATING_SOFTMAX) *to = *to + g * d_gate[i];
        else *to = g * (d_gate[i] - mean);
    }
}
