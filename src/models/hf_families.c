// Hugging Face's architectures: which family of GGUF each is, and what is its own.
#include <string.h>

#include "base/size.h"
#include "kernels/elementary64.h"
#include "models/hf_internal.h"

// ---- names

static const struct sc_hf_name mixtral_names[] = {
    { "block_sparse_moe.gate.weight", "ffn_gate_inp.weight", 0 },
    { "block_sparse_moe.experts.*.w1.weight", "ffn_gate_exps.weight", 0 },
    { "block_sparse_moe.experts.*.w2.weight", "ffn_down_exps.weight", 0 },
    { "block_sparse_moe.experts.*.w3.weight", "ffn_up_exps.weight", 0 },
    { 0 },
};

static const struct sc_hf_name gemma_names[] = {
    { "post_attention_layernorm.weight", "post_attention_norm.weight", 0 },
    { "pre_feedforward_layernorm.weight", "ffn_norm.weight", 0 },
    { "post_feedforward_layernorm.weight", "post_ffw_norm.weight", 0 },
    { 0 },
};

static const struct sc_hf_name phi3_names[] = {
    { "self_attn.qkv_proj.?", "attn_qkv", 0 },
    { "mlp.gate_up_proj.?", "ffn_up", 0 },
    { 0 },
};

static const struct sc_hf_name glm4_names[] = {
    { "post_self_attn_layernorm.weight", "post_attention_norm.weight", 0 },
    { "post_mlp_layernorm.weight", "post_ffw_norm.weight", 0 },
    { "mlp.gate_up_proj.?", "ffn_up", 0 },
    { 0 },
};

static const struct sc_hf_name gpt_oss_names[] = {
    { "post_attention_layernorm.weight", "post_attention_norm.weight", 0 },
    { "self_attn.sinks", "attn_sinks.weight", 0 },
    { "mlp.router.?", "ffn_gate_inp", 0 },
    { "mlp.experts.gate_up_proj", "ffn_gate_exps.weight", SC_HF_EVEN },
    { "mlp.experts.gate_up_proj", "ffn_up_exps.weight", SC_HF_ODD },
    { "mlp.experts.gate_up_proj_bias", "ffn_gate_exps.bias", SC_HF_EVEN },
    { "mlp.experts.gate_up_proj_bias", "ffn_up_exps.bias", SC_HF_ODD },
    { "mlp.experts.down_proj", "ffn_down_exps.weight", SC_HF_TURNED },
    { "mlp.experts.down_proj_bias", "ffn_down_exps.bias", 0 },
    { 0 },
};

static const struct sc_hf_name deepseek2_names[] = {
    { "self_attn.q_a_proj.?", "attn_q_a", 0 },
    { "self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight", 0 },
    { "self_attn.q_b_proj.?", "attn_q_b", 0 },
    { "self_attn.kv_a_proj_with_mqa.?", "attn_kv_a_mqa", 0 },
    { "self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight", 0 },
    { "self_attn.kv_b_proj.weight", "attn_k_b.weight", SC_HF_LATENT_K },
    { "self_attn.kv_b_proj.weight", "attn_v_b.weight", SC_HF_LATENT_V },
    { 0 },
};

// ---- configurations

static void softcaps(struct sc_hf *hf)
{
    sc_hf_set_f32(hf, "attn_logit_softcapping", sc_hf_number(hf, "attn_logit_softcapping", 0));
    sc_hf_set_f32(hf, "final_logit_softcapping", sc_hf_number(hf, "final_logit_softcapping", 0));
}

// Scores are divided by the root of this number where others take the heads' width.
static void query_scale(struct sc_hf *hf)
{
    double scalar = sc_hf_number(hf, "query_pre_attn_scalar", hf->head_dim);
    if (scalar > 0) sc_hf_set_f32(hf, "attention.scale", sc_pow64(scalar, -0.5));
}

static void gemma2(struct sc_hf *hf)
{
    softcaps(hf);
    query_scale(hf);
}

static void granite(struct sc_hf *hf)
{
    sc_hf_set_f32(hf, "embedding_scale", sc_hf_number(hf, "embedding_multiplier", 1));
    sc_hf_set_f32(hf, "residual_scale", sc_hf_number(hf, "residual_multiplier", 1));
    sc_hf_set_f32(hf, "logit_scale", sc_hf_number(hf, "logits_scaling", 1));
    sc_hf_set_f32(hf, "attention.scale", sc_hf_number(hf, "attention_multiplier", 1));
}

static void smollm3(struct sc_hf *hf)
{
    const json_t *layers = json_object_get(hf->config, "no_rope_layers"), *turns;
    size_t i;
    json_array_foreach (layers, i, turns)
        if ((json_integer_value(turns) != 0) != ((i + 1) % 4 != 0))
            sc_hf_fail(hf, SOCLE_UNSUPPORTED,
                       "config.json, key 'no_rope_layers': expected that every fourth layer does not turn");
}

static void deepseek2(struct sc_hf *hf)
{
    uint32_t rotary = sc_hf_count(hf, "qk_rope_head_dim", 0), q_rank = sc_hf_count(hf, "q_lora_rank", 0);
    hf->rank = sc_hf_count(hf, "kv_lora_rank", 0);
    hf->nope = sc_hf_count(hf, "qk_nope_head_dim", 0);
    hf->dim_v = sc_hf_count(hf, "v_head_dim", 0);
    if (!rotary || !hf->rank || !hf->nope || !hf->dim_v) {
        sc_hf_fail(
            hf, SOCLE_BAD_FILE,
            "config.json: latent attention needs kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim and v_head_dim");
        return;
    }
    if (q_rank) sc_hf_set_u32(hf, "attention.q_lora_rank", q_rank);
    sc_hf_set_u32(hf, "attention.kv_lora_rank", hf->rank);
    sc_hf_set_u32(hf, "attention.key_length", hf->rank + rotary);
    sc_hf_set_u32(hf, "attention.value_length", hf->rank);
    sc_hf_set_u32(hf, "attention.key_length_mla", hf->nope + rotary);
    sc_hf_set_u32(hf, "attention.value_length_mla", hf->dim_v);
    sc_hf_set_u32(hf, "rope.dimension_count", rotary);
}

// ---- the list

static const struct sc_hf_family families[] = {
    { .architecture = "LlamaForCausalLM", .model_type = "llama", .name = "llama", .pairs = true },
    { .architecture = "MistralForCausalLM", .model_type = "mistral", .name = "llama", .pairs = true },
    { .architecture = "MixtralForCausalLM",
      .model_type = "mixtral",
      .name = "llama",
      .pairs = true,
      .names = mixtral_names },
    { .architecture = "Qwen2ForCausalLM", .model_type = "qwen2", .name = "qwen2" },
    { .architecture = "Qwen3ForCausalLM", .model_type = "qwen3", .name = "qwen3" },
    { .architecture = "Qwen3MoeForCausalLM", .model_type = "qwen3_moe", .name = "qwen3moe" },
    { .architecture = "Gemma2ForCausalLM",
      .model_type = "gemma2",
      .name = "gemma2",
      .norms_add_one = true,
      .names = gemma_names,
      .config = gemma2 },
    { .architecture = "Gemma3ForCausalLM",
      .model_type = "gemma3_text",
      .name = "gemma3",
      .norms_add_one = true,
      .names = gemma_names,
      .config = query_scale },
    { .architecture = "Gemma3ForConditionalGeneration",
      .model_type = "gemma3",
      .name = "gemma3",
      .norms_add_one = true,
      .names = gemma_names,
      .config = query_scale },
    { .architecture = "Phi3ForCausalLM", .model_type = "phi3", .name = "phi3", .names = phi3_names },
    { .architecture = "Glm4ForCausalLM", .model_type = "glm4", .name = "glm4", .names = glm4_names },
    { .architecture = "GraniteForCausalLM",
      .model_type = "granite",
      .name = "granite",
      .pairs = true,
      .config = granite },
    { .architecture = "SmolLM3ForCausalLM",
      .model_type = "smollm3",
      .name = "smollm3",
      .pairs = true,
      .config = smollm3 },
    { .architecture = "GptOssForCausalLM", .model_type = "gpt_oss", .name = "gpt-oss", .names = gpt_oss_names },
    { .architecture = "DeepseekForCausalLM", .model_type = "deepseek", .name = "deepseek", .pairs = true },
    { .architecture = "DeepseekV2ForCausalLM",
      .model_type = "deepseek_v2",
      .name = "deepseek2",
      .names = deepseek2_names,
      .config = deepseek2 },
    { .architecture = "DeepseekV3ForCausalLM",
      .model_type = "deepseek_v3",
      .name = "deepseek2",
      .names = deepseek2_names,
      .config = deepseek2 },
};

const struct sc_hf_family *sc_hf_family_at(size_t i) { return i < SC_COUNT(families) ? &families[i] : NULL; }
