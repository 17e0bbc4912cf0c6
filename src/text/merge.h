// Byte-pair merging with a heap: the step that BPE and SentencePiece share.
//
// A piece of text starts as a chain of symbols (bytes or characters). Again and again the neighbouring pair with the
// best priority, the leftmost among equals, becomes one symbol, until no pair may be merged. Every pair waits in a
// binary heap; a pair that a neighbouring merge overtook is recognized when it is popped, because the lengths of its
// two symbols no longer add up. n symbols cost at most 3 n look-ups and O(n log n) time, whatever the text.
// Sources: Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units" (2016), section 3.2;
// Kudo, Richardson, "SentencePiece" (2018), section 3.1, for the heap.
#ifndef SC_TEXT_MERGE_H
#define SC_TEXT_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A run of bytes of the piece. Merged-away symbols have n_bytes 0.
struct sc_symbol {
    uint32_t start, n_bytes;
    uint32_t previous, next; // SC_SYMBOL_NONE at the ends
    int32_t id;              // -1: no token
};

#define SC_SYMBOL_NONE UINT32_MAX

struct sc_candidate {
    uint64_t key;     // priority << 32 | index of the left symbol: the smallest is merged first
    uint32_t n_bytes; // of both symbols together, when the candidate was found
    int32_t id;       // of the merged token
};

// Scratch memory for merging, reused from piece to piece. Zero-initialize.
struct sc_merger {
    struct sc_symbol *symbols;
    size_t n_symbols, symbol_capacity;
    struct sc_candidate *heap;
    size_t n_heap, heap_capacity;
    uint64_t n_lookups; // how often `find` was asked, over the merger's life
};

// May the two symbols merge, into which token, and with which priority (smaller is earlier)?
typedef bool sc_merge_find(const void *context, const struct sc_symbol *left, const struct sc_symbol *right,
                           uint32_t *priority, int32_t *id);

// Forgets the symbols and makes room for n; false when memory ran out.
bool sc_merger_begin(struct sc_merger *merger, size_t n);
// Appends a symbol (room was made by sc_merger_begin).
void sc_merger_add(struct sc_merger *merger, uint32_t start, uint32_t n_bytes, int32_t id);
// Merges all that can be; walk the result from symbol 0 along `next`.
void sc_merger_run(struct sc_merger *merger, sc_merge_find *find, const void *context);
void sc_merger_free(struct sc_merger *merger);

#endif
