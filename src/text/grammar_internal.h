// The compiled form of grammars, and what the readers of GBNF, regular expressions and schemas share.
#ifndef SC_TEXT_GRAMMAR_INTERNAL_H
#define SC_TEXT_GRAMMAR_INTERNAL_H

#include "text/automaton.h"
#include "text/grammar.h"

enum sc_state_flags {
    SC_STATE_FINAL = 1,  // the rule may end here
    SC_STATE_CALLS = 2,  // has calls
    SC_STATE_TOKENS = 4, // has edges of control tokens
    SC_STATE_STRING = 8, // of the rule for JSON strings
};

// All rules' states have one numbering; 0 is no state.
struct sc_grammar_state {
    uint32_t edges, calls, tokens; // stretches of the grammar's arrays
    uint32_t dense;                // 256 targets at grammar->dense[256 * (dense - 1)]; 0: search the edges
    uint32_t n_calls, n_tokens;
    uint16_t n_edges;
    uint8_t flags;
    uint8_t loops; // kinds of bytes (SC_BELOW_…) on which it stays, or comes back with every character
};

struct sc_grammar_call {
    uint32_t start;  // the called rule's first state
    uint32_t limit;  // its limit of length, an index
    uint32_t target; // where it returns to; 0: nothing is left to do here, so it returns to this rule's own caller
};

struct sc_grammar_token {
    uint32_t literal, target;
};

// How many characters a JSON string may have.
struct sc_length_limit {
    uint32_t min, max;
};
enum { SC_LIMIT_NONE = 0, SC_LIMIT_COUNT = 1, SC_LIMIT_FIRST = 2 }; // nothing is counted; counted, but no limit

struct sc_grammar {
    struct sc_grammar_state *states;
    struct sc_dfa_edge *edges;
    struct sc_grammar_call *calls;
    struct sc_grammar_token *tokens;
    uint32_t *dense;
    struct sc_length_limit *limits;
    struct sc_text *literals; // texts in literal_bytes
    char *literal_bytes;
    uint32_t n_states, n_edges, n_calls, n_tokens, n_dense, n_limits, n_literals;
    uint32_t start, start_limit;
    // In the rule for JSON strings: before the first quote, between characters, after the last quote. 0 without one.
    uint32_t string_start, string_body, string_end;
};

static inline uint32_t sc_grammar_step(const struct sc_grammar *g, uint32_t state, uint8_t byte)
{
    const struct sc_grammar_state *s = &g->states[state];
    if (s->dense) return g->dense[256 * (size_t)(s->dense - 1) + byte];
    const struct sc_dfa_edge *e = g->edges + s->edges;
    for (unsigned i = 0; i < s->n_edges; i++)
        if (byte <= e[i].last) return byte >= e[i].first ? e[i].target : 0;
    return 0;
}

// Compiles what can be reached from the rule `root`; frees nothing of the builder. (grammar_compile.c)
socle_status sc_grammar_compile(struct sc_grammar_builder *b, uint32_t root, struct sc_grammar **out, socle_error *err);

// Sets the loops of all states. (grammar_loops.c)
void sc_grammar_find_loops(struct sc_grammar *grammar);

// ---- JSON (grammar_json.c). Nodes of texts; white space as docs/constraints.md says.

struct sc_node *sc_json_value(struct sc_grammar_builder *b);
struct sc_node *sc_json_object(struct sc_grammar_builder *b);
struct sc_node *sc_json_array(struct sc_grammar_builder *b);
struct sc_node *sc_json_string(struct sc_grammar_builder *b);
// A string of min to max characters (SC_UNBOUNDED: any number).
struct sc_node *sc_json_string_limited(struct sc_grammar_builder *b, uint32_t min, uint32_t max);
struct sc_node *sc_json_number(struct sc_grammar_builder *b);
struct sc_node *sc_json_integer(struct sc_grammar_builder *b);
// Strings whose values are the texts of `values`.
struct sc_node *sc_json_string_of(struct sc_grammar_builder *b, const struct sc_dfa *values);
// Nothing, a space, or a line end with an indentation.
struct sc_node *sc_json_space(struct sc_grammar_builder *b);
// A comma or colon between optional white space as JSON writers put it.
struct sc_node *sc_json_comma(struct sc_grammar_builder *b);
struct sc_node *sc_json_colon(struct sc_grammar_builder *b);
// open, space, contents, space, close
struct sc_node *sc_json_wrap(struct sc_grammar_builder *b, const char *open, struct sc_node *contents,
                             const char *close);
// A whole text: the value, and what may stand before it.
struct sc_node *sc_json_text(struct sc_grammar_builder *b, struct sc_node *value);
// A rule of its own for a node.
struct sc_node *sc_json_own_rule(struct sc_grammar_builder *b, const char *name, struct sc_node *body);

// ---- regular expressions (grammar_regex.c)

// The node of a pattern; NULL after a failure. `whole`: the pattern matches the whole text; otherwise, as in JSON
// Schema, it matches somewhere in it.
struct sc_node *sc_regex_parse(struct sc_grammar_builder *b, struct sc_text source, bool whole);

// ---- schemas (schema.c)

// The node of a schema document, parsed already; it may be written to. `where` is put before the pointers in messages.
struct json_t;
struct sc_node *sc_schema_node(struct sc_grammar_builder *b, struct json_t *document, const char *where);

#endif
