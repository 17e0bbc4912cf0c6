// Gemma 4: arguments in a notation of its own, where strings stand between marks and keys are bare:
//
//   <|tool_call>call:weather{city:<|"|>Rome<|"|>,days:3,where:{page:7},tags:[<|"|>a<|"|>]}<tool_call|>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text/answer_syntax.h"

#define QUOTE "<|\"|>"

enum {
    DEPTH_MAX = 64,
    SCHEMA_DEPTH_MAX = 16,
    TWICE = 4, // what is written twice counts as so many levels
    KEYS_MAX = 128,
};

static const char *const name_ends[] = { "{", NULL };

static void read_value(struct sc_reader *r, struct sc_buffer *out, unsigned depth);

// The text up to `end`, which is skipped.
static struct sc_text read_until(struct sc_reader *r, const char *end)
{
    struct sc_text left = { r->text.data + r->at, r->text.n_bytes - r->at };
    const char *found = r->state == SC_READ_OK ? memmem(left.data, left.n_bytes, end, strlen(end)) : NULL;
    if (!found && r->state == SC_READ_OK) r->state = SC_READ_MORE;
    if (!found) return (struct sc_text){ "", 0 };
    left.n_bytes = (size_t)(found - left.data);
    r->at += left.n_bytes + strlen(end);
    return left;
}

static void write_string(struct sc_buffer *out, struct sc_text text)
{
    sc_buffer_append_char(out, '"');
    sc_json_escape(out, text.data, text.n_bytes);
    sc_buffer_append_char(out, '"');
}

// Keys and values, or values, up to the bracket that closes them; the opening one was read.
static void read_items(struct sc_reader *r, struct sc_buffer *out, bool keys, unsigned depth)
{
    const char *end = keys ? "}" : "]";
    sc_buffer_append_char(out, keys ? '{' : '[');
    sc_reader_spaces(r);
    for (bool first = true; r->state == SC_READ_OK && !sc_reader_optional(r, end); first = false) {
        if (!first) {
            sc_reader_expect(r, ",");
            sc_reader_spaces(r);
            if (sc_reader_optional(r, end)) break; // a comma behind the last
            sc_buffer_append_char(out, ',');
        }
        if (keys) {
            bool quoted = sc_reader_optional(r, QUOTE);
            write_string(out, read_until(r, quoted ? QUOTE : ":"));
            if (quoted) sc_reader_expect(r, ":");
            sc_buffer_append_char(out, ':');
        }
        read_value(r, out, depth + 1);
        sc_reader_spaces(r);
    }
    sc_buffer_append_char(out, keys ? '}' : ']');
}

// A number or a word; what is neither breaks the call.
static void read_scalar(struct sc_reader *r, struct sc_buffer *out)
{
    size_t begin = r->at;
    while (r->at < r->text.n_bytes && r->text.data[r->at] && !strchr(",}] \n", r->text.data[r->at])) r->at++;
    struct sc_buffer value = { 0 };
    sc_answer_write_value(&value, (struct sc_text){ r->text.data + begin, r->at - begin }, SC_VALUE_ANY);
    if (r->at == r->text.n_bytes) r->state = SC_READ_MORE;
    else if (value.n_bytes == 0 || value.data[0] == '"') r->state = SC_READ_BROKEN;
    else sc_buffer_append(out, value.data, value.n_bytes);
    sc_buffer_free(&value);
}

static void read_value(struct sc_reader *r, struct sc_buffer *out, unsigned depth)
{
    sc_reader_spaces(r);
    if (r->state == SC_READ_OK && depth > DEPTH_MAX) r->state = SC_READ_BROKEN;
    if (sc_reader_optional(r, QUOTE)) write_string(out, read_until(r, QUOTE));
    else if (sc_reader_optional(r, "{")) read_items(r, out, true, depth);
    else if (sc_reader_optional(r, "[")) read_items(r, out, false, depth);
    else if (r->state == SC_READ_OK) read_scalar(r, out);
}

static void read_head(struct sc_answer *a, struct sc_reader *r, size_t n_mark, struct sc_answer_head *head)
{
    struct sc_text name = { "", 0 };
    r->at = n_mark;
    sc_reader_spaces(r);
    sc_reader_expect(r, "call:");
    sc_reader_name(r, name_ends, &name);
    sc_reader_expect(r, "{");
    sc_buffer_clear(&a->value);
    read_items(r, &a->value, true, 0);
    sc_buffer_clear(&a->name);
    sc_buffer_append(&a->name, name.data, name.n_bytes);
    head->whole = true;
}

// ---- the grammar

static void write_value(struct sc_buffer *out, const json_t *schema, unsigned depth);

static void write_member(struct sc_buffer *out, const char *key, const json_t *schema, unsigned depth)
{
    sc_gbnf_literal(out, key);
    sc_gbnf_literal(out, ":");
    write_value(out, schema, depth + 1);
}

static int compare_keys(const void *a, const void *b)
{
    return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

// Members in the order of their keys, as the template writes them. Before the first that is required those that are not
// have a comma behind them, later ones before them.
static void write_ordered(struct sc_buffer *out, const json_t *schema, unsigned depth)
{
    json_t *properties = json_object_get(schema, "properties");
    const char *keys[KEYS_MAX], *key;
    size_t n = 0;
    json_t *inner;
    json_object_foreach (properties, key, inner)
        if (n < KEYS_MAX) keys[n++] = key;
    qsort(keys, n, sizeof *keys, compare_keys);
    bool behind = true;
    for (size_t i = 0; i < n; i++) {
        bool required = sc_answer_is_required(schema, keys[i]);
        if (!required) sc_buffer_append_string(out, "( ");
        if (!behind) sc_gbnf_literal(out, ",");
        write_member(out, keys[i], json_object_get(properties, keys[i]), depth);
        if (!required) sc_buffer_append_string(out, behind ? "\",\" )? " : ")? ");
        behind = behind && !required;
    }
}

// One of all properties.
static void write_any_member(struct sc_buffer *out, json_t *properties, unsigned depth)
{
    json_t *inner;
    const char *key, *separator = "( ";
    json_object_foreach (properties, key, inner) {
        sc_buffer_append_string(out, separator);
        write_member(out, key, inner, depth);
        separator = "| ";
    }
    sc_buffer_append_string(out, ") ");
}

static bool has_required(const json_t *schema, json_t *properties)
{
    json_t *inner;
    const char *key;
    bool has = false;
    json_object_foreach (properties, key, inner) has = has || sc_answer_is_required(schema, key);
    return has && json_object_size(properties) <= KEYS_MAX;
}

// Where none is required, any stand in any order.
static void write_object(struct sc_buffer *out, const json_t *schema, unsigned depth)
{
    json_t *properties = json_object_get(schema, "properties");
    sc_gbnf_literal(out, "{");
    if (has_required(schema, properties)) {
        write_ordered(out, schema, depth);
    } else if (json_object_size(properties)) {
        sc_buffer_append_string(out, "( ");
        write_any_member(out, properties, depth + TWICE);
        sc_buffer_append_string(out, "( \",\" ");
        write_any_member(out, properties, depth + TWICE);
        sc_buffer_append_string(out, ")* )? ");
    }
    sc_gbnf_literal(out, "}");
}

static void write_value(struct sc_buffer *out, const json_t *schema, unsigned depth)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    const json_t *choices = json_object_get(schema, "enum");
    bool string = sc_answer_value_type(schema) == SC_VALUE_STRING;
    if (!type) type = string ? "string" : "";
    if (depth > SCHEMA_DEPTH_MAX) {
        sc_buffer_append_string(out, "any ");
    } else if (string && json_array_size(choices)) {
        sc_gbnf_literal(out, QUOTE);
        sc_gbnf_choices(out, choices);
        sc_gbnf_literal(out, QUOTE);
    } else if (string) {
        sc_buffer_append_string(out, "string ");
    } else if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0 || strcmp(type, "boolean") == 0) {
        sc_gbnf_json(out, schema);
    } else if (strcmp(type, "array") == 0) {
        const json_t *items = json_object_get(schema, "items");
        sc_buffer_append_string(out, "\"[\" ( ");
        write_value(out, items, depth + TWICE);
        sc_buffer_append_string(out, "( \",\" ");
        write_value(out, items, depth + TWICE);
        sc_buffer_append_string(out, ")* )? \"]\" ");
    } else if (json_object_get(schema, "properties")) {
        write_object(out, schema, depth);
    } else {
        sc_buffer_append_string(out, "any ");
    }
}

static void write_arguments(struct sc_buffer *out, const json_t *parameters) { write_object(out, parameters, 0); }

static void write_rules(struct sc_buffer *out)
{
    sc_gbnf_text_until(out, "text", QUOTE);
    sc_buffer_append_string(out, "string ::= ");
    sc_gbnf_literal(out, QUOTE);
    sc_buffer_append_string(out, "text\n"
                                 "any ::= string | %json {\"type\":\"number\"} | \"true\" | \"false\" | \"null\" | "
                                 "\"[\" ( any ( \",\" any )* )? \"]\" | \"{\" ( member ( \",\" member )* )? \"}\"\n"
                                 "member ::= [a-zA-Z0-9_]+ \":\" any\n");
}

const struct sc_answer_syntax sc_answer_gemma4 = {
    .name = "gemma4",
    .template_has = { "<|tool_call>" },
    .begins = { "<|tool_call>" },
    .fillers = { "<tool_call|>" },
    .reasoning = { { "<|channel>thought", "<channel|>" } },
    .head = read_head,
    .head_end = "<tool_call|>",
    .written = { .trigger = "<|tool_call>",
                 .opens = "",
                 .call = "<|tool_call>call:",
                 .arguments = "",
                 .ends = "<tool_call|>",
                 .between = "",
                 .closes = "",
                 .write_arguments = write_arguments,
                 .write_rules = write_rules },
};
