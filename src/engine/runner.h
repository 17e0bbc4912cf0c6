// What computes batches: the kernels and threads that run a model's program, and the memory between its operations. A
// batch is rows of any sequences; what a row gives does not depend on the others.
#ifndef SC_ENGINE_RUNNER_H
#define SC_ENGINE_RUNNER_H

#include "models/model.h"
#include "program/execute.h"

struct sc_runner_options {
    uint32_t n_batch;   // rows at most
    uint32_t n_results; // of these, at most how many may ask for a result
    uint32_t n_context; // positions of the longest sequence
    uint32_t n_threads;
    const char *cpu; // an instruction-set level, or NULL
};

enum sc_wanted { SC_WANT_NOTHING, SC_WANT_LOGITS, SC_WANT_HIDDEN };

struct sc_row {
    int32_t token; // below the vocabulary's size
    uint32_t position;
    const struct sc_sequence *sequence;
    enum sc_wanted wanted;
};

struct sc_runner;

// Bytes of such a runner. Errors: SOCLE_NO_MEMORY (of the planner itself).
socle_status sc_runner_need(const struct sc_model *model, const struct sc_runner_options *options, uint64_t *n_bytes,
                            socle_error *err);
// The model must outlive it. Used by one thread at a time. Errors: SOCLE_BAD_ARGUMENT, SOCLE_NO_MEMORY.
socle_status sc_runner_create(const struct sc_model *model, const struct sc_runner_options *options,
                              struct sc_runner **out, socle_error *err);
void sc_runner_free(struct sc_runner *runner); // NULL is fine

const struct sc_kernels *sc_runner_kernels(const struct sc_runner *runner);
struct sc_pool *sc_runner_pool(const struct sc_runner *runner);
uint32_t sc_runner_n_batch(const struct sc_runner *runner);
void sc_runner_set_profile(struct sc_runner *runner, const struct sc_profile *profile);      // NULL: none
void sc_runner_set_observer(struct sc_runner *runner, sc_observer *observe, void *observer); // NULL: none

// A batch: clear, add rows (a sequence's together, their positions ascending by one), run. Adding returns false when
// there is no more room, and then changes nothing.
void sc_runner_clear(struct sc_runner *runner);
bool sc_runner_add(struct sc_runner *runner, const struct sc_row *row);
uint32_t sc_runner_n_rows(const struct sc_runner *runner);
// `stop` (NULL: never) is asked between operations; when it says true the batch is abandoned and the result is false.
bool sc_runner_run(struct sc_runner *runner, bool (*stop)(void *context), void *context);

// Of the rows that asked for something, in the order in which they were added: which row the i-th is, its logits
// [n_vocab], and its hidden state [n_embd], each element yet to be multiplied by *scale. Valid until the next run; there
// are no logits when no row asked for some.
uint32_t sc_runner_n_results(const struct sc_runner *runner);
uint32_t sc_runner_result_row(const struct sc_runner *runner, uint32_t i);
const float *sc_runner_logits(const struct sc_runner *runner, uint32_t i);
const float *sc_runner_hidden(const struct sc_runner *runner, uint32_t i, float *scale);

// NaN and infinity are errors, not values: SOCLE_NOT_FINITE names the position.
socle_status sc_runner_check_logits(const struct sc_runner *runner, uint32_t i, socle_error *err);

#endif
