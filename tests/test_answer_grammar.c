// Grammars of tool calls: texts drawn at random from them are read back as calls of the tools, with arguments of the
// right types, for every syntax; and what cannot be asked for is refused.
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
#include "text/answer.h"
#include "text/utf8.h"

// ---- drawing a text from a grammar: the notation is interpreted while it is written, without a tree

struct drawing {
    const char *grammar;
    struct sc_buffer out;
    uint32_t random;
    unsigned depth;
    bool silent; // goes over an item without writing
};

static uint32_t draw(struct drawing *d, uint32_t n)
{
    d->random = d->random * 1664525u + 1013904223u;
    return (d->random >> 8) % n;
}

static bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; }

static const char *draw_choice(struct drawing *d, const char *at);

static void write_code(struct drawing *d, uint32_t c)
{
    char bytes[4];
    if (!d->silent) sc_buffer_append(&d->out, bytes, sc_utf8_encode(c, bytes));
}

// One character of a literal or a class, with its escapes.
static const char *read_code(const char *at, uint32_t *c)
{
    if (*at != '\\') return at + sc_utf8_decode(at, strlen(at), c);
    *c = at[1] == 'n' ? '\n' : (unsigned char)at[1];
    if (at[1] != 'x') return at + 2;
    *c = (uint32_t)strtoul((char[]){ at[2], at[3], '\0' }, NULL, 16);
    return at + 4;
}

static const char *draw_literal(struct drawing *d, const char *at)
{
    for (at++; *at != '"';) {
        uint32_t c;
        assert_true(*at != '\0');
        at = read_code(at, &c);
        write_code(d, c);
    }
    return at + 1;
}

static const char *draw_class(struct drawing *d, const char *at)
{
    static const uint32_t tries[] = { 'a', '<', '/', '\n', 'p', 't', 'x', '3', '"', 0xE9, '>', ' ' };
    uint32_t first[64], last[64];
    size_t n = 0;
    bool negated = at[1] == '^';
    for (at += 1 + negated; *at != ']'; n++) {
        assert_true(n < 64 && *at);
        at = read_code(at, &first[n]);
        last[n] = first[n];
        if (*at == '-' && at[1] != ']') at = read_code(at + 1, &last[n]);
    }
    for (;;) {
        uint32_t c = tries[draw(d, SC_COUNT(tries))];
        bool in = false;
        for (size_t i = 0; i < n; i++) in = in || (c >= first[i] && c <= last[i]);
        if (in == negated) continue;
        write_code(d, c);
        return at + 1;
    }
}

static json_t *instance(const json_t *schema)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    if (!type || strcmp(type, "string") == 0) return json_string("a \"b\"\n</x>");
    if (strcmp(type, "integer") == 0) return json_integer(-7);
    if (strcmp(type, "number") == 0) return json_real(0.5);
    if (strcmp(type, "boolean") == 0) return json_true();
    if (strcmp(type, "array") == 0) return json_pack("[s, s]", "x", "]");
    json_t *object = json_object(), *inner;
    const char *key;
    json_object_foreach (json_object_get(schema, "properties"), key, inner)
        json_object_set_new(object, key, instance(inner));
    return object;
}

static const char *draw_json(struct drawing *d, const char *at)
{
    json_error_t end;
    json_t *schema = json_loads(at + strlen("%json "), JSON_DISABLE_EOF_CHECK, &end);
    assert_non_null(schema);
    json_t *value = instance(schema);
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    if (!d->silent) sc_buffer_append_string(&d->out, text);
    free(text);
    json_decref(value);
    json_decref(schema);
    return at + strlen("%json ") + end.position;
}

static const char *draw_rule(struct drawing *d, const char *at)
{
    char head[80];
    size_t n = 0;
    while (is_name(at[n])) n++;
    snprintf(head, sizeof head, "\n%.*s ::= ", (int)n, at);
    const char *rule = strncmp(d->grammar, head + 1, strlen(head + 1)) == 0 ? d->grammar - 1 : strstr(d->grammar, head);
    if (!rule) fail_msg("no rule %.*s in\n%s", (int)n, at, d->grammar);
    assert_true(++d->depth < 100);
    if (!d->silent) draw_choice(d, rule + strlen(head));
    d->depth--;
    return at + n;
}

static const char *draw_item(struct drawing *d, const char *at)
{
    if (*at == '"') return draw_literal(d, at);
    if (*at == '[') return draw_class(d, at);
    if (*at == '%') return draw_json(d, at);
    if (*at != '(') return draw_rule(d, at);
    at = draw_choice(d, at + 1);
    assert_int_equal(*at, ')');
    return at + 1;
}

static const char *draw_repeated(struct drawing *d, const char *at)
{
    bool silent = d->silent;
    d->silent = true;
    const char *end = draw_item(d, at);
    d->silent = silent;
    uint32_t n = 1;
    if (*end == '*') n = draw(d, 4);
    if (*end == '+') n = 1 + draw(d, 3);
    if (*end == '?') n = draw(d, 2);
    if (*end == '{') n = (uint32_t)strtoul(end + 1, NULL, 10);
    for (uint32_t i = 0; i < n && !silent; i++) draw_item(d, at);
    if (*end == '{') return strchr(end, '}') + 1;
    return *end && strchr("*+?", *end) ? end + 1 : end;
}

static const char *draw_sequence(struct drawing *d, const char *at)
{
    for (;;) {
        while (*at == ' ') at++;
        if (!*at || strchr("|)\n", *at)) return at;
        at = draw_repeated(d, at);
    }
}

// One of several sequences; stands behind them all afterwards.
static const char *draw_choice(struct drawing *d, const char *at)
{
    bool silent = d->silent;
    d->silent = true;
    uint32_t n = 1;
    const char *end = draw_sequence(d, at);
    for (; *end == '|'; n++) end = draw_sequence(d, end + 1);
    uint32_t taken = draw(d, n);
    for (uint32_t i = 0; i <= taken; i++) {
        d->silent = silent || i < taken;
        at = draw_sequence(d, at) + 1;
    }
    d->silent = silent;
    return end;
}

// ---- reading what was drawn

struct heard {
    unsigned n_calls, n_complete;
    struct sc_buffer arguments, text;
    json_t *tools;
};

static bool has_type(const json_t *value, const json_t *schema)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    return !type || (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "integer") == 0 && json_is_integer(value)) ||
           (strcmp(type, "number") == 0 && json_is_number(value)) ||
           (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
           (strcmp(type, "array") == 0 && json_is_array(value)) ||
           (strcmp(type, "object") == 0 && json_is_object(value));
}

static void hear(void *context, const struct sc_answer_event *e)
{
    struct heard *h = context;
    if (e->kind == SC_ANSWER_TEXT) sc_buffer_append(&h->text, e->text, e->n_bytes);
    if (e->kind == SC_ANSWER_ARGUMENTS) sc_buffer_append(&h->arguments, e->text, e->n_bytes);
    if (e->kind == SC_ANSWER_CALL_BEGIN) {
        h->n_calls++;
        sc_buffer_clear(&h->arguments);
    }
    if (e->kind != SC_ANSWER_CALL_END) return;
    h->n_complete += e->complete;
    json_t *arguments = json_loads(h->arguments.data, 0, NULL), *schema;
    assert_true(json_is_object(arguments));
    const char *key;
    json_object_foreach (json_object_get(h->tools, "all"), key, schema) {
        const json_t *value = json_object_get(arguments, key);
        if (value && !has_type(value, schema)) fail_msg("%s has another type in %s", key, h->arguments.data);
    }
    json_decref(arguments);
}

static json_t *load_tools(void)
{
    json_t *cases = json_load_file(SC_SOURCE_ROOT "/tests/data/answer_cases.json", 0, NULL);
    assert_non_null(cases);
    json_t *tools = json_incref(json_object_get(cases, "tools"));
    json_decref(cases);
    json_array_append_new(tools, json_loads("{\"type\":\"function\",\"function\":{\"name\":\"optional\",\"parameters\":"
                                            "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"},"
                                            "\"count\":{\"type\":\"integer\"},\"other\":{}}}}}",
                                            0, NULL));
    return tools;
}

// The properties of all tools by name.
static json_t *properties_of(const json_t *tools)
{
    json_t *all = json_object();
    for (size_t i = 0; i < json_array_size(tools); i++)
        json_object_update(
            all, json_object_get(json_object_get(json_object_get(json_array_get(tools, i), "function"), "parameters"),
                                 "properties"));
    return all;
}

static void check_draw(const struct sc_answer_syntax *syntax, const struct sc_answer_grammar_options *o,
                       const char *grammar, const char *trigger, uint32_t seed)
{
    struct drawing d = { .grammar = grammar, .random = seed };
    if (trigger) sc_buffer_append_string(&d.out, trigger);
    draw_rule(&d, "root");
    struct heard h = { .tools = json_pack("{s:o}", "all", properties_of(o->tools)) };
    struct sc_answer a;
    sc_answer_begin(&a, syntax, o->prompt, o->tools);
    sc_answer_push(&a, d.out.data, d.out.n_bytes, hear, &h);
    assert_true(sc_answer_end(&a, hear, &h));
    if (h.n_calls == 0 || h.n_complete != h.n_calls || h.text.n_bytes || (!o->parallel && h.n_calls != 1))
        fail_msg("%s: %u calls, %u complete, text '%s' in\n%s\n%s", sc_answer_syntax_name(syntax), h.n_calls,
                 h.n_complete, h.text.data ? h.text.data : "", d.out.data, grammar);
    sc_buffer_free(&d.out);
    sc_buffer_free(&h.arguments);
    sc_buffer_free(&h.text);
    json_decref(h.tools);
}

static void check_syntax(const struct sc_answer_syntax *syntax, const struct sc_answer_grammar_options *o)
{
    struct sc_buffer grammar = { 0 };
    const char *trigger;
    socle_error err;
    socle_status status = sc_answer_grammar(syntax, o, &grammar, &trigger, &err);
    if (status == SOCLE_UNSUPPORTED) { // it is read alone
        assert_string_equal(sc_answer_syntax_name(syntax), "minimax-m3");
        return;
    }
    assert_int_equal(status, SOCLE_OK);
    assert_int_equal(trigger != NULL, o->choice == SC_ANSWER_AUTO);
    for (uint32_t seed = 0; seed < 60; seed++) check_draw(syntax, o, grammar.data, trigger, seed * 7919u);
    sc_buffer_free(&grammar);
}

static void what_a_grammar_allows_is_read_as_calls(void **state)
{
    (void)state;
    json_t *tools = load_tools();
    static const char *const prompts[] = { "", "<|im_start|>assistant\n<think>\n" };
    for (size_t i = 0; sc_answer_syntax_at(i); i++) {
        for (unsigned way = 0; way < 8; way++) {
            check_syntax(sc_answer_syntax_at(i), &(struct sc_answer_grammar_options){
                                                     .tools = tools,
                                                     .choice = way & 1 ? SC_ANSWER_AUTO : SC_ANSWER_REQUIRED,
                                                     .name = way & 2 ? "note" : NULL,
                                                     .parallel = way & 4,
                                                     .prompt = sc_text_of(way & 1 ? "" : prompts[way >> 1 & 1]) });
        }
    }
    json_decref(tools);
}

static void what_cannot_be_asked_for_is_refused(void **state)
{
    (void)state;
    json_t *tools = load_tools(), *none = json_array(), *nameless = json_loads("[{\"type\":\"function\"}]", 0, NULL);
    const struct sc_answer_syntax *hermes = sc_answer_syntax_find("hermes");
    struct sc_buffer out = { 0 };
    const char *trigger;
    socle_error err;
    struct sc_answer_grammar_options o = { .tools = tools, .name = "other" };
    assert_int_equal(sc_answer_grammar(hermes, &o, &out, &trigger, &err), SOCLE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "\"other\""));
    o = (struct sc_answer_grammar_options){ .tools = none };
    assert_int_equal(sc_answer_grammar(hermes, &o, &out, &trigger, &err), SOCLE_BAD_ARGUMENT);
    o.tools = nameless;
    assert_int_equal(sc_answer_grammar(hermes, &o, &out, &trigger, &err), SOCLE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "tools[0]"));
    o.tools = tools;
    assert_int_equal(sc_answer_grammar(NULL, &o, &out, &trigger, &err), SOCLE_UNSUPPORTED);
    assert_int_equal(out.n_bytes, 0);
    json_decref(tools);
    json_decref(none);
    json_decref(nameless);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_grammar_allows_is_read_as_calls),
        cmocka_unit_test(what_cannot_be_asked_for_is_refused),
    };
    return cmocka_run_group_tests_name("answer_grammar", tests, NULL, NULL);
}
