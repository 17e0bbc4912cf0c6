// The decoder of Llama (Touvron et al., arXiv:2302.13971) and of everything that descends from it:
//
//     x = embed(tokens)
//     for each layer:  x = x + attention(norm(x));  x = x + ffn(norm(x))
//     logits = output(norm(x))
//
// What differs between families is data: a row in families.c, and the tensors that a file has.
#include "models/decoder.h"

#include <stdio.h>

#include "kernels/elementary64.h"

static const struct sc_value no_value = { .buffer = SC_NO_BUFFER };

static bool turns(const struct sc_hparams *h, uint32_t layer)
{
    return h->no_rope_every == 0 || (layer + 1) % h->no_rope_every != 0;
}

// Queries, keys and values from three products or one.
static void project(struct sc_loader *l, uint32_t layer, struct sc_value x, struct sc_value out[3])
{
    const struct sc_hparams *h = l->h;
    const char *const names[3] = { "attn_q", "attn_k", "attn_v" };
    uint32_t n_heads[3] = { h->n_head, h->n_head_kv, h->n_head_kv };
    uint32_t dims[3] = { h->head_dim_k, h->head_dim_k, h->head_dim_v };
    uint32_t width = 0;
    for (int i = 0; i < 3; i++) width += n_heads[i] * dims[i];
    struct sc_linear fused = sc_load_linear(l, true, layer, "attn_qkv", h->n_embd, width);
    if (l->status != SOCLE_OK) return;
    struct sc_value all = fused.weight ? sc_build_linear(&l->b, x, fused) : no_value;
    for (uint32_t i = 0, offset = 0; i < 3; i++) {
        width = n_heads[i] * dims[i];
        struct sc_value flat = sc_value_slice(all, offset, width);
        if (!fused.weight) {
            struct sc_linear own = sc_load_linear(l, false, layer, names[i], h->n_embd, width);
            if (l->status != SOCLE_OK) return;
            flat = sc_build_linear(&l->b, x, own);
        }
        out[i] = sc_value_heads(flat, n_heads[i]);
        offset += width;
    }
}

struct sc_value sc_attention_grouped(struct sc_loader *l, uint32_t layer, struct sc_value x)
{
    const struct sc_hparams *h = l->h;
    struct sc_builder *b = &l->b;
    bool window = h->layer_has_window[layer];
    struct sc_value qkv[3] = { x, x, x };
    project(l, layer, x, qkv);
    struct sc_value q = qkv[0], k = qkv[1], v = qkv[2];
    const float *q_norm = sc_load_vector(l, true, h->head_dim_k, "blk.%u.attn_q_norm.weight", layer);
    const float *k_norm = sc_load_vector(l, true, h->head_dim_k, "blk.%u.attn_k_norm.weight", layer);
    const float *sinks = sc_load_vector(l, true, h->n_head, "blk.%u.attn_sinks.weight", layer);
    struct sc_linear out = sc_load_linear(l, false, layer, "attn_output", h->n_head * h->head_dim_v, h->n_embd);
    if (l->status != SOCLE_OK) return x;

    if (q_norm) q = sc_build_norm(b, q, q_norm, h->rms_eps);
    if (k_norm) k = sc_build_norm(b, k, k_norm, h->rms_eps);
    if (turns(h, layer)) {
        q = sc_build_rope(b, q, window ? l->rope_window : l->rope);
        k = sc_build_rope(b, k, window ? l->rope_window : l->rope);
    }
    if (h->temperature_scale != 0.0f) q = sc_build_temperature(b, q, h->temperature_scale, h->temperature_length);
    sc_build_store(b, layer, k, v);
    struct sc_value y = sc_build_attend(
        b, layer, q, h->head_dim_v,
        (struct sc_attention){
            .scale = h->attn_scale, .softcap = h->attn_softcap, .window = window ? h->window : 0, .sinks = sinks });
    return sc_build_linear(b, y, out);
}

struct sc_value sc_ffn_gated(struct sc_loader *l, uint32_t layer, struct sc_value x, const char *suffix)
{
    char gate_name[32], up_name[32], down_name[32];
    snprintf(gate_name, sizeof gate_name, "ffn_gate%s", suffix);
    snprintf(up_name, sizeof up_name, "ffn_up%s", suffix);
    snprintf(down_name, sizeof down_name, "ffn_down%s", suffix);
    uint32_t n_embd = l->h->n_embd;
    struct sc_linear up = sc_load_ffn_matrices(l, false, layer, up_name, n_embd, 0, 1);
    if (l->status != SOCLE_OK) return x;
    uint64_t n_rows = up.weight->shape[1];
    struct sc_linear gate = sc_load_ffn_matrices(l, true, layer, gate_name, n_embd, n_rows, 1);
    uint32_t n_ff = (uint32_t)(gate.weight ? n_rows : n_rows / 2); // without a gate of its own, up begins with it
    struct sc_linear down = sc_load_ffn_matrices(l, false, layer, down_name, n_ff, n_embd, 1);
    if (l->status != SOCLE_OK) return x;

    struct sc_value u = sc_build_linear(&l->b, x, up);
    struct sc_value g = gate.weight ? sc_build_linear(&l->b, x, gate) : sc_value_slice(u, 0, n_ff);
    if (!gate.weight) u = sc_value_slice(u, n_ff, n_ff);
    return sc_build_linear(&l->b, sc_build_glu(&l->b, l->model->family->activation, g, u), down);
}

struct sc_value sc_ffn_dense(struct sc_loader *l, uint32_t layer, struct sc_value x)
{
    return sc_ffn_gated(l, layer, x, "");
}

// residual + scale * (post-norm of y, where the model has one)
static struct sc_value join(struct sc_loader *l, struct sc_value residual, struct sc_value y, uint32_t layer,
                            const char *post_norm)
{
    const float *w = NULL;
    if (post_norm) w = sc_load_vector(l, true, l->h->n_embd, "blk.%u.%s.weight", layer, post_norm);
    if (w) y = sc_build_norm(&l->b, y, w, l->h->rms_eps);
    y = sc_build_dropout(&l->b, y, l->dropout);
    return sc_build_add(&l->b, residual, sc_build_scale(&l->b, y, l->h->residual_scale));
}

static struct sc_value norm(struct sc_loader *l, struct sc_value x, uint32_t layer, const char *name)
{
    const float *w = sc_load_vector(l, false, l->h->n_embd, "blk.%u.%s.weight", layer, name);
    return w ? sc_build_norm(&l->b, x, w, l->h->rms_eps) : x;
}

static struct sc_value build_layer(struct sc_loader *l, struct sc_value x, uint32_t layer)
{
    const struct sc_family *family = l->model->family;
    const char *ffn_norm = family->ffn_norm ? family->ffn_norm : "ffn_norm";
    struct sc_value h = norm(l, x, layer, "attn_norm");
    h = family->attention ? family->attention(l, layer, h) : sc_attention_grouped(l, layer, h);
    if (l->status != SOCLE_OK) return x;
    x = join(l, x, h, layer, family->ffn_norm ? NULL : "post_attention_norm");
    h = norm(l, x, layer, ffn_norm);
    bool experts = sc_load_tensor(l, true, "blk.%u.ffn_gate_inp.weight", layer) != NULL;
    h = experts ? sc_ffn_experts(l, layer, h) : sc_ffn_dense(l, layer, h);
    if (l->status != SOCLE_OK) return x;
    return join(l, x, h, layer, "post_ffw_norm");
}

static struct sc_value build_logits(struct sc_loader *l, struct sc_value x)
{
    const struct sc_hparams *h = l->h;
    const float *w = sc_load_vector(l, false, h->n_embd, "output_norm.weight");
    struct sc_linear output = { .weight = sc_load_tensor(l, true, "output.weight") };
    if (!output.weight) output.weight = sc_load_tensor(l, false, "token_embd.weight"); // tied
    output.bias = sc_load_vector(l, true, h->n_vocab, "output.bias");
    if (l->status != SOCLE_OK) return x;
    x = sc_build_norm(&l->b, sc_build_select(&l->b, x), w, h->rms_eps);
    sc_build_hidden(&l->b, x);
    x = sc_build_linear(&l->b, x, output);
    if (x.head_dim != h->n_vocab)
        l->status = sc_fail(l->err, SOCLE_BAD_FILE, "tensor 'output.weight': expected %u rows, found %u", h->n_vocab,
                            x.head_dim);
    x = sc_build_scale(&l->b, x, 1.0f / h->logit_scale);
    return h->final_softcap != 0.0f ? sc_build_softcap(&l->b, x, h->final_softcap) : x;
}

void sc_decoder_build(struct sc_loader *l)
{
    const struct sc_tensor *table = sc_load_tensor(l, false, "token_embd.weight");
    if (l->status != SOCLE_OK) return;
    struct sc_value x = sc_build_scale(&l->b, sc_build_embed(&l->b, table), l->h->embedding_scale);
    x = sc_build_dropout(&l->b, x, l->dropout);
    for (uint32_t layer = 0; layer < l->h->n_layer && l->status == SOCLE_OK && l->b.status == SOCLE_OK; layer++)
        x = build_layer(l, x, layer);
    if (l->status == SOCLE_OK && l->b.status == SOCLE_OK) x = build_logits(l, x);
    socle_status status = sc_build_end(&l->b, x);
    if (l->status == SOCLE_OK) l->status = status;
}
