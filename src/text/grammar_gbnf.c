// GBNF, the notation of grammars that llama.cpp made common:
//
//   name ::= alternative | alternative      a rule; `root` is the whole text; a rule ends where the next one begins
//   "text"                                  with the escapes \n \r \t \" \\ \[ \] \xHH \uHHHH \UHHHHHHHH
//   [a-z_]  [^"\\]  .                       one character of a set, of its complement, any
//   name  ( … )  x*  x+  x?  x{2}  x{2,}  x{2,5}  x{,5}
//   %json {…}                               any JSON text that this JSON Schema accepts
//   # comment
//
// A literal that is the very text of one of the model's control tokens may also be that token.
#include <jansson.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/size.h"
#include "text/grammar_internal.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

enum { SLOTS = 65536, LITERAL_TOKEN_BYTES_MIN = 3 }; // twice the rules there can be, at least

struct gbnf {
    struct sc_grammar_builder *b;
    const char *start, *at, *end;
    uint32_t *slots; // rule + 1 by name
    unsigned nesting;
};

static void *complain(struct gbnf *p, const char *at, const char *what)
{
    unsigned line = 1, column = 1;
    for (const char *c = p->start; c < at; c++) {
        column++;
        if (*c == '\n') line++, column = 1;
    }
    return sc_builder_fail(p->b, SOCLE_BAD_ARGUMENT, "a grammar: line %u, column %u: %s", line, column, what);
}

static void skip_space(struct gbnf *p)
{
    while (p->at < p->end) {
        if (*p->at == '#')
            while (p->at < p->end && *p->at != '\n') p->at++;
        else if (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r') p->at++;
        else return;
    }
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static struct sc_text read_name(struct gbnf *p)
{
    const char *from = p->at;
    while (p->at < p->end && is_name(*p->at)) p->at++;
    return (struct sc_text){ from, (size_t)(p->at - from) };
}

static bool take(struct gbnf *p, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, text, n) != 0) return false;
    p->at += n;
    return true;
}

// Does a rule's head, `name ::=`, stand here?
static bool at_head(struct gbnf *p)
{
    const char *before = p->at;
    bool head = read_name(p).n_bytes > 0;
    skip_space(p);
    head = head && take(p, "::=");
    p->at = before;
    return head;
}

// The rule of this name, which is made when it is new.
static uint32_t find_rule(struct gbnf *p, struct sc_text name)
{
    uint64_t i = sc_hash_bytes(name.data, name.n_bytes);
    for (; p->slots[i % SLOTS]; i++) {
        uint32_t rule = p->slots[i % SLOTS] - 1;
        if (sc_text_is(name, p->b->rules[rule].name)) return rule;
    }
    uint32_t rule = sc_builder_rule(p->b, name);
    if (rule != UINT32_MAX) p->slots[i % SLOTS] = rule + 1;
    return rule;
}

// ---- characters

static bool read_hex(struct gbnf *p, unsigned n_digits, uint32_t *code_point)
{
    *code_point = 0;
    for (unsigned i = 0; i < n_digits; i++, p->at++) {
        char c = p->at < p->end ? *p->at : '\0';
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 16;
        if (digit == 16) return complain(p, p->at, "expected a hexadecimal digit") != NULL;
        *code_point = *code_point << 4 | digit;
    }
    if (*code_point > 0x10FFFF || (*code_point >= 0xD800 && *code_point <= 0xDFFF))
        return complain(p, p->at - n_digits, "this is no Unicode character") != NULL;
    return true;
}

static bool read_character(struct gbnf *p, uint32_t *code_point)
{
    const char *from = p->at;
    if (p->at < p->end && *p->at == '\\') {
        char c = ++p->at < p->end ? *p->at++ : '\0';
        switch (c) {
        case 'n': *code_point = '\n'; return true;
        case 'r': *code_point = '\r'; return true;
        case 't': *code_point = '\t'; return true;
        case '"':
        case '\\':
        case '[':
        case ']':
        case '-':
        case '^': *code_point = (unsigned char)c; return true;
        case 'x': return read_hex(p, 2, code_point);
        case 'u': return read_hex(p, 4, code_point);
        case 'U': return read_hex(p, 8, code_point);
        default: return complain(p, from, "an unknown escape") != NULL;
        }
    }
    size_t n = sc_utf8_decode(p->at, (size_t)(p->end - p->at), code_point);
    if (!n) return complain(p, from, p->at < p->end ? "this is not UTF-8" : "the grammar ends too soon") != NULL;
    p->at += n;
    return true;
}

static struct sc_node *parse_literal(struct gbnf *p)
{
    const char *from = p->at++;
    struct sc_buffer bytes = { 0 };
    uint32_t c;
    char encoded[4];
    while (p->at < p->end && *p->at != '"' && read_character(p, &c))
        sc_buffer_append(&bytes, encoded, sc_utf8_encode(c, encoded));
    struct sc_node *node = NULL;
    if (bytes.failed) sc_builder_no_memory(p->b);
    else if (!take(p, "\"")) complain(p, from, "a literal without its closing quote");
    else node = sc_node_bytes(p->b, (struct sc_text){ bytes.data ? bytes.data : "", bytes.n_bytes });
    if (node) node->is_literal = bytes.n_bytes >= LITERAL_TOKEN_BYTES_MIN;
    sc_buffer_free(&bytes);
    return node;
}

static struct sc_node *parse_class(struct gbnf *p)
{
    const char *from = p->at++;
    struct sc_range_list list = { 0 };
    bool negated = take(p, "^");
    while (p->at < p->end && *p->at != ']') {
        uint32_t first, last;
        if (!read_character(p, &first)) return NULL;
        last = first;
        if (p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] != ']') {
            p->at++;
            if (!read_character(p, &last)) return NULL;
            if (last < first) return complain(p, from, "a range of characters whose last is before its first");
        }
        sc_range_list_add(p->b, &list, first, last);
    }
    if (!take(p, "]")) return complain(p, from, "a class without its closing bracket");
    return sc_node_set(p->b, list.items, list.n, negated);
}

// ---- structure

static struct sc_node *parse_schema(struct gbnf *p)
{
    json_error_t problem;
    skip_space(p);
    json_t *schema = json_loadb(p->at, (size_t)(p->end - p->at),
                                JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &problem);
    if (!schema) {
        char what[300];
        snprintf(what, sizeof what, "%%json: not JSON: %s", problem.text);
        return complain(p, p->at, what);
    }
    p->at += problem.position; // bytes read, on success
    struct sc_node *node = sc_schema_node(p->b, schema, "%json");
    json_decref(schema);
    return node;
}

static struct sc_node *parse_choice(struct gbnf *p);

static struct sc_node *parse_item(struct gbnf *p)
{
    char c = *p->at;
    if (c == '"') return parse_literal(p);
    if (c == '[') return parse_class(p);
    if (c == '.') {
        p->at++;
        return sc_node_set(p->b, &(struct sc_char_range){ 0, 0x10FFFF }, 1, false);
    }
    if (c == '%') {
        if (!take(p, "%json")) return complain(p, p->at, "expected %json");
        return parse_schema(p);
    }
    if (c == '(') {
        const char *from = p->at++;
        if (++p->nesting > SC_GRAMMAR_NESTING_MAX) return complain(p, from, "parentheses are nested too deeply");
        struct sc_node *node = parse_choice(p);
        p->nesting--;
        return node && !take(p, ")") ? complain(p, from, "a parenthesis that is not closed") : node;
    }
    if (is_name(c)) return sc_node_rule(p->b, find_rule(p, read_name(p)));
    return complain(p, p->at, "expected a literal, a class, a rule's name or a parenthesis");
}

static bool read_count(struct gbnf *p, uint32_t *count)
{
    const char *from = p->at;
    uint32_t n = 0;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
        n = SC_MIN(n * 10 + (uint32_t)(*p->at - '0'), 1000000u);
    *count = n;
    return p->at > from;
}

static struct sc_node *parse_braces(struct gbnf *p, struct sc_node *node)
{
    const char *from = p->at++;
    uint32_t min, max;
    skip_space(p);
    bool has_min = read_count(p, &min);
    skip_space(p);
    bool comma = take(p, ",");
    skip_space(p);
    bool has_max = comma && read_count(p, &max);
    skip_space(p);
    if (!take(p, "}") || (!has_min && !has_max)) return complain(p, from, "expected {n}, {n,}, {n,m} or {,m}");
    if (!comma) max = min;
    else if (!has_max) max = SC_UNBOUNDED;
    if (max < min) return complain(p, from, "a repetition whose greatest number is below its least");
    return sc_node_repeat(p->b, node, min, max);
}

static struct sc_node *parse_repeated(struct gbnf *p)
{
    struct sc_node *node = parse_item(p);
    for (unsigned n = 0; node; n++) {
        skip_space(p);
        char c = p->at < p->end ? *p->at : '\0';
        if (c != '*' && c != '+' && c != '?' && c != '{') return node;
        if (n == SC_GRAMMAR_NESTING_MAX) return complain(p, p->at, "too many repetitions of one item");
        if (c == '{') {
            node = parse_braces(p, node);
            continue;
        }
        p->at++;
        node = sc_node_repeat(p->b, node, c == '+' ? 1 : 0, c == '?' ? 1 : SC_UNBOUNDED);
    }
    return NULL;
}

static struct sc_node *parse_sequence(struct gbnf *p)
{
    struct sc_node_list items = { 0 };
    for (;;) {
        skip_space(p);
        if (p->at == p->end || *p->at == '|' || *p->at == ')') break;
        if (p->nesting == 0 && at_head(p)) break;
        struct sc_node *node = parse_repeated(p);
        if (!node) return NULL;
        sc_node_list_add(p->b, &items, node);
    }
    return items.n ? sc_node_sequence(p->b, items.items, items.n) : sc_node_empty(p->b);
}

static struct sc_node *parse_choice(struct gbnf *p)
{
    struct sc_node_list choices = { 0 };
    do {
        struct sc_node *node = parse_sequence(p);
        if (!node) return NULL;
        sc_node_list_add(p->b, &choices, node);
    } while (take(p, "|"));
    return sc_builder_failed(p->b) ? NULL : sc_node_choice(p->b, choices.items, choices.n);
}

static void parse_rules(struct gbnf *p)
{
    for (;;) {
        skip_space(p);
        if (p->at == p->end || sc_builder_failed(p->b)) return;
        const char *from = p->at;
        struct sc_text name = read_name(p);
        skip_space(p);
        if (!name.n_bytes || !take(p, "::=")) {
            complain(p, from, "expected a rule, 'name ::= …'");
            return;
        }
        uint32_t rule = find_rule(p, name);
        if (rule == UINT32_MAX) return;
        if (p->b->rules[rule].body) {
            complain(p, from, "a second rule of this name");
            return;
        }
        struct sc_node *body = parse_choice(p);
        if (body && p->at < p->end && *p->at == ')') complain(p, p->at, "a closing parenthesis too many");
        if (body) p->b->rules[rule].body = body;
    }
}

socle_status sc_grammar_from_gbnf(struct sc_text source, struct sc_grammar **out, socle_error *err)
{
    if (source.n_bytes > SC_GRAMMAR_SOURCE_BYTES_MAX)
        return sc_fail(err, SOCLE_UNSUPPORTED, "a grammar: %zu bytes, more than %d", source.n_bytes,
                       SC_GRAMMAR_SOURCE_BYTES_MAX);
    struct sc_grammar_builder b;
    sc_builder_init(&b);
    struct gbnf p = { .b = &b, .start = source.data, .at = source.data, .end = source.data + source.n_bytes };
    p.slots = calloc(SLOTS, sizeof *p.slots);
    uint32_t root = UINT32_MAX;
    if (!p.slots) {
        sc_builder_no_memory(&b);
    } else {
        root = find_rule(&p, sc_text_of("root"));
        parse_rules(&p);
    }
    for (uint32_t i = 0; i < b.n_rules && !sc_builder_failed(&b); i++)
        if (!b.rules[i].body && !b.rules[i].is_string)
            sc_builder_fail(&b, SOCLE_BAD_ARGUMENT, "a grammar: the rule '%.100s' is used but not defined",
                            b.rules[i].name);
    free(p.slots);
    socle_status status = sc_grammar_compile(&b, root, out, err);
    sc_builder_free(&b);
    return status;
}
