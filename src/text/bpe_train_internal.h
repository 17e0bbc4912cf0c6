// What the files of the BPE trainer share: the words, the pairs, the trainer.
#ifndef SC_TEXT_BPE_TRAIN_INTERNAL_H
#define SC_TEXT_BPE_TRAIN_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "text/bpe_train.h"
#include "text/pretokenize.h"

// ---- words: the different pieces of two bytes or more (bpe_words.c)

struct sc_bpe_word {
    uint64_t count; // how often it came
    uint32_t start; // in the bytes
    uint32_t n_bytes;
};

// Zero-initialize.
struct sc_bpe_words {
    struct sc_buffer bytes; // of all words, back to back
    struct sc_bpe_word *list;
    uint32_t n, capacity;
    // Open addressing, linear probing, at most half full: number of the word + 1, or 0 for free.
    uint32_t *slots;
    uint32_t *tags; // [slot_mask + 1], the upper half of the hash, so that most misses touch no word
    uint64_t slot_mask;
};

// Counts one piece more. Words and a place between each two fit 32 bits, or it is SOCLE_BAD_ARGUMENT.
socle_status sc_bpe_words_add(struct sc_bpe_words *words, struct sc_text piece, socle_error *err);
void sc_bpe_words_free(struct sc_bpe_words *words);

// ---- pairs: what may be merged, by count (bpe_pairs.c)

// Pairs of neighbouring tokens, with where they occur. A pair's places are all known when it is added (a merge makes
// the new token's pairs all at once), and later merges only take away: its count falls exactly, while places that are
// gone stay in the list and are passed over when they are read.
struct sc_bpe_pair {
    uint64_t key;      // left id << 32 | right id
    uint64_t count;    // of occurrences, each as often as its word
    uint32_t *places;  // [n_places] owned: where the left token starts, rising; NULL: this place in the list is free
    uint32_t n_places; // or the next free place
};

// A pair as it was when it was queued.
struct sc_bpe_queued {
    uint64_t count, key;
    uint32_t pair;
};

// Zero-initialize, then set min_count.
struct sc_bpe_pairs {
    uint64_t min_count; // a pair that is less frequent is forgotten: its count cannot rise again
    struct sc_bpe_pair *list;
    uint32_t n, capacity, n_live, first_free; // first_free: + 1, 0 for none
    uint32_t *slots;                          // a hash table of the live ones: number + 1
    uint64_t slot_mask, n_slots_used;
    struct sc_bpe_queued *heap; // the next to be merged first
    size_t n_heap, heap_capacity;
};

// Adds a pair with room for its places and returns its number in *out; false when memory ran out.
bool sc_bpe_pairs_add(struct sc_bpe_pairs *pairs, uint32_t left, uint32_t right, uint64_t count, uint32_t n_places,
                      uint32_t *out);
// The pair occurs so much less often. Nothing happens where it is not known.
void sc_bpe_pairs_lessen(struct sc_bpe_pairs *pairs, uint32_t left, uint32_t right, uint64_t count);
// Takes out the most frequent pair, with its places, which the caller frees; false when there is none.
bool sc_bpe_pairs_take(struct sc_bpe_pairs *pairs, struct sc_bpe_pair *out);
void sc_bpe_pairs_free(struct sc_bpe_pairs *pairs);

// ---- the trainer

struct sc_bpe_trainer {
    struct sc_arena arena;                 // the options' strings
    socle_tokenizer_train_options options; // defaults filled in
    int32_t bos, eos, pad;                 // -1: none
    const struct sc_pretokenizer *pretokenizer;
    struct sc_splitter *splitter;
    struct sc_split_scratch *scratch;
    struct sc_buffer normalized; // a text in normal form C
    struct sc_bpe_words words;
    uint64_t n_single; // pieces of one byte: nothing in them to merge
    uint64_t n_texts, n_bytes;
    uint64_t n_split_bytes, n_until_told; // of the pieces; pieces until on_progress is called again
};

// What merging found (bpe_learn.c). Token i is a special token, a byte, or the merge of two tokens before it.
struct sc_bpe_token {
    uint32_t left, right; // of merged tokens
    uint16_t n_bytes, n_letter_bytes;
};
struct sc_bpe_learned {
    struct sc_bpe_token *tokens; // [n_tokens] owned
    uint32_t n_tokens;
    uint64_t n_text_tokens;
};

socle_status sc_bpe_learn(const struct sc_bpe_trainer *trainer, struct sc_bpe_learned *out, socle_error *err);

// The bytes in the order of their letters' code points: byte token n_special + i is alphabet[i] (bpe_trained.c).
void sc_bpe_alphabet(uint8_t alphabet[256]);
// Writes token `id`, one that is no special token, in letters: n_letter_bytes of it.
void sc_bpe_spell(const struct sc_bpe_token *tokens, uint32_t n_special, uint32_t id, char *out);

#endif
