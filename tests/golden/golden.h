// Golden hashes: one short number per model that stands for every bit of its logits, committed and compared everywhere.
//
// golden.c is the program; models.c makes tiny models in memory; ways.c evaluates a model and hashes its logits;
// functions.c hashes elementary functions, decoded blocks and draws, so that a difference is found where it begins.
#ifndef SC_TESTS_GOLDEN_H
#define SC_TESTS_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "models/model.h"

// ---- the hash: 64-bit FNV-1a over the little-endian bytes of 32-bit words

static const uint64_t golden_hash_start = UINT64_C(0xcbf29ce484222325);

static inline uint64_t golden_hash_word(uint64_t hash, uint32_t word)
{
    for (int i = 0; i < 4; i++, word >>= 8) hash = (hash ^ (word & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

static inline uint64_t golden_hash_floats(uint64_t hash, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        hash = golden_hash_word(hash, bits);
    }
    return hash;
}

// ---- numbers that depend on a seed and an index alone (splitmix64)

static inline uint64_t golden_random(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

// ---- tiny models

struct golden_key { // a hyperparameter; its name without the family
    const char *name;
    uint32_t u32; // when neither of the others is set
    float f32;
    const char *text;
};

enum {
    GOLDEN_BIASES = 1 << 0,     // of queries, keys and values, and of experts
    GOLDEN_QK_NORMS = 1 << 1,   // of each head's query and key
    GOLDEN_POST_NORMS = 1 << 2, // of attention's and feed-forward's answers
    GOLDEN_FUSED = 1 << 3,      // q, k and v in one product; gate and up in one
    GOLDEN_EXPERTS = 1 << 4,
    GOLDEN_SHARED = 1 << 5,      // an expert that all tokens go to, and a dense first layer
    GOLDEN_CHOICE_BIAS = 1 << 6, // on the experts' choice
    GOLDEN_SINKS = 1 << 7,
    GOLDEN_LATENT = 1 << 8,
    GOLDEN_SPLIT = 1 << 9,    // latent attention with k_b and v_b apart
    GOLDEN_Q_LORA = 1 << 10,  // latent attention whose queries go down and up again
    GOLDEN_FACTORS = 1 << 11, // rope_freqs
    GOLDEN_LONG_ROPE = 1 << 12,
    GOLDEN_SCALES = 1 << 13, // a factor beside some products
    GOLDEN_TIED = 1 << 14,   // the embedding is the output matrix, too
};

enum { GOLDEN_KEYS_MAX = 8 };

struct golden_recipe {
    const char *name, *family, *format; // format of the products; NULL: F32
    uint32_t n_tokens;                  // 0: 24
    uint32_t n_context;                 // 0: 64
    uint32_t n_layer;                   // 0: 2
    uint32_t n_embd, n_head, n_head_kv, dim, n_ff;
    uint32_t n_expert, rank, n_rot, q_rank; // of experts and latent attention
    uint32_t features;
    struct golden_key keys[GOLDEN_KEYS_MAX];
};

const struct golden_recipe *golden_recipe_at(size_t i); // NULL past the last

// The whole GGUF file, freed by the caller; NULL with a message when the writer refuses something.
char *golden_make(const struct golden_recipe *recipe, size_t *n_bytes, socle_error *err);

// ---- ways to the same logits

enum golden_cache {
    GOLDEN_FRESH,
    GOLDEN_REUSED, // other tokens were evaluated and forgotten before
    GOLDEN_REWOUND // the last part is forgotten and evaluated again
};

struct golden_way {
    uint32_t n_threads, n_batch; // rows computed together
    uint32_t n_call;             // tokens given to one call
    enum golden_cache cache;
};

// The hash of the logits of all of n tokens, which depend on the vocabulary's size alone. With `dump`, the logits are
// written there, too, as they are. Errors: those of sessions.
socle_status golden_logits(struct sc_model *model, size_t n, const struct golden_way *way, const char *cpu,
                           enum sc_cache_format cache, const char *dump, uint64_t *hash, socle_error *err);

// ---- functions

struct golden_function {
    const char *name;
    uint64_t (*hash)(size_t argument);
    size_t argument;
};

// The i-th function: elementary functions, then one for each format. False past the last.
bool golden_function_at(size_t i, struct golden_function *out, char name[64]);

#endif
