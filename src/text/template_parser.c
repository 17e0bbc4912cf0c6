// The parser of a template's statements, and what both halves of the parser share.
//
// Recursive descent with one token of look-ahead. Nesting is counted, so a hostile source cannot exhaust the stack;
// chains such as a + b + c + ... are read in a loop, but make a tall tree, so the tree's height is bounded, too.
#include "text/template_syntax.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Names are searched for one by one in scopes and calls, which is quick because they are few.
enum { NAMES_MAX = 10000 };

// The tallest tree of an expression; evaluation recurses this far in one statement.
enum { HEIGHT_MAX = 500 };

bool sc_template_parse_fail(struct parser *parser, const char *format, ...)
{
    char sentence[sizeof parser->err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return sc_template_syntax_error(parser->err, parser->token.line, "%s", sentence);
}

bool sc_template_parser_memory(struct parser *parser)
{
    return sc_template_parse_fail(parser, "parsing needs more than %zu bytes of memory", parser->arena->max_bytes);
}

bool sc_template_unexpected(struct parser *parser, const char *expected)
{
    const struct token *token = &parser->token;
    const char *found = "the end of the template";
    struct sc_text text = token->text;
    switch (token->kind) {
    case TOKEN_NAME:
    case TOKEN_OPERATOR: found = NULL; break;
    case TOKEN_CONSTANT: found = token->value.kind == VALUE_STRING ? "a string" : "a number"; break;
    case TOKEN_BLOCK_BEGIN: found = "\"{%\""; break;
    case TOKEN_BLOCK_END: found = "the end of the tag \"%}\""; break;
    case TOKEN_OUTPUT_BEGIN: found = "\"{{\""; break;
    case TOKEN_OUTPUT_END: found = "the end of the tag \"}}\""; break;
    case TOKEN_TEXT: found = "text"; break;
    case TOKEN_END: break;
    }
    if (!expected) expected = "an expression";
    if (found) return sc_template_parse_fail(parser, "expected %s, found %s", expected, found);
    return sc_template_parse_fail(parser, "expected %s, found '%.*s'", expected, SC_TEXT_ARGS(text));
}

bool sc_template_advance(struct parser *parser)
{
    parser->token = parser->next;
    return sc_template_lex(&parser->lexer, &parser->next);
}

bool sc_template_enter_syntax(struct parser *parser)
{
    if (parser->depth == SC_TEMPLATE_NESTING_MAX)
        return sc_template_parse_fail(parser, "more than %d expressions or blocks inside each other",
                                      SC_TEMPLATE_NESTING_MAX);
    parser->depth++;
    return true;
}

struct node *sc_template_node_new(struct parser *parser, enum node_kind kind, uint32_t line)
{
    struct node *node = sc_arena_alloc(parser->arena, sizeof *node);
    if (!node) {
        sc_template_parser_memory(parser);
        return NULL;
    }
    node->kind = kind;
    node->line = line;
    node->height = 1;
    return node;
}

bool sc_template_node_over(struct parser *parser, struct node *node, const struct node *child)
{
    if (!child || child->height < node->height) return true;
    if (child->height >= HEIGHT_MAX)
        return sc_template_parse_fail(parser, "an expression of more than %d steps", HEIGHT_MAX);
    node->height = (uint16_t)(child->height + 1);
    return true;
}

bool sc_template_nodes_push(struct parser *parser, struct nodes *nodes, struct node *node)
{
    if (nodes->n == nodes->capacity) {
        size_t capacity = nodes->capacity ? nodes->capacity * 2 : 4;
        struct node **items = sc_arena_array(parser->arena, capacity, sizeof *items);
        if (!items) return sc_template_parser_memory(parser);
        if (nodes->n) memcpy(items, nodes->items, nodes->n * sizeof *items);
        nodes->items = items;
        nodes->capacity = capacity;
    }
    nodes->items[nodes->n++] = node;
    return true;
}

static uint64_t hash_text(struct sc_text text)
{
    uint64_t hash = 14695981039346656037u; // FNV-1a
    for (size_t i = 0; i < text.n_bytes; i++) hash = (hash ^ (unsigned char)text.data[i]) * 1099511628211u;
    return hash;
}

static bool grow_names(struct parser *parser)
{
    size_t capacity = parser->names.capacity ? parser->names.capacity * 2 : 64;
    const struct string **slots = sc_arena_array(parser->arena, capacity, sizeof *slots);
    if (!slots) return sc_template_parser_memory(parser);
    for (size_t i = 0; i < parser->names.capacity; i++) {
        const struct string *name = parser->names.slots[i];
        if (!name) continue;
        size_t slot = hash_text((struct sc_text){ name->data, name->n_bytes }) & (capacity - 1);
        while (slots[slot]) slot = (slot + 1) & (capacity - 1);
        slots[slot] = name;
    }
    parser->names.slots = slots;
    parser->names.capacity = capacity;
    return true;
}

bool sc_template_intern(struct parser *parser, struct sc_text text, const struct string **out)
{
    if (parser->names.n * 2 >= parser->names.capacity && !grow_names(parser)) return false;
    size_t mask = parser->names.capacity - 1, slot = hash_text(text) & mask;
    for (; parser->names.slots[slot]; slot = (slot + 1) & mask) {
        const struct string *name = parser->names.slots[slot];
        if (sc_text_equal((struct sc_text){ name->data, name->n_bytes }, text)) {
            *out = name;
            return true;
        }
    }
    if (parser->names.n == NAMES_MAX) return sc_template_parse_fail(parser, "more than %d names", NAMES_MAX);
    struct string *name = sc_template_string_new(parser->arena, text.data, text.n_bytes);
    if (!name) return sc_template_parser_memory(parser);
    parser->names.slots[slot] = *out = name;
    parser->names.n++;
    return true;
}

bool sc_template_expect_operator(struct parser *parser, const char *op)
{
    char quoted[8];
    if (sc_template_at_operator(parser, op)) return sc_template_advance(parser);
    snprintf(quoted, sizeof quoted, "'%s'", op);
    return sc_template_unexpected(parser, quoted);
}

bool sc_template_expect_name(struct parser *parser, const struct string **out)
{
    if (parser->token.kind != TOKEN_NAME) return sc_template_unexpected(parser, "a name");
    return sc_template_intern(parser, parser->token.text, out) && sc_template_advance(parser);
}
