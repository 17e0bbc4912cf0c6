// Tiny models with random weights, made in memory: a few kilobytes each, for what real files cannot show.
#ifndef SC_TESTS_TINY_MODEL_H
#define SC_TESTS_TINY_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "formats/gguf_writer.h"
#include "tensor/packed.h"

enum {
    TINY_EMBD = 32,
    TINY_HEADS = 2,
    TINY_DIM = 16,
    TINY_FF = 32,
    TINY_VOCAB = 12,
    TINY_LAYERS = 2,
    TINY_RANK = 8,
    TINY_ROT = 4,
    TINY_EXPERTS = 4,
    TINY_CONTEXT = 64
};

struct tiny {
    const char *family;
    bool experts, latent, split; // latent attention: with k_b and v_b apart, or as one kv_b
    bool norms;                  // q/k norms and post-norms
    bool fused;                  // one product for q, k and v
    bool long_rope;
    const char *without;      // a tensor to leave out
    const char *wrong;        // a tensor with one row too many
    const char *not_a_number; // a tensor with one NaN
    const char *doubled;      // a tensor with two matrices instead of one
    const char *packed;       // a tensor that says it is packed; zeros
    bool quantized;           // products in Q8_0
    bool untied;              // an output matrix of its own, with the values of the embeddings
    uint32_t n_next;          // layers that predict further tokens, counted in block_count
    // Made by tiny_write
    struct sc_gguf_writer *writer;
    void *weights[256];
    size_t n_weights;
};

// A value that depends on the tensor's name and the index alone.
static inline float tiny_value(const char *name, size_t i)
{
    uint32_t x = 2166136261u;
    for (; *name; name++) x = (x ^ (unsigned char)*name) * 16777619u;
    x = (x ^ (uint32_t)i) * 2654435761u;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    return (float)(int32_t)(x % 2001u) / 1000.0f - 1.0f;
}

// The same values as Q8_0 with one scale, in place of the floats, which are freed.
static inline void *tiny_q8_0(float *data, uint64_t n)
{
    uint8_t *blocks = malloc(n / 32 * 34);
    uint16_t d = sc_f16_from_f32(1.0f / 127.0f);
    for (uint64_t b = 0; b < n / 32; b++) {
        memcpy(blocks + b * 34, &d, 2);
        for (uint64_t i = 0; i < 32; i++) blocks[b * 34 + 2 + i] = (uint8_t)(int8_t)(data[b * 32 + i] * 127.0f);
    }
    free(data);
    return blocks;
}

static inline void tiny_packed(struct tiny *t, const char *name, const uint64_t shape[3])
{
    const struct sc_format *f32 = sc_format_find_name("F32");
    struct sc_tensor tensor = { .format = f32, .n_dims = 3, .shape = { shape[0], shape[1], shape[2], 1 } };
    tensor.n_bytes = sc_packed_bytes(f32, shape[0], shape[1]) * shape[2];
    tensor.data = t->weights[t->n_weights++] = calloc(1, tensor.n_bytes);
    sc_gguf_writer_add_packed(t->writer, name, &tensor, NULL);
    sc_gguf_writer_set_u32(t->writer, SC_PACKED_VERSION_KEY, SC_PACKED_VERSION, NULL);
}

// With the values that the tensor `like` has.
static inline void tiny_tensor_like(struct tiny *t, const char *name, const char *like, uint64_t k, uint64_t rows,
                                    uint64_t matrices)
{
    if (t->without && strcmp(t->without, name) == 0) return;
    if (t->wrong && strcmp(t->wrong, name) == 0) rows++;
    if (t->doubled && strcmp(t->doubled, name) == 0) matrices = 2;
    uint64_t shape[3] = { k, rows, matrices }, n = k * rows * matrices;
    if (t->packed && strcmp(t->packed, name) == 0) {
        tiny_packed(t, name, shape);
        return;
    }
    float *data = malloc(n * sizeof *data);
    for (uint64_t i = 0; i < n; i++) data[i] = 0.5f * tiny_value(like, i) + (rows == 0 ? 1.0f : 0.0f);
    if (t->not_a_number && strcmp(t->not_a_number, name) == 0) data[0] = __builtin_nanf("");
    bool quantize = t->quantized && rows > 1 && k % 32 == 0;
    void *weights = quantize ? tiny_q8_0(data, n) : data;
    t->weights[t->n_weights++] = weights;
    sc_gguf_writer_add_tensor(t->writer, name, sc_format_find_name(quantize ? "Q8_0" : "F32"),
                              matrices > 1 ? 3
                              : rows > 1   ? 2
                                           : 1,
                              shape, weights, NULL);
}

static inline void tiny_tensor(struct tiny *t, const char *name, uint64_t k, uint64_t rows, uint64_t matrices)
{
    tiny_tensor_like(t, name, name, k, rows, matrices);
}

static inline void tiny_layer_tensor(struct tiny *t, int layer, const char *name, uint64_t k, uint64_t rows,
                                     uint64_t matrices)
{
    char full[64];
    snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    tiny_tensor(t, full, k, rows, matrices);
}

// kv_b holds, for each head, the rows of k_b (turned around) and then those of v_b: made from the same values.
static inline void tiny_kv_b(struct tiny *t, int layer)
{
    char k_name[64], v_name[64], name[64];
    snprintf(k_name, sizeof k_name, "blk.%d.attn_k_b.weight", layer);
    snprintf(v_name, sizeof v_name, "blk.%d.attn_v_b.weight", layer);
    snprintf(name, sizeof name, "blk.%d.attn_kv_b.weight", layer);
    enum { NOPE = TINY_DIM - TINY_ROT, ROWS = NOPE + TINY_DIM };
    uint64_t shape[3] = { TINY_RANK, TINY_HEADS * ROWS, 1 };
    if (t->packed && strcmp(t->packed, name) == 0) {
        tiny_packed(t, name, shape);
        return;
    }
    float *data = malloc(sizeof *data * TINY_RANK * TINY_HEADS * ROWS);
    for (size_t h = 0; h < TINY_HEADS; h++)
        for (size_t j = 0; j < TINY_RANK; j++) {
            for (size_t i = 0; i < NOPE; i++)
                data[(h * ROWS + i) * TINY_RANK + j] = 0.5f * tiny_value(k_name, (h * TINY_RANK + j) * NOPE + i);
            for (size_t i = 0; i < TINY_DIM; i++)
                data[(h * ROWS + NOPE + i) * TINY_RANK + j] = 0.5f *
                                                              tiny_value(v_name, (h * TINY_DIM + i) * TINY_RANK + j);
        }
    t->weights[t->n_weights++] = data;
    sc_gguf_writer_add_tensor(t->writer, name, sc_format_find_name("F32"), 2, shape, data, NULL);
}

static inline void tiny_attention(struct tiny *t, int layer)
{
    enum { WIDTH = TINY_HEADS * TINY_DIM };
    if (t->latent) {
        tiny_layer_tensor(t, layer, "attn_q.weight", TINY_EMBD, WIDTH, 1);
        tiny_layer_tensor(t, layer, "attn_kv_a_mqa.weight", TINY_EMBD, TINY_RANK + TINY_ROT, 1);
        tiny_layer_tensor(t, layer, "attn_kv_a_norm.weight", TINY_RANK, 1, 1);
        if (t->split) tiny_layer_tensor(t, layer, "attn_k_b.weight", TINY_DIM - TINY_ROT, TINY_RANK, TINY_HEADS);
        if (t->split) tiny_layer_tensor(t, layer, "attn_v_b.weight", TINY_RANK, TINY_DIM, TINY_HEADS);
        else tiny_kv_b(t, layer);
    } else if (t->fused) {
        tiny_layer_tensor(t, layer, "attn_qkv.weight", TINY_EMBD, 3 * WIDTH, 1);
    } else {
        tiny_layer_tensor(t, layer, "attn_q.weight", TINY_EMBD, WIDTH, 1);
        tiny_layer_tensor(t, layer, "attn_k.weight", TINY_EMBD, WIDTH, 1);
        tiny_layer_tensor(t, layer, "attn_v.weight", TINY_EMBD, WIDTH, 1);
    }
    tiny_layer_tensor(t, layer, "attn_output.weight", WIDTH, TINY_EMBD, 1);
}

static inline void tiny_feed_forward(struct tiny *t, int layer)
{
    uint64_t n = t->experts ? TINY_EXPERTS : 1;
    const char *const names[2][3] = { { "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight" },
                                      { "ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight" } };
    if (t->experts) tiny_layer_tensor(t, layer, "ffn_gate_inp.weight", TINY_EMBD, TINY_EXPERTS, 1);
    tiny_layer_tensor(t, layer, names[t->experts][0], TINY_EMBD, TINY_FF, n);
    tiny_layer_tensor(t, layer, names[t->experts][1], TINY_EMBD, TINY_FF, n);
    tiny_layer_tensor(t, layer, names[t->experts][2], TINY_FF, TINY_EMBD, n);
}

static inline void tiny_u32(struct tiny *t, const char *key, uint32_t value)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", t->family, key);
    sc_gguf_writer_set_u32(t->writer, full, value, NULL);
}

static inline void tiny_metadata(struct tiny *t)
{
    sc_gguf_writer_set_text(t->writer, "general.architecture", sc_text_of(t->family), NULL);
    tiny_u32(t, "context_length", TINY_CONTEXT);
    tiny_u32(t, "embedding_length", TINY_EMBD);
    tiny_u32(t, "block_count", TINY_LAYERS);
    tiny_u32(t, "feed_forward_length", TINY_FF);
    tiny_u32(t, "attention.head_count", TINY_HEADS);
    tiny_u32(t, "attention.key_length", t->latent && t->split ? TINY_RANK + TINY_ROT : TINY_DIM);
    tiny_u32(t, "attention.value_length", t->latent && t->split ? TINY_RANK : TINY_DIM);
    if (t->latent) tiny_u32(t, "rope.dimension_count", TINY_ROT);
    if (t->latent) tiny_u32(t, "attention.kv_lora_rank", TINY_RANK);
    if (t->latent && t->split) tiny_u32(t, "attention.key_length_mla", TINY_DIM);
    if (t->latent && t->split) tiny_u32(t, "attention.value_length_mla", TINY_DIM);
    if (t->n_next) tiny_u32(t, "nextn_predict_layers", t->n_next);
    if (t->experts) tiny_u32(t, "expert_count", TINY_EXPERTS);
    if (t->experts) tiny_u32(t, "expert_used_count", 2);
    if (t->long_rope) tiny_u32(t, "rope.scaling.original_context_length", TINY_CONTEXT / 2);
}

// The whole file's bytes, freed by the caller; NULL if the writer refused something.
static inline char *tiny_write(struct tiny *t, size_t *n_bytes)
{
    if (sc_gguf_writer_create(&t->writer, NULL) != SOCLE_OK) return NULL;
    tiny_metadata(t);
    tiny_tensor(t, "token_embd.weight", TINY_EMBD, TINY_VOCAB, 1);
    tiny_tensor(t, "output_norm.weight", TINY_EMBD, 1, 1);
    if (t->untied) tiny_tensor_like(t, "output.weight", "token_embd.weight", TINY_EMBD, TINY_VOCAB, 1);
    if (t->long_rope) tiny_tensor(t, "rope_factors_short.weight", TINY_DIM / 2, 1, 1);
    if (t->long_rope) tiny_tensor(t, "rope_factors_long.weight", TINY_DIM / 2, 1, 1);
    for (int layer = 0; layer < TINY_LAYERS; layer++) {
        tiny_layer_tensor(t, layer, "attn_norm.weight", TINY_EMBD, 1, 1);
        tiny_layer_tensor(t, layer, "ffn_norm.weight", TINY_EMBD, 1, 1);
        if (t->norms) tiny_layer_tensor(t, layer, "attn_q_norm.weight", TINY_DIM, 1, 1);
        if (t->norms) tiny_layer_tensor(t, layer, "attn_k_norm.weight", TINY_DIM, 1, 1);
        if (t->norms) tiny_layer_tensor(t, layer, "post_attention_norm.weight", TINY_EMBD, 1, 1);
        tiny_attention(t, layer);
        tiny_feed_forward(t, layer);
    }
    struct sc_buffer buffer = { 0 };
    socle_status status = sc_gguf_writer_write_buffer(t->writer, &buffer, NULL);
    sc_gguf_writer_free(t->writer);
    for (size_t i = 0; i < t->n_weights; i++) free(t->weights[i]);
    t->n_weights = 0;
    *n_bytes = buffer.n_bytes;
    if (status == SOCLE_OK) return sc_buffer_take(&buffer);
    sc_buffer_free(&buffer);
    return NULL;
}

#endif
