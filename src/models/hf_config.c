// config.json, as GGUF's metadata.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "kernels/elementary64.h"
#include "models/families.h"
#include "models/hf_internal.h"

void sc_hf_fail(struct sc_hf *hf, socle_status status, const char *format, ...)
{
    char what[700];
    va_list args;
    if (hf->status != SOCLE_OK) return;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    hf->status = sc_fail(hf->err, status, "%s: %s", hf->folder, what);
}

json_t *sc_hf_read_json(struct sc_hf *hf, const char *name, bool required)
{
    char path[4096], *data;
    size_t n_bytes;
    json_error_t problem;
    socle_error err;
    if (hf->status != SOCLE_OK) return NULL;
    if (snprintf(path, sizeof path, "%s/%s", hf->folder, name) >= (int)sizeof path) {
        sc_hf_fail(hf, SOCLE_IO, "the path is too long");
        return NULL;
    }
    if (sc_read_file(path, (size_t)256 << 20, &data, &n_bytes, &err) != SOCLE_OK) {
        if (required) {
            hf->status = err.status;
            *hf->err = err;
        }
        return NULL;
    }
    json_t *json = json_loadb(data, n_bytes, JSON_ALLOW_NUL, &problem);
    free(data);
    if (json_is_object(json)) return json;
    sc_hf_fail(hf, SOCLE_BAD_FILE, "%s is no JSON object: line %d, column %d: %s", name, problem.line, problem.column,
               json ? "another value" : problem.text);
    json_decref(json);
    return NULL;
}

// ---- keys

double sc_hf_number(struct sc_hf *hf, const char *key, double when_absent)
{
    const json_t *value = json_object_get(hf->config, key);
    if (!value || json_is_null(value)) return when_absent;
    if (json_is_number(value)) return json_number_value(value);
    sc_hf_fail(hf, SOCLE_BAD_FILE, "config.json, key '%s': expected a number", key);
    return when_absent;
}

uint32_t sc_hf_count(struct sc_hf *hf, const char *key, uint32_t when_absent)
{
    double value = sc_hf_number(hf, key, when_absent);
    if (value >= 0 && value < 0x1p31 && value == (double)(uint32_t)value) return (uint32_t)value;
    sc_hf_fail(hf, SOCLE_BAD_FILE, "config.json, key '%s': expected a whole number below 2^31, found %g", key, value);
    return when_absent;
}

static const char *full_key(const struct sc_hf *hf, const char *name, char out[200])
{
    snprintf(out, 200, "%s.%s", hf->family->name, name);
    return out;
}

void sc_hf_set_u32(struct sc_hf *hf, const char *name, uint32_t value)
{
    char key[200];
    if (hf->status == SOCLE_OK)
        hf->status = sc_gguf_writer_set_u32(hf->writer, full_key(hf, name, key), value, hf->err);
}

void sc_hf_set_f32(struct sc_hf *hf, const char *name, double value)
{
    char key[200];
    if (hf->status == SOCLE_OK)
        hf->status = sc_gguf_writer_set_f32(hf->writer, full_key(hf, name, key), (float)value, hf->err);
}

void sc_hf_set_bool(struct sc_hf *hf, const char *name, bool value)
{
    char key[200];
    if (hf->status == SOCLE_OK)
        hf->status = sc_gguf_writer_set_bool(hf->writer, full_key(hf, name, key), value, hf->err);
}

void sc_hf_set_text(struct sc_hf *hf, const char *name, const char *value)
{
    char key[200];
    if (hf->status == SOCLE_OK)
        hf->status = sc_gguf_writer_set_text(hf->writer, full_key(hf, name, key), sc_text_of(value), hf->err);
}

// ---- rotary embedding

static double number_in(const json_t *object, const char *key, double when_absent)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : when_absent;
}

static void add_factors(struct sc_hf *hf, const char *name, const float *factors, uint64_t n)
{
    if (hf->status == SOCLE_OK)
        hf->status = sc_gguf_writer_add_tensor(hf->writer, name, sc_format_find_name("F32"), 1, &n, factors, hf->err);
    hf->result->n_tensors++;
}

static float *new_factors(struct sc_hf *hf, uint32_t n)
{
    float *factors = sc_arena_array(&hf->arena, n, sizeof *factors);
    if (!factors) hf->status = sc_fail_memory(hf->err, n * sizeof *factors, "rotary factors");
    return factors;
}

// Llama 3's scaling: slow pairs are divided by the factor, fast ones stay, between them a ramp.
static void llama3_factors(struct sc_hf *hf, const json_t *rope, double base, uint32_t n_rot)
{
    double factor = number_in(rope, "factor", 8), low = number_in(rope, "low_freq_factor", 1);
    double high = number_in(rope, "high_freq_factor", 4);
    double original = number_in(rope, "original_max_position_embeddings", 8192);
    float *factors = new_factors(hf, n_rot / 2);
    if (!factors) return;
    for (uint32_t i = 0; i < n_rot / 2; i++) {
        double wavelength = 2 * 3.14159265358979323846 * sc_pow64(base, 2.0 * i / n_rot);
        double smooth = (original / wavelength - low) / (high - low);
        if (wavelength < original / high) factors[i] = 1.0f;
        else if (wavelength > original / low) factors[i] = (float)factor;
        else factors[i] = (float)(1.0 / ((1.0 - smooth) / factor + smooth));
    }
    add_factors(hf, "rope_freqs.weight", factors, n_rot / 2);
}

static void yarn(struct sc_hf *hf, const json_t *rope)
{
    double all = number_in(rope, "mscale_all_dim", 0);
    sc_hf_set_text(hf, "rope.scaling.type", "yarn");
    sc_hf_set_f32(hf, "rope.scaling.factor", number_in(rope, "factor", 1));
    sc_hf_set_u32(
        hf, "rope.scaling.original_context_length",
        (uint32_t)number_in(rope, "original_max_position_embeddings", sc_hf_number(hf, "max_position_embeddings", 0)));
    sc_hf_set_f32(hf, "rope.scaling.yarn_beta_fast", number_in(rope, "beta_fast", 32));
    sc_hf_set_f32(hf, "rope.scaling.yarn_beta_slow", number_in(rope, "beta_slow", 1));
    if (json_is_false(json_object_get(rope, "truncate"))) sc_hf_set_bool(hf, "rope.scaling.yarn_truncate", false);
    if (all != 0) sc_hf_set_f32(hf, "rope.scaling.yarn_log_multiplier", 0.1 * all);
}

static void long_factors(struct sc_hf *hf, const json_t *rope, const char *key, const char *name, uint32_t n_rot)
{
    const json_t *list = json_object_get(rope, key), *one;
    size_t i;
    if (json_array_size(list) != n_rot / 2) {
        sc_hf_fail(hf, SOCLE_BAD_FILE, "config.json, key '%s': expected %u numbers, found %zu", key, n_rot / 2,
                   json_array_size(list));
        return;
    }
    float *factors = new_factors(hf, n_rot / 2);
    if (!factors) return;
    json_array_foreach (list, i, one) factors[i] = (float)json_number_value(one);
    add_factors(hf, name, factors, n_rot / 2);
}

// LongRoPE (arXiv:2402.13753): two sets of factors, and one on cos and sin.
static void longrope(struct sc_hf *hf, const json_t *rope, uint32_t n_rot)
{
    double context = sc_hf_number(hf, "max_position_embeddings", 1);
    double original = number_in(rope, "original_max_position_embeddings",
                                sc_hf_number(hf, "original_max_position_embeddings", context));
    double scale = original > 1 ? context / original : 1;
    double gain = scale > 1 ? sc_pow64(1 + sc_log64(scale) / sc_log64(original), 0.5) : 1;
    sc_hf_set_u32(hf, "rope.scaling.original_context_length", (uint32_t)original);
    sc_hf_set_f32(hf, "rope.scaling.attn_factor", number_in(rope, "attention_factor", gain));
    long_factors(hf, rope, "long_factor", "rope_factors_long.weight", n_rot);
    long_factors(hf, rope, "short_factor", "rope_factors_short.weight", n_rot);
}

static void set_rope(struct sc_hf *hf)
{
    const json_t *rope = json_object_get(hf->config, "rope_parameters"), *window = NULL;
    if (!json_is_object(rope)) rope = json_object_get(hf->config, "rope_scaling");
    if (json_object_get(rope, "full_attention")) { // apart for layers with a window
        window = json_object_get(rope, "sliding_attention");
        rope = json_object_get(rope, "full_attention");
    }
    double base = number_in(rope, "rope_theta", sc_hf_number(hf, "rope_theta", 10000));
    double share = number_in(rope, "partial_rotary_factor", sc_hf_number(hf, "partial_rotary_factor", 1));
    uint32_t n_rot = hf->rank ? sc_hf_count(hf, "qk_rope_head_dim", 0) : (uint32_t)(hf->head_dim * share);
    const char *type = json_string_value(json_object_get(rope, "rope_type"));
    if (!type) type = json_string_value(json_object_get(rope, "type"));
    sc_hf_set_f32(hf, "rope.freq_base", base);
    if (!hf->rank) sc_hf_set_u32(hf, "rope.dimension_count", n_rot);
    double local = number_in(window, "rope_theta", sc_hf_number(hf, "rope_local_base_freq", 0));
    if (local > 0) sc_hf_set_f32(hf, "rope.freq_base_swa", local);
    if (!type || strcmp(type, "default") == 0) return;
    if (strcmp(type, "linear") == 0) {
        sc_hf_set_text(hf, "rope.scaling.type", "linear");
        sc_hf_set_f32(hf, "rope.scaling.factor", number_in(rope, "factor", 1));
    } else if (strcmp(type, "llama3") == 0) llama3_factors(hf, rope, base, n_rot);
    else if (strcmp(type, "yarn") == 0) yarn(hf, rope);
    else if (strcmp(type, "longrope") == 0 || strcmp(type, "su") == 0) longrope(hf, rope, n_rot);
    else
        sc_hf_fail(hf, SOCLE_UNSUPPORTED,
                   "config.json: rope scaling '%s': expected default, linear, llama3, yarn or longrope", type);
}

// ---- windows, experts

static void set_windows(struct sc_hf *hf)
{
    const struct sc_family *family = sc_family_find(sc_text_of(hf->family->name));
    uint32_t period = family->window_pattern, window = sc_hf_count(hf, "sliding_window", 0);
    if (period == 0) return; // the family has none
    sc_hf_set_u32(hf, "attention.sliding_window", window);
    const json_t *layers = json_object_get(hf->config, "layer_types"), *layer;
    int32_t *flags = sc_arena_array(&hf->arena, hf->n_layer, sizeof *flags);
    bool usual = true;
    size_t i;
    char key[200];
    if (!flags || json_array_size(layers) != hf->n_layer) return;
    json_array_foreach (layers, i, layer) {
        const char *type = json_string_value(layer);
        flags[i] = type && strcmp(type, "sliding_attention") == 0;
        usual = usual && (flags[i] != 0) == (period == 1 || i % period < period - 1);
    }
    if (!usual && hf->status == SOCLE_OK)
        hf->status = sc_gguf_writer_set_i32s(hf->writer, full_key(hf, "attention.sliding_window_pattern", key), flags,
                                             hf->n_layer, hf->err);
}

static void set_experts(struct sc_hf *hf)
{
    static const char *const counts[] = { "num_local_experts", "num_experts", "n_routed_experts" };
    for (size_t i = 0; i < SC_COUNT(counts) && !hf->n_expert; i++) hf->n_expert = sc_hf_count(hf, counts[i], 0);
    if (!hf->n_expert) return;
    const char *scoring = json_string_value(json_object_get(hf->config, "scoring_func"));
    const char *architecture = hf->family->architecture;
    bool sigmoid = scoring ? strcmp(scoring, "sigmoid") == 0 : strcmp(architecture, "DeepseekV3ForCausalLM") == 0;
    uint32_t n_shared = sc_hf_count(hf, "n_shared_experts", 0), width = sc_hf_count(hf, "moe_intermediate_size", 0);
    sc_hf_set_u32(hf, "expert_count", hf->n_expert);
    sc_hf_set_u32(hf, "expert_used_count", sc_hf_count(hf, "num_experts_per_tok", 2));
    if (width) sc_hf_set_u32(hf, "expert_feed_forward_length", width);
    if (n_shared) sc_hf_set_u32(hf, "expert_shared_count", n_shared);
    if (!hf->rank) return;
    sc_hf_set_u32(hf, "expert_gating_func", sigmoid ? SC_GATING_SIGMOID : SC_GATING_SOFTMAX);
    sc_hf_set_u32(hf, "leading_dense_block_count", sc_hf_count(hf, "first_k_dense_replace", 0));
    sc_hf_set_f32(hf, "expert_weights_scale", sc_hf_number(hf, "routed_scaling_factor", 1));
    sc_hf_set_bool(hf, "expert_weights_norm", json_is_true(json_object_get(hf->config, "norm_topk_prob")));
    const char *method = json_string_value(json_object_get(hf->config, "topk_method"));
    bool grouped = sigmoid || (method && strcmp(method, "group_limited_greedy") == 0);
    if (grouped && sc_hf_count(hf, "n_group", 0) > 1) {
        sc_hf_set_u32(hf, "expert_group_count", sc_hf_count(hf, "n_group", 1));
        sc_hf_set_u32(hf, "expert_group_used_count", sc_hf_count(hf, "topk_group", 1));
    }
}

// ---- all

static void find_family(struct sc_hf *hf)
{
    const json_t *list = json_object_get(hf->document, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    const struct sc_hf_family *family;
    char known[1200];
    size_t n = 0;
    for (size_t i = 0; (family = sc_hf_family_at(i)); i++) {
        if (name && strcmp(name, family->architecture) == 0) {
            hf->family = family;
            return;
        }
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", family->architecture);
    }
    sc_hf_fail(hf, SOCLE_UNSUPPORTED, "config.json: the architecture '%.100s' is not known: expected one of %s",
               name ? name : "", known);
}

static void set_shape(struct sc_hf *hf)
{
    uint32_t n_embd = sc_hf_count(hf, "hidden_size", 0);
    hf->n_layer = sc_hf_count(hf, "num_hidden_layers", 0);
    hf->n_head = sc_hf_count(hf, "num_attention_heads", 0);
    hf->n_head_kv = sc_hf_count(hf, "num_key_value_heads", hf->n_head);
    hf->n_vocab = sc_hf_count(hf, "vocab_size", 0);
    if (!n_embd || !hf->n_layer || !hf->n_head || !hf->n_head_kv || !hf->n_vocab) {
        sc_hf_fail(
            hf, SOCLE_BAD_FILE,
            "config.json: expected hidden_size, num_hidden_layers, num_attention_heads and vocab_size of 1 or more");
        return;
    }
    hf->head_dim = sc_hf_count(hf, "head_dim", n_embd / hf->n_head);
    sc_hf_set_u32(hf, "context_length", sc_hf_count(hf, "max_position_embeddings", 2048));
    sc_hf_set_u32(hf, "embedding_length", n_embd);
    sc_hf_set_u32(hf, "block_count", hf->n_layer);
    sc_hf_set_u32(hf, "feed_forward_length", sc_hf_count(hf, "intermediate_size", 0));
    sc_hf_set_u32(hf, "vocab_size", hf->n_vocab);
    sc_hf_set_u32(hf, "attention.head_count", hf->n_head);
    sc_hf_set_f32(hf, "attention.layer_norm_rms_epsilon", sc_hf_number(hf, "rms_norm_eps", 1e-6));
}

void sc_hf_config(struct sc_hf *hf)
{
    if (hf->status != SOCLE_OK) return;
    find_family(hf);
    if (hf->status != SOCLE_OK) return;
    hf->result->family = hf->family->name;
    const char *slash = strrchr(hf->folder, '/');
    hf->status = sc_gguf_writer_set_text(hf->writer, "general.architecture", sc_text_of(hf->family->name), hf->err);
    if (hf->status == SOCLE_OK && slash && slash[1])
        hf->status = sc_gguf_writer_set_text(hf->writer, "general.name", sc_text_of(slash + 1), hf->err);
    set_shape(hf);
    if (hf->status != SOCLE_OK) return;
    if (hf->family->config) hf->family->config(hf);
    sc_hf_set_u32(hf, "attention.head_count_kv", hf->rank ? 1 : hf->n_head_kv);
    if (!hf->rank) {
        sc_hf_set_u32(hf, "attention.key_length", hf->head_dim);
        sc_hf_set_u32(hf, "attention.value_length", hf->head_dim);
    }
    set_rope(hf);
    set_windows(hf);
    set_experts(hf);
}
