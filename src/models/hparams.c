#include "models/hparams.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "models/families.h"

// Reads keys of one family; the first failure sticks.
struct reader {
    const struct sc_gguf *gguf;
    const char *family;
    socle_status status;
    socle_error *err;
    char key[128];
};

static const char *key_of(struct reader *r, const char *name)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->family, name);
    return r->key;
}

static void u32(struct reader *r, const char *name, uint32_t *out)
{
    if (r->status == SOCLE_OK) r->status = sc_gguf_get_u32(r->gguf, key_of(r, name), out, r->err);
}

static void f32(struct reader *r, const char *name, float *out)
{
    if (r->status == SOCLE_OK) r->status = sc_gguf_get_f32(r->gguf, key_of(r, name), out, r->err);
}

// A factor where 0 means that the model has none.
static void factor(struct reader *r, const char *name, float *out)
{
    float value = 0.0f;
    f32(r, name, &value);
    if (value != 0.0f) *out = value;
}

static void required(struct reader *r, const char *name, uint32_t *out, uint32_t min, uint32_t max)
{
    if (r->status == SOCLE_OK) r->status = sc_gguf_require(r->gguf, key_of(r, name), r->err);
    u32(r, name, out);
    if (r->status == SOCLE_OK && (*out < min || *out > max))
        r->status = sc_fail(r->err, SOCLE_BAD_FILE, "%s: key '%s': expected %u to %u, found %u", sc_gguf_path(r->gguf),
                            key_of(r, name), min, max, *out);
}

// A number, or an array that has the same number for every layer.
static void uniform(struct reader *r, const char *name, uint32_t *out)
{
    const struct sc_gguf_value *value = sc_gguf_find(r->gguf, key_of(r, name));
    if (!value || !value->is_array || value->type == SC_GGUF_STRING || value->n == 0) {
        u32(r, name, out);
        return;
    }
    int64_t first = sc_gguf_int_at(value, 0);
    bool same = first >= 0 && first <= UINT32_MAX;
    for (uint64_t i = 1; i < value->n; i++) same = same && sc_gguf_int_at(value, i) == first;
    if (same) *out = (uint32_t)first;
    else if (r->status == SOCLE_OK)
        r->status = sc_fail(r->err, SOCLE_UNSUPPORTED, "%s: key '%s': layers that differ are not supported",
                            sc_gguf_path(r->gguf), key_of(r, name));
}

static void read_shape(struct reader *r, struct sc_hparams *h)
{
    required(r, "context_length", &h->n_context, 1, 1u << 30);
    required(r, "embedding_length", &h->n_embd, 1, 1u << 20);
    required(r, "block_count", &h->n_layer, 1, SC_LAYERS_MAX);
    // Layers at the end that predict further tokens (DeepSeek-V3, arXiv:2412.19437, section 2.2) are no part of the
    // decoder.
    uint32_t n_next = 0;
    u32(r, "nextn_predict_layers", &n_next);
    if (r->status == SOCLE_OK && n_next >= h->n_layer)
        r->status = sc_fail(r->err, SOCLE_BAD_FILE, "%s: key '%s': expected less than the %u layers, found %u",
                            sc_gguf_path(r->gguf), key_of(r, "nextn_predict_layers"), h->n_layer, n_next);
    h->n_layer -= n_next;
    const struct sc_gguf_value *n_ff = sc_gguf_find(r->gguf, key_of(r, "feed_forward_length"));
    if (n_ff && !n_ff->is_array) u32(r, "feed_forward_length", &h->n_ff); // the tensors say it, too, layer by layer
    required(r, "attention.head_count", &h->n_head, 1, 1u << 14);
    h->n_head_kv = h->n_head;
    uniform(r, "attention.head_count_kv", &h->n_head_kv);
    if (r->status == SOCLE_OK && (h->n_head_kv == 0 || h->n_head % h->n_head_kv != 0))
        r->status = sc_fail(r->err, SOCLE_BAD_FILE, "%s: %u kv heads do not divide %u heads", sc_gguf_path(r->gguf),
                            h->n_head_kv, h->n_head);
    if (r->status != SOCLE_OK) return;
    h->head_dim_k = h->head_dim_v = h->n_embd / h->n_head;
    u32(r, "attention.key_length", &h->head_dim_k);
    u32(r, "attention.value_length", &h->head_dim_v);
    if (r->status == SOCLE_OK && (h->head_dim_k == 0 || h->head_dim_k > SC_HEAD_DIM_MAX || h->head_dim_v == 0 ||
                                  h->head_dim_v > SC_HEAD_DIM_MAX))
        r->status = sc_fail(r->err, SOCLE_BAD_FILE, "%s: heads of %u key and %u value elements, expected 1 to %d",
                            sc_gguf_path(r->gguf), h->head_dim_k, h->head_dim_v, SC_HEAD_DIM_MAX);
    h->rms_eps = 1e-5f;
    f32(r, "attention.layer_norm_rms_epsilon", &h->rms_eps);
    if (r->status == SOCLE_OK && !(h->rms_eps >= 0.0f && h->rms_eps < 1.0f))
        r->status = sc_fail(r->err, SOCLE_BAD_FILE, "%s: key '%s': expected 0 to 1, found %g", sc_gguf_path(r->gguf),
                            key_of(r, "attention.layer_norm_rms_epsilon"), (double)h->rms_eps);
}

static void read_rope_scaling(struct reader *r, struct sc_hparams *h)
{
    static const struct {
        const char *name;
        enum sc_rope_scaling scaling;
    } kinds[] = { { "none", SC_ROPE_SCALING_NONE },
                  { "linear", SC_ROPE_SCALING_LINEAR },
                  { "yarn", SC_ROPE_SCALING_YARN },
                  { "longrope", SC_ROPE_SCALING_LONG } };
    struct sc_text kind = sc_text_of("linear");
    if (r->status == SOCLE_OK) r->status = sc_gguf_get_text(r->gguf, key_of(r, "rope.scaling.type"), &kind, r->err);
    if (r->status != SOCLE_OK) return;
    for (size_t i = 0; i < SC_COUNT(kinds); i++) {
        if (!sc_text_is(kind, kinds[i].name)) continue;
        h->rope_scaling = kinds[i].scaling;
        return;
    }
    r->status = sc_fail(r->err, SOCLE_UNSUPPORTED, "%s: key '%s': rope scaling '%.*s' is not one that socle knows",
                        sc_gguf_path(r->gguf), key_of(r, "rope.scaling.type"), SC_TEXT_ARGS(kind));
}

// M-RoPE (Qwen2-VL, arXiv:2409.12191, section 2.1): text has the same position on every axis, so only the pairing
// counts.
static bool has_sections(struct reader *r)
{
    const struct sc_gguf_value *sections = NULL;
    if (r->status == SOCLE_OK && sc_gguf_find(r->gguf, key_of(r, "rope.dimension_sections")))
        r->status = sc_gguf_get_array(r->gguf, key_of(r, "rope.dimension_sections"), SC_GGUF_I32, 0, &sections, r->err);
    return sections && sections->n >= 2 && sc_gguf_int_at(sections, 0) > 0 && sc_gguf_int_at(sections, 1) > 0;
}

static void read_rope(struct reader *r, const struct sc_family *family, struct sc_hparams *h)
{
    h->rope_halves = family->rope_halves || has_sections(r);
    h->n_rot = h->head_dim_k;
    u32(r, "rope.dimension_count", &h->n_rot);
    if (r->status == SOCLE_OK && (h->n_rot > h->head_dim_k || h->n_rot % 2 != 0))
        r->status = sc_fail(r->err, SOCLE_BAD_FILE, "%s: key '%s': expected an even number of at most %u, found %u",
                            sc_gguf_path(r->gguf), key_of(r, "rope.dimension_count"), h->head_dim_k, h->n_rot);
    h->rope_base = 10000.0f;
    factor(r, "rope.freq_base", &h->rope_base);
    h->rope_base_window = 10000.0f;
    factor(r, "rope.freq_base_swa", &h->rope_base_window);
    h->rope_factor = h->rope_attn_factor = 1.0f;
    factor(r, "rope.scale_linear", &h->rope_factor); // its old name
    factor(r, "rope.scaling.factor", &h->rope_factor);
    factor(r, "rope.scaling.attn_factor", &h->rope_attn_factor);
    h->rope_n_context_original = h->n_context;
    u32(r, "rope.scaling.original_context_length", &h->rope_n_context_original);
    h->yarn_beta_fast = 32.0f;
    h->yarn_beta_slow = 1.0f;
    f32(r, "rope.scaling.yarn_beta_fast", &h->yarn_beta_fast);
    f32(r, "rope.scaling.yarn_beta_slow", &h->yarn_beta_slow);
    f32(r, "rope.scaling.yarn_log_multiplier", &h->yarn_log_multiplier);
    h->yarn_truncate = true;
    if (r->status == SOCLE_OK) // a key of socle convert's: llama.cpp 0.5.0 always truncates
        r->status = sc_gguf_get_bool(r->gguf, key_of(r, "rope.scaling.yarn_truncate"), &h->yarn_truncate, r->err);
    read_rope_scaling(r, h);
    // Granite uses this flag to say whether positions turn at all.
    bool turns = true;
    if (r->status == SOCLE_OK && strcmp(r->family, "granite") == 0)
        r->status = sc_gguf_get_bool(r->gguf, key_of(r, "rope.scaling.finetuned"), &turns, r->err);
    if (!turns) h->no_rope_every = 1;
    if (r->status == SOCLE_OK && h->rope_scaling == SC_ROPE_SCALING_YARN &&
        !(h->yarn_beta_fast > 0.0f && h->yarn_beta_slow > 0.0f && h->rope_n_context_original > 0))
        r->status = sc_fail(
            r->err, SOCLE_BAD_FILE, "%s: YaRN with betas %g and %g over %u positions, expected more than 0",
            sc_gguf_path(r->gguf), (double)h->yarn_beta_fast, (double)h->yarn_beta_slow, h->rope_n_context_original);
    if (r->status == SOCLE_OK && !(h->rope_base > 1.0f && h->rope_base_window > 1.0f && h->rope_factor > 0.0f))
        r->status = sc_fail(r->err, SOCLE_BAD_FILE, "%s: rope base %g and factor %g, expected more than 1 and 0",
                            sc_gguf_path(r->gguf), (double)h->rope_base, (double)h->rope_factor);
}

// The pattern is a flag for each layer, or a period, or the family's own.
static void read_windows(struct reader *r, const struct sc_family *family, struct sc_hparams *h)
{
    uint32_t period = family->window_pattern;
    if (period == 0) return;
    h->window = family->window;
    u32(r, "attention.sliding_window", &h->window);
    const struct sc_gguf_value *pattern = sc_gguf_find(r->gguf, key_of(r, "attention.sliding_window_pattern"));
    bool flags = pattern && pattern->is_array && pattern->type != SC_GGUF_STRING && pattern->n >= h->n_layer;
    if (pattern && !flags) u32(r, "attention.sliding_window_pattern", &period);
    if (r->status != SOCLE_OK || h->window == 0) return;
    for (uint32_t i = 0; i < h->n_layer; i++)
        h->layer_has_window[i] = flags ? sc_gguf_int_at(pattern, i) != 0 : period <= 1 || i % period < period - 1;
}

static void read_attention(struct reader *r, const struct sc_family *family, struct sc_hparams *h)
{
    f32(r, "attention.scale", &h->attn_scale);
    if (family->attn_softcap) {
        h->attn_softcap = 50.0f;
        f32(r, "attn_logit_softcapping", &h->attn_softcap);
    }
    if (family->final_softcap) {
        h->final_softcap = 30.0f;
        f32(r, "final_logit_softcapping", &h->final_softcap);
    }
    f32(r, "attention.temperature_scale", &h->temperature_scale);
    h->temperature_length = h->rope_n_context_original;
    u32(r, "attention.temperature_length", &h->temperature_length);
    if (h->temperature_length == 0) h->temperature_length = SC_MAX(h->rope_n_context_original, 1u);
    u32(r, "attention.kv_lora_rank", &h->kv_lora_rank);
    u32(r, "attention.key_length_mla", &h->head_dim_k_mla);
    u32(r, "attention.value_length_mla", &h->head_dim_v_mla);
    if (r->status == SOCLE_OK && (h->kv_lora_rank > SC_HEAD_DIM_MAX || h->head_dim_k_mla > SC_HEAD_DIM_MAX ||
                                  h->head_dim_v_mla > SC_HEAD_DIM_MAX))
        r->status = sc_fail(r->err, SOCLE_UNSUPPORTED,
                            "%s: latent attention of rank %u with heads of %u and %u, expected "
                            "at most %d",
                            sc_gguf_path(r->gguf), h->kv_lora_rank, h->head_dim_k_mla, h->head_dim_v_mla,
                            SC_HEAD_DIM_MAX);
}

static void read_experts(struct reader *r, const struct sc_family *family, struct sc_hparams *h)
{
    u32(r, "expert_count", &h->n_expert);
    u32(r, "expert_used_count", &h->n_expert_used);
    u32(r, "expert_group_count", &h->n_expert_group);
    u32(r, "expert_group_used_count", &h->n_expert_group_used);
    u32(r, "leading_dense_block_count", &h->n_layer_dense_lead);
    h->expert_weights_scale = 1.0f;
    factor(r, "expert_weights_scale", &h->expert_weights_scale);
    h->expert_weights_norm = family->expert_norm;
    if (r->status == SOCLE_OK && !family->expert_norm)
        r->status = sc_gguf_get_bool(r->gguf, key_of(r, "expert_weights_norm"), &h->expert_weights_norm, r->err);
    u32(r, "expert_gating_func", &h->expert_gating);
    if (r->status == SOCLE_OK && h->expert_gating > SC_GATING_SOFTMAX_TOP)
        r->status = sc_fail(r->err, SOCLE_UNSUPPORTED,
                            "%s: key '%s': expert gating %u, expected 1 (softmax), 2 (sigmoid) "
                            "or 3 (softmax of the chosen)",
                            sc_gguf_path(r->gguf), key_of(r, "expert_gating_func"), h->expert_gating);
    if (r->status == SOCLE_OK && h->n_expert > SC_EXPERTS_MAX)
        r->status = sc_fail(r->err, SOCLE_UNSUPPORTED, "%s: %u experts, expected at most %d", sc_gguf_path(r->gguf),
                            h->n_expert, SC_EXPERTS_MAX);
}

socle_status sc_hparams_read(const struct sc_gguf *gguf, const struct sc_family *family, struct sc_hparams *out,
                             socle_error *err)
{
    struct reader r = { .gguf = gguf, .family = family->name, .err = err };
    struct sc_hparams h = { .embedding_scale = 1.0f, .residual_scale = 1.0f, .logit_scale = 1.0f };
    read_shape(&r, &h);
    read_rope(&r, family, &h);
    read_windows(&r, family, &h);
    read_attention(&r, family, &h);
    read_experts(&r, family, &h);
    u32(&r, "pooling_type", &h.pooling);
    if (strcmp(family->name, "granite") == 0) {
        factor(&r, "embedding_scale", &h.embedding_scale);
        factor(&r, "residual_scale", &h.residual_scale);
        factor(&r, "logit_scale", &h.logit_scale);
    }
    if (r.status == SOCLE_OK && family->adjust) family->adjust(&h);
    *out = h;
    return r.status;
}
