// Choosing a token from logits. Everything is ordered by (logit, then lower id), and computed in binary64 with our own
// exp and log, so the choice is the same on every machine.
#ifndef SC_ENGINE_SAMPLER_H
#define SC_ENGINE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <socle/session.h>

#include "kernels/kernels.h"

struct sc_candidate {
    int32_t id;
    float logit;
    double p; // while a sampler needs it
};

// Room for sampling from a vocabulary of n; made once a session.
struct sc_sampler {
    struct sc_candidate *candidates; // [n_vocab]
    uint32_t *counts;                // [n_vocab] occurrences, for the penalties; zero between calls
    uint32_t *z;                     // [n_context] for DRY
    uint32_t n_vocab;
    float *weights; // [n_vocab]
    const struct sc_kernels *kernels;
};

// True for tokens that end a repetition for DRY (line ends, quotes, colons, asterisks).
typedef bool sc_breaks_repetition(const void *context, int32_t token);

struct sc_sampling_input {
    const float *logits;    // [n_vocab]
    const int32_t *history; // [n_history], the newest last
    size_t n_history;
    sc_breaks_repetition *breaks;
    const void *context;
    const uint64_t *allowed; // [n_allowed / 64, rounded up] a bit for each token that may be drawn; NULL: all may
    size_t n_allowed;        // tokens beyond may not
};

// Checks the parameters against sense and the vocabulary. SOCLE_BAD_ARGUMENT names the one that is wrong.
socle_status sc_sampling_check(const socle_sampling *how, uint32_t n_vocab, socle_error *err);

// The next token, or -1 when none is allowed; the draw depends on the seed and the position n_history alone.
int32_t sc_sample(struct sc_sampler *sampler, const socle_sampling *how, const struct sc_sampling_input *input);

#endif
