#include "engine/embedding.h"

#include <stdlib.h>

#include "base/error.h"

// The file's "pooling_type", numbered as GGUF does.
static socle_status pooling_of_model(const struct sc_hparams *h, socle_pooling *out, socle_error *err)
{
    static const socle_pooling known[] = { SOCLE_POOLING_MEAN, SOCLE_POOLING_MEAN, SOCLE_POOLING_FIRST,
                                           SOCLE_POOLING_LAST };
    if (h->pooling >= sizeof known / sizeof *known)
        return sc_fail(err, SOCLE_UNSUPPORTED,
                       "the model pools by method %u: expected 1 (mean), 2 (first token) or 3 (last token)",
                       h->pooling);
    *out = known[h->pooling];
    return SOCLE_OK;
}

socle_status sc_embedding_begin(struct sc_embedding *e, const struct sc_hparams *h, socle_pooling pooling,
                                uint32_t n_dimensions, socle_error *err)
{
    if (n_dimensions > h->n_embd)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "%u dimensions: the model's embeddings have %u", n_dimensions,
                       h->n_embd);
    if (pooling == SOCLE_POOLING_MODEL) SC_TRY(pooling_of_model(h, &pooling, err));
    *e = (struct sc_embedding){ .pooling = pooling,
                                .n_embd = h->n_embd,
                                .n_dimensions = n_dimensions ? n_dimensions : h->n_embd,
                                .sum = calloc(h->n_embd, sizeof *e->sum),
                                .vector = calloc(h->n_embd, sizeof *e->vector) };
    if (e->sum && e->vector) return SOCLE_OK;
    sc_embedding_free(e);
    return sc_fail_memory(err, h->n_embd * sizeof *e->sum, "an embedding");
}

void sc_embedding_free(struct sc_embedding *e)
{
    free(e->sum);
    free(e->vector);
    *e = (struct sc_embedding){ 0 };
}

bool sc_embedding_wants(const struct sc_embedding *e, uint32_t position, uint32_t n_tokens)
{
    if (e->pooling == SOCLE_POOLING_MEAN) return position >= e->n_in;
    return position == (e->pooling == SOCLE_POOLING_FIRST ? 0 : n_tokens - 1);
}

void sc_embedding_add(struct sc_embedding *e, uint32_t position, const float *x, float scale)
{
    if (position < e->n_in) return;
    for (uint32_t i = 0; i < e->n_embd; i++) e->sum[i] += (double)(x[i] * scale);
    e->n_in = position + 1;
}

// A mean and a sum have the same direction, so that the count of positions does not matter.
socle_status sc_embedding_finish(struct sc_embedding *e, socle_error *err)
{
    double squares = 0.0;
    for (uint32_t i = 0; i < e->n_dimensions; i++) squares += e->sum[i] * e->sum[i];
    if (!(squares - squares == 0.0)) return sc_fail(err, SOCLE_NOT_FINITE, "an embedding is not finite");
    double length = __builtin_sqrt(squares);
    for (uint32_t i = 0; i < e->n_dimensions; i++) e->vector[i] = squares > 0.0 ? (float)(e->sum[i] / length) : 0.0f;
    return SOCLE_OK;
}
