// Grammars, schemas and token masks: what is accepted, what is refused, and that masks and acceptance are one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>
#include <socle/socle.h>

#include "base/clock.h"
#include "base/size.h"
#include "base/random.h"
#include "text/matcher.h"
#include "tiny_vocabulary.h"

static struct tiny tiny;
static struct sc_token_index *tiny_index;
static int32_t end_token, call_token;

// Byte-level letters, pieces as JSON's writers leave them, pieces of characters, and control tokens.
static int make_vocabulary(void **state)
{
    (void)state;
    static const char *const words[] = { "{\"", "\":",  "\",",   "\"}", "\"]", "},",   "],",    ",\"",      "Ġ\"",
                                         "ĠĠ",  "ĠĠĠĠ", "Ċ",     "ĊĠ",  ",Ċ",  "true", "false", "null",     "12",
                                         "345", "name", "\\\"",  "\\u", "00",  "abc",  "aaa",   "aaaaaaaa", "Ġhello",
                                         "a\"", "\"a",  "ab\",", "é",   "Ã©",  "Ã©Ã",  "©",     "æĹ¥",      "Ġa",
                                         "Ġb",  ".5",   "-1",    "e+",  "}}",  "]]",   "[[",    "[\"",      "\"\"" };
    socle_error err = { 0 };
    tiny_begin(&tiny, "gpt2", "gpt-2");
    tiny_byte_letters(&tiny);
    for (size_t i = 0; i < SC_COUNT(words); i++) tiny_word(&tiny, words[i]);
    end_token = tiny_token(&tiny, sc_text_of("<|im_end|>"), SC_TOKEN_CONTROL, 0);
    call_token = tiny_token(&tiny, sc_text_of("<|tool|>"), SC_TOKEN_CONTROL, 0);
    tiny_token(&tiny, sc_text_of("[unused]"), SC_TOKEN_UNUSED, 0);
    sc_gguf_writer_set_u32(tiny.writer, "tokenizer.ggml.eos_token_id", (uint32_t)end_token, NULL);
    if (tiny_load(&tiny, &err) != SOCLE_OK) fail_msg("%s", err.message);
    if (sc_token_index_create(tiny.tokenizer, &tiny_index, &err) != SOCLE_OK) fail_msg("%s", err.message);
    return 0;
}

static int free_vocabulary(void **state)
{
    (void)state;
    sc_token_index_free(tiny_index);
    tiny_end(&tiny);
    return 0;
}

// ---- helpers

enum kind { GBNF, REGEX, SCHEMA, JSON };

static socle_status compile(enum kind kind, const char *source, struct sc_grammar **out, socle_error *err)
{
    struct sc_text text = sc_text_of(source);
    return kind == GBNF     ? sc_grammar_from_gbnf(text, out, err)
           : kind == REGEX  ? sc_grammar_from_regex(text, out, err)
           : kind == SCHEMA ? sc_grammar_from_json_schema(text, out, err)
                            : sc_grammar_json(*source != 0, out, err);
}

struct held {
    struct sc_grammar *grammar;
    struct sc_token_masks *masks;
    struct sc_matcher *matcher;
};

static struct held hold_over(const struct sc_token_index *index, enum kind kind, const char *source)
{
    struct held h;
    socle_error err = { 0 };
    if (compile(kind, source, &h.grammar, &err) != SOCLE_OK) fail_msg("%s: %s", source, err.message);
    assert_int_equal(sc_token_masks_create(h.grammar, index, &h.masks, &err), SOCLE_OK);
    assert_int_equal(sc_matcher_create(h.masks, &h.matcher, &err), SOCLE_OK);
    return h;
}

static struct held hold(enum kind kind, const char *source) { return hold_over(tiny_index, kind, source); }

static void let_go(struct held *h)
{
    sc_matcher_free(h->matcher);
    sc_token_masks_free(h->masks);
    sc_grammar_free(h->grammar);
}

static bool accepts(struct held *h, const char *text)
{
    sc_matcher_reset(h->matcher);
    return sc_matcher_accept_bytes(h->matcher, sc_text_of(text)) && sc_matcher_can_end(h->matcher);
}

static void expect(enum kind kind, const char *source, const char *yes, const char *no)
{
    struct held h = hold(kind, source);
    if (yes && !accepts(&h, yes)) fail_msg("%s should accept %s", source, yes);
    if (no && accepts(&h, no)) fail_msg("%s should not accept %s", source, no);
    let_go(&h);
}

static void refuse(enum kind kind, const char *source, socle_status status, const char *says)
{
    struct sc_grammar *grammar = NULL;
    socle_error err = { 0 };
    socle_status found = compile(kind, source, &grammar, &err);
    if (found == SOCLE_OK) sc_grammar_free(grammar);
    if (found != status || !strstr(err.message, says))
        fail_msg("%.200s: expected %d and '%s', found %d: %s", source, (int)status, says, (int)found, err.message);
}

static uint64_t drawn;
static uint32_t draw(uint32_t n) { return (uint32_t)(sc_random_uniform(11, drawn++, SC_RANDOM_SAMPLE) * n); }

static bool is_set(const uint64_t *mask, int32_t token) { return (mask[token / 64] >> (token % 64) & 1) != 0; }

// Every stride-th token: the mask says that it may come exactly when it is accepted.
static void check_mask(struct sc_matcher *m, const struct sc_token_index *index, const uint64_t *mask, uint32_t stride)
{
    struct sc_matcher *copy;
    socle_error err;
    assert_int_equal(sc_matcher_copy(m, &copy, &err), SOCLE_OK);
    for (uint32_t token = stride > 1 ? draw(stride) : 0; token < index->n_tokens; token += stride) {
        bool accepted = sc_matcher_accept(copy, (int32_t)token);
        if (accepted != is_set(mask, (int32_t)token))
            fail_msg("token %u (%.*s): mask says %d", token,
                     SC_TEXT_ARGS(sc_tokenizer_token_bytes(index->tokenizer, (int32_t)token)), !accepted);
        if (!accepted) continue;
        sc_matcher_free(copy);
        assert_int_equal(sc_matcher_copy(m, &copy, &err), SOCLE_OK);
    }
    sc_matcher_free(copy);
}

// Draws tokens that are allowed until the text ends, or n came. Returns whether it ended. `text` gets the bytes.
static bool generate(struct held *h, const struct sc_token_index *index, uint32_t n, uint32_t stride,
                     struct sc_buffer *text)
{
    size_t n_words = sc_matcher_mask_words(h->matcher);
    uint64_t *mask = calloc(n_words, sizeof *mask), *again = calloc(n_words, sizeof *mask);
    socle_error err = { 0 };
    bool ended = false;
    sc_matcher_reset(h->matcher);
    for (uint32_t i = 0; i < n && !ended; i++) {
        if (sc_matcher_mask(h->matcher, mask, &err) != SOCLE_OK) fail_msg("%s", err.message);
        assert_int_equal(sc_matcher_mask(h->matcher, again, &err), SOCLE_OK);
        assert_memory_equal(mask, again, n_words * sizeof *mask);
        if (stride) check_mask(h->matcher, index, mask, stride);
        uint32_t n_allowed = 0;
        for (size_t w = 0; w < n_words; w++) n_allowed += (uint32_t)__builtin_popcountll(mask[w]);
        assert_true(n_allowed > 0);
        int32_t token = -1;
        for (uint32_t left = draw(n_allowed) + 1; left; left -= is_set(mask, token)) token++;
        for (uint32_t e = 0; e < index->n_ends; e++) {
            assert_int_equal(is_set(mask, index->ends[e]), sc_matcher_can_end(h->matcher));
            // The end comes soon once it may.
            if (is_set(mask, index->ends[e]) && draw(3) == 0) token = index->ends[e];
        }
        struct sc_text bytes = sc_tokenizer_token_bytes(index->tokenizer, token);
        assert_true(sc_matcher_accept(h->matcher, token));
        ended = sc_tokenizer_is_end(index->tokenizer, token);
        if (!ended) sc_buffer_append(text, bytes.data, bytes.n_bytes);
    }
    if (ended) {
        sc_matcher_mask(h->matcher, mask, &err);
        for (size_t w = 0; w < n_words; w++) assert_int_equal(mask[w], 0);
    }
    sc_buffer_append(text, "", 0);
    free(mask);
    free(again);
    return ended;
}

// ---- GBNF

static void gbnf_reads_its_notation(void **state)
{
    (void)state;
    expect(GBNF, "root ::= \"a\" | \"b\"", "b", "ab");
    expect(GBNF, "root ::= \"a\"* \"b\"+ \"c\"?", "bbc", "ac");
    expect(GBNF, "root ::= [a-c]{2,3} [^a-z] .", "abc1é", "a11");
    expect(GBNF, "root ::= \"\\\"\\\\\\n\\x41\\u00e9\\U0001F600\"", "\"\\\nAé😀", "\"");
    expect(GBNF, "# a comment\nroot ::= x # another\n  | y\nx ::= (\"1\" |\n \"2\") y\ny ::= \"3\"\n", "23", "2");
    expect(GBNF, "root ::= \"\" | \"ab\"{2} | \"c\"{,2}", "abab", "ab");
    expect(GBNF, "root::=my-rule_2\nmy-rule_2::=[\\]\\-x]{0,}", "]-x", "y");
    expect(GBNF, "root ::= [日-本]", "日", "a");
}

static void gbnf_follows_nesting_as_deep_as_it_goes(void **state)
{
    (void)state;
    const char *source = "root ::= list\nlist ::= \"[\" (item (\",\" item)*)? \"]\"\nitem ::= list | [0-9]+\n";
    expect(GBNF, source, "[1,[2,[],[33,[4]]],[]]", "[1,[2]");
    struct held h = hold(GBNF, source);
    char deep[1202];
    for (int n = 400; n <= 600; n += 200) {
        memset(deep, '[', (size_t)n);
        memset(deep + n, ']', (size_t)n);
        deep[2 * n] = '\0';
        assert_true(accepts(&h, deep));
    }
    let_go(&h);
    // Recursion on the right needs no stack.
    h = hold(GBNF, "root ::= \"x\" root | \"y\"");
    struct sc_buffer text = { 0 };
    for (int i = 0; i < 5000; i++) sc_buffer_append_char(&text, 'x');
    sc_buffer_append_char(&text, 'y');
    assert_true(accepts(&h, text.data));
    sc_buffer_free(&text);
    let_go(&h);
}

static void gbnf_follows_ambiguity(void **state)
{
    (void)state;
    expect(GBNF, "root ::= a | b\na ::= \"x\" a \"1\" | \"x\"\nb ::= \"x\" b \"2\" | \"x\"", "xxx22", "xxx12");
    expect(GBNF, "root ::= pair*\npair ::= \"(\" root \")\" | e\ne ::= \"\" | \"[\" root \"]\"", "([()[]])()", "([)]");
}

static void gbnf_embeds_schemas(void **state)
{
    (void)state;
    const char *source =
        "root ::= \"<call>\" name \": \" %json { \"type\": \"object\", \"properties\": {\"x\": {\"type\": "
        "\"integer\"}}, \"required\": [\"x\"] } \"</call>\"\nname ::= [a-z]+\n";
    expect(GBNF, source, "<call>f: {\"x\": 5}</call>", "<call>f: {\"x\": \"5\"}</call>");
    expect(GBNF, "root ::= %json true \"!\"", "{\"a\":[1]}!", "{a}!");
    refuse(GBNF, "root ::= %json {\"uniqueItems\": true}", SOCLE_UNSUPPORTED, "%json: /uniqueItems");
    refuse(GBNF, "root ::= %json {\"a\" 1}", SOCLE_BAD_ARGUMENT, "line 1, column 16: %json: not JSON");
}

static void gbnf_says_what_is_wrong_and_where(void **state)
{
    (void)state;
    refuse(GBNF, "", SOCLE_BAD_ARGUMENT, "the rule 'root' is used but not defined");
    refuse(GBNF, "root ::= \"a\n", SOCLE_BAD_ARGUMENT, "line 1, column 10: a literal without its closing quote");
    refuse(GBNF, "root ::= x\nx ::= [a", SOCLE_BAD_ARGUMENT, "line 2, column 7: a class");
    refuse(GBNF, "root ::= y", SOCLE_BAD_ARGUMENT, "the rule 'y' is used but not defined");
    refuse(GBNF, "root ::= \"a\"\nroot ::= \"b\"", SOCLE_BAD_ARGUMENT, "line 2, column 1: a second rule");
    refuse(GBNF, "root ::= \"a\" )", SOCLE_BAD_ARGUMENT, "a closing parenthesis too many");
    refuse(GBNF, "root ::= \"a\"{3,2}", SOCLE_BAD_ARGUMENT, "greatest");
    refuse(GBNF, "root ::= \"\\q\"", SOCLE_BAD_ARGUMENT, "an unknown escape");
}

static void grammars_that_cannot_work_are_refused(void **state)
{
    (void)state;
    refuse(GBNF, "root ::= root \"a\" | \"a\"", SOCLE_UNSUPPORTED, "'root' is left-recursive");
    refuse(GBNF, "root ::= a\na ::= b \"x\"\nb ::= \"\" a | \"y\"", SOCLE_UNSUPPORTED, "left-recursive");
    refuse(GBNF, "root ::= n root \"a\" | \"b\"\nn ::= \"\" | \"(\" n \")\"", SOCLE_UNSUPPORTED, "left-recursive");
    refuse(GBNF, "root ::= \"a\" root", SOCLE_UNSUPPORTED, "no text matches it");
    refuse(GBNF, "root ::= []", SOCLE_UNSUPPORTED, "no text matches it");
    expect(GBNF, "root ::= \"a\" dead | \"b\"\ndead ::= \"c\" dead", "b", "ac");
}

static void control_tokens_match_literals_of_their_text(void **state)
{
    (void)state;
    struct held h = hold(GBNF, "root ::= \"x\" \"<|tool|>\" [a-z]+ \"<|im_end|>\"?");
    uint64_t mask[16];
    socle_error err;
    assert_true(sc_matcher_accept_bytes(h.matcher, sc_text_of("x")));
    assert_int_equal(sc_matcher_mask(h.matcher, mask, &err), SOCLE_OK);
    assert_true(is_set(mask, call_token)); // as itself, or spelt out
    assert_false(is_set(mask, end_token));
    assert_true(sc_matcher_accept(h.matcher, call_token));
    assert_false(sc_matcher_accept(h.matcher, call_token));
    assert_true(sc_matcher_accept_bytes(h.matcher, sc_text_of("y")));
    assert_true(sc_matcher_accept(h.matcher, end_token));
    let_go(&h);
    h = hold(REGEX, ".*"); // a class of characters is none
    assert_int_equal(sc_matcher_mask(h.matcher, mask, &err), SOCLE_OK);
    assert_false(is_set(mask, call_token));
    assert_false(sc_matcher_accept(h.matcher, call_token));
    let_go(&h);
}

// ---- regular expressions

static bool pcre2_matches(const pcre2_code *code, const char *text)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    int found = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED, data, NULL);
    pcre2_match_data_free(data);
    return found >= 0;
}

// Texts from the regex itself, some of them changed, and texts that have nothing to do with it.
static void regexes_agree_with_pcre2(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "abc|ab|b+c?",
        "(a|b)*abb",
        "[a-c]{2,4}x?",
        "a{3}",
        "(ab?){0,3}c",
        "[^a-c]+",
        "\\d{1,3}(\\.\\d+)?",
        "\\w+\\s\\w+",
        "(?:a|(b|c)+)*d",
        "^a.c$",
        "^(a|b)$|^c$",
        "a*?b+?",
        "[\\w-]+@[a-z]+\\.(com|org)",
        "é+|[à-ü]{2}",
        "[日本]*語",
        "\\x41\\x42?",
        "\\p{Lu}\\p{Ll}*",
        "[^\\d\\s]{2,}",
        "x{2,}y",
        "\\[\\]\\{\\}",
        "(a{1,2}){2,3}",
        "",
        "()a",
        "[a\\-z]+",
        "[-a]+",
        "\\D\\W\\S",
        "(?<year>\\d{4})-\\d\\d",
        "(a|ab)(c|bcd)(d*)",
        "[^é]a",
        "\\n\\t",
        "(x|)y",
        "\\P{L}+",
        "(^a|b)c",
        "a(b|$)",
        "[+*?.^$()|]+",
    };
    static const char *const pieces[] = { "a",  "b", "c",  "d",  "x",  "y",    "A", "B", "é",   "à",   "日",
                                          "語", "1", "23", ".",  "@",  "-",    " ", "_", "com", "org", "{",
                                          "}",  "[", "]",  "\n", "\t", "2024", ",", "+", "$",   "^",   "😀" };
    size_t n_yes = 0, n_no = 0;
    for (size_t p = 0; p < SC_COUNT(patterns); p++) {
        int code_number;
        PCRE2_SIZE at;
        pcre2_code *code = pcre2_compile((PCRE2_SPTR)patterns[p], PCRE2_ZERO_TERMINATED,
                                         PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &code_number, &at, NULL);
        if (!code) fail_msg("PCRE2 does not read %s", patterns[p]);
        struct held h = hold(REGEX, patterns[p]);
        for (int i = 0; i < 300; i++) {
            struct sc_buffer text = { 0 };
            if (i % 2) generate(&h, tiny_index, 12, 0, &text);
            sc_buffer_append(&text, "", 0);
            if (memchr(text.data, 0, text.n_bytes) || sc_utf8_valid_run(text.data, text.n_bytes) != text.n_bytes ||
                strpbrk(text.data, "\r\n"))
                sc_buffer_clear(&text);
            for (uint32_t n = i % 4 == 1 ? 0 : draw(5); n; n--)
                sc_buffer_append_string(&text, pieces[draw(SC_COUNT(pieces))]);
            sc_buffer_append(&text, "", 0);
            bool expected = pcre2_matches(code, text.data), found = accepts(&h, text.data);
            if (expected != found) fail_msg("%s on '%s': PCRE2 says %d", patterns[p], text.data, expected);
            n_yes += expected;
            n_no += !expected;
            sc_buffer_free(&text);
        }
        let_go(&h);
        pcre2_code_free(code);
    }
    assert_true(n_yes > 2000 && n_no > 2000);
}

static void regexes_follow_ecma_262_where_pcre2_differs(void **state)
{
    (void)state;
    expect(REGEX, "\\u00e9\\u{1F600}\\ud83d\\ude00", "é😀😀", "é😀");
    expect(REGEX, ".", "é", "\r");
    expect(REGEX, ".", "a", "\xE2\x80\xA8"); // a line separator
    expect(REGEX, "\\S", "a", "\xC2\xA0");   // a space that does not break
    expect(REGEX, "a{,2}", "a{,2}", "aa");
    expect(REGEX, "a$", "a", "a\n");
}

static void what_is_not_regular_is_refused(void **state)
{
    (void)state;
    refuse(REGEX, "(a)\\1", SOCLE_UNSUPPORTED, "at byte 3");
    refuse(REGEX, "a(?=b)", SOCLE_UNSUPPORTED, "this kind of group");
    refuse(REGEX, "(?<!a)b", SOCLE_UNSUPPORTED, "this kind of group");
    refuse(REGEX, "\\bword", SOCLE_UNSUPPORTED, "at byte 0");
    refuse(REGEX, "a^b", SOCLE_UNSUPPORTED, "'^' where the text cannot begin");
    refuse(REGEX, "(a$)b", SOCLE_UNSUPPORTED, "'$' where the text cannot end");
    refuse(REGEX, "(^a)*", SOCLE_UNSUPPORTED, "a repetition of a group with ^");
    refuse(REGEX, "a**", SOCLE_UNSUPPORTED, "a repetition of a repetition");
    refuse(REGEX, "[z-a]", SOCLE_BAD_ARGUMENT, "at byte 0");
    refuse(REGEX, "a)", SOCLE_BAD_ARGUMENT, "at byte 1");
    refuse(REGEX, "\xff", SOCLE_BAD_ARGUMENT, "not UTF-8");
}

// ---- bounds

static void hostile_sources_are_refused_soon(void **state)
{
    (void)state;
    double start = sc_now();
    refuse(REGEX, "(a|b)*a(a|b){40}", SOCLE_UNSUPPORTED, "a grammar");
    refuse(REGEX, "((((a{1000}){1000}){1000}){1000}){1000}", SOCLE_UNSUPPORTED, "repetitions written out");
    refuse(REGEX, "a{1000000}", SOCLE_UNSUPPORTED, "a repetition of more than");
    struct sc_buffer text = { 0 };
    for (int i = 0; i < 5000; i++) sc_buffer_append_char(&text, '(');
    refuse(REGEX, text.data, SOCLE_UNSUPPORTED, "nested too deeply");
    sc_buffer_clear(&text);
    sc_buffer_append_string(&text, "root ::= ");
    for (int i = 0; i < 5000; i++) sc_buffer_append_char(&text, '(');
    refuse(GBNF, text.data, SOCLE_BAD_ARGUMENT, "nested too deeply");
    sc_buffer_clear(&text);
    sc_buffer_append_string(&text, "root ::= r0\n");
    for (int i = 0; i < 9000; i++) sc_buffer_printf(&text, "r%d ::= \"a\" r%d\n", i, i + 1);
    sc_buffer_append_string(&text, "r9000 ::= \"b\"");
    refuse(GBNF, text.data, SOCLE_UNSUPPORTED, "nested in rules too deeply");
    sc_buffer_clear(&text); // doubles with every rule
    sc_buffer_append_string(&text, "root ::= r0\n");
    for (int i = 0; i < 60; i++) sc_buffer_printf(&text, "r%d ::= r%d \"x\"* r%d\n", i, i + 1, i + 1);
    sc_buffer_append_string(&text, "r60 ::= \"b\"*");
    struct sc_grammar *grammar = NULL;
    socle_error err;
    if (compile(GBNF, text.data, &grammar, &err) == SOCLE_OK) sc_grammar_free(grammar);
    sc_buffer_clear(&text);
    for (int i = 0; i < 3000; i++) sc_buffer_append_string(&text, "{\"items\":");
    refuse(SCHEMA, text.data, SOCLE_BAD_ARGUMENT, "not JSON");
    sc_buffer_clear(&text);
    for (int i = 0; i < 1000; i++) sc_buffer_append_string(&text, "{\"items\":");
    sc_buffer_append_string(&text, "true");
    for (int i = 0; i < 1000; i++) sc_buffer_append_char(&text, '}');
    refuse(SCHEMA, text.data, SOCLE_UNSUPPORTED, "too deep");
    sc_buffer_free(&text);
    assert_true(sc_now() - start < 60.0);
}

// ---- masks

static const struct {
    enum kind kind;
    const char *source;
} grammars[] = {
    { JSON, "" },
    { JSON, "object" },
    { REGEX, "[a-z]{2,9}( [a-z]{2,9})*" },
    { REGEX, "(é|日|a){1,5}" },
    { REGEX, ".{0,7}" },
    { GBNF, "root ::= \"[\" root* \"]\" | \"a\" | \"<|tool|>\" \"ab\"+" },
    { GBNF, "root ::= a | b\na ::= \"a\" a \"1\" | \"a\"\nb ::= \"aa\" b \"2\" | \"a\" \"bc\"?" },
    { SCHEMA, "{\"type\":\"string\",\"minLength\":3,\"maxLength\":6}" },
    { SCHEMA, "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":2},\"minItems\":1,\"maxItems\":3}" },
    { SCHEMA, "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":7}}" },
    { SCHEMA,
      "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"minLength\":1},\"a\":{\"enum\":[12,"
      "\"abc\",null]},\"b\":{\"type\":\"number\",\"minimum\":-1,\"exclusiveMaximum\":345}},\"required\":[\"a\"],"
      "\"additionalProperties\":{\"type\":\"boolean\"}}" },
    { SCHEMA,
      "{\"$ref\":\"#/$defs/t\",\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"l\":{\"$ref\":\"#/$defs/t\"},\"r\":"
      "{\"$ref\":\"#/$defs/t\"}},\"additionalProperties\":false}}}" },
    { SCHEMA,
      "{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"]},{\"type\":\"object\","
      "\"properties\":{\"b\":{\"pattern\":\"^a+$\"}}}]}" },
};

static void masks_allow_exactly_what_is_accepted(void **state)
{
    (void)state;
    for (size_t g = 0; g < SC_COUNT(grammars); g++) {
        struct held h = hold(grammars[g].kind, grammars[g].source);
        for (int i = 0; i < 15; i++) {
            struct sc_buffer text = { 0 };
            if (generate(&h, tiny_index, 60, 1, &text) && grammars[g].kind >= SCHEMA) {
                json_t *value = json_loadb(text.data, text.n_bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
                if (!value) fail_msg("not JSON: %s", text.data);
                json_decref(value);
            }
            sc_buffer_free(&text);
        }
        let_go(&h);
    }
}

static void masks_are_right_on_a_real_vocabulary(void **state)
{
    (void)state;
    static const char *const names[] = { "qwen2", "llama-spm" };
    char path[512];
    const char *root = getenv("SOCLE_FIXTURES");
    for (size_t v = 0; v < SC_COUNT(names); v++) {
        struct sc_gguf *gguf;
        struct sc_tokenizer *tokenizer;
        struct sc_token_index *index;
        socle_error err = { 0 };
        snprintf(path, sizeof path, "%s/tokenizers/%s.gguf", root ? root : SC_SOURCE_ROOT "/../shared/fixtures",
                 names[v]);
        if (sc_gguf_open(path, &gguf, &err) != SOCLE_OK) skip();
        assert_int_equal(sc_tokenizer_load(gguf, &tokenizer, &err), SOCLE_OK);
        assert_int_equal(sc_token_index_create(tokenizer, &index, &err), SOCLE_OK);
        for (size_t g = 0; g < SC_COUNT(grammars); g++) {
            struct held h = hold_over(index, grammars[g].kind, grammars[g].source);
            struct sc_buffer text = { 0 };
            generate(&h, index, 12, 97, &text);
            sc_buffer_free(&text);
            let_go(&h);
        }
        sc_token_index_free(index);
        sc_tokenizer_free(tokenizer);
        sc_gguf_close(gguf);
    }
}

static void tokens_may_split_characters(void **state)
{
    (void)state;
    struct held h = hold(REGEX, "é日😀");
    const char *text = "é日😀";
    for (size_t i = 0; i < strlen(text); i++) {
        uint64_t mask[16];
        socle_error err;
        char letter[8];
        size_t n = sc_byte_level_encode((uint8_t)text[i], letter);
        int32_t token = sc_tokenizer_find(tiny.tokenizer, (struct sc_text){ letter, n });
        assert_int_equal(sc_matcher_mask(h.matcher, mask, &err), SOCLE_OK);
        assert_true(is_set(mask, token));
        assert_false(is_set(mask, end_token));
        assert_true(sc_matcher_accept(h.matcher, token));
    }
    assert_true(sc_matcher_can_end(h.matcher) && sc_matcher_must_end(h.matcher));
    let_go(&h);
}

static void a_refused_token_changes_nothing(void **state)
{
    (void)state;
    struct held h = hold(JSON, "");
    assert_true(sc_matcher_accept_bytes(h.matcher, sc_text_of("[{\"a\": [1")));
    assert_false(sc_matcher_accept_bytes(h.matcher, sc_text_of(", 2]}, x")));
    assert_true(sc_matcher_accept_bytes(h.matcher, sc_text_of(", 2]}]")));
    assert_true(sc_matcher_can_end(h.matcher));
    assert_false(sc_matcher_accept(h.matcher, -1));
    assert_false(sc_matcher_accept(h.matcher, 1 << 30));
    assert_true(sc_matcher_accept(h.matcher, end_token));
    assert_false(sc_matcher_accept_bytes(h.matcher, sc_text_of(" ")));
    sc_matcher_reset(h.matcher);
    assert_true(sc_matcher_accept_bytes(h.matcher, sc_text_of("{")));
    let_go(&h);
}

struct sharer {
    struct sc_token_masks *masks;
    uint64_t sum;
};

static void *share(void *argument)
{
    struct sharer *s = argument;
    struct sc_matcher *m;
    uint64_t mask[16];
    socle_error err;
    const char *text = "{\"a\": [1, 2, {\"b\": \"\\u00e9 hello\"}], \"c\": null}";
    if (sc_matcher_create(s->masks, &m, &err) != SOCLE_OK) return NULL;
    for (int round = 0; round < 20; round++) {
        sc_matcher_reset(m);
        for (const char *c = text; *c; c++) {
            sc_matcher_mask(m, mask, &err);
            for (size_t w = 0; w < sc_matcher_mask_words(m); w++) s->sum = sc_hash_u64(s->sum ^ mask[w]);
            sc_matcher_accept_bytes(m, (struct sc_text){ c, 1 });
        }
    }
    sc_matcher_free(m);
    return NULL;
}

static void threads_share_masks(void **state)
{
    (void)state;
    struct held h = hold(JSON, "");
    struct sharer sharers[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        sharers[i] = (struct sharer){ h.masks, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, share, &sharers[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 1; i < 4; i++) assert_true(sharers[i].sum == sharers[0].sum);
    let_go(&h);
}

// ---- schemas

static void schemas_accept_what_is_valid(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s/tests/data/schema_cases.json", SC_SOURCE_ROOT);
    json_error_t problem;
    json_t *rows = json_load_file(path, 0, &problem), *row, *text;
    if (!rows) fail_msg("%s: %s", path, problem.text);
    size_t i, k;
    json_array_foreach (rows, i, row) {
        char *schema = json_dumps(json_object_get(row, "schema"), JSON_ENCODE_ANY);
        struct held h = hold(SCHEMA, schema);
        json_array_foreach (json_object_get(row, "valid"), k, text)
            if (!accepts(&h, json_string_value(text))) fail_msg("%s should accept %s", schema, json_string_value(text));
        json_array_foreach (json_object_get(row, "invalid"), k, text)
            if (accepts(&h, json_string_value(text)))
                fail_msg("%s should not accept %s", schema, json_string_value(text));
        let_go(&h);
        free(schema);
    }
    assert_true(json_array_size(rows) > 40);
    json_decref(rows);
}

static void schemas_that_cannot_be_enforced_are_refused_by_pointer(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *says;
        socle_status status;
    } cases[] = {
        { "{\"wibble\": 1}", "/wibble: this keyword is not known", SOCLE_UNSUPPORTED },
        { "{\"properties\": {\"a/b\": {\"items\": {\"uniqueItems\": true}}}}", "/properties/a~1b/items/uniqueItems",
          SOCLE_UNSUPPORTED },
        { "{\"unevaluatedItems\": false}", "/unevaluatedItems", SOCLE_UNSUPPORTED },
        { "{\"contains\": {\"type\": \"null\"}, \"maxContains\": 2}", "/maxContains", SOCLE_UNSUPPORTED },
        { "{\"pattern\": \"(?=a)b\"}", "/pattern: a regular expression: at byte 0", SOCLE_UNSUPPORTED },
        { "{\"$ref\": \"other.json\"}", "/$ref: only references inside", SOCLE_UNSUPPORTED },
        { "{\"$ref\": \"#/nowhere\"}", "/$ref: '#/nowhere' leads nowhere", SOCLE_BAD_ARGUMENT },
        { "{\"$dynamicRef\": \"#a\"}", "/$dynamicRef", SOCLE_UNSUPPORTED },
        { "{\"minLength\": -1}", "/minLength: expected a whole number", SOCLE_BAD_ARGUMENT },
        { "{\"type\": \"sting\"}", "/type: expected a type", SOCLE_BAD_ARGUMENT },
        { "{\"prefixItems\": [true], \"items\": [true]}", "/items: a list, as in older drafts", SOCLE_UNSUPPORTED },
        { "{\"not\": {\"multipleOf\": 3}}", "/not/multipleOf", SOCLE_UNSUPPORTED },
        { "{\"type\": \"object\", \"minProperties\": 2}", "/minProperties", SOCLE_UNSUPPORTED },
        { "{\"format\": \"regex\"}", "/format", SOCLE_UNSUPPORTED },
        { "{\"minItems\": 5000}", "/minItems: more than 4096", SOCLE_UNSUPPORTED },
        { "{\"allOf\": [{\"type\": \"string\"}, {\"type\": \"null\"}]}", "no text matches it", SOCLE_UNSUPPORTED },
        { "[1]", "/: expected a schema", SOCLE_BAD_ARGUMENT },
        { "{\"$ref\": [1]}", "/$ref: expected a text", SOCLE_BAD_ARGUMENT },
        { "{\"not\": {\"pattern\": 5}}", "/not: expected a text", SOCLE_BAD_ARGUMENT },
        { "{", "not JSON at line 1", SOCLE_BAD_ARGUMENT },
    };
    for (size_t i = 0; i < SC_COUNT(cases); i++) refuse(SCHEMA, cases[i].schema, cases[i].status, cases[i].says);
}

static void white_space_is_bounded(void **state)
{
    (void)state;
    struct held h = hold(JSON, "");
    assert_true(accepts(&h, "{\n    \"a\": 1,\n    \"b\": [\n\t\t1, 2\n  ]\n}"));
    assert_false(accepts(&h, "{  }  "));
    sc_matcher_reset(h.matcher);
    int n = 0;
    assert_true(sc_matcher_accept_bytes(h.matcher, sc_text_of("[1,\n")));
    while (n < 1000 && sc_matcher_accept_bytes(h.matcher, sc_text_of(" "))) n++;
    assert_true(n >= 16 && n < 100);
    let_go(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gbnf_reads_its_notation),
        cmocka_unit_test(gbnf_follows_nesting_as_deep_as_it_goes),
        cmocka_unit_test(gbnf_follows_ambiguity),
        cmocka_unit_test(gbnf_embeds_schemas),
        cmocka_unit_test(gbnf_says_what_is_wrong_and_where),
        cmocka_unit_test(grammars_that_cannot_work_are_refused),
        cmocka_unit_test(control_tokens_match_literals_of_their_text),
        cmocka_unit_test(regexes_agree_with_pcre2),
        cmocka_unit_test(regexes_follow_ecma_262_where_pcre2_differs),
        cmocka_unit_test(what_is_not_regular_is_refused),
        cmocka_unit_test(hostile_sources_are_refused_soon),
        cmocka_unit_test(masks_allow_exactly_what_is_accepted),
        cmocka_unit_test(masks_are_right_on_a_real_vocabulary),
        cmocka_unit_test(tokens_may_split_characters),
        cmocka_unit_test(a_refused_token_changes_nothing),
        cmocka_unit_test(threads_share_masks),
        cmocka_unit_test(schemas_accept_what_is_valid),
        cmocka_unit_test(schemas_that_cannot_be_enforced_are_refused_by_pointer),
        cmocka_unit_test(white_space_is_bounded),
    };
    return cmocka_run_group_tests(tests, make_vocabulary, free_vocabulary);
}
