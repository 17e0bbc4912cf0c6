// Grammars under construction: rules whose bodies are trees of nodes. GBNF, regular expressions and JSON Schemas are
// all read into these; grammar_compile.c makes the automata of a struct sc_grammar from them.
//
// Failure is sticky: after a node could not be made, every further one is NULL and the builder keeps the first error,
// so that a parser needs one check at its end.
#ifndef SC_TEXT_GRAMMAR_NODES_H
#define SC_TEXT_GRAMMAR_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

struct sc_dfa;

enum sc_node_kind {
    SC_NODE_NOTHING, // matches no text at all
    SC_NODE_BYTES,   // these bytes; "" is the empty text
    SC_NODE_SET,     // one character of a set, as UTF-8
    SC_NODE_SEQUENCE,
    SC_NODE_CHOICE,
    SC_NODE_REPEAT,
    SC_NODE_RULE,
    SC_NODE_DFA,  // the texts of an automaton
    SC_NODE_LIST, // see sc_node_list
};

struct sc_char_range {
    uint32_t first, last; // code points
};

enum { SC_REPEAT_MAX = 100000 };
#define SC_UNBOUNDED UINT32_MAX

struct sc_node {
    enum sc_node_kind kind;
    bool is_literal;                    // BYTES: may also be one control token with this very text
    uint32_t min, max;                  // REPEAT
    uint32_t rule;                      // RULE
    uint32_t n;                         // SEQUENCE, CHOICE, LIST: children; SET: ranges
    struct sc_text bytes;               // BYTES
    const struct sc_char_range *ranges; // SET: ascending, apart, without surrogates
    struct sc_node **children;          // SEQUENCE, CHOICE, LIST; REPEAT: one
    const struct sc_dfa *dfa;           // DFA
    const bool *needed;                 // LIST
    struct sc_node *separator;          // LIST
    struct sc_node *more;               // LIST, may be NULL
};

struct sc_build_rule {
    const char *name;
    struct sc_node *body; // NULL: not defined yet
    bool keep;            // stays a rule of its own: its token masks are worth sharing
    bool is_string;       // a JSON string whose length is held to [min, max] characters; has no body
    uint32_t min, max;
};

// Bounds on what comes from outside. What passes one is refused with a sentence that names it.
enum {
    SC_GRAMMAR_RULES_MAX = 20000,
    SC_GRAMMAR_NFA_STATES_MAX = 400000, // of one rule, repetitions written out
    SC_GRAMMAR_STATES_MAX = 200000,     // of one grammar's automata together
    SC_GRAMMAR_NESTING_MAX = 200,
    SC_GRAMMAR_SOURCE_BYTES_MAX = 4 * 1024 * 1024,
    SC_GRAMMAR_BUILD_BYTES_MAX = 512 * 1024 * 1024,
};

struct sc_grammar_builder {
    struct sc_arena arena; // nodes, texts, automata on the way
    struct sc_build_rule *rules;
    uint32_t n_rules, capacity;
    uint64_t work; // steps of determinizing so far; bounded
    socle_error error;
    uint32_t json_rules[8]; // rules of grammar_json.c + 1; 0: not made yet
};

void sc_builder_init(struct sc_grammar_builder *b);
void sc_builder_free(struct sc_grammar_builder *b);
bool sc_builder_failed(const struct sc_grammar_builder *b);
// Keeps the first error. Returns NULL, for `return sc_builder_fail(…)`.
__attribute__((format(printf, 3, 4))) void *sc_builder_fail(struct sc_grammar_builder *b, socle_status status,
                                                            const char *format, ...);
void *sc_builder_no_memory(struct sc_grammar_builder *b);

// A new rule without a body; UINT32_MAX after a failure. `name` is copied.
uint32_t sc_builder_rule(struct sc_grammar_builder *b, struct sc_text name);

struct sc_node *sc_node_nothing(struct sc_grammar_builder *b);
struct sc_node *sc_node_empty(struct sc_grammar_builder *b);
struct sc_node *sc_node_bytes(struct sc_grammar_builder *b, struct sc_text bytes);
struct sc_node *sc_node_string(struct sc_grammar_builder *b, const char *text);
// Sorts and joins the ranges, which are copied. No range: nothing.
struct sc_node *sc_node_set(struct sc_grammar_builder *b, const struct sc_char_range *ranges, size_t n, bool negated);
struct sc_node *sc_node_sequence(struct sc_grammar_builder *b, struct sc_node *const *children, size_t n);
struct sc_node *sc_node_choice(struct sc_grammar_builder *b, struct sc_node *const *children, size_t n);
struct sc_node *sc_node_repeat(struct sc_grammar_builder *b, struct sc_node *child, uint32_t min, uint32_t max);
struct sc_node *sc_node_rule(struct sc_grammar_builder *b, uint32_t rule);
struct sc_node *sc_node_dfa(struct sc_grammar_builder *b, const struct sc_dfa *dfa);
// Some of n items in this order, and then any number of `more` (may be NULL), with `separator` between each two. The
// needed ones are always there. Each item and the separator become automata once, so the size is linear.
struct sc_node *sc_node_list(struct sc_grammar_builder *b, struct sc_node *const *items, const bool *needed, size_t n,
                             struct sc_node *separator, struct sc_node *more);

// A growing list of nodes or ranges in the builder's arena. Zero-initialize.
struct sc_node_list {
    struct sc_node **items;
    size_t n, capacity;
};
void sc_node_list_add(struct sc_grammar_builder *b, struct sc_node_list *list, struct sc_node *node);
struct sc_range_list {
    struct sc_char_range *items;
    size_t n, capacity;
};
void sc_range_list_add(struct sc_grammar_builder *b, struct sc_range_list *list, uint32_t first, uint32_t last);
// In place: ascending and apart, surrogates cut out. Returns the new number.
size_t sc_ranges_normalize(struct sc_char_range *ranges, size_t n);
// Replaces the list by its complement among the Unicode scalar values.
void sc_range_list_negate(struct sc_grammar_builder *b, struct sc_range_list *list);

#endif
