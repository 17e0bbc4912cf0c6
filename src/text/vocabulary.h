// The token table of a tokenizer: texts, types and scores by id, and ids by text.
#ifndef SC_TEXT_VOCABULARY_H
#define SC_TEXT_VOCABULARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

struct sc_gguf;

// tokenizer.ggml.token_type, as the GGUF files have it.
enum sc_token_type {
    SC_TOKEN_UNDEFINED = 0,
    SC_TOKEN_NORMAL = 1,
    SC_TOKEN_UNKNOWN = 2,
    SC_TOKEN_CONTROL = 3,
    SC_TOKEN_USER_DEFINED = 4,
    SC_TOKEN_UNUSED = 5,
    SC_TOKEN_BYTE = 6,
};

struct sc_vocabulary {
    uint32_t n;
    const struct sc_text *texts; // [n], in the mapped file
    uint8_t *types;              // [n]
    float *scores;               // [n], or NULL when the file has none
    uint32_t max_bytes;          // the longest text, up to SC_TOKEN_BYTES_MAX
    // Open addressing, linear probing, at most half full: id + 1, or 0 for free.
    uint32_t *slots;
    uint32_t *tags; // [slot_mask + 1], the upper half of the hash, so that most misses touch no text
    uint64_t slot_mask;
};

// Longer texts are legal and decode, but text is never tokenized to them: it bounds the work per byte of text, whatever
// the vocabulary holds.
enum { SC_TOKEN_BYTES_MAX = 1024 };

// Reads tokenizer.ggml.tokens, .token_type and .scores. Views of the texts stay in `gguf`, which must live longer.
// Of two equal texts the later id is found, as Hugging Face does; empty texts are never found. A filler ("[PAD<id>]",
// where the model has more rows than the tokenizer has tokens) is unused, whatever the file calls it.
// Errors: SOCLE_BAD_FILE (lengths that disagree, too many tokens, texts made to collide), SOCLE_NO_MEMORY.
socle_status sc_vocabulary_load(const struct sc_gguf *gguf, struct sc_vocabulary *vocabulary, socle_error *err);
void sc_vocabulary_free(struct sc_vocabulary *vocabulary);

// The id whose text is `text`, or -1.
int32_t sc_vocabulary_find(const struct sc_vocabulary *vocabulary, struct sc_text text);

// A 64-bit hash of bytes, the same everywhere; not for keys an attacker gains from colliding (probes are bounded).
uint64_t sc_hash_bytes(const void *bytes, size_t n_bytes);
// A 64-bit mix of a 64-bit value.
uint64_t sc_hash_u64(uint64_t value);

// The longest run of probes that any insertion may take: far beyond what chance gives a half-full table.
enum { SC_HASH_PROBES_MAX = 1000 };

#endif
