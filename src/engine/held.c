#include "engine/held.h"

#include <stdlib.h>
#include <string.h>

socle_status sc_held_begin(struct sc_held *h, struct sc_token_masks *masks, const struct sc_token_index *index,
                           const char *after, bool ignore_end, socle_error *err)
{
    *h = (struct sc_held){ .index = index, .ignore_end = ignore_end };
    if (!masks) return SOCLE_OK;
    SC_TRY(sc_matcher_create(masks, &h->matcher, err));
    size_t n_words = sc_matcher_mask_words(h->matcher);
    h->is_waiting = after && *after;
    h->allowed = calloc(n_words + 1, sizeof *h->allowed);
    h->after = h->is_waiting ? strdup(after) : NULL;
    if (h->allowed && (h->after || !h->is_waiting)) return SOCLE_OK;
    sc_held_free(h);
    return sc_fail_memory(err, n_words * 8, "a mask of tokens");
}

void sc_held_free(struct sc_held *h)
{
    sc_matcher_free(h->matcher);
    sc_buffer_free(&h->recent);
    free(h->allowed);
    free(h->after);
    *h = (struct sc_held){ 0 };
}

static bool holds(const struct sc_held *h) { return h->matcher && !h->is_waiting; }

socle_status sc_held_mask(struct sc_held *h, const uint64_t **allowed, socle_error *err)
{
    *allowed = NULL;
    if (!holds(h)) return SOCLE_OK;
    SC_TRY(sc_matcher_mask(h->matcher, h->allowed, err));
    for (uint32_t i = 0; h->ignore_end && i < h->index->n_ends; i++)
        h->allowed[h->index->ends[i] / 64] &= ~(UINT64_C(1) << (h->index->ends[i] % 64));
    *allowed = h->allowed;
    return SOCLE_OK;
}

// Looks for the text after which the grammar holds.
static void wait_for_text(struct sc_held *h, int32_t token)
{
    struct sc_text bytes = sc_tokenizer_token_bytes(h->index->tokenizer, token);
    size_t n_after = strlen(h->after), n_kept = n_after - 1;
    sc_buffer_append(&h->recent, bytes.data, bytes.n_bytes);
    if (h->recent.n_bytes < n_after) return;
    if (memmem(h->recent.data, h->recent.n_bytes, h->after, n_after)) h->is_waiting = false;
    memmove(h->recent.data, h->recent.data + h->recent.n_bytes - n_kept, n_kept);
    h->recent.n_bytes = n_kept;
}

socle_status sc_held_accept(struct sc_held *h, int32_t token, socle_error *err)
{
    if (!h->matcher) return SOCLE_OK;
    if (h->is_waiting) {
        wait_for_text(h, token);
        return h->recent.failed ? sc_fail_memory(err, 0, "the answer's text") : SOCLE_OK;
    }
    if (sc_matcher_accept(h->matcher, token)) return SOCLE_OK;
    return sc_fail_memory(err, 0, "a position in a grammar"); // what is allowed is accepted, but for memory
}

bool sc_held_must_end(const struct sc_held *h) { return holds(h) && sc_matcher_must_end(h->matcher); }
