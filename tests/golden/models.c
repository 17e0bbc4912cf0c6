// Tiny models with random weights, made in memory: every family, every format, and the sizes where kernels have tails.
//
// A recipe says what a model is; its weights depend on the tensors' names and indices alone, through integers and exact
// steps, so that every machine makes the same file.
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/size.h"
#include "formats/gguf_writer.h"
#include "tensor/half.h"

enum { N_VOCAB = 37, TENSORS_MAX = 128 };

// Rows that end in the middle of a group of 16, and K of 24, 32, 64, 75, 96, 256, 288, 290, 320, 512, 768.
#define SMALL_BLOCKS .n_embd = 288, .n_head = 12, .n_head_kv = 3, .dim = 24, .n_ff = 96
#define GREAT_BLOCKS .n_embd = 512, .n_head = 32, .n_head_kv = 1, .dim = 24, .n_ff = 256, .n_layer = 1, .n_tokens = 20
#define ODD_SIZES .n_embd = 290, .n_head = 5, .n_head_kv = 1, .dim = 58, .n_ff = 75

static const struct golden_recipe recipes[] = {
    { "formats/F32", "llama", "F32", ODD_SIZES },
    { "formats/F16", "llama", "F16", ODD_SIZES },
    { "formats/BF16", "llama", "BF16", ODD_SIZES },
    { "formats/Q8_0", "llama", "Q8_0", SMALL_BLOCKS },
    { "formats/Q4_0", "llama", "Q4_0", SMALL_BLOCKS },
    { "formats/Q4_1", "llama", "Q4_1", SMALL_BLOCKS },
    { "formats/Q5_0", "llama", "Q5_0", SMALL_BLOCKS },
    { "formats/Q5_1", "llama", "Q5_1", SMALL_BLOCKS },
    { "formats/IQ4_NL", "llama", "IQ4_NL", SMALL_BLOCKS },
    { "formats/MXFP4", "llama", "MXFP4", SMALL_BLOCKS },
    { "formats/Q2_K", "llama", "Q2_K", GREAT_BLOCKS },
    { "formats/Q3_K", "llama", "Q3_K", GREAT_BLOCKS },
    { "formats/Q4_K", "llama", "Q4_K", GREAT_BLOCKS },
    { "formats/Q5_K", "llama", "Q5_K", GREAT_BLOCKS },
    { "formats/Q6_K", "llama", "Q6_K", GREAT_BLOCKS },
    { "formats/IQ4_XS", "llama", "IQ4_XS", GREAT_BLOCKS },
    { "formats/TQ2_0", "llama", "TQ2_0", GREAT_BLOCKS },

    { "families/llama", "llama", NULL, ODD_SIZES, .features = GOLDEN_FACTORS | GOLDEN_SCALES | GOLDEN_BIASES },
    { "families/llama-experts", "llama", "F16", .n_embd = 70, .n_head = 2, .n_head_kv = 1, .dim = 35 + 1, .n_ff = 33,
      .n_expert = 5, .features = GOLDEN_EXPERTS, .keys = { { "expert_used_count", 2 } } },
    { "families/mistral3", "mistral3", "Q8_0", SMALL_BLOCKS,
      .keys = { { "attention.temperature_scale", .f32 = 0.1f },
                { "attention.temperature_length", 8 },
                { "rope.scaling.type", .text = "yarn" },
                { "rope.scaling.factor", .f32 = 4.0f },
                { "rope.scaling.original_context_length", 16 },
                { "rope.scaling.yarn_log_multiplier", .f32 = 1.0f } } },
    { "families/qwen2", "qwen2", "Q5_0", SMALL_BLOCKS, .features = GOLDEN_BIASES | GOLDEN_TIED,
      .keys = { { "rope.scaling.type", .text = "linear" }, { "rope.scaling.factor", .f32 = 2.5f } } },
    { "families/qwen3", "qwen3", "Q4_0", SMALL_BLOCKS, .features = GOLDEN_QK_NORMS },
    { "families/qwen3moe", "qwen3moe", "Q4_K", .n_embd = 256, .n_head = 8, .n_head_kv = 2, .dim = 32, .n_ff = 256,
      .n_expert = 6, .features = GOLDEN_QK_NORMS | GOLDEN_EXPERTS, .keys = { { "expert_used_count", 3 } } },
    { "families/deepseek", "deepseek", "Q5_1", .n_embd = 64, .n_head = 2, .n_head_kv = 2, .dim = 32, .n_ff = 32,
      .n_expert = 7, .features = GOLDEN_EXPERTS | GOLDEN_SHARED,
      .keys = { { "expert_used_count", 3 }, { "expert_weights_scale", .f32 = 1.5f } } },
    { "families/deepseek2-lite", "deepseek2", NULL, .n_embd = 64, .n_head = 2, .n_head_kv = 1, .dim = 40, .n_ff = 31,
      .rank = 300, .n_rot = 16, .n_expert = 6, .features = GOLDEN_LATENT | GOLDEN_EXPERTS | GOLDEN_SHARED,
      .keys = { { "expert_used_count", 2 } } },
    { "families/deepseek2", "deepseek2", "Q8_0", .n_embd = 96, .n_head = 3, .n_head_kv = 1, .dim = 64, .n_ff = 64,
      .rank = 320, .n_rot = 32, .q_rank = 64, .n_expert = 8,
      .features = GOLDEN_LATENT | GOLDEN_SPLIT | GOLDEN_Q_LORA | GOLDEN_EXPERTS | GOLDEN_SHARED | GOLDEN_CHOICE_BIAS,
      .keys = { { "expert_used_count", 3 },
                { "expert_group_count", 4 },
                { "expert_group_used_count", 2 },
                { "expert_weights_norm", 1 },
                { "expert_weights_scale", .f32 = 2.5f },
                { "rope.scaling.type", .text = "yarn" },
                { "rope.scaling.factor", .f32 = 8.0f },
                { "rope.scaling.yarn_log_multiplier", .f32 = 0.1f } } },
    { "families/gemma2", "gemma2", "F16", ODD_SIZES, .features = GOLDEN_POST_NORMS | GOLDEN_TIED,
      .keys = { { "attention.sliding_window", 5 } } },
    { "families/gemma3", "gemma3", "BF16", ODD_SIZES, .n_layer = 3,
      .features = GOLDEN_POST_NORMS | GOLDEN_QK_NORMS | GOLDEN_TIED,
      .keys = { { "attention.sliding_window", 6 },
                { "attention.sliding_window_pattern", 3 },
                { "rope.freq_base", .f32 = 1e6f },
                { "rope.scaling.factor", .f32 = 8.0f } } },
    { "families/phi3", "phi3", "Q4_1", SMALL_BLOCKS, .features = GOLDEN_FUSED | GOLDEN_LONG_ROPE,
      .keys = { { "rope.scaling.original_context_length", 16 },
                { "rope.scaling.attn_factor", .f32 = 1.19f },
                { "attention.sliding_window", 9 } } },
    { "families/gpt-oss", "gpt-oss", "MXFP4", .n_embd = 64, .n_head = 4, .n_head_kv = 2, .dim = 24 + 8, .n_ff = 32,
      .n_expert = 5, .features = GOLDEN_BIASES | GOLDEN_SINKS | GOLDEN_EXPERTS,
      .keys = { { "expert_used_count", 2 },
                { "attention.sliding_window", 7 },
                { "rope.scaling.type", .text = "yarn" },
                { "rope.scaling.factor", .f32 = 32.0f },
                { "rope.scaling.original_context_length", 16 } } },
    { "families/glm4", "glm4", "Q6_K", .n_embd = 256, .n_head = 8, .n_head_kv = 2, .dim = 32, .n_ff = 256,
      .features = GOLDEN_POST_NORMS | GOLDEN_BIASES, .keys = { { "rope.dimension_count", 16 } } },
    { "families/granite", "granite", "IQ4_NL", SMALL_BLOCKS,
      .keys = { { "embedding_scale", .f32 = 12.0f },
                { "residual_scale", .f32 = 0.22f },
                { "logit_scale", .f32 = 8.0f },
                { "attention.scale", .f32 = 0.0156f } } },
    { "families/smollm3", "smollm3", "Q5_K", .n_embd = 256, .n_head = 4, .n_head_kv = 1, .dim = 64, .n_ff = 256,
      .n_layer = 4, .n_tokens = 16 },

    // More than one segment of 256 positions, windows that begin inside one.
    { "long/llama", "llama", NULL, .n_tokens = 800, .n_context = 810, .n_layer = 1, .n_embd = 32, .n_head = 2,
      .n_head_kv = 1, .dim = 16, .n_ff = 24 },
    { "long/gemma2", "gemma2", "Q8_0", .n_tokens = 540, .n_context = 560, .n_embd = 32, .n_head = 1, .n_head_kv = 1,
      .dim = 32, .n_ff = 32, .features = GOLDEN_POST_NORMS, .keys = { { "attention.sliding_window", 300 } } },
    { "long/gpt-oss", "gpt-oss", "MXFP4", .n_tokens = 540, .n_context = 560, .n_embd = 32, .n_head = 2, .n_head_kv = 1,
      .dim = 16, .n_ff = 32, .n_expert = 4, .features = GOLDEN_BIASES | GOLDEN_SINKS | GOLDEN_EXPERTS,
      .keys = { { "expert_used_count", 2 }, { "attention.sliding_window", 270 } } },
    { "long/deepseek2", "deepseek2", NULL, .n_tokens = 540, .n_context = 560, .n_layer = 1, .n_embd = 32, .n_head = 2,
      .n_head_kv = 1, .dim = 16, .n_ff = 24, .rank = 24, .n_rot = 8, .features = GOLDEN_LATENT | GOLDEN_SPLIT },
};

const struct golden_recipe *golden_recipe_at(size_t i) { return i < SC_COUNT(recipes) ? &recipes[i] : NULL; }

struct maker {
    const struct golden_recipe *recipe;
    const struct sc_format *format;
    struct sc_gguf_writer *writer;
    void *weights[TENSORS_MAX];
    size_t n_weights;
    int layer; // that names begin with; -1: none
    socle_status status;
    socle_error *err;
};

// ---- values

static uint64_t seed_of(const char *name)
{
    uint64_t hash = golden_hash_start;
    for (; *name; name++) hash = golden_hash_word(hash, (unsigned char)*name);
    return hash;
}

// In [-1, 1), a multiple of 2^-23.
static float value(uint64_t seed, uint64_t i)
{
    return (float)(int32_t)(golden_random(seed, i) >> 40) * 0x1p-23f - 1.0f;
}

// The power of two that gives sums over k elements a size of about 1.
static float amplitude(uint64_t k)
{
    float a = 1.0f;
    while ((float)k * a * a > 4.0f) a *= 0.5f;
    return a;
}

// Random bytes are drawn until a block's greatest magnitude is near `size`.
static void fill_block(const struct sc_format *format, uint8_t *bytes, uint64_t seed, float size)
{
    float decoded[SC_BLOCK_MAX], amax;
    uint64_t draw = 0, bits = 0;
    do {
        for (size_t i = 0; i < format->block_bytes; i++, bits >>= 8) {
            if (i % 8 == 0) bits = golden_random(seed, draw++);
            bytes[i] = (uint8_t)bits;
        }
        format->decode(bytes, decoded, 1);
        amax = 0.0f;
        for (size_t i = 0; i < format->block_size; i++) {
            float magnitude = decoded[i] < 0.0f ? -decoded[i] : decoded[i];
            if (!(magnitude <= amax)) amax = magnitude; // not-a-number stays
        }
    } while (!(amax >= 0.5f * size && amax <= 2.0f * size));
}

// A tensor's blocks, in random order, are DIFFERENT different ones: finding them takes many draws.
static void fill_quantized(const struct sc_format *format, uint8_t *bytes, uint64_t n_blocks, uint64_t seed, float size)
{
    enum { DIFFERENT = 48 };
    for (uint64_t b = 0; b < n_blocks; b++) {
        uint8_t *at = bytes + b * format->block_bytes;
        uint64_t twin = golden_random(~seed, b) % DIFFERENT;
        if (b < DIFFERENT) fill_block(format, at, golden_random(seed, b), size);
        else memcpy(at, bytes + twin * format->block_bytes, format->block_bytes);
    }
}

static void fill_float(const struct sc_format *format, uint8_t *bytes, uint64_t n, uint64_t seed, float size)
{
    for (uint64_t i = 0; i < n; i++) {
        float number = size * value(seed, i);
        uint32_t bits = sc_bits_of_f32(number);
        if (strcmp(format->name, "F16") == 0) bits = sc_f16_from_f32(number);
        if (strcmp(format->name, "BF16") == 0) bits >>= 16;
        for (size_t j = 0; j < format->block_bytes; j++) *bytes++ = (uint8_t)(bits >> (8 * j));
    }
}

static uint8_t *make_blocks(const struct sc_format *format, uint64_t n, uint64_t seed, float size)
{
    uint64_t n_blocks = n / format->block_size;
    uint8_t *bytes = malloc(n_blocks * format->block_bytes);
    if (bytes && format->unpack) fill_quantized(format, bytes, n_blocks, seed, size);
    else if (bytes) fill_float(format, bytes, n, seed, size);
    return bytes;
}

// ---- tensors

// One of a file or of a layer. Norms lie around 1; products that the format's blocks do not divide are F32.
static void tensor(struct maker *m, const char *name, uint64_t k, uint64_t rows, uint64_t matrices)
{
    char full[96];
    if (m->layer < 0) snprintf(full, sizeof full, "%s", name);
    else snprintf(full, sizeof full, "blk.%d.%s", m->layer, name);
    bool product = rows > 1 && strstr(name, ".weight") && !strstr(name, "ffn_gate_inp");
    bool norm = strstr(name, "norm.weight") || strstr(name, "rope_f") || strstr(name, ".scale");
    const struct sc_format *format = product && k % m->format->block_size == 0 ? m->format : sc_format_find_name("F32");
    uint64_t shape[3] = { k, rows, matrices }, n = k * rows * matrices;
    float size = strstr(name, "token_embd") ? 1.0f : rows > 1 ? amplitude(k) : 0.5f;
    uint8_t *bytes = make_blocks(format, n, seed_of(full), size);
    if (!bytes || m->n_weights == TENSORS_MAX) {
        free(bytes);
        if (m->status == SOCLE_OK) m->status = sc_fail(m->err, SOCLE_NO_MEMORY, "no room for '%s'", full);
        return;
    }
    m->weights[m->n_weights++] = bytes;
    for (uint64_t i = 0; norm && i < n; i++) {
        float number;
        memcpy(&number, bytes + 4 * i, 4);
        number = number + 1.0f;
        memcpy(bytes + 4 * i, &number, 4);
    }
    uint32_t n_dims = matrices > 1 ? 3 : rows > 1 ? 2 : 1;
    if (m->status == SOCLE_OK)
        m->status = sc_gguf_writer_add_tensor(m->writer, full, format, n_dims, shape, bytes, m->err);
}

static bool has(const struct maker *m, uint32_t feature) { return (m->recipe->features & feature) != 0; }

// The weight, and the bias and the scale where the recipe has them.
static void product(struct maker *m, const char *name, uint64_t k, uint64_t rows, uint64_t matrices, bool bias)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    tensor(m, full, k, rows, matrices);
    snprintf(full, sizeof full, "%s.bias", name);
    if (bias && has(m, GOLDEN_BIASES)) tensor(m, full, rows, matrices, 1);
    snprintf(full, sizeof full, "%s.scale", name);
    if (has(m, GOLDEN_SCALES)) tensor(m, full, matrices, 1, 1);
}

static void latent_attention(struct maker *m)
{
    const struct golden_recipe *r = m->recipe;
    uint32_t nope = r->dim - r->n_rot, width = r->n_head * r->dim;
    if (has(m, GOLDEN_Q_LORA)) {
        product(m, "attn_q_a", r->n_embd, r->q_rank, 1, false);
        tensor(m, "attn_q_a_norm.weight", r->q_rank, 1, 1);
        product(m, "attn_q_b", r->q_rank, width, 1, false);
    } else {
        product(m, "attn_q", r->n_embd, width, 1, false);
    }
    product(m, "attn_kv_a_mqa", r->n_embd, r->rank + r->n_rot, 1, false);
    tensor(m, "attn_kv_a_norm.weight", r->rank, 1, 1);
    if (has(m, GOLDEN_SPLIT)) {
        product(m, "attn_k_b", nope, r->rank, r->n_head, false);
        product(m, "attn_v_b", r->rank, r->dim, r->n_head, false);
    } else {
        product(m, "attn_kv_b", r->rank, r->n_head * (nope + r->dim), 1, false);
    }
    product(m, "attn_output", width, r->n_embd, 1, false);
}

static void attention(struct maker *m)
{
    const struct golden_recipe *r = m->recipe;
    uint32_t width = r->n_head * r->dim, width_kv = r->n_head_kv * r->dim;
    if (has(m, GOLDEN_LATENT)) {
        latent_attention(m);
        return;
    }
    if (has(m, GOLDEN_FUSED)) {
        product(m, "attn_qkv", r->n_embd, width + 2 * width_kv, 1, true);
    } else {
        product(m, "attn_q", r->n_embd, width, 1, true);
        product(m, "attn_k", r->n_embd, width_kv, 1, true);
        product(m, "attn_v", r->n_embd, width_kv, 1, true);
    }
    if (has(m, GOLDEN_QK_NORMS)) tensor(m, "attn_q_norm.weight", r->dim, 1, 1);
    if (has(m, GOLDEN_QK_NORMS)) tensor(m, "attn_k_norm.weight", r->dim, 1, 1);
    if (has(m, GOLDEN_SINKS)) tensor(m, "attn_sinks.weight", r->n_head, 1, 1);
    product(m, "attn_output", width, r->n_embd, 1, true);
}

static void gated(struct maker *m, const char *suffix, uint64_t matrices, bool bias)
{
    const struct golden_recipe *r = m->recipe;
    char name[32];
    snprintf(name, sizeof name, "ffn_gate%s", suffix);
    if (!has(m, GOLDEN_FUSED)) product(m, name, r->n_embd, r->n_ff, matrices, bias);
    snprintf(name, sizeof name, "ffn_up%s", suffix);
    product(m, name, r->n_embd, has(m, GOLDEN_FUSED) ? 2 * r->n_ff : r->n_ff, matrices, bias);
    snprintf(name, sizeof name, "ffn_down%s", suffix);
    product(m, name, r->n_ff, r->n_embd, matrices, bias);
}

static void feed_forward(struct maker *m)
{
    const struct golden_recipe *r = m->recipe;
    if (!has(m, GOLDEN_EXPERTS) || (has(m, GOLDEN_SHARED) && m->layer == 0)) {
        gated(m, "", 1, false);
        return;
    }
    product(m, "ffn_gate_inp", r->n_embd, r->n_expert, 1, true);
    if (has(m, GOLDEN_CHOICE_BIAS)) tensor(m, "exp_probs_b.bias", r->n_expert, 1, 1);
    gated(m, "_exps", r->n_expert, true);
    if (has(m, GOLDEN_SHARED)) gated(m, "_shexp", 1, false);
}

static void tensors(struct maker *m)
{
    const struct golden_recipe *r = m->recipe;
    bool oai = strcmp(r->family, "gpt-oss") == 0; // the name means another norm there
    m->layer = -1;
    tensor(m, "token_embd.weight", r->n_embd, N_VOCAB, 1);
    tensor(m, "output_norm.weight", r->n_embd, 1, 1);
    if (!has(m, GOLDEN_TIED)) tensor(m, "output.weight", r->n_embd, N_VOCAB, 1);
    if (has(m, GOLDEN_FACTORS)) tensor(m, "rope_freqs.weight", r->dim / 2, 1, 1);
    if (has(m, GOLDEN_LONG_ROPE)) tensor(m, "rope_factors_short.weight", r->dim / 2, 1, 1);
    if (has(m, GOLDEN_LONG_ROPE)) tensor(m, "rope_factors_long.weight", r->dim / 2, 1, 1);
    for (m->layer = 0; m->layer < (int)(r->n_layer ? r->n_layer : 2); m->layer++) {
        tensor(m, "attn_norm.weight", r->n_embd, 1, 1);
        tensor(m, oai ? "post_attention_norm.weight" : "ffn_norm.weight", r->n_embd, 1, 1);
        if (has(m, GOLDEN_POST_NORMS)) tensor(m, "post_attention_norm.weight", r->n_embd, 1, 1);
        if (has(m, GOLDEN_POST_NORMS)) tensor(m, "post_ffw_norm.weight", r->n_embd, 1, 1);
        attention(m);
        feed_forward(m);
    }
}

// ---- hyperparameters

static void set_key(struct maker *m, const struct golden_key *key)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", m->recipe->family, key->name);
    if (m->status != SOCLE_OK) return;
    if (key->text) m->status = sc_gguf_writer_set_text(m->writer, full, sc_text_of(key->text), m->err);
    else if (key->f32 != 0.0f) m->status = sc_gguf_writer_set_f32(m->writer, full, key->f32, m->err);
    else m->status = sc_gguf_writer_set_u32(m->writer, full, key->u32, m->err);
}

static void hyperparameters(struct maker *m)
{
    const struct golden_recipe *r = m->recipe;
    bool latent = has(m, GOLDEN_LATENT), split = has(m, GOLDEN_SPLIT);
    const struct golden_key keys[] = {
        { "context_length", r->n_context ? r->n_context : 64 },
        { "embedding_length", r->n_embd },
        { "block_count", r->n_layer ? r->n_layer : 2 },
        { "feed_forward_length", r->n_ff },
        { "attention.head_count", r->n_head },
        { "attention.head_count_kv", split    ? 1
                                     : latent ? r->n_head
                                              : r->n_head_kv },
        { "attention.key_length", split ? r->rank + r->n_rot : r->dim },
        { "attention.value_length", split ? r->rank : r->dim },
        { latent ? "attention.kv_lora_rank" : NULL, r->rank },
        { latent ? "rope.dimension_count" : NULL, r->n_rot },
        { split ? "attention.key_length_mla" : NULL, r->dim },
        { split ? "attention.value_length_mla" : NULL, r->dim },
        { r->n_expert ? "expert_count" : NULL, r->n_expert },
    };
    if (m->status == SOCLE_OK)
        m->status = sc_gguf_writer_set_text(m->writer, "general.architecture", sc_text_of(r->family), m->err);
    for (size_t i = 0; i < SC_COUNT(keys); i++)
        if (keys[i].name) set_key(m, &keys[i]);
    for (size_t i = 0; i < GOLDEN_KEYS_MAX && r->keys[i].name; i++) set_key(m, &r->keys[i]);
}

char *golden_make(const struct golden_recipe *recipe, size_t *n_bytes, socle_error *err)
{
    struct maker m = { .recipe = recipe, .err = err };
    struct sc_buffer buffer = { 0 };
    m.format = sc_format_find_name(recipe->format ? recipe->format : "F32");
    m.status = sc_gguf_writer_create(&m.writer, err);
    hyperparameters(&m);
    if (m.status == SOCLE_OK) tensors(&m);
    if (m.status == SOCLE_OK) m.status = sc_gguf_writer_write_buffer(m.writer, &buffer, err);
    sc_gguf_writer_free(m.writer);
    for (size_t i = 0; i < m.n_weights; i++) free(m.weights[i]);
    *n_bytes = buffer.n_bytes;
    if (m.status == SOCLE_OK) return sc_buffer_take(&buffer);
    sc_buffer_free(&buffer);
    return NULL;
}
