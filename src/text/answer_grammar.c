// Grammars of calls, in GBNF, from a syntax's descriptor and the tools of a request:
//
//   root   ::= call ("\n" call)*
//   call   ::= "<tool_call>\n{\"name\": \"" tool-0 "}\n</tool_call>"
//   tool-0 ::= "weather" "\", \"arguments\": " args-0
//   args-0 ::= %json {"type": "object", …}
//
// Where arguments are tags, each is a rule of its own: a string is free text up to its end mark, or one of its `enum`.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/answer_syntax.h"
#include "text/utf8.h"

struct writer {
    const struct sc_answer_syntax *syntax;
    const struct sc_answer_grammar_options *options;
    struct sc_buffer *out;
    const char *value_end; // with its newline
    socle_error *err;
};

// ---- pieces of GBNF

// What a GBNF literal or class holds for a character; control characters and those with a meaning are escaped.
static void write_character(struct sc_buffer *out, const char *character, size_t n)
{
    unsigned char c = (unsigned char)character[0];
    if (c == '\n') sc_buffer_append_string(out, "\\n");
    else if (c < 0x20 || (n == 1 && strchr("[]^-", c))) sc_buffer_printf(out, "\\x%02X", c);
    else if (c == '"' || c == '\\') sc_buffer_printf(out, "\\%c", c);
    else sc_buffer_append(out, character, n);
}

static size_t character_length(const char *text)
{
    uint32_t c;
    size_t n = sc_utf8_decode(text, strnlen(text, 4), &c);
    return n ? n : 1;
}

static void write_plain(struct sc_buffer *out, struct sc_text text)
{
    if (!text.n_bytes) return;
    sc_buffer_append_char(out, '"');
    for (size_t at = 0, n; at < text.n_bytes; at += n) {
        n = character_length(text.data + at);
        write_character(out, text.data + at, n);
    }
    sc_buffer_append_string(out, "\" ");
}

// How long a text is that may be a token of its own: <|end|>, [ARGS]; 0: none begins here.
static size_t mark_length(const char *text)
{
    if (*text != '<' && *text != '[') return 0;
    for (size_t n = 1; text[n] && !strchr(" \n\"{}<[", text[n]); n++) {
        if (*text == '<' && text[n] == '>') return n + 1;
        if (*text == '[' && text[n] == ']') return n > 1 ? n + 1 : 0;
    }
    return 0;
}

// A text and a space behind it, marks as literals of their own: only such a literal may also be a control token.
void sc_gbnf_literal(struct sc_buffer *out, const char *text)
{
    const char *begin = text;
    while (*text) {
        bool line = *text == SC_MAYBE_LINE[0];
        size_t n = line ? 1 : mark_length(text);
        if (n == 0) {
            text++;
            continue;
        }
        write_plain(out, (struct sc_text){ begin, (size_t)(text - begin) });
        if (line) sc_buffer_append_string(out, "\"\\n\"? ");
        else write_plain(out, (struct sc_text){ text, n });
        begin = text += n;
    }
    write_plain(out, (struct sc_text){ begin, (size_t)(text - begin) });
}

static void write_piece(struct sc_buffer *out, const char *gbnf)
{
    if (gbnf) sc_buffer_printf(out, "%s ", gbnf);
}

void sc_gbnf_json(struct sc_buffer *out, const json_t *schema)
{
    char *text = json_dumps(schema, JSON_COMPACT | JSON_ENCODE_ANY);
    sc_buffer_printf(out, "%%json %s ", text ? text : "{}");
    out->failed = out->failed || !text;
    free(text);
}

// The rule NAME for any text that ends with the first `mark` in it. It is regular: with P1, P2, … the mark's
// beginnings, which the first character alone can begin since it stands nowhere else in the mark,
//
//   part ::= P1 | P2 | …        NAME ::= ( [^1st] | part* ( P1 [^1st 2nd] | P2 [^1st 3rd] | … ) )* part* mark
void sc_gbnf_text_until(struct sc_buffer *out, const char *name, const char *mark)
{
    size_t first = character_length(mark), n;
    struct sc_buffer parts = { 0 }, ways = { 0 };
    for (size_t at = first; mark[at]; at += n) {
        n = character_length(mark + at);
        const char *separator = at > first ? "| " : "";
        sc_buffer_append_string(&parts, separator);
        write_plain(&parts, (struct sc_text){ mark, at });
        sc_buffer_append_string(&ways, separator);
        write_plain(&ways, (struct sc_text){ mark, at });
        sc_buffer_append_string(&ways, "[^");
        write_character(&ways, mark, first);
        write_character(&ways, mark + at, n);
        sc_buffer_append_string(&ways, "] ");
    }
    sc_buffer_printf(out, "%s-part ::= %s\n%s ::= ( [^", name, parts.data ? parts.data : "", name);
    write_character(out, mark, first);
    sc_buffer_printf(out, "] | %s-part* ( %s) )* %s-part* ", name, ways.data ? ways.data : "", name);
    sc_gbnf_literal(out, mark);
    sc_buffer_append_string(out, "\n");
    out->failed = out->failed || parts.failed || ways.failed;
    sc_buffer_free(&parts);
    sc_buffer_free(&ways);
}

// ---- arguments as tags

// A schema with what it may refer to.
static json_t *schema_of(const json_t *parameters, const json_t *schema)
{
    static const char *const shared[] = { "$defs", "definitions" };
    json_t *copy = json_is_object(schema) ? json_copy((json_t *)schema) : json_object();
    for (size_t i = 0; i < SC_COUNT(shared); i++) {
        json_t *definitions = json_object_get(parameters, shared[i]);
        if (definitions && !json_object_get(copy, shared[i])) json_object_set(copy, shared[i], definitions);
    }
    return copy;
}

// What may stand between key and value: the middles of this type, or of any.
static void write_middle(struct sc_buffer *out, const struct sc_answer_tags *tags, uint8_t type)
{
    bool first = true;
    for (unsigned any = 0; any < 2 && first; any++) {
        for (size_t i = 0; i < SC_COUNT(tags->middles) && tags->middles[i].text; i++) {
            if (tags->middles[i].type != (any ? SC_VALUE_ANY : type)) continue;
            sc_buffer_append_string(out, first ? "( " : "| ");
            sc_gbnf_literal(out, tags->middles[i].text);
            first = false;
        }
    }
    sc_buffer_append_string(out, ") ");
}

void sc_gbnf_choices(struct sc_buffer *out, const json_t *values)
{
    sc_buffer_append_string(out, "( ");
    for (size_t i = 0; i < json_array_size(values); i++) {
        const char *text = json_string_value(json_array_get(values, i));
        if (i) sc_buffer_append_string(out, "| ");
        if (text && *text) sc_gbnf_literal(out, text);
        else sc_buffer_append_string(out, "\"\" ");
    }
    sc_buffer_append_string(out, ") ");
}

static void write_parameter(struct writer *w, const json_t *parameters, const char *key, const json_t *schema)
{
    const struct sc_answer_tags *tags = w->syntax->tags;
    uint8_t type = sc_answer_value_type(schema);
    const json_t *choices = json_object_get(schema, "enum");
    sc_gbnf_literal(w->out, tags->open);
    sc_gbnf_literal(w->out, key);
    write_middle(w->out, tags, type == SC_VALUE_JSON ? SC_VALUE_JSON : SC_VALUE_STRING);
    if (tags->newlines) sc_gbnf_literal(w->out, "\n");
    bool chosen = type == SC_VALUE_STRING && json_array_size(choices) > 0;
    const char *name = json_string_value(json_object_get(schema, "type"));
    if (tags->python && name && strcmp(name, "boolean") == 0) {
        sc_buffer_append_string(w->out, "( \"true\" | \"false\" | \"True\" | \"False\" ) ");
    } else if (type == SC_VALUE_JSON) {
        json_t *whole = schema_of(parameters, schema);
        sc_gbnf_json(w->out, whole);
        json_decref(whole);
    } else if (chosen) {
        sc_gbnf_choices(w->out, choices);
    } else {
        sc_buffer_append_string(w->out, "text ");
    }
    if (chosen || type == SC_VALUE_JSON) sc_gbnf_literal(w->out, w->value_end);
    sc_gbnf_literal(w->out, tags->line);
    sc_buffer_append_string(w->out, "\n");
}

bool sc_answer_is_required(const json_t *parameters, const char *key)
{
    const json_t *required = json_object_get(parameters, "required");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *text = json_string_value(json_array_get(required, i));
        if (text && strcmp(text, key) == 0) return true;
    }
    return false;
}

static void write_tags(struct writer *w, size_t tool, const json_t *parameters)
{
    json_t *properties = json_object_get(parameters, "properties"), *schema;
    const char *key;
    size_t i = 0;
    sc_buffer_printf(w->out, "args-%zu ::= \"\" ", tool);
    json_object_foreach (properties, key, schema)
        sc_buffer_printf(w->out, "arg-%zu-%zu%s ", tool, i++, sc_answer_is_required(parameters, key) ? "" : "?");
    sc_buffer_append_string(w->out, "\n");
    i = 0;
    json_object_foreach (properties, key, schema) {
        sc_buffer_printf(w->out, "arg-%zu-%zu ::= ", tool, i++);
        write_parameter(w, parameters, key, schema);
    }
}

// ---- calls

static void write_name(struct writer *w, const char *name)
{
    struct sc_buffer escaped = { 0 };
    if (w->syntax->written.in_json) sc_json_escape(&escaped, name, strlen(name));
    sc_gbnf_literal(w->out, escaped.data ? escaped.data : name);
    w->out->failed = w->out->failed || escaped.failed;
    sc_buffer_free(&escaped);
}

static void write_tool(struct writer *w, size_t i, const json_t *tool)
{
    const struct sc_answer_written *written = &w->syntax->written;
    const json_t *parameters = sc_answer_tool_parameters(tool);
    sc_buffer_printf(w->out, "tool-%zu ::= ", i);
    write_name(w, json_string_value(json_object_get(tool, "name")));
    write_piece(w->out, written->after_name);
    sc_gbnf_literal(w->out, written->arguments);
    sc_buffer_printf(w->out, "args-%zu\n", i);
    if (written->write_arguments) {
        sc_buffer_printf(w->out, "args-%zu ::= ", i);
        written->write_arguments(w->out, parameters);
        sc_buffer_append_string(w->out, "\n");
        return;
    }
    if (w->syntax->tags) {
        write_tags(w, i, parameters);
        return;
    }
    json_t *any = parameters ? NULL : json_pack("{s:s}", "type", "object");
    sc_buffer_printf(w->out, "args-%zu ::= ", i);
    sc_gbnf_json(w->out, parameters ? parameters : any);
    sc_buffer_append_string(w->out, "\n");
    json_decref(any);
}

// The tools that may be called: their rules, and "tool" for any of them.
static socle_status write_tools(struct writer *w)
{
    struct sc_buffer names = { 0 };
    const char *only = w->options->name;
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(w->options->tools); i++) {
        const json_t *tool = json_array_get(w->options->tools, i), *function = json_object_get(tool, "function");
        if (function) tool = function;
        const char *name = json_string_value(json_object_get(tool, "name"));
        if (!name || !*name) {
            sc_buffer_free(&names);
            return sc_fail(w->err, SOCLE_BAD_ARGUMENT, "tools[%zu]: expected a function with a name", i);
        }
        if (only && strcmp(only, name) != 0) continue;
        sc_buffer_printf(&names, "%stool-%zu", n ? " | " : "", n);
        write_tool(w, n++, tool);
    }
    if (n) sc_buffer_printf(w->out, "tool ::= %s\n", names.data ? names.data : "");
    w->out->failed = w->out->failed || names.failed;
    sc_buffer_free(&names);
    if (n) return SOCLE_OK;
    return only ? sc_fail(w->err, SOCLE_BAD_ARGUMENT, "there is no tool \"%.100s\" to be called", only)
                : sc_fail(w->err, SOCLE_BAD_ARGUMENT, "there are no tools to be called");
}

// What stands behind the beginning of a call.
static void write_rest_of_call(struct writer *w)
{
    const struct sc_answer_written *written = &w->syntax->written;
    write_piece(w->out, written->before_name);
    sc_buffer_append_string(w->out, "tool ");
    write_piece(w->out, written->after_arguments);
    sc_gbnf_literal(w->out, written->ends);
}

// The beginning of the first call, or what of it stands behind the trigger.
static void write_opening(struct writer *w)
{
    const struct sc_answer_written *written = &w->syntax->written;
    struct sc_buffer opening = { 0 };
    sc_buffer_printf(&opening, "%s%s", written->opens, written->call);
    const char *text = opening.data ? opening.data : "";
    const char *trigger = w->options->choice == SC_ANSWER_AUTO ? strstr(text, written->trigger) : NULL;
    sc_gbnf_literal(w->out, trigger ? trigger + strlen(written->trigger) : text);
    w->out->failed = w->out->failed || opening.failed;
    sc_buffer_free(&opening);
}

// Reasoning before a call that is asked for: *close is its end mark where there may be some.
static void write_reasoning(struct writer *w, const char **close)
{
    const struct sc_answer_written *written = &w->syntax->written;
    const struct sc_answer_pair *open = sc_answer_opened(w->syntax, w->options->prompt);
    *close = NULL;
    if (w->options->choice == SC_ANSWER_AUTO) return;
    if (open) {
        *close = open->close;
        sc_buffer_append_string(w->out, "thought [ \\n]* ");
    } else if (written->thinks) {
        *close = written->thought;
        sc_buffer_append_string(w->out, "( ");
        sc_gbnf_literal(w->out, written->thinks);
        sc_buffer_append_string(w->out, "thought ");
        sc_gbnf_literal(w->out, written->thought_then);
        sc_buffer_append_string(w->out, ")? ");
    }
}

static socle_status write_grammar(struct writer *w)
{
    const struct sc_answer_written *written = &w->syntax->written;
    const char *close;
    sc_buffer_append_string(w->out, "root ::= ");
    write_reasoning(w, &close);
    write_opening(w);
    write_rest_of_call(w);
    bool more = w->options->parallel && written->between;
    if (more) {
        sc_buffer_append_string(w->out, "( ");
        sc_gbnf_literal(w->out, written->between);
        sc_buffer_append_string(w->out, "call )* ");
    }
    if (written->closes) sc_gbnf_literal(w->out, written->closes);
    sc_buffer_append_string(w->out, "\n");
    if (more) {
        sc_buffer_append_string(w->out, "call ::= ");
        sc_gbnf_literal(w->out, written->call);
        write_rest_of_call(w);
        sc_buffer_append_string(w->out, "\n");
    }
    if (close) sc_gbnf_text_until(w->out, "thought", close);
    if (w->syntax->tags) sc_gbnf_text_until(w->out, "text", w->value_end);
    if (written->write_rules) written->write_rules(w->out);
    return write_tools(w);
}

socle_status sc_answer_grammar(const struct sc_answer_syntax *syntax, const struct sc_answer_grammar_options *options,
                               struct sc_buffer *out, const char **trigger, socle_error *err)
{
    if (!syntax || !syntax->written.call)
        return sc_fail(err, SOCLE_UNSUPPORTED, "calls of tools cannot be asked for from this model: %s%s",
                       syntax ? "no grammar is known of its syntax, " : "its chat template shows none",
                       syntax ? syntax->name : "");
    struct sc_buffer text = { 0 };
    char value_end[64] = "";
    if (syntax->tags)
        snprintf(value_end, sizeof value_end, "%s%s", syntax->tags->newlines ? "\n" : "", syntax->tags->value_end);
    struct writer writer = { syntax, options, &text, value_end, err };
    socle_status status = write_grammar(&writer);
    if (status == SOCLE_OK && (text.failed || !sc_buffer_append(out, text.data, text.n_bytes)))
        status = sc_fail_memory(err, text.n_bytes, "a grammar");
    sc_buffer_free(&text);
    if (status != SOCLE_OK) return status;
    *trigger = options->choice == SC_ANSWER_AUTO ? syntax->written.trigger : NULL;
    return SOCLE_OK;
}
