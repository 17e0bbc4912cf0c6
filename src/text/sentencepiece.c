// SentencePiece BPE, the tokenizer of Llama 2, Mistral, Phi-3 and Gemma: characters are merged into the neighbouring
// pair whose token has the best score; what no token covers is spelled in byte tokens "<0x00>" to "<0xFF>". Spaces are
// written "▁" (U+2581), and one is put before the text unless add_space_prefix is false.
// Source: Kudo, Richardson, "SentencePiece" (2018), and its bpe_model.cc for the order of merges.
#include <string.h>

#include "base/size.h"
#include "formats/gguf.h"
#include "text/tokenizer_internal.h"
#include "text/utf8.h"

#define SPACE_SIGN "\xE2\x96\x81"

struct merge_context {
    const struct sc_vocabulary *vocabulary;
    const char *text;
    bool without_marks;
};

// The token that a run of text merges into, or -1. Control, unknown and byte tokens are not words.
static int32_t find_word(const struct merge_context *context, const char *text, size_t n_bytes)
{
    const struct sc_vocabulary *v = context->vocabulary;
    if (n_bytes > v->max_bytes) return -1;
    int32_t id = sc_vocabulary_find(v, (struct sc_text){ text, n_bytes });
    if (id < 0) return -1;
    if (context->without_marks && sc_special_is_mark(v, (uint32_t)id)) return -1;
    enum sc_token_type type = v->types[id];
    return type == SC_TOKEN_NORMAL || type == SC_TOKEN_USER_DEFINED || type == SC_TOKEN_UNUSED ? id : -1;
}

// Scores as integers in the opposite order: the best score is the smallest number. Not a number comes last.
static uint32_t priority_of(float score)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    if (score != score) return UINT32_MAX;
    if (score == 0) bits = 0; // -0 equals 0
    return bits >> 31 ? bits : 0x7FFFFFFFu - bits;
}

static bool find_pair(const void *context, const struct sc_symbol *left, const struct sc_symbol *right,
                      uint32_t *priority, int32_t *id)
{
    const struct merge_context *c = context;
    *id = find_word(c, c->text + left->start, (size_t)left->n_bytes + right->n_bytes);
    if (*id < 0) return false;
    *priority = priority_of(c->vocabulary->scores[*id]);
    return true;
}

static socle_status load(struct sc_tokenizer *t, const struct sc_gguf *gguf, socle_error *err)
{
    SC_TRY(sc_gguf_require(gguf, "tokenizer.ggml.scores", err));
    t->add_space_prefix = true;
    SC_TRY(sc_gguf_get_bool(gguf, "tokenizer.ggml.add_space_prefix", &t->add_space_prefix, err));
    SC_TRY(sc_gguf_get_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", &t->remove_extra_whitespaces, err));
    sc_tokenizer_index_bytes(t);
    return SOCLE_OK;
}

// Writes the text with "▁" for spaces, the prefix, and without the spaces that the model does not want.
static bool escape_spaces(const struct sc_tokenizer *t, struct sc_text text, struct sc_buffer *out)
{
    size_t begin = 0, end = text.n_bytes;
    if (t->remove_extra_whitespaces) {
        while (begin < end && text.data[begin] == ' ') begin++;
        while (end > begin && text.data[end - 1] == ' ') end--;
    }
    if (begin < end && t->add_space_prefix) sc_buffer_append_string(out, SPACE_SIGN);
    for (size_t i = begin; i < end;) {
        if (text.data[i] == ' ') {
            bool extra = t->remove_extra_whitespaces && text.data[i - 1] == ' '; // i > begin: that is no space
            if (!extra) sc_buffer_append_string(out, SPACE_SIGN);
            i++;
            continue;
        }
        const char *space = memchr(text.data + i, ' ', end - i);
        size_t n = space ? (size_t)(space - (text.data + i)) : end - i;
        sc_buffer_append(out, text.data + i, n);
        i += n;
    }
    return !out->failed;
}

// Spells out what is no token; neighbouring unknown stretches become one unknown token.
static bool append_unknown(struct sc_encoding *e, const char *bytes, size_t n, bool *after_unknown)
{
    const struct sc_tokenizer *t = e->tokenizer;
    for (size_t i = 0; i < n; i++) {
        int32_t id = t->byte_ids[(uint8_t)bytes[i]];
        if (id < 0 && (*after_unknown || t->unk < 0)) continue;
        if (!sc_token_ids_append(e->out, id >= 0 ? id : t->unk)) return false;
        *after_unknown = id < 0;
    }
    return true;
}

static socle_status encode(struct sc_encoding *e, struct sc_text text)
{
    sc_buffer_clear(&e->scratch);
    if (!escape_spaces(e->tokenizer, text, &e->scratch)) return sc_encoding_no_memory(e);
    if (e->scratch.n_bytes == 0) return SOCLE_OK;
    const char *bytes = e->scratch.data;
    size_t n_bytes = e->scratch.n_bytes;
    struct merge_context context = { &e->tokenizer->vocabulary, bytes, e->had_guards };
    if (!sc_merger_begin(&e->merger, n_bytes)) return sc_encoding_no_memory(e);
    for (size_t at = 0, n; at < n_bytes; at += n) {
        uint32_t unused;
        n = SC_MAX(sc_utf8_decode(bytes + at, n_bytes - at, &unused), (size_t)1); // an invalid byte is a symbol, too
        sc_merger_add(&e->merger, (uint32_t)at, (uint32_t)n, find_word(&context, bytes + at, n));
    }
    sc_merger_run(&e->merger, find_pair, &context);
    bool after_unknown = false;
    for (uint32_t i = 0; i != SC_SYMBOL_NONE; i = e->merger.symbols[i].next) {
        const struct sc_symbol *symbol = &e->merger.symbols[i];
        bool known = symbol->id >= 0;
        bool ok = known ? sc_token_ids_append(e->out, symbol->id)
                        : append_unknown(e, bytes + symbol->start, symbol->n_bytes, &after_unknown);
        if (!ok) return sc_encoding_no_memory(e);
        if (known) after_unknown = false;
    }
    return SOCLE_OK;
}

static bool decode(const struct sc_tokenizer *t, uint32_t id, struct sc_buffer *out)
{
    struct sc_text text = t->vocabulary.texts[id];
    int byte = t->vocabulary.types[id] == SC_TOKEN_BYTE ? sc_byte_token_value(text) : -1;
    if (byte >= 0) return sc_buffer_append_char(out, (char)byte);
    for (size_t i = 0; i < text.n_bytes;) {
        bool space = text.n_bytes - i >= 3 && memcmp(text.data + i, SPACE_SIGN, 3) == 0;
        if (!sc_buffer_append_char(out, space ? ' ' : text.data[i])) return false;
        i += space ? 3 : 1;
    }
    return true;
}

const struct sc_tokenizer_kind sc_tokenizer_sentencepiece = {
    .models = { "llama" },
    .has_text = true,
    .add_bos = true,
    .bos = 1,
    .eos = 2,
    .unk = 0,
    .load = load,
    .encode = encode,
    .decode = decode,
};
