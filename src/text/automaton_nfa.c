// From nodes to an NFA: each node becomes a fragment between two states that are given. A fragment adds no edge into
// its first state and none out of its last, so fragments can share these.
#include "text/automaton.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/utf8.h"

void sc_nfa_free(struct sc_nfa *nfa)
{
    free(nfa->first_edges);
    free(nfa->edges);
}

// Doubles an array; false (and the builder has failed) when that is not possible.
static bool grow(struct sc_grammar_builder *b, void **items, uint32_t *capacity, size_t size)
{
    uint32_t longer = SC_MAX(2 * *capacity, 64u);
    void *moved = realloc(*items, longer * size);
    if (!moved) {
        sc_builder_no_memory(b);
        return false;
    }
    *items = moved;
    *capacity = longer;
    return true;
}

uint32_t sc_nfa_state(struct sc_nfa *nfa)
{
    if (sc_builder_failed(nfa->b)) return 0;
    if (nfa->n_states >= SC_GRAMMAR_NFA_STATES_MAX) {
        sc_builder_fail(nfa->b, SOCLE_UNSUPPORTED,
                        "a grammar: with its repetitions written out, a rule needs more than %d states",
                        SC_GRAMMAR_NFA_STATES_MAX);
        return 0;
    }
    if (nfa->n_states == nfa->states_capacity &&
        !grow(nfa->b, (void **)&nfa->first_edges, &nfa->states_capacity, sizeof *nfa->first_edges))
        return 0;
    nfa->first_edges[nfa->n_states] = 0;
    return nfa->n_states++;
}

void sc_nfa_edge(struct sc_nfa *nfa, uint32_t from, uint32_t to, enum sc_nfa_edge_kind kind, uint8_t first,
                 uint8_t last, uint32_t symbol)
{
    if (sc_builder_failed(nfa->b)) return;
    if (nfa->n_edges >= 16 * SC_GRAMMAR_NFA_STATES_MAX) {
        sc_builder_fail(nfa->b, SOCLE_UNSUPPORTED, "a grammar: a rule needs more than %d edges",
                        16 * SC_GRAMMAR_NFA_STATES_MAX);
        return;
    }
    if (nfa->n_edges == nfa->edges_capacity &&
        !grow(nfa->b, (void **)&nfa->edges, &nfa->edges_capacity, sizeof *nfa->edges))
        return;
    nfa->edges[nfa->n_edges] = (struct sc_nfa_edge){
        .target = to, .next = nfa->first_edges[from], .symbol = symbol, .kind = kind, .first = first, .last = last
    };
    nfa->first_edges[from] = ++nfa->n_edges;
}

static void join(struct sc_nfa *nfa, uint32_t from, uint32_t to) { sc_nfa_edge(nfa, from, to, SC_NFA_EMPTY, 0, 0, 0); }

static void add_bytes(struct sc_nfa *nfa, const struct sc_node *node, uint32_t from, uint32_t to)
{
    struct sc_text bytes = node->bytes;
    uint32_t at = from;
    for (size_t i = 0; i < bytes.n_bytes && !sc_builder_failed(nfa->b); i++) {
        uint32_t next = i + 1 == bytes.n_bytes ? to : sc_nfa_state(nfa);
        uint8_t byte = (uint8_t)bytes.data[i];
        sc_nfa_edge(nfa, at, next, SC_NFA_BYTE, byte, byte, 0);
        at = next;
    }
    if (bytes.n_bytes == 0) join(nfa, from, to);
    struct sc_literals *literals = node->is_literal ? nfa->literals : NULL;
    if (!literals || sc_builder_failed(nfa->b)) return;
    uint32_t i = 0;
    while (i < literals->n && literals->texts[i].data != bytes.data) i++; // each node has a text of its own
    if (i == literals->n) {
        if (i == literals->capacity &&
            !grow(nfa->b, (void **)&literals->texts, &literals->capacity, sizeof *literals->texts))
            return;
        literals->texts[literals->n++] = bytes;
    }
    sc_nfa_edge(nfa, from, to, SC_NFA_SYMBOL, 0, 0, SC_SYMBOL_TOKEN + i);
}

// ---- sets of characters as UTF-8

struct set_fragment {
    struct sc_nfa *nfa;
    uint32_t to;
    uint32_t any[4]; // any[n]: n arbitrary continuation bytes before `to`; state + 1, 0: not made yet
};

static uint32_t continuation(struct set_fragment *f, unsigned n)
{
    if (n == 0) return f->to;
    if (!f->any[n]) {
        uint32_t after = continuation(f, n - 1), state = sc_nfa_state(f->nfa);
        sc_nfa_edge(f->nfa, state, after, SC_NFA_BYTE, 0x80, 0xBF, 0);
        f->any[n] = state + 1;
    }
    return f->any[n] - 1;
}

static bool all_are(const uint8_t *bytes, unsigned n, uint8_t value)
{
    for (unsigned i = 0; i < n; i++)
        if (bytes[i] != value) return false;
    return true;
}

// The sequences of n bytes from `low` to `high`, whose continuation bytes take every value in between.
static void add_sequences(struct set_fragment *f, uint32_t from, const uint8_t *low, const uint8_t *high, unsigned n)
{
    static const uint8_t lowest[4] = { 0x80, 0x80, 0x80, 0x80 }, highest[4] = { 0xBF, 0xBF, 0xBF, 0xBF };
    if (sc_builder_failed(f->nfa->b)) return;
    unsigned first = low[0], last = high[0];
    if (n > 1 && first == last) {
        uint32_t state = all_are(low + 1, n - 1, 0x80) && all_are(high + 1, n - 1, 0xBF) ? continuation(f, n - 1)
                                                                                         : sc_nfa_state(f->nfa);
        sc_nfa_edge(f->nfa, from, state, SC_NFA_BYTE, low[0], low[0], 0);
        if (!f->any[n - 1] || state != f->any[n - 1] - 1) add_sequences(f, state, low + 1, high + 1, n - 1);
        return;
    }
    if (n > 1 && !all_are(low + 1, n - 1, 0x80)) {
        uint32_t state = sc_nfa_state(f->nfa);
        sc_nfa_edge(f->nfa, from, state, SC_NFA_BYTE, low[0], low[0], 0);
        add_sequences(f, state, low + 1, highest, n - 1);
        first++;
    }
    if (n > 1 && !all_are(high + 1, n - 1, 0xBF)) {
        uint32_t state = sc_nfa_state(f->nfa);
        sc_nfa_edge(f->nfa, from, state, SC_NFA_BYTE, high[0], high[0], 0);
        add_sequences(f, state, lowest, high + 1, n - 1);
        last--;
    }
    if (first <= last) sc_nfa_edge(f->nfa, from, continuation(f, n - 1), SC_NFA_BYTE, (uint8_t)first, (uint8_t)last, 0);
}

static void add_set(struct sc_nfa *nfa, const struct sc_node *node, uint32_t from, uint32_t to)
{
    static const struct sc_char_range lengths[] = {
        { 0, 0x7F }, { 0x80, 0x7FF }, { 0x800, 0xFFFF }, { 0x10000, 0x10FFFF }
    };
    struct set_fragment f = { .nfa = nfa, .to = to };
    for (uint32_t i = 0; i < node->n; i++)
        for (size_t k = 0; k < SC_COUNT(lengths); k++) {
            uint32_t first = SC_MAX(node->ranges[i].first, lengths[k].first);
            uint32_t last = SC_MIN(node->ranges[i].last, lengths[k].last);
            uint8_t low[4], high[4];
            if (first > last) continue;
            unsigned n = (unsigned)sc_utf8_encode(first, (char *)low);
            sc_utf8_encode(last, (char *)high);
            add_sequences(&f, from, low, high, n);
        }
}

// ---- what joins

static void add_repeat(struct sc_nfa *nfa, const struct sc_node *node, uint32_t from, uint32_t to)
{
    const struct sc_node *child = node->children[0];
    uint32_t at = from;
    for (uint32_t i = 0; i < node->min && !sc_builder_failed(nfa->b); i++) {
        uint32_t next = sc_nfa_state(nfa);
        sc_nfa_add(nfa, child, at, next);
        at = next;
    }
    if (node->max == SC_UNBOUNDED) {
        uint32_t loop = sc_nfa_state(nfa);
        join(nfa, at, loop);
        sc_nfa_add(nfa, child, loop, loop);
        join(nfa, loop, to);
        return;
    }
    for (uint32_t i = node->min; i < node->max && !sc_builder_failed(nfa->b); i++) {
        uint32_t next = sc_nfa_state(nfa);
        join(nfa, at, to);
        sc_nfa_add(nfa, child, at, next);
        at = next;
    }
    join(nfa, at, to);
}

// Two states before each item: `none` has seen no item yet, `some` has. Both reach the item itself, at `begin`.
static void add_list(struct sc_nfa *nfa, const struct sc_node *node, uint32_t from, uint32_t to)
{
    uint32_t none = sc_nfa_state(nfa), some = sc_nfa_state(nfa);
    bool may_be_none = true;
    join(nfa, from, none);
    for (uint32_t i = 0; i < node->n && !sc_builder_failed(nfa->b); i++) {
        uint32_t begin = sc_nfa_state(nfa), after = sc_nfa_state(nfa);
        if (i > 0) sc_nfa_add(nfa, node->separator, some, begin);
        if (may_be_none) join(nfa, none, begin);
        sc_nfa_add(nfa, node->children[i], begin, after);
        if (node->needed[i]) may_be_none = false;
        else if (i > 0) join(nfa, some, after);
        some = after;
    }
    if (node->more) {
        uint32_t begin = sc_nfa_state(nfa), after = sc_nfa_state(nfa);
        if (may_be_none) join(nfa, none, begin);
        if (node->n) sc_nfa_add(nfa, node->separator, some, begin);
        sc_nfa_add(nfa, node->more, begin, after);
        sc_nfa_add(nfa, node->separator, after, begin);
        join(nfa, after, to);
    }
    if (node->n) join(nfa, some, to);
    if (may_be_none) join(nfa, none, to);
}

static void add_dfa(struct sc_nfa *nfa, const struct sc_dfa *dfa, uint32_t from, uint32_t to)
{
    uint32_t base = nfa->n_states;
    for (uint32_t s = 0; s < dfa->n_states; s++) sc_nfa_state(nfa);
    if (sc_builder_failed(nfa->b)) return;
    join(nfa, from, base);
    for (uint32_t s = 0; s < dfa->n_states; s++) {
        const struct sc_dfa_state *state = &dfa->states[s];
        for (uint32_t i = 0; i < state->n_edges; i++) {
            const struct sc_dfa_edge *e = &dfa->edges[state->edges + i];
            sc_nfa_edge(nfa, base + s, base + e->target, SC_NFA_BYTE, e->first, e->last, 0);
        }
        for (uint32_t i = 0; i < state->n_calls; i++) {
            const struct sc_dfa_call *c = &dfa->calls[state->calls + i];
            sc_nfa_edge(nfa, base + s, base + c->target, SC_NFA_SYMBOL, 0, 0, c->symbol);
        }
        if (state->is_final) join(nfa, base + s, to);
    }
}

static void add_rule(struct sc_nfa *nfa, uint32_t rule, uint32_t from, uint32_t to)
{
    const struct sc_dfa *dfa = nfa->inline_rule ? nfa->inline_rule(nfa->context, rule) : NULL;
    if (dfa) add_dfa(nfa, dfa, from, to);
    else sc_nfa_edge(nfa, from, to, SC_NFA_SYMBOL, 0, 0, rule);
}

static void add_sequence(struct sc_nfa *nfa, const struct sc_node *node, uint32_t from, uint32_t to)
{
    uint32_t at = from;
    for (uint32_t i = 0; i < node->n; i++) {
        uint32_t next = i + 1 == node->n ? to : sc_nfa_state(nfa);
        sc_nfa_add(nfa, node->children[i], at, next);
        at = next;
    }
    if (node->n == 0) join(nfa, from, to);
}

void sc_nfa_add(struct sc_nfa *nfa, const struct sc_node *node, uint32_t from, uint32_t to)
{
    if (!node || sc_builder_failed(nfa->b)) return;
    switch (node->kind) {
    case SC_NODE_NOTHING: break;
    case SC_NODE_BYTES: add_bytes(nfa, node, from, to); break;
    case SC_NODE_SET: add_set(nfa, node, from, to); break;
    case SC_NODE_SEQUENCE: add_sequence(nfa, node, from, to); break;
    case SC_NODE_CHOICE:
        for (uint32_t i = 0; i < node->n; i++) sc_nfa_add(nfa, node->children[i], from, to);
        break;
    case SC_NODE_REPEAT: add_repeat(nfa, node, from, to); break;
    case SC_NODE_RULE: add_rule(nfa, node->rule, from, to); break;
    case SC_NODE_DFA: add_dfa(nfa, node->dfa, from, to); break;
    case SC_NODE_LIST: add_list(nfa, node, from, to); break;
    }
}
