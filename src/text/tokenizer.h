// Text to tokens and back, for the vocabularies that GGUF files carry.
//
//   text ──► special tokens are cut out ──► one of the kinds below, per stretch between them ──► ids
//
//   tokenizer.ggml.model   how a stretch becomes tokens
//   "gpt2"                 pre-tokenized by regular expressions, then byte-level BPE          (bpe.c)
//   "llama"                SentencePiece BPE: merged by score, bytes where a character fails  (sentencepiece.c)
//   "bert"                 normalized, split into words, longest match first (WordPiece)      (wordpiece.c)
//   "no_vocab", "none", "test", absent: no text side. The model loads; encoding is SOCLE_UNSUPPORTED.
//
// The yardstick is Hugging Face's tokenizers: ids agree with theirs wherever a GGUF file holds what they need.
//
// Bytes that are not UTF-8 never fail. A text is cut into runs of valid UTF-8 and single invalid bytes, and such a
// byte is a stretch of its own: byte-level BPE and SentencePiece give it the token of its value, so it survives a
// round trip; where the vocabulary has no such token, and in WordPiece, it reads as U+FFFD.
#ifndef SC_TEXT_TOKENIZER_H
#define SC_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "text/vocabulary.h"

struct sc_gguf;

// Immutable once loaded; any number of threads may use one.
struct sc_tokenizer;

// Builds the tokenizer of a model file, and checks everything it will rely on: the arrays agree in length, merges name
// tokens, ids lie inside the vocabulary. Keeps views into `gguf`, which must outlive it.
// Errors: SOCLE_BAD_FILE; SOCLE_UNSUPPORTED (a kind or pre-tokenizer that is not known: guessing would give wrong
// tokens without a sign of it); SOCLE_NO_MEMORY.
socle_status sc_tokenizer_load(const struct sc_gguf *gguf, struct sc_tokenizer **out, socle_error *err);
void sc_tokenizer_free(struct sc_tokenizer *tokenizer); // NULL is fine

// A growing list of ids. Zero-initialize.
struct sc_token_ids {
    int32_t *ids; // owned
    size_t n, capacity;
};
void sc_token_ids_free(struct sc_token_ids *ids);

struct sc_tokenize_options {
    // Begin and end with the tokens that the model expects there: tokenizer.ggml.add_bos_token, .add_eos_token, or what
    // its kind does when they are absent.
    bool add_special;
    // Read control tokens ("<|im_end|>") that stand in the text as tokens. Off for text from outside, which must not
    // be able to forge a turn. User-defined tokens are ordinary words and are read as tokens either way.
    bool parse_special;
    // The text was rendered by text/chat.c: as parse_special, but a token whose first character has a guard
    // (SC_TOKEN_GUARD) behind it is text, and the guards themselves are not tokenized.
    bool guarded;
};

// U+FDD0, a noncharacter: Unicode sets it aside for a program's own use, so no text has it.
#define SC_TOKEN_GUARD "\xEF\xB7\x90"
enum { SC_TOKEN_GUARD_BYTES = 3 };

// Appends the tokens of `text` to `out`. On failure `out` holds what it held before.
// Errors: SOCLE_UNSUPPORTED (no text side), SOCLE_BAD_ARGUMENT (more than 1 GiB), SOCLE_NO_MEMORY.
socle_status sc_tokenizer_encode(const struct sc_tokenizer *tokenizer, struct sc_text text,
                                 const struct sc_tokenize_options *options, struct sc_token_ids *out, socle_error *err);

uint32_t sc_tokenizer_n_tokens(const struct sc_tokenizer *tokenizer);
bool sc_tokenizer_has_text(const struct sc_tokenizer *tokenizer);    // false: ids only
const char *sc_tokenizer_kind(const struct sc_tokenizer *tokenizer); // "gpt2", "llama", "bert", "no_vocab"
const char *sc_tokenizer_pre(const struct sc_tokenizer *tokenizer);  // the pre-tokenizer's first name; "" without one

// The raw vocabulary text of a token ("Ġhello", "▁hello", "<0x0A>"); empty for an id outside the vocabulary.
struct sc_text sc_tokenizer_token_text(const struct sc_tokenizer *tokenizer, int32_t id);
// The bytes that a token adds to a text (" hello", "\n"); special tokens have their own text. Lives as the tokenizer.
struct sc_text sc_tokenizer_token_bytes(const struct sc_tokenizer *tokenizer, int32_t id);
enum sc_token_type sc_tokenizer_token_type(const struct sc_tokenizer *tokenizer, int32_t id);
// Control and unknown tokens: not part of a text.
bool sc_tokenizer_is_special(const struct sc_tokenizer *tokenizer, int32_t id);
// Does this token end a generation (end of text, of turn, of message)?
bool sc_tokenizer_is_end(const struct sc_tokenizer *tokenizer, int32_t id);
// The token with exactly this raw text, or -1.
int32_t sc_tokenizer_find(const struct sc_tokenizer *tokenizer, struct sc_text text);

// Ids of the roles, -1 when the model has none.
int32_t sc_tokenizer_bos(const struct sc_tokenizer *tokenizer);
int32_t sc_tokenizer_eos(const struct sc_tokenizer *tokenizer);
int32_t sc_tokenizer_eot(const struct sc_tokenizer *tokenizer);
int32_t sc_tokenizer_unk(const struct sc_tokenizer *tokenizer);
int32_t sc_tokenizer_pad(const struct sc_tokenizer *tokenizer);

// Tokens to text, one by one. What it appends is always whole characters of valid UTF-8: the beginning of a character
// waits for its rest, and bytes that turn out to be no character become U+FFFD, one per maximal broken run, as soon as
// that is known (the Unicode Standard, section 3.9, "U+FFFD substitution of maximal subparts").
struct sc_detokenizer {
    const struct sc_tokenizer *tokenizer;
    bool show_special;
    bool at_start; // nothing was shown yet: a leading space that the tokenizer itself put there is dropped
    uint8_t n_pending;
    char pending[4];
};

// show_special: control and unknown tokens appear as their texts; otherwise they add nothing.
void sc_detokenizer_init(struct sc_detokenizer *detokenizer, const struct sc_tokenizer *tokenizer, bool show_special);
// Both return false when the buffer failed. An id outside the vocabulary adds nothing.
bool sc_detokenizer_push(struct sc_detokenizer *detokenizer, int32_t id, struct sc_buffer *out);
bool sc_detokenizer_finish(struct sc_detokenizer *detokenizer, struct sc_buffer *out);

#endif
