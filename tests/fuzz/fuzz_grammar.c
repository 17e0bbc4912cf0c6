// Fuzzes grammars: the first byte selects GBNF, a regular expression or a JSON Schema, its source follows, and after a
// NUL a text. A source is compiled or refused with a message; the text is followed as far as it goes, and on the way
// masks and acceptance must be one.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/matcher.h"
#include "tiny_vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void check(bool ok)
{
    if (!ok) abort();
}

static const struct sc_token_index *vocabulary(void)
{
    static struct tiny tiny;
    static struct sc_token_index *index;
    if (index) return index;
    static const char *const words[] = { "{\"", "\":", "\",", "\"}", "],", "Ġ\"", "ĠĠĠĠ", "Ċ", "true", "12", "abc", "é" };
    tiny_begin(&tiny, "gpt2", "gpt-2");
    tiny_byte_letters(&tiny);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) tiny_word(&tiny, words[i]);
    sc_gguf_writer_set_u32(tiny.writer, "tokenizer.ggml.eos_token_id",
                           (uint32_t)tiny_token(&tiny, sc_text_of("<|im_end|>"), SC_TOKEN_CONTROL, 0), NULL);
    tiny_token(&tiny, sc_text_of("<|tool|>"), SC_TOKEN_CONTROL, 0);
    check(tiny_load(&tiny, NULL) == SOCLE_OK);
    check(sc_token_index_create(tiny.tokenizer, &index, NULL) == SOCLE_OK);
    return index;
}

static void follow(struct sc_matcher *m, const uint8_t *text, size_t n_bytes)
{
    uint64_t mask[8];
    struct sc_matcher *copy;
    socle_error err = { 0 };
    check(sc_matcher_mask_words(m) <= 8);
    for (size_t i = 0; i < n_bytes && i < 40; i++) {
        socle_status status = sc_matcher_mask(m, mask, &err);
        check(status == SOCLE_OK || (status == SOCLE_UNSUPPORTED && err.message[0]));
        if (status != SOCLE_OK) return;
        check(sc_matcher_copy(m, &copy, &err) == SOCLE_OK);
        int32_t token = (int32_t)(text[i] + i % 16);
        check(sc_matcher_accept(copy, token) == (mask[token / 64] >> (token % 64) & 1));
        sc_matcher_free(copy);
        if (!sc_matcher_accept_bytes(m, (struct sc_text){ (const char *)text + i, 1 })) return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    const struct sc_token_index *index = vocabulary();
    if (n_bytes == 0) return 0;
    const uint8_t *source = data + 1, *end = memchr(source, 0, n_bytes - 1);
    struct sc_text text = { (const char *)source, end ? (size_t)(end - source) : n_bytes - 1 };
    struct sc_grammar *grammar;
    struct sc_token_masks *masks;
    struct sc_matcher *m;
    socle_error err = { 0 };
    socle_status status = data[0] % 3 == 0   ? sc_grammar_from_gbnf(text, &grammar, &err)
                          : data[0] % 3 == 1 ? sc_grammar_from_regex(text, &grammar, &err)
                                             : sc_grammar_from_json_schema(text, &grammar, &err);
    check(status == SOCLE_OK || err.message[0]);
    if (status != SOCLE_OK) return 0;
    check(sc_token_masks_create(grammar, index, &masks, &err) == SOCLE_OK);
    check(sc_matcher_create(masks, &m, &err) == SOCLE_OK);
    follow(m, end ? end + 1 : (const uint8_t *)"", end ? n_bytes - 2 - text.n_bytes : 0);
    sc_matcher_free(m);
    sc_token_masks_free(masks);
    sc_grammar_free(grammar);
    return 0;
}
