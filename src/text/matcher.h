// Holding a model to a grammar, token by token: which tokens may come next, and where a text stands in the grammar.
//
// A position is a set of heads. A head is a state and a stack of the places to return to; stacks are shared lists, each
// stored once, so that equal heads are found equal:
//
//   heads   state 17 ─┐                        value of "b" in {"a": [{"b": …
//           state 90 ─┴─► after value ─► after item ─► after value ─► end
//
// Masks. For one state, the tokens that stay inside its own rule do not depend on the stack; they are computed once,
// by walking the tree of tokens, and kept. Where a token's bytes leave the rule, the node is kept as an exit, and only
// what lies beyond exits is walked with the real stack each time. Tokens inside strings, the many, thus cost a copy.
//
// The idea of telling tokens that depend on the stack from those that do not: Dong et al., XGrammar, arXiv:2411.15100.
#ifndef SC_TEXT_MATCHER_H
#define SC_TEXT_MATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/grammar.h"
#include "text/token_index.h"

// A grammar over a vocabulary, with the masks kept so far (at most 32 MiB). Any number of threads may use one.
struct sc_token_masks;

// Both must outlive the masks.
socle_status sc_token_masks_create(const struct sc_grammar *grammar, const struct sc_token_index *index,
                                   struct sc_token_masks **out, socle_error *err);
void sc_token_masks_free(struct sc_token_masks *masks); // NULL is fine

// A position in the text; for one thread at a time. `masks` must outlive it.
struct sc_matcher;

socle_status sc_matcher_create(struct sc_token_masks *masks, struct sc_matcher **out, socle_error *err);
// A second matcher at the same position: to try tokens, and to go back.
socle_status sc_matcher_copy(const struct sc_matcher *matcher, struct sc_matcher **out, socle_error *err);
void sc_matcher_free(struct sc_matcher *matcher);  // NULL is fine
void sc_matcher_reset(struct sc_matcher *matcher); // back to the beginning

// How many 64-bit words a mask of the vocabulary takes.
size_t sc_matcher_mask_words(const struct sc_matcher *matcher);
// Sets bit t % 64 of allowed[t / 64] for each token t that may come next, and clears the others. End tokens are allowed
// exactly when the text may end here. Errors: SOCLE_UNSUPPORTED when the grammar is so ambiguous here that it would
// take too long; SOCLE_NO_MEMORY.
socle_status sc_matcher_mask(struct sc_matcher *matcher, uint64_t *allowed, socle_error *err);
// Goes on by a token, or by bytes. False: they may not come next, and the position is unchanged.
bool sc_matcher_accept(struct sc_matcher *matcher, int32_t token);
bool sc_matcher_accept_bytes(struct sc_matcher *matcher, struct sc_text bytes);
bool sc_matcher_can_end(const struct sc_matcher *matcher);  // the text so far is whole
bool sc_matcher_must_end(const struct sc_matcher *matcher); // and nothing can be added

#endif
