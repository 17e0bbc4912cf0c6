// Tokenizers: every row of the reference vocabularies, the pre-tokenizers against Hugging Face's cuts, round trips,
// streaming, special tokens, long inputs, and vocabularies that must be refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "text/merge.h"
#include "text/normalize.h"
#include "text/pretokenize.h"
#include "text/utf8.h"
#include "tiny_vocabulary.h"

static void must(socle_status status, const socle_error *err)
{
    if (status != SOCLE_OK) fail_msg("%s: %s", socle_status_name(status), err->message);
}

static void must_fail(socle_status status, socle_status expected, const socle_error *err, const char *says)
{
    assert_int_equal(status, expected);
    if (!strstr(err->message, says)) fail_msg("expected a message with '%s', found: %s", says, err->message);
}

static struct sc_token_ids encode(const struct sc_tokenizer *t, struct sc_text text, bool add, bool parse)
{
    struct sc_token_ids ids = { 0 };
    socle_error err;
    must(sc_tokenizer_encode(t, text, &(struct sc_tokenize_options){ add, parse }, &ids, &err), &err);
    return ids;
}

// Decodes as a stream; whatever comes out at any time must be whole characters.
static struct sc_buffer decode(const struct sc_tokenizer *t, const int32_t *ids, size_t n, bool show_special)
{
    struct sc_buffer text = { 0 };
    struct sc_detokenizer d;
    sc_detokenizer_init(&d, t, show_special);
    for (size_t i = 0; i < n; i++) {
        size_t before = text.n_bytes;
        assert_true(sc_detokenizer_push(&d, ids[i], &text));
        if (text.n_bytes > before)
            assert_int_equal(sc_utf8_valid_run(text.data + before, text.n_bytes - before), text.n_bytes - before);
    }
    assert_true(sc_detokenizer_finish(&d, &text));
    sc_buffer_append(&text, "", 0);
    return text;
}

static void expect_ids(const struct sc_tokenizer *t, const char *text, bool add, bool parse, const char *expected)
{
    struct sc_token_ids ids = encode(t, sc_text_of(text), add, parse);
    struct sc_buffer found = { 0 };
    for (size_t i = 0; i < ids.n; i++) {
        struct sc_text token = sc_tokenizer_token_text(t, ids.ids[i]);
        sc_buffer_printf(&found, "%s%.*s", i ? "," : "", (int)token.n_bytes, token.data);
    }
    assert_string_equal(found.data ? found.data : "", expected);
    sc_buffer_free(&found);
    sc_token_ids_free(&ids);
}

// ---------------------------------------------------------------------------------------------------- fixtures

static const char *const fixtures[] = { "bert-bge",  "deepseek-coder", "deepseek-llm", "falcon", "gpt-2",
                                        "llama-bpe", "llama-spm",      "phi-3",        "qwen2" };

static bool fixture_path(char *path, size_t n, const char *name, const char *suffix)
{
    const char *root = getenv("SOCLE_FIXTURES");
    snprintf(path, n, "%s/tokenizers/%s%s", root ? root : SC_SOURCE_ROOT "/../shared/fixtures", name, suffix);
    FILE *file = fopen(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

static bool load_fixture(const char *name, struct sc_gguf **gguf, struct sc_tokenizer **tokenizer)
{
    char path[4096];
    if (!fixture_path(path, sizeof path, name, ".gguf")) {
        print_message("no %s: skipped\n", path);
        return false;
    }
    socle_error err;
    must(sc_gguf_open(path, gguf, &err), &err);
    must(sc_tokenizer_load(*gguf, tokenizer, &err), &err);
    return true;
}

// Two rows were made by llama.cpp where Hugging Face's tokenizers, run on the same vocabulary, say otherwise:
// Qwen2 composes its input (normal form C), and BERT strips nonspacing marks only, not every mark.
static const struct correction {
    const char *name;
    int row;
    int32_t ids[24];
} corrections[] = {
    { "qwen2", 58, { 145233, 378, 235, 145233, 378,  235, 145665, 378,   235,   145988, 147233,
                     30543,  378, 235, 145354, 3958, 220, 4102,   15692, 22441, 87 } },
    { "bert-bge",
      50,
      { 1339, 29877, 29863, 29861, 29878, 1331, 100, 1336, 29865, 29861, 100, 1338, 29852, 29868, 29876, 29850, 100 } },
};

static bool row_matches(const char *name, int row, const json_t *expected, const struct sc_token_ids *ids)
{
    for (size_t i = 0; i < sizeof corrections / sizeof corrections[0]; i++) {
        const struct correction *c = &corrections[i];
        if (strcmp(c->name, name) != 0 || c->row != row) continue;
        size_t n = 0;
        while (n < 24 && c->ids[n]) n++;
        return n == ids->n && memcmp(c->ids, ids->ids, n * sizeof(int32_t)) == 0;
    }
    bool same = json_array_size(expected) == ids->n;
    for (size_t i = 0; same && i < ids->n; i++) same = json_integer_value(json_array_get(expected, i)) == ids->ids[i];
    return same;
}

static bool check_row(const char *name, int row, const struct sc_tokenizer *t, const char *line)
{
    json_t *json = json_loads(line, JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    const json_t *text = json_object_get(json, "text");
    struct sc_text input = { json_string_value(text), json_string_length(text) };
    struct sc_token_ids ids = encode(t, input, false, false);
    bool same = row_matches(name, row, json_object_get(json, "ids"), &ids);
    if (!same) print_error("%s, row %d: %.60s\n", name, row, input.data);
    // Where nothing is normalized away, the tokens spell the text.
    struct sc_buffer back = decode(t, ids.ids, ids.n, true);
    if (strcmp(name, "bert-bge") != 0 && strcmp(name, "qwen2") != 0) {
        assert_int_equal(back.n_bytes, input.n_bytes);
        assert_memory_equal(back.data, input.data, input.n_bytes);
    }
    sc_buffer_free(&back);
    sc_token_ids_free(&ids);
    json_decref(json);
    return same;
}

static void test_fixture_rows(void **state)
{
    (void)state;
    int n_failed = 0;
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        struct sc_gguf *gguf;
        struct sc_tokenizer *t;
        char path[4096];
        if (!load_fixture(fixtures[i], &gguf, &t) || !fixture_path(path, sizeof path, fixtures[i], ".jsonl")) skip();
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        char *line = NULL;
        size_t capacity = 0;
        int row = 0;
        for (; getline(&line, &capacity, file) > 0; row++) n_failed += !check_row(fixtures[i], row, t, line);
        assert_true(row > 60);
        free(line);
        fclose(file);
        sc_tokenizer_free(t);
        sc_gguf_close(gguf);
    }
    assert_int_equal(n_failed, 0);
}

static void test_fixture_roles(void **state)
{
    (void)state;
    struct sc_gguf *gguf;
    struct sc_tokenizer *t;
    if (!load_fixture("llama-bpe", &gguf, &t)) skip();
    assert_int_equal(sc_tokenizer_bos(t), 128000);
    assert_int_equal(sc_tokenizer_eos(t), 128001);
    assert_int_equal(sc_tokenizer_eot(t), 128009);
    assert_true(sc_tokenizer_is_end(t, 128009) && sc_tokenizer_is_end(t, 128001) && !sc_tokenizer_is_end(t, 128000));
    expect_ids(t, "hi<|eot_id|>", true, true, "<|begin_of_text|>,hi,<|eot_id|>");
    expect_ids(t, "hi<|eot_id|>", false, false, "hi,<,|,e,ot,_id,|,>");
    sc_tokenizer_free(t);
    sc_gguf_close(gguf);

    assert_true(load_fixture("phi-3", &gguf, &t));
    // Phi-3's turn tokens take the white space behind them along; "<s>" does not.
    expect_ids(t, "<|user|>\n hi<|end|>\n<|assistant|>", false, true, "<|user|>,▁hi,<|end|>,<|assistant|>");
    expect_ids(t, "<s> x", true, true, "<s>,<s>,▁,▁x");
    assert_true(sc_tokenizer_is_end(t, 32007) && sc_tokenizer_is_end(t, 32000) && !sc_tokenizer_is_end(t, 2));
    sc_tokenizer_free(t);
    sc_gguf_close(gguf);

    assert_true(load_fixture("bert-bge", &gguf, &t));
    expect_ids(t, "Hello, World", true, false, "[CLS],▁hello,▁,,▁world,[SEP]");
    struct sc_token_ids ids = encode(t, sc_text_of("embeddings are fun"), true, false);
    struct sc_buffer text = decode(t, ids.ids, ids.n, false);
    assert_string_equal(text.data, "embeddings are fun");
    sc_buffer_free(&text);
    sc_token_ids_free(&ids);
    sc_tokenizer_free(t);
    sc_gguf_close(gguf);
}

static void fill(char *text, size_t n, int kind)
{
    uint32_t random = 12345;
    for (size_t i = 0; i < n; i++) {
        random = random * 1664525u + 1013904223u;
        switch (kind) {
        case 0: text[i] = 'a'; break;
        case 1: text[i] = ' '; break;
        case 2: text[i] = '\n'; break;
        case 3: text[i] = (char)(random >> 24); break;
        case 4: text[i] = i + 1 == n ? 'x' : ' '; break;
        case 5: text[i] = "\n \t\r\n"[i % 5]; break;
        case 6: text[i] = 'A'; break;
        default: text[i] = "The 4 quick foxes, jumping!\n"[i % 28]; break;
        }
    }
}

// A megabyte of anything is tokenized, in a time that no test's limit notices; bytes survive.
static void test_fixture_long_inputs(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    char *text = test_malloc(N);
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        struct sc_gguf *gguf;
        struct sc_tokenizer *t;
        if (!load_fixture(fixtures[i], &gguf, &t)) {
            test_free(text);
            skip();
        }
        for (int kind = 0; kind < 8; kind++) {
            fill(text, N, kind);
            struct sc_token_ids ids = encode(t, (struct sc_text){ text, N }, false, true);
            assert_true(ids.n <= N + 1);
            struct sc_buffer back = decode(t, ids.ids, ids.n, true);
            if (kind != 3 && i != 0) {
                assert_int_equal(back.n_bytes, N);
                assert_memory_equal(back.data, text, N);
            }
            sc_buffer_free(&back);
            sc_token_ids_free(&ids);
        }
        sc_tokenizer_free(t);
        sc_gguf_close(gguf);
    }
    test_free(text);
}

// ---------------------------------------------------------------------------------------------------- splitting

struct cuts {
    const json_t *expected;
    size_t n;
    bool same;
};

static socle_status take_cut(void *context, struct sc_text piece)
{
    struct cuts *cuts = context;
    const json_t *expected = json_array_get(cuts->expected, cuts->n++);
    if (!expected || json_integer_value(expected) != (json_int_t)piece.n_bytes) cuts->same = false;
    return SOCLE_OK;
}

static void check_pretokenizer(const json_t *row, const json_t *strings)
{
    const char *pre = json_string_value(json_object_get(row, "pre"));
    const struct sc_pretokenizer *pretokenizer = sc_pretokenizer_find(sc_text_of(pre));
    assert_non_null(pretokenizer);
    struct sc_splitter *splitter;
    socle_error err;
    must(sc_splitter_compile(pretokenizer, &splitter, &err), &err);
    struct sc_split_scratch *scratch = sc_split_scratch_new(splitter);
    assert_non_null(scratch);
    size_t i;
    const json_t *string;
    json_array_foreach (strings, i, string) {
        struct cuts cuts = { json_array_get(json_object_get(row, "pieces"), i), 0, true };
        struct sc_text text = { json_string_value(string), json_string_length(string) };
        must(sc_splitter_split(splitter, scratch, text, take_cut, &cuts, &err), &err);
        if (!cuts.same || cuts.n != json_array_size(cuts.expected))
            fail_msg("%s cuts string %zu, '%s', in another way", pre, i, text.data);
    }
    sc_split_scratch_free(scratch);
    sc_splitter_free(splitter);
}

static void test_pretokenizers(void **state)
{
    (void)state;
    json_error_t error;
    json_t *json = json_load_file(SC_SOURCE_ROOT "/tests/data/pretokenize_cases.json", JSON_ALLOW_NUL, &error);
    if (!json) fail_msg("pretokenize_cases.json: %s", error.text);
    size_t i;
    const json_t *row;
    json_array_foreach (json_object_get(json, "rows"), i, row)
        check_pretokenizer(row, json_object_get(json, "strings"));
    assert_true(i > 10);
    json_decref(json);
}

static socle_status count_piece(void *context, struct sc_text piece)
{
    *(size_t *)context += piece.n_bytes;
    return SOCLE_OK;
}

// Every pre-tokenizer, also those whose vocabularies are not at hand, splits long runs without giving up.
static void test_pretokenizers_long(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    char *text = test_malloc(N);
    struct sc_buffer names = { 0 };
    assert_true(sc_pretokenizer_list(&names));
    for (char *name = strtok(names.data, ", "); name; name = strtok(NULL, ", ")) {
        const struct sc_pretokenizer *row = sc_pretokenizer_find(sc_text_of(name));
        assert_non_null(row);
        if (strcmp(row->names[0], name) != 0) continue; // once per row
        struct sc_splitter *splitter;
        socle_error err;
        must(sc_splitter_compile(row, &splitter, &err), &err);
        struct sc_split_scratch *scratch = sc_split_scratch_new(splitter);
        for (int kind = 0; kind < 8; kind++) {
            if (kind == 3) continue; // not UTF-8
            fill(text, N, kind);
            size_t n = 0;
            must(sc_splitter_split(splitter, scratch, (struct sc_text){ text, N }, count_piece, &n, &err), &err);
            assert_int_equal(n, N);
        }
        sc_split_scratch_free(scratch);
        sc_splitter_free(splitter);
    }
    sc_buffer_free(&names);
    test_free(text);
}

// ---------------------------------------------------------------------------------------------------- merging

static bool merge_powers(const void *context, const struct sc_symbol *left, const struct sc_symbol *right,
                         uint32_t *priority, int32_t *id)
{
    (void)context;
    *priority = left->n_bytes;
    *id = (int32_t)(left->n_bytes + right->n_bytes);
    return left->n_bytes == right->n_bytes;
}

static bool merge_to_left(const void *context, const struct sc_symbol *left, const struct sc_symbol *right,
                          uint32_t *priority, int32_t *id)
{
    (void)context, (void)left;
    *priority = right->start;
    *id = 1;
    return right->n_bytes == 1;
}

// The work is bounded by counts, not by clocks: at most three look-ups per symbol.
static void test_merging_work(void **state)
{
    (void)state;
    sc_merge_find *const finds[] = { merge_powers, merge_to_left };
    for (size_t k = 0; k < 2; k++)
        for (uint32_t n = 1; n <= 1 << 17; n = n * 3 + 1) {
            struct sc_merger m = { 0 };
            assert_true(sc_merger_begin(&m, n));
            for (uint32_t i = 0; i < n; i++) sc_merger_add(&m, i, 1, 1);
            sc_merger_run(&m, finds[k], NULL);
            assert_true(m.n_lookups <= 3 * (uint64_t)n);
            uint32_t n_left = 0, n_bytes = 0;
            for (uint32_t i = 0; i != SC_SYMBOL_NONE; i = m.symbols[i].next, n_left++) {
                assert_int_equal(m.symbols[i].start, n_bytes);
                n_bytes += m.symbols[i].n_bytes;
            }
            assert_int_equal(n_bytes, n);
            if (k == 0) assert_int_equal(n_left, __builtin_popcount(n)); // powers of two, largest first
            else assert_int_equal(n_left, 1);
            sc_merger_free(&m);
        }
}

// ---------------------------------------------------------------------------------------------------- kinds

static void test_bpe(void **state)
{
    (void)state;
    struct tiny tiny;
    socle_error err;
    tiny_bpe(&tiny, "gpt-2");
    must(tiny_load(&tiny, &err), &err);
    const struct sc_tokenizer *t = tiny.tokenizer;
    assert_string_equal(sc_tokenizer_kind(t), "gpt2");
    assert_string_equal(sc_tokenizer_pre(t), "gpt-2");
    expect_ids(t, "hello w", false, false, "hello,Ġw");
    expect_ids(t, "aaaaaaa", false, false, "aaaa,aa,a");
    expect_ids(t, "é", false, false, "Ã©");
    expect_ids(t, "", true, true, "");
    // Bytes that are no UTF-8 keep their values.
    expect_ids(t,
               "a\xFF"
               "a\xC3",
               false, false, "a,ÿ,a,Ã");
    uint32_t random = 1;
    for (int round = 0; round < 300; round++) {
        char bytes[64];
        size_t n = (size_t)round % sizeof bytes;
        for (size_t i = 0; i < n; i++) bytes[i] = (char)((random = random * 1664525u + 1013904223u) >> 24);
        struct sc_token_ids ids = encode(t, (struct sc_text){ bytes, n }, false, false);
        struct sc_buffer back = { 0 };
        for (size_t i = 0; i < ids.n; i++) {
            struct sc_text piece = sc_tokenizer_token_bytes(t, ids.ids[i]);
            sc_buffer_append(&back, piece.data, piece.n_bytes);
        }
        assert_int_equal(back.n_bytes, n);
        if (n) assert_memory_equal(back.data, bytes, n);
        sc_buffer_free(&back);
        sc_token_ids_free(&ids);
    }
    tiny_end(&tiny);
}

static void test_special_tokens(void **state)
{
    (void)state;
    struct tiny tiny;
    socle_error err;
    tiny_bpe(&tiny, "llama3");
    must(tiny_load(&tiny, &err), &err);
    const struct sc_tokenizer *t = tiny.tokenizer;
    // The longest at the earliest place; a shorter one where the longer breaks off.
    expect_ids(t, "<|im_end|>\nhello", false, true, "<|im_end|>\n,hello");
    expect_ids(t, "<|im_end|>hello", false, true, "<|im_end|>,hello");
    expect_ids(t, "<|im_end", false, true, "<|im,_,e,n,d");
    expect_ids(t, "<|im<|im", false, true, "<|im,<|im");
    // Control tokens only when asked for, user-defined ones always.
    expect_ids(t, "<|im", false, false, "<,|,i,m");
    expect_ids(t, "<tool>hello", false, false, "<tool>,hello");
    int32_t end = sc_tokenizer_find(t, sc_text_of("<|im_end|>"));
    assert_true(end > 0 && sc_tokenizer_is_end(t, end) && sc_tokenizer_is_special(t, end));
    assert_int_equal(sc_tokenizer_eot(t), end);
    int32_t tool = sc_tokenizer_find(t, sc_text_of("<tool>"));
    struct sc_buffer text = decode(t, (int32_t[]){ tool, end, tool }, 3, false);
    assert_string_equal(text.data, "<tool><tool>");
    sc_buffer_free(&text);
    text = decode(t, (int32_t[]){ tool, end, -1, 1 << 30 }, 4, true);
    assert_string_equal(text.data, "<tool><|im_end|>");
    sc_buffer_free(&text);
    tiny_end(&tiny);
}

static void test_sentencepiece(void **state)
{
    (void)state;
    struct tiny tiny;
    socle_error err;
    tiny_sentencepiece(&tiny, true);
    must(tiny_load(&tiny, &err), &err);
    expect_ids(tiny.tokenizer, "hello", false, false, "▁,hello");
    expect_ids(tiny.tokenizer, "aé", true, false, "<s>,▁a,é");
    expect_ids(tiny.tokenizer, " ", false, false, "▁▁");
    expect_ids(tiny.tokenizer, "z\xFF", false, false, "▁,<0x7A>,<0xFF>");
    struct sc_token_ids ids = encode(tiny.tokenizer, sc_text_of(" hello z€"), false, false);
    struct sc_buffer text = decode(tiny.tokenizer, ids.ids, ids.n, false);
    assert_string_equal(text.data, " hello z€");
    sc_buffer_free(&text);
    sc_token_ids_free(&ids);
    tiny_end(&tiny);

    tiny_sentencepiece(&tiny, false);
    sc_gguf_writer_set_bool(tiny.writer, "tokenizer.ggml.add_space_prefix", false, &err);
    sc_gguf_writer_set_bool(tiny.writer, "tokenizer.ggml.remove_extra_whitespaces", true, &err);
    sc_gguf_writer_set_bool(tiny.writer, "tokenizer.ggml.add_eos_token", true, &err);
    must(tiny_load(&tiny, &err), &err);
    expect_ids(tiny.tokenizer, "hello", true, false, "<s>,hello,</s>");
    expect_ids(tiny.tokenizer, "xyzaxx", false, false, "<unk>,a,<unk>"); // unknown stretches are one token
    expect_ids(tiny.tokenizer, "   a    a  ", false, false, "a,▁a");
    expect_ids(tiny.tokenizer, "   ", false, false, "");
    tiny_end(&tiny);
}

static void test_wordpiece(void **state)
{
    (void)state;
    for (int phantom = 0; phantom < 2; phantom++) {
        struct tiny tiny;
        socle_error err;
        tiny_wordpiece(&tiny, phantom);
        must(tiny_load(&tiny, &err), &err);
        const struct sc_tokenizer *t = tiny.tokenizer;
        expect_ids(t, "Hello HE!", true, false, phantom ? "[CLS],▁hello,▁he,▁!,[SEP]" : "[CLS],hello,he,!,[SEP]");
        expect_ids(t, "helloa heaer", false, false, phantom ? "▁hello,a,▁he,a,er" : "hello,##a,he,##a,##er");
        expect_ids(t, "hé\u0301llo a\u0300中a x", false, false,
                   phantom ? "▁hello,▁a,▁中,▁a,[UNK]" : "hello,a,中,a,[UNK]");
        expect_ids(t, "a\xFF\xFE a", false, false, phantom ? "▁a,▁a" : "a,a");
        expect_ids(t, "a▁a", false, false, "[UNK]"); // a "▁" of the text is no beginning of a word
        char word[101 + 1];
        memset(word, 'a', sizeof word - 1);
        word[101] = '\0';
        expect_ids(t, word, false, false, "[UNK]");
        struct sc_token_ids ids = encode(t, sc_text_of("helloa he"), true, false);
        struct sc_buffer text = decode(t, ids.ids, ids.n, false);
        assert_string_equal(text.data, "helloa he");
        sc_buffer_free(&text);
        sc_token_ids_free(&ids);
        tiny_end(&tiny);
    }
}

// A character may arrive in many tokens, and may never be finished.
static void test_streaming(void **state)
{
    (void)state;
    struct tiny tiny;
    socle_error err;
    tiny_bpe(&tiny, "gpt-2");
    must(tiny_load(&tiny, &err), &err);
    static const struct {
        const char *bytes, *after[6]; // the text so far after each byte, then after the end
    } cases[] = {
        { "\xF0\x9F\xA6\x99", { "", "", "", "🦙", "🦙" } },
        { "\xE2\x82", { "", "", "\uFFFD" } },
        { "\xE2\x82"
          "A",
          { "", "",
            "\uFFFD"
            "A",
            "\uFFFD"
            "A" } },
        { "\xFF"
          "A",
          { "\uFFFD",
            "\uFFFD"
            "A",
            "\uFFFD"
            "A" } },
        { "\xED\xA0\x80", { "", "\uFFFD\uFFFD", "\uFFFD\uFFFD\uFFFD", "\uFFFD\uFFFD\uFFFD" } },
        { "\xF0\x80", { "", "\uFFFD\uFFFD", "\uFFFD\uFFFD" } },
        { "\xC3\xC3\xA9", { "", "\uFFFD", "\uFFFDé", "\uFFFDé" } },
        { "\xF4\x8F\xBF", { "", "", "", "\uFFFD" } },
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct sc_detokenizer d;
        struct sc_buffer text = { 0 };
        sc_detokenizer_init(&d, tiny.tokenizer, false);
        size_t n = strlen(cases[k].bytes);
        for (size_t i = 0; i < n; i++) { // the letters come first in this vocabulary: a byte is its own id
            assert_true(sc_detokenizer_push(&d, (uint8_t)cases[k].bytes[i], &text));
            assert_string_equal(text.data ? text.data : "", cases[k].after[i]);
        }
        assert_true(sc_detokenizer_finish(&d, &text));
        assert_string_equal(text.data ? text.data : "", cases[k].after[n]);
        sc_buffer_free(&text);
    }
    tiny_end(&tiny);
}

static void test_normal_forms(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "e\u0301", "é" },
        { "\u212B", "Å" },
        { "\u1100\u1161\u11A8", "각" },
        { "q\u0307\u0323", "q\u0323\u0307" },
        { "plain", "plain" },
        { "\u0958", "\u0915\u093C" },
        { "", "" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct sc_buffer out = { 0 };
        assert_true(sc_normalize_nfc(sc_text_of(pairs[i][0]), &out));
        assert_string_equal(out.data ? out.data : "", pairs[i][1]);
        sc_buffer_free(&out);
    }
    // A run of marks in the worst order is sorted in linear time.
    enum { N = 1 << 18 };
    char *text = test_malloc(2 * N);
    for (size_t i = 0; i < N; i++) memcpy(text + 2 * i, i % 2 ? "\u0323" : "\u0301", 2);
    struct sc_buffer out = { 0 };
    assert_true(sc_normalize_nfc((struct sc_text){ text, 2 * N }, &out));
    assert_int_equal(out.n_bytes, 2 * N);
    assert_memory_equal(out.data, "\u0323\u0323", 4);
    sc_buffer_free(&out);
    test_free(text);
}

// ---------------------------------------------------------------------------------------------------- refusals

static void expect_refusal(struct tiny *tiny, socle_status expected, const char *says)
{
    socle_error err;
    must_fail(tiny_load(tiny, &err), expected, &err, says);
    tiny_end(tiny);
}

static void test_no_text_side(void **state)
{
    (void)state;
    struct tiny tiny;
    socle_error err;
    tiny_begin(&tiny, "test", NULL);
    tiny_word(&tiny, "a");
    must(tiny_load(&tiny, &err), &err);
    assert_false(sc_tokenizer_has_text(tiny.tokenizer));
    assert_int_equal(sc_tokenizer_n_tokens(tiny.tokenizer), 1);
    struct sc_token_ids ids = { 0 };
    struct sc_tokenize_options options = { false, false };
    must_fail(sc_tokenizer_encode(tiny.tokenizer, sc_text_of("a"), &options, &ids, &err), SOCLE_UNSUPPORTED, &err,
              "token ids only");
    struct sc_buffer text = decode(tiny.tokenizer, (int32_t[]){ 0, 1, -1 }, 3, true);
    assert_int_equal(text.n_bytes, 0);
    sc_buffer_free(&text);
    tiny_end(&tiny);
}

static void test_refusals(void **state)
{
    (void)state;
    struct tiny tiny;
    tiny_bpe(&tiny, "no-such-splitter");
    expect_refusal(&tiny, SOCLE_UNSUPPORTED, "no-such-splitter");
    tiny_bpe(&tiny, "no-such-splitter");
    expect_refusal(&tiny, SOCLE_UNSUPPORTED, "qwen2");
    tiny_begin(&tiny, "t5", NULL);
    expect_refusal(&tiny, SOCLE_UNSUPPORTED, "\"t5\"");
    tiny_begin(&tiny, "rwkv", NULL);
    expect_refusal(&tiny, SOCLE_UNSUPPORTED, "\"rwkv\"");
    tiny_begin(&tiny, "gpt2", "gpt-2");
    expect_refusal(&tiny, SOCLE_BAD_FILE, "tokenizer.ggml.tokens");
    tiny_bpe(&tiny, "gpt-2");
    tiny_merge(&tiny, "hello!");
    expect_refusal(&tiny, SOCLE_BAD_FILE, "not two tokens");
    tiny_bpe(&tiny, "gpt-2");
    tiny_merge(&tiny, "z z");
    expect_refusal(&tiny, SOCLE_BAD_FILE, "\"z z\"");
    tiny_bpe(&tiny, "gpt-2");
    sc_gguf_writer_set_u32(tiny.writer, "tokenizer.ggml.eos_token_id", 5000, NULL);
    expect_refusal(&tiny, SOCLE_BAD_FILE, "tokenizer.ggml.eos_token_id is 5000");
    tiny_begin(&tiny, "bert", NULL);
    tiny_word(&tiny, "a");
    expect_refusal(&tiny, SOCLE_BAD_FILE, "unknown_token_id");
}

static void test_odd_vocabularies(void **state)
{
    (void)state;
    struct tiny tiny;
    socle_error err;
    char *giant = test_malloc(200000);
    memset(giant, 'a', 200000);
    tiny_bpe(&tiny, "llama3");
    tiny_token(&tiny, (struct sc_text){ "", 0 }, SC_TOKEN_NORMAL, 0);
    tiny_token(&tiny, (struct sc_text){ "", 0 }, SC_TOKEN_CONTROL, 0);
    int32_t again = tiny_word(&tiny, "hello");
    int32_t large = tiny_token(&tiny, (struct sc_text){ giant, 200000 }, SC_TOKEN_CONTROL, 0);
    int32_t filler = tiny_token(&tiny, sc_text_of("[PAD272]"), SC_TOKEN_USER_DEFINED, 0);
    tiny_token(&tiny, sc_text_of("odd type"), 77, 0);
    sc_gguf_writer_set_u32(tiny.writer, "tokenizer.ggml.padding_token_id", 100000, NULL);
    must(tiny_load(&tiny, &err), &err);
    assert_int_equal(sc_tokenizer_find(tiny.tokenizer, sc_text_of("hello")), again); // the later of two
    assert_int_equal(sc_tokenizer_find(tiny.tokenizer, sc_text_of("")), -1);
    assert_int_equal(sc_tokenizer_token_bytes(tiny.tokenizer, large).n_bytes, 200000);
    assert_int_equal(sc_tokenizer_pad(tiny.tokenizer), -1);
    assert_int_equal(filler, 273);
    expect_ids(tiny.tokenizer, "[PAD272]", false, true, "[PAD272]"); // its id is 273: no filler
    struct sc_token_ids ids = encode(tiny.tokenizer, (struct sc_text){ giant, 200000 }, false, true);
    assert_int_equal(ids.n, 50000);
    sc_token_ids_free(&ids);
    tiny_end(&tiny);
    test_free(giant);
}

static void test_mending(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "" },           { "plain", "plain" },           { "caf\xc3\xa9", "caf\xc3\xa9" }, { "cut \xc3", "cut ?" },
        { "\xff\xc3+", "??+" }, { "\xed\xa0\x80.", "???." },   { "\xe2\x82\xac\xe2\x82", "\xe2\x82\xac??" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        snprintf(text, sizeof text, "%s", cases[i][0]);
        sc_utf8_mend(text);
        assert_string_equal(text, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixture_rows),
        cmocka_unit_test(test_fixture_roles),
        cmocka_unit_test(test_pretokenizers),
        cmocka_unit_test(test_pretokenizers_long),
        cmocka_unit_test(test_merging_work),
        cmocka_unit_test(test_bpe),
        cmocka_unit_test(test_special_tokens),
        cmocka_unit_test(test_sentencepiece),
        cmocka_unit_test(test_wordpiece),
        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_normal_forms),
        cmocka_unit_test(test_no_text_side),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_odd_vocabularies),
        cmocka_unit_test(test_mending),
        cmocka_unit_test(test_fixture_long_inputs),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
