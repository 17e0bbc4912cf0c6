// What the files of a tokenizer share: the loaded tokenizer, the kinds, and the state of one encoding.
#ifndef SC_TEXT_TOKENIZER_INTERNAL_H
#define SC_TEXT_TOKENIZER_INTERNAL_H

#include "text/merge.h"
#include "text/pretokenize.h"
#include "text/special_tokens.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

struct sc_gguf;
struct sc_bpe;

// One call of sc_tokenizer_encode. Scratch memory lives here, so that the tokenizer itself stays immutable.
struct sc_encoding {
    const struct sc_tokenizer *tokenizer;
    struct sc_token_ids *out;
    struct sc_merger merger;
    struct sc_buffer scratch;
    struct sc_split_scratch *split_scratch; // made when first needed
    struct sc_buffer unguarded;             // a stretch without its guards
    bool had_guards;                        // the stretch: it must not merge into a mark
    socle_error *err;
};

// A kind of tokenizer: the descriptor that everything else goes through.
struct sc_tokenizer_kind {
    const char *models[5]; // values of tokenizer.ggml.model, NULL-terminated; the first is its name
    bool has_text;
    bool add_bos, add_eos;                      // when the file does not say
    int32_t bos, eos, unk;                      // ids when the file does not say, -1: none
    const char *bos_text, *eos_text, *unk_text; // or the tokens with these texts, where not NULL
    // Reads what only this kind needs; sc_tokenizer_free calls `release` also after it failed. Both may be NULL.
    socle_status (*load)(struct sc_tokenizer *tokenizer, const struct sc_gguf *gguf, socle_error *err);
    void (*release)(struct sc_tokenizer *tokenizer);
    // Appends the tokens of a stretch of text between special tokens; never empty. NULL without a text side.
    socle_status (*encode)(struct sc_encoding *encoding, struct sc_text text);
    // Appends the bytes that a normal token adds to a text.
    bool (*decode)(const struct sc_tokenizer *tokenizer, uint32_t id, struct sc_buffer *out);
};

extern const struct sc_tokenizer_kind sc_tokenizer_bpe, sc_tokenizer_sentencepiece, sc_tokenizer_wordpiece;

struct sc_tokenizer {
    const struct sc_tokenizer_kind *kind;
    struct sc_vocabulary vocabulary;
    struct sc_special_tokens special;
    int32_t bos, eos, eot, unk, pad;
    bool add_bos, add_eos;
    bool add_space_prefix, remove_extra_whitespaces; // SentencePiece; the prefix is WordPiece's word spacing, too
    bool *is_end;                                    // [n]
    // What each token adds to a text: bytes[byte_ends[id - 1] .. byte_ends[id]).
    struct sc_buffer bytes;
    uint32_t *byte_ends; // [n]
    // Of bpe.c.
    const struct sc_pretokenizer *pretokenizer;
    struct sc_bpe *bpe;
    // Of sentencepiece.c: the token of each byte, -1 where there is none.
    int32_t byte_ids[256];
    // Of wordpiece.c.
    bool phantom_space; // words begin with "▁" in the vocabulary; otherwise their continuations begin with "##"
    bool lowercase, strip_accents;
};

bool sc_token_ids_append(struct sc_token_ids *ids, int32_t id);

// Fills tokenizer->byte_ids with the tokens "<0x00>" to "<0xFF>".
void sc_tokenizer_index_bytes(struct sc_tokenizer *tokenizer);
// The value of a token "<0xNN>", or -1.
int sc_byte_token_value(struct sc_text text);

// For a kind whose memory for an encoding ran out.
socle_status sc_encoding_no_memory(const struct sc_encoding *encoding);

#endif
