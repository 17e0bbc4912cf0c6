// Many requests at once: a scheduler computes them together in batches, on a thread of its own.
//
// What a request gives depends on its own tokens and options alone: not on what else runs, in which order requests
// came, or what the cache knew already. Requests that begin with the same tokens share that beginning's keys and
// values.
//
// All functions may be called from any thread.
#ifndef SOCLE_SCHEDULER_H
#define SOCLE_SCHEDULER_H

#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct socle_scheduler socle_scheduler;

// Zero-initialized options are the defaults.
typedef struct socle_scheduler_options {
    uint32_t n_context;    // positions of one request at most; 0: the model's, at most 8192
    uint64_t n_cache;      // positions in all; 0: four times n_context. At least n_context and a page of 256
    uint32_t n_running;    // requests computed at once; 0: 64
    uint32_t n_waiting;    // further requests that may wait; 0: 256
    uint32_t n_batch;      // tokens computed together; 0: 512
    uint32_t n_threads;    // 0: every processor this process may use
    socle_cache cache;     // how keys and values are kept; default F16
    bool allow_overcommit; // do not compare the need with the memory available
    const char *cpu;       // instruction-set level; NULL: SOCLE_CPU, or the best
    // Known beginnings are read from this file at the start and written to it at the end; NULL: they are not kept. Its
    // weights are hashed, so that a file of another model is never used.
    const char *cache_file;
    uint64_t cache_file_bytes; // that it may take; 0: 4 GiB
} socle_scheduler_options;

// What such a scheduler would take, without taking it.
socle_status socle_scheduler_need(const socle_model *model, const socle_scheduler_options *options, socle_memory *out,
                                  socle_error *err);
// Prepares the model if that was not done. The model must outlive the scheduler. Errors: SOCLE_NO_MEMORY with the
// numbers; SOCLE_BAD_ARGUMENT; SOCLE_UNSUPPORTED for a model without text.
socle_status socle_scheduler_create(const socle_model *model, const socle_scheduler_options *options,
                                    socle_scheduler **out, socle_error *err);
// Cancels what still runs, waits for its end, writes the cache file if there is one, and frees. NULL is fine. Errors
// (all is freed even so, and `err` may be NULL): SOCLE_IO when the cache file cannot be written.
socle_status socle_scheduler_free(socle_scheduler *scheduler, socle_error *err);

uint32_t socle_scheduler_n_context(const socle_scheduler *scheduler);

typedef struct socle_scheduler_state {
    uint32_t n_running, n_waiting;
    uint32_t n_pages, n_pages_free, n_pages_kept; // of the cache; kept: known beginnings that nobody uses now
    uint64_t n_prompt_tokens, n_cached_tokens, n_generated_tokens; // since the start
    uint64_t n_batches;
    double busy_seconds;             // computing
    double prompt_tokens_per_second; // of the last batches that held prompts
    char cache_note[200];            // what became of the cache file; "" without one
} socle_scheduler_state;
void socle_scheduler_describe(const socle_scheduler *scheduler, socle_scheduler_state *out);

// ---- requests

// A token and the natural logarithm of its probability, at temperature 1 and before any change of logits.
typedef struct socle_alternative {
    int32_t token;
    float logprob;
} socle_alternative;

// One generated token, or one of the prompt's when prompt_logprobs asks for them. Valid during the call of on_token.
typedef struct socle_token_event {
    int32_t token;
    bool of_prompt;
    float logprob;                // 0 unless logprobs were asked for, and for the prompt's first token
    const socle_alternative *top; // [n_top] the most probable, best first
    size_t n_top;
    const char *text; // what can be shown now: whole characters, no part of a stop string; may be empty
    size_t n_bytes;
} socle_token_event;

// Its strings are valid during the call of on_end.
typedef struct socle_request_result {
    socle_status status; // SOCLE_OK, or what went wrong
    socle_error error;   // when it is not
    socle_finish finish;
    const char *text; // what was still held back
    size_t n_bytes;
    const char *stop;                         // the stop string that ended the answer, or NULL
    uint32_t n_prompt, n_cached, n_generated; // tokens; of the prompt, those found in the cache
    const float *embedding; // [n_embedding] of length 1, or NULL
    uint32_t n_embedding;
    double wait_seconds, prompt_seconds, generate_seconds;
} socle_request_result;

// How a prompt's hidden states (the last norm's, of each token) become one vector, which then is given length 1.
typedef enum socle_pooling {
    SOCLE_POOLING_NONE,  // no vector: the request generates
    SOCLE_POOLING_MODEL, // as the model's file says; the mean when it says nothing
    SOCLE_POOLING_MEAN,
    SOCLE_POOLING_FIRST, // token
    SOCLE_POOLING_LAST,
} socle_pooling;

typedef struct socle_request_options {
    const int32_t *prompt; // copied
    size_t n_prompt;
    uint32_t n_predict;      // at most so many tokens; 0: until the context is full
    socle_sampling sampling; // its biases are copied
    const char *const *stop; // copied
    size_t n_stop;
    const socle_constraint *constraint; // as in socle_generation; borrowed until on_end has been called
    const char *constraint_after;       // copied
    bool ignore_end, show_special;
    bool logprobs, prompt_logprobs;
    uint32_t n_top_logprobs; // at most 20
    socle_pooling pooling;   // not NONE: nothing is generated, and the result has the prompt's embedding
    uint32_t n_dimensions;   // of the embedding: its first ones; 0: all
    const float *adapters;   // [socle_model_n_adapters] how much of each it takes; copied; NULL: each at its own scale
    uint64_t group;          // requests of the same group share what it is due: groups take turns
    double timeout_seconds;  // from now until the last token; 0: none
    // On the scheduler's thread, one after another; they must be quick. on_token returns false to end the answer. on_end
    // comes last, exactly once. They may start and cancel requests, and call nothing else of the scheduler.
    bool (*on_token)(void *context, const socle_token_event *event);
    void (*on_end)(void *context, const socle_request_result *result);
    void *context;
} socle_request_options;

// Starts a request; *id names it until its end. Errors (on_end is then not called): SOCLE_CONTEXT_FULL with both
// counts, SOCLE_BAD_ARGUMENT, SOCLE_NO_MEMORY, SOCLE_BUSY when as many wait as may.
socle_status socle_request_start(socle_scheduler *scheduler, const socle_request_options *options, uint64_t *id,
                                 socle_error *err);
// Ends a request soon; nothing happens when it has ended. Does not wait.
void socle_request_cancel(socle_scheduler *scheduler, uint64_t id);

#ifdef __cplusplus
}
#endif
#endif
