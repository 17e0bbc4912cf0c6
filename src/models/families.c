#include "models/families.h"

#include <string.h>

#include "base/size.h"
#include "kernels/elementary64.h"
#include "models/decoder.h"

static float inverse_sqrt(float x) { return (float)sc_pow64((double)x, -0.5); }

static void gemma(struct sc_hparams *h)
{
    // In Gemma the embedding is multiplied by sqrt(n_embd) as f32.
    h->embedding_scale = (float)sc_pow64((double)h->n_embd, 0.5);
}

// The 27B models scale by n_embd / n_head where the others use the head's width; their files do not say so.
static void gemma2(struct sc_hparams *h)
{
    gemma(h);
    if (h->attn_scale == 0.0f && h->n_layer == 46) h->attn_scale = inverse_sqrt((float)h->n_embd / (float)h->n_head);
}

static void gemma3(struct sc_hparams *h)
{
    gemma(h);
    h->rope_window_unscaled = true;
    if (h->attn_scale == 0.0f && h->n_layer == 62) h->attn_scale = inverse_sqrt((float)h->n_embd / (float)h->n_head);
}

static void smollm3(struct sc_hparams *h) { h->no_rope_every = 4; }

// The converter stores 0.1 * mscale_all_dim; YaRN's softmax factor (1 + 0.1 m ln s)^2 goes into the score's scale
// (DeepSeek-V2's modeling code).
static void deepseek2(struct sc_hparams *h)
{
    if (h->head_dim_k_mla == 0) h->head_dim_k_mla = h->head_dim_k;
    if (h->head_dim_v_mla == 0) h->head_dim_v_mla = h->head_dim_v;
    h->attn_scale = inverse_sqrt((float)h->head_dim_k_mla);
    if (h->rope_scaling != SC_ROPE_SCALING_YARN) return;
    double m = h->rope_attn_factor * (1.0 + (double)h->yarn_log_multiplier * sc_log64((double)h->rope_factor));
    h->attn_scale = (float)((double)h->attn_scale * m * m);
    if (h->yarn_log_multiplier != 0.0f) h->yarn_log_multiplier = 1.0f; // cos and sin get none
}

static const struct sc_family families[] = {
    { .name = "llama",
      .ffn_scale = true,
      .example = "Llama 2 and 3, Mistral, Mixtral, SmolLM, Yi",
      .expert_norm = true },
    { .name = "mistral3",
      .ffn_scale = true,
      .example = "Mistral Small 3.2, Ministral 3, Devstral 2",
      .expert_norm = true },
    { .name = "qwen2", .example = "Qwen 2 and 2.5, DeepSeek-R1-Distill-Qwen", .rope_halves = true },
    { .name = "qwen3", .example = "Qwen 3 dense", .rope_halves = true, .ffn_scale = true },
    { .name = "qwen3moe",
      .example = "Qwen 3 30B-A3B, 235B-A22B",
      .rope_halves = true,
      .expert_norm = true,
      .ffn_scale = true },
    { .name = "deepseek", .example = "DeepSeek-MoE 16B" },
    { .name = "deepseek2",
      .example = "DeepSeek-V2, V2-Lite, V3, R1, Kimi K2, GigaChat 3",
      .adjust = deepseek2,
      .attention = sc_attention_latent },
    { .name = "gemma2",
      .example = "Gemma 2",
      .rope_halves = true,
      .activation = SC_GELU,
      .window = 4096,
      .window_pattern = 2,
      .attn_softcap = true,
      .final_softcap = true,
      .adjust = gemma2 },
    { .name = "gemma3",
      .example = "Gemma 3",
      .rope_halves = true,
      .activation = SC_GELU,
      .window_pattern = 6,
      .adjust = gemma3 },
    { .name = "phi3", .example = "Phi-3, Phi-3.5, Phi-4", .rope_halves = true, .window_pattern = 1 },
    { .name = "gpt-oss",
      .example = "gpt-oss 20b and 120b",
      .rope_halves = true,
      .activation = SC_SWIGLU_OAI,
      .gating = SC_GATING_SOFTMAX_TOP,
      .ffn_norm = "post_attention_norm",
      .window_pattern = 2 },
    { .name = "glm4", .example = "GLM-4 9B and 32B (0414)" },
    { .name = "granite", .example = "Granite 3 dense" },
    { .name = "smollm3", .example = "SmolLM3 3B", .adjust = smollm3 },
};

const struct sc_family *sc_family_at(size_t i) { return i < SC_COUNT(families) ? &families[i] : NULL; }

const struct sc_family *sc_family_find(struct sc_text name)
{
    for (size_t i = 0; i < SC_COUNT(families); i++)
        if (sc_text_is(name, families[i].name)) return &families[i];
    return NULL;
}

void sc_family_names(struct sc_buffer *out)
{
    for (size_t i = 0; i < SC_COUNT(families); i++) sc_buffer_printf(out, "%s%s", i ? ", " : "", families[i].name);
}
