// Finds special tokens in a text: the longest at the earliest position.
//
// The texts are kept sorted. Reading along the input narrows a range of that list byte by byte, which is a trie without
// nodes; the first byte indexes the list directly, and most positions of an ordinary text stop there. Texts of more
// than SC_SPECIAL_BYTES_MAX bytes are not matched, which bounds the steps at each position.
#ifndef SC_TEXT_SPECIAL_TOKENS_H
#define SC_TEXT_SPECIAL_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "text/vocabulary.h"

enum { SC_SPECIAL_BYTES_MAX = 256 };

struct sc_special_token {
    struct sc_text text;
    int32_t id;
    bool eats_space_after; // white space behind it belongs to it
};

struct sc_special_list {
    struct sc_special_token *tokens; // sorted by text, no two equal
    size_t n;
    size_t first[257]; // tokens that begin with byte b are first[b] .. first[b + 1]
};

struct sc_special_tokens {
    struct sc_special_list words; // user-defined tokens only
    struct sc_special_list all;   // and control and unknown tokens
    struct sc_special_list marks; // what nobody but a chat template may write: see sc_special_is_mark
};

// Control and unknown tokens are marks, and so are user-defined tokens with punctuation ("<tool_call>"); other
// user-defined tokens (a word, a run of spaces) mean no more than their letters do.
bool sc_special_is_mark(const struct sc_vocabulary *vocabulary, uint32_t id);

// Collects the special tokens of a vocabulary. `eats_space_after` (may be NULL) tells which do.
socle_status sc_special_tokens_build(const struct sc_vocabulary *vocabulary,
                                     bool (*eats_space_after)(const struct sc_vocabulary *vocabulary, uint32_t id),
                                     struct sc_special_tokens *out, socle_error *err);
void sc_special_tokens_free(struct sc_special_tokens *special);

// The first special token at or after `from`: its place in *at, or NULL when there is none.
const struct sc_special_token *sc_special_list_find(const struct sc_special_list *list, struct sc_text text,
                                                    size_t from, size_t *at);
// Whether some token of the list is longer than `beginning` and begins with it. An empty one begins none.
bool sc_special_list_has_beginning(const struct sc_special_list *list, struct sc_text beginning);

#endif
