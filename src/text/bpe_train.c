// The trainer: its options, and texts cut into words that are counted.
#include "text/bpe_train.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/bpe_train_internal.h"
#include "text/byte_level.h"
#include "text/normalize.h"
#include "text/special_tokens.h"
#include "text/template.h"
#include "text/utf8.h"

enum { N_BYTES = 256, PIECES_UNTIL_TOLD = 1 << 15, MIN_COUNT = 2 };

// ---- options

static socle_status check_special(const char *const *tokens, size_t i, socle_error *err)
{
    size_t n = strlen(tokens[i]);
    uint32_t letter = 0;
    if (n == 0 || n > SC_SPECIAL_BYTES_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "special token '%.40s' has %zu bytes, expected 1 to %d", tokens[i], n,
                       SC_SPECIAL_BYTES_MAX);
    if (sc_utf8_valid_run(tokens[i], n) != n)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "special token number %zu is not UTF-8", i + 1);
    if (sc_utf8_decode(tokens[i], n, &letter) == n && sc_byte_level_byte(letter) >= 0)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "special token '%s' is a letter that stands for a byte: take a longer one", tokens[i]);
    for (size_t j = 0; j < i; j++)
        if (strcmp(tokens[i], tokens[j]) == 0)
            return sc_fail(err, SOCLE_BAD_ARGUMENT, "special token '%s' is given twice", tokens[i]);
    return SOCLE_OK;
}

static socle_status check(const socle_tokenizer_train_options *o, socle_error *err)
{
    for (size_t i = 0; i < o->n_special_tokens; i++) SC_TRY(check_special(o->special_tokens, i, err));
    uint64_t least = (uint64_t)o->n_special_tokens + N_BYTES;
    if (o->n_tokens < least || o->n_tokens > INT32_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT,
                       "a vocabulary of %u tokens: expected %llu (%zu special tokens and 256 bytes) to %d", o->n_tokens,
                       (unsigned long long)least, o->n_special_tokens, INT32_MAX);
    if (o->max_token_bytes && (o->max_token_bytes < 2 || o->max_token_bytes > SC_BPE_TOKEN_BYTES_MAX))
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "tokens of at most %u bytes: expected 2 to %d", o->max_token_bytes,
                       SC_BPE_TOKEN_BYTES_MAX);
    if (!o->chat_template) return SOCLE_OK;
    struct sc_template *template;
    socle_status status = sc_template_parse(sc_text_of(o->chat_template), &template, err);
    if (status != SOCLE_OK) return sc_fail_prefix(err, "the chat template");
    sc_template_free(template);
    return SOCLE_OK;
}

static bool copy(struct sc_arena *arena, const char **text)
{
    if (!*text) return true;
    *text = sc_arena_text(arena, *text, strlen(*text));
    return *text != NULL;
}

static bool copy_strings(struct sc_bpe_trainer *t)
{
    socle_tokenizer_train_options *o = &t->options;
    const char **tokens = sc_arena_array(&t->arena, o->n_special_tokens, sizeof *tokens);
    if (!tokens) return false;
    for (size_t i = 0; i < o->n_special_tokens; i++) {
        tokens[i] = o->special_tokens[i];
        if (!copy(&t->arena, &tokens[i])) return false;
    }
    o->special_tokens = tokens;
    return copy(&t->arena, &o->pretokenizer) && copy(&t->arena, &o->chat_template) && copy(&t->arena, &o->bos) &&
           copy(&t->arena, &o->eos) && copy(&t->arena, &o->pad);
}

// The id of a role's token; -1 without one.
static socle_status find_role(const socle_tokenizer_train_options *o, const char *token, const char *role, int32_t *out,
                              socle_error *err)
{
    *out = -1;
    if (!token) return SOCLE_OK;
    for (size_t i = 0; i < o->n_special_tokens; i++)
        if (strcmp(o->special_tokens[i], token) == 0) *out = (int32_t)i;
    if (*out >= 0) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_ARGUMENT, "the %s token '%.40s' is none of the special tokens", role, token);
}

static socle_status set_up(struct sc_bpe_trainer *t, const socle_tokenizer_train_options *options, socle_error *err)
{
    socle_tokenizer_train_options *o = &t->options;
    SC_TRY(check(options, err));
    *o = *options;
    if (!o->pretokenizer) o->pretokenizer = "gpt-2";
    if (!o->min_count) o->min_count = MIN_COUNT;
    if (!o->max_token_bytes) o->max_token_bytes = SC_BPE_TOKEN_BYTES_MAX;
    if (!copy_strings(t)) return sc_fail_memory(err, o->n_special_tokens * sizeof(char *), "special tokens");
    SC_TRY(find_role(o, o->bos, "beginning", &t->bos, err));
    SC_TRY(find_role(o, o->eos, "end", &t->eos, err));
    SC_TRY(find_role(o, o->pad, "padding", &t->pad, err));
    t->n_until_told = PIECES_UNTIL_TOLD;
    t->pretokenizer = sc_pretokenizer_find(sc_text_of(o->pretokenizer));
    if (!t->pretokenizer) {
        struct sc_buffer names = { 0 };
        sc_pretokenizer_list(&names);
        sc_fail(err, SOCLE_UNSUPPORTED, "no pre-tokenizer is called '%.40s' (known: %s)", o->pretokenizer,
                names.data ? names.data : "");
        sc_buffer_free(&names);
        return SOCLE_UNSUPPORTED;
    }
    SC_TRY(sc_splitter_compile(t->pretokenizer, &t->splitter, err));
    t->scratch = sc_split_scratch_new(t->splitter);
    return t->scratch ? SOCLE_OK : sc_fail(err, SOCLE_NO_MEMORY, "not enough memory to split texts");
}

socle_status sc_bpe_trainer_create(const socle_tokenizer_train_options *options, struct sc_bpe_trainer **out,
                                   socle_error *err)
{
    struct sc_bpe_trainer *t = calloc(1, sizeof *t);
    if (!t) return sc_fail_memory(err, sizeof *t, "a trainer of tokenizers");
    socle_status status = set_up(t, options, err);
    if (status == SOCLE_OK) *out = t;
    else sc_bpe_trainer_free(t);
    return status;
}

void sc_bpe_trainer_free(struct sc_bpe_trainer *t)
{
    if (!t) return;
    sc_bpe_words_free(&t->words);
    sc_buffer_free(&t->normalized);
    sc_split_scratch_free(t->scratch);
    sc_splitter_free(t->splitter);
    sc_arena_free(&t->arena);
    free(t);
}

uint64_t sc_bpe_trainer_n_texts(const struct sc_bpe_trainer *t) { return t->n_texts; }
uint64_t sc_bpe_trainer_n_bytes(const struct sc_bpe_trainer *t) { return t->n_bytes; }
uint64_t sc_bpe_trainer_n_words(const struct sc_bpe_trainer *t) { return t->words.n; }

// ---- texts

struct adding {
    struct sc_bpe_trainer *trainer;
    socle_error *err;
};

static socle_status take_piece(void *context, struct sc_text piece)
{
    const struct adding *adding = context;
    struct sc_bpe_trainer *t = adding->trainer;
    const socle_tokenizer_train_options *o = &t->options;
    t->n_split_bytes += piece.n_bytes;
    if (--t->n_until_told == 0) {
        t->n_until_told = PIECES_UNTIL_TOLD;
        if (o->on_progress && !o->on_progress(o->context, t->n_split_bytes, 0))
            return sc_fail(adding->err, SOCLE_CANCELLED, "stopped after %llu bytes of text",
                           (unsigned long long)t->n_split_bytes);
    }
    if (piece.n_bytes > 1) return sc_bpe_words_add(&t->words, piece, adding->err);
    t->n_single++;
    return SOCLE_OK;
}

static socle_status add_valid(struct adding *adding, struct sc_text text)
{
    struct sc_bpe_trainer *t = adding->trainer;
    if (t->pretokenizer->nfc && !sc_normalize_is_plain(text)) {
        sc_buffer_clear(&t->normalized);
        if (!sc_normalize_nfc(text, &t->normalized))
            return sc_fail_memory(adding->err, text.n_bytes, "a text in normal form C");
        text = (struct sc_text){ t->normalized.data, t->normalized.n_bytes };
    }
    return sc_splitter_split(t->splitter, t->scratch, text, take_piece, adding, adding->err);
}

// The text is cut as it will be when it is tokenized (bpe.c).
socle_status sc_bpe_trainer_add(struct sc_bpe_trainer *t, struct sc_text text, socle_error *err)
{
    struct adding adding = { t, err };
    t->n_texts++;
    t->n_bytes += text.n_bytes;
    while (text.n_bytes) {
        size_t n = sc_utf8_valid_run(text.data, text.n_bytes);
        if (n) {
            SC_TRY(add_valid(&adding, (struct sc_text){ text.data, n }));
        } else {
            n = 1;
            SC_TRY(take_piece(&adding, (struct sc_text){ text.data, 1 }));
        }
        text = (struct sc_text){ text.data + n, text.n_bytes - n };
    }
    return SOCLE_OK;
}
