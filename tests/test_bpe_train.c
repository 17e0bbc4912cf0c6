// Training of tokenizers: the merges of Hugging Face's trainer and of a plain one on random texts, files that are read
// back, special tokens that no text can become, texts that give too little.
//
// tests/data/bpe_train_cases.json has texts with what Hugging Face's BpeTrainer makes of them
// (make_bpe_train_cases.py).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <socle/socle.h>

#include "base/size.h"
#include "formats/gguf_writer.h"
#include "text/bpe_train.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"
#include "folder.h"

static void must(socle_status status, const socle_error *err)
{
    if (status != SOCLE_OK) fail_msg("%s: %s", socle_status_name(status), err->message);
}

static void must_fail(socle_status status, socle_status expected, const socle_error *err, const char *says)
{
    assert_int_equal(status, expected);
    if (!strstr(err->message, says)) fail_msg("expected a message with '%s', found: %s", says, err->message);
}

static uint32_t next_random(uint32_t *state) { return (*state = *state * 1664525u + 1013904223u) >> 8; }

// ---- a trainer and its vocabulary, as a file in memory and loaded

struct made {
    struct sc_bpe_trainer *trainer;
    struct sc_bpe_trained *trained;
    struct sc_buffer file;
    struct sc_gguf *gguf;
    struct sc_tokenizer *tokenizer;
};

static struct made begin(const socle_tokenizer_train_options *options)
{
    struct made made = { 0 };
    socle_error err;
    must(sc_bpe_trainer_create(options, &made.trainer, &err), &err);
    return made;
}

static void add(struct made *made, const char *text, size_t n_bytes)
{
    socle_error err;
    must(sc_bpe_trainer_add(made->trainer, (struct sc_text){ text, n_bytes }, &err), &err);
}

static void finish(struct made *made)
{
    socle_error err;
    must(sc_bpe_trainer_finish(made->trainer, &made->trained, &err), &err);
}

static void load(struct made *made)
{
    struct sc_gguf_writer *writer;
    socle_error err;
    must(sc_gguf_writer_create(&writer, &err), &err);
    must(sc_bpe_trained_write(made->trained, writer, &err), &err);
    must(sc_gguf_writer_write_buffer(writer, &made->file, &err), &err);
    sc_gguf_writer_free(writer);
    must(sc_gguf_open_memory("made", made->file.data, made->file.n_bytes, &made->gguf, &err), &err);
    must(sc_tokenizer_load(made->gguf, &made->tokenizer, &err), &err);
}

static void end(struct made *made)
{
    sc_tokenizer_free(made->tokenizer);
    sc_gguf_close(made->gguf);
    sc_buffer_free(&made->file);
    sc_bpe_trained_free(made->trained);
    sc_bpe_trainer_free(made->trainer);
    *made = (struct made){ 0 };
}

// Encodes, checks that the tokens say the same bytes (unless a normal form may change them), and returns their number.
static size_t round_trip(const struct made *made, const char *text, size_t n_bytes, bool exact)
{
    struct sc_token_ids ids = { 0 };
    struct sc_buffer back = { 0 };
    socle_error err;
    struct sc_tokenize_options options = { .parse_special = false };
    must(sc_tokenizer_encode(made->tokenizer, (struct sc_text){ text, n_bytes }, &options, &ids, &err), &err);
    for (size_t i = 0; i < ids.n; i++) {
        struct sc_text bytes = sc_tokenizer_token_bytes(made->tokenizer, ids.ids[i]);
        assert_false(sc_tokenizer_is_special(made->tokenizer, ids.ids[i]));
        assert_true(sc_buffer_append(&back, bytes.data, bytes.n_bytes));
    }
    if (exact) {
        assert_int_equal(back.n_bytes, n_bytes);
        if (n_bytes) assert_memory_equal(back.data, text, n_bytes);
    }
    size_t n = ids.n;
    sc_buffer_free(&back);
    sc_token_ids_free(&ids);
    return n;
}

// ---- Hugging Face

static void check_case(const json_t *row)
{
    const json_t *texts = json_object_get(row, "texts"), *merges = json_object_get(row, "merges"), *value;
    const json_t *special = json_object_get(row, "special");
    const char *name = json_string_value(json_object_get(row, "name")), *specials[8];
    size_t i, n_text_tokens = 0;
    json_array_foreach (special, i, value) specials[i] = json_string_value(value);
    socle_tokenizer_train_options options = {
        .n_tokens = (uint32_t)json_integer_value(json_object_get(row, "n_tokens")),
        .pretokenizer = json_string_value(json_object_get(row, "pre")),
        .min_count = (uint64_t)json_integer_value(json_object_get(row, "min_count")),
        .max_token_bytes = (uint32_t)json_integer_value(json_object_get(row, "max_token_bytes")),
        .special_tokens = specials,
        .n_special_tokens = json_array_size(special),
    };
    struct made made = begin(&options);
    json_array_foreach (texts, i, value) add(&made, json_string_value(value), json_string_length(value));
    finish(&made);
    assert_int_equal(made.trained->n_tokens, options.n_tokens);
    assert_int_equal(made.trained->n_merges, json_array_size(merges));
    json_array_foreach (merges, i, value)
        if (!sc_text_is(made.trained->merges[i], json_string_value(value)))
            fail_msg("%s: merge %zu is '%.*s', expected '%s'", name, i, SC_TEXT_ARGS(made.trained->merges[i]),
                     json_string_value(value));
    json_array_foreach (special, i, value) assert_true(sc_text_is(made.trained->tokens[i], json_string_value(value)));
    assert_int_equal(made.trained->n_text_tokens, json_integer_value(json_object_get(row, "n_text_tokens")));
    load(&made);
    bool exact = strcmp(options.pretokenizer, "qwen2") != 0;
    json_array_foreach (texts, i, value)
        n_text_tokens += round_trip(&made, json_string_value(value), json_string_length(value), exact);
    assert_int_equal(n_text_tokens, made.trained->n_text_tokens);
    end(&made);
}

static void test_merges_are_those_of_hugging_face(void **state)
{
    (void)state;
    json_error_t error;
    json_t *rows = json_load_file(SC_SOURCE_ROOT "/tests/data/bpe_train_cases.json", JSON_ALLOW_NUL, &error);
    if (!rows) fail_msg("bpe_train_cases.json: %s", error.text);
    size_t i;
    const json_t *row;
    json_array_foreach (rows, i, row) check_case(row);
    assert_true(i > 10);
    json_decref(rows);
}

// ---- a plain trainer: counts all pairs of all words anew for each merge

enum { PLAIN_WORDS = 40, PLAIN_LETTERS = 24, PLAIN_TOKENS = 256 + 60 };

struct plain {
    int32_t words[PLAIN_WORDS][PLAIN_LETTERS];
    size_t lengths[PLAIN_WORDS], n_words;
    uint32_t counts[PLAIN_TOKENS][PLAIN_TOKENS];
    int32_t left[PLAIN_TOKENS], right[PLAIN_TOKENS];
    int32_t n_tokens;
};

// Makes the next token; false when no pair occurs min_count times.
static bool merge_plainly(struct plain *p, uint32_t min_count)
{
    uint32_t best = min_count - 1;
    int32_t a = -1, b = -1;
    memset(p->counts, 0, sizeof p->counts);
    for (size_t w = 0; w < p->n_words; w++)
        for (size_t i = 0; i + 1 < p->lengths[w]; i++) p->counts[p->words[w][i]][p->words[w][i + 1]]++;
    for (int32_t i = 0; i < p->n_tokens; i++)
        for (int32_t j = 0; j < p->n_tokens; j++)
            if (p->counts[i][j] > best) {
                best = p->counts[i][j];
                a = i;
                b = j;
            }
    if (a < 0) return false;
    for (size_t w = 0; w < p->n_words; w++) {
        size_t n = 0;
        for (size_t i = 0; i < p->lengths[w]; n++) {
            bool merged = i + 1 < p->lengths[w] && p->words[w][i] == a && p->words[w][i + 1] == b;
            p->words[w][n] = merged ? p->n_tokens : p->words[w][i];
            i += merged ? 2 : 1;
        }
        p->lengths[w] = n;
    }
    p->left[p->n_tokens] = a;
    p->right[p->n_tokens++] = b;
    return true;
}

// A random text of few letters, in words that a space begins, and the same as words of ids.
static size_t random_text(struct plain *p, uint32_t *random, char *text)
{
    static const char letters[] = " abc"; // ids by code point: the letter of a space is beyond those of ASCII
    size_t n = 0;
    uint32_t n_letters = 1 + next_random(random) % 3;
    *p = (struct plain){ .n_tokens = 256, .n_words = 1 + next_random(random) % PLAIN_WORDS };
    for (size_t w = 0; w < p->n_words; w++) {
        p->lengths[w] = 2 + next_random(random) % (PLAIN_LETTERS - 2);
        for (size_t i = 0; i < p->lengths[w]; i++) {
            char c = letters[i == 0 ? 0 : 1 + next_random(random) % n_letters];
            text[n++] = c;
            // "!" is token 0; U+0120, the letter of a space, is behind 188 printable bytes and 32 control characters.
            p->words[w][i] = c == ' ' ? 188 + 32 : c - '!';
        }
    }
    return n;
}

static void test_merges_are_those_of_a_plain_trainer(void **state)
{
    (void)state;
    struct plain *p = test_malloc(sizeof *p);
    char text[PLAIN_WORDS * PLAIN_LETTERS];
    uint32_t random = 7;
    for (int round = 0; round < 200; round++) {
        size_t n = random_text(p, &random, text);
        uint32_t min_count = 1 + (uint32_t)round % 3;
        while (p->n_tokens < PLAIN_TOKENS && merge_plainly(p, min_count)) {}
        struct made made = begin(
            &(socle_tokenizer_train_options){ .n_tokens = (uint32_t)p->n_tokens, .min_count = min_count });
        add(&made, text, n);
        finish(&made);
        for (uint32_t i = 256; i < made.trained->n_tokens; i++) {
            struct sc_text merge = made.trained->merges[i - 256];
            struct sc_text left = made.trained->tokens[p->left[i]], right = made.trained->tokens[p->right[i]];
            assert_int_equal(merge.n_bytes, left.n_bytes + 1 + right.n_bytes);
            if (memcmp(merge.data, left.data, left.n_bytes) != 0 ||
                memcmp(merge.data + left.n_bytes + 1, right.data, right.n_bytes) != 0)
                fail_msg("round %d: merge %u is '%.*s', expected '%.*s %.*s'", round, i - 256, SC_TEXT_ARGS(merge),
                         SC_TEXT_ARGS(left), SC_TEXT_ARGS(right));
        }
        size_t n_tokens = 0;
        for (size_t w = 0; w < p->n_words; w++) n_tokens += p->lengths[w];
        assert_int_equal(made.trained->n_text_tokens, n_tokens);
        end(&made);
    }
    test_free(p);
}

// ---- bytes

static size_t random_bytes(uint32_t *random, char *bytes, size_t max)
{
    size_t n = next_random(random) % (max + 1);
    for (size_t i = 0; i < n; i++) bytes[i] = (char)next_random(random);
    return n;
}

static void test_any_bytes_come_back(void **state)
{
    (void)state;
    char bytes[500];
    uint32_t random = 1;
    size_t n_tokens = 0;
    struct made made = begin(&(socle_tokenizer_train_options){ .n_tokens = 300 });
    for (int i = 0; i < 300; i++) add(&made, bytes, random_bytes(&random, bytes, sizeof bytes));
    finish(&made);
    load(&made);
    random = 1;
    for (int i = 0; i < 300; i++)
        n_tokens += round_trip(&made, bytes, random_bytes(&random, bytes, sizeof bytes), true);
    assert_int_equal(n_tokens, made.trained->n_text_tokens); // training cuts as encoding does
    for (int i = 0; i < 300; i++) round_trip(&made, bytes, random_bytes(&random, bytes, sizeof bytes), true);
    for (int byte = 0; byte < 256; byte++) {
        char one = (char)byte;
        assert_int_equal(round_trip(&made, &one, 1, true), 1);
    }
    end(&made);
}

static void test_every_pretokenizer_trains(void **state)
{
    (void)state;
    static const char text[] =
        "Don't the cats' hats cost 12345 roubles? Коты и шляпы, 猫と帽子。 \n\n  x = {1, 2};\t\n"
        "Don't the dogs' logs cost 12345 roubles? Коты и шляпы, 猫と帽子。 \n\n  y = {1, 2};\t\n";
    struct sc_buffer names = { 0 };
    assert_true(sc_pretokenizer_list(&names));
    for (char *name = strtok(names.data, ", "); name; name = strtok(NULL, ", ")) {
        struct made made = begin(&(socle_tokenizer_train_options){ .n_tokens = 270, .pretokenizer = name });
        add(&made, text, sizeof text - 1);
        finish(&made);
        load(&made);
        assert_int_equal(round_trip(&made, text, sizeof text - 1, true), made.trained->n_text_tokens);
        assert_string_equal(sc_tokenizer_pre(made.tokenizer), sc_pretokenizer_find(sc_text_of(name))->names[0]);
        end(&made);
    }
    sc_buffer_free(&names);
}

static void test_order_of_texts_changes_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = { "the cat sat", " on the mat.", "That is that; the cat", "", "sat 2024 2025" };
    struct made forwards = begin(&(socle_tokenizer_train_options){ .n_tokens = 266 });
    struct made backwards = begin(&(socle_tokenizer_train_options){ .n_tokens = 266 });
    for (size_t i = 0; i < SC_COUNT(texts); i++) {
        const char *last = texts[SC_COUNT(texts) - 1 - i];
        add(&forwards, texts[i], strlen(texts[i]));
        add(&backwards, last, strlen(last));
    }
    finish(&forwards);
    finish(&backwards);
    load(&forwards);
    load(&backwards);
    assert_int_equal(forwards.file.n_bytes, backwards.file.n_bytes);
    assert_memory_equal(forwards.file.data, backwards.file.data, forwards.file.n_bytes);
    end(&forwards);
    end(&backwards);
}

// ---- special tokens

static const char *const chat_tokens[] = { "<|endoftext|>", "<|im_start|>", "<|im_end|>" };

static void test_roles_are_written(void **state)
{
    (void)state;
    struct made made = begin(&(socle_tokenizer_train_options){ .n_tokens = 259,
                                                               .special_tokens = chat_tokens,
                                                               .n_special_tokens = 3,
                                                               .bos = "<|endoftext|>",
                                                               .eos = "<|im_end|>",
                                                               .pad = "<|im_start|>",
                                                               .chat_template = "{{ messages[0].content }}" });
    finish(&made);
    load(&made);
    assert_int_equal(sc_tokenizer_n_tokens(made.tokenizer), 259);
    assert_int_equal(sc_tokenizer_bos(made.tokenizer), 0);
    assert_int_equal(sc_tokenizer_eos(made.tokenizer), 2);
    assert_int_equal(sc_tokenizer_find(made.tokenizer, sc_text_of("!")), 3);
    for (int32_t id = 0; id < 3; id++) assert_true(sc_tokenizer_is_special(made.tokenizer, id));
    struct sc_token_ids ids = { 0 };
    socle_error err;
    struct sc_tokenize_options options = { .add_special = true, .parse_special = true };
    must(sc_tokenizer_encode(made.tokenizer, sc_text_of("<|im_start|>a<|im_end|>"), &options, &ids, &err), &err);
    assert_int_equal(ids.n, 4);
    assert_int_equal(ids.ids[0], 0);
    assert_int_equal(ids.ids[1], 1);
    assert_int_equal(ids.ids[3], 2);
    sc_token_ids_free(&ids);
    uint32_t pad = 0;
    must(sc_gguf_get_u32(made.gguf, "tokenizer.ggml.padding_token_id", &pad, &err), &err);
    assert_int_equal(pad, 1);
    struct sc_text template = { 0 };
    must(sc_gguf_get_text(made.gguf, "tokenizer.chat_template", &template, &err), &err);
    assert_true(sc_text_is(template, "{{ messages[0].content }}"));
    end(&made);
}

// "hello" is a special token: the word of the texts must not become it, whatever it is merged from.
static void test_no_text_becomes_a_special_token(void **state)
{
    (void)state;
    static const char *const special[] = { "hello", "ĠĠ" };
    static const char text[] = "hello hello hello, hello    hell-o  hellos hellos";
    struct made made = begin(
        &(socle_tokenizer_train_options){ .n_tokens = 264, .special_tokens = special, .n_special_tokens = 2 });
    for (int i = 0; i < 3; i++) add(&made, text, sizeof text - 1);
    finish(&made);
    for (uint32_t i = 2; i < made.trained->n_tokens; i++)
        for (size_t j = 0; j < 2; j++) assert_false(sc_text_is(made.trained->tokens[i], special[j]));
    load(&made);
    assert_int_equal(round_trip(&made, text, sizeof text - 1, true) * 3, made.trained->n_text_tokens);
    end(&made);
}

// ---- what is refused

static void refuse(socle_tokenizer_train_options options, socle_status expected, const char *says)
{
    struct sc_bpe_trainer *trainer = NULL;
    socle_error err = { 0 };
    must_fail(sc_bpe_trainer_create(&options, &trainer, &err), expected, &err, says);
    assert_null(trainer);
}

static void test_options_are_checked(void **state)
{
    (void)state;
    static const char *const twice[] = { "<s>", "<s>" }, *const letter[] = { "Ġ" }, *const empty[] = { "" };
    static const char *const not_utf8[] = { "<s>\xFF" };
    char text[300];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    const char *long_one[] = { text };
    typedef socle_tokenizer_train_options o;
    refuse((o){ 0 }, SOCLE_BAD_ARGUMENT, "expected 256");
    refuse((o){ .n_tokens = 258, .special_tokens = chat_tokens, .n_special_tokens = 3 }, SOCLE_BAD_ARGUMENT,
           "expected 259 (3 special tokens and 256 bytes)");
    refuse((o){ .n_tokens = UINT32_MAX }, SOCLE_BAD_ARGUMENT, "4294967295");
    refuse((o){ .n_tokens = 300, .pretokenizer = "gpt-7" }, SOCLE_UNSUPPORTED, "gpt-7");
    refuse((o){ .n_tokens = 300, .max_token_bytes = 1 }, SOCLE_BAD_ARGUMENT, "expected 2 to 512");
    refuse((o){ .n_tokens = 300, .max_token_bytes = 513 }, SOCLE_BAD_ARGUMENT, "expected 2 to 512");
    refuse((o){ .n_tokens = 300, .special_tokens = twice, .n_special_tokens = 2 }, SOCLE_BAD_ARGUMENT, "given twice");
    refuse((o){ .n_tokens = 300, .special_tokens = letter, .n_special_tokens = 1 }, SOCLE_BAD_ARGUMENT, "letter");
    refuse((o){ .n_tokens = 300, .special_tokens = empty, .n_special_tokens = 1 }, SOCLE_BAD_ARGUMENT, "0 bytes");
    refuse((o){ .n_tokens = 300, .special_tokens = long_one, .n_special_tokens = 1 }, SOCLE_BAD_ARGUMENT, "299 bytes");
    refuse((o){ .n_tokens = 300, .special_tokens = not_utf8, .n_special_tokens = 1 }, SOCLE_BAD_ARGUMENT, "UTF-8");
    refuse((o){ .n_tokens = 300, .eos = "</s>" }, SOCLE_BAD_ARGUMENT, "</s>");
    refuse((o){ .n_tokens = 300, .chat_template = "{% for %}" }, SOCLE_BAD_TEMPLATE, "template");
}

static void test_too_little_text_says_how_much_it_gives(void **state)
{
    (void)state;
    static const char text[] = "the cat, the hat, the mat";
    struct made made = begin(&(socle_tokenizer_train_options){ .n_tokens = 1000000 });
    add(&made, text, sizeof text - 1);
    socle_error err;
    must_fail(sc_bpe_trainer_finish(made.trainer, &made.trained, &err), SOCLE_BAD_ARGUMENT, &err,
              "1000000 were wanted");
    unsigned most = 0;
    assert_int_equal(sscanf(err.message, "the texts give at most %u tokens", &most), 1);
    end(&made);
    for (uint32_t more = 0; more < 2; more++) {
        made = begin(&(socle_tokenizer_train_options){ .n_tokens = most + more });
        add(&made, text, sizeof text - 1);
        assert_int_equal(sc_bpe_trainer_finish(made.trainer, &made.trained, &err),
                         more ? SOCLE_BAD_ARGUMENT : SOCLE_OK);
        end(&made);
    }
}

// ---- progress

struct watch {
    uint64_t calls, stop_at_total; // total for which to say stop; UINT64_MAX: never
};

static bool watch(void *context, uint64_t done, uint64_t total)
{
    struct watch *w = context;
    w->calls++;
    assert_true(total == 0 || done <= total);
    return total != w->stop_at_total;
}

static void test_training_can_be_stopped(void **state)
{
    (void)state;
    enum { N = 1 << 18, N_TOKENS = 400 };
    char *text = test_malloc(N);
    uint32_t random = 3;
    for (size_t i = 0; i < N; i++) text[i] = "etaoin  "[next_random(&random) % 8];
    for (int round = 0; round < 3; round++) {
        struct watch w = { 0, round == 0 ? UINT64_MAX : round == 1 ? 0 : N_TOKENS };
        socle_tokenizer_train_options options = { .n_tokens = N_TOKENS, .on_progress = watch, .context = &w };
        struct made made = begin(&options);
        socle_error err = { 0 };
        socle_status status = sc_bpe_trainer_add(made.trainer, (struct sc_text){ text, N }, &err);
        assert_int_equal(status, round == 1 ? SOCLE_CANCELLED : SOCLE_OK);
        if (round != 1) status = sc_bpe_trainer_finish(made.trainer, &made.trained, &err);
        assert_int_equal(status, round == 0 ? SOCLE_OK : SOCLE_CANCELLED);
        assert_true(w.calls >= 1);
        end(&made);
    }
    test_free(text);
}

// ---- the public functions

static void test_a_file_is_written_and_loaded(void **state)
{
    (void)state;
    static const char text[] = "Once upon a time there was a cat; once upon a time there was a hat.";
    struct folder folder = make_folder();
    socle_tokenizer_trainer *trainer;
    socle_tokenizer_trainer_info info;
    socle_error err;
    socle_tokenizer_train_options options = { .n_tokens = 266, .special_tokens = chat_tokens, .n_special_tokens = 3 };
    assert_int_equal(socle_tokenizer_trainer_create(NULL, &trainer, &err), SOCLE_BAD_ARGUMENT);
    must(socle_tokenizer_trainer_create(&options, &trainer, &err), &err);
    assert_int_equal(socle_tokenizer_trainer_write(trainer, inside(&folder, "a.gguf"), &err), SOCLE_BAD_ARGUMENT);
    assert_int_equal(socle_tokenizer_trainer_finish(trainer, &err), SOCLE_BAD_ARGUMENT); // no text yet
    must(socle_tokenizer_trainer_add(trainer, text, sizeof text - 1, &err), &err);
    must(socle_tokenizer_trainer_finish(trainer, &err), &err);
    socle_tokenizer_trainer_describe(trainer, &info);
    uint64_t n_text_tokens = info.n_text_tokens;
    must(socle_tokenizer_trainer_add(trainer, text, sizeof text - 1, &err), &err);
    must(socle_tokenizer_trainer_finish(trainer, &err), &err);
    must(socle_tokenizer_trainer_write(trainer, inside(&folder, "a.gguf"), &err), &err);
    socle_tokenizer_trainer_describe(trainer, &info);
    assert_int_equal(info.n_texts, 2);
    assert_int_equal(info.n_bytes, 2 * (sizeof text - 1));
    assert_int_equal(info.n_tokens, 266);
    assert_int_equal(info.n_merges, 7);
    assert_int_equal(info.n_text_tokens, 2 * n_text_tokens);
    assert_int_equal(socle_tokenizer_trainer_write(trainer, folder.path, &err), SOCLE_IO);
    assert_int_equal(socle_tokenizer_trainer_write(trainer, inside(&folder, "no/a.gguf"), &err), SOCLE_IO);
    socle_tokenizer_trainer_free(trainer);
    assert_int_equal(count_files(&folder), 1);
    socle_model *model;
    int32_t *ids;
    size_t n;
    must(socle_model_load(inside(&folder, "a.gguf"), &model, &err), &err);
    must(socle_tokenize(model, text, sizeof text - 1, 0, &ids, &n, &err), &err);
    assert_int_equal(n, n_text_tokens);
    socle_free(ids);
    socle_model_free(model);
    remove_folder(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges_are_those_of_hugging_face),
        cmocka_unit_test(test_merges_are_those_of_a_plain_trainer),
        cmocka_unit_test(test_any_bytes_come_back),
        cmocka_unit_test(test_every_pretokenizer_trains),
        cmocka_unit_test(test_order_of_texts_changes_nothing),
        cmocka_unit_test(test_roles_are_written),
        cmocka_unit_test(test_no_text_becomes_a_special_token),
        cmocka_unit_test(test_options_are_checked),
        cmocka_unit_test(test_too_little_text_says_how_much_it_gives),
        cmocka_unit_test(test_training_can_be_stopped),
        cmocka_unit_test(test_a_file_is_written_and_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
