// Low-rank adapters of a model: files in llama.cpp's form, and new ones to be trained.
//
//     general.type = "adapter", adapter.type = "lora", adapter.lora.alpha (f32), general.architecture: the base's
//     socle.adapter.base (text, may be absent): what sc_adapter_base says of the base
//     <weight>.lora_a  [k, rank]      <weight>.lora_b  [rank, rows]          of the base's tensor <weight>
//
// A product's result gets scale * alpha / rank * B (A x) more. Products of experts and of heads have none.
#ifndef SC_MODELS_ADAPTERS_H
#define SC_MODELS_ADAPTERS_H

#include "formats/gguf.h"
#include "program/build.h"

// What a new adapter is made of.
struct sc_adapter_shape {
    uint32_t rank;
    float dropout;
    const char *const *targets; // parts of tensors' names ("attn_q", "ffn_down"), NULL-terminated
    uint64_t seed;
};

struct sc_adapter_set; // some adapters of one base; immutable

// Opens adapters' files for the base model's file. Errors: SOCLE_BAD_FILE (not an adapter; shapes that contradict the
// base: "made for another model"), those of sc_gguf_open.
socle_status sc_adapter_set_open(const struct sc_gguf *base, const char *const *paths, size_t n,
                                 struct sc_adapter_set **out, socle_error *err);
// What tells a base from others of its shape, whatever its matrices are quantized to: the sum of hashes (FNV-1a) of
// its norms' names and weights, which stay as they were trained.
void sc_adapter_base(const struct sc_gguf *base, char hex[17]);
// A set of one new adapter: A uniform in +-1 / sqrt(k) by the seed, B zero. Errors: SOCLE_BAD_ARGUMENT (no such
// target).
socle_status sc_adapter_set_new(const struct sc_gguf *base, const struct sc_adapter_shape *shape,
                                struct sc_adapter_set **out, socle_error *err);
void sc_adapter_set_free(struct sc_adapter_set *set); // NULL is fine

const struct sc_adapters *sc_adapter_set_adapters(const struct sc_adapter_set *set);
// alpha / rank of adapter i: what "scale 1" multiplies by.
float sc_adapter_set_factor(const struct sc_adapter_set *set, uint32_t i);
uint32_t sc_adapter_set_rank(const struct sc_adapter_set *set, uint32_t i);

// What a sequence that takes scales[i] of adapter i (NULL: all of each) is computed with: [n] numbers, freed with
// free(); NULL where nothing is taken (or, with *ok false, memory ran out). *variant names that arithmetic; 0: none of
// any.
float *sc_adapter_set_factors(const struct sc_adapter_set *set, const float *scales, uint64_t *variant, bool *ok);

#endif
