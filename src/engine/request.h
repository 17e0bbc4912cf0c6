// One request of a scheduler: its tokens, how the next one is chosen, and the text that comes of it.
#ifndef SC_ENGINE_REQUEST_H
#define SC_ENGINE_REQUEST_H

#include <socle/scheduler.h>

#include "engine/embedding.h"
#include "engine/held.h"
#include "engine/pages.h"
#include "engine/runner.h"
#include "engine/sampler.h"
#include "engine/stop.h"
#include "text/tokenizer.h"

enum { SC_TOP_LOGPROBS_MAX = 20 };

// What an answer may be held to.
struct sc_constraint {
    struct sc_token_masks *masks; // NULL: nothing
    const struct sc_token_index *index;
};

struct sc_request {
    struct sc_request *next; // in a list of the scheduler
    uint64_t id;
    socle_request_options o; // prompt, stops and biases are its own copies
    char *stop_memory;
    int32_t *tokens; // [capacity] prompt, then what was generated
    uint32_t n_tokens, n_prompt, n_cached, n_generated, capacity;
    uint32_t n_past; // positions computed
    uint32_t n_told; // prompt tokens whose logprobs were told
    struct sc_embedding embedding; // when the options ask for one
    struct sc_paged paged;
    float *adapters; // [n_adapters] how much of each it takes, times alpha / rank; NULL: nothing
    uint64_t variant;
    bool is_running, is_in_batch, was_started, is_cancelled, is_refused, has_ended;
    double created, started, first_token, deadline; // seconds; deadline 0: none
    struct sc_detokenizer detokenizer;
    struct sc_stop_filter stop;
    struct sc_held held;
    struct sc_buffer text; // of the newest token
    socle_request_result result;
};

// What logits say: the token drawn (or the given one), its logprob, the most probable tokens.
struct sc_choice {
    int32_t token; // -1: none can be chosen, `error` says why
    float logprob;
    socle_error error;
    socle_alternative top[SC_TOP_LOGPROBS_MAX];
    size_t n_top;
};

// A copy of the options, ready to run. Errors: SOCLE_BAD_ARGUMENT, SOCLE_CONTEXT_FULL, SOCLE_NO_MEMORY.
socle_status sc_request_create(const struct sc_tokenizer *tokenizer, const socle_request_options *options,
                               const struct sc_constraint *constraint, const struct sc_hparams *hparams,
                               uint32_t n_context, struct sc_request **out, socle_error *err);
void sc_request_free(struct sc_request *request);

// Chooses the token after all of the request's from these logits, or judges `given` (-1: choose). Touches only the
// request and the sampler: requests may be asked at once, each thread with a sampler of its own.
struct sc_choice sc_request_choose(struct sc_request *request, struct sc_sampler *sampler, const float *logits,
                                   int32_t given);

// Tells the caller of a prompt token's logprob.
void sc_request_tell_prompt(struct sc_request *request, const struct sc_choice *choice);
// What a row of the request is computed for.
enum sc_wanted sc_request_wants(const struct sc_request *request, uint32_t position);
// The first position that must be computed even when the cache has it and those behind it.
uint32_t sc_request_needs_from(const struct sc_request *request);
// Takes the hidden state of a position in, and decides whether it was the last (has_ended). Errors: SOCLE_NOT_FINITE.
socle_status sc_request_take_hidden(struct sc_request *request, uint32_t position, const float *x, float scale,
                                    socle_error *err);
// Takes the chosen token in: appends it, passes its text on, and decides whether this is the end (has_ended). Errors:
// the choice's; SOCLE_NO_MEMORY.
socle_status sc_request_accept(struct sc_request *request, const struct sc_choice *choice, socle_error *err);
// Calls on_end, with an error if `err` is not NULL, otherwise with request->result.finish.
void sc_request_end(struct sc_request *request, const socle_error *err);

#endif
