#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "formats/gguf.h"
#include "text/tokenizer_internal.h"
#include "text/utf8.h"

static const struct sc_tokenizer_kind no_text = {
    .models = { "no_vocab", "none", "test" },
    .bos = -1,
    .eos = -1,
    .unk = -1,
};

static const struct sc_tokenizer_kind *const kinds[] = {
    &sc_tokenizer_bpe,
    &sc_tokenizer_sentencepiece,
    &sc_tokenizer_wordpiece,
    &no_text,
};

// ---------------------------------------------------------------------------------------------------- ids and bytes

bool sc_token_ids_append(struct sc_token_ids *ids, int32_t id)
{
    if (ids->n == ids->capacity) {
        size_t capacity = ids->capacity ? ids->capacity * 2 : 64;
        int32_t *grown = realloc(ids->ids, capacity * sizeof *grown);
        if (!grown) return false;
        ids->ids = grown;
        ids->capacity = capacity;
    }
    ids->ids[ids->n++] = id;
    return true;
}

void sc_token_ids_free(struct sc_token_ids *ids)
{
    free(ids->ids);
    *ids = (struct sc_token_ids){ 0 };
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int sc_byte_token_value(struct sc_text text)
{
    if (text.n_bytes != 6 || memcmp(text.data, "<0x", 3) != 0 || text.data[5] != '>') return -1;
    int high = hex_digit(text.data[3]), low = hex_digit(text.data[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

void sc_tokenizer_index_bytes(struct sc_tokenizer *t)
{
    for (int i = 0; i < 256; i++) t->byte_ids[i] = -1;
    for (uint32_t id = 0; id < t->vocabulary.n; id++) {
        int byte = sc_byte_token_value(t->vocabulary.texts[id]);
        enum sc_token_type type = t->vocabulary.types[id];
        if (byte >= 0 && (type == SC_TOKEN_BYTE || type == SC_TOKEN_NORMAL)) t->byte_ids[byte] = (int32_t)id;
    }
}

// ---------------------------------------------------------------------------------------------------- loading

static socle_status find_kind(const struct sc_gguf *gguf, const struct sc_tokenizer_kind **out, socle_error *err)
{
    struct sc_text model = sc_text_of(no_text.models[0]);
    SC_TRY(sc_gguf_get_text(gguf, "tokenizer.ggml.model", &model, err));
    for (size_t i = 0; i < SC_COUNT(kinds); i++)
        for (size_t j = 0; kinds[i]->models[j]; j++)
            if (sc_text_is(model, kinds[i]->models[j])) {
                *out = kinds[i];
                return SOCLE_OK;
            }
    return sc_fail(err, SOCLE_UNSUPPORTED,
                   "tokenizer.ggml.model is \"%.*s\"; only \"gpt2\" (byte-level BPE), "
                   "\"llama\" (SentencePiece BPE), \"bert\" (WordPiece) and \"no_vocab\" are known",
                   SC_TEXT_ARGS(model));
}

// Reads the id of a role. Absent: `fallback`, or the token with `fallback_text`. 2^32 - 1 is how some writers say none.
static socle_status read_role(const struct sc_tokenizer *t, const struct sc_gguf *gguf, const char *key,
                              int32_t fallback, const char *fallback_text, int32_t *out, socle_error *err)
{
    uint32_t id = UINT32_MAX, n = t->vocabulary.n;
    SC_TRY(sc_gguf_get_u32(gguf, key, &id, err));
    *out = -1;
    if (id != UINT32_MAX) {
        if (n ? id >= n : id > INT32_MAX)
            return sc_fail(err, SOCLE_BAD_FILE, "%s is %u, outside the vocabulary of %u tokens", key, id, n);
        *out = (int32_t)id;
    } else if (!sc_gguf_find(gguf, key)) {
        if (fallback >= 0 && (uint32_t)fallback < n) *out = fallback;
        if (*out < 0 && fallback_text) *out = sc_vocabulary_find(&t->vocabulary, sc_text_of(fallback_text));
    }
    return SOCLE_OK;
}

static socle_status read_roles(struct sc_tokenizer *t, const struct sc_gguf *gguf, socle_error *err)
{
    const struct sc_tokenizer_kind *kind = t->kind;
    SC_TRY(read_role(t, gguf, "tokenizer.ggml.bos_token_id", kind->bos, NULL, &t->bos, err));
    SC_TRY(read_role(t, gguf, "tokenizer.ggml.eos_token_id", kind->eos, NULL, &t->eos, err));
    SC_TRY(read_role(t, gguf, "tokenizer.ggml.unknown_token_id", kind->unk, kind->unk_text, &t->unk, err));
    SC_TRY(read_role(t, gguf, "tokenizer.ggml.eot_token_id", -1, NULL, &t->eot, err));
    // BERT's names for the first and the last token; the second is written in this way.
    if (t->bos < 0) SC_TRY(read_role(t, gguf, "tokenizer.ggml.cls_token_id", -1, kind->bos_text, &t->bos, err));
    if (t->eos < 0) SC_TRY(read_role(t, gguf, "tokenizer.ggml.seperator_token_id", -1, kind->eos_text, &t->eos, err));
    // Padding is never computed with: files that name a row beyond the vocabulary are in use.
    uint32_t pad = UINT32_MAX;
    SC_TRY(sc_gguf_get_u32(gguf, "tokenizer.ggml.padding_token_id", &pad, err));
    t->pad = pad < t->vocabulary.n ? (int32_t)pad : -1;
    return SOCLE_OK;
}

// What each token adds to a text, spelled out once.
static socle_status spell_tokens(struct sc_tokenizer *t, socle_error *err)
{
    const struct sc_vocabulary *v = &t->vocabulary;
    t->byte_ends = malloc((size_t)v->n * sizeof *t->byte_ends);
    if (!t->byte_ends) return sc_fail_memory(err, (uint64_t)v->n * 4, "the bytes of tokens");
    t->bytes.max_bytes = UINT32_MAX;
    for (uint32_t id = 0; id < v->n; id++) {
        bool special = v->types[id] == SC_TOKEN_CONTROL || v->types[id] == SC_TOKEN_UNKNOWN;
        bool ok = special ? sc_buffer_append(&t->bytes, v->texts[id].data, v->texts[id].n_bytes)
                          : t->kind->decode(t, id, &t->bytes);
        if (!ok) return sc_fail(err, SOCLE_NO_MEMORY, "no memory for the bytes of tokens (they may take 4 GiB)");
        t->byte_ends[id] = (uint32_t)t->bytes.n_bytes;
    }
    return SOCLE_OK;
}

// Tokens that end a generation when they are control tokens, whatever the file's keys say.
static const char *const end_texts[] = {
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<turn|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<EOT>",
    "[EOT]",
    "[EOS]",
    "<|flush|>",
    "<|calls|>",
    "[e~[",
    "<end_of_utterance>",
    "<｜end▁of▁sentence｜>",
};

static int32_t find_control(const struct sc_tokenizer *t, const char *text)
{
    int32_t id = sc_vocabulary_find(&t->vocabulary, sc_text_of(text));
    return id >= 0 && t->vocabulary.types[id] == SC_TOKEN_CONTROL ? id : -1;
}

static socle_status collect_ends(struct sc_tokenizer *t, const struct sc_gguf *gguf, socle_error *err)
{
    int32_t eom;
    SC_TRY(read_role(t, gguf, "tokenizer.ggml.eom_token_id", -1, NULL, &eom, err));
    t->is_end = calloc(t->vocabulary.n ? t->vocabulary.n : 1, sizeof *t->is_end);
    if (!t->is_end) return sc_fail_memory(err, t->vocabulary.n, "end tokens");
    if (t->vocabulary.n == 0) return SOCLE_OK;
    for (size_t i = 0; i < SC_COUNT(end_texts); i++) {
        int32_t id = find_control(t, end_texts[i]);
        if (id >= 0) t->is_end[id] = true;
    }
    if (t->pretokenizer && t->pretokenizer->turns_end) {
        int32_t user = find_control(t, "<|user|>"), observation = find_control(t, "<|observation|>");
        if (user >= 0) t->is_end[user] = true;
        if (observation >= 0) t->is_end[observation] = true;
    }
    // Where messages and answers end differently, "<|end|>" is between the messages of one answer.
    int32_t end = find_control(t, "<|end|>");
    bool harmony = find_control(t, "<|return|>") >= 0 && find_control(t, "<|call|>") >= 0;
    bool solar = find_control(t, "<|flush|>") >= 0 && find_control(t, "<|calls|>") >= 0;
    if (end >= 0 && (harmony || solar)) t->is_end[end] = false;
    const int32_t named[] = { t->eos, t->eot, eom };
    for (size_t i = 0; i < SC_COUNT(named); i++)
        if (named[i] >= 0) t->is_end[named[i]] = true;
    static const char *const turn_texts[] = { "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<turn|>" };
    for (size_t i = 0; i < SC_COUNT(turn_texts) && t->eot < 0; i++) t->eot = find_control(t, turn_texts[i]);
    return SOCLE_OK;
}

// Phi-3's control tokens and "</s>" take the white space behind them along, but for these; GGUF files do not say so.
static bool phi3_eats_space_after(const struct sc_vocabulary *v, uint32_t id)
{
    struct sc_text text = v->texts[id];
    if (sc_text_is(text, "</s>")) return true;
    return v->types[id] == SC_TOKEN_CONTROL && !sc_text_is(text, "<unk>") && !sc_text_is(text, "<s>") &&
           !sc_text_is(text, "<|endoftext|>");
}

static socle_status load_text_side(struct sc_tokenizer *t, const struct sc_gguf *gguf, socle_error *err)
{
    if (t->vocabulary.n == 0)
        return sc_fail(err, SOCLE_BAD_FILE,
                       "tokenizer.ggml.tokens is missing or empty, but tokenizer.ggml.model is "
                       "\"%s\"",
                       t->kind->models[0]);
    t->add_bos = t->kind->add_bos;
    t->add_eos = t->kind->add_eos;
    SC_TRY(t->kind->load(t, gguf, err));
    SC_TRY(sc_gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", &t->add_bos, err));
    SC_TRY(sc_gguf_get_bool(gguf, "tokenizer.ggml.add_eos_token", &t->add_eos, err));
    struct sc_text architecture = { "", 0 };
    SC_TRY(sc_gguf_get_text(gguf, "general.architecture", &architecture, err));
    bool phi3 = t->kind == &sc_tokenizer_sentencepiece && sc_text_is(architecture, "phi3");
    SC_TRY(sc_special_tokens_build(&t->vocabulary, phi3 ? phi3_eats_space_after : NULL, &t->special, err));
    return spell_tokens(t, err);
}

socle_status sc_tokenizer_load(const struct sc_gguf *gguf, struct sc_tokenizer **out, socle_error *err)
{
    const struct sc_tokenizer_kind *kind = NULL;
    SC_TRY(find_kind(gguf, &kind, err));
    struct sc_tokenizer *t = calloc(1, sizeof *t);
    if (!t) return sc_fail_memory(err, sizeof *t, "a tokenizer");
    t->kind = kind;
    socle_status status;
    SC_TRY_GOTO(status, sc_vocabulary_load(gguf, &t->vocabulary, err), failed);
    SC_TRY_GOTO(status, read_roles(t, gguf, err), failed);
    if (kind->has_text) SC_TRY_GOTO(status, load_text_side(t, gguf, err), failed);
    SC_TRY_GOTO(status, collect_ends(t, gguf, err), failed);
    *out = t;
    return SOCLE_OK;
failed:
    sc_tokenizer_free(t);
    return status;
}

void sc_tokenizer_free(struct sc_tokenizer *t)
{
    if (!t) return;
    if (t->kind->release) t->kind->release(t);
    sc_special_tokens_free(&t->special);
    sc_vocabulary_free(&t->vocabulary);
    sc_buffer_free(&t->bytes);
    free(t->byte_ends);
    free(t->is_end);
    free(t);
}

// ---------------------------------------------------------------------------------------------------- encoding

socle_status sc_encoding_no_memory(const struct sc_encoding *e)
{
    return sc_fail(e->err, SOCLE_NO_MEMORY, "no memory to tokenize a text");
}

// Where the text goes on behind a token that eats white space.
static size_t skip_spaces(struct sc_text text, size_t at)
{
    while (at < text.n_bytes) {
        uint32_t c;
        size_t n = sc_utf8_decode(text.data + at, text.n_bytes - at, &c);
        if (n == 0 || !sc_unicode_is_space(c)) break;
        at += n;
    }
    return at;
}

static bool has_guard(struct sc_text text, size_t at)
{
    return text.n_bytes - at >= SC_TOKEN_GUARD_BYTES &&
           memcmp(text.data + at, SC_TOKEN_GUARD, SC_TOKEN_GUARD_BYTES) == 0;
}

// As sc_special_list_find, without the tokens whose first character is guarded.
static const struct sc_special_token *find_unguarded(const struct sc_special_list *list, struct sc_text text,
                                                     size_t from, size_t *at)
{
    for (;; from = *at + 1) {
        const struct sc_special_token *found = sc_special_list_find(list, text, from, at);
        if (!found) return NULL;
        uint32_t c;
        size_t n = sc_utf8_decode(text.data + *at, text.n_bytes - *at, &c);
        if (!has_guard(text, *at + SC_MAX(n, (size_t)1))) return found;
    }
}

// Encodes a stretch between special tokens without the guards in it.
static socle_status encode_guarded(struct sc_encoding *e, struct sc_text text)
{
    size_t begin = 0;
    sc_buffer_clear(&e->unguarded);
    for (size_t i = 0; i < text.n_bytes;) {
        if (!has_guard(text, i)) {
            i++;
            continue;
        }
        sc_buffer_append(&e->unguarded, text.data + begin, i - begin);
        begin = i += SC_TOKEN_GUARD_BYTES;
    }
    if (begin == 0) return e->tokenizer->kind->encode(e, text);
    if (!sc_buffer_append(&e->unguarded, text.data + begin, text.n_bytes - begin)) return sc_encoding_no_memory(e);
    if (e->unguarded.n_bytes == 0) return SOCLE_OK;
    e->had_guards = true;
    socle_status status = e->tokenizer->kind->encode(e, (struct sc_text){ e->unguarded.data, e->unguarded.n_bytes });
    e->had_guards = false;
    return status;
}

static socle_status encode_all(struct sc_encoding *e, struct sc_text text, const struct sc_tokenize_options *options)
{
    const struct sc_tokenizer *t = e->tokenizer;
    bool guarded = options->guarded;
    const struct sc_special_list *list = options->parse_special || guarded ? &t->special.all : &t->special.words;
    if (options->add_special && t->add_bos && t->bos >= 0 && !sc_token_ids_append(e->out, t->bos))
        return sc_encoding_no_memory(e);
    for (size_t done = 0; done < text.n_bytes;) {
        size_t at = text.n_bytes;
        const struct sc_special_token *special = guarded ? find_unguarded(list, text, done, &at)
                                                         : sc_special_list_find(list, text, done, &at);
        if (!special) at = text.n_bytes;
        struct sc_text stretch = { text.data + done, at - done };
        if (at > done) SC_TRY(guarded ? encode_guarded(e, stretch) : t->kind->encode(e, stretch));
        if (!special) break;
        if (!sc_token_ids_append(e->out, special->id)) return sc_encoding_no_memory(e);
        done = at + special->text.n_bytes;
        if (special->eats_space_after) done = skip_spaces(text, done);
    }
    if (options->add_special && t->add_eos && t->eos >= 0 && !sc_token_ids_append(e->out, t->eos))
        return sc_encoding_no_memory(e);
    return SOCLE_OK;
}

socle_status sc_tokenizer_encode(const struct sc_tokenizer *t, struct sc_text text,
                                 const struct sc_tokenize_options *options, struct sc_token_ids *out, socle_error *err)
{
    enum { TEXT_BYTES_MAX = 1 << 30 };
    if (!t->kind->has_text)
        return sc_fail(err, SOCLE_UNSUPPORTED,
                       "this model has no vocabulary of texts (tokenizer.ggml.model is "
                       "\"%s\"): it takes token ids only",
                       t->kind->models[0]);
    if (text.n_bytes > TEXT_BYTES_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "a text of %zu bytes is longer than the %d that are tokenized at "
                       "once",
                       text.n_bytes, TEXT_BYTES_MAX);
    struct sc_encoding encoding = { .tokenizer = t, .out = out, .err = err };
    size_t n_before = out->n;
    socle_status status = encode_all(&encoding, text, options);
    if (status != SOCLE_OK) out->n = n_before;
    sc_merger_free(&encoding.merger);
    sc_buffer_free(&encoding.scratch);
    sc_buffer_free(&encoding.unguarded);
    sc_split_scratch_free(encoding.split_scratch);
    return status;
}

// ---------------------------------------------------------------------------------------------------- questions

static bool in_range(const struct sc_tokenizer *t, int32_t id) { return id >= 0 && (uint32_t)id < t->vocabulary.n; }

uint32_t sc_tokenizer_n_tokens(const struct sc_tokenizer *t) { return t->vocabulary.n; }
bool sc_tokenizer_has_text(const struct sc_tokenizer *t) { return t->kind->has_text; }
const char *sc_tokenizer_kind(const struct sc_tokenizer *t) { return t->kind->models[0]; }
const char *sc_tokenizer_pre(const struct sc_tokenizer *t) { return t->pretokenizer ? t->pretokenizer->names[0] : ""; }
int32_t sc_tokenizer_bos(const struct sc_tokenizer *t) { return t->bos; }
int32_t sc_tokenizer_eos(const struct sc_tokenizer *t) { return t->eos; }
int32_t sc_tokenizer_eot(const struct sc_tokenizer *t) { return t->eot; }
int32_t sc_tokenizer_unk(const struct sc_tokenizer *t) { return t->unk; }
int32_t sc_tokenizer_pad(const struct sc_tokenizer *t) { return t->pad; }

struct sc_text sc_tokenizer_token_text(const struct sc_tokenizer *t, int32_t id)
{
    return in_range(t, id) ? t->vocabulary.texts[id] : (struct sc_text){ "", 0 };
}

struct sc_text sc_tokenizer_token_bytes(const struct sc_tokenizer *t, int32_t id)
{
    if (!in_range(t, id) || !t->byte_ends || !t->bytes.data) return (struct sc_text){ "", 0 };
    uint32_t begin = id ? t->byte_ends[id - 1] : 0;
    return (struct sc_text){ t->bytes.data + begin, t->byte_ends[id] - begin };
}

enum sc_token_type sc_tokenizer_token_type(const struct sc_tokenizer *t, int32_t id)
{
    return in_range(t, id) ? t->vocabulary.types[id] : SC_TOKEN_UNDEFINED;
}

bool sc_tokenizer_is_special(const struct sc_tokenizer *t, int32_t id)
{
    enum sc_token_type type = sc_tokenizer_token_type(t, id);
    return type == SC_TOKEN_CONTROL || type == SC_TOKEN_UNKNOWN;
}

bool sc_tokenizer_is_end(const struct sc_tokenizer *t, int32_t id)
{
    if (id < 0) return false;
    return id == t->eos || id == t->eot || (in_range(t, id) && t->is_end[id]);
}

int32_t sc_tokenizer_find(const struct sc_tokenizer *t, struct sc_text text)
{
    return sc_vocabulary_find(&t->vocabulary, text);
}
