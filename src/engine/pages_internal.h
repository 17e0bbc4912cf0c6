// The insides of sc_pages, for the files that share them.
#ifndef SC_ENGINE_PAGES_INTERNAL_H
#define SC_ENGINE_PAGES_INTERNAL_H

#include "engine/pages.h"

#define SC_NO_PAGE UINT32_MAX

// A page, and its place in the tree when it is there.
struct sc_page {
    uint32_t parent, first_child, next, previous; // siblings; `next` also links free pages
    uint32_t n_users;                             // sequences that run through it
    uint32_t n_tokens;                            // 0: not in the tree
    uint64_t last_used, variant;
    int32_t tokens[SC_PAGE_TOKENS];
};

struct sc_pages {
    struct sc_page *pages;
    struct sc_kv_layer *layers; // of page 0
    char *memory;
    uint64_t page_bytes, n_bytes, clock;
    uint32_t n_pages, first_free, n_free, n_kept, first_root, n_context;
};

// Puts an empty page, which is taken off the free ones, into the tree; no sequence uses it.
void sc_pages_link(struct sc_pages *pages, uint32_t id, uint32_t parent, uint64_t variant, const int32_t *tokens,
                   uint32_t n_tokens);
// A page that nobody uses, or SC_NO_PAGE.
uint32_t sc_pages_take(struct sc_pages *pages);
// Back to the free ones.
void sc_pages_give(struct sc_pages *pages, uint32_t id);

#endif
