// An answer that is held to a grammar: from its beginning, or from where a given text has come.
#ifndef SC_ENGINE_HELD_H
#define SC_ENGINE_HELD_H

#include "base/buffer.h"
#include "text/matcher.h"

// Zero-initialize: held to nothing.
struct sc_held {
    struct sc_matcher *matcher; // NULL: held to nothing
    const struct sc_token_index *index;
    uint64_t *allowed; // bits of the tokens that may come next
    char *after;       // what the answer must have before the grammar holds
    bool is_waiting;   // for that, in the last bytes of the answer:
    struct sc_buffer recent;
    bool ignore_end; // end tokens may not come
};

// masks NULL: held to nothing. `after` may be NULL and is copied. Both others must outlive it.
socle_status sc_held_begin(struct sc_held *held, struct sc_token_masks *masks, const struct sc_token_index *index,
                           const char *after, bool ignore_end, socle_error *err);
void sc_held_free(struct sc_held *held); // zeroes; fine on a zeroed one

// The tokens that may come next, or NULL in *allowed: any. Errors: SOCLE_UNSUPPORTED when the grammar is too ambiguous.
socle_status sc_held_mask(struct sc_held *held, const uint64_t **allowed, socle_error *err);
// Goes on by a token that is part of the answer. Errors: SOCLE_NO_MEMORY.
socle_status sc_held_accept(struct sc_held *held, int32_t token, socle_error *err);
// The text is whole, and nothing can follow.
bool sc_held_must_end(const struct sc_held *held);

#endif
