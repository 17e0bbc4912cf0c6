// A model's hyperparameters, as its file states them (keys "<family>.…"), checked for range.
#ifndef SC_MODELS_HPARAMS_H
#define SC_MODELS_HPARAMS_H

#include "formats/gguf.h"
#include "kernels/kernels.h"

struct sc_family;

enum { SC_LAYERS_MAX = 1024 };

enum sc_rope_scaling { SC_ROPE_SCALING_NONE, SC_ROPE_SCALING_LINEAR, SC_ROPE_SCALING_YARN, SC_ROPE_SCALING_LONG };

struct sc_hparams {
    uint32_t n_vocab, n_context, n_embd, n_layer, n_ff;
    uint32_t n_head, n_head_kv, head_dim_k, head_dim_v;
    float rms_eps;

    // Rotary embedding; a factor of s means positions are divided by s.
    uint32_t n_rot;
    bool rope_halves; // pairs (j, j + n/2), by the family or because the file has sections of several axes (M-RoPE)
    float rope_base, rope_base_window; // of layers that see everything, and of layers with a window
    bool rope_window_unscaled;         // layers with a window keep their own base and no scaling (Gemma 3)
    enum sc_rope_scaling rope_scaling;
    float rope_factor, rope_attn_factor;
    uint32_t rope_n_context_original;
    float yarn_beta_fast, yarn_beta_slow, yarn_log_multiplier;
    bool yarn_truncate; // its ramp is between whole pairs
    uint32_t no_rope_every; // every so many layers one does not turn (SmolLM3); 0: all turn; 1: none does

    // Attention.
    float attn_scale; // 0: 1 / sqrt(head_dim_k)
    float attn_softcap, final_softcap;
    uint32_t window; // 0: none
    bool layer_has_window[SC_LAYERS_MAX];
    float temperature_scale; // 0: none
    uint32_t temperature_length;

    // Factors of Granite and Gemma; 1 when the family has none.
    float embedding_scale, residual_scale, logit_scale;

    // Experts; n_expert == 0: none.
    uint32_t n_expert, n_expert_used, n_expert_group, n_expert_group_used, n_layer_dense_lead;
    float expert_weights_scale;
    bool expert_weights_norm;
    uint32_t expert_gating; // enum sc_gating, 0 when the file does not say

    // Multi-head latent attention (DeepSeek-V2); 0 elsewhere.
    uint32_t kv_lora_rank, head_dim_k_mla, head_dim_v_mla;

    // Of models made for embeddings, numbered as in the file: 1 mean, 2 first token, 3 last token; 0: it does not say.
    uint32_t pooling;
};

// Reads everything; keys that a family's files lack keep the field's usual value.
socle_status sc_hparams_read(const struct sc_gguf *gguf, const struct sc_family *family, struct sc_hparams *out,
                             socle_error *err);

#endif
