// Regular sets of texts: intersected, subtracted, asked, and written as JSON strings.
#include "text/automaton.h"

#include <stdlib.h>

#include "base/size.h"
#include "text/vocabulary.h"

// ---- products: states are pairs

struct product {
    struct sc_grammar_builder *b;
    const struct sc_dfa *x, *y;
    bool subtract; // in x and not in y; otherwise in both
    struct sc_dfa_draft draft;
    uint64_t *pairs; // x's state and y's state + 1 (0: y has none)
    uint32_t n_pairs, capacity;
    uint32_t *slots, slot_mask; // pair + 1
};

static bool product_rehash(struct product *p)
{
    uint32_t n_slots = p->slots ? 2 * (p->slot_mask + 1) : 256;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (!slots) return sc_builder_no_memory(p->b) != NULL;
    for (uint32_t pair = 0; pair < p->n_pairs; pair++) {
        uint64_t i = sc_hash_u64(p->pairs[pair]);
        while (slots[i & (n_slots - 1)]) i++;
        slots[i & (n_slots - 1)] = pair + 1;
    }
    free(p->slots);
    p->slots = slots;
    p->slot_mask = n_slots - 1;
    return true;
}

static uint32_t number_pair(struct product *p, uint32_t x, uint32_t y)
{
    uint64_t pair = (uint64_t)x << 32 | (y + 1);
    if (!sc_builder_work(p->b, 1)) return 0;
    if ((!p->slots || 2 * (p->n_pairs + 1) > p->slot_mask) && !product_rehash(p)) return 0;
    uint64_t i = sc_hash_u64(pair);
    for (; p->slots[i & p->slot_mask]; i++)
        if (p->pairs[p->slots[i & p->slot_mask] - 1] == pair) return p->slots[i & p->slot_mask] - 1;
    if (p->n_pairs == p->capacity) {
        uint32_t longer = SC_MAX(2 * p->capacity, 64u);
        uint64_t *moved = realloc(p->pairs, longer * sizeof *moved);
        if (!moved) {
            sc_builder_no_memory(p->b);
            return 0;
        }
        p->pairs = moved;
        p->capacity = longer;
    }
    p->pairs[p->n_pairs++] = pair;
    p->slots[i & p->slot_mask] = p->n_pairs;
    return p->n_pairs - 1;
}

static void mark_cuts(const struct sc_dfa *dfa, uint32_t state, bool cuts[257])
{
    if (state == UINT32_MAX) return;
    const struct sc_dfa_state *s = &dfa->states[state];
    for (uint32_t i = 0; i < s->n_edges; i++) {
        cuts[dfa->edges[s->edges + i].first] = true;
        cuts[dfa->edges[s->edges + i].last + 1] = true;
    }
}

static void product_edges(struct product *p, uint32_t x, uint32_t y)
{
    bool cuts[257] = { 0 };
    mark_cuts(p->x, x, cuts);
    mark_cuts(p->y, y, cuts);
    for (unsigned first = 0, next; first < 256 && !sc_builder_failed(p->b); first = next) {
        for (next = first + 1; next < 256 && !cuts[next];) next++;
        uint32_t to_x = sc_dfa_step(p->x, x, (uint8_t)first);
        uint32_t to_y = y == UINT32_MAX ? y : sc_dfa_step(p->y, y, (uint8_t)first);
        if (to_x == UINT32_MAX || (to_y == UINT32_MAX && !p->subtract)) continue;
        sc_draft_edge(&p->draft, (uint8_t)first, (uint8_t)(next - 1), number_pair(p, to_x, to_y));
    }
}

static const struct sc_dfa *multiply(struct sc_grammar_builder *b, const struct sc_dfa *x, const struct sc_dfa *y,
                                     bool subtract)
{
    if (!x || !y || sc_builder_failed(b)) return NULL;
    struct product p = { .b = b, .x = x, .y = y, .subtract = subtract, .draft = { .b = b } };
    number_pair(&p, 0, 0);
    for (uint32_t i = 0; i < p.n_pairs && !sc_builder_failed(b); i++) {
        uint32_t at_x = (uint32_t)(p.pairs[i] >> 32), at_y = (uint32_t)p.pairs[i] - 1;
        bool in_y = at_y != UINT32_MAX && y->states[at_y].is_final;
        sc_draft_state(&p.draft, x->states[at_x].is_final && in_y != subtract);
        if (!sc_builder_failed(b)) product_edges(&p, at_x, at_y);
    }
    free(p.pairs);
    free(p.slots);
    return sc_draft_finish(&p.draft);
}

const struct sc_dfa *sc_dfa_intersect(struct sc_grammar_builder *b, const struct sc_dfa *x, const struct sc_dfa *y)
{
    return multiply(b, x, y, false);
}

const struct sc_dfa *sc_dfa_subtract(struct sc_grammar_builder *b, const struct sc_dfa *x, const struct sc_dfa *y)
{
    return multiply(b, x, y, true);
}

bool sc_dfa_is_empty(const struct sc_dfa *dfa) // trimmed, so a state that leads on leads to the end
{
    return !dfa->states[0].is_final && dfa->states[0].n_edges == 0 && dfa->states[0].n_calls == 0;
}

bool sc_dfa_matches(const struct sc_dfa *dfa, struct sc_text text)
{
    uint32_t state = 0;
    for (size_t i = 0; i < text.n_bytes && state != UINT32_MAX; i++)
        state = sc_dfa_step(dfa, state, (uint8_t)text.data[i]);
    return state != UINT32_MAX && dfa->states[state].is_final;
}

// ---- JSON strings

static uint32_t chain(struct sc_nfa *nfa, uint32_t from, const char *bytes)
{
    for (; *bytes; bytes++) {
        uint32_t next = sc_nfa_state(nfa);
        sc_nfa_edge(nfa, from, next, SC_NFA_BYTE, (uint8_t)*bytes, (uint8_t)*bytes, 0);
        from = next;
    }
    return from;
}

static void escape_byte(struct sc_nfa *nfa, uint32_t from, uint8_t byte, uint32_t to)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt"; // the byte, and the letter after the backslash
    char escaped[8] = "\\";
    for (size_t i = 0; i + 1 < sizeof shorts; i += 2)
        if ((uint8_t)shorts[i] == byte) escaped[1] = shorts[i + 1];
    if (!escaped[1]) {
        static const char digits[] = "0123456789abcdef";
        const char hex[] = { '\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15], '\0' };
        for (size_t i = 0; i < sizeof hex; i++) escaped[i] = hex[i];
    }
    sc_nfa_edge(nfa, chain(nfa, from, escaped), to, SC_NFA_EMPTY, 0, 0, 0);
}

const struct sc_dfa *sc_dfa_escape_json(struct sc_grammar_builder *b, const struct sc_dfa *dfa)
{
    if (!dfa || sc_builder_failed(b)) return NULL;
    struct sc_nfa nfa = { .b = b };
    for (uint32_t s = 0; s < dfa->n_states; s++) sc_nfa_state(&nfa);
    uint32_t accept = sc_nfa_state(&nfa);
    for (uint32_t s = 0; s < dfa->n_states && !sc_builder_failed(b); s++) {
        const struct sc_dfa_state *state = &dfa->states[s];
        if (state->is_final) sc_nfa_edge(&nfa, s, accept, SC_NFA_EMPTY, 0, 0, 0);
        for (uint32_t i = 0; i < state->n_edges; i++) {
            const struct sc_dfa_edge *e = &dfa->edges[state->edges + i];
            unsigned first = e->first;
            for (unsigned byte = e->first; byte <= e->last; byte++) {
                if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
                escape_byte(&nfa, s, (uint8_t)byte, e->target);
                if (first < byte) sc_nfa_edge(&nfa, s, e->target, SC_NFA_BYTE, (uint8_t)first, (uint8_t)(byte - 1), 0);
                first = byte + 1;
            }
            if (first <= e->last) sc_nfa_edge(&nfa, s, e->target, SC_NFA_BYTE, (uint8_t)first, e->last, 0);
        }
    }
    const struct sc_dfa *escaped = sc_builder_failed(b) ? NULL : sc_nfa_determinize(&nfa, 0, accept);
    sc_nfa_free(&nfa);
    return escaped;
}
