// The subset construction, trimming, and drafts of automata.
#include "text/automaton.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/vocabulary.h"

enum { WORK_MAX = 30 * 1000 * 1000 };

bool sc_builder_work(struct sc_grammar_builder *b, uint64_t steps)
{
    b->work += steps;
    if (b->work > WORK_MAX && !sc_builder_failed(b))
        sc_builder_fail(b, SOCLE_UNSUPPORTED,
                        "a grammar: making its automata deterministic takes too long: it is too large, or holds "
                        "overlapping repetitions");
    return !sc_builder_failed(b);
}

// ---- drafts

static bool draft_room(struct sc_dfa_draft *draft, void **items, uint32_t n, uint32_t *capacity, size_t size)
{
    if (sc_builder_failed(draft->b)) return false;
    if (n < *capacity) return true;
    uint32_t longer = SC_MAX(2 * *capacity, 64u);
    void *moved = realloc(*items, longer * size);
    if (!moved) return sc_builder_no_memory(draft->b) != NULL;
    *items = moved;
    *capacity = longer;
    return true;
}

void sc_draft_state(struct sc_dfa_draft *draft, bool is_final)
{
    struct sc_dfa *d = &draft->dfa;
    if (d->n_states >= SC_GRAMMAR_STATES_MAX) {
        sc_builder_fail(draft->b, SOCLE_UNSUPPORTED, "a grammar: an automaton needs more than %d states",
                        SC_GRAMMAR_STATES_MAX);
        return;
    }
    if (!draft_room(draft, (void **)&d->states, d->n_states, &draft->states_capacity, sizeof *d->states)) return;
    d->states[d->n_states++] = (struct sc_dfa_state){ .edges = d->n_edges, .calls = d->n_calls, .is_final = is_final };
}

void sc_draft_edge(struct sc_dfa_draft *draft, uint8_t first, uint8_t last, uint32_t target)
{
    struct sc_dfa *d = &draft->dfa;
    if (!draft_room(draft, (void **)&d->edges, d->n_edges, &draft->edges_capacity, sizeof *d->edges)) return;
    struct sc_dfa_state *state = &d->states[d->n_states - 1];
    struct sc_dfa_edge *newest = state->n_edges ? &d->edges[d->n_edges - 1] : NULL;
    if (newest && newest->target == target && newest->last + 1 == first) {
        newest->last = last;
        return;
    }
    d->edges[d->n_edges++] = (struct sc_dfa_edge){ target, first, last };
    state->n_edges++;
}

void sc_draft_call(struct sc_dfa_draft *draft, uint32_t symbol, uint32_t target)
{
    struct sc_dfa *d = &draft->dfa;
    if (!draft_room(draft, (void **)&d->calls, d->n_calls, &draft->calls_capacity, sizeof *d->calls)) return;
    d->calls[d->n_calls++] = (struct sc_dfa_call){ symbol, target };
    d->states[d->n_states - 1].n_calls++;
}

static void *keep(struct sc_grammar_builder *b, void *items, uint32_t n, size_t size)
{
    void *copy = sc_builder_failed(b) ? NULL : sc_arena_array(&b->arena, n, size);
    if (copy && n) memcpy(copy, items, n * size);
    else if (!copy) sc_builder_no_memory(b);
    free(items);
    return copy;
}

const struct sc_dfa *sc_draft_finish(struct sc_dfa_draft *draft)
{
    struct sc_grammar_builder *b = draft->b;
    struct sc_dfa *d = &draft->dfa;
    if (!sc_builder_failed(b)) sc_dfa_trim(b, d);
    d->states = keep(b, d->states, d->n_states, sizeof *d->states);
    d->edges = keep(b, d->edges, d->n_edges, sizeof *d->edges);
    d->calls = keep(b, d->calls, d->n_calls, sizeof *d->calls);
    struct sc_dfa *dfa = sc_builder_failed(b) ? NULL : sc_arena_alloc(&b->arena, sizeof *dfa);
    if (dfa) *dfa = *d;
    else sc_builder_no_memory(b);
    return dfa;
}

// ---- trimming

// Marks the states from which a final one can be reached, by edges turned round: incoming[s] lists them.
static void mark_live(const struct sc_dfa *d, bool *live, uint32_t *first, uint32_t *next, uint32_t *source,
                      uint32_t *queue)
{
    uint32_t n = 0, n_queued = 0;
    for (uint32_t s = 0; s < d->n_states; s++) {
        const struct sc_dfa_state *state = &d->states[s];
        for (uint32_t i = 0; i < state->n_edges + state->n_calls; i++) {
            uint32_t target = i < state->n_edges ? d->edges[state->edges + i].target
                                                 : d->calls[state->calls + i - state->n_edges].target;
            source[n] = s;
            next[n] = first[target];
            first[target] = ++n;
        }
        if (state->is_final) live[queue[n_queued++] = s] = true;
    }
    for (uint32_t i = 0; i < n_queued; i++)
        for (uint32_t e = first[queue[i]]; e; e = next[e - 1])
            if (!live[source[e - 1]]) live[queue[n_queued++] = source[e - 1]] = true;
}

static void drop_dead(struct sc_dfa *d, const bool *live, uint32_t *number)
{
    uint32_t n_states = 0, n_edges = 0, n_calls = 0;
    for (uint32_t s = 0; s < d->n_states; s++)
        if (live[s] || s == 0) number[s] = n_states++;
    for (uint32_t s = 0; s < d->n_states; s++) {
        if (!live[s] && s != 0) continue;
        struct sc_dfa_state old = d->states[s];
        struct sc_dfa_state *state = &d->states[number[s]];
        *state = (struct sc_dfa_state){ .edges = n_edges, .calls = n_calls, .is_final = old.is_final };
        for (uint32_t i = 0; i < old.n_edges; i++) {
            struct sc_dfa_edge e = d->edges[old.edges + i];
            if (!live[e.target]) continue;
            e.target = number[e.target];
            d->edges[n_edges++] = e;
            state->n_edges++;
        }
        for (uint32_t i = 0; i < old.n_calls; i++) {
            struct sc_dfa_call c = d->calls[old.calls + i];
            if (!live[c.target]) continue;
            c.target = number[c.target];
            d->calls[n_calls++] = c;
            state->n_calls++;
        }
    }
    d->n_states = n_states;
    d->n_edges = n_edges;
    d->n_calls = n_calls;
}

void sc_dfa_trim(struct sc_grammar_builder *b, struct sc_dfa *d)
{
    size_t n = d->n_states, m = (size_t)d->n_edges + d->n_calls;
    bool *live = calloc(n + 1, sizeof *live);
    uint32_t *room = calloc(2 * n + 2 * m + 1, sizeof *room);
    if (live && room) {
        uint32_t *first = room, *queue = room + n, *next = room + 2 * n, *source = next + m;
        mark_live(d, live, first, next, source, queue);
        drop_dead(d, live, queue);
    } else {
        sc_builder_no_memory(b);
    }
    free(live);
    free(room);
}

// ---- the subset construction. A set holds only NFA states that matter: those with an edge that is not empty, and the
// accepting one.

struct determinizer {
    const struct sc_nfa *nfa;
    struct sc_grammar_builder *b;
    uint32_t accept;
    struct sc_dfa_draft draft;
    // The sets: elements of set i are pool[offsets[i] .. offsets[i + 1]).
    uint32_t *pool, pool_capacity, n_pool;
    uint32_t *offsets, offsets_capacity, n_sets;
    uint32_t *slots, slot_mask; // set + 1
    // One closure on its way
    uint32_t *marks, generation; // [nfa states]
    uint32_t *stack;             // [nfa states]
    uint32_t *found, n_found;    // [nfa states]
    // One state on its way
    struct sc_nfa_edge *edges;
    uint32_t n_edges, edges_capacity;
};

static bool matters(const struct determinizer *d, uint32_t state)
{
    if (state == d->accept) return true;
    for (uint32_t e = d->nfa->first_edges[state]; e; e = d->nfa->edges[e - 1].next)
        if (d->nfa->edges[e - 1].kind != SC_NFA_EMPTY) return true;
    return false;
}

// Adds what can be reached from `state` by empty edges to `found`.
static void reach(struct determinizer *d, uint32_t state)
{
    uint32_t n = 0;
    if (d->marks[state] == d->generation) return;
    d->marks[state] = d->generation;
    d->stack[n++] = state;
    while (n) {
        uint32_t at = d->stack[--n];
        if (matters(d, at)) d->found[d->n_found++] = at;
        for (uint32_t e = d->nfa->first_edges[at]; e; e = d->nfa->edges[e - 1].next) {
            const struct sc_nfa_edge *edge = &d->nfa->edges[e - 1];
            d->b->work++;
            if (edge->kind != SC_NFA_EMPTY || d->marks[edge->target] == d->generation) continue;
            d->marks[edge->target] = d->generation;
            d->stack[n++] = edge->target;
        }
    }
}

static void begin_set(struct determinizer *d)
{
    d->generation++;
    d->n_found = 0;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool more_room(struct determinizer *d, uint32_t **items, uint32_t needed, uint32_t *capacity)
{
    if (needed <= *capacity) return true;
    uint32_t longer = SC_MAX(2 * *capacity, needed + 1024);
    uint32_t *moved = realloc(*items, longer * sizeof *moved);
    if (!moved) return sc_builder_no_memory(d->b) != NULL;
    *items = moved;
    *capacity = longer;
    return true;
}

static bool rehash(struct determinizer *d)
{
    uint32_t n_slots = d->slots ? 2 * (d->slot_mask + 1) : 256;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (!slots) return sc_builder_no_memory(d->b) != NULL;
    for (uint32_t set = 0; set < d->n_sets; set++) {
        uint32_t n = d->offsets[set + 1] - d->offsets[set];
        uint64_t i = sc_hash_bytes(d->pool + d->offsets[set], n * sizeof *d->pool);
        while (slots[i & (n_slots - 1)]) i++;
        slots[i & (n_slots - 1)] = set + 1;
    }
    free(d->slots);
    d->slots = slots;
    d->slot_mask = n_slots - 1;
    return true;
}

// The number of the set in `found`, which is added when it is new.
static uint32_t number_set(struct determinizer *d)
{
    if (!sc_builder_work(d->b, d->n_found)) return 0;
    qsort(d->found, d->n_found, sizeof *d->found, compare_u32);
    if ((!d->slots || 2 * (d->n_sets + 1) > d->slot_mask) && !rehash(d)) return 0;
    uint64_t i = sc_hash_bytes(d->found, d->n_found * sizeof *d->found);
    for (; d->slots[i & d->slot_mask]; i++) {
        uint32_t set = d->slots[i & d->slot_mask] - 1, n = d->offsets[set + 1] - d->offsets[set];
        if (n == d->n_found && memcmp(d->pool + d->offsets[set], d->found, n * sizeof *d->found) == 0) return set;
    }
    if (d->n_sets >= SC_GRAMMAR_STATES_MAX) {
        sc_builder_fail(d->b, SOCLE_UNSUPPORTED, "a grammar: an automaton needs more than %d states",
                        SC_GRAMMAR_STATES_MAX);
        return 0;
    }
    if (!more_room(d, &d->pool, d->n_pool + d->n_found, &d->pool_capacity) ||
        !more_room(d, &d->offsets, d->n_sets + 2, &d->offsets_capacity))
        return 0;
    if (d->n_found) memcpy(d->pool + d->n_pool, d->found, d->n_found * sizeof *d->found);
    d->offsets[d->n_sets] = d->n_pool;
    d->n_pool += d->n_found;
    d->offsets[++d->n_sets] = d->n_pool;
    d->slots[i & d->slot_mask] = d->n_sets;
    return d->n_sets - 1;
}

static bool gather_edges(struct determinizer *d, uint32_t set)
{
    d->n_edges = 0;
    for (uint32_t i = d->offsets[set]; i < d->offsets[set + 1]; i++)
        for (uint32_t e = d->nfa->first_edges[d->pool[i]]; e; e = d->nfa->edges[e - 1].next) {
            if (d->nfa->edges[e - 1].kind == SC_NFA_EMPTY) continue;
            if (d->n_edges == d->edges_capacity) {
                uint32_t longer = SC_MAX(2 * d->edges_capacity, 64u);
                struct sc_nfa_edge *moved = realloc(d->edges, longer * sizeof *moved);
                if (!moved) return sc_builder_no_memory(d->b) != NULL;
                d->edges = moved;
                d->edges_capacity = longer;
            }
            d->edges[d->n_edges++] = d->nfa->edges[e - 1];
        }
    return sc_builder_work(d->b, d->n_edges);
}

static void step_bytes(struct determinizer *d)
{
    bool cuts[257] = { 0 };
    for (uint32_t i = 0; i < d->n_edges; i++)
        if (d->edges[i].kind == SC_NFA_BYTE) cuts[d->edges[i].first] = cuts[d->edges[i].last + 1] = true;
    for (unsigned first = 0, next; first < 256 && !sc_builder_failed(d->b); first = next) {
        for (next = first + 1; next < 256 && !cuts[next];) next++;
        begin_set(d);
        for (uint32_t i = 0; i < d->n_edges; i++) {
            const struct sc_nfa_edge *e = &d->edges[i];
            if (e->kind == SC_NFA_BYTE && e->first <= first && e->last >= first) reach(d, e->target);
        }
        sc_builder_work(d->b, d->n_edges);
        if (d->n_found) sc_draft_edge(&d->draft, (uint8_t)first, (uint8_t)(next - 1), number_set(d));
    }
}

static int compare_symbols(const void *a, const void *b)
{
    const struct sc_nfa_edge *x = a, *y = b;
    return x->kind != y->kind ? x->kind - y->kind : x->symbol < y->symbol ? -1 : x->symbol > y->symbol;
}

static void step_symbols(struct determinizer *d)
{
    qsort(d->edges, d->n_edges, sizeof *d->edges, compare_symbols); // bytes first
    uint32_t i = 0;
    while (i < d->n_edges && d->edges[i].kind == SC_NFA_BYTE) i++;
    while (i < d->n_edges && !sc_builder_failed(d->b)) {
        uint32_t symbol = d->edges[i].symbol;
        begin_set(d);
        for (; i < d->n_edges && d->edges[i].symbol == symbol; i++) reach(d, d->edges[i].target);
        sc_draft_call(&d->draft, symbol, number_set(d));
    }
}

static bool contains(const struct determinizer *d, uint32_t set, uint32_t state)
{
    for (uint32_t i = d->offsets[set]; i < d->offsets[set + 1]; i++)
        if (d->pool[i] == state) return true;
    return false;
}

const struct sc_dfa *sc_nfa_determinize(struct sc_nfa *nfa, uint32_t start, uint32_t accept)
{
    struct sc_grammar_builder *b = nfa->b;
    struct determinizer d = { .nfa = nfa, .b = b, .accept = accept, .draft = { .b = b } };
    size_t n = (size_t)nfa->n_states + 1;
    d.marks = calloc(n, sizeof *d.marks);
    d.stack = calloc(n, sizeof *d.stack);
    d.found = calloc(n, sizeof *d.found);
    if (!d.marks || !d.stack || !d.found) sc_builder_no_memory(b);
    if (!sc_builder_failed(b)) {
        begin_set(&d);
        reach(&d, start);
        number_set(&d);
    }
    for (uint32_t set = 0; !sc_builder_failed(b) && set < d.n_sets; set++) {
        sc_draft_state(&d.draft, contains(&d, set, accept));
        if (!gather_edges(&d, set)) break;
        step_bytes(&d);
        if (d.n_edges) step_symbols(&d);
    }
    free(d.marks);
    free(d.stack);
    free(d.found);
    free(d.pool);
    free(d.offsets);
    free(d.slots);
    free(d.edges);
    return sc_draft_finish(&d.draft);
}

const struct sc_dfa *sc_dfa_build(struct sc_grammar_builder *b, const struct sc_node *node,
                                  sc_inline_rule *inline_rule, const void *context, struct sc_literals *literals)
{
    struct sc_nfa nfa = { .b = b, .inline_rule = inline_rule, .context = context, .literals = literals };
    uint32_t start = sc_nfa_state(&nfa), accept = sc_nfa_state(&nfa);
    sc_nfa_add(&nfa, node, start, accept);
    const struct sc_dfa *dfa = sc_builder_failed(b) ? NULL : sc_nfa_determinize(&nfa, start, accept);
    sc_nfa_free(&nfa);
    return dfa;
}
