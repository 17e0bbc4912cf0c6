// Automata over bytes: what the rules of a grammar become, and what JSON Schema's sets of strings are computed with.
//
//   nodes ──► NFA (edges of byte ranges, of nothing, of calls) ──► DFA (the subset construction)
//
// A DFA has, beside its byte edges, edges for calls of other rules and for control tokens; these are symbols of the
// alphabet like any other. One without them is a regular set of texts: such ones can be intersected and subtracted.
// Every DFA is trimmed: from each state but a lone start, some final state can be reached (calls counted as passable).
//
// Source: Hopcroft and Ullman, Introduction to Automata Theory, chapters 2 and 3.
#ifndef SC_TEXT_AUTOMATON_H
#define SC_TEXT_AUTOMATON_H

#include "text/grammar_nodes.h"

struct sc_dfa_edge {
    uint32_t target;
    uint8_t first, last;
};

// Symbols below this are rules; above, SC_SYMBOL_TOKEN + i is the control token with the text of literal node i.
#define SC_SYMBOL_TOKEN UINT32_C(0x80000000)

struct sc_dfa_call {
    uint32_t symbol, target;
};

struct sc_dfa_state {
    uint32_t edges, n_edges; // a stretch of dfa->edges: ascending and apart
    uint32_t calls, n_calls; // a stretch of dfa->calls
    bool is_final;
};

struct sc_dfa {
    struct sc_dfa_state *states; // [n_states], the start first
    struct sc_dfa_edge *edges;
    struct sc_dfa_call *calls;
    uint32_t n_states, n_edges, n_calls;
};

// How a rule appears where it is used: inlined (the automaton to copy), or called (NULL).
typedef const struct sc_dfa *sc_inline_rule(const void *context, uint32_t rule);

struct sc_literals {
    struct sc_text *texts;
    uint32_t n, capacity;
};

// The automaton of a node, in the builder's arena; NULL after a failure, which the builder has. inline_rule NULL: the
// node may use no rules. literals NULL: literals are bytes only.
const struct sc_dfa *sc_dfa_build(struct sc_grammar_builder *b, const struct sc_node *node, sc_inline_rule *inline_rule,
                                  const void *context, struct sc_literals *literals);

// Sets of texts, of automata without calls.
const struct sc_dfa *sc_dfa_intersect(struct sc_grammar_builder *b, const struct sc_dfa *x, const struct sc_dfa *y);
const struct sc_dfa *sc_dfa_subtract(struct sc_grammar_builder *b, const struct sc_dfa *x, const struct sc_dfa *y);
bool sc_dfa_is_empty(const struct sc_dfa *dfa); // no text at all
bool sc_dfa_matches(const struct sc_dfa *dfa, struct sc_text text);
// The inside of JSON strings whose values are the texts of `dfa`: quotes, backslashes and control characters escaped in
// one way each, everything else as itself.
const struct sc_dfa *sc_dfa_escape_json(struct sc_grammar_builder *b, const struct sc_dfa *dfa);

// The state after `byte`, UINT32_MAX: none.
static inline uint32_t sc_dfa_step(const struct sc_dfa *dfa, uint32_t state, uint8_t byte)
{
    const struct sc_dfa_state *s = &dfa->states[state];
    for (uint32_t i = 0; i < s->n_edges; i++) {
        const struct sc_dfa_edge *e = &dfa->edges[s->edges + i];
        if (byte <= e->last) return byte >= e->first ? e->target : UINT32_MAX;
    }
    return UINT32_MAX;
}

// ---- between the files of automata

enum sc_nfa_edge_kind { SC_NFA_EMPTY, SC_NFA_BYTE, SC_NFA_SYMBOL };

struct sc_nfa_edge {
    uint32_t target, next; // next of the same state + 1; 0: none
    uint32_t symbol;
    uint8_t kind, first, last;
};

struct sc_nfa {
    struct sc_grammar_builder *b;
    uint32_t *first_edges; // [n_states] index + 1
    struct sc_nfa_edge *edges;
    uint32_t n_states, states_capacity, n_edges, edges_capacity;
    sc_inline_rule *inline_rule;
    const void *context;
    struct sc_literals *literals;
};

void sc_nfa_free(struct sc_nfa *nfa);
uint32_t sc_nfa_state(struct sc_nfa *nfa);
void sc_nfa_edge(struct sc_nfa *nfa, uint32_t from, uint32_t to, enum sc_nfa_edge_kind kind, uint8_t first,
                 uint8_t last, uint32_t symbol);
void sc_nfa_add(struct sc_nfa *nfa, const struct sc_node *node, uint32_t from, uint32_t to);
// From state `start` to state `accept`; trimmed.
const struct sc_dfa *sc_nfa_determinize(struct sc_nfa *nfa, uint32_t start, uint32_t accept);
// Drops states from which no final one can be reached, in place; the start stays.
void sc_dfa_trim(struct sc_grammar_builder *b, struct sc_dfa *dfa);
// Counts work; false (and the builder has failed) when there was too much.
bool sc_builder_work(struct sc_grammar_builder *b, uint64_t steps);

// A growing DFA: states are added in order, and edges and calls always belong to the newest one.
struct sc_dfa_draft {
    struct sc_grammar_builder *b;
    struct sc_dfa dfa; // malloc'ed
    uint32_t states_capacity, edges_capacity, calls_capacity;
};
void sc_draft_state(struct sc_dfa_draft *draft, bool is_final);
void sc_draft_edge(struct sc_dfa_draft *draft, uint8_t first, uint8_t last, uint32_t target);
void sc_draft_call(struct sc_dfa_draft *draft, uint32_t symbol, uint32_t target);
// Copies it into the arena, trimmed, and frees the draft; NULL after a failure.
const struct sc_dfa *sc_draft_finish(struct sc_dfa_draft *draft);

#endif
