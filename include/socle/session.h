// Sessions: one conversation's state, and the two things to do with it: evaluate tokens, generate text.
//
// A session belongs to one thread at a time; socle_session_cancel alone may be called from any thread or a signal
// handler. All memory is taken when a session is created.
//
// Same model, same tokens, same options: the same bits, whatever the machine, threads, chunks or batch.
#ifndef SOCLE_SESSION_H
#define SOCLE_SESSION_H

#include "constraint.h"
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct socle_session socle_session;

typedef enum socle_cache { SOCLE_CACHE_F16, SOCLE_CACHE_F32, SOCLE_CACHE_Q8_0 } socle_cache;

// Zero-initialized options are the defaults.
typedef struct socle_session_options {
    uint32_t n_context;    // positions; 0: the model's, at most 8192
    uint32_t n_batch;      // prompt tokens computed together; 0: 512
    uint32_t n_logits;     // of these, at most how many keep logits at once; 0: 1
    uint32_t n_threads;    // 0: every processor this process may use
    socle_cache cache;     // how keys and values are kept; default F16
    bool allow_overcommit; // do not compare the need with the memory available
    const char *cpu;       // instruction-set level; NULL: SOCLE_CPU, or the best
} socle_session_options;

typedef struct socle_memory {
    uint64_t weights, cache, work; // bytes
} socle_memory;

// What such a session would take, without taking it.
socle_status socle_session_need(const socle_model *model, const socle_session_options *options, socle_memory *out,
                                socle_error *err);
// What socle_session_create does first, with a report of its progress (which may be NULL): compares what such a session
// would take with the memory available, and then prepares the model (socle_model_prepare). Errors: as below.
socle_status socle_session_prepare(const socle_model *model, const socle_session_options *options,
                                   socle_progress_callback *progress, void *context, socle_error *err);
// Prepares the model first if that was not done (socle_model_prepare). `options` may be NULL.
// Errors: SOCLE_NO_MEMORY with the numbers; SOCLE_BAD_ARGUMENT.
socle_status socle_session_create(const socle_model *model, const socle_session_options *options, socle_session **out,
                                  socle_error *err);
void socle_session_free(socle_session *session); // NULL is fine

// Takes scales[i] of the model's adapter i from now on (NULL: each at its own scale, as at the beginning), and forgets all
// positions where that is a change. Errors: SOCLE_NO_MEMORY.
socle_status socle_session_set_adapters(socle_session *session, const float *scales, socle_error *err);

uint32_t socle_session_n_context(const socle_session *session);
uint32_t socle_session_n_past(const socle_session *session); // positions filled so far
uint32_t socle_session_n_threads(const socle_session *session);
const char *socle_session_cpu(const socle_session *session); // the instruction-set level in use

// Forgets the positions from n_past on (0: everything).
void socle_session_rewind(socle_session *session, uint32_t n_past);
// The tokens in the session: n_past of them, valid until the session changes.
const int32_t *socle_session_tokens(const socle_session *session);
// Rewinds to what the session has in common with `tokens`, at most n_tokens - 1, and returns how many those are:
// evaluate the rest to have the session hold exactly `tokens`. The bits are those of a fresh session.
uint32_t socle_session_reuse(socle_session *session, const int32_t *tokens, size_t n_tokens);
// Makes the socle_evaluate in progress, or the next one, return SOCLE_CANCELLED soon, and socle_generate end with
// SOCLE_FINISH_CANCELLED; it is forgotten when socle_generate returns. Async-signal-safe.
void socle_session_cancel(socle_session *session);

// Receives the logits [n_vocab] that follow tokens[i]; they are valid during the call. Return false to stop.
typedef bool socle_logits_callback(void *context, size_t i, const float *logits);

// Appends tokens to the session; the callback gets the logits of tokens from first_logits on (n_tokens: of none).
// Errors: SOCLE_CONTEXT_FULL and SOCLE_BAD_ARGUMENT (nothing is appended); SOCLE_CANCELLED (chunks that were finished
// stay: see socle_session_n_past) and SOCLE_NOT_FINITE (the chunk stays, too).
socle_status socle_evaluate(socle_session *session, const int32_t *tokens, size_t n_tokens, size_t first_logits,
                            socle_logits_callback *callback, void *context, socle_error *err);

typedef struct socle_evaluation {
    const int32_t *tokens;
    size_t n_tokens, first_logits;
    socle_logits_callback *callback;
    void *context;
} socle_evaluation;

// socle_evaluate of what[i] in sessions[i], computed in common batches: many short evaluations together are faster than
// one after another, because the weights are read once for all. The sessions are different ones of one model; the
// first lends its memory and threads and has the largest context. The bits are those of each session alone.
// After an error the sessions may be at different points: see socle_session_n_past.
socle_status socle_evaluate_together(socle_session *const *sessions, const socle_evaluation *what, size_t n,
                                     socle_error *err);

// ---- generating

typedef struct socle_logit_bias {
    int32_t token;
    float bias;
} socle_logit_bias;

// Start from socle_sampling_defaults(). The samplers act in this order: bias, penalties, DRY, the constraint (tokens that
// it does not allow are gone), top-k, typical, top-p, min-p, temperature, draw. Candidates of equal probability are
// ordered by token id.
typedef struct socle_sampling {
    float temperature;                         // 0: greedy, the most probable token
    uint32_t top_k;                            // 0: off
    float top_p;                               // 1: off
    float min_p;                               // 0: off
    float typical_p;                           // 1: off
    float repetition_penalty;                  // 1: off
    float frequency_penalty, presence_penalty; // 0: off
    uint32_t penalty_last_n;                   // tokens that the penalties look back on; 0: all of the session's
    float dry_multiplier;                      // 0: off
    float dry_base;
    uint32_t dry_allowed_length;
    const socle_logit_bias *bias; // borrowed
    size_t n_bias;
    uint64_t seed; // the same seed draws the same tokens
} socle_sampling;

socle_sampling socle_sampling_defaults(void); // temperature 0.8, top_k 40, top_p 0.95, min_p 0.05, seed 0

typedef enum socle_finish {
    SOCLE_FINISH_STOP,      // the model ended its answer
    SOCLE_FINISH_WORD,      // a stop string came
    SOCLE_FINISH_LENGTH,    // n_predict tokens were generated
    SOCLE_FINISH_CONTEXT,   // the context is full
    SOCLE_FINISH_CANCELLED, // socle_session_cancel, or the callback said so
} socle_finish;

// A piece of the answer: whole UTF-8 characters, never a part of a stop string. Return false to stop.
typedef bool socle_text_callback(void *context, const char *text, size_t n_bytes);

typedef struct socle_generation {
    // In
    const int32_t *prompt; // appended to the session first; may be empty if the session's last logits are to be used
    size_t n_prompt;
    uint32_t n_predict; // at most so many tokens; 0: until the context is full
    socle_sampling sampling;
    const char *const *stop; // strings that end the answer and are not part of it
    size_t n_stop;
    // What the answer is held to (NULL: nothing), of the session's model; borrowed. Where the text is whole and nothing
    // can follow, the answer ends (SOCLE_FINISH_STOP) without an end token.
    const socle_constraint *constraint;
    const char *constraint_after; // held from the first token after this text came ("</think>"); NULL: at once
    bool ignore_end;              // go on past the model's end tokens
    bool show_special;            // control tokens become text, too
    socle_text_callback *on_text;
    void *context;
    // Called after each chunk of the prompt: done of total. May be NULL.
    void (*on_progress)(void *context, size_t done, size_t total);
    // Out
    socle_finish finish;
    size_t n_generated; // tokens, an end token included
    size_t n_evaluated; // prompt tokens
    double prompt_seconds, generate_seconds;
} socle_generation;

// Evaluates the prompt and generates. Every token but the last is then in the session. An empty prompt in an empty
// session is SOCLE_BAD_ARGUMENT; a prompt that does not fit is SOCLE_CONTEXT_FULL and nothing is appended.
// A full context and a cancellation are not errors: see `finish`. SOCLE_UNSUPPORTED: the constraint is too ambiguous;
// SOCLE_FAILED: the vocabulary has no token with which its text could go on.
socle_status socle_generate(socle_session *session, socle_generation *generation, socle_error *err);

#ifdef __cplusplus
}
#endif
#endif
