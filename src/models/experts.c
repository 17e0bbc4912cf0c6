// Mixture-of-experts feed-forward: routed experts, and DeepSeek's shared ones (arXiv:2401.06066, section 3).
#include "models/decoder.h"

struct sc_value sc_ffn_experts(struct sc_loader *l, uint32_t layer, struct sc_value x)
{
    const struct sc_hparams *h = l->h;
    struct sc_builder *b = &l->b;
    struct sc_linear router = sc_load_linear(l, false, layer, "ffn_gate_inp", h->n_embd, h->n_expert);
    struct sc_linear both = sc_load_ffn_matrices(l, true, layer, "ffn_gate_up_exps", h->n_embd, 0, h->n_expert);
    struct sc_linear up = { 0 }, gate = { 0 };
    if (!both.weight) up = sc_load_ffn_matrices(l, false, layer, "ffn_up_exps", h->n_embd, 0, h->n_expert);
    if (up.weight)
        gate = sc_load_ffn_matrices(l, false, layer, "ffn_gate_exps", h->n_embd, up.weight->shape[1], h->n_expert);
    if (l->status != SOCLE_OK) return x;
    uint64_t n_ff = both.weight ? both.weight->shape[1] / 2 : up.weight->shape[1];
    struct sc_linear down = sc_load_ffn_matrices(l, false, layer, "ffn_down_exps", n_ff, h->n_embd, h->n_expert);
    const float *bias = sc_load_vector(l, true, h->n_expert, "blk.%u.exp_probs_b.bias", layer);
    bool shared = sc_load_tensor(l, true, "blk.%u.ffn_up_shexp.weight", layer) != NULL;
    if (l->status != SOCLE_OK) return x;
    if (l->status != SOCLE_OK) return x;

    // DeepSeek-V3's biased choice goes with sigmoid gates; early files of such models do not say so.
    enum sc_gating gating = (enum sc_gating)h->expert_gating;
    if (!gating) gating = l->model->family->gating;
    if (!gating) gating = bias ? SC_GATING_SIGMOID : SC_GATING_SOFTMAX;
    struct sc_route_values route = sc_build_route(b, sc_build_linear(b, x, router),
                                                  (struct sc_routing){ .n_experts = h->n_expert,
                                                                       .n_used = h->n_expert_used,
                                                                       .n_groups = h->n_expert_group,
                                                                       .n_groups_used = h->n_expert_group_used,
                                                                       .gating = gating,
                                                                       .normalize = h->expert_weights_norm,
                                                                       .scale = h->expert_weights_scale,
                                                                       .bias = bias });
    struct sc_value g, u;
    if (gate.weight) {
        g = sc_build_expert_linear(b, x, route.ids, gate);
        u = sc_build_expert_linear(b, x, route.ids, up);
    } else {
        struct sc_value gu = sc_build_expert_linear(b, x, route.ids, both);
        g = sc_value_slice(gu, 0, gu.head_dim / 2);
        u = sc_value_slice(gu, gu.head_dim / 2, gu.head_dim / 2);
    }
    struct sc_value y = sc_build_glu(b, l->model->family->activation, g, u);
    y = sc_build_expert_sum(b, sc_build_expert_linear(b, y, route.ids, down), route.weights);
    return shared ? sc_build_add(b, y, sc_ffn_gated(l, layer, x, "_shexp")) : y;
}
