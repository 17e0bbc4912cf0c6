// A session: one conversation's key-value cache and the room to compute in.
//
// All memory is planned and taken when the session is created; evaluating takes none.
#ifndef SC_ENGINE_SESSION_H
#define SC_ENGINE_SESSION_H

#include "models/prepare.h"
#include "program/execute.h"

struct sc_session_options {
    uint32_t n_context; // positions; 0: the model's own context, at most SC_CONTEXT_DEFAULT
    uint32_t n_batch;   // rows computed together; 0: SC_BATCH_DEFAULT
    uint32_t n_logits;  // of these, at most how many may ask for logits; 0: 1
    uint32_t n_threads; // 0: all processors
    enum sc_cache_format cache;
    bool allow_overcommit; // skip the comparison with the memory available
    const char *cpu;       // an instruction-set level, or NULL
};

enum { SC_CONTEXT_DEFAULT = 8192, SC_BATCH_DEFAULT = 512 };

// What a session takes, in bytes.
struct sc_memory_need {
    uint64_t weights; // packed, or mapped from the file; shared by all sessions
    uint64_t cache, work;
};

struct sc_session;

// The need of a session with these options. Errors: SOCLE_BAD_ARGUMENT, SOCLE_NO_MEMORY (of the planner itself).
socle_status sc_session_need(const struct sc_model *model, const struct sc_session_options *options,
                             struct sc_memory_need *out, socle_error *err);

// What sc_session_create does first, for whoever wants to be told of the progress: compares the need with what is
// available, and prepares the model (prepare.h). Errors: those of sc_session_create.
socle_status sc_session_prepare(struct sc_model *model, const struct sc_session_options *options, sc_progress *progress,
                                void *context, socle_error *err);

// Prepares the model (prepare.h) if that was not done. The model must outlive the session. A session is used by one
// thread at a time.
// Errors: SOCLE_NO_MEMORY with the numbers when the need exceeds what is available; SOCLE_BAD_ARGUMENT.
socle_status sc_session_create(struct sc_model *model, const struct sc_session_options *options,
                               struct sc_session **out, socle_error *err);
void sc_session_free(struct sc_session *session); // NULL is fine

uint32_t sc_session_n_context(const struct sc_session *session);
uint32_t sc_session_n_past(const struct sc_session *session); // positions filled
uint32_t sc_session_n_batch(const struct sc_session *session);
uint32_t sc_session_n_threads(const struct sc_session *session);
const struct sc_kernels *sc_session_kernels(const struct sc_session *session);

// From now on `profile` is told of every op (NULL: no longer); it must outlive the session or be replaced.
void sc_session_set_profile(struct sc_session *session, const struct sc_profile *profile);

// How much the session takes of each of its model's adapters (models/adapters.h) from now on; NULL: nothing. Borrowed.
// Positions that are there already stay as they are.
void sc_session_set_adapters(struct sc_session *session, const float *factors);

// Forgets the positions from n_past on.
void sc_session_rewind(struct sc_session *session, uint32_t n_past);

// Receives the logits [n_vocab] after tokens[i]; valid during the call. Returning false stops the evaluation.
typedef bool sc_logits_sink(void *context, size_t i, const float *logits);
// Asked between operations; true stops, and the chunk at hand is not counted.
typedef bool sc_stop_check(void *context);

struct sc_evaluation {
    const int32_t *tokens;
    size_t n_tokens;
    size_t first_logits; // logits are wanted of tokens first_logits.. (n_tokens: of none)
    sc_logits_sink *sink;
    sc_stop_check *stop;  // NULL: never
    void *context;        // of sink and stop
    sc_observer *observe; // after each operation; NULL: nobody looks
    void *observer;
};

// Appends tokens, in chunks of at most n_batch. The bits do not depend on the chunks.
// Errors: SOCLE_CONTEXT_FULL with both counts (nothing is evaluated); SOCLE_BAD_ARGUMENT for a token outside the
// vocabulary; SOCLE_NOT_FINITE; SOCLE_CANCELLED (the chunks done so far stay).
socle_status sc_session_evaluate(struct sc_session *session, const struct sc_evaluation *what, socle_error *err);

// what[i] for sessions[i], which are different sessions of one model; their tokens are computed in common batches, with
// the memory, threads and kernels of the first, whose context is the largest. The bits are those of each alone.
// The first one's `stop` is asked. Errors: as above; sessions may then be at different points (sc_session_n_past).
socle_status sc_sessions_evaluate(struct sc_session *const *sessions, const struct sc_evaluation *what, size_t n,
                                  socle_error *err);

#endif
