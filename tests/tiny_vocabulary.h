// Small vocabularies in memory, for tests and fuzzing: token texts with their types, scores and merges go in, a loaded
// tokenizer and the file it looks into come out.
#ifndef TINY_VOCABULARY_H
#define TINY_VOCABULARY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/gguf_writer.h"
#include "text/byte_level.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

enum { TINY_TOKENS_MAX = 1024 };

struct tiny {
    struct sc_gguf_writer *writer; // for keys beyond the lists
    struct sc_text tokens[TINY_TOKENS_MAX], merges[TINY_TOKENS_MAX];
    int32_t types[TINY_TOKENS_MAX];
    float scores[TINY_TOKENS_MAX];
    size_t n_tokens, n_merges;
    char letters[512][8]; // texts that the adders below make up
    size_t n_letters;
    struct sc_buffer file;
    struct sc_gguf *gguf;
    struct sc_tokenizer *tokenizer;
};

static inline void tiny_begin(struct tiny *tiny, const char *model, const char *pre)
{
    memset(tiny, 0, sizeof *tiny);
    if (sc_gguf_writer_create(&tiny->writer, NULL) != SOCLE_OK) abort();
    sc_gguf_writer_set_text(tiny->writer, "tokenizer.ggml.model", sc_text_of(model), NULL);
    if (pre) sc_gguf_writer_set_text(tiny->writer, "tokenizer.ggml.pre", sc_text_of(pre), NULL);
}

// The texts must outlive the tokenizer's loading.
static inline int32_t tiny_token(struct tiny *tiny, struct sc_text text, int32_t type, float score)
{
    if (tiny->n_tokens == TINY_TOKENS_MAX) abort();
    tiny->tokens[tiny->n_tokens] = text;
    tiny->types[tiny->n_tokens] = type;
    tiny->scores[tiny->n_tokens] = score;
    return (int32_t)tiny->n_tokens++;
}

static inline int32_t tiny_word(struct tiny *tiny, const char *text)
{
    // As a trained vocabulary: each token has a worse score than those before it.
    return tiny_token(tiny, sc_text_of(text), SC_TOKEN_NORMAL, -(float)tiny->n_tokens);
}

static inline void tiny_merge(struct tiny *tiny, const char *text)
{
    tiny->merges[tiny->n_merges++] = sc_text_of(text);
}

// The 256 letters of byte-level BPE.
static inline void tiny_byte_letters(struct tiny *tiny)
{
    for (int byte = 0; byte < 256; byte++) {
        char *letter = tiny->letters[tiny->n_letters++];
        size_t n = sc_byte_level_encode((uint8_t)byte, letter);
        tiny_token(tiny, (struct sc_text){ letter, n }, SC_TOKEN_NORMAL, 0);
    }
}

// "<0x00>" to "<0xFF>".
static inline void tiny_byte_tokens(struct tiny *tiny)
{
    for (int byte = 0; byte < 256; byte++) {
        char *text = tiny->letters[tiny->n_letters++];
        snprintf(text, sizeof tiny->letters[0], "<0x%02X>", byte);
        tiny_token(tiny, sc_text_of(text), SC_TOKEN_BYTE, 0);
    }
}

static inline socle_status tiny_load(struct tiny *tiny, socle_error *err)
{
    sc_gguf_writer_set_texts(tiny->writer, "tokenizer.ggml.tokens", tiny->tokens, tiny->n_tokens, NULL);
    sc_gguf_writer_set_i32s(tiny->writer, "tokenizer.ggml.token_type", tiny->types, tiny->n_tokens, NULL);
    sc_gguf_writer_set_f32s(tiny->writer, "tokenizer.ggml.scores", tiny->scores, tiny->n_tokens, NULL);
    sc_gguf_writer_set_texts(tiny->writer, "tokenizer.ggml.merges", tiny->merges, tiny->n_merges, NULL);
    socle_status status = sc_gguf_writer_write_buffer(tiny->writer, &tiny->file, err);
    if (status == SOCLE_OK) status = sc_gguf_open_memory("tiny", tiny->file.data, tiny->file.n_bytes, &tiny->gguf, err);
    if (status == SOCLE_OK) status = sc_tokenizer_load(tiny->gguf, &tiny->tokenizer, err);
    return status;
}

static inline void tiny_end(struct tiny *tiny)
{
    sc_tokenizer_free(tiny->tokenizer);
    sc_gguf_close(tiny->gguf);
    sc_gguf_writer_free(tiny->writer);
    sc_buffer_free(&tiny->file);
}

// A byte-level BPE with some merges, control tokens and a user-defined one.
static inline void tiny_bpe(struct tiny *tiny, const char *pre)
{
    tiny_begin(tiny, "gpt2", pre);
    tiny_byte_letters(tiny);
    static const char *const merges[] = { "a a", "aa aa", "h e", "l l", "he ll", "hell o", "Ġ w", "Ġ Ġ", "Ã ©" };
    static const char *const words[] = { "aa", "aaaa", "he", "ll", "hell", "hello", "Ġw", "ĠĠ", "Ã©" };
    for (size_t i = 0; i < sizeof merges / sizeof merges[0]; i++) {
        tiny_word(tiny, words[i]);
        tiny_merge(tiny, merges[i]);
    }
    tiny_token(tiny, sc_text_of("<|im_end|>"), SC_TOKEN_CONTROL, 0);
    tiny_token(tiny, sc_text_of("<|im"), SC_TOKEN_CONTROL, 0);
    tiny_token(tiny, sc_text_of("<|im_end|>\n"), SC_TOKEN_CONTROL, 0);
    tiny_token(tiny, sc_text_of("<tool>"), SC_TOKEN_USER_DEFINED, 0);
}

// A SentencePiece vocabulary, with byte tokens or without.
static inline void tiny_sentencepiece(struct tiny *tiny, bool with_bytes)
{
    tiny_begin(tiny, "llama", NULL);
    tiny_token(tiny, sc_text_of("<unk>"), SC_TOKEN_UNKNOWN, 0);
    tiny_token(tiny, sc_text_of("<s>"), SC_TOKEN_CONTROL, 0);
    tiny_token(tiny, sc_text_of("</s>"), SC_TOKEN_CONTROL, 0);
    if (with_bytes) tiny_byte_tokens(tiny);
    static const char *const words[] = { "▁a", "ll", "he", "hell", "aa", "▁▁", "aaaa", "é",
                                         "▁",  "h",  "e",  "l",    "o",  "a",  "hello" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) tiny_word(tiny, words[i]);
}

static inline void tiny_wordpiece(struct tiny *tiny, bool phantom_space)
{
    tiny_begin(tiny, "bert", NULL);
    static const char *const specials[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]" };
    for (size_t i = 0; i < 4; i++) tiny_token(tiny, sc_text_of(specials[i]), SC_TOKEN_CONTROL, 0);
    static const char *const plain[] = { "hello", "he", "a", "!", "中", "##llo", "##l", "##a", "##er" };
    static const char *const phantom[] = { "▁hello", "▁he", "▁a", "▁!", "▁中", "llo", "l", "a", "er" };
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) tiny_word(tiny, phantom_space ? phantom[i] : plain[i]);
}

#endif
