// Training data: what is refused and how it is said, how files become documents, and which tokens of a document are to
// be learnt. In expectations, what is learnt stands in braces.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/sha256.h"
#include "base/size.h"
#include "corpus.h"
#include "fixtures.h"
#include "text/chat.h"

static const struct sc_corpus_options text_options = { .kind = SC_CORPUS_TEXT };
static const struct sc_corpus_options jsonl = { .kind = SC_CORPUS_JSONL };
static const struct sc_corpus_options chat = { .kind = SC_CORPUS_CHAT };
static const struct sc_corpus_options preference = { .kind = SC_CORPUS_PREFERENCE };

// ---- SHA-256

static void check_digest(struct sc_sha256 *sha, const char *expected)
{
    uint8_t digest[SC_SHA256_BYTES];
    char text[2 * sizeof digest + 1];
    sc_sha256_end(sha, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, expected);
}

static void sha256_gives_the_standards_digests_in_any_pieces(void **state)
{
    static const struct {
        const char *text, *digest;
    } cases[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqr"
          "stu",
          "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
    };
    struct sc_sha256 sha;
    (void)state;
    for (size_t i = 0; i < SC_COUNT(cases); i++)
        for (size_t piece = 1; piece < 130; piece++) {
            size_t n = strlen(cases[i].text);
            sc_sha256_begin(&sha);
            for (size_t at = 0; at < n; at += piece) sc_sha256_add(&sha, cases[i].text + at, SC_MIN(piece, n - at));
            check_digest(&sha, cases[i].digest);
        }
    char many[1000];
    memset(many, 'a', sizeof many);
    sc_sha256_begin(&sha);
    for (int i = 0; i < 1000; i++) sc_sha256_add(&sha, many, sizeof many);
    check_digest(&sha, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// ---- what is refused

static void refuses(const char *bytes, size_t n_bytes, const struct sc_corpus_options *options, const char *expected)
{
    struct sc_corpus *corpus = NULL;
    socle_error err = { 0 };
    const char *path = write_bytes("data", bytes, n_bytes);
    socle_status status = sc_corpus_open(&path, 1, options, &corpus, &err);
    if (status == SOCLE_OK) fail_msg("accepted: %s", bytes);
    assert_null(corpus);
    assert_int_equal(err.status, status);
    if (!strstr(err.message, expected)) fail_msg("expected \"%s\" in \"%s\"", expected, err.message);
    if (!strstr(err.message, "/data: ")) fail_msg("no path in \"%s\"", err.message);
}

static void refuses_what_is_no_text_and_says_what_it_is(void **state)
{
    static const char late[] = "text\0more";
    char nul[5000];
    (void)state;
    refuses("", 0, &text_options, "is empty");
    refuses(" \n\t\r\n\n", 6, &text_options, "has no documents");
    refuses("\n\n \n", 4, &jsonl, "has no documents");
    refuses("\xEF\xBB\xBF", 3, &text_options, "has no documents");
    refuses("\x1F\x8B\x08", 3, &text_options, "is compressed by gzip, expected plain text");
    refuses("\x28\xB5\x2F\xFD", 4, &jsonl, "is compressed by zstd, expected JSON Lines");
    refuses("\xFF\xFEh\0i\0", 6, &text_options, "is UTF-16");
    refuses(late, sizeof late, &text_options, "is binary");
    memset(nul, 'a', sizeof nul);
    nul[4096] = '\0'; // behind the part that is looked at
    struct sc_corpus *corpus;
    const char *path = write_bytes("data", nul, sizeof nul);
    socle_error err;
    must(sc_corpus_open(&path, 1, &text_options, &corpus, &err), &err);
    sc_corpus_close(corpus);
    assert_int_equal(sc_corpus_open((const char *[]){ files.path }, 1, &text_options, &corpus, &err), SOCLE_IO);
    assert_non_null(strstr(err.message, "is a directory"));
    assert_int_equal(sc_corpus_open((const char *[]){ "/no/such" }, 1, &text_options, &corpus, &err), SOCLE_IO);
    assert_int_equal(sc_corpus_open(NULL, 0, &text_options, &corpus, &err), SOCLE_BAD_ARGUMENT);
}

static void names_the_line_and_place_of_what_is_malformed(void **state)
{
#define OK_TEXT "{\"text\": \"a\"}\n"
#define OK_CHAT "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}\n"
#define OK_PAIR "{\"prompt\": \"p\", \"chosen\": \"c\", \"rejected\": \"r\"}\n"
    static const struct {
        const struct sc_corpus_options *options;
        const char *text, *expected;
    } cases[] = {
        { &jsonl, OK_TEXT "\n{\"text\": }",
          ": line 3: expected one JSON object a line; at column 10: unexpected token" },
        { &jsonl, OK_TEXT "{\"text\": \"a", ": line 2: expected one JSON object a line; at column 1" },
        { &jsonl, OK_TEXT "{\"text\": \"a\"} x", "; at column 15: end of file expected near 'x'" },
        { &jsonl, "[\n{\"text\": \"a\"}\n]", ": line 1: expected one JSON object a line (not an array over several)" },
        { &jsonl, "[1]", "expected one JSON object a line, found an array" },
        { &jsonl, "\"text\"", "found a string" },
        { &jsonl, OK_TEXT "{\"Text\": \"a\", \"id\": 1}",
          ": line 2: expected a text under \"text\", found no such key; there "
          "are \"Text\", \"id\"" },
        { &jsonl, "{\"text\": [\"a\"]}", "expected a text under \"text\", found an array" },
        { &jsonl, OK_TEXT OK_TEXT "{\"text\": \"\xC3\xA4\xFF\"}",
          ": line 3: expected UTF-8, found the byte 0xFF at byte 13" },
        { &chat, OK_CHAT "{\"text\": \"a\"}", ": line 2: expected a conversation under \"messages\" or" },
        { &chat, "{\"messages\": {}}", "messages: expected an array of messages, found an object" },
        { &chat, "{\"messages\": []}", "messages: expected an array of messages, found an empty one" },
        { &chat, "{\"messages\": [\"a\"]}", "messages[0]: expected an object, found a string" },
        { &chat, "{\"messages\": [{\"content\": \"a\"}]}", "messages[0].role: expected \"system\", " },
        { &chat, "{\"messages\": [{\"role\": \"bot\"}]}", "or \"tool\", found \"bot\"" },
        { &chat, "{\"messages\": [{\"role\": \"user\"}]}",
          "messages[0].content: expected a string or an array of texts, "
          "found nothing" },
        { &chat, "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]}",
          "messages[0].content[0]: expected a part of type \"text\", found image" },
        { &chat, "{\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{}]}]}",
          "messages[0].tool_calls[0].function.name: expected a string, found nothing" },
        { &chat, OK_CHAT "\r\n{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}",
          ": line 3: the conversation has no message of the assistant" },
        { &chat, "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\", \"weight\": 0}]}",
          "the conversation has no message of the assistant" },
        { &chat, "{\"conversations\": [{\"from\": \"robot\", \"value\": \"a\"}]}",
          "conversations[0].from: expected \"human\", \"gpt\", \"system\" or \"tool\", found \"robot\"" },
        { &chat, "{\"conversations\": [{\"from\": \"gpt\", \"value\": 1}]}",
          "conversations[0].value: expected a string, found a number" },
        { &chat, "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}], \"tools\": 1}",
          "tools: expected an array, found a number" },
        { &preference, OK_PAIR "{\"prompt\": \"a\", \"chosen\": \"b\"}",
          ": line 2: rejected: expected a string or messages, "
          "found nothing" },
        { &preference, "{\"prompt\": 1, \"chosen\": \"b\", \"rejected\": \"c\"}",
          "prompt: expected a string or messages" },
        { &preference, "{\"chosen\": \"b\", \"rejected\": \"c\"}",
          "expected a \"prompt\", or under \"chosen\" messages" },
        { &preference,
          "{\"prompt\": \"a\", \"chosen\": [{\"role\": \"user\", \"content\": \"x\"}], \"rejected\": \"c\"}",
          "chosen[0].role: expected \"assistant\"" },
        { &preference,
          "{\"chosen\": \"\\n\\nHuman: a\\n\\nAssistant: b\", \"rejected\": \"\\n\\nHuman: x\\n\\nAssistant: b\"}",
          "expected \"chosen\" and \"rejected\" to begin alike" },
    };
    (void)state;
    for (size_t i = 0; i < SC_COUNT(cases); i++)
        refuses(cases[i].text, strlen(cases[i].text), cases[i].options, cases[i].expected);
}

static void refuses_options_that_contradict_each_other(void **state)
{
    static const struct sc_corpus_options wrong[] = {
        { .kind = SC_CORPUS_TEXT, .separator = "x", .n_lines = 1 },
        { .kind = SC_CORPUS_TEXT, .separator = "" },
        { .kind = SC_CORPUS_TEXT, .field = "x" },
        { .kind = SC_CORPUS_JSONL, .n_lines = 1 },
        { .kind = SC_CORPUS_CHAT, .separator = "x" },
        { .kind = SC_CORPUS_TEXT, .holdout_every = 2, .holdout_first = 2 },
        { .kind = SC_CORPUS_TEXT, .holdout_first = 1 },
        { .kind = (enum sc_corpus_kind)9 },
    };
    struct sc_corpus *corpus;
    (void)state;
    const char *path = write_text("data", "a");
    for (size_t i = 0; i < SC_COUNT(wrong); i++)
        assert_int_equal(sc_corpus_open(&path, 1, &wrong[i], &corpus, NULL), SOCLE_BAD_ARGUMENT);
}

// ---- documents

// Appends the examples of a document: braces around what is learnt, a bar between examples.
static void show(const struct sc_examples *examples, const struct sc_tokenizer *tokenizer, struct sc_buffer *out)
{
    for (size_t i = 0; i < examples->n; i++) {
        bool learns = false;
        if (i) sc_buffer_append_char(out, '|');
        for (size_t t = 0; t < examples->list[i].n; t++) {
            if ((examples->list[i].answer[t] != 0) != learns) sc_buffer_append_char(out, learns ? '}' : '{');
            learns = examples->list[i].answer[t];
            struct sc_text bytes = sc_tokenizer_token_bytes(tokenizer, examples->list[i].tokens[t]);
            sc_buffer_append(out, bytes.data, bytes.n_bytes);
        }
        if (learns) sc_buffer_append_char(out, '}');
    }
}

// All documents, a line break and a bar between them. Returns how many examples are off the prompt.
static size_t check_shown(const struct sc_corpus *corpus, const struct sc_corpus_reader *reader, const char *expected)
{
    struct sc_examples examples = { 0 };
    struct sc_buffer text = { 0 };
    socle_error err;
    size_t n_off = 0;
    for (size_t i = 0; i < sc_corpus_n_documents(corpus); i++) {
        if (i) sc_buffer_append_string(&text, "\n|");
        must(sc_corpus_read(corpus, i, reader, &examples, &err), &err);
        show(&examples, reader->tokenizer, &text);
        n_off += examples.n_off_prompt;
    }
    assert_string_equal(text.data, expected);
    sc_buffer_free(&text);
    sc_examples_free(&examples);
    return n_off;
}

static size_t check_documents(const char *text, const struct sc_corpus_options *options, const char *template,
                              const char *expected)
{
    struct sc_corpus *corpus = open_corpus(text, options);
    struct sc_template *parsed = template ? parse(template) : NULL;
    size_t n_off = check_shown(corpus, &(struct sc_corpus_reader){ letters.tokenizer, parsed, NULL }, expected);
    sc_template_free(parsed);
    sc_corpus_close(corpus);
    return n_off;
}

static void cuts_text_into_documents(void **state)
{
    const struct sc_corpus_options by_line = { .kind = SC_CORPUS_TEXT, .n_lines = 1 };
    const struct sc_corpus_options by_two = { .kind = SC_CORPUS_TEXT, .n_lines = 2 };
    const struct sc_corpus_options by_mark = { .kind = SC_CORPUS_TEXT, .separator = "<eot>" };
    const struct sc_corpus_options by_size = { .kind = SC_CORPUS_TEXT, .n_bytes_max = 6 };
    const struct sc_corpus_options field = { .kind = SC_CORPUS_JSONL, .field = "body" };
    (void)state;
    check_documents("one\ntwo\n", &text_options, NULL, "<s>{one\ntwo\n</s>}");
    check_documents("\xEF\xBB\xBF"
                    "one \xFF",
                    &text_options, NULL, "<s>{one \xFF</s>}");
    check_documents("one\r\n\r\n \ntwo", &by_line, NULL, "<s>{one</s>}\n|<s>{two</s>}");
    check_documents("one\ntwo\nthree\n", &by_two, NULL, "<s>{one\ntwo</s>}\n|<s>{three</s>}");
    check_documents("<eot>\none\ntwo\n<eot>\r\nthree <eot>\n\n<eot>\n<eot>", &by_mark, NULL,
                    "<s>{one\ntwo</s>}\n|<s>{three <eot>\n</s>}");
    // Long texts are cut behind a line, before a space, between characters, or anywhere.
    check_documents("ab\ncdefgh ij klmnop\xC3\xA4\xC3\xA4"
                    "q\x80\x80\x80\x80\x80\x80\x80r",
                    &by_size, NULL,
                    "<s>{ab\n}\n|c{defgh}\n| {ij}\n| {klmno}\n|p{\xC3\xA4\xC3\xA4"
                    "}\n|q{\x80\x80\x80\x80\x80}\n|\x80{\x80r</s>}");
    check_documents("{\"text\": \"a\\u0000b <|im_end|>\", \"id\": 5}\r\n\n{\"text\": \"c\"}", &jsonl, NULL,
                    "<s>{a"); // shown up to the NUL
    check_documents("\xEF\xBB\xBF{\"body\": \"a<s>\"}", &field, NULL, "<s>{a<s></s>}");
}

// A mark that stands in a text is letters.
static void texts_cannot_forge_marks(void **state)
{
    struct sc_corpus *corpus = open_corpus("a</s>", &text_options);
    struct sc_examples examples = { 0 };
    socle_error err;
    (void)state;
    must(sc_corpus_read(corpus, 0, &(struct sc_corpus_reader){ letters.tokenizer, NULL, NULL }, &examples, &err), &err);
    assert_int_equal(examples.list[0].n, 1 + 5 + 1);
    sc_examples_free(&examples);
    sc_corpus_close(corpus);
}

static void counts_documents_over_all_files(void **state)
{
    const struct sc_corpus_options by_line = { .kind = SC_CORPUS_TEXT, .n_lines = 1 };
    const char *paths[] = { write_text("1", "a\nb\n"), write_text("2", "\n\n"), write_text("3", "\nc\nd") };
    struct sc_corpus *corpus;
    socle_error err;
    (void)state;
    must(sc_corpus_open(paths, 3, &by_line, &corpus, &err), &err);
    assert_int_equal(sc_corpus_n_documents(corpus), 4);
    assert_int_equal(sc_corpus_n_bytes(corpus), 4 + 2 + 4);
    check_shown(corpus, &(struct sc_corpus_reader){ letters.tokenizer, NULL, NULL },
                "<s>{a</s>}\n|<s>{b</s>}\n|<s>{c</s>}\n|<s>{d</s>}");
    assert_int_equal(sc_corpus_place(corpus, 1).line, 2);
    assert_non_null(strstr(sc_corpus_place(corpus, 1).path, "/1"));
    assert_int_equal(sc_corpus_place(corpus, 2).line, 2);
    assert_non_null(strstr(sc_corpus_place(corpus, 2).path, "/3"));
    sc_corpus_close(corpus);
}

static void digests_the_bytes_of_files_with_their_lengths(void **state)
{
    static const char *const parts[][2] = { { "ab", "c" }, { "a", "bc" } };
    uint8_t found[2][32], expected[32];
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *paths[] = { write_text("1", parts[i][0]), write_text("2", parts[i][1]) };
        struct sc_corpus *corpus;
        socle_error err;
        must(sc_corpus_open(paths, 2, &text_options, &corpus, &err), &err);
        sc_corpus_digest(corpus, found[i]);
        sc_corpus_close(corpus);
    }
    static const char framed[] = "\2\0\0\0\0\0\0\0ab\1\0\0\0\0\0\0\0c";
    struct sc_sha256 sha;
    sc_sha256_begin(&sha);
    sc_sha256_add(&sha, framed, sizeof framed - 1);
    sc_sha256_end(&sha, expected);
    assert_memory_equal(found[0], expected, 32);
    assert_memory_not_equal(found[1], expected, 32);
}

static void holds_out_every_nth_document(void **state)
{
    (void)state;
    for (uint32_t every = 1; every < 6; every++)
        for (uint32_t first = 0; first < every; first++)
            for (size_t n = 1; n < 12; n++) {
                const struct sc_corpus_options o = { SC_CORPUS_TEXT, .n_lines = 1, .holdout_every = every,
                                                     .holdout_first = first };
                char text[64] = "";
                for (size_t i = 0; i < n; i++) strcat(text, "a\n");
                struct sc_corpus *corpus = open_corpus(text, &o);
                size_t next[2] = { 0, 0 };
                for (size_t i = 0; i < n; i++) {
                    bool held = i % every == first;
                    assert_int_equal(sc_corpus_select(corpus, held, next[held]++), i);
                }
                for (int held = 0; held < 2; held++) assert_int_equal(sc_corpus_n_selected(corpus, held), next[held]);
                sc_corpus_close(corpus);
            }
}

// ---- conversations

#define U(text) "{\"role\": \"user\", \"content\": \"" text "\"}"
#define A(text) "{\"role\": \"assistant\", \"content\": \"" text "\"}"
#define S(text) "{\"role\": \"system\", \"content\": \"" text "\"}"
#define CHAT(messages) "{\"messages\": [" messages "]}\n"

static const char chatml[] = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                             "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

static void learns_answers_with_the_token_that_ends_them(void **state)
{
    (void)state;
    check_documents(CHAT(U("Hi") ", " A("Hello!")), &chat, chatml,
                    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n{Hello!<|im_end|>}\n");
    // Several turns; what is behind the last answer is dropped.
    check_documents(CHAT(S("Be.") ", " U("a") ", " A("b") ", " U("c") ", " A("d") ", " U("e")), &chat, chatml,
                    "<|im_start|>system\nBe.<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"
                    "{b<|im_end|>}\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n{d<|im_end|>}\n");
    // Two answers in a row, one that is not to be learnt, and one that comes first.
    check_documents(CHAT(A("a") ", " A("b") ", {\"role\": \"assistant\", \"content\": \"c\", \"weight\": 0}, " A("d")),
                    &chat, chatml,
                    "<|im_start|>assistant\n{a<|im_end|>}\n<|im_start|>assistant\n{b<|im_end|>}\n"
                    "<|im_start|>assistant\nc<|im_end|>\n<|im_start|>assistant\n{d<|im_end|>}\n");
    // Marks in messages are letters, and an empty answer is learnt as such.
    check_documents(CHAT(U("<|im_end|>") ", " A("</s>") ", " U("x") ", " A("")), &chat, chatml,
                    "<|im_start|>user\n<|im_end|><|im_end|>\n<|im_start|>assistant\n{</s><|im_end|>}\n"
                    "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n{<|im_end|>}\n");
}

static void reads_the_forms_that_data_sets_have(void **state)
{
    static const char calls[] =
        "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
        "{{ c.function.arguments.x }}{% endfor %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}a:{% endif %}";
    (void)state;
    check_documents(
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"a\"}, {\"from\": \"gpt\", \"value\": \"b\"}], "
        "\"system\": \"s\"}",
        &chat, calls, "s:s\nu:a\na:{b\n</s>}");
    check_documents(
        "{\"messages\": [{\"role\": \"developer\", \"content\": [{\"type\": \"text\", \"text\": \"x\"}, "
        "{\"type\": \"text\", \"text\": \"y\"}]}, {\"role\": \"assistant\", \"content\": null, \"tool_calls\": "
        "[{\"function\": {\"name\": \"f\", \"arguments\": \"{\\\"x\\\": 5}\"}}]}]}",
        &chat, calls, "s:xy\na:{f5\n</s>}");
    check_documents(
        "{\"messages\": [" U("a") ", " A("b") "], \"tools\": [{}, {}], \"chat_template_kwargs\": {\"k\": 7}}", &chat,
        "{{ k }}{{ tools | length }}{% for m in messages %}{{ m.content }}{% endfor %}", "72a{b</s>}");
}

static void ends_answers_that_the_template_does_not_end(void **state)
{
    // As GLM: the next turn's mark ends an answer (here </s>), and nothing ends the last one.
    static const char open[] = "{% for m in messages %}{% if m.role == 'user' %}</s>{{ m.content }}{% else %}:"
                               "{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}:{% endif %}";
    (void)state;
    check_documents(CHAT(U("a") ", " A("b") ", " U("c") ", " A("d")), &chat, open, "</s>a:{b</s>}c:{d</s>}");
}

static void makes_an_example_of_each_answer_where_the_template_changes_earlier_ones(void **state)
{
    // As Qwen 3: reasoning is rendered in the last answer only.
    static const char strips[] =
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}<think>"
        "{{ m.reasoning_content or '' }}</think>{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    (void)state;
    size_t n_off = check_documents(
        CHAT(U("a") ", " A("b") ", " U("c") ", " A("<think>\\nwhy\\n</think>\\n\\nd")), &chat, strips,
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n{<think></think>b<|im_end|>}\n|"
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n"
        "<|im_start|>assistant\n{<think>why</think>d<|im_end|>}\n");
    assert_int_equal(n_off, 0);
}

static void finds_answers_where_the_prompt_is_no_prefix_and_says_so(void **state)
{
    // As DeepSeek R1: the prompt begins reasoning, which no answer has.
    static const char thinks[] = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}</s>{% endfor %}"
                                 "{% if add_generation_prompt %}a:<think>\n{% endif %}";
    // As Mistral: the system's message goes into the last user's message.
    static const char moves[] = "{% for m in messages %}{% if m.role == 'user' %}[{% if loop.last %}sys {% endif %}"
                                "{{ m.content }}]{% else %}{{ m.content }}</s>{% endif %}{% endfor %}";
    // Refuses conversations that begin with no user's message.
    static const char refuses_none[] = "{{ messages[0].role[0] }}{% if not messages %}{{ raise_exception('no') }}"
                                       "{% endif %}{{ messages[0].content }}</s>";
    (void)state;
    assert_int_equal(check_documents(CHAT(U("a") ", " A("b") ", " U("c") ", " A("d")), &chat, thinks,
                                     "u:a</s>a:{b</s>}|u:a</s>a:b</s>u:c</s>a:{d</s>}"),
                     2);
    assert_int_equal(check_documents(CHAT(U("a") ", " A("b")), &chat, moves, "[a]{b</s>}"), 1);
    assert_int_equal(check_documents(CHAT(A("a")), &chat, refuses_none, "a{a</s>}"), 1);
}

static void keeps_the_tokens_of_the_prompt_where_letters_would_merge(void **state)
{
    static const char plain[] = "{% for m in messages %}{{ m.role[0] }}: {{ m.content }}\n{% endfor %}"
                                "{% if add_generation_prompt %}a: {% endif %}";
    struct tiny merging;
    struct sc_examples examples = { 0 };
    socle_error err;
    (void)state;
    make_letters(&merging, "Ġ b", "Ġb");
    struct sc_template *template = parse(plain);
    struct sc_corpus *corpus = open_corpus(CHAT(U("x") ", " A("b b")), &chat);
    const struct sc_corpus_reader reader = { merging.tokenizer, template, NULL };
    assert_int_equal(check_shown(corpus, &reader, "u: x\na: {b b\n</s>}"), 0);
    must(sc_corpus_read(corpus, 0, &reader, &examples, &err), &err);
    // "u: x⏎" "a: " are letters, the answer is b, " b", the line's end and </s>.
    assert_int_equal(examples.list[0].n, 5 + 3 + 4);
    sc_examples_free(&examples);
    sc_corpus_close(corpus);
    sc_template_free(template);
    tiny_end(&merging);
}

static void reading_fails(const char *text, const struct sc_corpus_options *options, const char *template,
                          socle_status status, const char *expected)
{
    struct sc_corpus *corpus = open_corpus(text, options);
    struct sc_template *parsed = template ? parse(template) : NULL;
    struct sc_examples examples = { 0 };
    socle_error err = { 0 };
    const struct sc_corpus_reader reader = { letters.tokenizer, parsed, NULL };
    size_t last = sc_corpus_n_documents(corpus) - 1;
    assert_int_equal(sc_corpus_read(corpus, last, &reader, &examples, &err), status);
    if (!strstr(err.message, expected)) fail_msg("expected \"%s\" in \"%s\"", expected, err.message);
    assert_int_equal(examples.n, 0);
    sc_examples_free(&examples);
    sc_template_free(parsed);
    sc_corpus_close(corpus);
}

static void names_the_line_where_a_template_fails(void **state)
{
    (void)state;
    const char *two = "\n" CHAT(U("a") ", " A("b")) "\n" CHAT(U("a") ", " A("b"));
    reading_fails(two, &chat, "{{ raise_exception('never') }}", SOCLE_BAD_TEMPLATE, "/data: line 4: template");
    reading_fails(two, &chat, "{{ raise_exception('never') }}", SOCLE_BAD_TEMPLATE, "never");
    reading_fails(two, &chat, NULL, SOCLE_UNSUPPORTED, "no chat template");
    reading_fails(two, &chat, "{{ messages[0].content }}", SOCLE_BAD_FILE,
                  "line 4: the chat template renders nothing of "
                  "message 2");
}

// ---- pairs

static void reads_pairs_in_all_their_forms(void **state)
{
#define SHOWN                                                                                                          \
    "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n{yes<|im_end|>}\n|"                                         \
    "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n{no<|im_end|>}\n"
    static const char *const forms[] = {
        "{\"prompt\": \"q\", \"chosen\": \"yes\", \"rejected\": \"no\"}",
        "{\"prompt\": [" U("q") "], \"chosen\": [" A("yes") "], \"rejected\": [" A("no") "]}",
        "{\"prompt\": [" U("q") "], \"chosen\": \"yes\", \"rejected\": [" A("no") "]}",
        "{\"chosen\": [" U("q") ", " A("yes") "], \"rejected\": [" U("q") ", " A("no") "]}",
        "{\"prompt\": \"q\", \"chosen\": [" U("q") ", " A("yes") "], \"rejected\": [" U("q") ", " A("no") "]}",
        "{\"chosen\": \"\\n\\nHuman: q\\n\\nAssistant: yes\", \"rejected\": \"\\n\\nHuman: q\\n\\nAssistant: no\"}",
    };
    (void)state;
    for (size_t i = 0; i < SC_COUNT(forms); i++) check_documents(forms[i], &preference, chatml, SHOWN);
    // Earlier answers belong to the prompt.
    check_documents("{\"chosen\": [" U("a") ", " A("b") ", " U("c") ", " A("d") "], \"rejected\": [" U("a") ", " A(
                        "b") ", " U("c") ", " A("e") "]}",
                    &preference, "{% for m in messages %}{{ m.content }}</s>{% endfor %}",
                    "a</s>b</s>c</s>{d</s>}|a</s>b</s>c</s>{e</s>}");
    // The same answer twice is judged by its last.
    check_documents("{\"chosen\": [" U("a") ", " A("b") "], \"rejected\": [" U("a") ", " A("b") "]}", &preference,
                    "{% for m in messages %}{{ m.content }}</s>{% endfor %}", "a</s>{b</s>}|a</s>{b</s>}");
    // Without a template strings are joined.
    check_documents(forms[0], &preference, NULL, "<s>q{yes</s>}|<s>q{no</s>}");
    reading_fails(forms[1], &preference, NULL, SOCLE_UNSUPPORTED, "no chat template");
}

// ---- other programs' templates

// Every answer that is learnt is what was said, behind what inference begins with.
static void check_template(const char *name, const struct sc_template *template)
{
    static const char *const said[] = { "What is one?", "It is a number.", "And two?", "Another of them." };
    static const char talk[] = U("What is one?") ", " A("It is a number.") ", " U("And two?") ", " A(
        "Another of them.");
    static const char more[] = "\"functions\": \"\", \"datetime\": \"\""; // one of them wants these
    char line[1000], prompt[500];
    snprintf(line, sizeof line, "{\"messages\": [%s], \"chat_template_kwargs\": {%s}}", talk, more);
    snprintf(prompt, sizeof prompt, "{\"messages\": [%s], \"add_generation_prompt\": true, %s}", U("What is one?"),
             more);
    struct sc_corpus *corpus = open_corpus(line, &chat);
    struct sc_corpus_reader reader = { letters.tokenizer, template, NULL };
    struct sc_template_options options = { sc_template_default_limits, "2026-01-01T00:00:00" };
    struct sc_examples examples = { 0 };
    socle_error err;
    must(sc_corpus_read(corpus, 0, &reader, &examples, &err), &err);
    assert_in_range(examples.n, 1, 2);
    for (size_t i = 0; i < examples.n; i++) {
        const struct sc_example *e = &examples.list[i];
        char learnt[4096] = "", *at = learnt;
        for (size_t t = 0; t < e->n; t++)
            if (e->answer[t] && e->tokens[t] < 256) at += sprintf(at, "%c", e->tokens[t]);
        size_t first = examples.n == 1 || i == 0 ? 1 : 3, last = examples.n == 1 || i == 1 ? 3 : 1;
        for (size_t m = 0; m < 4; m++)
            if ((strstr(learnt, said[m]) != NULL) != (m == first || m == last))
                fail_msg("%s: example %zu of %zu learns \"%s\"", name, i, examples.n, learnt);
        if (examples.n_off_prompt) continue;
        // The tokens of inference before the last answer.
        json_t *inputs = json_loads(prompt, 0, NULL);
        struct sc_token_ids ids = { 0 };
        must(sc_chat_encode(template, letters.tokenizer, inputs, &options, &ids, NULL, &err), &err);
        if (first == 1) {
            assert_true(ids.n < e->n && memcmp(ids.ids, e->tokens, ids.n * sizeof *ids.ids) == 0);
            assert_int_equal(e->answer[ids.n - 1], 0);
            assert_int_equal(e->answer[ids.n], 1);
        }
        sc_token_ids_free(&ids);
        json_decref(inputs);
    }
    sc_examples_free(&examples);
    sc_corpus_close(corpus);
}

static void learns_what_was_said_through_templates_in_use(void **state)
{
    (void)state;
    if (!have_fixtures("templates")) skip();
    DIR *folder = opendir(fixture("templates"));
    size_t n = 0;
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!strstr(entry->d_name, ".jinja")) continue;
        char name[300], *source;
        size_t n_bytes;
        socle_error err;
        snprintf(name, sizeof name, "templates/%s", entry->d_name);
        must(sc_read_file(fixture(name), 1 << 24, &source, &n_bytes, &err), &err);
        struct sc_template *template = parse(source);
        check_template(entry->d_name, template);
        sc_template_free(template);
        free(source);
        n++;
    }
    closedir(folder);
    assert_true(n > 10);
}

static void opens_and_reads_ten_thousand_lines_quickly(void **state)
{
    struct sc_buffer text = { 0 };
    struct sc_examples examples = { 0 };
    socle_error err;
    (void)state;
    for (int i = 0; i < 10000; i++)
        sc_buffer_printf(&text, CHAT(U("Say %d.") ", " A("%d it is, as you wished.")), i, i);
    double began = sc_now();
    struct sc_corpus *corpus = open_corpus(text.data, &chat);
    struct sc_template *template = parse(chatml);
    assert_int_equal(sc_corpus_n_documents(corpus), 10000);
    const struct sc_corpus_reader reader = { letters.tokenizer, template, NULL };
    for (size_t i = 0; i < 10000; i += IS_SANITIZED ? 10 : 1)
        must(sc_corpus_read(corpus, i, &reader, &examples, &err), &err);
    assert_true(sc_now() - began < 30);
    sc_examples_free(&examples);
    sc_template_free(template);
    sc_corpus_close(corpus);
    sc_buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_standards_digests_in_any_pieces),
        cmocka_unit_test(refuses_what_is_no_text_and_says_what_it_is),
        cmocka_unit_test(names_the_line_and_place_of_what_is_malformed),
        cmocka_unit_test(refuses_options_that_contradict_each_other),
        cmocka_unit_test(cuts_text_into_documents),
        cmocka_unit_test(texts_cannot_forge_marks),
        cmocka_unit_test(counts_documents_over_all_files),
        cmocka_unit_test(digests_the_bytes_of_files_with_their_lengths),
        cmocka_unit_test(holds_out_every_nth_document),
        cmocka_unit_test(learns_answers_with_the_token_that_ends_them),
        cmocka_unit_test(reads_the_forms_that_data_sets_have),
        cmocka_unit_test(ends_answers_that_the_template_does_not_end),
        cmocka_unit_test(makes_an_example_of_each_answer_where_the_template_changes_earlier_ones),
        cmocka_unit_test(finds_answers_where_the_prompt_is_no_prefix_and_says_so),
        cmocka_unit_test(keeps_the_tokens_of_the_prompt_where_letters_would_merge),
        cmocka_unit_test(names_the_line_where_a_template_fails),
        cmocka_unit_test(reads_pairs_in_all_their_forms),
        cmocka_unit_test(learns_what_was_said_through_templates_in_use),
        cmocka_unit_test(opens_and_reads_ten_thousand_lines_quickly),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
