// A trained vocabulary: its tokens and merges as text, and the keys of a GGUF file that say them.
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "formats/gguf_writer.h"
#include "text/bpe_train_internal.h"
#include "text/byte_level.h"
#include "text/vocabulary.h"

enum { N_BYTES = 256 };

void sc_bpe_alphabet(uint8_t alphabet[256])
{
    // Letters run from U+0021 to U+0143, some of them for no byte.
    uint32_t n = 0;
    for (uint32_t letter = 0; n < N_BYTES; letter++) {
        int byte = sc_byte_level_byte(letter);
        if (byte >= 0) alphabet[n++] = (uint8_t)byte;
    }
}

void sc_bpe_spell(const struct sc_bpe_token *tokens, uint32_t n_special, uint32_t id, char *out)
{
    // Tokens to be written, the next one last: each step replaces one by two that are shorter, or writes a letter.
    uint32_t stack[SC_BPE_TOKEN_BYTES_MAX + 1], n = 0;
    uint8_t alphabet[N_BYTES];
    sc_bpe_alphabet(alphabet);
    stack[n++] = id;
    while (n) {
        id = stack[--n];
        if (id < n_special + N_BYTES) {
            out += sc_byte_level_encode(alphabet[id - n_special], out);
            continue;
        }
        stack[n++] = tokens[id].right;
        stack[n++] = tokens[id].left;
    }
}

// ---- spelling

// Where the text of each token goes; the merges follow.
static uint64_t count_bytes(const struct sc_bpe_trainer *t, const struct sc_bpe_learned *learned)
{
    uint64_t n_bytes = 0;
    uint32_t n_special = (uint32_t)t->options.n_special_tokens;
    const struct sc_bpe_token *tokens = learned->tokens;
    for (uint32_t i = 0; i < n_special; i++) n_bytes += strlen(t->options.special_tokens[i]);
    for (uint32_t i = n_special; i < learned->n_tokens; i++) n_bytes += tokens[i].n_letter_bytes;
    for (uint32_t i = n_special + N_BYTES; i < learned->n_tokens; i++) n_bytes += tokens[i].n_letter_bytes + 1u;
    return n_bytes;
}

static void spell_all(struct sc_bpe_trained *v, const struct sc_bpe_token *tokens)
{
    char *at = v->bytes;
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        bool special = i < v->n_special;
        struct sc_text text = { at, tokens[i].n_letter_bytes };
        if (special) {
            text.n_bytes = strlen(v->trainer->options.special_tokens[i]);
            memcpy(at, v->trainer->options.special_tokens[i], text.n_bytes);
        } else if (i < v->n_special + N_BYTES) {
            sc_bpe_spell(tokens, v->n_special, i, at);
        } else {
            struct sc_text left = v->tokens[tokens[i].left], right = v->tokens[tokens[i].right];
            memcpy(at, left.data, left.n_bytes);
            memcpy(at + left.n_bytes, right.data, right.n_bytes);
        }
        v->tokens[i] = text;
        at += text.n_bytes;
    }
    for (uint32_t i = 0; i < v->n_merges; i++) {
        const struct sc_bpe_token *token = &tokens[v->n_special + N_BYTES + i];
        struct sc_text left = v->tokens[token->left], right = v->tokens[token->right];
        v->merges[i] = (struct sc_text){ at, left.n_bytes + 1 + right.n_bytes };
        memcpy(at, left.data, left.n_bytes);
        at[left.n_bytes] = ' ';
        memcpy(at + left.n_bytes + 1, right.data, right.n_bytes);
        at += v->merges[i].n_bytes;
    }
}

socle_status sc_bpe_trainer_finish(const struct sc_bpe_trainer *t, struct sc_bpe_trained **out, socle_error *err)
{
    struct sc_bpe_learned learned = { 0 };
    SC_TRY(sc_bpe_learn(t, &learned, err));
    uint64_t n_bytes = count_bytes(t, &learned), n = learned.n_tokens;
    struct sc_bpe_trained *v = calloc(1, sizeof *v);
    bool ok = v && (v->tokens = malloc(n * sizeof *v->tokens)) && (v->merges = malloc(n * sizeof *v->merges)) &&
              (v->bytes = malloc(n_bytes + 1));
    if (ok) {
        v->n_tokens = learned.n_tokens;
        v->n_special = (uint32_t)t->options.n_special_tokens;
        v->n_merges = v->n_tokens - v->n_special - N_BYTES;
        v->n_text_tokens = learned.n_text_tokens;
        v->trainer = t;
        spell_all(v, learned.tokens);
        *out = v;
    } else {
        sc_bpe_trained_free(v);
    }
    free(learned.tokens);
    return ok ? SOCLE_OK : sc_fail_memory(err, n_bytes + n * 2 * sizeof *v->tokens, "a vocabulary");
}

void sc_bpe_trained_free(struct sc_bpe_trained *v)
{
    if (!v) return;
    free(v->tokens);
    free(v->merges);
    free(v->bytes);
    free(v);
}

// ---- writing

static socle_status write_types(const struct sc_bpe_trained *v, struct sc_gguf_writer *writer, socle_error *err)
{
    int32_t *types = malloc(v->n_tokens * sizeof *types);
    if (!types) return sc_fail_memory(err, v->n_tokens * sizeof *types, "token types");
    for (uint32_t i = 0; i < v->n_tokens; i++) types[i] = i < v->n_special ? SC_TOKEN_CONTROL : SC_TOKEN_NORMAL;
    socle_status status = sc_gguf_writer_set_i32s(writer, "tokenizer.ggml.token_type", types, v->n_tokens, err);
    free(types);
    return status;
}

static socle_status write_role(struct sc_gguf_writer *writer, const char *key, int32_t id, socle_error *err)
{
    return id < 0 ? SOCLE_OK : sc_gguf_writer_set_u32(writer, key, (uint32_t)id, err);
}

socle_status sc_bpe_trained_write(const struct sc_bpe_trained *v, struct sc_gguf_writer *writer, socle_error *err)
{
    const struct sc_bpe_trainer *t = v->trainer;
    const socle_tokenizer_train_options *o = &t->options;
    SC_TRY(sc_gguf_writer_set_text(writer, "tokenizer.ggml.model", sc_text_of("gpt2"), err));
    SC_TRY(sc_gguf_writer_set_text(writer, "tokenizer.ggml.pre", sc_text_of(o->pretokenizer), err));
    SC_TRY(sc_gguf_writer_set_texts(writer, "tokenizer.ggml.tokens", v->tokens, v->n_tokens, err));
    SC_TRY(write_types(v, writer, err));
    SC_TRY(sc_gguf_writer_set_texts(writer, "tokenizer.ggml.merges", v->merges, v->n_merges, err));
    SC_TRY(write_role(writer, "tokenizer.ggml.bos_token_id", t->bos, err));
    SC_TRY(write_role(writer, "tokenizer.ggml.eos_token_id", t->eos, err));
    SC_TRY(write_role(writer, "tokenizer.ggml.padding_token_id", t->pad, err));
    SC_TRY(sc_gguf_writer_set_bool(writer, "tokenizer.ggml.add_bos_token", t->bos >= 0 && !o->without_bos, err));
    if (!o->chat_template) return SOCLE_OK;
    return sc_gguf_writer_set_text(writer, "tokenizer.chat_template", sc_text_of(o->chat_template), err);
}
