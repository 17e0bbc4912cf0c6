// A vocabulary's tokens as a tree of their bytes, in one array: what token masks are computed over.
//
//   nodes in the order of a walk: "a" "ab" "abc" "b" …        node:  byte, depth, where the walk goes on without
//   └ 0 1 2 3 …                                                      this node's descendants (skip), token or -1
//
// Tokens that are no part of a text (control, unknown and unused ones) and those that end a generation are left out;
// so is the rare token of more than SC_INDEX_TOKEN_BYTES_MAX bytes.
#ifndef SC_TEXT_TOKEN_INDEX_H
#define SC_TEXT_TOKEN_INDEX_H

#include "text/tokenizer.h"

enum { SC_INDEX_TOKEN_BYTES_MAX = 512 };

// What the bytes below a node are, so that a state that loops on all of them takes the whole branch at once.
enum {
    SC_BELOW_CONTROL = 1, // below U+0020, and U+007F
    SC_BELOW_SPACE = 2,
    SC_BELOW_QUOTE = 4,     // "
    SC_BELOW_BACKSLASH = 8,
    SC_BELOW_WORD = 16,     // letters and digits
    SC_BELOW_MARK = 32,     // other ASCII
    SC_BELOW_UNICODE = 64,  // UTF-8 beyond ASCII that begins below; the last character may be cut short
    SC_BELOW_BROKEN = 128,  // anything else
};
unsigned sc_below_kind(uint8_t byte); // of an ASCII byte

struct sc_token_node {
    uint32_t skip;
    int32_t token; // the one that ends here, or -1; others with the same bytes follow by next_same
    uint16_t depth; // 1 for a first byte
    uint16_t deepest; // depth of the deepest token from here on
    uint8_t byte;
    uint8_t below;
};

struct sc_token_index {
    const struct sc_tokenizer *tokenizer;
    struct sc_token_node *nodes;
    int32_t *next_same; // [n_tokens] another token with the same bytes, or -1
    int32_t *ends;      // tokens that end a generation
    uint32_t n_nodes, n_tokens, n_ends;
    size_t n_words; // of a mask: a bit per token
};

// Immutable; any number of threads may use one. The tokenizer must outlive it.
// Errors: SOCLE_UNSUPPORTED (no text side), SOCLE_NO_MEMORY.
socle_status sc_token_index_create(const struct sc_tokenizer *tokenizer, struct sc_token_index **out, socle_error *err);
void sc_token_index_free(struct sc_token_index *index); // NULL is fine

#endif
