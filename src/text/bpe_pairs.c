// The pairs that may be merged: a hash table to find one, a binary heap to take the most frequent one.
//
// The heap is lazy. A pair is queued once, when it is added; its count may have fallen when it comes out, and then it
// goes back with the count that it has. What comes out with its true count is the most frequent of all, because no
// other can have more than it was queued with.
#include <stdlib.h>

#include "base/size.h"
#include "text/bpe_train_internal.h"
#include "text/vocabulary.h"

static uint64_t key_of(uint32_t left, uint32_t right) { return (uint64_t)left << 32 | right; }

// ---- the table

// A slot that leads to a pair that is gone, or to another that took its place, is passed over.
static struct sc_bpe_pair *find(const struct sc_bpe_pairs *p, uint64_t key)
{
    if (!p->slots) return NULL;
    for (uint64_t slot = sc_hash_u64(key) & p->slot_mask; p->slots[slot]; slot = (slot + 1) & p->slot_mask) {
        struct sc_bpe_pair *pair = &p->list[p->slots[slot] - 1];
        if (pair->key == key && pair->places) return pair;
    }
    return NULL;
}

static void put(uint32_t *slots, uint64_t mask, uint64_t key, uint32_t i)
{
    uint64_t slot = sc_hash_u64(key) & mask;
    while (slots[slot]) slot = (slot + 1) & mask;
    slots[slot] = i + 1;
}

// At most half of the slots are used; when they are, the live pairs get a new table, a quarter full at most.
static bool grow_slots(struct sc_bpe_pairs *p)
{
    if (p->slots && 2 * (p->n_slots_used + 1) <= p->slot_mask + 1) return true;
    uint64_t n_slots = 1 << 12;
    while (n_slots < 4 * ((uint64_t)p->n_live + 1)) n_slots *= 2;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (!slots) return false;
    for (uint32_t i = 0; i < p->n; i++)
        if (p->list[i].places) put(slots, n_slots - 1, p->list[i].key, i);
    free(p->slots);
    p->slots = slots;
    p->slot_mask = n_slots - 1;
    p->n_slots_used = p->n_live;
    return true;
}

static void release(struct sc_bpe_pairs *p, struct sc_bpe_pair *pair)
{
    free(pair->places);
    *pair = (struct sc_bpe_pair){ .n_places = p->first_free };
    p->first_free = (uint32_t)(pair - p->list) + 1;
    p->n_live--;
}

// ---- the heap

// Is `a` to be merged before `b`?
static bool comes_first(const struct sc_bpe_queued *a, const struct sc_bpe_queued *b)
{
    return a->count != b->count ? a->count > b->count : a->key < b->key;
}

static void sift_up(struct sc_bpe_queued *heap, size_t i)
{
    struct sc_bpe_queued moved = heap[i];
    for (; i > 0 && comes_first(&moved, &heap[(i - 1) / 2]); i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = moved;
}

static void sift_down(struct sc_bpe_queued *heap, size_t n)
{
    struct sc_bpe_queued moved = heap[0];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && comes_first(&heap[child + 1], &heap[child])) child++;
        if (!comes_first(&heap[child], &moved)) break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

static bool queue(struct sc_bpe_pairs *p, uint32_t i)
{
    if (p->n_heap == p->heap_capacity) {
        size_t capacity = p->heap_capacity ? 2 * p->heap_capacity : 1024;
        struct sc_bpe_queued *heap = realloc(p->heap, capacity * sizeof *heap);
        if (!heap) return false;
        p->heap = heap;
        p->heap_capacity = capacity;
    }
    p->heap[p->n_heap] = (struct sc_bpe_queued){ p->list[i].count, p->list[i].key, i };
    sift_up(p->heap, p->n_heap++);
    return true;
}

// ---- pairs

// A place in the list; UINT32_MAX when memory ran out.
static uint32_t new_pair(struct sc_bpe_pairs *p)
{
    if (p->first_free) {
        uint32_t i = p->first_free - 1;
        p->first_free = p->list[i].n_places;
        return i;
    }
    if (p->n == p->capacity) {
        uint64_t capacity = p->capacity ? 2 * (uint64_t)p->capacity : 1024;
        capacity = SC_MIN(capacity, UINT32_MAX - 1);
        struct sc_bpe_pair *list = capacity > p->n ? realloc(p->list, capacity * sizeof *list) : NULL;
        if (!list) return UINT32_MAX;
        p->list = list;
        p->capacity = (uint32_t)capacity;
    }
    return p->n++;
}

bool sc_bpe_pairs_add(struct sc_bpe_pairs *p, uint32_t left, uint32_t right, uint64_t count, uint32_t n_places,
                      uint32_t *out)
{
    uint32_t *places = malloc((size_t)n_places * sizeof *places);
    uint32_t i = places && grow_slots(p) ? new_pair(p) : UINT32_MAX;
    if (i == UINT32_MAX) {
        free(places);
        return false;
    }
    p->list[i] = (struct sc_bpe_pair){ key_of(left, right), count, places, n_places };
    p->n_live++;
    p->n_slots_used++;
    put(p->slots, p->slot_mask, p->list[i].key, i);
    *out = i;
    return queue(p, i);
}

void sc_bpe_pairs_lessen(struct sc_bpe_pairs *p, uint32_t left, uint32_t right, uint64_t count)
{
    struct sc_bpe_pair *pair = find(p, key_of(left, right));
    if (!pair) return;
    pair->count -= count;
    if (pair->count < p->min_count) release(p, pair);
}

bool sc_bpe_pairs_take(struct sc_bpe_pairs *p, struct sc_bpe_pair *out)
{
    while (p->n_heap) {
        struct sc_bpe_queued *top = &p->heap[0];
        struct sc_bpe_pair *pair = &p->list[top->pair];
        bool is_live = pair->places && pair->key == top->key;
        if (is_live && pair->count != top->count) {
            top->count = pair->count;
            sift_down(p->heap, p->n_heap);
            continue;
        }
        p->heap[0] = p->heap[--p->n_heap];
        if (p->n_heap) sift_down(p->heap, p->n_heap);
        if (!is_live) continue;
        *out = *pair;
        pair->places = NULL;
        release(p, pair);
        return true;
    }
    return false;
}

void sc_bpe_pairs_free(struct sc_bpe_pairs *p)
{
    for (uint32_t i = 0; i < p->n; i++) free(p->list[i].places);
    free(p->list);
    free(p->slots);
    free(p->heap);
    *p = (struct sc_bpe_pairs){ 0 };
}
