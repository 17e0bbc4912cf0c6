// config.json of a GGUF file's metadata, in the words that transformers 4 and 5 both read.
#include <string.h>

#include "base/size.h"
#include "kernels/elementary64.h"
#include "models/hf_export.h"

static void put_number(json_t *config, const char *key, double value)
{
    json_object_set_new(config, key, json_real(value));
}
static void put_count(json_t *config, const char *key, uint32_t value)
{
    json_object_set_new(config, key, json_integer(value));
}

static void fail(struct sc_hf_export *x, const char *what)
{
    if (x->status == SOCLE_OK) x->status = sc_fail(x->err, SOCLE_UNSUPPORTED, "%s: %s", sc_gguf_path(x->gguf), what);
}

static bool is(const struct sc_hf_export *x, const char *name) { return strcmp(x->family->name, name) == 0; }

static bool has_tensor(const struct sc_hf_export *x, const char *name)
{
    return sc_gguf_find_tensor(x->gguf, name) != NULL;
}

// The binary32 as its shortest decimal: 1e-6 rather than 9.99999997e-07.
static double shortest(float value)
{
    char text[40];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        double decimal;
        if (sscanf(text, "%lf", &decimal) == 1 && (float)decimal == value) return decimal;
    }
    return (double)value;
}

// ---- rotary embedding

static const float *factors_of(const struct sc_hf_export *x, const char *name, uint32_t *n)
{
    const struct sc_tensor *t = sc_gguf_find_tensor(x->gguf, name);
    *n = t ? (uint32_t)t->shape[0] : 0;
    return t && strcmp(t->format->name, "F32") == 0 ? t->data : NULL;
}

// Llama 3's parameters are not kept in GGUF, only what they make; the published ones are tried.
static json_t *llama3(struct sc_hf_export *x, const float *factors, uint32_t n)
{
    static const double originals[] = { 8192, 4096, 2048, 16384, 32768, 131072, 32 };
    double factor = 1;
    for (uint32_t i = 0; i < n; i++) factor = SC_MAX(factor, (double)factors[i]);
    for (size_t k = 0; k < SC_COUNT(originals); k++) {
        bool same = true;
        for (uint32_t i = 0; i < n && same; i++) {
            double length = 2 * 3.14159265358979323846 * sc_pow64((double)x->h.rope_base, 2.0 * i / (2.0 * n));
            double smooth = (originals[k] / length - 1) / 3;
            double expected = length < originals[k] / 4 ? 1
                              : length > originals[k]   ? factor
                                                        : 1 / ((1 - smooth) / factor + smooth);
            same = (double)factors[i] > expected * (1 - 1e-6) && (double)factors[i] < expected * (1 + 1e-6);
        }
        if (same)
            return json_pack("{s:s, s:f, s:f, s:f, s:i}", "rope_type", "llama3", "factor", factor, "low_freq_factor",
                             1.0, "high_freq_factor", 4.0, "original_max_position_embeddings", (int)originals[k]);
    }
    fail(x, "its rotary factors (rope_freqs.weight) are none that config.json can say");
    return NULL;
}

static json_t *list_of(const float *factors, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++) json_array_append_new(list, json_real(shortest(factors[i])));
    return list;
}

static json_t *scaling(struct sc_hf_export *x)
{
    const struct sc_hparams *h = &x->h;
    uint32_t n, n_short;
    const float *factors = factors_of(x, "rope_freqs.weight", &n);
    if (factors) return llama3(x, factors, n);
    factors = factors_of(x, "rope_factors_long.weight", &n);
    const float *short_factors = factors_of(x, "rope_factors_short.weight", &n_short);
    if (factors && short_factors)
        return json_pack("{s:s, s:o, s:o}", "type", "longrope", "long_factor", list_of(factors, n), "short_factor",
                         list_of(short_factors, n_short));
    if (h->rope_scaling == SC_ROPE_SCALING_YARN) {
        json_t *yarn = json_pack("{s:s, s:f, s:I, s:f, s:f}", "rope_type", "yarn", "factor", shortest(h->rope_factor),
                                 "original_max_position_embeddings", (json_int_t)h->rope_n_context_original,
                                 "beta_fast", shortest(h->yarn_beta_fast), "beta_slow", shortest(h->yarn_beta_slow));
        if (!h->yarn_truncate) json_object_set_new(yarn, "truncate", json_false());
        float log_multiplier = 0.0f; // 0.1 times it, in the file
        char key[200];
        snprintf(key, sizeof key, "%s.rope.scaling.yarn_log_multiplier", x->family->name);
        if (sc_gguf_get_f32(x->gguf, key, &log_multiplier, NULL) == SOCLE_OK && log_multiplier != 0.0f) {
            double all = shortest((float)((double)log_multiplier * 10));
            put_number(yarn, "mscale_all_dim", all);
            put_number(yarn, "mscale", all);
        }
        return yarn;
    }
    if (h->rope_scaling == SC_ROPE_SCALING_LINEAR && h->rope_factor != 1.0f)
        return json_pack("{s:s, s:f}", "rope_type", "linear", "factor", shortest(h->rope_factor));
    return NULL;
}

static void put_rope(struct sc_hf_export *x, json_t *config)
{
    const struct sc_hparams *h = &x->h;
    put_number(config, "rope_theta", shortest(h->rope_base));
    if (h->rope_window_unscaled) put_number(config, "rope_local_base_freq", shortest(h->rope_base_window));
    if (!h->kv_lora_rank && h->n_rot != h->head_dim_k)
        put_number(config, "partial_rotary_factor", (double)h->n_rot / h->head_dim_k);
    json_t *how = scaling(x);
    if (how) json_object_set_new(config, "rope_scaling", how);
    if (json_object_get(how, "long_factor"))
        put_count(config, "original_max_position_embeddings", h->rope_n_context_original);
}

// ---- windows, experts, heads

static void put_windows(struct sc_hf_export *x, json_t *config)
{
    const struct sc_hparams *h = &x->h;
    const struct sc_family *family = sc_family_find(sc_text_of(x->family->name));
    if (family->window_pattern == 0) return;
    json_object_set_new(config, "sliding_window", h->window ? json_integer(h->window) : json_null());
    if (family->window_pattern == 1) return;
    json_t *layers = json_array();
    for (uint32_t i = 0; i < h->n_layer; i++)
        json_array_append_new(layers, json_string(h->layer_has_window[i] ? "sliding_attention" : "full_attention"));
    json_object_set_new(config, "layer_types", layers);
}

static void put_experts(struct sc_hf_export *x, json_t *config)
{
    const struct sc_hparams *h = &x->h;
    const char *count = h->kv_lora_rank || is(x, "deepseek") ? "n_routed_experts"
                        : is(x, "qwen3moe")                  ? "num_experts"
                                                             : "num_local_experts";
    char key[200];
    uint32_t width = 0, n_shared = 0;
    if (!h->n_expert) return;
    put_count(config, count, h->n_expert);
    put_count(config, "num_experts_per_tok", h->n_expert_used);
    snprintf(key, sizeof key, "%s.expert_feed_forward_length", x->family->name);
    if (sc_gguf_get_u32(x->gguf, key, &width, NULL) == SOCLE_OK && width)
        put_count(config, "moe_intermediate_size", width);
    snprintf(key, sizeof key, "%s.expert_shared_count", x->family->name);
    if (sc_gguf_get_u32(x->gguf, key, &n_shared, NULL) == SOCLE_OK && n_shared)
        put_count(config, "n_shared_experts", n_shared);
    json_object_set_new(config, "norm_topk_prob", json_boolean(h->expert_weights_norm));
    if (!h->kv_lora_rank) return;
    bool grouped = h->n_expert_group > 1, sigmoid = h->expert_gating == SC_GATING_SIGMOID;
    put_count(config, "first_k_dense_replace", h->n_layer_dense_lead);
    put_number(config, "routed_scaling_factor", shortest(h->expert_weights_scale));
    json_object_set_new(config, "scoring_func", json_string(sigmoid ? "sigmoid" : "softmax"));
    json_object_set_new(config, "topk_method",
                        json_string(sigmoid   ? "noaux_tc"
                                    : grouped ? "group_limited_greedy"
                                              : "greedy"));
    put_count(config, "n_group", grouped ? h->n_expert_group : 1);
    put_count(config, "topk_group", grouped ? h->n_expert_group_used : 1);
}

static void put_heads(struct sc_hf_export *x, json_t *config)
{
    const struct sc_hparams *h = &x->h;
    put_count(config, "num_attention_heads", h->n_head);
    put_count(config, "num_key_value_heads", h->kv_lora_rank ? h->n_head : h->n_head_kv);
    if (!h->kv_lora_rank) {
        put_count(config, "head_dim", h->head_dim_k);
        json_object_set_new(config, "attention_bias", json_boolean(has_tensor(x, "blk.0.attn_q.bias")));
        return;
    }
    const struct sc_tensor *q_a = sc_gguf_find_tensor(x->gguf, "blk.0.attn_q_a.weight");
    put_count(config, "kv_lora_rank", h->kv_lora_rank);
    json_object_set_new(config, "q_lora_rank", q_a ? json_integer((json_int_t)q_a->shape[1]) : json_null());
    put_count(config, "qk_rope_head_dim", h->n_rot);
    put_count(config, "qk_nope_head_dim", h->head_dim_k_mla - h->n_rot);
    put_count(config, "v_head_dim", h->head_dim_v_mla);
    json_object_set_new(config, "attention_bias", json_false());
}

static void put_own(struct sc_hf_export *x, json_t *config)
{
    const struct sc_hparams *h = &x->h;
    if (is(x, "granite")) {
        put_number(config, "embedding_multiplier", shortest(h->embedding_scale));
        put_number(config, "residual_multiplier", shortest(h->residual_scale));
        put_number(config, "logits_scaling", shortest(h->logit_scale));
        put_number(config, "attention_multiplier", shortest(h->attn_scale));
    }
    if (is(x, "gemma2")) {
        put_number(config, "attn_logit_softcapping", shortest(h->attn_softcap));
        put_number(config, "final_logit_softcapping", shortest(h->final_softcap));
    }
    if (is(x, "gemma2") || is(x, "gemma3")) {
        double scalar = h->attn_scale > 0.0f ? 1 / ((double)h->attn_scale * (double)h->attn_scale) : h->head_dim_k;
        put_count(config, "query_pre_attn_scalar", (uint32_t)(scalar + 0.5));
        json_object_set_new(config, "hidden_activation", json_string("gelu_pytorch_tanh"));
    } else {
        json_object_set_new(config, "hidden_act", json_string("silu"));
    }
    if (is(x, "smollm3")) put_count(config, "no_rope_layer_interval", 4);
    if (is(x, "llama") || is(x, "granite") || is(x, "smollm3")) json_object_set_new(config, "mlp_bias", json_false());
}

static void put_tokens(struct sc_hf_export *x, json_t *config)
{
    static const char *const roles[][2] = { { "bos_token_id", "tokenizer.ggml.bos_token_id" },
                                            { "eos_token_id", "tokenizer.ggml.eos_token_id" },
                                            { "pad_token_id", "tokenizer.ggml.padding_token_id" } };
    for (size_t i = 0; i < SC_COUNT(roles); i++) {
        uint32_t id = UINT32_MAX;
        if (sc_gguf_get_u32(x->gguf, roles[i][1], &id, NULL) == SOCLE_OK && id != UINT32_MAX)
            put_count(config, roles[i][0], id);
        else json_object_set_new(config, roles[i][0], json_null());
    }
}

json_t *sc_hf_export_config(struct sc_hf_export *x)
{
    const struct sc_hparams *h = &x->h;
    const struct sc_tensor *table = sc_gguf_find_tensor(x->gguf, "token_embd.weight");
    if (!table || table->n_dims != 2) {
        fail(x, "there is no matrix 'token_embd.weight'");
        return NULL;
    }
    const char *type = strcmp(table->format->name, "F32") == 0   ? "float32"
                       : strcmp(table->format->name, "F16") == 0 ? "float16"
                                                                 : "bfloat16";
    json_t *config = json_pack("{s:[s], s:s, s:s}", "architectures", x->family->architecture, "model_type",
                               x->family->model_type, "torch_dtype", type);
    put_count(config, "vocab_size", (uint32_t)table->shape[1]);
    put_count(config, "hidden_size", h->n_embd);
    put_count(config, "num_hidden_layers", h->n_layer);
    put_count(config, "intermediate_size", h->n_ff);
    put_count(config, "max_position_embeddings", h->n_context);
    put_number(config, "rms_norm_eps", shortest(h->rms_eps));
    json_object_set_new(config, "tie_word_embeddings", json_boolean(!has_tensor(x, "output.weight")));
    put_heads(x, config);
    put_rope(x, config);
    put_windows(x, config);
    put_experts(x, config);
    put_own(x, config);
    put_tokens(x, config);
    return config;
}
