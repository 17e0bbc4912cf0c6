#include "text/merge.h"

#include <stdlib.h>

#include "base/size.h"

bool sc_merger_begin(struct sc_merger *m, size_t n)
{
    m->n_symbols = m->n_heap = 0;
    if (n <= m->symbol_capacity) return true;
    size_t capacity = SC_MAX(n, SC_MAX(m->symbol_capacity * 2, (size_t)64));
    struct sc_symbol *symbols = realloc(m->symbols, capacity * sizeof *symbols);
    if (symbols) m->symbols = symbols;
    // n - 1 pairs wait at the start; each of at most n - 1 merges takes one away and adds at most two.
    struct sc_candidate *heap = realloc(m->heap, 2 * capacity * sizeof *heap);
    if (heap) m->heap = heap;
    if (!symbols || !heap) return false;
    m->symbol_capacity = capacity;
    m->heap_capacity = 2 * capacity;
    return true;
}

void sc_merger_add(struct sc_merger *m, uint32_t start, uint32_t n_bytes, int32_t id)
{
    uint32_t i = (uint32_t)m->n_symbols++;
    m->symbols[i] = (struct sc_symbol){ start, n_bytes, i ? i - 1 : SC_SYMBOL_NONE, SC_SYMBOL_NONE, id };
    if (i) m->symbols[i - 1].next = i;
}

static void push(struct sc_merger *m, struct sc_candidate candidate)
{
    size_t i = m->n_heap++;
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (m->heap[parent].key <= candidate.key) break;
        m->heap[i] = m->heap[parent];
        i = parent;
    }
    m->heap[i] = candidate;
}

static struct sc_candidate pop(struct sc_merger *m)
{
    struct sc_candidate top = m->heap[0], last = m->heap[--m->n_heap];
    size_t i = 0;
    for (size_t child = 1; child < m->n_heap; child = 2 * i + 1) {
        if (child + 1 < m->n_heap && m->heap[child + 1].key < m->heap[child].key) child++;
        if (last.key <= m->heap[child].key) break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = last;
    return top;
}

static void consider(struct sc_merger *m, uint32_t left, sc_merge_find *find, const void *context)
{
    if (left == SC_SYMBOL_NONE || m->symbols[left].next == SC_SYMBOL_NONE) return;
    const struct sc_symbol *a = &m->symbols[left], *b = &m->symbols[a->next];
    uint32_t priority;
    int32_t id;
    m->n_lookups++;
    if (!find(context, a, b, &priority, &id)) return;
    push(m, (struct sc_candidate){ (uint64_t)priority << 32 | left, a->n_bytes + b->n_bytes, id });
}

void sc_merger_run(struct sc_merger *m, sc_merge_find *find, const void *context)
{
    for (uint32_t i = 0; i + 1 < m->n_symbols; i++) consider(m, i, find, context);
    while (m->n_heap) {
        struct sc_candidate best = pop(m);
        struct sc_symbol *left = &m->symbols[(uint32_t)best.key];
        if (left->n_bytes == 0 || left->next == SC_SYMBOL_NONE) continue;
        struct sc_symbol *right = &m->symbols[left->next];
        // Symbols only grow, so an unchanged sum means an unchanged pair.
        if (left->n_bytes + right->n_bytes != best.n_bytes) continue;
        left->n_bytes = best.n_bytes;
        left->id = best.id;
        left->next = right->next;
        right->n_bytes = 0;
        if (left->next != SC_SYMBOL_NONE) m->symbols[left->next].previous = (uint32_t)best.key;
        consider(m, left->previous, find, context);
        consider(m, (uint32_t)best.key, find, context);
    }
}

void sc_merger_free(struct sc_merger *m)
{
    free(m->symbols);
    free(m->heap);
    *m = (struct sc_merger){ 0 };
}
