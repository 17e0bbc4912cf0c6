#include "text/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "formats/gguf.h"

uint64_t sc_hash_u64(uint64_t x)
{
    // The finalizer of splitmix64 (Steele, Lea, Flood 2014).
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

uint64_t sc_hash_bytes(const void *bytes, size_t n_bytes)
{
    const unsigned char *p = bytes;
    uint64_t hash = 0x9E3779B97F4A7C15u ^ n_bytes;
    for (; n_bytes >= 8; n_bytes -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        hash = sc_hash_u64(hash + word) + 0x9E3779B97F4A7C15u;
    }
    uint64_t tail = 0;
    if (n_bytes) memcpy(&tail, p, n_bytes);
    return sc_hash_u64(hash + tail);
}

// The slot that holds `text`, or the free slot where it would go; UINT64_MAX when the probes ran out.
static uint64_t find_slot(const struct sc_vocabulary *v, struct sc_text text, uint64_t hash)
{
    uint64_t slot = hash & v->slot_mask;
    uint32_t tag = (uint32_t)(hash >> 32);
    for (int i = 0; i < SC_HASH_PROBES_MAX; i++, slot = (slot + 1) & v->slot_mask) {
        if (v->slots[slot] == 0) return slot;
        if (v->tags[slot] == tag && sc_text_equal(v->texts[v->slots[slot] - 1], text)) return slot;
    }
    return UINT64_MAX;
}

int32_t sc_vocabulary_find(const struct sc_vocabulary *v, struct sc_text text)
{
    if (text.n_bytes == 0 || v->n == 0) return -1;
    uint64_t slot = find_slot(v, text, sc_hash_bytes(text.data, text.n_bytes));
    return slot == UINT64_MAX ? -1 : (int32_t)v->slots[slot] - 1;
}

// Is `id` a filler that converters write where a model's embedding has more rows than its tokenizer has tokens? Older
// ones typed it user-defined or unknown; but no tokenizer ever produced it.
static bool is_filler(const struct sc_vocabulary *v, uint32_t id)
{
    if (v->types[id] != SC_TOKEN_USER_DEFINED && v->types[id] != SC_TOKEN_UNKNOWN) return false;
    char filler[32];
    snprintf(filler, sizeof filler, "[PAD%u]", id);
    return sc_text_is(v->texts[id], filler);
}

static socle_status build_index(struct sc_vocabulary *v, socle_error *err)
{
    uint64_t n_slots = 16;
    while (n_slots < 2 * (uint64_t)v->n) n_slots *= 2;
    v->slot_mask = n_slots - 1;
    v->slots = calloc(n_slots, sizeof *v->slots);
    v->tags = calloc(n_slots, sizeof *v->tags);
    if (!v->slots || !v->tags) return sc_fail_memory(err, n_slots * 8, "the index of the vocabulary");
    for (uint32_t id = 0; id < v->n; id++) {
        struct sc_text text = v->texts[id];
        if (text.n_bytes == 0) continue;
        uint64_t hash = sc_hash_bytes(text.data, text.n_bytes);
        uint64_t slot = find_slot(v, text, hash);
        if (slot == UINT64_MAX)
            return sc_fail(err, SOCLE_BAD_FILE,
                           "tokenizer.ggml.tokens: the texts up to token %u collide in a hash table; this does not "
                           "happen by chance",
                           id);
        v->slots[slot] = id + 1;
        v->tags[slot] = (uint32_t)(hash >> 32);
        if (text.n_bytes <= SC_TOKEN_BYTES_MAX) v->max_bytes = SC_MAX(v->max_bytes, (uint32_t)text.n_bytes);
    }
    return SOCLE_OK;
}

static socle_status read_types(const struct sc_gguf *gguf, struct sc_vocabulary *v, socle_error *err)
{
    v->types = malloc(v->n ? v->n : 1);
    if (!v->types) return sc_fail_memory(err, v->n, "token types");
    memset(v->types, SC_TOKEN_NORMAL, v->n);
    const struct sc_gguf_value *types;
    SC_TRY(sc_gguf_get_array(gguf, "tokenizer.ggml.token_type", SC_GGUF_I32, v->n, &types, err));
    for (uint32_t i = 0; types && i < v->n; i++) {
        int64_t type = sc_gguf_int_at(types, i);
        v->types[i] = type >= 0 && type <= SC_TOKEN_BYTE ? (uint8_t)type : SC_TOKEN_UNDEFINED;
    }
    return SOCLE_OK;
}

static socle_status read_scores(const struct sc_gguf *gguf, struct sc_vocabulary *v, socle_error *err)
{
    const struct sc_gguf_value *scores;
    SC_TRY(sc_gguf_get_array(gguf, "tokenizer.ggml.scores", SC_GGUF_F32, v->n, &scores, err));
    if (!scores) return SOCLE_OK;
    v->scores = malloc((size_t)v->n * sizeof *v->scores);
    if (!v->scores) return sc_fail_memory(err, (uint64_t)v->n * 4, "token scores");
    for (uint32_t i = 0; i < v->n; i++) v->scores[i] = sc_gguf_float_at(scores, i);
    return SOCLE_OK;
}

socle_status sc_vocabulary_load(const struct sc_gguf *gguf, struct sc_vocabulary *v, socle_error *err)
{
    const struct sc_gguf_value *tokens;
    SC_TRY(sc_gguf_get_array(gguf, "tokenizer.ggml.tokens", SC_GGUF_STRING, 0, &tokens, err));
    if (!tokens || tokens->n == 0) return SOCLE_OK;
    if (tokens->n > INT32_MAX)
        return sc_fail(err, SOCLE_BAD_FILE, "tokenizer.ggml.tokens has %llu tokens, more than an id can number",
                       (unsigned long long)tokens->n);
    v->n = (uint32_t)tokens->n;
    v->texts = tokens->strings;
    SC_TRY(read_types(gguf, v, err));
    SC_TRY(read_scores(gguf, v, err));
    for (uint32_t id = 0; id < v->n; id++)
        if (is_filler(v, id)) v->types[id] = SC_TOKEN_UNUSED;
    return build_index(v, err);
}

void sc_vocabulary_free(struct sc_vocabulary *v)
{
    free(v->types);
    free(v->scores);
    free(v->slots);
    free(v->tags);
    *v = (struct sc_vocabulary){ 0 };
}
