// The keys and values of many sequences, in pages of 256 positions. Sequences that begin with the same tokens share
// the pages of that beginning, while they run and after they ended: pages of ended sequences are kept until the room is
// needed, the longest unused first.
//
//     tree        a node is a page and the tokens in it; its parent is the page before it
//     full page   immutable, shared by all sequences that pass through it
//     last page   of an ended sequence, perhaps not full: a sequence that begins like it takes a copy
//
// What a page holds is a function of the tokens up to it, and of the variant of the arithmetic (which adapters are taken,
// and how much; 0: none). Sequences of one variant share, so sharing changes no bit. Used by one thread at a time.
#ifndef SC_ENGINE_PAGES_H
#define SC_ENGINE_PAGES_H

#include "base/error.h"
#include "program/execute.h"

enum { SC_PAGE_TOKENS = SC_SEGMENT };

struct sc_pages;

// One running sequence. Zero-initialize; begin, then as often as needed extend, commit; at last end.
struct sc_paged {
    struct sc_sequence sequence; // what its rows are computed with
    uint32_t n_pages;            // that it has
    uint32_t n_shared;           // of these, the first ones are in the tree
    uint64_t variant;            // of the arithmetic
    uint32_t *pages;             // [pages of the context]
    size_t *segments;
};

// Pages for n_positions positions in all, of sequences of at most n_context each. Errors: SOCLE_NO_MEMORY.
socle_status sc_pages_create(const struct sc_program *program, uint64_t n_positions, uint32_t n_context,
                             enum sc_cache_format format, struct sc_pages **out, socle_error *err);
void sc_pages_free(struct sc_pages *pages); // NULL is fine
uint64_t sc_pages_bytes(const struct sc_program *program, uint64_t n_positions, enum sc_cache_format format);

// A sequence that will hold `tokens`: takes the pages of its longest known beginning, at most n_tokens - 1 positions,
// and returns in *n_past how many positions those are. Errors: SOCLE_NO_MEMORY.
socle_status sc_pages_begin(struct sc_pages *pages, uint64_t variant, const int32_t *tokens, uint32_t n_tokens, struct sc_paged *s,
                            uint32_t *n_past, socle_error *err);
// Room for n_positions positions; false when there are not enough pages that nobody uses, and then nothing changes.
bool sc_pages_extend(struct sc_pages *pages, struct sc_paged *s, uint32_t n_positions);
// Tells that the positions of tokens[0..n_past) are computed: pages that became full go to the tree, for others to
// share.
void sc_pages_commit(struct sc_pages *pages, struct sc_paged *s, const int32_t *tokens, uint32_t n_past);
// Ends the sequence. What it computed stays in the tree until the room is needed.
void sc_pages_end(struct sc_pages *pages, struct sc_paged *s, const int32_t *tokens, uint32_t n_past);

// Positions of `tokens` that are known (what sc_pages_begin would take), without taking anything.
uint32_t sc_pages_known(const struct sc_pages *pages, uint64_t variant, const int32_t *tokens, uint32_t n_tokens);

// Known beginnings on disk, from one run to the next (pages_file.c has the layout). `identity` says of what model,
// format and arithmetic they are; those of other variants are left out. Writes what fits into max_bytes, the latest used first, whole or not at all. No
// sequence may run. Errors: SOCLE_IO.
socle_status sc_pages_save(const struct sc_pages *pages, const char *path, uint64_t identity, uint64_t max_bytes,
                           socle_error *err);
// Adds what the file holds and there is room for; *n_pages is how many pages. A file that is not there holds none.
// Errors: SOCLE_IO; SOCLE_BAD_FILE for one that is damaged, or of another model: pages before the damage are kept.
socle_status sc_pages_load(struct sc_pages *pages, const char *path, uint64_t identity, uint32_t *n_pages,
                           socle_error *err);

struct sc_pages_use {
    uint32_t n_pages, n_free, n_kept; // in all; empty; kept in the tree though no sequence uses them
};
struct sc_pages_use sc_pages_use(const struct sc_pages *pages);

#endif
