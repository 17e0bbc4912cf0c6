// Reading answers: reasoning, text and tool calls as real chat templates write them (data/answer_cases.json, made by
// data/make_answer_cases.py), what models get wrong, and what means harm; each in every cut. And grammars for calls.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/size.h"
#include "fixtures.h"
#include "text/answer.h"

// ---- listening

// Everything heard, in order: R(reasoning) T(text) C(name|arguments) with ! behind a call that is not complete.
struct heard {
    struct sc_buffer all, reasoning, text;
    json_t *calls; // [{"name", "arguments": the text, "complete"}]
    struct sc_buffer arguments;
    enum sc_answer_kind last;
    bool in_call, any;
};

static void hear_text(struct heard *h, const struct sc_answer_event *e)
{
    assert_true(e->n_bytes > 0);
    if (!h->any || h->last != e->kind) sc_buffer_printf(&h->all, e->kind == SC_ANSWER_TEXT ? "T:" : "R:");
    sc_buffer_append(&h->all, e->text, e->n_bytes);
    sc_buffer_append(e->kind == SC_ANSWER_TEXT ? &h->text : &h->reasoning, e->text, e->n_bytes);
}

static void hear_call(struct heard *h, const struct sc_answer_event *e)
{
    assert_int_equal(e->call, json_array_size(h->calls) - (e->kind == SC_ANSWER_CALL_BEGIN ? 0 : 1));
    if (e->kind == SC_ANSWER_CALL_BEGIN) {
        assert_false(h->in_call);
        h->in_call = true;
        sc_buffer_printf(&h->all, "C:%.*s|", (int)e->n_bytes, e->text);
        json_array_append_new(h->calls, json_pack("{s:o}", "name", json_stringn(e->text, e->n_bytes)));
        sc_buffer_clear(&h->arguments);
        return;
    }
    assert_true(h->in_call);
    if (e->kind == SC_ANSWER_ARGUMENTS) {
        assert_true(e->n_bytes > 0);
        sc_buffer_append(&h->all, e->text, e->n_bytes);
        sc_buffer_append(&h->arguments, e->text, e->n_bytes);
        return;
    }
    h->in_call = false;
    sc_buffer_append_string(&h->all, e->complete ? ";" : "!");
    json_t *call = json_array_get(h->calls, json_array_size(h->calls) - 1);
    const char *text = h->arguments.data ? h->arguments.data : "";
    json_object_set_new(call, "arguments", json_loads(text, 0, NULL));
    json_object_set_new(call, "complete", json_boolean(e->complete));
    if (e->complete && !json_is_object(json_object_get(call, "arguments"))) fail_msg("no JSON object: %s", text);
}

static void hear(void *context, const struct sc_answer_event *e)
{
    struct heard *h = context;
    if (e->kind == SC_ANSWER_TEXT || e->kind == SC_ANSWER_REASONING) {
        assert_false(h->in_call);
        hear_text(h, e);
    } else {
        hear_call(h, e);
    }
    h->last = e->kind;
    h->any = true;
}

struct question {
    const struct sc_answer_syntax *syntax;
    const json_t *tools;
    const char *prompt;
};

static struct heard ask(const struct question *q, const char *text, size_t n, const size_t *cuts, size_t n_cuts)
{
    struct heard h = { .calls = json_array() };
    struct sc_answer a;
    sc_answer_begin(&a, q->syntax, sc_text_of(q->prompt), q->tools);
    for (size_t i = 0, begin = 0; i <= n_cuts; i++) {
        size_t end = i < n_cuts ? cuts[i] : n;
        // Exactly what is pushed, so that the sanitizer sees any overrun.
        char *piece = malloc(end - begin + 1);
        memcpy(piece, text + begin, end - begin);
        sc_answer_push(&a, piece, end - begin, hear, &h);
        free(piece);
        begin = end;
    }
    assert_true(sc_answer_end(&a, hear, &h));
    assert_false(h.in_call);
    sc_buffer_append(&h.all, "", 0);
    sc_buffer_append(&h.text, "", 0);
    sc_buffer_append(&h.reasoning, "", 0);
    return h;
}

static void heard_free(struct heard *h)
{
    sc_buffer_free(&h->all);
    sc_buffer_free(&h->text);
    sc_buffer_free(&h->reasoning);
    sc_buffer_free(&h->arguments);
    json_decref(h->calls);
}

static void check_cut(const struct question *q, const char *text, size_t n, const size_t *cuts, size_t n_cuts,
                      const char *expected)
{
    struct heard h = ask(q, text, n, cuts, n_cuts);
    if (strcmp(h.all.data, expected) != 0)
        fail_msg("'%s' cut %zu times, first at %zu:\n  expected %s\n  found    %s", text, n_cuts, n_cuts ? cuts[0] : 0,
                 expected, h.all.data);
    heard_free(&h);
}

// In one piece, and the same in all others.
static struct heard ask_in_every_cut(const struct question *q, const char *text)
{
    size_t n = strlen(text), *every = calloc(n + 1, sizeof *every);
    struct heard h = ask(q, text, n, NULL, 0);
    for (size_t i = 0; i < n; i++) every[i] = i;
    check_cut(q, text, n, every, n, h.all.data);
    for (size_t cut = 1; cut < n; cut++) check_cut(q, text, n, &cut, 1, h.all.data);
    free(every);
    return h;
}

// ---- what templates write

static json_t *load_cases(void)
{
    json_error_t problem;
    json_t *cases = json_load_file(SC_SOURCE_ROOT "/tests/data/answer_cases.json", 0, &problem);
    if (!cases) fail_msg("answer_cases.json: %s", problem.text);
    return cases;
}

static bool equal_but_for_spaces(const char *a, const char *b)
{
    while (*a && strchr(" \n", *a)) a++;
    while (*b && strchr(" \n", *b)) b++;
    size_t n_a = strlen(a), n_b = strlen(b);
    while (n_a && strchr(" \n", a[n_a - 1])) n_a--;
    while (n_b && strchr(" \n", b[n_b - 1])) n_b--;
    return n_a == n_b && memcmp(a, b, n_a) == 0;
}

static bool same_calls(json_t *expected, json_t *found)
{
    bool same = json_array_size(expected) == json_array_size(found);
    for (size_t i = 0; same && i < json_array_size(expected); i++) {
        json_t *a = json_array_get(expected, i), *b = json_array_get(found, i);
        same = json_equal(json_object_get(a, "name"), json_object_get(b, "name")) &&
               json_equal(json_object_get(a, "arguments"), json_object_get(b, "arguments")) &&
               json_is_true(json_object_get(b, "complete"));
    }
    return same;
}

static const char *text_of(const json_t *row, const char *key) { return json_string_value(json_object_get(row, key)); }

static bool check_row(const json_t *row, const json_t *tools)
{
    const char *name = text_of(row, "syntax"), *answer = text_of(row, "answer");
    struct question q = { *name ? sc_answer_syntax_find(name) : NULL, tools, text_of(row, "prompt") };
    if (*name && !q.syntax) {
        print_error("%s: no such syntax\n", name);
        return false;
    }
    struct heard h = ask_in_every_cut(&q, answer);
    bool ok = equal_but_for_spaces(h.text.data, text_of(row, "text")) &&
              equal_but_for_spaces(h.reasoning.data, text_of(row, "reasoning")) &&
              same_calls(json_object_get(row, "calls"), h.calls);
    if (!ok) print_error("%s, %s: from %s\n    %s\n", name, text_of(row, "case"), answer, h.all.data);
    heard_free(&h);
    return ok;
}

static void what_templates_write_is_read_back(void **state)
{
    (void)state;
    json_t *cases = load_cases(), *row;
    size_t i, n_bad = 0;
    json_array_foreach (json_object_get(cases, "cases"), i, row)
        n_bad += !check_row(row, json_object_get(cases, "tools"));
    print_message("%zu answers\n", i);
    json_decref(cases);
    assert_int_equal(n_bad, 0);
}

static struct sc_buffer read_fixture(const char *name)
{
    char path[256], bytes[4096];
    struct sc_buffer source = { 0 };
    snprintf(path, sizeof path, "templates/%s", name);
    FILE *file = fopen(fixture(path), "rb");
    assert_non_null(file);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, file)) > 0;) sc_buffer_append(&source, bytes, n);
    fclose(file);
    return source;
}

static void templates_tell_their_syntax(void **state)
{
    (void)state;
    if (!have_fixtures("templates/cases.jsonl")) skip();
    json_t *cases = load_cases(), *row, *template;
    size_t i, j, n_bad = 0;
    json_array_foreach (json_object_get(cases, "cases"), i, row) {
        json_array_foreach (json_object_get(row, "templates"), j, template) {
            struct sc_buffer source = read_fixture(json_string_value(template));
            const struct sc_answer_syntax *syntax = sc_answer_syntax_of_template(
                (struct sc_text){ source.data, source.n_bytes });
            const char *found = syntax ? sc_answer_syntax_name(syntax) : "";
            if (strcmp(found, text_of(row, "syntax")) != 0) {
                print_error("%s: %s, not %s\n", json_string_value(template), found, text_of(row, "syntax"));
                n_bad++;
            }
            sc_buffer_free(&source);
        }
    }
    json_decref(cases);
    assert_int_equal(n_bad, 0);
}

// ---- reasoning

static void reasoning_is_told_from_the_answer_wherever_text_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *prompt, *text, *thinking, *answer;
    } cases[] = {
        { "", "<think>\nI wonder.\n</think>\n\nYes.", "I wonder.\n", "Yes." },
        { "", "\n <think></think>Yes.", "", "Yes." },
        { "<|Assistant|><think>\n", "hm\n\n</think>\n\nok <b>", "hm\n\n", "ok <b>" },
        { "<think>\n\n</think>\n\n", "no thoughts", "", "no thoughts" },
        { "", "[THINK]a[/THINK]b", "a", "b" },
        { "", "<seed:think>a</seed:think>b", "a", "b" },
        { "", "<think>unclosed </thin", "unclosed </thin", "" },
        { "", "a<b and <thin> [THI", "", "a<b and <thin> [THI" },
        { "", "First <think>x</think> then", "x", "First then" },
        { "", "<think>a<think>b</think>c", "a<think>b", "c" },
        { "", " \n\n", "", "" },
        { "<|start|>assistant",
          "<|channel|>analysis<|message|>We think.<|end|><|start|>assistant<|channel|>final<|message|>Hello.",
          "We think.", "Hello." },
        { "",
          "<|channel|>commentary<|message|>c<|end|><|start|>assistant<|channel|>analysis<|message|>a<|end|>"
          "<|start|>assistant<|channel|>final<|message|>f",
          "ca", "f" },
        { "", "<|channel|>final<|message|>only", "", "only" },
    };
    for (size_t i = 0; i < SC_COUNT(cases); i++) {
        struct question q = { NULL, NULL, cases[i].prompt };
        struct heard h = ask_in_every_cut(&q, cases[i].text);
        assert_string_equal(h.reasoning.data, cases[i].thinking);
        assert_string_equal(h.text.data, cases[i].answer);
        heard_free(&h);
    }
}

// ---- what models get wrong, and what is no call

struct heard_case {
    const char *syntax, *answer, *all;
};

static void check_table(const struct heard_case *cases, size_t n, const json_t *tools)
{
    for (size_t i = 0; i < n; i++) {
        struct question q = { sc_answer_syntax_find(cases[i].syntax), tools, "" };
        assert_non_null(q.syntax);
        struct heard h = ask_in_every_cut(&q, cases[i].answer);
        if (strcmp(h.all.data, cases[i].all) != 0)
            fail_msg("%s: '%s'\n  expected %s\n  found    %s", cases[i].syntax, cases[i].answer, cases[i].all,
                     h.all.data);
        heard_free(&h);
    }
}

static json_t *some_tools(void)
{
    json_t *tools = json_loads(
        "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\","
        "\"properties\":{\"s\":{\"type\":\"string\"},\"n\":{\"type\":[\"integer\",\"null\"]},"
        "\"a\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"number\"}]},"
        "\"e\":{\"enum\":[\"x\",\"y\"]}}}}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]",
        0, NULL);
    assert_non_null(tools);
    return tools;
}

static void calls_are_read_in_their_spellings(void **state)
{
    (void)state;
    static const struct heard_case cases[] = {
        { "hermes", "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", "C:f|{};" },
        { "hermes", "<tool_call>{\"arguments\":{\"n\": 1},\"name\":\"f\"}</tool_call>", "C:f|{\"n\":1};" },
        { "hermes", "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":1}\"}</tool_call>", "C:f|{\"n\":1};" },
        { "hermes", "<tool_call>{\"name\":\"f\"}</tool_call> done", "C:f|{};T:done" },
        { "hermes",
          "<tool_call>{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"n\":2}}}</tool_call>",
          "C:f|{\"n\":2};" },
        { "hermes", "a\n\n<tool_call>{\"name\":\"f\",\"arguments\":{\"s\":\"}</tool_call>\"}}\n</tool_call>\nb",
          "T:aC:f|{\"s\":\"}</tool_call>\"};T:b" },
        { "hermes", "<tool_call>{\"name\":\"f\",\"arguments\":{\"s\":\"a\nb\tc\"}}</tool_call>",
          "C:f|{\"s\":\"a\\nb\\tc\"};" },
        { "hermes", "<think>x</think>\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", "R:xC:f|{};" },
        { "mistral", "[TOOL_CALLS]f[CALL_ID]abc[ARGS]{\"n\": 1}[TOOL_CALLS]g[ARGS]{}", "C:f|{\"n\": 1};C:g|{};" },
        { "mistral", "Hm [TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {}}] ok",
          "T:HmC:f|{};C:g|{};T:ok" },
        { "granite3", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"n\": 1}}]", "C:f|{\"n\": 1};" },
        { "firefunction", " functools[{\"name\": \"f\", \"arguments\": {\"n\": 1}}]", "C:f|{\"n\": 1};" },
        { "command-r",
          "Action: ```json\n[\n    {\n        \"tool_name\": \"f\",\n        \"parameters\": {\n  \"n\": 1 }\n    }\n]```",
          "C:f|{\n  \"n\": 1 };" },
        { "llama3", " {\"name\": \"f\", \"parameters\": {\"n\": 1}}; {\"name\": \"g\", \"parameters\": {}}",
          "C:f|{\"n\": 1};C:g|{};" },
        { "llama3", "<|python_tag|>{\"type\": \"function\", \"name\": \"any\", \"parameters\": {}}", "C:any|{};" },
        { "deepseek-v3.1",
          "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜>\n"
          "<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
          "C:f|{};C:g|{};" },
        { "harmony",
          "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.f "
          "<|constrain|>json<|message|>{\"n\":1}<|call|>",
          "R:hmC:f|{\"n\":1};" },
        { "harmony", " to=functions.f<|channel|>commentary json<|message|>{}", "C:f|{};" },
        { "harmony", "<|channel|>final <|constrain|>json<|message|>{\"n\":1}", "T:{\"n\":1}" },
        { "gigachat3", "Ok.<|message_sep|>\n\nfunction call<|role_sep|>\n{\"name\": \"f\", \"arguments\": {}}",
          "T:Ok.C:f|{};" },
        { "kimi",
          "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}"
          "<|tool_call_end|><|tool_call_begin|>g<|tool_call_argument_begin|>{}<|tool_call_end|>"
          "<|tool_calls_section_end|>",
          "C:f|{};C:g|{};" },
        { "minimax-m2",
          "<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"s\">1</parameter>\n<parameter "
          "name=\"n\">1</parameter>\n</invoke>\n</minimax:tool_call>",
          "C:f|{\"s\":\"1\",\"n\":1};" },
    };
    json_t *tools = some_tools();
    check_table(cases, SC_COUNT(cases), tools);
    json_decref(tools);
}

static void values_in_tags_get_the_type_of_their_schema(void **state)
{
    (void)state;
#define CALL(NAME, PARAMETERS) "<tool_call>\n<function=" NAME ">\n" PARAMETERS "</function>\n</tool_call>"
#define PARAMETER(NAME, VALUE) "<parameter=" NAME ">\n" VALUE "\n</parameter>\n"
    static const struct heard_case cases[] = {
        { "qwen-coder", CALL("f", PARAMETER("s", "12")), "C:f|{\"s\":\"12\"};" },
        { "qwen-coder", CALL("f", PARAMETER("e", "x") PARAMETER("n", "12")), "C:f|{\"e\":\"x\",\"n\":12};" },
        { "qwen-coder", CALL("f", PARAMETER("n", "None")), "C:f|{\"n\":null};" },
        { "qwen-coder", CALL("f", PARAMETER("n", "a \"b\"")), "C:f|{\"n\":\"a \\\"b\\\"\"};" },
        { "qwen-coder", CALL("f", PARAMETER("a", "1.5") PARAMETER("a", "one")), "C:f|{\"a\":1.5,\"a\":\"one\"};" },
        { "qwen-coder", CALL("f", PARAMETER("other", "[1, \"a\nb\"]")), "C:f|{\"other\":[1, \"a\\nb\"]};" },
        { "qwen-coder", CALL("h", PARAMETER("x", "True") PARAMETER("y", "\"q\"") PARAMETER("z", "1e")),
          "C:h|{\"x\":true,\"y\":\"\\\"q\\\"\",\"z\":\"1e\"};" },
        { "qwen-coder", CALL("f", PARAMETER("s", "\n a </b> <\n</parameter \n")),
          "C:f|{\"s\":\"\\n a </b> <\\n</parameter \\n\"};" },
        { "qwen-coder", "<function=f><parameter=s>a</parameter></function>", "C:f|{\"s\":\"a\"};" },
        { "qwen-coder", "<tool_call><function=f>\n<parameter=s>\na\n</parameter>\n</tool_call>x",
          "C:f|{\"s\":\"a\"};T:x" },
        { "glm", "<tool_call>f\n<arg_key>n</arg_key>\n<arg_value>3</arg_value>\n</tool_call>", "C:f|{\"n\":3};" },
        { "deepseek-v3.2",
          "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"h\">\n<｜DSML｜parameter name=\"a\" string=\"true\">1"
          "</｜DSML｜parameter>\n<｜DSML｜parameter name=\"b\" string=\"false\">1</｜DSML｜parameter>\n"
          "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
          "C:h|{\"a\":\"1\",\"b\":1};" },
        { "gemma4", "<|tool_call>call:f{s:<|\"|>a,}<tool_call|><|\"|>,n:[1,{x:true}],<|\"|>k<|\"|>:-2}<tool_call|>",
          "C:f|{\"s\":\"a,}<tool_call|>\",\"n\":[1,{\"x\":true}],\"k\":-2};" },
    };
    json_t *tools = some_tools();
    check_table(cases, SC_COUNT(cases), tools);
    json_decref(tools);
}

static void what_breaks_is_text(void **state)
{
    (void)state;
    static const struct heard_case cases[] = {
        // No head: everything is text.
        { "hermes", "<tool_call>", "T:<tool_call>" },
        { "hermes", "a <tool_call> is a tag", "T:a <tool_call> is a tag" },
        { "hermes", "x\n<tool_call>\n{\"name\": 5}</tool_call>", "T:x\n<tool_call>\n{\"name\": 5}</tool_call>" },
        { "hermes", "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>",
          "T:<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>" },
        { "hermes", "<tool_call>{\"name\": \"f\", \"argum", "T:<tool_call>{\"name\": \"f\", \"argum" },
        { "hermes", "<tool_call><tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", "T:<tool_call>C:f|{};" },
        { "hermes", "a </tool_call> b", "T:a </tool_call> b" },
        { "llama3", "{\"answer\": 42}", "T:{\"answer\": 42}" },
        { "llama3", "{\"name\": \"unknown\", \"parameters\": {}}", "T:{\"name\": \"unknown\", \"parameters\": {}}" },
        { "llama3", "{\"name\": \"f\"}", "T:{\"name\": \"f\"}" },
        { "llama3", "So: {\"name\": \"f\", \"parameters\": {}}", "T:So: {\"name\": \"f\", \"parameters\": {}}" },
        { "llama3", "<|python_tag|>print(1)", "T:<|python_tag|>print(1)" },
        { "mistral", "[TOOL_CALLS]no args", "T:[TOOL_CALLS]no args" },
        { "deepseek-v3.1", "<｜tool▁calls▁begin｜>\nwell", "T:<｜tool▁calls▁begin｜>\nwell" },
        { "harmony", "<|channel|>commentary to=functions.f {", "T:<|channel|>commentary to=functions.f {" },
        { "qwen-coder", "<function=f", "T:<function=f" },
        { "glm", "<tool_call>{\"name\"", "T:<tool_call>{\"name\"" },
        { "gemma4", "<|tool_call>call:f{a:b}<tool_call|>", "T:<|tool_call>call:f{a:b}<tool_call|>" },
        // Broken behind the head: the call ends there.
        { "hermes", "<tool_call>{\"name\":\"f\",\"arguments\":{\"n\":x}}</tool_call>",
          "C:f|{\"n\":!T:x}}</tool_call>" },
        { "hermes", "<tool_call>{\"name\":\"f\",\"arguments\":{\"s\":\"abc", "C:f|{\"s\":\"abc!" },
        { "qwen-coder", "<function=f><parameter=s>abc</para", "C:f|{\"s\":\"abc</para!" },
        { "qwen-coder", "<function=f><parameter=n>12</para", "C:f|{\"n\":!T:12</para" },
        { "qwen-coder", "<function=f>\n<parameter=s>a</parameter>\nwell", "C:f|{\"s\":\"a\"!T:well" },
        { "qwen-coder", "<function=f>\n<parameter=s\n", "C:f|{!T:<parameter=s\n" },
        { "qwen-coder", "<function=f>\n", "C:f|{!" },
        // Whole arguments in an object that is not closed.
        { "hermes", "<tool_call>{\"name\":\"f\",\"arguments\":{}</tool_call>x", "C:f|{};T:x" },
        { "hermes", "<tool_call>{\"name\":\"f\",\"arguments\":{}", "C:f|{};" },
        { "hermes", "<tool_call>{\"name\":\"f\",\"arguments\":{},", "C:f|{};" },
    };
    json_t *tools = some_tools();
    check_table(cases, SC_COUNT(cases), tools);
    json_decref(tools);
}

static void the_reader_tells_whether_it_reads_reasoning(void **state)
{
    (void)state;
    struct heard h = { .calls = json_array() };
    struct sc_answer a;
    sc_answer_begin(&a, NULL, sc_text_of("<think>\n"), NULL);
    assert_true(sc_answer_is_reasoning(&a));
    sc_answer_push(&a, "x</think>", 9, hear, &h);
    assert_false(sc_answer_is_reasoning(&a));
    sc_answer_push(&a, "y<think>", 8, hear, &h);
    assert_true(sc_answer_is_reasoning(&a));
    assert_true(sc_answer_end(&a, hear, &h));
    heard_free(&h);
}

static void without_tools_there_are_no_calls(void **state)
{
    (void)state;
    static const char call[] = "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>";
    json_t *none = json_array();
    struct question q = { sc_answer_syntax_find("hermes"), none, "" };
    struct heard h = ask_in_every_cut(&q, call);
    assert_string_equal(h.text.data, call);
    heard_free(&h);
    q.tools = NULL; // not known is not none
    h = ask_in_every_cut(&q, call);
    assert_string_equal(h.all.data, "C:f|{};");
    heard_free(&h);
    json_decref(none);
}

static void long_and_deep_answers_come_to_an_end(void **state)
{
    (void)state;
    struct sc_buffer text = { 0 };
    struct question q = { sc_answer_syntax_find("hermes"), NULL, "" };
    sc_buffer_append_string(&text, "<tool_call>{\"name\":\"f\",\"arguments\":");
    for (size_t i = 0; i < 5000; i++) sc_buffer_append_string(&text, "{\"a\":");
    struct heard h = ask(&q, text.data, text.n_bytes, NULL, 0);
    assert_int_equal(h.text.n_bytes + h.arguments.n_bytes + strlen("<tool_call>{\"name\":\"f\",\"arguments\":"),
                     text.n_bytes);
    heard_free(&h);
    // A head that does not end is given up at the same place however it comes.
    sc_buffer_clear(&text);
    sc_buffer_append_string(&text, "<tool_call>{\"arguments\":\"");
    for (size_t i = 0; i < 20000; i++) sc_buffer_append_string(&text, "x");
    sc_buffer_append_string(&text, "\",\"name\":\"f\"}");
    struct sc_buffer expected = { 0 };
    sc_buffer_printf(&expected, "T:%s", text.data);
    for (size_t cut = 0; cut < text.n_bytes; cut += 97) check_cut(&q, text.data, text.n_bytes, &cut, 1, expected.data);
    sc_buffer_free(&expected);
    sc_buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_templates_write_is_read_back),
        cmocka_unit_test(templates_tell_their_syntax),
        cmocka_unit_test(reasoning_is_told_from_the_answer_wherever_text_is_cut),
        cmocka_unit_test(calls_are_read_in_their_spellings),
        cmocka_unit_test(values_in_tags_get_the_type_of_their_schema),
        cmocka_unit_test(what_breaks_is_text),
        cmocka_unit_test(without_tools_there_are_no_calls),
        cmocka_unit_test(the_reader_tells_whether_it_reads_reasoning),
        cmocka_unit_test(long_and_deep_answers_come_to_an_end),
    };
    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
