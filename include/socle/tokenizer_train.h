// Training tokenizers: a byte-level BPE vocabulary from texts.
//
//     socle_tokenizer_trainer_create(&options, &trainer, &err)
//     socle_tokenizer_trainer_add(trainer, text, n_bytes, &err)      as often as there are texts
//     socle_tokenizer_trainer_finish(trainer, &err)
//     socle_tokenizer_trainer_write(trainer, "tokenizer.gguf", &err)
//
// The same texts, in any order, and the same options give the same bytes, whatever the machine; and the merges are
// those that Hugging Face's BpeTrainer finds. Every byte is a token, so any text can be said.
//
// A trainer belongs to one thread at a time; several may work side by side.
#ifndef SOCLE_TOKENIZER_TRAIN_H
#define SOCLE_TOKENIZER_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

// Told now and then on the calling thread: while a text is read, the bytes read so far, and `total` is 0; while tokens
// are made, those there are and those there will be. Return false to stop.
typedef bool socle_tokenizer_train_callback(void *context, uint64_t done, uint64_t total);

// Zero-initialize, then set `n_tokens`. Strings are UTF-8 and are copied.
typedef struct socle_tokenizer_train_options {
    uint32_t n_tokens;                 // of the vocabulary in all: special tokens, 256 bytes, and those to be made
    const char *pretokenizer;          // tokenizer.ggml.pre; NULL: "gpt-2"
    uint64_t min_count;                // a pair of neighbours that occurs less often is not merged; 0: 2
    uint32_t max_token_bytes;          // the longest token, 2 to 512; 0: 512
    const char *const *special_tokens; // in the order of their ids, from 0
    size_t n_special_tokens;
    const char *bos, *eos, *pad;                 // each one of the special tokens, or NULL: the vocabulary has none
    bool without_bos;                            // models are not to begin every text with `bos`
    const char *chat_template;                   // Jinja; NULL: none
    socle_tokenizer_train_callback *on_progress; // may be NULL
    void *context;
} socle_tokenizer_train_options;

typedef struct socle_tokenizer_trainer socle_tokenizer_trainer;

// Errors: SOCLE_BAD_ARGUMENT (sizes out of range; special tokens that are empty, longer than 256 bytes, not UTF-8,
// given twice or a letter of the alphabet that bytes are written in; a role that is none of them); SOCLE_UNSUPPORTED
// (pre-tokenizer; the message lists them); SOCLE_BAD_TEMPLATE; SOCLE_NO_MEMORY.
socle_status socle_tokenizer_trainer_create(const socle_tokenizer_train_options *options, socle_tokenizer_trainer **out,
                                            socle_error *err);
void socle_tokenizer_trainer_free(socle_tokenizer_trainer *trainer); // NULL is fine

// Adds one text, a document: no token spans two of them. Any bytes; those that are not UTF-8 stand each alone. Memory
// is taken for words that were not seen before only. After a failure the trainer can but be freed.
// Errors: SOCLE_BAD_ARGUMENT (more than 4 GiB of different words), SOCLE_CANCELLED, SOCLE_NO_MEMORY.
socle_status socle_tokenizer_trainer_add(socle_tokenizer_trainer *trainer, const char *text, size_t n_bytes,
                                         socle_error *err);

// Makes the vocabulary of the texts so far; what was made before is forgotten. More texts may follow, and another
// finish. Errors: SOCLE_BAD_ARGUMENT when the texts do not give so many tokens: the message says how many they do;
// SOCLE_CANCELLED; SOCLE_NO_MEMORY with the numbers.
socle_status socle_tokenizer_trainer_finish(socle_tokenizer_trainer *trainer, socle_error *err);

// Writes what finish made as a GGUF file of metadata alone, whole or not at all: socle_model_load opens it, and
// socle_tokenize works on it. Errors: SOCLE_BAD_ARGUMENT (nothing is finished), SOCLE_IO, SOCLE_NO_MEMORY.
socle_status socle_tokenizer_trainer_write(const socle_tokenizer_trainer *trainer, const char *path, socle_error *err);

typedef struct socle_tokenizer_trainer_info {
    uint64_t n_texts, n_bytes; // added so far
    uint64_t n_words;          // of these different ones: what the pre-tokenizer cuts
    // Of the last finish; 0 before it.
    uint32_t n_tokens, n_merges;
    uint64_t n_text_tokens; // that the texts, as they were then, are written in
} socle_tokenizer_trainer_info;
void socle_tokenizer_trainer_describe(const socle_tokenizer_trainer *trainer, socle_tokenizer_trainer_info *out);

#ifdef __cplusplus
}
#endif
#endif
