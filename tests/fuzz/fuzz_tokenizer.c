// Fuzzing the tokenizers with libFuzzer. Any bytes are a text to the built-in vocabularies, and what comes back is
// checked: the tokens of byte-level BPE and of SentencePiece spell the text, and a stream of tokens is valid UTF-8 at
// every step. With one selector the bytes are a vocabulary as well, which may be refused but not believed.
//
//     clang -std=gnu11 -D_GNU_SOURCE -ffp-contract=off -g -O1 -fsanitize=fuzzer,address,undefined
//         -Iinclude -Isrc -Itests tests/fuzz/fuzz_tokenizer.c src/text/*.c src/formats/gguf*.c src/tensor/*.c
//         src/base/*.c -lpcre2-8 -lutf8proc -o fuzz_tokenizer
//     mkdir found && ./fuzz_tokenizer -max_len=4096 found tests/fuzz/corpus/tokenizer
//
// The first byte selects the vocabulary (see `choices`), the second the options; the rest is the text.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tiny_vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

enum { BPE, SENTENCEPIECE, SENTENCEPIECE_WITHOUT_BYTES, WORDPIECE, WORDPIECE_PHANTOM, FROM_INPUT };

static const struct choice {
    int kind;
    const char *pre;
} choices[] = {
    { BPE, "gpt-2" },        { BPE, "llama3" },           { BPE, "qwen2" },
    { BPE, "qwen35" },       { BPE, "deepseek-llm" },     { BPE, "deepseek-v3" },
    { BPE, "gpt-4o" },       { BPE, "tekken" },           { BPE, "kimi-k2" },
    { BPE, "falcon" },       { BPE, "default" },          { BPE, "deepseek-coder" },
    { BPE, "bloom" },        { BPE, "bailingmoe" },       { BPE, "exaone-moe" },
    { BPE, "starcoder" },    { SENTENCEPIECE, NULL },     { SENTENCEPIECE_WITHOUT_BYTES, NULL },
    { WORDPIECE, NULL },     { WORDPIECE_PHANTOM, NULL }, { FROM_INPUT, "gpt2" },
    { FROM_INPUT, "llama" }, { FROM_INPUT, "bert" },
};

enum { N_CHOICES = sizeof choices / sizeof choices[0] };

static void check(bool ok)
{
    if (!ok) abort();
}

static void check_stream(const struct sc_tokenizer *t, const struct sc_token_ids *ids, bool show_special)
{
    struct sc_detokenizer d;
    struct sc_buffer text = { 0 };
    sc_detokenizer_init(&d, t, show_special);
    size_t checked = 0;
    for (size_t i = 0; i <= ids->n; i++) {
        check(i < ids->n ? sc_detokenizer_push(&d, ids->ids[i], &text) : sc_detokenizer_finish(&d, &text));
        if (text.n_bytes == checked) continue;
        check(sc_utf8_valid_run(text.data + checked, text.n_bytes - checked) == text.n_bytes - checked);
        checked = text.n_bytes;
    }
    sc_buffer_free(&text);
}

// The tokens' bytes, one after the other, are the text behind the space that SentencePiece puts before it.
static void check_spelling(const struct sc_tokenizer *t, const struct sc_token_ids *ids, struct sc_text text,
                           bool with_prefix)
{
    struct sc_buffer spelled = { 0 };
    for (size_t i = 0; i < ids->n; i++) {
        struct sc_text piece = sc_tokenizer_token_bytes(t, ids->ids[i]);
        sc_buffer_append(&spelled, piece.data, piece.n_bytes);
    }
    size_t skip = with_prefix && text.n_bytes ? 1 : 0;
    check(spelled.n_bytes == text.n_bytes + skip);
    check(text.n_bytes == 0 || memcmp(spelled.data + skip, text.data, text.n_bytes) == 0);
    sc_buffer_free(&spelled);
}

static void run(const struct sc_tokenizer *t, int kind, const char *pre, uint8_t flags, struct sc_text text)
{
    struct sc_token_ids ids = { 0 };
    struct sc_tokenize_options options = { flags & 1, flags & 2 };
    socle_error err;
    check(sc_tokenizer_encode(t, text, &options, &ids, &err) == SOCLE_OK);
    for (size_t i = 0; i < ids.n; i++) check(ids.ids[i] >= 0 && (uint32_t)ids.ids[i] < sc_tokenizer_n_tokens(t));
    check_stream(t, &ids, flags & 4);
    bool composes = pre && (strcmp(pre, "qwen2") == 0 || strcmp(pre, "qwen35") == 0);
    if (kind == BPE && !composes && !options.add_special) check_spelling(t, &ids, text, false);
    // Between special tokens SentencePiece puts a space each time, and it reads a "▁" of the text as a space.
    bool other = options.add_special || options.parse_special || memmem(text.data, text.n_bytes, "▁", 3);
    if (kind == SENTENCEPIECE && !other) check_spelling(t, &ids, text, true);
    sc_token_ids_free(&ids);
}

static void build(struct tiny *tiny, const struct choice *choice)
{
    switch (choice->kind) {
    case BPE: tiny_bpe(tiny, choice->pre); break;
    case SENTENCEPIECE: tiny_sentencepiece(tiny, true); break;
    case SENTENCEPIECE_WITHOUT_BYTES: tiny_sentencepiece(tiny, false); break;
    default: tiny_wordpiece(tiny, choice->kind == WORDPIECE_PHANTOM); break;
    }
}

// Each line: a byte that is its type, then the token; lines behind an empty one are merges; then an empty one, and
// text.
static void run_own_vocabulary(const char *model, uint8_t flags, struct sc_text rest)
{
    static struct tiny tiny;
    tiny_begin(&tiny, model, "gpt-2");
    int part = 0;
    while (rest.n_bytes && part < 2 && tiny.n_tokens < TINY_TOKENS_MAX && tiny.n_merges < TINY_TOKENS_MAX) {
        const char *end = memchr(rest.data, '\n', rest.n_bytes);
        struct sc_text line = { rest.data, end ? (size_t)(end - rest.data) : rest.n_bytes };
        size_t n_used = line.n_bytes + (end ? 1 : 0);
        rest = (struct sc_text){ rest.data + n_used, rest.n_bytes - n_used };
        if (line.n_bytes == 0) part++;
        else if (part == 1) tiny.merges[tiny.n_merges++] = line;
        else tiny_token(&tiny, (struct sc_text){ line.data + 1, line.n_bytes - 1 }, line.data[0] - '0', line.data[0]);
    }
    socle_error err;
    if (tiny_load(&tiny, &err) == SOCLE_OK) run(tiny.tokenizer, FROM_INPUT, NULL, flags, rest);
    tiny_end(&tiny);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static struct tiny built[N_CHOICES];
    if (n_bytes < 2) return 0;
    size_t i = bytes[0] % N_CHOICES;
    uint8_t flags = bytes[1];
    // A copy of its own length, so that the sanitizer sees every byte past it.
    size_t n = n_bytes - 2;
    char *copy = malloc(n ? n : 1);
    check(copy != NULL);
    memcpy(copy, bytes + 2, n);
    if (choices[i].kind == FROM_INPUT) {
        run_own_vocabulary(choices[i].pre, flags, (struct sc_text){ copy, n });
    } else {
        if (!built[i].tokenizer) {
            socle_error err;
            build(&built[i], &choices[i]);
            check(tiny_load(&built[i], &err) == SOCLE_OK);
        }
        run(built[i].tokenizer, choices[i].kind, choices[i].pre, flags, (struct sc_text){ copy, n });
    }
    free(copy);
    return 0;
}
