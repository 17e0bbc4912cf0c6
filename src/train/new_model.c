#include "train/new_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/size.h"
#include "train/model_file.h"

// A tensor to be: every element is `value` plus a near-normal number of this deviation.
struct tensor {
    uint64_t seed, index, k;
    float deviation, value;
};

struct maker {
    const socle_train_options *o;
    struct sc_gguf_writer *writer;
    struct tensor *tensors;
    uint64_t n_tensors;
    socle_status status;
    socle_error *err;
};

// Eight uniform numbers of 16 bits, added up: mean 8 * 32767.5, variance 8 (2^32 - 1) / 12.
static float near_normal(const struct tensor *t, uint64_t i)
{
    uint32_t c[4] = { (uint32_t)i, (uint32_t)(i >> 32), SC_RANDOM_WEIGHTS, (uint32_t)t->index };
    uint32_t key[2] = { (uint32_t)t->seed, (uint32_t)(t->seed >> 32) };
    sc_philox(c, key);
    uint32_t sum = 0;
    for (int j = 0; j < 4; j++) sum += (c[j] & 0xffff) + (c[j] >> 16);
    return (float)(((double)sum - 262140.0) * 1.8688e-5); // 1 / sqrt(variance)
}

static socle_status write_row(void *user, uint64_t row, void *out, socle_error *err)
{
    const struct tensor *t = user;
    float *values = out;
    (void)err;
    for (uint64_t i = 0; i < t->k; i++)
        values[i] = t->deviation == 0.0f ? t->value : t->deviation * near_normal(t, row * t->k + i);
    return SOCLE_OK;
}

static void add(struct maker *m, const char *name, uint32_t n_dims, const uint64_t *shape, float deviation, float value)
{
    if (m->status != SOCLE_OK) return;
    struct tensor *t = &m->tensors[m->n_tensors++];
    *t = (struct tensor){ m->o->seed, m->n_tensors, shape[0], deviation, value };
    m->status = sc_gguf_writer_add_tensor_rows(m->writer, name, sc_format_find_name("F32"), n_dims, shape, write_row, t,
                                               m->err);
}

static void matrix(struct maker *m, uint32_t layer, const char *name, uint64_t k, uint64_t rows, uint64_t n,
                   float deviation)
{
    char full[96];
    uint64_t shape[3] = { k, rows, n };
    snprintf(full, sizeof full, "blk.%u.%s.weight", layer, name);
    add(m, full, n > 1 ? 3 : 2, shape, deviation, 0.0f);
}

static void vector(struct maker *m, uint32_t layer, const char *name, uint64_t n, float value)
{
    char full[96];
    snprintf(full, sizeof full, "blk.%u.%s", layer, name);
    add(m, full, 1, &n, 0.0f, value);
}

static bool is_family(const struct maker *m, const char *name) { return strcmp(m->o->family, name) == 0; }

static uint32_t head_dim(const socle_train_options *o) { return o->head_dim ? o->head_dim : o->n_embd / o->n_head; }

static void add_layer(struct maker *m, uint32_t layer)
{
    const socle_train_options *o = m->o;
    uint64_t d = head_dim(o), q = o->n_head * d, kv = o->n_head_kv * d;
    float deviation = 0.02f, last = 0.02f / __builtin_sqrtf(2.0f * (float)o->n_layer);
    vector(m, layer, "attn_norm.weight", o->n_embd, 1.0f);
    matrix(m, layer, "attn_q", o->n_embd, q, 1, deviation);
    matrix(m, layer, "attn_k", o->n_embd, kv, 1, deviation);
    matrix(m, layer, "attn_v", o->n_embd, kv, 1, deviation);
    if (is_family(m, "qwen2")) {
        vector(m, layer, "attn_q.bias", q, 0.0f);
        vector(m, layer, "attn_k.bias", kv, 0.0f);
        vector(m, layer, "attn_v.bias", kv, 0.0f);
    }
    if (strncmp(o->family, "qwen3", 5) == 0) {
        vector(m, layer, "attn_q_norm.weight", d, 1.0f);
        vector(m, layer, "attn_k_norm.weight", d, 1.0f);
    }
    matrix(m, layer, "attn_output", q, o->n_embd, 1, last);
    vector(m, layer, "ffn_norm.weight", o->n_embd, 1.0f);
    if (o->n_expert) matrix(m, layer, "ffn_gate_inp", o->n_embd, o->n_expert, 1, deviation);
    uint64_t n = o->n_expert ? o->n_expert : 1;
    matrix(m, layer, n > 1 ? "ffn_gate_exps" : "ffn_gate", o->n_embd, o->n_ff, n, deviation);
    matrix(m, layer, n > 1 ? "ffn_up_exps" : "ffn_up", o->n_embd, o->n_ff, n, deviation);
    matrix(m, layer, n > 1 ? "ffn_down_exps" : "ffn_down", o->n_ff, o->n_embd, n, last);
}

static void set_u32(struct maker *m, const char *key, uint32_t value)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", m->o->family, key);
    if (m->status == SOCLE_OK) m->status = sc_gguf_writer_set_u32(m->writer, full, value, m->err);
}

static void set_f32(struct maker *m, const char *key, float value)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", m->o->family, key);
    if (m->status == SOCLE_OK) m->status = sc_gguf_writer_set_f32(m->writer, full, value, m->err);
}

static void set_text(struct maker *m, const char *key, const char *value)
{
    if (m->status == SOCLE_OK && value) m->status = sc_gguf_writer_set_text(m->writer, key, sc_text_of(value), m->err);
}

static void add_metadata(struct maker *m, uint32_t n_vocab)
{
    const socle_train_options *o = m->o;
    set_text(m, "general.architecture", o->family);
    set_text(m, "general.name", o->name);
    set_text(m, "general.license", o->license);
    set_u32(m, "context_length", o->n_context);
    set_u32(m, "embedding_length", o->n_embd);
    set_u32(m, "block_count", o->n_layer);
    set_u32(m, "feed_forward_length", o->n_ff);
    set_u32(m, "attention.head_count", o->n_head);
    set_u32(m, "attention.head_count_kv", o->n_head_kv);
    set_f32(m, "attention.layer_norm_rms_epsilon", 1e-5f);
    set_u32(m, "rope.dimension_count", head_dim(o));
    set_f32(m, "rope.freq_base", o->rope_base);
    set_u32(m, "vocab_size", n_vocab);
    if (o->head_dim) {
        set_u32(m, "attention.key_length", o->head_dim);
        set_u32(m, "attention.value_length", o->head_dim);
    }
    if (!o->n_expert) return;
    set_u32(m, "expert_count", o->n_expert);
    set_u32(m, "expert_used_count", o->n_expert_used);
    if (is_family(m, "qwen3moe")) set_u32(m, "expert_feed_forward_length", o->n_ff);
}

static socle_status check(const socle_train_options *o, socle_error *err)
{
    static const char *const families[] = { "llama", "qwen2", "qwen3", "qwen3moe" };
    bool known = false;
    for (size_t i = 0; i < SC_COUNT(families); i++) known = known || strcmp(o->family, families[i]) == 0;
    if (!known)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "a new model of the family '%s' cannot be made: expected llama, qwen2, qwen3 or qwen3moe",
                       o->family);
    if (!o->n_layer || !o->n_embd || !o->n_head || !o->n_head_kv || !o->n_ff || !o->n_context)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "a new model needs its number of layers, its width, heads, feed-forward width and context");
    if (o->n_layer > 1024 || o->n_embd > 65536 || o->n_head > 1024 || o->n_ff > 1u << 20 || o->n_expert > 1024)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "a new model of %u layers, width %u, %u heads, feed-forward %u is too large", o->n_layer,
                       o->n_embd, o->n_head, o->n_ff);
    if (o->n_head % o->n_head_kv)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "%u heads are no multiple of %u kv heads", o->n_head, o->n_head_kv);
    if (!o->head_dim && o->n_embd % o->n_head)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "a width of %u is no multiple of %u heads", o->n_embd, o->n_head);
    if (head_dim(o) % 2 || head_dim(o) > 1024)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "heads of %u elements: expected an even number up to 1024",
                       head_dim(o));
    if ((o->n_expert || strcmp(o->family, "qwen3moe") == 0) &&
        (o->n_expert < 2 || o->n_expert_used < 1 || o->n_expert_used > o->n_expert))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "%u of %u experts: expected at least one of at least two",
                       o->n_expert_used, o->n_expert);
    return SOCLE_OK;
}

socle_status sc_new_model(const socle_train_options *o, const struct sc_gguf *vocabulary, struct sc_gguf_writer *writer,
                          void **memory, socle_error *err)
{
    const struct sc_gguf_value *tokens = NULL;
    SC_TRY(check(o, err));
    SC_TRY(sc_gguf_require(vocabulary, "tokenizer.ggml.tokens", err));
    SC_TRY(sc_gguf_get_array(vocabulary, "tokenizer.ggml.tokens", SC_GGUF_STRING, 0, &tokens, err));
    uint64_t n_vocab = tokens->n, table[2] = { o->n_embd, n_vocab }, width = o->n_embd;
    struct maker m = { .o = o, .writer = writer, .err = err };
    m.tensors = calloc((size_t)o->n_layer * 20 + 4, sizeof *m.tensors);
    if (!m.tensors) return sc_fail_memory(err, (size_t)o->n_layer * 20 * sizeof *m.tensors, "a new model");
    *memory = m.tensors;
    add_metadata(&m, (uint32_t)n_vocab);
    for (uint64_t i = 0; i < sc_gguf_n_values(vocabulary) && m.status == SOCLE_OK; i++) {
        const struct sc_gguf_value *value = sc_gguf_value_at(vocabulary, i);
        if (value->key.n_bytes > 10 && memcmp(value->key.data, "tokenizer.", 10) == 0)
            m.status = sc_gguf_writer_copy_value(writer, value, err);
    }
    add(&m, "token_embd.weight", 2, table, 0.02f, 0.0f);
    for (uint32_t layer = 0; layer < o->n_layer; layer++) add_layer(&m, layer);
    add(&m, "output_norm.weight", 1, &width, 0.0f, 1.0f);
    if (o->untied) add(&m, "output.weight", 2, table, 0.02f, 0.0f);
    return m.status;
}
