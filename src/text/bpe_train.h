// Training byte-level BPE: from texts to the tokens and merges that text/bpe.c reads.
//
//   texts ──► pieces ──► different pieces with their counts ──► merges, of pairs by count ──► texts, a GGUF file
//        bpe_train.c    bpe_words.c                    bpe_learn.c     bpe_pairs.c       bpe_trained.c
//
// The vocabulary begins with the special tokens and the 256 bytes. Then, again and again, the pair of neighbouring
// tokens that occurs most often becomes a token, wherever it occurs, until there are as many tokens as wanted:
//
//   ids   0 … s-1           s … s+255                                   s+256 …
//         special tokens    the letters of bytes, by code point         merged, in the order they were made
//                           (byte_level.h)
//
// Of pairs that occur equally often the one with the smaller left id comes first, then the smaller right id. That is
// the rule of Hugging Face's BpeTrainer, whose merges these are (tests/data/make_bpe_train_cases.py), but for two
// cases: a pair that spells a special token is passed over, so that no text becomes one; and no token is longer than
// SC_BPE_TOKEN_BYTES_MAX. (What is a letter, PCRE2's edition of Unicode says: texts in scripts newer than that are cut
// otherwise.)
//
// Sources: Gage, "A New Algorithm for Data Compression" (1994); Sennrich, Haddow, Birch (2016), algorithm 1; Radford et
// al., GPT-2 (2019), section 2.2, for bytes.
#ifndef SC_TEXT_BPE_TRAIN_H
#define SC_TEXT_BPE_TRAIN_H

#include <stdint.h>

#include <socle/tokenizer_train.h>

#include "base/error.h"
#include "base/text.h"

struct sc_gguf_writer;

// As many as text is ever tokenized to (SC_TOKEN_BYTES_MAX), where each byte's letter takes two.
enum { SC_BPE_TOKEN_BYTES_MAX = 512 };

struct sc_bpe_trainer;

// The functions of <socle/tokenizer_train.h>: arguments, ownership and errors are described there.
socle_status sc_bpe_trainer_create(const socle_tokenizer_train_options *options, struct sc_bpe_trainer **out,
                                   socle_error *err);
void sc_bpe_trainer_free(struct sc_bpe_trainer *trainer); // NULL is fine
socle_status sc_bpe_trainer_add(struct sc_bpe_trainer *trainer, struct sc_text text, socle_error *err);

uint64_t sc_bpe_trainer_n_texts(const struct sc_bpe_trainer *trainer);
uint64_t sc_bpe_trainer_n_bytes(const struct sc_bpe_trainer *trainer);
uint64_t sc_bpe_trainer_n_words(const struct sc_bpe_trainer *trainer);

// A vocabulary. Its texts are its own, but for roles and template, which are the trainer's, as its pre-tokenizer's
// name.
struct sc_bpe_trained {
    uint32_t n_tokens, n_special, n_merges;
    struct sc_text *tokens; // [n_tokens] in the alphabet of byte_level.h; special tokens as they are
    struct sc_text *merges; // [n_merges] "left right"; merge i makes token n_special + 256 + i
    char *bytes;            // what these look into
    uint64_t n_text_tokens; // of the texts it was made from
    const struct sc_bpe_trainer *trainer;
};

// Makes the vocabulary of the texts added so far; the trainer must outlive it. Memory besides: 20 bytes for each byte
// of the different pieces, and 60 for each pair under way.
socle_status sc_bpe_trainer_finish(const struct sc_bpe_trainer *trainer, struct sc_bpe_trained **out, socle_error *err);
void sc_bpe_trained_free(struct sc_bpe_trained *trained); // NULL is fine

// Sets tokenizer.ggml.* and tokenizer.chat_template in a file that is being made, of a model or of a vocabulary alone.
// Errors: SOCLE_BAD_ARGUMENT (a key is set already), SOCLE_NO_MEMORY.
socle_status sc_bpe_trained_write(const struct sc_bpe_trained *trained, struct sc_gguf_writer *writer,
                                  socle_error *err);

#endif
