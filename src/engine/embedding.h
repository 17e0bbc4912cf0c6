// A text's embedding: the hidden states of its tokens (the last norm's results, which the logits are products of) made
// one vector of length 1. What goes in does so in the order of positions, so that the same text gives the same bits.
#ifndef SC_ENGINE_EMBEDDING_H
#define SC_ENGINE_EMBEDDING_H

#include <socle/scheduler.h>

#include "models/hparams.h"

struct sc_embedding {
    socle_pooling pooling;
    uint32_t n_embd, n_dimensions;
    double *sum;   // [n_embd]
    uint32_t n_in; // positions that went in, or were passed over
    float *vector; // [n_dimensions] once finished
};

// Errors: SOCLE_BAD_ARGUMENT for more dimensions than the model has, SOCLE_UNSUPPORTED when the model is said to pool
// in another way, SOCLE_NO_MEMORY.
socle_status sc_embedding_begin(struct sc_embedding *e, const struct sc_hparams *h, socle_pooling pooling,
                                uint32_t n_dimensions, socle_error *err);
void sc_embedding_free(struct sc_embedding *e); // a zeroed one is fine
// Whether the hidden state of this position, of a text of n_tokens, is wanted.
bool sc_embedding_wants(const struct sc_embedding *e, uint32_t position, uint32_t n_tokens);
// Takes x[i] * scale in; a position that went in before changes nothing.
void sc_embedding_add(struct sc_embedding *e, uint32_t position, const float *x, float scale);
// Errors: SOCLE_NOT_FINITE.
socle_status sc_embedding_finish(struct sc_embedding *e, socle_error *err);

#endif
